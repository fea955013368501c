//! The inside of JSON strings: escapes, and which bytes of the record each character came from.
//!
//! Spans of findings count bytes of the unescaped text. [`Units`] walks a string one
//! character at a time and says how long each is in both spaces; it is only run over
//! strings that hold an escape and are edited, so nobody else pays for the map.

/// One character of a string's text and what it was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The character; U+FFFD for a lone surrogate.
    pub char: char,
    /// Bytes as written: 1 to 4 for a plain character, 2, 6 or 12 for an escape.
    pub written: usize,
}

/// The characters of a string's content (without its quotation marks).
#[derive(Clone, Debug)]
pub struct Units<'r> {
    rest: &'r str,
}

impl<'r> Units<'r> {
    /// Walks `content`, which must be the inside of a JSON string that was read without error.
    #[must_use]
    pub fn new(content: &'r str) -> Self {
        Self { rest: content }
    }
}

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let first = self.rest.chars().next()?;
        let unit = if first == '\\' {
            escape(self.rest.as_bytes())
        } else {
            Unit { char: first, written: first.len_utf8() }
        };
        self.rest = self.rest.get(unit.written..).unwrap_or_default();
        Some(unit)
    }
}

fn escape(bytes: &[u8]) -> Unit {
    let short = |char| Unit { char, written: 2 };
    match bytes.get(1) {
        Some(b'b') => short('\u{8}'),
        Some(b'f') => short('\u{c}'),
        Some(b'n') => short('\n'),
        Some(b'r') => short('\r'),
        Some(b't') => short('\t'),
        Some(b'u') => unicode_escape(bytes),
        Some(other) => short(char::from(*other)),
        None => Unit { char: char::REPLACEMENT_CHARACTER, written: 1 },
    }
}

/// Two escapes that make a surrogate pair are one character.
fn unicode_escape(bytes: &[u8]) -> Unit {
    let lone = Unit { char: char::REPLACEMENT_CHARACTER, written: bytes.len().min(6) };
    let Some(high) = code_unit(bytes) else { return lone };
    if let Some(char) = char::from_u32(high) {
        return Unit { char, written: 6 };
    }
    let low = bytes.get(6..).filter(|rest| rest.starts_with(b"\\u")).and_then(code_unit);
    match (high, low) {
        (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
            let point = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            char::from_u32(point).map_or(lone, |char| Unit { char, written: 12 })
        }
        _ => lone,
    }
}

fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(bytes.get(2..6)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

/// The text that a string's content stands for.
#[must_use]
pub fn unescape(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(backslash) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, escaped) = rest.split_at(backslash);
        out.push_str(plain);
        let unit = escape(escaped.as_bytes());
        out.push(unit.char);
        rest = escaped.get(unit.written..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Appends `text` as the content of a JSON string: only what must be escaped is.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}
