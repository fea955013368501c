//! Every event to the partition that its agent's id leads to, before anything else is done with it.
//!
//! For producers that cannot use the Java client's partitioner, or that key by something
//! else: a lane of its own reads the events topic in a group of its own and writes each
//! record, as it came, once, into a topic that the other lanes read. An agent's order is
//! that of its partition; where an agent came on several, it is the order in which they
//! were read. A record of which no agent can be made out goes to its own partition's
//! number, where it becomes a dead letter.
//!
//! | header | says |
//! |---|---|
//! | `weir.rekey.from` | `partition/offset` in the topic that it was read from |
//! | `weir.rekey.cut` | why only the first 64 KB of it are there; lanes turn it away |

use std::time::Duration;

use crate::event::Millis;
use crate::finding::Action;
use crate::inspect::{StreamNotes, partition_of};
use crate::pipeline::control::Standing;
use crate::pipeline::log::{InRecord, OutRecord, Topic};
use crate::pipeline::step::Outcome;
use crate::pipeline::work::{Poison, Scanner, Work};
use crate::state::{Partition, Staged};
use crate::wire::dlq::STUB_BYTES;
use crate::wire::event::{FieldMap, ReadLimits, UnreadableReason, read};
use crate::wire::headers::{bytes_of, header, without};

const OWN: &str = "weir.rekey.";
const FROM: &str = "weir.rekey.from";
const CUT: &str = "weir.rekey.cut";
/// Room for what a record carries beside key, value and headers.
const FRAME_BYTES: usize = 512;

/// Where records go, and how they are read.
#[derive(Clone, Debug)]
pub struct Rekey {
    /// Partitions of the topic that is written.
    pub partitions: u32,
    /// How foreign JSON is read.
    pub map: FieldMap,
    /// What reading one record may cost.
    pub read: ReadLimits,
    /// No record is written that is larger, headers and key included.
    pub message_bytes_max: usize,
}

/// Where one record goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    partition: i32,
    key: Vec<u8>,
    /// Why it cannot go whole.
    cut: Option<&'static str>,
}

impl Rekey {
    /// The half of a lane that needs no order.
    #[must_use]
    pub fn reading(&self) -> Reading<'_> {
        Reading { rekey: self }
    }

    fn place(&self, record: &InRecord) -> Place {
        let agent =
            record.value.as_deref().and_then(|value| match read(value, &self.map, &self.read) {
                Ok(event) => Some(event.agent.into_owned()),
                Err(unreadable) => unreadable.agent,
            });
        let mut place = match agent {
            Some(agent) => Place {
                partition: partition_of(&agent, self.partitions),
                key: agent.into_bytes(),
                cut: None,
            },
            None => self.stay(record),
        };
        let headers = bytes_of(&record.headers);
        let value = record.value.as_ref().map_or(0, Vec::len);
        if value + headers + place.key.len() + FRAME_BYTES > self.message_bytes_max {
            place.cut = Some(UnreadableReason::TooLarge.name());
        }
        place
    }

    /// The same partition's number, as far as there is one.
    fn stay(&self, record: &InRecord) -> Place {
        let partition = record.partition.rem_euclid(self.partitions.max(1) as i32);
        Place { partition, key: record.key.clone().unwrap_or_default(), cut: None }
    }
}

/// Why a record was cut when it was re-keyed, where it was.
#[must_use]
pub fn cut(record: &InRecord) -> Option<&'static str> {
    let (_, why) = record.headers.iter().find(|(name, _)| name == CUT)?;
    let known = [UnreadableReason::TooLarge.name(), Poison::Unwritable.name()];
    // Whoever writes the header himself is turned away likewise.
    Some(known.into_iter().find(|known| known.as_bytes() == why).unwrap_or(known[0]))
}

/// The stateless half: whose record it is.
pub struct Reading<'r> {
    rekey: &'r Rekey,
}

impl Scanner for Reading<'_> {
    type Scanned = Place;

    fn scan(&mut self, record: &InRecord) -> Place {
        self.rekey.place(record)
    }

    fn poisoned(&mut self, record: &InRecord, why: Poison) -> Place {
        // One that cannot be read without a panic is left to the lanes, which turn it away.
        let mut place = self.rekey.stay(record);
        place.cut = (why == Poison::Unwritable).then(|| why.name());
        place
    }

    fn reset(&mut self) {}
}

/// The other half, without state: the record goes on. One that does not stay on its
/// partition's number is counted as misrouted.
pub struct Forwarding;

impl Work for Forwarding {
    type Scanned = Place;

