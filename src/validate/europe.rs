//! Personal numbers of European countries.
//!
//! Sources: NHS Data Dictionary; `BZSt` and ISO/IEC 7064 (Steuer-ID); Ministerio del
//! Interior (DNI, NIE); DM 23/12/1976 (codice fiscale, with the letters that replace digits
//! of doubles); INSEE (NIR); `RvIG` (BSN); the PESEL act.

use super::Check;
use super::checksum::{digits, is_day, mod11_10, number, plain, repeated, weighted};

/// NHS number: ten digits, MOD 11; a check value of 10 is never given out.
pub(super) fn uk_nhs(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let check = (11 - weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    Check::weak(!repeated(&digits) && check == u32::from(digits[9]))
}

/// Steuer-ID: not 0 first, one digit two or three times among the first ten and the others
/// at most once, MOD 11,10. Three in a row are not given out.
pub(super) fn de_steuer_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let body = &digits[..10];
    let mut counts = [0_u8; 10];
    for &digit in body {
        counts[usize::from(digit)] += 1;
    }
    let repeats: Vec<u8> = counts.into_iter().filter(|&count| count > 1).collect();
    let in_a_row = body.windows(3).any(repeated);
    let shape = matches!(repeats[..], [2 | 3]) && !in_a_row && digits[0] != 0;
    Check::strong(shape && mod11_10(&digits))
}

const DNI_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// National insurance number: a prefix that is in use, six digits, a letter up to D. There is
/// no sum.
pub(super) fn uk_nino(value: &[u8]) -> Check {
    const UNUSED: [&[u8]; 7] = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"];
    let text = plain(value);
    let &[first, second, ref middle @ .., last] = &text[..] else { return Check::Invalid };
    let letters = |byte: u8, but: &[u8]| byte.is_ascii_uppercase() && !but.contains(&byte);
    let prefix = letters(first, b"DFIQUV") && letters(second, b"DFIOQUV");
    Check::weak(
        prefix
            && !UNUSED.contains(&&[first, second][..])
            && digits::<6>(middle).is_some()
            && matches!(last, b'A'..=b'D'),
    )
}

/// DNI (eight digits), NIE (X, Y or Z and seven digits) or one of children and non-residents
/// (K, L or M and seven digits), and a letter by MOD 23.
pub(super) fn es_dni_nie(value: &[u8]) -> Check {
    let text: Vec<u8> = value
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-' | b'.'))
        .map(u8::to_ascii_uppercase)
        .collect();
    let Some((letter, body)) = text.split_last() else { return Check::Invalid };
    let body: Vec<u8> = match body.split_first() {
        Some((first @ b'X'..=b'Z', rest)) => {
            [first - b'X' + b'0'].into_iter().chain(rest.iter().copied()).collect()
        }
        Some((b'K'..=b'M', rest)) => [b'0'].into_iter().chain(rest.iter().copied()).collect(),
        _ => body.to_vec(),
    };
    let Some(digits) = digits::<8>(&body) else { return Check::Invalid };
    Check::strong(DNI_LETTERS[(number(&digits) % 23) as usize] == *letter)
}

/// Value of a character of the codice fiscale at an odd place, counted from one.
const CF_ODD: [u8; 26] =
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/// Codice fiscale of a person: sixteen characters, the last by MOD 26.
pub(super) fn it_codice_fiscale(value: &[u8]) -> Check {
    let text = value.to_ascii_uppercase();
    let [body @ .., check] = &text[..] else { return Check::Invalid };
    if body.len() != 15 {
        return Check::Invalid;
    }
    let mut sum = 0_u32;
    for (at, &byte) in body.iter().enumerate() {
        // Digits count as the letters A to J.
        let rank = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A',
            _ => return Check::Invalid,
        };
        sum += u32::from(if at % 2 == 0 { CF_ODD[usize::from(rank)] } else { rank });
    }
    let month = body.get(8).is_some_and(|byte| b"ABCDEHLMPRST".contains(byte));
    Check::strong(month && u32::from(check.wrapping_sub(b'A')) == sum % 26)
}

