//! `weir patterns`: for those who write rules.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use crate::detect::{EngineKind, Rules, ScanLimits, selftest};
use crate::engine::Plan;
use crate::patterns::{Rule, RuleSet};

use super::Done;
use super::bench::{self, BenchArgs};
use super::failure::Failure;
use super::import::{self, ImportArgs};
use super::out::{Out, note};
use super::pack;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Reads rule files and tells every mistake with file, line, rule and what to do.
    Lint(PatternArgs),
    /// Runs the examples and negative examples of every rule, in every engine of this build.
    Test(PatternArgs),
    /// Lists the rules: id, family, severity, confidence and the type that findings carry.
    List(PatternArgs),
    /// Shows how a rule is read: where it looks, how wide its matches are, what it is found by.
    Explain(ExplainArgs),
    /// What each rule costs: places looked at, bytes searched, time and its part of a whole scan.
    Bench(BenchArgs),
    /// Makes a pack of rule files of gitleaks or betterleaks, and tells what could not be carried over.
    ///
    /// Examples:
    ///   weir patterns import gitleaks.toml --out my-patterns
    ///   weir patterns import gitleaks.toml our-gitleaks.toml --name ours > ours.yml
    #[command(verbatim_doc_comment)]
    Import(ImportArgs),
}

#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The rule's id, or the beginning of several
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    patterns: PatternArgs,
}

#[derive(Args)]
pub(super) struct PatternArgs {
    /// Folders or files of rules [default: the packs compiled into the binary]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    match command {
        Command::Lint(args) => with_rules(&args.paths, out, lint),
        Command::Test(args) => with_rules(&args.paths, out, |set, out| test(&set, out)),
        Command::List(args) => with_rules(&args.paths, out, |set, out| list(&set, out)),
        Command::Explain(args) => {
            with_rules(&args.patterns.paths, out, |set, out| explain(set, &args.id, out))
        }
        Command::Bench(args) => {
            with_rules(&args.paths, out, |set, out| bench::bench(set, args, out))
        }
        Command::Import(args) => import::run(args, out),
    }
}

/// Reads the rules and goes on with them, or tells every mistake.
fn with_rules(
    paths: &[String],
    out: &mut Out,
    go_on: impl FnOnce(RuleSet, &mut Out) -> Result<Done, Failure>,
) -> Result<Done, Failure> {
    match pack::read(&pack::sources(paths)?) {
        Ok(set) => go_on(set, out),
        Err(errors) => {
            for error in errors {
                out.line(error)?;
            }
            Ok(Done::Found)
        }
    }
}

fn lint(set: RuleSet, out: &mut Out) -> Result<Done, Failure> {
    let files: BTreeSet<&str> = set.rules.iter().map(|rule| rule.path.as_str()).collect();
    let (rules, files) = (set.rules.len(), files.len());
    let hash = set.hash.clone();
    let warnings = bench::warnings(set)?;
    for warning in &warnings {
        out.line(warning)?;
    }
    if !warnings.is_empty() {
        note(
            "hint: a rule is cheap that holds a literal or a rare word; `weir patterns explain` shows what one is found by",
        );
    }
    out.line(format_args!("{rules} rules in {files} files: no mistakes"))?;
    out.line(format_args!("pack {hash}"))?;
    Ok(Done::Well)
}

fn test(set: &RuleSet, out: &mut Out) -> Result<Done, Failure> {
    let failures = selftest(set).context("cannot compile the rules").map_err(Failure::usage)?;
    for failure in &failures {
        out.line(failure)?;
    }
    if !failures.is_empty() {
        return Ok(Done::Found);
    }
    out.line(format_args!("{} rules: all examples hold", set.rules.len()))?;
    Ok(Done::Well)
}

fn list(set: &RuleSet, out: &mut Out) -> Result<Done, Failure> {
    let width = set.rules.iter().map(|rule| rule.source.rule.len()).max().unwrap_or(0);
    for rule in &set.rules {
        let source = &rule.source;
        out.line(format_args!(
            "{:width$}  {:12}  {:8}  {:6}  {}",
            source.rule,
            source.family.name(),
            source.severity.name(),
            rule.confidence.name(),
            source.kind
        ))?;
    }
    Ok(Done::Well)
}

