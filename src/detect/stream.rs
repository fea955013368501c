//! One text that comes in pieces: what is found in it, and up to where it is settled.
//!
//! Any pieces give the same findings as one scan of the whole. Three questions are asked after each
//! piece. Up to where does every reading of the text stay as it is ([`edge`], [`open_from`])? Where,
//! before that, may a match have begun that is not over ([`Walk`])? And what are the matches before
//! that worth, when words behind them count, too? The first place of them all is where the text is
//! settled: what stands before it can no longer become part of anything, and may go.
//!
//! One design choice matters: text in which no walk met a match is never scanned. The automaton
//! that says what is open says that as well, and most text is done with once it has been walked.
//! Where it did meet one, the few hundred bytes that are kept are scanned as any text is, from
//! where the text was settled on.

mod stored;

use std::collections::BTreeSet;

use super::decoded::{Paths, Payload, Reader, turn_of};
use super::limits::reached;
use super::mention::{self, Fences};
use super::scan::{Found, Judge, Reading, kept, wanted};
use super::{CompileError, Rules, Scratch, SpecOf, bit};
use crate::engine::{Match, Walk, Walked};
use crate::event::{Carrier, Event, Millis, RawSpan};
use crate::finding::{Classified, Coverage, Finding, ViewName};
use crate::text::decode::{Decoded, Growing, Open, is_coded, nested_from, open_from};
use crate::text::{
    Folder, LEET_BEFORE, Leet, View, ViewSpan, clean_into, edge, hidden_span, leet, may_differ,
    may_hide, survey,
};

pub use stored::Since;

/// Raw text that is kept before the settled place, for words and frames of what follows: plain, and
/// where characters may be removed or take several bytes.
const KEPT_PLAIN: usize = 320;
const KEPT_ODD: usize = 1100;
/// Text is let go in steps of this.
const KEPT_STEP: usize = 256;
/// What stands as far before the settled place may bear on how the text behind it reads.
const READ_BEFORE: usize = 96;
/// More than this is not held back: what is then still open is a finding.
const HELD_MAX: usize = 16 * 1024;
/// Words for a hit stand no farther from it in a decoded text.
const NEAR_PART: usize = 64;

/// A text that grows. Offsets are bytes from its beginning.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Stream {
    /// What is kept of it, and where that begins.
    text: String,
    base: usize,
    // From here on places in what is kept.
    /// All that begins before is settled.
    done: usize,
    /// No match that begins between `done` and here is still open in the raw text.
    front: usize,
    /// Whether one was met there.
    suspect: bool,
    cursors: Vec<Cursor>,
    /// What is encoded before is read.
    coded_from: usize,
    hidden_from: usize,
    /// For each turn, the end of the last line that was read so.
    turned_to: [usize; 2],
    /// The caller needs what follows.
    asked_from: usize,
    // No places in what is kept.
    fences: Fences,
    /// From here on digits are read as letters.
    leet_from: Option<usize>,
    /// Offsets in the whole text.
    found: Vec<Found>,
    payloads: Vec<Payload>,
    paths: Paths,
    told: usize,
    reached: Reached,
    /// Of these, what has been told.
    reached_told: Reached,
    clean: bool,
    folded: bool,
    met: BTreeSet<String>,
    ended: bool,
}

/// Matches of one spec in one reading begin here or later: an earlier one goes as far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    reading: Reading,
    spec: u32,
    end: usize,
}

/// Limits that were reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a limit of its own")]
struct Reached {
    findings: bool,
    candidates: bool,
    deep: bool,
    many: bool,
    held: bool,
}

