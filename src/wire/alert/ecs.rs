//! Elastic Common Schema, for those whose SIEM reads that and not OCSF.
//!
//! Only the fields that Elastic asks of an alert, and those with an exact meaning there;
//! everything else is in `unmapped.weir`, which is the same in both formats.

use super::{Made, episode_id, id, techniques, unmapped};
use crate::alert::Alert;
use crate::finding::{Action, Severity};
use crate::wire::json::Writer;
use crate::wire::time::rfc3339;

const VERSION: &str = "8.17.0";

/// Writes the alert.
#[must_use]
pub fn ecs(alert: &Alert, made: &Made<'_>) -> Vec<u8> {
    let held = matches!(alert.action, Action::Block | Action::Retry) && alert.enforced;
    let mut out = Writer::with_capacity(1536);
    out.open();
    out.text("@timestamp", &rfc3339(alert.time));
    out.key("ecs").open().text("version", VERSION).close();
    out.text("message", &alert.message);
    out.key("event").open().text("kind", "alert");
    out.texts("category", ["intrusion_detection"]);
    out.texts("type", [if held { "denied" } else { "info" }]);
    out.text("id", &id(alert, made)).text("action", alert.action.name());
    out.key("severity").uint(severity(alert.severity));
    out.text("start", &rfc3339(alert.first)).text("end", &rfc3339(alert.last));
    out.text("provider", "weir").text("dataset", "weir.alerts").close();
    out.key("rule").open().text("id", &alert.rule).text("name", &alert.rule);
    out.text("category", alert.family.name()).text("version", made.pack);
    out.text("uuid", &episode_id(alert, made)).close();
    out.key("observer").open().text("vendor", "Weir").text("product", "Weir");
    out.text("version", env!("CARGO_PKG_VERSION")).close();
    if techniques(alert).next().is_some() {
        out.key("threat").open().text("framework", "MITRE ATLAS");
        out.key("technique").open().texts("id", techniques(alert)).close().close();
    }
    if !alert.tags.is_empty() {
        out.texts("tags", alert.tags.iter().map(String::as_str));
    }
    if let Some(user) = &alert.user {
        out.key("user").open().text("id", user).close();
    }
    if !alert.tenant.is_empty() {
        out.key("organization").open().text("id", &alert.tenant).close();
    }
    unmapped(&mut out, alert, made);
    out.close();
    out.into_bytes()
}

/// Elastic's own scale of risk, from 0 to 100.
fn severity(severity: Severity) -> u64 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 21,
        Severity::Medium => 47,
        Severity::High => 73,
        Severity::Critical => 99,
    }
}
