//! `docs/schemas/` against the code: whatever is written validates, and no field is on one side only.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use weir::alert::{Alert, Cause, Correction, Group, Origin, State};
use weir::audit::record::{Frame, KeptBack, Result as Outcome, Why};
use weir::audit::{Anchor, Head, InForce, Signer, record};
use weir::event::{Kind, Millis, RawSpan};
use weir::finding::{
    Action, Classified, Confidence, Coverage, Done, Family, Finding, Score, Scoring, Seen,
    Severity, Source, ViewName,
};
use weir::inspect::{
    At, Clean, Decision, End, Hold, Notes, Reason, Shared, Streamed, Tick, TickKind,
};
use weir::policy::{Command, Grant, Mode, Order, Policy, Scope, Silence};
use weir::redact::{Edit, Key32};
use weir::state::{Item, Key, Partition, Staged, owner};
use weir::wire::control::{Body, ControlRecord};
use weir::wire::event::{FieldMap, ReadLimits, read};
use weir::wire::verdict::Stamp;
use weir::wire::{alert, clean, control, dlq, verdict};

struct Schema {
    name: &'static str,
    json: Value,
    validator: jsonschema::Validator,
}

impl Schema {
    fn load(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs/schemas")
            .join(format!("{name}.schema.json"));
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(jsonschema::meta::is_valid(&json), "{name} is itself valid");
        let validator = jsonschema::validator_for(&json).unwrap();
        Self { name, json, validator }
    }

    fn check(&self, value: &Value) {
        let errors: Vec<String> = self
            .validator
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{value:#}", self.name);
    }

    /// Whether the object there has members under any name, or within itself.
    fn is_open(&self, path: &str) -> bool {
        let pointer = path.replace('/', "/properties/");
        self.json.pointer(&pointer).is_some_and(|schema| {
            schema["additionalProperties"].is_object() || schema["$ref"].is_string()
        })
    }

    /// Every value validates, and together they have every field of the schema and no other.
    fn check_all(&self, values: &[Value]) {
        let mut written = BTreeSet::new();
        for value in values {
            self.check(value);
            paths_of_value(value, "", &mut written);
        }
        let mut described = BTreeSet::new();
        paths_of_schema(&self.json, "", &mut described);
        // What stands under free names (audit keeps parameters by JSON pointer) is data, not fields.
        let open: Vec<&String> = described.iter().filter(|path| self.is_open(path)).collect();
        written.retain(|path| !open.iter().any(|open| path.starts_with(&format!("{open}/"))));
        let only_written: Vec<_> = written.difference(&described).collect();
        let only_described: Vec<_> = described.difference(&written).collect();
        assert!(
            only_written.is_empty() && only_described.is_empty(),
            "{}: written and not described: {only_written:?}; described and never written: {only_described:?}",
            self.name
        );
    }
}

fn paths_of_value(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = format!("{at}/{name}");
                paths_of_value(member, &path, into);
                into.insert(path);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                paths_of_value(element, at, into);
            }
        }
        _ => {}
    }
}

fn paths_of_schema(schema: &Value, at: &str, into: &mut BTreeSet<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}/{name}");
        paths_of_schema(member, &path, into);
        into.insert(path);
    }
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        paths_of_schema(one, at, into);
    }
    if schema.get("items").is_some() {
        paths_of_schema(&schema["items"], at, into);
    }
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

const FULL: &str = r#"{"v":1,"id":"e","ts":"2026-11-20T10:00:00Z","kind":"output_chunk","tenant":"t","agent":{"id":"a","type":"x"},
    "session":"s","user":"u","delegation":["user:u"],"act":{"sub":"agent:b","iss":"https://idp","act":{"sub":"agent:a"}},"trigger":"cron","reasoning":{"why":"so"},"permissions":["read"],"actor":"u",
    "deployment":{"id":"d","prompt_hash":"p","tools_hash":"h"},"source":"user","text":"mail me","messages":[{"role":"user","content":"hi"}],
    "tool":{"name":"n","call_id":"c","params":{"a":1},"result":[1],"rows":1,"bytes":2,"error":false},
    "stream":{"id":"s1","seq":3,"last":false},"usage":{"tokens_in":1,"tokens_out":2,"cost_usd":0.1},"model":"m","latency_ms":1.5,
    "data_classes":["pii"],"traceparent":"00-a-b-01","meta":{"k@e.org":4111111111111111}}"#;

