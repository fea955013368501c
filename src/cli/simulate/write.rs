//! Events and labels as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::incidents::Incident;
use super::world::{Agent, CLASSES, Moment, What};
use crate::event::Millis;
use crate::wire::time::rfc3339;

/// One event v1, without a line end. Names are of a closed alphabet and need no escapes.
pub(super) fn event(out: &mut String, agent: &Agent, moment: &Moment) {
    let class = CLASSES[usize::from(agent.class)].name;
    let (kind, number) = match moment.what {
        What::Call => ("tool_call", moment.number),
        What::Result => ("tool_result", moment.number),
    };
    let mut put = |text: std::fmt::Arguments<'_>| {
        out.write_fmt(text).expect("a string can be written to");
    };
    put(format_args!(
        r#"{{"v":1,"id":"{id}:{number}","ts":{ts},"kind":"{kind}","agent":{{"id":"{id}","type":"{class}"}},"session":"{id}/{session}","deployment":{{"id":"r{d}","tools_hash":"t{d}","prompt_hash":"p{d}"}}"#,
        id = agent.id,
        ts = moment.ts,
        session = moment.session,
        d = moment.deployment,
    ));
    match moment.what {
        What::Call => {
            put(format_args!(
                r#","tool":{{"name":"{}","params":{{"query":"order {}""#,
                moment.tool, moment.number
            ));
            if let Some(host) = &moment.destination {
                put(format_args!(r#","url":"https://{host}/inbox""#));
            }
            put(format_args!(
                r#"}}}},"usage":{{"tokens_in":{},"tokens_out":{},"cost_usd":{:.6}}},"latency_ms":{}"#,
                moment.tokens / 2,
                moment.tokens - moment.tokens / 2,
                moment.cost as f64 / 1e6,
                moment.latency_ms
            ));
        }
        What::Result => {
            put(format_args!(
                r#","tool":{{"name":"{}","result":"{}","bytes":{}"#,
                moment.tool,
                if moment.error { "failed" } else { "done" },
                moment.bytes
            ));
            if moment.error {
                put(format_args!(r#","error":"upstream failed""#));
            }
            put(format_args!("}}"));
            if let Some(data) = &moment.data {
                put(format_args!(r#","data_classes":["{data}"]"#));
            }
        }
    }
    put(format_args!("}}"));
}

/// One label.
pub(super) fn label(agent: &Agent, incident: &Incident) -> Value {
    let signals: Vec<String> =
        incident.kind.signals().iter().map(|signal| format!("behavior.{signal}")).collect();
    json!({
        "id": incident.number,
        "kind": incident.kind.name(),
        "agent": agent.id,
        "type": CLASSES[usize::from(agent.class)].name,
        "start": rfc3339(Millis(incident.start)),
        "end": rfc3339(Millis(incident.end)),
        "signals": signals,
    })
}
