/*
 * clock: the only door to time. Any thread.
 *
 * mono_ns never jumps and is comparable between processes of one host: time-outs, heartbeats.
 * wall_ns is UTC since 1970: what clients see. Steps take `now_ns` as an argument; only the thread
 * loops and the publication stamp read a clock, so tests drive time by hand.
 */
#pragma once

#include <stdint.h>

#define TF_NS_PER_US 1000LL
#define TF_NS_PER_MS 1000000LL
#define TF_NS_PER_S  1000000000LL

typedef struct tf_clock {
    int64_t (*mono_ns)(void *context);
    int64_t (*wall_ns)(void *context);
    void *context; /* owned by whoever made the clock; passed to both functions */
} tf_clock_t;

/* The system's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). */
extern const tf_clock_t tf_clock_system;

static inline int64_t tf_clock_mono_ns(const tf_clock_t *clock)
{
    return clock->mono_ns(clock->context);
}

static inline int64_t tf_clock_wall_ns(const tf_clock_t *clock)
{
    return clock->wall_ns(clock->context);
}
