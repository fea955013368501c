//! What Weir is asked to judge: one event, as values.
//!
//! An [`Event`] borrows from the bytes of its record wherever it can, so that reading
//! a prompt copies only strings that hold escapes. How an event is read from JSON is
//! `wire`'s business; nothing here knows a format, a clock or a topic.

use std::borrow::Cow;
use std::fmt;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    /// The instant `ms` milliseconds later, saturating at the ends of time.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Text on its way to a model.
    Prompt,
    /// A model's whole answer.
    Output,
    /// A part of a model's answer; see [`Stream`].
    OutputChunk,
    /// An agent asks for a tool to be run.
    ToolCall,
    /// What a tool answered.
    ToolResult,
}

impl Kind {
    /// Every kind, in the order in which documentation lists them.
    pub const ALL: [Self; 5] =
        [Self::Prompt, Self::Output, Self::OutputChunk, Self::ToolCall, Self::ToolResult];

    /// The name on the wire and in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Output => "output",
            Self::OutputChunk => "output_chunk",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
        }
    }

    /// The kind of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who speaks in a string: rules select by it (`on:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Instructions of the application's owner.
    System,
    /// The person, or the program that speaks for one.
    User,
    /// The model.
    Assistant,
    /// Parameters of a tool call.
    ToolCall,
    /// What a tool returned.
    ToolResult,
    /// Documents fetched for the model to read.
    Retrieved,
}

impl Carrier {
    /// Every carrier.
    pub const ALL: [Self; 6] = [
        Self::System,
        Self::User,
        Self::Assistant,
        Self::ToolCall,
        Self::ToolResult,
        Self::Retrieved,
    ];

    /// The name in rules and in `source`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Retrieved => "retrieved",
        }
    }

    /// The carrier of that name; `tool` is read as `tool_result`, `document` and `rag` as `retrieved`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "tool" => Some(Self::ToolResult),
            "document" | "rag" => Some(Self::Retrieved),
            _ => Self::ALL.into_iter().find(|carrier| carrier.name() == name),
        }
    }

    /// The carrier of a string that names none, by the kind of its event.
    #[must_use]
    pub fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Prompt => Self::User,
            Kind::Output | Kind::OutputChunk => Self::Assistant,
            Kind::ToolCall => Self::ToolCall,
            Kind::ToolResult => Self::ToolResult,
        }
    }

    /// The kind of event in which such a string is met first.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::System | Self::User | Self::Retrieved => Kind::Prompt,
            Self::Assistant => Kind::Output,
            Self::ToolCall => Kind::ToolCall,
            Self::ToolResult => Kind::ToolResult,
        }
    }
}

/// Where in its JSON object a scanned string stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A string value.
    Value,
    /// The name of a member.
    Key,
    /// A number, as written. When edited it becomes a string.
    Number,
}

/// A range of bytes in the record as it came from the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordSpan {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A range of bytes in a string value after unescaping, the space in which findings are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawSpan {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl RawSpan {
    /// Length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether the span holds no byte.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Whether the two share a byte.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// One step of a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'r> {
    /// A member's name, unescaped.
    Key(Cow<'r, str>),
    /// A position in an array.
    Index(usize),
}

/// A container's or value's place in the tree; `parent` is `None` for a member of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'r> {
    /// Index into [`Event::nodes`] of what holds this one.
    pub parent: Option<u32>,
    /// Name or position in the parent.
    pub segment: Segment<'r>,
}

/// One scanned string of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'r> {
    /// Index into [`Event::nodes`]: the value's own place (for a key, the member that it names).
    pub node: u32,
    /// Value, key or number.
    pub place: Place,
    /// Who speaks.
    pub carrier: Carrier,
    /// The string, unescaped; a lone surrogate reads as U+FFFD.
    pub text: Cow<'r, str>,
    /// The token in the record, quotation marks included.
    pub token: RecordSpan,
}

/// The tool of a `tool_call` or `tool_result`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool<'r> {
    /// Its name, as policies list it.
    pub name: Cow<'r, str>,
    /// Joins a result to its call.
    pub call_id: Option<Cow<'r, str>>,
    /// Rows returned or touched, as the runtime counted them.
    pub rows: Option<u64>,
    /// Bytes returned, as the runtime counted them.
    pub bytes: Option<u64>,
    /// Whether the runtime reported an error.
    pub error: bool,
    /// Parameters of a `tool_call`, value by value; empty for results.
    pub params: Params<'r>,
}

/// The parameters of a call, as policies are asked about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params<'r> {
    /// Every value and every container, in record order.
    pub values: Vec<Param<'r>>,
    /// Parameters were given that cannot be read as values: a string that is not JSON, or a
    /// second `params` beside the first. Nothing can be promised about them.
    pub unclear: bool,
}

