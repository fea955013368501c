//! Which line decides, and what a mistake in the file is told as.

use super::*;
use crate::event::{Millis, RawSpan};
use crate::finding::{Severity, Source, ViewName};

fn finding(rule: &str, family: Family, action: Option<Action>) -> Finding {
    Finding {
        source: Arc::new(Source {
            rule: rule.into(),
            family,
            kind: rule.into(),
            severity: Severity::High,
            message: String::new(),
            action,
            tags: Vec::new(),
        }),
        confidence: Confidence::High,
        field: None,
        span: RawSpan::default(),
        view: ViewName::RAW,
        mention: None,
    }
}

fn event(kind: Kind) -> Event<'static> {
    let mut event = Event::new(kind, "e".into(), "a".into(), Millis(0));
    event.agent_type = Some("support".into());
    event.tenant = "acme".into();
    event
}

#[test]
fn the_shipped_policy_decides_as_documented() {
    use Action::{Alert, Block, Redact, Replace, Retry};
    use Family::{Claims, Exfiltration, Injection, Pii, Secrets, Tools, Urls};
    let policy = Policy::shipped();
    // prompt, output, output_chunk, tool_call, tool_result
    for (family, expected) in [
        (Secrets, [Redact, Replace, Replace, Block, Redact]),
        (Pii, [Alert, Redact, Redact, Alert, Alert]),
        (Injection, [Block, Alert, Alert, Alert, Block]),
        (Exfiltration, [Block, Block, Block, Block, Block]),
        (Claims, [Alert, Retry, Retry, Alert, Alert]),
        (Urls, [Alert, Redact, Redact, Alert, Alert]),
        (Tools, [Alert, Alert, Alert, Alert, Alert]),
    ] {
        for (kind, expected) in Kind::ALL.into_iter().zip(expected) {
            let finding = finding("x", family, None);
            assert_eq!(policy.action(&event(kind), &finding), expected, "{family} in {kind}");
            let mut low = finding.clone();
            low.confidence = Confidence::Low;
            assert_eq!(policy.action(&event(kind), &low), Action::Allow);
        }
    }
    let limit = finding("limit.fields", Family::System, None);
    assert_eq!(policy.action(&event(Kind::Prompt), &limit), Block);
    let own = finding("lists.x", Family::Lists, Some(Block));
    assert_eq!(policy.action(&event(Kind::Prompt), &own), Block, "the rule's own action");
    let weaker = finding("x", Injection, Some(Action::Allow));
    assert_eq!(policy.action(&event(Kind::Prompt), &weaker), Block, "a line beats it");
    let claim = finding("claims.x", Claims, None);
    assert!(policy.hint(&event(Kind::Output), &claim).unwrap().contains("qualified person"));
    assert_eq!(policy.operator("pii.credit_card"), Operator::Last4);
    assert_eq!(policy.operator("secret.aws_access_key_id"), Operator::Mask);
    assert_eq!(policy.operator("pii.email"), Operator::Tag);
    assert_eq!(policy.hash.len(), 64);
}

#[test]
fn the_most_specific_line_wins() {
    // Each line beats all before it, whatever their order in the file.
    let lines = [
        "{ tenant: acme, action: alert }",
        "{ type: support, action: redact }",
        "{ agent: a, action: replace }",
        "{ agent: a, type: support, tenant: acme, action: retry }",
        "{ kind: prompt, action: block }",
        "{ family: pii, action: alert }",
        "{ family: pii, kind: prompt, action: redact }",
        "{ rule: 'pii.*', action: replace }",
        "{ rule: 'pii.email*', action: retry }",
        "{ rule: pii.email, action: block }",
        "{ rule: pii.email, tenant: acme, action: allow }",
        "{ rule: pii.email, tenant: acme, action: alert }",
        "{ rule: nothing, action: block }",
        "{ agent: b, rule: pii.email, action: block }",
    ];
    let expected = [
        "alert", "redact", "replace", "retry", "block", "alert", "redact", "replace", "retry",
        "block", "allow", "alert", "alert", "alert",
    ];
    for n in 1..=lines.len() {
        let mut shown: Vec<&str> = lines[..n].to_vec();
        if n != 12 {
            // Only equals depend on their order.
            shown.sort_unstable();
        }
        if n > 12 {
            shown = lines[..n].to_vec();
        }
        let text = format!("overrides:\n  - {}\n", shown.join("\n  - "));
        let policy = Policy::read("p.yml", &text).unwrap();
        let action = policy.action(&event(Kind::Prompt), &finding("pii.email", Family::Pii, None));
        assert_eq!(action.name(), expected[n - 1], "{text}");
    }
}

