//! From findings to an action: which line of the policy decides.
//!
//! A [`Policy`] is a file of defaults and overrides (`file`); the standing orders of the
//! control topic (`orders`) stand above it. Lines are sorted by how specific they are when
//! the file is read, so that deciding is a walk to the first line that matches.

mod breaker;
mod file;
mod flow;
mod glob;
mod hours;
mod nearest;
mod orders;
mod origin;
mod params;
mod registry;
mod sql;
mod taint;
mod tools;
mod who;
mod window;

use std::sync::Arc;

use crate::event::{Event, Kind, Millis};
use crate::finding::{Action, Confidence, Family, Finding, Severity};

use who::{Index, Who};
use window::Windows;

pub use breaker::Breaker;
pub use file::PolicyError;
pub use flow::LabelSet;
pub use glob::Glob;
pub use orders::{Command, Grant, Mode, Order, Orders, Scope, Silence, Silenced};
pub use origin::{Origin, OriginRule};
pub use taint::{Boundary, Taint, Tainted};
pub use tools::{Access, Breach, Count, Covering, Governance, Halt, Per, Quota};

/// How a redacted span is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `████`
    Mask,
    /// `<EMAIL_1>`: the same number for the same value within a session.
    #[default]
    Tag,
    /// `<EMAIL#5f0c…>`: the same for the same value everywhere, under the redaction key.
    Hash,
    /// `████1111`
    Last4,
    /// `…`
    Drop,
}

impl Operator {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Mask, Self::Tag, Self::Hash, Self::Last4, Self::Drop];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Tag => "tag",
            Self::Hash => "hash",
            Self::Last4 => "last4",
            Self::Drop => "drop",
        }
    }
}

/// What happens to an event that could not be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFailure {
    /// It is blocked.
    #[default]
    Closed,
    /// It passes, with an alert.
    Open,
}

impl OnFailure {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Closed, Self::Open];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }

    /// What policy says of the event.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::Closed => Action::Block,
            Self::Open => Action::Alert,
        }
    }
}

/// What happens to events that could not be judged, by the stage that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The record is not an event.
    pub unreadable: OnFailure,
    /// A limit was reached before everything had been looked at.
    pub limits: OnFailure,
    /// The classifier gave no score, or not for everything. It only adds to what rules find,
    /// and is slow enough to be shed under load: so this one is open unless the file says otherwise.
    pub classifier: OnFailure,
}

impl Failures {
    /// What stands for a rule of whichever nobody can say how grave it is: something was not looked at.
    fn of(self, rule: &str) -> Option<OnFailure> {
        match rule {
            "classifier.failed" | "classifier.late" => Some(self.classifier),
            rule if rule.starts_with("limit.") => Some(self.limits),
            _ => None,
        }
    }
}

/// One line: what it applies to, and what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    /// Its number in the file.
    number: u64,
    rule: Option<Glob>,
    family: Option<Family>,
    kind: Option<Kind>,
    /// Only findings that are at least so grave,
    severity: Option<Severity>,
    /// and at least so sure.
    confidence: Option<Confidence>,
    who: Who,
    action: Option<Action>,
    mode: Option<Mode>,
    hint: Option<Arc<str>>,
    retry_after_ms: Option<u64>,
    notice: Option<Arc<str>>,
}

impl Line {
    fn covers(&self, event: &Event<'_>) -> bool {
        // Whoever writes `output` means the parts of a streamed answer too.
        let kind = self.kind.is_none_or(|kind| {
            kind == event.kind || (kind == Kind::Output && event.kind == Kind::OutputChunk)
        });
        kind && self.who.covers(event)
    }

    fn matches(&self, event: &Event<'_>, finding: &Finding) -> bool {
        // What costs least is asked first: most lines are about another family.
        self.family.is_none_or(|family| family == finding.source.family)
            && self.severity.is_none_or(|least| finding.source.severity >= least)
            && self.confidence.is_none_or(|least| finding.confidence >= least)
            && self.rule.as_ref().is_none_or(|rule| rule.matches(&finding.source.rule))
            && self.covers(event)
    }

    /// Whether the line is about events whatever was found in them.
    fn is_general(&self) -> bool {
        self.rule.is_none()
            && self.family.is_none()
            && self.severity.is_none()
            && self.confidence.is_none()
    }

