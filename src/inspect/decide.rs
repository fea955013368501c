//! The second half of inspection: findings and standing orders into a decision.

use std::sync::Arc;

use crate::alert::{Alert, Cause, Figures, Origin, Sign, fold, fold_figures};
use crate::audit::hex;
use crate::event::{Event, RawSpan};
use crate::finding::{Action, Confidence, Coverage, Family, Finding, Severity, Source};
use crate::inspect::arrival::{
    Arrival, KILLED, MISROUTED, NAMES_LOST, PROFILES_FULL, TYPES_FULL, look,
};
use crate::inspect::behave;
use crate::inspect::govern::judge;
use crate::inspect::quiet::Quiet;
use crate::inspect::streams::LATE;
use crate::inspect::taint;
use crate::inspect::{Chunk, Decision, Incoming, Notes, Reason, Setup, Shared};
use crate::policy::{Breach, Mode, Orders};
use crate::redact::{Cut, Edit, Tags, is_redacted, plain_tag, plan, written};
use crate::state::Staged;

/// Alerts of one record are fewer than this power of two.
const TICK_SHIFT: u32 = 20;
/// A span that was redacted is told to the SOC from this severity on; below it is daily business.
const TOLD_WHEN_REDACTED: Severity = Severity::High;

/// Decides one event, in offset order. Changes nothing but `staged`.
pub fn decide<'s>(
    setup: &Setup,
    orders: &Orders,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, 's>,
) -> Decision<'s> {
    let Incoming { event, scan, chunk, .. } = *incoming;
    if chunk.is_some_and(Chunk::is_aside) {
        return aside(setup, orders, staged, incoming);
    }
    let Arrival { repeat, mut notes, findings } = look(&setup.limits, staged, incoming);
    let ordered = orders.mode(event);
    let mut reasons: Vec<Reason> = Vec::new();
    for found in scan.findings.iter().filter(|found| !is_ours(incoming, found)).chain(&findings) {
        reasons.push(reason(setup, event, found, ordered));
    }
    let tainted = taint::judge(setup, staged, incoming);
    for (finding, _) in &tainted.findings {
        reasons.push(reason(setup, event, finding, ordered));
    }
    if let Some(chunk) = chunk {
        chunk.until_its_end(&mut reasons);
    }
    let place = |(finding, seen)| {
        Some((reasons.iter().position(|reason| reason.finding == finding)?, seen))
    };
    let seen = tainted.findings.into_iter().filter_map(place).collect();
    let mut shared = Shared { seen, used: tainted.used, ..Shared::default() };
    let mut governed = judge(setup, staged, incoming, repeat);
    let judged = reasons.len();
    for breach in &governed.breaches {
        let reason = breach_reason(setup, event, breach, ordered);
        reasons.push(reason);
    }
    if orders.killed(event) {
        notes.killed = true;
        reasons.push(killed());
    }
    let quiet = ordered.unwrap_or_else(|| setup.policy.mode(event));
    let behavior = if repeat || notes.backdated {
        None
    } else {
        behave::judge(setup, staged, incoming, learned(&reasons, quiet))
    };
    let strain = behavior.as_ref().map(|said| said.strain).unwrap_or_default();
    notes.profiles_full = strain.profiles_full;
    notes.types_full = strain.types_full;
    notes.names_crowded = strain.names_crowded;
    if let Some(said) = &behavior {
        behave::reasons(setup, event, said, ordered, &mut reasons);
    }
    let (action, mode) = strongest(&reasons, quiet);
    let deciding = |reason: &&Reason| reason.mode == mode && reason.action == action;
    let at = reasons.iter().position(|reason| deciding(&reason));
    let first = at.and_then(|at| reasons.get(at)).map(|reason| &reason.finding);
    // What a rule of the policy says beside its action.
    let said = at.and_then(|at| governed.breaches.get(at.checked_sub(judged)?));
    let (mut replacement, mut retry_hint, mut retry_after_ms) = (None, None, None);
    match (action, first) {
        (Action::Replace, Some(found)) => replacement = Some(setup.policy.notice(event, found)),
        (Action::Retry, Some(found)) => {
            retry_hint = said
                .and_then(|breach| breach.hint.clone())
                .or_else(|| setup.policy.hint(event, found));
            retry_after_ms = said
                .and_then(|breach| breach.retry_after_ms)
                .or_else(|| setup.policy.retry_after_ms(event, found));
        }
        _ => {}
    }
    let edits = match action {
        Action::Redact | Action::Replace => edits(setup, staged, incoming, &reasons, mode),
        // What is safe of a streamed text goes on, and the rest of its event with it.
        Action::Retry | Action::Block if chunk.is_some() => {
            edits(setup, staged, incoming, &reasons, mode)
        }
        _ => Vec::new(),
    };
    let audit_edits = audit_edits(incoming, &reasons);
    let mut alerts = Vec::new();
    let mut quiet = Quiet::new(setup, orders, event, staged.now());
    if !repeat {
        let figures = |at: usize| {
            let breach = governed.breaches.get(at.checked_sub(judged)?)?;
            let (allowed, came) = breach.figures?;
            Some(Figures { typical: Some(allowed), actual: Some(came), score: None })
        };
        let why = (reasons.as_slice(), &shared);
        tell((setup, &mut quiet), staged, incoming, why, figures, &mut alerts);
        if let Some(said) = &behavior {
            let told = (&mut alerts, &mut shared);
            behave::tell((setup, &mut quiet), staged, incoming, said, &reasons, told);
        }
        for (met, source) in [
            (notes.misrouted, &MISROUTED),
            (strain.profiles_full, &PROFILES_FULL),
            (strain.types_full, &TYPES_FULL),
        ] {
            if met {
                tell_of_itself(setup, staged, incoming, source, &mut alerts);
            }
        }
        if strain.names_lost {
            let reason = of_itself(&NAMES_LOST);
            let sign = Sign { session: None, ..sign(event, &reason) };
            let place = origin(incoming, &alerts);
            fold(staged, &setup.limits.folding, &sign, place, &mut alerts);
        }
    }
    let held_back = mode == Mode::Enforce && matches!(action, Action::Retry | Action::Block);
    // In shadow nothing waits for the approval, and where anything else blocks it would not help.
    let only = |reason: &Reason| {
        reason.action < Action::Retry || reason.finding.source.kind == APPROVAL_REQUIRED
    };
    let hold = governed.hold.take().filter(|_| held_back && reasons.iter().all(only));
    governed.settle(setup, staged, event, &scan.findings, !held_back);
    let kept_back = quiet.kept(&mut notes);
    if !repeat && !held_back {
        shared.out.extend(taint::learn(setup, staged, event, incoming.prints));
    }
    Decision {
        action,
        enforced: mode == Mode::Enforce,
        mode,
        reasons,
        edits,
        replacement,
        retry_hint,
        retry_after_ms,
        hold,
        coverage: &scan.coverage,
        repeat,
        alerts,
        kept_back,
        audit_edits,
        stream: None,
        notes,
        shared,
    }
}

