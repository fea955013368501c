//! Both engines against `regex` over expressions and texts of any bytes. Also the body of the
//! fuzz target `engine`, so it knows nothing but the library.
//!
//! The input is up to four expressions, one a line, then a zero byte, then the text.

use weir::engine::{Engine, Kind, Match, Spec};

/// Says whether the bytes were expressions and a text.
pub(crate) fn check(data: &[u8]) -> bool {
    let Some(at) = data.iter().position(|byte| *byte == 0) else { return false };
    let (expressions, text) = data.split_at(at);
    let Ok(expressions) = std::str::from_utf8(expressions) else { return false };
    let text = text.get(1..).unwrap_or_default();
    if expressions.len() > 200 || expressions.lines().count() > 4 {
        return false;
    }
    let mut specs = Vec::new();
    let mut expected = Vec::new();
    for (number, line) in (0..).zip(expressions.lines()) {
        let mut builder = regex::bytes::RegexBuilder::new(line);
        // Counted repeats of counted repeats take seconds to compile in any engine.
        let Ok(regex) = builder.unicode(false).size_limit(1 << 16).build() else { return false };
        let found = |one: regex::bytes::Match<'_>| {
            let (start, end) = (one.start(), one.end());
            Match { spec: number, start, end, group_start: start, group_end: end }
        };
        let words = line.len() % 2 == 1;
        if words {
            // Where one ends another may begin, an empty one too.
            let mut from = 0;
            while let Some(one) = regex.find_at(text, from) {
                expected.push(found(one));
                from = one.end().max(one.start() + 1);
                if from > text.len() {
                    break;
                }
            }
        } else {
            expected.extend(regex.find_iter(text).map(found));
        }
        specs.push(Spec { regex: line.to_owned(), max_len: 64, group: 0, words });
    }
    for kind in [Kind::Rust, Kind::Vectorscan] {
        let engine = Engine::compile(&specs, kind).expect("`regex` compiled them");
        let mut found = Vec::new();
        engine.scanner().matches(text, &mut found).expect("a short text does not overflow");
        assert_eq!(found, expected, "{kind:?}: {specs:?} in {:?}", String::from_utf8_lossy(text));
    }
    true
}
