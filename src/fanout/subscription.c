#include "fanout/subscription.h"

#include "base/mem.h"

enum { ROOM_MIN = 64 };

void tf_subscriptions_init(tf_subscriptions_t *pool)
{
    *pool = (tf_subscriptions_t){.free_first = TF_INDEX_NONE};
}

void tf_subscriptions_fini(tf_subscriptions_t *pool)
{
    tf_mem_free(pool->item);
    tf_subscriptions_init(pool);
}

uint32_t tf_subscription_take(tf_subscriptions_t *pool)
{
    uint32_t index = pool->free_first;
    if (index != TF_INDEX_NONE) {
        pool->free_first = pool->item[index].next;
    } else {
        if (pool->used == pool->room) {
            uint32_t room = pool->room == 0 ? ROOM_MIN : pool->room + pool->room / 2;
            tf_subscription_t *grown = tf_mem_realloc(pool->item, room, sizeof *grown);
            if (grown == NULL)
                return TF_INDEX_NONE;
            pool->item = grown;
            pool->room = room;
        }
        index = pool->used++;
    }
    pool->item[index] = (tf_subscription_t){.seq = TF_SEQ_NONE,
                                            .phase = TF_PHASE_JOINING,
                                            .told = TF_TOLD_NOTHING,
                                            .next = TF_INDEX_NONE};
    pool->count++;
    return index;
}

void tf_subscription_release(tf_subscriptions_t *pool, uint32_t index)
{
    TF_ASSERT(index < pool->used && pool->item[index].phase != TF_PHASE_FREE);
    pool->item[index] = (tf_subscription_t){.phase = TF_PHASE_FREE, .next = pool->free_first};
    pool->free_first = index;
    pool->count--;
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
        subscription->seq = frame->seq;
        break;
    case TF_FRAME_UPDATE:
    case TF_FRAME_LATEST:
        subscription->seq = frame->seq;
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
