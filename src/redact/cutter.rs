//! Cuts in a text that is let go piece by piece.
//!
//! The pieces, joined, are what [`plan`](super::plan) and [`apply`](super::apply) make of the whole: cuts that
//! overlap become one, so a cut is written only when nothing that begins inside it can follow.

use crate::event::RawSpan;
use crate::finding::{Confidence, Severity, Source};
use crate::state::codec::{Pack, Unpack};

use super::barred;

/// Cuts that are not written yet, and how far the text has been let go.
#[derive(Clone, Debug, Default)]
pub struct Cutter {
    cuts: Vec<Due>,
    released: usize,
}

#[derive(Clone, Debug)]
struct Due {
    span: RawSpan,
    kind: String,
    severity: Severity,
    confidence: Confidence,
}

impl Cutter {
    /// Adds a cut; offsets are those of the whole text.
    pub fn add(&mut self, source: &Source, confidence: Confidence, span: RawSpan) {
        let (kind, severity) = (source.kind.clone(), source.severity);
        self.cuts.push(Due { span, kind, severity, confidence });
    }

    /// Takes text up to here as let go without cuts.
    pub fn pass(&mut self, to: usize) {
        self.released = self.released.max(to);
        self.cuts.retain(|cut| cut.span.end > to);
    }

    /// Appends the cuts that are due to an entry of state.
    #[must_use]
    pub fn store(&self, out: Pack) -> Pack {
        let out = out.number(self.released as u64).number(self.cuts.len() as u64);
        self.cuts.iter().fold(out, |out, cut| {
            out.number(cut.span.start as u64)
                .number(cut.span.end as u64)
                .text(&cut.kind)
                .number(cut.severity as u64)
                .number(cut.confidence as u64)
        })
    }

    /// Reads them back. `None` for bytes that were not written so.
    pub fn restore(from: &mut Unpack<'_>) -> Option<Self> {
        let released = usize::try_from(from.number()?).ok()?;
        let mut cuts = Vec::new();
        for _ in 0..from.number()? {
            let mut place = || usize::try_from(from.number()?).ok();
            let span = RawSpan { start: place()?, end: place()? };
            let kind = from.text()?;
            let severity = *Severity::ALL.get(usize::try_from(from.number()?).ok()?)?;
            let confidence = *Confidence::ALL.get(usize::try_from(from.number()?).ok()?)?;
            cuts.push(Due { span, kind, severity, confidence });
        }
        Some(Self { cuts, released })
    }

    /// How far the text has been let go, cuts included.
    #[must_use]
    pub fn released(&self) -> usize {
        self.released
    }

    /// Lets go of what is settled. `text` is the text from [`Cutter::released`] on; no cut that is
    /// added later begins before `settled`; `write` says what stands for a value of a type.
    pub fn release(
        &mut self,
        text: &str,
        settled: usize,
        mut write: impl FnMut(&str, &str) -> String,
    ) -> String {
        let begin = self.released;
        let ended = settled >= begin + text.len();
        let part = |from: usize, to: usize| {
            text.get(from.saturating_sub(begin)..to.saturating_sub(begin)).unwrap_or_default()
        };
        self.cuts.sort_by_key(|cut| cut.span);
        let mut joined: Vec<Due> = Vec::with_capacity(self.cuts.len());
        for mut cut in self.cuts.drain(..) {
            // What has been let go is not let go again, whatever comes late.
            cut.span.start = cut.span.start.max(begin);
            if cut.span.start >= cut.span.end {
                continue;
            }
            match joined.last_mut() {
                Some(last) if last.span.overlaps(cut.span) => {
                    last.span.end = last.span.end.max(cut.span.end);
                    let rank = |due: &Due| (due.severity, due.confidence);
                    if rank(&cut) > rank(last) {
                        (last.severity, last.confidence) = rank(&cut);
                        last.kind = cut.kind;
                    }
                }
                _ => joined.push(cut),
            }
        }
        let mut out = String::new();
        let mut stop = settled;
        for cut in joined {
            // The character behind a cut says whether a barrier is needed.
            if stop < settled || !(ended || cut.span.end < settled) {
                stop = stop.min(cut.span.start);
                self.cuts.push(cut);
                continue;
            }
            out.push_str(part(self.released, cut.span.start));
            let with = write(&cut.kind, part(cut.span.start, cut.span.end));
            let next = text.as_bytes().get(cut.span.end.saturating_sub(begin)).copied();
            out.push_str(&barred(with, next));
            self.released = cut.span.end;
        }
        if stop > self.released {
            out.push_str(part(self.released, stop));
            self.released = stop;
        }
        out
    }
}
