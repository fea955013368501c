//! What a lane does with a record, as the lane sees it.
//!
//! `step` is the real [`Work`]; the simulation also runs a small one whose every output can
//! be told by heart. The stateless half is apart from the stateful one because its result
//! is kept when a transaction aborts: a batch that is tried again is not scanned again.

use std::time::Duration;

use crate::event::Millis;
use crate::inspect::StreamNotes;
use crate::pipeline::control::Standing;
use crate::pipeline::log::{InRecord, OutRecord};
use crate::pipeline::step::Outcome;
use crate::state::{Partition, Staged};

/// Why a record is not to be inspected but turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// Inspecting it panicked.
    Panicked,
    /// No transaction that held what it causes could be committed.
    Unwritable,
}

impl Poison {
    /// The name in the dead letter queue and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Unwritable => "unwritable",
        }
    }
}

/// The stateless half: what a record holds. It may run while another batch commits.
pub trait Scanner: Send {
    /// What was found; kept over an abort.
    type Scanned: Send;

    /// Looks at one record.
    fn scan(&mut self, record: &InRecord) -> Self::Scanned;

    /// Stands in for [`Scanner::scan`] where the record must be turned away: it leads to a
    /// block verdict and a dead letter.
    fn poisoned(&mut self, record: &InRecord, why: Poison) -> Self::Scanned;

    /// Throws working memory away that a panic may have left half written.
    fn reset(&mut self);

    /// Ends the scan of a batch: waits for whatever some of it still lacks.
    fn finish<'s>(&mut self, _scanned: impl Iterator<Item = (&'s InRecord, &'s mut Self::Scanned)>)
    where
        Self::Scanned: 's,
    {
    }
}

/// The stateful half: one pack and one policy at work, in offset order.
pub trait Work {
    /// What the stateless half found.
    type Scanned;

    /// Begins a partition's part of a batch: orders that the partition has not applied yet.
    fn control(
        &mut self,
        staged: &mut Staged<'_>,
        partition: i32,
        standing: &Standing,
        out: &mut Vec<OutRecord>,
    );

    /// The stateful half: first the timers due before the record, then the record. `scan_time`
    /// is what the stateless half took. Returns what the record came to, for counting.
    fn record(
        &mut self,
        staged: &mut Staged<'_>,
        standing: &Standing,
        record: &InRecord,
        scanned: &Self::Scanned,
        scan_time: Duration,
        out: &mut Vec<OutRecord>,
    ) -> Option<Outcome>;

    /// Timers due at `now` in a partition that stands at its end. Returns what became of streams,
    /// for counting.
    fn timers(
        &mut self,
        staged: &mut Staged<'_>,
        partition: i32,
        standing: &Standing,
        now: Millis,
        out: &mut Vec<OutRecord>,
    ) -> StreamNotes;

    /// Partitions that have something to tell although no record came: [`Work::control`] tells it.
    fn waiting(&self) -> Vec<i32> {
        Vec::new()
    }

    /// Whether partitions have state; where they have none, none is restored.
    fn keeps_state(&self) -> bool {
        true
    }

    /// Compares restored state with the partition's last committed audit record.
    ///
    /// # Errors
    /// Says in one sentence how they differ.
    fn check(
        &self,
        partition: i32,
        state: &Partition,
        last_audit: Option<&[u8]>,
    ) -> Result<(), String>;
}