/// Decides about a chunk that is not read: of a stream that has ended, or one that came before.
/// Nobody is told, whatever else the event holds: none of it goes on, or it was told already.
fn aside<'s>(
    setup: &Setup,
    orders: &Orders,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, 's>,
) -> Decision<'s> {
    let Incoming { event, scan, chunk, .. } = *incoming;
    let Arrival { mut notes, .. } = look(&setup.limits, staged, incoming);
    let quiet = orders.mode(event).unwrap_or_else(|| setup.policy.mode(event));
    let late = chunk.is_some_and(Chunk::is_late);
    let mut reasons = Vec::new();
    if late {
        let finding = Finding::whole(Arc::clone(&LATE), Confidence::High);
        reasons.push(Reason { finding, action: Action::Block, mode: quiet });
    }
    if orders.killed(event) {
        notes.killed = true;
        reasons.push(killed());
    }
    let (action, mode) = strongest(&reasons, quiet);
    Decision { repeat: !late, notes, ..decision(reasons, (action, mode), &scan.coverage) }
}

/// Decides about a stream for which no chunk came.
pub fn decide_tick<'s>(
    setup: &Setup,
    orders: &Orders,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, 's>,
) -> Decision<'s> {
    let Incoming { event, scan, chunk, .. } = *incoming;
    let ordered = orders.mode(event);
    let quiet = ordered.unwrap_or_else(|| setup.policy.mode(event));
    let mut reasons: Vec<Reason> = Vec::new();
    for found in &scan.findings {
        reasons.push(reason(setup, event, found, ordered));
    }
    if let Some(chunk) = chunk {
        chunk.until_its_end(&mut reasons);
    }
    if orders.killed(event) {
        reasons.push(killed());
    }
    let (action, mode) = strongest(&reasons, quiet);
    let deciding = |reason: &&Reason| reason.mode == mode && reason.action == action;
    let first = reasons.iter().find(deciding).map(|reason| &reason.finding);
    let replacement =
        first.filter(|_| action == Action::Replace).map(|found| setup.policy.notice(event, found));
    let retry_hint =
        first.filter(|_| action == Action::Retry).and_then(|found| setup.policy.hint(event, found));
    let mut alerts = Vec::new();
    let mut quiet = Quiet::new(setup, orders, event, staged.now());
    let why = (reasons.as_slice(), &Shared::default());
    tell((setup, &mut quiet), staged, incoming, why, |_| None, &mut alerts);
    let mut notes = Notes::default();
    let kept_back = quiet.kept(&mut notes);
    Decision {
        replacement,
        retry_hint,
        alerts,
        kept_back,
        notes,
        ..decision(reasons, (action, mode), &scan.coverage)
    }
}

