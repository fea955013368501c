//! Expressions, texts, and texts that an expression is likely to match.

use proptest::prelude::*;
use regex_syntax::hir::{Class, Hir, HirKind};

/// An expression of a few parts over a small alphabet, so that matches are frequent.
pub(super) fn expression() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        6 => "[abzqx@0]{1,4}",
        2 => Just("[abz]".to_owned()),
        1 => Just("[^b]".to_owned()),
        1 => Just("(?s:.)".to_owned()),
        1 => Just("(?i:qxz)".to_owned()),
        1 => Just(r"\b".to_owned()),
        1 => Just("(?m:^)".to_owned()),
        1 => Just("(?m:$)".to_owned()),
        1 => Just("\n".to_owned()),
    ];
    let repeat = prop_oneof![
        8 => Just(""),
        1 => Just("*"), 1 => Just("+"), 1 => Just("?"), 1 => Just("*?"), 1 => Just("+?"),
        1 => Just("{2}"), 1 => Just("{1,3}"), 1 => Just("{0,2}?"), 1 => Just("{3,}"), 1 => Just("{0,40}"),
    ];
    atom.prop_recursive(3, 24, 4, move |inner| {
        let repeat = repeat.clone();
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => inner.clone().prop_map(|part| format!("(z{part})")),
            3 => (inner, repeat).prop_map(|(part, repeat)| format!("(?:{part}){repeat}")),
        ]
    })
}

/// A text over the same alphabet.
pub(super) fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[abzqx@0 \n]{0,60}".prop_map(String::into_bytes),
        1 => "([abzqx@0]{1,3}|qxz|QXZ|\n| ){0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

/// Texts that match, or nearly.
pub(super) struct Samples {
    state: u64,
}

impl Samples {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// A number below `below` (xorshift: the tests need variety, not quality).
    pub(super) fn below(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % below.max(1)
    }

    /// Puts one or two texts of the expression, or near misses of it, into a text.
    pub(super) fn plant(&mut self, regex: &str, text: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let mut sample = Vec::new();
            self.sample_of(regex, &mut sample);
            match self.below(4) {
                0 if !sample.is_empty() => {
                    let at = self.below(sample.len());
                    sample[at] = *b"azq \n@0".get(self.below(7)).unwrap();
                }
                1 => sample.truncate(self.below(sample.len() + 1)),
                _ => {}
            }
            let at = self.below(text.len() + 1);
            text.splice(at..at, sample);
        }
    }

    /// A text of the expression.
    pub(super) fn sample_of(&mut self, regex: &str, out: &mut Vec<u8>) {
        let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        self.sample(&parser.parse(regex).unwrap(), out);
    }

    /// A text that the expression matches, if its assertions hold where it is put.
    pub(super) fn sample(&mut self, hir: &Hir, out: &mut Vec<u8>) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
            HirKind::Class(Class::Bytes(class)) => {
                if let Some(range) = class.ranges().get(self.below(class.ranges().len())) {
                    out.push(range.start() + self.below(range.len()) as u8);
                }
            }
            HirKind::Class(Class::Unicode(class)) => {
                if let Some(range) = class.ranges().first() {
                    out.extend(range.start().to_string().as_bytes());
                }
            }
            HirKind::Repetition(repeat) => {
                let least = repeat.min as usize;
                let most = repeat.max.map_or(least + 12, |max| max as usize).max(least);
                for _ in 0..least + self.below((most - least).min(12) + 1) {
                    self.sample(&repeat.sub, out);
                }
            }
            HirKind::Capture(group) => self.sample(&group.sub, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.sample(part, out)),
            HirKind::Alternation(branches) => {
                let at = self.below(branches.len());
                self.sample(&branches[at], out);
            }
        }
    }
}
