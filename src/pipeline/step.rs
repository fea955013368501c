//! One record in, the records that it causes out: all that a lane does between poll and commit.
//!
//! Pure and in two halves. [`Step::scan`] has no state, may run on any thread, and its
//! result outlives an aborted transaction. [`Step::record`] runs in offset order on the
//! staged state. The lane, the in-memory log, `scan --input events` and the sequential
//! run that tests compare with ([`Sequential`]) all call these same functions.

mod outputs;
mod sequential;

use std::borrow::Cow;

use crate::alert;
use crate::audit::{Head, InForce, Signer};
use crate::detect::{Scan, Scratch};
use crate::event::{Event, Kind, Millis};
use crate::finding::Action;
use crate::inspect::{
    At, Closing, Incoming, Notes, Prints, Readers, Setup, StreamNotes, Table, Why, abandon, accept,
    approve, begin, behavior_folding, crowded_out, decide, decide_tick, forget, grant, item,
    partition_of, prints, reset, resume, second_look,
};
use crate::pipeline::asking::{Asked, Asking, Second};
use crate::pipeline::log::{InRecord, OutRecord};
use crate::pipeline::rekey::cut;
use crate::policy::{Command, Order, Orders, Policy};
use crate::state::{self, Item, Key, Partition, Staged, owner};
use crate::wire::alert::Format;
use crate::wire::dlq::Stage;
use crate::wire::event::{FieldMap, ReadLimits, Unreadable, read};

use outputs::Outputs;

pub use sequential::{Sequential, run_sequential};

/// All that stays the same for a batch.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of the events topic; ids are made from it.
    pub topic: String,
    /// Name of the control topic, for audit.
    pub control_topic: String,
    /// How many partitions the events topic has; 0 where agents are not spread over partitions.
    pub partitions: u32,
    /// Policy, keys and limits of deciding.
    pub setup: Setup,
    /// Hash of the pack in force.
    pub pack: String,
    /// How foreign JSON is read.
    pub map: FieldMap,
    /// What reading one record may cost.
    pub read: ReadLimits,
    /// No record is written that is larger, headers and key included.
    pub message_bytes_max: usize,
    /// Whether audit records are chained; they cannot be where delivery is at least once.
    pub chain: bool,
    /// Signs anchors of the audit chain.
    pub signer: Option<Signer>,
    /// Alerts as OCSF or ECS.
    pub alerts: Format,
}

/// A record, read and scanned: everything that needs no state.
#[derive(Debug)]
pub struct Scanned<'r> {
    read: Result<Readable<'r>, Refused>,
}

impl Scanned<'_> {
    /// The same with bytes of its own, for where it is moved along with its record.
    #[must_use]
    pub fn into_owned(self) -> Scanned<'static> {
        let read = self.read.map(|Readable { event, item, scan, prints, asked }| Readable {
            event: event.into_owned(),
            item,
            scan,
            prints,
            asked,
        });
        Scanned { read }
    }

    /// Lets somebody add to what was found, before it is decided; nothing happens where the
    /// record could not be read.
    pub fn with<R>(&mut self, add: impl FnOnce(&Event<'_>, &mut Scan) -> R) -> Option<R> {
        let Readable { event, scan, .. } = self.read.as_mut().ok()?;
        Some(add(event, scan))
    }

    /// Hands its texts to a classifier.
    pub(super) fn ask(&mut self, asking: &Asking) {
        if let Ok(readable) = &mut self.read {
            readable.asked = asking.ask(&readable.event, &mut readable.scan);
        }
    }

    /// Takes what the classifier has to say by now.
    pub(super) fn settle(&mut self, asking: &Asking, record: &InRecord, policy: &Policy) {
        if let Ok(Readable { event, scan, asked, .. }) = &mut self.read
            && let Some(asked) = asked.take()
        {
            asking.settle(&asked, (record.partition, record.offset), event, scan, policy);
        }
    }
}

#[derive(Debug)]
struct Readable<'r> {
    event: Event<'r>,
    item: Item,
    scan: Scan,
    /// What of it may be known from other sessions.
    prints: Prints,
    /// Scores that are still to come.
    asked: Option<Asked>,
}

/// A record that is turned away without being inspected.
#[derive(Debug)]
struct Refused {
    stage: Stage,
    reason: &'static str,
    unreadable: Unreadable,
}

