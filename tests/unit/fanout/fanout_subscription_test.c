#include "kit/kit.h"

#include "base/mem.h"
#include "fanout/subscription.h"

#include <tickfan/event.h>

static tf_subscription_t current(uint64_t seq)
{
    return (tf_subscription_t){.seq = seq & TF_SEQ_NONE,
                               .phase = TF_PHASE_CURRENT,
                               .told = tf_told(TF_STATE_LIVE, TF_REASON_NONE),
                               .generation = 3};
}

static tf_verdict_t judge(uint64_t held, tf_frame_type_t type, uint64_t prev, uint64_t seq)
{
    tf_subscription_t subscription = current(held);
    tf_frame_t frame = {.type = type,
                        .prev = prev,
                        .seq = seq,
                        .told = tf_told(TF_STATE_LIVE, TF_REASON_NONE),
                        .generation = 3};
    return tf_subscription_judge(&subscription, &frame);
}

static void an_update_fits_whoever_holds_its_prev(void **state)
{
    (void)state;
    static const struct {
        uint64_t held;
        tf_verdict_t verdict;
    } rows[] = {{9, TF_VERDICT_BEHIND},  {10, TF_VERDICT_TAKE},           {11, TF_VERDICT_BEHIND},
                {12, TF_VERDICT_BEHIND}, {13, TF_VERDICT_SKIP},           {14, TF_VERDICT_SKIP},
                {0, TF_VERDICT_BEHIND},  {TF_SEQ_NONE, TF_VERDICT_BEHIND}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(judge(rows[i].held, TF_FRAME_UPDATE, 10, 13), rows[i].verdict);
}

static void a_complete_message_fits_whoever_is_older(void **state)
{
    (void)state;
    assert_int_equal(judge(0, TF_FRAME_LATEST, 0, 13), TF_VERDICT_TAKE);
    assert_int_equal(judge(12, TF_FRAME_LATEST, 0, 13), TF_VERDICT_TAKE);
    assert_int_equal(judge(13, TF_FRAME_LATEST, 0, 13), TF_VERDICT_SKIP);
    assert_int_equal(judge(14, TF_FRAME_LATEST, 0, 13), TF_VERDICT_SKIP);
    assert_int_equal(judge(TF_SEQ_NONE, TF_FRAME_LATEST, 0, 13), TF_VERDICT_BEHIND);
}

static void a_snapshot_fits_everybody(void **state)
{
    (void)state;
    static const uint64_t held[] = {0, 12, 13, 14, TF_SEQ_NONE};
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        assert_int_equal(judge(held[i], TF_FRAME_SNAPSHOT, 0, 13), TF_VERDICT_TAKE);
}

static void a_state_is_told_once_and_not_before_a_snapshot(void **state)
{
    (void)state;
    tf_subscription_t subscription = current(5);
    tf_frame_t frame = {.type = TF_FRAME_STATE, .told = tf_told(TF_STATE_STALE, TF_REASON_SILENT)};
    assert_int_equal(tf_subscription_judge(&subscription, &frame), TF_VERDICT_TAKE);
    tf_subscription_apply(&subscription, &frame);
    assert_int_equal(subscription.seq, 5);
    assert_int_equal(tf_subscription_judge(&subscription, &frame), TF_VERDICT_SKIP);
    frame.told = tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST); /* another reason is news */
    assert_int_equal(tf_subscription_judge(&subscription, &frame), TF_VERDICT_TAKE);
    subscription.told = TF_TOLD_NOTHING;
    assert_int_equal(tf_subscription_judge(&subscription, &frame), TF_VERDICT_SKIP);
}

static void an_announcement_is_told_once(void **state)
{
    (void)state;
    tf_subscription_t subscription = current(5);
    tf_frame_t frame = {.type = TF_FRAME_ANNOUNCE, .generation = 4, .base_generation = 4};
    assert_int_equal(tf_subscription_judge(&subscription, &frame), TF_VERDICT_TAKE);
    tf_subscription_apply(&subscription, &frame);
    assert_int_equal(tf_subscription_judge(&subscription, &frame), TF_VERDICT_SKIP);
}

