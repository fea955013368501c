//! Tail probabilities: negative binomial and Student's t, both through the regularised
//! incomplete beta function.
//!
//! Written here because a detector asks for one of them in 300 ns and without allocation;
//! a statistics crate would bring a linear algebra along. Formulas: NIST Digital Library of
//! Mathematical Functions 5.11 (gamma), 8.17 (incomplete beta and its continued fraction).

/// Nothing is said to be less likely than this.
pub(super) const LEAST: f64 = 1e-30;

/// Natural logarithm of the gamma function for positive arguments: Stirling's series after
/// stepping up to where it converges; error below 1e-10.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 8.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

/// The regularised incomplete beta function `I_x(a, b)`.
fn beta_inc(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let front = ln_front.exp();
    // The fraction converges fast below the mean; above it the mirrored one does.
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * fraction(b, a, 1.0 - x) / b).clamp(0.0, 1.0)
    }
}

/// The continued fraction of the incomplete beta function, by Lentz's method, at most 120 steps.
#[expect(clippy::many_single_char_names, reason = "the names of the formula")]
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for step in 1..=120 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        let change = d * c;
        value *= change;
        if (change - 1.0).abs() < 1e-9 {
            break;
        }
    }
    value
}

/// P(Y ≥ y) for a negative binomial Y of that mean and shape k (variance mean + mean²/k).
pub(super) fn negative_binomial(mean: f64, k: f64, y: f64) -> f64 {
    if y <= 0.0 {
        return 1.0;
    }
    if mean <= 0.0 {
        return LEAST;
    }
    beta_inc(y, k, mean / (mean + k)).max(LEAST)
}

/// P(T ≥ t) for Student's t with `freedom` degrees of freedom.
pub(super) fn student(t: f64, freedom: f64) -> f64 {
    let half = 0.5 * beta_inc(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    if t >= 0.0 { half.max(LEAST) } else { 1.0 - half }
}

/// −log10 of a probability, never below zero.
pub(super) fn surprise(p: f64) -> f64 {
    -p.clamp(LEAST, 1.0).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-7 * b.abs().max(1e-12), "{a} is not {b}");
    }

    #[test]
    fn gamma_of_known_arguments() {
        near(ln_gamma(5.0), 24f64.ln());
        near(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln());
        near(ln_gamma(101.0), 363.739_375_555_563_5);
    }

    #[test]
    fn student_tails_of_the_printed_tables() {
        // One-sided 5 % and 0.1 % points: t = 2.015 for 5 degrees, 3.090 in the limit.
        assert!((student(2.015, 5.0) - 0.05).abs() < 1e-4);
        assert!((student(3.0902, 1e6) - 0.001).abs() < 1e-5);
        near(student(0.0, 3.0), 0.5);
        near(student(-1.0, 1.0), 0.75);
    }

    #[test]
    fn negative_binomial_tails_equal_the_sum_of_their_terms() {
        for (mean, k) in [(0.3, 0.1), (4.0, 0.4), (10.0, 1.1), (250.0, 6.0)] {
            // Terms by their ratio, from the zero term on.
            let q: f64 = mean / (mean + k);
            let mut term = (1.0 - q).powf(k);
            let mut below = 0.0;
            for y in 0..400 {
                let tail = 1.0 - below;
                if tail > 1e-6 {
                    let got = negative_binomial(mean, k, f64::from(y));
                    assert!((got - tail).abs() < 1e-7, "mean {mean} k {k} y {y}: {got} {tail}");
                }
                below += term;
                term *= q * (k + f64::from(y)) / f64::from(y + 1);
            }
        }
    }

    #[test]
    fn tails_fall_as_values_grow() {
        let mut last = 1.0;
        for x in 1..200 {
            let p = negative_binomial(10.0, 1.0, f64::from(x));
            assert!(p <= last && p > 0.0);
            last = p;
        }
    }
}
