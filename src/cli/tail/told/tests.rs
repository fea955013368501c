//! Alerts in both formats and verdicts, read and shown.

use super::*;

fn alert(ecs: bool) -> Vec<u8> {
    let weir = serde_json::json!({"agent": "bot", "tenant": "t", "session": "s", "family": "behavior", "signal": "behavior.volume",
        "rule": "behavior.volume", "action": "alert", "enforced": true, "episode": "ep", "state": "update",
        "event_ids": ["e1", "e2"], "typical": 3, "actual": 40.5, "score": 61,
        "first_seen": {"time": 1, "tenant": "u", "agent": "crm", "user": "eve", "scope": "partition"}});
    let json = if ecs {
        serde_json::json!({"@timestamp": "1970-01-01T00:00:01.000Z", "ecs": {"version": "8"}, "message": "more than usual",
            "event": {"severity": 73, "action": "alert"}, "user": {"id": "ann"}, "unmapped": {"weir": weir}})
    } else {
        serde_json::json!({"class_uid": 2004, "time": 1000, "severity_id": 4, "count": 7, "disposition": "Alert",
            "message": "more than usual", "evidences": [{"actor": {"user": {"uid": "ann"}}, "api": {"operation": "crm.get"}}],
            "unmapped": {"weir": weir}})
    };
    json.to_string().into_bytes()
}

#[test]
fn alerts_of_both_formats_read_alike() {
    for ecs in [false, true] {
        let told = Told::read(&alert(ecs), None, None).unwrap();
        assert_eq!(told.time, Some(Millis(1000)));
        assert_eq!(told.action, Some(Action::Alert));
        assert_eq!(told.reasons[0].severity, Some(Severity::High));
        let shown = told.show(false);
        let first = "1970-01-01T00:00:01.000Z  high      update  bot of t  behavior.volume: more than usual\n";
        assert!(shown.starts_with(first), "{shown}");
        for part in [
            "actual 40.5, typical 3, score 61",
            "session s",
            "user ann",
            "events e1 and 1 more",
            "first seen with tenant u, agent crm, user eve",
            "episode ep",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(
            !shown.contains('\u{1b}') && told.show(true).contains("\u{1b}[31;1mhigh    \u{1b}[0m")
        );
    }
    assert!(Told::read(&alert(false), None, None).unwrap().show(false).contains("7 times"));
}

#[test]
fn a_verdict_is_shown_with_its_reasons_and_what_to_do() {
    let verdict = br#"{"v":1,"event_id":"e1","at":{"topic":"x","partition":2,"offset":9},"action":"block","enforced":true,"mode":"enforce",
        "reasons":[{"rule":"policy.access","family":"policy","severity":"high","message":"waits"},{"rule":"pii.email","family":"pii","severity":"medium","message":"an\u001b[2J address"}],
        "hold":{"id":"5f","expires":"x"}}"#;
    let told = Told::read(verdict, Some(b"bot"), Some(Millis(0))).unwrap();
    let shown = told.show(false);
    assert_eq!(
        shown,
        "1970-01-01T00:00:00.000Z  block    bot\n    └ policy.access (high): waits\n    └ pii.email (medium): an\\u{1b}[2J address\n    event e1; `weir control approve 5f` lets it pass\n"
    );
    assert!(told.because(Some(Severity::High), Some(Family::Policy), None));
    assert!(
        !told.because(Some(Severity::High), Some(Family::Pii), None),
        "one reason must meet all"
    );
    assert!(told.because(None, None, Some(&Glob::new("pii.*"))));
    for strange in ["{}", "[]", "not JSON", r#"{"action":"block"}"#] {
        assert_eq!(Told::read(strange.as_bytes(), None, None), None, "{strange}");
    }
}
