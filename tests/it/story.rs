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
    "clean",
    "through",
    "ended",
    "so_far",
    "not_told",
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
    let mut stream = None;
    if let Some(value) = take("chunk") {
        kind = Some("output_chunk");
        text = Some(value);
        // `a 0` is chunk 0 of stream a, and `a 1 last` the one that ends it.
        let place = take("of").expect("a chunk says `of` which stream and where it stands");
        let words: Vec<&str> = place.as_str().expect("text").split(' ').collect();
        let seq: u64 = words[1].parse().expect("a place is a number");
        let last = words.get(2).is_some_and(|word| *word == "last");
        stream = Some(json!({ "id": words[0], "seq": seq, "last": last }));
    }
    let agent = take("agent").unwrap_or(json!("bot"));
    let mut agent = json!({ "id": agent });
    if let Some(name) = take("type") {
        agent["type"] = name;
    }
    let id = take("id").unwrap_or(json!(format!("e{offset}")));
    let ts = take("ts").unwrap_or(json!(now));
    let kind = kind.expect("a step is one of prompt, output, chunk, call, result");
    let mut event = json!({ "v": 1, "id": id, "ts": ts, "kind": kind, "agent": agent });
    if let Some(text) = text {
        event["text"] = text;
    }
    if let Some(stream) = stream {
        event["stream"] = stream;
    }
    if !tool.is_empty() {
        event["tool"] = Value::Object(tool);
    }
    if let Some(cost) = take("cost_usd") {
        event["usage"] = json!({ "cost_usd": cost });
    }
    if let Some(source) = take("source") {
        event["source"] = source;
    }
    for name in
        ["meta", "tenant", "session", "user", "data_classes", "messages", "delegation", "act"]
    {
        if let Some(value) = take(name) {
            event[name] = value;
        }
    }
    assert!(said.is_empty(), "unknown words in a step: {said:?}");
    event
}
