//! What an agent usually does, and how unusual what it does now is.
//!
//! [`observe`] takes one event of an agent in any order of arrival: it closes the hours that
//! the agent's watermark has passed, adds the event to integer rings, judges the windows that
//! it falls into against what was learned before, and learns from closed hours only. Two
//! judgements stand beside each other: the fixed ratio rules, exact at their boundaries
//! (`rules`), and a calibrated one whose knob is a number of false alerts (`judge`).
//!
//! Pure: time is an argument, and the owner of the state says where a [`Profile`] and its
//! [`Class`] are kept. An observation allocates nothing. Calls come in sessions, so hourly
//! counts are compound Poisson with a dispersion of the agent's own, and what a tail says is
//! corrected by how often the class's quiet windows were that unusual.

mod class;
mod close;
mod feature;
mod judge;
mod profile;
mod ring;
mod rules;
mod season;
mod seen;
mod sessions;
mod tails;
mod view;
mod wire;

use crate::event::Millis;

use profile::{MINUTE, hour_of};
use season::Season;
use seen::{Before, Open};
use sessions::Session;

pub use class::{Class, POPULAR, Windows};
pub use feature::{FEATURES, Feature, Group};
pub use judge::{Anomaly, Level};
pub use profile::{AHEAD_MS, LATENESS_MS, Profile};
pub use rules::{Rule, RuleHit};
pub use season::{BadZone, Zone};
pub use seen::REMEMBERED_S;
pub use sessions::SESSIONS;
pub use view::{Fact, Known};

/// Which judgement is sent as alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The calibrated one; hits of the fixed rules are recorded beside it.
    #[default]
    Calibrated,
    /// The fixed rules, as they stand.
    Literal,
    /// Neither; nothing is learned.
    Off,
}

/// Which buckets the fixed rules take their means over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Buckets {
    /// Those in which the agent did something.
    #[default]
    Active,
    /// All since its first event, at most thirty days.
    All,
}

/// How agents are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which judgement is sent.
    pub mode: Mode,
    /// What the fixed rules compare with.
    pub buckets: Buckets,
    /// False warnings of one agent in a week that the operator will live with.
    pub warnings_per_week: f64,
    /// The same for critical alerts.
    pub criticals_per_week: f64,
    /// Where hours of the day and weekdays are counted.
    pub zone: Zone,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            buckets: Buckets::default(),
            warnings_per_week: 0.1,
            criticals_per_week: 0.002,
            zone: Zone::default(),
        }
    }
}

/// How many data classes and destinations of one event are looked at.
pub const NAMES: usize = 4;

/// One event of an agent, as numbers. Names are hashes by [`name`]; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// When it happened, by the sender.
    pub ts: Millis,
    /// The log's clock: a later `ts` is not believed.
    pub now: Millis,
    /// Whether a tool was called.
    pub call: bool,
    /// The tool of a call.
    pub tool: u32,
    /// The session.
    pub session: u32,
    /// Tokens read and written.
    pub tokens: u64,
    /// Bytes that a tool returned or was sent.
    pub bytes: u64,
    /// Cost in millionths of a US dollar.
    pub cost: u64,
    /// Latency.
    pub latency_ms: Option<u64>,
    /// For a tool's result: whether it is an error.
    pub error: Option<bool>,
    /// Classes of private data that were touched.
    pub data: [u32; NAMES],
    /// Where something was sent.
    pub destinations: [u32; NAMES],
    /// Hash of model, prompt and tools; 0 where the sender does not say.
    pub deployment: u32,
    /// Whether anything may be learned from it: not from what was blocked, nor from canaries.
    pub learn: bool,
    /// Whether an operator has said that what the agent does now is usual: hours beyond the
    /// budget are learned too, and raise the level of all others.
    pub accepted: bool,
}

/// A name as a number that is never 0: FNV-1a folded to 30 bits. Two names may share one; the price
/// is a first use that goes unnoticed.
#[must_use]
pub fn name(text: &str) -> u32 {
    // Thirty bits: the two above them say in which open hour a first use fell.
    let hash = text
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 2 ^ hash & 0x3fff_ffff).max(16)
}

/// When an event came, next to its agent's other events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Within the lateness: its place in time is all that counts.
    #[default]
    InTime,
    /// Behind the watermark, but within the windows that are kept: those are judged again.
    Late,
    /// Too late for any window; only first uses are remembered.
    Dropped,
}

