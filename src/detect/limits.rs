//! What a scan may cost, and the findings that say it cost too much.

use std::sync::Arc;

use crate::finding::{Action, Confidence, Family, Finding, Severity, Source, ViewName};

/// What a scan may cost; each limit that is reached makes a `limit.*` finding and a truncated coverage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// Strings of one event.
    pub fields: usize,
    /// Findings of one event.
    pub findings: usize,
    /// Engine candidates of one view.
    pub candidates: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { fields: 10_000, findings: 1_000, candidates: 100_000 }
    }
}

/// The identities of the limits' findings.
pub(super) struct Sources {
    pub(super) fields: Arc<Source>,
    pub(super) findings: Arc<Source>,
    pub(super) candidates: Arc<Source>,
}

impl Default for Sources {
    fn default() -> Self {
        let source = |name: &str, message: &str| {
            Arc::new(Source {
                rule: format!("limit.{name}"),
                family: Family::System,
                kind: format!("limit.{name}"),
                severity: Severity::High,
                message: message.to_owned(),
                action: Some(Action::Block),
            })
        };
        Self {
            fields: source("fields", "the event has more strings than are scanned"),
            findings: source("findings", "the event has more findings than are kept"),
            candidates: source("candidates", "a text is too costly to scan whole"),
        }
    }
}

/// The finding that a limit makes.
pub(super) fn reached(source: &Arc<Source>, field: Option<u32>) -> Finding {
    Finding {
        source: Arc::clone(source),
        confidence: Confidence::High,
        field,
        span: crate::event::RawSpan::default(),
        view: ViewName::RAW,
        mention: None,
    }
}
