//! A request for a search on the device: sets of rows, radii, a method. Made by the caller, in host memory.

use crate::error::GpuError;
use crate::params;
use lumina_hash::bands::flips;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The most words of a hash: kernels for any number of words go up to 1024 bits.
pub const MAX_WORDS: usize = params::MAX_WORDS as usize;
/// The most hash columns of a search.
pub const MAX_COLUMNS: usize = params::MAX_COLUMNS as usize;
/// The most rows of a set.
pub const MAX_ROWS: usize = u32::MAX as usize - 4096;

/// The memory of the hashes: of this process, or shared with another.
pub type HashMemory = Arc<dyn AsRef<[u64]> + Send + Sync>;

/// The hashes of a column, row after row.
#[derive(Clone)]
pub struct Hashes {
    words: usize,
    source: HashMemory,
    place: Range<usize>,
}

impl Hashes {
    /// `rows` hashes of `words` words each, which begin at word `first` of `source`. Words: 1, 2, 4 or 5 to
    /// [`MAX_WORDS`]; bits that the hash does not have are zeros. `None` where the source is shorter.
    pub fn new(source: &HashMemory, first: usize, rows: usize, words: usize) -> Option<Self> {
        let place = first..first.checked_add(rows.checked_mul(words)?)?;
        (place.end <= (**source).as_ref().len()).then(|| Hashes { words, source: Arc::clone(source), place })
    }

    /// Words per hash.
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

/// Bits of the driving column: rows are compared if they differ in few of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TolerantBand {
    /// The word in which it begins; it may reach into the next one.
    pub word: u32,
    /// The first bit, counted from the word's most significant.
    pub start: u32,
    /// Bits, 1 to [`MAX_WIDTH`](Self::MAX_WIDTH).
    pub width: u32,
    /// How many of them may differ.
    pub tolerance: u32,
}

impl TolerantBand {
    /// The widest band: 2²⁴ buckets.
    pub const MAX_WIDTH: u32 = params::MAX_BAND_WIDTH;
    /// The most bits that may differ.
    const MAX_TOLERANCE: u32 = 5;

    /// The masks of at most `tolerance` bits, the empty one first.
    pub(crate) fn flips(&self) -> impl Iterator<Item = u32> {
        flips(self.width as usize, self.tolerance).map(|mask| mask as u32)
    }

    /// The argument of the kernels.
    pub(crate) fn parameter(&self) -> params::Band {
        params::Band { word: self.word, start: self.start, width: self.width, tolerance: self.tolerance }
    }
}

/// How pairs are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairMethod {
    /// Every row is compared with every other.
    BruteForce,
    /// Rows are compared that agree in a band of the driving column up to its tolerance. The caller's bands are an
    /// exact cover.
    Bands(Vec<TolerantBand>),
}

/// A search: finds pairs of rows that are within the radius of every column.
#[derive(Debug, Clone)]
pub struct PairRequest {
    /// The left set.
    pub left: Set,
    /// The right set; `None`: the left one is compared with itself, each pair of different rows once.
    pub right: Option<Set>,
    /// The maximum distance of each column, in bits; the column's width or more: it filters nothing.
    pub radii: Vec<u32>,
    /// The column in which candidates are found.
    pub driving: usize,
    /// How pairs are found.
    pub method: PairMethod,
}

impl PairRequest {
    /// Checks the request. Errors: `Refused`, with the name of what is wrong.
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
        if let PairMethod::Bands(bands) = &self.method {
            let bits = self.left.columns[self.driving].words as u32 * 64;
            let is_band = |band: &TolerantBand| {
                (1..=TolerantBand::MAX_WIDTH).contains(&band.width)
                    && band.start < 64
                    && band.word.saturating_mul(64).saturating_add(band.start + band.width) <= bits
                    && band.tolerance <= TolerantBand::MAX_TOLERANCE
            };
            if bands.is_empty() || !bands.iter().all(is_band) {
                return wrong("a band");
            }
        }
        Ok(())
    }
}
