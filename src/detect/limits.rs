//! What a scan may cost, and the findings that say it cost too much.

use std::sync::Arc;

use crate::finding::{Action, Confidence, Family, Finding, Severity, Source, standard_tags};

/// What a scan may cost; each limit that is reached makes a `limit.*` finding and a truncated coverage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// Strings of one event.
    pub fields: usize,
    /// Findings of one event.
    pub findings: usize,
    /// Engine candidates of one view.
    pub candidates: usize,
    /// How deep texts inside texts are decoded.
    pub decode_depth: usize,
    /// Decoded texts of one window: of what is encoded near one another.
    pub decoded_texts: usize,
    /// Bytes of decoded text for each byte of a window, at all depths together.
    pub decoded_ratio: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            fields: 10_000,
            findings: 1_000,
            candidates: 100_000,
            decode_depth: 3,
            decoded_texts: 10_000,
            decoded_ratio: 4,
        }
    }
}

/// The identities of findings that no rule makes: limits, and hidden text.
pub(super) struct Sources {
    pub(super) fields: Arc<Source>,
    pub(super) findings: Arc<Source>,
    pub(super) candidates: Arc<Source>,
    pub(super) decode_depth: Arc<Source>,
    pub(super) decoded: Arc<Source>,
    pub(super) held: Arc<Source>,
    pub(super) tags: Arc<Source>,
    pub(super) selectors: Arc<Source>,
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
                tags: standard_tags("limit"),
            })
        };
        let hidden = |name: &str, message: &str| {
            Arc::new(Source {
                rule: format!("injection.hidden.{name}"),
                family: Family::Injection,
                kind: "injection.hidden_text".to_owned(),
                severity: Severity::High,
                message: message.to_owned(),
                action: None,
                tags: standard_tags("injection.hidden_text"),
            })
        };
        Self {
            fields: source("fields", "the event has more strings than are scanned"),
            findings: source("findings", "the event has more findings than are kept"),
            candidates: source("candidates", "a text is too costly to scan whole"),
            decode_depth: source("decode_depth", "a text is encoded deeper than is read"),
            held: source("held", "a stream holds something that does not end"),
            decoded: source("decoded", "a text holds more encoded text than is read"),
            tags: hidden("tags", "text is hidden in Unicode tag characters"),
            selectors: hidden("selectors", "text is hidden in variation selectors"),
        }
    }
}

/// The finding that a limit makes.
pub(super) fn reached(source: &Arc<Source>, field: Option<u32>) -> Finding {
    Finding { field, ..Finding::whole(Arc::clone(source), Confidence::High) }
}
