//! What can go wrong with a model: each ends as one clear sentence or as "failed", never as a low score.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weir::classify::{Classifier, Document, Settings, Urgency};
use weir::event::{Event, Kind, Millis};
use weir::finding::Scoring;
use weir::inspect::Scores;

use super::{ATTACK, folder, open, settings};

/// A copy of a model in which files are changed.
fn changed(name: &str, change: impl FnOnce(&Path)) -> (tempfile::TempDir, Settings) {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    change(copy.path());
    let settings = Settings { model: copy.path().to_owned(), ..Settings::default() };
    (copy, settings)
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no {from}", path.display());
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn ask(classifier: &Classifier, text: &str) -> Scores {
    let documents = [Document::of_text(text)];
    let ticket = classifier.submit(&documents, Urgency::Patient);
    ticket.wait(Some(Instant::now() + Duration::from_mins(1)));
    assert!(ticket.is_done(), "whoever waits gets an answer");
    let event = Event::new(Kind::Prompt, "e".into(), "a".into(), Millis(0));
    ticket.scores(&documents, &event)
}

#[test]
fn a_model_that_cannot_be_used_is_refused_in_one_clear_sentence() {
    type Change = Box<dyn FnOnce(&Path)>;
    let config = |from: &'static str, to: &'static str| -> Change {
        Box::new(move |folder| edit(&folder.join("config.json"), from, to))
    };
    let write = |name: &'static str, bytes: &'static [u8]| -> Change {
        Box::new(move |folder| std::fs::write(folder.join(name), bytes).unwrap())
    };
    let remove = |name: &'static str| -> Change {
        Box::new(move |folder| std::fs::remove_file(folder.join(name)).unwrap())
    };
    let cut = || -> Change {
        Box::new(|folder| {
            let path = folder.join("model.onnx");
            let graph = std::fs::read(&path).unwrap();
            std::fs::write(path, &graph[..graph.len() / 2]).unwrap();
        })
    };
    let cases: Vec<(&str, Change, &[&str])> = vec![
        ("three", remove("model.onnx"), &["cannot read", "model.onnx"]),
        ("three", remove("tokenizer.json"), &["cannot read", "tokenizer.json"]),
        ("three", remove("config.json"), &["cannot read", "config.json"]),
        ("three", cut(), &["model.onnx", "not a graph that can be run"]),
        ("three", write("model.onnx", b"no graph"), &["not a graph that can be run"]),
        ("three", write("model.onnx", b""), &["not a graph that can be run"]),
        ("three", write("tokenizer.json", b"{}"), &["tokenizer.json", "not a tokenizer"]),
        ("three", write("config.json", b"{"), &["config.json", "not a model's configuration"]),
        ("opset", Box::new(|_| {}), &["model.onnx", "not a graph that can be run", "opset"]),
        (
            "shape",
            Box::new(|_| {}),
            &["`logits` has 3 dimensions", "does not classify whole texts"],
        ),
        (
            "three",
            config("\"1\": \"injection\"", "\"1\": \"odd\""),
            &["there is no class `injection`", "benign, odd"],
        ),
        ("two", config("INJECTION", "ODD"), &["(SAFE, ODD)", "classifier.positive"]),
        ("two", config("\"1\":", "\"7\":"), &["`id2label` has a class `7`"]),
        (
            "two",
            config("\"1\": \"INJECTION\"", "\"1\": \"INJECTION\", \"2\": \"OTHER\""),
            &["has 2 classes, but `id2label` names 3"],
        ),
        (
            "three",
            config("\"window_tokens\": 32", "\"window_tokens\": 999"),
            &["a window of 999 tokens is longer than the 128"],
        ),
        (
            "three",
            config("\"window_tokens\": 32", "\"window_tokens\": 2"),
            &["no room beside the 2 of its own"],
        ),
        ("three", config("\"temperature\": 1.0", "\"temperature\": 0"), &["weir.temperature"]),
        ("three", config("\"fpr_1\": 0.5", "\"fpr_1\": 7"), &["classifier.medium", "fpr_1"]),
        ("three", config("\"fpr_1\": 0.5", "\"fpr_1\": 0.99"), &["must not fall from low to high"]),
        ("three", config("\"positive\"", "\"positives\""), &["unknown field `positives`"]),
        (
            "three",
            Box::new(|folder| {
                let sums = format!("{}  model.onnx\n", "0".repeat(64));
                std::fs::write(folder.join("SHA256SUMS"), sums).unwrap();
            }),
            &["model.onnx` has SHA-256", "its `SHA256SUMS` says 0000"],
        ),
    ];
    for (name, change, expected) in cases {
        let (_copy, settings) = changed(name, change);
        let error = Classifier::open(&settings).err().unwrap_or_else(|| panic!("{expected:?}"));
        let said = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        assert!(!said.contains('\n'), "{said}");
        for part in expected {
            assert!(said.contains(part), "`{part}` in: {said}");
        }
    }
}

