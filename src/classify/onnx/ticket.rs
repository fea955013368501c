//! What has become of the texts of one event.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::cache::{Cache, Key};
use super::super::windows::Windows;
use super::super::{Document, Urgency};
use crate::event::Event;
use crate::finding::{Classified, Done, Score, Scoring};
use crate::inspect::{Hot, Scores, Thresholds};

/// Hot stretches of one event that are told; of more, the highest.
const HOT_MAX: usize = 16;

/// The score of one whole text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scored {
    pub(super) windows: u64,
    pub(super) tokens: u64,
    pub(super) best: Option<Score>,
    /// Bytes of the text and score of each window from the lowest threshold on.
    pub(super) hot: Vec<(Range<usize>, Score)>,
}

/// The texts of one event, on their way; shared by who waits and who scores.
#[derive(Debug)]
pub struct Ticket {
    model: u64,
    thresholds: Thresholds,
    windows: Windows,
    urgency: Urgency,
    /// Set when its caller has gone on; what is left is scored when there is time.
    late: AtomicBool,
    texts: Mutex<Vec<Text>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Text {
    content: Arc<str>,
    key: Key,
    /// Windows and tokens, once they were counted.
    counted: Option<(usize, usize)>,
    missing: usize,
    known: Scored,
    failed: bool,
    /// Scored, failed or given up.
    done: bool,
}

/// What one window came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Score(Score, Range<usize>),
    Failed,
    /// There was no time for it.
    Dropped,
}

impl Ticket {
    pub(super) fn new(
        model: u64,
        thresholds: Thresholds,
        windows: Windows,
        urgency: Urgency,
        documents: &[Document],
        keys: Vec<Key>,
    ) -> Self {
        let texts = documents
            .iter()
            .zip(keys)
            .map(|(document, key)| Text {
                content: Arc::clone(&document.text),
                key,
                counted: None,
                missing: 0,
                known: Scored::default(),
                failed: false,
                done: false,
            })
            .collect();
        Self {
            model,
            thresholds,
            windows,
            urgency,
            late: AtomicBool::new(urgency == Urgency::Patient),
            texts: Mutex::new(texts),
            changed: Condvar::new(),
        }
    }

