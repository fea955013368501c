//! Agents on the wrong partition are noticed, and those on the right one are not.

use std::time::Duration;

use rdkafka::producer::BaseProducer;

use crate::broker::Broker;
use crate::events::Traffic;
use crate::records::{self, Follower, Read, Sent};
use crate::site::Site;

const COUNTER: &str = "weir_misrouted_total";

#[test]
fn a_java_partitioned_producer_raises_nothing() {
    let (misrouted, alerts) = route("java", records::java_producer);
    assert!(misrouted.abs() < 0.5, "{misrouted} events were counted as misrouted");
    assert_eq!(system(&alerts), 0, "{alerts:?}");
}

#[test]
fn a_crc32_partitioned_producer_is_told_apart() {
    let (misrouted, alerts) = route("crc32", records::crc32_producer);
    assert!(misrouted > 50.0, "{misrouted} events were counted as misrouted");
    assert!(system(&alerts) >= 1, "there is an alert that says so: {alerts:?}");
    // One for each partition at most: an alert, not a flood.
    assert!(system(&alerts) <= 6, "{} alerts", system(&alerts));
    let named = alerts.iter().any(|alert| alert.contains("murmur2_random"));
    assert!(named, "it names the setting that mends it: {alerts:?}");
}

/// Writes harmless events of many agents; gives back the counter and the alerts.
fn route(name: &str, producer: fn(&str) -> BaseProducer) -> (f64, Vec<String>) {
    let broker = Broker::shared();
    let site = Site::new(&broker, name, 6);
    let weir = site.start_ready();
    let producer = producer(&broker.address);
    let mut traffic = Traffic::new(17, "r", 50);
    let batch: Vec<Sent> =
        traffic.take(300).into_iter().map(|event| Sent::new(&event.agent, event.json)).collect();
    records::send(&producer, &site.topic("events"), &batch);
    let (verdicts, alerts) = (site.topic("verdicts"), site.topic("alerts"));
    let mut follower = Follower::new(&broker.address, &[verdicts.clone(), alerts.clone()]);
    let all = follower.until(Duration::from_mins(1), |seen| {
        seen.iter().filter(|read| read.topic == verdicts).count() >= 300
    });
    assert!(all, "{} of 300 verdicts came", follower.count(&verdicts));
    follower.settle(Duration::from_millis(500));
    let misrouted = weir.metric(COUNTER, &[]);
    let alerts = follower.of(&alerts).map(Read::json).map(|json| json.to_string()).collect();
    weir.terminate();
    (misrouted, alerts)
}

fn system(alerts: &[String]) -> usize {
    alerts.iter().filter(|alert| alert.contains("\"family\":\"system\"")).count()
}
