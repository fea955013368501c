//! What an agent's behaviour says of an event: the baseline is asked, and updated in state.
//!
//! A profile is one entry of state for each agent, a class one for each type of agent of a
//! tenant. What is unusual becomes a reason like any other, so policy may do more about it
//! than tell; alerts fold by tenant, agent and family, whatever the session.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::alert::{
    Alert, CORRECTED, Correction, Figures, Folding, Hush, Manner, Origin, close_family, correct,
    episode_key, fold_in,
};
use crate::baseline::{
    self, Anomaly, Class, Closed, Feature, Judgement, Level, Mode as Judged, NAMES, Observation,
    Profile, RuleHit,
};
use crate::event::{Carrier, Event, Kind, Millis, Place};
use crate::finding::{Action, Confidence, Family, Finding, Severity, Source, standard_tags};
use crate::inspect::decide::{origin, sign};
use crate::inspect::quiet::Quiet;
use crate::inspect::together::{Signs, look};
use crate::inspect::{Incoming, Limits, Reason, Setup, Shared};
use crate::policy::{Mode, Scope};
use crate::state::{Key, Object, Staged, owner};

/// A profile is forgotten when its agent was silent for so many days.
const FORGOTTEN_DAYS: i64 = 60;
/// Classes of agents that a partition knows; agents of others share one.
const CLASSES: usize = 1000;
/// Behaviour that comes back within this is the same trouble. What its first minute's hour comes to
/// is known with the agent's first event ten minutes after that hour at the latest, and is told
/// while the episode is open: five minutes are left for that event.
pub const BEHAVIOR_IDLE_MS: i64 = 3_600_000 + baseline::LATENESS_MS + 300_000;
const DAY_MS: i64 = 86_400_000;
/// Version of the entry of an accepted agent, which holds nothing but its deadline.
const ACCEPTED_VERSION: u8 = 1;
/// Alerts of one record are numbered from 0; an episode that begins without one is named by this.
const UNTOLD: u32 = 1 << 18;
/// Strings of an event that are looked through for destinations.
const FIELDS_MAX: usize = 64;

/// What the baseline says of an event.
pub(super) struct Said {
    judgement: Judgement,
    /// Agents of its class.
    agents: u32,
    /// An operator has called what the agent does now usual: it is on record and not told.
    accepted: bool,
    /// Limits that it met.
    pub(super) strain: Strain,
}

/// Limits that an event met.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strain {
    /// Another agent's profile gave way.
    pub(super) profiles_full: bool,
    /// The agent's type is one too many.
    pub(super) types_full: bool,
    /// So many names within their thirty days gave way.
    pub(super) names_crowded: u32,
    /// With them a thousand of the agent's have, or ten thousand, and so on.
    pub(super) names_lost: bool,
}

/// Judges an event against its agent's past, and remembers it. `learn` is false for what
/// must not become usual.
pub(super) fn judge(
    setup: &Setup,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
    learn: bool,
) -> Option<Said> {
    let settings = &setup.behavior;
    let event = incoming.event;
    // A part of an answer is not an event of its own.
    if settings.mode == Judged::Off || event.kind == Kind::OutputChunk {
        return None;
    }
    let now = incoming.at.now;
    let profile_key = profile_key(&event.tenant, &event.agent);
    let accepted = is_accepted(staged, &profile_key);
    let seen = Observation { accepted, ..observation(event, now, learn) };
    let (class_key, types_full) = class_key(staged, event);
    let mut class = staged.take(&class_key, Class::read).unwrap_or_default();
    let known = staged.take(&profile_key, Profile::read);
    let profiles_full =
        known.is_none() && staged.count(owner::PROFILE) >= setup.limits.profiles.max(1);
    if profiles_full {
        staged.make_room(owner::PROFILE, setup.limits.profiles);
    }
    let mut profile =
        known.unwrap_or_else(|| Box::new(Profile::new(Millis(event.ts.0.min(now.0)))));
    let before = profile.crowded();
    let judgement = baseline::observe(settings, &mut class, &mut profile, &seen);
    let lost = profile.crowded();
    let names_lost = (3..10).map(|tens| 10_u32.pow(tens)).any(|at| before < at && at <= lost);
    let names_crowded = lost - before;
    let strain = Strain { profiles_full, types_full, names_crowded, names_lost };
    // A deadline by the day, so that it does not change with every event.
    let forgotten = Some(Millis((now.0.div_euclid(DAY_MS) + FORGOTTEN_DAYS) * DAY_MS));
    staged.keep(profile_key, profile, forgotten);
    let agents = class.agents();
    staged.keep(class_key, class, forgotten);
    Some(Said { judgement, agents, accepted, strain })
}

