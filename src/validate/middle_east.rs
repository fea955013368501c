//! Numbers of the Middle East and Africa.
//!
//! Sources: the civil registries of each country: NVİ (TCKN), PIBA (Israel), DHA (South
//! Africa), Absher (Saudi Arabia), ICP (Emirates ID), PACI (Kuwait), Sabt-e Ahval (Iran),
//! the civil status organisation of Egypt.

use super::Check;
use super::checksum::{digits, is_day, luhn, number, repeated, weighted};

/// Turkish identity number: eleven digits, two of them sums of the others.
pub(super) fn tr_tckn(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let sum = |places: &[usize]| places.iter().map(|&at| u32::from(digits[at])).sum::<u32>();
    // Ten more than the subtraction needs, so that it stays above zero.
    let tenth = (sum(&[0, 2, 4, 6, 8]) * 7 + 40 - sum(&[1, 3, 5, 7])) % 10;
    let eleventh = (sum(&[0, 1, 2, 3, 4, 5, 6, 7, 8]) + tenth) % 10;
    let holds = [tenth, eleventh] == [u32::from(digits[9]), u32::from(digits[10])];
    Check::weak(digits[0] > 0 && holds)
}

/// Turkish tax number: ten digits.
pub(super) fn tr_vkn(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let sum: u32 = digits[..9]
        .iter()
        .zip((1..=9_u32).rev())
        .map(|(&digit, place)| {
            let shifted = (u32::from(digit) + place) % 10;
            let power = (shifted << place) % 9;
            if shifted != 0 && power == 0 { 9 } else { power }
        })
        .sum();
    Check::weak(!repeated(&digits) && (10 - sum % 10) % 10 == u32::from(digits[9]))
}

/// Israeli identity number: nine digits, Luhn.
pub(super) fn il_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    Check::weak(!repeated(&digits) && luhn(&digits))
}

/// South African identity number: date of birth, serial, citizenship, Luhn.
pub(super) fn za_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    let dated = is_day(number(&digits[2..4]), number(&digits[4..6]));
    Check::weak(dated && digits[10] < 3 && luhn(&digits))
}

/// Saudi identity (1 first) and residence (2 first) numbers: Luhn.
pub(super) fn sa_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    Check::weak(matches!(digits[0], 1 | 2) && luhn(&digits))
}

/// Emirates ID: 784, year of birth, serial, Luhn.
pub(super) fn ae_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<15>(value) else { return Check::Invalid };
    let year = matches!(number(&digits[3..7]), 1900..=2099);
    if number(&digits[..3]) != 784 || !year {
        return Check::Invalid;
    }
    // The sum is not published; cards are said to hold it, so it may lift and not drop.
    Check::promote(luhn(&digits))
}

/// Kuwaiti civil number: century, date of birth, MOD 11.
pub(super) fn kw_civil(value: &[u8]) -> Check {
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..11], &[2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    let dated = is_day(number(&digits[3..5]), number(&digits[5..7]));
    let known = matches!(digits[0], 2 | 3);
    Check::weak(known && dated && 11 - rest == u32::from(digits[11]))
}

/// Iranian national code: ten digits, MOD 11.
pub(super) fn ir_code(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { rest } else { 11 - rest };
    let known = number(&digits[..6]) > 0 && !repeated(&digits);
    Check::weak(known && check == u32::from(digits[9]))
}

/// Egyptian national id: century, date of birth, governorate; the sum is not published.
pub(super) fn eg_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<14>(value) else { return Check::Invalid };
    let place = matches!(number(&digits[7..9]), 1..=4 | 11..=19 | 21..=29 | 31..=35 | 88);
    let dated = is_day(number(&digits[3..5]), number(&digits[5..7]));
    Check::weak(matches!(digits[0], 2 | 3) && dated && place)
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (tr_tckn, &["17291716060", "10000000146"], &["17291716050", "07291716060"]),
            (tr_vkn, &["4540536920"], &["4540536921"]),
            (il_id, &["03933742-3", "219472156"], &["219472157", "000000000"]),
            (
                za_id,
                &["7503305044089", "800101 5009 087"],
                &["8503305044089", "9125568", "7513305044089"],
            ),
            (sa_id, &["1000000008"], &["1000000009", "3000000004"]),
            (ae_id, &["784-1980-1234567-8"], &["785-1980-1234567-8", "784-1880-1234567-8"]),
            (ir_code, &["0499370899", "0084575948"], &["1260293040", "0000000001"]),
            (eg_id, &["29001011234567"], &["29013011234567", "19001011234567"]),
        ]);
    }

    #[test]
    fn kuwaiti_numbers_hold_a_date_and_a_sum() {
        let mut holding = 0;
        for last in 0..10 {
            let value = format!("28401120{:03}{last}", 123);
            holding += u32::from(kw_civil(value.as_bytes()) == Check::Plausible);
        }
        assert!(holding <= 1, "one check digit at most fits");
        assert_eq!(kw_civil(b"284131201234"), Check::Invalid);
    }
}
