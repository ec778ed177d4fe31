// A sample for the interpreter: all pairs within a radius by matrix instructions. A lane takes the t-th quarter of each
// hash, because the order of the K dimension is free as long as both operands agree on it.
//
// s8: B holds bits as 0 or 2^p (one AND a register), A the rows as +-2^(6-p): each product is +-64 or 0. With
// C = 64 (r - |a|) a result is 64 (r - d), exactly: not negative for a hit.
//
// b1: |a & ~b| + |~a & b| = d, both by AND and POPC. At 64 and 128 bits a hash and its complement fill one instruction;
// at 256 bits it takes two. The minimum over a step's results tells whether there is a hit.
//
// ones: 256 bits in one instruction: d <= r is |a & b| >= (|a| + |b| - r) / 2. Hashes are sorted by their number of
// ones first, so that one threshold serves a step. Where the numbers differ a few pairs too many are looked at, none
// too few.
//
// BT_PAD rows must be readable behind the last one; what they hold does not matter.
#pragma once
#include "clang.h"
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;

#define BT_PAD 1024u

struct BtParams {
  const u64* hash;  // n * W words, row after row; for `ones` sorted by their number of ones
  const u32* id;    // n: the hash in each row; 0: the row itself
  const u16* ones;  // n + BT_PAD: the number of ones of each row (`ones` alone)
  u64* out_pair;    // cap: (smaller row << 32) | larger row
  u16* out_dist;    // cap
  u64* counter;     // pairs found, also those that did not fit
  u64 cap;
  u32 n;
  u32 radius;
  u32 first_block;  // blockIdx.y counts from here: a launch does a slice, so that a search can be cancelled between two
  u32 segment;      // columns of a block, a multiple of 64; blockIdx.x counts them
};

// Makes a value opaque, so that it stays in a register and is not computed again inside the loop.
#define BT_HOLD(x) asm volatile("" : "+r"(x))

__device__ __forceinline__ void bt_mma_s8(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, const int (&c)[4]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}
__device__ __forceinline__ void bt_mma_b1(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, const int (&c)[4]) {
  asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%10,%11,%12,%13};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}
