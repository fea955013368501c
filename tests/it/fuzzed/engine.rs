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
        let found = regex.find_iter(text).map(|found| {
            let (start, end) = (found.start(), found.end());
            Match { spec: number, start, end, group_start: start, group_end: end }
        });
        expected.extend(found);
        // Without a group a phrase is searched for as any other expression.
        let words = line.len() % 2 == 1;
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
