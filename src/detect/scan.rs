//! One scan: strings into one text, matches back to their strings, views where they differ.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::confirm::Hit;
use super::context::{Around, key_words};
use super::decoded::{Layer, Paths, Payload, Reader, Unread, turn_of};
use super::keyed::Keys;
use super::limits::reached;
use super::mention;
use super::{Rules, Scan, Scratch, SpecOf, bit};
use crate::engine::{Match, Overflow, Scanner};
use crate::event::{Carrier, Event, Field, Place, RawSpan};
use crate::finding::{Classified, Confidence, Coverage, Finding, Mention, ViewName};
use crate::text::{Folder, Survey, Turn, View, ViewSpan, clean_into, survey, whole_chars};

/// Stands between two strings of the shared text. A line end on both sides, as at the
/// ends of a string; no phrase matches across the middle, and a shape that does is noticed.
const BETWEEN: &[u8] = b"\n\0\n";

/// A shared text is scanned when it has grown to this; longer strings are scanned where they lie.
const SHARED_MAX: usize = 64 * 1024;

/// Buffers that a thread keeps from scan to scan.
#[derive(Default)]
pub(super) struct Memory {
    shared: Vec<u8>,
    segments: Vec<Segment>,
    matches: Vec<Match>,
    /// Matches in raw text, offsets in their own field.
    raw: Vec<FieldMatch>,
    odd: Vec<(u32, Survey)>,
    clean: View,
    folded: View,
    folder: Folder,
    key_words: String,
    found: Vec<Found>,
    payloads: Vec<Payload>,
    paths: Paths,
    /// Paths of the decoded texts of the event.
    met: BTreeSet<String>,
    pub(super) keys: Keys,
}

/// A string's place in the shared text.
#[derive(Clone, Copy)]
struct Segment {
    field: u32,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy)]
struct FieldMatch {
    field: u32,
    spec: u32,
    start: usize,
    end: usize,
}

/// A confirmed hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) field: u32,
    pub(super) rule: u32,
    pub(super) span: RawSpan,
    /// Number of the path of decoders; 0 is none.
    pub(super) path: u32,
    pub(super) view: Reading,
    pub(super) confidence: Confidence,
    pub(super) mention: Option<Mention>,
}

impl Found {
    pub(super) fn finding(&self, rules: &Rules, paths: &Paths) -> Option<Finding> {
        let rule = rules.set.rules.get(self.rule as usize)?;
        Some(Finding {
            source: Arc::clone(&rule.source),
            confidence: self.confidence,
            field: Some(self.field),
            span: self.span,
            view: match paths.name(self.path) {
                None => self.view.name(),
                Some(path) => ViewName(format!("{path}>{}", self.view.name().0).into()),
            },
            mention: self.mention,
        })
    }
}

/// Sorts hits and drops what another of the same rule says already.
pub(super) fn kept(found: &mut [Found], paths: &Paths) -> Vec<Found> {
    found.sort_by(|a, b| {
        let key = |hit: &Found| (hit.field, hit.rule, hit.span.start);
        let path = |hit: &Found| paths.name(hit.path).map(str::to_owned);
        key(a)
            .cmp(&key(b))
            .then_with(|| b.span.end.cmp(&a.span.end))
            // By name, not by number: numbers come in the order in which texts are read.
            .then_with(|| if a.path == b.path { Ordering::Equal } else { path(a).cmp(&path(b)) })
            .then_with(|| a.view.cmp(&b.view))
    });
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    for hit in found {
        if let Some(last) = kept.last_mut()
            && (last.field, last.rule) == (hit.field, hit.rule)
            && hit.span.end <= last.span.end
        {
            if hit.span == last.span {
                if hit.confidence > last.confidence {
                    (last.confidence, last.mention) = (hit.confidence, hit.mention);
                }
                continue;
            }
            if hit.confidence <= last.confidence {
                continue;
            }
        }
        kept.push(*hit);
    }
    kept.sort_by_key(|hit| (hit.field, hit.span.start, hit.span.end, hit.rule));
    kept
}

/// How a text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    Raw,
    Clean,
    Folded,
}

