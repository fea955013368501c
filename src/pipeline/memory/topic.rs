//! One partition of one topic: records, markers, and what readers may see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::Millis;
use crate::pipeline::log::{Headers, InRecord};

/// A record as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Position in the partition.
    pub offset: i64,
    /// When it was appended.
    pub timestamp: Millis,
    /// Record key.
    pub key: Option<Vec<u8>>,
    /// Record value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Record headers.
    pub headers: Headers,
}

impl Stored {
    /// The record as a reader of this partition gets it.
    #[must_use]
    pub fn to_record(&self, partition: i32) -> InRecord {
        InRecord {
            partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.clone(),
        }
    }
}

enum Slot {
    Record {
        transaction: Option<u64>,
        stored: Arc<Stored>,
    },
    /// The end of a transaction; it takes an offset and is never handed out.
    Marker,
}

/// Slots by offset. Kafka stamps records with the time of appending; so does this.
#[derive(Default)]
pub(super) struct PartitionLog {
    slots: Vec<Slot>,
    /// Open transactions and their first offsets.
    open: BTreeMap<u64, i64>,
    aborted: BTreeSet<u64>,
}

impl PartitionLog {
    pub(super) fn append(
        &mut self,
        timestamp: Millis,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Headers,
        transaction: Option<u64>,
    ) -> i64 {
        let offset = self.end();
        if let Some(transaction) = transaction {
            self.open.entry(transaction).or_insert(offset);
        }
        let stored = Arc::new(Stored { offset, timestamp, key, value, headers });
        self.slots.push(Slot::Record { transaction, stored });
        offset
    }

    pub(super) fn finish(&mut self, transaction: u64, commit: bool) {
        if self.open.remove(&transaction).is_some() {
            if !commit {
                self.aborted.insert(transaction);
            }
            self.slots.push(Slot::Marker);
        }
    }

    /// One past the last slot.
    pub(super) fn end(&self) -> i64 {
        self.slots.len() as i64
    }

    /// One past the last slot that is decided: the first offset of an open transaction, or the end.
    pub(super) fn stable_end(&self) -> i64 {
        self.open.values().min().copied().unwrap_or_else(|| self.end())
    }

    pub(super) fn read(&self, from: i64, max: usize) -> (Vec<Arc<Stored>>, i64) {
        let mut records = Vec::new();
        let mut next = from.max(0);
        while next < self.stable_end() && records.len() < max {
            if let Some(stored) = self.visible(next) {
                records.push(Arc::clone(stored));
            }
            next += 1;
        }
        (records, next)
    }

    pub(super) fn last(&self) -> Option<&Arc<Stored>> {
        (0..self.stable_end()).rev().find_map(|offset| self.visible(offset))
    }

    /// Whether a committed record lies at or past `from`.
    pub(super) fn any_from(&self, from: i64) -> bool {
        (from.max(0)..self.stable_end()).any(|offset| self.visible(offset).is_some())
    }

    fn visible(&self, offset: i64) -> Option<&Arc<Stored>> {
        match self.slots.get(usize::try_from(offset).ok()?)? {
            Slot::Record { transaction, stored } => {
                let aborted = transaction.is_some_and(|id| self.aborted.contains(&id));
                (!aborted).then_some(stored)
            }
            Slot::Marker => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(log: &PartitionLog) -> Vec<Vec<u8>> {
        log.read(0, usize::MAX).0.iter().map(|stored| stored.value.clone().unwrap()).collect()
    }

    #[test]
    fn readers_stop_at_the_first_open_transaction_and_skip_aborted_ones() {
        let mut log = PartitionLog::default();
        let put = |log: &mut PartitionLog, value: &str, transaction| {
            log.append(Millis(0), None, Some(value.into()), Headers::new(), transaction)
        };
        put(&mut log, "a", None);
        put(&mut log, "b", Some(1));
        put(&mut log, "c", Some(2));
        put(&mut log, "d", None);
        assert_eq!(values(&log), [b"a".to_vec()]);
        log.finish(2, true);
        assert_eq!(values(&log), [b"a".to_vec()], "the first transaction is still open");
        log.finish(1, false);
        assert_eq!(values(&log), [b"a".to_vec(), b"c".to_vec(), b"d".to_vec()]);
        assert_eq!(log.end(), 6, "both markers take an offset");
        assert!(log.any_from(3));
        assert!(!log.any_from(4), "only markers");
    }
}
