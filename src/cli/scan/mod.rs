//! `weir scan`: the same inspection without Kafka, over files or standard input.
//!
//! Text and JSONL are judged one by one, each on its own; events go through the same step
//! as in the pipeline, with sessions, repeats and alerts, on the events' own time. Lines are
//! read, judged and written one at a time, so an input may be larger than memory.

mod events;
mod input;
mod report;
mod texts;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::detect::EngineKind;
use crate::finding::{Confidence, Severity};

use super::Done;
use super::classifier::ClassifierArgs;
use super::failure::Failure;
use super::out::Out;
use super::pack::{self, RuleArgs};

use input::Input;
pub(super) use texts::Judge;

/// Up to this size the pure engine is ready before the other one has compiled.
const SMALL: u64 = 1 << 20;

#[derive(Args)]
pub(super) struct ScanArgs {
    /// Files to read; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<String>,

    /// What the input is
    #[arg(long, value_enum, default_value_t = InputKind::Text)]
    input: InputKind,

    /// How findings are written
    #[arg(long, value_enum, default_value_t = OutputKind::Human)]
    output: OutputKind,

    /// Writes the text with what policy redacts cut out
    ///
    /// With `--output jsonl` as a member `redacted`; with `--input text` and human output the
    /// text itself goes to standard output and the findings to standard error.
    #[arg(long)]
    redact: bool,

    /// Ends with exit code 1 when a finding is at or above this severity and not of low confidence
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,

    /// With `--input events`: partitions over which agents are spread, as in a topic
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: u32,

    /// With `--input events`: writes alerts to a file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,

    /// With `--input events`: writes what is remembered at the end, for `weir agent show --state`
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    #[command(flatten)]
    classifier: ClassifierArgs,

    #[command(flatten)]
    rules: RuleArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputKind {
    /// Each file is one text: a prompt
    Text,
    /// One object a line: {"id","text","kind"?,"source"?,"agent"?}
    Jsonl,
    /// One event v1 a line, as in the events topic
    Events,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputKind {
    /// For people
    Human,
    /// One object a line; for events: verdicts
    Jsonl,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Severity::ALL.iter().map(|severity| severity.name()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// What a scan came to.
#[derive(Debug, Default)]
struct Tally {
    /// Texts, lines or events.
    inputs: u64,
    /// Those with an action above allow.
    acted: u64,
    findings: u64,
    /// Inputs that could not be read.
    unreadable: u64,
    /// Gravest finding of confidence medium or high.
    gravest: Option<Severity>,
}

impl Tally {
    fn finding(&mut self, severity: Severity, confidence: Confidence) {
        self.findings += 1;
        // A low one is reported and left alone, here as everywhere.
        if confidence > Confidence::Low {
            self.gravest = self.gravest.max(Some(severity));
        }
    }
}

pub(super) fn run(args: &ScanArgs, out: &mut Out) -> Result<Done, Failure> {
    let config = args.rules.config()?;
    if args.input == InputKind::Events {
        if args.redact || args.output == OutputKind::Sarif {
            let what = if args.redact { "--redact" } else { "--output sarif" };
            return Err(Failure::usage(anyhow::anyhow!("{what} is for --input text and jsonl"))
                .hint("`weir run` writes redacted events to the clean topic"));
        }
    } else if args.alerts.is_some() || args.state.is_some() || args.partitions != 1 {
        return Err(Failure::usage(anyhow::anyhow!(
            "--alerts, --state and --partitions are for --input events"
        )));
    }
    let inputs = Input::open_all(&args.files)?;
    let engine = match config.engine {
        EngineKind::Auto if inputs.iter().all(|input| input.bytes.is_some_and(|n| n < SMALL)) => {
            EngineKind::Rust
        }
        engine => engine,
    };
    // Offline, agents are spread as the option says, and no producer can be at fault.
    let partitions = if args.input == InputKind::Events { args.partitions } else { 0 };
    let pack = pack::build(&config, engine, partitions)?;
    let scorer = args.classifier.open(&config)?;
    let scorer = scorer.as_ref();
    let mut tally = Tally::default();
    match args.input {
        InputKind::Text | InputKind::Jsonl => {
            texts::scan(args, Judge::new(&pack, scorer), inputs, out, &mut tally)?;
        }
        InputKind::Events => events::scan(args, &pack, scorer, inputs, out, &mut tally)?,
    }
    out.finish()?;
    if std::io::stderr().is_terminal() {
        let Tally { inputs, acted, findings, .. } = tally;
        super::out::note(format_args!("{inputs} scanned, {acted} acted on, {findings} findings"));
    }
    if tally.unreadable > 0 {
        return Err(Failure::runtime(anyhow::anyhow!(
            "{} of {} inputs could not be read",
            tally.unreadable,
            tally.inputs
        )));
    }
    let failed = args.fail_on.is_some_and(|limit| tally.gravest >= Some(limit));
    Ok(if failed { Done::Found } else { Done::Well })
}
