//! Rules alone, the classifier alone, and both: what each finds, at which price.
//!
//! The shipped thresholds say what a user gets. What a model can do at all is said without
//! them: the area under the curve, and recall where one negative in a hundred is alarmed.
//! That threshold is one for all sources, read off the very negatives that are judged, so
//! it flatters; figures on sources that training and thresholds have not seen are the ones
//! to trust.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::score::Share;

/// The false-positive rate at which recall is told.
const ALLOWED: f64 = 0.01;
/// Bins of the calibration error.
const BINS: usize = 15;

/// One row, judged three times.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is counted by itself")]
pub(super) struct Seen {
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) positive: bool,
    /// Whether rules find something of confidence medium or more.
    pub(super) rules: bool,
    /// Whether the classifier's score is at its threshold or above.
    pub(super) model: bool,
    /// Whether policy blocks the row, for any of the two.
    pub(super) blocked: bool,
    /// The score; `None` where the model gave none.
    pub(super) score: Option<f64>,
}

/// Figures of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) rules: [Share; 2],
    pub(super) model: [Share; 2],
    pub(super) both: [Share; 2],
    pub(super) blocked: Share,
    /// Recall of the model, and of both, at the threshold of one false alarm in a hundred.
    pub(super) model_at: Share,
    pub(super) both_at: Share,
    /// False alarms there.
    pub(super) both_at_false: Share,
    pub(super) auc: Option<f64>,
}

/// All rows together.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    rows: Vec<Seen>,
}

