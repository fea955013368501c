//! The records that one record causes, and what happens when one of them would not fit.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use crate::alert::{Alert, Origin, Sign, fold};
use crate::audit::record::{
    Frame, KeptBack, Result as Audited, Streamed as AuditedStream, Why, decision as audit_decision,
};
use crate::audit::{self, Anchor, Head, InForce};
use crate::event::{Carrier, Event, Kind, RawSpan};
use crate::finding::{
    Action, Classified, Confidence, Coverage, Family, Finding, Severity, Source, standard_tags,
};
use crate::inspect::{At, Clean, Decision, End, Keeper, Notes, Reason, Share, Shared, Streamed};
use crate::pipeline::log::{Headers, InRecord, OutRecord, Topic};
use crate::pipeline::step::{Outcome, Refused, Step};
use crate::pipeline::work::Poison;
use crate::policy::{Mode, Order};
use crate::redact::Edit;
use crate::state::Staged;
use crate::wire::alert::Made;
use crate::wire::dlq::{self, Dead, Stage};
use crate::wire::verdict::Stamp;
use crate::wire::{clean, headers, ids, verdict};

/// What a log adds to a record, at most: lengths, offsets, a batch's frame.
const RECORD_OVERHEAD: usize = 128;

/// A longer key is left out of what is written about a record that was turned away.
const KEY_BYTES_MAX: usize = 4096;

/// The signal of rules or a policy that could not be taken up.
const RELOAD_FAILED: &str = "system.reload_failed";

/// An event of which nothing was looked at.
static NOTHING_SCANNED: LazyLock<Coverage> =
    LazyLock::new(|| Coverage { truncated: true, ..Coverage::default() });

static TOO_LARGE: LazyLock<Arc<Source>> = LazyLock::new(|| {
    Arc::new(Source {
        rule: "limit.output_bytes".to_owned(),
        family: Family::System,
        kind: "limit.output_bytes".to_owned(),
        severity: Severity::Medium,
        message: "a record that this event causes would be larger than the log takes".to_owned(),
        action: None,
        tags: standard_tags("limit"),
    })
});

/// Whether the records of a decision can be written.
enum Written {
    /// They can; with the audit record, where one is due.
    Fits(Option<Vec<u8>>),
    /// One of them would be larger than the log takes.
    TooLarge,
}

/// One record and where it stands.
pub(super) struct Outputs<'a> {
    pub(super) step: &'a Step,
    pub(super) record: &'a InRecord,
    pub(super) at: At<'a>,
    pub(super) control: i64,
    pub(super) took_us: u64,
}

