//! What one event costs the behaviour baselines, and what one agent takes.
//!
//! `cargo bench --bench baseline` runs the hot path over many agents at random, so that
//! profiles come from memory and not from a cache, and prints percentiles and bytes.
//! Arguments: number of agents, number of events.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::Instant;

use hdrhistogram::Histogram;
use weir::baseline::{Class, Observation, Profile, Settings, name, observe};
use weir::event::Millis;

const START: i64 = 1_767_571_200_000;
/// Events that are timed together: a clock read costs as much as a small part of an event.
const BATCH: usize = 16;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let agents = numbers.next().unwrap_or(100_000);
    let events = numbers.next().unwrap_or(4_000_000);
    let settings = Settings::default();
    let mut class = Class::default();
    let mut profiles: Vec<Profile> = (0..agents).map(|_| Profile::new(Millis(START))).collect();
    let tools: Vec<u32> = (0..12).map(|n| name(&format!("tool{n}"))).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    // Two days of event time, however many events there are.
    let step = 2.0 * 86_400_000.0 / events as f64;
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are supported");
    let begun = Instant::now();
    let mut told = 0_u64;
    for batch in 0..events / BATCH {
        let seen: [(usize, Observation); BATCH] = std::array::from_fn(|at| {
            let n = next();
            let ts = START + ((batch * BATCH + at) as f64 * step) as i64;
            let call = n & 1 == 0;
            let agent = (n >> 16) as usize % agents;
            let seen = Observation {
                ts: Millis(ts),
                now: Millis(ts),
                call,
                tool: tools[(n >> 4) as usize % tools.len()],
                session: (ts / 600_000) as u32 | 1,
                tokens: if call { 500 + (n >> 40) % 1000 } else { 0 },
                bytes: if call { 0 } else { 2000 + (n >> 40) % 9000 },
                cost: if call { 900 } else { 0 },
                latency_ms: call.then_some(700),
                error: (!call).then_some(n % 64 == 1),
                learn: true,
                ..Observation::default()
            };
            (agent, seen)
        });
        let from = Instant::now();
        for (agent, seen) in &seen {
            let said = observe(&settings, &mut class, &mut profiles[*agent], seen);
            told += u64::from(said.level.is_some());
        }
        let each = from.elapsed().as_nanos() as u64 / BATCH as u64;
        histogram.record(each.max(1)).expect("an auto-resizing histogram takes any value");
    }
    let mut bytes = Vec::new();
    profiles[0].write(&mut bytes);
    let seconds = begun.elapsed().as_secs_f64();
    println!("agents                 {agents}");
    println!("events                 {events} in {seconds:.2} s");
    println!(
        "ns an event            p50 {} p99 {}",
        histogram.value_at_quantile(0.5),
        histogram.value_at_quantile(0.99)
    );
    println!("bytes an agent         {} in memory, {} in state", size_of::<Profile>(), bytes.len());
    println!("events told            {told}");
}
