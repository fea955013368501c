//! What is encoded in a string: decoded, read as any text, and led back to the string.
//!
//! A string may hold texts, and they may hold texts. Each is a [`Layer`] on the one that it
//! was decoded from; a hit is led down through the layers to the string, and the names of
//! the decoders on the way are its view's path. Only hits that touch something decoded
//! count: the plain text around it has been read already.
//!
//! What a hit covers is cut from the string and the rest is read once more. Where it still
//! matches, the hits take the whole runs that they stand in, and if need be all that is
//! encoded behind the first of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::limits::{ScanLimits, Sources};
use super::mention;
use super::scan::{Found, Judge, Reading, wanted};
use super::{Rules, SpecOf, bit};
use crate::engine::{Match, Scanner};
use crate::event::{Event, Field, RawSpan};
use crate::finding::{Confidence, Finding, ViewName};
use crate::state::codec::{Pack, Unpack};
use crate::text::decode::{Decoded, Decoder, decode, decodes};
use crate::text::{
    Folder, Turn, View, ViewSpan, clean_into, hidden, may_hide, survey, whole_chars,
};

/// A hidden text of so many letters and digits is a finding, whatever it says.
const READABLE_MIN: usize = 8;

/// Words that are looked for near a hit stand no farther from it, in bytes.
const NEAR_MAX: usize = 64;

/// Rule numbers from here on are no rules: anchors of lines to be turned.
const ANCHORS: u32 = 1 << 31;

/// The expressions that call for a line to be turned, with what they are to the scan.
pub(super) fn anchors() -> impl Iterator<Item = (String, SpecOf)> {
    (ANCHORS..).zip(Turn::ALL).map(|(rule, turn)| {
        let of = SpecOf {
            rule,
            carriers: u8::MAX,
            raw: true,
            clean: false,
            folded: false,
            decoded: true,
        };
        (turn.anchors(), of)
    })
}

/// The turn that an expression calls for; none for the expressions of rules.
pub(super) fn turn_of(of: SpecOf) -> Option<Turn> {
    Turn::ALL.get(of.rule.checked_sub(ANCHORS)? as usize).copied()
}

/// A text and what it was decoded from.
#[derive(Clone, Copy)]
pub(super) struct Layer<'l> {
    text: &'l str,
    decoded: Option<&'l Decoded>,
    below: Option<&'l Layer<'l>>,
}

impl<'l> Layer<'l> {
    fn root(text: &'l str) -> Self {
        Self { text, decoded: None, below: None }
    }

    fn on(below: &'l Self, decoded: &'l Decoded) -> Self {
        Self { text: decoded.view.text(), decoded: Some(decoded), below: Some(below) }
    }

    /// The stretch of the text below that stands for a stretch of this one.
    fn down(&self, span: RawSpan) -> Option<(&'l Self, RawSpan)> {
        let (below, decoded) = (self.below?, self.decoded?);
        Some((below, decoded.below(span, below.text)?))
    }

    /// The stretch of the string itself.
    pub(super) fn raw(&self, span: RawSpan) -> Option<RawSpan> {
        let mut layer = self;
        let mut span = whole_chars(span, self.text);
        while layer.below.is_some() {
            (layer, span) = layer.down(span)?;
        }
        Some(span)
    }

    /// The decoders that led to the stretch, outermost first.
    pub(super) fn path(&self, span: RawSpan) -> String {
        let mut names = Vec::new();
        let mut at = Some((self, span));
        while let Some((layer, span)) = at {
            let part = layer.decoded.and_then(|decoded| decoded.part_at(span));
            names.extend(part.map(|part| part.decoder.name()));
            at = layer.down(span);
        }
        names.reverse();
        names.join(">")
    }

    fn touches(&self, span: RawSpan) -> bool {
        self.decoded.is_some_and(|decoded| decoded.part_at(span).is_some())
    }

