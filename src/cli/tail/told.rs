//! An alert or a verdict, as far as people are shown it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::event::Millis;
use crate::finding::{Action, Family, Severity};
use crate::policy::Glob;
use crate::wire::time::rfc3339;

use super::super::out::Visible;
use super::super::paint;

/// One record of the alerts or the verdicts topic.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// When it was told; a verdict in a file does not say.
    pub(super) time: Option<Millis>,
    /// Of an alert: open, update or closed.
    pub(super) state: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) session: Option<String>,
    pub(super) action: Option<Action>,
    /// Why; an alert has one reason.
    reasons: Vec<Reason>,
    /// What else is known, in words.
    notes: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Reason {
    rule: String,
    family: String,
    severity: Option<Severity>,
    message: String,
}

impl Told {
    /// Reads an alert in either format, or a verdict; `None` for anything else. `key` and
    /// `time` are those of the record, where it stands in a topic.
    pub(super) fn read(bytes: &[u8], key: Option<&[u8]>, time: Option<Millis>) -> Option<Self> {
        let json: Value = serde_json::from_slice(bytes).ok()?;
        if json["unmapped"]["weir"].is_object() {
            return Some(Self::alert(&json));
        }
        let verdict = json["action"].is_string() && json["reasons"].is_array();
        verdict.then(|| Self::verdict(&json, key, time))
    }

    fn alert(json: &Value) -> Self {
        let ours = &json["unmapped"]["weir"];
        let own = |name: &str| ours[name].as_str().map(str::to_owned);
        let ecs = json["ecs"].is_object();
        let severity = if ecs {
            ecs_severity(&json["event"]["severity"])
        } else {
            ocsf_severity(&json["severity_id"])
        };
        let time = if ecs {
            json["@timestamp"]
                .as_str()
                .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                .map(|at| Millis(at.as_millisecond()))
        } else {
            json["time"].as_i64().map(Millis)
        };
        let mut notes = Vec::new();
        let figure = |name: &str| ours[name].as_number().map(ToString::to_string);
        if let Some(actual) = figure("actual") {
            let typical = figure("typical").map_or(String::new(), |n| format!(", typical {n}"));
            let score = figure("score").map_or(String::new(), |n| format!(", score {n}"));
            notes.push(format!("actual {actual}{typical}{score}"));
        }
        if let Some(done) = json["disposition"].as_str().or(json["event"]["action"].as_str()) {
            notes.push(done.to_lowercase());
        }
        if let Some(count) = json["count"].as_u64().filter(|count| *count > 1) {
            notes.push(format!("{count} times"));
        }
        let evidence = &json["evidences"][0];
        let user = evidence["actor"]["user"]["uid"].as_str().or(json["user"]["id"].as_str());
        for (name, value) in [
            ("session", ours["session"].as_str()),
            ("user", user),
            ("tool", evidence["api"]["operation"].as_str()),
            ("secret", evidence["data"]["fingerprint"].as_str()),
        ] {
            notes.extend(value.map(|value| format!("{name} {value}")));
        }
        let first: Vec<String> = ["tenant", "agent", "session", "user"]
            .iter()
            .filter_map(|name| Some(format!("{name} {}", ours["first_seen"][name].as_str()?)))
            .collect();
        if !first.is_empty() {
            notes.push(format!("first seen with {}", first.join(", ")));
        }
        let events: Vec<&str> =
            ours["event_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match events.as_slice() {
            [] => {}
            [one] => notes.push(format!("event {one}")),
            [first, rest @ ..] => notes.push(format!("events {first} and {} more", rest.len())),
        }
        notes.extend(own("episode").map(|episode| format!("episode {episode}")));
        Self {
            time,
            state: own("state"),
            tenant: own("tenant"),
            agent: own("agent"),
            session: own("session"),
            action: own("action").as_deref().and_then(Action::from_name),
            reasons: vec![Reason {
                rule: own("rule").unwrap_or_default(),
                family: own("family").unwrap_or_default(),
                severity,
                message: json["message"].as_str().unwrap_or_default().to_owned(),
            }],
            notes,
        }
    }

