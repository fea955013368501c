//! Payment cards and bank accounts.
//!
//! Issuer ranges are those of ISO/IEC 7812 as the networks publish them; IBAN lengths are
//! those of the registry that SWIFT keeps for ISO 13616, and so are the forms of the account
//! parts; the sums that some countries keep inside them are not checked.

use super::Check;
use super::checksum;

/// Issuer ranges (first six digits) and the lengths in use; the flag tells ranges so wide,
/// or lengths so rare, that a Luhn digit alone is no proof.
struct Issuer {
    from: u64,
    to: u64,
    lengths: &'static [usize],
    certain: bool,
}

const fn issuer(from: u64, to: u64, lengths: &'static [usize], certain: bool) -> Issuer {
    Issuer { from, to, lengths, certain }
}

/// First match wins.
const ISSUERS: &[Issuer] = &[
    issuer(340_000, 349_999, &[15], true), // American Express
    issuer(370_000, 379_999, &[15], true),
    issuer(300_000, 305_999, &[14, 16], true), // Diners Club
    issuer(360_000, 369_999, &[14], true),
    issuer(380_000, 399_999, &[14, 16], true),
    issuer(352_800, 358_999, &[16], true), // JCB
    // Not given out, but what test data holds for JCB.
    issuer(350_000, 359_999, &[16], false),
    issuer(180_000, 180_099, &[15], true),
    issuer(213_100, 213_199, &[15], true),
    issuer(400_000, 499_999, &[16], true), // Visa
    issuer(400_000, 499_999, &[13, 19], false),
    issuer(510_000, 559_999, &[16], true), // Mastercard
    issuer(222_100, 272_099, &[16], true),
    issuer(220_000, 220_499, &[16], true), // Mir
    issuer(601_100, 601_199, &[16], true), // Discover
    issuer(644_000, 659_999, &[16], true),
    issuer(620_000, 629_999, &[16], true), // UnionPay
    issuer(620_000, 629_999, &[17, 18, 19], false),
    issuer(810_000, 817_199, &[16], true),
    issuer(810_000, 817_199, &[17, 18, 19], false),
    issuer(508_000, 508_999, &[16], true), // RuPay
    issuer(500_000, 509_999, &[12, 13, 14, 15, 16, 17, 18, 19], false), // Maestro
    issuer(560_000, 699_999, &[12, 13, 14, 15, 16, 17, 18, 19], false),
];

/// A payment card number: issuer range, length and Luhn digit.
pub(super) fn card(value: &[u8]) -> Check {
    let mut digits = [0; 19];
    let mut count = 0;
    for &byte in value {
        match byte {
            b'0'..=b'9' => {
                let Some(place) = digits.get_mut(count) else { return Check::Invalid };
                *place = byte - b'0';
                count += 1;
            }
            b' ' | b'-' | b'.' => {}
            _ => return Check::Invalid,
        }
    }
    let digits = digits.get(..count).unwrap_or_default();
    let Some(prefix) = digits.get(..6) else { return Check::Invalid };
    let prefix = checksum::number(prefix);
    let Some(issuer) = ISSUERS.iter().find(|issuer| {
        (issuer.from..=issuer.to).contains(&prefix) && issuer.lengths.contains(&count)
    }) else {
        return Check::Invalid;
    };
    match checksum::luhn(digits) && !checksum::repeated(digits) {
        false => Check::Invalid,
        true if issuer.certain => Check::Valid,
        true => Check::Plausible,
    }
}

/// A Luhn digit at the end, whatever stands before it.
pub(super) fn luhn(value: &[u8]) -> Check {
    let digits: Vec<u8> =
        value.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    Check::weak(digits.len() > 1 && !checksum::repeated(&digits) && checksum::luhn(&digits))
}

/// Countries of ISO 3166-1, as banks are named by them, and XK.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// A bank's BIC: four letters, a country, a place, perhaps a branch.
pub(super) fn bic(value: &[u8]) -> Check {
    let country = value.get(4..6).and_then(|two| std::str::from_utf8(two).ok());
    let known = country.is_some_and(|two| COUNTRIES.split(' ').any(|code| code == two));
    Check::weak(known && matches!(value.len(), 8 | 11))
}

