//! Check-digit arithmetic shared by the identifiers of many countries.
//!
//! Each function works on digit values, already freed of separators; what a country makes
//! of the sum (which weights, which exceptions) stays with that country. ISO/IEC 7064 names
//! the pure and hybrid systems; Verhoeff's tables are those of his 1969 thesis.

/// The digits of a value, which may be set apart by one of the usual separators; `None`
/// unless there are exactly `N` and nothing else.
pub(super) fn digits<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut count = 0;
    for &byte in value {
        match byte {
            b'0'..=b'9' => {
                *out.get_mut(count)? = byte - b'0';
                count += 1;
            }
            b' ' | b'-' | b'.' | b'/' => {}
            _ => return None,
        }
    }
    (count == N).then_some(out)
}

/// The number that a few digits spell.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, &digit| sum.saturating_mul(10).saturating_add(u64::from(digit)))
}

/// Whether all digits are the same: such numbers pass many sums and are never given out.
pub(super) fn repeated(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| pair[0] == pair[1])
}

/// Letters and digits of a value, upper case, freed of the usual separators.
pub(super) fn plain(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-' | b'.' | b'/' | b'_'))
        .map(u8::to_ascii_uppercase)
        .collect()
}

/// Whether a month has that day, in a leap year.
pub(super) fn is_day(month: u64, day: u64) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    (1..=last).contains(&day)
}

/// Whether there was or will be such a day: century (19 for 19xx), year, month, day.
pub(super) fn is_date(century: u64, year: &[u8], month: &[u8], day: &[u8]) -> bool {
    let (year, month, day) = (century * 100 + number(year), number(month), number(day));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    is_day(month, day) && (leap || (month, day) != (2, 29)) && (1800..2100).contains(&year)
}

/// The check digit of an EAN: weights 3 and 1 from the right, the check digit last.
pub(super) fn ean(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| u32::from(digit) * if at % 2 == 0 { 1 } else { 3 })
        .sum();
    sum.is_multiple_of(10)
}

/// The sum of ICAO 9303: weights 7, 3, 1 over and over; A counts 10, Z 35.
pub(super) fn letters_731(text: &[u8]) -> u32 {
    text.iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(byte, weight)| rank36(*byte).unwrap_or_default() * weight)
        .sum()
}

/// The value of a digit or upper-case letter: A is 10, Z is 35.
pub(super) fn rank36(byte: u8) -> Option<u32> {
    match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
        _ => None,
    }
}

/// Sum of digit times weight.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, weight)| u32::from(digit) * weight).sum()
}

/// ISO/IEC 7812-1 annex B: every second digit from the right is doubled.
pub(super) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits).is_multiple_of(10)
}

/// The digit that makes `digits` followed by it pass [`luhn`].
pub(super) fn luhn_digit(digits: &[u8]) -> u8 {
    let with_zero: Vec<u8> = digits.iter().copied().chain([0]).collect();
    ((10 - luhn_sum(&with_zero) % 10) % 10) as u8
}

fn luhn_sum(digits: &[u8]) -> u32 {
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| {
            let value = u32::from(digit);
            match (at % 2, value) {
                (0, _) => value,
                (_, 0..=4) => value * 2,
                _ => value * 2 - 9,
            }
        })
        .sum()
}

/// The remainder by 97 of a text of digits and letters, A as 10 to Z as 35, as MOD 97-10 reads it.
pub(super) fn mod97(text: impl Iterator<Item = u8>) -> Option<u32> {
    text.into_iter().try_fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => Some((sum * 10 + u32::from(byte - b'0')) % 97),
        b'A'..=b'Z' => Some((sum * 100 + u32::from(byte - b'A') + 10) % 97),
        _ => None,
    })
}

/// ISO/IEC 7064 MOD 11,10, the check digit last.
pub(super) fn mod11_10(digits: &[u8]) -> bool {
    let Some((&check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10_u32, |product, &digit| {
        let sum = (product + u32::from(digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(check)
}

/// ISO/IEC 7064 MOD 11-2: the check value, 0 to 10, of the digits before it.
pub(super) fn mod11_2(body: &[u8]) -> u32 {
    let sum = body.iter().fold(0_u32, |sum, &digit| (sum + u32::from(digit)) * 2 % 11);
    (12 - sum) % 11
}

const VERHOEFF_PRODUCT: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

const VERHOEFF_PERMUTATION: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// Verhoeff's dihedral check, the check digit last.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    verhoeff_state(digits.iter().rev().copied()) == 0
}

/// The digit that makes `digits` followed by it pass [`verhoeff`].
pub(super) fn verhoeff_digit(digits: &[u8]) -> u8 {
    let state = verhoeff_state(std::iter::once(0).chain(digits.iter().rev().copied()));
    // The inverse of a rotation is the opposite rotation; a reflection is its own.
    if state < 5 { (5 - state) % 5 } else { state }
}

fn verhoeff_state(from_the_right: impl Iterator<Item = u8>) -> u8 {
    from_the_right.enumerate().fold(0, |state, (at, digit)| {
        let turned = VERHOEFF_PERMUTATION[at % 8][usize::from(digit % 10)];
        VERHOEFF_PRODUCT[usize::from(state)][usize::from(turned)]
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn published_vectors_hold() {
        assert!(luhn(&values("79927398713")), "the worked example of ISO/IEC 7812-1");
        assert!(verhoeff(&values("2363")), "236 has check digit 3");
        assert_eq!(mod11_2(&values("0794")), 0, "ISO/IEC 7064, clause 7.2: 07940");
        assert!(mod11_10(&values("07945")), "ISO/IEC 7064, clause 9.2: 07945");
        assert_eq!(mod97(b"3214282912345698765432161182".iter().copied()), Some(1));
    }

    #[test]
    fn digits_come_out_of_their_separators_or_not_at_all() {
        assert_eq!(digits::<4>(b"1 2-3.4"), Some([1, 2, 3, 4]));
        assert_eq!(digits::<4>(b"123"), None);
        assert_eq!(digits::<4>(b"12345"), None);
        assert_eq!(digits::<4>(b"12x4"), None);
    }

    proptest! {
        #[test]
        fn a_completed_number_passes_and_any_changed_digit_fails(
            body in proptest::collection::vec(0_u8..10, 3..20),
            at in any::<proptest::sample::Index>(),
            by in 1_u8..10,
        ) {
            for (complete, holds) in [
                (luhn_digit as fn(&[u8]) -> u8, luhn as fn(&[u8]) -> bool),
                (verhoeff_digit, verhoeff),
            ] {
                let mut number = body.clone();
                number.push(complete(&body));
                prop_assert!(holds(&number));
                let at = at.index(number.len());
                number[at] = (number[at] + by) % 10;
                prop_assert!(!holds(&number));
            }
        }

        #[test]
        fn verhoeff_sees_swapped_neighbours(body in proptest::collection::vec(0_u8..10, 3..20), at in any::<proptest::sample::Index>()) {
            let mut number = body.clone();
            number.push(verhoeff_digit(&body));
            let at = at.index(number.len() - 1);
            prop_assume!(number[at] != number[at + 1]);
            number.swap(at, at + 1);
            prop_assert!(!verhoeff(&number));
        }
    }
}
