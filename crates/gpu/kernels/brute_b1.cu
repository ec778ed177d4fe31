// Brute force by matrix instructions on bits, for sm_80 to sm_90, where they are native; later GPUs emulate them.
//
// No hash is expanded: |a & ~b| + |~a & b| is the distance, and one instruction does AND, POPC and the sum.
//   brute_b1_64, _128  a hash and its complement fill one instruction.
//   brute_b1_256       two instructions a pair.
//   brute_ones_256     one instruction: d <= r is |a & b| >= (|a| + |b| - r) / 2. Both sets are sorted by their number
//                      of ones before, so that the rows of a warp, and the columns of a step, have about the same
//                      number, and the smallest of each gives a threshold for the whole step. Where they differ, a few
//                      pairs too many are looked at, none too few.
// Results go through a minimum (a maximum for ones) over a step; only where it passes they are looked at. The minimum
// is cheaper than a start value of -r and the sign: instructions beside the matrix ones decide the speed.
#include "matrix.h"
#include "brute.h"

enum Test { LEAST, ONES };

// MF * 16 rows of a warp stay in registers; columns go by, NF * 8 a step, read one step ahead. No shared memory and no
// barrier: the warps of a block take the same columns at about the same time, from the first-level cache.
//
// At 64 bits lanes 0 and 1 of four hold the halves of a row, lanes 2 and 3 those of its complement; of a column the
// other way round.
template <int W, int MF, int NF, Test TEST> __device__ __forceinline__ void search_b1(const Brute& p) {
  static_assert(MF * NF <= 16, "a lane's results are bits of one word");
  static_assert(MF * 16 % SEGMENT_STEP == 0 && SEGMENT_STEP % (NF * 8) == 0, "the diagonal starts at a step");
  static_assert(TEST == LEAST || W == 4, "shorter hashes have room for their complement");
  typedef typename Quarter<W == 1 ? 2 : W>::T Part;
  constexpr int PARTS = W == 1 ? 2 : 4;
  u32 lane = lane_of_warp(), g = lane >> 2, t = lane & 3u;
  u32 row0 = ((p.first_block + blockIdx.y) * (BRUTE_THREADS / 32u) + threadIdx.x / 32u) * (16 * MF), col, end;
  if (!columns_of(p, row0, &col, &end)) return;
  const u32 flip = W == 1 && t < 2 ? 0xffffffffu : 0u;
  u32 a[MF][4], not_a[MF][4];
  const Part* rows = (const Part*)p.left + (u64)(row0 + g) * PARTS + t % PARTS;
#pragma unroll
  for (int m = 0; m < MF; m++) {
    Part x = rows[16 * m * PARTS], y = rows[(16 * m + 8) * PARTS];
    u32 invert = W == 1 ? ~flip : 0u;
    a[m][0] = (u32)x ^ invert;
    a[m][1] = (u32)y ^ invert;
    a[m][2] = W == 4 ? (u32)((u64)x >> 32) : ~(u32)x;
    a[m][3] = W == 4 ? (u32)((u64)y >> 32) : ~(u32)y;
#pragma unroll
    for (int q = 0; q < 4; q++) {
      not_a[m][q] = ~a[m][q];
      HOLD(a[m][q]);
      HOLD(not_a[m][q]);
    }
  }
  const int zero[4] = {0, 0, 0, 0};
  const int radius = radius_within<W>(p.radius);
  const int row_ones = TEST == ONES ? (int)p.left_ones[row0] + 1 - radius : 0;
  const Part* columns = (const Part*)p.right + (u64)(col + g) * PARTS + t % PARTS;
  Part next[NF];
  int next_ones = TEST == ONES ? (int)p.right_ones[col] : 0;
#pragma unroll
  for (int j = 0; j < NF; j++) next[j] = columns[8 * j * PARTS];
  for (; col < end; col += 8 * NF) {
    columns += 8 * NF * PARTS;
    Part b[NF];
#pragma unroll
    for (int j = 0; j < NF; j++) {
      b[j] = next[j];
      next[j] = columns[8 * j * PARTS];
    }
    // What a result must be at most, or (ones) at least.
    int limit = TEST == ONES ? (row_ones + next_ones) >> 1 : radius;
    if (TEST == ONES) next_ones = (int)p.right_ones[col + 8 * NF];
    int sum[MF][NF][4];
#pragma unroll
    for (int j = 0; j < NF; j++)
#pragma unroll
      for (int m = 0; m < MF; m++) {
        u32 low = (u32)b[j], high = (u32)((u64)b[j] >> 32);
        if constexpr (W == 1) mma_b1_128(sum[m][j], a[m][0], a[m][1], low ^ flip, zero);
        else if constexpr (W == 2) mma_b1(sum[m][j], a[m], ~low, low, zero);
        else if constexpr (TEST == ONES) mma_b1(sum[m][j], a[m], low, high, zero);
        else mma_b1(sum[m][j], a[m], ~low, ~high, zero);
      }
    if constexpr (W == 4 && TEST == LEAST) {
#pragma unroll
      for (int j = 0; j < NF; j++)
#pragma unroll
        for (int m = 0; m < MF; m++)
          mma_b1(sum[m][j], not_a[m], (u32)b[j], (u32)((u64)b[j] >> 32), sum[m][j]);
    }
    int best = TEST == ONES ? -1 : 0x7fffffff;
#pragma unroll
    for (int m = 0; m < MF; m++)
#pragma unroll
      for (int j = 0; j < NF; j++)
#pragma unroll
        for (int q = 0; q < 4; q++) {
          int x = sum[m][j][q];
          if (TEST == ONES) best = x > best ? x : best;
          else best = x < best ? x : best;
        }
    if (__any_sync(WARP, (int)(TEST == ONES ? best >= limit : best <= limit))) {
      u64 candidates = 0;
#pragma unroll
      for (int k = 0; k < MF * NF * 4; k++) {
        int x = sum[k / 4 / NF][k / 4 % NF][k % 4];
        candidates |= (u64)(TEST == ONES ? x >= limit : x <= limit) << k;
      }
      write_candidates<NF>(p, candidates, row0, col);
    }
  }
}

