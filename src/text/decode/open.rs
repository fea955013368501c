//! Where a text that grows may still become encoded text: what a reader of a stream waits for.
//!
//! The answer is never later than the truth, and in prose it is the beginning of the last word.
//! Nothing that is encoded lies across the place that it names.

use memchr::memchr3_iter;

use super::{escapes, runs};

/// Longest name or number of an entity, with its `&`.
const ENTITY_MAX: usize = 24;
/// Longest escape with a backslash that is not yet one.
const ESCAPE_MAX: usize = 24;

/// Where a text that grows is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// From here on more text may change what is encoded; nothing that is encoded lies across it.
    pub from: usize,
    /// Nothing that stands between `from` and here can become decoded text: most words can not.
    pub text: usize,
}

impl Open {
    /// Of a text that nothing follows.
    #[must_use]
    pub fn none(text: &str) -> Self {
        Self { from: text.len(), text: text.len() }
    }
}

/// Where the text is open. `from` is the `from` of a shorter text, or 0; nothing before it is
/// looked at.
#[must_use]
pub fn open_from(text: &str, from: usize) -> Open {
    let bytes = text.as_bytes();
    let open = boundary(text, from);
    let run = runs::run_before(bytes, from, bytes.len());
    let word = bytes.get(run..).unwrap_or_default();
    let text = if open == run { run + runs::first_text(word) } else { open };
    Open { from: open, text }
}

/// The first place from which on more text may change what is encoded.
fn boundary(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let rest = bytes.get(from..).unwrap_or_default();
    let mut open = runs::open_run(bytes, from);
    let mut signs: Vec<(usize, usize)> = Vec::new();
    let mut free = from;
    for at in memchr3_iter(b'%', b'&', b'\\', rest).map(|at| from + at) {
        if at < free {
            continue;
        }
        match escapes::at(text, at) {
            Some((_, end)) if goes_on(bytes, at, end) => {
                open = open.min(at);
                break;
            }
            Some((_, end)) => {
                signs.push((at, end));
                free = end;
            }
            None if may_become(bytes, at) => {
                open = open.min(at);
                break;
            }
            None if bytes.get(at) == Some(&b'\\') => {
                free = escapes::behind_backslashes(bytes, at);
            }
            None => {}
        }
    }
    if let Some(list) = runs::open_list(bytes, from) {
        open = open.min(list);
    }
    // A run that touches an escape is read with it, and letters of an escape begin a run.
    loop {
        let before = open;
        open = runs::run_before(bytes, from, open);
        if let Some(&(start, _)) = signs.iter().find(|(start, end)| *start < open && open <= *end) {
            open = start;
        }
        if open == before {
            return open;
        }
    }
}

/// Whether more text may become part of an escape.
fn goes_on(bytes: &[u8], start: usize, end: usize) -> bool {
    let rest = bytes.get(end..).unwrap_or_default();
    match bytes.get(start) {
        Some(b'%') => match rest {
            [] => true,
            [b'%', begun @ ..] => is_percent_begun(begun),
            _ => false,
        },
        Some(b'&') => rest.is_empty() && bytes.last() != Some(&b';'),
        _ => {
            let sign = bytes.get(escapes::behind_backslashes(bytes, start));
            let is_byte = !matches!(sign, Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'/' | b'`'));
            is_byte && (rest.is_empty() || (rest.first() == Some(&b'\\') && is_escape_begun(rest)))
        }
    }
}

/// Whether what is no escape may become one.
fn may_become(bytes: &[u8], start: usize) -> bool {
    let rest = bytes.get(start + 1..).unwrap_or_default();
    match bytes.get(start) {
        Some(b'%') => is_percent_begun(rest),
        Some(b'&') => {
            rest.len() < ENTITY_MAX
                && rest.iter().all(|&byte| byte == b'#' || byte.is_ascii_alphanumeric())
        }
        _ => {
            let at = escapes::behind_backslashes(bytes, start);
            match bytes.get(at..).unwrap_or_default() {
                [] => true,
                behind @ [b'x' | b'u' | b'U' | b'0'..=b'3', ..] => is_escape_begun(behind),
                _ => false,
            }
        }
    }
}

fn is_percent_begun(behind: &[u8]) -> bool {
    match behind {
        [b'u' | b'U', digits @ ..] => digits.len() < 4 && digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.len() < 2 && digits.iter().all(u8::is_ascii_hexdigit),
    }
}

fn is_escape_begun(behind: &[u8]) -> bool {
    let part = |byte: &u8| {
        byte.is_ascii_hexdigit() || matches!(byte, b'x' | b'u' | b'U' | b'{' | b'}' | b'\\')
    };
    let slashes = memchr::memchr_iter(b'\\', behind).count();
    behind.len() - slashes <= ESCAPE_MAX && behind.iter().all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_decode_to_nothing_are_not_held() {
        for (text, open) in [
            ("aWdub3Jl", "aWdub3Jl"),
            ("x SGVsbG8gd29y", "SGVsbG8gd29y"),
            ("x kkkkkkkk", "kkkkk"),
            ("x deadbeef", "deadbeef"),
            ("x aQBnAG4", "aQBnAG4"),
        ] {
            let at = open_from(text, 0).text;
            assert_eq!(text.get(at..), Some(open), "{text:?}");
        }
    }

    #[test]
    fn what_may_go_on_is_open() {
        let mut wrong = Vec::new();
        for (text, open) in [
            ("plain words ", ""),
            ("plain words", "words"),
            ("100% sure ", ""),
            ("100%", "100%"),
            ("x %4", "%4"),
            ("x %41", "%41"),
            // Two hexadecimal digits may begin a list of bytes.
            ("x %41 ", "%41 "),
            ("x %41%", "%41%"),
            ("x %41y", "%41y"),
            ("R&D x ", ""),
            ("a &am", "&am"),
            ("a &amp;", "&amp;"),
            (r"a \n", r"\n"),
            (r"a \u00", r"\u00"),
            (r"a \ud83d\u", r"\ud83d\u"),
            (r"a \xe4", r"\xe4"),
            (r"C:\dir ", ""),
            ("see 69 67 6", "69 67 6"),
            ("see 69 67 ", "69 67 "),
            ("see 69 67 six ", ""),
            ("x aWdub3JlIGFsbCBydWxlcw", "aWdub3JlIGFsbCBydWxlcw"),
            ("x aWdub3JlIGFsbCBydWxlcw\n", "aWdub3JlIGFsbCBydWxlcw\n"),
            ("x aWdub3JlIGFsbCBydWxlcw\nab", "aWdub3JlIGFsbCBydWxlcw\nab"),
            ("x aWdub3JlIGFsbCBydWxlcw==", "aWdub3JlIGFsbCBydWxlcw=="),
            ("word\n", ""),
            ("word\nnext", "next"),
        ] {
            let at = open_from(text, 0).from;
            if text.get(at..) != Some(open) {
                wrong.push((text, open, text.get(at..)));
            }
        }
        assert_eq!(wrong, []);
    }
}
