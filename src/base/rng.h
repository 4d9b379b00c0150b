/*
 * rng: seeded random numbers (splitmix64), the only source of randomness besides tf_rng_entropy().
 * The same seed gives the same sequence on every machine: the simulated venue and every random
 * test print theirs. Not for secrets. Pure; the state belongs to the caller.
 */
#pragma once

#include <stdint.h>

typedef struct tf_rng {
    uint64_t state;
} tf_rng_t;

static inline uint64_t tf_rng_next(tf_rng_t *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); bound > 0. */
static inline uint64_t tf_rng_below(tf_rng_t *rng, uint64_t bound)
{
    /* multiply-shift: no division, no modulo bias */
    __extension__ typedef unsigned __int128 wide_t;
    return (uint64_t)(((wide_t)tf_rng_next(rng) * bound) >> 64);
}

/* 64 bits from the kernel: epochs, jitter seeds. */
uint64_t tf_rng_entropy(void);
