//! The many-to-many kernel: every pair of a row of one block and a row of another that agree in all columns.
//!
//! Hashes are stored in *planes*: plane p holds word p of every row, so that a vector of one plane compares the same
//! word of `LANES` rows, whatever the width, and several hash columns are simply more planes. Each row of the left
//! block is spread over a vector and compared with the right block from end to end. Vectors run past the block's end
//! into rows that exist but were not asked for; those lanes are masked out.

use super::generic::Lanes;
use std::ops::Range;

/// Rows that must exist after the last one of a block: the longest step of any instruction set.
pub const PADDING: usize = 32;

/// Hashes in planes: word `p` of row `i` is `words[p * stride + i]`.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    /// All planes, one after the other.
    pub words: &'a [u64],
    /// The length of a plane: its rows and at least [`PADDING`] words whose values do not matter.
    pub stride: usize,
}

impl<'a> Planes<'a> {
    /// Word `plane` of row `row`.
    #[inline]
    pub fn word(&self, plane: usize, row: usize) -> u64 {
        self.words[plane * self.stride + row]
    }

    fn hold(&self, planes: usize, rows: &Range<usize>) -> bool {
        planes.checked_mul(self.stride).is_some_and(|words| words <= self.words.len())
            && rows.end.checked_add(PADDING).is_some_and(|end| end <= self.stride)
    }
}

/// A hash column: the planes it takes, and the distance, in bits, that a pair may have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinColumn {
    /// Its first plane.
    pub first: usize,
    /// Words of a hash, at least one.
    pub planes: usize,
    /// The largest distance.
    pub radius: u32,
}

/// A row of the left block and one of the right block, counted as the planes count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPair {
    /// The left row.
    pub left: u32,
    /// The right row.
    pub right: u32,
}

/// Two blocks of rows and what makes a pair of them.
#[derive(Debug, Clone)]
pub struct BlockJoin<'a> {
    /// The hashes that `left_rows` are of.
    pub left: Planes<'a>,
    /// The left block.
    pub left_rows: Range<usize>,
    /// The hashes that `right_rows` are of, with the same columns.
    pub right: Planes<'a>,
    /// The right block.
    pub right_rows: Range<usize>,
    /// The columns in the order of comparison: the most selective first.
    pub columns: &'a [JoinColumn],
    /// The blocks are of the same hashes, and each pair is wanted once: with the smaller row on the left.
    pub ascending: bool,
}

impl BlockJoin<'_> {
    /// Whether every word that a kernel reads exists.
    pub(super) fn is_sound(&self) -> bool {
        let planes = self.columns.iter().map(|column| column.first.saturating_add(column.planes)).max().unwrap_or(0);
        self.left.hold(planes, &self.left_rows)
            && self.right.hold(planes, &self.right_rows)
            && self.columns.iter().all(|column| column.planes > 0)
            && self.left_rows.end.max(self.right_rows.end) <= u32::MAX as usize
    }

    /// The rows of the right block that `row` is compared with.
    #[inline(always)]
    fn right_of(&self, row: usize) -> Range<usize> {
        let start = if self.ascending { self.right_rows.start.max(row + 1) } else { self.right_rows.start };
        start..self.right_rows.end
    }
}

/// Appends pairs; returns the first row of the left block that was not compared, for want of room in `pairs`.
///
/// No closure between this and the intrinsics: one that the compiler does not inline is compiled without the
/// instructions, and then every intrinsic is a call.
///
/// # Safety
/// The CPU has the instructions of `L`; `join.is_sound()`.
#[inline(always)]
pub(super) unsafe fn join<L: Lanes>(join: &BlockJoin<'_>, pairs: &mut Vec<RowPair>) -> usize {
    for row in join.left_rows.start..join.left_rows.end {
        let right = join.right_of(row);
        if pairs.capacity() - pairs.len() < right.len() {
            return row;
        }
        // SAFETY: as promised by the caller; the arms with one column pass its true number of planes.
        unsafe {
            match join.columns {
                [JoinColumn { first, planes: 1, radius }] => one_plane::<L>(join, *first, *radius, row, right, pairs),
                [JoinColumn { first, planes: 4, radius }] => four_planes::<L>(join, *first, *radius, row, right, pairs),
                columns => any_columns::<L>(join, columns, row, right, pairs),
            }
        }
    }
    join.left_rows.end
}

/// Appends the pairs of `row` whose bit is set in `mask`, bit 0 being right row `start`.
#[inline(always)]
fn append(row: usize, start: usize, mut mask: u64, pairs: &mut Vec<RowPair>) {
    while mask != 0 {
        let right = start + mask.trailing_zeros() as usize;
        pairs.push(RowPair { left: row as u32, right: right as u32 });
        mask &= mask - 1;
    }
}

/// The lanes of `lanes` from row `at` that are before row `end`.
#[inline(always)]
fn before(end: usize, at: usize, lanes: usize) -> u64 {
    if end - at >= lanes { !0 } else { (1 << (end - at)) - 1 }
}

