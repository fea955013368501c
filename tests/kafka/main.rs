//! Tests of everything that Kafka decides, on a real broker.
//!
//! `scripts/kafka start` runs one; without it these tests fail, they are never skipped.
//! Each test has a [`site::Site`] of its own: topics, group, configuration and processes.
//! `weir run` is started as a user would start it, and only topics, the admin listener and
//! signals are used to talk to it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what is measured is printed")]

mod broker;
mod events;
mod oracle;
mod process;
mod proxy;
mod records;
mod reload;
mod site;

mod bad_input;
mod behavior;
mod chaos;
mod exactly_once;
mod fencing;
mod kill_switch;
mod lifecycle;
mod outages;
mod routing;
mod scenarios;
mod shared;
mod soc;
mod streams;
#[path = "../it/story.rs"]
mod story;
