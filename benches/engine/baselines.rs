//! What others do with the same rules: a keyword gate before each rule's own regex, and one `RegexSet`.

use std::hint::black_box;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use weir::engine::{Engine, Kind, Plan, Spec};

use super::report;

/// These take long: fewer texts and runs than the engine gets.
const TEXTS: usize = 100;
const RUNS: usize = 3;

pub(super) fn run(specs: &[Spec], texts: &[Vec<u8>]) {
    println!("\nthe same rules as others run them, over the first {TEXTS} texts");
    let texts = &texts[..TEXTS];
    let regexes: Vec<Regex> = specs
        .iter()
        .map(|spec| {
            RegexBuilder::new(&spec.regex).unicode(false).build().expect("the rule compiles")
        })
        .collect();

    let gate = Gate::new(specs);
    report("keyword gate, then each rule's regex", texts, RUNS, |text| {
        for spec in gate.open(text) {
            black_box(regexes[spec].find_iter(text).count());
        }
    });
    report("each rule's regex", texts, RUNS, |text| {
        for regex in &regexes {
            black_box(regex.find_iter(text).count());
        }
    });
    let set: Result<RegexSet, _> = RegexSetBuilder::new(specs.iter().map(|spec| &spec.regex))
        .unicode(false)
        .size_limit(1 << 30)
        .build();
    match set {
        Ok(set) => report("RegexSet (which rules, not where)", &texts[..TEXTS / 10], 1, |text| {
            black_box(set.matches(text).iter().count());
        }),
        Err(error) => println!("RegexSet: {error}"),
    }
}

/// Keywords of all rules in one automaton; a rule is run when one of its own is in the text.
struct Gate {
    automaton: AhoCorasick,
    owners: Vec<usize>,
    ungated: Vec<usize>,
    rules: usize,
}

impl Gate {
    /// The Rust engine's keywords: the best that can be had from the expressions themselves.
    fn new(specs: &[Spec]) -> Self {
        let engine = Engine::compile(specs, Kind::Rust).expect("the rules compile");
        let (mut words, mut owners, mut ungated) = (Vec::new(), Vec::new(), Vec::new());
        for (rule, plan) in engine.plans().iter().enumerate() {
            match plan {
                Plan::Gated(texts) if texts.iter().all(|text| !text.contains('\\')) => {
                    owners.extend(texts.iter().map(|_| rule));
                    words.extend(texts);
                }
                Plan::Gated(_) | Plan::Everywhere => ungated.push(rule),
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&words)
            .expect("keywords compile");
        Self { automaton, owners, ungated, rules: specs.len() }
    }

    fn open(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let mut open = vec![false; self.rules];
        self.ungated.iter().for_each(|rule| open[*rule] = true);
        for found in self.automaton.find_overlapping_iter(text) {
            open[self.owners[found.pattern().as_usize()]] = true;
        }
        open.into_iter().enumerate().filter(|(_, open)| *open).map(|(rule, _)| rule)
    }
}
