//! A log in memory: topics, a consumer group, transactions, and places to crash.
//!
//! It serves the demo and the simulation, and behaves as a Kafka cluster does where a lane
//! could notice: a commit or an abort leaves a marker that takes an offset, readers stop at
//! the first open transaction, a new producer under an old transactional id fences the
//! former one, a member that is silent for longer than the session loses its partitions
//! without being told, and partitions move cooperatively. Records are never compacted.
//! Time comes from outside, so a simulation decides when a session expires.

mod connection;
mod group;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub use self::connection::{Call, Connection, Fault, Hook, Moment};
pub use self::topic::Stored;

use self::group::Group;
use self::topic::PartitionLog;
use crate::event::Millis;
use crate::pipeline::control::{ControlLog, Refreshed};
use crate::pipeline::log::{Headers, InRecord, LogError, Now, OutRecord, Topic};
use crate::pipeline::shared::{News, SharedLog};

/// What a test may switch off to see itself fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing: the log keeps its promises.
    #[default]
    None,
    /// Neither the group's generation nor the producer's epoch is looked at.
    NoFence,
    /// Offsets are committed before the transaction and apart from it.
    OffsetsApart,
    /// A restore brings nothing.
    NoRestore,
}

/// How the log is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Partitions of every topic but control and anchors, which have one.
    pub partitions: i32,
    /// A member that is silent for longer is out of the group.
    pub session_timeout_ms: i64,
    /// A transaction that is open for longer is aborted.
    pub transaction_timeout_ms: i64,
    /// For tests of tests.
    pub sabotage: Sabotage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: 12,
            session_timeout_ms: 6_000,
            transaction_timeout_ms: 10_000,
            sabotage: Sabotage::None,
        }
    }
}

/// The log; shared by producers, readers and lanes.
pub struct Cluster {
    inner: Mutex<Inner>,
    changed: Condvar,
    now: Now,
    settings: Settings,
}

struct Inner {
    topics: BTreeMap<Topic, Vec<PartitionLog>>,
    producers: BTreeMap<String, Producer>,
    group: Group,
    transactions: u64,
    /// Grows with every change that a waiting reader may care for.
    version: u64,
}

/// The coordinator's view of one transactional id.
#[derive(Default)]
struct Producer {
    epoch: u32,
    open: Option<Transaction>,
}

struct Transaction {
    id: u64,
    since: Millis,
    written: BTreeSet<(Topic, i32)>,
    offsets: BTreeMap<i32, i64>,
}

