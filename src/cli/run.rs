//! `weir run`: everything joined and kept running.
//!
//! | state | waits for | goes to |
//! |---|---|---|
//! | looking | an answer of Kafka about the topics | running; the end, where a topic is missing or has the wrong shape |
//! | running | SIGTERM or SIGINT; SIGHUP reads rules and policy again (`reload`) | draining |
//! | draining | the batch in hand, at most `DRAIN` | the end, code 0; a second signal ends it at once |
//!
//! The admin listener answers from the first moment, so that whoever waits can read what
//! Weir itself is waiting for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clock;
use crate::config::{Config, Delivery, Word};
use crate::pipeline::control::Read;
use crate::pipeline::kafka::KafkaCluster;
use crate::pipeline::log::Now;
use crate::pipeline::rekey::Rekey;
use crate::pipeline::run::{Pack, Rekeying, Site, run as run_lanes};
use crate::telemetry::admin::{Admin, Health, Source};
use crate::telemetry::logs;
use crate::wire::control::Reader;

use super::config::{ConfigArgs, load};
use super::failure::Failure;
use super::kafka;
use super::observe::Observed;
use super::reload::Reloader;
use super::{Done, classifier, control, pack, topics};

/// How long one look at the topics may take; a signal waits for no longer.
const LOOK: Duration = Duration::from_secs(2);
/// Longest pause between two looks.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<Done, Failure> {
    let config = load(&args.config)?.config;
    logs::start(config.log.format, &config.log.filter)
        .context("cannot start")
        .map_err(Failure::usage)?;
    let stop = signals()?;
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&asked))
        .context("cannot listen for signals")
        .map_err(Failure::runtime)?;
    let front = Arc::new(Front::default());
    let admin = Admin::start(&config.admin.listen, Arc::clone(&front) as Arc<dyn Source>)
        .map_err(Failure::runtime)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        admin = %admin.address(),
        kafka = config.kafka.bootstrap_servers,
        "weir starts"
    );
    // Compiled before Kafka is asked: a pack that cannot be used is known at once.
    let mut pack = pack::build(&config, config.engine, 0)?;
    // So is a model that must be there.
    let asking = classifier::asking(&config)?;
    let Some(partitions) = look(&config, &stop)? else {
        tracing::info!("stopped before Kafka answered");
        return Ok(Done::Well);
    };
    pack.step.partitions = partitions;
    let mut site = site(&config, pack, &stop);
    site.asking = asking;
    let site = Arc::new(site);
    front.open(Observed::new(Arc::clone(&site)));
    let cluster = KafkaCluster::new(&config);
    std::thread::scope(|scope| {
        scope.spawn(|| announce(&config, &site, &front));
        scope.spawn(|| Reloader::new(&config, &site, &asked).run());
        run_lanes(&cluster, &site, orders(&config));
    });
    tracing::info!(
        events = site.metrics.events.get(),
        batches = site.metrics.batches.get(),
        "stopped"
    );
    drop(admin);
    Ok(Done::Well)
}

/// The first signal drains, the second ends at once.
fn signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the shutdown looks at a flag that the same signal is about to set.
        signal_hook::flag::register_conditional_shutdown(signal, 3, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for signals")
            .map_err(Failure::runtime)?;
    }
    Ok(stop)
}

/// Asks about the topics until Kafka answers; gives the number of partitions, or `None` where
/// a signal came first.
fn look(config: &Config, stop: &AtomicBool) -> Result<Option<u32>, Failure> {
    let reader = kafka::reader(config)?;
    let mut pause = Duration::from_millis(100);
    let mut told = false;
    while !stop.load(Ordering::Relaxed) {
        let answer = topics::problems(config, &reader, LOOK).and_then(|problems| {
            Ok((problems, kafka::partitions(config, &reader, config.lanes_topic(), LOOK)?))
        });
        match answer {
            Ok((problems, Some(partitions))) if problems.is_empty() => {
                return u32::try_from(partitions)
                    .map(Some)
                    .context("too many partitions")
                    .map_err(Failure::runtime);
            }
            Ok((problems, _)) => {
                return Err(Failure::runtime(anyhow!("{}", problems.join("\n")))
                    .hint("`weir topics check` tells all that is wrong with the topics"));
            }
            Err(failure) => {
                if !told {
                    tracing::warn!(error = %failure, "Kafka does not answer, trying again");
                    told = true;
                }
                let until = Instant::now() + pause;
                while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                pause = (2 * pause).min(PAUSE);
            }
        }
    }
    Ok(None)
}

