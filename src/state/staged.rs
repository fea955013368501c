//! A batch's view of a partition: committed state with the batch's own changes on top.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::event::Millis;
use crate::state::changelog::Changes;
use crate::state::recent::{Added, Item, Seen};
use crate::state::{Entry, Header, Key, Partition};

/// A value that its owner works on as more than bytes. It is written when the batch ends, so
/// that what many events of a batch change is read once and written once.
pub trait Object: Any + Send {
    /// The bytes of its entry.
    fn encode(&self) -> Vec<u8>;
}

/// An object between two events.
struct Held {
    object: Box<dyn Object>,
    deadline: Option<Millis>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// A batch's view of a partition. Dropping it undoes everything.
#[derive(Debug)]
pub struct Staged<'p> {
    pub(super) base: &'p Partition,
    pub(super) header: Header,
    pub(super) recent: Added,
    pub(super) changes: HashMap<Key, Option<Entry>>,
    objects: HashMap<Key, Held>,
    counts: BTreeMap<u8, isize>,
    timers: BTreeSet<(u8, Millis, Vec<u8>)>,
    /// By owner, the first committed timer that this batch has not touched. It only moves
    /// forward: what a batch has touched stays touched.
    cursors: BTreeMap<u8, (Millis, Vec<u8>)>,
    /// Nothing is due before this, so that a record with nothing due costs one comparison.
    quiet_until: Millis,
}

impl<'p> Staged<'p> {
    /// Begins with nothing changed.
    #[must_use]
    pub fn new(base: &'p Partition) -> Self {
        Self {
            base,
            header: base.header,
            recent: Added::default(),
            changes: HashMap::new(),
            objects: HashMap::new(),
            counts: BTreeMap::new(),
            timers: BTreeSet::new(),
            cursors: BTreeMap::new(),
            quiet_until: base.next_deadline().unwrap_or(Millis(i64::MAX)),
        }
    }

