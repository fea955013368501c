//! The classifier between the two halves: asked while a batch is scanned, awaited at the scan's end.
//!
//! Every event's texts are handed over as soon as rules have seen them, so the texts of a
//! batch, and of all lanes, are scored together. The wait ends when the last event's
//! deadline has passed, and where the batch before is still committing it costs nothing.
//! What was late may be looked at a second time: its score can still raise an alert, in the
//! next transaction of the lane that owns the partition by then. That is best effort: what
//! is lost with an abort, a restart or a rebalance is lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::classify::{Classifier, Document, Ticket, Urgency, When, documents, unasked};
use crate::detect::Scan;
use crate::event::Event;
use crate::finding::{Confidence, Score, Scoring};
use crate::inspect::join;
use crate::policy::Policy;

/// Events whose second look is waited for; of more, the oldest is given up.
const LATE_MAX: usize = 4_096;
/// A second look that nobody has sent by then is given up.
const LATE_FOR: Duration = Duration::from_mins(2);

/// A classifier and how the pipeline asks it.
#[derive(Debug)]
pub struct Asking {
    classifier: Classifier,
    when: When,
    deadline: Duration,
    second_look: bool,
    late: Mutex<VecDeque<Late>>,
    seen: [AtomicU64; Scoring::ALL.len()],
    raised: AtomicU64,
    quiet: AtomicU64,
    given_up: AtomicU64,
}

/// An event whose texts were handed over.
#[derive(Debug)]
pub struct Asked {
    ticket: Arc<Ticket>,
    documents: Vec<Document>,
    deadline: Instant,
}

/// An event that went on before all of it was scored.
#[derive(Debug)]
struct Late {
    partition: i32,
    offset: i64,
    since: Instant,
    ticket: Arc<Ticket>,
    /// Without its strings.
    event: Event<'static>,
    /// What was acted on in time.
    known: Option<Score>,
}

/// A late score that is to raise an alert.
#[derive(Debug)]
pub struct Second {
    /// Offset of the event.
    pub offset: i64,
    /// The event, without its strings.
    pub event: Event<'static>,
    /// How sure the score is; medium at least.
    pub confidence: Confidence,
}

/// How often a second look came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// An alert was raised.
    pub raised: u64,
    /// There was nothing to tell.
    pub quiet: u64,
    /// Nobody could tell it any more, or there were too many.
    pub given_up: u64,
}

impl Asking {
    /// Asks this classifier about events as `when` says, and waits `deadline` for each.
    #[must_use]
    pub fn new(classifier: Classifier, when: When, deadline: Duration, second_look: bool) -> Self {
        Self {
            classifier,
            when,
            deadline,
            second_look,
            late: Mutex::default(),
            seen: Default::default(),
            raised: AtomicU64::default(),
            quiet: AtomicU64::default(),
            given_up: AtomicU64::default(),
        }
    }

    /// The classifier.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// How many events came to this.
    #[must_use]
    pub fn seen(&self, state: Scoring) -> u64 {
        self.seen.get(state as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// What second looks came to.
    #[must_use]
    pub fn looks(&self) -> Looks {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Looks { raised: of(&self.raised), quiet: of(&self.quiet), given_up: of(&self.given_up) }
    }

    /// Hands an event's texts over. Until [`Asking::settle`] its coverage says that none was scored.
    pub(super) fn ask(&self, event: &Event<'_>, scan: &mut Scan) -> Option<Asked> {
        let Some(documents) = documents(event, scan, self.when) else {
            scan.coverage.classifier = unasked(Scoring::Skipped, self.classifier.id()).seen;
            self.count(Scoring::Skipped);
            return None;
        };
        scan.coverage.classifier = unasked(Scoring::Shed, self.classifier.id()).seen;
        let deadline = Instant::now() + self.deadline;
        let urgency = Urgency::Inline { deadline, second_look: self.second_look };
        let ticket = self.classifier.submit(&documents, urgency);
        Some(Asked { ticket, documents, deadline })
    }

    /// Waits for an event's scores, at most until its deadline, and joins what is there.
    pub(super) fn settle(
        &self,
        asked: &Asked,
        at: (i32, i64),
        event: &Event<'_>,
        scan: &mut Scan,
        policy: &Policy,
    ) {
        asked.ticket.wait(Some(asked.deadline));
        let scores = asked.ticket.scores(&asked.documents, event);
        self.count(scores.seen.state);
        join(scan, &scores, self.classifier.thresholds(), policy);
        if !self.second_look || asked.ticket.is_done() {
            return;
        }
        let (partition, offset) = at;
        let mut event = event.clone().into_owned();
        event.fields.clear();
        event.nodes.clear();
        let ticket = Arc::clone(&asked.ticket);
        let known = scores.seen.score;
        let mut late = self.late();
        if late.len() >= LATE_MAX {
            late.pop_front();
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        late.push_back(Late { partition, offset, since: Instant::now(), ticket, event, known });
    }

    /// Partitions that have a second look to tell.
    pub(super) fn waiting(&self) -> Vec<i32> {
        let mut late = self.late();
        late.retain(|late| {
            let over = late.since.elapsed() > LATE_FOR;
            if over {
                self.given_up.fetch_add(1, Ordering::Relaxed);
            } else if late.ticket.is_done() && self.judge(late).is_none() {
                self.quiet.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            !over
        });
        let ready = late.iter().filter(|late| late.ticket.is_done());
        let mut partitions: Vec<i32> = ready.map(|late| late.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// Takes the second looks that a partition has to tell.
    pub(super) fn take(&self, partition: i32) -> Vec<Second> {
        let mut late = self.late();
        let mut taken = Vec::new();
        for _ in 0..late.len() {
            let Some(one) = late.pop_front() else { break };
            if one.partition != partition || !one.ticket.is_done() {
                late.push_back(one);
                continue;
            }
            match self.judge(&one) {
                Some(confidence) => {
                    self.raised.fetch_add(1, Ordering::Relaxed);
                    taken.push(Second { offset: one.offset, event: one.event, confidence });
                }
                None => {
                    self.quiet.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        taken
    }

    /// How sure a late score is, where it is acted on and what was there in time was not.
    fn judge(&self, late: &Late) -> Option<Confidence> {
        let acted = |score: Option<Score>| {
            let confidence = self.classifier.thresholds().confidence(score?)?;
            (confidence > Confidence::Low).then_some(confidence)
        };
        match acted(late.known) {
            Some(_) => None,
            None => acted(late.ticket.seen().score),
        }
    }

    fn late(&self) -> MutexGuard<'_, VecDeque<Late>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, state: Scoring) {
        if let Some(count) = self.seen.get(state as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
