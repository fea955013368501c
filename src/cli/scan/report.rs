//! Findings on paper: for people, as JSONL, as SARIF.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::finding::{Action, Mention, Severity};
use crate::inspect::{Decision, Reason};
use crate::redact::apply;
use crate::wire::json::Writer;
use crate::wire::verdict::write_coverage;

use super::super::failure::Failure;
use super::super::out::{Out, note};
use super::chunks::Streamed;
use super::{OutputKind, Tally};

/// What was judged.
pub(super) struct Subject<'s> {
    pub(super) file: &'s str,
    /// Line of the file, where each line is a text of its own.
    pub(super) line: Option<u64>,
    /// As it came; null where there was none.
    pub(super) id: &'s Value,
    pub(super) text: &'s str,
}

/// Writes findings as they come.
pub(super) struct Report {
    output: OutputKind,
    redact: bool,
    /// Whether a whole file is one text.
    whole: bool,
    /// The text at hand with spans cut.
    redacted: String,
    /// Rules seen, for SARIF: id to message.
    rules: BTreeMap<String, String>,
    results: u64,
}

impl Report {
    pub(super) fn new(output: OutputKind, redact: bool, whole: bool) -> Self {
        Self { output, redact, whole, redacted: String::new(), rules: BTreeMap::new(), results: 0 }
    }

