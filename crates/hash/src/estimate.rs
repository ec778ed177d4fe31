//! Estimates how many rows lie in a ball, from ANALYZE's statistics: common values, a histogram, the distinct count.
//!
//! The share of rows in a ball is the sum of two parts: the common values in it, exactly; and of the other rows, the
//! share that the spacing of the histogram's bounds around its centre implies (`spacing.rs`), at least that of random
//! hashes ([`crate::ball::volume`]) and at least one value's worth, because people search for what is there.

use crate::ball::{Ball, volume};
use crate::spacing::Spacing;

/// The share assumed where nothing is known: Postgres's own DEFAULT_EQ_SEL.
pub const UNKNOWN: f64 = 0.005;

/// The statistics of a column.
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
        // The outermost bounds are the smallest and the largest hash, and represent only themselves.
        let inner = self.histogram.get(1..self.histogram.len().saturating_sub(1)).unwrap_or_default();
        let mut spacing = Spacing::default();
        inner.iter().for_each(|hash| spacing.look_at(ball.center(), hash));
        let width = ball.center().len();
        let rest = self.others() * spacing.share(width * 8, ball.radius(), self.share_of_width(width));
        (common + rest.max(self.share_of_one())).clamp(0.0, 1.0)
    }

    /// The share of the non-common values that has this many bytes, by the histogram.
    fn share_of_width(&self, bytes: usize) -> f64 {
        if self.histogram.is_empty() {
            return 1.0;
        }
        self.histogram.iter().filter(|hash| hash.len() == bytes).count() as f64 / self.histogram.len() as f64
    }

    /// The share of all pairs of a row of `self` and a row of `other` that are within `radius`.
    ///
    /// With `other` the same column: the share of rows that a search for one of its own hashes finds. At most
    /// [`COMPARED`] values of each list are compared, however many ANALYZE kept: planning must stay short.
    pub fn share_of_pairs(&self, other: &ColumnSample, radius: u32) -> f64 {
        let searches = self.searches(other, radius);
        searches.iter().map(|(weight, share)| weight * share).sum::<f64>().clamp(0.0, 1.0)
    }

    /// The share of rows of `self` that have one within `radius` among `rows` rows of `other`.
    pub fn share_of_matched(&self, other: &ColumnSample, radius: u32, rows: f64) -> f64 {
        let searches = self.searches(other, radius);
        searches.iter().map(|(weight, share)| weight * share_of_searches(*share, rows)).sum::<f64>().clamp(0.0, 1.0)
    }

    /// For values of `self`: the share of rows that each represents, and the share of `other` that it is near.
    fn searches(&self, other: &ColumnSample, radius: u32) -> Vec<(f64, f64)> {
        let (left, right) = (Weighted::of(self), Weighted::of(other));
        let equal = other.others() / self.distinct.max(other.distinct).max(1.0);
        let mut widths: Vec<(usize, f64)> = Vec::new();
        let mut least_share = |bytes: usize| match widths.iter().find(|(known, _)| *known == bytes) {
            Some((_, share)) => *share,
            None => {
                let share = other.others() * share_of_bounds(&left, &right, bytes, radius, other.share_of_width(bytes));
                widths.push((bytes, share));
                share
            }
        };
        let mut searches = Vec::new();
        for (is_bound, hash, weight) in left.values() {
            let Ok(ball) = Ball::new(hash, i64::from(radius).min(hash.len() as i64 * 8)) else { continue };
            // A bound represents many rows that are not equal to it: an equal value on the other side, often the bound
            // itself, says nothing of them.
            let near = |list: &[(&[u8], f64)], equal: bool| -> f64 {
                let near = list.iter().filter(|(hash, _)| (equal || *hash != ball.center()) && ball.contains(hash));
                near.map(|(_, weight)| weight).sum()
            };
            let others = near(&right.bounds, !is_bound).max(least_share(hash.len()));
            let equals = if is_bound { equal } else { 0.0 };
            searches.push((weight, (near(&right.common, true) + others + equals).clamp(0.0, 1.0)));
        }
        searches
    }
}

/// The share of pairs of bounds within `radius`, at least that of random hashes, where it is below what a single bound
/// can resolve: a lower limit of the share for every value.
fn share_of_bounds(left: &Weighted<'_>, right: &Weighted<'_>, bytes: usize, radius: u32, of_width: f64) -> f64 {
    let mut spacing = Spacing::default();
    for (center, _) in left.bounds.iter().filter(|(hash, _)| hash.len() == bytes) {
        right.bounds.iter().for_each(|(hash, _)| spacing.look_at(center, hash));
    }
    let is_seen = spacing.within(radius) as usize >= left.bounds.len();
    if is_seen { of_width * volume(bytes * 8, radius) } else { spacing.share(bytes * 8, radius, of_width) }
}

/// How many values of each list are compared for an estimate of pairs.
pub const COMPARED: usize = 256;

