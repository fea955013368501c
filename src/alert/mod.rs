//! Alerts: what the SOC is told, folded into episodes.
//!
//! An [`Alert`] is values only; `wire` writes it as OCSF or ECS. Signs of the same trouble,
//! by tenant, agent, session, action and family, fold into one episode ([`fold`]): the first
//! opens it, later ones are counted and told at growing intervals of the partition's clock,
//! and when it has been quiet long enough its deadline closes it with the total ([`close`]).
//! Where many agents of a class show the same within an hour, one group is told ([`Crowd`]).

mod crowd;
mod episode;

use crate::event::{Kind, Millis};
use crate::finding::{Action, Confidence, Family, Seen, Severity};

pub use crowd::{
    COMMON, COMPANY_MS, CROWD_MS, Common, Crowd, Group, Hush, Mark, Need, Place, Standing, Told,
};
pub use episode::{
    CORRECTED, Figures, Folding, Manner, Sign, close, close_family, close_oldest, correct, due,
    episode_key, fold, fold_figures, fold_in, hush,
};

/// What an alert does to its episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The first sign.
    Open,
    /// More of the same, counted.
    Update,
    /// It has been quiet long enough; carries the total.
    Closed,
}

impl State {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Closed => "closed",
        }
    }
}

/// The record that made an episode begin: its alerts take their ids from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Offset of the record in the alert's partition.
    pub offset: i64,
    /// Which of the alerts of that record it was, from 0.
    pub ordinal: u32,
}

/// What made one alert of an episode be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A record: id from its offset and the alert's ordinal.
    Record(Origin),
    /// A deadline, or the need for room: id from the episode's origin, once per episode.
    Timer,
}

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Opens, updates or closes.
    pub state: State,
    /// Names the episode.
    pub episode: Origin,
    /// Names this alert.
    pub cause: Cause,
    /// When it is told, on the partition's clock.
    pub time: Millis,
    /// First occurrence, on the partition's clock.
    pub first: Millis,
    /// Last occurrence so far.
    pub last: Millis,
    /// Occurrences so far.
    pub count: u64,
    /// Tenant, or empty.
    pub tenant: String,
    /// Whose episode it is.
    pub agent: String,
    /// Class of agent.
    pub agent_type: Option<String>,
    /// The conversation.
    pub session: Option<String>,
    /// Whom the agent served when it began.
    pub user: Option<String>,
    /// Kind of the event that opened it.
    pub kind: Kind,
    /// Tool of the event that opened it.
    pub tool: Option<String>,
    /// What was done.
    pub action: Action,
    /// Whether it was done; false in shadow mode.
    pub enforced: bool,
    /// Kind of trouble.
    pub family: Family,
    /// What was seen, dotted, such as `injection.override`.
    pub signal: String,
    /// The rule that saw it first.
    pub rule: String,
    /// Gravest so far.
    pub severity: Severity,
    /// Surest so far.
    pub confidence: Confidence,
    /// One sentence, never matched text.
    pub message: String,
    /// Ids of events since the last alert of the episode, at most [`MAX_EVENT_IDS`].
    pub event_ids: Vec<String>,
    /// Keyed fingerprint of the first secret, hexadecimal; `None` without a key or a secret.
    pub fingerprint: Option<String>,
    /// Who had the value before that turned up here.
    pub seen: Option<Seen>,
    /// What was to be expected.
    pub typical: Option<f64>,
    /// What was seen instead.
    pub actual: Option<f64>,
    /// How unlikely that is, from 0 to 100.
    pub score: Option<f64>,
    /// Numbers that others know the rule by: OWASP LLM, MITRE ATLAS, CWE.
    pub tags: Vec<String>,
    /// What this alert takes back of earlier ones or adds to them, without a new sign.
    pub corrected: Option<Correction>,
    /// Of one alert for many agents: how many, and what they share.
    pub group: Option<Group>,
}

/// What is known better now of the evidence of an episode. Scores stay as they were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Beginning of the hour that it is about, of event time.
    pub hour: Millis,
    /// Signals that were told and are not borne out.
    pub withdrawn: Vec<String>,
    /// Signals that were not told and are beyond the budget.
    pub added: Vec<String>,
}

/// No alert names more events than this.
pub const MAX_EVENT_IDS: usize = 16;
