//! Joins what lanes count with the names that `telemetry` declares, and with health.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::finding::{Action, Scoring};
use crate::inspect::End;
use crate::pipeline::asking::Asking;
use crate::pipeline::metrics::{LaneState, LaneStatus, Metrics};
use crate::pipeline::run::{Rekeying, Site};
use crate::telemetry::admin::{Health, Source};
use crate::telemetry::metrics as names;
use crate::telemetry::metrics::{Exposition, Scrape, Unit};

/// A lane that has not finished a turn for so long is stuck: longer than the client
/// library may wait inside of one call.
const STUCK: Duration = Duration::from_mins(1);

/// What the lane that re-keys is called.
const REKEYING: &str = "the lane that re-keys";

/// What the admin listener asks.
pub(super) struct Observed {
    site: Arc<Site>,
    exposition: Exposition,
    started: Instant,
}

impl Observed {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site, exposition: Exposition::default(), started: Instant::now() }
    }
}

impl Source for Observed {
    fn metrics(&self) -> String {
        let mut scrape = Scrape::default();
        self.describe(&mut scrape);
        count(&self.site.metrics, &mut scrape);
        classifier(self.site.asking.as_ref(), &mut scrape);
        rekeyed(self.site.rekeying.as_ref(), &mut scrape);
        self.exposition.render(scrape, self.started.elapsed())
    }

    fn live(&self) -> Health {
        let now = (self.site.now)();
        let mut missing = Vec::new();
        let mut look = |name: &str, lane: &LaneStatus| {
            let age = now.0.saturating_sub(lane.ticked.0);
            if lane.state != LaneState::Stopped && age > STUCK.as_millis() as i64 {
                missing.push(format!("{name} has not finished a turn for {} s", age / 1_000));
            }
        };
        for (number, lane) in self.site.metrics.lanes() {
            look(&format!("lane {number}"), &lane);
        }
        for lane in self.site.rekeying.iter().flat_map(|one| one.metrics.lanes().into_values()) {
            look(REKEYING, &lane);
        }
        Health { missing }
    }

    fn ready(&self) -> Health {
        let lanes = self.site.metrics.lanes();
        let mut missing = Vec::new();
        let mut look = |name: &str, lane: Option<&LaneStatus>| match lane.map(|lane| lane.state) {
            Some(LaneState::Running) => {}
            Some(state) => missing.push(format!("{name} is {}", state.name())),
            None => missing.push(format!("{name} has not started")),
        };
        for number in 0..self.site.lanes {
            look(&format!("lane {number}"), lanes.get(&number));
        }
        if let Some(rekeying) = &self.site.rekeying {
            look(REKEYING, rekeying.metrics.lanes().get(&0));
        }
        match self.site.board.pin((self.site.now)()) {
            None if self.site.board.is_shut() => {
                missing.push("what partitions share has not been read to its end yet".to_owned());
            }
            None => {
                missing.push("the control topic has not been read to its end lately".to_owned());
            }
            Some(standing) => {
                let is = self.site.packs.current();
                let ordered = standing.orders.pack().filter(|hash| *hash != is.step.pack);
                missing.extend(
                    ordered
                        .map(|hash| format!("an order names pack {hash}, which is not in force")),
                );
            }
        }
        Health { missing }
    }
}

impl Observed {
    /// Gauges: how things are at this moment.
    fn describe(&self, scrape: &mut Scrape) {
        let site = &self.site;
        let now = (site.now)();
        scrape.labelled(&names::BUILD, env!("CARGO_PKG_VERSION"), 1.0);
        let pack = site.packs.current();
        scrape.set(&names::PACK, pack.rules.set.rules.len() as f64);
        scrape.set(&names::CONTROL_FRESH, f64::from(u8::from(site.board.pin(now).is_some())));
        let (records, unreadable) = site.known.counts();
        scrape.set(&names::SHARED_RECORDS, records as f64);
        scrape.set(&names::SHARED_UNREADABLE, unreadable as f64);
        scrape.set(&names::SHARED_ENTRIES, site.known.pin().len() as f64);
        let lanes = site.metrics.lanes();
        for state in LaneState::ALL {
            let there = lanes.values().filter(|lane| lane.state == state).count();
            scrape.labelled(&names::LANES, state.name(), there as f64);
        }
        let (mut partitions, mut streams) = (0, 0);
        let (mut age, mut behind) = (0, 0);
        for lane in lanes.values().filter(|lane| lane.state != LaneState::Stopped) {
            age = age.max(now.0.saturating_sub(lane.ticked.0));
            behind = behind.max(lane.behind_ms);
            partitions += lane.partitions;
            streams += lane.streams;
            for (partition, lag) in &lane.lag {
                scrape.partition(&names::LAG, *partition, *lag as f64);
            }
        }
        scrape.set(&names::PARTITIONS, partitions as f64);
        scrape.set(&names::STREAMS, streams as f64);
        scrape.set(&names::BEHIND, behind.max(0) as f64 / 1e3);
        scrape.set(&names::TICK_AGE, age.max(0) as f64 / 1e3);
    }
}

