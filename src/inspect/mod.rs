//! From an event and its scan to a decision: pure, synchronous, in offset order.
//!
//! Inspection has two halves. Scanning (`detect`) has no state; [`decide`] takes its result,
//! asks policy and the standing orders, and changes only staged state. What is found while
//! deciding (an id used again, a clock that runs behind, a kill) is a finding like any other,
//! so policy can be asked about it and the verdict explains it.

mod arrival;
mod behave;
mod decide;
mod govern;
mod late;
mod quiet;
mod route;
mod scores;
mod shared;
mod taint;
mod streams;
mod together;

use std::sync::Arc;

use crate::alert::{Alert, Folding};
use crate::baseline;
use crate::detect::Scan;
use crate::event::{Event, Millis};
use crate::finding::{Action, Coverage, Family, Finding};
use crate::policy::{Mode, Policy};
use crate::redact::{Edit, Key32};
use crate::state::Item;

pub use arrival::item;
pub use behave::{BEHAVIOR_IDLE_MS, accept, behavior_folding, profile_key, reset};
pub use decide::{decide, decide_tick};
pub use govern::{approve, call_hash, grant, resume};
pub use late::second_look;
pub use route::{murmur2, partition_of};
pub use scores::{Hot, INJECTION, Scores, Thresholds, join};
pub use shared::{NoEntry, Share, Shared, Table, forget};
pub use streams::{
    Chunk, Clean, Closing, End, Readers, StreamNotes, Streamed, Tick, TickKind, Why, abandon,
    begin, crowded_out,
};
pub use taint::{ENTRY_BYTES, Prints, prints};

/// The keys that deciding needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// For fingerprints of secrets in alerts; without it there are none.
    pub fingerprint: Option<Key32>,
    /// For tags that last a session, and for hashes; without it tags are numbered by event.
    pub redaction: Option<Key32>,
}

/// What a partition remembers at most, and what it lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions with a tag table; with more, the one that would end first is forgotten.
    pub sessions: usize,
    /// A session's tag table is forgotten when nothing has been added for so long.
    pub session_idle_ms: i64,
    /// Likewise what a session with a name has of labels and used quotas: it can be taken up again.
    pub session_keep_ms: i64,
    /// Calls that wait for an approval; with more, the one that waited longest is forgotten.
    pub holds: usize,
    /// A call waits so long for an approval, and an approval so long for its call.
    pub hold_ms: i64,
    /// Agents with a count of backdated events; with more, the oldest count is forgotten.
    pub agents: usize,
    /// A `ts` this far after the partition's clock counts as the clock itself.
    pub ahead_ms: i64,
    /// A `ts` this far before the partition's clock is backdated.
    pub late_ms: i64,
    /// So many backdated events of an agent within [`Limits::late_window_ms`] are an alert.
    pub late_often: u64,
    /// See [`Limits::late_often`].
    pub late_window_ms: i64,
    /// Agents with a behaviour profile; with more, the one silent for longest is forgotten.
    pub profiles: usize,
    /// Secrets and personal data whose holders are known; with more, the one that would be
    /// forgotten first goes. Each takes [`ENTRY_BYTES`] at most.
    pub taint_values: usize,
    /// Likewise rows of words.
    pub taint_rows: usize,
    /// They are forgotten when no new party was seen with them for so long, or an eighth earlier.
    pub taint_keep_ms: i64,
    /// Streamed answers that go on; with more, the one silent for longest is ended.
    pub streams: usize,
    /// Of these, those of one agent; a further one is refused.
    pub streams_per_agent: u64,
    /// A stream is closed when no chunk has come for so long.
    pub stream_idle_ms: i64,
    /// Text is held back no longer than this.
    pub stream_hold_ms: i64,
    /// So long it is known of a stream that it has ended.
    pub stream_keep_ms: i64,
    /// How alerts fold.
    pub folding: Folding,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 100_000,
            session_idle_ms: 1_800_000,
            session_keep_ms: 86_400_000,
            holds: 10_000,
            hold_ms: 3_600_000,
            agents: 100_000,
            ahead_ms: 300_000,
            late_ms: 3_600_000,
            late_often: 20,
            late_window_ms: 3_600_000,
            profiles: 1_000_000,
            taint_values: 50_000,
            taint_rows: 50_000,
            taint_keep_ms: 604_800_000,
            streams: 20_000,
            streams_per_agent: 1_000,
            stream_idle_ms: 60_000,
            stream_hold_ms: 300_000,
            stream_keep_ms: 600_000,
            folding: Folding::default(),
        }
    }
}

