//! What a match is worth: validator, entropy, context, mention, allow list, in this order.
//!
//! Each step may drop the hit or move its confidence by one step; a checksum that holds
//! ends all doubt, and only then does context no longer matter.

use super::context::{Around, Lists, Words};
use super::mention::{RIGHT, Reader};
use crate::engine::Exact;
use crate::event::Carrier;
use crate::finding::{Confidence, Family, Mention};
use crate::patterns::{Class, Rule};
use crate::text::{is_compat_digit_or_space, joins_words};
use crate::validate::{Check, Validator};

/// A rule's tests, compiled.
#[derive(Debug)]
pub(super) struct Confirm {
    base: Confidence,
    phrase: bool,
    /// Read through characters that are digits only by compatibility.
    reads_compat: bool,
    speech: Speech,
    validator: Option<Validator>,
    entropy: Option<f64>,
    near: Option<Words>,
    not_near: Option<Words>,
    allow: Option<Exact>,
}

/// Whether a rule's hits are things said, which may also be spoken about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Speech {
    /// A value: a key, a number, an address. It is one wherever it stands.
    None,
    /// Words.
    Words,
    /// An order to the model; weighs more in text that nobody present has written.
    Order,
    /// An order that gives the model a character, as fiction does too.
    Persona,
}

impl Speech {
    fn of(rule: &Rule) -> Self {
        match (rule.source.family, rule.source.kind.as_str()) {
            (Family::Injection, "injection.jailbreak" | "injection.roleplay") => Self::Persona,
            (Family::Injection, _) => Self::Order,
            (Family::Claims | Family::Lists, _) => Self::Words,
            _ => Self::None,
        }
    }
}

/// A match, as the tests see it.
pub(super) struct Hit<'a> {
    /// The bytes that were scanned.
    pub(super) bytes: &'a [u8],
    /// Where in them the value stands.
    pub(super) value: std::ops::Range<usize>,
    /// Who speaks.
    pub(super) carrier: Carrier,
    /// The raw text and what is above it.
    pub(super) around: Around<'a>,
}

impl Confirm {
    pub(super) fn compile(rule: &Rule, lists: &mut Lists) -> Result<Self, String> {
        let mut words =
            |near: &Option<_>| near.as_ref().map(|near| Words::compile(near, lists)).transpose();
        let allow = if rule.allow.is_empty() {
            None
        } else {
            let all: Vec<&str> = rule.allow.iter().map(|allow| allow.regex.as_str()).collect();
            Some(Exact::read(&format!(r"\A(?:{})\z", all.join("|")))?)
        };
        Ok(Self {
            base: rule.confidence,
            phrase: rule.class == Class::Phrase,
            reads_compat: rule.source.family != Family::Pii,
            speech: Speech::of(rule),
            validator: rule.validator,
            entropy: rule.entropy,
            near: words(&rule.near)?,
            not_near: words(&rule.not_near)?,
            allow,
        })
    }

    /// Makes what is otherwise made when a hit first asks for it.
    pub(super) fn warm(&self) -> Result<(), String> {
        let words = [&self.near, &self.not_near].into_iter().flatten().map(Words::automata);
        let mut all = words.chain(&self.allow);
        all.try_for_each(|one| one.get().map(drop)).map_err(str::to_owned)
    }

    /// Whether words near a hit make it surer.
    pub(super) fn wants_context(&self) -> bool {
        self.near.is_some()
    }

    /// How much of the text behind a hit may still change what the hit is worth: characters that
    /// words are looked for in, and bytes that a mention is.
    pub(super) fn awaits(&self, hit: &Hit<'_>) -> (usize, usize) {
        let Some(value) = hit.bytes.get(hit.value.clone()) else { return (0, 0) };
        let invalid = self.validator.is_some_and(|check| check(value) == Check::Invalid);
        let plain = self.entropy.is_some_and(|least| entropy(value) < least);
        if invalid || plain || (!self.reads_compat && is_compat(hit)) {
            return (0, 0);
        }
        let near = self.near.as_ref().map_or(0, |words| words.awaits(&hit.around));
        let not_near =
            self.not_near.as_ref().map_or(0, |words| words.awaits(&hit.around.with_own_key()));
        let speaks = matches!(hit.carrier, Carrier::System | Carrier::User | Carrier::Assistant);
        let mention = if speaks && self.speech > Speech::None { RIGHT } else { 0 };
        (near.max(not_near), mention)
    }

