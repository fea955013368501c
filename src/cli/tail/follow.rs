//! The topic, from a point in time on.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Config;
use crate::event::Millis;

use super::super::config::load;
use super::super::failure::Failure;
use super::super::kafka::{self, PATIENCE, Reader};
use super::{TailArgs, View};

/// Shows what fits, until interrupted, or to the end of every partition.
pub(super) fn follow(args: &TailArgs, view: &mut View<'_>) -> Result<(), Failure> {
    let config = load(&args.config)?.config;
    let topic = if args.verdicts { &config.topics.verdicts } else { &config.topics.alerts };
    let reader = kafka::reader(&config)?;
    let count = kafka::partitions(&config, &reader, topic, PATIENCE)?.ok_or_else(|| {
        Failure::runtime(anyhow::anyhow!("topic `{topic}` is missing: run `weir topics create`"))
    })?;
    let from = begin(args, &config, &reader, topic, count)?;
    reader
        .assign(&from)
        .with_context(|| format!("cannot read `{topic}`"))
        .map_err(Failure::runtime)?;
    let mut ended = vec![false; count];
    let mut heard = Instant::now();
    loop {
        match reader.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let time = message.timestamp().to_millis().map(Millis);
                let value = message.payload().unwrap_or_default();
                if view.take(value, message.key(), time)? {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                heard = Instant::now();
                if let Some(ended) =
                    usize::try_from(partition).ok().and_then(|at| ended.get_mut(at))
                {
                    *ended = true;
                }
                if args.no_follow && ended.iter().all(|ended| *ended) {
                    return Ok(());
                }
                view.out.finish()?;
            }
            Some(Err(error)) if kafka::is_fatal(&error) => {
                let context = format!("cannot read `{topic}`");
                return Err(Failure::runtime(anyhow::Error::new(error).context(context)));
            }
            // Who follows waits for the cluster to come back; who wants the end does not.
            Some(Err(_)) | None if args.no_follow && heard.elapsed() > 3 * PATIENCE => {
                let stalled = anyhow::anyhow!("reading `{topic}` stalled");
                return Err(kafka::unreachable(&config, stalled));
            }
            Some(Err(_)) | None => view.out.finish()?,
        }
    }
}

/// Where each partition is begun: at the time asked for, or at its end.
fn begin(
    args: &TailArgs,
    config: &Config,
    reader: &Reader,
    topic: &str,
    count: usize,
) -> Result<TopicPartitionList, Failure> {
    // To its end and no further: then from its beginning.
    let start = match args.since {
        Some(Millis(since)) => Offset::Offset(since),
        None if args.no_follow => Offset::Beginning,
        None => Offset::End,
    };
    let mut from = TopicPartitionList::new();
    for partition in 0..count {
        from.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), start)
            .context("cannot ask for offsets")
            .map_err(Failure::runtime)?;
    }
    if args.since.is_none() {
        return Ok(from);
    }
    let mut found = reader
        .offsets_for_times(from, PATIENCE)
        .map_err(|error| kafka::unreachable(config, error))?;
    for partition in 0..count {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        // Nothing was told since then: what comes next is the first.
        let none = found
            .find_partition(topic, partition)
            .is_none_or(|one| !matches!(one.offset(), Offset::Offset(_)));
        if none {
            found
                .set_partition_offset(topic, partition, Offset::End)
                .context("cannot set an offset")
                .map_err(Failure::runtime)?;
        }
    }
    Ok(found)
}