/// NIR (numéro de sécurité sociale): thirteen places and 97 less the remainder by 97;
/// 2A counts as 19 and 2B as 18.
pub(super) fn fr_nir(value: &[u8]) -> Check {
    let mut text: Vec<u8> = value
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-' | b'.'))
        .map(u8::to_ascii_uppercase)
        .collect();
    if let Some(department) = text.get_mut(5..7) {
        match &*department {
            b"2A" => department.copy_from_slice(b"19"),
            b"2B" => department.copy_from_slice(b"18"),
            _ => {}
        }
    }
    let Some(digits) = digits::<15>(&text) else { return Check::Invalid };
    let month = number(&digits[3..5]);
    let shape = matches!(digits[0], 1..=4 | 7 | 8) && matches!(month, 1..=12 | 20..=42 | 50..=99);
    Check::strong(shape && number(&digits[13..]) == 97 - number(&digits[..13]) % 97)
}

/// BSN: nine digits, the "elfproef" with a last weight of −1.
pub(super) fn nl_bsn(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    // A weight of 10 is −1 by 11.
    let sum = sum + u32::from(digits[8]) * 10;
    Check::weak(!repeated(&digits) && sum.is_multiple_of(11))
}

/// PESEL: a date of birth (the century is in the month), weights 1, 3, 7, 9.
pub(super) fn pl_pesel(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let month = number(&digits[2..4]) % 20;
    let day = number(&digits[4..6]);
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    Check::weak(is_day(month, day) && sum.is_multiple_of(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(validator: fn(&[u8]) -> Check, cases: &[(&str, Check)]) {
        for (value, expected) in cases {
            assert_eq!(validator(value.as_bytes()), *expected, "{value}");
        }
    }

    #[test]
    fn british_and_german_numbers() {
        check(uk_nino, &[("AB123456C", Check::Plausible), ("GB 12 34 56 A", Check::Invalid)]);
        check(
            uk_nhs,
            &[
                ("943 476 5919", Check::Plausible),
                ("9434765918", Check::Invalid),
                ("0000000000", Check::Invalid),
            ],
        );
        check(
            de_steuer_id,
            &[
                ("86 095 742 719", Check::Valid),
                ("47036892816", Check::Valid),
                ("65929970489", Check::Valid),
                ("86095742718", Check::Invalid),
                ("06095742719", Check::Invalid),
                ("12345678901", Check::Invalid),
            ],
        );
    }

    #[test]
    fn spanish_italian_and_french_numbers() {
        check(
            es_dni_nie,
            &[
                ("12345678Z", Check::Valid),
                ("12.345.678-z", Check::Valid),
                ("X1234567L", Check::Valid),
                ("M2812345C", Check::Valid),
                ("12345678A", Check::Invalid),
                ("Z", Check::Invalid),
            ],
        );
        check(
            it_codice_fiscale,
            &[
                ("RSSMRA85T10A562S", Check::Valid),
                ("rssmra85t10a562s", Check::Valid),
                ("RSSMRA85T10A562T", Check::Invalid),
                ("RSSMRA85T10A56S", Check::Invalid),
            ],
        );
        check(
            fr_nir,
            &[
                ("2 94 03 75 120 005 91", Check::Valid),
                ("295109912611193", Check::Valid),
                ("295109912611194", Check::Invalid),
                ("253072B07300470", Check::Valid),
            ],
        );
    }

    #[test]
    fn dutch_and_polish_numbers() {
        check(
            nl_bsn,
            &[
                ("111222333", Check::Plausible),
                ("111222334", Check::Invalid),
                ("000000000", Check::Invalid),
            ],
        );
        check(
            pl_pesel,
            &[
                ("44051401359", Check::Plausible),
                ("44051401358", Check::Invalid),
                ("44131401359", Check::Invalid),
            ],
        );
    }

    #[test]
    fn one_changed_digit_breaks_every_sum() {
        for (valid, check) in [
            ("9434765919", uk_nhs as fn(&[u8]) -> Check),
            ("86095742719", de_steuer_id),
            ("295109912611193", fr_nir),
            ("111222333", nl_bsn),
            ("44051401359", pl_pesel),
            ("12345678Z", es_dni_nie),
        ] {
            for (at, byte) in valid.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
                for by in 1..10 {
                    let mut changed = valid.as_bytes().to_vec();
                    changed[at] = b'0' + (byte - b'0' + by) % 10;
                    assert_eq!(check(&changed), Check::Invalid, "{valid} at {at}");
                }
            }
        }
    }
}
