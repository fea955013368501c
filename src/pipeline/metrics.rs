//! What lanes count. Names and labels of the metrics are `telemetry`'s and the admin listener's.
//!
//! Everything that follows from a batch is counted when its transaction has committed, so
//! that an aborted attempt counts as an abort and as nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::event::Millis;
use crate::finding::Action;
use crate::inspect::{End, StreamNotes};
use crate::pipeline::step::Outcome;

/// What a lane is doing, for readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneState {
    /// No assignment yet.
    #[default]
    Joining,
    /// A partition's state is being read.
    Warming,
    /// Records flow.
    Running,
    /// Orders may be out of date: all partitions are paused.
    Held,
    /// The log does not answer, or an attempt failed: waiting before the next one.
    Waiting,
    /// Left the group.
    Stopped,
}

impl LaneState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Joining, Self::Warming, Self::Running, Self::Held, Self::Waiting, Self::Stopped];

    /// The name in metrics and in the answer of `/readyz`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Warming => "warming",
            Self::Running => "running",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters and histograms of all lanes.
        #[derive(Default)]
        pub struct Metrics {
            $($(#[$doc])* pub $name: Counter,)+
            verdicts: [Counter; Action::ALL.len()],
            streams_ended: [Counter; End::ALL.len()],
            dead: Mutex<BTreeMap<&'static str, u64>>,
            timings: Mutex<Timings>,
            lanes: Mutex<BTreeMap<usize, LaneStatus>>,
        }
    };
}

counters! {
    /// Records of the events topic whose outputs are committed.
    events,
    /// Bytes of their values.
    event_bytes,
    /// Records written, state included.
    outputs,
    /// Bytes of their keys and values.
    output_bytes,
    /// State records among the outputs.
    state_records,
    /// Bytes of their keys and values.
    state_bytes,
    /// Records scanned while the batch before theirs was committed.
    scanned_ahead,
    /// Committed transactions.
    batches,
    /// Aborted transactions.
    aborts,
    /// Producers rebuilt after an unknown outcome or a fence.
    rebuilds,
    /// Panics caught while inspecting.
    panics,
    /// Records turned away because nothing else could be committed.
    poisoned,
    /// Partitions taken over.
    assigned,
    /// Partitions given up or lost.
    revoked,
    /// Partitions whose audit chain does not fit the restored state.
    chain_breaks,
    /// Attempts after which a lane waited.
    waits,
    /// Events that are not on the partition that their agent's id leads to.
    misrouted,
    /// Events whose `ts` lies before the late limit.
    backdated,
    /// Events whose `ts` lies too far ahead.
    ahead,
    /// Events whose id came lately with other content.
    reused_ids,
    /// Events blocked by an order.
    killed,
    /// Signs that a silence or a maintenance window kept from the SOC.
    kept_back,
    /// Behaviour profiles forgotten to make room.
    profiles_evicted,
    /// Events of agents whose type is one too many.
    types_refused,
    /// Names that profiles forgot within their thirty days to make room.
    names_crowded,
    /// Chunks that came after their stream had ended.
    late_chunks,
    /// Packs and policies taken up while running.
    reloads,
    /// Packs and policies that could not be taken up.
    reload_failures,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Latencies since the process began.
#[derive(Clone)]
pub struct Timings {
    /// From the record's timestamp to its commit, in milliseconds.
    pub commit_ms: Histogram<u64>,
    /// Scan and decision of one event, in nanoseconds.
    pub inspect_ns: Histogram<u64>,
    /// From the first record of a batch to its commit, in microseconds.
    pub batch_us: Histogram<u64>,
    /// The commit call alone, in microseconds.
    pub transaction_us: Histogram<u64>,
    /// Restoring one partition, in milliseconds.
    pub restore_ms: Histogram<u64>,
}

impl Default for Timings {
    fn default() -> Self {
        // A histogram that grows by itself would put what is too large for it into its last
        // bucket: `saturating_record` does not let it grow. An hour in nanoseconds holds all.
        let histogram = || {
            Histogram::new_with_bounds(1, 3_600_000_000_000, 3)
                .expect("the bounds are constants that the crate accepts")
        };
        Self {
            commit_ms: histogram(),
            inspect_ns: histogram(),
            batch_us: histogram(),
            transaction_us: histogram(),
            restore_ms: histogram(),
        }
    }
}

/// One lane as of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneStatus {
    /// What it is doing.
    pub state: LaneState,
    /// When it last finished a tick, for liveness.
    pub ticked: Millis,
    /// Partitions owned, warming ones included.
    pub partitions: usize,
    /// Streamed answers that go on, in partitions that are live.
    pub streams: usize,
    /// Records behind the end, by partition that is live.
    pub lag: BTreeMap<i32, i64>,
    /// Age of the oldest record of the last batch at its commit, in milliseconds.
    pub behind_ms: i64,
}

