/*
 * subscription: one client's place in one stream, and the rule that decides which frames it takes
 * (ARCHITECTURE.md, "Who gets a frame"). A pool of small records named by index; owned by one
 * fan-out thread.
 *
 *   JOINING --snapshot--> CURRENT --a frame it could not take--> BEHIND --catch-up--> CURRENT
 *
 * Only CURRENT subscriptions take frames when a stream emits. The others are served one by one from
 * the stream's last emitted state as soon as their socket has room.
 */
#pragma once

#include "fanout/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define TF_INDEX_NONE UINT32_MAX
#define TF_SEQ_NONE   UINT64_MAX

typedef enum tf_phase {
    TF_PHASE_FREE,
    TF_PHASE_JOINING,
    TF_PHASE_CURRENT,
    TF_PHASE_BEHIND,
} tf_phase_t;

/* 32 bytes, so that a million subscriptions cost 32 MB; the stream's list adds 4 each. */
typedef struct tf_subscription {
    uint64_t seq;        /* version the client holds; TF_SEQ_NONE = only a snapshot will do */
    uint32_t connection; /* slot */
    uint32_t stream;     /* index */
    uint32_t next;       /* next subscription of the connection, or of the free list */
    uint32_t position;   /* in the stream's list */
    uint32_t behind_ms;  /* BEHIND: since when, monotonic, wraps after 49 days */
    uint8_t phase;       /* tf_phase_t */
    tf_told_t told;      /* market state the client was last told */
    uint8_t generation;  /* stream generation the client was last told */
    bool lag_told;       /* BEHIND: it was told so */
} tf_subscription_t;

_Static_assert(sizeof(tf_subscription_t) == 32, "the budget of a subscription");

typedef struct tf_subscriptions {
    tf_subscription_t *item;
    uint32_t room;
    uint32_t used; /* slots ever handed out */
    uint32_t free_first;
    uint32_t count;
} tf_subscriptions_t;

void tf_subscriptions_init(tf_subscriptions_t *pool);
void tf_subscriptions_fini(tf_subscriptions_t *pool);

/* A JOINING subscription that holds nothing; TF_INDEX_NONE when out of memory. Pointers into the
 * pool do not survive this call. */
uint32_t tf_subscription_take(tf_subscriptions_t *pool);
void tf_subscription_release(tf_subscriptions_t *pool, uint32_t index);

typedef enum tf_verdict {
    TF_VERDICT_TAKE,
    TF_VERDICT_SKIP,   /* it has this already, or it is not concerned */
    TF_VERDICT_BEHIND, /* it does not fit what the client holds */
} tf_verdict_t;

/* What a CURRENT subscription does with a frame that its stream emits. */
tf_verdict_t tf_subscription_judge(const tf_subscription_t *subscription, const tf_frame_t *frame);

/* The client was given the frame (for now: sends can fail, see connection.h): what it holds and
 * knows.
 */
void tf_subscription_apply(tf_subscription_t *subscription, const tf_frame_t *frame);
