//! Who may call which tool, how, how often, and what may not follow what.
//!
//! Everything that needs only the event is decided here ([`Governance::breaches`]); what
//! needs a memory (quotas over time, first use, sessions) is asked for by `inspect`, which
//! keeps it. Rules are sorted by how specific they are when the file is read. Of rules with
//! the same `id` only the most specific one that covers a call counts; `access` is decided
//! by the most specific rule that speaks of it; all other rules that cover a call hold.

use std::sync::Arc;

use crate::event::{Event, Kind, Millis};
use crate::finding::{Finding, Source};
use crate::policy::Mode;
use crate::policy::breaker::{Breaker, Breakers};
use crate::policy::flow::{Flow, LabelSet, Labels};
use crate::policy::glob::Glob;
use crate::policy::hours::Hours;
use crate::policy::origin::OriginRule;
use crate::policy::params::{Demand, Met};
use crate::policy::registry::Registry;
use crate::policy::who::{Index, Who};

/// Who may call a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// May be called.
    Allow,
    /// May not.
    Deny,
    /// Each call needs an approval.
    Ask,
    /// The agent's first call needs an approval; later ones do not.
    AskFirst,
}

impl Access {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Allow, Self::Deny, Self::Ask, Self::AskFirst];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::AskFirst => "ask_first",
        }
    }
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// Calls, also those that were held back.
    #[default]
    Calls,
    /// Rows returned or touched, as the runtime counted them.
    Rows,
    /// Bytes returned, likewise.
    Bytes,
}

impl Count {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Calls, Self::Rows, Self::Bytes];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        }
    }

    /// How much of it an event is. Rows and bytes of a call are counted with its result, and
    /// asked of the call alone where the quota is per call.
    #[must_use]
    pub fn amount(self, event: &Event<'_>, per: Per) -> u64 {
        let tool = event.tool.as_ref();
        let counts = event.kind == Kind::ToolResult || per == Per::Call;
        match self {
            Self::Calls => u64::from(event.kind == Kind::ToolCall),
            Self::Rows if counts => tool.and_then(|tool| tool.rows).unwrap_or(0),
            Self::Bytes if counts => tool.and_then(|tool| tool.bytes).unwrap_or(0),
            Self::Rows | Self::Bytes => 0,
        }
    }
}

/// Over what a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// One call.
    Call,
    /// One session of one agent.
    Session,
    /// The last minute of one agent.
    Minute,
    /// The last hour of one agent.
    Hour,
    /// The last 24 hours of one agent.
    Day,
}

impl Per {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Call, Self::Session, Self::Minute, Self::Hour, Self::Day];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Session => "session",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Milliseconds, where it is a stretch of time.
    #[must_use]
    pub fn window_ms(self) -> Option<i64> {
        match self {
            Self::Call | Self::Session => None,
            Self::Minute => Some(60_000),
            Self::Hour => Some(3_600_000),
            Self::Day => Some(86_400_000),
        }
    }
}

/// At most so much of something over some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How much passes.
    pub max: u64,
    /// Of what.
    pub of: Count,
    /// Over what.
    pub per: Per,
    /// Names its counter in state, whatever the rule's place in the file.
    pub key: [u8; 8],
}

/// A demand of the policy that an event does not meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// What is told of it; its action is the rule's.
    pub source: Arc<Source>,
    /// Whether the rule says to carry it out.
    pub mode: Option<Mode>,
    /// Index into `Event::fields` of what is at fault.
    pub field: Option<u32>,
    /// What the sender should do differently.
    pub hint: Option<Arc<str>>,
    /// How long the sender should wait.
    pub retry_after_ms: Option<u64>,
    /// What was allowed and what came instead, where both are numbers.
    pub figures: Option<(f64, f64)>,
}

impl Breach {
    pub(super) fn of(source: &Arc<Source>, mode: Option<Mode>) -> Self {
        Self {
            source: Arc::clone(source),
            mode,
            field: None,
            hint: None,
            retry_after_ms: None,
            figures: None,
        }
    }