/// What the whole of a closed hour says of the features that a whole hour settles, one bit
/// each by [`Feature`]'s order. For any order of arrival within the lateness it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Hours since the epoch.
    pub hour: u32,
    /// What is beyond the budget.
    pub settled: u16,
    /// What had been told before.
    pub told: u16,
}

impl Closed {
    /// Whether what had been told was not all, or too much.
    #[must_use]
    pub fn corrects(self) -> bool {
        self.settled != self.told
    }

    /// What had been told and is not borne out.
    pub fn withdrawn(self) -> impl Iterator<Item = Feature> {
        of(self.told & !self.settled)
    }

    /// What had not been told and is beyond the budget.
    pub fn added(self) -> impl Iterator<Item = Feature> {
        of(self.settled & !self.told)
    }
}

/// The features of a set of bits.
fn of(bits: u16) -> impl Iterator<Item = Feature> {
    Feature::ALL.into_iter().filter(move |&feature| bits & 1 << feature as u16 != 0)
}

/// What there is to say of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Hits of the fixed rules, by [`Rule`].
    pub rules: [Option<RuleHit>; Rule::ALL.len()],
    /// What is unusual beyond the budget, by [`Feature`].
    pub anomalies: [Option<Anomaly>; FEATURES],
    /// The gravest of the calibrated judgement; none where nothing is to be told.
    pub level: Option<Level>,
    /// Hours with events that this one closed; for a late event the closed hour that it falls
    /// into, where it takes something of it beyond the budget.
    pub closed: [Option<Closed>; 2],
    /// When it came.
    pub order: Order,
    /// Hours until the profile counts as learned; 0 then.
    pub learning_hours: u32,
    /// Whether something is to be told of an agent that is within a day of a rollout.
    pub fresh: bool,
}

impl Judgement {
    /// The gravest of the fixed rules: critical where more than two hit at once.
    #[must_use]
    pub fn literal(&self) -> Option<Level> {
        match self.rules.iter().flatten().count() {
            0 => None,
            _ if self.rules[Rule::Combined as usize].is_some() => Some(Level::Critical),
            _ => Some(Level::Warning),
        }
    }

    /// The anomaly that is told first: the one furthest beyond its threshold.
    #[must_use]
    pub fn first(&self) -> Option<Anomaly> {
        let all = self.anomalies.iter().flatten();
        all.copied().max_by(|a, b| a.surprise.total_cmp(&b.surprise))
    }
}

/// Seconds are kept in 32 bits: time ends in 2106.
const LATEST_MS: i64 = 4_294_900_000_000;

/// A profile counts as learned after three days.
pub const LEARNING_HOURS: u32 = 72;

/// Takes one event of an agent: judges it, and what it closes is learned.
pub fn observe(
    settings: &Settings,
    class: &mut Class,
    profile: &mut Profile,
    seen: &Observation,
) -> Judgement {
    profile.fetch(seen.ts.0);
    let mut said = Judgement::default();
    let now = seen.now.0.clamp(0, LATEST_MS);
    class.turn(hour_of(now));
    let mut ts = seen.ts.0.clamp(0, LATEST_MS);
    if ts > now + AHEAD_MS {
        ts = now;
        profile.clamped = profile.clamped.saturating_add(1);
    }
    if profile.hours == 0 {
        begin(class, profile);
    }
    let season = Season::new(&settings.zone);
    let before = profile.watermark();
    if ts > profile.newest {
        let accepted = seen.accepted;
        close::advance(settings, &season, class, profile, close::Until { ts, accepted }, &mut said);
    }
    profile.first = profile.first.min(ts);
    let (minute, hour) = (ts / MINUTE, hour_of(ts));
    said.order = if ts >= before || hour >= profile.next_hour {
        Order::InTime
    } else if minute > profile.newest / MINUTE - profile::KEPT_MINUTES {
        profile.late = profile.late.saturating_add(1);
        Order::Late
    } else {
        profile.dropped = profile.dropped.saturating_add(1);
        Order::Dropped
    };
    let session = match said.order {
        Order::Dropped => None,
        Order::InTime | Order::Late => Some(add(class, profile, seen, ts)),
    };
    rules::apply(settings, profile, seen, ts, &mut said);
    judge::event(settings, &season, class, profile, seen, ts, session, &mut said);
    first_uses(class, profile, seen, ts, session);
    let age = profile.age_hours(hour) as u32;
    said.learning_hours = LEARNING_HOURS.saturating_sub(age);
    said.fresh = said.level.is_some() && judge::rolled_out(profile, ts);
    said
}

