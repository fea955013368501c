//! Audit record v1: one JSON object, written by hand because every event has one.
//!
//! Field order is fixed, so the same decision always has the same bytes. Tool parameters
//! are listed by JSON pointer with every finding cut out, whatever policy said of it; keys
//! that were cut are cut in the pointers too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::audit::{Head, InForce, hex, push_hex};
use crate::event::{Carrier, Event, Field, Kind, Millis, Node, Place, Segment};
use crate::finding::{Action, Classified, Family, Finding, Scoring, Seen};
use crate::policy::{Command, Mode, Order, Scope, Silence};
use crate::redact::{Edit, apply};

/// Bytes of tool parameters that a record keeps.
const PARAMS_BYTES_MAX: usize = 4096;
/// Reasons that a record lists; it says how many there were.
const REASONS_MAX: usize = 64;
/// Links of a delegation chain that a record lists; it says how many there were.
const DELEGATION_MAX: usize = 32;
/// Classes of data that a record lists.
const DATA_CLASSES_MAX: usize = 32;
/// Bytes of what a record keeps of the sender's own account.
const STATED_BYTES_MAX: usize = 4096;
/// Members of an event in which the sender says why something is done, who is behind it and
/// with what rights. Nothing is decided by them.
const STATED: [&str; 4] = ["trigger", "reasoning", "permissions", "actor"];
/// Bytes of a JSON pointer that a reason names.
const POINTER_BYTES_MAX: usize = 512;

/// What every record says, whatever it is about.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The chain so far; `None` where none is kept (`at_least_once`).
    pub head: Option<Head>,
    /// Name of the topic.
    pub topic: &'a str,
    /// Partition number.
    pub partition: i32,
    /// Offset of the record that it is about, in the events topic or, for an order, in the control topic.
    pub offset: i64,
    /// The partition's clock.
    pub now: Millis,
    /// Hash of the pack in force.
    pub pack: &'a str,
    /// Hash of the policy in force.
    pub policy: &'a str,
    /// Control offset in force: the next to be read.
    pub control: i64,
    /// W3C trace context.
    pub trace: Option<&'a str>,
    /// Partition and offset of every entry of another partition that the decision looked at.
    pub shared: &'a [(i32, i64)],
    /// Signs that the SOC was not told of.
    pub kept_back: &'a [KeptBack<'a>],
}

/// Signs of one family that were not told.
#[derive(Clone, Copy, Debug)]
pub struct KeptBack<'a> {
    /// Kind of trouble.
    pub family: Family,
    /// The maintenance window that kept them back; without one an operator's order did.
    pub window: Option<&'a str>,
    /// How many.
    pub count: u32,
}

/// One reason, as audit keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    /// What was found.
    pub finding: &'a Finding,
    /// What policy says of it.
    pub action: Action,
    /// Whether that is carried out.
    pub mode: Mode,
    /// Who had the value before that turned up here.
    pub seen: Option<&'a Seen>,
}

/// What was decided.
#[derive(Clone, Copy, Debug)]
pub struct Result {
    /// What policy says.
    pub action: Action,
    /// Whether it is carried out.
    pub enforced: bool,
    /// Enforce or shadow.
    pub mode: Mode,
    /// Whether the same record was seen lately.
    pub repeat: bool,
    /// What the classifier saw: a replay takes the score from here.
    pub classifier: Classified,
}

/// What became of a streamed answer: there is a record of the first chunk that was not simply
/// allowed, and one of its end.
#[derive(Clone, Copy, Debug)]
pub struct Streamed<'a> {
    /// The answer.
    pub id: &'a str,
    /// The chunk's place.
    pub seq: u64,
    /// Chunks that were read.
    pub chunks: u64,
    /// The strongest action so far.
    pub action: Action,
    /// Bytes of the original text that were let go or cut.
    pub clean_through: u64,
    /// SHA-256 of all that was let go.
    pub released: [u8; 32],
    /// Why it has ended, if it has.
    pub ended: Option<&'a str>,
    /// The timer that decided, and when it was due.
    pub tick: Option<(&'a str, Millis)>,
    /// Hashes of the packs that have read it, unless that is the record's own alone.
    pub packs: &'a [String],
}

