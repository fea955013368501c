//! `weir agent`: what is known of an agent, and what an operator says about it.
//!
//! Showing reads the state topic, or a file of state; everything else is an order of the
//! control topic, with a reason and a name, and stands in the audit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use crate::baseline::{self, Fact, Known, Profile};
use crate::event::Millis;
use crate::inspect::profile_key;
use crate::wire::time::rfc3339;

use super::Done;
#[cfg(feature = "kafka")]
use super::config::{ConfigArgs, load};
use super::failure::Failure;
use super::out::{Out, Visible};
use super::statefile;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Prints the behaviour profile of an agent, one fact a line.
    ///
    /// The same facts stand in the same order in every profile, so two of them can be
    /// compared with `diff`. Names of tools, data classes and destinations are kept as
    /// hashes; `--names` finds them again.
    ///
    /// Examples:
    ///   weir agent show support-bot --names tools.txt
    ///   weir scan events.jsonl --input events --set behavior.mode=calibrated --state s.jsonl > v.jsonl
    ///   weir agent show support-bot --state s.jsonl
    #[command(verbatim_doc_comment)]
    Show(ShowArgs),
    /// Forgets what was learned about an agent: it is new again.
    #[cfg(feature = "kafka")]
    Reset(orders::ResetArgs),
    /// Takes what an agent does now as usual.
    ///
    /// Its open alert of behaviour closes. For the given time everything that it does is
    /// learned, unusual hours raise its level, and nothing of its behaviour is told.
    #[cfg(feature = "kafka")]
    Accept(orders::AcceptArgs),
    /// Silences alerts of an agent, a type, a tenant or all, until a given time.
    ///
    /// What is decided, and what the audit says, stays. With `--from` a maintenance window can be
    /// announced before it begins. `--lift` ends a silence of the same scope, signal and tool.
    ///
    /// Examples:
    ///   weir agent suppress etl-7 --signal 'behavior.*' --for 4h --reason CHG-12
    ///   weir agent suppress --type batch --from 2026-11-21T22:00:00Z --until 2026-11-22T02:00:00Z --reason "month end"
    #[cfg(feature = "kafka")]
    #[command(verbatim_doc_comment)]
    Suppress(orders::SuppressArgs),
    /// Writes the state topic to a file, for `weir agent show --state`.
    #[cfg(feature = "kafka")]
    Export(ExportArgs),
}

#[derive(Args)]
pub(super) struct ShowArgs {
    /// Agent
    #[arg(value_name = "ID")]
    agent: String,

    /// Tenant of the agent
    #[arg(long, value_name = "TENANT", default_value = "")]
    tenant: String,

    /// File of state instead of the topic
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// File of names, one a line, that may have been used
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,

    /// How the profile is written
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,

    #[cfg(feature = "kafka")]
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One fact a line
    Text,
    /// One object
    Json,
}

#[cfg(feature = "kafka")]
#[derive(Args)]
pub(super) struct ExportArgs {
    /// File to write
    #[arg(value_name = "FILE")]
    to: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    match command {
        Command::Show(args) => show(args, out),
        #[cfg(feature = "kafka")]
        Command::Reset(args) => args.run(out),
        #[cfg(feature = "kafka")]
        Command::Accept(args) => args.run(out),
        #[cfg(feature = "kafka")]
        Command::Suppress(args) => args.run(out),
        #[cfg(feature = "kafka")]
        Command::Export(args) => topic::export(args, out),
    }
}

fn show(args: &ShowArgs, out: &mut Out) -> Result<Done, Failure> {
    let key = profile_key(&args.tenant, &args.agent);
    let bytes = match &args.state {
        Some(file) => {
            statefile::read(file)?.values().find_map(|state| state.get(&key).map(<[u8]>::to_vec))
        }
        None => topic::find(args, &key)?,
    };
    let Some(bytes) = bytes else {
        let of =
            if args.tenant.is_empty() { String::new() } else { format!(" of {}", args.tenant) };
        return Err(Failure::runtime(anyhow!("nothing is known of agent `{}`{of}", args.agent)).hint(
            "profiles are kept where `behavior.mode` is calibrated or literal; --tenant names the agent's tenant",
        ));
    };
    let profile = Profile::read(&bytes).ok_or_else(|| {
        Failure::runtime(anyhow!("the profile was written by another version of Weir"))
    })?;
    let names = names(args)?;
    match args.output {
        Form::Text => {
            for line in lines(&profile, &names) {
                out.line(line)?;
            }
        }
        Form::Json => out.line(format_args!("{:#}", json(&profile, &names)))?,
    }
    Ok(Done::Well)
}

/// Names by their hash.
fn names(args: &ShowArgs) -> Result<BTreeMap<u32, String>, Failure> {
    let Some(path) = &args.names else { return Ok(BTreeMap::new()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))
        .map_err(Failure::runtime)?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    Ok(names.map(|name| (baseline::name(name), name.to_owned())).collect())
}