#[test]
fn modes_are_set_at_every_level() {
    let text = "defaults: { mode: enforce }\noverrides:\n  - { tenant: acme, mode: shadow }\n  - { rule: pii.new, mode: shadow }\n  - { family: secrets, mode: enforce }\n";
    let policy = Policy::read("p.yml", text).unwrap();
    let mode =
        |family, rule| policy.ruling(&event(Kind::Prompt), &finding(rule, family, None)).mode;
    assert_eq!(policy.mode(&event(Kind::Prompt)), Mode::Shadow);
    assert_eq!(mode(Family::Secrets, "secrets.x"), Mode::Enforce);
    assert_eq!(mode(Family::Pii, "pii.new"), Mode::Shadow);
    let mut other = event(Kind::Prompt);
    other.tenant = "".into();
    assert_eq!(policy.mode(&other), Mode::Enforce);
    let unset = Policy::shipped().with_mode(Mode::Shadow);
    assert_eq!(unset.mode(&other), Mode::Shadow);
}

#[test]
fn mistakes_name_file_line_key_and_what_is_allowed() {
    for (text, line, key, words) in [
        ("overrides:\n  - { family: pii }\n", 2, "overrides[0]", &["action, mode"][..]),
        (
            "overrides:\n  - { family: pii,\n      action: blok }\n",
            3,
            "overrides[0].action",
            &["`blok`", "allow, alert, redact, replace, retry, block"],
        ),
        ("overrides:\n  - { famly: pii }\n", 2, "overrides[0]", &["famly", "family"]),
        (
            "defaults: { operator: hide }\n",
            1,
            "defaults.operator",
            &["mask, tag, hash, last4, drop"],
        ),
        ("failures: { limits: maybe }\n", 1, "failures.limits", &["closed, open"]),
        (
            "overrides:\n  - kind: promt\n    action: block\n",
            2,
            "overrides[0].kind",
            &["tool_call"],
        ),
        ("overrides: 3\n", 1, "overrides", &[]),
        ("overides: []\n", 1, "", &["overides", "overrides"]),
        ("overrides: [\n", 1, "overrides", &[]),
        ("overrides:\n  - { famly: pii }\n", 2, "", &["did you mean `family`?"]),
        (
            "tools:\n\n  - tool: a\n    acess: deny\n",
            4,
            "tools[0]",
            &["`acess`", "did you mean `access`?"],
        ),
        ("tools:\n  - access: denied\n", 2, "tools[0].access", &["did you mean `deny`?"]),
        (
            "tools:\n  - { access: deny }\n  - { tool: a }\n",
            3,
            "tools[1]",
            &["says nothing", "quota"],
        ),
        ("tools:\n  - { access: deny, id: 'A' }\n", 2, "tools[0].id", &["a-z"]),
        ("tools:\n  - { params: { to: {} } }\n", 2, "tools[0].params.to", &["max_items"]),
        (
            "tools:\n  - { params: { a..b: { min: 1 } } }\n",
            2,
            "tools[0].params.a..b",
            &["message.to"],
        ),
        (
            "tools:\n  - { params: { p: { below: data } } }\n",
            2,
            "tools[0].params.p.below",
            &["`data`", "root"],
        ),
        (
            "tools:\n  - hours: { zone: Europe/Berln, from: '08:00', to: '18:00' }\n",
            2,
            "tools[0].hours.zone",
            &["did you mean `Europe/Berlin`?"],
        ),
        (
            "tools:\n  - hours: { zone: UTC, days: monday, from: '08:00', to: '18:00' }\n",
            2,
            "tools[0].hours.days",
            &["`monday`", "mon, tue"],
        ),
        (
            "tools:\n  - hours: { zone: UTC, from: '8', to: '18:00' }\n",
            2,
            "tools[0].hours.from",
            &["`8`", "08:30"],
        ),
        ("tools:\n  - { labels: 'a b' }\n", 2, "tools[0].labels", &["`a b` is no label"]),
        ("tools:\n  - { labels: found:pi }\n", 2, "tools[0].labels", &["did you mean `pii`?"]),
        (
            "tools:\n  - { labels: read:private }\nflows:\n  - after read:privat deny output\n",
            4,
            "flows[0].rule",
            &["`read:privat`", "did you mean `read:private`?"],
        ),
        ("flows:\n  - { rule: after output }\n", 2, "flows[0].rule", &["expected `and` or `deny`"]),
        (
            "breakers:\n  - { max_failurs: 3 }\n",
            2,
            "breakers[0]",
            &["did you mean `max_failures`?"],
        ),
        ("canaries: { halt: sesion }\n", 1, "canaries.halt", &["did you mean `session`?"]),
        (
            "maintenance:\n  - id: a\n    famly: pii\n",
            3,
            "maintenance[0]",
            &["`famly`", "did you mean `family`?"],
        ),
        (
            "maintenance:\n  - { id: a, family: behaviour }\n",
            2,
            "maintenance[0].family",
            &["did you mean `behavior`?"],
        ),
        (
            "maintenance:\n  - { id: a, family: [pii,\n      polcy] }\n",
            2,
            "maintenance[0].family",
            &["did you mean `policy`?"],
        ),
        (
            "maintenance:\n  - { id: a, family: pii, reason: r, hours: { zone: UTC, days: friday, from: '01:00', to: '02:00' } }\n",
            2,
            "maintenance[0].hours.days",
            &["`friday`", "did you mean `fri`?"],
        ),
        (
            "maintenance:\n  - { id: a, family: pii, reason: r, hours: { zone: Europe/Berln, from: '01:00', to: '02:00' } }\n",
            2,
            "maintenance[0].hours.zone",
            &["did you mean `Europe/Berlin`?"],
        ),
        (
            "maintenance:\n  - { id: a, family: pii, reason: r, until: soon, hours: { zone: UTC, from: '01:00', to: '02:00' } }\n",
            2,
            "maintenance[0].until",
            &["`soon`", "2027-03-31"],
        ),
        (
            "maintenance:\n  - { id: a, family: pii, reason: ' ', hours: { zone: UTC, from: '01:00', to: '02:00' } }\n",
            2,
            "maintenance[0].reason",
            &["must say why"],
        ),
        (
            "maintenance:\n  - &w { id: a, family: pii, reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }\n  - *w\n",
            3,
            "maintenance[1].id",
            &["`a` too"],
        ),
    ] {
        let error = Policy::read("my/policy.yml", text).unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with("my/policy.yml:"), "{shown}");
        assert_eq!(error.line, line, "{text}{shown}");
        assert!(error.key.contains(key), "{text}{shown}");
        for word in words {
            assert!(shown.contains(word), "no `{word}` in: {shown}");
        }
    }
}

