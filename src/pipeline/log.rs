//! The log that a lane reads and writes, as the lane sees it.
//!
//! Two things implement [`Log`]: a Kafka cluster, and a log in memory with transactions,
//! rebalance and seeded crash points, which serves the demo and the simulation. The
//! contract is that of one consumer group member with one transactional producer. A lane
//! never polls while its transaction is open, so partitions come and go only between
//! transactions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Millis;

/// A topic by its part in the flow; names come from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Input.
    Events,
    /// One verdict for each event.
    Verdicts,
    /// What may go on.
    Clean,
    /// For the SOC.
    Alerts,
    /// The hash chain.
    Audit,
    /// Signed chain heads; one partition.
    Anchors,
    /// What could not be read.
    Dlq,
    /// Orders; one partition, compacted.
    Control,
    /// What other partitions must know; compacted.
    Shared,
    /// Changelog of state; compacted.
    State,
    /// Events put on the partitions of their agents.
    ByAgent,
}

impl Topic {
    /// Every topic, in the order of the configuration.
    pub const ALL: [Self; 11] = [
        Self::Events,
        Self::Verdicts,
        Self::Clean,
        Self::Alerts,
        Self::Audit,
        Self::Anchors,
        Self::Dlq,
        Self::Control,
        Self::Shared,
        Self::State,
        Self::ByAgent,
    ];
}

/// Kafka record headers, in order; a name may occur more than once.
pub type Headers = Vec<(String, Vec<u8>)>;

/// One record of the events topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRecord {
    /// Partition number.
    pub partition: i32,
    /// Position in the partition.
    pub offset: i64,
    /// The log's own timestamp.
    pub timestamp: Millis,
    /// Record key.
    pub key: Option<Vec<u8>>,
    /// Record value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Record headers.
    pub headers: Headers,
}

/// One record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    /// Where to.
    pub topic: Topic,
    /// Partition number: that of the input, or 0 for a topic with one partition.
    pub partition: i32,
    /// Record key.
    pub key: Vec<u8>,
    /// Record value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Record headers.
    pub headers: Headers,
}

/// What a poll brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing within the time allowed.
    Idle,
    /// Records in offset order by partition; all of assigned, resumed partitions.
    Records(Vec<InRecord>),
    /// New partitions, paused until [`Log::resume`]. Empty where the group was joined and there is none to have.
    Assigned(Vec<i32>),
    /// Partitions that went to another member; nothing more may be written for them.
    Revoked(Vec<i32>),
}

/// Why a call failed, by what the lane must do next.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing was lost: wait and call again.
    #[error("the log did not answer: {0}")]
    Retry(String),
    /// The group has moved on: the transaction must be aborted and the assignment looked up. No record is to blame.
    #[error("the group moved on: {0}")]
    Moved(String),
    /// The transaction must be aborted; the batch may be tried again, and a record of it may be to blame.
    #[error("the transaction must be aborted: {0}")]
    Abort(String),
    /// The outcome is unknown, or the producer is fenced or broken: rebuild it, and read offsets and state again.
    #[error("the producer must be rebuilt: {0}")]
    Rebuild(String),
    /// No repeat can help.
    #[error("{0}")]
    Fatal(String),
}

/// Milliseconds of the wall clock, handed in so that a simulation can turn the hands.
pub type Now = std::sync::Arc<dyn Fn() -> Millis + Send + Sync>;

/// Takes one changelog record: key, and value or tombstone.
pub type EachRecord<'f> = dyn FnMut(&[u8], Option<&[u8]>) -> Result<(), LogError> + 'f;

/// Takes records that came while a commit was on its way, and says how many more it has room
/// for; given none, it only says so.
pub type Meanwhile<'f> = dyn FnMut(Vec<InRecord>) -> usize + 'f;

/// One lane's connection: a group member and its transactional producer.
pub trait Log {
    /// Waits up to `wait` for records or a change of assignment. At most `max` records; with
    /// `max` 0 only a change of assignment is reported, and records stay where they are.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Fatal`].
    fn poll(&mut self, wait: Duration, max: usize) -> Result<Polled, LogError>;

    /// Lets records of these partitions flow.
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError>;

    /// Stops records of these partitions.
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError>;

    /// The next offset to process for each partition, as last committed; where nothing was
    /// committed, the first one there is. While a former owner's transaction is open the answer is
    /// [`LogError::Retry`].
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError>;

    /// Goes to these offsets.
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn seek(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), LogError>;

    /// Reads the committed changelog of a partition to its end, oldest first; the value is `None` for a tombstone.
    /// While a transaction is open in it the answer is [`LogError::Retry`].
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn restore(&mut self, partition: i32, each: &mut EachRecord<'_>) -> Result<(), LogError>;

    /// The last committed record of a topic's partition, if there is one.
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn last_record(&mut self, topic: Topic, partition: i32) -> Result<Option<Vec<u8>>, LogError>;

    /// Opens a transaction.
    ///
    /// # Errors
    /// Any [`LogError`].
    fn begin(&mut self) -> Result<(), LogError>;

    /// Writes one record inside the open transaction.
    ///
    /// # Errors
    /// Any [`LogError`].
    fn send(&mut self, record: OutRecord) -> Result<(), LogError>;

    /// Commits outputs together with the next offset to process of every partition written.
    /// As long as that takes, records that come may be handed to `meanwhile`, in the order in
    /// which polls would bring them; a change of assignment waits for the next poll.
    ///
    /// # Errors
    /// [`LogError::Rebuild`] whenever it is not certain whether the commit took place.
    fn commit(
        &mut self,
        next: &BTreeMap<i32, i64>,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<(), LogError>;

    /// Gives the open transaction up; where none is open there is nothing to do.
    ///
    /// # Errors
    /// Any [`LogError`].
    fn abort(&mut self) -> Result<(), LogError>;

    /// A new producer under the same transactional id, which fences the former one.
    ///
    /// # Errors
    /// Any [`LogError`].
    fn rebuild(&mut self) -> Result<(), LogError>;

    /// End of the committed records of each partition, for lag and for the end of an idle partition.
    /// Where nothing but control records stands between the last polled record and the end, that is
    /// the offset after the last polled record.
    ///
    /// # Errors
    /// As [`Log::poll`].
    fn ends(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError>;
}
