//! What the agents of one class have in common: the prior of a young agent, and the honest
//! size of a surprise.
//!
//! A [`Class`] has two halves. Closed windows are counted into integers, so the order in which
//! agents report does not matter; a [`Summary`] of them is adopted at an hour's turn and is
//! all that judging reads, so within an hour every agent of the class is measured alike.

use crate::baseline::feature::{FEATURES, Feature};
use crate::baseline::tails::surprise;

/// Bins of a surprise histogram; a bin is a quarter of a power of ten wide.
pub(super) const BINS: usize = 40;
/// Bins in one power of ten.
pub(super) const BINS_PER_TEN: f64 = 4.0;
/// Kinds of things that are used: tools, data, destinations.
pub(super) const KINDS: usize = 3;
/// Hours of a weekday and of a day at the weekend.
pub(super) const CELLS: usize = 48;
/// Things of each kind whose use is counted by agent.
pub const POPULAR: usize = 64;
/// Features that are judged by the logarithm of a sum.
pub(super) const LOGS: usize = 8;
/// Fractions of a logarithm that sums count.
const PER_LOG: f64 = 256.0;

/// One cell of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassCell {
    /// Agent-hours closed.
    pub(super) exposed: u32,
    /// Of these, with an event.
    pub(super) active: u32,
    /// Calls over the agent's own rate, in sixty-fourths.
    pub(super) shape: u64,
}

/// Sums of one log-domain feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogSums {
    /// Values.
    pub(super) n: u32,
    /// Their sum, in 256ths.
    pub(super) sum: i64,
    /// Values that had a mean of their agent's own to differ from.
    pub(super) residuals: u32,
    /// Sum of squared differences, in 256ths.
    pub(super) squares: u64,
}

/// Load and errors of one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassHour {
    /// Hour since the epoch.
    pub(super) hour: u32,
    /// Agents that closed it active.
    pub(super) agents: u32,
    /// What they did over what was expected, each between a quarter and four, in 256ths of its logarithm.
    pub(super) load: i64,
    /// Tool results.
    pub(super) results: u32,
    /// Of these, errors.
    pub(super) errors: u32,
}

/// How many agents have used a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Popular {
    /// Hash of the name; 0 is an empty slot.
    pub(super) what: u32,
    /// Agents.
    pub(super) agents: u32,
}

/// What judging reads of a class; the same for all its agents until the next hour's turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    /// Hour at whose turn it was made.
    pub(super) hour: u32,
    /// Agents of the class.
    pub(super) agents: u32,
    /// Calls in that hour of the day over the mean of all.
    pub(super) shape: [f32; CELLS],
    /// Part of agent-hours with an event.
    pub(super) presence: [f32; CELLS],
    /// Calls of an agent in an hour, silent ones included.
    pub(super) rate: f32,
    /// Index of dispersion of hourly calls.
    pub(super) dispersion: f32,
    /// Mean of each logarithm over agents.
    pub(super) mean: [f32; LOGS],
    /// Variance within an agent.
    pub(super) within: [f32; LOGS],
    /// Part of tool results that are errors.
    pub(super) errors: f32,
    /// Things that no agent of the class had used before, by kind and day.
    pub(super) firsts: [f32; KINDS],
    /// How much busier than expected the class was in its last closed hours.
    pub(super) load: f32,
    /// Calibrated surprise by feature and bin, in sixteenths.
    pub(super) calibrated: [[u8; BINS]; FEATURES],
    /// Windows of each feature in one agent-week.
    pub(super) windows: [f32; FEATURES],
}

impl Default for Summary {
    /// What is believed of agents before any was seen: sessions of six calls, heavy tails.
    fn default() -> Self {
        let mut calibrated = [[0; BINS]; FEATURES];
        for bins in &mut calibrated {
            for (bin, value) in bins.iter_mut().enumerate() {
                *value = (doubted(middle(bin)) * 16.0) as u8;
            }
        }
        Self {
            hour: 0,
            agents: 0,
            shape: [1.0; CELLS],
            presence: [0.3; CELLS],
            rate: 10.0,
            dispersion: 10.0,
            mean: [10.0, 7.5, 9.0, 6.5, 1.6, 1.0, 8.5, 7.0],
            within: [2.0, 0.8, 1.5, 0.5, 0.8, 0.5, 0.8, 0.5],
            errors: 0.03,
            firsts: [5.0; KINDS],
            load: 1.0,
            calibrated,
            windows: [80.0; FEATURES],
        }
    }
}

/// A surprise that nothing has confirmed counts for less than it says.
fn doubted(raw: f64) -> f64 {
    0.6 * raw
}

