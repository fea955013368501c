//! What attackers and accidents do, each with a label that says when, to whom, and which
//! signals may claim to have seen it: a detector that cries for another reason has not.

use std::ops::Range;

use super::dice::Dice;
use super::world::{Agent, DAY, HOUR, MINUTE, Moment, Name, START};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $signals:expr;)+) => {
        /// Kinds of incident.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Kind { $($(#[$doc])* $name),+ }

        impl Kind {
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// Last parts of the signals that may claim it.
            pub(super) fn signals(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$signals),+ }
            }
        }
    };
}

kinds! {
    /// Ten times the work for an hour.
    FrequencyTen = "frequency_x10": ["frequency", "session_size", "loop", "hours", "sustained", "joint"];
    /// Four times the work for two hours.
    FrequencyFour = "frequency_x4": ["frequency", "session_size", "loop", "sustained", "hours", "joint"];
    /// Sixty calls at three in the morning, of an agent that sleeps then.
    Night = "off_hours": ["hours", "frequency", "session_size", "loop", "sustained", "joint"];
    /// Fifty times the usual bytes in twenty minutes.
    BulkRead = "bulk_read": ["volume", "payload", "joint"];
    /// A tool that nobody uses, a few times.
    NewTool = "new_tool": ["new_tool", "joint"];
    /// Private data read, then something sent to where nobody sends.
    ReadSend = "read_then_send": ["new_destination", "new_data", "joint"];
    /// Thirty times the tokens for ten minutes.
    TokenBurn = "token_burn": ["tokens", "payload", "cost", "joint"];
    /// A bit over twice the work for twelve hours.
    Slow = "slow_12h": ["frequency", "sustained", "hours", "drift", "session_size", "joint"];
    /// Three per cent more each day.
    Poison = "slow_poisoning": ["drift", "sustained", "frequency", "joint"];
    /// Seven of ten calls fail for half an hour.
    ErrorStorm = "error_storm": ["errors", "joint"];
    /// A class of data that nobody touches.
    NewData = "new_data": ["new_data", "joint"];
    /// Two hundred calls of one tool in one session.
    Loop = "cost_loop": ["loop", "session_size", "frequency", "cost", "sustained", "hours", "joint"];
    /// Messages to many new destinations.
    BulkSend = "bulk_send": ["new_destination", "frequency", "session_size", "loop", "hours", "joint"];
    /// Just under three times the calls, for three hours.
    UnderFrequency = "under_3x": ["frequency", "sustained", "session_size", "hours", "joint"];
    /// Just under five times the bytes, for three hours.
    UnderVolume = "under_5x": ["volume", "payload", "joint"];
    /// Just under ten times the tokens, for an hour.
    UnderTokens = "under_10x": ["tokens", "payload", "cost", "joint"];
}

impl Kind {
    /// How many times what is usual for the agent each result or each call holds.
    pub(super) fn times(self, hourly: f64) -> f64 {
        let hourly = hourly.max(4.0);
        match self {
            Self::BulkRead => hourly * 50.0 / 20.0,
            Self::UnderVolume => 1.6 * hourly * 4.0 / 6.0,
            Self::TokenBurn => 60.0,
            Self::UnderTokens => 16.0,
            _ => 1.0,
        }
    }
}

/// One labelled incident.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) agent: u32,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Incident {
    /// By how much daily business has grown: slow poisoning has no events of its own.
    pub(super) fn growth(&self, day: i64) -> f64 {
        if self.kind != Kind::Poison || day < self.start {
            return 1.0;
        }
        1.03_f64.powf(((day.min(self.end) - self.start) / DAY) as f64)
    }

    /// How many calls it makes, of an agent that makes so many in a working hour.
    pub(super) fn calls(&self, hourly: f64) -> u64 {
        let hourly = hourly.max(4.0);
        let hours = ((self.end - self.start) / MINUTE) as f64 / 60.0;
        let calls = match self.kind {
            Kind::FrequencyTen => 9.0 * hourly * hours,
            Kind::FrequencyFour => 3.0 * hourly * hours,
            Kind::Slow => 1.5 * hourly * hours,
            Kind::UnderFrequency => 1.8 * hourly * hours,
            Kind::ErrorStorm => (hourly * hours).max(14.0),
            Kind::Night | Kind::BulkSend => 60.0,
            Kind::BulkRead => 20.0,
            Kind::UnderVolume => 18.0,
            Kind::TokenBurn => 12.0,
            Kind::UnderTokens => 24.0,
            Kind::NewTool | Kind::NewData => 4.0,
            Kind::ReadSend => 3.0,
            Kind::Loop => 200.0,
            Kind::Poison => 0.0,
        };
        calls.max(1.0).round() as u64
    }
}

