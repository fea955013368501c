//! Whether a value was made by a machine or is made of words.
//!
//! Entropy cannot tell `authenticationToken` from `dBpXUZSRhgWUKTLLjEyW`: both hold many
//! different letters. How letters follow each other can. [`surprise`] is the mean number of
//! bits that a letter tells behind the one before it, in English and in program text: words
//! stay below 4.3, random letters lie near 6. A table of letter pairs costs 676 bytes and a
//! few nanoseconds, where a tokenizer of a language model (the same idea) costs megabytes.

/// Below this, letters read as words.
const WORDS_BELOW: f64 = 4.35;
/// Fewer pairs of letters than this tell nothing.
const LEAST_PAIRS: u32 = 4;

/// Bits that the second letter of a pair tells behind the first, rounded, 9 at most.
/// Counted over the words of the Python 3 standard library's source and of this
/// repository's documents, each word by the root of its count.
const PAIRS: [&[u8; 26]; 26] = [
    b"85448759596343959343667769",
    b"35553677358367469446389957",
    b"38573783594468279463579979",
    b"46652678288577469546578879",
    b"47435568798453757334866579",
    b"47664378299477379455498969",
    b"48672654399564569446478987",
    b"28762788398667389564598969",
    b"55455559998442459543959695",
    b"38572877585787357656398778",
    b"48652557398475568635685978",
    b"38652789397477369855579949",
    b"25862798397657339756599979",
    b"48433538496676469843668979",
    b"66447669696442549345465799",
    b"38663676497387349354597959",
    b"77968899889696776557098899",
    b"37552769396656369444677959",
    b"58472774396567548742477959",
    b"38562684298567469345587958",
    b"54564559599442649333899898",
    b"27791778398967579767878899",
    b"37653694398674378346886699",
    b"56353586399558639652778557",
    b"65554577499543528534766966",
    b"48681797399757489767798966",
];

/// What a value is made of.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    lower: u32,
    upper: u32,
    digits: u32,
    /// Marks that stand neither in identifiers nor in paths and dates.
    symbols: u32,
    distinct: u32,
    /// Changes between letter and digit, and from lower to upper case.
    turns: u32,
}

fn parts(value: &[u8]) -> Parts {
    let mut parts = Parts::default();
    let mut seen = [false; 256];
    for &byte in value {
        if !seen[usize::from(byte)] {
            seen[usize::from(byte)] = true;
            parts.distinct += 1;
        }
        match byte {
            b'a'..=b'z' => parts.lower += 1,
            b'A'..=b'Z' => parts.upper += 1,
            b'0'..=b'9' => parts.digits += 1,
            b'_' | b'-' | b'.' | b'/' | b':' | b' ' => {}
            _ => parts.symbols += 1,
        }
    }
    let turns = value.windows(2).filter(|two| {
        let digit = (two[0].is_ascii_digit(), two[1].is_ascii_digit());
        digit == (true, false) && two[1].is_ascii_alphabetic()
            || digit == (false, true) && two[0].is_ascii_alphabetic()
            || two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase()
    });
    parts.turns = turns.count().try_into().unwrap_or(u32::MAX);
    parts
}

/// The mean surprise of its letters in bits, and over how many pairs.
fn surprise(value: &[u8]) -> (f64, u32) {
    let rank = |byte: u8| byte.is_ascii_alphabetic().then(|| byte.to_ascii_lowercase() - b'a');
    let mut sum = 0_u32;
    let mut pairs = 0_u32;
    for two in value.windows(2) {
        if let (Some(first), Some(second)) = (rank(two[0]), rank(two[1])) {
            sum += u32::from(PAIRS[usize::from(first)][usize::from(second)] - b'0');
            pairs += 1;
        }
    }
    (f64::from(sum) / f64::from(pairs.max(1)), pairs)
}

/// Whether its letters read as words.
fn is_wordy(value: &[u8]) -> bool {
    let (bits, pairs) = surprise(value);
    pairs >= LEAST_PAIRS && bits < WORDS_BELOW
}

/// `8-4-4-4-12` hexadecimal digits, not all of them alike.
pub(super) fn is_uuid(value: &[u8]) -> bool {
    let shape = value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    shape && parts(value).distinct > 6
}

/// A key, token or hash: what only a machine writes.
pub(super) fn is_token(value: &[u8]) -> bool {
    if is_uuid(value) {
        return true;
    }
    let is = parts(value);
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let letters = is.lower + is.upper;
    if length < 8 || letters == 0 || is.distinct < (length / 3).clamp(5, 10) || is_code(value) {
        return false;
    }
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    if hex && (is.lower == 0 || is.upper == 0) && length >= 16 {
        return is.digits > 1;
    }
    if is.symbols * 3 > length || is_host(value) {
        return false;
    }
    let (bits, pairs) = surprise(value);
    let random = pairs < LEAST_PAIRS || bits >= if length < 16 { 4.2 } else { WORDS_BELOW };
    if is.digits == 0 {
        // No digit among sixteen random characters of base 62 happens one time in sixteen.
        let mixed = is.lower > 2 && is.upper > 2;
        return length >= 16 && bits > if mixed { 4.8 } else { 5.2 };
    }
    let often = is.turns * 6 >= length || is.digits * 5 >= length;
    let mixed = is.turns * 4 >= length && length >= 12;
    let surely = bits >= 4.9 && pairs >= 8;
    (random && often || mixed || surely) && !is_identifier(value)
}

