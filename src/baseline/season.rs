//! Hours of the day and of the week, where the agent's people are.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::baseline::class::CELLS;

/// A time zone by its rule, with summer time.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

/// A rule that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone rule such as `UTC0` or `CET-1CEST,M3.5.0,M10.5.0/3`")]
pub struct BadZone(pub String);

impl Zone {
    /// Reads a POSIX time zone rule, such as `CET-1CEST,M3.5.0,M10.5.0/3`. A rule and not a
    /// name: what a name means changes with a database that instances would have to share.
    ///
    /// # Errors
    /// [`BadZone`].
    pub fn posix(rule: &str) -> Result<Self, BadZone> {
        TimeZone::posix(rule).map(Self).map_err(|_| BadZone(rule.to_owned()))
    }

    /// Seconds east of UTC at that hour since the epoch.
    fn offset_s(&self, hour: u32) -> i64 {
        Timestamp::from_second(i64::from(hour) * 3600)
            .map_or(0, |at| i64::from(self.0.to_offset(at).seconds()))
    }
}

/// Finds an hour's place in the day and the week.
pub(super) struct Season<'z> {
    zone: &'z Zone,
}

impl<'z> Season<'z> {
    pub(super) fn new(zone: &'z Zone) -> Self {
        Self { zone }
    }

    /// Hour of the week from Monday 00:00, local.
    pub(super) fn of_week(&self, hour: u32) -> usize {
        let local = (i64::from(hour) * 3600 + self.zone.offset_s(hour)).div_euclid(3600);
        // The epoch was a Thursday.
        (local + 72).rem_euclid(168) as usize
    }

    /// Hour of the day, the weekend's after the weekdays'.
    pub(super) fn cell(of_week: usize) -> usize {
        (of_week % 24 + if of_week >= 120 { 24 } else { 0 }).min(CELLS - 1)
    }

    /// The cells of the hours before and after.
    pub(super) fn beside(of_week: usize) -> [usize; 2] {
        [Self::cell((of_week + 167) % 168), Self::cell((of_week + 1) % 168)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> u32 {
        let at: Timestamp = text.parse().unwrap();
        (at.as_second() / 3600) as u32
    }

    #[test]
    fn nine_in_the_morning_stays_nine_through_summer_time_and_new_year() {
        let zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let season = Season::new(&zone);
        // Mondays at nine, local: winter, summer, the days around both changes, new year.
        for at in [
            "2026-01-05T08:00:00Z",
            "2026-03-23T08:00:00Z",
            "2026-03-30T07:00:00Z",
            "2026-07-06T07:00:00Z",
            "2026-10-19T07:00:00Z",
            "2026-10-26T08:00:00Z",
            "2024-12-30T08:00:00Z",
            "2029-01-01T08:00:00Z",
        ] {
            assert_eq!(season.of_week(hour(at)), 9, "{at}");
        }
        assert_eq!(Season::cell(season.of_week(hour("2026-03-29T08:00:00Z"))), 24 + 10);
        assert_eq!(Season::new(&Zone::default()).of_week(0), 72);
    }

    #[test]
    fn a_rule_that_is_none_is_refused() {
        assert!(Zone::posix("Europe/Berlin").is_err());
        assert!(Zone::posix("").is_err());
    }
}
