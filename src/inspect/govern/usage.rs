//! What an agent remembers of its use of tools: quotas over time, and which tools it knows.

use sha2::{Digest as _, Sha256};

use crate::event::{Event, Kind, Millis};
use crate::inspect::Limits;
use crate::policy::Breaker;
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Staged, owner};

const VERSION: u8 = 1;
/// Parts of a window that are counted apart.
const PARTS: i64 = 12;
/// Parts that are kept: one more, so that what is counted never spans less than the window.
const KEPT: usize = PARTS as usize + 1;
/// Tools that an agent is known to have used; the one used longest ago gives way.
const TOOLS_MAX: usize = 256;
/// A tool that was not used for so many days is new again.
pub(super) const KNOWN_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// The memory of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    windows: Vec<Window>,
    /// Hash of a tool's name, and the day of its last use.
    tools: Vec<([u8; 8], i64)>,
    pub(super) circuit: Circuit,
    /// A planted value was seen: nothing goes on until an operator resumes the agent.
    pub(super) halted: bool,
}

/// An agent's circuit breaker.
///
/// Closed, until failures in a row or the cost of a day reach their limit; then open until
/// its time is over; then one call is tried. If that fails, it is open again; if it does not,
/// closed. A try whose result never comes is over after as long as the breaker was open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Circuit {
    /// Errors of tools in a row.
    failures: u64,
    /// Open, or trying, until then.
    until: Option<Millis>,
    trying: bool,
}

/// What the breaker does about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Passes,
    /// This event opens it.
    Opens,
    /// It is stopped, and may be sent again after so many milliseconds.
    Stopped(u64),
}

impl Circuit {
    /// Looks at one event, and counts it. `cost` is what was spent in the last 24 hours.
    pub(super) fn turn(
        &mut self,
        breaker: &Breaker,
        event: &Event<'_>,
        cost: u64,
        now: Millis,
    ) -> Turn {
        let too_much = breaker.max_cost_micro_usd > 0 && cost >= breaker.max_cost_micro_usd;
        let starts = matches!(event.kind, Kind::Prompt | Kind::ToolCall);
        if starts && let Some(until) = self.until {
            if now < until {
                return Turn::Stopped(u64::try_from(until.0 - now.0).unwrap_or(0));
            }
            // Its time is over. What was only spent is forgiven when the day is over; after
            // failures this one is tried.
            if !too_much && !self.has_failed(breaker) {
                self.until = None;
                self.trying = false;
            } else {
                self.trying = true;
                self.until = Some(now.plus(breaker.open_ms));
            }
            return Turn::Passes;
        }
        let result = event.tool.as_ref().filter(|_| event.kind == Kind::ToolResult);
        if let Some(tool) = result {
            if !tool.error {
                self.failures = 0;
                if self.trying && !too_much {
                    *self = Self::default();
                }
            } else if self.trying {
                self.trying = false;
                self.until = Some(now.plus(breaker.open_ms));
                return Turn::Opens;
            } else {
                self.failures = self.failures.saturating_add(1);
            }
        }
        if self.until.is_none() && (self.has_failed(breaker) || too_much) {
            self.until = Some(now.plus(breaker.open_ms));
            return Turn::Opens;
        }
        Turn::Passes
    }

    fn has_failed(&self, breaker: &Breaker) -> bool {
        breaker.max_failures > 0 && self.failures >= breaker.max_failures
    }
}

/// A count over the last stretch of time, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    key: [u8; 8],
    /// Number of the newest part since the epoch.
    newest: i64,
    /// The newest part first.
    parts: [u64; KEPT],
}

impl Window {
    /// Drops what has left the window.
    fn advance(&mut self, now: i64) {
        let gone = usize::try_from(now - self.newest).unwrap_or(0).min(KEPT);
        if gone > 0 {
            self.parts.rotate_right(gone);
            self.parts.iter_mut().take(gone).for_each(|part| *part = 0);
            self.newest = now;
        }
    }

