//! What the client library tells us: log lines, errors, rebalances, deliveries, statistics.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

/// A line of the library's own log. It names brokers, topics and partitions, never a payload.
fn line(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "kafka", facility, "{text}");
        }
        // The library calls a lost connection an error; it mends that by itself.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "kafka", facility, "{text}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::debug!(target: "kafka", facility, "{text}");
        }
        RDKafkaLogLevel::Debug => tracing::trace!(target: "kafka", facility, "{text}"),
    }
}

/// For clients without callbacks of their own.
pub(super) struct Plain;

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "client error");
    }
}

impl ConsumerContext for Plain {}

/// A change of assignment that the lane has not seen yet.
#[derive(Debug)]
pub(super) enum Change {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>),
}

/// How far the library has fetched a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched {
    /// Next offset that it will ask for; control records count.
    pub(super) next: i64,
    /// Records that it holds and has not handed out.
    pub(super) queued: i64,
}

/// Keeps the assignment as it is until it is dropped.
pub(super) struct Steady(Arc<Hold>);

#[derive(Default)]
struct Hold {
    held: Mutex<bool>,
    over: Condvar,
}

impl Drop for Steady {
    fn drop(&mut self) {
        *lock(&self.0.held) = false;
        self.0.over.notify_all();
    }
}

/// The group member's callbacks; they run on the lane's own thread, inside a poll.
#[derive(Default)]
pub(super) struct Group {
    topic: String,
    hold: Arc<Hold>,
    changes: Mutex<VecDeque<Change>>,
    fetched: Mutex<BTreeMap<i32, Fetched>>,
}

impl Group {
    pub(super) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), ..Self::default() }
    }

    pub(super) fn next_change(&self) -> Option<Change> {
        lock(&self.changes).pop_front()
    }

    pub(super) fn changed(&self) -> bool {
        !lock(&self.changes).is_empty()
    }

    /// Lets changes of assignment wait, while the transaction that is open ends on another thread.
    pub(super) fn steady(&self) -> Steady {
        *lock(&self.hold.held) = true;
        Steady(Arc::clone(&self.hold))
    }

    /// The latest statistics; they are taken, so that none is used twice.
    pub(super) fn take_fetched(&self) -> BTreeMap<i32, Fetched> {
        std::mem::take(&mut *lock(&self.fetched))
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "consumer error");
    }

    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        let fetched = topic.partitions.iter().filter(|(partition, _)| **partition >= 0);
        *lock(&self.fetched) = fetched
            .map(|(&partition, one)| {
                (partition, Fetched { next: one.next_offset, queued: one.fetchq_cnt })
            })
            .collect();
    }
}

impl ConsumerContext for Group {
    /// Takes and gives partitions one by one, as the cooperative protocol has it, and never
    /// while a transaction is open: the lane polls without one, or holds this call back.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let held = lock(&self.hold.held);
        drop(self.hold.over.wait_while(held, |held| *held).unwrap_or_else(PoisonError::into_inner));
        let numbers = partitions.elements().iter().map(TopicPartitionListElem::partition).collect();
        let done = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            lock(&self.changes).push_back(Change::Assigned(numbers));
            // Any offset would do: the partition is paused at once, and the lane seeks once
            // it knows the stable committed offset. Naming one keeps the library from
            // looking up committed offsets by itself, which would delay the seek.
            partitions
                .set_all_offsets(Offset::Beginning)
                .and_then(|()| consumer.incremental_assign(partitions))
                .and_then(|()| consumer.pause(partitions))
        } else {
            if consumer.assignment_lost() {
                tracing::warn!(partitions = ?numbers, "partitions lost: the session expired");
            }
            lock(&self.changes).push_back(Change::Revoked(numbers));
            consumer.incremental_unassign(partitions)
        };
        if let Err(error) = done {
            tracing::error!(%error, "the client library refused a change of assignment");
        }
    }
}

/// The producer's callbacks: the first failure of a transaction is kept.
#[derive(Default)]
pub(super) struct Deliveries {
    failed: Mutex<Option<RDKafkaErrorCode>>,
}

impl Deliveries {
    /// The first failure since the last call.
    pub(super) fn take_failure(&self) -> Option<RDKafkaErrorCode> {
        lock(&self.failed).take()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "producer error");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result
            && let Some(code) = error.rdkafka_error_code()
        {
            lock(&self.failed).get_or_insert(code);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
