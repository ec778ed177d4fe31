// CUDA for a C++ compiler: kernels run on the CPU, a fiber a thread, one block after another. Kernels get it through
// ../kernels/device.h; the proofs launch by it. cuda.cpp is the runtime.
//
// It finds wrong results, missing barriers, divergent collectives, reads of lanes that have exited, dead locks; with
// the address sanitizer also accesses out of bounds, with the thread sanitizer races, between blocks too. It cannot
// show speed, nor effects of the GPU's memory model beyond a missing synchronization.
//
// Invariant: the runtime is compiled without sanitizers, the kernels and proofs with them, so that what the runtime
// does on behalf of all fibers is no access of any of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#define __device__
#define __global__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)

// Memory of the block, as each block finds it on a GPU: filled with what was there before.
#define BLOCK_SHARED(type, name)  \
  static const char name##_tag = 0; \
  type& name = *static_cast<type*>(host::block_shared(&name##_tag, sizeof(type), alignof(type)))
#define HOLD(x)

struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) ulonglong2 { unsigned long long x, y; };

namespace host {
struct Index { unsigned x, y; };
Index thread_index();
Index block_index();

// The order in which blocks, and the threads of a block at each step, get their turn.
enum class Order { FORWARD, REVERSED, SHUFFLED };

// Runs `kernel` once a thread of the grid. Returns what went wrong, or nothing.
std::string launch(Index grid, unsigned threads, Order order, const std::function<void()>& kernel);

void* block_shared(const void* tag, size_t size, size_t alignment);

// What a lane hands in to a collective: enough for a matrix instruction.
struct Slot { uint32_t word[6]; };
enum class Collective { BALLOT, SHUFFLE, SYNCHRONIZE, MATRIX };
// Waits for all lanes of the mask; then the slots of all 32. They hold until the lane's next collective.
const Slot* meet(Collective collective, unsigned mask, const Slot& mine);
const Slot& read_lane(const Slot* slots, unsigned mask, unsigned lane);
unsigned lane();
}  // namespace host

#define threadIdx (host::thread_index())
#define blockIdx (host::block_index())

void __syncthreads();
inline void __syncwarp() { host::meet(host::Collective::SYNCHRONIZE, 0xffffffffu, {}); }

inline unsigned __ballot_sync(unsigned mask, int p) {
  const host::Slot* slots = host::meet(host::Collective::BALLOT, mask, {{p != 0}});
  unsigned lanes = 0;
  for (unsigned l = 0; l < 32; l++)
    if (mask >> l & 1u) lanes |= slots[l].word[0] << l;
  return lanes;
}
inline bool __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }

template <class T> inline T shuffle(unsigned mask, T v, unsigned from) {
  uint64_t wide = v;
  const host::Slot* slots = host::meet(host::Collective::SHUFFLE, mask, {{(uint32_t)wide, (uint32_t)(wide >> 32)}});
  const host::Slot& slot = host::read_lane(slots, mask, from);
  return (T)((uint64_t)slot.word[1] << 32 | slot.word[0]);
}
template <class T> inline T __shfl_sync(unsigned mask, T v, int lane) { return shuffle(mask, v, (unsigned)lane & 31u); }
template <class T> inline T __shfl_up_sync(unsigned mask, T v, unsigned by) {
  unsigned lane = host::lane();
  return shuffle(mask, v, lane >= by ? lane - by : lane);
}

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }

// Relaxed, as on the GPU: they order nothing else.
template <class T> inline T atomicAdd(T* p, T v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicCAS(unsigned* p, unsigned expected, unsigned v) {
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
inline unsigned atomicMin(unsigned* p, unsigned v) {
  unsigned old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v < old && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return old;
}
inline unsigned load_relaxed(const unsigned* p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
