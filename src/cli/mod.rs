//! Commands: what they take, and how they end.
//!
//! Data goes to standard output and everything else to standard error, so that a command
//! can stand in a pipe. Exit codes: 0 done, 1 something at or above `--fail-on` (or a
//! check that found something), 2 usage or configuration, 3 input or runtime.

mod agent;
mod audit;
mod bench;
mod canary;
mod classifier;
mod config;
#[cfg(feature = "kafka")]
mod control;
pub mod demo;
mod eval;
mod failure;
mod import;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod observe;
mod out;
mod pack;
mod paint;
mod patterns;
mod policy;
#[cfg(feature = "kafka")]
mod reload;
#[cfg(feature = "kafka")]
mod run;
mod scan;
mod simulate;
mod statefile;
mod tail;
#[cfg(feature = "kafka")]
mod topics;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use out::Out;

/// What a command came to when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// Nothing to complain about.
    Well,
    /// It found what it was told to fail on.
    Found,
}

/// Streaming filter and anomaly detector for LLM applications and agents, on Kafka.
///
/// Weir reads prompts, model outputs and tool calls from a Kafka topic, decides each one by
/// rules, and writes back a verdict, the event as it may go on, alerts for the SOC and a
/// tamper-evident audit record, exactly once.
#[derive(Parser)]
#[command(name = "weir", version, max_term_width = 100, after_help = AFTER)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Start here:
  weir demo                          see it work, with no broker and no network
  echo 'ignore all previous instructions' | weir scan -
  weir topics create && weir run     on Kafka at 127.0.0.1:9092

Exit codes: 0 done, 1 found what it was told to fail on, 2 usage or configuration,
3 input or runtime error. Data goes to standard output, everything else to standard error.";

#[derive(Subcommand)]
enum Command {
    /// Runs the pipeline on Kafka until SIGTERM or SIGINT.
    ///
    /// Reads the events topic as a member of a consumer group; verdicts, clean events, alerts
    /// and audit records are written in one transaction with the offsets. Logs one line when
    /// it is ready. `weir topics create` makes the topics that it needs.
    #[cfg(feature = "kafka")]
    Run(run::RunArgs),
    /// A minute of agent traffic with attacks among it, live in the terminal.
    ///
    /// The same pipeline as `weir run` on a log in memory: no broker, no network, nothing is
    /// written. Ends with what was caught and why, and how long it took.
    Demo(demo::DemoArgs),
    /// Scans texts, JSONL or recorded events without Kafka.
    ///
    /// Examples:
    ///   echo 'ignore all previous instructions' | weir scan -
    ///   weir scan --redact < answer.txt > answer-redacted.txt
    ///   weir scan prompts.jsonl --input jsonl --output jsonl --fail-on high
    ///   weir scan events.jsonl --input events --output jsonl --alerts alerts.jsonl
    ///   weir scan mail.txt --classifier models/injection
    #[command(verbatim_doc_comment)]
    Scan(scan::ScanArgs),
    /// Lints, tests and lists rules, for those who write them.
    #[command(subcommand)]
    Patterns(patterns::Command),
    /// How well the rules decide on labelled texts: recall, false alarms, by source and kind.
    ///
    /// Examples:
    ///   weir eval labelled/ --carrier retrieved-pages=retrieved
    ///   weir eval injection.jsonl --transform evasions --output markdown
    ///   weir eval injection.jsonl --classifier models/injection
    #[command(verbatim_doc_comment)]
    Eval(eval::EvalArgs),
    /// Checks a policy file, runs its tests, and says which line decides.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Makes values to plant, and the rules that find them again.
    #[command(subcommand)]
    Canary(canary::Command),
    /// Labelled traffic of agents, as event v1, for tests and for judging detectors.
    ///
    /// Examples:
    ///   weir simulate --agents 20 --days 7 --incidents labels.jsonl > events.jsonl
    ///   weir simulate --agents 300 --days 42 --seed 9 --evaluate
    #[command(verbatim_doc_comment)]
    Simulate(simulate::SimulateArgs),
    /// Alerts as they come, for people.
    ///
    /// Follows the alerts topic, or the verdicts with `--verdicts`; with a FILE it shows what
    /// the file holds. Colours and columns are for a terminal; `--output jsonl` gives the
    /// records as they are.
    ///
    /// Examples:
    ///   weir tail --severity high
    ///   weir tail --since 1h --agent payments-bot --state open
    ///   weir tail --verdicts --action block --output jsonl
    ///   weir scan events.jsonl --input events --alerts a.jsonl; weir tail a.jsonl
    #[command(verbatim_doc_comment)]
    Tail(Box<tail::TailArgs>),
    /// Checks, searches and exports the tamper-evident audit.
    #[command(subcommand)]
    Audit(audit::Command),
    /// What is known of an agent's behaviour, and what an operator says about it.
    #[command(subcommand)]
    Agent(Box<agent::Command>),
    /// What is in force, and where each value came from.
    #[command(subcommand)]
    Config(config::Command),
    /// Makes the topics that Weir needs, or checks them.
    #[cfg(feature = "kafka")]
    #[command(subcommand)]
    Topics(topics::Command),
    /// The kill switch: blocks, resumes, sets modes, and says which orders stand.
    #[cfg(feature = "kafka")]
    #[command(subcommand)]
    Control(control::Command),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let code = execute(std::env::args_os());
    ExitCode::from(code)
}

/// Runs a command line and gives the exit code.
fn execute(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are data; clap knows which stream each belongs to. A stream
            // that is closed cannot be told about.
            drop(error.print());
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let mut out = Out::stdout();
    let done = match arguments.command {
        #[cfg(feature = "kafka")]
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args, &mut out),
        Command::Scan(args) => scan::run(&args, &mut out),
        Command::Eval(args) => eval::run(&args, &mut out),
        Command::Patterns(command) => patterns::run(&command, &mut out),
        Command::Policy(command) => policy::run(&command, &mut out),
        Command::Canary(command) => canary::run(&command, &mut out),
        Command::Simulate(args) => simulate::run(&args, &mut out),
        Command::Tail(args) => tail::run(&args, &mut out),
        Command::Audit(command) => audit::run(&command, &mut out),
        Command::Agent(command) => agent::run(&command, &mut out),
        Command::Config(command) => config::run(&command, &mut out),
        #[cfg(feature = "kafka")]
        Command::Topics(command) => topics::run(&command, &mut out),
        #[cfg(feature = "kafka")]
        Command::Control(command) => control::run(&command, &mut out),
    };
    match done.and_then(|done| out.finish().map(|()| done)) {
        Ok(Done::Well) => 0,
        Ok(Done::Found) => 1,
        Err(failure) => {
            failure.report();
            failure.code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