    fn sum(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// How a quota over time stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// What was counted in the window.
    pub(super) sum: u64,
    /// How long until one more passes, if nothing else comes; milliseconds.
    pub(super) wait_ms: u64,
}

impl Usage {
    pub(super) fn key(event: &Event<'_>) -> Key {
        Key::of(owner::USAGE, [event.tenant.as_ref(), event.agent.as_ref()])
    }

    pub(super) fn read(staged: &Staged<'_>, key: &Key) -> Option<Self> {
        Self::decode(staged.get(key)?)
    }

    /// Counts so much more against a quota of the last `window_ms`.
    pub(super) fn count(
        &mut self,
        key: [u8; 8],
        window_ms: i64,
        max: u64,
        amount: u64,
        now: Millis,
    ) -> Standing {
        let part_ms = (window_ms / PARTS).max(1);
        let current = now.0.div_euclid(part_ms);
        let at = self.windows.iter().position(|window| window.key == key);
        let at = at.unwrap_or_else(|| {
            self.windows.push(Window { key, newest: current, parts: [0; KEPT] });
            self.windows.len() - 1
        });
        let Some(window) = self.windows.get_mut(at) else { return Standing { sum: 0, wait_ms: 0 } };
        window.advance(current);
        if let Some(newest) = window.parts.first_mut() {
            *newest = newest.saturating_add(amount);
        }
        let sum = window.sum();
        let mut left = sum;
        let mut wait_ms = 0;
        for (age, part) in window.parts.iter().enumerate().rev() {
            if left < max.max(1) {
                break;
            }
            if *part > 0 {
                left -= part;
                let leaves = (window.newest - age as i64 + KEPT as i64).saturating_mul(part_ms);
                wait_ms = u64::try_from(leaves - now.0).unwrap_or(0);
            }
        }
        Standing { sum, wait_ms }
    }

    /// Whether the agent has used the tool in the last [`KNOWN_DAYS`] days.
    pub(super) fn knows(&self, tool: &str, now: Millis) -> bool {
        let oldest = now.0.div_euclid(DAY_MS) - KNOWN_DAYS;
        let name = name(tool);
        self.tools.iter().any(|(known, day)| *known == name && *day >= oldest)
    }

    /// Remembers a use of the tool; tells whether that changed anything.
    pub(super) fn used(&mut self, tool: &str, now: Millis) -> bool {
        let (name, today) = (name(tool), now.0.div_euclid(DAY_MS));
        if let Some(known) = self.tools.iter_mut().find(|(known, _)| *known == name) {
            return std::mem::replace(&mut known.1, today) != today;
        }
        if self.tools.len() == TOOLS_MAX {
            let oldest = self.tools.iter().enumerate().min_by_key(|(_, (_, day))| *day);
            if let Some(at) = oldest.map(|(at, _)| at) {
                self.tools.remove(at);
            }
        }
        self.tools.push((name, today));
        true
    }

