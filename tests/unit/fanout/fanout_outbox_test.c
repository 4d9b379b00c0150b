/*
 * One send of [rest of a cut frame][replies][frames], cut at every byte: nothing is sent twice or
 * lost, and every subscription is where the bytes that went out put it.
 */
#include "kit/kit.h"

#include "base/mem.h"
#include "fanout/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBSCRIPTIONS = 3, SECOND_NS = 1000000000, WIRE_MAX = 4096 };

typedef struct rig {
    tf_subscriptions_t pool;
    tf_outbox_t outbox;
    tf_connection_t connection;
    tf_stats_t *stats;
    uint8_t *scratch;
    uint8_t wire[WIRE_MAX]; /* what the socket took */
    size_t wire_bytes;
} rig_t;

static tf_frame_t *frame_make(tf_frame_type_t type, uint64_t prev, uint64_t seq, const char *text)
{
    tf_buf_t blob = {0};
    tf_buf_text(&blob, text);
    tf_frame_t *frame = tf_frame_create(type, &blob);
    assert_non_null(frame);
    tf_buf_fini(&blob);
    frame->prev = prev;
    frame->seq = seq;
    return frame;
}

static void rig_open(rig_t *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->stats = aligned_alloc(TF_CACHE_LINE_BYTES, sizeof *rig->stats);
    rig->scratch = malloc(TF_SEND_BYTES_MAX);
    assert_true(rig->stats != NULL && rig->scratch != NULL);
    memset(rig->stats, 0, sizeof *rig->stats);
    tf_subscriptions_init(&rig->pool);
    tf_outbox_init(&rig->outbox, &rig->pool, rig->stats);
    tf_session_init(&rig->connection.session, 0);
    rig->connection.session.state = TF_SESSION_OPEN;
    rig->connection.out_first = TF_INDEX_NONE;
    for (uint32_t i = 0; i < SUBSCRIPTIONS; i++) {
        assert_int_equal(tf_subscription_take(&rig->pool, 0, 0), i);
        *tf_subscription_at(&rig->pool, i) =
            (tf_subscription_t){.seq = 10, .phase = TF_PHASE_CURRENT, .told = 1};
    }
}

static void rig_close(rig_t *rig)
{
    tf_frame_unref(rig->connection.cut);
    tf_session_fini(&rig->connection.session);
    tf_outbox_fini(&rig->outbox);
    tf_subscriptions_fini(&rig->pool);
    free(rig->scratch);
    free(rig->stats);
}

/* Push and let go of the caller's reference. */
static void push(rig_t *rig, uint32_t subscription, tf_frame_t *frame)
{
    assert_true(tf_outbox_push(&rig->outbox, &rig->connection, subscription, frame));
    tf_frame_unref(frame);
}

/* Send; the socket takes at most `most`. Returns the bytes that were offered. */
static size_t send_most(rig_t *rig, size_t most)
{
    size_t bytes;
    const uint8_t *data = tf_outbox_gather(&rig->outbox, &rig->connection, rig->scratch, &bytes);
    size_t taken = bytes < most ? bytes : most;
    assert_true(bytes > 0 && taken <= WIRE_MAX - rig->wire_bytes);
    memcpy(rig->wire + rig->wire_bytes, data, taken);
    rig->wire_bytes += taken;
    tf_outbox_settle(&rig->outbox, &rig->connection, taken, SECOND_NS);
    tf_outbox_reset(&rig->outbox);
    assert_int_equal(rig->connection.flow, taken < bytes ? TF_FLOW_FULL : TF_FLOW_IDLE);
    return bytes;
}

static const char rest_text[] = "rest-of-a-cut-frame;";
static const char reply_text[] = "reply;";
static const char *const texts[] = {"first-update;", "second-update;", "a-snapshot-for-a-third;",
                                    "third-update;"};

/* Subscription 0 takes two updates, 1 was behind and gets a snapshot, 2 takes one update. */
static void fill(rig_t *rig, bool rest, bool reply)
{
    if (rest) {
        push(rig, 0, frame_make(TF_FRAME_UPDATE, 9, 10, "begun;rest-of-a-cut-frame;"));
        (void)send_most(rig, strlen("begun;"));
        rig->wire_bytes = 0;
        rig->connection.flow = TF_FLOW_IDLE;
    }
    if (reply)
        tf_buf_text(&rig->connection.session.out, reply_text);
    tf_connection_behind(&rig->connection, tf_subscription_at(&rig->pool, 1), 0);
    push(rig, 0, frame_make(TF_FRAME_UPDATE, 10, 11, texts[0]));
    push(rig, 0, frame_make(TF_FRAME_UPDATE, 11, 13, texts[1]));
    tf_frame_t *snapshot = frame_make(TF_FRAME_SNAPSHOT, 0, 20, texts[2]);
    snapshot->told = 2;
    push(rig, 1, snapshot);
    tf_subscription_at(&rig->pool, 1)->phase = TF_PHASE_CURRENT; /* as catching up does */
    rig->connection.behind_count--;
    push(rig, 2, frame_make(TF_FRAME_UPDATE, 10, 12, texts[3]));
}

