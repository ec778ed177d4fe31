//! The shipped kernels against brute force: every width, one set and two, one column and more, in every order of blocks
//! and warps, with room for all pairs and for a third of them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::brute::{self, Cut};
use common::sets::{Room, Sets};
use common::{ORDERS, banded, collapse};
use lumina_ptx::{Module, Options, Order};

/// Both rooms.
const ROOMS: [Room; 2] = [Room::All, Room::Third];

/// All checks, and more instructions than any of these launches needs.
fn options(order: Order) -> Options {
    Options { order, limit: 1 << 24, ..Options::default() }
}

/// Words and radii of the columns in front of the driving one.
const OTHERS: [(usize, u32); 7] = [(3, 20), (1, 6), (2, 200), (4, 30), (5, 40), (1, 9), (16, 100)];

/// Sets of this many columns; the last one is the driving one, and the others filter some pairs.
fn sets(words: usize, radius: u32, columns: usize, n: (usize, Option<usize>)) -> Sets {
    let all = [&OTHERS[..columns - 1], &[(words, radius)]].concat();
    let sets = Sets::new(&all, columns - 1, n, n.0 as u64);
    assert_eq!(sets.kept_away > 0, columns > 1, "{n:?}");
    assert!(sets.pairs() > 9, "{n:?}");
    sets
}

/// Kernels for brute force: their names, words and radii.
fn brute_force(text: &str, kernels: &[(&str, usize, u32)]) {
    let module = Module::parse(text).unwrap();
    let whole = |segment| Cut { segment, is_sliced: false };
    let sliced = |segment| Cut { segment, is_sliced: true };
    for (kernel, words, radius) in kernels {
        let mut cases = vec![
            // Rows of more than one block, segments of more than one tile of columns.
            (sets(*words, *radius, 1, (530, None)), whole(512)),
            (sets(*words, *radius, 2, (530, Some(110))), sliced(64)),
            (sets(*words, *radius, 2, (150, None)), sliced(64)),
            (sets(*words, *radius, 1, (270, Some(70))), whole(64)),
            (sets(*words, *radius, 8, (90, Some(90))), whole(64)),
            // All pairs, and none.
            (sets(*words, u32::MAX, 1, (67, None)), whole(64)),
            (Sets::new(&[(*words, *radius)], 0, (1, None), 1), whole(64)),
        ];
        if *words == 4 {
            cases.push((Sets::with_equal_ones(*radius & !1, (200, None), 7), whole(64)));
        }
        for order in ORDERS {
            for (room, (sets, cut)) in ROOMS.iter().flat_map(|room| cases.iter().map(move |case| (room, case))) {
                brute::search(&module, kernel, sets, (*room, *cut), &options(order)).unwrap();
            }
        }
    }
}

#[test]
fn brute_force_by_bits() {
    let kernels = [("brute_b1_64", 1, 5), ("brute_b1_128", 2, 12), ("brute_b1_256", 4, 31), ("brute_ones_256", 4, 31)];
    brute_force(lumina_gpu::BRUTE_B1, &kernels);
}

#[test]
fn brute_force_by_bytes() {
    brute_force(lumina_gpu::BRUTE_S8, &[("brute_s8_64", 1, 5), ("brute_s8_128", 2, 12), ("brute_s8_256", 4, 31)]);
}

#[test]
fn brute_force_by_popc() {
    let kernels = [("brute_popc_64", 1, 14), ("brute_popc_128", 2, 20), ("brute_popc_256", 4, 40)];
    brute_force(lumina_gpu::BRUTE_POPC, &kernels);
}

#[test]
fn brute_force_by_folded_popc() {
    let kernels = [("brute_fold_64", 1, 5), ("brute_fold_128", 2, 12), ("brute_fold_256", 4, 31)];
    brute_force(lumina_gpu::BRUTE_POPC, &kernels);
}

#[test]
fn brute_force_of_any_width() {
    brute_force(lumina_gpu::BRUTE_POPC, &[("brute_popc_any", 1, 5), ("brute_popc_any", 5, 20)]);
    brute_force(lumina_gpu::BRUTE_POPC, &[("brute_popc_any", 16, 60)]);
}

#[test]
fn banded_join() {
    let module = Module::parse(lumina_gpu::BANDED).unwrap();
    // Words and radius, number of bands and the widest one.
    let shapes = [(1, 7, (5, 13)), (2, 7, (5, 13)), (4, 7, (5, 13)), (3, 8, (5, 13)), (16, 6, (5, 13))];
    for (words, radius, cut) in shapes {
        let cases = [
            (sets(words, radius, 1, (300, None)), false),
            (sets(words, radius, 8, (270, None)), true),
            (sets(words, radius, 2, (130, Some(270))), true),
        ];
        for (order, room) in ORDERS.iter().flat_map(|order| ROOMS.map(|room| (*order, room))) {
            for (sets, is_sliced) in &cases {
                let bands = banded::plan(sets, cut);
                assert!(words == 1 || bands.iter().any(|band| band.start + band.width > 64), "no band in two words");
                banded::join(&module, sets, &bands, (room, *is_sliced), &options(order)).unwrap();
            }
        }
    }
}

#[test]
fn scan_of_sums() {
    let module = Module::parse(lumina_gpu::BANDED).unwrap();
    for (order, width) in ORDERS.iter().flat_map(|order| [1, 12, 13, 22, 23, 24].map(|width| (*order, width))) {
        banded::scan(&module, width, &options(order)).unwrap();
    }
}

#[test]
fn equal_rows() {
    let module = Module::parse(lumina_gpu::COLLAPSE).unwrap();
    for order in ORDERS {
        for different in [1, 2, 60, 600, u64::MAX] {
            for (columns, n, slice) in
                [(&[1][..], 600, 600), (&[4, 1], 512, 256), (&[2, 3, 16, 1, 1, 1, 1, 5], 300, 300), (&[1], 1, 256)]
            {
                collapse::collapse(&module, columns, (n, different, slice), different, &options(order)).unwrap();
            }
        }
        // Small tables, whose rows wrap around at the end.
        for seed in 0..40 {
            collapse::collapse(&module, &[2, 3], (16, 20, 16), seed, &options(order)).unwrap();
        }
    }
}
