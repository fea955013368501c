//! What partitions tell each other: the same decisions whatever crashes, and leaks found across partitions.
//!
//! A schedule is all that one seed decides: what is said to whom, which lane ticks, where a call
//! fails or a process dies, and how far each lane lags behind what the others have told. The
//! entries that a decision looked at stand in its audit record. A plain run over each partition's
//! events that is given exactly those entries must write the same records, byte for byte.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::Millis;
use weir::inspect::{ENTRY_BYTES, Readers, StreamNotes, Table};
use weir::patterns::{SourceFile, load};
use weir::pipeline::control::{Board, Standing};
use weir::pipeline::lane::{self, Lane};
use weir::pipeline::log::{Headers, InRecord, LogError, Now, OutRecord, Topic};
use weir::pipeline::memory::{
    Call, Cluster, Connection, Fault, MemoryShared, Moment, Settings, Stored,
};
use weir::pipeline::metrics::Metrics;
use weir::pipeline::run::{Pack, Site, run};
use weir::pipeline::shared::{Known, SharedLog as _, take};
use weir::pipeline::step::{Outcome, Scanned, Sequential, Step};
use weir::pipeline::work::{Poison, Scanner, Work};
use weir::policy::{Orders, Policy};
use weir::redact::Key32;
use weir::state::{Partition, Staged, owner};

const PARTITIONS: i32 = 3;

/// Keys of the form `key-` and twelve digits, and people's numbers.
static RULES: LazyLock<Rules> = LazyLock::new(rules);

fn rules() -> Rules {
    let rule = |family: &str, regex: &str, good: &str| {
        format!(
            "  - id: {family}.test\n    name: Test\n    message: a value\n    family: {family}\n    type: {family}.test\n    severity: high\n    confidence: high\n    regex: '{regex}'\n    tags: [OWASP-LLM02]\n    references: ['https://example.com/']\n    examples: ['{good}']\n    negative_examples: ['nothing']\n"
        )
    };
    let text = format!(
        "rules:\n{}{}",
        rule("secrets", "key-[0-9]{12}", "key-123456789012"),
        rule("pii", "person-[0-9]{9}", "person-123456789")
    );
    let set = load(&[SourceFile { path: "secrets/test.yml".to_owned(), text }]).unwrap();
    Rules::compile(set, ScanLimits::default(), EngineKind::Rust).unwrap()
}

fn step(taint: &str) -> Step {
    let mut step = Step::new("weir.events", PARTITIONS as u32, "pack");
    let text = format!("{}\ntaint: {taint}\n", Policy::SHIPPED);
    step.setup.policy = Policy::read("p.yml", &text).unwrap();
    step.setup.keys.fingerprint = Some(Key32([7; 32]));
    step.setup.behavior.mode = weir::baseline::Mode::Off;
    step
}

struct Looking<'s> {
    step: &'s Step,
}

impl Scanner for Looking<'_> {
    type Scanned = Scanned<'static>;

    fn scan(&mut self, record: &InRecord) -> Scanned<'static> {
        self.step.scan(&mut RULES.scratch(), record).into_owned()
    }

    fn poisoned(&mut self, record: &InRecord, why: Poison) -> Scanned<'static> {
        self.step.refuse(record, why.name())
    }

    fn reset(&mut self) {}
}

/// Decides as `run` does, with a table that lags as the dice have it.
struct Deciding<'s> {
    step: &'s Step,
    readers: Readers<'s>,
    dice: Rc<Dice>,
    reader: MemoryShared,
    table: Table,
    pinned: Table,
}

