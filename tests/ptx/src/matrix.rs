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
    let products = match matrix {
        Matrix::Bytes32 => byte_products(&rows, &columns),
        Matrix::Bits128 | Matrix::Bits256 => bit_products(&rows, &columns, words),
    };
    let mut d = [[0; LANES]; 4];
    for (register, values) in d.iter_mut().enumerate() {
        for (lane, value) in values.iter_mut().enumerate() {
            let (row, column) = place_in_c(register, lane);
            *value = products[row][column].wrapping_add(c[register][lane]);
        }
    }
    d
}

type Rows = [[u32; 8]; ROWS];
type Columns = [[u32; COLUMNS]; 8];
type Products = [[u32; COLUMNS]; ROWS];

/// The ones that a row and a column have in common.
fn bit_products(rows: &Rows, columns: &Columns, words: usize) -> Products {
    let mut products = [[0; COLUMNS]; ROWS];
    for (row, products) in rows.iter().zip(&mut products) {
        for (x, column) in row.iter().zip(columns).take(words) {
            for (product, y) in products.iter_mut().zip(column) {
                *product += (x & y).count_ones();
            }
        }
    }
    products
}

/// Sums of products of signed bytes; a product of two fits 16 bits.
fn byte_products(rows: &Rows, columns: &Columns) -> Products {
    let byte = |word: u32, k: usize| i16::from((word >> (8 * k)) as i8);
    let mut bytes = [[0i16; COLUMNS]; 32];
    for (at, bytes) in bytes.iter_mut().enumerate() {
        *bytes = columns[at / 4].map(|word| byte(word, at % 4));
    }
    rows.map(|row| {
        let mut sums = [0i32; COLUMNS];
        for (at, bytes) in bytes.iter().enumerate() {
            let x = byte(row[at / 4], at % 4);
            for (sum, y) in sums.iter_mut().zip(bytes) {
                *sum += i32::from(x.wrapping_mul(*y));
            }
        }
        sums.map(|sum| sum as u32)
    })
}

#[cfg(test)]
mod tests;