fn middle(bin: usize) -> f64 {
    bin as f64 / BINS_PER_TEN
}

impl Summary {
    /// The calibrated surprise of a raw one, between bins by proportion.
    pub(super) fn calibrate(&self, feature: Feature, raw: f64) -> f64 {
        let bins = &self.calibrated[feature as usize];
        let at = (raw * BINS_PER_TEN).clamp(0.0, (BINS - 1) as f64);
        let low = at as usize;
        let high = (low + 1).min(BINS - 1);
        let (a, b) = (f64::from(bins[low]), f64::from(bins[high]));
        (a + (b - a) * (at - low as f64)) / 16.0
    }
}

/// Closed windows by feature and surprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows([[u32; BINS]; FEATURES]);

impl Default for Windows {
    fn default() -> Self {
        Self([[0; BINS]; FEATURES])
    }
}

impl Windows {
    /// Adds those that were counted from one state of a class to a later one.
    pub fn add(&mut self, from: &Self, to: &Self) {
        let all = self.0.iter_mut().flatten();
        for ((sum, from), to) in all.zip(from.0.iter().flatten()).zip(to.0.iter().flatten()) {
            *sum = sum.saturating_add(to.saturating_sub(*from));
        }
    }
}

/// The agents of one class, on one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    pub(super) summary: Summary,
    pub(super) agents: u32,
    pub(super) cells: [ClassCell; CELLS],
    /// Calls.
    pub(super) calls: u64,
    /// Squared differences of hourly calls from their expectation, in sixteenths.
    pub(super) spread: u64,
    /// The expectations, in sixteenths.
    pub(super) expected: u64,
    pub(super) logs: [LogSums; LOGS],
    pub(super) results: u64,
    pub(super) errors: u64,
    /// Things that no agent had used before, by kind, fading over a week, in 1024ths.
    pub(super) firsts: [u32; KINDS],
    pub(super) hours: [ClassHour; 6],
    pub(super) popular: [[Popular; POPULAR]; KINDS],
    pub(super) surprises: [[u32; BINS]; FEATURES],
}

impl Default for Class {
    fn default() -> Self {
        Self {
            summary: Summary::default(),
            agents: 0,
            cells: [ClassCell::default(); CELLS],
            calls: 0,
            spread: 0,
            expected: 0,
            logs: [LogSums::default(); LOGS],
            results: 0,
            errors: 0,
            firsts: [5 * 7 * 1024; KINDS],
            hours: [ClassHour::default(); 6],
            popular: [[Popular::default(); POPULAR]; KINDS],
            surprises: [[0; BINS]; FEATURES],
        }
    }
}

impl Class {
    /// Adopts a summary of all that is known, if the hour has turned since the last one.
    pub(super) fn turn(&mut self, hour: u32) {
        if hour <= self.summary.hour {
            return;
        }
        let hours = f64::from((hour - self.summary.hour).min(24 * 60));
        if self.summary.hour > 0 {
            let keep = (-hours / (7.0 * 24.0)).exp();
            self.firsts = self.firsts.map(|count| (f64::from(count) * keep) as u32);
        }
        self.summary = self.summarise(hour);
        let most = self.surprises.iter().map(total).max().unwrap_or_default();
        if most > 1 << 21 {
            // Older windows fade, so that a class that changed is believed in the end.
            self.surprises.iter_mut().flatten().for_each(|count| *count /= 2);
            for cell in &mut self.cells {
                cell.exposed /= 2;
                cell.active /= 2;
                cell.shape /= 2;
            }
        }
    }

    /// Counts an agent's first use of a thing; with no room, what fewest agents use gives way.
    pub(super) fn used(&mut self, kind: usize, what: u32) {
        let popular = &mut self.popular[kind];
        if let Some(slot) = popular.iter_mut().find(|slot| slot.what == what) {
            slot.agents = slot.agents.saturating_add(1);
        } else if let Some(slot) = popular.iter_mut().min_by_key(|slot| (slot.agents, slot.what)) {
            *slot = Popular { what, agents: 1 };
            self.firsts[kind] = self.firsts[kind].saturating_add(1024).min(1 << 24);
            popular.sort_unstable_by_key(|slot| slot.what);
        }
    }

    /// The part of the class's agents that has used a thing.
    pub(super) fn share(&self, kind: usize, what: u32) -> f64 {
        let users = self.popular[kind].iter().find(|slot| slot.what == what);
        users.map_or(0.0, |slot| f64::from(slot.agents) / f64::from(self.agents.max(1)).max(1.0))
    }

