// What the kernels need of CUDA, for clang without a file of NVIDIA's: thread indices, warp collectives, atomics,
// vectors. Every kernel file includes it first. With LUMINA_HOST the same names come from ../host/cuda.h, where a
// fiber stands for a thread, so that a kernel is one text for both.
//
// Invariant: nothing here needs more than PTX 6.3 and sm_75; what does is in matrix.h.
#pragma once
#ifdef LUMINA_HOST
#include "../host/cuda.h"
#else
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __align__(n) __attribute__((aligned(n)))

// A variable that the threads of a block share. A macro of our own, because the host gives each block its own copy.
#define BLOCK_SHARED(type, name) static __attribute__((shared)) type name

// Makes a value opaque, so that it is kept in a register and not computed again inside of a loop.
#define HOLD(x) asm volatile("" : "+r"(x))

struct ThreadIndex {
  struct X { __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_tid_x(); } } x;
};
struct BlockIndex {
  struct X { __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ctaid_x(); } } x;
  struct Y { __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ctaid_y(); } } y;
};
#define threadIdx (ThreadIndex{})
#define blockIdx (BlockIndex{})

struct __align__(8) uint2 { unsigned x, y; };
struct __align__(16) uint4 { unsigned x, y, z, w; };
struct __align__(16) ulonglong2 { unsigned long long x, y; };

__device__ inline int __popc(unsigned v) { return __builtin_popcount(v); }
__device__ inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
__device__ inline int __ffsll(long long v) { return __builtin_ffsll(v); }

#define __syncthreads() __nvvm_barrier_sync(0)
#define __syncwarp() __nvvm_bar_warp_sync(0xffffffffu)
__device__ inline bool __any_sync(unsigned mask, int p) { return __nvvm_vote_any_sync(mask, p); }
__device__ inline unsigned __ballot_sync(unsigned mask, int p) { return __nvvm_vote_ballot_sync(mask, p); }
// The last operand of a shuffle: the highest lane to read from (idx), or the lowest (up); bits 8 to 12 would cut the
// warp.
__device__ inline unsigned __shfl_sync(unsigned mask, unsigned v, int lane) {
  return __nvvm_shfl_sync_idx_i32(mask, v, lane, 31);
}
__device__ inline unsigned long long __shfl_sync(unsigned mask, unsigned long long v, int lane) {
  unsigned low = __shfl_sync(mask, (unsigned)v, lane), high = __shfl_sync(mask, (unsigned)(v >> 32), lane);
  return ((unsigned long long)high << 32) | low;
}
__device__ inline unsigned __shfl_up_sync(unsigned mask, unsigned v, unsigned by) {
  return __nvvm_shfl_sync_up_i32(mask, v, by, 0);
}

__device__ inline unsigned atomicAdd(unsigned* p, unsigned v) { return __nvvm_atom_add_gen_i((int*)p, (int)v); }
__device__ inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long v) {
  return __nvvm_atom_add_gen_ll((long long*)p, (long long)v);
}
__device__ inline unsigned atomicMin(unsigned* p, unsigned v) { return __nvvm_atom_min_gen_ui(p, v); }
__device__ inline unsigned atomicCAS(unsigned* p, unsigned expected, unsigned v) {
  return __nvvm_atom_cas_gen_i((int*)p, (int)expected, (int)v);
}
// A read of what other threads change by atomics: never kept in a register, never torn.
__device__ inline unsigned load_relaxed(const unsigned* p) { return *(const volatile unsigned*)p; }
#endif
