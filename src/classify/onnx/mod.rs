//! The classifier itself: threads, each with a session of its own, behind one bounded queue.
//!
//! A thread takes what comes next: a text to tokenise, or windows of one length to run
//! together. A watcher ends runs that take too long. A run that cannot be ended costs its
//! thread, and what it held is settled as failed; when the last thread is lost, everything
//! is. So whoever waits always gets an answer.

mod queue;
mod session;
mod ticket;
mod tokens;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ort::session::RunOptions;

use self::queue::{Cut, Next, Queue, Text, Window, estimate};
use self::session::{Row, Runner, environment};
use self::ticket::{Scored, Verdict};
use self::tokens::Tokens;
use super::cache::{Cache, key};
use super::model::Model;
use super::windows::{Windows, bucket};
use super::{About, Counters, Document, OpenError, Settings, Urgency, library};
use crate::finding::Score;
use crate::inspect::Thresholds;

pub use ticket::Ticket;

/// Longest window where neither the model nor anybody else says how long it is to be.
const WINDOW_MAX: usize = 512;
/// How far behind others, in steps of Linux, a thread with a model stands.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// So many failures in a row suspend the classifier,
const FAILURES_MAX: u32 = 3;
/// for so long.
const SUSPENDED: Duration = Duration::from_secs(10);

/// A model at work; see the module's documentation.
pub struct Classifier {
    shared: Arc<Shared>,
    about: About,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    tokens: Tokens,
    positive: Vec<usize>,
    temperature: f64,
    thresholds: Thresholds,
    windows: Windows,
    id: u64,
    cut: Cut,
    queue_bytes: usize,
    hang: Duration,
    queue: Mutex<Queue>,
    /// Work has come.
    work: Condvar,
    /// There is room again.
    room: Condvar,
    cache: Mutex<Cache<Scored>>,
    /// What each thread runs now.
    slots: Vec<Mutex<Option<Running>>>,
    cost_ns: AtomicU64,
    counts: Counts,
}

struct Running {
    since: Instant,
    options: Arc<RunOptions>,
    told: bool,
    windows: Vec<Window>,
}

#[derive(Default)]
struct Counts {
    texts: AtomicU64,
    cached: AtomicU64,
    windows: AtomicU64,
    runs: AtomicU64,
    failed_runs: AtomicU64,
    hung_runs: AtomicU64,
    shed: AtomicU64,
    dropped: AtomicU64,
}

