//! What a stream holds back, and what it costs: bytes held after each chunk, time for a chunk,
//! growth with the text's length, memory, and many streams at once.
//!
//! `cargo bench --bench stream [-- FILE.jsonl…]`; the files' `text` members are read each as one
//! stream of the assistant, in chunks of four bytes, beside the chat text of `weir patterns bench`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::time::{Duration, Instant};

use weir::detect::{EngineKind, Rules, ScanLimits, Stream, Streamer};
use weir::event::Carrier;
use weir::patterns::{builtin, load};

const CHAT: &str = include_str!("../../src/cli/bench/chat.txt");
const CHUNK: usize = 4;

fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(CHUNK.min(rest.len())));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[derive(Default)]
struct Seen {
    held: Vec<usize>,
    times: Vec<Duration>,
    /// Chunks before the first byte was let go.
    first: Vec<usize>,
    memory: usize,
    bytes: usize,
}

/// Reads one text to its end.
fn read(streamer: &mut Streamer<'_>, text: &str, seen: &mut Seen) {
    let mut stream = Stream::default();
    let mut first = None;
    for (at, chunk) in chunks(text).enumerate() {
        let begin = Instant::now();
        let found = streamer.push(&mut stream, chunk);
        seen.times.push(begin.elapsed());
        drop(found);
        stream.keep_from(stream.settled());
        seen.held.push(stream.len() - stream.settled());
        if stream.settled() > 0 {
            first.get_or_insert(at + 1);
        }
        seen.memory = seen.memory.max(stream.memory());
    }
    streamer.finish(&mut stream);
    seen.first.extend(first);
    seen.bytes += text.len();
}

fn at<T: Copy + Ord>(values: &mut [T], share: f64) -> T {
    values.sort_unstable();
    values[((values.len() - 1) as f64 * share) as usize]
}

fn report(name: &str, seen: &mut Seen) {
    let total: Duration = seen.times.iter().sum();
    let held = &mut seen.held;
    println!(
        "{name:<28} {:>9} bytes  held p50 {} p90 {} p99 {} max {}  first after p50 {} p99 {} chunks",
        seen.bytes,
        at(held, 0.5),
        at(held, 0.9),
        at(held, 0.99),
        at(held, 1.0),
        at(&mut seen.first, 0.5),
        at(&mut seen.first, 0.99),
    );
    println!(
        "{:<28} a chunk: p50 {:.2} us p99 {:.2} us mean {:.2} us; memory of a stream at most {} bytes",
        "",
        at(&mut seen.times, 0.5).as_secs_f64() * 1e6,
        at(&mut seen.times, 0.99).as_secs_f64() * 1e6,
        total.as_secs_f64() * 1e6 / seen.times.len() as f64,
        seen.memory,
    );
}

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let set = load(&builtin()).unwrap();
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Auto).unwrap();
    let begin = Instant::now();
    let mut streamer = Streamer::new(&rules, Carrier::Assistant).unwrap();
    println!("automaton made in {:?}", begin.elapsed());
    let mut cold = Seen::default();
    read(&mut streamer, CHAT, &mut cold);
    report("chat, cold", &mut cold);
    let mut chat = Seen::default();
    for _ in 0..20 {
        read(&mut streamer, CHAT, &mut chat);
    }
    report("chat", &mut chat);
    for size in [10_000, 100_000, 1_000_000] {
        let text: String = CHAT.chars().cycle().take(size).collect();
        let mut seen = Seen::default();
        let begin = Instant::now();
        read(&mut streamer, &text, &mut seen);
        let each = begin.elapsed().as_secs_f64() * 1e9 / text.len() as f64;
        println!("chat of {size:>7} characters: {each:.0} ns a byte");
    }
    for file in &files {
        let mut seen = Seen::default();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(text) = line.get("text").and_then(serde_json::Value::as_str) {
                read(&mut streamer, text, &mut seen);
            }
        }
        report(file.rsplit('/').next().unwrap_or(file), &mut seen);
    }
    many(&mut streamer);
}

/// Ten thousand streams, a chunk of each in turn.
fn many(streamer: &mut Streamer<'_>) {
    let text: String = CHAT.chars().cycle().take(3 * CHAT.len()).collect();
    let mut streams: Vec<(Stream, usize)> = (0..10_000)
        .map(|at| (Stream::default(), text.floor_char_boundary(at * 7 % CHAT.len())))
        .collect();
    let mut times = Vec::new();
    for _ in 0..100 {
        for (stream, at) in &mut streams {
            let piece = chunks(text.get(*at..).unwrap_or_default()).next().unwrap_or_default();
            *at += piece.len();
            let begin = Instant::now();
            streamer.push(stream, piece);
            times.push(begin.elapsed());
            stream.keep_from(stream.settled());
        }
    }
    let memory: usize = streams.iter().map(|(stream, _)| stream.memory()).sum();
    println!(
        "10000 streams, 400 bytes each: a chunk p50 {:.2} us p99 {:.2} us; memory {} bytes a stream",
        at(&mut times, 0.5).as_secs_f64() * 1e6,
        at(&mut times, 0.99).as_secs_f64() * 1e6,
        memory / streams.len(),
    );
}
