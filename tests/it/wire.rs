//! Bad input at the boundary: each kind is refused with its own reason, its sender can
//! find the verdict, and the dead-letter queue holds what came.

use std::borrow::Cow;

use weir::event::Millis;
use weir::finding::{Action, Coverage};
use weir::inspect::{At, Decision, Notes, Reason, Shared};
use weir::policy::Mode;
use weir::wire::event::{FieldMap, ReadLimits, Unreadable, UnreadableReason as R, read};
use weir::wire::{dlq, headers, ids, verdict};

const GOOD: &str = r#"{"v":1,"id":"e1","ts":0,"kind":"prompt","agent":{"id":"a1"},"text":"hello"}"#;

/// One bad record: what it is, its value, why it is refused, and whether its id and agent can be made out.
struct Bad {
    what: &'static str,
    value: Option<Cow<'static, [u8]>>,
    reason: R,
    id: bool,
    agent: bool,
}

fn bad(what: &'static str, value: impl Into<Vec<u8>>, reason: R, id: bool, agent: bool) -> Bad {
    Bad { what, value: Some(Cow::Owned(value.into())), reason, id, agent }
}

fn changed(what: &'static str, from: &str, to: &str, reason: R, id: bool, agent: bool) -> Bad {
    assert!(GOOD.contains(from), "{from}");
    bad(what, GOOD.replacen(from, to, 1), reason, id, agent)
}

fn every_bad_input() -> Vec<Bad> {
    let huge = GOOD.replace("hello", &"x".repeat(100 << 20));
    let limit = ReadLimits::default().record_bytes;
    let just_over = GOOD.replace("hello", &"x".repeat(limit - GOOD.len() + 6));
    assert_eq!(just_over.len(), limit + 1);
    let nested = GOOD.replace("\"hello\"", &("[".repeat(10_000) + &"]".repeat(10_000)));
    vec![
        Bad { what: "null value", value: None, reason: R::NoValue, id: false, agent: false },
        bad("empty value", "", R::Empty, false, false),
        bad("not JSON", "GET / HTTP/1.1", R::NotJson, false, false),
        bad("JSON with a tail", GOOD.to_owned() + "}", R::NotJson, true, true),
        bad(
            "not UTF-8",
            GOOD.replace("hello", "caf@")
                .replace('@', "\u{1}")
                .into_bytes()
                .iter()
                .map(|b| if *b == 1 { 0xe9 } else { *b })
                .collect::<Vec<u8>>(),
            R::NotUtf8,
            true,
            true,
        ),
        bad("truncated", &GOOD.as_bytes()[..GOOD.len() - 4], R::Truncated, true, true),
        bad("100 MB", huge, R::TooLarge, true, true),
        bad("one byte too large", just_over, R::TooLarge, true, true),
        bad("10,000 nested arrays", nested, R::TooDeep, true, true),
        bad(
            "more values than the limit",
            GOOD.replace("\"hello\"", &format!("[{}0]", "0,".repeat(100_000))),
            R::TooManyValues,
            true,
            true,
        ),
        bad("an array", "[]", R::NotAnObject, false, false),
        changed("unknown version", "\"v\":1", "\"v\":9", R::UnknownVersion, true, true),
        changed("no version", "\"v\":1,", "", R::MissingField, true, true),
        changed("unknown kind", "prompt", "dream", R::UnknownKind, true, true),
        changed("missing agent", ",\"agent\":{\"id\":\"a1\"}", "", R::MissingAgent, true, false),
        changed("missing agent id", "\"id\":\"a1\"", "", R::MissingAgent, true, false),
        changed("missing id", "\"id\":\"e1\",", "", R::MissingField, false, true),
        changed("id of a wrong type", "\"e1\"", "[1]", R::WrongType, false, true),
        changed("agent of a wrong type", "{\"id\":\"a1\"}", "\"a1\"", R::WrongType, true, false),
        changed("text of a wrong type", "\"hello\"", "1", R::WrongType, true, true),
        changed("ts that is no time", "\"ts\":0", "\"ts\":\"noon\"", R::BadValue, true, true),
        changed("key twice", "\"v\":1", "\"v\":1,\"kind\":\"output\"", R::DuplicateKey, true, true),
        changed("id twice", "\"v\":1", "\"v\":1,\"id\":\"e0\"", R::DuplicateKey, false, true),
        changed(
            "agent twice",
            "\"v\":1",
            "\"v\":1,\"agent\":{\"id\":\"a0\"}",
            R::DuplicateKey,
            true,
            false,
        ),
        changed(
            "agent id twice",
            "\"id\":\"a1\"",
            "\"id\":\"a1\",\"id\":\"a1\"",
            R::DuplicateKey,
            true,
            false,
        ),
        changed(
            "id that is a book",
            "\"e1\"",
            &format!("\"{}\"", "e".repeat(513)),
            R::IdTooLong,
            false,
            true,
        ),
    ]
}

fn refuse(record: &Bad) -> Unreadable {
    match &record.value {
        None => Unreadable::no_value(),
        Some(value) => match read(value, &FieldMap::default(), &ReadLimits::default()) {
            Err(unreadable) => unreadable,
            Ok(event) => panic!("{}: read as {:?}", record.what, event.id),
        },
    }
}