/// What policy makes of a finding; `ordered` is the mode that an order puts the event in.
fn reason(setup: &Setup, event: &Event<'_>, finding: &Finding, ordered: Option<Mode>) -> Reason {
    let ruling = setup.policy.ruling(event, finding);
    let mode = ordered.unwrap_or(ruling.mode);
    Reason { finding: finding.clone(), action: ruling.action, mode }
}

/// A decision with nothing to it but its reasons.
fn decision(
    reasons: Vec<Reason>,
    (action, mode): (Action, Mode),
    coverage: &Coverage,
) -> Decision<'_> {
    Decision {
        action,
        enforced: mode == Mode::Enforce,
        mode,
        reasons,
        edits: Vec::new(),
        replacement: None,
        retry_hint: None,
        retry_after_ms: None,
        hold: None,
        coverage,
        repeat: false,
        alerts: Vec::new(),
        kept_back: Vec::new(),
        audit_edits: Vec::new(),
        stream: None,
        notes: Notes::default(),
        shared: Shared::default(),
    }
}

/// A kill is carried out in every mode: it is an order, not a judgement.
fn killed() -> Reason {
    Reason {
        finding: Finding::whole(Arc::clone(&KILLED), Confidence::High),
        action: Action::Block,
        mode: Mode::Enforce,
    }
}

/// Whether an event may become part of what is usual: not what is held back, nor what
/// touches a planted value.
fn learned(reasons: &[Reason], quiet: Mode) -> bool {
    let (action, mode) = strongest(reasons, quiet);
    let held = mode == Mode::Enforce && action >= Action::Retry;
    !held && reasons.iter().all(|reason| reason.finding.source.family != Family::Canaries)
}

/// Whether a finding covers nothing but what redaction once wrote there.
fn is_ours(incoming: &Incoming<'_, '_>, found: &Finding) -> bool {
    let Incoming { event, chunk, .. } = *incoming;
    // Of a streamed text that was looked at when it was read.
    if chunk.is_some_and(|chunk| chunk.holds_text(found)) {
        return false;
    }
    found
        .field
        .and_then(|index| event.fields.get(index as usize))
        .and_then(|field| field.text.get(found.span.start..found.span.end))
        .is_some_and(is_redacted)
}

/// The strongest action that is carried out; where none is, the strongest that would be.
fn strongest(reasons: &[Reason], quiet: Mode) -> (Action, Mode) {
    let of = |mode| {
        let actions = reasons.iter().filter(|reason| reason.mode == mode).map(|r| r.action);
        actions.max().unwrap_or(Action::Allow)
    };
    match (of(Mode::Enforce), of(Mode::Shadow)) {
        (Action::Allow, Action::Allow) => (Action::Allow, quiet),
        (Action::Allow, shadow) => (shadow, Mode::Shadow),
        (enforced, _) => (enforced, Mode::Enforce),
    }
}

