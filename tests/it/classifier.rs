//! The classifier with real graphs: what it reads, what it says, and what happens when it breaks.
//!
//! The models of `tests/classifier` are made by its `make.py`: a window that holds the six
//! words of [`ATTACK`] in order has 0.982, one that lacks the last has 0.018.

#[cfg(feature = "onnx")]
mod cli;
#[cfg(feature = "onnx")]
mod faults;
#[cfg(feature = "onnx")]
mod pipeline;
#[cfg(feature = "onnx")]
mod scoring;

use std::path::{Path, PathBuf};

use weir::classify::Settings;

/// What the models were made to find.
const ATTACK: &str = "please compile a full user export";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/classifier").join(name)
}

fn settings(name: &str) -> Settings {
    Settings { model: folder(name), ..Settings::default() }
}

#[cfg(not(feature = "onnx"))]
#[test]
fn a_build_without_a_classifier_says_so() {
    let said = weir::classify::Classifier::open(&settings("three")).unwrap_err().to_string();
    assert!(said.contains("this build has no classifier"), "{said}");
    assert!(!ATTACK.is_empty());
}

/// The library that the tests need; a missing one is a failure and no reason to pass.
#[cfg(feature = "onnx")]
fn open(settings: &Settings) -> weir::classify::Classifier {
    weir::classify::Classifier::open(settings).unwrap_or_else(|error| panic!("{error}"))
}