    /// The same, with what was allowed and what came instead.
    #[must_use]
    pub fn measured(self, allowed: u64, came: u64) -> Self {
        Self { figures: Some((allowed as f64, came as f64)), ..self }
    }
}

/// What one line about tools says, whatever tools it names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Clauses {
    pub(super) access: Option<(Access, Option<Arc<Source>>)>,
    pub(super) labels: LabelSet,
    /// The labels are not given where all of these hold.
    pub(super) unless: Vec<Demand>,
    pub(super) params: Vec<(Demand, Arc<Source>)>,
    pub(super) quota: Option<(Quota, Arc<Source>)>,
    pub(super) hours: Option<(Hours, Arc<Source>)>,
    pub(super) origin: Option<OriginRule>,
    /// What the tool returns can be trusted.
    pub(super) trusted: bool,
    pub(super) mode: Option<Mode>,
    pub(super) hint: Option<Arc<str>>,
    pub(super) retry_after_ms: Option<u64>,
}

/// One line about one name of tools.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToolRule {
    /// Line in the file.
    pub(super) line: u64,
    /// Lines of the same number are one rule.
    pub(super) number: u32,
    pub(super) glob: Glob,
    pub(super) who: Who,
    pub(super) says: Arc<Clauses>,
}

impl ToolRule {
    /// Compared in the order tool, agent, type, tenant.
    fn rank(&self) -> ((bool, usize), [bool; 3]) {
        (self.glob.rank(), self.who.rank())
    }

    fn breach(&self, source: &Arc<Source>, field: Option<u32>) -> Breach {
        Breach {
            field,
            hint: self.says.hint.clone(),
            retry_after_ms: self.says.retry_after_ms,
            ..Breach::of(source, self.says.mode)
        }
    }
}

/// The rules that cover one call or result.
#[derive(Clone, Debug, Default)]
pub struct Covering<'p> {
    access: Option<&'p ToolRule>,
    /// The first of them; most calls are covered by few, which then take no allocation.
    first: [Option<&'p ToolRule>; FIRST],
    rest: Vec<&'p ToolRule>,
}

/// Rules that a [`Covering`] holds in place.
const FIRST: usize = 8;

impl<'p> Covering<'p> {
    fn rules(&self) -> impl Iterator<Item = &'p ToolRule> + use<'_, 'p> {
        self.first.iter().flatten().chain(&self.rest).copied()
    }

    fn add(&mut self, rule: &'p ToolRule) {
        match self.first.iter_mut().find(|free| free.is_none()) {
            Some(free) => *free = Some(rule),
            None => self.rest.push(rule),
        }
    }

    /// The quotas of the rules, save those per call, and what to tell where one is used up.
    pub fn quotas(&self) -> impl Iterator<Item = (Quota, Breach)> + use<'_, 'p> {
        self.rules().filter_map(|rule| {
            let (quota, source) = rule.says.quota.as_ref()?;
            (quota.per != Per::Call).then(|| (*quota, rule.breach(source, None)))
        })
    }

    /// The demands on where parameters come from, and what to tell of a value at fault.
    pub fn origins(&self) -> impl Iterator<Item = (&'p OriginRule, Breach)> + use<'_, 'p> {
        self.rules().filter_map(|rule| {
            let origin = rule.says.origin.as_ref()?;
            Some((origin, rule.breach(&origin.source, None)))
        })
    }

    /// Whether what the tool returns can be trusted.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.rules().any(|rule| rule.says.trusted)
    }

    /// Whether the call needs an approval, and what to tell where there is none.
    #[must_use]
    pub fn asks(&self) -> Option<(Access, Breach)> {
        let rule = self.access?;
        match rule.says.access.as_ref()? {
            (access @ (Access::Ask | Access::AskFirst), Some(source)) => {
                Some((*access, rule.breach(source, None)))
            }
            _ => None,
        }
    }
}

/// What a sighting of a planted value stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Halt {
    /// Only the event itself.
    #[default]
    Nothing,
    /// The session, until an operator resumes it.
    Session,
    /// The agent, likewise.
    Agent,
}

impl Halt {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Nothing, Self::Session, Self::Agent];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Session => "session",
            Self::Agent => "agent",
        }
    }
}