/// A password that somebody thought of, or a machine made: letters and something else.
pub(super) fn is_password(value: &[u8]) -> bool {
    if is_token(value) {
        return true;
    }
    let is = parts(value);
    let letters = is.lower + is.upper;
    // A mark at an end belongs to a selector, a path or a sentence.
    let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let mixed = letters > 1 && is.digits > 0
        || letters > 2 && parts(inner).symbols > 0 && !value.contains(&b'/')
        || letters > 0 && is.symbols > 0 && is.digits > 0;
    mixed && is.distinct >= 5 && !is_code(value) && !is_identifier(value)
}

/// Marks of code, and paths.
fn is_code(value: &[u8]) -> bool {
    let inner = value.get(1..).unwrap_or_default();
    let path = matches!(value, [b'/' | b'.' | b'~', b'/' | b'a'..=b'z' | b'A'..=b'Z' | b'.', ..])
        && inner.contains(&b'/')
        && is_wordy(value);
    let call = value.windows(2).any(|two| {
        matches!(two, b"()" | b"::" | b"->" | b"=>" | b"[]" | b"&&" | b"||" | b"\\n" | b"//")
    });
    let calls = |two: &[u8]| two[1] == b'(' && (two[0].is_ascii_alphanumeric() || two[0] == b'_');
    path || call || value.starts_with(b"(") || value.windows(2).any(calls)
}

/// `host.example.com`: lower case, and a last part of a few letters.
fn is_host(value: &[u8]) -> bool {
    let named =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(byte);
    let last = value.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    value.contains(&b'.')
        && value.iter().all(named)
        && (2..=6).contains(&last.len())
        && last.iter().all(u8::is_ascii_lowercase)
}

/// Words joined by marks, each with few digits: `sha256_sum`, `oauth2.token`, `step-3`.
fn is_identifier(value: &[u8]) -> bool {
    let joined = |byte: &u8| matches!(byte, b'_' | b'-' | b'.' | b'/' | b':');
    let plain = value.iter().all(|byte| byte.is_ascii_alphanumeric() || joined(byte));
    if !plain || !value.iter().any(joined) {
        return false;
    }
    value.split(joined).all(|word| {
        let is = parts(word);
        let letters = is.lower + is.upper;
        letters == 0 && is.digits <= 4
            || is.digits == 0 && (word.len() <= 5 || is_wordy(word))
            || is.digits <= 4 && is.turns <= 1 && (word.len() <= 7 || is_wordy(word))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn machines_write_tokens() {
        for value in [
            "k8Jd02mzPq19",
            "9f86d081884c7d65",
            "dBpXUZSRhgWUKTLLjEyWGYIJgV",
            "123e4567-e89b-12d3-a456-426614174000",
            "N2kxq5vKN6S7M9Jp0vHK8z2Qwy6V8d",
            "iyfmob6xjrfmit67anxbot64umfx2clwx7dz5ynx",
            "P7_aldcQ6XbodqDCWMC7m",
        ] {
            assert!(is_token(value.as_bytes()), "{value}");
        }
        for value in [
            "authenticationToken",
            "getUserCredentials2",
            "sha256_checksum_algorithm",
            "my_api_key_2024",
            "oauth2.token",
            "PKCS12_KDF_SHA256",
            "ssl_certificate_path",
            "application/x-www-form-urlencoded",
            "2026-11-21",
            "1234567890123456",
            "kubernetes-v1.29",
            "./target/debug/build",
            "std::string",
            "dev-r0alk1x87r7luw3z.us.example.com",
            "^[a-z0-9]{4}(?:-[0-9]+)*$",
            "",
        ] {
            assert!(!is_token(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn people_think_of_passwords() {
        for value in ["hunter2xYz9", "P@ssw0rd123", "Tr0ub4dor&3", "mycoin!1", "super$ecret"] {
            assert!(is_password(value.as_bytes()), "{value}");
        }
        for value in
            ["passwordField", "user.password", "Password:", "required", "form.password1", "#input"]
        {
            assert!(!is_password(value.as_bytes()), "{value}");
        }
    }

    proptest! {
        #[test]
        fn random_tokens_are_told(value in "[0-9A-Za-z]{32}") {
            let is = parts(value.as_bytes());
            prop_assume!(is.digits > 1 && is.digits < 16);
            prop_assert!(is_token(value.as_bytes()), "{}", value);
        }

        #[test]
        fn random_hex_is_told(value in "[0-9a-f]{32}") {
            prop_assume!(parts(value.as_bytes()).distinct >= 10);
            prop_assert!(is_token(value.as_bytes()), "{}", value);
        }
    }
}