    fn verdict(json: &Value, key: Option<&[u8]>, time: Option<Millis>) -> Self {
        let mut notes = Vec::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if json["mode"] == "shadow" {
            notes.push("shadow: not carried out".to_owned());
        }
        notes.push(match json["event_id"].as_str() {
            Some(id) => format!("event {id}"),
            None => format!("unreadable, at {}:{}", json["at"]["partition"], json["at"]["offset"]),
        });
        if let Some(hint) = json["retry_hint"].as_str() {
            notes.push(format!("hint: {hint}"));
        }
        if let Some(hold) = json["hold"]["id"].as_str() {
            notes.push(format!("`weir control approve {hold}` lets it pass"));
        }
        Self {
            time,
            agent: key.map(|key| String::from_utf8_lossy(key).into_owned()),
            action: json["action"].as_str().and_then(Action::from_name),
            reasons: json["reasons"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|reason| Reason {
                    rule: text(&reason["rule"]),
                    family: text(&reason["family"]),
                    severity: reason["severity"].as_str().and_then(Severity::from_name),
                    message: text(&reason["message"]),
                })
                .collect(),
            notes,
            ..Self::default()
        }
    }

    /// Whether one reason meets all that is asked of reasons.
    pub(super) fn because(
        &self,
        severity: Option<Severity>,
        family: Option<Family>,
        rule: Option<&Glob>,
    ) -> bool {
        let asks_nothing = severity.is_none() && family.is_none() && rule.is_none();
        asks_nothing
            || self.reasons.iter().any(|reason| {
                severity.is_none_or(|least| reason.severity >= Some(least))
                    && family.is_none_or(|family| reason.family == family.name())
                    && rule.is_none_or(|rule| rule.matches(&reason.rule))
            })
    }

    /// A line, and one below it for each reason.
    pub(super) fn show(&self, colour: bool) -> String {
        let mut out = String::new();
        self.write(&mut out, colour).expect("a string can be written to");
        out
    }

    fn write(&self, out: &mut String, colour: bool) -> std::fmt::Result {
        if let Some(time) = self.time {
            write!(out, "{}  ", rfc3339(time))?;
        }
        let gravest = self.reasons.iter().filter_map(|reason| reason.severity).max();
        if let Some(state) = &self.state {
            let severity = gravest.map_or("?", Severity::name);
            let state = Visible(state).to_string();
            write!(out, "{}  {state:<6}", paint::grave_column(severity, colour))?;
        } else {
            let action = self.action.map_or("?", Action::name);
            write!(out, "{}", paint::action(action, colour))?;
        }
        if let Some(agent) = &self.agent {
            write!(out, "  {}", Visible(agent))?;
        }
        if let Some(tenant) = &self.tenant {
            write!(out, " of {}", Visible(tenant))?;
        }
        let one = self.state.is_some();
        if let Some(reason) = self.reasons.first().filter(|_| one) {
            write!(out, "  {}: {}", Visible(&reason.rule), Visible(&reason.message))?;
        }
        out.push('\n');
        for reason in self.reasons.iter().filter(|_| !one) {
            let severity = reason.severity.map_or("?", Severity::name);
            writeln!(
                out,
                "    └ {} ({}): {}",
                Visible(&reason.rule),
                paint::grave(severity, colour),
                Visible(&reason.message)
            )?;
        }
        if !self.notes.is_empty() {
            writeln!(out, "    {}", Visible(&self.notes.join("; ")))?;
        }
        Ok(())
    }
}

fn ocsf_severity(id: &Value) -> Option<Severity> {
    let at = usize::try_from(id.as_u64()?.checked_sub(1)?).ok()?;
    Severity::ALL.get(at).copied()
}

fn ecs_severity(risk: &Value) -> Option<Severity> {
    Some(match risk.as_u64()? {
        0..=20 => Severity::Info,
        21..=46 => Severity::Low,
        47..=72 => Severity::Medium,
        73..=98 => Severity::High,
        _ => Severity::Critical,
    })
}

#[cfg(test)]
mod tests;