/// The edits of a clean event: notices for whole strings, then spans of the others.
fn edits(
    setup: &Setup,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
    reasons: &[Reason],
    mode: Mode,
) -> Vec<Edit> {
    let Incoming { event, chunk, .. } = *incoming;
    let ruled = |action: Action| {
        reasons.iter().filter(move |reason| {
            let streamed = chunk.is_some_and(|chunk| chunk.holds_text(&reason.finding));
            reason.action == action && reason.mode == mode && !streamed
        })
    };
    let mut edits: Vec<Edit> = Vec::new();
    for reason in ruled(Action::Replace) {
        let Some(index) = reason.finding.field else { continue };
        let Some(field) = event.fields.get(index as usize) else { continue };
        if edits.iter().all(|edit| edit.field != index) {
            let notice = setup.policy.notice(event, &reason.finding);
            let span = RawSpan { start: 0, end: field.text.len() };
            edits.push(Edit { field: index, span, with: notice.as_ref().to_owned() });
        }
    }
    let mut cuts: Vec<Cut<'_>> = ruled(Action::Redact)
        .filter_map(cut)
        .filter(|cut| edits.iter().all(|edit| edit.field != cut.field))
        .collect();
    if !cuts.is_empty() {
        let mut tags = Tags::of_session(setup.keys.redaction.as_ref(), staged, event);
        edits.extend(plan(&mut cuts, text_of(event), |kind, value| {
            written(setup.policy.operator(kind), kind, value, &mut tags)
        }));
        let deadline = staged.now().plus(setup.limits.session_idle_ms);
        tags.keep(staged, deadline, setup.limits.sessions);
    }
    edits.sort_by_key(|edit| (edit.field, edit.span));
    edits
}

/// The type of finding that an approval lifts.
const APPROVAL_REQUIRED: &str = "policy.approval_required";

/// What a rule of the policy found, and what is done about it: as the line about it says,
/// or as the policy's lines about findings do, where one is about it.
fn breach_reason(
    setup: &Setup,
    event: &Event<'_>,
    breach: &Breach,
    ordered: Option<Mode>,
) -> Reason {
    let mut finding = Finding::whole(Arc::clone(&breach.source), Confidence::High);
    if let Some(field) = breach.field.and_then(|at| event.fields.get(at as usize)) {
        finding.field = breach.field;
        finding.span = RawSpan { start: 0, end: field.text.len() };
    }
    let ruling = setup.policy.ruling(event, &finding);
    let mode = ordered.or(breach.mode).unwrap_or(ruling.mode);
    Reason { finding, action: ruling.action, mode }
}

/// Every finding cut out, whatever policy says of it; a parameter that breaks a rule is no
/// secret, and its value is what the reader of the audit needs.
fn audit_edits(incoming: &Incoming<'_, '_>, reasons: &[Reason]) -> Vec<Edit> {
    let Incoming { event, chunk, .. } = *incoming;
    let content = reasons.iter().filter(|reason| {
        let Reason { finding, .. } = reason;
        !matches!(finding.source.family, Family::Policy | Family::Flow)
            && !chunk.is_some_and(|chunk| chunk.holds_text(finding))
    });
    let mut cuts: Vec<Cut<'_>> = content.filter_map(cut).collect();
    plan(&mut cuts, text_of(event), |kind, _| plain_tag(kind))
}

fn cut(reason: &Reason) -> Option<Cut<'_>> {
    Some(Cut {
        field: reason.finding.field?,
        span: reason.finding.span,
        kind: &reason.finding.source.kind,
        severity: reason.finding.source.severity,
        confidence: reason.finding.confidence,
    })
}

/// The text that a finding covers, in its field or in the stream that a chunk is part of.
pub(super) fn covered<'e>(
    event: &'e Event<'_>,
    chunk: Option<&'e Chunk>,
    finding: &Finding,
) -> Option<&'e str> {
    match chunk.filter(|chunk| chunk.holds_text(finding)) {
        Some(chunk) => chunk.text_of(finding),
        None => text_of(event)(finding.field?)?.get(finding.span.start..finding.span.end),
    }
}

fn text_of<'e>(event: &'e Event<'_>) -> impl Fn(u32) -> Option<&'e str> {
    |index| event.fields.get(index as usize).map(|field| field.text.as_ref())
}

