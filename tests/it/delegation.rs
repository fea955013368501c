//! Who acts for whom, as an RFC 8693 `act` claim: from the event to verdict and audit.

use proptest::prelude::*;
use serde_json::{Value, json};

use weir::event::ACTORS_MAX;
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::{Step, run_sequential};
use weir::wire::event::{FieldMap, ReadLimits, Take, UnreadableReason, read};

use crate::decide::{no_rules, record};
use crate::program::{self, text};

/// A claim of these actors, the current one first.
fn claim(chain: &[(String, Option<String>)]) -> Option<Value> {
    chain.iter().rev().fold(None, |before, (sub, iss)| {
        let mut actor = json!({ "sub": sub });
        if let Some(iss) = iss {
            actor["iss"] = json!(iss);
        }
        if let Some(before) = before {
            actor["act"] = before;
        }
        Some(actor)
    })
}

fn call(offset: i64, act: Option<Value>) -> InRecord {
    let mut event = json!({"v": 1, "id": format!("e{offset}"), "ts": 1_000_000_000, "kind": "tool_call",
        "agent": {"id": "bot"}, "user": "ann", "tool": {"name": "crm.get"}});
    if let Some(act) = act {
        event["act"] = act;
    }
    record(offset, event.to_string())
}

fn of(topic: Topic, out: &[OutRecord]) -> Value {
    let record = out.iter().find(|record| record.topic == topic).unwrap();
    serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
}

fn actor() -> impl Strategy<Value = (String, Option<String>)> {
    (".{1,20}", proptest::option::of(".{1,20}"))
}

proptest! {
    #[test]
    fn any_chain_up_to_the_limit_survives_to_verdict_and_audit(
        chain in proptest::collection::vec(actor(), 0..=ACTORS_MAX),
    ) {
        let act = claim(&chain);
        let out = run_sequential(&Step::new("weir.events", 0, "p"), &no_rules(), [&call(0, act.clone())]);
        for topic in [Topic::Verdicts, Topic::Audit] {
            let written = of(topic, &out);
            prop_assert_eq!(written.get("act"), act.as_ref());
        }
    }

    #[test]
    fn a_longer_chain_is_refused_with_its_reason(more in 1usize..40) {
        let chain = vec![("agent:a".to_owned(), None); ACTORS_MAX + more];
        let sent = call(0, claim(&chain));
        let refused = read(sent.value.as_ref().unwrap(), &FieldMap::default(), &ReadLimits::default());
        let refused = refused.unwrap_err();
        prop_assert_eq!(refused.reason, UnreadableReason::TooDeep);
        prop_assert!(refused.id.is_some() && refused.agent.is_some());
        let out = run_sequential(&Step::new("weir.events", 0, "p"), &no_rules(), [&sent]);
        let verdict = of(Topic::Verdicts, &out);
        prop_assert_eq!(&verdict["action"], "block");
        // Where the record's own depth is not the limit, the message says which is.
        if refused.message.contains("act") {
            let message = format!("`act` nests more than {ACTORS_MAX} actors");
            prop_assert_eq!(&verdict["reasons"][0]["message"], &message);
        }
    }
}

#[test]
fn names_are_not_scanned_and_other_members_are() {
    let value = r#"{"v":1,"id":"e","ts":0,"kind":"prompt","agent":{"id":"a"},
        "act":{"sub":"s1","sub":"s2","iss":"i","email":"x@y.example","act":{"sub":"s3","amr":["pwd"]}}}"#;
    let event = read(value.as_bytes(), &FieldMap::default(), &ReadLimits::default()).unwrap();
    let actors: Vec<_> =
        event.act.iter().map(|actor| (&*actor.sub, actor.iss.as_deref())).collect();
    assert_eq!(actors, [("s2", Some("i")), ("s3", None)]);
    let scanned: Vec<&str> = event.fields.iter().map(|field| field.text.as_ref()).collect();
    assert_eq!(scanned, ["s1", "email", "x@y.example", "amr", "pwd"]);
}

#[test]
fn names_longer_than_ids_are_refused_and_told_where_they_stand() {
    let limits = ReadLimits { id_bytes: 10, ..ReadLimits::default() };
    let refused = |act: Value| {
        let sent = call(0, Some(act)).value.unwrap();
        read(&sent, &FieldMap::default(), &limits).unwrap_err()
    };
    let long = refused(json!({"sub": "a", "act": {"sub": "b", "iss": "x".repeat(11)}}));
    assert_eq!(long.reason, UnreadableReason::IdTooLong);
    assert_eq!(long.message, "`act.act.iss` has 11 bytes; the limit is 10");
    let many = vec![("0123456789".to_owned(), None); 9];
    let many = refused(claim(&many).unwrap());
    assert_eq!(many.reason, UnreadableReason::IdTooLong);
    let typed = refused(json!({"sub": "a", "act": {"sub": "b", "act": "c"}}));
    assert_eq!(typed.message, "`act.act.act` must be an object");
    let nobody = refused(json!({"sub": "a", "act": {"iss": "b"}}));
    assert_eq!(nobody.message, "`act.act.sub` is missing");
}

#[test]
fn foreign_records_have_their_claim_mapped() {
    let map = FieldMap::new(
        [
            ("id", "/n"),
            ("agent.id", "/bot"),
            ("kind", "/what"),
            ("ts", "/t"),
            ("text", "/say"),
            ("act", "/token/act"),
        ]
        .map(|(name, at)| (name.to_owned(), Take::At(at.to_owned()))),
    )
    .unwrap();
    let value = r#"{"n":"1","bot":"b","what":"prompt","t":0,"say":"hi","token":{"act":{"sub":"x","act":{"sub":"y"}}}}"#;
    let event = read(value.as_bytes(), &map, &ReadLimits::default()).unwrap();
    assert_eq!(event.act.iter().map(|actor| &*actor.sub).collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn the_audit_can_be_asked_who_acted() {
    let folder = tempfile::tempdir().unwrap();
    let chain = |names: &[&str]| {
        let named = |(at, name): (usize, &&str)| {
            ((*name).to_owned(), (at == 0).then(|| "https://idp.example".to_owned()))
        };
        claim(&names.iter().enumerate().map(named).collect::<Vec<_>>())
    };
    let sent = [
        call(0, chain(&["agent:mailer", "agent:planner", "user:ann"])),
        call(1, chain(&["agent:mailer"])),
        call(2, None),
    ];
    let out = run_sequential(&Step::new("weir.events", 0, "p"), &no_rules(), &sent);
    let lines = out.iter().filter(|record| record.topic == Topic::Audit);
    let lines: Vec<u8> =
        lines.flat_map(|record| [record.value.clone().unwrap(), b"\n".to_vec()].concat()).collect();
    std::fs::write(folder.path().join("audit.jsonl"), lines).unwrap();
    let query = |more: &[&str]| {
        let output =
            program::weir(folder.path(), &[&["audit", "query", "audit.jsonl"], more].concat(), "");
        assert_eq!(output.status.code(), Some(0));
        text(&output.stdout)
    };
    let shown = query(&["--user", "agent:planner"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[1..],
        [
            "    acting agent:mailer (of https://idp.example)",
            "        for agent:planner",
            "        for user:ann",
        ]
    );
    assert!(lines[0].contains("event e0"), "{shown}");
    assert_eq!(query(&["--user", "agent:mailer", "--output", "json"]).lines().count(), 2);
    let table = query(&["--output", "csv"]);
    let cells: Vec<&str> = table.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(cells, ["act", "agent:mailer agent:planner user:ann", "agent:mailer", ""]);
}
