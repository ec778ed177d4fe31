// The proof of the kernels of banded.cu: the sort by a band, its scan, and the probe against brute force on the CPU; in
// blocks and windows, with overflow, with bands that were probed before.
#include "proof.h"
#include "../kernels/banded.cu"

struct BandKernels {
  const char* name;
  u32 words;  // 0: any
  void (*count)(const BandSort);
  void (*scatter)(const BandSort);
  void (*probe)(const BandProbe);
};
static const BandKernels KERNELS[] = {
    {"64", 1, band_count_64, band_scatter_64, band_probe_64},
    {"128", 2, band_count_128, band_scatter_128, band_probe_128},
    {"256", 4, band_count_256, band_scatter_256, band_probe_256},
    {"any", 0, band_count_any, band_scatter_any, band_probe_any},
};

static u32 value_of(const u64* hash, const Band& band) {
  u32 value = 0;
  for (u32 k = 0; k < band.width; k++) {
    u32 bit = 64 * band.word + band.start + k;
    value = value << 1 | (u32)(hash[bit / 64] >> (63 - bit % 64) & 1);
  }
  return value;
}

struct SortedByBand {
  std::vector<u64> hashes;
  std::vector<u32> rows, starts;

  // Checks what the sort promises: each row once, with its hash, in its bucket.
  SortedByBand(const BandKernels& kernels, const std::vector<u64>& set, u32 n, u32 words, const Band& band,
               host::Order order) {
    u32 buckets = 1u << band.width, blocks = blocks_of(buckets, SCAN_COUNTS);
    std::vector<u32> counts((size_t)blocks * SCAN_COUNTS, 0), sums(blocks, 7), ranks(n, 7);
    starts.assign((size_t)blocks * SCAN_COUNTS + 1, 7);
    hashes.assign((size_t)n * words, 7);
    rows.assign(n, EMPTY);
    BandSort p = {set.data(),    counts.data(), sums.data(), starts.data(), ranks.data(),
                  hashes.data(), rows.data(),   band,        n,             words};
    u32 grid = blocks_of(n, BAND_THREADS);
    launch({grid, 1}, BAND_THREADS, order, "band_count", [&] { kernels.count(p); });
    launch({blocks, 1}, SCAN_THREADS, order, "scan_sums", [&] { scan_sums(p); });
    launch({1, 1}, SCAN_THREADS, order, "scan_blocks", [&] { scan_blocks(p); });
    launch({blocks, 1}, SCAN_THREADS, order, "scan_starts", [&] { scan_starts(p); });
    launch({grid, 1}, BAND_THREADS, order, "band_scatter", [&] { kernels.scatter(p); });
    std::vector<bool> seen(n, false);
    bool right = starts[0] == 0 && starts[buckets] == n;
    for (u32 b = 0; b < buckets && right; b++) {
      right = starts[b] <= starts[b + 1];
      for (u32 at = starts[b]; at < starts[b + 1] && right; at++) {
        u32 row = rows[at];
        const u64* hash = &hashes[(size_t)at * words];
        right = row < n && !seen[row] && value_of(hash, band) == b &&
                memcmp(hash, &set[(size_t)row * words], 8 * words) == 0;
        if (right) seen[row] = true;
      }
    }
    if (!right) {  // probing with such starts would only run astray
      printf("WRONG sort of %u by %u bits from bit %u of word %u\n", n, band.width, band.start, band.word);
      exit(1);
    }
    report(right, "sort by a band");
    pad(hashes, n, words);
    for (u32 k = 0; k < PADDING_ROWS; k++) rows.push_back(EMPTY);
  }
};

struct BandProof {
  const BandKernels& kernels;
  const Sets& sets;
  host::Order order;
  SortedByBand left;
  std::unique_ptr<SortedByBand> right;
  std::vector<u32> flips;
  BandProbe arguments = {};

  BandProof(const BandKernels& kernels, const Sets& sets, u32 driving, const std::vector<Band>& plan, u32 b,
            host::Order order)
      : kernels(kernels), sets(sets), order(order),
        left(kernels, sets.left[driving], sets.n_left, sets.words[driving], plan[b], order) {
    u32 words = sets.words[driving];
    if (!sets.one_set)
      right.reset(new SortedByBand(kernels, sets.right[driving], sets.n_right, words, plan[b], order));
    for (u32 mask = 0; mask < 1u << plan[b].width; mask++)
      if ((u32)__builtin_popcount(mask) <= plan[b].tolerance) flips.push_back(mask);
    const SortedByBand& other = sets.one_set ? left : *right;
    BandProbe& p = arguments;
    p.left = left.hashes.data();
    p.left_rows = left.rows.data();
    p.right = other.hashes.data();
    p.right_rows = other.rows.data();
    p.right_starts = other.starts.data();
    p.flips = flips.data();
    p.earlier = plan.data();
    p.band = plan[b];
    p.n_left = sets.n_left;
    p.n_flips = (u32)flips.size();
    p.n_earlier = b;
    p.radius = sets.radii[driving];
    p.words = words;
  }

