//! What the demo came to: counted from the topics, as a reader of them would.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::audit::verify;
use crate::finding::Action;
use crate::pipeline::log::Topic;
use crate::pipeline::memory::Cluster;
use crate::pipeline::run::Site;

use super::super::failure::Failure;
use super::screen::Screen;
use super::traffic::Moment;
use super::{PARTITIONS, Seen};

pub(super) struct Summary {
    events: usize,
    by_action: BTreeMap<Action, usize>,
    /// Story, action, rules: in the order in which they happened.
    caught: Vec<(&'static str, Action, Vec<String>)>,
    /// Events whose action is another than the script says.
    surprises: usize,
    alerts: usize,
    audit_records: u64,
    audit_chains: usize,
    audit_intact: bool,
    /// Microseconds from the write of an event to its verdict at a reader.
    latency: Histogram<u64>,
    /// Nanoseconds.
    inspect: Histogram<u64>,
    took: Duration,
}

impl Summary {
    pub(super) fn new(
        moments: &[Moment],
        seen: &HashMap<String, Seen>,
        produced: &HashMap<String, Instant>,
        cluster: &Arc<Cluster>,
        site: &Site,
        took: Duration,
    ) -> Self {
        let mut by_action = BTreeMap::new();
        let mut caught: Vec<(&'static str, Action, Vec<String>)> = Vec::new();
        let mut latency = Histogram::new_with_bounds(1, 3_600_000_000, 3)
            .expect("the bounds are constants that the crate accepts");
        let mut surprises = 0;
        for moment in moments {
            let id = moment.event["id"].as_str().unwrap_or_default();
            let Some(Seen { verdict, action, at }) = seen.get(id) else { continue };
            *by_action.entry(*action).or_default() += 1;
            surprises += usize::from(*action != moment.expected);
            if let Some(written) = produced.get(id) {
                let us = at.saturating_duration_since(*written).as_micros();
                latency.saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
            }
            if let Some(story) = moment.story {
                let rules = verdict
                    .reasons
                    .iter()
                    .filter(|reason| reason.confidence != "low")
                    .map(|reason| reason.rule.clone());
                caught.push((story, *action, rules.collect()));
            }
        }
        let mut summary = Self {
            events: moments.len(),
            by_action,
            caught,
            surprises,
            alerts: 0,
            audit_records: 0,
            audit_chains: 0,
            audit_intact: true,
            latency,
            inspect: site.metrics.timings().inspect_ns,
            took,
        };
        for partition in 0..PARTITIONS as i32 {
            summary.alerts += all(cluster, Topic::Alerts, partition).len();
            let report = verify(all(cluster, Topic::Audit, partition), &[], None);
            summary.audit_records += report.records;
            summary.audit_chains += usize::from(report.records > 0);
            summary.audit_intact &= report.is_intact();
        }
        summary
    }

    pub(super) fn print(&self, screen: &mut Screen<'_>, fast: bool) -> Result<(), Failure> {
        screen.line("\nwhat was caught, and why")?;
        for (story, action, rules) in &self.caught {
            let painted = screen.action(*action);
            screen.line(format_args!("  {painted}  {story}"))?;
            let mut unique: Vec<&str> = rules.iter().map(String::as_str).collect();
            unique.dedup();
            if !unique.is_empty() {
                screen.line(format_args!("           {}", unique.join(", ")))?;
            }
        }
        let actions: Vec<String> =
            self.by_action.iter().map(|(action, count)| format!("{count} {action}")).collect();
        screen.line(format_args!("\nevents     {}", self.events))?;
        screen.line(format_args!("verdicts   {}", actions.join(", ")))?;
        screen.line(format_args!("alerts     {}", self.alerts))?;
        let state = if self.audit_intact { "intact" } else { "NOT INTACT" };
        screen.line(format_args!(
            "audit      {} records in {} chains, {state}",
            self.audit_records, self.audit_chains
        ))?;
        let us = |quantile| self.inspect.value_at_quantile(quantile) as f64 / 1e3;
        screen.line(format_args!(
            "inspection p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs",
            us(0.5),
            us(0.99),
            us(1.0)
        ))?;
        let ms = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        if fast {
            // All events were there at once: the time from write to verdict is time in a queue.
            let rate = self.events as f64 / self.took.as_secs_f64();
            screen
                .line(format_args!("throughput {rate:.0} events/s, start of the lanes included"))?;
        } else {
            screen.line(format_args!(
                "verdict    p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms from the write of an event to its committed verdict at a reader",
                ms(0.5),
                ms(0.99),
                ms(1.0)
            ))?;
        }
        if self.surprises > 0 {
            screen.line(format_args!(
                "\n{} events ended otherwise than the script says",
                self.surprises
            ))?;
        }
        Ok(())
    }
}

/// All committed values of a partition.
fn all(cluster: &Arc<Cluster>, topic: Topic, partition: i32) -> Vec<Vec<u8>> {
    let (mut values, mut next) = (Vec::new(), 0);
    loop {
        let (records, to) = cluster.read(topic, partition, next, 1_000);
        if records.is_empty() && to == next {
            return values;
        }
        values.extend(records.iter().filter_map(|record| record.value.clone()));
        next = to;
    }
}
