/*
 * ingest_thread: the loop around tf_ingest_step(): steps it, and sleeps when there is nothing to
 * do; everything else lives in the composer.
 *
 * It sleeps in ppoll(2), to the microsecond, while all its venues are simulated or recorded. With a
 * live one it sleeps in that one's libwebsockets (venue/link.h), to the millisecond: 4.1.6, Debian
 * 12's, polls its sockets itself and has no door for somebody else's loop.
 */
#pragma once

#include "ingest/ingest.h"
#include "venue/link.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct tf_ingest_thread {
    tf_ingest_t *ingest; /* the thread's own while it runs, like links */
    tf_links_t *links;
    pthread_t thread;
    int stop_fd; /* eventfd: readable = stop */
    /* Written by whoever stops it (release), read by the thread (acquire). */
    _Atomic bool stopping;
    bool started;
} tf_ingest_thread_t;

/* Run `ingest`, whose live venues are on `links`, until tf_ingest_thread_stop(). */
TF_MUST_CHECK tf_status_t tf_ingest_thread_start(tf_ingest_thread_t *thread, tf_ingest_t *ingest,
                                                 tf_links_t *links);
/* Stop and join; NULL-safe on one that was not started. */
void tf_ingest_thread_stop(tf_ingest_thread_t *thread);
