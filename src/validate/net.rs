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

/// Country calling codes by how many digits may follow them, from least to most. Source: the
/// numbering plans behind ITU-T E.164, as libphonenumber's metadata collects them (2026-11).
const PLANS: &[(&[(usize, usize)], &str)] = &[
    (&[(4, 5)], "290"),
    (&[(4, 7)], "690"),
    (&[(4, 11)], "352"),
    (&[(4, 13)], "43"),
    (&[(4, 4), (7, 7)], "683"),
    (&[(5, 5)], "247 500 682"),
    (&[(5, 7)], "688"),
    (&[(5, 9)], "27"),
    (&[(5, 10)], "358"),
    (&[(5, 12)], "971"),
    (&[(5, 15)], "49"),
    (&[(5, 7), (10, 10)], "685"),
    (&[(5, 6), (8, 14)], "82"),
    (&[(5, 5), (7, 7)], "676 677 678"),
    (&[(5, 5), (8, 8)], "686"),
    (&[(6, 6)], "298 299 672 687"),
    (&[(6, 7)], "597"),
    (&[(6, 8)], "386"),
    (&[(6, 9)], "46 252 355"),
    (&[(6, 10)], "95 880"),
    (&[(6, 11)], "375"),
    (&[(6, 12)], "39 381"),
    (&[(6, 13)], "598"),
    (&[(6, 10), (12, 12)], "61"),
    (&[(6, 9), (12, 12)], "359"),
    (&[(6, 8), (10, 10)], "53"),
    (&[(6, 7), (9, 9)], "421"),
    (&[(6, 7), (10, 10)], "98"),
    (&[(6, 6), (8, 9)], "376"),
    (&[(6, 6), (8, 13)], "63"),
    (&[(6, 6), (9, 9)], "40 508 681"),
    (&[(7, 7)], "238 239 246 248 269 291 297 592 673 674 680 691 692"),
    (&[(7, 8)], "241 599 670 675 853 961 965 975"),
    (&[(7, 9)], "231 385 967 968"),
    (&[(7, 10)], "243 254 353"),
    (&[(7, 11)], "31 595"),
    (&[(7, 12)], "86 882 972"),
    (&[(7, 17)], "62"),
    (&[(7, 9), (11, 11)], "974"),
    (&[(7, 8), (10, 10)], "230 267 372"),
    (&[(7, 8), (10, 11)], "507"),
    (&[(7, 8), (11, 11)], "503"),
    (&[(7, 7), (9, 9)], "220 245 265 354 423"),
    (&[(7, 7), (9, 10)], "44 48 263"),
    (&[(7, 7), (10, 10)], "960"),
    (&[(7, 7), (11, 11)], "501 679"),
    (
        &[(8, 8)],
        "45 47 216 222 223 226 227 228 232 235 236 253 257 266 268 350 356 357 370 371 373 374 389 505 509 800 808 973 993",
    ),
    (&[(8, 9)], "32 36 51 213 224 233 237 250 258 264 377 382 387 591 689 852 962 963"),
    (&[(8, 10)], "20 60 64 84 855 856 964 970 976"),
    (&[(8, 11)], "55 92 593 886"),
    (&[(8, 12)], "383 883"),
    (&[(8, 13)], "91"),
    (&[(8, 17)], "81"),
    (&[(8, 10), (13, 13)], "66"),
    (&[(8, 8), (10, 10)], "378 506 850"),
    (&[(8, 8), (10, 11)], "57 65 977"),
    (&[(8, 8), (11, 11)], "502 504"),
    (
        &[(9, 9)],
        "33 34 41 93 94 211 212 218 221 240 242 244 249 251 255 256 260 261 262 351 420 590 594 596 992 994 995 998",
    ),
    (&[(9, 10)], "380 881 966 996"),
    (&[(9, 11)], "56"),
    (&[(9, 9), (12, 12)], "870"),
    (&[(10, 10)], "1 52 58 225 229"),
    (&[(10, 11)], "54"),
    (&[(10, 12)], "30"),
    (&[(10, 14)], "234"),
    (&[(10, 10), (12, 13)], "90"),
    (&[(10, 10), (14, 14)], "7"),
    (&[(12, 12)], "878"),
];

/// A telephone number in one of its written forms: `+`, a country's code and as many digits
/// as its plan has, or the ten digits of North America, area and exchange not beginning with
/// 0 or 1. What stands behind an `x` is an extension.
pub(super) fn phone(value: &[u8]) -> Check {
    let value = value.split(|byte| matches!(byte, b'x' | b'X')).next().unwrap_or_default();
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
    if digits.len() < 6 || is_dated(value) || digits.windows(2).all(|two| two[0] == two[1]) {
        return Check::Invalid;
    }
    let trimmed = value.trim_ascii();
    if trimmed.starts_with(b"+") || trimmed.starts_with(b"(+") {
        return Check::weak(is_planned(trimmed, &digits));
    }
    let national = match &digits[..] {
        [b'1', rest @ ..] if rest.len() == 10 => rest,
        rest => rest,
    };
    let north_american = national.len() == 10
        && matches!(national.first(), Some(b'2'..=b'9'))
        && matches!(national.get(3), Some(b'2'..=b'9'));
    if north_american { Check::Plausible } else { Check::Unknown }
}

/// Whether a country has numbers of that length. A zero in brackets, `+44 (0)20`, is for
/// callers in the country and no part of the number; some write it without brackets.
fn is_planned(value: &[u8], digits: &[u8]) -> bool {
    let Some((codes, rest)) = (1..=3).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        let plan = PLANS
            .iter()
            .find(|(_, codes)| codes.split(' ').any(|known| known.as_bytes() == code))?;
        Some((plan.0, rest))
    }) else {
        return false;
    };
    let fits = |length: usize| codes.iter().any(|(least, most)| (*least..=*most).contains(&length));
    let bracketed = value.windows(2).any(|two| two == b"(0");
    fits(rest.len()) && !bracketed || rest.starts_with(b"0") && fits(rest.len() - 1)
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
            &["+1", "+0123456789", "5555555555", "+45 1234 567", "+999 12345678", "+1 849 777 777"],
        );
        check(phone, &["+44 (0)20 7946 0958", "+1-743-438-6774x62406", "+353 01 234 5678"], &[]);
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
