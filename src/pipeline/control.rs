//! The control topic, read on a thread of its own into a snapshot that lanes pin.
//!
//! A lane asks the [`Board`] at the start of each batch and gets the standing orders, or
//! nothing when they may be out of date: before the topic was read to its end for the
//! first time, and when its end could not be looked up for some seconds. A lane without
//! orders holds its partitions, because a kill that nobody could read must not be ignored.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::Millis;
use crate::pipeline::log::{InRecord, LogError, Now};
use crate::policy::{Order, Orders};

/// What a look at the control topic brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// New records, in order.
    pub records: Vec<InRecord>,
    /// Where the next look goes on.
    pub next: i64,
    /// Whether everything has been read that was there when the look began.
    pub caught_up: bool,
}

/// A reader of the control topic.
pub trait ControlLog {
    /// Looks up the topic's end and reads towards it; waits up to `wait` where there is nothing new.
    ///
    /// # Errors
    /// [`LogError::Retry`] where the log did not answer, [`LogError::Fatal`] where the topic is missing.
    fn refresh(&mut self, wait: Duration) -> Result<Refreshed, LogError>;
}

/// Reads one control record. `None` where it holds no order, of which the reader itself tells.
pub type Read = dyn FnMut(&InRecord) -> Option<Order> + Send;

/// Orders that a snapshot still lists one by one, at most.
const LATEST: usize = 10_000;

/// What is in force, pinned for a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The sum of all orders.
    pub orders: Orders,
    /// The orders themselves in offset order, for the partitions that have not applied them yet.
    pub latest: VecDeque<Order>,
}

/// The standing orders and how fresh they are.
pub struct Board {
    standing: Mutex<Arc<Standing>>,
    /// When everything in the topic was last known to be read; `i64::MIN` before that.
    fresh: AtomicI64,
    stale_ms: i64,
    /// Something else has to be read before anything may be decided.
    shut: AtomicBool,
}

impl Board {
    /// A board that nothing was read for yet.
    #[must_use]
    pub fn new(stale_ms: i64) -> Self {
        let fresh = AtomicI64::new(i64::MIN);
        Self { standing: Mutex::default(), fresh, stale_ms, shut: AtomicBool::new(false) }
    }

    /// A board with fixed orders that never go stale, for tests and for offline runs.
    #[must_use]
    pub fn fixed(orders: Orders) -> Self {
        Self {
            standing: Mutex::new(Arc::new(Standing { orders, latest: VecDeque::new() })),
            fresh: AtomicI64::new(0),
            stale_ms: i64::MAX,
            shut: AtomicBool::new(false),
        }
    }

    /// Hands out no orders until [`Board::open`]: something else has to be read first.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::Release);
    }

    /// Whether something else has to be read first.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// Ends what [`Board::shut`] began.
    pub fn open(&self) {
        self.shut.store(false, Ordering::Release);
    }

    /// The orders in force, unless they may be out of date at `now`.
    #[must_use]
    pub fn pin(&self, now: Millis) -> Option<Arc<Standing>> {
        let fresh = self.fresh.load(Ordering::Acquire);
        if self.is_shut() || fresh == i64::MIN || now.0.saturating_sub(fresh) > self.stale_ms {
            return None;
        }
        Some(Arc::clone(&self.standing.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// New orders.
    pub fn publish(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
    }

    /// Everything in the topic at `at` has been published.
    pub fn refreshed(&self, at: Millis) {
        self.fresh.store(at.0, Ordering::Release);
    }
}

/// Reads control until `stop`. Where the log does not answer it tries again, ever more
/// slowly up to a second, and the board goes stale by itself.
pub fn follow(
    source: &mut impl ControlLog,
    read: &mut Read,
    board: &Board,
    now: &Now,
    stop: &AtomicBool,
) {
    let mut standing = Standing::default();
    let mut unpublished = false;
    let mut wait = Duration::ZERO;
    let mut failures = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let asked = now();
        match source.refresh(wait) {
            Ok(refreshed) => {
                if failures > 0 {
                    tracing::info!("the control topic answers again");
                }
                failures = 0;
                let before = standing.orders.offset;
                for order in refreshed.records.iter().filter_map(&mut *read) {
                    standing.orders.apply(&order);
                    standing.latest.push_back(order);
                }
                while standing.latest.len() > LATEST {
                    standing.latest.pop_front();
                }
                unpublished |= before != refreshed.next;
                standing.orders.offset = refreshed.next;
                // Before the first end is reached the orders are half a history, which may
                // hold a kill without its resume.
                let told = board.fresh.load(Ordering::Acquire) != i64::MIN;
                if unpublished && (told || refreshed.caught_up) {
                    board.publish(standing.clone());
                    unpublished = false;
                }
                if refreshed.caught_up {
                    board.refreshed(asked);
                    wait = Duration::from_millis(100);
                }
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "cannot read the control topic, trying again");
                }
                failures = failures.saturating_add(1);
                std::thread::sleep(
                    Duration::from_millis(50 << failures.min(4)).min(Duration::from_secs(1)),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Command, Scope};

    struct Script(Vec<Result<Refreshed, LogError>>, Arc<AtomicBool>);

    impl ControlLog for Script {
        fn refresh(&mut self, _wait: Duration) -> Result<Refreshed, LogError> {
            let next = self.0.remove(0);
            if self.0.is_empty() {
                self.1.store(true, Ordering::Relaxed);
            }
            next
        }
    }

    fn look(keys: &[&str], next: i64, caught_up: bool) -> Refreshed {
        let record = |key: &&str| InRecord {
            partition: 0,
            offset: next - 1,
            timestamp: Millis(0),
            key: Some(key.as_bytes().to_vec()),
            value: None,
            headers: Vec::new(),
        };
        let records = keys.iter().map(record).collect();
        Refreshed { records, next, caught_up }
    }

    fn run(script: Vec<Result<Refreshed, LogError>>) -> Board {
        let stop = Arc::new(AtomicBool::new(false));
        let board = Board::new(5_000);
        let now: Now = Arc::new(|| Millis(1_000));
        let mut read = |record: &InRecord| {
            let key = record.key.clone().unwrap_or_default();
            let scope = Scope::Tenant(String::from_utf8_lossy(&key).into_owned());
            let command = Command::Kill { scope, on: true };
            Some(Order { offset: record.offset, command, by: String::new(), reason: String::new() })
        };
        follow(&mut Script(script, Arc::clone(&stop)), &mut read, &board, &now, &stop);
        board
    }

    #[test]
    fn orders_are_told_only_once_the_topic_was_read_to_its_end() {
        assert_eq!(run(vec![Ok(look(&["a"], 1, false))]).pin(Millis(1_000)), None);
        let board = run(vec![Ok(look(&["a"], 1, false)), Ok(look(&["b"], 2, true))]);
        let standing = board.pin(Millis(1_000)).unwrap();
        assert_eq!(standing.orders.kills.len(), 2);
        assert_eq!(standing.latest.len(), 2);
        assert_eq!(standing.orders.offset, 2);
    }

    #[test]
    fn orders_go_stale_when_the_end_cannot_be_looked_up() {
        let board = run(vec![Ok(look(&[], 0, true)), Err(LogError::Retry("away".into()))]);
        assert!(board.pin(Millis(6_000)).is_some());
        assert_eq!(board.pin(Millis(6_001)), None);
    }
}
