//! Re-keying on the log in memory under crashes and failed calls: each event arrives once, on its
//! agent's partition, in the order of the partition that it came from.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use weir::event::Millis;
use weir::inspect::partition_of;
use weir::pipeline::control::Board;
use weir::pipeline::lane::{Lane, Settings};
use weir::pipeline::log::{LogError, Now, Topic};
use weir::pipeline::memory::{self, Cluster, Connection, Fault};
use weir::pipeline::metrics::Metrics;
use weir::pipeline::rekey::{Forwarding, Place, Rekey};
use weir::policy::Orders;
use weir::wire::event::{FieldMap, ReadLimits};

use crate::simulation::{Dice, fail};

const PARTITIONS: i32 = 3;

struct World {
    cluster: Arc<Cluster>,
    clock: Arc<AtomicI64>,
    dice: Rc<Dice>,
    trouble: Rc<Cell<bool>>,
    metrics: Arc<Metrics>,
    /// Processes that died.
    crashes: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let settings = memory::Settings {
            partitions: PARTITIONS,
            session_timeout_ms: 600,
            transaction_timeout_ms: 1_000,
            ..memory::Settings::default()
        };
        Self {
            cluster: Cluster::new(settings, now(&clock)),
            clock,
            dice: Rc::new(Dice::of(seed)),
            trouble: Rc::new(Cell::new(true)),
            metrics: Arc::default(),
            crashes: 0,
        }
    }

    fn start(&self, place: usize) -> Lane<Connection, Place> {
        let mut connection = self.cluster.connect(&place.to_string());
        let (dice, trouble) = (Rc::clone(&self.dice), Rc::clone(&self.trouble));
        connection.on_call(Box::new(move |call, moment| {
            if !trouble.get() || !dice.chance(25) {
                Fault::None
            } else if dice.chance(4) {
                Fault::Crash
            } else {
                fail(&dice, call, moment)
            }
        }));
        let settings = Settings {
            batch_records: 1 + self.dice.roll(6) as usize,
            poll_wait: Duration::ZERO,
            wait_min_ms: 5,
            wait_max_ms: 50,
            ..Settings::default()
        };
        Lane::new(connection, place, settings, now(&self.clock), Arc::clone(&self.metrics))
    }

    /// An event of an agent, wherever it falls.
    fn produce(&self, number: u64) {
        let agent = self.dice.roll(7);
        let value = format!(
            r#"{{"v":1,"id":"e{number}","ts":1,"kind":"prompt","agent":{{"id":"agent {agent}"}},"text":"hi"}}"#
        );
        let partition = self.dice.roll(PARTITIONS as u64) as i32;
        let key = Some(b"a conversation".to_vec());
        let value = Some(value.into_bytes());
        self.cluster.produce(Topic::Events, partition, key, value, Vec::new());
    }

    fn tick(&mut self, lanes: &mut [Option<Lane<Connection, Place>>], place: usize, rekey: &Rekey) {
        let board = Board::fixed(Orders::default());
        let mut lane = lanes[place].take().unwrap();
        lanes[place] = Some(match lane.tick(&mut rekey.reading(), &mut Forwarding, &board) {
            Ok(_) => lane,
            Err(LogError::Fatal(_)) => {
                lane.into_log().crash();
                self.crashes += 1;
                self.start(place)
            }
            Err(other) => panic!("a tick fails only for good, not with {other}"),
        });
    }

    fn is_done(&self) -> bool {
        let all = |partition| {
            self.cluster.committed(partition) == self.cluster.end(Topic::Events, partition)
        };
        (0..PARTITIONS).all(all)
    }
}

fn now(clock: &Arc<AtomicI64>) -> Now {
    let hands = Arc::clone(clock);
    Arc::new(move || Millis(hands.load(Ordering::Relaxed)))
}

/// Runs one schedule; gives how many processes died in it.
fn schedule(seed: u64) -> u32 {
    let mut world = World::new(seed);
    let rekey = Rekey {
        partitions: PARTITIONS as u32,
        map: FieldMap::default(),
        read: ReadLimits::default(),
        message_bytes_max: 1_000_000,
    };
    let mut lanes: Vec<_> = (0..2).map(|place| Some(world.start(place))).collect();
    let mut produced = 0;
    for _ in 0..150 {
        world.clock.fetch_add(world.dice.roll(30) as i64, Ordering::Relaxed);
        if world.dice.chance(3) {
            produced += 1;
            world.produce(produced);
        }
        let place = world.dice.roll(2) as usize;
        world.tick(&mut lanes, place, &rekey);
    }
    world.trouble.set(false);
    for _ in 0..5_000 {
        if world.is_done() {
            break;
        }
        world.clock.fetch_add(20, Ordering::Relaxed);
        for place in 0..2 {
            world.tick(&mut lanes, place, &rekey);
        }
    }
    assert!(world.is_done(), "seed {seed}: {:?}", world.metrics.lanes());
    // Readers see nothing past a dead lane's open transaction until it times out.
    world.clock.fetch_add(1_001, Ordering::Relaxed);
    let mut ids = BTreeSet::new();
    let mut last: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for stored in world.cluster.read(Topic::ByAgent, partition, 0, usize::MAX).0 {
            let value = stored.value.as_deref().unwrap();
            let json: serde_json::Value = serde_json::from_slice(value).unwrap();
            let agent = json["agent"]["id"].as_str().unwrap().to_owned();
            assert_eq!(partition, partition_of(&agent, PARTITIONS as u32), "seed {seed}");
            assert_eq!(stored.key.as_deref(), Some(agent.as_bytes()));
            assert!(ids.insert(json["id"].to_string()), "seed {seed}: {json} came twice");
            let [(_, from)] = stored.headers.as_slice() else { panic!("{:?}", stored.headers) };
            let from = std::str::from_utf8(from).unwrap();
            let (of, offset) = from.split_once('/').unwrap();
            let offset: i64 = offset.parse().unwrap();
            let before = last.insert((agent, of.parse().unwrap()), offset);
            assert!(before.is_none_or(|before| before < offset), "seed {seed}: {from}");
        }
    }
    assert_eq!(ids.len() as u64, produced, "seed {seed}: events were lost");
    world.crashes
}

#[test]
fn two_hundred_crash_schedules_lose_and_double_nothing() {
    let crashes: u32 = (0..200).map(schedule).sum();
    assert!(crashes > 100, "{crashes} crashes prove little");
}
