/*
 * bell_guest: a reader process's end: the bells of its threads, lent to the writer's process over
 * `/dev/shm/tickfan.NAME.sock` (bell_wire.h has the conversation).
 *
 * The bells are made once and outlive any number of writers. A small thread keeps the connection:
 * it tries ten times a second while there is no writer, and again when one is gone. While it is not
 * connected nobody rings, and the threads have to poll: they look at tf_bell_guest_connected()
 * before they sleep, and are woken when it turns false.
 */
#pragma once

#include "base/stats.h"
#include "region/bell.h"

typedef struct tf_bell_guest tf_bell_guest_t;

/* Make `count` bells (1..TF_BELLS_MAX) and start the thread. `stats` are the thread's own:
 * bell_connected, bell_connects_total; they must outlive the guest. */
TF_MUST_CHECK tf_status_t tf_bell_guest_open(tf_bell_guest_t **out, const char *region,
                                             uint32_t count, tf_stats_t *stats);

/* Leave, join, close the bells: after the threads that sleep on them. NULL is allowed. */
void tf_bell_guest_close(tf_bell_guest_t *guest);

/* The set, valid until close: bell[i] is for thread i. */
const tf_bells_t *tf_bell_guest_bells(const tf_bell_guest_t *guest);

/* Read (acquire) by the threads before they sleep; written (release) by the guest's own thread. */
const _Atomic bool *tf_bell_guest_connected(const tf_bell_guest_t *guest);
