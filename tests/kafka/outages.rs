//! Kafka away, topics missing, topics of the wrong shape.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::events::Traffic;
use crate::oracle;
use crate::process::{self, Weir};
use crate::proxy::Proxy;
use crate::records::{self, Follower, Sent};
use crate::site::Site;

#[test]
fn kafka_down_at_start_and_later() {
    let broker = Broker::shared();
    let proxy = Proxy::start(&broker);
    let site = Site::new(&broker, "down", 3).through(&proxy.address);
    let mut follower = Follower::new(&broker.address, &[site.topic("verdicts")]);
    let producer = records::java_producer(&broker.address);
    let mut traffic = Traffic::new(5, "o", 10);
    let mut sent = 0;
    let mut write = |count: usize| {
        let batch: Vec<Sent> = traffic
            .take(count)
            .into_iter()
            .map(|event| Sent::new(&event.agent, event.json))
            .collect();
        records::send(&producer, &site.topic("events"), &batch);
        sent += count;
        sent
    };

    proxy.set_open(false);
    let mut weir = site.start();
    std::thread::sleep(Duration::from_secs(6));
    assert!(weir.is_running(), "weir ended because Kafka was down; log: {}", weir.log_text());
    assert_eq!(weir.get("/readyz").map(|(status, _)| status), Some(503), "not ready without Kafka");
    assert_calm(&weir);

    proxy.set_open(true);
    weir.await_ready();
    let total = write(500);
    assert!(follower.until(Duration::from_mins(1), |seen| seen.len() >= total), "no verdicts");

    proxy.set_open(false);
    let total = write(200);
    let deadline = Instant::now() + Duration::from_secs(30);
    while weir.is_ready() {
        assert!(Instant::now() < deadline, "still ready 30 s after Kafka went away");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(3));
    assert!(weir.is_running(), "weir ended because Kafka went away; log: {}", weir.log_text());
    assert_calm(&weir);

    proxy.set_open(true);
    let back = Instant::now();
    assert!(
        follower.until(Duration::from_secs(90), |seen| seen.len() >= total),
        "{} of {total} verdicts after Kafka came back",
        follower.seen.len()
    );
    println!("Kafka back to the last verdict: {:.1} s", back.elapsed().as_secs_f64());
    weir.await_ready();
    weir.terminate();
    oracle::assert_same_as_sequential(&site);
}

/// Neither a busy loop nor a flood of log lines.
fn assert_calm(weir: &Weir) {
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", weir.id())).expect("procfs");
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .expect("a line")
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        // Ticks of user and system time, hundredths of a second; the state before them is no number.
        fields[10] + fields[11]
    };
    let lines = || weir.log_text().lines().count();
    let (before, written) = (used(), lines());
    std::thread::sleep(Duration::from_secs(2));
    let (ticks, written) = (used() - before, lines() - written);
    assert!(ticks < 60, "{ticks} of 200 hundredths of a second were spent waiting for Kafka");
    assert!(written < 60, "{written} log lines in two seconds of waiting for Kafka");
}

#[test]
fn a_missing_topic_is_one_sentence_with_the_command() {
    let site = Site::without_topics(&Broker::shared(), "missing", 3);
    site.create(
        &["events", "verdicts", "clean", "alerts", "audit", "anchors", "dlq", "shared", "state"],
        &[],
    );
    refuses(&site, &[&site.topic("control"), "weir topics create"]);
}

#[test]
fn a_wrong_partition_count_is_one_sentence_with_the_command() {
    let mut site = Site::without_topics(&Broker::shared(), "count", 3);
    site.create(
        &["events", "clean", "alerts", "audit", "anchors", "dlq", "control", "shared", "state"],
        &[],
    );
    site.partitions = 2;
    site.create(&["verdicts"], &[]);
    refuses(&site, &[&site.topic("verdicts"), "kafka-topics"]);
}

/// `weir run` ends with the exit code of a usage or runtime error and says these words in one line.
fn refuses(site: &Site, words: &[&str]) {
    let mut weir = site.start();
    let status = weir
        .ended(Duration::from_secs(40))
        .unwrap_or_else(|| panic!("weir keeps running; log: {}", weir.log_text()));
    assert!(!status.success());
    let log = weir.log_text();
    assert!(
        log.lines().any(|line| words.iter().all(|word| line.contains(word))),
        "no line names {words:?}: {log}"
    );
}

#[test]
fn topics_create_makes_what_run_needs() {
    let broker = Broker::shared();
    let site = Site::without_topics(&broker, "create", 3);
    let config = site.config();
    let config = config.to_str().expect("a path in UTF-8");
    let created = process::weir(&["topics", "create", "-c", config]);
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    // Twice is no error.
    let again = process::weir(&["topics", "create", "-c", config]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let checked = process::weir(&["topics", "check", "-c", config]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let weir = site.start_ready();
    let producer = records::java_producer(&broker.address);
    let event = serde_json::json!({
        "v": 1, "id": "first", "ts": 1_700_000_000_000_u64, "kind": "prompt", "agent": {"id": "a"},
        "text": "Hello.",
    });
    records::send(&producer, &site.topic("events"), &[Sent::new("a", event.to_string())]);
    let mut follower = Follower::new(&broker.address, &[site.topic("verdicts")]);
    assert!(follower.until(Duration::from_secs(30), |seen| seen.len() == 1), "no verdict came");
    weir.terminate();
}
