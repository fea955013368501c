//! Two processes give what one sequential pure run gives.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::events::Traffic;
use crate::oracle;
use crate::process;
use crate::records::{self, Follower, Sent};
use crate::site::Site;

/// How many events; `WEIR_TEST_EVENTS` overrides it.
const EVENTS: usize = 100_000;

#[test]
fn two_processes_equal_a_sequential_run() {
    let count = std::env::var("WEIR_TEST_EVENTS")
        .map_or(EVENTS, |text| text.parse().expect("WEIR_TEST_EVENTS is a number"));
    let broker = Broker::shared();
    let site = Site::new(&broker, "equal", 12).lanes(2);
    let first = site.start_ready();
    let second = site.start_ready();

    let mut traffic = Traffic::new(7, "e", 60);
    let producer = records::java_producer(&broker.address);
    let started = Instant::now();
    let events = site.topic("events");
    for _ in 0..count / 1000 {
        let batch: Vec<Sent> = traffic
            .take(1000)
            .into_iter()
            .map(|event| Sent::new(&event.agent, event.json))
            .collect();
        records::send(&producer, &events, &batch);
    }
    let count = count / 1000 * 1000;

    let verdicts = site.topic("verdicts");
    let mut follower = Follower::new(&broker.address, std::slice::from_ref(&verdicts));
    let all = follower.until(Duration::from_mins(5), |seen| seen.len() >= count);
    let took = started.elapsed();
    assert!(all, "{} of {count} verdicts came", follower.count(&verdicts));
    println!(
        "{count} events of 60 agents through two processes in {:.1} s: {:.0} events/s",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64()
    );

    // Both had a share: otherwise this would prove nothing about two.
    for weir in [&first, &second] {
        assert!(weir.metric("weir_events_total", &[]) > 0.0, "one process had no partition");
    }
    first.terminate();
    second.terminate();
    oracle::assert_same_as_sequential(&site);
    assert_chains_verify(&site);
}

/// `weir audit verify` finds nothing wrong.
pub(crate) fn assert_chains_verify(site: &Site) {
    let config = site.config();
    let output =
        process::weir(&["audit", "verify", "-c", config.to_str().expect("a path in UTF-8")]);
    assert!(
        output.status.success(),
        "audit verify failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