fn named(hash: u32, names: &BTreeMap<u32, String>) -> String {
    names.get(&hash).cloned().unwrap_or_else(|| format!("#{hash:08x}"))
}

/// The facts as lines; things under the same name sorted by what they are shown as.
fn lines(profile: &Profile, names: &BTreeMap<u32, String>) -> Vec<String> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let facts = profile.facts();
    let first = |about: &str| facts.iter().position(|fact| fact.about == about).unwrap_or_default();
    for Fact { about, thing, known } in &facts {
        let thing = thing.map(|hash| format!(".{}", named(hash, names))).unwrap_or_default();
        let value = match known {
            Known::Count(n) => n.to_string(),
            Known::Number(n) => n.to_string(),
            Known::Time(at) => rfc3339(*at),
            Known::Name(hash) => named(*hash, names),
            Known::Hours(hours) => {
                hours.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
        };
        lines.push((first(about), format!("{about}{}: {}", Visible(&thing), Visible(&value))));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn json(profile: &Profile, names: &BTreeMap<u32, String>) -> Value {
    let mut out = Map::new();
    for Fact { about, thing, known } in profile.facts() {
        let value = match known {
            Known::Count(n) => n.into(),
            Known::Number(n) => n.into(),
            Known::Time(Millis(ms)) => ms.into(),
            Known::Name(hash) => named(hash, names).into(),
            Known::Hours(hours) => hours.into(),
        };
        match thing {
            None => {
                out.insert(about, value);
            }
            Some(hash) => {
                let things = out.entry(about).or_insert_with(|| Value::Object(Map::new()));
                if let Some(things) = things.as_object_mut() {
                    things.insert(named(hash, names), value);
                }
            }
        }
    }
    Value::Object(out)
}

#[cfg(not(feature = "kafka"))]
mod topic {
    use super::{Failure, ShowArgs, anyhow};
    use crate::state::Key;

    pub(super) fn find(_: &ShowArgs, _: &Key) -> Result<Option<Vec<u8>>, Failure> {
        Err(Failure::usage(anyhow!("this build has no Kafka client")).hint("give --state FILE"))
    }
}

#[cfg(feature = "kafka")]
mod topic {
    use rdkafka::message::Message as _;

    use super::{Done, ExportArgs, Failure, Out, ShowArgs, anyhow, load, statefile};
    use crate::cli::kafka::{self, Committed};
    use crate::config::Config;
    use crate::inspect::partition_of;
    use crate::state::{Key, Partition};

    /// What the state topic holds under a key of the agent's partition.
    pub(super) fn find(args: &ShowArgs, key: &Key) -> Result<Option<Vec<u8>>, Failure> {
        let config = load(&args.config)?.config;
        let reader = kafka::reader(&config)?;
        let count = count(&config, &reader)?;
        let partition = partition_of(&args.agent, count);
        let mut state = Partition::default();
        let mut records = Committed::new(&config, &reader, &config.topics.state, partition)?;
        while let Some(message) = records.message() {
            let key = message.key().unwrap_or_default();
            state.restore(key, message.payload()).map_err(Failure::runtime)?;
        }
        records.finish()?;
        Ok(state.get(key).map(<[u8]>::to_vec))
    }

    /// Writes every record of the state topic to a file.
    pub(super) fn export(args: &ExportArgs, out: &mut Out) -> Result<Done, Failure> {
        let config = load(&args.config)?.config;
        let reader = kafka::reader(&config)?;
        let count = count(&config, &reader)?;
        let mut to = statefile::Writer::create(&args.to)?;
        let mut written = 0_u64;
        for partition in 0..i32::try_from(count).unwrap_or(i32::MAX) {
            let mut records = Committed::new(&config, &reader, &config.topics.state, partition)?;
            while let Some(message) = records.message() {
                to.record(partition, message.key().unwrap_or_default(), message.payload())?;
                written += 1;
            }
            records.finish()?;
        }
        to.finish()?;
        out.line(format_args!("{written} records of {count} partitions exported"))?;
        Ok(Done::Well)
    }

    fn count(config: &Config, reader: &kafka::Reader) -> Result<u32, Failure> {
        let topic = &config.topics.state;
        let count =
            kafka::partitions(config, reader, topic, kafka::PATIENCE)?.ok_or_else(|| {
                Failure::runtime(anyhow!("topic `{topic}` is missing: run `weir topics create`"))
            })?;
        u32::try_from(count).map_err(Failure::runtime)
    }
}

#[cfg(feature = "kafka")]
mod orders {
    use clap::Args;

    use super::{Done, Failure, Millis, Out, anyhow};
    use crate::cli::control::{GivenArgs, give};
    use crate::cli::when::{instant, span};
    use crate::clock;
    use crate::policy::{Scope, Silence};
    use crate::wire::control::Body;

    #[derive(Args)]
    pub(in crate::cli) struct ResetArgs {
        /// Agent
        #[arg(value_name = "ID", required_unless_present = "all")]
        agent: Option<String>,

        /// All agents and their classes
        #[arg(long, conflicts_with_all = ["agent", "tenant"])]
        all: bool,

        /// Tenant of the agent
        #[arg(long, value_name = "TENANT", default_value = "")]
        tenant: String,

        #[command(flatten)]
        given: GivenArgs,
    }

    #[derive(Args)]
    pub(in crate::cli) struct AcceptArgs {
        /// Agent
        #[arg(value_name = "ID")]
        agent: String,

        /// Tenant of the agent
        #[arg(long, value_name = "TENANT", default_value = "")]
        tenant: String,

        /// For how long everything is learned and nothing is told
        #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = span)]
        span: i64,

        #[command(flatten)]
        given: GivenArgs,
    }

    #[derive(Args)]
    pub(in crate::cli) struct SuppressArgs {
        /// Agent
        #[arg(value_name = "ID", conflicts_with_all = ["all", "agent_type"])]
        agent: Option<String>,

        /// Tenant of the agent; alone: everything of that tenant
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,

        /// All agents of a type
        #[arg(long = "type", value_name = "TYPE", conflicts_with = "tenant")]
        agent_type: Option<String>,

        /// Everybody
        #[arg(long, conflicts_with_all = ["tenant", "agent_type"])]
        all: bool,

        /// Only alerts of this signal; `*` stands for any letters
        #[arg(long, value_name = "SIGNAL")]
        signal: Option<String>,

        /// Only alerts of events with this tool
        #[arg(long, value_name = "NAME")]
        tool: Option<String>,

        /// Begins then, and not at once
        #[arg(long, value_name = "TIME", value_parser = instant)]
        from: Option<Millis>,

        /// For how long, from its beginning
        #[arg(long = "for", value_name = "TIME", value_parser = span, conflicts_with_all = ["until", "lift"])]
        span: Option<i64>,

        /// Until when
        #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "lift")]
        until: Option<Millis>,

        /// Ends the silence
        #[arg(long)]
        lift: bool,

        #[command(flatten)]
        given: GivenArgs,
    }

    fn id() -> String {
        uuid::Uuid::new_v4().to_string()
    }

    impl ResetArgs {
        pub(super) fn run(&self, out: &mut Out) -> Result<Done, Failure> {
            let scope = match &self.agent {
                Some(agent) => Scope::Agent(self.tenant.clone(), agent.clone()),
                None => Scope::All,
            };
            give(Body::Reset { id: id(), scope }, &self.given, out)
        }
    }

    impl AcceptArgs {
        pub(super) fn run(&self, out: &mut Out) -> Result<Done, Failure> {
            let scope = Scope::Agent(self.tenant.clone(), self.agent.clone());
            let until = Some(clock::now().plus(self.span));
            give(Body::Accept { id: id(), scope, until }, &self.given, out)
        }
    }

    impl SuppressArgs {
        pub(super) fn run(&self, out: &mut Out) -> Result<Done, Failure> {
            let begins = self.from.unwrap_or_else(clock::now);
            let until = match (self.lift, self.until, self.span) {
                (true, ..) => Some(Millis(0)),
                (false, Some(until), _) => Some(until),
                (false, None, span) => span.map(|span| begins.plus(span)),
            };
            let until = until.ok_or_else(|| {
                Failure::usage(anyhow!("a silence needs an end"))
                    .hint("give --for 2h, --until TIME, or --lift to end one")
            })?;
            if !self.lift && until <= begins {
                return Err(Failure::usage(anyhow!("the silence would end before it begins")));
            }
            let silence = Silence {
                signal: self.signal.clone(),
                tool: self.tool.clone(),
                from: self.from,
                until,
            };
            give(Body::Suppress { scope: self.scope()?, silence }, &self.given, out)
        }

        fn scope(&self) -> Result<Scope, Failure> {
            match (&self.agent, &self.tenant, &self.agent_type, self.all) {
                (Some(agent), tenant, ..) => {
                    Ok(Scope::Agent(tenant.clone().unwrap_or_default(), agent.clone()))
                }
                (None, Some(tenant), ..) => Ok(Scope::Tenant(tenant.clone())),
                (None, None, Some(class), _) => Ok(Scope::Type(class.clone())),
                (None, None, None, true) => Ok(Scope::All),
                (None, None, None, false) => Err(Failure::usage(anyhow!("no scope is given"))
                    .hint("name an agent, or give --type T, --tenant T or --all")),
            }
        }
    }
}
