//! The shipped rules on labelled texts: `tests/corpus/*.toml`, one line of data a case.
//!
//! A case names the types that are to be found at medium confidence or above, and no
//! others: what the shipped policy acts on. Tokens in the texts are generated.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use weir::detect::{EngineKind, Rules, ScanLimits, Scratch, selftest};
use weir::event::{Carrier, Event, Millis};
use weir::finding::{Confidence, Finding};
use weir::patterns::{RuleSet, builtin, generate, load};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    text: String,
    /// Who speaks; the user where left out.
    carrier: Option<String>,
    /// The JSON member that holds the text.
    key: Option<String>,
    /// Types found at medium confidence or above.
    expect: BTreeSet<String>,
    /// One finding reaches from where this stands to the end of the text.
    covers: Option<String>,
}

fn pack() -> RuleSet {
    load(&builtin()).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let corpus: Corpus = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        cases.extend(corpus.case.into_iter().map(|case| (file.clone(), case)));
    }
    cases
}

fn scan(scratch: &mut Scratch<'_>, case: &Case, text: &str) -> Vec<Finding> {
    let carrier = case.carrier.as_deref().map_or(Carrier::User, |name| {
        Carrier::from_name(name).unwrap_or_else(|| panic!("no carrier {name}"))
    });
    let mut event = Event::new(carrier.kind(), "case".into(), "agent".into(), Millis(0));
    let key = case.key.as_deref().unwrap_or("text");
    event.push_text(key.into(), text.into(), carrier);
    scratch.scan(&event).findings
}

#[test]
fn labelled_texts_are_judged_as_labelled() {
    let rules = Rules::compile(pack(), ScanLimits::default(), EngineKind::Auto).unwrap();
    let mut scratch = rules.scratch();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 50, "the corpus is read");
    for (file, case) in &cases {
        let text = generate::expand(&case.text, 7).unwrap();
        let findings = scan(&mut scratch, case, &text);
        let sure = findings.iter().filter(|finding| finding.confidence > Confidence::Low);
        let found: BTreeSet<String> =
            sure.clone().map(|finding| finding.source.kind.clone()).collect();
        if found != case.expect {
            wrong.push(format!("{file}: {}: found {found:?}", case.name));
        }
        if let Some(start) = case.covers.as_deref().and_then(|mark| text.find(mark)) {
            let whole =
                |finding: &Finding| (finding.span.start, finding.span.end) == (start, text.len());
            if !sure.clone().any(whole) {
                wrong.push(format!("{file}: {}: no finding covers it whole", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_finds_its_examples_and_leaves_its_near_misses() {
    let failures = selftest(&pack()).unwrap();
    let told: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn every_rule_carries_what_a_reader_needs() {
    let set = pack();
    for rule in &set.rules {
        let id = &rule.source.rule;
        assert!(rule.examples.len() >= 3, "{id} has {} examples", rule.examples.len());
        assert!(rule.negative_examples.len() >= 3, "{id} has few near misses");
        assert!(!rule.tags.is_empty() && !rule.references.is_empty(), "{id} says not whence");
        assert!(id.starts_with(rule.source.family.name()), "{id} is not named by its family");
        assert!(
            rule.path.starts_with(rule.source.family.name()),
            "{id} does not lie in its family's folder"
        );
        assert!(
            !rule.source.message.is_empty() && !rule.source.message.ends_with('.'),
            "{id} has no message, or one that ends like a paragraph"
        );
    }
    let types = |family: &str| {
        let rules = set.rules.iter().filter(|rule| rule.source.family.name() == family);
        rules.map(|rule| rule.source.kind.as_str()).collect::<BTreeSet<_>>().len()
    };
    assert!(types("secrets") >= 30, "{} shapes of secrets", types("secrets"));
    assert!(types("pii") >= 10, "{} shapes of PII", types("pii"));
}
