//! Who knows one value: an entry of the ledger, in state and on the topic of what is shared.
//!
//! An entry holds the names of whoever had the value first, for people, and the parties that
//! were seen with it, as hashes, for judging. Both are bounded, so an entry has at most
//! [`ENTRY_BYTES`]. Once enough parties know it the value is common, and only that is kept.

use std::collections::BTreeSet;

use crate::event::{Event, Millis};
use crate::finding::Seen;
use crate::policy::Tainted;
use crate::state::codec::{Pack, Unpack};

use super::prints::{Party, how};

const VERSION: u8 = 1;
/// Bytes of each name of who had it first; longer ones are cut.
const NAME_BYTES: usize = 64;
/// Parties that an entry holds.
pub(super) const SIGHTINGS_MAX: usize = 16;
const SIGHTING_BYTES: usize = 21;
/// An entry takes no more.
pub const ENTRY_BYTES: usize = 16 + 4 * (NAME_BYTES + 2) + SIGHTINGS_MAX * SIGHTING_BYTES;

/// A party and how it came to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) party: Party,
    pub(super) how: u8,
}

impl Sighting {
    /// Whether it is more than a model's own word.
    pub(super) fn is_given(&self) -> bool {
        self.how & (how::SAID | how::READ) != 0
    }
}

/// What is known of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) class: Tainted,
    pub(super) common: bool,
    pub(super) first: Seen,
    pub(super) sightings: Vec<Sighting>,
}

impl Entry {
    /// A value that was never seen before.
    pub(super) fn new(class: Tainted, event: &Event<'_>, now: Millis) -> Self {
        let name = |name: &str| {
            name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default().to_owned()
        };
        let first = Seen {
            at: now,
            tenant: name(&event.tenant),
            agent: name(&event.agent),
            session: event.session.as_deref().map(name),
            user: event.user.as_deref().map(name),
            entry: None,
        };
        Self { class, common: false, first, sightings: Vec::new() }
    }

    /// Adds a party. Returns whether that changes anything.
    pub(super) fn add(&mut self, party: Party, how: u8, common: usize) -> bool {
        if self.common {
            return false;
        }
        let same = |known: &&mut Sighting| {
            known.party.session == party.session
                && (known.party.user == party.user || known.party.user == 0 || party.user == 0)
        };
        if let Some(known) = self.sightings.iter_mut().find(same) {
            let before = *known;
            known.how |= how;
            // A session's events need not all name the user.
            known.party.user = known.party.user.max(party.user);
            if *known == before {
                return false;
            }
        } else {
            if self.sightings.len() == SIGHTINGS_MAX {
                // There are fewer parties than sessions, or it would be common by now: one of
                // them has several, and the oldest but the very first gives way.
                self.sightings.remove(1);
            }
            self.sightings.push(Sighting { party, how });
        }
        if is_common(self.class, &self.sightings, common) {
            self.common = true;
            self.sightings.clear();
        }
        true
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Pack::new(VERSION)
            .bytes(&[self.class as u8, u8::from(self.common)])
            .millis(self.first.at)
            .text(&self.first.tenant)
            .text(&self.first.agent)
            .maybe(self.first.session.as_deref())
            .maybe(self.first.user.as_deref());
        for Sighting { party, how } in &self.sightings {
            out = out.bytes(&party.session.to_be_bytes());
            for hash in [party.tenant, party.user, party.agent] {
                out = out.bytes(&hash.to_be_bytes());
            }
            out = out.bytes(&[*how]);
        }
        out.done()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack::new(VERSION, bytes)?;
        let [class, common] = from.fixed()?;
        let first = Seen {
            at: from.millis()?,
            tenant: from.text()?,
            agent: from.text()?,
            session: from.maybe()?,
            user: from.maybe()?,
            entry: None,
        };
        let (sightings, rest) = from.rest().as_chunks::<SIGHTING_BYTES>();
        let sighting = |bytes: &[u8; SIGHTING_BYTES]| {
            let (session, rest) = bytes.split_first_chunk::<8>()?;
            let (&[tenant, user, agent], &[how]) = rest.as_chunks::<4>() else { return None };
            let [tenant, user, agent] = [tenant, user, agent].map(u32::from_be_bytes);
            let session = u64::from_be_bytes(*session);
            Some(Sighting { party: Party { session, tenant, user, agent }, how })
        };
        let sightings: Option<Vec<Sighting>> = sightings.iter().map(sighting).collect();
        let whole = rest.is_empty() && common <= 1;
        Some(Self {
            class: *Tainted::ALL.get(usize::from(class))?,
            common: common == 1,
            first,
            sightings: sightings.filter(|list| whole && list.len() <= SIGHTINGS_MAX)?,
        })
    }
}

