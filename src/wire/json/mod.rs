//! A JSON reader that remembers where everything stands.
//!
//! One pass over the record makes a [`Tape`]: a flat list of tokens with their byte
//! ranges, from which strings are borrowed as long as they hold no escape. It is strict
//! RFC 8259, keeps numbers as written and duplicate keys in order, and has no recursion,
//! so that nesting costs a limit and never the stack. A general parser would drop
//! exactly what Weir needs: spans, duplicates, and the digits of numbers.

mod text;
mod write;

pub use text::{Unit, Units, escape_into, unescape};
pub use write::Writer;

use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// The name of a member; its value is the next token.
    Key,
    /// A string value.
    String,
    /// A number, as written.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One token of a [`Tape`].
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// First byte, counted from the start of the record.
    pub start: u32,
    /// One past the last byte; quotation marks and brackets are inside.
    pub end: u32,
    /// The first token after this one and all that it holds. While a container is open: the container around it.
    after: u32,
    /// What it is.
    pub what: What,
    /// Whether a string or key holds an escape.
    pub escaped: bool,
    /// Free for the reader of the tape.
    pub tag: u8,
}

/// What reading may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside one another.
    pub depth: usize,
    /// Keys and values together.
    pub tokens: usize,
}

/// Why a text is not JSON. Says where and what was expected, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct JsonError {
    /// Byte of the record.
    pub at: usize,
    /// What is wrong.
    pub kind: Problem,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It ends before its value does.
    #[error("the text ends inside a value")]
    Truncated,
    /// Something else was expected.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A limit.
    #[error("nested deeper than the limit")]
    TooDeep,
    /// A limit.
    #[error("more keys and values than the limit")]
    TooMany,
}

/// The tokens of one JSON text, in the order in which they begin.
#[derive(Debug)]
pub struct Tape<'r> {
    text: &'r str,
    base: u32,
    tokens: Vec<Token>,
}

impl<'r> Tape<'r> {
    /// Reads `text`, which begins at byte `base` of its record. What was read before an
    /// error is kept, for the best effort to say whose record it was.
    #[must_use]
    pub fn read(text: &'r str, base: usize, limits: Limits) -> (Self, Option<JsonError>) {
        let tape = Tape {
            text,
            base: base as u32,
            tokens: Vec::with_capacity((text.len() / 16).clamp(16, 4096)),
        };
        let mut parser = Parser {
            bytes: text.as_bytes(),
            at: 0,
            open: NONE,
            depth: 0,
            controls: has_controls(text.as_bytes()),
            limits,
            tape,
        };
        if u32::try_from(base + text.len()).is_err() {
            return (parser.tape, Some(JsonError { at: base, kind: Problem::TooMany }));
        }
        let error =
            parser.run().err().map(|kind| JsonError { at: base + parser.at.min(text.len()), kind });
        parser.seal();
        (parser.tape, error)
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.tokens.len() as u32
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token of that number.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Token> {
        self.tokens.get(index as usize)
    }

    /// What the token of that number is; `None` beyond the end.
    #[must_use]
    pub fn what(&self, index: u32) -> Option<What> {
        self.get(index).map(|token| token.what)
    }

    /// Marks a token.
    pub fn tag(&mut self, index: u32, tag: u8) {
        if let Some(token) = self.tokens.get_mut(index as usize) {
            token.tag |= tag;
        }
    }

    /// The first token after this one and all that it holds.
    #[must_use]
    pub fn after(&self, index: u32) -> u32 {
        match self.get(index) {
            Some(Token { what: What::Object | What::Array, after, .. }) => *after,
            _ => index + 1,
        }
    }

    /// Members of an object, as (key, value); nothing for any other token.
    #[must_use]
    pub fn members(&self, object: u32) -> Members<'_, 'r> {
        let inside = self.what(object) == Some(What::Object);
        Members { tape: self, at: object + 1, end: if inside { self.after(object) } else { 0 } }
    }

    /// Elements of an array; nothing for any other token.
    pub fn elements(&self, array: u32) -> impl Iterator<Item = u32> {
        let end = if self.what(array) == Some(What::Array) { self.after(array) } else { 0 };
        let mut at = array + 1;
        std::iter::from_fn(move || {
            let element = (at < end).then_some(at)?;
            at = self.after(element);
            Some(element)
        })
    }

    /// A token's bytes as written.
    #[must_use]
    pub fn written(&self, index: u32) -> &'r str {
        self.get(index)
            .and_then(|token| {
                self.text.get((token.start - self.base) as usize..(token.end - self.base) as usize)
            })
            .unwrap_or_default()
    }