/// Writes the record of a decision. `edits` cut every finding, sorted by field and start.
#[must_use]
pub fn decision<'w>(
    frame: &Frame<'_>,
    event: &Event<'_>,
    (result, stream): (Result, Option<Streamed<'_>>),
    reasons: impl ExactSizeIterator<Item = Why<'w>>,
    edits: &[Edit],
) -> Vec<u8> {
    let mut out = Json::begin(frame, "decision");
    out.text("event_id", &event.id);
    out.number("ts", event.ts.0);
    out.text("kind", event.kind.name());
    if !event.tenant.is_empty() {
        out.text("tenant", &event.tenant);
    }
    out.text("agent", &event.agent);
    out.maybe("agent_type", event.agent_type.as_deref());
    out.maybe("session", event.session.as_deref());
    out.maybe("user", event.user.as_deref());
    if !event.delegation.is_empty() {
        let chain = event.delegation.iter().take(DELEGATION_MAX);
        out.list("delegation", chain, |out, who| out.string(who));
        if event.delegation.len() > DELEGATION_MAX {
            out.number("delegation_total", event.delegation.len() as i64);
        }
    }
    for actor in &event.act {
        out.key("act");
        out.open();
        out.text("sub", &actor.sub);
        out.maybe("iss", actor.iss.as_deref());
    }
    for _ in &event.act {
        out.close();
    }
    let keys = cut_keys(event, edits);
    if let Some(stream) = stream {
        write_stream(&mut out, &stream);
    }
    write_result(&mut out, result);
    write_reasons(&mut out, Some((event, &keys)), reasons);
    if !frame.kept_back.is_empty() {
        out.list("kept_back", frame.kept_back.iter(), |out, kept| {
            out.open();
            out.text("family", kept.family.name());
            out.number("count", i64::from(kept.count));
            out.text("by", if kept.window.is_some() { "window" } else { "order" });
            out.maybe("window", kept.window);
            out.close();
        });
    }
    if !frame.shared.is_empty() {
        out.list("shared", frame.shared.iter(), |out, (partition, offset)| {
            out.open();
            out.number("partition", i64::from(*partition));
            out.number("offset", *offset);
            out.close();
        });
    }
    let said = Said { event, edits, keys: &keys, stated: stated(event) };
    write_tool(&mut out, &said);
    write_stated(&mut out, &said);
    if !event.data_classes.is_empty() {
        let classes = event.data_classes.iter().take(DATA_CLASSES_MAX);
        out.list("data_classes", classes, |out, class| out.string(class));
    }
    write_usage(&mut out, event);
    out.end()
}

fn write_stream(out: &mut Json, stream: &Streamed<'_>) {
    let Streamed { id, seq, chunks, action, clean_through, released, ended, tick, packs } = stream;
    out.key("stream");
    out.open();
    out.text("id", id);
    for (name, number) in [("seq", seq), ("chunks", chunks), ("clean_through", clean_through)] {
        out.number(name, i64::try_from(*number).unwrap_or(i64::MAX));
    }
    out.text("action", action.name());
    out.text("released_sha256", &hex(released));
    out.maybe("ended", *ended);
    if let Some((kind, at)) = tick {
        out.key("tick");
        out.open();
        out.text("kind", kind);
        out.number("at", at.0);
        out.close();
    }
    if !packs.is_empty() {
        out.list("packs", packs.iter(), |out, pack| out.string(pack));
    }
    out.close();
}

/// Writes the record of something that could not be read.
#[must_use]
pub fn unreadable<'w>(
    frame: &Frame<'_>,
    who: [Option<&str>; 3],
    result: Result,
    reasons: impl ExactSizeIterator<Item = Why<'w>>,
) -> Vec<u8> {
    let mut out = Json::begin(frame, "unreadable");
    let [id, tenant, agent] = who;
    out.maybe("event_id", id);
    out.maybe("tenant", tenant.filter(|tenant| !tenant.is_empty()));
    out.maybe("agent", agent);
    write_result(&mut out, result);
    write_reasons(&mut out, None, reasons);
    out.end()
}

