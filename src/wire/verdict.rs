//! Verdict v1: what was decided about one record, and why.
//!
//! Written by appending, field by field, since there is one for every event. A verdict
//! holds no matched text: it says where a finding stands, and what kind it is.

use std::sync::Arc;

use super::event::Unreadable;
use super::ids::{self, OutputKind};
use super::json::Writer;
use super::time::rfc3339;
use crate::event::{Actor, Event, Place, RawSpan};
use crate::finding::{
    Classified, Confidence, Coverage, Family, Finding, Mention, Severity, Source, ViewName,
};
use crate::inspect::{At, Decision, End, Reason, Streamed};

/// What stands on a verdict beside the decision.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Hash of the pack in force.
    pub pack: &'a str,
    /// Hash of the policy in force.
    pub policy: &'a str,
    /// Microseconds that the inspection took: the only thing in any output that a replay does not repeat.
    pub took_us: u64,
}

/// Writes a verdict. `event` is `None` where the record could not be read.
#[must_use]
pub fn write(
    decision: &Decision<'_>,
    event: Option<&Event<'_>>,
    at: &At<'_>,
    stamp: &Stamp<'_>,
) -> Vec<u8> {
    let mut out = Writer::with_capacity(512 + 256 * decision.reasons.len());
    out.open().key("v").uint(1);
    let streamed = decision.stream.as_ref();
    let tick = streamed.and_then(|stream| stream.tick);
    let ordinal = tick.map_or(0, |tick| tick.kind.ordinal());
    out.text("id", &ids::uuid(at.topic, at.partition, at.offset, OutputKind::Verdict, ordinal));
    out.key("event_id").string_or_null(event.map(|event| event.id.as_ref()));
    if let Some(event) = event {
        write_act(&mut out, &event.act);
    }
    out.key("at").open();
    out.text("topic", at.topic).key("partition").int(i64::from(at.partition));
    out.key("offset").int(at.offset).close();
    if let Some(stream) = event.and_then(|event| event.stream.as_ref()) {
        out.key("stream").open().text("id", &stream.id);
        out.key("seq").uint(stream.seq).key("last").bool(stream.last);
        if let Some(streamed) = streamed {
            write_stream(&mut out, streamed);
        }
        out.close();
    }
    out.text("action", decision.action.name());
    out.key("enforced").bool(decision.enforced);
    out.text("mode", decision.mode.name());
    out.key("reasons").open_array();
    for (at, reason) in decision.reasons.iter().enumerate() {
        let told = decision.shared.seen(at).and_then(|seen| seen.entry);
        write_reason(&mut out, reason, event, told);
    }
    out.close_array();
    out.text_if("retry_hint", decision.retry_hint.as_deref());
    if let Some(ms) = decision.retry_after_ms {
        out.key("retry_after_ms").uint(ms);
    }
    if let Some(hold) = &decision.hold {
        out.key("hold").open().text("id", &hold.id);
        out.text("expires", &rfc3339(hold.expires)).close();
    }
    if let Some(streamed) = streamed {
        out.key("clean_through").uint(streamed.clean_through);
    }
    out.key("coverage").open();
    write_coverage(&mut out, decision.coverage);
    out.close();
    out.text("pack", stamp.pack).text("policy", stamp.policy);
    if decision.repeat {
        out.key("repeat").bool(true);
    }
    out.key("took_us").uint(stamp.took_us).close();
    out.into_bytes()
}

/// Who acted, as the event says it: an actor within the one that acts for it.
fn write_act(out: &mut Writer, chain: &[Actor<'_>]) {
    for Actor { sub, iss } in chain {
        out.key("act").open().text("sub", sub);
        out.text_if("iss", iss.as_deref());
    }
    for _ in chain {
        out.close();
    }
}

/// Members of `stream` that say what became of it.
fn write_stream(out: &mut Writer, streamed: &Streamed) {
    out.text("action", streamed.action.name());
    out.key("chunks").uint(streamed.chunks);
    out.text_if("ended", streamed.ended.map(End::name));
    if let Some(tick) = streamed.tick {
        out.key("tick").open().text("kind", tick.kind.name());
        out.text("at", &rfc3339(tick.at)).close();
    }
    if !streamed.packs.is_empty() {
        out.texts("packs", streamed.packs.iter().map(String::as_str));
    }
}

/// `told` is the entry of another partition that the finding rests on. Whose value it was is
/// left to alerts and audit: a verdict goes to whoever must not learn it.
fn write_reason(
    out: &mut Writer,
    reason: &Reason,
    event: Option<&Event<'_>>,
    told: Option<(i32, i64)>,
) {
    let Finding { source, confidence, field, span, view, mention } = &reason.finding;
    out.open();
    out.text("rule", &source.rule);
    out.text("family", source.family.name());
    out.text("type", &source.kind);
    out.text("severity", source.severity.name());
    out.text("confidence", confidence.name());
    let field = field
        .and_then(|index| event.and_then(|event| Some((event, event.fields.get(index as usize)?))));
    match field {
        Some((event, field)) => {
            out.text("field", &event.pointer(field.node));
            if field.place == Place::Key {
                out.text("at", "key");
            }
            out.key("start").uint(span.start as u64).key("end").uint(span.end as u64);
        }
        None => {
            out.key("field").raw("null").key("start").raw("null").key("end").raw("null");
        }
    }
    out.text("view", &view.0);
    out.text_if("mention", mention.map(Mention::name));
    out.text("message", &source.message);
    if let Some((partition, offset)) = told {
        out.text("scope", "shared").key("entry").open();
        out.key("partition").int(i64::from(partition)).key("offset").int(offset).close();
    }
    out.close();
}

/// Members of a `coverage` object, which `scan` writes too.
pub fn write_coverage(out: &mut Writer, coverage: &Coverage) {
    out.key("bytes").uint(coverage.bytes).key("scanned").uint(coverage.scanned);
    out.texts("views", coverage.views.iter().map(|view| view.0.as_ref()));
    // The score itself stays in audit: whoever reads verdicts could try words out against it.
    let Classified { state, windows, tokens, .. } = coverage.classifier;
    out.text("classifier", state.name());
    for (name, done) in [("windows", windows), ("tokens", tokens)] {
        if done.total > 0 {
            out.key(name).open().key("scored").uint(done.scored);
            out.key("total").uint(done.total).close();
        }
    }
    out.key("truncated").bool(coverage.truncated);
}

/// What a record that could not be read is found guilty of.
#[must_use]
pub fn unreadable(unreadable: &Unreadable) -> Finding {
    let kind = format!("unreadable.{}", unreadable.reason.name());
    Finding {
        source: Arc::new(Source {
            rule: kind.clone(),
            family: Family::System,
            kind,
            severity: Severity::Medium,
            message: unreadable.message.clone(),
            action: None,
            tags: Vec::new(),
        }),
        confidence: Confidence::High,
        field: None,
        span: RawSpan::default(),
        view: ViewName::RAW,
        mention: None,
    }
}