/// Where an agent's profile is kept.
#[must_use]
pub fn profile_key(tenant: &str, agent: &str) -> Key {
    Key::of(owner::PROFILE, [tenant, agent])
}

fn accepted_key(profile: &Key) -> Key {
    Key { owner: owner::ACCEPTED, id: profile.id.clone() }
}

fn is_accepted(staged: &Staged<'_>, profile: &Key) -> bool {
    // Mostly nobody is.
    staged.count(owner::ACCEPTED) > 0
        && staged
            .entry(&accepted_key(profile))
            .and_then(|entry| entry.deadline)
            .is_some_and(|until| staged.now() < until)
}

/// Forgets what was learned about one agent, or about all and their classes, as an operator's
/// order asks. What was going on is closed. Nothing for other scopes: a profile does not say
/// whose it is.
pub fn reset(staged: &mut Staged<'_>, scope: &Scope) -> Vec<Alert> {
    match scope {
        Scope::Agent(tenant, agent) => {
            let key = profile_key(tenant, agent);
            staged.remove(accepted_key(&key));
            staged.remove(key);
            close_family(staged, tenant, agent, Family::Behavior)
        }
        Scope::All => {
            for owner in [owner::PROFILE, owner::CLASS, owner::ACCEPTED] {
                while let Some((_, key)) = staged.first(owner) {
                    staged.remove(key);
                }
            }
            Vec::new()
        }
        Scope::Tenant(_) | Scope::Type(_) | Scope::Session(..) => Vec::new(),
    }
}

/// Takes what one agent does now as usual. Until then all of it is learned, and none of it
/// is told.
pub fn accept(staged: &mut Staged<'_>, scope: &Scope, until: Option<Millis>) -> Vec<Alert> {
    let Scope::Agent(tenant, agent) = scope else { return Vec::new() };
    let key = profile_key(tenant, agent);
    if let Some(deadline) = staged.entry(&key).map(|entry| entry.deadline)
        && let Some(mut profile) = staged.take(&key, Profile::read)
    {
        profile.accept();
        staged.keep(key.clone(), profile, deadline);
    }
    match until.filter(|until| *until > staged.now()) {
        Some(until) => staged.put(accepted_key(&key), vec![ACCEPTED_VERSION], Some(until)),
        None => staged.remove(accepted_key(&key)),
    }
    close_family(staged, tenant, agent, Family::Behavior)
}

/// What the judgement says, as reasons: hits of the fixed rules are on record and do nothing
/// unless the settings send them; what is told is policy's to act on.
pub(super) fn reasons(
    setup: &Setup,
    event: &Event<'_>,
    said: &Said,
    ordered: Option<Mode>,
    reasons: &mut Vec<Reason>,
) {
    let Said { judgement: said, accepted, .. } = said;
    let literal = setup.behavior.mode == Judged::Literal;
    let mut add = |source: Source, confidence: Confidence, told: bool| {
        let found = Finding::whole(Arc::new(source), confidence);
        let ruling = setup.policy.ruling(event, &found);
        reasons.push(Reason {
            finding: found,
            action: if told && !accepted { ruling.action } else { Action::Allow },
            mode: ordered.unwrap_or(ruling.mode),
        });
    };
    for hit in said.rules.iter().flatten() {
        let level = said.literal().unwrap_or(Level::Warning);
        let severity = if literal { severity(level) } else { Severity::Info };
        let confidence = if literal { Confidence::Medium } else { Confidence::Low };
        add(source(hit.rule.id(), severity, rule_text(hit)), confidence, literal);
    }
    if literal {
        return;
    }
    for closed in corrections(said) {
        let source = source(CORRECTED, Severity::Info, correction_text(closed));
        add(source, Confidence::Low, false);
    }
    let level = said.level.unwrap_or(Level::Warning);
    for anomaly in said.anomalies.iter().flatten() {
        let source = source(anomaly.feature.signal(), severity(level), anomaly_text(anomaly));
        add(source, Confidence::Medium, true);
    }
}

