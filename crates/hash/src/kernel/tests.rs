//! Every instruction set equals a naive twin, at every width; prints which sets this CPU lacks.

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

/// The kernels of this CPU, and a line for each set that it lacks.
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
        // Rows near the query: sparse differences, so that every radius separates some.
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

/// A naive twin of [`Kernels::join`]: bit by bit, row by row.
fn naive_join(join: &BlockJoin<'_>) -> Vec<RowPair> {
    let near = |left: usize, right: usize| {
        join.columns.iter().all(|column| {
            let planes = column.first..column.first + column.planes;
            let differing = planes.map(|p| join.left.word(p, left) ^ join.right.word(p, right));
            differing.map(|bits| format!("{bits:b}").matches('1').count() as u32).sum::<u32>() <= column.radius
        })
    };
    let all = join.left_rows.clone().flat_map(|left| join.right_rows.clone().map(move |right| (left, right)));
    let wanted = all.filter(|&(left, right)| (!join.ascending || left < right) && near(left, right));
    wanted.map(|(left, right)| RowPair { left: left as u32, right: right as u32 }).collect()
}

/// Sparse rows, so that every radius finds some pairs and misses others, and every early exit is taken at times.
fn planes(planes: usize, rows: usize, thin: u32, random: &mut impl FnMut() -> u64) -> (Vec<u64>, usize) {
    let stride = rows + PADDING;
    ((0..planes * stride).map(|_| (0..thin).fold(u64::MAX, |word, _| word & random())).collect(), stride)
}

proptest! {
    #[test]
    fn joins_equal_the_naive_twin(
        seed in 1u64..,
        shape in prop::collection::vec((1usize..=6, 0u32..200), 1..=3),
        rows in (0usize..90, 0usize..90, 0usize..5, 0usize..5),
        thin in 0u32..4,
        (same, ascending, room) in (any::<bool>(), any::<bool>(), 0usize..100),
    ) {
        let mut state = seed;
        let mut random = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
        let mut depth = 0;
        let mut columns = Vec::new();
        for &(planes, radius) in &shape {
            columns.push(JoinColumn { first: depth, planes, radius });
            depth += planes;
        }
        columns.reverse();
        let (left_words, left_stride) = planes(depth, rows.0 + rows.2, thin, &mut random);
        let (right_words, right_stride) = planes(depth, rows.1 + rows.3, thin, &mut random);
        let left = Planes { words: &left_words, stride: left_stride };
        let right = Planes { words: &right_words, stride: right_stride };
        let left_rows = rows.2..rows.0 + rows.2;
        let right_rows = if same { left_rows.clone() } else { rows.3..rows.1 + rows.3 };
        let right = if same { left } else { right };
        let join = BlockJoin { left, left_rows, right, right_rows, columns: &columns, ascending: same && ascending };
        let naive = naive_join(&join);
        for kernels in all_kernels() {
            // With little room, in many parts.
            let mut found = Vec::new();
            let mut part = BlockJoin { ..join.clone() };
            let mut pairs = Vec::with_capacity(join.right_rows.len() + room);
            while !part.left_rows.is_empty() {
                let (before, capacity) = (part.left_rows.start, pairs.capacity());
                part.left_rows.start = kernels.join(&part, &mut pairs);
                prop_assert!(part.left_rows.start > before && pairs.capacity() == capacity);
                found.append(&mut pairs);
            }
            found.sort_unstable();
            prop_assert_eq!(&found, &naive, "{:?}", kernels.set);
        }
    }
}

/// All bits in which two rows differ may be in one word, the first or the last: no early exit may drop such a pair.
#[test]
fn a_pair_that_differs_in_one_word_alone() {
    for kernels in all_kernels() {
        for planes in 1..=9 {
            for (plane, ones) in
                [(0, 0), (0, 1), (0, 31), (0, 48), (planes / 2, 40), (planes - 1, 49), (planes - 1, 64)]
            {
                // One near row, among others that differ in every bit.
                let stride = 21 + PADDING;
                let mut words = vec![u64::MAX; planes * stride];
                for p in 0..planes {
                    words[p * stride] = 0;
                    words[p * stride + 13] = 0;
                }
                words[plane * stride + 13] = if ones == 0 { 0 } else { u64::MAX >> (64 - ones) };
                let hashes = Planes { words: &words, stride };
                for radius in [ones.max(1) - 1, ones, ones + 1] {
                    let columns = [JoinColumn { first: 0, planes, radius }];
                    let (left_rows, right_rows) = (0..1, 1..21);
                    let join = BlockJoin {
                        left: hashes,
                        left_rows,
                        right: hashes,
                        right_rows,
                        columns: &columns,
                        ascending: false,
                    };
                    let mut pairs = Vec::with_capacity(64);
                    kernels.join(&join, &mut pairs);
                    assert_eq!(pairs, naive_join(&join), "{:?} {planes} {plane} {ones} {radius}", kernels.set);
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "rows outside of their planes")]
fn a_join_never_reads_what_is_not_there() {
    let words = [0; 10 + PADDING - 1];
    let planes = Planes { words: &words, stride: words.len() };
    let columns = [JoinColumn { first: 0, planes: 1, radius: 0 }];
    let (left_rows, right_rows) = (0..1, 0..10);
    let join = BlockJoin { left: planes, left_rows, right: planes, right_rows, columns: &columns, ascending: false };
    Kernels::best().join(&join, &mut Vec::with_capacity(100));
}