/// Everything that is known of the rules whose ids begin so.
fn explain(set: RuleSet, id: &str, out: &mut Out) -> Result<Done, Failure> {
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Auto)
        .context("cannot compile the rules")
        .map_err(Failure::usage)?;
    let chosen = rules.set.rules.iter().enumerate().filter(|(_, rule)| {
        let rest = rule.source.rule.strip_prefix(id);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || id.ends_with('.'))
    });
    let mut found = false;
    for (at, rule) in chosen {
        found = true;
        explain_rule(&rules, at, rule, out)?;
    }
    if !found {
        return Err(Failure::usage(anyhow!("there is no rule `{id}`"))
            .hint("`weir patterns list` shows all of them"));
    }
    Ok(Done::Well)
}

fn explain_rule(rules: &Rules, at: usize, rule: &Rule, out: &mut Out) -> Result<(), Failure> {
    let source = &rule.source;
    out.line(format_args!("{}  {}", source.rule, rule.name))?;
    let mut line = |name: &str, value: String| {
        if value.is_empty() { Ok(()) } else { out.line(format_args!("  {name:<12} {value}")) }
    };
    line("file", format!("{}:{}", rule.path, rule.line))?;
    line(
        "finding",
        format!(
            "family {}, type {}, severity {}, confidence {}",
            source.family, source.kind, source.severity, rule.confidence
        ),
    )?;
    line(
        "action",
        source
            .action
            .map(|action| format!("{action}, where policy says nothing else"))
            .unwrap_or_default(),
    )?;
    line("on", joined(rule.carriers.iter().map(|carrier| carrier.name())))?;
    let views =
        [(rule.views.raw, "raw"), (rule.views.clean, "clean"), (rule.views.folded, "folded")];
    line("views", joined(views.into_iter().filter(|(is, _)| *is).map(|(_, name)| name)))?;
    for (expr, plan) in rule.exprs.iter().zip(rules.plans(at)) {
        line("expression", expr.regex.clone())?;
        line(
            "",
            format!(
                "at most {} bytes{}",
                expr.max_len,
                match expr.group {
                    0 => String::new(),
                    group => format!("; group {group} is what is found"),
                }
            ),
        )?;
        match plan {
            Plan::Everywhere => line(
                "found by",
                "itself, run over every text: no part of it is rare enough".to_owned(),
            )?,
            Plan::Gated(pieces) => {
                for piece in pieces {
                    line("found by", printable(piece))?;
                }
            }
        }
    }
    line("validator", rule.validator_name.clone().unwrap_or_default())?;
    line(
        "entropy",
        rule.entropy.map(|bits| format!("at least {bits} bits a byte")).unwrap_or_default(),
    )?;
    for (name, near, with, without) in [
        ("near", &rule.near, "lifts confidence one step", "drops the hit where it is missing"),
        ("not_near", &rule.not_near, "lowers confidence one step", "drops the hit"),
    ] {
        let Some(near) = near else { continue };
        let effect = if near.need { without } else { with };
        line(
            name,
            format!("within {} characters before and {} behind: {effect}", near.before, near.after),
        )?;
        line("", near.regex.clone())?;
    }
    for allow in &rule.allow {
        line("allow", format!("{} ({})", allow.regex, allow.reason))?;
    }
    line("tags", rule.tags.join(", "))?;
    line("references", rule.references.join(" "))?;
    out.line("")
}

fn joined<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// A piece as it is printed for the automata, with the bytes that can be read shown as they are.
fn printable(piece: &str) -> String {
    let mut out = String::with_capacity(piece.len());
    let mut rest = piece;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.map(char::from) {
            Some(c) if c.is_ascii_alphanumeric() || c == ' ' || c == '_' => out.push(c),
            _ => {
                out.push_str("\\x");
                out.push_str(after.get(..2).unwrap_or_default());
            }
        }
        rest = after.get(2..).unwrap_or_default();
    }
    out + rest
}
