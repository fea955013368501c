//! A stream between two chunks, as bytes: the text that is kept, and places in it.
//!
//! No state of an automaton is written. What walks found out about the text that is held back is
//! found out again when more of it comes: that text is short, and a walk that has died once dies
//! again at the same place. Hits and cursors name rules by their number in the pack, so they are
//! read back only by who has the same pack; under another one all text that has not been let go
//! is scanned again.

use std::collections::BTreeSet;

use super::super::decoded::{Paths, Payload};
use super::super::mention::{Fences, Line};
use super::super::scan::{Found, Reading};
use super::{Cursor, Reached, Stream};
use crate::event::RawSpan;
use crate::finding::{Confidence, Mention};
use crate::state::codec::{Pack, Unpack};
use crate::text::decode::Decoder;

/// Entries of a list that are read; more were never written.
const LIST_MAX: u64 = 1 << 20;

/// Under which pack a stream is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The one that it was written under, by the same program.
    SamePack,
    /// Another one.
    OtherPack,
}

impl Stream {
    /// Appends the stream to an entry of state.
    #[must_use]
    pub fn store(&self, out: Pack) -> Pack {
        let Fences { open, line } = self.fences;
        let line = match line {
            Line::Blank => 0,
            Line::Ticks(ticks) => u64::from(ticks),
            Line::Other => 3,
        };
        let mut out = out
            .number(self.base as u64)
            .number(self.done as u64)
            .number(self.coded_from as u64)
            .number(self.hidden_from as u64)
            .number(self.turned_to[0] as u64)
            .number(self.turned_to[1] as u64)
            .number(self.asked_from as u64)
            .number(bits(&[self.clean, self.folded, self.ended, open]))
            .number(line)
            .number(self.leet_from.map_or(0, |at| at as u64 + 1))
            .number(self.told as u64)
            .number(self.reached.bits())
            .number(self.reached_told.bits())
            .number(self.met.len() as u64);
        for path in &self.met {
            out = out.text(path);
        }
        out = out.number(self.payloads.len() as u64);
        for payload in &self.payloads {
            let tags = u64::from(payload.decoder == Decoder::Tags);
            out = write_span(out.number(tags), payload.span);
        }
        out = self.paths.store(out).number(self.cursors.len() as u64);
        for Cursor { reading, spec, end } in &self.cursors {
            out = out.number(*reading as u64).number(u64::from(*spec)).number(*end as u64);
        }
        out = out.number(self.found.len() as u64);
        for hit in &self.found {
            out = out.number(u64::from(hit.rule)).number(u64::from(hit.path));
            out = write_span(out, hit.span)
                .number(hit.view as u64)
                .number(hit.confidence as u64)
                .number(hit.mention.map_or(0, |mention| mention as u64 + 1));
        }
        // At the end, where what is appended to it moves nothing else.
        out.text(&self.text)
    }

    /// Reads a stream back. `None` for bytes that were not written so.
    pub fn restore(from: &mut Unpack<'_>, since: Since) -> Option<Self> {
        let base = place(from)?;
        let [done, coded_from, hidden_from] = [place(from)?, place(from)?, place(from)?];
        let turned_to = [place(from)?, place(from)?];
        let asked_from = place(from)?;
        let [clean, folded, ended, open] = flags(from.number()?);
        let line = match from.number()? {
            0 => Line::Blank,
            3 => Line::Other,
            ticks => Line::Ticks(u8::try_from(ticks).ok().filter(|ticks| *ticks < 3)?),
        };
        let leet_from = place(from)?.checked_sub(1);
        let told = place(from)?;
        let reached = Reached::of(from.number()?);
        let reached_told = Reached::of(from.number()?);
        let met: BTreeSet<String> = list(from, Unpack::text)?;
        let payloads = list(from, payload)?;
        let paths = Paths::restore(from)?;
        let cursors = list(from, cursor)?;
        let found = list(from, found)?;
        let text = from.text()?;
        let places = [done, coded_from, hidden_from, asked_from];
        if places.iter().any(|at| !text.is_char_boundary(*at)) {
            return None;
        }
        let mut stream = Self {
            text,
            base,
            done,
            // Walked again from here on.
            front: done,
            suspect: false,
            cursors,
            coded_from,
            hidden_from,
            turned_to,
            asked_from,
            fences: Fences { open, line },
            leet_from,
            found,
            payloads,
            paths,
            told,
            reached,
            reached_told,
            clean,
            folded,
            met,
            ended,
        };
        if since == Since::OtherPack {
            stream.scan_again();
        }
        Some(stream)
    }

    /// Forgets what another pack has said of text that has not been let go.
    fn scan_again(&mut self) {
        let from = self.asked_from.min(self.done);
        (self.done, self.front) = (from, from);
        self.coded_from = self.coded_from.min(from);
        self.hidden_from = self.hidden_from.min(from);
        self.turned_to = [0; 2];
        self.cursors.clear();
        self.found.clear();
        self.payloads.clear();
    }
}

impl Reached {
    fn bits(self) -> u64 {
        bits(&[self.findings, self.candidates, self.deep, self.many, self.held])
    }

    fn of(number: u64) -> Self {
        let [findings, candidates, deep, many, held] = flags(number);
        Self { findings, candidates, deep, many, held }
    }
}

fn payload(from: &mut Unpack<'_>) -> Option<Payload> {
    let decoder = if from.number()? == 1 { Decoder::Tags } else { Decoder::Selectors };
    Some(Payload { field: 0, span: read_span(from)?, decoder })
}

fn cursor(from: &mut Unpack<'_>) -> Option<Cursor> {
    let reading = Reading::ALL.get(place(from)?).copied()?;
    Some(Cursor { reading, spec: u32::try_from(from.number()?).ok()?, end: place(from)? })
}

fn found(from: &mut Unpack<'_>) -> Option<Found> {
    let rule = u32::try_from(from.number()?).ok()?;
    let path = u32::try_from(from.number()?).ok()?;
    Some(Found {
        field: 0,
        rule,
        path,
        span: read_span(from)?,
        view: Reading::ALL.get(place(from)?).copied()?,
        confidence: Confidence::ALL.get(place(from)?).copied()?,
        mention: match place(from)?.checked_sub(1) {
            None => None,
            Some(at) => Some(Mention::ALL.get(at).copied()?),
        },
    })
}

fn bits(flags: &[bool]) -> u64 {
    flags.iter().rev().fold(0, |bits, flag| bits << 1 | u64::from(*flag))
}

fn flags<const N: usize>(bits: u64) -> [bool; N] {
    std::array::from_fn(|at| bits >> at & 1 == 1)
}

fn write_span(out: Pack, span: RawSpan) -> Pack {
    out.number(span.start as u64).number(span.end as u64)
}

fn read_span(from: &mut Unpack<'_>) -> Option<RawSpan> {
    Some(RawSpan { start: place(from)?, end: place(from)? })
}

fn place(from: &mut Unpack<'_>) -> Option<usize> {
    usize::try_from(from.number()?).ok().filter(|at| *at < usize::MAX / 4)
}

fn list<'b, T, L: FromIterator<T>>(
    from: &mut Unpack<'b>,
    mut each: impl FnMut(&mut Unpack<'b>) -> Option<T>,
) -> Option<L> {
    let n = from.number().filter(|n| *n <= LIST_MAX)?;
    (0..n).map(|_| each(from)).collect()
}
