//! Rule files of the fuzzer's making, and texts that are redacted by them.
//!
//! The body is the one that `cargo test` runs on bytes near the seeds.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

#[path = "../../tests/it/fuzzed/rules.rs"]
mod rules;

fuzz_target!(|data: &[u8]| -> Corpus {
    rules::check(data);
    Corpus::Keep
});
