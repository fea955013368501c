//! A pack that changes while lanes run, on the log in memory: every decision is made whole
//! by one pack, the audit says from which record on, and nothing is lost or done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use weir::audit::{InForce, verify};
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::Millis;
use weir::patterns::{SourceFile, load};
use weir::pipeline::log::Topic;
use weir::pipeline::memory::{Cluster, Settings, Stored};
use weir::pipeline::run::{Pack, Site, run};
use weir::pipeline::step::Step;
use weir::state::{Partition, Staged};

const PARTITIONS: i32 = 3;

/// A pack that finds one word.
fn pack(word: &str) -> Pack {
    let text = format!(
        "rules:\n  - id: lists.ours.word\n    family: lists\n    type: list.word\n    severity: high\n    confidence: high\n    phrase: {word}\n    examples: [{word}]\n    negative_examples: [nothing]\n"
    );
    let set = load(&[SourceFile { path: "lists/ours.yml".to_owned(), text }]).unwrap();
    let hash = set.hash.clone();
    let rules = Rules::compile(set, ScanLimits::default(), EngineKind::Rust).unwrap();
    Pack { rules, step: Step::new("weir.events", PARTITIONS as u32, hash) }
}

struct World {
    cluster: Arc<Cluster>,
    site: Site,
    sent: AtomicI64,
}

impl World {
    fn new(pack: Pack) -> Self {
        let now: weir::pipeline::log::Now = Arc::new(weir::clock::now);
        let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
        let cluster = Cluster::new(settings, Arc::clone(&now));
        let mut site = Site::new(pack, now);
        site.lanes = 2;
        site.board = weir::pipeline::control::Board::fixed(weir::policy::Orders::default());
        Self { cluster, site, sent: AtomicI64::new(0) }
    }

    /// Both words in each event, so that every verdict shows which pack made it.
    fn send(&self, count: i64) {
        for _ in 0..count {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let event = serde_json::json!({"v": 1, "id": format!("e{number}"), "kind": "prompt",
                "ts": weir::clock::now().0, "agent": {"id": "bot"}, "text": "first and second"});
            self.cluster.produce(
                Topic::Events,
                (number % i64::from(PARTITIONS)) as i32,
                Some(b"bot".to_vec()),
                Some(event.to_string().into_bytes()),
                Vec::new(),
            );
        }
    }

    fn read(&self, topic: Topic, partition: i32) -> Vec<Arc<Stored>> {
        self.cluster.read(topic, partition, 0, usize::MAX).0
    }

    fn verdicts(&self) -> usize {
        (0..PARTITIONS).map(|partition| self.read(Topic::Verdicts, partition).len()).sum()
    }

    fn await_verdicts(&self) {
        let all = usize::try_from(self.sent.load(Ordering::Relaxed)).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.verdicts() < all {
            assert!(Instant::now() < deadline, "{} of {all} verdicts", self.verdicts());
            let version = self.cluster.version();
            self.cluster.wait(version, Duration::from_millis(20));
        }
    }

    /// Runs lanes while `work` goes on.
    fn running(&self, work: impl FnOnce(&Self)) {
        std::thread::scope(|scope| {
            let lanes = scope.spawn(|| run(&self.cluster, &self.site, Box::new(|_| None)));
            work(self);
            self.site.stop.store(true, Ordering::Relaxed);
            lanes.join().unwrap();
        });
    }
}

fn json(record: &Arc<Stored>) -> Value {
    serde_json::from_slice(record.value.as_deref().unwrap_or_default()).unwrap()
}

#[test]
fn a_swap_between_batches_is_whole_and_written_down() {
    let (first, second) = (pack("first"), pack("second"));
    let hashes = [first.step.pack.clone(), second.step.pack.clone()];
    let world = World::new(first);
    world.running(|world| {
        world.send(300);
        // Every partition has something that the first pack decided.
        while (0..PARTITIONS).any(|partition| world.read(Topic::Verdicts, partition).is_empty()) {
            world.cluster.wait(world.cluster.version(), Duration::from_millis(5));
        }
        // In the middle of the stream, with batches open.
        world.send(300);
        world.site.packs.swap(second);
        world.send(300);
        world.await_verdicts();
        // The same pack again is no swap.
        world.site.packs.swap(pack("second"));
        world.send(30);
        world.await_verdicts();
    });
    for partition in 0..PARTITIONS {
        let mut ids = BTreeMap::new();
        let mut by_offset = BTreeMap::new();
        for record in world.read(Topic::Verdicts, partition) {
            let verdict = json(&record);
            *ids.entry(verdict["event_id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            let pack = hashes.iter().position(|hash| verdict["pack"] == **hash).unwrap();
            assert_eq!(verdict["reasons"].as_array().unwrap().len(), 1, "{verdict}");
            by_offset.insert(verdict["at"]["offset"].as_i64().unwrap(), pack);
        }
        assert_eq!(ids.len(), 310);
        assert!(ids.values().all(|count| *count == 1), "one verdict each: {ids:?}");
        let order: Vec<usize> = by_offset.values().copied().collect();
        assert!(order.is_sorted(), "the old pack comes back: {order:?}");
        let begins = by_offset.iter().find(|(_, pack)| **pack == 1).map(|(offset, _)| *offset);
        let begins = begins.unwrap();

        let audit = world.read(Topic::Audit, partition);
        let swaps: Vec<Value> =
            audit.iter().map(json).filter(|record| record["what"] == "swap").collect();
        assert_eq!(swaps.len(), 1, "{swaps:#?}");
        assert_eq!(swaps[0]["at"]["offset"], begins);
        assert_eq!(swaps[0]["from"]["pack"], *hashes[0]);
        assert_eq!(swaps[0]["pack"], *hashes[1]);
        let at = audit.iter().position(|record| json(record)["what"] == "swap").unwrap();
        assert_eq!(json(&audit[at + 1])["at"]["offset"], begins, "before the first that it is for");
        let values = audit.iter().map(|record| record.value.clone().unwrap_or_default());
        let report = verify(values, &[], None);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

#[test]
fn what_could_not_be_taken_up_is_told_once_and_by_one_partition() {
    let world = World::new(pack("first"));
    world.running(|world| {
        world.send(30);
        world.await_verdicts();
        world.site.packs.tell(Millis(7), "rule `x` is wrong".to_owned());
        for _ in 0..3 {
            world.send(30);
            world.await_verdicts();
        }
    });
    let alerts: Vec<Value> = (0..PARTITIONS)
        .flat_map(|partition| world.read(Topic::Alerts, partition))
        .map(|record| json(&record))
        .filter(|alert| alert["unmapped"]["weir"]["signal"] == "system.reload_failed")
        .collect();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0]["unmapped"]["weir"]["family"], "system");
    assert!(alerts[0].to_string().contains("rule `x` is wrong"));
}

#[test]
fn only_a_change_of_what_decides_is_a_swap() {
    let partition = Partition::default();
    let mut staged = Staged::new(&partition);
    assert_eq!(InForce::put(&mut staged, "a", "p"), None, "there was nothing before");
    assert_eq!(InForce::put(&mut staged, "a", "p"), None);
    let before = InForce { pack: "a".to_owned(), policy: "p".to_owned() };
    assert_eq!(InForce::put(&mut staged, "a", "q"), Some(before));
    let before = InForce { pack: "a".to_owned(), policy: "q".to_owned() };
    assert_eq!(InForce::put(&mut staged, "aq", ""), Some(before));
    assert_eq!(InForce::put(&mut staged, "aq", ""), None);
}
