//! Every reading of a text of the fuzzer's making: normalised, decoded, turned.
//!
//! The body is the one that `cargo test` runs on random bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/views/bytes.rs"]
mod bytes;

fuzz_target!(|data: &[u8]| bytes::check(data));