__device__ __forceinline__ void bt_mma_b1_128(int (&d)[4], u32 a0, u32 a1, u32 b0, const int (&c)[4]) {
  asm("mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a0), "r"(a1), "r"(b0), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}

// A quarter of a hash.
template <int W>
struct BtQuarter;
template <>
struct BtQuarter<4> {
  typedef u64 T;
};
template <>
struct BtQuarter<2> {
  typedef u32 T;
};
template <>
struct BtQuarter<1> {
  typedef u16 T;
};

// ---- rows, columns, hits: the same for all kernels
// ---------------------------------------------------------------------

// What a warp has to do: rows from row0 on, columns [col, end) in steps of STEP, which do not reach over a segment's
// end. False: nothing above the diagonal.
template <int ROWS, int STEP>
__device__ __forceinline__ bool bt_place(const BtParams& p, u32* row0, u32* col, u32* end) {
  *row0 = ((p.first_block + blockIdx.y) * (blockDim.x / 32u) + threadIdx.x / 32u) * ROWS;
  u32 s0 = blockIdx.x * p.segment;
  *end = p.n - s0 < p.segment ? p.n : s0 + p.segment;
  *col = s0 > *row0 ? s0 : *row0 / STEP * STEP;
  return *row0 < p.n && *col < *end;
}

template <int W>
__device__ __forceinline__ u32 bt_distance(const u64* hash, u32 i, u32 j) {
  u32 d = 0;
#pragma unroll
  for (int k = 0; k < W; k++) d += (u32)__popcll(hash[(u64)i * W + k] ^ hash[(u64)j * W + k]);
  return d;
}

// Rare, so out of line. Bit (m * NF + j) * 4 + q of hits: result q of row fragment m and column fragment j.
template <int W, int NF>
__device__ __noinline__ void bt_emit(const BtParams& p, u64 hits, u32 row0, u32 col0) {
  u32 lane = threadIdx.x & 31u, g = lane >> 2, t = lane & 3u;
  while (hits) {
    u32 k = (u32)__popcll((hits & (0ull - hits)) - 1ull);
    hits &= hits - 1ull;
    u32 q = k & 3u, fragment = k >> 2;
    u32 i = row0 + fragment / NF * 16u + g + (q >> 1) * 8u, j = col0 + fragment % NF * 8u + 2u * t + (q & 1u);
    if (i >= j || j >= p.n) continue;  // each pair once; padding never
    u32 d = bt_distance<W>(p.hash, i, j);
    if (d > p.radius) continue;
    u64 at = atomicAdd(p.counter, (u64)1);
    if (at < p.cap) {
      u32 a = p.id ? p.id[i] : i, b = p.id ? p.id[j] : j;
      p.out_pair[at] = a < b ? ((u64)a << 32) | b : ((u64)b << 32) | a;
      p.out_dist[at] = (u16)d;
    }
  }
}

// ---- s8
// ----------------------------------------------------------------------------------------------------------------

// Which bits of a quarter register i (0 .. 4W-1) holds, one a byte. Bit 7 is moved down first: +128 is no s8. At 64
// bits the two bytes of a quarter stand twice in a register, for two bits each.
template <int W>
__device__ __forceinline__ u32 bt_mask(int i) {
  if (W == 1) return i < 3 ? 0x02020101u << (2 * i) : 0x40402020u;
  int p = W == 4 ? i / 2 : i;
  return p < 7 ? 0x01010101u << p : 0x40404040u;
}
template <int W>
__device__ __forceinline__ u32 bt_select(typename BtQuarter<W>::T x, int i) {
  u32 w = W == 1 ? (u32)x * 0x10001u : W == 4 && (i & 1) ? (u32)((u64)x >> 32) : (u32)x;
  constexpr int last = W == 1 ? 3 : W == 4 ? 14 : 7;
  return (i < last ? w : w >> 1) & bt_mask<W>(i);
}
// The same bits of a row: +-64/v in each byte, v being what the byte holds for a set bit of a column.
template <int W>
__device__ __forceinline__ u32 bt_signed(typename BtQuarter<W>::T x, int i) {
  u32 mask = bt_mask<W>(i), plus = 0, minus = 0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    u32 v = mask >> (8 * k) & 255u;
    plus |= (64u / v) << (8 * k);
    minus |= (256u - 64u / v) << (8 * k);
  }
  u32 clear = ((((bt_select<W>(x, i) ^ mask) + 0x7f7f7f7fu) & 0x80808080u) >> 7) * 255u;  // 255 where the bit is 0
  return (clear & minus) | (~clear & plus);
}

// MF * 16 rows a warp stay in registers; columns go by, NF * 8 at a time, read one step ahead. No shared memory, no
// barrier: the warps of a block take the same columns at about the same time, so that they come from the first-level
// cache.
template <int W, int MF, int NF>
__device__ __forceinline__ void bt_s8(const BtParams& p) {
  static_assert(MF * NF <= 16, "a lane's results are bits of one word");
  typedef typename BtQuarter<W>::T Quarter;
  constexpr int KS = 2 * W;  // steps of 32 bits
  u32 lane = threadIdx.x & 31u, g = lane >> 2, t = lane & 3u;
  u32 row0, col, end;
  if (!bt_place<16 * MF, 8 * NF>(p, &row0, &col, &end)) return;
  u32 a[MF][KS][4];
  int c[MF][4];
  const Quarter* rows = (const Quarter*)p.hash + (u64)(row0 + g) * 4 + t;
#pragma unroll
  for (int m = 0; m < MF; m++) {
    Quarter x = rows[16 * m * 4], y = rows[(16 * m + 8) * 4];
#pragma unroll
    for (int s = 0; s < KS; s++) {
      a[m][s][0] = bt_signed<W>(x, 2 * s);
      a[m][s][1] = bt_signed<W>(y, 2 * s);
      a[m][s][2] = bt_signed<W>(x, 2 * s + 1);
      a[m][s][3] = bt_signed<W>(y, 2 * s + 1);
#pragma unroll
      for (int q = 0; q < 4; q++) BT_HOLD(a[m][s][q]);
    }
    u32 ones = (u32)__popcll((u64)x) | (u32)__popcll((u64)y) << 16;  // then summed over the four lanes of a row
    ones += __shfl_sync(0xffffffffu, ones, (int)(lane ^ 1u));
    ones += __shfl_sync(0xffffffffu, ones, (int)(lane ^ 2u));
    c[m][0] = c[m][1] = 64 * ((int)p.radius - (int)(ones & 0xffffu));
    c[m][2] = c[m][3] = 64 * ((int)p.radius - (int)(ones >> 16));
#pragma unroll
    for (int q = 0; q < 4; q++) BT_HOLD(c[m][q]);
  }
  const Quarter* columns = (const Quarter*)p.hash + (u64)(col + g) * 4 + t;
  Quarter next[NF];
#pragma unroll
  for (int j = 0; j < NF; j++) next[j] = columns[8 * j * 4];
  for (; col < end; col += 8 * NF) {
    columns += 8 * NF * 4;
    Quarter b[NF];
#pragma unroll
    for (int j = 0; j < NF; j++) {
      b[j] = next[j];
      next[j] = columns[8 * j * 4];
    }
    int acc[MF][NF][4];
#pragma unroll
    for (int s = 0; s < KS; s++)
#pragma unroll
      for (int j = 0; j < NF; j++) {
        u32 b0 = bt_select<W>(b[j], 2 * s), b1 = bt_select<W>(b[j], 2 * s + 1);
#pragma unroll
        for (int m = 0; m < MF; m++) bt_mma_s8(acc[m][j], a[m][s], b0, b1, s == 0 ? c[m] : acc[m][j]);
      }
    int run = -1;
#pragma unroll
    for (int m = 0; m < MF; m++)
#pragma unroll
      for (int j = 0; j < NF; j++) run &= acc[m][j][0] & acc[m][j][1], run &= acc[m][j][2] & acc[m][j][3];
    if (run >= 0) {
      u64 hits = 0;
#pragma unroll
      for (int k = 0; k < MF * NF * 4; k++) hits |= (u64)(acc[k / 4 / NF][k / 4 % NF][k % 4] >= 0) << k;
      bt_emit<W, NF>(p, hits, row0, col);
    }
  }
}

// ---- b1
// ----------------------------------------------------------------------------------------------------------------

// The same with one instruction for a whole hash, or two; KIND: BT_LEAST or (256 bits) BT_ONES. At 64 bits lanes 0 and
// 1 of four hold the halves of a row's hash, lanes 2 and 3 those of its complement, and of a column's the other way
// round.
enum BtKind { BT_LEAST, BT_ONES };

template <int W, int MF, int NF, int KIND = BT_LEAST>
__device__ __forceinline__ void bt_b1(const BtParams& p) {
  static_assert(MF * NF <= 16, "a lane's results are bits of one word");
  static_assert(KIND == BT_LEAST || W == 4, "");
  typedef typename BtQuarter<W == 1 ? 2 : W>::T Part;
  constexpr int PARTS = W == 1 ? 2 : 4;
  u32 lane = threadIdx.x & 31u, g = lane >> 2, t = lane & 3u;
  u32 row0, col, end;
  if (!bt_place<16 * MF, 8 * NF>(p, &row0, &col, &end)) return;
  const u32 flip = W == 1 && t < 2 ? 0xffffffffu : 0u;
  u32 a[MF][4], not_a[MF][4];
  const Part* rows = (const Part*)p.hash + (u64)(row0 + g) * PARTS + t % PARTS;
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
      BT_HOLD(a[m][q]);
      BT_HOLD(not_a[m][q]);
    }
  }
  const int zero[4] = {0, 0, 0, 0};
  const int least_ones = KIND == BT_ONES ? (int)p.ones[row0] + 1 - (int)p.radius : 0;
  const Part* columns = (const Part*)p.hash + (u64)(col + g) * PARTS + t % PARTS;
  Part next[NF];
  int next_ones = KIND == BT_ONES ? (int)p.ones[col] : 0;
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
    int limit = KIND == BT_ONES ? (least_ones + next_ones) >> 1 : (int)p.radius;
    if (KIND == BT_ONES) next_ones = (int)p.ones[col + 8 * NF];
    int acc[MF][NF][4];
