//! What a stream holds back, and what it costs: bytes held after each chunk, time for a chunk,
//! growth with the text's length, memory, and many streams at once: read alone, through the
//! pipeline's step, and on one lane of `weir run` with the log in memory.
//!
//! `cargo bench --bench stream [-- FILE.jsonl…]`; the files' `text` members are read each as one
//! stream of the assistant, in chunks of four bytes, beside the chat text of `weir patterns bench`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use weir::detect::{EngineKind, Rules, ScanLimits, Stream, Streamer};
use weir::event::{Carrier, Millis};
use weir::inspect::Readers;
use weir::patterns::{builtin, load};
use weir::pipeline::log::{InRecord, Topic};
use weir::pipeline::memory::{self, Cluster};
use weir::pipeline::run::{Pack, Site, run};
use weir::pipeline::step::Step;
use weir::policy::Orders;
use weir::state::{Partition, Staged, owner};

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
    through_the_step(&rules);
    drop(streamer);
    on_one_lane(rules);
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

/// Streams that are open at once, and the agents whose they are.
const STREAMS: usize = 10_000;
const AGENTS: usize = 200;
/// Chunks of each.
const ROUNDS: usize = 60;

/// Chunks a second, and for how many seconds each.
const LOADS: [usize; 3] = [1_000, 3_000, 9_000];
const SECONDS: usize = 10;

/// The text of a stream: chat, from another place for each.
fn text_of(stream: usize) -> String {
    let from = stream * 7 % CHAT.len();
    CHAT.chars().cycle().skip(from).take(2 * CHUNK * ROUNDS).collect()
}

/// The next chunk of a stream as a front end sends it.
fn chunk_event(stream: usize, seq: usize, text: &str) -> (Vec<u8>, Vec<u8>) {
    let agent = format!("bot-{}", stream % AGENTS);
    let event = serde_json::json!({
        "v": 1, "id": format!("{stream}-{seq}"), "ts": 1_767_268_800_000_i64,
        "kind": "output_chunk", "agent": { "id": agent }, "session": format!("s{stream}"),
        "stream": { "id": format!("a{stream}"), "seq": seq, "last": false }, "text": text,
    });
    (agent.into_bytes(), event.to_string().into_bytes())
}

/// Kilobytes of memory that the process holds.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Ten thousand streams through the step that `weir run` takes: read, scanned, decided, all
/// records made, state kept. A batch holds a thousand records.
fn through_the_step(rules: &Rules) {
    let step = Step::new("weir.events", 1, "pack");
    let (mut scratch, mut readers) = (rules.scratch(), Readers::new(rules, "pack"));
    let (orders, mut state) = (Orders::default(), Partition::default());
    let texts: Vec<String> = (0..STREAMS).map(text_of).collect();
    let mut rests: Vec<_> = texts.iter().map(|text| chunks(text)).collect();
    let (mut times, mut kept) = (Vec::new(), Duration::ZERO);
    let (mut changelog, mut read, mut offset) = (0, 0, 0);
    let before = resident_kb();
    for seq in 0..ROUNDS {
        for batch in (0..STREAMS).collect::<Vec<_>>().chunks(1_000) {
            let mut staged = Staged::new(&state);
            for &stream in batch {
                let (key, value) = chunk_event(stream, seq, rests[stream].next().unwrap());
                read += value.len();
                let record = InRecord {
                    partition: 0,
                    offset,
                    timestamp: Millis(1_767_268_800_000 + offset / 100),
                    key: Some(key),
                    value: Some(value),
                    headers: Vec::new(),
                };
                offset += 1;
                let begin = Instant::now();
                let scanned = step.scan(&mut scratch, &record);
                let with = (&orders, &mut readers);
                step.record(&mut staged, with, &record, &scanned, 0, &mut Vec::new());
                times.push(begin.elapsed());
            }
            let begin = Instant::now();
            let changes = staged.into_changes();
            let records = changes.records();
            changelog +=
                records.map(|(key, value)| key.len() + value.map_or(0, |v| v.len())).sum::<usize>();
            state.apply(changes);
            kept += begin.elapsed();
        }
    }
    let grown = (resident_kb().saturating_sub(before)) * 1_024 / STREAMS as u64;
    let images = state.images();
    let of = |wanted: u8| {
        let own = images.iter().filter(|(key, _)| key.first() == Some(&wanted));
        own.map(|(key, value)| key.len() + value.len()).sum::<usize>() / STREAMS
    };
    let all: usize = images.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert_eq!(state.count(owner::STREAM), STREAMS, "all of them are open");
    println!(
        "{STREAMS} streams through the step, {ROUNDS} chunks each: a chunk p50 {:.1} us p99 {:.1} us, and {:.1} us for its state",
        at(&mut times, 0.5).as_secs_f64() * 1e6,
        at(&mut times, 0.99).as_secs_f64() * 1e6,
        kept.as_secs_f64() * 1e6 / times.len() as f64,
    );
    println!(
        "{:<28} state {} bytes a stream, with its session and all else {} bytes; changelog {} bytes a chunk of {} bytes; the process grew by {grown} bytes a stream",
        "",
        of(owner::STREAM),
        all / STREAMS,
        changelog / times.len(),
        read / times.len(),
    );
}

