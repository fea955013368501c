//! Where in a record the fields of an event stand, under any of the three shapes.
//!
//! One table row per field: its name in event v1, which is also its name in a field map,
//! and whether Weir decides by it, so that standing there twice makes the event
//! unreadable: two readers of such a record could disagree about whose it is.

use super::map::{Entry, FieldMap, Pointer};
use crate::wire::json::{Tape, What};

/// The token is known to the schema or part of the event's identity: not scanned.
pub(super) const OURS: u8 = 1;
/// The token is a list of messages, each with a role.
pub(super) const MESSAGES: u8 = 2;
/// What the token holds was said by …
pub(super) const SAID_BY_SYSTEM: u8 = 4;
/// … the user,
pub(super) const SAID_BY_USER: u8 = 8;
/// … the model,
pub(super) const SAID_BY_ASSISTANT: u8 = 16;
/// … the parameters of a tool call,
pub(super) const SAID_BY_CALL: u8 = 32;
/// … the result of a tool.
pub(super) const SAID_BY_RESULT: u8 = 64;
/// The token is `tool.params`: in a tool call, said by that, whatever the event claims.
pub(super) const PARAMS: u8 = 128;

macro_rules! places {
    ($($place:ident $name:literal $deciding:literal),+ $(,)?) => {
        /// A field of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Place { $($place),+ }

        impl Place {
            pub(super) const ALL: &'static [Self] = &[$(Self::$place),+];

            /// The name in messages and field maps.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$place => $name),+ }
            }

            fn deciding(self) -> bool {
                match self { $(Self::$place => $deciding),+ }
            }
        }
    };
}

places! {
    Version "v" false,
    Id "id" true,
    Ts "ts" false,
    Kind "kind" true,
    Tenant "tenant" true,
    Agent "agent" true,
    AgentId "agent.id" true,
    AgentType "agent.type" true,
    Session "session" true,
    User "user" false,
    Delegation "delegation" false,
    Act "act" false,
    Deployment "deployment" false,
    DeploymentId "deployment.id" false,
    PromptHash "deployment.prompt_hash" false,
    ToolsHash "deployment.tools_hash" false,
    Source "source" false,
    Text "text" false,
    Messages "messages" false,
    Tool "tool" true,
    ToolName "tool.name" true,
    ToolCallId "tool.call_id" true,
    ToolParams "tool.params" false,
    ToolResult "tool.result" false,
    ToolRows "tool.rows" false,
    ToolBytes "tool.bytes" false,
    ToolError "tool.error" false,
    Stream "stream" true,
    StreamId "stream.id" true,
    StreamSeq "stream.seq" true,
    StreamLast "stream.last" true,
    Usage "usage" false,
    TokensIn "usage.tokens_in" false,
    TokensOut "usage.tokens_out" false,
    CostUsd "usage.cost_usd" false,
    Model "model" false,
    LatencyMs "latency_ms" false,
    DataClasses "data_classes" false,
    Traceparent "traceparent" false,
    // Fields of records with GenAI attributes only.
    Operation "gen_ai.operation.name" true,
    OutputMessages "gen_ai.output.messages" false,
    UnixNano "timeUnixNano" false,
    SpanId "spanId" false,
}

/// Root members of event v1 that hold no other field of it.
const ROOT: &[(&str, Place)] = &[
    ("v", Place::Version),
    ("id", Place::Id),
    ("ts", Place::Ts),
    ("kind", Place::Kind),
    ("tenant", Place::Tenant),
    ("agent", Place::Agent),
    ("session", Place::Session),
    ("user", Place::User),
    ("delegation", Place::Delegation),
    ("act", Place::Act),
    ("deployment", Place::Deployment),
    ("source", Place::Source),
    ("text", Place::Text),
    ("messages", Place::Messages),
    ("tool", Place::Tool),
    ("stream", Place::Stream),
    ("usage", Place::Usage),
    ("model", Place::Model),
    ("latency_ms", Place::LatencyMs),
    ("data_classes", Place::DataClasses),
    ("traceparent", Place::Traceparent),
];

/// Root members whose names are ours and whose content is only scanned.
const SCANNED: &[&str] = &["trigger", "reasoning", "permissions", "actor", "meta"];

