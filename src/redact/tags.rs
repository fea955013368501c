//! Numbers of tags: the same value has the same number within a session.
//!
//! With the redaction key a session keeps a table of keyed hashes, at most 256, in the
//! partition's state; its place in the table is a value's number. Later values get the bare
//! tag. Without the key numbers begin anew with each event, and nothing is kept; of a streamed
//! answer, hashes of the values are kept beside its text until it ends.

use crate::digest::Parts;
use crate::event::{Event, Millis};
use crate::redact::Key32;
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Staged, owner};

/// Values that a session numbers.
const TAGS_MAX: usize = 256;
const VERSION: u8 = 1;

/// Bytes of a keyed hash that are kept: two of 256 values share one once in 10^14 sessions.
type Short = [u8; 8];

/// The numbering in force for one event.
#[derive(Debug)]
pub struct Tags<'k> {
    keyed: Option<(&'k Key32, Key)>,
    known: Vec<Short>,
    grown: bool,
}

impl<'k> Tags<'k> {
    /// Takes up the session's numbering.
    #[must_use]
    pub fn of_session(key: Option<&'k Key32>, staged: &Staged<'_>, event: &Event<'_>) -> Self {
        let keyed = key.map(|key| (key, session_key(event)));
        let known = keyed
            .as_ref()
            .and_then(|(_, session)| Unpack::new(VERSION, staged.get(session)?))
            .map(|table| table.rest().as_chunks::<8>().0.to_vec())
            .unwrap_or_default();
        Self { keyed, known, grown: false }
    }

    /// The same for one part of a text that comes in pieces. `known` is what its parts so far
    /// came to ([`Tags::of_text`]); it counts where there is no key.
    #[must_use]
    pub fn of_stream(
        key: Option<&'k Key32>,
        staged: &Staged<'_>,
        event: &Event<'_>,
        known: &[u8],
    ) -> Self {
        let mut tags = Self::of_session(key, staged, event);
        if tags.keyed.is_none() {
            tags.known = known.as_chunks::<8>().0.to_vec();
        }
        tags
    }

    /// The numbering of one text, for [`Tags::of_stream`]; nothing where a session has it.
    #[must_use]
    pub fn of_text(&self) -> &[u8] {
        if self.keyed.is_some() { &[] } else { self.known.as_flattened() }
    }

    /// The redaction key.
    pub(super) fn key(&self) -> Option<&'k Key32> {
        self.keyed.as_ref().map(|(key, _)| *key)
    }

    /// The tag of a value.
    pub(super) fn tag(&mut self, label: &str, value: &str) -> String {
        let hash: [u8; 32] = if let Some(key) = self.key() {
            key.mac(&[b"tag", label.as_bytes(), value.as_bytes()])
        } else {
            let mut hash = Parts::of([label]);
            hash.bare(value);
            hash.whole()
        };
        let number = self.number(&hash);
        match number {
            Some(number) => format!("<{label}_{number}>"),
            None => format!("<{label}>"),
        }
    }

    fn number(&mut self, hash: &[u8; 32]) -> Option<usize> {
        let short = *hash.first_chunk::<8>()?;
        if let Some(at) = self.known.iter().position(|known| *known == short) {
            return Some(at + 1);
        }
        if self.known.len() == TAGS_MAX {
            return None;
        }
        self.known.push(short);
        self.grown = true;
        Some(self.known.len())
    }

    /// Keeps the session's table where it has grown. `deadline` is when an idle session ends;
    /// with more than `sessions_max` sessions the one that would end first goes.
    pub fn keep(self, staged: &mut Staged<'_>, deadline: Millis, sessions_max: usize) {
        let Some((_, session)) = self.keyed.filter(|_| self.grown) else { return };
        if staged.get(&session).is_none() {
            staged.make_room(owner::SESSION, sessions_max);
        }
        let table = Pack::new(VERSION).bytes(self.known.as_flattened()).done();
        staged.put(session, table, Some(deadline));
    }
}

/// Where a session's state is kept. Without a session one is implied for the agent.
#[must_use]
pub fn session_key(event: &Event<'_>) -> Key {
    let session = event.session.as_deref();
    let mut hash = Parts::default();
    for part in [Some(event.tenant.as_ref()), Some(event.agent.as_ref()), session] {
        hash.bare([u8::from(part.is_some())]);
        hash.add(part.unwrap_or_default());
    }
    Key { owner: owner::SESSION, id: hash.id().into() }
}