fn add(to: &AtomicU64, n: u64) {
    to.fetch_add(n, Ordering::Relaxed);
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Classifier {
    /// Reads, checks and warms up a model, and starts its threads.
    ///
    /// # Errors
    /// One sentence that says what is wrong, where, and what to do.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let model = Model::read(settings)?;
        let threads = threads(settings.threads);
        // The file is held once while sessions are made, and once in each of them.
        let needs_mb = (model.graph.len() as u64 * (threads as u64 + 1)).div_ceil(1 << 20);
        if needs_mb > settings.memory_mb {
            let (path, limit_mb) = (model.path, settings.memory_mb);
            return Err(OpenError::Memory { path, needs_mb, threads, limit_mb });
        }
        let in_tokenizer = |reason| OpenError::Model { path: model.tokenizer_path.clone(), reason };
        let tokens = Tokens::read(&model.tokenizer, model.respace).map_err(in_tokenizer)?;
        let (environment, library) = environment(&library::find(settings.library.as_deref())?)?;
        let in_graph = |reason| OpenError::Model { path: model.path.clone(), reason };
        let mut runners = Vec::new();
        for _ in 0..threads {
            let runner = Runner::open(&environment, &model.graph, tokens.pad, model.labels.len());
            runners.push(runner.map_err(in_graph)?);
        }
        let Some(first) = runners.first_mut() else { return Err(OpenError::NotBuilt) };
        let (windows, most) = windows(&model, &tokens, first.length)?;
        let row = tokens.row(&vec![tokens.pad; windows.tokens]);
        let cost_ns = warm_up(first, &model, &row).map_err(in_graph)?;
        let about = About {
            path: model.path.clone(),
            sha256: model.sha256.clone(),
            pinned: model.pinned,
            library,
            inputs: first.input_names(),
            positive: model.positive.iter().filter_map(|&n| model.labels.get(n).cloned()).collect(),
            windows,
            thresholds: model.thresholds,
            calibrated: model.calibrated,
            threads,
        };
        let cut = Cut {
            tokens: settings.batch_tokens,
            rows: first.rows,
            length: first.length,
            most,
            cost_ns,
        };
        let shared = Arc::new(Shared {
            tokens,
            positive: model.positive,
            temperature: model.temperature,
            thresholds: model.thresholds,
            windows,
            id: u64::from_str_radix(model.sha256.get(..16).unwrap_or_default(), 16).unwrap_or(0),
            cut,
            queue_bytes: settings.queue_bytes,
            hang: Duration::from_millis(settings.hang_ms),
            queue: Mutex::new(Queue::new(threads)),
            work: Condvar::new(),
            room: Condvar::new(),
            cache: Mutex::new(Cache::new(settings.cache_entries)),
            slots: (0..threads).map(|_| Mutex::new(None)).collect(),
            cost_ns: AtomicU64::new(cost_ns),
            counts: Counts::default(),
        });
        let mut opened = Self { shared: Arc::clone(&shared), about, threads: Vec::new() };
        for (number, runner) in runners.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            opened.start(format!("weir-model-{number}"), move || shared.serve(number, runner))?;
        }
        opened.start("weir-model-watch".to_owned(), move || shared.watch())?;
        Ok(opened)
    }

    fn start(
        &mut self,
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), OpenError> {
        let thread =
            std::thread::Builder::new().name(name).spawn(run).map_err(OpenError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// What is known of the model.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What scores mean.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        &self.about.thresholds
    }

    /// First eight bytes of the model's hash.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let counts = &self.shared.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let queue = lock(&self.shared.queue);
        Counters {
            texts: of(&counts.texts),
            cached: of(&counts.cached),
            windows: of(&counts.windows),
            runs: of(&counts.runs),
            failed_runs: of(&counts.failed_runs),
            hung_runs: of(&counts.hung_runs),
            shed: of(&counts.shed),
            dropped: of(&counts.dropped),
            queued_bytes: queue.bytes as u64,
            suspended: queue.threads == 0
                || queue.suspended.is_some_and(|until| Instant::now() < until),
        }
    }

    /// Hands texts over. With a deadline this takes some microseconds: what cannot be scored in
    /// time is shed at once. Without, it waits while the queue is full.
    #[must_use]
    pub fn submit(&self, documents: &[Document], urgency: Urgency) -> Arc<Ticket> {
        let shared = &self.shared;
        let keys: Vec<_> = documents.iter().map(|document| key(&document.text)).collect();
        let known: Vec<Option<Arc<Scored>>> = {
            let mut cache = lock(&shared.cache);
            keys.iter().map(|key| cache.get(key)).collect()
        };
        let ticket =
            Ticket::new(shared.id, shared.thresholds, shared.windows, urgency, documents, keys);
        let ticket = Arc::new(ticket);
        let mut waiting = Vec::new();
        for (index, (document, known)) in documents.iter().zip(&known).enumerate() {
            match known {
                Some(known) => ticket.take(index, known),
                None => waiting.push(Text {
                    ticket: Arc::clone(&ticket),
                    index,
                    bytes: document.text.len(),
                }),
            }
        }
        add(&shared.counts.texts, documents.len() as u64);
        add(&shared.counts.cached, (documents.len() - waiting.len()) as u64);
        if !waiting.is_empty() {
            shared.enqueue(waiting, urgency);
        }
        ticket
    }
}