impl Metrics {
    /// Verdicts with this action.
    #[must_use]
    pub fn verdicts(&self, action: Action) -> &Counter {
        &self.verdicts[action as usize]
    }

    /// Counts what a committed record came to.
    pub fn count(&self, outcome: &Outcome) {
        self.verdicts(outcome.action).add(1);
        if let Some(reason) = outcome.dead {
            let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
            *dead.entry(reason).or_default() += 1;
        }
        let notes = outcome.notes;
        for (noted, counter) in [
            (notes.misrouted, &self.misrouted),
            (notes.backdated, &self.backdated),
            (notes.ahead, &self.ahead),
            (notes.id_reuse, &self.reused_ids),
            (notes.killed, &self.killed),
            (notes.profiles_full, &self.profiles_evicted),
            (notes.types_full, &self.types_refused),
        ] {
            counter.add(u64::from(noted));
        }
        self.kept_back.add(u64::from(notes.kept_back));
        self.names_crowded.add(u64::from(notes.names_crowded));
        self.count_streams(notes.streams);
    }

    /// Counts what became of streams.
    pub fn count_streams(&self, notes: StreamNotes) {
        self.late_chunks.add(u64::from(notes.late));
        for (counter, ended) in self.streams_ended.iter().zip(notes.ended) {
            counter.add(u64::from(ended));
        }
    }

    /// Streams that have ended so.
    #[must_use]
    pub fn streams_ended(&self, end: End) -> &Counter {
        &self.streams_ended[end as usize]
    }

    /// Dead letters by reason.
    #[must_use]
    pub fn dead(&self) -> BTreeMap<&'static str, u64> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records into the histograms; one lock for a batch.
    pub fn time(&self, record: impl FnOnce(&mut Timings)) {
        record(&mut self.timings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A copy of the histograms.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is told about a lane.
    pub fn lane(&self, lane: usize, change: impl FnOnce(&mut LaneStatus)) {
        change(self.lock_lanes().entry(lane).or_default());
    }

    /// All lanes that have begun.
    #[must_use]
    pub fn lanes(&self) -> BTreeMap<usize, LaneStatus> {
        self.lock_lanes().clone()
    }

    /// Whether every one of `lanes` lanes is at work: `/readyz`. A lane without a partition is
    /// ready once it has joined, since there may be more lanes than partitions.
    #[must_use]
    pub fn ready(&self, lanes: usize) -> bool {
        let known = self.lock_lanes();
        known.len() >= lanes && known.values().all(|lane| lane.state == LaneState::Running)
    }

    /// Whether every lane has ticked within `limit`: `/livez`.
    #[must_use]
    pub fn live(&self, now: Millis, limit: Duration) -> bool {
        let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        self.lock_lanes().values().all(|lane| {
            lane.state == LaneState::Stopped || now.0.saturating_sub(lane.ticked.0) <= limit
        })
    }

    fn lock_lanes(&self) -> MutexGuard<'_, BTreeMap<usize, LaneStatus>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
