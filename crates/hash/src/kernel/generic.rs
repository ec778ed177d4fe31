//! The one-to-many kernel, once for all instruction sets.
//!
//! Rows of 1, 2, 4 or 8 words are taken `LANES` at a time: the words of `LANES` rows fill as many vectors as a row has
//! words, each is compared with the query's words and its bits counted lane by lane, and sums of neighbouring lanes
//! fold the counts until lane i holds the distance of row i. Other widths go row by row.

use super::Hit;

/// The operations of an instruction set. A vector has [`Lanes::LANES`] lanes of 64 bits.
///
/// Every function is `#[inline(always)]` so that it is compiled inside the `#[target_feature]` entry that calls
/// [`within`]; none may be called where the CPU lacks the instructions.
pub(super) trait Lanes {
    /// Lanes in a vector: 2, 4 or 8.
    const LANES: usize;
    /// `LANES` counts, or words.
    type Counts: Copy;

    /// The popcount of `a[i] ^ b[i]`, in lane i.
    ///
    /// # Safety
    /// The CPU has the instructions; `a` and `b` are readable for [`Lanes::LANES`] words.
    unsafe fn differing(a: *const u64, b: *const u64) -> Self::Counts;

    /// `word` in every lane, for [`Lanes::differing_from`].
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn splat(word: u64) -> Self::Counts;

    /// The popcount of `word[i] ^ b[i]`, spread over the parts of lane i in any way that [`Lanes::sum`] can add up.
    ///
    /// # Safety
    /// The CPU has the instructions; `b` is readable for [`Lanes::LANES`] words.
    unsafe fn parts(word: Self::Counts, b: *const u64) -> Self::Counts;

    /// Adds parts; a sum may cover at most 31 words.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn add_parts(a: Self::Counts, b: Self::Counts) -> Self::Counts;

    /// The counts whose parts were added, lane by lane.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn sum(parts: Self::Counts) -> Self::Counts;

    /// The popcount of `word[i] ^ b[i]`, in lane i.
    ///
    /// # Safety
    /// The CPU has the instructions; `b` is readable for [`Lanes::LANES`] words.
    #[inline(always)]
    unsafe fn differing_from(word: Self::Counts, b: *const u64) -> Self::Counts {
        // SAFETY: as promised by the caller.
        unsafe { Self::sum(Self::parts(word, b)) }
    }

    /// Lane by lane `a[i] + b[i]`.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn add(a: Self::Counts, b: Self::Counts) -> Self::Counts;

    /// Lane by lane the smaller one; counts fit 32 bits.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn min(a: Self::Counts, b: Self::Counts) -> Self::Counts;

    /// The sums of neighbouring lanes: those of `low` in the lower half, those of `high` in the upper half.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn sum_neighbours(low: Self::Counts, high: Self::Counts) -> Self::Counts;

    /// Bit i: lane i is at most `limit`.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn at_most(counts: Self::Counts, limit: u32) -> u32;

    /// The lanes, in order, in the first [`Lanes::LANES`] places.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn lanes(counts: Self::Counts) -> [u64; 8];

    /// The distance of two rows of any length, equal in both.
    ///
    /// # Safety
    /// The CPU has the instructions.
    #[inline(always)]
    unsafe fn row_distance(a: &[u64], b: &[u64]) -> u32 {
        let (whole, _) = a.as_chunks::<8>();
        let mut sum = 0u64;
        let mut at = 0;
        for _ in 0..whole.len() * 8 / Self::LANES {
            // SAFETY: `at + LANES` words exist in both rows, which are equally long.
            let counts = unsafe { Self::lanes(Self::differing(a.as_ptr().add(at), b.as_ptr().add(at))) };
            sum += counts[..Self::LANES].iter().sum::<u64>();
            at += Self::LANES;
        }
        sum as u32 + a[at..].iter().zip(&b[at..]).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>()
    }
}

/// Appends the hits among `hashes`; see [`super::Kernels::within`].
///
/// # Safety
/// The CPU has the instructions of `L`; `hashes` is a whole number of rows of `query.len()` > 0 words.
#[inline(always)]
pub(super) unsafe fn within<L: Lanes>(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    // SAFETY: as promised by the caller; each arm passes the true number of words.
    unsafe {
        match query.len() {
            1 => blocks::<L, 1>(query, hashes, radius, hits),
            2 => blocks::<L, 2>(query, hashes, radius, hits),
            4 => blocks::<L, 4>(query, hashes, radius, hits),
            8 => blocks::<L, 8>(query, hashes, radius, hits),
            _ => rows::<L>(query, hashes, 0, radius, hits),
        }
    }
}

