#include "kit/kit.h"

#include "base/mem.h"
#include "fanout/stream.h"
#include "unit/region/region_kit.h"

#include <jansson.h>

/* A region with one live instrument, and one stream of it. */
typedef struct rig {
    t_region_t t;
    uint32_t index;
    tf_stream_env_t env;
    tf_stream_t stream;
    tf_frame_t *frame[TF_STREAM_FRAMES_MAX]; /* of the last emission */
    size_t frames;
} rig_t;

static void frames_drop(rig_t *rig)
{
    for (size_t i = 0; i < rig->frames; i++)
        tf_frame_unref(rig->frame[i]);
    rig->frames = 0;
}

static tf_stream_result_t emit(rig_t *rig)
{
    frames_drop(rig);
    return tf_stream_emit(&rig->stream, &rig->env, rig->frame, &rig->frames);
}

static void rig_open(rig_t *rig, const char *name)
{
    memset(rig, 0, sizeof *rig);
    t_region_init(&rig->t, "stream");
    t_region_open(&rig->t);
    rig->index = t_region_live(&rig->t, "BTC-USD");
    tf_channel_t channel;
    assert_int_equal(tf_channel_parse(name, strlen(name), NULL, &channel), TF_CHANNEL_OK);
    assert_true(tf_stream_env_init(&rig->env, rig->t.reader, &rig->t.stats));
    assert_true(tf_stream_init(&rig->stream, &rig->env, &channel, rig->index));
}

static void rig_close(rig_t *rig)
{
    frames_drop(rig);
    tf_stream_fini(&rig->stream);
    tf_stream_env_fini(&rig->env);
    t_region_close(&rig->t);
}

/* The message at `*at` of a frame; *at moves behind it. */
static json_t *message(const tf_frame_t *frame, size_t *at)
{
    const uint8_t *data = frame->data + *at;
    size_t header = data[1] == 126 ? 4 : 2;
    size_t bytes = data[1] == 126 ? (size_t)data[2] << 8 | data[3] : data[1];
    assert_int_equal(data[0], 0x81);
    assert_true(data[1] <= 126);
    json_t *text = json_loadb((const char *)data + header, bytes, 0, NULL);
    assert_non_null(text);
    *at += header + bytes;
    assert_true(*at <= frame->bytes);
    return text;
}

static json_t *only_message(const tf_frame_t *frame)
{
    size_t at = 0;
    json_t *text = message(frame, &at);
    assert_int_equal(at, frame->bytes);
    return text;
}

static void put_book(rig_t *rig, int64_t bid_sz)
{
    const tf_level_t bids[] = {{100, bid_sz}, {99, 5}};
    const tf_level_t asks[] = {{101, 7}};
    tf_region_put_book_snapshot(rig->t.region, rig->index, bids, 2, asks, 1, t_stamp);
}

/* One venue message that sets the best bid's size. */
static void set_bid(rig_t *rig, int64_t sz)
{
    tf_bbo_t bbo = {100, sz, 101, 7};
    tf_region_book_begin(rig->t.region, rig->index);
    tf_region_book_resize(rig->t.region, TF_SIDE_BUY, 0, (tf_level_t){100, sz});
    tf_region_book_commit(rig->t.region, &bbo, t_stamp);
}

static void put_trades(rig_t *rig, uint64_t from, uint64_t to)
{
    for (uint64_t number = from; number <= to; number++) {
        tf_trade_t trade = t_trade(number);
        tf_region_put_trade(rig->t.region, rig->index, &trade, t_stamp);
    }
}

static void read_ring(rig_t *rig)
{
    const tf_event_t *event;
    tf_poll_t polled;
    while ((polled = tf_reader_poll(rig->t.reader, &event)) != TF_POLL_EMPTY) {
        if (polled == TF_POLL_LAPPED)
            tf_stream_lapped(&rig->stream);
        else if (event->type == TF_EVENT_TRADE)
            tf_stream_trade(&rig->stream, (const tf_event_trade_t *)event);
    }
}