impl Outputs<'_> {
    /// Writes what a decision causes.
    pub(super) fn decided(
        &self,
        staged: &mut Staged<'_>,
        event: &Event<'_>,
        mut decision: Decision<'_>,
        out: &mut Vec<OutRecord>,
    ) -> Outcome {
        // State holds it already: it is told whatever becomes of the event's own records.
        for told in std::mem::take(&mut decision.shared.out) {
            out.push(share(self.at.partition, told));
        }
        let from = out.len();
        let head = Head::of(staged);
        let written = self.write(head, event, &decision, out);
        if let Written::Fits(audit) = written {
            if let Some(audit) = audit {
                self.commit_audit(staged, head, audit, event, out);
            }
            return Outcome {
                action: decision.action,
                enforced: decision.enforced,
                dead: None,
                notes: decision.notes,
            };
        }
        out.truncate(from);
        let stands_for_all = Decision {
            action: Action::Block,
            enforced: true,
            mode: Mode::Enforce,
            reasons: vec![Reason {
                finding: Finding::whole(Arc::clone(&TOO_LARGE), Confidence::High),
                action: Action::Block,
                mode: Mode::Enforce,
            }],
            edits: Vec::new(),
            replacement: None,
            retry_hint: None,
            retry_after_ms: None,
            audit_edits: decision.audit_edits.clone(),
            // Who had what is said of reasons that are no longer listed.
            shared: Shared { seen: Vec::new(), ..decision.shared },
            stream: decision.stream.clone().map(|stream| Streamed {
                clean: Clean::Nothing,
                ended: Some(End::Cut),
                // What was written of it before is in its earlier records.
                audit: Some(stream.audit.unwrap_or_default()),
                ..stream
            }),
            ..decision
        };
        self.dead(Stage::Forward, "too_large_to_forward", &TOO_LARGE.message, out);
        let notes = stands_for_all.notes;
        // The event's strings are what may be large, and none of them is in these.
        let mut small = event.clone();
        small.fields.clear();
        if let Written::Fits(Some(audit)) = self.write(head, &small, &stands_for_all, out) {
            self.commit_audit(staged, head, audit, &small, out);
        }
        Outcome { action: Action::Block, enforced: true, dead: Some("too_large_to_forward"), notes }
    }

    /// Writes verdict, clean and alerts to `out` and returns the audit record, where one is due.
    fn write(
        &self,
        head: Head,
        event: &Event<'_>,
        decision: &Decision<'_>,
        out: &mut Vec<OutRecord>,
    ) -> Written {
        let from = out.len();
        let headers = self.headers(Some(&event.id), event.traceparent.as_deref());
        let key = event.agent.as_bytes();
        let policy = &self.step.setup.policy.hash;
        let stamp = Stamp { pack: &self.step.pack, policy, took_us: self.took_us };
        let value = verdict::write(decision, Some(event), &self.at, &stamp);
        out.push(self.output(Topic::Verdicts, key, value, &headers));
        if let Some(value) = self.clean(event, decision) {
            out.push(self.output(Topic::Clean, key, value, &headers));
        }
        for told in &decision.alerts {
            out.push(alert(self.step, self.at.partition, told, headers.clone()));
        }
        let reasons = decision.reasons.iter().enumerate().map(|(at, reason)| Why {
            finding: &reason.finding,
            action: reason.action,
            mode: reason.mode,
            seen: decision.shared.seen(at),
        });
        let result = Audited {
            action: decision.action,
            enforced: decision.enforced,
            mode: decision.mode,
            repeat: decision.repeat,
            classifier: decision.coverage.classifier,
        };
        let trace = trace(&headers);
        let mut frame = self.frame(head, trace);
        frame.shared = &decision.shared.used;
        let kept_back: Vec<KeptBack<'_>> = decision.kept_back.iter().map(kept_back).collect();
        frame.kept_back = &kept_back;
        // A replay must know which entries of other partitions a decision looked at.
        let due = decision.stream.as_ref().is_none_or(|stream| stream.audit.is_some())
            || !decision.shared.used.is_empty();
        let audit = due.then(|| {
            let quiet = without_chunk(event, decision);
            let stream = decision.stream.as_ref().and_then(|stream| streamed(event, stream));
            let edits = &decision.audit_edits;
            audit_decision(&frame, &quiet, (result, stream), reasons, edits)
        });
        let max = self.step.message_bytes_max;
        let audit_bytes = audit.as_ref().map_or(0, Vec::len);
        let fits = out.iter().skip(from).all(|record| size(record) <= max)
            && audit_bytes + key.len() + headers::bytes_of(&headers) + RECORD_OVERHEAD <= max;
        if fits { Written::Fits(audit) } else { Written::TooLarge }
    }

    /// What may go on; `None` where nothing may.
    fn clean(&self, event: &Event<'_>, decision: &Decision<'_>) -> Option<Vec<u8>> {
        if let Some(stream) = &decision.stream {
            return self.clean_chunk(event, decision, stream);
        }
        let original = self.record.value.as_deref()?;
        match (decision.enforced, decision.action) {
            (false, _) | (_, Action::Allow | Action::Alert) => Some(original.to_vec()),
            (true, Action::Redact | Action::Replace) => {
                Some(clean::edit(original, event, &decision.edits))
            }
            (true, Action::Retry | Action::Block) => None,
        }
    }

    /// What of a chunk may go on: its event with what was let go in place of its text.
    fn clean_chunk(
        &self,
        event: &Event<'_>,
        decision: &Decision<'_>,
        stream: &Streamed,
    ) -> Option<Vec<u8>> {
        let text = match &stream.clean {
            Clean::Nothing => return None,
            Clean::Original => None,
            Clean::Text(text) => Some(text.as_str()),
        };
        let Some(original) = self.record.value.as_deref() else {
            let ordinal = stream.tick.map_or(0, |tick| tick.kind.ordinal());
            let id = ids::uuid(
                self.at.topic,
                self.at.partition,
                self.at.offset,
                ids::OutputKind::Clean,
                ordinal,
            );
            return Some(clean::chunk(event, &id, text.unwrap_or_default()));
        };
        let mut edits = if decision.enforced { decision.edits.clone() } else { Vec::new() };
        if let Some(text) = text {
            let length =
                event.fields.get(stream.field as usize).map_or(0, |field| field.text.len());
            let span = RawSpan { start: 0, end: length };
            edits.push(Edit { field: stream.field, span, with: text.to_owned() });
        }
        if edits.is_empty() {
            return Some(original.to_vec());
        }
        Some(clean::edit(original, event, &edits))
    }

    /// Writes down that another pack or policy decides from this record on.
    pub(super) fn swapped(
        &self,
        staged: &mut Staged<'_>,
        before: &InForce,
        out: &mut Vec<OutRecord>,
    ) {
        let head = Head::of(staged);
        let audit = audit::record::swap(&self.frame(head, None), before);
        chain(self.step, staged, head, self.at.partition, &audit, out);
        out.push(self.output(Topic::Audit, &[], audit, &Headers::new()));
    }

    fn commit_audit(
        &self,
        staged: &mut Staged<'_>,
        head: Head,
        audit: Vec<u8>,
        event: &Event<'_>,
        out: &mut Vec<OutRecord>,
    ) {
        let headers = self.headers(Some(&event.id), event.traceparent.as_deref());
        chain(self.step, staged, head, self.at.partition, &audit, out);
        out.push(self.output(Topic::Audit, event.agent.as_bytes(), audit, &headers));
    }

    /// Writes what a record causes that was turned away.
    pub(super) fn refused(
        &self,
        staged: &mut Staged<'_>,
        refused: &Refused,
        out: &mut Vec<OutRecord>,
    ) -> Outcome {
        let failed = &refused.unreadable;
        let action = match refused.stage {
            Stage::Read => self.step.setup.policy.failures.unreadable.action(),
            // Nobody has looked at it, or it cannot be written: there is nothing to pass on.
            Stage::Inspect | Stage::Forward => Action::Block,
        };
        let finding = match refused.stage {
            Stage::Read => verdict::unreadable(failed),
            Stage::Inspect | Stage::Forward => failure(refused.reason, &failed.message),
        };
        let reason = Reason { finding, action, mode: Mode::Enforce };
        let mut alerts = Vec::new();
        let sign = sign(refused, &reason);
        let origin = Origin { offset: self.at.offset, ordinal: 0 };
        fold(staged, &self.step.setup.limits.folding, &sign, origin, &mut alerts);
        let decision = Decision {
            action,
            enforced: true,
            mode: Mode::Enforce,
            reasons: vec![reason],
            edits: Vec::new(),
            replacement: None,
            retry_hint: None,
            retry_after_ms: None,
            hold: None,
            coverage: &NOTHING_SCANNED,
            repeat: false,
            alerts,
            kept_back: Vec::new(),
            audit_edits: Vec::new(),
            stream: None,
            notes: Notes::default(),
            shared: Shared::default(),
        };
        let headers = self.headers(failed.id.as_deref(), None);
        let key =
            failed.agent.as_ref().map_or_else(|| self.key(), |agent| agent.clone().into_bytes());
        let policy = &self.step.setup.policy.hash;
        let stamp = Stamp { pack: &self.step.pack, policy, took_us: self.took_us };
        let value = verdict::write(&decision, None, &self.at, &stamp);
        out.push(self.output(Topic::Verdicts, &key, value, &headers));
        let passes = action == Action::Alert;
        if let Some(value) = self.record.value.as_ref().filter(|_| passes) {
            let clean = self.output(Topic::Clean, &key, value.clone(), &headers);
            // What does not fit cannot pass either, whatever policy would have.
            out.extend((size(&clean) <= self.step.message_bytes_max).then_some(clean));
        }
        for told in &decision.alerts {
            out.push(alert(self.step, self.at.partition, told, headers.clone()));
        }
        self.dead(refused.stage, refused.reason, &failed.message, out);
        let head = Head::of(staged);
        let trace = trace(&headers);
        let why = decision.reasons.iter().map(|reason| Why {
            finding: &reason.finding,
            action: reason.action,
            mode: reason.mode,
            seen: None,
        });
        let result = Audited {
            action,
            enforced: true,
            mode: Mode::Enforce,
            repeat: false,
            classifier: Classified::default(),
        };
        let who = [failed.id.as_deref(), failed.tenant.as_deref(), failed.agent.as_deref()];
        let audit = audit::record::unreadable(&self.frame(head, trace), who, result, why);
        chain(self.step, staged, head, self.at.partition, &audit, out);
        out.push(self.output(Topic::Audit, &key, audit, &headers));
        Outcome { action, enforced: true, dead: Some(refused.reason), notes: Notes::default() }
    }

    fn dead(&self, stage: Stage, reason: &str, message: &str, out: &mut Vec<OutRecord>) {
        let record = self.record;
        let key = self.key();
        let dead = Dead {
            topic: &self.step.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            value: record.value.as_deref(),
            headers: &record.headers,
            stage,
            reason,
            message,
            attempts: 1,
            pack: &self.step.pack,
        };
        // Room for what the queue's own headers say, and for the sender's, which go along.
        let spent =
            key.len() + headers::bytes_of(&record.headers).min(headers::COPIED_BYTES_MAX) + 4096;
        let mut room = self.step.message_bytes_max.saturating_sub(spent);
        if reason == Poison::Unwritable.name() {
            // The log has refused what this record causes: no more than it surely takes.
            room = room.min(dlq::STUB_BYTES);
        }
        let (value, headers) = dlq::write(&dead, room);
        out.push(OutRecord { topic: Topic::Dlq, partition: record.partition, key, value, headers });
    }

    /// The record's own key, unless it is so large that what carries it might not fit.
    fn key(&self) -> Vec<u8> {
        self.record.key.clone().filter(|key| key.len() <= KEY_BYTES_MAX).unwrap_or_default()
    }

    fn frame<'f>(&'f self, head: Head, trace: Option<&'f str>) -> Frame<'f> {
        Frame {
            head: self.step.chain.then_some(head),
            topic: self.at.topic,
            partition: self.at.partition,
            offset: self.at.offset,
            now: self.at.now,
            pack: &self.step.pack,
            policy: &self.step.setup.policy.hash,
            control: self.control,
            trace,
            shared: &[],
            kept_back: &[],
        }
    }

    fn headers(&self, id: Option<&str>, traceparent: Option<&str>) -> Headers {
        headers::outgoing(&self.record.headers, id, traceparent)
    }

    fn output(&self, topic: Topic, key: &[u8], value: Vec<u8>, headers: &Headers) -> OutRecord {
        OutRecord {
            topic,
            partition: self.at.partition,
            key: key.to_vec(),
            value: Some(value),
            headers: headers.clone(),
        }
    }
}

