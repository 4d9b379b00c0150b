/* Snapshots of a market's channels, against what was put into the region. */
#include "kit/kit.h"

#include "unit/view/view_rig.h"

#include <inttypes.h>

#include <zlib.h>

#define TIMES "\"te\":1790000000123456,\"ti\":1790000000124268,\"tp\":1790000000000000"
#define LIVE  "\"state\":\"live\"," TIMES

static const char *const kinds[] = {"ticker.sim.BTC-USD.100ms", "bbo.sim.BTC-USD.raw",
                                    "trades.sim.BTC-USD.raw", "book.sim.BTC-USD.10.100ms"};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* One version of everything. */
static void put_all(view_rig_t *rig, uint32_t index)
{
    const tf_level_t bid = {6401233, 50000000};
    const tf_level_t ask = {6401234, 12000000};
    const tf_bbo_t bbo = {bid.px, bid.sz, ask.px, ask.sz};
    const tf_ticker_t ticker = {.present =
                                    TF_TICKER_PX | TF_TICKER_SIDE | TF_TICKER_V24 | TF_TICKER_N24,
                                .side = TF_SIDE_SELL,
                                .v24_dp = 3,
                                .px = 6401200,
                                .v24 = 12345,
                                .n24 = 99};
    const tf_trade_t trade = t_trade(7);
    tf_region_put_book_snapshot(rig->t.region, index, &bid, 1, &ask, 1, rig_stamp);
    assert_true(tf_region_put_bbo(rig->t.region, index, &bbo, rig_stamp));
    tf_region_put_ticker(rig->t.region, index, &ticker, rig_stamp);
    tf_region_put_trade(rig->t.region, index, &trade, rig_stamp);
}

static void every_kind_says_what_was_put(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-kinds");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    put_all(&rig, index);
    rig_says(&rig, "book.sim.BTC-USD.10.100ms", index, 1,
             LIVE ",\"cs\":2172007027,\"data\":{\"b\":[[\"64012.33\",\"0.50000000\"]],"
                  "\"a\":[[\"64012.34\",\"0.12000000\"]]}}");
    rig_says(&rig, "bbo.sim.BTC-USD.raw", index, 1,
             LIVE ",\"data\":{\"bid\":\"64012.33\",\"bsz\":\"0.50000000\",\"ask\":\"64012.34\","
                  "\"asz\":\"0.12000000\"}}");
    rig_says(&rig, "ticker.sim.BTC-USD.1s", index, 1,
             LIVE ",\"data\":{\"px\":\"64012.00\",\"side\":\"sell\",\"v24\":\"12.345\","
                  "\"n24\":99}}");
    rig_says(&rig, "trades.sim.BTC-USD.100ms", index, 1,
             LIVE ",\"data\":[{\"id\":\"7\",\"px\":\"1.07\",\"sz\":\"0.00000007\","
                  "\"side\":\"sell\",\"te\":0}]}");
    rig_close(&rig);
}

static void the_protocols_book_has_the_protocols_checksums(void **state)
{
    (void)state;
    const tf_level_t bids[] = {{6401233, 50000000}, {6401190, 100000000}, {6401000, 125000000}};
    const tf_level_t asks[] = {{6401234, 12000000}, {6401301, 30000000}};
    view_rig_t rig;
    rig_open(&rig, "view-vectors");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    tf_region_put_book_snapshot(rig.t.region, index, bids, 3, asks, 2, rig_stamp);
    static const struct {
        const char *name;
        json_int_t cs;
    } vectors[] = {{"book.sim.BTC-USD.1.raw", 2172007027},
                   {"book.sim.BTC-USD.10.raw", 1905641782},
                   {"book.sim.BTC-USD.full.raw", 1905641782}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        json_t *read = rig_snapshot(&rig, vectors[i].name, index);
        assert_int_equal(rig_number(read, "cs"), vectors[i].cs);
        json_decref(read);
    }
    tf_region_put_book_snapshot(rig.t.region, index, NULL, 0, NULL, 0, rig_stamp);
    rig_says(&rig, "book.sim.BTC-USD.10.raw", index, 2,
             LIVE ",\"cs\":0,\"data\":{\"b\":[],\"a\":[]}}");
    rig_close(&rig);
}