/// One column of one word: four vectors a step, and one test for all of them, because hits are rare.
///
/// # Safety
/// As [`join`]; the only column has one plane; `row` and `right` are in the blocks.
#[inline(always)]
unsafe fn one_plane<L: Lanes>(
    join: &BlockJoin<'_>,
    first: usize,
    radius: u32,
    row: usize,
    right: Range<usize>,
    pairs: &mut Vec<RowPair>,
) {
    let mut words = join.right.words.as_ptr().wrapping_add(first * join.right.stride + right.start);
    let mut at = right.start;
    // SAFETY: vectors begin before `right.end` and reach at most 4 * LANES ≤ PADDING words further: all in the plane.
    unsafe {
        let left = L::splat(join.left.word(first, row));
        while at + L::LANES < right.end {
            let a = L::differing_from(left, words);
            let b = L::differing_from(left, words.wrapping_add(L::LANES));
            let c = L::differing_from(left, words.wrapping_add(2 * L::LANES));
            let d = L::differing_from(left, words.wrapping_add(3 * L::LANES));
            let least = L::min(L::min(a, b), L::min(c, d));
            if L::at_most(least, radius) != 0 {
                let mask = u64::from(L::at_most(a, radius))
                    | u64::from(L::at_most(b, radius)) << L::LANES
                    | u64::from(L::at_most(c, radius)) << (2 * L::LANES)
                    | u64::from(L::at_most(d, radius)) << (3 * L::LANES);
                append(row, at, mask & before(right.end, at, 4 * L::LANES), pairs);
            }
            at += 4 * L::LANES;
            words = words.wrapping_add(4 * L::LANES);
        }
        if at < right.end {
            let mask = u64::from(L::at_most(L::differing_from(left, words), radius));
            append(row, at, mask & before(right.end, at, L::LANES), pairs);
        }
    }
}

/// One column of four words; stops half-way if the first half is already too far in every lane.
///
/// # Safety
/// As [`join`]; the only column has four planes; `row` and `right` are in the blocks.
#[inline(always)]
unsafe fn four_planes<L: Lanes>(
    join: &BlockJoin<'_>,
    first: usize,
    radius: u32,
    row: usize,
    right: Range<usize>,
    pairs: &mut Vec<RowPair>,
) {
    let stride = join.right.stride;
    let early = gives_up_early(2, radius);
    let mut at = right.start;
    // SAFETY: vectors begin before `right.end` and reach LANES ≤ PADDING words further: all in their plane.
    unsafe {
        let a = L::splat(join.left.word(first, row));
        let b = L::splat(join.left.word(first + 1, row));
        let c = L::splat(join.left.word(first + 2, row));
        let d = L::splat(join.left.word(first + 3, row));
        while at < right.end {
            let words = join.right.words.as_ptr().wrapping_add(first * stride + at);
            let half = L::add_parts(L::parts(a, words), L::parts(b, words.wrapping_add(stride)));
            if !early || L::at_most(L::sum(half), radius) != 0 {
                let c = L::parts(c, words.wrapping_add(2 * stride));
                let d = L::parts(d, words.wrapping_add(3 * stride));
                let counts = L::sum(L::add_parts(half, L::add_parts(c, d)));
                append(row, at, u64::from(L::at_most(counts, radius)) & before(right.end, at, L::LANES), pairs);
            }
            at += L::LANES;
        }
    }
}

/// Whether random hashes are most probably too far apart after `words` words: their distance is 32 bits per word, with
/// a standard deviation of √(16 words); two and a half of those leave one vector in twenty.
#[inline(always)]
fn gives_up_early(words: usize, radius: u32) -> bool {
    let (mean, spread) = (32.0 * words as f64, 4.0 * (words as f64).sqrt());
    f64::from(radius) < mean - 2.5 * spread
}

/// Any columns of any widths: a column is compared if the columns before it left a lane.
///
/// # Safety
/// As [`join`]; `row` and `right` are in the blocks.
#[inline(always)]
unsafe fn any_columns<L: Lanes>(
    join: &BlockJoin<'_>,
    columns: &[JoinColumn],
    row: usize,
    right: Range<usize>,
    pairs: &mut Vec<RowPair>,
) {
    let mut at = right.start;
    while at < right.end {
        let mut mask = before(right.end, at, L::LANES);
        for column in columns {
            // SAFETY: the vectors begin before `right.end` and reach LANES ≤ PADDING words further: all in their plane.
            unsafe {
                let mut sum = some_words::<L>(join, column.first, column.planes.min(4), row, at);
                for p in (4..column.planes).step_by(4) {
                    // Checked every fourth word: once all lanes are too far, the rest cannot bring them back.
                    if u64::from(L::at_most(sum, column.radius)) & mask == 0 {
                        break;
                    }
                    sum = L::add(sum, some_words::<L>(join, column.first + p, (column.planes - p).min(4), row, at));
                }
                mask &= u64::from(L::at_most(sum, column.radius));
            }
            if mask == 0 {
                break;
            }
        }
        append(row, at, mask, pairs);
        at += L::LANES;
    }
}

/// The popcounts of `count` words, one to four, of `row` against the same words of the rows from `at`.
///
/// # Safety
/// The CPU has the instructions of `L`; the rows are in their blocks.
#[inline(always)]
unsafe fn some_words<L: Lanes>(join: &BlockJoin<'_>, first: usize, count: usize, row: usize, at: usize) -> L::Counts {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut words = join.right.words.as_ptr().wrapping_add(first * join.right.stride + at);
        let mut sum = L::parts(L::splat(join.left.word(first, row)), words);
        for p in 1..count {
            words = words.wrapping_add(join.right.stride);
            sum = L::add_parts(sum, L::parts(L::splat(join.left.word(first + p, row)), words));
        }
        L::sum(sum)
    }
}
