//! One cheap pass that says which views a text needs.
//!
//! Chat text is mostly plain ASCII, which is its own clean view and, read without case,
//! its own folded view. The survey finds what breaks that: non-ASCII, control
//! characters, digits inside words, letters set apart, escapes and long runs.

use super::decode::is_coded;
use super::hidden::may_hide;

/// What a text holds that its raw bytes do not show to the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Survey {
    /// Not ASCII throughout, or with control characters in it.
    pub odd: bool,
    /// A letter, up to three digits or letter-like signs, and a letter again.
    pub leet: bool,
    /// Four or more single letters in a row.
    pub spaced: bool,
    /// There may be other texts in it: encoded, or of characters that show nothing.
    pub coded: bool,
}

impl Survey {
    /// Whether the folded view reads otherwise than the raw bytes without case.
    #[must_use]
    pub fn needs_folded(self) -> bool {
        self.odd || self.leet || self.spaced
    }
}

const OTHER: u32 = 0;
const LETTER: u32 = 1;
const DIGIT: u32 = 2;
const GAP: u32 = 3;

const CLASSES: [u8; 256] = {
    let mut table = [OTHER as u8; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER as u8,
            b'0'..=b'9' | b'@' | b'$' | b'|' => DIGIT as u8,
            b' ' | b'.' | b'-' | b'_' | b'*' | b',' | b'/' | b'\t' => GAP as u8,
            _ => OTHER as u8,
        };
        at += 1;
    }
    table
};

/// The classes of the last bytes, two bits each, newest lowest.
const fn window(classes: &[u32]) -> u32 {
    let mut out = 0;
    let mut at = 0;
    while at < classes.len() {
        out = out << 2 | classes[at];
        at += 1;
    }
    out
}

const LEET_1: u32 = window(&[LETTER, DIGIT, LETTER]);
const LEET_2: u32 = window(&[LETTER, DIGIT, DIGIT, LETTER]);
const LEET_3: u32 = window(&[LETTER, DIGIT, DIGIT, DIGIT, LETTER]);
const SPACED: u32 = window(&[LETTER, GAP, LETTER, GAP, LETTER, GAP, LETTER]);

/// Surveys a text.
#[must_use]
pub fn survey(text: &str) -> Survey {
    let bytes = text.as_bytes();
    let mut out = Survey { odd: !bytes.is_ascii() || has_control(bytes), ..Survey::default() };
    out.coded = is_coded(text) || (!text.is_ascii() && may_hide(text));
    if out.odd {
        return out;
    }
    if !may_be_disguised(bytes) {
        return out;
    }
    let mut seen = 0_u32;
    for &byte in bytes {
        seen = seen << 2 | u32::from(CLASSES[usize::from(byte)]);
        if seen & 3 != LETTER {
            continue;
        }
        if seen & 0x3F == LEET_1 || seen & 0xFF == LEET_2 || seen & 0x3FF == LEET_3 {
            out.leet = true;
        }
        if seen & 0x3FFF == SPACED && seen >> 14 & 3 != LETTER {
            out.spaced = true;
        }
        if out.leet && out.spaced {
            break;
        }
    }
    out
}

/// Whether a view of the text may read otherwise than its raw bytes, also where digits are read as
/// letters at the edges of words.
#[must_use]
pub fn may_differ(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_ascii() || has_control(bytes) || may_be_disguised(bytes) || begins_leet(bytes)
}

/// Whether a digit that may stand for a letter has a letter within three places behind it.
fn begins_leet(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| {
        matches!(pair, [b'0'..=b'9' | b'@' | b'$' | b'|', next] if next.is_ascii_alphabetic())
    })
}

/// A test of few instructions a byte: does a sign that may stand for a letter follow one, or do
/// four letters stand each by itself? Both loops look at neighbours only and never stop early,
/// so that many bytes go at a time.
pub(super) fn may_be_disguised(bytes: &[u8]) -> bool {
    let letter = |byte: u8| (byte | 0x20).wrapping_sub(b'a') < 26;
    let sign = |byte: u8| byte.wrapping_sub(b'0') < 10 || matches!(byte, b'@' | b'$' | b'|');
    let behind = |by: usize| bytes.get(by..).unwrap_or_default();
    let mut found = false;
    for (&a, &b) in bytes.iter().zip(behind(1)) {
        found |= letter(a) & sign(b);
    }
    let pairs = |by: usize| behind(by).iter().zip(behind(by + 1));
    for (((a, b), (c, d)), ((e, f), g)) in pairs(0).zip(pairs(2)).zip(pairs(4).zip(behind(6))) {
        found |= letter(*a)
            & letter(*c)
            & letter(*e)
            & letter(*g)
            & !letter(*b)
            & !letter(*d)
            & !letter(*f);
    }
    found
}

fn has_control(bytes: &[u8]) -> bool {
    // Without early exit, so that many bytes go at a time.
    let control = |byte: u8| byte < 0x20 || byte == 0x7F;
    let space = |byte: u8| byte.wrapping_sub(0x09) < 5;
    bytes.iter().fold(false, |found, &byte| found | (control(byte) & !space(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_needs_no_view() {
        for text in
            ["", "Hello, world.", "In 2024 we shipped v2 and 3rd tests\n\tthen A B C.", "F-16"]
        {
            assert_eq!(survey(text), Survey::default(), "{text:?}");
        }
    }

    #[test]
    fn oddities_are_seen() {
        assert!(survey("caf\u{E9}").odd);
        assert!(survey("a\0b").odd);
        assert!(survey("1gn0re").leet);
        assert!(survey("pr3v10us").leet);
        assert!(survey("say i g n o r e now").spaced);
        assert!(survey("i.g.n.o").spaced);
        assert!(survey("a%20b").coded);
        assert!(survey("a\u{E0041}b").coded);
    }
}