impl Work for Deciding<'_> {
    type Scanned = Scanned<'static>;

    fn control(&mut self, _: &mut Staged<'_>, _: i32, _: &Standing, _: &mut Vec<OutRecord>) {
        if self.dice.chance(2) {
            let news = self.reader.refresh(Duration::ZERO).unwrap();
            take(&mut self.table, &news.records, &Known::default());
        }
        if self.dice.chance(2) {
            self.pinned = self.table.clone();
        }
    }

    fn record(
        &mut self,
        staged: &mut Staged<'_>,
        standing: &Standing,
        record: &InRecord,
        scanned: &Scanned<'static>,
        _scan_time: Duration,
        out: &mut Vec<OutRecord>,
    ) -> Option<Outcome> {
        let with = ((&self.pinned, &standing.orders), &mut self.readers);
        Some(self.step.record_among(staged, with, record, scanned, 0, out))
    }

    fn timers(
        &mut self,
        staged: &mut Staged<'_>,
        partition: i32,
        standing: &Standing,
        now: Millis,
        out: &mut Vec<OutRecord>,
    ) -> StreamNotes {
        self.step.timers(staged, (&standing.orders, &mut self.readers), partition, now, out)
    }

    fn check(&self, partition: i32, state: &Partition, last: Option<&[u8]>) -> Result<(), String> {
        self.step.check(partition, state, last)
    }
}

/// A small generator, so that a seed means the same for ever.
struct Dice(Cell<u64>);

impl Dice {
    fn roll(&self, below: u64) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn chance(&self, one_in: u64) -> bool {
        self.roll(one_in) == 0
    }
}

/// One event of one of twelve agents: who says which value to whom is up to the dice.
fn event(dice: &Dice, number: u64, now: i64) -> (i32, Value) {
    let agent = dice.roll(12);
    let value = match dice.roll(3) {
        0 => format!("key-{:012}", dice.roll(8)),
        1 => format!("person-{:09}", dice.roll(8)),
        _ => "nothing".to_owned(),
    };
    let mut event = json!({
        "v": 1, "id": format!("e{number}"), "ts": now, "tenant": format!("t{}", agent % 2),
        "agent": {"id": format!("a{agent}")}, "session": format!("s{}", dice.roll(40)),
    });
    if dice.chance(2) {
        event["user"] = json!(format!("u{}", dice.roll(6)));
    }
    match dice.roll(4) {
        0 => (event["kind"], event["text"]) = (json!("prompt"), json!(format!("I say {value}"))),
        1 => (event["kind"], event["text"]) = (json!("output"), json!(format!("It is {value}"))),
        2 => {
            event["kind"] = json!("tool_result");
            event["tool"] = json!({"name": "find", "result": value});
        }
        _ => {
            event["kind"] = json!("tool_call");
            event["tool"] = json!({"name": "send", "params": {"to": value}});
        }
    }
    (agent as i32 % PARTITIONS, event)
}

type Running<'s> = (Lane<Connection, Scanned<'static>>, Deciding<'s>);

struct World<'s> {
    cluster: Arc<Cluster>,
    clock: Arc<AtomicI64>,
    dice: Rc<Dice>,
    trouble: Rc<Cell<bool>>,
    step: &'s Step,
    lanes: Vec<Running<'s>>,
    board: Board,
    metrics: Arc<Metrics>,
    connections: u64,
    /// Records of a batch at most.
    batch: u64,
}