/// What the classifier did; zeros where there is none, so that an alarm on them has something to read.
fn classifier(asking: Option<&Asking>, scrape: &mut Scrape) {
    let counters = asking.map(|asking| asking.classifier().counters());
    let state = counters.map_or("off", |is| if is.suspended { "suspended" } else { "on" });
    for name in ["off", "on", "suspended"] {
        scrape.labelled(&names::CLASSIFIER, name, f64::from(u8::from(name == state)));
    }
    for &state in Scoring::ALL.iter().filter(|&&state| state != Scoring::Off) {
        let seen = asking.map_or(0, |asking| asking.seen(state));
        scrape.labelled(&names::CLASSIFIED, state.name(), seen as f64);
    }
    let counters = counters.unwrap_or_default();
    for (name, count) in [
        (&names::CLASSIFIER_WINDOWS, counters.windows),
        (&names::CLASSIFIER_CACHED, counters.cached),
        (&names::CLASSIFIER_FAILED, counters.failed_runs),
        (&names::CLASSIFIER_HUNG, counters.hung_runs),
        (&names::CLASSIFIER_QUEUE, counters.queued_bytes),
    ] {
        scrape.set(name, count as f64);
    }
    let looks = asking.map(Asking::looks).unwrap_or_default();
    for (name, count) in
        [("raised", looks.raised), ("quiet", looks.quiet), ("given_up", looks.given_up)]
    {
        scrape.labelled(&names::SECOND_LOOKS, name, count as f64);
    }
}

/// What was re-keyed; zeros where nothing is.
fn rekeyed(rekeying: Option<&Rekeying>, scrape: &mut Scrape) {
    let metrics = rekeying.map(|rekeying| &rekeying.metrics);
    let get = |of: fn(&Metrics) -> u64| metrics.map_or(0, |metrics| of(metrics)) as f64;
    scrape.set(&names::REKEYED, get(|metrics| metrics.events.get()));
    scrape.set(&names::REKEYED_MOVED, get(|metrics| metrics.misrouted.get()));
    scrape.set(
        &names::REKEY_LAG,
        get(|metrics| {
            metrics.lanes().values().flat_map(|lane| lane.lag.values()).sum::<i64>().unsigned_abs()
        }),
    );
    scrape.set(&names::REKEY_ABORTS, get(|metrics| metrics.aborts.get()));
}

