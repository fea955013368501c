//! The calibrated judgement: how unlikely a window is, and whether that is worth an alert.
//!
//! Every feature yields a raw surprise, −log10 of a tail probability or a statistic that
//! grows like one. The class says how often its agents' quiet windows were that surprising
//! ([`Summary::calibrate`]), and the operator's budget of false alerts says how rare a window
//! must be to be told.

use crate::baseline::class::{Class, Summary};
use crate::baseline::feature::{FEATURES, Feature, Group};
use crate::baseline::profile::{HOUR, Hour, MINUTE, Profile, from_coarse, from_fine, hour_of};
use crate::baseline::season::Season;
use crate::baseline::seen::Before;
use crate::baseline::sessions::{self, Session};
use crate::baseline::tails::{negative_binomial, student, surprise};
use crate::baseline::{Closed, Judgement, NAMES, Observation, Order, Settings};

/// How grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Somebody should look.
    Warning,
    /// Somebody should look now.
    Critical,
}

/// One feature beyond its budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// What.
    pub feature: Feature,
    /// What is usual: the median or mean, in the feature's unit.
    pub typical: f64,
    /// What one window in twenty exceeds.
    pub high: f64,
    /// What was seen.
    pub actual: f64,
    /// −log10 of how often quiet windows of the class are as unusual.
    pub surprise: f64,
    /// 0 to 100: ten times the surprise, never rewritten.
    pub score: f64,
    /// Such a window is seen once in so many agent-hours.
    pub one_in_hours: f64,
    /// The hour that it is about, since the epoch: what a whole hour says is told when the
    /// agent's next event closes it.
    pub hour: u32,
}

/// A surprise on its way to being told.
pub(super) struct Told {
    pub(super) feature: Feature,
    pub(super) raw: f64,
    pub(super) typical: f64,
    pub(super) high: f64,
    pub(super) actual: f64,
}

/// Features that a whole hour bears out or not.
pub(super) const SETTLED: u16 = 1 << Feature::Frequency as u16
    | 1 << Feature::Hours as u16
    | 1 << Feature::Volume as u16
    | 1 << Feature::Tokens as u16
    | 1 << Feature::Errors as u16;

/// One window in ten is nobody's alarm.
const LEAST_TOLD: f64 = 1.0;
/// What a payload of an hour that is still open counts for.
const OPEN_HOUR: f64 = 0.75;
/// So far out the tail is drawn on beyond what was seen: a critical alert keeps a reserve.
const RESERVE: f64 = 1.0;
/// Fewer calls, events or errors than this are nobody's alarm.
const CALLS_MIN: u64 = 8;
/// Minutes by which an agent's day may have moved: summer time, where its people live, begins
/// and ends; meetings and habits move too. And what such an explanation costs, as −log10.
const SHIFTED: [i64; 2] = [-60, 60];
const SHIFT_COSTS: f64 = 1.0;
/// Of an hour that should be quiet.
const HOURS_CALLS_MIN: u64 = 5;
const ERRORS_MIN: u32 = 5;

/// What an hour's calls should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// Calls.
    pub(super) mean: f64,
    /// Variance over mean that sessions cause.
    pub(super) dispersion: f64,
    /// Hours that the mean rests on.
    pub(super) hours: f64,
}

impl Expected {
    /// Squared relative doubt about the mean: the day's mood and youth, by which it may be
    /// off by a factor either way, and few hours to go by.
    fn doubts(&self, mean: f64, age_hours: f64) -> (f64, f64) {
        let youth = (1.0 - age_hours / 72.0).clamp(0.0, 1.0);
        (0.08 + youth, self.dispersion / mean.max(0.1) / (self.hours + 1.0))
    }

    /// All of the doubt.
    fn doubt(&self, mean: f64, age_hours: f64) -> f64 {
        let (mood, few) = self.doubts(mean, age_hours);
        mood + few
    }

    /// What one window in twenty exceeds.
    fn high(&self, mean: f64, age_hours: f64) -> f64 {
        let doubt = self.doubt(mean, age_hours).min(2.0);
        mean + 1.645 * (mean * self.dispersion + mean * mean * doubt).sqrt()
    }