    /// Counts the surprise of one closed window.
    pub(super) fn surprised(&mut self, feature: Feature, raw: f64) {
        let bin = ((raw * BINS_PER_TEN) as usize).min(BINS - 1);
        let count = &mut self.surprises[feature as usize][bin];
        *count = count.saturating_add(1);
    }

    /// How many agents it has had.
    #[must_use]
    pub fn agents(&self) -> u32 {
        self.agents
    }

    /// The closed windows that were counted so far.
    #[must_use]
    pub fn windows(&self) -> Windows {
        Windows(self.surprises)
    }

    /// Of the windows of a feature that were counted since an earlier state of the class, but for
    /// some, how many were at or beyond 10^-k by what that state would have said, and how many
    /// there were.
    #[must_use]
    pub fn windows_beyond(
        &self,
        earlier: &Self,
        but: &Windows,
        feature: Feature,
        k: f64,
    ) -> (u64, u64) {
        let at = feature as usize;
        let (now, then) = (self.surprises[at], earlier.surprises[at]);
        let (mut above, mut all) = (0, 0);
        for (bin, ((now, then), but)) in now.into_iter().zip(then).zip(but.0[at]).enumerate() {
            let new = u64::from(now.saturating_sub(then).saturating_sub(but));
            all += new;
            if earlier.summary.calibrate(feature, middle(bin)) >= k {
                above += new;
            }
        }
        (above, all)
    }

    /// Counts one value of a log-domain feature, and how far it was from the agent's own mean.
    pub(super) fn measured(&mut self, log: usize, value: f64, own_mean: Option<f64>) {
        let sums = &mut self.logs[log];
        sums.n = sums.n.saturating_add(1);
        sums.sum += (value * PER_LOG) as i64;
        if let Some(mean) = own_mean {
            let square = (value - mean).powi(2).min(25.0);
            sums.residuals = sums.residuals.saturating_add(1);
            sums.squares += (square * PER_LOG) as u64;
        }
    }

    /// The record of an hour; the oldest of those kept gives way. None for an older one.
    pub(super) fn hour(&mut self, hour: u32) -> Option<&mut ClassHour> {
        let slot = &mut self.hours[hour as usize % 6];
        if slot.hour < hour {
            *slot = ClassHour { hour, ..ClassHour::default() };
        }
        (slot.hour == hour).then_some(slot)
    }

    /// How much more than usual the class's other agents fail in that hour and the one before.
    pub(super) fn failing(&self, hour: u32, own_results: u32, own_errors: u32) -> f64 {
        let lately = self.hours.iter().filter(|slot| slot.hour <= hour && slot.hour + 1 >= hour);
        let (results, errors) = lately
            .fold((0, 0), |(results, errors), slot| (results + slot.results, errors + slot.errors));
        let results = results.saturating_sub(own_results);
        let errors = errors.saturating_sub(own_errors);
        let usual = f64::from(self.summary.errors);
        // Ten results at the usual rate keep a handful of others from speaking for a class.
        ((f64::from(errors) + 10.0 * usual) / (f64::from(results) + 10.0) / usual).max(1.0)
    }

    fn summarise(&self, hour: u32) -> Summary {
        let prior = Summary::default();
        let mut made = Summary { hour, agents: self.agents, ..prior };
        let exposed: f64 = self.cells.iter().map(|cell| f64::from(cell.exposed)).sum();
        let shape: f64 = self.cells.iter().map(|cell| cell.shape as f64).sum();
        let mean = (shape / 64.0 + 10.0) / (exposed + 10.0);
        for (at, cell) in self.cells.iter().enumerate() {
            let hours = f64::from(cell.exposed);
            made.shape[at] =
                (((cell.shape as f64 / 64.0 + 10.0 * mean) / (hours + 10.0)) / mean) as f32;
            made.presence[at] = ((f64::from(cell.active) + 3.0) / (hours + 10.0)) as f32;
        }
        made.rate = ((self.calls as f64 + 50.0) / (exposed + 5.0)) as f32;
        let spread = (self.spread as f64 / 16.0 + 500.0) / (self.expected as f64 / 16.0 + 50.0);
        made.dispersion = spread.clamp(1.5, 200.0) as f32;
        for (log, sums) in self.logs.iter().enumerate() {
            let n = f64::from(sums.n);
            let before = f64::from(prior.mean[log]);
            made.mean[log] = ((sums.sum as f64 / PER_LOG + 20.0 * before) / (n + 20.0)) as f32;
            let (n, before) = (f64::from(sums.residuals), f64::from(prior.within[log]));
            let within = (sums.squares as f64 / PER_LOG + 20.0 * before) / (n + 20.0);
            made.within[log] = within.max(0.02) as f32;
        }
        made.errors = ((self.errors as f64 + 3.0) / (self.results as f64 + 100.0)) as f32;
        made.firsts = self.firsts.map(|count| (f64::from(count) / 1024.0 / 7.0) as f32);
        self.lately(hour, &mut made);
        let weeks = exposed / 168.0;
        for feature in Feature::ALL {
            let bins = &self.surprises[feature as usize];
            let n = total(bins);
            made.windows[feature as usize] =
                ((n as f64 + 80.0 * 2.0) / (weeks + 2.0)).max(1.0) as f32;
            made.calibrated[feature as usize] = calibrated(bins, n);
        }
        made
    }

