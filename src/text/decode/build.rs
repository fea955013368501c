//! From encoded stretches to a window: text, map and parts.

use super::escapes::{self, Sign};
use super::runs::{byte_of, push_group, sextet, unit};
use super::{CONTEXT, Decoded, Decoder, Item, Part};
use crate::event::RawSpan;
use crate::text::map::Grid;
use crate::text::{View, ViewSpan};

/// Reads the items and the plain text between and around them.
pub(super) fn window(text: &str, items: &[Item]) -> Decoded {
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return Decoded::default();
    };
    let coded = RawSpan { start: first.raw.start, end: last.raw.end };
    let start = text.floor_char_boundary(first.raw.start.saturating_sub(CONTEXT));
    let end = text.ceil_char_boundary(last.raw.end.saturating_add(CONTEXT).min(text.len()));
    let mut out = Decoded { window: RawSpan { start, end }, coded, ..Decoded::default() };
    let mut at = start;
    let mut behind_percent = false;
    for item in items {
        let percent = item.decoder == Some(Decoder::Percent);
        plain(
            &mut out,
            text,
            RawSpan { start: at, end: item.raw.start },
            (behind_percent, percent),
        );
        let view = out.view.bytes().len();
        match item.decoder {
            None => {
                let bytes = text.as_bytes().get(item.raw.start..item.raw.end);
                out.view.push_linear(bytes.unwrap_or_default(), item.raw.start);
            }
            Some(Decoder::Base64 | Decoder::Base64Url) => base64(&mut out.view, text, item),
            Some(Decoder::Base64Utf16) => utf16(&mut out.view, &base64_bytes(text, item), item),
            Some(Decoder::HexUtf16) => utf16(&mut out.view, &hex_bytes(text, item), item),
            Some(Decoder::Hex) => hex(&mut out.view, text, item),
            Some(decoder) => escape(&mut out.view, text, (item.raw, decoder)),
        }
        if let Some(decoder) = item.decoder {
            let view = ViewSpan { start: view, end: out.view.bytes().len() };
            out.push_part(Part { view, run: item.run, decoder });
        }
        at = item.raw.end;
        behind_percent = percent;
    }
    plain(&mut out, text, RawSpan { start: at, end }, (behind_percent, false));
    out
}

/// Text as it is, but for the plus signs of words that begin or end in a percent escape:
/// they stand for spaces there.
fn plain(out: &mut Decoded, text: &str, span: RawSpan, (head, tail): (bool, bool)) {
    let bytes = text.as_bytes().get(span.start..span.end).unwrap_or_default();
    if !(head || tail) || !bytes.contains(&b'+') {
        return out.view.push_linear(bytes, span.start);
    }
    let first_space = bytes.iter().position(u8::is_ascii_whitespace);
    let last_space = bytes.iter().rposition(u8::is_ascii_whitespace);
    let mut done = 0;
    for at in memchr::memchr_iter(b'+', bytes) {
        let in_head = head && first_space.is_none_or(|space| at < space);
        let in_tail = tail && last_space.is_none_or(|space| at > space);
        if !(in_head || in_tail) {
            continue;
        }
        out.view.push_linear(bytes.get(done..at).unwrap_or_default(), span.start + done);
        let view = out.view.bytes().len();
        let raw = RawSpan { start: span.start + at, end: span.start + at + 1 };
        out.view.push_unit(b" ", raw);
        let view = ViewSpan { start: view, end: view + 1 };
        out.push_part(Part { view, run: raw, decoder: Decoder::Percent });
        done = at + 1;
    }
    out.view.push_linear(bytes.get(done..).unwrap_or_default(), span.start + done);
}

/// The characters of an escape. Bytes make characters together; a byte that makes none of
/// UTF-8 is read as Latin-1 where it is written `\xE9`, and as unknown where it is `%E9`.
fn escape(view: &mut View, text: &str, (raw, decoder): (RawSpan, Decoder)) {
    let mut at = raw.start;
    let mut bytes: Vec<(u8, RawSpan)> = Vec::new();
    escapes::read(text, raw.start, |sign, end| {
        let span = RawSpan { start: at, end };
        at = end;
        match sign {
            Sign::Byte(byte) if byte.is_ascii() && bytes.is_empty() => {
                view.push_grid(&[byte], span, Grid { view: 1, raw: span.len() });
            }
            Sign::Byte(byte) => bytes.push((byte, span)),
            Sign::Char(c) => {
                characters(view, &mut bytes, decoder);
                view.push_unit(c.encode_utf8(&mut [0; 4]).as_bytes(), span);
            }
        }
    });
    characters(view, &mut bytes, decoder);
}

