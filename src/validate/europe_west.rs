//! More numbers of western Europe: Austria, Belgium, Switzerland, Germany, Spain, France,
//! the United Kingdom, Ireland, Luxembourg, Portugal.
//!
//! Sources: the issuers' own descriptions: Dachverband der Sozialversicherungsträger (SVNR),
//! IBZ (NRN), ZAS (AHVN13), DRV (Versicherungsnummer), GKV (KVNR), ICAO 9303 (the 7-3-1 sum),
//! TGSS (NUSS), `DGFiP` (SPI), HMRC (UTR), Revenue (PPS), CTIE (matricule), AT (NIF).

use super::Check;
use super::checksum::{
    digits, ean, is_date, is_day, letters_731, luhn, number, plain, repeated, verhoeff, weighted,
};

/// Austrian social insurance number: serial, check digit in the fourth place, date of birth.
pub(super) fn at_svnr(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let sum = weighted(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
    // Months 13 to 15 stand for serials of a date that ran out.
    let dated = matches!(number(&digits[4..6]), 1..=31) && matches!(number(&digits[6..8]), 1..=15);
    Check::weak(digits[0] > 0 && dated && sum == u32::from(digits[3]))
}

/// Austrian tax number: nine digits, a Luhn digit.
pub(super) fn at_tin(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    Check::weak(!repeated(&digits) && luhn(&digits))
}

/// Belgian national number: date, serial, 97 less the remainder by 97 (of the number behind
/// a 2 for those born from 2000 on).
pub(super) fn be_nrn(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let (body, check) = (number(&digits[..9]), number(&digits[9..]));
    // Months from 20 and 40 on are those of BIS numbers; 0 where the date is not known.
    let month = number(&digits[2..4]) % 20;
    let dated = month <= 12 && number(&digits[4..6]) <= 31;
    let holds = [body, 2_000_000_000 + body].iter().any(|body| 97 - body % 97 == check);
    Check::written(dated && holds && body > 0, value)
}

/// Belgian enterprise number: 97 less the remainder by 97.
pub(super) fn be_vat(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let sum = number(&digits[..8]) + number(&digits[8..]);
    Check::written(digits[0] < 2 && number(&digits) > 0 && sum.is_multiple_of(97), value)
}

/// Swiss AHV number: 756 and the check digit of an EAN-13.
pub(super) fn ch_ahv(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    Check::strong(digits.starts_with(&[7, 5, 6]) && ean(&digits))
}

/// Swiss company number: `CHE-` and nine digits, MOD 11.
pub(super) fn ch_uid(value: &[u8]) -> Check {
    let text = plain(value);
    let Some(digits) = text.get(3..12).and_then(digits::<9>) else { return Check::Invalid };
    let sum = weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 1]);
    Check::strong(text.starts_with(b"CHE") && sum.is_multiple_of(11))
}

/// Sum of the digits of digit times weight.
fn cross_sum(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(&digit, weight)| {
            let product = u32::from(digit) * weight;
            product / 10 + product % 10
        })
        .sum()
}

/// German pension insurance number: area, date of birth, initial, serial, cross sums.
pub(super) fn de_rvnr(value: &[u8]) -> Check {
    let text = plain(value);
    let &[ref head @ .., letter, a, b, check] = &text[..] else { return Check::Invalid };
    let Some(head) = digits::<8>(head) else { return Check::Invalid };
    if !letter.is_ascii_uppercase() || ![a, b, check].iter().all(u8::is_ascii_digit) {
        return Check::Invalid;
    }
    let rank = letter - b'A' + 1;
    let mut all = head.to_vec();
    all.extend_from_slice(&[rank / 10, rank % 10, a - b'0', b - b'0']);
    let sum = cross_sum(&all, &[2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]);
    let dated = is_day(number(&head[4..6]), number(&head[2..4]));
    Check::weak(dated && sum % 10 == u32::from(check - b'0'))
}

/// German health insurance number: a letter and nine digits, cross sums.
pub(super) fn de_kvnr(value: &[u8]) -> Check {
    let text = plain(value);
    let Some((letter @ b'A'..=b'Z', rest)) = text.split_first() else { return Check::Invalid };
    let Some(rest) = digits::<9>(rest) else { return Check::Invalid };
    let rank = letter - b'A' + 1;
    let mut all = vec![rank / 10, rank % 10];
    all.extend_from_slice(&rest[..8]);
    let sum = cross_sum(&all, &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    Check::weak(sum % 10 == u32::from(rest[8]))
}

/// German identity card or passport: nine characters and a digit by 7-3-1.
pub(super) fn de_id_card(value: &[u8]) -> Check {
    let text = plain(value);
    let known = |byte: &u8| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte);
    let shape = text.len() == 10 && text.iter().all(known) && text.iter().any(u8::is_ascii_digit);
    Check::weak(shape && letters_731(&text[..9]) % 10 == u32::from(text[9].wrapping_sub(b'0')))
}

/// Spanish tax number of a company (CIF): a letter, seven digits, a digit or letter.
pub(super) fn es_cif(value: &[u8]) -> Check {
    let text = plain(value);
    let (Some((first, rest)), Some(last)) = (text.split_first(), text.last()) else {
        return Check::Invalid;
    };
    let Some(digits) = rest.get(..7).and_then(digits::<7>) else { return Check::Invalid };
    let body: u32 = digits
        .iter()
        .enumerate()
        .map(|(at, &digit)| {
            let doubled = u32::from(digit) * 2;
            if at % 2 == 0 { doubled / 10 + doubled % 10 } else { u32::from(digit) }
        })
        .sum();
    let check = (10 - body % 10) % 10;
    let letter = b"JABCDEFGHI"[check as usize];
    let digit = b'0' + check as u8;
    let known = b"ABCDEFGHJNPQRSUVW".contains(first) && text.len() == 9;
    let holds = match first {
        b'P' | b'Q' | b'S' | b'N' | b'W' | b'R' => *last == letter,
        b'A' | b'B' | b'E' | b'H' => *last == digit,
        _ => *last == letter || *last == digit,
    };
    Check::weak(known && holds)
}

