//! How a batch's changes are written to the changelog, and read back.
//!
//! The changelog is compacted by key, so an image and the deltas that follow it must not
//! share one: a record key is owner, slot, id, where slot 0 holds the image and slots 1 to
//! 15 the deltas. A change is counted by the entry's version; its delta goes to slot
//! `version mod 16`, and every 16th change is an image. So a delta is only ever replaced by
//! one that lies beyond a newer image, and whatever compaction has removed by the time of a
//! restore, the last image and all deltas after it are there, in order. A delta that does
//! not carry on from what is known belongs to an older image and is passed over.

use crate::event::Millis;
use crate::state::delta::{diff, patch, put_number, take_number};
use crate::state::recent::{CHUNK, CHUNKS, Item, Recent};
use crate::state::{Entry, Header, Kept, Key, Partition, Staged, owner};

/// Version of every record of the changelog.
const FORMAT: u8 = 1;
/// An image is written at least every so many changes.
const IMAGE_EVERY: u32 = 16;
/// Flag of a record: a delta.
const DELTA: u8 = 1;
/// Flag of a record: a deadline follows.
const DEADLINE: u8 = 2;

/// A changelog record that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("state record has an unknown format")]
pub struct BadStateRecord;

/// Changes of one batch, ready for the changelog and, after commit, for [`Partition::apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub(super) header: Header,
    pub(super) recent: Vec<Item>,
    pub(super) entries: Vec<Change>,
    records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) kept: Option<Kept>,
    pub(super) slots: u16,
}

impl Changes {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The changelog records: key bytes and value bytes, `None` for a tombstone.
    pub fn records(&self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        self.records.iter().cloned()
    }

    pub(super) fn of(staged: Staged<'_>) -> Self {
        let base = staged.base;
        let mut records = Vec::new();
        if staged.header != base.header {
            records.push((vec![owner::PARTITION, 0], Some(write_header(staged.header))));
        }
        write_recent(&base.recent, &staged.recent.items, &mut records);
        let mut changed: Vec<(Key, Option<Entry>)> = staged.changes.into_iter().collect();
        changed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let entries = changed
            .into_iter()
            .filter_map(|(key, entry)| change(base, key, entry, &mut records))
            .collect();
        Self { header: staged.header, recent: staged.recent.items, entries, records }
    }
}

impl Partition {
    /// One changelog record for each entry, sorted by key: what compaction would leave, but
    /// for the ids seen lately.
    #[must_use]
    pub fn images(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut records = vec![(vec![owner::PARTITION, 0], write_header(self.header))];
        let mut entries: Vec<(&Key, &Kept)> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        records.extend(entries.into_iter().map(|(key, kept)| {
            let Entry { value, deadline } = &kept.entry;
            let mut image = start(0, kept.version, *deadline, value.len());
            image.extend_from_slice(value);
            (name(key, 0), image)
        }));
        records
    }

    /// Takes one changelog record, as [`Changes::records`] wrote it; `None` is a tombstone.
    ///
    /// # Errors
    /// [`BadStateRecord`] where key or value was not written by this version of Weir.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), BadStateRecord> {
        let [owner, slot, id @ ..] = key else { return Err(BadStateRecord) };
        let (owner, slot) = (*owner, *slot);
        if owner == owner::PARTITION && id.is_empty() {
            self.header = match value {
                Some(value) => read_header(value).ok_or(BadStateRecord)?,
                None => Header::default(),
            };
            return Ok(());
        }
        if owner == owner::RECENT {
            let Some(value) = value else { return Ok(()) };
            let (start, items) = read_recent(value).ok_or(BadStateRecord)?;
            self.recent.restore(start, items);
            return Ok(());
        }
        if u32::from(slot) >= IMAGE_EVERY {
            return Err(BadStateRecord);
        }
        let key = Key { owner, id: id.to_vec() };
        match (slot, value) {
            (0, None) => self.set(key, None),
            (0, Some(value)) => {
                let record = read(value).filter(|record| !record.delta).ok_or(BadStateRecord)?;
                let entry = Entry { value: record.body.into(), deadline: record.deadline };
                self.set(key, Some(Kept { entry, version: record.version }));
            }
            (slot, None) => self.mark(key, |slots| slots & !(1 << slot)),
            (slot, Some(value)) => {
                let record = read(value).filter(|record| record.delta).ok_or(BadStateRecord)?;
                self.carry_on(&key, &record);
                self.mark(key, |slots| slots | (1 << slot));
            }
        }
        Ok(())
    }

    /// Applies a delta where it follows what is known. A reader that a cleaner overtakes can
    /// hold an image from before the one that a delta belongs to; the newer image that made
    /// the cleaner drop that one is still to come, and puts everything right.
    fn carry_on(&mut self, key: &Key, record: &Record<'_>) {
        let Some(kept) = self.entries.get(key) else { return };
        if kept.version.checked_add(1) != Some(record.version) {
            return;
        }
        let Some(value) = patch(&kept.entry.value, record.body) else { return };
        let entry = Entry { value: value.into(), deadline: record.deadline };
        self.set(key.clone(), Some(Kept { entry, version: record.version }));
    }

    fn mark(&mut self, key: Key, change: impl FnOnce(u16) -> u16) {
        match change(self.slots.get(&key).copied().unwrap_or_default()) {
            0 => self.slots.remove(&key),
            slots => self.slots.insert(key, slots),
        };
    }
}

