//! The changelog, compacted or not, restores the state that wrote it.

use proptest::prelude::*;

use super::*;

type Log = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn restored<'l>(log: impl IntoIterator<Item = &'l (Vec<u8>, Option<Vec<u8>>)>) -> Partition {
    let mut partition = Partition::default();
    for (key, value) in log {
        partition.restore(key, value.as_deref()).unwrap();
    }
    partition
}

/// What a cleaner may leave: of the first `upto` records, only the last of each key among
/// them; of those, tombstones too where `drop_tombstones`.
fn compacted(log: &Log, upto: usize, drop_tombstones: bool) -> Log {
    let (clean, dirty) = log.split_at(upto.min(log.len()));
    let mut kept: Log = clean
        .iter()
        .enumerate()
        .filter(|(at, record)| clean[at + 1..].iter().all(|later| later.0 != record.0))
        .filter(|(_, record)| !drop_tombstones || record.1.is_some())
        .map(|(_, record)| record.clone())
        .collect();
    kept.extend_from_slice(dirty);
    kept
}

#[derive(Clone, Debug)]
enum Op {
    Put { key: u8, size: usize, at: usize, byte: u8, deadline: Option<i64> },
    Remove { key: u8 },
    See { id: u64, content: u64 },
    Clock { now: i64 },
    Commit { aborted: bool },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u8..4, prop_oneof![Just(300usize), 0usize..300], 0usize..300, any::<u8>(),
              proptest::option::of(0i64..50))
            .prop_map(|(key, size, at, byte, deadline)| Op::Put { key, size, at, byte, deadline }),
        1 => (0u8..4).prop_map(|key| Op::Remove { key }),
        4 => (0u64..6, 0u64..2).prop_map(|(id, content)| Op::See { id, content }),
        1 => (0i64..1000).prop_map(|now| Op::Clock { now }),
        5 => proptest::bool::weighted(0.1).prop_map(|aborted| Op::Commit { aborted }),
    ]
}

fn key(id: u8) -> Key {
    Key { owner: owner::SESSION, id: vec![id] }
}

fn act(staged: &mut Staged<'_>, op: &Op) {
    match *op {
        Op::Put { key: id, size, at, byte, deadline } => {
            let mut value = staged.get(&key(id)).unwrap_or_default().to_vec();
            value.resize(size, 0);
            if let Some(slot) = value.get_mut(at) {
                *slot = byte;
            }
            staged.put(key(id), value, deadline.map(Millis));
        }
        Op::Remove { key: id } => staged.remove(key(id)),
        Op::See { id, content } => {
            staged.see(Item { id, content });
        }
        Op::Clock { now } => {
            staged.advance(Millis(now));
        }
        Op::Commit { .. } => {}
    }
}

/// Runs batches of ops, and returns the state and its log.
fn run(ops: &[Op]) -> (Partition, Log) {
    let mut partition = Partition::default();
    let mut log = Log::new();
    for batch in ops.split_inclusive(|op| matches!(op, Op::Commit { .. })) {
        let before = partition.clone();
        let mut staged = Staged::new(&partition);
        for op in batch {
            act(&mut staged, op);
        }
        if matches!(batch.last(), Some(Op::Commit { aborted: true })) {
            drop(staged);
            assert_eq!(partition, before, "an abort leaves nothing");
            continue;
        }
        let changes = staged.into_changes();
        log.extend(changes.records());
        partition.apply(changes);
    }
    (partition, log)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_changelog_restores_the_state_however_it_was_compacted(
        ops in proptest::collection::vec(op(), 0..160),
        upto in proptest::collection::vec(0usize..400, 0..4),
        drop_tombstones: bool,
    ) {
        let (partition, log) = run(&ops);
        prop_assert_eq!(&restored(&log), &partition);
        let mut cleaned = log.clone();
        for upto in upto {
            cleaned = compacted(&cleaned, upto, drop_tombstones);
            prop_assert_eq!(&restored(&cleaned), &partition);
        }
        prop_assert_eq!(&restored(&compacted(&log, log.len(), true)), &partition);
    }

    #[test]
    fn a_reader_that_the_cleaner_overtakes_still_ends_right(
        ops in proptest::collection::vec(op(), 0..160),
        read in 0usize..200,
        upto in 0usize..400,
    ) {
        let (partition, log) = run(&ops);
        // It has read some records before the cleaner came, and reads on after it has passed.
        let read = read.min(log.len());
        let upto = upto.max(read).min(log.len());
        let rest = (read..log.len()).filter(|&at| {
            at >= upto || log[at + 1..upto].iter().all(|later| later.0 != log[at].0)
        });
        let rest = rest.map(|at| &log[at]);
        prop_assert_eq!(&restored(log[..read].iter().chain(rest)), &partition);
    }

    #[test]
    fn batches_of_any_size_leave_the_same_entries(ops in proptest::collection::vec(op(), 0..100)) {
        let ops: Vec<Op> =
            ops.into_iter().filter(|op| !matches!(op, Op::Commit { .. })).collect();
        let one = run(&ops).0;
        let mut each = Vec::new();
        for op in ops {
            each.extend([op, Op::Commit { aborted: false }]);
        }
        let many = run(&each).0;
        prop_assert_eq!(one.header, many.header);
        prop_assert_eq!(&one.recent, &many.recent);
        prop_assert_eq!(&one.timers, &many.timers);
        for id in 0..4 {
            prop_assert_eq!(one.get(&key(id)), many.get(&key(id)));
        }
    }

    #[test]
    fn records_from_elsewhere_do_not_panic(
        key in proptest::collection::vec(0u8..7, 0..5),
        value in proptest::option::of(proptest::collection::vec(0u8..4, 0..40)),
    ) {
        let mut partition = run(&[
            Op::Put { key: 1, size: 100, at: 0, byte: 1, deadline: None },
            Op::Commit { aborted: false },
        ]).0;
        drop(partition.restore(&key, value.as_deref()));
    }
}

