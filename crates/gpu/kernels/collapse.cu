// Rows that are equal in all columns, and the first of each group of them: an open-addressing table of rows.
//
// collapse_insert finds for each row the entry of its group and notes the group's smallest row; collapse_first, when
// all rows are in, writes it for each row. The order in which threads come decides which row of a group stands in the
// table and where, not the result.
//
// Invariant: an entry that is not EMPTY never changes, so that a stale EMPTY is the only wrong value that a plain
// read can give, and the compare-and-swap corrects it.
#include "device.h"
#include "hits.h"

__device__ __forceinline__ u64 mix(u64 hash, u64 word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
  return hash ^ (hash >> 32);
}

__device__ __forceinline__ u32 place_of(const Collapse& p, u32 row) {
  u64 hash = p.seed;
  for (u32 c = 0; c < p.n_columns; c++) {
    Column column = p.columns[c];
    const u64* words = column.left + (u64)row * column.words;
    for (u32 k = 0; k < column.words; k++) hash = mix(hash, words[k]);
  }
  return (u32)mix(hash, 0) & p.mask;
}

__device__ __forceinline__ bool are_equal(const Collapse& p, u32 a, u32 b) {
  for (u32 c = 0; c < p.n_columns; c++) {
    Column column = p.columns[c];
    const u64* x = column.left + (u64)a * column.words;
    const u64* y = column.left + (u64)b * column.words;
    for (u32 k = 0; k < column.words; k++)
      if (x[k] != y[k]) return false;
  }
  return true;
}

extern "C" {
__global__ void __launch_bounds__(COLLAPSE_THREADS) collapse_insert(const Collapse p) {
  u32 at = blockIdx.x * COLLAPSE_THREADS + threadIdx.x;
  if (at >= p.count) return;
  u32 row = p.first_row + at, place = place_of(p, row);
  for (;; place = (place + 1) & p.mask) {
    u32 there = load_relaxed(&p.table[place]);
    if (there == EMPTY) there = atomicCAS(&p.table[place], EMPTY, row);
    if (there == EMPTY || are_equal(p, there, row)) break;
  }
  p.places[row] = place;
  // A million equal rows are nothing unusual: most of them find a smaller one there, and spare the atomic.
  if (load_relaxed(&p.first[place]) > row) atomicMin(&p.first[place], row);
}

__global__ void __launch_bounds__(COLLAPSE_THREADS) collapse_first(const Collapse p) {
  u32 at = blockIdx.x * COLLAPSE_THREADS + threadIdx.x;
  if (at >= p.count) return;
  u32 row = p.first_row + at;
  p.first_of[row] = p.first[p.places[row]];
}
}