  u32 blocks() const { return blocks_of(sets.n_left, BAND_THREADS); }

  void run(Found& found, u32 block, u32 count, u32 from, u32 to) {
    BandProbe p = arguments;
    p.hits = found.hits(sets);
    p.first_block = block;
    p.from = from;
    p.to = to;
    launch({count, 1}, BAND_THREADS, order, std::string("band_probe_") + kernels.name, [&] { kernels.probe(p); });
  }

  // The n-th way of cutting a band into launches.
  void in_parts(u32 n, u64 capacity, Pairs& all) {
    if (n % 3 == 0) in_windows(1u << 20, 1u << 30, capacity, all);
    else if (n % 3 == 1) in_windows(1, 1u << 30, capacity, all);
    else in_windows(2, 150, capacity, all);
  }

  void in_windows(u32 blocks_each, u32 window, u64 capacity, Pairs& all) {
    for (u32 b = 0; b < blocks(); b += blocks_each)
      for (u32 from = 0; from == 0 || from < sets.n_right; from += window) {
        Found found(capacity, sets.n_columns());
        run(found, b, std::min(blocks_each, blocks() - b), from, std::min(from + window, sets.n_right));
        found.append_to(all);
      }
  }

  // As the host does it: blocks are halved first, then the window, which ends at 256 by 256 places.
  bool by_halving(u32 block, u32 count, u32 from, u32 to, u64 capacity, Pairs& all) {
    Found found(capacity, sets.n_columns());
    run(found, block, count, from, to);
    if (found.fits()) return found.append_to(all), true;
    if (count > 1)
      return by_halving(block, count / 2, from, to, capacity, all) &&
             by_halving(block + count / 2, count - count / 2, from, to, capacity, all);
    if (to - from <= 256) return false;
    u32 middle = from + (to - from) / 2;
    return by_halving(block, 1, from, middle, capacity, all) && by_halving(block, 1, middle, to, capacity, all);
  }
};

// `count` bands that cover `bits` bits, each at most `widest` wide; tolerances for `radius` by the exact cover.
static std::vector<Band> make_plan(u32 bits, u32 radius, u32 count, u32 widest) {
  std::vector<Band> plan;
  u32 start = 0, slots = radius + 1;
  for (u32 b = 0; b < count; b++) {
    u32 width = bits / count + (b < bits % count), share = slots / count + (b < slots % count);
    u32 cut = std::min(width, widest);
    if (share) plan.push_back({start / 64, start % 64, cut, std::min(share - 1, cut)});
    start += width;
  }
  return plan;
}

// Bands take turns in how they are cut into launches, and shapes begin with another one each.
static void prove_shape(const BandKernels& kernels, const Shape& shape, u32 driving, u32 bands, u32 widest,
                        host::Order order) {
  Sets sets = make_sets(shape);
  Pairs want = by_brute_force(sets), all, some;
  std::vector<Band> plan = make_plan(64 * sets.words[driving], sets.radii[driving], bands, widest);
  std::string what = describe(std::string("band_probe_") + kernels.name, sets, want.size()) + " " +
                     std::to_string(plan.size()) + " bands";
  static u32 part = 0;
  u64 counted = 0, enough = want.size() + 8;
  bool guards = true;
  for (u32 b = 0; b < plan.size(); b++) {
    BandProof proof(kernels, sets, driving, plan, b, order);
    proof.in_parts(part++, enough, all);
    Found few(want.size() / 5, sets.n_columns());
    proof.run(few, 0, proof.blocks(), 0, sets.n_right);
    counted += few.counter;
    guards = guards && few.guards_hold();
    few.append_to(some);
  }
  report(equal_pairs(all, want), what);
  report(counted == want.size() && guards && are_some_of(some, want), what + ": overflow");
}

