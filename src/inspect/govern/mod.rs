//! What policy demands of an event beyond what was found in it, and the memory that takes.
//!
//! [`judge`] asks the policy's rules about tools, sessions and flows, and counts the event;
//! [`Governed::settle`] is called when it is known whether the event goes on, because what
//! is held back leaves no labels on its session and uses up no approval. Nothing is loaded
//! or written for a policy that asks for nothing, and a repeated record moves no counter.

mod hold;
mod ledger;
mod session;
mod usage;

use crate::event::{Event, Kind, Millis};
use crate::finding::{Confidence, Family, Finding};
use crate::inspect::{Hold, Incoming, Limits, Setup};
use crate::policy::{Access, Breach, Covering, Halt, LabelSet, Scope};
use crate::state::{Key, Staged};

use hold::Approval;
use ledger::{Hashes, Ledger};
use session::Session;
use usage::{Turn, Usage};

pub use hold::{approve, call_hash, grant};

/// What an event comes to, and what is to be remembered of it.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one memory whether to keep it")]
pub(super) struct Governed {
    pub(super) breaches: Vec<Breach>,
    /// The approval that is waited for.
    pub(super) hold: Option<Hold>,
    repeat: bool,
    session: Option<(Key, Session)>,
    session_counted: bool,
    usage: Option<(Key, Usage)>,
    usage_counted: bool,
    labels: LabelSet,
    ledger: Option<(Key, Ledger)>,
    /// What the event's tool returns can be trusted.
    trusted: bool,
    /// The approval that the call uses up if it goes on.
    spends: Option<Key>,
    /// The tool is known from now on, if the call goes on.
    learns: bool,
}

/// Asks policy about one event, and counts it.
pub(super) fn judge(
    setup: &Setup,
    staged: &mut Staged<'_>,
    incoming: &Incoming<'_, '_>,
    repeat: bool,
) -> Governed {
    let governance = &setup.policy.governance;
    let event = incoming.event;
    let mut out = Governed { repeat, ..Governed::default() };
    if governance.is_empty() {
        return out;
    }
    let covering = governance.covering(event);
    out.breaches = governance.breaches(event, &covering, staged.now());
    halted(setup, staged, event, &mut out);
    circuit(setup, staged, event, &mut out);
    quotas(staged, event, &covering, &mut out);
    if governance.has_origins() {
        origins(setup, staged, event, &covering, &mut out);
    }
    if out.breaches.is_empty() {
        approval(setup, staged, event, &covering, &mut out);
    }
    if governance.has_flows() {
        out.labels = governance.labels(event, &covering, &incoming.scan.findings);
        let held = if out.labels == 0 {
            0
        } else {
            governance.label_set(&out.session(staged, event).labels)
        };
        out.breaches.extend(governance.broken_flows(event, held, out.labels));
    }
    out
}

/// Tells whether a canary has stopped the session or the agent.
fn halted(setup: &Setup, staged: &Staged<'_>, event: &Event<'_>, out: &mut Governed) {
    let governance = &setup.policy.governance;
    let halted = match governance.halts() {
        Halt::Nothing => return,
        Halt::Session => out.session(staged, event).halted,
        Halt::Agent => out.usage(staged, event).halted,
    };
    out.breaches.extend(governance.halted().filter(|_| halted));
}

/// Asks the agent's circuit breaker, and counts failures and cost.
fn circuit(setup: &Setup, staged: &Staged<'_>, event: &Event<'_>, out: &mut Governed) {
    let Some(breaker) = setup.policy.governance.breaker(event) else { return };
    let (now, repeat) = (staged.now(), out.repeat);
    let spent = event.usage.cost_micro_usd.filter(|_| !repeat).unwrap_or(0);
    let usage = out.usage(staged, event);
    let before = usage.circuit;
    let cost = if breaker.max_cost_micro_usd > 0 {
        usage.count(COST, DAY_MS, breaker.max_cost_micro_usd, spent, now).sum
    } else {
        0
    };
    let mut circuit = usage.circuit;
    let turn = circuit.turn(breaker, event, cost, now);
    if !repeat {
        usage.circuit = circuit;
    }
    out.usage_counted |= spent > 0 || circuit != before;
    match turn {
        Turn::Passes => {}
        Turn::Opens => out.breaches.push(breaker.opens()),
        Turn::Stopped(wait_ms) => out.breaches.push(breaker.stops(wait_ms)),
    }
}