/// Counters and timings: what was committed so far.
fn count(metrics: &Metrics, scrape: &mut Scrape) {
    for (name, counter) in [
        (&names::EVENTS, &metrics.events),
        (&names::EVENT_BYTES, &metrics.event_bytes),
        (&names::OUTPUTS, &metrics.outputs),
        (&names::OUTPUT_BYTES, &metrics.output_bytes),
        (&names::STATE_RECORDS, &metrics.state_records),
        (&names::STATE_BYTES, &metrics.state_bytes),
        (&names::SCANNED_AHEAD, &metrics.scanned_ahead),
        (&names::REBUILDS, &metrics.rebuilds),
        (&names::WAITS, &metrics.waits),
        (&names::PANICS, &metrics.panics),
        (&names::POISONED, &metrics.poisoned),
        (&names::ASSIGNED, &metrics.assigned),
        (&names::REVOKED, &metrics.revoked),
        (&names::CHAIN_BREAKS, &metrics.chain_breaks),
        (&names::MISROUTED, &metrics.misrouted),
        (&names::BACKDATED, &metrics.backdated),
        (&names::AHEAD, &metrics.ahead),
        (&names::REUSED_IDS, &metrics.reused_ids),
        (&names::KILLED, &metrics.killed),
        (&names::KEPT_BACK, &metrics.kept_back),
        (&names::PROFILES_EVICTED, &metrics.profiles_evicted),
        (&names::TYPES_REFUSED, &metrics.types_refused),
        (&names::NAMES_CROWDED, &metrics.names_crowded),
        (&names::LATE_CHUNKS, &metrics.late_chunks),
        (&names::RELOADS, &metrics.reloads),
        (&names::RELOAD_FAILURES, &metrics.reload_failures),
    ] {
        scrape.set(name, counter.get() as f64);
    }
    scrape.labelled(&names::TRANSACTIONS, "committed", metrics.batches.get() as f64);
    scrape.labelled(&names::TRANSACTIONS, "aborted", metrics.aborts.get() as f64);
    for &action in Action::ALL {
        scrape.labelled(&names::VERDICTS, action.name(), metrics.verdicts(action).get() as f64);
    }
    for end in End::ALL {
        let ended = metrics.streams_ended(end).get();
        scrape.labelled(&names::STREAMS_ENDED, end.name(), ended as f64);
    }
    for (reason, dead) in metrics.dead() {
        scrape.labelled(&names::UNREADABLE, reason, dead as f64);
    }
    let timings = metrics.timings();
    scrape.timing(&names::COMMIT_LATENCY, timings.commit_ms, Unit::Milliseconds);
    scrape.timing(&names::INSPECT_LATENCY, timings.inspect_ns, Unit::Nanoseconds);
    scrape.timing(&names::BATCH_LATENCY, timings.batch_us, Unit::Microseconds);
    scrape.timing(&names::TRANSACTION_LATENCY, timings.transaction_us, Unit::Microseconds);
    scrape.timing(&names::RESTORE_LATENCY, timings.restore_ms, Unit::Milliseconds);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::detect::{EngineKind, Rules, ScanLimits};
    use crate::event::Millis;
    use crate::patterns::RuleSet;
    use crate::pipeline::run::Pack;
    use crate::pipeline::step::Step;
    use crate::telemetry::metrics::DECLARED;

    fn observed() -> Observed {
        let rules = Rules::compile(RuleSet::default(), ScanLimits::default(), EngineKind::Rust)
            .expect("an empty pack compiles");
        let pack = Pack { rules, step: Step::new("events", 1, "pack") };
        Observed::new(Arc::new(Site::new(pack, Arc::new(clock::now))))
    }

    #[test]
    fn every_declared_metric_is_exported_once_it_has_a_value() {
        let observed = observed();
        let metrics = &observed.site.metrics;
        let mut outcome = crate::pipeline::step::Outcome::from(Action::Block);
        outcome.dead = Some("not_json");
        metrics.count(&outcome);
        metrics.lane(0, |lane| {
            lane.ticked = clock::now();
            lane.lag.insert(3, 7);
        });
        let text = observed.metrics();
        for metric in DECLARED {
            assert!(text.contains(metric.name), "{} is declared and never exported", metric.name);
        }
        assert!(text.contains("weir_unreadable_total{reason=\"not_json\"} 1"), "{text}");
        assert!(text.contains("weir_lag_records{partition=\"3\"} 7"), "{text}");
    }

    #[test]
    fn health_says_what_is_missing() {
        let observed = observed();
        let missing = observed.ready().missing.join("; ");
        assert!(missing.contains("lane 0 has not started"), "{missing}");
        assert!(missing.contains("what partitions share"), "{missing}");
        observed.site.board.open();
        let missing = observed.ready().missing.join("; ");
        assert!(missing.contains("the control topic"), "{missing}");
        assert_eq!(observed.live(), Health::default());
        observed.site.metrics.lane(0, |lane| lane.ticked = Millis(0));
        assert!(observed.live().missing[0].contains("lane 0 has not finished"));
        observed.site.metrics.lane(0, |lane| lane.state = LaneState::Running);
        observed.site.board.refreshed(clock::now());
        assert_eq!(observed.ready(), Health::default());
    }
}