static void a_stream_starts_with_what_the_image_holds(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    assert_null(tf_stream_snapshot(&rig.stream, &rig.env));
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    static const tf_frame_type_t types[] = {TF_FRAME_ANNOUNCE, TF_FRAME_STATE, TF_FRAME_SNAPSHOT};
    assert_int_equal(rig.frames, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rig.frame[i]->type, types[i]);
    assert_int_equal(rig.stream.seq, 1);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    rig_close(&rig);
}

static void a_change_that_was_taken_back_is_no_frame(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    set_bid(&rig, 4);
    set_bid(&rig, 3);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    assert_int_equal(rig.stream.seq, 1); /* where its subscribers stand */
    set_bid(&rig, 9);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->type, TF_FRAME_UPDATE);
    assert_int_equal(rig.frame[0]->prev, 1);
    assert_int_equal(rig.frame[0]->seq, 4);
    rig_close(&rig);
}

static void what_lies_below_the_depth_is_no_frame(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.1.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    tf_bbo_t bbo = {100, 3, 101, 7};
    tf_region_book_begin(rig.t.region, rig.index);
    tf_region_book_resize(rig.t.region, TF_SIDE_BUY, 1, (tf_level_t){99, 6});
    tf_region_book_commit(rig.t.region, &bbo, t_stamp);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    rig_close(&rig);
}

static void a_snapshot_is_encoded_once_until_the_stream_moves(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    tf_frame_t *first = tf_stream_snapshot(&rig.stream, &rig.env);
    assert_ptr_equal(first, rig.frame[2]);
    set_bid(&rig, 4); /* the image moves, the stream does not */
    assert_ptr_equal(tf_stream_snapshot(&rig.stream, &rig.env), first);
    assert_int_equal(first->seq, 1);
    assert_int_equal(tf_stats_get(&rig.t.stats, TF_STAT_snapshots_encoded_total), 1);
    (void)emit(&rig);
    assert_int_equal(tf_stream_snapshot(&rig.stream, &rig.env)->seq, 2);
    assert_int_equal(tf_stats_get(&rig.t.stats, TF_STAT_snapshots_encoded_total), 2);
    rig_close(&rig);
}

static void a_resync_is_a_snapshot_for_everybody(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    put_book(&rig, 3);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 3);
    assert_int_equal(rig.frame[2]->type, TF_FRAME_SNAPSHOT);
    assert_int_equal(rig.frame[2]->seq, 2);
    assert_int_equal(rig.stream.generation, rig.frame[0]->generation);
    rig_close(&rig);
}

static void a_state_is_told_before_the_data(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    tf_region_put_state(rig.t.region, rig.index, TF_STATE_STALE, TF_REASON_SILENT, t_stamp);
    set_bid(&rig, 4);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 2);
    assert_int_equal(rig.frame[0]->type, TF_FRAME_STATE);
    assert_int_equal(rig.frame[1]->type, TF_FRAME_UPDATE);
    rig.env.view.lost = true;
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->told, tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST));
    rig_close(&rig);
}

static void trades_come_from_the_ring_one_by_one(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "trades.sim.BTC-USD.raw");
    put_trades(&rig, 1, 3);
    (void)emit(&rig);
    read_ring(&rig); /* in the snapshot already */
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    put_trades(&rig, 4, 6);
    read_ring(&rig);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->prev, 3);
    assert_int_equal(rig.frame[0]->seq, 6);
    rig_close(&rig);
}

static void lapped_trades_come_from_the_history(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "trades.sim.BTC-USD.raw");
    (void)emit(&rig);
    put_trades(&rig, 1, 40);
    (void)tf_reader_seek(rig.t.reader, TF_FROM_NOW);
    tf_stream_lapped(&rig.stream);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->prev, 0);
    assert_int_equal(rig.frame[0]->seq, 40);
    rig_close(&rig);
}

