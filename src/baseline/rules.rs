//! The fixed rules, to the letter. They compare integers, so a boundary is a boundary.

use crate::baseline::profile::{HOUR, MINUTE, Mean, Profile};
use crate::baseline::seen::Before;
use crate::baseline::{Buckets, Judgement, Observation, Settings};

/// A fixed rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// More than three times the usual calls in an hour.
    Frequency,
    /// A tool that was not used in thirty days.
    NewTool,
    /// More than five times the mean volume in an hour.
    Volume,
    /// More than ten times the mean tokens in five minutes.
    Tokens,
    /// More than two of the others at once.
    Combined,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 5] =
        [Self::Frequency, Self::NewTool, Self::Volume, Self::Tokens, Self::Combined];

    /// Its id in alerts.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Frequency => "behavior.rule.frequency",
            Self::NewTool => "behavior.rule.new_tool",
            Self::Volume => "behavior.rule.volume",
            Self::Tokens => "behavior.rule.tokens",
            Self::Combined => "behavior.rule.combined",
        }
    }

    /// The rule in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Frequency => "tool calls in one hour above 3 times the baseline",
            Self::NewTool => "a tool that was not used in the last 30 days",
            Self::Volume => "data volume of one hour above 5 times the mean",
            Self::Tokens => "tokens in five minutes above 10 times the mean",
            Self::Combined => "more than two rules hit within one hour",
        }
    }

    /// Above how many times the mean it hits.
    #[must_use]
    pub fn ratio(self) -> u64 {
        match self {
            Self::Frequency => 3,
            Self::Volume => 5,
            Self::Tokens => 10,
            Self::NewTool | Self::Combined => 0,
        }
    }
}

/// One hit, with both numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleHit {
    /// Which.
    pub rule: Rule,
    /// The mean; for a new tool the days that are remembered; for several the two that are let pass.
    pub baseline: f64,
    /// What was seen: calls, bytes, tokens; for a new tool the days of the agent's history;
    /// for several how many hit.
    pub actual: f64,
}

/// Ratio rules need so many buckets to take a mean of.
const BUCKETS_MIN: u32 = 3;

/// Judges the windows that one event falls into.
pub(super) fn apply(
    settings: &Settings,
    profile: &mut Profile,
    seen: &Observation,
    ts: i64,
    said: &mut Judgement,
) {
    let minute = ts / MINUTE;
    let end = minute.min(profile.newest / MINUTE);
    let mut hit = |rule: Rule, baseline: f64, actual: f64| {
        said.rules[rule as usize] = Some(RuleHit { rule, baseline, actual });
    };
    let days = (ts - profile.first) / (24 * HOUR);
    if seen.call {
        let calls = profile.calls.sum(end, 60);
        let mean = baseline(settings, profile, profile.calls_mean, 1);
        if let Some(mean) = above(Rule::Frequency, calls, mean) {
            hit(Rule::Frequency, mean, calls as f64);
        }
        let at = (ts / 1000) as u32;
        let known = profile.tools.before(seen.tool, at);
        // Of an agent's first day every tool is a first: there is nothing yet that it did not use.
        if seen.tool != 0 && known == Before::New && ts - profile.first >= 24 * HOUR {
            hit(Rule::NewTool, 30.0, days as f64);
        }
    }
    if seen.bytes > 0 {
        let bytes = profile.bytes.sum(end.div_euclid(5), 12);
        let mean = baseline(settings, profile, profile.bytes_mean, 1);
        if let Some(mean) = above(Rule::Volume, bytes, mean) {
            hit(Rule::Volume, mean, bytes as f64);
        }
    }
    if seen.tokens > 0 {
        let tokens = profile.tokens.sum(end, 5);
        let mean = baseline(settings, profile, profile.tokens_mean, 12);
        if let Some(mean) = above(Rule::Tokens, tokens, mean) {
            hit(Rule::Tokens, mean, tokens as f64);
        }
    }
    let mut at_once = 0;
    for (slot, latest) in profile.rule_minutes.iter_mut().enumerate() {
        if said.rules[slot].is_some() {
            *latest = (*latest).max(minute as u32);
        }
        at_once += u32::from(*latest != 0 && minute - i64::from(*latest) < 60);
    }
    let any = said.rules.iter().any(Option::is_some);
    if any && at_once > 2 {
        let combined = RuleHit { rule: Rule::Combined, baseline: 2.0, actual: f64::from(at_once) };
        said.rules[Rule::Combined as usize] = Some(combined);
    }
}

/// Forgets hits that no event still to come could fall together with.
pub(super) fn forget(profile: &mut Profile, closed: u32) {
    let start = u64::from(closed) * 60;
    for latest in &mut profile.rule_minutes {
        if u64::from(*latest) < start {
            *latest = 0;
        }
    }
}

/// What a rule compares with; `per_hour` is how many of its buckets an hour has.
fn baseline(settings: &Settings, profile: &Profile, mean: Mean, per_hour: u32) -> Mean {
    match settings.buckets {
        Buckets::Active => mean,
        Buckets::All => Mean { n: mean.n.max(profile.hours.saturating_mul(per_hour)), ..mean },
    }
}

/// The mean, if the value is above the rule's ratio of it.
fn above(rule: Rule, value: u64, mean: Mean) -> Option<f64> {
    let value_of_all = u128::from(value) * u128::from(mean.n);
    let limit_of_all = u128::from(rule.ratio()) * u128::from(mean.sum);
    (mean.n >= BUCKETS_MIN && mean.sum > 0 && value_of_all > limit_of_all).then(|| mean.value())
}
