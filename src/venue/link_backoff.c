#include "venue/link_backoff.h"

#include "base/assert.h"

int64_t tf_link_backoff_next(tf_link_backoff_t *backoff)
{
    TF_ASSERT(backoff->min_ns > 0 && backoff->max_ns >= backoff->min_ns);
    int64_t wait_ns = backoff->min_ns;
    for (uint32_t i = 0; i < backoff->failures && wait_ns < backoff->max_ns; i++)
        wait_ns = wait_ns > backoff->max_ns / 2 ? backoff->max_ns : 2 * wait_ns;
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    return wait_ns - (int64_t)tf_rng_below(&backoff->rng, (uint64_t)wait_ns / 4 + 1);
}
