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

#include "base/assert.h"
#include "fanout/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define TF_INDEX_NONE UINT32_MAX

/* A version takes 48 bits here: a million changes a second for nine years. Streams refuse an image
 * that claims more. */
#define TF_SEQ_NONE ((UINT64_C(1) << 48) - 1)

/* What 24 bits name: connections, streams, and the subscriptions of one stream. */
#define TF_INDEX_LIMIT (UINT32_C(1) << 24)

typedef enum tf_phase {
    TF_PHASE_FREE,
    TF_PHASE_JOINING,
    TF_PHASE_CURRENT,
    TF_PHASE_BEHIND,
} tf_phase_t;

/*
 * 24 bytes, so that a million subscriptions cost 24 MB; the stream's list adds 4 to 4.5 each. A
 * field is written through the functions below where the compiler can't see that a value fits.
 *
 * `behind` wraps after 65 s, and a subscription may be behind for longer. So tf_subscription_age()
 * is called at least every 32 s: it takes an age above 33 s back to 33 s, and none ever gets to 65.
 * Nothing asks for more than a period of 1 s.
 */
typedef struct tf_subscription {
    uint64_t seq : 48;        /* version the client holds; TF_SEQ_NONE = only a snapshot will do */
    uint64_t behind : 16;     /* BEHIND: since when, monotonic milliseconds */
    uint32_t connection : 24; /* slot */
    uint32_t phase : 2;       /* tf_phase_t */
    uint32_t lag_told : 1;    /* BEHIND: it was told so */
    uint32_t touched : 1;     /* was given something since the connection's last heartbeat */
    uint32_t next;            /* next subscription of the connection, or of the free list */
    uint32_t stream : 24;     /* index */
    uint32_t told : 8;        /* tf_told_t: market state the client was last told */
    uint32_t position : 24;   /* in the stream's list */
    uint32_t generation : 8;  /* stream generation the client was last told */
} tf_subscription_t;

_Static_assert(sizeof(tf_subscription_t) == 24, "the budget of a subscription");

static inline void tf_subscription_hold(tf_subscription_t *subscription, uint64_t seq)
{
    subscription->seq = seq & TF_SEQ_NONE;
}

static inline void tf_subscription_place(tf_subscription_t *subscription, uint32_t position)
{
    TF_ASSERT(position < TF_INDEX_LIMIT);
    subscription->position = position & (TF_INDEX_LIMIT - 1);
}

/* BEHIND from now on. */
void tf_subscription_fall_behind(tf_subscription_t *subscription, int64_t mono_ns);
/* For how long it has been; right up to about 30 s, and never less for what has been longer. */
int64_t tf_subscription_behind_ns(const tf_subscription_t *subscription, int64_t mono_ns);
/* Keep the time from wrapping. */
void tf_subscription_age(tf_subscription_t *subscription, int64_t mono_ns);

enum { TF_SUBSCRIPTION_CHUNK = 1024 };

/* Chunks of a fixed size: growing copies nothing and leaves at most one chunk unused. Pointers into
 * the pool stay valid until the subscription is released. */
typedef struct tf_subscriptions {
    tf_subscription_t **chunk;
    uint32_t chunk_room;
    uint32_t room;
    uint32_t used; /* slots ever handed out */
    uint32_t free_first;
    uint32_t count;
} tf_subscriptions_t;

static inline tf_subscription_t *tf_subscription_at(const tf_subscriptions_t *pool, uint32_t index)
{
    return &pool->chunk[index / TF_SUBSCRIPTION_CHUNK][index % TF_SUBSCRIPTION_CHUNK];
}

void tf_subscriptions_init(tf_subscriptions_t *pool);
void tf_subscriptions_fini(tf_subscriptions_t *pool);

/* A JOINING subscription of the connection to the stream, that holds nothing; TF_INDEX_NONE when
 * out of memory. */
uint32_t tf_subscription_take(tf_subscriptions_t *pool, uint32_t connection, uint32_t stream);
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
