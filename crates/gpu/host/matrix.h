// The matrix instructions on the host: a warp's lanes exchange their registers and each computes its four results, by
// the register layout of the PTX manual (section "Matrix fragments for mma.m16n8k32", ".m16n8k128", ".m16n8k256").
// ../kernels/matrix.h includes it.
#pragma once
#include "cuda.h"

namespace host {
// d = c + a * b, where `dot` multiplies what two registers hold. A lane has KREGS registers of b and twice as many of
// a: lane 4g + k holds the k-th part of rows g and g + 8, and of column g.
template <int KREGS, class Dot>
inline void multiply(int (&d)[4], const uint32_t* a, const uint32_t* b, const int (&c)[4], Dot dot) {
  Slot mine = {};
  for (int r = 0; r < 2 * KREGS; r++) mine.word[r] = a[r];
  for (int r = 0; r < KREGS; r++) mine.word[4 + r] = b[r];
  const Slot* slots = meet(Collective::MATRIX, 0xffffffffu, mine);
  unsigned g = lane() >> 2, t = lane() & 3u;
  int sum[4] = {c[0], c[1], c[2], c[3]};  // d may be c
  for (unsigned k = 0; k < 4; k++)
    for (int r = 0; r < KREGS; r++) {
      uint32_t low = slots[4 * g + k].word[2 * r], high = slots[4 * g + k].word[2 * r + 1];
      uint32_t even = slots[4 * (2 * t) + k].word[4 + r], odd = slots[4 * (2 * t + 1) + k].word[4 + r];
      sum[0] += dot(low, even);
      sum[1] += dot(low, odd);
      sum[2] += dot(high, even);
      sum[3] += dot(high, odd);
    }
  for (int q = 0; q < 4; q++) d[q] = sum[q];
}

inline int dot_s8(uint32_t a, uint32_t b) {
  int sum = 0;
  for (int k = 0; k < 4; k++) sum += (int8_t)(a >> (8 * k)) * (int8_t)(b >> (8 * k));
  return sum;
}
inline int dot_b1(uint32_t a, uint32_t b) { return __builtin_popcount(a & b); }
}  // namespace host

inline void mma_s8(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const int (&c)[4]) {
  const uint32_t b[2] = {b0, b1};
  host::multiply<2>(d, a, b, c, host::dot_s8);
}
inline void mma_b1(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const int (&c)[4]) {
  const uint32_t b[2] = {b0, b1};
  host::multiply<2>(d, a, b, c, host::dot_b1);
}
inline void mma_b1_128(int (&d)[4], uint32_t a0, uint32_t a1, uint32_t b0, const int (&c)[4]) {
  const uint32_t a[2] = {a0, a1}, b[1] = {b0};
  host::multiply<1>(d, a, b, c, host::dot_b1);
}
