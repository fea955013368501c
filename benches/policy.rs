//! What asking the policy costs, with 1,000 agents, 200 overrides and 200 lines about tools.
//!
//! `cargo bench --bench policy`. *policy* is the evaluation itself: the lines about an event
//! and one finding, the rules about its tool, parameters, labels and flows. *decide* is all
//! of the second half of inspection for the same calls, with sessions, quotas and state.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir::detect::Scan;
use weir::event::{Event, Millis, RawSpan};
use weir::finding::{Confidence, Family, Finding, Severity, Source, ViewName};
use weir::inspect::{At, Incoming, Setup, decide, item};
use weir::policy::{Orders, Policy};
use weir::state::{Partition, Staged};
use weir::wire::event::{FieldMap, ReadLimits, read};

const AGENTS: usize = 1_000;

fn policy() -> Policy {
    let mut text = format!("{}\n", Policy::SHIPPED);
    for n in 0..200 {
        writeln!(text, "  - {{ rule: pii.email, agent: agent-{n}, action: redact }}").unwrap();
    }
    text.push_str("tools:\n");
    for n in 0..180 {
        writeln!(text, "  - {{ agent: agent-{n}, tool: 'secret.*', access: deny }}").unwrap();
    }
    text.push_str(
        "  - { id: calls, quota: { max: 1000000, per: session } }
  - { id: hourly, tool: 'crm.*', quota: { max: 1000000, per: hour } }
  - { tool: 'crm.*', labels: read:private }
  - { tool: web.get, labels: read:untrusted }
  - { tool: mail.send, labels: send:external, params: { to: { max_items: 10 } } }
  - { type: support, access: deny }
  - { type: support, tool: ['crm.*', mail.send, web.get], access: allow }
flows:
  - after read:private and read:untrusted deny send:external
",
    );
    Policy::read("bench.yml", &text).unwrap()
}

fn records() -> Vec<String> {
    (0..AGENTS * 4)
        .map(|n| {
            let (tool, params) = match n % 3 {
                0 => ("crm.find", r#"{"q":"open orders of the last week","limit":20}"#),
                1 => ("mail.send", r#"{"to":["ann@corp.example"],"subject":"hi","body":"see you"}"#),
                _ => ("web.get", r#"{"url":"https://docs.corp.example/page"}"#),
            };
            format!(
                r#"{{"v":1,"id":"e{n}","ts":{n},"kind":"tool_call","agent":{{"id":"agent-{}","type":"support"}},"session":"s{n}","tool":{{"name":"{tool}","params":{params}}}}}"#,
                n % AGENTS
            )
        })
        .collect()
}

/// The best of many rounds, since the machine is rarely idle; nanoseconds an event.
fn best(events: usize, mut round: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let begin = Instant::now();
        round();
        best = best.min(begin.elapsed());
    }
    best.as_secs_f64() * 1e9 / events as f64
}

fn main() {
    let policy = policy();
    let texts = records();
    let events: Vec<Event<'_>> = texts
        .iter()
        .map(|text| read(text.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap())
        .collect();
    let finding = Finding {
        source: Arc::new(Source {
            rule: "pii.email".into(),
            family: Family::Pii,
            kind: "pii.email".into(),
            severity: Severity::Medium,
            message: String::new(),
            action: None,
            tags: Vec::new(),
        }),
        confidence: Confidence::High,
        field: None,
        span: RawSpan::default(),
        view: ViewName::RAW,
        mention: None,
    };
    let asked = best(events.len(), || {
        for event in &events {
            let governance = &policy.governance;
            let covering = governance.covering(event);
            black_box(governance.breaches(event, &covering, Millis(0)));
            let labels = governance.labels(event, &covering, &[]);
            black_box(governance.broken_flows(event, labels, labels));
            black_box((policy.ruling(event, &finding), policy.mode(event)));
        }
    });
    println!("policy  {asked:>7.0} ns an event");

    let setup = Setup { policy, ..Setup::default() };
    let scan = Scan::default();
    let partition = Partition::default();
    let items: Vec<_> =
        events.iter().zip(&texts).map(|(event, text)| item(event, text.as_bytes())).collect();
    let decided = best(events.len(), || {
        let mut staged = Staged::new(&partition);
        for (at, event) in events.iter().enumerate() {
            let now = staged.advance(Millis(at as i64));
            let at = At { topic: "t", partition: 0, offset: at as i64, now };
            let item = items[at.offset as usize];
            let incoming = Incoming { event, at, item, partitions: 0, scan: &scan, chunk: None };
            black_box(decide(&setup, &Orders::default(), &mut staged, &incoming));
        }
    });
    println!("decide  {decided:>7.0} ns an event, with what it remembers");
}
