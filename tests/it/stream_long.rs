//! The long form of what `stream` and `streams` prove, `make streams`: as many cases as are asked
//! for, of generated texts with planted keys and addresses, of random bytes, and of texts from
//! files. A case goes through the reader of streams alone and through the pipeline's whole step.
//!
//! `STREAM_CASES` of each kind (100,000), from `STREAM_SEED` on (1), on `STREAM_THREADS` threads
//! (all); `STREAM_TEXTS` names a folder of `.jsonl` or `.jsonl.gz` files with a `text` in each
//! line. What differs is cut down to the smallest text that still differs, and printed.
#![expect(clippy::print_stdout, reason = "an hour's run tells how far it is")]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;
use weir::detect::{EngineKind, Rules, ScanLimits, Scratch};
use weir::event::Carrier;
use weir::finding::Action;
use weir::inspect::Readers;
use weir::patterns;
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::Step;
use weir::policy::{Orders, Policy};
use weir::state::{Partition, Staged};

use crate::stream::{Prover, lens, text};
use crate::streams::{REDACTS, chunks, event, json_of, read, record, step};

/// So many failures are shown; then it is over.
const FAILURES_MAX: usize = 12;
/// A planted value may not be seen in part: not this many bytes of it.
const SEEN_MAX: usize = 8;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let set = patterns::load(&patterns::builtin()).unwrap();
    Rules::compile(set, ScanLimits::default(), EngineKind::Auto).unwrap()
});

/// Values that are found wherever they stand.
const PLANTED: &[&str] = &[
    "AKIA{{base32:16}}",
    "ghp_{{base62:30}}{{crc32_base62}}",
    "glpat-{{base62:20}}",
    "sk-ant-api03-{{base62:93}}AA",
    "sk-or-v1-{{hex:64}}",
    "hf_{{upper:10}}{{lower:24}}",
    "gsk_{{base62:52}}",
    "npm_{{base62:30}}{{crc32_base62}}",
    "{{lower:12}}@{{lower:8}}.com",
    "-----BEGIN PRIVATE KEY-----\n{{base64:64}}\n{{base64:64}}\n-----END PRIVATE KEY-----",
];

struct Case {
    text: String,
    planted: Vec<String>,
    lens: Vec<usize>,
    carrier: Carrier,
}

impl Case {
    fn with_text(&self, text: String) -> Self {
        Self { text, planted: Vec::new(), lens: self.lens.clone(), carrier: self.carrier }
    }
}

/// The pipeline's step, under any policy.
struct Pipe {
    scratch: Scratch<'static>,
    readers: Readers<'static>,
}

impl Pipe {
    /// The records through a step that knows nothing yet.
    fn run(&mut self, step: &Step, records: &[InRecord]) -> Vec<OutRecord> {
        let (mut state, mut out) = (Partition::default(), Vec::new());
        let orders = Orders::default();
        for record in records {
            let scanned = step.scan(&mut self.scratch, record);
            let mut staged = Staged::new(&state);
            let with = (&orders, &mut self.readers);
            step.record(&mut staged, with, record, &scanned, 0, &mut out);
            let changes = staged.into_changes();
            state.apply(changes);
        }
        out
    }
}

/// Reads texts whole and in pieces, alone and through the pipeline's step.
struct Proofs {
    prover: Prover<'static>,
    pipe: Pipe,
    redacts: Step,
    shipped: Step,
}

impl Proofs {
    fn new() -> Self {
        let (scratch, readers) = (RULES.scratch(), Readers::new(&RULES, "pack"));
        Self {
            prover: Prover::new(&RULES),
            pipe: Pipe { scratch, readers },
            redacts: step(REDACTS),
            shipped: step(Policy::SHIPPED),
        }
    }

