//! The pack as YAML, and what an import came to as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::convert::{Allowed, Converted, Made, plural, why_unused};

/// Counts of foreign rules.
pub(super) struct Tally {
    whole: usize,
    changed: usize,
    left_out: usize,
}

impl Tally {
    pub(super) fn of(converted: &Converted) -> Self {
        let mut rules: BTreeMap<&str, bool> = BTreeMap::new();
        for made in &converted.rules {
            *rules.entry(&made.of).or_default() |= !made.notes.is_empty();
        }
        let changed = rules.values().filter(|changed| **changed).count();
        Self { whole: rules.len() - changed, changed, left_out: converted.left_out.len() }
    }

    pub(super) fn line(&self) -> String {
        format!(
            "{}: {} carried over whole, {} changed, {} left out",
            plural(self.whole + self.changed + self.left_out, "rule"),
            self.whole,
            self.changed,
            self.left_out
        )
    }
}

/// What is told on standard error and at the head of the pack, line by line.
pub(super) fn report(converted: &Converted) -> Vec<String> {
    let mut lines = vec![Tally::of(converted).line()];
    let mut told: Vec<(&str, &str)> = Vec::new();
    for made in &converted.rules {
        for note in &made.notes {
            let line = (made.of.as_str(), note.as_str());
            if !told.contains(&line) {
                told.push(line);
            }
        }
    }
    if !told.is_empty() {
        lines.push("changed:".to_owned());
        lines.extend(told.iter().map(|(id, note)| format!("  {id}: {note}")));
    }
    if !converted.left_out.is_empty() {
        lines.push("left out:".to_owned());
        lines.extend(converted.left_out.iter().map(|(id, why)| format!("  {id}: {why}")));
    }
    if !converted.unused.is_empty() || !converted.remarks.is_empty() {
        lines.push("of no use here, and not carried over:".to_owned());
    }
    for (name, rules) in &converted.unused {
        lines.push(format!("  `{name}` of {}: {}", rules.join(", "), why_unused(name)));
    }
    lines.extend(converted.remarks.iter().map(|remark| format!("  {remark}")));
    lines
}

/// The pack.
pub(super) fn pack(converted: &Converted, files: &[String]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&format!("# Imported from {} by `weir patterns import`.", files.join(", ")));
    line("# The file's own licence holds for its rules.");
    for text in report(converted) {
        line(format!("# {}", one_line(&text)).trim_end());
    }
    let shared = shared(&converted.rules);
    if !shared.is_empty() {
        line("");
        line("allow:");
        for allow in &shared {
            line(&format!("  - {}", entry(allow)));
        }
    }
    line("");
    line(if converted.rules.is_empty() { "rules: []" } else { "rules:" });
    for made in &converted.rules {
        rule(made, &shared, &mut out);
    }
    out
}

/// The allow entries that all rules have: they stand once, at the head of the file.
fn shared(rules: &[Made]) -> Vec<Allowed> {
    let Some((first, others)) = rules.split_first() else { return Vec::new() };
    let in_all = |allow: &&Allowed| others.iter().all(|made| made.allow.contains(allow));
    if others.is_empty() {
        Vec::new()
    } else {
        first.allow.iter().filter(in_all).cloned().collect()
    }
}

fn entry(allow: &Allowed) -> String {
    format!("{{ value: {}, reason: {} }}", quoted(&allow.value), quoted(&allow.reason))
}

fn rule(made: &Made, shared: &[Allowed], out: &mut String) {
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(String::new());
    for note in &made.notes {
        line(format!("  # {}", one_line(note)));
    }
    line(format!("  - id: {}", made.id));
    line(format!("    name: {}", quoted(&made.name)));
    line("    family: secrets".to_owned());
    line(format!("    type: {}", made.kind));
    line("    severity: high".to_owned());
    line(format!("    confidence: {}", made.confidence));
    line(format!("    regex: {}", quoted(&made.shape.regex)));
    if made.shape.group > 0 {
        line(format!("    group: {}", made.shape.group));
    }
    if let Some(len) = made.shape.max_len {
        line(format!("    max_len: {len}"));
    }
    if let Some(bits) = made.entropy {
        line(format!("    entropy: {bits}"));
    }
    if !made.near.is_empty() {
        let words: Vec<String> = made.near.iter().map(|word| quoted(word)).collect();
        let reach = made.reach;
        line(format!(
            "    near: {{ words: [{}], before: {reach}, after: {reach}, need: true }}",
            words.join(", ")
        ));
    }
    let own: Vec<&Allowed> = made.allow.iter().filter(|allow| !shared.contains(allow)).collect();
    if !own.is_empty() {
        line("    allow:".to_owned());
    }
    for allow in own {
        line(format!("      - {}", entry(allow)));
    }
    if !made.tags.is_empty() {
        let tags: Vec<String> = made.tags.iter().map(|tag| quoted(tag)).collect();
        line(format!("    tags: [{}]", tags.join(", ")));
    }
    line(format!("    examples: [{}]", quoted(&made.example)));
    line(format!("    negative_examples: [{}]", quoted(&made.near_miss)));
}

/// A scalar of YAML that reads as the text, whatever the text.
fn quoted(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out + "\""
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