#pragma unroll
    for (int j = 0; j < NF; j++)
#pragma unroll
      for (int m = 0; m < MF; m++) {
        u32 lo = (u32)b[j], hi = (u32)((u64)b[j] >> 32);
        if constexpr (W == 1)
          bt_mma_b1_128(acc[m][j], a[m][0], a[m][1], lo ^ flip, zero);
        else if constexpr (W == 2)
          bt_mma_b1(acc[m][j], a[m], ~lo, lo, zero);
        else if constexpr (KIND == BT_ONES)
          bt_mma_b1(acc[m][j], a[m], lo, hi, zero);
        else
          bt_mma_b1(acc[m][j], a[m], ~lo, ~hi, zero);
      }
    if constexpr (W == 4 && KIND == BT_LEAST) {
#pragma unroll
      for (int j = 0; j < NF; j++)
#pragma unroll
        for (int m = 0; m < MF; m++) bt_mma_b1(acc[m][j], not_a[m], (u32)b[j], (u32)((u64)b[j] >> 32), acc[m][j]);
    }
    int run = KIND == BT_ONES ? -1 : 0x7fffffff;
#pragma unroll
    for (int m = 0; m < MF; m++)
#pragma unroll
      for (int j = 0; j < NF; j++)
#pragma unroll
        for (int q = 0; q < 4; q++) {
          int x = acc[m][j][q];
          if (KIND == BT_ONES)
            run = x > run ? x : run;
          else
            run = x < run ? x : run;
        }
    if (KIND == BT_ONES ? run >= limit : run <= limit) {
      u64 hits = 0;
#pragma unroll
      for (int k = 0; k < MF * NF * 4; k++) {
        int x = acc[k / 4 / NF][k / 4 % NF][k % 4];
        hits |= (u64)(KIND == BT_ONES ? x >= limit : x <= limit) << k;
      }
      bt_emit<W, NF>(p, hits, row0, col);
    }
  }
}

