//! A batch: records by partition, gathered, then scanned, then kept until their transaction commits.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{ATTEMPTS, Lane, Phase};
use crate::event::Millis;
use crate::pipeline::log::{InRecord, Log, LogError, Polled};
use crate::pipeline::metrics::Metrics;
use crate::pipeline::work::{Poison, Scanner};

/// Records asked for in one poll: small enough that the gathering time is looked at often.
const POLL_RECORDS: usize = 128;

/// One record and what the stateless half found in it.
pub(super) struct Item<S> {
    pub(super) record: InRecord,
    pub(super) scanned: S,
    /// What the scan took.
    pub(super) took: Duration,
    turned_away: Option<Poison>,
}

impl<S> Item<S> {
    fn scan<C: Scanner<Scanned = S>>(scanner: &mut C, record: InRecord, metrics: &Metrics) -> Self {
        let started = Instant::now();
        let (found, turned_away) = if let Some(found) = guarded(|| scanner.scan(&record)) {
            (found, None)
        } else {
            scanner.reset();
            metrics.panics.add(1);
            tracing::error!(
                partition = record.partition,
                offset = record.offset,
                "panic while scanning: the record is turned away"
            );
            (scanner.poisoned(&record, Poison::Panicked), Some(Poison::Panicked))
        };
        Self { record, scanned: found, took: started.elapsed(), turned_away }
    }

    fn turn_away<C: Scanner<Scanned = S>>(&mut self, scanner: &mut C, why: Poison) {
        self.scanned = scanner.poisoned(&self.record, why);
        self.turned_away = Some(why);
    }
}

/// Records by partition: as they came ([`Gathered`]), or scanned ([`Batch`]).
pub(super) struct Parted<T> {
    pub(super) parts: BTreeMap<i32, Vec<T>>,
    opened: Option<Instant>,
    attempts: u32,
}

/// What a poll brought.
pub(super) type Gathered = Parted<InRecord>;
/// What goes into a transaction, as often as it takes.
pub(super) type Batch<S> = Parted<Item<S>>;

impl<T> Default for Parted<T> {
    fn default() -> Self {
        Self { parts: BTreeMap::new(), opened: None, attempts: 0 }
    }
}

