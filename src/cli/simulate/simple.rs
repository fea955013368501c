//! Detectors of the kind that is found everywhere, to compare with: a ratio to the mean over
//! all time, a z-score, an exponentially weighted mean with bands. Each looks at calls and
//! bytes by the hour and tokens by five minutes.

/// What the simple detectors look at, by the last part of a signal.
pub(super) const SIGNALS: [&str; 3] = ["frequency", "volume", "tokens"];
const WIDTHS: [i64; 3] = [3_600_000, 3_600_000, 300_000];
const RATIOS: [f64; 3] = [3.0, 5.0, 10.0];
/// Deviations from the mean.
const BAND: f64 = 4.0;
/// Weight of the newest bucket.
const ALPHA: f64 = 0.05;
/// Buckets before anything is said.
const LEARNING: f64 = 72.0;

#[derive(Clone, Copy, Debug, Default)]
struct Series {
    bucket: i64,
    sum: f64,
    n: f64,
    mean: f64,
    squares: f64,
    weighted: f64,
    variance: f64,
}

/// All three detectors of one agent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Simple([Series; 3]);

/// Signals that hit, one bit each, of the three detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hits {
    pub(super) ratio: u8,
    pub(super) z: u8,
    pub(super) ewma: u8,
}

impl Simple {
    /// Adds one event and says which detectors it trips.
    pub(super) fn see(&mut self, ts: i64, amounts: [f64; 3]) -> Hits {
        let mut hits = Hits::default();
        for (at, series) in self.0.iter_mut().enumerate() {
            series.roll(ts.div_euclid(WIDTHS[at]));
            if amounts[at] <= 0.0 {
                continue;
            }
            series.sum += amounts[at];
            if series.n < LEARNING {
                continue;
            }
            let deviation = (series.squares / series.n).sqrt();
            let bit = 1 << at;
            if series.sum > RATIOS[at] * series.mean {
                hits.ratio |= bit;
            }
            if series.sum > series.mean + BAND * deviation {
                hits.z |= bit;
            }
            if series.sum > series.weighted + BAND * series.variance.sqrt() {
                hits.ewma |= bit;
            }
        }
        hits
    }
}

impl Series {
    fn roll(&mut self, bucket: i64) {
        if self.bucket == 0 {
            self.bucket = bucket;
        }
        if bucket <= self.bucket {
            return;
        }
        self.learn(self.sum);
        // More silence than this changes nothing any more.
        for _ in 0..(bucket - self.bucket - 1).min(2000) {
            self.learn(0.0);
        }
        self.sum = 0.0;
        self.bucket = bucket;
    }

    fn learn(&mut self, value: f64) {
        self.n += 1.0;
        let off = value - self.mean;
        self.mean += off / self.n;
        self.squares += off * (value - self.mean);
        let off = value - self.weighted;
        self.weighted += ALPHA * off;
        self.variance = (1.0 - ALPHA) * (self.variance + ALPHA * off * off);
    }
}