extern "C" {
__global__ void __launch_bounds__(BRUTE_THREADS, 4) brute_b1_64(const Brute p) { search_b1<1, 8, 2, LEAST>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 4) brute_b1_128(const Brute p) { search_b1<2, 4, 4, LEAST>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 4) brute_b1_256(const Brute p) { search_b1<4, 8, 1, LEAST>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 4) brute_ones_256(const Brute p) { search_b1<4, 8, 2, ONES>(p); }
}

// The sort by the number of ones: a counting sort of 257 buckets. A block counts in shared memory first, because most
// hashes have nearly the same number of ones and would wait for each other at one global counter.
typedef u32 OnesCounts[ONES_COUNTS];

__device__ __forceinline__ u32 ones_of(const u64* hash) {
  u32 ones = 0;
#pragma unroll
  for (int k = 0; k < 4; k++) ones += (u32)__popcll(hash[k]);
  return ones;
}

extern "C" {
__global__ void __launch_bounds__(ONES_THREADS) ones_count_256(const OnesSort p) {
  BLOCK_SHARED(OnesCounts, here);
  for (u32 b = threadIdx.x; b < ONES_COUNTS; b += ONES_THREADS) here[b] = 0;
  __syncthreads();
  u32 i = blockIdx.x * ONES_THREADS + threadIdx.x;
  if (i < p.n) atomicAdd(&here[ones_of(p.hashes + (u64)i * 4)], 1u);
  __syncthreads();
  for (u32 b = threadIdx.x; b < ONES_COUNTS; b += ONES_THREADS)
    if (here[b]) atomicAdd(&p.counts[b], here[b]);
}

// One thread: 257 additions are not worth more. Counts become starts.
__global__ void __launch_bounds__(1) ones_starts_256(const OnesSort p) {
  u32 at = 0;
  for (u32 b = 0; b < ONES_COUNTS; b++) {
    u32 count = p.counts[b];
    p.counts[b] = at;
    at += count;
  }
}

// The order within one number of ones is that of the atomics: it differs from run to run, the set of hits does not.
__global__ void __launch_bounds__(ONES_THREADS) ones_scatter_256(const OnesSort p) {
  BLOCK_SHARED(OnesCounts, here);
  BLOCK_SHARED(OnesCounts, from);
  for (u32 b = threadIdx.x; b < ONES_COUNTS; b += ONES_THREADS) here[b] = 0;
  __syncthreads();
  u32 i = blockIdx.x * ONES_THREADS + threadIdx.x, mine = 0, rank = 0;
  if (i < p.n) {
    mine = ones_of(p.hashes + (u64)i * 4);
    rank = atomicAdd(&here[mine], 1u);
  }
  __syncthreads();
  for (u32 b = threadIdx.x; b < ONES_COUNTS; b += ONES_THREADS)
    from[b] = here[b] ? atomicAdd(&p.counts[b], here[b]) : 0;
  __syncthreads();
  if (i >= p.n) return;
  u32 at = from[mine] + rank;
#pragma unroll
  for (int k = 0; k < 4; k++) p.sorted[(u64)at * 4 + k] = p.hashes[(u64)i * 4 + k];
  p.rows[at] = i;
  p.ones[at] = (u16)mine;
}
}
