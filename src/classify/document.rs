//! Which texts of an event a model is to read, and the way back from them to the event's strings.
//!
//! Long strings are read alone, so that a conversation sent again costs only what is new in
//! it (`cache`). Short ones of one speaker are read together, a line each: the members of a
//! tool's result say nothing alone, and a run of the model for each would cost more than
//! all else. Invisible characters are left out, since a model's tokenizer takes them for
//! ends of words.

use std::ops::Range;
use std::sync::Arc;

use crate::detect::Scan;
use crate::event::{Carrier, Event, Field, Place, RawSpan};
use crate::finding::{Confidence, Family};
use crate::text::{is_removed, whole_chars};

/// Which events a model is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// What users say, tools return and retrieval brings, where rules have not decided already.
    #[default]
    Untrusted,
    /// The same, but only where rules found something that they are not sure of.
    Uncertain,
    /// Every text but the system's own, whatever rules found.
    All,
}

/// A string no longer than this is read together with its neighbours.
const SHORT_BYTES: usize = 160;
/// Neighbours are read together up to this length.
const JOINED_BYTES: usize = 600;
/// What holds fewer letters says nothing.
const LETTERS_MIN: usize = 8;

/// One text for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it reads.
    pub text: Arc<str>,
    /// Stretches of `text` that stand byte for byte in a field, in order.
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    at: usize,
    len: usize,
    field: u32,
    raw: usize,
}

impl Document {
    /// A text that is no event's.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let mut draft = Draft::default();
        draft.push(0, text);
        Self { text: draft.text.into(), pieces: draft.pieces }
    }

    /// The field in which most of a range of the text stands, and where in it.
    #[must_use]
    pub fn raw_span(&self, range: &Range<usize>, event: &Event<'_>) -> Option<(u32, RawSpan)> {
        let mut best: Option<(u32, usize, RawSpan)> = None;
        let mut current: Option<(u32, usize, RawSpan)> = None;
        for piece in &self.pieces {
            let start = range.start.max(piece.at);
            let end = range.end.min(piece.at + piece.len);
            if start >= end {
                continue;
            }
            let span =
                RawSpan { start: piece.raw + start - piece.at, end: piece.raw + end - piece.at };
            current = match current {
                Some((field, len, known)) if field == piece.field => {
                    Some((field, len + span.len(), RawSpan { start: known.start, end: span.end }))
                }
                _ => Some((piece.field, span.len(), span)),
            };
            if current.map(|(_, len, _)| len) > best.map(|(_, len, _)| len) {
                best = current;
            }
        }
        let (field, _, span) = best?;
        let text = &event.fields.get(field as usize)?.text;
        Some((field, whole_chars(span, text)))
    }
}

/// The texts of an event that are to be read; `None` where it is not to be asked about.
#[must_use]
pub fn documents(event: &Event<'_>, scan: &Scan, when: When) -> Option<Vec<Document>> {
    let found = |least: Confidence, most: Confidence| {
        scan.findings.iter().any(|finding| {
            finding.source.family == Family::Injection
                && (least..=most).contains(&finding.confidence)
        })
    };
    let asked = match when {
        When::All => true,
        When::Untrusted => !found(Confidence::Medium, Confidence::High),
        When::Uncertain => {
            !found(Confidence::Medium, Confidence::High) && found(Confidence::Low, Confidence::Low)
        }
    };
    if !asked {
        return None;
    }
    let mut documents = Vec::new();
    let mut run: Option<(Carrier, Draft)> = None;
    for (index, field) in event.fields.iter().enumerate() {
        if !is_read(field, when) {
            continue;
        }
        let short = field.text.len() <= SHORT_BYTES;
        let joins = run.as_ref().is_some_and(|(carrier, draft)| {
            short
                && *carrier == field.carrier
                && draft.text.len() + field.text.len() <= JOINED_BYTES
        });
        if !joins {
            finish(run.take(), &mut documents);
        }
        if short {
            let (_, draft) = run.get_or_insert_with(|| (field.carrier, Draft::default()));
            draft.push(index as u32, &field.text);
        } else {
            let mut draft = Draft::default();
            draft.push(index as u32, &field.text);
            finish(Some((field.carrier, draft)), &mut documents);
        }
    }
    finish(run, &mut documents);
    (!documents.is_empty()).then_some(documents)
}

fn is_read(field: &Field<'_>, when: When) -> bool {
    let carrier = match field.carrier {
        Carrier::User | Carrier::ToolResult | Carrier::Retrieved => true,
        Carrier::Assistant | Carrier::ToolCall => when == When::All,
        // It is the owner's word: what it tells the model to do, it may.
        Carrier::System => false,
    };
    carrier && field.place == Place::Value && field.text.chars().any(char::is_alphabetic)
}

