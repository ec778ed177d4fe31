//! The arguments of the kernels and the sizes that go with them: `kernels/search.h`, mirrored field by field.
//!
//! The host fills them and passes them by value, as a launch's only argument. `kernels/search.h` says what the fields
//! mean, and what the host must leave behind the last row of an array; this file has shapes and units.
//!
//! Invariant: sizes, offsets and constants are those of the C++ header; `tests/host.rs` compares them with what a C++
//! compiler says, and the sizes with the PTX. No structure has padding that the compiler puts in.

/// An address on the device; 0 where the header allows null.
pub type DevicePointer = u64;

/// Rows that can be read behind the last one of every array.
pub const PADDING_ROWS: u32 = 1024;
/// The most hash columns of a search.
pub const MAX_COLUMNS: u32 = 8;
/// The most words of a hash.
pub const MAX_WORDS: u32 = 16;
/// No row.
pub const EMPTY: u32 = u32::MAX;
/// Threads of a block of every `brute_` kernel.
pub const BRUTE_THREADS: u32 = 128;
/// [`Brute::segment`] is a multiple of it.
pub const SEGMENT_STEP: u32 = 64;
/// Threads of a block of `ones_count_256` and `ones_scatter_256`; `ones_starts_256` has one.
pub const ONES_THREADS: u32 = 256;
/// The number of popcounts that 256 bits can have.
pub const ONES_COUNTS: u32 = 257;
/// Threads of a block of `band_count_`, `band_scatter_` and `band_probe_`.
pub const BAND_THREADS: u32 = 256;
/// Threads of a block of the `scan_` kernels.
pub const SCAN_THREADS: u32 = 1024;
/// Counts per block of `scan_sums` and `scan_starts`.
pub const SCAN_COUNTS: u32 = 4096;
/// The most bits of a band.
pub const MAX_BAND_WIDTH: u32 = 24;
/// Threads of a block of the `collapse_` kernels.
pub const COLLAPSE_THREADS: u32 = 256;

/// A hash column of both sets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Column {
    /// Rows of the left set, `words` words each.
    pub left: DevicePointer,
    /// Rows of the right set; the same address within one set.
    pub right: DevicePointer,
    /// Words of a row, 1 to [`MAX_WORDS`].
    pub words: u32,
    /// In bits; 64 times `words` or more: the column filters nothing.
    pub radius: u32,
}

/// Where pairs within the radius of every column are written.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hits {
    /// `n_columns` of [`Column`], in the user's order.
    pub columns: DevicePointer,
    /// `capacity` words: left row in the high half, right row in the low one.
    pub pairs: DevicePointer,
    /// `capacity * n_columns` of 16 bits, in bits of distance.
    pub distances: DevicePointer,
    /// A word: the number of pairs found, including those that did not fit.
    pub counter: DevicePointer,
    /// In pairs.
    pub capacity: u64,
    /// 1 to [`MAX_COLUMNS`].
    pub n_columns: u32,
    /// 1 within one set, where each pair of two different rows is found once; otherwise 0.
    pub one_set: u32,
}

/// `brute_*`: compares every left row with every right row; a launch of fewer blocks or segments is a slice.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Brute {
    /// The result.
    pub hits: Hits,
    /// Hashes of the driving column; for `brute_ones_256` sorted by popcount.
    pub left: DevicePointer,
    /// Equal to the left one within one set.
    pub right: DevicePointer,
    /// `n_left` rows of 32 bits, one a place; 0: the place is the row.
    pub left_rows: DevicePointer,
    /// Like `left_rows`.
    pub right_rows: DevicePointer,
    /// `n_left` numbers of 16 bits; `brute_ones_256` alone reads them.
    pub left_ones: DevicePointer,
    /// Like `left_ones`.
    pub right_ones: DevicePointer,
    /// In rows.
    pub n_left: u32,
    /// In rows.
    pub n_right: u32,
    /// Of the driving column, in bits.
    pub radius: u32,
    /// Of the driving column; `brute_popc_any` alone reads it.
    pub words: u32,
    /// The block of left rows that y of the grid counts from.
    pub first_block: u32,
    /// The segment of right rows that x of the grid counts from.
    pub first_segment: u32,
    /// Right rows of a segment, a multiple of [`SEGMENT_STEP`].
    pub segment: u32,
    /// Padding.
    pub unused: u32,
}

