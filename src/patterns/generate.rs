//! Generated examples: `ghp_{{base62:30}}{{crc32_base62}}`.
//!
//! A token that looks live must not lie in the tree, so rule files hold its recipe and
//! tests expand it. The generator is seeded: the same example and seed give the same
//! text. Alphabets are named here; checksums are the completers of `validate`, which see
//! all that the example has made so far.

use crate::validate;

/// Longest run that a generator makes.
const MAX_SIZE: usize = 4096;

const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &[u8] = b"0123456789";
const HEX: &[u8] = b"0123456789abcdef";
const HEX_UPPER: &[u8] = b"0123456789ABCDEF";
const ALNUM: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const ALNUM_UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Alphabets by name: `{{hex:40}}` makes forty characters.
const ALPHABETS: &[(&str, &[u8])] = &[
    ("lower", LOWER),
    ("upper", UPPER),
    ("digits", DIGITS),
    ("hex", HEX),
    ("hex_upper", HEX_UPPER),
    ("alnum", ALNUM),
    ("alnum_upper", ALNUM_UPPER),
    ("base32", BASE32),
    ("base58", BASE58),
    ("base62", BASE62),
    ("base64", BASE64),
    ("base64url", BASE64URL),
];

/// A small seeded generator (splitmix64); examples need variety, not secrecy.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `count` characters of the alphabet.
    pub fn text(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count)
            .filter_map(|_| {
                let at = (self.number() % alphabet.len().max(1) as u64) as usize;
                alphabet.get(at).map(|&byte| char::from(byte))
            })
            .collect()
    }
}

/// Expands an example.
///
/// # Errors
/// Which generator is unknown or misused.
pub fn expand(example: &str, seed: u64) -> Result<String, String> {
    let mut random = Random::new(seed);
    let mut out = String::new();
    let mut rest = example;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((recipe, after)) = after.split_once("}}") else {
            return Err(format!("`}}}}` is missing behind `{{{{{after}`"));
        };
        let made = make(recipe, &mut random, &out)?;
        out.push_str(&made);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The name of the largest alphabet that holds none but the bytes that are wanted.
pub(crate) fn alphabet_of(wanted: impl Fn(u8) -> bool) -> Option<&'static str> {
    ALPHABETS
        .iter()
        .filter(|(_, alphabet)| alphabet.iter().all(|&byte| wanted(byte)))
        // Of two of one size the last counts as larger, and small letters come first.
        .rev()
        .max_by_key(|(_, alphabet)| alphabet.len())
        .map(|(name, _)| *name)
}

/// Whether an example can be expanded.
///
/// # Errors
/// As [`expand`].
pub(super) fn check(example: &str) -> Result<(), String> {
    expand(example, 0).map(drop)
}

fn make(recipe: &str, random: &mut Random, so_far: &str) -> Result<String, String> {
    let (name, size) = match recipe.trim().split_once(':') {
        None => (recipe.trim(), None),
        Some((name, size)) => {
            let size = size.trim().parse().ok().filter(|size| (1..=MAX_SIZE).contains(size));
            let size = size.ok_or_else(|| format!("`{recipe}` needs a size of 1 to {MAX_SIZE}"))?;
            (name, Some(size))
        }
    };
    if let Some((_, alphabet)) = ALPHABETS.iter().find(|(known, _)| *known == name) {
        let size = size.ok_or_else(|| format!("`{name}` needs a size, as in `{name}:20`"))?;
        return Ok(random.text(alphabet, size));
    }
    if name == "uuid" {
        return Ok(uuid(random));
    }
    if let Some(completer) = validate::completer(name) {
        let made = completer(so_far.as_bytes());
        return String::from_utf8(made).map_err(|_| format!("`{name}` made no text"));
    }
    let known: Vec<_> = ALPHABETS
        .iter()
        .map(|(name, _)| *name)
        .chain(validate::COMPLETERS.iter().map(|(name, _)| *name))
        .collect();
    Err(format!("there is no generator `{name}`; there are uuid, {}", known.join(", ")))
}

fn uuid(random: &mut Random) -> String {
    let mut part = |count| random.text(HEX, count);
    format!("{}-{}-4{}-a{}-{}", part(8), part(4), part(3), part(3), part(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_expand_the_same_each_time() {
        let example = "key {{upper:4}}-{{digits:3}} and {{hex:40}}";
        let text = expand(example, 7).unwrap();
        assert_eq!(text, expand(example, 7).unwrap());
        assert_ne!(text, expand(example, 8).unwrap());
        assert_eq!(text.len(), 4 + 4 + 1 + 3 + 5 + 40);
        assert_eq!(expand("plain", 1).unwrap(), "plain");
    }

    #[test]
    fn completers_finish_what_stands_before_them() {
        let text = expand("card {{digits:15}}{{luhn}}", 3).unwrap();
        let luhn = validate::by_name("luhn").unwrap();
        assert_ne!(luhn(text.strip_prefix("card ").unwrap().as_bytes()), validate::Check::Invalid);
        assert_eq!(expand("{{uuid}}", 1).unwrap().len(), 36);
    }

    #[test]
    fn mistakes_are_told() {
        for (example, expected) in [
            ("{{hex}}", "needs a size"),
            ("{{hex:0}}", "needs a size of 1"),
            ("{{nope:3}}", "no generator `nope`"),
            ("{{hex:3", "missing"),
        ] {
            let error = expand(example, 0).unwrap_err();
            assert!(error.contains(expected), "{example}: {error}");
        }
    }
}
