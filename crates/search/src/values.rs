//! Input hashes, row by row, and the set of values that they collapse to.
//!
//! Equal rows are the normal case among pictures (black frames, skies), and every search is over *values*: the distinct
//! rows, numbered by their first row, each with the list of its rows. A value that 5,659 rows share costs one
//! comparison.

use crate::MAX_ROWS;
use crate::context::Context;
use crate::error::SearchError;
use crate::lists::Lists;
use lumina_hash::kernel::{PADDING, Planes};
use lumina_hash::spread::{gather, spread};
use lumina_hash::words::{word_of, words_for};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Rows of one or more hash columns, as read.
#[derive(Debug)]
pub struct Rows {
    widths: Vec<usize>,
    planes: Vec<Vec<u64>>,
    count: usize,
}

impl Rows {
    /// No rows yet; `widths` are those of the columns, in bits.
    pub fn new(widths: &[usize]) -> Self {
        let planes = widths.iter().map(|bits| words_for(*bits)).sum();
        Rows { widths: widths.to_vec(), planes: (0..planes).map(|_| Vec::new()).collect(), count: 0 }
    }

    /// Appends a row: a hash for each column, of that column's width.
    pub fn push<'a>(
        &mut self,
        hashes: impl IntoIterator<Item = &'a [u8]>,
        context: &Context,
    ) -> Result<(), SearchError> {
        if self.count == MAX_ROWS {
            return Err(SearchError::TooManyRows);
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

    #[inline(always)]
    pub(crate) fn word(&self, plane: usize, row: usize) -> u64 {
        self.planes[plane][row]
    }

    /// Moves row `order[i]` to place i; a row that is not in `order` is dropped.
    pub fn reorder(&mut self, order: &[u32], context: &Context) -> Result<(), SearchError> {
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
    pub fn collapse(rows: Rows, context: &Context) -> Result<Self, SearchError> {
        let same_as = first_equal(&rows, context)?;
        Self::of(rows, same_as, context)
    }

    /// Like [`Values::collapse`], if the equal rows are already known: `firsts[i]`, which is at most i, is the first
    /// row equal to row i.
    pub fn collapse_by(rows: Rows, firsts: Vec<u32>, context: &Context) -> Result<Self, SearchError> {
        debug_assert!(firsts.len() == rows.count && firsts.iter().zip(0..).all(|(first, row)| *first <= row));
        context.check()?;
        let same_as = if firsts.iter().zip(0..).any(|(first, row)| *first != row) {
            let same = |(first, row): (&u32, u32)| AtomicU32::new(if *first == row { ITSELF } else { *first });
            let mut same_as = context.vec(firsts.len())?;
            same_as.extend(firsts.iter().zip(0..).map(same));
            Some(same_as)
        } else {
            None
        };
        context.free(firsts);
        Self::of(rows, same_as, context)
    }

    fn of(rows: Rows, same_as: Option<Vec<AtomicU32>>, context: &Context) -> Result<Self, SearchError> {
        let Rows { widths, planes, count: row_count } = rows;
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
    pub fn members(&self, value: u32) -> Members<'_> {
        match &self.members {
            Some(members) => Members::Many(members.of(value as usize)),
            None => Members::One(value),
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
    pub fn free(self, context: &Context) {
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
pub enum Members<'a> {
    /// A single row.
    One(u32),
    /// A list of rows.
    Many(&'a [u32]),
}

impl Members<'_> {
    /// The rows.
    #[inline]
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::Many(rows) => rows,
        }
    }
}

/// A hash of a row: equal rows have equal ones, and others hardly ever.
#[inline(always)]
fn key(planes: &[Vec<u64>], row: usize) -> u64 {
    let mix = |word: u64| {
        let product = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (product ^ product >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    planes.iter().fold(0, |key: u64, plane| mix(key.rotate_left(23) ^ plane[row]))
}

/// Marks a row without an equal one before it.
const ITSELF: u32 = u32::MAX;

/// For each row the first row that is equal to it; `None` if all rows differ.
///
/// Rows are distributed by the upper bits of their key to parts that fit the cache, and each part is sorted by the next
/// 32 bits. Each thread reads all rows and keeps those of its parts, so that no two write to one place.
fn first_equal(rows: &Rows, context: &Context) -> Result<Option<Vec<AtomicU32>>, SearchError> {
    let count = rows.count;
    if count < 2 {
        return Ok(None);
    }
    let bits = (count / 4096).max(2).next_power_of_two().trailing_zeros().min(16);
    let threads = rayon::current_num_threads();
    let chunk = count.div_ceil(threads);
    let counts: Vec<Vec<u32>> = (0..threads)
        .into_par_iter()
        .map(|thread| {
            let mut counts = context.filled(1 << bits, 0u32)?;
            context.each((thread * chunk).min(count)..((thread + 1) * chunk).min(count), |row| {
                counts[part_of(key(&rows.planes, row), bits)] += 1;
            })?;
            Ok(counts)
        })
        .collect::<Result<_, _>>()?;
    let sum = |part: usize| counts.iter().map(|counts| counts[part] as usize).sum::<usize>();
    let mut sizes = context.vec(1 << bits)?;
    sizes.extend((0..1 << bits).map(sum));
    counts.into_iter().for_each(|counts| context.free(counts));
    context.check()?;

    let mut items = context.filled(count, 0u64)?;
    let mut same_as = context.vec(count)?;
    same_as.resize_with(count, || AtomicU32::new(ITSELF));
    let tasks = deal(&sizes, threads, &mut items);
    let any = tasks
        .into_par_iter()
        .map(|task| task.run(rows, bits, &same_as, context))
        .try_reduce(|| false, |a, b| Ok(a | b))?;
    context.free(items);
    context.free(sizes);
    if !any {
        context.free(same_as);
        return Ok(None);
    }
    Ok(Some(same_as))
}

/// The part that a key belongs to.
#[inline(always)]
fn part_of(key: u64, bits: u32) -> usize {
    (key >> (64 - bits)) as usize
}

/// The parts `first..first + sizes.len()` and the storage for their items.
struct Task<'a> {
    first: usize,
    sizes: &'a [usize],
    items: &'a mut [u64],
}

/// Cuts the parts into `tasks` runs of about equally many items.
fn deal<'a>(sizes: &'a [usize], tasks: usize, items: &'a mut [u64]) -> Vec<Task<'a>> {
    let wanted = items.len().div_ceil(tasks);
    let (mut rest_sizes, mut rest_items, mut first, mut dealt) = (sizes, items, 0, Vec::new());
    while !rest_sizes.is_empty() {
        let (mut parts, mut sum) = (0, 0);
        while parts < rest_sizes.len() && sum < wanted {
            sum += rest_sizes[parts];
            parts += 1;
        }
        let (sizes, after) = rest_sizes.split_at(parts);
        let (items, items_after) = std::mem::take(&mut rest_items).split_at_mut(sum);
        dealt.push(Task { first, sizes, items });
        (rest_sizes, rest_items, first) = (after, items_after, first + parts);
    }
    dealt
}

impl Task<'_> {
    /// Fills and sorts the parts; records for each row the first equal one. Returns whether there was any.
    fn run(self, rows: &Rows, bits: u32, same_as: &[AtomicU32], context: &Context) -> Result<bool, SearchError> {
        let mut ends: Vec<usize> = context.vec(self.sizes.len())?;
        let mut next = 0;
        for size in self.sizes {
            ends.push(next);
            next += size;
        }
        context.each(0..rows.count, |row| {
            let key = key(&rows.planes, row);
            let part = part_of(key, bits).wrapping_sub(self.first);
            if let Some(end) = ends.get_mut(part) {
                // The 32 bits of the key below those that chose the part, then the row.
                self.items[*end] = (key << bits >> 32 << 32) | row as u64;
                *end += 1;
            }
        })?;
        context.free(ends);
        let (mut any, mut rest) = (false, self.items);
        for &size in self.sizes {
            context.check()?;
            let (part, after) = std::mem::take(&mut rest).split_at_mut(size);
            rest = after;
            part.sort_unstable();
            for run in part.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|run| run.len() > 1) {
                any |= note_equal(rows, run, same_as);
            }
        }
        Ok(any)
    }
}

/// Records the first equal row of each row of a run with equal keys, ascending.
fn note_equal(rows: &Rows, run: &mut [u64], same_as: &[AtomicU32]) -> bool {
    let row_of = |item: &u64| (item & u64::from(u32::MAX)) as usize;
    let equal = |a: usize, b: usize| rows.planes.iter().all(|plane| plane[a] == plane[b]);
    let first = row_of(&run[0]);
    if !run.iter().all(|item| equal(first, row_of(item))) {
        // Two values share a key: sorting puts rows of equal words together, ascending.
        run.sort_unstable_by(|a, b| {
            let words = |item| rows.planes.iter().map(move |plane| plane[row_of(item)]);
            words(a).cmp(words(b)).then(a.cmp(b))
        });
    }
    let mut any = false;
    for equals in run.chunk_by(|a, b| equal(row_of(a), row_of(b))).filter(|equals| equals.len() > 1) {
        any = true;
        for item in &equals[1..] {
            same_as[row_of(item)].store(row_of(&equals[0]) as u32, Ordering::Relaxed);
        }
    }
    any
}

/// Numbers the values by their first rows: the rows of each.
fn number(same_as: Vec<AtomicU32>, context: &Context) -> Result<Lists, SearchError> {
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

    /// A precomputed list of equal rows gives the values that are computed here.
    #[test]
    fn collapsed_by_somebody_else() {
        let context = Context::new(1 << 20);
        for words in [&[5u64, 7, 5, 9, 7, 5, 1][..], &[1, 2, 3], &[4, 4], &[]] {
            let rows = || {
                let mut rows = Rows::new(&[64]);
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

    /// Different rows with one key, a collision that no test can expect by chance: each row finds its equals.
    #[test]
    fn rows_that_share_a_key_by_chance() {
        let words = [5u64, 7, 5, 9, 7, 5, 1];
        let context = Context::new(1 << 20);
        let mut rows = Rows::new(&[64]);
        for word in words {
            assert_eq!(rows.push([&word.to_be_bytes()[..]], &context), Ok(()));
        }
        let same_as: Vec<AtomicU32> = words.iter().map(|_| AtomicU32::new(ITSELF)).collect();
        let mut run: Vec<u64> = (0..words.len() as u64).map(|row| 3 << 32 | row).collect();
        assert!(note_equal(&rows, &mut run, &same_as));
        let same_as: Vec<u32> = same_as.into_iter().map(AtomicU32::into_inner).collect();
        assert_eq!(same_as, [ITSELF, ITSELF, 0, ITSELF, 1, 0, ITSELF]);
        let mut different: Vec<u64> = vec![0, 1, 3, 6];
        assert!(!note_equal(&rows, &mut different, &[const { AtomicU32::new(ITSELF) }; 7]));
    }
}
