//! Both engines against `regex`: the same matches at the same places, whatever the text.
//!
//! `regex::bytes` over the whole text is the definition. The corpus holds one line per thing
//! that went or might go wrong; the properties hold it for expressions and texts at random.

use proptest::prelude::*;
use weir::engine::{Engine, Kind, Match, Overflow, Spec};

mod corpus;
mod hostile;
mod packs;
mod random;

/// The engines of this build.
fn kinds() -> &'static [Kind] {
    if cfg!(feature = "vectorscan") { &[Kind::Rust, Kind::Vectorscan] } else { &[Kind::Rust] }
}

fn specs(regexes: &[&str]) -> Vec<Spec> {
    regexes
        .iter()
        .map(|regex| Spec { regex: (*regex).to_owned(), max_len: 64, group: 0, words: false })
        .collect()
}

/// The definition: `regex` over the whole text, spec by spec.
struct Definition(Vec<(regex::bytes::Regex, usize, bool)>);

impl Definition {
    fn of(specs: &[Spec]) -> Self {
        let compile =
            |regex| regex::bytes::RegexBuilder::new(regex).unicode(false).build().unwrap();
        Self(specs.iter().map(|spec| (compile(&spec.regex), spec.group, spec.words)).collect())
    }

    fn matches(&self, haystack: &[u8]) -> Vec<Match> {
        (0..self.0.len() as u32).flat_map(|spec| self.matches_of(spec, haystack)).collect()
    }

    fn matches_of(&self, spec: u32, haystack: &[u8]) -> Vec<Match> {
        let (regex, group, words) = &self.0[spec as usize];
        let found = |captures: &regex::bytes::Captures<'_>| {
            let whole = captures.get(0).unwrap();
            let group = captures.get(*group).unwrap_or(whole);
            let (start, end) = (whole.start(), whole.end());
            Match { spec, start, end, group_start: group.start(), group_end: group.end() }
        };
        if !words {
            return regex.captures_iter(haystack).map(|captures| found(&captures)).collect();
        }
        // Of words, what stands beside one finding may stand beside the next as well.
        let mut all = Vec::new();
        let mut from = 0;
        while let Some(captures) = regex.captures_at(haystack, from) {
            let one = found(&captures);
            from = one.group_end.max(one.start + 1);
            all.push(one);
            if from > haystack.len() {
                break;
            }
        }
        all
    }
}

/// Runs all engines over the text and compares them with the definition, which it returns.
#[track_caller]
fn agree(specs: &[Spec], haystack: &[u8]) -> Vec<Match> {
    let expected = Definition::of(specs).matches(haystack);
    for kind in kinds() {
        let engine = Engine::compile(specs, *kind).unwrap();
        same(&engine, specs, haystack, &expected);
    }
    expected
}

#[track_caller]
fn same(engine: &Engine, specs: &[Spec], haystack: &[u8], expected: &[Match]) {
    let mut found = Vec::new();
    engine.scanner().matches(haystack, &mut found).unwrap();
    assert_eq!(
        found,
        expected,
        "{} over {:?} in {:?}",
        engine.name(),
        specs.iter().map(|spec| &spec.regex).collect::<Vec<_>>(),
        haystack.escape_ascii().to_string()
    );
}

#[test]
fn words_share_what_stands_between_them() {
    let regex = r"(?:\b|_)(ab)(?:\b|_)".to_owned();
    let specs = [Spec { regex, max_len: 4, group: 1, words: true }];
    let found = agree(&specs, b"ab_ab_ab");
    let groups: Vec<_> = found.iter().map(|one| one.group_start).collect();
    assert_eq!(groups, [0, 3, 6]);
}

#[test]
fn a_full_buffer_is_said_and_never_passed_over() {
    let specs = specs(&["qxz[0-9]"]);
    let text = b"qxz1 ".repeat(50);
    for kind in kinds() {
        let engine = Engine::compile(&specs, *kind).unwrap();
        let mut found = Vec::new();
        assert_eq!(engine.scanner().with_limit(50).matches(&text, &mut found), Ok(()));
        assert_eq!(found.len(), 50);
        assert_eq!(engine.scanner().with_limit(49).matches(&text, &mut found), Err(Overflow));
        assert_eq!(found, []);
        // The scanner serves the next text as if nothing had been.
        let mut scanner = engine.scanner().with_limit(3);
        assert_eq!(scanner.matches(&text, &mut found), Err(Overflow));
        assert_eq!(scanner.matches(b"a qxz7 b", &mut found), Ok(()));
        assert_eq!(found.len(), 1);
    }
}

#[test]
fn unwanted_specs_are_not_confirmed() {
    let specs = specs(&["qxz[0-9]", "[a-z]+", "qxz[0-9]{2}"]);
    for kind in kinds() {
        let engine = Engine::compile(&specs, *kind).unwrap();
        let mut found = Vec::new();
        engine.scanner().matches_where(b"a qxz77 b", |spec| spec == 2, &mut found).unwrap();
        assert_eq!(found.iter().map(|found| found.spec).collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn errors_name_the_spec() {
    let compile = |regexes: &[&str]| Engine::compile(&specs(regexes), Kind::Auto).unwrap_err();
    let error = compile(&["a", "b[", "c"]);
    assert_eq!(error.spec, Some(1));
    assert!(error.reason.contains("unclosed character class"), "{error}");
    assert_eq!(compile(&["(?:[a-z]{1000}){1000}"]).spec, Some(0));
    let error = Engine::compile(
        &[Spec { regex: "a(b)".to_owned(), max_len: 2, group: 2, words: false }],
        Kind::Auto,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "group 2 is named, and the expression has 1");
}

#[test]
fn no_specs_find_nothing() {
    for kind in kinds() {
        let engine = Engine::compile(&[], *kind).unwrap();
        let mut found = Vec::new();
        assert_eq!(engine.scanner().matches(b"anything", &mut found), Ok(()));
        assert_eq!(found, []);
    }
}

proptest! {
    /// Expressions put together at random, over texts made of their own pieces.
    #[test]
    fn engines_agree_on_random_expressions(
        regexes in prop::collection::vec(random::expression(), 1..5),
        texts in prop::collection::vec(random::text(), 4),
        seed in any::<u64>(),
    ) {
        let specs: Vec<Spec> = regexes
            .iter()
            .map(|regex| Spec { regex: regex.clone(), max_len: 32, group: regex.matches("(z").count().min(1), words: regex.len() % 2 == 0 })
            .collect();
        let engines: Vec<Engine> =
            kinds().iter().map(|kind| Engine::compile(&specs, *kind).unwrap()).collect();
        let definition = Definition::of(&specs);
        let mut samples = random::Samples::new(seed);
        for text in texts {
            let mut planted = text;
            for spec in &specs {
                samples.plant(&spec.regex, &mut planted);
            }
            let expected = definition.matches(&planted);
            for engine in &engines {
                same(engine, &specs, &planted, &expected);
            }
        }
    }
}
