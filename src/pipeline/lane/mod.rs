//! A lane: one group member, its transactional producer and the state of its partitions, on one thread.
//!
//! [`Lane::tick`] does one unit of work and returns between transactions, so that a
//! simulation can interleave lanes at will. What a partition goes through:
//!
//! | state | owns | goes to |
//! |---|---|---|
//! | `Warming` | a partition that is paused | `Live` when offsets were read, state restored, chain head checked; back to itself, later, when the log did not answer |
//! | `Live` | its state, the next offset | `Warming` when the producer must be rebuilt |
//! | (gone) | nothing | revoked or lost: state, kept scans and offsets are forgotten |
//!
//! What a batch goes through: gathered and scanned → transaction → merged. What stands ready
//! when the transaction begins and what comes while it commits is the next batch, which is
//! scanned on a second thread meanwhile; only its scans are made ahead, orders are pinned
//! for each batch when its own transaction begins. Where the
//! transaction breaks, the [`LogError`] says what follows: `Retry` waits and tries again;
//! `Moved` looks up the assignment and tries again with what is left; `Abort` tries again
//! and after three times goes record by record, until the one to blame is turned away to
//! the dead letters; `Rebuild` forgets the batch and begins at the committed offsets with a
//! new producer. The lane as a whole holds all partitions while orders may be out of date.
//! The assignment never changes while a transaction is open: the log is polled without one,
//! and what it hands out during a commit are records only.

mod batch;
mod intake;
mod transact;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::batch::{Batch, Gathered};
use self::transact::{Broken, Effects, Job, transact};
use crate::event::Millis;
use crate::pipeline::control::{Board, Standing};
use crate::pipeline::log::{Log, LogError, Meanwhile, Now, Polled, Topic};
use crate::pipeline::metrics::{LaneState, Metrics};
use crate::pipeline::work::{Scanner, Work};
use crate::policy::Orders;
use crate::state::{Partition, owner};

/// How a lane cuts batches and when it tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Records in one transaction.
    pub batch_records: usize,
    /// Bytes of their values.
    pub batch_bytes: usize,
    /// How long a batch may be gathered.
    pub batch_ms: i64,
    /// How long scanning it, or else its transaction, may take; batches are cut so that they
    /// keep to it.
    pub open_ms: i64,
    /// Longest wait for records.
    pub poll_wait: Duration,
    /// How far behind the wall clock a timer fires at the end of an idle partition.
    pub timer_margin_ms: i64,
    /// How often idle partitions are looked at.
    pub timer_check_ms: i64,
    /// First wait after a failure; it doubles up to `wait_max_ms`.
    pub wait_min_ms: i64,
    /// Longest wait after a failure.
    pub wait_max_ms: i64,
    /// How often lag is looked up.
    pub lag_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records: 2_000,
            batch_bytes: 8 << 20,
            batch_ms: 10,
            open_ms: 150,
            poll_wait: Duration::from_millis(50),
            timer_margin_ms: 200,
            timer_check_ms: 50,
            wait_min_ms: 100,
            wait_max_ms: 5_000,
            lag_ms: 2_000,
        }
    }
}

/// Aborts of one batch before a record is looked for that is to blame.
const ATTEMPTS: u32 = 3;

/// However slow records are, a batch may hold this many.
const MIN_BATCH: usize = 16;

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing there to do.
    Idle,
    /// The assignment changed or a partition was warmed.
    Moved,
    /// A transaction was committed.
    Committed,
    /// An attempt failed; another follows.
    Failed,
    /// Waited after a failure, or because orders may be out of date.
    Waited,
}

struct Owned {
    phase: Phase,
    state: Partition,
    /// Next offset to process: where the last committed transaction left off.
    next: i64,
    /// Next offset that a poll may bring; behind it lies what the lane already holds.
    polled: i64,
}

enum Phase {
    Warming { after: Millis, failures: u32 },
    Live,
}

/// How far a lane gathers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// No further than the batch at hand.
    Batch,
    /// To the next batch, before the one at hand is committed.
    Ahead,
}

/// What lately was paid, in seconds.
#[derive(Clone, Copy)]
struct Paid {
    /// A record's scan.
    scan: f64,
    /// A record's decision and what it writes.
    record: f64,
    /// A commit, however many records it holds.
    commit: f64,
}

