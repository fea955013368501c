//! Credentials whose structure can be read without a key.
//!
//! Sources: RFC 7515 and 7519 (JWT), RFC 7468 (PEM), RFC 7617 (Basic), AWS IAM identifiers,
//! Slack and Discord developer documentation.

use super::Check;
use super::encoding::base64_decode;

/// Three parts, or two and an empty one, the first a JSON object with `alg`.
pub(super) fn jwt(value: &[u8]) -> Check {
    let mut parts = value.split(|byte| *byte == b'.');
    let header = parts.next().and_then(base64_decode).unwrap_or_default();
    let is_object = header.trim_ascii().starts_with(b"{");
    Check::strong(is_object && header.windows(5).any(|window| window == b"\"alg\""))
}

/// A private key block: some base64 after the opening line; `Invalid` where what follows
/// is no key but an ellipsis or a template.
pub(super) fn pem(value: &[u8]) -> Check {
    let Some(head) = value.windows(5).position(|five| five == b"KEY--" || five == b"LOCK-") else {
        return Check::Unknown;
    };
    let body = value.get(head..).unwrap_or_default();
    let key = body
        .iter()
        .skip(8)
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .count();
    match key {
        // Shorter than any key, and not merely cut off by a limit.
        0..=31 => Check::Unknown,
        _ => Check::Valid,
    }
}

/// `AKIA` and its kin: sixteen characters of base32 after the prefix.
pub(super) fn aws_key_id(value: &[u8]) -> Check {
    let body = value.get(4..).unwrap_or_default();
    let base32 = body.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    if body.ends_with(b"EXAMPLE") {
        // The id that AWS prints in its own documentation.
        Check::Unknown
    } else {
        Check::promote(body.len() == 16 && base32 && varied(body))
    }
}

/// Slack: after `xoxb-` and its kin come numbers of ten to thirteen digits.
pub(super) fn slack_token(value: &[u8]) -> Check {
    let mut parts = value.split(|byte| *byte == b'-');
    let team = parts.nth(1).unwrap_or_default();
    let numeric = (9..=14).contains(&team.len()) && team.iter().all(u8::is_ascii_digit);
    let secret = parts.next_back().unwrap_or_default();
    Check::promote(numeric && secret.len() >= 20 && varied(secret))
}

/// A Discord bot token's first part is the bot's id, a snowflake, in base64.
pub(super) fn discord_token(value: &[u8]) -> Check {
    let id = value.split(|byte| *byte == b'.').next().and_then(base64_decode).unwrap_or_default();
    Check::promote((17..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit))
}

/// `Basic` credentials: base64 of `user:password`.
pub(super) fn base64_userinfo(value: &[u8]) -> Check {
    let plain = base64_decode(value).unwrap_or_default();
    let printable = plain.iter().all(|byte| (b' '..=b'~').contains(byte));
    match plain.iter().position(|byte| *byte == b':') {
        Some(at) if printable => {
            let password = plain.get(at + 1..).unwrap_or_default();
            Check::strong(!super::placeholder::is_placeholder(password))
        }
        _ => Check::Invalid,
    }
}

/// Enough different characters to be random; `xxxx` and `1234` runs are not.
fn varied(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    for &byte in body {
        seen[usize::from(byte)] = true;
    }
    seen.into_iter().filter(|seen| *seen).count() >= 8
}

#[cfg(test)]
mod tests {
    use super::super::encoding::base64;
    use super::*;

    #[test]
    fn a_token_is_told_by_its_header() {
        let with = |header: &str| {
            let header = String::from_utf8(base64(header.as_bytes())).unwrap();
            jwt(format!("{header}.e30.c2ln").as_bytes())
        };
        assert_eq!(with(r#"{"typ":"JWT","alg":"HS256"}"#), Check::Valid);
        assert_eq!(with(r#"{"typ":"JWT"}"#), Check::Invalid);
        assert_eq!(with("alg"), Check::Invalid);
        assert_eq!(jwt(b""), Check::Invalid);
    }

    #[test]
    fn a_key_block_needs_a_key() {
        let block = |body: &str| format!("-----BEGIN RSA {} KEY-----\n{body}", "PRIVATE");
        assert_eq!(pem(block(&"Ab3+".repeat(20)).as_bytes()), Check::Valid);
        assert_eq!(pem(block("...").as_bytes()), Check::Unknown);
        assert_eq!(pem(b"nothing"), Check::Unknown);
    }

    #[test]
    fn ids_are_read_from_the_token() {
        let slack = |team: &str| {
            slack_token(
                format!("xoxb-{team}-123456789012-{}", "aB3dE6gH9jK2mN5pQ8sT1vW4").as_bytes(),
            )
        };
        assert_eq!(slack("123456789012"), Check::Valid);
        assert_eq!(slack("abc"), Check::Unknown);

        let id = String::from_utf8(base64(b"123456789012345678")).unwrap();
        assert_eq!(discord_token(format!("{id}.abcdef.xyz").as_bytes()), Check::Valid);
        assert_eq!(discord_token(b"abcdefghijklmnopqrstuvwx.abcdef.xyz"), Check::Unknown);

        assert_eq!(aws_key_id(b"AKIAIOSFODNN7EXAMPLE"), Check::Unknown);
        assert_eq!(aws_key_id(format!("AKIA{}", "Q2W3E4R5T6Y7U2I3").as_bytes()), Check::Valid);
        assert_eq!(aws_key_id(b"AKIAAAAAAAAAAAAAAAAA"), Check::Unknown);
    }

    #[test]
    fn basic_credentials_hold_a_user_and_a_password() {
        assert_eq!(base64_userinfo(&base64(b"alice:k8Jd02mz")), Check::Valid);
        assert_eq!(base64_userinfo(&base64(b"alice:<password>")), Check::Invalid);
        assert_eq!(base64_userinfo(&base64(b"no colon here")), Check::Invalid);
    }
}