// Sorting by the number of ones, 0 to 64 W: counts, where each number begins, rows in their places. The three are
// launched one after another; `counts` is 64 W + 1 zeros before. Blocks of BT_SORT threads.
#define BT_SORT 256u
template <int W>
__device__ __forceinline__ u32 bt_count_ones(const u64* hash, u32 i) {
  u32 ones = 0;
#pragma unroll
  for (int k = 0; k < W; k++) ones += (u32)__popcll(hash[(u64)i * W + k]);
  return ones;
}
template <int W>
__device__ __forceinline__ void bt_ones_count(const u64* hash, u32 n, u32* counts) {
  __shared__ u32 here[64 * W + 1];
  for (u32 b = threadIdx.x; b <= 64 * W; b += BT_SORT) here[b] = 0;
  __syncthreads();
  u32 i = blockIdx.x * BT_SORT + threadIdx.x;
  if (i < n) atomicAdd(&here[bt_count_ones<W>(hash, i)], 1u);
  __syncthreads();
  for (u32 b = threadIdx.x; b <= 64 * W; b += BT_SORT)
    if (here[b]) atomicAdd(&counts[b], here[b]);
}
template <int W>
__device__ __forceinline__ void bt_ones_starts(u32* counts) {  // one thread; counts become starts
  u32 at = 0;
  for (u32 b = 0; b <= 64 * W; b++) {
    u32 c = counts[b];
    counts[b] = at;
    at += c;
  }
}
template <int W>
__device__ __forceinline__ void bt_ones_scatter(const u64* hash, u32 n, u32* next, u64* sorted, u32* id, u16* ones) {
  __shared__ u32 here[64 * W + 1], from[64 * W + 1];
  for (u32 b = threadIdx.x; b <= 64 * W; b += BT_SORT) here[b] = 0;
  __syncthreads();
  u32 i = blockIdx.x * BT_SORT + threadIdx.x, mine = 0, rank = 0;
  if (i < n) rank = atomicAdd(&here[mine = bt_count_ones<W>(hash, i)], 1u);
  __syncthreads();
  for (u32 b = threadIdx.x; b <= 64 * W; b += BT_SORT) from[b] = here[b] ? atomicAdd(&next[b], here[b]) : 0;
  __syncthreads();
  if (i >= n) return;
  u32 at = from[mine] + rank;
#pragma unroll
  for (int k = 0; k < W; k++) sorted[(u64)at * W + k] = hash[(u64)i * W + k];
  id[at] = i;
  ones[at] = (u16)mine;
}
