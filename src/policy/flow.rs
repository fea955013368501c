//! Labels and what may not follow them: `after read:private and read:untrusted deny send:external`.
//!
//! A tool rule gives labels to calls and results; what passes leaves its labels on the
//! session, and they stay. Some labels need no rule: `found:<family>` for what was found in
//! the event, `data:<class>` for the sender's data classes, `said:<carrier>` for who speaks
//! in it, and `output` for a model's answer.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::event::{Carrier, Event, Kind};
use crate::finding::{Confidence, Family, Finding, Source};
use crate::policy::{Mode, Who};

/// Labels of a policy, at most: a set of them is one number.
pub(super) const LABELS_MAX: usize = 64;

/// A set of labels, one bit each; the numbers are those of one policy only.
pub type LabelSet = u64;

/// The labels that a policy speaks of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Labels {
    names: Vec<String>,
    /// How state names them, whatever their number in a later policy.
    ids: Vec<[u8; 8]>,
    /// Those that events have of themselves.
    own: Vec<(Own, LabelSet)>,
}

/// A label that events have of themselves.
#[derive(Clone, Debug, PartialEq)]
enum Own {
    Found(Family),
    Data(String),
    Said(Carrier),
    Output,
}

impl Own {
    fn of(name: &str) -> Option<Result<Self, Vec<&'static str>>> {
        if name == "output" {
            return Some(Ok(Self::Output));
        }
        let (prefix, rest) = name.split_once(':')?;
        match prefix {
            "found" => Some(
                Family::from_name(rest)
                    .map(Self::Found)
                    .ok_or_else(|| Family::ALL.iter().map(|family| family.name()).collect()),
            ),
            "said" => {
                let carrier = Carrier::ALL.into_iter().find(|carrier| carrier.name() == rest);
                Some(
                    carrier
                        .map(Self::Said)
                        .ok_or_else(|| Carrier::ALL.iter().map(|carrier| carrier.name()).collect()),
                )
            }
            "data" => Some(Ok(Self::Data(rest.to_owned()))),
            _ => None,
        }
    }
}

/// Why a name is no label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoLabel {
    /// There are [`LABELS_MAX`] already.
    TooMany,
    /// `found:` or `said:` is followed by none of these.
    Unknown(Vec<&'static str>),
}

impl Labels {
    /// The set of one label, which is new or known.
    pub(super) fn add(&mut self, name: &str) -> Result<LabelSet, NoLabel> {
        if let Some(set) = self.get(name) {
            return Ok(set);
        }
        if self.names.len() == LABELS_MAX {
            return Err(NoLabel::TooMany);
        }
        let set = 1 << self.names.len();
        if let Some(own) = Own::of(name) {
            self.own.push((own.map_err(NoLabel::Unknown)?, set));
        }
        let hash = Sha256::digest(name);
        self.names.push(name.to_owned());
        self.ids.push(hash.first_chunk().copied().unwrap_or_default());
        Ok(set)
    }

    /// The set of one label that is known.
    pub(super) fn get(&self, name: &str) -> Option<LabelSet> {
        self.names.iter().position(|known| known == name).map(|at| 1 << at)
    }

    /// Whether an event may have the label without a rule that gives it.
    pub(super) fn is_own(name: &str) -> bool {
        matches!(Own::of(name), Some(Ok(_)))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The names of a set.
    pub(super) fn of_set(&self, set: LabelSet) -> impl Iterator<Item = &str> {
        let of = move |at: usize| set & (1 << at) != 0;
        self.names.iter().enumerate().filter(move |(at, _)| of(*at)).map(|(_, name)| name.as_str())
    }

    /// What state keeps of a set.
    pub(super) fn ids(&self, set: LabelSet) -> impl Iterator<Item = [u8; 8]> {
        let of = move |at: usize| set & (1 << at) != 0;
        self.ids.iter().enumerate().filter(move |(at, _)| of(*at)).map(|(_, id)| *id)
    }

    /// The set that state kept; labels that this policy does not speak of are left out.
    pub(super) fn set(&self, ids: &[[u8; 8]]) -> LabelSet {
        ids.iter()
            .filter_map(|id| self.ids.iter().position(|known| known == id))
            .fold(0, |set, at| set | (1 << at))
    }

    /// The labels that an event has of itself.
    pub(super) fn of(&self, event: &Event<'_>, findings: &[Finding]) -> LabelSet {
        let has = |own: &Own| match own {
            Own::Output => event.kind == Kind::Output || event.kind == Kind::OutputChunk,
            Own::Data(class) => event.data_classes.iter().any(|is| is == class),
            Own::Said(carrier) => event.fields.iter().any(|field| field.carrier == *carrier),
            Own::Found(family) => findings
                .iter()
                .any(|found| found.source.family == *family && found.confidence > Confidence::Low),
        };
        self.own.iter().filter(|(own, _)| has(own)).fold(0, |set, (_, label)| set | label)
    }
}

/// One rule of flow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flow {
    /// Line in the file.
    pub(super) line: u64,
    pub(super) who: Who,
    /// All of these must be on the session, where there are any,
    pub(super) after: LabelSet,
    /// and one of these on the event.
    pub(super) deny: LabelSet,
    pub(super) source: Arc<Source>,
    pub(super) mode: Option<Mode>,
}

