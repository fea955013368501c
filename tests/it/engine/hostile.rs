//! Texts made to cost time, and repeats made to be lost.

use std::time::{Duration, Instant};

use weir::engine::{Engine, Kind, Spec};

use super::random::Samples;
use super::{Definition, agree, kinds, same, specs};

/// Far above what linear work takes on a slow machine, far below what quadratic work takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A megabyte in which the first pass finds something at every step and nothing matches.
#[test]
fn no_text_makes_the_windows_quadratic() {
    let cases: &[(&str, &[u8])] = &[
        ("qxz[a-z]{2,900}!", b"qxz"),
        ("qxz[a-z]*!", b"qxz"),
        ("[a-z]{1,900}@qz", b"a@q"),
        ("[a-z]+@q[0-9]", b"aa@q"),
        ("(?s)qxz.*?jk", b"qxz j"),
        ("qxz(?: ?[a-z]){3,200}[0-9]", b"qxz a"),
        ("(?:qxz|xzq|zqx)[a-z]{0,400}7", b"qxz"),
    ];
    for (regex, step) in cases {
        let specs = specs(&[*regex]);
        let text = step.repeat((1 << 20) / step.len());
        for kind in kinds() {
            let engine = Engine::compile(&specs, *kind).unwrap();
            let mut found = Vec::new();
            let start = Instant::now();
            let mut scanner = engine.scanner().with_limit(usize::MAX);
            scanner.matches(&text, &mut found).unwrap();
            assert!(
                start.elapsed() < PATIENCE,
                "{} took {:?} over {regex}",
                engine.name(),
                start.elapsed()
            );
            assert_eq!(found, [], "{regex}");
        }
    }
}

/// Unbounded repeats, case folded, are what Vectorscan loses when it is given them
/// (`cargo bench --bench engine -- raw` counts how many). The engine gives it none.
#[test]
fn unbounded_repeats_lose_nothing() {
    let regexes = ["(?i)x=[^\n]*;y", "(?s)qA.*Bz", "(?i)key=[a-z]+;", "begin(?:.|\n)*?end"];
    let specs: Vec<Spec> = specs(&regexes);
    let engines: Vec<Engine> =
        kinds().iter().map(|kind| Engine::compile(&specs, *kind).unwrap()).collect();
    let definition = Definition::of(&specs);
    let mut samples = Samples::new(11);
    let mut all = 0;
    for _ in 0..2_000 {
        let mut text: Vec<u8> =
            (0..samples.below(90)).map(|_| b" \nxX=;yYABqzbegindk"[samples.below(19)]).collect();
        for regex in regexes {
            samples.plant(regex, &mut text);
        }
        let expected = definition.matches(&text);
        all += expected.len();
        for engine in &engines {
            same(engine, &specs, &text, &expected);
        }
    }
    assert!(all > 5_000, "only {all} matches were planted");
}

#[test]
fn every_byte_value_goes_through() {
    let text: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let found = agree(
        &specs(&[r"\x00\x01[\x02-\x7f]{4}", r"[\x80-\xff]{3}\x83", r"[^\x00-\xfd]{2}\x00"]),
        &text,
    );
    assert!(found.len() > 6);
    // What Vectorscan would read as syntax, as text.
    agree(&specs(&[r"\[a\]\{2\}\(\?#x\)", r"\^\$\|\\x41\*\+\?\."]), br"z[a]{2}(?#x) ^$|\x41*+?.");
}

#[test]
fn kinds_are_what_they_say() {
    let engine = Engine::compile(&specs(&["qxz"]), Kind::Auto).unwrap();
    assert_eq!(engine.name(), if cfg!(feature = "vectorscan") { "vectorscan" } else { "rust" });
    assert_eq!(Engine::compile(&specs(&["qxz"]), Kind::Rust).unwrap().name(), "rust");
    assert_eq!(
        Engine::compile(&specs(&["qxz"]), Kind::Vectorscan).is_ok(),
        cfg!(feature = "vectorscan")
    );
}
