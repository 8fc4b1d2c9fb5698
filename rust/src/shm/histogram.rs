//! A histogram of durations with buckets whose width is a fraction of their value.

use std::sync::atomic::{AtomicU64, Ordering};

use super::block::add;

/// Width of the narrowest buckets, nanoseconds: below it nobody asks.
const UNIT: u64 = 50_000;

/// Each doubling has 2^3 buckets, so that a bucket is at most an eighth of its value wide.
const PRECISION: u32 = 3;

/// Buckets: those of the first 400 us, then eight for each doubling up to 14 minutes; longer ones fall into the last.
pub const BUCKETS: usize = 176;

/// Counts of durations.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Histogram {
    /// All durations added up, nanoseconds.
    pub sum: AtomicU64,
    /// How many there were in each bucket.
    pub buckets: [AtomicU64; BUCKETS],
}

impl Histogram {
    /// Counts a duration.
    #[inline]
    pub fn record(&self, nanos: u64) {
        add(&self.sum, nanos);
        add(&self.buckets[index(nanos)], 1);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }
}

/// The bucket of a duration.
#[inline]
fn index(nanos: u64) -> usize {
    let units = nanos / UNIT;
    let exponent = units.max(1).ilog2().saturating_sub(PRECISION);
    // With one leading bit and three more there are eight to fifteen steps of width 2^exponent in each doubling.
    let bucket = (u64::from(exponent) << PRECISION) + (units >> exponent);
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for units in 0..2_000_000_u64 {
            let bucket = index(units * UNIT);
            assert!(bucket == last || bucket == last + 1, "at {units}");
            last = bucket;
        }
    }

    #[test]
    fn bucket_is_at_most_an_eighth_of_its_value_wide() {
        let mut first = 0;
        for units in 0..2_000_000_u64 {
            if index(units * UNIT) != index(first * UNIT) {
                assert!(units - first <= (first / 8).max(1), "before {units}");
                first = units;
            }
        }
    }

    #[test]
    fn longest_durations_share_the_last_bucket() {
        assert_eq!(index(UNIT * ((1 << 24) - 1)), BUCKETS - 1);
        assert_eq!(index(UNIT << 24), BUCKETS - 1);
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }
}
