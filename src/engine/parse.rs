//! Reads expressions, fast where they are of a plain kind.
//!
//! A pack's phrases become megabytes of expressions, made of the same few hundred letters, classes
//! and separators over and over. [`Parser`] has each of these read once by `regex-syntax` and puts
//! the rest together with its constructors; what it does not know goes to `regex-syntax` whole. The
//! outcome is the same, which tests hold it to.

use std::collections::HashMap;

use regex_syntax::hir::{Capture, Hir, Repetition};

/// Groups nested deeper than this are left to `regex-syntax`, which has a limit of its own.
const MAX_DEPTH: usize = 50;

/// Reads expressions over bytes, Unicode off; remembers the parts that it has met.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Letters, classes and assertions with regard to case, and without.
    exact: HashMap<String, Hir>,
    caseless: HashMap<String, Hir>,
}

impl Parser {
    /// Reads an expression.
    ///
    /// Fails with what `regex-syntax` says of one that is none.
    pub(crate) fn parse(&mut self, regex: &str) -> Result<Hir, String> {
        self.quick(regex).map_or_else(|| whole(regex), Ok)
    }

    /// The same of an expression of the plain kind; nothing for any other.
    fn quick(&mut self, regex: &str) -> Option<Hir> {
        let rest = regex.strip_prefix("(?i)");
        let known = if rest.is_some() { &mut self.caseless } else { &mut self.exact };
        let caseless = if rest.is_some() { "(?i)" } else { "" };
        let mut reading = Reading { rest: rest.unwrap_or(regex), caseless, known, groups: 0 };
        let hir = reading.alternation(0)?;
        reading.rest.is_empty().then_some(hir)
    }
}

/// Reads an expression alone.
pub(super) fn parse(regex: &str) -> Result<Hir, String> {
    Parser::default().parse(regex)
}

fn whole(regex: &str) -> Result<Hir, String> {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(regex)
        .map_err(|error| error.to_string())
}

/// What is left of an expression.
struct Reading<'r> {
    rest: &'r str,
    caseless: &'static str,
    known: &'r mut HashMap<String, Hir>,
    groups: u32,
}

impl Reading<'_> {
    /// Branches up to the end of the expression, or of the group.
    fn alternation(&mut self, depth: usize) -> Option<Hir> {
        let mut branches = vec![self.concat(depth)?];
        while self.take("|") {
            branches.push(self.concat(depth)?);
        }
        Some(Hir::alternation(branches))
    }

    fn concat(&mut self, depth: usize) -> Option<Hir> {
        let mut row = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            // Lists of words say so of each word.
            if !self.caseless.is_empty() && self.take("(?i)") {
                continue;
            }
            let atom = self.atom(depth)?;
            row.push(self.repeated(atom)?);
        }
        Some(Hir::concat(row))
    }

    fn atom(&mut self, depth: usize) -> Option<Hir> {
        if self.take("(?:") {
            return self.group(depth);
        }
        if self.rest.starts_with("(?") {
            return None;
        }
        if self.take("(") {
            self.groups += 1;
            let index = self.groups;
            let sub = Box::new(self.group(depth)?);
            return Some(Hir::capture(Capture { index, name: None, sub }));
        }
        let (atom, rest) = self.rest.split_at(atom_len(self.rest)?);
        self.rest = rest;
        if let Some(hir) = self.known.get(atom) {
            return Some(hir.clone());
        }
        let hir = whole(&format!("{}{atom}", self.caseless)).ok()?;
        self.known.insert(atom.to_owned(), hir.clone());
        Some(hir)
    }

    fn group(&mut self, depth: usize) -> Option<Hir> {
        let inner = if depth < MAX_DEPTH { self.alternation(depth + 1)? } else { return None };
        self.take(")").then_some(inner)
    }

    /// An atom with the number of its copies, where one is given.
    fn repeated(&mut self, atom: Hir) -> Option<Hir> {
        let (min, max) = if self.take("?") {
            (0, Some(1))
        } else if self.take("*") {
            (0, None)
        } else if self.take("+") {
            (1, None)
        } else if self.take("{") {
            let (counts, rest) = self.rest.split_once('}')?;
            self.rest = rest;
            let number = |text: &str| {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits)
            };
            match counts.split_once(',') {
                Some((min, "")) => (number(min)?, None),
                Some((min, max)) => (number(min)?, Some(number(max)?)),
                None => (number(counts)?, Some(number(counts)?)),
            }
        } else {
            return Some(atom);
        };
        // Lazy ones, copies of copies, and counts that are none.
        if self.rest.starts_with(['?', '*', '+', '{']) || max.is_some_and(|max| max < min) {
            return None;
        }
        Some(Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(atom) }))
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// Bytes of the atom that a text begins with, no group; nothing where that is not sure.
fn atom_len(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    match first {
        '[' => class_len(text),
        '\\' => match text.as_bytes().get(1)? {
            b'x' => {
                let digits = text.as_bytes().get(2..4)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(4)
            }
            b'b' if text.as_bytes().get(2) == Some(&b'{') => None,
            b'b' | b'B' | b'd' | b'D' | b's' | b'S' | b'w' | b'W' | b'A' | b'z' | b'n' | b'r'
            | b't' => Some(2),
            sign if sign.is_ascii_punctuation() && !matches!(sign, b'<' | b'>') => Some(2),
            _ => None,
        },
        '*' | '+' | '?' | '{' => None,
        _ => Some(first.len_utf8()),
    }
}