/// Account parts by country: so many digits (`n`), letters (`a`) or either (`c`). Where the
/// registry has no entry and only a length is in use, everything is `c`.
const ACCOUNTS: &[(&str, &str)] = &[
    ("11n", "NO"),
    ("12n", "BE"),
    ("14n", "DK FI FO GL SD"),
    ("2a12n", "FK"),
    ("4a10n", "NL"),
    ("3n10c2n", "MK"),
    ("15n", "SI"),
    ("16n", "AT BA EE LT MN XK"),
    ("3n13c", "KZ LU"),
    ("5n12c", "CH LI"),
    ("17n", "HR"),
    ("4a13c", "LV"),
    ("4a6n8c", "BG"),
    ("4a14c", "BH"),
    ("18n", "CR DE ME RS VA"),
    ("4a14n", "GB IE"),
    ("2a16n", "GE"),
    ("19n", "AE IL SO TL"),
    ("4a15c", "GI"),
    ("4a15n", "IQ"),
    ("3n16c", "OM"),
    ("8n12c", "AD"),
    ("20n", "CZ ES SE SK TN"),
    ("20c", "MD"),
    ("4a16c", "PK RO"),
    ("2n18c", "SA"),
    ("4a16n", "VG"),
    ("21n", "LY PT ST"),
    ("21c", "AO CV GW MZ"),
    ("22n", "IS"),
    ("6n16c", "TR"),
    ("22c", "DZ IR"),
    ("23n", "BI DJ MR"),
    ("10n11c2n", "FR MC"),
    ("7n16c", "GR"),
    ("1a10n12c", "IT SM"),
    ("23c", "CF CG CM GA GQ KM MG TD"),
    ("24n", "HU PL"),
    ("8n16c", "AL CY"),
    ("4a20c", "AZ"),
    ("4c4n16c", "BY"),
    ("4c20n", "DO"),
    ("24c", "BF BJ CI GT MA ML NE SN TG"),
    ("4n20c", "LB"),
    ("4a20n", "HN NI SV"),
    ("23n1a1c", "BR"),
    ("25n", "EG"),
    ("4a21c", "PS QA"),
    ("6n19c", "UA"),
    ("4a4n18c", "JO YE"),
    ("4a22c", "KW"),
    ("4a19n3a", "MU"),
    ("4a5n18c", "MT"),
    ("4a20n3a", "SC"),
    ("4a24c", "LC"),
    ("14n15c", "RU"),
];

/// An IBAN: country, the country's form and MOD 97-10 (ISO 13616, ISO/IEC 7064).
pub(super) fn iban(value: &[u8]) -> Check {
    let text: Vec<u8> = value
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-'))
        .map(u8::to_ascii_uppercase)
        .collect();
    let formed = text.split_at_checked(4).is_some_and(|(head, account)| {
        account_classes(&head[..2]).is_some_and(|classes| {
            classes.len() == account.len()
                && classes.iter().zip(account).all(|(class, byte)| match class {
                    b'n' => byte.is_ascii_digit(),
                    b'a' => byte.is_ascii_uppercase(),
                    _ => byte.is_ascii_alphanumeric(),
                })
        })
    });
    Check::strong(formed && iban_remainder(&text) == Some(1))
}

/// What each character of a country's account part is, as in [`ACCOUNTS`].
fn account_classes(country: &[u8]) -> Option<Vec<u8>> {
    let known = |countries: &str| countries.split(' ').any(|code| code.as_bytes() == country);
    let (form, _) = ACCOUNTS.iter().find(|(_, countries)| known(countries))?;
    let mut classes = Vec::new();
    let mut count = 0;
    for byte in form.bytes() {
        if byte.is_ascii_digit() {
            count = count * 10 + usize::from(byte - b'0');
        } else {
            classes.extend(std::iter::repeat_n(byte, std::mem::take(&mut count)));
        }
    }
    Some(classes)
}

/// The remainder with country and check digits moved to the end.
fn iban_remainder(text: &[u8]) -> Option<u32> {
    let (head, account) = text.split_at_checked(4)?;
    checksum::mod97(account.iter().chain(head).copied())
}

