//! Agents at their daily business: sessions by the hour, seasons, rollouts, backlogs, outages.
//!
//! The shapes follow what is known of real agents: sessions of about six calls with a long
//! tail (as in the published trajectories of tau-bench), rates that differ between agents by
//! a factor of ten, days on which a whole class is busier. Class parameters are drawn with
//! the seed, so another seed is another company and not only another month.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::dice::Dice;
use super::incidents::{self, Incident};
use super::oracle;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// Monday, 5 October 2026, 00:00 UTC: six weeks from here hold the end of summer time.
pub(super) const START: i64 = 1_791_158_400_000;

/// Part of calls that fail, usually and in an outage.
const FAILS: f64 = 0.02;
const FAILING: f64 = 0.6;
/// Part of sends that go to a new correspondent.
const NEW_HOST: f64 = 0.0005;

/// What happens in one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Call,
    Result,
}

/// One event, as numbers that index names.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) arrival: i64,
    pub(super) ts: i64,
    pub(super) agent: u32,
    /// Counts the agent's events; makes the id.
    pub(super) number: u32,
    pub(super) what: What,
    pub(super) tool: Name,
    pub(super) session: u32,
    pub(super) tokens: u64,
    pub(super) cost: u64,
    pub(super) bytes: u64,
    pub(super) latency_ms: u64,
    pub(super) error: bool,
    pub(super) data: Option<Name>,
    pub(super) destination: Option<Name>,
    pub(super) deployment: u32,
    /// The incident that it belongs to, counted from one; 0 for daily business.
    pub(super) incident: u32,
    /// The same record once more.
    pub(super) repeat: bool,
}

/// A name that is written only when it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    /// A tool of a class.
    Tool(u8, u16),
    /// A class of data.
    Data(u8, u16),
    /// A destination.
    Host(u8, u16),
    /// Something that nobody uses in daily business.
    Odd(u16),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tool(class, n) => write!(f, "{}.tool{n}", CLASSES[usize::from(*class)].name),
            Self::Data(class, n) => write!(f, "{}-data{n}", CLASSES[usize::from(*class)].name),
            Self::Host(class, n) => {
                write!(f, "h{n}.{}.example", CLASSES[usize::from(*class)].name)
            }
            Self::Odd(n) => write!(f, "odd{n}.invalid"),
        }
    }
}

/// When a class works.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Works {
    /// Local hours of weekdays, and how much of that at weekends.
    Office { from: f64, to: f64, weekend: f64 },
    /// Always, with a mild wave over the day.
    Always,
    /// One job at a private hour; on Mondays only or each night.
    Job { mondays: bool },
}

/// A class of agents.
pub(super) struct Class {
    pub(super) name: &'static str,
    works: Works,
    /// Sessions in a working hour, median over agents.
    rate: f64,
    /// Calls in a session.
    size: f64,
    tools: u16,
    /// Part of agents in this class.
    weight: f64,
}

pub(super) const CLASSES: [Class; 7] = [
    Class {
        name: "support",
        works: Works::Office { from: 7.0, to: 20.0, weekend: 0.4 },
        rate: 1.6,
        size: 5.8,
        tools: 9,
        weight: 0.26,
    },
    Class {
        name: "coding",
        works: Works::Office { from: 9.0, to: 18.5, weekend: 0.05 },
        rate: 0.9,
        size: 12.0,
        tools: 14,
        weight: 0.2,
    },
    Class { name: "ops", works: Works::Always, rate: 0.8, size: 5.0, tools: 11, weight: 0.16 },
    Class {
        name: "nightly",
        works: Works::Job { mondays: false },
        rate: 4.0,
        size: 9.0,
        tools: 6,
        weight: 0.11,
    },
    Class {
        name: "mondays",
        works: Works::Job { mondays: true },
        rate: 6.0,
        size: 9.0,
        tools: 6,
        weight: 0.06,
    },
    Class {
        name: "seldom",
        works: Works::Office { from: 8.0, to: 19.0, weekend: 0.1 },
        rate: 0.12,
        size: 4.0,
        tools: 7,
        weight: 0.11,
    },
    Class {
        name: "finance",
        works: Works::Office { from: 8.0, to: 17.5, weekend: 0.02 },
        rate: 1.1,
        size: 6.5,
        tools: 8,
        weight: 0.1,
    },
];