/// The same of a class, with no class in it.
fn class_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = if bytes.get(1) == Some(&b'^') { 2 } else { 1 };
    // Here a bracket would be one of the class.
    if bytes.get(at) == Some(&b']') {
        return None;
    }
    loop {
        match bytes.get(at)? {
            b']' => return Some(at + 1),
            b'[' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::patterns::Rule;

    fn same(regex: &str) {
        let quick = Parser::default().quick(regex);
        assert!(quick.is_none() || quick == whole(regex).ok(), "{regex}");
    }

    #[test]
    fn the_expressions_of_all_packs_are_read_as_ever_and_nearly_all_of_them_fast() {
        let set = crate::patterns::load(&crate::patterns::builtin()).unwrap();
        let mut parser = Parser::default();
        let (mut all, mut fast) = (0, 0);
        let words = |rule: &Rule| [rule.near.clone(), rule.not_near.clone()];
        let words = set.rules.iter().flat_map(words).flatten().map(|near| near.regex);
        let exprs =
            set.rules.iter().flat_map(|rule| rule.exprs.iter().map(|expr| expr.regex.clone()));
        for regex in &exprs.chain(words).collect::<Vec<_>>() {
            let quick = parser.quick(regex);
            (all, fast) = (all + 1, fast + usize::from(quick.is_some()));
            assert!(quick.is_none() || quick == whole(regex).ok(), "{regex}");
        }
        assert!(fast * 10 > all * 9, "{fast} of {all}");
    }

    #[test]
    fn odd_expressions_are_read_as_ever() {
        for regex in [
            "",
            "(?i)",
            "()",
            "(?:)",
            "|",
            "a||b",
            "(a|)",
            "(?i)(?:ß|é)x",
            "a{2}{3}",
            "a{2,1}",
            "a{,3}",
            "a{ 2 }",
            "a{99999999999}",
            "(",
            ")",
            "a)",
            "(?:a",
            "[",
            "[]a]",
            "[^]a]",
            "[a[b]]",
            "[a&&b]",
            r"\",
            r"\x",
            r"\x4",
            r"\x{41}",
            r"\xC3\xA9",
            r"(?i)\x41",
            r"\b{start}a",
            r"\<a",
            r"\1",
            r"\pL",
            r"[\]\x41-\x5A]",
            "a**",
            "a+?",
            "*",
            "a|*",
            "(?P<n>a)",
            "(?-i:a)",
            "(?s).",
            "^a$.",
            r"\.\-\ ",
            "{",
            "}",
            "]",
            "é?",
            "(?i)é{2}",
            "((a)(b))?(c)",
            r"[\",
            "[a",
            "a{1",
            "a{1,2",
            "a{+1}",
            "(?i)a|(?i)b",
            "(?i)(?i)",
            "(?i)(a(?i)b)c",
            "(?i)+",
            "a(?i)b",
            "(?i)a(?i){2}",
        ] {
            same(regex);
        }
        let deep = format!("{}a{}", "(".repeat(300), ")".repeat(300));
        assert_eq!(parse(&deep), whole(&deep));
        assert!(Parser::default().quick(r"(?i)(?:\b|_)(a[il1|]{1,8}\xC3(?:b|c)?)").is_some());
    }

    proptest! {
        #[test]
        fn random_expressions_are_read_as_ever(regex in r"(\(\?i\))?([a-cK1 é.|]|\(\?:|\(|\)|\[[a-c\]^\\-]{0,4}\]|[?*+]|\{[0-3,]{1,3}\}|\\[bBdxn.\[]){0,12}") {
            same(&regex);
        }
    }
}