    /// −log10 of the chance of `x` calls.
    fn surprise_of(&self, x: f64, age_hours: f64) -> f64 {
        self.surprise(self.mean, x, age_hours)
    }

    /// −log10 of the chance of `x` calls where `mean` were due.
    ///
    /// Calls come in sessions: a compound Poisson count with sizes of exponential tail has
    /// P(X ≥ x) ≈ exp(−2(√x − √m)²/D) for its mean m and index of dispersion D. The mean is
    /// itself uncertain, lognormal around what is expected; of all means the one counts that
    /// explains the count best. A negative binomial of the same variance has a tail so heavy
    /// that ten times the work is nothing special to it.
    fn surprise(&self, mean: f64, x: f64, age_hours: f64) -> f64 {
        const STEPS: u32 = 16;
        let mean = mean.max(0.05);
        if x <= mean {
            return 0.0;
        }
        let (mood, few) = self.doubts(mean, age_hours);
        let doubt = mood + few;
        let whole = (x / mean).ln();
        let root = x.sqrt();
        let mut least = f64::MAX;
        for step in 0..STEPS {
            let off = whole * f64::from(step) / f64::from(STEPS);
            let factor = off.exp();
            let short = root - (mean * factor).sqrt();
            let wrong = (mood * off * off / 2.0 + few * (factor - 1.0 - off)) / (doubt * doubt);
            least = least.min(2.0 * short * short / self.dispersion + wrong);
        }
        least / std::f64::consts::LN_10
    }
}

/// What an hour's calls should be: the class's day scaled to the agent, the agent's own hour
/// of the day, its own hour of the week, each weighing more as it has been seen more often.
pub(super) fn expected(
    summary: &Summary,
    profile: &Profile,
    season: &Season<'_>,
    hour: u32,
) -> Expected {
    let of_week = season.of_week(hour);
    let at = Season::cell(of_week);
    let rated = f64::from(profile.rated);
    let rate = (f64::from(summary.rate) * 6.0 + f64::from(profile.rate) * rated) / (6.0 + rated);
    let cell = profile.cells[at];
    let hours = f64::from(cell.exposed).min(30.0);
    let of_day =
        (3.0 * rate * f64::from(summary.shape[at]) + hours * from_fine(cell.mean)) / (3.0 + hours);
    let weeks = (profile.age_hours(hour) / 168.0).floor().min(4.0);
    let week = from_coarse(profile.week[of_week]);
    let mean = (2.0 * of_day + weeks * week) / (2.0 + weeks) * f64::from(summary.load);
    let dispersion = (60.0 * f64::from(summary.dispersion) + f64::from(profile.spread))
        / (60.0 + f64::from(profile.expected));
    Expected {
        mean: mean.max(0.01),
        dispersion: dispersion.max(1.2),
        hours: hours.min(8.0) + weeks,
    }
}

/// What the calls of the sixty minutes up to and with `minute` should be.
fn expected_window(
    summary: &Summary,
    profile: &Profile,
    season: &Season<'_>,
    minute: i64,
) -> Expected {
    let hour = hour_of(minute * MINUTE);
    let this = expected(summary, profile, season, hour);
    let part = (minute.rem_euclid(60) + 1) as f64 / 60.0;
    if part >= 1.0 || hour == 0 {
        return this;
    }
    let last = expected(summary, profile, season, hour - 1);
    Expected { mean: this.mean * part + last.mean * (1.0 - part), ..this }
}

/// The logarithm in which sums are compared.
pub(super) fn logarithm(sum: u64) -> f64 {
    (sum as f64).ln_1p()
}