const AGENT: &[(&str, Place)] = &[("id", Place::AgentId), ("type", Place::AgentType)];
const DEPLOYMENT: &[(&str, Place)] = &[
    ("id", Place::DeploymentId),
    ("prompt_hash", Place::PromptHash),
    ("tools_hash", Place::ToolsHash),
];
const TOOL: &[(&str, Place)] = &[
    ("name", Place::ToolName),
    ("call_id", Place::ToolCallId),
    ("params", Place::ToolParams),
    ("result", Place::ToolResult),
    ("rows", Place::ToolRows),
    ("bytes", Place::ToolBytes),
    ("error", Place::ToolError),
];
const STREAM: &[(&str, Place)] =
    &[("id", Place::StreamId), ("seq", Place::StreamSeq), ("last", Place::StreamLast)];
const USAGE: &[(&str, Place)] = &[
    ("tokens_in", Place::TokensIn),
    ("tokens_out", Place::TokensOut),
    ("cost_usd", Place::CostUsd),
];

/// Attribute names of the OpenTelemetry GenAI conventions, at the root or under `attributes`,
/// with the field that each one fills and the tag of its value.
const GEN_AI: &[(&str, Option<Place>, u8)] = &[
    ("gen_ai.operation.name", Some(Place::Operation), OURS),
    ("gen_ai.agent.id", Some(Place::AgentId), 0),
    ("gen_ai.conversation.id", Some(Place::Session), 0),
    ("gen_ai.tool.name", Some(Place::ToolName), 0),
    ("gen_ai.tool.call.id", Some(Place::ToolCallId), 0),
    ("gen_ai.tool.call.arguments", Some(Place::ToolParams), SAID_BY_CALL),
    ("gen_ai.tool.call.result", Some(Place::ToolResult), SAID_BY_RESULT),
    ("gen_ai.system_instructions", None, SAID_BY_SYSTEM),
    ("gen_ai.input.messages", None, MESSAGES | SAID_BY_USER),
    ("gen_ai.output.messages", Some(Place::OutputMessages), MESSAGES | SAID_BY_ASSISTANT),
    ("gen_ai.usage.input_tokens", Some(Place::TokensIn), 0),
    ("gen_ai.usage.output_tokens", Some(Place::TokensOut), 0),
    ("gen_ai.request.model", Some(Place::Model), 0),
];

/// Members beside the attributes that give such a record its id and time.
const SPAN: &[(&str, Place)] = &[
    ("timeUnixNano", Place::UnixNano),
    ("time_unix_nano", Place::UnixNano),
    ("startTimeUnixNano", Place::UnixNano),
    ("start_time_unix_nano", Place::UnixNano),
    ("spanId", Place::SpanId),
    ("span_id", Place::SpanId),
];

/// Where a field's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Found<'m> {
    /// Nowhere.
    #[default]
    Missing,
    /// At this token.
    Token(u32),
    /// In the field map itself: a string.
    Constant(&'m str),
}

/// The place of every field of one record.
#[derive(Debug)]
pub(super) struct Places<'m> {
    found: [Found<'m>; Place::ALL.len()],
    duplicate: [bool; Place::ALL.len()],
    /// The record is foreign and read through a map.
    pub(super) mapped: bool,
    /// The record has GenAI attributes.
    pub(super) gen_ai: bool,
    /// What foreign records call their kinds, and what that means.
    pub(super) kinds: &'m [(String, String)],
}

impl<'m> Places<'m> {
    /// Looks through the record once. Marks the names that are ours.
    pub(super) fn find(tape: &mut Tape<'_>, map: &'m FieldMap) -> Self {
        let mut places = Self {
            found: [Found::Missing; Place::ALL.len()],
            duplicate: [false; Place::ALL.len()],
            mapped: !map.is_empty(),
            gen_ai: false,
            kinds: &[],
        };
        if places.mapped {
            places.foreign(tape, map);
        } else {
            places.native(tape);
        }
        places
    }

