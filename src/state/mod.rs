//! What a partition remembers between events, and how a batch changes it.
//!
//! State is opaque bytes under a [`Key`]; each owner (sessions, alerts, audit, …) encodes
//! its own, with a version byte first. A batch works on a [`Staged`] overlay of the
//! committed [`Partition`]; when its transaction commits, the overlay is merged, and when
//! it aborts, the overlay is dropped and nothing has happened. An entry may carry a
//! deadline; deadlines are the only timers there are, so they survive with the state.
//!
//! Nothing here depends on where one batch ends and the next begins: a sequential run and
//! a run in batches of any size leave the same state.

mod changelog;
pub mod codec;
mod delta;
mod recent;
mod staged;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::digest::Parts;
use crate::event::Millis;

pub use changelog::{BadStateRecord, Changes};
pub(crate) use recent::AsIs;
pub use recent::{Item, RECENT_EVENTS, Seen};
pub use staged::{Object, Staged};

/// Names one entry of a partition's state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose it is; see the constants of [`owner`].
    pub owner: u8,
    /// The owner's own id, such as tenant, agent and session.
    pub id: Vec<u8>,
}

impl Key {
    /// The entry that some parts name together.
    pub(crate) fn of<P: AsRef<[u8]>>(owner: u8, parts: impl IntoIterator<Item = P>) -> Self {
        Self { owner, id: Parts::of(parts).id().into() }
    }
}

/// The owners of state. A number is never used again for something else.
pub mod owner {
    /// Clock, partition count, control offset applied.
    pub const PARTITION: u8 = 0;
    /// Ids seen lately.
    pub const RECENT: u8 = 1;
    /// Head of the audit chain.
    pub const AUDIT: u8 = 2;
    /// Open alert episodes.
    pub const EPISODE: u8 = 3;
    /// Sessions: tag tables, seen messages.
    pub const SESSION: u8 = 4;
    /// Agents: backdating counts.
    pub const AGENT: u8 = 5;
    /// Agents: behaviour profiles.
    pub const PROFILE: u8 = 8;
    /// Classes of agents: priors and calibration.
    pub const CLASS: u8 = 9;
    /// Agents whose behaviour an operator has accepted, until when.
    pub const ACCEPTED: u8 = 10;
    /// Agents: alerts opened within the hour.
    pub const ALERTED: u8 = 11;
    /// Classes of agents: who showed the same lately.
    pub const CROWD: u8 = 12;
    /// Sessions: labels and quotas used up.
    pub const CONVERSATION: u8 = 16;
    /// Agents: quotas over time, tools used before.
    pub const USAGE: u8 = 17;
    /// Calls that wait for an approval, or have one.
    pub const HOLD: u8 = 18;
    /// Sessions: where values came from.
    pub const LEDGER: u8 = 19;
    /// Secrets and personal data: who knows them, by keyed hash.
    pub const TAINT: u8 = 24;
    /// The same of rows of words.
    pub const TAINT_TEXT: u8 = 25;
    /// Streamed answers that go on.
    pub const STREAM: u8 = 26;
    /// Streamed answers that have ended, for as long as late chunks may come.
    pub const STREAM_ENDED: u8 = 27;
    /// Agents: how many streamed answers of theirs go on.
    pub const STREAMS_OF: u8 = 28;
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The owner's bytes, version first.
    pub value: Box<[u8]>,
    /// When the owner wants to be woken, on the partition's clock.
    pub deadline: Option<Millis>,
}

/// What every partition remembers, whoever owns the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The partition's clock: the running maximum of its records' timestamps.
    pub now: Millis,
    /// How many partitions the events topic had when this state was made; 0 while not known.
    pub partitions: u32,
    /// Next offset of the control topic whose orders have not been applied here.
    pub control: i64,
}

/// The events topic has another number of partitions than the state was made with, so
/// agents' records go to partitions that know nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state was made with {was} partitions of the events topic, which now has {is}")]
pub struct PartitionCountChanged {
    /// In the state.
    pub was: u32,
    /// Of the topic.
    pub is: u32,
}

