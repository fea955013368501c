//! What happens when time has passed: hours close in order, are judged whole, and learned.
//!
//! An hour closes when the agent's watermark passes its end. Every event within the lateness
//! has come by then, so what is judged and learned here does not depend on the order of arrival.

use crate::baseline::class::Class;
use crate::baseline::feature::Feature;
use crate::baseline::judge::{self, Expected, Told};
use crate::baseline::profile::{
    Hour, LATENESS_MS, MINUTE, Profile, coarse, fine, from_coarse, from_fine, hour_of,
};
use crate::baseline::season::Season;
use crate::baseline::sessions::Session;
use crate::baseline::{Closed, Judgement, Settings, rules};

/// Silence beyond so many hours says nothing about the hours of the day: the agent was away.
const AWAY_HOURS: u32 = 192;
/// After so many hours in a row that nothing was learned from, learning goes on.
const FROZEN_HOURS: u16 = 168;
/// Hours of thirty days.
const MONTH_HOURS: u32 = 720;
/// Days of silence after which nothing more fades.
const FADED_DAYS: u32 = 60;

/// How far an agent's time goes on.
#[derive(Clone, Copy)]
pub(super) struct Until {
    /// To the event that came.
    pub(super) ts: i64,
    /// Whether what the agent does now is usual by an operator's word.
    pub(super) accepted: bool,
}

/// Moves the agent's time on: closes what the watermark passes, and turns the rings.
pub(super) fn advance(
    settings: &Settings,
    season: &Season<'_>,
    class: &mut Class,
    profile: &mut Profile,
    until: Until,
    said: &mut Judgement,
) {
    let Until { ts, accepted } = until;
    let watermark = ts - LATENESS_MS;
    while let Some(over) = profile.sessions.over((watermark.max(0) / MINUTE) as u32) {
        session(class, profile, &over);
    }
    let end = hour_of(watermark.max(0));
    // The first hours after the last event may hold something; those that follow are silent.
    let newest = hour_of(profile.newest);
    let mut turned = profile.newest / MINUTE;
    while profile.next_hour < end {
        let hour = profile.next_hour;
        if hour > newest.saturating_add(AWAY_HOURS) {
            away(profile, end);
            break;
        }
        // What lies behind the last event is silence, not what stood there a turn ago.
        turn(profile, &mut turned, i64::from(hour) * 60 + 59);
        if hour >= hour_of(profile.first) {
            let over = Over { hour, accepted };
            close(settings, season, class, profile, over, said);
        }
        rules::forget(profile, hour);
        profile.next_hour = hour + 1;
    }
    turn(profile, &mut turned, ts / MINUTE);
    profile.newest = ts;
}

/// Turns the rings on to a minute, never back.
fn turn(profile: &mut Profile, turned: &mut i64, to: i64) {
    if to <= *turned {
        return;
    }
    profile.calls.turn(*turned, to);
    profile.tokens.turn(*turned, to);
    profile.bytes.turn(turned.div_euclid(5), to.div_euclid(5));
    *turned = to;
}

/// A long absence: only the thirty days move on.
fn away(profile: &mut Profile, end: u32) {
    let missed = end - profile.next_hour;
    for day in 0..(missed / 24).min(FADED_DAYS) {
        profile.hours = profile.hours.saturating_add(24);
        fade(profile, profile.next_hour / 24 + day);
    }
    profile.sustained = 0.0;
    profile.next_hour = end;
}

fn fade(profile: &mut Profile, day: u32) {
    if profile.hours <= MONTH_HOURS {
        return;
    }
    profile.hours = MONTH_HOURS;
    profile.calls_mean.fade(day);
    profile.bytes_mean.fade(day);
    profile.tokens_mean.fade(day);
    profile.news *= 29.0 / 30.0;
}

/// Learns a session that is over.
pub(super) fn session(class: &mut Class, profile: &mut Profile, over: &Session) {
    for (feature, value) in judge::session_values(over) {
        let Some((log, value)) = feature.log().zip(value) else { continue };
        let raw = judge::log_surprise(&class.summary, profile, log, value);
        class.surprised(feature, raw);
        learn_log(class, profile, log, value);
    }
}

/// Learns a logarithm, no further from the mean than three deviations.
fn learn_log(class: &mut Class, profile: &mut Profile, log: usize, value: f64) {
    let (mean, deviation, _) = judge::log_expected(&class.summary, profile, log);
    let value = value.min(mean + 3.0 * deviation);
    let own = profile.logs[log];
    class.measured(log, value, (own.n >= 5.0).then(|| f64::from(own.mean)));
    profile.logs[log].learn(value);
}