/// Mean, deviation and degrees of freedom of the agent's next logarithm: its own, on top of
/// its class's as if that were four values.
pub(super) fn log_expected(summary: &Summary, profile: &Profile, log: usize) -> (f64, f64, f64) {
    let own = profile.logs[log];
    let n = f64::from(own.n);
    let before = f64::from(summary.mean[log]);
    let mean = (4.0 * before + n * f64::from(own.mean)) / (4.0 + n);
    let apart = (f64::from(own.mean) - before).powi(2).min(4.0) * 4.0 * n / (4.0 + n);
    let within = f64::from(summary.within[log]);
    let spread = 8.0 * within + f64::from(own.squares) + apart;
    let variance = spread / (8.0 + n) * (1.0 + 1.0 / (4.0 + n));
    // However steady an agent has been, a third more or less is nothing.
    (mean, variance.max(0.09).sqrt(), (8.0 + n).min(60.0))
}

/// The raw surprise of a logarithm.
pub(super) fn log_surprise(summary: &Summary, profile: &Profile, log: usize, value: f64) -> f64 {
    let (mean, deviation, freedom) = log_expected(summary, profile, log);
    if value <= mean {
        return 0.0;
    }
    surprise(student((value - mean) / deviation, freedom))
}

/// What is measured of a session, as logarithms; none where it is too small to tell of.
pub(super) fn session_values(session: &Session) -> [(Feature, Option<f64>); 2] {
    let calls = u64::from(session.calls);
    let repeats = u64::from(session.repeats());
    [
        (Feature::SessionSize, (calls > 0).then(|| logarithm(calls))),
        (Feature::Repeats, (calls > 0).then(|| logarithm(repeats))),
    ]
}

/// How rare a window of a feature must be for the budget, as −log10.
fn threshold(summary: &Summary, feature: Feature, per_week: f64) -> f64 {
    let windows = f64::from(summary.windows[feature as usize]);
    (windows / (per_week * feature.share()).max(1e-6)).log10().max(LEAST_TOLD)
}

/// Tells a surprise if it is beyond the budget; returns its calibrated size.
pub(super) fn tell(
    settings: &Settings,
    summary: &Summary,
    hour: u32,
    said: &mut Judgement,
    told: &Told,
) -> f64 {
    let Told { feature, raw, typical, high, actual } = *told;
    let size = summary.calibrate(feature, raw);
    // Nothing that is less than this is told, whatever the budget; most windows end here.
    if size < LEAST_TOLD || size < threshold(summary, feature, settings.warnings_per_week) {
        return size;
    }
    let windows = f64::from(summary.windows[feature as usize]);
    said.anomalies[feature as usize] = Some(Anomaly {
        feature,
        typical,
        high,
        actual,
        surprise: size,
        score: (size * 10.0).clamp(0.0, 100.0),
        one_in_hours: 10f64.powf(size) * 168.0 / windows,
        hour,
    });
    said.level = said.level.max(Some(Level::Warning));
    size
}

/// A window of calls and how unusual it is.
fn frequency(
    summary: &Summary,
    profile: &Profile,
    season: &Season<'_>,
    minute: i64,
    calls: u64,
) -> Told {
    let expected = expected_window(summary, profile, season, minute);
    let mean = expected.mean;
    let age = profile.age_hours(hour_of(minute * MINUTE));
    let x = calls as f64;
    let raw = if calls >= CALLS_MIN && x > 2.0 * mean {
        let shifted = SHIFTED.map(|minutes| {
            expected_window(summary, profile, season, minute + minutes).surprise_of(x, age)
        });
        let usual = expected.surprise_of(x, age);
        shifted.into_iter().fold(usual, |least, shifted| least.min(shifted + SHIFT_COSTS))
    } else {
        0.0
    };
    let high = expected.high(mean, age);
    Told { feature: Feature::Frequency, raw, typical: mean, high, actual: x }
}

/// Presence: how seldom the agent is active near such an hour, and how much it does for that.
fn hours(
    summary: &Summary,
    profile: &Profile,
    season: &Season<'_>,
    hour: u32,
    calls: u64,
) -> Option<Told> {
    if calls < HOURS_CALLS_MIN {
        return None;
    }
    let of_week = season.of_week(hour);
    let near = Season::beside(of_week);
    let presence = |at: usize| {
        let cell = profile.cells[at];
        (2.0 * f64::from(summary.presence[at]) + f64::from(cell.active))
            / (2.0 + f64::from(cell.exposed))
    };
    let own = presence(Season::cell(of_week));
    let present = near.into_iter().map(presence).fold(own, f64::max);
    if present > 0.2 {
        return None;
    }
    let usual = expected(summary, profile, season, hour);
    // What such an hour holds when it is active: a session at least, and no more than others.
    let session = (usual.dispersion / 2.0).max(1.0);
    let active = (usual.mean / present).min(profile.calls_mean.value()).max(session);
    let raw = surprise(present) + usual.surprise(active, calls as f64, profile.age_hours(hour));
    Some(Told { feature: Feature::Hours, raw, typical: 0.0, high: present, actual: calls as f64 })
}

