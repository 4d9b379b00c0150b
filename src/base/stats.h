/*
 * stats: counters, one set per thread, listed once in stats.def; and the thread's histograms
 * (latency.h).
 *
 * Written by the owning thread only (relaxed load + store, no lock prefix), read by any (the
 * metrics page). A reader may see one counter newer than another; each by itself never goes back.
 */
#pragma once

#include "base/assert.h"
#include "base/latency.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum tf_stat {
#define TF_STAT(owners, name, text) TF_STAT_##name,
#include "base/stats.def"
#undef TF_STAT
    TF_STAT_COUNT,
} tf_stat_t;

/* What a thread does, and so which counters it can move. One bit each, for sets of them. */
typedef enum tf_thread_kind {
    TF_THREAD_INGEST = 1,
    TF_THREAD_FANOUT = 2,
    TF_THREAD_BELL_HOST = 4,  /* of a writer's process: takes in the bells of others */
    TF_THREAD_BELL_GUEST = 8, /* of a fan-out process: lends its bells to the writer */
} tf_thread_kind_t;

typedef struct tf_stats {
    _Alignas(TF_CACHE_LINE_BYTES) _Atomic uint64_t value[TF_STAT_COUNT];
    tf_latency_t latency[TF_LATENCY_COUNT];
} tf_stats_t;

/* The Prometheus name without prefix, and the help text. */
const char *tf_stat_name(tf_stat_t stat);
const char *tf_stat_text(tf_stat_t stat);

/* Can a thread of that kind move it? */
bool tf_stat_of(tf_stat_t stat, tf_thread_kind_t kind);

static inline uint64_t tf_stats_get(const tf_stats_t *stats, tf_stat_t stat)
{
    return atomic_load_explicit(&stats->value[stat], memory_order_relaxed);
}

static inline void tf_stats_set(tf_stats_t *stats, tf_stat_t stat, uint64_t value)
{
    atomic_store_explicit(&stats->value[stat], value, memory_order_relaxed);
}

static inline void tf_stats_add(tf_stats_t *stats, tf_stat_t stat, uint64_t count)
{
    tf_stats_set(stats, stat, tf_stats_get(stats, stat) + count);
}

/* tf_count(stats, frames_encoded_total, 1) */
#define tf_count(stats, name, count) tf_stats_add((stats), TF_STAT_##name, (uint64_t)(count))

/* tf_time(stats, ingest_to_publish, delay_ns) */
#define tf_time(stats, name, delay_ns)                                                             \
    tf_latency_add(&(stats)->latency[TF_LATENCY_##name], (delay_ns))
