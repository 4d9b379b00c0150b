#include "kit/kit.h"

#include "region/writer.h"
#include "unit/region/region_kit.h"

static t_region_t t;
static uint32_t market; /* a live instrument, its first two events read */

static int open_one(void **state)
{
    (void)state;
    t_region_init(&t, "publish");
    t_region_open(&t);
    market = t_region_live(&t, "BTC-USD");
    (void)t_event(t.reader, TF_EVENT_INSTRUMENT);
    (void)t_event(t.reader, TF_EVENT_STATE);
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    t_region_close(&t);
    return 0;
}

static tf_instrument_view_t instrument_view(uint32_t index)
{
    tf_instrument_view_t view;
    assert_int_equal(tf_reader_instrument(t.reader, index, &view), TF_IMAGE_OK);
    return view;
}

static void assert_head(const tf_event_t *event, uint64_t seq)
{
    assert_int_equal(event->instrument, market);
    assert_int_equal(event->seq, seq);
    assert_int_equal(event->px_dp, 2);
    assert_int_equal(event->sz_dp, 8);
    assert_int_equal(event->te_ns, t_stamp.te_ns);
    assert_int_equal(event->ti_ns, t_stamp.ti_ns);
    assert_int_equal(event->tp_ns, t.wall_ns);
    assert_int_equal(event->flags, 0);
}

static void assert_info(const tf_image_info_t *info, uint64_t seq)
{
    assert_int_equal(info->seq, seq);
    assert_int_equal(info->te_ns, t_stamp.te_ns);
    assert_int_equal(info->ti_ns, t_stamp.ti_ns);
    assert_int_equal(info->tp_ns, t.wall_ns);
    assert_int_equal(info->state, TF_STATE_LIVE);
    assert_int_equal(info->reason, TF_REASON_NONE);
    assert_int_equal(info->px_dp, 2);
    assert_int_equal(info->sz_dp, 8);
}

static void a_new_instrument_is_starting_and_empty(void **state)
{
    (void)state;
    tf_instrument_t instrument = t_instrument("ETH-EUR", 3, 4);
    uint32_t index = 0;
    assert_int_equal(tf_region_instrument_add(t.region, &instrument, t_stamp, &index), TF_OK);
    assert_int_equal(index, market + 1);
    const tf_event_t *event = t_event(t.reader, TF_EVENT_INSTRUMENT);
    assert_int_equal(event->instrument, index);
    assert_int_equal(event->seq, 1);
    tf_instrument_view_t view = instrument_view(index);
    assert_string_equal(view.symbol, "ETH-EUR");
    assert_string_equal(view.venue_symbol, "xETH-EUR");
    assert_string_equal(view.venue, "sim");
    assert_string_equal(view.base, "BTC");
    assert_string_equal(view.quote, "USD");
    assert_int_equal(view.tick, 1);
    assert_int_equal(view.lot, 10);
    assert_int_equal(view.listing, TF_INSTRUMENT_ONLINE);
    assert_int_equal(view.since_ns, t.wall_ns);
    assert_int_equal(view.info.state, TF_STATE_RESYNC);
    assert_int_equal(view.info.reason, TF_REASON_STARTING);
    assert_int_equal(view.info.px_dp, 3);
    assert_int_equal(view.info.sz_dp, 4);
    tf_image_info_t info;
    tf_bbo_t bbo;
    assert_int_equal(tf_reader_bbo(t.reader, index, &info, &bbo), TF_IMAGE_OK);
    assert_int_equal(info.seq, 0);
    assert_true(bbo.bid_px == TF_PRICE_NONE && bbo.ask_px == TF_PRICE_NONE);
    tf_level_t bids[5], asks[5];
    uint32_t bid_count = 9, ask_count = 9;
    assert_int_equal(tf_reader_book(t.reader, index, 5, &info, bids, &bid_count, asks, &ask_count),
                     TF_IMAGE_OK);
    assert_int_equal(info.seq + bid_count + ask_count, 0);
    uint64_t first = 0;
    uint32_t count = 9;
    tf_trade_t trade;
    assert_int_equal(
        tf_reader_trades(t.reader, index, 0, UINT64_MAX, &info, &trade, 1, &first, &count),
        TF_IMAGE_OK);
    assert_int_equal(info.seq + count, 0);
}

