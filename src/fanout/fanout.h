/*
 * fanout: the composer of a fan-out thread: image + ring -> streams -> frames -> connections -> io.
 * One instance per thread; threads share nothing but the region they read.
 *
 * A newcomer reads tf_fanout_step(): take in what sockets brought, look at the region, serve those
 * that are behind, let streams emit, send. Everything a client gets in a turn is one send.
 */
#pragma once

#include "base/clock.h"
#include "base/stats.h"
#include "base/status.h"
#include "io/io.h"
#include "region/bell.h"
#include "session/session.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct tf_fanout tf_fanout_t;

typedef struct tf_fanout_config {
    const char *region;  /* name; need not be there yet: clients are told of no venue until it is */
    const char *version; /* for hello */
    uint32_t thread;     /* which one this is of ... */
    uint32_t threads;    /* ... so many in the process: connection ids are unique among them */
    uint32_t connections_max;
    /* Open connections of the process, counted by all its threads (relaxed: a limit, nothing hangs
     * on it); touched when one comes or goes. NULL = this thread's alone are limited. */
    _Atomic uint32_t *connections_open;
    uint32_t send_batch; /* most sends between two submits, as given to the io */
    int64_t batch_ns;    /* after a turn that sent data, the next one comes no sooner */
    int64_t lost_ns;     /* heartbeat older than this: every market is stale */
    int64_t sweep_ns;    /* how often time-outs and heartbeats are looked at */
    int64_t spin_ns; /* after news, look for more for so long before going to sleep; 0 = do not */
    int64_t accept_backoff_ns; /* pause after accept failed (EMFILE, ...) */
    int64_t drain_ns;          /* after tf_fanout_drain(): connections still open are cut */
    tf_session_limits_t limits;
    tf_bell_t *bell;         /* the thread's own; rung by the writer. NULL = poll the ring */
    const tf_bells_t *bells; /* every thread's: whoever is woken wakes the next. NULL = none */
    /* While false (acquire) nobody rings: poll. NULL = it is always true. */
    const _Atomic bool *bell_connected;
} tf_fanout_config_t;

extern const tf_fanout_config_t tf_fanout_config_default;

/* Attach to the region, now or when it appears. The io becomes the fan-out's on success; `stats`
 * and the config's pointers must outlive it. */
TF_MUST_CHECK tf_status_t tf_fanout_create(tf_fanout_t **out, const tf_fanout_config_t *config,
                                           tf_io_t *io, tf_stats_t *stats,
                                           _Atomic uint64_t *closes);
void tf_fanout_destroy(tf_fanout_t *fanout);

/* Accept clients from a listening socket, which stays the caller's. */
TF_MUST_CHECK tf_status_t tf_fanout_listen(tf_fanout_t *fanout, int fd);

/*
 * One turn.
 *
 * wake_in_ns  out: how long to sleep at most; 0 = there is more to do at once
 * returns     events, frames and sends handled
 */
uint64_t tf_fanout_step(tf_fanout_t *fanout, int64_t mono_ns, int64_t wall_ns, int64_t *wake_in_ns);

/* Say 1001 to every client and accept no more. */
void tf_fanout_drain(tf_fanout_t *fanout);

/* Draining is over: nobody is connected any more. */
bool tf_fanout_drained(const tf_fanout_t *fanout);

/* After every step: hand what it asked of the io to the kernel, and sleep for up to wake_in_ns (0 =
 * do not sleep), woken by sockets and by the bell. */
void tf_fanout_sleep(tf_fanout_t *fanout, int64_t wake_in_ns);