/// What happens to all agents of a class.
#[derive(Clone, Debug, Default)]
struct ClassLife {
    rate: f64,
    size: f64,
    /// Mood of each day.
    mood: Vec<f64>,
    /// An hour in which most tools fail.
    outage: i64,
    /// A day with twice the load, and one that is a holiday.
    rush: usize,
    holiday: usize,
    /// From here on a new model uses more tokens.
    upgrade: i64,
}

/// One agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) class: u8,
    zone: TimeZone,
    rate: f64,
    tokens: f64,
    bytes: f64,
    from: i64,
    job_hour: f64,
    tools: Vec<u16>,
    hosts: Vec<u16>,
    /// When a new deployment begins, if one does.
    pub(super) rollout: Option<i64>,
    /// Beginning of three busy hours, if there are some.
    pub(super) backlog: Option<i64>,
    dice: Dice,
    events: u32,
    sessions: u32,
}

/// All agents and what is still to happen to them.
pub(super) struct World {
    pub(super) agents: Vec<Agent>,
    pub(super) incidents: Vec<Incident>,
    lives: Vec<ClassLife>,
    days: usize,
    day: usize,
    /// Events that arrive on a later day than they were made.
    waiting: Vec<Moment>,
}

impl World {
    /// A world of so many agents and days. Incidents begin after the given day.
    pub(super) fn new(seed: u64, n_agents: u32, days: usize, quiet_days: usize) -> Self {
        let mut dice = Dice::new(seed, 1);
        let span = days as i64 * DAY;
        let lives = CLASSES
            .iter()
            .map(|class| ClassLife {
                rate: class.rate * dice.lognormal(1.0, 0.3),
                size: class.size * dice.lognormal(1.0, 0.15),
                mood: (0..days).map(|_| dice.lognormal(1.0, 0.25)).collect(),
                outage: START + (dice.part() * span as f64) as i64,
                rush: dice.below(days as u64) as usize,
                holiday: dice.below(days as u64) as usize,
                upgrade: START + (dice.part() * span as f64) as i64,
            })
            .collect();
        let agents: Vec<Agent> = (0..n_agents).map(|n| agent(seed, n, n_agents, span)).collect();
        let incidents = incidents::plan(seed, &agents, days, quiet_days);
        Self { agents, incidents, lives, days, day: 0, waiting: Vec::new() }
    }

    /// The next day's arrivals, in order; none when the last day is over.
    pub(super) fn day(&mut self) -> Option<Vec<Moment>> {
        if self.day > self.days {
            return None;
        }
        let begins = START + self.day as i64 * DAY;
        let mut made = std::mem::take(&mut self.waiting);
        if self.day < self.days {
            for n in 0..self.agents.len() {
                self.agent_day(n, begins, &mut made);
            }
            let ends = begins + DAY;
            for incident in &self.incidents {
                let agent = &mut self.agents[incident.agent as usize];
                incidents::act(incident, agent, begins..ends, &mut made);
            }
        }
        let ends = if self.day == self.days { i64::MAX } else { begins + DAY };
        let (mut now, later): (Vec<_>, Vec<_>) =
            made.into_iter().partition(|moment| moment.arrival < ends);
        self.waiting = later;
        now.sort_by_key(|moment| (moment.arrival, moment.agent, moment.number));
        self.day += 1;
        Some(now)
    }