    fn control(&mut self, _: &mut Staged<'_>, _: i32, _: &Standing, _: &mut Vec<OutRecord>) {}

    fn record(
        &mut self,
        _staged: &mut Staged<'_>,
        _standing: &Standing,
        record: &InRecord,
        place: &Place,
        _scan_time: Duration,
        out: &mut Vec<OutRecord>,
    ) -> Option<Outcome> {
        let value = record.value.as_deref();
        let (value, mut headers) = match place.cut {
            None => (value, without(record.headers.clone(), &[OWN])),
            Some(why) => {
                let head = value.map(|value| value.get(..STUB_BYTES).unwrap_or(value));
                (head, vec![header(CUT, why)])
            }
        };
        headers.push(header(FROM, format!("{}/{}", record.partition, record.offset)));
        out.push(OutRecord {
            topic: Topic::ByAgent,
            partition: place.partition,
            key: place.key.clone(),
            value: value.map(<[u8]>::to_vec),
            headers,
        });
        let mut outcome = Outcome::from(Action::Allow);
        outcome.notes.misrouted = place.partition != record.partition;
        Some(outcome)
    }

    fn timers(
        &mut self,
        _: &mut Staged<'_>,
        _: i32,
        _: &Standing,
        _: Millis,
        _: &mut Vec<OutRecord>,
    ) -> StreamNotes {
        StreamNotes::default()
    }

    fn keeps_state(&self) -> bool {
        false
    }

    fn check(&self, _: i32, _: &Partition, _: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rekey() -> Rekey {
        Rekey {
            partitions: 12,
            map: FieldMap::default(),
            read: ReadLimits::default(),
            message_bytes_max: 4_000,
        }
    }

    fn record(value: Option<&str>) -> InRecord {
        InRecord {
            partition: 14,
            offset: 7,
            timestamp: Millis(5),
            key: Some(b"conversation 9".to_vec()),
            value: value.map(|value| value.as_bytes().to_vec()),
            headers: vec![header("app", "x"), header(CUT, "forged"), header(FROM, "0/0")],
        }
    }

    fn forward(record: &InRecord, poison: Option<Poison>) -> (OutRecord, bool) {
        let rekey = rekey();
        let mut reading = rekey.reading();
        let place = match poison {
            Some(why) => reading.poisoned(record, why),
            None => reading.scan(record),
        };
        let (state, standing) = (Partition::default(), Standing::default());
        let (mut staged, mut out) = (Staged::new(&state), Vec::new());
        let none = Duration::ZERO;
        let outcome = Forwarding.record(&mut staged, &standing, record, &place, none, &mut out);
        assert_eq!(out.len(), 1);
        (out.remove(0), outcome.is_some_and(|outcome| outcome.notes.misrouted))
    }

    const EVENT: &str =
        r#"{"v":1,"id":"e","ts":1,"agent":{"id":"bot"},"kind":"prompt","content":{"text":"hi"}}"#;

    #[test]
    fn an_event_goes_to_its_agents_partition_as_it_came() {
        let (out, moved) = forward(&record(Some(EVENT)), None);
        assert_eq!((out.topic, out.partition), (Topic::ByAgent, partition_of("bot", 12)));
        assert_eq!(
            (out.key.as_slice(), out.value.as_deref()),
            (&b"bot"[..], Some(EVENT.as_bytes()))
        );
        assert_eq!(out.headers, [header("app", "x"), header(FROM, "14/7")]);
        assert!(moved);
    }

    #[test]
    fn what_names_no_agent_stays_where_it_is() {
        for value in [None, Some("no event"), Some("{}")] {
            let (out, _) = forward(&record(value), None);
            assert_eq!(
                (out.partition, out.key.as_slice()),
                (2, &b"conversation 9"[..]),
                "{value:?}"
            );
            assert_eq!(out.value.as_deref(), value.map(str::as_bytes));
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let long = EVENT.replace("hi", &"x".repeat(100_000));
        let (out, _) = forward(&record(Some(&long)), None);
        assert_eq!(out.partition, partition_of("bot", 12), "whose it is can be made out");
        assert_eq!(out.value.as_ref().map(Vec::len), Some(STUB_BYTES));
        let back = InRecord { headers: out.headers, ..record(None) };
        assert_eq!(cut(&back), Some("too_large"));
        let (out, _) = forward(&record(Some(EVENT)), Some(Poison::Unwritable));
        assert_eq!(cut(&InRecord { headers: out.headers, ..record(None) }), Some("unwritable"));
        let (out, _) = forward(&record(Some(EVENT)), Some(Poison::Panicked));
        assert_eq!(cut(&InRecord { headers: out.headers, ..record(None) }), None);
    }
}