    /// Compared in the order rule, family, kind, agent, type, tenant, severity, confidence.
    fn rank(&self) -> Rank {
        let what = [self.family.is_some(), self.kind.is_some()];
        let rule = self.rule.as_ref().map(Glob::rank);
        (rule, what, self.who.rank(), self.severity, self.confidence)
    }
}

/// How specific a line is.
type Rank = (Option<(bool, usize)>, [bool; 2], [bool; 3], Option<Severity>, Option<Confidence>);

/// What policy says of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What to do.
    pub action: Action,
    /// Whether to do it.
    pub mode: Mode,
}

/// Why something is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// A line of the file says so.
    Line(u64),
    /// It is the rule's own default, and no line is about it.
    Rule,
    /// Neither says anything: `defaults`, or what stands for them.
    Defaults,
    /// Findings of low confidence are reported and left alone.
    LowConfidence,
    /// Something was not looked at, and `failures` says what that means.
    Failures,
}

/// Which line decides about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What is decided.
    pub ruling: Ruling,
    /// Why the action.
    pub action: Because,
    /// Why the mode.
    pub mode: Because,
    /// Every line about the finding, most specific first.
    pub lines: Vec<u64>,
}

/// What to do about what.
#[derive(Clone, Debug)]
pub struct Policy {
    /// SHA-256 of the policy's text, hexadecimal.
    pub hash: String,
    /// What happens to events that could not be judged.
    pub failures: Failures,
    /// Who may do what, and how often.
    pub governance: Governance,
    /// What is asked about values across sessions, where anything is.
    pub taint: Option<Taint>,
    /// When whose alerts are kept back.
    windows: Windows,
    /// Most specific first.
    lines: Vec<Line>,
    /// Finds the lines that may cover an event.
    index: Index,
    /// Likewise those that set a mode whatever is found.
    modes: Vec<Line>,
    action: Action,
    mode: Option<Mode>,
    fallback_mode: Mode,
    hint: Option<Arc<str>>,
    notice: Arc<str>,
    operator: Operator,
    /// Longest first.
    operators: Vec<(Glob, Operator)>,
}

impl Policy {
    /// The text of [`Policy::shipped`], to be copied and changed.
    pub const SHIPPED: &'static str = include_str!("../../policy/default.yml");

    /// The policy compiled into the binary.
    #[must_use]
    pub fn shipped() -> Self {
        Self::read("policy/default.yml", Self::SHIPPED).expect("a test reads the shipped policy")
    }

    /// Reads a policy; `path` is only for error messages.
    ///
    /// # Errors
    /// [`PolicyError`] names file, line, key and what is allowed.
    pub fn read(path: &str, text: &str) -> Result<Self, PolicyError> {
        file::read(path, text)
    }

