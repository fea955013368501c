//! The second pass: which candidates are matches, and where exactly.
//!
//! A [`Candidate`] says that a match may start between two places. Windows of one expression that
//! touch become one, so no byte is searched again for the next candidate, and hostile text cannot
//! make the work quadratic. Three facts make a window search equal to a search of the whole text:
//! every match starts inside some candidate, so nothing is found earlier by looking elsewhere; the
//! window reaches as far behind the last start as a match can be long (or to the text's end), so no
//! match is cut short; and assertions see the text around the window.

use std::sync::Arc;

use regex_automata::meta::{self, Cache};
use regex_automata::util::iter::Searcher;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use super::exact::Exact;
use super::gate::Gate;
use super::{Match, Overflow, Spec};

/// So few possible starts are tried one by one, each search stopping at the first byte that does
/// not fit. It is also how often a byte may be searched again.
const TRIES: usize = 4;

/// A match of `spec` may start at `from`, at `to`, or between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Index of the spec.
    pub spec: u32,
    /// The first place.
    pub from: usize,
    /// The last place.
    pub to: usize,
}

/// What the second pass does for one spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Index of the spec.
    pub spec: u32,
    /// Searches that are begun.
    pub searches: u64,
    /// Bytes that they may read, at most; a start that is tried alone counts as one.
    pub bytes: u64,
}

/// The exact automata of one spec.
pub(super) struct Expression {
    exact: Exact,
    group: usize,
    /// Whether a match may begin where the last one's group ended.
    shares_edges: bool,
    /// No match is shorter.
    pub(super) shortest: usize,
    /// No match is longer; `None` for an expression without bound.
    longest: Option<usize>,
}

impl Expression {
    pub(super) fn compile(hir: &Hir, spec: &Spec) -> Result<Self, String> {
        let group = spec.group;
        let groups = hir.properties().explicit_captures_len();
        if group > groups {
            return Err(format!("group {group} is named, and the expression has {groups}"));
        }
        let exact = Exact::of(hir, &spec.regex, group > 0)?;
        let properties = hir.properties();
        Ok(Self {
            exact,
            group,
            shares_edges: spec.words,
            // Nothing matches an expression without a least length.
            shortest: properties.minimum_len().unwrap_or(usize::MAX),
            longest: properties.maximum_len(),
        })
    }

    /// Makes the automata if they have not been made.
    pub(super) fn warm(&self) -> Result<(), &str> {
        self.exact.get().map(|_| ())
    }
}

/// Working memory of the second pass.
pub(super) struct Confirm<'a> {
    expressions: &'a [Arc<Expression>],
    /// Those that are searched for without a candidate, in every text with a property.
    everywhere: &'a [(Gate, u32)],
    /// Made at the first candidate: most expressions never meet one.
    caches: Vec<Option<Cache>>,
    slots: Vec<Option<NonMaxUsize>>,
}

impl<'a> Confirm<'a> {
    pub(super) fn new(expressions: &'a [Arc<Expression>], everywhere: &'a [(Gate, u32)]) -> Self {
        let caches = expressions.iter().map(|_| None).collect();
        Self { expressions, everywhere, caches, slots: Vec::new() }
    }

    /// Appends the matches of all candidates, and of those expressions that have none. A match of
    /// a spec begins where `floor` says or behind it. Fails where an expression's automata cannot
    /// be made; `out` is then not to be used.
    pub(super) fn run(
        &mut self,
        haystack: &[u8],
        candidates: &mut [Candidate],
        (wanted, floor): (impl Fn(u32) -> bool, impl Fn(u32) -> usize),
        out: &mut Vec<Match>,
    ) -> Result<(), Overflow> {
        candidates.sort_unstable();
        for of_spec in candidates.chunk_by(|a, b| a.spec == b.spec) {
            let spec = of_spec[0].spec;
            self.expression(spec, haystack, out)?.windows(of_spec, floor(spec));
        }
        let mut tried: Option<(Gate, bool)> = None;
        for at in 0..self.everywhere.len() {
            let (gate, spec) = self.everywhere[at];
            let passes = match tried {
                Some((of, passes)) if of == gate => passes,
                _ => gate.in_text(haystack),
            };
            tried = Some((gate, passes));
            if passes && wanted(spec) {
                self.expression(spec, haystack, out)?.everywhere(floor(spec));
            }
        }
        if !self.everywhere.is_empty() {
            out.sort_unstable();
        }
        Ok(())
    }

