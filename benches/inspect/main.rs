//! How fast one core finds and decides: views, first pass and confirmation, then policy, redaction
//! and every record that an event leaves behind.
//!
//! `cargo bench --bench inspect [-- FILE.jsonl]`; the file's `text` members are scanned each as
//! one event. Prints the median and the best of many rounds, because the machine is rarely idle.
//! `-- only NAME` runs the measurements whose name holds it. `-- once` takes the traffic of the
//! pipeline bench through everything two times, the second one in a function of its own (`counted`),
//! for a profiler that counts.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first surprise"
)]

#[path = "../../tests/kafka/events.rs"]
mod traffic;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::{Carrier, Event, Kind, Millis};
use weir::inspect::partition_of;
use weir::patterns::{Class, builtin, load};
use weir::pipeline::log::{Headers, InRecord};
use weir::pipeline::step::{Sequential, Step};
use weir::wire::event::read;

const CHAT: &str = "Thanks for sending the quarterly notes over. I went through the section about \
the warehouse move and I think the timeline is a little tight: the racks arrive in the second \
week, and we would have to label, count and shelve everything before the audit on the 14th. \
Could you draft a short message to the team that explains the new order of work? Please keep \
it friendly, mention that overtime is optional, and ask people to tell Maria by Friday if they \
cannot make the Saturday shift. If you have room, add a line about parking, since the lot \
behind building 4 will be closed. After that, summarise the main risks in three bullet points \
and suggest one thing we could drop if the supplier is late again. I would also like a table \
with the columns task, owner, start and end, using the dates from the plan that I pasted above; \
where a date is missing, write \"open\" instead of guessing. Last question: is there a simple \
way to keep the sheet in step with the plan, or do we have to copy changes by hand each time? ";

fn event(fields: &[(&str, &str)], kind: Kind) -> Event<'static> {
    let mut event = Event::new(kind, "e".to_owned().into(), "a".to_owned().into(), Millis(0));
    for (key, text) in fields {
        event.push_text(
            (*key).to_owned().into(),
            (*text).to_owned().into(),
            Carrier::of_kind(kind),
        );
    }
    event
}

/// Runs `round` again and again for three seconds: median and best time of a round.
fn rounds(mut round: impl FnMut()) -> (Duration, Duration) {
    let mut times = Vec::new();
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let begin = Instant::now();
        round();
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[0])
}

fn report(name: &str, bytes: usize, events: usize, (median, best): (Duration, Duration)) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
    println!(
        "{name:<28} {:>8.1} MB/s {:>8.2} us/event  (best {:.2} us)",
        bytes as f64 / median.as_secs_f64() / 1e6,
        each(median),
        each(best),
    );
}

/// Whether this measurement was asked for.
fn is_wanted(name: &str) -> bool {
    let mut args = std::env::args().skip_while(|arg| arg != "only").skip(1);
    args.next().is_none_or(|only| name.contains(&only))
}

