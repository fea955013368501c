//! What is written where something was cut.
//!
//! [`plan`] turns spans into edits: spans grow to whole characters, overlapping ones become
//! one cut under the label of the gravest, and each is written by its type's operator.
//! Every operator leaves a barrier (`█`, `…`, or a tag in angle brackets) that keeps what
//! stood on both sides apart, and what an operator wrote is known again by
//! [`is_redacted`]: a finding that covers nothing else is none, so redacting twice is
//! redacting once. Values are never kept: a session's tag table holds keyed hashes.

mod cutter;
mod tags;

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::event::RawSpan;
use crate::finding::{Confidence, Severity};
use crate::policy::Operator;

pub use cutter::Cutter;
pub use tags::{Tags, session_key};

/// A replacement of part of a field's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Index into `Event::fields`.
    pub field: u32,
    /// What goes; bytes of the field's text, on character boundaries. Edits of a field do not overlap.
    pub span: RawSpan,
    /// What stands there instead.
    pub with: String,
}

/// A secret of 32 bytes that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Key32(pub [u8; 32]);

impl fmt::Debug for Key32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key32(…)")
    }
}

impl Key32 {
    /// The keyed hash of some parts, each set apart from the next.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// A span to be cut, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// Index into `Event::fields`.
    pub field: u32,
    /// Bytes of the field's text.
    pub span: RawSpan,
    /// Dotted type of what was found; the label comes from it.
    pub kind: &'a str,
    /// Decides whose label a cut of several spans gets.
    pub severity: Severity,
    /// Likewise, after severity.
    pub confidence: Confidence,
}

/// What stands for something masked. Its length says nothing about what was there.
const MASK: &str = "████";
const DROPPED: &str = "…";
/// Keeps shown letters apart from what follows.
const BARRIER: char = '█';
/// Letters of a tag's label.
const LABEL_MAX: usize = 48;

/// Turns spans into edits in order of field and start. `text` gives a field's text, and
/// `write` what stands for a cut of that type with that value.
pub fn plan<'t>(
    cuts: &mut [Cut<'_>],
    text: impl Fn(u32) -> Option<&'t str>,
    mut write: impl FnMut(&str, &str) -> String,
) -> Vec<Edit> {
    for cut in &mut *cuts {
        if let Some(text) = text(cut.field) {
            cut.span.start = text.floor_char_boundary(cut.span.start);
            cut.span.end = text.ceil_char_boundary(cut.span.end);
        }
    }
    cuts.sort_by_key(|cut| (cut.field, cut.span));
    let mut joined: Vec<Cut<'_>> = Vec::with_capacity(cuts.len());
    for cut in cuts.iter().filter(|cut| !cut.span.is_empty()) {
        match joined.last_mut() {
            Some(last) if last.field == cut.field && last.span.overlaps(cut.span) => {
                last.span.end = last.span.end.max(cut.span.end);
                if (cut.severity, cut.confidence) > (last.severity, last.confidence) {
                    (last.kind, last.severity, last.confidence) =
                        (cut.kind, cut.severity, cut.confidence);
                }
            }
            _ => joined.push(*cut),
        }
    }
    joined
        .into_iter()
        .filter_map(|cut| {
            let text = text(cut.field)?;
            let with = write(cut.kind, text.get(cut.span.start..cut.span.end)?);
            let with = barred(with, text.as_bytes().get(cut.span.end).copied());
            Some(Edit { field: cut.field, span: cut.span, with })
        })
        .collect()
}

/// What is written for a cut, kept apart from the byte behind it where the two would join.
fn barred(mut with: String, next: Option<u8>) -> String {
    let joins = next.is_some_and(|next| next.is_ascii_alphanumeric() || !next.is_ascii());
    if joins && with.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        with.push(BARRIER);
    }
    with
}

/// What an operator writes for a value of a type. Tags are numbered by `tags`; without a key
/// there are no hashes, and the value is tagged instead.
#[must_use]
pub fn written(operator: Operator, kind: &str, value: &str, tags: &mut Tags<'_>) -> String {
    match operator {
        Operator::Mask => MASK.to_owned(),
        Operator::Drop => DROPPED.to_owned(),
        Operator::Last4 => last4(value),
        Operator::Tag => tags.tag(&label(kind), value),
        Operator::Hash => match tags.key() {
            None => tags.tag(&label(kind), value),
            Some(key) => {
                let mac = key.mac(&[b"hash", kind.as_bytes(), value.as_bytes()]);
                // Letters from a to p: digits in a row could be taken for a number to be cut.
                let half = |bits: u8| char::from(b'a' + (bits & 15));
                let short: String =
                    mac.iter().take(6).flat_map(|byte| [half(byte >> 4), half(*byte)]).collect();
                format!("<{}#{short}>", label(kind))
            }
        },
    }
}

/// The tag that stands for any value of a type, as in audit records.
#[must_use]
pub fn plain_tag(kind: &str) -> String {
    format!("<{}>", label(kind))
}

/// `EMAIL` for `pii.email`. Letters and underscores only, so that a tag is known as one.
fn label(kind: &str) -> String {
    let name = kind.rsplit('.').next().unwrap_or(kind);
    let label: String = name
        .bytes()
        .map(|byte| if byte.is_ascii_alphabetic() { byte.to_ascii_uppercase().into() } else { '_' })
        .take(LABEL_MAX)
        .collect();
    if label.is_empty() { "VALUE".to_owned() } else { label }
}

/// The mask and the last four letters or digits, where that still hides most of the value.
fn last4(value: &str) -> String {
    let shown: Vec<char> = value.chars().filter(char::is_ascii_alphanumeric).collect();
    match shown.len().checked_sub(4) {
        Some(hidden) if hidden >= 4 => MASK.chars().chain(shown.into_iter().skip(hidden)).collect(),
        _ => MASK.to_owned(),
    }
}

/// Whether a text is nothing but what an operator writes.
#[must_use]
pub fn is_redacted(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '"' || c == '\'');
    if text == DROPPED {
        return true;
    }
    if let Some(rest) = text.strip_prefix(MASK) {
        let rest = rest.strip_suffix(BARRIER).unwrap_or(rest);
        return rest.len() <= 4 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    }
    text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).is_some_and(is_tag)
}

/// A label, then nothing, `_` and up to three digits, or `#` and twelve letters from a to p.
fn is_tag(inside: &str) -> bool {
    let label = |text: &str| {
        !text.is_empty()
            && text.len() <= LABEL_MAX
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    if let Some((name, hash)) = inside.split_once('#') {
        return label(name)
            && hash.len() == 12
            && hash.bytes().all(|byte| matches!(byte, b'a'..=b'p'));
    }
    match inside.rsplit_once('_') {
        Some((name, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            label(name) && number.len() <= 3
        }
        _ => label(inside),
    }
}

/// A field's text with its edits made; `edits` are all of that field, in order.
#[must_use]
pub fn apply<'t>(text: &'t str, edits: &[Edit]) -> Cow<'t, str> {
    if edits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits {
        out.push_str(text.get(done..edit.span.start).unwrap_or_default());
        out.push_str(&edit.with);
        done = edit.span.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
