//! Edits do not overlap, lie on characters, and hide what they cover; twice is once.

use proptest::prelude::*;

use super::*;
use crate::event::{Event, Kind, Millis};
use crate::state::{Partition, Staged};

fn event(session: &str) -> Event<'_> {
    let mut event = Event::new(Kind::Output, "e".into(), "a".into(), Millis(0));
    event.session = Some(session.into());
    event
}

fn cut(start: usize, end: usize, kind: &str, severity: Severity) -> Cut<'_> {
    Cut { field: 0, span: RawSpan { start, end }, kind, severity, confidence: Confidence::High }
}

fn redact(text: &str, cuts: &mut [Cut<'_>], operator: Operator, key: Option<&Key32>) -> String {
    let partition = Partition::default();
    let staged = Staged::new(&partition);
    let event = event("s");
    let mut tags = Tags::of_session(key, &staged, &event);
    let edits = plan(cuts, |_| Some(text), |kind, value| written(operator, kind, value, &mut tags));
    assert!(edits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
    apply(text, &edits).into_owned()
}

#[test]
fn operators_write_what_the_manual_says() {
    let key = Key32([7; 32]);
    let text = "mail bob@x.org card 4111 1111 1111 1111.";
    let cuts =
        [cut(5, 14, "pii.email", Severity::Low), cut(20, 39, "pii.credit_card", Severity::High)];
    for (operator, expected) in [
        (Operator::Mask, "mail ████ card ████."),
        (Operator::Tag, "mail <EMAIL_1> card <CREDIT_CARD_2>."),
        (Operator::Last4, "mail ████xorg card ████1111."),
        (Operator::Drop, "mail … card …."),
    ] {
        let got = redact(text, &mut cuts.clone(), operator, None);
        // An address has seven letters: too few to show four of them.
        assert_eq!(got, expected.replace("████xorg", "████"), "{operator:?}");
    }
    let hashed = redact(text, &mut cuts.clone(), Operator::Hash, Some(&key));
    assert!(
        hashed.starts_with("mail <EMAIL#")
            && hashed.len() == "mail <EMAIL#123456789012> card <CREDIT_CARD#123456789012>.".len()
    );
    let unkeyed = redact(text, &mut cuts.clone(), Operator::Hash, None);
    assert_eq!(unkeyed, "mail <EMAIL_1> card <CREDIT_CARD_2>.", "no key, no hash");
}

#[test]
fn overlaps_become_one_cut_under_the_gravest_label() {
    let mut cuts = [
        cut(2, 6, "pii.email", Severity::Low),
        cut(4, 8, "secret.password", Severity::Critical),
        cut(8, 9, "pii.phone", Severity::Low),
    ];
    assert_eq!(redact("0123456789", &mut cuts, Operator::Tag, None), "01<PASSWORD_1><PHONE_2>9");
}

#[test]
fn spans_grow_to_whole_characters() {
    // A span that ends inside `é` takes all of it.
    assert_eq!(redact("aéb", &mut [cut(0, 2, "x", Severity::Low)], Operator::Mask, None), "████b");
    assert_eq!(redact("aéb", &mut [cut(2, 99, "x", Severity::Low)], Operator::Mask, None), "a████");
    assert_eq!(redact("aéb", &mut [cut(9, 3, "x", Severity::Low)], Operator::Mask, None), "aéb");
}

#[test]
fn a_session_numbers_its_values_and_ends() {
    let key = Key32([1; 32]);
    let mut partition = Partition::default();
    let mut say = |session: &str, value: &str| {
        let mut staged = Staged::new(&partition);
        let event = event(session);
        let mut tags = Tags::of_session(Some(&key), &staged, &event);
        let tag = written(Operator::Tag, "pii.email", value, &mut tags);
        tags.keep(&mut staged, Millis(100), 2);
        let changes = staged.into_changes();
        partition.apply(changes);
        (tag, partition.len())
    };
    assert_eq!(say("s", "a@x"), ("<EMAIL_1>".into(), 1));
    assert_eq!(say("s", "b@x"), ("<EMAIL_2>".into(), 1));
    assert_eq!(say("s", "a@x"), ("<EMAIL_1>".into(), 1));
    assert_eq!(say("t", "b@x"), ("<EMAIL_1>".into(), 2), "another session counts for itself");
    assert_eq!(say("u", "b@x"), ("<EMAIL_1>".into(), 2), "one has given way");
    for n in 0..300 {
        say("u", &n.to_string());
    }
    assert_eq!(say("u", "one more").0, "<EMAIL>");
    assert_eq!(say("u", "b@x").0, "<EMAIL_1>");
}

#[test]
fn what_an_operator_wrote_is_known_again() {
    for text in [
        "████",
        "████1111",
        "████1111█",
        "…",
        "<EMAIL_1>",
        "<EMAIL>",
        "<CREDIT_CARD_256>",
        "<API_KEY#abcdefghijkp>",
        "\"████\"",
    ] {
        assert!(is_redacted(text), "{text}");
    }
    for text in [
        "",
        "<>",
        "<email_1>",
        "<EMAIL_1234>",
        "█",
        "████11111",
        "████11 1",
        "<AKIA2ABC>",
        "a<EMAIL>",
        "<EMAIL_1> and more",
        "<EMAIL#abcdefghijkq>",
        "<_1x>",
    ] {
        assert!(!is_redacted(text), "{text}");
    }
}

/// Finds runs of digits, and values of `key=`: a model of rules that may match what is left.
fn found(text: &str) -> Vec<Cut<'_>> {
    let digits = regex::Regex::new(r"[0-9]{5,}").unwrap();
    let pairs = regex::Regex::new(r"key=(\S+)").unwrap();
    let mut cuts: Vec<Cut<'_>> = digits
        .find_iter(text)
        .map(|m| cut(m.start(), m.end(), "pii.phone", Severity::Low))
        .collect();
    cuts.extend(pairs.captures_iter(text).map(|m| {
        let m = m.get(1).unwrap();
        cut(m.start(), m.end(), "secret.key", Severity::High)
    }));
    cuts.retain(|cut| !text.get(cut.span.start..cut.span.end).is_some_and(is_redacted));
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn redacting_twice_is_redacting_once_and_leaves_nothing_to_find(
        text in "(key=|[0-9]{1,9}|[a-z é█<>_]{0,6}){0,12}",
        keyed: bool,
    ) {
        let key = Key32([3; 32]);
        let key = keyed.then_some(&key);
        for operator in Operator::ALL {
            let once = redact(&text, &mut found(&text), *operator, key);
            prop_assert!(found(&once).is_empty(), "{operator:?}: {once}");
            let twice = redact(&once, &mut found(&once), *operator, key);
            prop_assert_eq!(&twice, &once);
        }
    }
}