    pub(super) fn begin(&mut self, out: &mut Out) -> Result<(), Failure> {
        if self.output == OutputKind::Sarif {
            out.line(concat!(
                r#"{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","#,
                r#""runs":[{"columnKind":"utf16CodeUnits","results":["#
            ))?;
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        subject: &Subject<'_>,
        decision: &Decision<'_>,
        streamed: Option<&Streamed>,
        (out, tally): (&mut Out, &mut Tally),
    ) -> Result<(), Failure> {
        self.redacted = redacted(subject, decision, streamed);
        tally.acted += u64::from(decision.action > Action::Allow);
        for reason in &decision.reasons {
            tally.finding(reason.finding.source.severity, reason.finding.confidence);
        }
        match self.output {
            OutputKind::Human => self.human(subject, decision, out),
            OutputKind::Jsonl => self.jsonl(subject, decision, out),
            OutputKind::Sarif => self.sarif(subject, decision, out),
        }
    }

    /// A line that could not be read still has its line in the output.
    pub(super) fn unreadable(
        &mut self,
        number: u64,
        problem: &str,
        out: &mut Out,
    ) -> Result<(), Failure> {
        if self.output == OutputKind::Jsonl {
            let line = json!({
                "id": null, "action": "block", "findings": [], "line": number, "error": problem,
            });
            out.line(line)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut Out) -> Result<(), Failure> {
        if self.output == OutputKind::Sarif {
            let rules: Vec<Value> = self
                .rules
                .iter()
                .map(|(id, message)| json!({"id": id, "shortDescription": {"text": message}}))
                .collect();
            let driver = json!({
                "driver": {"name": "weir", "version": env!("CARGO_PKG_VERSION"), "rules": rules},
            });
            out.line(format_args!(r#"],"tool":{driver}}}]}}"#))?;
        }
        Ok(())
    }

    fn human(
        &mut self,
        subject: &Subject<'_>,
        decision: &Decision<'_>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        // With --redact the text is the data, and what was found is talk about it.
        let text_is_data = self.redact && self.whole;
        for reason in &decision.reasons {
            let line = describe(subject, reason);
            if text_is_data {
                note(line);
            } else {
                out.line(line)?;
            }
        }
        if text_is_data {
            return match (&decision.replacement, decision.action) {
                (_, Action::Block | Action::Retry) => {
                    note(format_args!("{}: held back ({})", subject.file, decision.action));
                    Ok(())
                }
                (Some(notice), _) => out.line(notice),
                (None, _) => out.text(&self.redacted),
            };
        }
        if decision.action > Action::Allow {
            out.line(format_args!("{}: {}", place(subject), decision.action))?;
        }
        if self.redact && !decision.edits.is_empty() {
            out.line(&self.redacted)?;
        }
        Ok(())
    }

    fn jsonl(
        &mut self,
        subject: &Subject<'_>,
        decision: &Decision<'_>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let mut line = Writer::with_capacity(256);
        line.open().key("id");
        line.raw(&subject.id.to_string());
        line.text("action", decision.action.name());
        line.key("findings").open_array();
        for reason in &decision.reasons {
            let finding = &reason.finding;
            line.open();
            line.text("rule", &finding.source.rule).text("family", finding.source.family.name());
            line.text("type", &finding.source.kind);
            line.text("severity", finding.source.severity.name());
            line.text("confidence", finding.confidence.name());
            if finding.field.is_some() {
                line.text("field", "/text");
                line.key("start").uint(finding.span.start as u64);
                line.key("end").uint(finding.span.end as u64);
            } else {
                line.key("field").raw("null").key("start").raw("null").key("end").raw("null");
            }
            line.text("view", &finding.view.0);
            line.text_if("mention", finding.mention.map(Mention::name)).close();
        }
        line.close_array();
        if self.redact && !decision.edits.is_empty() {
            line.text("redacted", &self.redacted);
        }
        if let Some(notice) = &decision.replacement {
            line.text("replacement", notice);
        }
        line.text_if("retry_hint", decision.retry_hint.as_deref());
        line.key("coverage").open();
        write_coverage(&mut line, decision.coverage);
        line.close().close();
        out.text(&String::from_utf8_lossy(&line.into_bytes()))?;
        out.text("\n")
    }

    fn sarif(
        &mut self,
        subject: &Subject<'_>,
        decision: &Decision<'_>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        for reason in &decision.reasons {
            let source = &reason.finding.source;
            self.rules.insert(source.rule.clone(), source.message.clone());
            let level = match source.severity {
                Severity::Critical | Severity::High => "error",
                Severity::Medium => "warning",
                Severity::Low | Severity::Info => "note",
            };
            let region = if let Some(line) = subject.line {
                // The text is a member of the line's object: only the line is known.
                json!({"startLine": line})
            } else {
                let (start, end) = (reason.finding.span.start, reason.finding.span.end);
                let (from, column) = position(subject.text, start);
                let (to, last) = position(subject.text, end);
                json!({
                    "startLine": from, "startColumn": column, "endLine": to, "endColumn": last,
                    "byteOffset": start, "byteLength": end.saturating_sub(start),
                })
            };
            let result = json!({
                "ruleId": source.rule,
                "level": level,
                "message": {"text": source.message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": subject.file}, "region": region,
                }}],
                "properties": {
                    "action": reason.action.name(), "type": source.kind,
                    "severity": source.severity.name(),
                    "confidence": reason.finding.confidence.name(),
                },
            });
            let comma = if self.results == 0 { "" } else { "," };
            self.results += 1;
            out.line(format_args!("{comma}{result}"))?;
        }
        Ok(())
    }
}

/// The text with spans cut. Where the whole is replaced by a notice, that notice stands in
/// `replacement`, and here every finding is cut.
fn redacted(subject: &Subject<'_>, decision: &Decision<'_>, streamed: Option<&Streamed>) -> String {
    if let Some(streamed) = streamed {
        let covered = decision.replacement.is_some();
        return if covered { streamed.covered.clone() } else { streamed.released.clone() };
    }
    let edits =
        if decision.replacement.is_some() { &decision.audit_edits } else { &decision.edits };
    apply(subject.text, edits).into_owned()
}

fn place(subject: &Subject<'_>) -> String {
    match subject.line {
        Some(line) if subject.id.is_null() => format!("{}:{line}", subject.file),
        Some(line) => format!("{}:{line} ({})", subject.file, printable(subject.id)),
        None => subject.file.to_owned(),
    }
}

fn describe(subject: &Subject<'_>, reason: &Reason) -> String {
    let finding = &reason.finding;
    let at = if subject.line.is_none() && finding.field.is_some() {
        let (line, column) = position(subject.text, finding.span.start);
        format!("{}:{line}:{column}", subject.file)
    } else {
        place(subject)
    };
    format!(
        "{at}: {} {} ({} confidence, {}): {}",
        finding.source.severity,
        finding.source.rule,
        finding.confidence,
        reason.action,
        finding.source.message
    )
}

/// Line and column of a byte, both counted from 1; columns in UTF-16 units, as SARIF and editors do.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).unwrap_or_default().encode_utf16().count() + 1;
    (line, column)
}

/// An id as it may go to a terminal.
fn printable(id: &Value) -> String {
    let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect()
}
