//! Streamed answers: what is found as chunks come, what may go, and when it ends.
//!
//! A chunk is read in three steps. [`begin`] takes the stream's state up, looks at the chunk's
//! place in it, and reads its text; what is certain now is judged like the findings of any event
//! (`decide`); [`Chunk::settle`] then lets go of what is settled, ends the stream where it must
//! end, and keeps its state. A stream for which no chunk comes is decided by [`Closing`], in the
//! same three steps, when a timer says so.
//!
//! | state | goes to |
//! |---|---|
//! | (none) | open with chunk 0; ended with any other, since text may be missing before it |
//! | open | open with the next chunk, or one that is known already; ended with the last one, a gap, a chunk that contradicts an earlier one, a finding that says so, silence, or too many streams |
//! | ended | itself with every chunk that comes late, until it is forgotten |

mod entry;
mod readers;

use std::sync::{Arc, LazyLock};

use sha2::{Digest as _, Sha256};

use crate::detect::Scan;
use crate::event::{Event, Halves, Kind, Millis, Stream};
use crate::finding::{Action, Confidence, Family, Finding, Severity, Source, standard_tags};
use crate::inspect::{Decision, Reason, Setup};
use crate::policy::{Mode, Orders};
use crate::redact::{Tags, is_redacted, written};
use crate::state::{Key, Staged, owner};

use entry::{Ended, Open, count_of, key, set_count};

pub use readers::Readers;

/// Why a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its last chunk has come.
    Last,
    /// Something was found, or a chunk did not follow on the one before.
    Cut,
    /// No chunk came for too long.
    Idle,
    /// There were too many streams, and it was silent for longest.
    Evicted,
}

impl End {
    /// Every end.
    pub const ALL: [Self; 4] = [Self::Last, Self::Cut, Self::Idle, Self::Evicted];

    /// The name in verdicts and audit records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Cut => "cut",
            Self::Idle => "idle",
            Self::Evicted => "evicted",
        }
    }
}

/// What happened to a stream without a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickKind {
    /// Text was held back for too long.
    Held,
    /// No chunk came for too long.
    Idle,
    /// There were too many streams, and it was silent for longest.
    Evicted,
}

impl TickKind {
    /// The name in verdicts and audit records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Idle => "idle",
            Self::Evicted => "evicted",
        }
    }

    /// Outputs of ticks carry the coordinates of the stream's last chunk, whose own have number 0.
    #[must_use]
    pub fn ordinal(self) -> u32 {
        match self {
            Self::Held => 1,
            Self::Idle => 2,
            Self::Evicted => 3,
        }
    }
}

/// A timer that decided about a stream: a replay must repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// What it found.
    pub kind: TickKind,
    /// When it was due, on the partition's clock.
    pub at: Millis,
}

/// What of a chunk goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clean {
    /// Nothing: there is no clean event.
    Nothing,
    /// The chunk's text as it came.
    Original,
    /// This, in place of the chunk's text.
    Text(String),
}

/// What became of a stream with a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Index of the chunk's text among the event's fields.
    pub field: u32,
    /// What goes on.
    pub clean: Clean,
    /// Bytes of the original text, from its beginning, that have been let go or cut.
    pub clean_through: u64,
    /// The strongest action so far, this chunk's included.
    pub action: Action,
    /// Chunks that were read.
    pub chunks: u64,
    /// Why it has ended, if it has.
    pub ended: Option<End>,
    /// Hashes of the packs that have read it, unless that is the one in force and no other.
    pub packs: Vec<String>,
    /// SHA-256 of all that was let go; there where an audit record is due.
    pub audit: Option<[u8; 32]>,
    /// The timer, where it was one.
    pub tick: Option<Tick>,
}

/// What became of streams, to be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamNotes {
    /// Chunks that came after their stream had ended.
    pub late: u32,
    /// Streams that ended, in the order of [`End::ALL`].
    pub ended: [u32; End::ALL.len()],
}

impl StreamNotes {
    /// Counts what a chunk or a timer did to its stream.
    pub fn count(&mut self, streamed: &Streamed) {
        match streamed.ended {
            // Only of a stream that ends now there is an audit record.
            Some(end) if streamed.audit.is_some() => self.ended[end as usize] += 1,
            Some(_) => self.late += 1,
            None => {}
        }
    }

    /// Adds what others did.
    pub fn add(&mut self, other: Self) {
        self.late += other.late;
        for (sum, more) in self.ended.iter_mut().zip(other.ended) {
            *sum += more;
        }
    }
}