/// All that deciding needs and that stays the same for a batch.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What to do about what.
    pub policy: Policy,
    /// Keys.
    pub keys: Keys,
    /// Limits.
    pub limits: Limits,
    /// How behaviour is judged.
    pub behavior: baseline::Settings,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: Policy::shipped(),
            keys: Keys::default(),
            limits: Limits::default(),
            behavior: baseline::Settings::default(),
        }
    }
}

/// One event and everything that is known of it before deciding.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a, 's> {
    /// The event.
    pub event: &'a Event<'a>,
    /// Where it stands; `now` is the staged state's clock.
    pub at: At<'a>,
    /// Hashes of its id and content; see [`item`].
    pub item: Item,
    /// How many partitions the events topic has; 0 where agents are not spread over partitions.
    pub partitions: u32,
    /// What the scan found.
    pub scan: &'s Scan,
    /// What of it may be known from other sessions; see [`prints`].
    pub prints: &'a Prints,
    /// What other partitions know.
    pub shared: &'a Table,
    /// The chunk's stream, where it is an `output_chunk`; the scan holds what was found in it.
    pub chunk: Option<&'a Chunk>,
}

/// Where an event stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Name of the topic that it was first written to.
    pub topic: &'a str,
    /// Partition number.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The partition's clock: the running maximum of record timestamps.
    pub now: Millis,
}

/// One finding and what policy says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What was found.
    pub finding: Finding,
    /// What policy says of it, alone.
    pub action: Action,
    /// Whether that is carried out.
    pub mode: Mode,
}

/// An approval that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// For `weir control approve`.
    pub id: String,
    /// When it can no longer be approved.
    pub expires: Millis,
}

/// What is done with one event, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'s> {
    /// What policy says: the strongest action of the reasons that count.
    pub action: Action,
    /// Whether the action is carried out.
    pub enforced: bool,
    /// Enforce or shadow.
    pub mode: Mode,
    /// Every finding, in the scan's order, then those made while deciding.
    pub reasons: Vec<Reason>,
    /// What to cut, sorted by field and start; empty unless the action is redact or replace.
    /// In shadow mode they say what would have been cut.
    pub edits: Vec<Edit>,
    /// For replace: the notice that stands for whole strings.
    pub replacement: Option<Arc<str>>,
    /// For retry: what the sender should do differently.
    pub retry_hint: Option<Arc<str>>,
    /// For retry as a throttle.
    pub retry_after_ms: Option<u64>,
    /// For block that an approval would lift.
    pub hold: Option<Hold>,
    /// What was looked at.
    pub coverage: &'s Coverage,
    /// Whether the same record was seen lately.
    pub repeat: bool,
    /// What the SOC is told because of this event.
    pub alerts: Vec<Alert>,
    /// What the SOC would have been told but for a silence.
    pub kept_back: Vec<KeptBack>,
    /// What to cut from the copy that audit keeps: every finding, whatever policy says of it.
    pub audit_edits: Vec<Edit>,
    /// What became of the stream, once [`Chunk::settle`] has said so.
    pub stream: Option<Streamed>,
    /// What to count.
    pub notes: Notes,
    /// What it has to do with other sessions and partitions.
    pub shared: Shared,
}

/// Signs of one family that were not told, and because of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBack {
    /// Kind of trouble.
    pub family: Family,
    /// What keeps them back.
    pub by: Keeper,
    /// How many.
    pub count: u32,
}

/// What keeps alerts back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// An operator's order (`weir agent suppress`).
    Order,
    /// The policy's maintenance window of this id.
    Window(Arc<str>),
}

/// Oddities of an event that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a counter of its own")]
pub struct Notes {
    /// The record is not on the partition that its agent's id leads to.
    pub misrouted: bool,
    /// `ts` lies before the late limit.
    pub backdated: bool,
    /// `ts` lies after `now` by more than clocks differ.
    pub ahead: bool,
    /// The same id came with other content lately.
    pub id_reuse: bool,
    /// An operator's order blocked it.
    pub killed: bool,
    /// Signs that a silence kept from the SOC.
    pub kept_back: u32,
    /// Another agent's behaviour profile was forgotten to make room.
    pub profiles_full: bool,
    /// Its agent is of one type too many and counts among those without one.
    pub types_full: bool,
    /// Names that it used made its agent's profile forget others within their thirty days.
    pub names_crowded: u32,
    /// What became of streams.
    pub streams: StreamNotes,
}
