//! Takes the values of an event from their places, checking types on the way.
//!
//! A `null` is the same as an absent field. Every token that is taken as part of the
//! event's identity is marked, so that it is not scanned; where a field that Weir does
//! not decide by stands there twice, the last one is taken and the others are scanned.

#[path = "act.rs"]
mod act;

use std::borrow::Cow;

use super::places::{Found, OURS, Place, Places};
use super::{ReadLimits, Unreadable, UnreadableReason as Reason};
use crate::event::{Deployment, Event, Halves, Kind, Millis, Params, Stream, Tool, Usage};
use crate::wire::json::{Tape, What};

type Result<T> = std::result::Result<T, Unreadable>;

fn wrong_type(place: Place, expected: &str) -> Unreadable {
    Unreadable::new(Reason::WrongType, format!("`{}` must be {expected}", place.name()))
}

fn missing(place: Place) -> Unreadable {
    let reason = if place == Place::AgentId { Reason::MissingAgent } else { Reason::MissingField };
    Unreadable::new(reason, format!("`{}` is missing", place.name()))
}

/// One field's raw value.
enum Raw<'r> {
    Text(Cow<'r, str>),
    Number(&'r str),
    Bool(bool),
    Container,
}

struct Taker<'t, 'r> {
    tape: &'t mut Tape<'r>,
    places: &'t Places<'t>,
    limits: &'t ReadLimits,
}

/// The event without its strings to scan.
pub(super) fn event<'r>(
    tape: &mut Tape<'r>,
    places: &Places<'_>,
    limits: &ReadLimits,
) -> Result<Event<'r>> {
    if let Some(place) = places.deciding_duplicate() {
        let message = format!("`{}` stands there more than once", place.name());
        return Err(Unreadable::new(Reason::DuplicateKey, message));
    }
    let mut fields = Taker { tape, places, limits };
    fields.version()?;
    fields.containers()?;
    let id = match fields.id(Place::Id)? {
        None if places.gen_ai => fields.id(Place::SpanId)?,
        id => id,
    };
    let id = id.ok_or_else(|| missing(Place::Id))?;
    let agent = fields.id(Place::AgentId)?.ok_or_else(|| missing(Place::AgentId))?;
    let kind = fields.kind()?;
    let ts = fields.ts()?;
    let mut event = Event::new(kind, id, agent, ts);
    event.tenant = fields.id(Place::Tenant)?.unwrap_or_default();
    event.agent_type = fields.id(Place::AgentType)?;
    event.session = fields.id(Place::Session)?;
    event.user = fields.id(Place::User)?;
    event.delegation = fields.delegation()?;
    event.act = act::actors(&mut fields)?;
    event.deployment = Deployment {
        id: fields.id(Place::DeploymentId)?,
        prompt_hash: fields.id(Place::PromptHash)?,
        tools_hash: fields.id(Place::ToolsHash)?,
    };
    event.traceparent = fields.id(Place::Traceparent)?;
    event.tool = fields.tool(kind)?;
    event.stream = fields.stream(kind)?;
    event.usage = fields.usage()?;
    event.model = fields.string(Place::Model)?;
    event.latency_ms = fields.float(Place::LatencyMs)?.map(|ms| ms as u64);
    event.data_classes = fields.strings(Place::DataClasses)?;
    fields.texts(kind)?;
    Ok(event)
}

