//! A pack's own tests: examples are found by their rule, negative examples are not.
//!
//! Run in every engine that is compiled in, for each carrier that the rule names, so that
//! a rule cannot pass in one build and fail in another.

use super::{CompileError, EngineKind, Rules, ScanLimits, Scratch};
use crate::event::{Carrier, Event, Millis};
use crate::finding::Confidence;
use crate::patterns::{Rule, RuleSet, generate};

/// An example that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: rule `{rule}` ({engine}): {what}: {example}")]
pub struct Failure {
    /// The rule.
    pub rule: String,
    /// Its file.
    pub path: String,
    /// Its line.
    pub line: u64,
    /// The engine that was at work.
    pub engine: &'static str,
    /// What went wrong.
    pub what: &'static str,
    /// The example as it stands in the file, generators not expanded.
    pub example: String,
}

/// Seeds under which generated examples are expanded.
const SEEDS: std::ops::Range<u64> = 1..4;

/// Runs every example of the pack.
///
/// # Errors
/// The pack does not compile.
pub fn selftest(set: &RuleSet) -> Result<Vec<Failure>, CompileError> {
    selftest_after(set, None)
}

/// The same, with what `compiled` has of the pack's expressions.
///
/// # Errors
/// As [`selftest`].
pub fn selftest_after(
    set: &RuleSet,
    compiled: Option<&Rules>,
) -> Result<Vec<Failure>, CompileError> {
    let mut failures = Vec::new();
    let kinds: &[EngineKind] = if cfg!(feature = "vectorscan") {
        &[EngineKind::Rust, EngineKind::Auto]
    } else {
        &[EngineKind::Rust]
    };
    for &kind in kinds {
        let rules = Rules::compile_after(set.clone(), ScanLimits::default(), kind, compiled)?;
        let mut trial = Trial::new(&rules);
        for rule in &set.rules {
            for (examples, positive) in [(&rule.examples, true), (&rule.negative_examples, false)] {
                for example in examples {
                    if trial.of(rule, example, positive) == Ok(false) {
                        failures.push(failure(rule, rules.engine_name(), positive, example));
                    }
                }
            }
        }
    }
    Ok(failures)
}

/// Tries examples on rules that are compiled.
pub struct Trial<'r> {
    rules: &'r Rules,
    scratch: Scratch<'r>,
}

impl<'r> Trial<'r> {
    /// A trial of these rules.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Self {
        Self { rules, scratch: rules.scratch() }
    }

    /// Whether the rule of this id finds the example (`positive`), or leaves it at a low
    /// confidence or altogether, whatever is random in it and whoever speaks.
    ///
    /// # Errors
    /// There is no such rule, or the example cannot be expanded.
    pub fn holds(&mut self, id: &str, example: &str, positive: bool) -> Result<bool, String> {
        let rule = self.rules.set.rules.iter().find(|rule| rule.source.rule == id);
        let rule = rule.ok_or_else(|| format!("there is no rule `{id}`"))?;
        self.of(rule, example, positive)
    }

    fn of(&mut self, rule: &Rule, example: &str, positive: bool) -> Result<bool, String> {
        for seed in SEEDS {
            let text = generate::expand(example, seed)?;
            let holds = rule.carriers.iter().all(|&carrier| {
                let event = event_of(&text, carrier);
                let findings = self.scratch.scan(&event).findings;
                let found = findings
                    .iter()
                    .filter(|finding| finding.source.rule == rule.source.rule)
                    .any(|finding| positive || finding.confidence > Confidence::Low);
                found == positive
            });
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn failure(rule: &Rule, engine: &'static str, positive: bool, example: &str) -> Failure {
    Failure {
        rule: rule.source.rule.clone(),
        path: rule.path.clone(),
        line: rule.line,
        engine,
        what: if positive { "an example is not found" } else { "a negative example is found" },
        example: example.to_owned(),
    }
}

/// An event of one string, at `/text`.
fn event_of(text: &str, carrier: Carrier) -> Event<'_> {
    let mut event = Event::new(carrier.kind(), "example".into(), "example".into(), Millis(0));
    event.push_text("text".into(), text.into(), carrier);
    event
}