/// The mean logarithm of an hour's results (0) or tokens (1), where there are enough.
pub(super) fn payload(open: &Hour, slot: usize) -> Option<f64> {
    let n = open.payloads[slot];
    (n >= 5).then(|| f64::from(open.payload[slot]) / 256.0 / f64::from(n))
}

/// What each result and each call of an hour holds. Fewer of them have a more uncertain mean.
fn payloads(summary: &Summary, profile: &Profile, open: &Hour) -> Option<Told> {
    let mut most: Option<Told> = None;
    for (slot, log) in [(0, 6), (1, 7)] {
        let Some(each) = payload(open, slot) else { continue };
        let (mean, deviation, freedom) = log_expected(summary, profile, log);
        let usual = profile.calls_mean.value().max(5.0);
        let deviation = deviation * (usual / f64::from(open.payloads[slot])).max(1.0).sqrt();
        let mut told =
            Told { feature: Feature::Payload, raw: 0.0, typical: 0.0, high: 0.0, actual: 0.0 };
        if each > mean {
            (told.typical, told.actual) = (mean.exp_m1(), each.exp_m1());
        }
        // A shift that is sure but small is nobody's alarm.
        if told.actual > 1.5 * told.typical {
            told.raw = surprise(student((each - mean) / deviation, freedom));
            told.high = (mean + 1.645 * deviation).exp_m1();
        }
        if most.as_ref().is_none_or(|most| told.raw > most.raw) {
            most = Some(told);
        }
    }
    most
}

/// A sum that is judged by its logarithm.
fn amount(summary: &Summary, profile: &Profile, feature: Feature, sum: u64) -> Told {
    let log = feature.log().unwrap_or_default();
    let (mean, deviation, freedom) = log_expected(summary, profile, log);
    let (value, actual) = (logarithm(sum), sum as f64);
    // A tail costs as much as all the rest, and most windows are quiet.
    let typical = if value > mean { mean.exp_m1() } else { f64::INFINITY };
    // Twice the usual is nobody's alarm, however steady the agent is.
    if actual <= 2.0 * typical {
        return Told { feature, raw: 0.0, typical: 0.0, high: 0.0, actual };
    }
    let raw = surprise(student((value - mean) / deviation, freedom));
    let high = (mean + 1.645 * deviation).exp_m1();
    Told { feature, raw, typical, high, actual }
}

fn errors(class: &Class, profile: &Profile, open: &Hour) -> Option<Told> {
    let Hour { results, errors, .. } = *open;
    if errors < ERRORS_MIN {
        return None;
    }
    let part = (60.0 * f64::from(class.summary.errors) + f64::from(profile.errors))
        / (60.0 + f64::from(profile.results));
    // When the whole class fails, the cause is not this agent.
    let failing = class.failing(open.hour, results, errors);
    let mean = f64::from(results) * (part * failing).clamp(0.001, 0.9);
    let x = f64::from(errors);
    if x <= 3.0 * mean {
        return None;
    }
    let raw = surprise(negative_binomial(mean, 3.0, x));
    Some(Told { feature: Feature::Errors, raw, typical: mean, high: 3.0 * mean, actual: x })
}