    /// Sessions that an agent is due in the hour that begins at `start`.
    fn sessions(&self, n: usize, start: i64) -> f64 {
        let agent = &self.agents[n];
        if start < agent.from {
            return 0.0;
        }
        let life = &self.lives[usize::from(agent.class)];
        let day = ((start - START) / DAY) as usize;
        let mut rate = agent.sessions_at(life, start, day);
        rate *= life.mood.get(day).copied().unwrap_or(1.0);
        if day == life.rush {
            rate *= 2.0;
        }
        if agent.rollout.is_some_and(|at| start >= at) {
            rate *= 1.3;
        }
        if agent.backlog.is_some_and(|at| start >= at && start < at + 3 * HOUR) {
            rate *= 2.5;
        }
        rate
    }

    /// Sessions that an agent is due in a span of time; what incidents add is not in it.
    pub(super) fn sessions_between(&self, agent: u32, range: Range<i64>) -> f64 {
        let first = range.start.div_euclid(HOUR) * HOUR;
        let hours = (first..range.end).step_by(HOUR as usize);
        hours.map(|hour| self.sessions(agent as usize, hour) * oracle::overlap(hour, &range)).sum()
    }

    /// How many days there are.
    pub(super) fn days(&self) -> usize {
        self.days
    }

    /// Mean calls of an agent's sessions.
    pub(super) fn session_mean(&self, agent: u32) -> f64 {
        self.lives[usize::from(self.agents[agent as usize].class)].size
    }

    /// The part of an agent's calls that fail while an incident lasts.
    pub(super) fn failing(&self, incident: &Incident) -> f64 {
        let outage = self.lives[usize::from(self.agents[incident.agent as usize].class)].outage;
        if incident.start < outage + HOUR && incident.end > outage { FAILING } else { FAILS }
    }

    /// The part of an agent's calls that go to somebody new.
    pub(super) fn new_hosts(&self, agent: u32) -> f64 {
        let tools = &self.agents[agent as usize].tools;
        let whole: f64 = (1..=tools.len()).map(|rank| 1.0 / rank as f64).sum();
        let sends = tools.iter().position(|&tool| tool == 2);
        sends.map_or(0.0, |at| 1.0 / (at + 1) as f64 / whole) * NEW_HOST
    }

    /// What one agent does on one UTC day, session by session.
    fn agent_day(&mut self, n: usize, begins: i64, made: &mut Vec<Moment>) {
        let growth = self
            .incidents
            .iter()
            .find(|incident| incident.agent as usize == n)
            .map_or(1.0, |incident| incident.growth(begins));
        let due: [f64; 24] =
            std::array::from_fn(|hour| self.sessions(n, begins + hour as i64 * HOUR) * growth);
        let life = &self.lives[usize::from(self.agents[n].class)];
        let agent = &mut self.agents[n];
        let from = made.len();
        for (hour, rate) in due.into_iter().enumerate() {
            let start = begins + hour as i64 * HOUR;
            if start < agent.from {
                continue;
            }
            for _ in 0..agent.dice.poisson(rate) {
                let at = start + agent.dice.below(HOUR as u64) as i64;
                agent.session(life, at, made);
            }
        }
        // Some are late, some come twice.
        let mut repeats = Vec::new();
        for moment in made.iter_mut().skip(from) {
            moment.arrival += agent.dice.below(2000) as i64;
            if agent.dice.chance(0.01) {
                moment.arrival += agent.dice.below(30 * MINUTE as u64) as i64;
            }
            if agent.dice.chance(0.003) {
                let late = moment.arrival + agent.dice.below(10 * MINUTE as u64) as i64;
                repeats.push(Moment { arrival: late, repeat: true, ..moment.clone() });
            }
        }
        made.extend(repeats);
    }
}

/// Where agents' people are.
const ZONES: [&str; 5] = [
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "PST8PDT,M3.2.0,M11.1.0",
    "IST-5:30",
    "UTC0",
];