/// Everything in a policy that is about tools, sessions and agents, not about findings.
#[derive(Clone, Debug, Default)]
pub struct Governance {
    pub(super) labels: Labels,
    rules: Vec<ToolRule>,
    index: Index,
    pub(super) flows: Vec<Flow>,
    session_quotas: bool,
    origins: bool,
    pub(super) breakers: Breakers,
    /// What a canary stops, and what is told of an event that is stopped.
    pub(super) halt: Option<(Halt, Arc<Source>)>,
    /// Told of parameters that cannot be read though a rule is about them.
    pub(super) unclear: Option<Arc<Source>>,
    /// The agents that may speak, where not all may.
    pub(super) registry: Option<Registry>,
}

impl Governance {
    pub(super) fn new(labels: Labels, mut rules: Vec<ToolRule>, flows: Vec<Flow>) -> Self {
        // Later lines go before earlier ones of the same rank: the sort is stable.
        rules.reverse();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.rank()));
        let index = Index::new(rules.iter().map(|rule| &rule.who));
        let per_session = |rule: &ToolRule| {
            rule.says.quota.as_ref().is_some_and(|(quota, _)| quota.per == Per::Session)
        };
        let session_quotas = rules.iter().any(per_session);
        let origins = rules.iter().any(|rule| rule.says.origin.is_some());
        Self {
            labels,
            rules,
            index,
            flows,
            session_quotas,
            origins,
            breakers: Breakers::default(),
            halt: None,
            unclear: None,
            registry: None,
        }
    }

    /// Whether it demands nothing of anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
            && self.flows.is_empty()
            && self.breakers.is_empty()
            && self.halt.is_none()
            && self.registry.is_none()
    }

    /// Whether it matters where values come from.
    #[must_use]
    pub fn has_origins(&self) -> bool {
        self.origins
    }

    /// The breaker that counts for an event's agent.
    #[must_use]
    pub fn breaker(&self, event: &Event<'_>) -> Option<&Breaker> {
        self.breakers.of(event)
    }

    /// What a canary stops.
    #[must_use]
    pub fn halts(&self) -> Halt {
        self.halt.as_ref().map_or(Halt::Nothing, |(halt, _)| *halt)
    }

    /// What is told of an event that a halt stops.
    #[must_use]
    pub fn halted(&self) -> Option<Breach> {
        self.halt.as_ref().map(|(_, source)| Breach::of(source, None))
    }

    /// Whether anything is remembered by session.
    #[must_use]
    pub fn has_sessions(&self) -> bool {
        self.has_flows() || self.session_quotas || self.halts() == Halt::Session
    }

    /// Whether sessions need a memory because of labels.
    #[must_use]
    pub fn has_flows(&self) -> bool {
        !self.flows.is_empty()
    }

    /// The rules that cover an event's tool.
    #[must_use]
    pub fn covering(&self, event: &Event<'_>) -> Covering<'_> {
        let mut covering = Covering::default();
        let Some(tool) = event.tool.as_ref().filter(|_| !self.rules.is_empty()) else {
            return covering;
        };
        for rule in self.index.candidates(event).filter_map(|at| self.rules.get(at)) {
            let covers = rule.who.covers(event) && rule.glob.matches(&tool.name);
            if !covers || covering.rules().any(|known| known.number == rule.number) {
                continue;
            }
            if covering.access.is_none() && rule.says.access.is_some() {
                covering.access = Some(rule);
            }
            covering.add(rule);
        }
        covering
    }

    /// What the event alone does not meet: unknown agents, denied tools, parameters, hours, quotas per call.
    #[must_use]
    pub fn breaches(&self, event: &Event<'_>, covering: &Covering<'_>, now: Millis) -> Vec<Breach> {
        let mut out = Vec::new();
        out.extend(self.registry.as_ref().and_then(|registry| registry.breach(event)));
        if let Some(rule) = covering.access
            && let Some((Access::Deny, Some(source))) = &rule.says.access
        {
            out.push(rule.breach(source, None));
        }
        let Some(tool) = &event.tool else { return out };
        let call = event.kind == Kind::ToolCall;
        for rule in covering.rules() {
            if let Some((quota, source)) = &rule.says.quota
                && quota.per == Per::Call
                && quota.of.amount(event, quota.per) > quota.max
            {
                let came = quota.of.amount(event, quota.per);
                out.push(rule.breach(source, None).measured(quota.max, came));
            }
            if !call {
                continue;
            }
            if tool.params.unclear
                && !rule.says.params.is_empty()
                && let Some(source) = &self.unclear
            {
                out.push(rule.breach(source, None));
            }
            for (demand, source) in &rule.says.params {
                if let Met::No(field) = demand.met(&tool.params) {
                    out.push(rule.breach(source, field));
                }
            }
            if let Some((hours, source)) = &rule.says.hours
                && !hours.open(now)
            {
                out.push(rule.breach(source, None));
            }
        }
        out
    }

    /// The labels of an event: of itself, and those that rules give its tool.
    #[must_use]
    pub fn labels(
        &self,
        event: &Event<'_>,
        covering: &Covering<'_>,
        findings: &[Finding],
    ) -> LabelSet {
        let mut set = self.labels.of(event, findings);
        for rule in covering.rules() {
            let says = &rule.says;
            if says.labels == 0 || set & says.labels == says.labels {
                continue;
            }
            // Only a call has parameters to be spared by; its result adds nothing to it.
            let spared = !says.unless.is_empty()
                && event.tool.as_ref().is_none_or(|tool| {
                    event.kind != Kind::ToolCall
                        || !tool.params.unclear
                            && says.unless.iter().all(|demand| demand.met(&tool.params) == Met::Yes)
                });
            if !spared {
                set |= says.labels;
            }
        }
        set
    }

    /// The flows that an event with these labels breaks in a session with those.
    #[must_use]
    pub fn broken_flows(&self, event: &Event<'_>, session: LabelSet, has: LabelSet) -> Vec<Breach> {
        let broken = |flow: &&Flow| {
            session & flow.after == flow.after && has & flow.deny != 0 && flow.who.covers(event)
        };
        let breach = |flow: &Flow| Breach::of(&flow.source, flow.mode);
        self.flows.iter().filter(broken).map(breach).collect()
    }

    /// What the policy says of an event's tool, line by line, most specific first.
    #[must_use]
    pub fn explain(&self, event: &Event<'_>) -> Vec<(u64, String)> {
        let covering = self.covering(event);
        let mut out = Vec::new();
        for rule in covering.rules() {
            let says = &rule.says;
            let mut say = |text: String| out.push((rule.line, text));
            if let Some((access, _)) = &says.access {
                let decides = covering.access.is_some_and(|first| first.line == rule.line);
                let beside = if decides { "" } else { " (a more specific line decides)" };
                say(format!("access {}{beside}", access.name()));
            }
            if says.labels != 0 {
                let names: Vec<&str> = self.labels.of_set(says.labels).collect();
                let unless = if says.unless.is_empty() { "" } else { ", unless its demands hold" };
                say(format!("labels {}{unless}", names.join(", ")));
            }
            for (demand, _) in &says.params {
                say(format!("refused if `{}` {}", demand.name(), demand.check.problem()));
            }
            if let Some((quota, _)) = &says.quota {
                say(format!("at most {} {} a {}", quota.max, quota.of.name(), quota.per.name()));
            }
            if let Some((_, source)) = &says.hours {
                say(source.message.clone());
            }
            if let Some(origin) = &says.origin {
                say(origin.source.message.clone());
            }
            if says.trusted {
                say("what it returns is trusted".to_owned());
            }
        }
        out
    }

    /// What state keeps of a set of labels.
    #[must_use]
    pub fn label_ids(&self, set: LabelSet) -> Vec<[u8; 8]> {
        self.labels.ids(set).collect()
    }

    /// The labels that state kept, as far as this policy speaks of them.
    #[must_use]
    pub fn label_set(&self, ids: &[[u8; 8]]) -> LabelSet {
        self.labels.set(ids)
    }
}