static void a_full_region_refuses_and_goes_on(void **state)
{
    (void)state;
    tf_instrument_t instrument = t_instrument("ETH-EUR", 3, 4);
    uint32_t index = 0;
    for (int i = 1; i < 4; i++)
        assert_int_equal(tf_region_instrument_add(t.region, &instrument, t_stamp, &index), TF_OK);
    assert_int_equal(tf_region_instrument_add(t.region, &instrument, t_stamp, &index), TF_ERR_FULL);
    assert_non_null(strstr(tf_error_text(), "instruments_max"));
    assert_int_equal(tf_reader_instrument_count(t.reader), 4);
}

static void an_unknown_instrument_is_out_of_range(void **state)
{
    (void)state;
    tf_instrument_view_t view;
    tf_image_info_t info;
    tf_bbo_t bbo;
    tf_ticker_t ticker;
    assert_int_equal(tf_reader_instrument(t.reader, 1, &view), TF_IMAGE_RANGE);
    assert_int_equal(tf_reader_bbo(t.reader, 1, &info, &bbo), TF_IMAGE_RANGE);
    assert_int_equal(tf_reader_ticker(t.reader, UINT32_MAX, &info, &ticker), TF_IMAGE_RANGE);
}

static void a_state_is_told_in_every_entry_and_by_one_record(void **state)
{
    (void)state;
    t.wall_ns += 5;
    tf_region_put_state(t.region, market, TF_STATE_STALE, TF_REASON_SILENT, t_stamp);
    tf_event_state_t event;
    memcpy(&event, t_event(t.reader, TF_EVENT_STATE), sizeof event);
    assert_head(&event.head, 3);
    assert_int_equal(event.state, TF_STATE_STALE);
    assert_int_equal(event.reason, TF_REASON_SILENT);
    t_no_event(t.reader);
    tf_instrument_view_t view = instrument_view(market);
    assert_int_equal(view.info.seq, 3);
    assert_int_equal(view.since_ns, t.wall_ns);
    tf_image_info_t info[5] = {view.info};
    tf_ticker_t ticker;
    tf_bbo_t bbo;
    uint64_t first = 0;
    uint32_t count = 0;
    assert_int_equal(tf_reader_ticker(t.reader, market, &info[1], &ticker), TF_IMAGE_OK);
    assert_int_equal(tf_reader_bbo(t.reader, market, &info[2], &bbo), TF_IMAGE_OK);
    assert_int_equal(tf_reader_book(t.reader, market, 0, &info[3], NULL, &count, NULL, &count),
                     TF_IMAGE_OK);
    assert_int_equal(
        tf_reader_trades(t.reader, market, 0, UINT64_MAX, &info[4], NULL, 0, &first, &count),
        TF_IMAGE_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(info[i].state, TF_STATE_STALE);
        assert_int_equal(info[i].reason, TF_REASON_SILENT);
        assert_int_equal(info[i].px_dp, 2);
        assert_int_equal(info[i].sz_dp, 8);
    }
    assert_int_equal(info[1].seq + info[2].seq + info[3].seq + info[4].seq, 0);
}

static void a_ticker_is_in_the_image_and_in_the_ring(void **state)
{
    (void)state;
    tf_ticker_t ticker = {
        .present = TF_TICKER_PX | TF_TICKER_Q24, .px = 123, .q24 = 9, .q24_dp = 4};
    tf_region_put_ticker(t.region, market, &ticker, t_stamp);
    tf_event_ticker_t event;
    memcpy(&event, t_event(t.reader, TF_EVENT_TICKER), sizeof event);
    assert_head(&event.head, 1);
    assert_memory_equal(&event.ticker, &ticker, sizeof ticker);
    tf_image_info_t info;
    tf_ticker_t read;
    assert_int_equal(tf_reader_ticker(t.reader, market, &info, &read), TF_IMAGE_OK);
    assert_info(&info, 1);
    assert_memory_equal(&read, &ticker, sizeof ticker);
    assert_int_equal(tf_stats_get(&t.stats, TF_STAT_published_tickers_total), 1);
}

