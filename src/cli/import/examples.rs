//! Examples made from an expression: recipes of texts that it matches, and near misses.
//!
//! What is random in a token is written as a recipe (`{{base62:36}}`), so that no text in
//! a pack looks like a live secret. A recipe is a proposal: whoever asks for one tries it
//! on the rule itself, because context, entropy and allow lists have their say too.

use std::fmt::Write as _;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::shape::takes;
use crate::patterns::generate::alphabet_of;

/// How many proposals there are for one expression.
const PROPOSALS: usize = 12;

/// Texts that the expression may match, the likeliest first.
pub(super) fn proposals(hir: &Hir) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for number in 0..PROPOSALS {
        let mut maker =
            Maker { pick: number / 3, stretch: [4, 24, 0][number % 3], made: Vec::new() };
        if maker.make(hir).is_some() {
            let text = maker.text();
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }
    all
}

/// The same text with its last random run cut to half: what is nearly a token.
pub(super) fn near_miss(example: &str) -> Option<String> {
    let (before, recipe) = example.rsplit_once("{{")?;
    let (recipe, _) = recipe.split_once("}}")?;
    let (alphabet, size) = recipe.split_once(':')?;
    let size: usize = size.parse().ok()?;
    (size > 1).then(|| format!("{before}{{{{{alphabet}:{}}}}}", size / 2))
}

enum Piece {
    Text(String),
    Random(&'static str, usize),
}

struct Maker {
    /// Which branch is taken where there are several.
    pick: usize,
    /// How many more than it must a repeat has, where it may.
    stretch: usize,
    made: Vec<Piece>,
}

impl Maker {
    /// Nothing where the expression asks for what no text has.
    fn make(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                self.literal(text);
            }
            HirKind::Class(class) => self.class(class, 1)?,
            HirKind::Capture(capture) => self.make(&capture.sub)?,
            HirKind::Concat(parts) => {
                for part in parts {
                    self.make(part)?;
                }
            }
            HirKind::Alternation(branches) => {
                let branch = branches.get(self.pick % branches.len().max(1))?;
                self.make(branch)?;
            }
            HirKind::Repetition(repeat) => {
                let least = repeat.min as usize;
                let most = repeat.max.map_or(usize::MAX, |most| most as usize);
                if let HirKind::Class(class) = repeat.sub.kind() {
                    // What may be absent stays so: it is there for other texts' sake.
                    let count = if least == 0 { 0 } else { (least + self.stretch).min(most) };
                    self.class(class, count)?;
                } else {
                    for _ in 0..least {
                        self.make(&repeat.sub)?;
                    }
                }
            }
        }
        Some(())
    }

    fn literal(&mut self, text: &str) {
        match self.made.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.made.push(Piece::Text(text.to_owned())),
        }
    }

    /// So many characters of a class.
    fn class(&mut self, class: &Class, count: usize) -> Option<()> {
        if count == 0 {
            return Some(());
        }
        let inside = |byte: u8| takes(class, byte);
        // A recipe behind a brace could not be told from one that begins with it.
        let braced = matches!(self.made.last(), Some(Piece::Text(text)) if text.ends_with('{'));
        if let Some(alphabet) = alphabet_of(inside).filter(|_| !braced) {
            match self.made.last_mut() {
                Some(Piece::Random(last, size)) if *last == alphabet => *size += count,
                _ => self.made.push(Piece::Random(alphabet, count)),
            }
            return Some(());
        }
        // Letters before digits before signs, so that words of either case read as words.
        let kinds: [fn(u8) -> bool; 4] = [
            |byte| byte.is_ascii_lowercase(),
            |byte| byte.is_ascii_alphanumeric(),
            |byte| matches!(byte, b' ' | b'=' | b':' | b'"' | b'-' | b'_'),
            |byte| byte.is_ascii_graphic() || byte == b'\n',
        ];
        let from: Vec<u8> = kinds
            .into_iter()
            .map(|kind| (0..128).filter(|&byte| inside(byte) && kind(byte)).collect::<Vec<u8>>())
            .find(|bytes| !bytes.is_empty())?;
        let text: String = (0..count)
            .filter_map(|at| from.get((self.pick + at * 7) % from.len()).copied())
            .map(char::from)
            .collect();
        self.literal(&text);
        Some(())
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for piece in &self.made {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Random(alphabet, size) => write!(out, "{{{{{alphabet}:{size}}}}}")
                    .expect("writing to a string cannot fail"),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patterns::generate::expand;
    use crate::patterns::parse_shape;

    #[test]
    fn proposals_expand_to_matches() {
        for (regex, first) in [
            (r"\b(acme_[A-Za-z0-9]{20})\b", "acme_{{base62:20}}"),
            (r"(?i)(?:acme|ajax)[ =]{1,3}([a-f0-9]{8,})", "acme = {{hex:12}}"),
            (r"\bAKIA[A-Z2-7]{16}\b", "AKIA{{base32:16}}"),
            (
                r#"(?i)\b(\d{15,16}(\||%)[0-9a-z\-_]{27,40})(?:[\x60'"\s;]|\\[nr]|(?m:$))"#,
                "{{digits:16}}%{{base64url:31}} ",
            ),
            (r"AGE-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{8}", "AGE-1"),
        ] {
            let hir = parse_shape(regex).unwrap();
            let all = proposals(&hir);
            assert!(all[0].starts_with(first), "{regex}: {all:?}");
            let matcher = regex::bytes::RegexBuilder::new(regex).unicode(false).build().unwrap();
            for proposal in &all {
                let text = expand(proposal, 1).unwrap();
                assert!(matcher.is_match(text.as_bytes()), "{regex}: {text}");
            }
        }
    }

    #[test]
    fn a_near_miss_is_half_a_token() {
        assert_eq!(near_miss("a_{{hex:4}}_{{base62:20}} b").unwrap(), "a_{{hex:4}}_{{base62:10}}");
        assert_eq!(near_miss("plain"), None);
        assert_eq!(near_miss("{{uuid}}"), None);
    }
}