impl<T> Parted<T> {
    pub(super) fn len(&self) -> usize {
        self.parts.values().map(Vec::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Drops the records of a partition that has gone.
    pub(super) fn forget(&mut self, partition: i32) {
        self.parts.remove(&partition);
    }
}

impl Gathered {
    /// Bytes of the records' values.
    pub(super) fn bytes(&self) -> usize {
        self.parts.values().flatten().map(size).sum()
    }

    /// The stateless half of every record and of those that come behind them; a panic turns that
    /// record away.
    pub(super) fn scan<C: Scanner>(
        self,
        behind: impl IntoIterator<Item = InRecord>,
        scanner: &mut C,
        metrics: &Metrics,
    ) -> Batch<C::Scanned> {
        let mut batch = Batch { opened: self.opened, ..Batch::default() };
        for record in self.parts.into_values().flatten().chain(behind) {
            batch.opened.get_or_insert_with(Instant::now);
            let partition = record.partition;
            let item = Item::scan(scanner, record, metrics);
            batch.parts.entry(partition).or_default().push(item);
        }
        batch.finish(scanner, metrics);
        batch
    }
}

impl<S> Batch<S> {
    /// Waits for what scans still lack. A panic leaves them as they are, which says so.
    fn finish<C: Scanner<Scanned = S>>(&mut self, scanner: &mut C, metrics: &Metrics) {
        let items = self.parts.values_mut().flatten();
        let found = items.map(|item| (&item.record, &mut item.scanned));
        if guarded(|| scanner.finish(found)).is_none() {
            metrics.panics.add(1);
            tracing::error!("panic while waiting for scores: the batch goes on without them");
        }
    }

    /// One batch for each record, in order.
    pub(super) fn split(self) -> Vec<Self> {
        let opened = self.opened;
        let single = |item: Item<S>| {
            let mut batch = Self { opened, ..Self::default() };
            batch.parts.insert(item.record.partition, vec![item]);
            batch
        };
        self.parts.into_values().flatten().map(single).collect()
    }

    /// Turns one record away from now on.
    pub(super) fn poison<C: Scanner<Scanned = S>>(
        &mut self,
        scanner: &mut C,
        partition: i32,
        offset: i64,
    ) {
        let items = self.parts.get_mut(&partition).into_iter().flatten();
        for item in items.filter(|item| item.record.offset == offset) {
            item.turn_away(scanner, Poison::Panicked);
        }
    }

    /// Counts attempts that were aborted, and says whether a culprit must be looked for.
    pub(super) fn aborted(&mut self, times: u32) -> bool {
        self.attempts += times;
        self.attempts >= ATTEMPTS
    }

    /// Turns the batch's records away, or, where they were turned away already, gives them
    /// back their scan. Says whether they are turned away now.
    pub(super) fn turn<C: Scanner<Scanned = S>>(
        mut self,
        scanner: &mut C,
        metrics: &Metrics,
    ) -> (Self, bool) {
        self.attempts = 0;
        let mut turned = false;
        for items in self.parts.values_mut() {
            for mut item in std::mem::take(items) {
                match item.turned_away {
                    None => {
                        item.turn_away(scanner, Poison::Unwritable);
                        turned = true;
                    }
                    Some(Poison::Unwritable) => item = Item::scan(scanner, item.record, metrics),
                    Some(Poison::Panicked) => {}
                }
                items.push(item);
            }
        }
        self.finish(scanner, metrics);
        (self, turned)
    }

    /// Seconds that a record's scan took, on average.
    pub(super) fn scan_seconds(&self) -> f64 {
        let items = self.parts.values().flatten();
        let took: Duration = items.map(|item| item.took).sum();
        took.as_secs_f64() / self.len().max(1) as f64
    }

    /// Counts the committed batch; returns the age of its oldest record.
    pub(super) fn tell(&self, metrics: &Metrics, inspected: &[Duration], now: Millis) -> i64 {
        metrics.events.add(self.len() as u64);
        let bytes = self.parts.values().flatten().map(|item| size(&item.record)).sum::<usize>();
        metrics.event_bytes.add(bytes as u64);
        let mut oldest = 0;
        metrics.time(|timings| {
            if let Some(opened) = self.opened {
                timings.batch_us.saturating_record(opened.elapsed().as_micros() as u64);
            }
            for took in inspected {
                timings.inspect_ns.saturating_record(took.as_nanos() as u64);
            }
            for item in self.parts.values().flatten() {
                let age = now.0.saturating_sub(item.record.timestamp.0).max(0);
                oldest = oldest.max(age);
                timings.commit_ms.saturating_record(age.unsigned_abs());
            }
        });
        oldest
    }
}

/// Bytes of a record's value.
pub(super) fn size(record: &InRecord) -> usize {
    record.value.as_ref().map_or(0, Vec::len)
}

/// A panic becomes `None`.
pub(super) fn guarded<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl<L: Log, S: Send> Lane<L, S> {
    /// Polls until the queue is drained, the batch is full or its time is up. Nothing where
    /// no record came within `wait`.
    pub(super) fn gather(&mut self, mut wait: Duration) -> Result<Option<Gathered>, LogError> {
        let mut batch = Gathered::default();
        let (mut records, mut bytes) = (0, 0);
        let limit = self.room();
        loop {
            let polled = match self.log.poll(wait, (limit - records).min(POLL_RECORDS)) {
                Ok(polled) => polled,
                Err(error) if batch.is_empty() => return Err(error),
                // What was gathered goes its way; the next poll will say the same again.
                Err(_) => break,
            };
            match polled {
                Polled::Idle => break,
                Polled::Records(polled) => {
                    for record in polled.into_iter().filter(|record| self.takes(record)) {
                        records += 1;
                        bytes += size(&record);
                        batch.parts.entry(record.partition).or_default().push(record);
                    }
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {
                    if let Polled::Revoked(partitions) = &polled {
                        for partition in partitions {
                            batch.forget(*partition);
                        }
                    }
                    self.reassign(&polled);
                    break;
                }
            }
            let opened = (records > 0).then(|| *batch.opened.get_or_insert_with(Instant::now));
            let time = Duration::from_millis(self.settings.batch_ms.unsigned_abs());
            let full = records >= limit
                || bytes >= self.settings.batch_bytes
                || opened.is_some_and(|opened| opened.elapsed() >= time);
            if full {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Whether the record is new to the lane, which holds or has processed it otherwise.
    fn takes(&mut self, record: &InRecord) -> bool {
        let Some(owned) = self.partitions.get_mut(&record.partition) else { return false };
        let new = matches!(owned.phase, Phase::Live) && record.offset >= owned.polled;
        if new {
            owned.polled = record.offset + 1;
        }
        new
    }

    /// The poll's longest wait, shorter when a timer falls due.
    pub(super) fn wait_for_records(&self) -> Duration {
        let wait = self.settings.poll_wait;
        let Some(due) = self.live().filter_map(|(.., state)| state.next_deadline()).min() else {
            return wait;
        };
        let fires = due.plus(self.settings.timer_margin_ms);
        let left = fires.0.saturating_sub((self.now)().0).max(self.settings.timer_check_ms);
        wait.min(Duration::from_millis(left.unsigned_abs()))
    }
}
