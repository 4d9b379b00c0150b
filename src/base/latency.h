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

/* One delay; a negative one (clocks of two machines) counts as 0. */
void tf_latency_add(tf_latency_t *latency, int64_t delay_ns);