/// The decision that a record gets which could not be read, failing closed.
fn blocked<'c>(unreadable: &Unreadable, coverage: &'c Coverage) -> Decision<'c> {
    let finding = verdict::unreadable(unreadable);
    Decision {
        action: Action::Block,
        enforced: true,
        mode: Mode::Enforce,
        reasons: vec![Reason { finding, action: Action::Block, mode: Mode::Enforce }],
        edits: Vec::new(),
        replacement: None,
        retry_hint: None,
        retry_after_ms: None,
        hold: None,
        coverage,
        repeat: false,
        alerts: Vec::new(),
        kept_back: Vec::new(),
        audit_edits: Vec::new(),
        stream: None,
        notes: Notes::default(),
        shared: Shared::default(),
    }
}

#[test]
fn every_bad_input_is_refused_with_its_reason_and_named_where_that_is_certain() {
    for record in every_bad_input() {
        let unreadable = refuse(&record);
        assert_eq!(unreadable.reason, record.reason, "{}: {unreadable}", record.what);
        assert_eq!(unreadable.id.as_deref(), record.id.then_some("e1"), "id of {}", record.what);
        assert_eq!(
            unreadable.agent.as_deref(),
            record.agent.then_some("a1"),
            "agent of {}",
            record.what
        );
    }
}

#[test]
fn every_bad_input_gets_a_verdict_that_can_be_found_and_a_copy() {
    let coverage = Coverage::default();
    let at = At { topic: "weir.events", partition: 1, offset: 5, now: Millis(0) };
    let stamp = verdict::Stamp { pack: "p", policy: "q", took_us: 1 };
    for record in every_bad_input() {
        let unreadable = refuse(&record);
        let verdict = verdict::write(&blocked(&unreadable, &coverage), None, &at, &stamp);
        let verdict: serde_json::Value = serde_json::from_slice(&verdict).unwrap();
        assert_eq!(verdict["event_id"], serde_json::Value::Null, "{}", record.what);
        assert_eq!(verdict["action"], "block");
        assert_eq!(
            verdict["at"],
            serde_json::json!({"topic": "weir.events", "partition": 1, "offset": 5})
        );
        let rule = format!("unreadable.{}", record.reason.name());
        assert_eq!(verdict["reasons"][0]["rule"], rule.as_str(), "{}", record.what);

        let sent = [headers::header("request", "17")];
        let dead = dlq::Dead {
            topic: at.topic,
            partition: at.partition,
            offset: at.offset,
            timestamp: at.now,
            value: record.value.as_deref(),
            headers: &sent,
            stage: dlq::Stage::Read,
            reason: unreadable.reason.name(),
            message: &unreadable.message,
            attempts: 1,
            pack: "p",
        };
        let (copy, headers) = dlq::write(&dead, 1 << 20);
        assert!(headers.contains(&sent[0]), "{}", record.what);
        let fits = record.value.as_ref().is_none_or(|value| value.len() <= 1 << 20);
        if fits {
            assert_eq!(copy.as_deref(), record.value.as_deref(), "{}", record.what);
        } else {
            let value = record.value.unwrap();
            assert_eq!(copy.as_deref(), value.get(..dlq::STUB_BYTES), "{}", record.what);
            let length = headers::header("weir.dlq.length", value.len().to_string());
            assert!(headers.contains(&length), "{}", record.what);
        }
    }
}

#[test]
fn messages_hold_nothing_of_the_record() {
    let secret = "hunter2";
    for record in [
        format!(r#"{{"v":1,"id":"e1","{secret}""#),
        format!(r#"{{"v":1,"id":"e1","x":{secret}"#),
        GOOD.replace("prompt", secret),
        GOOD.replace("\"ts\":0", &format!("\"ts\":\"{secret}\"")),
        GOOD.replace("\"v\":1", &format!("\"v\":\"{secret}\"")),
        GOOD.replace("\"agent\"", &format!("\"{secret}\"")),
    ] {
        let error =
            read(record.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap_err();
        assert!(!error.message.contains(secret), "{}", error.message);
    }
}

#[test]
fn what_is_odd_and_still_an_event_is_read() {
    for (what, record) in [
        ("a clock in 1970", GOOD.replace("\"ts\":0", "\"ts\":\"1970-01-01T00:00:00Z\"")),
        ("a clock in 2100", GOOD.replace("\"ts\":0", "\"ts\":\"2100-01-01T00:00:00Z\"")),
        ("another key twice", GOOD.replace("\"v\":1", "\"v\":1,\"text\":\"other\"")),
        ("unknown fields", GOOD.replace("\"v\":1", "\"v\":1,\"x\":{\"y\":[null,1e400]}")),
        ("a lone surrogate", GOOD.replace("hello", "\\ud800")),
        ("no text at all", GOOD.replace(",\"text\":\"hello\"", "")),
    ] {
        let read = read(record.as_bytes(), &FieldMap::default(), &ReadLimits::default());
        assert!(read.is_ok(), "{what}: {}", read.unwrap_err());
    }
    assert_eq!(
        headers::outgoing(&[], Some("e1"), None),
        [headers::header(headers::EVENT_ID, "e1")]
    );
}

#[test]
fn ids_are_the_same_in_every_run() {
    let id = || ids::uuid("weir.events", 1, 5, ids::OutputKind::Clean, 0);
    assert_eq!(id(), id());
}