/// Names the day's cost among an agent's counters.
const COST: [u8; 8] = *b"cost_usd";
const DAY_MS: i64 = 86_400_000;

/// Traces the parameters of a call to where the session had them from.
fn origins(
    setup: &Setup,
    staged: &Staged<'_>,
    event: &Event<'_>,
    covering: &Covering<'_>,
    out: &mut Governed,
) {
    out.trusted = covering.is_trusted();
    let Some(tool) = event.tool.as_ref().filter(|_| event.kind == Kind::ToolCall) else { return };
    let hashes = Hashes(setup.keys.fingerprint.as_ref());
    for (rule, breach) in covering.origins() {
        if let Some(param) = out.ledger(staged, event).refused(hashes, rule, &tool.params) {
            out.breaches.push(Breach { field: param.field, ..breach });
        }
    }
}

/// Counts against every quota of the rules that cover the event.
fn quotas(staged: &Staged<'_>, event: &Event<'_>, covering: &Covering<'_>, out: &mut Governed) {
    let now = staged.now();
    for (quota, breach) in covering.quotas() {
        let amount = quota.of.amount(event, quota.per);
        if amount == 0 {
            continue;
        }
        // A repeat is judged by the count as it stands; it was counted when it first came.
        let counted = if out.repeat { 0 } else { amount };
        match quota.per.window_ms() {
            None => {
                let session = out.session(staged, event);
                let used = session.count(quota.key, counted);
                out.session_counted = true;
                if used > quota.max {
                    out.breaches.push(breach.measured(quota.max, used));
                }
            }
            Some(window) => {
                let standing =
                    out.usage(staged, event).count(quota.key, window, quota.max, counted, now);
                out.usage_counted = true;
                if standing.sum > quota.max {
                    let wait = breach.retry_after_ms.unwrap_or(standing.wait_ms);
                    let breach = breach.measured(quota.max, standing.sum);
                    out.breaches.push(Breach { retry_after_ms: Some(wait), ..breach });
                }
            }
        }
    }
}

/// Asks whether the call may pass without a person, or has one's approval.
fn approval(
    setup: &Setup,
    staged: &mut Staged<'_>,
    event: &Event<'_>,
    covering: &Covering<'_>,
    out: &mut Governed,
) {
    let (Some((access, breach)), Some(tool)) = (covering.asks(), &event.tool) else { return };
    if event.kind != Kind::ToolCall {
        return;
    }
    if access == Access::AskFirst {
        out.learns = true;
        if out.usage(staged, event).knows(&tool.name, staged.now()) {
            return;
        }
    }
    let key = hold::key(event);
    let granted = [key.clone(), hold::any_key(event)]
        .into_iter()
        .find(|key| matches!(hold::standing(staged, key), Approval::Granted(..)));
    if granted.is_some() {
        out.spends = granted;
    } else {
        out.hold = Some(hold::ask(staged, &key, &setup.limits, !out.repeat));
        out.breaches.push(breach);
    }
}

impl Governed {
    fn session(&mut self, staged: &Staged<'_>, event: &Event<'_>) -> &mut Session {
        let (_, session) = self.session.get_or_insert_with(|| {
            let key = Session::key(event);
            let session = Session::read(staged, &key).unwrap_or_default();
            (key, session)
        });
        session
    }

    fn usage(&mut self, staged: &Staged<'_>, event: &Event<'_>) -> &mut Usage {
        let (_, usage) = self.usage.get_or_insert_with(|| {
            let key = Usage::key(event);
            let usage = Usage::read(staged, &key).unwrap_or_default();
            (key, usage)
        });
        usage
    }

