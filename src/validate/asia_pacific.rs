//! More numbers of Asia and the Pacific.
//!
//! Sources: GSTN (GSTIN), the act on My Number, MOIS (RRN), MOI (Taiwan), `ImmD` (HKID), ICA
//! (NRIC and FIN), DOPA (Thailand), ATO and Services Australia (ABN, ACN, Medicare), IRD and
//! the Ministry of Health (New Zealand), NADRA (CNIC), JPN (`MyKad`), Dukcapil (NIK).

use super::Check;
use super::checksum::{digits, is_day, number, plain, rank36, repeated, weighted};

/// Indian GSTIN: state, PAN, entity, `Z`, a check character by MOD 36.
pub(super) fn in_gstin(value: &[u8]) -> Check {
    let text = plain(value);
    let Some((check, body)) = text.split_last() else { return Check::Invalid };
    if body.len() != 14 {
        return Check::Invalid;
    }
    let sum: u32 = body
        .iter()
        .zip([1, 2].into_iter().cycle())
        .map(|(byte, weight)| {
            let product = rank36(*byte).unwrap_or_default() * weight;
            product / 36 + product % 36
        })
        .sum();
    Check::strong(rank36(*check) == Some((36 - sum % 36) % 36))
}

/// Japanese My Number: twelve digits, MOD 11.
pub(super) fn jp_my_number(value: &[u8]) -> Check {
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    let rest = weighted(&digits[..11], &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    Check::weak(!repeated(&digits) && check == u32::from(digits[11]))
}

/// Korean resident registration number: date of birth, sex and century, MOD 11; numbers
/// given out since October 2020 hold no sum.
pub(super) fn kr_rrn(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    if !is_day(number(&digits[2..4]), number(&digits[4..6])) {
        return Check::Invalid;
    }
    let sum = weighted(&digits[..12], &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    let check = (11 - sum % 11) % 10;
    // Those of foreigners (5 to 8) count two more.
    let foreign = (13 - sum % 11) % 10;
    let holds = [check, foreign].contains(&u32::from(digits[12]));
    if holds { Check::Plausible } else { Check::Unknown }
}

/// Taiwanese identity and resident numbers: a letter, then digits, weights 1, 9, 8 … 1, 1.
pub(super) fn tw_id(value: &[u8]) -> Check {
    const LETTERS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let text = plain(value);
    let Some((letter, rest)) = text.split_first() else { return Check::Invalid };
    let second = rest.first().copied().unwrap_or_default();
    let Some(rank) = LETTERS.iter().position(|known| known == letter) else {
        return Check::Invalid;
    };
    let mut rest = rest.to_vec();
    // Resident certificates of before 2021 have a letter in the second place, too.
    if let (b'A'..=b'D', Some(place)) = (second, rest.first_mut()) {
        *place = b'0' + second - b'A';
    }
    let Some(digits) = digits::<9>(&rest) else { return Check::Invalid };
    let rank = rank as u32 + 10;
    let sum = rank / 10 + rank % 10 * 9 + weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    let kind = matches!(second, b'1' | b'2' | b'8' | b'9' | b'A'..=b'D');
    Check::weak(kind && sum.is_multiple_of(10))
}

/// Hong Kong identity card: one or two letters, six digits, MOD 11, where 10 is A.
pub(super) fn hk_id(value: &[u8]) -> Check {
    let text: Vec<u8> = value
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_uppercase)
        .collect();
    let (Some((check, body)), 8 | 9) = (text.split_last(), text.len()) else {
        return Check::Invalid;
    };
    let (letters, serial) = body.split_at(body.len() - 6);
    if !letters.iter().all(u8::is_ascii_uppercase) || !serial.iter().all(u8::is_ascii_digit) {
        return Check::Invalid;
    }
    // One letter alone has a blank before it, which counts 36.
    let blank = if letters.len() == 1 { 36 * 9 } else { 0 };
    let sum: u32 = body
        .iter()
        .rev()
        .zip(2..)
        .map(|(byte, weight)| rank36(*byte).unwrap_or_default() * weight)
        .sum::<u32>()
        + blank;
    Check::weak(b"0A987654321"[(sum % 11) as usize] == *check)
}

/// Singapore NRIC and FIN: a letter, seven digits, a letter from a table by series.
pub(super) fn sg_nric(value: &[u8]) -> Check {
    let text = plain(value);
    let (Some((first, rest)), 9) = (text.split_first(), text.len()) else {
        return Check::Invalid;
    };
    let (Some(digits), Some(last)) = (digits::<7>(&rest[..7]), rest.last()) else {
        return Check::Invalid;
    };
    let (letters, offset): (&[u8; 11], u32) = match first {
        b'S' => (b"JZIHGFEDCBA", 0),
        b'T' => (b"JZIHGFEDCBA", 4),
        b'F' => (b"XWUTRQPNMLK", 0),
        b'G' => (b"XWUTRQPNMLK", 4),
        b'M' => (b"XWUTRQPNJLK", 3),
        _ => return Check::Invalid,
    };
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + offset;
    Check::weak(letters[(sum % 11) as usize] == *last)
}

/// Thai identity number: thirteen digits, MOD 11.
pub(super) fn th_id(value: &[u8]) -> Check {
    let Some(digits) = digits::<13>(value) else { return Check::Invalid };
    let sum = weighted(&digits[..12], &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let check = (11 - sum % 11) % 10;
    Check::weak((1..=8).contains(&digits[0]) && check == u32::from(digits[12]))
}

/// Australian business number: less 1 in the first place, MOD 89.
pub(super) fn au_abn(value: &[u8]) -> Check {
    let Some(mut digits) = digits::<11>(value) else { return Check::Invalid };
    if digits[0] == 0 {
        return Check::Invalid;
    }
    digits[0] -= 1;
    let sum = weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    Check::weak(sum.is_multiple_of(89))
}

/// Australian company number: weights 8 to 1, MOD 10.
pub(super) fn au_acn(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    Check::weak(!repeated(&digits) && sum.is_multiple_of(10))
}

/// Australian Medicare card: 2 to 6 first, weights 1, 3, 7, 9, MOD 10, an issue number.
pub(super) fn au_medicare(value: &[u8]) -> Check {
    let Some(digits) = digits::<10>(value).or_else(|| {
        // One more digit is the place on the card.
        digits::<11>(value).and_then(|all| all.first_chunk::<10>().copied())
    }) else {
        return Check::Invalid;
    };
    let rest = weighted(&digits[..8], &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
    Check::weak((2..=6).contains(&digits[0]) && digits[9] > 0 && rest == u32::from(digits[8]))
}

/// New Zealand IRD number: eight or nine digits, MOD 11 in two steps.
pub(super) fn nz_ird(value: &[u8]) -> Check {
    let padded = digits::<9>(value).or_else(|| {
        let eight = digits::<8>(value)?;
        let mut nine = [0; 9];
        nine[1..].copy_from_slice(&eight);
        Some(nine)
    });
    let Some(digits) = padded else { return Check::Invalid };
    let check = |weights: &[u32]| (11 - weighted(&digits[..8], weights) % 11) % 11;
    let first = check(&[3, 2, 7, 6, 5, 4, 3, 2]);
    let second = check(&[7, 4, 3, 2, 5, 2, 7, 6]);
    let expected = if first < 10 { first } else { second };
    let known = matches!(number(&digits), 10_000_000..=150_000_000);
    Check::weak(known && expected == u32::from(digits[8]))
}

/// New Zealand health index: three letters, three digits, a check digit by MOD 11.
pub(super) fn nz_nhi(value: &[u8]) -> Check {
    const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    let text = plain(value);
    let (Some(digits), 7) = (text.get(3..).and_then(digits::<4>), text.len()) else {
        return Check::Invalid;
    };
    let ranks: Option<Vec<u8>> = text[..3]
        .iter()
        .map(|byte| Some(ALPHABET.iter().position(|known| known == byte)? as u8 + 1))
        .collect();
    let Some(ranks) = ranks else { return Check::Invalid };
    let sum = weighted(&ranks, &[7, 6, 5]) + weighted(&digits[..3], &[4, 3, 2]);
    let rest = sum % 11;
    Check::weak(rest != 0 && (11 - rest) % 10 == u32::from(digits[3]))
}

/// Malaysian `MyKad`: date of birth, place, serial; no sum.
pub(super) fn my_nric(value: &[u8]) -> Check {
    let Some(digits) = digits::<12>(value) else { return Check::Invalid };
    let place =
        matches!(number(&digits[6..8]), 1..=16 | 21..=68 | 71 | 72 | 74..=79 | 82..=93 | 98 | 99);
    Check::weak(is_day(number(&digits[2..4]), number(&digits[4..6])) && place)
}

/// Indonesian NIK: province, date of birth (day plus 40 for women), serial; no sum.
pub(super) fn id_nik(value: &[u8]) -> Check {
    let Some(digits) = digits::<16>(value) else { return Check::Invalid };
    let day = number(&digits[6..8]);
    let day = if day > 40 { day - 40 } else { day };
    let province = matches!(number(&digits[..2]), 11..=21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97);
    let dated = is_day(number(&digits[8..10]), day);
    Check::weak(province && dated && number(&digits[12..]) > 0)
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (in_gstin, &["27AAPFU0939F1ZV"], &["27AAPFU0939F1ZW"]),
            (jp_my_number, &["123456789018"], &["123456789017"]),
            (kr_rrn, &["971013-9019902"], &["971313-9019902"]),
            (tw_id, &["A123456789", "B176944193"], &["A123456788", "A323456789"]),
            (hk_id, &["G123456(A)", "AB987654(3)", "OV290326[A]"], &["G123456(B)", "M4578601"]),
            (
                sg_nric,
                &["S1234567D", "T1234567J", "F1234567N", "G1234567X", "M1234567K"],
                &["S1234567E", "A1234567D"],
            ),
            (th_id, &["1-2345-45678-78-1", "3100600445635"], &["3100600445636"]),
            (au_abn, &["51 824 753 556", "83 914 571 673"], &["51 824 753 557"]),
            (au_acn, &["004 085 616", "010 499 966"], &["010 499 967"]),
            (au_medicare, &["2123 45670 1", "2428 77813 2"], &["2123 45671 1", "7123456701"]),
            (nz_ird, &["49-091-850", "136410132"], &["49-091-851", "9125568"]),
            (nz_nhi, &["ZAC5361", "JBX3656"], &["ZAC5362"]),
            (my_nric, &["770305-02-1234"], &["771305-02-1234", "770305-17-1234"]),
            (id_nik, &["3171011708450001"], &["3171013208450001", "1071011708450001"]),
        ]);
        assert_eq!(kr_rrn(b"971013-9019903"), Check::Unknown, "no sum since October 2020");
    }
}
