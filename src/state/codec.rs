//! How owners write their entries: numbers and strings in a row, a version in front.
//!
//! Reading gives `None` for anything that this version did not write; an owner then starts
//! anew, as if the entry had not been there.

use crate::event::Millis;
use crate::state::delta::{put_number, take_number};

/// Writes one entry.
#[derive(Clone, Debug, Default)]
pub struct Pack(Vec<u8>);

impl Pack {
    /// Begins with the owner's version.
    #[must_use]
    pub fn new(version: u8) -> Self {
        Self(vec![version])
    }

    /// Appends a number.
    #[must_use]
    pub fn number(mut self, n: u64) -> Self {
        put_number(&mut self.0, n);
        self
    }

    /// Appends an instant, in a fixed eight bytes so that later fields do not move.
    #[must_use]
    pub fn millis(mut self, at: Millis) -> Self {
        self.0.extend_from_slice(&at.0.to_be_bytes());
        self
    }

    /// Appends a string.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        put_number(&mut self.0, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a string that may be absent.
    #[must_use]
    pub fn maybe(self, text: Option<&str>) -> Self {
        match text {
            None => self.number(0),
            Some(text) => self.number(1).text(text),
        }
    }

    /// Appends strings, counted.
    #[must_use]
    pub fn texts(self, texts: &[String]) -> Self {
        let counted = self.number(texts.len() as u64);
        texts.iter().fold(counted, |pack, text| pack.text(text))
    }

    /// Appends bytes as they are.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The entry's bytes.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads one entry.
#[derive(Clone, Debug)]
pub struct Unpack<'b>(&'b [u8]);

impl<'b> Unpack<'b> {
    /// Begins, if the entry has this version.
    #[must_use]
    pub fn new(version: u8, bytes: &'b [u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        (first == version).then_some(Self(rest))
    }

    /// Takes a number.
    pub fn number(&mut self) -> Option<u64> {
        take_number(&mut self.0)
    }

    /// Takes an instant.
    pub fn millis(&mut self) -> Option<Millis> {
        self.fixed().map(|bytes| Millis(i64::from_be_bytes(bytes)))
    }

    /// Takes a string.
    pub fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    /// Takes a string that may be absent.
    pub fn maybe(&mut self) -> Option<Option<String>> {
        match self.number()? {
            0 => Some(None),
            1 => self.text().map(Some),
            _ => None,
        }
    }

    /// Takes strings.
    pub fn texts(&mut self) -> Option<Vec<String>> {
        let n = self.number()?;
        (0..n).map(|_| self.text()).collect()
    }

    /// Takes so many bytes as they are.
    pub fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'b [u8] {
        self.0
    }
}