/// Whether so many parties know a value that it is nobody's own. All sessions of a user count
/// once. What models write makes nothing common that must be kept secret.
pub(super) fn is_common(class: Tainted, sightings: &[Sighting], common: usize) -> bool {
    if sightings.len() < common {
        return false;
    }
    let counts = |known: &&Sighting| class != Tainted::Secrets || known.is_given();
    let parties: BTreeSet<(u32, u64)> = sightings
        .iter()
        .filter(counts)
        .map(|Sighting { party, .. }| match party.user {
            0 => (0, party.session),
            user => (user, 0),
        })
        .collect();
    parties.len() >= common
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Kind;

    fn party(session: u64, user: u32) -> Party {
        Party { session, tenant: 1, user, agent: 1 }
    }

    fn entry(class: Tainted) -> Entry {
        let mut event = Event::new(Kind::Prompt, "e".into(), "bot".into(), Millis(0));
        event.session = Some("s".repeat(1000).into());
        Entry::new(class, &event, Millis(5))
    }

    #[test]
    fn a_value_is_common_once_enough_parties_know_it() {
        for (class, how, is) in [
            (Tainted::Secrets, how::READ, true),
            (Tainted::Secrets, how::WRITTEN, false),
            (Tainted::Pii, how::WRITTEN, true),
        ] {
            let mut known = entry(class);
            for n in 1..=4 {
                assert!(known.add(party(n, 0), how, 5));
                assert!(!known.add(party(n, 0), how, 5), "told twice");
            }
            assert!(!known.common);
            known.add(party(5, 0), how, 5);
            assert_eq!(known.common, is);
            assert_eq!(known.sightings.is_empty(), is);
        }
    }

    #[test]
    fn a_user_counts_once_however_many_sessions_he_has() {
        let mut known = entry(Tainted::Pii);
        for n in 1..=100 {
            known.add(party(n, 7), how::SAID, 5);
        }
        assert!(!known.common && known.sightings.len() == SIGHTINGS_MAX);
        assert_eq!(known.sightings[0].party.session, 1);
        assert!(known.encode().len() <= ENTRY_BYTES, "{}", known.encode().len());
    }

    #[test]
    fn a_session_takes_its_user_from_whichever_event_names_him() {
        let mut known = entry(Tainted::Pii);
        known.add(party(1, 0), how::READ, 5);
        assert!(known.add(party(1, 7), how::READ, 5));
        assert_eq!(known.sightings, [Sighting { party: party(1, 7), how: how::READ }]);
        assert!(known.add(party(1, 8), how::READ, 5), "two users in one session are two");
        assert_eq!(known.sightings.len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            sightings in proptest::collection::vec((any::<u64>(), any::<[u32; 3]>(), any::<u8>()), 0..=SIGHTINGS_MAX),
            names in proptest::collection::vec(proptest::option::of(".{0,20}"), 4),
            common: bool, at: i64, class in 0usize..3,
        ) {
            let sightings = sightings.into_iter().map(|(session, [tenant, user, agent], how)| {
                Sighting { party: Party { session, tenant, user, agent }, how }
            });
            let name = |at: usize| names[at].clone();
            let known = Entry {
                class: Tainted::ALL[class],
                common,
                first: Seen {
                    at: Millis(at),
                    tenant: name(0).unwrap_or_default(),
                    agent: name(1).unwrap_or_default(),
                    session: name(2),
                    user: name(3),
                    entry: None,
                },
                sightings: sightings.collect(),
            };
            prop_assert_eq!(Entry::decode(&known.encode()), Some(known));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Entry::decode(&bytes);
        }
    }
}
