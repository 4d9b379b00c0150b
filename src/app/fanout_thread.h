/*
 * fanout_thread: the loop around tf_fanout_step(): makes the io on its own thread, steps the
 * composer, and sleeps when there is nothing to do; everything else lives in the composer.
 */
#pragma once

#include "fanout/fanout.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { TF_THREAD_NAME_BYTES_MAX = 16 }; /* the kernel's limit, for pthread_setname_np */

typedef struct tf_fanout_thread {
    tf_fanout_config_t config; /* its `thread` and `bell` are this thread's */
    tf_stats_t stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    char name[TF_THREAD_NAME_BYTES_MAX]; /* "fanout-0" */
    int listen_fd;                       /* the thread's own once it was started */
    pthread_t thread;
    _Atomic bool drain; /* written by main (release), read by the thread (acquire) */
    sem_t decided;      /* posted by the thread when it serves or has failed. Partner: _start() */
    bool failed;        /* valid after `decided` */
    char error[512];    /* why */
    bool started;
} tf_fanout_thread_t;

/*
 * Start the thread and wait until it serves. The io is made on the thread itself: the ring belongs
 * to its creator. The thread closes the listening socket at its end, whether it served or not, so
 * that clients who come during the end of the others are not left to wait for one that is gone.
 */
TF_MUST_CHECK tf_status_t tf_fanout_thread_start(tf_fanout_thread_t *thread);

/* Say goodbye to the clients (1001). Does not wait, so several threads can do it at once. */
void tf_fanout_thread_drain(tf_fanout_thread_t *thread);

/* Drain, wait for the clients as long as config.drain_ns, join. Nothing on one that was not
 * started. */
void tf_fanout_thread_stop(tf_fanout_thread_t *thread);
