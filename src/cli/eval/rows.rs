//! Labelled rows: JSONL files, plain or gzipped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::event::{Carrier, RawSpan};
use crate::finding::Family;

use super::super::failure::Failure;

/// What a set asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// Does the text give orders, or carry data away?
    Injection,
    /// Does it hold a credential?
    Secrets,
    /// Does it hold personal data?
    Pii,
}

impl Task {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Injection => "injection",
            Self::Secrets => "secrets",
            Self::Pii => "pii",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Injection, Self::Secrets, Self::Pii].into_iter().find(|task| task.name() == name)
    }

    /// Whether a finding of this family answers the task.
    pub(super) fn has(self, family: Family) -> bool {
        match self {
            Self::Injection => {
                matches!(family, Family::Injection | Family::Exfiltration | Family::Tools)
            }
            Self::Secrets => family == Family::Secrets,
            Self::Pii => family == Family::Pii,
        }
    }
}

/// One labelled text.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) task: Task,
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) carrier: Option<Carrier>,
    pub(super) truth: Truth,
    /// Kinds of the expected spans, in the same order.
    pub(super) kinds: Vec<String>,
}

/// What is true of a text.
#[derive(Debug)]
pub(super) enum Truth {
    /// Something is there; where, if the set says so.
    Positive(Vec<RawSpan>),
    /// Nothing is there.
    Negative,
}

impl Row {
    /// Whether a finding of this type contradicts a negative row. Personal data is denied by
    /// kind: a text that holds no IBAN may well hold another number.
    pub(super) fn denies(&self, kind: &str) -> bool {
        /// Words that say nothing of the kind.
        const PLAIN: [&str; 7] = ["number", "id", "code", "address", "pii", "us", "card"];
        if self.task != Task::Pii {
            return true;
        }
        let words = |text: &str| -> Vec<String> {
            text.to_ascii_lowercase()
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !PLAIN.contains(word))
                .map(ToOwned::to_owned)
                .collect()
        };
        let own = words(&self.kind);
        words(kind).iter().any(|word| own.contains(word))
    }
}

/// Rows of all files.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Lines that hold no text to judge, such as whole sessions.
    pub(super) passed_over: usize,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    text: String,
    label: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    kind: String,
    family: Option<String>,
    carrier: Option<String>,
    #[serde(default)]
    expect: Vec<Expect>,
    /// Set in recorded sessions, which are no single texts.
    calls: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Expect {
    #[serde(default)]
    kind: String,
    start: usize,
    end: usize,
}

/// Reads folders and files.
pub(super) fn read(paths: &[PathBuf]) -> Result<Rows, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .with_context(|| format!("cannot read folder `{}`", path.display()))
                .map_err(Failure::runtime)?;
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|file| {
                let name = file.to_string_lossy();
                name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
            }));
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::usage(anyhow!("no *.jsonl or *.jsonl.gz file there")));
    }
    let mut rows = Rows::default();
    for file in &files {
        read_file(file, &mut rows).map_err(Failure::runtime)?;
    }
    if rows.rows.is_empty() {
        return Err(Failure::runtime(anyhow!("no labelled text in {} files", files.len())));
    }
    Ok(rows)
}

fn read_file(path: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read `{shown}`"))?;
    let from: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let stem = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let of_file = ["injection", "secrets", "pii"]
        .into_iter()
        .find(|name| stem.contains(name))
        .and_then(Task::from_name);
    for (number, line) in (1..).zip(BufReader::new(from).lines()) {
        let line = line.with_context(|| format!("cannot read `{shown}`"))?;
        if line.trim().is_empty() {
            continue;
        }
        let row = row(&line, of_file).with_context(|| format!("{shown}:{number}"))?;
        match row {
            Some(row) => rows.rows.push(row),
            None => rows.passed_over += 1,
        }
    }
    Ok(())
}

