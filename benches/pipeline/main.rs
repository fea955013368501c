//! `weir run` beside a bare transactional forward, on a real broker, in one run.
//!
//! The forward uses the same client library, settings, batch limits and number of lanes,
//! and writes as many records and bytes to the same topics as Weir was seen to write
//! (verdict, clean, audit, alert, state): copies of Weir's own outputs, so that they
//! compress alike. What is left between the two is Weir's own work. Both sides drain the
//! same backlog for the rate, and then get the same open load at half of Weir's rate for
//! the latency, which counts from the instant at which an event was due to be sent, so
//! that a stall costs what it costs (no coordinated omission).
//!
//! `make bench` starts the broker and runs this. Settings by environment: `BENCH_EVENTS`
//! (default 300000), `BENCH_LANES` (1), `BENCH_SECONDS` of offered load (15), `BENCH_RATE`: only
//! the latency, at so many events a second.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are printed")]

#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/kafka/broker.rs"]
mod broker;
#[path = "../../tests/kafka/events.rs"]
mod events;
mod forward;
mod load;
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/kafka/process.rs"]
mod process;
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/kafka/records.rs"]
mod records;
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/kafka/site.rs"]
mod site;

use std::time::Duration;

use broker::Broker;
use forward::{Forward, Shape};
use load::Latency;
use process::Weir;
use site::Site;

/// One side's way to start and stop.
enum Party<'a> {
    Weir,
    Forward(&'a Shape),
}

/// What is still running.
enum Running {
    Weir(Weir),
    Forward(Forward),
}

impl Party<'_> {
    fn start(&self, site: &Site, lanes: usize) -> Running {
        match self {
            Self::Weir => Running::Weir(site.start_ready()),
            Self::Forward(shape) => Running::Forward(Forward::start(site, shape, lanes)),
        }
    }
}

impl Running {
    fn stop(self) {
        match self {
            Self::Weir(weir) => weir.terminate(),
            Self::Forward(forward) => forward.stop(),
        }
    }
}

struct Bench {
    broker: Broker,
    events: usize,
    lanes: usize,
    seconds: u64,
    /// Only the latency at this rate.
    offered: Option<f64>,
}

fn main() {
    // `cargo test --benches` would run it without the arguments of a benchmark.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let bench = Bench {
        broker: Broker::shared(),
        events: number("BENCH_EVENTS", 300_000),
        lanes: number("BENCH_LANES", 1),
        seconds: number("BENCH_SECONDS", 15) as u64,
        offered: std::env::var("BENCH_RATE").ok().map(|text| text.parse().expect("a number")),
    };
    println!(
        "{} events of 1 KB, 12 partitions, 60 agents, {} lane(s), exactly once; {} cores, shared with the broker",
        bench.events,
        bench.lanes,
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get)
    );
    bench.run();
}

impl Bench {
    fn run(&self) {
        let site = self.site("bench-weir");
        let bytes = load::fill(&site, self.events);
        println!("input: {:.0} bytes an event", bytes as f64 / self.events as f64);
        let (weir, weir_rate) = self.drain(&site, &Party::Weir);
        if let Running::Weir(weir) = &weir {
            print_profile(weir, weir_rate);
        }
        weir.stop();
        let shape = Shape::of(&site, self.events);
        println!("outputs of an event, as seen:\n{shape}");
        drop(site);

        if let Some(offered) = self.offered {
            self.latencies(&shape, offered);
            return;
        }
        let full = self.rate("bench-full", &Party::Forward(&shape));
        let one = self.rate("bench-one", &Party::Forward(&shape.only(&["clean"])));
        println!("\nrate, events/s");
        println!("  weir run                                     {weir_rate:>9.0}");
        println!(
            "  bare forward, the same records and bytes     {full:>9.0}   ratio {:.2}",
            weir_rate / full
        );
        println!(
            "  bare forward, one in, one out                {one:>9.0}   ratio {:.2}",
            weir_rate / one
        );

        println!("\nwhat outputs cost, by the bare forward, µs an event");
        let mut before = None;
        let mut topics = Vec::new();
        for topic in ["clean", "verdicts", "audit", "state", "alerts"] {
            topics.push(topic);
            let part = shape.only(&topics);
            let rate = self.rate("bench-part", &Party::Forward(&part));
            let cost = 1e6 / rate;
            let more = before.map_or(cost, |before| cost - before);
            println!(
                "  + {topic:<9} {more:>6.2}   ({:.2} records, {:.0} bytes an event)",
                shape.records(topic),
                shape.bytes(topic)
            );
            before = Some(cost);
        }

        self.latencies(&shape, weir_rate.min(full) / 2.0);
        println!(
            "\ncommand: make bench (BENCH_EVENTS={} BENCH_LANES={} BENCH_SECONDS={})",
            self.events, self.lanes, self.seconds
        );
    }