fn agent(seed: u64, n: u32, n_agents: u32, span: i64) -> Agent {
    let mut dice = Dice::new(seed, 1000 + u64::from(n));
    let mut place = (f64::from(n) + 0.5) / f64::from(n_agents);
    let mut class = 0;
    while class + 1 < CLASSES.len() && place > CLASSES[class].weight {
        place -= CLASSES[class].weight;
        class += 1;
    }
    let kind = &CLASSES[class];
    let zone = ZONES[dice.below(ZONES.len() as u64) as usize];
    let tools = (0..kind.tools).filter(|&tool| tool < 3 || dice.chance(0.7)).collect();
    let hosts = (0..2 + dice.below(3)).map(|_| dice.below(12) as u16).collect();
    let later = |dice: &mut Dice| START + (dice.part() * span as f64) as i64;
    Agent {
        id: format!("{}-{n:05}", kind.name),
        class: class as u8,
        zone: TimeZone::posix(zone).unwrap_or(TimeZone::UTC),
        rate: dice.lognormal(1.0, 0.9).min(12.0),
        tokens: dice.lognormal(900.0, 0.5),
        bytes: dice.lognormal(6000.0, 0.7),
        from: if dice.chance(0.05) { later(&mut dice) } else { START },
        job_hour: dice.part() * 24.0,
        tools,
        hosts,
        rollout: dice.chance(0.1).then(|| later(&mut dice)),
        backlog: dice.chance(0.05).then(|| later(&mut dice)),
        dice,
        events: 0,
        sessions: 0,
    }
}

impl Agent {
    /// Local time.
    fn local(&self, at: i64) -> (f64, i64) {
        let offset = Timestamp::from_millisecond(at)
            .map_or(0, |at| i64::from(self.zone.to_offset(at).seconds()));
        let local = at + offset * 1000;
        // The epoch was a Thursday.
        (local.rem_euclid(DAY) as f64 / HOUR as f64, (local.div_euclid(DAY) + 3).rem_euclid(7))
    }

    /// An instant on the UTC day of `near` at which it is that hour for the agent.
    pub(super) fn local_hour(&self, near: i64, hour: i64) -> i64 {
        let day = near.div_euclid(DAY) * DAY;
        let offset = Timestamp::from_millisecond(day)
            .map_or(0, |at| i64::from(self.zone.to_offset(at).seconds()));
        day + (hour * HOUR - offset * 1000).rem_euclid(DAY)
    }

    /// When its first event may come.
    pub(super) fn born(&self) -> i64 {
        self.from
    }

    /// Whether the class has nights.
    pub(super) fn has_nights(&self) -> bool {
        matches!(CLASSES[usize::from(self.class)].works, Works::Office { .. })
    }

    fn sessions_at(&self, life: &ClassLife, at: i64, day: usize) -> f64 {
        let (hour, weekday) = self.local(at + HOUR / 2);
        let weekday = if day == life.holiday { 6 } else { weekday };
        let base = life.rate * self.rate;
        match CLASSES[usize::from(self.class)].works {
            Works::Always => {
                base * (1.0 + 0.3 * (std::f64::consts::TAU * (hour - 9.0) / 24.0).sin())
            }
            Works::Office { from, to, weekend } => {
                let middle = 1.0 - ((hour - f64::midpoint(from, to)) / (to - from)).abs();
                let open = if hour >= from && hour < to { 0.5 + middle } else { 0.015 };
                // The end of the month is when the books are closed.
                let month = self.class == 6 && (26..30).contains(&(day % 30));
                base * open
                    * if weekday >= 5 { weekend } else { 1.0 }
                    * if month { 1.8 } else { 1.0 }
            }
            Works::Job { mondays } => {
                let due = (hour - self.job_hour).abs() < 0.5;
                if due && (!mondays || weekday == 0) { base * 1.5 } else { 0.0 }
            }
        }
    }