/// An hour that closes.
#[derive(Clone, Copy)]
struct Over {
    hour: u32,
    accepted: bool,
}

/// Judges an hour whole and learns it.
fn close(
    settings: &Settings,
    season: &Season<'_>,
    class: &mut Class,
    profile: &mut Profile,
    over: Over,
    said: &mut Judgement,
) {
    let Over { hour, accepted } = over;
    let open = profile.hour(hour);
    deployed(profile, &open);
    let start = i64::from(hour) * 60;
    let calls = profile.calls.sum(start + 59, 60);
    let expected = judge::expected(&class.summary, profile, season, hour);
    let busy = judge::sustained(class, profile, season, hour, calls);
    let beyond = if open.events > 0 {
        judge::hour(settings, season, class, profile, hour, busy, said)
    } else {
        0
    };
    let settled = beyond & judge::SETTLED;
    let told = open.told & judge::SETTLED;
    if open.events > 0 {
        let slot = usize::from(said.closed[0].is_some());
        said.closed[slot] = Some(Closed { hour, settled, told });
    }
    profile.hours = profile.hours.saturating_add(1);
    if profile.age_hours(hour) > 24.0 {
        let news = profile.tools.firsts(hour).count()
            + profile.data.firsts(hour).count()
            + profile.destinations.firsts(hour).count();
        profile.news += news as f32;
    }
    profile.tools.close(hour);
    profile.data.close(hour);
    profile.destinations.close(hour);
    let frozen = beyond != 0 && !accepted && profile.frozen < FROZEN_HOURS;
    profile.frozen = if frozen { profile.frozen + 1 } else { 0 };
    if accepted && beyond != 0 {
        raise(profile, calls as f64, expected.mean);
    }
    if !frozen {
        learn(season, class, profile, &open, calls, expected);
    }
    if hour % 24 == 23 {
        day(settings, class, profile, hour, said);
        fade(profile, hour / 24);
    }
}

/// An hour that ends with another hash of model, prompt and tools opens an epoch.
fn deployed(profile: &mut Profile, open: &Hour) {
    if open.deployment != 0 && open.deployment != profile.deployment {
        profile.deployment = open.deployment;
        profile.deployed_s = open.hour.saturating_mul(3600);
    }
}

/// Moves the level of all hours half of the way, in the logarithm, to an unusual hour that an
/// operator calls usual. Learning alone would take weeks, hour of the week by hour of the week.
fn raise(profile: &mut Profile, calls: f64, mean: f64) {
    let factor = ((calls + 1.0) / (mean + 1.0)).sqrt().clamp(1.0, 10.0);
    profile.rate *= factor as f32;
    for cell in &mut profile.cells {
        cell.mean = fine(from_fine(cell.mean) * factor);
    }
    for hour in &mut profile.week {
        *hour = coarse(from_coarse(*hour) * factor);
    }
}