impl<'s> World<'s> {
    fn new(seed: u64, step: &'s Step) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let hands = Arc::clone(&clock);
        let settings = Settings {
            partitions: PARTITIONS,
            session_timeout_ms: 600,
            transaction_timeout_ms: 1_000,
            ..Settings::default()
        };
        let now: Now = Arc::new(move || Millis(hands.load(Ordering::Relaxed)));
        Self {
            cluster: Cluster::new(settings, now),
            clock,
            dice: Rc::new(Dice(Cell::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)))),
            trouble: Rc::new(Cell::new(true)),
            step,
            lanes: Vec::new(),
            board: Board::fixed(Orders::default()),
            metrics: Arc::default(),
            connections: 0,
            batch: 6,
        }
    }

    fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms as i64, Ordering::Relaxed);
    }

    fn running(&mut self, place: usize) -> Running<'s> {
        self.connections += 1;
        let id = format!("{place}-{}", if self.dice.chance(2) { 0 } else { self.connections });
        let mut connection = self.cluster.connect(&id);
        let (dice, trouble) = (Rc::clone(&self.dice), Rc::clone(&self.trouble));
        connection
            .on_call(Box::new(move |call, moment| strike(&dice, trouble.get(), call, moment)));
        let settings = lane::Settings {
            batch_records: 1 + self.dice.roll(self.batch) as usize,
            poll_wait: Duration::ZERO,
            wait_min_ms: 5,
            wait_max_ms: 50,
            ..lane::Settings::default()
        };
        let hands = Arc::clone(&self.clock);
        let now: Now = Arc::new(move || Millis(hands.load(Ordering::Relaxed)));
        let lane = Lane::new(connection, place, settings, now, Arc::clone(&self.metrics));
        let deciding = Deciding {
            step: self.step,
            readers: Readers::new(&RULES, &self.step.pack),
            dice: Rc::clone(&self.dice),
            reader: self.cluster.shared(),
            table: Table::default(),
            pinned: Table::default(),
        };
        (lane, deciding)
    }

    fn start(&mut self) {
        let running = self.running(self.lanes.len());
        self.lanes.push(running);
    }

    fn tick(&mut self, place: usize) {
        let (lane, deciding) = &mut self.lanes[place];
        match lane.tick(&mut Looking { step: self.step }, deciding, &self.board) {
            Ok(_) => {}
            Err(LogError::Fatal(_)) => {
                // A new process in its place, which reads everything anew.
                let fresh = self.running(place);
                let (dead, _) = std::mem::replace(&mut self.lanes[place], fresh);
                dead.into_log().crash();
            }
            Err(other) => panic!("a tick fails only for good, not with {other}"),
        }
    }

    fn read(&self, topic: Topic, partition: i32) -> Vec<Arc<Stored>> {
        self.cluster.read(topic, partition, 0, usize::MAX).0
    }

    fn settle(&mut self) {
        self.trouble.set(false);
        for _ in 0..5_000 {
            self.pass(20);
            for place in 0..self.lanes.len() {
                self.tick(place);
            }
            let ended = |partition| {
                self.cluster.committed(partition) == self.cluster.end(Topic::Events, partition)
            };
            if (0..PARTITIONS).all(ended) {
                self.pass(1_001);
                return;
            }
        }
        panic!("the lanes never came to the end");
    }

    /// Decides everything again with the entries that audit names; returns how many decisions
    /// looked at some, and how many findings rest on one.
    fn verify(&self) -> (usize, usize) {
        let mut entries = BTreeMap::new();
        for partition in 0..PARTITIONS {
            for told in self.read(Topic::Shared, partition) {
                entries.insert((i64::from(partition), told.offset), told);
            }
        }
        let (mut looked, mut rests) = (0, 0);
        for partition in 0..PARTITIONS {
            let mut used: BTreeMap<i64, Table> = BTreeMap::new();
            for record in self.read(Topic::Audit, partition) {
                let audit: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
                let reasons = audit["reasons"].as_array().into_iter().flatten();
                rests += reasons.filter(|why| why["first_seen"]["scope"] == "shared").count();
                let Some(shared) = audit["shared"].as_array() else { continue };
                looked += 1;
                let table = used.entry(audit["at"]["offset"].as_i64().unwrap()).or_default();
                for at in shared {
                    let place = (at["partition"].as_i64().unwrap(), at["offset"].as_i64().unwrap());
                    let told = &entries[&place];
                    let (key, value) = (told.key.as_deref().unwrap(), told.value.as_deref());
                    table.apply((place.0 as i32, place.1), key, value).unwrap();
                }
            }
            let mut run = Sequential::new(self.step, &RULES);
            let mut out = Vec::new();
            for stored in self.read(Topic::Events, partition) {
                let table = used.get(&stored.offset).unwrap_or(Table::NONE);
                run.record_among(table, &stored.to_record(partition), |_, _| (), &mut out);
            }
            for topic in [Topic::Verdicts, Topic::Clean, Topic::Alerts, Topic::Audit, Topic::Shared]
            {
                let of = |record: &&OutRecord| record.topic == topic;
                let want: Vec<_> =
                    out.iter().filter(of).map(|r| (Some(r.key.clone()), r.value.clone())).collect();
                let got = self.read(topic, partition);
                let got: Vec<_> = got.iter().map(|r| (r.key.clone(), r.value.clone())).collect();
                assert_eq!(got.len(), want.len(), "{topic:?} of partition {partition}");
                for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                    assert_eq!(show(got), show(want), "{topic:?}/{partition}, record {at}");
                }
            }
        }
        (looked, rests)
    }
}