fn characters(view: &mut View, signs: &mut Vec<(u8, RawSpan)>, decoder: Decoder) {
    let bytes: Vec<u8> = signs.iter().map(|(byte, _)| *byte).collect();
    let place = |at: usize, len: usize| RawSpan {
        start: signs.get(at).map_or(0, |(_, span)| span.start),
        end: signs.get(at + len - 1).map_or(0, |(_, span)| span.end),
    };
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let raw = place(at, c.len_utf8());
            view.push_unit(c.encode_utf8(&mut [0; 4]).as_bytes(), raw);
            at += c.len_utf8();
        }
        for &byte in chunk.invalid() {
            let c = if decoder == Decoder::Escape { char::from(byte) } else { '\u{FFFD}' };
            view.push_unit(c.encode_utf8(&mut [0; 4]).as_bytes(), place(at, 1));
            at += 1;
        }
    }
    signs.clear();
}

/// The groups of a base64 item, each with where it stands; white space between is skipped.
fn groups(text: &str, item: &Item, mut each: impl FnMut(&[u8], RawSpan)) {
    let raw = text.as_bytes().get(item.raw.start..item.raw.end).unwrap_or_default();
    let mut group = [0; 4];
    let mut taken = 0;
    let mut span = RawSpan { start: item.raw.start, end: item.raw.start };
    for (at, &byte) in (item.raw.start..).zip(raw) {
        let Some(value) = sextet(byte) else { continue };
        if taken == 0 {
            span.start = at;
        }
        group[taken] = value;
        taken += 1;
        span.end = at + 1;
        if taken == 4 {
            each(&group, span);
            taken = 0;
        }
    }
    if taken > 0 {
        span.end = item.raw.end;
        each(group.get(..taken).unwrap_or_default(), span);
    }
}

fn base64(view: &mut View, text: &str, item: &Item) {
    let mut left = item.keep;
    let mut skip = item.skip;
    let mut bytes = Vec::with_capacity(3);
    groups(text, item, |group, span| {
        bytes.clear();
        push_group(group, &mut bytes);
        let kept = bytes.get(skip..).unwrap_or_default();
        let kept = kept.get(..left).unwrap_or(kept);
        if skip == 0 && (span.len() == 4 || group.len() < 4) {
            view.push_grid(kept, span, Grid { view: 3, raw: 4 });
        } else {
            view.push_unit(kept, span);
        }
        left -= kept.len();
        skip = 0;
    });
}

/// Digits, with or without anything between the pairs.
fn hex(view: &mut View, text: &str, item: &Item) {
    for (byte, span) in hex_bytes(text, item) {
        if byte.is_ascii() {
            view.push_grid(&[byte], span, Grid { view: 1, raw: span.len() });
        } else {
            view.push_unit(&[byte], span);
        }
    }
}

/// A byte and what it was written with.
type Placed = (u8, RawSpan);

/// The bytes of a hex item; each stands for its pair and what parts it from the next.
fn hex_bytes(text: &str, item: &Item) -> Vec<Placed> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(item.keep);
    let mut at = item.raw.start;
    while at < item.raw.end {
        let start = at;
        if matches!(bytes.get(at..at + 2), Some([b'0', b'x' | b'X'])) {
            at += 2;
        }
        let byte = bytes.get(at..at + 2).and_then(byte_of);
        at += 2;
        let rest = bytes.get(at..item.raw.end).unwrap_or_default();
        at += rest.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
        let span = RawSpan { start, end: at.min(item.raw.end) };
        out.extend(byte.map(|byte| (byte, span)));
    }
    out
}

/// The bytes of a base64 item; each stands for its group.
fn base64_bytes(text: &str, item: &Item) -> Vec<Placed> {
    let mut out = Vec::with_capacity(item.keep);
    let mut bytes = Vec::with_capacity(3);
    groups(text, item, |group, span| {
        bytes.clear();
        push_group(group, &mut bytes);
        out.extend(bytes.iter().map(|&byte| (byte, span)));
    });
    out
}

fn utf16(view: &mut View, bytes: &[Placed], item: &Item) {
    let bytes = bytes.get(item.skip..).unwrap_or_default();
    let bytes = bytes.get(..item.keep).unwrap_or(bytes);
    let pairs = || bytes.as_chunks::<2>().0.iter();
    // The order in which ASCII is ASCII.
    let zeros = |half: usize| pairs().filter(|pair| pair[half].0 == 0).count();
    let big = zeros(0) > zeros(1);
    let units = pairs().map(|[a, b]| unit(&[a.0, b.0], big));
    let mut at = 0;
    for c in char::decode_utf16(units) {
        let len = c.as_ref().map_or(1, |c| c.len_utf16());
        let c = c.unwrap_or('\u{FFFD}');
        if let (Some((_, first)), Some((_, last))) =
            (bytes.get(at * 2), bytes.get((at + len) * 2 - 1))
        {
            let raw = RawSpan { start: first.start, end: last.end };
            view.push_unit(c.encode_utf8(&mut [0; 4]).as_bytes(), raw);
        }
        at += len;
    }
}
