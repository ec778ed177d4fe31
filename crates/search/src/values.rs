//! The set of values that input rows collapse to.
//!
//! Equal rows are the normal case among pictures (black frames, skies), and every search is over *values*: the distinct
//! rows, numbered by their first row, each with the list of its rows. A value that 5,659 rows share costs one
//! comparison.

use crate::collapse::{ITSELF, first_equal};
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::lists::Lists;
use crate::rows::HashRows;
use lumina_hash::kernel::{PADDING, Planes};
use lumina_hash::spread::{gather, spread};
use lumina_hash::words::words_for;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Distinct rows.
#[derive(Debug)]
pub struct Values {
    widths: Vec<usize>,
    words: Vec<u64>,
    stride: usize,
    count: usize,
    rows: usize,
    /// The rows of each value, ascending; `None` if every row is a value.
    members: Option<Lists>,
}

impl Values {
    /// Collapses rows. Runs on the current thread pool.
    pub fn collapse(rows: HashRows, context: &SearchContext) -> Result<Self, SearchError> {
        let same_as = first_equal(&rows, context)?;
        Self::of(rows, same_as, context)
    }

    /// Like [`Values::collapse`], if the equal rows are already known: `firsts[i]`, which is at most i, is the first
    /// row equal to row i.
    pub fn collapse_by(rows: HashRows, firsts: Vec<u32>, context: &SearchContext) -> Result<Self, SearchError> {
        debug_assert!(firsts.len() == rows.len() && firsts.iter().zip(0..).all(|(first, row)| *first <= row));
        context.check()?;
        let same_as = if firsts.iter().zip(0..).any(|(first, row)| *first != row) {
            Some(same_as(&firsts, context)?)
        } else {
            None
        };
        context.free(firsts);
        Self::of(rows, same_as, context)
    }

    fn of(rows: HashRows, same_as: Option<Vec<AtomicU32>>, context: &SearchContext) -> Result<Self, SearchError> {
        let (widths, planes, row_count) = rows.into_parts();
        let members = match same_as {
            Some(same_as) => Some(number(same_as, context)?),
            None => None,
        };
        let count = members.as_ref().map_or(row_count, Lists::len);
        let stride = count + PADDING;
        let mut words = context.vec(planes.len() * stride)?;
        let shapes = widths.iter().flat_map(|&bits| (0..words_for(bits)).map(move |plane| (plane, bits)));
        for (plane, (at, bits)) in planes.into_iter().zip(shapes) {
            context.check()?;
            let first = |value: usize| members.as_ref().map_or(value, |members| members.of(value)[0] as usize);
            words.extend((0..count).map(|value| spread(plane[first(value)], at, bits)));
            words.resize(words.len() + PADDING, 0);
            context.free(plane);
        }
        Ok(Values { widths, words, stride, count, rows: row_count, members })
    }

    /// Splits values whose rows have different keys: afterwards all rows of a value have one key. Values are numbered
    /// by their first rows as before.
    pub fn split(self, key_of: impl Fn(u32) -> u32, context: &SearchContext) -> Result<Self, SearchError> {
        let Some(members) = &self.members else { return Ok(self) };
        // The rows of each value in order of their keys; of each key the first row is the first of its new value.
        let mut firsts = context.vec(self.rows)?;
        firsts.extend(0..self.rows as u32);
        let (mut is_split, mut keyed) = (false, Vec::new());
        for value in 0..self.count {
            let rows = members.of(value);
            if value % (1 << 16) == 0 {
                context.check()?;
            }
            keyed.clear();
            context.grow(&mut keyed, rows.len())?;
            keyed.extend(rows.iter().map(|row| (key_of(*row), *row)));
            keyed.sort_unstable();
            for equal in keyed.chunk_by(|a, b| a.0 == b.0) {
                is_split |= equal.len() < rows.len();
                equal.iter().for_each(|(_, row)| firsts[*row as usize] = equal[0].1);
            }
        }
        context.free(keyed);
        if !is_split {
            context.free(firsts);
            return Ok(self);
        }
        let mut value_of_row = context.filled(self.rows, 0u32)?;
        for value in 0..self.count {
            members.of(value).iter().for_each(|row| value_of_row[*row as usize] = value as u32);
        }
        let mut old_values = Vec::new();
        for (row, first) in firsts.iter().enumerate() {
            if *first as usize == row {
                context.push(&mut old_values, value_of_row[row])?;
            }
        }
        context.free(value_of_row);
        let same_as = same_as(&firsts, context)?;
        context.free(firsts);
        let members = number(same_as, context)?;
        let count = old_values.len();
        let stride = count + PADDING;
        let planes = self.words.len() / self.stride;
        let mut words = context.vec(planes * stride)?;
        for plane in self.words.chunks_exact(self.stride) {
            context.check()?;
            words.extend(old_values.iter().map(|value| plane[*value as usize]));
            words.resize(words.len() + PADDING, 0);
        }
        context.free(old_values);
        let Values { widths, words: old_words, rows, members: old_members, .. } = self;
        context.free(old_words);
        old_members.into_iter().for_each(|members| members.free(context));
        Ok(Values { widths, words, stride, count, rows, members: Some(members) })
    }