impl Reading {
    pub(super) const ALL: [Self; 3] = [Self::Raw, Self::Clean, Self::Folded];

    fn name(self) -> ViewName {
        match self {
            Self::Raw => ViewName::RAW,
            Self::Clean => ViewName::CLEAN,
            Self::Folded => ViewName::FOLDED,
        }
    }
}

/// The state of one scan.
struct Pass<'p, 'a, 'e> {
    rules: &'a Rules,
    event: &'p Event<'e>,
    fields: &'p [Field<'e>],
    carriers: u8,
    all: &'p mut Scanner<'a>,
    memory: &'p mut Memory,
    /// Strings that could not be scanned whole.
    failed: Vec<u32>,
    /// Strings with texts in them that could not be read.
    unread: Vec<(u32, Unread)>,
    readings: [bool; 3],
}

pub(super) fn scan(scratch: &mut Scratch<'_>, event: &Event<'_>) -> Scan {
    let rules = scratch.rules;
    let fields = event.fields.get(..rules.limits.fields).unwrap_or(&event.fields);
    let mut pass = Pass {
        rules,
        event,
        fields,
        carriers: fields.iter().fold(0, |mask, field| mask | bit(field.carrier)),
        all: &mut scratch.all,
        memory: &mut scratch.memory,
        failed: Vec::new(),
        unread: Vec::new(),
        readings: [!fields.is_empty(), false, false],
    };
    pass.read_raw();
    pass.judge();
    pass.finish()
}

