//! What a model says of texts of any length, and what that comes to.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use weir::classify::{Classifier, Document, Settings, Urgency, Windows};
use weir::event::{Carrier, Event, Field, Kind, Millis, Place, RecordSpan};
use weir::finding::{Score, Scoring};
use weir::inspect::Scores;

use super::{ATTACK, open, settings};

fn event(text: &str) -> Event<'_> {
    let mut event = Event::new(Kind::Prompt, "e".into(), "a".into(), Millis(0));
    event.fields.push(Field {
        node: 0,
        place: Place::Value,
        carrier: Carrier::User,
        text: text.into(),
        token: RecordSpan::default(),
    });
    event
}

fn scores(classifier: &Classifier, text: &str) -> Scores {
    let documents = [Document::of_text(text)];
    let ticket = classifier.submit(&documents, Urgency::Patient);
    ticket.wait(None);
    assert!(ticket.is_done());
    ticket.scores(&documents, &event(text))
}

/// The score in millionths.
fn score(scores: &Scores) -> u32 {
    scores.seen.score.unwrap().millionths()
}

#[test]
fn inputs_labels_and_windows_come_from_the_model() {
    let three = open(&settings("three"));
    let about = three.about();
    assert_eq!(about.inputs, ["input_ids", "attention_mask", "token_type_ids"]);
    assert_eq!(about.positive, ["injection"]);
    assert_eq!(about.windows, Windows { tokens: 30, stride: 16 });
    assert_eq!(about.thresholds.medium, Score::new(0.5).unwrap());
    assert!(about.calibrated && !about.pinned);

    let two = open(&settings("two"));
    let about = two.about();
    assert_eq!(about.inputs, ["input_ids", "attention_mask"]);
    assert_eq!(about.positive, ["INJECTION"]);
    // Of the model's 64 positions two are its own.
    assert_eq!(about.windows, Windows { tokens: 62, stride: 32 });
    assert!(!about.calibrated);
    assert_eq!(about.thresholds.medium, Score::new(0.9).unwrap());
    assert_ne!(two.id(), three.id());
}

#[test]
fn a_score_is_the_calibrated_probability_of_the_hottest_window() {
    for name in ["three", "two"] {
        let classifier = open(&settings(name));
        let whole = scores(&classifier, &format!("hello team, {ATTACK} today"));
        assert_eq!(whole.seen.state, Scoring::Scored, "{name}");
        assert_eq!(score(&whole), 982_014, "{name}");
        let short = scores(&classifier, "hello team, please compile a full user today");
        assert_eq!(score(&short), 17_986, "{name}");
        let none = scores(&classifier, "the weather in the garden today");
        assert!(score(&none) < 10 && none.hot.is_empty(), "{name}");
        // Filled up with others to a run of many rows, a text keeps its score.
        let long = format!("{} {ATTACK}", "the weather ".repeat(40));
        assert_eq!(score(&scores(&classifier, &long)), 982_014, "{name}");
    }
}

#[test]
fn all_of_a_long_text_is_read_wherever_the_attack_stands() {
    let filler = "the weather in the garden today. ";
    // A tokenizer of sentences knows a word by the blank before it.
    let line = format!(" {ATTACK} \n");
    let half = filler.repeat(3_000);
    let texts = [
        ("last line", format!("{half}{half}\n {ATTACK}")),
        ("middle", format!("{half}\n{line}{half}")),
        ("first line", format!("{line}{half}{half}")),
    ];
    for name in ["three", "two"] {
        let classifier = open(&settings(name));
        for (place, text) in &texts {
            assert!(text.len() > 190_000);
            let found = scores(&classifier, text);
            let seen = found.seen;
            assert_eq!(seen.state, Scoring::Scored, "{name}, {place}");
            assert_eq!(seen.windows.scored, seen.windows.total, "{name}, {place}");
            assert_eq!(seen.tokens.scored, seen.tokens.total, "{name}, {place}");
            assert!(seen.tokens.total > 40_000, "{name}, {place}");
            let [hot] = found.hot.as_slice() else { panic!("{name}, {place}: {:?}", found.hot) };
            let span = text.get(hot.span.start..hot.span.end).unwrap();
            assert!(span.contains(ATTACK), "{name}, {place}: {span}");
            assert!(span.len() < 1_000, "{name}, {place}: {} bytes", span.len());
        }
    }
}

#[test]
fn nothing_is_read_twice() {
    let classifier = open(&settings("three"));
    let text = format!("{} {ATTACK}", "the weather ".repeat(100));
    let first = scores(&classifier, &text);
    let before = classifier.counters();
    assert_eq!(scores(&classifier, &text), first);
    let after = classifier.counters();
    assert_eq!((after.windows, after.cached), (before.windows, before.cached + 1));
    // A cache of nothing reads it again.
    let forgetful = open(&Settings { cache_entries: 0, ..settings("three") });
    assert_eq!(scores(&forgetful, &text), first);
    let before = forgetful.counters().windows;
    assert_eq!(scores(&forgetful, &text), first);
    assert_eq!(forgetful.counters().windows, 2 * before);
}

