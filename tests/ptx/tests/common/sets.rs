//! Sets of hashes, the pairs that a search must find, and both in device memory.

use super::*;
use lumina_gpu::params::{Column, Hits, PADDING_ROWS};
use std::collections::BTreeMap;

/// Pairs, the left row in the high half, with their distances in all columns.
pub(crate) type Pairs = BTreeMap<u64, Vec<u16>>;

/// One or two sets of rows with hash columns, and their pairs.
pub(crate) struct Sets {
    /// Words and radius of each column.
    pub(crate) columns: Vec<(usize, u32)>,
    /// The column in which candidates are looked for.
    pub(crate) driving: usize,
    /// Rows of the left set.
    pub(crate) n_left: usize,
    /// Rows of the right set; as many as the left one has within one set.
    pub(crate) n_right: usize,
    /// Whether the left rows are compared with each other.
    pub(crate) one_set: bool,
    /// Hashes of each column.
    left: Vec<Vec<u64>>,
    /// Equal to `left` within one set.
    right: Vec<Vec<u64>>,
    /// Pairs by definition.
    want: Pairs,
    /// Pairs that are near in the driving column, and not in another.
    pub(crate) kept_away: usize,
}

/// The size of the result buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// More than the number of pairs.
    All,
    /// A third of them: the others are counted, and not written.
    Third,
}

/// Rows of hashes, a list per column: `n.0` left rows, followed by `n.1` right ones. The first row of each set has no
/// bit set and the second one all; of the others a third are near copies of earlier ones, some of them of the same one.
fn rows(columns: &[(usize, u32)], n: (usize, Option<usize>), seed: u64) -> Vec<Vec<u64>> {
    let count = n.0 + n.1.unwrap_or(0);
    let uniform = |row: usize| [0, n.0].iter().find_map(|first| [0, u64::MAX].get(row.checked_sub(*first)?).copied());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut lists: Vec<Vec<u64>> = Vec::new();
    for (words, _) in columns {
        let word = |at: usize| uniform(at / words).unwrap_or_else(|| random.u64(..));
        lists.push((0..count * words).map(word).collect());
    }
    for i in (1..count).filter(|row| uniform(*row).is_none()) {
        if random.u32(..3) > 0 {
            continue;
        }
        let from = if random.u32(..4) == 0 { i.min(3) - 1 } else { random.usize(..i) };
        for (list, (words, radius)) in lists.iter_mut().zip(columns) {
            list.copy_within(from * words..(from + 1) * words, i * words);
            for _ in 0..random.u32(..(*radius).min(64 * *words as u32) + 3) {
                let bit = random.usize(..64 * words);
                list[i * words + bit / 64] ^= 1 << (bit % 64);
            }
        }
    }
    lists
}

/// A list of rows, followed by `PADDING_ROWS` rows. Those equal rows that it is compared with, so that a kernel which
/// treats them as its own finds pairs.
pub(crate) fn padded(list: &[u64], compared: &[u64], words: usize) -> Vec<u64> {
    let padding = compared.iter().copied().cycle().chain(std::iter::repeat(0));
    list.iter().copied().chain(padding.take(PADDING_ROWS as usize * words)).collect()
}

impl Sets {
    /// `n.0` left rows, and `n.1` right ones or the left ones again.
    pub(crate) fn new(columns: &[(usize, u32)], driving: usize, n: (usize, Option<usize>), seed: u64) -> Self {
        Self::of(columns, driving, n, &rows(columns, n, seed))
    }

    /// Sets with a column of 256 bits, half of which are ones in each row, so that a bound that depends on the popcount
    /// has no slack. Distances are even, and so is `radius`.
    pub(crate) fn with_equal_ones(radius: u32, n: (usize, Option<usize>), seed: u64) -> Self {
        let halves = &rows(&[(2, radius / 2)], n, seed)[0];
        let whole = halves.chunks(2).flat_map(|half| [half[0], half[1], !half[0], !half[1]]).collect();
        Self::of(&[(4, radius)], 0, n, &[whole])
    }

