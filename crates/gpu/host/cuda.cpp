// The runtime behind cuda.h: fibers, barriers, warp collectives, memory of a block. Compiled without sanitizers; with
// HOST_ASAN or HOST_TSAN it tells them what they cannot see.
//
// Invariant: fibers of a launch are ordered by nothing but __syncthreads and __syncwarp, within their block, and by
// the launch's begin and end. Hence the thread sanitizer sees races between blocks too, although they run one after
// another: each block has memory and synchronization tokens of its own, and other fibers than the block before. Making
// a fiber takes that sanitizer milliseconds, so that every second block gets the same ones again. Ballots, shuffles and
// matrix instructions order no memory on a GPU, and none here.
#include "cuda.h"
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <utility>
#include <vector>
#ifndef __x86_64__
#include <ucontext.h>
#endif

#ifdef HOST_TSAN
extern "C" {
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
}
#else
static void __tsan_acquire(void*) {}
static void __tsan_release(void*) {}
#endif
#ifdef HOST_ASAN
extern "C" {
void __asan_poison_memory_region(const volatile void*, size_t);
void __asan_unpoison_memory_region(const volatile void*, size_t);
}
#else
static void __asan_poison_memory_region(const volatile void*, size_t) {}
static void __asan_unpoison_memory_region(const volatile void*, size_t) {}
#endif

