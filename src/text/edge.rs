//! Where the views of a text that grows are no longer sure.
//!
//! A mark changes the letter before it, a letter the digit before it, and a fourth single letter
//! makes a word of three others. All of that is near the end of the text.

use unicode_normalization::char::is_combining_mark;

use super::chars::is_removed;
use super::folded::{BESIDE_MAX, JOINED_MIN, is_gap, is_leet, is_letter, is_word};

/// So far back rows of single letters are followed.
const ROW_MAX_CHARS: usize = 512;

/// The first place from which on a view may read otherwise when more text follows; the text's
/// length if there is none. Nothing before `from` is looked for.
#[must_use]
pub fn edge(text: &str, from: usize) -> usize {
    let from = text.floor_char_boundary(from);
    let tail = text.get(from..).unwrap_or_default();
    let bytes = tail.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase();
    // Inside a word, as most often.
    if let [.., a, b, c, d, e, f, g, h] = bytes
        && [a, b, c, d, e, f, g, h].into_iter().all(plain)
    {
        return text.len();
    }
    from + unsure(tail).min(digits(tail)).min(row(tail))
}

/// A letter whose marks may be still to come, with what is removed behind it.
fn unsure(tail: &str) -> usize {
    let mut at = tail.len();
    let mut chars = tail.char_indices().rev();
    let mut joins = false;
    for (start, c) in chars.by_ref() {
        let extends = !c.is_ascii() && (is_combining_mark(c) || is_joining(c));
        if !(extends || is_removed(c)) {
            if joins || !c.is_ascii() || matches!(c, '<' | '>' | '=') {
                at = start;
            }
            break;
        }
        joins = true;
        at = start;
    }
    at
}

/// Parts of syllables and marks of kana.
fn is_joining(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{FF9E}' | '\u{FF9F}')
}

/// Digits that a letter would make letters.
fn digits(tail: &str) -> usize {
    let row = tail.char_indices().rev().take_while(|&(_, c)| is_leet(c)).take(4);
    row.last().map_or(tail.len(), |(at, _)| at)
}

/// A row of single letters that may go on, or one that a longer row beside it would join.
fn row(tail: &str) -> usize {
    let shown = || tail.char_indices().rev().filter(|&(_, c)| !is_removed(c));
    let mut near = [' '; BESIDE_MAX + 6];
    near.iter_mut().zip(shown()).for_each(|(near, (_, c))| *near = c);
    let is_single = |three: &[char]| matches!(three, [a, b, c] if !a.is_alphanumeric() && b.is_alphabetic() && !c.is_alphanumeric());
    let at_end = near[0].is_alphabetic() && !near[1].is_alphanumeric();
    if !at_end && !near.windows(3).any(is_single) {
        return tail.len();
    }
    // The characters from the end.
    let last: Vec<(usize, char)> = shown().take(ROW_MAX_CHARS).collect();
    let at = |back: usize| last.get(back).map(|&(_, c)| c);
    let letter = |back: usize| at(back).is_some_and(|c| is_letter(c.to_ascii_lowercase()));
    let word = |back: usize| at(back).is_some_and(|c| is_word(c.to_ascii_lowercase()));
    let gap = |back: usize| at(back).is_some_and(is_gap_of);
    // The row that ends at a single letter: letters, and how far back its first stands.
    let row_at = |last: usize| {
        let (mut first, mut letters) = (last, 1);
        while gap(first + 1) && letter(first + 2) && !word(first + 3) {
            first += 2;
            letters += 1;
        }
        (first, letters)
    };
    let single = |back: usize| letter(back) && !word(back + 1) && (back == 0 || !word(back - 1));
    let mut open = None;
    let mut free = 0;
    for begin in 0..2 {
        // At the very end, or before one gap.
        if (begin == 0 || gap(0)) && single(begin) {
            let (first, _) = row_at(begin);
            (open, free) = (Some(first), first + 1);
            break;
        }
    }
    for beside in free..=free + BESIDE_MAX {
        if single(beside) {
            let (first, letters) = row_at(beside);
            // A longer one is a word whatever follows, and joins those before it.
            if (2..JOINED_MIN).contains(&letters) {
                open = Some(first);
            }
            break;
        }
    }
    open.and_then(|back| last.get(back)).map_or(tail.len(), |&(at, _)| at)
}

/// A gap as the folded view knows it: signs of other scripts are folded to these.
fn is_gap_of(c: char) -> bool {
    is_gap(c) || (!c.is_ascii() && !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_unsure() {
        for (text, open) in [
            ("plain words", ""),
            ("plain words ", ""),
            ("caf\u{E9}", "\u{E9}"),
            ("caf\u{E9} ", ""),
            ("cafe\u{301}", "e\u{301}"),
            ("x\u{200B}", "x\u{200B}"),
            ("a<", "<"),
            ("in 24", "4"),
            ("so I", "I"),
            ("so I ", "I "),
            ("so I a", "I a"),
            ("so I am", ""),
            ("say i g n o r", "i g n o r"),
            ("say a n y  ", "a n y  "),
            ("say a n y the rest of it", ""),
        ] {
            let at = edge(text, 0);
            assert_eq!(text.get(at..), Some(open), "{text:?}");
        }
    }
}