impl Cluster {
    /// An empty log with every topic.
    #[must_use]
    pub fn new(settings: Settings, now: Now) -> Arc<Self> {
        let topics = Topic::ALL
            .into_iter()
            .map(|topic| {
                let single = matches!(topic, Topic::Control | Topic::Anchors);
                let count = if single { 1 } else { settings.partitions };
                (topic, (0..count).map(|_| PartitionLog::default()).collect())
            })
            .collect();
        let inner = Inner {
            topics,
            producers: BTreeMap::new(),
            group: Group::new(settings.partitions),
            transactions: 0,
            version: 0,
        };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new(), now, settings })
    }

    /// How many partitions the events topic has.
    #[must_use]
    pub fn partitions(&self) -> i32 {
        self.settings.partitions
    }

    /// Appends one record without a transaction and returns its offset. The log stamps it.
    ///
    /// # Panics
    /// If the topic has no such partition.
    pub fn produce(
        &self,
        topic: Topic,
        partition: i32,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Headers,
    ) -> i64 {
        let timestamp = (self.now)();
        let mut inner = self.lock();
        let log = inner.log(topic, partition).expect("the caller names a partition that exists");
        let offset = log.append(timestamp, key, value, headers, None);
        inner.version += 1;
        drop(inner);
        self.changed.notify_all();
        offset
    }

    /// Committed records of a partition from `from` on, at most `max`, and where to go on reading.
    #[must_use]
    pub fn read(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        max: usize,
    ) -> (Vec<Arc<Stored>>, i64) {
        let mut inner = self.lock();
        inner.expire(&self.settings, (self.now)());
        match inner.log(topic, partition) {
            Ok(log) => log.read(from, max),
            Err(_) => (Vec::new(), from),
        }
    }

    /// A number that grows with every append and commit; see [`Cluster::wait`].
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Waits until the version is past `version`, at most `wait`. Taking the version before
    /// looking and waiting after it misses no change.
    pub fn wait(&self, version: u64, wait: Duration) {
        let inner = self.lock();
        drop(self.changed.wait_timeout_while(inner, wait, |inner| inner.version == version));
    }

    /// The next offset to process of a partition of the events topic, as committed.
    #[must_use]
    pub fn committed(&self, partition: i32) -> i64 {
        self.lock().group.committed.get(&partition).copied().unwrap_or(0)
    }

    /// One past the last record of a partition that readers may see.
    #[must_use]
    pub fn end(&self, topic: Topic, partition: i32) -> i64 {
        self.lock().log(topic, partition).map_or(0, |log| log.stable_end())
    }

    /// A lane's connection: a member of the group once it polls, and a producer under this id,
    /// which fences any former one at once.
    #[must_use]
    pub fn connect(self: &Arc<Self>, transactional_id: &str) -> Connection {
        Connection::new(Arc::clone(self), transactional_id)
    }

    /// A reader of the control topic.
    #[must_use]
    pub fn control(self: &Arc<Self>) -> MemoryControl {
        MemoryControl { cluster: Arc::clone(self), next: 0 }
    }

    /// A reader of what partitions share.
    #[must_use]
    pub fn shared(self: &Arc<Self>) -> MemoryShared {
        MemoryShared { cluster: Arc::clone(self), next: BTreeMap::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held can only come from a bug in this file; the data is
        // as good as it was, and a poisoned log would hide the first failure behind a second.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    fn log(&mut self, topic: Topic, partition: i32) -> Result<&mut PartitionLog, LogError> {
        usize::try_from(partition)
            .ok()
            .and_then(|index| self.topics.get_mut(&topic)?.get_mut(index))
            .ok_or_else(|| LogError::Abort(format!("{topic:?} has no partition {partition}")))
    }

    /// What the coordinators do as time passes.
    fn expire(&mut self, settings: &Settings, now: Millis) {
        self.group.expire(now, settings.session_timeout_ms);
        let late: Vec<String> = self
            .producers
            .iter()
            .filter(|(_, producer)| {
                producer
                    .open
                    .as_ref()
                    .is_some_and(|open| now.0 - open.since.0 > settings.transaction_timeout_ms)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.finish(&id, false);
            if let Some(producer) = self.producers.get_mut(&id) {
                producer.epoch += 1;
            }
        }
    }

    /// A new epoch for the id; an open transaction of the former one is aborted.
    fn init(&mut self, id: &str) -> u32 {
        self.finish(id, false);
        let producer = self.producers.entry(id.to_owned()).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    /// Ends the open transaction of an id: markers in every partition written, then offsets.
    fn finish(&mut self, id: &str, commit: bool) {
        let Some(open) = self.producers.get_mut(id).and_then(|producer| producer.open.take())
        else {
            return;
        };
        for (topic, partition) in open.written {
            if let Ok(log) = self.log(topic, partition) {
                log.finish(open.id, commit);
            }
        }
        if commit {
            self.group.committed.extend(open.offsets);
        }
    }

    fn write(
        &mut self,
        id: &str,
        epoch: Option<u32>,
        record: OutRecord,
        now: Millis,
    ) -> Result<(), LogError> {
        let open = self.open(id, epoch)?;
        open.written.insert((record.topic, record.partition));
        let number = open.id;
        self.log(record.topic, record.partition)?.append(
            now,
            Some(record.key),
            record.value,
            record.headers,
            Some(number),
        );
        Ok(())
    }

    /// The open transaction of an id, if `epoch` is its present one; `None` is taken for any.
    fn open(&mut self, id: &str, epoch: Option<u32>) -> Result<&mut Transaction, LogError> {
        let producer = self
            .producers
            .get_mut(id)
            .ok_or_else(|| LogError::Rebuild("unknown transactional id".into()))?;
        if epoch.is_some_and(|epoch| epoch != producer.epoch) {
            return Err(LogError::Rebuild("fenced by a newer producer".into()));
        }
        producer.open.as_mut().ok_or_else(|| LogError::Rebuild("no transaction is open".into()))
    }
}

/// Reads the control topic of a log in memory.
pub struct MemoryControl {
    cluster: Arc<Cluster>,
    next: i64,
}

impl ControlLog for MemoryControl {
    fn refresh(&mut self, wait: Duration) -> Result<Refreshed, LogError> {
        let version = self.cluster.version();
        let (mut records, mut next) = self.cluster.read(Topic::Control, 0, self.next, usize::MAX);
        if records.is_empty() && !wait.is_zero() {
            self.cluster.wait(version, wait);
            (records, next) = self.cluster.read(Topic::Control, 0, self.next, usize::MAX);
        }
        self.next = next;
        let records = records.iter().map(|stored| stored.to_record(0)).collect();
        Ok(Refreshed { records, next, caught_up: true })
    }
}

/// Reads what partitions share of a log in memory.
pub struct MemoryShared {
    cluster: Arc<Cluster>,
    next: BTreeMap<i32, i64>,
}

impl MemoryShared {
    fn read(&mut self) -> Vec<InRecord> {
        let mut all = Vec::new();
        for partition in 0..self.cluster.partitions() {
            let from = self.next.get(&partition).copied().unwrap_or(0);
            let (records, next) = self.cluster.read(Topic::Shared, partition, from, usize::MAX);
            self.next.insert(partition, next);
            all.extend(records.iter().map(|stored| stored.to_record(partition)));
        }
        all
    }
}

impl SharedLog for MemoryShared {
    fn refresh(&mut self, wait: Duration) -> Result<News, LogError> {
        let version = self.cluster.version();
        let mut records = self.read();
        if records.is_empty() && !wait.is_zero() {
            self.cluster.wait(version, wait);
            records = self.read();
        }
        Ok(News { records, caught_up: true })
    }
}