    /// Load of the last three closed hours, where enough agents say so.
    fn lately(&self, hour: u32, made: &mut Summary) {
        let lately = self.hours.iter().filter(|slot| slot.hour + 4 >= hour && slot.hour < hour);
        let (mut agents, mut load) = (0_u32, 0_i64);
        for slot in lately {
            agents += slot.agents;
            load += slot.load;
        }
        if agents >= 8 {
            let mean = load as f64 / 256.0 / f64::from(agents);
            // Five agents are not yet a tide.
            let trust = f64::from(agents) / (f64::from(agents) + 8.0);
            made.load = (mean * trust).exp().clamp(0.8, 3.0) as f32;
        }
    }
}

fn total(bins: &[u32; BINS]) -> u64 {
    bins.iter().map(|&count| u64::from(count)).sum()
}

/// How unlikely each bin and all above it have been, in sixteenths of −log10: counted where
/// there is enough to count, beyond that an exponential tail through the mean excess.
fn calibrated(bins: &[u32; BINS], n: u64) -> [u8; BINS] {
    const DOUBT: f64 = 200.0;
    const COUNTED: f64 = 50.0;
    let mut above = [0.0; BINS];
    let mut sum = 0.0;
    for at in (0..BINS).rev() {
        sum += f64::from(bins[at]);
        above[at] = sum;
    }
    let n = n as f64;
    // The tail begins where counting ends, so that what is drawn on beyond it is drawn from
    // the windows next to it and not from the body.
    let tail = above.iter().rposition(|&count| count >= COUNTED).unwrap_or_default();
    let excess: f64 = above.iter().skip(tail + 1).sum::<f64>() / BINS_PER_TEN;
    let scale = ((excess + 2.0) / (above[tail] + 4.0)).clamp(0.3, 2.0);
    let mut out = [0; BINS];
    let mut last: f64 = 0.0;
    for (at, to) in out.iter_mut().enumerate() {
        let counted = if at <= tail {
            (above[at] + 0.5) / (n + 1.0)
        } else {
            (above[tail] + 0.5) / (n + 1.0) * (-(middle(at) - middle(tail)) / scale).exp()
        };
        let believed = 10f64.powf(-doubted(middle(at)));
        let p = (n * counted + DOUBT * believed) / (n + DOUBT);
        last = last.max(surprise(p));
        *to = (last * 16.0).min(255.0) as u8;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_says_how_often_a_surprise_was_seen() {
        let mut class = Class::default();
        // A test that cries one level too loud: p of 10^-(s+1) is seen at a rate of 10^-s.
        for (bin, count) in [(4, 90_000), (8, 9_000), (12, 900), (16, 90), (20, 9)] {
            class.surprises[0][bin] = count;
        }
        class.turn(1);
        let feature = Feature::ALL[0];
        for (raw, honest) in [(2.0, 1.0), (3.0, 2.0), (4.0, 3.0)] {
            let got = class.summary.calibrate(feature, raw);
            assert!((got - honest).abs() < 0.15, "{raw} is {got}, not {honest}");
        }
        // Beyond what was seen the tail goes on, and never down.
        let far: Vec<f64> =
            (16..40).map(|at| class.summary.calibrate(feature, f64::from(at) / 4.0)).collect();
        assert!(far.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(far.last().is_some_and(|&last| last > 4.0));
    }

    #[test]
    fn popularity_is_bounded_and_keeps_what_many_use() {
        let mut class = Class { agents: 10, ..Class::default() };
        for _ in 0..5 {
            class.used(0, 1);
        }
        for what in 2..100_000 {
            class.used(0, what);
        }
        assert!((class.share(0, 1) - 0.5).abs() < 1e-9);
        assert!(class.share(0, 99_999) > 0.0);
        assert!(class.share(0, 50).abs() < 1e-9);
    }
}
