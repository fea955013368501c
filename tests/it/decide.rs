//! Decisions at the boundary: records in, records out, and what may change them.

use std::sync::Arc;

use weir::detect::{EngineKind, Rules, Scan, ScanLimits};
use weir::event::{Millis, RawSpan};
use weir::finding::{Action, Confidence, Family, Finding, Severity, Source, ViewName};
use weir::inspect::{
    At, Decision, Incoming, Prints, Readers, Setup, Table, decide, item, partition_of,
};
use weir::patterns::RuleSet;
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::{Sequential, Step, run_sequential};
use weir::policy::{Command, Mode, Order, Orders, Policy, Scope};
use weir::redact::Key32;
use weir::state::{Partition, Staged};
use weir::wire::event::{FieldMap, ReadLimits, read};
use weir::wire::{clean, headers};

/// Rules that find nothing: what is found is said by the test.
pub(crate) fn no_rules() -> Rules {
    Rules::compile(RuleSet::default(), ScanLimits::default(), EngineKind::Rust).unwrap()
}

pub(crate) fn record(offset: i64, value: impl Into<Vec<u8>>) -> InRecord {
    InRecord {
        partition: 0,
        offset,
        timestamp: Millis(1_000_000_000 + offset * 1000),
        key: Some(b"bot".to_vec()),
        value: Some(value.into()),
        headers: vec![("app".into(), b"x".to_vec())],
    }
}

pub(crate) fn prompt(id: &str, text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        r#"{{"v":1,"id":"{id}","ts":1000000000,"kind":"prompt","agent":{{"id":"bot"}},"session":"s","text":{text}}}"#
    )
}

fn finding(family: Family, kind: &str, field: u32, start: usize, end: usize) -> Finding {
    Finding {
        source: Arc::new(Source {
            rule: format!("{kind}.rule"),
            family,
            kind: kind.into(),
            severity: Severity::High,
            message: "something was found".into(),
            action: None,
            tags: Vec::new(),
        }),
        confidence: Confidence::High,
        field: Some(field),
        span: RawSpan { start, end },
        view: ViewName::RAW,
        mention: None,
    }
}

/// Family, type and the text that is covered.
type Found = (Family, &'static str, &'static str);