/// What a record came to, for counters; the records themselves say the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was decided.
    pub action: Action,
    /// Whether it is carried out.
    pub enforced: bool,
    /// Why the record went to the dead letter queue, where it did.
    pub dead: Option<&'static str>,
    /// Oddities.
    pub notes: Notes,
}

impl From<Action> for Outcome {
    /// A readable event with nothing odd about it.
    fn from(action: Action) -> Self {
        Self { action, enforced: true, dead: None, notes: Notes::default() }
    }
}

/// Takes the text out of a chunk; gives the field's index with it.
fn take_chunk<'r>(event: &mut Event<'r>) -> Option<(usize, Cow<'r, str>)> {
    let stream = event.stream.as_ref().filter(|_| event.kind == Kind::OutputChunk)?;
    let at = stream.text? as usize;
    let field = event.fields.get_mut(at)?;
    Some((at, std::mem::take(&mut field.text)))
}

impl Step {
    /// With the shipped policy and everything else as the configuration ships it.
    #[must_use]
    pub fn new(topic: impl Into<String>, partitions: u32, pack: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            control_topic: "weir.control".to_owned(),
            partitions,
            setup: Setup::default(),
            pack: pack.into(),
            map: FieldMap::default(),
            read: ReadLimits::default(),
            message_bytes_max: 1_000_000,
            chain: true,
            signer: None,
            alerts: Format::Ocsf,
        }
    }

    /// The stateless half.
    pub fn scan<'r>(&self, scratch: &mut Scratch<'_>, record: &'r InRecord) -> Scanned<'r> {
        if let Some(reason) = cut(record) {
            return self.refuse(record, reason);
        }
        let read = match record.value.as_deref() {
            None => Err(Unreadable::no_value()),
            Some(value) => read(value, &self.map, &self.read).map(|mut event| {
                let item = item(&event, value);
                // A chunk's text is read with its stream, in offset order.
                let text = take_chunk(&mut event);
                let scan = scratch.scan(&event);
                let prints = prints(&self.setup, &event, &scan, None);
                if let Some((at, text)) = text
                    && let Some(field) = event.fields.get_mut(at)
                {
                    field.text = text;
                }
                Readable { event, item, scan, prints, asked: None }
            }),
        };
        let read = read.map_err(|unreadable| Refused {
            stage: Stage::Read,
            reason: unreadable.reason.name(),
            unreadable,
        });
        Scanned { read }
    }

    /// Stands in for [`Step::scan`] where the record must be turned away whatever it holds,
    /// because inspecting or writing it failed. It is blocked and goes to the dead letter queue.
    #[must_use]
    pub fn refuse(&self, record: &InRecord, reason: &'static str) -> Scanned<'static> {
        let mut unreadable = Unreadable::no_value();
        unreadable.message = format!("the record could not be handled: {reason}");
        // Reading names no rule and cannot be what failed: whose record it was is still told.
        match record.value.as_deref().map(|value| read(value, &self.map, &self.read)) {
            None => {}
            Some(Ok(event)) => {
                unreadable.id = Some(event.id.into_owned());
                unreadable.agent = Some(event.agent.into_owned());
                unreadable.tenant = Some(event.tenant.into_owned());
            }
            Some(Err(Unreadable { id, agent, tenant, .. })) => {
                (unreadable.id, unreadable.agent, unreadable.tenant) = (id, agent, tenant);
            }
        }
        Scanned { read: Err(Refused { stage: Stage::Inspect, reason, unreadable }) }
    }

    /// [`Step::record_among`] without other partitions.
    pub fn record(
        &self,
        staged: &mut Staged<'_>,
        (orders, readers): (&Orders, &mut Readers<'_>),
        record: &InRecord,
        scanned: &Scanned<'_>,
        took_us: u64,
        out: &mut Vec<OutRecord>,
    ) -> Outcome {
        self.record_among(staged, ((Table::NONE, orders), readers), record, scanned, took_us, out)
    }

    /// The half in offset order: moves the partition's clock, fires what is due, decides,
    /// and appends every record that this one causes. `took_us` goes into the verdict. What
    /// other partitions know and what operators ordered is that of an instant before.
    pub fn record_among(
        &self,
        staged: &mut Staged<'_>,
        ((shared, orders), readers): ((&Table, &Orders), &mut Readers<'_>),
        record: &InRecord,
        scanned: &Scanned<'_>,
        took_us: u64,
        out: &mut Vec<OutRecord>,
    ) -> Outcome {
        // Before the clock moves: what a timer writes is the same whether a record comes or not.
        let until = staged.now().max(record.timestamp);
        let mut notes = self.timers(staged, (orders, readers), record.partition, until, out);
        let now = staged.advance(record.timestamp);
        staged.set_partitions(self.partitions);
        let at = At { topic: &self.topic, partition: record.partition, offset: record.offset, now };
        let outputs = Outputs { step: self, record, at, control: orders.offset, took_us };
        if let Some(before) = InForce::put(staged, &self.pack, &self.setup.policy.hash) {
            outputs.swapped(staged, &before, out);
        }
        let Readable { event, item, scan, prints, .. } = match &scanned.read {
            Err(refused) => {
                let mut outcome = outputs.refused(staged, refused, out);
                outcome.notes.streams = notes;
                return outcome;
            }
            Ok(readable) => readable,
        };
        let (item, partitions) = (*item, self.partitions);
        while let Some(key) = crowded_out(&self.setup, staged, event) {
            let evicted = (&key, Why::Crowded);
            self.tick(staged, (orders, readers), record.partition, evicted, (&mut notes, out));
        }
        let place = (event, record.offset);
        let Some(chunk) = begin((&self.setup, orders), readers, staged, place) else {
            let chunk = None;
            let incoming = Incoming { event, at, item, partitions, scan, prints, shared, chunk };
            let mut decision = decide(&self.setup, orders, staged, &incoming);
            decision.notes.streams = notes;
            return outputs.decided(staged, event, decision, out);
        };
        let joined = chunk.join(event, scan);
        let prints = crate::inspect::prints(&self.setup, event, &joined, Some(&chunk));
        let incoming = Incoming {
            event,
            at,
            item,
            partitions,
            scan: &joined,
            prints: &prints,
            shared,
            chunk: Some(&chunk),
        };
        let mut decision = decide(&self.setup, orders, staged, &incoming);
        let streamed = chunk.settle(&self.setup, staged, event, &decision);
        notes.count(&streamed);
        (decision.stream, decision.notes.streams) = (Some(streamed), notes);
        let outcome = outputs.decided(staged, event, decision, out);
        if outcome.dead.is_some() {
            abandon(&self.setup, staged, readers, event);
        }
        outcome
    }

    /// Decides about a stream for which no chunk came.
    fn tick(
        &self,
        staged: &mut Staged<'_>,
        (orders, readers): (&Orders, &mut Readers<'_>),
        partition: i32,
        what: (&Key, Why),
        (notes, out): (&mut StreamNotes, &mut Vec<OutRecord>),
    ) {
        let with = (&self.setup, orders);
        let Some(closing) = Closing::begin(with, readers, staged, what) else { return };
        let Closing { event, offset, scan, chunk } = closing;
        let at = At { topic: &self.topic, partition, offset, now: staged.now() };
        let incoming = Incoming {
            event: &event,
            at,
            item: Item { id: 0, content: 0 },
            partitions: 0,
            scan: &scan,
            prints: Prints::NONE,
            shared: Table::NONE,
            chunk: Some(&chunk),
        };
        let mut decision = decide_tick(&self.setup, orders, staged, &incoming);
        let streamed = chunk.settle(&self.setup, staged, &event, &decision);
        notes.count(&streamed);
        decision.stream = Some(streamed);
        // Stands for the record that did not come.
        let record = InRecord {
            partition,
            offset,
            timestamp: at.now,
            key: Some(event.agent.as_bytes().to_vec()),
            value: None,
            headers: Vec::new(),
        };
        let control = orders.offset;
        let outputs = Outputs { step: self, record: &record, at, control, took_us: 0 };
        if let Some(before) = InForce::put(staged, &self.pack, &self.setup.policy.hash) {
            outputs.swapped(staged, &before, out);
        }
        outputs.decided(staged, &event, decision, out);
    }

    /// Fires every timer of the partition that is due at `until`, in order: before the first
    /// record past them, or at the end of an idle partition. The partition's clock stays.
    pub fn timers(
        &self,
        staged: &mut Staged<'_>,
        (orders, readers): (&Orders, &mut Readers<'_>),
        partition: i32,
        until: Millis,
        out: &mut Vec<OutRecord>,
    ) -> StreamNotes {
        let mut notes = StreamNotes::default();
        while let Some((deadline, key)) = staged.due(until) {
            match key.owner {
                owner::EPISODE => {
                    let idle_ms = behavior_folding(&self.setup.limits).idle_ms;
                    if let Some(alert) = alert::due(staged, key, deadline, idle_ms) {
                        out.push(outputs::alert(self, partition, &alert, Vec::new()));
                    }
                }
                owner::TAINT | owner::TAINT_TEXT | owner::CROWD => {
                    out.extend(forget(staged, key).map(|told| outputs::share(partition, told)));
                }
                owner::STREAM => {
                    let what = (&key, Why::Due(deadline));
                    self.tick(staged, (orders, readers), partition, what, (&mut notes, out));
                }
                // A session or a count that nobody has touched for long enough is forgotten.
                _ => staged.remove(key),
            }
        }
        notes
    }

    /// Tells the SOC of trouble of this process itself, along with a record. `at` names the
    /// trouble: the partition's state remembers the last one, and each is told once.
    pub fn trouble(
        &self,
        staged: &mut Staged<'_>,
        record: &InRecord,
        at: Millis,
        message: &str,
        out: &mut Vec<OutRecord>,
    ) {
        let key = Key { owner: owner::AUDIT, id: b"told".to_vec() };
        let value = state::codec::Pack::new(1).millis(at).done();
        if staged.get(&key) == Some(&*value) {
            return;
        }
        staged.put(key, value, None);
        staged.advance(record.timestamp);
        outputs::trouble(self, staged, record, message, out);
    }

    /// Writes what an order of the control topic leaves in this partition, once: what it
    /// changes in state, and its audit record, where this partition is the one to write it.
    /// That is the partition of the agent that the order is about, or else partition 0; an
    /// approval is written by the partition that knows the hold too.
    pub fn control(
        &self,
        staged: &mut Staged<'_>,
        partition: i32,
        order: &Order,
        out: &mut Vec<OutRecord>,
    ) {
        if order.offset < staged.control() {
            return;
        }
        staged.set_control(order.offset + 1);
        let home = order.command.scope().agent();
        let is_home = home.map_or(0, |agent| partition_of(agent, self.partitions)) == partition;
        let mut closed = Vec::new();
        let known = match &order.command {
            Command::Approve { hold } => approve(staged, hold, &self.setup.limits),
            Command::Kill { scope, on: false } => {
                resume(staged, scope, &self.setup.limits);
                false
            }
            Command::Grant(given) => {
                if is_home {
                    grant(staged, given, &self.setup.limits);
                }
                false
            }
            Command::Reset { scope } => {
                closed = reset(staged, scope);
                false
            }
            Command::Accept { scope, until } => {
                if is_home {
                    closed = accept(staged, scope, *until);
                }
                false
            }
            Command::Kill { on: true, .. }
            | Command::Mode { .. }
            | Command::Pack { .. }
            | Command::Suppress { .. } => false,
        };
        for alert in &closed {
            out.push(outputs::alert(self, partition, alert, Vec::new()));
        }
        if known || is_home {
            outputs::order(self, staged, partition, order, out);
        }
    }

    /// Tells the SOC of a score that came after its event had gone on.
    pub fn second_look(
        &self,
        staged: &mut Staged<'_>,
        partition: i32,
        second: &Second,
        out: &mut Vec<OutRecord>,
    ) {
        let Second { offset, event, confidence } = second;
        for told in second_look(&self.setup, staged, event, *offset, *confidence) {
            out.push(outputs::alert(self, partition, &told, Vec::new()));
        }
    }

    /// Compares restored state with the partition's last committed audit record, and with
    /// the number of partitions that the topic has.
    ///
    /// # Errors
    /// Says in one sentence how they differ.
    pub fn check(
        &self,
        partition: i32,
        state: &Partition,
        last_audit: Option<&[u8]>,
    ) -> Result<(), String> {
        state
            .check_partitions(self.partitions)
            .map_err(|changed| format!("partition {partition}: {changed}"))?;
        if !self.chain {
            return Ok(());
        }
        let head = Head::committed(state);
        if head.matches(last_audit) {
            return Ok(());
        }
        Err(format!(
            "partition {partition}: state knows {} audit records, but the last one of the audit topic is another",
            head.next
        ))
    }
}