/// How the transactions of a batch went.
struct Tried {
    /// Nothing where nothing of the batch was left to do.
    outcome: Result<Option<Effects>, Broken>,
    /// Partitions that went meanwhile.
    gone: BTreeSet<i32>,
    aborted: u32,
    took: Duration,
}

/// One lane; see the module's documentation for its states. `S` is what a scan finds.
pub struct Lane<L: Log, S> {
    log: L,
    number: usize,
    settings: Settings,
    now: Now,
    metrics: Arc<Metrics>,
    partitions: BTreeMap<i32, Owned>,
    /// Batches whose transaction is to begin or broke; nothing new is gathered while one is left.
    pending: VecDeque<Batch<S>>,
    /// Gathered and scanned while the last transaction went on.
    ahead: Option<Batch<S>>,
    reach: Reach,
    rebuild: bool,
    held: bool,
    joined: bool,
    failures: u32,
    wait_until: Option<Millis>,
    timers_checked: Millis,
    lag_checked: Millis,
    orders_seen: Option<i64>,
    paid: Option<Paid>,
}

impl<L: Log, S: Send> Lane<L, S> {
    /// A lane that has not joined its group yet. `number` names it in metrics.
    #[must_use]
    pub fn new(log: L, number: usize, settings: Settings, now: Now, metrics: Arc<Metrics>) -> Self {
        Self {
            log,
            number,
            settings,
            now,
            metrics,
            partitions: BTreeMap::new(),
            pending: VecDeque::new(),
            ahead: None,
            reach: Reach::Ahead,
            rebuild: false,
            held: false,
            joined: false,
            failures: 0,
            wait_until: None,
            timers_checked: Millis(i64::MIN),
            lag_checked: Millis(i64::MIN),
            orders_seen: None,
            paid: None,
        }
    }