/// Spanish social security number: twelve digits, the last two the remainder by 97.
pub(super) fn es_nuss(value: &[u8]) -> Check {
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    let (province, serial) = (number(&digits[..2]), number(&digits[2..10]));
    let body = if serial < 10_000_000 {
        province * 10_000_000 + serial
    } else {
        province * 100_000_000 + serial
    };
    let known = matches!(province, 1..=53 | 66);
    Check::written(known && body % 97 == number(&digits[10..]), value)
}

/// SIREN or SIRET of a French company: Luhn.
pub(super) fn fr_siret(value: &[u8]) -> Check {
    let holds = match (digits::<14>(value), digits::<9>(value)) {
        (Some(digits), _) => luhn(&digits) && luhn(&digits[..9]) && !repeated(&digits),
        (_, Some(digits)) => luhn(&digits) && !repeated(&digits),
        _ => false,
    };
    Check::weak(holds)
}

/// French tax number (SPI): thirteen digits, the last three the remainder by 511.
pub(super) fn fr_spi(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    let holds = number(&digits[..10]) % 511 == number(&digits[10..]);
    Check::weak(digits[0] < 4 && number(&digits) > 0 && holds)
}

/// UK unique taxpayer reference: the check digit first.
pub(super) fn uk_utr(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let sum = weighted(&digits[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    Check::weak(b"21987654321"[sum as usize] - b'0' == digits[0] && !repeated(&digits))
}

/// UK driving licence: five letters of the surname, decade, month (plus 50 for women), day,
/// year, initials, and three more.
pub(super) fn uk_driver(value: &[u8]) -> Check {
    let text = plain(value);
    let Some(date) = text.get(5..11).and_then(digits::<6>) else { return Check::Invalid };
    let month = number(&date[1..3]);
    let month = if month > 50 { month - 50 } else { month };
    Check::weak(is_day(month, number(&date[3..5])))
}

/// Irish PPS number: seven digits, a letter by MOD 23, perhaps one more.
pub(super) fn ie_pps(value: &[u8]) -> Check {
    let text = plain(value);
    let (Some(digits), Some(check)) = (text.get(..7).and_then(digits::<7>), text.get(7)) else {
        return Check::Invalid;
    };
    let extra = match text.get(8) {
        Some(letter @ b'A'..=b'I') => u32::from(letter - b'A' + 1),
        _ => 0,
    };
    let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + extra * 9;
    Check::strong(b"WABCDEFGHIJKLMNOPQRSTUV"[(sum % 23) as usize] == *check)
}

/// Luxembourg's matricule: date of birth, serial, a Luhn digit, a Verhoeff digit.
pub(super) fn lu_matricule(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    let mut second = digits[..11].to_vec();
    second.push(digits[12]);
    let dated = is_date(number(&digits[..2]), &digits[2..4], &digits[4..6], &digits[6..8]);
    Check::weak(dated && luhn(&digits[..12]) && verhoeff(&second))
}

/// Portuguese tax number: nine digits, MOD 11.
pub(super) fn pt_nif(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let check = (11 - weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10;
    let known = matches!(digits[0], 1..=3 | 5..=9) || number(&digits[..2]) == 45;
    Check::weak(known && check == u32::from(digits[8]) && !repeated(&digits))
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (at_svnr, &["1237 010180"], &["1238 010180", "1237 320180"]),
            (at_tin, &["59-119/9013", "93-173/6581"], &["59-119/9012", "999999999"]),
            (
                be_nrn,
                &["85.07.30-033 28", "00012511119", "17 07 30 033 84"],
                &["85.07.30-033 29", "85.13.30-033 28"],
            ),
            (be_vat, &["0403.019.261", "0428759497"], &["0428759498"]),
            (ch_ahv, &["756.9217.0769.85"], &["756.9217.0769.84", "7559217076985"]),
            (ch_uid, &["CHE-107.787.577", "CHE-116.281.710"], &["CHE-107.787.578"]),
            (
                de_rvnr,
                &["15 070649 C 103", "65170839J003"],
                &["15 070649 C 104", "15 071349 C 103"],
            ),
            (de_kvnr, &["A123456780", "M310119802"], &["A123456781", "1123456780"]),
            (de_id_card, &["T220001293", "L01X00T471"], &["T220001294", "TA20001293"]),
            (es_cif, &["A13585625", "P2807900B"], &["A13585626", "I13585625"]),
            (es_nuss, &["28 1234567840"], &["281234567841", "601234567840"]),
            (fr_siret, &["552 008 443", "73282932000074"], &["552008444", "73282932000079"]),
            (fr_spi, &["30 23 217 600 053", "0701987765493"], &["3023217600054"]),
            (uk_utr, &["1955839661"], &["2955839661"]),
            (uk_driver, &["MORGA657054SM9IJ"], &["MORGA693054SM9IJ"]),
            (ie_pps, &["6433435F", "6433435OA", "1234567FA"], &["6433435E", "1234577A"]),
            (lu_matricule, &["1893120105732"], &["1893120105742", "1893130105732"]),
            (pt_nif, &["501 964 843", "299999998"], &["501964842", "000000000"]),
        ]);
    }
}
