//! What could be found at best: the power of a test that is told the true rates.
//!
//! Learning an agent's habits is half of a detector's trouble; the other half is chance, which
//! no detector can do away with. The oracle has none of the first: it knows how many sessions
//! are due, on this day, of this agent, how large sessions are, and when an incident of this
//! kind would begin and end. It counts the calls of that span that bear a mark, the one that
//! tells most: any call, one whose result or tokens exceed a size, one that fails, one to a
//! destination not written to before. Its budget of false warnings is the whole of the
//! operator's, for this kind alone, spread over the agent's spans of that length in which
//! anything happens; the test is randomised where a count is not fine enough to spend all of it.
//!
//! How far sessions stand apart in time, or which call follows which, it does not look at.

use super::incidents::{Incident, Kind};
use super::world::{DAY, HOUR, START, World};

/// Counts beyond this are as good as certain.
const COUNTS: usize = 4000;

/// A mark on calls: how often daily business bears it, how many calls of the incident are
/// tried, and how often each of those bears it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    usual: f64,
    calls: u64,
    incident: f64,
}

/// The chance of finding an incident at that many false warnings in an agent-week.
pub(super) fn power(world: &World, incident: &Incident, per_week: f64, quiet_days: i64) -> f64 {
    let (incident, grown) = &looked_at(world, incident);
    let sessions = world.sessions_between(incident.agent, incident.start..incident.end);
    // Spans in which something happens carry the budget; at night hardly any does, and there
    // all of them do.
    let per_span = if incident.kind == Kind::Night {
        per_week * (incident.end - incident.start) as f64 / (7 * DAY) as f64
    } else {
        let spans = spans(world, incident, quiet_days);
        per_week / spans.max(1e-6) * (1.0 - (-sessions).exp())
    };
    let level = per_span.clamp(1e-12, 1.0);
    marks(world, incident, *grown)
        .into_iter()
        .map(|mark| found(&session_sizes(world, incident), sessions, mark, level))
        .fold(level, f64::max)
}

/// The span that the oracle looks at: of slow poisoning the last week, which is the worst.
/// Also by how much daily business has grown then.
fn looked_at(world: &World, incident: &Incident) -> (Incident, f64) {
    let mut span = incident.clone();
    if incident.kind != Kind::Poison {
        return (span, 1.0);
    }
    span.end = incident.end.min(START + world.days() as i64 * DAY);
    span.start = span.start.max(span.end - 7 * DAY);
    let grown = incident.growth(span.start.midpoint(span.end));
    (span, grown)
}

/// How many spans of the incident's length an agent has in a week with an event in them.
fn spans(world: &World, incident: &Incident, quiet_days: i64) -> f64 {
    let length = (incident.end - incident.start).max(1);
    let (from, to) = (START + quiet_days * DAY, START + world.days() as i64 * DAY);
    let mut at = from;
    let mut busy = 0.0;
    while at + length <= to.max(from + length) {
        let sessions = world.sessions_between(incident.agent, at..at + length);
        busy += 1.0 - (-sessions).exp();
        at += length;
    }
    busy / ((at - from).max(1) as f64 / (7 * DAY) as f64)
}

