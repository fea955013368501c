//! A lane's end of the log in memory: [`Log`] with a hook before and after every effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::Change;
use super::{Cluster, Inner, Sabotage, Transaction};
use crate::event::Millis;
use crate::pipeline::log::{EachRecord, Log, LogError, Meanwhile, OutRecord, Polled, Topic};

/// A place where a fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each is the method of `Log` of that name, commit being two of them"
)]
pub enum Call {
    Poll,
    Resume,
    Pause,
    Committed,
    Seek,
    Restore,
    LastRecord,
    Begin,
    Send,
    SendOffsets,
    EndTransaction,
    Abort,
    Rebuild,
    Ends,
}

/// On which side of the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The log has not seen the call yet.
    Before,
    /// The log has done what was asked, and the answer is on its way.
    After,
}

/// What a hook decides.
#[derive(Debug)]
pub enum Fault {
    /// All is well.
    None,
    /// The process dies here: this connection never answers again and does not leave the group.
    Crash,
    /// The call fails with this; what it did stays done.
    Fail(LogError),
}

/// Asked before and after every call.
pub type Hook = Box<dyn FnMut(Call, Moment) -> Fault>;

/// One group member and its producer.
pub struct Connection {
    cluster: Arc<Cluster>,
    transactional_id: String,
    epoch: u32,
    member: Option<u64>,
    generation: i32,
    positions: BTreeMap<i32, Position>,
    hook: Option<Hook>,
    crashed: bool,
}

struct Position {
    next: i64,
    paused: bool,
}

impl Connection {
    pub(super) fn new(cluster: Arc<Cluster>, transactional_id: &str) -> Self {
        let epoch = {
            let now = (cluster.now)();
            let mut inner = cluster.lock();
            inner.expire(&cluster.settings, now);
            inner.init(transactional_id)
        };
        Self {
            cluster,
            transactional_id: transactional_id.to_owned(),
            epoch,
            member: None,
            generation: -1,
            positions: BTreeMap::new(),
            hook: None,
            crashed: false,
        }
    }

    /// Sets what is asked at every call.
    pub fn on_call(&mut self, hook: Hook) {
        self.hook = Some(hook);
    }

    /// Dies without leaving the group, as a killed process does.
    pub fn crash(mut self) {
        self.crashed = true;
    }

    fn meet(&mut self, call: Call, moment: Moment) -> Result<(), LogError> {
        if self.crashed {
            return Err(LogError::Fatal("crashed".into()));
        }
        match self.hook.as_mut().map_or(Fault::None, |hook| hook(call, moment)) {
            Fault::None => Ok(()),
            Fault::Fail(error) => Err(error),
            Fault::Crash => {
                self.crashed = true;
                Err(LogError::Fatal("crashed".into()))
            }
        }
    }

    /// Runs one call against the log: hook, effect, hook.
    fn call<R>(
        &mut self,
        call: Call,
        effect: impl FnOnce(&mut Self, &mut Inner, Millis) -> Result<R, LogError>,
    ) -> Result<R, LogError> {
        self.meet(call, Moment::Before)?;
        let cluster = Arc::clone(&self.cluster);
        let now = (cluster.now)();
        let result = {
            let mut inner = cluster.lock();
            inner.expire(&cluster.settings, now);
            if let Some(member) = self.member {
                inner.group.heartbeat(member, now);
            }
            inner.version += u64::from(call == Call::EndTransaction);
            effect(self, &mut inner, now)
        };
        if matches!(call, Call::EndTransaction | Call::Abort | Call::Rebuild) {
            cluster.changed.notify_all();
        }
        let result = result?;
        self.meet(call, Moment::After)?;
        Ok(result)
    }

    fn fence(&self) -> Option<u32> {
        (self.cluster.settings.sabotage != Sabotage::NoFence).then_some(self.epoch)
    }

    fn look(&mut self, inner: &mut Inner, now: Millis, max: usize) -> Polled {
        let member = match self.member {
            Some(member) if inner.group.knows(member) => member,
            former => {
                self.member = Some(inner.group.join(now));
                if former.is_some() && !self.positions.is_empty() {
                    let lost = std::mem::take(&mut self.positions);
                    return Polled::Revoked(lost.into_keys().collect());
                }
                return Polled::Assigned(Vec::new());
            }
        };
        let change = inner.group.change(member);
        self.generation = inner.group.generation;
        match change {
            Change::None | Change::Lost => self.records(inner, max),
            Change::Revoked(partitions) => {
                for partition in &partitions {
                    self.positions.remove(partition);
                }
                Polled::Revoked(partitions)
            }
            Change::Assigned(partitions) => {
                for &partition in &partitions {
                    self.positions.insert(partition, Position { next: 0, paused: true });
                }
                Polled::Assigned(partitions)
            }
        }
    }