/// Judges the windows that one event falls into.
#[expect(clippy::too_many_arguments, reason = "the pieces of one event's context")]
pub(super) fn event(
    settings: &Settings,
    season: &Season<'_>,
    class: &Class,
    profile: &mut Profile,
    seen: &Observation,
    ts: i64,
    session: Option<Session>,
    said: &mut Judgement,
) {
    if said.order == Order::Dropped {
        return;
    }
    let mut new: [Option<Told>; NOVELTIES] = [const { None }; NOVELTIES];
    let mut free = new.iter_mut();
    novelties(class, profile, seen, ts, session, |told| {
        if let Some(slot) = free.next() {
            *slot = Some(told);
        }
    });
    let summary = &class.summary;
    let (minute, hour) = (ts / MINUTE, hour_of(ts));
    let mut groups = [0.0_f64; Group::ALL.len()];
    let mut take = |said: &mut Judgement, told: Told| {
        let group = told.feature.group() as usize;
        let size = tell(settings, summary, hour, said, &told);
        if let Some(largest) = groups.get_mut(group) {
            *largest = largest.max(size);
        }
    };
    let open = profile.hour(hour);
    if seen.call {
        let calls = profile.calls.sum(minute, 60);
        if calls >= CALLS_MIN {
            take(said, frequency(summary, profile, season, minute, calls));
        }
        if let Some(told) = hours(summary, profile, season, hour, calls.min(u64::from(open.events)))
        {
            take(said, told);
        }
    }
    if seen.bytes > 0 {
        let bytes = profile.bytes.sum(minute.div_euclid(5), 12);
        take(said, amount(summary, profile, Feature::Volume, bytes));
    }
    if seen.tokens > 0 {
        let tokens = profile.tokens.sum(minute, 5);
        take(said, amount(summary, profile, Feature::Tokens, tokens));
    }
    // An hour is looked at many times before it closes and counted once, so an open one must
    // be more unusual than a whole one.
    if (seen.bytes > 0 || seen.tokens > 0)
        && let Some(told) = payloads(summary, profile, &open)
    {
        take(said, Told { raw: OPEN_HOUR * told.raw, ..told });
    }
    if seen.cost > 0 {
        take(said, amount(summary, profile, Feature::Cost, open.cost));
    }
    if seen.error == Some(true)
        && let Some(told) = errors(class, profile, &open)
    {
        take(said, told);
    }
    if let Some(session) = session.filter(|session| seen.call && session.calls >= 5) {
        for (feature, value) in session_values(&session) {
            if let Some(value) = value {
                take(said, amount(summary, profile, feature, value.exp_m1().round() as u64));
            }
        }
    }
    for told in new.into_iter().flatten() {
        take(said, told);
    }
    joint(settings, summary, profile, hour, &groups, said);
}

/// First uses, weighted by what peers do and how often the agent does something new.
fn novelties(
    class: &Class,
    profile: &Profile,
    seen: &Observation,
    ts: i64,
    session: Option<Session>,
    mut take: impl FnMut(Told),
) {
    if ts - profile.first < 24 * HOUR {
        return;
    }
    let at = (ts / 1000) as u32;
    let mut judge = |feature: Feature, what: u32, weight: f64, before: Before| {
        if before == Before::New {
            take(novelty(class, profile, ts, feature, what, weight));
        }
    };
    if seen.call && seen.tool != 0 {
        judge(Feature::NewTool, seen.tool, 1.0, profile.tools.before(seen.tool, at));
    }
    for &what in seen.data.iter().filter(|&&what| what != 0) {
        judge(Feature::NewData, what, 1.0, profile.data.before(what, at));
    }
    for &what in seen.destinations.iter().filter(|&&what| what != 0) {
        let before = profile.destinations.before(what, at);
        // Private data read in the same session makes a new destination weigh more.
        let read = session.is_some_and(|session| session.flags & sessions::READ != 0);
        judge(Feature::NewDestination, what, if read { 0.1 } else { 1.0 }, before);
    }
    if (seen.destinations != [0; NAMES] || seen.data != [0; NAMES])
        && session.is_some_and(|session| session.flags == sessions::READ | sessions::SENT)
    {
        judge(Feature::NewData, READ_AND_SENT, 1.0, profile.data.before(READ_AND_SENT, at));
    }
}

