//! The bodies of the fuzz targets on what the fuzzer has found, and on bytes near it.
//!
//! Some cases of each; with `FUZZ_SECONDS` as many as fit into so many seconds, each time others.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::views::bytes as views;

mod engine;
mod events;
mod rules;

/// Cases of one target, where no time is set.
const CASES: u32 = 64;

/// The inputs that the fuzzer begins with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A seed with some of its bytes changed, gone or doubled, or with the end of another one.
fn near(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..5_u8);
    let changes = prop::collection::vec(change, 0..4);
    (prop::sample::select(seeds.clone()), prop::sample::select(seeds), changes).prop_map(
        |(mut bytes, other, changes)| {
            for (at, with, how) in changes {
                let at = at.index(bytes.len().max(1));
                match how {
                    0 if at < bytes.len() => bytes[at] = with,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    2 => bytes.insert(at.min(bytes.len()), with),
                    3 => {
                        bytes.truncate(at);
                        bytes.extend(&other[other.len().min(at)..]);
                    }
                    _ => bytes.truncate(at.max(bytes.len() / 2)),
                }
            }
            bytes
        },
    )
}

/// Runs a body on all seeds, of which some must say something, and on what is near them.
#[expect(clippy::print_stdout, reason = "how many cases a time holds is worth knowing")]
fn fuzz(target: &str, check: impl Fn(&[u8]) -> bool) {
    let seeds = seeds(target);
    let telling = seeds.iter().filter(|seed| check(seed)).count();
    assert!(telling > 0, "no seed of `{target}` says anything");
    let seconds = std::env::var("FUZZ_SECONDS").map(|text| {
        Duration::from_secs(text.parse().expect("FUZZ_SECONDS is a number of seconds"))
    });
    let near = near(seeds);
    let began = Instant::now();
    let mut rounds = 0;
    loop {
        let config =
            ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        let ran = TestRunner::new(config).run(&near, |bytes| {
            check(&bytes);
            Ok(())
        });
        ran.unwrap_or_else(|failure| panic!("{target}: {failure}"));
        rounds += 1;
        if seconds.as_ref().map_or(true, |&seconds| began.elapsed() >= seconds) {
            break;
        }
    }
    println!("{target}: {} cases", rounds * CASES);
}

#[test]
fn both_engines_find_what_regex_finds_in_any_bytes() {
    fuzz("engine", engine::check);
}

#[test]
fn readings_of_any_bytes_lead_back_to_them() {
    fuzz("views", |bytes| {
        views::check(bytes);
        true
    });
}

#[test]
fn events_of_any_bytes_are_edited_whole() {
    fuzz("events", events::check);
}

#[test]
fn rules_of_any_bytes_load_or_say_why() {
    fuzz("rules", rules::check);
}
