//! Lanes on the log in memory under crashes, zombies, lost answers and scaling, against a sequential run.
//!
//! A schedule is all that one seed decides: when events come, which lane ticks, where a
//! call fails, dies or sleeps past its session. Afterwards the committed outputs must be
//! those of a plain loop over the input, record for record, and so must the state. The
//! last tests switch one promise of the log off at a time and demand that this turns red.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use weir::event::Millis;
use weir::finding::Action;
use weir::inspect::StreamNotes;
use weir::pipeline::control::{Board, Standing};
use weir::pipeline::lane::{Lane, Settings};
use weir::pipeline::log::{Headers, InRecord, LogError, OutRecord, Topic};
use weir::pipeline::memory::{self, Call, Cluster, Connection, Fault, Moment, Sabotage};
use weir::pipeline::metrics::Metrics;
use weir::pipeline::step::Outcome;
use weir::pipeline::work::{Poison, Scanner, Work};
use weir::policy::Orders;
use weir::state::{Key, Partition, Staged, owner};

/// The outputs that are compared.
const OUTPUTS: [Topic; 4] = [Topic::Verdicts, Topic::Alerts, Topic::Audit, Topic::Dlq];
const SESSION_MS: i64 = 600;
const TRANSACTION_MS: i64 = 1_000;
/// How long an agent is silent before its timer fires.
const SILENCE_MS: i64 = 300;

/// Counts per agent, chains an audit, and fires a timer when an agent falls silent.
#[derive(Default)]
struct Counting;

/// Its stateless half, which knows nothing.
struct Looking;

struct Counted {
    turned_away: Option<Poison>,
}

fn key(owner: u8, id: &[u8]) -> Key {
    Key { owner, id: id.to_vec() }
}

fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(|bytes| bytes.first_chunk::<8>()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl Counting {
    fn write(out: &mut Vec<OutRecord>, topic: Topic, partition: i32, key: &[u8], value: Vec<u8>) {
        let (key, value) = (key.to_vec(), Some(value));
        out.push(OutRecord { topic, partition, key, value, headers: Headers::new() });
    }

    fn chain(staged: &mut Staged<'_>, partition: i32, what: &str, out: &mut Vec<OutRecord>) {
        let head = key(owner::AUDIT, b"");
        let (seq, prev) = match staged.get(&head) {
            Some(bytes) => (number(Some(bytes)), bytes[8..].to_vec()),
            None => (0, vec![0; 32]),
        };
        let mut value = seq.to_be_bytes().to_vec();
        value.extend(prev);
        value.extend(what.as_bytes());
        let mut next = (seq + 1).to_be_bytes().to_vec();
        next.extend(Sha256::digest(&value));
        staged.put(head, next, None);
        Self::write(out, Topic::Audit, partition, b"", value);
    }

    fn fire(staged: &mut Staged<'_>, partition: i32, now: Millis, out: &mut Vec<OutRecord>) {
        while let Some((deadline, agent)) = staged.due(now) {
            let count = staged.get(&agent).map(<[u8]>::to_vec).unwrap_or_default();
            let text = format!("silent since {} after {}", deadline.0, number(Some(&count)));
            Self::write(out, Topic::Alerts, partition, &agent.id, text.clone().into_bytes());
            Self::chain(staged, partition, &text, out);
            staged.put(agent, count, None);
        }
    }
}

impl Scanner for Looking {
    type Scanned = Counted;

    fn scan(&mut self, record: &InRecord) -> Counted {
        assert!(record.value.as_deref() != Some(b"panic in scan"), "as the test wants it");
        Counted { turned_away: None }
    }

    fn poisoned(&mut self, _record: &InRecord, why: Poison) -> Counted {
        Counted { turned_away: Some(why) }
    }

    fn reset(&mut self) {}
}

impl Work for Counting {
    type Scanned = Counted;

    fn control(&mut self, _: &mut Staged<'_>, _: i32, _: &Standing, _: &mut Vec<OutRecord>) {}

    fn record(
        &mut self,
        staged: &mut Staged<'_>,
        _standing: &Standing,
        record: &InRecord,
        scanned: &Counted,
        _scan_time: Duration,
        out: &mut Vec<OutRecord>,
    ) -> Option<Outcome> {
        let partition = record.partition;
        let now = staged.advance(record.timestamp);
        Self::fire(staged, partition, now, out);
        let agent = record.key.clone().unwrap_or_default();
        let id = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        let entry = key(owner::AGENT, &agent);
        let count = number(staged.get(&entry)) + 1;
        staged.put(entry, count.to_be_bytes(), Some(now.plus(SILENCE_MS)));
        if let Some(why) = scanned.turned_away {
            let text = format!("{id} {}", why.name()).into_bytes();
            Self::write(out, Topic::Dlq, partition, &agent, text);
            Self::write(out, Topic::Verdicts, partition, &agent, format!("block {id}").into());
            Self::chain(staged, partition, &id, out);
            return Some(Action::Block.into());
        }
        assert!(id != "panic in record", "as the test wants it");
        if id == "unwritable" {
            Self::write(out, Topic::Clean, 99, &agent, Vec::new());
        }
        Self::write(out, Topic::Verdicts, partition, &agent, format!("{id} is {count}").into());
        Self::chain(staged, partition, &id, out);
        Some(Action::Allow.into())
    }

    fn timers(
        &mut self,
        staged: &mut Staged<'_>,
        partition: i32,
        _standing: &Standing,
        now: Millis,
        out: &mut Vec<OutRecord>,
    ) -> StreamNotes {
        Self::fire(staged, partition, now, out);
        StreamNotes::default()
    }

    fn check(&self, _: i32, state: &Partition, last: Option<&[u8]>) -> Result<(), String> {
        let staged = Staged::new(state);
        let head = staged.get(&key(owner::AUDIT, b"")).map(|bytes| bytes[8..].to_vec());
        let last = last.map(|value| Sha256::digest(value).to_vec());
        if head == last { Ok(()) } else { Err("head and last record differ".into()) }
    }
}

/// A small generator, so that a seed means the same for ever.
pub(crate) struct Dice(Cell<u64>);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)))
    }

    pub(crate) fn roll(&self, below: u64) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    pub(crate) fn chance(&self, one_in: u64) -> bool {
        self.roll(one_in) == 0
    }
}

