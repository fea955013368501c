//! The stories of `tests/scenarios` through real Kafka.
//!
//! Events of all stories of a file go through one running instance under the file's policy,
//! each story in a tenant of its own, and every topic must hold the records of a pure run.
//! Stories about values that turn up elsewhere each have an instance and topics of their own:
//! what one told would be known in the next. Their topics have one partition, because what
//! another partition has heard depends on when; `shared` tells of two.
//! Where a story is nothing but events, each must also be decided as the story says. Orders
//! and the passing of time are told in memory only: a broker's clock cannot be turned.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use weir::patterns::{SourceFile, load};
use weir::policy::Policy;

use crate::broker::Broker;
use crate::oracle::{Oracle, assert_same};
use crate::records::{self, Follower, Sent};
use crate::site::Site;
use crate::story::{EXPECTED, written};

/// Steps that are no events.
const OTHER: [&str; 9] =
    ["wait", "at", "kill", "resume", "shadow", "enforce", "approve", "suppress", "grant"];

/// A rule that finds nothing in any story, for files that are told without packs.
const NO_PACKS: &str = "rules:\n  - id: lists.none\n    family: lists\n    type: list.none\n    severity: low\n    confidence: low\n    phrase: zyzzyva quokka\n    examples: [zyzzyva quokka]\n    negative_examples: [nothing]\n";

/// Events of a file, and what each must be decided as, where its story says so.
fn events(file: &Value) -> Vec<(Sent, String, Option<String>)> {
    let empty = Map::new();
    let common = file["event"].as_object().unwrap_or(&empty);
    let mut out = Vec::new();
    let stories = file["stories"].as_array().expect("stories").iter().enumerate();
    for (number, story) in stories.filter(|(_, story)| story["policy"].is_null()) {
        let steps = story["steps"].as_array().expect("steps");
        let is_event = |step: &&Value| OTHER.iter().all(|word| step[*word].is_null());
        // A stamp of the story's own lies before the broker's time, and so is backdated.
        let plain = steps.iter().all(|step| is_event(&step) && step["ts"].is_null())
            && story["limits"].is_null();
        for step in steps.iter().filter(is_event) {
            let mut said = common.clone();
            said.extend(step.as_object().expect("a step").clone());
            said.retain(|name, _| !EXPECTED.contains(&name.as_str()));
            // A policy about tenants is about those that the story names.
            let tenant = said.get("tenant").and_then(Value::as_str).map(str::to_owned);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
            let agent = said.get("agent").and_then(Value::as_str).unwrap_or("bot").to_owned();
            let session = said.get("session").and_then(Value::as_str);
            if let Some(session) = session.map(|session| format!("{number}/{session}")) {
                said.insert("session".to_owned(), session.into());
            }
            let apart = tenant.is_none();
            if apart {
                said.insert("tenant".to_owned(), format!("story-{number}").into());
            }
            for _ in 0..step["times"].as_u64().unwrap_or(1) {
                let offset = i64::try_from(out.len()).expect("few events");
                let mut event = said.clone();
                let id = event.remove("id").filter(Value::is_string);
                let id = id.map_or(format!("e{offset}"), |id| format!("{number}:{id}"));
                event.insert("id".to_owned(), id.clone().into());
                let event = written(event, offset, i64::try_from(now).expect("a date"));
                let then = step["then"].as_str().filter(|_| plain).map(str::to_owned);
                out.push((Sent::new(&agent, event.to_string()), id, then));
            }
        }
    }
    out
}

/// The key of stories about values that turn up elsewhere.
const KEY: [u8; 32] = [7; 32];

/// What goes through one instance.
struct Told {
    name: String,
    file: Value,
    /// A story of its own, about values that must not be known from others.
    alone: bool,
}

/// All stories of a file together, or each by itself.
fn told(name: &str, file: Value) -> Vec<Told> {
    if !file["policy"].as_str().unwrap_or_default().contains("taint:") {
        return vec![Told { name: name.to_owned(), file, alone: false }];
    }
    let stories = file["stories"].as_array().expect("stories").clone();
    let one = |(number, mut story): (usize, Value)| {
        let mut file = file.clone();
        let own = story.as_object_mut().expect("a story").remove("policy");
        if let Some(policy) = own.filter(|policy| !policy.is_null()) {
            file["policy"] = policy;
        }
        file["stories"] = Value::Array(vec![story]);
        Told { name: format!("{name}-{number}"), file, alone: true }
    };
    stories.into_iter().enumerate().map(one).collect()
}

