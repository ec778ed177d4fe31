//! What a search on the device is asked: sets of rows, radii, a method. Made by the caller, in the host's memory.

use crate::error::GpuError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Words of a hash that the kernels know: those of matrix instructions, and any number up to 1024 bits.
pub const MAX_WORDS: usize = 16;
/// The most hash columns of a search.
pub const MAX_COLUMNS: usize = 8;
/// The most rows of a set.
pub const MAX_ROWS: usize = u32::MAX as usize - 4096;

/// Words that a hash of so many bits takes on the device, where three words are four.
pub const fn words_for(bits: usize) -> usize {
    match bits.div_ceil(64) {
        3 => 4,
        words => words,
    }
}

/// The memory in which hashes lie: of this process, or shared with another.
pub type Source = Arc<dyn AsRef<[u64]> + Send + Sync>;

/// The hashes of a column, row after row.
#[derive(Clone)]
pub struct Hashes {
    words: usize,
    source: Source,
    place: Range<usize>,
}

impl Hashes {
    /// `rows` hashes of `words` words each, which begin at word `first` of `source`. Words: 1, 2, 4 or 5 to
    /// [`MAX_WORDS`]; bits that the hash does not have are zeros. `None` where the source is shorter.
    pub fn new(source: &Source, first: usize, rows: usize, words: usize) -> Option<Self> {
        let place = first..first.checked_add(rows.checked_mul(words)?)?;
        (place.end <= (**source).as_ref().len()).then(|| Hashes { words, source: Arc::clone(source), place })
    }

    /// Words a hash.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The words of some rows.
    pub(crate) fn of(&self, rows: &Range<usize>) -> &[u64] {
        let all = &(*self.source).as_ref()[self.place.clone()];
        &all[rows.start * self.words..rows.end * self.words]
    }
}

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} words, {} a hash", self.place.len(), self.words)
    }
}

/// Rows of one or more hash columns.
#[derive(Debug, Clone)]
pub struct Set {
    /// How many rows.
    pub rows: usize,
    /// In the order of the search's radii.
    pub columns: Vec<Hashes>,
}

/// Bits of the driving column in which two rows may differ a little to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// The word in which it begins; it may reach into the next one.
    pub word: u32,
    /// The first bit, counted from the word's most significant.
    pub start: u32,
    /// Bits, 1 to [`MAX_WIDTH`](Self::MAX_WIDTH).
    pub width: u32,
    /// How many of them may differ.
    pub tolerance: u32,
}

impl Band {
    /// The widest band: 2²⁴ buckets.
    pub const MAX_WIDTH: u32 = 24;

    /// The masks of at most `tolerance` bits, the empty one first, those with fewer bits before others.
    pub(crate) fn flips(&self) -> Vec<u32> {
        let mut flips = vec![0u32];
        let mut first = 0;
        for _ in 0..self.tolerance.min(self.width) {
            let last = flips.len();
            for at in first..last {
                // Each mask is made once, from that without its highest bit.
                let above = 32 - flips[at].leading_zeros();
                for bit in above..self.width {
                    flips.push(flips[at] | 1 << bit);
                }
            }
            first = last;
        }
        flips
    }
}

/// How pairs are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Every row is compared with every other.
    BruteForce,
    /// Rows are compared that agree in a band of the driving column up to its tolerance. The caller's bands are an
    /// exact cover.
    Bands(Vec<Band>),
}

/// A search: pairs of rows that are within the radius of every column.
#[derive(Debug, Clone)]
pub struct Request {
    /// A set.
    pub left: Set,
    /// What it is compared with; `None`: with itself, each pair of different rows once.
    pub right: Option<Set>,
    /// The maximum distance of each column, in bits; the column's width or more: it keeps no pair away.
    pub radii: Vec<u32>,
    /// The column that candidates are looked for in.
    pub driving: usize,
    /// How.
    pub method: Method,
}

impl Request {
    /// Refuses what no caller should ask. Errors: `Refused`, with the name of what is wrong.
    pub(crate) fn check(&self) -> Result<(), GpuError> {
        let wrong = |what| Err(GpuError::refused(what, 0));
        let columns = self.radii.len();
        if columns == 0 || columns > MAX_COLUMNS || self.driving >= columns {
            return wrong("the number of columns");
        }
        for set in std::iter::once(&self.left).chain(&self.right) {
            if set.rows > MAX_ROWS || set.columns.len() != columns {
                return wrong("the size of a set");
            }
            for (hashes, other) in set.columns.iter().zip(&self.left.columns) {
                let fits = matches!(hashes.words, 1 | 2 | 4..=MAX_WORDS) && hashes.words == other.words;
                if !fits || Some(hashes.place.len()) != set.rows.checked_mul(hashes.words) {
                    return wrong("the words of a column");
                }
            }
        }
        if let Method::Bands(bands) = &self.method {
            let bits = self.left.columns[self.driving].words as u32 * 64;
            let is_band = |band: &Band| {
                (1..=Band::MAX_WIDTH).contains(&band.width)
                    && band.start < 64
                    && band.word.saturating_mul(64).saturating_add(band.start + band.width) <= bits
                    && band.tolerance <= 5
            };
            if bands.is_empty() || !bands.iter().all(is_band) {
                return wrong("a band");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_all_masks_of_few_bits() {
        for (width, tolerance) in [(1, 0), (1, 3), (5, 2), (12, 3), (24, 2)] {
            let flips = Band { word: 0, start: 0, width, tolerance }.flips();
            let mut wanted: Vec<u32> = (0..1u32 << width).filter(|mask| mask.count_ones() <= tolerance).collect();
            assert_eq!(flips[0], 0);
            assert!(flips.is_sorted_by_key(|mask| mask.count_ones()));
            let mut found = flips.clone();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{width} {tolerance}");
        }
    }
}
