//! Edits on arbitrary JSON: what was edited reads as edited, and nothing else moved by a byte.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::event::{Event, RawSpan};
use crate::wire::event::{FieldMap, ReadLimits, read};

fn event(record: &[u8]) -> Event<'_> {
    read(record, &FieldMap::default(), &ReadLimits::default())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(record)))
}

fn record(text_json: &str) -> String {
    format!(
        r#"{{ "v":1,"id":"e","ts":0,"kind":"prompt","agent":{{"id":"a"}} ,"text":"", "x" : {text_json}}}"#
    )
}

fn edited(json: &str, edits: &[(&str, usize, usize, &str)]) -> String {
    let record = record(json);
    let event = event(record.as_bytes());
    let edits: Vec<Edit> = edits
        .iter()
        .map(|(text, start, end, with)| Edit {
            field: event.fields.iter().position(|field| field.text == *text).unwrap() as u32,
            span: RawSpan { start: *start, end: *end },
            with: (*with).to_owned(),
        })
        .collect();
    let out = String::from_utf8(edit(record.as_bytes(), &event, &edits)).unwrap();
    let (head, _) = record.split_at(record.len() - json.len() - 1);
    out.strip_prefix(head).unwrap().strip_suffix('}').unwrap().to_owned()
}

#[test]
fn only_the_characters_of_the_span_change() {
    for (json, edits, expected) in [
        (r#"["keep 1e5 me", 1.50 ]"#, &[("keep 1e5 me", 5, 8, "█")][..], r#"["keep █ me", 1.50 ]"#),
        (
            r#""a\u0062c\n\u00e9\ud83d\ude00z""#,
            &[("abc\né😀z", 1, 2, "B")],
            r#""aBc\n\u00e9\ud83d\ude00z""#,
        ),
        (
            r#""a\u0062c\n\u00e9\ud83d\ude00z""#,
            &[("abc\né😀z", 6, 10, "\"\\")],
            r#""a\u0062c\n\u00e9\"\\z""#,
        ),
        (r#""a\u0062c\n\u00e9\ud83d\ude00z""#, &[("abc\né😀z", 0, 11, "")], r#""""#),
        (r#""x\ud800y""#, &[("x\u{fffd}y", 1, 4, "?")], r#""x?y""#),
        ("4111111111111111", &[("4111111111111111", 0, 12, "████")], r#""████1111""#),
        (
            r#"{"a@b.c" : 1, "\u0041":2}"#,
            &[("a@b.c", 0, 5, "<EMAIL>"), ("A", 0, 1, "B")],
            r#"{"<EMAIL>" : 1, "B":2}"#,
        ),
        (r#""one two""#, &[("one two", 4, 7, "2"), ("one two", 0, 3, "1")], r#""1 2""#),
        (r#""one two""#, &[("one two", 0, 5, "A"), ("one two", 3, 7, "B")], r#""A""#),
        (r#""é""#, &[("é", 1, 1, "x")], r#""x""#),
        (r#""ab""#, &[("ab", 1, 1, "-")], r#""a-b""#),
        (r#""ab""#, &[("ab", 1, 99, "-")], r#""a-""#),
    ] {
        assert_eq!(edited(json, edits), expected, "{json} {edits:?}");
    }
}

#[test]
fn the_prefix_of_a_schema_registry_is_kept() {
    let record = [b"\0\0\0\x01\x02", record(r#""secret""#).as_bytes()].concat();
    let event = event(&record);
    let field = event.fields.iter().position(|field| field.text == "secret").unwrap() as u32;
    let out = edit(
        &record,
        &event,
        &[Edit { field, span: RawSpan { start: 0, end: 6 }, with: "…".to_owned() }],
    );
    assert!(out.starts_with(b"\0\0\0\x01\x02{"));
    assert!(out.ends_with("\"…\"}".as_bytes()));
}

/// JSON text with what a printer never makes: needless escapes, lone surrogates, big numbers, repeated keys, odd spaces.
fn any_json_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9@ ]{1,6}",
        Just(r"\ud83d\ude00".to_owned()),
        Just(r"\ud83d".to_owned()),
        Just(r"\ude00".to_owned()),
        Just(r"\u0061".to_owned()),
        Just(r"\n\/\\\b".to_owned()),
        Just("\\\"".to_owned()),
        Just("é😀".to_owned()),
    ];
    let string =
        prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[1-9][0-9]{0,40}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        string.clone(),
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        let key = prop_oneof![Just("\"k\"".to_owned()), string.clone()];
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..5), "[ \n\t]{0,2}").prop_map(
                |(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},")))
            ),
            (prop::collection::vec((key, inner), 0..5), "[ \n\t]{0,2}").prop_map(
                |(members, space)| {
                    let members: Vec<_> = members
                        .into_iter()
                        .map(|(key, value)| format!("{key}{space}:{value}"))
                        .collect();
                    format!("{{{}{space}}}", members.join(","))
                }
            ),
        ]
    })
}

/// An edit of the field's text as plain strings would have it.
fn applied(text: &str, edits: &[&Edit]) -> String {
    let mut out = text.to_owned();
    for edit in edits.iter().rev() {
        out.replace_range(edit.span.start..edit.span.end, &edit.with);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reading_the_edited_record_gives_the_edited_strings(
        json in any_json_text(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<String>()), 0..6),
    ) {
        let record = record(&json);
        let before = event(record.as_bytes());
        let mut edits: BTreeMap<u32, Vec<Edit>> = BTreeMap::new();
        for (field, start, end, with) in picks {
            let field = field.index(before.fields.len()) as u32;
            let text = &before.fields[field as usize].text;
            // The key that the edits' own place hangs on stays, so that the edited record is still this event.
            if before.fields[field as usize].token.start < record.len() - json.len() - 1 {
                continue;
            }
            let boundary = |index: prop::sample::Index| {
                let mut all: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
                all.push(text.len());
                all[index.index(all.len())]
            };
            let (a, b) = (boundary(start), boundary(end));
            let span = RawSpan { start: a.min(b), end: a.max(b) };
            let list = edits.entry(field).or_default();
            if list.iter().all(|other| other.span.end <= span.start && other.span != span) {
                list.push(Edit { field, span, with });
            }
        }
        let flat: Vec<Edit> = edits.values().flatten().rev().cloned().collect();
        let out = edit(record.as_bytes(), &before, &flat);
        if flat.is_empty() {
            prop_assert_eq!(&out[..], record.as_bytes());
        }
        let after = event(&out);
        prop_assert_eq!(after.fields.len(), before.fields.len());
        let mut expected = Vec::new();
        let mut done = 0;
        for (index, (old, new)) in before.fields.iter().zip(&after.fields).enumerate() {
            let list: Vec<&Edit> = edits.get(&(index as u32)).into_iter().flatten().collect();
            prop_assert_eq!(applied(&old.text, &list), new.text.as_ref());
            // Everything outside of edited tokens is the same, byte for byte.
            let token = if list.is_empty() { old.token } else { new.token };
            let source = if list.is_empty() { record.as_bytes() } else { &out[..] };
            expected.extend_from_slice(&record.as_bytes()[done..old.token.start]);
            expected.extend_from_slice(&source[token.start..token.end]);
            done = old.token.end;
        }
        expected.extend_from_slice(&record.as_bytes()[done..]);
        prop_assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
    }
}