static void a_bbo_is_published_only_when_it_changed(void **state)
{
    (void)state;
    tf_bbo_t none = {.bid_px = TF_PRICE_NONE, .ask_px = TF_PRICE_NONE};
    assert_false(tf_region_put_bbo(t.region, market, &none, t_stamp));
    t_no_event(t.reader);
    tf_bbo_t bbo = {.bid_px = 100, .bid_sz = 1, .ask_px = 101, .ask_sz = 2};
    assert_true(tf_region_put_bbo(t.region, market, &bbo, t_stamp));
    assert_false(tf_region_put_bbo(t.region, market, &bbo, t_stamp));
    tf_event_bbo_t event;
    memcpy(&event, t_event(t.reader, TF_EVENT_BBO), sizeof event);
    assert_head(&event.head, 1);
    assert_memory_equal(&event.bbo, &bbo, sizeof bbo);
    t_no_event(t.reader);
    tf_image_info_t info;
    tf_bbo_t read;
    assert_int_equal(tf_reader_bbo(t.reader, market, &info, &read), TF_IMAGE_OK);
    assert_info(&info, 1);
    assert_memory_equal(&read, &bbo, sizeof bbo);
    assert_int_equal(tf_stats_get(&t.stats, TF_STAT_published_bbos_total), 1);
}

/* Ask for [from, to] with room for `max`; expect numbers [first, last], none when first > last. */
static void assert_trades(uint64_t from, uint64_t to, uint32_t max, uint64_t first, uint64_t last)
{
    tf_image_info_t info;
    tf_trade_t out[64];
    uint64_t out_first = 0;
    uint32_t count = 0;
    assert_int_equal(
        tf_reader_trades(t.reader, market, from, to, &info, out, max, &out_first, &count),
        TF_IMAGE_OK);
    assert_int_equal(count, last + 1 - first);
    for (uint32_t i = 0; i < count; i++) {
        tf_trade_t expected = t_trade(first + i);
        assert_int_equal(out_first, first);
        assert_memory_equal(&out[i], &expected, sizeof expected);
    }
}

static void trades_are_numbered_and_the_newest_are_kept(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 100; number++) {
        tf_trade_t trade = t_trade(number);
        tf_region_put_trade(t.region, market, &trade, t_stamp);
        tf_event_trade_t event;
        memcpy(&event, t_event(t.reader, TF_EVENT_TRADE), sizeof event);
        assert_head(&event.head, number);
        assert_memory_equal(&event.trade, &trade, sizeof trade);
        assert_trades(1, UINT64_MAX, 64, number < 64 ? 1 : number - 63, number);
    }
    assert_trades(0, UINT64_MAX, 64, 37, 100);
    assert_trades(50, 60, 64, 50, 60);
    assert_trades(50, 60, 4, 57, 60);
    assert_trades(1, 40, 64, 37, 40);
    assert_trades(100, 100, 64, 100, 100);
    assert_trades(101, UINT64_MAX, 64, 101, 100);
    assert_trades(1, 36, 64, 37, 36);
    assert_trades(37, 100, 0, 101, 100);
    assert_int_equal(tf_stats_get(&t.stats, TF_STAT_published_trades_total), 100);
}

