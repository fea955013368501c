//! `weir patterns import`: rule files of gitleaks and betterleaks as a pack of ours.
//!
//! `source` reads the file, `go` and `shape` make an expression that Weir takes, `filter`
//! reads betterleaks' filters, `convert` says what each field becomes, `examples` proposes
//! texts, and here they are tried: a rule is written only with an example that it finds
//! and a near miss that it leaves, so what comes out passes `patterns lint` and `test`.
//! Whatever is not the same as it was is told, rule by rule.

mod convert;
mod examples;
mod filter;
mod go;
mod shape;
mod source;
mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::detect::{EngineKind, Rules, ScanLimits, Trial, selftest};
use crate::patterns::{RuleSet, SourceFile, load};

use super::Done;
use super::failure::Failure;
use super::out::{Out, note};
use convert::{Converted, convert, word};
use source::Foreign;

/// Files may extend each other so deep, as in gitleaks.
const EXTENDED_MAX: usize = 2;

#[derive(Args)]
pub(super) struct ImportArgs {
    /// Rule files of gitleaks or betterleaks (TOML); one that extends the scanner's default
    /// rules comes behind the file of these
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Writes `secrets/NAME.yml` below this folder [default: standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// What the ids of the rules begin with, behind `secrets.` [default: the first file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn run(args: &ImportArgs, out: &mut Out) -> Result<Done, Failure> {
    let first = args.files.first().and_then(|file| file.file_stem()).unwrap_or_default();
    let name = word(args.name.as_deref().unwrap_or(&first.to_string_lossy()));
    let mut converted = Converted::default();
    for foreign in read_all(&args.files, &mut converted.remarks)? {
        convert(&foreign, &format!("secrets.{name}"), &mut converted);
    }
    let files: Vec<String> = args
        .files
        .iter()
        .map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let path = format!("secrets/{name}.yml");
    settle(&mut converted, &files, &path)?;
    let text = write::pack(&converted, &files);
    for line in write::report(&converted) {
        note(line);
    }
    match &args.out {
        None => out.text(&text)?,
        Some(folder) => {
            let path = folder.join(&path);
            path.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&path, text))
                .with_context(|| format!("cannot write `{}`", path.display()))
                .map_err(Failure::runtime)?;
            note(format_args!("written to {}", path.display()));
        }
    }
    Ok(Done::Well)
}

/// Reads the files and joins those that extend one another.
fn read_all(files: &[PathBuf], remarks: &mut Vec<String>) -> Result<Vec<Foreign>, Failure> {
    let mut all: Vec<Foreign> = Vec::new();
    for file in files {
        let foreign = read(file, EXTENDED_MAX, remarks)?;
        match all.pop() {
            Some(base) if foreign.extend.use_default => all.push(foreign.over(base)),
            before => {
                if foreign.extend.use_default {
                    remarks.push(format!(
                        "`{}` extends the default rules of its scanner, which are not among the files: give that file first",
                        file.display()
                    ));
                }
                all.extend(before);
                all.push(foreign);
            }
        }
    }
    Ok(all)
}

fn read(file: &Path, depth: usize, remarks: &mut Vec<String>) -> Result<Foreign, Failure> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read `{}`", file.display()))
        .map_err(Failure::usage)?;
    let foreign = source::read(&text).map_err(|what| {
        Failure::usage(anyhow!("{}: {what}", file.display()))
            .hint("the file must be a rule file of gitleaks or betterleaks, in TOML")
    })?;
    if let Some(url) = &foreign.extend.url {
        remarks.push(format!(
            "`{}` extends {url}, which is not fetched: give it as a file",
            file.display()
        ));
    }
    let Some(path) = foreign.extend.path.clone() else { return Ok(foreign) };
    if depth == 0 {
        return Err(Failure::usage(anyhow!(
            "{}: files extend one another more than {EXTENDED_MAX} deep",
            file.display()
        )));
    }
    // The scanners look from where they were started; beside the file is where it mostly is.
    let beside = file.parent().unwrap_or(Path::new("")).join(&path);
    let base = if Path::new(&path).is_file() { PathBuf::from(path) } else { beside };
    let base = read(&base, depth - 1, remarks)?;
    Ok(foreign.over(base))
}

/// Finds examples, and leaves out rules that find none of theirs.
fn settle(converted: &mut Converted, files: &[String], path: &str) -> Result<(), Failure> {
    // Examples are no part of what is matched: the rules can be tried without them.
    for made in &mut converted.rules {
        "none".clone_into(&mut made.example);
        "none".clone_into(&mut made.near_miss);
    }
    let set = load_made(converted, files, path)?;
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Auto)
        .context("cannot compile the imported rules")
        .map_err(Failure::runtime)?;
    let mut trial = Trial::new(&rules);
    let mut without = Vec::new();
    for made in &mut converted.rules {
        let holds = |trial: &mut Trial<'_>, text: &str, positive| {
            trial.holds(&made.id, text, positive).unwrap_or_default()
        };
        let framed =
            |text: &String| [text.clone(), format!("{text} "), format!("key = \"{text}\"")];
        let found =
            made.proposals.iter().flat_map(framed).find(|text| holds(&mut trial, text, true));
        let Some(example) = found else {
            without.push(made.id.clone());
            continue;
        };
        let plain = format!("Nothing of the kind: {}", made.of.replace(['-', '_', '.'], " "));
        made.near_miss = examples::near_miss(&example)
            .filter(|text| holds(&mut trial, text, false))
            .unwrap_or(plain);
        made.example = example;
    }
    drop_rules(converted, &without, "no example could be made that it finds");
    let set = load_made(converted, files, path)?;
    let failures =
        selftest(&set).context("cannot compile the imported rules").map_err(Failure::runtime)?;
    let failed: BTreeSet<String> = failures.into_iter().map(|failure| failure.rule).collect();
    let failed: Vec<String> = failed.into_iter().collect();
    drop_rules(converted, &failed, "its example does not hold in every engine");
    Ok(())
}

/// Takes rules out; the foreign rule is left out when nothing is left of it.
fn drop_rules(converted: &mut Converted, ids: &[String], why: &str) {
    let (gone, stay): (Vec<_>, Vec<_>) =
        converted.rules.drain(..).partition(|made| ids.contains(&made.id));
    converted.rules = stay;
    for made in gone {
        if let Some(part) = converted.rules.iter_mut().find(|other| other.of == made.of) {
            part.notes.push(format!("a part of it is left out: {why}"));
        } else if !converted.left_out.iter().any(|(of, _)| *of == made.of) {
            converted.left_out.push((made.of, why.to_owned()));
        }
    }
}

/// Loads what would be written. A rule that does not load is a rule left out.
fn load_made(converted: &mut Converted, files: &[String], path: &str) -> Result<RuleSet, Failure> {
    for _ in 0..2 {
        let text = write::pack(converted, files);
        let errors = match load(&[SourceFile { path: path.to_owned(), text }]) {
            Ok(set) => return Ok(set),
            Err(errors) => errors,
        };
        if let Some(error) = errors.iter().find(|error| error.rule.is_none()) {
            return Err(Failure::runtime(anyhow!("the imported pack does not load: {error}")));
        }
        for error in errors {
            drop_rules(converted, &error.rule.into_iter().collect::<Vec<_>>(), &error.what);
        }
    }
    Err(Failure::runtime(anyhow!("the imported pack does not load")))
}
