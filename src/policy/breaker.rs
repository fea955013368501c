//! Circuit breakers: when an agent that fails or spends too much is stopped for a while.

use std::sync::Arc;

use crate::event::Event;
use crate::finding::Source;
use crate::policy::who::{Index, Who};
use crate::policy::{Breach, Mode};

/// When an agent is stopped, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    pub(super) who: Who,
    /// Errors of tools in a row that open it; 0 is never.
    pub max_failures: u64,
    /// Millionths of a dollar in 24 hours that open it; 0 is never.
    pub max_cost_micro_usd: u64,
    /// How long it stays open before one call is tried.
    pub open_ms: i64,
    pub(super) opened: Arc<Source>,
    pub(super) open: Arc<Source>,
    pub(super) mode: Option<Mode>,
}

impl Breaker {
    /// What is told when it opens.
    #[must_use]
    pub fn opens(&self) -> Breach {
        Breach::of(&self.opened, self.mode)
    }

    /// What is told of an event that it stops.
    #[must_use]
    pub fn stops(&self, wait_ms: u64) -> Breach {
        Breach { retry_after_ms: Some(wait_ms), ..Breach::of(&self.open, self.mode) }
    }
}

/// The breakers of a policy, most specific first.
#[derive(Clone, Debug, Default)]
pub(super) struct Breakers {
    all: Vec<Breaker>,
    index: Index,
}

impl Breakers {
    pub(super) fn new(mut all: Vec<Breaker>) -> Self {
        all.reverse();
        all.sort_by_key(|breaker| std::cmp::Reverse(breaker.who.rank()));
        Self { index: Index::new(all.iter().map(|breaker| &breaker.who)), all }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one that counts for an event's agent.
    pub(super) fn of(&self, event: &Event<'_>) -> Option<&Breaker> {
        let mut candidates = self.index.candidates(event).filter_map(|at| self.all.get(at));
        candidates.find(|breaker| breaker.who.covers(event))
    }
}
