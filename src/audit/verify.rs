//! Walks a partition's chain and tells every way in which it is not what was written.

use std::collections::BTreeMap;

use crate::audit::{Anchor, Hash, hash, unhex};

/// One way in which a chain is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// This record of the topic (counted from 0) is no audit record.
    NotARecord {
        /// Its place.
        index: u64,
    },
    /// The record with this number is not the one that its successor was chained to.
    Changed {
        /// Its number.
        seq: u64,
    },
    /// These records are missing.
    Gap {
        /// First missing.
        from: u64,
        /// Last missing.
        to: u64,
    },
    /// The record with this number stands behind a later one.
    Swapped {
        /// Its number.
        seq: u64,
    },
    /// There are two records with this number.
    Fork {
        /// Their number.
        seq: u64,
    },
    /// An anchor names this record, but the chain ends before it.
    Cut {
        /// Last record that is there; `None` where there is none.
        last: Option<u64>,
        /// Last that an anchor names.
        anchored: u64,
    },
    /// An anchor names another record with this number than the one that is there.
    NotAnchored {
        /// Its number.
        seq: u64,
    },
    /// The anchor of this record is not signed by the audit key.
    BadSignature {
        /// The record's number.
        seq: u64,
    },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotARecord { index } => write!(f, "entry {index} is not an audit record"),
            Self::Changed { seq } => write!(f, "record {seq} was changed"),
            Self::Gap { from, to } if from == to => write!(f, "record {from} is missing"),
            Self::Gap { from, to } => write!(f, "records {from} to {to} are missing"),
            Self::Swapped { seq } => write!(f, "record {seq} stands in the wrong place"),
            Self::Fork { seq } => write!(f, "there are two records {seq}"),
            Self::Cut { last: None, anchored } => {
                write!(f, "there is no record, but an anchor names record {anchored}")
            }
            Self::Cut { last: Some(last), anchored } => {
                write!(f, "the chain ends at {last}, but an anchor names record {anchored}")
            }
            Self::NotAnchored { seq } => write!(f, "record {seq} is not the one that was anchored"),
            Self::BadSignature { seq } => {
                write!(f, "the anchor of record {seq} is not signed by the audit key")
            }
        }
    }
}

/// A report lists no more problems than this.
pub const PROBLEMS_MAX: usize = 1000;

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Number of the first; not 0 where retention has removed older ones.
    pub first: Option<u64>,
    /// Highest number.
    pub last: Option<u64>,
    /// The last record that an anchor vouches for.
    pub anchored: Option<u64>,
    /// Records beyond it: chained, but nobody outside the topic vouches for them.
    pub unanchored: u64,
    /// All that is wrong, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// Whether there are more.
    pub more_problems: bool,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

#[derive(serde::Deserialize)]
struct Link {
    v: u64,
    seq: u64,
    prev: String,
}

fn link(record: &[u8]) -> Option<(u64, Hash)> {
    let link: Link = serde_json::from_slice(record).ok()?;
    (link.v == 1).then_some((link.seq, unhex(&link.prev)?))
}

/// Checks the records of one partition, in topic order, against each other and against the
/// partition's anchors. With `public` anchors must be signed by its key, and only those count;
/// without, any anchor counts.
pub fn verify<R: AsRef<[u8]>>(
    records: impl IntoIterator<Item = R>,
    anchors: &[Anchor],
    public: Option<&[u8; 32]>,
) -> Report {
    let mut walk = Verifier::new(anchors, public);
    for record in records {
        walk.take(record.as_ref());
    }
    walk.end()
}

/// [`verify`], record by record, for those who look at the records on the way.
#[derive(Debug)]
pub struct Verifier {
    report: Report,
    anchors: BTreeMap<u64, Hash>,
    /// What comes next, and the hash that it must name; `None` before the first record.
    expected: Option<(u64, Hash)>,
    /// Numbers passed over so far: first and last.
    gaps: Vec<(u64, u64)>,
}

impl Verifier {
    /// Begins before the first record of a partition.
    #[must_use]
    pub fn new(anchors: &[Anchor], public: Option<&[u8; 32]>) -> Self {
        let mut report = Report::default();
        let mut good = BTreeMap::new();
        for anchor in anchors {
            if public.is_none_or(|public| anchor.is_signed_by(public)) {
                good.insert(anchor.seq, anchor.hash);
            } else {
                report.problems.push(Problem::BadSignature { seq: anchor.seq });
            }
        }
        Self { report, anchors: good, expected: None, gaps: Vec::new() }
    }

    /// Checks the next record against those before it.
    pub fn take(&mut self, record: &[u8]) {
        let index = self.report.records;
        self.report.records += 1;
        let Some((seq, prev)) = link(record) else {
            self.problem(Problem::NotARecord { index });
            return;
        };
        let own = hash(record);
        let (next, last) = *self.expected.get_or_insert((seq, prev));
        self.report.first.get_or_insert(seq);
        if seq < next {
            self.out_of_turn(seq);
            return;
        }
        if seq > next {
            self.gaps.push((next, seq - 1));
        } else if prev != last {
            self.problem(Problem::Changed { seq: next.saturating_sub(1) });
        }
        if seq == 0 && prev != Hash::default() {
            self.problem(Problem::Changed { seq });
        }
        if let Some(anchored) = self.anchors.get(&seq) {
            if *anchored == own {
                self.report.anchored = Some(seq);
            } else {
                self.problem(Problem::NotAnchored { seq });
            }
        }
        self.report.last = Some(seq);
        self.expected = Some((seq.saturating_add(1), own));
    }

    fn problem(&mut self, problem: Problem) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(problem);
        } else {
            self.report.more_problems = true;
        }
    }

    /// A number that has been passed: one of those missed stands here, or there are two.
    fn out_of_turn(&mut self, seq: u64) {
        let Some(at) = self.gaps.iter().position(|(from, to)| (*from..=*to).contains(&seq)) else {
            let early = self.report.first.is_some_and(|first| seq < first);
            self.problem(if early { Problem::Swapped { seq } } else { Problem::Fork { seq } });
            return;
        };
        let (from, to) = self.gaps.swap_remove(at);
        if from < seq {
            self.gaps.push((from, seq - 1));
        }
        if seq < to {
            self.gaps.push((seq + 1, to));
        }
        self.problem(Problem::Swapped { seq });
    }

    /// The end of the partition: what was found.
    #[must_use]
    pub fn end(mut self) -> Report {
        let gaps = self.gaps.into_iter().map(|(from, to)| Problem::Gap { from, to });
        self.report.problems.extend(gaps);
        if let Some((&anchored, _)) = self.anchors.last_key_value()
            && self.report.last.is_none_or(|last| last < anchored)
        {
            self.report.problems.push(Problem::Cut { last: self.report.last, anchored });
        }
        self.report.problems.sort_unstable();
        self.report.problems.dedup();
        self.report.unanchored = match (self.report.anchored, self.report.last, self.report.first) {
            (Some(anchored), Some(last), _) => last - anchored,
            (None, Some(last), Some(first)) => last - first + 1,
            _ => 0,
        };
        self.report
    }
}
