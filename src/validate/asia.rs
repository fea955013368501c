//! Personal numbers of China, India and Australia.
//!
//! Sources: GB 11643-1999 (resident identity number), UIDAI (Aadhaar), ATO (TFN).

use super::Check;
use super::checksum::{digits, mod11_2, number, repeated, verhoeff, verhoeff_digit, weighted};
use super::payment::trailing_digits;

/// Resident identity number: region, date of birth, serial, ISO/IEC 7064 MOD 11-2 (10 is X).
pub(super) fn cn_id(value: &[u8]) -> Check {
    let Some((check, body)) = value.split_last() else { return Check::Invalid };
    let Some(digits) = digits::<17>(body) else { return Check::Invalid };
    let region = number(&digits[..2]);
    let (year, month, day) =
        (number(&digits[6..10]), number(&digits[10..12]), number(&digits[12..14]));
    let plausible = matches!(region, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91)
        && matches!(year, 1900..=2099)
        && matches!(month, 1..=12)
        && matches!(day, 1..=31);
    Check::strong(plausible && check.to_ascii_uppercase() == cn_check(&digits))
}

fn cn_check(body: &[u8]) -> u8 {
    match mod11_2(body) {
        10 => b'X',
        digit => b'0' + digit as u8,
    }
}

/// Aadhaar: twelve digits, the first 2 to 9, Verhoeff.
pub(super) fn in_aadhaar(value: &[u8]) -> Check {
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    Check::weak(digits[0] > 1 && !repeated(&digits) && verhoeff(&digits))
}

/// PAN: the serial is never 0000. What its last letter stands for is not published.
pub(super) fn in_pan(value: &[u8]) -> Check {
    let &[ref letters @ .., a, b, c, d, last] = value else { return Check::Invalid };
    let serial = [a, b, c, d];
    let formed = letters.len() == 5
        && letters.iter().chain([&last]).all(u8::is_ascii_uppercase)
        && b"ABCFGHLJPT".contains(&letters[3])
        && serial.iter().all(u8::is_ascii_digit);
    Check::weak(formed && &serial != b"0000")
}

/// Tax file number: nine digits, weights 1, 4, 3, 7, 5, 8, 6, 9, 10, MOD 11.
pub(super) fn au_tfn(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let sum = weighted(&digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]);
    Check::weak(!repeated(&digits) && sum.is_multiple_of(11))
}

/// The Verhoeff digit for the digits right before it.
pub(super) fn complete_verhoeff(before: &[u8]) -> Vec<u8> {
    vec![b'0' + verhoeff_digit(&trailing_digits(before))]
}

/// The check character for the seventeen digits right before it.
pub(super) fn complete_cn_id(before: &[u8]) -> Vec<u8> {
    let digits = trailing_digits(before);
    vec![cn_check(digits.get(digits.len().saturating_sub(17)..).unwrap_or_default())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples() {
        assert_eq!(cn_id(b"11010519491231002X"), Check::Valid, "the example of GB 11643");
        assert_eq!(cn_id(b"11010519491231002x"), Check::Valid);
        assert_eq!(cn_id(b"110105194912310021"), Check::Invalid);
        assert_eq!(cn_id(b"11010519491331002X"), Check::Invalid, "no thirteenth month");
        assert_eq!(in_aadhaar(b"2341 2341 2346"), Check::Plausible);
        assert_eq!(in_aadhaar(b"2341 2341 2347"), Check::Invalid);
        assert_eq!(in_aadhaar(b"1341 2341 2346"), Check::Invalid);
        assert_eq!(in_pan(b"ABCPE1234F"), Check::Plausible);
        assert_eq!(in_pan(b"ABCPE0000F"), Check::Invalid);
        assert_eq!(au_tfn(b"123 456 782"), Check::Plausible);
        assert_eq!(au_tfn(b"123 456 789"), Check::Invalid);
    }

    proptest! {
        #[test]
        fn completed_numbers_hold(serial in "[2-9][0-9]{10}", tail in "[0-9]{3}") {
            let mut text = serial.into_bytes();
            text.extend(complete_verhoeff(&text));
            prop_assert_ne!(in_aadhaar(&text), Check::Valid, "one digit proves little");
            prop_assert_eq!(in_aadhaar(&text), Check::Plausible);

            let mut text = format!("11010519491231{tail}").into_bytes();
            text.extend(complete_cn_id(&text));
            prop_assert_eq!(cn_id(&text), Check::Valid);
            text[16] = b'0' + (text[16] - b'0' + 1) % 10;
            prop_assert_eq!(cn_id(&text), Check::Invalid);
        }
    }
}