namespace host {
namespace {

constexpr size_t STACK = 64 << 10;
constexpr size_t PAGE = 4096;
constexpr size_t SHARED = 48 << 10;  // what a block may declare on every GPU
constexpr size_t GAP = 64;           // between two variables of a block
constexpr unsigned MAX_WARPS = 32;
#ifdef HOST_TSAN
constexpr unsigned FIBER_SETS = 2;
#else
constexpr unsigned FIBER_SETS = 1;
#endif

// A block's memory, and the addresses that stand for its warps and its barrier towards the thread sanitizer.
struct BlockMemory {
  char shared[SHARED];
  uint64_t warp_token[MAX_WARPS];
  uint64_t barrier_token;
};

struct Warp {
  uint32_t live = 0, arrived = 0, mask = 0;
  Collective collective = Collective::BALLOT;
  uint64_t generation = 0;
  Slot slots[2][32];  // two, because a lane may hand in to the next collective while others still read this one's
};

struct Fiber {
  char* stack = nullptr;
  bool done = false;
#ifdef __x86_64__
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
#ifdef HOST_TSAN
  void* tsan = nullptr;
#endif
};

struct Variable {
  const void* tag;
  char* memory;
};

struct Machine {
  std::vector<Fiber> fiber_sets[FIBER_SETS];
  Fiber* fibers = nullptr;  // of the running block
  std::vector<Warp> warps;
  std::vector<Variable> variables;
  std::vector<BlockMemory*> memories;
  BlockMemory* memory = nullptr;
  size_t used = 0;
  unsigned live = 0, current = 0, at_barrier = 0;
  uint64_t barriers = 0, progress = 0, random = 88172645463325252ull;
  Index block = {0, 0};
  const std::function<void()>* kernel = nullptr;
  std::string error;
  uint64_t launch_begin = 0, launch_end = 0;  // tokens
  Fiber main;
} machine;

uint64_t random64() {
  uint64_t& x = machine.random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

std::vector<unsigned> in_order(unsigned count, Order order) {
  std::vector<unsigned> turns(count);
  for (unsigned i = 0; i < count; i++) turns[i] = order == Order::REVERSED ? count - 1 - i : i;
  return turns;
}
void shuffle(std::vector<unsigned>& turns) {
  for (size_t i = turns.size(); i > 1; i--) std::swap(turns[i - 1], turns[random64() % i]);
}

#ifdef __x86_64__
extern "C" void host_switch(void** save, void* load);
// The registers that a call keeps, by the System V ABI; the floating-point control words never change here.
__asm__(".text\n.type host_switch,@function\nhost_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\nmov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size host_switch,.-host_switch\n");
#endif

void switch_fibers(Fiber& from, Fiber& to) {
#ifdef HOST_TSAN
  __tsan_switch_to_fiber(to.tsan, 1);  // 1: a switch orders nothing
#endif
#ifdef __x86_64__
  host_switch(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
}
void yield() { switch_fibers(machine.fibers[machine.current], machine.main); }

[[noreturn]] void fail(const char* what) {
  if (machine.error.empty())
    machine.error = std::string(what) + " (block " + std::to_string(machine.block.x) + ", " +
                    std::to_string(machine.block.y) + ", thread " + std::to_string(machine.current) + ")";
  for (;;) yield();
}

void end_barrier_if_all_came() {
  if (machine.live && machine.at_barrier == machine.live) {
    machine.at_barrier = 0;
    machine.barriers++;
  }
}

void enter() {
  __tsan_acquire(&machine.launch_begin);
  (*machine.kernel)();
  __tsan_release(&machine.launch_end);
  unsigned lane = machine.current % 32;
  Warp& warp = machine.warps[machine.current / 32];
  warp.live &= ~(1u << lane);
  machine.fibers[machine.current].done = true;
  machine.live--;
  machine.progress++;
  if (warp.arrived && (warp.mask >> lane & 1u)) fail("a lane named in a warp's mask has exited");
  end_barrier_if_all_came();
  for (;;) yield();
}

void make_fiber(Fiber& fiber) {
  if (!fiber.stack) {
    fiber.stack = (char*)mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fiber.stack == MAP_FAILED) abort();
    mprotect(fiber.stack, PAGE, PROT_NONE);
#ifdef HOST_TSAN
    fiber.tsan = __tsan_create_fiber(0);
#endif
  }
  fiber.done = false;
#ifdef __x86_64__
  void** top = (void**)(fiber.stack + PAGE + STACK);
  *--top = nullptr;
  *--top = (void*)enter;
  top -= 6;
  memset(top, 0, 6 * sizeof(void*));
  fiber.stack_pointer = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack + PAGE;
  fiber.context.uc_stack.ss_size = STACK;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, enter, 0);
#endif
}

void run_block(unsigned threads, Order order) {
  std::vector<Fiber>& fibers = machine.fiber_sets[machine.block.x % FIBER_SETS];
  if (fibers.size() < threads) fibers.resize(threads);
  machine.fibers = fibers.data();
  machine.warps.assign((threads + 31) / 32, Warp());
  machine.variables.clear();
  machine.used = 0;
  machine.live = threads;
  machine.at_barrier = 0;
  for (unsigned t = 0; t < threads; t++) {
    machine.warps[t / 32].live |= 1u << (t % 32);
    make_fiber(machine.fibers[t]);
  }
  std::vector<unsigned> turns = in_order(threads, order);
  while (machine.live && machine.error.empty()) {
    if (order == Order::SHUFFLED) shuffle(turns);
    uint64_t before = machine.progress;
    for (unsigned t : turns) {
      if (machine.fibers[t].done) continue;
      machine.current = t;
      switch_fibers(machine.main, machine.fibers[t]);
      if (!machine.error.empty()) break;
    }
    if (machine.progress == before && machine.live && machine.error.empty())
      machine.error = "dead lock: threads wait at a barrier or collective that others never reach (block " +
                      std::to_string(machine.block.x) + ", " + std::to_string(machine.block.y) + ")";
  }
}

}  // namespace

std::string launch(Index grid, unsigned threads, Order order, const std::function<void()>& kernel) {
  machine.kernel = &kernel;
  machine.error.clear();
  unsigned blocks = grid.x * grid.y;
#ifdef HOST_TSAN
  machine.main.tsan = __tsan_get_current_fiber();
  unsigned memories = blocks;
#else
  unsigned memories = 1;
#endif
  for (unsigned b = 0; b < memories; b++) machine.memories.push_back((BlockMemory*)malloc(sizeof(BlockMemory)));
  for (BlockMemory* memory : machine.memories) memset(memory->shared, 0xa5, SHARED);
  machine.warps.reserve(MAX_WARPS);  // kernels read slots in it: to be allocated before they begin
  __tsan_release(&machine.launch_begin);
  std::vector<unsigned> turns = in_order(blocks, order);
  if (order == Order::SHUFFLED) shuffle(turns);
  for (unsigned b : turns) {
    machine.block = {b % grid.x, b / grid.x};
    machine.memory = machine.memories[b % memories];
    __asan_poison_memory_region(machine.memory->shared, SHARED);
    run_block(threads, order);
    if (!machine.error.empty()) break;
  }
  __tsan_acquire(&machine.launch_end);
  for (BlockMemory* memory : machine.memories) {
    __asan_unpoison_memory_region(memory->shared, SHARED);
    free(memory);
  }
  machine.memories.clear();
  return machine.error;
}

Index thread_index() { return {machine.current, 0}; }
Index block_index() { return machine.block; }
unsigned lane() { return machine.current % 32; }

void* block_shared(const void* tag, size_t size, size_t alignment) {
  for (const Variable& variable : machine.variables)
    if (variable.tag == tag) return variable.memory;
  size_t at = (machine.used + alignment - 1) / alignment * alignment;
  if (at + size > SHARED) fail("more than 48 KiB of a block's memory");
  machine.used = at + size + GAP;
  char* memory = machine.memory->shared + at;
  __asan_unpoison_memory_region(memory, size);
  machine.variables.push_back({tag, memory});
  return memory;
}

const Slot* meet(Collective collective, unsigned mask, const Slot& mine) {
  unsigned lane = machine.current % 32, number = machine.current / 32;
  Warp& warp = machine.warps[number];
  if (!(mask >> lane & 1u)) fail("a warp's mask does not name the calling lane");
  if (mask & ~warp.live) fail("a warp's mask names a lane that has exited or never was");
  if (warp.arrived == 0) {
    warp.collective = collective;
    warp.mask = mask;
  } else if (warp.collective != collective || warp.mask != mask) {
    fail("lanes of a warp met at different collectives");
  }
  bool orders = collective == Collective::SYNCHRONIZE;
  uint64_t generation = warp.generation;
  const Slot* slots = warp.slots[generation & 1];
  warp.slots[generation & 1][lane] = mine;
  warp.arrived |= 1u << lane;
  machine.progress++;
  if (orders) __tsan_release(&machine.memory->warp_token[number]);
  if (warp.arrived == mask) {
    warp.arrived = 0;
    warp.generation++;
  } else {
    while (warp.generation == generation) yield();
  }
  if (orders) __tsan_acquire(&machine.memory->warp_token[number]);
  return slots;
}

const Slot& read_lane(const Slot* slots, unsigned mask, unsigned lane) {
  if (!(mask >> lane & 1u)) fail("a shuffle reads a lane outside of the mask");
  return slots[lane];
}

}  // namespace host

void __syncthreads() {
  using host::machine;
  machine.progress++;
  uint64_t barrier = machine.barriers;
  __tsan_release(&machine.memory->barrier_token);
  machine.at_barrier++;
  host::end_barrier_if_all_came();
  while (machine.barriers == barrier) host::yield();
  __tsan_acquire(&machine.memory->barrier_token);
}
