//! Agents on the wrong partition are noticed, and those on the right one are not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::producer::BaseProducer;
use weir::inspect::partition_of;

use crate::broker::Broker;
use crate::events::Traffic;
use crate::exactly_once::assert_chains_verify;
use crate::oracle;
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

/// Any partitioner will do, a process may die in the midst of it: each event is put on its
/// agent's partition once, in the order of the partition that it came from, and what lanes make
/// of that is what a sequential run makes of it.
#[test]
fn repartition_puts_every_event_on_its_agents_partition_once() {
    const COUNT: usize = 6_000;
    let broker = Broker::shared();
    let site = Site::new(&broker, "rekey", 6).rekeyed();
    let doomed = site.start_ready();
    let other = site.start_ready();
    let producer = records::crc32_producer(&broker.address);
    let mut traffic = Traffic::new(23, "r", 50);
    let sent = traffic.take(COUNT);
    let (events, keyed, verdicts) =
        (site.topic("events"), site.lanes_topic(), site.topic("verdicts"));
    let mut follower = Follower::new(&broker.address, &[keyed.clone(), verdicts.clone()]);
    let mut doomed = Some(doomed);
    for (at, batch) in sent.chunks(500).enumerate() {
        let batch: Vec<Sent> =
            batch.iter().map(|event| Sent::new(&event.agent, event.json.clone())).collect();
        records::send(&producer, &events, &batch);
        if at == COUNT / 1000 {
            doomed.take().expect("it is killed once").kill();
        }
    }
    // One of which no agent can be made out keeps its number.
    records::send(&producer, &events, &[Sent::new("nobody", "no event").at(4)]);
    let third = site.start_ready();
    let all = follower.until(Duration::from_mins(2), |seen| {
        seen.iter().filter(|read| read.topic == verdicts).count() > COUNT
    });
    assert!(all, "{} of {} verdicts came", follower.count(&verdicts), COUNT + 1);
    let mut ids = BTreeSet::new();
    let mut last: BTreeMap<String, (i32, i64)> = BTreeMap::new();
    let mut moved = 0;
    for read in follower.of(&keyed) {
        let place = read.header("weir.rekey.from").expect("where it came from");
        let (partition, offset) = place.split_once('/').expect("partition and offset");
        let place: (i32, i64) =
            (partition.parse().expect("a number"), offset.parse().expect("a number"));
        if read.value.as_deref() == Some(b"no event") {
            assert_eq!((read.partition, place.0), (4, 4));
            continue;
        }
        let json = read.json();
        let agent = json["agent"]["id"].as_str().expect("an agent").to_owned();
        assert_eq!(read.partition, partition_of(&agent, 6), "{agent}");
        assert_eq!(read.key.as_deref(), Some(agent.as_bytes()));
        assert!(ids.insert(json["id"].as_str().expect("an id").to_owned()), "{json} came twice");
        assert!(last.insert(agent.clone(), place).is_none_or(|last| last < place), "{agent}");
        moved += usize::from(read.partition != place.0);
    }
    assert_eq!(ids.len(), COUNT);
    assert!(moved > COUNT / 2, "only {moved} events were not where they belong");
    // Whoever goes on has moved some, and nothing is misrouted any more.
    assert!(other.metric("weir_rekeyed_moved_total", &[]) > 0.5);
    for weir in [other, third] {
        assert!(weir.metric(COUNTER, &[]).abs() < 0.5, "an event is still misrouted");
        weir.terminate();
    }
    oracle::assert_same_as_sequential(&site);
    assert_chains_verify(&site);
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
