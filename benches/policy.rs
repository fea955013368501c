//! What asking the policy costs, with 1,000 agents, 200 overrides and 200 lines about tools.
//!
//! `cargo bench --bench policy`. *policy* is the evaluation itself: the lines about an event
//! and one finding, the rules about its tool, parameters, labels and flows. *decide* is all
//! of the second half of inspection for the same calls, with sessions, quotas and state;
//! *taint* is what values across sessions add to it.
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
use weir::inspect::{At, Incoming, Keys, Setup, Table, decide, item, prints};
use weir::policy::{Orders, Policy};
use weir::redact::Key32;
use weir::state::{Partition, Staged};
use weir::wire::event::{FieldMap, ReadLimits, read};

const AGENTS: usize = 1_000;

fn policy() -> Policy {
    Policy::read("bench.yml", &text()).unwrap()
}

fn text() -> String {
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
    text
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
    let finding = finding();
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
    println!("policy  {asked:>7.0} ns an event, evaluation alone");

    let mut setup = Setup { policy, ..Setup::default() };
    let decided = decide_all(&setup, &events, &texts, &[]);
    println!("decide  {decided:>7.0} ns an event, with all that it remembers");
    setup.behavior.mode = weir::baseline::Mode::Off;
    let plain = decide_all(&setup, &events, &texts, &[]);
    println!("decide  {plain:>7.0} ns an event, without judging behaviour");
    taint(&events, &texts, decided);
}

/// All of deciding, for events in which this was found, if anything; nanoseconds an event.
fn decide_all(setup: &Setup, events: &[Event<'_>], texts: &[String], found: &[Finding]) -> f64 {
    let scan = Scan { findings: found.to_vec(), ..Scan::default() };
    let partition = Partition::default();
    let items: Vec<_> =
        events.iter().zip(texts).map(|(event, text)| item(event, text.as_bytes())).collect();
    best(events.len(), || {
        let mut staged = Staged::new(&partition);
        for (at, event) in events.iter().enumerate() {
            let now = staged.advance(Millis(at as i64));
            let at = At { topic: "t", partition: 0, offset: at as i64, now };
            let item = items[at.offset as usize];
            let (scan, shared) = (&scan, Table::NONE);
            let prints = &prints(setup, event, scan, None);
            let (partitions, chunk) = (0, None);
            let incoming = Incoming { event, at, item, partitions, scan, prints, shared, chunk };
            black_box(decide(setup, &Orders::default(), &mut staged, &incoming));
        }
    })
}

/// What the ledger across sessions adds: to events without a value in them, to events with one,
/// and, where rows of words are remembered too, to a text of 1 KB.
fn taint(events: &[Event<'_>], texts: &[String], without: f64) {
    let setup = |of: &str| Setup {
        policy: Policy::read("bench.yml", &format!("{}taint: {{ of: [{of}] }}\n", text())).unwrap(),
        keys: Keys { fingerprint: Some(Key32([1; 32])), redaction: None },
        ..Setup::default()
    };
    let values = setup("secrets, pii");
    let with = decide_all(&values, events, texts, &[]);
    println!("taint   {:>7.0} ns more for events in which nothing was found", with - without);

    // Answers, each with an address of its own; a tenth of them is known from another session.
    let said: Vec<String> = (0..AGENTS * 4)
        .map(|n| {
            let words = "the quick answer to what was asked lies in the second part of the report ";
            let filler = (0..13).map(|k| format!("{words}{} ", n * k)).collect::<Vec<_>>().concat();
            format!(
                r#"{{"v":1,"id":"o{n}","ts":{n},"kind":"output","agent":{{"id":"agent-{}"}},"session":"s{n}","text":"ann-{:06}@corp.example {filler}"}}"#,
                n % AGENTS,
                n - n % 10 / 9,
            )
        })
        .collect();
    let answers: Vec<Event<'_>> = said
        .iter()
        .map(|text| read(text.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap())
        .collect();
    let span = RawSpan { start: 0, end: "ann-000000@corp.example".len() };
    let address = Finding { field: Some(0), span, ..finding() };
    let field = answers[0].fields.iter().position(|field| field.text.starts_with("ann-"));
    let address = Finding { field: field.map(|field| field as u32), ..address };
    let plain = Setup { policy: policy(), ..Setup::default() };
    let one = |setup: &Setup, found: &[Finding]| decide_all(setup, &answers, &said, found);
    let base = one(&plain, std::slice::from_ref(&address));
    let known = one(&values, std::slice::from_ref(&address));
    println!("taint   {:>7.0} ns more for an answer with one value, remembered too", known - base);
    let (base, rows) = (one(&plain, &[]), one(&setup("text"), &[]));
    println!("taint   {:>7.0} ns more for the rows of words of an answer of 1 KB", rows - base);
}

fn finding() -> Finding {
    Finding {
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
    }
}
