/*
 * bell_host: the writer's end of bells in other processes. A small thread owns the unix socket
 * `/dev/shm/tickfan.NAME.sock`; each connection is a guest, which lends the bells of its threads
 * (bell_wire.h has the conversation).
 *
 * The thread does all that may be slow or refused: it accepts, checks who and what comes, maps and
 * unmaps. The ingest thread only rings what it was handed, without locks and without ever waiting:
 *
 *   FREE --host--> JOINING --ingest--> ACTIVE --host--> LEAVING --ingest--> GONE --host--> FREE
 *
 * Each arrow belongs to one of them, so a store (release) and a load (acquire) are enough. The
 * guest hears that it is in only after ACTIVE: from there on every batch rings it, so it may sleep.
 *
 * A guest can't hurt the writer: the page is sealed against resizing, the eventfds are looked at
 * (that they are some, and non-blocking), a stopped guest costs one write(2) and then none, because
 * nobody raises its bells. Guests must be of the writer's own user. Malformed or too many: refused
 * and counted. Not defended against is what such a process could do with a signal as well: make
 * its eventfd blocking after it was looked at, and fill it.
 */
#pragma once

#include "base/stats.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct tf_bell_host tf_bell_host_t;

enum { TF_BELL_GUESTS_MAX = 16 };

/*
 * Make the socket (replacing what a dead writer left; the caller holds the region's lock) and start
 * the thread. `stats` are the thread's own: bell_guests, bell_guests_refused_total; they must
 * outlive the host.
 */
TF_MUST_CHECK tf_status_t tf_bell_host_open(tf_bell_host_t **out, const char *region,
                                            tf_stats_t *stats);

/* Remove the socket, let all guests go, join. After the last ring; NULL is allowed. */
void tf_bell_host_close(tf_bell_host_t *host);

/* Ingest thread, after every batch: wake the first sleeper of each guest; how many were woken. No
 * system call when nobody sleeps. Also where guests come and go: call it even when nothing was
 * published. */
uint32_t tf_bell_host_ring(tf_bell_host_t *host);

/* Ingest thread, or the one that has joined it: wake everybody, asleep or not. */
void tf_bell_host_ring_all(tf_bell_host_t *host);
