//! Hamming distances, one to one and one to many, by the best instruction set of the machine.
//!
//! The algorithm is written once, in [`generic`], over a small trait; [`avx512`], [`avx2`], [`neon`] and [`portable`]
//! say in a few lines each how that instruction set counts bits. The choice is made once per process, at the first
//! call; what ships is compiled for the baseline CPU. Each set is tested against a naive twin where the CPU has it.
#![allow(unsafe_code)] // the kernels' own room: intrinsics, and calls that need a CPU feature

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod generic;
mod join;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(test)]
mod tests;

pub use join::{BlockJoin, JoinColumn, PADDING, Planes, RowPair};
use std::sync::OnceLock;

/// One hash that lies within the radius.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Its row, from 0.
    pub row: usize,
    /// Its distance from the query, in bits.
    pub distance: u32,
}

/// The instruction sets there are kernels for, the fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// x86-64 with AVX-512 F, BW, VL and VPOPCNTDQ: eight words at a time, a population count in hardware.
    Avx512,
    /// x86-64 with AVX2 and POPCNT: four words at a time, population counts by nibble look-up.
    Avx2,
    /// AArch64: two words at a time, `cnt` a byte.
    Neon,
    /// Any CPU.
    Portable,
}

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub struct Kernels {
    set: InstructionSet,
    distance: unsafe fn(&[u8], &[u8]) -> u32,
    within: unsafe fn(&[u64], &[u64], u32, &mut Vec<Hit>),
    join: unsafe fn(&BlockJoin<'_>, &mut Vec<RowPair>) -> usize,
}

impl InstructionSet {
    /// All of them, the fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Its kernels; `None` where this CPU, or the operating system, lacks the instructions.
    pub fn kernels(self) -> Option<Kernels> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512
                if std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512vpopcntdq") =>
            {
                Some(Kernels { set: self, distance: avx512::distance, within: avx512::within, join: avx512::join })
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt") => {
                Some(Kernels { set: self, distance: avx2::distance, within: avx2::within, join: avx2::join })
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon if std::arch::is_aarch64_feature_detected!("neon") => {
                Some(Kernels { set: self, distance: neon::distance, within: neon::within, join: neon::join })
            }
            Self::Portable => Some(Kernels {
                set: self,
                distance: portable::distance,
                within: portable::within,
                join: portable::join,
            }),
            _ => None,
        }
    }
}

impl Kernels {
    /// The fastest kernels of this machine.
    pub fn best() -> &'static Kernels {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        BEST.get_or_init(|| {
            InstructionSet::ALL.iter().find_map(|set| set.kernels()).unwrap_or(Kernels {
                set: InstructionSet::Portable,
                distance: portable::distance,
                within: portable::within,
                join: portable::join,
            })
        })
    }

    /// Which instruction set they use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// The number of bits in which `a` and `b`, of equal length, differ.
    #[inline]
    pub fn distance(&self, a: &[u8], b: &[u8]) -> u32 {
        assert_eq!(a.len(), b.len(), "hashes of two widths have no distance");
        // SAFETY: a `Kernels` is made only where the CPU has its instructions; the lengths are equal.
        unsafe { (self.distance)(a, b) }
    }

    /// Appends a [`Hit`] for every row of `hashes` within `radius` bits of `query`, in the order of the rows.
    ///
    /// Rows have as many words as `query`, one after the other (see [`crate::words`]).
    #[inline]
    pub fn within(&self, query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
        assert!(!query.is_empty() && hashes.len().is_multiple_of(query.len()), "rows of another width than the query");
        // SAFETY: a `Kernels` is made only where the CPU has its instructions; `hashes` is a whole number of rows.
        unsafe { (self.within)(query, hashes, radius, hits) }
    }

    /// Appends a [`RowPair`] for every row of the left block and row of the right block that agree in all columns, and
    /// returns the first left row that was not compared: rows are compared whole, and only while `pairs` has room,
    /// without growing, for one pair per row of the right block. Call again with the rest after making room.
    ///
    /// Panics where the planes are shorter than the blocks, or `pairs` can never hold the pairs of one row.
    #[inline]
    pub fn join(&self, join: &BlockJoin<'_>, pairs: &mut Vec<RowPair>) -> usize {
        assert!(join.is_sound(), "rows outside of their planes");
        assert!(pairs.capacity() >= join.right_rows.len(), "no room for the pairs of one row");
        // SAFETY: a `Kernels` is made only where the CPU has its instructions; every word exists.
        unsafe { (self.join)(join, pairs) }
    }
}

/// The number of bits in which two hashes of equal length differ.
///
/// Eight bytes, the most common width, skip the indirect call: twelve instructions even without `popcnt`.
#[inline]
pub fn distance(a: &[u8], b: &[u8]) -> u32 {
    match (<[u8; 8]>::try_from(a), <[u8; 8]>::try_from(b)) {
        (Ok(a), Ok(b)) => (u64::from_ne_bytes(a) ^ u64::from_ne_bytes(b)).count_ones(),
        _ => Kernels::best().distance(a, b),
    }
}

/// Appends a [`Hit`] for every row of `hashes` within `radius` bits of `query`: [`Kernels::within`] of the best set.
#[inline]
pub fn within(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    Kernels::best().within(query, hashes, radius, hits);
}