    fn ledger(&mut self, staged: &Staged<'_>, event: &Event<'_>) -> &mut Ledger {
        let (_, ledger) = self.ledger.get_or_insert_with(|| {
            let key = Ledger::key(event);
            let ledger = Ledger::read(staged, &key).unwrap_or_default();
            (key, ledger)
        });
        ledger
    }

    /// Remembers the event. `passes`: it is not held back.
    pub(super) fn settle(
        mut self,
        setup: &Setup,
        staged: &mut Staged<'_>,
        event: &Event<'_>,
        findings: &[Finding],
        passes: bool,
    ) {
        let governance = &setup.policy.governance;
        let limits = &setup.limits;
        if self.repeat || governance.is_empty() {
            return;
        }
        let named = event.session.is_some();
        let mut changed = self.session_counted;
        let canary = |found: &Finding| {
            found.source.family == Family::Canaries && found.confidence > Confidence::Low
        };
        match governance.halts() {
            Halt::Session if findings.iter().any(canary) => {
                self.session(staged, event).halted = true;
                changed = true;
            }
            Halt::Agent if findings.iter().any(canary) => {
                self.usage(staged, event).halted = true;
                self.usage_counted = true;
            }
            Halt::Nothing | Halt::Session | Halt::Agent => {}
        }
        if governance.has_origins() {
            if passes {
                let hashes = Hashes(setup.keys.fingerprint.as_ref());
                let trusted = self.trusted;
                let before = self.ledger(staged, event).clone();
                self.ledger(staged, event).learn(hashes, event, findings, trusted);
                if let Some((key, ledger)) = self.ledger.take().filter(|(_, now)| *now != before) {
                    ledger.write(staged, key, limits, named);
                }
            }
            session::touch(staged, &Ledger::key(event), limits, named);
        }
        if passes && self.labels != 0 {
            let session = self.session(staged, event);
            let before = governance.label_set(&session.labels);
            if before | self.labels != before {
                let all = before | self.labels;
                self.session(staged, event).labels = governance.label_ids(all);
                changed = true;
            }
        }
        match self.session.take() {
            Some((key, session)) if changed => session.write(staged, key, limits, named),
            Some((key, _)) => session::touch(staged, &key, limits, named),
            None if governance.has_sessions() => {
                session::touch(staged, &Session::key(event), limits, named);
            }
            None => {}
        }
        if let Some(key) = self.spends.take().filter(|_| passes) {
            hold::spend(staged, key);
        }
        let learns = self.learns && passes;
        if let Some((key, mut usage)) = self.usage.take() {
            let tool = event.tool.as_ref().filter(|_| learns);
            let learned = tool.is_some_and(|tool| usage.used(&tool.name, staged.now()));
            if learned || self.usage_counted {
                usage.write(staged, key, limits);
            }
        }
    }
}

/// Lifts the halt of a session or an agent, as an operator's resume order asks.
pub fn resume(staged: &mut Staged<'_>, scope: &Scope, limits: &Limits) {
    let event = |tenant: &str, agent: &str, session: Option<&str>| {
        let own = |text: &str| std::borrow::Cow::Owned(text.to_owned());
        let mut event = Event::new(Kind::Prompt, "".into(), own(agent), Millis(0));
        event.tenant = own(tenant);
        event.session = session.map(own);
        event
    };
    match scope {
        Scope::Session(tenant, agent, session) => {
            let key = Session::key(&event(tenant, agent, Some(session)));
            if let Some(mut session) = Session::read(staged, &key).filter(|known| known.halted) {
                session.halted = false;
                session.write(staged, key, limits, true);
            }
        }
        Scope::Agent(tenant, agent) => {
            let event = event(tenant, agent, None);
            let key = Usage::key(&event);
            if let Some(mut usage) = Usage::read(staged, &key).filter(|known| known.halted) {
                usage.halted = false;
                usage.write(staged, key, limits);
            }
            // The session that an agent has where it names none is the agent's own.
            let key = Session::key(&event);
            if let Some(mut session) = Session::read(staged, &key).filter(|known| known.halted) {
                session.halted = false;
                session.write(staged, key, limits, false);
            }
        }
        Scope::All | Scope::Tenant(_) | Scope::Type(_) => {}
    }
}
