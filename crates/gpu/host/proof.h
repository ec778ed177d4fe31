// What the proofs of all kernels have in common: sets of hashes with near pairs planted in them, the pairs by brute
// force on the CPU, a buffer for hits with guards behind it. A proof ends at the first thing that is wrong.
//
// Invariant: what lies behind the last row of a set is a copy of its first rows, so that a kernel that takes padding
// for rows finds pairs that are none.
#pragma once
#include "cuda.h"
#include "../kernels/search.h"
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

inline unsigned checks = 0;
// False where sanitizers make it slow: most shapes are left out then.
inline bool all_sizes = true;

inline u64 random_state = 88172645463325252ull;
inline u64 random64() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}
inline u32 random_below(u32 n) { return (u32)(random64() % n); }

inline void report(bool right, const std::string& what) {
  checks++;
  if (right) return;
  printf("WRONG %s\n", what.c_str());
  exit(1);
}

inline void launch(host::Index grid, unsigned threads, host::Order order, const std::string& what,
                   const std::function<void()>& kernel) {
  std::string error = host::launch(grid, threads, order, kernel);
  if (error.empty()) return;
  // A fiber that was left in the middle cannot be resumed: nothing after it means anything.
  printf("FAULT %s: %s\n", what.c_str(), error.c_str());
  exit(1);
}

inline u32 blocks_of(u32 n, u32 each) { return std::max(1u, (n + each - 1) / each); }

// What a search is given. Within one set `right` is empty.
struct Sets {
  u32 n_left = 0, n_right = 0;
  bool one_set = true;
  std::vector<u32> words, radii;
  std::vector<std::vector<u64>> left, right;
  std::vector<Column> columns;

  const std::vector<u64>& right_of(size_t c) const { return one_set ? left[c] : right[c]; }
  u32 n_columns() const { return (u32)words.size(); }
};

struct Pair {
  u64 rows;
  std::array<u16, MAX_COLUMNS> distances;
  bool operator<(const Pair& o) const { return rows != o.rows ? rows < o.rows : distances < o.distances; }
  bool operator==(const Pair& o) const { return rows == o.rows && distances == o.distances; }
};
typedef std::vector<Pair> Pairs;

struct Shape {
  u32 n_left = 0;
  u32 n_right = 0;      // 0 where `one_set`
  bool one_set = true;
  std::vector<u32> words, radii;
  u64 universe = ~0ull;  // bits that random hashes have set: few make crowded buckets
  u32 copied = 50;       // rows of a hundred that are altered copies of another
};

inline void pad(std::vector<u64>& set, u32 n, u32 words) {
  for (u64 k = 0; k < (u64)PADDING_ROWS * words; k++) set.push_back(n ? set[k % ((u64)n * words)] : random64());
}

// Each copied row differs from another in up to two bits more than the radius, in each column, so that the radius is
// met and just missed.
inline Sets make_sets(const Shape& shape) {
  Sets s;
  s.n_left = shape.n_left;
  s.n_right = shape.one_set ? shape.n_left : shape.n_right;
  s.one_set = shape.one_set;
  s.words = shape.words;
  s.radii = shape.radii;
  size_t columns = s.words.size();
  s.left.resize(columns);
  s.right.resize(columns);
  u32 total = s.n_left + (s.one_set ? 0 : s.n_right);
  for (u32 row = 0; row < total; row++) {
    bool is_left = row < s.n_left, copy = row && random_below(100) < shape.copied;
    u32 from = row ? random_below(row) : 0;
    for (size_t c = 0; c < columns; c++) {
      u32 words = s.words[c];
      std::vector<u64>& to = is_left ? s.left[c] : s.right[c];
      const std::vector<u64>& source = from < s.n_left ? s.left[c] : s.right[c];
      u64 at = (u64)(from < s.n_left ? from : from - s.n_left) * words;
      std::vector<u64> hash(words);
      for (u32 k = 0; k < words; k++) hash[k] = copy ? source[at + k] : random64() & shape.universe;
      if (copy)
        for (u32 f = random_below(std::min(s.radii[c], 64 * words) + 3); f; f--) {
          u32 bit = random_below(64 * words);
          hash[bit / 64] ^= 1ull << bit % 64;
        }
      to.insert(to.end(), hash.begin(), hash.end());
    }
  }
  for (size_t c = 0; c < columns; c++) {
    pad(s.left[c], s.n_left, s.words[c]);
    if (!s.one_set) pad(s.right[c], s.n_right, s.words[c]);
  }
  for (size_t c = 0; c < columns; c++)
    s.columns.push_back({s.left[c].data(), s.right_of(c).data(), s.words[c], s.radii[c]});
  return s;
}

