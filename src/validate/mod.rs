//! Checksums and structure checks: what tells a card number from sixteen digits.
//!
//! Every check is a pure function of the matched bytes, named in [`VALIDATORS`], so that
//! a rule picks one by name and a new one is a function and a table line. What a check's
//! answer does to a finding is `detect`'s business.
//!
//! A check whose sum a random value passes about one time in ten answers
//! [`Check::Plausible`], never [`Check::Valid`]: a bare nine-digit number must not become
//! a certain tax number because its last digit happens to fit.
//!
//! [`COMPLETERS`] are the other direction: they finish a half-written value, so that the
//! examples of rules can be made up when they are needed and nothing that looks live lies
//! in the tree.

mod americas;
mod asia;
mod checksum;
mod encoding;
mod europe;
mod keys;
mod net;
mod payment;
mod placeholder;
mod tokens;

/// What a validator says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The checksum or structure holds, and would not by chance.
    Valid,
    /// It holds, but so it does for one random value in ten or so: confidence stays.
    Plausible,
    /// It does not hold, and the format's version is certain.
    Invalid,
    /// Cannot be told.
    Unknown,
}

impl Check {
    /// `Valid` or `Invalid`.
    fn strong(holds: bool) -> Self {
        if holds { Self::Valid } else { Self::Invalid }
    }

    /// `Plausible` or `Invalid`.
    fn weak(holds: bool) -> Self {
        if holds { Self::Plausible } else { Self::Invalid }
    }

    /// `Valid` or `Unknown`: for tokens whose format has versions without a checksum.
    fn promote(holds: bool) -> Self {
        if holds { Self::Valid } else { Self::Unknown }
    }
}

/// A check of one matched value, given as it stands in the text, separators and all.
pub type Validator = fn(&[u8]) -> Check;

/// Gives the bytes that finish a value, from what stands before them.
pub type Completer = fn(&[u8]) -> Vec<u8>;

/// Every check by the name that rules use, sorted.
pub const VALIDATORS: &[(&str, Validator)] = &[
    ("atlassian_token", tokens::atlassian),
    ("au_tfn", asia::au_tfn),
    ("aws_key_id", keys::aws_key_id),
    ("base64_userinfo", keys::base64_userinfo),
    ("br_cpf", americas::br_cpf),
    ("ca_sin", americas::ca_sin),
    ("card", payment::card),
    ("cn_id", asia::cn_id),
    ("confluent_token", tokens::confluent),
    ("de_steuer_id", europe::de_steuer_id),
    ("discord_token", keys::discord_token),
    ("email", net::email),
    ("es_dni_nie", europe::es_dni_nie),
    ("fr_nir", europe::fr_nir),
    ("github_token", tokens::github),
    ("gitlab_token", tokens::gitlab),
    ("grafana_token", tokens::grafana),
    ("iban", payment::iban),
    ("in_aadhaar", asia::in_aadhaar),
    ("ipv4_public", net::ipv4_public),
    ("it_codice_fiscale", europe::it_codice_fiscale),
    ("jwt", keys::jwt),
    ("luhn", payment::luhn),
    ("nl_bsn", europe::nl_bsn),
    ("not_placeholder", placeholder::not_placeholder),
    ("npm_token", tokens::npm),
    ("pem", keys::pem),
    ("phone", net::phone),
    ("pl_pesel", europe::pl_pesel),
    ("secret_value", placeholder::secret_value),
    ("slack_token", keys::slack_token),
    ("uk_nhs", europe::uk_nhs),
    ("us_aba", americas::us_aba),
    ("us_itin", americas::us_itin),
    ("us_ssn", americas::us_ssn),
];

/// Every completer by the name that example templates use, sorted.
pub const COMPLETERS: &[(&str, Completer)] = &[
    ("crc32_base62", tokens::complete_crc32_base62),
    ("crc32_confluent", tokens::complete_confluent),
    ("crc32_gitlab", tokens::complete_gitlab),
    ("crc32_hex", tokens::complete_atlassian),
    ("crc32_le_hex", tokens::complete_grafana),
    ("iban", payment::complete_iban),
    ("luhn", payment::complete_luhn),
    ("mod11_2", asia::complete_cn_id),
    ("verhoeff", asia::complete_verhoeff),
];

/// The validator of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<Validator> {
    find(VALIDATORS, name)
}

/// The completer of that name.
#[must_use]
pub fn completer(name: &str) -> Option<Completer> {
    find(COMPLETERS, name)
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let at = table.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    table.get(at).map(|(_, found)| *found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_are_sorted_so_that_every_name_is_found() {
        assert!(VALIDATORS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(COMPLETERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (name, _) in VALIDATORS {
            assert!(by_name(name).is_some(), "{name}");
        }
        assert!(by_name("no such check").is_none());
        assert!(completer("luhn").is_some());
    }

    proptest! {
        #[test]
        fn no_check_panics_on_any_bytes(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, check) in VALIDATORS {
                check(&value);
            }
            for (_, complete) in COMPLETERS {
                complete(&value);
            }
        }

        #[test]
        fn no_check_panics_on_what_shapes_match(value in "[ -~]{0,120}") {
            for (_, check) in VALIDATORS {
                check(value.as_bytes());
            }
            for (_, complete) in COMPLETERS {
                complete(value.as_bytes());
            }
        }
    }
}