/* The CRC of the texts that the client got, as the protocol tells it to compute it. */
static json_int_t client_checksum(const json_t *data)
{
    char text[2048];
    size_t used = 0;
    for (size_t rank = 0; rank < 10; rank++) {
        for (int side = 0; side < 2; side++) {
            const json_t *levels = json_object_get(data, side == 0 ? "b" : "a");
            const json_t *level = json_array_get(levels, rank);
            if (level != NULL)
                used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%s",
                                         used > 0 ? ":" : "",
                                         json_string_value(json_array_get(level, 0)),
                                         json_string_value(json_array_get(level, 1)));
        }
    }
    return used > 0 ? (json_int_t)crc32(0, (const Bytef *)text, (uInt)used) : 0;
}

static void levels_are(const json_t *levels, size_t count, int64_t best, int step)
{
    assert_int_equal(json_array_size(levels), count);
    for (size_t i = 0; i < count; i++) {
        char px[32];
        char sz[32];
        int64_t mantissa = best + step * (int64_t)i;
        (void)snprintf(px, sizeof px, "%lld.%02lld", (long long)mantissa / 100,
                       (long long)mantissa % 100);
        (void)snprintf(sz, sizeof sz, "0.%08zu", i + 1);
        assert_string_equal(json_string_value(json_array_get(json_array_get(levels, i), 0)), px);
        assert_string_equal(json_string_value(json_array_get(json_array_get(levels, i), 1)), sz);
    }
}

static void books_are_cut_to_the_channels_depth_and_to_the_regions(void **state)
{
    (void)state;
    tf_level_t bids[VIEW_DEPTH];
    tf_level_t asks[VIEW_DEPTH];
    for (int64_t i = 0; i < VIEW_DEPTH; i++) {
        bids[i] = (tf_level_t){10000 - i, 1 + i};
        asks[i] = (tf_level_t){10001 + i, 1 + i};
    }
    static const struct {
        const char *name;
        uint32_t depth;
    } rows[] = {{"book.sim.BTC-USD.1.raw", 1},
                {"book.sim.BTC-USD.10.raw", 10},
                {"book.sim.BTC-USD.25.raw", VIEW_DEPTH},
                {"book.sim.BTC-USD.1000.raw", VIEW_DEPTH},
                {"book.sim.BTC-USD.full.raw", VIEW_DEPTH}};
    view_rig_t rig;
    rig_open(&rig, "view-depth");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    for (size_t ask_count = 0; ask_count <= VIEW_DEPTH; ask_count += 3) {
        tf_region_put_book_snapshot(rig.t.region, index, bids, VIEW_DEPTH, asks, ask_count,
                                    rig_stamp);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            tf_channel_t channel = rig_channel(rows[i].name);
            uint32_t depth = rows[i].depth;
            assert_int_equal(tf_view_depth(&rig.view, &channel), depth);
            json_t *read = rig_snapshot(&rig, rows[i].name, index);
            const json_t *data = json_object_get(read, "data");
            levels_are(json_object_get(data, "b"), depth, 10000, -1);
            levels_are(json_object_get(data, "a"), ask_count < depth ? ask_count : depth, 10001, 1);
            assert_int_equal(rig_number(read, "cs"), client_checksum(data));
            json_decref(read);
        }
    }
    rig_close(&rig);
}

static void a_first_message_has_the_last_fifty_trades(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-trades");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    for (uint64_t number = 1; number <= 3 * VIEW_TRADES; number++) {
        tf_trade_t trade = t_trade(number);
        tf_region_put_trade(rig.t.region, index, &trade, rig_stamp);
        json_t *read = rig_snapshot(&rig, "trades.sim.BTC-USD.raw", index);
        const json_t *data = json_object_get(read, "data");
        uint64_t count = number < 50 ? number : 50;
        assert_int_equal(rig_number(read, "seq"), number);
        assert_int_equal(json_array_size(data), count);
        for (uint64_t i = 0; i < count; i++) {
            char id[24];
            uint64_t expected = number - count + 1 + i;
            (void)snprintf(id, sizeof id, "%" PRIu64, expected);
            assert_string_equal(rig_text(json_array_get(data, i), "id"), id);
        }
        json_decref(read);
    }
    rig_close(&rig);
}