    /// How many values.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The widths of the columns, in bits.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// The rows of a value, ascending.
    #[inline]
    pub fn members(&self, value: u32) -> ValueRows<'_> {
        match &self.members {
            Some(members) => ValueRows::Many(members.of(value as usize)),
            None => ValueRows::One(value),
        }
    }

    /// How many rows a value has.
    #[inline]
    pub fn weight(&self, value: u32) -> u64 {
        self.members(value).as_slice().len() as u64
    }

    /// The hash of a value in a column, as bytes.
    pub fn hash(&self, value: u32, column: usize) -> Vec<u8> {
        let first = self.first_plane(column);
        let bits = self.widths[column];
        let words = (0..words_for(bits)).map(|p| gather(self.planes().word(first + p, value as usize), p, bits));
        let mut bytes: Vec<u8> = words.flat_map(u64::to_be_bytes).collect();
        bytes.truncate(bits / 8);
        bytes
    }

    /// Where the planes of a column begin.
    pub(crate) fn first_plane(&self, column: usize) -> usize {
        self.widths[..column].iter().map(|bits| words_for(*bits)).sum()
    }

    /// The spread hashes of the values, in planes.
    pub(crate) fn planes(&self) -> Planes<'_> {
        Planes { words: &self.words, stride: self.stride }
    }

    /// The distance of two values in a column, in bits.
    #[inline]
    pub(crate) fn distance_in(&self, column: usize, a: u32, b: u32) -> u32 {
        let first = self.first_plane(column);
        self.differing(first..first + words_for(self.widths[column]), a, b)
    }

    #[inline(always)]
    fn differing(&self, planes: Range<usize>, a: u32, b: u32) -> u32 {
        let word = |plane: usize, value: u32| self.words[plane * self.stride + value as usize];
        planes.map(|plane| (word(plane, a) ^ word(plane, b)).count_ones()).sum()
    }

    /// Writes the distances of two values, one a column, and returns their sum.
    pub fn distances(&self, a: u32, b: u32, distances: &mut [u16]) -> u32 {
        let mut sum = 0;
        for (column, distance) in distances.iter_mut().enumerate() {
            let bits = self.distance_in(column, a, b);
            *distance = bits as u16;
            sum += bits;
        }
        sum
    }

    /// The sum of the distances of two values over the columns.
    #[inline]
    pub(crate) fn distance(&self, a: u32, b: u32) -> u32 {
        self.differing(0..self.words.len() / self.stride, a, b)
    }

    /// Whether two values are within the distance of every column. A column whose radius is its width is skipped.
    #[inline]
    pub(crate) fn near(&self, a: u32, b: u32, radii: &[u32]) -> bool {
        let mut first = 0;
        self.widths.iter().zip(radii).all(|(&bits, &radius)| {
            let planes = first..first + words_for(bits);
            first = planes.end;
            radius as usize >= bits || self.differing(planes, a, b) <= radius
        })
    }

    /// Pairs of rows with equal hashes.
    pub fn equal_pairs(&self) -> u64 {
        self.members.iter().flat_map(Lists::sizes).map(equal_pairs_of).sum()
    }

    /// The values that several rows have.
    pub fn repeated(&self) -> impl Iterator<Item = u32> {
        let sizes = self.members.iter().flat_map(Lists::sizes).enumerate();
        sizes.filter(|(_, size)| *size > 1).map(|(value, _)| value as u32)
    }

    /// Frees it.
    pub fn free(self, context: &SearchContext) {
        context.free(self.words);
        if let Some(members) = self.members {
            members.free(context);
        }
    }
}

