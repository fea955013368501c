//! What partitions tell each other through the broker: a leak over two partitions and two
//! processes, one of which dies, and every record the same as in a run that is given the
//! entries that audit names.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weir::inspect::partition_of;
use weir::patterns::generate::expand;
use weir::policy::Policy;

use crate::broker::Broker;
use crate::oracle::{Oracle, assert_same};
use crate::records::{self, Follower, Sent};
use crate::site::Site;

const PARTITIONS: i32 = 3;
const KEY: [u8; 32] = [9; 32];

/// An agent of a tenant whose records are on this partition.
fn agent(tenant: &str, partition: i32) -> String {
    let names = (0..).map(|n| format!("{tenant}-{n}"));
    let there = |name: &String| partition_of(name, PARTITIONS.unsigned_abs()) == partition;
    names.into_iter().find(there).expect("one of many names")
}

/// A token of a known form, made so that none lies in the tree.
fn token(seed: u64) -> String {
    expand("ghp_{{base62:30}}{{crc32_base62}}", seed).expect("a template")
}

fn sent(id: &str, tenant: &str, agent: &str, event: Value) -> Sent {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    let now = u64::try_from(now).expect("a date");
    let mut all = json!({"v": 1, "id": id, "ts": now, "tenant": tenant,
        "agent": {"id": agent}, "session": format!("s-{id}")});
    let Value::Object(event) = event else { panic!("an object") };
    all.as_object_mut().expect("an object").extend(event);
    Sent::new(agent, all.to_string())
}

#[test]
fn a_leak_over_two_partitions_is_found_and_can_be_decided_again() {
    let broker = Broker::shared();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let policy = format!("{}\ntaint: {{ of: [secrets, pii, text] }}\n", Policy::SHIPPED);
    std::fs::write(path("policy.yml"), &policy).expect("the policy is written");
    std::fs::write(path("key"), "09".repeat(32)).expect("the key is written");
    let site = Site::new(&broker, "shared", PARTITIONS)
        .setting(&format!("policy: \"{}\"", path("policy.yml").display()))
        .setting(&format!("keys: {{ fingerprint: \"file:{}\" }}", path("key").display()))
        .setting("behavior: { mode: \"off\" }");
    let (first, second) = (site.start_ready(), site.start_ready());
    let producer = records::java_producer(&broker.address);
    let (events, verdicts, shared) =
        (site.topic("events"), site.topic("verdicts"), site.topic("shared"));
    let mut follower = Follower::new(&broker.address, &[verdicts.clone(), shared.clone()]);
    let (owner, other) = (agent("acme", 0), agent("bolt", 1));
    let mut count = 0;
    // A value is told on one partition, and turns up on another until somebody notices.
    let mut leak = |round: usize, secret: &str, follower: &mut Follower| {
        let told = follower.of(&shared).count();
        let held = json!({"kind": "tool_result", "tool": {"name": "vault", "result": secret}});
        records::send(&producer, &events, &[sent(&format!("v{round}"), "acme", &owner, held)]);
        let came = follower.until(Duration::from_mins(1), |seen| {
            seen.iter().filter(|read| read.topic == shared).count() > told
        });
        assert!(came, "the value was never told: {}", first.log_text());
        let since = Instant::now();
        loop {
            count += 1;
            let id = format!("o{count}");
            let said = json!({"kind": "output", "text": format!("Use {secret} to log in.")});
            records::send(&producer, &events, &[sent(&id, "bolt", &other, said)]);
            let of_id = |seen: &[records::Read]| {
                let of = |read: &&records::Read| read.topic == verdicts;
                seen.iter().filter(of).map(records::Read::json).find(|v| v["event_id"] == *id)
            };
            let came = follower.until(Duration::from_mins(1), |seen| of_id(seen).is_some());
            assert!(came, "no verdict of {id}");
            let verdict = of_id(&follower.seen).expect("it came");
            let reasons = verdict["reasons"].as_array().expect("reasons");
            if let Some(why) = reasons.iter().find(|why| why["family"] == "flow") {
                assert_eq!(why["rule"], "flow.cross_tenant.secrets");
                assert_eq!(why["scope"], "shared");
                assert_eq!(why["entry"]["partition"], 0);
                assert_eq!(verdict["action"], "block");
                return since.elapsed();
            }
            assert!(since.elapsed() < Duration::from_secs(30), "nobody noticed");
        }
    };
    let took = leak(1, &token(1), &mut follower);
    println!("shared: an entry is known elsewhere {} ms after it was read here", took.as_millis());
    assert!(took < Duration::from_secs(5), "{took:?}");
    // The heir of a dead process knows what it had told, and what others have.
    second.kill();
    leak(2, &token(2), &mut follower);
    first.terminate();
    let policy = Policy::read("policy.yml", &policy).expect("the policy");
    let oracle = Oracle::new(&site).with_policy(policy).with_shared(&site, KEY);
    assert!(oracle.looked() >= 2, "{} decisions looked at shared entries", oracle.looked());
    assert_same(&site, &oracle);
}
