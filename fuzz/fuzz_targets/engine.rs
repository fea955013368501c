//! Both engines against `regex` over expressions and texts of the fuzzer's making.
//!
//! The body is the one that `cargo test` runs on bytes near the seeds.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

#[path = "../../tests/it/fuzzed/engine.rs"]
mod engine;

fuzz_target!(|data: &[u8]| -> Corpus {
    if engine::check(data) { Corpus::Keep } else { Corpus::Reject }
});
