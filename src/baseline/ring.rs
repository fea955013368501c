//! Rings of integer buckets: sliding windows that any order of arrival fills alike.

/// Sums by bucket of time. Bucket `b` stands in slot `b mod N`; the ring does not know which
/// bucket is the newest, so its owner clears slots as time moves on ([`Ring::turn`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ring<T, const N: usize>(pub(super) [T; N]);

impl<T: Copy + Default, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self([T::default(); N])
    }
}

impl<T: Copy + Default + Into<u64> + TryFrom<u64>, const N: usize> Ring<T, N> {
    /// Adds to a bucket, stopping at the largest value.
    pub(super) fn add(&mut self, bucket: i64, amount: u64) {
        let slot = &mut self.0[Self::slot(bucket)];
        let most = if size_of::<T>() == 8 { u64::MAX } else { (1 << (size_of::<T>() * 8)) - 1 };
        let sum = (*slot).into().saturating_add(amount).min(most);
        *slot = T::try_from(sum).unwrap_or_default();
    }

    /// One bucket.
    pub(super) fn at(&self, bucket: i64) -> u64 {
        self.0[Self::slot(bucket)].into()
    }

    /// The sum of `n` buckets up to and with `last`.
    pub(super) fn sum(&self, last: i64, n: i64) -> u64 {
        (last - n + 1..=last).fold(0, |sum, bucket| sum.saturating_add(self.at(bucket)))
    }

    /// Clears what the buckets after `from` up to `to` will stand in.
    pub(super) fn turn(&mut self, from: i64, to: i64) {
        let first = (from + 1).max(to - N as i64 + 1);
        for bucket in first..=to {
            self.0[Self::slot(bucket)] = T::default();
        }
    }

    /// The largest sum of `n` buckets that ends in one of `ends`.
    pub(super) fn largest(&self, ends: std::ops::Range<i64>, n: i64) -> u64 {
        let mut sum = self.sum(ends.start, n);
        let mut largest = sum;
        for end in ends.start + 1..ends.end {
            sum = sum.saturating_add(self.at(end)).saturating_sub(self.at(end - n));
            largest = largest.max(sum);
        }
        largest
    }

    fn slot(bucket: i64) -> usize {
        bucket.rem_euclid(N as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_sum_turn_and_stop_at_the_largest_value() {
        let mut ring: Ring<u16, 8> = Ring::default();
        for bucket in 10..16 {
            ring.add(bucket, bucket as u64);
        }
        assert_eq!(ring.sum(15, 3), 13 + 14 + 15);
        assert_eq!(ring.largest(12..16, 3), 13 + 14 + 15);
        ring.turn(15, 20);
        // Buckets 13, 14 and 15 are still there; 10 to 12 gave way.
        assert_eq!(ring.sum(20, 8), 13 + 14 + 15);
        ring.turn(20, 1000);
        assert_eq!(ring.sum(1000, 8), 0);
        ring.add(1000, 70_000);
        assert_eq!(ring.at(1000), 65_535);
    }
}