fn show((key, value): &(Option<Vec<u8>>, Option<Vec<u8>>)) -> [String; 2] {
    [key, value].map(|bytes| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into())
}

fn strike(dice: &Dice, trouble: bool, call: Call, moment: Moment) -> Fault {
    let rarity = if call == Call::Send { 150 } else { 40 };
    if !trouble || !dice.chance(rarity) {
        return Fault::None;
    }
    let text = || "as the schedule has it".to_owned();
    match (dice.roll(4), call, moment) {
        (0, ..) => Fault::Crash,
        (_, Call::EndTransaction, _) => Fault::Fail(LogError::Rebuild(text())),
        (_, Call::Poll | Call::Pause | Call::Resume | Call::Seek, Moment::After) => Fault::None,
        (1, Call::Begin | Call::Send | Call::SendOffsets | Call::Abort, _) => {
            Fault::Fail(LogError::Rebuild(text()))
        }
        _ => Fault::Fail(LogError::Retry(text())),
    }
}

#[test]
fn crash_schedules_with_shared_entries_can_be_decided_again_from_audit() {
    let mut step = step("{}");
    // So few that entries give way, and others are told of it.
    step.setup.limits.taint_values = 5;
    let (mut looked, mut rests, mut broken) = (0, 0, 0);
    for seed in 0..150 {
        let mut world = World::new(seed, &step);
        for _ in 0..=world.dice.roll(3) {
            world.start();
        }
        let mut sent = 0;
        while sent < 60 {
            world.pass(world.dice.roll(40));
            if world.dice.chance(4) {
                sent += 1;
                let now = world.clock.load(Ordering::Relaxed);
                let (partition, event) = event(&world.dice, sent, now);
                let value = Some(event.to_string().into_bytes());
                let key = Some(event["agent"]["id"].to_string().into_bytes());
                world.cluster.produce(Topic::Events, partition, key, value, Headers::new());
            } else {
                let place = world.dice.roll(world.lanes.len() as u64) as usize;
                world.tick(place);
            }
        }
        world.settle();
        let (one, other) = world.verify();
        looked += one;
        rests += other;
        broken += world.metrics.rebuilds.get() + world.metrics.aborts.get();
    }
    assert!(looked > 300, "only {looked} decisions looked at what others had told");
    assert!(rests > 100, "only {rests} findings rest on what others had told");
    assert!(broken > 300, "only {broken} transactions broke");
}

/// Nine agents of one type, spread over the partitions, call a tool eight times an hour; after
/// some days all of them begin to use six times the tokens.
#[test]
fn groups_over_partitions_can_be_decided_again_from_audit() {
    const HOUR: u64 = 3_600_000;
    let mut step = step("{}");
    step.setup.behavior.mode = weir::baseline::Mode::Calibrated;
    let (mut looked, mut groups, mut broken) = (0, 0, 0);
    for seed in 0..12 {
        let mut world = World::new(seed, &step);
        world.batch = 100;
        // All of it is there when the lanes begin: hours would end their sessions.
        for call in 0..8 * 24 * 6 {
            world.pass(HOUR / 8);
            let (hour, rolled) = (call / 8, call >= 8 * (24 * 6 - 3));
            for agent in 0..9 {
                world.pass(1000);
                let tokens = (300 + (hour * 37 + call * 101 + agent * 53) % 300)
                    * if rolled { 6 } else { 1 };
                let event = json!({
                    "v": 1, "id": format!("e{agent}-{call}"), "kind": "tool_call",
                    "ts": world.clock.load(Ordering::Relaxed),
                    "agent": {"id": format!("a{agent}"), "type": "support"},
                    "session": format!("s{agent}-{hour}"),
                    "deployment": {"id": if rolled { "d2" } else { "d1" }},
                    "tool": {"name": "search", "params": {"q": "order"}},
                    "usage": {"tokens_in": tokens, "tokens_out": 0},
                });
                let (key, value) = (format!("a{agent}"), event.to_string());
                let (key, value) = (Some(key.into_bytes()), Some(value.into_bytes()));
                let partition = agent % PARTITIONS;
                world.cluster.produce(Topic::Events, partition, key, value, Headers::new());
            }
        }
        for _ in 0..=world.dice.roll(3) {
            world.start();
        }
        for _ in 0..3_000 {
            world.pass(world.dice.roll(40));
            let place = world.dice.roll(world.lanes.len() as u64) as usize;
            world.tick(place);
        }
        world.settle();
        looked += world.verify().0;
        for partition in 0..PARTITIONS {
            for alert in world.read(Topic::Alerts, partition) {
                let alert: Value = serde_json::from_slice(alert.value.as_ref().unwrap()).unwrap();
                let alert = &alert["unmapped"]["weir"];
                if alert["signal"] == "behavior.group" && alert["state"] == "open" {
                    groups += 1;
                    assert!(alert["group"]["agents"].as_u64().unwrap() >= 5, "{alert}");
                }
            }
        }
        broken += world.metrics.rebuilds.get() + world.metrics.aborts.get();
    }
    assert!(looked > 100, "only {looked} decisions looked at what others had told");
    assert!(groups > 3, "only {groups} groups");
    assert!(broken > 100, "only {broken} transactions broke");
}

