//! What is known of one agent: at most two kilobytes, in a fixed layout.

use crate::baseline::class::{CELLS, Class, ClassCell, ClassHour, LOGS, LogSums, Popular, Summary};
use crate::baseline::ring::Ring;
use crate::baseline::seen::{Seen, Use};
use crate::baseline::sessions::{Session, Sessions};
use crate::baseline::wire::{Fixed, row};
use crate::event::Millis;

/// An event may come so long after a later one and still count as if it had come in order.
pub const LATENESS_MS: i64 = 600_000;
/// A `ts` beyond the log's clock by more than this counts as the clock itself.
pub const AHEAD_MS: i64 = 60_000;
/// One minute in milliseconds.
pub(super) const MINUTE: i64 = 60_000;
/// One hour in milliseconds.
pub(super) const HOUR: i64 = 3_600_000;
/// Minutes of calls: an hour before the oldest open hour, that hour, and the lateness.
pub(super) const CALL_MINUTES: usize = 130;
/// Windows that end so many minutes before the latest event are still whole.
pub(super) const KEPT_MINUTES: i64 = CALL_MINUTES as i64 - 60;
/// Minutes of tokens: the oldest open hour with five minutes before it, and the lateness.
pub(super) const TOKEN_MINUTES: usize = 76;
/// Five-minute buckets of bytes, over the same time as calls.
pub(super) const BYTE_FIVES: usize = 28;

/// An hour that is not closed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the hour's own number")]
pub(super) struct Hour {
    /// Hour since the epoch.
    pub(super) hour: u32,
    /// Events of any kind.
    pub(super) events: u32,
    /// Cost in millionths of a dollar.
    pub(super) cost: u64,
    /// Sum of latencies in milliseconds.
    pub(super) latency: u64,
    /// How many had one.
    pub(super) latencies: u32,
    /// Tool results.
    pub(super) results: u32,
    /// Of these, errors.
    pub(super) errors: u32,
    /// Sums of the logarithms of each result's bytes and each event's tokens, in 256ths, and
    /// how many there were.
    pub(super) payload: [u32; 2],
    pub(super) payloads: [u32; 2],
    /// Calls that nothing is to be learned from.
    pub(super) unlearned: u32,
    /// Largest calibrated surprise by group, in sixteenths.
    pub(super) groups: [u8; 6],
    /// Features that were told while the hour was open, one bit each.
    pub(super) told: u16,
    /// What the sender said the agent was when the hour's latest event came; 0 where it did
    /// not say, or nothing happened.
    pub(super) deployment: u32,
    /// When that event was, in seconds.
    pub(super) deployment_s: u32,
}

/// One hour of the day, on weekdays or at weekends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// Mean of calls, as [`fine`] writes it.
    pub(super) mean: u16,
    /// Hours closed, up to 100.
    pub(super) exposed: u8,
    /// Of these, with an event.
    pub(super) active: u8,
}

/// Mean and spread of a logarithm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LogMean {
    pub(super) n: f32,
    pub(super) mean: f32,
    pub(super) squares: f32,
}

impl LogMean {
    /// Learns one value; beyond 300 the oldest fade.
    pub(super) fn learn(&mut self, value: f64) {
        let value = value as f32;
        if self.n >= 300.0 {
            self.n -= 1.0;
            self.squares *= 1.0 - 1.0 / 300.0;
        }
        self.n += 1.0;
        let off = value - self.mean;
        self.mean += off / self.n;
        self.squares += off * (value - self.mean);
    }
}

/// A sum over the active buckets of thirty days, in integers: of a constant series the mean is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mean {
    pub(super) sum: u64,
    pub(super) n: u32,
}

impl Mean {
    pub(super) fn learn(&mut self, value: u64) {
        self.sum = self.sum.saturating_add(value);
        self.n = self.n.saturating_add(1);
    }

    /// Lets one day in thirty fade, at the mean.
    pub(super) fn fade(&mut self, day: u32) {
        if self.n == 0 {
            return;
        }
        // Where the thirtieth is not whole, the days take turns.
        let gone = self.n / 30 + u32::from(day.wrapping_mul(7) % 30 < self.n % 30);
        let part =
            (u128::from(self.sum) * u128::from(gone) + u128::from(self.n / 2)) / u128::from(self.n);
        self.sum -= u64::try_from(part).unwrap_or(self.sum).min(self.sum);
        self.n -= gone;
    }

