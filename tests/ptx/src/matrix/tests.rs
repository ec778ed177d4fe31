//! Fragments against the formulas of the ISA, element by element, and products against the definition.

use super::*;

/// The element of A (row, column of bytes or bits) of element i of a lane's fragment, by the ISA's formula.
fn isa_a(matrix: Matrix, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = (lane >> 2, lane % 4);
    match matrix {
        // 16 bytes a lane.
        Matrix::Bytes32 => {
            let row = if i < 4 || (8..12).contains(&i) { group } else { group + 8 };
            (row, thread * 4 + (i & 3) + if i < 8 { 0 } else { 16 })
        }
        // 64 bits a lane.
        Matrix::Bits128 => (if i < 32 { group } else { group + 8 }, thread * 32 + (i & 31)),
        // 128 bits a lane.
        Matrix::Bits256 => {
            let row = if i < 32 || (64..96).contains(&i) { group } else { group + 8 };
            (row, thread * 32 + (i & 31) + if i < 64 { 0 } else { 128 })
        }
    }
}

/// Row and column of B of element i of a lane's fragment.
fn isa_b(matrix: Matrix, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = (lane >> 2, lane % 4);
    match matrix {
        Matrix::Bytes32 => (thread * 4 + (i & 3) + if i < 4 { 0 } else { 16 }, group),
        Matrix::Bits128 => (thread * 32 + i, group),
        Matrix::Bits256 => (thread * 32 + (i & 31) + if i < 32 { 0 } else { 128 }, group),
    }
}

/// Row and column of C and D.
fn isa_c(lane: usize, i: usize) -> (usize, usize) {
    (if i < 2 { lane >> 2 } else { (lane >> 2) + 8 }, (lane % 4) * 2 + (i & 1))
}

fn element(matrix: Matrix, registers: &[Narrow], lane: usize, i: usize) -> i64 {
    match matrix {
        Matrix::Bytes32 => i64::from((registers[i / 4][lane] >> (8 * (i % 4))) as i8),
        _ => i64::from(registers[i / 32][lane] >> (i % 32) & 1),
    }
}

#[test]
fn products_equal_the_definition_in_the_layout_of_the_isa() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut registers = |count: usize| -> Vec<Narrow> {
        (0..count).map(|_| std::array::from_fn(|_| random.u32(..) & random.u32(..))).collect()
    };
    for (matrix, k, a_registers, b_registers) in
        [(Matrix::Bytes32, 32, 4, 2), (Matrix::Bits128, 128, 2, 1), (Matrix::Bits256, 256, 4, 2)]
    {
        for _ in 0..20 {
            let (a, b, c) = (registers(a_registers), registers(b_registers), registers(4));
            let per_register = if matrix == Matrix::Bytes32 { 4 } else { 32 };
            let mut left = vec![[None; 256]; ROWS];
            let mut right = vec![[None; COLUMNS]; 256];
            for lane in 0..LANES {
                for i in 0..a_registers * per_register {
                    let (row, column) = isa_a(matrix, lane, i);
                    assert!(left[row][column].replace(element(matrix, &a, lane, i)).is_none());
                }
                for i in 0..b_registers * per_register {
                    let (row, column) = isa_b(matrix, lane, i);
                    assert!(right[row][column].replace(element(matrix, &b, lane, i)).is_none());
                }
            }
            let a_list: Vec<&Narrow> = a.iter().collect();
            let b_list: Vec<&Narrow> = b.iter().collect();
            let d = multiply(matrix, &a_list, &b_list, [&c[0], &c[1], &c[2], &c[3]]);
            for lane in 0..LANES {
                for i in 0..4 {
                    let (row, column) = isa_c(lane, i);
                    let product: i64 =
                        (0..k).map(|m| left[row][m].unwrap_or(1 << 40) * right[m][column].unwrap_or(1 << 40)).sum();
                    let want = (product as i32).wrapping_add(c[i][lane] as i32);
                    assert_eq!(d[i][lane] as i32, want, "{matrix:?} row {row} column {column}");
                }
            }
        }
    }
}
