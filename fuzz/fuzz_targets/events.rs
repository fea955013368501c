//! Events of the fuzzer's making, and the clean events that are cut out of them.
//!
//! The body is the one that `cargo test` runs on bytes near the seeds.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

#[path = "../../tests/it/fuzzed/events.rs"]
mod events;

fuzz_target!(|data: &[u8]| -> Corpus {
    // What is no event is kept too: the way into one leads over it.
    events::check(data);
    Corpus::Keep
});
