//! What holds of an event of any bytes, and of the clean event that is cut out of it. Also
//! the body of the fuzz target `events`, so it knows nothing but the library.

use std::collections::BTreeSet;

use weir::event::{Event, Place, RawSpan};
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
    if has_doubles(&event) {
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

fn has_doubles(event: &Event<'_>) -> bool {
    let mut seen = BTreeSet::new();
    let values = event.fields.iter().filter(|field| field.place != Place::Key);
    values.into_iter().any(|field| !seen.insert(event.pointer(field.node)))
}
