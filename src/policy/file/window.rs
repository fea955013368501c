//! The part of the policy file about maintenance windows, as written, and what it comes to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_saphyr::Spanned;

use super::govern::{HoursText, Reader, Wrong};
use super::values::{ByName, OneOrMany};
use crate::event::Millis;
use crate::finding::Family;
use crate::policy::window::{Window, Windows};
use crate::policy::{Glob, Who};

/// Windows of a policy: each costs a comparison for every alert.
const WINDOWS_MAX: usize = 1_000;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowText {
    id: String,
    family: Families,
    hours: HoursText,
    reason: String,
    agent: Option<String>,
    r#type: Option<String>,
    tenant: Option<String>,
    tool: Option<OneOrMany>,
    until: Option<String>,
}

/// One family or several.
struct Families(Vec<Family>);

impl<'de> serde::de::Deserialize<'de> for Families {
    fn deserialize<D: serde::de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let OneOrMany(names) = OneOrMany::deserialize(from)?;
        let families: Result<Vec<Family>, D::Error> =
            names.iter().map(|name| ByName::<Family>::named(name).map(|family| family.0)).collect();
        families.map(Self)
    }
}

/// What the file says about windows, checked.
pub(super) fn build(texts: Vec<Spanned<WindowText>>) -> Result<Windows, Wrong> {
    if texts.len() > WINDOWS_MAX {
        let problem = format!("{} lines; at most {WINDOWS_MAX} are taken", texts.len());
        return Err(Wrong { line: 0, key: "maintenance".to_owned(), problem });
    }
    let mut ids = BTreeSet::new();
    let mut windows = Vec::new();
    for (at, Spanned { value: text, referenced, .. }) in texts.into_iter().enumerate() {
        let reader = Reader { line: referenced.line(), key: format!("maintenance[{at}]") };
        if !ids.insert(text.id.clone()) {
            return reader.wrong("id", format!("another window is named `{}` too", text.id));
        }
        windows.push(window(&reader, text)?);
    }
    Ok(Windows::new(windows))
}

fn window(reader: &Reader, text: WindowText) -> Result<Window, Wrong> {
    reader.id(&text.id)?;
    if text.family.0.is_empty() {
        return reader.wrong("family", "names no family, so nothing would be kept back");
    }
    let reason = text.reason.trim().to_owned();
    if reason.is_empty() {
        return reader.wrong("reason", "must say why: whoever misses an alert will ask");
    }
    let tools = text.tool.unwrap_or_default().0;
    if tools.iter().any(String::is_empty) {
        return reader.wrong("tool", "names no tool");
    }
    let written = text.hours.written();
    let hours = reader.hours(text.hours)?;
    let until = text.until.as_deref().map(|until| {
        end(until, &hours.zone).ok_or_else(|| {
            format!(
                "`{until}` is neither a day such as 2027-03-31, which is the last one, nor a time \
                 such as 2027-03-31T06:00:00Z"
            )
        })
    });
    let until = match until.transpose() {
        Ok(until) => until,
        Err(problem) => return reader.wrong("until", problem),
    };
    Ok(Window {
        line: reader.line,
        id: text.id.into(),
        families: text.family.0,
        who: Who { agent: text.agent, agent_type: text.r#type, tenant: text.tenant },
        tools: tools.iter().map(|tool| Glob::new(tool)).collect(),
        hours,
        written,
        until,
        until_written: text.until,
        reason,
    })
}

/// When a window is over for good: a time, or the end of a day by the zone's clock.
fn end(text: &str, zone: &TimeZone) -> Option<Millis> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(Millis(time.as_millisecond()));
    }
    // A day and nothing behind it: jiff reads the day of a longer text too.
    let day: Date = text.parse().ok().filter(|_| text.len() == "2027-03-31".len())?;
    let midnight = day.tomorrow().ok()?.at(0, 0, 0, 0);
    let time = zone.to_timestamp(midnight).ok()?;
    Some(Millis(time.as_millisecond()))
}