impl Stream {
    /// Bytes that have come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base + self.text.len()
    }

    /// Whether nothing has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing that is found later begins before this place.
    #[must_use]
    pub fn settled(&self) -> usize {
        self.base + self.done
    }

    /// The text from a place on that has been asked for by [`Stream::keep_from`].
    #[must_use]
    pub fn text_from(&self, at: usize) -> &str {
        at.checked_sub(self.base).and_then(|at| self.text.get(at..)).unwrap_or_default()
    }

    /// Says that the text before a place is no longer asked for.
    pub fn keep_from(&mut self, at: usize) {
        self.asked_from = at.saturating_sub(self.base).min(self.text.len());
    }

    /// Bytes of memory that it holds, roughly.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + self.cursors.capacity() * size_of::<Cursor>()
            + self.found.capacity() * size_of::<Found>()
    }

    /// What has been looked at.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let len = self.len() as u64;
        let views =
            [(true, ViewName::RAW), (self.clean, ViewName::CLEAN), (self.folded, ViewName::FOLDED)];
        Coverage {
            bytes: len,
            scanned: if self.reached.candidates || self.reached.held { 0 } else { len },
            views: views
                .into_iter()
                .filter_map(|(made, name)| made.then_some(name))
                .chain(self.met.iter().map(|path| ViewName(path.clone().into())))
                .collect(),
            truncated: self.reached != Reached::default(),
            classifier: Classified::default(),
        }
    }

    /// Lets go of text that nothing needs any more.
    fn trim(&mut self, text: &mut String) {
        let odd = |bytes: &[u8]| !bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n'));
        let before = self.done.saturating_sub(KEPT_PLAIN);
        let plain = !odd(text.as_bytes().get(before..self.done).unwrap_or_default());
        let kept = if plain { KEPT_PLAIN } else { KEPT_ODD };
        let needed = self.done.saturating_sub(kept).min(self.coded_from.saturating_sub(KEPT_PLAIN));
        let mut cut = text.floor_char_boundary(needed.min(self.asked_from).min(self.hidden_from));
        // Where nothing that came before joins what comes behind.
        let shows =
            |at: usize| text.as_bytes().get(at).is_some_and(|byte| matches!(byte, b' '..=b'~'));
        for at in (cut.saturating_sub(KEPT_STEP / 2)..=cut).rev() {
            if at > 0 && shows(at) && shows(at - 1) {
                cut = at;
                break;
            }
        }
        if cut < KEPT_STEP {
            return;
        }
        self.fences.pass(text.get(..cut).unwrap_or_default());
        text.drain(..cut);
        if text.capacity() > 4 * text.len() + 4 * KEPT_STEP {
            text.shrink_to(2 * text.len());
        }
        self.base += cut;
        for place in [
            &mut self.done,
            &mut self.front,
            &mut self.coded_from,
            &mut self.hidden_from,
            &mut self.asked_from,
        ]
        .into_iter()
        .chain(&mut self.turned_to)
        .chain(self.cursors.iter_mut().map(|cursor| &mut cursor.end))
        {
            *place = place.saturating_sub(cut);
        }
    }
}

/// Working memory of one thread that reads streams of one carrier.
pub struct Streamer<'a> {
    rules: &'a Rules,
    scratch: Scratch<'a>,
    walk: Walk<'a>,
    carrier: Carrier,
    clean: View,
    folded: View,
    /// Folded, with digits left as they are.
    digits: View,
    folder: Folder,
    key_words: String,
    matches: Vec<Match>,
}

/// A place in a reading at which something is open or was matched.
struct Seen {
    /// In the text that was read.
    at: usize,
    open: bool,
    /// Where the match ends.
    end: Option<usize>,
    /// Whether it may hold digits that are read as letters.
    changed: bool,
}

/// Where one step stands.
struct Step<'t> {
    text: &'t str,
    ended: bool,
    /// Up to here all readings stay as they are.
    sure: usize,
    /// The first place that may still become part of something.
    hold: usize,
    /// Whether there is something to scan for.
    suspect: bool,
}

impl<'a> Streamer<'a> {
    /// For streams of one carrier.
    ///
    /// # Errors
    /// [`CompileError`] where the rules are too large for one automaton.
    pub fn new(rules: &'a Rules, carrier: Carrier) -> Result<Self, CompileError> {
        Ok(Self {
            rules,
            scratch: rules.scratch(),
            walk: rules.walker(carrier)?.walk(),
            carrier,
            clean: View::default(),
            folded: View::default(),
            digits: View::default(),
            folder: Folder::default(),
            key_words: String::new(),
            matches: Vec::new(),
        })
    }

    /// Takes more of the text; gives the findings that are now certain, in the order of their
    /// starts. Nothing follows what has ended.
    pub fn push(&mut self, stream: &mut Stream, more: &str) -> Vec<Finding> {
        if stream.ended || more.is_empty() {
            return Vec::new();
        }
        stream.text.push_str(more);
        self.advance(stream, false)
    }