static void what_was_never_published_is_nothing(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-nothing");
    uint32_t index = rig_add(&rig, "sim", "BTC-USD");
    for (size_t i = 0; i < KINDS; i++)
        rig_refuses(&rig, kinds[i], index, TF_VIEW_NOTHING);
    put_all(&rig, index);
    for (size_t i = 0; i < KINDS; i++)
        json_decref(rig_snapshot(&rig, kinds[i], index));
    rig_close(&rig);
}

static void an_index_that_the_region_does_not_have_is_not_read(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-range");
    for (size_t i = 0; i < KINDS; i++)
        rig_refuses(&rig, kinds[i], VIEW_INSTRUMENTS - 1, TF_VIEW_BUSY);
    rig_close(&rig);
}

static void a_market_that_is_not_live_says_why_and_keeps_its_data(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-state");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    put_all(&rig, index);
    tf_region_put_state(rig.t.region, index, TF_STATE_STALE, TF_REASON_SILENT, t_stamp);
    rig_says(&rig, "bbo.sim.BTC-USD.raw", index, 1,
             "\"state\":\"stale\",\"reason\":\"silent\"," TIMES
             ",\"data\":{\"bid\":\"64012.33\",\"bsz\":\"0.50000000\",\"ask\":\"64012.34\","
             "\"asz\":\"0.12000000\"}}");
    tf_region_put_state(rig.t.region, index, TF_STATE_HALTED, TF_REASON_VENUE_STATUS, t_stamp);
    for (size_t i = 0; i < KINDS; i++) {
        json_t *read = rig_snapshot(&rig, kinds[i], index);
        assert_string_equal(rig_text(read, "state"), "halted");
        assert_string_equal(rig_text(read, "reason"), "venue_status");
        json_decref(read);
    }
    rig_close(&rig);
}

/* Nothing but the state differs, whatever state the region has. */
static void without_a_writer_every_kind_is_stale_with_the_last_data(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-lost");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    put_all(&rig, index);
    for (int live = 1; live >= 0; live--) {
        if (!live)
            tf_region_put_state(rig.t.region, index, TF_STATE_HALTED, TF_REASON_VENUE_STATUS,
                                t_stamp);
        for (size_t i = 0; i < KINDS; i++) {
            rig.view.lost = false;
            json_t *before = rig_snapshot(&rig, kinds[i], index);
            rig.view.lost = true;
            json_t *read = rig_snapshot(&rig, kinds[i], index);
            assert_string_equal(rig_text(read, "state"), "stale");
            assert_string_equal(rig_text(read, "reason"), "ingest_lost");
            (void)json_object_del(before, "state");
            (void)json_object_del(before, "reason");
            (void)json_object_del(read, "state");
            (void)json_object_del(read, "reason");
            assert_true(json_equal(before, read));
            json_decref(before);
            json_decref(read);
        }
    }
    rig_close(&rig);
}

static void an_entry_that_is_being_written_is_busy_and_others_are_not(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-busy");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    put_all(&rig, index);
    tf_image_head_t *heads[] = {
        &tf_writer_ticker(rig.t.region, index)->head, &tf_writer_bbo(rig.t.region, index)->head,
        &tf_writer_trades(rig.t.region, index)->head, &tf_writer_book(rig.t.region, index)->head};
    for (size_t locked = 0; locked < KINDS; locked++) {
        tf_image_lock(heads[locked]);
        for (size_t i = 0; i < KINDS; i++) {
            if (i == locked)
                rig_refuses(&rig, kinds[i], index, TF_VIEW_BUSY);
            else
                json_decref(rig_snapshot(&rig, kinds[i], index));
        }
        tf_image_unlock(heads[locked]);
        json_decref(rig_snapshot(&rig, kinds[locked], index));
    }
    rig_close(&rig);
}

