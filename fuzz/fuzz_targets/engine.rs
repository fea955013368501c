//! Both engines against `regex` over expressions and texts of the fuzzer's making.
//!
//! The input is up to four expressions, one a line, then a zero byte, then the text.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use weir::engine::{Engine, Kind, Match, Spec};

fuzz_target!(|data: &[u8]| -> Corpus { one(data).unwrap_or(Corpus::Reject) });

fn one(data: &[u8]) -> Option<Corpus> {
    let at = data.iter().position(|byte| *byte == 0)?;
    let (expressions, text) = data.split_at(at);
    let expressions = std::str::from_utf8(expressions).ok()?;
    let text = text.get(1..)?;
    if expressions.len() > 200 || expressions.lines().count() > 4 {
        return None;
    }
    let specs: Vec<Spec> = expressions
        .lines()
        .map(|line| Spec { regex: line.to_owned(), max_len: 64, group: 0, words: line.len() % 2 == 1 })
        .collect();
    let mut expected = Vec::new();
    for (spec, one) in (0..).zip(&specs) {
        // Counted repeats of counted repeats take seconds to compile in any engine.
        let regex = regex::bytes::RegexBuilder::new(&one.regex).unicode(false).size_limit(1 << 16).build().ok()?;
        expected.extend(regex.find_iter(text).map(|found| {
            let (start, end) = (found.start(), found.end());
            Match { spec, start, end, group_start: start, group_end: end }
        }));
    }
    for kind in [Kind::Rust, Kind::Vectorscan] {
        let engine = Engine::compile(&specs, kind).expect("`regex` compiled them");
        let mut found = Vec::new();
        engine.scanner().matches(text, &mut found).expect("a short text does not overflow");
        assert_eq!(found, expected, "{kind:?}: {specs:?}");
    }
    Some(Corpus::Keep)
}
