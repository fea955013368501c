//! A lane's group member.
//!
//! Positions are kept here and every resume seeks to them first: what the library resumes
//! from is what it handed out last, and that is not where a seek in between went.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::context::{Change, Group};
use super::errors;
use super::reader::to_record;
use super::settings::{PATIENCE, Settings};
use crate::pipeline::log::{InRecord, LogError, Meanwhile, Polled};

/// Between two looks at what came during a commit.
const LOOK: Duration = Duration::from_micros(500);

pub(super) struct Input {
    consumer: BaseConsumer<Group>,
    topic: String,
    /// Next offset to hand out, by partition owned; `None` before the first seek.
    positions: BTreeMap<i32, Option<i64>>,
    paused: BTreeSet<i32>,
    /// Whether all partitions are paused because only the assignment was asked for.
    muted: bool,
    /// Records that came although none were asked for.
    held: VecDeque<InRecord>,
    /// What went wrong while records were taken in during a commit; the next poll says it.
    trouble: Option<LogError>,
    /// Partitions whose statistics may be from before a seek.
    unsettled: BTreeSet<i32>,
    /// Where the library stands, for partitions whose statistics are later than the last seek.
    fetched: BTreeMap<i32, i64>,
}

impl Input {
    pub(super) fn connect(settings: &Settings, lane: usize) -> Result<Self, LogError> {
        let topic = settings.input.clone();
        let consumer: BaseConsumer<Group> = settings
            .input(lane)
            .create_with_context(Group::new(&topic))
            .map_err(|error| errors::made(&error))?;
        consumer.subscribe(&[&topic]).map_err(|error| errors::asked(&error))?;
        Ok(Self {
            consumer,
            topic,
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            muted: false,
            held: VecDeque::new(),
            trouble: None,
            unsettled: BTreeSet::new(),
            fetched: BTreeMap::new(),
        })
    }

    pub(super) fn poll(&mut self, wait: Duration, max: usize) -> Result<Polled, LogError> {
        if let Some(error) = self.trouble.take() {
            return Err(error);
        }
        self.mute(max == 0)?;
        let deadline = Instant::now() + wait;
        let mut records: Vec<InRecord> = Vec::new();
        while max > records.len()
            && let Some(record) = self.held.pop_front()
        {
            records.push(record);
        }
        loop {
            if self.consumer.context().changed() {
                // What came before the change is looked at after it.
                for record in records.into_iter().rev() {
                    self.held.push_front(record);
                }
                return Ok(self.change());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !records.is_empty() && records.len() >= max {
                return Ok(Polled::Records(records));
            }
            let timeout = if records.is_empty() { left } else { Duration::ZERO };
            match self.consumer.poll(timeout) {
                Some(Ok(message)) => {
                    let came = received(&mut self.positions, &message);
                    if max == 0 { self.held.extend(came) } else { records.extend(came) }
                }
                Some(Err(error)) => {
                    if let Some(error) = serious(&error)
                        && records.is_empty()
                        && !self.consumer.context().changed()
                    {
                        return Err(error);
                    }
                }
                None if self.consumer.context().changed() => {}
                None if !records.is_empty() => return Ok(Polled::Records(records)),
                None if left.is_zero() => return Ok(Polled::Idle),
                None => {}
            }
        }
    }

    /// Runs `commit` on a thread of its own and gives `meanwhile` what comes in until it is done.
    /// A change of assignment that the library tells in that time waits in its callback, so that
    /// no partition goes while a transaction is open.
    pub(super) fn beside<R: Send>(
        &mut self,
        commit: impl FnOnce() -> R + Send,
        meanwhile: &mut Meanwhile<'_>,
    ) -> R {
        if meanwhile(Vec::new()) == 0 {
            return commit();
        }
        let steady = self.consumer.context().steady();
        std::thread::scope(|scope| {
            let commit = scope.spawn(move || {
                let result = commit();
                drop(steady);
                result
            });
            while !commit.is_finished() {
                let records = self.take(meanwhile(Vec::new()));
                if records.is_empty() {
                    std::thread::sleep(LOOK);
                } else {
                    meanwhile(records);
                }
            }
            commit.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// What stands ready, but for what comes after a change of assignment.
    fn take(&mut self, max: usize) -> Vec<InRecord> {
        let mut records = Vec::new();
        while records.len() < max
            && !self.muted
            && self.trouble.is_none()
            && !self.consumer.context().changed()
        {
            if let Some(record) = self.held.pop_front() {
                records.push(record);
                continue;
            }
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => records.extend(received(&mut self.positions, &message)),
                Some(Err(error)) => self.trouble = serious(&error),
                None => break,
            }
        }
        records
    }

    fn change(&mut self) -> Polled {
        match self.consumer.context().next_change() {
            None => Polled::Idle,
            Some(Change::Assigned(partitions)) => {
                for &partition in &partitions {
                    self.positions.insert(partition, None);
                    self.paused.insert(partition);
                }
                Polled::Assigned(partitions)
            }
            Some(Change::Revoked(partitions)) => {
                for partition in &partitions {
                    self.positions.remove(partition);
                    self.paused.remove(partition);
                    self.forget(*partition);
                }
                Polled::Revoked(partitions)
            }
        }
    }

    fn forget(&mut self, partition: i32) {
        self.held.retain(|record| record.partition != partition);
        self.fetched.remove(&partition);
        self.unsettled.insert(partition);
    }

    /// Pauses or resumes what flows, for polls that may not bring records.
    fn mute(&mut self, mute: bool) -> Result<(), LogError> {
        if self.muted == mute {
            return Ok(());
        }
        let flowing: Vec<i32> =
            self.positions.keys().copied().filter(|one| !self.paused.contains(one)).collect();
        if mute {
            self.call(&flowing, BaseConsumer::pause)?;
        } else {
            self.flow(&flowing)?;
        }
        self.muted = mute;
        Ok(())
    }

    fn flow(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        let known = |one: &i32| Some((*one, (*self.positions.get(one)?)?));
        let positions: BTreeMap<i32, i64> = partitions.iter().filter_map(known).collect();
        self.go(&positions)?;
        self.call(partitions, BaseConsumer::resume)
    }

    pub(super) fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        if !self.muted {
            self.flow(partitions)?;
        }
        for partition in partitions {
            self.paused.remove(partition);
        }
        Ok(())
    }

    pub(super) fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.call(partitions, BaseConsumer::pause)?;
        self.paused.extend(partitions);
        Ok(())
    }

    pub(super) fn seek(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), LogError> {
        self.go(offsets)?;
        for (&partition, &offset) in offsets {
            self.held.retain(|record| record.partition != partition);
            if let Some(position) = self.positions.get_mut(&partition) {
                *position = Some(offset);
            }
        }
        Ok(())
    }

    fn go(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), LogError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (&partition, &offset) in offsets {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .map_err(|error| errors::asked(&error))?;
            self.fetched.remove(&partition);
            self.unsettled.insert(partition);
        }
        let list =
            self.consumer.seek_partitions(list, PATIENCE).map_err(|error| errors::asked(&error))?;
        for one in list.elements() {
            one.error().map_err(|error| errors::asked(&error))?;
        }
        Ok(())
    }