/// One first use.
fn novelty(
    class: &Class,
    profile: &Profile,
    ts: i64,
    feature: Feature,
    what: u32,
    weight: f64,
) -> Told {
    let days = (ts - profile.first).max(0) as f64 / (24 * HOUR) as f64;
    let weeks = (days / 7.0).clamp(0.2, 4.0);
    let restless = ((f64::from(profile.news) + 0.5) / weeks).min(1.0);
    let rolled_out = rolled_out(profile, ts);
    // While the class itself still finds new things every day, a new thing says little.
    let kind = match feature {
        Feature::NewTool => 0,
        Feature::NewData => 1,
        _ => 2,
    };
    let young = 1.0 + 10.0 * f64::from(class.summary.firsts[kind]);
    let few =
        if class.agents < 5 { 0.05 } else { (0.2 * young / f64::from(class.agents)).min(0.3) };
    // Squared, so that what a few peers use is told from what none does.
    let common = ((class.share(kind, what) + few) / 0.1).min(1.0);
    let mut p = 0.02 * common * common * restless * weight;
    // What a rollout brings along is news and no attack.
    if rolled_out && feature == Feature::NewTool {
        p *= 30.0;
    }
    Told { feature, raw: surprise(p.min(1.0)), typical: 0.0, high: 0.0, actual: days }
}

/// Whether model, prompt or tools changed within the day before, closed hours and those
/// that are still open alike.
pub(super) fn rolled_out(profile: &Profile, ts: i64) -> bool {
    let deployed = i64::from(profile.deployed_s) * 1000;
    let lately = deployed > profile.first + HOUR && ts - deployed < 24 * HOUR;
    let hour = hour_of(ts);
    let changes = |open: &Hour| {
        (open.hour == hour || open.hour + 1 == hour)
            && open.hour >= profile.next_hour
            && open.deployment != 0
            && open.deployment != profile.deployment
    };
    lately || profile.deployment != 0 && profile.open.iter().any(changes)
}

/// The tool, the data classes, the destinations, and reading and sending together.
const NOVELTIES: usize = 2 + 2 * NAMES;

/// Stands among data classes for private data read and something sent in one session.
pub(super) const READ_AND_SENT: u32 = 2;

/// All groups of the hour together, and what is critical.
fn joint(
    settings: &Settings,
    summary: &Summary,
    profile: &mut Profile,
    hour: u32,
    groups: &[f64; 6],
    said: &mut Judgement,
) {
    let told = bits(said);
    if hour < profile.next_hour {
        late(profile, hour, told, said);
        return;
    }
    if told == 0 && groups.iter().all(|size| *size < 1.0) {
        return;
    }
    let open = profile.hour_mut(hour);
    open.told |= told;
    let mut sum = 0.0;
    for ((largest, size), group) in open.groups.iter_mut().zip(groups).zip(Group::ALL) {
        *largest = (*largest).max((size * 16.0).min(255.0) as u8);
        // Sessions have windows of their own, which an hour as a whole cannot settle.
        if group != Group::Session {
            sum += joined(f64::from(*largest) / 16.0);
        }
    }
    let all_told = open.told;
    tell(settings, summary, hour, said, &all_groups(sum));
    grave(settings, summary, all_told, said);
    profile.hour_mut(hour).told |= bits(said);
}

/// A late event may take a closed hour beyond the budget, which had been told otherwise.
fn late(profile: &mut Profile, hour: u32, told: u16, said: &mut Judgement) {
    let before = profile.hour(hour);
    let now = before.told | told & SETTLED;
    if before.events == 0 || now == before.told {
        return;
    }
    if let Some(free) = said.closed.iter_mut().find(|closed| closed.is_none()) {
        let (settled, told) = (now & SETTLED, before.told & SETTLED);
        *free = Some(Closed { hour, settled, told });
        profile.hour_mut(hour).told = now;
    }
}

/// What a group adds to the joint surprise: half a power of ten is nothing.
fn joined(size: f64) -> f64 {
    (size - 0.5).clamp(0.0, 3.0)
}

fn all_groups(sum: f64) -> Told {
    Told { feature: Feature::Joint, raw: sum / 1.5, typical: 0.0, high: 0.0, actual: sum }
}