/// One value of a call's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param<'r> {
    /// RFC 6901 pointer from the parameters on, such as `/to/0`; empty for the whole.
    pub path: String,
    /// The value.
    pub value: ParamValue<'r>,
    /// Index into [`Event::fields`] of what is scanned and can be cut; `None` where the
    /// value has no string of its own there.
    pub field: Option<u32>,
}

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue<'r> {
    /// A string, unescaped.
    Text(Cow<'r, str>),
    /// A number, as written.
    Number(Cow<'r, str>),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
    /// An array of so many elements; they follow.
    List(usize),
    /// An object; its members follow.
    Object,
}

impl Field<'_> {
    fn into_owned(self) -> Field<'static> {
        let Self { node, place, carrier, text, token } = self;
        Field { node, place, carrier, text: owned(text), token }
    }
}

impl Node<'_> {
    fn into_owned(self) -> Node<'static> {
        let segment = match self.segment {
            Segment::Key(key) => Segment::Key(owned(key)),
            Segment::Index(index) => Segment::Index(index),
        };
        Node { parent: self.parent, segment }
    }
}

impl Tool<'_> {
    fn into_owned(self) -> Tool<'static> {
        let Self { name, call_id, rows, bytes, error, params } = self;
        let values = params.values.into_iter().map(|param| Param {
            path: param.path,
            value: match param.value {
                ParamValue::Text(text) => ParamValue::Text(owned(text)),
                ParamValue::Number(number) => ParamValue::Number(owned(number)),
                ParamValue::Bool(value) => ParamValue::Bool(value),
                ParamValue::Null => ParamValue::Null,
                ParamValue::List(length) => ParamValue::List(length),
                ParamValue::Object => ParamValue::Object,
            },
            field: param.field,
        });
        let params = Params { values: values.collect(), unclear: params.unclear };
        Tool { name: owned(name), call_id: call_id.map(owned), rows, bytes, error, params }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    match text {
        Cow::Borrowed("") => Cow::Borrowed(""),
        text => Cow::Owned(text.into_owned()),
    }
}

/// A chunk's place in a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream<'r> {
    /// The answer.
    pub id: Cow<'r, str>,
    /// Position, counted from 0.
    pub seq: u64,
    /// Whether this is the final chunk.
    pub last: bool,
    /// Index into [`Event::fields`] of the chunk's text; set for every `output_chunk`.
    pub text: Option<u32>,
    /// Halves of characters that were cut in two between chunks.
    pub halves: Halves,
}

/// Halves of UTF-16 surrogate pairs at the ends of a chunk: a sender that cuts text between the
/// two escapes of one character. Each reads as U+FFFD in the chunk's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halves {
    /// The text begins with this second half.
    pub low: Option<u16>,
    /// The text ends with this first half.
    pub high: Option<u16>,
}

/// Tokens and money, as the sender counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read by the model.
    pub tokens_in: Option<u64>,
    /// Tokens written by the model.
    pub tokens_out: Option<u64>,
    /// Cost in millionths of a US dollar.
    pub cost_micro_usd: Option<u64>,
}

/// The version of prompt and tools that an agent runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment<'r> {
    /// Name of the deployment.
    pub id: Option<Cow<'r, str>>,
    /// Hash of the system prompt.
    pub prompt_hash: Option<Cow<'r, str>>,
    /// Hash of the tool list.
    pub tools_hash: Option<Cow<'r, str>>,
}

/// No `act` claim nests more actors than this; RFC 8693 sets no limit.
pub const ACTORS_MAX: usize = 16;

/// One party of a chain of delegation, as an `act` claim names it (RFC 8693, 4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor<'r> {
    /// Whom the claim is about; at least one character.
    pub sub: Cow<'r, str>,
    /// Who vouches for `sub`, where the chain crosses issuers.
    pub iss: Option<Cow<'r, str>>,
}

impl Actor<'_> {
    fn into_owned(self) -> Actor<'static> {
        Actor { sub: owned(self.sub), iss: self.iss.map(owned) }
    }
}

/// One event, version 1.
///
/// `'r` is the lifetime of the record's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'r> {
    /// The sender's id for it; at least one character.
    pub id: Cow<'r, str>,
    /// When it happened, by the sender's clock: a claim, never trusted alone.
    pub ts: Millis,
    /// What happened.
    pub kind: Kind,
    /// Empty when the deployment has one tenant.
    pub tenant: Cow<'r, str>,
    /// Whose event this is; at least one character.
    pub agent: Cow<'r, str>,
    /// The class of agent, for policies and priors.
    pub agent_type: Option<Cow<'r, str>>,
    /// The conversation or run.
    pub session: Option<Cow<'r, str>>,
    /// Whom the agent serves.
    pub user: Option<Cow<'r, str>>,
    /// Who acts for whom, outermost first.
    pub delegation: Vec<Cow<'r, str>>,
    /// Who acts, as an RFC 8693 `act` claim says it: the current actor first, then whoever
    /// acted before, at most [`ACTORS_MAX`].
    pub act: Vec<Actor<'r>>,
    /// Set for `tool_call` and `tool_result`.
    pub tool: Option<Tool<'r>>,
    /// Set for `output_chunk`.
    pub stream: Option<Stream<'r>>,
    /// Prompt and tool versions.
    pub deployment: Deployment<'r>,
    /// Tokens and cost.
    pub usage: Usage,
    /// The model's name.
    pub model: Option<Cow<'r, str>>,
    /// The event's own latency, by the sender.
    pub latency_ms: Option<u64>,
    /// Classes of data that the sender says were touched.
    pub data_classes: Vec<Cow<'r, str>>,
    /// W3C trace context, for senders that put it in the body and not in a header.
    pub traceparent: Option<Cow<'r, str>>,
    /// Every string to scan, in record order.
    pub fields: Vec<Field<'r>>,
    /// Places of the fields; see [`Event::pointer`].
    pub nodes: Vec<Node<'r>>,
}

