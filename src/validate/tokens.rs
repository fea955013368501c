//! Tokens in which the vendor put a checksum.
//!
//! A checksum that holds makes a token certain. One that does not hold proves nothing
//! here: older tokens of the same prefix were issued without one, and the tests of other
//! projects are full of made-up tokens that a filter is expected to catch.
//! Sources: the vendors' announcements of their token formats (GitHub 2021-04, npm 2021-09,
//! GitLab routable tokens, Grafana service accounts, Confluent Cloud API keys, Atlassian).

use super::Check;
use super::encoding::{base36, base62, base64, crc32, hex};

/// `ghp_` and its kin: 30 random characters and the CRC-32 of them in base 62.
pub(super) fn github(value: &[u8]) -> Check {
    let body = value.get(4..).unwrap_or_default();
    Check::promote(body.len() == 36 && crc32_base62_holds(body))
}

/// `npm_`: as GitHub's.
pub(super) fn npm(value: &[u8]) -> Check {
    github(value)
}

fn crc32_base62_holds(body: &[u8]) -> bool {
    body.split_last_chunk::<6>().is_some_and(|(random, sum)| base62(crc32(random)) == *sum)
}

/// GitLab's routable tokens end in seven base-36 characters, the CRC-32 of all before them.
pub(super) fn gitlab(value: &[u8]) -> Check {
    let holds = value.contains(&b'.')
        && value.split_last_chunk::<7>().is_some_and(|(rest, sum)| base36(crc32(rest)) == *sum);
    Check::promote(holds)
}

/// `glsa_`, 32 characters, `_`, CRC-32 of what precedes the underscore: eight hexadecimal
/// digits, low byte first.
pub(super) fn grafana(value: &[u8]) -> Check {
    let holds = value.split_last_chunk::<8>().is_some_and(|(rest, sum)| {
        rest.strip_suffix(b"_").is_some_and(|body| hex(&crc32(body).to_le_bytes()) == *sum)
    });
    Check::promote(holds)
}

/// `cflt`, 54 characters, and six of base64: CRC-32 of the 54, low byte first.
pub(super) fn confluent(value: &[u8]) -> Check {
    let holds = value
        .strip_prefix(b"cflt")
        .and_then(<[u8]>::split_last_chunk::<6>)
        .is_some_and(|(body, sum)| body.len() == 54 && base64(&crc32(body).to_le_bytes()) == *sum);
    Check::promote(holds)
}

/// `ATATT3…=` and eight hexadecimal digits: CRC-32 of all that precedes them or the equals sign.
pub(super) fn atlassian(value: &[u8]) -> Check {
    let holds = value.split_last_chunk::<8>().is_some_and(|(rest, sum)| {
        let sum = sum.to_ascii_lowercase();
        let body = rest.strip_suffix(b"=").unwrap_or(rest);
        [rest, body].iter().any(|text| hex(&crc32(text).to_be_bytes()) == sum)
    });
    Check::promote(holds)
}

/// For the last 30 bytes.
pub(super) fn complete_crc32_base62(before: &[u8]) -> Vec<u8> {
    base62::<6>(crc32(last(before, 30))).to_vec()
}

/// For everything from the last `glpat-` on.
pub(super) fn complete_gitlab(before: &[u8]) -> Vec<u8> {
    base36::<7>(crc32(from_last(before, b"glpat-"))).to_vec()
}

/// For everything from the last `glsa_` on, an underscore before the sum left out.
pub(super) fn complete_grafana(before: &[u8]) -> Vec<u8> {
    let body = from_last(before, b"glsa_");
    hex(&crc32(body.strip_suffix(b"_").unwrap_or(body)).to_le_bytes())
}

/// For the last 54 bytes.
pub(super) fn complete_confluent(before: &[u8]) -> Vec<u8> {
    base64(&crc32(last(before, 54)).to_le_bytes())
}

/// For everything from the last `ATATT3` on.
pub(super) fn complete_atlassian(before: &[u8]) -> Vec<u8> {
    hex(&crc32(from_last(before, b"ATATT3")).to_be_bytes()).to_ascii_uppercase()
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(count)..).unwrap_or_default()
}

fn from_last<'a>(bytes: &'a [u8], prefix: &[u8]) -> &'a [u8] {
    let at = bytes.windows(prefix.len()).rposition(|window| window == prefix).unwrap_or_default();
    bytes.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn completed(before: &str, complete: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut text = before.as_bytes().to_vec();
        text.extend(complete(&text));
        text
    }

    #[test]
    fn a_broken_sum_is_unknown_because_not_every_version_has_one() {
        let made_up = format!("ghp_{}", "a".repeat(36));
        assert_eq!(github(made_up.as_bytes()), Check::Unknown);
        assert_eq!(gitlab(b"glpat-abcdefghij1234567890"), Check::Unknown);
        assert_eq!(grafana(b"glsa_short"), Check::Unknown);
        assert_eq!(confluent(b""), Check::Unknown);
        assert_eq!(atlassian(b"ATATT3xyz=00000000"), Check::Unknown);
    }

    proptest! {
        #[test]
        fn completed_tokens_hold_and_changed_ones_do_not(
            thirty in "[0-9A-Za-z]{30}", more in "[0-9A-Za-z]{22}", at in 4_usize..30,
        ) {
            let thirty_two = format!("{thirty}xY");
            let random = format!("{thirty_two}{more}");
            for (text, check) in [
                (completed(&format!("ghp_{thirty}"), complete_crc32_base62), github as fn(&[u8]) -> Check),
                (completed(&format!("npm_{thirty}"), complete_crc32_base62), npm),
                (completed(&format!("glsa_{thirty_two}_"), complete_grafana), grafana),
                (completed(&format!("cflt{random}"), complete_confluent), confluent),
                (completed(&format!("ATATT3{random}="), complete_atlassian), atlassian),
                (completed(&format!("glpat-{random}.01.16"), complete_gitlab), gitlab),
            ] {
                prop_assert_eq!(check(&text), Check::Valid, "{}", String::from_utf8_lossy(&text));
                let mut changed = text.clone();
                changed[at + 2] = if changed[at + 2] == b'q' { b'r' } else { b'q' };
                prop_assert_eq!(check(&changed), Check::Unknown);
            }
        }
    }
}
