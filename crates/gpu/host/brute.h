// The proof of a brute-force kernel: equal to brute force on the CPU, whole and in slices, with overflow, at the edges.
// brute_b1.cpp, brute_s8.cpp and brute_popc.cpp call it.
#pragma once
#include "proof.h"

struct BruteKernel {
  const char* name;
  void (*kernel)(const Brute);
  u32 words;     // of the driving column
  u32 rows;      // left rows of a block
  u32 small;     // a radius at which it is meant to be used
  // Sorts a set before the search, for `ones`; null: rows stand as they are.
  void (*sort)(const std::vector<u64>& hashes, u32 n, host::Order order, struct Sorted* sorted) = nullptr;
};

struct Sorted {
  std::vector<u64> hashes;
  std::vector<u32> rows;
  std::vector<u16> ones;
};

struct BruteProof {
  const BruteKernel& kernel;
  const Sets& sets;
  u32 driving;
  host::Order order;
  Sorted left, right;
  Brute arguments = {};

  BruteProof(const BruteKernel& kernel, const Sets& sets, u32 driving, host::Order order)
      : kernel(kernel), sets(sets), driving(driving), order(order) {
    arguments.left = sets.left[driving].data();
    arguments.right = sets.right_of(driving).data();
    arguments.n_left = sets.n_left;
    arguments.n_right = sets.n_right;
    arguments.radius = sets.radii[driving];
    arguments.words = sets.words[driving];
    if (kernel.sort) {
      kernel.sort(sets.left[driving], sets.n_left, order, &left);
      if (!sets.one_set) kernel.sort(sets.right[driving], sets.n_right, order, &right);
      const Sorted& other = sets.one_set ? left : right;
      arguments.left = left.hashes.data();
      arguments.left_rows = left.rows.data();
      arguments.left_ones = left.ones.data();
      arguments.right = other.hashes.data();
      arguments.right_rows = other.rows.data();
      arguments.right_ones = other.ones.data();
    }
  }

  u32 blocks() const { return blocks_of(sets.n_left, kernel.rows); }

  void run(Found& found, u32 block, u32 count, u32 segment, u32 first_segment, u32 segments) {
    Brute p = arguments;
    p.hits = found.hits(sets);
    p.first_block = block;
    p.first_segment = first_segment;
    p.segment = segment;
    launch({segments, count}, BRUTE_THREADS, order, kernel.name, [&] { kernel.kernel(p); });
  }

  // All slices of that many blocks and segments, each with a counter of its own.
  Pairs in_slices(u32 blocks_each, u32 segment, u32 segments_each, u64 capacity) {
    Pairs all;
    u32 segments = blocks_of(sets.n_right, segment);
    for (u32 b = 0; b < blocks(); b += blocks_each)
      for (u32 s = 0; s < segments; s += segments_each) {
        Found found(capacity, sets.n_columns());
        run(found, b, std::min(blocks_each, blocks() - b), segment, s, std::min(segments_each, segments - s));
        found.append_to(all);
      }
    return all;
  }

  // As the host does it: a slice that overflowed is halved and repeated, blocks first, then the segment.
  bool by_halving(u32 block, u32 count, u32 segment, u32 index, u64 capacity, Pairs& all) {
    Found found(capacity, sets.n_columns());
    run(found, block, count, segment, index, 1);
    if (found.fits()) return found.append_to(all), true;
    if (count > 1)
      return by_halving(block, count / 2, segment, index, capacity, all) &&
             by_halving(block + count / 2, count - count / 2, segment, index, capacity, all);
    if (segment == SEGMENT_STEP) return false;
    return by_halving(block, 1, segment / 2, 2 * index, capacity, all) &&
           by_halving(block, 1, segment / 2, 2 * index + 1, capacity, all);
  }
};

