//! Behaviour through crashes and rebalances: the same records, and the same state byte for byte.
//!
//! A broker's clock cannot be turned, so these agents are young: their profiles fill, and what
//! weeks of them would have to say is shown in memory.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::broker::Broker;
use crate::oracle::{self, Oracle};
use crate::process::Weir;
use crate::records::{self, Follower, Sent};
use crate::site::Site;

const AGENTS: usize = 12;
const CALLS: usize = 240;

/// The calls of a round, of all agents in turn.
fn round(number: usize) -> Vec<Sent> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    let mut out = Vec::new();
    for call in 0..CALLS {
        for agent in 0..AGENTS {
            let name = format!("bot{agent}");
            let failed = if call % 3 == 0 { r#","error":"upstream failed""# } else { "" };
            let (kind, tool) = if call % 2 == 0 {
                ("tool_call", r#""params":{"q":"orders"}"#.to_owned())
            } else {
                ("tool_result", format!(r#""result":"none","bytes":{}{failed}"#, 100 * call))
            };
            let event = format!(
                r#"{{"v":1,"id":"{round}-{call}-{agent}","ts":{now},"kind":"{kind}","agent":{{"id":"{name}","type":"support"}},"session":"s{agent}","deployment":{{"id":"d1"}},"model":"m","tool":{{"name":"search",{tool}}},"usage":{{"tokens_in":{tokens},"tokens_out":9}}}}"#,
                round = number,
                tokens = 100 + call,
            );
            out.push(Sent::new(&name, event));
        }
    }
    out
}

#[test]
fn what_is_remembered_is_the_same_after_crashes_and_rebalances() {
    let broker = Broker::shared();
    let site = Site::new(&broker, "behavior", 2)
        .property("session.timeout.ms", "6000")
        .property("heartbeat.interval.ms", "500");
    let producer = records::java_producer(&broker.address);
    let write = |number: usize| {
        let batch = round(number);
        records::send(&producer, &site.topic("events"), &batch);
        batch.len()
    };
    let verdicts = site.topic("verdicts");
    let mut follower = Follower::new(&broker.address, std::slice::from_ref(&verdicts));
    let mut sent = 0;
    let mut crew = vec![site.start_ready()];
    for number in 0..4 {
        sent += write(number);
        // In the middle of the round: a crash, another instance, one fewer.
        let part = sent - AGENTS * CALLS / 2;
        assert!(
            follower.until(Duration::from_mins(2), |seen| seen.len() >= part),
            "round {number}"
        );
        match number {
            0 => {
                crew.remove(0).kill();
                crew.push(site.start());
            }
            1 => crew.push(site.start()),
            2 => crew.remove(0).terminate(),
            _ => {}
        }
    }
    let all = follower.until(Duration::from_mins(2), |seen| seen.len() >= sent);
    assert!(all, "{} of {sent} verdicts came", follower.seen.len());
    crew.into_iter().for_each(Weir::terminate);

    oracle::assert_same_as_sequential(&site);
    oracle::assert_same_state(&site, &Oracle::new(&site));
}
