//! A record of the audit for people, and as a line of a table.

use std::fmt::Write as _;

use serde_json::Value;

use crate::event::{ACTORS_MAX, Millis};
use crate::wire::time::rfc3339;

use super::super::super::out::Visible;
use super::super::super::paint::{action, grave};

/// When a record was written, and in which chain.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) time: Millis,
    pub(super) partition: i32,
}

/// The columns of [`csv`].
pub(super) const HEADER: &str = "time,partition,seq,what,action,enforced,mode,tenant,agent,agent_type,session,user,delegation,kind,tool,event_id,rules,order,scope,by,reason,act";

/// The actors of a record's `act` claim, the current one first.
pub(super) fn actors(record: &Value) -> impl Iterator<Item = &Value> {
    std::iter::successors(record.get("act"), |actor| actor.get("act")).take(ACTORS_MAX)
}

/// One record as a line of a table.
pub(super) fn csv(place: Place, record: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let list = |value: &Value, name: Option<&str>| {
        let items = value.as_array().into_iter().flatten();
        let names = items.map(|item| text(name.map_or(item, |name| &item[name])));
        names.collect::<Vec<_>>().join(" ")
    };
    let scope = match record["scope"].as_str() {
        None => String::new(),
        Some(scope) => format!("{scope} {}", list(&record["of"], None)).trim_end().to_owned(),
    };
    let own = |name: &str| text(&record[name]);
    let act: Vec<String> = actors(record).map(|actor| text(&actor["sub"])).collect();
    [
        rfc3339(place.time),
        place.partition.to_string(),
        own("seq"),
        own("what"),
        own("action"),
        own("enforced"),
        own("mode"),
        own("tenant"),
        own("agent"),
        own("agent_type"),
        own("session"),
        own("user"),
        list(&record["delegation"], None),
        own("kind"),
        text(&record["tool"]["name"]),
        own("event_id"),
        list(&record["reasons"], Some("rule")),
        own("order"),
        scope,
        own("by"),
        own("reason"),
        act.join(" "),
    ]
    .iter()
    .map(|cell| quoted(cell))
    .collect::<Vec<_>>()
    .join(",")
}

/// A cell. Whoever sends events chooses ids, and a spreadsheet runs what begins like a
/// formula: an apostrophe in front makes it a text.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let safe = if formula { format!("'{cell}") } else { cell.to_owned() };
    if safe.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", safe.replace('"', "\"\""));
    }
    safe
}

/// One record for people: a line, and one below it for each reason.
pub(super) fn text(place: Place, record: &Value, colour: bool) -> String {
    let mut out = String::new();
    write_text(&mut out, place, record, colour).expect("a string can be written to");
    out
}

fn write_text(out: &mut String, place: Place, record: &Value, colour: bool) -> std::fmt::Result {
    let own = |name: &str| record[name].as_str().map(Visible);
    let when = rfc3339(place.time);
    let what = record["what"].as_str().unwrap_or_default();
    match what {
        "control" => {
            write!(out, "{when}  order    {}", Visible(record["order"].as_str().unwrap_or("?")))?;
            if let Some(mode) = own("mode") {
                write!(out, " {mode}")?;
            }
            write!(out, " {}", Visible(record["scope"].as_str().unwrap_or_default()))?;
            for part in record["of"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                write!(out, " `{}`", Visible(part))?;
            }
            write!(out, "  by {}", Visible(record["by"].as_str().unwrap_or("?")))?;
            if let Some(reason) = own("reason").filter(|reason| !reason.0.is_empty()) {
                write!(out, ": {reason}")?;
            }
        }
        "swap" => {
            let short = |value: &Value| {
                let text = value.as_str().unwrap_or_default();
                text.get(..12).unwrap_or(text).to_owned()
            };
            write!(
                out,
                "{when}  swap     pack {} to {}, policy {} to {}",
                Visible(&short(&record["from"]["pack"])),
                Visible(&short(&record["pack"])),
                Visible(&short(&record["from"]["policy"])),
                Visible(&short(&record["policy"])),
            )?;
        }
        _ => {
            let name = record["action"].as_str().unwrap_or("?");
            write!(out, "{when}  {}", action(name, colour))?;
            if record["enforced"] == false {
                write!(out, " (shadow)")?;
            }
            write!(out, "  {}", Visible(record["agent"].as_str().unwrap_or("unknown agent")))?;
            if what == "unreadable" {
                write!(out, "  unreadable")?;
            }
            if let Some(kind) = own("kind") {
                write!(out, "  {kind}")?;
            }
            if let Some(tool) = record["tool"]["name"].as_str() {
                write!(out, " {}", Visible(tool))?;
            }
            for name in ["tenant", "session", "user"] {
                if let Some(value) = own(name) {
                    write!(out, "  {name} {value}")?;
                }
            }
            if let Some(id) = own("event_id") {
                write!(out, "  event {id}")?;
            }
        }
    }
    write!(out, "  [{}:{}]", place.partition, record["seq"])?;
    out.push('\n');
    for reason in record["reasons"].as_array().into_iter().flatten() {
        let of = |name: &str| reason[name].as_str().unwrap_or_default();
        let severity = of("severity");
        write!(
            out,
            "    └ {} ({}, {} confidence): {}",
            Visible(of("rule")),
            grave(severity, colour),
            Visible(of("confidence")),
            Visible(of("action")),
        )?;
        if let Some(field) = reason["field"].as_str() {
            write!(out, " at {}", Visible(field))?;
        }
        out.push('\n');
    }
    for (at, actor) in actors(record).enumerate() {
        let link = if at == 0 { "acting" } else { "    for" };
        write!(out, "    {link} {}", Visible(actor["sub"].as_str().unwrap_or("?")))?;
        if let Some(issuer) = actor["iss"].as_str() {
            write!(out, " (of {})", Visible(issuer))?;
        }
        out.push('\n');
    }
    for kept in record["kept_back"].as_array().into_iter().flatten() {
        let by = match kept["window"].as_str() {
            Some(window) => format!("the maintenance window `{}`", Visible(window)),
            None => "an operator's silence".to_owned(),
        };
        let family = Visible(kept["family"].as_str().unwrap_or("?"));
        writeln!(out, "    not told: {} {family}, by {by}", kept["count"])?;
    }
    for (name, members) in [("params", &record["tool"]["params"]), ("stated", &record["stated"])] {
        for (pointer, value) in members.as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            let shown = value.get(..value.floor_char_boundary(200)).unwrap_or_default();
            let end = if shown.len() < value.len() { "…" } else { "" };
            writeln!(out, "    {name} {} = {}{end}", Visible(pointer), Visible(shown))?;
        }
    }
    Ok(())
}