    fn check(&mut self, case: &Case) -> Result<(), String> {
        self.prover.check((&case.text, &case.lens, case.carrier))?;
        let of_whole = [record(0, &event(0, "output", &case.text))];
        let of_stream = chunks(&case.text, &case.lens);
        let out = self.pipe.run(&self.redacts, &of_stream);
        let streamed = read(&out);
        let whole = read(&self.pipe.run(&self.redacts, &of_whole));
        if streamed != whole {
            return Err(format!("step: whole {whole:#?} streamed {streamed:#?}"));
        }
        let audit = json_of(&out, Topic::Audit);
        let hash = weir::audit::hex(&<sha2::Sha256 as sha2::Digest>::digest(&whole.clean));
        if audit.last().map(|last| &last["stream"]["released_sha256"]) != Some(&Value::from(hash)) {
            return Err("the audit's hash is not that of what was let go".to_owned());
        }
        let out = self.pipe.run(&self.shipped, &of_stream);
        let ended =
            json_of(&out, Topic::Verdicts).iter().any(|one| one["stream"]["ended"] == "cut");
        let shipped = read(&out);
        let whole = read(&self.pipe.run(&self.shipped, &of_whole));
        if ended {
            // Behind the place where a stream ends nothing is looked at, and that place is the same
            // for all pieces.
            let bytewise = read(&self.pipe.run(&self.shipped, &chunks(&case.text, &[1])));
            if (&shipped.clean, &shipped.action) != (&bytewise.clean, &bytewise.action) {
                return Err(format!(
                    "shipped policy: {shipped:#?}, by the character {bytewise:#?}"
                ));
            }
        }
        let rank = |action: &str| Action::from_name(action).unwrap();
        let wrong = rank(&whole.action) < rank(&shipped.action)
            || (!ended && (&whole.clean, &whole.action) != (&shipped.clean, &shipped.action));
        if wrong {
            return Err(format!("shipped policy: whole {whole:#?} streamed {shipped:#?}"));
        }
        for value in &case.planted {
            for window in value.as_bytes().windows(SEEN_MAX).map(String::from_utf8_lossy) {
                // Other words of the text may be the same.
                let is_own = case.text.matches(&*window).count() == 1;
                let seen = streamed.clean.contains(&*window) || shipped.clean.contains(&*window);
                if is_own && seen {
                    return Err(format!("`{window}` of a planted value was let go"));
                }
            }
        }
        Ok(())
    }

    /// The smallest text that can be found which differs, too, and how it does.
    fn smallest(&mut self, case: &Case) -> Option<(Case, String)> {
        let mut best = case.with_text(case.text.clone());
        let mut error = self.check(&best).err()?;
        for lens in [vec![1], vec![4]] {
            let simpler = Case { lens, ..best.with_text(best.text.clone()) };
            if let Err(why) = self.check(&simpler) {
                (best, error) = (simpler, why);
                break;
            }
        }
        let mut size = best.text.chars().count().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < best.text.chars().count() {
                let left: Vec<char> = best.text.chars().collect();
                let kept = left.iter().take(at).chain(left.iter().skip(at + size));
                let shorter = best.with_text(kept.collect());
                match self.check(&shorter) {
                    Err(why) => (best, error) = (shorter, why),
                    Ok(()) => at += size,
                }
            }
            size /= 2;
        }
        Some((best, error))
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} is a number, and not `{text}`"))
    })
}

/// Proves so many cases, and tells how far it is.
fn prove(name: &str, case: impl Fn(u64, &mut TestRunner) -> Case + Sync) {
    let cases = setting("STREAM_CASES", 100_000);
    let seed = setting("STREAM_SEED", 1);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let begin = Instant::now();
    let (next, done, bytes) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = |_| {
            scope.spawn(|| {
                let mut proofs = Proofs::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases || failures.load(Ordering::Relaxed) >= FAILURES_MAX {
                        break;
                    }
                    let config = Config {
                        rng_seed: RngSeed::Fixed(seed << 32 | number),
                        failure_persistence: None,
                        ..Config::default()
                    };
                    let case = case(number, &mut TestRunner::new(config));
                    bytes.fetch_add(case.text.len() as u64, Ordering::Relaxed);
                    if let Err(why) = proofs.check(&case) {
                        failures.fetch_add(1, Ordering::Relaxed);
                        let (case, why) = proofs.smallest(&case).unwrap_or((case, why));
                        let Case { text, lens, carrier, .. } = &case;
                        println!("{name}, case {number}: {text:?} {lens:?} {carrier:?}: {why}");
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let workers: Vec<_> = (0..setting("STREAM_THREADS", threads).max(1)).map(work).collect();
        let mut told = Duration::ZERO;
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(200));
            let passed = begin.elapsed();
            if passed.saturating_sub(told) > Duration::from_secs(20) {
                told = passed;
                let (done, failed) =
                    (done.load(Ordering::Relaxed), failures.load(Ordering::Relaxed));
                println!("{name}: {done} of {cases} cases, {failed} differ, {passed:.0?}");
            }
        }
    });
    let (done, failed) = (done.into_inner(), failures.into_inner());
    println!(
        "{name}: {done} cases of {} bytes from seed {seed}, {failed} differ, {:.0?}",
        bytes.into_inner(),
        begin.elapsed(),
    );
    assert_eq!((done, failed), (cases, 0), "{name}: cases that were run, and that differ");
}

