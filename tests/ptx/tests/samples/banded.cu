// A sample for the interpreter: values sorted by a band into buckets, each compared with the buckets whose band value
// differs from its own in at most the band's tolerance. It has what the other samples lack: scans, calls of functions
// with collectives, warp barriers, generic addresses of shared memory.
#include "tensor.cu"

#define BJ_PAD 8u  // rows that must be readable behind the last one

// `width` <= 32 bits of a hash from bit `start` of word `word` on, counted from the most significant.
struct BjBand {
  u32 word, start, width, tolerance;
};

struct BjParams {
  const u64* hash;   // n * W words
  u32* counts;       // 2^width, rounded up to BJ_SCAN_BLOCK: values of each bucket
  u32* sums;         // a block's share of the scan
  u32* starts;       // 2^width + 1, rounded up: where each bucket begins
  u32* rank;         // n: which one of its bucket a value is
  u64* sorted;       // n * W words, in bucket order, and BJ_PAD rows of anything
  u32* id;           // n: the value in each place
  const u32* flips;  // n_flips masks of band.width bits, the first one 0
  const BjBand*
      earlier;    // bands that were looked at before this one: a pair that is near in one of them was found there
  u64* out_pair;  // cap: (smaller value << 32) | larger value
  u16* out_dist;  // cap
  u64* counter;   // pairs found, also those that did not fit
  u64 cap;
  u32 n, n_flips, n_earlier, radius;
  BjBand band;
};

template <int W>
__device__ __forceinline__ u32 bj_value(const u64* w, const BjBand& b) {
  u64 bits = w[b.word] << b.start;
  if (W > 1 && b.start + b.width > 64u) bits |= w[b.word + 1] >> (64u - b.start);
  return (u32)(bits >> (64u - b.width));
}

// The order inside a bucket is that of the atomics: it differs from run to run, the set of pairs does not.
template <int W>
__device__ __forceinline__ void bj_count(const BjParams& p) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < p.n) p.rank[i] = atomicAdd(&p.counts[bj_value<W>(p.hash + (u64)i * W, p.band)], 1u);
}
template <int W>
__device__ __forceinline__ void bj_scatter(const BjParams& p) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= p.n) return;
  const u64* h = p.hash + (u64)i * W;
  u32 at = p.starts[bj_value<W>(h, p.band)] + p.rank[i];
#pragma unroll
  for (int k = 0; k < W; k++) p.sorted[(u64)at * W + k] = h[k];
  p.id[at] = i;
}

// Exclusive scan of up to 2^24 counts in three launches: sums of blocks, their scan, the scan inside of each block.
#define BJ_SCAN_THREADS 1024u
#define BJ_SCAN_BLOCK 4096u
__device__ __forceinline__ u32 bj_block_scan(u32 mine, u32* total) {  // exclusive, over the threads of the block
  __shared__ u32 warp_sums[32];
  u32 lane = threadIdx.x & 31u, warp = threadIdx.x >> 5, inclusive = mine;
#pragma unroll
  for (u32 o = 1; o < 32; o <<= 1) {
    u32 v = __shfl_up_sync(0xffffffffu, inclusive, o);
    if (lane >= o) inclusive += v;
  }
  __syncthreads();
  if (lane == 31) warp_sums[warp] = inclusive;
  __syncthreads();
  u32 before = 0, all = 0;
  for (u32 w = 0; w < blockDim.x / 32u; w++) {
    if (w < warp) before += warp_sums[w];
    all += warp_sums[w];
  }
  *total = all;
  return before + inclusive - mine;
}
extern "C" __global__ void __launch_bounds__(1024) bj_scan_sums(const u32* counts, u32* sums) {
  uint4 c = ((const uint4*)counts)[blockIdx.x * BJ_SCAN_THREADS + threadIdx.x];
  u32 total;
  bj_block_scan(c.x + c.y + c.z + c.w, &total);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}
extern "C" __global__ void __launch_bounds__(1024) bj_scan_blocks(u32* sums, u32 blocks) {
  u32 carry = 0;
  for (u32 b = 0; b < blocks; b += BJ_SCAN_THREADS) {
    u32 i = b + threadIdx.x, mine = i < blocks ? sums[i] : 0, total;
    u32 before = bj_block_scan(mine, &total);
    if (i < blocks) sums[i] = carry + before;
    carry += total;
  }
}
extern "C" __global__ void __launch_bounds__(1024)
    bj_scan_starts(const u32* counts, const u32* sums, u32* starts, u32 buckets, u32 n) {
  u32 at = blockIdx.x * BJ_SCAN_THREADS + threadIdx.x, total;
  uint4 c = ((const uint4*)counts)[at];
  u32 x = sums[blockIdx.x] + bj_block_scan(c.x + c.y + c.z + c.w, &total);
  ((uint4*)starts)[at] = make_uint4(x, x + c.x, x + c.x + c.y, x + c.x + c.y + c.z);
  if (at == 0) starts[buckets] = n;
}

// Hits wait in shared memory until a warp has 32 of them: then each lane checks and writes one. Among photographs hits
// are no rare event, and a lane that checks its own makes the other 31 wait through all the reads that takes.
#define BJ_WAITING 64u  // at most 31 wait when up to 32 come

