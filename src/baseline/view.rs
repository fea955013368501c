//! A profile for people: every fact under a name, in a fixed order, so that two of them can
//! be compared line by line.
//!
//! Names of tools, data classes and destinations are kept as hashes; whoever knows a name
//! finds it again by [`name`](crate::baseline::name).

use crate::baseline::LEARNING_HOURS;
use crate::baseline::class::CELLS;
use crate::baseline::feature::Feature;
use crate::baseline::profile::{LogMean, Mean, Profile, from_coarse, from_fine, hour_of};
use crate::baseline::rules::Rule;
use crate::baseline::seen::Seen;
use crate::event::Millis;

/// What is known, as a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// How many.
    Count(u64),
    /// A mean, a rate, a factor.
    Number(f64),
    /// An instant.
    Time(Millis),
    /// Hash of a name, by [`name`](crate::baseline::name).
    Name(u32),
    /// One number for each hour.
    Hours(Vec<f64>),
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What it is about, dotted; the same in every profile.
    pub about: String,
    /// The thing used, where it is about one.
    pub thing: Option<u32>,
    /// What is known.
    pub known: Known,
}

const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Profile {
    /// Everything that is known of the agent.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Facts(Vec::with_capacity(128));
        facts.add("first_event", Known::Time(Millis(self.first)));
        facts.add("last_event", Known::Time(Millis(self.newest)));
        let age = self.age_hours(hour_of(self.newest)) as u32;
        let left = LEARNING_HOURS.saturating_sub(age);
        facts.add("learning_hours_left", Known::Count(u64::from(left)));
        if self.deployment != 0 {
            facts.add("deployment.hash", Known::Name(self.deployment));
            facts.add("deployment.since", seconds(self.deployed_s));
        }
        self.amounts(&mut facts);
        self.hours(&mut facts);
        facts.seen("tools", &self.tools);
        facts.seen("data", &self.data);
        facts.seen("destinations", &self.destinations);
        for (rule, minute) in Rule::ALL.iter().zip(self.rule_minutes) {
            if minute != 0 {
                facts.add(&format!("{}.last", rule.id()), seconds(minute.saturating_mul(60)));
            }
        }
        facts.number("sums.sustained", f64::from(self.sustained));
        facts.number("sums.drift", f64::from(self.drift));
        facts.number("news", f64::from(self.news));
        for (name, count) in [
            ("hours_not_learned_in_a_row", u32::from(self.frozen)),
            ("events.late", self.late),
            ("events.too_late", self.dropped),
            ("events.ahead_of_the_clock", self.clamped),
            ("crowded_out", self.crowded),
        ] {
            facts.add(name, Known::Count(u64::from(count)));
        }
        facts.0
    }

    fn amounts(&self, facts: &mut Facts) {
        facts.number("calls.per_hour", f64::from(self.rate));
        facts.number("calls.rests_on_hours", f64::from(self.rated));
        if self.expected > 0.0 {
            facts.number("calls.dispersion", f64::from(self.spread) / f64::from(self.expected));
        }
        for (name, mean) in [
            ("calls.active_hours", self.calls_mean),
            ("bytes.active_hours", self.bytes_mean),
            ("tokens.active_five_minutes", self.tokens_mean),
        ] {
            facts.mean(name, mean);
        }
        facts.number("errors.results", f64::from(self.results));
        if self.results > 0.0 {
            facts.number("errors.share", f64::from(self.errors) / f64::from(self.results));
        }
        for feature in Feature::ALL {
            if let Some(log) = feature.log() {
                facts.logarithm(feature.signal(), self.logs[log]);
            }
        }
        facts.logarithm("behavior.payload.tokens", self.logs[7]);
    }

    fn hours(&self, facts: &mut Facts) {
        for (day, cells) in ["weekdays", "weekends"].iter().zip(self.cells.chunks(CELLS / 2)) {
            let means = cells.iter().map(|cell| round(from_fine(cell.mean))).collect();
            facts.add(&format!("hours.{day}.calls"), Known::Hours(means));
            let share = cells
                .iter()
                .map(|cell| round(f64::from(cell.active) / f64::from(cell.exposed).max(1.0)));
            facts.add(&format!("hours.{day}.active"), Known::Hours(share.collect()));
        }
        for (day, hours) in DAYS.iter().zip(self.week.chunks(24)) {
            let means = hours.iter().map(|mean| round(from_coarse(*mean))).collect();
            facts.add(&format!("week.{day}.calls"), Known::Hours(means));
        }
    }

    /// What an operator says is usual now: what was told is settled, nothing is held back
    /// from learning, and the past weighs no more than a day, so that the days to come count.
    pub fn accept(&mut self) {
        const DAY: u32 = 24;
        (self.sustained, self.drift, self.peak) = (0.0, 0.0, 0.0);
        self.told_sums = [0.0; 2];
        self.rule_minutes = [0; 4];
        self.frozen = 0;
        for hour in &mut self.open {
            hour.unlearned = 0;
        }
        for log in &mut self.logs {
            if log.n > 10.0 {
                log.squares *= 10.0 / log.n;
                log.n = 10.0;
            }
        }
        for mean in [&mut self.calls_mean, &mut self.bytes_mean, &mut self.tokens_mean] {
            if mean.n > DAY {
                let sum = u128::from(mean.sum) * u128::from(DAY) / u128::from(mean.n);
                *mean = Mean { sum: u64::try_from(sum).unwrap_or(u64::MAX), n: DAY };
            }
        }
    }
}

struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, about: &str, known: Known) {
        self.0.push(Fact { about: about.to_owned(), thing: None, known });
    }

    fn number(&mut self, about: &str, value: f64) {
        self.add(about, Known::Number(round(value)));
    }

    fn mean(&mut self, about: &str, mean: Mean) {
        self.add(about, Known::Count(u64::from(mean.n)));
        self.number(&format!("{about}.mean"), mean.value());
    }

    /// What was kept of a logarithm: the value in the middle, and by what factor it varies.
    fn logarithm(&mut self, about: &str, log: LogMean) {
        if log.n < 1.0 {
            return;
        }
        let deviation = (f64::from(log.squares) / f64::from(log.n)).max(0.0).sqrt();
        self.number(&format!("{about}.typical"), f64::from(log.mean).exp_m1());
        self.number(&format!("{about}.factor"), deviation.exp());
        self.number(&format!("{about}.seen"), f64::from(log.n));
    }

    fn seen<const N: usize>(&mut self, about: &str, seen: &Seen<N>) {
        for used in seen.0.iter().filter(|slot| slot.what != 0) {
            let known = seconds(used.last_s);
            self.0.push(Fact { about: about.to_owned(), thing: Some(used.name()), known });
        }
    }
}

fn seconds(s: u32) -> Known {
    Known::Time(Millis(i64::from(s) * 1000))
}

/// Three decimals: enough to compare, and the same on every machine.
fn round(value: f64) -> f64 {
    if value.is_finite() { (value * 1000.0).round() / 1000.0 } else { 0.0 }
}