/// Writes the record of an order of the control topic. `chain` is the partition in whose
/// chain it stands: the frame names a place of the control topic.
#[must_use]
pub fn order(frame: &Frame<'_>, chain: i32, order: &Order) -> Vec<u8> {
    let mut out = Json::begin(frame, "control");
    out.number("chain", i64::from(chain));
    match &order.command {
        Command::Kill { on, .. } => out.text("order", if *on { "kill" } else { "resume" }),
        Command::Mode { mode, .. } => {
            out.text("order", "mode");
            out.text("mode", mode.map_or("policy", Mode::name));
        }
        Command::Pack { hash, .. } => {
            out.text("order", "pack");
            out.text("ordered", hash.as_deref().unwrap_or_default());
        }
        Command::Approve { hold } => {
            out.text("order", "approve");
            out.text("hold", hold);
        }
        Command::Suppress { silence, .. } => {
            out.text("order", "suppress");
            let Silence { signal, tool, from, until } = silence;
            let texts = [("signal", signal.as_deref()), ("tool", tool.as_deref())];
            let from = from.map(|from| from.0);
            write_terms(&mut out, &texts, &[("from", from), ("until", Some(until.0))]);
        }
        Command::Grant(grant) => {
            out.text("order", "grant");
            let params = grant.params.map_or_else(|| "*".to_owned(), |hash| hex(&hash));
            let texts = [("tool", Some(grant.tool.as_str())), ("params", Some(params.as_str()))];
            let numbers = [("uses", Some(i64::from(grant.uses))), ("until", Some(grant.expires.0))];
            write_terms(&mut out, &texts, &numbers);
        }
        Command::Reset { .. } => out.text("order", "reset"),
        Command::Accept { until, .. } => {
            out.text("order", "accept");
            write_terms(&mut out, &[], &[("until", until.map(|until| until.0))]);
        }
    }
    let (kind, parts): (&str, Vec<&str>) = match order.command.scope() {
        Scope::All => ("all", Vec::new()),
        Scope::Tenant(tenant) => ("tenant", vec![tenant]),
        Scope::Type(class) => ("type", vec![class]),
        Scope::Agent(tenant, agent) => ("agent", vec![tenant, agent]),
        Scope::Session(tenant, agent, session) => ("session", vec![tenant, agent, session]),
    };
    out.text("scope", kind);
    out.list("of", parts.into_iter(), Json::string);
    out.text("by", &order.by);
    out.text("reason", &order.reason);
    out.end()
}

/// What an order says beside whom it is about.
fn write_terms(out: &mut Json, texts: &[(&str, Option<&str>)], numbers: &[(&str, Option<i64>)]) {
    let nothing = texts.iter().all(|(_, text)| text.is_none())
        && numbers.iter().all(|(_, number)| number.is_none());
    if nothing {
        return;
    }
    out.key("terms");
    out.open();
    for (name, text) in texts {
        out.maybe(name, *text);
    }
    for (name, number) in numbers {
        if let Some(number) = number {
            out.number(name, *number);
        }
    }
    out.close();
}

/// Writes the record of a change of pack or policy: from the frame's offset on, what the
/// frame names is in force, and before it was `from`.
#[must_use]
pub fn swap(frame: &Frame<'_>, from: &InForce) -> Vec<u8> {
    let mut out = Json::begin(frame, "swap");
    out.key("from");
    out.open();
    out.text("pack", &from.pack);
    out.text("policy", &from.policy);
    out.close();
    out.end()
}

fn write_result(out: &mut Json, result: Result) {
    out.text("action", result.action.name());
    out.bool("enforced", result.enforced);
    out.text("mode", result.mode.name());
    if result.repeat {
        out.bool("repeat", true);
    }
    write_classifier(out, &result.classifier);
}

/// Nothing where there is no classifier.
fn write_classifier(out: &mut Json, seen: &Classified) {
    if seen.state == Scoring::Off {
        return;
    }
    out.key("classifier");
    out.open();
    out.text("state", seen.state.name());
    let mut model = Vec::with_capacity(16);
    push_hex(&mut model, &seen.model.to_be_bytes());
    out.text("model", &String::from_utf8_lossy(&model));
    if let Some(score) = seen.score {
        out.number("score_millionths", i64::from(score.millionths()));
    }
    if seen.windows.total > 0 {
        out.list("windows", [seen.windows.scored, seen.windows.total].into_iter(), Json::bare);
    }
    out.close();
}

fn write_reasons<'w>(
    out: &mut Json,
    event: Option<(&Event<'_>, &CutKeys<'_>)>,
    reasons: impl ExactSizeIterator<Item = Why<'w>>,
) {
    let all = reasons.len();
    out.list("reasons", reasons.take(REASONS_MAX), |out, why| {
        out.open();
        out.text("rule", &why.finding.source.rule);
        out.text("family", why.finding.source.family.name());
        out.text("type", &why.finding.source.kind);
        out.text("severity", why.finding.source.severity.name());
        out.text("confidence", why.finding.confidence.name());
        out.text("action", why.action.name());
        out.text("mode", why.mode.name());
        let field = event.zip(why.finding.field).and_then(|((event, keys), index)| {
            Some((event, keys, event.fields.get(index as usize)?))
        });
        if let Some((event, keys, field)) = field {
            let path = pointer(event, field.node, keys);
            let shown = path.get(..path.floor_char_boundary(POINTER_BYTES_MAX));
            out.text("field", shown.unwrap_or_default());
            out.number("start", why.finding.span.start as i64);
            out.number("end", why.finding.span.end as i64);
            out.text("view", &why.finding.view.0);
        }
        if let Some(seen) = why.seen {
            write_seen(out, seen);
        }
        out.close();
    });
    if all > REASONS_MAX {
        out.number("reasons_total", all as i64);
    }
}

