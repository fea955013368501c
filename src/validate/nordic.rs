//! Personal and company numbers of the Nordic and Baltic countries.
//!
//! Sources: Skatteverket (personnummer, samordningsnummer), DVV (henkilötunnus),
//! CPR-kontoret (sums are no longer kept since 2007), Skatteetaten (fødselsnummer, D-number),
//! Registers Iceland (kennitala), the population registers of Estonia, Latvia and Lithuania.

use super::Check;
use super::checksum::{digits, is_date, is_day, luhn, number, weighted};

/// Personnummer: date of birth (day plus 60 for coordination numbers), serial, Luhn over the
/// last ten digits.
pub(super) fn se_personnummer(value: &[u8]) -> Check {
    let plain: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'+').collect();
    let (century, digits) = match (digits::<12>(&plain), digits::<10>(&plain)) {
        (Some(all), _) => (number(&all[..2]), all[2..].to_vec()),
        (_, Some(all)) => (19, all.to_vec()),
        _ => return Check::Invalid,
    };
    let day = number(&digits[4..6]);
    let day = if day > 60 { day - 60 } else { day };
    let dated = is_day(number(&digits[2..4]), day) && matches!(century, 18..=20);
    Check::weak(dated && luhn(&digits))
}

/// Organisationsnummer: the third digit is 2 or more, Luhn.
pub(super) fn se_orgnr(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    Check::weak(digits[0] != 0 && digits[2] > 1 && luhn(&digits))
}

const FI_MARKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";

