//! What stands where a secret would stand, and is none.
//!
//! Generic `key=value` rules meet far more templates, references and samples than secrets.
//! The tests here are about form (a reference, a template mark, one character repeated, a
//! handful of words that only ever stand for a value), never about entropy of known tokens:
//! a token with a vendor's prefix is never dropped by them.

use super::Check;

/// `Invalid` for a placeholder, else `Unknown`.
pub(super) fn not_placeholder(value: &[u8]) -> Check {
    if is_placeholder(value) { Check::Invalid } else { Check::Unknown }
}

/// For generic secrets, that have no shape of their own: no placeholder, no plain word or
/// sentence, no path or code, and enough different characters of at least two kinds.
pub(super) fn secret_value(value: &[u8]) -> Check {
    if is_placeholder(value) || !looks_random(value) { Check::Invalid } else { Check::Unknown }
}

/// Words that stand for a value.
const STAND_INS: &[&[u8]] = &[
    b"example",
    b"placeholder",
    b"changeme",
    b"change_me",
    b"change-me",
    b"your_",
    b"your-",
    b"yourkey",
    b"yoursecret",
    b"yourtoken",
    b"yourpassword",
    b"my_secret",
    b"my-secret",
    b"mysecret",
    b"mypassword",
    b"my_password",
    b"my-password",
    b"insert",
    b"replace",
    b"dummy",
    b"sample",
    b"redacted",
    b"removed",
    b"hidden",
    b"undefined",
    b"process.env",
    b"os.environ",
    b"getenv",
    b"env.",
    b"secrets.",
    b"xxxx",
    b"****",
    b"....",
    b"----",
    b"____",
    b"todo",
    b"foobar",
    b"token_here",
    b"key_here",
    b"secret_here",
    b"password_here",
    b"-here",
    b"_here",
];

/// Values that are no secret as a whole.
const WORDS: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"secret",
    b"token",
    b"key",
    b"apikey",
    b"api_key",
    b"test",
    b"null",
    b"none",
    b"nil",
    b"true",
    b"false",
    b"string",
    b"value",
    b"default",
    b"admin",
    b"root",
    b"user",
    b"username",
    b"pass",
    b"pwd",
    b"required",
    b"optional",
    b"empty",
    b"unset",
    b"hunter2",
];

/// Whether a value is a reference, a template or a stand-in.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let text = lower.trim_ascii();
    let Some(first) = text.first() else { return true };
    let reference = matches!(first, b'$' | b'<' | b'{' | b'%' | b'[' | b'@')
        && !text.get(1..).unwrap_or_default().iter().all(u8::is_ascii_alphanumeric)
        || text.windows(2).any(|two| matches!(two, b"${" | b"{{" | b"}}" | b"$(" | b"<%" | b"%>"));
    reference
        || first == &b'$' && text.iter().skip(1).all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        || WORDS.contains(&text)
        || text.iter().all(|byte| byte == first)
        || STAND_INS.iter().any(|mark| text.windows(mark.len()).any(|window| window == *mark))
}

/// At least two kinds of characters and, for its length, enough different ones; digits or
/// a change of case inside tell a made value from a word or an identifier.
fn looks_random(value: &[u8]) -> bool {
    let has = |test: fn(&u8) -> bool| value.iter().any(test);
    let (lower, upper, digit) =
        (has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase), has(u8::is_ascii_digit));
    let mut seen = [false; 256];
    for &byte in value {
        seen[usize::from(byte)] = true;
    }
    let distinct = seen.into_iter().filter(|seen| *seen).count();
    let letters = lower || upper;
    // A mark at an end belongs to a selector, a path or a sentence.
    let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let symbol = inner.iter().any(|byte| {
        byte.is_ascii_punctuation() && !matches!(byte, b'_' | b'-' | b'.' | b'/' | b'#' | b':')
    });
    let path = value.starts_with(b"/") && inner.contains(&b'/');
    let mixed = letters && digit || lower && upper && !is_identifier(value) || letters && symbol;
    let code = value.windows(2).any(|two| matches!(two, b"()" | b"::" | b"->" | b"=>" | b"[]"))
        || value.contains(&b'(');
    mixed && !code && !path && distinct >= (value.len() / 3).clamp(5, 12)
}

/// `camelCase`, `snake_case`, `dotted.path`: words joined, without a digit.
fn is_identifier(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.' | b'/'))
        && {
            let turns = value
                .windows(2)
                .filter(|two| two[0].is_ascii_lowercase() != two[1].is_ascii_lowercase())
                .count();
            turns * 3 <= value.len()
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_templates_and_stand_ins_are_no_secrets() {
        for value in [
            "${DB_PASSWORD}",
            "$DB_PASSWORD",
            "$(cat /run/secret)",
            "<password>",
            "{{ vault.token }}",
            "%PASSWORD%",
            "xxxxxxxxxxxx",
            "************",
            "YOUR_API_KEY",
            "your-token-here",
            "changeme",
            "process.env.SECRET",
            "AKIAIOSFODNN7EXAMPLE",
            "null",
            "",
            "00000000",
        ] {
            assert_eq!(not_placeholder(value.as_bytes()), Check::Invalid, "{value}");
        }
        for value in ["s3cr3t-Pa55!", "hunter22", "correct horse", "p@ss<word"] {
            assert_eq!(not_placeholder(value.as_bytes()), Check::Unknown, "{value}");
        }
    }

    #[test]
    fn a_generic_secret_must_look_made() {
        for value in ["k8Jd02mzPq19", "Tr0ub4dor&3", "9f86d081884c7d65", "aGVsbG8gd29ybGQ"] {
            assert_eq!(secret_value(value.as_bytes()), Check::Unknown, "{value}");
        }
        for value in [
            "getPassword()",
            "passwordField",
            "user.password",
            "incorrect",
            "aaaaaaab1",
            "password_reset",
        ] {
            assert_eq!(secret_value(value.as_bytes()), Check::Invalid, "{value}");
        }
    }
}
