//! The audit chain: what it holds, what it leaves out, and every way of tampering with it.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use weir::audit::{self, ANCHOR_EVERY, Anchor, Head, Problem, Report, Signer, verify};
use weir::pipeline::log::{InRecord, Topic};
use weir::pipeline::step::{Sequential, Step, run_sequential};
use weir::redact::Key32;

use crate::decide::{no_rules, prompt, record};

/// A chain of so many records with its anchors, signed.
fn chain(events: i64) -> (Vec<Vec<u8>>, Vec<Anchor>, [u8; 32]) {
    let signer = Signer::new(&Key32([9; 32]));
    let public = signer.public();
    let mut step = Step::new("weir.events", 0, "pack");
    step.signer = Some(signer);
    let records: Vec<InRecord> =
        (0..events).map(|n| record(n, prompt(&format!("e{n}"), "hello"))).collect();
    let rules = no_rules();
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    for record in &records {
        run.record(record, &mut out);
    }
    let of = |topic| {
        let records = out.iter().filter(move |record| record.topic == topic);
        records.map(|record| record.value.clone().unwrap()).collect::<Vec<_>>()
    };
    let chain = of(Topic::Audit);
    let head = Head::committed(&run.states()[&0]);
    assert_eq!(head.next, events as u64);
    assert!(head.matches(chain.last().map(Vec::as_slice)));
    assert!(!head.matches(chain.first().map(Vec::as_slice)) && !head.matches(None));
    assert!(Head::default().matches(None));
    let anchors = of(Topic::Anchors).iter().map(|anchor| Anchor::read(anchor).unwrap()).collect();
    (chain, anchors, public)
}

const EVENTS: i64 = 2 * ANCHOR_EVERY as i64 + 100;

fn check(records: &[Vec<u8>], anchors: &[Anchor], public: &[u8; 32]) -> Report {
    verify(records, anchors, Some(public))
}

#[test]
fn a_chain_that_nobody_touched_is_intact_up_to_its_last_anchor() {
    let (chain, anchors, public) = chain(EVENTS);
    let report = check(&chain, &anchors, &public);
    assert!(report.is_intact(), "{:?}", report.problems);
    assert_eq!((report.first, report.last), (Some(0), Some(EVENTS as u64 - 1)));
    assert_eq!(report.anchored, Some(2 * ANCHOR_EVERY - 1));
    assert_eq!(report.unanchored, 100);
    let none = check(&chain, &[], &public);
    assert_eq!((none.anchored, none.unanchored), (None, EVENTS as u64), "nobody vouches for it");
    // Retention takes old records away; that is told, and is no tampering.
    let kept = check(&chain[50..], &anchors, &public);
    assert!(kept.is_intact());
    assert_eq!(kept.first, Some(50));
}

#[test]
fn every_tampering_is_found_and_named() {
    let (chain, anchors, public) = chain(EVENTS);
    let tampered = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut records = chain.clone();
        change(&mut records);
        check(&records, &anchors, &public).problems
    };
    let edit = |record: &mut Vec<u8>| {
        let text = String::from_utf8(record.clone()).unwrap();
        *record = text.replace("\"allow\"", "\"block\"").into_bytes();
    };
    assert_eq!(tampered(&|records| edit(&mut records[70])), [Problem::Changed { seq: 70 }]);
    assert_eq!(tampered(&|records| edit(&mut records[0])), [Problem::Changed { seq: 0 }]);
    let gap = tampered(&|records| drop(records.drain(70..73)));
    assert_eq!(gap, [Problem::Gap { from: 70, to: 72 }]);
    let swap = tampered(&|records| records.swap(70, 71));
    assert_eq!(swap, [Problem::Swapped { seq: 70 }]);
    let fork = tampered(&|records| {
        let mut second = records[70].clone();
        edit(&mut second);
        records.insert(71, second);
    });
    assert_eq!(fork, [Problem::Fork { seq: 70 }]);
    let double = tampered(&|records| records.insert(71, records[70].clone()));
    assert_eq!(double, [Problem::Fork { seq: 70 }]);
    let cut = tampered(&|records| records.truncate(2000));
    assert_eq!(cut, [Problem::Cut { last: Some(1999), anchored: 2 * ANCHOR_EVERY - 1 }]);
    let gone = tampered(&|records| records.clear());
    assert_eq!(gone, [Problem::Cut { last: None, anchored: 2 * ANCHOR_EVERY - 1 }]);
    let junk = tampered(&|records| records.insert(70, b"{}".to_vec()));
    assert_eq!(junk, [Problem::NotARecord { index: 70 }]);
    // Whoever changes a record at the very end, beyond the last anchor, is not caught, and
    // the report says how much that is.
    assert!(tampered(&|records| edit(records.last_mut().unwrap())).is_empty());
}

