//! `weir audit query`: the records that meet every condition.
//!
//! Records are looked at one by one as they are read; those that fit are kept, the latest
//! `--limit` of them, and printed in the order of their time over all partitions.

mod show;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::event::{Kind, Millis};
use crate::finding::{Action, Confidence, Family, Severity};
use crate::policy::Glob;

use super::super::Done;
use super::super::failure::Failure;
use super::super::out::{Out, colours, note};
use super::super::when::instant;
use super::{ChainArgs, chains, complain};

#[derive(Args)]
pub(in crate::cli) struct QueryArgs {
    #[command(flatten)]
    chain: ChainArgs,

    /// Agent, also of orders about it; `*` stands for any letters
    #[arg(long, value_name = "ID")]
    agent: Option<String>,

    /// Type of agent
    #[arg(long = "type", value_name = "TYPE")]
    agent_type: Option<String>,

    /// Tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// Whom the agent served: the event's user, a link of its delegation chain, or an actor of its `act` claim
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Session
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Event, by the sender's id
    #[arg(long, value_name = "ID")]
    event: Option<String>,

    /// Tool; `*` stands for any letters
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,

    /// Kind of event; may be given more than once
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,

    /// Rule that is among the reasons; `*` stands for any letters
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Family of a reason
    #[arg(long, value_name = "FAMILY", value_parser = family)]
    family: Option<Family>,

    /// A reason at least as grave as this
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,

    /// What was decided; may be given more than once
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Vec<Action>,

    /// Only where something was found and left alone: of low confidence, or allowed by policy
    #[arg(long)]
    near_misses: bool,

    /// What the record is about; may be given more than once
    #[arg(long, value_enum)]
    what: Vec<What>,

    /// Who gave the order
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Trace id or any part of the trace context
    #[arg(long, value_name = "ID")]
    trace: Option<String>,

    /// Not before: an instant, a day in UTC, or how long ago (15m, 2h, 7d)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Millis>,

    /// Before
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Millis>,

    /// How the records are written
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,

    /// Prints so many records, the latest
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// The records as they are, byte by byte, one a line
    Json,
    /// A table for spreadsheets
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// An event was decided
    Decision,
    /// A record could not be read
    Unreadable,
    /// An order of the SOC took effect
    Control,
    /// Rules or policy changed
    Swap,
}

/// Reads a name out of a closed list.
fn named<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn kind(text: &str) -> Result<Kind, String> {
    named(text, &Kind::ALL, Kind::name)
}

fn family(text: &str) -> Result<Family, String> {
    named(text, Family::ALL, Family::name)
}

fn severity(text: &str) -> Result<Severity, String> {
    named(text, Severity::ALL, Severity::name)
}

fn action(text: &str) -> Result<Action, String> {
    named(text, Action::ALL, Action::name)
}

pub(super) fn run(args: &QueryArgs, out: &mut Out) -> Result<Done, Failure> {
    let wanted = Wanted::new(args);
    let mut found = Found { limit: args.limit as usize, ..Found::default() };
    let reports = chains::walk(&args.chain, |partition, bytes| {
        if let Ok(record) = serde_json::from_slice::<Value>(bytes)
            && wanted.meets(&record)
        {
            found.keep(time(&record), partition, bytes);
        }
        Ok(())
    })?;
    let left_out = found.seen - found.latest.len() as u64;
    let colour = colours();
    if args.output == Form::Csv {
        out.line(show::HEADER)?;
    }
    for (time, partition, bytes) in found.in_order() {
        match args.output {
            Form::Json => out.line(String::from_utf8_lossy(&bytes))?,
            form => {
                let record: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let place = show::Place { time, partition };
                if form == Form::Csv {
                    out.line(show::csv(place, &record))?;
                } else {
                    out.text(&show::text(place, &record, colour))?;
                }
            }
        }
    }
    out.finish()?;
    if left_out > 0 {
        note(format_args!(
            "{left_out} earlier records fit as well: narrow the time or raise --limit"
        ));
    }
    Ok(complain(&reports))
}

fn time(record: &Value) -> Millis {
    Millis(record["now"].as_i64().unwrap_or_default())
}

/// A record that fits: time, partition, which of those that fit it was, bytes.
type Fit = (i64, i32, u64, Vec<u8>);

/// The latest records that fit.
#[derive(Default)]
struct Found {
    limit: usize,
    seen: u64,
    latest: BinaryHeap<Reverse<Fit>>,
}

