/*
 * fanout_thread: the loop around tf_fanout_step(): makes the io on its own thread, steps the
 * composer, and sleeps when there is nothing to do; everything else lives in the composer.
 */
#pragma once

#include "fanout/fanout.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

typedef struct tf_fanout_thread {
    tf_fanout_config_t config;
    tf_stats_t stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    tf_bell_t bell;
    int listen_fd;
    pthread_t thread;
    _Atomic bool drain; /* written by main (release), read by the thread (acquire) */
    sem_t decided;      /* posted by the thread when it serves or has failed. Partner: _start() */
    bool failed;        /* valid after `decided` */
    char error[512];    /* why */
    bool started;
} tf_fanout_thread_t;

/* Start the thread and wait until it serves. The listening socket stays the caller's. The io is
 * made on the thread itself: the ring belongs to its creator. */
TF_MUST_CHECK tf_status_t tf_fanout_thread_start(tf_fanout_thread_t *thread);
/* Say goodbye to the clients (1001), wait for them as long as config.drain_ns, join. */
void tf_fanout_thread_stop(tf_fanout_thread_t *thread);