/// Henkilötunnus: date, century sign, serial, one of 31 marks.
pub(super) fn fi_hetu(value: &[u8]) -> Check {
    let text = value.to_ascii_uppercase();
    let &[ref date @ .., sign, a, b, c, mark] = &text[..] else { return Check::Invalid };
    let (Some(date), Some(serial)) = (digits::<6>(date), digits::<3>(&[a, b, c])) else {
        return Check::Invalid;
    };
    let century = matches!(sign, b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y');
    let rest = (number(&date) * 1000 + number(&serial)) % 31;
    let dated = is_day(number(&date[2..4]), number(&date[..2])) && number(&serial) > 1;
    Check::strong(century && dated && FI_MARKS[rest as usize] == mark)
}

/// CPR number: a date; the sum holds for most, and since 2007 need not.
pub(super) fn dk_cpr(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let year = number(&digits[4..6]);
    // The seventh digit tells the century, together with the year.
    let century = match (digits[6], year) {
        (0..=3, _) | (4 | 9, 37..) => 19,
        (4 | 9, _) | (5..=8, ..=57) => 20,
        _ => 18,
    };
    if !is_date(century, &digits[4..6], &digits[2..4], &digits[..2]) {
        return Check::Invalid;
    }
    match weighted(&digits, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) {
        true => Check::Plausible,
        // Serials ran out for births from the sixties on.
        false if century == 20 || (century, year / 10) >= (19, 6) => Check::Unknown,
        false => Check::Invalid,
    }
}

/// Fødselsnummer, D-number (day plus 40) and H-number (month plus 40): two digits by MOD 11.
pub(super) fn no_fnr(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let (day, month) = (number(&digits[..2]), number(&digits[2..4]));
    let day = if day > 40 { day - 40 } else { day };
    let month = if month > 40 { month - 40 } else { month };
    let first = weighted(&digits[..10], &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    let sums = first.is_multiple_of(11) && second.is_multiple_of(11);
    Check::weak(is_day(month, day) && sums)
}

/// Organisasjonsnummer: nine digits, MOD 11.
pub(super) fn no_orgnr(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let sum = weighted(&digits, &[3, 2, 7, 6, 5, 4, 3, 2, 1]);
    Check::weak(sum.is_multiple_of(11) && digits[0] > 7)
}

/// Kennitala: date (day plus 40 for companies), MOD 11 in the ninth digit, century last.
pub(super) fn is_kennitala(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let day = number(&digits[..2]);
    let day = if day > 40 { day - 40 } else { day };
    let sum = weighted(&digits, &[3, 2, 7, 6, 5, 4, 3, 2, 1, 0]);
    let century = matches!(digits[9], 0 | 8 | 9);
    Check::weak(is_day(number(&digits[2..4]), day) && century && sum.is_multiple_of(11))
}

/// Isikukood and asmens kodas: sex and century, date, serial, MOD 11 in two steps.
pub(super) fn baltic_code(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let dated = is_day(number(&digits[3..5]), number(&digits[5..7]));
    let first = weighted(&digits[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(&digits[..10], &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    Check::weak(matches!(digits[0], 1..=8) && dated && check == u32::from(digits[10]))
}

/// Personas kods: date and MOD 11; numbers that begin with 32 hold neither since 2017.
pub(super) fn lv_code(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    if digits[0] == 3 && digits[1] > 1 {
        return Check::Unknown;
    }
    let sum = weighted(&digits[..10], &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9]);
    let dated = is_date(18 + u64::from(digits[6]), &digits[4..6], &digits[2..4], &digits[..2]);
    Check::weak(dated && (1 + sum) % 11 % 10 == u32::from(digits[10]))
}

/// Finnish business id (Y-tunnus): seven digits, MOD 11.
pub(super) fn fi_ytunnus(value: &[u8]) -> Check {
    let Some(digits) = digits::<8>(value) else { return Check::Invalid };
    let sum = weighted(&digits, &[7, 9, 10, 5, 8, 4, 2, 1]);
    Check::weak(sum.is_multiple_of(11) && number(&digits) > 0)
}

/// Danish company number (CVR).
pub(super) fn dk_cvr(value: &[u8]) -> Check {
    let Some(digits) = digits::<8>(value) else { return Check::Invalid };
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2, 1]);
    Check::weak(digits[0] > 0 && sum.is_multiple_of(11))
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (
                se_personnummer,
                &["640823-3234", "19640823-3234", "670919-9530"],
                &["640823-3235", "641323-3234"],
            ),
            (se_orgnr, &["556036-0793", "123456-7897"], &["556036-0794"]),
            (
                fi_hetu,
                &["131052-308T", "131052A308T", "131052+308T"],
                &["131052-308U", "311152-308T", "131052T308T"],
            ),
            (no_fnr, &["09053426694", "151086 95088"], &["09053426699", "92031470790"]),
            (no_orgnr, &["988 077 917"], &["988 077 918"]),
            (is_kennitala, &["450401-3150", "120174-3399"], &["530575-0299", "320174-3399"]),
            (
                baltic_code,
                &["36805280109", "33309240064", "38703181745"],
                &["36805280108", "38713181745"],
            ),
            (lv_code, &["161175-19997"], &["161375-19997", "161175-19998"]),
            (fi_ytunnus, &["2077474-0"], &["2077474-1"]),
            (dk_cvr, &["13585628"], &["13585627"]),
        ]);
    }

    #[test]
    fn danish_numbers_hold_a_date_and_perhaps_a_sum() {
        assert_eq!(dk_cpr(b"211062-5629"), Check::Plausible);
        assert_eq!(dk_cpr(b"211062-1110"), Check::Unknown, "issued without a sum since 2007");
        assert_eq!(dk_cpr(b"211062-5628"), Check::Invalid, "5 and year 62: born in 1862");
        assert_eq!(dk_cpr(b"511062-5629"), Check::Invalid);
        assert_eq!(dk_cpr(b"211048-5008"), Check::Unknown, "5 and year 48: born in 2048");
        assert_eq!(dk_cpr(b"010111-0630"), Check::Invalid, "born in 1911: sums held then");
        assert_eq!(lv_code(b"327954-61005"), Check::Unknown, "issued without a date since 2017");
    }
}