    /// Ends the text; all of it is then settled.
    pub fn finish(&mut self, stream: &mut Stream) -> Vec<Finding> {
        if stream.ended {
            return Vec::new();
        }
        stream.ended = true;
        self.advance(stream, true)
    }

    /// Waits no longer for what is held back: all of it is settled and covered by a finding that
    /// says so, and nothing is looked for across its end. No findings where nothing is held.
    pub fn give_up(&mut self, stream: &mut Stream) -> Vec<Finding> {
        let (was_done, end) = (stream.done, stream.text.len());
        if stream.ended || was_done == end {
            return Vec::new();
        }
        let span = RawSpan { start: stream.settled(), end: stream.len() };
        stream.reached.held = true;
        (stream.done, stream.front) = (end, end);
        (stream.coded_from, stream.hidden_from) = (end, end);
        stream.suspect = false;
        stream.cursors.clear();
        let mut findings = self.tell(stream, was_done);
        findings.push(Finding { span, ..reached(&self.rules.builtin.held, Some(0)) });
        let mut text = std::mem::take(&mut stream.text);
        stream.trim(&mut text);
        stream.text = text;
        findings
    }

    fn advance(&mut self, stream: &mut Stream, ended: bool) -> Vec<Finding> {
        let short = ended && stream.len() < self.rules.all.shortest();
        let mut text = std::mem::take(&mut stream.text);
        let done = stream.done;
        let open = if ended { Open::none(&text) } else { open_from(&text, stream.coded_from) };
        let mut sure = open.text;
        if !ended {
            sure = sure.min(edge(&text, done.saturating_sub(READ_BEFORE))).max(done);
        }
        let mut growing = Self::growing(&text, stream.coded_from, open.from);
        if sure < open.from
            && let Some(items) = &growing
        {
            sure = items.around(sure).unwrap_or(sure).max(done);
            growing = Self::growing(&text, stream.coded_from, sure);
        }
        // What is encoded is known up to here.
        let known = sure.min(open.from);
        let mut step = Step { text: &text, ended, sure, hold: sure, suspect: stream.suspect };
        self.walk_raw(stream, &mut step);
        self.walk_views(stream, &mut step);
        match growing {
            Some(items) => self.read_coded(stream, &mut step, (items, known)),
            None if known == open.from => stream.coded_from = known,
            None => {}
        }
        self.read_hidden(stream, &mut step);
        // While nothing more is settled there is nothing that a scan could tell.
        if step.suspect && (ended || step.hold > done) {
            self.scan(stream, &mut step);
        }
        let mut hold = step.hold.max(done);
        let mut too_long = None;
        if text.len() - hold > HELD_MAX {
            stream.reached.held = true;
            too_long = Some(RawSpan { start: stream.base + hold, end: stream.len() + text.len() });
            hold = text.len();
            (stream.front, stream.coded_from, stream.hidden_from) = (hold, hold, hold);
        }
        stream.suspect = step.suspect && hold < stream.front;
        stream.front = stream.front.max(hold);
        stream.done = hold;
        stream.cursors.retain(|cursor| cursor.end > hold);
        if short {
            // No expression matches anything so short, and a scan does not read it.
            (stream.clean, stream.folded) = (false, false);
            stream.met.clear();
        }
        let mut findings = self.tell(stream, done);
        let source = &self.rules.builtin.held;
        findings.extend(too_long.map(|span| Finding { span, ..reached(source, Some(0)) }));
        stream.trim(&mut text);
        stream.text = text;
        findings
    }

    fn growing(text: &str, from: usize, to: usize) -> Option<Growing> {
        let shown = text.get(from..to).unwrap_or_default();
        if !is_coded(shown) {
            return None;
        }
        Some(Growing::read(text, from, to)).filter(|items| !items.is_empty())
    }

    /// Walks from every place of the raw text that has not been done with.
    fn walk_raw(&mut self, stream: &mut Stream, step: &mut Step<'_>) {
        let bytes = step.text.as_bytes();
        let mut at = stream.front;
        while at < step.sure {
            let walked = self.walked(bytes, at, step.sure, step.ended);
            if walked.open {
                break;
            }
            step.suspect |= walked.matched.is_some();
            at += 1;
        }
        // A place inside a character is none at which anything begins.
        stream.front = stream.front.max(step.text.floor_char_boundary(at));
        step.hold = step.hold.min(step.text.floor_char_boundary(at));
    }