/* 64 are kept: of 200 missed ones the first 136 are gone for good, and said to be. */
static void trades_that_the_history_has_not_are_announced(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "trades.sim.BTC-USD.raw");
    put_trades(&rig, 1, 10);
    (void)emit(&rig);
    put_trades(&rig, 11, 210);
    tf_stream_lapped(&rig.stream);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    size_t at = 0;
    json_t *gap = message(rig.frame[0], &at);
    json_t *data = message(rig.frame[0], &at);
    assert_int_equal(at, rig.frame[0]->bytes);
    assert_string_equal(json_string_value(json_object_get(gap, "method")), "gap");
    const json_t *params = json_object_get(gap, "params");
    assert_string_equal(json_string_value(json_object_get(params, "cause")), "server");
    assert_int_equal(json_integer_value(json_object_get(params, "from")), 10);
    assert_int_equal(json_integer_value(json_object_get(params, "to")), 146);
    assert_int_equal(json_integer_value(json_object_get(params, "count")), 136);
    params = json_object_get(data, "params");
    assert_int_equal(json_integer_value(json_object_get(params, "prev")), 146);
    assert_int_equal(json_array_size(json_object_get(params, "data")), 64);
    assert_int_equal(rig.frame[0]->lost, 136); /* counted for each subscription that takes it */
    assert_int_equal(rig.frame[0]->gaps, 1);
    json_decref(gap);
    json_decref(data);
    rig_close(&rig);
}

static void scale_raise(rig_t *rig)
{
    tf_instrument_t finer = t_instrument("BTC-USD", 3, 8);
    assert_true(tf_region_instrument_update(rig->t.region, rig->index, &finer, t_stamp));
}

static const char *first_price(const json_t *text)
{
    const json_t *data = json_object_get(json_object_get(text, "params"), "data");
    return json_string_value(json_object_get(json_array_get(data, 0), "px"));
}

/* Trades of both scales lie in the ring when the stream looks: each goes out in its own, with the
 * announcement between, and none is lost. */
static void a_new_scale_does_not_end_a_list_of_trades(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "trades.sim.BTC-USD.raw");
    (void)emit(&rig);
    put_trades(&rig, 1, 1);
    scale_raise(&rig);
    put_trades(&rig, 2, 2);
    read_ring(&rig);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 3);
    json_t *old = only_message(rig.frame[0]);
    json_t *announce = only_message(rig.frame[1]);
    json_t *new = only_message(rig.frame[2]);
    assert_string_equal(first_price(old), "1.01");
    assert_string_equal(json_string_value(json_object_get(announce, "method")), "subscribed");
    assert_string_equal(first_price(new), "0.102");
    assert_int_equal(rig.frame[2]->prev, 1);
    assert_int_not_equal(rig.frame[1]->generation, rig.frame[1]->base_generation);
    json_decref(old);
    json_decref(announce);
    json_decref(new);
    rig_close(&rig);
}

/* Between the writer's change of scale and the stream's, the history has figures that the stream's
 * scale would misread: who joins waits a turn. */
static void nothing_is_read_from_a_history_of_another_scale(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "trades.sim.BTC-USD.raw");
    put_trades(&rig, 1, 3);
    (void)emit(&rig);
    put_trades(&rig, 4, 5);
    read_ring(&rig);
    (void)emit(&rig);
    scale_raise(&rig);
    assert_null(tf_stream_snapshot(&rig.stream, &rig.env));
    assert_null(tf_stream_since(&rig.stream, &rig.env, 3));
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_non_null(tf_stream_snapshot(&rig.stream, &rig.env));
    tf_frame_t *since = tf_stream_since(&rig.stream, &rig.env, 3);
    assert_non_null(since);
    json_t *text = only_message(since);
    assert_string_equal(first_price(text), "1.040");
    json_decref(text);
    tf_frame_unref(since);
    rig_close(&rig);
}

/* What could not be encoded is not forgotten: the state stays untold, and a moved stream says so.
 */
