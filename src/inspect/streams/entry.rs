//! What a partition remembers of streamed answers: those that go on, those that have ended, and
//! how many go on for each agent.
//!
//! The entry of one that goes on holds the text that is kept and places in it, never the state of
//! an automaton: who reads it next makes that anew.

use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};

use super::readers::Readers;
use super::{End, TickKind};
use crate::detect::{Since, Stream};
use crate::event::{Carrier, Event, Kind, Millis};
use crate::finding::Action;
use crate::inspect::Limits;
use crate::redact::Cutter;
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Object, Staged, owner};

const VERSION: u8 = 1;
/// Chunks that are known again when they are sent once more.
const KNOWN_CHUNKS: usize = 16;
/// A count is forgotten when it has not changed for so long.
const COUNT_KEPT_MS: i64 = 86_400_000;
/// Packs that are named of one stream.
const PACKS_MAX: usize = 4;

/// Whose answer it is: what is needed to decide about it when no chunk comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) stream: String,
    pub(super) tenant: String,
    pub(super) agent: String,
    pub(super) agent_type: Option<String>,
    pub(super) session: Option<String>,
    pub(super) user: Option<String>,
}

/// A streamed answer that goes on.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) who: Who,
    pub(super) carrier: Carrier,
    /// Hashes of the packs that have read it, in order.
    pub(super) packs: Vec<String>,
    /// Id and offset of its last chunk, and when that came.
    pub(super) event_id: String,
    pub(super) offset: i64,
    pub(super) last: Millis,
    /// The chunk that is to come.
    pub(super) next: u64,
    pub(super) chunks: u64,
    /// Hashes of the last chunks, each at its place modulo their number.
    known: [[u8; 8]; KNOWN_CHUNKS],
    /// Since when the same text is held back.
    pub(super) held_since: Millis,
    /// Half a character that the last chunk ended with.
    pub(super) high: Option<u16>,
    pub(super) text: Stream,
    pub(super) cutter: Cutter,
    /// Numbers of tags, where no key numbers them for the session.
    pub(super) tags: Vec<u8>,
    /// Of all that was let go.
    pub(super) released: Sha256,
    /// The strongest so far.
    pub(super) action: Action,
    /// Whether the first finding that matters is in the audit.
    pub(super) audited: bool,
}

impl Open {
    pub(super) fn begin(event: &Event<'_>, carrier: Carrier, now: Millis) -> Self {
        let own = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let who = Who {
            stream: event.stream.as_ref().map(|stream| stream.id.to_string()).unwrap_or_default(),
            tenant: event.tenant.to_string(),
            agent: event.agent.to_string(),
            agent_type: own(&event.agent_type),
            session: own(&event.session),
            user: own(&event.user),
        };
        Self {
            who,
            carrier,
            packs: Vec::new(),
            event_id: String::new(),
            offset: 0,
            last: now,
            next: 0,
            chunks: 0,
            known: [[0; 8]; KNOWN_CHUNKS],
            held_since: now,
            high: None,
            text: Stream::default(),
            cutter: Cutter::default(),
            tags: Vec::new(),
            released: Sha256::new(),
            action: Action::Allow,
            audited: false,
        }
    }

    /// Takes it up again.
    pub(super) fn read(bytes: &[u8], readers: &Readers<'_>) -> Option<Self> {
        let mut from = Unpack::new(VERSION, bytes)?;
        let who = Who {
            stream: from.text()?,
            tenant: from.text()?,
            agent: from.text()?,
            agent_type: from.maybe()?,
            session: from.maybe()?,
            user: from.maybe()?,
        };
        let [carrier] = from.fixed()?;
        let carrier = *Carrier::ALL.get(usize::from(carrier))?;
        let program = from.text()?;
        let packs = from.texts()?;
        let same = program == PROGRAM && packs.last().is_some_and(|pack| readers.has(pack));
        let [action, audited] = from.fixed()?;
        let action = *Action::ALL.get(usize::from(action))?;
        let (last, held_since) = (from.millis()?, from.millis()?);
        let offset = i64::from_be_bytes(from.fixed()?);
        let (next, chunks) = (from.number()?, from.number()?);
        let high = from.number()?.checked_sub(1).and_then(|high| u16::try_from(high).ok());
        let released: [u8; STATE_BYTES] = from.fixed()?;
        let (_, blocks) = released.split_at_checked(32)?;
        // The hash counts bits in 64 bits; more blocks than that were never hashed.
        let blocks = u64::from_le_bytes(*blocks.first_chunk::<8>()?);
        if blocks >= 1 << 48 {
            return None;
        }
        let released = Sha256::deserialize(&SerializedState::<Sha256>::from(released)).ok()?;
        let mut known = [[0; 8]; KNOWN_CHUNKS];
        for hash in &mut known {
            *hash = from.fixed()?;
        }
        let event_id = from.text()?;
        let tags: Option<Vec<[u8; 8]>> = (0..from.number()?).map(|_| from.fixed()).collect();
        let cutter = Cutter::restore(&mut from)?;
        let since = if same { Since::SamePack } else { Since::OtherPack };
        let text = Stream::restore(&mut from, since)?;
        let mut open = Self {
            who,
            carrier,
            packs,
            event_id,
            offset,
            last,
            next,
            chunks,
            known,
            held_since,
            high,
            text,
            cutter,
            tags: tags?.into_flattened(),
            released,
            action,
            audited: audited == 1,
        };
        if !same {
            open.read_by(readers.in_force());
        }
        Some(open)
    }

    /// Remembers a chunk, to know it again. Its place is part of the hash.
    pub(super) fn learn(&mut self, seq: u64, hash: [u8; 8]) {
        self.known[(seq % KNOWN_CHUNKS as u64) as usize] = hash;
    }