impl Drop for Classifier {
    fn drop(&mut self) {
        lock(&self.shared.queue).stop = true;
        self.shared.give_up_all();
        let began = Instant::now();
        // A run that does not end when it is told to is left to the process's end.
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if began.elapsed() > self.shared.hang + Duration::from_secs(1) {
                return;
            }
            for slot in &self.shared.slots {
                if let Some(running) = lock(slot).as_ref() {
                    drop(running.options.terminate());
                }
            }
            self.shared.work.notify_all();
            std::thread::sleep(Duration::from_millis(1));
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Lets lanes go before this thread where cores are short: scores are worth less than verdicts.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the classifier's thread keeps its priority");
    }
}

impl Shared {
    /// Takes texts into the queue, or says at once that there is no time for them.
    fn enqueue(&self, texts: Vec<Text>, urgency: Urgency) {
        let mut queue = lock(&self.queue);
        if is_out(&mut queue) {
            drop(queue);
            for text in texts {
                text.ticket.give_up(text.index, true);
            }
            return;
        }
        match urgency {
            Urgency::Inline { deadline, second_look } => {
                let shortest = texts.iter().map(|text| estimate(text.bytes)).min().unwrap_or(0);
                let in_time = Instant::now() + self.wait_for(&queue, shortest) <= deadline;
                if in_time {
                    for text in texts {
                        queue.push_text(text, true);
                    }
                } else {
                    add(&self.counts.shed, 1);
                    for text in texts {
                        if second_look && queue.bytes + text.bytes <= self.queue_bytes {
                            text.ticket.make_late();
                            queue.push_text(text, false);
                        } else {
                            text.ticket.give_up(text.index, false);
                        }
                    }
                }
            }
            Urgency::Patient => {
                for text in texts {
                    // A text that is larger than the queue waits for an empty one.
                    while queue.bytes > 0
                        && queue.bytes + text.bytes > self.queue_bytes
                        && !queue.stop
                    {
                        queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    }
                    queue.push_text(text, false);
                    self.work.notify_all();
                }
            }
        }
        drop(queue);
        self.work.notify_all();
    }

    /// How long a first window of a text would take, with all that stands before it.
    fn wait_for(&self, queue: &Queue, tokens: usize) -> Duration {
        let cost = self.cost_ns.load(Ordering::Relaxed);
        let first = bucket(tokens.min(self.cut.most), self.cut.most);
        let first = self.cut.length.unwrap_or(first);
        // Who is at it now is half done, on average, with a run of one window.
        let busy = if queue.running >= queue.threads { self.cut.most / 2 } else { 0 };
        let before = queue.inline_tokens / queue.threads.max(1);
        Duration::from_nanos((first + busy + before) as u64 * cost)
    }

    /// One thread's life.
    fn serve(&self, number: usize, mut runner: Runner) {
        let Some(slot) = self.slots.get(number) else { return };
        give_way();
        loop {
            let next = {
                let mut queue = lock(&self.queue);
                loop {
                    if queue.stop {
                        return;
                    }
                    let cut = Cut { cost_ns: self.cost_ns.load(Ordering::Relaxed), ..self.cut };
                    match queue.next(&cut) {
                        Next::Nothing => {
                            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                        }
                        next => {
                            if matches!(next, Next::Run(..)) {
                                queue.running += 1;
                            }
                            self.room.notify_all();
                            break next;
                        }
                    }
                }
            };
            match next {
                Next::Encode(text) => self.encode(&text),
                Next::Drop(window) => {
                    add(&self.counts.dropped, 1);
                    window.ticket.settle(window.index, Verdict::Dropped, &self.cache);
                }
                Next::Run(windows, length) => {
                    if !self.run(slot, &mut runner, windows, length) {
                        // The watcher has given this run up, and the thread with it.
                        return;
                    }
                }
                Next::Nothing => {}
            }
        }
    }

