//! One transaction: orders, timers, records and state changes of some partitions, with their offsets.
//!
//! Every partition that is written to sends its next offset, also when it has not moved:
//! that is what stops a lane that has lost the partition without knowing it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::batch::{Item, guarded};
use crate::event::Millis;
use crate::inspect::StreamNotes;
use crate::pipeline::control::Standing;
use crate::pipeline::log::{Headers, Log, LogError, Meanwhile, OutRecord, Topic};
use crate::pipeline::step::Outcome;
use crate::pipeline::work::Work;
use crate::state::{Changes, Partition, Staged};

/// What to do for one partition.
pub(super) struct Job<'b, S> {
    pub(super) partition: i32,
    pub(super) state: &'b Partition,
    /// Next offset to process once this is done.
    pub(super) next: i64,
    pub(super) records: &'b [Item<S>],
    /// Fire timers up to here after the records.
    pub(super) timers: Option<Millis>,
}

/// What a committed transaction changed for one partition.
pub(super) struct Part {
    pub(super) changes: Changes,
    pub(super) next: i64,
}

/// What a transaction did.
#[derive(Default)]
pub(super) struct Effects {
    /// False where there was nothing to write and so no transaction.
    pub(super) committed: bool,
    pub(super) parts: BTreeMap<i32, Part>,
    pub(super) outcomes: Vec<Outcome>,
    /// Streams that timers closed.
    pub(super) closed: StreamNotes,
    /// What scan and decision took, by record.
    pub(super) inspected: Vec<Duration>,
    pub(super) outputs: u64,
    pub(super) output_bytes: u64,
    pub(super) state_records: u64,
    pub(super) state_bytes: u64,
    pub(super) commit_us: u64,
}

/// How a transaction ended early.
pub(super) enum Broken {
    Log(LogError),
    /// It was aborted, and then the assignment could not be looked up.
    Unseen(LogError),
    /// The stateful half panicked on this record.
    Panic {
        partition: i32,
        offset: i64,
    },
    /// Orders or timers panicked.
    TimerPanic {
        partition: i32,
    },
}

impl From<LogError> for Broken {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// Writes into a transaction that begins with the first record.
struct Writer<'l, L> {
    log: &'l mut L,
    open: bool,
    effects: Effects,
}

impl<L: Log> Writer<'_, L> {
    fn begin(&mut self) -> Result<(), LogError> {
        if !self.open {
            self.log.begin()?;
            self.open = true;
        }
        Ok(())
    }

    fn send(&mut self, record: OutRecord) -> Result<(), LogError> {
        self.begin()?;
        let bytes = record.key.len() + record.value.as_ref().map_or(0, Vec::len);
        self.effects.outputs += 1;
        self.effects.output_bytes += bytes as u64;
        if record.topic == Topic::State {
            self.effects.state_records += 1;
            self.effects.state_bytes += bytes as u64;
        }
        self.log.send(record)
    }
}

/// Runs the jobs in partition order and commits; records that come during the commit go to
/// `meanwhile`. Nothing outside the log has changed when
/// this fails; the caller aborts.
pub(super) fn transact<L, W>(
    log: &mut L,
    work: &mut W,
    standing: &Standing,
    jobs: Vec<Job<'_, W::Scanned>>,
    meanwhile: &mut Meanwhile<'_>,
) -> Result<Effects, Broken>
where
    L: Log,
    W: Work,
{
    let mut writer = Writer { log, open: false, effects: Effects::default() };
    let mut out = Vec::new();
    for job in jobs {
        let partition = job.partition;
        let mut staged = Staged::new(job.state);
        guarded(|| work.control(&mut staged, partition, standing, &mut out))
            .ok_or(Broken::TimerPanic { partition })?;
        for Item { record, scanned, took, .. } in job.records {
            let started = Instant::now();
            let outcome =
                guarded(|| work.record(&mut staged, standing, record, scanned, *took, &mut out))
                    .ok_or(Broken::Panic { partition, offset: record.offset })?;
            writer.effects.outcomes.extend(outcome);
            writer.effects.inspected.push(*took + started.elapsed());
            for record in out.drain(..) {
                writer.send(record)?;
            }
        }
        if let Some(now) = job.timers {
            let closed = guarded(|| work.timers(&mut staged, partition, standing, now, &mut out))
                .ok_or(Broken::TimerPanic { partition })?;
            writer.effects.closed.add(closed);
        }
        for record in out.drain(..) {
            writer.send(record)?;
        }
        let changes = staged.into_changes();
        for (key, value) in changes.records() {
            writer.send(OutRecord {
                topic: Topic::State,
                partition,
                key,
                value,
                headers: Headers::new(),
            })?;
        }
        if !job.records.is_empty() {
            writer.begin()?;
        }
        writer.effects.parts.insert(partition, Part { changes, next: job.next });
    }
    if !writer.open {
        return Ok(writer.effects);
    }
    let next = writer.effects.parts.iter().map(|(one, part)| (*one, part.next)).collect();
    let started = Instant::now();
    writer.log.commit(&next, meanwhile)?;
    writer.effects.commit_us = started.elapsed().as_micros() as u64;
    writer.effects.committed = true;
    Ok(writer.effects)
}