/// How a chunk stands to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its text was read.
    Taken,
    /// It was not read, and ends the stream unless policy wants otherwise.
    Refused,
    /// It came before, or contradicts what came before and policy lets that pass: not read.
    Aside,
    /// The same chunk as before.
    Again,
    /// The stream has ended.
    Late(Ended),
}

/// A chunk on its way.
#[derive(Debug)]
pub struct Chunk {
    key: Key,
    pub(super) field: u32,
    standing: Standing,
    pub(super) tick: Option<Tick>,
    /// Whether text is held back: not in shadow, where everything passes as it came.
    holds: bool,
    /// Whether state knew the stream.
    known: bool,
    open: Option<Box<Open>>,
    found: Vec<Finding>,
    /// The text in which findings of this chunk stand, and where it begins.
    around: (usize, String),
    in_force: String,
}

/// Takes up a chunk's stream and reads its text. `None` for other events.
pub fn begin(
    with: (&Setup, &Orders),
    readers: &mut Readers<'_>,
    staged: &mut Staged<'_>,
    (event, offset): (&Event<'_>, i64),
) -> Option<Chunk> {
    let stream = event.stream.as_ref().filter(|_| event.kind == Kind::OutputChunk)?;
    let field = stream.text?;
    let carrier = event.fields.get(field as usize)?.carrier;
    let mut chunk = Chunk::new(with, readers, event, (key(event, &stream.id), field));
    if let Some(ended) = Ended::read(staged, &chunk.key) {
        chunk.standing = Standing::Late(ended);
        return Some(chunk);
    }
    let open = staged.take(&chunk.key, |bytes| Open::read(bytes, readers));
    chunk.known = staged.has(&chunk.key);
    let hash = chunk_hash(event, stream, field);
    let next = open.as_ref().map_or(0, |open| open.next);
    let mut open = open.unwrap_or_else(|| Box::new(Open::begin(event, carrier, staged.now())));
    let of_agent =
        || count_of(staged, &event.tenant, &event.agent) >= with.0.limits.streams_per_agent;
    let trouble = if stream.seq < next {
        if open.knows(stream.seq, hash) {
            chunk.standing = Standing::Again;
            chunk.open = Some(open);
            return Some(chunk);
        }
        Some(&CONFLICT)
    } else if stream.seq > next {
        Some(&GAP)
    } else if !chunk.known && of_agent() {
        Some(&TOO_MANY_OF_AGENT)
    } else {
        None
    };
    if let Some(trouble) = trouble {
        let finding = Finding::whole(Arc::clone(trouble), Confidence::High);
        let passes = passes(with, event, &finding);
        chunk.found.push(finding);
        if !passes || stream.seq < next {
            chunk.standing = if passes { Standing::Aside } else { Standing::Refused };
            chunk.open = Some(open);
            return Some(chunk);
        }
    }
    open.next = stream.seq.saturating_add(1);
    open.learn(stream.seq, hash);
    (open.offset, open.last) = (offset, staged.now());
    event.id.as_ref().clone_into(&mut open.event_id);
    chunk.read(readers, open, event, stream);
    Some(chunk)
}

/// Whether a finding is one that policy lets pass.
fn passes((setup, orders): (&Setup, &Orders), event: &Event<'_>, finding: &Finding) -> bool {
    let ruling = setup.policy.ruling(event, finding);
    let mode = orders.mode(event).unwrap_or(ruling.mode);
    mode == Mode::Shadow || ruling.action < Action::Replace
}

/// A stream that must make room for a new one.
#[must_use]
pub fn crowded_out(setup: &Setup, staged: &mut Staged<'_>, event: &Event<'_>) -> Option<Key> {
    let stream = event.stream.as_ref().filter(|_| event.kind == Kind::OutputChunk)?;
    if staged.count(owner::STREAM) < setup.limits.streams.max(1) {
        return None;
    }
    let key = key(event, &stream.id);
    let new = !staged.has(&key) && Ended::read(staged, &key).is_none();
    staged.first(owner::STREAM).map(|(_, oldest)| oldest).filter(|_| new)
}

/// Ends a stream of which something could not be written.
pub fn abandon(setup: &Setup, staged: &mut Staged<'_>, readers: &Readers<'_>, event: &Event<'_>) {
    let Some(stream) = &event.stream else { return };
    let key = key(event, &stream.id);
    if let Some(open) = staged.take(&key, |bytes| Open::read(bytes, readers)) {
        open.end(setup, staged, key, (End::Cut, true));
    }
}

impl Open {
    /// Remembers no more of it than that it has ended; `known` where state knew it.
    fn end(&self, setup: &Setup, staged: &mut Staged<'_>, key: Key, (how, known): (End, bool)) {
        let ended = Ended {
            how,
            action: self.action,
            chunks: self.chunks,
            clean_through: self.cutter.released() as u64,
        };
        ended.keep(staged, &key, &setup.limits);
        if known {
            staged.remove(key);
            let count = count_of(staged, &self.who.tenant, &self.who.agent);
            set_count(staged, &self.who, count.saturating_sub(1));
        }
    }

    fn keep(self: Box<Self>, setup: &Setup, staged: &mut Staged<'_>, key: Key, known: bool) {
        if !known {
            let count = count_of(staged, &self.who.tenant, &self.who.agent);
            set_count(staged, &self.who, count + 1);
        }
        let (deadline, _) = self.deadline(&setup.limits);
        staged.keep(key, self, Some(deadline));
    }
}

/// A chunk's content, to know it again.
fn chunk_hash(event: &Event<'_>, stream: &Stream<'_>, field: u32) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(stream.seq.to_be_bytes());
    hash.update([u8::from(stream.last)]);
    let Stream { halves, .. } = stream;
    hash.update(halves.low.unwrap_or_default().to_be_bytes());
    hash.update(halves.high.unwrap_or_default().to_be_bytes());
    hash.update(event.fields.get(field as usize).map_or("", |field| &field.text));
    hash.finalize().first_chunk::<8>().copied().unwrap_or_default()
}