inline void prove_shape(const BruteKernel& kernel, const Shape& shape, u32 driving, host::Order order) {
  Sets sets = make_sets(shape);
  Pairs want = by_brute_force(sets);
  std::string what = describe(kernel.name, sets, want.size());
  BruteProof proof(kernel, sets, driving, order);
  u64 enough = want.size() + 8;
  report(equal_pairs(proof.in_slices(1u << 20, 8192, 1, enough), want), what + ": whole");
  report(equal_pairs(proof.in_slices(1, SEGMENT_STEP, 1, enough), want), what + ": smallest slices");
  report(equal_pairs(proof.in_slices(2, 2 * SEGMENT_STEP, 2, enough), want), what + ": slices of two");

  Found few(want.size() / 3, sets.n_columns());
  proof.run(few, 0, proof.blocks(), 128, 0, blocks_of(sets.n_right, 128));
  Pairs some;
  few.append_to(some);
  report(few.counter == want.size() && few.guards_hold() && are_some_of(some, want), what + ": overflow");
}

// Radii 0 and the whole width, where every pair is near.
inline void prove_extremes(const BruteKernel& kernel, host::Order order) {
  u32 bits = 64 * kernel.words;
  prove_shape(kernel, {70, 0, true, {kernel.words}, {0}, ~0ull, 80}, 0, order);
  prove_shape(kernel, {40, 70, false, {kernel.words}, {bits}}, 0, order);
  prove_shape(kernel, {70, 0, true, {kernel.words}, {0xffffffffu}, 0, 0}, 0, order);
  for (u64 universe : {0ull, ~0ull}) prove_shape(kernel, {66, 0, true, {kernel.words}, {1}, universe, 0}, 0, order);
}

inline void prove_tiny(const BruteKernel& kernel, host::Order order) {
  u32 radius = kernel.small;
  for (u32 n = 0; n <= 3; n++) prove_shape(kernel, {n, 0, true, {kernel.words}, {radius}, ~0ull, 100}, 0, order);
  prove_shape(kernel, {0, 5, false, {kernel.words}, {radius}}, 0, order);
  prove_shape(kernel, {5, 0, false, {kernel.words}, {radius}}, 0, order);
  prove_shape(kernel, {1, 1, false, {kernel.words}, {radius}, ~0ull, 100}, 0, order);
}

// As many hits as there are pairs: the smallest slice must fit into 65,536.
inline void prove_crowd(const BruteKernel& kernel) {
  Sets sets = make_sets({600, 300, false, {kernel.words}, {kernel.small}, 0, 0});
  Pairs want = by_brute_force(sets), all;
  BruteProof proof(kernel, sets, 0, host::Order::FORWARD);
  bool ended = proof.by_halving(0, proof.blocks(), 512, 0, 65536, all);
  report(ended && want.size() > 65536 && equal_pairs(all, want),
         describe(kernel.name, sets, want.size()) + ": halving");
}

// Sanitizers get one set in order, two in reversed order, several columns in no order; 280 rows for two blocks of a
// sort.
inline void prove(const BruteKernel& kernel) {
  u32 w = kernel.words, r = kernel.small;
  for (host::Order order : ORDERS) {
    u32 n = all_sizes ? kernel.rows + 88 : kernel.sort ? 280 : 130;
    if (all_sizes || order == host::Order::FORWARD) prove_shape(kernel, {n, 0, true, {w}, {r}}, 0, order);
    if (all_sizes || order == host::Order::REVERSED) prove_shape(kernel, {n / 3, n, false, {w}, {r}}, 0, order);
    if (!all_sizes || order == host::Order::FORWARD) continue;
    prove_shape(kernel, {kernel.rows + 65, 130, false, {w}, {r}}, 0, order);
    prove_tiny(kernel, order);
  }
  // Several columns: the second one drives, the last one keeps no pair away.
  host::Order order = host::Order::SHUFFLED;
  u32 n = all_sizes ? kernel.rows + 8 : 100;
  prove_shape(kernel, {n / 2, n, false, {3, w, 2}, {20, r, 128}}, 1, order);
  if (!all_sizes) return;
  prove_shape(kernel, {n, 0, true, {1, w}, {9, r}}, 1, order);
  prove_shape(kernel, {300, 0, true, {w, 1, 1, 1, 2, 1, 1, 4}, {r, 64, 9, 64, 200, 64, 9, 256}}, 0, order);
  prove_extremes(kernel, order);
  prove_crowd(kernel);
}