    /// The mean; 0 where there is nothing to take one of.
    pub(super) fn value(self) -> f64 {
        if self.n == 0 { 0.0 } else { self.sum as f64 / f64::from(self.n) }
    }
}

/// What is known of one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Earliest event.
    pub(super) first: i64,
    /// Latest event.
    pub(super) newest: i64,
    /// The first hour that is not closed.
    pub(super) next_hour: u32,
    pub(super) calls: Ring<u16, CALL_MINUTES>,
    pub(super) tokens: Ring<u32, TOKEN_MINUTES>,
    pub(super) bytes: Ring<u64, BYTE_FIVES>,
    pub(super) open: [Hour; 2],
    pub(super) cells: [Cell; CELLS],
    /// Mean of calls by hour of the week, as [`coarse`] writes it.
    pub(super) week: [u8; 168],
    pub(super) tools: Seen<20>,
    pub(super) data: Seen<6>,
    pub(super) destinations: Seen<12>,
    pub(super) sessions: Sessions,
    pub(super) logs: [LogMean; LOGS],
    /// Calls and bytes by active hour, tokens by active five minutes.
    pub(super) calls_mean: Mean,
    pub(super) bytes_mean: Mean,
    pub(super) tokens_mean: Mean,
    /// Hours of the last thirty days since the first event, silent ones included.
    pub(super) hours: u32,
    /// Calls in an hour, seasons taken out, and how many hours that rests on.
    pub(super) rate: f32,
    pub(super) rated: f32,
    /// Squared differences of hourly calls from their expectation, and the expectations.
    pub(super) spread: f32,
    pub(super) expected: f32,
    /// Errors and results, fading.
    pub(super) errors: f32,
    pub(super) results: f32,
    /// Today's calls and their expectation.
    pub(super) day_calls: f32,
    pub(super) day_expected: f32,
    /// Cumulated sums: over hours and over days.
    pub(super) sustained: f32,
    pub(super) drift: f32,
    /// Where each of them stood when it was last told.
    pub(super) told_sums: [f32; 2],
    /// How high the hourly sum has been since it was last nothing.
    pub(super) peak: f32,
    /// Day on which a window beyond the budget was last counted for the class.
    pub(super) counted_day: u16,
    /// Hash of the deployment at the end of the last closed hour that named one, and the
    /// beginning of the first hour that ended with it, in seconds.
    pub(super) deployment: u32,
    pub(super) deployed_s: u32,
    /// New tools, data and destinations after the first day, fading.
    pub(super) news: f32,
    /// Minute at which each fixed rule last hit; 0 for longer ago than the open hours.
    pub(super) rule_minutes: [u32; 4],
    /// Hours in a row that nothing was learned from.
    pub(super) frozen: u16,
    /// Events later than [`LATENESS_MS`], those too late for any window, and `ts` beyond the clock.
    pub(super) late: u32,
    pub(super) dropped: u32,
    pub(super) clamped: u32,
    /// First-seen entries that had to make room within their thirty days.
    pub(super) crowded: u32,
}

row! { Hour { hour, events, cost, latency, latencies, results, errors, payload, payloads, unlearned, groups, told, deployment, deployment_s } }
row! { Cell { mean, exposed, active } }
row! { LogMean { n, mean, squares } }
row! { Mean { sum, n } }
row! { Use { what, last_s } }
row! { Session { id, start, last, calls, tools, flags } }
row! { ClassCell { exposed, active, shape } }
row! { LogSums { n, sum, residuals, squares } }
row! { ClassHour { hour, agents, load, results, errors } }
row! { Popular { what, agents } }
row! { Summary {
    hour, agents, shape, presence, rate, dispersion, mean, within, errors, firsts, load, calibrated, windows,
} }
row! { Class {
    summary, agents, cells, calls, spread, expected, logs, results, errors, firsts, hours, popular, surprises,
} }
row! { Profile {
    first, newest, next_hour, calls, tokens, bytes, open, cells, week, tools, data, destinations,
    sessions, logs, calls_mean, bytes_mean, tokens_mean, hours, rate, rated, spread, expected,
    errors, results, day_calls, day_expected, sustained, drift, told_sums, peak, counted_day, deployment, deployed_s, news,
    rule_minutes, frozen, late, dropped, clamped, crowded,
} }

