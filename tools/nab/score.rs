//! The score of the Numenta Anomaly Benchmark, written from Lavin and Ahmad, "Evaluating Real-time
//! Anomaly Detection Algorithms: the Numenta Anomaly Benchmark" (2015), and what its reference
//! scorer makes of the paper's open points: where a window's ends lie and what follows it.
//!
//! A window that is found scores by where its first alarm stands, one that is missed costs, and
//! so does every alarm outside of windows, less right behind one. One threshold serves all
//! files; the best one counts, and the sum is stated between that of silence (0) and that of an
//! alarm in each window's first row and nowhere else (100).

/// What is weighed how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Profile {
    /// The name in the published table.
    pub(crate) name: &'static str,
    false_alarm: f64,
    miss: f64,
}

/// The three of the benchmark.
pub(crate) const PROFILES: [Profile; 3] = [
    Profile { name: "standard", false_alarm: 0.11, miss: 1.0 },
    Profile { name: "reward low FP", false_alarm: 0.22, miss: 1.0 },
    Profile { name: "reward low FN", false_alarm: 0.11, miss: 2.0 },
];

/// One file: a score for each row, and the rows of its windows, first and last, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) scores: Vec<f64>,
    pub(crate) windows: Vec<(usize, usize)>,
}

/// Rows at a file's beginning that are not scored: 15 %, at most 750.
pub(crate) fn probation(rows: usize) -> usize {
    (rows.min(5000) as f64 * 0.15) as usize
}

/// The scaled sigmoid: 1 far before a window's end, 0 at it, −1 far behind it.
pub(crate) fn sigmoid(y: f64) -> f64 {
    if y > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * y).exp()) - 1.0 }
}

/// What an alarm in that row is worth: with the window that it finds, or without one, where it
/// costs.
fn worth(series: &Series, row: usize, profile: Profile) -> (Option<usize>, f64) {
    let inside = |&(first, last): &(usize, usize)| (first..=last).contains(&row);
    if let Some(at) = series.windows.iter().position(inside) {
        let (first, last) = series.windows[at];
        let place = -((last - row + 1) as f64) / (last - first + 1) as f64;
        return (Some(at), sigmoid(place) / sigmoid(-1.0));
    }
    let before = series.windows.iter().rev().find(|window| window.1 < row);
    let after = before.map_or(-1.0, |&(first, last)| {
        // A window of one row has no width to go by.
        sigmoid((row - last) as f64 / (last - first).max(1) as f64)
    });
    (None, after * profile.false_alarm)
}