/// Values with the share of all rows that each represents: every value, or every n-th of many.
struct Weighted<'a> {
    common: Vec<(&'a [u8], f64)>,
    bounds: Vec<(&'a [u8], f64)>,
}

impl<'a> Weighted<'a> {
    fn of(sample: &'a ColumnSample) -> Self {
        let all: f64 = sample.common.iter().map(|(_, share)| share).sum();
        // The most common values stand first; the rest of a long list is sampled, and the sample represents it.
        let (first, rest) = sample.common.split_at(sample.common.len().min(COMPARED / 2));
        let step = rest.len().div_ceil(COMPARED / 2).max(1);
        let thinned = rest.iter().step_by(step);
        let mut common: Vec<(&[u8], f64)> =
            first.iter().chain(thinned).map(|(hash, share)| (&**hash, *share)).collect();
        let (head, tail) = common.split_at_mut(first.len());
        let kept: f64 = tail.iter().map(|(_, share)| share).sum();
        let missing = all - head.iter().map(|(_, share)| share).sum::<f64>();
        for (_, share) in tail {
            *share *= missing / kept.max(f64::MIN_POSITIVE);
        }
        let step = sample.histogram.len().div_ceil(COMPARED).max(1);
        let kept: Vec<&[u8]> = sample.histogram.iter().step_by(step).map(|hash| &**hash).collect();
        let each = sample.others() / kept.len().max(1) as f64;
        Weighted { common, bounds: kept.into_iter().map(|hash| (hash, each)).collect() }
    }

    /// All of them, and whether each is a bound.
    fn values(&self) -> impl Iterator<Item = (bool, &'a [u8], f64)> {
        let common = self.common.iter().map(|&(hash, weight)| (false, hash, weight));
        common.chain(self.bounds.iter().map(|&(hash, weight)| (true, hash, weight)))
    }
}

/// The share of searches that find something among `rows` rows, where each pair is near with probability `share`.
pub fn share_of_searches(share: f64, rows: f64) -> f64 {
    (1.0 - (1.0 - share.clamp(0.0, 1.0)).powf(rows.max(0.0))).clamp(0.0, 1.0)
}

/// The share of rows in a ball of `bits` and `radius` in a column without statistics.
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

    /// A histogram resolves a hundredth: a ball with one or two bounds holds a part of that, within a factor of 3.
    #[test]
    fn a_bound_is_not_taken_for_its_whole_part() {
        let mut histogram = random(102, 7);
        let center = histogram[40].clone();
        let mut sample = ColumnSample { distinct: 1e5, histogram: histogram.clone(), ..ColumnSample::default() };
        assert!((share(&sample, &center, 5) - 1e-5).abs() < 1e-9, "a bound that is searched for is one value");
        let near = |bit: usize| {
            let mut hash = center.clone();
            hash[bit / 8] ^= 1 << (bit % 8);
            hash
        };
        assert!((share(&sample, &near(3), 5) - 0.005).abs() < 1e-9, "between none and two of a hundred");
        histogram[50] = near(9);
        sample.histogram = histogram;
        assert!((share(&sample, &near(3), 5) - 0.015).abs() < 1e-9, "two");
        assert_eq!(share(&sample, &near(3), 64), 1.0);
    }

    #[test]
    fn long_lists_are_thinned_out_and_keep_their_weight() {
        let common: Vec<_> = random(5000, 5).into_iter().map(|hash| (hash, 0.9 / 5000.0)).collect();
        let long = ColumnSample { distinct: 1e6, common, histogram: random(5001, 6), ..ColumnSample::default() };
        let weighted = Weighted::of(&long);
        assert!(weighted.common.len() <= COMPARED && weighted.bounds.len() <= COMPARED);
        let sum: f64 = weighted.values().map(|(_, _, weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert!((0.3..0.8).contains(&long.share_of_pairs(&long, 32)));
        assert_eq!(long.share_of_pairs(&long, 64), 1.0);
    }

    #[test]
    fn two_widths_are_never_near() {
        let narrow = ColumnSample { distinct: 1e5, histogram: random(101, 1), ..ColumnSample::default() };
        let wide = random(101, 2).iter().map(|hash| hash.repeat(4).into()).collect();
        let wide = ColumnSample { distinct: 1e5, histogram: wide, ..ColumnSample::default() };
        assert!(narrow.share_of_pairs(&wide, 40) < 1e-4);
        assert!(share(&narrow, &[0; 32], 200) < 1e-4);
    }

    #[test]
    fn searches_find_the_more_the_more_rows() {
        assert_eq!(share_of_searches(0.0, 1e9), 0.0);
        assert!((share_of_searches(0.001, 1000.0) - 0.632).abs() < 0.001);
        assert_eq!(share_of_searches(1.0, 1.0), 1.0);
    }

    #[test]
    fn a_popular_value_is_one_match_for_each_of_its_rows() {
        let sample = ColumnSample {
            distinct: 1e5,
            common: vec![([0; 8].into(), 0.25)],
            histogram: random(101, 3),
            ..ColumnSample::default()
        };
        let fresh = ColumnSample { distinct: 1e5, histogram: random(101, 9), ..ColumnSample::default() };
        let matched = sample.share_of_matched(&sample, 3, 1000.0);
        assert!((0.25..0.27).contains(&matched), "{matched}");
        assert!(sample.share_of_matched(&fresh, 3, 1000.0) < 0.02);
        assert!(sample.share_of_matched(&fresh, 64, 10.0) > 0.99);
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
