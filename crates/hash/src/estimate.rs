//! How many rows lie in a ball, from what ANALYZE keeps of a column: common values, a histogram, a count of values.
//!
//! The share of rows in a ball is the sum of three parts: the common values in it, exactly; of the other rows, the share
//! of histogram bounds in it, which sees shares above 1 / bounds; and below that the share that random hashes would
//! have ([`crate::ball::volume`]), but at least one value's worth, because people search for what is there.

use crate::ball::{Ball, volume};

/// The share assumed where nothing is known: Postgres's own DEFAULT_EQ_SEL.
pub const UNKNOWN: f64 = 0.005;

/// What is known of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnSample {
    /// Share of NULLs.
    pub null_fraction: f64,
    /// Distinct values in the whole column.
    pub distinct: f64,
    /// The most common values and the share of each among all rows.
    pub common: Vec<(Box<[u8]>, f64)>,
    /// Bounds of equal parts of the other values.
    pub histogram: Vec<Box<[u8]>>,
}

impl ColumnSample {
    /// The share of rows that are neither NULL nor a common value.
    fn others(&self) -> f64 {
        (1.0 - self.null_fraction - self.common.iter().map(|(_, share)| share).sum::<f64>()).max(0.0)
    }

    /// The share of rows that a single value outside of the common ones has.
    fn share_of_one(&self) -> f64 {
        let values = (self.distinct - self.common.len() as f64).max(1.0);
        self.others() / values
    }

    /// The share of all rows that lies in `ball`.
    pub fn share_in(&self, ball: &Ball) -> f64 {
        let common: f64 = self.common.iter().filter(|(hash, _)| ball.contains(hash)).map(|(_, share)| share).sum();
        let bounds = self.histogram.iter().filter(|hash| ball.contains(hash)).count();
        let seen = bounds as f64 / self.histogram.len().max(1) as f64;
        let rest = self.others() * seen.max(volume(ball.center().len() * 8, ball.radius()));
        (common + rest.max(self.share_of_one())).clamp(0.0, 1.0)
    }

    /// The share of all pairs of a row of `self` and a row of `other` that are within `radius`.
    ///
    /// With `other` the same column: the share of rows that a search for one of its own hashes finds.
    pub fn share_of_pairs(&self, other: &ColumnSample, radius: u32) -> f64 {
        let common = |sample: &ColumnSample, ball: &Ball| -> f64 {
            sample.common.iter().filter(|(hash, _)| ball.contains(hash)).map(|(_, share)| share).sum()
        };
        // A bound stands for many rows that are not equal to it: its equals on the other side, often itself, say nothing.
        let bounds = |sample: &ColumnSample, ball: &Ball| -> f64 {
            let near = sample.histogram.iter().filter(|hash| ***hash != *ball.center() && ball.contains(hash)).count();
            sample.others() * (near as f64 / sample.histogram.len().max(1) as f64)
        };
        let around = |hash: &[u8], weight: f64, others: f64| -> f64 {
            Ball::new(hash, i64::from(radius).min(hash.len() as i64 * 8)).map_or(0.0, |ball| {
                let seen = bounds(other, &ball).max(others * volume(hash.len() * 8, ball.radius()));
                weight * (common(other, &ball) + seen)
            })
        };
        let each_bound = self.others() / self.histogram.len().max(1) as f64;
        let from_common: f64 = self.common.iter().map(|(hash, share)| around(hash, *share, other.others())).sum();
        let from_bounds: f64 = self.histogram.iter().map(|hash| around(hash, each_bound, other.others())).sum();
        let equal = self.others() * other.others() / self.distinct.max(other.distinct).max(1.0);
        (from_common + from_bounds + equal).clamp(0.0, 1.0)
    }
}

/// The share of rows in a ball of `bits` and `radius` in a column of which nothing is known.
pub fn unknown_share(bits: usize, radius: u32) -> f64 {
    volume(bits, radius).max(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(count: usize, seed: u64) -> Vec<Box<[u8]>> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state ^ state >> 29
        };
        (0..count).map(|_| next().to_be_bytes().into()).collect()
    }

    fn share(sample: &ColumnSample, center: &[u8], radius: i64) -> f64 {
        Ball::new(center, radius).map_or(-1.0, |ball| sample.share_in(&ball))
    }

    #[test]
    fn a_popular_value_is_counted_exactly() {
        let sample = ColumnSample {
            null_fraction: 0.1,
            distinct: 100_000.0,
            common: vec![([0; 8].into(), 0.25), ([255; 8].into(), 0.05)],
            histogram: random(101, 1),
        };
        assert!((share(&sample, &[0; 8], 0) - 0.25).abs() < 1e-4);
        assert!((share(&sample, &[0, 0, 0, 0, 0, 0, 0, 7], 3) - 0.25).abs() < 1e-4);
        assert!(share(&sample, &[0, 0, 0, 0, 0, 0, 0, 15], 3) < 1e-4);
        assert!((share(&sample, &[0; 8], 64) - 0.9).abs() < 1e-9, "everything but the NULLs");
    }

    #[test]
    fn uniform_hashes_follow_the_volume_and_never_vanish() {
        let sample = ColumnSample { distinct: 1e6, histogram: random(101, 7), ..ColumnSample::default() };
        assert!((share(&sample, &[3; 8], 5) / 1e-6 - 1.0).abs() < 0.01, "one row in a million");
        let half = share(&sample, &[3; 8], 32);
        assert!((0.3..0.8).contains(&half), "{half}");
        let pairs = sample.share_of_pairs(&sample, 5);
        assert!((0.5e-6..2e-6).contains(&pairs), "{pairs}");
        assert!((0.3..0.8).contains(&sample.share_of_pairs(&sample, 32)));
        assert_eq!(share(&ColumnSample::default(), &[0; 8], 64), 1.0);
    }

    #[test]
    fn pairs_of_popular_values_dominate() {
        let sample = ColumnSample {
            distinct: 1e5,
            common: vec![([0; 8].into(), 0.1), ([1, 0, 0, 0, 0, 0, 0, 0].into(), 0.2)],
            histogram: random(101, 3),
            ..ColumnSample::default()
        };
        let near: f64 = 0.3 * 0.3;
        assert!((sample.share_of_pairs(&sample, 1) - near).abs() < 1e-4);
        assert!((sample.share_of_pairs(&sample, 0) - (0.01 + 0.04)).abs() < 1e-4);
    }
}
