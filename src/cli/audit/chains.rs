//! The chains, one record after the other, checked on the way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};

#[cfg(feature = "kafka")]
use anyhow::Context as _;
use anyhow::anyhow;

use crate::audit::{Anchor, Report, Signer, Verifier};
use crate::config::Config;
use crate::redact::Key32;

use super::super::config::load;
use super::super::failure::Failure;
use super::ChainArgs;

/// What is done with a record; given the partition whose chain it belongs to.
pub(super) type Each<'e> = dyn FnMut(i32, &[u8]) -> Result<(), Failure> + 'e;

/// Walks the chains of the files that are named, or else of the topic. What is found wrong
/// is told by partition.
pub(super) fn walk(
    args: &ChainArgs,
    mut each: impl FnMut(i32, &[u8]) -> Result<(), Failure>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    let config = load(&args.config)?.config;
    let public = public(&config);
    if args.files.is_empty() {
        topic(&config, public.as_ref(), &mut each)
    } else {
        from_files(args, public.as_ref(), &mut each)
    }
}

/// The public half of the key that anchors are signed with.
pub(super) fn public(config: &Config) -> Option<[u8; 32]> {
    config.keys.audit.as_ref().map(|key| Signer::new(&Key32(*key.bytes())).public())
}

fn from_files(
    args: &ChainArgs,
    public: Option<&[u8; 32]>,
    each: &mut Each<'_>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    let mut anchors: BTreeMap<i32, Vec<Anchor>> = BTreeMap::new();
    if let Some(file) = &args.anchors {
        lines(file, |line| {
            let anchor = Anchor::read(line).ok_or_else(|| {
                Failure::runtime(anyhow!("`{file}` holds a line that is no anchor"))
            })?;
            anchors.entry(anchor.partition).or_default().push(anchor);
            Ok(())
        })?;
    }
    // A chain of which nothing is left but its anchors is a finding, too.
    let mut chains: BTreeMap<i32, Verifier> = anchors
        .iter()
        .map(|(partition, anchors)| (*partition, Verifier::new(anchors, public)))
        .collect();
    for file in &args.files {
        // What cannot be read belongs to the chain in whose midst it stands.
        let mut last = 0;
        lines(file, |line| {
            last = partition_of(line).unwrap_or(last);
            let chain = chains.entry(last).or_insert_with(|| Verifier::new(&[], public));
            chain.take(line);
            each(last, line)
        })?;
    }
    Ok(chains.into_iter().map(|(partition, chain)| (partition, chain.end())).collect())
}

/// The partition in whose chain a record says that it stands.
fn partition_of(record: &[u8]) -> Option<i32> {
    let json: serde_json::Value = serde_json::from_slice(record).ok()?;
    let partition = match json.get("chain") {
        Some(chain) => chain,
        // An order's `at` is a place of the control topic.
        None if json.get("what")?.as_str()? == "control" => return None,
        None => json.get("at")?.get("partition")?,
    };
    i32::try_from(partition.as_i64()?).ok()
}

fn lines(file: &str, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot read `{file}`")))
    };
    let open = File::open(file).map_err(failed)?;
    for line in BufReader::with_capacity(1 << 16, open).split(b'\n') {
        let line = line.map_err(failed)?;
        if !line.is_empty() {
            each(&line)?;
        }
    }
    Ok(())
}

#[cfg(not(feature = "kafka"))]
fn topic(
    _: &Config,
    _: Option<&[u8; 32]>,
    _: &mut Each<'_>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    Err(Failure::usage(anyhow!("this build has no Kafka client"))
        .hint("name files of audit records"))
}

#[cfg(feature = "kafka")]
fn topic(
    config: &Config,
    public: Option<&[u8; 32]>,
    each: &mut Each<'_>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    let anchors = read_anchors(config, |_, _| Ok(()))?;
    from_kafka(config, public, &[], anchors, each)
}

/// Walks the topic's chains, all or those of `only`. The anchors must have been read before:
/// then every record that they name is there.
#[cfg(feature = "kafka")]
pub(super) fn from_kafka(
    config: &Config,
    public: Option<&[u8; 32]>,
    only: &[i32],
    mut anchors: BTreeMap<i32, Vec<Anchor>>,
    each: &mut Each<'_>,
) -> Result<BTreeMap<i32, Report>, Failure> {
    use super::super::kafka::{self, Committed};

    let reader = kafka::reader(config)?;
    let topic = &config.topics.audit;
    let count = count(config, &reader, topic)?;
    if let Some(missing) = only.iter().find(|partition| !(0..count).contains(*partition)) {
        return Err(Failure::usage(anyhow!("`{topic}` has no partition {missing}"))
            .hint(format!("its {count} partitions are 0 to {}", count - 1)));
    }
    let mut reports = BTreeMap::new();
    for partition in 0..count {
        if !only.is_empty() && !only.contains(&partition) {
            continue;
        }
        let mut records = Committed::new(config, &reader, topic, partition)?;
        let known = anchors.remove(&partition).unwrap_or_default();
        let mut chain = Verifier::new(&known, public);
        for record in records.by_ref() {
            let record = record.unwrap_or_default();
            chain.take(&record);
            each(partition, &record)?;
        }
        records.finish()?;
        reports.insert(partition, chain.end());
    }
    Ok(reports)
}

/// The anchors of this installation's events topic, by partition. `each` sees their records.
#[cfg(feature = "kafka")]
pub(super) fn read_anchors(
    config: &Config,
    mut each: impl FnMut(&Anchor, &[u8]) -> Result<(), Failure>,
) -> Result<BTreeMap<i32, Vec<Anchor>>, Failure> {
    use super::super::kafka::{self, Committed};

    let reader = kafka::reader(config)?;
    let topic = &config.topics.anchors;
    let mut anchors: BTreeMap<i32, Vec<Anchor>> = BTreeMap::new();
    for partition in 0..count(config, &reader, topic)? {
        let mut records = Committed::new(config, &reader, topic, partition)?;
        for value in records.by_ref().flatten() {
            let Some(anchor) = Anchor::read(&value) else { continue };
            if anchor.topic == config.lanes_topic() {
                each(&anchor, &value)?;
                anchors.entry(anchor.partition).or_default().push(anchor);
            }
        }
        records.finish()?;
    }
    Ok(anchors)
}

#[cfg(feature = "kafka")]
fn count(
    config: &Config,
    reader: &super::super::kafka::Reader,
    topic: &str,
) -> Result<i32, Failure> {
    use super::super::kafka;

    let count = kafka::partitions(config, reader, topic, kafka::PATIENCE)?.ok_or_else(|| {
        Failure::runtime(anyhow!("topic `{topic}` is missing: run `weir topics create`"))
    })?;
    i32::try_from(count).context("too many partitions").map_err(Failure::runtime)
}