fn measure(name: &str, rules: &Rules, events: &[Event<'_>]) {
    if !is_wanted(name) {
        return;
    }
    let mut scratch = rules.scratch();
    let bytes = events.iter().flat_map(|event| &event.fields).map(|field| field.text.len()).sum();
    let times = rounds(|| {
        for event in events {
            black_box(scratch.scan(event));
        }
    });
    report(name, bytes, events.len(), times);
}

/// The traffic of the pipeline bench, as records of their agents' partitions.
fn records(count: usize) -> Vec<InRecord> {
    let mut traffic = traffic::Traffic::new(42, "b", 60);
    traffic.pad = 760;
    let record = |(offset, event): (i64, traffic::Event)| InRecord {
        partition: partition_of(&event.agent, PARTITIONS),
        offset,
        timestamp: Millis(1_700_000_000_000 + offset),
        key: Some(event.agent.into_bytes()),
        value: Some(event.json.into_bytes()),
        headers: Headers::default(),
    };
    (0..).zip(traffic.take(count)).map(record).collect()
}

const PARTITIONS: u32 = 12;

#[inline(never)]
fn counted(sequential: &mut Sequential<'_>, records: &[InRecord]) -> usize {
    let mut out = Vec::new();
    for record in records {
        sequential.record(record, &mut out);
    }
    out.len()
}

/// What the pipeline does with each record between poll and commit, part by part.
fn mix(rules: &Rules) {
    let records = records(1000);
    let bytes = records.iter().flat_map(|record| &record.value).map(Vec::len).sum();
    let step = Step::new("weir.events", PARTITIONS, "bench");
    let values = || records.iter().filter_map(|record| record.value.as_deref());
    if is_wanted("traffic: read") {
        let times = rounds(|| {
            for value in values() {
                black_box(read(value, &step.map, &step.read).unwrap());
            }
        });
        report("traffic: read", bytes, records.len(), times);
    }
    let events: Vec<_> =
        values().map(|value| read(value, &step.map, &step.read).unwrap()).collect();
    measure("traffic: scan", rules, &events);
    if !is_wanted("traffic: all of it") {
        return;
    }
    let times = rounds(|| {
        let mut sequential = Sequential::new(&step, rules);
        let mut out = Vec::new();
        for record in &records {
            sequential.record(record, &mut out);
            out.clear();
        }
    });
    report("traffic: all of it", bytes, records.len(), times);
}

fn main() {
    let begin = Instant::now();
    let set = load(&builtin()).unwrap();
    let loaded = begin.elapsed();
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Auto).unwrap();
    println!(
        "{} rules, {}: read in {loaded:.0?}, compiled in {:.0?}",
        rules.set.rules.len(),
        rules.engine_name(),
        begin.elapsed().saturating_sub(loaded),
    );
    let mut changed = load(&builtin()).unwrap();
    let phrase = changed.rules.iter_mut().find(|rule| rule.class == Class::Phrase).unwrap();
    phrase.exprs[0].regex.push_str("(?:x)?");
    let begin = Instant::now();
    let limits = ScanLimits::default();
    drop(Rules::compile_after(changed, limits, EngineKind::Auto, Some(&rules)).unwrap());
    println!("one phrase changed: compiled after these in {:.0?}", begin.elapsed());
    if std::env::args().any(|arg| arg == "once") {
        let step = Step::new("weir.events", PARTITIONS, "bench");
        let mut sequential = Sequential::new(&step, &rules);
        let records = records(600);
        let (first, second) = records.split_at(300);
        for record in first {
            sequential.record(record, &mut Vec::new());
        }
        println!("{} records out", counted(&mut sequential, second));
        return;
    }
    mix(&rules);
    let chat: Vec<_> = (0..200).map(|_| event(&[("text", CHAT)], Kind::Prompt)).collect();
    measure("chat, 1 KB", &rules, &chat);
    let answers: Vec<_> = (0..200).map(|_| event(&[("text", CHAT)], Kind::Output)).collect();
    measure("answer, 1 KB", &rules, &answers);
    let leet = CHAT.replace("warehouse", "w4rehouse");
    measure("chat with one w4rd", &rules, &vec![event(&[("text", &leet)], Kind::Prompt); 200]);
    let accents = CHAT.replace("Maria", "María");
    measure("chat with one accent", &rules, &vec![event(&[("text", &accents)], Kind::Prompt); 200]);
    let calls = [
        ("path", "/srv/plans/q3.csv"),
        ("mode", "r"),
        ("encoding", "utf-8"),
        ("owner", "maria"),
        ("limit", "200"),
        ("sort", "start"),
        ("columns", "task,owner,start,end"),
        ("x", "1"),
        ("query", "select task, owner from plan where start > '2026-01-01' order by start"),
        ("reason", "the user asked for a table of open tasks"),
    ];
    measure("tool call, 10 strings", &rules, &vec![event(&calls, Kind::ToolCall); 200]);
    if let Some(path) = std::env::args()
        .skip(1)
        .find(|arg| Path::new(arg).extension().is_some_and(|name| name == "jsonl"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        let events: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                Some(event(&[("text", line.get("text")?.as_str()?)], Kind::Prompt))
            })
            .collect();
        measure("file", &rules, &events);
    }
}
