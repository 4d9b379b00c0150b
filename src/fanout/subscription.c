#include "fanout/subscription.h"

#include "base/clock.h"
#include "base/mem.h"

enum {
    CHUNK_ROOM_MIN = 16,
    AGE_MAX_MS = 32768, /* what longer times are taken back to, half of what 16 bits count */
};

void tf_subscriptions_init(tf_subscriptions_t *pool)
{
    *pool = (tf_subscriptions_t){.free_first = TF_INDEX_NONE};
}

void tf_subscriptions_fini(tf_subscriptions_t *pool)
{
    for (uint32_t i = 0; i < pool->room / TF_SUBSCRIPTION_CHUNK; i++)
        tf_mem_free(pool->chunk[i]);
    tf_mem_free(pool->chunk);
    tf_subscriptions_init(pool);
}

static bool pool_grow(tf_subscriptions_t *pool)
{
    uint32_t chunks = pool->room / TF_SUBSCRIPTION_CHUNK;
    if (chunks == pool->chunk_room) {
        uint32_t room = pool->chunk_room * 2 + CHUNK_ROOM_MIN;
        tf_subscription_t **grown = tf_mem_realloc(pool->chunk, room, sizeof(tf_subscription_t *));
        if (grown == NULL)
            return false;
        pool->chunk = grown;
        pool->chunk_room = room;
    }
    pool->chunk[chunks] = tf_mem_calloc(TF_SUBSCRIPTION_CHUNK, sizeof **pool->chunk);
    if (pool->chunk[chunks] == NULL)
        return false;
    pool->room += TF_SUBSCRIPTION_CHUNK;
    return true;
}

uint32_t tf_subscription_take(tf_subscriptions_t *pool, uint32_t connection, uint32_t stream)
{
    TF_ASSERT(connection < TF_INDEX_LIMIT && stream < TF_INDEX_LIMIT);
    uint32_t index = pool->free_first;
    if (index != TF_INDEX_NONE)
        pool->free_first = tf_subscription_at(pool, index)->next;
    else if (pool->used < pool->room || pool_grow(pool))
        index = pool->used++;
    else
        return TF_INDEX_NONE;
    *tf_subscription_at(pool, index) =
        (tf_subscription_t){.seq = TF_SEQ_NONE,
                            .connection = connection & (TF_INDEX_LIMIT - 1),
                            .stream = stream & (TF_INDEX_LIMIT - 1),
                            .phase = TF_PHASE_JOINING,
                            .told = TF_TOLD_NOTHING,
                            .next = TF_INDEX_NONE};
    pool->count++;
    return index;
}

void tf_subscription_release(tf_subscriptions_t *pool, uint32_t index)
{
    TF_ASSERT(index < pool->used && tf_subscription_at(pool, index)->phase != TF_PHASE_FREE);
    *tf_subscription_at(pool, index) =
        (tf_subscription_t){.phase = TF_PHASE_FREE, .next = pool->free_first};
    pool->free_first = index;
    pool->count--;
}

static uint16_t ms_of(int64_t mono_ns)
{
    return (uint16_t)(mono_ns / TF_NS_PER_MS);
}

static uint16_t behind_ms(const tf_subscription_t *subscription, int64_t mono_ns)
{
    return (uint16_t)(ms_of(mono_ns) - subscription->behind);
}

void tf_subscription_fall_behind(tf_subscription_t *subscription, int64_t mono_ns)
{
    subscription->phase = TF_PHASE_BEHIND;
    subscription->lag_told = false;
    subscription->behind = ms_of(mono_ns);
}

int64_t tf_subscription_behind_ns(const tf_subscription_t *subscription, int64_t mono_ns)
{
    return behind_ms(subscription, mono_ns) * TF_NS_PER_MS;
}

void tf_subscription_age(tf_subscription_t *subscription, int64_t mono_ns)
{
    if (subscription->phase == TF_PHASE_BEHIND && behind_ms(subscription, mono_ns) > AGE_MAX_MS)
        subscription->behind = (uint16_t)(ms_of(mono_ns) - AGE_MAX_MS);
}

tf_verdict_t tf_subscription_judge(const tf_subscription_t *subscription, const tf_frame_t *frame)
{
    TF_ASSERT_SLOW(subscription->phase == TF_PHASE_CURRENT);
    switch (frame->type) {
    case TF_FRAME_UPDATE:
        if (subscription->seq == TF_SEQ_NONE)
            return TF_VERDICT_BEHIND;
        if (subscription->seq == frame->prev)
            return TF_VERDICT_TAKE;
        return subscription->seq >= frame->seq ? TF_VERDICT_SKIP : TF_VERDICT_BEHIND;
    case TF_FRAME_LATEST:
        if (subscription->seq == TF_SEQ_NONE)
            return TF_VERDICT_BEHIND;
        return subscription->seq < frame->seq ? TF_VERDICT_TAKE : TF_VERDICT_SKIP;
    case TF_FRAME_STATE:
        if (subscription->told == TF_TOLD_NOTHING)
            return TF_VERDICT_SKIP; /* the snapshot to come tells it */
        return subscription->told != frame->told ? TF_VERDICT_TAKE : TF_VERDICT_SKIP;
    case TF_FRAME_ANNOUNCE:
        return subscription->generation != frame->generation ? TF_VERDICT_TAKE : TF_VERDICT_SKIP;
    case TF_FRAME_SNAPSHOT:
    case TF_FRAME_NOTICE:
        break;
    }
    return TF_VERDICT_TAKE;
}

/* Does what was held under an older generation still count under the frame's? Both wrap. */
static bool generation_continues(uint8_t held, const tf_frame_t *frame)
{
    return (uint8_t)(frame->generation - held) <=
           (uint8_t)(frame->generation - frame->base_generation);
}

void tf_subscription_apply(tf_subscription_t *subscription, const tf_frame_t *frame)
{
    switch (frame->type) {
    case TF_FRAME_SNAPSHOT:
        subscription->told = frame->told;
        tf_subscription_hold(subscription, frame->seq);
        break;
    case TF_FRAME_UPDATE:
    case TF_FRAME_LATEST:
        tf_subscription_hold(subscription, frame->seq);
        break;
    case TF_FRAME_STATE:
        subscription->told = frame->told;
        break;
    case TF_FRAME_ANNOUNCE:
        if (!generation_continues(subscription->generation, frame))
            subscription->seq = TF_SEQ_NONE;
        subscription->generation = frame->generation;
        break;
    case TF_FRAME_NOTICE:
        break;
    }
}