fn learn(
    season: &Season<'_>,
    class: &mut Class,
    profile: &mut Profile,
    open: &Hour,
    calls: u64,
    expected: Expected,
) {
    let hour = open.hour;
    let of_week = season.of_week(hour);
    let at = Season::cell(of_week);
    let active = open.events > open.unlearned;
    let calls = calls.saturating_sub(u64::from(open.unlearned)) as f64;
    let Expected { mean, dispersion, .. } = expected;
    let calls_learned = calls.min(mean + 5.0 * (mean * dispersion).sqrt() + 5.0);
    let load = f64::from(class.summary.load).max(1.0);
    let shape = f64::from(class.summary.shape[at]).max(0.05);

    // Seasons: the cell of the day, and the hour of the week over it.
    let cell = &mut profile.cells[at];
    if cell.exposed >= 100 {
        cell.exposed -= cell.exposed / 20;
        cell.active -= cell.active / 20;
    }
    cell.exposed += 1;
    cell.active += u8::from(active);
    let weight = 1.0 / f64::from(cell.exposed).min(30.0);
    let before = from_fine(cell.mean);
    cell.mean = fine(before + (calls_learned / load - before) * weight);
    let before = from_coarse(profile.week[of_week]);
    let weeks = (profile.age_hours(hour) / 168.0 + 1.0).min(4.0);
    profile.week[of_week] = coarse(before + (calls_learned / load - before) / weeks);

    // The rate with the class's season taken out, over a week and more.
    profile.rated = (profile.rated + shape as f32).min(336.0);
    let step = shape / f64::from(profile.rated).max(shape);
    let off = (calls_learned / shape / load).min(4.0 * (mean + 10.0)) - f64::from(profile.rate);
    profile.rate += (off * step) as f32;

    // Dispersion: what squared differences come to beside the mean, over the last few hundred calls.
    let square = (calls_learned - mean).powi(2);
    if profile.expected > 400.0 {
        let keep = 400.0 / profile.expected;
        profile.expected *= keep;
        profile.spread *= keep;
    }
    profile.expected += mean as f32;
    profile.spread += square as f32;
    profile.day_calls += calls as f32;
    profile.day_expected += (mean * load) as f32;

    let cell = &mut class.cells[at];
    cell.exposed = cell.exposed.saturating_add(1);
    cell.active = cell.active.saturating_add(u32::from(active));
    let rate = f64::from(profile.rate).max(0.05);
    cell.shape += ((calls_learned / rate).min(50.0) * 64.0) as u64;
    class.calls += calls_learned as u64;
    if profile.age_hours(hour) > 72.0 && mean > 0.05 {
        // A busy agent says no more of its class than a quiet one.
        let weight = 16.0 / (1.0 + mean / 5.0);
        class.spread += (square * weight) as u64;
        class.expected += (mean * weight) as u64;
    }
    if !active {
        return;
    }
    if profile.age_hours(hour) > 72.0 && mean > 1.0 {
        let off = ((calls + 2.0) / (mean + 2.0)).clamp(0.25, 4.0).ln();
        if let Some(slot) = class.hour(hour) {
            slot.agents = slot.agents.saturating_add(1);
            slot.load += (off * 256.0) as i64;
        }
    }
    active_hour(class, profile, open, calls as u64);
}

/// What only hours with events say.
fn active_hour(class: &mut Class, profile: &mut Profile, open: &Hour, calls: u64) {
    let start = i64::from(open.hour) * 60;
    let five = start.div_euclid(5);
    if calls > 0 {
        profile.calls_mean.learn(calls);
    }
    class.results += u64::from(open.results);
    class.errors += u64::from(open.errors);
    if profile.results > 2000.0 {
        profile.results /= 2.0;
        profile.errors /= 2.0;
    }
    profile.results += open.results as f32;
    profile.errors += open.errors as f32;
    // What was blocked cannot be told from the rest of an hour's bytes and tokens.
    if open.unlearned > 0 {
        return;
    }
    let bytes = profile.bytes.sum(five + 11, 12);
    if bytes > 0 {
        profile.bytes_mean.learn(bytes);
        learn_log(class, profile, 0, judge::logarithm(bytes));
    }
    for five in 0..12 {
        let tokens = profile.tokens.sum(start + five * 5 + 4, 5);
        if tokens > 0 {
            profile.tokens_mean.learn(tokens);
            learn_log(class, profile, 1, judge::logarithm(tokens));
        }
    }
    for (slot, log) in [(0, 6), (1, 7)] {
        if let Some(each) = judge::payload(open, slot) {
            learn_log(class, profile, log, each);
        }
    }
    if open.cost > 0 {
        learn_log(class, profile, 2, judge::logarithm(open.cost));
    }
    if open.latencies > 0 {
        learn_log(class, profile, 3, judge::logarithm(open.latency / u64::from(open.latencies)));
    }
}

/// Ends a day: how much more than expected it was goes into the slow sum.
fn day(
    settings: &Settings,
    class: &mut Class,
    profile: &mut Profile,
    hour: u32,
    said: &mut Judgement,
) {
    let (calls, expected) = (f64::from(profile.day_calls), f64::from(profile.day_expected));
    (profile.day_calls, profile.day_expected) = (0.0, 0.0);
    if calls + expected < 5.0 || profile.age_hours(hour) < 168.0 {
        return;
    }
    let off = ((calls + 10.0) / (expected + 10.0)).ln().clamp(-0.7, 0.7);
    profile.drift = (f64::from(profile.drift) + off - 0.15).clamp(0.0, 10.0) as f32;
    let raw = f64::from(profile.drift);
    class.surprised(Feature::Drift, raw);
    // A sum is told once, and again when it has grown by half.
    let again = &mut profile.told_sums[1];
    if raw < 0.5 {
        *again = 0.0;
    }
    if raw > 1.5 * f64::from(*again) {
        let told =
            Told { feature: Feature::Drift, raw, typical: expected, high: expected, actual: calls };
        judge::tell(settings, &class.summary, hour, said, &told);
        if said.anomalies[Feature::Drift as usize].is_some() {
            *again = raw as f32;
        }
    }
}
