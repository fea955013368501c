//! Addresses of people and machines: e-mail, telephone, IPv4.
//!
//! Sources: RFC 5321 and 5322 (the part of them that is in use), ITU-T E.164, the NANP
//! numbering rules, the IANA registry of special-purpose IPv4 addresses.

use super::Check;

/// Ends of file names that look like a mail domain's, as in `icon@2x.png`.
const FILE_ENDINGS: &[&[u8]] = &[
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"ts", b"tsx", b"jsx",
    b"json", b"html", b"py", b"rb", b"rs", b"go", b"java", b"class", b"md", b"txt", b"pdf",
    b"local",
];

/// An e-mail address that could be a person's.
pub(super) fn email(value: &[u8]) -> Check {
    let Some(at) = value.iter().rposition(|byte| *byte == b'@') else { return Check::Invalid };
    let (local, domain) = value.split_at(at);
    let domain = domain.get(1..).unwrap_or_default().to_ascii_lowercase();
    let labels: Vec<&[u8]> = domain.split(|byte| *byte == b'.').collect();
    let sound = |label: &&[u8]| {
        (1..=63).contains(&label.len()) && !label.starts_with(b"-") && !label.ends_with(b"-")
    };
    let top = labels.last().copied().unwrap_or_default();
    let well_formed = (1..=64).contains(&local.len())
        && !local.starts_with(b".")
        && !local.ends_with(b".")
        && !local.windows(2).any(|two| two == b"..")
        && labels.len() > 1
        && labels.iter().all(sound)
        && top.len() > 1;
    // `git@host:path` is how repositories are named, not a mailbox.
    Check::weak(well_formed && local != b"git" && !FILE_ENDINGS.contains(&top))
}

/// A telephone number in one of its written forms: `+` and 8 to 15 digits, or the ten
/// digits of North America, area and exchange not beginning with 0 or 1.
pub(super) fn phone(value: &[u8]) -> Check {
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
    if digits.len() < 7 || is_dated(value) {
        return Check::Invalid;
    }
    let repeated = digits.windows(2).all(|two| two[0] == two[1]);
    let international = value.trim_ascii().starts_with(b"+");
    let national = match &digits[..] {
        [b'1', rest @ ..] if rest.len() == 10 => rest,
        rest => rest,
    };
    let north_american = national.len() == 10
        && matches!(national.first(), Some(b'2'..=b'9'))
        && matches!(national.get(3), Some(b'2'..=b'9'));
    let abroad = international && (8..=15).contains(&digits.len()) && digits.first() != Some(&b'0');
    if repeated {
        Check::Invalid
    } else if abroad || north_american {
        Check::Plausible
    } else if international {
        Check::Invalid
    } else {
        Check::Unknown
    }
}

/// Whether it begins as `2026-11-21` does.
fn is_dated(value: &[u8]) -> bool {
    let digit = |at: usize| value.get(at).is_some_and(u8::is_ascii_digit);
    let mark = |at: usize| value.get(at).is_some_and(|byte| matches!(byte, b'-' | b'.' | b'/'));
    (value.starts_with(b"19") || value.starts_with(b"20"))
        && [2, 3, 5, 6, 8, 9].into_iter().all(digit)
        && [4, 7].into_iter().all(mark)
}

/// A hardware address of six or eight octets that is neither all zeros nor all ones.
pub(super) fn mac(value: &[u8]) -> Check {
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let plain = digits.windows(2).all(|two| two[0] == two[1]);
    Check::weak(matches!(digits.len(), 12 | 16) && !plain)
}

/// An address that belongs to somebody on the Internet.
pub(super) fn ipv4_public(value: &[u8]) -> Check {
    let mut octets = [0_u8; 4];
    let mut parts = value.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let part = parts.next().and_then(|part| std::str::from_utf8(part).ok());
        let Some(number) = part.and_then(|part| part.parse().ok()) else { return Check::Invalid };
        *octet = number;
    }
    let special = matches!(
        octets,
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Counting up is how versions and samples look.
            | [1, 2, 3, 4]
    );
    Check::weak(parts.next().is_none() && !special)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(validator: fn(&[u8]) -> Check, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(validator(value.as_bytes()), Check::Plausible, "{value}");
        }
        for value in bad {
            assert_eq!(validator(value.as_bytes()), Check::Invalid, "{value}");
        }
    }

    #[test]
    fn mailboxes_and_what_only_looks_like_one() {
        check(
            email,
            &["jane.doe@example.com", "a+b@sub.example.co.uk"],
            &[
                "icon@2x.png",
                "git@github.com",
                ".a@example.com",
                "a..b@example.com",
                "a@b",
                "a@-b.com",
                "nothing",
            ],
        );
    }

    #[test]
    fn telephone_numbers() {
        check(
            phone,
            &["+49 30 901820", "+1 (212) 555-0123", "(212) 555-0123", "1-212-555-0123"],
            &["+1", "+0123456789", "5555555555"],
        );
        assert_eq!(
            phone(b"030 901820"),
            Check::Unknown,
            "other countries' forms are not told apart"
        );
    }

    #[test]
    fn hardware_addresses_have_six_or_eight_octets() {
        check(
            mac,
            &["00:1A:2B:3C:4D:5E", "001a.2b3c.4d5e", "00-1A-2B-3C-4D-5E-6F-70"],
            &["00:1A:2B:3C:4D:5E:6F", "00:00:00:00:00:00"],
        );
        check(phone, &[], &["2026-11-21 09", "124 67"]);
    }

    #[test]
    fn public_addresses() {
        check(
            ipv4_public,
            &["8.8.8.8", "93.184.216.34"],
            &[
                "10.0.0.1",
                "127.0.0.1",
                "192.168.1.1",
                "172.20.0.1",
                "169.254.169.254",
                "203.0.113.7",
                "1.2.3.4",
                "1.2.3",
                "1.2.3.4.5",
                "300.1.1.1",
            ],
        );
    }
}
