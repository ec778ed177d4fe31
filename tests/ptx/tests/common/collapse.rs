//! Runs the kernels for equal rows and compares with a search on the CPU.

use super::sets::padded;
use super::*;
use lumina_gpu::params::{COLLAPSE_THREADS, Collapse, Column};
use std::collections::HashMap;

/// Collapses `n` rows, `different` different ones among them, of columns of these words; `slice` rows a launch.
pub(crate) fn collapse(
    module: &Module,
    columns: &[usize],
    (n, different, slice): (usize, u64, usize),
    seed: u64,
    options: &Options,
) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let numbers: Vec<u64> = (0..n).map(|_| random.u64(..different)).collect();
    let mut memory = Memory::new();
    let mut entries = Vec::new();
    for (column, words) in columns.iter().enumerate() {
        let is_last = column + 1 == columns.len();
        // Two adjacent numbers differ in the last bit of the last column alone.
        let row = |number: u64| {
            let word = (number / 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (0..*words).map(move |at| word ^ if is_last && at + 1 == *words { number % 2 } else { 0 })
        };
        let hashes: Vec<u64> = numbers.iter().flat_map(|number| row(*number)).collect();
        let left = memory.allocate_with(&bytes(&padded(&hashes, &hashes, *words)));
        entries.push(Column { left, right: left, words: *words as u32, radius: 0 });
    }
    let size = (2 * n.max(1)).next_power_of_two();
    let all = Collapse {
        columns: memory.allocate_with(&bytes(&entries)),
        table: memory.allocate_with(&vec![0xff; size * 4]),
        first: memory.allocate_with(&vec![0xff; size * 4]),
        places: memory.allocate(n * 4),
        first_of: memory.allocate(n * 4),
        seed: random.u64(..),
        mask: (size - 1) as u32,
        n_columns: columns.len() as u32,
        ..Collapse::default()
    };
    for name in ["collapse_insert", "collapse_first"] {
        for first_row in (0..n).step_by(slice) {
            let count = slice.min(n - first_row);
            let shape = ((count.div_ceil(COLLAPSE_THREADS as usize), 1), COLLAPSE_THREADS);
            let parameters = Collapse { first_row: first_row as u32, count: count as u32, ..all };
            run(module, name, shape, parameters, &mut memory, options)?;
        }
    }
    if !memory.is_written(all.first_of, n * 4) {
        return Err(format!("collapse of {n} rows: not all of the first ones are written"));
    }
    let mut first = HashMap::new();
    let want = numbers.iter().enumerate().map(|(row, number)| *first.entry(*number).or_insert(row as u32));
    let wrong = read_u32(&memory, all.first_of, n).into_iter().zip(want).position(|(found, want)| found != want);
    wrong.map_or(Ok(()), |row| Err(format!("collapse of {n} rows: the first one of row {row} is wrong")))
}
