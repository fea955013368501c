//! The parts of the policy file about tools and flows, as written, and what they come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_saphyr::Spanned;

use super::values::{ByName, OneOrMany, value};
use crate::digest::Parts;
use crate::finding::{Action, Family, Severity, Source, standard_tags};
use crate::policy::breaker::Breakers;
use crate::policy::flow::{self, Flow, LABELS_MAX, LabelSet, Labels, NoLabel};
use crate::policy::glob::Glob;
use crate::policy::hours::{self, DAYS, Hours};
use crate::policy::nearest::suggestion;
use crate::policy::origin::{Origin, OriginRule};
use crate::policy::params::{Check, Demand, Path, folders};
use crate::policy::registry::{Member, Registry};
use crate::policy::sql::Dialect;
use crate::policy::tools::{Clauses, ToolRule};
use crate::policy::{Access, Breaker, Count, Governance, Halt, Mode, Per, Quota, Who};

/// Lines about tools, and about flows: each costs a comparison for every call.
const RULES_MAX: usize = 10_000;
/// Lines of the registry.
const REGISTERED_MAX: usize = 100_000;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) line: u64,
    pub(super) key: String,
    pub(super) problem: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolText {
    id: Option<String>,
    tool: Option<OneOrMany>,
    agent: Option<String>,
    r#type: Option<String>,
    tenant: Option<String>,
    access: Option<ByName<Access>>,
    risk: Option<ByName<Severity>>,
    labels: Option<OneOrMany>,
    #[serde(default)]
    unless: BTreeMap<String, DemandText>,
    #[serde(default)]
    params: BTreeMap<String, DemandText>,
    quota: Option<QuotaText>,
    hours: Option<HoursText>,
    origin: Option<OriginText>,
    trusted: Option<bool>,
    action: Option<ByName<Action>>,
    mode: Option<ByName<Mode>>,
    hint: Option<String>,
    retry_after_ms: Option<u64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DemandText {
    max_items: Option<u64>,
    max_bytes: Option<u64>,
    min: Option<f64>,
    max: Option<f64>,
    one_of: Option<OneOrMany>,
    like: Option<OneOrMany>,
    below: Option<OneOrMany>,
    hosts: Option<OneOrMany>,
    domains: Option<OneOrMany>,
    sql: Option<ReadOnly>,
    dialect: Option<ByName<Dialect>>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    forbidden: bool,
}

/// The one thing that can be said of a query.
struct ReadOnly;

impl<'de> Deserialize<'de> for ReadOnly {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "read_only" => Ok(Self),
            other => Err(D::Error::custom(format!(
                "unknown demand `{other}`, expected read_only{}",
                suggestion(other, ["read_only"])
            ))),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaText {
    max: u64,
    of: Option<ByName<Count>>,
    per: ByName<Per>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoursText {
    zone: String,
    days: Option<OneOrMany>,
    from: String,
    to: String,
}

impl HoursText {
    /// The hours as a person reads them.
    pub(super) fn written(&self) -> String {
        let days = self.days.as_ref().map_or(String::new(), |days| days.0.join(", ") + " ");
        format!("{days}{} to {} {}", self.from, self.to, self.zone)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginText {
    #[serde(default)]
    of: Option<OneOrMany>,
    deny: Option<Vec<ByName<Origin>>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerText {
    agent: Option<String>,
    r#type: Option<String>,
    tenant: Option<String>,
    #[serde(default = "max_failures")]
    max_failures: u64,
    #[serde(default = "max_cost_usd")]
    max_cost_usd: f64,
    #[serde(default = "open_ms")]
    open_ms: u64,
    action: Option<ByName<Action>>,
    mode: Option<ByName<Mode>>,
}

fn max_failures() -> u64 {
    5
}

fn max_cost_usd() -> f64 {
    100.0
}

fn open_ms() -> u64 {
    300_000
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CanariesText {
    halt: ByName<Halt>,
}

/// A sentence, or a sentence and what to do about it.
pub(super) struct FlowText(Flowing);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Flowing {
    id: Option<String>,
    rule: String,
    agent: Option<String>,
    r#type: Option<String>,
    tenant: Option<String>,
    severity: Option<ByName<Severity>>,
    action: Option<ByName<Action>>,
    mode: Option<ByName<Mode>>,
}

impl<'de> Deserialize<'de> for FlowText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = FlowText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`after LABEL deny LABEL`, or a mapping with that as `rule`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let rule = text.to_owned();
                Ok(FlowText(Flowing {
                    id: None,
                    rule,
                    agent: None,
                    r#type: None,
                    tenant: None,
                    severity: None,
                    action: None,
                    mode: None,
                }))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                Flowing::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(FlowText)
            }
        }
        from.deserialize_any(Either)
    }
}

/// Which agents may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Agents {
    /// All.
    #[default]
    Any,
    /// Those of the registry.
    Registered,
}

impl Agents {
    /// Both.
    pub(super) const ALL: &'static [Self] = &[Self::Any, Self::Registered];

    /// The name in policies.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Registered => "registered",
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberText {
    agent: String,
    r#type: Option<String>,
    tenant: Option<String>,
}

/// The agents that may speak, where not all may.
pub(super) fn registry(
    agents: Option<Agents>,
    text: Option<Spanned<Vec<MemberText>>>,
) -> Result<Option<Registry>, Wrong> {
    let line = text.as_ref().map_or(0, |text| text.referenced.line());
    let wrong = |key: &str, problem: &str| {
        Err(Wrong { line, key: key.to_owned(), problem: problem.to_owned() })
    };
    let members = text.map(|text| text.value).unwrap_or_default();
    match agents {
        None if line > 0 => {
            return wrong("registry", "says nothing without `agents: registered`");
        }
        None | Some(Agents::Any) => return Ok(None),
        Some(Agents::Registered) if members.is_empty() => {
            let problem = "nobody is registered, so every event would be stopped: list agents \
                           under `registry`, as `- { agent: support-bot }`";
            return wrong("agents", problem);
        }
        Some(Agents::Registered) if members.len() > REGISTERED_MAX => {
            return wrong("registry", "more than 100000 lines; a `*` stands for any letters");
        }
        Some(Agents::Registered) => {}
    }
    if let Some(at) = members.iter().position(|member| member.agent.is_empty()) {
        return wrong(&format!("registry[{at}].agent"), "names nobody");
    }
    let members = members.into_iter().map(|text| {
        let MemberText { agent, r#type: agent_type, tenant } = text;
        let member = Member { agent: Glob::new(&agent), agent_type, tenant };
        (agent, member)
    });
    let unknown = source(
        "policy.unknown_agent",
        Family::Policy,
        Severity::High,
        "the agent is not registered, or not with this type and tenant".to_owned(),
        Action::Block,
    );
    Ok(Some(Registry::new(members.collect(), unknown)))
}

/// What the file says about tools and flows, checked and ready to be asked.
pub(super) fn build(
    tools: Vec<Spanned<ToolText>>,
    flows: Vec<Spanned<FlowText>>,
    breakers: Vec<Spanned<BreakerText>>,
    canaries: Option<CanariesText>,
) -> Result<Governance, Wrong> {
    let mut labels = Labels::default();
    let mut rules = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let counts = [tools.len(), flows.len(), breakers.len()];
    for (what, count) in ["tools", "flows", "breakers"].into_iter().zip(counts) {
        if count > RULES_MAX {
            let problem = format!("{count} lines; at most {RULES_MAX} are taken");
            return Err(Wrong { line: 0, key: what.to_owned(), problem });
        }
    }
    for (at, Spanned { value: text, referenced, .. }) in tools.into_iter().enumerate() {
        let reader = Reader { line: referenced.line(), key: format!("tools[{at}]") };
        // Lines that share an id share a number, and the most specific of them counts.
        let number = text.id.as_ref().and_then(|id| ids.iter().position(|known| known == id));
        let number = number.unwrap_or_else(|| {
            ids.push(text.id.clone().unwrap_or_default());
            ids.len() - 1
        }) as u32;
        reader.tool(text, number, &mut labels, &mut rules)?;
    }
    let mut built = Vec::new();
    for (at, Spanned { value: FlowText(text), referenced, .. }) in flows.into_iter().enumerate() {
        let reader = Reader { line: referenced.line(), key: format!("flows[{at}]") };
        built.push(reader.flow(text, &mut labels)?);
    }
    let mut governance = Governance::new(labels, rules, built);
    let mut all = Vec::new();
    for (at, Spanned { value: text, referenced, .. }) in breakers.into_iter().enumerate() {
        let reader = Reader { line: referenced.line(), key: format!("breakers[{at}]") };
        all.push(reader.breaker(text)?);
    }
    governance.breakers = Breakers::new(all);
    governance.halt = canaries.filter(|text| text.halt.0 != Halt::Nothing).map(|text| {
        let message = "a planted value was seen here before; an operator's resume order lifts this"
            .to_owned();
        let kind = "policy.halted";
        (text.halt.0, source(kind, Family::Policy, Severity::Critical, message, Action::Block))
    });
    governance.unclear = Some(source(
        "policy.params_unclear",
        Family::Policy,
        Severity::High,
        "the tool's parameters cannot be read, and the policy asks something of them".to_owned(),
        Action::Block,
    ));
    Ok(governance)
}

fn source(
    kind: &str,
    family: Family,
    severity: Severity,
    message: String,
    action: Action,
) -> Arc<Source> {
    named_source(kind, None, family, severity, message, action)
}

fn named_source(
    kind: &str,
    id: Option<&str>,
    family: Family,
    severity: Severity,
    message: String,
    action: Action,
) -> Arc<Source> {
    Arc::new(Source {
        rule: id.map_or_else(|| kind.to_owned(), |id| format!("{kind}.{id}")),
        family,
        kind: kind.to_owned(),
        severity,
        message,
        action: Some(action),
        tags: standard_tags(kind),
    })
}

/// Reads one line.
pub(super) struct Reader {
    pub(super) line: u64,
    pub(super) key: String,
}

impl Reader {
    pub(super) fn wrong<T>(&self, below: &str, problem: impl Into<String>) -> Result<T, Wrong> {
        let key = if below.is_empty() { self.key.clone() } else { format!("{}.{below}", self.key) };
        Err(Wrong { line: self.line, key, problem: problem.into() })
    }

    fn tool(
        &self,
        text: ToolText,
        number: u32,
        labels: &mut Labels,
        rules: &mut Vec<ToolRule>,
    ) -> Result<(), Wrong> {
        let says_something = text.access.is_some()
            || text.labels.is_some()
            || !text.params.is_empty()
            || text.quota.is_some()
            || text.hours.is_some()
            || text.origin.is_some()
            || text.trusted.is_some();
        if !says_something {
            return self.wrong(
                "",
                "says nothing: expected one of access, labels, params, quota, hours, origin, trusted",
            );
        }
        let id = text.id.as_deref();
        if let Some(id) = id {
            self.id(id)?;
        }
        let globs = text.tool.map_or_else(|| vec!["*".to_owned()], |names| names.0);
        if globs.is_empty() || globs.iter().any(String::is_empty) {
            return self.wrong("tool", "names no tool");
        }
        let tools = globs.join(", ");
        let severity = value(text.risk).unwrap_or(Severity::High);
        let asked = value(text.action);
        let told = |kind: &str, message: String, action: Action| {
            named_source(kind, id, Family::Policy, severity, message, asked.unwrap_or(action))
        };
        let who = Who { agent: text.agent, agent_type: text.r#type, tenant: text.tenant };
        let access = value(text.access).map(|access| {
            let source = match access {
                Access::Allow => None,
                Access::Deny => Some(told(
                    "policy.tool_denied",
                    format!("the policy does not let this agent use `{tools}`"),
                    Action::Block,
                )),
                Access::Ask | Access::AskFirst => Some(told(
                    "policy.approval_required",
                    format!("`{tools}` needs a person's approval: `weir control approve` with the hold's id"),
                    Action::Block,
                )),
            };
            (access, source)
        });
        let mut set: LabelSet = 0;
        for name in text.labels.unwrap_or_default().0 {
            set |= self.label(labels, "labels", &name)?;
        }
        if !text.unless.is_empty() && set == 0 {
            return self.wrong("unless", "is about labels, and the line gives none");
        }
        let unless = self.demands("unless", text.unless)?;
        let params = self.demands("params", text.params)?;
        let params = params.into_iter().map(|demand| {
            let message = format!("`{}` of `{tools}` {}", demand.name(), demand.check.problem());
            let source = told("policy.params", message, Action::Block);
            (demand, source)
        });
        let quota = text.quota.map(|quota| {
            let (max, of, per) = (quota.max, value(quota.of).unwrap_or_default(), quota.per.0);
            let message = format!("more than {max} {} of `{tools}` a {}", of.name(), per.name());
            // Time frees a window; nothing frees a session.
            let action = if per.window_ms().is_some() { Action::Retry } else { Action::Block };
            let key = counter(id, &tools, &who, of, per);
            (Quota { max, of, per, key }, told("policy.quota", message, action))
        });
        let hours = match text.hours {
            None => None,
            Some(hours) => {
                let message =
                    format!("`{tools}` may be used {} to {} {}", hours.from, hours.to, hours.zone);
                Some((self.hours(hours)?, told("policy.hours", message, Action::Block)))
            }
        };
        let origin = match text.origin {
            None => None,
            Some(origin) => {
                let mut of = Vec::new();
                for name in origin.of.unwrap_or_default().0 {
                    match Path::read(&name) {
                        Some(path) => of.push(path),
                        None => return self.wrong("origin.of", format!("`{name}` is no path")),
                    }
                }
                let deny = origin.deny.map_or_else(
                    || vec![Origin::Suspect],
                    |names| names.into_iter().map(|name| name.0).collect(),
                );
                let names: Vec<&str> = deny.iter().map(|origin| origin.name()).collect();
                let message = format!(
                    "a parameter of `{tools}` comes from where the policy takes none: {}",
                    names.join(", ")
                );
                Some(OriginRule::new(of, deny, told("policy.origin", message, Action::Block)))
            }
        };
        let says = Arc::new(Clauses {
            access,
            labels: set,
            unless,
            params: params.collect(),
            quota,
            hours,
            origin,
            trusted: text.trusted.unwrap_or(false),
            mode: value(text.mode),
            hint: text.hint.map(Arc::from),
            retry_after_ms: text.retry_after_ms,
        });
        rules.extend(globs.iter().map(|glob| ToolRule {
            line: self.line,
            number,
            glob: Glob::new(glob),
            who: who.clone(),
            says: Arc::clone(&says),
        }));
        Ok(())
    }

    pub(super) fn id(&self, id: &str) -> Result<(), Wrong> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if id.is_empty() || id.len() > 64 || !id.chars().all(plain) {
            return self.wrong("id", "must be 1 to 64 of a-z, 0-9, `-`, `_` and `.`");
        }
        Ok(())
    }

    fn label(&self, labels: &mut Labels, key: &str, name: &str) -> Result<LabelSet, Wrong> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let problem = format!("`{name}` is no label: 1 to 64 of letters, digits and `-_.:/`");
            return self.wrong(key, problem);
        }
        match labels.add(name) {
            Ok(set) => Ok(set),
            Err(NoLabel::TooMany) => {
                self.wrong(key, format!("more than {LABELS_MAX} labels in one policy"))
            }
            Err(NoLabel::Unknown(known)) => {
                let rest = name.split_once(':').map_or(name, |(_, rest)| rest);
                let problem = format!(
                    "unknown label `{name}`, expected one of {} behind the colon{}",
                    known.join(", "),
                    suggestion(rest, known.iter().copied())
                );
                self.wrong(key, problem)
            }
        }
    }

    fn demands(
        &self,
        below: &str,
        texts: BTreeMap<String, DemandText>,
    ) -> Result<Vec<Demand>, Wrong> {
        let mut out = Vec::new();
        for (name, text) in texts {
            let key = format!("{below}.{name}");
            let Some(path) = Path::read(&name) else {
                let problem = "is no path: names with dots between them, such as `message.to`";
                return self.wrong(&key, problem);
            };
            let globs = |list: OneOrMany| -> Vec<Glob> {
                list.0.iter().map(|text| Glob::new(&text.to_ascii_lowercase())).collect()
            };
            let mut checks = Vec::new();
            checks.extend(text.max_items.map(Check::MaxItems));
            checks.extend(text.max_bytes.map(Check::MaxBytes));
            checks.extend(text.min.map(Check::Min));
            checks.extend(text.max.map(Check::Max));
            checks.extend(text.one_of.map(|list| Check::OneOf(list.0)));
            checks.extend(
                text.like
                    .map(|list| Check::Like(list.0.iter().map(|text| Glob::new(text)).collect())),
            );
            if let Some(roots) = text.below {
                let mut folder = Vec::new();
                for root in roots.0 {
                    let Some(names) = folders(&root).filter(|_| root.starts_with('/')) else {
                        let problem = format!("`{root}` is no folder from the root on");
                        return self.wrong(&format!("{key}.below"), problem);
                    };
                    folder.push(names);
                }
                checks.push(Check::Below(folder));
            }
            checks.extend(text.hosts.map(globs).map(Check::Hosts));
            checks.extend(text.domains.map(globs).map(Check::Domains));
            if text.sql.is_some() {
                checks.push(Check::ReadOnly(value(text.dialect).unwrap_or_default()));
            } else if text.dialect.is_some() {
                return self.wrong(&format!("{key}.dialect"), "needs `sql: read_only` beside it");
            }
            if text.required {
                checks.push(Check::Required);
            }
            if text.forbidden {
                checks.push(Check::Forbidden);
            }
            if checks.is_empty() {
                return self.wrong(
                    &key,
                    "demands nothing: expected one of max_items, max_bytes, min, max, one_of, like, \
                     below, hosts, domains, sql, required, forbidden",
                );
            }
            out.extend(checks.into_iter().map(|check| Demand { path: path.clone(), check }));
        }
        Ok(out)
    }

    pub(super) fn hours(&self, text: HoursText) -> Result<Hours, Wrong> {
        let Ok(zone) = TimeZone::get(&text.zone) else {
            let known: Vec<String> =
                jiff::tz::db().available().map(|name| name.to_string()).collect();
            let problem = format!(
                "unknown time zone `{}`, expected a name such as Europe/Berlin or UTC{}",
                text.zone,
                suggestion(&text.zone, known.iter().map(String::as_str))
            );
            return self.wrong("hours.zone", problem);
        };
        let mut days = 0;
        for name in text.days.map_or_else(|| vec!["mon-sun".to_owned()], |list| list.0) {
            let Some(bits) = hours::days(&name) else {
                let problem = format!(
                    "unknown day `{name}`, expected one of {} or two with `-` between them{}",
                    DAYS.join(", "),
                    suggestion(&name, DAYS)
                );
                return self.wrong("hours.days", problem);
            };
            days |= bits;
        }
        let time = |key: &str, text: &str| match hours::minutes(text) {
            Some(minutes) => Ok(minutes),
            None => self.wrong(key, format!("`{text}` is no time of day, such as \"08:30\"")),
        };
        Ok(Hours {
            zone,
            days,
            from: time("hours.from", &text.from)?,
            to: time("hours.to", &text.to)?,
        })
    }

    fn breaker(&self, text: BreakerText) -> Result<Breaker, Wrong> {
        if !(0.0..=1e9).contains(&text.max_cost_usd) {
            return self
                .wrong("max_cost_usd", "must be a number of dollars from 0 to 1e9; 0 is no limit");
        }
        if !(1_000..=86_400_000).contains(&text.open_ms) {
            return self.wrong("open_ms", "must be 1000 (a second) to 86400000 (a day)");
        }
        let told = |kind: &str, message: &str, action: Action| {
            source(kind, Family::Policy, Severity::High, message.to_owned(), action)
        };
        let open = value(text.action).unwrap_or(Action::Block);
        Ok(Breaker {
            who: Who { agent: text.agent, agent_type: text.r#type, tenant: text.tenant },
            max_failures: text.max_failures,
            max_cost_micro_usd: (text.max_cost_usd * 1e6).round() as u64,
            open_ms: text.open_ms as i64,
            opened: told(
                "policy.breaker_opened",
                "the agent's circuit breaker opens: too many failures in a row, or too much spent",
                Action::Alert,
            ),
            open: told("policy.breaker_open", "the agent's circuit breaker is open", open),
            mode: value(text.mode),
        })
    }

    fn flow(&self, text: Flowing, labels: &mut Labels) -> Result<Flow, Wrong> {
        if let Some(id) = text.id.as_deref() {
            self.id(id)?;
        }
        let sentence = match flow::sentence(&text.rule) {
            Ok(sentence) => sentence,
            Err(problem) => return self.wrong("rule", problem),
        };
        let mut set = |names: &[&str]| -> Result<LabelSet, Wrong> {
            let mut set = 0;
            for name in names {
                // A label that nothing gives never comes: a slip of the pen, not a rule.
                let given = labels.get(name).is_some() || Labels::is_own(name);
                if !given && !name.starts_with("found:") && !name.starts_with("said:") {
                    let known: Vec<&str> = labels.names().chain(["output"]).collect();
                    let problem = format!(
                        "no line under `tools` gives the label `{name}`{}",
                        suggestion(name, known.iter().copied())
                    );
                    return self.wrong("rule", problem);
                }
                set |= self.label(labels, "rule", name)?;
            }
            Ok(set)
        };
        let (after, deny) = (set(&sentence.after)?, set(&sentence.deny)?);
        let message = format!("the policy says: {}", text.rule);
        Ok(Flow {
            line: self.line,
            who: Who { agent: text.agent, agent_type: text.r#type, tenant: text.tenant },
            after,
            deny,
            source: named_source(
                "flow.denied",
                text.id.as_deref(),
                Family::Flow,
                value(text.severity).unwrap_or(Severity::High),
                message,
                value(text.action).unwrap_or(Action::Block),
            ),
            mode: value(text.mode),
        })
    }
}

/// Names a counter in state: the same for the same rule, wherever it stands in the file.
fn counter(id: Option<&str>, tools: &str, who: &Who, of: Count, per: Per) -> [u8; 8] {
    let parts = match id {
        Some(id) => vec!["id", id],
        None => vec![
            "line",
            tools,
            who.agent.as_deref().unwrap_or("*"),
            who.agent_type.as_deref().unwrap_or("*"),
            who.tenant.as_deref().unwrap_or("*"),
        ],
    };
    let hash = Parts::of(parts.into_iter().chain([of.name(), per.name()]));
    hash.whole().first_chunk().copied().unwrap_or_default()
}