impl<T: Fixed + Copy + Default, const N: usize> Fixed for Ring<T, N> {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Fixed::take(from).map(Self)
    }
}

impl<const N: usize> Fixed for Seen<N> {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Fixed::take(from).map(Self)
    }
}

impl Fixed for Sessions {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Fixed::take(from).map(Self)
    }
}

/// Version of an agent's encoding.
const PROFILE_VERSION: u8 = 2;
/// Version of a class's encoding.
const CLASS_VERSION: u8 = 1;

fn write(version: u8, value: &impl Fixed, out: &mut Vec<u8>) {
    out.clear();
    out.push(version);
    value.put(out);
}

fn read<T: Fixed>(version: u8, bytes: &[u8]) -> Option<T> {
    let (&first, mut rest) = bytes.split_first()?;
    let value = if first == version { T::take(&mut rest)? } else { return None };
    rest.is_empty().then_some(value)
}

impl Profile {
    /// Begins with an agent's first event at `ts`.
    #[must_use]
    pub fn new(ts: Millis) -> Self {
        let ts = ts.0.clamp(0, super::LATEST_MS);
        Self {
            first: ts,
            newest: ts,
            next_hour: hour_of((ts - LATENESS_MS).max(0)),
            calls: Ring::default(),
            tokens: Ring::default(),
            bytes: Ring::default(),
            open: <[Hour; 2]>::default(),
            cells: [Cell::default(); CELLS],
            week: [0; 168],
            tools: Seen::default(),
            data: Seen::default(),
            destinations: Seen::default(),
            sessions: Sessions::default(),
            logs: [LogMean::default(); LOGS],
            calls_mean: Mean::default(),
            bytes_mean: Mean::default(),
            tokens_mean: Mean::default(),
            hours: 0,
            rate: 0.0,
            rated: 0.0,
            spread: 0.0,
            expected: 0.0,
            errors: 0.0,
            results: 0.0,
            day_calls: 0.0,
            day_expected: 0.0,
            sustained: 0.0,
            drift: 0.0,
            told_sums: [0.0; 2],
            peak: 0.0,
            counted_day: 0,
            deployment: 0,
            deployed_s: 0,
            news: 0.0,
            rule_minutes: [0; 4],
            frozen: 0,
            late: 0,
            dropped: 0,
            clamped: 0,
            crowded: 0,
        }
    }

    /// Writes the profile over `out`: a version byte, then every field in its place.
    pub fn write(&self, out: &mut Vec<u8>) {
        write(PROFILE_VERSION, self, out);
    }

    /// Reads what [`Profile::write`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        read(PROFILE_VERSION, bytes)
    }

    /// When its earliest event was.
    #[must_use]
    pub fn first_event(&self) -> Millis {
        Millis(self.first)
    }

    /// When its latest event was.
    #[must_use]
    pub fn last_event(&self) -> Millis {
        Millis(self.newest)
    }

    /// Tools, data and destinations that gave way to others within thirty days of their use.
    #[must_use]
    pub fn crowded(&self) -> u32 {
        self.crowded
    }

    /// Reads a value of each part that judging an event at that minute will need (or near it: which does not
    /// matter), before any of them is needed. A profile of many comes from memory, and what is asked for at once comes in
    /// the time of one: without it an event waits for one part after the other.
    pub(super) fn fetch(&self, ts: i64) {
        let minute = (ts.max(0) / MINUTE) as usize;
        let far = |at: usize| u64::from(self.calls.0[(minute + CALL_MINUTES - at) % CALL_MINUTES]);
        let mut read = far(0) ^ far(30) ^ far(59) ^ u64::from(self.rule_minutes[0]);
        read ^= u64::from(self.tokens.0[minute % TOKEN_MINUTES]);
        read ^=
            self.bytes.0[minute / 5 % BYTE_FIVES] ^ self.bytes.0[(minute / 5 + 17) % BYTE_FIVES];
        read ^= u64::from(self.open[0].hour) ^ u64::from(self.open[1].hour);
        read ^= u64::from(self.open[0].told) ^ u64::from(self.open[1].told);
        for at in [0, 8, 16] {
            read ^= u64::from(self.tools.0[at].what);
        }
        for at in [0, 2, 5, 7] {
            read ^= u64::from(self.sessions.0[at].id);
        }
        read ^= u64::from(self.logs[0].n.to_bits()) ^ u64::from(self.logs[5].n.to_bits());
        read ^= u64::from(self.cells[0].mean) ^ u64::from(self.cells[16].mean);
        read ^= u64::from(self.cells[32].mean) ^ u64::from(self.week[minute / 60 % 168]);
        std::hint::black_box(read);
    }

    /// Everything before this has been judged for good: the latest event less the lateness.
    pub(super) fn watermark(&self) -> i64 {
        self.newest - LATENESS_MS
    }

    /// Hours from the first event to that hour.
    pub(super) fn age_hours(&self, hour: u32) -> f64 {
        (i64::from(hour) * HOUR - self.first).max(0) as f64 / HOUR as f64
    }

    /// The open hour, begun if need be.
    pub(super) fn hour_mut(&mut self, hour: u32) -> &mut Hour {
        let slot = &mut self.open[hour as usize % 2];
        if slot.hour != hour {
            *slot = Hour { hour, ..Hour::default() };
        }
        slot
    }

    /// The open hour; empty where nothing happened in it.
    pub(super) fn hour(&self, hour: u32) -> Hour {
        let slot = self.open[hour as usize % 2];
        if slot.hour == hour { slot } else { Hour { hour, ..Hour::default() } }
    }
}

