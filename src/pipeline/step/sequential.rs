//! The same steps without a log: one record after the other, state in memory.
//!
//! This is what `scan --input events` does, and what simulation and broker tests hold the
//! pipeline's outputs against: whatever the batches, crashes and owners, the outputs of a
//! partition are those of this run.

use std::collections::BTreeMap;

use crate::detect::{Rules, Scan, Scratch};
use crate::event::{Event, Millis};
use crate::inspect::{Readers, Table};
use crate::pipeline::log::{InRecord, OutRecord, Topic};
use crate::pipeline::step::{Outcome, Step};
use crate::policy::{Order, Orders};
use crate::state::{Partition, Staged};

/// A sequential run over any number of partitions.
pub struct Sequential<'a> {
    step: &'a Step,
    scratch: Scratch<'a>,
    readers: Readers<'a>,
    orders: Orders,
    states: BTreeMap<i32, Partition>,
    /// What partitions have told each other, and how many records each has written.
    shared: Table,
    told: BTreeMap<i32, i64>,
}

impl<'a> Sequential<'a> {
    /// Begins with no state and no orders.
    #[must_use]
    pub fn new(step: &'a Step, rules: &'a Rules) -> Self {
        Self {
            step,
            scratch: rules.scratch(),
            readers: Readers::new(rules, &step.pack),
            orders: Orders::default(),
            states: BTreeMap::new(),
            shared: Table::default(),
            told: BTreeMap::new(),
        }
    }

    /// Takes the next record of its partition; appends what it causes.
    pub fn record(&mut self, record: &InRecord, out: &mut Vec<OutRecord>) -> Outcome {
        self.record_with(record, |_, _| (), out)
    }

    /// The same with something added to what was found, before it is decided.
    pub fn record_with(
        &mut self,
        record: &InRecord,
        add: impl FnOnce(&Event<'_>, &mut Scan),
        out: &mut Vec<OutRecord>,
    ) -> Outcome {
        let from = out.len();
        let shared = std::mem::take(&mut self.shared);
        let outcome = self.record_among(&shared, record, add, out);
        self.shared = shared;
        self.hear(out.get(from..).unwrap_or_default());
        outcome
    }

    /// The same where it is known what other partitions had told when the record was decided.
    pub fn record_among(
        &mut self,
        shared: &Table,
        record: &InRecord,
        add: impl FnOnce(&Event<'_>, &mut Scan),
        out: &mut Vec<OutRecord>,
    ) -> Outcome {
        let mut scanned = self.step.scan(&mut self.scratch, record);
        scanned.with(add);
        let state = self.states.entry(record.partition).or_default();
        let mut staged = Staged::new(state);
        let with = ((shared, &self.orders), &mut self.readers);
        let outcome = self.step.record_among(&mut staged, with, record, &scanned, 0, out);
        let changes = staged.into_changes();
        state.apply(changes);
        outcome
    }

    /// What one partition tells, the others know at once.
    fn hear(&mut self, out: &[OutRecord]) {
        for told in out.iter().filter(|record| record.topic == Topic::Shared) {
            let offset = self.told.entry(told.partition).or_default();
            let entry = (told.partition, *offset);
            self.shared
                .apply(entry, &told.key, told.value.as_deref())
                .expect("what a step writes is read by the same version");
            *offset += 1;
        }
    }

    /// Puts an order in force, and writes what it leaves in the partitions seen so far.
    pub fn order(&mut self, order: &Order, out: &mut Vec<OutRecord>) {
        self.orders.apply(order);
        for (&partition, state) in &mut self.states {
            let mut staged = Staged::new(state);
            self.step.control(&mut staged, partition, order, out);
            let changes = staged.into_changes();
            state.apply(changes);
        }
    }

    /// Fires all timers that are due at `until`, as at the end of an idle partition.
    pub fn timers(&mut self, until: Millis, out: &mut Vec<OutRecord>) {
        let from = out.len();
        for (&partition, state) in &mut self.states {
            let mut staged = Staged::new(state);
            let with = (&self.orders, &mut self.readers);
            self.step.timers(&mut staged, with, partition, until, out);
            let changes = staged.into_changes();
            state.apply(changes);
        }
        self.hear(out.get(from..).unwrap_or_default());
    }

    /// The state of each partition.
    #[must_use]
    pub fn states(&self) -> &BTreeMap<i32, Partition> {
        &self.states
    }
}

/// Runs all records, which are in offset order within each partition, without orders and
/// without timers after the last one. Returns what they cause, in order.
pub fn run_sequential<'r>(
    step: &Step,
    rules: &Rules,
    records: impl IntoIterator<Item = &'r InRecord>,
) -> Vec<OutRecord> {
    let mut run = Sequential::new(step, rules);
    let mut out = Vec::new();
    for record in records {
        run.record(record, &mut out);
    }
    out
}