static void an_update_tells_the_new_metadata(void **state)
{
    (void)state;
    tf_instrument_t instrument = t_instrument("BTC-USD", 2, 8);
    instrument.tick = 5;
    instrument.status = TF_INSTRUMENT_HALTED;
    tf_bbo_t bbo = {.bid_px = 100, .bid_sz = 1, .ask_px = 101, .ask_sz = 2};
    assert_true(tf_region_put_bbo(t.region, market, &bbo, t_stamp));
    (void)t_event(t.reader, TF_EVENT_BBO);
    assert_true(tf_region_instrument_update(t.region, market, &instrument, t_stamp));
    assert_head(t_event(t.reader, TF_EVENT_INSTRUMENT), 3);
    t_no_event(t.reader);
    tf_instrument_view_t view = instrument_view(market);
    assert_int_equal(view.tick, 5);
    assert_int_equal(view.listing, TF_INSTRUMENT_HALTED);
    assert_int_equal(view.info.base_seq, 1);
    assert_int_equal(view.info.state, TF_STATE_LIVE);
    tf_image_info_t info;
    assert_int_equal(tf_reader_bbo(t.reader, market, &info, &bbo), TF_IMAGE_OK);
    assert_info(&info, 1); /* same scale: the figures are the same version */
}

static void publish_figures(void)
{
    tf_ticker_t ticker = {.present = TF_TICKER_PX | TF_TICKER_SZ | TF_TICKER_V24 | TF_TICKER_O24,
                          .px = 7,
                          .sz = 8,
                          .o24 = 6,
                          .v24 = 5,
                          .v24_dp = 8};
    tf_bbo_t bbo = {.bid_px = TF_PRICE_NONE, .ask_px = 101, .ask_sz = 2};
    tf_region_put_ticker(t.region, market, &ticker, t_stamp);
    assert_true(tf_region_put_bbo(t.region, market, &bbo, t_stamp));
    for (uint64_t number = 1; number <= 70; number++) {
        tf_trade_t trade = t_trade(number);
        tf_region_put_trade(t.region, market, &trade, t_stamp);
    }
    tf_level_t bid = {90, 1};
    tf_region_put_book_snapshot(t.region, market, &bid, 1, NULL, 0, t_stamp);
}

static void a_new_scale_reaches_every_figure(void **state)
{
    (void)state;
    publish_figures();
    tf_instrument_t instrument = t_instrument("BTC-USD", 3, 10);
    assert_true(tf_region_instrument_update(t.region, market, &instrument, t_stamp));
    tf_image_info_t info;
    tf_ticker_t ticker;
    assert_int_equal(tf_reader_ticker(t.reader, market, &info, &ticker), TF_IMAGE_OK);
    assert_int_equal(info.px_dp, 3);
    assert_int_equal(info.sz_dp, 10);
    assert_int_equal(info.seq, 2);
    assert_int_equal(info.base_seq, 2);
    assert_int_equal(ticker.px, 70);
    assert_int_equal(ticker.sz, 800);
    assert_int_equal(ticker.o24, 60);
    assert_int_equal(ticker.v24, 5); /* has decimals of its own */
    tf_bbo_t bbo;
    assert_int_equal(tf_reader_bbo(t.reader, market, &info, &bbo), TF_IMAGE_OK);
    assert_int_equal(info.base_seq, 2);
    assert_true(bbo.bid_px == TF_PRICE_NONE);
    assert_int_equal(bbo.ask_px, 1010);
    assert_int_equal(bbo.ask_sz, 200);
    tf_trade_t trades[64];
    uint64_t first = 0;
    uint32_t count = 0;
    assert_int_equal(
        tf_reader_trades(t.reader, market, 0, UINT64_MAX, &info, trades, 64, &first, &count),
        TF_IMAGE_OK);
    assert_int_equal(info.px_dp, 3);
    assert_int_equal(info.seq, 70);
    assert_int_equal(first, 7);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(trades[i].px, (int64_t)(100 + 7 + i) * 10);
        assert_int_equal(trades[i].sz, (int64_t)(7 + i) * 100);
    }
}

