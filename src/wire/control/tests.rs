//! Orders come back as they were given, and only from those who may give them.

use super::*;

pub(crate) fn every_body() -> Vec<Body> {
    let agent = || Scope::Agent("t/1".into(), "a%".into());
    let mut bodies: Vec<Body> = [
        Scope::All,
        Scope::Tenant("t".into()),
        Scope::Type("support".into()),
        agent(),
        Scope::Agent(String::new(), "a".into()),
        Scope::Session("t".into(), "a".into(), "s".into()),
    ]
    .into_iter()
    .map(|scope| Body::Kill { scope, on: true })
    .collect();
    bodies.extend([
        Body::Kill { scope: Scope::All, on: false },
        Body::Mode { scope: Scope::All, mode: Some(Mode::Shadow) },
        Body::Mode { scope: agent(), mode: None },
        Body::Pack { scope: Scope::All, hash: "ab".into() },
        Body::Suppress {
            scope: agent(),
            silence: Silence { until: Millis(5), ..Silence::default() },
        },
        Body::Suppress {
            scope: agent(),
            silence: Silence {
                signal: Some("pii.email".into()),
                tool: Some("mail/x".into()),
                from: Some(Millis(3)),
                until: Millis(5),
            },
        },
        Body::Grant {
            scope: agent(),
            tool: "mail".into(),
            params: "cd".into(),
            uses: 2,
            expires: Millis(9),
        },
        Body::Reset { id: "1-2".into(), scope: agent() },
        Body::Accept { id: "1-2".into(), scope: agent(), until: None },
        Body::Accept { id: "1-3".into(), scope: agent(), until: Some(Millis(7)) },
        Body::Approve { id: "1-2".into(), hold: "h".into() },
    ]);
    bodies
}

fn record(body: Body, counter: u64) -> ControlRecord {
    ControlRecord { body, by: "soc".into(), reason: "drill".into(), counter }
}

#[test]
fn every_record_comes_back_signed_or_not() {
    let key = Key32([7; 32]);
    let mut kinds = std::collections::BTreeSet::new();
    for key in [None, Some(key)] {
        let mut reader = Reader::new(key.clone());
        for (counter, body) in every_body().into_iter().enumerate() {
            kinds.insert(body.kind());
            let given = record(body, counter as u64);
            let sent = write(&given, key.as_ref());
            let got = reader.read(&sent.key, Some(&sent.value), &sent.headers);
            assert_eq!(got, Ok(given));
        }
    }
    assert_eq!(kinds.len(), Body::KINDS.len());
}

#[test]
fn keys_keep_orders_apart() {
    let kill = |scope| Body::Kill { scope, on: true }.key();
    assert_eq!(kill(Scope::All), "kill/all");
    assert_eq!(kill(Scope::Agent(String::new(), "a".into())), "kill/agent//a");
    assert_eq!(kill(Scope::Agent("t/1".into(), "a%".into())), "kill/agent/t%2F1/a%25");
    let resumed = Body::Kill { scope: Scope::All, on: false };
    assert_eq!(resumed.key(), "kill/all", "a resume takes the place of its kill");
}

#[test]
fn a_record_that_was_not_signed_or_was_changed_or_was_sent_before_is_refused() {
    let key = Key32([7; 32]);
    let resume = record(Body::Kill { scope: Scope::All, on: false }, 5);
    let sent = write(&resume, Some(&key));
    let mut reader = Reader::new(Some(key.clone()));
    let mut read = |written: &Written| {
        reader.read(&written.key, Some(&written.value), &written.headers).map(|_| ())
    };
    assert_eq!(read(&write(&resume, None)), Err(ControlError::NotSigned));
    assert_eq!(read(&write(&resume, Some(&Key32([8; 32])))), Err(ControlError::NotSigned));
    let changed = String::from_utf8(sent.value.clone()).unwrap().replace("false", "true");
    assert_eq!(
        read(&Written { value: changed.into(), ..sent.clone() }),
        Err(ControlError::NotSigned)
    );
    let moved = Written { key: b"kill/tenant/t".to_vec(), ..sent.clone() };
    assert_eq!(read(&moved), Err(ControlError::NotSigned));
    let garbage = Written { headers: vec![header(SIGNATURE, "é".repeat(32))], ..sent.clone() };
    assert_eq!(read(&garbage), Err(ControlError::NotSigned));
    assert_eq!(read(&sent), Ok(()));
    assert_eq!(read(&sent), Err(ControlError::OldCounter { counter: 5, seen: 5 }));
    let older = write(&record(Body::Kill { scope: Scope::All, on: true }, 4), Some(&key));
    assert_eq!(read(&older), Err(ControlError::OldCounter { counter: 4, seen: 5 }));
    assert_eq!(reader.read(b"kill/all", None, &[]), Err(ControlError::Tombstone));
    assert_eq!(reader.next_counter(Millis(3)), 6);
    assert_eq!(reader.next_counter(Millis(9)), 9);
}

#[test]
fn what_is_not_a_record_is_refused_and_never_panics() {
    let good = String::from_utf8(
        write(&record(Body::Kill { scope: Scope::All, on: true }, 1), None).value,
    )
    .unwrap();
    let mut reader = Reader::new(None);
    let mut read = |value: &str| reader.read(b"kill/all", Some(value.as_bytes()), &[]).map(|_| ());
    assert_eq!(read(&good), Ok(()));
    for (from, to) in [
        ("\"all\":true", "\"all\":false"),
        ("\"all\":true", "\"all\":true,\"hour\":3"),
        ("\"all\":true", ""),
        ("\"kill\"", "\"kil\""),
        ("\"on\":true", "\"on\":1"),
        (",\"counter\":1", ""),
        ("\"by\":\"soc\"", "\"by\":null"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(matches!(read(&good.replace(from, to)), Err(ControlError::Malformed(_))), "{to}");
    }
    assert_eq!(read(&good.replace("\"v\":1", "\"v\":2")), Err(ControlError::UnknownVersion));
    assert_eq!(
        read(&good.replace("{\"all\":true}", "{\"tenant\":\"t\"}")),
        Err(ControlError::KeyMismatch)
    );
    for cut in 0..good.len() {
        assert!(read(good.get(..cut).unwrap()).is_err());
    }
}

#[test]
fn everything_is_an_order_but_a_grant_of_parameters_that_are_no_hash() {
    for body in every_body() {
        let expected = !matches!(body, Body::Grant { .. });
        let order = record(body, 1).order(4);
        assert_eq!(order.is_some(), expected);
        assert!(order.is_none_or(|order| order.offset == 4 && order.by == "soc"));
    }
}

#[test]
fn a_grant_names_its_parameters_or_any_and_nothing_else() {
    let grant = |params: &str| {
        let scope = Scope::Agent(String::new(), "a".into());
        let (tool, params) = ("mail".to_owned(), params.to_owned());
        let body = Body::Grant { scope, tool, params, uses: 1, expires: Millis(9) };
        match record(body, 1).order(0).map(|order| order.command) {
            Some(policy::Command::Grant(grant)) => Some(grant.params),
            _ => None,
        }
    };
    assert_eq!(grant("*"), Some(None));
    assert_eq!(grant(&"ab".repeat(32)), Some(Some([0xab; 32])));
    for wrong in ["", "ab", "all", &"zz".repeat(32)] {
        assert_eq!(grant(wrong), None, "{wrong} is not any parameters");
    }
}
