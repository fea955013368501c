//! Every metric, declared once: name, type, help and labels.
//!
//! Who counts hands values over at each scrape through [`Scrape`], which takes nothing but
//! declared metrics with the labels that they declare. So documentation, dashboard and
//! tests can read [`DECLARED`] and be sure that there is nothing else.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::telemetry::latency::Recent;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket, in seconds, and beside it gauges by quantile over the last minute.
    Timing,
}

/// A declared metric.
#[derive(Debug)]
pub struct Metric {
    /// Its full name; a counter's as it is exported, with `_total`.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// One sentence.
    pub help: &'static str,
    /// Names of its labels, in order.
    pub labels: &'static [&'static str],
}

macro_rules! declare {
    ($($ident:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(#[doc = $help] pub static $ident: Metric = Metric {
            name: $name, kind: Type::$kind, help: $help, labels: &[$($label),*],
        };)+
        /// Every metric that Weir exports, in the order in which it exports them.
        pub static DECLARED: &[&Metric] = &[$(&$ident),+];
    };
}

declare! {
    BUILD Gauge "weir_build_info" ["version"] "Always 1; says which version runs";
    PACK Gauge "weir_pack_rules" [] "Rules of the pack in force";
    LANES Gauge "weir_lanes" ["state"] "Lanes by what they are doing";
    PARTITIONS Gauge "weir_partitions" [] "Partitions that this process owns";
    EVENTS Counter "weir_events_total" [] "Events whose outputs are committed";
    EVENT_BYTES Counter "weir_event_bytes_total" [] "Bytes of their values";
    VERDICTS Counter "weir_verdicts_total" ["action"] "Committed verdicts by action";
    UNREADABLE Counter "weir_unreadable_total" ["reason"] "Events that could not be read, by reason; each got a block verdict and a dead letter";
    MISROUTED Counter "weir_misrouted_total" [] "Events that are not on the partition that their agent's id leads to; the producer uses another partitioner";
    REKEYED Counter "weir_rekeyed_total" [] "Events put on the partitions of their agents, where `repartition` is on";
    REKEYED_MOVED Counter "weir_rekeyed_moved_total" [] "Events among these that did not stay on the partition's number where they were";
    REKEY_LAG Gauge "weir_rekey_lag_records" [] "Records that were not re-keyed yet, of all partitions that this process reads";
    REKEY_ABORTS Counter "weir_rekey_aborts_total" [] "Aborted transactions of the lane that re-keys";
    BACKDATED Counter "weir_backdated_total" [] "Events whose `ts` lies before the late limit";
    AHEAD Counter "weir_ahead_total" [] "Events whose `ts` lies further ahead of the log than clocks differ";
    REUSED_IDS Counter "weir_reused_ids_total" [] "Events whose id came lately with other content";
    KILLED Counter "weir_killed_total" [] "Events blocked by an order";
    KEPT_BACK Counter "weir_alerts_kept_back_total" [] "Signs that a silence or a maintenance window kept from the SOC; each stands in the audit";
    PROFILES_EVICTED Counter "weir_profiles_evicted_total" [] "Behaviour profiles forgotten to make room: more agents than `limits.profiles` on a partition";
    TYPES_REFUSED Counter "weir_types_refused_total" [] "Events of agents whose type is one too many on their partition; they are judged as agents without a type";
    NAMES_CROWDED Counter "weir_names_crowded_total" [] "Tools, destinations and classes of data that a behaviour profile forgot within thirty days to make room for others";
    STREAMS Gauge "weir_streams" [] "Streamed answers that go on in the partitions that this process owns";
    STREAMS_ENDED Counter "weir_streams_ended_total" ["how"] "Streamed answers that ended: with their last chunk, cut by a finding or a chunk that did not follow, idle, or evicted";
    LATE_CHUNKS Counter "weir_late_chunks_total" [] "Chunks that came after their stream had ended";
    CLASSIFIER Gauge "weir_classifier" ["state"] "1 for what the classifier is: off, on, or suspended after failures in a row";
    CLASSIFIED Counter "weir_classifier_events_total" ["state"] "Events by what the classifier saw of them, as in their coverage";
    CLASSIFIER_WINDOWS Counter "weir_classifier_windows_total" [] "Windows of text that the model scored";
    CLASSIFIER_CACHED Counter "weir_classifier_cached_total" [] "Texts of which the score was known";
    CLASSIFIER_FAILED Counter "weir_classifier_failed_runs_total" [] "Runs of the model that failed or gave scores that are no numbers";
    CLASSIFIER_HUNG Counter "weir_classifier_hung_runs_total" [] "Runs of the model that took too long and were ended";
    CLASSIFIER_QUEUE Gauge "weir_classifier_queue_bytes" [] "Texts that wait for the model";
    SECOND_LOOKS Counter "weir_classifier_second_looks_total" ["outcome"] "Late scores: raised as an alert, quiet, or given up because nobody could tell them any more";
    RELOADS Counter "weir_reloads_total" [] "Changed rules or policies that were put in force while running";
    RELOAD_FAILURES Counter "weir_reload_failures_total" [] "Changed rules or policies that could not be put in force; what was in force stays";
    OUTPUTS Counter "weir_output_records_total" [] "Records written and committed, state included";
    OUTPUT_BYTES Counter "weir_output_bytes_total" [] "Bytes of their keys and values";
    STATE_RECORDS Counter "weir_state_records_total" [] "State records among the outputs";
    STATE_BYTES Counter "weir_state_bytes_total" [] "Bytes of their keys and values";
    SCANNED_AHEAD Counter "weir_scanned_ahead_total" [] "Records scanned while the batch before theirs was decided and committed";
    TRANSACTIONS Counter "weir_transactions_total" ["outcome"] "Transactions by outcome: committed or aborted";
    REBUILDS Counter "weir_producer_rebuilds_total" [] "Producers rebuilt after an unknown outcome or a fence";
    WAITS Counter "weir_backoffs_total" [] "Attempts after which a lane waited";
    PANICS Counter "weir_panics_total" [] "Panics caught while inspecting; each event went to the dead letter queue";
    POISONED Counter "weir_poisoned_total" [] "Records turned away because no transaction that held their outputs could be committed";
    ASSIGNED Counter "weir_partitions_assigned_total" [] "Partitions taken over";
    REVOKED Counter "weir_partitions_revoked_total" [] "Partitions given up or lost";
    CHAIN_BREAKS Counter "weir_audit_chain_breaks_total" [] "Partitions whose audit chain did not fit the restored state; somebody must look";
    LAG Gauge "weir_lag_records" ["partition"] "Committed records that wait in an owned partition";
    BEHIND Gauge "weir_lag_seconds" [] "Age of the oldest record of the last batch at its commit; the largest of all lanes";
    CONTROL_FRESH Gauge "weir_control_fresh" [] "1 while the control topic was read to its end lately, else 0";
    SHARED_RECORDS Counter "weir_shared_records_total" [] "Records read of what partitions tell each other";
    SHARED_UNREADABLE Counter "weir_shared_unreadable_total" [] "Records among them that this version did not write; they are passed over";
    SHARED_ENTRIES Gauge "weir_shared_entries" [] "Values, rows of words and signs of several agents that any partition tells of";
    TICK_AGE Gauge "weir_lane_tick_age_seconds" [] "Time since the slowest lane's last turn";
    COMMIT_LATENCY Timing "weir_record_to_commit_seconds" [] "From a record's timestamp to the commit of what it caused";
    INSPECT_LATENCY Timing "weir_inspect_seconds" [] "Scan and decision of one event";
    BATCH_LATENCY Timing "weir_batch_seconds" [] "From the first record of a batch to its commit";
    TRANSACTION_LATENCY Timing "weir_transaction_seconds" [] "The commit call alone";
    RESTORE_LATENCY Timing "weir_restore_seconds" [] "Reading the state of one partition after it was assigned";
}