impl Chunk {
    fn new(
        (setup, orders): (&Setup, &Orders),
        readers: &Readers<'_>,
        event: &Event<'_>,
        (key, field): (Key, u32),
    ) -> Self {
        let holds = match orders.mode(event) {
            Some(mode) => mode == Mode::Enforce,
            None => setup.policy.may_enforce(event),
        };
        Self {
            key,
            field,
            standing: Standing::Taken,
            tick: None,
            holds,
            known: false,
            open: None,
            found: Vec::new(),
            around: (0, String::new()),
            in_force: readers.in_force().to_owned(),
        }
    }

    fn read(
        &mut self,
        readers: &mut Readers<'_>,
        mut open: Box<Open>,
        event: &Event<'_>,
        stream: &Stream<'_>,
    ) {
        let text = event.fields.get(self.field as usize).map_or("", |field| &field.text);
        let more = whole(&mut open.high, text, stream);
        open.chunks += 1;
        if !self.known {
            open.read_by(readers.in_force());
        }
        let pack = open.packs.last().cloned().unwrap_or_default();
        let found = readers.with(&pack, open.carrier, |streamer| {
            let mut found = streamer.push(&mut open.text, &more);
            if stream.last {
                found.extend(streamer.finish(&mut open.text));
            }
            found.extend(streamer.limits(&mut open.text));
            found
        });
        if let Ok(found) = found {
            self.take(&open, found);
        } else {
            self.standing = Standing::Refused;
            self.found.push(Finding::whole(Arc::clone(&NO_AUTOMATON), Confidence::High));
        }
        self.open = Some(open);
    }

    /// Takes what was found in the text, but for what redaction once wrote there.
    fn take(&mut self, open: &Open, found: Vec<Finding>) {
        if found.is_empty() {
            return;
        }
        let from = open.cutter.released();
        self.around = (from, open.text.text_from(from).to_owned());
        for mut finding in found {
            if self.text_of(&finding).is_some_and(is_redacted) {
                continue;
            }
            finding.field = finding.field.map(|_| self.field);
            self.found.push(finding);
        }
    }

    /// Leaves out what stands in text behind the place where the stream ends: smaller chunks would
    /// never have brought it.
    pub(super) fn until_its_end(&self, reasons: &mut Vec<Reason>) {
        if let Some(end) = self.end_in_text(reasons) {
            let behind = |reason: &Reason| {
                self.holds_text(&reason.finding) && reason.finding.span.start > end
            };
            reasons.retain(|reason| !behind(reason));
        }
    }

    /// Where the first finding stands that ends the stream, where there is one.
    fn end_in_text(&self, reasons: &[Reason]) -> Option<usize> {
        let ends = reasons.iter().filter(|reason| {
            reason.mode == Mode::Enforce
                && reason.action >= Action::Replace
                && self.holds_text(&reason.finding)
        });
        ends.map(|reason| reason.finding.span.start).min()
    }

