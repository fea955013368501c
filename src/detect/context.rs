//! What stands around a hit: words near it, keys above it.
//!
//! Every test is a function of the hit's place in its text. Words are looked for in
//! folded text, the same that phrases are read in; plain ASCII is its own folded text,
//! because the words' expressions are caseless.

use std::collections::HashMap;
use std::sync::Arc;

use regex_automata::Input;

use crate::engine::{Exact, Parser};
use crate::event::{Event, RawSpan};
use crate::patterns::Near;
use crate::text::{View, ViewSpan, fold_word};

/// No phrase separator holds a slash: nothing is found across two keys.
const BETWEEN_KEYS: &str = " / ";

/// Words to look for, compiled.
#[derive(Debug)]
pub(super) struct Words {
    regex: Arc<Exact>,
    before: usize,
    after: usize,
    /// Whether the words decide alone.
    pub(super) need: bool,
}

/// Lists of words, each compiled once however many rules name it.
#[derive(Debug, Default)]
pub(super) struct Lists {
    parser: Parser,
    known: HashMap<String, Arc<Exact>>,
}

impl Lists {
    fn exact(&mut self, regex: &str) -> Result<Arc<Exact>, String> {
        if let Some(exact) = self.known.get(regex) {
            return Ok(Arc::clone(exact));
        }
        let exact = Arc::new(Exact::read_by(&mut self.parser, regex)?);
        self.known.insert(regex.to_owned(), Arc::clone(&exact));
        Ok(exact)
    }
}

/// A hit's text, as the context tests read it.
pub(super) struct Around<'a> {
    /// The raw text.
    pub(super) text: &'a str,
    /// Its folded view, where that differs from reading the raw text without case.
    pub(super) folded: Option<&'a View>,
    /// The hit.
    pub(super) span: RawSpan,
    /// The keys above the value, as words.
    pub(super) keys: &'a str,
}

/// Words are looked for no farther before a hit than this, in raw bytes: any number of invisible
/// characters may stand between a few that show.
pub(super) const BEFORE_MAX: usize = 1024;

impl<'a> Around<'a> {
    /// The text that words are looked for in, and where the hit stands in it.
    fn read(&self) -> (&'a [u8], ViewSpan) {
        if let Some(view) = self.folded {
            return (view.bytes(), view.view_span(self.span));
        }
        let span = ViewSpan { start: self.span.start, end: self.span.end };
        (self.text.as_bytes(), span)
    }

    /// The first place in it that counts.
    fn least(&self) -> usize {
        let at = self.span.start.saturating_sub(BEFORE_MAX);
        self.folded.map_or(at, |view| view.view_span(RawSpan { start: at, end: at }).start)
    }

    /// Whether so many characters behind the hit are there to stay; `sure`: up to there the raw
    /// text reads the same whatever follows.
    pub(super) fn shows(&self, chars: usize, sure: usize) -> bool {
        let (bytes, hit) = self.read();
        let end = match self.folded {
            Some(view) => view.view_span(RawSpan { start: sure, end: sure }).start,
            None => sure,
        };
        // One character more: a word ends before it.
        ahead(bytes, hit.end, chars + 1) < end
    }

    /// The same with no keys but the value's own. Words that speak against a hit say what a
    /// value is (`token_id`), and only its own key does: that a token stands in a `file` or
    /// behind a `host` says nothing.
    pub(super) fn with_own_key(&self) -> Around<'a> {
        let own = self.keys.split(BETWEEN_KEYS).next().unwrap_or_default();
        Around { text: self.text, folded: self.folded, span: self.span, keys: own }
    }
}

impl Words {
    pub(super) fn compile(near: &Near, lists: &mut Lists) -> Result<Self, String> {
        Ok(Self {
            regex: lists.exact(&near.regex)?,
            before: near.before,
            after: near.after,
            need: near.need,
        })
    }

    pub(super) fn automata(&self) -> &Exact {
        &self.regex
    }

