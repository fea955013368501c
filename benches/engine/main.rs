//! How fast the engine is over the shipped packs, beside what others do, and what Vectorscan
//! loses when it is asked directly.
//!
//! `cargo bench --bench engine` prints all of it; `-- pass`, `-- baselines`, `-- candidates` or
//! `-- raw` one part. Figures are times on the processor, so that a busy machine counts less.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod baselines;
#[cfg(feature = "vectorscan")]
mod raw;
mod texts;

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir::engine::{Engine, Kind, Plan, Spec};
use weir::patterns;

/// Each figure is the median of so many runs; the best is printed beside it.
const RUNS: usize = 15;

fn main() {
    let part = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let specs = specs();
    let texts = texts::chat(2_000, 1024, 1);
    let bytes: usize = texts.iter().map(Vec::len).sum();
    println!(
        "{} expressions of the shipped packs; {} texts, {bytes} bytes",
        specs.len(),
        texts.len()
    );
    if wanted("pass") {
        pass(&specs, &texts);
    }
    if wanted("baselines") {
        baselines::run(&specs, &texts);
    }
    if wanted("candidates") {
        candidates(&specs, &texts, Kind::Vectorscan);
        candidates(&specs, &texts, Kind::Rust);
    }
    #[cfg(feature = "vectorscan")]
    if wanted("raw") {
        raw::run();
    }
}

fn specs() -> Vec<Spec> {
    let pack = patterns::load(&patterns::builtin()).expect("the shipped packs load");
    let spec = |rule: &patterns::Rule, expr: &patterns::Expr| Spec {
        regex: expr.regex.clone(),
        max_len: expr.max_len,
        group: expr.group,
        words: rule.class == patterns::Class::Phrase,
    };
    pack.rules.iter().flat_map(|rule| rule.exprs.iter().map(move |expr| spec(rule, expr))).collect()
}

/// The texts through both engines.
fn pass(specs: &[Spec], texts: &[Vec<u8>]) {
    println!("\nthe whole set over every text, one core");
    for kind in [Kind::Vectorscan, Kind::Rust] {
        let Ok(engine) = Engine::compile(specs, kind) else { continue };
        let (compile, _) = measure(RUNS, || drop(black_box(Engine::compile(specs, kind))));
        println!("{}: compiles in {:.1} ms", engine.name(), compile.as_secs_f64() * 1e3);
        let mut scanner = engine.scanner();
        let mut found = Vec::new();
        report(&format!("{}: first pass alone", engine.name()), texts, RUNS, |text| {
            black_box(scanner.candidates(text).map(<[_]>::len)).expect("few candidates");
        });
        report(&format!("{}: first pass and confirmation", engine.name()), texts, RUNS, |text| {
            scanner.matches(text, &mut found).expect("few candidates");
            black_box(&found);
        });
    }
}

/// Which expressions name how many places, and how many of them are matches.
fn candidates(specs: &[Spec], texts: &[Vec<u8>], kind: Kind) {
    let Ok(engine) = Engine::compile(specs, kind) else { return };
    println!("\n{}: candidates a KB (matches a KB), the most frequent", engine.name());
    let mut scanner = engine.scanner();
    let mut counts = vec![(0_usize, 0_usize); specs.len()];
    let mut found = Vec::new();
    for text in texts {
        for candidate in scanner.candidates(text).expect("few candidates") {
            counts[candidate.spec as usize].0 += 1;
        }
        scanner.matches(text, &mut found).expect("few candidates");
        for one in &found {
            counts[one.spec as usize].1 += 1;
        }
    }
    let bytes: usize = texts.iter().map(Vec::len).sum();
    let a_kb = |count: usize| count as f64 * 1024.0 / bytes as f64;
    println!("{:9.3} in all", a_kb(counts.iter().map(|count| count.0).sum()));
    let mut order: Vec<usize> = (0..specs.len()).filter(|at| counts[*at].0 > 0).collect();
    order.sort_by_key(|at| std::cmp::Reverse(counts[*at]));
    for at in order.into_iter().take(12) {
        let (places, matches) = counts[at];
        println!("{:9.3} ({:6.3})  {:.90}", a_kb(places), a_kb(matches), specs[at].regex);
    }
    let everywhere =
        || specs.iter().zip(engine.plans()).filter(|(_, plan)| **plan == Plan::Everywhere);
    println!("run over every text, without a first pass: {}", everywhere().count());
    for (spec, _) in everywhere() {
        println!("    {:.120}", spec.regex);
    }
}

/// Runs over all texts and prints the rate.
fn report(name: &str, texts: &[Vec<u8>], runs: usize, mut one: impl FnMut(&[u8])) {
    let (median, best) = measure(runs, || texts.iter().for_each(|text| one(text)));
    let bytes: usize = texts.iter().map(Vec::len).sum();
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{name:44} {:8.1} MB/s (best {:8.1})  {:8.2} us a text",
        rate(median),
        rate(best),
        median.as_secs_f64() * 1e6 / texts.len() as f64
    );
}

/// Median and least time on the processor.
fn measure(runs: usize, mut run: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let (clock, start) = (Instant::now(), on_processor());
            run();
            let wall = clock.elapsed();
            start.zip(on_processor()).map_or(wall, |(start, end)| end.saturating_sub(start))
        })
        .collect();
    times.sort();
    (times[times.len() / 2], times[0])
}

/// What this thread has had of the processor; `None` where the system does not say.
fn on_processor() -> Option<Duration> {
    // The kernel brings the figure up to date when the thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
