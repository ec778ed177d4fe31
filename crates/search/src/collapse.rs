//! Finds equal rows: for each row the first one that is equal to it.
//!
//! Called by [`crate::values`]. Runs on the current thread pool.

use crate::context::SearchContext;
use crate::error::SearchError;
use crate::rows::HashRows;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

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
pub(crate) const ITSELF: u32 = u32::MAX;

/// For each row the first row that is equal to it; `None` if all rows differ.
///
/// Rows are distributed by the upper bits of their key to parts that fit the cache, and each part is sorted by the next
/// 32 bits. Each thread reads all rows and keeps those of its parts, so that no two write to one place.
pub(crate) fn first_equal(rows: &HashRows, context: &SearchContext) -> Result<Option<Vec<AtomicU32>>, SearchError> {
    let count = rows.len();
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
                counts[part_of(key(rows.planes(), row), bits)] += 1;
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
    let ranges = part_ranges(&sizes, threads, &mut items);
    let any = ranges
        .into_par_iter()
        .map(|range| range.find_equal(rows, bits, &same_as, context))
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
struct PartRange<'a> {
    first: usize,
    sizes: &'a [usize],
    items: &'a mut [u64],
}

/// Cuts the parts into `count` ranges of about equally many items.
fn part_ranges<'a>(sizes: &'a [usize], count: usize, items: &'a mut [u64]) -> Vec<PartRange<'a>> {
    let wanted = items.len().div_ceil(count);
    let (mut rest_sizes, mut rest_items, mut first, mut ranges) = (sizes, items, 0, Vec::new());
    while !rest_sizes.is_empty() {
        let (mut parts, mut sum) = (0, 0);
        while parts < rest_sizes.len() && sum < wanted {
            sum += rest_sizes[parts];
            parts += 1;
        }
        let (sizes, after) = rest_sizes.split_at(parts);
        let (items, items_after) = std::mem::take(&mut rest_items).split_at_mut(sum);
        ranges.push(PartRange { first, sizes, items });
        (rest_sizes, rest_items, first) = (after, items_after, first + parts);
    }
    ranges
}

impl PartRange<'_> {
    /// Fills and sorts the parts; records for each row the first equal one. Returns whether there was any.
    fn find_equal(
        self,
        rows: &HashRows,
        bits: u32,
        same_as: &[AtomicU32],
        context: &SearchContext,
    ) -> Result<bool, SearchError> {
        let mut ends: Vec<usize> = context.vec(self.sizes.len())?;
        let mut next = 0;
        for size in self.sizes {
            ends.push(next);
            next += size;
        }
        context.each(0..rows.len(), |row| {
            let key = key(rows.planes(), row);
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
            for items in part.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|items| items.len() > 1) {
                any |= note_equal(rows, items, same_as);
            }
        }
        Ok(any)
    }
}

/// Records the first equal row of each row of items with equal keys, ascending.
fn note_equal(rows: &HashRows, items: &mut [u64], same_as: &[AtomicU32]) -> bool {
    let row_of = |item: &u64| (item & u64::from(u32::MAX)) as usize;
    let equal = |a: usize, b: usize| rows.planes().iter().all(|plane| plane[a] == plane[b]);
    let first = row_of(&items[0]);
    if !items.iter().all(|item| equal(first, row_of(item))) {
        // Two values share a key: sorting puts rows of equal words together, ascending.
        items.sort_unstable_by(|a, b| {
            let words = |item| rows.planes().iter().map(move |plane| plane[row_of(item)]);
            words(a).cmp(words(b)).then(a.cmp(b))
        });
    }
    let mut any = false;
    for equals in items.chunk_by(|a, b| equal(row_of(a), row_of(b))).filter(|equals| equals.len() > 1) {
        any = true;
        for item in &equals[1..] {
            same_as[row_of(item)].store(row_of(&equals[0]) as u32, Ordering::Relaxed);
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Different rows with one key, a collision that no test can expect by chance: each row finds its equals.
    #[test]
    fn rows_that_share_a_key_by_chance() {
        let words = [5u64, 7, 5, 9, 7, 5, 1];
        let context = SearchContext::new(1 << 20);
        let mut rows = HashRows::new(&[64]);
        for word in words {
            assert_eq!(rows.push([&word.to_be_bytes()[..]], &context), Ok(()));
        }
        let same_as: Vec<AtomicU32> = words.iter().map(|_| AtomicU32::new(ITSELF)).collect();
        let mut items: Vec<u64> = (0..words.len() as u64).map(|row| 3 << 32 | row).collect();
        assert!(note_equal(&rows, &mut items, &same_as));
        let same_as: Vec<u32> = same_as.into_iter().map(AtomicU32::into_inner).collect();
        assert_eq!(same_as, [ITSELF, ITSELF, 0, ITSELF, 1, 0, ITSELF]);
        let mut different: Vec<u64> = vec![0, 1, 3, 6];
        assert!(!note_equal(&rows, &mut different, &[const { AtomicU32::new(ITSELF) }; 7]));
    }
}