/// A string that stands in its place once, for the best effort to name an unreadable record.
pub(super) fn certain_string(
    tape: &Tape<'_>,
    places: &Places<'_>,
    place: Place,
    id_bytes: usize,
) -> Option<String> {
    let around = if place == Place::AgentId { Place::Agent } else { place };
    if places.is_duplicate(place) || places.is_duplicate(around) {
        return None;
    }
    let text = match places.get(place) {
        Found::Token(token) if tape.what(token) == Some(What::String) => {
            tape.string(token).into_owned()
        }
        Found::Constant(text) => text.to_owned(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= id_bytes).then_some(text)
}

impl<'r> Taker<'_, 'r> {
    /// The value as it stands there; `None` where there is none or it is `null`.
    fn raw(&self, place: Place) -> Option<(Raw<'r>, Option<u32>)> {
        let token = match self.places.get(place) {
            Found::Missing => return None,
            Found::Constant(text) => {
                return Some((Raw::Text(Cow::Owned(text.to_owned())), None));
            }
            Found::Token(token) => token,
        };
        let raw = match self.tape.what(token)? {
            What::String => Raw::Text(self.tape.string(token)),
            What::Number => Raw::Number(self.tape.written(token)),
            What::True => Raw::Bool(true),
            What::False => Raw::Bool(false),
            What::Object | What::Array => Raw::Container,
            What::Key | What::Null => return None,
        };
        Some((raw, Some(token)))
    }

    fn ours(&mut self, token: Option<u32>) {
        if let Some(token) = token {
            self.tape.tag(token, OURS);
        }
    }

    fn string(&self, place: Place) -> Result<Option<Cow<'r, str>>> {
        match self.raw(place) {
            None => Ok(None),
            Some((Raw::Text(text), _)) => Ok(Some(text)),
            // Foreign records count their users and sessions; what identifies is the number as written.
            Some((Raw::Number(number), _)) if self.places.mapped => Ok(Some(Cow::Borrowed(number))),
            Some(_) => Err(wrong_type(place, "a string")),
        }
    }

    /// A string that identifies: of limited length, not scanned; empty is the same as absent.
    fn id(&mut self, place: Place) -> Result<Option<Cow<'r, str>>> {
        let Some(text) = self.string(place)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if text.len() > self.limits.id_bytes {
            let message = format!(
                "`{}` has {} bytes; the limit is {}",
                place.name(),
                text.len(),
                self.limits.id_bytes
            );
            return Err(Unreadable::new(Reason::IdTooLong, message));
        }
        if let Found::Token(token) = self.places.get(place) {
            self.tape.tag(token, OURS);
        }
        Ok(Some(text))
    }

    fn number(&mut self, place: Place) -> Result<Option<(Cow<'r, str>, Option<u32>)>> {
        match self.raw(place) {
            None => Ok(None),
            Some((Raw::Number(number), token)) => Ok(Some((Cow::Borrowed(number), token))),
            Some((Raw::Text(text), token)) if self.places.mapped => Ok(Some((text, token))),
            Some(_) => Err(wrong_type(place, "a number")),
        }
    }

    fn float(&mut self, place: Place) -> Result<Option<f64>> {
        let Some((number, _)) = self.number(place)? else { return Ok(None) };
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
            _ => Err(wrong_type(place, "a number that is not negative")),
        }
    }

    fn count(&mut self, place: Place) -> Result<Option<u64>> {
        let Some((number, _)) = self.number(place)? else { return Ok(None) };
        whole(&number)
            .map(Some)
            .ok_or_else(|| wrong_type(place, "a whole number that is not negative"))
    }

    fn version(&mut self) -> Result<()> {
        match self.number(Place::Version)? {
            Some((version, token)) if version.parse::<f64>() == Ok(1.0) => self.ours(token),
            Some(_) => {
                let message = "`v` is a version that is not known here; it must be 1";
                return Err(Unreadable::new(Reason::UnknownVersion, message));
            }
            None if self.places.mapped || self.places.gen_ai => {}
            None => return Err(missing(Place::Version)),
        }
        Ok(())
    }

    /// Fields that hold fields are objects.
    fn containers(&self) -> Result<()> {
        for place in [Place::Agent, Place::Tool, Place::Stream, Place::Deployment, Place::Usage] {
            if let Found::Token(token) = self.places.get(place)
                && !matches!(self.tape.what(token), Some(What::Object | What::Null))
            {
                return Err(wrong_type(place, "an object"));
            }
        }
        Ok(())
    }

    fn kind(&mut self) -> Result<Kind> {
        let Some(text) = self.id(Place::Kind)? else { return self.operation() };
        let name = self
            .places
            .kinds
            .iter()
            .find(|(from, _)| *from == *text)
            .map_or(text.as_ref(), |(_, to)| to);
        Kind::from_name(name).ok_or_else(|| {
            let known = Kind::ALL.map(Kind::name).join(", ");
            Unreadable::new(Reason::UnknownKind, format!("`kind` is none of {known}"))
        })
    }

    /// The kind of a record that has a GenAI operation in its place.
    fn operation(&mut self) -> Result<Kind> {
        let Some(operation) = self.id(Place::Operation)? else {
            return Err(missing(Place::Kind));
        };
        let has = |place| self.places.get(place) != Found::Missing;
        match operation.as_ref() {
            "execute_tool" if has(Place::ToolResult) => Ok(Kind::ToolResult),
            "execute_tool" => Ok(Kind::ToolCall),
            "chat" | "text_completion" | "generate_content" | "embeddings" | "invoke_agent"
            | "create_agent" => {
                Ok(if has(Place::OutputMessages) { Kind::Output } else { Kind::Prompt })
            }
            _ => Err(Unreadable::new(
                Reason::UnknownKind,
                "`gen_ai.operation.name` is an operation that is not known here",
            )),
        }
    }

    fn ts(&mut self) -> Result<Millis> {
        let bad = || {
            Unreadable::new(
                Reason::BadValue,
                "`ts` is neither an RFC 3339 time nor epoch milliseconds",
            )
        };
        match self.raw(Place::Ts) {
            Some((Raw::Number(number), token)) => {
                self.ours(token);
                epoch(number).ok_or_else(bad)
            }
            Some((Raw::Text(text), token)) => {
                self.ours(token);
                let epoch = || if self.places.mapped { epoch(&text) } else { None };
                rfc3339(&text).or_else(epoch).ok_or_else(bad)
            }
            Some(_) => Err(wrong_type(Place::Ts, "a string or a number")),
            None if self.places.gen_ai => self.unix_nano(),
            None => Err(missing(Place::Ts)),
        }
    }

    fn unix_nano(&mut self) -> Result<Millis> {
        let (text, token) = match self.raw(Place::UnixNano) {
            Some((Raw::Text(text), token)) => (text, token),
            Some((Raw::Number(number), token)) => (Cow::Borrowed(number), token),
            Some(_) => return Err(wrong_type(Place::UnixNano, "a string or a number")),
            None => return Err(missing(Place::Ts)),
        };
        self.ours(token);
        let nanos = text.parse::<i64>().map_err(|_| {
            Unreadable::new(Reason::BadValue, "`timeUnixNano` is not a time in nanoseconds")
        })?;
        Ok(Millis(nanos.div_euclid(1_000_000)))
    }

    fn strings(&mut self, place: Place) -> Result<Vec<Cow<'r, str>>> {
        let Found::Token(list) = self.places.get(place) else { return Ok(Vec::new()) };
        match self.tape.what(list) {
            Some(What::Null) => return Ok(Vec::new()),
            Some(What::Array) => {}
            _ => return Err(wrong_type(place, "a list of strings")),
        }
        self.tape
            .elements(list)
            .map(|element| match self.tape.what(element) {
                Some(What::String) => Ok(self.tape.string(element)),
                _ => Err(wrong_type(place, "a list of strings")),
            })
            .collect()
    }

    fn delegation(&mut self) -> Result<Vec<Cow<'r, str>>> {
        let chain = self.strings(Place::Delegation)?;
        let bytes: usize = chain.iter().map(|link| link.len() + 1).sum();
        if bytes > self.limits.id_bytes * 8 {
            let message = "`delegation` is longer than eight ids of the longest kind";
            return Err(Unreadable::new(Reason::IdTooLong, message));
        }
        if let Found::Token(list) = self.places.get(Place::Delegation) {
            self.tape.tag(list, OURS);
        }
        Ok(chain)
    }

    fn tool(&mut self, kind: Kind) -> Result<Option<Tool<'r>>> {
        let name = self.id(Place::ToolName)?;
        let call_id = self.id(Place::ToolCallId)?;
        let rows = self.count(Place::ToolRows)?;
        let bytes = self.count(Place::ToolBytes)?;
        let error = match self.raw(Place::ToolError) {
            None => false,
            Some((Raw::Bool(error), _)) => error,
            Some((Raw::Text(text), _)) => !text.is_empty(),
            Some((Raw::Number(_) | Raw::Container, _)) => true,
        };
        match name {
            Some(name) => {
                Ok(Some(Tool { name, call_id, rows, bytes, error, params: Params::default() }))
            }
            None if matches!(kind, Kind::ToolCall | Kind::ToolResult) => {
                Err(missing(Place::ToolName))
            }
            None => Ok(None),
        }
    }

    fn stream(&mut self, kind: Kind) -> Result<Option<Stream<'r>>> {
        let id = self.id(Place::StreamId)?;
        let seq = self.count(Place::StreamSeq)?;
        let last = match self.raw(Place::StreamLast) {
            None => None,
            Some((Raw::Bool(last), _)) => Some(last),
            Some(_) => return Err(wrong_type(Place::StreamLast, "true or false")),
        };
        for place in [Place::StreamSeq, Place::StreamLast] {
            if let Found::Token(token) = self.places.get(place) {
                self.tape.tag(token, OURS);
            }
        }
        let none = id.is_none() && seq.is_none() && last.is_none();
        if none && kind != Kind::OutputChunk && self.raw(Place::Stream).is_none() {
            return Ok(None);
        }
        Ok(Some(Stream {
            id: id.ok_or_else(|| missing(Place::StreamId))?,
            seq: seq.ok_or_else(|| missing(Place::StreamSeq))?,
            last: last.ok_or_else(|| missing(Place::StreamLast))?,
            // Known when the strings are listed.
            text: None,
            halves: Halves::default(),
        }))
    }

    fn usage(&mut self) -> Result<Usage> {
        Ok(Usage {
            tokens_in: self.count(Place::TokensIn)?,
            tokens_out: self.count(Place::TokensOut)?,
            cost_micro_usd: self
                .float(Place::CostUsd)?
                .map(|dollars| (dollars * 1e6).round() as u64),
        })
    }

    /// A chunk has one text: its stream's next part. Of two, readers could take either.
    fn chunk(&self) -> Result<()> {
        if self.places.is_duplicate(Place::Text) {
            let message = "`text` stands there more than once";
            return Err(Unreadable::new(Reason::DuplicateKey, message));
        }
        match self.places.get(Place::Text) {
            Found::Token(token) if self.tape.what(token) == Some(What::String) => Ok(()),
            Found::Token(token) if self.tape.what(token) != Some(What::Null) => {
                Err(wrong_type(Place::Text, "a string"))
            }
            _ => Err(missing(Place::Text)),
        }
    }

    /// Types of what carries text in event v1; foreign text may have any type, and is scanned whole.
    fn texts(&self, kind: Kind) -> Result<()> {
        if kind == Kind::OutputChunk {
            self.chunk()?;
        }
        if self.places.mapped {
            return Ok(());
        }
        self.string(Place::Source)?;
        self.string(Place::Text)?;
        let Found::Token(messages) = self.places.get(Place::Messages) else { return Ok(()) };
        match self.tape.what(messages) {
            Some(What::Null) => return Ok(()),
            Some(What::Array) => {}
            _ => return Err(wrong_type(Place::Messages, "a list of messages")),
        }
        for message in self.tape.elements(messages) {
            if self.tape.what(message) != Some(What::Object) {
                return Err(wrong_type(Place::Messages, "a list of objects"));
            }
        }
        Ok(())
    }
}