#[test]
fn every_story_gives_the_same_records_through_kafka() {
    let broker = Broker::shared();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(root)
        .expect("the stories")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let (mut files, mut alone_checked, mut checked) = (0, 0, 0);
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a story file");
        told(&name, serde_saphyr::from_str(&text).expect("YAML"))
    };
    for Told { name, file, alone } in paths.iter().flat_map(read) {
        // Rules of the file's own would need a pack of its own.
        if file["rules"].is_string() {
            continue;
        }
        let own = file["policy"].as_str().unwrap_or_default();
        let shipped = if own.contains("overrides:") { "" } else { Policy::SHIPPED };
        let policy_text = format!("{shipped}\n{own}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let policy = folder.path().join("policy.yml");
        std::fs::write(&policy, &policy_text).expect("the policy is written");
        let partitions = if alone { 1 } else { 3 };
        let mut site = Site::new(&broker, &format!("story-{name}"), partitions)
            .setting(&format!("policy: \"{}\"", policy.display()))
            .setting("behavior: { mode: \"off\" }");
        if alone {
            let key = folder.path().join("key");
            std::fs::write(&key, "07".repeat(32)).expect("the key is written");
            site = site.setting(&format!("keys: {{ fingerprint: \"file:{}\" }}", key.display()));
        }
        let packs = file["packs"] == true;
        if !packs {
            let rules = folder.path().join("none.yml");
            std::fs::write(&rules, NO_PACKS).expect("the rule is written");
            site = site.setting(&format!("patterns: [\"{}\"]", rules.display()));
        }
        let weir = site.start_ready();
        let events = events(&file);
        let sent: Vec<Sent> = events.iter().map(|(sent, ..)| sent.clone()).collect();
        records::send(&records::java_producer(&broker.address), &site.topic("events"), &sent);
        let verdicts = site.topic("verdicts");
        let mut follower = Follower::new(&broker.address, std::slice::from_ref(&verdicts));
        let came = follower.until(Duration::from_mins(2), |seen| seen.len() >= sent.len());
        assert!(
            came,
            "{name}: {} of {} verdicts; {}",
            follower.seen.len(),
            sent.len(),
            weir.log_text()
        );
        weir.terminate();
        let policy = Policy::read("policy.yml", &policy_text).expect("the policy");
        let mut oracle = Oracle::new(&site).with_policy(policy);
        if !packs {
            let path = "none.yml".to_owned();
            let rules = load(&[SourceFile { path, text: NO_PACKS.to_owned() }]).expect("a rule");
            let pack = follower.seen[0].json()["pack"].as_str().expect("a hash").to_owned();
            oracle = oracle.with_rules(rules, &pack);
        }
        if alone {
            oracle = oracle.with_shared(&site, KEY);
        }
        assert_same(&site, &oracle);
        // Ids that come again are told apart by the order in which they were sent.
        for (at, (_, id, then)) in events.iter().enumerate() {
            let Some(then) = then else { continue };
            let before = events.iter().take(at).filter(|(_, known, _)| known == id).count();
            let of_id = follower.of(&verdicts).map(records::Read::json);
            let verdict = of_id.filter(|verdict| verdict["event_id"] == *id).nth(before);
            let verdict = verdict.unwrap_or_else(|| panic!("{name}: no verdict of {id}"));
            assert_eq!(verdict["action"], *then, "{name}, {id}: {verdict:#}");
            checked += 1;
            alone_checked += usize::from(alone);
        }
        files += 1;
    }
    println!(
        "stories: {files} instances, {checked} verdicts as told, {alone_checked} about values"
    );
    assert!(files >= 20 && checked >= 100, "{files} instances, {checked} verdicts checked");
    assert!(alone_checked >= 30, "{alone_checked} verdicts about values that turn up elsewhere");
}