/// Ten thousand streams on one lane of `weir run`, with the log in memory: from the write of a
/// chunk to its committed verdict at a reader, at growing loads.
fn on_one_lane(rules: Rules) {
    let now: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(weir::clock::now);
    let settings = memory::Settings { partitions: 1, ..memory::Settings::default() };
    let cluster = Cluster::new(settings, Arc::clone(&now));
    let site = Site::new(Pack { rules, step: Step::new("weir.events", 1, "pack") }, now);
    let texts: Vec<String> = (0..STREAMS).map(text_of).collect();
    let mut rests: Vec<_> = texts.iter().map(|text| chunks(text)).collect();
    let mut written: Vec<Instant> = Vec::new();
    let mut latencies = Vec::new();
    std::thread::scope(|scope| {
        let lane = scope.spawn(|| run(&cluster, &site, Box::new(|_| None)));
        let (mut next, mut heard) = (0, 0);
        let mut write = |written: &mut Vec<Instant>| {
            let (stream, seq) = (written.len() % STREAMS, written.len() / STREAMS);
            let (key, value) = chunk_event(stream, seq, rests[stream].next().unwrap());
            written.push(Instant::now());
            cluster.produce(Topic::Events, 0, Some(key), Some(value), Vec::new());
        };
        // All are opened, and each has a few chunks, before the clock begins to run.
        let opening = Instant::now();
        while written.len() < 4 * STREAMS {
            write(&mut written);
        }
        let mut seen = |written: &[Instant], latencies: &mut Vec<Duration>, wait| {
            let version = cluster.version();
            let (records, to) = cluster.read(Topic::Verdicts, 0, next, 10_000);
            let at = Instant::now();
            // One verdict for each chunk, in their order.
            let told = written.iter().skip(heard).take(records.len());
            latencies.extend(told.map(|begin| at - *begin));
            (next, heard) = (to, heard + records.len());
            if records.is_empty() {
                cluster.wait(version, wait);
            }
            heard
        };
        while seen(&written, &mut latencies, Duration::from_millis(5)) < written.len() {}
        let each = opening.elapsed().as_secs_f64() * 1e6 / written.len() as f64;
        println!(
            "{STREAMS} streams on one lane, log in memory: the first {} chunks took {each:.1} us each",
            written.len()
        );
        for per_second in LOADS {
            latencies.clear();
            let begin = Instant::now();
            let mut sent = 0;
            while sent < per_second * SECONDS {
                let due = begin.elapsed().as_secs_f64() * per_second as f64;
                while (sent as f64) < due && sent < per_second * SECONDS {
                    write(&mut written);
                    sent += 1;
                }
                seen(&written, &mut latencies, Duration::from_micros(500));
            }
            while seen(&written, &mut latencies, Duration::from_millis(5)) < written.len() {}
            println!(
                "{:<28} at {per_second} chunks/s a verdict after p50 {:.1} ms p99 {:.1} ms max {:.1} ms",
                "",
                at(&mut latencies, 0.5).as_secs_f64() * 1e3,
                at(&mut latencies, 0.99).as_secs_f64() * 1e3,
                at(&mut latencies, 1.0).as_secs_f64() * 1e3,
            );
        }
        site.stop.store(true, Ordering::Relaxed);
        lane.join().unwrap();
    });
}
