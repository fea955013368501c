//! Securities, legal entities, and American health identifiers.
//!
//! Sources: ISO 17442 (LEI), ISO 6166 (ISIN), CMS (NPI: Luhn behind 80840), DEA (registration
//! numbers), IRS (prefixes of employer numbers).

use super::Check;
use super::checksum::{digits, luhn, mod97, number, plain, rank36, repeated};

/// LEI: eighteen letters and digits, MOD 97-10.
pub(super) fn lei(value: &[u8]) -> Check {
    let text = plain(value);
    let holds = text.len() == 20 && mod97(text.iter().copied()) == Some(1);
    Check::strong(holds && text[18..].iter().all(u8::is_ascii_digit))
}

/// ISIN: country, nine characters, Luhn over the digits that letters spell.
pub(super) fn isin(value: &[u8]) -> Check {
    let text = plain(value);
    let mut digits = Vec::with_capacity(24);
    for byte in &text {
        match rank36(*byte) {
            Some(rank @ 10..) => digits.extend([(rank / 10) as u8, (rank % 10) as u8]),
            Some(rank) => digits.push(rank as u8),
            None => return Check::Invalid,
        }
    }
    let country = text.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_uppercase));
    Check::weak(country && text.len() == 12 && luhn(&digits))
}

/// NPI: ten digits, 1 or 2 first, Luhn behind the issuer's number 80840.
pub(super) fn us_npi(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let all: Vec<u8> = [8, 0, 8, 4, 0].into_iter().chain(digits).collect();
    Check::weak(matches!(digits[0], 1 | 2) && luhn(&all))
}

/// DEA registration: kind, initial, six digits, their sum's last digit.
pub(super) fn us_dea(value: &[u8]) -> Check {
    let text = plain(value);
    let Some(digits) = text.get(2..).and_then(digits::<7>) else { return Check::Invalid };
    let sum = |places: [usize; 3]| places.iter().map(|&at| u32::from(digits[at])).sum::<u32>();
    let check = (sum([0, 2, 4]) + 2 * sum([1, 3, 5])) % 10;
    Check::weak(number(&digits) > 0 && check == u32::from(digits[6]))
}

/// Employer identification number: a prefix that the IRS gives out.
pub(super) fn us_ein(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let known = !matches!(number(&digits[..2]), 0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97);
    Check::weak(known && !repeated(&digits))
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (lei, &["213800KUD8LAJWSQ9D15", "5493001KJTIIGC8Y1R12"], &["213800KUD8LXJWSQ9D15"]),
            (isin, &["US0378331005", "AU0000XVGZA3", "GB0002634946"], &["US0378331004"]),
            (us_npi, &["1234567893"], &["1234567894", "3234567893"]),
            (us_dea, &["AP5836727", "F91234563"], &["AP5836728"]),
            (us_ein, &["91-1144442", "04-2103594"], &["07-1144442"]),
        ]);
    }
}
