//! What the classifier costs: latency, windows a second, what batching and the cache are worth,
//! and what events pay that it is not asked about.
//!
//! `cargo bench --bench classify -- MODEL [OTHER]` takes a model's folder (the shipped one
//! where none is named); with a second one, such as the same model before quantisation, it
//! says what each makes of texts that were not trained on, and how far their scores are apart. Needs the ONNX Runtime library (`make onnxruntime`).
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod beside;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sha2::{Digest, Sha256};
use weir::classify::{Classifier, Document, Settings, Urgency};

/// Words that a text is made of: no model's shortcuts, and tokens of usual length.
const WORDS: &str = "please send the report about last month to our office in the north before noon and \
    tell me which of the open orders are late so that somebody can call the customers today";

fn main() {
    let mut folders =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from);
    let model = folders.next().unwrap_or_else(|| PathBuf::from("models/injection"));
    let settings = Settings { model, threads: 1, ..Settings::default() };
    let classifier = open(&settings);
    let about = classifier.about();
    println!(
        "{}: {:?} tokens in a window, one thread; runtime {}",
        about.path.display(),
        about.windows,
        about.library.display()
    );
    drop(classifier);
    latency(&settings);
    batching(&settings);
    caching(&settings);
    beside::beside(&settings);
    if let Some(other) = folders.next() {
        quality(&settings, &Settings { model: other, ..settings.clone() });
    }
}

fn open(settings: &Settings) -> Classifier {
    Classifier::open(settings).unwrap_or_else(|error| panic!("{error}"))
}

/// A text of so many words, unlike every other of its number.
fn text(words: usize, number: usize) -> String {
    let all: Vec<&str> = WORDS.split_whitespace().collect();
    let pick = |at: usize| all[(at * 7 + number * 13 + at * number % 5) % all.len()];
    let mut words: Vec<&str> = (0..words).map(pick).collect();
    let number = number.to_string();
    words.push(&number);
    words.join(" ")
}

/// A histogram of up to a minute.
fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("three digits are allowed")
}

fn score(classifier: &Classifier, text: &str) -> f64 {
    let ticket = classifier.submit(&[Document::of_text(text)], Urgency::Patient);
    ticket.wait(None);
    ticket.seen().score.map_or(f64::NAN, weir::finding::Score::probability)
}

/// One text after the other, none of them seen before.
fn latency(settings: &Settings) {
    let classifier = open(&Settings { cache_entries: 0, ..settings.clone() });
    println!("\nlatency of one text, nothing else waiting (200 texts each)");
    println!("words  p50 ms  p99 ms  windows/s on one core");
    for words in [8, 24, 48, 96, 400, 2_000] {
        let mut took = microseconds();
        let before = classifier.counters().windows;
        let began = Instant::now();
        for number in 0..if words > 1_000 { 20 } else { 200 } {
            let text = text(words, number);
            let from = Instant::now();
            score(&classifier, &text);
            took.saturating_record(from.elapsed().as_micros() as u64);
        }
        let windows = (classifier.counters().windows - before) as f64;
        let at = |quantile| took.value_at_quantile(quantile) as f64 / 1e3;
        let rate = windows / began.elapsed().as_secs_f64();
        println!("{words:>5} {:>7.2} {:>7.2} {rate:>8.1}", at(0.5), at(0.99));
    }
}

/// Many texts at once: how many windows run together, and what that is worth.
fn batching(settings: &Settings) {
    println!("\nbatching: 400 texts of 8 to 96 words handed over at once");
    println!("tokens a run  windows/s  windows a run");
    for batch_tokens in [16, 128, 256, 512, 1_024, 2_048] {
        let settings = Settings { batch_tokens, cache_entries: 0, ..settings.clone() };
        let classifier = open(&settings);
        let documents: Vec<Document> =
            (0..400).map(|n| Document::of_text(&text(8 + n * 37 % 89, n))).collect();
        let began = Instant::now();
        let tickets: Vec<_> = documents
            .iter()
            .map(|one| classifier.submit(std::slice::from_ref(one), Urgency::Patient))
            .collect();
        for ticket in &tickets {
            ticket.wait(None);
        }
        let counters = classifier.counters();
        let windows = counters.windows as f64;
        println!(
            "{batch_tokens:>12} {:>10.1} {:>14.1}",
            windows / began.elapsed().as_secs_f64(),
            windows / counters.runs.max(1) as f64
        );
    }
}