/// The number of pairs among `rows` rows.
pub(crate) fn equal_pairs_of(rows: u64) -> u64 {
    rows * rows.saturating_sub(1) / 2
}

/// The rows of a value.
#[derive(Debug, Clone, Copy)]
pub enum ValueRows<'a> {
    /// A single row.
    One(u32),
    /// A list of rows.
    Many(&'a [u32]),
}

impl ValueRows<'_> {
    /// The rows.
    #[inline]
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::Many(rows) => rows,
        }
    }
}

/// For each row the first row equal to it, as [`number`] takes it.
fn same_as(firsts: &[u32], context: &SearchContext) -> Result<Vec<AtomicU32>, SearchError> {
    let same = |(first, row): (&u32, u32)| AtomicU32::new(if *first == row { ITSELF } else { *first });
    let mut same_as = context.vec(firsts.len())?;
    same_as.extend(firsts.iter().zip(0..).map(same));
    Ok(same_as)
}

/// Numbers the values by their first rows: the rows of each.
fn number(same_as: Vec<AtomicU32>, context: &SearchContext) -> Result<Lists, SearchError> {
    let count = same_as.len();
    let mut values = 0u32;
    context.each(0..count, |row| {
        let value = match same_as[row].load(Ordering::Relaxed) {
            ITSELF => {
                values += 1;
                values - 1
            }
            first => same_as[first as usize].load(Ordering::Relaxed),
        };
        same_as[row].store(value, Ordering::Relaxed);
    })?;
    let value_of = || same_as.iter().zip(0..).map(|(value, row)| (value.load(Ordering::Relaxed), row));
    let members = Lists::collect(values as usize, value_of, context)?;
    context.free(same_as);
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are split by the keys of their rows, and those of one key stay together.
    #[test]
    fn split_by_keys() {
        let context = SearchContext::new(1 << 20);
        let words = [5u64, 7, 5, 9, 7, 5, 1, 5];
        let mut rows = HashRows::new(&[64]);
        words.iter().for_each(|word| assert_eq!(rows.push([&word.to_be_bytes()[..]], &context), Ok(())));
        let Ok(values) = Values::collapse(rows, &context) else { panic!("no values") };
        let (members, hashes): (Vec<_>, Vec<_>) = {
            let keys = [0u32, 3, 1, 0, 3, 0, 0, 1];
            let Ok(split) = values.split(|row| keys[row as usize], &context) else { panic!("not split") };
            assert_eq!((split.rows(), split.words.len()), (8, split.stride));
            (0..split.count() as u32)
                .map(|value| (split.members(value).as_slice().to_vec(), split.hash(value, 0)[7]))
                .unzip()
        };
        assert_eq!(members, [vec![0, 5], vec![1, 4], vec![2, 7], vec![3], vec![6]]);
        assert_eq!(hashes, [5, 7, 5, 9, 1]);
    }

    /// A precomputed list of equal rows gives the values that are computed here.
    #[test]
    fn collapsed_by_somebody_else() {
        let context = SearchContext::new(1 << 20);
        for words in [&[5u64, 7, 5, 9, 7, 5, 1][..], &[1, 2, 3], &[4, 4], &[]] {
            let rows = || {
                let mut rows = HashRows::new(&[64]);
                words.iter().for_each(|word| assert_eq!(rows.push([&word.to_be_bytes()[..]], &context), Ok(())));
                rows
            };
            let first = |word: &u64| words.iter().position(|other| other == word).unwrap_or(0) as u32;
            let firsts = words.iter().map(first).collect();
            let (found, wanted) = (Values::collapse_by(rows(), firsts, &context), Values::collapse(rows(), &context));
            let (Ok(found), Ok(wanted)) = (found, wanted) else { panic!("no values") };
            assert_eq!(
                (found.words.clone(), found.count, found.rows),
                (wanted.words.clone(), wanted.count, wanted.rows)
            );
            for value in 0..found.count as u32 {
                assert_eq!(found.members(value).as_slice(), wanted.members(value).as_slice());
            }
        }
    }
}