/* A new epoch's seqs mean nothing to who holds one of the old; a list of trades goes on under a new
 * scale. Generations wrap. */
static void an_announcement_tells_what_still_counts(void **state)
{
    (void)state;
    static const struct {
        uint8_t held, generation, base;
        bool continues;
    } rows[] = {{3, 4, 4, false},    {3, 4, 3, true},      {3, 5, 3, true},
                {3, 5, 4, false},    {255, 0, 0, false},   {255, 0, 255, true},
                {254, 1, 254, true}, {253, 1, 254, false}, {3, 3, 3, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tf_subscription_t subscription = current(5);
        subscription.generation = rows[i].held;
        tf_frame_t frame = {.type = TF_FRAME_ANNOUNCE,
                            .generation = rows[i].generation,
                            .base_generation = rows[i].base};
        tf_subscription_apply(&subscription, &frame);
        assert_int_equal(subscription.generation, rows[i].generation);
        assert_true(subscription.seq == (rows[i].continues ? 5 : TF_SEQ_NONE));
    }
}

static void frames_move_what_is_held(void **state)
{
    (void)state;
    tf_subscription_t subscription = current(5);
    tf_frame_t frame = {.type = TF_FRAME_NOTICE, .seq = 9};
    tf_subscription_apply(&subscription, &frame);
    assert_int_equal(subscription.seq, 5);
    frame.type = TF_FRAME_UPDATE;
    tf_subscription_apply(&subscription, &frame);
    assert_int_equal(subscription.seq, 9);
    frame = (tf_frame_t){.type = TF_FRAME_SNAPSHOT,
                         .seq = 7,
                         .told = tf_told(TF_STATE_HALTED, TF_REASON_VENUE_STATUS)};
    tf_subscription_apply(&subscription, &frame);
    assert_int_equal(subscription.seq, 7);
    assert_int_equal(subscription.told, frame.told);
}

static void the_pool_hands_out_each_index_once(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    tf_subscriptions_t pool;
    tf_subscriptions_init(&pool);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t index = tf_subscription_take(&pool, 1, 2);
        assert_int_equal(index, i);
        assert_int_equal(tf_subscription_at(&pool, index)->phase, TF_PHASE_JOINING);
        assert_true(tf_subscription_at(&pool, index)->seq == TF_SEQ_NONE);
    }
    tf_subscription_release(&pool, 7);
    tf_subscription_release(&pool, 500);
    assert_int_equal(pool.count, COUNT - 2);
    assert_int_equal(tf_subscription_take(&pool, 1, 2), 500);
    assert_int_equal(tf_subscription_take(&pool, 1, 2), 7);
    assert_int_equal(tf_subscription_take(&pool, 1, 2), COUNT);
    tf_subscriptions_fini(&pool);
}

/* Chunks stay where they are: a pointer may be held while others are taken. */
static void a_subscription_stays_where_it_is(void **state)
{
    (void)state;
    tf_subscriptions_t pool;
    tf_subscriptions_init(&pool);
    uint32_t index = tf_subscription_take(&pool, 3, 4);
    const tf_subscription_t *first = tf_subscription_at(&pool, index);
    for (uint32_t i = 0; i < 40 * TF_SUBSCRIPTION_CHUNK; i++)
        assert_int_not_equal(tf_subscription_take(&pool, 5, 6), TF_INDEX_NONE);
    assert_ptr_equal(tf_subscription_at(&pool, index), first);
    assert_int_equal(first->connection, 3);
    assert_int_equal(first->stream, 4);
    tf_subscriptions_fini(&pool);
}