fn row(line: &str, of_file: Option<Task>) -> anyhow::Result<Option<Row>> {
    let line: Line = serde_json::from_str(line)?;
    if line.calls.is_some() {
        return Ok(None);
    }
    let task = match (&line.family, line.label.as_str()) {
        (Some(family), _) => Task::from_name(family)
            .ok_or_else(|| anyhow!("`family` is injection, secrets or pii, not `{family}`"))?,
        (None, "injection" | "benign") => Task::Injection,
        (None, _) => of_file.ok_or_else(|| {
            anyhow!("no `family`, and the file's name has none of injection, secrets, pii in it")
        })?,
    };
    let positive = match line.label.as_str() {
        "injection" | "positive" => true,
        "benign" | "negative" | "near-miss" | "identifier" => false,
        other => anyhow::bail!(
            "`label` is injection, positive, benign, negative, near-miss or identifier, not `{other}`"
        ),
    };
    let carrier = match line.carrier.as_deref() {
        None => None,
        Some(name) => Some(Carrier::from_name(name).ok_or_else(|| {
            anyhow!("`carrier` is one of {}", Carrier::ALL.map(Carrier::name).join(", "))
        })?),
    };
    let outside = |expect: &Expect| expect.start >= expect.end || expect.end > line.text.len();
    if line.expect.iter().any(outside) {
        anyhow::bail!("`expect` points outside the text");
    }
    let spans = line.expect.iter().map(|expect| bare(&line.text, expect, task)).collect();
    // Near misses and identifiers are told apart from plain negatives.
    let kind = match line.label.as_str() {
        "near-miss" | "identifier" => line.label.clone(),
        _ => line.kind,
    };
    Ok(Some(Row {
        id: line.id,
        text: line.text,
        task,
        source: line.source,
        kind,
        carrier,
        truth: if positive { Truth::Positive(spans) } else { Truth::Negative },
        kinds: line.expect.into_iter().map(|expect| expect.kind).collect(),
    }))
}

/// The expected span without the signs around a credential: sets take the quotes, the white
/// space and the sign between name and value along, or do not, as their expressions went.
fn bare(text: &str, expect: &Expect, task: Task) -> RawSpan {
    let (mut start, mut end) = (expect.start, expect.end);
    let bytes = text.as_bytes().get(start..end).unwrap_or_default();
    let quote =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let before = |byte: &&u8| quote(byte) || matches!(byte, b'=' | b':' | b'-');
    if task == Task::Secrets && bytes.iter().any(u8::is_ascii_alphanumeric) {
        start += bytes.iter().take_while(before).count();
        end -= bytes.iter().rev().take_while(|byte| quote(byte)).count();
    }
    RawSpan { start, end }
}

/// Rows that a file sets aside, by id, with the reason.
pub(super) type SetAside = BTreeMap<String, String>;

/// Reads a list of `id`, tab, reason; empty lines and lines that begin with `#` are passed over.
pub(super) fn set_aside(path: &Path) -> Result<SetAside, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{shown}`"))
        .map_err(Failure::runtime)?;
    let mut out = SetAside::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((id, reason)) = line.split_once('\t') else {
            return Err(Failure::usage(anyhow!(
                "{shown}:{number}: a line is an id, a tab and the reason"
            )));
        };
        out.insert(id.trim().to_owned(), reason.trim().to_owned());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_around_a_credential_are_not_asked_for() {
        let line =
            r#"{"id":"a","text":"key='-ab12'","label":"positive","expect":[{"start":4,"end":11}]}"#;
        let span = |task| match row(line, Some(task)).unwrap().unwrap().truth {
            Truth::Positive(spans) => (spans[0].start, spans[0].end),
            Truth::Negative => unreachable!("the row is positive"),
        };
        assert_eq!(span(Task::Secrets), (6, 10));
        assert_eq!(span(Task::Pii), (4, 11));
    }

    #[test]
    fn rows_say_what_is_true_and_whom_they_ask() {
        let line = r#"{"id":"a","text":"pay 4111","label":"positive","kind":"s","expect":[{"kind":"CARD","start":4,"end":8}]}"#;
        let read = row(line, Some(Task::Pii)).unwrap().unwrap();
        assert_eq!((read.task, read.kinds.as_slice()), (Task::Pii, &["CARD".to_owned()][..]));
        assert!(matches!(&read.truth, Truth::Positive(spans) if spans[0].end == 8));
        assert!(row(line, None).is_err(), "nothing says which task it is");
        assert!(row(&line.replace("\"end\":8", "\"end\":9"), Some(Task::Pii)).is_err());
        assert!(row(&line.replace("positive", "maybe"), Some(Task::Pii)).is_err());
        let session = r#"{"id":"a","text":"t","label":"attack-failed","calls":[]}"#;
        assert!(row(session, None).unwrap().is_none());
    }

    #[test]
    fn a_negative_of_one_kind_denies_that_kind_only() {
        let line = r#"{"id":"a","text":"t","label":"negative","kind":"IBAN_CODE:DE"}"#;
        let read = row(line, Some(Task::Pii)).unwrap().unwrap();
        assert!(read.denies("pii.iban"));
        assert!(!read.denies("pii.swift_code"));
        let other = row(line, Some(Task::Secrets)).unwrap().unwrap();
        assert!(other.denies("secret.aws_access_key_id"));
    }
}
