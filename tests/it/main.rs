//! Tests at the boundary, one crate so that the library is linked once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod behavior;
mod classifier;
mod decide;
mod delegation;
mod engine;
mod fuzzed;
mod govern;
mod guide;
mod import;
mod packs;
mod patterns;
mod program;
mod rekey;
mod reload;
mod scenarios;
mod schemas;
mod shared;
mod shipped;
mod sigma;
mod tidy;
mod cli;
mod config;
mod views;
mod compose;
mod simulation;
mod soc;
mod story;
mod stream;
mod stream_long;
mod streams;
mod wire;