    fn session(&mut self, life: &ClassLife, start: i64, made: &mut Vec<Moment>) {
        let size = self.dice.session_size(life.size);
        let size = size + if self.dice.chance(0.03) { self.dice.below(20) } else { 0 };
        let session = self.next_session();
        let mut at = start;
        for _ in 0..size.min(80) {
            let tool = self.pick_tool(at);
            let send = matches!(tool, Name::Tool(_, 2));
            let read = matches!(tool, Name::Tool(_, 1));
            let destination = (send && !self.hosts.is_empty()).then(|| {
                // A new correspondent now and then.
                let n = if self.dice.chance(NEW_HOST) {
                    100 + self.dice.below(400) as u16
                } else {
                    self.hosts[self.dice.zipf(self.hosts.len())]
                };
                Name::Host(self.class, n)
            });
            let data = (read && self.class != 1)
                .then(|| Name::Data(self.class, u16::from(self.dice.chance(0.2))));
            let model = if at >= life.upgrade { 1.3 } else { 1.0 };
            let rolled = if self.rollout.is_some_and(|from| at >= from) { 1.4 } else { 1.0 };
            let tokens = self.dice.lognormal(self.tokens * model * rolled, 0.7) as u64;
            let bytes = self.dice.lognormal(self.bytes, 1.3) as u64;
            let failing = (life.outage..life.outage + HOUR).contains(&at);
            let error = self.dice.chance(if failing { FAILING } else { FAILS });
            at = self.call(at, session, tool, tokens, bytes.min(50_000_000), error, made);
            if let [.., call, result] = made.as_mut_slice() {
                call.destination = destination;
                result.data = data;
            }
            at += self.dice.exponential(9000.0) as i64;
        }
    }

    pub(super) fn next_session(&mut self) -> u32 {
        self.sessions += 1;
        self.sessions
    }

    fn pick_tool(&mut self, at: i64) -> Name {
        let class = usize::from(self.class);
        if self.dice.chance(0.0004) {
            return Name::Tool(self.class, CLASSES[class].tools + 10 + self.dice.below(20) as u16);
        }
        // A rollout brings two tools along.
        if self.rollout.is_some_and(|from| at >= from) && self.dice.chance(0.1) {
            return Name::Tool(self.class, CLASSES[class].tools + self.dice.below(2) as u16);
        }
        let n = self.dice.zipf(self.tools.len());
        Name::Tool(self.class, self.tools[n])
    }

    /// A call and its result; returns when the result is there.
    #[expect(clippy::too_many_arguments, reason = "an event's numbers")]
    pub(super) fn call(
        &mut self,
        at: i64,
        session: u32,
        tool: Name,
        tokens: u64,
        bytes: u64,
        error: bool,
        made: &mut Vec<Moment>,
    ) -> i64 {
        let latency = self.dice.lognormal(700.0, 0.6).min(60_000.0) as i64;
        let call = Moment {
            arrival: at,
            ts: at,
            agent: 0,
            number: self.events,
            what: What::Call,
            tool,
            session,
            tokens,
            cost: tokens * 3,
            bytes: 0,
            latency_ms: latency as u64,
            error: false,
            data: None,
            destination: None,
            deployment: u32::from(self.rollout.is_some_and(|from| at >= from)),
            incident: 0,
            repeat: false,
        };
        let index = self.index();
        let call = Moment { agent: index, ..call };
        let done = at + latency;
        let result = Moment {
            arrival: done,
            ts: done,
            number: self.events + 1,
            what: What::Result,
            tokens: 0,
            cost: 0,
            bytes,
            error,
            ..call.clone()
        };
        self.events += 2;
        made.extend([call, result]);
        done
    }

    fn index(&self) -> u32 {
        self.id.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or_default()
    }

    pub(super) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    pub(super) fn usual(&self) -> (f64, f64) {
        (self.tokens, self.bytes)
    }

    pub(super) fn a_tool(&mut self) -> Name {
        let n = self.dice.zipf(self.tools.len());
        Name::Tool(self.class, self.tools[n])
    }

    /// Calls that the agent makes in a working hour, about.
    pub(super) fn hourly(&self) -> f64 {
        let class = &CLASSES[usize::from(self.class)];
        class.rate * class.size * self.rate
    }
}
