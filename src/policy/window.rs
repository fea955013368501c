//! Maintenance windows: hours in which alerts of some families are kept back, week after week.
//!
//! A window changes nothing but who is told: verdicts, redaction and the audit are the same
//! inside and outside of it, and the audit says of each decision what was kept back and by
//! which window. Hours are those of the log's clock, so that a replay keeps back the same.

use std::sync::Arc;

use crate::event::{Event, Millis};
use crate::finding::Family;
use crate::policy::Who;
use crate::policy::glob::Glob;
use crate::policy::hours::Hours;

/// Hours in which alerts are kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Line in the file.
    pub(super) line: u64,
    /// Its name in audit.
    pub(super) id: Arc<str>,
    pub(super) families: Vec<Family>,
    pub(super) who: Who,
    /// Any event where there are none; otherwise only those of one of these tools.
    pub(super) tools: Vec<Glob>,
    pub(super) hours: Hours,
    /// The hours as they are written.
    pub(super) written: String,
    /// It never comes again from then on.
    pub(super) until: Option<Millis>,
    /// `until` as it is written.
    pub(super) until_written: Option<String>,
    pub(super) reason: String,
}

impl Window {
    /// Whether it is about the event, at whatever time.
    fn is_about(&self, event: &Event<'_>) -> bool {
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref());
        self.who.covers(event)
            && (self.tools.is_empty()
                || tool.is_some_and(|tool| self.tools.iter().any(|glob| glob.matches(tool))))
    }

    fn is_on(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| now < until) && self.hours.open(now)
    }
}

/// All windows of a policy, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Windows(Vec<Window>);

impl Windows {
    pub(super) fn new(windows: Vec<Window>) -> Self {
        Self(windows)
    }

    /// The first window that keeps back an event's alerts of that family at `now`.
    pub(super) fn keeping(
        &self,
        event: &Event<'_>,
        family: Family,
        now: Millis,
    ) -> Option<&Arc<str>> {
        let keeps = |window: &&Window| {
            window.families.contains(&family) && window.is_about(event) && window.is_on(now)
        };
        self.0.iter().find(keeps).map(|window| &window.id)
    }

    /// Line and id of those that never come again.
    pub(super) fn ended(&self, now: Millis) -> Vec<(u64, &str)> {
        let ended = |window: &&Window| window.until.is_some_and(|until| until <= now);
        self.0.iter().filter(ended).map(|window| (window.line, &*window.id)).collect()
    }

    /// What the windows about an event say, with their lines.
    pub(super) fn explain(&self, event: &Event<'_>) -> Vec<(u64, String)> {
        let about = self.0.iter().filter(|window| window.is_about(event));
        about
            .map(|window| {
                let families: Vec<&str> =
                    window.families.iter().map(|family| family.name()).collect();
                let until = window
                    .until_written
                    .as_ref()
                    .map_or(String::new(), |at| format!(" until {at}"));
                let text = format!(
                    "alerts of {} are kept back {}{until}: {} ({})",
                    families.join(", "),
                    window.written,
                    window.reason,
                    window.id
                );
                (window.line, text)
            })
            .collect()
    }
}
