//! `weir patterns bench`: what each rule costs, counted and timed.
//!
//! Counts (places looked at, bytes searched) are the same on every machine, and `lint`
//! warns by them. Times are those of this machine and this build: the least of several
//! rounds, for each rule the second pass alone, held against a whole scan of the same texts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::detect::{Cost, EngineKind, Rules, ScanLimits, costs};
use crate::engine::Candidate;
use crate::event::{Carrier, Event, Kind, Millis};
use crate::patterns::RuleSet;

use super::Done;
use super::failure::Failure;
use super::out::Out;

/// Plain chat, source code, and what tools give back; nothing in it is to be found.
pub(super) const SAMPLE: [(&str, &str); 3] = [
    ("chat", include_str!("chat.txt")),
    ("code", include_str!("code.txt")),
    ("tools", include_str!("tools.txt")),
];

/// A rule that takes more of a scan than this is worth a word.
const DEAR: f64 = 0.01;
/// Rounds, of which the fastest counts.
const ROUNDS: usize = 15;

#[derive(Args)]
pub(super) struct BenchArgs {
    /// Folders or files of rules [default: the packs compiled into the binary]
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<String>,

    /// Measures over this text instead of the built-in sample of chat, code and tool results
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    /// Shows so many rules, the dearest first; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,

    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// One rule's line.
struct Row<'r> {
    rule: &'r str,
    cost: Cost,
    confirm: Duration,
}

pub(super) fn bench(set: RuleSet, args: &BenchArgs, out: &mut Out) -> Result<Done, Failure> {
    let own = args
        .text
        .as_ref()
        .map(|path| {
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))
                .map_err(Failure::usage)
        })
        .transpose()?;
    let texts: Vec<&str> = match &own {
        Some(text) => vec![text],
        None => SAMPLE.iter().map(|(_, text)| *text).collect(),
    };
    if texts.iter().all(|text| text.is_empty()) {
        return Err(Failure::usage(anyhow!("there is no text to measure over")));
    }
    let rules = compile(set)?;
    let counted = counted(&rules, &texts)?;
    let whole = scan_time(&rules, &texts);
    let confirm = confirm_times(&rules, &texts)?;
    let mut rows: Vec<Row<'_>> = rules
        .set
        .rules
        .iter()
        .zip(counted)
        .zip(confirm)
        .map(|((rule, cost), confirm)| Row { rule: &rule.source.rule, cost, confirm })
        .collect();
    rows.sort_by(|a, b| {
        b.confirm
            .cmp(&a.confirm)
            .then(b.cost.share().total_cmp(&a.cost.share()))
            .then(a.rule.cmp(b.rule))
    });
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    match args.output {
        Format::Human => human(&rows, args.top, whole, bytes, rules.engine_name(), out)?,
        Format::Json => {
            let top = if args.top == 0 { rows.len() } else { args.top };
            let rules_json: Vec<_> = rows
                .iter()
                .take(top)
                .map(|row| {
                    json!({"rule": row.rule, "candidates": row.cost.candidates,
                        "searched_bytes": row.cost.searched,
                        "estimated_share": row.cost.share(),
                        "confirm_ns": row.confirm.as_nanos() as u64,
                        "share": share(row.confirm, whole)})
                })
                .collect();
            out.line(
                json!({"engine": rules.engine_name(), "bytes": bytes, "rules_total": rows.len(),
                "scan_ns": whole.as_nanos() as u64, "rules": rules_json}),
            )?;
        }
    }
    Ok(Done::Well)
}

/// A word about each rule that costs much, for `lint`.
pub(super) fn warnings(set: RuleSet) -> Result<Vec<String>, Failure> {
    let rules = compile(set)?;
    let texts: Vec<&str> = SAMPLE.iter().map(|(_, text)| *text).collect();
    let counted = counted(&rules, &texts)?;
    let mut dear: Vec<_> =
        rules.set.rules.iter().zip(counted).filter(|(_, cost)| cost.share() > DEAR).collect();
    dear.sort_by(|(_, a), (_, b)| b.share().total_cmp(&a.share()));
    Ok(dear
        .into_iter()
        .map(|(rule, cost)| {
            let per_kb = |count: u64| count as f64 * 1024.0 / cost.bytes.max(1) as f64;
            format!(
                "{}:{}: warning: rule `{}` takes about {:.1}% of a scan: in each KB of plain text {:.1} places are looked at and {:.0} bytes searched",
                rule.path,
                rule.line,
                rule.source.rule,
                cost.share() * 100.0,
                per_kb(cost.candidates),
                per_kb(cost.searched),
            )
        })
        .collect())
}