    /// From lists of the left rows, followed by the right ones.
    fn of(columns: &[(usize, u32)], driving: usize, n: (usize, Option<usize>), all: &[Vec<u64>]) -> Self {
        let (n_left, one_set, n_right) = (n.0, n.1.is_none(), n.1.unwrap_or(n.0));
        let part = |from: usize, to: usize| -> Vec<Vec<u64>> {
            all.iter().zip(columns).map(|(list, (words, _))| list[from * words..to * words].to_vec()).collect()
        };
        let left = part(0, n_left);
        let right = if one_set { left.clone() } else { part(n_left, n_left + n_right) };
        let (mut want, mut kept_away) = (Pairs::new(), 0);
        for i in 0..n_left {
            for j in if one_set { i + 1 } else { 0 }..n_right {
                let distance = |column: usize| {
                    let words = columns[column].0;
                    let (a, b) = (&left[column][i * words..][..words], &right[column][j * words..][..words]);
                    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum::<u32>()
                };
                let is_near = |column: usize| distance(column) <= columns[column].1;
                if !is_near(driving) {
                    continue;
                }
                if (0..columns.len()).all(is_near) {
                    let distances = (0..columns.len()).map(|column| distance(column) as u16).collect();
                    want.insert((i as u64) << 32 | j as u64, distances);
                } else {
                    kept_away += 1;
                }
            }
        }
        Self { columns: columns.to_vec(), driving, n_left, n_right, one_set, left, right, want, kept_away }
    }

    /// Words of a row in the driving column.
    pub(crate) fn words(&self) -> usize {
        self.columns[self.driving].0
    }

    /// The radius of the driving column, in bits.
    pub(crate) fn radius(&self) -> u32 {
        self.columns[self.driving].1
    }

    /// How many pairs there are.
    pub(crate) fn pairs(&self) -> usize {
        self.want.len()
    }
}

/// Sets in the memory of a device, and a buffer for pairs.
pub(crate) struct Loaded<'s> {
    sets: &'s Sets,
    /// What holds them.
    pub(crate) memory: Memory,
    /// The driving column of the left set.
    pub(crate) left: u64,
    /// That of the right set; the same address within one set.
    pub(crate) right: u64,
    /// The buffer, and the columns, as arguments of kernels.
    pub(crate) hits: Hits,
}

impl<'s> Loaded<'s> {
    /// Copies the sets in.
    pub(crate) fn new(sets: &'s Sets, room: Room) -> Self {
        let mut memory = Memory::new();
        let mut columns = Vec::new();
        for (column, (words, radius)) in sets.columns.iter().enumerate() {
            let left = memory.allocate_with(&bytes(&padded(&sets.left[column], &sets.right[column], *words)));
            let right = match sets.one_set {
                true => left,
                false => memory.allocate_with(&bytes(&padded(&sets.right[column], &sets.left[column], *words))),
            };
            columns.push(Column { left, right, words: *words as u32, radius: *radius });
        }
        let capacity = match room {
            Room::All => sets.want.len() + 8,
            Room::Third => sets.want.len() / 3,
        };
        let hits = Hits {
            columns: memory.allocate_with(&bytes(&columns)),
            pairs: memory.allocate(capacity * 8),
            distances: memory.allocate(capacity * columns.len() * 2),
            counter: memory.allocate_with(&bytes(&[0u64])),
            capacity: capacity as u64,
            n_columns: columns.len() as u32,
            one_set: u32::from(sets.one_set),
        };
        let Column { left, right, .. } = columns[sets.driving];
        Self { sets, memory, left, right, hits }
    }

    /// Errors of the pairs: each must be counted once, and as many as fit must be written.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (memory, columns) = (&self.memory, self.sets.columns.len());
        let count = read_u64(memory, self.hits.counter, 1)[0] as usize;
        let written = count.min(self.hits.capacity as usize);
        if !memory.is_written(self.hits.pairs, written * 8)
            || !memory.is_written(self.hits.distances, written * columns * 2)
        {
            return Err(format!("{count} pairs are counted, and not all of them written"));
        }
        let mut found = Pairs::new();
        let distances = read_u16(memory, self.hits.distances, written * columns);
        for (pair, distances) in read_u64(memory, self.hits.pairs, written).into_iter().zip(distances.chunks(columns)) {
            if self.sets.want.get(&pair).is_none_or(|want| want != distances) {
                return Err(format!("pair {pair:#x} with distances {distances:?} is wrong"));
            }
            if found.insert(pair, distances.to_vec()).is_some() {
                return Err(format!("pair {pair:#x} is written twice"));
            }
        }
        let want = self.sets.want.len();
        if count == want { Ok(()) } else { Err(format!("{count} pairs are counted, not {want}")) }
    }
}

/// Memory for the rows of a set in another order, hashes and numbers. The padding is that of `hashes`.
pub(crate) fn allocate_places(memory: &mut Memory, hashes: u64, n: usize, words: usize) -> (u64, u64) {
    let padding = PADDING_ROWS as usize;
    let size = words * 8;
    let (sorted, rows) = (memory.allocate((n + padding) * size), memory.allocate((n + padding) * 4));
    let behind = (n * size) as u64;
    memory.copy(sorted + behind, hashes + behind, padding * size).unwrap();
    let numbers: Vec<u32> = (n..n + padding).map(|row| row as u32).collect();
    memory.write(rows + n as u64 * 4, &bytes(&numbers)).unwrap();
    (sorted, rows)
}
