//! Input hashes as they are read: [`HashRows`], column by column in planes of a word.
//!
//! Filled by callers, row by row, and collapsed to [`crate::values::Values`].

use crate::context::SearchContext;
use crate::error::SearchError;
use lumina_hash::words::{word_of, words_for};

/// The most rows that a set can have.
pub const MAX_ROWS: usize = u32::MAX as usize - 1024;

/// Rows of one or more hash columns, as read.
#[derive(Debug)]
pub struct HashRows {
    widths: Vec<usize>,
    planes: Vec<Vec<u64>>,
    count: usize,
}

impl HashRows {
    /// No rows yet; `widths` are those of the columns, in bits.
    pub fn new(widths: &[usize]) -> Self {
        let planes = widths.iter().map(|bits| words_for(*bits)).sum();
        HashRows { widths: widths.to_vec(), planes: (0..planes).map(|_| Vec::new()).collect(), count: 0 }
    }

    /// Appends a row: a hash for each column, of that column's width.
    pub fn push<'a>(
        &mut self,
        hashes: impl IntoIterator<Item = &'a [u8]>,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        if self.count == MAX_ROWS {
            return Err(SearchError::TooManyRows { limit: MAX_ROWS });
        }
        let mut planes = self.planes.iter_mut();
        for hash in hashes {
            for (chunk, plane) in hash.chunks(8).zip(&mut planes) {
                context.push(plane, word_of(chunk))?;
            }
        }
        self.count += 1;
        debug_assert!(self.planes.iter().all(|plane| plane.len() == self.count));
        Ok(())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The widths of the columns, in bits.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// All hashes: word p of each row, then word p + 1, …
    pub(crate) fn planes(&self) -> &[Vec<u64>] {
        &self.planes
    }

    /// The widths, the planes, and the number of rows.
    pub(crate) fn into_parts(self) -> (Vec<usize>, Vec<Vec<u64>>, usize) {
        (self.widths, self.planes, self.count)
    }

    #[inline(always)]
    pub(crate) fn word(&self, plane: usize, row: usize) -> u64 {
        self.planes[plane][row]
    }

    /// Moves row `order[i]` to place i; a row that is not in `order` is dropped.
    pub fn reorder(&mut self, order: &[u32], context: &SearchContext) -> Result<(), SearchError> {
        for plane in &mut self.planes {
            let mut moved = context.vec(order.len())?;
            moved.extend(order.iter().map(|&row| plane[row as usize]));
            context.free(std::mem::replace(plane, moved));
            context.check()?;
        }
        self.count = order.len();
        Ok(())
    }
}
