//! Sets and plans in the form in which a device other than the CPU takes them: each column's hashes row by row.

use crate::context::Context;
use crate::error::SearchError;
use crate::plan::Plan;
use crate::values::Values;
use lumina_hash::words::words_for;
use rayon::prelude::*;

/// Values that a thread writes at a time.
const CHUNK: usize = 1 << 14;

/// A band of the driving column, as a place in the words of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedBand {
    /// The word in which it begins; it may reach into the next one.
    pub word: u32,
    /// The first bit, counted from the word's most significant.
    pub start: u32,
    /// How many bits.
    pub width: u32,
    /// How many of them may differ.
    pub tolerance: u32,
}

impl Plan {
    /// The bands in the order in which they are searched; none: every pair is compared.
    pub fn placed_bands(&self) -> impl ExactSizeIterator<Item = PlacedBand> {
        self.bands.iter().map(|part| {
            let (word, start) = part.band.place();
            PlacedBand { word, start, width: part.band.width, tolerance: part.tolerance }
        })
    }
}

impl Values {
    /// Words of a hash of each column: as many as its bits fill, but four in the place of three, which no kernel knows.
    pub fn row_words(&self) -> Vec<usize> {
        let words = |bits: &usize| match words_for(*bits) {
            3 => 4,
            words => words,
        };
        self.widths().iter().map(words).collect()
    }

    /// Words of all hashes of all columns.
    pub fn all_words(&self) -> usize {
        self.row_words().iter().sum::<usize>() * self.count()
    }

    /// Writes the values to `words`, which has room for [`Values::all_words`] and holds zeros: the hashes of the first
    /// column one after the other, then those of the second, … Their bits are spread as those that the CPU compares are,
    /// so that the plan's bands fit them. Runs on the current thread pool.
    pub fn write_rows(&self, words: &mut [u64], context: &Context) -> Result<(), SearchError> {
        let mut rest = words;
        for (column, row_words) in self.row_words().into_iter().enumerate() {
            let (of_column, after) = std::mem::take(&mut rest).split_at_mut(row_words * self.count());
            rest = after;
            let (first, planes) = (self.first_plane(column), words_for(self.widths()[column]));
            of_column.par_chunks_mut(CHUNK * row_words).enumerate().try_for_each(|(chunk, words)| {
                context.check()?;
                for (at, row) in words.chunks_exact_mut(row_words).enumerate() {
                    for (plane, word) in row[..planes].iter_mut().enumerate() {
                        *word = self.planes().word(first + plane, chunk * CHUNK + at);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::values::Rows;

    #[test]
    fn rows_are_the_planes_turned() {
        let context = Context::new(1 << 30);
        let widths = [64, 192, 40, 320];
        let mut rows = Rows::new(&widths);
        let byte = |row: usize, at: usize| ((row * 31 + at * 7) ^ row >> 3) as u8;
        for row in 0..2 * CHUNK + 5 {
            let hashes: Vec<Vec<u8>> =
                widths.iter().map(|bits| (0..bits / 8).map(|at| byte(row, at + bits)).collect()).collect();
            rows.push(hashes.iter().map(Vec::as_slice), &context).unwrap();
        }
        let values = Values::collapse(rows, &context).unwrap();
        assert_eq!(values.row_words(), [1, 4, 1, 5]);
        let mut words = vec![0; values.all_words()];
        values.write_rows(&mut words, &context).unwrap();
        let mut first = 0;
        for (column, row_words) in values.row_words().into_iter().enumerate() {
            for value in 0..values.count() {
                let row = &words[first + value * row_words..first + (value + 1) * row_words];
                for (plane, word) in row.iter().enumerate() {
                    let is_there = plane < words_for(widths[column]);
                    let plane = values.first_plane(column) + plane;
                    assert_eq!(*word, if is_there { values.planes().word(plane, value) } else { 0 });
                }
            }
            first += row_words * values.count();
        }
        assert_eq!(first, words.len());
        context.cancel();
        assert_eq!(values.write_rows(&mut words, &context), Err(SearchError::Cancelled));
    }
}
