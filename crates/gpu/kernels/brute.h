// What the brute-force kernels have in common: which rows and columns a warp or block takes, and how candidates of a
// matrix kernel become hits. In these kernels a *row* is a hash of the left set and a *column* one of the right set.
//
// Invariant: a launch of all blocks and segments meets each pair of places once; within one set it meets the pairs
// above the diagonal, and may meet others that are then dropped.
#pragma once
#include "hits.h"

// The part of a tile's work that `first_row` has: columns [*col, *end), in steps that divide SEGMENT_STEP.
// False: there is none.
__device__ __forceinline__ bool columns_of(const Brute& p, u32 first_row, u32* col, u32* end) {
  u32 start = (p.first_segment + blockIdx.x) * p.segment;
  if (first_row >= p.n_left || start >= p.n_right) return false;
  *end = p.n_right - start < p.segment ? p.n_right : start + p.segment;
  *col = p.hits.one_set && start < first_row ? first_row : start;
  return *col < *end;
}

// Whether places i and j are a pair to be looked at. Padding never is.
__device__ __forceinline__ bool is_pair(const Brute& p, u32 i, u32 j) {
  return i < p.n_left && j < p.n_right && (!p.hits.one_set || i < j);
}

// A radius that a sum of a hash's bits reaches, and no more, so that arithmetic on it does not overflow.
template <int W> __device__ __forceinline__ int radius_within(u32 radius) {
  return radius < 64u * W ? (int)radius : 64 * W;
}

// Candidates of a warp's matrix tile whose first row and column are row0 and col0. Bit (m * NF + j) * 4 + q of a lane's
// `candidates`: its result q in row fragment m and column fragment j. All lanes call it together.
template <int NF> __device__ __forceinline__ void write_candidates(const Brute& p, u64 candidates, u32 row0, u32 col0) {
  u32 lane = lane_of_warp(), g = lane >> 2, t = lane & 3u;
  while (__any_sync(WARP, (int)(candidates != 0))) {
    bool keep = candidates != 0;
    u32 i = 0, j = 0;
    if (keep) {
      u32 k = (u32)__ffsll((long long)candidates) - 1u, q = k & 3u, fragment = k >> 2;
      candidates &= candidates - 1ull;
      i = row0 + fragment / NF * 16u + g + (q >> 1) * 8u;
      j = col0 + fragment % NF * 8u + 2u * t + (q & 1u);
      keep = is_pair(p, i, j);
      if (keep && p.left_rows) i = p.left_rows[i];
      if (keep && p.right_rows) j = p.right_rows[j];
    }
    write_hits(p.hits, keep, i, j);
  }
}
