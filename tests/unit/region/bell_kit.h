/*
 * bell_kit: a region that takes in other processes' bells, and its ingest thread turned by hand.
 * Include after "kit/kit.h".
 */
#pragma once

#include "region/bell_guest.h"
#include "region/bell_wire.h"
#include "unit/region/region_kit.h"

#include <poll.h>
#include <sys/stat.h>
#include <time.h>

enum { TURNS_MAX = 20000 }; /* of half a millisecond: far from what any wait takes */

typedef struct bell_rig {
    t_region_t t;
    tf_stats_t bells; /* of the host's thread */
    tf_stats_t guest; /* of the guest's thread */
} bell_rig_t;

static inline void rig_create_region(bell_rig_t *rig)
{
    (void)t_region_create(&rig->t);
    assert_int_equal(tf_region_bell_host(rig->t.region, &rig->bells), TF_OK);
}

static inline void rig_open(bell_rig_t *rig, const char *what)
{
    memset(rig, 0, sizeof *rig);
    t_region_init(&rig->t, what);
    rig_create_region(rig);
}

static inline void rig_close(bell_rig_t *rig)
{
    tf_region_close(rig->t.region, true);
    t_region_erase(rig->t.name);
}

/* One turn of the ingest thread, and a moment for the host's. */
static inline void rig_turn(bell_rig_t *rig)
{
    const struct timespec moment = {.tv_nsec = 500000};
    tf_region_ring_bells(rig->t.region);
    (void)nanosleep(&moment, NULL);
}

/* Turn until a counter has this value. */
static inline void rig_until(bell_rig_t *rig, const tf_stats_t *stats, tf_stat_t stat,
                             uint64_t value)
{
    for (int i = 0; i < TURNS_MAX && tf_stats_get(stats, stat) != value; i++)
        rig_turn(rig);
    if (tf_stats_get(stats, stat) != value)
        fail_msg("%s is %llu, not %llu", tf_stat_name(stat),
                 (unsigned long long)tf_stats_get(stats, stat), (unsigned long long)value);
}

static inline uint64_t rig_rings(const bell_rig_t *rig)
{
    return tf_stats_get(&rig->t.stats, TF_STAT_bell_rings_total);
}

static inline bool bell_readable(const tf_bell_t *bell)
{
    struct pollfd fd = {.fd = bell->fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}
