/*
 * fanout_group: the fan-out threads of a process, built, started and stopped together: their
 * listeners on one port, their bells, what they count together.
 *
 * Where the region's writer is a thread of this process (`serve`), it rings the group's bells
 * itself. Where it is another process (`fanout`), the bells are lent to it (region/bell_guest.h),
 * and the threads poll while there is none.
 */
#pragma once

#include "app/fanout_thread.h"
#include "app/listen.h"
#include "app/options.h"
#include "region/bell_guest.h"
#include "region/region.h"

enum { TF_FANOUT_AUTO_MAX = 16 }; /* --fanout-threads 0 takes no more */

typedef struct tf_fanout_group {
    tf_fanout_thread_t *thread; /* `count` of them */
    uint32_t count;
    _Atomic uint32_t connections_open; /* of all threads: tf_fanout_config_t */
    /* serve: own bells, rung by the ingest thread */
    tf_bell_t *bell;
    tf_bells_t bells;
    /* fanout: bells lent to another process */
    tf_bell_guest_t *guest;
    tf_stats_t guest_stats; /* of the guest's thread */
} tf_fanout_group_t;

/* Threads that --fanout-threads asks for; 0 takes one less than the cores this process may run on,
 * at least 1 and at most TF_FANOUT_AUTO_MAX. */
uint32_t tf_fanout_group_count(int64_t option);

/*
 * Listen, make the bells, start the threads. All listeners exist before the first thread accepts,
 * or its share of the connections would be all of them.
 *
 * region   the writer in this process, which must not run yet; NULL when it is another process's
 * *port    is updated when it was 0
 * On an error, tf_fanout_group_stop() is the caller's to call as well.
 */
TF_MUST_CHECK tf_status_t tf_fanout_group_start(tf_fanout_group_t *group,
                                                const tf_options_t *options, tf_region_t *region,
                                                const char *address, uint16_t *port);

/* Say goodbye on all threads at once, wait for all, join. */
void tf_fanout_group_stop(tf_fanout_group_t *group);

/* Free the bells and the rest: after the region was closed, which rings them once more. */
void tf_fanout_group_free(tf_fanout_group_t *group);