/// The event as audit keeps it: parameters of a tool that come in chunks are not told by parts,
/// of which none is known to be whole.
fn without_chunk<'e, 'r>(event: &'e Event<'r>, decision: &Decision<'_>) -> Cow<'e, Event<'r>> {
    let Some(stream) = &decision.stream else { return Cow::Borrowed(event) };
    let mut event = event.clone();
    if let Some(field) = event.fields.get_mut(stream.field as usize) {
        (field.text, field.carrier) = (Cow::Borrowed(""), Carrier::Assistant);
    }
    Cow::Owned(event)
}

/// What audit says of signs that were not told.
fn kept_back(kept: &crate::inspect::KeptBack) -> KeptBack<'_> {
    let window = match &kept.by {
        Keeper::Order => None,
        Keeper::Window(id) => Some(&**id),
    };
    KeptBack { family: kept.family, window, count: kept.count }
}

/// What audit says of a stream.
fn streamed<'a>(event: &'a Event<'_>, stream: &'a Streamed) -> Option<AuditedStream<'a>> {
    let chunk = event.stream.as_ref()?;
    Some(AuditedStream {
        id: &chunk.id,
        seq: chunk.seq,
        chunks: stream.chunks,
        action: stream.action,
        clean_through: stream.clean_through,
        released: stream.audit?,
        ended: stream.ended.map(End::name),
        tick: stream.tick.map(|tick| (tick.kind.name(), tick.at)),
        packs: &stream.packs,
    })
}

