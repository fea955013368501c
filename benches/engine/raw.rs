//! What Vectorscan itself loses: matches of unbounded repeats.
//!
//! Each expression is given to it as it is, with the flags named, over texts with planted
//! matches; a match of `regex` whose end it never reports is lost. This is why the engine never
//! gives it a rule's own text (`src/engine/superset.rs`), and the same texts through the engine
//! must lose nothing.

use vectorscan_rs::{BlockDatabase, BlockScanner, Flag, Pattern, Scan};
use weir::engine::{Engine, Kind, Spec};

use super::texts::Random;

/// Expressions with the flags that a direct translation would use.
const CASES: &[(&str, Flag, &str)] = &[
    ("x=[^\n]*;y", Flag::CASELESS, "(?i)"),
    ("x=[^\n]*;y", Flag::empty(), ""),
    ("a.*b", Flag::DOTALL, "(?s)"),
    ("A.*B", Flag::DOTALL, "(?s)"),
    ("a.{0,60}b", Flag::DOTALL, "(?s)"),
    ("key=[a-z]+;", Flag::CASELESS, "(?i)"),
    (r"tok[a-z]*\.[0-9]+", Flag::empty(), ""),
    ("begin(?:.|\n)*?end", Flag::empty(), ""),
];

/// Prints, for each case, how many matches were planted and how many the scan never reported.
pub(super) fn run() {
    println!("\nmatches that a direct scan of the expression never reports (6,000 texts each)");
    println!("{:28} {:>9} {:>9} {:>9}", "expression", "matches", "lost raw", "lost here");
    for (regex, flags, prefix) in CASES {
        let pattern = Pattern::new(regex.as_bytes().to_vec(), *flags, Some(0));
        let database = BlockDatabase::new(vec![pattern]).expect("the case compiles");
        let mut scanner = BlockScanner::new(&database).expect("memory for a scanner");
        let written = format!("{prefix}{regex}");
        let exact = regex::bytes::RegexBuilder::new(&written)
            .unicode(false)
            .build()
            .expect("the case compiles");
        let spec = Spec { regex: written.clone(), max_len: 1024, group: 0, words: false };
        let engine = Engine::compile(&[spec], Kind::Vectorscan).expect("the case compiles");
        let mut ours = engine.scanner();
        let mut random = Random::new(7);
        let (mut matches, mut lost, mut lost_by_engine) = (0, 0, 0);
        let mut found = Vec::new();
        for _ in 0..6_000 {
            let text = planted(regex, &mut random);
            let mut ends = Vec::new();
            scanner
                .scan(&text, |_, _, end, _| {
                    ends.push(end as usize);
                    Scan::Continue
                })
                .expect("the scan runs");
            ours.matches(&text, &mut found).expect("few candidates");
            for expected in exact.find_iter(&text) {
                matches += 1;
                lost += usize::from(!ends.contains(&expected.end()));
                let kept = found
                    .iter()
                    .any(|one| (one.start, one.end) == (expected.start(), expected.end()));
                lost_by_engine += usize::from(!kept);
            }
        }
        println!("{:28} {matches:9} {lost:9} {lost_by_engine:9}", format!("{written:?}"));
    }
}

/// Noise with beginnings, middles and ends of the case in it.
fn planted(regex: &str, random: &mut Random) -> Vec<u8> {
    let pieces: &[&str] = match regex {
        "key=[a-z]+;" => &["key=", "KEY=", "abc", "Q", ";", " "],
        r"tok[a-z]*\.[0-9]+" => &["tok", "abc", ".", "12", " ", "7"],
        "begin(?:.|\n)*?end" => &["begin", "end", " some ", "\n", "en", "be"],
        "x=[^\n]*;y" => {
            &["x=", "X=", ";y", ";Y", "\n", "value", " and ", ";", "x", "0123456789abcdef"]
        }
        _ => &["a", "b", "A", "B", "\n", "value", " text ", "0123456789", "..."],
    };
    let mut text = Vec::new();
    for _ in 0..=random.below(24) {
        text.extend_from_slice(pieces[random.below(pieces.len())].as_bytes());
        for _ in 0..random.below(6) {
            text.push(b' ' + random.below(90) as u8);
        }
    }
    text
}
