// A sample for the interpreter: all pairs within a radius by POPC, in tiles of rows in registers and columns in shared
// memory. It has what the matrix samples lack: shared memory, barriers, shuffles, 64-bit atomics, double maths.
#include "clang.h"

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define HD_ROWS 256u  // threads a block; one row hash in registers each
#define HD_COLS 256u  // column hashes staged in shared memory
#define HD_HALO 128u  // hd_segments: longest bucket it takes
#define FULL 0xffffffffu

struct HdTile {
  u32 a0, a1, b0, b1;
};  // rows [a0,a1) x columns [b0,b1), at most HD_ROWS x HD_COLS; a0==b0: diagonal

// The one by-value kernel argument.
struct HdParams {
  const u64* hash;      // n*W words, in bucket order
  const u32* id;        // n ids in the same order, or 0: the position is the id
  const HdTile* tiles;  // n_tiles (tiles kernel only)
  const u32* seg_end;   // n: end of the bucket that position p lies in (segments kernel only)
  const u64*
      band_mask;    // band*W words: masks of the bands before this one (a pair equal in one of them is a duplicate)
  u64* out_pair;    // cap: (min id << 32) | max id
  u16* out_dist;    // cap
  u64* counter;     // pairs found, also those that did not fit
  u32* tile_count;  // n_tiles: pairs found in each tile; exact, fits or not
  u64 cap;
  u64 first_tile;  // brute-force kernel: linear index of the first tile in the upper triangle
  u32 n;
  u32 n_tiles;
  u32 radius;
  u32 band;
};
static_assert(sizeof(HdParams) == 104, "HdParams layout");

template <int W>
struct HdHash {
  u64 w[W];
};

template <int W>
__device__ __forceinline__ u32 hd_dist(const HdHash<W>& a, const HdHash<W>& b) {
  u32 d = 0;
#pragma unroll
  for (int k = 0; k < W; k++) d += (u32)__popcll(a.w[k] ^ b.w[k]);
  return d;
}

template <int W>
__device__ __forceinline__ bool hd_dup(const HdParams& p, const HdHash<W>& a, const HdHash<W>& b) {
  for (u32 m = 0; m < p.band; m++) {
    u64 diff = 0;
#pragma unroll
    for (int k = 0; k < W; k++) diff |= (a.w[k] ^ b.w[k]) & p.band_mask[m * W + k];
    if (diff == 0) return true;
  }
  return false;
}

// All 32 lanes call this together. hits: this lane's matching columns among s[c..c+32).
template <int W>
__device__ __forceinline__ void hd_flush(const HdParams& p, u32 hits, const HdHash<W>& row, u32 row_pos,
                                         const HdHash<W>* s, u32 c, u32 col_pos0, u32* s_count) {
  if (p.band != 0) {
    u32 rest = hits;
    while (rest) {
      u32 k = (u32)__ffs((int)rest) - 1u;
      rest &= rest - 1u;
      if (hd_dup<W>(p, row, s[c + k])) hits &= ~(1u << k);
    }
  }
  u32 lane = threadIdx.x & 31u;
  u32 mine = (u32)__popc(hits), scan = mine;
#pragma unroll
  for (u32 o = 1; o < 32; o <<= 1) {
    u32 v = __shfl_up_sync(FULL, scan, o);
    if (lane >= o) scan += v;
  }
  u32 total = __shfl_sync(FULL, scan, 31);
  if (total == 0) return;
  u64 base = 0;
  if (lane == 0) {
    base = atomicAdd(p.counter, (u64)total);
    atomicAdd(s_count, total);
  }
  base = __shfl_sync(FULL, base, 0);
  u64 at = base + (scan - mine);
  while (hits) {
    u32 k = (u32)__ffs((int)hits) - 1u;
    hits &= hits - 1u;
    if (at < p.cap) {
      u32 q = col_pos0 + k;
      u32 i = p.id ? p.id[row_pos] : row_pos, j = p.id ? p.id[q] : q;
      u32 lo = i < j ? i : j, hi = i < j ? j : i;
      p.out_pair[at] = ((u64)lo << 32) | hi;
      p.out_dist[at] = (u16)hd_dist<W>(row, s[c + k]);
    }
    at++;
  }
}