/// `ones_*`: sorts a set by the popcount of its 256-bit hashes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnesSort {
    /// `n * 4` words.
    pub hashes: DevicePointer,
    /// [`ONES_COUNTS`] zeros of 32 bits; scratch.
    pub counts: DevicePointer,
    /// `n * 4` words.
    pub sorted: DevicePointer,
    /// `n` of 32 bits.
    pub rows: DevicePointer,
    /// `n` of 16 bits.
    pub ones: DevicePointer,
    /// In rows.
    pub n: u32,
    /// Padding.
    pub unused: u32,
}

/// Some bits of a hash, counted from the most significant, and how many of them may differ.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Band {
    /// The word that the band begins in.
    pub word: u32,
    /// Its first bit there, 0 to 63.
    pub start: u32,
    /// In bits, 1 to [`MAX_BAND_WIDTH`]; it may reach into the next word.
    pub width: u32,
    /// In bits.
    pub tolerance: u32,
}

/// `band_count_*`, `scan_*`, `band_scatter_*`: sorts a set by a band into 2^width buckets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BandSort {
    /// `n * words` words.
    pub hashes: DevicePointer,
    /// 2^width, rounded up to a multiple of [`SCAN_COUNTS`], zeros of 32 bits.
    pub counts: DevicePointer,
    /// One of 32 bits for each [`SCAN_COUNTS`] of the counts; scratch.
    pub sums: DevicePointer,
    /// One of 32 bits more than `counts` has.
    pub starts: DevicePointer,
    /// `n` of 32 bits; scratch.
    pub ranks: DevicePointer,
    /// `n * words` words.
    pub sorted: DevicePointer,
    /// `n` of 32 bits.
    pub rows: DevicePointer,
    /// The band that is sorted by.
    pub band: Band,
    /// In rows.
    pub n: u32,
    /// Words of a row.
    pub words: u32,
}

/// `band_probe_*`: compares each left place with the right places whose band is near its own.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BandProbe {
    /// The result.
    pub hits: Hits,
    /// [`BandSort::sorted`] of the left set.
    pub left: DevicePointer,
    /// [`BandSort::rows`] of the left set.
    pub left_rows: DevicePointer,
    /// Equal to the left one within one set.
    pub right: DevicePointer,
    /// Equal to the left one within one set.
    pub right_rows: DevicePointer,
    /// [`BandSort::starts`] of the right set.
    pub right_starts: DevicePointer,
    /// `n_flips` different masks of 32 bits with at most `tolerance` ones, the first one 0.
    pub flips: DevicePointer,
    /// `n_earlier` of [`Band`]: the bands that were probed before.
    pub earlier: DevicePointer,
    /// The band that both sets are sorted by.
    pub band: Band,
    /// In places.
    pub n_left: u32,
    /// At least 1.
    pub n_flips: u32,
    /// May be 0.
    pub n_earlier: u32,
    /// Of the driving column, in bits.
    pub radius: u32,
    /// Of the driving column.
    pub words: u32,
    /// The block of [`BAND_THREADS`] left places that x of the grid counts from.
    pub first_block: u32,
    /// The first right place of the window.
    pub from: u32,
    /// The end of the window, exclusive.
    pub to: u32,
}

/// `collapse_*`: finds for each row the first row that equals it in all columns.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collapse {
    /// `n_columns` of [`Column`]; their left sets are read.
    pub columns: DevicePointer,
    /// `mask + 1` of 32 bits, [`EMPTY`] before.
    pub table: DevicePointer,
    /// `mask + 1` of 32 bits, [`EMPTY`] before.
    pub first: DevicePointer,
    /// One of 32 bits a row; scratch.
    pub places: DevicePointer,
    /// One of 32 bits a row: the result.
    pub first_of: DevicePointer,
    /// Seed of the table's hash function.
    pub seed: u64,
    /// Entries of the table minus one; a power of two of them, at least two per row.
    pub mask: u32,
    /// 1 to [`MAX_COLUMNS`].
    pub n_columns: u32,
    /// The first row of the launch.
    pub first_row: u32,
    /// Rows of the launch.
    pub count: u32,
}

// A launch copies this many bytes; a C++ compiler reports the same sizes for the header.
const _: () = assert!(size_of::<Column>() == 24);
const _: () = assert!(size_of::<Hits>() == 48);
const _: () = assert!(size_of::<Brute>() == 128);
const _: () = assert!(size_of::<OnesSort>() == 48);
const _: () = assert!(size_of::<Band>() == 16);
const _: () = assert!(size_of::<BandSort>() == 80);
const _: () = assert!(size_of::<BandProbe>() == 152);
const _: () = assert!(size_of::<Collapse>() == 64);
