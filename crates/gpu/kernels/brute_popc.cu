// Brute force by POPC, for GPUs whose matrix instructions do not serve, for hashes of any number of words, and as the
// yardstick of the other brute-force kernels.
//
// Each thread holds rows in registers; the block's columns stand in shared memory and are read by all lanes at once.
// A group of columns is tested by the minimum over all its pairs, so that a pair costs one minimum and its POPCs;
// only where that passes, the group's pairs are looked at one by one.
//   brute_popc_*    the minimum is that of the distances.
//   brute_fold_*    that of a lower bound: words of a ^ b are OR-ed before they are counted (64 bits: 1 POPC instead of
//                   2, 256: 2 instead of 8). Random hashes differ in 3/4 (15/16) of the folded bits: for small radii
//                   only, at most 10 of 64, 12 of 128, 31 of 256 bits; beyond that they are right and slow.
//   brute_popc_any  any number of words, up to MAX_WORDS.
#include "device.h"
#include "brute.h"

constexpr u32 TILE = 256;  // columns in shared memory
constexpr u32 GROUP = 16;  // columns tested together; divides SEGMENT_STEP

enum Bound { EXACT, FOLD };

__device__ __forceinline__ u32 fold(u64 x) { return (u32)x | (u32)(x >> 32); }

template <int W, Bound BOUND> __device__ __forceinline__ u32 bound_of(const u64 (&a)[W], const u64 (&b)[W]) {
  if constexpr (BOUND == FOLD && W == 1) return (u32)__popc(fold(a[0] ^ b[0]));
  else if constexpr (BOUND == FOLD && W == 2) return (u32)(__popc(fold(a[0] ^ b[0])) + __popc(fold(a[1] ^ b[1])));
  else if constexpr (BOUND == FOLD)
    return (u32)__popcll((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
  else {
    u32 d = 0;
#pragma unroll
    for (int k = 0; k < W; k++) d += (u32)__popcll(a[k] ^ b[k]);
    return d;
  }
}

// The candidates of a thread among a group's columns; bit 16 r + k: row i + r * BRUTE_THREADS and column j + k. All
// lanes call it together.
__device__ __forceinline__ void write_group(const Brute& p, u64 candidates, u32 i, u32 j) {
  while (__any_sync(WARP, (int)(candidates != 0))) {
    bool keep = candidates != 0;
    u32 left = i, right = j;
    if (keep) {
      u32 k = (u32)__ffsll((long long)candidates) - 1u;
      candidates &= candidates - 1ull;
      left += k / GROUP * BRUTE_THREADS;
      right += k % GROUP;
      keep = is_pair(p, left, right);
    }
    write_hits(p.hits, keep, left, right);
  }
}

// R rows a thread. The threads of a block go through the same columns, so that barriers meet.
template <int W, int R, Bound BOUND> __device__ __forceinline__ void search_popc(const Brute& p) {
  static_assert(BRUTE_THREADS * R % SEGMENT_STEP == 0 && SEGMENT_STEP % GROUP == 0, "the diagonal starts at a group");
  static_assert(GROUP * R <= 64, "a thread's candidates are bits of one word");
  typedef u64 Tile[TILE * W];
  BLOCK_SHARED(Tile, tile);
  u32 row0 = (p.first_block + blockIdx.y) * (BRUTE_THREADS * R), col, end;
  if (!columns_of(p, row0, &col, &end)) return;
  u64 row[R][W];
#pragma unroll
  for (int r = 0; r < R; r++)
#pragma unroll
    for (int k = 0; k < W; k++) row[r][k] = p.left[(u64)(row0 + r * BRUTE_THREADS + threadIdx.x) * W + k];
  for (; col < end; col += TILE) {
    __syncthreads();
    for (u32 k = threadIdx.x; k < TILE * W; k += BRUTE_THREADS) tile[k] = p.right[(u64)col * W + k];
    __syncthreads();
    u32 columns = end - col < TILE ? end - col : TILE;
    for (u32 c = 0; c < columns; c += GROUP) {
      u32 least = 0xffffffffu;
#pragma unroll
      for (u32 k = 0; k < GROUP; k++) {
        u64 b[W];
#pragma unroll
        for (int w = 0; w < W; w++) b[w] = tile[(c + k) * W + w];
#pragma unroll
        for (int r = 0; r < R; r++) {
          u32 d = bound_of<W, BOUND>(row[r], b);
          least = d < least ? d : least;
        }
      }
      if (__any_sync(WARP, (int)(least <= p.radius))) {
        u64 candidates = 0;
#pragma unroll 1
        for (u32 k = 0; k < GROUP; k++)
#pragma unroll
          for (int r = 0; r < R; r++) {
            u32 d = 0;
#pragma unroll
            for (int w = 0; w < W; w++) d += (u32)__popcll(row[r][w] ^ tile[(c + k) * W + w]);
            candidates |= (u64)(d <= p.radius) << (GROUP * r + k);
          }
        write_group(p, candidates, row0 + threadIdx.x, col + c);
      }
    }
  }
}

extern "C" {
__global__ void __launch_bounds__(BRUTE_THREADS, 5) brute_popc_64(const Brute p) { search_popc<1, 4, EXACT>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 5) brute_popc_128(const Brute p) { search_popc<2, 4, EXACT>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 4) brute_popc_256(const Brute p) { search_popc<4, 2, EXACT>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 5) brute_fold_64(const Brute p) { search_popc<1, 4, FOLD>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 5) brute_fold_128(const Brute p) { search_popc<2, 4, FOLD>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 5) brute_fold_256(const Brute p) { search_popc<4, 4, FOLD>(p); }

// One row a thread. The words of a row are read once a group, from the first-level cache: a number of words that is
// known at run time alone cannot be held in registers.
__global__ void __launch_bounds__(BRUTE_THREADS, 5) brute_popc_any(const Brute p) {
  constexpr u32 COLUMNS = 64;
  typedef u64 Tile[COLUMNS * MAX_WORDS];
  BLOCK_SHARED(Tile, tile);
  u32 row0 = (p.first_block + blockIdx.y) * BRUTE_THREADS, col, end;
  if (!columns_of(p, row0, &col, &end)) return;
  u32 i = row0 + threadIdx.x;
  const u64* row = p.left + (u64)i * p.words;
  for (; col < end; col += COLUMNS) {
    __syncthreads();
    for (u32 k = threadIdx.x; k < COLUMNS * p.words; k += BRUTE_THREADS) tile[k] = p.right[(u64)col * p.words + k];
    __syncthreads();
    u32 columns = end - col < COLUMNS ? end - col : COLUMNS;
    for (u32 c = 0; c < columns; c += GROUP) {
      u32 d[GROUP] = {};
      for (u32 w = 0; w < p.words; w++) {
        u64 word = row[w];
#pragma unroll
        for (u32 k = 0; k < GROUP; k++) d[k] += (u32)__popcll(word ^ tile[(c + k) * p.words + w]);
      }
      u32 candidates = 0;
#pragma unroll
      for (u32 k = 0; k < GROUP; k++) candidates |= (u32)(d[k] <= p.radius) << k;
      if (__any_sync(WARP, (int)(candidates != 0))) write_group(p, candidates, i, col + c);
    }
  }
}
}
