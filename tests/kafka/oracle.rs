//! What a sequential pure run makes of the same input, and comparing it with what Kafka holds.
//!
//! The run takes the events topic as it was read back, with the broker's offsets and
//! timestamps, and goes through each partition in offset order with nothing but the pure
//! step. Outputs of each topic's partition must be the same records in the same order,
//! which is more than equality as a multiset with order per agent. Timers that were due
//! after the last event may or may not have fired when the topics were read, so of those
//! any first part may be there.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::Millis;
use weir::inspect::Table;
use weir::patterns::RuleSet;
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::{Sequential, Step};
use weir::policy::Policy;
use weir::redact::Key32;
use weir::state::Partition;

use crate::records::{Follower, Read};
use crate::site::Site;

/// The topics whose records are compared, with their names in the configuration.
const COMPARED: [(Topic, &str); 6] = [
    (Topic::Verdicts, "verdicts"),
    (Topic::Clean, "clean"),
    (Topic::Alerts, "alerts"),
    (Topic::Audit, "audit"),
    (Topic::Dlq, "dlq"),
    (Topic::Shared, "shared"),
];

/// How far beyond the last event timers are fired for the part that may be there.
const TIMERS_UNTIL_MS: i64 = 3_600_000;

/// A record without what differs between two runs that are the same.
type Plain = (Vec<u8>, Option<String>, Vec<(String, Vec<u8>)>);

/// What one partition must hold.
#[derive(Default)]
struct Expected {
    certain: BTreeMap<Topic, Vec<Plain>>,
    possible: BTreeMap<Topic, Vec<Plain>>,
}

/// The shipped pack, which takes seconds to compile.
static SHIPPED: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let set = weir::patterns::load(&weir::patterns::builtin()).expect("the shipped pack loads");
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Auto);
    Arc::new(rules.expect("the shipped pack compiles"))
});

/// The pure run.
pub(crate) struct Oracle {
    rules: Arc<Rules>,
    step: Step,
    /// By partition and offset of an event: the entries of other partitions that its decision
    /// looked at.
    used: BTreeMap<(i32, i64), Table>,
}

impl Oracle {
    /// With the shipped pack and policy.
    pub(crate) fn new(site: &Site) -> Self {
        let rules = Arc::clone(&SHIPPED);
        let pack = rules.set.hash.clone();
        let partitions = u32::try_from(site.partitions).expect("a small number");
        let mut step = Step::new(site.lanes_topic(), partitions, pack);
        step.control_topic = site.topic("control");
        Self { rules, step, used: BTreeMap::new() }
    }

    /// With a fingerprint key, and the entries of other partitions that audit names: the one
    /// thing that a run of one partition cannot know.
    pub(crate) fn with_shared(mut self, site: &Site, key: [u8; 32]) -> Self {
        self.step.setup.keys.fingerprint = Some(Key32(key));
        let (audit, shared) = (site.topic("audit"), site.topic("shared"));
        let mut follower = Follower::new(&site.broker.address, &[audit.clone(), shared.clone()]);
        follower.settle(Duration::from_secs(2));
        let told: BTreeMap<(i64, i64), &Read> = follower
            .of(&shared)
            .map(|read| ((i64::from(read.partition), read.offset), read))
            .collect();
        let number = |json: &Value, name: &str| json[name].as_i64().expect("a number");
        for record in follower.of(&audit) {
            let json = record.json();
            for place in json["shared"].as_array().into_iter().flatten() {
                let place = (number(place, "partition"), number(place, "offset"));
                let entry = told[&place];
                let at = (record.partition, number(&json["at"], "offset"));
                self.used
                    .entry(at)
                    .or_default()
                    .apply(
                        (entry.partition, entry.offset),
                        entry.key.as_deref().expect("a key"),
                        entry.value.as_deref(),
                    )
                    .expect("an entry");
            }
        }
        self
    }

    /// How many decisions looked at what other partitions had told.
    pub(crate) fn looked(&self) -> usize {
        self.used.len()
    }

    /// With another policy, and nothing said of behaviour.
    pub(crate) fn with_policy(mut self, policy: Policy) -> Self {
        self.step.setup.policy = policy;
        self.step.setup.behavior.mode = weir::baseline::Mode::Off;
        self
    }

    /// With other rules, which the instance knows by this hash.
    pub(crate) fn with_rules(mut self, set: RuleSet, pack: &str) -> Self {
        let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Rust);
        self.rules = Arc::new(rules.expect("the rules compile"));
        pack.clone_into(&mut self.step.pack);
        self
    }

    fn run(&self, inputs: &[InRecord]) -> Expected {
        let mut run = Sequential::new(&self.step, &self.rules);
        let (mut out, mut later) = (Vec::new(), Vec::new());
        for record in inputs {
            let used = self.used.get(&(record.partition, record.offset)).unwrap_or(Table::NONE);
            run.record_among(used, record, |_, _| (), &mut out);
        }
        if let Some(latest) = inputs.iter().map(|record| record.timestamp).max() {
            run.timers(latest.plus(TIMERS_UNTIL_MS), &mut later);
        }
        Expected { certain: by_topic(out), possible: by_topic(later) }
    }
}