/// Hours that come to something else, now that they are whole, than was told.
fn corrections(said: &Judgement) -> impl Iterator<Item = Closed> {
    said.closed.into_iter().flatten().filter(|closed| closed.corrects())
}

/// Tells of the agent's open episode what is known better now of its evidence.
fn tell_corrections(
    (setup, quiet): (&Setup, &mut Quiet<'_, '_>),
    staged: &Staged<'_>,
    incoming: &Incoming<'_, '_>,
    said: &Said,
    alerts: &mut Vec<Alert>,
) {
    if setup.behavior.mode == Judged::Literal || said.accepted {
        return;
    }
    let event = incoming.event;
    for closed in corrections(&said.judgement) {
        if !quiet.lets_signal(Family::Behavior, CORRECTED) {
            continue;
        }
        let mut signals = |features: &mut dyn Iterator<Item = Feature>| -> Vec<String> {
            let signals = features.map(Feature::signal);
            let heard = signals.filter(|signal| quiet.lets_signal(Family::Behavior, signal));
            heard.map(str::to_owned).collect()
        };
        let correction = Correction {
            hour: Millis(i64::from(closed.hour) * 3_600_000),
            withdrawn: signals(&mut closed.withdrawn()),
            added: signals(&mut closed.added()),
        };
        if correction.withdrawn.is_empty() && correction.added.is_empty() {
            continue;
        }
        let text = correction_text(closed);
        let whose = (event.tenant.as_ref(), event.agent.as_ref(), Family::Behavior);
        let next = |alerts: &[Alert]| origin(incoming, alerts);
        correct(staged, whose, (&correction, &text, &event.id), next, alerts);
    }
}

fn correction_text(closed: Closed) -> String {
    let list = |features: &mut dyn Iterator<Item = Feature>| {
        features.map(Feature::signal).collect::<Vec<_>>().join(", ")
    };
    let (withdrawn, added) = (list(&mut closed.withdrawn()), list(&mut closed.added()));
    let mut parts = Vec::new();
    if !withdrawn.is_empty() {
        parts.push(format!("does not bear out {withdrawn}"));
    }
    if !added.is_empty() {
        parts.push(format!("adds {added}"));
    }
    format!("the whole hour {}", parts.join(" and "))
}

/// Folds what is to be told into the agent's one episode of behaviour. What an hour comes to
/// is told of the episode that was open before.
pub(super) fn tell(
    (setup, quiet): (&Setup, &mut Quiet<'_, '_>),
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
    said: &Said,
    reasons: &[Reason],
    (alerts, shared): (&mut Vec<Alert>, &mut Shared),
) {
    tell_corrections((setup, quiet), staged, incoming, said, alerts);
    let figures = figures(setup, &said.judgement);
    let loud = |reason: &Reason| {
        reason.finding.source.family == Family::Behavior && reason.action > Action::Allow
    };
    let told: Vec<&Reason> = reasons
        .iter()
        .filter(|reason| loud(reason) && quiet.lets(&reason.finding.source))
        .collect();
    let leads = |reason: &&&Reason| {
        figures.as_ref().is_some_and(|(signal, _)| reason.finding.source.kind == *signal)
    };
    let Some(&reason) = told.iter().find(leads).or(told.first()) else { return };
    let mut sign = sign(incoming.event, reason);
    // One episode of an agent, whatever its sessions and whatever was done.
    sign.session = None;
    sign.enforced = told.iter().any(|reason| reason.mode == Mode::Enforce);
    sign.action = told.iter().map(|reason| reason.action).max().unwrap_or(sign.action);
    let folding = behavior_folding(&setup.limits);
    let figures = figures.map(|(_, figures)| figures).unwrap_or_default();
    let key = episode_key(&sign);
    let heard = |anomaly: &&Anomaly| {
        let signal = anomaly.feature.signal();
        told.iter().any(|reason| reason.finding.source.kind == signal)
    };
    let Judgement { anomalies, level, fresh, .. } = &said.judgement;
    let signs: Vec<Anomaly> = anomalies.iter().flatten().filter(heard).copied().collect();
    // The fixed rules are told as they stand.
    let hush = if setup.behavior.mode == Judged::Literal {
        Hush::No
    } else {
        let signs = Signs {
            told: &signs,
            level: level.unwrap_or(Level::Warning),
            fresh: *fresh,
            agents: said.agents,
            warnings_per_week: setup.behavior.warnings_per_week,
        };
        look(staged, &folding, incoming, &signs, &sign, (alerts, shared))
    };
    let manner = Manner { figures, hush, group: None };
    // Its episode may begin without an alert and be told by another record's: its name must not
    // be taken by the next alert of this one.
    let place = if hush == Hush::No {
        origin(incoming, alerts)
    } else {
        Origin { offset: incoming.at.offset, ordinal: UNTOLD }
    };
    fold_in(staged, &folding, (key, &sign), manner, place, alerts);
}