fn site(config: &Config, pack: Pack, stop: &Arc<AtomicBool>) -> Site {
    let now: Now = Arc::new(clock::now);
    let mut site = Site::new(pack, now);
    site.rekeying = config.repartition.is_on().then(|| {
        let pack = site.packs.current();
        let rekey = Rekey {
            partitions: pack.step.partitions,
            map: pack.step.map.clone(),
            read: pack.step.read,
            message_bytes_max: pack.step.message_bytes_max,
        };
        Rekeying { rekey, metrics: Arc::default() }
    });
    site.lanes = config.lanes as usize;
    site.settings.batch_records = config.batch.records as usize;
    site.settings.batch_bytes = config.batch.bytes as usize;
    site.settings.batch_ms = config.batch.gather_ms as i64;
    site.stop = Arc::clone(stop);
    site
}

/// Reads control records; what is not obeyed is told once, by its offset.
fn orders(config: &Config) -> Box<Read> {
    let mut reader = Reader::new(control::control_key(config));
    Box::new(move |record| {
        let key = record.key.as_deref().unwrap_or_default();
        match reader.read(key, record.value.as_deref(), &record.headers) {
            Ok(read) => read.order(record.offset),
            Err(error) => {
                tracing::warn!(offset = record.offset, %error, "a control record is not obeyed");
                None
            }
        }
    })
}

/// Says once that Weir is ready, and with what; then makes what the pack has left for later.
fn announce(config: &Config, site: &Site, front: &Front) {
    while !front.ready().missing.is_empty() {
        if site.stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let pack = site.packs.current();
    let owned: usize = site.metrics.lanes().values().map(|lane| lane.partitions).sum();
    let from =
        if config.patterns.is_empty() { "built in".to_owned() } else { config.patterns.join(", ") };
    tracing::info!(
        rules = pack.rules.set.rules.len(),
        patterns = from,
        pack = short(&pack.step.pack),
        policy = short(&pack.step.setup.policy.hash),
        engine = pack.rules.engine_name(),
        lanes = site.lanes,
        partitions = format_args!("{owned} of {}", pack.step.partitions),
        group = config.kafka.group_id,
        delivery = %Word(config.delivery),
        mode = config.mode.name(),
        classifier = site.asking.as_ref().map_or_else(
            || "off".to_owned(),
            |asking| short(&asking.classifier().about().sha256),
        ),
        "ready"
    );
    if config.delivery == Delivery::AtLeastOnce {
        tracing::warn!(
            "delivery is at_least_once: outputs may be doubled, and no audit chain is written"
        );
    }
    // Beside the lanes: a text that needs an automaton before then makes it itself.
    if let Err(error) = pack.rules.warm(|| !site.stop.load(Ordering::Relaxed)) {
        tracing::error!(%error, "a rule cannot be used: texts that ask for it are not scanned");
    }
}

/// The beginning of a hash, enough to compare by eye.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// Answers for a process that may not have lanes yet.
#[derive(Default)]
struct Front(Mutex<Option<Arc<Observed>>>);

impl Front {
    fn open(&self, observed: Observed) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(observed));
    }

    fn observed(&self) -> Option<Arc<Observed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source for Front {
    fn metrics(&self) -> String {
        self.observed().map_or_else(|| "# EOF\n".to_owned(), |observed| observed.metrics())
    }

    fn live(&self) -> Health {
        self.observed().map_or_else(Health::default, |observed| observed.live())
    }

    fn ready(&self) -> Health {
        self.observed().map_or_else(
            || Health { missing: vec!["Kafka has not answered about the topics yet".to_owned()] },
            |observed| observed.ready(),
        )
    }
}