#[test]
fn thresholds_of_severity_and_confidence_are_lines_like_others() {
    use Confidence::{High, Low, Medium};
    let text = "\
overrides:
  - { family: pii, action: alert }
  - { family: pii, severity: critical, action: block }
  - { family: injection, confidence: high, action: block }
  - { family: injection, action: alert }
  - { family: claims, confidence: low, action: alert }
";
    let policy = Policy::read("p.yml", text).unwrap();
    let of = |family, severity, confidence| {
        let mut found = finding("x", family, None);
        Arc::get_mut(&mut found.source).unwrap().severity = severity;
        found.confidence = confidence;
        policy.action(&event(Kind::Prompt), &found)
    };
    assert_eq!(of(Family::Pii, Severity::High, High), Action::Alert);
    assert_eq!(of(Family::Pii, Severity::Critical, Medium), Action::Block);
    assert_eq!(of(Family::Pii, Severity::Critical, Low), Action::Allow);
    assert_eq!(of(Family::Injection, Severity::Low, High), Action::Block);
    assert_eq!(of(Family::Injection, Severity::Low, Medium), Action::Alert);
    assert_eq!(of(Family::Claims, Severity::Low, Low), Action::Alert);
}

#[test]
fn the_lines_that_decide_are_named() {
    let text = "\
overrides:
  - { family: pii, action: redact }
  - { rule: pii.email, kind: prompt, action: block }
  - { agent: a, mode: shadow }
tools:
  - { tool: '*', type: support, access: deny }
  - { tool: 'crm.*', labels: read:private, quota: { max: 3, per: session } }
  - { tool: crm.get, access: ask, params: { id: { required: true } } }
";
    let policy = Policy::read("p.yml", text).unwrap();
    let email = finding("pii.email", Family::Pii, Some(Action::Alert));
    let explained = policy.explain(&event(Kind::Prompt), &email);
    assert_eq!(explained.ruling, Ruling { action: Action::Block, mode: Mode::Shadow });
    assert_eq!((explained.action, explained.mode), (Because::Line(3), Because::Line(4)));
    assert_eq!(explained.lines, [3, 2, 4]);
    let other = policy
        .explain(&event(Kind::Prompt), &finding("lists.x", Family::Lists, Some(Action::Block)));
    assert_eq!((other.action, other.ruling.action), (Because::Rule, Action::Block));
    let none = policy.explain(&event(Kind::Prompt), &finding("lists.x", Family::Lists, None));
    assert_eq!((none.action, none.ruling.action), (Because::Defaults, Action::Alert));
    let limit =
        policy.explain(&event(Kind::Prompt), &finding("limit.fields", Family::System, None));
    assert_eq!((limit.action, limit.ruling.action), (Because::Failures, Action::Block));
    let mut call = event(Kind::ToolCall);
    call.tool = Some(crate::event::Tool { name: "crm.get".into(), ..Default::default() });
    assert_eq!(
        policy.governance.explain(&call),
        [
            (8, "access ask".to_owned()),
            (8, "refused if `id` is missing".to_owned()),
            (7, "labels read:private".to_owned()),
            (7, "at most 3 calls a session".to_owned()),
            (6, "access deny (a more specific line decides)".to_owned()),
        ]
    );
}

