//! Numbers of Latin America, and companies of Brazil.
//!
//! Sources: Receita Federal (CNPJ, with letters from 2026 on), AFIP (CUIT), SII (RUT),
//! RENAPO (CURP), SAT (RFC), DIAN (NIT), SUNAT (RUC), DNIC (cédula of Uruguay), SENIAT (RIF),
//! Registro Civil of Ecuador, JCE (cédula of the Dominican Republic).

use super::Check;
use super::checksum::{digits, is_day, luhn, number, plain, rank36, repeated, weighted};

/// CNPJ: twelve letters or digits (a character counts its ASCII code less 48), two by MOD 11.
pub(super) fn br_cnpj(value: &[u8]) -> Check {
    let text = plain(value);
    if text.len() != 14 || !text[12..].iter().all(u8::is_ascii_digit) {
        return Check::Invalid;
    }
    let ranks: Vec<u8> = text.iter().map(|byte| byte.saturating_sub(b'0')).collect();
    let check = |body: &[u8], weights: &[u32]| match weighted(body, weights) % 11 {
        0 | 1 => 0,
        rest => (11 - rest) as u8,
    };
    let first = check(&ranks[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = check(&ranks[..13], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    Check::strong(!repeated(&ranks) && [first, second] == ranks[12..])
}

/// Argentinian CUIT and CUIL: kind, document, MOD 11.
pub(super) fn ar_cuit(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let known = matches!(number(&digits[..2]), 20 | 23..=27 | 30 | 33 | 34 | 50 | 51 | 55);
    let rest = weighted(&digits[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = b"09987654321"[rest as usize] - b'0';
    Check::weak(known && check == digits[10])
}

/// Chilean RUT: MOD 11, where 10 is K.
pub(super) fn cl_rut(value: &[u8]) -> Check {
    let text = plain(value);
    let Some((check, body)) = text.split_last() else { return Check::Invalid };
    if !(7..=8).contains(&body.len()) || !body.iter().all(u8::is_ascii_digit) {
        return Check::Invalid;
    }
    let sum: u32 = body
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].into_iter().cycle())
        .map(|(byte, weight)| u32::from(byte - b'0') * weight)
        .sum();
    let expected = b"0K987654321"[(sum % 11) as usize];
    Check::weak(expected == *check && !repeated(body))
}

/// Mexican CURP: initials, date, sex, state, consonants, a digit by weights 18 to 2.
pub(super) fn mx_curp(value: &[u8]) -> Check {
    let text = plain(value);
    let Some(date) = text.get(4..10).and_then(digits::<6>) else { return Check::Invalid };
    if text.len() != 18 {
        return Check::Invalid;
    }
    // Ñ stands between N and O, so letters from O on count one more.
    let rank = |byte: u8| {
        rank36(byte).map(|rank| rank + u32::from(byte.is_ascii_uppercase() && byte > b'N'))
    };
    let sum: u32 = text[..17]
        .iter()
        .zip((2..=18).rev())
        .map(|(byte, weight)| rank(*byte).unwrap_or_default() * weight)
        .sum();
    let check = (10 - sum % 10) % 10;
    let dated = is_day(number(&date[2..4]), number(&date[4..6]));
    Check::weak(dated && u32::from(text[17].wrapping_sub(b'0')) == check)
}

/// Mexican RFC: initials, date, and a check character by MOD 11 over an alphabet of its own.
pub(super) fn mx_rfc(value: &[u8]) -> Check {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ ";
    let text: Vec<u8> = value
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-'))
        .map(u8::to_ascii_uppercase)
        .collect();
    let Some(head) = text.len().checked_sub(9).filter(|head| matches!(head, 3 | 4)) else {
        return Check::Invalid;
    };
    let Some(date) = digits::<6>(&text[head..head + 6]) else { return Check::Invalid };
    if !is_day(number(&date[2..4]), number(&date[4..6])) {
        return Check::Invalid;
    }
    let padded = std::iter::repeat_n(b' ', 4 - head).chain(text[..text.len() - 1].iter().copied());
    let sum: u32 = padded
        .zip((2..=13).rev())
        .map(|(byte, weight)| {
            let rank = ALPHABET.iter().position(|known| *known == byte).unwrap_or_default();
            rank as u32 * weight
        })
        .sum();
    let check = match 11 - sum % 11 {
        11 => b'0',
        10 => b'A',
        digit => b'0' + digit as u8,
    };
    // Numbers given out before the sum was introduced do not hold it.
    if text.last() == Some(&check) { Check::Plausible } else { Check::Unknown }
}

/// Colombian NIT: up to fifteen digits, the last by MOD 11.
pub(super) fn co_nit(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let sum = weighted(&digits[..9], &[41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11;
    let check = if sum < 2 { sum } else { 11 - sum };
    Check::weak(!repeated(&digits) && check == u32::from(digits[9]))
}

/// Peruvian RUC: kind, document, MOD 11.
pub(super) fn pe_ruc(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let known = matches!(number(&digits[..2]), 10 | 15 | 16 | 17 | 20);
    let check = (11 - weighted(&digits[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 10;
    Check::weak(known && check == u32::from(digits[10]))
}

/// Uruguayan cédula: seven digits, one by weights of its own.
pub(super) fn uy_cedula(value: &[u8]) -> Check {
    let Some(digits) = digits::<8>(value) else { return Check::Invalid };
    let sum = weighted(&digits[..7], &[2, 9, 8, 7, 6, 3, 4]);
    Check::weak(!repeated(&digits) && (10 - sum % 10) % 10 == u32::from(digits[7]))
}

/// Ecuadorian cédula: province, kind, Luhn.
pub(super) fn ec_cedula(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value) else { return Check::Invalid };
    let province = matches!(number(&digits[..2]), 1..=24 | 30 | 50);
    Check::weak(province && digits[2] < 7 && luhn(&digits))
}

/// Dominican cédula: eleven digits, Luhn.
pub(super) fn do_cedula(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    Check::weak(!repeated(&digits) && luhn(&digits))
}

/// Venezuelan RIF: a letter, eight digits, MOD 11.
pub(super) fn ve_rif(value: &[u8]) -> Check {
    let text = plain(value);
    let Some((letter, rest)) = text.split_first() else { return Check::Invalid };
    let (Some(digits), Some(kind)) = (
        digits::<9>(rest),
        [4, 8, 12, 16, 20].get(b"VEJPG".iter().position(|l| l == letter).unwrap_or(9)),
    ) else {
        return Check::Invalid;
    };
    let sum = kind + weighted(&digits[..8], &[3, 2, 7, 6, 5, 4, 3, 2]);
    let check = b"00987654321"[(sum % 11) as usize] - b'0';
    Check::weak(check == digits[8])
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (
                br_cnpj,
                &["16.727.230/0001-97", "12.ABC.345/01DE-35"],
                &["16.727.230/0001-98", "00000000000000"],
            ),
            (ar_cuit, &["20-05536168-2", "20271633638"], &["20-05536168-3", "99-05536168-2"]),
            (cl_rut, &["76.086.428-5", "12.531.909-2"], &["76.086.428-K", "12531909-3"]),
            (mx_curp, &["BOXW310820HNERXN09"], &["BOXW310820HNERXN08", "BOXW311320HNERXN09"]),
            (mx_rfc, &["GODE561231GR8", "MAB-930714-8T4"], &["GODE561331GR8", "GODE56"]),
            (co_nit, &["213.123.432-1"], &["213.123.432-5"]),
            (pe_ruc, &["20512333797"], &["20512333798", "99512333797"]),
            (uy_cedula, &["1.234.567-2"], &["1.234.567-3"]),
            (ec_cedula, &["171430710-3"], &["171430710-4", "991430710-3"]),
            (do_cedula, &["001-1391820-5"], &["001-1391820-6"]),
            (ve_rif, &["V-11470283-4"], &["V-11470283-3", "X-11470283-4"]),
        ]);
    }
}