static void expect_place(const rig_t *rig, uint32_t subscription, bool sent, uint64_t seq,
                         uint64_t seq_before)
{
    const tf_subscription_t *sub = tf_subscription_at(&rig->pool, subscription);
    assert_true(sub->seq == (sent ? seq : seq_before));
    assert_int_equal(sub->phase, sent ? TF_PHASE_CURRENT : TF_PHASE_BEHIND);
}

/* A frame counts as sent with its first byte: the rest is kept. */
static void cut_check(rig_t *rig, size_t taken, size_t lead)
{
    size_t end[4];
    size_t at = lead;
    for (size_t i = 0; i < 4; i++) {
        end[i] = at; /* of what is before frame i */
        at += strlen(texts[i]);
    }
    bool first = taken > end[0];
    bool second = taken > end[1];
    expect_place(rig, 0, second, 13, first ? 11 : 10);
    expect_place(rig, 1, taken > end[2], 20, 10);
    expect_place(rig, 2, taken > end[3], 12, 10);
    assert_int_equal(tf_subscription_at(&rig->pool, 1)->told, taken > end[2] ? 2 : 1);
    assert_int_equal(rig->connection.behind_count,
                     (uint32_t)(!second + !(taken > end[2]) + !(taken > end[3])));
    uint32_t behind = tf_subscription_at(&rig->pool, 1)->behind;
    assert_true(taken > end[2] || behind == 0); /* behind since before this turn */
}

/* What the next sends bring must complete the stream of bytes up to the frame that was cut. */
static void flush_check(rig_t *rig, const char *all, size_t all_bytes)
{
    for (int i = 0; i < 1000 && tf_connection_has_output(&rig->connection); i++) {
        rig->connection.flow = TF_FLOW_IDLE;
        (void)send_most(rig, 3);
    }
    assert_false(tf_connection_has_output(&rig->connection));
    assert_true(rig->wire_bytes <= all_bytes);
    assert_memory_equal(rig->wire, all, rig->wire_bytes);
    assert_true(rig->wire_bytes == 0 || all[rig->wire_bytes - 1] == ';');
}

static void a_send_cut_at_any_byte_loses_and_repeats_nothing(void **state)
{
    (void)state;
    uint64_t memory = tf_mem_in_use_bytes();
    for (int parts = 0; parts < 4; parts++) {
        bool rest = (parts & 1) != 0;
        bool reply = (parts & 2) != 0;
        char all[256];
        (void)snprintf(all, sizeof all, "%s%s%s%s%s%s", rest ? rest_text : "",
                       reply ? reply_text : "", texts[0], texts[1], texts[2], texts[3]);
        size_t lead = (rest ? strlen(rest_text) : 0) + (reply ? strlen(reply_text) : 0);
        for (size_t taken = 0; taken <= strlen(all); taken++) {
            rig_t rig;
            rig_open(&rig);
            fill(&rig, rest, reply);
            assert_int_equal(send_most(&rig, taken), strlen(all));
            cut_check(&rig, taken, lead);
            flush_check(&rig, all, strlen(all));
            assert_true(rig.wire_bytes >= lead); /* the rest and replies are never dropped */
            rig_close(&rig);
        }
    }
    assert_int_equal(tf_mem_in_use_bytes(), memory);
}

/* Told a state and given a part of what it missed, and none of it went out: all of it counts as not
 * given, although the subscription was behind throughout. */
static void a_subscription_that_stayed_behind_is_taken_back_too(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    tf_connection_behind(&rig.connection, tf_subscription_at(&rig.pool, 0), 0);
    tf_frame_t *market = frame_make(TF_FRAME_STATE, 0, 0, "state;");
    market->told = 3;
    push(&rig, 0, market);
    tf_frame_t *announce = frame_make(TF_FRAME_ANNOUNCE, 0, 0, "announce;");
    announce->generation = 1;
    push(&rig, 0, announce);
    push(&rig, 0, frame_make(TF_FRAME_UPDATE, 10, 266, "trades;"));
    assert_int_equal(tf_subscription_at(&rig.pool, 0)->seq, 266);
    (void)send_most(&rig, 0);
    const tf_subscription_t *sub = tf_subscription_at(&rig.pool, 0);
    assert_int_equal(sub->seq, 10);
    assert_int_equal(sub->told, 1);
    assert_int_equal(sub->generation, 0);
    assert_int_equal(sub->phase, TF_PHASE_BEHIND);
    assert_int_equal(rig.connection.behind_count, 1);
    rig_close(&rig);
}