impl Compared {
    pub(super) fn add(&mut self, seen: Seen) {
        self.rows.push(seen);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows to which the model gave no score.
    pub(super) fn unscored(&self) -> usize {
        self.rows.iter().filter(|row| row.score.is_none()).count()
    }

    /// The lowest threshold at which no more than one negative in a hundred is alarmed: by the
    /// model alone, or by rules and model together.
    fn threshold(&self, with_rules: bool) -> f64 {
        let negatives = self.rows.iter().filter(|row| !row.positive);
        let all = negatives.clone().count() as f64;
        let spent = negatives.clone().filter(|row| with_rules && row.rules).count();
        let mut scores: Vec<f64> = negatives
            .filter(|row| !(with_rules && row.rules))
            .filter_map(|row| row.score)
            .collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let left = ((all * ALLOWED).floor() as usize).saturating_sub(spent);
        // Above the first score that would be one too many.
        scores.get(left).map_or(0.0, |score| score.next_up())
    }

    /// Figures by source; and by kind of the negatives alone.
    pub(super) fn by(&self, key: impl Fn(&Seen) -> Option<String>) -> BTreeMap<String, Figures> {
        let (alone, together) = (self.threshold(false), self.threshold(true));
        let mut groups: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
        for row in &self.rows {
            if let Some(name) = key(row) {
                groups.entry(name).or_default().push(row);
            }
        }
        groups.into_iter().map(|(name, rows)| (name, figures(&rows, alone, together))).collect()
    }

    pub(super) fn total(&self) -> Figures {
        let rows: Vec<&Seen> = self.rows.iter().collect();
        figures(&rows, self.threshold(false), self.threshold(true))
    }

    /// How far a score is from the share of positives among rows of like score, on average over
    /// all rows. It depends on how many positives a set holds.
    pub(super) fn calibration_error(&self) -> f64 {
        let mut bins = [(0.0, 0.0, 0.0); BINS];
        let mut all = 0.0;
        for row in &self.rows {
            let Some(score) = row.score else { continue };
            let at = ((score * BINS as f64) as usize).min(BINS - 1);
            let (n, scores, positives) = &mut bins[at];
            *n += 1.0;
            *scores += score;
            *positives += f64::from(u8::from(row.positive));
            all += 1.0;
        }
        let off: f64 = bins.iter().map(|(_, scores, positives)| f64::abs(scores - positives)).sum();
        if all == 0.0 { 0.0 } else { off / all }
    }

    pub(super) fn as_json(&self) -> Value {
        let by = |groups: BTreeMap<String, Figures>| -> Value {
            groups
                .into_iter()
                .map(|(name, figures)| {
                    let mut of = figures.as_json();
                    of["name"] = name.into();
                    of
                })
                .collect()
        };
        let mut total = self.total().as_json();
        total["calibration_error"] = self.calibration_error().into();
        total["unscored"] = self.unscored().into();
        json!({
            "total": total,
            "by_source": by(self.by(|row| Some(row.source.clone()))),
            "negatives_by_kind": by(self.by(|row| (!row.positive).then(|| row.kind.clone()))),
        })
    }
}

impl Figures {
    fn as_json(&self) -> Value {
        let share =
            |share: Share| json!({"hits": share.hits, "of": share.of, "rate": share.rate()});
        let pair = |[recall, alarms]: [Share; 2]| json!({"recall": share(recall), "false_alarms": share(alarms)});
        json!({
            "rules": pair(self.rules), "classifier": pair(self.model), "both": pair(self.both),
            "false_blocks": share(self.blocked),
            "at_1_percent": {
                "classifier_recall": share(self.model_at), "both_recall": share(self.both_at),
                "both_false_alarms": share(self.both_at_false),
            },
            "auc": self.auc,
        })
    }
}

fn figures(rows: &[&Seen], alone: f64, together: f64) -> Figures {
    let mut out = Figures { auc: auc(rows), ..Figures::default() };
    for row in rows {
        let side = usize::from(!row.positive);
        out.rules[side].add(row.rules);
        out.model[side].add(row.model);
        out.both[side].add(row.rules || row.model);
        let over = |threshold: f64| row.score.is_some_and(|score| score >= threshold);
        if row.positive {
            out.model_at.add(over(alone));
            out.both_at.add(row.rules || over(together));
        } else {
            out.both_at_false.add(row.rules || over(together));
            out.blocked.add(row.blocked);
        }
    }
    out
}

/// The share of pairs of a positive and a negative row in which the positive has the higher
/// score; equal ones count half (Mann and Whitney, 1947). `None` where one of the two is missing.
fn auc(rows: &[&Seen]) -> Option<f64> {
    let mut scored: Vec<(f64, bool)> =
        rows.iter().filter_map(|row| Some((row.score?, row.positive))).collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scored.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut wins) = (0.0, 0.0);
    for group in scored.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let up = group.iter().filter(|(_, positive)| *positive).count() as f64;
        let down = group.len() as f64 - up;
        wins += up * (below + down / 2.0);
        below += down;
    }
    Some(wins / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(positive: bool, rules: bool, score: f64) -> Seen {
        Seen {
            source: "s".to_owned(),
            kind: "k".to_owned(),
            positive,
            rules,
            model: score >= 0.5,
            blocked: false,
            score: Some(score),
        }
    }

    #[test]
    fn the_area_under_the_curve_counts_pairs() {
        let of = |rows: &[(bool, f64)]| {
            let rows: Vec<Seen> = rows.iter().map(|&(p, s)| seen(p, false, s)).collect();
            auc(&rows.iter().collect::<Vec<_>>())
        };
        assert_eq!(of(&[(true, 0.9), (true, 0.8), (false, 0.1)]), Some(1.0));
        assert_eq!(of(&[(true, 0.1), (false, 0.9)]), Some(0.0));
        assert_eq!(of(&[(true, 0.5), (false, 0.5)]), Some(0.5));
        assert_eq!(of(&[(true, 0.7), (false, 0.7), (false, 0.2), (true, 0.1)]), Some(0.375));
        assert_eq!(of(&[(true, 0.7)]), None);
    }

    #[test]
    fn the_threshold_spends_what_rules_have_left() {
        let mut compared = Compared::default();
        for n in 0..200 {
            // Two in a hundred may be alarmed of two hundred; one already is, by rules.
            compared.add(seen(false, n == 0, f64::from(n) / 1_000.0));
        }
        compared.add(seen(true, true, 0.0));
        compared.add(seen(true, false, 0.1985));
        compared.add(seen(true, false, 0.1975));
        compared.add(seen(true, false, 0.15));
        let total = compared.total();
        assert_eq!((total.model_at.hits, total.model_at.of), (2, 4));
        assert_eq!((total.both_at.hits, total.both_at.of), (2, 4));
        assert_eq!((total.both_at_false.hits, total.both_at_false.of), (2, 200));
        assert_eq!((total.rules[0].hits, total.rules[1].hits), (1, 1));
        assert_eq!(compared.by(|row| (!row.positive).then(|| row.kind.clone())).len(), 1);
    }

    #[test]
    fn the_calibration_error_is_none_where_scores_are_shares() {
        let mut compared = Compared::default();
        for n in 0..10 {
            compared.add(seen(n < 9, false, 0.9));
        }
        assert!(compared.calibration_error() < 1e-9);
        compared.add(seen(false, false, 1.0));
        assert!((compared.calibration_error() - 1.0 / 11.0).abs() < 0.1);
    }
}
