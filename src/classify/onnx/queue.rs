//! What waits for a thread: texts to be tokenised and windows to be run, those with a deadline first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::super::Urgency;
use super::super::windows::bucket;
use super::ticket::Ticket;
use super::tokens::Encoded;

/// Windows of the queue that are looked at to fill a run.
const LOOK_AHEAD: usize = 256;
/// Without a deadline, texts are tokenised until so many windows wait: enough to fill runs, and a
/// long text that waits to be cut up holds less memory whole.
const AHEAD: usize = 32;

/// A text to be tokenised.
pub(super) struct Text {
    pub(super) ticket: Arc<Ticket>,
    pub(super) index: usize,
    pub(super) bytes: usize,
}

/// A window to be run.
pub(super) struct Window {
    pub(super) ticket: Arc<Ticket>,
    /// Which text of the ticket.
    pub(super) index: usize,
    pub(super) encoded: Arc<Encoded>,
    pub(super) number: usize,
    /// Tokens, the model's own included.
    pub(super) len: usize,
}

#[derive(Default)]
struct Class {
    texts: VecDeque<Text>,
    windows: VecDeque<Window>,
}

/// Everything that waits.
#[derive(Default)]
pub(super) struct Queue {
    inline: Class,
    patient: Class,
    /// Bytes of texts that have not been tokenised.
    pub(super) bytes: usize,
    /// Tokens that wait with a deadline; of texts, as estimated.
    pub(super) inline_tokens: usize,
    /// Threads that run a model now.
    pub(super) running: usize,
    /// No runs until then, after failures in a row.
    pub(super) suspended: Option<Instant>,
    pub(super) failures: u32,
    /// Threads that have not been lost to a run without end.
    pub(super) threads: usize,
    pub(super) stop: bool,
}

/// The next thing to do.
pub(super) enum Next {
    Encode(Text),
    /// Windows of one length, and that length.
    Run(Vec<Window>, usize),
    /// A window whose caller has gone, and that nobody wants.
    Drop(Window),
    Nothing,
}

/// How runs are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Tokens of a run, padding included.
    pub(super) tokens: usize,
    /// Rows, where the graph has a fixed number.
    pub(super) rows: Option<usize>,
    /// Tokens of a row, where the graph has a fixed number.
    pub(super) length: Option<usize>,
    /// The longest row.
    pub(super) most: usize,
    /// What a token costs now, in nanoseconds.
    pub(super) cost_ns: u64,
}

/// What a text of so many bytes has of tokens, about.
pub(super) fn estimate(bytes: usize) -> usize {
    bytes / 4 + 2
}

impl Queue {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, ..Self::default() }
    }

    pub(super) fn push_text(&mut self, text: Text, inline: bool) {
        self.bytes += text.bytes;
        if inline {
            self.inline_tokens += estimate(text.bytes);
            self.inline.texts.push_back(text);
        } else {
            self.patient.texts.push_back(text);
        }
    }

    pub(super) fn push_windows(&mut self, windows: Vec<Window>) {
        for window in windows {
            if window.ticket.is_late() && !window.ticket.is_unwanted() {
                self.patient.windows.push_back(window);
            } else {
                self.inline_tokens += window.len;
                self.inline.windows.push_back(window);
            }
        }
    }

    /// Everything that waits, taken out.
    pub(super) fn drain(&mut self) -> (Vec<Text>, Vec<Window>) {
        self.bytes = 0;
        self.inline_tokens = 0;
        let mut texts: Vec<Text> = self.inline.texts.drain(..).collect();
        texts.extend(self.patient.texts.drain(..));
        let mut windows: Vec<Window> = self.inline.windows.drain(..).collect();
        windows.extend(self.patient.windows.drain(..));
        (texts, windows)
    }

    /// What comes next. Texts go before windows, so that runs are full.
    pub(super) fn next(&mut self, cut: &Cut) -> Next {
        if let Some(text) = self.inline.texts.pop_front() {
            self.bytes -= text.bytes;
            self.inline_tokens = self.inline_tokens.saturating_sub(estimate(text.bytes));
            return Next::Encode(text);
        }
        while let Some(window) = self.inline.windows.front() {
            let Urgency::Inline { deadline, second_look } = window.ticket.urgency() else { break };
            if !window.ticket.is_late() {
                let left = deadline.saturating_duration_since(Instant::now()).as_nanos();
                let affordable = left as u64 / cut.cost_ns.max(1);
                let (run, length) = take(&mut self.inline.windows, cut, affordable as usize);
                let tokens: usize = run.iter().map(|window| window.len).sum();
                self.inline_tokens = self.inline_tokens.saturating_sub(tokens);
                return Next::Run(run, length);
            }
            let Some(window) = self.inline.windows.pop_front() else { break };
            self.inline_tokens = self.inline_tokens.saturating_sub(window.len);
            if !second_look {
                return Next::Drop(window);
            }
            self.patient.windows.push_back(window);
        }
        if self.patient.windows.len() < AHEAD
            && let Some(text) = self.patient.texts.pop_front()
        {
            self.bytes -= text.bytes;
            return Next::Encode(text);
        }
        if self.patient.windows.is_empty() {
            return Next::Nothing;
        }
        let (run, length) = take(&mut self.patient.windows, cut, usize::MAX);
        Next::Run(run, length)
    }
}

/// Takes the first window and those behind it that are filled up to the same length.
fn take(from: &mut VecDeque<Window>, cut: &Cut, affordable: usize) -> (Vec<Window>, usize) {
    let length_of = |window: &Window| cut.length.unwrap_or_else(|| bucket(window.len, cut.most));
    let Some(first) = from.pop_front() else { return (Vec::new(), 0) };
    let length = length_of(&first);
    let rows =
        (cut.tokens.min(affordable) / length.max(1)).clamp(1, cut.rows.unwrap_or(usize::MAX));
    let mut run = vec![first];
    let mut at = 0;
    while run.len() < rows && at < from.len().min(LOOK_AHEAD) {
        if from.get(at).is_some_and(|window| length_of(window) == length) {
            run.extend(from.remove(at));
        } else {
            at += 1;
        }
    }
    (run, length)
}
