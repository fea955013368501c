//! Lists every string of a record that is to be scanned, with its place and who says it.
//!
//! Values, keys and numbers at any depth, known fields and unknown ones, save what
//! identifies the event and the names of the schema itself. The walk keeps its own
//! stack, so that depth is bounded by the reader's limit and not by the thread's stack.

use std::borrow::Cow;

use super::places::{
    Found, MESSAGES, OURS, PARAMS, Place as FieldPlace, Places, SAID_BY_ASSISTANT, SAID_BY_CALL,
    SAID_BY_RESULT, SAID_BY_SYSTEM, SAID_BY_USER,
};
use crate::event::{Carrier, Event, Field, Kind, Node, Place, RecordSpan, Segment};
use crate::wire::json::{Tape, Token, What};

/// A container on the way.
struct Frame {
    /// The next token inside.
    at: u32,
    /// The first token outside.
    end: u32,
    node: Option<u32>,
    carrier: Carrier,
    holds: Holds,
    index: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Members,
    /// Members of one message: the names `role`, `content` and `parts` are the schema's.
    MessageMembers,
    Elements,
    Messages,
}

/// Fills `event.fields` and `event.nodes`.
pub(super) fn list<'r>(tape: &Tape<'r>, places: &Places<'_>, event: &mut Event<'r>) {
    let carrier = source(tape, places).unwrap_or(Carrier::of_kind(event.kind));
    event.fields.reserve(tape.len() as usize / 2);
    event.nodes.reserve(tape.len() as usize / 2);
    let mut stack = vec![Frame {
        at: 1,
        end: tape.after(0),
        node: None,
        carrier,
        holds: Holds::Members,
        index: 0,
    }];
    while let Some(frame) = stack.last_mut() {
        if frame.at >= frame.end {
            stack.pop();
            continue;
        }
        if let Some(inside) = step(tape, frame, event) {
            stack.push(inside);
        }
    }
}

/// Lists one member or element; returns it if it is a container to go into.
fn step<'r>(tape: &Tape<'r>, frame: &mut Frame, event: &mut Event<'r>) -> Option<Frame> {
    let named = matches!(frame.holds, Holds::Members | Holds::MessageMembers);
    let (key, at) = if named { (Some(frame.at), frame.at + 1) } else { (None, frame.at) };
    frame.at = tape.after(at);
    let index = frame.index;
    frame.index += 1;
    let value = tape.get(at)?;
    let key_token = key.and_then(|key| tape.get(key));
    let name = key.map(|key| tape.string(key));
    let key_is_ours = match (&name, key_token) {
        (Some(name), Some(token)) => {
            token.tag & OURS != 0
                || (frame.holds == Holds::MessageMembers
                    && matches!(name.as_ref(), "role" | "content" | "parts"))
        }
        _ => true,
    };
    let skip_value = value.tag & OURS != 0;
    if key_is_ours && skip_value {
        return None;
    }
    let carrier = said_by(value, event.kind).unwrap_or(frame.carrier);
    let carrier = match frame.holds {
        Holds::Messages => role(tape, at).unwrap_or(carrier),
        _ => carrier,
    };
    let node = event.nodes.len() as u32;
    let segment = match &name {
        Some(name) => Segment::Key(name.clone()),
        None => Segment::Index(index),
    };
    event.nodes.push(Node { parent: frame.node, segment });
    let mut field = |token: &Token, place, text: Cow<'r, str>| {
        let token = RecordSpan { start: token.start as usize, end: token.end as usize };
        event.fields.push(Field { node, place, carrier, text, token });
    };
    if let (false, Some(token), Some(name)) = (key_is_ours, key_token, name) {
        field(token, Place::Key, name);
    }
    if skip_value {
        return None;
    }
    match value.what {
        What::String => field(value, Place::Value, tape.string(at)),
        What::Number => field(value, Place::Number, Cow::Borrowed(tape.written(at))),
        What::Object | What::Array => {
            let holds = match (value.what, frame.holds) {
                (What::Array, _) if value.tag & MESSAGES != 0 => Holds::Messages,
                (What::Array, _) => Holds::Elements,
                (_, Holds::Messages) => Holds::MessageMembers,
                _ => Holds::Members,
            };
            return Some(Frame {
                at: at + 1,
                end: tape.after(at),
                node: Some(node),
                carrier,
                holds,
                index: 0,
            });
        }
        What::Key | What::True | What::False | What::Null => {}
    }
    None
}

/// What the event itself says about who speaks. Said twice is not said.
fn source(tape: &Tape<'_>, places: &Places<'_>) -> Option<Carrier> {
    match places.get(FieldPlace::Source) {
        _ if places.is_duplicate(FieldPlace::Source) => None,
        Found::Constant(name) => Carrier::from_name(name),
        Found::Token(token) if tape.what(token) == Some(What::String) => {
            Carrier::from_name(&tape.string(token))
        }
        _ => None,
    }
}

fn said_by(value: &Token, kind: Kind) -> Option<Carrier> {
    // A `source` of `system` must not lift parameters out of the rules for tool calls.
    if kind == Kind::ToolCall && value.tag & PARAMS != 0 {
        return Some(Carrier::ToolCall);
    }
    [
        (SAID_BY_SYSTEM, Carrier::System),
        (SAID_BY_USER, Carrier::User),
        (SAID_BY_ASSISTANT, Carrier::Assistant),
        (SAID_BY_CALL, Carrier::ToolCall),
        (SAID_BY_RESULT, Carrier::ToolResult),
    ]
    .into_iter()
    .find(|(tag, _)| value.tag & tag != 0)
    .map(|(_, carrier)| carrier)
}

/// The speaker of a message. Two roles are none: readers of the record could disagree which one holds.
fn role(tape: &Tape<'_>, message: u32) -> Option<Carrier> {
    let mut roles = tape.members(message).filter(|(key, _)| tape.string(*key) == "role");
    let (_, value) = roles.next()?;
    if roles.next().is_some() || tape.what(value) != Some(What::String) {
        return None;
    }
    match tape.string(value).as_ref() {
        "developer" => Some(Carrier::System),
        "human" => Some(Carrier::User),
        "model" | "ai" | "bot" => Some(Carrier::Assistant),
        "function" => Some(Carrier::ToolResult),
        name => Carrier::from_name(name),
    }
}
