/*
 * frame: immutable bytes for sockets: one or more whole WebSocket messages of one stream, encoded
 * once and sent from the same memory to every subscriber. Counted references; one fan-out thread
 * owns it, so the count is plain.
 */
#pragma once

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

typedef enum tf_frame_type {
    TF_FRAME_UPDATE,   /* the difference from `prev` to `seq`: fits a subscription at `prev` only */
    TF_FRAME_LATEST,   /* complete (ticker, bbo): fits every subscription that is older */
    TF_FRAME_SNAPSHOT, /* complete: fits every subscription */
    TF_FRAME_STATE,    /* a change of state: outside the prev chain */
    TF_FRAME_ANNOUNCE, /* `subscribed`: a new scale or epoch */
    TF_FRAME_NOTICE,   /* lag: changes nothing in what the subscription holds */
} tf_frame_type_t;

typedef struct tf_frame {
    uint32_t refs;
    uint32_t bytes;
    uint64_t prev;
    uint64_t seq;
    tf_frame_type_t type;
    uint8_t told;            /* SNAPSHOT, STATE: tf_told_t after it */
    uint8_t generation;      /* ANNOUNCE: the stream's generation after it ... */
    uint8_t base_generation; /* ... and the first one that it continues */
    uint16_t messages;       /* in it */
    uint16_t gaps;           /* how many of them are gap notifications ... */
    uint64_t lost;           /* ... and the trades that they say this server lost */
    uint8_t data[];
} tf_frame_t;

/* A market's state and reason in one byte: what a subscription was last told. */
typedef uint8_t tf_told_t;
enum { TF_TOLD_NOTHING = 0xff };
static inline tf_told_t tf_told(uint8_t state, uint8_t reason)
{
    return (tf_told_t)(state | reason << 4);
}

/* A frame with a copy of `blob` (whole WebSocket messages: one, unless the caller says otherwise)
 * and one reference, the caller's. NULL when out of memory. */
tf_frame_t *tf_frame_create(tf_frame_type_t type, const tf_buf_t *blob);

static inline tf_frame_t *tf_frame_ref(tf_frame_t *frame)
{
    frame->refs++;
    return frame;
}

/* NULL is allowed. */
void tf_frame_unref(tf_frame_t *frame);

/* Append `text` to `blob` as one WebSocket text message. */
void tf_frame_put_text(tf_buf_t *blob, const tf_buf_t *text);
