//! What a session remembers: the labels of what passed, and how much of its quotas is used.

use crate::event::{Event, Millis};
use crate::inspect::Limits;
use crate::redact::session_key;
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Staged, owner};

const VERSION: u8 = 1;

/// The memory of one session of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// Labels, as [`crate::policy::Governance::label_ids`] names them.
    pub(super) labels: Vec<[u8; 8]>,
    /// What quotas have counted, by their keys.
    pub(super) counts: Vec<([u8; 8], u64)>,
    /// A planted value was seen: nothing goes on until an operator resumes the session.
    pub(super) halted: bool,
}

impl Session {
    pub(super) fn key(event: &Event<'_>) -> Key {
        Key { owner: owner::CONVERSATION, ..session_key(event) }
    }

    pub(super) fn read(staged: &Staged<'_>, key: &Key) -> Option<Self> {
        Self::decode(staged.get(key)?)
    }

    /// Counts so much more against a quota; returns the sum.
    pub(super) fn count(&mut self, key: [u8; 8], amount: u64) -> u64 {
        let at = self.counts.iter().position(|(known, _)| *known == key);
        let at = at.unwrap_or_else(|| {
            self.counts.push((key, 0));
            self.counts.len() - 1
        });
        let Some((_, count)) = self.counts.get_mut(at) else { return 0 };
        *count = count.saturating_add(amount);
        *count
    }

    pub(super) fn write(&self, staged: &mut Staged<'_>, key: Key, limits: &Limits, named: bool) {
        if staged.get(&key).is_none() {
            staged.make_room(owner::CONVERSATION, limits.sessions);
        }
        let deadline = deadline(staged.now(), limits, named);
        staged.put(key, self.encode(), Some(deadline));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Pack::new(VERSION).bytes(&[u8::from(self.halted)]);
        out = out.number(self.counts.len() as u64);
        for (key, count) in &self.counts {
            out = out.bytes(key).number(*count);
        }
        out.number(self.labels.len() as u64).bytes(self.labels.as_flattened()).done()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack::new(VERSION, bytes)?;
        let [halted] = from.fixed()?;
        let mut session = Self { halted: halted == 1, ..Self::default() };
        for _ in 0..from.number()? {
            session.counts.push((from.fixed()?, from.number()?));
        }
        for _ in 0..from.number()? {
            session.labels.push(from.fixed()?);
        }
        Some(session)
    }
}

/// When a session that nothing more happens in is forgotten. One that has a name can be
/// taken up again by it, and is kept longer: waiting must not be a way to lose its labels.
pub(super) fn deadline(now: Millis, limits: &Limits, named: bool) -> Millis {
    let idle = if named { limits.session_keep_ms } else { limits.session_idle_ms };
    now.plus(idle.saturating_add(slack(idle)))
}

fn slack(idle: i64) -> i64 {
    idle / 32
}

/// Moves the end of a session's idle time, where that has come nearer than it may. Not for
/// every event: the deadline has some slack, so that most events write nothing.
pub(super) fn touch(staged: &mut Staged<'_>, key: &Key, limits: &Limits, named: bool) {
    let idle = if named { limits.session_keep_ms } else { limits.session_idle_ms };
    let Some(entry) = staged.entry(key) else { return };
    if entry.deadline.is_some_and(|deadline| deadline >= staged.now().plus(idle)) {
        return;
    }
    let value = entry.value.clone();
    let deadline = deadline(staged.now(), limits, named);
    staged.put(key.clone(), value, Some(deadline));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            labels in proptest::collection::vec(any::<[u8; 8]>(), 0..5),
            counts in proptest::collection::vec((any::<[u8; 8]>(), any::<u64>()), 0..5),
            halted: bool,
        ) {
            let session = Session { labels, counts, halted };
            prop_assert_eq!(Session::decode(&session.encode()), Some(session));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            Session::decode(&bytes);
        }
    }
}
