//! Reads a partition outside the group: a changelog to its end, or a topic's last record.
//!
//! The end is the high watermark as a reader of uncommitted records sees it. A reader of
//! committed records has reached it when its own end is no less; then it reads until the
//! library says that there is no more. Comparing offsets instead would wait for ever for
//! the marker that ends a transaction, which is never handed out.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Plain;
use super::errors;
use super::settings::{PATIENCE, Settings};
use crate::event::Millis;
use crate::pipeline::log::{InRecord, LogError};

/// How long an open transaction may hold up a read before the lane does something else.
const OPEN: Duration = Duration::from_millis(500);

/// Offsets before the end in which the last record is looked for first; markers lie between records.
const TAIL: i64 = 16;

pub(super) struct Reader {
    committed: BaseConsumer<Plain>,
    uncommitted: BaseConsumer<Plain>,
}

impl Reader {
    pub(super) fn connect(settings: &Settings) -> Result<Self, LogError> {
        let make = |isolation| {
            settings
                .reader(isolation)
                .create_with_context(Plain)
                .map_err(|error| errors::made(&error))
        };
        Ok(Self { committed: make("read_committed")?, uncommitted: make("read_uncommitted")? })
    }

    /// Every committed record, oldest first.
    pub(super) fn read(
        &self,
        topic: &str,
        partition: i32,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let (low, high) = self.decided(topic, partition)?;
        if low < high { self.read_from(topic, partition, low, each) } else { Ok(()) }
    }

    /// The value of the last committed record.
    pub(super) fn last(&self, topic: &str, partition: i32) -> Result<Option<Vec<u8>>, LogError> {
        let (low, high) = self.decided(topic, partition)?;
        let mut span = TAIL;
        loop {
            let from = (high - span).max(low);
            let mut last = None;
            if from < high {
                self.read_from(topic, partition, from, &mut |message| {
                    last = Some(message.payload().unwrap_or_default().to_vec());
                    Ok(())
                })?;
            }
            if last.is_some() || from <= low {
                return Ok(last);
            }
            span = span.saturating_mul(16);
        }
    }

    /// First offset and end of a partition in which no transaction is open.
    fn decided(&self, topic: &str, partition: i32) -> Result<(i64, i64), LogError> {
        let ends = |consumer: &BaseConsumer<Plain>| {
            consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .map_err(|error| errors::asked(&error))
        };
        let (low, high) = ends(&self.uncommitted)?;
        let deadline = Instant::now() + OPEN;
        while low < high && ends(&self.committed)?.1 < high {
            if Instant::now() >= deadline {
                return Err(LogError::Retry(format!(
                    "a transaction is open in {topic}/{partition}"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok((low, high))
    }

    fn read_from(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(from))
            .and_then(|()| self.committed.assign(&list))
            .map_err(|error| errors::asked(&error))?;
        let result = self.until_eof(each);
        self.committed.unassign().map_err(|error| errors::asked(&error))?;
        result
    }

    fn until_eof(
        &self,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut heard = Instant::now();
        loop {
            match self.committed.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    each(&message)?;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => tracing::debug!(target: "kafka", %error, "while reading"),
                None => {}
            }
            if heard.elapsed() > 2 * PATIENCE {
                return Err(LogError::Retry("the broker sends nothing".into()));
            }
        }
    }
}

/// A record of its own, free of the library's buffers.
pub(super) fn to_record(message: &BorrowedMessage<'_>) -> InRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    });
    InRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: Millis(message.timestamp().to_millis().unwrap_or(0)),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
