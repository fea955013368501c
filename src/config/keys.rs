//! Key material: 32 bytes, from a file or the environment, never shown.
//!
//! A key in `weir.yml` or on a command line would end in version control, backups and
//! process lists, so only a pointer to it may stand there: `file:PATH` or `env:NAME`.
//! The variable of the setting itself (`WEIR_KEYS__AUDIT`) may hold the key.

use std::fmt;

use crate::audit::from_hex;
use crate::text::decode::sextet;

/// 32 secret bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The bytes, for the one who signs or hashes with them.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 hexadecimal digits or the base64 of 32 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = if text.len() == 64 { from_hex(text)? } else { from_base64(text)? };
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Standard or URL alphabet, padding optional.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(32);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let six = sextet(byte)?;
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_in_hex_and_base64_and_never_show() {
        let hex = "00ff".repeat(16);
        let secret = Secret::parse(&format!(" {hex}\n")).unwrap();
        assert_eq!(secret.bytes()[..4], [0, 255, 0, 255]);
        assert_eq!(
            Secret::parse("AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8="),
            Some(secret.clone())
        );
        assert_eq!(
            Secret::parse("AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8"),
            Some(secret.clone())
        );
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn what_is_not_32_bytes_is_no_key() {
        for text in ["", "secret", &"0".repeat(63), &"g".repeat(64), "AP8A/wD/"] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
    }
}
