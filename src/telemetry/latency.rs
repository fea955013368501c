//! Quantiles of the last minute, out of histograms that only grow.
//!
//! Quantiles over a process's whole life stop moving after a day. [`Recent`] keeps a few
//! earlier states of a histogram and subtracts the one that is a minute old, so who
//! measures needs one histogram and no timer.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Least age of the state that is subtracted.
const WINDOW: Duration = Duration::from_mins(1);
/// Least time between two states that are kept, which bounds how many there are.
const STEP: Duration = Duration::from_secs(15);

/// Earlier states of one growing histogram.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<(Duration, Histogram<u64>)>);

impl Recent {
    /// What `all` gained in the last minute or so; everything, where less than a minute is known.
    pub fn of(&mut self, all: &Histogram<u64>, uptime: Duration) -> Histogram<u64> {
        // The second oldest may take over as soon as it is old enough itself.
        while self.0.get(1).is_some_and(|(at, _)| uptime.saturating_sub(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let mut recent = all.clone();
        if let Some((at, earlier)) = self.0.front()
            && uptime.saturating_sub(*at) >= WINDOW
            && recent.subtract(earlier).is_err()
        {
            // Not an earlier state of this histogram; the whole is still true.
            recent.clone_from(all);
        }
        if self.0.back().is_none_or(|(at, _)| uptime.saturating_sub(*at) >= STEP) {
            self.0.push_back((uptime, all.clone()));
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_forgets_what_is_older_than_the_window() {
        let mut recent = Recent::default();
        let mut all = Histogram::new(3).unwrap();
        let mut at = |seconds, value: u64, all: &mut Histogram<u64>| {
            all.record(value).unwrap();
            let recent = recent.of(all, Duration::from_secs(seconds));
            (recent.len(), recent.max())
        };
        assert_eq!(at(0, 900, &mut all), (1, 900));
        assert_eq!(at(30, 5, &mut all), (2, 900));
        assert_eq!(at(70, 5, &mut all), (2, 5), "what was there at 0 s is subtracted");
        assert_eq!(at(95, 5, &mut all), (2, 5), "what was there at 30 s is subtracted");
    }

    #[test]
    fn few_states_are_kept() {
        let mut recent = Recent::default();
        let all = Histogram::new(3).unwrap();
        for second in 0..1_000 {
            recent.of(&all, Duration::from_secs(second));
        }
        assert!(recent.0.len() <= 6, "{} states", recent.0.len());
    }
}
