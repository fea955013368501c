//! The policy file: YAML into a [`Policy`], with errors that say where and what is allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _};
use sha2::{Digest as _, Sha256};

use crate::event::Kind;
use crate::finding::{Action, Family};
use crate::policy::{Failures, Line, Mode, OnFailure, Operator, Pattern, Policy};

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {key}: {problem}")]
pub struct PolicyError {
    /// The file.
    pub path: String,
    /// The line in it, from 1; 0 where none can be named.
    pub line: u64,
    /// The key, such as `overrides[2].action`.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// A value that is written by its name.
trait Named: Sized + Copy + 'static {
    const WHAT: &'static str;
    const VALUES: &'static [Self];
    fn name(self) -> &'static str;
}

macro_rules! named {
    ($($type:ty, $what:literal, $values:expr;)+) => {
        $(impl Named for $type {
            const WHAT: &'static str = $what;
            const VALUES: &'static [Self] = $values;
            fn name(self) -> &'static str { self.name() }
        })+
    };
}

named! {
    Action, "action", Self::ALL;
    Family, "family", Self::ALL;
    Kind, "kind", &Self::ALL;
    Mode, "mode", Self::ALL;
    Operator, "operator", Self::ALL;
    OnFailure, "failure policy", Self::ALL;
}

struct ByName<T>(T, PhantomData<T>);

impl<'de, T: Named> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let found = T::VALUES.iter().copied().find(|value| value.name() == name);
        found.map(|value| Self(value, PhantomData)).ok_or_else(|| {
            let allowed: Vec<&str> = T::VALUES.iter().map(|value| value.name()).collect();
            D::Error::custom(format!(
                "unknown {} `{name}`, expected one of {}",
                T::WHAT,
                allowed.join(", ")
            ))
        })
    }
}

fn value<T: Named>(named: Option<ByName<T>>) -> Option<T> {
    named.map(|named| named.0)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    failures: FailuresFile,
    #[serde(default)]
    operators: BTreeMap<String, ByName<Operator>>,
    #[serde(default)]
    overrides: Vec<Override>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    action: Option<ByName<Action>>,
    mode: Option<ByName<Mode>>,
    hint: Option<String>,
    notice: Option<String>,
    operator: Option<ByName<Operator>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FailuresFile {
    unreadable: Option<ByName<OnFailure>>,
    limits: Option<ByName<OnFailure>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    rule: Option<String>,
    family: Option<ByName<Family>>,
    kind: Option<ByName<Kind>>,
    agent: Option<String>,
    r#type: Option<String>,
    tenant: Option<String>,
    action: Option<ByName<Action>>,
    mode: Option<ByName<Mode>>,
    hint: Option<String>,
    retry_after_ms: Option<u64>,
    notice: Option<String>,
}

impl Override {
    fn line(self) -> Line {
        Line {
            rule: self.rule.as_deref().map(Pattern::new),
            family: value(self.family),
            kind: value(self.kind),
            agent: self.agent,
            agent_type: self.r#type,
            tenant: self.tenant,
            action: value(self.action),
            mode: value(self.mode),
            hint: self.hint.map(Arc::from),
            retry_after_ms: self.retry_after_ms,
            notice: self.notice.map(Arc::from),
        }
    }
}

pub(super) fn read(path: &str, text: &str) -> Result<Policy, PolicyError> {
    let mut track = serde_path_to_error::Track::new();
    let file: File = serde_saphyr::with_deserializer_from_str(text, |from| {
        File::deserialize(serde_path_to_error::Deserializer::new(from, &mut track))
    })
    .map_err(|error| {
        let error = error.without_snippet();
        PolicyError {
            path: path.to_owned(),
            line: error.location().map_or(0, |location| location.line()),
            key: track.path().to_string(),
            problem: error.to_string(),
        }
    })?;
    for (at, line) in file.overrides.iter().enumerate() {
        if line.action.is_none()
            && line.mode.is_none()
            && line.hint.is_none()
            && line.notice.is_none()
            && line.retry_after_ms.is_none()
        {
            return Err(PolicyError {
                path: path.to_owned(),
                line: nth_item(text, "overrides", at),
                key: format!("overrides[{at}]"),
                problem: "says nothing: expected one of action, mode, hint, notice, retry_after_ms"
                    .to_owned(),
            });
        }
    }
    Ok(build(text, file))
}

fn build(text: &str, file: File) -> Policy {
    let mut lines: Vec<Line> = file.overrides.into_iter().map(Override::line).collect();
    // Later lines go before earlier ones of the same rank: the sort is stable.
    lines.reverse();
    lines.sort_by_key(|line| std::cmp::Reverse(line.rank()));
    let mut operators: Vec<(Pattern, Operator)> = file
        .operators
        .into_iter()
        .map(|(kind, operator)| (Pattern::new(&kind), operator.0))
        .collect();
    operators.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.rank()));
    Policy {
        hash: hex(&Sha256::digest(text)),
        failures: Failures {
            unreadable: value(file.failures.unreadable).unwrap_or_default(),
            limits: value(file.failures.limits).unwrap_or_default(),
        },
        lines,
        action: value(file.defaults.action).unwrap_or(Action::Alert),
        mode: value(file.defaults.mode),
        fallback_mode: Mode::Enforce,
        hint: file.defaults.hint.map(Arc::from),
        notice: file.defaults.notice.as_deref().unwrap_or("[This text was withheld.]").into(),
        operator: value(file.defaults.operator).unwrap_or_default(),
        operators,
    }
}

/// The line on which an item of a top-level list begins; 0 where it cannot be told.
fn nth_item(text: &str, list: &str, n: usize) -> u64 {
    let items = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !line.starts_with(list))
        .filter(|(_, line)| line.trim_start().starts_with("- "));
    items.map(|(at, _)| at as u64 + 1).nth(n).unwrap_or(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}