    fn walked(&mut self, bytes: &[u8], at: usize, to: usize, ended: bool) -> Walked {
        if ended { self.walk.to_end(bytes, at) } else { self.walk.from(bytes, at, to) }
    }

    /// The same of the views, where they may read otherwise.
    fn walk_views(&mut self, stream: &mut Stream, step: &mut Step<'_>) {
        let from = step.text.floor_char_boundary(stream.done.saturating_sub(READ_BEFORE));
        let region = step.text.get(from..step.sure).unwrap_or_default();
        if !may_differ(region) {
            return;
        }
        let odd = survey(from_word(step.text, from, step.sure));
        let mut held = step.hold;
        let mut seen_any = false;
        let unsaid = stream.leet_from.is_none();
        let (sure, ended) = (step.sure, step.ended);
        self.each_view(region, stream.done - from, step.ended, |seen| {
            let at = from + seen.at;
            if seen.open {
                held = held.min(at);
            }
            if let Some(end) = seen.end {
                seen_any = true;
                // Digits may yet be letters, if one between letters follows soon.
                if unsaid && seen.changed && !ended && from + end + LEET_BEFORE + 8 > sure {
                    held = held.min(at);
                }
            }
        });
        step.hold = step.hold.min(held);
        step.suspect |= seen_any;
        stream.folded |= odd.needs_folded();
        stream.clean |= odd.odd && self.clean.bytes() != region.as_bytes();
        if stream.leet_from.is_none()
            && let Some(at) = self.folder.leet_at()
        {
            stream.leet_from = Some((stream.base + from + at).saturating_sub(LEET_BEFORE));
            stream.folded = true;
        }
    }

    /// Walks from every place of the clean and the folded view of a text, digits read as letters
    /// throughout and nowhere: which of them are is not known yet.
    fn each_view(&mut self, text: &str, from: usize, ended: bool, mut each: impl FnMut(Seen)) {
        let mut clean = std::mem::take(&mut self.clean);
        let mut folded = std::mem::take(&mut self.folded);
        let mut digits = std::mem::take(&mut self.digits);
        clean.clear();
        digits.clear();
        let odd = survey(text).odd;
        if odd {
            clean_into(&mut clean, text);
        }
        if text.chars().any(|c| !c.is_ascii() || leet(c).is_some()) {
            self.folder.fold_part(&mut digits, text, Leet::From(usize::MAX));
        }
        self.folder.fold_part(&mut folded, text, Leet::From(0));
        if digits.bytes() == folded.bytes() {
            digits.clear();
        }
        for view in [&clean, &folded, &digits] {
            let bytes = view.bytes();
            let start = view.view_span(RawSpan { start: from, end: from }).start;
            for at in start..bytes.len() {
                let walked = self.walked(bytes, at, bytes.len(), ended);
                if !walked.open && walked.matched.is_none() {
                    continue;
                }
                let raw = |start, end| view.raw_span(ViewSpan { start, end }, text);
                let Some(place) = raw(at, at + 1).filter(|place| place.start >= from) else {
                    continue;
                };
                let hit = walked.matched.and_then(|end| Some((end, raw(at, end)?)));
                let changed = hit.is_some_and(|(end, span)| {
                    let shown = text.get(span.start..span.end).unwrap_or_default();
                    shown.contains(|c| leet(c).is_some())
                        && !bytes
                            .get(at..end)
                            .unwrap_or_default()
                            .eq_ignore_ascii_case(shown.as_bytes())
                });
                let end = hit.map(|(_, span)| span.end);
                each(Seen { at: place.start, open: walked.open, end, changed });
                if walked.open {
                    break;
                }
            }
        }
        (self.clean, self.folded, self.digits) = (clean, folded, digits);
    }