/// Decides one record with the findings that the test names by the text that they cover.
fn decided(
    setup: &Setup,
    orders: &Orders,
    value: &str,
    found: &[(Family, &str, &str)],
    check: impl FnOnce(&Decision<'_>, String),
) {
    let event = read(value.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
    let findings = found.iter().map(|(family, kind, covered)| {
        let (index, start) = event
            .fields
            .iter()
            .enumerate()
            .find_map(|(index, field)| Some((index as u32, field.text.find(covered)?)))
            .unwrap();
        finding(*family, kind, index, start, start + covered.len())
    });
    let scan = Scan { findings: findings.collect(), ..Scan::default() };
    let partition = Partition::default();
    let mut staged = Staged::new(&partition);
    staged.advance(Millis(1_000_000_000));
    let at = At { topic: "weir.events", partition: 0, offset: 7, now: staged.now() };
    let item = item(&event, value.as_bytes());
    let (scan, prints, shared) = (&scan, Prints::NONE, Table::NONE);
    let incoming =
        Incoming { event: &event, at, item, partitions: 0, scan, prints, shared, chunk: None };
    let decision = decide(setup, orders, &mut staged, &incoming);
    let cleaned = clean::edit(value.as_bytes(), &event, &decision.edits);
    check(&decision, String::from_utf8(cleaned).unwrap());
}

fn event(kind: &str, body: &str) -> String {
    format!(r#"{{"v":1,"id":"e","ts":1000000000,"kind":"{kind}","agent":{{"id":"bot"}},{body}}}"#)
}

#[test]
fn the_strongest_action_counts_and_only_its_spans_are_cut() {
    use Family::{Claims, Exfiltration, Injection, Pii, Secrets, Tools};
    let text = r#""text":"key K1K1 of bob@x.org""#;
    let call = r#""tool":{"name":"mail","params":{"to":"bob@x.org","body":"K1K1"}}"#;
    let (key, mail) = ((Secrets, "secret.key", "K1K1"), (Pii, "pii.email", "bob@x.org"));
    let cases: &[(&str, &str, &[Found], Action, &str)] = &[
        ("prompt", text, &[], Action::Allow, text),
        ("prompt", text, &[key, mail], Action::Redact, r#""text":"key ████ of bob@x.org""#),
        ("output", text, &[mail], Action::Redact, r#""text":"key K1K1 of <EMAIL_1>""#),
        ("output", text, &[key, mail], Action::Replace, r#""text":"[This text was withheld.]""#),
        ("output", text, &[(Claims, "claims.profession", "of")], Action::Retry, text),
        ("prompt", text, &[mail], Action::Alert, text),
        ("prompt", text, &[key, (Injection, "injection.override", "of")], Action::Block, text),
        ("tool_call", call, &[mail], Action::Alert, call),
        ("tool_call", call, &[key], Action::Block, call),
        ("tool_call", call, &[(Tools, "tool.sudo", "K1K1")], Action::Alert, call),
        ("output", text, &[(Exfiltration, "exfiltration.upload", "of")], Action::Block, text),
    ];
    for (kind, body, found, action, left) in cases {
        decided(
            &Setup::default(),
            &Orders::default(),
            &event(kind, body),
            found,
            |decision, text| {
                assert_eq!(decision.action, *action, "{kind} {found:?}");
                assert!(decision.enforced);
                assert!(text.contains(left), "{kind} {found:?}: {text}");
                assert_eq!(decision.retry_hint.is_some(), *action == Action::Retry);
                assert_eq!(decision.replacement.is_some(), *action == Action::Replace);
                assert_eq!(decision.reasons.len(), found.len());
            },
        );
    }
}

#[test]
fn findings_of_low_confidence_are_told_and_left_alone() {
    let value = prompt("e", "K1K1");
    let event = read(value.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
    let mut low = finding(Family::Injection, "injection.x", 0, 0, 4);
    low.confidence = Confidence::Low;
    let scan = Scan { findings: vec![low], ..Scan::default() };
    let partition = Partition::default();
    let mut staged = Staged::new(&partition);
    let at = At { topic: "t", partition: 0, offset: 0, now: staged.advance(Millis(1_000_000_000)) };
    let item = item(&event, value.as_bytes());
    let (scan, prints, shared) = (&scan, Prints::NONE, Table::NONE);
    let incoming =
        Incoming { event: &event, at, item, partitions: 0, scan, prints, shared, chunk: None };
    let decision = decide(&Setup::default(), &Orders::default(), &mut staged, &incoming);
    assert_eq!((decision.action, decision.reasons.len()), (Action::Allow, 1));
    assert!(decision.alerts.is_empty());
}

#[test]
fn shadow_tells_what_would_have_been_done() {
    let mut setup = Setup::default();
    setup.policy = setup.policy.with_mode(Mode::Shadow);
    let found = [(Family::Injection, "injection.override", "K1K1")];
    decided(&setup, &Orders::default(), &prompt("e", "K1K1"), &found, |decision, _| {
        assert_eq!((decision.action, decision.enforced), (Action::Block, false));
        assert_eq!(decision.mode, Mode::Shadow);
        assert!(!decision.alerts[0].enforced);
    });
    let mut orders = Orders::default();
    let scope = Scope::Agent(String::new(), "bot".into());
    orders.modes.insert(scope.clone(), Mode::Enforce);
    decided(&setup, &orders, &prompt("e", "K1K1"), &found, |decision, _| {
        assert!(decision.enforced, "an order stands above the policy");
    });
    orders.modes.insert(scope.clone(), Mode::Shadow);
    orders.kills.insert(scope);
    decided(&setup, &orders, &prompt("e", "hello"), &[], |decision, _| {
        assert_eq!((decision.action, decision.enforced), (Action::Block, true));
        assert_eq!(decision.reasons[0].finding.source.rule, "control.killed");
    });
    // One rule in shadow beside others that are enforced.
    let text = "overrides:\n  - { rule: 'pii.*', action: block, mode: shadow }\n  - { rule: 'secret.*', action: redact }\n";
    let setup = Setup { policy: Policy::read("p.yml", text).unwrap(), ..Setup::default() };
    let found = [(Family::Pii, "pii.email", "bob@x.org"), (Family::Secrets, "secret.key", "K1K1")];
    decided(
        &setup,
        &Orders::default(),
        &prompt("e", "bob@x.org K1K1"),
        &found,
        |decision, text| {
            assert_eq!((decision.action, decision.enforced), (Action::Redact, true));
            assert!(text.contains("bob@x.org <KEY_1>"), "{text}");
            assert_eq!(decision.reasons[0].mode, Mode::Shadow);
        },
    );
}

#[test]
fn what_redaction_wrote_is_not_found_again() {
    for text in ["<EMAIL_1>", "████", "████1111", "…"] {
        let found = [(Family::Secrets, "secret.password", text)];
        decided(
            &Setup::default(),
            &Orders::default(),
            &prompt("e", &format!("password={text}")),
            &found,
            |decision, _| assert_eq!(decision.action, Action::Allow, "{text}"),
        );
    }
}

#[test]
fn secrets_in_alerts_have_a_name_and_no_value() {
    let setup = Setup {
        keys: weir::inspect::Keys { fingerprint: Some(Key32([5; 32])), redaction: None },
        ..Setup::default()
    };
    let found = [(Family::Secrets, "secret.key", "K1K1")];
    for (keys, named) in [(setup.clone(), true), (Setup::default(), false)] {
        let value = event("output", r#""text":"K1K1""#);
        decided(&keys, &Orders::default(), &value, &found, |decision, _| {
            let fingerprint = decision.alerts[0].fingerprint.as_deref();
            assert_eq!(fingerprint.map(str::len), named.then_some(32));
            assert!(!format!("{:?}", decision.alerts).contains("K1K1"));
        });
    }
}

fn of(topic: Topic, out: &[OutRecord]) -> Vec<&OutRecord> {
    out.iter().filter(|record| record.topic == topic).collect()
}

fn json(record: &OutRecord) -> serde_json::Value {
    serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
}

#[test]
fn every_output_goes_to_the_inputs_partition_and_carries_its_headers() {
    let rules = no_rules();
    let step = Step::new("weir.events", 0, "pack");
    let input = record(0, prompt("e1", "hello"));
    let out = run_sequential(&step, &rules, [&input]);
    let topics: Vec<Topic> = out.iter().map(|record| record.topic).collect();
    assert_eq!(topics, [Topic::Verdicts, Topic::Clean, Topic::Audit]);
    for record in &out {
        assert_eq!((record.partition, record.key.as_slice()), (0, b"bot".as_slice()));
        assert!(record.headers.contains(&("app".into(), b"x".to_vec())));
        assert!(record.headers.contains(&headers::header(headers::EVENT_ID, "e1")));
    }
    assert_eq!(out[1].value, input.value, "allowed events go on byte by byte");
    assert_eq!(json(&out[0])["event_id"], "e1");
    assert_eq!(json(&out[0])["coverage"]["truncated"], false);
}

#[test]
fn a_repeat_has_its_own_verdict_and_moves_no_alert_until_the_fourth() {
    let rules = no_rules();
    let step = Step::new("weir.events", 0, "pack");
    let mut records: Vec<InRecord> = (0..5).map(|n| record(n, prompt("e1", "hello"))).collect();
    records.push(record(5, prompt("e1", "other")));
    let out = run_sequential(&step, &rules, &records);
    let repeats: Vec<bool> =
        of(Topic::Verdicts, &out).iter().map(|v| json(v)["repeat"] == true).collect();
    assert_eq!(repeats, [false, true, true, false, false, false]);
    let last = json(of(Topic::Verdicts, &out)[5]);
    assert_eq!(last["action"], "alert");
    assert_eq!(last["reasons"][0]["rule"], "system.id_reuse");
    assert_eq!(of(Topic::Alerts, &out).len(), 1);
    assert_eq!(of(Topic::Audit, &out).len(), 6, "each has its audit record");
}

#[test]
fn clocks_that_are_wrong_are_told_and_backdating_often_is_an_alert() {
    let rules = no_rules();
    let step = Step::new("weir.events", 0, "pack");
    let dated = |n: i64, ts: &str| {
        let value = prompt(&format!("e{n}"), "hello").replace("1000000000", ts);
        record(n, value)
    };
    let mut records = vec![dated(0, "4102444800000")];
    records.extend((1..=20).map(|n| dated(n, "\"1970-01-01T00:00:00Z\"")));
    let out = run_sequential(&step, &rules, &records);
    let verdicts = of(Topic::Verdicts, &out);
    let ahead = json(verdicts[0]);
    assert_eq!(
        (&ahead["action"], &ahead["reasons"][0]["rule"]),
        (&"allow".into(), &"system.clock_ahead".into())
    );
    let actions: Vec<String> = verdicts[1..]
        .iter()
        .map(|verdict| json(verdict)["action"].as_str().unwrap().to_owned())
        .collect();
    assert!(actions[..19].iter().all(|action| action == "allow"));
    assert_eq!(actions[19], "alert");
    assert_eq!(json(of(Topic::Alerts, &out)[0])["unmapped"]["weir"]["rule"], "system.backdated");
}

#[test]
fn records_on_the_wrong_partition_are_one_alert_that_names_the_fix() {
    let rules = no_rules();
    let step = Step::new("weir.events", 12, "pack");
    let home = partition_of("bot", 12);
    let mut records: Vec<InRecord> =
        (0..10).map(|n| record(n, prompt(&format!("e{n}"), "hello"))).collect();
    for record in &mut records {
        record.partition = home;
    }
    assert!(of(Topic::Alerts, &run_sequential(&step, &rules, &records)).is_empty());
    for record in &mut records {
        record.partition = (home + 1) % 12;
    }
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    for record in &records {
        assert!(run.record(record, &mut out).notes.misrouted);
    }
    let alerts = of(Topic::Alerts, &out);
    assert_eq!(alerts.len(), 1);
    assert!(json(alerts[0])["message"].as_str().unwrap().contains("murmur2_random"));
    assert!(json(of(Topic::Verdicts, &out)[0])["reasons"].as_array().unwrap().is_empty());
}

#[test]
fn what_cannot_be_read_is_blocked_and_kept() {
    let rules = no_rules();
    let step = Step::new("weir.events", 0, "pack");
    let mut tombstone = record(1, "");
    tombstone.value = None;
    let records = [
        record(0, "GET /"),
        tombstone,
        record(2, prompt("e1", "x").replace("\"v\":1", "\"v\":9")),
        record(3, prompt("e1", "x").replace("prompt", "promt")),
    ];
    let out = run_sequential(&step, &rules, &records);
    let verdicts = of(Topic::Verdicts, &out);
    assert_eq!(verdicts.len(), 4);
    for verdict in &verdicts {
        let verdict = json(verdict);
        assert_eq!(verdict["action"], "block");
        assert_eq!(verdict["event_id"], serde_json::Value::Null);
        assert_eq!(verdict["coverage"]["truncated"], true);
    }
    assert!(verdicts[2].headers.contains(&headers::header(headers::EVENT_ID, "e1")));
    let dead = of(Topic::Dlq, &out);
    assert_eq!(dead.len(), 4);
    for (dead, record) in dead.iter().zip(&records) {
        assert_eq!(dead.value, record.value);
    }
    assert!(of(Topic::Clean, &out).is_empty());
    assert_eq!(of(Topic::Audit, &out).len(), 4);

    let text = "failures: { unreadable: open }\n";
    let mut open = Step::new("weir.events", 0, "pack");
    open.setup.policy = Policy::read("p.yml", text).unwrap();
    let out = run_sequential(&open, &rules, &records[..1]);
    assert_eq!(json(of(Topic::Verdicts, &out)[0])["action"], "alert");
    assert_eq!(of(Topic::Clean, &out)[0].value, records[0].value);
}

#[test]
fn what_would_not_fit_is_blocked_with_a_stub() {
    let rules = no_rules();
    let mut step = Step::new("weir.events", 0, "pack");
    step.message_bytes_max = 100_000;
    let records = [
        record(0, prompt("e1", &"x".repeat(99_000))),
        record(1, prompt("e2", &"x".repeat(120_000))),
        record(2, prompt("e3", "small")),
    ];
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    let outcomes: Vec<_> = records.iter().map(|record| run.record(record, &mut out)).collect();
    assert_eq!(outcomes[0].dead, None);
    assert_eq!(outcomes[1].dead, Some("too_large_to_forward"));
    assert_eq!(outcomes[2].dead, None);
    let verdict = json(of(Topic::Verdicts, &out)[1]);
    assert_eq!((&verdict["event_id"], &verdict["action"]), (&"e2".into(), &"block".into()));
    assert_eq!(verdict["reasons"][0]["rule"], "limit.output_bytes");
    assert_eq!(of(Topic::Clean, &out).len(), 2);
    let dead = of(Topic::Dlq, &out);
    assert_eq!(dead.len(), 1);
    let original = records[1].value.as_ref().unwrap();
    assert_eq!(dead[0].value.as_deref(), original.get(..64 << 10));
    let length = original.len().to_string();
    assert!(dead[0].headers.contains(&headers::header("weir.dlq.length", length)));
    assert!(out.iter().all(|record| record.value.as_ref().map_or(0, Vec::len) < 100_000));
    let audit: Vec<_> =
        of(Topic::Audit, &out).iter().map(|record| json(record)["seq"].clone()).collect();
    assert_eq!(audit, [0, 1, 2]);
}

#[test]
fn a_record_that_must_be_turned_away_still_has_a_verdict() {
    let step = Step::new("weir.events", 0, "pack");
    let input = record(0, prompt("e1", "hello"));
    let scanned = step.refuse(&input, "panicked");
    let partition = Partition::default();
    let mut staged = Staged::new(&partition);
    let mut out = Vec::new();
    let rules = no_rules();
    let (orders, mut readers) = (Orders::default(), Readers::new(&rules, "pack"));
    let with = (&orders, &mut readers);
    let outcome = step.record(&mut staged, with, &input, &scanned, 0, &mut out);
    assert_eq!((outcome.action, outcome.dead), (Action::Block, Some("panicked")));
    assert!(out[0].headers.contains(&headers::header(headers::EVENT_ID, "e1")));
    assert_eq!(of(Topic::Dlq, &out)[0].value, input.value);
}

#[test]
fn an_order_is_audited_once_by_the_partition_that_it_concerns() {
    let rules = no_rules();
    let step = Step::new("weir.events", 4, "pack");
    let home = partition_of("bot", 4);
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    for partition in 0..4 {
        let mut input = record(0, prompt("e", "hello"));
        input.partition = partition;
        run.record(&input, &mut out);
    }
    let order = |offset, scope| Order {
        offset,
        command: Command::Kill { scope, on: true },
        by: "soc".into(),
        reason: "drill".into(),
    };
    for (offset, scope, owner) in
        [(3, Scope::Agent(String::new(), "bot".into()), home), (4, Scope::All, 0)]
    {
        let order = order(offset, scope);
        out.clear();
        run.order(&order, &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].topic, out[0].partition), (Topic::Audit, owner));
        let audit = json(&out[0]);
        assert_eq!((&audit["what"], &audit["by"]), (&"control".into(), &"soc".into()));
        out.clear();
        run.order(&order, &mut out);
        assert!(out.is_empty(), "it takes effect once");
    }
    let mut input = record(1, prompt("e2", "hello"));
    input.partition = home;
    let outcome = run.record(&input, &mut out);
    assert!(outcome.notes.killed && outcome.action == Action::Block);
}

#[test]
fn batches_and_aborts_change_no_output() {
    let rules = no_rules();
    let step = Step::new("weir.events", 12, "pack");
    let records: Vec<InRecord> = (0..400i64)
        .map(|n| {
            let value = match n % 7 {
                0 => "not JSON".to_owned(),
                1 => prompt("same", "again"),
                2 => prompt("same", &n.to_string()),
                _ => prompt(&format!("e{n}"), "hello"),
            };
            let mut record = record(n, value);
            record.timestamp = Millis(1_000_000_000 + n * 40_000 * (1 + n % 3) - (n % 5) * 1000);
            record
        })
        .collect();
    let expected = run_sequential(&step, &rules, &records);
    assert!(of(Topic::Alerts, &expected).len() > 3);
    for batch in [1, 7, 64, 400] {
        let mut state = Partition::default();
        let mut scratch = rules.scratch();
        let (orders, mut readers) = (Orders::default(), Readers::new(&rules, "pack"));
        let mut out = Vec::new();
        for (number, batch) in records.chunks(batch).enumerate() {
            let scanned: Vec<_> =
                batch.iter().map(|record| step.scan(&mut scratch, record)).collect();
            // Every third batch is aborted once: what was scanned is used again.
            for attempt in 0..=usize::from(number % 3 == 0) {
                let last = attempt == usize::from(number % 3 == 0);
                let mut staged = Staged::new(&state);
                let mut mine = Vec::new();
                for (record, scanned) in batch.iter().zip(&scanned) {
                    let with = (&orders, &mut readers);
                    step.record(&mut staged, with, record, scanned, 0, &mut mine);
                }
                if last {
                    let changes = staged.into_changes();
                    out.append(&mut mine);
                    state.apply(changes);
                }
            }
        }
        assert!(out == expected, "batches of {batch}");
    }
}

#[test]
fn an_episode_is_closed_by_its_timer_or_by_the_next_record_alike() {
    let rules = no_rules();
    let step = Step::new("weir.events", 0, "pack");
    let bad = record(0, "not JSON");
    let mut late = record(1, prompt("e", "hello"));
    late.timestamp = Millis(bad.timestamp.0 + 10_000_000);
    let by_record = run_sequential(&step, &rules, [&bad, &late]);
    let mut run = Sequential::new(&step, &rules);
    let mut by_timer = Vec::new();
    run.record(&bad, &mut by_timer);
    run.timers(Millis(bad.timestamp.0 + 5_000_000), &mut by_timer);
    run.record(&late, &mut by_timer);
    assert_eq!(by_record, by_timer);
    let closed = json(of(Topic::Alerts, &by_timer)[1]);
    assert_eq!(closed["activity_name"], "Close");
    assert_eq!(closed["time"], bad.timestamp.0 + 900_000);
}
