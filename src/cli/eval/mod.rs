//! `weir eval`: how well the rules decide on labelled texts.
//!
//! Each row is judged as `weir scan --input jsonl` judges a line. A finding counts from
//! confidence medium up, here as in every policy. What a set does not state is not guessed:
//! a positive without positions is found when anything of its task is found, one with
//! positions when a finding covers the whole span.

mod compare;
mod render;
mod rows;
mod score;
mod transform;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;

use crate::classify::When;
use crate::event::{Carrier, Kind};
use crate::finding::{Action, Confidence, Finding, Score};
use crate::inspect::{Decision, INJECTION};

use super::Done;
use super::classifier::ClassifierArgs;
use super::failure::Failure;
use super::out::{Out, note};
use super::pack::{self, RuleArgs};
use super::scan::Judge;

use super::classifier::Scorer;
use compare::Seen;
use rows::{Row, SetAside, Task, Truth};
use score::{Outcome, Scores};
use transform::Transform;

#[derive(Args)]
pub(super) struct EvalArgs {
    /// Folder with *.jsonl or *.jsonl.gz files, or such files
    ///
    /// A line is {"id","text","label","source"?,"kind"?,"family"?,"carrier"?,"expect"?}; `label`
    /// is injection or positive, or else benign, negative, near-miss or identifier; `expect` is a
    /// list of {"kind","start","end"} in bytes. `family` (injection, secrets or pii) is taken from
    /// the label or the file's name where it is missing.
    #[arg(value_name = "DIR", required = true)]
    paths: Vec<PathBuf>,

    /// How the result is written
    #[arg(long, value_enum, default_value_t = OutputKind::Human)]
    output: OutputKind,

    /// Only rows of this source; a prefix; may be given more than once
    #[arg(long, value_name = "SOURCE")]
    only: Vec<String>,

    /// Sources that rules were made from: scored apart, never in a total; a prefix
    #[arg(long, value_name = "SOURCE")]
    open_book: Vec<String>,

    /// Who speaks in the rows of a source, such as `InjecAgent=tool_result` [default: user]
    #[arg(long, value_name = "SOURCE=CARRIER", value_parser = carrier_of)]
    carrier: Vec<(String, Carrier)>,

    /// Puts the injections that were found once more, changed: are they found in disguise, and where they are quoted
    #[arg(long, value_enum)]
    transform: Option<Transforms>,

    /// File of rows to count apart as well, such as placeholders: each line an id, a tab, the reason
    #[arg(long, value_name = "FILE")]
    set_aside: Option<PathBuf>,

    /// How many missed and falsely alarmed rows to name in each task
    #[arg(long, value_name = "N", default_value_t = 10)]
    worst: usize,

    #[command(flatten)]
    classifier: ClassifierArgs,

    #[command(flatten)]
    rules: RuleArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputKind {
    /// Tables for a terminal
    Human,
    /// One JSON object
    Json,
    /// Tables for a document
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transforms {
    /// Disguises: case, look-alikes, invisible characters, encodings
    Evasions,
    /// Wrappings in which the same words are only mentioned
    Mentions,
}

fn carrier_of(text: &str) -> Result<(String, Carrier), String> {
    let known = || Carrier::ALL.map(Carrier::name).join(", ");
    let (source, name) = text.split_once('=').ok_or("write SOURCE=CARRIER")?;
    let carrier =
        Carrier::from_name(name).ok_or_else(|| format!("the carriers are {}", known()))?;
    Ok((source.to_owned(), carrier))
}

/// What is judged: a row with all that the options say of it.
struct Case<'r> {
    row: &'r Row,
    carrier: Carrier,
    open_book: bool,
    /// Why the row is counted apart.
    set_aside: Option<&'r str>,
}

pub(super) fn run(args: &EvalArgs, out: &mut Out) -> Result<Done, Failure> {
    let config = args.rules.config()?;
    let read = rows::read(&args.paths)?;
    let set_aside =
        args.set_aside.as_deref().map_or_else(|| Ok(SetAside::new()), rows::set_aside)?;
    let pack = pack::build(&config, config.engine, 0)?;
    // Every row is scored, also where rules are enough: the two are compared.
    let asked = args.classifier.open(&config)?.map(|asked| Scorer { when: When::All, ..asked });
    let mut judge = Judge::new(&pack, asked.as_ref());
    let mut scores = Scores::new(args.worst, pack.rules.engine_name(), &pack.step.pack);
    scores.passed_over = read.passed_over;
    let is_of = |source: &str, prefixes: &[String]| {
        prefixes.iter().any(|prefix| source.starts_with(prefix.as_str()))
    };
    let cases: Vec<Case<'_>> = read
        .rows
        .iter()
        .filter(|row| args.only.is_empty() || is_of(&row.source, &args.only))
        .map(|row| Case {
            row,
            carrier: args
                .carrier
                .iter()
                .find(|(source, _)| row.source.starts_with(source.as_str()))
                .map(|(_, carrier)| *carrier)
                .or(row.carrier)
                .unwrap_or(Carrier::User),
            open_book: is_of(&row.source, &args.open_book),
            set_aside: set_aside.get(&row.id).map(String::as_str),
        })
        .collect();
    let mut found = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        if at % 2000 == 1999 {
            progress(at, cases.len());
        }
        let (outcome, seen) = judge_case(&mut judge, case, &case.row.text, &mut scores.latency);
        if asked.is_some() && !case.open_book && case.row.task == Task::Injection {
            scores.compared.add(seen);
        }
        if outcome.any && matches!(case.row.truth, Truth::Positive(_)) {
            found.push(at);
        }
        scores.add(case, &outcome);
    }
    if let Some(kind) = args.transform {
        let all = match kind {
            Transforms::Evasions => transform::EVASIONS,
            Transforms::Mentions => transform::MENTIONS,
        };
        let found = || found.iter().filter_map(|&at| cases.get(at));
        for transform in all {
            again(&mut judge, found(), transform, &mut scores);
        }
    }
    render::write(&scores, args.output, out)?;
    Ok(Done::Well)
}