fn one<T: std::fmt::Debug>(runner: &mut TestRunner, of: &impl Strategy<Value = T>) -> T {
    of.new_tree(runner).unwrap().current()
}

/// Of texts that are streamed.
const CARRIERS: [Carrier; 2] = [Carrier::Assistant, Carrier::ToolCall];

/// A generated text with planted values between its words.
fn with_planted(
    number: u64,
    runner: &mut TestRunner,
    before: String,
    behind: &impl Strategy<Value = String>,
) -> Case {
    let mut text = before;
    let mut planted = Vec::new();
    for _ in 0..one(runner, &(0..3_u8)) {
        let (at, seed) = one(runner, &(0..PLANTED.len(), any::<u64>()));
        let value = patterns::generate::expand(PLANTED[at], seed).unwrap();
        text = format!("{text} {value}\n{}", one(runner, behind));
        // Of a key block the frame may be seen.
        let parts = value.lines().filter(|line| !line.starts_with("-----"));
        planted.extend(parts.map(str::to_owned));
    }
    let carrier = CARRIERS[(number % 2) as usize];
    Case { text, planted, lens: one(runner, &lens()), carrier }
}

#[test]
#[ignore = "the long form: make streams"]
fn generated_texts_in_pieces() {
    prove("generated texts", |number, runner| {
        let before = one(runner, &text());
        with_planted(number, runner, before, &text())
    });
}

#[test]
#[ignore = "the long form: make streams"]
fn random_bytes_in_pieces() {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(0x20..0x7F_u8, 0..300),
        prop::collection::vec(prop::sample::select(b"%&\\;#xu04169afA =.,\n".as_slice()), 0..200),
    ];
    prove("random bytes", |number, runner| Case {
        text: String::from_utf8_lossy(&one(runner, &bytes)).into_owned(),
        planted: Vec::new(),
        lens: one(runner, &lens()),
        carrier: CARRIERS[(number % 2) as usize],
    });
}

#[test]
#[ignore = "the long form: make streams"]
fn texts_of_files_in_pieces() {
    let Some(folder) = std::env::var_os("STREAM_TEXTS") else {
        println!("texts of files: STREAM_TEXTS names no folder, none were read");
        return;
    };
    let texts = texts_in(Path::new(&folder));
    assert!(!texts.is_empty(), "{}: no texts in *.jsonl or *.jsonl.gz", folder.display());
    println!("texts of files: {} different ones", texts.len());
    prove("texts of files", |number, runner| Case {
        text: texts[(number % texts.len() as u64) as usize].clone(),
        planted: Vec::new(),
        lens: one(runner, &lens()),
        carrier: CARRIERS[(number / texts.len() as u64 % 2) as usize],
    });
}

fn texts_in(folder: &Path) -> Vec<String> {
    let mut texts = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy();
        let mut lines = String::new();
        let file = || std::fs::File::open(&path).unwrap();
        if name.ends_with(".jsonl.gz") {
            flate2::read::GzDecoder::new(file()).read_to_string(&mut lines).unwrap();
        } else if name.ends_with(".jsonl") {
            file().read_to_string(&mut lines).unwrap();
        }
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            texts.extend(line["text"].as_str().map(str::to_owned));
        }
    }
    // Neighbours in the order of their letters are alike: a few cases are to see all kinds.
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort_by_key(|text| weir::audit::hex(&<sha2::Sha256 as sha2::Digest>::digest(text)));
    texts
}
