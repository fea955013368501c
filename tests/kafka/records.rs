//! Writing to and reading from topics, as a front end and a subscriber would.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A record to be written to the events topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// `None` leaves the choice to the partitioner.
    pub(crate) partition: Option<i32>,
}

impl Sent {
    pub(crate) fn new(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), value: Some(value.into()), ..Self::default() }
    }

    pub(crate) fn at(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Read {
    /// The value as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let value = self.value.as_deref().unwrap_or_default();
        serde_json::from_slice(value).unwrap_or_else(|error| {
            panic!("{} {}/{} is no JSON: {error}", self.topic, self.partition, self.offset)
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// A producer with the partitioner that Java clients have.
pub(crate) fn java_producer(address: &str) -> BaseProducer {
    producer(address, "murmur2_random")
}

/// A producer with the partitioner that librdkafka has when nobody sets one.
pub(crate) fn crc32_producer(address: &str) -> BaseProducer {
    producer(address, "consistent_random")
}

fn producer(address: &str, partitioner: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("partitioner", partitioner)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .set("message.max.bytes", "200000000")
        .set("queue.buffering.max.kbytes", "1000000")
        .create()
        .expect("a producer")
}

/// Writes records in order and returns when the broker has them all.
pub(crate) fn send(producer: &BaseProducer, topic: &str, records: &[Sent]) {
    for record in records {
        enqueue(producer, topic, record);
    }
    producer.flush(Duration::from_mins(1)).expect("all records reach the broker");
}

/// Hands one record to the client library.
pub(crate) fn enqueue(producer: &BaseProducer, topic: &str, record: &Sent) {
    loop {
        let mut out = BaseRecord::<[u8], [u8]>::to(topic);
        if let Some(key) = &record.key {
            out = out.key(key);
        }
        if let Some(value) = &record.value {
            out = out.payload(value);
        }
        if let Some(partition) = record.partition {
            out = out.partition(partition);
        }
        if !record.headers.is_empty() {
            let headers = record.headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: Some(value) })
            });
            out = out.headers(headers);
        }
        match producer.send(out) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => panic!("a record was refused: {error}"),
        }
    }
    producer.poll(Duration::ZERO);
}

/// Follows topics from their beginning and sees only what was committed.
pub(crate) struct Follower {
    consumer: BaseConsumer,
    pub(crate) seen: Vec<Read>,
}

impl Follower {
    pub(crate) fn new(address: &str, topics: &[String]) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("group.id", "not-used-for-commits")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.queue.backoff.ms", "10")
            .set("receive.message.max.bytes", "300000000")
            .create()
            .expect("a consumer");
        let mut all = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..partitions(&consumer, topic) {
                all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
            }
        }
        consumer.assign(&all).expect("an assignment");
        Self { consumer, seen: Vec::new() }
    }

    /// Reads until what was seen satisfies `enough` or time is up; says which.
    pub(crate) fn until(&mut self, within: Duration, enough: impl Fn(&[Read]) -> bool) -> bool {
        let deadline = Instant::now() + within;
        loop {
            if enough(&self.seen) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            self.poll();
        }
    }

    /// Reads on until nothing came for `quiet`.
    pub(crate) fn settle(&mut self, quiet: Duration) {
        let mut last = Instant::now();
        while last.elapsed() < quiet {
            if self.poll() {
                last = Instant::now();
            }
        }
    }

    /// How many records of a topic were seen.
    pub(crate) fn count(&self, topic: &str) -> usize {
        self.of(topic).count()
    }

    /// The records of a topic.
    pub(crate) fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Read> {
        self.seen.iter().filter(move |record| record.topic == topic)
    }

    /// Takes what is there; whether anything was.
    fn poll(&mut self) -> bool {
        match self.consumer.poll(Duration::from_millis(20)) {
            // A broker that restarts is part of some tests; a lasting failure shows as a time-out.
            None | Some(Err(_)) => false,
            Some(Ok(message)) => {
                self.seen.push(Read {
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp: message.timestamp().to_millis().unwrap_or(-1),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message
                        .headers()
                        .map(|headers| {
                            headers
                                .iter()
                                .map(|header| {
                                    let value = header.value.unwrap_or_default();
                                    (header.key.to_owned(), value.to_vec())
                                })
                                .collect()
                        })
                        .unwrap_or_default(),
                });
                true
            }
        }
    }
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    // A topic that was just made is not known to the whole cluster at once.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let metadata =
            consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
        let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        if count > 0 {
            return i32::try_from(count).expect("a small number");
        }
        assert!(Instant::now() < deadline, "topic {topic} has no partition");
        std::thread::sleep(Duration::from_millis(100));
    }
}