    /// Reads the windows of encoded text that are whole, and looks for what is open in the one
    /// that is not.
    fn read_coded(
        &mut self,
        stream: &mut Stream,
        step: &mut Step<'_>,
        (mut items, known): (Growing, usize),
    ) {
        while let Some(window) = items.closed_window(step.text, step.ended) {
            self.read(stream, step.text, |reader| reader.read_window(&window));
        }
        let first = items.first();
        stream.coded_from = first.unwrap_or(known);
        let Some(open) = items.open_window(step.text).filter(|_| !step.ended) else { return };
        let text = open.view.text();
        let nested = nested_from(text, &open.parts);
        let shown = text.get(..nested.unwrap_or(text.len())).unwrap_or(text);
        let done = stream.done;
        let from = open.view.view_span(RawSpan { start: done, end: done }).start;
        let below = |at: usize| below(&open, step.text, at);
        let mut hold = step.hold;
        for at in from..shown.len() {
            let walked = self.walked(shown.as_bytes(), at, shown.len(), false);
            if walked.open || walked.matched.is_some_and(|end| is_coded_near(&open, at, end)) {
                hold = hold.min(below(at).unwrap_or(done));
                break;
            }
        }
        if may_differ(shown) {
            let from = shown.floor_char_boundary(from);
            self.each_view(shown, from, false, |seen| {
                if seen.open || seen.end.is_some_and(|end| is_coded_near(&open, seen.at, end)) {
                    hold = hold.min(below(seen.at).unwrap_or(done));
                }
            });
        }
        if let Some(nested) = nested {
            hold = hold.min(below(nested).unwrap_or(done));
        }
        step.hold = hold.max(done);
    }

    /// Reads texts of characters that show nothing, once they are over.
    fn read_hidden(&mut self, stream: &mut Stream, step: &mut Step<'_>) {
        let from = step.text.floor_char_boundary(stream.hidden_from);
        let region = step.text.get(from..step.sure).unwrap_or_default();
        if region.is_ascii() || !may_hide(region) {
            stream.hidden_from = step.sure.max(from);
            return;
        }
        let Some((span, gap)) = hidden_span(region) else {
            // A flag may be begun.
            let begun = region.len().saturating_sub(64);
            stream.hidden_from = from + region.floor_char_boundary(begun);
            return;
        };
        if step.ended || span.end + gap + 4 < region.len() {
            let stretch = RawSpan { start: from, end: step.sure };
            self.read(stream, step.text, |reader| reader.read_hidden(stretch));
            stream.hidden_from = step.sure;
        } else {
            step.hold = step.hold.min(from + span.start).max(stream.done);
        }
    }