/// Judges what was found in plain once more, changed.
fn again<'c>(
    judge: &mut Judge<'_>,
    found: impl Iterator<Item = &'c Case<'c>>,
    transform: &Transform,
    scores: &mut Scores,
) {
    let mut unused = Histogram::new(1).expect("one digit is allowed");
    for case in found {
        // A disguise changes a key or a number into another one.
        if case.row.task != Task::Injection || !transform::is_latin(&case.row.text) {
            continue;
        }
        let text = (transform.apply)(&case.row.text);
        let (outcome, _) = judge_case(judge, case, &text, &mut unused);
        scores.transformed(transform.name, case.row.task, &case.row.id, outcome.any);
    }
}

fn judge_case(
    judge: &mut Judge<'_>,
    case: &Case<'_>,
    text: &str,
    latency: &mut Histogram<u64>,
) -> (Outcome, Seen) {
    let began = Instant::now();
    judge.text(text, kind_of(case.carrier), case.carrier, |decision| {
        latency.record(began.elapsed().as_nanos() as u64).expect("a histogram that grows");
        (outcome(case.row, decision), seen(case.row, decision))
    })
}

/// What rules and the classifier each made of a row.
fn seen(row: &Row, decision: &Decision<'_>) -> Seen {
    let found = |by_model: bool| {
        decision.reasons.iter().map(|reason| &reason.finding).any(|finding| {
            finding.confidence > Confidence::Low
                && row.task.has(finding.source.family)
                && (finding.source.rule == INJECTION.rule) == by_model
        })
    };
    Seen {
        source: row.source.clone(),
        kind: row.kind.clone(),
        positive: matches!(row.truth, Truth::Positive(_)),
        rules: found(false),
        model: found(true),
        blocked: decision.action == Action::Block,
        score: decision.coverage.classifier.score.map(Score::probability),
    }
}

/// The kind of event in which such a carrier stands.
fn kind_of(carrier: Carrier) -> Kind {
    match carrier {
        Carrier::System | Carrier::User => Kind::Prompt,
        Carrier::Assistant => Kind::Output,
        Carrier::ToolCall => Kind::ToolCall,
        Carrier::ToolResult | Carrier::Retrieved => Kind::ToolResult,
    }
}

fn outcome(row: &Row, decision: &Decision<'_>) -> Outcome {
    let counted: Vec<&Finding> = decision
        .reasons
        .iter()
        .map(|reason| &reason.finding)
        .filter(|finding| finding.confidence > Confidence::Low)
        .filter(|finding| row.task.has(finding.source.family))
        .collect();
    let units = match &row.truth {
        Truth::Positive(spans) if spans.is_empty() => vec![!counted.is_empty()],
        Truth::Positive(spans) => spans
            .iter()
            .map(|span| {
                counted
                    .iter()
                    .any(|finding| finding.span.start <= span.start && finding.span.end >= span.end)
            })
            .collect(),
        Truth::Negative => Vec::new(),
    };
    let alarms = match &row.truth {
        Truth::Positive(_) => Vec::new(),
        Truth::Negative => counted
            .iter()
            .filter(|finding| row.denies(&finding.source.kind))
            .map(|finding| finding.source.rule.clone())
            .collect(),
    };
    Outcome {
        any: !counted.is_empty() && (units.is_empty() || units.contains(&true)),
        units,
        alarms,
        blocked: decision.action == Action::Block,
    }
}

fn progress(done: usize, all: usize) {
    use std::io::IsTerminal as _;
    if std::io::stderr().is_terminal() {
        note(format_args!("{done} of {all} rows"));
    }
}
