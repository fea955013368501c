//! What holds of an event of any bytes, and of the clean event that is cut out of it. Also
//! the body of the fuzz target `events`, so it knows nothing but the library.

use std::collections::BTreeSet;
use std::fmt::Formatter;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use weir::event::{Place, RawSpan};
use weir::redact::Edit;
use weir::wire::clean::edit;
use weir::wire::event::{FieldMap, ReadLimits, read};

/// What is written in place of the second half of every value.
const CUT: &str = "█\"\\";

/// Reads the bytes, edits every value and checks what comes out. Says whether there was an event.
pub(crate) fn check(data: &[u8]) -> bool {
    let Ok(event) = read(data, &FieldMap::default(), &ReadLimits::default()) else {
        return false;
    };
    assert_eq!(edit(data, &event, &[]), data, "no edit changes nothing");
    let edits: Vec<Edit> = (0..)
        .zip(&event.fields)
        .filter(|(_, field)| field.place != Place::Key)
        .map(|(index, field)| {
            let span = RawSpan { start: half(&field.text), end: field.text.len() };
            Edit { field: index, span, with: CUT.to_owned() }
        })
        .collect();
    let edited = edit(data, &event, &edits);
    // What a lone surrogate or a name that comes twice means, two readers need not agree on.
    let Ok(before) = serde_json::from_slice::<serde_json::Value>(data) else { return true };
    if serde_json::from_slice::<Single>(data).is_err() {
        return true;
    }
    let after: serde_json::Value = serde_json::from_slice(&edited)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&edited)));
    for edit in &edits {
        let field = &event.fields[edit.field as usize];
        let pointer = event.pointer(field.node);
        // Text that is JSON is a value to look into, and its parts have no pointer here.
        if before.pointer(&pointer).is_some() {
            let expected =
                format!("{}{CUT}", field.text.get(..edit.span.start).expect("a boundary"));
            assert_eq!(after.pointer(&pointer).and_then(|text| text.as_str()), Some(&*expected));
        }
    }
    true
}

fn half(text: &str) -> usize {
    text.floor_char_boundary(text.len() / 2)
}

/// JSON in which no object has a name twice.
struct Single;

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Single;

            fn expecting(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
                out.write_str("JSON")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Single, E> {
                Ok(Single)
            }

            fn visit_str<E>(self, _: &str) -> Result<Single, E> {
                Ok(Single)
            }

            fn visit_unit<E>(self) -> Result<Single, E> {
                Ok(Single)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Single, A::Error> {
                while all.next_element::<Single>()?.is_some() {}
                Ok(Single)
            }

            // With `arbitrary_precision` a number comes as an object, too.
            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Single, A::Error> {
                let mut seen = BTreeSet::new();
                while let Some((name, Single)) = all.next_entry::<String, Single>()? {
                    if !seen.insert(name) {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                }
                Ok(Single)
            }
        }

        from.deserialize_any(Any)
    }
}
