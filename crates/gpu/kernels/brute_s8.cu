// Brute force by matrix instructions on bytes, for GPUs later than sm_90, where those on bits are emulated.
//
// Bits travel; bytes exist in registers alone: each lane expands the bits that it holds. A column's bits stand as 0
// or 2^p (one AND a register), a row's as +-2^(6-p), so that each product is +-64 or 0. With a start value of 64 (r -
// |a|) a result is 64 (r - d), exactly: not negative for a hit. The sign of an AND over a step's results tells
// whether there is one among them.
#include "matrix.h"
#include "brute.h"

// Which bits of a quarter register i (0 to 4W - 1) holds, one a byte. Bit 7 is moved down first: +128 is no s8. At 64
// bits the two bytes of a quarter stand twice in a register, for two bits each.
template <int W> __device__ __forceinline__ u32 mask_of(int i) {
  if (W == 1) return i < 3 ? 0x02020101u << (2 * i) : 0x40402020u;
  int p = W == 4 ? i / 2 : i;
  return p < 7 ? 0x01010101u << p : 0x40404040u;
}

template <int W> __device__ __forceinline__ u32 column_bytes(typename Quarter<W>::T x, int i) {
  u32 word = W == 1 ? (u32)x * 0x10001u : W == 4 && (i & 1) ? (u32)((u64)x >> 32) : (u32)x;
  constexpr int last = W == 1 ? 3 : W == 4 ? 14 : 7;
  return (i < last ? word : word >> 1) & mask_of<W>(i);
}

// The same bits of a row: +-64/v in each byte, v being what the byte of a column holds for a set bit.
template <int W> __device__ __forceinline__ u32 row_bytes(typename Quarter<W>::T x, int i) {
  u32 mask = mask_of<W>(i), plus = 0, minus = 0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    u32 v = mask >> (8 * k) & 255u;
    plus |= (64u / v) << (8 * k);
    minus |= (256u - 64u / v) << (8 * k);
  }
  u32 clear = ((((column_bytes<W>(x, i) ^ mask) + 0x7f7f7f7fu) & 0x80808080u) >> 7) * 255u;  // 255 where the bit is 0
  return (clear & minus) | (~clear & plus);
}

// MF * 16 rows of a warp stay in registers; columns go by, NF * 8 a step, read one step ahead, as in brute_b1.cu.
template <int W, int MF, int NF> __device__ __forceinline__ void search_s8(const Brute& p) {
  static_assert(MF * NF <= 16, "a lane's results are bits of one word");
  static_assert(MF * 16 % SEGMENT_STEP == 0 && SEGMENT_STEP % (NF * 8) == 0, "the diagonal starts at a step");
  typedef typename Quarter<W>::T Part;
  constexpr int STEPS = 2 * W;  // of 32 bits
  u32 lane = lane_of_warp(), g = lane >> 2, t = lane & 3u;
  u32 row0 = ((p.first_block + blockIdx.y) * (BRUTE_THREADS / 32u) + threadIdx.x / 32u) * (16 * MF), col, end;
  if (!columns_of(p, row0, &col, &end)) return;
  const int radius = radius_within<W>(p.radius);
  u32 a[MF][STEPS][4];
  int start[MF][4];
  const Part* rows = (const Part*)p.left + (u64)(row0 + g) * 4 + t;
#pragma unroll
  for (int m = 0; m < MF; m++) {
    Part x = rows[16 * m * 4], y = rows[(16 * m + 8) * 4];
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
      a[m][s][0] = row_bytes<W>(x, 2 * s);
      a[m][s][1] = row_bytes<W>(y, 2 * s);
      a[m][s][2] = row_bytes<W>(x, 2 * s + 1);
      a[m][s][3] = row_bytes<W>(y, 2 * s + 1);
#pragma unroll
      for (int q = 0; q < 4; q++) HOLD(a[m][s][q]);
    }
    u32 ones = (u32)__popcll((u64)x) | (u32)__popcll((u64)y) << 16;  // then summed over the four lanes of a row
    ones += __shfl_sync(WARP, ones, (int)(lane ^ 1u));
    ones += __shfl_sync(WARP, ones, (int)(lane ^ 2u));
    start[m][0] = start[m][1] = 64 * (radius - (int)(ones & 0xffffu));
    start[m][2] = start[m][3] = 64 * (radius - (int)(ones >> 16));
#pragma unroll
    for (int q = 0; q < 4; q++) HOLD(start[m][q]);
  }
  const Part* columns = (const Part*)p.right + (u64)(col + g) * 4 + t;
  Part next[NF];
#pragma unroll
  for (int j = 0; j < NF; j++) next[j] = columns[8 * j * 4];
  for (; col < end; col += 8 * NF) {
    columns += 8 * NF * 4;
    Part b[NF];
#pragma unroll
    for (int j = 0; j < NF; j++) {
      b[j] = next[j];
      next[j] = columns[8 * j * 4];
    }
    int sum[MF][NF][4];
#pragma unroll
    for (int s = 0; s < STEPS; s++)
#pragma unroll
      for (int j = 0; j < NF; j++) {
        u32 b0 = column_bytes<W>(b[j], 2 * s), b1 = column_bytes<W>(b[j], 2 * s + 1);
#pragma unroll
        for (int m = 0; m < MF; m++) mma_s8(sum[m][j], a[m][s], b0, b1, s == 0 ? start[m] : sum[m][j]);
      }
    int all = -1;
#pragma unroll
    for (int m = 0; m < MF; m++)
#pragma unroll
      for (int j = 0; j < NF; j++) all &= sum[m][j][0] & sum[m][j][1], all &= sum[m][j][2] & sum[m][j][3];
    if (__any_sync(WARP, (int)(all >= 0))) {
      u64 candidates = 0;
#pragma unroll
      for (int k = 0; k < MF * NF * 4; k++) candidates |= (u64)(sum[k / 4 / NF][k / 4 % NF][k % 4] >= 0) << k;
      write_candidates<NF>(p, candidates, row0, col);
    }
  }
}

extern "C" {
__global__ void __launch_bounds__(BRUTE_THREADS, 2) brute_s8_64(const Brute p) { search_s8<1, 8, 2>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 2) brute_s8_128(const Brute p) { search_s8<2, 4, 2>(p); }
__global__ void __launch_bounds__(BRUTE_THREADS, 2) brute_s8_256(const Brute p) { search_s8<4, 4, 2>(p); }
}
