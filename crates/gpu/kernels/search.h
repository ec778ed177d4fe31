// The arguments of the kernels and the sizes that go with them: the only header that the kernels and the host share.
// src/params.rs mirrors it field by field; tests/host.rs compares every offset and constant.
//
// Sets of hashes are row-major arrays of 64-bit words. Behind the last row of every array, ids and numbers of ones too,
// PADDING_ROWS more rows can be read; what they hold does not matter. A set has at most 2^31 rows.
// Arrays are aligned to 16 bytes.
//
// Invariant: every structure is free of padding that the compiler puts in, and is passed by value as the only argument.
#pragma once
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;

constexpr u32 PADDING_ROWS = 1024;    // rows that can be read behind the last one
constexpr u32 MAX_COLUMNS = 8;        // hash columns of a search
constexpr u32 MAX_WORDS = 16;         // words of a hash
constexpr u32 EMPTY = 0xffffffffu;    // no row
constexpr u32 BRUTE_THREADS = 128;    // threads of a block of every brute_ kernel
constexpr u32 SEGMENT_STEP = 64;      // a segment is a multiple of it
constexpr u32 ONES_THREADS = 256;     // threads of a block of ones_count_256 and ones_scatter_256
constexpr u32 ONES_COUNTS = 257;      // numbers of ones that 256 bits can have
constexpr u32 BAND_THREADS = 256;     // threads of a block of band_count_, band_scatter_ and band_probe_
constexpr u32 SCAN_THREADS = 1024;    // threads of a block of the scan_ kernels
constexpr u32 SCAN_COUNTS = 4096;     // counts that such a block scans
constexpr u32 MAX_BAND_WIDTH = 24;    // bits of a band
constexpr u32 COLLAPSE_THREADS = 256; // threads of a block of the collapse_ kernels

// A hash column of both sets.
struct Column {
  const u64* left;   // rows of the left set
  const u64* right;  // rows of the right set; the same pointer within one set
  u32 words;         // words of a row, 1 to MAX_WORDS
  u32 radius;        // 64 * words or more: the column keeps no pair away, its distance is reported all the same
};

// Where the pairs go that are within the radius of every column.
struct Hits {
  const Column* columns;  // in the user's order
  u64* pairs;             // capacity: (left row << 32) | right row; within one set the smaller row is the left one
  u16* distances;         // capacity * n_columns, pair after pair, in the order of the columns
  u64* counter;           // pairs found, also those that did not fit: the host repeats the slice
  u64 capacity;
  u32 n_columns;          // 1 to MAX_COLUMNS
  u32 one_set;            // 1: each pair of two different rows once
};

// brute_*: every left row with every right row. The grid is segments of right rows (x) by blocks of left rows (y); a
// launch of fewer than all of them is a slice.
struct Brute {
  Hits hits;
  const u64* left;        // hashes of the driving column; for brute_ones_256 sorted by their number of ones
  const u64* right;       // the same pointer within one set
  const u32* left_rows;   // the row in each place of `left`; null: the place itself
  const u32* right_rows;
  const u16* left_ones;   // the number of ones in each place; brute_ones_256 alone reads them
  const u16* right_ones;
  u32 n_left;
  u32 n_right;
  u32 radius;             // of the driving column
  u32 words;              // brute_popc_any alone reads it
  u32 first_block;        // blockIdx.y counts from here
  u32 first_segment;      // blockIdx.x counts from here
  u32 segment;            // right rows of a segment, a multiple of SEGMENT_STEP
  u32 unused;
};

// ones_*: a set sorted by the number of ones of its 256-bit hashes; launched one after another.
struct OnesSort {
  const u64* hashes;  // n * 4 words
  u32* counts;        // ONES_COUNTS zeros before; scratch after
  u64* sorted;        // n * 4 words
  u32* rows;          // n: the row in each place
  u16* ones;          // n: the number of ones in each place
  u32 n;
  u32 unused;
};

// `width` bits of a hash from bit `start` of word `word` on, counted from the most significant; they may reach into the
// next word. Two hashes are near in a band where at most `tolerance` of its bits differ.
struct Band {
  u32 word;
  u32 start;      // 0 to 63
  u32 width;      // 1 to MAX_BAND_WIDTH
  u32 tolerance;
};

// band_count_*, scan_sums, scan_blocks, scan_starts, band_scatter_*: a set sorted by a band into 2^width buckets;
// launched in this order. C is the number of buckets rounded up to a multiple of SCAN_COUNTS.
struct BandSort {
  const u64* hashes;  // n * words: the driving column
  u32* counts;        // C zeros before; rows of each bucket after
  u32* sums;          // C / SCAN_COUNTS: scratch
  u32* starts;        // C + 1: where each bucket begins; the entry behind the last bucket is n
  u32* ranks;         // n: scratch, which one of its bucket a row is
  u64* sorted;        // n * words, bucket after bucket
  u32* rows;          // n: the row in each place
  Band band;
  u32 n;
  u32 words;
};

// band_probe_*: each left place with the right places whose band differs in at most the band's tolerance. A launch
// does BAND_THREADS left places a block, and right places [from, to) alone. Whatever the flips, two places meet once
// at most.
struct BandProbe {
  Hits hits;
  const u64* left;          // BandSort::sorted of the left set
  const u32* left_rows;
  const u64* right;         // the same pointers within one set
  const u32* right_rows;
  const u32* right_starts;
  const u32* flips;         // n_flips different masks of `width` bits with at most `tolerance` ones, the first one 0
  const Band* earlier;      // bands that were probed before: a pair that is near in one of them was found there
  Band band;
  u32 n_left;
  u32 n_flips;
  u32 n_earlier;
  u32 radius;               // of the driving column
  u32 words;
  u32 first_block;          // blockIdx.x counts from here
  u32 from;
  u32 to;
};

// collapse_insert over all rows, slice by slice, then collapse_first: for each row the first one that equals it in all
// columns. Reads the left sets of the columns.
struct Collapse {
  const Column* columns;
  u32* table;      // mask + 1 times EMPTY before: a row of each group of equal rows
  u32* first;      // mask + 1 times EMPTY before: the smallest row of the group
  u32* places;     // n: where in the table each row's group is
  u32* first_of;   // n: the result, written by collapse_first
  u64 seed;        // of the hash function of the table
  u32 mask;        // entries of the table less one: a power of two, at least 2n of them
  u32 n_columns;
  u32 first_row;   // a launch does rows [first_row, first_row + count)
  u32 count;
};

static_assert(sizeof(Column) == 24, "mirrored in Rust");
static_assert(sizeof(Hits) == 48, "mirrored in Rust");
static_assert(sizeof(Brute) == 128, "mirrored in Rust");
static_assert(sizeof(OnesSort) == 48, "mirrored in Rust");
static_assert(sizeof(Band) == 16, "mirrored in Rust");
static_assert(sizeof(BandSort) == 80, "mirrored in Rust");
static_assert(sizeof(BandProbe) == 152, "mirrored in Rust");
static_assert(sizeof(Collapse) == 64, "mirrored in Rust");
