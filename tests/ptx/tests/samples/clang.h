// The CUDA built-ins that the samples use, for clang without any header of NVIDIA's.
#pragma once
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
struct built_in_tid {
  struct X {
    __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_tid_x(); }
  } x;
};
struct built_in_bid {
  struct X {
    __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ctaid_x(); }
  } x;
};
struct built_in_gdm {
  struct X {
    __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_nctaid_x(); }
  } x;
};
#define threadIdx (built_in_tid{})
#define __syncthreads() __nvvm_barrier_sync(0)
__device__ inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
__device__ inline int __popc(unsigned v) { return __builtin_popcount(v); }
__device__ inline int __ffs(int v) { return __builtin_ffs(v); }
__device__ inline int __any_sync(unsigned m, int p) { return __nvvm_vote_any_sync(m, p); }
__device__ inline unsigned __shfl_sync(unsigned m, unsigned v, int l) { return __nvvm_shfl_sync_idx_i32(m, v, l, 31); }
__device__ inline unsigned long long __shfl_sync(unsigned m, unsigned long long v, int l) {
  unsigned lo = __nvvm_shfl_sync_idx_i32(m, (unsigned)v, l, 31),
           hi = __nvvm_shfl_sync_idx_i32(m, (unsigned)(v >> 32), l, 31);
  return ((unsigned long long)hi << 32) | lo;
}
__device__ inline unsigned __shfl_up_sync(unsigned m, unsigned v, unsigned d) {
  return __nvvm_shfl_sync_up_i32(m, v, d, 0);
}
__device__ inline unsigned atomicAdd(unsigned* p, unsigned v) { return __nvvm_atom_add_gen_i((int*)p, (int)v); }
__device__ inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long v) {
  return __nvvm_atom_add_gen_ll((long long*)p, (long long)v);
}
__device__ inline double sqrt(double x) { return __nvvm_sqrt_rn_d(x); }
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
struct built_in_bid2 {
  built_in_bid::X x;
  struct Y {
    __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ctaid_y(); }
  } y;
};
struct built_in_gdm2 {
  built_in_gdm::X x;
  struct Y {
    __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_nctaid_y(); }
  } y;
};
struct built_in_bdm {
  struct X {
    __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ntid_x(); }
  } x;
};
#define blockIdx (built_in_bid2{})
#define gridDim (built_in_gdm2{})
#define blockDim (built_in_bdm{})
struct __align__(8) uint2 {
  unsigned x, y;
};
__device__ inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
__device__ inline unsigned __ballot_sync(unsigned m, int p) { return __nvvm_vote_ballot_sync(m, p); }
#define __syncwarp() __nvvm_bar_warp_sync(0xffffffffu)
struct __align__(16) uint4 {
  unsigned x, y, z, w;
};
struct __align__(16) ulonglong2 {
  unsigned long long x, y;
};
__device__ inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
