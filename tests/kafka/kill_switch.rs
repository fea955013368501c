//! The kill switch: within a second, everywhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::broker::Broker;
use crate::process;
use crate::records::{self, Follower, Read, Sent};
use crate::site::Site;

#[test]
fn nothing_is_allowed_a_second_after_a_kill() {
    let broker = Broker::shared();
    let site = Site::new(&broker, "kill", 6);
    let (first, second) = (site.start_ready(), site.start_ready());
    let config = site.config();
    let config = config.to_str().expect("a path in UTF-8");
    let names = ["events", "verdicts", "control"].map(|name| site.topic(name));
    let producer = records::java_producer(&broker.address);
    let mut sent = 0;
    let mut write = |time: Duration| {
        let began = Instant::now();
        while began.elapsed() < time {
            let batch: Vec<Sent> = (0..24)
                .map(|agent| {
                    sent += 1;
                    // Dated now: an agent that backdates often is told of, which is no "allow".
                    let ts = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
                    let ts = u64::try_from(ts.as_millis()).expect("a date");
                    let event = serde_json::json!({
                        "v": 1, "id": format!("k{sent}"), "ts": ts, "kind": "tool_call",
                        "agent": {"id": format!("agent-{agent}")},
                        "tool": {"name": "search", "params": {"q": "weather in Oslo"}},
                    });
                    Sent::new(&format!("agent-{agent}"), event.to_string())
                })
                .collect();
            records::send(&producer, &names[0], &batch);
            std::thread::sleep(Duration::from_millis(20));
        }
        sent
    };
    write(Duration::from_secs(1));
    let order = |words: &[&str]| {
        let output = process::weir(&[words, &["-c", config]].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    order(&["control", "kill", "--all", "--reason", "drill"]);
    write(Duration::from_secs(3));
    order(&["control", "resume", "--all", "--reason", "drill"]);
    let total = write(Duration::from_secs(3));

    let mut follower = Follower::new(&broker.address, &names);
    let verdicts = |seen: &[Read]| seen.iter().filter(|read| read.topic == names[1]).count();
    let orders = |seen: &[Read]| seen.iter().filter(|read| read.topic == names[2]).count();
    let all =
        follower.until(Duration::from_mins(1), |seen| verdicts(seen) >= total && orders(seen) >= 2);
    assert!(all, "{} of {total} verdicts came", verdicts(&follower.seen));
    let decided: BTreeMap<(i32, i64), String> = follower.of(&names[1]).map(decided_by).collect();
    let orders: Vec<i64> = follower.of(&names[2]).map(|read| read.timestamp).collect();
    let [killed, resumed] = orders[..] else { panic!("two orders were given: {orders:?}") };
    let (mut blocked, mut before, mut after) = (0, 0, 0);
    let mut slowest = 0;
    for event in follower.of(&names[0]) {
        let action = &decided[&(event.partition, event.offset)];
        if event.timestamp < killed {
            before += usize::from(action == "allow");
        } else if event.timestamp < resumed {
            if action == "block" {
                blocked += 1;
            } else {
                slowest = slowest.max(event.timestamp - killed);
            }
        } else if event.timestamp > resumed + 1000 {
            after += usize::from(action == "allow");
        }
    }
    println!(
        "kill switch: the last event allowed after the order was appended {slowest} ms after it"
    );
    assert!(slowest <= 1000, "an event appended {slowest} ms after the kill was allowed");
    assert!(before > 0, "events were allowed before the kill");
    assert!(blocked > 0, "events were blocked by it");
    assert!(after > 0, "events are allowed after the resume");
    first.terminate();
    second.terminate();
}

/// Which event a verdict is about, and its action.
fn decided_by(verdict: &Read) -> ((i32, i64), String) {
    let json = verdict.json();
    let number = |name: &str| json["at"][name].as_i64().expect("a number");
    let partition = i32::try_from(number("partition")).expect("a partition number");
    ((partition, number("offset")), json["action"].as_str().expect("an action").to_owned())
}
