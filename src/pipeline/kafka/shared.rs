//! Reads the topic of what partitions share: all of it, then whatever comes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Plain;
use super::errors;
use super::reader::to_record;
use super::settings::{PATIENCE, Settings};
use crate::pipeline::log::{LogError, Topic};
use crate::pipeline::shared::{News, SharedLog};

/// Records of one look.
const RECORDS: usize = 10_000;
/// How long a look lasts that still finds records.
const LOOK: Duration = Duration::from_millis(100);

/// A reader of all partitions, in no group.
pub struct KafkaShared {
    consumer: BaseConsumer<Plain>,
    partitions: usize,
    /// Partitions of which the library has said that there is no more.
    ended: BTreeSet<i32>,
}

impl KafkaShared {
    pub(super) fn connect(settings: &Settings) -> Result<Self, LogError> {
        let consumer: BaseConsumer<Plain> = settings
            .reader("read_committed")
            .create_with_context(Plain)
            .map_err(|error| errors::made(&error))?;
        let name = settings.topic(Topic::Shared);
        let metadata =
            consumer.fetch_metadata(Some(name), PATIENCE).map_err(|error| errors::asked(&error))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions: Vec<i32> = topic
            .into_iter()
            .flat_map(MetadataTopic::partitions)
            .map(MetadataPartition::id)
            .collect();
        if partitions.is_empty() {
            return Err(LogError::Retry(format!("topic {name} is missing")));
        }
        let mut list = TopicPartitionList::new();
        for &partition in &partitions {
            list.add_partition_offset(name, partition, Offset::Beginning)
                .map_err(|error| errors::asked(&error))?;
        }
        consumer.assign(&list).map_err(|error| errors::asked(&error))?;
        Ok(Self { consumer, partitions: partitions.len(), ended: BTreeSet::new() })
    }
}

impl SharedLog for KafkaShared {
    fn refresh(&mut self, wait: Duration) -> Result<News, LogError> {
        let begun = Instant::now();
        let mut records = Vec::new();
        // The first record ends the waiting; a little longer, and more come in the same look.
        while records.len() < RECORDS {
            let left = if records.is_empty() { wait.max(LOOK) } else { LOOK };
            let left = left.saturating_sub(begun.elapsed());
            let timeout =
                if records.is_empty() { left } else { Duration::from_millis(5).min(left) };
            match self.consumer.poll(timeout) {
                Some(Ok(message)) => {
                    self.ended.remove(&message.partition());
                    records.push(to_record(&message));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ended.insert(partition);
                }
                Some(Err(error)) => tracing::debug!(target: "kafka", %error, "shared reader"),
                None => break,
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(News { records, caught_up: self.ended.len() == self.partitions })
    }
}