// Every pair is a hit: 256 by 256 places must fit into 65,536.
static void prove_crowd(const BandKernels& kernels, bool one_set) {
  u32 words = kernels.words ? kernels.words : 3;
  Sets sets = make_sets({520, one_set ? 0u : 300u, one_set, {words}, {1}, 0, 0});
  Pairs want = by_brute_force(sets), all;
  std::vector<Band> plan = {{0, 3, 8, 1}};
  BandProof proof(kernels, sets, 0, plan, 0, host::Order::FORWARD);
  bool ended = proof.by_halving(0, proof.blocks(), 0, sets.n_right, 65536, all);
  report(ended && want.size() > 65536 && equal_pairs(all, want),
         describe(std::string("band_probe_") + kernels.name, sets, want.size()) + ": halving");
}

// More blocks of counts than one block of threads has: only bands of more than 22 bits have them.
static void prove_scan_of_blocks() {
  Band band = {0, 0, 23, 0};
  u32 blocks = (1u << band.width) / SCAN_COUNTS;
  std::vector<u32> sums(blocks), want(blocks);
  u32 at = 0;
  for (u32 b = 0; b < blocks; b++) sums[b] = random_below(1000), want[b] = at, at += sums[b];
  BandSort p = {};
  p.sums = sums.data();
  p.band = band;
  for (host::Order order : ORDERS) {
    std::vector<u32> scanned = sums;
    p.sums = scanned.data();
    launch({1, 1}, SCAN_THREADS, order, "scan_blocks", [&] { scan_blocks(p); });
    report(scanned == want, "scan of 2048 blocks");
    if (!all_sizes) break;
  }
}

// Sanitizers get one set or two, and a crowd.
static void prove(const BandKernels& kernels, host::Order order) {
  u32 w = kernels.words ? kernels.words : 5, bits = 64 * w;
  u32 bands = all_sizes ? 2 * w : 2, radius = 2 * bands - 1, n = all_sizes ? 400 : 130;
  bool one_set = order != host::Order::REVERSED, two_sets = order != host::Order::FORWARD;
  if (one_set) prove_shape(kernels, {n, 0, true, {w}, {radius}}, 0, bands, 11, order);
  if (two_sets && all_sizes) prove_shape(kernels, {n / 2, n, false, {w}, {radius}}, 0, bands, 11, order);
  if (two_sets && !all_sizes) prove_shape(kernels, {60, 270, false, {w}, {1}, 0, 0}, 0, 1, 11, order);
  if (!all_sizes || order != host::Order::SHUFFLED) return;
  // Crowded buckets; bands that reach into the next word; few bands, many flips.
  prove_shape(kernels, {400, 0, true, {w}, {radius}, 0xff00ff00ff00ff0full}, 0, bands + 2, 10, order);
  prove_shape(kernels, {400, 300, false, {w}, {radius}, 0x00ff0000000000ffull}, 0, bands - 1, 9, order);
  prove_shape(kernels, {300, 0, true, {w}, {3}}, 0, 3, 13, order);
  // Several columns: the second one drives, the last one keeps no pair away.
  prove_shape(kernels, {400, 0, true, {1, w}, {9, radius}}, 1, bands, 11, order);
  prove_shape(kernels, {200, 400, false, {3, w, 2}, {20, radius, 128}}, 1, bands, 11, order);
  // Tiny sets, no rows, radius 0.
  for (u32 rows = 0; rows <= 3; rows++)
    prove_shape(kernels, {rows, 0, true, {w}, {radius}, ~0ull, 100}, 0, 2, 6, order);
  prove_shape(kernels, {0, 3, false, {w}, {radius}}, 0, 2, 6, order);
  prove_shape(kernels, {3, 0, false, {w}, {radius}}, 0, 2, 6, order);
  prove_shape(kernels, {300, 0, true, {w}, {0}, ~0ull, 80}, 0, 1, std::min(bits, 12u), order);
}

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  u32 k = 0;
  for (const BandKernels& kernels : KERNELS) {
    if (all_sizes) {
      for (host::Order order : ORDERS) prove(kernels, order);
      for (bool one_set : {true, false}) prove_crowd(kernels, one_set);
    } else if (kernels.words != 2) {
      prove(kernels, ORDERS[k++ % 3]);
    }
  }
  // Any number of words, one among them.
  for (u32 words : {1u, 2u, 3u, 16u})
    if (all_sizes || words == 1)
      prove_shape(KERNELS[3], {200, 0, true, {words}, {4 * words}}, 0, 2 * words, 11, host::Order::SHUFFLED);
  prove_scan_of_blocks();
  return conclude("banded");
}
