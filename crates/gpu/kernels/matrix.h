// The matrix instructions, and how a lane finds its part of a hash. For brute_b1.cu and brute_s8.cu; sm_80, PTX 7.1.
//
// Lane 4g + t holds, of the row operand, rows g and g + 8 of 16, and of the column operand column g of 8; t is the
// part of the K dimension. The order of K is free as long as both operands agree on it, so that lane t takes the t-th
// quarter of every hash, as it lies in memory. Result q of a lane: row g + 8 * (q >> 1), column 2t + (q & 1).
#pragma once
#include "device.h"
#include "search.h"

#ifdef LUMINA_HOST
#include "../host/matrix.h"
#else
__device__ __forceinline__ void mma_s8(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, const int (&c)[4]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}
__device__ __forceinline__ void mma_b1(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, const int (&c)[4]) {
  asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}
__device__ __forceinline__ void mma_b1_128(int (&d)[4], u32 a0, u32 a1, u32 b0, const int (&c)[4]) {
  asm("mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a0), "r"(a1), "r"(b0), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}
#endif

// A quarter of a hash of W words.
template <int W> struct Quarter;
template <> struct Quarter<4> { typedef u64 T; };
template <> struct Quarter<2> { typedef u32 T; };
template <> struct Quarter<1> { typedef u16 T; };