/// After a country code: check digits and a made-up account of the right length.
pub(super) fn complete_iban(before: &[u8]) -> Vec<u8> {
    let country =
        before.last_chunk::<2>().copied().unwrap_or(*b"DE").map(|b| b.to_ascii_uppercase());
    let Some(classes) = account_classes(&country) else { return Vec::new() };
    let account: Vec<u8> = classes
        .iter()
        .zip(b"1020304050607080".iter().cycle())
        .map(|(class, digit)| if *class == b'a' { digit - b'0' + b'A' } else { *digit })
        .collect();
    let mut text = country.to_vec();
    text.extend_from_slice(b"00");
    text.extend_from_slice(&account);
    let check = 98 - iban_remainder(&text).unwrap_or_default();
    let mut out = format!("{check:02}").into_bytes();
    out.extend_from_slice(&account);
    out
}

/// The Luhn digit for the digits right before it, across single spaces and hyphens.
pub(super) fn complete_luhn(before: &[u8]) -> Vec<u8> {
    vec![b'0' + checksum::luhn_digit(&trailing_digits(before))]
}

/// The digits at the end of a text, single spaces and hyphens between them left out.
pub(super) fn trailing_digits(before: &[u8]) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut gap = false;
    for &byte in before.iter().rev() {
        match byte {
            b'0'..=b'9' => {
                digits.push(byte - b'0');
                gap = false;
            }
            b' ' | b'-' if !gap => gap = true,
            _ => break,
        }
    }
    digits.reverse();
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cards_published_by_the_networks_for_tests() {
        for number in [
            "4111 1111 1111 1111",
            "4012888888881881",
            "5555-5555-5555-4444",
            "2223003122003222",
            "378282246310005",
            "3714 496353 98431",
            "30569309025904",
            "3530111333300000",
            "6011111111111117",
            "6200000000000005",
        ] {
            assert_eq!(card(number.as_bytes()), Check::Valid, "{number}");
        }
    }

    #[test]
    fn what_is_no_card() {
        for number in [
            "4111111111111112",     // Luhn
            "1234567812345670",     // Luhn holds, no issuer
            "0000000000000000",     // one digit repeated
            "41111111111111",       // Visa has no 14 digits
            "4111111111111111x",    // not digits
            "41111111111111111111", // longer than any card
            "",
        ] {
            assert_eq!(card(number.as_bytes()), Check::Invalid, "{number}");
        }
        assert_eq!(card(b"4222222222222"), Check::Plausible, "Visa's 13 digits left use long ago");
        assert_eq!(card(b"6759649826438453"), Check::Plausible, "Maestro's ranges are wide");
    }

    #[test]
    fn ibans_of_the_registry() {
        for number in [
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "FR14 2004 1010 0505 0001 3M02 606",
            "nl91abna0417164300",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(iban(number.as_bytes()), Check::Valid, "{number}");
        }
        for number in [
            "DE89370400440532013001",
            "DE8937040044053201300",
            "ZZ89370400440532013000",
            "D",
            // The sum holds, but Ireland's banks have four letters.
            "IE95TE8270900834048660",
        ] {
            assert_eq!(iban(number.as_bytes()), Check::Invalid, "{number}");
        }
    }

    #[test]
    fn a_bank_code_names_a_country() {
        assert_eq!(bic(b"DEUTDEFF500"), Check::Plausible);
        assert_eq!(bic(b"SBICKEN1"), Check::Plausible);
        assert_eq!(bic(b"DEUTQQFF"), Check::Invalid);
        assert_eq!(bic(b"DEUTDEFF5"), Check::Invalid);
    }

    #[test]
    fn completed_ibans_hold_for_every_country() {
        for country in ACCOUNTS.iter().flat_map(|(_, codes)| codes.split(' ')) {
            let mut text = country.as_bytes().to_vec();
            text.extend(complete_iban(country.as_bytes()));
            assert_eq!(iban(&text), Check::Valid, "{}", String::from_utf8_lossy(&text));
        }
    }

    proptest! {
        #[test]
        fn one_changed_digit_breaks_an_iban(at in 2_usize..22, by in 1_u8..10) {
            let mut text = b"DE89370400440532013000".to_vec();
            text[at] = b'0' + (text[at] - b'0' + by) % 10;
            prop_assert_eq!(iban(&text), Check::Invalid);
        }

        #[test]
        fn a_visa_number_completed_with_luhn_holds(body in "4[0-9]{3} [0-9]{4} [0-9]{4} [0-9]{3}") {
            let mut text = body.into_bytes();
            text.extend(complete_luhn(&text));
            prop_assert_eq!(card(&text), Check::Valid);
        }
    }
}