static void a_book_keeps_its_old_scale_until_its_snapshot(void **state)
{
    (void)state;
    publish_figures();
    tf_instrument_t instrument = t_instrument("BTC-USD", 3, 10);
    assert_true(tf_region_instrument_update(t.region, market, &instrument, t_stamp));
    tf_image_info_t info;
    tf_level_t bid, ask;
    uint32_t bids = 0, asks = 0;
    assert_int_equal(tf_reader_book(t.reader, market, 1, &info, &bid, &bids, &ask, &asks),
                     TF_IMAGE_OK);
    assert_int_equal(info.px_dp, 2);
    assert_int_equal(bid.px, 90);
    t_panic_to_cmocka();
    expect_assert_failure(tf_region_book_begin(t.region, market));
    tf_panic_handler_set(NULL);
    tf_level_t scaled = {900, 100};
    tf_region_put_book_snapshot(t.region, market, &scaled, 1, NULL, 0, t_stamp);
    assert_int_equal(tf_reader_book(t.reader, market, 1, &info, &bid, &bids, &ask, &asks),
                     TF_IMAGE_OK);
    assert_int_equal(info.px_dp, 3);
    assert_int_equal(info.base_seq, 2);
    assert_int_equal(bid.px, 900);
}

static void a_scale_that_some_figure_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    publish_figures();
    tf_trade_t trade = t_trade(71);
    trade.sz = INT64_MAX / 10 + 1;
    tf_region_put_trade(t.region, market, &trade, t_stamp);
    assert_true(tf_reader_seek(t.reader, TF_FROM_NOW));
    static uint8_t before[8192];
    uint64_t from = t.region->layout.instruments_offset;
    assert_true(t.region->layout.ring_offset - from > sizeof before);
    memcpy(before, t.region->base + from, sizeof before);
    tf_instrument_t instrument = t_instrument("BTC-USD", 2, 9);
    assert_false(tf_region_instrument_update(t.region, market, &instrument, t_stamp));
    assert_memory_equal(before, t.region->base + from, sizeof before);
    t_no_event(t.reader);
}

static void an_entry_left_half_written_is_busy_and_no_spin(void **state)
{
    (void)state;
    tf_image_lock(&tf_writer_bbo(t.region, market)->head);
    tf_image_info_t info = {.seq = 77};
    tf_bbo_t bbo;
    assert_int_equal(tf_reader_bbo(t.reader, market, &info, &bbo), TF_IMAGE_BUSY);
    assert_int_equal(info.seq, 77);
    tf_region_book_begin(t.region, market);
    tf_level_t level = {.px = 77};
    uint32_t count = 77;
    assert_int_equal(tf_reader_book(t.reader, market, 1, &info, &level, &count, &level, &count),
                     TF_IMAGE_BUSY);
    assert_int_equal(level.px, 77);
    assert_int_equal(count, 77);
}

static void publications_during_a_book_change_are_a_programmer_error(void **state)
{
    (void)state;
    tf_trade_t trade = t_trade(1);
    tf_region_book_begin(t.region, market);
    t_panic_to_cmocka();
    expect_assert_failure(tf_region_put_trade(t.region, market, &trade, t_stamp));
    tf_panic_handler_set(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)
    const struct CMUnitTest tests[] = {
        TEST(a_new_instrument_is_starting_and_empty),
        TEST(a_full_region_refuses_and_goes_on),
        TEST(an_unknown_instrument_is_out_of_range),
        TEST(a_state_is_told_in_every_entry_and_by_one_record),
        TEST(a_ticker_is_in_the_image_and_in_the_ring),
        TEST(a_bbo_is_published_only_when_it_changed),
        TEST(trades_are_numbered_and_the_newest_are_kept),
        TEST(an_update_tells_the_new_metadata),
        TEST(a_new_scale_reaches_every_figure),
        TEST(a_book_keeps_its_old_scale_until_its_snapshot),
        TEST(a_scale_that_some_figure_does_not_fit_changes_nothing),
        TEST(an_entry_left_half_written_is_busy_and_no_spin),
        TEST(publications_during_a_book_change_are_a_programmer_error),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
