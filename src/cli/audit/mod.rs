//! `weir audit verify`: walks the chains, from Kafka or from files.
//!
//! With `keys.audit` only anchors that carry its signature count; without it any anchor
//! does, and whoever could change the audit topic could have written that one too.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use crate::audit::{Anchor, Report, Signer, verify};
use crate::config::Config;
use crate::redact::Key32;

use super::Done;
use super::config::{ConfigArgs, load};
use super::failure::Failure;
use super::out::Out;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Checks that no audit record was changed, removed, moved, doubled or cut off.
    ///
    /// Reads the audit and anchors topics, or files of records, one a line in topic order.
    /// What lies beyond the last anchor is reported as unanchored: chained, but nobody
    /// outside of the topic vouches for its end. Exit code 1 when anything is wrong.
    Verify(VerifyArgs),
}

#[derive(Args)]
pub(super) struct VerifyArgs {
    /// Files of audit records instead of the topics
    #[arg(value_name = "FILE")]
    files: Vec<String>,

    /// With files: a file of anchor records, one a line
    #[arg(long, value_name = "FILE", requires = "files")]
    anchors: Option<String>,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    let Command::Verify(args) = command;
    let config = load(&args.config)?.config;
    let public = config.keys.audit.as_ref().map(|key| Signer::new(&Key32(*key.bytes())).public());
    let reports = if args.files.is_empty() {
        from_kafka(&config, public.as_ref())?
    } else {
        from_files(args, public.as_ref())?
    };
    let (mut records, mut broken) = (0, 0);
    for (partition, report) in &reports {
        records += report.records;
        broken += u64::from(!report.is_intact());
        describe(*partition, report, out)?;
    }
    if broken > 0 {
        out.line(format_args!("{broken} of {} chains are not what was written", reports.len()))?;
        return Ok(Done::Found);
    }
    out.line(format_args!("{records} records in {} chains, all intact", reports.len()))?;
    Ok(Done::Well)
}

fn describe(partition: i32, report: &Report, out: &mut Out) -> Result<(), Failure> {
    let anchored = match report.anchored {
        Some(seq) => format!("anchored up to {seq}, {} unanchored", report.unanchored),
        None => format!("{} unanchored", report.unanchored),
    };
    let state = if report.is_intact() { "intact" } else { "NOT INTACT" };
    out.line(format_args!(
        "partition {partition}: {} records, {anchored}: {state}",
        report.records
    ))?;
    for problem in &report.problems {
        out.line(format_args!("  {problem}"))?;
    }
    if report.more_problems {
        out.line("  and more")?;
    }
    Ok(())
}

fn from_files(
    args: &VerifyArgs,
    public: Option<&[u8; 32]>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    let mut anchors: BTreeMap<i32, Vec<Anchor>> = BTreeMap::new();
    if let Some(file) = &args.anchors {
        for line in lines(file)? {
            let anchor = Anchor::read(&line).ok_or_else(|| {
                Failure::runtime(anyhow!("`{file}` holds a line that is no anchor"))
            })?;
            anchors.entry(anchor.partition).or_default().push(anchor);
        }
    }
    let mut chains: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
    for file in &args.files {
        // What cannot be read belongs to the chain in whose midst it stands.
        let mut last = 0;
        for line in lines(file)? {
            last = partition_of(&line).unwrap_or(last);
            chains.entry(last).or_default().push(line);
        }
    }
    // A chain of which nothing is left but its anchors is a finding, too.
    for partition in anchors.keys() {
        chains.entry(*partition).or_default();
    }
    Ok(chains
        .into_iter()
        .map(|(partition, records)| {
            let anchors = anchors.get(&partition).map_or(&[] as &[Anchor], Vec::as_slice);
            (partition, verify(records, anchors, public))
        })
        .collect())
}

fn partition_of(record: &[u8]) -> Option<i32> {
    let json: serde_json::Value = serde_json::from_slice(record).ok()?;
    i32::try_from(json.get("at")?.get("partition")?.as_i64()?).ok()
}

fn lines(file: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot read `{file}`")))
    };
    let open = std::fs::File::open(file).map_err(failed)?;
    BufReader::new(open)
        .split(b'\n')
        .filter(|line| line.as_ref().map_or(true, |line| !line.is_empty()))
        .collect::<Result<_, _>>()
        .map_err(failed)
}

#[cfg(not(feature = "kafka"))]
fn from_kafka(_: &Config, _: Option<&[u8; 32]>) -> Result<BTreeMap<i32, Report>, Failure> {
    Err(Failure::usage(anyhow!("this build has no Kafka client"))
        .hint("name files of audit records"))
}

#[cfg(feature = "kafka")]
fn from_kafka(
    config: &Config,
    public: Option<&[u8; 32]>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    use super::kafka::{self, Committed};

    let reader = kafka::reader(config)?;
    let count = |topic: &str| -> Result<i32, Failure> {
        let count =
            kafka::partitions(config, &reader, topic, kafka::PATIENCE)?.ok_or_else(|| {
                Failure::runtime(anyhow!("topic `{topic}` is missing: run `weir topics create`"))
            })?;
        i32::try_from(count).context("too many partitions").map_err(Failure::runtime)
    };
    let mut anchors: BTreeMap<i32, Vec<Anchor>> = BTreeMap::new();
    let topic = &config.topics.anchors;
    for partition in 0..count(topic)? {
        let mut records = Committed::new(config, &reader, topic, partition)?;
        let read = records.by_ref().filter_map(|value| Anchor::read(&value?));
        for anchor in read.filter(|anchor| anchor.topic == config.topics.events) {
            anchors.entry(anchor.partition).or_default().push(anchor);
        }
        records.finish()?;
    }
    let mut reports = BTreeMap::new();
    let topic = &config.topics.audit;
    for partition in 0..count(topic)? {
        let mut records = Committed::new(config, &reader, topic, partition)?;
        let known = anchors.remove(&partition).unwrap_or_default();
        let report = verify(records.by_ref().map(Option::unwrap_or_default), &known, public);
        records.finish()?;
        reports.insert(partition, report);
    }
    Ok(reports)
}