/// Reads all topics of a site to their end and holds them against the pure run: nothing lost, doubled or out of order.
pub(crate) fn assert_same_as_sequential(site: &Site) {
    assert_same(site, &Oracle::new(site));
}

/// The same, for a run of one's own making.
pub(crate) fn assert_same(site: &Site, oracle: &Oracle) {
    let compared = COMPARED.iter().map(|(_, name)| site.topic(name));
    let topics: Vec<String> = std::iter::once(site.lanes_topic()).chain(compared).collect();
    let mut follower = Follower::new(&site.broker.address, &topics);
    follower.settle(Duration::from_secs(2));

    let mut inputs: BTreeMap<i32, Vec<InRecord>> = BTreeMap::new();
    for record in follower.of(&site.lanes_topic()) {
        inputs.entry(record.partition).or_default().push(in_record(record));
    }
    let mut actual: BTreeMap<(i32, &str), Vec<(i64, Plain)>> = BTreeMap::new();
    for record in &follower.seen {
        let found = COMPARED.iter().find(|(_, name)| site.topic(name) == record.topic);
        if let Some((_, name)) = found {
            actual
                .entry((record.partition, name))
                .or_default()
                .push((record.offset, plain(record)));
        }
    }
    let nothing = Vec::new();
    for (partition, records) in &mut inputs {
        records.sort_by_key(|record| record.offset);
        let expected = oracle.run(records);
        for (topic, name) in COMPARED {
            let have = actual.remove(&(*partition, name)).unwrap_or_default();
            let certain = expected.certain.get(&topic).unwrap_or(&nothing);
            let possible = expected.possible.get(&topic).unwrap_or(&nothing);
            let place = format!("{name}, partition {partition}");
            for (index, want) in certain.iter().enumerate() {
                match have.get(index) {
                    None => panic!(
                        "{place}: {} of {} records are there; the first missing one is {}",
                        have.len(),
                        certain.len(),
                        show(want)
                    ),
                    Some((offset, got)) if got != want => panic!(
                        "{place}: record {index} (offset {offset}) is\n{}\nand should be\n{}",
                        show(got),
                        show(want)
                    ),
                    Some(_) => {}
                }
            }
            for (index, (offset, got)) in have.iter().enumerate().skip(certain.len()) {
                assert!(
                    possible.get(index - certain.len()) == Some(got),
                    "{place}: one record too many (offset {offset}): {}",
                    show(got)
                );
            }
        }
    }
    assert!(
        actual.is_empty(),
        "there is output in partitions without input: {:?}",
        actual.keys().collect::<Vec<_>>()
    );
}

/// Restores each partition from its changelog and holds it against the pure run's: what is
/// remembered must be the same, byte for byte. No timer may have been due since the last event.
pub(crate) fn assert_same_state(site: &Site, oracle: &Oracle) {
    let (events, state) = (site.lanes_topic(), site.topic("state"));
    let mut follower = Follower::new(&site.broker.address, &[events.clone(), state.clone()]);
    follower.settle(Duration::from_secs(2));
    let mut run = Sequential::new(&oracle.step, &oracle.rules);
    let mut inputs: Vec<&Read> = follower.of(&events).collect();
    inputs.sort_by_key(|record| (record.partition, record.offset));
    for record in inputs {
        run.record(&in_record(record), &mut Vec::new());
    }
    let mut restored: BTreeMap<i32, Partition> = BTreeMap::new();
    for record in follower.of(&state) {
        let partition = restored.entry(record.partition).or_default();
        let key = record.key.as_deref().expect("a key");
        partition.restore(key, record.value.as_deref()).expect("a state record");
    }
    assert!(!run.states().is_empty());
    for (number, expected) in run.states() {
        let have =
            restored.get(number).unwrap_or_else(|| panic!("partition {number} has no state"));
        assert!(have.remembers_as(expected), "partition {number} remembers something else");
    }
}

/// As the lane sees it.
fn in_record(record: &Read) -> InRecord {
    InRecord {
        partition: record.partition,
        offset: record.offset,
        timestamp: Millis(record.timestamp),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    }
}

fn by_topic(records: Vec<OutRecord>) -> BTreeMap<Topic, Vec<Plain>> {
    let mut all: BTreeMap<Topic, Vec<Plain>> = BTreeMap::new();
    for record in records {
        let value = record.value.as_deref().map(without_timing);
        all.entry(record.topic).or_default().push((record.key, value, record.headers));
    }
    all
}

fn plain(record: &Read) -> Plain {
    (
        record.key.clone().unwrap_or_default(),
        record.value.as_deref().map(without_timing),
        record.headers.clone(),
    )
}

/// The value as text; of a verdict, without the one member that tells how long it took.
fn without_timing(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let Some((before, after)) = text.split_once("\"took_us\":") else {
        return text.into_owned();
    };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}\"took_us\":0{rest}")
}

fn show(record: &Plain) -> String {
    format!("{} -> {:?}", String::from_utf8_lossy(&record.0), record.1)
}
