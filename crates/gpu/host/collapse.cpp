// The proof of the kernels of collapse.cu: the first equal row of each row, against a search on the CPU.
#include "proof.h"
#include "../kernels/collapse.cu"
#include <map>

static void prove(u32 n, const std::vector<u32>& words, u32 different, u32 slice, u64 seed, host::Order order) {
  // Rows that differ in the last bit of the last column alone are among them.
  std::vector<std::vector<u64>> sets(words.size());
  for (u32 row = 0; row < n; row++) {
    u32 which = random_below(different);
    for (size_t c = 0; c < words.size(); c++)
      for (u32 k = 0; k < words[c]; k++) {
        bool last = c + 1 == words.size() && k + 1 == words[c];
        sets[c].push_back((which / 2 * 0x9e3779b97f4a7c15ull) ^ (last ? which % 2 : 0));
      }
  }
  std::vector<Column> columns;
  for (size_t c = 0; c < words.size(); c++) {
    pad(sets[c], n, words[c]);
    columns.push_back({sets[c].data(), nullptr, words[c], 0});
  }
  std::map<std::vector<u64>, u32> first_of;
  std::vector<u32> want(n);
  for (u32 row = 0; row < n; row++) {
    std::vector<u64> key;
    for (size_t c = 0; c < words.size(); c++)
      key.insert(key.end(), &sets[c][(size_t)row * words[c]], &sets[c][(size_t)row * words[c]] + words[c]);
    want[row] = first_of.insert({key, row}).first->second;
  }
  u32 entries = 2;
  while (entries < 2 * n) entries *= 2;
  std::vector<u32> table(entries, EMPTY), first(entries, EMPTY), places(n, 7), result(n, 7);
  Collapse p = {columns.data(), table.data(), first.data(), places.data(), result.data(), seed, entries - 1,
                (u32)words.size(), 0, 0};
  for (auto kernel : {collapse_insert, collapse_first})
    for (u32 row = 0; row == 0 || row < n; row += slice) {
      p.first_row = row;
      p.count = std::min(slice, n - row);
      launch({blocks_of(p.count, COLLAPSE_THREADS), 1}, COLLAPSE_THREADS, order, "collapse", [&] { kernel(p); });
    }
  report(result == want, "collapse of " + std::to_string(n) + " rows of " + std::to_string(words.size()) +
                             " columns, " + std::to_string(different) + " different, slices of " +
                             std::to_string(slice));
}

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  u32 n = all_sizes ? 4000 : 600;
  for (host::Order order : ORDERS)
    for (u32 different : {1u, 2u, n / 10, n, 100 * n})
      for (u64 seed : {0ull, 0x123456789abcdefull}) {
        prove(n, {1}, different, n, seed, order);
        prove(n, {2, 1}, different, 300, seed, order);
        if (!all_sizes) continue;
        prove(n, {4}, different, 1000, seed, order);
        prove(n, {1, 5, 16}, different, n, seed, order);
        for (u32 few = 0; few <= 3; few++) prove(few, {1}, different, 2, seed, order);
      }
  return conclude("collapse");
}