    /// Whether it is decided without being read.
    pub(super) fn is_aside(&self) -> bool {
        self.is_late() || self.standing == Standing::Again
    }

    /// Whether its stream has ended.
    pub(super) fn is_late(&self) -> bool {
        matches!(self.standing, Standing::Late(_))
    }

    /// Whether a finding stands in the streamed text, which has places of its own.
    pub(super) fn holds_text(&self, finding: &Finding) -> bool {
        finding.field == Some(self.field)
    }

    /// The text that a finding in this stream covers.
    pub(super) fn text_of(&self, finding: &Finding) -> Option<&str> {
        let (from, text) = &self.around;
        let (start, end) = (finding.span.start, finding.span.end);
        text.get(start.checked_sub(*from)?..end.checked_sub(*from)?)
    }

    /// The event's own scan, which has left the chunk's text out, and what was found in that.
    #[must_use]
    pub fn join(&self, event: &Event<'_>, scan: &Scan) -> Scan {
        let mut joined = scan.clone();
        joined.findings.extend(self.found.iter().cloned());
        joined.findings.sort_by(Finding::by_place);
        let bytes = event.fields.get(self.field as usize).map_or(0, |field| field.text.len());
        let coverage = &mut joined.coverage;
        coverage.bytes += bytes as u64;
        if let (Standing::Taken, Some(open)) = (self.standing, &self.open) {
            let of_stream = open.text.coverage();
            if of_stream.scanned > 0 || of_stream.bytes == 0 {
                coverage.scanned += bytes as u64;
            }
            coverage.truncated |= of_stream.truncated;
            for view in of_stream.views {
                if !coverage.views.contains(&view) {
                    coverage.views.push(view);
                }
            }
        }
        joined
    }

    /// Lets go of what is settled, ends the stream where it must end, and keeps what is to be known
    /// of it.
    #[must_use]
    pub fn settle(
        mut self,
        setup: &Setup,
        staged: &mut Staged<'_>,
        event: &Event<'_>,
        decision: &Decision<'_>,
    ) -> Streamed {
        let passes = !(decision.enforced && decision.action >= Action::Retry);
        let Some(mut open) = self.open.take() else { return self.late(decision) };
        open.action = open.action.max(decision.action);
        let ending = self.ending(decision);
        let mut clean = match self.standing {
            Standing::Taken => {
                let clean = self.release(setup, staged, event, (&mut open, decision), ending);
                if clean == Clean::Text(String::new()) && !passes { Clean::Nothing } else { clean }
            }
            Standing::Again | Standing::Aside | Standing::Refused | Standing::Late(_) => {
                if self.holds { Clean::Text(String::new()) } else { Clean::Original }
            }
        };
        // In shadow there is nothing but what senders wrote.
        let nothing_left =
            self.tick.is_some() && !self.holds && clean == Clean::Text(String::new());
        if ending == Ending::Whole || nothing_left {
            clean = Clean::Nothing;
        }
        if let (Ending::From(_), Some(notice)) = (ending, &decision.replacement)
            && let Clean::Text(text) = &mut clean
        {
            text.push_str(notice);
        }
        let text = event.fields.get(self.field as usize).map_or("", |field| &field.text);
        match &clean {
            Clean::Nothing => {}
            Clean::Original => open.released.update(text),
            Clean::Text(text) => open.released.update(text),
        }
        // Half a character is not passed on: not every reader of JSON takes one.
        let halves = event.stream.as_ref().map(|stream| stream.halves).unwrap_or_default();
        let is_whole = halves == Halves::default() || !self.holds;
        if is_whole && self.tick.is_none() && clean == Clean::Text(text.to_owned()) {
            clean = Clean::Original;
        }
        let last = event.stream.as_ref().is_some_and(|stream| stream.last);
        let read = self.standing == Standing::Taken;
        let ended = match (ending, self.tick.map(|tick| tick.kind)) {
            (_, Some(TickKind::Evicted)) => Some(End::Evicted),
            (Ending::From(_) | Ending::Whole, _) => Some(End::Cut),
            (Ending::Not, Some(TickKind::Idle)) => Some(End::Idle),
            (Ending::Not, Some(TickKind::Held)) => None,
            (Ending::Not, None) => (last && read).then_some(End::Last),
        };
        let first = decision.action > Action::Allow && !open.audited;
        open.audited |= first;
        let audit = (ended.is_some() || first).then(|| open.released.clone().finalize().into());
        let only = open.packs.iter().all(|pack| *pack == self.in_force);
        let streamed = Streamed {
            field: self.field,
            clean,
            clean_through: open.cutter.released() as u64,
            action: open.action,
            chunks: open.chunks,
            ended,
            packs: if only { Vec::new() } else { open.packs.clone() },
            audit,
            tick: self.tick,
        };
        match ended {
            Some(how) => open.end(setup, staged, self.key, (how, self.known)),
            None => open.keep(setup, staged, self.key, self.known),
        }
        streamed
    }

