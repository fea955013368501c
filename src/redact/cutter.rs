//! Cuts in a text that is let go piece by piece.
//!
//! The pieces, joined, are what [`plan`](super::plan) and [`apply`](super::apply) make of the whole: cuts that
//! overlap become one, so a cut is written only when nothing that begins inside it can follow.

use std::sync::Arc;

use crate::event::RawSpan;
use crate::finding::{Confidence, Source};

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
    source: Arc<Source>,
    confidence: Confidence,
}

impl Cutter {
    /// Adds a cut; offsets are those of the whole text.
    pub fn add(&mut self, source: &Arc<Source>, confidence: Confidence, span: RawSpan) {
        self.cuts.push(Due { span, source: Arc::clone(source), confidence });
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
        for cut in self.cuts.drain(..).filter(|cut| !cut.span.is_empty()) {
            match joined.last_mut() {
                Some(last) if last.span.overlaps(cut.span) => {
                    last.span.end = last.span.end.max(cut.span.end);
                    let rank = |due: &Due| (due.source.severity, due.confidence);
                    if rank(&cut) > rank(last) {
                        (last.source, last.confidence) = (cut.source, cut.confidence);
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
            let with = write(&cut.source.kind, part(cut.span.start, cut.span.end));
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
