//! The clean event: the record's own bytes, but for what was cut.
//!
//! Nothing is parsed and printed again, so digits of numbers, order of keys, white space
//! and duplicate members survive exactly. Only the bytes of edited characters change;
//! inside a string with escapes a whole escape goes, and what takes its place is escaped.

use crate::event::{Event, Field, Place, RawSpan};
use crate::redact::Edit;
use crate::wire::json::{Units, Writer, escape_into};

/// The record with its edits made. Edits may come in any order; those of one field that
/// overlap are joined, and the first one's text stands for both.
#[must_use]
pub fn edit(record: &[u8], event: &Event<'_>, edits: &[Edit]) -> Vec<u8> {
    let mut sorted: Vec<&Edit> =
        edits.iter().filter(|edit| (edit.field as usize) < event.fields.len()).collect();
    sorted.sort_by_key(|edit| (edit.field, edit.span));
    let added: usize = sorted.iter().map(|edit| edit.with.len() + 2).sum();
    let mut out = Vec::with_capacity(record.len() + added);
    let mut done = 0;
    // Fields are in record order, so one pass copies everything.
    for edits in sorted.chunk_by(|a, b| a.field == b.field) {
        let Some(field) = event.fields.get(edits[0].field as usize) else { continue };
        let token = record.get(field.token.start..field.token.end).unwrap_or_default();
        out.extend_from_slice(record.get(done..field.token.start).unwrap_or_default());
        edit_token(&mut out, field, token, edits);
        done = field.token.end;
    }
    out.extend_from_slice(record.get(done..).unwrap_or_default());
    out
}

/// A chunk that no record brought: what a timer lets go of a stream, as the sender would have
/// written it.
#[must_use]
pub fn chunk(event: &Event<'_>, id: &str, text: &str) -> Vec<u8> {
    let mut out = Writer::with_capacity(256 + text.len());
    out.open().key("v").uint(1);
    out.text("id", id).key("ts").int(event.ts.0);
    out.text("kind", event.kind.name());
    out.text_if("tenant", Some(event.tenant.as_ref()).filter(|tenant| !tenant.is_empty()));
    out.key("agent").open().text("id", &event.agent);
    out.text_if("type", event.agent_type.as_deref());
    out.close();
    out.text_if("session", event.session.as_deref());
    out.text_if("user", event.user.as_deref());
    if let Some(stream) = &event.stream {
        out.key("stream").open().text("id", &stream.id);
        out.key("seq").uint(stream.seq).key("last").bool(stream.last).close();
    }
    out.text("text", text).close();
    out.into_bytes()
}

/// Writes one token anew. A number becomes a string, since no mask is a number.
fn edit_token(out: &mut Vec<u8>, field: &Field<'_>, token: &[u8], edits: &[&Edit]) {
    let content = match field.place {
        Place::Number => token,
        Place::Value | Place::Key => {
            token.get(1..token.len().saturating_sub(1)).unwrap_or_default()
        }
    };
    let content = std::str::from_utf8(content).unwrap_or_default();
    let mut place = Cursor::new(content, field.text.len() == content.len());
    out.push(b'"');
    let mut done = 0;
    for (span, with) in joined(edits) {
        let (start, end) = (place.floor(span.start), place.ceil(span.end));
        out.extend_from_slice(content.as_bytes().get(done..start).unwrap_or_default());
        escape_into(out, with);
        done = end;
    }
    out.extend_from_slice(content.as_bytes().get(done..).unwrap_or_default());
    out.push(b'"');
}

/// Edits in order, overlaps joined.
fn joined<'e>(edits: &[&'e Edit]) -> Vec<(RawSpan, &'e str)> {
    let mut joined: Vec<(RawSpan, &str)> = Vec::with_capacity(edits.len());
    for edit in edits {
        match joined.last_mut() {
            Some((last, _)) if last.overlaps(edit.span) => last.end = last.end.max(edit.span.end),
            _ => joined.push((edit.span, &edit.with)),
        }
    }
    joined
}

/// From bytes of the unescaped text to bytes as written; asked in ascending order.
struct Cursor<'r> {
    content: &'r str,
    /// Without escapes the two spaces are one: an escape is always longer than its character.
    plain: bool,
    units: Units<'r>,
    text_at: usize,
    written_at: usize,
}

impl<'r> Cursor<'r> {
    fn new(content: &'r str, plain: bool) -> Self {
        Self { content, plain, units: Units::new(content), text_at: 0, written_at: 0 }
    }

    /// Where the character that holds this byte begins.
    fn floor(&mut self, offset: usize) -> usize {
        if self.plain {
            return self.content.floor_char_boundary(offset);
        }
        loop {
            let mut ahead = self.units.clone();
            let Some(unit) = ahead.next() else { break };
            if self.text_at + unit.char.len_utf8() > offset {
                break;
            }
            self.text_at += unit.char.len_utf8();
            self.written_at += unit.written;
            self.units = ahead;
        }
        self.written_at
    }

    /// Where the character that holds the byte before this one ends.
    fn ceil(&mut self, offset: usize) -> usize {
        if self.plain {
            return self.content.ceil_char_boundary(offset);
        }
        while self.text_at < offset {
            let Some(unit) = self.units.next() else { break };
            self.text_at += unit.char.len_utf8();
            self.written_at += unit.written;
        }
        self.written_at
    }
}

#[cfg(test)]
mod tests;