    fn encode(&self, text: &Text) {
        if text.ticket.is_unwanted() {
            add(&self.counts.dropped, 1);
            text.ticket.give_up(text.index, false);
            return;
        }
        let content = text.ticket.text(text.index);
        let encoded = catch_unwind(AssertUnwindSafe(|| self.tokens.encode(&content)));
        let Ok(Ok(encoded)) = encoded else {
            add(&self.counts.failed_runs, 1);
            text.ticket.give_up(text.index, true);
            return;
        };
        let encoded = Arc::new(encoded);
        let tokens = encoded.ids.len();
        let count = self.windows.count(tokens);
        text.ticket.count(text.index, count, tokens);
        let own = self.tokens.begin.len() + self.tokens.end.len();
        let windows = (0..count)
            .map(|number| Window {
                ticket: Arc::clone(&text.ticket),
                index: text.index,
                encoded: Arc::clone(&encoded),
                number,
                len: self.windows.range(number, tokens).len() + own,
            })
            .collect();
        lock(&self.queue).push_windows(windows);
        self.work.notify_all();
    }

    /// Runs windows and settles them. False where the watcher has settled them meanwhile.
    fn run(
        &self,
        slot: &Mutex<Option<Running>>,
        runner: &mut Runner,
        windows: Vec<Window>,
        length: usize,
    ) -> bool {
        let rows: Vec<Row> = windows.iter().map(|window| self.row(window)).collect();
        let since = Instant::now();
        let Ok(options) = RunOptions::new().map(Arc::new) else {
            self.settle(windows, None);
            return true;
        };
        *lock(slot) = Some(Running { since, options: Arc::clone(&options), told: false, windows });
        let scores = catch_unwind(AssertUnwindSafe(|| runner.run(&rows, length, &options)));
        let Some(Running { windows, .. }) = lock(slot).take() else { return false };
        let took = since.elapsed();
        if let Ok(Ok(logits)) = scores {
            let cost = took.as_nanos() as u64 / (rows.len() * length).max(1) as u64;
            // Moves by an eighth: one slow run sheds nothing, a slow minute does.
            let known = self.cost_ns.load(Ordering::Relaxed);
            self.cost_ns.store((known * 7 + cost) / 8, Ordering::Relaxed);
            self.settle(windows, Some(&logits));
        } else {
            self.settle(windows, None);
        }
        true
    }

    fn row(&self, window: &Window) -> Row {
        let range = self.windows.range(window.number, window.encoded.ids.len());
        self.tokens.row(window.encoded.ids.get(range).unwrap_or_default())
    }

    /// Takes what a run came to; `None` where it failed.
    fn settle(&self, windows: Vec<Window>, logits: Option<&[Vec<f32>]>) {
        let scores: Vec<Option<Score>> = (0..windows.len())
            .map(|at| {
                let row = logits?.get(at)?;
                Model::probability(&self.positive, self.temperature, row)
            })
            .collect();
        let known = scores.iter().flatten().count();
        let failed = known < windows.len();
        // Counted first: who is told of a score finds it in the counters too.
        add(&self.counts.runs, 1);
        add(&self.counts.windows, known as u64);
        add(&self.counts.failed_runs, u64::from(failed));
        let out = {
            let mut queue = lock(&self.queue);
            queue.running = queue.running.saturating_sub(1);
            queue.failures = if failed { queue.failures + 1 } else { 0 };
            let out = queue.failures >= FAILURES_MAX;
            if out {
                queue.suspended = Some(Instant::now() + SUSPENDED);
            }
            out
        };
        for (window, score) in windows.into_iter().zip(scores) {
            let verdict = score.map_or(Verdict::Failed, |score| {
                let range = self.windows.range(window.number, window.encoded.ids.len());
                let spans = window.encoded.spans.get(range).unwrap_or_default();
                let start = spans.first().map_or(0, |span| span.0 as usize);
                let end = spans.iter().map(|span| span.1 as usize).max().unwrap_or(start);
                Verdict::Score(score, start..end)
            });
            window.ticket.settle(window.index, verdict, &self.cache);
        }
        if out {
            tracing::error!(
                "the classifier fails again and again: it is left alone for ten seconds"
            );
            self.give_up_all();
        } else if failed {
            tracing::warn!("a run of the classifier failed or gave scores that are no numbers");
        }
    }

    /// Settles everything that waits as failed.
    fn give_up_all(&self) {
        let (texts, windows) = lock(&self.queue).drain();
        for text in texts {
            text.ticket.give_up(text.index, true);
        }
        for window in windows {
            window.ticket.give_up(window.index, true);
        }
        self.room.notify_all();
    }