    /// Whether one of the words stands near the hit, or among its keys.
    pub(super) fn found(&self, around: &Around<'_>) -> bool {
        if !around.keys.is_empty() && self.regex.is_match(around.keys) {
            return true;
        }
        let (bytes, hit) = around.read();
        // Before and behind are searched apart: the hit's own text is no context.
        let before = back(bytes, hit.start, self.before).max(around.least())..hit.start;
        let after = hit.end..ahead(bytes, hit.end, self.after);
        [before, after]
            .into_iter()
            .any(|range| !range.is_empty() && self.regex.is_match(Input::new(bytes).range(range)))
    }

    /// Characters behind the hit that more text may still show one of the words in; none where
    /// one stands before it.
    pub(super) fn awaits(&self, around: &Around<'_>) -> usize {
        let (bytes, hit) = around.read();
        let before = back(bytes, hit.start, self.before).max(around.least())..hit.start;
        let known = (!around.keys.is_empty() && self.regex.is_match(around.keys))
            || (!before.is_empty() && self.regex.is_match(Input::new(bytes).range(before)));
        if known { 0 } else { self.after }
    }
}

/// The place `chars` characters before `at`.
fn back(bytes: &[u8], at: usize, chars: usize) -> usize {
    let mut left = chars;
    let mut at = at.min(bytes.len());
    while at > 0 && left > 0 {
        at -= 1;
        left -= usize::from(begins_char(bytes[at]));
    }
    at
}

/// The place `chars` characters behind `at`.
fn ahead(bytes: &[u8], at: usize, chars: usize) -> usize {
    let mut left = chars;
    let mut at = at.min(bytes.len());
    while at < bytes.len() && left > 0 {
        at += 1;
        while bytes.get(at).is_some_and(|&byte| !begins_char(byte)) {
            at += 1;
        }
        left -= 1;
    }
    at
}

fn begins_char(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// The names above a value as words: split at case, `_` and `-`, folded, innermost first.
pub(super) fn key_words(event: &Event<'_>, node: u32, into: &mut String) {
    into.clear();
    for key in event.context_keys(node) {
        if !into.is_empty() {
            into.push_str(BETWEEN_KEYS);
        }
        split_key(key, into);
    }
}

/// `userSSN_number` becomes `user ssn number`.
pub(super) fn split_key(key: &str, into: &mut String) {
    let mut word = String::new();
    let mut last: Option<char> = None;
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        let starts_word = c.is_uppercase()
            && last.is_some_and(|last| {
                last.is_lowercase()
                    || last.is_ascii_digit()
                    || (last.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase()))
            });
        if starts_word || matches!(c, '_' | '-') {
            word.push(' ');
        }
        if !matches!(c, '_' | '-') {
            word.push(c);
        }
        last = Some(c);
    }
    into.push_str(&fold_word(&word));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str], before: usize, after: usize) -> Words {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let regex = crate::patterns::phrase::compile_any(&words).unwrap();
        let near = Near { regex, before, after, need: true };
        Words::compile(&near, &mut Lists::default()).unwrap()
    }

    fn found(text: &str, keys: &str) -> bool {
        let start = text.find("123").unwrap();
        let span = RawSpan { start, end: start + 3 };
        let around = Around { text, folded: None, span, keys };
        words(&["social security", "ssn"], 20, 5).found(&around)
    }

    #[test]
    fn words_count_within_their_reach_and_among_keys() {
        assert!(found("My Social Security number is 123", "") || found("SSN: 123", ""));
        assert!(found("123 SSN", ""));
        assert!(!found("SSN of the very first customer: 123", ""));
        assert!(!found("123 the SSN", ""));
        assert!(!found("lessn 123", ""), "inside a word");
        assert!(found("123", "user ssn / profile"));
        assert!(!found("123", "session"));
    }

    #[test]
    fn keys_fall_apart_into_words() {
        for (key, expected) in [
            ("userSSN", "user ssn"),
            ("SSNNumber", "ssn number"),
            ("api_key-2", "api key 2"),
            ("Straße", "strasse"),
            ("plain", "plain"),
        ] {
            let mut out = String::new();
            split_key(key, &mut out);
            assert_eq!(out, expected);
        }
    }
}