/// A whole number, however it is written: `12`, `12.0`, `1.2e1`.
fn whole(number: &str) -> Option<u64> {
    if let Ok(value) = number.parse::<u64>() {
        return Some(value);
    }
    let value = number.parse::<f64>().ok()?;
    (value.is_finite() && value >= 0.0 && value.fract() == 0.0).then_some(value as u64)
}

/// Epoch milliseconds. Any instant is readable, 1970 and 2100 included: it is a claim, and
/// policy judges it. What lies more than a quarter of a million years away is no instant.
fn epoch(number: &str) -> Option<Millis> {
    const FARTHEST: f64 = 9e15;
    let ms = number.parse::<f64>().ok()?;
    (ms.abs() <= FARTHEST).then(|| Millis(number.parse().unwrap_or(ms.floor() as i64)))
}

/// RFC 3339, and no more of what the time library would take.
fn rfc3339(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let at = |index: usize, any: &[u8]| bytes.get(index).is_some_and(|byte| any.contains(byte));
    let shape = digits(0..4)
        && at(4, b"-")
        && digits(5..7)
        && at(7, b"-")
        && digits(8..10)
        && at(10, b"Tt ")
        && digits(11..13)
        && at(13, b":")
        && digits(14..16)
        && at(16, b":")
        && digits(17..19);
    if !shape {
        return None;
    }
    let mut zone = 19;
    if at(19, b".") {
        let fraction = bytes.get(20..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&fraction) {
            return None;
        }
        zone = 20 + fraction;
    }
    let zulu = at(zone, b"Zz") && bytes.len() == zone + 1;
    let offset = at(zone, b"+-")
        && digits(zone + 1..zone + 3)
        && at(zone + 3, b":")
        && digits(zone + 4..zone + 6)
        && bytes.len() == zone + 6;
    if !zulu && !offset {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    // Rounds down on both sides of 1970, where the library rounds towards it.
    Some(Millis(time.as_nanosecond().div_euclid(1_000_000) as i64))
}
