//! Hot reload of a running process: files, orders, and what a bad pack leaves behind.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::process::{self, Weir};
use crate::records::{self, Follower, Sent};
use crate::site::Site;

/// A rule for one word; an example without the word makes its test fail.
fn write_rule(folder: &Path, word: &str, example: &str) {
    let text = format!(
        "rules:\n  - id: lists.ours.word\n    family: lists\n    type: list.word\n    severity: high\n    confidence: high\n    phrase: {word}\n    examples: [{example}]\n    negative_examples: [nothing]\n"
    );
    std::fs::write(folder.join("ours.yml"), text).expect("the rule is written");
}

fn until(what: &str, weir: &Weir, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within a minute; log: {}", weir.log_text());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Decides until another pack does: a record that was on its way when the pack was put in
/// force may still be decided by the one before.
fn until_other(before: &str, mut decide: impl FnMut() -> (String, usize)) -> (String, usize) {
    (0..5).map(|_| decide()).find(|(pack, _)| pack != before).expect("another pack decides")
}

#[test]
fn reload_takes_up_a_good_pack_and_leaves_a_bad_one() {
    let broker = Broker::shared();
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_rule(folder.path(), "first", "the first one");
    let patterns = format!("patterns: [\"{}\"]", folder.path().display());
    let site = Site::new(&broker, "reload", 3).setting(&patterns);
    let weir = site.start_ready();
    let producer = records::java_producer(&broker.address);
    let names = ["events", "verdicts", "alerts", "audit"].map(|name| site.topic(name));
    let mut follower = Follower::new(&broker.address, &names[1..]);
    let mut sent = 0;
    // One event, and by which pack and rules it was decided.
    let mut decide = |follower: &mut Follower| {
        sent += 1;
        let id = format!("r{sent}");
        let event = serde_json::json!({"v": 1, "id": id, "ts": 1_700_000_000_000_u64,
            "kind": "prompt", "agent": {"id": "bot"}, "text": "first or second?"});
        records::send(&producer, &names[0], &[Sent::new("bot", event.to_string())]);
        let came = follower.until(Duration::from_mins(1), |seen| {
            seen.iter().filter(|read| read.topic == names[1]).count() >= sent
        });
        assert!(came, "no verdict for {id}");
        let verdict = follower.of(&names[1]).last().expect("a verdict").json();
        let reasons = verdict["reasons"].as_array().expect("a list").iter();
        let hits = reasons.filter(|reason| reason["rule"] == "lists.ours.word").count();
        (verdict["pack"].as_str().expect("a hash").to_owned(), hits)
    };
    let (first, hits) = decide(&mut follower);
    assert_eq!(hits, 1);

    write_rule(folder.path(), "second one", "the second one");
    until("the reload", &weir, || weir.metric("weir_reloads_total", &[]) > 0.0);
    let (second, hits) = until_other(&first, || decide(&mut follower));
    assert_eq!(hits, 0, "only the new rule decides");
    assert!(weir.log_text().contains("~lists.ours.word"), "{}", weir.log_text());

    write_rule(folder.path(), "third", "not what it says it is");
    until("the failure", &weir, || weir.metric("weir_reload_failures_total", &[]) > 0.0);
    assert_eq!(decide(&mut follower).0, second, "the old pack goes on");
    assert!(weir.is_ready(), "a bad file is no reason to stop");
    let told = |read: &crate::records::Read| {
        read.json()["unmapped"]["weir"]["signal"] == "system.reload_failed"
    };
    // It goes out with the next record, or the one after it where that was on its way already.
    let alerted = (0..5).any(|_| {
        assert_eq!(decide(&mut follower).0, second);
        follower.until(Duration::from_secs(2), |seen| {
            seen.iter().any(|read| read.topic == names[2] && told(read))
        })
    });
    assert!(alerted, "no alert says so");

    // Mended, and taken up at once on SIGHUP.
    write_rule(folder.path(), "first", "the first one");
    weir.signal("HUP");
    until("the reload", &weir, || weir.metric("weir_reloads_total", &[]) > 1.0);
    assert_eq!(until_other(&second, || decide(&mut follower)), (first.clone(), 1));

    // An order for a pack that is not here: not ready, and lifted again.
    let config = site.config();
    let config = config.to_str().expect("a path in UTF-8");
    let order = |hash: &str| {
        let output =
            process::weir(&["control", "pack", hash, "--all", "--reason", "drill", "-c", config]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    order(&second);
    until("the order", &weir, || !weir.is_ready());
    assert_eq!(decide(&mut follower).0, first, "it keeps what it has");
    write_rule(folder.path(), "second one", "the second one");
    until("the ordered pack", &weir, || weir.is_ready());
    assert_eq!(until_other(&first, || decide(&mut follower)), (second, 0));
    order("configured");

    let swaps: Vec<serde_json::Value> = {
        follower.settle(Duration::from_secs(2));
        let audit = follower.of(&names[3]).map(crate::records::Read::json);
        audit.filter(|record| record["what"] == "swap").collect()
    };
    assert_eq!(swaps.len(), 3, "{swaps:#?}");
    weir.terminate();
}
