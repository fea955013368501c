//! Numbers of things that belong to a person: telephones, SIM cards, cars.
//!
//! Sources: 3GPP TS 23.003 (IMEI), ITU-T E.118 (ICCID), ISO 3779 and 49 CFR 565 (VIN).

use super::Check;
use super::checksum::{digits, luhn, plain, rank36, repeated};

/// IMEI: fifteen digits, Luhn.
pub(super) fn imei(value: &[u8]) -> Check {
    let Some(digits) = digits::<15>(value) else { return Check::Invalid };
    Check::weak(!repeated(&digits) && luhn(&digits))
}

/// ICCID: 89 first, nineteen or twenty digits, Luhn.
pub(super) fn iccid(value: &[u8]) -> Check {
    let holds = match (digits::<19>(value), digits::<20>(value)) {
        (Some(digits), _) => luhn(&digits) && digits.starts_with(&[8, 9]),
        (_, Some(digits)) => luhn(&digits) && digits.starts_with(&[8, 9]),
        _ => false,
    };
    Check::weak(holds)
}

/// VIN: seventeen characters without I, O and Q. In North America (1 to 5 first) the ninth is
/// a sum by 11; elsewhere it may be anything.
pub(super) fn vin(value: &[u8]) -> Check {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let text = plain(value);
    let known = |byte: &u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'I' | b'O' | b'Q');
    let both = text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_uppercase);
    if text.len() != 17 || !text.iter().all(known) || !both {
        return Check::Invalid;
    }
    // Letters count 1 to 9 over and over, with the gaps of a table from punched cards.
    let sum: u32 = text
        .iter()
        .zip(WEIGHTS)
        .map(|(&byte, weight)| {
            let rank = match byte {
                b'A'..=b'H' => u32::from(byte - b'A') + 1,
                b'J'..=b'R' => u32::from(byte - b'J') + 1,
                b'S'..=b'Z' => u32::from(byte - b'S') + 2,
                _ => rank36(byte).unwrap_or_default(),
            };
            rank * weight
        })
        .sum();
    if b"0123456789X"[(sum % 11) as usize] == text[8] {
        Check::Plausible
    } else if matches!(text[0], b'1'..=b'5') {
        Check::Invalid
    } else {
        Check::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[
            (imei, &["49-015420-323751-8", "352099001761481"], &["490154203237517"]),
            (iccid, &["8991101200003204514"], &["8991101200003204511", "7991101200003204510"]),
            (
                vin,
                &["1M8GDM9AXKP042788", "5GZCZ43D13S812715"],
                &["1M8GDM9A1KP042788", "1M8GDM9AXKP04278"],
            ),
        ]);
        assert_eq!(vin(b"WP0ZZZ99ZTS392124"), Check::Unknown, "no sum in Europe");
    }
}