    fn texts(&self) -> MutexGuard<'_, Vec<Text>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether every window has a score or never will have one.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.texts().iter().all(|text| text.done)
    }

    /// Waits until it is done, at most until `until`.
    pub fn wait(&self, until: Option<Instant>) {
        let mut texts = self.texts();
        while !texts.iter().all(|text| text.done) {
            let left = until.map_or(Duration::from_hours(1), |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(texts, left);
            (texts, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is known by now. `documents` and `event` are those that it was made from.
    #[must_use]
    pub fn scores(&self, documents: &[Document], event: &Event<'_>) -> Scores {
        let texts = self.texts();
        let mut hot = Vec::new();
        for (text, document) in texts.iter().zip(documents) {
            for (range, score) in merged(&text.known.hot, &self.thresholds) {
                if let Some((field, span)) = document.raw_span(&range, event) {
                    hot.push(Hot { field, span, score });
                }
            }
        }
        hot.sort_by_key(|hot| std::cmp::Reverse(hot.score));
        hot.truncate(HOT_MAX);
        Scores { seen: self.sum(&texts), hot }
    }

    /// The same without the places.
    #[must_use]
    pub fn seen(&self) -> Classified {
        self.sum(&self.texts())
    }

    fn sum(&self, texts: &[Text]) -> Classified {
        let (mut windows, mut tokens) = (Done::default(), Done::default());
        let (mut best, mut failed, mut all) = (None, false, true);
        for text in texts {
            let scored = text.known.windows;
            failed |= text.failed;
            all &= text.done && text.counted.is_some_and(|(n, _)| n as u64 == scored);
            best = best.max(text.known.best);
            if let Some((n, of_text)) = text.counted {
                windows.total += n as u64;
                windows.scored += scored;
                tokens.total += of_text as u64;
                tokens.scored += match scored as usize {
                    0 => 0,
                    // Windows are scored from the head on, and share tokens with their neighbours.
                    some if some < n => self.windows.range(some - 1, of_text).end as u64,
                    _ => of_text as u64,
                };
            }
        }
        let state = match (failed, all) {
            (true, _) => Scoring::Failed,
            (false, true) => Scoring::Scored,
            (false, false) if windows.scored > 0 => Scoring::Partial,
            (false, false) => Scoring::Shed,
        };
        Classified { state, score: best, windows, tokens, model: self.model }
    }

    // --- for those who score ---

    pub(super) fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_late(&self) -> bool {
        if let Urgency::Inline { deadline, .. } = self.urgency
            && Instant::now() >= deadline
        {
            self.late.store(true, Ordering::Relaxed);
        }
        self.late.load(Ordering::Relaxed)
    }

    /// Whether nobody waits for it, and nobody will look at it later.
    pub(super) fn is_unwanted(&self) -> bool {
        matches!(self.urgency, Urgency::Inline { second_look: false, .. }) && self.is_late()
    }

    /// From now on it is scored when there is time.
    pub(super) fn make_late(&self) {
        self.late.store(true, Ordering::Relaxed);
    }

    pub(super) fn text(&self, index: usize) -> Arc<str> {
        let texts = self.texts();
        texts.get(index).map_or_else(|| Arc::from(""), |text| Arc::clone(&text.content))
    }

    /// Takes a score that was known already.
    pub(super) fn take(&self, index: usize, known: &Scored) {
        if let Some(text) = self.texts().get_mut(index) {
            text.counted = Some((known.windows as usize, known.tokens as usize));
            text.known = known.clone();
            text.done = true;
        }
        self.changed.notify_all();
    }

    /// Gives a text up, whole or what is left of it.
    pub(super) fn give_up(&self, index: usize, failed: bool) {
        if let Some(text) = self.texts().get_mut(index) {
            text.failed |= failed;
            text.missing = 0;
            text.done = true;
        }
        self.changed.notify_all();
    }

    /// Says how long a text is. A text without tokens is done.
    pub(super) fn count(&self, index: usize, windows: usize, tokens: usize) {
        if let Some(text) = self.texts().get_mut(index) {
            text.counted = Some((windows, tokens));
            text.known.tokens = tokens as u64;
            text.missing = windows;
            text.done |= windows == 0;
        }
        self.changed.notify_all();
    }

    /// Takes what a window came to. A text of which every window was scored is remembered
    /// before anybody who waits for it is told.
    pub(super) fn settle(&self, index: usize, verdict: Verdict, remember: &Mutex<Cache<Scored>>) {
        let mut texts = self.texts();
        let Some(text) = texts.get_mut(index).filter(|text| !text.done) else { return };
        match verdict {
            Verdict::Score(score, range) => {
                text.known.windows += 1;
                text.known.best = text.known.best.max(Some(score));
                if score >= self.thresholds.low {
                    text.known.hot.push((range, score));
                }
            }
            Verdict::Failed => text.failed = true,
            Verdict::Dropped => {}
        }
        text.missing = text.missing.saturating_sub(1);
        text.done = text.missing == 0;
        let whole = text.counted.is_some_and(|(n, _)| n as u64 == text.known.windows);
        if text.done && whole && !text.failed {
            let mut cache = remember.lock().unwrap_or_else(PoisonError::into_inner);
            cache.put(text.key, Arc::new(text.known.clone()));
        }
        if text.done {
            self.changed.notify_all();
        }
    }
}

/// Windows that overlap and are equally sure, as one stretch each.
fn merged(hot: &[(Range<usize>, Score)], thresholds: &Thresholds) -> Vec<(Range<usize>, Score)> {
    let mut sorted = hot.to_vec();
    sorted.sort_by_key(|(range, _)| range.start);
    let acted = |score: Score| score >= thresholds.medium;
    let mut out: Vec<(Range<usize>, Score)> = Vec::new();
    for (range, score) in sorted {
        match out.last_mut() {
            Some((last, best)) if range.start <= last.end && acted(*best) == acted(score) => {
                last.end = last.end.max(range.end);
                *best = (*best).max(score);
            }
            _ => out.push((range, score)),
        }
    }
    out
}