    fn records(&mut self, inner: &mut Inner, max: usize) -> Polled {
        let mut records = Vec::new();
        for (&partition, position) in &mut self.positions {
            if position.paused || records.len() >= max {
                continue;
            }
            let Ok(log) = inner.log(Topic::Events, partition) else { continue };
            let (stored, next) = log.read(position.next, max - records.len());
            position.next = next;
            records.extend(stored.iter().map(|stored| stored.to_record(partition)));
        }
        if records.is_empty() { Polled::Idle } else { Polled::Records(records) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.crashed {
            return;
        }
        let mut inner = self.cluster.lock();
        if let Some(member) = self.member {
            inner.group.leave(member);
        }
        let current = inner.producers.get(&self.transactional_id).map(|producer| producer.epoch);
        if current == Some(self.epoch) {
            inner.finish(&self.transactional_id, false);
        }
    }
}

impl Log for Connection {
    fn poll(&mut self, wait: Duration, max: usize) -> Result<Polled, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            let version = self.cluster.version();
            let polled =
                self.call(Call::Poll, |this, inner, now| Ok(this.look(inner, now, max)))?;
            let left = deadline.saturating_duration_since(Instant::now());
            if polled != Polled::Idle || left.is_zero() {
                return Ok(polled);
            }
            self.cluster.wait(version, left);
        }
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.call(Call::Resume, |this, _, _| {
            for partition in partitions {
                if let Some(position) = this.positions.get_mut(partition) {
                    position.paused = false;
                }
            }
            Ok(())
        })
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.call(Call::Pause, |this, _, _| {
            for partition in partitions {
                if let Some(position) = this.positions.get_mut(partition) {
                    position.paused = true;
                }
            }
            Ok(())
        })
    }

    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError> {
        self.call(Call::Committed, |_, inner, _| {
            let undecided = inner
                .producers
                .values()
                .filter_map(|producer| producer.open.as_ref())
                .any(|open| partitions.iter().any(|one| open.offsets.contains_key(one)));
            if undecided {
                return Err(LogError::Retry("offsets are in an open transaction".into()));
            }
            let committed = &inner.group.committed;
            Ok(partitions
                .iter()
                .map(|one| (*one, committed.get(one).copied().unwrap_or(0)))
                .collect())
        })
    }

    fn seek(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), LogError> {
        self.call(Call::Seek, |this, _, _| {
            for (partition, next) in offsets {
                if let Some(position) = this.positions.get_mut(partition) {
                    position.next = *next;
                }
            }
            Ok(())
        })
    }

    fn restore(&mut self, partition: i32, each: &mut EachRecord<'_>) -> Result<(), LogError> {
        let stored = self.call(Call::Restore, |this, inner, _| {
            if this.cluster.settings.sabotage == Sabotage::NoRestore {
                return Ok(Vec::new());
            }
            let log = inner.log(Topic::State, partition)?;
            if log.stable_end() != log.end() {
                return Err(LogError::Retry("a transaction is open in the changelog".into()));
            }
            Ok(log.read(0, usize::MAX).0)
        })?;
        for stored in stored {
            each(stored.key.as_deref().unwrap_or_default(), stored.value.as_deref())?;
        }
        Ok(())
    }

    fn last_record(&mut self, topic: Topic, partition: i32) -> Result<Option<Vec<u8>>, LogError> {
        self.call(Call::LastRecord, |_, inner, _| {
            let log = inner.log(topic, partition)?;
            Ok(log.last().and_then(|stored| stored.value.clone()))
        })
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.call(Call::Begin, |this, inner, now| {
            inner.transactions += 1;
            let id = inner.transactions;
            let fence = this.fence();
            let producer = inner.producers.entry(this.transactional_id.clone()).or_default();
            if fence.is_some_and(|epoch| epoch != producer.epoch) {
                return Err(LogError::Rebuild("fenced by a newer producer".into()));
            }
            if producer.open.is_some() {
                return Err(LogError::Rebuild("a transaction is open already".into()));
            }
            producer.open = Some(Transaction {
                id,
                since: now,
                written: std::collections::BTreeSet::new(),
                offsets: BTreeMap::new(),
            });
            Ok(())
        })
    }

    fn send(&mut self, record: OutRecord) -> Result<(), LogError> {
        self.call(Call::Send, |this, inner, now| {
            inner.write(&this.transactional_id, this.fence(), record, now)
        })
    }

    fn commit(
        &mut self,
        next: &BTreeMap<i32, i64>,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<(), LogError> {
        // An empty list is a silent no-op in the client library, so it fences nobody here either.
        if !next.is_empty() {
            self.call(Call::SendOffsets, |this, inner, _| {
                let fence = this.fence();
                let member = this.member.is_some_and(|member| inner.group.knows(member));
                let current = member && this.generation == inner.group.generation;
                let open = inner.open(&this.transactional_id, fence)?;
                if fence.is_some() && !current {
                    return Err(LogError::Moved("generation is not the group's".into()));
                }
                if this.cluster.settings.sabotage == Sabotage::OffsetsApart {
                    inner.group.committed.extend(next);
                } else {
                    open.offsets.extend(next);
                }
                Ok(())
            })?;
        }
        let room = meanwhile(Vec::new());
        if room > 0 {
            let cluster = Arc::clone(&self.cluster);
            if let Polled::Records(records) = self.records(&mut cluster.lock(), room) {
                meanwhile(records);
            }
        }
        self.call(Call::EndTransaction, |this, inner, _| {
            inner.open(&this.transactional_id, this.fence())?;
            inner.finish(&this.transactional_id, true);
            Ok(())
        })
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.call(Call::Abort, |this, inner, _| {
            let current = inner.producers.get(&this.transactional_id).map(|one| one.epoch);
            if this.fence().is_some_and(|epoch| current != Some(epoch)) {
                return Err(LogError::Rebuild("fenced by a newer producer".into()));
            }
            inner.finish(&this.transactional_id, false);
            Ok(())
        })
    }

    fn rebuild(&mut self) -> Result<(), LogError> {
        self.call(Call::Rebuild, |this, inner, _| {
            this.epoch = inner.init(&this.transactional_id);
            Ok(())
        })
    }

    fn ends(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError> {
        self.call(Call::Ends, |this, inner, _| {
            partitions
                .iter()
                .map(|&partition| {
                    let log = inner.log(Topic::Events, partition)?;
                    let next = this.positions.get(&partition).map_or(0, |position| position.next);
                    let end = if log.any_from(next) { log.stable_end() } else { next };
                    Ok((partition, end))
                })
                .collect()
        })
    }
}
