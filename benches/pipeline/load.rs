//! The load: a backlog to be drained, or a steady open stream, and the clock beside it.

use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers as _, Message};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};

use crate::events::Traffic;
use crate::records::{self, Sent};
use crate::site::Site;

/// Header with the instant at which the event was due, nanoseconds since the run began.
const DUE: &str = "bench-due";

/// Part of the offered load that only warms up: a group that has just formed and a broker that
/// has just seen new topics take some seconds to empty what was queued meanwhile.
const WARM_UP: f64 = 0.4;

/// Texts that make the whole event about 1 KB.
const PAD: usize = 760;

/// Writes events of 1 KB; gives back their bytes.
pub(crate) fn fill(site: &Site, count: usize) -> usize {
    let producer = records::java_producer(&site.broker.address);
    let mut traffic = traffic();
    let topic = site.topic("events");
    let mut bytes = 0;
    for event in traffic.take(count) {
        bytes += event.json.len();
        records::enqueue(&producer, &topic, &Sent::new(&event.agent, event.json));
    }
    producer.flush(Duration::from_mins(2)).expect("the backlog reaches the broker");
    bytes
}

fn traffic() -> Traffic {
    let mut traffic = Traffic::new(42, "b", 60);
    traffic.pad = PAD;
    traffic
}

/// Watches the group's committed offsets until everything is done: events a second between a tenth and nine tenths.
pub(crate) fn rate(site: &Site, count: usize) -> f64 {
    let consumer: BaseConsumer = site
        .broker
        .client()
        .set("group.id", &site.prefix)
        .create()
        .expect("a client that only asks for offsets");
    let mut all = TopicPartitionList::new();
    for partition in 0..site.partitions {
        all.add_partition(&site.topic("events"), partition);
    }
    let began = Instant::now();
    let mut points: Vec<(f64, f64)> = Vec::new();
    loop {
        let committed = consumer
            .committed_offsets(all.clone(), Duration::from_secs(10))
            .map(|list| {
                list.elements()
                    .iter()
                    .map(|element| match element.offset() {
                        Offset::Offset(offset) => offset,
                        _ => 0,
                    })
                    .sum::<i64>()
            })
            .unwrap_or_default();
        points.push((began.elapsed().as_secs_f64(), committed as f64));
        if committed >= count as i64 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_mins(5),
            "{committed} of {count} events were done in five minutes"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let at = |share: f64| {
        let wanted = share * count as f64;
        *points.iter().find(|(_, done)| *done >= wanted).expect("everything was done")
    };
    let (from, to) = (at(0.1), at(0.9));
    (to.1 - from.1) / (to.0 - from.0)
}

/// Percentiles in milliseconds, and the median of each second.
pub(crate) struct Latency {
    all: Histogram<u64>,
    seconds: Vec<Histogram<u64>>,
}

impl Latency {
    pub(crate) fn percentile(&self, percentile: f64) -> f64 {
        self.all.value_at_percentile(percentile) as f64 / 1000.0
    }

    /// The median of each second, which tells a steady state from a queue that grows or empties.
    pub(crate) fn by_second(&self) -> String {
        let median = |second: &Histogram<u64>| second.value_at_percentile(50.0) as f64 / 1000.0;
        self.seconds
            .iter()
            .map(|second| format!("{:.0}", median(second)))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn empty() -> Self {
        let all = Histogram::new(3).expect("three digits");
        Self { all, seconds: Vec::new() }
    }

    fn record(&mut self, due: Duration, took: Duration) {
        let micros = (took.as_micros() as u64).max(1);
        let second = due.as_secs() as usize;
        while self.seconds.len() <= second {
            self.seconds.push(Histogram::new(3).expect("three digits"));
        }
        for histogram in [&mut self.all, &mut self.seconds[second]] {
            histogram.record(micros).expect("the histogram grows by itself");
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for percentile in [50.0, 90.0, 99.0, 99.9, 100.0] {
            write!(f, "{:>8.1} ", self.percentile(percentile))?;
        }
        write!(f, " ({} verdicts)", self.all.len())
    }
}

/// Sends at a steady rate whatever comes back, and times each verdict from the instant its event was due.
pub(crate) fn offer(site: &Site, rate: f64, time: Duration) -> Latency {
    let total = (rate * time.as_secs_f64()) as usize;
    // Made before the clock starts: making events costs more than sending them.
    let events = traffic().take(total);
    let began = Instant::now();
    let reader = std::thread::spawn({
        let consumer: BaseConsumer = site
            .broker
            .client()
            .set("group.id", "not-used-for-commits")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "10")
            .set("fetch.queue.backoff.ms", "10")
            .create()
            .expect("a consumer");
        let mut all = TopicPartitionList::new();
        for partition in 0..site.partitions {
            all.add_partition_offset(&site.topic("verdicts"), partition, Offset::Beginning)
                .expect("an offset");
        }
        consumer.assign(&all).expect("an assignment");
        let limit = time + Duration::from_secs(30);
        let warm = time.mul_f64(WARM_UP);
        move || read(&consumer, began, total, warm, limit)
    });

    let producer = records::java_producer(&site.broker.address);
    let topic = site.topic("events");
    for (number, event) in events.into_iter().enumerate() {
        let due = Duration::from_secs_f64(number as f64 / rate);
        let early = due.saturating_sub(began.elapsed());
        if early > Duration::from_micros(500) {
            std::thread::sleep(early);
        }
        let mut record = Sent::new(&event.agent, event.json);
        record.headers.push((DUE.to_owned(), (due.as_nanos() as u64).to_be_bytes().to_vec()));
        records::enqueue(&producer, &topic, &record);
    }
    producer.flush(Duration::from_mins(1)).expect("all events reach the broker");
    let (latency, seen) = reader.join().expect("the reader ends");
    assert_eq!(seen, total, "verdicts for all events came");
    latency
}

fn read(
    consumer: &BaseConsumer,
    began: Instant,
    total: usize,
    warm: Duration,
    limit: Duration,
) -> (Latency, usize) {
    let mut latency = Latency::empty();
    let mut seen = 0;
    while seen < total && began.elapsed() < limit {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else { continue };
        let now = began.elapsed();
        seen += 1;
        let due = message
            .headers()
            .and_then(|headers| headers.iter().find(|header| header.key == DUE)?.value)
            .and_then(|value| value.try_into().ok())
            .map(|bytes| Duration::from_nanos(u64::from_be_bytes(bytes)))
            .expect("headers are copied to every output");
        if due >= warm {
            latency.record(due.saturating_sub(warm), now.saturating_sub(due));
        }
    }
    (latency, seen)
}
