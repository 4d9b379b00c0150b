/*
 * bell: how a sleeping reader thread is woken by the writer of a region, without a system call
 * while everybody is awake.
 *
 *   reader                                writer
 *   tf_bell_raise  (exchange)             publish (ring tail, release)
 *   look at the ring once more            tf_bells_ring: lower each bell (exchange)
 *   block on bell->fd                     was it raised? write the eventfd, stop
 *   tf_bell_lower; rung? tf_bells_ring_next
 *
 * The writer lowers a bell whether it is raised or not: a load would not do, it may run before the
 * store of the tail is visible, and then both sides see the old value and the reader sleeps on
 * news. Two exchanges of the same word are ordered: either the writer's comes second and finds 1,
 * or the reader's comes second and its look at the ring finds the news. No fence, so TSan can
 * follow it. An exchange of a word that the writer alone touches costs some 5 ns, once per batch.
 *
 * The writer wakes the first sleeper of the set; whoever was rung wakes the next one behind itself,
 * so ingest pays for one system call however many threads sleep. Only the rung pass it on, and only
 * towards the end of the set: two idle readers can't keep waking each other.
 *
 * A set is the threads of one process. Threads of other processes lend the writer their sets over
 * a unix socket: bell_host.h (the writer's end), bell_guest.h (theirs).
 */
#pragma once

#include "base/assert.h"
#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TF_BELLS_MAX = 64 };

/* 1 = its reader is asleep or about to be. A line of its own: the writer exchanges it every batch.
 */
typedef struct tf_bell_word {
    _Alignas(TF_CACHE_LINE_BYTES) _Atomic uint32_t raised;
} tf_bell_word_t;

/* Not to be copied or moved while open: `raised` may point into it. */
typedef struct tf_bell {
    tf_bell_word_t own;       /* not used when the word lies in a page shared between processes */
    _Atomic uint32_t *raised; /* the word: shared by the reader and the writer */
    int fd;                   /* eventfd, non-blocking; -1 when closed */
} tf_bell_t;

/* A set of bells that pass a ring on to each other: the threads of one process. Filled before they
 * start, then only read. */
typedef struct tf_bells {
    tf_bell_t *bell[TF_BELLS_MAX];
    uint32_t count;
} tf_bells_t;

TF_MUST_CHECK tf_status_t tf_bell_open(tf_bell_t *bell);
/* The same, with a word of a page that the writer's process maps too (bell_guest.h). */
TF_MUST_CHECK tf_status_t tf_bell_open_at(tf_bell_t *bell, tf_bell_word_t *word);
void tf_bell_close(tf_bell_t *bell);

/* Reader: about to sleep. Look at the ring again after this, before blocking on `fd`. */
void tf_bell_raise(tf_bell_t *bell);
/* Reader: awake (woken or not); also drains the eventfd. True when the bell was rung since it was
 * raised: then pass it on with tf_bells_ring_next(), whether or not this reader had gone to sleep.
 */
bool tf_bell_lower(tf_bell_t *bell);

/* Writer, after a batch: wake the first raised bell of the set; true when one was rung (one
 * write(2)). */
bool tf_bells_ring(const tf_bells_t *bells);

/* Reader that was rung: wake the first raised bell behind its own. True when one was rung. */
bool tf_bells_ring_next(const tf_bells_t *bells, const tf_bell_t *own);

/* Wake every reader, raised or not: the region is closing. */
void tf_bells_ring_all(const tf_bells_t *bells);