    fn call(
        &self,
        partitions: &[i32],
        call: impl FnOnce(&BaseConsumer<Group>, &TopicPartitionList) -> Result<(), KafkaError>,
    ) -> Result<(), LogError> {
        if partitions.is_empty() {
            return Ok(());
        }
        call(&self.consumer, &self.list(partitions)).map_err(|error| errors::asked(&error))
    }

    fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        list
    }

    /// The next offset to process; the coordinator does not tell while a former owner's
    /// transaction is open.
    pub(super) fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError> {
        let found = self
            .consumer
            .committed_offsets(self.list(partitions), PATIENCE)
            .map_err(|error| errors::asked(&error))?;
        let mut committed = BTreeMap::new();
        for one in found.elements() {
            one.error().map_err(|error| errors::asked(&error))?;
            let next = match one.offset() {
                Offset::Offset(next) => next,
                _ => self.watermarks(one.partition())?.0,
            };
            committed.insert(one.partition(), next);
        }
        Ok(committed)
    }

    /// Ends of the committed records; see [`crate::pipeline::log::Log::ends`].
    pub(super) fn ends(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError> {
        // The first statistics after a seek may have been made before it.
        for (partition, fetched) in self.consumer.context().take_fetched() {
            if !self.unsettled.remove(&partition) {
                let drained = fetched.queued == 0;
                self.fetched.insert(partition, if drained { fetched.next } else { -1 });
            }
        }
        let mut ends = BTreeMap::new();
        for &partition in partitions {
            let (_, end) = self.watermarks(partition)?;
            let only_control_records = self.fetched.get(&partition) == Some(&end);
            let next = self.positions.get(&partition).copied().flatten();
            let end = next.filter(|_| only_control_records).unwrap_or(end);
            ends.insert(partition, end);
        }
        Ok(ends)
    }

    fn watermarks(&self, partition: i32) -> Result<(i64, i64), LogError> {
        self.consumer
            .fetch_watermarks(&self.topic, partition, PATIENCE)
            .map_err(|error| errors::asked(&error))
    }

    /// Asked anew for every transaction: a former generation's is refused.
    pub(super) fn metadata(&self) -> Result<ConsumerGroupMetadata, LogError> {
        self.consumer.group_metadata().ok_or_else(|| LogError::Moved("not in the group".into()))
    }

    /// These offsets as the library takes them.
    pub(super) fn offsets(
        &self,
        next: &BTreeMap<i32, i64>,
    ) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (&partition, &offset) in next {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .map_err(|error| errors::asked(&error))?;
        }
        Ok(list)
    }

    /// Commits offsets without a transaction.
    pub(super) fn commit(&self, next: &BTreeMap<i32, i64>) -> Result<(), LogError> {
        self.consumer
            .commit(&self.offsets(next)?, CommitMode::Sync)
            .map_err(|error| errors::committed(&error))
    }
}

/// The record of a message, and the position behind it; none of a partition that has gone.
fn received(
    positions: &mut BTreeMap<i32, Option<i64>>,
    message: &BorrowedMessage<'_>,
) -> Option<InRecord> {
    let record = to_record(message);
    *positions.get_mut(&record.partition)? = Some(record.offset + 1);
    Some(record)
}

/// An error that the lane should wait for. The library goes on by itself after the others.
fn serious(error: &KafkaError) -> Option<LogError> {
    match error {
        KafkaError::PartitionEOF(_) => None,
        KafkaError::MessageConsumptionFatal(code) => Some(LogError::Fatal(code.to_string())),
        _ => match error.rdkafka_error_code() {
            // One of several brokers or an idle connection that its broker closed; and a poll
            // that came late, after which the member joins again by itself.
            Some(Code::BrokerTransportFailure | Code::OperationTimedOut | Code::PollExceeded) => {
                None
            }
            _ => Some(LogError::Retry(error.to_string())),
        },
    }
}