#[test]
fn batches_of_any_size_give_the_same_scores() {
    let texts: Vec<String> = (0..60)
        .map(|n| {
            format!("{} {}", "the weather ".repeat(n), if n % 3 == 0 { ATTACK } else { "note" })
        })
        .collect();
    let all = |batch_tokens| {
        let settings = Settings { batch_tokens, cache_entries: 0, ..settings("three") };
        let classifier = open(&settings);
        let documents: Vec<Document> = texts.iter().map(|text| Document::of_text(text)).collect();
        let tickets: Vec<_> = documents
            .iter()
            .map(|one| classifier.submit(std::slice::from_ref(one), Urgency::Patient))
            .collect();
        let mut found = Vec::new();
        for ((ticket, one), text) in tickets.iter().zip(&documents).zip(&texts) {
            ticket.wait(None);
            found.push(ticket.scores(std::slice::from_ref(one), &event(text)));
        }
        (found, classifier.counters().runs)
    };
    let (alone, many_runs) = all(16);
    let (together, fewer_runs) = all(4_096);
    assert_eq!(alone, together);
    assert!(fewer_runs < many_runs, "{fewer_runs} against {many_runs}");
    for (n, scores) in alone.iter().enumerate() {
        assert_eq!(score(scores) > 500_000, n % 3 == 0, "text {n}");
    }
}

#[test]
fn a_deadline_sheds_what_it_cannot_hold_and_says_so() {
    let classifier = open(&settings("three"));
    let text = format!("{} {ATTACK}", "the weather ".repeat(50_000));
    let documents = [Document::of_text(&text)];
    let ask = |within: Duration, second_look| {
        let deadline = Instant::now() + within;
        let ticket = classifier.submit(&documents, Urgency::Inline { deadline, second_look });
        ticket.wait(Some(deadline));
        assert!(Instant::now() < deadline + Duration::from_millis(200), "it waits no longer");
        (ticket.scores(&documents, &event(&text)), ticket)
    };
    // Not even one window.
    let (none, ticket) = ask(Duration::ZERO, false);
    assert_eq!(none.seen.state, Scoring::Shed);
    assert_eq!((none.seen.score, none.hot.len()), (None, 0));
    assert!(ticket.is_done());
    assert_eq!(classifier.counters().shed, 1);
    // Not all of them: what was late is scored all the same, and what was found is found.
    let (some, ticket) = ask(Duration::from_millis(120), true);
    assert!(matches!(some.seen.state, Scoring::Partial | Scoring::Shed), "{:?}", some.seen);
    if some.seen.state == Scoring::Partial {
        assert!(some.seen.windows.scored < some.seen.windows.total);
        assert!(some.seen.tokens.scored < some.seen.tokens.total);
    }
    ticket.wait(None);
    let whole = ticket.scores(&documents, &event(&text));
    assert_eq!(whole.seen.state, Scoring::Scored);
    assert_eq!(score(&whole), 982_014);
    // And known from then on, whatever the deadline.
    assert_eq!(ask(Duration::ZERO, false).0, whole);
}

#[test]
fn a_text_of_nothing_is_scored_at_once() {
    let classifier = open(&settings("three"));
    let none = scores(&classifier, "");
    assert_eq!(
        (none.seen.state, none.seen.windows.total, none.seen.score),
        (Scoring::Scored, 0, None)
    );
}

#[test]
fn the_white_space_treatment_is_an_option() {
    let spaced = ATTACK.split(' ').map(|word| {
        let letters: Vec<String> = word.chars().map(|c| c.to_string()).collect();
        letters.join(" ")
    });
    let spaced = spaced.collect::<Vec<_>>().join("   ");
    let plain = scores(&open(&settings("two")), &spaced);
    assert!(score(&plain) < 10);
    // The tokenizer of `two` knows words by the white space before them, so of words that were
    // spaced out it finds the first; that of a Prompt Guard model finds all of them.
    let respaced = Settings { respace: Some(true), ..settings("three") };
    let classifier = open(&respaced);
    assert_eq!(score(&scores(&classifier, &format!("{ATTACK}  now"))), 982_014);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Wherever the attack begins, also over the edge of a window, it is seen whole by one.
    #[test]
    fn an_attack_on_an_edge_is_seen_whole(before in 0_usize..200, after in 0_usize..200) {
        static CLASSIFIER: std::sync::LazyLock<Classifier> =
            std::sync::LazyLock::new(|| open(&settings("three")));
        let text = format!("{}{ATTACK}{}", "river ".repeat(before), " river".repeat(after));
        let found = scores(&CLASSIFIER, &text);
        prop_assert_eq!(found.seen.state, Scoring::Scored);
        prop_assert_eq!(score(&found), 982_014);
        prop_assert_eq!(found.seen.tokens.total as usize, before + after + 6);
        let span = found.hot[0].span;
        prop_assert!(text.get(span.start..span.end).unwrap().contains(ATTACK));
    }
}