    /// The confidence that is left, and whether the hit is only mentioned; or nothing.
    pub(super) fn confirm(
        &self,
        hit: &Hit<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<(Confidence, Option<Mention>)> {
        let value = hit.bytes.get(hit.value.clone())?;
        if self.phrase && !at_word_edges(hit.bytes, &hit.value) {
            return None;
        }
        if !self.reads_compat && is_compat(hit) {
            return None;
        }
        let mut confidence = self.base;
        match self.validator.map_or(Check::Unknown, |validator| validator(value)) {
            Check::Valid => confidence = Confidence::High,
            Check::Invalid => return None,
            Check::Plausible | Check::Unknown => {}
        }
        if self.entropy.is_some_and(|least| entropy(value) < least) {
            return None;
        }
        if let Some(near) = &self.near {
            match near.found(&hit.around) {
                true if !near.need => confidence = confidence.raised(),
                false if near.need => return None,
                _ => {}
            }
        }
        if let Some(not_near) = &self.not_near
            && not_near.found(&hit.around.with_own_key())
        {
            if not_near.need {
                return None;
            }
            confidence = confidence.lowered();
        }
        let mut mention = None;
        match hit.carrier {
            // What a tool or a document says to the model was not asked for. A hit that was
            // in doubt before stays so: pages and logs use the same words.
            Carrier::ToolResult | Carrier::Retrieved => {
                if self.speech >= Speech::Order && confidence == Confidence::Medium {
                    confidence = confidence.raised();
                }
            }
            Carrier::ToolCall => {}
            Carrier::System | Carrier::User | Carrier::Assistant => {
                if self.speech > Speech::None && confidence > Confidence::Low {
                    mention = reader.mention(hit.around.span, self.speech == Speech::Persona);
                }
                if mention.is_some() {
                    confidence = confidence.lowered();
                }
            }
        }
        if self.allow.as_ref().is_some_and(|allow| allow.is_match(value)) {
            return None;
        }
        Some((confidence, mention))
    }
}

/// Whether no word goes on beyond the ends of the value. The expression sees to ASCII; a
/// letter beyond ASCII, or next to one, is seen to here.
fn at_word_edges(bytes: &[u8], value: &std::ops::Range<usize>) -> bool {
    let joins = |c: Option<char>| c.is_some_and(joins_words);
    let (before, inside_and_after) = bytes.split_at(value.start.min(bytes.len()));
    let (inside, after) = inside_and_after.split_at(value.len().min(inside_and_after.len()));
    let goes_on = |left: &[u8], right: &[u8]| joins(last_char(left)) && joins(first_char(right));
    !goes_on(before, inside) && !goes_on(inside, after)
}

fn first_char(bytes: &[u8]) -> Option<char> {
    match bytes.first()? {
        byte if byte.is_ascii() => Some(char::from(*byte)),
        _ => bytes.get(..bytes.len().min(4))?.utf8_chunks().next()?.valid().chars().next(),
    }
}

fn last_char(bytes: &[u8]) -> Option<char> {
    let mut start = bytes.len().checked_sub(1)?;
    while start > 0 && bytes.len() - start < 4 && bytes[start] & 0xC0 == 0x80 {
        start -= 1;
    }
    first_char(&bytes[start..])
}

/// Whether the raw text shows digits or spaces that are such only by compatibility.
fn is_compat(hit: &Hit<'_>) -> bool {
    let span = hit.around.span;
    hit.around
        .text
        .get(span.start..span.end)
        .is_some_and(|raw| !raw.is_ascii() && raw.chars().any(is_compat_digit_or_space))
}

/// Shannon entropy in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_the_bytes() {
        assert!(entropy(b"aaaa").abs() < 1e-9);
        assert!((entropy(b"abab") - 1.0).abs() < 1e-9);
        assert!((entropy(b"abcdefgh") - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_word_does_not_end_inside_another() {
        let edges = |text: &str, word: &str| {
            let start = text.find(word).unwrap();
            at_word_edges(text.as_bytes(), &(start..start + word.len()))
        };
        assert!(edges("a word b", "word"));
        assert!(edges("(word)", "word"));
        assert!(edges("请忽略它", "忽略"));
        assert!(!edges("swordи", "sword"));
        assert!(!edges("иword", "word"));
        assert!(!edges("подслово", "слово"));
        assert!(edges("█слово█", "слово"));
    }
}
