//! What an event's arrival says, whatever stands in it: seen before, misdated, misrouted.

use std::sync::{Arc, LazyLock};

use sha2::{Digest as _, Sha256};

use crate::digest::Parts;
use crate::event::{Event, Millis};
use crate::finding::{Confidence, Family, Finding, Severity, Source, standard_tags};
use crate::inspect::route::partition_of;
use crate::inspect::{Incoming, Limits, Notes};
use crate::state::codec::{Pack, Unpack};
use crate::state::{Item, Key, Seen, Staged, owner};

/// From the fourth sending on, a repeated record counts as new: whoever sends the same thing
/// over and over is heard.
const REPEATS: u32 = 2;

/// Hashes of an event's id, within its agent, and of its record's bytes.
#[must_use]
pub fn item(event: &Event<'_>, record: &[u8]) -> Item {
    let id = Parts::of([event.tenant.as_ref(), event.agent.as_ref(), event.id.as_ref()]).whole();
    let first = |hash: &[u8]| hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Item { id: first(&id), content: first(&Sha256::digest(record)) }
}

/// What there is to say of an arrival.
pub(super) struct Arrival {
    pub(super) repeat: bool,
    pub(super) notes: Notes,
    pub(super) findings: Vec<Finding>,
}

/// Looks at an arrival, and counts it.
pub(super) fn look(
    limits: &Limits,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
) -> Arrival {
    let event = incoming.event;
    let Seen { same, other } = staged.see(incoming.item);
    let repeat = (1..=REPEATS).contains(&same);
    let mut notes = Notes::default();
    let mut findings = Vec::new();
    if other > 0 {
        notes.id_reuse = true;
        findings.push(Finding::whole(Arc::clone(&ID_REUSE), Confidence::High));
    }
    let now = incoming.at.now;
    if event.ts > now.plus(limits.ahead_ms) {
        notes.ahead = true;
        findings.push(Finding::whole(Arc::clone(&AHEAD), Confidence::Low));
    }
    if event.ts < now.plus(-limits.late_ms) {
        notes.backdated = true;
        let often = !repeat && count_late(limits, staged, event) >= limits.late_often;
        findings.push(Finding::whole(
            Arc::clone(&BACKDATED),
            if often { Confidence::High } else { Confidence::Low },
        ));
    }
    let partitions = incoming.partitions;
    notes.misrouted =
        partitions > 0 && partition_of(&event.agent, partitions) != incoming.at.partition;
    Arrival { repeat, notes, findings }
}

const VERSION: u8 = 1;

/// Counts a backdated event of an agent; returns how many there were in the window.
fn count_late(limits: &Limits, staged: &mut Staged<'_>, event: &Event<'_>) -> u64 {
    let now = staged.now();
    let key = Key::of(owner::AGENT, [event.tenant.as_ref(), event.agent.as_ref()]);
    let known = staged.get(&key).and_then(|bytes| {
        let mut from = Unpack::new(VERSION, bytes)?;
        Some((from.millis()?, from.number()?))
    });
    if known.is_none() {
        staged.make_room(owner::AGENT, limits.agents);
    }
    let (since, count): (Millis, u64) = match known {
        Some((since, count)) if now < since.plus(limits.late_window_ms) => (since, count + 1),
        _ => (now, 1),
    };
    let value = Pack::new(VERSION).millis(since).number(count).done();
    staged.put(key, value, Some(since.plus(limits.late_window_ms)));
    count
}

fn source(rule: &str, family: Family, severity: Severity, message: &str) -> Arc<Source> {
    Arc::new(Source {
        rule: rule.to_owned(),
        family,
        kind: rule.to_owned(),
        severity,
        message: message.to_owned(),
        action: None,
        tags: standard_tags(rule),
    })
}

type Check = LazyLock<Arc<Source>>;

static ID_REUSE: Check = LazyLock::new(|| {
    let message = "the id of a recent event came again with other content";
    source("system.id_reuse", Family::System, Severity::Medium, message)
});

static AHEAD: Check = LazyLock::new(|| {
    let message = "the sender's clock runs ahead; the log's time is used instead";
    source("system.clock_ahead", Family::System, Severity::Low, message)
});

static BACKDATED: Check = LazyLock::new(|| {
    let message = "the event is dated long before it came; it counts for quotas, not for baselines";
    source("system.backdated", Family::System, Severity::Medium, message)
});

pub(super) static KILLED: Check = LazyLock::new(|| {
    let message = "an operator's order blocks this agent";
    source("control.killed", Family::Control, Severity::High, message)
});

pub(super) static MISROUTED: Check = LazyLock::new(|| {
    let message = "records are not on the partition that their agent's id leads to: use the Java \
                   partitioner (`partitioner=murmur2_random` in librdkafka clients) and key by agent id, or set `repartition: true`";
    source("system.key_mismatch", Family::System, Severity::High, message)
});

pub(super) static PROFILES_FULL: Check = LazyLock::new(|| {
    let message = "more agents than there may be behaviour profiles on this partition \
                   (`limits.profiles`): the one silent for longest is forgotten and begins anew";
    source("system.profiles_full", Family::System, Severity::High, message)
});

pub(super) static TYPES_FULL: Check = LazyLock::new(|| {
    let message = "more than a thousand types of agents on this partition: the others are judged \
                   as agents without a type";
    source("system.types_full", Family::System, Severity::Medium, message)
});

pub(super) static NAMES_LOST: Check = LazyLock::new(|| {
    let message = "the agent uses so many tools, destinations or classes of data that a first use \
                   says nothing any more: those that a profile holds have changed a thousand times";
    source("system.names_lost", Family::System, Severity::Medium, message)
});
