//! SHA-256 over parts of any length, each with its length before it, so that where a part ends
//! counts; and hashes as text.

use sha2::{Digest as _, Sha256};

/// A hash in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    /// The hash of some parts.
    pub(crate) fn of<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut hash = Self::default();
        for part in parts {
            hash.add(part);
        }
        hash
    }

    /// Adds a part with its length, 8 bytes with the highest first.
    pub(crate) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.bare((part.len() as u64).to_be_bytes());
        self.bare(part);
    }

    /// Adds bytes as they stand: a mark of fixed length, or what comes last.
    pub(crate) fn bare(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// All 32 bytes.
    pub(crate) fn whole(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The first 16 bytes: an id among those of one partition.
    pub(crate) fn id(self) -> [u8; 16] {
        self.whole().first_chunk().copied().unwrap_or_default()
    }
}

pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    push_hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_part_ends_counts() {
        assert_ne!(Parts::of(["ab", "c"]).id(), Parts::of(["a", "bc"]).id());
        assert_ne!(Parts::of(["a"]).id(), Parts::of(["a", ""]).id());
    }

    #[test]
    fn the_bytes_are_those_of_lengths_and_parts() {
        let mut marked = Parts::of(["a", "bc"]);
        marked.bare([1]);
        let bytes = b"\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x02bc\x01";
        assert_eq!(marked.whole(), <[u8; 32]>::from(Sha256::digest(bytes)));
    }
}
