//! The reader against tables of good and bad texts, and against `serde_json` on arbitrary ones.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { depth: 128, tokens: 10_000 };

fn problem(text: &str) -> Option<Problem> {
    Tape::read(text, 0, LIMITS).1.map(|error| error.kind)
}

#[test]
fn valid_texts_are_read() {
    for text in [
        "{}",
        "[]",
        " [ 1 , -0.5e+10 , 0 , 10E2, \"\" ] ",
        r#"{"a":{"b":[true,false,null]},"a":1}"#,
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800""#,
        "\"\u{7f}é😀\"",
        "0",
        "null",
        "\t\r\n{\n\"a\"\n:\n1\n}\n",
    ] {
        assert_eq!(problem(text), None, "{text}");
    }
}

#[test]
fn invalid_texts_are_told_from_truncated_ones() {
    for text in [
        "{'a':1}",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "[1 2]",
        "01",
        "1.",
        "+1",
        ".5",
        "1e",
        "- 1",
        "nul0",
        "tru ",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "\"a\nb\"",
        "{}{}",
        "[}",
        "{]",
        "]",
        "\u{feff}{}",
        "NaN",
        "{1:2}",
        "/**/1",
    ] {
        let found = problem(text);
        if text == "1." || text == "1e" {
            assert_eq!(found, Some(Problem::Truncated), "{text}");
        } else {
            assert!(matches!(found, Some(Problem::Expected(_))), "{text}: {found:?}");
        }
    }
    let whole = r#"{"a":[1.5,true,null,"x\u00e9\n"],"b":{"c":-1e5}}"#;
    for cut in 0..whole.len() {
        let head = whole.get(..cut).unwrap();
        assert_eq!(problem(head), Some(Problem::Truncated), "{head}");
    }
}

#[test]
fn nesting_and_size_stop_at_their_limits() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert_eq!(problem(&nested(128)), None);
    assert_eq!(problem(&nested(129)), Some(Problem::TooDeep));
    assert_eq!(problem(&nested(10_000)), Some(Problem::TooDeep));
    assert_eq!(problem(&format!("[{}1]", "1,".repeat(10_000))), Some(Problem::TooMany));
}

#[test]
fn what_stood_before_an_error_can_be_walked() {
    let (tape, error) = Tape::read(r#"{"id":"x","agent":{"id":"a"},"text":[[tru"#, 0, LIMITS);
    assert!(error.is_some());
    let keys: Vec<_> = tape.members(0).map(|(key, _)| tape.string(key).into_owned()).collect();
    assert_eq!(keys, ["id", "agent", "text"]);
    let (tape, _) = Tape::read(r#"{"id":"x","agent""#, 0, LIMITS);
    assert_eq!(tape.members(0).count(), 1);
}

#[test]
fn surrogates_make_one_character_or_a_replacement() {
    for (content, text) in [
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
        (r"\uD83D\n", "\u{fffd}\n"),
    ] {
        assert_eq!(unescape(content), text, "{content}");
        let units: Vec<Unit> = Units::new(content).collect();
        assert_eq!(units.iter().map(|unit| unit.char).collect::<String>(), text, "{content}");
        assert_eq!(units.iter().map(|unit| unit.written).sum::<usize>(), content.len());
    }
}

/// The tape as `serde_json` would have it, numbers as text.
fn value(tape: &Tape<'_>, index: u32) -> serde_json::Value {
    match tape.what(index).unwrap() {
        What::Object => tape
            .members(index)
            .map(|(key, member)| (tape.string(key).into_owned(), value(tape, member)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        What::Array => tape.elements(index).map(|element| value(tape, element)).collect(),
        What::Key => panic!("a key is no value"),
        What::String => tape.string(index).into(),
        What::Number => serde_json::from_str(tape.written(index)).unwrap(),
        What::True => true.into(),
        What::False => false.into(),
        What::Null => serde_json::Value::Null,
    }
}

pub(crate) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,5})?"
            .prop_map(|number| serde_json::from_str(&number).unwrap()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_json_reads_as_serde_json_reads_it(json in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
        let (tape, error) = Tape::read(&text, 0, LIMITS);
        prop_assert_eq!(error, None);
        prop_assert_eq!(value(&tape, 0), json);
    }

    #[test]
    fn arbitrary_text_is_judged_as_serde_json_judges_it(text in r#"[\[\]{}",:0-9eE.+\-truefalsn\\/ \n\x00-\x20a-f]{0,24}"#) {
        // serde_json refuses lone surrogates and huge exponents, which are valid by RFC 8259.
        let ours = problem(&text).is_none();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn what_is_escaped_unescapes_to_itself(text in any::<String>()) {
        let mut content = Vec::new();
        escape_into(&mut content, &text);
        let content = String::from_utf8(content).unwrap();
        prop_assert_eq!(unescape(&content), text);
    }
}
