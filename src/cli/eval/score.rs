//! Counts, and how far they can be trusted.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::Case;
use super::compare::Compared;
use super::rows::{Task, Truth};

/// What became of one row.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether something that the row asks for was found.
    pub(super) any: bool,
    /// For each expected span, or once where none is stated: whether it was found whole.
    pub(super) units: Vec<bool>,
    /// Rules that alarmed on a negative row.
    pub(super) alarms: Vec<String>,
    /// Whether the shipped policy would block the row.
    pub(super) blocked: bool,
}

/// Hits out of tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) hits: u64,
    pub(super) of: u64,
}

impl Share {
    pub(super) fn add(&mut self, hit: bool) {
        self.of += 1;
        self.hits += u64::from(hit);
    }

    pub(super) fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }

    /// The 95% interval of Wilson (1927), which holds for few tries and at the ends.
    pub(super) fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.959_964;
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (self.of as f64, self.rate());
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }
}

/// Counts of one group of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Positives found.
    pub(super) recall: Share,
    /// Negatives with an alarm.
    pub(super) false_alarms: Share,
    /// Negatives that would be blocked.
    pub(super) false_blocks: Share,
    /// Positive rows with a find, out of all rows with a find or alarm.
    pub(super) precision: Share,
}

impl Counts {
    /// Harmonic mean of precision and recall.
    pub(super) fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision.rate(), self.recall.rate());
        if precision + recall == 0.0 {
            0.0
        } else {
            2.0 * precision * recall / (precision + recall)
        }
    }
}

/// One row that went wrong.
#[derive(Clone, Debug)]
pub(super) struct Worst {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) kind: String,
    /// Rules that alarmed; empty for a miss.
    pub(super) rules: Vec<String>,
}

/// Everything that was counted.
#[derive(Debug)]
pub(super) struct Scores {
    pub(super) engine: &'static str,
    pub(super) pack: String,
    pub(super) rows: u64,
    pub(super) passed_over: usize,
    /// Closed-book sources only.
    pub(super) total: BTreeMap<Task, Counts>,
    /// By task and source; open-book ones are marked.
    pub(super) by_source: BTreeMap<(Task, String, bool), Counts>,
    /// By task and kind of the row, or of the expected span.
    pub(super) by_kind: BTreeMap<(Task, String), Counts>,
    /// Positive rows with a find, counted once however many parts are marked: all of them, then
    /// those that are not set aside.
    pub(super) found: BTreeMap<Task, [Share; 2]>,
    /// Of the rows set aside, by task and reason.
    pub(super) set_aside: BTreeMap<(Task, String), Share>,
    /// Alarms on negatives, by rule.
    pub(super) by_rule: BTreeMap<(Task, String), u64>,
    pub(super) missed: BTreeMap<Task, Vec<Worst>>,
    pub(super) alarmed: BTreeMap<Task, Vec<Worst>>,
    /// What was found in plain and then changed, by transformation and task.
    pub(super) transformed: Vec<(&'static str, Task, Share, Vec<String>)>,
    /// Rules, classifier and both, where there is a classifier.
    pub(super) compared: Compared,
    /// Nanoseconds for one row, scan and decision.
    pub(super) latency: Histogram<u64>,
    worst: usize,
}

impl Scores {
    pub(super) fn new(worst: usize, engine: &'static str, pack: &str) -> Self {
        Self {
            engine,
            pack: pack.to_owned(),
            rows: 0,
            passed_over: 0,
            total: BTreeMap::new(),
            by_source: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            found: BTreeMap::new(),
            set_aside: BTreeMap::new(),
            by_rule: BTreeMap::new(),
            missed: BTreeMap::new(),
            alarmed: BTreeMap::new(),
            transformed: Vec::new(),
            compared: Compared::default(),
            latency: Histogram::new(3).expect("three digits are allowed"),
            worst,
        }
    }

    pub(super) fn add(&mut self, case: &Case<'_>, outcome: &Outcome) {
        let row = case.row;
        self.rows += 1;
        let of_source =
            self.by_source.entry((row.task, row.source.clone(), case.open_book)).or_default();
        count(of_source, row, outcome);
        if !case.open_book {
            count(self.total.entry(row.task).or_default(), row, outcome);
        }
        if row.kinds.is_empty() {
            let of_kind = self.by_kind.entry((row.task, row.kind.clone())).or_default();
            count(of_kind, row, outcome);
        }
        for (kind, hit) in row.kinds.iter().zip(&outcome.units) {
            self.by_kind.entry((row.task, kind.clone())).or_default().recall.add(*hit);
        }
        if matches!(row.truth, Truth::Positive(_)) && !case.open_book {
            let [all, rest] = self.found.entry(row.task).or_default();
            all.add(outcome.any);
            match case.set_aside {
                None => rest.add(outcome.any),
                Some(why) => {
                    let of_reason = self.set_aside.entry((row.task, why.to_owned())).or_default();
                    of_reason.add(outcome.any);
                }
            }
        }
        let mut rules = outcome.alarms.clone();
        rules.sort();
        rules.dedup();
        for rule in &rules {
            *self.by_rule.entry((row.task, rule.clone())).or_default() += 1;
        }
        let list = match &row.truth {
            Truth::Positive(_) if outcome.units.contains(&false) => &mut self.missed,
            Truth::Negative if !rules.is_empty() => &mut self.alarmed,
            _ => return,
        };
        let list = list.entry(row.task).or_default();
        if list.len() < self.worst {
            list.push(Worst {
                id: row.id.clone(),
                source: row.source.clone(),
                kind: row.kind.clone(),
                rules,
            });
        }
    }

    pub(super) fn transformed(&mut self, name: &'static str, task: Task, id: &str, found: bool) {
        let worst = self.worst;
        let known = self.transformed.iter().position(|(n, t, ..)| *n == name && *t == task);
        let at = known.unwrap_or(self.transformed.len());
        if known.is_none() {
            self.transformed.push((name, task, Share::default(), Vec::new()));
        }
        let entry = &mut self.transformed[at];
        entry.2.add(found);
        if !found && entry.3.len() < worst {
            entry.3.push(id.to_owned());
        }
    }
}

fn count(counts: &mut Counts, row: &super::Row, outcome: &Outcome) {
    match row.truth {
        Truth::Positive(_) => {
            for unit in &outcome.units {
                counts.recall.add(*unit);
            }
            if outcome.any {
                counts.precision.add(true);
            }
        }
        Truth::Negative => {
            let alarm = !outcome.alarms.is_empty();
            counts.false_alarms.add(alarm);
            counts.false_blocks.add(outcome.blocked);
            if alarm {
                counts.precision.add(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the worked examples in Newcombe (1998), Statistics in Medicine 17:857.
    #[test]
    fn intervals_are_wilsons() {
        let close = |share: Share, low: f64, high: f64| {
            let (a, b) = share.interval();
            assert!((a - low).abs() < 5e-4 && (b - high).abs() < 5e-4, "{share:?}: {a} {b}");
        };
        close(Share { hits: 81, of: 263 }, 0.2553, 0.3662);
        close(Share { hits: 15, of: 148 }, 0.0624, 0.1605);
        close(Share { hits: 0, of: 20 }, 0.0, 0.1611);
        close(Share { hits: 1, of: 29 }, 0.0061, 0.1718);
    }
}