/// Upper bounds of the exported buckets, in seconds.
const BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];
/// Quantiles that are exported.
const QUANTILES: &[(&str, f64)] =
    &[("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("0.999", 0.999), ("1", 1.0)];

/// How many of the histogram's units make a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1,000.
    Milliseconds,
    /// 1,000,000.
    Microseconds,
    /// 1,000,000,000.
    Nanoseconds,
}

impl Unit {
    fn per_second(self) -> f64 {
        match self {
            Self::Milliseconds => 1e3,
            Self::Microseconds => 1e6,
            Self::Nanoseconds => 1e9,
        }
    }
}

#[derive(Debug)]
enum Value {
    Number(f64),
    Timing(Box<Histogram<u64>>, Unit),
}

/// Takes the values of one scrape.
#[derive(Debug, Default)]
pub struct Scrape(Vec<(&'static Metric, Vec<String>, Value)>);

impl Scrape {
    /// The value of a counter or gauge without labels.
    pub fn set(&mut self, metric: &'static Metric, value: f64) {
        self.push(metric, Vec::new(), Value::Number(value));
    }

    /// The value of a counter or gauge with one label.
    pub fn labelled(&mut self, metric: &'static Metric, label: &'static str, value: f64) {
        self.push(metric, vec![label.to_owned()], Value::Number(value));
    }

    /// The value of a gauge by partition.
    pub fn partition(&mut self, metric: &'static Metric, partition: i32, value: f64) {
        self.push(metric, vec![partition.to_string()], Value::Number(value));
    }

    /// All that was ever measured of a latency.
    pub fn timing(&mut self, metric: &'static Metric, all: Histogram<u64>, unit: Unit) {
        self.push(metric, Vec::new(), Value::Timing(Box::new(all), unit));
    }

    fn push(&mut self, metric: &'static Metric, labels: Vec<String>, value: Value) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "labels of {}", metric.name);
        debug_assert_eq!(
            matches!(value, Value::Timing(..)),
            metric.kind == Type::Timing,
            "type of {}",
            metric.name
        );
        self.0.push((metric, labels, value));
    }
}

/// Turns scrapes into the text that Prometheus reads.
#[derive(Debug, Default)]
pub struct Exposition {
    recent: Mutex<Vec<(&'static str, Recent)>>,
}

/// Content type of [`Exposition::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Exposition {
    /// One scrape as `OpenMetrics` text.
    #[must_use]
    pub fn render(&self, scrape: Scrape, uptime: Duration) -> String {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut registry = Registry::default();
        let mut scrape = scrape.0;
        for &metric in DECLARED {
            let values: Vec<_> = scrape.extract_if(.., |(of, ..)| of.name == metric.name).collect();
            if values.is_empty() {
                continue;
            }
            // The encoder puts the suffix back.
            let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            let mut numbers = Vec::new();
            for (_, labels, value) in values {
                match value {
                    Value::Number(value) => numbers.push((labels, value)),
                    Value::Timing(all, unit) => {
                        if !recent.iter().any(|(of, _)| *of == metric.name) {
                            recent.push((metric.name, Recent::default()));
                        }
                        let window = recent.iter_mut().find(|(of, _)| *of == metric.name);
                        let latest = window.map(|(_, window)| window.of(&all, uptime));
                        registry.register(name, metric.help, Buckets(*all, unit));
                        if let Some(latest) = latest {
                            let help = format!("{}; over the last minute", metric.help);
                            registry.register(quantile_name(metric), help, Quantiles(latest, unit));
                        }
                    }
                }
            }
            if !numbers.is_empty() {
                registry.register(name, metric.help, Numbers(metric, numbers));
            }
        }
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("writing into a string does not fail");
        out
    }
}

/// The gauge that stands beside a timing.
#[must_use]
pub fn quantile_name(metric: &Metric) -> String {
    format!("{}_quantile_seconds", metric.name.strip_suffix("_seconds").unwrap_or(metric.name))
}

#[derive(Debug)]
struct Numbers(&'static Metric, Vec<(Vec<String>, f64)>);

impl EncodeMetric for Numbers {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.1 {
            let labels: Vec<_> =
                self.0.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
            if labels.is_empty() {
                encode_number(&mut encoder, self.0.kind, *value)?;
            } else {
                encode_number(&mut encoder.encode_family(&labels)?, self.0.kind, *value)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        if self.0.kind == Type::Counter { MetricType::Counter } else { MetricType::Gauge }
    }
}

fn encode_number(encoder: &mut MetricEncoder<'_>, kind: Type, value: f64) -> fmt::Result {
    if kind == Type::Counter {
        encoder.encode_counter::<NoLabelSet, f64, f64>(&value, None)
    } else {
        encoder.encode_gauge(&value)
    }
}

#[derive(Debug)]
struct Buckets(Histogram<u64>, Unit);

impl EncodeMetric for Buckets {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Self(all, unit) = self;
        let mut buckets = Vec::with_capacity(BUCKETS.len() + 1);
        let mut counted = 0;
        for &bound in BUCKETS {
            let upto = all.count_between(0, (bound * unit.per_second()) as u64);
            buckets.push((bound, upto - counted));
            counted = upto;
        }
        buckets.push((f64::INFINITY, all.len() - counted));
        // The histogram keeps three digits of each value; so does the sum.
        let sum = all
            .iter_recorded()
            .map(|step| step.value_iterated_to() as f64 * step.count_at_value() as f64)
            .fold(0.0, |sum, step| sum + step);
        encoder.encode_histogram::<NoLabelSet>(sum / unit.per_second(), all.len(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[derive(Debug)]
struct Quantiles(Histogram<u64>, Unit);

impl EncodeMetric for Quantiles {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        for (name, quantile) in QUANTILES {
            let value = self.0.value_at_quantile(*quantile) as f64 / self.1.per_second();
            encoder.encode_family(&[("quantile", *name)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_and_are_declared_once() {
        let mut names: Vec<_> = DECLARED.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DECLARED.len());
        for metric in DECLARED {
            let name = metric.name;
            assert!(name.starts_with("weir_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Type::Counter, "{name}");
            assert!(metric.kind != Type::Timing || name.ends_with("_seconds"), "{name}");
            assert!(!metric.help.ends_with('.'), "the encoder puts the full stop: {name}");
        }
    }

    #[test]
    fn a_scrape_reads_as_openmetrics() {
        let exposition = Exposition::default();
        let mut latency = Histogram::new(3).unwrap();
        latency.record_n(2_000, 3).unwrap();
        let mut scrape = Scrape::default();
        scrape.set(&EVENTS, 7.0);
        scrape.labelled(&VERDICTS, "allow", 5.0);
        scrape.labelled(&VERDICTS, "block", 2.0);
        scrape.partition(&LAG, 11, 3.0);
        scrape.timing(&COMMIT_LATENCY, latency, Unit::Microseconds);
        let text = exposition.render(scrape, Duration::from_secs(1));
        for line in [
            "# TYPE weir_events counter",
            "weir_events_total 7.0",
            "weir_verdicts_total{action=\"block\"} 2.0",
            "weir_lag_records{partition=\"11\"} 3.0",
            "weir_record_to_commit_seconds_bucket{le=\"0.001\"} 0",
            "weir_record_to_commit_seconds_bucket{le=\"0.0025\"} 3",
            "weir_record_to_commit_seconds_bucket{le=\"+Inf\"} 3",
            "weir_record_to_commit_seconds_count 3",
            "weir_record_to_commit_quantile_seconds{quantile=\"0.99\"} 0.002",
            "# EOF",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_exported() {
        let text = Exposition::default().render(Scrape::default(), Duration::ZERO);
        assert_eq!(text, "# EOF\n");
    }
}