impl Class {
    /// Writes the class over `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        write(CLASS_VERSION, self, out);
    }

    /// Reads what [`Class::write`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        read(CLASS_VERSION, bytes)
    }
}

/// The hour since the epoch.
pub(super) fn hour_of(ms: i64) -> u32 {
    u32::try_from(ms.max(0) / HOUR).unwrap_or(u32::MAX)
}

/// A mean in sixteen bits: steps of a four-thousandth of its logarithm.
pub(super) fn fine(mean: f64) -> u16 {
    (mean.max(0.0).ln_1p() * 4096.0).round().min(65_535.0) as u16
}

/// What [`fine`] wrote.
pub(super) fn from_fine(mean: u16) -> f64 {
    (f64::from(mean) / 4096.0).exp_m1()
}

/// A mean in eight bits: steps of a twentieth of its logarithm.
pub(super) fn coarse(mean: f64) -> u8 {
    (mean.max(0.0).ln_1p() * 20.0).round().min(255.0) as u8
}

/// What [`coarse`] wrote.
pub(super) fn from_coarse(mean: u8) -> f64 {
    (f64::from(mean) / 20.0).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_takes_no_more_than_two_kilobytes_and_reads_back() {
        let mut profile = Profile::new(Millis(1_700_000_000_000));
        profile.calls.add(7, 9);
        profile.week[3] = 4;
        profile.drift = 0.5;
        let mut bytes = Vec::new();
        profile.write(&mut bytes);
        assert!(bytes.len() <= 2048, "{} bytes", bytes.len());
        assert!(size_of::<Profile>() <= 2048, "{} bytes in memory", size_of::<Profile>());
        assert_eq!(Profile::read(&bytes), Some(profile));
        assert_eq!(Profile::read(&bytes[1..]), None);
        bytes.push(0);
        assert_eq!(Profile::read(&bytes), None);
        bytes.pop();
        bytes[0] = 0;
        assert_eq!(Profile::read(&bytes), None);
    }

    #[test]
    fn a_constant_series_keeps_its_exact_mean_as_days_fade() {
        for (value, active) in [(10, 24), (7, 3), (1_000_003, 1)] {
            let mut mean = Mean::default();
            for day in 0..400 {
                for _ in 0..active {
                    mean.learn(value);
                }
                if day >= 30 {
                    mean.fade(day);
                }
            }
            assert_eq!(mean.sum, value * u64::from(mean.n), "{value}");
            // About thirty days are left.
            assert!((25 * active..=36 * active).contains(&mean.n), "{} of {active}", mean.n);
        }
    }

    #[test]
    fn quantised_means_come_back() {
        for mean in [0.0, 0.3, 1.0, 12.5, 400.0, 20_000.0] {
            assert!((from_fine(fine(mean)) - mean).abs() <= 0.001 * (mean + 1.0));
            assert!((from_coarse(coarse(mean)) - mean).abs() <= 0.03 * (mean + 1.0));
        }
    }
}