    /// Whether the lane holds no batch: the place to change pack or to stop.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.pending.is_empty() && self.ahead.is_none()
    }

    /// Whether the next batch may be scanned while one is committed. Told not to, a lane
    /// comes to a boundary however many records stand ready.
    pub fn look_ahead(&mut self, may: bool) {
        self.reach = if may { Reach::Ahead } else { Reach::Batch };
    }

    /// The connection, for those who made it.
    pub fn log_mut(&mut self) -> &mut L {
        &mut self.log
    }

    /// Gives the connection back without leaving anything behind.
    pub fn into_log(self) -> L {
        self.log
    }

    /// State and next offset of every live partition.
    pub fn live(&self) -> impl Iterator<Item = (i32, i64, &Partition)> {
        self.partitions
            .iter()
            .filter(|(_, owned)| matches!(owned.phase, Phase::Live))
            .map(|(partition, owned)| (*partition, owned.next, &owned.state))
    }

    /// Does one unit of work.
    ///
    /// # Errors
    /// [`LogError::Fatal`] only: the connection is of no more use.
    pub fn tick<C, W>(
        &mut self,
        scanner: &mut C,
        work: &mut W,
        board: &Board,
    ) -> Result<Tick, LogError>
    where
        C: Scanner<Scanned = S>,
        W: Work<Scanned = S>,
    {
        let tick = match self.unit(scanner, work, board) {
            Ok(tick) => tick,
            Err(LogError::Fatal(reason)) => return Err(LogError::Fatal(reason)),
            Err(LogError::Rebuild(reason)) => {
                self.must_rebuild(&reason);
                Tick::Failed
            }
            Err(error) => {
                self.back_off(&error);
                Tick::Failed
            }
        };
        if tick == Tick::Committed {
            self.failures = 0;
        }
        self.tell();
        Ok(tick)
    }

    fn unit<C, W>(&mut self, scanner: &mut C, work: &mut W, board: &Board) -> Result<Tick, LogError>
    where
        C: Scanner<Scanned = S>,
        W: Work<Scanned = S>,
    {
        let now = (self.now)();
        if let Some(until) = self.wait_until {
            if now < until {
                let left = Duration::from_millis((until.0 - now.0).unsigned_abs());
                self.look(left.min(self.settings.poll_wait))?;
                return Ok(Tick::Waited);
            }
            self.wait_until = None;
        }
        if self.rebuild {
            self.begin_anew()?;
            return Ok(Tick::Moved);
        }
        let Some(standing) = board.pin(now) else {
            self.hold()?;
            self.look(self.settings.poll_wait)?;
            return Ok(Tick::Waited);
        };
        self.release()?;
        if !self.pending.is_empty() {
            self.look(Duration::ZERO)?;
            return self.attempt(scanner, work, &standing, None);
        }
        if let Some(partition) = self.to_warm(now) {
            self.warm(partition, work)?;
            return Ok(Tick::Moved);
        }
        let jobs = self.due(now, &standing.orders, &work.waiting())?;
        if !jobs.is_empty() && self.run_due(work, &standing, &jobs)? == Tick::Committed {
            return Ok(Tick::Committed);
        }
        self.look_up_lag(now)?;
        let batch = match self.ahead.take() {
            Some(batch) => batch,
            None => match self.gather(self.wait_for_records())? {
                Some(gathered) => gathered.scan([], scanner, &self.metrics),
                None => return Ok(Tick::Idle),
            },
        };
        self.pending.push_back(batch);
        // A log that fails here says the same to the next poll.
        let next = (self.reach == Reach::Ahead)
            .then(|| self.gather(Duration::ZERO).ok().flatten().unwrap_or_default());
        // Orders of this instant: later than every record that they are put to, so that what
        // is appended after an order has been read is never decided without it.
        if let Some(standing) = board.pin((self.now)()) {
            self.attempt(scanner, work, &standing, next)
        } else {
            self.keep(next.map(|next| next.scan([], scanner, &self.metrics)));
            Ok(Tick::Waited)
        }
    }

    // --- assignment ---

    /// Lets the log tell about a changed assignment; records stay where they are. Returns
    /// the partitions that went.
    fn look(&mut self, wait: Duration) -> Result<Vec<i32>, LogError> {
        let polled = self.log.poll(wait, 0)?;
        self.reassign(&polled);
        Ok(if let Polled::Revoked(gone) = polled { gone } else { Vec::new() })
    }

    fn reassign(&mut self, polled: &Polled) {
        match polled {
            Polled::Idle | Polled::Records(_) => {}
            Polled::Assigned(partitions) => {
                self.joined = true;
                self.metrics.assigned.add(partitions.len() as u64);
                tracing::info!(lane = self.number, ?partitions, "partitions assigned");
                for &partition in partitions {
                    self.partitions.insert(partition, Owned::cold());
                }
            }
            Polled::Revoked(partitions) => {
                self.metrics.revoked.add(partitions.len() as u64);
                tracing::info!(lane = self.number, ?partitions, "partitions revoked");
                for partition in partitions {
                    self.partitions.remove(partition);
                    for batch in self.pending.iter_mut().chain(&mut self.ahead) {
                        batch.forget(*partition);
                    }
                }
                self.pending.retain(|batch| !batch.is_empty());
                self.ahead.take_if(|batch| batch.is_empty());
            }
        }
    }

    fn to_warm(&self, now: Millis) -> Option<i32> {
        self.partitions.iter().find_map(|(partition, owned)| match owned.phase {
            Phase::Warming { after, .. } if after <= now => Some(*partition),
            _ => None,
        })
    }

    /// Makes one partition live. A log that does not answer costs only this partition its time.
    fn warm<W: Work>(&mut self, partition: i32, work: &W) -> Result<(), LogError> {
        let started = Instant::now();
        match self.read_state(partition, work) {
            Ok(owned) => {
                self.metrics.time(|timings| {
                    timings.restore_ms.saturating_record(started.elapsed().as_millis() as u64);
                });
                tracing::info!(
                    lane = self.number,
                    partition,
                    next = owned.next,
                    entries = owned.state.len(),
                    "partition live"
                );
                self.partitions.insert(partition, owned);
                // Orders that this partition has not applied must not wait for its first record.
                self.orders_seen = None;
                Ok(())
            }
            Err(LogError::Retry(reason) | LogError::Moved(reason) | LogError::Abort(reason)) => {
                let now = (self.now)();
                let settings = &self.settings;
                if let Some(Owned { phase: Phase::Warming { after, failures }, .. }) =
                    self.partitions.get_mut(&partition)
                {
                    if *failures == 0 {
                        tracing::warn!(lane = self.number, partition, reason, "not live yet");
                    }
                    *after = now.plus(settings.wait(*failures));
                    *failures = failures.saturating_add(1);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn read_state<W: Work>(&mut self, partition: i32, work: &W) -> Result<Owned, LogError> {
        let committed = self.log.committed(&[partition])?;
        let next = committed
            .get(&partition)
            .copied()
            .ok_or_else(|| LogError::Retry("the committed offset was not told".into()))?;
        self.log.seek(&BTreeMap::from([(partition, next)]))?;
        let mut state = Partition::default();
        if work.keeps_state() {
            self.restore(&mut state, partition, work)?;
        }
        // Last, so that a partition never counts as live while its records do not flow; what
        // flows into a partition that is not live is thrown away, and the seek repeated.
        self.log.resume(&[partition])?;
        Ok(Owned { phase: Phase::Live, state, next, polled: next })
    }

    fn restore<W: Work>(
        &mut self,
        state: &mut Partition,
        partition: i32,
        work: &W,
    ) -> Result<(), LogError> {
        self.log.restore(partition, &mut |key, value| {
            state.restore(key, value).map_err(|error| LogError::Retry(error.to_string()))
        })?;
        let last = self.log.last_record(Topic::Audit, partition)?;
        work.check(partition, state, last.as_deref()).map_err(|reason| {
            self.metrics.chain_breaks.add(1);
            tracing::error!(
                lane = self.number,
                partition,
                reason,
                "the audit chain does not fit the state; the partition stays closed"
            );
            LogError::Retry(reason)
        })
    }

    // --- orders out of date ---

    fn hold(&mut self) -> Result<(), LogError> {
        if !self.held {
            let live: Vec<i32> = self.live().map(|(partition, ..)| partition).collect();
            self.log.pause(&live)?;
            self.held = true;
            tracing::warn!(lane = self.number, "orders may be out of date: partitions are held");
        }
        Ok(())
    }

    fn release(&mut self) -> Result<(), LogError> {
        if self.held {
            let live: Vec<i32> = self.live().map(|(partition, ..)| partition).collect();
            self.log.resume(&live)?;
            self.held = false;
            tracing::info!(lane = self.number, "orders are fresh again: partitions flow");
        }
        Ok(())
    }

    // --- batches ---

    /// Attempts at the first pending batch while `next` is scanned. Scans are kept as long as
    /// only the transaction is to be repeated.
    fn attempt<C, W>(
        &mut self,
        scanner: &mut C,
        work: &mut W,
        standing: &Standing,
        next: Option<Gathered>,
    ) -> Result<Tick, LogError>
    where
        C: Scanner<Scanned = S>,
        W: Work<Scanned = S>,
    {
        let Some(mut batch) = self.pending.pop_front() else {
            self.keep(next.map(|next| next.scan([], scanner, &self.metrics)));
            return Ok(Tick::Moved);
        };
        let (tried, ahead) = match next {
            None => (self.transactions(work, standing, &batch, &mut |_| 0), None),
            Some(next) => {
                let metrics = Arc::clone(&self.metrics);
                let scanner = &mut *scanner;
                let (mut intake, behind) = self.intake(&next);
                std::thread::scope(|scope| {
                    let ahead = scope.spawn(move || next.scan(behind, scanner, &metrics));
                    let tried = self
                        .transactions(work, standing, &batch, &mut |records| intake.take(records));
                    self.close(intake);
                    // A scan's own panics are caught record by record.
                    (tried, Some(ahead.join().unwrap_or_else(|panic| resume_unwind(panic))))
                })
            }
        };
        self.keep(ahead);
        for batch in self.ahead.iter_mut().chain([&mut batch]) {
            for &partition in &tried.gone {
                batch.forget(partition);
            }
        }
        self.ahead.take_if(|batch| batch.is_empty());
        match tried.outcome {
            Ok(None) => Ok(Tick::Moved),
            Ok(Some(effects)) => {
                self.pace(&batch, tried.took, Duration::from_micros(effects.commit_us));
                let behind = batch.tell(&self.metrics, &effects.inspected, (self.now)());
                self.metrics.lane(self.number, |lane| lane.behind_ms = behind);
                self.merge(effects);
                Ok(Tick::Committed)
            }
            Err(Broken::Log(error @ (LogError::Fatal(_) | LogError::Rebuild(_)))) => Err(error),
            Err(Broken::Log(LogError::Moved(_))) => {
                self.pending.push_front(batch);
                Ok(Tick::Failed)
            }
            Err(Broken::Unseen(error)) => {
                self.pending.push_front(batch);
                Err(error)
            }
            Err(Broken::Log(error @ LogError::Retry(_))) => {
                self.abort()?;
                self.pending.push_front(batch);
                Err(error)
            }
            Err(Broken::Log(error @ LogError::Abort(_))) => {
                self.blame(scanner, batch, tried.aborted);
                Err(error)
            }
            Err(Broken::Panic { partition, offset }) => {
                self.metrics.panics.add(1);
                tracing::error!(
                    partition,
                    offset,
                    "panic while deciding: the record is turned away"
                );
                self.abort()?;
                batch.poison(scanner, partition, offset);
                self.pending.push_front(batch);
                Ok(Tick::Failed)
            }
            Err(Broken::TimerPanic { partition }) => {
                self.metrics.panics.add(1);
                self.abort()?;
                self.pending.push_front(batch);
                Err(LogError::Retry(format!("orders or timers of partition {partition} panicked")))
            }
        }
    }

    /// Keeps what was scanned ahead, if there is anything.
    fn keep(&mut self, ahead: Option<Batch<S>>) {
        if let Some(ahead) = ahead.filter(|ahead| !ahead.is_empty()) {
            self.metrics.scanned_ahead.add(ahead.len() as u64);
            self.ahead = Some(ahead);
        }
    }

    /// Transactions of one batch until one is committed, or says what else must be done.
    fn transactions<W>(
        &mut self,
        work: &mut W,
        standing: &Standing,
        batch: &Batch<S>,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Tried
    where
        W: Work<Scanned = S>,
    {
        let started = Instant::now();
        let (mut gone, mut aborted) = (BTreeSet::new(), 0);
        let outcome = loop {
            let jobs: Vec<_> = batch
                .parts
                .iter()
                .filter(|(partition, _)| !gone.contains(*partition))
                .filter_map(|(&partition, records)| {
                    let state = &self.partitions.get(&partition)?.state;
                    let next = records.last()?.record.offset + 1;
                    Some(Job { partition, state, next, records, timers: None })
                })
                .collect();
            if jobs.is_empty() {
                break Ok(None);
            }
            let error = match transact(&mut self.log, work, standing, jobs, meanwhile) {
                Ok(effects) => break Ok(Some(effects)),
                Err(Broken::Log(error @ (LogError::Moved(_) | LogError::Abort(_)))) => error,
                Err(broken) => break Err(broken),
            };
            if let Err(error) = self.abort() {
                break Err(Broken::Unseen(error));
            }
            aborted += u32::from(matches!(error, LogError::Abort(_)));
            tracing::info!(lane = self.number, %error, "transaction aborted");
            match self.look(Duration::ZERO) {
                Ok(partitions) => gone.extend(partitions),
                Err(error) => break Err(Broken::Unseen(error)),
            }
            if aborted == ATTEMPTS || matches!(error, LogError::Moved(_)) && gone.is_empty() {
                break Err(Broken::Log(error));
            }
        };
        Tried { outcome, gone, aborted, took: started.elapsed() }
    }

    /// Counts aborts against a batch: after three, its records go one by one; after three
    /// more, the one that stands alone is turned away. Where not even that can be written the
    /// record is not to blame, and it gets its scan back.
    fn blame<C>(&mut self, scanner: &mut C, mut batch: Batch<S>, aborted: u32)
    where
        C: Scanner<Scanned = S>,
    {
        if !batch.aborted(aborted) {
            self.pending.push_front(batch);
        } else if batch.len() > 1 {
            tracing::warn!(lane = self.number, records = batch.len(), "going record by record");
            for single in batch.split().into_iter().rev() {
                self.pending.push_front(single);
            }
        } else {
            let (batch, turned) = batch.turn(scanner, &self.metrics);
            if turned {
                self.metrics.poisoned.add(1);
                tracing::error!(lane = self.number, "a record cannot be written: turned away");
            }
            self.pending.push_front(batch);
        }
    }

    /// Learns how many records fit into the time that a batch may take. Records and commits are
    /// told apart: a commit costs much the same for one record and for thousands, and counted
    /// among the records it would make small batches look as if they had to be small.
    fn pace(&mut self, batch: &Batch<S>, took: Duration, commit: Duration) {
        let records = batch.len();
        // Small batches tell little of a record's cost.
        if records < MIN_BATCH {
            return;
        }
        let commit = commit.as_secs_f64();
        let now = Paid {
            scan: batch.scan_seconds(),
            record: (took.as_secs_f64() - commit).max(0.0) / records as f64,
            commit,
        };
        let learn = |known: f64, now: f64| known.mul_add(0.8, now * 0.2);
        self.paid = Some(self.paid.map_or(now, |known| Paid {
            scan: learn(known.scan, now.scan),
            record: learn(known.record, now.record),
            commit: learn(known.commit, now.commit),
        }));
    }

    /// Records that the next batch may hold.
    fn room(&self) -> usize {
        let open = self.settings.open_ms.saturating_sub(self.settings.batch_ms) as f64 / 1e3;
        let fit = self.paid.map_or(usize::MAX, |paid| {
            // However long commits take, some of the time is for records.
            let records = (open - paid.commit).max(open / 4.0) / paid.record.max(1e-7);
            records.min(open / paid.scan.max(1e-7)) as usize
        });
        fit.clamp(MIN_BATCH.min(self.settings.batch_records), self.settings.batch_records)
    }

    /// Gives the open transaction up; where even that fails the producer goes.
    fn abort(&mut self) -> Result<(), LogError> {
        self.metrics.aborts.add(1);
        match self.log.abort() {
            Ok(()) => Ok(()),
            Err(LogError::Fatal(reason)) => Err(LogError::Fatal(reason)),
            Err(error) => Err(LogError::Rebuild(error.to_string())),
        }
    }

    fn merge(&mut self, effects: Effects) {
        let metrics = &self.metrics;
        if !effects.committed {
            return;
        }
        metrics.batches.add(1);
        metrics.outputs.add(effects.outputs);
        metrics.output_bytes.add(effects.output_bytes);
        metrics.state_records.add(effects.state_records);
        metrics.state_bytes.add(effects.state_bytes);
        for outcome in &effects.outcomes {
            metrics.count(outcome);
        }
        metrics.count_streams(effects.closed);
        metrics.time(|timings| {
            timings.transaction_us.saturating_record(effects.commit_us);
        });
        for (partition, part) in effects.parts {
            if let Some(owned) = self.partitions.get_mut(&partition) {
                owned.state.apply(part.changes);
                owned.next = part.next;
            }
        }
    }

    // --- timers, orders and lag of partitions without records ---

    /// Partitions that have something to do although no record came: orders not applied yet,
    /// something to tell, and timers due where the partition stands at its end.
    fn due(
        &mut self,
        now: Millis,
        orders: &Orders,
        telling: &[i32],
    ) -> Result<BTreeMap<i32, Option<Millis>>, LogError> {
        let tell = |(partition, ..): &(i32, i64, &Partition)| telling.contains(partition);
        let mut jobs: BTreeMap<i32, Option<Millis>> =
            self.live().filter(tell).map(|(partition, ..)| (partition, None)).collect();
        if self.orders_seen != Some(orders.offset) {
            jobs.extend(self.live().map(|(partition, ..)| (partition, None)));
            self.orders_seen = Some(orders.offset);
        }
        if now.0.saturating_sub(self.timers_checked.0) < self.settings.timer_check_ms {
            return Ok(jobs);
        }
        self.timers_checked = now;
        let until = now.plus(-self.settings.timer_margin_ms);
        let waiting: Vec<i32> = self
            .live()
            .filter(|(.., state)| state.next_deadline().is_some_and(|due| due <= until))
            .map(|(partition, ..)| partition)
            .collect();
        if waiting.is_empty() {
            return Ok(jobs);
        }
        // The wall clock was read before the end is: what is appended later has a later
        // timestamp, as long as the clocks agree to within the margin.
        for (partition, end) in self.log.ends(&waiting)? {
            if self.partitions.get(&partition).is_some_and(|owned| owned.next >= end) {
                jobs.insert(partition, Some(until));
            }
        }
        Ok(jobs)
    }

    fn run_due<W: Work>(
        &mut self,
        work: &mut W,
        standing: &Standing,
        due: &BTreeMap<i32, Option<Millis>>,
    ) -> Result<Tick, LogError> {
        let jobs = due
            .iter()
            .filter_map(|(&partition, &timers)| {
                let owned = self.partitions.get(&partition)?;
                Some(Job { partition, state: &owned.state, next: owned.next, records: &[], timers })
            })
            .collect();
        match transact(&mut self.log, work, standing, jobs, &mut |_| 0) {
            Ok(effects) => {
                let tick = if effects.committed { Tick::Committed } else { Tick::Idle };
                self.merge(effects);
                Ok(tick)
            }
            Err(broken) => {
                // Orders must be offered again, and timers are found again by their deadline.
                self.orders_seen = None;
                let error = match broken {
                    Broken::Log(error) | Broken::Unseen(error) => error,
                    Broken::Panic { partition, .. } | Broken::TimerPanic { partition } => {
                        self.metrics.panics.add(1);
                        LogError::Retry(format!("a timer of partition {partition} panicked"))
                    }
                };
                match error {
                    LogError::Fatal(_) | LogError::Rebuild(_) => Err(error),
                    LogError::Moved(_) => {
                        self.abort()?;
                        self.look(Duration::ZERO)?;
                        Ok(Tick::Failed)
                    }
                    LogError::Retry(_) | LogError::Abort(_) => {
                        self.abort()?;
                        Err(error)
                    }
                }
            }
        }
    }

    fn look_up_lag(&mut self, now: Millis) -> Result<(), LogError> {
        if now.0.saturating_sub(self.lag_checked.0) < self.settings.lag_ms {
            return Ok(());
        }
        self.lag_checked = now;
        let live: Vec<i32> = self.live().map(|(partition, ..)| partition).collect();
        let ends = if live.is_empty() { BTreeMap::new() } else { self.log.ends(&live)? };
        let lag = ends
            .into_iter()
            .filter_map(|(partition, end)| {
                let owned = self.partitions.get(&partition)?;
                Some((partition, (end - owned.next).max(0)))
            })
            .collect();
        self.metrics.lane(self.number, |lane| lane.lag = lag);
        Ok(())
    }

    // --- failures ---

    fn must_rebuild(&mut self, reason: &str) {
        tracing::warn!(lane = self.number, reason, "rebuilding the producer");
        self.rebuild = true;
        self.pending.clear();
        self.ahead = None;
    }

    /// A new producer, and every partition from its committed offset and state.
    fn begin_anew(&mut self) -> Result<(), LogError> {
        let all: Vec<i32> = self.partitions.keys().copied().collect();
        self.log.pause(&all)?;
        self.log.rebuild()?;
        self.metrics.rebuilds.add(1);
        self.pending.clear();
        self.ahead = None;
        for owned in self.partitions.values_mut() {
            *owned = Owned::cold();
        }
        self.rebuild = false;
        Ok(())
    }

    fn back_off(&mut self, error: &LogError) {
        if self.failures == 0 {
            tracing::warn!(lane = self.number, %error, "waiting before the next attempt");
        }
        self.metrics.waits.add(1);
        self.wait_until = Some((self.now)().plus(self.settings.wait(self.failures)));
        self.failures = self.failures.saturating_add(1);
    }

    fn tell(&self) {
        let warming = self.partitions.values().any(|owned| !matches!(owned.phase, Phase::Live));
        let state = if self.wait_until.is_some() || self.rebuild {
            LaneState::Waiting
        } else if self.held {
            LaneState::Held
        } else if !self.joined {
            LaneState::Joining
        } else if warming {
            LaneState::Warming
        } else {
            LaneState::Running
        };
        let now = (self.now)();
        let partitions = self.partitions.len();
        let streams = self.live().map(|(.., state)| state.count(owner::STREAM)).sum();
        self.metrics.lane(self.number, |lane| {
            lane.state = state;
            lane.partitions = partitions;
            lane.streams = streams;
            lane.ticked = now;
        });
    }
}

impl Owned {
    fn cold() -> Self {
        Self {
            phase: Phase::Warming { after: Millis(i64::MIN), failures: 0 },
            state: Partition::default(),
            next: 0,
            polled: 0,
        }
    }
}

impl Settings {
    fn wait(&self, failures: u32) -> i64 {
        self.wait_min_ms.saturating_mul(1 << failures.min(10)).min(self.wait_max_ms)
    }
}
