//! `weir topics create` and `weir topics check`: the topics that `weir run` needs, and their shape.
//!
//! Outputs go to the partition number of their input, so all topics but two must have as
//! many partitions as the topic that lanes read. [`problems`] is also what `weir run` asks first.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::config::Config;

use super::Done;
use super::config::{ConfigArgs, load};
use super::failure::Failure;
use super::kafka::{self, PATIENCE, Reader};
use super::out::Out;

/// Partitions of a new events topic.
const PARTITIONS: usize = 12;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Makes the topics that are missing, each with the settings that it needs.
    ///
    /// Topics that are there already are left as they are, so it may be run again.
    Create(CreateArgs),
    /// Says whether every topic is there and has the right shape.
    ///
    /// Exit code 1 when something is wrong; each line names the command that mends it.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Partitions of every topic but control and anchors [default: those of the events topic, else 12]
    ///
    /// A partition is the unit of scale and the ceiling of one agent. It cannot be changed
    /// later without moving agents to other partitions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    partitions: Option<u16>,

    /// Copies of each partition [default: 3, or the number of brokers if there are fewer]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    replication: Option<u16>,
}

/// What one topic must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The setting under `topics`.
    pub(crate) setting: &'static str,
    /// Whether it has one partition and not as many as events.
    pub(crate) single: bool,
    /// Topic settings that it is made with.
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

/// Compaction soon after a change, because a restart reads all that was not compacted yet.
const COMPACTED: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.1")];

/// Every topic, in the order of the configuration.
pub(crate) const SHAPES: [Shape; 11] = [
    // Weir's time is the log's, not the sender's.
    shape("events", false, &[("message.timestamp.type", "LogAppendTime")]),
    shape("verdicts", false, &[]),
    shape("clean", false, &[]),
    shape("alerts", false, &[]),
    // A chain that loses its beginning cannot be told from one that was cut.
    shape("audit", false, &[("retention.ms", "-1")]),
    shape("anchors", true, &[("retention.ms", "-1")]),
    shape("dlq", false, &[]),
    shape("control", true, COMPACTED),
    shape("shared", false, COMPACTED),
    shape("state", false, COMPACTED),
    // Made only where `repartition` is on; lanes then read this one.
    shape("by_agent", false, &[("message.timestamp.type", "LogAppendTime")]),
];

/// The topics that this configuration asks for: shape and name.
fn wanted(config: &Config) -> Vec<(Shape, &str)> {
    let names = config.topics.all().into_iter().map(|(_, name)| name);
    let all = SHAPES.into_iter().zip(names);
    all.filter(|(shape, _)| config.repartition.is_on() || shape.setting != "by_agent").collect()
}

/// Whether lanes do not read this topic but its copy: it may be as its producers like it.
fn is_rekeyed(config: &Config, shape: Shape) -> bool {
    config.repartition.is_on() && shape.setting == "events"
}

const fn shape(
    setting: &'static str,
    single: bool,
    settings: &'static [(&'static str, &'static str)],
) -> Shape {
    Shape { setting, single, settings }
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    match command {
        Command::Create(args) => create(args, out),
        Command::Check { config } => {
            let config = load(config)?.config;
            let reader = kafka::reader(&config)?;
            let found = problems(&config, &reader, PATIENCE)?;
            for problem in &found {
                out.line(problem)?;
            }
            if found.is_empty() {
                out.line("all topics are there and have the right shape")?;
                return Ok(Done::Well);
            }
            Ok(Done::Found)
        }
    }
}