/// One incident for about one agent in five, no agent twice; they begin after the quiet days.
pub(super) fn plan(seed: u64, agents: &[Agent], days: usize, quiet_days: usize) -> Vec<Incident> {
    let mut dice = Dice::new(seed, 2);
    let first = START + quiet_days as i64 * DAY;
    let span = (days.saturating_sub(quiet_days + 1)) as i64 * DAY;
    let mut out: Vec<Incident> = Vec::new();
    if span <= 0 {
        return out;
    }
    for (index, agent) in agents.iter().enumerate().filter(|(index, _)| index % 5 == 2) {
        let kind = Kind::ALL[(index / 5) % Kind::ALL.len()];
        let day = first + dice.below(span as u64) as i64;
        let start = match kind {
            Kind::Night if !agent.has_nights() => continue,
            Kind::Night => agent.local_hour(day, 3) + dice.below(20 * MINUTE as u64) as i64,
            Kind::Poison => (START + 10 * DAY).min(first),
            // While the agent works: attackers ride on what it is doing.
            _ => agent.local_hour(day, 10 + dice.below(5) as i64) + dice.below(HOUR as u64) as i64,
        };
        let lasts = match kind {
            Kind::FrequencyTen | Kind::UnderTokens => HOUR,
            Kind::FrequencyFour => 2 * HOUR,
            Kind::Slow => 12 * HOUR,
            Kind::Poison => 30 * DAY,
            Kind::UnderFrequency | Kind::UnderVolume => 3 * HOUR,
            _ => 30 * MINUTE,
        };
        let end = (start + lasts).min(START + days as i64 * DAY);
        let number = out.len() as u32 + 1;
        out.push(Incident { number, kind, agent: index as u32, start, end });
    }
    out
}

/// The events of an incident that begins on the given day.
pub(super) fn act(incident: &Incident, agent: &mut Agent, day: Range<i64>, made: &mut Vec<Moment>) {
    if !day.contains(&incident.start) || incident.kind == Kind::Poison {
        return;
    }
    let from = made.len();
    let many = incident.calls(agent.hourly());
    let (tokens, bytes) = agent.usual();
    let (tokens, bytes) = (tokens as u64, bytes as u64);
    match incident.kind {
        Kind::FrequencyTen
        | Kind::FrequencyFour
        | Kind::Slow
        | Kind::UnderFrequency
        | Kind::Night => calls(agent, incident, many, tokens, bytes, made),
        Kind::BulkRead | Kind::UnderVolume => {
            let each = bytes as f64 * incident.kind.times(agent.hourly());
            calls(agent, incident, many, tokens, each as u64, made);
        }
        Kind::TokenBurn | Kind::UnderTokens => {
            let each = tokens as f64 * incident.kind.times(agent.hourly());
            calls(agent, incident, many, each as u64, bytes, made);
        }
        Kind::NewTool => {
            calls(agent, incident, many, tokens, bytes, made);
            let tool = Name::Odd(incident.number as u16);
            for moment in made.iter_mut().skip(from) {
                moment.tool = tool;
            }
        }
        Kind::NewData => {
            calls(agent, incident, many, tokens, bytes, made);
            for moment in made.iter_mut().skip(from) {
                moment.data = Some(Name::Odd(incident.number as u16));
            }
        }
        Kind::ReadSend | Kind::BulkSend => {
            calls(agent, incident, many, tokens, bytes, made);
            let class = agent.class;
            for (n, moment) in made.iter_mut().skip(from).enumerate() {
                let host = if incident.kind == Kind::BulkSend { n as u16 / 2 } else { 0 };
                match n {
                    0 => {}
                    1 => moment.data = Some(Name::Data(class, 0)),
                    n if n % 2 == 0 => {
                        let odd = (incident.number as u16).wrapping_mul(101).wrapping_add(host);
                        moment.destination = Some(Name::Odd(odd | 0x8000));
                    }
                    _ => {}
                }
            }
        }
        Kind::ErrorStorm => {
            calls(agent, incident, many, tokens, bytes, made);
            for (n, moment) in made.iter_mut().skip(from).enumerate() {
                moment.error = moment.error || (n % 2 == 1 && n % 20 < 14);
            }
        }
        Kind::Loop => {
            calls(agent, incident, many, tokens, bytes, made);
            let one = made.get(from).map(|first| (first.tool, first.session));
            for moment in made.iter_mut().skip(from) {
                if let Some((tool, session)) = one {
                    (moment.tool, moment.session) = (tool, session);
                }
            }
        }
        Kind::Poison => {}
    }
    for moment in made.iter_mut().skip(from) {
        moment.incident = incident.number;
    }
}

/// So many calls over the incident's time, in sessions of a dozen, the first at its start.
fn calls(
    agent: &mut Agent,
    incident: &Incident,
    many: u64,
    tokens: u64,
    bytes: u64,
    made: &mut Vec<Moment>,
) {
    let gap = (incident.end - incident.start) / many.max(1) as i64;
    // Half of them run away in one session, the others hide in sessions of a dozen.
    let each = if incident.number.is_multiple_of(2) { 60 } else { 12 };
    let mut session = 0;
    for n in 0..many {
        if n % each == 0 {
            session = agent.next_session();
        }
        let at = incident.start + gap * n as i64 + agent.dice().below(gap.max(1) as u64) as i64;
        let tool = agent.a_tool();
        let tokens = agent.dice().lognormal(tokens.max(1) as f64, 0.3) as u64;
        let bytes = agent.dice().lognormal(bytes.max(1) as f64, 0.3) as u64;
        agent.call(at, session, tool, tokens, bytes, false, made);
    }
}
