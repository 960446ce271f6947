/* Shared by the kernels: function multiversioning, which selects the best instruction set at run time, and a
   vectorisable exponential. */

#ifndef EDGE_WORKER_VECTOR_H
#define EDGE_WORKER_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define DISPATCHED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DISPATCHED __attribute__((target_clones("avx512f", "fma", "default")))
#endif
#else
#define DISPATCHED
#endif
#define INLINED static inline __attribute__((always_inline))

/* exp of x <= 0, to 2 units in the last place: a power of two, and 2^part for |part| <= 0.5 (Cephes, exp2f.c). */
INLINED float exp_of_negative(float x) {
    const float rounder = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float t = (x < -87.0f ? -87.0f : x) * 1.44269504f;
    float shifted = t + rounder, part = t - (shifted - rounder);
    float p = 1.535336188e-4f;
    p = p * part + 1.339887440e-3f;
    p = p * part + 9.618437357e-3f;
    p = p * part + 5.550332471e-2f;
    p = p * part + 2.402264791e-1f;
    p = p * part + 6.931472028e-1f;
    p = p * part + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* the low bits of the rounded sum are the integer */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

#endif
