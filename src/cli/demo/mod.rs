//! `weir demo`: the pipeline on the log in memory, with made-up agents and attacks.
//!
//! Nothing here decides: the lanes are those of `weir run`, only the log is another. One
//! thread writes traffic to the events topic, the lanes work, and this one reads what they
//! committed, as any client of the topics would.

mod reader;
mod screen;
mod summary;
pub mod traffic;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;

use crate::clock;
use crate::config::Layers;
use crate::detect::EngineKind;
use crate::event::Millis;
use crate::finding::Action;
use crate::inspect::partition_of;
use crate::pipeline::log::{Now, Topic};
use crate::pipeline::memory::{Cluster, Settings};
use crate::pipeline::run::{Site, run as run_lanes};

use super::Done;
use super::failure::Failure;
use super::out::Out;
use super::pack;

use reader::Reader;
use screen::Screen;
use summary::Summary;
use traffic::{Moment, traffic};

/// Partitions of the topics in memory.
const PARTITIONS: u32 = 12;
/// Nobody waits longer than this for the last verdict.
const PATIENCE: Duration = Duration::from_secs(30);
/// In the demo it is three in the morning.
const NIGHT_MS: i64 = 3 * 3_600_000;

#[derive(Args)]
pub(super) struct DemoArgs {
    /// How long the traffic lasts
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,

    /// Writes all events at once instead of in their own time
    #[arg(long)]
    fast: bool,

    /// Another seed is other traffic with the same attacks
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What the demo reads back from a verdict.
#[derive(Clone, Debug, Deserialize)]
struct Verdict {
    event_id: Option<String>,
    action: String,
    reasons: Vec<Reason>,
    #[serde(default)]
    retry_hint: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Reason {
    rule: String,
    family: String,
    severity: String,
    confidence: String,
    message: String,
}

pub(super) fn run(args: &DemoArgs, out: &mut Out) -> Result<Done, Failure> {
    let defaults = Layers::default().load().map_err(Failure::usage)?;
    let compiling = Instant::now();
    let pack = pack::build(&defaults.config, EngineKind::Auto, PARTITIONS)?;
    let compiled = compiling.elapsed();

    let now = night();
    let start = now();
    let moments = traffic(args.seed, start, args.seconds);
    let cluster = Cluster::new(
        Settings { partitions: PARTITIONS as i32, ..Settings::default() },
        Arc::clone(&now),
    );
    let rules = pack.rules.set.rules.len();
    let site = Site::new(pack, Arc::clone(&now));
    let mut screen = Screen::new(out);
    screen.title(rules, compiled, moments.len(), args)?;

    let begun = Instant::now();
    let shown = std::thread::scope(|scope| {
        let lanes = scope.spawn(|| run_lanes(&cluster, &site, Box::new(|_| None)));
        let (cluster, moments) = (&cluster, moments.as_slice());
        let feeder = scope.spawn(move || feed(cluster, moments, begun, args.fast));
        let shown = watch(cluster, moments, start, &mut screen);
        site.stop.store(true, Ordering::Relaxed);
        let panicked = || Failure::runtime(anyhow!("a thread of the demo panicked"));
        let produced = feeder.join().map_err(|_| panicked())?;
        lanes.join().map_err(|_| panicked())?;
        shown.map(|seen| (seen, produced))
    });
    let (seen, produced) = shown?;
    let took = begun.elapsed();
    screen.done()?;
    let summary = Summary::new(&moments, &seen, &produced, &cluster, &site, took);
    summary.print(&mut screen, args.fast)?;
    Ok(Done::Well)
}

/// A clock that runs as the machine's does, and began at three in the morning (UTC) of today.
fn night() -> Now {
    let real = clock::now().0;
    let offset = real - real.rem_euclid(86_400_000) + NIGHT_MS - real;
    Arc::new(move || Millis(clock::now().0.saturating_add(offset)))
}

/// Writes the events, each in its time, and says when each was written.
fn feed(
    cluster: &Cluster,
    moments: &[Moment],
    begun: Instant,
    fast: bool,
) -> HashMap<String, Instant> {
    let mut produced = HashMap::with_capacity(moments.len());
    for moment in moments {
        if !fast {
            let due = begun + Duration::from_millis(moment.at_ms);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let id = moment.event["id"].as_str().unwrap_or_default().to_owned();
        produced.insert(id, Instant::now());
        cluster.produce(
            Topic::Events,
            partition_of(moment.agent, PARTITIONS),
            Some(moment.agent.as_bytes().to_vec()),
            Some(moment.event.to_string().into_bytes()),
            Vec::new(),
        );
    }
    produced
}

/// A verdict, and when a reader of the topic could see it.
struct Seen {
    verdict: Verdict,
    action: Action,
    at: Instant,
}

/// Reads verdicts as they are committed, until there is one for every event.
fn watch(
    cluster: &Cluster,
    moments: &[Moment],
    start: Millis,
    screen: &mut Screen<'_>,
) -> Result<HashMap<String, Seen>, Failure> {
    let by_id: HashMap<&str, &Moment> =
        moments.iter().filter_map(|moment| Some((moment.event["id"].as_str()?, moment))).collect();
    let mut seen = HashMap::with_capacity(moments.len());
    let mut next = vec![0_i64; PARTITIONS as usize];
    let mut reader = Reader::default();
    let mut heard = Instant::now();
    while seen.len() < moments.len() {
        let version = cluster.version();
        let mut fresh = Vec::new();
        for (partition, from) in (0_i32..).zip(&mut next) {
            let (records, to) = cluster.read(Topic::Verdicts, partition, *from, 1_000);
            *from = to;
            fresh.extend(records);
        }
        // What goes on with a verdict is committed with it.
        reader.read(cluster)?;
        let at = Instant::now();
        for record in &fresh {
            heard = at;
            let verdict: Verdict = serde_json::from_slice(
                record.value.as_deref().unwrap_or_default(),
            )
            .map_err(|error| Failure::runtime(anyhow!("a verdict cannot be read: {error}")))?;
            let Some(id) = verdict.event_id.clone() else { continue };
            let action = Action::from_name(&verdict.action).unwrap_or(Action::Block);
            if let Some(moment) = by_id.get(id.as_str()) {
                let shown = reader.shown_with(&moment.event);
                screen.verdict(start, (moment, shown.as_deref()), action, &verdict)?;
            }
            seen.insert(id, Seen { verdict, action, at });
        }
        screen.status(seen.len(), moments.len())?;
        if heard.elapsed() > PATIENCE {
            return Err(Failure::runtime(anyhow!(
                "{} of {} verdicts came, and then none for {PATIENCE:?}",
                seen.len(),
                moments.len()
            )));
        }
        if fresh.is_empty() {
            cluster.wait(version, Duration::from_millis(100));
        }
    }
    Ok(seen)
}