#[test]
fn hashes_are_pinned_by_the_configuration_or_by_the_folder() {
    let sha256 = open(&settings("three")).about().sha256.clone();
    let pin = |sha256: &str| Settings { sha256: Some(sha256.to_owned()), ..settings("three") };
    assert!(open(&pin(&sha256.to_uppercase())).about().pinned);
    let wrong = Classifier::open(&pin(&"0".repeat(64))).unwrap_err().to_string();
    assert!(wrong.contains(&sha256) && wrong.contains("`classifier.sha256` says 0000"), "{wrong}");
    let (_copy, sums) = changed("three", |folder| {
        std::fs::write(folder.join("SHA256SUMS"), format!("{sha256}  model.onnx\n")).unwrap();
    });
    assert!(open(&sums).about().pinned);
}

#[test]
fn memory_is_bounded_before_a_model_is_loaded() {
    let (_copy, settings) = changed("three", |folder| {
        let mut graph = std::fs::read(folder.join("model.onnx")).unwrap();
        graph.resize(3 << 20, 0);
        std::fs::write(folder.join("model.onnx"), graph).unwrap();
    });
    let small = Settings { memory_mb: 2, threads: 1, ..settings };
    let said = Classifier::open(&small).unwrap_err().to_string();
    assert!(
        said.contains("would take 6 MB with 1 threads") && said.contains("memory_mb` is 2"),
        "{said}"
    );
}

#[test]
fn scores_that_are_no_numbers_are_a_failure_and_what_was_found_beside_them_stays() {
    let classifier =
        open(&Settings { batch_tokens: 16, cache_entries: 1_000, ..settings("faulty") });
    let bad = ask(&classifier, "nanword in the weather");
    assert_eq!((bad.seen.state, bad.seen.score), (Scoring::Failed, None));
    // Not remembered, and no harm to others.
    assert_eq!(ask(&classifier, "nanword in the weather").seen.state, Scoring::Failed);
    let good = ask(&classifier, ATTACK);
    assert_eq!((good.seen.state, good.seen.windows.scored), (Scoring::Scored, 1));
    let both = format!("{ATTACK} {} nanword", "river ".repeat(100));
    let both = ask(&classifier, &both);
    assert_eq!(both.seen.state, Scoring::Failed);
    assert_eq!(both.hot.len(), 0, "the test's event has no field to point at");
    assert!(both.seen.score.is_some_and(|score| score.probability() > 0.9), "{:?}", both.seen);
    assert_eq!(classifier.counters().failed_runs, 3);
}

#[test]
fn failures_in_a_row_suspend_the_classifier() {
    let classifier = open(&Settings { cache_entries: 0, ..settings("faulty") });
    for _ in 0..3 {
        assert_eq!(ask(&classifier, "nanword").seen.state, Scoring::Failed);
    }
    assert!(classifier.counters().suspended);
    let runs = classifier.counters().runs;
    assert_eq!(ask(&classifier, ATTACK).seen.state, Scoring::Failed, "nobody is asked");
    assert_eq!(classifier.counters().runs, runs);
}

#[test]
fn a_run_without_end_is_ended_and_the_next_one_goes_on() {
    let settings = Settings { hang_ms: 200, threads: 1, ..settings("faulty") };
    let classifier = open(&settings);
    let began = Instant::now();
    let hung = ask(&classifier, "hangword in the weather");
    assert_eq!((hung.seen.state, hung.seen.score), (Scoring::Failed, None));
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(classifier.counters().hung_runs, 1);
    let good = ask(&classifier, ATTACK);
    assert_eq!(good.seen.state, Scoring::Scored);
    // Nor does it hold up who drops the classifier.
    let documents = [Document::of_text("hangword")];
    drop(classifier.submit(&documents, Urgency::Patient));
    std::thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    drop(classifier);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