#[test]
fn a_window_longer_than_the_ring_restores() {
    let ops: Vec<Op> = (0..10_000u64)
        .flat_map(|n| {
            let see = Op::See { id: n, content: 0 };
            let commit = (n % 37 == 0).then_some(Op::Commit { aborted: false });
            std::iter::once(see).chain(commit)
        })
        .collect();
    let (partition, log) = run(&ops);
    assert_eq!(restored(&log), partition);
    assert_eq!(restored(&compacted(&log, log.len(), true)), partition);
    let bytes: usize =
        log.iter().map(|(key, value)| key.len() + value.as_ref().unwrap().len()).sum();
    assert!(bytes < 32 * 10_000, "{bytes} bytes for 10,000 events in batches of 37");
}

#[test]
fn state_costs_less_than_half_a_byte_for_a_byte_of_input() {
    // 2 KB of profile for each of 1,000 agents, each event moving two counters: the shape
    // of behaviour profiles, touched at random in batches of 50.
    let mut partition = Partition::default();
    let (mut bytes, events) = (0, 40_000usize);
    let agent = |n: usize| Key { owner: owner::AGENT, id: (n as u128).to_be_bytes().to_vec() };
    let mut random = 1u64;
    for _ in 0..events / 50 {
        let mut staged = Staged::new(&partition);
        for n in 0..50u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = agent((random >> 33) as usize % 1000);
            let mut value = staged.get(&key).unwrap_or(&[0; 2048]).to_vec();
            for at in [random as usize % 2048, (random >> 20) as usize % 2048] {
                value[at] = value[at].wrapping_add(1);
            }
            staged.put(key, value, Some(Millis(random as i64 >> 20)));
            staged.see(Item { id: random, content: n });
            staged.advance(Millis(random as i64 >> 20));
        }
        let changes = staged.into_changes();
        bytes += changes
            .records()
            .map(|(key, value)| key.len() + value.map_or(0, |value| value.len()))
            .sum::<usize>();
        partition.apply(changes);
    }
    let share = bytes as f64 / (events * 1024) as f64;
    assert!(share < 0.5, "{share} state bytes for each input byte");
}

#[test]
fn an_entry_written_back_as_it_was_costs_nothing() {
    let (partition, _) = run(&[
        Op::Put { key: 1, size: 100, at: 0, byte: 1, deadline: None },
        Op::Commit { aborted: false },
    ]);
    let mut staged = Staged::new(&partition);
    let value = staged.get(&key(1)).unwrap().to_vec();
    staged.put(key(1), vec![9], Some(Millis(4)));
    staged.remove(key(2));
    staged.put(key(1), value, None);
    assert!(staged.into_changes().is_empty());
}

#[test]
fn the_earliest_deadline_is_due_first_and_gives_way_first() {
    let mut partition = Partition::default();
    let put = |staged: &mut Staged<'_>, id: u8, at: i64| {
        staged.put(key(id), vec![1, id], Some(Millis(at)));
    };
    let mut staged = Staged::new(&partition);
    put(&mut staged, 1, 30);
    put(&mut staged, 2, 10);
    put(&mut staged, 3, 20);
    let changes = staged.into_changes();
    partition.apply(changes);
    assert_eq!(partition.next_deadline(), Some(Millis(10)));

    let mut staged = Staged::new(&partition);
    assert_eq!(staged.due(Millis(9)), None);
    assert_eq!(staged.due(Millis(10)), Some((Millis(10), key(2))));
    put(&mut staged, 2, 40);
    assert_eq!(staged.due(Millis(19)), None);
    put(&mut staged, 4, 5);
    assert_eq!(staged.due(Millis(19)), Some((Millis(5), key(4))));
    staged.remove(key(4));
    assert_eq!(staged.first(owner::SESSION), Some((Millis(20), key(3))));
    staged.remove(key(3));
    assert_eq!((staged.count(owner::SESSION), staged.count(owner::AGENT)), (2, 0));
    assert_eq!(staged.due(Millis(100)), Some((Millis(30), key(1))));
    staged.remove(key(1));
    assert_eq!(staged.due(Millis(100)), Some((Millis(40), key(2))));
    staged.remove(key(2));
    assert_eq!(staged.due(Millis(100)), None);
    let changes = staged.into_changes();
    partition.apply(changes);
    assert!(partition.is_empty() && partition.next_deadline().is_none());
}

#[test]
fn another_number_of_partitions_is_told() {
    let mut partition = Partition::default();
    assert_eq!(partition.check_partitions(12), Ok(()));
    let mut staged = Staged::new(&partition);
    staged.set_partitions(12);
    let changes = staged.into_changes();
    partition.apply(changes);
    assert_eq!(partition.check_partitions(12), Ok(()));
    assert_eq!(
        partition.check_partitions(6),
        Err(super::super::PartitionCountChanged { was: 12, is: 6 })
    );
}