inline Pairs by_brute_force(const Sets& s) {
  Pairs pairs;
  for (u32 i = 0; i < s.n_left; i++)
    for (u32 j = s.one_set ? i + 1 : 0; j < s.n_right; j++) {
      Pair pair = {(u64)i << 32 | j, {}};
      bool near = true;
      for (u32 c = 0; c < s.n_columns() && near; c++) {
        u32 words = s.words[c], d = 0;
        for (u32 k = 0; k < words; k++)
          d += (u32)__builtin_popcountll(s.left[c][(u64)i * words + k] ^ s.right_of(c)[(u64)j * words + k]);
        near = d <= s.radii[c];
        pair.distances[c] = (u16)d;
      }
      if (near) pairs.push_back(pair);
    }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

// A buffer for hits. Arrays of exactly its capacity, so that the address sanitizer sees a write behind them.
struct Found {
  u64 capacity, counter = 0;
  u32 n_columns;
  std::unique_ptr<u64[]> pairs;
  std::unique_ptr<u16[]> distances;

  Found(u64 capacity, u32 n_columns)
      : capacity(capacity),
        n_columns(n_columns),
        pairs(new u64[capacity + 4]),
        distances(new u16[capacity * n_columns]) {
    for (u64 k = capacity; k < capacity + 4; k++) pairs[k] = k;
  }
  Hits hits(const Sets& s) {
    return {s.columns.data(), pairs.get(), distances.get(), &counter, capacity, n_columns, s.one_set};
  }
  bool fits() const { return counter <= capacity; }
  bool guards_hold() const {
    for (u64 k = capacity; k < capacity + 4; k++)
      if (pairs[k] != k) return false;
    return true;
  }
  void append_to(Pairs& all) const {
    for (u64 k = 0; k < std::min(counter, capacity); k++) {
      Pair pair = {pairs[k], {}};
      for (u32 c = 0; c < n_columns; c++) pair.distances[c] = distances[k * n_columns + c];
      all.push_back(pair);
    }
  }
};

inline bool equal_pairs(Pairs got, const Pairs& want) {
  std::sort(got.begin(), got.end());
  return got == want;
}
// Whether what did fit is right: different pairs, all of them wanted.
inline bool are_some_of(Pairs got, const Pairs& want) {
  std::sort(got.begin(), got.end());
  return std::adjacent_find(got.begin(), got.end()) == got.end() &&
         std::includes(want.begin(), want.end(), got.begin(), got.end());
}

inline std::string describe(const std::string& kernel, const Sets& s, size_t pairs) {
  std::string text = kernel + " " + std::to_string(s.n_left);
  text += (s.one_set ? "" : " x " + std::to_string(s.n_right)) + ",";
  for (u32 c = 0; c < s.n_columns(); c++)
    text += " " + std::to_string(64 * s.words[c]) + " bits within " + std::to_string(s.radii[c]) + ",";
  return text + " " + std::to_string(pairs) + " pairs";
}

inline int conclude(const char* kind) {
  printf("%s: %u checks, none wrong\n", kind, checks);
  return 0;
}

// The only argument is `small`, for builds with sanitizers.
inline void read_arguments(int count, char** arguments) {
  all_sizes = !(count > 1 && strcmp(arguments[1], "small") == 0);
}

constexpr host::Order ORDERS[] = {host::Order::FORWARD, host::Order::REVERSED, host::Order::SHUFFLED};
