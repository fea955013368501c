//! Instants as text.

use crate::event::Millis;

/// RFC 3339 in UTC with milliseconds. Instants beyond the calendar's ends are held at them.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let ms = at.0.clamp(first.as_millisecond(), last.as_millisecond());
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(last);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_with_milliseconds() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_165_200_250, "2026-11-20T09:00:00.250Z"),
        ] {
            assert_eq!(rfc3339(Millis(ms)), text);
        }
        assert_eq!(rfc3339(Millis(i64::MAX)), rfc3339(Millis(i64::MAX - 1)));
    }
}
