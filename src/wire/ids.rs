//! Ids of what Weir writes: the same input gives the same id, in every run and replay.
//!
//! An id is a version 5 UUID over the original record's coordinates, so a record that is
//! written again after a crash, or found by replay, carries the id that it had before,
//! and readers that must not act twice can tell.

use uuid::Uuid;

/// The space in which Weir's ids are unique. Changing it changes every id.
const SPACE: Uuid = Uuid::from_bytes([
    0x77, 0x65, 0x69, 0x72, 0x2e, 0x69, 0x64, 0x73, 0x8c, 0x3a, 0x1f, 0x5e, 0x90, 0x42, 0x6b, 0xd7,
]);

/// What an id is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A verdict.
    Verdict,
    /// A clean event.
    Clean,
    /// An alert; the ordinal counts those of one event.
    Alert,
    /// An alert that a timer sent: there is one of these for an episode.
    AlertTimer,
    /// An episode of alerts.
    Episode,
    /// An audit record.
    Audit,
    /// A record of the dead-letter queue.
    Dlq,
    /// A hold that waits for approval.
    Hold,
}

impl OutputKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Verdict,
        Self::Clean,
        Self::Alert,
        Self::AlertTimer,
        Self::Episode,
        Self::Audit,
        Self::Dlq,
        Self::Hold,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Clean => "clean",
            Self::Alert => "alert",
            Self::AlertTimer => "alert_timer",
            Self::Episode => "episode",
            Self::Audit => "audit",
            Self::Dlq => "dlq",
            Self::Hold => "hold",
        }
    }
}

/// The id of the `ordinal`-th output of that kind that the record at these coordinates causes.
/// For a re-keyed record the coordinates are those of its origin.
#[must_use]
pub fn uuid(topic: &str, partition: i32, offset: i64, kind: OutputKind, ordinal: u32) -> String {
    let mut name = Vec::with_capacity(topic.len() + 32);
    name.extend_from_slice(&partition.to_be_bytes());
    name.extend_from_slice(&offset.to_be_bytes());
    name.extend_from_slice(&ordinal.to_be_bytes());
    name.extend_from_slice(kind.name().as_bytes());
    // The kind is the only part before the topic whose length is not fixed.
    name.push(0);
    name.extend_from_slice(topic.as_bytes());
    Uuid::new_v5(&SPACE, &name).hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_coordinates_counts_and_ids_never_change() {
        let mut seen = std::collections::BTreeSet::new();
        for topic in ["weir.events", "weir.events2"] {
            for partition in [0, 1, 256] {
                for offset in [0, 1, 1 << 40] {
                    for kind in OutputKind::ALL {
                        for ordinal in [0, 1] {
                            assert!(seen.insert(uuid(topic, partition, offset, kind, ordinal)));
                        }
                    }
                }
            }
        }
        let id = uuid("weir.events", 3, 41, OutputKind::Verdict, 0);
        assert_eq!(id.as_bytes()[14], b'5', "{id} is a version 5 UUID");
        // Written down so that a change of the scheme does not go unnoticed.
        assert_eq!(id, "c824d0ba-18e2-503e-986c-cb4280346b42");
    }
}