fn write_seen(out: &mut Json, seen: &Seen) {
    out.key("first_seen");
    out.open();
    out.number("time", seen.at.0);
    out.maybe("tenant", Some(seen.tenant.as_str()).filter(|tenant| !tenant.is_empty()));
    out.text("agent", &seen.agent);
    out.maybe("session", seen.session.as_deref());
    out.maybe("user", seen.user.as_deref());
    out.text("scope", if seen.entry.is_some() { "shared" } else { "partition" });
    if let Some((partition, offset)) = seen.entry {
        out.number("partition", i64::from(partition));
        out.number("offset", offset);
    }
    out.close();
}

/// The strings of an event, and what is cut out of them.
struct Said<'a, 'e> {
    event: &'a Event<'e>,
    edits: &'a [Edit],
    keys: &'a CutKeys<'a>,
    /// Indices of the strings that stand under [`STATED`].
    stated: Vec<u32>,
}

fn write_tool(out: &mut Json, said: &Said<'_, '_>) {
    let event = said.event;
    let Some(tool) = &event.tool else { return };
    out.key("tool");
    out.open();
    out.text("name", &tool.name);
    out.maybe("call_id", tool.call_id.as_deref());
    for (name, count) in [("rows", tool.rows), ("bytes", tool.bytes)] {
        if let Some(count) = count {
            out.number(name, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    if tool.error {
        out.bool("error", true);
    }
    // Everything that a call says, wherever it stands: a sender may not choose what audit keeps.
    let params = |index: usize, field: &Field<'_>| {
        (event.kind == Kind::ToolCall || field.carrier == Carrier::ToolCall)
            && said.stated.binary_search(&(index as u32)).is_err()
    };
    let cut = said.write(out, "params", PARAMS_BYTES_MAX, params);
    if cut {
        out.bool("params_truncated", true);
    }
    out.close();
}

/// The strings of an event that stand under [`STATED`], by index.
fn stated(event: &Event<'_>) -> Vec<u32> {
    let named = |node: &Node<'_>| match &node.segment {
        Segment::Key(key) => node.parent.is_none() && STATED.contains(&key.as_ref()),
        Segment::Index(_) => false,
    };
    if !event.nodes.iter().any(named) {
        return Vec::new();
    }
    let root = |mut at: u32| loop {
        let node = event.nodes.get(at as usize)?;
        match node.parent {
            Some(parent) => at = parent,
            None => return Some(node),
        }
    };
    let fields = event.fields.iter().enumerate();
    let stated = fields.filter(|(_, field)| root(field.node).is_some_and(named));
    stated.map(|(index, _)| index as u32).collect()
}

fn write_stated(out: &mut Json, said: &Said<'_, '_>) {
    if said.stated.is_empty() {
        return;
    }
    let own = |index: usize, _: &Field<'_>| said.stated.binary_search(&(index as u32)).is_ok();
    let cut = said.write(out, "stated", STATED_BYTES_MAX, own);
    if cut {
        out.bool("stated_truncated", true);
    }
}

impl Said<'_, '_> {
    /// Lists values by JSON pointer, with every edit done. Tells whether some had to be left out.
    fn write(
        &self,
        out: &mut Json,
        name: &str,
        mut room: usize,
        wanted: impl Fn(usize, &Field<'_>) -> bool,
    ) -> bool {
        let fields = self.event.fields.iter().enumerate();
        let strings =
            fields.filter(|(index, field)| field.place != Place::Key && wanted(*index, field));
        let mut cut = false;
        let mut open = false;
        for (index, field) in strings {
            if !open {
                out.key(name);
                out.open();
                open = true;
            }
            let from = self.edits.partition_point(|edit| (edit.field as usize) < index);
            let to = self.edits.partition_point(|edit| (edit.field as usize) <= index);
            let text = apply(&field.text, self.edits.get(from..to).unwrap_or_default());
            let name = pointer(self.event, field.node, self.keys);
            let Some(left) = room.checked_sub(name.len()) else {
                cut = true;
                break;
            };
            let shown = text.get(..text.floor_char_boundary(left)).unwrap_or_default();
            cut |= shown.len() < text.len();
            room = left - shown.len();
            out.text(&name, shown);
        }
        if open {
            out.close();
        }
        cut
    }
}

fn write_usage(out: &mut Json, event: &Event<'_>) {
    let usage = &event.usage;
    for (name, count) in [
        ("tokens_in", usage.tokens_in),
        ("tokens_out", usage.tokens_out),
        ("cost_micro_usd", usage.cost_micro_usd),
        ("latency_ms", event.latency_ms),
    ] {
        if let Some(count) = count {
            out.number(name, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    out.maybe("model", event.model.as_deref());
    out.maybe("deployment", event.deployment.id.as_deref());
}

/// By node, the names of members that were cut.
type CutKeys<'e> = BTreeMap<u32, Cow<'e, str>>;

/// The names of members that were cut, as they read after that.
fn cut_keys<'e>(event: &'e Event<'_>, edits: &[Edit]) -> CutKeys<'e> {
    edits
        .chunk_by(|a, b| a.field == b.field)
        .filter_map(|edits| {
            let field = event.fields.get(edits.first()?.field as usize)?;
            (field.place == Place::Key).then(|| (field.node, apply(&field.text, edits)))
        })
        .collect()
}

/// [`Event::pointer`], with the names that were cut.
fn pointer(event: &Event<'_>, node: u32, keys: &CutKeys<'_>) -> String {
    if keys.is_empty() {
        return event.pointer(node);
    }
    let mut parts = Vec::new();
    let mut at = Some(node);
    while let Some((index, node)) =
        at.and_then(|index| Some((index, event.nodes.get(index as usize)?)))
    {
        parts.push(match (&node.segment, keys.get(&index)) {
            (_, Some(cut)) => cut.replace('~', "~0").replace('/', "~1"),
            (Segment::Key(key), None) => key.replace('~', "~0").replace('/', "~1"),
            (Segment::Index(index), None) => index.to_string(),
        });
        at = node.parent;
    }
    parts.iter().rev().fold(String::new(), |out, part| out + "/" + part)
}

/// JSON as it is written: a comma is due where something stands before.
struct Json {
    out: Vec<u8>,
    comma: bool,
}

impl Json {
    fn begin(frame: &Frame<'_>, what: &str) -> Self {
        let mut json = Self { out: Vec::with_capacity(1024), comma: false };
        json.open();
        json.number("v", 1);
        if let Some(head) = &frame.head {
            json.number("seq", head.next as i64);
            json.key("prev");
            json.out.push(b'"');
            push_hex(&mut json.out, &head.hash);
            json.out.push(b'"');
            json.comma = true;
        }
        json.text("what", what);
        json.key("at");
        json.open();
        json.text("topic", frame.topic);
        json.number("partition", i64::from(frame.partition));
        json.number("offset", frame.offset);
        json.close();
        json.number("now", frame.now.0);
        json.text("pack", frame.pack);
        json.text("policy", frame.policy);
        json.number("control", frame.control);
        json.maybe("trace", frame.trace);
        json
    }

    fn end(mut self) -> Vec<u8> {
        self.close();
        self.out
    }

    fn open(&mut self) {
        self.out.push(b'{');
        self.comma = false;
    }

    fn close(&mut self) {
        self.out.push(b'}');
        self.comma = true;
    }

    fn key(&mut self, name: &str) {
        if self.comma {
            self.out.push(b',');
        }
        escape(&mut self.out, name);
        self.out.push(b':');
        self.comma = false;
    }

    fn string(&mut self, text: &str) {
        escape(&mut self.out, text);
        self.comma = true;
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    fn maybe(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &str, n: i64) {
        self.key(name);
        self.digits(n);
    }

    fn bare(&mut self, n: u64) {
        self.digits(i64::try_from(n).unwrap_or(i64::MAX));
    }

    fn digits(&mut self, n: i64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut left = n.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if n < 0 {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(&digits[at..]);
        self.comma = true;
    }

    fn bool(&mut self, name: &str, yes: bool) {
        self.key(name);
        self.out.extend_from_slice(if yes { b"true" } else { b"false" });
        self.comma = true;
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.key(name);
        self.out.push(b'[');
        for (n, item) in items.enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            self.comma = false;
            each(self, item);
        }
        self.out.push(b']');
        self.comma = true;
    }
}

/// A JSON string; only what must be escaped is.
fn escape(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                push_hex(out, &[control]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}
