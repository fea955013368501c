//! The optional classifier: any sequence classifier of Hugging Face's kind, as an ONNX graph.
//!
//! [`Classifier`] owns a model, its threads and their queue. A caller hands over the texts
//! of an event ([`documents`]), waits as long as it likes, and makes [`Scores`] of what is
//! there ([`Ticket::scores`]); joining them to a scan, and what follows, is `inspect`'s
//! business. Nothing here decides anything.
//!
//! Two choices matter. A text is read in windows that overlap, as many as it takes, so
//! nothing is cut short in silence: what has no score is counted and said. And whatever goes
//! wrong in a model (no library, a broken file, scores that are no numbers, a run without
//! end) comes out as "failed" or "shed", never as a low score.
//!
//! Without the feature `onnx` there is no classifier, and [`Classifier::open`] says so.

#[cfg(feature = "onnx")]
mod cache;
mod document;
#[cfg(feature = "onnx")]
mod library;
#[cfg(feature = "onnx")]
mod model;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(not(feature = "onnx"))]
mod absent;
mod windows;

use std::path::PathBuf;
use std::time::Instant;

use crate::finding::{Classified, Scoring};
use crate::inspect::{Scores, Thresholds};

#[cfg(not(feature = "onnx"))]
pub use absent::{Classifier, Ticket};
pub use document::{Document, When, documents};
#[cfg(feature = "onnx")]
pub use onnx::{Classifier, Ticket};
pub use windows::{Windows, bucket};

/// Whether this build can have a classifier at all.
pub const BUILT: bool = cfg!(feature = "onnx");

/// What a classifier is made of. The defaults are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Folder with `model.onnx`, `tokenizer.json` and `config.json`.
    pub model: PathBuf,
    /// The runtime library; `None`: `ORT_DYLIB_PATH`, then the usual places.
    pub library: Option<String>,
    /// SHA-256 of `model.onnx`, hexadecimal; `None`: only the folder's own `SHA256SUMS` is asked.
    pub sha256: Option<String>,
    /// Names of the classes that count, separated by commas; `None`: as the model's configuration
    /// says, or a class of a known name.
    pub positive: Option<String>,
    /// Threshold of a finding of confidence low: a probability, or its name in the model's configuration.
    pub low: String,
    /// The same for medium: from here on it is acted on.
    pub medium: String,
    /// The same for high.
    pub high: String,
    /// Tokens of a window, the model's own begin and end among them; 0: as many as the model says.
    pub window_tokens: usize,
    /// Tokens from one window to the next; 0: as many as the model says, or half a window.
    pub stride_tokens: usize,
    /// Whether texts are put through the white-space treatment of the Prompt Guard family;
    /// `None`: as the model's configuration says.
    pub respace: Option<bool>,
    /// Threads, each with a session of its own; 0: half the cores. Always fewer than the cores.
    pub threads: usize,
    /// Tokens of one run of the model, padding included.
    pub batch_tokens: usize,
    /// Texts of which the score is remembered.
    pub cache_entries: usize,
    /// Bytes of texts that wait for a thread.
    pub queue_bytes: usize,
    /// A run that takes longer is ended, in milliseconds.
    pub hang_ms: u64,
    /// A model that would take more memory than so many megabytes is not loaded.
    pub memory_mb: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: PathBuf::from("models/injection"),
            library: None,
            sha256: None,
            positive: None,
            low: "fpr_2".to_owned(),
            medium: "fpr_1".to_owned(),
            high: "fpr_0_5".to_owned(),
            window_tokens: 0,
            stride_tokens: 0,
            respace: None,
            threads: 0,
            batch_tokens: 512,
            cache_entries: 65_536,
            queue_bytes: 16 << 20,
            hang_ms: 5_000,
            memory_mb: 4_096,
        }
    }
}

/// Why there is no classifier.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The feature is missing.
    #[error("this build has no classifier: compile with the feature `onnx`")]
    NotBuilt,
    /// The library is not where somebody said.
    #[error("no ONNX Runtime library at `{}`, which {by} names", path.display())]
    LibraryNamed {
        /// The path.
        path: PathBuf,
        /// Setting or variable.
        by: &'static str,
    },
    /// The library is nowhere.
    #[error(
        "no ONNX Runtime library: run `make onnxruntime`, or name one in `classifier.library` or ORT_DYLIB_PATH; looked for {looked}"
    )]
    NoLibrary {
        /// Where it was looked for.
        looked: String,
    },
    /// The library cannot be used.
    #[error("ONNX Runtime at `{}` cannot be used: {reason}", path.display())]
    Library {
        /// The path.
        path: PathBuf,
        /// What the loader said, in one line.
        reason: String,
    },
    /// A file of the model is missing or unreadable.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of the model is not the one that was pinned.
    #[error("`{}` has SHA-256 {found}, but {by} says {pinned}", path.display())]
    Hash {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it should be.
        pinned: String,
        /// Who says so.
        by: &'static str,
    },
    /// A file of the model does not hold what it should.
    #[error("`{}`: {reason}", path.display())]
    Model {
        /// The path.
        path: PathBuf,
        /// What is wrong with it, and what to do, in one line.
        reason: String,
    },
    /// It would take too much memory.
    #[error(
        "`{}` would take {needs_mb} MB with {threads} threads, and `classifier.memory_mb` is {limit_mb}", path.display()
    )]
    Memory {
        /// The model.
        path: PathBuf,
        /// Estimated need.
        needs_mb: u64,
        /// Threads.
        threads: usize,
        /// The limit.
        limit_mb: u64,
    },
    /// No thread could be started.
    #[error("cannot start a thread of the classifier")]
    Thread(#[source] std::io::Error),
}

/// What is known of an opened model.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Its file.
    pub path: PathBuf,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Whether somebody pinned that hash.
    pub pinned: bool,
    /// The runtime library.
    pub library: PathBuf,
    /// Names of the inputs that its graph asks for.
    pub inputs: Vec<String>,
    /// Names of the classes that count as an injection.
    pub positive: Vec<String>,
    /// How texts are cut.
    pub windows: Windows,
    /// What scores mean.
    pub thresholds: Thresholds,
    /// Whether the model's own configuration named the thresholds; else they are a convention.
    pub calibrated: bool,
    /// Threads.
    pub threads: usize,
}

/// How long the caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Taken only if a first window can be scored before the deadline; windows that are not
    /// scored by then are dropped or, with a second look, scored when there is time.
    Inline {
        /// When the caller goes on.
        deadline: Instant,
        /// Whether what is late is scored all the same.
        second_look: bool,
    },
    /// All of it, however long it takes; the caller waits while the queue is full.
    Patient,
}

/// What a classifier has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Texts handed over.
    pub texts: u64,
    /// Of these, those whose score was known.
    pub cached: u64,
    /// Windows scored.
    pub windows: u64,
    /// Runs of the model.
    pub runs: u64,
    /// Runs that failed: an error, or scores that are no numbers.
    pub failed_runs: u64,
    /// Runs that took too long and were ended.
    pub hung_runs: u64,
    /// Events of which no window could be scored in time.
    pub shed: u64,
    /// Windows that were late and dropped.
    pub dropped: u64,
    /// Bytes of texts that wait.
    pub queued_bytes: u64,
    /// Whether it has stopped answering for now, after failures in a row.
    pub suspended: bool,
}

/// The scores of an event that no model was asked about.
#[must_use]
pub fn unasked(state: Scoring, model: u64) -> Scores {
    Scores { seen: Classified { state, model, ..Classified::default() }, hot: Vec::new() }
}