    /// What makes a match news: itself, where it touches something decoded, or else, for a
    /// rule that asks for words near by, the text around it that does.
    fn news(&self, span: RawSpan, rules: &Rules, of: SpecOf) -> Option<RawSpan> {
        if self.touches(span) {
            return Some(span);
        }
        let confirm = rules.confirm.get(of.rule as usize)?;
        let start = span.start.saturating_sub(NEAR_MAX);
        let around = RawSpan { start, end: span.end + NEAR_MAX };
        (confirm.wants_context() && self.touches(around)).then_some(around)
    }

    fn is_turned(&self) -> bool {
        let first = self.decoded.and_then(|decoded| decoded.parts.first());
        first.is_some_and(|part| {
            matches!(part.decoder, Decoder::Rot13 | Decoder::Reversed | Decoder::ReversedWords)
        })
    }
}

/// How much more of one window may be decoded.
#[derive(Clone, Copy)]
struct Budget {
    texts: usize,
    bytes: usize,
}

/// A window counts as no shorter than this.
const WINDOW_MIN: usize = 1024;

impl Budget {
    /// For one window of the string: what stands elsewhere has no part in it.
    fn of(window: usize, limits: &ScanLimits) -> Self {
        let bytes = window.max(WINDOW_MIN).saturating_mul(limits.decoded_ratio);
        Self { texts: limits.decoded_texts, bytes }
    }

    fn take(&mut self, decoded: &Decoded) -> bool {
        let left = self.bytes.checked_sub(decoded.view.bytes().len());
        match (self.texts.checked_sub(1), left) {
            (Some(texts), Some(bytes)) => {
                *self = Self { texts, bytes };
                true
            }
            _ => false,
        }
    }
}

/// What kept a string from being read whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// Something was encoded deeper than is read.
    pub(super) deep: bool,
    /// There were more texts, or longer ones, than are read.
    pub(super) many: bool,
    /// A text had too many candidates.
    pub(super) costly: bool,
}

/// A hidden text that is a finding of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    pub(super) field: u32,
    pub(super) span: RawSpan,
    pub(super) decoder: Decoder,
}

impl Payload {
    pub(super) fn finding(&self, builtin: &Sources) -> Finding {
        let (source, view) = match self.decoder {
            Decoder::Tags => (&builtin.tags, "tags"),
            _ => (&builtin.selectors, "selectors"),
        };
        Finding {
            source: Arc::clone(source),
            confidence: Confidence::High,
            field: Some(self.field),
            span: self.span,
            view: ViewName(view.into()),
            mention: None,
        }
    }
}

/// Paths of decoders by number; number 0 is no path.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths(Vec<String>);

impl Paths {
    /// The number of a path.
    pub(super) fn number(&mut self, path: String) -> u32 {
        let at = self.0.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.0.push(path);
            self.0.len() - 1
        });
        at as u32 + 1
    }

    pub(super) fn name(&self, number: u32) -> Option<&str> {
        self.0.get(number.checked_sub(1)? as usize).map(String::as_str)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn store(&self, out: Pack) -> Pack {
        out.texts(&self.0)
    }

    pub(super) fn restore(from: &mut Unpack<'_>) -> Option<Self> {
        from.texts().map(Self)
    }
}

/// Reads what one string holds.
pub(super) struct Reader<'r, 'a, 'e> {
    pub(super) rules: &'a Rules,
    pub(super) event: &'r Event<'e>,
    pub(super) at: u32,
    pub(super) field: &'r Field<'e>,
    pub(super) all: &'r mut Scanner<'a>,
    pub(super) folder: &'r mut Folder,
    pub(super) key_words: &'r mut String,
    pub(super) paths: &'r mut Paths,
}

/// What a reading has found, and what it may still do.
struct Progress {
    found: Vec<Found>,
    payloads: Vec<Payload>,
    /// Paths of the texts that were read.
    met: BTreeSet<String>,
    unread: Unread,
    left: Budget,
    /// Whether the rest of what is cut is read again.
    checks: bool,
}

/// What a string holds.
pub(super) struct Held {
    pub(super) found: Vec<Found>,
    pub(super) payloads: Vec<Payload>,
    pub(super) met: BTreeSet<String>,
    pub(super) unread: Unread,
}