/// A call that fails, as a log might fail it.
pub(crate) fn fail(dice: &Dice, call: Call, moment: Moment) -> Fault {
    let text = || "as the schedule has it".to_owned();
    let error = match (call, moment) {
        (Call::EndTransaction, _) => LogError::Rebuild(text()),
        // A poll or a pause that fails has done nothing.
        (Call::Poll | Call::Pause | Call::Resume | Call::Seek, Moment::After) => {
            return Fault::None;
        }
        (Call::Begin | Call::Send | Call::SendOffsets | Call::Abort, _) => {
            // Aborts are left to a test of their own: six on end rightly turn a record away.
            match dice.roll(3) {
                0 => LogError::Retry(text()),
                1 => LogError::Moved(text()),
                _ => LogError::Rebuild(text()),
            }
        }
        _ => LogError::Retry(text()),
    };
    Fault::Fail(error)
}

type Slot = RefCell<Option<Lane<Connection, Counted>>>;

struct World {
    cluster: Arc<Cluster>,
    clock: Arc<AtomicI64>,
    dice: Dice,
    lanes: RefCell<Vec<Rc<Slot>>>,
    board: Board,
    metrics: Arc<Metrics>,
    /// Whether faults strike at all.
    trouble: Cell<bool>,
    /// A sleeper's others may sleep in turn, but not without end.
    depth: Cell<u32>,
    produced: Cell<u64>,
    connections: Cell<u64>,
}

