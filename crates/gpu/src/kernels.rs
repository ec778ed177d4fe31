//! The kernels by name, the module of each, and which kernel serves which search.

use std::ffi::CStr;

/// The instructions of a brute force kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// Matrix instructions on bits.
    Bits,
    /// Matrix instructions on bytes.
    Bytes,
    /// POPC.
    Popc,
}

impl Instructions {
    /// The fastest instructions of a device: matrix instructions on bits are emulated after compute capability 9.0.
    pub(crate) fn best(capability: (u32, u32)) -> Self {
        match capability {
            (..8, _) => Self::Popc,
            (8, _) | (9, 0) => Self::Bits,
            _ => Self::Bytes,
        }
    }
}

/// A module of PTX: one per kind of search, since the driver takes a while to compile one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PtxModule {
    BruteB1,
    BruteS8,
    BrutePopc,
    Banded,
    Collapse,
}

impl PtxModule {
    /// Its text.
    pub(crate) fn ptx(self) -> &'static str {
        match self {
            Self::BruteB1 => crate::BRUTE_B1,
            Self::BruteS8 => crate::BRUTE_S8,
            Self::BrutePopc => crate::BRUTE_POPC,
            Self::Banded => crate::BANDED,
            Self::Collapse => crate::COLLAPSE,
        }
    }
}

/// A kernel of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kernel {
    pub(crate) module: PtxModule,
    pub(crate) name: &'static CStr,
}

/// A brute force kernel, and the left rows of its blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BruteKernel {
    pub(crate) kernel: Kernel,
    pub(crate) rows: u32,
}

/// The kernels of the banded join for a width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BandedKernels {
    pub(crate) count: Kernel,
    pub(crate) scatter: Kernel,
    pub(crate) probe: Kernel,
}

/// A kind of kernel that is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Brute force on hashes of this many words, and whether the radius [`is_small`].
    Brute(usize, bool),
    /// The banded join on hashes of this many words.
    Banded(usize),
    /// Equal rows.
    Collapse,
}

const fn b1(name: &'static CStr) -> Kernel {
    Kernel { module: PtxModule::BruteB1, name }
}

const fn popc(name: &'static CStr) -> Kernel {
    Kernel { module: PtxModule::BrutePopc, name }
}

const fn banded_kernel(name: &'static CStr) -> Kernel {
    Kernel { module: PtxModule::Banded, name }
}

pub(crate) const ONES_COUNT: Kernel = b1(c"ones_count_256");
pub(crate) const ONES_STARTS: Kernel = b1(c"ones_starts_256");
pub(crate) const ONES_SCATTER: Kernel = b1(c"ones_scatter_256");
pub(crate) const SCAN_SUMS: Kernel = banded_kernel(c"scan_sums");
pub(crate) const SCAN_BLOCKS: Kernel = banded_kernel(c"scan_blocks");
pub(crate) const SCAN_STARTS: Kernel = banded_kernel(c"scan_starts");
pub(crate) const COLLAPSE_INSERT: Kernel = Kernel { module: PtxModule::Collapse, name: c"collapse_insert" };
pub(crate) const COLLAPSE_FIRST: Kernel = Kernel { module: PtxModule::Collapse, name: c"collapse_first" };

/// The largest radius at which OR-ed words pay; 0 where they never do.
pub(crate) fn small_radius(words: usize) -> u32 {
    match words {
        1 => 10,
        2 => 12,
        4 => 31,
        _ => 0,
    }
}

/// Whether OR-ed words pay at a radius.
pub(crate) fn is_small(words: usize, radius: u32) -> bool {
    radius <= small_radius(words)
}

/// The kernel for brute force of hashes of `words` words within `radius` bits.
///
/// OR-ing words before counting pays while few random pairs pass: measured up to 10 of 64 bits, 12 of 128, 31 of 256.
pub(crate) fn brute(instructions: Instructions, words: usize, radius: u32) -> BruteKernel {
    let s8 = |name| Kernel { module: PtxModule::BruteS8, name };
    let (kernel, rows) = match (instructions, words) {
        (Instructions::Bits, 1) => (b1(c"brute_b1_64"), 512),
        (Instructions::Bits, 2) => (b1(c"brute_b1_128"), 256),
        (Instructions::Bits, 4) => (b1(c"brute_ones_256"), 512),
        (Instructions::Bytes, 1) => (s8(c"brute_s8_64"), 512),
        (Instructions::Bytes, 2) => (s8(c"brute_s8_128"), 256),
        (Instructions::Bytes, 4) => (s8(c"brute_s8_256"), 256),
        (Instructions::Popc, 1) if is_small(words, radius) => (popc(c"brute_fold_64"), 512),
        (Instructions::Popc, 2) if is_small(words, radius) => (popc(c"brute_fold_128"), 512),
        (Instructions::Popc, 4) if is_small(words, radius) => (popc(c"brute_fold_256"), 512),
        (Instructions::Popc, 1) => (popc(c"brute_popc_64"), 512),
        (Instructions::Popc, 2) => (popc(c"brute_popc_128"), 512),
        (Instructions::Popc, 4) => (popc(c"brute_popc_256"), 256),
        _ => (popc(c"brute_popc_any"), 128),
    };
    BruteKernel { kernel, rows }
}

/// The kernels of the banded join for hashes of `words` words.
pub(crate) fn banded(words: usize) -> BandedKernels {
    let (count, scatter, probe) = match words {
        1 => (c"band_count_64", c"band_scatter_64", c"band_probe_64"),
        2 => (c"band_count_128", c"band_scatter_128", c"band_probe_128"),
        4 => (c"band_count_256", c"band_scatter_256", c"band_probe_256"),
        _ => (c"band_count_any", c"band_scatter_any", c"band_probe_any"),
    };
    BandedKernels { count: banded_kernel(count), scatter: banded_kernel(scatter), probe: banded_kernel(probe) }
}