    /// Scans what is kept for matches that begin where the text is not settled.
    fn scan(&mut self, stream: &mut Stream, step: &mut Step<'_>) {
        let text = step.text;
        let survey = survey(text);
        let mut clean = std::mem::take(&mut self.clean);
        let mut folded = std::mem::take(&mut self.folded);
        let leet = match stream.leet_from {
            Some(at) => Leet::From(at.saturating_sub(stream.base)),
            None => Leet::ByText,
        };
        let folds = survey.needs_folded() || stream.leet_from.is_some();
        if survey.odd {
            clean_into(&mut clean, text);
        }
        if folds {
            self.folder.fold_part(&mut folded, text, leet);
        }
        let mut readings: Vec<(Reading, Option<&View>)> = vec![(Reading::Raw, None)];
        if survey.odd && clean.bytes() != text.as_bytes() {
            readings.push((Reading::Clean, Some(&clean)));
        }
        if folds {
            readings.push((Reading::Folded, Some(&folded)));
        }
        let event = event(self.carrier, text);
        let Some(field) = event.fields.first() else { return };
        let rules = self.rules;
        let mut found = Vec::new();
        let mut all: Vec<(Reading, Match, RawSpan)> = Vec::new();
        for &(reading, view) in &readings {
            let place = |at: usize| {
                view.map_or(at, |view| view.view_span(RawSpan { start: at, end: at }).start)
            };
            let begin = place(stream.done);
            let cursors = &stream.cursors;
            let floor = |spec: u32| {
                let of = cursors.iter().filter(|one| one.spec == spec && one.reading == reading);
                of.map(|cursor| place(cursor.end)).fold(begin, usize::max)
            };
            let reads = |of: &SpecOf| match reading {
                Reading::Raw => true,
                Reading::Clean => of.clean,
                Reading::Folded => of.folded,
            };
            let bytes = view.map_or(text.as_bytes(), View::bytes);
            let wanted = wanted(&rules.all_specs, bit(self.carrier), reads);
            if self.scratch.all.matches_from(bytes, floor, wanted, &mut self.matches).is_err() {
                stream.reached.candidates = true;
            }
            for hit in &self.matches {
                let span = |start, end| match view {
                    Some(view) => view.raw_span(ViewSpan { start, end }, text),
                    None => Some(RawSpan { start, end }),
                };
                if let Some(whole) = span(hit.start, hit.end) {
                    all.push((reading, *hit, whole));
                }
            }
        }
        let mut judge = Judge {
            rules,
            event: &event,
            at: 0,
            field,
            text,
            layer: None,
            matched: RawSpan::default(),
            folded: folds.then_some(&folded),
            key_words: &mut self.key_words,
            has_key_words: false,
            reader: mention::Reader::new(&rules.cues, text).behind(stream.fences),
            found: &mut found,
        };
        let view_of = |reading: Reading| match reading {
            Reading::Raw => None,
            Reading::Clean => Some(&clean),
            Reading::Folded => Some(&folded),
        };
        let value_of = |reading: Reading, hit: &Match| match view_of(reading) {
            Some(view) => {
                view.raw_span(ViewSpan { start: hit.group_start, end: hit.group_end }, text)
            }
            None => Some(RawSpan { start: hit.group_start, end: hit.group_end }),
        };
        // First, where something is waited for; then, what stands before.
        let mut anchors = Vec::new();
        if !step.ended {
            for (reading, hit, whole) in &all {
                if whole.start >= step.hold {
                    continue;
                }
                let Some(of) = rules.all_specs.get(hit.spec as usize) else { continue };
                let settled = if let Some(turn) = turn_of(*of) {
                    turn.is_whole(text, *whole)
                } else if let Some(span) = value_of(*reading, hit) {
                    let bytes = view_of(*reading).map_or(text.as_bytes(), View::bytes);
                    let value = hit.group_start..hit.group_end;
                    judge.is_settled(*of, bytes, value, (span, step.sure))
                } else {
                    true
                };
                if !settled {
                    step.hold = whole.start;
                }
            }
            step.hold = step.hold.max(stream.done);
        }
        for (reading, hit, whole) in &all {
            if whole.start >= step.hold && !step.ended {
                continue;
            }
            let Some(of) = rules.all_specs.get(hit.spec as usize) else { continue };
            if let Some(turn) = turn_of(*of) {
                if *reading == Reading::Raw && whole.start >= stream.turned_to[turn as usize] {
                    anchors.push((turn, *whole));
                }
            } else if let Some(span) = value_of(*reading, hit) {
                let bytes = view_of(*reading).map_or(text.as_bytes(), View::bytes);
                judge.hit(*of, bytes, hit.group_start..hit.group_end, span, *reading);
            }
            let words = rules.all.specs().get(hit.spec as usize).is_some_and(|spec| spec.words);
            let end = if words {
                value_of(*reading, hit).map_or(whole.end, |span| span.end).max(whole.start + 1)
            } else {
                whole.end
            };
            for other in [Reading::Raw, Reading::Clean, Reading::Folded] {
                // A reading that was not made reads as the raw text does.
                let made = readings.iter().any(|(made, _)| *made == other);
                if other == *reading || (*reading == Reading::Raw && !made) {
                    stream.cursors.push(Cursor { reading: other, spec: hit.spec, end });
                }
            }
        }
        drop(judge);
        drop(readings);
        (self.clean, self.folded) = (clean, folded);
        let base = stream.base;
        stream.found.extend(found.into_iter().map(|hit| moved(hit, base)));
        if !anchors.is_empty() {
            for &(turn, anchor) in &anchors {
                let to = &mut stream.turned_to[turn as usize];
                if anchor.start >= *to {
                    *to = turn.line_end(text, anchor);
                }
            }
            self.read(stream, text, |reader| reader.read_turned(&anchors));
        }
    }

