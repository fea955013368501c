//! The shipped packs, rule by rule: what the first pass names holds every exact match.

use weir::engine::{Engine, Plan, Spec};
use weir::patterns;

use super::random::Samples;
use super::{Definition, kinds};

/// Every expression of the pack, with the id of its rule.
fn shipped() -> (Vec<String>, Vec<Spec>) {
    let pack = patterns::load(&patterns::builtin()).unwrap();
    let each = pack.rules.iter().flat_map(|rule| {
        rule.exprs.iter().map(|expr| {
            let spec = Spec {
                regex: expr.regex.clone(),
                max_len: expr.max_len,
                group: expr.group,
                words: rule.class == patterns::Class::Phrase,
            };
            (rule.source.rule.clone(), spec)
        })
    });
    each.unzip()
}

/// Words and characters that stand around a match in real text.
const NOISE: &[&str] = &[
    " ", "\n", "the", "a1b2c3", "=", ": ", "\"", "key", "_", "-", ".", "@", "4111", "é",
    "\u{200b}", "ignore", "0", "/",
];

/// Texts made of the expression's own samples, whole, cut, changed and doubled, with noise between.
fn texts(samples: &mut Samples, regex: &str, other: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..samples.below(12) {
        text.extend_from_slice(NOISE[samples.below(NOISE.len())].as_bytes());
    }
    samples.plant(other, &mut text);
    samples.plant(regex, &mut text);
    // Most shapes want an edge, of a word or a line: one sample stands alone.
    let edge = [b' ', b'\n'][samples.below(2)];
    let mut alone = vec![edge];
    samples.sample_of(regex, &mut alone);
    alone.push(edge);
    let at = samples.below(text.len() + 1);
    text.splice(at..at, alone);
    text
}

#[test]
fn each_rule_is_found_exactly_and_within_its_candidates() {
    let (rules, specs) = shipped();
    let definition = Definition::of(&specs);
    for kind in kinds() {
        let engine = Engine::compile(&specs, *kind).unwrap();
        let mut scanner = engine.scanner();
        let mut samples = Samples::new(3);
        let mut found = Vec::new();
        let mut silent = Vec::new();
        for (at, one) in specs.iter().enumerate() {
            let spec = at as u32;
            let mut matches = 0;
            for _ in 0..16 {
                let other = &specs[samples.below(specs.len())].regex;
                let text = texts(&mut samples, &one.regex, other);
                let expected = definition.matches_of(spec, &text);
                matches += expected.len();
                scanner.matches_where(&text, |one| one == spec, &mut found).unwrap();
                let shown =
                    || format!("{}: {} in {}", engine.name(), rules[at], text.escape_ascii());
                assert_eq!(found, expected, "{}", shown());
                if engine.plans()[at] != Plan::Everywhere {
                    let places = scanner.candidates(&text).unwrap();
                    for one in &expected {
                        let named = places.iter().any(|place| {
                            place.spec == spec && (place.from..=place.to).contains(&one.start)
                        });
                        assert!(named, "{}", shown());
                    }
                }
            }
            if matches == 0 {
                silent.push(rules[at].as_str());
            }
        }
        assert!(silent.is_empty(), "samples of these rules never match: {silent:?}");
    }
}

#[test]
fn all_rules_at_once_are_each_rule_alone() {
    let (_, specs) = shipped();
    let definition = Definition::of(&specs);
    let mut samples = Samples::new(5);
    let engines: Vec<Engine> =
        kinds().iter().map(|kind| Engine::compile(&specs, *kind).unwrap()).collect();
    for _ in 0..60 {
        let mut text = b"Some text to begin with. ".to_vec();
        for _ in 0..6 {
            let (one, other) = (samples.below(specs.len()), samples.below(specs.len()));
            let more = texts(&mut samples, &specs[one].regex, &specs[other].regex);
            text.extend(more);
        }
        let expected = definition.matches(&text);
        for engine in &engines {
            super::same(engine, &[], &text, &expected);
        }
    }
}

/// A pack that takes over what another has: rules gone, new, changed and elsewhere in the order.
#[test]
fn a_pack_compiled_after_another_is_the_pack_compiled_anew() {
    let (_, specs) = shipped();
    let mut other: Vec<Spec> = specs.iter().step_by(3).cloned().collect();
    other.rotate_left(7);
    other[0].regex.push_str("(?:x)?");
    let regex = "[0-9]{6}-[0-9]{2}x?".to_owned();
    other.push(Spec { regex, max_len: 10, group: 0, words: false });
    let engines: Vec<Engine> =
        kinds().iter().map(|kind| Engine::compile(&specs, *kind).unwrap()).collect();
    let mut samples = Samples::new(11);
    for (kind, earlier) in kinds().iter().flat_map(|kind| engines.iter().map(move |of| (kind, of)))
    {
        let between = Engine::compile_after(other.clone(), *kind, Some(earlier)).unwrap();
        let again = Engine::compile_after(specs.clone(), *kind, Some(&between)).unwrap();
        for (after, specs) in [(&between, &other), (&again, &specs)] {
            let anew = Engine::compile(specs, *kind).unwrap();
            assert_eq!(after.plans(), anew.plans());
            assert_eq!((after.name(), after.shortest()), (anew.name(), anew.shortest()));
            let mut scanners = (after.scanner(), anew.scanner());
            for _ in 0..40 {
                let (one, other) = (samples.below(specs.len()), samples.below(specs.len()));
                let text = texts(&mut samples, &specs[one].regex, &specs[other].regex);
                assert_eq!(scanners.0.candidates(&text), scanners.1.candidates(&text));
                let (mut found, mut wanted) = (Vec::new(), Vec::new());
                scanners.0.matches(&text, &mut found).unwrap();
                scanners.1.matches(&text, &mut wanted).unwrap();
                assert_eq!(found, wanted);
            }
        }
    }
}