    /// Where this field is.
    pub(super) fn get(&self, place: Place) -> Found<'m> {
        self.found[place as usize]
    }

    /// Whether the field stands there more than once.
    pub(super) fn is_duplicate(&self, place: Place) -> bool {
        self.duplicate[place as usize]
    }

    /// The first field that Weir decides by and that stands there twice.
    pub(super) fn deciding_duplicate(&self) -> Option<Place> {
        Place::ALL.iter().copied().find(|place| place.deciding() && self.is_duplicate(*place))
    }

    fn set(&mut self, place: Place, found: Found<'m>) {
        let slot = &mut self.found[place as usize];
        if *slot != Found::Missing {
            self.duplicate[place as usize] = true;
        }
        *slot = found;
    }

    fn native(&mut self, tape: &mut Tape<'_>) {
        let mut at = member(tape, 0, 0);
        while let Some((key, value)) = at {
            let name = tape.string(key);
            if let Some(place) = lookup(ROOT, &name) {
                tape.tag(key, OURS);
                self.set(place, Found::Token(value));
                match place {
                    Place::Agent => self.inner(tape, value, AGENT),
                    Place::Deployment => self.inner(tape, value, DEPLOYMENT),
                    Place::Tool => self.inner(tape, value, TOOL),
                    Place::Stream => self.inner(tape, value, STREAM),
                    Place::Usage => self.inner(tape, value, USAGE),
                    Place::Messages => tape.tag(value, MESSAGES),
                    _ => {}
                }
            } else if SCANNED.contains(&name.as_ref()) {
                tape.tag(key, OURS);
            } else if name.starts_with("gen_ai.") {
                self.attribute(tape, &name, key, value);
            } else if name == "attributes" {
                self.attributes(tape, key, value);
            } else if let Some(place) = lookup(SPAN, &name) {
                self.set(place, Found::Token(value));
            }
            at = member(tape, 0, tape.after(value));
        }
    }

    fn inner(&mut self, tape: &mut Tape<'_>, object: u32, names: &[(&str, Place)]) {
        let mut at = member(tape, object, 0);
        while let Some((key, value)) = at {
            if let Some(place) = lookup(names, &tape.string(key)) {
                tape.tag(key, OURS);
                if place == Place::ToolParams {
                    tape.tag(value, PARAMS);
                }
                self.set(place, Found::Token(value));
            }
            at = member(tape, object, tape.after(value));
        }
    }

    fn attributes(&mut self, tape: &mut Tape<'_>, key: u32, object: u32) {
        let mut at = member(tape, object, 0);
        while let Some((name_key, value)) = at {
            let name = tape.string(name_key);
            if name.starts_with("gen_ai.") {
                tape.tag(key, OURS);
                self.attribute(tape, &name, name_key, value);
            }
            at = member(tape, object, tape.after(value));
        }
    }

    fn attribute(&mut self, tape: &mut Tape<'_>, name: &str, key: u32, value: u32) {
        let Some((_, place, tag)) = GEN_AI.iter().find(|(known, ..)| *known == name) else {
            return;
        };
        self.gen_ai = true;
        tape.tag(key, OURS);
        tape.tag(value, *tag);
        if let Some(place) = place {
            self.set(*place, Found::Token(value));
        }
    }

    fn foreign(&mut self, tape: &mut Tape<'_>, map: &'m FieldMap) {
        for (place, entry) in map.entries() {
            match entry {
                Entry::Constant(text) => self.set(place, Found::Constant(text)),
                Entry::At { pointer, values } => {
                    for token in resolve(tape, pointer) {
                        match place {
                            Place::Messages => tape.tag(token, MESSAGES),
                            Place::ToolParams => tape.tag(token, PARAMS),
                            _ => {}
                        }
                        self.set(place, Found::Token(token));
                    }
                    if place == Place::Kind {
                        self.kinds = values;
                    }
                }
            }
        }
    }
}

fn lookup(names: &[(&str, Place)], name: &str) -> Option<Place> {
    names.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
}

/// The member of `object` at token `at` (0: the first one). The tape may be marked between calls.
fn member(tape: &Tape<'_>, object: u32, at: u32) -> Option<(u32, u32)> {
    if tape.what(object) != Some(What::Object) {
        return None;
    }
    let key = at.max(object + 1);
    (key + 1 < tape.after(object)).then_some((key, key + 1))
}

/// All values that a pointer leads to: more than one where a name on its way is there twice.
/// The names on the way belong to the map, and are not scanned.
fn resolve(tape: &mut Tape<'_>, pointer: &Pointer) -> Vec<u32> {
    let mut here = vec![0];
    for step in pointer.steps() {
        let mut next = Vec::new();
        for token in here {
            if tape.what(token) == Some(What::Array) {
                let element = step.parse().ok().and_then(|index| tape.elements(token).nth(index));
                next.extend(element);
                continue;
            }
            let found: Vec<_> =
                tape.members(token).filter(|(key, _)| tape.string(*key) == *step).collect();
            for (key, value) in found {
                tape.tag(key, OURS);
                next.push(value);
            }
        }
        here = next;
    }
    here
}
