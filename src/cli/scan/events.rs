//! Events: through the pipeline's own step, one after the other, on the events' time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::detect::Scan;
use crate::event::{Event, Millis};
use crate::finding::{Action, Confidence, Severity};
use crate::inspect::partition_of;
use crate::pipeline::log::{InRecord, OutRecord, Topic};
use crate::pipeline::run::Pack;
use crate::pipeline::step::Sequential;
use crate::wire::event::read;

use super::super::classifier::Scorer;
use super::super::failure::Failure;
use super::super::out::{Out, note};
use super::super::statefile;
use super::input::Input;
use super::{OutputKind, ScanArgs, Tally};

/// What is read back from a verdict.
#[derive(Deserialize)]
struct Verdict {
    event_id: Option<String>,
    action: String,
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    rule: String,
    severity: String,
    confidence: String,
    message: String,
}

pub(super) fn scan(
    args: &ScanArgs,
    pack: &Pack,
    scorer: Option<&Scorer>,
    inputs: Vec<Input>,
    out: &mut Out,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut alerts = args.alerts.as_deref().map(Alerts::create).transpose()?;
    let mut run = Sequential::new(&pack.step, &pack.rules);
    let mut ends = vec![(0_i64, Millis(i64::MIN)); args.partitions as usize];
    let mut latest = Millis(0);
    let mut written = Vec::new();
    for mut input in inputs {
        let mut line = Vec::new();
        while let Some(number) = input.line(&mut line)? {
            tally.inputs += 1;
            let known = read(&line, &pack.step.map, &pack.step.read)
                .map(|event| (event.agent.into_owned(), event.ts));
            let (key, partition, ts) = match known {
                Ok((agent, ts)) => {
                    let partition = partition_of(&agent, args.partitions);
                    (Some(agent.into_bytes()), partition, ts)
                }
                Err(unreadable) => {
                    tally.unreadable += 1;
                    note(format_args!("{}:{number}: {}", input.name, unreadable.message));
                    (None, 0, Millis(i64::MIN))
                }
            };
            let Some((next, clock)) = ends.get_mut(partition.unsigned_abs() as usize) else {
                continue;
            };
            // The log would never stamp a record earlier than the one before it.
            *clock = (*clock).max(ts).max(Millis(0));
            latest = latest.max(*clock);
            let record = InRecord {
                partition,
                offset: *next,
                timestamp: *clock,
                key,
                value: Some(std::mem::take(&mut line)),
                headers: Vec::new(),
            };
            *next += 1;
            let score = |event: &Event<'_>, scan: &mut Scan| {
                if let Some(scorer) = scorer {
                    scorer.join(event, scan, &pack.step.setup.policy);
                }
            };
            run.record_with(&record, score, &mut written);
            line = record.value.unwrap_or_default();
            take(
                args,
                &format!("{}:{number}", input.name),
                &mut written,
                alerts.as_mut(),
                out,
                tally,
            )?;
        }
    }
    if let Some(path) = &args.state {
        statefile::write(path, run.states())?;
    }
    // The input is over: open episodes end with their totals, as they would in time.
    run.timers(Millis(i64::MAX), &mut written);
    take(args, "", &mut written, alerts.as_mut(), out, tally)?;
    alerts.map_or(Ok(()), Alerts::finish)
}

fn take(
    args: &ScanArgs,
    place: &str,
    written: &mut Vec<OutRecord>,
    mut alerts: Option<&mut Alerts>,
    out: &mut Out,
    tally: &mut Tally,
) -> Result<(), Failure> {
    for record in written.drain(..) {
        let Some(value) = record.value else { continue };
        match record.topic {
            Topic::Verdicts => verdict(args, place, &value, out, tally)?,
            Topic::Alerts => {
                if let Some(alerts) = alerts.as_deref_mut() {
                    alerts.write(&value)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn verdict(
    args: &ScanArgs,
    place: &str,
    value: &[u8],
    out: &mut Out,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let verdict: Verdict = serde_json::from_slice(value)
        .context("a verdict of our own cannot be read back")
        .map_err(Failure::runtime)?;
    let action = Action::from_name(&verdict.action).unwrap_or(Action::Block);
    tally.acted += u64::from(action > Action::Allow);
    for reason in &verdict.reasons {
        if let (Some(severity), Some(confidence)) =
            (Severity::from_name(&reason.severity), Confidence::from_name(&reason.confidence))
        {
            tally.finding(severity, confidence);
        }
    }
    if args.output == OutputKind::Jsonl {
        out.text(&String::from_utf8_lossy(value))?;
        return out.text("\n");
    }
    if action > Action::Allow {
        let id = verdict.event_id.as_deref().unwrap_or("unreadable");
        out.line(format_args!("{place} ({}): {action}", id.escape_debug()))?;
        for reason in &verdict.reasons {
            let Reason { rule, severity, confidence, message } = reason;
            out.line(format_args!("  {severity} {rule} ({confidence} confidence): {message}"))?;
        }
    }
    Ok(())
}

struct Alerts {
    to: BufWriter<File>,
    name: String,
}

impl Alerts {
    fn create(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = File::create(path)
            .with_context(|| format!("cannot write `{name}`"))
            .map_err(Failure::runtime)?;
        Ok(Self { to: BufWriter::new(file), name })
    }

    fn write(&mut self, alert: &[u8]) -> Result<(), Failure> {
        let done = self.to.write_all(alert).and_then(|()| self.to.write_all(b"\n"));
        done.map_err(|error| self.failed(error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot write `{}`", self.name)))
    }
}