    /// Both sides under the same open load.
    fn latencies(&self, shape: &Shape, offered: f64) {
        println!(
            "\nlatency at {offered:.0} events/s offered for {} s, ms, due-to-send to verdict read",
            self.seconds
        );
        let bare = self.latency("bench-lf", &Party::Forward(shape), offered);
        let weir = self.latency("bench-lw", &Party::Weir, offered);
        println!("  {:<14} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "p50", "p90", "p99", "p99.9", "max");
        println!("  {:<14} {bare}", "bare forward");
        println!("  {:<14} {weir}", "weir run");
        println!("  medians by second: forward {}", bare.by_second());
        println!("                     weir {}", weir.by_second());
        println!(
            "  added: p50 {:.1} ms, p99 {:.1} ms",
            weir.percentile(50.0) - bare.percentile(50.0),
            weir.percentile(99.0) - bare.percentile(99.0)
        );
    }

    fn site(&self, name: &str) -> Site {
        Site::new(&self.broker, name, 12).lanes(self.lanes)
    }

    /// Starts a side on a filled site and waits until it has done everything; its rate.
    fn drain(&self, site: &Site, party: &Party<'_>) -> (Running, f64) {
        let running = party.start(site, self.lanes);
        let rate = load::rate(site, self.events);
        (running, rate)
    }

    fn rate(&self, name: &str, party: &Party<'_>) -> f64 {
        let site = self.site(name);
        load::fill(&site, self.events);
        let (running, rate) = self.drain(&site, party);
        running.stop();
        rate
    }

    fn latency(&self, name: &str, party: &Party<'_>, offered: f64) -> Latency {
        let site = self.site(name);
        let running = party.start(&site, self.lanes);
        std::thread::sleep(Duration::from_secs(3));
        let latency = load::offer(&site, offered, Duration::from_secs(self.seconds));
        running.stop();
        latency
    }
}

/// Where the time of an event goes, by Weir's own clocks.
fn print_profile(weir: &Weir, rate: f64) {
    let mean = |name: &str| {
        let count = weir.metric(&format!("{name}_count"), &[]);
        (weir.metric(&format!("{name}_sum"), &[]) / count.max(1.0), count)
    };
    let events = weir.metric("weir_events_total", &[]).max(1.0);
    let (inspect, _) = mean("weir_inspect_seconds");
    let (transaction, batches) = mean("weir_transaction_seconds");
    println!("\nweir run: {:.2} µs an event, of which", 1e6 / rate);
    println!("  scan and decide      {:>7.2} µs", inspect * 1e6);
    println!(
        "  the commit call      {:>7.2} µs ({batches:.0} batches of {:.0} events)",
        transaction * batches / events * 1e6,
        events / batches.max(1.0)
    );
    println!(
        "  state                {:>7.2} records, {:.0} bytes an event",
        weir.metric("weir_state_records_total", &[]) / events,
        weir.metric("weir_state_bytes_total", &[]) / events
    );
}
