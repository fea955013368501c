//! Writes JSON by appending, without a tree in between.
//!
//! The writer puts the commas; the caller opens and closes. Each record that Weir writes
//! is written by one function from top to bottom, which is then also the list of its fields.

use super::text::escape_into;

/// A JSON text under construction.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    comma: bool,
}

impl Writer {
    /// Begins an empty text with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity), comma: false }
    }

    /// The finished text.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// `{`
    pub fn open(&mut self) -> &mut Self {
        self.begin(b'{')
    }

    /// `}`
    pub fn close(&mut self) -> &mut Self {
        self.end(b'}')
    }

    /// `[`
    pub fn open_array(&mut self) -> &mut Self {
        self.begin(b'[')
    }

    /// `]`
    pub fn close_array(&mut self) -> &mut Self {
        self.end(b']')
    }

    /// A member's name; its value follows. Names are ours and hold nothing to escape.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
        self
    }

    /// A string.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        escape_into(&mut self.out, text);
        self.out.push(b'"');
        self
    }

    /// A string, or null.
    pub fn string_or_null(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.raw("null"),
        }
    }

    /// A whole number.
    pub fn int(&mut self, value: i64) -> &mut Self {
        if value < 0 {
            self.separate();
            self.out.push(b'-');
            self.comma = false;
        }
        self.uint(value.unsigned_abs())
    }

    /// A whole number, not negative.
    pub fn uint(&mut self, mut value: u64) -> &mut Self {
        self.separate();
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
        self
    }

    /// A number; one that JSON cannot write becomes null.
    pub fn float(&mut self, value: f64) -> &mut Self {
        if value.is_finite() { self.raw(&value.to_string()) } else { self.raw("null") }
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    /// JSON that is ready.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// A member that holds a string.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.key(name).string(text)
    }

    /// A member that holds a string, left out where there is none.
    pub fn text_if(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.key(name).string(text),
            None => self,
        }
    }

    /// A member that holds an array of strings.
    pub fn texts<'s>(&mut self, name: &str, texts: impl IntoIterator<Item = &'s str>) -> &mut Self {
        self.key(name).open_array();
        for text in texts {
            self.string(text);
        }
        self.close_array()
    }

    fn begin(&mut self, bracket: u8) -> &mut Self {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
        self
    }

    fn end(&mut self, bracket: u8) -> &mut Self {
        self.out.push(bracket);
        self.comma = true;
        self
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }
}