/// Folds what is to be told into episodes, one for each action and family.
fn tell(
    (setup, quiet): (&Setup, &mut Quiet<'_, '_>),
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
    (reasons, shared): (&[Reason], &Shared),
    figures: impl Fn(usize) -> Option<Figures>,
    alerts: &mut Vec<Alert>,
) {
    let loud = |reason: &Reason| match reason.action {
        // Behaviour folds by agent and not by session.
        _ if reason.finding.source.family == Family::Behavior => false,
        Action::Allow => false,
        Action::Redact => reason.finding.source.severity >= TOLD_WHEN_REDACTED,
        _ => true,
    };
    let told: Vec<&Reason> = reasons
        .iter()
        .filter(|reason| loud(reason) && quiet.lets(&reason.finding.source))
        .collect();
    let group = |reason: &Reason| (reason.action, reason.finding.source.family);
    let mut done: Vec<(Action, Family)> = Vec::new();
    for &first in &told {
        if done.contains(&group(first)) {
            continue;
        }
        done.push(group(first));
        let same = || told.iter().filter(|reason| group(reason) == group(first));
        let mut sign = sign(incoming.event, first);
        for reason in same() {
            sign.severity = sign.severity.max(reason.finding.source.severity);
            sign.confidence = sign.confidence.max(reason.finding.confidence);
            sign.enforced |= reason.mode == Mode::Enforce;
        }
        sign.fingerprint = same().find_map(|reason| fingerprint(setup, incoming, reason));
        // What was measured is told of the rule that the alert names.
        let measured = reasons.iter().position(|reason| std::ptr::eq(reason, first));
        sign.seen = measured.and_then(|at| shared.seen(at));
        let figures = measured.and_then(&figures).unwrap_or_default();
        let origin = origin(incoming, alerts);
        fold_figures(staged, &setup.limits.folding, &sign, figures, origin, alerts);
    }
}

/// One alert for the partition, however many agents it is about: a client's setting, a limit.
fn tell_of_itself(
    setup: &Setup,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
    source: &Arc<Source>,
    alerts: &mut Vec<Alert>,
) {
    let reason = of_itself(source);
    let sign = Sign { tenant: "", agent: "", session: None, ..sign(incoming.event, &reason) };
    fold(staged, &setup.limits.folding, &sign, origin(incoming, alerts), alerts);
}

fn of_itself(source: &Arc<Source>) -> Reason {
    let finding = Finding::whole(Arc::clone(source), Confidence::High);
    Reason { finding, action: Action::Alert, mode: Mode::Enforce }
}

pub(super) fn origin(incoming: &Incoming<'_, '_>, alerts: &[Alert]) -> Origin {
    let sent = alerts.iter().filter(|alert| matches!(alert.cause, Cause::Record(_))).count();
    // A timer's alerts carry the place of the last chunk, which may have had some of its own.
    let tick = incoming.chunk.and_then(|chunk| chunk.tick).map_or(0, |tick| tick.kind.ordinal());
    Origin { offset: incoming.at.offset, ordinal: (tick << TICK_SHIFT) + sent as u32 }
}

pub(super) fn sign<'a>(event: &'a Event<'_>, reason: &'a Reason) -> Sign<'a> {
    let source = &reason.finding.source;
    Sign {
        tenant: &event.tenant,
        agent: &event.agent,
        example: &event.agent,
        agent_type: event.agent_type.as_deref(),
        session: event.session.as_deref(),
        user: event.user.as_deref(),
        kind: event.kind,
        tool: event.tool.as_ref().map(|tool| tool.name.as_ref()),
        event_id: &event.id,
        action: reason.action,
        enforced: reason.mode == Mode::Enforce,
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

/// Names a secret without showing it: the same secret has the same name everywhere.
fn fingerprint(setup: &Setup, incoming: &Incoming<'_, '_>, reason: &Reason) -> Option<String> {
    let key = setup.keys.fingerprint.as_ref()?;
    if reason.finding.source.family != Family::Secrets {
        return None;
    }
    let finding = &reason.finding;
    let value = covered(incoming.event, incoming.chunk, finding)?;
    let mac = key.mac(&[b"fingerprint", value.as_bytes()]);
    Some(hex(mac.first_chunk::<16>()?))
}
