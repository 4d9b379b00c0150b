/*
 * latency: histograms of delays, one set per thread, listed once in latency.def. Written by the
 * owning thread only (relaxed load + store), read by any (the metrics page).
 *
 * Buckets are 1-2-5 steps from 1 us to 10 s: what an operator reads, and few enough to look at.
 */
#pragma once

#include "base/assert.h"

#include <stdatomic.h>
#include <stdint.h>

typedef enum tf_latency_row {
#define TF_LATENCY(name, text) TF_LATENCY_##name,
#include "base/latency.def"
#undef TF_LATENCY
    TF_LATENCY_COUNT,
} tf_latency_row_t;

enum { TF_LATENCY_BUCKETS = 22 }; /* upper bounds; one more counts what is above them */

/* Upper bounds in nanoseconds, inclusive. */
extern const int64_t tf_latency_bound_ns[TF_LATENCY_BUCKETS];

typedef struct tf_latency {
    _Atomic uint64_t bucket[TF_LATENCY_BUCKETS + 1]; /* each by itself, not cumulative */
    _Atomic uint64_t sum_ns;
} tf_latency_t;

/* The Prometheus name without prefix and unit, and the help text. */
const char *tf_latency_name(tf_latency_row_t row);
const char *tf_latency_text(tf_latency_row_t row);

/* How many bounds lie below 2^i ns. From 2^i up to 2^(i + 1) there is one bound at most, because
 * each is at least twice the one before. */
enum { TF_LATENCY_OCTAVES = 35 };
extern const uint8_t tf_latency_below[TF_LATENCY_OCTAVES];

static inline void tf_latency_count(_Atomic uint64_t *counter, uint64_t value)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + value, memory_order_relaxed);
}

/* One delay; a negative one (clocks of two machines) counts as 0. Inline, one table and one
 * comparison: ingest counts two per message of a venue. */
static inline void tf_latency_add(tf_latency_t *latency, int64_t delay_ns)
{
    uint64_t delay = delay_ns > 0 ? (uint64_t)delay_ns : 0;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(delay | 1);
    uint32_t bucket =
        tf_latency_below[octave < TF_LATENCY_OCTAVES ? octave : TF_LATENCY_OCTAVES - 1];
    if (bucket < TF_LATENCY_BUCKETS && delay > (uint64_t)tf_latency_bound_ns[bucket])
        bucket++;
    tf_latency_count(&latency->bucket[bucket], 1);
    tf_latency_count(&latency->sum_ns, delay);
}
