//! Numbers of eastern and southern Europe.
//!
//! Sources: acts on personal numbers of each country (rodné číslo, CNP, EGN, JMBG, OIB,
//! SNILS, RNOKPP, IIN), tax offices on NIP, INN and AFM, `MSWiA` on the Polish identity card.

use super::Check;
use super::checksum::{
    digits, is_date, is_day, letters_731, luhn, mod11_10, number, plain, repeated, weighted,
};

/// Rodné číslo: date (month plus 50 for women, plus 20 when serials ran out), divisible by 11;
/// nine digits and no sum before 1954.
pub(super) fn cz_rodne_cislo(value: &[u8]) -> Check {
    let dated = |digits: &[u8]| {
        let month = number(&digits[2..4]) % 50;
        let month = if month > 20 { month - 20 } else { month };
        is_day(month, number(&digits[4..6]))
    };
    if let Some(digits) = digits::<10>(value) {
        let rest = number(&digits[..9]) % 11 % 10;
        return Check::weak(dated(&digits) && rest == u64::from(digits[9]));
    }
    match digits::<9>(value) {
        Some(digits) if number(&digits[..2]) < 54 && number(&digits[6..]) > 0 => {
            let month = [digits[2] % 5, digits[3]];
            if is_date(19, &digits[..2], &month, &digits[4..6]) {
                Check::Unknown
            } else {
                Check::Invalid
            }
        }
        _ => Check::Invalid,
    }
}

/// Polish NIP: ten digits, MOD 11.
pub(super) fn pl_nip(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..9], &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11;
    Check::weak(digits[0] > 0 && !repeated(&digits) && rest == u32::from(digits[9]))
}

/// Polish REGON: nine digits, MOD 11.
pub(super) fn pl_regon(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..8], &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10;
    Check::weak(!repeated(&digits) && rest == u32::from(digits[8]))
}

/// Polish identity card: three letters, a check digit, five digits; 7-3-1.
pub(super) fn pl_id_card(value: &[u8]) -> Check {
    let text = plain(value);
    let (letters, digits) = text.split_at(text.len().min(3));
    let shape = letters.iter().all(u8::is_ascii_uppercase)
        && digits.len() == 6
        && digits.iter().all(u8::is_ascii_digit);
    if !shape {
        return Check::Invalid;
    }
    let body: Vec<u8> = letters.iter().chain(&digits[1..]).copied().collect();
    Check::weak(letters_731(&body) % 10 == u32::from(digits[0] - b'0'))
}

/// Romanian CNP: sex and century, date, county, serial, MOD 11.
pub(super) fn ro_cnp(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..12], &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    let check = if rest == 10 { 1 } else { rest };
    let dated = is_day(number(&digits[3..5]), number(&digits[5..7]));
    let county = matches!(number(&digits[7..9]), 1..=48 | 51 | 52 | 70 | 80..=83);
    Check::weak(digits[0] > 0 && dated && county && check == u32::from(digits[12]))
}

/// Bulgarian EGN: date (month plus 20 or 40 by century), MOD 11.
pub(super) fn bg_egn(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let month = number(&digits[2..4]);
    let month = if month > 40 {
        month - 40
    } else if month > 20 {
        month - 20
    } else {
        month
    };
    let rest = weighted(&digits[..9], &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    Check::weak(is_day(month, number(&digits[4..6])) && rest == u32::from(digits[9]))
}

/// Hungarian tax number of a person: 8 first, MOD 11.
pub(super) fn hu_tax(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..9], &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11;
    Check::weak(digits[0] == 8 && rest == u32::from(digits[9]))
}

/// Hungarian social security number (TAJ): weights 3 and 7, MOD 10.
pub(super) fn hu_taj(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..8], &[3, 7, 3, 7, 3, 7, 3, 7]) % 10;
    Check::weak(!repeated(&digits) && rest == u32::from(digits[8]))
}

/// Greek AMKA: date of birth and Luhn.
pub(super) fn gr_amka(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    Check::weak(is_day(number(&digits[2..4]), number(&digits[..2])) && luhn(&digits))
}

/// Greek AFM: powers of two, MOD 11.
pub(super) fn gr_afm(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..8], &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10;
    Check::weak(!repeated(&digits) && rest == u32::from(digits[8]))
}

/// Cypriot tax number: eight digits and a letter.
pub(super) fn cy_tin(value: &[u8]) -> Check {
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let text = plain(value);
    let Some((letter, body)) = text.split_last() else { return Check::Invalid };
    let Some(digits) = digits::<8>(body) else { return Check::Invalid };
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(at, &digit)| if at % 2 == 0 { ODD[usize::from(digit)] } else { u32::from(digit) })
        .sum();
    let known = number(&digits[..2]) != 12;
    Check::weak(known && u32::from(letter.wrapping_sub(b'A')) == sum % 26)
}