    /// Keeps it; windows that are over and tools that are forgotten are left out.
    pub(super) fn write(&self, staged: &mut Staged<'_>, key: Key, limits: &Limits) {
        if staged.get(&key).is_none() {
            staged.make_room(owner::USAGE, limits.agents);
        }
        let days = if self.tools.is_empty() && !self.halted { 1 } else { KNOWN_DAYS + 1 };
        let deadline = staged.now().plus(days * DAY_MS + DAY_MS / 8);
        staged.put(key, self.encode(), Some(deadline));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Pack::new(VERSION).number(self.windows.len() as u64);
        for window in &self.windows {
            out = out.bytes(&window.key).bytes(&window.newest.to_be_bytes());
            for part in window.parts {
                out = out.number(part);
            }
        }
        out = out.number(self.tools.len() as u64);
        for (tool, day) in &self.tools {
            out = out.bytes(tool).bytes(&day.to_be_bytes());
        }
        let Circuit { failures, until, trying } = self.circuit;
        out.number(failures)
            .millis(until.unwrap_or(Millis(i64::MIN)))
            .bytes(&[u8::from(trying), u8::from(self.halted)])
            .done()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack::new(VERSION, bytes)?;
        let mut usage = Self::default();
        for _ in 0..from.number()? {
            let (key, newest) = (from.fixed()?, i64::from_be_bytes(from.fixed()?));
            let mut parts = [0; KEPT];
            for part in &mut parts {
                *part = from.number()?;
            }
            usage.windows.push(Window { key, newest, parts });
        }
        for _ in 0..from.number()? {
            usage.tools.push((from.fixed()?, i64::from_be_bytes(from.fixed()?)));
        }
        let (failures, until) = (from.number()?, from.millis()?);
        let [trying, halted] = from.fixed()?;
        let until = (until != Millis(i64::MIN)).then_some(until);
        usage.circuit = Circuit { failures, until, trying: trying == 1 };
        usage.halted = halted == 1;
        Some(usage)
    }
}

fn name(tool: &str) -> [u8; 8] {
    Sha256::digest(tool).first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    proptest! {
        #[test]
        fn a_window_never_counts_less_than_its_time_and_at_most_a_part_more(
            gaps in proptest::collection::vec(0i64..600_000, 1..60),
        ) {
            let mut usage = Usage::default();
            let mut now = 1_700_000_000_000;
            let mut times = Vec::new();
            for gap in gaps {
                now += gap;
                times.push(now);
                let sum = usage.count([1; 8], HOUR, 10, 1, Millis(now)).sum;
                let since = |ms: i64| times.iter().filter(|time| now - **time < ms).count() as u64;
                prop_assert!(sum >= since(HOUR), "{sum}");
                prop_assert!(sum <= since(HOUR + HOUR / PARTS), "{sum}");
            }
        }

        #[test]
        fn whoever_waits_as_told_passes(
            gaps in proptest::collection::vec(0i64..900_000, 1..40),
            max in 1u64..6,
        ) {
            let mut usage = Usage::default();
            let mut now = 1_700_000_000_000;
            for gap in gaps {
                now += gap;
                let standing = usage.count([1; 8], HOUR, max, 1, Millis(now));
                let later = Millis(now + standing.wait_ms as i64);
                let again = usage.clone().count([1; 8], HOUR, max, 1, later);
                prop_assert!(again.sum <= max, "{standing:?} {again:?}");
                prop_assert!(standing.wait_ms as i64 <= HOUR + HOUR / PARTS);
            }
        }

        #[test]
        fn what_is_written_is_read(counts in proptest::collection::vec((0u8..4, 0i64..9_000_000, 0u64..1000), 0..20)) {
            let mut usage = Usage::default();
            for (key, at, amount) in counts {
                usage.count([key; 8], HOUR, 5, amount, Millis(at));
                usage.used(&format!("t{amount}"), Millis(at * 100_000));
                usage.halted = amount % 2 == 0;
                let until = (at % 2 == 0).then_some(Millis(at));
                usage.circuit = Circuit { failures: amount, until, trying: at % 3 == 0 };
            }
            prop_assert_eq!(Usage::decode(&usage.encode()), Some(usage));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            Usage::decode(&bytes);
        }
    }

    #[test]
    fn tools_are_known_for_thirty_days_and_the_list_is_bounded() {
        let mut usage = Usage::default();
        let day = |day: i64| Millis(day * DAY_MS + 5);
        assert!(!usage.knows("a", day(100)));
        assert!(usage.used("a", day(100)));
        assert!(!usage.used("a", day(100)), "nothing new");
        assert!(usage.knows("a", day(130)) && !usage.knows("a", day(131)));
        for n in 0..TOOLS_MAX {
            usage.used(&format!("t{n}"), day(110));
        }
        assert_eq!(usage.tools.len(), TOOLS_MAX);
        assert!(!usage.knows("a", day(110)) && usage.knows("t0", day(110)));
    }
}