/// Writes the records of one changed entry; `None` where nothing has changed in the end.
fn change(
    base: &Partition,
    key: Key,
    entry: Option<Entry>,
    records: &mut Vec<(Vec<u8>, Option<Vec<u8>>)>,
) -> Option<Change> {
    let old = base.entries.get(&key);
    let slots = base.slots.get(&key).copied().unwrap_or_default();
    let Some(entry) = entry else {
        old?;
        records.push((name(&key, 0), None));
        let used = (1..IMAGE_EVERY as u8).filter(|slot| slots & (1 << slot) != 0);
        records.extend(used.map(|slot| (name(&key, slot), None)));
        return Some(Change { key, kept: None, slots: 0 });
    };
    if old.is_some_and(|old| old.entry == entry) {
        return None;
    }
    let version = old.map_or(0, |old| old.version.wrapping_add(1));
    let image = || {
        let mut image = start(0, version, entry.deadline, entry.value.len());
        image.extend_from_slice(&entry.value);
        image
    };
    let slot = (version % IMAGE_EVERY) as u8;
    let delta = old.filter(|_| slot != 0).map(|old| {
        let mut delta = start(DELTA, version, entry.deadline, 32);
        diff(&old.entry.value, &entry.value, &mut delta);
        delta
    });
    let slots = match delta {
        // A delta also costs a record of its own in the compacted log, so it must be worth it.
        Some(delta) if delta.len() * 2 <= entry.value.len() => {
            records.push((name(&key, slot), Some(delta)));
            slots | (1 << slot)
        }
        _ => {
            records.push((name(&key, 0), Some(image())));
            slots
        }
    };
    Some(Change { key, kept: Some(Kept { entry, version }), slots })
}

fn name(key: &Key, slot: u8) -> Vec<u8> {
    let mut name = Vec::with_capacity(2 + key.id.len());
    name.extend([key.owner, slot]);
    name.extend_from_slice(&key.id);
    name
}

/// Format, flags, version, deadline if flagged; the body follows.
fn start(flags: u8, version: u32, deadline: Option<Millis>, body: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + body);
    out.push(FORMAT);
    out.push(flags | if deadline.is_some() { DEADLINE } else { 0 });
    put_number(&mut out, u64::from(version));
    if let Some(Millis(ms)) = deadline {
        out.extend_from_slice(&ms.to_be_bytes());
    }
    out
}

struct Record<'b> {
    delta: bool,
    version: u32,
    deadline: Option<Millis>,
    body: &'b [u8],
}

fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let [FORMAT, flags, rest @ ..] = bytes else { return None };
    let mut rest = rest;
    if flags & !(DELTA | DEADLINE) != 0 {
        return None;
    }
    let version = u32::try_from(take_number(&mut rest)?).ok()?;
    let mut deadline = None;
    if flags & DEADLINE != 0 {
        let (ms, body) = rest.split_first_chunk::<8>()?;
        deadline = Some(Millis(i64::from_be_bytes(*ms)));
        rest = body;
    }
    Some(Record { delta: flags & DELTA != 0, version, deadline, body: rest })
}

fn write_header(header: Header) -> Vec<u8> {
    let mut out = vec![FORMAT];
    out.extend_from_slice(&header.now.0.to_be_bytes());
    out.extend_from_slice(&header.control.to_be_bytes());
    out.extend_from_slice(&header.partitions.to_be_bytes());
    out
}

fn read_header(bytes: &[u8]) -> Option<Header> {
    let (&FORMAT, rest) = bytes.split_first()? else { return None };
    let (now, rest) = rest.split_first_chunk::<8>()?;
    let (control, rest) = rest.split_first_chunk::<8>()?;
    let partitions: [u8; 4] = rest.try_into().ok()?;
    Some(Header {
        now: Millis(i64::from_be_bytes(*now)),
        control: i64::from_be_bytes(*control),
        partitions: u32::from_be_bytes(partitions),
    })
}

/// Writes every chunk that the batch appended to, from the chunk's beginning.
fn write_recent(base: &Recent, added: &[Item], records: &mut Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    let end = base.next() + added.len() as u64;
    let mut start = base.next() - base.next() % CHUNK as u64;
    while !added.is_empty() && start < end {
        let mut value = vec![FORMAT];
        value.extend_from_slice(&start.to_be_bytes());
        for position in start..end.min(start + CHUNK as u64) {
            let item = match position.checked_sub(base.next()) {
                Some(index) => added.get(index as usize).copied(),
                None => base.at(position),
            };
            if let Some(item) = item {
                value.extend_from_slice(&item.id.to_be_bytes());
                value.extend_from_slice(&item.content.to_be_bytes());
            }
        }
        let chunk = (start / CHUNK as u64 % CHUNKS as u64) as u16;
        let [high, low] = chunk.to_be_bytes();
        records.push((vec![owner::RECENT, 0, high, low], Some(value)));
        start += CHUNK as u64;
    }
}

fn read_recent(bytes: &[u8]) -> Option<(u64, impl Iterator<Item = Item>)> {
    let (&FORMAT, rest) = bytes.split_first()? else { return None };
    let (start, rest) = rest.split_first_chunk::<8>()?;
    let (items, []) = rest.as_chunks::<16>() else { return None };
    let items = items.iter().map(|item| {
        let both = u128::from_be_bytes(*item);
        Item { id: (both >> 64) as u64, content: both as u64 }
    });
    Some((u64::from_be_bytes(*start), items))
}

#[cfg(test)]
#[path = "changelog_tests.rs"]
mod tests;
