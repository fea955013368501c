//! Scores of a classifier, joined to a scan: the step between the two halves of inspection.
//!
//! Scores only raise. Joining adds findings and says in coverage what was scored; it takes
//! nothing away and changes no finding of a rule. What a score means is a matter of three
//! thresholds, which are the three steps of a finding's confidence, so policy needs to know
//! nothing of models: it acts from medium up, as always.

use std::sync::{Arc, LazyLock};

use crate::detect::Scan;
use crate::event::RawSpan;
use crate::finding::{
    Classified, Confidence, Family, Finding, Score, Scoring, Severity, Source, standard_tags,
};
use crate::policy::{OnFailure, Policy};

/// From which score on a window is a finding, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Reported and left alone.
    pub low: Score,
    /// Acted on.
    pub medium: Score,
    /// As sure as an unmistakable phrase.
    pub high: Score,
}

impl Thresholds {
    /// How sure a score is; `None` below them all.
    #[must_use]
    pub fn confidence(&self, score: Score) -> Option<Confidence> {
        if score >= self.high {
            Some(Confidence::High)
        } else if score >= self.medium {
            Some(Confidence::Medium)
        } else if score >= self.low {
            Some(Confidence::Low)
        } else {
            None
        }
    }
}

/// A stretch of one string that a model took notice of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hot {
    /// Index into `Event::fields`.
    pub field: u32,
    /// Bytes of the field's text.
    pub span: RawSpan,
    /// The highest score of its windows.
    pub score: Score,
}

/// What a model said of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// How far it came, and the highest score.
    pub seen: Classified,
    /// Where; those below the lowest threshold are left out when they are joined.
    pub hot: Vec<Hot>,
}

/// Adds to a scan what a model said. `policy` says whether a score that is missing is a finding.
pub fn join(scan: &mut Scan, scores: &Scores, thresholds: &Thresholds, policy: &Policy) {
    scan.coverage.classifier = scores.seen;
    for hot in &scores.hot {
        let Some(confidence) = thresholds.confidence(hot.score) else { continue };
        let found = Finding::whole(Arc::clone(&INJECTION), confidence);
        scan.findings.push(Finding { field: Some(hot.field), span: hot.span, ..found });
    }
    let missing = match scores.seen.state {
        Scoring::Failed => Some(&FAILED),
        Scoring::Partial | Scoring::Shed if policy.failures.classifier == OnFailure::Closed => {
            Some(&LATE)
        }
        _ => None,
    };
    if let Some(source) = missing {
        scan.findings.push(Finding::whole(Arc::clone(source), Confidence::High));
    }
    scan.findings.sort_by(Finding::by_place);
}

/// The source of what a model finds; a line of policy may name it as its rule.
pub static INJECTION: LazyLock<Arc<Source>> = LazyLock::new(|| {
    Arc::new(Source {
        rule: "classifier.injection".to_owned(),
        family: Family::Injection,
        kind: "injection.classifier".to_owned(),
        severity: Severity::High,
        message: "the classifier reads this passage as instructions to the model".to_owned(),
        action: None,
        tags: standard_tags("injection.classifier"),
    })
});

static FAILED: LazyLock<Arc<Source>> = LazyLock::new(|| {
    missing("classifier.failed", "the classifier gave no score for this event: rules alone decide")
});

static LATE: LazyLock<Arc<Source>> = LazyLock::new(|| {
    missing("classifier.late", "the classifier had no time for all of this event")
});

fn missing(rule: &str, message: &str) -> Arc<Source> {
    Arc::new(Source {
        rule: rule.to_owned(),
        family: Family::System,
        kind: rule.to_owned(),
        severity: Severity::Medium,
        message: message.to_owned(),
        action: None,
        tags: standard_tags(rule),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finding::ViewName;

    fn score(millionths: u32) -> Score {
        Score::new(f64::from(millionths) / 1e6).unwrap()
    }

    fn thresholds() -> Thresholds {
        Thresholds { low: score(10_000), medium: score(500_000), high: score(950_000) }
    }

    #[test]
    fn three_thresholds_are_three_steps_of_confidence() {
        let of = |millionths| thresholds().confidence(score(millionths));
        assert_eq!(of(9_999), None);
        assert_eq!(of(10_000), Some(Confidence::Low));
        assert_eq!(of(499_999), Some(Confidence::Low));
        assert_eq!(of(500_000), Some(Confidence::Medium));
        assert_eq!(of(950_000), Some(Confidence::High));
    }

    #[test]
    fn a_missing_score_is_a_finding_where_policy_is_closed_and_a_failure_is_one_always() {
        let closed = Policy::read("p", "failures: { classifier: closed }\n").unwrap();
        let rules = |policy: &Policy, state| {
            let mut scan = Scan::default();
            let seen = Classified { state, ..Classified::default() };
            join(&mut scan, &Scores { seen, hot: Vec::new() }, &thresholds(), policy);
            assert_eq!(scan.coverage.classifier.state, state);
            scan.findings.iter().map(|finding| finding.source.rule.clone()).collect::<Vec<_>>()
        };
        let open = Policy::shipped();
        for state in [Scoring::Shed, Scoring::Partial] {
            assert_eq!(rules(&open, state), Vec::<String>::new());
            assert_eq!(rules(&closed, state), ["classifier.late"]);
        }
        for policy in [&open, &closed] {
            assert_eq!(rules(policy, Scoring::Failed), ["classifier.failed"]);
            for state in [Scoring::Off, Scoring::Skipped, Scoring::Scored] {
                assert_eq!(rules(policy, state), Vec::<String>::new());
            }
        }
    }

    proptest! {
        /// Whatever a model says, no finding of a rule is lost or changed.
        #[test]
        fn scores_only_raise(
            rules in prop::collection::vec((0_u32..4, 0_usize..50, 1_usize..20), 0..6),
            hot in prop::collection::vec((0_u32..4, 0_usize..50, 1_usize..20, 0_u32..=1_000_000), 0..6),
            state in prop::sample::select(Scoring::ALL),
        ) {
            let source = missing("injection.some.rule", "a rule");
            let mut scan = Scan::default();
            for &(field, start, len) in &rules {
                scan.findings.push(Finding {
                    source: Arc::clone(&source),
                    confidence: Confidence::Medium,
                    field: Some(field),
                    span: RawSpan { start, end: start + len },
                    view: ViewName::RAW,
                    mention: None,
                });
            }
            let before = scan.clone();
            let hot: Vec<Hot> = hot
                .iter()
                .map(|&(field, start, len, n)| Hot {
                    field,
                    span: RawSpan { start, end: start + len },
                    score: score(n),
                })
                .collect();
            let seen = Classified { state, ..Classified::default() };
            join(&mut scan, &Scores { seen, hot: hot.clone() }, &thresholds(), &Policy::shipped());
            for finding in &before.findings {
                let count = |scan: &Scan| scan.findings.iter().filter(|f| *f == finding).count();
                prop_assert_eq!(count(&scan), count(&before));
            }
            let found = hot.iter().filter(|hot| hot.score >= thresholds().low).count();
            let failed = usize::from(state == Scoring::Failed);
            prop_assert_eq!(scan.findings.len(), before.findings.len() + found + failed);
            prop_assert!(scan.findings.is_sorted_by_key(|f| (f.field, f.span.start, f.span.end)));
        }
    }
}
