//! Every instruction set equals a naive twin, at every width; those that this CPU lacks are said to be skipped.

use super::*;
use crate::words::{pack, words_for};
use proptest::prelude::*;

fn naive_distance(a: &[u8], b: &[u8]) -> u32 {
    (0..a.len() * 8).filter(|i| (a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1 == 1).count() as u32
}

fn naive_within(query: &[u64], hashes: &[u64], radius: u32) -> Vec<Hit> {
    let distance = |row: &[u64]| -> u32 {
        row.iter().zip(query).map(|(a, b)| format!("{:b}", a ^ b).matches('1').count() as u32).sum()
    };
    let rows = hashes.chunks(query.len()).map(distance).enumerate();
    rows.filter(|(_, distance)| *distance <= radius).map(|(row, distance)| Hit { row, distance }).collect()
}

/// Those of this CPU, and a line for each one that it lacks.
fn all_kernels() -> Vec<Kernels> {
    let (have, lack): (Vec<InstructionSet>, Vec<_>) =
        InstructionSet::ALL.iter().partition(|set| set.kernels().is_some());
    for set in lack {
        eprintln!("skipped: this CPU has no {set:?}");
    }
    have.iter().filter_map(|set| set.kernels()).collect()
}

#[test]
fn the_best_is_the_first_that_the_cpu_has() {
    let kernels = all_kernels();
    assert_eq!(Kernels::best().instruction_set(), kernels[0].instruction_set());
    assert_eq!(kernels.last().map(Kernels::instruction_set), Some(InstructionSet::Portable));
}

#[test]
fn distances_at_every_width_and_alignment() {
    let bytes: Vec<u8> = (0..1200u32).map(|i| (i.wrapping_mul(2654435761) >> 13) as u8).collect();
    for kernels in all_kernels() {
        for width in 1..=512 {
            let (a, b) = (&bytes[width % 7..][..width], &bytes[600 + width % 5..][..width]);
            assert_eq!(kernels.distance(a, b), naive_distance(a, b), "{:?} {width}", kernels.set);
            assert_eq!(kernels.distance(a, a), 0);
        }
        assert_eq!(kernels.distance(&[0; 512], &[255; 512]), 4096);
    }
    assert_eq!(distance(&bytes[..8], &bytes[8..16]), naive_distance(&bytes[..8], &bytes[8..16]));
}

#[test]
fn every_radius_of_every_width_in_one_block_and_a_tail() {
    for kernels in all_kernels() {
        for words in 1..=17 {
            // Row i differs from the query in exactly i bits, spread over its words.
            let bits = words * 64;
            let rows: Vec<u64> = (0..=bits)
                .flat_map(|ones| {
                    (0..words).map(move |w| (0..64).filter(|b| w + words * b < ones).fold(0, |m, b| m | 1u64 << b))
                })
                .collect();
            let query = vec![0; words];
            for radius in 0..=bits as u32 {
                let mut hits = Vec::new();
                kernels.within(&query, &rows, radius, &mut hits);
                let expected: Vec<Hit> = (0..=radius).map(|d| Hit { row: d as usize, distance: d }).collect();
                assert_eq!(hits, expected, "{:?} {words} words, radius {radius}", kernels.set);
            }
        }
    }
}

#[test]
#[should_panic(expected = "two widths")]
fn two_widths_have_no_distance() {
    Kernels::best().distance(&[0; 8], &[0; 9]);
}

#[test]
#[should_panic(expected = "another width")]
fn rows_must_be_whole() {
    Kernels::best().within(&[0, 0], &[0, 0, 0], 1, &mut Vec::new());
}

proptest! {
    #[test]
    fn one_to_many_equals_the_naive_twin(
        bytes in 1usize..=80,
        near in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..70),
        query in prop::collection::vec(any::<u8>(), 80),
        share in 0.0..=1.0f64,
    ) {
        let words = words_for(bytes * 8);
        let mut row = vec![0; words];
        pack(&query[..bytes], &mut row);
        // Rows near the query: sparse differences, so that every radius separates them somewhere.
        let hashes: Vec<u64> = near.iter()
            .flat_map(|&(a, b, c)| row.iter().enumerate().map(move |(w, q)| q ^ (a & b & c).rotate_left(w as u32 * 11)))
            .collect();
        let radius = (share * (bytes * 8) as f64) as u32;
        let naive = naive_within(&row, &hashes, radius);
        for kernels in all_kernels() {
            let mut hits = vec![Hit { row: 7, distance: 7 }];
            kernels.within(&row, &hashes, radius, &mut hits);
            prop_assert_eq!(hits.remove(0), Hit { row: 7, distance: 7 });
            prop_assert_eq!(&hits, &naive, "{:?}", kernels.set);
        }
    }
}