/// The normalised score at the best threshold, and that threshold.
pub(crate) fn score(all: &[Series], profile: Profile) -> (f64, f64) {
    let windows: usize = all.iter().map(|series| series.windows.len()).sum();
    let silence = -(windows as f64) * profile.miss;
    let mut alarms: Vec<(f64, usize, Option<usize>, f64)> = Vec::new();
    for (file, series) in all.iter().enumerate() {
        for row in probation(series.scores.len())..series.scores.len() {
            let (window, worth) = worth(series, row, profile);
            alarms.push((series.scores[row], file, window, worth));
        }
    }
    alarms.sort_by(|a, b| b.0.total_cmp(&a.0));
    // From the highest threshold down: an alarm more changes the sum by its own worth, and in a
    // window by what it betters there.
    let mut found: Vec<Vec<Option<f64>>> =
        all.iter().map(|series| vec![None; series.windows.len()]).collect();
    let mut sum = silence;
    let mut best = (silence, f64::INFINITY);
    let mut rest = alarms.iter().peekable();
    while let Some(&(threshold, file, window, worth)) = rest.next() {
        match window.map(|at| &mut found[file][at]) {
            None => sum += worth,
            Some(slot @ None) => {
                *slot = Some(worth);
                sum += worth + profile.miss;
            }
            Some(Some(had)) if worth > *had => {
                sum += worth - *had;
                *had = worth;
            }
            Some(Some(_)) => {}
        }
        // Equal scores are alarms together.
        if rest.peek().is_none_or(|next| next.0 < threshold) && sum > best.0 {
            best = (sum, threshold);
        }
    }
    (100.0 * (best.0 - silence) / (windows as f64 - silence).max(f64::MIN_POSITIVE), best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred rows with a window over rows 50 to 59, and alarms of strength 1 where told.
    fn series(alarms: &[usize]) -> Series {
        let mut scores = vec![0.0; 100];
        for &row in alarms {
            scores[row] = 1.0;
        }
        Series { scores, windows: vec![(50, 59)] }
    }

    fn scores(all: &[Series]) -> [f64; 3] {
        PROFILES.map(|profile| score(all, profile).0)
    }

    fn near(got: [f64; 3], expected: [f64; 3]) {
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 0.01, "{got}, not {expected}");
        }
    }

    #[test]
    fn the_sigmoid_at_the_edges_of_a_window() {
        // 2σ(5) − 1, 2σ(0) − 1, 2σ(−5) − 1, and the end of it three widths behind.
        for (y, expected) in
            [(-1.0, 0.986_614), (-0.5, 0.848_284), (0.0, 0.0), (1.0, -0.986_614), (3.01, -1.0)]
        {
            assert!((sigmoid(y) - expected).abs() < 1e-6, "{y}: {}", sigmoid(y));
        }
    }

    #[test]
    fn silence_is_nothing_and_an_alarm_in_each_first_row_is_a_hundred() {
        near(scores(&[series(&[])]), [0.0; 3]);
        near(scores(&[series(&[50])]), [100.0; 3]);
        near(scores(&[series(&[50]), series(&[50])]), [100.0; 3]);
        // Half of the windows: 1 − 1 of 2 − (−2), and with misses at two 1 − 2 of 2 − (−4).
        near(scores(&[series(&[50]), series(&[])]), [50.0, 50.0, 50.0]);
        assert!(score(&[series(&[])], PROFILES[0]).1.is_infinite());
    }

    #[test]
    fn later_in_the_window_is_worth_less_and_more_alarms_in_it_nothing() {
        // The last row stands a tenth of the window before its end: (2σ(0.5) − 1) / (2σ(5) − 1)
        // = 0.244919 / 0.986614 = 0.248242, over a miss that costs 1 or 2.
        near(scores(&[series(&[59])]), [62.41, 62.41, 74.94]);
        near(scores(&[series(&[50, 55, 59])]), [100.0; 3]);
    }

    #[test]
    fn false_alarms_cost_less_right_behind_a_window_and_all_of_it_before_one() {
        // Row 20 has no window before it: 0.11, 0.22, 0.11 of 2, 2 and 3.
        near(scores(&[series(&[20, 50])]), [94.5, 89.0, 96.333]);
        // Row 60 stands a ninth of a width behind: 2σ(−5/9) − 1 = −0.270847.
        near(scores(&[series(&[50, 60])]), [98.510, 97.021, 99.007]);
        // The threshold may leave a weak false alarm out.
        let mut two = series(&[20, 50]);
        two.scores[20] = 0.5;
        near(scores(&[two]), [100.0; 3]);
    }

    #[test]
    fn the_first_fifteen_per_cent_are_not_scored() {
        assert_eq!(
            [probation(100), probation(4999), probation(5000), probation(22_695)],
            [15, 749, 750, 750]
        );
        near(scores(&[series(&[14, 50])]), [100.0; 3]);
        near(scores(&[series(&[15, 50])]), [94.5, 89.0, 96.333]);
    }

    /// Everything flagged: the window is found in its first row, and all other rows cost.
    #[test]
    fn one_threshold_serves_all_files() {
        let mut loud = series(&[]);
        loud.scores.iter_mut().for_each(|score| *score = 1.0);
        let (alone, threshold) = score(&[loud.clone()], PROFILES[0]);
        // 35 rows before it at 0.11; 40 behind it come to more than the window is worth.
        assert!(alone.abs() < 1e-9 && threshold.is_infinite(), "{alone} {threshold}");
        near(scores(&[loud, series(&[50])]), [0.0; 3]);
    }
}
