//! Deterministic sets of hashes, from friendly to hostile, of any number of words and columns.

use crate::Error;
use fastrand::Rng;
use lumina_search::{HashRows, SearchContext, Values};
use rayon::prelude::*;

/// The distribution of the hashes of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Random ones, and near copies of a fifth of them.
    Uniform,
    /// Like those of photographs; further words are rotations of the first. Flat pictures are popular.
    Photo,
    /// A few centres, the first ones far more popular than the others, and hashes around them.
    Crowded,
    /// All equal but for the last one, which differs in a bit.
    Equal,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Uniform, Self::Photo, Self::Crowded, Self::Equal];

    /// By its name in lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}").to_lowercase() == name)
    }
}

/// Rows of several columns, `columns[c]` with `words[c]` words a row.
#[derive(Debug)]
pub(crate) struct Table {
    words: Vec<usize>,
    columns: Vec<Vec<u64>>,
    count: usize,
}

impl Table {
    /// Rows whose columns together are a hash of that kind: rows near in one column are near in the others.
    pub(crate) fn new(kind: Kind, words: &[usize], count: usize, seed: u64) -> Self {
        let all: usize = words.iter().sum();
        let hashes = column(kind, all, count, seed);
        let mut first = 0;
        let columns = words.iter().map(|words| {
            let place = first..first + words;
            first = place.end;
            hashes.chunks_exact(all).flat_map(|hash| &hash[place.clone()]).copied().collect()
        });
        Table { words: words.to_vec(), columns: columns.collect(), count }
    }

    /// Rows of which two thirds are near one of `self`.
    pub(crate) fn near(&self, kind: Kind, count: usize, seed: u64) -> Self {
        let mut near = Self::new(kind, &self.words, count, seed + 1);
        let mut random = Rng::with_seed(seed);
        for row in (0..count).filter(|row| row % 3 != 0 && self.count > 0) {
            let other = random.usize(..self.count);
            for ((to, from), words) in near.columns.iter_mut().zip(&self.columns).zip(&self.words) {
                let hash = &mut to[row * words..(row + 1) * words];
                hash.copy_from_slice(&from[other * words..(other + 1) * words]);
                let flips = random.usize(..=words * 6);
                flip(hash, flips, &mut random);
            }
        }
        near
    }

    /// The rows in the format of a question about equal rows: column after column.
    pub(crate) fn rows(&self) -> Vec<u64> {
        self.columns.concat()
    }

    /// How many rows, and the words of each column.
    pub(crate) fn shape(&self) -> (usize, &[usize]) {
        (self.count, &self.words)
    }

    /// The number of the first row that is equal, for each row.
    pub(crate) fn firsts(&self) -> Vec<u32> {
        let mut seen = std::collections::HashMap::new();
        let row = |row: usize| -> Vec<&[u64]> {
            let words = self.words.iter().zip(&self.columns);
            words.map(|(words, column)| &column[row * words..(row + 1) * words]).collect()
        };
        (0..self.count).map(|at| *seen.entry(row(at)).or_insert(at as u32)).collect()
    }

    /// Its distinct rows, in the format of a search.
    pub(crate) fn values(&self, context: &SearchContext) -> Result<Values, Error> {
        let widths: Vec<usize> = self.words.iter().map(|words| words * 64).collect();
        let mut rows = HashRows::new(&widths);
        let mut hashes: Vec<Vec<u8>> = widths.iter().map(|bits| vec![0; bits / 8]).collect();
        for row in 0..self.count {
            for ((hash, column), words) in hashes.iter_mut().zip(&self.columns).zip(&self.words) {
                for (bytes, word) in hash.chunks_exact_mut(8).zip(&column[row * words..(row + 1) * words]) {
                    bytes.copy_from_slice(&word.to_be_bytes());
                }
            }
            rows.push(hashes.iter().map(Vec::as_slice), context)?;
        }
        Ok(Values::collapse(rows, context)?)
    }
}

/// Hashes of `words` words, one after the other.
pub(crate) fn column(kind: Kind, words: usize, count: usize, seed: u64) -> Vec<u64> {
    let mut random = Rng::with_seed(seed);
    match kind {
        Kind::Uniform => {
            // As many bits as in the sets of the measured figures.
            let flipped = if words == 1 { 6 } else { words * 31 / 4 };
            let planes = lumina_sets::uniform(words, count, flipped, seed);
            (0..count)
                .into_par_iter()
                .flat_map_iter(|row| {
                    (0..words).map({
                        let planes = &planes;
                        move |plane| planes[plane * count + row]
                    })
                })
                .collect()
        }
        Kind::Photo => {
            let hashes = lumina_sets::photo(count, seed);
            hashes.iter().flat_map(|hash| (0..words as u32).map(|word| hash.rotate_left(word * 7))).collect()
        }
        Kind::Crowded => {
            let centers: Vec<u64> = (0..(count / 8 + 1) * words).map(|_| random.u64(..)).collect();
            let mut hashes = Vec::with_capacity(count * words);
            for row in 0..count {
                let share = random.f64();
                let center = (share * share * share * (count / 8 + 1) as f64) as usize;
                hashes.extend_from_slice(&centers[center * words..(center + 1) * words]);
                let flips = random.usize(..=words * 8);
                flip(&mut hashes[row * words..], flips, &mut random);
            }
            hashes
        }
        Kind::Equal => {
            let hash: Vec<u64> = (0..words).map(|_| random.u64(..)).collect();
            let mut hashes = hash.repeat(count);
            if let Some(last) = hashes.last_mut() {
                *last ^= 1;
            }
            hashes
        }
    }
}

/// Flips `flips` bits, or fewer if it hits one twice.
fn flip(hash: &mut [u64], flips: usize, random: &mut Rng) {
    for _ in 0..flips {
        let bit = random.usize(..hash.len() * 64);
        hash[bit / 64] ^= 1 << (bit % 64);
    }
}