    /// Reads texts that the kept text holds.
    fn read(
        &mut self,
        stream: &mut Stream,
        text: &str,
        what: impl FnOnce(&mut Reader<'_, 'a, '_>) -> super::decoded::Held,
    ) {
        let event = event(self.carrier, text);
        let Some(field) = event.fields.first() else { return };
        let mut reader = Reader {
            rules: self.rules,
            event: &event,
            at: 0,
            field,
            all: &mut self.scratch.all,
            folder: &mut self.folder,
            key_words: &mut self.key_words,
            paths: &mut stream.paths,
        };
        let held = what(&mut reader);
        let (base, done) = (stream.base, stream.done);
        let news = held.found.into_iter().filter(|hit| hit.span.start >= done);
        stream.found.extend(news.map(|hit| moved(hit, base)));
        if self.carrier != Carrier::System {
            stream.payloads.extend(held.payloads.into_iter().map(|payload| {
                let RawSpan { start, end } = payload.span;
                Payload { span: RawSpan { start: base + start, end: base + end }, ..payload }
            }));
        }
        stream.met.extend(held.met);
        stream.reached.deep |= held.unread.deep;
        stream.reached.many |= held.unread.many;
        stream.reached.candidates |= held.unread.costly;
    }

    /// The findings that have become certain.
    fn tell(&self, stream: &mut Stream, was_done: usize) -> Vec<Finding> {
        let (from, to) = (stream.base + was_done, stream.base + stream.done);
        let to = if stream.ended { usize::MAX } else { to };
        let mut findings = Vec::new();
        if !stream.found.is_empty() {
            for hit in kept(&mut stream.found, &stream.paths) {
                if (from..to).contains(&hit.span.start) {
                    stream.told += 1;
                    if stream.told <= self.rules.limits.findings {
                        findings.extend(hit.finding(self.rules, &stream.paths));
                    } else {
                        stream.reached.findings = true;
                    }
                }
            }
            // A later hit may lie inside one that ends behind.
            let all = std::mem::take(&mut stream.found);
            let reach =
                |rule: u32| all.iter().filter(|hit| hit.rule == rule).map(|hit| hit.span.end).max();
            stream.found = all.iter().filter(|hit| reach(hit.rule) > Some(to)).copied().collect();
        }
        stream.payloads.retain(|payload| {
            let told = payload.span.start < to;
            if told {
                findings.push(payload.finding(&self.rules.builtin));
            }
            !told
        });
        findings
    }

    /// What reaching a limit says; each is told once, when it is asked for first. What is held for
    /// too long is told as it happens, with what was held.
    #[must_use]
    pub fn limits(&self, stream: &mut Stream) -> Vec<Finding> {
        let builtin = &self.rules.builtin;
        let Reached { findings, candidates, deep, many, .. } = stream.reached;
        let told = std::mem::replace(&mut stream.reached_told, stream.reached);
        [
            (findings && !told.findings, &builtin.findings, None),
            (candidates && !told.candidates, &builtin.candidates, Some(0)),
            (deep && !told.deep, &builtin.decode_depth, Some(0)),
            (many && !told.many, &builtin.decoded, Some(0)),
        ]
        .into_iter()
        .filter(|(is_new, _, _)| *is_new)
        .map(|(_, source, field)| reached(source, field))
        .collect()
    }
}

/// The place in the kept text from which a place of a decoded text is held: where it stands, or where
/// the run begins that it was decoded from, because a hit may take all of that.
fn below(decoded: &Decoded, text: &str, at: usize) -> Option<usize> {
    let place = RawSpan { start: at, end: at + 1 };
    let stands = decoded.below(place, text)?.start;
    let run = decoded.part_at(place).map(|part| part.run.start);
    Some(run.map_or(stands, |run| run.min(stands)))
}

/// Whether a stretch of a decoded text touches something decoded, or words for it may.
fn is_coded_near(decoded: &Decoded, start: usize, end: usize) -> bool {
    let around = RawSpan { start: start.saturating_sub(NEAR_PART), end: end + NEAR_PART };
    decoded.part_at(around).is_some()
}

/// A part of the text without the rest of a word that begins before it: the word's last letter is
/// no letter that stands by itself.
fn from_word(text: &str, from: usize, to: usize) -> &str {
    let region = text.get(from..to).unwrap_or_default();
    match text.get(..from).and_then(|before| before.chars().next_back()) {
        Some(before) if before.is_ascii_alphabetic() => {
            region.trim_start_matches(|c: char| c.is_ascii_alphabetic())
        }
        _ => region,
    }
}

fn moved(hit: Found, by: usize) -> Found {
    Found { span: RawSpan { start: hit.span.start + by, end: hit.span.end + by }, ..hit }
}

/// The kept text as an event: one string.
fn event(carrier: Carrier, text: &str) -> Event<'_> {
    let mut event = Event::new(carrier.kind(), "-".into(), "stream".into(), Millis(0));
    event.push_text("text".into(), text.into(), carrier);
    event
}
