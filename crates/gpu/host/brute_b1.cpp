// The proof of the kernels of brute_b1.cu: matrix instructions on bits, and the sort by the number of ones.
#include "brute.h"
#include "../kernels/brute_b1.cu"

// Sorts, and checks what the sort promises: each row once, with its hash, by rising numbers of ones.
static void sort_by_ones(const std::vector<u64>& hashes, u32 n, host::Order order, Sorted* sorted) {
  std::vector<u32> counts(ONES_COUNTS, 0);
  sorted->hashes.assign((size_t)n * 4, 0);
  sorted->rows.assign(n, EMPTY);
  sorted->ones.assign(n, 0xffff);
  OnesSort p = {hashes.data(), counts.data(), sorted->hashes.data(), sorted->rows.data(), sorted->ones.data(), n, 0};
  u32 grid = blocks_of(n, ONES_THREADS);
  launch({grid, 1}, ONES_THREADS, order, "ones_count_256", [&] { ones_count_256(p); });
  launch({1, 1}, 1, order, "ones_starts_256", [&] { ones_starts_256(p); });
  launch({grid, 1}, ONES_THREADS, order, "ones_scatter_256", [&] { ones_scatter_256(p); });
  std::vector<bool> seen(n, false);
  bool right = true;
  for (u32 at = 0; at < n && right; at++) {
    u32 row = sorted->rows[at], ones = 0;
    right = row < n && !seen[row] && memcmp(&sorted->hashes[(size_t)at * 4], &hashes[(size_t)row * 4], 32) == 0;
    if (!right) break;
    seen[row] = true;
    for (u32 k = 0; k < 4; k++) ones += (u32)__builtin_popcountll(hashes[(size_t)row * 4 + k]);
    right = sorted->ones[at] == ones && (at == 0 || sorted->ones[at - 1] <= ones);
  }
  report(right, "sort of " + std::to_string(n) + " by their number of ones");
  // Behind the end any number may stand; these would let every pair pass, or none.
  pad(sorted->hashes, n, 4);
  for (u32 k = 0; k < PADDING_ROWS; k++) {
    sorted->rows.push_back(EMPTY);
    sorted->ones.push_back(k % 2 ? 0 : 0xffff);
  }
}

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  prove({"brute_b1_64", brute_b1_64, 1, 512, 5});
  prove({"brute_b1_64", brute_b1_64, 1, 512, 16});
  prove({"brute_b1_128", brute_b1_128, 2, 256, 12});
  prove({"brute_b1_256", brute_b1_256, 4, 512, 31});
  prove({"brute_ones_256", brute_ones_256, 4, 512, 31, sort_by_ones});
  prove({"brute_ones_256", brute_ones_256, 4, 512, 90, sort_by_ones});
  return conclude("brute_b1");
}