/// Conversations that are sent again with every turn, as chat front ends do.
fn caching(settings: &Settings) {
    println!("\ncache: 20 conversations of 10 turns, each turn with all before it");
    println!("entries  seconds  windows");
    for cache_entries in [0, 65_536] {
        let classifier = open(&Settings { cache_entries, ..settings.clone() });
        let began = Instant::now();
        for conversation in 0..20 {
            for turn in 1..=10 {
                let said: Vec<Document> = (0..turn)
                    .map(|n| Document::of_text(&text(40, conversation * 100 + n)))
                    .collect();
                classifier.submit(&said, Urgency::Patient).wait(None);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("{cache_entries:>7} {seconds:>8.2} {:>8}", classifier.counters().windows);
    }
    let classifier = open(settings);
    let known = text(96, 1);
    score(&classifier, &known);
    let began = Instant::now();
    for _ in 0..10_000 {
        score(&classifier, &known);
    }
    println!("a text that is known takes {:.1} µs", began.elapsed().as_secs_f64() * 1e6 / 1e4);
    shed(&classifier);
}

/// What it costs to hear that there is no time.
fn shed(classifier: &Classifier) {
    let began = Instant::now();
    for number in 0..10_000 {
        let urgency = Urgency::Inline { deadline: Instant::now(), second_look: false };
        drop(classifier.submit(&[Document::of_text(&text(96, 10_000 + number))], urgency));
    }
    let each = began.elapsed().checked_div(10_000).unwrap_or(Duration::ZERO);
    println!("a text that is shed takes {:.1} µs, making it included", each.as_secs_f64() * 1e6);
}

/// What two models make of the same texts: those of our own corpus that the shipped model is
/// calibrated on and not trained.
fn quality(one: &Settings, other: &Settings) {
    let texts = held_out(Path::new("models/train/data"));
    println!("\nquality: {} texts of families that were not trained on", texts.len());
    println!("model, area under the curve, attacks above 99% of the harmless texts");
    let scored: Vec<Vec<f64>> = [one, other]
        .into_iter()
        .map(|settings| {
            let classifier = open(settings);
            let scores: Vec<f64> = texts.iter().map(|(text, _)| score(&classifier, text)).collect();
            let of = |label: bool| {
                let of_label = scores.iter().zip(&texts).filter(move |(_, (_, is))| *is == label);
                let mut of_label: Vec<f64> = of_label.map(|(score, _)| *score).collect();
                of_label.sort_by(f64::total_cmp);
                of_label
            };
            let (attacks, harmless) = (of(true), of(false));
            let below = |score: f64| harmless.partition_point(|other| *other < score) as f64;
            let up_to = |score: f64| harmless.partition_point(|other| *other <= score) as f64;
            let area: f64 =
                attacks.iter().map(|&score| f64::midpoint(below(score), up_to(score))).sum();
            let area = area / (attacks.len() * harmless.len()) as f64;
            let limit = harmless[harmless.len() * 99 / 100];
            let found = attacks.iter().filter(|score| **score > limit).count();
            let share = 100.0 * found as f64 / attacks.len() as f64;
            println!("{} {area:.4} {share:.1}%", classifier.about().path.display());
            scores
        })
        .collect();
    let pairs = scored[0].iter().zip(&scored[1]);
    let mut apart: Vec<f64> = pairs.map(|(one, other)| (one - other).abs()).collect();
    apart.sort_by(f64::total_cmp);
    let mean = apart.iter().sum::<f64>() / apart.len() as f64;
    println!("scores are {mean:.4} apart on average, {:.4} at p99", apart[apart.len() * 99 / 100]);
}

/// Every second text of those families, with whether it is an attack; which they are is as
/// `models/train/data.py` has it.
fn held_out(folder: &Path) -> Vec<(String, bool)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the corpus is in the repository")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    let is_held = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default();
        let hash = Sha256::digest(name.as_encoded_bytes());
        hash.iter().fold(0_u32, |rest, byte| (rest * 256 + u32::from(*byte)) % 50) < 5
    };
    files.retain(is_held);
    let lines = files.iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).expect("a family can be read");
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    lines
        .step_by(2)
        .map(|line| {
            let row: serde_json::Value =
                serde_json::from_str(&line).expect("a family is JSON lines");
            (row["text"].as_str().unwrap_or_default().to_owned(), row["label"] == 1)
        })
        .collect()
}
