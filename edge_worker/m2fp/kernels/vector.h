/* Shared by the kernels: versions of a function for several instruction sets, of which the best is taken at run time, and
   a vectorisable exponential. */

#ifndef EDGE_WORKER_VECTOR_H
#define EDGE_WORKER_VECTOR_H

#include <stdint.h>
#include <string.h>

#define INLINED static inline __attribute__((always_inline))

/* Instruction sets of the versions: what the compiler takes by default, AVX2 with FMA, AVX-512. */
enum { BASELINE, AVX2, AVX512 };

#if defined(__x86_64__) && defined(__GNUC__)
INLINED int32_t best_level(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return BASELINE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw")) return AVX2;
    if (!__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) return AVX2;
    return AVX512;
}

/* Define a function of these parameters as that of the name and _steps, compiled for each instruction set. */
#define DISPATCHED(type, name, parameters, arguments)                                                                  \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) static type name##_avx512 parameters {           \
        return name##_steps arguments;                                                                                 \
    }                                                                                                                  \
    __attribute__((target("avx2,fma"))) static type name##_avx2 parameters { return name##_steps arguments; }          \
    type name parameters {                                                                                             \
        if (vector_level == AVX512) return name##_avx512 arguments;                                                    \
        if (vector_level == AVX2) return name##_avx2 arguments;                                                        \
        return name##_steps arguments;                                                                                 \
    }
#else
INLINED int32_t best_level(void) { return BASELINE; }
#define DISPATCHED(type, name, parameters, arguments) \
    type name parameters { return name##_steps arguments; }
#endif

static int32_t vector_level = BASELINE;

/* Take the best instruction set that this CPU has, none beyond *most*; the loader calls it. Returns which. */
int32_t hold_to(int32_t most) {
    const int32_t best = best_level();
    return vector_level = best < most ? best : most;
}

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
