//! Weir: a streaming input and output filter and anomaly detector for LLM applications and agents, on Kafka.
//!
//! `inspect` and everything that it rests on is pure: plain functions on values, with no
//! I/O, clock or thread. Kafka, files, time and the terminal stay in `wire`, `pipeline`,
//! `config`, `telemetry` and `cli`. A module knows only the modules above it in this list.
#![forbid(unsafe_code)]

pub mod digest;
pub mod event;
pub mod finding;
pub mod text;
pub mod validate;
pub mod patterns;
pub mod state;
pub mod engine;
pub mod baseline;
pub mod detect;
pub mod policy;
pub mod redact;
pub mod alert;
pub mod audit;
pub mod inspect;
pub mod wire;
pub mod clock;
pub mod telemetry;
pub mod classify;
pub mod config;
pub mod pipeline;
pub mod cli;
