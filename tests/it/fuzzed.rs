//! The bodies of the fuzz targets `events` and `rules` on their seeds and on bytes near them.

use std::path::Path;

use proptest::prelude::*;

mod events;
mod rules;

/// The seeds that the fuzzer begins with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A seed with some of its bytes changed, gone or doubled.
fn near_seed(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (prop::sample::select(seeds(target)), prop::collection::vec(change, 0..4)).prop_map(
        |(mut bytes, changes)| {
            for (at, with, how) in changes {
                let at = at.index(bytes.len().max(1));
                match how {
                    0 if at < bytes.len() => bytes[at] = with,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    2 => bytes.insert(at.min(bytes.len()), with),
                    _ => bytes.truncate(at.max(bytes.len() / 2)),
                }
            }
            bytes
        },
    )
}

#[test]
fn seeds_say_something() {
    for seed in seeds("events") {
        assert!(events::check(&seed), "no event: {}", String::from_utf8_lossy(&seed));
    }
    for seed in seeds("rules") {
        assert!(rules::check(&seed), "no rules: {}", String::from_utf8_lossy(&seed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn events_of_any_bytes_are_edited_whole(bytes in near_seed("events")) {
        events::check(&bytes);
    }

    #[test]
    fn rules_of_any_bytes_load_or_say_why(bytes in near_seed("rules")) {
        rules::check(&bytes);
    }
}
