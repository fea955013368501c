//! Mappings that a SIEM relies on.

use serde_json::{Value, json};

use super::*;
use crate::alert::State;
use crate::event::{Kind, Millis};
use crate::finding::{Action, Confidence, Family, Severity};

const MADE: Made<'_> = Made { topic: "weir.events", partition: 2, pack: "abc" };

fn alert() -> Alert {
    Alert {
        state: State::Open,
        episode: Origin { offset: 7, ordinal: 0 },
        cause: Cause::Record(Origin { offset: 7, ordinal: 0 }),
        time: Millis(1000),
        first: Millis(1000),
        last: Millis(1000),
        count: 1,
        tenant: String::new(),
        agent: "bot".into(),
        agent_type: None,
        session: Some("s".into()),
        user: None,
        kind: Kind::Prompt,
        tool: None,
        action: Action::Block,
        enforced: true,
        family: Family::Injection,
        signal: "injection.override".into(),
        rule: "injection.override.ignore".into(),
        severity: Severity::High,
        confidence: Confidence::High,
        message: "asks to drop earlier instructions".into(),
        event_ids: vec!["e1".into()],
        fingerprint: None,
        seen: None,
        typical: None,
        actual: None,
        score: None,
        tags: vec!["OWASP-LLM01".into(), "ATLAS-AML.T0051".into()],
        corrected: None,
        group: None,
    }
}

fn parsed(alert: &Alert) -> Value {
    serde_json::from_slice(&ocsf(alert, &MADE)).unwrap()
}

#[test]
fn actions_become_what_ocsf_calls_them() {
    for (action, enforced, ids) in [
        (Action::Allow, true, (1, 1)),
        (Action::Alert, true, (1, 19)),
        (Action::Redact, true, (4, 11)),
        (Action::Replace, true, (4, 11)),
        (Action::Retry, true, (2, 2)),
        (Action::Block, true, (2, 2)),
        (Action::Block, false, (3, 15)),
    ] {
        let finding = parsed(&Alert { action, enforced, ..alert() });
        assert_eq!(finding["action_id"], ids.0, "{action:?}");
        assert_eq!(finding["disposition_id"], ids.1, "{action:?}");
    }
}

#[test]
fn only_profiles_that_the_class_has_are_claimed() {
    // OCSF 1.8.0 offers `ai_operation`, with `ai_model` and `message_context`, to API Activity
    // and Process Activity; a Detection Finding that claims it is not valid.
    let finding = parsed(&alert());
    assert_eq!(finding["metadata"]["profiles"], json!(["security_control"]));
    assert_eq!((&finding["ai_model"], &finding["message_context"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_episode_is_one_finding_with_three_activities() {
    let open = parsed(&alert());
    let update = Alert {
        state: State::Update,
        cause: Cause::Record(Origin { offset: 9, ordinal: 1 }),
        count: 5,
        ..alert()
    };
    let closed = parsed(&Alert { state: State::Closed, cause: Cause::Timer, ..update.clone() });
    let update = parsed(&update);
    for (finding, activity) in [(&open, 1), (&update, 2), (&closed, 3)] {
        assert_eq!(finding["activity_id"], activity);
        assert_eq!(finding["type_uid"], 200_400 + activity);
        assert_eq!(finding["finding_info"]["uid"], open["finding_info"]["uid"]);
        assert_eq!(finding["metadata"]["correlation_uid"], "s");
    }
    assert_ne!(open["metadata"]["uid"], update["metadata"]["uid"]);
    assert_ne!(closed["metadata"]["uid"], update["metadata"]["uid"]);
    assert_eq!(update["count"], 5);
}

#[test]
fn both_formats_carry_the_same_object_of_our_own() {
    let full = Alert {
        tenant: "t".into(),
        typical: Some(3.0),
        actual: Some(40.5),
        score: Some(0.001),
        ..alert()
    };
    let ours = parsed(&full)["unmapped"].clone();
    let ecs: Value = serde_json::from_slice(&ecs(&full, &MADE)).unwrap();
    assert_eq!(ours, ecs["unmapped"]);
    assert_eq!(ecs["threat"]["technique"]["id"], json!(["AML.T0051"]));
    let attacks = &parsed(&full)["finding_info"]["attacks"];
    assert_eq!(attacks, &json!([{"technique": {"uid": "AML.T0051"}}]));
    let episode = ours["weir"]["episode"].clone();
    assert_eq!(
        ours["weir"],
        json!({"agent": "bot", "tenant": "t", "session": "s", "family": "injection", "signal": "injection.override",
            "rule": "injection.override.ignore", "action": "block", "enforced": true, "episode": episode, "state": "open", "event_ids": ["e1"], "tags": ["OWASP-LLM01", "ATLAS-AML.T0051"],
            "typical": 3, "actual": 40.5, "score": 0.001})
    );
}

#[test]
fn headers_are_those_of_one_cloud_event() {
    let sent =
        vec![header("ce_id", "theirs"), header("app", "x"), header("content-type", "text/plain")];
    let (_, headers) = write(Format::Ocsf, &alert(), &MADE, sent);
    let get = |name: &str| {
        let all: Vec<_> = headers.iter().filter(|(header, _)| header == name).collect();
        assert_eq!(all.len(), 1, "{name}");
        String::from_utf8(all[0].1.clone()).unwrap()
    };
    assert_eq!(get("ce_id"), id(&alert(), &MADE));
    assert_eq!(get("ce_type"), "weir.alert.open");
    assert_eq!(get("ce_time"), "1970-01-01T00:00:01.000Z");
    assert_eq!(get("ce_source"), "/weir/weir.events/2");
    assert_eq!(get("content-type"), "application/json");
    assert_eq!(get("app"), "x");
}
