//! How fast one core finds what the shipped rules know: the whole scan, views and confirmation.
//!
//! `cargo bench --bench scan [-- FILE.jsonl]`; the file's `text` members are scanned each as
//! one event. Prints the best of many rounds, because the machine is rarely idle.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::{Carrier, Event, Field, Kind, Millis, Node, Place, RecordSpan, Segment};
use weir::patterns::{builtin, load};

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
    for (at, (key, text)) in fields.iter().enumerate() {
        event.nodes.push(Node { parent: None, segment: Segment::Key((*key).to_owned().into()) });
        event.fields.push(Field {
            node: at as u32,
            place: Place::Value,
            carrier: Carrier::of_kind(kind),
            text: (*text).to_owned().into(),
            token: RecordSpan::default(),
        });
    }
    event
}

fn measure(name: &str, rules: &Rules, events: &[Event<'_>]) {
    let mut scratch = rules.scratch();
    let bytes: usize =
        events.iter().flat_map(|event| &event.fields).map(|field| field.text.len()).sum();
    let mut best = Duration::MAX;
    let mut findings = 0;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let begin = Instant::now();
        findings = events.iter().map(|event| black_box(scratch.scan(event)).findings.len()).sum();
        best = best.min(begin.elapsed());
    }
    println!(
        "{name:<22} {:>8.1} MB/s {:>9.2} us/event {findings:>7} findings in {} events",
        bytes as f64 / best.as_secs_f64() / 1e6,
        best.as_secs_f64() * 1e6 / events.len() as f64,
        events.len(),
    );
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
    if let Some(path) = std::env::args().skip(1).find(|arg| !arg.starts_with("--")) {
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
