// Prints the sizes, offsets and constants of ../kernels/search.h, one a line, for tests/host.rs to compare with Rust's.
#include <cstddef>
#include <cstdio>
#include "../kernels/search.h"

#define SIZE(type) printf(#type " %zu\n", sizeof(type));
#define FIELD(type, field) printf(#type "." #field " %zu\n", offsetof(type, field));
#define CONSTANT(name) printf(#name " %llu\n", (u64)name);

int main() {
  CONSTANT(PADDING_ROWS) CONSTANT(MAX_COLUMNS) CONSTANT(MAX_WORDS) CONSTANT(EMPTY) CONSTANT(BRUTE_THREADS)
  CONSTANT(SEGMENT_STEP) CONSTANT(ONES_THREADS) CONSTANT(ONES_COUNTS) CONSTANT(BAND_THREADS) CONSTANT(SCAN_THREADS)
  CONSTANT(SCAN_COUNTS) CONSTANT(MAX_BAND_WIDTH) CONSTANT(COLLAPSE_THREADS)
  SIZE(Column) FIELD(Column, left) FIELD(Column, right) FIELD(Column, words) FIELD(Column, radius)
  SIZE(Hits) FIELD(Hits, columns) FIELD(Hits, pairs) FIELD(Hits, distances) FIELD(Hits, counter)
  FIELD(Hits, capacity) FIELD(Hits, n_columns) FIELD(Hits, one_set)
  SIZE(Brute) FIELD(Brute, hits) FIELD(Brute, left) FIELD(Brute, right) FIELD(Brute, left_rows)
  FIELD(Brute, right_rows) FIELD(Brute, left_ones) FIELD(Brute, right_ones) FIELD(Brute, n_left)
  FIELD(Brute, n_right) FIELD(Brute, radius) FIELD(Brute, words) FIELD(Brute, first_block)
  FIELD(Brute, first_segment) FIELD(Brute, segment) FIELD(Brute, unused)
  SIZE(OnesSort) FIELD(OnesSort, hashes) FIELD(OnesSort, counts) FIELD(OnesSort, sorted) FIELD(OnesSort, rows)
  FIELD(OnesSort, ones) FIELD(OnesSort, n) FIELD(OnesSort, unused)
  SIZE(Band) FIELD(Band, word) FIELD(Band, start) FIELD(Band, width) FIELD(Band, tolerance)
  SIZE(BandSort) FIELD(BandSort, hashes) FIELD(BandSort, counts) FIELD(BandSort, sums) FIELD(BandSort, starts)
  FIELD(BandSort, ranks) FIELD(BandSort, sorted) FIELD(BandSort, rows) FIELD(BandSort, band) FIELD(BandSort, n)
  FIELD(BandSort, words)
  SIZE(BandProbe) FIELD(BandProbe, hits) FIELD(BandProbe, left) FIELD(BandProbe, left_rows) FIELD(BandProbe, right)
  FIELD(BandProbe, right_rows) FIELD(BandProbe, right_starts) FIELD(BandProbe, flips) FIELD(BandProbe, earlier)
  FIELD(BandProbe, band) FIELD(BandProbe, n_left) FIELD(BandProbe, n_flips) FIELD(BandProbe, n_earlier)
  FIELD(BandProbe, radius) FIELD(BandProbe, words) FIELD(BandProbe, first_block) FIELD(BandProbe, from)
  FIELD(BandProbe, to)
  SIZE(Collapse) FIELD(Collapse, columns) FIELD(Collapse, table) FIELD(Collapse, first) FIELD(Collapse, places)
  FIELD(Collapse, first_of) FIELD(Collapse, seed) FIELD(Collapse, mask) FIELD(Collapse, n_columns)
  FIELD(Collapse, first_row) FIELD(Collapse, count)
}
