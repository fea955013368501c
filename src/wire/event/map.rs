//! How foreign JSON is read as an event: for each field of event v1, where it stands.
//!
//! A map is all or nothing: with one, a field that it does not name is absent, even if
//! the record has a member of that name, because in foreign JSON `session` or `kind`
//! may mean anything. Strings that the map does not mention are scanned all the same.

use super::places::Place;

/// Where a field of foreign JSON comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// From this JSON pointer (RFC 6901).
    At(String),
    /// From this JSON pointer, with its values renamed, as in `{"user_message": "prompt"}`. For `kind` only.
    Renamed {
        /// JSON pointer.
        at: String,
        /// What stands there, and what it means. A value that is not listed is taken as it is.
        values: Vec<(String, String)>,
    },
    /// The same for every record.
    Const(String),
}

/// A field map that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldMapError {
    /// The name is not one of a field.
    #[error("`{name}` is not a field of an event; fields are {known}")]
    UnknownField {
        /// As given.
        name: String,
        /// All names, for the message.
        known: String,
    },
    /// The pointer is not one.
    #[error("`{pointer}` of `{field}` is not a JSON pointer: it must be empty or begin with `/`")]
    NotAPointer {
        /// Field.
        field: String,
        /// As given.
        pointer: String,
    },
    /// Only kinds have names that Weir knows.
    #[error("values of `{0}` cannot be renamed, only those of `kind`")]
    NotRenamable(String),
    /// A field without which nothing can be read.
    #[error("`{0}` is missing from the field map")]
    Missing(&'static str),
}

/// A checked field map. The default is empty: records are event v1 or carry GenAI attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldMap {
    entries: Vec<(Place, Entry)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Constant(String),
    At { pointer: Pointer, values: Vec<(String, String)> },
}

/// A JSON pointer, unescaped into its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/')?.split('/');
        Some(Self(steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()))
    }

    pub(super) fn steps(&self) -> &[String] {
        &self.0
    }
}

/// Fields that hold other fields, or that only records with GenAI attributes have.
fn mappable(place: Place) -> bool {
    !matches!(
        place,
        Place::Agent
            | Place::Deployment
            | Place::Tool
            | Place::Stream
            | Place::Usage
            | Place::Operation
            | Place::OutputMessages
            | Place::UnixNano
            | Place::SpanId
    )
}

impl FieldMap {
    /// Names that a map may hold.
    pub fn field_names() -> impl Iterator<Item = &'static str> {
        Place::ALL.iter().copied().filter(|place| mappable(*place)).map(Place::name)
    }

    /// Checks the entries of a configuration. No entries make the default map.
    ///
    /// # Errors
    /// [`FieldMapError`] for an unknown field, a bad pointer, or a map without `id`, `ts`, `kind` and `agent.id`.
    pub fn new(entries: impl IntoIterator<Item = (String, Take)>) -> Result<Self, FieldMapError> {
        let mut checked = Vec::new();
        for (name, take) in entries {
            let place = Place::ALL
                .iter()
                .copied()
                .find(|place| mappable(*place) && place.name() == name)
                .ok_or_else(|| FieldMapError::UnknownField {
                    name: name.clone(),
                    known: Self::field_names().collect::<Vec<_>>().join(", "),
                })?;
            let (at, values) = match take {
                Take::Const(text) => {
                    checked.push((place, Entry::Constant(text)));
                    continue;
                }
                Take::At(at) => (at, Vec::new()),
                Take::Renamed { at, values } => (at, values),
            };
            if !values.is_empty() && place != Place::Kind {
                return Err(FieldMapError::NotRenamable(name));
            }
            let pointer = Pointer::parse(&at)
                .ok_or(FieldMapError::NotAPointer { field: name, pointer: at })?;
            checked.push((place, Entry::At { pointer, values }));
        }
        checked.sort_by_key(|(place, _)| *place);
        let map = Self { entries: checked };
        if !map.is_empty() {
            for required in [Place::Id, Place::Ts, Place::Kind, Place::AgentId] {
                if !map.entries.iter().any(|(place, _)| *place == required) {
                    return Err(FieldMapError::Missing(required.name()));
                }
            }
        }
        Ok(map)
    }

    /// Whether records are read without a map.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Place, &Entry)> {
        self.entries.iter().map(|(place, entry)| (*place, entry))
    }
}