/// How behaviour folds.
#[must_use]
pub fn behavior_folding(limits: &Limits) -> Folding {
    Folding { idle_ms: limits.folding.idle_ms.max(BEHAVIOR_IDLE_MS), ..limits.folding }
}

/// The signal that is told first, with its numbers.
fn figures(setup: &Setup, said: &Judgement) -> Option<(&'static str, Figures)> {
    if setup.behavior.mode == Judged::Literal {
        let hits = said.rules.iter().flatten();
        let hit = hits.last()?;
        let figures =
            Figures { typical: Some(hit.baseline), actual: Some(hit.actual), score: None };
        return Some((hit.rule.id(), figures));
    }
    let first = said.first()?;
    let figures = Figures {
        typical: Some(round(first.typical)),
        actual: Some(round(first.actual)),
        score: Some(first.score.round()),
    };
    Some((first.feature.signal(), figures))
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Warning => Severity::Medium,
        Level::Critical => Severity::Critical,
    }
}

fn source(rule: &str, severity: Severity, message: String) -> Source {
    Source {
        rule: rule.to_owned(),
        family: Family::Behavior,
        kind: rule.to_owned(),
        severity,
        message,
        action: None,
        tags: standard_tags(rule),
    }
}

fn rule_text(hit: &RuleHit) -> String {
    format!("{}: {} against {}", hit.rule.text(), round(hit.actual), round(hit.baseline))
}

fn anomaly_text(anomaly: &Anomaly) -> String {
    let mut text = anomaly.feature.about().to_owned();
    let (actual, typical, high) =
        (round(anomaly.actual), round(anomaly.typical), round(anomaly.high));
    if anomaly.typical > 0.0 {
        write!(
            text,
            ": {actual} where {typical} are usual and one window in twenty exceeds {high}"
        )
        .expect("a string can be written to");
    }
    write!(text, "; seen once in {:.0} agent-hours", anomaly.one_in_hours.min(1e9))
        .expect("a string can be written to");
    text
}

/// Three digits are enough for a person.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    if value.abs() >= 100.0 { value.round() } else { (value * 10.0).round() / 10.0 }
}

impl Object for Profile {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2048);
        self.write(&mut bytes);
        bytes
    }
}

impl Object for Class {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8192);
        self.write(&mut bytes);
        bytes
    }
}

/// The class of the event's agent; the nameless one where there are too many, and whether there are.
fn class_key(staged: &Staged<'_>, event: &Event<'_>) -> (Key, bool) {
    let class = event.agent_type.as_deref().unwrap_or_default();
    let key = Key::of(owner::CLASS, [event.tenant.as_ref(), class]);
    if !staged.has(&key) && staged.count(owner::CLASS) >= CLASSES {
        return (Key::of(owner::CLASS, ["", ""]), true);
    }
    (key, false)
}

