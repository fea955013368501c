//! What each rule costs on given texts, counted and not timed: the same on every machine.
//!
//! The first pass reads a text once for all rules. What a rule adds is the places that it
//! has looked at and the bytes that its expression is run over; their weights are
//! measured times, so that the sum can be held against the time of a whole scan.

use super::Rules;
use crate::engine::{Candidate, Overflow};

/// A scan of 1 KB of chat with all shipped rules, in nanoseconds (`docs/performance.md`).
const SCAN_NS_PER_BYTE: f64 = 6.0;
/// Beginning a search at a place, and running an expression over a byte, in nanoseconds:
/// what fits the times of `weir patterns bench --top 0` over the shipped packs, 2026-11-21.
const SEARCH_NS: f64 = 20.0;
const SEARCHED_NS_PER_BYTE: f64 = 1.5;

/// What one rule adds to the scan of some texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Places that the first pass names for the rule.
    pub candidates: u64,
    /// Searches that begin at those places.
    pub searches: u64,
    /// Bytes that the rule's expressions are run over, at most.
    pub searched: u64,
    /// Bytes of all texts.
    pub bytes: u64,
}

impl Cost {
    /// The part of a whole scan that the rule takes, estimated: 0.01 is one per cent.
    #[must_use]
    pub fn share(&self) -> f64 {
        let own = self.searches as f64 * SEARCH_NS + self.searched as f64 * SEARCHED_NS_PER_BYTE;
        own / (self.bytes.max(1) as f64 * SCAN_NS_PER_BYTE)
    }
}

/// The cost of every rule, in the order of the set.
///
/// # Errors
/// A text could not be searched whole.
pub fn costs(rules: &Rules, texts: &[&str]) -> Result<Vec<Cost>, Overflow> {
    let bytes = texts.iter().map(|text| text.len() as u64).sum();
    let mut all = vec![Cost { bytes, ..Cost::default() }; rules.set.rules.len()];
    let mut scanner = rules.all.scanner();
    for text in texts {
        let mut candidates: Vec<Candidate> = scanner.candidates(text.as_bytes())?.to_vec();
        for candidate in &candidates {
            let rule = rules.rule_of(candidate.spec);
            if let Some(cost) = rule.and_then(|rule| all.get_mut(rule)) {
                cost.candidates += 1;
            }
        }
        for work in scanner.work(text.as_bytes(), &mut candidates) {
            let rule = rules.rule_of(work.spec);
            if let Some(cost) = rule.and_then(|rule| all.get_mut(rule)) {
                cost.searches += work.searches;
                cost.searched += work.bytes;
            }
        }
    }
    Ok(all)
}