template <int W>
__device__ __forceinline__ void hd_tile(const HdParams& p, u32 a0, u32 a1, u32 b0, u32 b1, u32 t) {
  __shared__ HdHash<W> s[HD_COLS];
  __shared__ u32 s_count;
  u32 tid = threadIdx.x;
  u32 nr = a1 - a0, nc = b1 - b0;
  const HdHash<W>* g = (const HdHash<W>*)p.hash;
  __syncthreads();  // the tile before this one is done with s
  if (tid == 0) s_count = 0;
  for (u32 k = tid; k < HD_COLS; k += HD_ROWS) s[k] = g[b0 + (k < nc ? k : 0u)];
  HdHash<W> row = g[a0 + (tid < nr ? tid : 0u)];
  __syncthreads();
  for (u32 c = 0; c < nc; c += 32) {
    u32 hits = 0;
#pragma unroll
    for (u32 k = 0; k < 32; k++) hits |= (u32)(hd_dist<W>(row, s[c + k]) <= p.radius) << k;
    u32 left = nc - c;
    u32 ok = left >= 32 ? FULL : ((1u << left) - 1u);
    if (tid >= nr) ok = 0;
    if (a0 == b0) {  // strictly above the diagonal
      if (tid >= c + 31u)
        ok = 0;
      else if (tid >= c)
        ok &= FULL << (tid - c + 1u);
    }
    hits &= ok;
    if (__any_sync(FULL, (int)(hits != 0))) hd_flush<W>(p, hits, row, a0 + tid, s, c, b0 + c, &s_count);
  }
  __syncthreads();
  if (tid == 0 && p.tile_count) p.tile_count[t] = s_count;
}

template <int W>
__device__ __forceinline__ void hd_tiles(const HdParams& p) {
  for (u32 t = blockIdx.x; t < p.n_tiles; t += gridDim.x) {
    HdTile x = p.tiles[t];
    hd_tile<W>(p, x.a0, x.a1, x.b0, x.b1, t);
  }
}

// Upper triangle of an m x m grid of tiles, row-major: t -> (r, c), r <= c.
__device__ __forceinline__ void hd_triangle(u64 t, u64 m, u32* r, u32* c) {
  double b = 2.0 * (double)m + 1.0;
  double root = sqrt(b * b - 8.0 * (double)t);
  u64 x = (u64)((b - root) * 0.5);
  while (x > 0 && x * (2 * m - x + 1) / 2 > t) x--;
  while ((x + 1) * (2 * m - x) / 2 <= t) x++;
  *r = (u32)x;
  *c = (u32)(x + (t - x * (2 * m - x + 1) / 2));
}

template <int W>
__device__ __forceinline__ void hd_brute(const HdParams& p) {
  u64 m = ((u64)p.n + HD_ROWS - 1) / HD_ROWS;
  for (u32 t = blockIdx.x; t < p.n_tiles; t += gridDim.x) {
    u32 r, c;
    hd_triangle(p.first_tile + t, m, &r, &c);
    u32 a0 = r * HD_ROWS, b0 = c * HD_COLS;
    hd_tile<W>(p, a0, a0 + HD_ROWS < p.n ? a0 + HD_ROWS : p.n, b0, b0 + HD_COLS < p.n ? b0 + HD_COLS : p.n, t);
  }
}

// Many short buckets: one thread a position, compared with the rest of its bucket (at most HD_HALO long).
template <int W>
__device__ __forceinline__ void hd_segments(const HdParams& p) {
  __shared__ HdHash<W> s[HD_ROWS + HD_HALO];
  __shared__ u32 s_count;
  const HdHash<W>* g = (const HdHash<W>*)p.hash;
  u32 tid = threadIdx.x;
  for (u32 t = blockIdx.x; t < p.n_tiles; t += gridDim.x) {
    u32 p0 = (u32)(p.first_tile + t) * HD_ROWS;
    __syncthreads();
    if (tid == 0) s_count = 0;
    for (u32 k = tid; k < HD_ROWS + HD_HALO; k += HD_ROWS) s[k] = g[p0 + k < p.n ? p0 + k : p.n - 1];
    __syncthreads();
    u32 pos = p0 + tid;
    u32 end = pos < p.n ? p.seg_end[pos] : pos;
    u32 len = end > pos ? end - pos - 1u : 0u;  // columns pos+1 .. end
    HdHash<W> row = s[tid];
    for (u32 c = 0; __any_sync(FULL, (int)(c < len)); c += 32) {
      u32 hits = 0;
      u32 left = c < len ? len - c : 0u;
      for (u32 k = 0; k < 32; k++)
        if (k < left) hits |= (u32)(hd_dist<W>(row, s[tid + 1 + c + k]) <= p.radius) << k;
      if (__any_sync(FULL, (int)(hits != 0))) hd_flush<W>(p, hits, row, pos, s + tid + 1, c, pos + 1 + c, &s_count);
    }
    __syncthreads();
    if (tid == 0 && p.tile_count) p.tile_count[t] = s_count;
  }
}

#define HD_KERNELS(W)                                                                                       \
  extern "C" __global__ void __launch_bounds__(HD_ROWS) hd_tiles_w##W(const HdParams p) { hd_tiles<W>(p); } \
  extern "C" __global__ void __launch_bounds__(HD_ROWS) hd_brute_w##W(const HdParams p) { hd_brute<W>(p); } \
  extern "C" __global__ void __launch_bounds__(HD_ROWS) hd_segments_w##W(const HdParams p) { hd_segments<W>(p); }
HD_KERNELS(1)
HD_KERNELS(2)
HD_KERNELS(4)
