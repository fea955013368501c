//! The policy file: YAML into a [`Policy`], with errors that say where and what is allowed.

mod govern;
mod taint;
mod values;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::Deserialize as _;
use serde_saphyr::Spanned;
use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::event::Kind;
use crate::finding::{Action, Confidence, Family, Severity};
use crate::policy::nearest::suggestion;
use crate::policy::{Failures, Glob, Index, Line, Mode, OnFailure, Operator, Policy, Who};

use values::{ByName, value};

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
    overrides: Vec<Spanned<Override>>,
    #[serde(default)]
    tools: Vec<Spanned<govern::ToolText>>,
    #[serde(default)]
    flows: Vec<Spanned<govern::FlowText>>,
    #[serde(default)]
    breakers: Vec<Spanned<govern::BreakerText>>,
    canaries: Option<govern::CanariesText>,
    taint: Option<Spanned<taint::TaintText>>,
    #[serde(default)]
    maintenance: Vec<Spanned<window::WindowText>>,
    agents: Option<ByName<govern::Agents>>,
    registry: Option<Spanned<Vec<govern::MemberText>>>,
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
    classifier: Option<ByName<OnFailure>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    rule: Option<String>,
    family: Option<ByName<Family>>,
    kind: Option<ByName<Kind>>,
    severity: Option<ByName<Severity>>,
    confidence: Option<ByName<Confidence>>,
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
    fn line(self, line: u64) -> Line {
        Line {
            number: line,
            rule: self.rule.as_deref().map(Glob::new),
            family: value(self.family),
            kind: value(self.kind),
            severity: value(self.severity),
            confidence: value(self.confidence),
            who: Who { agent: self.agent, agent_type: self.r#type, tenant: self.tenant },
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
        let problem = error.to_string();
        PolicyError {
            path: path.to_owned(),
            line: error.location().map_or(0, |location| location.line()),
            // What the line of an item is known by is no part of its path.
            key: track.path().to_string().replace("].value", "]"),
            problem: with_suggestion(problem),
        }
    })?;
    for (at, line) in file.overrides.iter().enumerate() {
        let Spanned { value: said, referenced, .. } = line;
        if said.action.is_none()
            && said.mode.is_none()
            && said.hint.is_none()
            && said.notice.is_none()
            && said.retry_after_ms.is_none()
        {
            return Err(PolicyError {
                path: path.to_owned(),
                line: referenced.line(),
                key: format!("overrides[{at}]"),
                problem: "says nothing: expected one of action, mode, hint, notice, retry_after_ms"
                    .to_owned(),
            });
        }
    }
    build(path, text, file)
}

/// Adds the word that was meant to what the reader of YAML says of an unknown key.
fn with_suggestion(problem: String) -> String {
    let parts = || {
        let (_, rest) = problem.split_once("unknown field `")?;
        let (written, rest) = rest.split_once('`')?;
        let (_, list) =
            rest.split_once("expected one of ").or_else(|| rest.split_once("expected "))?;
        let list = list.split_once(" at line ").map_or(list, |(list, _)| list);
        Some(suggestion(written, list.split(", ").map(|name| name.trim_matches('`'))))
    };
    let suggestion = parts().unwrap_or_default();
    problem + &suggestion
}

fn build(path: &str, text: &str, file: File) -> Result<Policy, PolicyError> {
    let placed = |wrong: govern::Wrong| PolicyError {
        path: path.to_owned(),
        line: wrong.line,
        key: wrong.key,
        problem: wrong.problem,
    };
    let registry = govern::registry(value(file.agents), file.registry).map_err(placed)?;
    let governed = govern::build(file.tools, file.flows, file.breakers, file.canaries);
    let mut governance = governed.map_err(placed)?;
    governance.registry = registry;
    let taint = file.taint.map(taint::build).transpose().map_err(placed)?;
    let windows = window::build(file.maintenance).map_err(placed)?;
    let overrides = file.overrides.into_iter();
    let mut lines: Vec<Line> =
        overrides.map(|line| line.value.line(line.referenced.line())).collect();
    // Later lines go before earlier ones of the same rank: the sort is stable.
    lines.reverse();
    lines.sort_by_key(|line| std::cmp::Reverse(line.rank()));
    let mut operators: Vec<(Glob, Operator)> =
        file.operators.into_iter().map(|(kind, operator)| (Glob::new(&kind), operator.0)).collect();
    operators.sort_by_key(|(glob, _)| std::cmp::Reverse(glob.rank()));
    let general = |line: &&Line| line.mode.is_some() && line.is_general();
    Ok(Policy {
        hash: hex(&Sha256::digest(text)),
        failures: Failures {
            unreadable: value(file.failures.unreadable).unwrap_or_default(),
            limits: value(file.failures.limits).unwrap_or_default(),
            classifier: value(file.failures.classifier).unwrap_or(OnFailure::Open),
        },
        governance,
        taint,
        windows,
        index: Index::new(lines.iter().map(|line| &line.who)),
        modes: lines.iter().filter(general).cloned().collect(),
        lines,
        action: value(file.defaults.action).unwrap_or(Action::Alert),
        mode: value(file.defaults.mode),
        fallback_mode: Mode::Enforce,
        hint: file.defaults.hint.map(Arc::from),
        notice: file.defaults.notice.as_deref().unwrap_or("[This text was withheld.]").into(),
        operator: value(file.defaults.operator).unwrap_or_default(),
        operators,
    })
}
