//! The dead-letter queue: a record that could not be handled, as it came, and why.
//!
//! Headers follow Kafka Connect's dead-letter reporter, which most tools read, and add
//! Weir's own. The value is the original bytes; where those would not fit into a record
//! it is a stub, the first 64 KB of them, and the headers say how long the original was,
//! what its hash is and where it stands.

use sha2::{Digest as _, Sha256};

use super::headers::{Headers, header, without};
use super::ids::{self, OutputKind};
use super::time::rfc3339;
use crate::audit::hex;
use crate::event::Millis;

/// How much of a record that does not fit is kept.
pub const STUB_BYTES: usize = 64 << 10;

/// Where a record failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It could not be read.
    Read,
    /// Inspecting it failed.
    Inspect,
    /// What it caused could not be written.
    Forward,
}

impl Stage {
    /// The stage's name and class in Kafka Connect's terms.
    fn connect(self) -> (&'static str, &'static str) {
        match self {
            Self::Read => ("VALUE_CONVERTER", "weir.wire.event"),
            Self::Inspect => ("TRANSFORMATION", "weir.inspect"),
            Self::Forward => ("KAFKA_PRODUCE", "weir.pipeline.step"),
        }
    }
}

/// A record for the queue.
#[derive(Clone, Copy, Debug)]
pub struct Dead<'a> {
    /// Topic that it was read from.
    pub topic: &'a str,
    /// Partition that it was read from.
    pub partition: i32,
    /// Offset that it was read at.
    pub offset: i64,
    /// The log's timestamp of the record.
    pub timestamp: Millis,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [(String, Vec<u8>)],
    /// Where it failed.
    pub stage: Stage,
    /// Why, as a label.
    pub reason: &'a str,
    /// Why, for people: nothing of the record's content.
    pub message: &'a str,
    /// How many times handling was tried.
    pub attempts: u32,
    /// Hash of the pack in force.
    pub pack: &'a str,
}

/// Value and headers of the queue's record. A value longer than `value_max` becomes a stub.
#[must_use]
pub fn write(dead: &Dead<'_>, value_max: usize) -> (Option<Vec<u8>>, Headers) {
    let (kept, form) = match dead.value {
        None => (None, "none"),
        Some(value) if value.len() <= value_max => (Some(value), "original"),
        Some(value) => (value.get(..STUB_BYTES.min(value_max)), "stub"),
    };
    let (stage, class) = dead.stage.connect();
    let id = ids::uuid(dead.topic, dead.partition, dead.offset, OutputKind::Dlq, 0);
    let original = dead.value.unwrap_or_default();
    let mut headers = without(
        super::headers::outgoing(dead.headers, None, None),
        &["__connect.errors.", "weir.dlq."],
    );
    headers.extend([
        header("__connect.errors.topic", dead.topic),
        header("__connect.errors.partition", dead.partition.to_string()),
        header("__connect.errors.offset", dead.offset.to_string()),
        header("__connect.errors.connector.name", "weir"),
        header("__connect.errors.task.id", dead.partition.to_string()),
        header("__connect.errors.stage", stage),
        header("__connect.errors.class.name", class),
        header("__connect.errors.exception.class.name", format!("weir.{}", dead.reason)),
        header("__connect.errors.exception.message", dead.message),
        header("weir.dlq.id", id),
        header("weir.dlq.reason", dead.reason),
        header("weir.dlq.attempts", dead.attempts.to_string()),
        header("weir.dlq.first_seen", rfc3339(dead.timestamp)),
        header("weir.dlq.pack", dead.pack),
        header("weir.dlq.value", form),
        header("weir.dlq.length", original.len().to_string()),
        header("weir.dlq.sha256", hex(&Sha256::digest(original))),
    ]);
    (kept.map(<[u8]>::to_vec), headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(value: Option<&[u8]>) -> Dead<'_> {
        Dead {
            topic: "weir.events",
            partition: 3,
            offset: 9,
            timestamp: Millis(0),
            value,
            headers: &[],
            stage: Stage::Read,
            reason: "not_json",
            message: "not an event",
            attempts: 1,
            pack: "p",
        }
    }

    fn get<'h>(headers: &'h Headers, name: &str) -> &'h str {
        let all: Vec<_> = headers.iter().filter(|(header, _)| header == name).collect();
        assert_eq!(all.len(), 1, "{name}");
        std::str::from_utf8(&all[0].1).unwrap()
    }

    #[test]
    fn a_record_that_fits_goes_as_it_came() {
        let sent = [header("app", "x"), header("weir.dlq.reason", "forged")];
        let (value, headers) = write(&Dead { headers: &sent, ..dead(Some(b"\xffoops")) }, 5);
        assert_eq!(value.as_deref(), Some(&b"\xffoops"[..]));
        assert_eq!(get(&headers, "weir.dlq.value"), "original");
        assert_eq!(get(&headers, "weir.dlq.reason"), "not_json");
        assert_eq!(get(&headers, "__connect.errors.offset"), "9");
        assert_eq!(get(&headers, "app"), "x");
        let (value, headers) = write(&dead(None), 5);
        assert_eq!(value, None);
        assert_eq!(get(&headers, "weir.dlq.value"), "none");
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_a_stub_that_does() {
        let big = vec![b'x'; 300_000];
        for (max, kept) in [(1000, 1000), (299_999, STUB_BYTES), (300_000, 300_000)] {
            let (value, headers) = write(&dead(Some(&big)), max);
            assert_eq!(value.unwrap(), big[..kept]);
            let form = if kept < big.len() { "stub" } else { "original" };
            assert_eq!(get(&headers, "weir.dlq.value"), form);
            assert_eq!(get(&headers, "weir.dlq.length"), "300000");
            assert_eq!(get(&headers, "weir.dlq.sha256"), hex(&Sha256::digest(&big)));
        }
    }
}