    /// Ends runs that take too long, and gives up those that do not end.
    fn watch(&self) {
        let step = (self.hang / 4).clamp(Duration::from_millis(5), Duration::from_millis(250));
        loop {
            {
                let queue = lock(&self.queue);
                let waited = self.work.wait_timeout(queue, step);
                let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if queue.stop {
                    return;
                }
            }
            for slot in &self.slots {
                let mut running = lock(slot);
                let Some(run) = running.as_mut() else { continue };
                let age = run.since.elapsed();
                if age > self.hang && !run.told {
                    run.told = true;
                    add(&self.counts.hung_runs, 1);
                    tracing::error!("a run of the classifier takes too long and is ended");
                    drop(run.options.terminate());
                } else if age > self.hang * 2 + Duration::from_secs(1) {
                    let lost = running.take();
                    drop(running);
                    let mut queue = lock(&self.queue);
                    queue.threads = queue.threads.saturating_sub(1);
                    let none_left = queue.threads == 0;
                    drop(queue);
                    tracing::error!(
                        none_left,
                        "a run of the classifier does not end: its thread is lost"
                    );
                    self.settle(lost.map(|run| run.windows).unwrap_or_default(), None);
                    if none_left {
                        self.give_up_all();
                    }
                }
            }
        }
    }
}

/// Whether there is nobody to run a model now.
fn is_out(queue: &mut Queue) -> bool {
    if queue.suspended.is_some_and(|until| Instant::now() >= until) {
        // The next run tells whether it goes on.
        queue.suspended = None;
        queue.failures = FAILURES_MAX - 1;
    }
    queue.stop || queue.threads == 0 || queue.suspended.is_some()
}

impl Tokens {
    /// A window as the graph reads it.
    fn row(&self, ids: &[u32]) -> Row {
        [self.begin.as_slice(), ids, self.end.as_slice()].concat()
    }
}

/// Half the cores where nobody says how many; never all of them, since lanes need one.
fn threads(asked: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let asked = if asked == 0 { cores / 2 } else { asked };
    asked.clamp(1, cores.saturating_sub(1).max(1))
}

/// How texts are cut, and the longest row.
fn windows(
    model: &Model,
    tokens: &Tokens,
    fixed: Option<usize>,
) -> Result<(Windows, usize), OpenError> {
    let own = tokens.begin.len() + tokens.end.len();
    let wrong = |reason: String| OpenError::Model { path: model.config_path.clone(), reason };
    let limit = fixed.unwrap_or(model.positions).min(model.positions);
    let most = if model.window == 0 { limit.min(WINDOW_MAX) } else { model.window };
    if most > limit {
        return Err(wrong(format!(
            "a window of {most} tokens is longer than the {limit} that the model reads"
        )));
    }
    let room = most.checked_sub(own).filter(|&room| room > 0).ok_or_else(|| {
        wrong(format!("a window of {most} tokens has no room beside the {own} of its own"))
    })?;
    let stride = if model.stride == 0 { most / 2 } else { model.stride };
    Ok((Windows { tokens: room, stride: stride.clamp(1, room) }, most))
}

/// Runs one full window, which shows whether the graph does what it says, and what it costs:
/// nanoseconds for a token.
fn warm_up(runner: &mut Runner, model: &Model, row: &Row) -> Result<u64, String> {
    let length = runner.length.unwrap_or(row.len());
    let options = RunOptions::new().map_err(|error| tokens::one_line(&error.to_string()))?;
    let mut took = Duration::MAX;
    for _ in 0..2 {
        let began = Instant::now();
        let logits = runner.run(std::slice::from_ref(row), length, &options)?;
        took = took.min(began.elapsed());
        let score = logits
            .first()
            .and_then(|row| Model::probability(&model.positive, model.temperature, row));
        if score.is_none() {
            return Err("its scores are no numbers".to_owned());
        }
    }
    Ok((took.as_nanos() as u64 / length.max(1) as u64).max(1))
}
