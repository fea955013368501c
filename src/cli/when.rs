//! Points in time as people write them: an instant, a day, or how long ago.

use crate::clock;
use crate::event::Millis;

/// Reads `2026-11-20T10:00:00Z`, `2026-11-20` (its first instant in UTC), or `90s`, `15m`,
/// `2h`, `7d` before now.
pub(super) fn instant(text: &str) -> Result<Millis, String> {
    instant_at(text, clock::now())
}

fn instant_at(text: &str, now: Millis) -> Result<Millis, String> {
    let wrong =
        || "must be an instant (2026-11-20T10:00:00Z), a day, or how long ago (15m, 2h, 7d)";
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Millis(time.as_millisecond()));
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        return Ok(Millis(start.timestamp().as_millisecond()));
    }
    Ok(now.plus(-span(text).map_err(|_| wrong())?))
}

/// Reads `90s`, `15m`, `2h` or `7d`; gives milliseconds.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let wrong = || "must be a time such as 90s, 15m, 2h or 7d".to_owned();
    let mut digits = text.chars();
    let unit = match digits.next_back() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return Err(wrong()),
    };
    let count: u32 = digits.as_str().parse().map_err(|_| wrong())?;
    Ok(i64::from(count) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_days_and_ages_are_read() {
        let now = Millis(1_795_168_800_000);
        for (text, expected) in [
            ("2026-11-20T09:00:00Z", Some(1_795_165_200_000)),
            ("2026-11-20T10:00:00+01:00", Some(1_795_165_200_000)),
            ("2026-11-20", Some(1_795_132_800_000)),
            ("1h", Some(1_795_165_200_000)),
            ("90s", Some(1_795_168_710_000)),
            ("7d", Some(1_794_564_000_000)),
            ("7", None),
            ("d", None),
            ("-1h", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(instant_at(text, now).ok().map(|at| at.0), expected, "{text}");
        }
    }
}
