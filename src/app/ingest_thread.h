/*
 * ingest_thread: the loop around tf_ingest_step(): steps it, and sleeps when there is nothing to
 * do; everything else lives in the composer.
 */
#pragma once

#include "ingest/ingest.h"

#include <pthread.h>

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