    /// Lets go of what is settled.
    fn release(
        &self,
        setup: &Setup,
        staged: &mut Staged<'_>,
        event: &Event<'_>,
        (open, decision): (&mut Open, &Decision<'_>),
        ending: Ending,
    ) -> Clean {
        let begin = open.cutter.released();
        if ending == Ending::Whole {
            return Clean::Nothing;
        }
        if !self.holds {
            let out = open.text.text_from(begin).to_owned();
            open.cutter.pass(open.text.len());
            open.text.keep_from(open.text.len());
            open.held_since = staged.now();
            return Clean::Text(out);
        }
        for reason in &decision.reasons {
            let cut = reason.action == Action::Redact && reason.mode == Mode::Enforce;
            if cut && reason.finding.field == Some(self.field) {
                let Finding { source, confidence, span, .. } = &reason.finding;
                open.cutter.add(source, *confidence, *span);
            }
        }
        let settled = match ending {
            Ending::From(start) => open.text.settled().min(start),
            Ending::Not | Ending::Whole => open.text.settled(),
        };
        let key = setup.keys.redaction.as_ref();
        let mut tags = Tags::of_stream(key, staged, event, &open.tags);
        let rest = open.text.text_from(begin);
        let out = open.cutter.release(rest, settled, |kind, value| {
            written(setup.policy.operator(kind), kind, value, &mut tags)
        });
        open.tags = tags.of_text().to_vec();
        let deadline = staged.now().plus(setup.limits.session_idle_ms);
        tags.keep(staged, deadline, setup.limits.sessions);
        let released = open.cutter.released();
        open.text.keep_from(released);
        let moved = released > begin || released == open.text.len();
        if moved && self.tick.is_none() {
            open.held_since = staged.now();
        }
        Clean::Text(out)
    }

    /// Whether the stream ends here, and from where on nothing of its text goes on.
    fn ending(&self, decision: &Decision<'_>) -> Ending {
        let stops = |reason: &Reason| {
            reason.mode == Mode::Enforce
                && reason.action >= Action::Retry
                && !self.holds_text(&reason.finding)
        };
        if self.standing == Standing::Refused || decision.reasons.iter().any(stops) {
            return Ending::Whole;
        }
        match self.end_in_text(&decision.reasons) {
            Some(start) => Ending::From(start),
            None => Ending::Not,
        }
    }

    /// Of a stream that has ended.
    fn late(&self, decision: &Decision<'_>) -> Streamed {
        let (ended, how) = match self.standing {
            Standing::Late(ended) => (ended, Some(ended.how)),
            _ => (
                Ended { how: End::Cut, action: decision.action, chunks: 0, clean_through: 0 },
                None,
            ),
        };
        Streamed {
            field: self.field,
            clean: if decision.enforced && decision.action >= Action::Retry {
                Clean::Nothing
            } else {
                Clean::Original
            },
            clean_through: ended.clean_through,
            action: ended.action,
            chunks: ended.chunks,
            ended: how,
            packs: Vec::new(),
            audit: None,
            tick: None,
        }
    }
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It goes on.
    Not,
    /// From this place on nothing goes on.
    From(usize),
    /// Nothing more goes on.
    Whole,
}

/// The chunk's text with characters made whole that were cut in two between chunks.
fn whole(high: &mut Option<u16>, text: &str, stream: &Stream<'_>) -> String {
    let lone = char::REPLACEMENT_CHARACTER;
    let mut more = String::with_capacity(text.len() + 4);
    let mut text = text;
    if let Some(high) = high.take() {
        let pair = stream
            .halves
            .low
            .and_then(|low| char::decode_utf16([high, low]).next().and_then(Result::ok));
        if pair.is_some() {
            text = text.strip_prefix(lone).unwrap_or(text);
        }
        more.push(pair.unwrap_or(lone));
    }
    if !stream.last && stream.halves.high.is_some() {
        *high = stream.halves.high;
        text = text.strip_suffix(lone).unwrap_or(text);
    }
    more.push_str(text);
    more
}

/// Why a stream is looked at without a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its deadline was then.
    Due(Millis),
    /// It must make room for another.
    Crowded,
}