/// Lets a site's lanes end, however the test does.
struct Stopping<'s>(&'s Site);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_leak_over_two_partitions_is_found_and_names_the_entry() {
    let set_step = step("{}");
    let now: Now = Arc::new(weir::clock::now);
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let cluster = Cluster::new(settings, Arc::clone(&now));
    let site = {
        let mut site = Site::new(Pack { rules: rules(), step: set_step }, now);
        site.lanes = 2;
        site
    };
    let send = |partition: i32, tenant: &str, event: Value| {
        let mut all = json!({"v": 1, "id": format!("{tenant}-{partition}"), "tenant": tenant,
            "ts": weir::clock::now().0, "agent": {"id": format!("bot-{tenant}")}, "session": "s"});
        all.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        let value = Some(all.to_string().into_bytes());
        cluster.produce(Topic::Events, partition, Some(b"k".to_vec()), value, Headers::new());
    };
    let read = |topic, partition: i32| cluster.read(topic, partition, 0, usize::MAX).0;
    let wait = |topic, partition, count| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while read(topic, partition).len() < count {
            assert!(Instant::now() < deadline, "{topic:?}/{partition}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let (mut took, mut offset) = (Duration::ZERO, 0);
    std::thread::scope(|scope| {
        // A test that fails must not wait for lanes that nobody stops.
        let _stopping = Stopping(&site);
        let lanes = scope.spawn(|| run(&cluster, &site, Box::new(|_| None)));
        let secret = "key-123456789012";
        send(
            0,
            "acme",
            json!({"kind": "tool_result", "tool": {"name": "vault", "result": secret}}),
        );
        wait(Topic::Shared, 0, 1);
        // Not the first one where a transaction had to be repeated.
        offset = read(Topic::Shared, 0)[0].offset;
        let told = Instant::now();
        // It arrives within a second; until then the answers pass.
        for n in 1.. {
            send(1, "bolt", json!({"id": format!("o{n}"), "kind": "output", "text": secret}));
            wait(Topic::Verdicts, 1, n);
            let last = read(Topic::Verdicts, 1).pop().unwrap();
            let verdict: Value = serde_json::from_slice(last.value.as_ref().unwrap()).unwrap();
            let reasons = verdict["reasons"].as_array().unwrap();
            if let Some(why) = reasons.iter().find(|why| why["family"] == "flow") {
                assert_eq!(why["rule"], "flow.cross_tenant.secrets");
                assert_eq!(why["scope"], "shared");
                assert_eq!(why["entry"], json!({"partition": 0, "offset": offset}));
                assert_eq!(verdict["action"], "block");
                assert!(
                    !verdict.to_string().contains("acme"),
                    "whose it was is not for the tenant"
                );
                took = told.elapsed();
                break;
            }
            assert!(told.elapsed() < Duration::from_secs(30), "never told");
            std::thread::sleep(Duration::from_millis(20));
        }
        site.stop.store(true, Ordering::Relaxed);
        lanes.join().unwrap();
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
    let alerts = read(Topic::Alerts, 1);
    let first_seen = alerts.iter().find_map(|alert| {
        let alert: Value = serde_json::from_slice(alert.value.as_ref()?).ok()?;
        let seen = &alert["unmapped"]["weir"]["first_seen"];
        seen.is_object().then(|| seen.clone())
    });
    let first_seen = first_seen.expect("the alert says whose it was");
    assert_eq!((&first_seen["tenant"], &first_seen["agent"]), (&json!("acme"), &json!("bot-acme")));
    assert_eq!((&first_seen["partition"], &first_seen["offset"]), (&json!(0), &json!(offset)));
    let (records, unreadable) = site.known.counts();
    assert!(records >= 1 && unreadable == 0);
}

#[test]
fn without_a_fingerprint_key_and_without_behaviour_nothing_is_read_and_nothing_waits() {
    let mut step = step("{}");
    step.setup.keys.fingerprint = None;
    let site = Site::new(Pack { rules: rules(), step }, Arc::new(weir::clock::now));
    assert!(!site.known.is_wanted() && !site.board.is_shut());
}

#[test]
fn what_is_no_entry_is_passed_over() {
    let mut table = Table::default();
    for (key, value) in [
        ("value/0123", Some(&b"x"[..])),
        ("class/0123456789abcdef", None),
        ("value/0123456789abcdeg", None),
        ("value/0123456789abcdef", Some(b"")),
        ("value/0123456789abcdef", Some(b"\xff\0\0")),
        ("", None),
    ] {
        assert!(table.apply((0, 0), key.as_bytes(), value).is_err(), "{key}");
    }
    assert!(table.is_empty() && table == Table::default());
    assert!(table.apply((0, 0), b"value/0123456789abcdef", None).is_ok(), "forgotten twice");
    assert!(table.is_empty());
}

/// The entries of a ledger in state, and how many there are.
fn remembered(state: &Partition) -> Vec<(Vec<u8>, Vec<u8>)> {
    let ours = |key: &[u8]| matches!(key.first(), Some(&owner::TAINT | &owner::TAINT_TEXT));
    state.images().into_iter().filter(|(key, _)| ours(key)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However much is said, a ledger keeps to its limits, and the others know what it knows.
    #[test]
    fn ledgers_are_bounded_and_others_know_what_they_know(seed: u64, most in 1usize..12, events in 50u64..400) {
        let mut step = step("{ of: [secrets, pii, text] }");
        step.setup.limits.taint_values = most;
        step.setup.limits.taint_rows = most;
        step.setup.limits.taint_keep_ms = 60_000;
        let dice = Dice(Cell::new(seed));
        let mut run = Sequential::new(&step, &RULES);
        let mut told: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut now = 1_000_000;
        for number in 0..events {
            now += dice.roll(2_000) as i64;
            let (_, mut event) = event(&dice, number, now);
            if event["text"].is_string() {
                let words: Vec<String> = (0..40).map(|_| format!("w{}", dice.roll(50))).collect();
                event["text"] = json!(format!("{} {}", event["text"].as_str().unwrap(), words.join(" ")));
            }
            let record = InRecord {
                partition: 0,
                offset: number as i64,
                timestamp: Millis(now),
                key: None,
                value: Some(event.to_string().into_bytes()),
                headers: Headers::new(),
            };
            let mut out = Vec::new();
            run.record(&record, &mut out);
            for share in out.into_iter().filter(|record| record.topic == Topic::Shared) {
                match share.value {
                    Some(value) => {
                        prop_assert!(value.len() <= ENTRY_BYTES);
                        told.insert(share.key, value);
                    }
                    None => { told.remove(&share.key); }
                }
            }
            let state = &run.states()[&0];
            prop_assert!(state.count(owner::TAINT) <= most && state.count(owner::TAINT_TEXT) <= most);
        }
        let state = remembered(&run.states()[&0]);
        prop_assert_eq!(state.len(), told.len());
        for (_, image) in &state {
            prop_assert!(told.values().any(|value| image.ends_with(value)), "an entry that nobody was told of");
        }
        let mut out = Vec::new();
        run.timers(Millis(i64::MAX), &mut out);
        let gone = out.iter().filter(|record| record.topic == Topic::Shared && record.value.is_none());
        prop_assert_eq!(gone.count(), told.len(), "whatever is forgotten is forgotten everywhere");
        prop_assert!(remembered(&run.states()[&0]).is_empty());
    }
}
