//! OCSF 1.8.0 Detection Finding (class 2004).
//!
//! One finding is one episode: it is created, updated with its count, and closed with
//! the total, always under the same `finding_info.uid`. Numbers of the standard stand
//! beside their captions, since many readers show only the latter.

use super::{Made, episode_id, id, techniques, unmapped};
use crate::alert::{Alert, State};
use crate::finding::{Action, Confidence, Family, Severity};
use crate::wire::json::Writer;

const VERSION: &str = "1.8.0";
const CLASS: u64 = 2004;

/// Writes the finding.
#[must_use]
pub fn ocsf(alert: &Alert, made: &Made<'_>) -> Vec<u8> {
    let mut out = Writer::with_capacity(2048);
    let (activity, activity_name) = activity(alert.state);
    out.open();
    out.key("category_uid").uint(2).text("category_name", "Findings");
    out.key("class_uid").uint(CLASS).text("class_name", "Detection Finding");
    out.key("activity_id").uint(activity).text("activity_name", activity_name);
    out.key("type_uid").uint(CLASS * 100 + activity);
    out.key("time").int(alert.time.0);
    out.key("start_time").int(alert.first.0).key("end_time").int(alert.last.0);
    out.key("count").uint(alert.count);
    let (severity, caption) = severity(alert.severity);
    out.key("severity_id").uint(severity).text("severity", caption);
    let (confidence, caption) = confidence(alert.confidence);
    out.key("confidence_id").uint(confidence).text("confidence", caption);
    let (status, caption) = status(alert.state);
    out.key("status_id").uint(status).text("status", caption);
    let (action, disposition) = action(alert);
    out.key("action_id").uint(action.0).text("action", action.1);
    out.key("disposition_id").uint(disposition.0).text("disposition", disposition.1);
    out.key("is_alert").bool(true);
    out.text("message", &alert.message);
    metadata(&mut out, alert, made);
    finding_info(&mut out, alert, made);
    out.key("resources").open_array().open().text("uid", &alert.agent);
    out.text_if("type", alert.agent_type.as_deref()).close().close_array();
    evidences(&mut out, alert);
    anomaly(&mut out, alert);
    unmapped(&mut out, alert, made);
    out.close();
    out.into_bytes()
}

fn activity(state: State) -> (u64, &'static str) {
    match state {
        State::Open => (1, "Create"),
        State::Update => (2, "Update"),
        State::Closed => (3, "Close"),
    }
}

fn status(state: State) -> (u64, &'static str) {
    match state {
        State::Open | State::Update => (1, "New"),
        State::Closed => (4, "Resolved"),
    }
}

fn severity(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn confidence(confidence: Confidence) -> (u64, &'static str) {
    match confidence {
        Confidence::Low => (1, "Low"),
        Confidence::Medium => (2, "Medium"),
        Confidence::High => (3, "High"),
    }
}

type Caption = (u64, &'static str);

/// What was done to the event, and what became of it.
fn action(alert: &Alert) -> (Caption, Caption) {
    if !alert.enforced {
        return ((3, "Observed"), (15, "Detected"));
    }
    match alert.action {
        Action::Allow => ((1, "Allowed"), (1, "Allowed")),
        Action::Alert => ((1, "Allowed"), (19, "Alert")),
        Action::Redact | Action::Replace => ((4, "Modified"), (11, "Corrected")),
        Action::Retry | Action::Block => ((2, "Denied"), (2, "Blocked")),
    }
}

fn metadata(out: &mut Writer, alert: &Alert, made: &Made<'_>) {
    out.key("metadata").open().text("version", VERSION);
    out.key("product").open().text("name", "Weir").text("vendor_name", "Weir");
    out.text("version", env!("CARGO_PKG_VERSION")).close();
    out.text("uid", &id(alert, made));
    out.text_if("correlation_uid", alert.session.as_deref());
    if !alert.tenant.is_empty() {
        out.text("tenant_uid", &alert.tenant);
    }
    out.texts("profiles", ["security_control"]).close();
}

fn finding_info(out: &mut Writer, alert: &Alert, made: &Made<'_>) {
    let (kind, caption) = match alert.family {
        Family::Behavior => (2, "Behavioral"),
        Family::Classifier => (4, "Learning (ML/DL)"),
        _ => (1, "Rule"),
    };
    out.key("finding_info").open().text("uid", &episode_id(alert, made));
    out.text("title", &alert.message).texts("types", [alert.signal.as_str()]);
    out.key("analytic").open().text("uid", &alert.rule).text("name", &alert.rule);
    out.key("type_id").uint(kind).text("type", caption).text("version", made.pack).close();
    out.key("created_time").int(alert.first.0);
    out.key("first_seen_time").int(alert.first.0).key("last_seen_time").int(alert.last.0);
    out.key("related_events").open_array();
    for id in &alert.event_ids {
        out.open().text("uid", id).close();
    }
    out.close_array();
    if techniques(alert).next().is_some() {
        out.key("attacks").open_array();
        for technique in techniques(alert) {
            out.open().key("technique").open().text("uid", technique).close().close();
        }
        out.close_array();
    }
    out.close();
}

/// Who and what, without a byte of what was matched.
fn evidences(out: &mut Writer, alert: &Alert) {
    if alert.user.is_none() && alert.tool.is_none() && alert.fingerprint.is_none() {
        return;
    }
    out.key("evidences").open_array().open();
    if let Some(user) = &alert.user {
        out.key("actor").open().key("user").open().text("uid", user).close().close();
    }
    if let Some(tool) = &alert.tool {
        out.key("api").open().text("operation", tool).close();
    }
    if let Some(fingerprint) = &alert.fingerprint {
        out.key("data").open().text("fingerprint", fingerprint).close();
    }
    out.close().close_array();
}

/// What was to be expected, and what came.
fn anomaly(out: &mut Writer, alert: &Alert) {
    let (Some(typical), Some(actual)) = (alert.typical, alert.actual) else { return };
    out.key("anomaly_analyses").open_array().open();
    out.key("analysis_targets").open_array().open();
    out.text("name", &alert.agent).text("type", "agent").close().close_array();
    for (list, value) in [("anomalies", actual), ("baselines", typical)] {
        out.key(list).open_array().open().text("observation_parameter", &alert.signal);
        out.key("observations").open_array().open().text("value", &value.to_string());
        out.close().close_array().close().close_array();
    }
    out.close().close_array();
}