impl Pass<'_, '_, '_> {
    /// The engine's matches in the raw text of every string.
    fn read_raw(&mut self) {
        self.memory.raw.clear();
        self.memory.odd.clear();
        self.memory.found.clear();
        self.memory.payloads.clear();
        self.memory.paths.clear();
        self.memory.met.clear();
        self.memory.shared.clear();
        self.memory.segments.clear();
        for (at, field) in self.fields.iter().enumerate() {
            let text = field.text.as_bytes();
            let at = at as u32;
            if text.len() < self.rules.all.shortest() {
                continue;
            }
            let survey = survey(&field.text);
            if survey.needs_folded() || survey.coded {
                self.memory.odd.push((at, survey));
            }
            if self.memory.shared.len() + text.len() > SHARED_MAX {
                self.flush();
            }
            if text.len() > SHARED_MAX {
                self.scan_alone(at);
                continue;
            }
            let start = self.memory.shared.len();
            self.memory.segments.push(Segment { field: at, start, end: start + text.len() });
            self.memory.shared.extend_from_slice(text);
            self.memory.shared.extend_from_slice(BETWEEN);
        }
        self.flush();
    }

    /// Scans the shared text; where a match crosses from one string into another, each
    /// string alone.
    fn flush(&mut self) {
        // Not the last separator: a single string is scanned exactly as it is.
        let len = self.memory.shared.len().saturating_sub(BETWEEN.len());
        if self.memory.segments.is_empty() {
            return;
        }
        let wanted = wanted(&self.rules.all_specs, self.carriers, |_| true);
        let Memory { shared, matches, segments, raw, .. } = &mut *self.memory;
        let text = shared.get(..len).unwrap_or_default();
        let scanned = self.all.matches_where(text, wanted, matches);
        let before = raw.len();
        let whole = scanned.is_ok()
            && matches.iter().all(|hit| {
                let at = segments.partition_point(|segment| segment.end < hit.end);
                let Some(segment) = segments.get(at) else { return false };
                raw.push(FieldMatch {
                    field: segment.field,
                    spec: hit.spec,
                    start: hit.group_start.wrapping_sub(segment.start),
                    end: hit.group_end.wrapping_sub(segment.start),
                });
                hit.start >= segment.start && hit.end <= segment.end
            });
        if !whole {
            raw.truncate(before);
            let fields: Vec<u32> = segments.iter().map(|segment| segment.field).collect();
            for field in fields {
                self.scan_alone(field);
            }
        }
        self.memory.shared.clear();
        self.memory.segments.clear();
    }

    fn scan_alone(&mut self, at: u32) {
        let Some(field) = self.fields.get(at as usize) else { return };
        let wanted = wanted(&self.rules.all_specs, bit(field.carrier), |_| true);
        let Memory { matches, raw, .. } = &mut *self.memory;
        if self.all.matches_where(field.text.as_bytes(), wanted, matches).is_err() {
            self.failed.push(at);
            return;
        }
        raw.extend(matches.iter().map(|hit| FieldMatch {
            field: at,
            spec: hit.spec,
            start: hit.group_start,
            end: hit.group_end,
        }));
    }

    /// What the matches are worth, string by string, and what the other views add.
    fn judge(&mut self) {
        self.memory.raw.sort_by_key(|hit| (hit.field, hit.spec, hit.start));
        let raw = std::mem::take(&mut self.memory.raw);
        let odd = std::mem::take(&mut self.memory.odd);
        let mut rest = raw.as_slice();
        let mut odd_rest = odd.as_slice();
        for (at, field) in self.fields.iter().enumerate() {
            let at = at as u32;
            let count = rest.iter().take_while(|hit| hit.field == at).count();
            let (hits, after) = rest.split_at(count);
            rest = after;
            let survey = match odd_rest.split_first() {
                Some(((first, survey), after)) if *first == at => {
                    odd_rest = after;
                    *survey
                }
                _ => Survey::default(),
            };
            let keyed = field.place != Place::Key && !self.rules.keyed.is_empty();
            if hits.is_empty() && !survey.needs_folded() && !survey.coded && !keyed {
                continue;
            }
            self.judge_field(at, field, hits, survey);
        }
        self.memory.raw = raw;
        self.memory.odd = odd;
    }

    fn judge_field(&mut self, at: u32, field: &Field<'_>, hits: &[FieldMatch], survey: Survey) {
        let mut clean = std::mem::take(&mut self.memory.clean);
        let mut folded = std::mem::take(&mut self.memory.folded);
        if survey.odd {
            clean_into(&mut clean, &field.text);
        }
        if survey.needs_folded() {
            self.memory.folder.fold_into(&mut folded, &field.text);
        }
        let clean_differs = survey.odd && clean.bytes() != field.text.as_bytes();
        let mut judge = Judge {
            rules: self.rules,
            event: self.event,
            at,
            field,
            text: &field.text,
            layer: None,
            matched: RawSpan::default(),
            // Context words are read as the hit was: with digits for letters, too.
            folded: survey.needs_folded().then_some(&folded),
            key_words: &mut self.memory.key_words,
            has_key_words: false,
            reader: mention::Reader::new(&self.rules.cues, &field.text),
            found: &mut self.memory.found,
        };
        let mut anchors = Vec::new();
        for hit in hits {
            let Some(of) = self.rules.all_specs.get(hit.spec as usize) else { continue };
            if let Some(turn) = turn_of(*of) {
                anchors.push((turn, RawSpan { start: hit.start, end: hit.end }));
                continue;
            }
            // Where other readings are made too, this one counts as well: what it finds must not
            // hang on an accent elsewhere in the text.
            if of.carriers & bit(field.carrier) != 0 {
                let span = RawSpan { start: hit.start, end: hit.end };
                judge.hit(*of, field.text.as_bytes(), hit.start..hit.end, span, Reading::Raw);
            }
        }
        let matches = &mut self.memory.matches;
        let mut failed = false;
        let mut views = Vec::new();
        if clean_differs {
            views.push((Reading::Clean, &clean));
        }
        if survey.needs_folded() {
            views.push((Reading::Folded, &folded));
        }
        for (reading, view) in views {
            self.readings[reading as usize] = true;
            let specs = &self.rules.all_specs;
            let reads = |of: &SpecOf| if reading == Reading::Clean { of.clean } else { of.folded };
            let scanned = self.all.matches_where(
                view.bytes(),
                wanted(specs, bit(field.carrier), reads),
                matches,
            );
            failed |= scanned.is_err();
            for hit in &*matches {
                let value = ViewSpan { start: hit.group_start, end: hit.group_end };
                if let (Some(of), Some(span)) =
                    (specs.get(hit.spec as usize), view.raw_span(value, &field.text))
                {
                    judge.hit(*of, view.bytes(), value.start..value.end, span, reading);
                }
            }
        }
        let view = if clean_differs { Some(&clean) } else { None };
        let keyed = super::keyed::matches(
            &self.rules.keyed,
            &mut self.memory.keys,
            self.all,
            &self.rules.all_specs,
            (self.event, field, view),
            matches,
        );
        match keyed {
            Ok(Some(text)) => {
                for hit in &*matches {
                    let value = hit.group_start.max(text.value_at)..hit.group_end;
                    if hit.start >= text.value_at || value.is_empty() {
                        continue;
                    }
                    let inside = ViewSpan {
                        start: value.start - text.value_at,
                        end: value.end - text.value_at,
                    };
                    let span = match view {
                        Some(view) => view.raw_span(inside, &field.text),
                        None => Some(RawSpan { start: inside.start, end: inside.end }),
                    };
                    if let (Some(of), Some(span)) =
                        (self.rules.all_specs.get(hit.spec as usize), span)
                    {
                        let reading = if view.is_some() { Reading::Clean } else { Reading::Raw };
                        judge.hit(*of, text.bytes, value, span, reading);
                    }
                }
            }
            Ok(None) => {}
            Err(Overflow) => failed = true,
        }
        if survey.coded || !anchors.is_empty() {
            failed |= self.judge_texts(at, field, &anchors);
        }
        if failed {
            self.failed.push(at);
        }
        self.memory.clean = clean;
        self.memory.folded = folded;
    }

    /// The texts that a string holds. Returns whether one was too costly.
    fn judge_texts(&mut self, at: u32, field: &Field<'_>, anchors: &[(Turn, RawSpan)]) -> bool {
        let mut reader = Reader {
            rules: self.rules,
            event: self.event,
            at,
            field,
            all: self.all,
            folder: &mut self.memory.folder,
            key_words: &mut self.memory.key_words,
            paths: &mut self.memory.paths,
        };
        let held = reader.read(anchors);
        self.memory.found.extend(held.found);
        if field.carrier != Carrier::System {
            self.memory.payloads.extend(held.payloads);
        }
        self.memory.met.extend(held.met);
        if held.unread.deep || held.unread.many {
            self.unread.push((at, held.unread));
        }
        held.unread.costly
    }

    /// Sorts, drops what another finding of the same rule says already, and counts.
    fn finish(mut self) -> Scan {
        let mut kept = kept(&mut self.memory.found, &self.memory.paths);
        self.memory.found.clear();
        let mut findings = Vec::with_capacity(kept.len());
        let mut truncated = false;
        let builtin = &self.rules.builtin;
        if kept.len() > self.rules.limits.findings {
            kept.truncate(self.rules.limits.findings);
            findings.push(reached(&builtin.findings, None));
            truncated = true;
        }
        if self.fields.len() < self.event.fields.len() {
            findings.push(reached(&builtin.fields, None));
            truncated = true;
        }
        self.failed.sort_unstable();
        self.failed.dedup();
        for &field in &self.failed {
            findings.push(reached(&builtin.candidates, Some(field)));
            truncated = true;
        }
        for &(field, unread) in &self.unread {
            let limits = [(unread.deep, &builtin.decode_depth), (unread.many, &builtin.decoded)];
            findings.extend(
                limits.iter().filter(|limit| limit.0).map(|limit| reached(limit.1, Some(field))),
            );
            truncated = true;
        }
        let payloads = self.memory.payloads.iter().take(self.rules.limits.findings);
        findings.extend(payloads.map(|payload| payload.finding(builtin)));
        let paths = &self.memory.paths;
        let in_order = findings.is_empty();
        findings.extend(kept.iter().filter_map(|hit| hit.finding(self.rules, paths)));
        if !in_order {
            findings.sort_by(Finding::by_place);
        }
        Scan { findings, coverage: self.coverage(truncated) }
    }

    fn coverage(&self, truncated: bool) -> Coverage {
        let bytes = |fields: &[Field<'_>]| fields.iter().map(|field| field.text.len() as u64).sum();
        let unread: u64 = self
            .failed
            .iter()
            .filter_map(|&field| self.fields.get(field as usize))
            .map(|field| field.text.len() as u64)
            .sum();
        let scanned: u64 = bytes(self.fields);
        Coverage {
            bytes: bytes(&self.event.fields),
            scanned: scanned.saturating_sub(unread),
            views: [Reading::Raw, Reading::Clean, Reading::Folded]
                .into_iter()
                .filter(|&reading| self.readings[reading as usize])
                .map(Reading::name)
                .chain(self.memory.met.iter().map(|path| ViewName(path.clone().into())))
                .collect(),
            truncated,
            classifier: Classified::default(),
        }
    }
}

