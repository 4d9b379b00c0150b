/*
 * link_queue: what a link has received and poll() has not taken, in order: opened, whole messages,
 * closed. Behind them the message that is being received. One owner.
 *
 *      head            whole            end
 *   ....|event|event|...|event|partial...|
 *
 * Bounded by its user: tf_link_queue_bytes() says when to stop reading the socket, and
 * tf_link_queue_append() refuses a message over TF_LINK_MESSAGE_BYTES_MAX.
 */
#pragma once

#include "base/buf.h"
#include "venue/source.h"

typedef struct tf_link_queue {
    tf_buf_t buf;
    size_t head_bytes;  /* taken already */
    size_t whole_bytes; /* end of the last whole event */
} tf_link_queue_t;

typedef enum tf_link_append {
    TF_LINK_APPEND_OK,
    TF_LINK_APPEND_TOO_BIG,
    TF_LINK_APPEND_NO_MEMORY,
} tf_link_append_t;

void tf_link_queue_fini(tf_link_queue_t *queue);

/* OPENED or CLOSED; forgets a message that was not received to its end. False: out of memory. */
bool tf_link_queue_event(tf_link_queue_t *queue, tf_source_event_type_t type, int64_t now_ns);

/* More of the message that is being received; on anything but OK the queue is as it was. */
TF_MUST_CHECK tf_link_append_t tf_link_queue_append(tf_link_queue_t *queue, const void *data,
                                                    size_t bytes);

/* That was its end: received at `now_ns`. After an append, of no bytes for an empty message. */
void tf_link_queue_finish(tf_link_queue_t *queue, int64_t now_ns);

/* The oldest event; false when there is none. Its text is valid until the next call of anything. */
bool tf_link_queue_take(tf_link_queue_t *queue, tf_source_event_t *event);

/* Of the events that wait, their heads included. */
static inline size_t tf_link_queue_bytes(const tf_link_queue_t *queue)
{
    return queue->whole_bytes - queue->head_bytes;
}