/// Critical: more than two groups beyond the budget within the hour, or one feature beyond
/// the budget of critical alerts.
fn grave(settings: &Settings, summary: &Summary, told: u16, said: &mut Judgement) {
    let beyond = |group: Group| {
        Feature::ALL
            .iter()
            .any(|&feature| feature.group() == group && told & (1 << feature as u16) != 0)
    };
    let groups = Group::ALL.into_iter().filter(|&group| beyond(group)).count();
    let sure = said.anomalies.iter().flatten().any(|anomaly| {
        anomaly.surprise
            >= threshold(summary, anomaly.feature, settings.criticals_per_week) + RESERVE
    });
    if said.level.is_some() && (groups > 2 || sure) {
        said.level = Some(Level::Critical);
    }
}

/// The features that are told, one bit each.
fn bits(said: &Judgement) -> u16 {
    const { assert!(FEATURES <= 16) };
    said.anomalies.iter().flatten().fold(0, |bits, anomaly| bits | 1 << anomaly.feature as u16)
}

/// Judges an hour as a whole when it closes, counts its surprises for the class, and returns
/// the features beyond the budget. What was not told while the hour was open is told now.
pub(super) fn hour(
    settings: &Settings,
    season: &Season<'_>,
    class: &mut Class,
    profile: &mut Profile,
    hour: u32,
    busy: Option<Told>,
    said: &mut Judgement,
) -> u16 {
    let open = profile.hour(hour);
    let start = i64::from(hour) * 60;
    let summary = class.summary;
    let mut whole = Judgement::default();
    let mut groups = [0.0_f64; Group::ALL.len()];
    let mut found: [Option<Told>; 9] = [const { None }; 9];
    let fives = start.div_euclid(5);
    let (minute, most) = busiest(profile, start);
    found[0] = Some(frequency(&summary, profile, season, minute, most));
    found[1] = hours(&summary, profile, season, hour, most.min(u64::from(open.events)));
    let bytes = profile.bytes.largest(fives..fives + 12, 12);
    found[2] = (bytes > 0).then(|| amount(&summary, profile, Feature::Volume, bytes));
    let tokens = profile.tokens.largest(start..start + 60, 5);
    found[3] = (tokens > 0).then(|| amount(&summary, profile, Feature::Tokens, tokens));
    found[4] = (open.cost > 0).then(|| amount(&summary, profile, Feature::Cost, open.cost));
    found[5] = (open.latencies >= 10).then(|| {
        let mean = open.latency / u64::from(open.latencies.max(1));
        amount(&summary, profile, Feature::Latency, mean)
    });
    found[6] = errors(class, profile, &open);
    found[7] = busy;
    found[8] = payloads(&summary, profile, &open);
    for told in found.into_iter().flatten() {
        let (feature, raw) = (told.feature, told.raw);
        if feature == Feature::Sustained {
            // A run is told once, and again when it is far beyond that.
            if raw > 2.5 * f64::from(profile.told_sums[0]) {
                tell(settings, &summary, hour, &mut whole, &told);
            }
            if whole.anomalies[feature as usize].is_some() {
                profile.told_sums[0] = raw as f32;
            }
            continue;
        }
        let size = tell(settings, &summary, hour, &mut whole, &told);
        count(settings, class, profile, feature, raw, size);
        let group = &mut groups[feature.group() as usize];
        *group = group.max(size);
    }
    groups[Group::Novelty as usize] = first_uses(settings, class, profile, &open);
    let sum: f64 = groups.iter().map(|&size| joined(size)).sum();
    let size = tell(settings, &summary, hour, &mut whole, &all_groups(sum));
    count(settings, class, profile, Feature::Joint, sum / 1.5, size);
    let beyond = bits(&whole);
    let joint = 1 << Feature::Joint as u16;
    let late = beyond & !open.told & !joint;
    for anomaly in whole.anomalies.iter().flatten() {
        if late & (1 << anomaly.feature as u16) != 0 {
            said.anomalies[anomaly.feature as usize] = Some(*anomaly);
            said.level = said.level.max(whole.level);
        }
    }
    // The slot stays until another hour needs it, and holds nothing that depends on the order
    // in which its events came.
    let slot = profile.hour_mut(hour);
    slot.told = beyond;
    slot.groups = groups.map(|size| (size * 16.0).min(255.0) as u8);
    beyond
}

