//! Whole kernels against brute force: every width, every kind, in every order of blocks and warps.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{ORDERS, banded, banded_ptx, matrix, popc, popc_ptx};
use lumina_ptx::{Module, Options, Order};

fn options(order: Order) -> Options {
    Options { order, limit: 1 << 24, ..Options::default() }
}

#[test]
fn popc_brute_force() {
    let Some(text) = popc_ptx() else { return };
    let module = Module::parse(&text).unwrap();
    for order in ORDERS {
        for (words, radius, sizes) in [(1, 5, &[1, 33, 300, 530][..]), (4, 31, &[300]), (2, 9, &[257])] {
            for n in sizes {
                popc::brute_force(&module, words, *n, radius, &options(order)).unwrap();
            }
        }
    }
}

#[test]
fn popc_tiles_and_segments() {
    let Some(text) = popc_ptx() else { return };
    let module = Module::parse(&text).unwrap();
    for order in ORDERS {
        for (words, n, radius) in [(1, 530, 5), (2, 257, 9), (4, 300, 31)] {
            popc::bands(&module, words, n, radius, &options(order)).unwrap();
        }
    }
}

#[test]
fn matrix_brute_force() {
    let Some(text) = banded_ptx() else { return };
    let module = Module::parse(&text).unwrap();
    let cases = [
        ("s8", 1, 300, 5),
        ("s8", 2, 200, 12),
        ("s8", 4, 170, 31),
        ("b1", 1, 300, 5),
        ("b1", 1, 131, 64),
        ("b1", 2, 200, 12),
        ("b1", 4, 170, 90),
        ("ones", 4, 300, 31),
        ("ones", 4, 129, 0),
        ("ones", 4, 129, 256),
    ];
    for order in ORDERS {
        for (kernel, words, n, radius) in cases {
            matrix::brute_force(&module, kernel, words, (n, radius), &options(order)).unwrap();
        }
    }
}

#[test]
fn banded_join() {
    let Some(text) = banded_ptx() else { return };
    let module = Module::parse(&text).unwrap();
    for order in ORDERS {
        for (words, size, bands) in
            [(1, (600, 5), (4, 13)), (1, (257, 10), (5, 11)), (2, (400, 12), (6, 12)), (4, (300, 31), (18, 12))]
        {
            banded::join(&module, words, size, bands, &options(order)).unwrap();
        }
    }
}