/// What the hits of one text are judged with.
pub(super) struct Judge<'j, 'e> {
    pub(super) rules: &'j Rules,
    pub(super) event: &'j Event<'e>,
    pub(super) at: u32,
    pub(super) field: &'j Field<'e>,
    /// The field's text, or one that was decoded from it.
    pub(super) text: &'j str,
    /// How the text was decoded; nothing for the field's own.
    pub(super) layer: Option<(&'j Layer<'j>, &'j mut Paths)>,
    /// What the hit's whole match covers of a decoded text; the path is named after it.
    pub(super) matched: RawSpan,
    pub(super) folded: Option<&'j View>,
    pub(super) key_words: &'j mut String,
    pub(super) has_key_words: bool,
    pub(super) reader: mention::Reader<'j>,
    pub(super) found: &'j mut Vec<Found>,
}

impl Judge<'_, '_> {
    /// Whether nothing that follows the text can change what a hit is worth; `sure`: up to there
    /// every view reads the same whatever follows.
    pub(super) fn is_settled(
        &mut self,
        of: SpecOf,
        bytes: &[u8],
        value: std::ops::Range<usize>,
        (span, sure): (RawSpan, usize),
    ) -> bool {
        self.read_key_words();
        let Some(confirm) = self.rules.confirm.get(of.rule as usize) else { return true };
        let span = whole_chars(span, self.text);
        let around = Around { text: self.text, folded: self.folded, span, keys: self.key_words };
        let hit = Hit { bytes, value, carrier: self.field.carrier, around };
        let (chars, right) = confirm.awaits(&hit);
        // A character that begins inside counts whole.
        let shown = right == 0 || span.end + right + 4 <= self.text.len();
        shown && (chars == 0 || hit.around.shows(chars, sure))
    }

