// The banded join: both sets sorted by a band into buckets, each place of the left one compared with the right buckets
// whose band differs from its own in at most the band's tolerance.
//
// A counting sort, because a band has few values; no list of buckets is made. One thread a left place, in bucket
// order: neighbouring threads have the same or neighbouring buckets, and a flip keeps them neighbours, so that a warp
// reads one stretch of memory for each flip, at any bucket length. Kernels end in the width of the driving column in
// bits, or in `any` for a number of words that is known at run time alone (W = 0 here).
#include "device.h"
#include "hits.h"

__device__ __forceinline__ u32 band_of(const u64* hash, const Band& band) {
  u64 bits = hash[band.word] << band.start;
  if (band.start + band.width > 64u) bits |= hash[band.word + 1] >> (64u - band.start);
  return (u32)(bits >> (64u - band.width));
}

// ---- sort ----------------------------------------------------------------------------------------------------------

template <int W> __device__ __forceinline__ void count_band(const BandSort& p) {
  const u32 words = W ? W : p.words;
  u32 i = blockIdx.x * BAND_THREADS + threadIdx.x;
  if (i < p.n) p.ranks[i] = atomicAdd(&p.counts[band_of(p.hashes + (u64)i * words, p.band)], 1u);
}

// The order within a bucket is that of the atomics: it differs from run to run, the set of hits does not.
template <int W> __device__ __forceinline__ void scatter_band(const BandSort& p) {
  const u32 words = W ? W : p.words;
  u32 i = blockIdx.x * BAND_THREADS + threadIdx.x;
  if (i >= p.n) return;
  const u64* hash = p.hashes + (u64)i * words;
  u32 at = p.starts[band_of(hash, p.band)] + p.ranks[i];
  for (u32 k = 0; k < words; k++) p.sorted[(u64)at * words + k] = hash[k];
  p.rows[at] = i;
}

// The exclusive sum of `mine` over the threads of a block, and the sum of all.
__device__ __forceinline__ u32 scan_block(u32 mine, u32* total) {
  typedef u32 Sums[SCAN_THREADS / 32];
  BLOCK_SHARED(Sums, sums);
  u32 lane = lane_of_warp(), warp = threadIdx.x >> 5, inclusive = mine;
#pragma unroll
  for (u32 o = 1; o < 32; o <<= 1) {
    u32 v = __shfl_up_sync(WARP, inclusive, o);
    if (lane >= o) inclusive += v;
  }
  __syncthreads();  // the scan before this one has read the sums
  if (lane == 31) sums[warp] = inclusive;
  __syncthreads();
  u32 before = 0, all = 0;
  for (u32 w = 0; w < SCAN_THREADS / 32; w++) {
    if (w < warp) before += sums[w];
    all += sums[w];
  }
  *total = all;
  return before + inclusive - mine;
}

__device__ __forceinline__ u32 scan_blocks_of(const Band& band) {
  return ((1u << band.width) + SCAN_COUNTS - 1) / SCAN_COUNTS;
}

extern "C" {
// The exclusive scan of the counts: sums of blocks, their scan by one block, the scan within each block.
__global__ void __launch_bounds__(SCAN_THREADS) scan_sums(const BandSort p) {
  uint4 c = ((const uint4*)p.counts)[blockIdx.x * SCAN_THREADS + threadIdx.x];
  u32 total;
  scan_block(c.x + c.y + c.z + c.w, &total);
  if (threadIdx.x == 0) p.sums[blockIdx.x] = total;
}
__global__ void __launch_bounds__(SCAN_THREADS) scan_blocks(const BandSort p) {
  u32 blocks = scan_blocks_of(p.band), carry = 0;
  for (u32 b = 0; b < blocks; b += SCAN_THREADS) {
    u32 i = b + threadIdx.x, mine = i < blocks ? p.sums[i] : 0, total;
    u32 before = scan_block(mine, &total);
    if (i < blocks) p.sums[i] = carry + before;
    carry += total;
  }
}
__global__ void __launch_bounds__(SCAN_THREADS) scan_starts(const BandSort p) {
  u32 at = blockIdx.x * SCAN_THREADS + threadIdx.x, total;
  uint4 c = ((const uint4*)p.counts)[at];
  u32 x = p.sums[blockIdx.x] + scan_block(c.x + c.y + c.z + c.w, &total);
  ((uint4*)p.starts)[at] = uint4{x, x + c.x, x + c.x + c.y, x + c.x + c.y + c.z};
  // Counts behind the last bucket are zero, so that their starts are n; where there are none, this entry is needed.
  if (at == 0) p.starts[scan_blocks_of(p.band) * SCAN_COUNTS] = p.n;
}
}

// ---- probe ---------------------------------------------------------------------------------------------------------

// Candidates wait in shared memory until a warp has 32 of them; then each lane checks one. Among photographs hits are
// no rare event.
constexpr u32 WAITING = 64;  // at most 31 wait when up to 32 come
typedef uint2 Waiting[BAND_THREADS / 32][WAITING];