    /// Whether an earlier chunk was this one.
    pub(super) fn knows(&self, seq: u64, hash: [u8; 8]) -> bool {
        self.known[(seq % KNOWN_CHUNKS as u64) as usize] == hash
    }

    /// Names the pack that reads it from now on.
    pub(super) fn read_by(&mut self, pack: &str) {
        if self.packs.last().is_none_or(|last| last != pack) {
            self.packs.push(pack.to_owned());
            if self.packs.len() > PACKS_MAX {
                self.packs.remove(1);
            }
        }
    }

    /// When a timer is to look at it, and what it then finds.
    pub(super) fn deadline(&self, limits: &Limits) -> (Millis, TickKind) {
        let idle = self.last.plus(limits.stream_idle_ms);
        let held = self.held_since.plus(limits.stream_hold_ms);
        if self.text.settled() < self.text.len() && held < idle {
            (held, TickKind::Held)
        } else {
            (idle, TickKind::Idle)
        }
    }

    /// An event that stands for what happens when no chunk comes.
    pub(super) fn event(&self) -> Event<'static> {
        let Who { stream, tenant, agent, agent_type, session, user } = self.who.clone();
        let mut event =
            Event::new(Kind::OutputChunk, self.event_id.clone().into(), agent.into(), self.last);
        event.tenant = tenant.into();
        event.agent_type = agent_type.map(Into::into);
        event.session = session.map(Into::into);
        event.user = user.map(Into::into);
        event.push_text("text".into(), "".into(), self.carrier);
        event.stream = Some(crate::event::Stream {
            id: stream.into(),
            seq: self.next,
            last: true,
            text: Some(0),
            halves: crate::event::Halves::default(),
        });
        event
    }
}

/// Entries are as long as a multiple of this.
const STEP: usize = 256;
/// Bytes of a hash that is not finished.
const STATE_BYTES: usize = size_of::<SerializedState<Sha256>>();
/// Numbers of rules mean the same only to the same program.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

impl Object for Open {
    /// The text stands last, and grows into what is left of a step: so most chunks leave the
    /// length as it is, and the changelog has only the few bytes that differ.
    fn encode(&self) -> Vec<u8> {
        let Who { stream, tenant, agent, agent_type, session, user } = &self.who;
        let out = Pack::new(VERSION)
            .text(stream)
            .text(tenant)
            .text(agent)
            .maybe(agent_type.as_deref())
            .maybe(session.as_deref())
            .maybe(user.as_deref())
            .bytes(&[self.carrier as u8])
            .text(PROGRAM)
            .texts(&self.packs)
            .bytes(&[self.action as u8, u8::from(self.audited)])
            .millis(self.last)
            .millis(self.held_since)
            .bytes(&self.offset.to_be_bytes())
            .number(self.next)
            .number(self.chunks)
            .number(self.high.map_or(0, |high| u64::from(high) + 1))
            .bytes(&self.released.serialize())
            .bytes(self.known.as_flattened())
            .text(&self.event_id)
            .number(self.tags.len() as u64 / 8)
            .bytes(&self.tags);
        let mut bytes = self.text.store(self.cutter.store(out)).done();
        bytes.resize(bytes.len().next_multiple_of(STEP), 0);
        bytes
    }
}

/// A streamed answer that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) how: End,
    pub(super) action: Action,
    pub(super) chunks: u64,
    pub(super) clean_through: u64,
}

impl Ended {
    pub(super) fn read(staged: &Staged<'_>, stream: &Key) -> Option<Self> {
        let mut from = Unpack::new(VERSION, staged.get(&ended_key(stream))?)?;
        let [how, action] = from.fixed()?;
        Some(Self {
            how: *End::ALL.get(usize::from(how))?,
            action: *Action::ALL.get(usize::from(action))?,
            chunks: from.number()?,
            clean_through: from.number()?,
        })
    }

    pub(super) fn keep(self, staged: &mut Staged<'_>, stream: &Key, limits: &Limits) {
        let key = ended_key(stream);
        if !staged.has(&key) {
            staged.make_room(owner::STREAM_ENDED, limits.streams);
        }
        let value = Pack::new(VERSION)
            .bytes(&[self.how as u8, self.action as u8])
            .number(self.chunks)
            .number(self.clean_through)
            .done();
        let deadline = staged.now().plus(limits.stream_keep_ms);
        staged.put(key, value, Some(deadline));
    }
}

fn ended_key(stream: &Key) -> Key {
    Key { owner: owner::STREAM_ENDED, id: stream.id.clone() }
}

/// Where a stream is kept.
pub(super) fn key(event: &Event<'_>, stream: &str) -> Key {
    Key::of(owner::STREAM, [&event.tenant, &event.agent, stream])
}

/// How many streams of an agent go on.
pub(super) fn count_of(staged: &Staged<'_>, tenant: &str, agent: &str) -> u64 {
    let key = Key::of(owner::STREAMS_OF, [tenant, agent]);
    let count = staged.get(&key).and_then(|bytes| Unpack::new(VERSION, bytes)?.number());
    count.unwrap_or_default()
}

/// Writes how many there are.
pub(super) fn set_count(staged: &mut Staged<'_>, who: &Who, count: u64) {
    let key = Key::of(owner::STREAMS_OF, [&who.tenant, &who.agent]);
    if count == 0 {
        staged.remove(key);
    } else {
        // Should an entry ever be lost without having been counted, this ends the error.
        let deadline = staged.now().plus(COUNT_KEPT_MS);
        staged.put(key, Pack::new(VERSION).number(count).done(), Some(deadline));
    }
}
