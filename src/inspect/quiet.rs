//! Who is not told: operators' silences and the policy's maintenance windows.
//!
//! Both keep alerts back and nothing else. What they kept is counted, and stands in the
//! audit record of the event with the window or the order that did it.

use crate::event::{Event, Millis};
use crate::finding::{Family, Source};
use crate::inspect::{Keeper, KeptBack, Notes, Setup};
use crate::policy::Orders;

/// The silences that one event meets, and what they have kept back of it.
pub(super) struct Quiet<'a, 'e> {
    setup: &'a Setup,
    orders: &'a Orders,
    event: &'a Event<'e>,
    now: Millis,
    kept: Vec<KeptBack>,
}

impl<'a, 'e> Quiet<'a, 'e> {
    pub(super) fn new(
        setup: &'a Setup,
        orders: &'a Orders,
        event: &'a Event<'e>,
        now: Millis,
    ) -> Self {
        Self { setup, orders, event, now, kept: Vec::new() }
    }

    /// Whether a sign may be told. One that may not is counted: ask once for each.
    pub(super) fn lets(&mut self, source: &Source) -> bool {
        self.lets_signal(source.family, &source.kind)
    }

    /// The same of a sign that is no finding.
    pub(super) fn lets_signal(&mut self, family: Family, signal: &str) -> bool {
        let window = self.setup.policy.window(self.event, family, self.now);
        let by = match window {
            Some(id) => Keeper::Window(id.clone()),
            None if self.orders.silenced(self.event, signal, self.now) => Keeper::Order,
            None => return true,
        };
        let same = |kept: &&mut KeptBack| kept.family == family && kept.by == by;
        match self.kept.iter_mut().find(same) {
            Some(kept) => kept.count = kept.count.saturating_add(1),
            None => self.kept.push(KeptBack { family, by, count: 1 }),
        }
        false
    }

    /// What was kept back, counted in `notes` too.
    pub(super) fn kept(self, notes: &mut Notes) -> Vec<KeptBack> {
        notes.kept_back = self.kept.iter().map(|kept| kept.count).sum();
        self.kept
    }
}