fn finish(run: Option<(Carrier, Draft)>, documents: &mut Vec<Document>) {
    let Some((_, draft)) = run else { return };
    let letters = draft.text.chars().filter(|c| c.is_alphabetic()).take(LETTERS_MIN).count();
    if letters == LETTERS_MIN {
        documents.push(Document { text: draft.text.into(), pieces: draft.pieces });
    }
}

#[derive(Default)]
struct Draft {
    text: String,
    pieces: Vec<Piece>,
}

impl Draft {
    fn push(&mut self, field: u32, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let mut from = 0;
        for (at, c) in text.char_indices() {
            if !c.is_ascii() && is_removed(c) {
                self.stretch(field, text, from..at);
                from = at + c.len_utf8();
            }
        }
        self.stretch(field, text, from..text.len());
    }

    fn stretch(&mut self, field: u32, text: &str, range: Range<usize>) {
        let Some(part) = text.get(range.clone()).filter(|part| !part.is_empty()) else { return };
        self.pieces.push(Piece { at: self.text.len(), len: part.len(), field, raw: range.start });
        self.text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{Kind, Millis, RecordSpan};

    fn event(fields: &[(Carrier, &str)]) -> Event<'static> {
        let mut event = Event::new(Kind::ToolResult, "e".into(), "a".into(), Millis(0));
        event.fields = fields
            .iter()
            .map(|(carrier, text)| Field {
                node: 0,
                place: Place::Value,
                carrier: *carrier,
                text: Cow::Owned((*text).to_owned()),
                token: RecordSpan::default(),
            })
            .collect();
        event
    }

    fn texts(event: &Event<'_>, when: When) -> Vec<String> {
        let read = documents(event, &Scan::default(), when).unwrap_or_default();
        read.iter().map(|document| document.text.to_string()).collect()
    }

    #[test]
    fn short_strings_of_one_speaker_are_read_together_and_long_ones_alone() {
        let long = "a long text of its own ".repeat(10);
        let event = event(&[
            (Carrier::System, "the owner's own instructions to the model"),
            (Carrier::ToolResult, "Subject: lunch"),
            (Carrier::ToolResult, "200"),
            (Carrier::ToolResult, "see you at noon"),
            (Carrier::ToolResult, &long),
            (Carrier::User, "what is new?"),
            (Carrier::Assistant, "nothing much today"),
            (Carrier::User, "a"),
        ]);
        let expected = ["Subject: lunch\nsee you at noon", &long, "what is new?\na"];
        assert_eq!(texts(&event, When::Untrusted), expected);
        let with_answers =
            ["Subject: lunch\nsee you at noon", &long, "what is new?", "nothing much today"];
        assert_eq!(texts(&event, When::All), with_answers);
        assert_eq!(texts(&event, When::Uncertain), Vec::<String>::new());
    }

    #[test]
    fn a_range_leads_back_to_the_field_that_most_of_it_stands_in() {
        let event =
            event(&[(Carrier::User, "first line"), (Carrier::User, "sec\u{200b}ond, longer line")]);
        let read = documents(&event, &Scan::default(), When::Untrusted).unwrap();
        assert_eq!(&*read[0].text, "first line\nsecond, longer line");
        let span = |range| read[0].raw_span(&range, &event).unwrap();
        assert_eq!(span(0..10), (0, RawSpan { start: 0, end: 10 }));
        assert_eq!(span(6..17), (1, RawSpan { start: 0, end: 9 }));
        assert_eq!(span(0..30), (1, RawSpan { start: 0, end: 22 }));
        assert_eq!(read[0].raw_span(&(10..11), &event), None);
    }

    proptest! {
        /// Whatever the strings, a range of a document leads to whole characters of one of them.
        #[test]
        fn every_range_leads_back(
            fields in prop::collection::vec("[a-z é\u{200b}\u{e0041}]{0,40}", 1..5),
            from in 0_usize..100,
            len in 1_usize..60,
        ) {
            let fields: Vec<_> = fields.iter().map(|text| (Carrier::User, text.as_str())).collect();
            let event = event(&fields);
            for document in documents(&event, &Scan::default(), When::All).unwrap_or_default() {
                let clean = !document.text.contains('\u{200b}');
                prop_assert!(clean);
                if let Some((field, span)) = document.raw_span(&(from..from + len), &event) {
                    prop_assert!(event.fields[field as usize].text.get(span.start..span.end).is_some());
                    prop_assert!(!span.is_empty());
                }
            }
        }
    }
}
