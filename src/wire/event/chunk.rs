//! The text of an `output_chunk`: which of the listed strings it is, and characters cut in two.
//!
//! A sender that cuts text by UTF-16 code units writes the two halves of a character as two
//! escapes, one at the end of a chunk and one at the beginning of the next. JSON can say that,
//! text cannot: each half reads as U+FFFD, and the halves are kept beside the text so that who
//! joins the chunks can make the character of them.

use super::places::{Found, Place, Places};
use crate::event::{Event, Halves, Kind};
use crate::wire::json::Tape;

/// Says which string is the chunk's text.
pub(super) fn find_text(tape: &Tape<'_>, places: &Places<'_>, event: &mut Event<'_>) {
    let (Kind::OutputChunk, Some(stream)) = (event.kind, &mut event.stream) else { return };
    let Found::Token(token) = places.get(Place::Text) else { return };
    let Some(start) = tape.get(token).map(|token| token.start as usize) else { return };
    let at = event.fields.iter().position(|field| field.token.start == start);
    stream.text = at.map(|at| at as u32);
    if let Some(field) = at.and_then(|at| event.fields.get(at)) {
        stream.halves = halves(&field.text, tape.written(token));
    }
}

/// `written` may stand in quotation marks.
fn halves(text: &str, written: &str) -> Halves {
    let content = written.strip_prefix('"').unwrap_or(written);
    let content = content.strip_suffix('"').unwrap_or(content);
    let lone = char::REPLACEMENT_CHARACTER;
    let unit = |escape: Option<&str>| {
        let digits = escape?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(content.get(..6)).filter(|unit| (0xDC00..=0xDFFF).contains(unit));
    let last = content.len().checked_sub(6).and_then(|at| unit(content.get(at..)));
    let last = last.filter(|unit| (0xD800..=0xDBFF).contains(unit));
    Halves {
        low: first.filter(|_| text.starts_with(lone)),
        high: last.filter(|_| text.ends_with(lone)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::unescape;

    #[test]
    fn halves_are_known_by_their_escapes_alone() {
        let of = |content: &str| halves(&unescape(content), &format!("\"{content}\""));
        assert_eq!(of("a\\ud83d"), Halves { low: None, high: Some(0xD83D) });
        assert_eq!(of("\\uDE00 b"), Halves { low: Some(0xDE00), high: None });
        assert_eq!(of("\\ud83d\\ude00"), Halves::default());
        assert_eq!(of("\\\\ud83d"), Halves::default());
        assert_eq!(of("\u{fffd}"), Halves::default());
        assert_eq!(of("\\ude00"), Halves { low: Some(0xDE00), high: None });
        assert_eq!(of("\\ude00\\ud83d"), Halves { low: Some(0xDE00), high: Some(0xD83D) });
        assert_eq!(of(""), Halves::default());
    }
}