impl Progress {
    fn held(self) -> Held {
        let Self { found, payloads, met, unread, .. } = self;
        Held { found, payloads, met, unread }
    }

    fn of(limits: &ScanLimits, checks: bool) -> Self {
        Self {
            found: Vec::new(),
            payloads: Vec::new(),
            met: BTreeSet::new(),
            unread: Unread::default(),
            left: Budget::of(0, limits),
            checks,
        }
    }
}

impl Reader<'_, '_, '_> {
    /// Reads all texts in the field's text; `anchors` say which of its lines are turned.
    pub(super) fn read(&mut self, anchors: &[(Turn, RawSpan)]) -> Held {
        let text = &self.field.text;
        let mut progress = Progress::of(&self.rules.limits, true);
        self.texts_of(&Layer::root(text), anchors, 0, &mut progress);
        progress.held()
    }

    /// Reads one text that was decoded from the field's.
    pub(super) fn read_window(&mut self, decoded: &Decoded) -> Held {
        let mut progress = Progress::of(&self.rules.limits, true);
        let flow = self.text(&Layer::root(&self.field.text), decoded, 0, &mut progress);
        debug_assert!(flow.is_continue() || progress.unread.many, "it stops at a limit only");
        progress.held()
    }

    /// Reads what is hidden in a stretch of the field's text that lies apart from any other.
    pub(super) fn read_hidden(&mut self, stretch: RawSpan) -> Held {
        let mut progress = Progress::of(&self.rules.limits, true);
        let flow = self.hidden_of(&Layer::root(&self.field.text), stretch, 0, &mut progress);
        debug_assert!(flow.is_continue() || progress.unread.many, "it stops at a limit only");
        progress.held()
    }

    /// Reads the lines that anchors turn.
    pub(super) fn read_turned(&mut self, anchors: &[(Turn, RawSpan)]) -> Held {
        let mut progress = Progress::of(&self.rules.limits, true);
        self.turned_of(&Layer::root(&self.field.text), anchors, 0, &mut progress);
        progress.held()
    }

    /// Reads the texts that a text holds.
    fn texts_of(
        &mut self,
        layer: &Layer<'_>,
        anchors: &[(Turn, RawSpan)],
        depth: usize,
        progress: &mut Progress,
    ) {
        let within = layer.decoded.map(|decoded| decoded.parts.as_slice());
        let hides = !layer.text.is_ascii() && may_hide(layer.text);
        if depth < self.rules.limits.decode_depth {
            decode(layer.text, within, |decoded| self.text(layer, &decoded, depth, progress));
            if hides {
                let whole = RawSpan { start: 0, end: layer.text.len() };
                if self.hidden_of(layer, whole, depth, progress).is_break() {
                    return;
                }
            }
        } else {
            progress.unread.deep |= decodes(layer.text, within);
            progress.unread.deep |=
                hides && hidden(layer.text).iter().any(|one| layer.touches(one.decoded.window));
        }
        // A turned line holds no further text, so it is read at any depth.
        self.turned_of(layer, anchors, depth, progress);
    }

    /// Reads the texts that are hidden in a stretch of a text.
    fn hidden_of(
        &mut self,
        layer: &Layer<'_>,
        stretch: RawSpan,
        depth: usize,
        progress: &mut Progress,
    ) -> ControlFlow<()> {
        // Offsets count from the text's beginning, so its end alone is cut off.
        let text = layer.text.get(..stretch.end).unwrap_or(layer.text);
        for hidden in hidden(text) {
            let window = hidden.decoded.window;
            // What stands in plain text beside something decoded has been read with that text.
            let known = layer.decoded.is_some() && !layer.touches(window);
            if window.start < stretch.start || known {
                continue;
            }
            if let Some(part) = hidden.decoded.parts.first()
                && hidden.readable >= READABLE_MIN
                && let Some(span) = layer.raw(part.run)
            {
                let decoder = part.decoder;
                progress.payloads.push(Payload { field: self.at, span, decoder });
            }
            self.text(layer, &hidden.decoded, depth, progress)?;
        }
        ControlFlow::Continue(())
    }

    /// Reads the lines that anchors turn: of each line, from its first anchor on. What stands
    /// before is only read with it: a reader of a stream has let it go.
    fn turned_of(
        &mut self,
        layer: &Layer<'_>,
        anchors: &[(Turn, RawSpan)],
        depth: usize,
        progress: &mut Progress,
    ) {
        let mut read_to: Option<(Turn, usize)> = None;
        for &(turn, anchor) in anchors {
            if read_to.is_some_and(|(of, end)| of == turn && anchor.start < end) {
                continue;
            }
            let before = progress.found.len();
            for decoded in turn.read(layer.text, anchor) {
                read_to = Some((turn, decoded.window.end));
                if self.text(layer, &decoded, depth, progress).is_break() {
                    return;
                }
            }
            let Some(first) = layer.raw(anchor).map(|span| span.start) else { continue };
            let mut at = 0;
            progress.found.retain_mut(|hit| {
                at += 1;
                let reaches = at <= before || hit.span.end > first;
                if at > before {
                    hit.span.start = hit.span.start.max(first);
                }
                reaches
            });
        }
    }

    /// Reads one text, and those that it holds.
    fn text(
        &mut self,
        below: &Layer<'_>,
        decoded: &Decoded,
        depth: usize,
        progress: &mut Progress,
    ) -> ControlFlow<()> {
        if below.below.is_none() {
            progress.left = Budget::of(decoded.window.len(), &self.rules.limits);
        }
        if !progress.left.take(decoded) {
            progress.unread.many = true;
            return ControlFlow::Break(());
        }
        let layer = Layer::on(below, decoded);
        let mut named = [false; Decoder::COUNT];
        for part in &decoded.parts {
            if !std::mem::replace(&mut named[part.decoder as usize], true) {
                let span = RawSpan { start: part.view.start, end: part.view.end };
                progress.met.insert(layer.path(span));
            }
        }
        let before = progress.found.len();
        let anchors = self.scan(&layer, progress);
        if !layer.is_turned() {
            self.texts_of(&layer, &anchors, depth + 1, progress);
        }
        if progress.checks && below.below.is_none() && progress.found.len() > before {
            self.widen(below.text, decoded, progress.found.get_mut(before..).unwrap_or_default());
        }
        ControlFlow::Continue(())
    }

    /// Reads one text in its views. Returns the anchors of lines to be turned.
    fn scan(&mut self, layer: &Layer<'_>, progress: &mut Progress) -> Vec<(Turn, RawSpan)> {
        let text = layer.text;
        let survey = survey(text);
        let carrier = bit(self.field.carrier);
        let mut clean = View::default();
        let mut folded = View::default();
        if survey.odd {
            clean_into(&mut clean, text);
        }
        if survey.needs_folded() {
            self.folder.fold_into(&mut folded, text);
        }
        let clean_differs = survey.odd && clean.bytes() != text.as_bytes();
        let mut judge = Judge {
            rules: self.rules,
            event: self.event,
            at: self.at,
            field: self.field,
            text,
            layer: Some((layer, &mut *self.paths)),
            matched: RawSpan::default(),
            folded: survey.needs_folded().then_some(&folded),
            key_words: &mut *self.key_words,
            has_key_words: false,
            reader: mention::Reader::new(&self.rules.cues, text),
            found: &mut progress.found,
        };
        let mut anchors = Vec::new();
        let mut matches: Vec<Match> = Vec::new();
        let specs = &self.rules.all_specs;
        let scanned = self.all.matches_where(
            text.as_bytes(),
            wanted(specs, carrier, |of| of.decoded),
            &mut matches,
        );
        progress.unread.costly |= scanned.is_err();
        for hit in &matches {
            let Some(of) = specs.get(hit.spec as usize) else { continue };
            let span = RawSpan { start: hit.start, end: hit.end };
            let Some(news) = layer.news(span, self.rules, *of) else { continue };
            if let Some(turn) = turn_of(*of) {
                anchors.push((turn, span));
            } else {
                judge.matched = news;
                let value = RawSpan { start: hit.group_start, end: hit.group_end };
                judge.hit(*of, text.as_bytes(), value.start..value.end, value, Reading::Raw);
            }
        }
        for (reading, view) in [(Reading::Clean, &clean), (Reading::Folded, &folded)] {
            let made =
                if reading == Reading::Clean { clean_differs } else { survey.needs_folded() };
            if !made {
                continue;
            }
            let reads = |of: &SpecOf| {
                of.decoded && if reading == Reading::Clean { of.clean } else { of.folded }
            };
            let scanned =
                self.all.matches_where(view.bytes(), wanted(specs, carrier, reads), &mut matches);
            progress.unread.costly |= scanned.is_err();
            for hit in &matches {
                let whole = ViewSpan { start: hit.start, end: hit.end };
                let value = ViewSpan { start: hit.group_start, end: hit.group_end };
                if let (Some(of), Some(whole), Some(span)) = (
                    specs.get(hit.spec as usize),
                    view.raw_span(whole, text),
                    view.raw_span(value, text),
                ) && let Some(news) = layer.news(whole, self.rules, *of)
                {
                    judge.matched = news;
                    judge.hit(*of, view.bytes(), value.start..value.end, span, reading);
                }
            }
        }
        anchors
    }

    /// Makes hits in a text of the string larger until nothing of what is left matches. A hit
    /// in plain text, which counts for the words that are encoded beside it, stays as it is.
    fn widen(&mut self, text: &str, decoded: &Decoded, found: &mut [Found]) {
        let in_code = |hit: &Found| decoded.runs_over(hit.span);
        let firsts = found.iter().filter(|hit| in_code(hit).is_some()).map(|hit| hit.span.start);
        let Some(first) = firsts.min() else { return };
        if !self.still_matches(text, decoded.window, found) {
            return;
        }
        for hit in &mut *found {
            hit.span = hull(hit.span, in_code(hit));
        }
        if !self.still_matches(text, decoded.window, found) {
            return;
        }
        // All that is encoded from the first of them on: what stands before has been let go.
        let rest = RawSpan { start: first, end: decoded.coded.end.max(first) };
        for hit in found.iter_mut().filter(|hit| in_code(hit).is_some()) {
            hit.span = hull(hit.span, Some(rest));
        }
    }

    /// Whether the window still holds something when the hits are cut from it.
    fn still_matches(&mut self, text: &str, window: RawSpan, found: &[Found]) -> bool {
        let mut spans: Vec<RawSpan> = found.iter().map(|hit| hit.span).collect();
        spans.sort_unstable();
        let mut rest = String::with_capacity(window.len());
        let mut at = window.start;
        for span in spans {
            rest.push_str(text.get(at..span.start).unwrap_or_default());
            rest.push(CUT);
            at = at.max(span.end);
        }
        rest.push_str(text.get(at..window.end).unwrap_or_default());
        let mut anchors = Vec::new();
        let mut matches = Vec::new();
        let is_anchor = |of: &SpecOf| turn_of(*of).is_some();
        let specs = &self.rules.all_specs;
        let scanned = self.all.matches_where(
            rest.as_bytes(),
            wanted(specs, u8::MAX, is_anchor),
            &mut matches,
        );
        if scanned.is_err() {
            return true;
        }
        for hit in &matches {
            let turn = specs.get(hit.spec as usize).and_then(|of| turn_of(*of));
            let span = RawSpan { start: hit.start, end: hit.end };
            anchors.extend(turn.map(|turn| (turn, span)));
        }
        let mut progress = Progress::of(&self.rules.limits, false);
        self.texts_of(&Layer::root(&rest), &anchors, 0, &mut progress);
        !progress.found.is_empty()
    }
}

/// Stands where a hit was cut.
const CUT: char = '\u{2588}';

fn hull(a: RawSpan, b: Option<RawSpan>) -> RawSpan {
    let b = b.unwrap_or(a);
    RawSpan { start: a.start.min(b.start), end: a.end.max(b.end) }
}