template <int W>
__device__ __noinline__ void bj_write(const BjParams& p, const uint2* hits, u32 count) {
  u32 lane = threadIdx.x & 31u, d = 0, i = 0, j = 0;
  bool keep = lane < count;
  if (keep) {
    uint2 hit = hits[lane];
    u64 x[W];
#pragma unroll
    for (int k = 0; k < W; k++)
      x[k] = p.sorted[(u64)hit.x * W + k] ^ p.sorted[(u64)hit.y * W + k], d += (u32)__popcll(x[k]);
    if (W > 2 && d > p.radius) keep = false;
    i = p.id[hit.x];
    j = p.id[hit.y];
    for (u32 m = 0; m < p.n_earlier; m++) {  // found by an earlier band already?
      BjBand band = p.earlier[m];
      u64 lo = x[0], hi = 0;
#pragma unroll
      for (int k = 1; k < W; k++) {
        if (band.word == (u32)k) lo = x[k];
        if (band.word + 1 == (u32)k) hi = x[k];
      }
      u64 bits = lo << band.start;
      if (W > 1 && band.start + band.width > 64u) bits |= hi >> (64u - band.start);
      if ((u32)__popcll(bits >> (64u - band.width)) <= band.tolerance) keep = false;
    }
  }
  u32 kept = __ballot_sync(0xffffffffu, (int)keep);
  if (kept == 0) return;
  u64 at = 0;
  if (lane == 0) at = atomicAdd(p.counter, (u64)__popc(kept));
  at = __shfl_sync(0xffffffffu, at, 0) + (u64)__popc(kept & ((1u << lane) - 1u));
  if (keep && at < p.cap) {
    p.out_pair[at] = i < j ? ((u64)i << 32) | j : ((u64)j << 32) | i;
    p.out_dist[at] = (u16)d;
  }
}

// A lower bound of the distance of `row` and the hash at `from`: the distance itself up to 128 bits, that of the first
// 128 bits of longer ones. Few pairs of a bucket pass it that are not hits, as long as the radius is well below 64.
template <int W>
__device__ __forceinline__ u32 bj_bound(const u64 (&row)[W > 2 ? 2 : W], const u64* from) {
  if constexpr (W == 1)
    return (u32)__popcll(row[0] ^ from[0]);
  else {
    ulonglong2 two = *(const ulonglong2*)from;
    return (u32)(__popcll(row[0] ^ two.x) + __popcll(row[1] ^ two.y));
  }
}

// The lanes of a warp stay together, to hand in their hits together.
template <int W>
__device__ __forceinline__ void bj_probe(const BjParams& p) {
  constexpr u32 AT_ONCE = 4;  // loads under way together; what lies behind a bucket's end is read and not counted
  __shared__ uint2 waiting[8][BJ_WAITING];
  uint2* mine = waiting[threadIdx.x >> 5];
  u32 lane = threadIdx.x & 31u, have = 0;
  u32 pos = blockIdx.x * 256u + threadIdx.x;
  bool inside = pos < p.n;
  u64 row[W > 2 ? 2 : W];
#pragma unroll
  for (int k = 0; k < W && k < 2; k++) row[k] = p.sorted[(u64)(inside ? pos : 0u) * W + k];
  u32 key = bj_value<W>(p.sorted + (u64)(inside ? pos : 0u) * W, p.band);
  for (u32 f = 0; f < p.n_flips; f++) {
    u32 other = key ^ p.flips[f], q = 0, end = 0;
    if (inside && other >= key) {  // each pair of buckets once
      q = f == 0 ? pos + 1 : p.starts[other];
      end = p.starts[other + 1];
    }
    while (__any_sync(0xffffffffu, (int)(q < end))) {
      u32 hits = 0;
      if (q < end) {
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; k++)
          hits |= (u32)(bj_bound<W>(row, p.sorted + (u64)(q + k) * W) <= p.radius && q + k < end) << k;
      }
      if (__any_sync(0xffffffffu, (int)(hits != 0))) {
#pragma unroll 1
        for (u32 k = 0; k < AT_ONCE; k++) {
          bool hit = hits >> k & 1u;
          u32 who = __ballot_sync(0xffffffffu, (int)hit);
          if (hit) mine[have + (u32)__popc(who & ((1u << lane) - 1u))] = make_uint2(pos, q + k);
          have += (u32)__popc(who);
          if (have >= 32) {
            __syncwarp();
            have -= 32;
            bj_write<W>(p, mine + have, 32);
            __syncwarp();
          }
        }
      }
      q += AT_ONCE;
    }
  }
  __syncwarp();
  if (have) bj_write<W>(p, mine, have);
}

// ---- entries
// -----------------------------------------------------------------------------------------------------------

#define ENTRY(NAME, CALL) \
  extern "C" __global__ void __launch_bounds__(128) NAME(const BtParams p) { CALL; }
ENTRY(s8_w1, (bt_s8<1, 8, 2>(p)))
ENTRY(s8_w2, (bt_s8<2, 4, 2>(p)))
ENTRY(s8_w4, (bt_s8<4, 4, 2>(p)))
ENTRY(b1_w1, (bt_b1<1, 8, 2>(p)))
ENTRY(b1_w2, (bt_b1<2, 4, 4>(p)))
ENTRY(b1_w4, (bt_b1<4, 8, 1>(p)))
ENTRY(ones_w4, (bt_b1<4, 8, 2, BT_ONES>(p)))
extern "C" __global__ void ones_count(const u64* hash, u32 n, u32* counts) { bt_ones_count<4>(hash, n, counts); }
extern "C" __global__ void ones_starts(u32* counts) { bt_ones_starts<4>(counts); }
extern "C" __global__ void ones_scatter(const u64* hash, u32 n, u32* next, u64* sorted, u32* id, u16* ones) {
  bt_ones_scatter<4>(hash, n, next, sorted, id, ones);
}
#define BAND(W)                                                                   \
  extern "C" __global__ void count_w##W(const BjParams p) { bj_count<W>(p); }     \
  extern "C" __global__ void scatter_w##W(const BjParams p) { bj_scatter<W>(p); } \
  extern "C" __global__ void __launch_bounds__(256) probe_w##W(const BjParams p) { bj_probe<W>(p); }
BAND(1)
BAND(2)
BAND(4)