static void without_memory_nobody_is_left_out(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    frames_drop(&rig);
    tf_region_put_state(rig.t.region, rig.index, TF_STATE_STALE, TF_REASON_SILENT, t_stamp);
    tf_mem_fail_at(1);
    assert_int_equal(emit(&rig), TF_STREAM_AGAIN);
    tf_mem_fail_at(0);
    assert_int_equal(rig.frames, 0);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 1);
    put_book(&rig, 4);
    tf_mem_fail_at(1);
    assert_int_equal(emit(&rig), TF_STREAM_MISSED);
    tf_mem_fail_at(0);
    assert_int_equal(tf_stream_snapshot(&rig.stream, &rig.env)->seq, 2);
    rig_close(&rig);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"book.sim.BTC-USD.10.raw", "trades.sim.BTC-USD.raw",
                                        "bbo.sim.BTC-USD.raw", "ticker.sim.BTC-USD.raw"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        for (uint64_t nth = 1; nth < 12; nth++) {
            rig_t rig;
            tf_buf_t out = {0};
            rig_open(&rig, names[n]);
            put_book(&rig, 3);
            put_trades(&rig, 1, 3);
            tf_mem_fail_at(nth);
            (void)emit(&rig);
            (void)tf_stream_snapshot(&rig.stream, &rig.env);
            tf_view_result_t seen =
                tf_view_snapshot(&rig.env.view, &rig.stream.channel, rig.index, &out);
            tf_mem_fail_at(0);
            if (seen == TF_VIEW_OK && tf_buf_ok(&out)) {
                json_t *text = json_loadb(out.data, out.bytes, 0, NULL);
                assert_non_null(text);
                json_decref(text);
            }
            (void)emit(&rig);
            assert_non_null(tf_stream_snapshot(&rig.stream, &rig.env));
            tf_buf_fini(&out);
            rig_close(&rig);
        }
    }
}

/* A writer that died in the middle of a change leaves its entry busy for ever. */
static void a_half_written_entry_of_a_lost_writer_is_told_and_left_alone(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    tf_region_book_begin(rig.t.region, rig.index);
    assert_int_equal(emit(&rig), TF_STREAM_AGAIN);
    rig.env.view.lost = true;
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->type, TF_FRAME_STATE);
    assert_int_equal(rig.frame[0]->told, tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST));
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    const tf_bbo_t bbo = {100, 3, 101, 7};
    tf_region_book_commit(rig.t.region, &bbo, t_stamp);
    rig_close(&rig);
}

/* A new region: nothing is known until it is read, and the market counts as lost. */
static void a_reset_stream_loads_again_under_a_new_generation(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "book.sim.BTC-USD.10.raw");
    put_book(&rig, 3);
    (void)emit(&rig);
    uint8_t before = rig.stream.generation;
    tf_stream_reset(&rig.stream, rig.index);
    assert_null(tf_stream_snapshot(&rig.stream, &rig.env));
    assert_int_equal(rig.stream.told, tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST));
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 3);
    assert_int_equal(rig.frame[0]->generation, (uint8_t)(before + 1));
    assert_int_equal(rig.frame[0]->base_generation, (uint8_t)(before + 1));
    rig_close(&rig);
}

/* The memory for its levels comes with the image; the reply to a subscription need not wait. */
static void a_full_book_tells_its_depth_before_it_is_loaded(void **state)
{
    (void)state;
    rig_t rig;
    tf_subscribed_t entry;
    rig_open(&rig, "book.sim.BTC-USD.full.raw");
    uint32_t depth = (uint32_t)tf_reader_image_depth(rig.t.reader);
    tf_stream_describe(&rig.stream, &rig.env, &entry);
    assert_int_equal(entry.depth_max, depth);
    tf_stream_reset(&rig.stream, rig.index);
    tf_stream_describe(&rig.stream, &rig.env, &entry);
    assert_int_equal(entry.depth_max, depth);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_starts_with_what_the_image_holds),
        cmocka_unit_test(a_change_that_was_taken_back_is_no_frame),
        cmocka_unit_test(what_lies_below_the_depth_is_no_frame),
        cmocka_unit_test(a_snapshot_is_encoded_once_until_the_stream_moves),
        cmocka_unit_test(a_resync_is_a_snapshot_for_everybody),
        cmocka_unit_test(a_state_is_told_before_the_data),
        cmocka_unit_test(trades_come_from_the_ring_one_by_one),
        cmocka_unit_test(lapped_trades_come_from_the_history),
        cmocka_unit_test(trades_that_the_history_has_not_are_announced),
        cmocka_unit_test(a_new_scale_does_not_end_a_list_of_trades),
        cmocka_unit_test(nothing_is_read_from_a_history_of_another_scale),
        cmocka_unit_test(without_memory_nobody_is_left_out),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(a_half_written_entry_of_a_lost_writer_is_told_and_left_alone),
        cmocka_unit_test(a_reset_stream_loads_again_under_a_new_generation),
        cmocka_unit_test(a_full_book_tells_its_depth_before_it_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
