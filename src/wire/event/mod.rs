//! Reads a record's bytes into an [`Event`], or says why it cannot.
//!
//! Three shapes are accepted: event v1, foreign JSON through a [`FieldMap`], and records
//! with OpenTelemetry GenAI attribute names. All three lead to the same table of places
//! (`places`), from which values are taken (`values`); then every string that is not
//! part of the event's identity is listed for scanning (`strings`). Whatever the shape,
//! each listed string keeps its token in the record, so edits go to the original bytes.

mod map;
mod chunk;
mod params;
mod places;
mod strings;
mod values;

pub use map::{FieldMap, FieldMapError, Take};

use crate::event::Event;
use crate::wire::json::{Limits, Problem, Tape, What};
use places::{Place, Places};

/// What reading one record may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of the record.
    pub record_bytes: usize,
    /// JSON containers inside one another.
    pub depth: usize,
    /// Keys and values of the record together.
    pub values: usize,
    /// Bytes of each id (event, tenant, agent, session, user, …): they become keys, headers and state.
    pub id_bytes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { record_bytes: 10 << 20, depth: 128, values: 100_000, id_bytes: 512 }
    }
}

/// Why a record is not an event. The names are labels of metrics and DLQ headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnreadableReason {
    /// A record without a value.
    NoValue,
    /// A value of no bytes.
    Empty,
    /// Longer than the limit.
    TooLarge,
    /// Not text.
    NotUtf8,
    /// Not JSON.
    NotJson,
    /// JSON that breaks off.
    Truncated,
    /// Nested deeper than the limit.
    TooDeep,
    /// More keys and values than the limit.
    TooManyValues,
    /// JSON, but not an object.
    NotAnObject,
    /// A version that this Weir does not know.
    UnknownVersion,
    /// A kind that this Weir does not know.
    UnknownKind,
    /// No agent to judge it by.
    MissingAgent,
    /// A required field is absent.
    MissingField,
    /// A field of a type that it cannot have.
    WrongType,
    /// A field of the right type that says nothing known, such as a `ts` that is no time.
    BadValue,
    /// A field that Weir decides by stands there twice.
    DuplicateKey,
    /// An id longer than the limit.
    IdTooLong,
}

impl UnreadableReason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::NoValue,
        Self::Empty,
        Self::TooLarge,
        Self::NotUtf8,
        Self::NotJson,
        Self::Truncated,
        Self::TooDeep,
        Self::TooManyValues,
        Self::NotAnObject,
        Self::UnknownVersion,
        Self::UnknownKind,
        Self::MissingAgent,
        Self::MissingField,
        Self::WrongType,
        Self::BadValue,
        Self::DuplicateKey,
        Self::IdTooLong,
    ];

    /// The name in metrics, verdicts and headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::Truncated => "truncated",
            Self::TooDeep => "too_deep",
            Self::TooManyValues => "too_many_values",
            Self::NotAnObject => "not_an_object",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownKind => "unknown_kind",
            Self::MissingAgent => "missing_agent",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::DuplicateKey => "duplicate_key",
            Self::IdTooLong => "id_too_long",
        }
    }
}

/// A record that is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// Why, as a label.
    pub reason: UnreadableReason,
    /// The event's id, where it could be made out beyond doubt.
    pub id: Option<String>,
    /// The agent, likewise.
    pub agent: Option<String>,
    /// The tenant, likewise.
    pub tenant: Option<String>,
    /// Why, for people. Holds names of fields and positions, nothing of the record's content.
    pub message: String,
}

impl Unreadable {
    /// For a record without a value, which Kafka calls a tombstone.
    #[must_use]
    pub fn no_value() -> Self {
        Self::new(UnreadableReason::NoValue, "the record has no value")
    }

    fn new(reason: UnreadableReason, message: impl Into<String>) -> Self {
        Self { reason, id: None, agent: None, tenant: None, message: message.into() }
    }
}

/// How much of a record that is too large or breaks off is searched for its id and agent.
const SALVAGE_BYTES: usize = 64 << 10;

/// Reads a record's value.
///
/// # Errors
/// [`Unreadable`] for anything that is not an event. No input panics.
pub fn read<'r>(
    bytes: &'r [u8],
    map: &FieldMap,
    limits: &ReadLimits,
) -> Result<Event<'r>, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::new(UnreadableReason::Empty, "the record's value is empty"));
    }
    let base = json_start(bytes);
    let json = bytes.get(base..).unwrap_or_default();
    if bytes.len() > limits.record_bytes {
        let message =
            format!("the record has {} bytes; the limit is {}", bytes.len(), limits.record_bytes);
        return Err(salvage(
            json,
            base,
            map,
            limits,
            Unreadable::new(UnreadableReason::TooLarge, message),
        ));
    }
    let text = std::str::from_utf8(json).map_err(|error| {
        let message = format!("not UTF-8 at byte {}", base + error.valid_up_to());
        salvage(json, base, map, limits, Unreadable::new(UnreadableReason::NotUtf8, message))
    })?;
    let (mut tape, error) =
        Tape::read(text, base, Limits { depth: limits.depth, tokens: limits.values });
    if let Some(error) = error {
        let reason = match error.kind {
            Problem::Truncated => UnreadableReason::Truncated,
            Problem::Expected(_) => UnreadableReason::NotJson,
            Problem::TooDeep => UnreadableReason::TooDeep,
            Problem::TooMany => UnreadableReason::TooManyValues,
        };
        let unreadable = Unreadable::new(reason, format!("not an event: {error}"));
        return Err(identify(&mut tape, map, limits, unreadable));
    }
    if tape.what(0) != Some(What::Object) {
        let message = "the record's value is not a JSON object";
        return Err(Unreadable::new(UnreadableReason::NotAnObject, message));
    }
    let places = Places::find(&mut tape, map);
    match values::event(&mut tape, &places, limits) {
        Ok(mut event) => {
            strings::list(&tape, &places, &mut event);
            chunk::find_text(&tape, &places, &mut event);
            params::list(&tape, &places, limits, &mut event);
            Ok(event)
        }
        Err(unreadable) => Err(name(&tape, &places, limits, unreadable)),
    }
}

/// Where the JSON begins: behind the prefix of a schema registry (a zero byte and a
/// four-byte schema id), which is kept on the clean record since edits count from the record's start.
fn json_start(bytes: &[u8]) -> usize {
    if bytes.first() == Some(&0) { bytes.len().min(5) } else { 0 }
}

/// Says whose record it was, from the part of it that can be read.
fn salvage(
    json: &[u8],
    base: usize,
    map: &FieldMap,
    limits: &ReadLimits,
    unreadable: Unreadable,
) -> Unreadable {
    let head = json.get(..SALVAGE_BYTES).unwrap_or(json);
    let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let (mut tape, _) =
        Tape::read(text, base, Limits { depth: limits.depth, tokens: limits.values });
    identify(&mut tape, map, limits, unreadable)
}

fn identify(
    tape: &mut Tape<'_>,
    map: &FieldMap,
    limits: &ReadLimits,
    unreadable: Unreadable,
) -> Unreadable {
    let places = Places::find(tape, map);
    name(tape, &places, limits, unreadable)
}

fn name(
    tape: &Tape<'_>,
    places: &Places<'_>,
    limits: &ReadLimits,
    unreadable: Unreadable,
) -> Unreadable {
    let text = |place| values::certain_string(tape, places, place, limits.id_bytes);
    Unreadable {
        id: text(Place::Id),
        agent: text(Place::AgentId),
        tenant: text(Place::Tenant),
        ..unreadable
    }
}

#[cfg(test)]
mod tests;