const PARTITIONS: i32 = 3;

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> Rc<Self> {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let hands = Arc::clone(&clock);
        let settings = memory::Settings {
            partitions: PARTITIONS,
            session_timeout_ms: SESSION_MS,
            transaction_timeout_ms: TRANSACTION_MS,
            sabotage,
        };
        let now = Arc::new(move || Millis(hands.load(Ordering::Relaxed)));
        Rc::new(Self {
            cluster: Cluster::new(settings, now),
            clock,
            dice: Dice::of(seed),
            lanes: RefCell::default(),
            board: Board::fixed(Orders::default()),
            metrics: Arc::default(),
            trouble: Cell::new(true),
            depth: Cell::new(0),
            produced: Cell::new(0),
            connections: Cell::new(0),
        })
    }

    fn now(&self) -> Arc<dyn Fn() -> Millis + Send + Sync> {
        let hands = Arc::clone(&self.clock);
        Arc::new(move || Millis(hands.load(Ordering::Relaxed)))
    }

    fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms as i64, Ordering::Relaxed);
    }

    fn produce(&self, text: &str) {
        let agent = self.dice.roll(7);
        let key = Some(format!("agent {agent}").into_bytes());
        let value = Some(text.as_bytes().to_vec());
        let partition = agent as i32 % PARTITIONS;
        self.cluster.produce(Topic::Events, partition, key, value, Headers::new());
    }

    fn produce_some(&self) {
        for _ in 0..=self.dice.roll(3) {
            self.produced.set(self.produced.get() + 1);
            self.produce(&format!("event {}", self.produced.get()));
        }
    }

    /// A new process in a place: with the id of the one before it, or with one of its own.
    fn start(self: &Rc<Self>, place: usize) {
        let count = self.connections.get() + 1;
        self.connections.set(count);
        let id = if self.dice.chance(2) { format!("{place}") } else { format!("{place}-{count}") };
        let mut connection = self.cluster.connect(&id);
        let world = Rc::downgrade(self);
        connection.on_call(Box::new(move |call, moment| {
            world.upgrade().map_or(Fault::None, |world| world.strike(call, moment))
        }));
        let settings = Settings {
            batch_records: 1 + self.dice.roll(6) as usize,
            poll_wait: Duration::ZERO,
            timer_check_ms: 20,
            wait_min_ms: 5,
            wait_max_ms: 50,
            lag_ms: 500,
            ..Settings::default()
        };
        let lane = Lane::new(connection, place, settings, self.now(), Arc::clone(&self.metrics));
        let mut lanes = self.lanes.borrow_mut();
        while lanes.len() <= place {
            lanes.push(Rc::default());
        }
        *lanes[place].borrow_mut() = Some(lane);
    }

    fn tick(self: &Rc<Self>, place: usize) {
        let slot = self.lanes.borrow().get(place).cloned();
        // A lane that sleeps inside a call is taken out of its place, and cannot be ticked.
        let Some(mut lane) = slot.as_ref().and_then(|slot| slot.take()) else { return };
        match lane.tick(&mut Looking, &mut Counting, &self.board) {
            Ok(_) => *slot.unwrap().borrow_mut() = Some(lane),
            Err(LogError::Fatal(_)) => {
                lane.into_log().crash();
                self.start(place);
            }
            Err(other) => panic!("a tick fails only for good, not with {other}"),
        }
    }

    fn tick_any(self: &Rc<Self>) {
        let count = self.lanes.borrow().len() as u64;
        self.tick(self.dice.roll(count.max(1)) as usize);
    }

    /// What happens at a call.
    fn strike(self: &Rc<Self>, call: Call, moment: Moment) -> Fault {
        // Sends are many; a fault in every tenth of them would let nothing through.
        let rarity = if call == Call::Send { 150 } else { 40 };
        if !self.trouble.get() || !self.dice.chance(rarity) {
            return Fault::None;
        }
        match self.dice.roll(4) {
            0 => Fault::Crash,
            1 => {
                self.sleep();
                Fault::None
            }
            _ => fail(&self.dice, call, moment),
        }
    }

    /// The caller sleeps while the others go on, perhaps past its session or its transaction.
    fn sleep(self: &Rc<Self>) {
        if self.depth.get() >= 2 {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        self.pass(self.dice.roll(2 * TRANSACTION_MS as u64));
        for _ in 0..self.dice.roll(25) {
            self.pass(self.dice.roll(30));
            if self.dice.chance(3) {
                self.produce_some();
            }
            self.tick_any();
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// All faults over: whoever is left finishes, and a lane is there to do it.
    fn settle(self: &Rc<Self>) -> Result<(), String> {
        self.trouble.set(false);
        self.start(0);
        for _ in 0..5_000 {
            self.pass(20);
            for place in 0..self.lanes.borrow().len() {
                self.tick(place);
            }
            if self.done() {
                // Readers see nothing past a dead lane's open transaction until it times out.
                self.pass(TRANSACTION_MS as u64 + 1);
                return Ok(());
            }
        }
        let lanes = self.metrics.lanes();
        Err(format!("the lanes never came to the end: {lanes:?}"))
    }

    fn done(&self) -> bool {
        let mut live = 0;
        for slot in self.lanes.borrow().iter() {
            for (partition, next, state) in slot.borrow().iter().flat_map(Lane::live) {
                live += 1;
                let end = self.cluster.end(Topic::Events, partition);
                if next != end || self.cluster.committed(partition) != end {
                    return false;
                }
                if state.next_deadline().is_some() {
                    return false;
                }
            }
        }
        live == PARTITIONS
    }

    fn committed(&self, topic: Topic, partition: i32) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let (records, _) = self.cluster.read(topic, partition, 0, usize::MAX);
        records
            .iter()
            .map(|record| (record.key.clone().unwrap_or_default(), record.value.clone()))
            .collect()
    }

    /// The plain loop over one partition's input.
    fn oracle(&self, partition: i32) -> (Vec<OutRecord>, Partition) {
        let mut work = Counting;
        let standing = Standing::default();
        let base = Partition::default();
        let mut staged = Staged::new(&base);
        let mut out = Vec::new();
        for stored in self.cluster.read(Topic::Events, partition, 0, usize::MAX).0 {
            let record = stored.to_record(partition);
            let scanned = Looking.scan(&record);
            let none = Duration::ZERO;
            work.record(&mut staged, &standing, &record, &scanned, none, &mut out);
        }
        work.timers(&mut staged, partition, &standing, Millis(i64::MAX), &mut out);
        let changes = staged.into_changes();
        let mut state = Partition::default();
        state.apply(changes);
        (out, state)
    }

    /// Compares what was committed with the plain loop.
    fn verify(&self) -> Result<(), String> {
        for partition in 0..PARTITIONS {
            let (out, expected) = self.oracle(partition);
            for topic in OUTPUTS {
                let want: Vec<_> = out
                    .iter()
                    .filter(|record| record.topic == topic)
                    .map(|record| (record.key.clone(), record.value.clone()))
                    .collect();
                let got = self.committed(topic, partition);
                if want != got {
                    let at = want.iter().zip(&got).take_while(|(a, b)| a == b).count();
                    let (want, got) = (want.len(), got.len());
                    return Err(format!(
                        "{topic:?}/{partition}: {got} records, not the {want}; they part at {at}"
                    ));
                }
            }
            let mut restored = Partition::default();
            for (key, value) in self.committed(Topic::State, partition) {
                restored.restore(&key, value.as_deref()).map_err(|error| error.to_string())?;
            }
            if !restored.remembers_as(&expected) {
                return Err(format!("state of partition {partition} differs in the changelog"));
            }
            for slot in self.lanes.borrow().iter() {
                let lane = slot.borrow();
                let mut live = lane.iter().flat_map(Lane::live);
                if live.any(|(one, _, state)| one == partition && *state != restored) {
                    return Err(format!("state of partition {partition} differs in its lane"));
                }
            }
        }
        self.verify_chains()
    }

    fn verify_chains(&self) -> Result<(), String> {
        for partition in 0..PARTITIONS {
            let mut prev = vec![0; 32];
            for (seq, (_, value)) in self.committed(Topic::Audit, partition).iter().enumerate() {
                let value = value.as_deref().unwrap_or_default();
                if number(Some(value)) != seq as u64 || value.get(8..40) != Some(&prev[..]) {
                    return Err(format!("the chain of partition {partition} breaks at {seq}"));
                }
                prev = Sha256::digest(value).to_vec();
            }
        }
        Ok(())
    }
}

/// What made a schedule hard.
#[derive(Default)]
struct Hardship {
    /// Transactions that broke.
    broken: u64,
    /// Records that were scanned before the batch before theirs was committed.
    ahead: u64,
}

/// Runs one schedule and returns what is wrong with its outcome.
fn schedule(seed: u64, sabotage: Sabotage) -> Result<Hardship, String> {
    let world = World::new(seed, sabotage);
    for place in 0..=world.dice.roll(3) as usize {
        world.start(place);
    }
    while world.produced.get() < 40 {
        world.pass(world.dice.roll(40));
        match world.dice.roll(40) {
            0 => world.pass(world.dice.roll(1_500)),
            1 => {
                let place = world.dice.roll(4) as usize;
                world.start(place);
            }
            2 => {
                // Out in good order: the connection leaves the group as it is dropped.
                let slot = world.lanes.borrow().last().cloned();
                drop(slot.and_then(|slot| slot.take()));
            }
            3..=9 => world.produce_some(),
            _ => world.tick_any(),
        }
    }
    let outcome = world.settle().and_then(|()| world.verify());
    let hardship = Hardship {
        broken: world.metrics.rebuilds.get() + world.metrics.aborts.get(),
        ahead: world.metrics.scanned_ahead.get(),
    };
    // The world and its lanes know each other through hooks; this lets them go.
    world.lanes.borrow_mut().clear();
    outcome.map(|()| hardship)
}

#[test]
fn a_thousand_crash_schedules_equal_a_sequential_run() {
    let mut all = Hardship::default();
    for seed in 0..1_000 {
        match schedule(seed, Sabotage::None) {
            Ok(one) => {
                all.broken += one.broken;
                all.ahead += one.ahead;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    let Hardship { broken, ahead } = all;
    assert!(
        broken > 1_000,
        "the schedules broke only {broken} transactions: too tame to prove much"
    );
    assert!(ahead > 1_000, "only {ahead} records were scanned ahead: too few to prove much");
}

fn turns_red(sabotage: Sabotage) {
    let caught = (0..300).find_map(|seed| schedule(seed, sabotage).err());
    assert!(caught.is_some(), "300 schedules with {sabotage:?} and nobody noticed");
}

#[test]
fn without_fencing_the_oracle_turns_red() {
    turns_red(Sabotage::NoFence);
}

#[test]
fn with_offsets_outside_the_transaction_the_oracle_turns_red() {
    turns_red(Sabotage::OffsetsApart);
}

#[test]
fn without_restore_the_oracle_turns_red() {
    turns_red(Sabotage::NoRestore);
}

/// A world at peace with one lane, fed with these texts.
fn peaceful(texts: &[&str]) -> Rc<World> {
    let world = World::new(7, Sabotage::None);
    world.trouble.set(false);
    for text in texts {
        world.produce(text);
    }
    world
}

fn texts(world: &World, topic: Topic) -> Vec<String> {
    let mut all: Vec<String> = (0..PARTITIONS)
        .flat_map(|partition| world.committed(topic, partition))
        .map(|(_, value)| String::from_utf8_lossy(&value.unwrap_or_default()).into_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn a_record_that_panics_or_cannot_be_written_is_turned_away_and_the_others_pass() {
    let bad = ["panic in scan", "panic in record", "unwritable"];
    let world = peaceful(&[&["one", "two"], &bad[..], &["three"]].concat());
    world.settle().unwrap();
    assert_eq!(
        texts(&world, Topic::Dlq),
        ["panic in record panicked", "panic in scan panicked", "unwritable unwritable"]
    );
    let verdicts = texts(&world, Topic::Verdicts);
    assert_eq!(verdicts.len(), 6);
    assert_eq!(verdicts.iter().filter(|text| text.starts_with("block")).count(), 3);
    assert_eq!(world.metrics.panics.get(), 2);
    assert_eq!(world.metrics.poisoned.get(), 1);
    world.verify_chains().unwrap();
}

#[test]
fn stale_orders_hold_every_partition_until_they_are_fresh() {
    let world = peaceful(&["one"]);
    let board = Board::new(5_000);
    world.start(0);
    let tick = |times: usize| {
        let slot = Rc::clone(&world.lanes.borrow()[0]);
        for _ in 0..times {
            world.pass(20);
            slot.borrow_mut().as_mut().unwrap().tick(&mut Looking, &mut Counting, &board).unwrap();
        }
    };
    tick(50);
    assert!(texts(&world, Topic::Verdicts).is_empty(), "no orders were ever read");
    board.refreshed(Millis(world.clock.load(Ordering::Relaxed)));
    tick(50);
    assert_eq!(texts(&world, Topic::Verdicts).len(), 1);
    world.pass(5_001);
    world.produce("two");
    tick(50);
    assert_eq!(texts(&world, Topic::Verdicts).len(), 1, "the orders are six seconds old");
    board.refreshed(Millis(world.clock.load(Ordering::Relaxed)));
    tick(50);
    assert_eq!(texts(&world, Topic::Verdicts).len(), 2);
}

#[test]
fn an_idle_lane_with_a_due_timer_that_slept_past_its_session_commits_nothing() {
    let world = peaceful(&["one"]);
    world.start(0);
    for _ in 0..20 {
        world.pass(5);
        world.tick(0);
    }
    assert_eq!(texts(&world, Topic::Verdicts).len(), 1);
    let sleeper = world.lanes.borrow()[0].take().unwrap();
    let before = texts(&world, Topic::Alerts);
    world.pass(SESSION_MS as u64 + SILENCE_MS as u64 + 500);
    world.start(1);
    for _ in 0..20 {
        world.pass(20);
        world.tick(1);
    }
    assert_eq!(texts(&world, Topic::Alerts).len(), before.len() + 1, "the heir fires the timer");
    *world.lanes.borrow()[0].borrow_mut() = Some(sleeper);
    for _ in 0..100 {
        world.pass(20);
        world.tick(0);
        world.tick(1);
    }
    assert_eq!(texts(&world, Topic::Alerts).len(), before.len() + 1, "the sleeper wrote nothing");
    world.settle().unwrap();
    world.verify().unwrap();
}