fn compile(set: RuleSet) -> Result<Rules, Failure> {
    Rules::compile(set, ScanLimits::default(), EngineKind::Auto)
        .context("cannot compile the rules")
        .map_err(Failure::usage)
}

fn counted(rules: &Rules, texts: &[&str]) -> Result<Vec<Cost>, Failure> {
    costs(rules, texts).context("cannot measure the rules").map_err(Failure::runtime)
}

fn human(
    rows: &[Row<'_>],
    top: usize,
    whole: Duration,
    bytes: usize,
    engine: &str,
    out: &mut Out,
) -> Result<(), Failure> {
    let per_kb = |count: f64| count * 1024.0 / bytes.max(1) as f64;
    let confirm: Duration = rows.iter().map(|row| row.confirm).sum();
    out.line(format_args!(
        "{} rules over {bytes} bytes ({engine}): {:.1} µs a KB, of which second pass {:.1} µs",
        rows.len(),
        per_kb(whole.as_secs_f64() * 1e6),
        per_kb(confirm.as_secs_f64() * 1e6),
    ))?;
    let shown = if top == 0 { rows.len() } else { top.min(rows.len()) };
    let rows_shown = rows.get(..shown).unwrap_or(rows);
    let width = rows_shown.iter().map(|row| row.rule.len()).max().unwrap_or(0).max(4);
    out.line(format_args!(
        "{:width$}  {:>9}  {:>9}  {:>9}  {:>7}",
        "rule", "places/KB", "bytes/KB", "ns/KB", "share"
    ))?;
    for row in rows_shown {
        out.line(format_args!(
            "{:width$}  {:>9.2}  {:>9.1}  {:>9.1}  {:>6.2}%",
            row.rule,
            per_kb(row.cost.candidates as f64),
            per_kb(row.cost.searched as f64),
            per_kb(row.confirm.as_nanos() as f64),
            share(row.confirm, whole) * 100.0
        ))?;
    }
    if shown < rows.len() {
        out.line(format_args!("and {} more (`--top 0` shows all)", rows.len() - shown))?;
    }
    Ok(())
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64().max(1e-12)
}

/// A scan of every text, views and all.
fn scan_time(rules: &Rules, texts: &[&str]) -> Duration {
    let mut scratch = rules.scratch();
    let events: Vec<Event<'_>> = texts.iter().map(|text| event(text)).collect();
    least(|| {
        for event in &events {
            std::hint::black_box(scratch.scan(event));
        }
    })
}

/// The second pass of each rule alone.
fn confirm_times(rules: &Rules, texts: &[&str]) -> Result<Vec<Duration>, Failure> {
    let mut scanner = rules.scanner();
    let mut times = vec![Duration::ZERO; rules.set.rules.len()];
    let mut found = Vec::new();
    for text in texts {
        let text = text.as_bytes();
        let all = scanner
            .candidates(text)
            .context("cannot measure the rules")
            .map_err(Failure::runtime)?
            .to_vec();
        let mut of_rule: Vec<Vec<Candidate>> = vec![Vec::new(); times.len()];
        for candidate in &all {
            if let Some(own) = rules.rule_of(candidate.spec).and_then(|rule| of_rule.get_mut(rule))
            {
                own.push(*candidate);
            }
        }
        // Calling it with nothing to do takes its time too.
        let nothing = least(|| scanner.confirm(text, &mut [], |_| false, &mut found));
        let worked: Vec<usize> = scanner
            .work(text, &mut all.clone())
            .iter()
            .filter_map(|work| rules.rule_of(work.spec))
            .collect();
        for (rule, (time, own)) in times.iter_mut().zip(&mut of_rule).enumerate() {
            if worked.contains(&rule) {
                let wanted = |spec| rules.rule_of(spec) == Some(rule);
                let took = least(|| scanner.confirm(text, own, wanted, &mut found));
                *time += took.saturating_sub(nothing);
            }
        }
    }
    Ok(times)
}

fn least<T>(mut work: impl FnMut() -> T) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(work());
            begun.elapsed()
        })
        .min()
        .unwrap_or_default()
}

/// A text as a user writes it.
fn event(text: &str) -> Event<'_> {
    let mut event = Event::new(Kind::Prompt, "sample".into(), "sample".into(), Millis(0));
    event.push_text("text".into(), text.into(), Carrier::User);
    event
}
