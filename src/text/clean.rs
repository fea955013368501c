//! The `clean` view: invisible characters out, NFKC, look-alikes to ASCII; case and digits kept.
//!
//! Characters that compose are normalised together: a letter with the marks behind it is
//! one unit. Units are short, so the view needs no look-ahead beyond the marks of one letter.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::chars::{is_barrier, is_removed};
use super::confusables::look_alike;
use super::{BRIDGED_MAX_CHARS, View};
use crate::event::RawSpan;

/// A letter with more marks than this is cut into several units.
const UNIT_MAX_CHARS: usize = 32;

/// Builds the view of `text` into `view`.
pub fn clean_into(view: &mut View, text: &str) {
    view.clear();
    let mut chars = text.char_indices().peekable();
    let mut removed = 0;
    let mut unit = String::new();
    let mut out = String::new();
    while let Some((start, c)) = chars.next() {
        // A stretch of printable ASCII goes over whole, but for its last character: marks may follow.
        let stretch = if c.is_ascii() {
            let bytes = text.as_bytes().get(start..).unwrap_or_default();
            bytes.iter().take_while(|byte| matches!(byte, b' '..=b'~')).count()
        } else {
            0
        };
        if stretch > 1 {
            removed = 0;
            view.push_linear(&text.as_bytes()[start..start + stretch - 1], start);
            if stretch > 2 {
                chars.nth(stretch - 3);
            }
            continue;
        }
        let len = c.len_utf8();
        if is_removed(c) {
            removed += 1;
            let run_ends = chars.peek().is_none_or(|&(_, next)| !is_removed(next));
            if run_ends && removed > BRIDGED_MAX_CHARS {
                view.push_linear(c.encode_utf8(&mut [0; 4]).as_bytes(), start);
            }
            continue;
        }
        removed = 0;
        let marked = chars.peek().is_some_and(|&(_, next)| extends_unit(next) || is_removed(next));
        if (c.is_ascii() || is_barrier(c) || is_plain(c)) && !marked {
            view.push_linear(c.encode_utf8(&mut [0; 4]).as_bytes(), start);
            continue;
        }
        unit.clear();
        unit.push(c);
        let mut end = start + len;
        let mut ahead = chars.clone();
        let mut taken = 1;
        let mut skipped = 0;
        // Invisible characters between a letter and its marks do not part them.
        while let Some((at, next)) = ahead.next() {
            if extends_unit(next) && taken < UNIT_MAX_CHARS {
                unit.push(next);
                taken += 1;
                skipped = 0;
                end = at + next.len_utf8();
                chars = ahead.clone();
            } else if is_removed(next) && skipped < BRIDGED_MAX_CHARS {
                skipped += 1;
            } else {
                break;
            }
        }
        out.clear();
        for c in unit.nfkc().filter(|&c| !is_removed(c)) {
            out.push(look_alike(c).unwrap_or(c));
        }
        // What reads as it is written has its own places, whatever else the text holds.
        if text.get(start..end) == Some(&out) {
            view.push_linear(out.as_bytes(), start);
        } else {
            view.push_unit(out.as_bytes(), RawSpan { start, end });
        }
    }
}

/// Whether a character composes with the one before it.
fn extends_unit(c: char) -> bool {
    !c.is_ascii()
        && (is_combining_mark(c) || matches!(c, '\u{1161}'..='\u{11FF}' | '\u{FF9E}' | '\u{FF9F}'))
        && !is_removed(c)
}

/// Han and kana, which nothing changes; spares the common case the normaliser.
fn is_plain(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::ViewSpan;

    fn clean(text: &str) -> String {
        let mut view = View::default();
        clean_into(&mut view, text);
        String::from_utf8(view.bytes().to_vec()).unwrap()
    }

    #[test]
    fn text_is_normalised_and_keeps_case_and_digits() {
        for (raw, expected) in [
            ("plain ASCII 1lO0", "plain ASCII 1lO0"),
            ("gh\u{200B}p_\u{2060}AB", "ghp_AB"),
            ("ＡＫＩＡ０１", "AKIA01"),
            ("АКІА", "AKIA"),
            ("e\u{301}", "é"),
            ("\u{1112}\u{1161}\u{11AB}", "한"),
            ("\u{FB03}", "ffi"),
            ("a\u{E0041}b", "ab"),
            ("█ and …", "█ and …"),
            ("e\u{200B}\u{301}", "é"),
        ] {
            assert_eq!(clean(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn long_removed_runs_are_not_bridged() {
        let run = |n: usize| format!("a{}b", "\u{200B}".repeat(n));
        assert_eq!(clean(&run(64)), "ab");
        assert_eq!(clean(&run(65)), "a\u{200B}b");
    }

    #[test]
    fn removed_characters_inside_a_hit_are_inside_its_span() {
        let raw = "x s\u{200B}k\u{FEFF}-1\u{200B} y";
        let mut view = View::default();
        clean_into(&mut view, raw);
        assert_eq!(view.bytes(), b"x sk-1 y");
        let span = view.raw_span(ViewSpan { start: 2, end: 6 }, raw).unwrap();
        assert_eq!(raw.get(span.start..span.end), Some("s\u{200B}k\u{FEFF}-1"));
    }
}
