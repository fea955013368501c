//! Value added tax numbers: a country and its own number.
//!
//! Source: the European Commission's VIES, which names each member's structure; the sums
//! are those of the countries' own identifiers, most of which other files here hold.

use super::checksum::{digits, luhn, mod11_10, mod97, number, plain, weighted};
use super::{Check, asia_pacific, europe, europe_east, europe_west, nordic};

/// A number with its country before it.
pub(super) fn vat(value: &[u8]) -> Check {
    let text = plain(value);
    let Some((country, rest)) = text.split_at_checked(2) else { return Check::Invalid };
    match country {
        b"AT" => austrian(rest),
        b"BE" => europe_west::be_vat(rest),
        b"CH" => europe_west::ch_uid(text.get(..12).unwrap_or_default()),
        b"CY" => europe_east::cy_tin(rest),
        b"DE" => Check::weak(digits::<9>(rest).is_some_and(|d| d[0] > 0 && mod11_10(&d))),
        b"DK" => nordic::dk_cvr(rest),
        b"EL" | b"GR" => europe_east::gr_afm(rest),
        b"ES" => match (europe_west::es_cif(rest), europe::es_dni_nie(rest)) {
            (Check::Invalid, personal) => personal,
            (company, _) => company,
        },
        b"FI" => nordic::fi_ytunnus(rest),
        b"FR" => french(rest),
        b"GB" | b"XI" => british(rest),
        b"HR" => europe_east::hr_oib(rest),
        b"HU" => summed::<8>(rest, &[9, 7, 3, 1, 9, 7, 3, 1], 10),
        b"IE" => europe_west::ie_pps(rest),
        b"IT" => Check::weak(digits::<11>(rest).is_some_and(|d| number(&d[..7]) > 0 && luhn(&d))),
        b"LU" => {
            Check::weak(digits::<8>(rest).is_some_and(|d| number(&d[..6]) % 89 == number(&d[6..])))
        }
        b"MT" => Check::weak(digits::<8>(rest).is_some_and(|d| {
            let sum = weighted(&d[..6], &[3, 4, 6, 7, 8, 9]);
            number(&d[6..]) == u64::from(37 - sum % 37)
        })),
        b"NL" => dutch(&text),
        b"NO" => nordic::no_orgnr(rest.get(..9).unwrap_or_default()),
        b"PL" => europe_east::pl_nip(rest),
        b"PT" => europe_west::pt_nif(rest),
        b"RO" => romanian(rest),
        b"SE" => match digits::<12>(rest) {
            Some(all) if all.ends_with(&[0, 1]) => Check::weak(luhn(&all[..10])),
            _ => Check::Invalid,
        },
        b"SI" => europe_east::si_tax(rest),
        b"AU" => asia_pacific::au_abn(rest),
        // Of the others only the shape is known.
        _ if rest.iter().filter(|byte| byte.is_ascii_digit()).count() > 6 => Check::Unknown,
        _ => Check::Invalid,
    }
}

fn summed<const N: usize>(value: &[u8], weights: &[u32], modulus: u32) -> Check {
    let Some(digits) = digits::<N>(value) else { return Check::Invalid };
    Check::weak(weighted(&digits, weights).is_multiple_of(modulus))
}

/// `U` and eight digits: cross sums and 4.
fn austrian(value: &[u8]) -> Check {
    let Some(digits) = value.strip_prefix(b"U").and_then(digits::<8>) else {
        return Check::Invalid;
    };
    let sum: u32 = digits[..7]
        .iter()
        .enumerate()
        .map(|(at, &digit)| {
            let product = u32::from(digit) * if at % 2 == 0 { 1 } else { 2 };
            product / 10 + product % 10
        })
        .sum();
    Check::weak((10 - (sum + 4) % 10) % 10 == u32::from(digits[7]))
}

/// Two characters and a SIREN; where the two are digits, they are its remainder.
fn french(value: &[u8]) -> Check {
    let Some((key, siren)) = value.split_at_checked(2) else { return Check::Invalid };
    let Some(siren) = digits::<9>(siren) else { return Check::Invalid };
    match digits::<2>(key) {
        Some(key) => {
            let expected = (12 + 3 * (number(&siren) % 97)) % 97;
            Check::written(luhn(&siren) && number(&key) == expected, b"")
        }
        None => Check::weak(luhn(&siren)),
    }
}

/// Nine digits (three more for branches): weights 8 to 2, MOD 97, since 2010 also with 55 less.
fn british(value: &[u8]) -> Check {
    let Some(digits) = value.get(..9).and_then(digits::<9>) else { return Check::Unknown };
    let sum = weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) + number(&digits[7..]) as u32;
    Check::weak(number(&digits) > 0 && matches!(sum % 97, 0 | 42))
}

/// Nine digits, `B`, two digits: the sum of the BSN, or since 2020 MOD 97-10 over all.
fn dutch(text: &[u8]) -> Check {
    let rest = text.get(2..11).unwrap_or_default();
    let shape = text.len() == 14 && text.get(11) == Some(&b'B');
    let holds = europe::nl_bsn(rest) != Check::Invalid || mod97(text.iter().copied()) == Some(1);
    Check::weak(shape && holds)
}

/// Two to ten digits, weights from the right.
fn romanian(value: &[u8]) -> Check {
    if !(2..=10).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return Check::Invalid;
    }
    let padded: Vec<u8> = std::iter::repeat_n(0, 10 - value.len())
        .chain(value.iter().map(|byte| byte - b'0'))
        .collect();
    let sum = weighted(&padded[..9], &[7, 5, 3, 2, 1, 7, 5, 3, 2]) * 10;
    Check::weak(sum % 11 % 10 == u32::from(padded[9]))
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn published_examples() {
        test_table(&[(
            vat,
            &[
                "ATU13585627",
                "BE0428759497",
                "CHE-107.787.577",
                "CY10259033P",
                "DE136695976",
                "DK13585628",
                "EL094259216",
                "ESB58378431",
                "FI20774740",
                "FR40303265045",
                "GB980780684",
                "HR33392005961",
                "HU12892312",
                "IE6433435F",
                "IT00743110157",
                "LU15027442",
                "MT11679112",
                "NL004495445B01",
                "NO995525828MVA",
                "PL8567346215",
                "PT501964843",
                "RO18547290",
                "SE123456789701",
                "SI50223054",
            ],
            &[
                "ATU13585626",
                "DE136695978",
                "FR41303265045",
                "IT00743110158",
                "NL123456789B01",
                "RO18547291",
            ],
        )]);
    }
}
