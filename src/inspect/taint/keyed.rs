//! Keyed hashes of 64 bits that are quick on short texts: `SipHash-2-4` under a key that is
//! derived from `keys.fingerprint`.
//!
//! `SipHash` is a pseudo-random function (Aumasson and Bernstein, 2012): without the key a
//! hash says nothing about its text, and nobody can look for texts that share one. HMAC-SHA-256
//! promises the same for twenty times the cost, which rows of words would pay word by word.

use crate::redact::Key32;

/// The key of one use.
#[derive(Clone, Copy)]
pub(super) struct Keyed {
    k0: u64,
    k1: u64,
}

impl Keyed {
    pub(super) fn new(key: &Key32) -> Self {
        let mac = key.mac(&[b"taint"]);
        let half = |at: usize| {
            let bytes = mac.get(at..at + 8).and_then(|bytes| bytes.first_chunk::<8>());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        Self { k0: half(0), k1: half(8) }
    }

    /// The hash of one text.
    pub(super) fn of(self, text: &[u8]) -> u64 {
        let mut state = [
            self.k0 ^ 0x736f_6d65_7073_6575,
            self.k1 ^ 0x646f_7261_6e64_6f6d,
            self.k0 ^ 0x6c79_6765_6e65_7261,
            self.k1 ^ 0x7465_6462_7974_6573,
        ];
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            absorb(&mut state, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        last[7] = text.len() as u8;
        absorb(&mut state, u64::from_le_bytes(last));
        state[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut state);
        }
        state.into_iter().fold(0, |all, word| all ^ word)
    }

    /// The hash of several texts in a row, each set apart from the next.
    pub(super) fn of_all(self, parts: &[&str]) -> u64 {
        let hashes: Vec<u8> =
            parts.iter().flat_map(|part| self.of(part.as_bytes()).to_le_bytes()).collect();
        self.of(&hashes)
    }
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

fn round([v0, v1, v2, v3]: &mut [u64; 4]) {
    *v0 = v0.wrapping_add(*v1);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v3);
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.wrapping_add(*v3);
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.wrapping_add(*v1);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the paper's appendix, and the first of the reference implementation.
    #[test]
    fn hashes_are_those_of_siphash() {
        let key = Keyed { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 };
        let text: Vec<u8> = (0..15).collect();
        assert_eq!(key.of(&text), 0xa129_ca61_49be_45e5);
        assert_eq!(
            key.of(b""),
            u64::from_le_bytes([0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72])
        );
    }

    #[test]
    fn keys_and_parts_tell_hashes_apart() {
        let (one, other) = (Keyed::new(&Key32([1; 32])), Keyed::new(&Key32([2; 32])));
        assert_ne!(one.of(b"x"), other.of(b"x"));
        assert_ne!(one.of_all(&["a", "bc"]), one.of_all(&["ab", "c"]));
        assert_ne!(one.of_all(&["a"]), one.of_all(&["a", ""]));
    }

    /// How often a value is taken for another one: as often as chance has it, for the number
    /// of values that are known. Cut hashes show it; of whole ones nothing can be seen.
    #[test]
    fn false_matches_are_those_of_chance() {
        const KNOWN: u64 = 100_000;
        const ASKED: u64 = 1_000_000;
        let key = Keyed::new(&Key32([5; 32]));
        let hash = |n: u64| key.of(format!("value number {n}").as_bytes());
        let known: Vec<u64> = (0..KNOWN).map(hash).collect();
        let asked: Vec<u64> = (KNOWN..KNOWN + ASKED).map(hash).collect();
        for bits in [24, 28, 32, 64] {
            let kept: std::collections::HashSet<u64> =
                known.iter().map(|hash| hash >> (64 - bits)).collect();
            let matches = asked.iter().filter(|hash| kept.contains(&(*hash >> (64 - bits))));
            let (matches, expected) =
                (matches.count() as f64, ASKED as f64 * kept.len() as f64 / 2f64.powi(bits));
            println!("{bits} bits, {KNOWN} known: {matches} of {ASKED} ({expected:.1} by chance)");
            assert!((matches - expected).abs() <= 6.0 * expected.sqrt() + 0.5, "{bits}: {matches}");
        }
    }
}