    /// What [`Confirm::run`] does for these candidates, counted and not done.
    pub(super) fn work(&self, haystack: &[u8], candidates: &mut [Candidate]) -> Vec<Work> {
        candidates.sort_unstable();
        let gated = candidates.chunk_by(|a, b| a.spec == b.spec).map(|of_spec| {
            let longest = self.expressions[of_spec[0].spec as usize].longest;
            let mut work = Work { spec: of_spec[0].spec, searches: 0, bytes: 0 };
            // Windows that touch are one.
            let mut read_to = 0;
            for candidate in of_spec {
                let starts = candidate.to - candidate.from + 1;
                if starts <= TRIES {
                    work.searches += starts as u64;
                    work.bytes += starts as u64;
                    continue;
                }
                let end =
                    longest.map_or(usize::MAX, |longest| candidate.to.saturating_add(longest));
                let end = end.min(haystack.len());
                work.searches += u64::from(candidate.from > read_to || read_to == 0);
                work.bytes += end.saturating_sub(candidate.from.max(read_to)) as u64;
                read_to = read_to.max(end);
            }
            work
        });
        let whole = haystack.len() as u64;
        let everywhere = self.everywhere.iter().filter(|(gate, _)| gate.in_text(haystack));
        let everywhere = everywhere.map(|&(_, spec)| Work { spec, searches: 1, bytes: whole });
        gated.chain(everywhere).collect()
    }

    fn expression<'s>(
        &'s mut self,
        spec: u32,
        haystack: &'s [u8],
        out: &'s mut Vec<Match>,
    ) -> Result<Search<'s>, Overflow> {
        let expression = &self.expressions[spec as usize];
        let regex = expression.exact.get().map_err(|_| Overflow)?;
        let cache = self.caches[spec as usize].get_or_insert_with(|| regex.create_cache());
        let slots = &mut self.slots;
        Ok(Search { spec, expression, regex, cache, slots, haystack, out })
    }
}

/// One expression over one text.
struct Search<'s> {
    spec: u32,
    expression: &'s Expression,
    regex: &'s meta::Regex,
    cache: &'s mut Cache,
    slots: &'s mut Vec<Option<NonMaxUsize>>,
    haystack: &'s [u8],
    out: &'s mut Vec<Match>,
}

impl Search<'_> {
    /// What `find_iter` does, empty matches included.
    fn everywhere(mut self, floor: usize) {
        if floor > self.haystack.len() {
            return;
        }
        if self.expression.shares_edges {
            self.window(floor, self.haystack.len(), floor);
            return;
        }
        let mut searcher = Searcher::new(Input::new(self.haystack).range(floor..));
        loop {
            let found = searcher.advance(|input| Ok(self.regex.search_with(self.cache, input)));
            let Some(found) = found else { return };
            self.report(found.start(), found.end());
        }
    }

    /// Searches the windows of candidates that are sorted by their first place.
    fn windows(mut self, candidates: &[Candidate], floor: usize) {
        let mut rest = candidates;
        // Where the last match ended: matches do not overlap.
        let mut free = floor;
        while let Some(first) = rest.first() {
            let mut last_start = first.to;
            let mut starts = first.to - first.from + 1;
            let mut taken = 1;
            for next in rest.iter().skip(1) {
                if next.from > self.window_end(last_start) {
                    break;
                }
                last_start = last_start.max(next.to);
                starts = starts.saturating_add(next.to - next.from + 1);
                taken += 1;
            }
            let (window, after) = rest.split_at(taken);
            rest = after;
            free = if starts <= TRIES {
                self.each_start(window, free)
            } else {
                self.window(first.from.max(free), last_start, free)
            };
        }
    }

    /// The end of the text that can matter to a match starting at `start` or before.
    fn window_end(&self, start: usize) -> usize {
        let end =
            self.expression.longest.map_or(usize::MAX, |longest| start.saturating_add(longest));
        end.min(self.haystack.len())
    }

    /// All matches that start between two places; returns where the last of them ends, or `free`.
    fn window(&mut self, mut from: usize, last_start: usize, mut free: usize) -> usize {
        let end = self.window_end(last_start);
        while from <= last_start {
            let input = Input::new(self.haystack).range(from..end);
            let Some(found) = self.regex.search_with(self.cache, &input) else { break };
            if found.start() > last_start {
                break;
            }
            // A gated expression matches no empty text, so this moves on.
            from = self.report(found.start(), found.end());
            free = from;
        }
        free
    }

    /// Tries each start of each candidate on its own.
    fn each_start(&mut self, window: &[Candidate], mut free: usize) -> usize {
        let mut next = free;
        for candidate in window {
            let mut start = candidate.from.max(next);
            while start <= candidate.to {
                let input = Input::new(self.haystack)
                    .range(start..self.window_end(start))
                    .anchored(Anchored::Yes);
                start += 1;
                if let Some(found) = self.regex.search_with(self.cache, &input) {
                    free = self.report(found.start(), found.end());
                    start = free;
                }
                next = start;
            }
        }
        free
    }

    /// Writes down a match with its group; returns where the next may begin.
    fn report(&mut self, start: usize, end: usize) -> usize {
        let group = self.expression.group;
        let (mut group_start, mut group_end) = (start, end);
        if group > 0 {
            self.slots.clear();
            self.slots.resize((group + 1) * 2, None);
            let input = Input::new(self.haystack).range(start..end).anchored(Anchored::Yes);
            self.regex.search_slots_with(self.cache, &input, self.slots);
            if let (Some(from), Some(to)) = (self.slots[group * 2], self.slots[group * 2 + 1]) {
                (group_start, group_end) = (from.get(), to.get());
            }
        }
        self.out.push(Match { spec: self.spec, start, end, group_start, group_end });
        if self.expression.shares_edges { group_end.max(start + 1) } else { end }
    }
}
