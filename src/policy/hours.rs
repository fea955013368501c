//! Hours of the week in a time zone: when a tool may be called.
//!
//! Zones come from the database compiled into the binary, so that a replay elsewhere and
//! next year decides by the same rules of summer time as long as the binary is the same.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::Millis;

/// When something is open, by the clock on the wall of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hours {
    pub(super) zone: TimeZone,
    /// Bit 0 is Monday.
    pub(super) days: u8,
    /// Minutes of the day; where `to` is not after `from` the hours end on the next day.
    pub(super) from: u16,
    pub(super) to: u16,
}

/// Names of days, Monday first.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    pub(super) fn open(&self, now: Millis) -> bool {
        let Ok(now) = Timestamp::from_millisecond(now.0) else { return false };
        let local = self.zone.to_datetime(now);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let today = local.date().weekday().to_monday_zero_offset() as u32;
        let on = |day: u32| self.days & (1 << day) != 0;
        if self.from < self.to {
            return on(today) && (self.from..self.to).contains(&minute);
        }
        (on(today) && minute >= self.from) || (on((today + 6) % 7) && minute < self.to)
    }
}

/// The bits of `mon`, of `mon-fri`, of `sat-mon`.
pub(super) fn days(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name.trim());
    let Some((first, last)) = text.split_once('-') else { return Some(1 << day(text)?) };
    let (first, last) = (day(first)?, day(last)?);
    let mut bits = 0;
    let mut at = first;
    loop {
        bits |= 1 << at;
        if at == last {
            return Some(bits);
        }
        at = (at + 1) % 7;
    }
}

/// Minutes of the day of `08:30`; `24:00` is its end.
pub(super) fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())?
    };
    let minutes = number(hour)? * 60 + number(minute).filter(|minute| *minute < 60)?;
    (minutes <= 24 * 60).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn hours_follow_the_wall_clock_of_their_zone() {
        let mut hours = Hours {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            days: days("mon-fri").unwrap(),
            from: minutes("08:00").unwrap(),
            to: minutes("18:00").unwrap(),
        };
        for (time, open) in [
            ("2026-01-05T06:59:59Z", false),
            ("2026-01-05T07:00:00Z", true),
            ("2026-01-05T16:59:59Z", true),
            ("2026-01-05T17:00:00Z", false),
            // In summer the same wall clock is an hour earlier.
            ("2026-07-06T06:00:00Z", true),
            ("2026-07-06T16:00:00Z", false),
            ("2026-01-04T12:00:00Z", false),
        ] {
            assert_eq!(hours.open(at(time)), open, "{time}");
        }
        // Over midnight: the hours belong to the day that they begin on.
        (hours.from, hours.to, hours.days) = (22 * 60, 6 * 60, days("fri").unwrap());
        for (time, open) in [
            ("2026-01-09T21:30:00Z", true),
            ("2026-01-10T04:30:00Z", true),
            ("2026-01-10T05:30:00Z", false),
            ("2026-01-09T04:30:00Z", false),
        ] {
            assert_eq!(hours.open(at(time)), open, "{time}");
        }
    }

    #[test]
    fn days_and_times_are_read_or_refused() {
        assert_eq!(days("mon-fri"), Some(0b001_1111));
        assert_eq!(days("sat-mon"), Some(0b110_0001));
        assert_eq!((days("monday"), days("mon-"), days("")), (None, None, None));
        assert_eq!((minutes("24:00"), minutes("00:00")), (Some(1440), Some(0)));
        for bad in ["24:01", "8:00", "08:60", "0800", "+8:00", ""] {
            assert_eq!(minutes(bad), None, "{bad}");
        }
    }
}
