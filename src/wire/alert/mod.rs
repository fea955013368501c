//! Alerts for the SOC: OCSF or ECS in the value, CloudEvents in the headers.
//!
//! Both bodies carry the same `unmapped.weir` object, so that a rule or a dashboard
//! that reads it works whatever the format around it.

mod ecs;
mod ocsf;

use super::headers::{CONTENT_TYPE, Headers, header, without};
use super::ids::{self, OutputKind};
use super::json::Writer;
use super::time::rfc3339;
use crate::alert::{Alert, Cause, Correction, Group, Origin};
use crate::finding::Seen;

pub use ecs::ecs;
pub use ocsf::ocsf;

/// Where an alert was made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Name of the events topic.
    pub topic: &'a str,
    /// Partition of the event, and of the alert.
    pub partition: i32,
    /// Hash of the pack in force.
    pub pack: &'a str,
}

impl Made<'_> {
    fn id(&self, kind: OutputKind, origin: Origin) -> String {
        ids::uuid(self.topic, self.partition, origin.offset, kind, origin.ordinal)
    }
}

/// The body of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OCSF 1.8.0 Detection Finding.
    #[default]
    Ocsf,
    /// Elastic Common Schema.
    Ecs,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Ocsf, Self::Ecs];

    /// The name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
        }
    }
}

/// The alert's id: also `ce_id`, and the same whenever the alert is made again.
#[must_use]
pub fn id(alert: &Alert, made: &Made<'_>) -> String {
    match alert.cause {
        Cause::Record(origin) => made.id(OutputKind::Alert, origin),
        Cause::Timer => made.id(OutputKind::AlertTimer, alert.episode),
    }
}

/// The id that all alerts of one episode share.
#[must_use]
pub fn episode_id(alert: &Alert, made: &Made<'_>) -> String {
    made.id(OutputKind::Episode, alert.episode)
}

/// Value and headers of an alert's record. `sent` are the headers of the record that
/// caused it; none for an alert that a timer sent.
#[must_use]
pub fn write(format: Format, alert: &Alert, made: &Made<'_>, sent: Headers) -> (Vec<u8>, Headers) {
    let value = match format {
        Format::Ocsf => ocsf(alert, made),
        Format::Ecs => ecs(alert, made),
    };
    // A sender may itself speak CloudEvents; two sets in one record would be neither.
    let mut headers = without(sent, &["ce_", CONTENT_TYPE]);
    headers.extend([
        header("ce_specversion", "1.0"),
        header("ce_id", id(alert, made)),
        header("ce_source", format!("/weir/{}/{}", made.topic, made.partition)),
        header("ce_type", format!("weir.alert.{}", alert.state.name())),
        header("ce_time", rfc3339(alert.time)),
        header("ce_subject", &alert.agent),
        header(CONTENT_TYPE, "application/json"),
    ]);
    if format == Format::Ocsf {
        let schema = "https://schema.ocsf.io/1.8.0/classes/detection_finding";
        headers.push(header("ce_dataschema", schema));
    }
    (value, headers)
}

/// Techniques of MITRE ATLAS among the tags, such as `AML.T0051.001`.
fn techniques(alert: &Alert) -> impl Iterator<Item = &str> {
    alert.tags.iter().filter_map(|tag| tag.strip_prefix("ATLAS-"))
}

/// `unmapped.weir`: what is Weir's own.
fn unmapped(out: &mut Writer, alert: &Alert, made: &Made<'_>) {
    out.key("unmapped").open().key("weir").open();
    out.text("agent", &alert.agent);
    if !alert.tenant.is_empty() {
        out.text("tenant", &alert.tenant);
    }
    out.text_if("session", alert.session.as_deref());
    out.text("family", alert.family.name()).text("signal", &alert.signal);
    out.text("rule", &alert.rule).text("action", alert.action.name());
    out.key("enforced").bool(alert.enforced);
    out.text("episode", &episode_id(alert, made)).text("state", alert.state.name());
    out.texts("event_ids", alert.event_ids.iter().map(String::as_str));
    if !alert.tags.is_empty() {
        out.texts("tags", alert.tags.iter().map(String::as_str));
    }
    if let Some(seen) = &alert.seen {
        first_seen(out, seen);
    }
    if let Some(Correction { hour, withdrawn, added }) = &alert.corrected {
        out.key("corrected").open().key("hour").int(hour.0);
        out.texts("withdrawn", withdrawn.iter().map(String::as_str));
        out.texts("added", added.iter().map(String::as_str)).close();
    }
    if let Some(group) = &alert.group {
        many(out, alert, group);
    }
    for (name, value) in
        [("typical", alert.typical), ("actual", alert.actual), ("score", alert.score)]
    {
        if let Some(value) = value {
            out.key(name).float(value);
        }
    }
    out.close().close();
}

/// Of one alert for many agents: who they are and what they share.
fn many(out: &mut Writer, alert: &Alert, group: &Group) {
    out.key("group").open().text("type", alert.agent_type.as_deref().unwrap_or_default());
    out.text("about", &group.about).text("scope", "partition");
    out.key("agents").uint(group.agents).key("estimated").bool(group.estimated);
    out.texts("members", group.members.iter().map(String::as_str));
    out.key("shared").open_array();
    for (what, value, agents) in &group.shared {
        out.open().text("what", what).text("value", value).key("agents").uint(*agents).close();
    }
    out.close_array().close();
}

/// Who had a value before it turned up.
fn first_seen(out: &mut Writer, seen: &Seen) {
    out.key("first_seen").open().key("time").int(seen.at.0);
    if !seen.tenant.is_empty() {
        out.text("tenant", &seen.tenant);
    }
    out.text("agent", &seen.agent);
    out.text_if("session", seen.session.as_deref()).text_if("user", seen.user.as_deref());
    match seen.entry {
        None => out.text("scope", "partition"),
        Some((partition, offset)) => {
            out.text("scope", "shared").key("partition").int(i64::from(partition));
            out.key("offset").int(offset)
        }
    };
    out.close();
}

#[cfg(test)]
mod tests;