/// A stream that a timer looks at.
#[derive(Debug)]
pub struct Closing {
    /// Stands for the chunk that did not come.
    pub event: Event<'static>,
    /// Offset of the last chunk that came.
    pub offset: i64,
    /// What was found in the text that was held back.
    pub scan: Scan,
    /// The stream.
    pub chunk: Chunk,
}

impl Closing {
    /// Takes a stream up whose deadline has come, or that must make room. `None` where there is
    /// none that can be read.
    pub fn begin(
        with: (&Setup, &Orders),
        readers: &mut Readers<'_>,
        staged: &mut Staged<'_>,
        (key, why): (&Key, Why),
    ) -> Option<Self> {
        let Some(mut open) = staged.take(key, |bytes| Open::read(bytes, readers)) else {
            staged.remove(key.clone());
            return None;
        };
        let tick = match why {
            Why::Due(at) => Tick { kind: open.deadline(&with.0.limits).1, at },
            Why::Crowded => Tick { kind: TickKind::Evicted, at: staged.now() },
        };
        let mut event = open.event();
        if let Some(stream) = event.stream.as_mut().filter(|_| tick.kind == TickKind::Held) {
            // It goes on: the next place is the next chunk's.
            (stream.seq, stream.last) = (stream.seq.saturating_sub(1), false);
        }
        let mut chunk = Chunk::new(with, readers, &event, (key.clone(), 0));
        chunk.known = true;
        chunk.tick = Some(tick);
        if tick.kind == TickKind::Evicted {
            let finding = Finding::whole(Arc::clone(&TOO_MANY), Confidence::High);
            chunk.found.push(finding);
        }
        let high = if tick.kind == TickKind::Held { None } else { open.high.take() };
        let pack = open.packs.last().cloned().unwrap_or_default();
        let found = readers.with(&pack, open.carrier, |streamer| {
            let mut found = Vec::new();
            if tick.kind == TickKind::Held {
                found.extend(streamer.give_up(&mut open.text));
            } else {
                if high.is_some() {
                    let lone = char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]).to_owned();
                    found.extend(streamer.push(&mut open.text, &lone));
                }
                found.extend(streamer.finish(&mut open.text));
            }
            found.extend(streamer.limits(&mut open.text));
            found
        });
        match found {
            Ok(found) => chunk.take(&open, found),
            Err(_) => chunk.found.push(Finding::whole(Arc::clone(&NO_AUTOMATON), Confidence::High)),
        }
        if tick.kind == TickKind::Held {
            open.held_since = tick.at;
        }
        let offset = open.offset;
        let scan = Scan { findings: chunk.found.clone(), coverage: open.text.coverage() };
        chunk.open = Some(open);
        Some(Self { event, offset, scan, chunk })
    }
}

fn source(rule: &str, severity: Severity, message: &str) -> Arc<Source> {
    Arc::new(Source {
        rule: rule.to_owned(),
        family: Family::System,
        kind: rule.to_owned(),
        severity,
        message: message.to_owned(),
        action: None,
        tags: standard_tags(rule),
    })
}

type Check = LazyLock<Arc<Source>>;

static GAP: Check = LazyLock::new(|| {
    let message = "chunks are missing before this one, or they came out of order";
    source("limit.stream_gap", Severity::Medium, message)
});

static CONFLICT: Check = LazyLock::new(|| {
    let message = "another chunk came in this place of the stream before";
    source("limit.stream_conflict", Severity::Medium, message)
});

static TOO_MANY_OF_AGENT: Check = LazyLock::new(|| {
    let message = "the agent has more streams open than are kept for one";
    source("limit.streams_per_agent", Severity::Medium, message)
});

static TOO_MANY: Check = LazyLock::new(|| {
    let message = "there are more streams open than are kept, and this one was silent for longest";
    source("limit.streams", Severity::Medium, message)
});

static NO_AUTOMATON: Check = LazyLock::new(|| {
    let message = "the rules are too large for one automaton, which streams need";
    source("limit.stream_rules", Severity::High, message)
});

pub(super) static LATE: Check = LazyLock::new(|| {
    let message = "the stream has ended; nothing more of it goes on";
    source("stream.ended", Severity::Info, message)
});
