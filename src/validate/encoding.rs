//! The encodings in which vendors write checksums and payloads into their tokens.
//!
//! Small and bounded on purpose: tokens are at most a few kilobytes, so clarity goes
//! before speed, and nothing here is fit for streams.

use crate::text::decode::sextet;

/// CRC-32 as of IEEE 802.3 (reflected, polynomial 0x04C11DB7), as zlib computes it.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
        crc
    })
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A number in base 62 (digits, upper case, lower case), padded with zeros to `N` places.
pub(super) fn base62<const N: usize>(value: u32) -> [u8; N] {
    in_base(BASE62, value)
}

/// A number in base 36, lower case, padded with zeros to `N` places.
pub(super) fn base36<const N: usize>(value: u32) -> [u8; N] {
    in_base(BASE36, value)
}

fn in_base<const N: usize>(alphabet: &[u8], mut value: u32) -> [u8; N] {
    let base = alphabet.len() as u32;
    let mut out = [b'0'; N];
    for place in out.iter_mut().rev() {
        *place = alphabet[(value % base) as usize];
        value /= base;
    }
    out
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 section 4, without padding.
pub(crate) fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .enumerate()
            .fold(0_u32, |word, (at, &byte)| word | u32::from(byte) << (16 - 8 * at));
        for at in 0..=group.len() {
            out.push(BASE64[(word >> (18 - 6 * at) & 63) as usize]);
        }
    }
    out
}

/// Reads base64 or base64url up to the first other byte; `None` where the length cannot be.
pub(super) fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let mut word = 0_u32;
    let mut count = 0_usize;
    for &byte in text {
        let Some(value) = sextet(byte) else { break };
        word = word << 6 | u32::from(value);
        count += 1;
        if count.is_multiple_of(4) {
            out.extend_from_slice(&[(word >> 16) as u8, (word >> 8) as u8, word as u8]);
            word = 0;
        }
    }
    match count % 4 {
        0 => {}
        2 => out.push((word >> 4) as u8),
        3 => out.extend_from_slice(&[(word >> 10) as u8, (word >> 2) as u8]),
        _ => return None,
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_vectors_hold() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of CRC-32/ISO-HDLC");
        assert_eq!(&base62::<6>(0), b"000000");
        assert_eq!(&base62::<6>(61), b"00000z");
        assert_eq!(&base36::<7>(u32::MAX), b"1z141z3");
        assert_eq!(hex(&[0, 0xAB]), b"00ab");
        for (plain, coded) in
            [(&b"f"[..], &b"Zg"[..]), (b"fo", b"Zm8"), (b"foo", b"Zm9v"), (b"foobar", b"Zm9vYmFy")]
        {
            assert_eq!(base64(plain), coded, "RFC 4648 section 10");
            assert_eq!(base64_decode(coded).unwrap(), plain);
        }
        assert_eq!(base64_decode(b"A"), None);
    }

    proptest! {
        #[test]
        fn base64_round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(base64_decode(&base64(&bytes)).unwrap(), bytes);
        }
    }
}