/// JMBG and EMŠO of the countries of former Yugoslavia: date, region, MOD 11.
pub(super) fn jmbg(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    let sum = weighted(&digits[..12], &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    let check = (11 - sum % 11) % 11 % 10;
    let year = number(&digits[4..7]);
    let dated = is_day(number(&digits[2..4]), number(&digits[..2])) && !(100..850).contains(&year);
    Check::weak(dated && check == u32::from(digits[12]))
}

/// Slovenian tax number: eight digits, MOD 11.
pub(super) fn si_tax(value: &[u8]) -> Check {
    let Some(digits) = digits::<8>(value) else { return Check::Invalid };
    let check = (11 - weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10;
    let rest = 11 - weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) % 11;
    Check::weak(digits[0] > 0 && rest < 11 && check == u32::from(digits[7]))
}

/// Croatian OIB: eleven digits, MOD 11,10.
pub(super) fn hr_oib(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    Check::weak(!repeated(&digits) && mod11_10(&digits))
}

/// Ukrainian tax number: ten digits, MOD 11.
pub(super) fn ua_rnokpp(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    // The first weight is −1, that is 10 by 11.
    let rest = weighted(&digits[..9], &[10, 5, 7, 9, 4, 6, 10, 5, 7]) % 11 % 10;
    Check::weak(!repeated(&digits) && rest == u32::from(digits[9]))
}

/// Russian INN: ten digits with one check digit, or twelve with two.
pub(super) fn ru_inn(value: &[u8]) -> Check {
    let digit = |digits: &[u8], weights: &[u32]| weighted(digits, weights) % 11 % 10;
    if let Some(digits) = digits::<10>(value) {
        let check = digit(&digits[..9], &[2, 4, 10, 3, 5, 9, 4, 6, 8]);
        return Check::weak(!repeated(&digits) && check == u32::from(digits[9]));
    }
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    let first = digit(&digits[..10], &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]);
    let second = digit(&digits[..11], &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]);
    let holds = [first, second] == [u32::from(digits[10]), u32::from(digits[11])];
    Check::weak(holds && !repeated(&digits))
}

/// Russian SNILS: nine digits and a sum by 101.
pub(super) fn ru_snils(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..9], &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
    // Numbers up to 001-001-998 were given out without a sum.
    let known = number(&digits[..9]) > 1_001_998;
    Check::written(known && u64::from(rest) == number(&digits[9..]), value)
}

/// Kazakh IIN: date of birth, century and sex, MOD 11 in two steps.
pub(super) fn kz_iin(value: &[u8]) -> Check {
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    let first = weighted(&digits[..11], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11;
    let second = weighted(&digits[..11], &[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11;
    let check = if first < 10 { first } else { second };
    let dated = is_day(number(&digits[2..4]), number(&digits[4..6])) && digits[6] < 7;
    Check::weak(dated && check == u32::from(digits[11]))
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (
                cz_rodne_cislo,
                &["710319/2745", "7103192745", "991231/1123"],
                &["710319/2746", "711319/2745", "1103492745"],
            ),
            (pl_nip, &["856-734-62-15", "8567346215"], &["8567346216", "0000000000"]),
            (pl_regon, &["192598184", "123456785"], &["192598183"]),
            (pl_id_card, &["ABA300000", "ABS 123456"], &["ABA400000", "AB3000000"]),
            (ro_cnp, &["1630615123457", "8001011234563"], &["1630615123458", "1631315123457"]),
            (bg_egn, &["7523169263", "8032056031", "7501010010"], &["7523169264", "7521320010"]),
            (hu_tax, &["8071592153"], &["8071592152", "7071592153"]),
            (hu_taj, &["111 111 110", "123 456 788"], &["123456789"]),
            (gr_amka, &["01013099997"], &["01013099998", "01133099997"]),
            (gr_afm, &["094259216", "758426713"], &["094259217"]),
            (cy_tin, &["10259033P", "00123123T"], &["10259033Z", "12345678A"]),
            (jmbg, &["0101006500006", "0101988500012"], &["0101006500007", "0113006500006"]),
            (si_tax, &["15012557", "50223054"], &["15012558"]),
            (hr_oib, &["33392005961", "94577403194"], &["33392005962"]),
            (ua_rnokpp, &["1759013776", "3006321856"], &["1759013777"]),
            (ru_inn, &["123456789047", "1234567894"], &["123456789037", "1234567895"]),
            (ru_snils, &["112-233-445 95"], &["112-233-445 94", "001-001-998 00"]),
            (kz_iin, &["880415300147"], &["880415300146", "881315300145"]),
        ]);
        assert_eq!(cz_rodne_cislo(b"530121/999"), Check::Unknown, "nine digits before 1954");
        assert_eq!(cz_rodne_cislo(b"970121/999"), Check::Invalid);
    }
}