    /// Sets the mode for where the file names none.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.fallback_mode = mode;
        self
    }

    /// What to do about one finding in one event.
    #[must_use]
    pub fn ruling(&self, event: &Event<'_>, finding: &Finding) -> Ruling {
        let failure = self.failures.of(&finding.source.rule);
        let low = finding.confidence == Confidence::Low;
        let acts = |line: &Line| match failure {
            // Only a line that names the limit itself may change what "could not scan" means.
            Some(_) => line.rule.is_some(),
            // Reported and left alone, unless a line asks for as little as that.
            None => !low || line.confidence == Some(Confidence::Low),
        };
        let (mut action, mut mode) = (None, None);
        for line in self.matching(event, finding) {
            if action.is_none() && acts(line) {
                action = line.action;
            }
            mode = mode.or(line.mode);
            if action.is_some() && mode.is_some() {
                break;
            }
        }
        let action = action.unwrap_or_else(|| match failure {
            Some(failure) => failure.action(),
            None if low => Action::Allow,
            None => finding.source.action.unwrap_or(self.action),
        });
        Ruling { action, mode: mode.unwrap_or(self.default_mode()) }
    }

    /// Which line decides about a finding, and which others are about it.
    #[must_use]
    pub fn explain(&self, event: &Event<'_>, finding: &Finding) -> Explained {
        let ruling = self.ruling(event, finding);
        let lines: Vec<&Line> = self.matching(event, finding).collect();
        let limit = self.failures.of(&finding.source.rule).is_some();
        let low = !limit && finding.confidence == Confidence::Low;
        let mut acting = lines.iter().filter(|line| {
            (!limit || line.rule.is_some()) && (!low || line.confidence == Some(Confidence::Low))
        });
        let action = match acting.find_map(|line| line.action.map(|_| line.number)) {
            Some(line) => Because::Line(line),
            None if low => Because::LowConfidence,
            None if limit => Because::Failures,
            None if finding.source.action.is_some() => Because::Rule,
            None => Because::Defaults,
        };
        let mode = lines.iter().find(|line| line.mode.is_some());
        let mode = mode.map_or(Because::Defaults, |line| Because::Line(line.number));
        let lines = lines.iter().map(|line| line.number).collect();
        Explained { ruling, action, mode, lines }
    }

    /// The lines about a finding, most specific first.
    fn matching<'p>(
        &'p self,
        event: &Event<'_>,
        finding: &Finding,
    ) -> impl Iterator<Item = &'p Line> {
        let candidates = self.index.candidates(event).filter_map(|at| self.lines.get(at));
        candidates.filter(move |line| line.matches(event, finding))
    }

    /// The action for one finding in one event.
    #[must_use]
    pub fn action(&self, event: &Event<'_>, finding: &Finding) -> Action {
        self.ruling(event, finding).action
    }

    /// The mode of an event in which nothing was found.
    #[must_use]
    pub fn mode(&self, event: &Event<'_>) -> Mode {
        self.modes
            .iter()
            .find(|line| line.covers(event))
            .and_then(|line| line.mode)
            .unwrap_or(self.default_mode())
    }

    /// Whether anything found in the event may be carried out, whatever it is.
    #[must_use]
    pub fn may_enforce(&self, event: &Event<'_>) -> bool {
        let mut lines = self.index.candidates(event).filter_map(|at| self.lines.get(at));
        self.mode(event) == Mode::Enforce
            || lines.any(|line| line.mode == Some(Mode::Enforce) && line.covers(event))
    }

    /// The mode where no line names one.
    #[must_use]
    pub fn default_mode(&self) -> Mode {
        self.mode.unwrap_or(self.fallback_mode)
    }

    /// What the sender should do differently, for a finding whose action is retry.
    #[must_use]
    pub fn hint(&self, event: &Event<'_>, finding: &Finding) -> Option<Arc<str>> {
        let mut lines = self.matching(event, finding);
        lines.find_map(|line| line.hint.clone()).or_else(|| self.hint.clone())
    }

    /// How long the sender should wait, for a finding whose action is retry.
    #[must_use]
    pub fn retry_after_ms(&self, event: &Event<'_>, finding: &Finding) -> Option<u64> {
        let mut lines = self.matching(event, finding);
        lines.find_map(|line| line.retry_after_ms)
    }

    /// What stands for a whole text, for a finding whose action is replace.
    #[must_use]
    pub fn notice(&self, event: &Event<'_>, finding: &Finding) -> Arc<str> {
        let mut lines = self.matching(event, finding);
        lines.find_map(|line| line.notice.clone()).unwrap_or_else(|| self.notice.clone())
    }

    /// The maintenance window that keeps back an event's alerts of a family at `now`, by its id.
    #[must_use]
    pub fn window(&self, event: &Event<'_>, family: Family, now: Millis) -> Option<&Arc<str>> {
        self.windows.keeping(event, family, now)
    }

    /// What the maintenance windows about an event's agent and tool say, with their lines.
    #[must_use]
    pub fn explain_windows(&self, event: &Event<'_>) -> Vec<(u64, String)> {
        self.windows.explain(event)
    }

    /// Line and id of the maintenance windows that never come again after `now`.
    #[must_use]
    pub fn ended_windows(&self, now: Millis) -> Vec<(u64, &str)> {
        self.windows.ended(now)
    }

    /// How a redacted span of a type is written.
    #[must_use]
    pub fn operator(&self, kind: &str) -> Operator {
        self.operators
            .iter()
            .find_map(|(pattern, operator)| pattern.matches(kind).then_some(*operator))
            .unwrap_or(self.operator)
    }
}

#[cfg(test)]
mod tests;