/// The marks that may tell of a kind.
fn marks(world: &World, incident: &Incident, grown: f64) -> Vec<Mark> {
    let hourly = world.agents[incident.agent as usize].hourly();
    let (mut calls, times) = (incident.calls(hourly), incident.kind.times(hourly));
    if incident.kind == Kind::Poison {
        let sessions = world.sessions_between(incident.agent, incident.start..incident.end);
        calls = ((grown - 1.0) * sessions * world.session_mean(incident.agent)).round() as u64;
    }
    let any = Mark { usual: 1.0, calls, incident: 1.0 };
    // A lognormal size against one whose median is so many times larger.
    let sized = |times: f64, sigma: f64| {
        (1..=24).map(move |step| {
            let limit = times.ln() * f64::from(step) / 16.0;
            Mark { usual: above(limit / sigma), calls, incident: above((limit - times.ln()) / 0.3) }
        })
    };
    let one = |usual: f64, calls: u64, incident: f64| vec![Mark { usual, calls, incident }];
    match incident.kind {
        Kind::FrequencyTen
        | Kind::FrequencyFour
        | Kind::Night
        | Kind::Slow
        | Kind::UnderFrequency
        | Kind::Poison => vec![any],
        Kind::BulkRead | Kind::UnderVolume => sized(times, 1.3).collect(),
        Kind::TokenBurn | Kind::UnderTokens => sized(times, 0.7).collect(),
        Kind::ErrorStorm => one(world.failing(incident), calls, 0.7),
        // Nobody uses what these use, and no session of daily business has so many calls.
        Kind::NewTool | Kind::NewData | Kind::Loop => one(1e-9, 1, 1.0),
        Kind::ReadSend => one(world.new_hosts(incident.agent), 1, 1.0),
        Kind::BulkSend => one(world.new_hosts(incident.agent), calls / 2, 1.0),
    }
}

/// P(Z > z) of a standard normal, by its continued fraction far out and its series near zero
/// (NIST Digital Library of Mathematical Functions 7.6, 7.9).
fn above(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - above(-z);
    }
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if z > 3.0 {
        let fraction = (1..=40).rev().fold(z, |rest, k| z + f64::from(k) / rest);
        return density / fraction;
    }
    let (mut term, mut sum, mut k) = (z, z, 1.0);
    while term > 1e-16 * sum {
        k += 2.0;
        term *= z * z / k;
        sum += term;
    }
    (0.5 - density * sum).max(0.0)
}

/// Chances of session sizes, as [`Agent::session`](super::world::Agent) makes them.
fn session_sizes(world: &World, incident: &Incident) -> Vec<f64> {
    let mean = world.session_mean(incident.agent);
    let keep = (-1.0 / (mean - 1.0).max(0.1)).exp();
    let mut sizes = vec![0.0; 81];
    for at in 0..400 {
        let chance = (1.0 - keep) * keep.powi(at);
        let mut put = |size: usize, chance: f64| sizes[size.min(80)] += chance;
        put(1 + at as usize, chance * 0.97);
        for more in 0..20 {
            put(1 + at as usize + more, chance * 0.03 / 20.0);
        }
    }
    sizes
}

/// The power of the randomised count test at a level.
fn found(sizes: &[f64], sessions: f64, mark: Mark, level: f64) -> f64 {
    let marked = thinned(sizes, mark.usual);
    let usual = compound(&marked, sessions);
    // The count at which the tail is within the level, and what is left for the one below.
    let mut tail = 0.0;
    let mut at = usual.len();
    while at > 0 && tail + usual[at - 1] <= level {
        at -= 1;
        tail += usual[at];
    }
    let left = if at > 0 && usual[at - 1] > 0.0 { (level - tail) / usual[at - 1] } else { 0.0 };
    let more = binomial(mark.calls, mark.incident);
    let mut power = 0.0;
    for (count, chance) in usual.iter().enumerate() {
        if *chance < 1e-15 {
            continue;
        }
        for (extra, part) in more.iter().enumerate() {
            let weight = match (count + extra).cmp(&at.saturating_sub(1)) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal if at > 0 => left,
                _ => 1.0,
            };
            power += chance * part * weight;
        }
    }
    power.min(1.0)
}

/// Of a session's calls those that bear a mark.
fn thinned(sizes: &[f64], part: f64) -> Vec<f64> {
    if part >= 1.0 {
        return sizes.to_vec();
    }
    let mut out = vec![0.0; sizes.len()];
    for (size, chance) in sizes.iter().enumerate().filter(|(_, chance)| **chance > 0.0) {
        for (marked, share) in binomial(size as u64, part).into_iter().enumerate() {
            out[marked] += chance * share;
        }
    }
    out
}

