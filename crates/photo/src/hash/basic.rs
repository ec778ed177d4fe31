//! aHash and dHash of a picture that has been resized, and medians.

use super::{Hash, pack};

/// Brighter than the mean: imagehash's `average_hash`.
pub(super) fn average(pixels: &[u8]) -> Hash {
    let sum: u64 = pixels.iter().map(|&pixel| u64::from(pixel)).sum();
    let count = pixels.len() as u64;
    pack(pixels.iter().map(|&pixel| u64::from(pixel) * count > sum))
}

/// Brighter than the left neighbour, `size` bits a row: imagehash's `dhash`.
pub(super) fn difference(pixels: &[u8], size: usize) -> Hash {
    pack(pixels.chunks_exact(size + 1).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0])))
}

/// Above the median, defined as in NumPy: for an even number the mean of the two in the middle.
pub(super) fn above_median(values: &[f64]) -> Hash {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] };
    pack(values.iter().map(|&value| value > median))
}
