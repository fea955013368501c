//! Scopes in keys and values of control records.
//!
//! In a key, parts are joined with `/` and escaped so that no id can pass for two parts:
//! `agent/<tenant>/<agent>`, with an empty tenant as nothing between the bars.

use serde_json::Value;

use crate::policy::Scope;
use crate::wire::json::Writer;

/// The scope's part of a record key.
pub(super) fn to_key(scope: &Scope) -> String {
    let join = |name: &str, parts: &[&str]| {
        parts.iter().fold(name.to_owned(), |key, part| key + "/" + &escaped(part))
    };
    match scope {
        Scope::All => "all".to_owned(),
        Scope::Tenant(tenant) => join("tenant", &[tenant]),
        Scope::Type(class) => join("type", &[class]),
        Scope::Agent(tenant, agent) => join("agent", &[tenant, agent]),
        Scope::Session(tenant, agent, session) => join("session", &[tenant, agent, session]),
    }
}

/// `%` and `/` as in a URL; nothing else needs it, since keys are bytes.
pub(super) fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace('/', "%2F")
}

/// The `scope` member of a record's value.
pub(super) fn write(out: &mut Writer, scope: &Scope) {
    out.key("scope").open();
    match scope {
        Scope::All => {
            out.key("all").bool(true);
        }
        Scope::Tenant(tenant) => {
            out.text("tenant", tenant);
        }
        Scope::Type(class) => {
            out.text("type", class);
        }
        Scope::Agent(tenant, agent) => {
            out.text("tenant", tenant).text("agent", agent);
        }
        Scope::Session(tenant, agent, session) => {
            out.text("tenant", tenant).text("agent", agent).text("session", session);
        }
    }
    out.close();
}

/// Reads what [`write`] wrote. Members that it does not know make it unreadable: an order
/// whose scope is narrower than it seems must not be obeyed for more.
pub(super) fn read(value: Option<&Value>) -> Option<Scope> {
    let members = value?.as_object()?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let names: Vec<&str> = {
        let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    };
    match names.as_slice() {
        ["all"] => (members.get("all")? == &Value::Bool(true)).then_some(Scope::All),
        ["tenant"] => Some(Scope::Tenant(text("tenant")?)),
        ["type"] => Some(Scope::Type(text("type")?)),
        ["agent"] => Some(Scope::Agent(String::new(), text("agent")?)),
        ["agent", "tenant"] => Some(Scope::Agent(text("tenant")?, text("agent")?)),
        ["agent", "session"] => {
            Some(Scope::Session(String::new(), text("agent")?, text("session")?))
        }
        ["agent", "session", "tenant"] => {
            Some(Scope::Session(text("tenant")?, text("agent")?, text("session")?))
        }
        _ => None,
    }
}
