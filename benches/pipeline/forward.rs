//! The bare forward: the same client and transactions as Weir, copies of Weir's outputs, no work between.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use weir::pipeline::lane::Settings;

use crate::records::Follower;
use crate::site::Site;

/// Topics that an event may cause records in.
const TOPICS: [&str; 5] = ["verdicts", "clean", "audit", "alerts", "state"];
/// Samples kept of each topic.
const SAMPLES: usize = 2000;

/// How many records, and which, an event causes in a topic.
#[derive(Clone)]
struct Output {
    topic: &'static str,
    /// Records an event.
    records: f64,
    samples: Arc<Vec<(Vec<u8>, Vec<u8>)>>,
}

/// What Weir was seen to write for an event.
#[derive(Clone)]
pub(crate) struct Shape(Vec<Output>);

impl Shape {
    /// Reads what is in the topics of a drained site.
    pub(crate) fn of(site: &Site, events: usize) -> Self {
        Self(
            TOPICS
                .iter()
                .map(|topic| {
                    let mut follower = Follower::new(&site.broker.address, &[site.topic(topic)]);
                    follower.settle(Duration::from_secs(2));
                    let step = (follower.seen.len() / SAMPLES).max(1);
                    let samples = follower
                        .seen
                        .iter()
                        .step_by(step)
                        .map(|read| {
                            (
                                read.key.clone().unwrap_or_default(),
                                read.value.clone().unwrap_or_default(),
                            )
                        })
                        .collect();
                    Output {
                        topic,
                        records: follower.seen.len() as f64 / events as f64,
                        samples: Arc::new(samples),
                    }
                })
                .collect(),
        )
    }

    /// Some of the topics.
    pub(crate) fn only(&self, topics: &[&str]) -> Self {
        Self(self.0.iter().filter(|output| topics.contains(&output.topic)).cloned().collect())
    }

    /// Records an event.
    pub(crate) fn records(&self, topic: &str) -> f64 {
        self.find(topic).map_or(0.0, |output| output.records)
    }

    /// Bytes of keys and values an event.
    pub(crate) fn bytes(&self, topic: &str) -> f64 {
        self.find(topic).map_or(0.0, |output| {
            let bytes: usize =
                output.samples.iter().map(|(key, value)| key.len() + value.len()).sum();
            bytes as f64 / output.samples.len().max(1) as f64 * output.records
        })
    }

    fn find(&self, topic: &str) -> Option<&Output> {
        self.0.iter().find(|output| output.topic == topic)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for topic in TOPICS {
            writeln!(
                f,
                "  {topic:<9} {:>6.3} records {:>6.0} bytes",
                self.records(topic),
                self.bytes(topic)
            )?;
        }
        Ok(())
    }
}

/// Running lanes.
pub(crate) struct Forward {
    ended: Arc<AtomicBool>,
    lanes: Vec<JoinHandle<()>>,
}

impl Forward {
    pub(crate) fn start(site: &Site, shape: &Shape, lanes: usize) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let lanes = (0..lanes)
            .map(|number| {
                let lane = Lane::new(site, shape, number);
                let ended = Arc::clone(&ended);
                std::thread::spawn(move || lane.run(&ended))
            })
            .collect();
        Self { ended, lanes }
    }

    pub(crate) fn stop(self) {
        self.ended.store(true, Ordering::SeqCst);
        for lane in self.lanes {
            lane.join().expect("a lane ends in order");
        }
    }
}

struct Lane {
    consumer: BaseConsumer,
    producer: BaseProducer,
    /// Output, its full topic name, what it owes, the next sample.
    outputs: Vec<(Output, String, f64, usize)>,
}

impl Lane {
    fn new(site: &Site, shape: &Shape, number: usize) -> Self {
        let (consumer, producer) = clients(site, number);
        producer.init_transactions(Duration::from_secs(30)).expect("transactions");
        consumer.subscribe(&[&site.topic("events")]).expect("a subscription");
        let outputs = shape
            .0
            .iter()
            .map(|output| (output.clone(), site.topic(output.topic), 0.0, 0))
            .collect();
        Self { consumer, producer, outputs }
    }