/// Chances of a sum over a Poisson number of sizes, by Panjer's recursion, in steps so small
/// that its first chance does not vanish.
fn compound(sizes: &[f64], mean: f64) -> Vec<f64> {
    let parts = (mean / 200.0).ceil().max(1.0);
    let rate = mean / parts;
    let largest = sizes.len() - 1;
    let mut one = vec![(-rate * (1.0 - sizes[0])).exp()];
    for at in 1..COUNTS {
        let sum: f64 =
            (1..=largest.min(at)).map(|size| size as f64 * sizes[size] * one[at - size]).sum();
        one.push(rate / at as f64 * sum);
        if at as f64 > rate * largest as f64 / 4.0 + 40.0 && one[at] < 1e-18 {
            break;
        }
    }
    let mut all = vec![1.0];
    for _ in 0..parts as usize {
        all = folded(&all, &one);
    }
    all
}

/// Chances of the sum of two counts.
fn folded(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; (a.len() + b.len() - 1).min(20 * COUNTS)];
    for (i, left) in a.iter().enumerate().filter(|(_, chance)| **chance > 1e-18) {
        for (to, right) in out[i..].iter_mut().zip(b) {
            *to += left * right;
        }
    }
    out
}

/// Chances of a binomial count.
fn binomial(n: u64, p: f64) -> Vec<f64> {
    let n = n as usize;
    if p >= 1.0 {
        let mut all = vec![0.0; n + 1];
        all[n] = 1.0;
        return all;
    }
    let mut chances = vec![1.0];
    for _ in 0..n {
        let mut next = vec![0.0; chances.len() + 1];
        for (at, chance) in chances.iter().enumerate() {
            next[at] += chance * (1.0 - p);
            next[at + 1] += chance * p;
        }
        chances = next;
    }
    chances
}

/// The span of an hour that falls into a range, as a part of the hour.
pub(super) fn overlap(hour: i64, range: &std::ops::Range<i64>) -> f64 {
    ((hour + HOUR).min(range.end) - hour.max(range.start)).max(0) as f64 / HOUR as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_tail_of_the_printed_tables() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.158_655_254), (1.959_964, 0.025), (4.0, 3.167_124e-5)] {
            assert!((above(z) - p).abs() < 1e-7 * p.max(1e-3), "{z}: {}", above(z));
        }
        assert!((above(-1.0) - 0.841_344_7).abs() < 1e-6);
    }

    #[test]
    fn sessions_of_one_call_are_poisson_and_larger_ones_spread() {
        let mean = 450.0;
        let one = compound(&[0.0, 1.0], mean);
        let sum: f64 = one.iter().sum();
        let first: f64 = one.iter().enumerate().map(|(n, p)| n as f64 * p).sum();
        let second: f64 = one.iter().enumerate().map(|(n, p)| (n as f64 - mean).powi(2) * p).sum();
        assert!((sum - 1.0).abs() < 1e-9 && (first - mean).abs() < 1e-6, "{sum} {first}");
        assert!((second - mean).abs() < 1e-3, "{second}");
        let two = compound(&[0.0, 0.0, 1.0], 10.0);
        assert!(two.iter().skip(1).step_by(2).all(|odd| odd.abs() < 1e-15));
    }

    #[test]
    fn a_test_without_an_incident_spends_its_level_and_with_a_large_one_finds_it() {
        let sizes = [0.0, 0.5, 0.3, 0.2];
        for level in [1e-4, 0.01, 0.3] {
            let none = Mark { usual: 1.0, calls: 0, incident: 1.0 };
            let power = found(&sizes, 5.0, none, level);
            assert!((power - level).abs() < 1e-9, "{power} at {level}");
        }
        let large = Mark { usual: 1.0, calls: 200, incident: 1.0 };
        assert!(found(&sizes, 5.0, large, 1e-6) > 0.999);
        let small = found(&sizes, 5.0, Mark { calls: 10, ..large }, 1e-3);
        let rare = found(&sizes, 5.0, Mark { usual: 0.01, calls: 10, incident: 0.9 }, 1e-3);
        assert!(small < rare, "{small} {rare}");
    }
}