fn create(args: &CreateArgs, out: &mut Out) -> Result<Done, Failure> {
    let config = load(&args.config)?.config;
    let reader = kafka::reader(&config)?;
    let mut existing = None;
    for topic in [config.lanes_topic(), &config.topics.events] {
        existing = existing.or(kafka::partitions(&config, &reader, topic, PATIENCE)?);
    }
    let partitions = args.partitions.map(usize::from).or(existing).unwrap_or(PARTITIONS);
    let brokers = reader
        .fetch_metadata(None, PATIENCE)
        .map_err(|error| kafka::unreachable(&config, error))?
        .brokers()
        .len();
    let replication = args.replication.map_or(brokers.clamp(1, 3), usize::from);
    let wanted: Vec<NewTopic<'_>> = wanted(&config)
        .into_iter()
        .map(|(shape, name)| {
            let count = if shape.single { 1 } else { partitions };
            let mut topic =
                NewTopic::new(name, count as i32, TopicReplication::Fixed(replication as i32));
            for (key, value) in shape.settings {
                topic = topic.set(key, value);
            }
            if replication >= 3 {
                topic = topic.set("min.insync.replicas", "2");
            }
            topic
        })
        .collect();
    let admin = kafka::admin(&config)?;
    let options = AdminOptions::new().operation_timeout(Some(3 * PATIENCE));
    let made = kafka::wait(admin.create_topics(&wanted, &options))?
        .map_err(|error| kafka::unreachable(&config, error))?;
    for result in made {
        match result {
            Ok(name) => {
                await_topic(&config, &reader, &name)?;
                out.line(format_args!("created {name}"))?;
            }
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => {
                out.line(format_args!("{name} is there already"))?;
            }
            Err((name, code)) => {
                return Err(Failure::runtime(
                    anyhow::Error::new(code).context(format!("cannot create topic `{name}`")),
                ));
            }
        }
    }
    Ok(Done::Well)
}

/// Waits until a new topic can be used: the controller makes it before all brokers know of it.
fn await_topic(config: &Config, reader: &Reader, name: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while kafka::partitions(config, reader, name, PATIENCE)?.is_none() {
        if Instant::now() > deadline {
            return Err(Failure::runtime(anyhow::anyhow!(
                "topic `{name}` was created, and the brokers do not serve it yet"
            ))
            .hint("`weir topics check` tells when they do"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What is wrong with the topics: one sentence each, with the command that mends it.
pub(super) fn problems(
    config: &Config,
    reader: &Reader,
    patience: Duration,
) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let lanes = kafka::partitions(config, reader, config.lanes_topic(), patience)?;
    for (shape, name) in wanted(config) {
        let as_lanes = || lanes.filter(|_| !is_rekeyed(config, shape));
        let want = if shape.single { Some(1) } else { as_lanes() };
        match (kafka::partitions(config, reader, name, patience)?, want) {
            (None, _) => found.push(format!("topic `{name}` is missing: run `weir topics create`")),
            (Some(have), Some(want)) if have != want => {
                found.push(wrong_count(config, shape, name, have, want));
            }
            _ => {}
        }
    }
    if found.is_empty() {
        found.extend(wrong_settings(config)?);
    }
    Ok(found)
}

fn wrong_count(config: &Config, shape: Shape, name: &str, have: usize, want: usize) -> String {
    let servers = &config.kafka.bootstrap_servers;
    let why = match (shape.single, config.repartition.is_on()) {
        (true, _) => "it must have one",
        (_, false) => "it must have as many as the events topic",
        (_, true) => "it must have as many as the topic that events are re-keyed to",
    };
    let mend = if have < want {
        format!(
            "`kafka-topics --bootstrap-server {servers} --alter --topic {name} --partitions {want}`"
        )
    } else {
        format!(
            "`kafka-topics --bootstrap-server {servers} --delete --topic {name}` and `weir topics create`"
        )
    };
    format!("topic `{name}` has {have} partitions and needs {want} ({why}): run {mend}")
}

/// Settings without which results would be wrong; others are the operator's business.
fn wrong_settings(config: &Config) -> Result<Vec<String>, Failure> {
    let checked = ["cleanup.policy", "message.timestamp.type"];
    let topics = wanted(config);
    let resources: Vec<_> = topics.iter().map(|(_, name)| ResourceSpecifier::Topic(name)).collect();
    let admin = kafka::admin(config)?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = kafka::wait(admin.describe_configs(&resources, &options))?
        .map_err(|error| kafka::unreachable(config, error))?;
    let mut found = Vec::new();
    for ((shape, name), answer) in topics.into_iter().zip(answers) {
        // Without the right to see settings there is nothing to say about them.
        let Ok(answer) = answer else { continue };
        if is_rekeyed(config, shape) {
            continue;
        }
        for (key, want) in shape.settings.iter().filter(|(key, _)| checked.contains(key)) {
            let have = answer.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
            if have != *want {
                let servers = &config.kafka.bootstrap_servers;
                found.push(format!(
                    "topic `{name}` has {key}={have} and needs {want}: run `kafka-configs --bootstrap-server {servers} --alter --entity-type topics --entity-name {name} --add-config {key}={want}`"
                ));
            }
        }
    }
    Ok(found)
}
