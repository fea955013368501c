//! What stands where a secret would stand, and is none.
//!
//! Generic `key=value` rules meet far more templates, references and samples than secrets.
//! The tests here are about form (a reference, a template mark, one character repeated, a
//! handful of words that only ever stand for a value), never about entropy of known tokens:
//! a token with a vendor's prefix is never dropped by them.

use super::{Check, random};

/// `Invalid` for a placeholder, else `Unknown`.
pub(super) fn not_placeholder(value: &[u8]) -> Check {
    if is_placeholder(value) { Check::Invalid } else { Check::Unknown }
}

/// For what stands behind the name of a password: no placeholder, no plain word, no path or
/// code, but letters and something else.
pub(super) fn secret_value(value: &[u8]) -> Check {
    drop_unless(!is_placeholder(value) && random::is_password(value))
}

/// For what stands behind the name of a key or token, or of who gives them out: only what a
/// machine writes.
pub(super) fn token_value(value: &[u8]) -> Check {
    let token = random::is_token(value) && !is_counting(value);
    drop_unless(token && !is_placeholder(value))
}

/// For an address: whether a password that is no placeholder stands before the last `@` of
/// its authority.
pub(super) fn url_password(value: &[u8]) -> Check {
    let at = value.windows(3).position(|three| three == b"://").map_or(0, |at| at + 3);
    let rest = value.get(at..).unwrap_or_default();
    let authority = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
    let userinfo =
        authority.iter().rposition(|byte| *byte == b'@').and_then(|at| authority.get(..at));
    let password = userinfo.and_then(|text| {
        let colon = text.iter().position(|byte| *byte == b':')?;
        text.get(colon + 1..)
    });
    drop_unless(password.is_some_and(|password| !is_placeholder(password)))
}

fn drop_unless(holds: bool) -> Check {
    if holds { Check::Unknown } else { Check::Invalid }
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
    b"&lt;",
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
    b"guest",
    b"postgres",
    b"mysql",
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

/// Samples count: eight characters or more that go up or down by one, or a short run over
/// and over.
fn is_counting(value: &[u8]) -> bool {
    let steps = |by: u8| {
        let mut run = 1_usize;
        let mut longest = 1_usize;
        for two in value.windows(2) {
            run = if two[1] == two[0].wrapping_add(by) { run + 1 } else { 1 };
            longest = longest.max(run);
        }
        longest
    };
    let repeats = (1..=8).any(|period| {
        let same = value.iter().zip(value.iter().skip(period)).filter(|(a, b)| a == b).count();
        same + period == value.len() && value.len() >= 3 * period
    });
    repeats || [1, u8::MAX].into_iter().any(|by| steps(by) >= 10 && steps(by) * 2 >= value.len())
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
        for value in ["k8Jd02mzPq19", "Tr0ub4dor&3", "9f86d081884c7d65", "hunter2xYz9"] {
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

    #[test]
    fn an_address_holds_a_password_or_a_placeholder() {
        for value in ["redis://:k8Jd02@h", "postgres://app:a@b@h:5432/x", "x://u:open sesame@h"] {
            assert_eq!(url_password(value.as_bytes()), Check::Unknown, "{value}");
        }
        for value in ["amqp://guest:guest@h/", "x://u:${P}@h", "x://u@h", "x://h/a:b@c", ""] {
            assert_eq!(url_password(value.as_bytes()), Check::Invalid, "{value}");
        }
    }

    #[test]
    fn a_token_is_neither_words_nor_counting() {
        for value in ["k8Jd02mzPq19", "9f86d081884c7d65", "123e4567-e89b-12d3-a456-426614174000"] {
            assert_eq!(token_value(value.as_bytes()), Check::Unknown, "{value}");
        }
        for value in ["hunter2", "0123456789abcdef", "abc1abc1abc1abc1", "my_token_v2", "${A1b2}"] {
            assert_eq!(token_value(value.as_bytes()), Check::Invalid, "{value}");
        }
    }
}
