//! Reads the control topic: everything from its beginning, then whatever comes.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::context::Group;
use super::errors;
use super::reader::to_record;
use super::settings::Settings;
use crate::pipeline::control::{ControlLog, Refreshed};
use crate::pipeline::log::{LogError, Topic};

/// How long the broker may take to tell the end; orders go stale while it does not.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reader of the control topic, in no group.
pub struct KafkaControl {
    consumer: BaseConsumer<Group>,
    topic: String,
    next: i64,
    /// An end that was reached although the last record lies before it: what stands between
    /// them are ends of transactions, or records that compaction took. The library's
    /// statistics say so; its notice of a partition's end does not say which end it means.
    settled: i64,
}

impl KafkaControl {
    pub(super) fn connect(settings: &Settings) -> Result<Self, LogError> {
        let consumer: BaseConsumer<Group> = settings
            .reader("read_committed")
            .set("statistics.interval.ms", "200")
            .create_with_context(Group::new(settings.topic(Topic::Control)))
            .map_err(|error| errors::made(&error))?;
        let topic = settings.topic(Topic::Control).to_owned();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Beginning)
            .and_then(|()| consumer.assign(&list))
            .map_err(|error| errors::asked(&error))?;
        Ok(Self { consumer, topic, next: 0, settled: 0 })
    }
}

impl ControlLog for KafkaControl {
    fn refresh(&mut self, wait: Duration) -> Result<Refreshed, LogError> {
        let (_, end) = self.consumer.fetch_watermarks(&self.topic, 0, PATIENCE).map_err(
            |error| match error.rdkafka_error_code() {
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                    LogError::Fatal(format!("topic {} is missing", self.topic))
                }
                _ => errors::asked(&error),
            },
        )?;
        let deadline = Instant::now() + wait.max(Duration::from_millis(50));
        let mut records = Vec::new();
        loop {
            if let Some(fetched) = self.consumer.context().take_fetched().get(&0)
                && fetched.queued == 0
                && fetched.next == end
            {
                self.settled = end;
            }
            let reached = self.next.max(self.settled) >= end;
            let left = deadline.saturating_duration_since(Instant::now());
            // Orders are told as soon as they are read; only an idle reader waits.
            let timeout = if records.is_empty() || !reached { left } else { Duration::ZERO };
            match self.consumer.poll(timeout) {
                Some(Ok(message)) => {
                    self.next = message.offset() + 1;
                    records.push(to_record(&message));
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => tracing::debug!(target: "kafka", %error, "control reader"),
            }
            if timeout.is_zero() || left.is_zero() {
                let caught_up = self.next.max(self.settled) >= end;
                return Ok(Refreshed { records, next: self.next.max(self.settled), caught_up });
            }
        }
    }
}
