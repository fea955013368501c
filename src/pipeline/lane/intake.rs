//! What comes while a batch commits, on its way to the thread that scans the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::batch::{Gathered, size};
use super::{Lane, Phase};
use crate::pipeline::log::{InRecord, Log};

/// Records that may wait for their scan: what has not been scanned when the commit is done
/// keeps the batch waiting.
const QUEUE: usize = 64;

/// Takes records as long as the next batch has room for them.
pub(super) struct Intake {
    scan: Sender<InRecord>,
    waiting: Arc<AtomicUsize>,
    records: usize,
    bytes: usize,
    /// Next offset that may be taken, by live partition.
    polled: BTreeMap<i32, i64>,
}

/// The same records, for the thread that scans them; ends with the intake.
pub(super) struct Behind {
    came: Receiver<InRecord>,
    waiting: Arc<AtomicUsize>,
}

impl Iterator for Behind {
    type Item = InRecord;

    fn next(&mut self) -> Option<InRecord> {
        let record = self.came.recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(record)
    }
}

impl Intake {
    /// Takes what is new to the lane; says how much more there is room for.
    pub(super) fn take(&mut self, records: Vec<InRecord>) -> usize {
        for record in records {
            let Some(polled) = self.polled.get_mut(&record.partition) else { continue };
            if record.offset < *polled {
                continue;
            }
            let (offset, bytes) = (record.offset, size(&record));
            self.waiting.fetch_add(1, Ordering::Relaxed);
            if self.scan.send(record).is_err() {
                return 0;
            }
            *polled = offset + 1;
            self.records = self.records.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        let queue = QUEUE.saturating_sub(self.waiting.load(Ordering::Relaxed));
        if self.bytes == 0 { 0 } else { self.records.min(queue) }
    }
}

impl<L: Log, S: Send> Lane<L, S> {
    /// Two ends of a way into the next batch, of which `next` is already there.
    pub(super) fn intake(&self, next: &Gathered) -> (Intake, Behind) {
        let (scan, came) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let intake = Intake {
            scan,
            waiting: Arc::clone(&waiting),
            records: self.room().saturating_sub(next.len()),
            bytes: self.settings.batch_bytes.saturating_sub(next.bytes()),
            polled: self
                .partitions
                .iter()
                .filter(|(_, owned)| matches!(owned.phase, Phase::Live))
                .map(|(&partition, owned)| (partition, owned.polled))
                .collect(),
        };
        (intake, Behind { came, waiting })
    }

    /// Closes the way in, and remembers what came by it.
    pub(super) fn close(&mut self, intake: Intake) {
        for (partition, polled) in intake.polled {
            if let Some(owned) = self.partitions.get_mut(&partition)
                && matches!(owned.phase, Phase::Live)
            {
                owned.polled = polled;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;

    fn record(partition: i32, offset: i64) -> InRecord {
        InRecord {
            partition,
            offset,
            timestamp: Millis(0),
            key: None,
            value: Some(vec![b'x'; 10]),
            headers: Vec::new(),
        }
    }

    fn ends(records: usize, bytes: usize) -> (Intake, Behind) {
        let (scan, came) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let polled = BTreeMap::from([(0, 5), (1, 0)]);
        let intake = Intake { scan, waiting: Arc::clone(&waiting), records, bytes, polled };
        (intake, Behind { came, waiting })
    }

    #[test]
    fn what_is_known_or_nobodys_is_left_out() {
        let (mut intake, behind) = ends(10, 1_000);
        let came = [record(0, 4), record(0, 5), record(2, 0), record(1, 0), record(0, 5)];
        assert_eq!(intake.take(came.to_vec()), 8);
        assert_eq!(intake.polled, BTreeMap::from([(0, 6), (1, 1)]));
        drop(intake);
        let taken: Vec<_> = behind.map(|record| (record.partition, record.offset)).collect();
        assert_eq!(taken, [(0, 5), (1, 0)]);
    }

    #[test]
    fn there_is_room_for_records_bytes_and_the_queue() {
        let (mut intake, mut behind) = ends(1_000, 10_000);
        assert_eq!(intake.take(Vec::new()), QUEUE);
        let came: Vec<_> = (0..60).map(|offset| record(1, offset)).collect();
        assert_eq!(intake.take(came), QUEUE - 60);
        assert!(behind.next().is_some());
        assert_eq!(intake.take(Vec::new()), QUEUE - 59, "what is being scanned does not wait");
        let (mut intake, _behind) = ends(2, 10_000);
        assert_eq!(intake.take(vec![record(1, 0)]), 1);
        assert_eq!(intake.take(vec![record(1, 1)]), 0, "the batch is full");
        let (mut intake, _behind) = ends(1_000, 15);
        assert_eq!(intake.take(vec![record(1, 0), record(1, 1)]), 0, "its bytes are there");
    }
}
