//! Sets and plans in the format of a device other than the CPU: each column's hashes row by row.

use crate::context::SearchContext;
use crate::error::SearchError;
use crate::plan::Plan;
use crate::rows::HashRows;
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
    /// Words per hash of each column, in the format of [`Values::write_rows`].
    pub fn row_words(&self) -> Vec<usize> {
        row_words(self.widths())
    }

    /// Words of all hashes of all columns.
    pub fn all_words(&self) -> usize {
        self.row_words().iter().sum::<usize>() * self.count()
    }

    /// Writes the values to `words`, which has room for [`Values::all_words`] and holds zeros: the hashes of the first
    /// column one after the other, then those of the second, … Their bits are spread like those that the CPU compares,
    /// so that the plan's bands fit them. Runs on the current thread pool.
    pub fn write_rows(&self, words: &mut [u64], context: &SearchContext) -> Result<(), SearchError> {
        let word = |plane, value| self.planes().word(plane, value);
        write(self.widths(), self.count(), word, words, context)
    }
}

impl HashRows {
    /// Words per hash of each column, in the format of [`HashRows::write_rows`].
    pub fn row_words(&self) -> Vec<usize> {
        row_words(self.widths())
    }

    /// Words of all hashes of all columns.
    pub fn all_words(&self) -> usize {
        self.row_words().iter().sum::<usize>() * self.len()
    }

    /// Writes the rows to `words` like [`Values::write_rows`], but with their bits unspread.
    pub fn write_rows(&self, words: &mut [u64], context: &SearchContext) -> Result<(), SearchError> {
        write(self.widths(), self.len(), |plane, row| self.word(plane, row), words, context)
    }
}

impl HashRows {
    /// Whether each row is equal to the one that `firsts` names, which must not be after it. Runs on the current thread
    /// pool.
    pub fn are_equal_to(&self, firsts: &[u32], context: &SearchContext) -> Result<bool, SearchError> {
        if firsts.len() != self.len() {
            return Ok(false);
        }
        let planes = 0..self.widths().iter().map(|bits| words_for(*bits)).sum::<usize>();
        let equal = |(row, first): (usize, usize)| {
            first <= row
                && (first == row || planes.clone().all(|plane| self.word(plane, row) == self.word(plane, first)))
        };
        let wrong = firsts.par_chunks(CHUNK).enumerate().find_map_any(|(chunk, firsts)| {
            let mut rows = (chunk * CHUNK..).zip(firsts.iter().map(|first| *first as usize));
            (context.check().is_err() || !rows.all(equal)).then_some(())
        });
        context.check()?;
        Ok(wrong.is_none())
    }
}

/// The words that its bits fill, but four instead of three, for which there is no kernel.
fn row_words(widths: &[usize]) -> Vec<usize> {
    let words = |bits: &usize| match words_for(*bits) {
        3 => 4,
        words => words,
    };
    widths.iter().map(words).collect()
}

fn write(
    widths: &[usize],
    count: usize,
    word: impl Fn(usize, usize) -> u64 + Sync,
    words: &mut [u64],
    context: &SearchContext,
) -> Result<(), SearchError> {
    let (mut rest, mut first) = (words, 0);
    for (&bits, row_words) in widths.iter().zip(row_words(widths)) {
        let (of_column, after) = std::mem::take(&mut rest).split_at_mut(row_words * count);
        rest = after;
        let planes = words_for(bits);
        of_column.par_chunks_mut(CHUNK * row_words).enumerate().try_for_each(|(chunk, words)| {
            context.check()?;
            for (at, row) in words.chunks_exact_mut(row_words).enumerate() {
                for (plane, to) in row[..planes].iter_mut().enumerate() {
                    *to = word(first + plane, chunk * CHUNK + at);
                }
            }
            Ok(())
        })?;
        first += planes;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_planes_turned() {
        let context = SearchContext::new(1 << 30);
        let widths = [64, 192, 40, 320];
        let mut rows = HashRows::new(&widths);
        let byte = |row: usize, at: usize| ((row * 31 + at * 7) ^ row >> 3) as u8;
        for row in 0..2 * CHUNK + 5 {
            let hashes: Vec<Vec<u8>> =
                widths.iter().map(|bits| (0..bits / 8).map(|at| byte(row, at + bits)).collect()).collect();
            rows.push(hashes.iter().map(Vec::as_slice), &context).unwrap();
        }
        let mut raw = vec![0; rows.all_words()];
        rows.write_rows(&mut raw, &context).unwrap();
        assert_eq!(raw[CHUNK + 1], rows.word(0, CHUNK + 1));
        assert_eq!(raw[rows.len() + 4 * (CHUNK + 1) + 2], rows.word(3, CHUNK + 1));
        let firsts: Vec<u32> = (0..rows.len() as u32).collect();
        assert_eq!(rows.are_equal_to(&firsts, &context), Ok(true));
        for (row, first) in [(CHUNK + 7, 3), (5, 6), (2, 1)] {
            let mut wrong = firsts.clone();
            wrong[row] = first;
            assert_eq!(rows.are_equal_to(&wrong, &context), Ok(false), "{row} {first}");
        }
        assert_eq!(rows.are_equal_to(&firsts[1..], &context), Ok(false));
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
