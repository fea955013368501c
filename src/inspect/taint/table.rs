//! What other partitions know: the entries of all ledgers, as read from the topic of what is shared.
//!
//! A table is a value. The reader of the topic holds one, changes it, and hands out copies
//! that lanes keep for a transaction: copies share all parts that have not changed since, so
//! a copy costs 4,096 counts of references and the next change of a part a copy of that part.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::audit::hex;

use super::Share;
use crate::policy::Tainted;

/// Parts of a table: with a million entries each holds some 250.
const PARTS: usize = 4096;

/// One partition's word on a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) bytes: Arc<[u8]>,
}

/// Takes the bits that it is given: keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
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
        let hash = hash_of(key).ok_or(NoEntry)?;
        if value.is_some_and(|value| super::Entry::decode(value).is_none()) {
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

    /// What other partitions than `own` know of a value, in order of the partitions.
    pub(super) fn of(&self, hash: u64, own: i32) -> impl Iterator<Item = &Told> {
        self.parts
            .get(hash as usize % PARTS)
            .and_then(|part| part.get(&hash))
            .into_iter()
            .flatten()
            .filter(move |told| told.partition != own)
    }
}

/// The key of a value's entry on the topic: its class and its hash.
pub(super) fn key(class: Tainted, hash: u64) -> Vec<u8> {
    let prefix = if class == Tainted::Text { "row/" } else { "value/" };
    format!("{prefix}{}", hex(&hash.to_be_bytes())).into_bytes()
}

fn hash_of(key: &[u8]) -> Option<u64> {
    let digits = key.strip_prefix(b"value/").or_else(|| key.strip_prefix(b"row/"))?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Says of a value that its owner has forgotten it.
pub(super) fn forgotten(class: Tainted, id: &[u8]) -> Option<Share> {
    let hash = u64::from_be_bytes(*id.first_chunk()?);
    Some(Share { key: key(class, hash), value: None })
}
