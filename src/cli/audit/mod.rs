//! `weir audit`: walks the chains of audit records, from Kafka or from files.
//!
//! Whatever is asked, the chains are checked on the way. With `keys.audit` only anchors that
//! carry its signature count; without it any anchor does, and whoever could change the audit
//! topic could have written that one too.

mod chains;
#[cfg(feature = "kafka")]
mod export;
mod query;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use crate::audit::Report;

use super::Done;
use super::config::ConfigArgs;
use super::failure::Failure;
use super::out::{Out, note};

#[derive(Subcommand)]
pub(in crate::cli) enum Command {
    /// Checks that no audit record was changed, removed, moved, doubled or cut off.
    ///
    /// Reads the audit and anchors topics, or files of records, one a line in topic order.
    /// What lies beyond the last anchor is reported as unanchored: chained, but nobody
    /// outside of the topic vouches for its end. Exit code 1 when anything is wrong.
    Verify(ChainArgs),
    /// Finds records: who did what, when, why, and what was decided.
    ///
    /// Reads the topics, or files of records, checks the chains on the way, and prints the
    /// records that meet every condition in the order of time. Exit code 1 when a chain is
    /// not what was written: what is missing there cannot be found.
    ///
    /// Examples:
    ///   weir audit query --agent payments-bot --since 2h
    ///   weir audit query --user ann --action block --output csv > ann.csv
    ///   weir audit query audit.jsonl --rule 'secrets.*' --near-misses
    ///   weir audit query --what control --by soc-lead
    #[command(verbatim_doc_comment)]
    Query(Box<query::QueryArgs>),
    /// Writes the audit topic to a file, byte by byte, one record a line.
    ///
    /// `verify` and `query` read such files. The chains are checked on the way; exit code 1
    /// when a chain is not what was written. Files that are there already are left alone.
    #[cfg(feature = "kafka")]
    Export(export::ExportArgs),
}

/// Where the records come from.
#[derive(Args)]
pub(in crate::cli) struct ChainArgs {
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
    match command {
        Command::Verify(args) => verify(args, out),
        Command::Query(args) => query::run(args, out),
        #[cfg(feature = "kafka")]
        Command::Export(args) => export::run(args, out),
    }
}

fn verify(args: &ChainArgs, out: &mut Out) -> Result<Done, Failure> {
    let reports = chains::walk(args, |_, _| Ok(()))?;
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

/// Tells on standard error of the chains that are not what was written.
fn complain(reports: &BTreeMap<i32, Report>) -> Done {
    let broken = reports.iter().filter(|(_, report)| !report.is_intact());
    let mut done = Done::Well;
    for (partition, report) in broken {
        done = Done::Found;
        let first = report.problems.first().map(ToString::to_string).unwrap_or_default();
        let more = match report.problems.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        note(format_args!("partition {partition} is NOT INTACT: {first}{more}"));
    }
    done
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
