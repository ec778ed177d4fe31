//! Each implementation against sums pixel by pixel.

use super::*;
use crate::strip::{no_tiles, tiles};
use proptest::prelude::*;

/// As large as a resizer's weights, and a little larger.
fn weights(lengths: Range<usize>) -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(prop_oneof![-8_000_000..8_000_000, -300..300, Just(0)], lengths)
}

proptest! {
    #[test]
    fn sums_across(
        spans in prop::collection::vec((0..40usize, weights(0..30)), 1..20),
        samples in prop::collection::vec(any::<u8>(), 70 * ROWS),
        count in 1..=ROWS,
        bits in 16..23u32,
    ) {
        // The sums of a resizer fit into 32 bits.
        let spans: Vec<(usize, Vec<i32>)> = spans
            .into_iter()
            .map(|(first, weights)| (first, weights.into_iter().map(|w| w / 8).collect()))
            .collect();
        let rows = &samples[..70 * count];
        let mut made = no_tiles(70);
        tiles(rows, 70, &mut made);
        let start = 1 << (bits - 1);
        for weigher in Weigher::all() {
            let across = Across::new(weigher, spans.iter().map(|(first, weights)| (*first, &weights[..])));
            let mut sums = vec![0; count * spans.len()];
            across.sums(start, bits, &made, &mut sums);
            for (index, sum) in sums.into_iter().enumerate() {
                let (row, (first, weights)) = (&rows[index / spans.len() * 70..], &spans[index % spans.len()]);
                let exact: i32 = weights.iter().zip(&row[*first..]).map(|(w, &s)| w * i32::from(s)).sum();
                prop_assert_eq!(
                    i32::from(sum), ((exact + start) >> bits).clamp(0, 255), "{:?}, sum {}", weigher, index
                );
            }
        }
    }

    #[test]
    fn sums_down(
        width in 1..200usize,
        weights in weights(0..12),
        samples in prop::collection::vec(any::<u8>(), 200 * 12),
        start in -1_000_000..1_000_000,
    ) {
        let weights: Vec<i32> = weights.into_iter().map(|weight| weight / 12).collect();
        let samples = &samples[..width * weights.len()];
        for weigher in Weigher::all() {
            let mut sums = vec![start; width];
            weigher.down(samples, &weights, &mut sums);
            for (x, sum) in sums.into_iter().enumerate() {
                let rows = samples.chunks(width).zip(&weights);
                let exact: i32 = rows.map(|(row, weight)| weight * i32::from(row[x])).sum();
                prop_assert_eq!(sum, start + exact, "{:?}, column {}", weigher, x);
            }
        }
    }
}