/// A sentence, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sentence<'t> {
    pub(super) after: Vec<&'t str>,
    pub(super) deny: Vec<&'t str>,
}

/// Reads `[after A [and B …]] deny C [or D …]`.
pub(super) fn sentence(text: &str) -> Result<Sentence<'_>, String> {
    let mut words = text.split_whitespace();
    let wrong = |found: Option<&str>, expected: &str| {
        let found = found.map_or("the end".to_owned(), |word| format!("`{word}`"));
        format!(
            "expected {expected} where {found} stands; a flow reads \
             `[after LABEL [and LABEL …]] deny LABEL [or LABEL …]`"
        )
    };
    let mut out = Sentence::default();
    let mut before = match words.next() {
        Some("after") => true,
        Some("deny") => false,
        other => return Err(wrong(other, "`after` or `deny`")),
    };
    while before {
        match words.next() {
            Some(label) if !["and", "or", "deny", "after"].contains(&label) => {
                out.after.push(label);
            }
            other => return Err(wrong(other, "a label")),
        }
        match words.next() {
            Some("and") => {}
            Some("deny") => before = false,
            other => return Err(wrong(other, "`and` or `deny`")),
        }
    }
    loop {
        match words.next() {
            Some(label) if !["and", "or", "deny", "after"].contains(&label) => {
                out.deny.push(label);
            }
            other => return Err(wrong(other, "a label")),
        }
        match words.next() {
            Some("or") => {}
            None => return Ok(out),
            other => return Err(wrong(other, "`or` or the end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_read_or_told_what_they_lack() {
        let read = sentence("after read:private and read:untrusted deny send:external or output");
        assert_eq!(
            read.unwrap(),
            Sentence {
                after: vec!["read:private", "read:untrusted"],
                deny: vec!["send:external", "output"],
            }
        );
        let at_once = sentence(" deny  data:tier4 ").unwrap();
        assert_eq!((at_once.after, at_once.deny), (vec![], vec!["data:tier4"]));
        for (text, expected) in [
            ("", "expected `after` or `deny` where the end stands"),
            ("before a deny b", "expected `after` or `deny` where `before`"),
            ("after deny b", "expected a label where `deny`"),
            ("after a b deny c", "expected `and` or `deny` where `b`"),
            ("after a deny", "expected a label where the end"),
            ("after a deny b and c", "expected `or` or the end where `and`"),
        ] {
            let problem = sentence(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn sets_survive_another_order_of_labels() {
        let (mut one, mut two) = (Labels::default(), Labels::default());
        let set = one.add("a").unwrap() | one.add("b").unwrap();
        for name in ["x", "b", "a"] {
            two.add(name).unwrap();
        }
        let kept: Vec<_> = one.ids(set).collect();
        assert_eq!(two.set(&kept), two.get("a").unwrap() | two.get("b").unwrap());
        let mut none = Labels::default();
        assert_eq!(none.set(&kept), 0);
        assert!(
            matches!(none.add("found:pi"), Err(NoLabel::Unknown(list)) if list.contains(&"pii"))
        );
        for n in 0..LABELS_MAX {
            none.add(&format!("l{n}")).unwrap();
        }
        assert_eq!(none.add("one more"), Err(NoLabel::TooMany));
        assert!(none.add("l5").is_ok());
    }
}