#[test]
fn a_chain_written_anew_does_not_match_its_anchors() {
    let (mut chain, anchors, public) = chain(EVENTS);
    let mut hash = None::<audit::Hash>;
    for (seq, record) in chain.iter_mut().enumerate() {
        let mut text = String::from_utf8(record.clone()).unwrap();
        if seq == 70 {
            text = text.replace("\"allow\"", "\"block\"");
        }
        if let Some(hash) = hash {
            let json: Value = serde_json::from_str(&text).unwrap();
            let prev = json["prev"].as_str().unwrap().to_owned();
            text = text.replace(&prev, &audit::hex(&hash));
        }
        *record = text.into_bytes();
        hash = Some(audit::hash(record));
    }
    let report = check(&chain, &anchors, &public);
    let expected: Vec<Problem> =
        [1, 2].map(|n| Problem::NotAnchored { seq: n * ANCHOR_EVERY - 1 }).into_iter().collect();
    assert_eq!(report.problems, expected);
    assert_eq!(report.anchored, None);
}

#[test]
fn anchors_that_were_forged_do_not_count() {
    let (chain, anchors, public) = chain(ANCHOR_EVERY as i64);
    assert_eq!(anchors.len(), 1);
    assert_eq!(Anchor::read(&anchors[0].write()).as_ref(), Some(&anchors[0]));
    for forge in [
        |anchor: &mut Anchor| anchor.signature = None,
        |anchor: &mut Anchor| anchor.hash[0] ^= 1,
        |anchor: &mut Anchor| anchor.partition += 1,
        |anchor: &mut Anchor| anchor.seq += 1,
        |anchor: &mut Anchor| anchor.topic.push('x'),
    ] {
        let mut forged = anchors[0].clone();
        forge(&mut forged);
        let report = check(&chain, std::slice::from_ref(&forged), &public);
        assert_eq!(report.problems, [Problem::BadSignature { seq: forged.seq }]);
        assert_eq!(report.anchored, None);
    }
    let other = Signer::new(&Key32([8; 32])).public();
    assert!(!check(&chain, &anchors, &other).is_intact());
}

/// One way of tampering with a file of audit records.
#[derive(Clone, Debug)]
enum Tampering {
    ChangeByte(Index, Index, u8),
    InsertByte(Index, Index, u8),
    RemoveByte(Index, Index),
    /// From the first to the second, both gone.
    Drop(Index, Index),
    Swap(Index, Index),
    /// Taken out and put in elsewhere.
    Move(Index, Index),
    Copy(Index, Index),
    Overwrite(Index, Index),
    Reverse(Index, Index),
    /// All from there on is gone.
    Cut(Index),
    /// What was decided is another, and all that follows is chained to it anew.
    Rechain(Index),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    use Tampering as T;
    let at = any::<Index>;
    let byte = 1..=255u8;
    prop_oneof![
        (at(), at(), byte.clone()).prop_map(|(record, at, by)| T::ChangeByte(record, at, by)),
        (at(), at(), byte).prop_map(|(record, at, byte)| T::InsertByte(record, at, byte)),
        (at(), at()).prop_map(|(record, at)| T::RemoveByte(record, at)),
        (at(), at()).prop_map(|(from, to)| T::Drop(from, to)),
        (at(), at()).prop_map(|(one, other)| T::Swap(one, other)),
        (at(), at()).prop_map(|(from, to)| T::Move(from, to)),
        (at(), at()).prop_map(|(from, to)| T::Copy(from, to)),
        (at(), at()).prop_map(|(from, to)| T::Overwrite(from, to)),
        (at(), at()).prop_map(|(from, to)| T::Reverse(from, to)),
        at().prop_map(T::Cut),
        at().prop_map(T::Rechain),
    ]
}

/// Links every record from `from` on to the one before it.
fn rechain(records: &mut [Vec<u8>], from: usize) {
    let mut hash = None::<audit::Hash>;
    for record in &mut records[from..] {
        let mut text = String::from_utf8(record.clone()).unwrap();
        if let Some(hash) = hash {
            let json: Value = serde_json::from_str(&text).unwrap();
            text = text.replace(json["prev"].as_str().unwrap(), &audit::hex(&hash));
        }
        *record = text.into_bytes();
        hash = Some(audit::hash(record));
    }
}

impl Tampering {
    /// Does it to records of which the first `anchored` are vouched for. Nothing that is not so
    /// is touched, and nothing that leaves the file as it was or only shorter in front.
    fn apply(&self, records: &mut Vec<Vec<u8>>, anchored: usize) {
        let two = |one: &Index, other: &Index| {
            let (one, other) = (one.index(anchored), other.index(anchored - 1));
            (one, if other >= one { other + 1 } else { other })
        };
        match self {
            Self::ChangeByte(record, at, by) => {
                let record = &mut records[record.index(anchored)];
                let at = at.index(record.len());
                record[at] ^= by;
            }
            Self::InsertByte(record, at, byte) => {
                let record = &mut records[record.index(anchored)];
                record.insert(at.index(record.len() + 1), *byte);
            }
            Self::RemoveByte(record, at) => {
                let record = &mut records[record.index(anchored)];
                record.remove(at.index(record.len()));
            }
            Self::Drop(from, to) => {
                let (one, other) = two(from, to);
                let (from, to) = (one.min(other).max(1), one.max(other));
                records.drain(from..=to);
            }
            Self::Swap(one, other) => {
                let (one, other) = two(one, other);
                records.swap(one, other);
            }
            Self::Move(from, to) => {
                let (from, to) = two(from, to);
                let record = records.remove(from);
                records.insert(to, record);
            }
            Self::Copy(from, to) => {
                let (from, to) = two(from, to);
                records.insert(to, records[from].clone());
            }
            Self::Overwrite(from, to) => {
                let (from, to) = two(from, to);
                records[to] = records[from].clone();
            }
            Self::Reverse(one, other) => {
                let (one, other) = two(one, other);
                records[one.min(other)..=one.max(other)].reverse();
            }
            Self::Cut(at) => records.truncate(at.index(anchored)),
            Self::Rechain(at) => {
                let at = at.index(anchored);
                let text = String::from_utf8(records[at].clone()).unwrap();
                records[at] = text.replace("\"allow\"", "\"block\"").into_bytes();
                rechain(records, at);
            }
        }
    }
}