/// The event as numbers.
fn observation(event: &Event<'_>, now: Millis, learn: bool) -> Observation {
    let hash = |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or(0, baseline::name);
    let usage = event.usage;
    let mut seen = Observation {
        ts: event.ts,
        now,
        call: event.kind == Kind::ToolCall,
        tool: hash(event.tool.as_ref().map(|tool| tool.name.as_ref())),
        session: hash(event.session.as_deref()),
        tokens: usage.tokens_in.unwrap_or(0).saturating_add(usage.tokens_out.unwrap_or(0)),
        bytes: bytes(event),
        cost: usage.cost_micro_usd.unwrap_or(0),
        latency_ms: event.latency_ms,
        error: event.tool.as_ref().filter(|_| event.kind == Kind::ToolResult).map(|t| t.error),
        deployment: deployment(event),
        learn,
        ..Observation::default()
    };
    for (slot, class) in seen.data.iter_mut().zip(&event.data_classes) {
        *slot = baseline::name(class);
    }
    destinations(event, &mut seen.destinations);
    seen
}

/// Bytes that a tool returned or was sent: as counted by the runtime, else of the strings.
fn bytes(event: &Event<'_>) -> u64 {
    match (event.kind, &event.tool) {
        (Kind::ToolResult, Some(tool)) if tool.bytes.is_some() => tool.bytes.unwrap_or(0),
        (Kind::ToolResult | Kind::ToolCall, _) => {
            let strings = event.fields.iter().filter(|field| field.place != Place::Key);
            strings.map(|field| field.text.len() as u64).sum()
        }
        _ => 0,
    }
}

/// What an agent is: its prompt and its tools. The model is left out: agents that take turns
/// between two of them would be new with every event.
fn deployment(event: &Event<'_>) -> u32 {
    let deployment = &event.deployment;
    let parts = [&deployment.id, &deployment.prompt_hash, &deployment.tools_hash];
    if parts.iter().all(|part| part.is_none()) {
        return 0;
    }
    parts.into_iter().fold(1, |hash: u32, part| {
        hash.wrapping_mul(31).wrapping_add(part.as_deref().map_or(0, baseline::name))
    })
}

/// Keys whose values say where something goes.
const WHERE: [&str; 16] = [
    "to",
    "cc",
    "bcc",
    "recipient",
    "recipients",
    "email",
    "address",
    "url",
    "uri",
    "endpoint",
    "webhook",
    "host",
    "hostname",
    "domain",
    "destination",
    "target",
];

/// Hashes of the hosts and mail domains that a call's parameters name.
fn destinations(event: &Event<'_>, into: &mut [u32; NAMES]) {
    for (slot, host) in into.iter_mut().zip(hosts(event)) {
        *slot = baseline::name(&host);
    }
}

/// The hosts and mail domains that a call's parameters name, the first few, in order of the text.
pub(super) fn hosts(event: &Event<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    if event.kind != Kind::ToolCall {
        return out;
    }
    let values = event
        .fields
        .iter()
        .take(FIELDS_MAX)
        .filter(|field| field.place == Place::Value && field.carrier == Carrier::ToolCall);
    for field in values {
        let named = event
            .context_keys(field.node)
            .any(|key| WHERE.iter().any(|name| key.eq_ignore_ascii_case(name)));
        let Some(domain) = named.then(|| domain(&field.text)).flatten() else { continue };
        let host = domain.to_ascii_lowercase();
        if out.len() < NAMES && !out.contains(&host) {
            out.push(host);
        }
    }
    out
}

/// The host of an address or of a mail address, or the text itself where it is one.
fn domain(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = rest.split([':', '>', ',', ' ']).next().unwrap_or(rest);
    let plausible = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    (host.len() <= 253 && host.contains('.') && host.bytes().all(plausible)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_hosts_and_mail_domains() {
        for (text, expected) in [
            ("https://Files.Example.org:8443/a?b=c", Some("Files.Example.org")),
            ("Eve <eve@evil.example>", Some("evil.example")),
            ("a@b.example, c@d.example", Some("d.example")),
            ("host.example", Some("host.example")),
            ("https://user:pw@h.example/x", Some("h.example")),
            ("the usual place", None),
            ("localhost", None),
        ] {
            assert_eq!(domain(text), expected, "{text}");
        }
    }
}
