//! The rule that makes two hashes a pair: a plain value, so that callers can store, show and pass it on.
//!
//! A rule is a list of alternatives, each a radius for every column. A pair is near if it is within all radii of at
//! least one alternative. One [`crate::PairQuery`] finds the pairs of one alternative; [`crate::group::Edges`] merges
//! the pairs of all.

#[cfg(test)]
pub(crate) mod tests;

use crate::values::Values;

/// Two values are near if in at least one alternative every column is within its radius.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    alternatives: Vec<Vec<u32>>,
}

impl Rule {
    /// Every column within its radius, in bits: a single alternative.
    pub fn all(radii: &[u32]) -> Self {
        Rule { alternatives: vec![radii.to_vec()] }
    }

    /// Every column within its radius, in bits, in at least one of the alternatives, each of which has a radius for
    /// every column. If that is the column's width or more, the column does not count in that alternative. Without any
    /// alternative nothing is near.
    pub fn any(alternatives: Vec<Vec<u32>>) -> Self {
        Rule { alternatives }
    }

    /// The alternatives: the radii of each, one a column.
    pub fn alternatives(&self) -> &[Vec<u32>] {
        &self.alternatives
    }

    /// Whether two values are near.
    #[inline]
    pub fn near(&self, values: &Values, a: u32, b: u32) -> bool {
        self.alternatives.iter().any(|radii| values.near(a, b, radii))
    }

    /// Whether a pair with these distances, one a column, is within one of the first `count` alternatives.
    #[inline]
    pub(crate) fn within_first(&self, count: usize, distances: &[u16]) -> bool {
        let within = |radii: &Vec<u32>| distances.iter().zip(radii).all(|(d, radius)| u32::from(*d) <= *radius);
        self.alternatives.iter().take(count).any(within)
    }
}
