//! What partitions tell each other, read on a thread of its own into a table that lanes pin.
//!
//! Every partition writes the entries of its ledgers to its own partition of one topic, in the
//! transaction that also commits the events that they come from; every instance reads all of
//! them. A lane takes the latest table for each partition's part of a transaction. Until the
//! topic was read to its end for the first time the [`Board`] stays shut, and partitions wait;
//! later the table is as fresh as the log is quick. A table that lags cannot make two runs
//! differ: what of it was looked at is named in audit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::inspect::Table;
use crate::pipeline::control::Board;
use crate::pipeline::log::{InRecord, LogError};

/// What a look at the topic brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// New records; those of a partition in offset order.
    pub records: Vec<InRecord>,
    /// Whether every partition has been read to its end.
    pub caught_up: bool,
}

/// A reader of all partitions of the topic, from their beginning.
pub trait SharedLog {
    /// Reads what there is; waits up to `wait` where there is nothing new.
    ///
    /// # Errors
    /// [`LogError::Retry`] where the log did not answer; anything else where only a new reader helps.
    fn refresh(&mut self, wait: Duration) -> Result<News, LogError>;
}

/// A table is handed out this often at most: what changes meanwhile is copied once.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for news.
const WAIT: Duration = Duration::from_millis(100);

/// The latest table.
#[derive(Debug, Default)]
pub struct Known {
    table: Mutex<Arc<Table>>,
    wanted: bool,
    /// Records that were read.
    records: AtomicU64,
    /// Records among them that are no entries.
    unreadable: AtomicU64,
}

impl Known {
    /// Nothing is known yet. `wanted`: whether anybody is to read the topic.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Whether anybody is to read the topic.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// The table as it stands now.
    #[must_use]
    pub fn pin(&self) -> Arc<Table> {
        Arc::clone(&self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another table.
    pub fn publish(&self, table: Table) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// Records read, and those among them that are no entries.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.records.load(Ordering::Relaxed), self.unreadable.load(Ordering::Relaxed))
    }
}

/// Takes records into a table.
pub fn take(table: &mut Table, records: &[InRecord], known: &Known) {
    for record in records {
        let key = record.key.as_deref().unwrap_or_default();
        let place = (record.partition, record.offset);
        if let Err(error) = table.apply(place, key, record.value.as_deref()) {
            let before = known.unreadable.fetch_add(1, Ordering::Relaxed);
            if before == 0 {
                let (partition, offset) = place;
                tracing::warn!(partition, offset, %error, "a shared record is passed over");
            }
        }
    }
    known.records.fetch_add(records.len() as u64, Ordering::Relaxed);
}

/// Reads the topic until `stop`, or until only a new reader helps; then the table begins anew,
/// and the former one stays in force until the end is reached again.
///
/// # Errors
/// What the reader gave up with.
pub fn follow(
    source: &mut impl SharedLog,
    known: &Known,
    board: &Board,
    stop: &AtomicBool,
) -> Result<(), LogError> {
    let mut table = Table::default();
    let mut reached = false;
    let mut failures = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        match source.refresh(if reached { WAIT } else { Duration::ZERO }) {
            Ok(news) => {
                failures = 0;
                take(&mut table, &news.records, known);
                let first = news.caught_up && !reached;
                reached |= news.caught_up;
                if first || (reached && !news.records.is_empty()) {
                    let begun = Instant::now();
                    known.publish(table.clone());
                    if first {
                        tracing::info!(entries = table.len(), "what partitions share was read");
                        board.open();
                    }
                    // Copying what changed takes longer the more changed.
                    std::thread::sleep(PAUSE.max(begun.elapsed()));
                }
            }
            Err(LogError::Retry(reason)) => {
                if failures == 0 {
                    tracing::warn!(reason, "cannot read what partitions share, trying again");
                }
                failures = failures.saturating_add(1);
                std::thread::sleep(Duration::from_millis(50 << failures.min(4)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
