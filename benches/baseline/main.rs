//! What one event costs the behaviour baselines, and what agents take.
//!
//! `cargo bench --bench baseline` runs three parts: the judgement alone over many agents at
//! random, so that profiles come from memory and not from a cache; the same with profiles read
//! from a partition's state, judged and written back in batches, as the pipeline does it; and
//! the restore of a partition's agents from its changelog, with the memory that they then take.
//! Arguments: agents and events of the first part, agents of the others.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weir::baseline::{Class, Observation, Profile, Settings, name, observe};
use weir::event::Millis;
use weir::inspect::profile_key;
use weir::state::{Partition, Staged};

const START: i64 = 1_767_571_200_000;
/// Events that are timed together: a clock read costs as much as a small part of an event.
const BATCH: usize = 16;

/// Events of one batch of the pipeline.
const COMMITTED: usize = 2_000;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let agents = numbers.next().unwrap_or(100_000);
    let events = numbers.next().unwrap_or(4_000_000);
    let kept = numbers.next().unwrap_or(1_000_000);
    judged(agents, events);
    let mut partition = restored(kept);
    committed(&mut partition, kept, events / 20);
}

/// A cheap source of numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An event of a random agent: a call, or what it returned.
    fn event(&mut self, agents: usize, tools: &[u32], ts: i64) -> (usize, Observation) {
        let n = self.next();
        let call = n & 1 == 0;
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
        ((n >> 16) as usize % agents, seen)
    }
}

fn tools() -> Vec<u32> {
    (0..12).map(|n| name(&format!("tool{n}"))).collect()
}

/// The judgement alone.
fn judged(agents: usize, events: usize) {
    let settings = Settings::default();
    let mut class = Class::default();
    let mut profiles: Vec<Profile> = (0..agents).map(|_| Profile::new(Millis(START))).collect();
    let (tools, mut random) = (tools(), Random(0x9e37_79b9_7f4a_7c15));
    // Twelve events of each agent in an hour, as in simulated traffic.
    let step = 3_600_000.0 / 12.0 / agents as f64;
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are supported");
    let begun = Instant::now();
    let mut told = 0_u64;
    for batch in 0..events / BATCH {
        let seen: [(usize, Observation); BATCH] = std::array::from_fn(|at| {
            let ts = START + ((batch * BATCH + at) as f64 * step) as i64;
            random.event(agents, &tools, ts)
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
    println!("judgement alone, {agents} agents, {events} events in {seconds:.2} s");
    println!(
        "  ns an event          p50 {} p99 {}",
        histogram.value_at_quantile(0.5),
        histogram.value_at_quantile(0.99)
    );
    println!("  bytes an agent       {} in memory, {} in state", size_of::<Profile>(), bytes.len());
    println!("  events told          {told}");
}

/// A partition as a lane has it after an assignment.
fn restored(agents: usize) -> Partition {
    const AT_ONCE: usize = 10_000;
    let settings = Settings::default();
    let (tools, mut random) = (tools(), Random(7));
    let empty = Partition::default();
    let mut partition = Partition::default();
    let before = resident();
    let mut took = Duration::ZERO;
    for from in (0..agents).step_by(AT_ONCE) {
        let mut staged = Staged::new(&empty);
        let mut class = Class::default();
        for agent in from..(from + AT_ONCE).min(agents) {
            let mut profile = Box::new(Profile::new(Millis(START)));
            for hour in 0..3 {
                let (_, seen) = random.event(1, &tools, START + hour * 3_600_000);
                observe(&settings, &mut class, &mut profile, &seen);
            }
            let key = profile_key("tenant", &format!("agent-{agent}"));
            staged.keep(key, profile, Some(Millis(START + 60 * 86_400_000)));
        }
        let records: Vec<_> = staged.into_changes().records().collect();
        let begun = Instant::now();
        for (key, value) in &records {
            partition.restore(key, value.as_deref()).expect("its own records");
        }
        took += begun.elapsed();
    }
    println!("restore of {} agents", partition.len());
    println!("  seconds              {:.2}", took.as_secs_f64());
    if let Some((before, after)) = before.zip(resident()) {
        println!("  memory               {:.2} GB", after.saturating_sub(before) as f64 / 1e9);
    }
    partition
}

/// Bytes of memory that the process has.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Profiles read from state, judged, written back.
fn committed(partition: &mut Partition, agents: usize, events: usize) {
    let settings = Settings::default();
    let mut class = Class::default();
    let (tools, mut random) = (tools(), Random(11));
    let deadline = Some(Millis(START + 60 * 86_400_000));
    let first = START + 4 * 3_600_000;
    let mut took = Duration::ZERO;
    let mut written = 0;
    for batch in 0..events / COMMITTED {
        let seen: Vec<_> = (0..COMMITTED)
            .map(|at| {
                let ts = first + (batch * COMMITTED + at) as i64;
                let (agent, seen) = random.event(agents, &tools, ts);
                (profile_key("tenant", &format!("agent-{agent}")), seen)
            })
            .collect();
        let begun = Instant::now();
        let mut staged = Staged::new(partition);
        for (key, seen) in seen {
            let mut profile = staged.take(&key, Profile::read).expect("every agent is restored");
            observe(&settings, &mut class, &mut profile, &seen);
            staged.keep(key, profile, deadline);
        }
        let changes = staged.into_changes();
        written += changes
            .records()
            .map(|(key, value)| key.len() + value.map_or(0, |value| value.len()))
            .sum::<usize>();
        partition.apply(changes);
        took += begun.elapsed();
    }
    println!("with state, {agents} agents, {events} events in batches of {COMMITTED}");
    println!("  ns an event          {}", took.as_nanos() / events.max(1) as u128);
    println!("  changelog            {} bytes an event", written / events.max(1));
}