/* Every field next to its neighbours, at its largest. */
static void fields_hold_their_limits(void **state)
{
    (void)state;
    tf_subscriptions_t pool;
    tf_subscriptions_init(&pool);
    uint32_t index = tf_subscription_take(&pool, TF_INDEX_LIMIT - 1, TF_INDEX_LIMIT - 1);
    tf_subscription_t *sub = tf_subscription_at(&pool, index);
    tf_subscription_hold(sub, TF_SEQ_NONE - 1);
    tf_subscription_place(sub, TF_INDEX_LIMIT - 1);
    assert_true(sub->seq == TF_SEQ_NONE - 1 && sub->behind == 0);
    assert_true(sub->connection == TF_INDEX_LIMIT - 1 && sub->stream == TF_INDEX_LIMIT - 1);
    assert_true(sub->position == TF_INDEX_LIMIT - 1 && sub->generation == 0);
    assert_true(sub->told == TF_TOLD_NOTHING && sub->phase == TF_PHASE_JOINING);
    assert_true(!sub->touched && !sub->lag_told && sub->next == TF_INDEX_NONE);
    t_panic_to_cmocka();
    expect_assert_failure(tf_subscription_place(sub, TF_INDEX_LIMIT));
    expect_assert_failure((void)tf_subscription_take(&pool, TF_INDEX_LIMIT, 0));
    expect_assert_failure((void)tf_subscription_take(&pool, 0, TF_INDEX_LIMIT));
    tf_subscriptions_fini(&pool);
}

/* 16 bits of milliseconds wrap after 65 s. Looked at every 15 s, a time never shrinks to nothing.
 */
static void whoever_is_behind_for_long_stays_so(void **state)
{
    (void)state;
    enum { LOOK_S = 15 };
    static const int64_t starts_ms[] = {0, 1, 65535, 65536, 4000000};
    for (size_t i = 0; i < sizeof starts_ms / sizeof starts_ms[0]; i++) {
        tf_subscription_t sub = current(5);
        int64_t start_ns = starts_ms[i] * 1000000;
        tf_subscription_fall_behind(&sub, start_ns);
        assert_int_equal(tf_subscription_behind_ns(&sub, start_ns), 0);
        for (int64_t s = 1; s <= 200; s++) {
            int64_t now_ns = start_ns + s * 1000000000;
            if (s % LOOK_S == 0)
                tf_subscription_age(&sub, now_ns);
            int64_t behind_ns = tf_subscription_behind_ns(&sub, now_ns);
            int64_t least_ns = (s < 32 ? s : 32) * 1000000000;
            assert_true(behind_ns >= least_ns && behind_ns <= s * 1000000000);
        }
    }
}

static void the_pool_without_memory_hands_out_nothing(void **state)
{
    (void)state;
    tf_subscriptions_t pool;
    tf_subscriptions_init(&pool);
    tf_mem_fail_at(1);
    assert_int_equal(tf_subscription_take(&pool, 1, 2), TF_INDEX_NONE);
    tf_mem_fail_at(0);
    assert_int_equal(tf_subscription_take(&pool, 1, 2), 0);
    tf_subscriptions_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_fits_whoever_holds_its_prev),
        cmocka_unit_test(a_complete_message_fits_whoever_is_older),
        cmocka_unit_test(a_snapshot_fits_everybody),
        cmocka_unit_test(a_state_is_told_once_and_not_before_a_snapshot),
        cmocka_unit_test(an_announcement_is_told_once),
        cmocka_unit_test(an_announcement_tells_what_still_counts),
        cmocka_unit_test(frames_move_what_is_held),
        cmocka_unit_test(the_pool_hands_out_each_index_once),
        cmocka_unit_test(a_subscription_stays_where_it_is),
        cmocka_unit_test(fields_hold_their_limits),
        cmocka_unit_test(whoever_is_behind_for_long_stays_so),
        cmocka_unit_test(the_pool_without_memory_hands_out_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
