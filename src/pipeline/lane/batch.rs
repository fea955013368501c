//! A batch: records with their scans, by partition, kept until their transaction commits.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{ATTEMPTS, Lane, Phase};
use crate::event::Millis;
use crate::pipeline::log::{InRecord, Log, LogError, Polled};
use crate::pipeline::metrics::Metrics;
use crate::pipeline::work::{Poison, Work};

/// Records asked for in one poll: small enough that the gathering time is looked at often.
const POLL_RECORDS: usize = 128;

struct Item {
    record: InRecord,
    turned_away: Option<Poison>,
}

/// One record and what the stateless half found in it; lives as long as the attempts of one tick.
pub(super) struct Scan<'b, S> {
    pub(super) record: &'b InRecord,
    pub(super) scanned: S,
    pub(super) took: Duration,
    pub(super) panicked: bool,
}

#[derive(Default)]
pub(super) struct Batch {
    parts: BTreeMap<i32, Vec<Item>>,
    len: usize,
    bytes: usize,
    opened: Option<Instant>,
    attempts: u32,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, item: Item) {
        self.len += 1;
        self.bytes += item.record.value.as_ref().map_or(0, Vec::len);
        self.parts.entry(item.record.partition).or_default().push(item);
    }

    /// Drops the records of a partition that has gone.
    pub(super) fn forget(&mut self, partition: i32) {
        if let Some(items) = self.parts.remove(&partition) {
            self.len -= items.len();
            self.bytes -= items
                .iter()
                .map(|item| item.record.value.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
        }
    }

    /// One batch for each record, in order.
    pub(super) fn split(self) -> Vec<Self> {
        let opened = self.opened;
        let single = |item| {
            let mut batch = Self { opened, ..Self::default() };
            batch.push(item);
            batch
        };
        self.parts.into_values().flatten().map(single).collect()
    }

    /// The stateless half of every record; a panic turns that record away.
    pub(super) fn scan<W: Work>(
        &self,
        work: &mut W,
        metrics: &Metrics,
    ) -> BTreeMap<i32, Vec<Scan<'_, W::Scanned<'_>>>> {
        let mut scans = BTreeMap::new();
        for (&partition, items) in &self.parts {
            let part: Vec<_> = items.iter().map(|item| scan(work, item, metrics)).collect();
            scans.insert(partition, part);
        }
        scans
    }

    /// Turns one record away from now on.
    pub(super) fn poison(&mut self, partition: i32, offset: i64, why: Poison) {
        let items = self.parts.get_mut(&partition).into_iter().flatten();
        for item in items.filter(|item| item.record.offset == offset) {
            item.turned_away = Some(why);
        }
    }

    /// Counts attempts that were aborted, and says whether a culprit must be looked for.
    pub(super) fn aborted(&mut self, times: u32) -> bool {
        self.attempts += times;
        self.attempts >= ATTEMPTS
    }

    /// Turns the batch's records away, or, where they were turned away already, gives them
    /// back their scan. Says whether they are turned away now.
    pub(super) fn turn(&mut self) -> bool {
        self.attempts = 0;
        let mut turned = false;
        for item in self.parts.values_mut().flatten() {
            item.turned_away = match item.turned_away {
                None => Some(Poison::Unwritable),
                Some(Poison::Unwritable) => None,
                panicked => panicked,
            };
            turned |= item.turned_away == Some(Poison::Unwritable);
        }
        turned
    }

    /// Counts the committed batch; returns the age of its oldest record.
    pub(super) fn tell(&self, metrics: &Metrics, inspected: &[Duration], now: Millis) -> i64 {
        metrics.events.add(self.len as u64);
        metrics.event_bytes.add(self.bytes as u64);
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

fn scan<'b, W: Work>(work: &mut W, item: &'b Item, metrics: &Metrics) -> Scan<'b, W::Scanned<'b>> {
    let record = &item.record;
    let started = Instant::now();
    let mut panicked = false;
    let scanned = if let Some(why) = item.turned_away {
        work.poisoned(record, why)
    } else if let Ok(scanned) = catch_unwind(AssertUnwindSafe(|| work.scan(record))) {
        scanned
    } else {
        panicked = true;
        work.reset();
        metrics.panics.add(1);
        tracing::error!(
            partition = record.partition,
            offset = record.offset,
            "panic while scanning: the record is turned away"
        );
        work.poisoned(record, Poison::Panicked)
    };
    Scan { record, scanned, took: started.elapsed(), panicked }
}

impl<L: Log> Lane<L> {
    /// Polls until the queue is drained, the batch is full or its time is up. Nothing where
    /// no record came.
    pub(super) fn gather(&mut self) -> Result<Option<Batch>, LogError> {
        let mut batch = Batch::default();
        let mut wait = self.wait_for_records();
        let limit = self.room();
        loop {
            let room = (limit - batch.len()).min(POLL_RECORDS);
            let polled = match self.log.poll(wait, room) {
                Ok(polled) => polled,
                Err(error) if batch.is_empty() => return Err(error),
                // What was gathered goes its way; the next poll will say the same again.
                Err(_) => break,
            };
            match polled {
                Polled::Idle => break,
                Polled::Records(records) => {
                    for record in records {
                        self.take(&mut batch, record);
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
            let since = batch.opened.map_or(Duration::ZERO, |opened| opened.elapsed());
            if since >= Duration::from_millis(self.settings.batch_ms.unsigned_abs())
                || batch.len() >= limit
                || batch.bytes >= self.settings.batch_bytes
            {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Adds one record unless the lane holds or has processed it already.
    fn take(&mut self, batch: &mut Batch, record: InRecord) {
        let Some(owned) = self.partitions.get_mut(&record.partition) else { return };
        if !matches!(owned.phase, Phase::Live) || record.offset < owned.polled {
            return;
        }
        owned.polled = record.offset + 1;
        batch.opened.get_or_insert_with(Instant::now);
        batch.push(Item { record, turned_away: None });
    }

    /// The poll's longest wait, shorter when a timer falls due.
    fn wait_for_records(&self) -> Duration {
        let wait = self.settings.poll_wait;
        let Some(due) = self.live().filter_map(|(.., state)| state.next_deadline()).min() else {
            return wait;
        };
        let fires = due.plus(self.settings.timer_margin_ms);
        let left = fires.0.saturating_sub((self.now)().0).max(self.settings.timer_check_ms);
        wait.min(Duration::from_millis(left.unsigned_abs()))
    }
}