static void an_image_is_read_as_far_as_its_kind_needs(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-read");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    put_all(&rig, index);
    tf_view_t *view = &rig.view;
    tf_view_image_t image;
    assert_int_equal(tf_view_read(view, TF_KIND_TICKER, index, 0, &image), TF_IMAGE_OK);
    assert_int_equal(image.ticker.n24, 99);
    assert_int_equal(tf_view_read(view, TF_KIND_BBO, index, 0, &image), TF_IMAGE_OK);
    assert_int_equal(image.bbo.ask_px, 6401234);
    assert_int_equal(tf_view_read(view, TF_KIND_BOOK, index, 5, &image), TF_IMAGE_OK);
    assert_int_equal(image.count[0], 1);
    assert_int_equal(view->level[1][0].sz, 12000000);
    assert_int_equal(tf_view_read(view, TF_KIND_BOOK, index, 0, &image), TF_IMAGE_OK);
    assert_int_equal(image.count[0], 0);
    image.info.seq = 0;
    assert_int_equal(tf_view_read(view, TF_KIND_TRADES, index, 0, &image), TF_IMAGE_OK);
    assert_int_equal(image.info.seq, 1);
    assert_int_equal(image.info.px_dp, 2);
    assert_int_equal(tf_view_read(view, TF_KIND_STATUS, index, 0, &image), TF_IMAGE_RANGE);
    assert_int_equal(tf_view_read(view, TF_KIND_INSTRUMENTS, index, 0, &image), TF_IMAGE_RANGE);
    assert_int_equal(tf_view_read(view, TF_KIND_BBO, index + 1, 0, &image), TF_IMAGE_RANGE);
    rig_close(&rig);
}

static void without_memory_there_is_no_view(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-memory");
    uint64_t before = tf_mem_in_use_bytes();
    bool ok = false;
    uint64_t nth = 0;
    while (!ok) {
        tf_view_t view;
        tf_mem_fail_at(++nth);
        ok = tf_view_init(&view, rig.t.reader);
        tf_mem_fail_at(0);
        if (ok)
            tf_view_fini(&view);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_in_range(nth, 4, 10);
    rig_close(&rig);
}

static void a_snapshot_without_memory_is_never_half_told(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "view-starved");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    put_all(&rig, index);
    for (size_t i = 0; i < KINDS; i++) {
        tf_channel_t channel = rig_channel(kinds[i]);
        bool told = false;
        for (uint64_t nth = 1; !told; nth++) {
            assert_in_range(nth, 1, 20);
            tf_buf_t out = {0};
            tf_buf_fini(&rig.view.name);
            tf_mem_fail_at(nth);
            tf_view_result_t result = tf_view_snapshot(&rig.view, &channel, index, &out);
            tf_mem_fail_at(0);
            told = result == TF_VIEW_OK && tf_buf_ok(&out);
            assert_true(told || result == TF_VIEW_BUSY || !tf_buf_ok(&out));
            assert_true(result == TF_VIEW_OK || out.bytes == 0);
            tf_buf_fini(&out);
        }
        json_decref(rig_snapshot(&rig, kinds[i], index));
    }
    rig_close(&rig);
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_says_what_was_put),
        cmocka_unit_test(the_protocols_book_has_the_protocols_checksums),
        cmocka_unit_test(books_are_cut_to_the_channels_depth_and_to_the_regions),
        cmocka_unit_test(a_first_message_has_the_last_fifty_trades),
        cmocka_unit_test(what_was_never_published_is_nothing),
        cmocka_unit_test(an_index_that_the_region_does_not_have_is_not_read),
        cmocka_unit_test(a_market_that_is_not_live_says_why_and_keeps_its_data),
        cmocka_unit_test(without_a_writer_every_kind_is_stale_with_the_last_data),
        cmocka_unit_test(an_entry_that_is_being_written_is_busy_and_others_are_not),
        cmocka_unit_test(an_image_is_read_as_far_as_its_kind_needs),
        cmocka_unit_test(without_memory_there_is_no_view),
        cmocka_unit_test(a_snapshot_without_memory_is_never_half_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