    /// The partition's clock.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.header.now
    }

    /// Moves the clock to a record's timestamp, never back; returns what it then shows.
    pub fn advance(&mut self, timestamp: Millis) -> Millis {
        self.header.now = self.header.now.max(timestamp);
        self.header.now
    }

    /// Remembers how many partitions the events topic has.
    pub fn set_partitions(&mut self, partitions: u32) {
        self.header.partitions = partitions;
    }

    /// Next offset of the control topic whose orders have not been applied here.
    #[must_use]
    pub fn control(&self) -> i64 {
        self.header.control
    }

    /// Says that all orders before this offset have been applied.
    pub fn set_control(&mut self, next: i64) {
        self.header.control = self.header.control.max(next);
    }

    /// Counts an event among those seen lately; returns what was known of its id before.
    pub fn see(&mut self, item: Item) -> Seen {
        self.recent.see(&self.base.recent, item)
    }

    /// The entry's bytes, as last written. Entries that are kept as objects are not read by bytes.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        debug_assert!(!self.objects.contains_key(key), "this entry is an object");
        self.entry(key).map(|entry| &*entry.value)
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.base.entries.get(key).map(|kept| &kept.entry),
        }
    }

    /// Writes an entry; `deadline` replaces the entry's former one.
    pub fn put(&mut self, key: Key, value: impl Into<Box<[u8]>>, deadline: Option<Millis>) {
        if let Some(deadline) = deadline {
            self.quiet_until = self.quiet_until.min(deadline);
        }
        self.objects.remove(&key);
        self.change(key, Some(Entry { value: value.into(), deadline }));
    }

    /// Forgets an entry.
    pub fn remove(&mut self, key: Key) {
        self.objects.remove(&key);
        self.change(key, None);
    }

    /// Whether there is such an entry.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.entry(key).is_some()
    }

    /// Takes an object out, to be changed and kept again: as the batch left it, or else read
    /// from the entry's bytes. Nothing where there is no entry, or none that can be read.
    pub fn take<T: Object>(
        &mut self,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<Box<T>> {
        match self.objects.remove(key) {
            Some(held) => (held.object as Box<dyn Any>).downcast().ok(),
            None => self.get(key).and_then(read).map(Box::new),
        }
    }

    /// Keeps an object as an entry; `deadline` replaces the entry's former one.
    pub fn keep<T: Object>(&mut self, key: Key, object: Box<T>, deadline: Option<Millis>) {
        if self.entry(&key).is_none_or(|entry| entry.deadline != deadline) {
            // For those who count entries and look for timers; the bytes come at the end.
            self.put(key.clone(), [], deadline);
        }
        self.objects.insert(key, Held { object, deadline });
    }

    /// How many entries an owner has.
    #[must_use]
    pub fn count(&self, owner: u8) -> usize {
        let staged = self.counts.get(&owner).copied().unwrap_or_default();
        self.base.count(owner).saturating_add_signed(staged)
    }

    /// The owner's entry with the earliest deadline, whether due or not; ties go by id.
    /// It is the one to give way when the owner has too many.
    pub fn first(&mut self, owner: u8) -> Option<(Millis, Key)> {
        let untouched = self
            .base
            .timers_of(owner, self.cursors.get(&owner))
            .find(|(owner, _, id)| {
                !self.changes.contains_key(&Key { owner: *owner, id: id.clone() })
            })
            .map(|(_, deadline, id)| (*deadline, id.clone()));
        self.cursors.insert(owner, untouched.clone().unwrap_or((Millis(i64::MAX), Vec::new())));
        let staged = self
            .timers
            .range((owner, Millis(i64::MIN), Vec::new())..)
            .next()
            .filter(|timer| timer.0 == owner)
            .map(|(_, deadline, id)| (*deadline, id.clone()));
        let (deadline, id) = match (untouched, staged) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some((deadline, Key { owner, id }))
    }

    /// Forgets what would be forgotten first, until an owner that may have `most` entries has
    /// room for one more.
    pub fn make_room(&mut self, owner: u8, most: usize) {
        while self.count(owner) >= most.max(1) {
            let Some((_, oldest)) = self.first(owner) else { break };
            self.remove(oldest);
        }
    }

    /// The earliest entry whose deadline is at or before `now`; ties go by key.
    pub fn due(&mut self, now: Millis) -> Option<(Millis, Key)> {
        if now < self.quiet_until {
            return None;
        }
        let mut owners: Vec<u8> =
            self.base.counts.keys().chain(self.counts.keys()).copied().collect();
        owners.sort_unstable();
        owners.dedup();
        let first = owners.into_iter().filter_map(|owner| self.first(owner)).min();
        self.quiet_until = first.as_ref().map_or(Millis(i64::MAX), |(deadline, _)| *deadline);
        first.filter(|(deadline, _)| *deadline <= now)
    }

    /// Ends the batch: what the changelog is to hold, and what [`Partition::apply`] takes after the commit.
    #[must_use]
    pub fn into_changes(mut self) -> Changes {
        // In order, so that every run does the same.
        let mut objects: Vec<(Key, Held)> = self.objects.drain().collect();
        objects.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, Held { object, deadline }) in objects {
            self.put(key, object.encode(), deadline);
        }
        Changes::of(self)
    }

    fn change(&mut self, key: Key, entry: Option<Entry>) {
        let old = self.entry(&key);
        let (was, old) = (old.is_some(), old.and_then(|entry| entry.deadline));
        let (is, new) = (entry.is_some(), entry.as_ref().and_then(|entry| entry.deadline));
        if was != is {
            *self.counts.entry(key.owner).or_default() += isize::from(is) - isize::from(was);
        }
        // A committed timer of a touched key no longer counts: the batch's own set takes over.
        if old != new
            && let Some(old) = old
        {
            self.timers.remove(&(key.owner, old, key.id.clone()));
        }
        if let Some(new) = new {
            self.timers.insert((key.owner, new, key.id.clone()));
        }
        self.changes.insert(key, entry);
    }
}
