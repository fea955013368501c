//! `weir patterns`: for those who write rules.

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::detect::selftest;

use super::Done;
use super::failure::Failure;
use super::out::Out;
use super::pack;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Reads rule files and tells every mistake with file, line, rule and what to do.
    Lint(PatternArgs),
    /// Runs the examples and negative examples of every rule, in every engine of this build.
    Test(PatternArgs),
    /// Lists the rules: id, family, severity, confidence and the type that findings carry.
    List(PatternArgs),
}

#[derive(Args)]
pub(super) struct PatternArgs {
    /// Folders or files of rules [default: the packs compiled into the binary]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    let (Command::Lint(args) | Command::Test(args) | Command::List(args)) = command;
    let files = pack::sources(&args.paths)?;
    let set = match pack::read(&files) {
        Ok(set) => set,
        Err(errors) => {
            for error in errors {
                out.line(error)?;
            }
            return Ok(Done::Found);
        }
    };
    match command {
        Command::Lint(_) => {
            out.line(format_args!(
                "{} rules in {} files: no mistakes",
                set.rules.len(),
                files.len()
            ))?;
        }
        Command::Test(_) => {
            let failures =
                selftest(&set).context("cannot compile the rules").map_err(Failure::usage)?;
            for failure in &failures {
                out.line(failure)?;
            }
            if !failures.is_empty() {
                return Ok(Done::Found);
            }
            out.line(format_args!("{} rules: all examples hold", set.rules.len()))?;
        }
        Command::List(_) => {
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
        }
    }
    Ok(Done::Well)
}
