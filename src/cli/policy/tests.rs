//! `policy.tests.yml`: events in, decisions expected.
//!
//! A test is a list of events of one history: they go one after the other, a second apart,
//! through the pipeline's own step, with the rules that `weir run` would use. What is not
//! said of an event (`v`, `id`, `ts`, the agent) is filled in.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::detect::{EngineKind, Rules};
use crate::event::Millis;
use crate::pipeline::log::{InRecord, Topic};
use crate::pipeline::step::{Sequential, Step};
use crate::policy::Policy;
use crate::redact::Key32;

use super::super::Done;
use super::super::failure::Failure;
use super::super::out::Out;
use super::super::pack;

/// The clock of the first event: Thursday, 1 January 2026, 12:00 UTC.
const START: i64 = 1_767_268_800_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    events: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    event: Map<String, Value>,
    #[serde(default = "once")]
    times: u32,
    /// Seconds before it comes.
    #[serde(default)]
    after_s: i64,
    expect: Option<Expected>,
}

fn once() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    action: Option<String>,
    enforced: Option<bool>,
    /// Rules of medium or high confidence, in order.
    rules: Option<Vec<String>>,
    hold: Option<bool>,
}

pub(super) fn run(
    policy: &Policy,
    path: &Path,
    patterns: &[String],
    out: &mut Out,
) -> Result<Done, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{name}`"))
        .map_err(Failure::usage)?;
    let tests: Vec<Test> = serde_saphyr::from_str(&text)
        .with_context(|| format!("{name}: not a list of tests"))
        .map_err(Failure::usage)?;
    let config = Config { patterns: patterns.to_vec(), ..Config::default() };
    let set = pack::rule_set(&config.patterns)?;
    let hash = set.hash.clone();
    let rules = Rules::compile(set, config.scan_limits(), EngineKind::Rust)
        .context("cannot compile the rules")
        .map_err(Failure::usage)?;
    let mut step = Step::new("weir.events", 0, hash);
    step.setup.policy = policy.clone();
    // Hashes are compared within one test only, so that any key will do.
    step.setup.keys.fingerprint = Some(Key32([0; 32]));
    let mut failed = 0;
    for test in &tests {
        if let Some((at, problem)) = problem(&step, &rules, test) {
            failed += 1;
            out.line(format_args!("{name}: {}, event {at}: {problem}", test.name))?;
        }
    }
    if failed > 0 {
        out.line(format_args!("{name}: {failed} of {} tests fail", tests.len()))?;
        return Ok(Done::Found);
    }
    out.line(format_args!("{name}: {} tests hold", tests.len()))?;
    Ok(Done::Well)
}

/// The first event of a test that is not decided as expected.
fn problem(step: &Step, rules: &Rules, test: &Test) -> Option<(usize, String)> {
    let mut run = Sequential::new(step, rules);
    let (mut now, mut offset) = (START, 0);
    for (at, case) in test.events.iter().enumerate() {
        now += case.after_s.max(0).saturating_mul(1000);
        for _ in 0..case.times {
            let record = InRecord {
                partition: 0,
                offset,
                timestamp: Millis(now),
                key: None,
                value: Some(event(&case.event, offset, now).to_string().into_bytes()),
                headers: Vec::new(),
            };
            offset += 1;
            now += 1000;
            let mut written = Vec::new();
            run.record(&record, &mut written);
            let verdict = written.iter().find(|record| record.topic == Topic::Verdicts);
            let verdict = verdict.and_then(|record| record.value.as_deref()).unwrap_or_default();
            let verdict: Value = serde_json::from_slice(verdict).unwrap_or_default();
            if let Some(problem) = case.expect.as_ref().and_then(|wants| differs(wants, &verdict)) {
                return Some((at + 1, problem));
            }
        }
    }
    None
}

fn event(said: &Map<String, Value>, offset: i64, now: i64) -> Value {
    let mut event = said.clone();
    for (name, value) in [
        ("v", json!(1)),
        ("id", json!(format!("test-{offset}"))),
        ("ts", json!(now)),
        ("agent", json!({ "id": "agent" })),
    ] {
        event.entry(name).or_insert(value);
    }
    Value::Object(event)
}

fn differs(wants: &Expected, verdict: &Value) -> Option<String> {
    let reasons = verdict["reasons"].as_array().map_or(&[][..], Vec::as_slice);
    let rules: Vec<&str> = reasons
        .iter()
        .filter(|reason| reason["confidence"] != "low")
        .filter_map(|reason| reason["rule"].as_str())
        .collect();
    let because = || match rules.as_slice() {
        [] => "nothing was found".to_owned(),
        rules => rules.join(", "),
    };
    if let Some(action) = &wants.action
        && verdict["action"] != **action
    {
        return Some(format!("{action} expected, {} decided ({})", verdict["action"], because()));
    }
    if let Some(enforced) = wants.enforced
        && verdict["enforced"] != enforced
    {
        return Some(format!("`enforced: {enforced}` expected, {} decided", verdict["mode"]));
    }
    if let Some(expected) = &wants.rules
        && *expected != rules
    {
        return Some(format!("rules {} expected, found: {}", expected.join(", "), because()));
    }
    if let Some(hold) = wants.hold
        && verdict["hold"].is_object() != hold
    {
        return Some(format!("`hold: {hold}` expected ({})", because()));
    }
    None
}