/* Heartbeats: a frame counts with its first byte, and what did not go out touched nobody. */
static void what_was_sent_is_counted_and_touches(void **state)
{
    (void)state;
    size_t cut = strlen(texts[0]) + 1;
    rig_t rig;
    rig_open(&rig);
    tf_frame_t *two = frame_make(TF_FRAME_UPDATE, 10, 11, texts[0]);
    two->messages = 2;
    push(&rig, 0, two);
    push(&rig, 1, frame_make(TF_FRAME_UPDATE, 10, 11, texts[1]));
    push(&rig, 2, frame_make(TF_FRAME_UPDATE, 10, 11, texts[3]));
    (void)send_most(&rig, cut);
    assert_int_equal(rig.connection.messages, 3);
    assert_true(tf_subscription_at(&rig.pool, 0)->touched);
    assert_true(tf_subscription_at(&rig.pool, 1)->touched);
    assert_false(tf_subscription_at(&rig.pool, 2)->touched);
    rig.connection.flow = TF_FLOW_IDLE;
    (void)send_most(&rig, 1000);
    assert_int_equal(rig.connection.messages, 3);
    rig_close(&rig);
}

static void a_joiner_whose_snapshot_did_not_go_out_joins_again(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    tf_subscription_t *sub = tf_subscription_at(&rig.pool, 0);
    *sub =
        (tf_subscription_t){.seq = TF_SEQ_NONE, .phase = TF_PHASE_JOINING, .told = TF_TOLD_NOTHING};
    rig.connection.behind_count = 1;
    push(&rig, 0, frame_make(TF_FRAME_SNAPSHOT, 0, 20, "snapshot;"));
    sub->phase = TF_PHASE_CURRENT;
    rig.connection.behind_count = 0;
    push(&rig, 0, frame_make(TF_FRAME_UPDATE, 20, 21, "update;"));
    (void)send_most(&rig, 0);
    assert_int_equal(sub->phase, TF_PHASE_JOINING);
    assert_true(sub->seq == TF_SEQ_NONE && sub->told == TF_TOLD_NOTHING);
    assert_int_equal(rig.connection.behind_count, 1);
    rig_close(&rig);
}

/* Nothing is copied that need not be: a part that is alone is sent from where it lies. */
static void a_part_that_is_alone_is_sent_as_it_lies(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    size_t bytes;
    tf_frame_t *frame = frame_make(TF_FRAME_UPDATE, 10, 11, "update;");
    push(&rig, 0, frame);
    assert_ptr_equal(tf_outbox_gather(&rig.outbox, &rig.connection, rig.scratch, &bytes),
                     frame->data);
    tf_outbox_settle(&rig.outbox, &rig.connection, 3, SECOND_NS);
    rig.connection.flow = TF_FLOW_IDLE;
    assert_ptr_equal(tf_outbox_gather(&rig.outbox, &rig.connection, rig.scratch, &bytes),
                     frame->data + 3);
    tf_outbox_settle(&rig.outbox, &rig.connection, bytes, SECOND_NS);
    tf_buf_text(&rig.connection.session.out, reply_text);
    assert_ptr_equal(tf_outbox_gather(&rig.outbox, &rig.connection, rig.scratch, &bytes),
                     rig.connection.session.out.data);
    tf_outbox_settle(&rig.outbox, &rig.connection, bytes, SECOND_NS);
    rig_close(&rig);
}

static void a_send_holds_32_kib_or_one_frame(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    assert_true(tf_connection_fits(&rig.connection, 10 * TF_SEND_BYTES_MAX));
    rig.connection.out_bytes = TF_SEND_BYTES_MAX - 100;
    assert_true(tf_connection_fits(&rig.connection, 100));
    assert_false(tf_connection_fits(&rig.connection, 101));
    rig.connection.out_bytes = 0;
    tf_buf_text(&rig.connection.session.out, reply_text);
    assert_false(tf_connection_fits(&rig.connection, TF_SEND_BYTES_MAX));
    rig_close(&rig);
}

static void without_memory_nothing_is_pushed(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    tf_frame_t *frame = frame_make(TF_FRAME_UPDATE, 10, 11, "update;");
    tf_mem_fail_at(1);
    assert_false(tf_outbox_push(&rig.outbox, &rig.connection, 0, frame));
    tf_mem_fail_at(0);
    assert_int_equal(tf_subscription_at(&rig.pool, 0)->seq, 10);
    assert_false(tf_connection_has_output(&rig.connection));
    tf_frame_unref(frame);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_cut_at_any_byte_loses_and_repeats_nothing),
        cmocka_unit_test(a_subscription_that_stayed_behind_is_taken_back_too),
        cmocka_unit_test(what_was_sent_is_counted_and_touches),
        cmocka_unit_test(a_joiner_whose_snapshot_did_not_go_out_joins_again),
        cmocka_unit_test(a_part_that_is_alone_is_sent_as_it_lies),
        cmocka_unit_test(a_send_holds_32_kib_or_one_frame),
        cmocka_unit_test(without_memory_nothing_is_pushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
