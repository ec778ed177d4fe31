// The check of a pair in all columns, and its way into the result: the one function that every search ends in.
//
// Invariant: a pair is counted where all its columns are within their radii, whether it is written or not, so that the
// counter tells the host what capacity the slice needs.
#pragma once
#include "search.h"

constexpr u32 WARP = 0xffffffffu;  // all lanes

__device__ __forceinline__ u32 lane_of_warp() { return threadIdx.x & 31u; }

__device__ __forceinline__ u32 distance(const u64* a, const u64* b, u32 words) {
  u32 d = 0;
  for (u32 k = 0; k < words; k++) d += (u32)__popcll(a[k] ^ b[k]);
  return d;
}

// All lanes of a warp call it together, each with a pair of rows of the original arrays or, where `keep` is false,
// none. A lane that checked pairs of its own would make the other 31 wait through its reads; together they wait once,
// and one atomic addition counts for all.
__device__ __forceinline__ void write_hits(const Hits& hits, bool keep, u32 left, u32 right) {
  u64 low = 0, high = 0;  // distances of columns 0 to 3 and 4 to 7, 16 bits each: an array would live in memory
  if (keep) {
    for (u32 c = 0; c < hits.n_columns; c++) {
      Column column = hits.columns[c];
      u32 d = distance(column.left + (u64)left * column.words, column.right + (u64)right * column.words, column.words);
      keep = d <= column.radius;
      if (!keep) break;
      if (c < 4) low |= (u64)d << (16 * c);
      else high |= (u64)d << (16 * (c - 4));
    }
  }
  u32 kept = __ballot_sync(WARP, (int)keep);
  if (kept == 0) return;
  u32 lane = lane_of_warp();
  u64 at = 0;
  if (lane == 0) at = atomicAdd(hits.counter, (u64)__popc(kept));
  at = __shfl_sync(WARP, at, 0) + (u64)__popc(kept & ((1u << lane) - 1u));
  if (!keep || at >= hits.capacity) return;
  bool swap = hits.one_set && left > right;
  hits.pairs[at] = ((u64)(swap ? right : left) << 32) | (swap ? left : right);
  u16* to = hits.distances + at * hits.n_columns;
  for (u32 c = 0; c < hits.n_columns; c++) to[c] = (u16)((c < 4 ? low : high) >> (16 * (c & 3u)));
}