/// Counts an agent into its class, once.
fn begin(class: &mut Class, profile: &mut Profile) {
    class.agents = class.agents.saturating_add(1);
    // Marks the agent as counted; an hour too many in a mean over hundreds does not show.
    profile.hours = 1;
}

/// Adds an event to the rings, its hour and its session.
fn add(class: &mut Class, profile: &mut Profile, seen: &Observation, ts: i64) -> Session {
    let (minute, hour) = (ts / MINUTE, hour_of(ts));
    if seen.call {
        profile.calls.add(minute, 1);
    }
    profile.tokens.add(minute, seen.tokens);
    profile.bytes.add(minute.div_euclid(5), seen.bytes);
    if hour >= profile.next_hour {
        let open = profile.hour_mut(hour);
        open.events = open.events.saturating_add(1);
        open.cost = open.cost.saturating_add(seen.cost);
        if let Some(latency) = seen.latency_ms {
            open.latency = open.latency.saturating_add(latency.min(86_400_000));
            open.latencies = open.latencies.saturating_add(1);
        }
        for (slot, amount) in [seen.bytes, seen.tokens].into_iter().enumerate() {
            if amount > 0 {
                let logarithm = (judge::logarithm(amount) * 256.0) as u32;
                open.payload[slot] = open.payload[slot].saturating_add(logarithm);
                open.payloads[slot] = open.payloads[slot].saturating_add(1);
            }
        }
        if let Some(error) = seen.error {
            open.results = open.results.saturating_add(1);
            open.errors = open.errors.saturating_add(u32::from(error));
            if let Some(all) = class.hour(hour) {
                all.results = all.results.saturating_add(1);
                all.errors = all.errors.saturating_add(u32::from(error));
            }
        }
        let last = ((ts / 1000) as u32, seen.deployment);
        if seen.deployment != 0 && last > (open.deployment_s, open.deployment) {
            (open.deployment_s, open.deployment) = last;
        }
        if !seen.learn {
            open.unlearned = open.unlearned.saturating_add(1);
        }
    }
    let minute = minute as u32;
    let mut event = Session { id: seen.session, start: minute, last: minute, ..Session::default() };
    if seen.session == 0 {
        return event;
    }
    if seen.call {
        event.calls = 1;
        event.tools[seen.tool as usize % 4] = 1;
    }
    if seen.learn && seen.data != [0; NAMES] {
        event.flags |= sessions::READ;
    }
    if seen.learn && seen.destinations != [0; NAMES] {
        event.flags |= sessions::SENT;
    }
    let (whole, gone) = profile.sessions.add(event);
    if let Some(gone) = gone {
        close::session(class, profile, &gone);
    }
    whole
}

/// Remembers what an event used, unless nothing is to be learned from it.
fn first_uses(
    class: &mut Class,
    profile: &mut Profile,
    seen: &Observation,
    ts: i64,
    session: Option<Session>,
) {
    // Dated by the session's end so far: which of its events came first must not matter.
    let both = sessions::READ | sessions::SENT;
    if let Some(session) = session.filter(|session| session.flags & both == both) {
        let until = session.last.saturating_mul(60);
        if profile.data.before(judge::READ_AND_SENT, until) == Before::New {
            class.used(1, judge::READ_AND_SENT);
        }
        profile.data.note(judge::READ_AND_SENT, until, None);
    }
    if !seen.learn {
        return;
    }
    let at = (ts / 1000) as u32;
    let hour = hour_of(ts);
    let earlier = hour == profile.next_hour;
    let open = (hour >= profile.next_hour).then_some(Open { hour, earlier });
    let mut note = |kind: usize, what: u32, before: Before, crowded: bool| {
        if before == Before::New {
            class.used(kind, what);
        }
        profile.crowded = profile.crowded.saturating_add(u32::from(crowded));
    };
    if seen.call && seen.tool != 0 {
        let before = profile.tools.before(seen.tool, at);
        note(0, seen.tool, before, profile.tools.note(seen.tool, at, open));
    }
    for what in seen.data.into_iter().filter(|&what| what != 0) {
        let before = profile.data.before(what, at);
        note(1, what, before, profile.data.note(what, at, open));
    }
    for what in seen.destinations.into_iter().filter(|&what| what != 0) {
        let before = profile.destinations.before(what, at);
        note(2, what, before, profile.destinations.note(what, at, open));
    }
}

#[cfg(test)]
mod tests;
