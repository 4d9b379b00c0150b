#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * TF_NS_PER_S + now.tv_nsec;
}

static int64_t system_mono_ns(void *context)
{
    (void)context;
    return read_ns(CLOCK_MONOTONIC);
}

static int64_t system_wall_ns(void *context)
{
    (void)context;
    return read_ns(CLOCK_REALTIME);
}

const tf_clock_t tf_clock_system = {
    .mono_ns = system_mono_ns, .wall_ns = system_wall_ns, .context = NULL};