/// Rows of `W` words, `LANES` rows at a time, and the rest one by one.
///
/// # Safety
/// As [`within`], with `query.len() == W`, a power of two up to 8.
#[inline(always)]
unsafe fn blocks<L: Lanes, const W: usize>(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    // The query's words, repeated, to be compared with any vector of a block.
    let pattern: [u64; 64] = std::array::from_fn(|i| query[i % W]);
    let block = L::LANES * W;
    let whole = hashes.len() / block;
    for number in 0..whole {
        // SAFETY: the caller has the instructions; block `number` < whole ends at or before `whole * block` ≤
        // `hashes.len()`, and `pattern` is as long as a block at least: `LANES * W` ≤ 64.
        let distances = unsafe {
            let (pattern, words) = (pattern.as_ptr(), hashes.as_ptr().add(number * block));
            match W {
                1 => L::differing(pattern, words),
                2 => two::<L>(pattern, words),
                4 => four::<L>(pattern, words),
                _ => L::sum_neighbours(
                    four::<L>(pattern, words),
                    four::<L>(pattern.add(4 * L::LANES), words.add(4 * L::LANES)),
                ),
            }
        };
        // SAFETY: the caller has the instructions.
        let mut mask = unsafe { L::at_most(distances, radius) };
        if mask != 0 {
            // SAFETY: the caller has the instructions.
            let lanes = unsafe { L::lanes(distances) };
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                hits.push(Hit { row: number * L::LANES + lane, distance: lanes[lane] as u32 });
                mask &= mask - 1;
            }
        }
    }
    // SAFETY: as promised by the caller.
    unsafe { rows::<L>(query, hashes, whole * L::LANES, radius, hits) };
}

/// The distances of `LANES` rows of two words. No closures, here and below: the compiler may leave one as a separate
/// function, which lacks the caller's instructions, and so turns each intrinsic into a call.
///
/// # Safety
/// The CPU has the instructions of `L`; both are two vectors long.
#[inline(always)]
unsafe fn two<L: Lanes>(a: *const u64, b: *const u64) -> L::Counts {
    // SAFETY: as promised by the caller.
    unsafe { L::sum_neighbours(L::differing(a, b), L::differing(a.add(L::LANES), b.add(L::LANES))) }
}

/// The distances of `LANES` rows of four words.
///
/// # Safety
/// The CPU has the instructions of `L`; both are four vectors long.
#[inline(always)]
unsafe fn four<L: Lanes>(a: *const u64, b: *const u64) -> L::Counts {
    // SAFETY: as promised by the caller.
    unsafe { L::sum_neighbours(two::<L>(a, b), two::<L>(a.add(2 * L::LANES), b.add(2 * L::LANES))) }
}

/// Row by row, from row `first`.
///
/// # Safety
/// As [`within`].
#[inline(always)]
unsafe fn rows<L: Lanes>(query: &[u64], hashes: &[u64], first: usize, radius: u32, hits: &mut Vec<Hit>) {
    for (row, hash) in hashes.chunks_exact(query.len()).enumerate().skip(first) {
        // SAFETY: the caller has the instructions.
        let distance = unsafe { L::row_distance(query, hash) };
        if distance <= radius {
            hits.push(Hit { row, distance });
        }
    }
}

/// The distance of two hashes of equal length given as bytes.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn distance<L: Lanes>(a: &[u8], b: &[u8]) -> u32 {
    let vector = L::LANES * 8;
    let mut sum = 0u64;
    let mut at = 0;
    while at + vector <= a.len() {
        // SAFETY: `vector` bytes from `at` exist in both, which are equally long; the loads need no alignment.
        let counts = unsafe { L::lanes(L::differing(a.as_ptr().add(at).cast(), b.as_ptr().add(at).cast())) };
        sum += counts[..L::LANES].iter().sum::<u64>();
        at += vector;
    }
    sum as u32 + tail(&a[at..], &b[at..])
}

/// The distance word by word, and byte by byte at the end.
#[inline(always)]
pub(super) fn tail(a: &[u8], b: &[u8]) -> u32 {
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words =
        a_words.iter().zip(b_words).map(|(a, b)| (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)).count_ones());
    let bytes = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones());
    words.sum::<u32>() + bytes.sum::<u32>()
}
