/*
 * link_backoff: how long to wait after the n-th failure in a row. Pure.
 */
#pragma once

#include "base/rng.h"

typedef struct tf_link_backoff {
    int64_t min_ns;
    int64_t max_ns;
    uint32_t failures; /* since the last reset; saturates */
    tf_rng_t rng;
} tf_link_backoff_t;

/* One more failure. min, 2 min, 4 min ... max, each times 0.75 to 1 at random, so that many clients
 * of a venue that comes back do not come at once; and still every wait is longer than the one
 * before, up to the largest. */
int64_t tf_link_backoff_next(tf_link_backoff_t *backoff);

static inline void tf_link_backoff_reset(tf_link_backoff_t *backoff)
{
    backoff->failures = 0;
}
