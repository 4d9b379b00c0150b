/*
 * link_outbox: request frames that wait for their turn: evenly spaced, no burst. Pure; one owner.
 * Overflow: the new request is dropped.
 */
#pragma once

#include "base/buf.h"

enum { TF_LINK_OUTBOX_BYTES_MAX = 64 << 10, TF_LINK_REQUEST_BYTES_MAX = 8 << 10 };

typedef struct tf_link_outbox {
    tf_buf_t buf;
    int64_t spacing_ns; /* from one request to the next */
    int64_t next_ns;    /* mono: the earliest time for the next; outlives a connection */
} tf_link_outbox_t;

void tf_link_outbox_fini(tf_link_outbox_t *outbox);

/* False: dropped (full, too large, or no memory). */
TF_MUST_CHECK bool tf_link_outbox_put(tf_link_outbox_t *outbox, const char *text, size_t bytes);

/* Forget what waits: it was for a connection that is gone. */
void tf_link_outbox_clear(tf_link_outbox_t *outbox);

/* When the next request may go; INT64_MAX when none waits. */
int64_t tf_link_outbox_due_ns(const tf_link_outbox_t *outbox);

/* Move the next request, if it may go at `now_ns`, to `out` of TF_LINK_REQUEST_BYTES_MAX bytes.
 * Returns its bytes; 0 = none. */
size_t tf_link_outbox_take(tf_link_outbox_t *outbox, int64_t now_ns, char *out);
