//! A score that came after its event had gone on: nothing can be held back any more, but the SOC can know.

use std::sync::Arc;

use crate::alert::{Alert, Origin, fold};
use crate::event::Event;
use crate::finding::{Action, Confidence, Finding};
use crate::inspect::decide::sign;
use crate::inspect::{INJECTION, Reason, Setup};
use crate::state::Staged;

/// The event's own alerts are numbered from 0, and it has fewer of them.
const ORDINAL: u32 = 1 << 16;

/// Folds a late score into an episode of alerts; returns those that are to be sent.
pub fn second_look(
    setup: &Setup,
    staged: &mut Staged<'_>,
    event: &Event<'_>,
    offset: i64,
    confidence: Confidence,
) -> Vec<Alert> {
    if setup.policy.window(event, INJECTION.family, staged.now()).is_some() {
        return Vec::new();
    }
    let finding = Finding::whole(Arc::clone(&INJECTION), confidence);
    let reason = Reason { finding, action: Action::Alert, mode: setup.policy.mode(event) };
    let mut alerts = Vec::new();
    let origin = Origin { offset, ordinal: ORDINAL };
    fold(staged, &setup.limits.folding, &sign(event, &reason), origin, &mut alerts);
    alerts
}