    fn run(mut self, ended: &AtomicBool) {
        let settings = Settings::default();
        while !ended.load(Ordering::SeqCst) {
            // As a Weir lane: gather until the queue is drained or a limit is reached, then one transaction.
            let consumer = &self.consumer;
            let Some(first) = consumer.poll(settings.poll_wait) else { continue };
            let mut batch = vec![first.expect("a record")];
            let began = Instant::now();
            let mut bytes = 0;
            while batch.len() < settings.batch_records
                && bytes < settings.batch_bytes
                && began.elapsed().as_millis() < settings.batch_ms as u128
            {
                let Some(record) = consumer.poll(Duration::ZERO) else { break };
                let record = record.expect("a record");
                bytes += record.payload_len();
                batch.push(record);
            }
            self.producer.begin_transaction().expect("a transaction");
            let mut next = BTreeMap::new();
            for message in &batch {
                next.insert(message.partition(), message.offset() + 1);
                write(&self.producer, &mut self.outputs, message);
            }
            commit(&self.producer, &self.consumer, batch[0].topic(), &next);
        }
    }
}

/// The records that one event causes, to its partition, with its headers.
fn write(
    producer: &BaseProducer,
    outputs: &mut [(Output, String, f64, usize)],
    message: &BorrowedMessage<'_>,
) {
    let headers =
        message.headers().map_or_else(OwnedHeaders::new, rdkafka::message::BorrowedHeaders::detach);
    let event = message.payload().unwrap_or_default();
    for (output, topic, owed, sample) in outputs {
        *owed += output.records;
        while *owed >= 1.0 {
            *owed -= 1.0;
            let (key, value) = &output.samples[*sample % output.samples.len()];
            *sample += 1;
            let value = if output.topic == "clean" { event } else { value };
            let mut record = BaseRecord::to(topic)
                .partition(message.partition())
                .key(key)
                .payload(value)
                .headers(headers.clone());
            while let Err((error, again)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(error, full, "a record was refused");
                producer.poll(Duration::ZERO);
                std::thread::sleep(Duration::from_micros(200));
                record = again;
            }
        }
    }
    producer.poll(Duration::ZERO);
}

fn commit(
    producer: &BaseProducer,
    consumer: &BaseConsumer,
    topic: &str,
    next: &BTreeMap<i32, i64>,
) {
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in next {
        offsets
            .add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .expect("an offset");
    }
    // `flush` waits in steps of 100 ms, and a poll with a time-out spins; as Weir's lane does it.
    producer.poll(Duration::ZERO);
    while producer.in_flight_count() > 0 {
        std::thread::sleep(Duration::from_micros(200));
        producer.poll(Duration::ZERO);
    }
    let group = consumer.group_metadata().expect("a member of the group");
    let wait = Duration::from_secs(10);
    producer.send_offsets_to_transaction(&offsets, &group, wait).expect("offsets");
    producer.commit_transaction(wait).expect("a commit");
}

/// Consumer and producer with the settings that Weir's lanes have.
fn clients(site: &Site, number: usize) -> (BaseConsumer, BaseProducer) {
    let mut consumer = site.broker.client();
    consumer
        .set("group.id", &site.prefix)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("socket.nagle.disable", "true")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "50")
        .set("queued.min.messages", "10000")
        .set("statistics.interval.ms", "1000");
    let mut producer = site.broker.client();
    producer
        .set("transactional.id", format!("{}-{number}", site.prefix))
        .set("transaction.timeout.ms", "10000")
        .set("socket.nagle.disable", "true")
        .set("linger.ms", "1")
        .set("compression.codec", "lz4")
        .set("queue.buffering.max.messages", "1000000");
    (consumer.create().expect("a consumer"), producer.create().expect("a producer"))
}
