//! A saturated classifier beside events that it is not asked about: their latency with it and without.
//!
//! Two partitions of a log in memory, a lane each, with the shipped rules and policy. One gets
//! prompts, each a new text, far more than the model can score in time; the other gets answers,
//! which are not scored. What is measured is the time from an answer's append to the commit of
//! its verdict, at a fixed rate that does not wait for verdicts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weir::classify::{Settings, When};
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::finding::Scoring;
use weir::pipeline::asking::Asking;
use weir::pipeline::control::Board;
use weir::pipeline::log::{Now, Topic};
use weir::pipeline::memory::{self, Cluster};
use weir::pipeline::run::{Pack, Site, run};
use weir::pipeline::step::Step;
use weir::policy::Orders;

use crate::{microseconds, open, text};

/// Prompts a second.
const PROMPTS: u64 = 400;
/// Answers a second.
const ANSWERS: u64 = 200;
/// What one run lasts, and what of its beginning does not count.
const LASTS: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// Runs of each kind, in turn.
const RUNS: usize = 5;
/// The shipped deadline.
const DEADLINE: Duration = Duration::from_millis(15);

/// What one run came to.
struct Ran {
    took: Histogram<u64>,
    /// Prompts that were scored, scored in part, shed.
    scored: [u64; 3],
    windows: u64,
}

pub(crate) fn beside(settings: &Settings) {
    println!(
        "\na saturated classifier: {PROMPTS} new prompts of 60 words a second on one partition, {ANSWERS} answers a second, \
         not scored, on another; {RUNS} runs of {} s each, in turn",
        LASTS.as_secs()
    );
    println!("classifier  answers p50 ms  p99 ms  prompts scored/partial/shed  windows/s");
    let mut all: [Vec<(f64, f64)>; 2] = Default::default();
    for turn in 0..2 * RUNS {
        let is_on = turn % 2 == 1;
        let ran = ran(settings, is_on, turn);
        let at = |quantile| ran.took.value_at_quantile(quantile) as f64 / 1e3;
        let [scored, partial, shed] = ran.scored;
        println!(
            "{:>10} {:>15.2} {:>7.2} {:>28} {:>10.0}",
            if is_on { "on" } else { "off" },
            at(0.5),
            at(0.99),
            format!("{scored}/{partial}/{shed}"),
            ran.windows as f64 / LASTS.as_secs_f64()
        );
        all[usize::from(is_on)].push((at(0.5), at(0.99)));
    }
    let median = |runs: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        let mut sorted: Vec<f64> = runs.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let [off, on] = &all;
    for (name, of) in
        [("p50", (|run| run.0) as fn(&(f64, f64)) -> f64), ("p99", |run: &(f64, f64)| run.1)]
    {
        let (off, on) = (median(off, of), median(on, of));
        println!(
            "{name}: {off:.2} ms without, {on:.2} ms with it: {:+.1}%",
            (on / off - 1.0) * 100.0
        );
    }
}

fn ran(settings: &Settings, is_on: bool, turn: usize) -> Ran {
    let now: Now = Arc::new(weir::clock::now);
    let of_log = memory::Settings { partitions: 2, ..memory::Settings::default() };
    let cluster = Cluster::new(of_log, Arc::clone(&now));
    let set = weir::patterns::load(&weir::patterns::builtin()).expect("the shipped pack loads");
    let hash = set.hash.clone();
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Auto)
        .expect("the shipped pack compiles");
    rules.warm(|| true).expect("the shipped pack compiles");
    // 0 partitions: which agent leads where does not matter here.
    let step = Step::new("weir.events", 0, hash);
    let mut site = Site::new(Pack { rules, step }, now);
    site.lanes = 2;
    site.board = Board::fixed(Orders::default());
    site.asking = is_on.then(|| Asking::new(open(settings), When::Untrusted, DEADLINE, false));
    let produce = |partition: i32, number: usize| {
        let (kind, agent) = if partition == 0 { ("prompt", "asked") } else { ("output", "told") };
        let body = text(60, turn * 1_000_000 + number);
        let event = serde_json::json!({"v": 1, "id": format!("{partition}-{number}"), "kind": kind,
            "ts": weir::clock::now().0, "agent": {"id": agent}, "session": "s", "text": body});
        let (key, value) = (agent.as_bytes().to_vec(), event.to_string().into_bytes());
        cluster.produce(Topic::Events, partition, Some(key), Some(value), Vec::new());
    };
    let ready = || {
        let lanes = site.metrics.lanes();
        lanes.values().map(|lane| lane.partitions).sum::<usize>() == 2 && site.metrics.ready(2)
    };
    let mut ran = Ran { took: microseconds(), scored: [0; 3], windows: 0 };
    std::thread::scope(|scope| {
        let lanes = scope.spawn(|| run(&cluster, &site, Box::new(|_| None)));
        while !ready() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let began = Instant::now();
        let offer = |partition: i32, rate: u64| {
            let produce = &produce;
            scope.spawn(move || {
                let mut due = Vec::new();
                for number in 0..rate * LASTS.as_secs() {
                    let at = began + Duration::from_nanos(number * 1_000_000_000 / rate);
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    produce(partition, number as usize);
                    due.push(at);
                }
                due
            })
        };
        let prompts = offer(0, PROMPTS);
        let answers = offer(1, ANSWERS);
        let count = (ANSWERS * LASTS.as_secs()) as usize;
        let mut seen = Vec::with_capacity(count);
        let mut from = 0;
        while seen.len() < count {
            let version = cluster.version();
            let (read, next) = cluster.read(Topic::Verdicts, 1, from, usize::MAX);
            from = next;
            seen.extend(read.iter().map(|_| Instant::now()));
            cluster.wait(version, Duration::from_millis(50));
        }
        let due = answers.join().expect("the sender does not panic");
        for (due, seen) in due.iter().zip(seen) {
            if due.duration_since(began) >= WARM_UP {
                ran.took.saturating_record(seen.duration_since(*due).as_micros() as u64);
            }
        }
        prompts.join().expect("the sender does not panic");
        site.stop.store(true, Ordering::Relaxed);
        lanes.join().expect("lanes do not panic");
    });
    if let Some(asking) = &site.asking {
        ran.scored = [Scoring::Scored, Scoring::Partial, Scoring::Shed].map(|one| asking.seen(one));
        ran.windows = asking.classifier().counters().windows;
    }
    ran
}