/// Takes an audit record into the chain, where one is kept, and writes the anchor that falls due.
fn chain(
    step: &Step,
    staged: &mut Staged<'_>,
    head: Head,
    partition: i32,
    audit: &[u8],
    out: &mut Vec<OutRecord>,
) {
    if !step.chain {
        return;
    }
    let head = head.extend(staged, audit);
    if let Some(anchor) = Anchor::due(&step.topic, partition, &head, step.signer.as_ref()) {
        out.push(OutRecord {
            topic: Topic::Anchors,
            partition: 0,
            key: partition.to_string().into_bytes(),
            value: Some(anchor.write()),
            headers: Headers::new(),
        });
    }
}

/// What other partitions must know.
pub(super) fn share(partition: i32, told: Share) -> OutRecord {
    let Share { key, value } = told;
    OutRecord { topic: Topic::Shared, partition, key, value, headers: Headers::new() }
}

/// Writes the audit record of an order.
pub(super) fn order(
    step: &Step,
    staged: &mut Staged<'_>,
    partition: i32,
    order: &Order,
    out: &mut Vec<OutRecord>,
) {
    let head = Head::of(staged);
    let frame = Frame {
        head: step.chain.then_some(head),
        topic: &step.control_topic,
        partition: 0,
        offset: order.offset,
        now: staged.now(),
        pack: &step.pack,
        policy: &step.setup.policy.hash,
        control: order.offset + 1,
        trace: None,
        shared: &[],
        kept_back: &[],
    };
    let audit = audit::record::order(&frame, partition, order);
    chain(step, staged, head, partition, &audit, out);
    let agent = order.command.scope().agent().unwrap_or_default();
    out.push(OutRecord {
        topic: Topic::Audit,
        partition,
        key: agent.as_bytes().to_vec(),
        value: Some(audit),
        headers: Headers::new(),
    });
}