    fn read_key_words(&mut self) {
        if !self.has_key_words {
            key_words(self.event, self.field.node, self.key_words);
            self.has_key_words = true;
        }
    }

    /// Takes a hit whose value stands at `value` in `bytes` and at `span` in the text.
    pub(super) fn hit(
        &mut self,
        of: SpecOf,
        bytes: &[u8],
        value: std::ops::Range<usize>,
        span: RawSpan,
        view: Reading,
    ) {
        self.read_key_words();
        let Some(confirm) = self.rules.confirm.get(of.rule as usize) else { return };
        let span = whole_chars(span, self.text);
        let around = Around { text: self.text, folded: self.folded, span, keys: self.key_words };
        let hit = Hit { bytes, value, carrier: self.field.carrier, around };
        let Some((confidence, mention)) = confirm.confirm(&hit, &mut self.reader) else { return };
        let (path, span) = match &mut self.layer {
            None => (0, Some(span)),
            Some((layer, paths)) => (paths.number(layer.path(self.matched)), layer.raw(span)),
        };
        if let Some(span) = span.filter(|span| !span.is_empty()) {
            let (field, rule) = (self.at, of.rule);
            self.found.push(Found { field, rule, span, path, view, confidence, mention });
        }
    }
}

/// Which expressions are worth confirming.
pub(super) fn wanted(
    specs: &[SpecOf],
    carriers: u8,
    reads: impl Fn(&SpecOf) -> bool,
) -> impl Fn(u32) -> bool {
    move |spec| specs.get(spec as usize).is_some_and(|of| of.carriers & carriers != 0 && reads(of))
}
