//! The pair rule of a catalog: its form as JSON, the rule of a search that it stands for, and the one distance that is
//! shown for several hashes.
//!
//! As JSON a rule is a list of alternatives, each an object with a maximum distance for some hashes, such as
//! `[{"dhash": 12, "pdq": 100}, {"dct": 14, "pdq": 100}]`. Two images are a pair if in at least one alternative each
//! hash that it names is within its distance. Called by the job, whose rule was checked in SQL when it was submitted
//! (`lumina_internal.pair_rule`), and by [`crate::images`] and [`crate::groups`]. Invariant: distances and radii are
//! lists in the order of [`PairRule::hashes`].

#[cfg(test)]
mod tests;

use lumina_search::Rule;
use serde_json::Value;

/// A hash that every image has, unless its hashes are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHash {
    /// Its name in rules, and its column of `lumina.images`.
    pub name: &'static str,
    /// Its width.
    pub bits: usize,
}

/// The hashes of an image.
pub const IMAGE_HASHES: [ImageHash; 4] = [
    ImageHash { name: "ahash", bits: 64 },
    ImageHash { name: "dhash", bits: 64 },
    ImageHash { name: "dct", bits: 64 },
    ImageHash { name: "pdq", bits: 256 },
];

/// The width to which shown distances refer: those of wider hashes are scaled down to it, rounded up.
const SHOWN_BITS: usize = 64;

/// When two images are a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRule {
    hashes: Vec<ImageHash>,
    /// Over the columns `hashes`. A hash that an alternative does not name has its width as radius there: it does not
    /// count.
    near: Rule,
}

impl PairRule {
    /// Reads a rule. `None` where it is not a list of objects, names no known hash, or has a distance that is not a
    /// whole number from 0 to 2³² − 1.
    pub fn from_json(rule: &Value) -> Option<Self> {
        let alternatives = rule.as_array()?;
        let is_named = |hash: &ImageHash| alternatives.iter().any(|alternative| alternative.get(hash.name).is_some());
        let hashes: Vec<ImageHash> = IMAGE_HASHES.into_iter().filter(is_named).collect();
        let radius = |alternative: &Value, hash: &ImageHash| match alternative.get(hash.name) {
            Some(distance) => distance.as_u64().and_then(|distance| u32::try_from(distance).ok()),
            None => Some(hash.bits as u32),
        };
        let radii = |alternative| hashes.iter().map(|hash| radius(alternative, hash)).collect::<Option<Vec<u32>>>();
        let alternatives = alternatives.iter().map(radii).collect::<Option<Vec<_>>>()?;
        (!hashes.is_empty()).then(|| PairRule { hashes, near: Rule::any(alternatives) })
    }

    /// The hashes that the rule names, in the order of [`IMAGE_HASHES`]: the columns that are compared.
    pub fn hashes(&self) -> &[ImageHash] {
        &self.hashes
    }

    /// The rule of the search, over the columns [`PairRule::hashes`].
    pub fn near(&self) -> &Rule {
        &self.near
    }

    /// The distance, of 64 bits, that is shown for two images with these distances in each of [`PairRule::hashes`]: the
    /// largest one of an alternative, in the alternative where that is smallest. With one alternative a pair has at
    /// most its largest radius.
    pub fn shown_distance(&self, distances: &[u16]) -> i16 {
        let largest = |radii: &Vec<u32>| {
            let counted = distances
                .iter()
                .zip(radii)
                .zip(&self.hashes)
                .filter(|((_, radius), hash)| (**radius as usize) < hash.bits);
            let scaled = counted.map(|((distance, _), hash)| (usize::from(*distance) * SHOWN_BITS).div_ceil(hash.bits));
            scaled.max().unwrap_or(0)
        };
        self.near.alternatives().iter().map(largest).min().unwrap_or(0) as i16
    }
}