/// The record of an alert; `sent` are the headers of the record that caused it.
pub(super) fn alert(step: &Step, partition: i32, alert: &Alert, sent: Headers) -> OutRecord {
    let made = Made { topic: &step.topic, partition, pack: &step.pack };
    let (value, headers) = crate::wire::alert::write(step.alerts, alert, &made, sent);
    let key = alert.agent.clone().into_bytes();
    OutRecord { topic: Topic::Alerts, partition, key, value: Some(value), headers }
}

/// Tells of a reload that failed, as an alert of the partition and not of an agent.
pub(super) fn trouble(
    step: &Step,
    staged: &mut Staged<'_>,
    record: &InRecord,
    message: &str,
    out: &mut Vec<OutRecord>,
) {
    let sign = Sign {
        tenant: "",
        agent: "",
        example: "weir",
        agent_type: None,
        session: None,
        user: None,
        kind: Kind::Prompt,
        tool: None,
        event_id: "",
        action: Action::Alert,
        enforced: true,
        family: Family::System,
        signal: RELOAD_FAILED,
        rule: RELOAD_FAILED,
        severity: Severity::High,
        confidence: Confidence::High,
        message,
        fingerprint: None,
        seen: None,
        tags: &[],
    };
    // The record's own alerts are numbered from 0.
    let origin = Origin { offset: record.offset, ordinal: u32::MAX };
    let mut alerts = Vec::new();
    fold(staged, &step.setup.limits.folding, &sign, origin, &mut alerts);
    for told in &alerts {
        out.push(alert(step, record.partition, told, Headers::new()));
    }
}

/// What the SOC is told of records that were turned away: one episode for each agent that
/// can be made out, and one for all the others.
fn sign<'a>(refused: &'a Refused, reason: &'a Reason) -> Sign<'a> {
    let source = &reason.finding.source;
    let failed = &refused.unreadable;
    Sign {
        tenant: failed.tenant.as_deref().unwrap_or_default(),
        agent: failed.agent.as_deref().unwrap_or_default(),
        example: "unknown",
        agent_type: None,
        session: None,
        user: None,
        kind: Kind::Prompt,
        tool: None,
        event_id: failed.id.as_deref().unwrap_or_default(),
        action: reason.action,
        enforced: true,
        family: source.family,
        signal: &source.kind,
        rule: &source.rule,
        severity: source.severity,
        confidence: reason.finding.confidence,
        message: &source.message,
        fingerprint: None,
        seen: None,
        tags: &source.tags,
    }
}

fn failure(reason: &str, message: &str) -> Finding {
    let rule = format!("limit.{reason}");
    let source = Source {
        kind: rule.clone(),
        rule,
        family: Family::System,
        severity: Severity::High,
        message: message.to_owned(),
        action: None,
        tags: standard_tags("limit"),
    };
    Finding::whole(Arc::new(source), Confidence::High)
}

fn trace(headers: &Headers) -> Option<&str> {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(headers::TRACEPARENT))
        .and_then(|(_, value)| std::str::from_utf8(value).ok())
}

fn size(record: &OutRecord) -> usize {
    let value = record.value.as_ref().map_or(0, Vec::len);
    value + record.key.len() + headers::bytes_of(&record.headers) + RECORD_OVERHEAD
}
