//! Windows over tokens: nothing is cut short, and what stands on an edge stands whole in the next window.

use std::ops::Range;

/// How a text of any length is cut for a model that reads so many tokens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Tokens of the text in one window; the model's own begin and end are not among them.
    pub tokens: usize,
    /// From the beginning of one window to that of the next, 1 to `tokens`.
    pub stride: usize,
}

impl Windows {
    /// How many windows a text of `tokens` tokens has; an empty one has none.
    #[must_use]
    pub fn count(self, tokens: usize) -> usize {
        match tokens {
            0 => 0,
            n if n <= self.tokens => 1,
            n => 1 + (n - self.tokens).div_ceil(self.stride),
        }
    }

    /// The tokens of one window, counted from the head of the text.
    #[must_use]
    pub fn range(self, index: usize, tokens: usize) -> Range<usize> {
        let start = index.saturating_mul(self.stride).min(tokens);
        start..start.saturating_add(self.tokens).min(tokens)
    }
}

/// Lengths to which windows are filled up, so that windows of like length run together.
const BUCKETS: [usize; 7] = [16, 32, 64, 128, 256, 384, 512];

/// The length to which a window of `len` tokens is filled up, at most `most`.
#[must_use]
pub fn bucket(len: usize, most: usize) -> usize {
    BUCKETS.into_iter().find(|&bucket| bucket >= len).unwrap_or(most).min(most).max(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every token stands in a window, and every run of tokens that is no longer than what
        /// two windows share stands whole in one.
        #[test]
        fn nothing_is_cut_short(tokens in 1_usize..600, stride in 1_usize..600, n in 0_usize..3000) {
            let windows = Windows { tokens, stride: stride.min(tokens) };
            let all: Vec<_> = (0..windows.count(n)).map(|index| windows.range(index, n)).collect();
            let covered: usize = all.iter().fold(0, |to, range| {
                assert!(range.start <= to && range.end > to, "{range:?} after {to}");
                range.end
            });
            prop_assert_eq!(covered, n);
            let shared = windows.tokens - windows.stride;
            for start in (0..n.saturating_sub(shared)).step_by(7) {
                let run = start..start + shared;
                prop_assert!(all.iter().any(|w| w.start <= run.start && run.end <= w.end));
            }
            prop_assert!(all.iter().all(|range| range.len() <= windows.tokens));
        }

        #[test]
        fn a_bucket_holds_its_window(len in 1_usize..513, most in 1_usize..513) {
            let len = len.min(most);
            let bucket = bucket(len, most);
            prop_assert!(bucket >= len && bucket <= most);
        }
    }
}
