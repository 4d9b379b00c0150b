/*
 * uring_setup: the kernel objects behind io_uring.c: the ring itself and the pool of receive
 * buffers. Private to src/io and its tests; the thread that opens a ring must be the one that
 * uses it.
 */
#pragma once

#include "io/io.h"

#include <liburing.h>

/* What a ring is asked for, best first; a kernel that answers EINVAL gets the next row. */
typedef enum tf_uring_rung {
    TF_URING_DEFERRED_FLAGGED, /* completions run when we enter, and a flag says that some wait */
    TF_URING_DEFERRED,         /* the same without the flag: collecting is done blindly */
    TF_URING_PLAIN,            /* completions run whenever the kernel likes */
    TF_URING_RUNG_COUNT,
} tf_uring_rung_t;

typedef struct tf_uring_ring {
    struct io_uring ring;
    tf_uring_rung_t rung; /* the one that worked */
    unsigned wait_flags;  /* of io_uring_enter(2), to sleep */
} tf_uring_ring_t;

/*
 * Open a ring whose submission queue takes config->send_batch sends, starting at rung `first`; a
 * smaller one when memory is short.
 * TF_ERR_UNSUPPORTED, TF_ERR_MEMORY, TF_ERR_SYS with a trail that names the remedy.
 */
TF_MUST_CHECK tf_status_t tf_uring_ring_open(tf_uring_ring_t *out, const tf_io_config_t *config,
                                             tf_uring_rung_t first);
void tf_uring_ring_close(tf_uring_ring_t *ring);

enum { TF_URING_POOL_GROUP = 0 }; /* the one buffer group of a ring */

/* Receive buffers shared by all connections of a ring; the kernel picks one per completion. */
typedef struct tf_uring_pool {
    struct io_uring_buf_ring *entries; /* page-aligned, inside `block` */
    void *block;
    uint8_t *data;
    uint32_t count; /* power of two */
    uint32_t bytes; /* of one buffer */
} tf_uring_pool_t;

TF_MUST_CHECK tf_status_t tf_uring_pool_open(tf_uring_pool_t *out, tf_uring_ring_t *ring,
                                             uint32_t count, uint32_t bytes);

/* Take the pool from the kernel and free it. No receive finds a buffer after this. */
void tf_uring_pool_close(tf_uring_pool_t *pool, tf_uring_ring_t *ring);

static inline uint8_t *tf_uring_pool_buffer(const tf_uring_pool_t *pool, uint32_t id)
{
    return pool->data + (size_t)id * pool->bytes;
}

/* Give one buffer (back) to the kernel. */
void tf_uring_pool_return(tf_uring_pool_t *pool, uint32_t id);

/* io_uring.c's constructor with a chosen first rung, for tests; the product starts at the best. */
TF_MUST_CHECK tf_status_t tf_io_uring_create_from(tf_io_t **out, const tf_io_config_t *config,
                                                  tf_stats_t *stats, tf_uring_rung_t first);