type Chain = (Vec<Vec<u8>>, Vec<Anchor>, [u8; 32]);

static CHAIN: LazyLock<Chain> = LazyLock::new(|| chain(ANCHOR_EVERY as i64 + 40));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_done_to_a_file_of_records_shows(
        ways in proptest::collection::vec(tampering(), 1..3),
    ) {
        let (chain, anchors, public) = &*CHAIN;
        let mut records = chain.clone();
        for way in &ways {
            // What the way before has left of what is vouched for.
            let anchored = records.len().min(ANCHOR_EVERY as usize);
            if anchored < 3 || records.iter().any(|record| std::str::from_utf8(record).is_err()) {
                break;
            }
            if matches!(way, Tampering::Rechain(_)) && records != *chain {
                break;
            }
            way.apply(&mut records, anchored);
        }
        // Two ways may undo each other.
        prop_assume!(records != *chain);
        prop_assert!(!check(&records, anchors, public).is_intact(), "{ways:?}");
    }

    #[test]
    fn a_record_in_other_words_of_the_same_meaning_shows(at in any::<Index>()) {
        let (chain, anchors, public) = &*CHAIN;
        let mut records = chain.clone();
        let record = &mut records[at.index(ANCHOR_EVERY as usize)];
        let json: Value = serde_json::from_slice(record).unwrap();
        *record = serde_json::to_vec_pretty(&json).unwrap();
        prop_assert!(!check(&records, anchors, public).is_intact());
    }
}

#[test]
fn a_record_says_who_what_why_and_under_what_and_no_payload() {
    let rules = no_rules();
    let step = Step::new("weir.events", 0, "the-pack");
    let value = r#"{"v":1,"id":"e1","ts":1000000000,"kind":"tool_call","tenant":"acme","agent":{"id":"bot","type":"support"},
        "session":"s","user":"ann","delegation":["user:ann","agent:chief"],"tool":{"name":"mail","call_id":"c1","params":{"to":"x@y","n":12}},
        "usage":{"cost_usd":0.25,"tokens_in":7},"latency_ms":31,"traceparent":"00-ab-cd-01"}"#;
    let out = run_sequential(&step, &rules, [&record(3, value)]);
    let audit = out.iter().find(|record| record.topic == Topic::Audit).unwrap();
    let audit: Value = serde_json::from_slice(audit.value.as_ref().unwrap()).unwrap();
    for (pointer, expected) in [
        ("/v", Value::from(1)),
        ("/seq", 0.into()),
        ("/what", "decision".into()),
        ("/at/topic", "weir.events".into()),
        ("/at/offset", 3.into()),
        ("/event_id", "e1".into()),
        ("/tenant", "acme".into()),
        ("/agent", "bot".into()),
        ("/agent_type", "support".into()),
        ("/user", "ann".into()),
        ("/delegation", vec!["user:ann", "agent:chief"].into()),
        ("/tool/name", "mail".into()),
        ("/tool/call_id", "c1".into()),
        ("/tool/params/~1tool~1params~1to", "x@y".into()),
        ("/tool/params/~1tool~1params~1n", "12".into()),
        ("/cost_micro_usd", 250_000.into()),
        ("/tokens_in", 7.into()),
        ("/latency_ms", 31.into()),
        ("/trace", "00-ab-cd-01".into()),
        ("/pack", "the-pack".into()),
        ("/control", 0.into()),
        ("/action", "allow".into()),
        ("/enforced", true.into()),
    ] {
        assert_eq!(audit.pointer(pointer), Some(&expected), "{pointer} in {audit}");
    }
    assert_eq!(audit["prev"], "0".repeat(64));
    assert_eq!(audit["policy"].as_str().unwrap().len(), 64);
}

#[test]
fn at_least_once_writes_records_without_a_chain() {
    let rules = no_rules();
    let mut step = Step::new("weir.events", 0, "pack");
    step.chain = false;
    let out = run_sequential(&step, &rules, [&record(0, prompt("e", "x"))]);
    let audit = out.iter().find(|record| record.topic == Topic::Audit).unwrap();
    let audit: Value = serde_json::from_slice(audit.value.as_ref().unwrap()).unwrap();
    assert!(audit.get("seq").is_none() && audit.get("prev").is_none());
}
