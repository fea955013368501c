//! What partitions tell each other: values and rows of words that they know, and who in them
//! shows the same sign, as entries of a topic in which each writes its own partition.
//!
//! A table is a value. The reader of the topic holds one, changes it, and hands out copies
//! that lanes keep for a transaction: copies share all parts that have not changed since, so
//! a copy costs 4,096 counts of references and the next change of a part a copy of that part.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::alert::Told as CrowdTold;
use crate::audit::hex;
use crate::finding::Seen;
use crate::state::{AsIs, Key, Staged, owner};

use super::taint;

/// Entries of other partitions that one decision looks at.
pub(super) const USED_MAX: usize = 256;
/// Parts of a table: with a million entries each holds some 250.
const PARTS: usize = 4096;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    /// A secret or personal data.
    Value,
    /// A row of words.
    Row,
    /// A sign that several agents may show.
    Crowd,
}

impl Matter {
    const ALL: [Self; 3] = [Self::Value, Self::Row, Self::Crowd];

    fn prefix(self) -> &'static str {
        match self {
            Self::Value => "value/",
            Self::Row => "row/",
            Self::Crowd => "crowd/",
        }
    }

    /// Whose entries of state are about it.
    pub(super) fn owner(self) -> u8 {
        match self {
            Self::Value => owner::TAINT,
            Self::Row => owner::TAINT_TEXT,
            Self::Crowd => owner::CROWD,
        }
    }

    fn is_entry(self, value: &[u8]) -> bool {
        match self {
            Self::Value | Self::Row => taint::is_entry(value),
            Self::Crowd => CrowdTold::read(value).is_some(),
        }
    }

    /// The key of an entry on the topic.
    fn key(self, hash: u64) -> Vec<u8> {
        format!("{}{}", self.prefix(), hex(&hash.to_be_bytes())).into_bytes()
    }

    /// The matter and the hash that a key names.
    fn of(key: &[u8]) -> Option<(Self, u64)> {
        let named = |matter: Self| Some((matter, key.strip_prefix(matter.prefix().as_bytes())?));
        let (matter, digits) = Self::ALL.into_iter().find_map(named)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
        Some((matter, u64::from_str_radix(digits, 16).ok()?))
    }
}

/// One record for the topic of what partitions share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Kind and id.
    pub key: Vec<u8>,
    /// The entry; nothing where it is forgotten.
    pub value: Option<Vec<u8>>,
}

impl Share {
    /// What the partition now knows of a matter.
    pub(super) fn of(matter: Matter, hash: u64, value: Vec<u8>) -> Self {
        Self { key: matter.key(hash), value: Some(value) }
    }
}

/// The hash by which partitions name an entry of state to each other.
pub(super) fn hash_of(key: &Key) -> Option<u64> {
    Some(u64::from_be_bytes(*key.id.first_chunk()?))
}

/// Forgets an entry of what is shared; gives what other partitions must know of that. `None` for
/// any other entry of state, which stays.
pub fn forget(staged: &mut Staged<'_>, key: Key) -> Option<Share> {
    let matter = Matter::ALL.into_iter().find(|matter| matter.owner() == key.owner)?;
    let hash = hash_of(&key);
    staged.remove(key);
    Some(Share { key: matter.key(hash?), value: None })
}

/// Makes room for one more entry where there are `most` of them: the oldest are forgotten.
pub(super) fn make_room(
    staged: &mut Staged<'_>,
    matter: Matter,
    most: usize,
    out: &mut Vec<Share>,
) {
    while staged.count(matter.owner()) >= most.max(1) {
        let Some((_, oldest)) = staged.first(matter.owner()) else { break };
        out.extend(forget(staged, oldest));
    }
}

/// What a decision has to do with other sessions and partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// By position among the reasons, who had the value before.
    pub seen: Vec<(usize, Arc<Seen>)>,
    /// Partition and offset of every entry of another partition that was looked at.
    pub used: Vec<(i32, i64)>,
    /// What is told to other partitions.
    pub out: Vec<Share>,
}

impl Shared {
    /// Who had the value of a reason before.
    #[must_use]
    pub fn seen(&self, reason: usize) -> Option<&Seen> {
        let of = |(at, _): &&(usize, Arc<Seen>)| *at == reason;
        self.seen.iter().find(of).map(|(_, seen)| &**seen)
    }
}

/// One partition's word on a matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) bytes: Arc<[u8]>,
}

type Part = HashMap<u64, Vec<Told>, BuildHasherDefault<AsIs>>;

/// The entries of all partitions. Bounded by what each partition may remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    parts: Vec<Arc<Part>>,
    entries: usize,
}

/// A record of the topic that is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an entry that this version of Weir writes")]
pub struct NoEntry;

impl Table {
    /// Nothing.
    pub const NONE: &'static Self = &Self { parts: Vec::new(), entries: 0 };

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Takes one record of the topic, in offset order of its partition. `partition` and
    /// `offset` say where it stands.
    ///
    /// # Errors
    /// [`NoEntry`] where the key or the value is none; nothing has changed then.
    pub fn apply(
        &mut self,
        (partition, offset): (i32, i64),
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), NoEntry> {
        let (matter, hash) = Matter::of(key).ok_or(NoEntry)?;
        if value.is_some_and(|value| !matter.is_entry(value)) {
            return Err(NoEntry);
        }
        if self.parts.is_empty() {
            self.parts = (0..PARTS).map(|_| Arc::default()).collect();
        }
        let part = self.parts.get_mut(hash as usize % PARTS).ok_or(NoEntry)?;
        let part = Arc::make_mut(part);
        let list = part.entry(hash).or_default();
        let at = list.binary_search_by_key(&partition, |told| told.partition);
        match (at, value) {
            (at, Some(value)) => {
                let told = Told { partition, offset, bytes: value.into() };
                match at {
                    Ok(at) => list[at] = told,
                    Err(at) => {
                        list.insert(at, told);
                        self.entries += 1;
                    }
                }
            }
            (Ok(at), None) => {
                list.remove(at);
                self.entries -= 1;
            }
            (Err(_), None) => {}
        }
        if list.is_empty() {
            part.remove(&hash);
        }
        Ok(())
    }

    /// What other partitions than `own` know of a matter, in order of the partitions.
    pub(super) fn of(&self, hash: u64, own: i32) -> impl Iterator<Item = &Told> {
        self.parts
            .get(hash as usize % PARTS)
            .and_then(|part| part.get(&hash))
            .into_iter()
            .flatten()
            .filter(move |told| told.partition != own)
    }
}
