//! `mma.sync`: which element of which matrix each lane holds, and the product.
//!
//! Source: "PTX ISA", chapter "Warp Level Matrix Multiply-Accumulate Instructions", sections "Matrix Fragments for
//! mma.m16n8k32", "mma.m16n8k128" and "mma.m16n8k256". There a lane's `groupID` is lane / 4 and its
//! `threadID_in_group` is lane % 4. Called by [`crate::warp`].

use crate::alu::{LANES, Narrow};
use crate::program::Matrix;

/// Rows of A and of the result.
const ROWS: usize = 16;
/// Columns of B and of the result.
const COLUMNS: usize = 8;

/// Words of 32 bits that a row of A, or a column of B, has; each lane holds whole words of it.
fn words(matrix: Matrix) -> usize {
    match matrix {
        Matrix::Bytes32 | Matrix::Bits256 => 8,
        Matrix::Bits128 => 4,
    }
}

/// Row and word of A that register `register` of `lane` holds.
///
/// Of every four words next to each other, lane t of a group holds word t. Registers alternate between row `groupID`
/// and row `groupID + 8`; where a row has eight words, registers 2 and 3 hold its second half.
pub(crate) fn place_in_a(register: usize, lane: usize) -> (usize, usize) {
    (lane / 4 + register % 2 * 8, lane % 4 + register / 2 * 4)
}

/// Column and word of B that register `register` of `lane` holds.
pub(crate) fn place_in_b(register: usize, lane: usize) -> (usize, usize) {
    (lane / 4, lane % 4 + register * 4)
}

/// Row and column of the result (and of C) that register `register` of `lane` holds.
pub(crate) fn place_in_c(register: usize, lane: usize) -> (usize, usize) {
    (lane / 4 + register / 2 * 8, lane % 4 * 2 + register % 2)
}

/// d = a * b + c, in fragments. `a` and `b` hold as many registers as the shape has.
pub(crate) fn multiply(matrix: Matrix, a: &[&Narrow], b: &[&Narrow], c: [&Narrow; 4]) -> [Narrow; 4] {
    let words = words(matrix);
    let mut rows = [[0u32; 8]; ROWS];
    // Words first, so that the eight columns are neighbours.
    let mut columns = [[0u32; COLUMNS]; 8];
    for (register, values) in a.iter().enumerate() {
        for (lane, value) in values.iter().enumerate() {
            let (row, word) = place_in_a(register, lane);
            rows[row][word] = *value;
        }
    }
    for (register, values) in b.iter().enumerate() {
        for (lane, value) in values.iter().enumerate() {
            let (column, word) = place_in_b(register, lane);
            columns[word][column] = *value;
        }
    }
    let mut products = [[0u32; COLUMNS]; ROWS];
    for (row, products) in rows.iter().zip(&mut products) {
        for (x, column) in row.iter().zip(&columns).take(words) {
            for (product, y) in products.iter_mut().zip(column) {
                let part = match matrix {
                    Matrix::Bytes32 => bytes(*x, *y),
                    Matrix::Bits128 | Matrix::Bits256 => (x & y).count_ones(),
                };
                *product = product.wrapping_add(part);
            }
        }
    }
    let mut d = [[0; LANES]; 4];
    for (register, values) in d.iter_mut().enumerate() {
        for (lane, value) in values.iter_mut().enumerate() {
            let (row, column) = place_in_c(register, lane);
            *value = products[row][column].wrapping_add(c[register][lane]);
        }
    }
    d
}

/// The sum of the products of four signed bytes.
#[inline(always)]
fn bytes(x: u32, y: u32) -> u32 {
    let product = |k: u32| i32::from((x >> (8 * k)) as i8) * i32::from((y >> (8 * k)) as i8);
    (product(0) + product(1) + product(2) + product(3)) as u32
}

#[cfg(test)]
mod tests;