impl Found {
    fn keep(&mut self, time: Millis, partition: i32, bytes: &[u8]) {
        self.seen += 1;
        self.latest.push(Reverse((time.0, partition, self.seen, bytes.to_vec())));
        if self.latest.len() > self.limit {
            self.latest.pop();
        }
    }

    fn in_order(self) -> impl Iterator<Item = (Millis, i32, Vec<u8>)> {
        let sorted = self.latest.into_sorted_vec().into_iter().rev();
        sorted.map(|Reverse((time, partition, _, bytes))| (Millis(time), partition, bytes))
    }
}

/// The conditions, all of which a record must meet.
struct Wanted<'a> {
    args: &'a QueryArgs,
    agent: Option<Glob>,
    tool: Option<Glob>,
    rule: Option<Glob>,
}

impl<'a> Wanted<'a> {
    fn new(args: &'a QueryArgs) -> Self {
        let glob = |text: &Option<String>| text.as_deref().map(Glob::new);
        Self { args, agent: glob(&args.agent), tool: glob(&args.tool), rule: glob(&args.rule) }
    }

    fn meets(&self, record: &Value) -> bool {
        let args = self.args;
        let now = time(record);
        let what = record["what"].as_str().unwrap_or_default();
        let is = |name: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| record[name] == wanted)
        };
        let within = args.since.is_none_or(|since| now >= since)
            && args.until.is_none_or(|until| now < until);
        let of_kind =
            args.kind.is_empty() || args.kind.iter().any(|kind| record["kind"] == kind.name());
        let of_action = args.action.is_empty()
            || args.action.iter().any(|action| record["action"] == action.name());
        let about = args.what.is_empty()
            || args
                .what
                .iter()
                .any(|one| one.to_possible_value().is_some_and(|value| value.get_name() == what));
        within
            && about
            && of_kind
            && of_action
            && is("agent_type", &args.agent_type)
            && is("event_id", &args.event)
            && is("by", &args.by)
            && self.whose(record)
            && self.served(record)
            && fits(self.tool.as_ref(), &record["tool"]["name"])
            && args.trace.as_deref().is_none_or(|part| {
                record["trace"].as_str().is_some_and(|trace| trace.contains(part))
            })
            && self.because(record)
    }

    /// Tenant, agent and session: of an order, those of its scope.
    fn whose(&self, record: &Value) -> bool {
        let part = |at: usize| record["of"].get(at).unwrap_or(&Value::Null);
        let own = ["tenant", "agent", "session"].map(|name| &record[name]);
        let [tenant, agent, session] = match record["scope"].as_str() {
            None => own,
            Some("tenant") => [part(0), &Value::Null, &Value::Null],
            Some("agent" | "session") => [part(0), part(1), part(2)],
            Some(_) => [&Value::Null; 3],
        };
        let is = |value: &Value, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| value == wanted)
        };
        is(tenant, &self.args.tenant)
            && is(session, &self.args.session)
            && fits(self.agent.as_ref(), agent)
    }

    fn served(&self, record: &Value) -> bool {
        let Some(user) = self.args.user.as_deref() else { return true };
        let links = record["delegation"].as_array().into_iter().flatten();
        let actors = show::actors(record).map(|actor| &actor["sub"]);
        let mut names = links.chain(actors).chain([&record["user"]]).filter_map(Value::as_str);
        names.any(|name| name == user || name.strip_prefix("user:") == Some(user))
    }

    /// Whether one reason meets all that is asked of reasons.
    fn because(&self, record: &Value) -> bool {
        let args = self.args;
        if args.family.is_none()
            && args.severity.is_none()
            && self.rule.is_none()
            && !args.near_misses
        {
            return true;
        }
        let grave = |reason: &Value| {
            let of = reason["severity"].as_str().and_then(Severity::from_name);
            args.severity.is_none_or(|least| of >= Some(least))
        };
        record["reasons"].as_array().into_iter().flatten().any(|reason| {
            args.family.is_none_or(|family| reason["family"] == family.name())
                && grave(reason)
                && fits(self.rule.as_ref(), &reason["rule"])
                && (!args.near_misses || left_alone(reason))
        })
    }
}

/// Whether something was found and nothing was done about it.
fn left_alone(reason: &Value) -> bool {
    reason["confidence"] == Confidence::Low.name() || reason["action"] == Action::Allow.name()
}

fn fits(glob: Option<&Glob>, value: &Value) -> bool {
    glob.is_none_or(|glob| value.as_str().is_some_and(|name| glob.matches(name)))
}

#[cfg(test)]
mod tests;