#[test]
fn the_event_schema_and_the_reader_agree() {
    let schema = Schema::load("event");
    let full = parsed(FULL.as_bytes());
    let with = |pointer: &str, value: Value| {
        let mut event = full.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let without = |parent: &str, name: &str| {
        let mut event = full.clone();
        event.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(name).unwrap();
        event
    };
    let mut events = vec![full.clone(), json!({}), json!([]), json!(null)];
    for name in
        ["v", "id", "ts", "kind", "agent", "text", "stream", "tool", "session", "messages", "usage"]
    {
        events.push(without("", name));
        events.push(with(&format!("/{name}"), Value::Null));
        for wrong in [
            json!(true),
            json!(-1),
            json!(0.5),
            json!("text"),
            json!(""),
            json!([]),
            json!([1]),
            json!({}),
        ] {
            events.push(with(&format!("/{name}"), wrong));
        }
    }
    for (parent, name) in [
        ("/agent", "id"),
        ("/agent", "type"),
        ("/stream", "id"),
        ("/stream", "seq"),
        ("/stream", "last"),
        ("/tool", "name"),
        ("/tool", "call_id"),
        ("/tool", "params"),
        ("/tool", "rows"),
        ("/tool", "bytes"),
        ("/tool", "error"),
        ("/usage", "tokens_in"),
        ("/usage", "cost_usd"),
        ("/deployment", "id"),
        ("/messages/0", "role"),
        ("/messages/0", "content"),
    ] {
        events.push(without(parent, name));
        events.push(with(&format!("{parent}/{name}"), Value::Null));
        for wrong in [
            json!(true),
            json!(-1),
            json!(0.5),
            json!(7),
            json!(7.0),
            json!("text"),
            json!([]),
            json!({}),
        ] {
            events.push(with(&format!("{parent}/{name}"), wrong));
        }
    }
    for name in [
        "tenant",
        "user",
        "delegation",
        "act",
        "source",
        "model",
        "latency_ms",
        "data_classes",
        "traceparent",
        "deployment",
        "meta",
        "trigger",
    ] {
        for value in [json!(null), json!(1), json!("x"), json!(["x"]), json!([1]), json!({})] {
            events.push(with(&format!("/{name}"), value));
        }
    }
    for ts in [
        json!(0),
        json!(-5),
        json!(4_102_444_800_000_u64),
        json!(1.5),
        json!(1e16),
        json!("1970-01-01T00:00:00Z"),
        json!("2100-12-31t23:59:59.999999999-23:59"),
        json!("2026-11-20"),
        json!("2026-11-20T10:00:00"),
        json!("2026-13-01T00:00:00Z"),
        json!("2026-11-20T24:00:00Z"),
        json!("2026-11-20T10:00:00Z[UTC]"),
        json!("1700000000"),
        json!("2026-11-20T10:60:00Z"),
    ] {
        events.push(with("/ts", ts));
    }
    for (kind, drop) in [
        ("tool_call", "tool"),
        ("tool_result", "tool"),
        ("prompt", "tool"),
        ("output", "stream"),
        ("output_chunk", "stream"),
    ] {
        let mut event = with("/kind", json!(kind));
        events.push(event.clone());
        event.as_object_mut().unwrap().shift_remove(drop);
        events.push(event);
    }
    for act in [
        json!({"sub": "a"}),
        json!({"sub": "a", "iss": null, "act": null, "email": ["x"]}),
        json!({"sub": "a", "act": {"sub": "b", "act": {"sub": "c"}}}),
        json!({"sub": "a", "act": {"act": {"sub": "c"}}}),
        json!({"sub": "a", "act": "b"}),
        json!({"sub": "a", "iss": 3}),
        json!({"sub": ""}),
        json!({"sub": ["a"]}),
    ] {
        events.push(with("/act", act));
    }
    events.push(with("/kind", json!("thought")));
    events.push(with("/v", json!(1.0)));
    events.push(with("/v", json!(2)));
    let (mut good, mut bad) = (0, 0);
    for event in events {
        let text = event.to_string();
        let reader =
            read(text.as_bytes(), &FieldMap::default(), &ReadLimits::default()).map(|_| ());
        let described = schema.validator.is_valid(&event);
        assert_eq!(reader.is_ok(), described, "reader: {reader:?}\n{text}");
        *(if described { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 80 && bad > 120, "the table has both sides: {good} good, {bad} bad");
}

#[test]
fn the_event_schema_names_the_fields_that_are_read() {
    let mut described = BTreeSet::new();
    paths_of_schema(&Schema::load("event").json, "", &mut described);
    let mut read: BTreeSet<String> =
        FieldMap::field_names().map(|name| format!("/{}", name.replace('.', "/"))).collect();
    // Objects around other fields, and what is scanned without being decided by.
    for name in [
        "agent",
        "deployment",
        "tool",
        "stream",
        "usage",
        "messages/role",
        "messages/content",
        "trigger",
        "reasoning",
        "permissions",
        "actor",
        "meta",
    ] {
        assert!(read.insert(format!("/{name}")), "{name}");
    }
    assert_eq!(described, read);
}

#[test]
fn clean_events_validate_whatever_was_cut() {
    let schema = Schema::load("clean");
    let event = read(FULL.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
    schema.check(&parsed(FULL.as_bytes()));
    for (index, field) in event.fields.iter().enumerate() {
        let span = RawSpan { start: 0, end: field.text.len() };
        let cut = Edit { field: index as u32, span, with: "█".to_owned() };
        let out = clean::edit(FULL.as_bytes(), &event, &[cut]);
        schema.check(&parsed(&out));
        assert!(read(FULL.as_bytes(), &FieldMap::default(), &ReadLimits::default()).is_ok());
    }
}

fn finding(field: Option<u32>, view: ViewName) -> Finding {
    Finding {
        source: Arc::new(Source {
            rule: "pii.email".into(),
            family: Family::Pii,
            kind: "pii.email".into(),
            severity: Severity::Medium,
            message: "an e-mail \"address\"\n".into(),
            action: None,
            tags: Vec::new(),
        }),
        confidence: Confidence::High,
        field,
        span: RawSpan { start: 1, end: 4 },
        view,
        mention: (field == Some(0)).then_some(weir::finding::Mention::Quotation),
    }
}

/// Who had a value before, as this partition or another one knows it.
fn seen(entry: Option<(i32, i64)>) -> Seen {
    Seen {
        at: Millis(4),
        tenant: if entry.is_some() { "t".into() } else { String::new() },
        agent: "a".into(),
        session: entry.map(|_| "s".into()),
        user: entry.map(|_| "u".into()),
        entry,
    }
}

fn decision(coverage: &Coverage, findings: Vec<Finding>, action: Action) -> Decision<'_> {
    Decision {
        action,
        enforced: action != Action::Alert,
        mode: if action == Action::Alert { Mode::Shadow } else { Mode::Enforce },
        reasons: findings
            .into_iter()
            .map(|finding| Reason { finding, action, mode: Mode::Enforce })
            .collect(),
        edits: Vec::new(),
        replacement: None,
        retry_hint: (action == Action::Retry).then(|| "rephrase".into()),
        retry_after_ms: (action == Action::Retry).then_some(500),
        hold: (action == Action::Block).then(|| Hold { id: "h".into(), expires: Millis(7) }),
        coverage,
        repeat: action == Action::Allow,
        alerts: Vec::new(),
        kept_back: Vec::new(),
        audit_edits: Vec::new(),
        stream: None,
        notes: Notes::default(),
        shared: Shared {
            seen: vec![(0, Arc::new(seen(None))), (1, Arc::new(seen(Some((3, 9)))))],
            ..Shared::default()
        },
    }
}

fn classified() -> Classified {
    Classified {
        state: Scoring::Partial,
        score: Score::new(0.5),
        windows: Done { scored: 1, total: 3 },
        tokens: Done { scored: 126, total: 300 },
        model: 7,
    }
}

#[test]
fn every_verdict_validates_and_no_field_is_on_one_side_only() {
    let event = read(FULL.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
    let key = event.fields.iter().position(|field| field.text == "k@e.org").unwrap() as u32;
    let coverage = Coverage {
        bytes: 10,
        scanned: 9,
        views: vec![ViewName::RAW, ViewName::FOLDED],
        truncated: true,
        classifier: classified(),
    };
    let at = At { topic: "weir.events", partition: 0, offset: 12, now: Millis(0) };
    let stamp = Stamp { pack: "p", policy: "q", took_us: u64::MAX };
    let mut verdicts = Vec::new();
    for action in Action::ALL {
        let findings = vec![
            finding(Some(0), ViewName::CLEAN),
            finding(Some(key), ViewName("base64>folded".into())),
            finding(None, ViewName::RAW),
            finding(Some(u32::MAX), ViewName::RAW),
        ];
        for event in [None, Some(&event)] {
            let bytes =
                verdict::write(&decision(&coverage, findings.clone(), *action), event, &at, &stamp);
            verdicts.push(parsed(&bytes));
        }
        verdicts.push(parsed(&verdict::write(
            &decision(&coverage, vec![], *action),
            Some(&event),
            &at,
            &stamp,
        )));
    }
    for tick in [None, Some(Tick { kind: TickKind::Held, at: Millis(5) })] {
        let streamed = Streamed {
            field: 0,
            clean: Clean::Nothing,
            clean_through: 7,
            action: Action::Redact,
            chunks: 3,
            ended: tick.is_none().then_some(End::Last),
            packs: if tick.is_none() { Vec::new() } else { vec!["p".into(), "q".into()] },
            audit: None,
            tick,
        };
        let decision =
            Decision { stream: Some(streamed), ..decision(&coverage, vec![], Action::Allow) };
        verdicts.push(parsed(&verdict::write(&decision, Some(&event), &at, &stamp)));
    }
    Schema::load("verdict").check_all(&verdicts);
    let stream = &Schema::load("verdict").json["properties"]["stream"]["properties"];
    assert_eq!(stream["ended"]["enum"], json!(End::ALL.map(End::name)));
    assert_eq!(verdicts[1]["reasons"][1]["field"], "/meta/k@e.org");
    assert_eq!(verdicts[1]["reasons"][1]["at"], "key");
    let families: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
    let reason = &Schema::load("verdict").json["properties"]["reasons"]["items"]["properties"];
    assert_eq!(reason["family"]["enum"], json!(families));
    let names = |all: &[Severity]| all.iter().map(|one| one.name()).collect::<Vec<_>>();
    assert_eq!(reason["severity"]["enum"], json!(names(Severity::ALL)));
}

fn alerts() -> Vec<Alert> {
    let full = Alert {
        state: State::Open,
        episode: Origin { offset: 7, ordinal: 0 },
        cause: Cause::Record(Origin { offset: 7, ordinal: 0 }),
        time: Millis(1000),
        first: Millis(1000),
        last: Millis(1000),
        count: 1,
        tenant: "t".into(),
        agent: "bot \"é\"".into(),
        agent_type: Some("support".into()),
        session: Some("s".into()),
        user: Some("u".into()),
        kind: Kind::ToolCall,
        tool: Some("mail".into()),
        action: Action::Block,
        enforced: true,
        family: Family::Behavior,
        signal: "behavior.volume".into(),
        rule: "behavior.volume".into(),
        severity: Severity::High,
        confidence: Confidence::High,
        message: "five times the usual".into(),
        event_ids: vec!["e1".into(), "e2".into()],
        fingerprint: Some("ab".into()),
        seen: Some(seen(Some((3, 9)))),
        typical: Some(3.0),
        actual: Some(40.5),
        score: Some(1e-9),
        tags: vec!["OWASP-LLM01".into(), "ATLAS-AML.T0051.001".into()],
        corrected: Some(Correction {
            hour: Millis(3_600_000),
            withdrawn: vec!["behavior.errors".into()],
            added: vec!["behavior.volume".into()],
        }),
        group: Some(Group {
            about: "amount".into(),
            agents: 300,
            estimated: true,
            shared: vec![("model".into(), "m-2".into(), 250)],
            members: vec!["a".into(), "b".into()],
        }),
    };
    let bare = Alert {
        tenant: String::new(),
        agent_type: None,
        session: None,
        user: None,
        tool: None,
        fingerprint: None,
        seen: Some(seen(None)),
        typical: None,
        actual: Some(f64::NAN),
        score: None,
        tags: vec![],
        event_ids: vec![],
        corrected: None,
        group: None,
        ..full.clone()
    };
    let mut all = vec![bare];
    for state in [State::Open, State::Update, State::Closed] {
        for family in Family::ALL {
            for action in Action::ALL {
                for severity in Severity::ALL {
                    let (family, action, severity) = (*family, *action, *severity);
                    let enforced = severity != Severity::Low;
                    let cause = if state == State::Closed { Cause::Timer } else { full.cause };
                    all.push(Alert {
                        state,
                        family,
                        action,
                        severity,
                        enforced,
                        cause,
                        ..full.clone()
                    });
                }
            }
        }
    }
    all
}

#[test]
fn every_alert_validates_and_no_field_is_on_one_side_only() {
    let made = alert::Made { topic: "weir.events", partition: 2, pack: "abc" };
    let ocsf: Vec<Value> =
        alerts().iter().map(|alert| parsed(&alert::ocsf(alert, &made))).collect();
    Schema::load("alert").check_all(&ocsf);
    let ecs: Vec<Value> = alerts().iter().map(|alert| parsed(&alert::ecs(alert, &made))).collect();
    Schema::load("alert-ecs").check_all(&ecs);
}

#[test]
fn every_dead_letter_validates_and_no_field_is_on_one_side_only() {
    let mut headers = Vec::new();
    let big = vec![0xff; 5000];
    for stage in [dlq::Stage::Read, dlq::Stage::Inspect, dlq::Stage::Forward] {
        for value in [None, Some(&b"x"[..]), Some(&big[..])] {
            let dead = dlq::Dead {
                topic: "weir.events",
                partition: 3,
                offset: 9,
                timestamp: Millis(0),
                value,
                headers: &[],
                stage,
                reason: "not_json",
                message: "not an event",
                attempts: 3,
                pack: "p",
            };
            let (value, written) = dlq::write(&dead, 2000);
            let text = |bytes: &[u8]| Value::from(String::from_utf8(bytes.to_vec()).unwrap());
            let object: serde_json::Map<_, _> =
                written.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            assert_eq!(object.len(), written.len(), "each header once");
            assert_eq!(value.is_some(), object["weir.dlq.value"] != "none");
            headers.push(object.into());
        }
    }
    Schema::load("dlq").check_all(&headers);
}

fn orders() -> Vec<Body> {
    let agent = || Scope::Agent("t".into(), "a".into());
    let mut all: Vec<Body> = [
        Scope::All,
        Scope::Tenant("t".into()),
        Scope::Type("x".into()),
        agent(),
        Scope::Session(String::new(), "a".into(), "s".into()),
    ]
    .into_iter()
    .map(|scope| Body::Kill { scope, on: false })
    .collect();
    all.extend([
        Body::Mode { scope: agent(), mode: None },
        Body::Mode { scope: agent(), mode: Some(Mode::Shadow) },
        Body::Pack { scope: Scope::All, hash: "h".into() },
        Body::Suppress { scope: agent(), silence: Silence::default() },
        Body::Suppress {
            scope: agent(),
            silence: Silence {
                signal: Some("pii.email".into()),
                tool: Some("t".into()),
                from: Some(Millis(0)),
                until: Millis(0),
            },
        },
        Body::Grant {
            scope: agent(),
            tool: "t".into(),
            params: "p".into(),
            uses: 1,
            expires: Millis(0),
        },
        Body::Reset { id: "i".into(), scope: agent() },
        Body::Accept { id: "i".into(), scope: agent(), until: None },
        Body::Accept { id: "i".into(), scope: agent(), until: Some(Millis(0)) },
        Body::Approve { id: "i".into(), hold: "h".into() },
    ]);
    all
}

#[test]
fn every_control_record_validates_and_no_field_is_on_one_side_only() {
    let schema = Schema::load("control");
    let write = |body| {
        let record = ControlRecord { body, by: "soc".into(), reason: "r".into(), counter: 1 };
        control::write(&record, None)
    };
    let values: Vec<Value> = orders().into_iter().map(|body| parsed(&write(body).value)).collect();
    schema.check_all(&values);
    assert_eq!(schema.json["properties"]["kind"]["enum"], json!(Body::KINDS));
    // What the schema refuses, the reader refuses.
    for body in orders() {
        let written = write(body);
        let whole = parsed(&written.value);
        for name in whole.as_object().unwrap().keys() {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().shift_remove(name);
            let read = control::Reader::new(None).read(
                &written.key,
                Some(less.to_string().as_bytes()),
                &[],
            );
            let optional = ["reason", "signal", "tool", "from"].contains(&name.as_str())
                || (name == "until" && whole["kind"] == "accept");
            assert!(read.is_err() || optional, "{name} of {whole}");
            if !optional {
                assert!(!schema.validator.is_valid(&less), "{name} of {whole}");
            }
        }
    }
}

/// A state record as the schema describes its bytes, decoded by nothing but that description.
fn decoded(key: &[u8], value: &[u8]) -> Value {
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let int = |bytes: &[u8]| i64::from_be_bytes(bytes[..8].try_into().unwrap());
    let (owner, slot, id) = (key[0], key[1], &key[2..]);
    let (format, rest) = (value[0], &value[1..]);
    match owner {
        0 => {
            assert_eq!((slot, rest.len()), (0, 20));
            let partitions = u32::from_be_bytes(rest[16..].try_into().unwrap());
            json!({"format": format, "owner": owner, "now": int(rest), "control": int(&rest[8..]), "partitions": partitions})
        }
        1 => {
            assert_eq!((slot, id.len(), (rest.len() - 8) % 16), (0, 2, 0));
            let items: Vec<Value> = rest[8..]
                .chunks(16)
                .map(|item| json!({"id": hex(&item[..8]), "content": hex(&item[8..])}))
                .collect();
            let chunk = u16::from_be_bytes(id.try_into().unwrap());
            json!({"format": format, "owner": owner, "chunk": chunk, "start": int(rest), "items": items})
        }
        _ => {
            let (flags, mut rest) = (rest[0], &rest[1..]);
            let groups = 1 + rest.iter().take_while(|byte| **byte >= 0x80).count();
            let version =
                rest[..groups].iter().rev().fold(0u32, |n, byte| n << 7 | u32::from(byte & 0x7f));
            rest = &rest[groups..];
            let mut out = json!({"format": format, "owner": owner, "slot": slot, "id": hex(id), "change": flags & 1 == 1, "version": version});
            if flags & 2 != 0 {
                out["deadline"] = int(rest).into();
                rest = &rest[8..];
            }
            out["body"] = hex(rest).into();
            out
        }
    }
}

#[test]
fn state_records_are_laid_out_as_described_and_no_field_is_on_one_side_only() {
    let mut partition = Partition::default();
    let mut records = Vec::new();
    let key = || Key { owner: owner::SESSION, id: b"t\0a".to_vec() };
    for round in 0..3u8 {
        let mut staged = Staged::new(&partition);
        staged.advance(Millis(1000 + i64::from(round)));
        staged.set_partitions(12);
        staged.set_control(7);
        staged.see(Item { id: u64::from(round), content: 5 });
        let mut value = vec![1; 200];
        value[100] = round;
        staged.put(key(), value, (round != 1).then_some(Millis(5000)));
        let changes = staged.into_changes();
        records.extend(changes.records().map(|(key, value)| decoded(&key, &value.unwrap())));
        partition.apply(changes);
    }
    Schema::load("state").check_all(&records);
    let header = records.iter().find(|record| record["owner"] == 0).unwrap();
    assert_eq!(
        (&header["now"], &header["partitions"], &header["control"]),
        (&json!(1000), &json!(12), &json!(7))
    );
    assert!(
        records
            .iter()
            .any(|record| record["change"] == true && record["slot"] == record["version"])
    );
    assert!(records.iter().any(|record| record["change"] == false && record["deadline"] == 5000));
}

const KEPT_BACK: [KeptBack<'static>; 2] = [
    KeptBack { family: Family::Behavior, window: Some("nightly"), count: 2 },
    KeptBack { family: Family::Pii, window: None, count: 1 },
];

fn frame(head: Option<Head>) -> Frame<'static> {
    Frame {
        head,
        topic: "weir.events",
        partition: 3,
        offset: 9,
        now: Millis(5),
        pack: "p",
        policy: "q",
        control: 4,
        trace: head.is_some().then_some("00-a-b-01"),
        shared: if head.is_some() { &[(3, 9), (4, 1)] } else { &[] },
        kept_back: if head.is_some() { &KEPT_BACK } else { &[] },
    }
}

#[test]
fn every_audit_record_validates_and_no_field_is_on_one_side_only() {
    let call =
        FULL.replace("output_chunk", "tool_call").replace("\"error\":false", "\"error\":\"boom\"");
    let long = call.replace("\"a\":1", &format!("\"a\":\"{}\"", "x".repeat(9000)));
    let long = long.replace("\"so\"", &format!("\"{}\"", "y".repeat(9000)));
    let mut records = Vec::new();
    for text in [&call, &long, &FULL.to_owned()] {
        let event = read(text.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
        for action in Action::ALL {
            for (head, count) in
                [(None, 0), (Some(Head::default()), 2), (Some(Head { next: 7, hash: [3; 32] }), 70)]
            {
                let findings: Vec<Finding> =
                    (0..count).map(|n| finding((n % 2 == 0).then_some(0), ViewName::RAW)).collect();
                let had = [None, Some(seen(None)), Some(seen(Some((3, 9))))];
                let why = || {
                    findings.iter().enumerate().map(|(at, finding)| Why {
                        finding,
                        action: *action,
                        mode: Mode::Shadow,
                        seen: had[at % 3].as_ref(),
                    })
                };
                let result = Outcome {
                    action: *action,
                    enforced: count == 2,
                    mode: Mode::Enforce,
                    repeat: count == 0,
                    classifier: if count == 2 { Classified::default() } else { classified() },
                };
                let tick = (count == 70).then_some(("idle", Millis(3)));
                let packs = if tick.is_some() { vec!["o".to_owned()] } else { Vec::new() };
                let stream = record::Streamed {
                    id: "s",
                    seq: 1,
                    chunks: 2,
                    action: *action,
                    clean_through: 9,
                    released: [7; 32],
                    ended: tick.map(|_| "idle"),
                    tick,
                    packs: &packs,
                };
                let stream = (event.stream.is_some() && count > 0).then_some(stream);
                let what = (result, stream);
                records.push(parsed(&record::decision(&frame(head), &event, what, why(), &[])));
                for who in [[None; 3], [Some("e"), Some("t"), Some("a")]] {
                    records.push(parsed(&record::unreadable(&frame(head), who, result, why())));
                }
            }
        }
    }
    for (scope, mode) in [
        (Scope::All, None),
        (Scope::Tenant("t".into()), Some(Mode::Shadow)),
        (Scope::Type("x".into()), Some(Mode::Enforce)),
        (Scope::Agent("t".into(), "a".into()), None),
        (Scope::Session("t".into(), "a".into(), "s".into()), None),
    ] {
        for command in [
            Command::Kill { scope: scope.clone(), on: mode.is_none() },
            Command::Mode { scope: scope.clone(), mode },
            Command::Pack { scope: scope.clone(), hash: mode.map(|mode| mode.name().to_owned()) },
        ] {
            let order = Order { offset: 1, command, by: "soc".into(), reason: "r".into() };
            records.push(parsed(&record::order(&frame(Some(Head::default())), 2, &order)));
        }
    }
    let before = InForce { pack: "o".to_owned(), policy: "q".to_owned() };
    records.push(parsed(&record::swap(&frame(Some(Head::default())), &before)));
    let scope = || Scope::Agent("t".into(), "a".into());
    let silence = |signal: Option<&str>| Silence {
        signal: signal.map(str::to_owned),
        tool: signal.map(str::to_owned),
        from: signal.map(|_| Millis(1)),
        until: Millis(2),
    };
    let (tool, uses, expires) = ("t".to_owned(), 3, Millis(4));
    let grant = Grant { scope: scope(), tool, params: None, uses, expires };
    for command in [
        Command::Approve { hold: "5f".repeat(16) },
        Command::Suppress { scope: Scope::All, silence: silence(None) },
        Command::Suppress { scope: scope(), silence: silence(Some("behavior.*")) },
        Command::Grant(grant.clone()),
        Command::Grant(Grant { params: Some([7; 32]), ..grant }),
        Command::Reset { scope: scope() },
        Command::Accept { scope: scope(), until: None },
        Command::Accept { scope: scope(), until: Some(Millis(5)) },
    ] {
        let order = Order { offset: 1, command, by: "soc".into(), reason: "r".into() };
        records.push(parsed(&record::order(&frame(Some(Head::default())), 2, &order)));
    }
    Schema::load("audit").check_all(&records);
}

#[test]
fn every_anchor_validates_and_no_field_is_on_one_side_only() {
    let head = Head { next: weir::audit::ANCHOR_EVERY, hash: [9; 32] };
    let anchors: Vec<Value> = [None, Some(Signer::new(&Key32([1; 32])))]
        .iter()
        .map(|signer| Anchor::due("weir.events", 2, &head, signer.as_ref()).unwrap())
        .map(|anchor| parsed(&anchor.write()))
        .collect();
    Schema::load("anchor").check_all(&anchors);
}

/// YAML as the JSON that the schema sees.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_policy_schema_and_the_reader_agree() {
    let schema = Schema::load("policy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut good = vec![Policy::SHIPPED.to_owned()];
    good.push(std::fs::read_to_string(root.join("examples/policy.yml")).unwrap());
    for file in std::fs::read_dir(root.join("tests/scenarios")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let file = yaml(&text);
        let stories = file["stories"].as_array().unwrap().iter();
        let own = stories.map(|story| &story["policy"]).chain([&file["policy"]]);
        good.extend(own.filter_map(Value::as_str).map(str::to_owned));
    }
    for text in &good {
        Policy::read("p.yml", text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        // A file of nothing but comments is a policy, and no mapping.
        if text.lines().any(|line| !line.starts_with('#')) {
            schema.check(&yaml(text));
        }
    }
    for text in [
        "tools: [{ tool: a }]",
        "tools: [{ acess: deny }]",
        "tools: [{ access: maybe }]",
        "tools: [{ access: deny, id: 'A B' }]",
        "tools: [{ tool: [], access: deny }]",
        "tools: [{ quota: { max: 1 } }]",
        "tools: [{ quota: { max: -1, per: session } }]",
        "tools: [{ quota: { max: 1, per: week } }]",
        "tools: [{ params: { to: {} } }]",
        "tools: [{ params: {} }]",
        "tools: [{ params: { to: { max_itmes: 3 } } }]",
        "tools: [{ params: { q: { sql: write } } }]",
        "tools: [{ params: { q: { dialect: mysql } } }]",
        "tools: [{ hours: { zone: UTC, from: '08:00' } }]",
        "tools: [{ origin: { deny: [nobody] } }]",
        "flows: ['after a']",
        "flows: [{ id: x }]",
        "flows: [{ rule: 'after output deny output', colour: red }]",
        "breakers: [{ max_cost_usd: -1 }]",
        "breakers: [{ open_ms: 5 }]",
        "canaries: {}",
        "canaries: { halt: everything }",
        "taint: { of: [] }",
        "taint: { of: [everything] }",
        "taint: { across: [] }",
        "taint: { across: [planet] }",
        "taint: { common: 1 }",
        "taint: { common: 17 }",
        "maintenance: [{ id: a, family: pii, reason: r }]",
        "maintenance: [{ family: pii, reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: pii, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: pii, reason: '', hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: [], reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: pie, reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: [pii, pie], reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: 'A B', family: pii, reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: pii, reason: r, action: allow, hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "maintenance: [{ id: a, family: pii, reason: r, tool: [''], hours: { zone: UTC, from: '01:00', to: '02:00' } }]",
        "overrides: [{ family: pii }]",
        "overrides: [{ family: pie, action: block }]",
        "operators: { pii.email: hide }",
        "failures: { limits: maybe }",
        "toools: []",
        "agents: registered",
        "agents: { registered: [a] }",
        "agents: registered\nregistry: []",
        "agents: registered\nregistry: [{ type: a }]",
        "agents: registered\nregistry: [{ agent: '' }]",
        "registry: [{ agent: a }]",
    ] {
        let value = yaml(text);
        assert!(!schema.validator.is_valid(&value), "the schema takes {text}");
        assert!(Policy::read("p.yml", text).is_err(), "the reader takes {text}");
    }
}

#[test]
fn the_policy_schema_names_every_key_that_is_read() {
    let schema = Schema::load("policy").json;
    let keys = |at: &str| -> BTreeSet<String> {
        schema.pointer(at).unwrap()["properties"].as_object().unwrap().keys().cloned().collect()
    };
    for (at, text) in [
        ("", "zzz: 1"),
        ("/properties/defaults", "defaults: { zzz: 1 }"),
        ("/properties/failures", "failures: { zzz: 1 }"),
        ("/properties/canaries", "canaries: { zzz: 1 }"),
        ("/properties/taint", "taint: { zzz: 1 }"),
        ("/$defs/override", "overrides: [{ zzz: 1 }]"),
        ("/$defs/tool", "tools: [{ zzz: 1 }]"),
        ("/$defs/demand", "tools: [{ params: { a: { zzz: 1 } } }]"),
        ("/$defs/tool/properties/quota", "tools: [{ quota: { zzz: 1 } }]"),
        ("/$defs/hours", "tools: [{ hours: { zzz: 1 } }]"),
        ("/$defs/tool/properties/origin", "tools: [{ origin: { zzz: 1 } }]"),
        ("/$defs/flow", "flows: [{ zzz: 1 }]"),
        ("/$defs/breaker", "breakers: [{ zzz: 1 }]"),
        ("/$defs/member", "registry: [{ zzz: 1 }]"),
        ("/$defs/window", "maintenance: [{ zzz: 1 }]"),
    ] {
        let told = Policy::read("p.yml", text).unwrap_err().to_string();
        let (_, list) =
            told.split_once("expected one of ").or(told.split_once("expected ")).unwrap();
        let (list, _) = list.split_once(" at line ").unwrap();
        let read: BTreeSet<String> =
            list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        assert_eq!(read, keys(at), "{text}: {told}");
    }
}

/// All names of keys and values that the schema knows.
fn words_of_schema(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("properties", Value::Object(keys)) => into.extend(keys.keys().cloned()),
                    ("enum", Value::Array(values)) => {
                        into.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => {}
                }
                words_of_schema(member, into);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| words_of_schema(one, into)),
        _ => {}
    }
}

#[test]
fn a_slip_of_the_pen_anywhere_in_a_policy_is_told_with_its_line_and_the_right_word() {
    let mut words = BTreeSet::new();
    words_of_schema(&Schema::load("policy").json, &mut words);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("examples/policy.yml")).unwrap();
    let (mut told, mut free) = (0, BTreeSet::new());
    let mut begin = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let here = begin;
        begin += line.len();
        let code = line.split('#').next().unwrap();
        let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
        for (at, _) in code.char_indices() {
            let (before, rest) = code.split_at(at);
            let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
            if before.ends_with(is_word) || word.len() < 4 || !words.contains(&word) {
                continue;
            }
            // One letter out of the middle is missing.
            let mut wrong = text.clone();
            wrong.remove(here + at + word.len() / 2);
            match Policy::read("p.yml", &wrong) {
                // A name of the user's own: an agent, a parameter, a tool.
                Ok(_) => drop(free.insert(word)),
                Err(error) => {
                    let shown = error.to_string();
                    assert_eq!(error.line, number, "{shown}");
                    assert!(shown.contains(&format!("`{word}`")), "`{word}` is not in: {shown}");
                    told += 1;
                }
            }
        }
    }
    assert!(told >= 180, "{told} slips");
    let own = ["action", "days", "labels", "quota", "type", "allow", "deny"];
    for word in own {
        assert!(!free.contains(word), "`{word}` may be anything");
    }
}
