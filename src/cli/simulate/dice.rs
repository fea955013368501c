//! Random numbers of the shapes that traffic has, from a seed.

use crate::patterns::generate::Random;

/// A seeded source of numbers.
#[derive(Clone, Debug)]
pub(super) struct Dice(Random);

impl Dice {
    /// A source of its own for a place in the simulation: what one agent does not depend on
    /// how many others there are.
    pub(super) fn new(seed: u64, place: u64) -> Self {
        let mut first = Random::new(seed ^ place.wrapping_mul(0xA24B_AED4_963E_E407));
        let start = first.number();
        Self(Random::new(start))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0.number()
    }

    /// Uniform in [0, 1).
    pub(super) fn part(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.part() < p
    }

    /// Uniform in [0, n).
    pub(super) fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.number() % n }
    }

    /// Standard normal, by Box and Muller.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.part()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.part()).cos()
    }

    /// Lognormal with this median and deviation of the logarithm.
    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.part()).ln()
    }

    /// Poisson; by its terms where they are few, by the normal where they are many.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), 1.0, 0);
        loop {
            product *= self.part();
            if product <= limit {
                return count;
            }
            count += 1;
        }
    }

    /// One more than a geometric count, of this mean.
    pub(super) fn session_size(&mut self, mean: f64) -> u64 {
        1 + self.exponential((mean - 1.0).max(0.1)).floor() as u64
    }

    /// A place in a list by Zipf's law.
    pub(super) fn zipf(&mut self, n: usize) -> usize {
        let whole: f64 = (1..=n).map(|rank| 1.0 / rank as f64).sum();
        let mut at = self.part() * whole;
        for rank in 1..=n {
            at -= 1.0 / rank as f64;
            if at <= 0.0 {
                return rank - 1;
            }
        }
        n - 1
    }
}
