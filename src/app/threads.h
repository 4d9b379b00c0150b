/*
 * threads: the loops around the composers. Each is a thread that steps its composer and sleeps when
 * there is nothing to do; everything else lives in the composers.
 */
#pragma once

#include "fanout/fanout.h"
#include "ingest/ingest.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* ---- ingest ---- */

typedef struct tf_ingest_thread {
    tf_ingest_t *ingest; /* the thread's own while it runs */
    pthread_t thread;
    int stop_fd; /* eventfd: readable = stop */
    bool started;
} tf_ingest_thread_t;

/* Run `ingest` until tf_ingest_thread_stop(). */
TF_MUST_CHECK tf_status_t tf_ingest_thread_start(tf_ingest_thread_t *thread, tf_ingest_t *ingest);
/* Stop and join; NULL-safe on one that was not started. */
void tf_ingest_thread_stop(tf_ingest_thread_t *thread);

/* ---- fan-out ---- */

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