/// The sixty minutes with most calls that end in the hour.
fn busiest(profile: &Profile, start: i64) -> (i64, u64) {
    let last = start + 59;
    let mut sum = profile.calls.sum(start, 60);
    let mut best = (start, sum);
    for end in start + 1..=last {
        sum = (sum + profile.calls.at(end)).saturating_sub(profile.calls.at(end - 60));
        // Of equals the one that is farther into the hour, whose expectation is nearer its own.
        if sum >= best.1 {
            best = (end, sum);
        }
    }
    best
}

/// Hours in a row that are all somewhat above what was expected add up.
pub(super) fn sustained(
    class: &mut Class,
    profile: &mut Profile,
    season: &Season<'_>,
    hour: u32,
    calls: u64,
) -> Option<Told> {
    let expected = expected(&class.summary, profile, season, hour);
    if profile.age_hours(hour) < 72.0 {
        return None;
    }
    let deviation = (expected.mean * expected.dispersion
        + expected.mean * expected.mean * expected.doubt(expected.mean, 1000.0))
    .sqrt()
    .max(2.0);
    let off = ((calls as f64 - expected.mean) / deviation).clamp(-2.0, 4.0);
    profile.sustained = (f64::from(profile.sustained) + off - 0.6).clamp(0.0, 30.0) as f32;
    profile.peak = profile.peak.max(profile.sustained);
    // The window of this feature is the whole run of busy hours, by its peak.
    if profile.sustained <= 0.0 && profile.peak > 0.0 {
        class.surprised(Feature::Sustained, f64::from(profile.peak) / 2.0);
        (profile.peak, profile.told_sums[0]) = (0.0, 0.0);
    }
    let raw = f64::from(profile.sustained) / 2.0;
    let (typical, actual) = (expected.mean, calls as f64);
    // The sum stands for some time after the hours that made it: only busy ones are told.
    let raw = if off > 0.6 && calls >= CALLS_MIN { raw } else { 0.0 };
    Some(Told {
        feature: Feature::Sustained,
        raw,
        typical,
        high: typical + 1.645 * deviation,
        actual,
    })
}

/// Counts a closed window for the class. Those beyond the budget count on one day in seven of
/// an agent: an attack of many hours must not become usual, and a test that cries wolf with
/// many agents must lose its voice.
fn count(
    settings: &Settings,
    class: &mut Class,
    profile: &mut Profile,
    feature: Feature,
    raw: f64,
    size: f64,
) {
    let day = (profile.next_hour / 24) as u16;
    if size >= threshold(&class.summary, feature, settings.warnings_per_week) {
        if profile.counted_day != day && profile.counted_day.saturating_add(7) > day {
            return;
        }
        profile.counted_day = day;
    }
    class.surprised(feature, raw);
}

/// Counts the hour's first uses for the class, as they look now; an hour without one is a
/// window without surprise. Returns the largest.
fn first_uses(settings: &Settings, class: &mut Class, profile: &mut Profile, open: &Hour) -> f64 {
    let hour = open.hour;
    let at = i64::from(hour) * HOUR;
    let grown = profile.age_hours(hour) >= 24.0;
    let most = |feature: Feature, firsts: &mut dyn Iterator<Item = u32>| {
        let raws = firsts.map(|what| novelty(class, profile, at, feature, what, 1.0).raw);
        (feature, if grown { raws.fold(0.0_f64, f64::max) } else { 0.0 })
    };
    let raws = [
        most(Feature::NewTool, &mut profile.tools.firsts(hour)),
        most(Feature::NewData, &mut profile.data.firsts(hour)),
        most(Feature::NewDestination, &mut profile.destinations.firsts(hour)),
    ];
    let mut largest = 0.0_f64;
    for (feature, raw) in raws {
        let size = class.summary.calibrate(feature, raw);
        count(settings, class, profile, feature, raw, size);
        largest = largest.max(size);
    }
    largest
}
