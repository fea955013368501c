//! The short form of events in `tests/scenarios`, for every crate that tells the stories.

use serde_json::{Map, Value, json};

/// Words of a step that say what is expected, and are no part of its event.
pub(crate) const EXPECTED: &[&str] = &[
    "then",
    "why",
    "severity",
    "enforced",
    "hold",
    "repeat",
    "retry_within",
    "hint",
    "message",
    "times",
    "figures",
];

/// An event v1 from the short form of a step.
pub(crate) fn written(mut said: Map<String, Value>, offset: i64, now: i64) -> Value {
    let mut take = |name: &str| said.remove(name).filter(|value| !value.is_null());
    let mut tool = Map::new();
    let mut kind = None;
    let mut text = None;
    for (name, is) in [("prompt", "prompt"), ("output", "output")] {
        if let Some(value) = take(name) {
            kind = Some(is);
            text = Some(value);
        }
    }
    for (name, is) in [("call", "tool_call"), ("result", "tool_result")] {
        if let Some(name) = take(name) {
            kind = Some(is);
            tool.insert("name".into(), name);
        }
    }
    for (name, field) in [
        ("params", "params"),
        ("content", "result"),
        ("rows", "rows"),
        ("bytes", "bytes"),
        ("error", "error"),
        ("call_id", "call_id"),
    ] {
        if let Some(value) = take(name) {
            tool.insert(field.into(), value);
        }
    }
    let agent = take("agent").unwrap_or(json!("bot"));
    let mut agent = json!({ "id": agent });
    if let Some(name) = take("type") {
        agent["type"] = name;
    }
    let id = take("id").unwrap_or(json!(format!("e{offset}")));
    let ts = take("ts").unwrap_or(json!(now));
    let kind = kind.expect("a step is one of prompt, output, call, result");
    let mut event = json!({ "v": 1, "id": id, "ts": ts, "kind": kind, "agent": agent });
    if let Some(text) = text {
        event["text"] = text;
    }
    if !tool.is_empty() {
        event["tool"] = Value::Object(tool);
    }
    if let Some(cost) = take("cost_usd") {
        event["usage"] = json!({ "cost_usd": cost });
    }
    for name in ["tenant", "session", "user", "data_classes", "messages", "delegation"] {
        if let Some(value) = take(name) {
            event[name] = value;
        }
    }
    assert!(said.is_empty(), "unknown words in a step: {said:?}");
    event
}