#[test]
fn windows_are_explained_with_their_lines_and_those_that_are_over_are_known() {
    let text = "\
maintenance:
  - { id: nightly, family: [behavior, policy], type: support, reason: export, until: 2026-01-31,
      hours: { zone: Europe/Berlin, days: mon-fri, from: '22:00', to: '06:00' } }
  - { id: mail, family: pii, tool: 'mail.*', reason: newsletter, hours: { zone: UTC, from: '01:00', to: '02:00' } }
  - { id: other, family: pii, agent: b, reason: r, hours: { zone: UTC, from: '01:00', to: '02:00' } }
";
    let policy = Policy::read("p.yml", text).unwrap();
    let mut call = event(Kind::ToolCall);
    let nightly = (
        2,
        "alerts of behavior, policy are kept back mon-fri 22:00 to 06:00 Europe/Berlin until 2026-01-31: export (nightly)"
            .to_owned(),
    );
    assert_eq!(policy.explain_windows(&call), std::slice::from_ref(&nightly));
    call.tool = Some(crate::event::Tool { name: "mail.send".into(), ..Default::default() });
    let mail = (4, "alerts of pii are kept back 01:00 to 02:00 UTC: newsletter (mail)".to_owned());
    assert_eq!(policy.explain_windows(&call), [nightly, mail]);
    let end = "2026-01-31T23:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(policy.ended_windows(Millis(end - 1)), []);
    assert_eq!(policy.ended_windows(Millis(end)), [(2, "nightly")]);
}
