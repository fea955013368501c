//! Formats: what stands in each topic, byte by byte.
//!
//! This is where values of the core meet JSON, record keys and record headers. Reading
//! keeps the place of every token in the record, because a clean event is the record
//! itself but for the spans that were cut. Nothing here decides anything or does I/O.

pub mod json;
pub mod time;
pub mod ids;
pub mod headers;
pub mod event;
pub mod clean;
pub mod verdict;
pub mod alert;
pub mod dlq;
pub mod control;