/// A committed entry and how often it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    entry: Entry,
    /// Changes since the entry was made; the changelog's deltas are counted by it.
    version: u32,
}

/// The committed state of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    header: Header,
    recent: recent::Recent,
    entries: HashMap<Key, Kept>,
    counts: BTreeMap<u8, usize>,
    /// (owner, deadline, id), so that the earliest of one owner is found at once.
    timers: BTreeSet<(u8, Millis, Vec<u8>)>,
    /// Delta slots of the changelog that hold something, one bit each: what is to be
    /// wiped when the entry goes.
    slots: HashMap<Key, u16>,
}

impl Partition {
    /// Takes over the changes of a committed batch.
    pub fn apply(&mut self, changes: Changes) {
        self.header = changes.header;
        for item in changes.recent {
            self.recent.push(item);
        }
        for change in changes.entries {
            match change.slots {
                0 => self.slots.remove(&change.key),
                slots => self.slots.insert(change.key.clone(), slots),
            };
            self.set(change.key, change.kept);
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry's bytes, as last committed.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        self.entries.get(key).map(|kept| &*kept.entry.value)
    }

    /// Whether both remember the same, however many batches it took them to get there.
    #[must_use]
    pub fn remembers_as(&self, other: &Self) -> bool {
        self.header == other.header
            && self.recent == other.recent
            && self.sorted() == other.sorted()
    }

    fn sorted(&self) -> BTreeMap<&Key, &Entry> {
        self.entries.iter().map(|(key, kept)| (key, &kept.entry)).collect()
    }

    /// Clock, partition count, control offset.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// How many entries an owner has.
    #[must_use]
    pub fn count(&self, owner: u8) -> usize {
        self.counts.get(&owner).copied().unwrap_or_default()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.counts
            .keys()
            .filter_map(|&owner| self.timers_of(owner, None).next())
            .map(|(_, deadline, _)| *deadline)
            .min()
    }

    /// Checks that the events topic still has the number of partitions that this state was made with.
    ///
    /// # Errors
    /// [`PartitionCountChanged`].
    pub fn check_partitions(&self, is: u32) -> Result<(), PartitionCountChanged> {
        match self.header.partitions {
            0 => Ok(()),
            was if was == is => Ok(()),
            was => Err(PartitionCountChanged { was, is }),
        }
    }

    /// The deadlines of one owner in order, from the given one on.
    fn timers_of<'a>(
        &'a self,
        owner: u8,
        from: Option<&(Millis, Vec<u8>)>,
    ) -> impl Iterator<Item = &'a (u8, Millis, Vec<u8>)> + use<'a> {
        let start = match from {
            Some((deadline, id)) => (owner, *deadline, id.clone()),
            None => (owner, Millis(i64::MIN), Vec::new()),
        };
        self.timers.range(start..).take_while(move |timer| timer.0 == owner)
    }

    fn set(&mut self, key: Key, kept: Option<Kept>) {
        let deadline = kept.as_ref().and_then(|kept| kept.entry.deadline);
        let (owner, id) = (key.owner, key.id.clone());
        let old = match kept {
            Some(kept) => self.entries.insert(key, kept),
            None => self.entries.remove(&key),
        };
        let is = usize::from(self.entries.contains_key(&Key { owner, id: id.clone() }));
        let was = usize::from(old.is_some());
        if is != was {
            let count = self.counts.entry(owner).or_default();
            *count = *count + is - was;
            if *count == 0 {
                self.counts.remove(&owner);
            }
        }
        let old = old.and_then(|kept| kept.entry.deadline);
        if old == deadline {
            return;
        }
        if let Some(old) = old {
            self.timers.remove(&(owner, old, id.clone()));
        }
        if let Some(deadline) = deadline {
            self.timers.insert((owner, deadline, id));
        }
    }
}