impl<'r> Event<'r> {
    /// An event that says nothing but what every event must say.
    #[must_use]
    pub fn new(kind: Kind, id: Cow<'r, str>, agent: Cow<'r, str>, ts: Millis) -> Self {
        Self {
            id,
            ts,
            kind,
            tenant: Cow::Borrowed(""),
            agent,
            agent_type: None,
            session: None,
            user: None,
            delegation: Vec::new(),
            act: Vec::new(),
            tool: None,
            stream: None,
            deployment: Deployment::default(),
            usage: Usage::default(),
            model: None,
            latency_ms: None,
            data_classes: Vec::new(),
            traceparent: None,
            fields: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Adds a string that no record holds: a member of the root, to be scanned.
    pub fn push_text(&mut self, key: Cow<'r, str>, text: Cow<'r, str>, carrier: Carrier) {
        let node = self.nodes.len() as u32;
        self.nodes.push(Node { parent: None, segment: Segment::Key(key) });
        let (place, token) = (Place::Value, RecordSpan::default());
        self.fields.push(Field { node, place, carrier, text, token });
    }

    /// The same event with bytes of its own, for where it must outlive its record's.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            id: owned(self.id),
            ts: self.ts,
            kind: self.kind,
            tenant: owned(self.tenant),
            agent: owned(self.agent),
            agent_type: self.agent_type.map(owned),
            session: self.session.map(owned),
            user: self.user.map(owned),
            delegation: self.delegation.into_iter().map(owned).collect(),
            act: self.act.into_iter().map(Actor::into_owned).collect(),
            tool: self.tool.map(Tool::into_owned),
            stream: self.stream.map(|stream| Stream {
                id: owned(stream.id),
                seq: stream.seq,
                last: stream.last,
                text: stream.text,
                halves: stream.halves,
            }),
            deployment: Deployment {
                id: self.deployment.id.map(owned),
                prompt_hash: self.deployment.prompt_hash.map(owned),
                tools_hash: self.deployment.tools_hash.map(owned),
            },
            usage: self.usage,
            model: self.model.map(owned),
            latency_ms: self.latency_ms,
            data_classes: self.data_classes.into_iter().map(owned).collect(),
            traceparent: self.traceparent.map(owned),
            fields: self.fields.into_iter().map(Field::into_owned).collect(),
            nodes: self.nodes.into_iter().map(Node::into_owned).collect(),
        }
    }

    /// The RFC 6901 JSON pointer of a node, such as `/tool/params/to/0`.
    #[must_use]
    pub fn pointer(&self, node: u32) -> String {
        let mut path = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at.and_then(|index| self.nodes.get(index as usize)) {
            path.push(&node.segment);
            at = node.parent;
        }
        let mut out = String::new();
        for segment in path.into_iter().rev() {
            out.push('/');
            match segment {
                Segment::Index(index) => out.push_str(&index.to_string()),
                Segment::Key(key) => {
                    for c in key.chars() {
                        match c {
                            '~' => out.push_str("~0"),
                            '/' => out.push_str("~1"),
                            c => out.push(c),
                        }
                    }
                }
            }
        }
        out
    }

    /// The names that lead to a node, innermost first, at most three: the key of the
    /// value and its two parent keys. They count as context words at distance 0.
    pub fn context_keys(&self, node: u32) -> impl Iterator<Item = &str> {
        let mut at = Some(node);
        std::iter::from_fn(move || {
            loop {
                let node = self.nodes.get(at? as usize)?;
                at = node.parent;
                if let Segment::Key(key) = &node.segment {
                    return Some(key.as_ref());
                }
            }
        })
        .take(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_and_name_their_path() {
        let node = |parent, segment| Node { parent, segment };
        let mut event = Event::new(Kind::Prompt, "e".into(), "a".into(), Millis(0));
        event.nodes = vec![
            node(None, Segment::Key("a/b".into())),
            node(Some(0), Segment::Index(3)),
            node(Some(1), Segment::Key("~x".into())),
        ];
        assert_eq!(event.pointer(2), "/a~1b/3/~0x");
        assert_eq!(event.context_keys(2).collect::<Vec<_>>(), ["~x", "a/b"]);
    }
}
