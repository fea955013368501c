//! The ids of the last events of a partition, so that a repeated record is known as one.
//!
//! The window counts events, not time or batches, so it is the same in every run. Items
//! are hashes: of tenant, agent and id, and of the record's bytes. In the changelog it
//! is a ring of chunks; a batch writes the chunks that it appended to, so an event costs
//! 16 bytes and its share of a record.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// How many events the window holds.
pub const RECENT_EVENTS: usize = 4096;

/// Items of one changelog record.
pub(super) const CHUNK: usize = 32;

/// Chunks of the ring: one more than the window fills, for the one that is being filled.
pub(super) const CHUNKS: usize = RECENT_EVENTS / CHUNK + 1;

/// One event, as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// Of tenant, agent and id. Cut from a cryptographic hash: it is used as its own hash value.
    pub id: u64,
    /// Of the record's bytes, likewise.
    pub content: u64,
}

/// What was known of an event's id before it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Events of the window with the same id and content.
    pub same: u32,
    /// Events of the window with the same id and other content.
    pub other: u32,
}

/// Takes the bits that it is given, for keys that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsIs(u64);

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
        self.0 = self.0.rotate_left(32) ^ n;
    }
}

type Counts<K, N> = HashMap<K, N, BuildHasherDefault<AsIs>>;

/// The committed window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recent {
    items: VecDeque<Item>,
    /// Position of the next item, counted from the partition's beginning.
    next: u64,
    ids: Counts<u64, u32>,
    exact: Counts<Item, u32>,
}

impl Recent {
    /// Position of the next item.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The item at a position, while the window holds it.
    pub(super) fn at(&self, position: u64) -> Option<Item> {
        let first = self.next - self.items.len() as u64;
        self.items.get(usize::try_from(position.checked_sub(first)?).ok()?).copied()
    }

    pub(super) fn push(&mut self, item: Item) {
        if self.items.len() == RECENT_EVENTS
            && let Some(old) = self.items.pop_front()
        {
            take_one(&mut self.ids, old.id);
            take_one(&mut self.exact, old);
        }
        self.items.push_back(item);
        self.next += 1;
        *self.ids.entry(item.id).or_default() += 1;
        *self.exact.entry(item).or_default() += 1;
    }

    /// Takes one chunk of the changelog, in log order. A chunk that begins after the end
    /// of what is known means that those between have been overwritten by later ones:
    /// whatever came before is outside the window by now.
    pub(super) fn restore(&mut self, start: u64, items: impl Iterator<Item = Item>) {
        if start > self.next {
            *self = Self { next: start, ..Self::default() };
        }
        let known = (self.next - start) as usize;
        for item in items.skip(known) {
            self.push(item);
        }
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut Counts<K, u32>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// What a batch adds to the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Added {
    pub(super) items: Vec<Item>,
    ids: Counts<u64, i64>,
    exact: Counts<Item, i64>,
}

impl Added {
    /// Adds an item; returns what the window, which ends just before it, knew.
    pub(super) fn see(&mut self, base: &Recent, item: Item) -> Seen {
        let ids = count(&base.ids, &item.id) + self.ids.get(&item.id).copied().unwrap_or_default();
        let same = count(&base.exact, &item) + self.exact.get(&item).copied().unwrap_or_default();
        let held = base.items.len() + self.items.len();
        if let Some(gone) = held.checked_sub(RECENT_EVENTS) {
            let old = base.items.get(gone).or_else(|| self.items.get(gone - base.items.len()));
            if let Some(&old) = old {
                *self.ids.entry(old.id).or_default() -= 1;
                *self.exact.entry(old).or_default() -= 1;
            }
        }
        self.items.push(item);
        *self.ids.entry(item.id).or_default() += 1;
        *self.exact.entry(item).or_default() += 1;
        Seen { same: same.max(0) as u32, other: (ids - same).max(0) as u32 }
    }
}

fn count<K: std::hash::Hash + Eq>(counts: &Counts<K, u32>, key: &K) -> i64 {
    counts.get(key).copied().map_or(0, i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: u64, content: u64) -> Item {
        Item { id, content }
    }

    #[test]
    fn a_repeat_is_known_until_the_window_has_passed() {
        let mut base = Recent::default();
        let mut added = Added::default();
        assert_eq!(added.see(&base, item(1, 1)), Seen { same: 0, other: 0 });
        assert_eq!(added.see(&base, item(1, 1)), Seen { same: 1, other: 0 });
        assert_eq!(added.see(&base, item(1, 2)), Seen { same: 0, other: 2 });
        for n in 0..RECENT_EVENTS as u64 - 3 {
            added.see(&base, item(100 + n, 0));
        }
        for item in std::mem::take(&mut added).items {
            base.push(item);
        }
        assert_eq!(
            added.see(&base, item(1, 1)),
            Seen { same: 2, other: 1 },
            "the first is still there"
        );
        assert_eq!(added.see(&base, item(1, 1)), Seen { same: 2, other: 1 }, "the first has gone");
        assert_eq!(added.see(&base, item(1, 1)), Seen { same: 2, other: 1 }, "the second too");
        assert_eq!(added.see(&base, item(1, 1)), Seen { same: 3, other: 0 });
    }

    #[test]
    fn what_is_seen_does_not_depend_on_batches() {
        let items: Vec<Item> = (0..10_000u64).map(|n| item((n * n * 7919) % 3001, n % 2)).collect();
        let run = |batch: usize| {
            let mut base = Recent::default();
            let mut seen = Vec::new();
            for batch in items.chunks(batch) {
                let mut added = Added::default();
                seen.extend(batch.iter().map(|&item| added.see(&base, item)));
                for item in added.items {
                    base.push(item);
                }
            }
            (base, seen)
        };
        let one = run(1);
        assert!(one == run(7) && one == run(5000) && one == run(10_000));
    }
}