    /// The text of a string or key, unescaped; a lone surrogate reads as U+FFFD.
    #[must_use]
    pub fn string(&self, index: u32) -> Cow<'r, str> {
        let written = self.written(index);
        let content =
            written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        if self.get(index).is_some_and(|token| token.escaped) {
            Cow::Owned(unescape(content))
        } else {
            Cow::Borrowed(content)
        }
    }
}

/// Members of an object; see [`Tape::members`].
#[derive(Debug)]
pub struct Members<'t, 'r> {
    tape: &'t Tape<'r>,
    at: u32,
    end: u32,
}

impl Iterator for Members<'_, '_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        // A text that breaks off may end in a key without a value.
        let (key, value) = (self.at, self.at + 1);
        if value >= self.end {
            return None;
        }
        self.at = self.tape.after(value);
        Some((key, value))
    }
}

const NONE: u32 = u32::MAX;

struct Parser<'r> {
    bytes: &'r [u8],
    at: usize,
    /// The innermost open container. Each open container's `after` names the one around it.
    open: u32,
    depth: usize,
    /// Whether the text holds any control character at all; compact JSON does not, and then no string is looked at twice.
    controls: bool,
    limits: Limits,
    tape: Tape<'r>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ElementOrClose,
    Key,
    KeyOrClose,
    CommaOrClose,
    End,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Problem> {
        let mut expect = Expect::Value;
        loop {
            self.skip_space();
            let Some(&byte) = self.bytes.get(self.at) else {
                return if expect == Expect::End { Ok(()) } else { Err(Problem::Truncated) };
            };
            expect = match (expect, byte) {
                (Expect::KeyOrClose, b'}')
                | (Expect::ElementOrClose, b']')
                | (Expect::CommaOrClose, b'}' | b']') => self.close(byte)?,
                (Expect::Key | Expect::KeyOrClose, b'"') => self.key()?,
                (Expect::Value | Expect::ElementOrClose, _) => self.value(byte)?,
                (Expect::CommaOrClose, b',') => {
                    self.at += 1;
                    if self.in_object() { Expect::Key } else { Expect::Value }
                }
                (Expect::Key | Expect::KeyOrClose, _) => return Err(Problem::Expected("a key")),
                (Expect::CommaOrClose, _) => {
                    return Err(Problem::Expected("a comma or a closing bracket"));
                }
                (Expect::End, _) => return Err(Problem::Expected("the end of the text")),
            };
        }
    }

    fn value(&mut self, byte: u8) -> Result<Expect, Problem> {
        match byte {
            b'"' => self.string(What::String)?,
            b'{' => {
                self.open(What::Object)?;
                return Ok(Expect::KeyOrClose);
            }
            b'[' => {
                self.open(What::Array)?;
                return Ok(Expect::ElementOrClose);
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal("true", What::True)?,
            b'f' => self.literal("false", What::False)?,
            b'n' => self.literal("null", What::Null)?,
            _ => return Err(Problem::Expected("a value")),
        }
        Ok(self.after_value())
    }

    fn key(&mut self) -> Result<Expect, Problem> {
        self.string(What::Key)?;
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b':') => {
                self.at += 1;
                Ok(Expect::Value)
            }
            Some(_) => Err(Problem::Expected("a colon")),
            None => Err(Problem::Truncated),
        }
    }

    fn open(&mut self, what: What) -> Result<(), Problem> {
        if self.depth >= self.limits.depth {
            return Err(Problem::TooDeep);
        }
        let index = self.tape.len();
        self.push(what, self.at, self.at + 1, false)?;
        if let Some(token) = self.tape.tokens.last_mut() {
            token.after = self.open;
        }
        self.open = index;
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<Expect, Problem> {
        if (byte == b'}') != self.in_object() {
            return Err(Problem::Expected("the bracket that closes what is open"));
        }
        self.at += 1;
        self.shut(self.at);
        Ok(self.after_value())
    }

    fn shut(&mut self, end: usize) {
        let after = self.tape.len();
        let end = self.tape.base + end as u32;
        if let Some(token) = self.tape.tokens.get_mut(self.open as usize) {
            self.open = token.after;
            self.depth -= 1;
            token.after = after;
            token.end = end;
        }
    }

    /// Closes what an error left open, so that the part that was read can be walked.
    fn seal(&mut self) {
        while self.open != NONE {
            self.shut(self.bytes.len());
        }
    }

    fn in_object(&self) -> bool {
        self.tape.what(self.open) == Some(What::Object)
    }

    fn after_value(&self) -> Expect {
        if self.open == NONE { Expect::End } else { Expect::CommaOrClose }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn push(&mut self, what: What, start: usize, end: usize, escaped: bool) -> Result<(), Problem> {
        if self.tape.tokens.len() >= self.limits.tokens {
            return Err(Problem::TooMany);
        }
        let base = self.tape.base;
        self.tape.tokens.push(Token {
            start: base + start as u32,
            end: base + end as u32,
            after: NONE,
            what,
            escaped,
            tag: 0,
        });
        Ok(())
    }

    fn literal(&mut self, name: &'static str, what: What) -> Result<(), Problem> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(name.as_bytes()) {
            let start = self.at;
            self.at += name.len();
            return self.push(what, start, self.at, false);
        }
        let cut = name.as_bytes().starts_with(rest);
        Err(if cut { Problem::Truncated } else { Problem::Expected("a value") })
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.push(What::Number, start, self.at, false)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Problem> {
        match self.bytes.get(self.at) {
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(Problem::Expected("a digit")),
            None => return Err(Problem::Truncated),
        }
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self, what: What) -> Result<(), Problem> {
        let start = self.at;
        let mut escaped = false;
        let mut at = start + 1;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            at += quote_or_backslash(rest).ok_or(Problem::Truncated)?;
            if self.bytes.get(at) == Some(&b'"') {
                break;
            }
            escaped = true;
            self.at = at;
            at += self.escape(at)?;
        }
        if self.controls {
            let content = self.bytes.get(start + 1..at).unwrap_or_default();
            if let Some(offset) = content.iter().position(|byte| *byte < 0x20) {
                self.at = start + 1 + offset;
                return Err(Problem::Expected("control characters to be escaped"));
            }
        }
        self.at = at + 1;
        self.push(what, start, self.at, escaped)
    }

    /// The length of the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, Problem> {
        match self.bytes.get(at + 1) {
            None => Err(Problem::Truncated),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => {
                for digit in at + 2..at + 6 {
                    match self.bytes.get(digit) {
                        None => return Err(Problem::Truncated),
                        Some(byte) if byte.is_ascii_hexdigit() => {}
                        Some(_) => return Err(Problem::Expected("four hexadecimal digits")),
                    }
                }
                Ok(6)
            }
            Some(_) => Err(Problem::Expected("a known escape")),
        }
    }
}

/// Does not stop at the first, so that it compiles to vector instructions.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | u8::from(*byte < 0x20)) != 0
}

/// Where the string ends or an escape begins. Most strings are names of a few bytes,
/// for which setting up a vector search would cost more than it saves.
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 16;
    for (index, byte) in bytes.iter().take(SHORT).enumerate() {
        if matches!(byte, b'"' | b'\\') {
            return Some(index);
        }
    }
    memchr::memchr2(b'"', b'\\', bytes.get(SHORT..)?).map(|index| index + SHORT)
}

#[cfg(test)]
mod tests;