// A pair that is near in an earlier band was found there.
__device__ __forceinline__ bool found_before(const BandProbe& p, const u64* left, const u64* right) {
  for (u32 m = 0; m < p.n_earlier; m++) {
    Band band = p.earlier[m];
    if ((u32)__popc(band_of(left, band) ^ band_of(right, band)) <= band.tolerance) return true;
  }
  return false;
}

// `count` candidates of a warp, as places. All lanes call it together.
template <int W> __device__ __forceinline__ void write_waiting(const BandProbe& p, const uint2* waiting, u32 count) {
  const u32 words = W ? W : p.words;
  u32 lane = lane_of_warp(), i = 0, j = 0;
  bool keep = lane < count;
  if (keep) {
    uint2 places = waiting[lane];
    keep = !found_before(p, p.left + (u64)places.x * words, p.right + (u64)places.y * words);
    i = p.left_rows[places.x];
    j = p.right_rows[places.y];
  }
  write_hits(p.hits, keep, i, j);
}

// A lower bound of the distance: that of the first 128 bits, up to which it is the distance itself. Few pairs of a
// bucket pass it that are not hits, as long as the radius is well below 64.
template <int W> __device__ __forceinline__ u32 bound_of(const u64 (&row)[2], const u64* hash, u32 words) {
  if constexpr (W == 1) return (u32)__popcll(row[0] ^ hash[0]);
  else if constexpr (W == 0) {
    u32 d = (u32)__popcll(row[0] ^ hash[0]);
    return words > 1 ? d + (u32)__popcll(row[1] ^ hash[1]) : d;
  } else {
    ulonglong2 two = *(const ulonglong2*)hash;
    return (u32)(__popcll(row[0] ^ two.x) + __popcll(row[1] ^ two.y));
  }
}

// The lanes of a warp stay together to the end, to hand in their candidates together.
template <int W> __device__ __forceinline__ void probe_band(const BandProbe& p) {
  constexpr u32 AT_ONCE = 4;  // loads under way together; what lies behind a bucket's end is read and not counted
  const u32 words = W ? W : p.words;
  BLOCK_SHARED(Waiting, all_waiting);
  uint2* waiting = all_waiting[threadIdx.x >> 5];
  u32 lane = lane_of_warp(), have = 0;
  u32 place = (p.first_block + blockIdx.x) * BAND_THREADS + threadIdx.x;
  bool inside = place < p.n_left;
  const u64* hash = p.left + (u64)(inside ? place : 0u) * words;
  u64 row[2] = {hash[0], words > 1 ? hash[1] : 0ull};
  u32 key = band_of(hash, p.band);
  for (u32 f = 0; f < p.n_flips; f++) {
    u32 other = key ^ p.flips[f], q = 0, end = 0;
    if (inside && (!p.hits.one_set || other >= key)) {  // within one set each pair of buckets once
      q = p.hits.one_set && f == 0 ? place + 1 : p.right_starts[other];
      end = p.right_starts[other + 1];
      if (q < p.from) q = p.from;
      if (end > p.to) end = p.to;
    }
    while (__any_sync(WARP, (int)(q < end))) {
      u32 candidates = 0;
      if (q < end) {
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; k++) {
          bool near = bound_of<W>(row, p.right + (u64)(q + k) * words, words) <= p.radius;
          candidates |= (u32)(near && q + k < end) << k;
        }
      }
      if (__any_sync(WARP, (int)(candidates != 0))) {
#pragma unroll 1
        for (u32 k = 0; k < AT_ONCE; k++) {
          bool near = candidates >> k & 1u;
          u32 lanes = __ballot_sync(WARP, (int)near);
          if (near) waiting[have + (u32)__popc(lanes & ((1u << lane) - 1u))] = uint2{place, q + k};
          have += (u32)__popc(lanes);
          if (have >= 32) {
            __syncwarp();
            have -= 32;
            write_waiting<W>(p, waiting + have, 32);
            __syncwarp();
          }
        }
      }
      q += AT_ONCE;
    }
  }
  __syncwarp();
  if (have) write_waiting<W>(p, waiting, have);
}

#define BAND_KERNELS(NAME, W)                                                                                          \
  __global__ void __launch_bounds__(BAND_THREADS) band_count_##NAME(const BandSort p) { count_band<W>(p); }           \
  __global__ void __launch_bounds__(BAND_THREADS) band_scatter_##NAME(const BandSort p) { scatter_band<W>(p); }       \
  __global__ void __launch_bounds__(BAND_THREADS, 3) band_probe_##NAME(const BandProbe p) { probe_band<W>(p); }
extern "C" {
BAND_KERNELS(64, 1)
BAND_KERNELS(128, 2)
BAND_KERNELS(256, 4)
BAND_KERNELS(any, 0)
}
