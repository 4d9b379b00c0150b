#include "base/log.h"
#include "ingest_rig.h"

#include <string.h>

static const char *const btc[] = {"BTC-USD", NULL};
static const char *const btc_eth[] = {"BTC-USD", "ETH-USD", NULL};

#define LEAVE                                                                                      \
    "{\"type\":\"unsubscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_batch\"]}\n"
#define ENTER                                                                                      \
    "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_batch\"]}\n"

static void named_instruments_are_in_the_region_before_the_venue_speaks(void **state)
{
    (void)state;
    rig_t rig;
    tf_instrument_view_t view;
    rig_open(&rig, btc_eth, 8);
    assert_string_equal(rig_told(&rig), "I0:0/0 I1:0/0");
    assert_int_equal(tf_reader_instrument(rig.reader, 1, &view), TF_IMAGE_OK);
    assert_string_equal(view.symbol, "ETH-USD");
    assert_string_equal(view.venue, "coinbase");
    assert_int_equal(view.info.state, TF_STATE_RESYNC);
    assert_int_equal(view.info.reason, TF_REASON_STARTING);
    rig_play(&rig, 1000, TF_SOURCE_OPENED, NULL);
    assert_non_null(strstr(rig_sent(&rig), "\"product_ids\":[\"BTC-USD\",\"ETH-USD\"]"));
    rig_close(&rig);
}

static void snapshot_sets_the_scale_and_the_data_comes_before_live(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, btc, 8);
    (void)rig_told(&rig);
    rig_frame(&rig, 1000, RIG_BOOK);
    assert_string_equal(rig_told(&rig), "I0:2/1 B0*:10000x10,9900x20|10100x30,10200x40 "
                                        "Q0:10000x10|10100x30 S0:live");
    tf_image_info_t info;
    tf_bbo_t bbo;
    assert_int_equal(tf_reader_bbo(rig.reader, 0, &info, &bbo), TF_IMAGE_OK);
    assert_int_equal(info.te_ns, RIG_TIME_NS);
    assert_int_equal(info.ti_ns, 1000 * TF_NS_PER_MS);
    assert_int_equal(info.state, TF_STATE_LIVE);
    rig_close(&rig);
}

static void book_change_is_told_once_with_what_it_let_into_the_image(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 1001,
              RIG_CHANGE("BTC-USD", "[\"buy\",\"98.00\",\"5.0\"],[\"buy\",\"97.00\",\"6.0\"],"
                                    "[\"sell\",\"101.00\",\"3.5\"]"));
    assert_string_equal(rig_told(&rig), "B0:9800x50|10100x35 Q0:10000x10|10100x35");
    /* 97.00 was below the image; a removal lets it in. */
    rig_frame(&rig, 1002, RIG_CHANGE("BTC-USD", "[\"buy\",\"99.00\",\"0.00\"]"));
    assert_string_equal(rig_told(&rig), "B0:9900x0,9700x60|");
    rig_close(&rig);
}

static void change_without_visible_effect_is_still_a_version(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 1001, RIG_CHANGE("BTC-USD", "[\"buy\",\"50.00\",\"0\"]"));
    assert_string_equal(rig_told(&rig), "B0:|");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_removals_absent_total), 1);
    rig_close(&rig);
}

static void change_before_the_snapshot_is_counted_and_not_published(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, btc, 8);
    (void)rig_told(&rig);
    rig_frame(&rig, 1, RIG_CHANGE("BTC-USD", "[\"buy\",\"50.00\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_out_of_sync_total), 1);
    rig_close(&rig);
}

static void crossed_book_is_never_published(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 9000, RIG_CHANGE("BTC-USD", "[\"buy\",\"101.00\",\"1.0\"]"));
    assert_string_equal(rig_told(&rig), "S0:resync/crossed B0*:| Q0:-|-");
    assert_string_equal(rig_sent(&rig), LEAVE ENTER);
    assert_int_equal(rig_count(&rig, TF_STAT_book_crossed_total), 1);
    assert_int_equal(rig_count(&rig, TF_STAT_feed_resync_total), 1);
    rig_frame(&rig, 9100, RIG_SNAPSHOT("BTC-USD", "[\"101.00\",\"1\"]", "[\"101.00\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "");
    assert_string_equal(rig_sent(&rig), "");
    rig_frame(&rig, 9200, RIG_BOOK);
    assert_string_equal(rig_told(&rig), "B0*:10000x10,9900x20|10100x30,10200x40 "
                                        "Q0:10000x10|10100x30 S0:live");
    rig_close(&rig);
}

/* A scale that moved while the book stays withheld must still reach the image's book. */
static void bad_snapshot_that_raises_the_scale_leaves_an_empty_book_of_that_scale(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, btc, 8);
    (void)rig_told(&rig);
    rig_frame(&rig, 1, RIG_SNAPSHOT("BTC-USD", "[\"101.0\",\"1\"]", "[\"101.0\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "I0:1/0 S0:resync/crossed B0*:|");
    rig_frame(&rig, 2, RIG_SNAPSHOT("BTC-USD", "[\"101.0\",\"1\"]", "[\"100.95\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "I0:2/0 B0*:|");
    rig_frame(&rig, 3, RIG_SNAPSHOT("BTC-USD", "[\"101.0\",\"1\"]", "[\"102.00\",\"1\"]"));
    rig_frame(&rig, 4, RIG_CHANGE("BTC-USD", "[\"buy\",\"101\",\"2\"]"));
    assert_string_equal(rig_told(&rig), "B0*:10100x1|10200x1 Q0:10100x1|10200x1 S0:live "
                                        "B0:10100x2| Q0:10100x2|10200x1");
    rig_close(&rig);
}

static void book_that_crosses_only_within_a_message_is_fine(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 9000,
              RIG_CHANGE("BTC-USD", "[\"buy\",\"101.00\",\"1.0\"],"
                                    "[\"sell\",\"101.00\",\"0\"]"));
    assert_string_equal(rig_told(&rig), "B0:10100x10|10100x0 Q0:10100x10|10200x40");
    rig_close(&rig);
}

static void finer_digit_raises_the_scale_before_the_change(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 2000, RIG_CHANGE("BTC-USD", "[\"buy\",\"99.00000\",\"2.5000\"]"));
    assert_string_equal(rig_told(&rig), "B0:9900x25|"); /* zeros are no news */
    rig_frame(&rig, 2000, RIG_CHANGE("BTC-USD", "[\"buy\",\"99.005\",\"0.25\"]"));
    assert_string_equal(rig_told(&rig),
                        "I0:3/2 B0*:100000x100,99000x250|101000x300,102000x400 B0:99005x25|");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_scale_raised_total), 1);
    rig_close(&rig);
}

static void metadata_sets_the_scale_and_a_trade_may_raise_it(void **state)
{
    (void)state;
    rig_t rig;
    tf_instrument_view_t view;
    rig_open(&rig, btc, 8);
    rig_play(&rig, 1, TF_SOURCE_HTTP,
             "[" RIG_PRODUCT("BTC-USD", "0.01", "0.00010000", "online") "]");
    assert_string_equal(rig_told(&rig), "I0:0/0 I0:2/4 B0*:| I0:2/4");
    assert_int_equal(tf_reader_instrument(rig.reader, 0, &view), TF_IMAGE_OK);
    assert_int_equal(view.tick, 1);
    assert_int_equal(view.lot, 1);
    rig_frame(&rig, 2, RIG_BOOK);
    assert_string_equal(rig_told(&rig), "B0*:10000x10000,9900x20000|10100x30000,10200x40000 "
                                        "Q0:10000x10000|10100x30000 S0:live");
    rig_frame(&rig, 3, RIG_MATCH("match", "BTC-USD", "7", "sell", "0.00001", "100.5"));
    assert_string_equal(
        rig_told(&rig),
        "I0:2/5 B0*:10000x100000,9900x200000|10100x300000,10200x400000 T0:7:buy:10050x1");
    assert_int_equal(tf_reader_instrument(rig.reader, 0, &view), TF_IMAGE_OK);
    assert_int_equal(view.lot, 10);
    assert_int_equal(rig_count(&rig, TF_STAT_venue_scale_raised_total), 1);
    rig_frame(&rig, 4, RIG_STATUS(RIG_PRODUCT("BTC-USD", "0.01", "0.0001", "online")));
    assert_string_equal(rig_told(&rig), ""); /* nothing new */
    rig_close(&rig);
}

static void trade_before_the_snapshot_does_not_settle_the_scale(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, btc, 8);
    (void)rig_told(&rig);
    rig_frame(&rig, 1, RIG_MATCH("match", "BTC-USD", "7", "buy", "0.2", "100.5"));
    assert_string_equal(rig_told(&rig), "I0:1/1 B0*:| T0:7:sell:1005x2");
    rig_frame(&rig, 2, RIG_BOOK);
    assert_string_equal(rig_told(&rig), "I0:2/1 B0*:10000x10,9900x20|10100x30,10200x40 "
                                        "Q0:10000x10|10100x30 S0:live");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_scale_raised_total), 0);
    rig_close(&rig);
}

static void ticker_is_published_and_its_volume_keeps_its_own_decimals(void **state)
{
    (void)state;
    rig_t rig;
    tf_image_info_t info;
    tf_ticker_t ticker;
    rig_live(&rig);
    rig_frame(&rig, 2000,
              "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"price\":\"100.5\","
              "\"open_24h\":\"90\",\"volume_24h\":\"245532.79269678\",\"low_24h\":\"80.1\","
              "\"high_24h\":\"110\",\"best_bid\":\"100\",\"best_bid_size\":\"1.0\","
              "\"best_ask\":\"101\",\"best_ask_size\":\"3.0\",\"side\":\"sell\"," RIG_TIME
              ",\"trade_id\":1,\"last_size\":\"0.5\"}");
    assert_string_equal(rig_told(&rig), "K0");
    assert_int_equal(tf_reader_ticker(rig.reader, 0, &info, &ticker), TF_IMAGE_OK);
    assert_int_equal(ticker.px, 10050);
    assert_int_equal(ticker.sz, 5);
    assert_int_equal(ticker.l24, 8010);
    assert_int_equal(ticker.asz, 30);
    assert_int_equal(ticker.side, TF_SIDE_SELL);
    assert_int_equal(ticker.v24, 24553279269678);
    assert_int_equal(ticker.v24_dp, 8);
    assert_int_equal(ticker.present & (TF_TICKER_Q24 | TF_TICKER_N24), 0);
    rig_close(&rig);
}

static void number_that_no_scale_holds_resyncs_the_instrument(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    /* Fits as written, but not with the book's two decimals. */
    rig_frame(&rig, 9000, RIG_CHANGE("BTC-USD", "[\"sell\",\"900000000000000000\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "S0:resync/seq_gap B0*:| Q0:-|-");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_number_overflow_total), 1);
    rig_frame(&rig, 9000, RIG_BOOK);
    (void)rig_told(&rig);
    /* A scale that the published figures do not fit is refused, and nothing of it is left. */
    rig_frame(&rig, 9001, RIG_CHANGE("BTC-USD", "[\"buy\",\"0.000000000000000001\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "S0:resync/seq_gap B0*:| Q0:-|-");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_number_overflow_total), 2);
    rig_frame(&rig, 9002, RIG_BOOK);
    assert_string_equal(rig_told(&rig), "B0*:10000x10,9900x20|10100x30,10200x40 "
                                        "Q0:10000x10|10100x30 S0:live");
    rig_close(&rig);
}

static void trade_that_overflows_is_announced_by_the_next(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 9000, RIG_MATCH("match", "BTC-USD", "101", "buy", "1", "900000000000000000"));
    assert_string_equal(rig_told(&rig), "S0:resync/seq_gap B0*:| Q0:-|-");
    rig_frame(&rig, 9001, RIG_MATCH("match", "BTC-USD", "102", "buy", "1", "100.5"));
    assert_string_equal(rig_told(&rig), "T0:102:sell:10050x10+1");
    rig_close(&rig);
}

static void trade_gap_is_told_and_the_book_asked_for(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 9000, RIG_MATCH("match", "BTC-USD", "101", "buy", "0.5", "100.5"));
    rig_frame(&rig, 9000, RIG_MATCH("match", "BTC-USD", "101", "buy", "0.5", "100.5"));
    assert_string_equal(rig_told(&rig), "T0:101:sell:10050x5");
    rig_frame(&rig, 9001, RIG_MATCH("match", "BTC-USD", "104", "sell", "0.5", "100.5"));
    assert_string_equal(rig_told(&rig), "S0:resync/seq_gap B0*:| Q0:-|- T0:104:buy:10050x5+2");
    assert_string_equal(rig_sent(&rig), LEAVE ENTER);
    rig_close(&rig);
}

static void malformed_book_message_resyncs_its_instrument_or_all(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, btc_eth, 8);
    rig_frame(&rig, 9000, RIG_BOOK);
    rig_frame(&rig, 9000, RIG_SNAPSHOT("ETH-USD", "[\"1.0\",\"1\"]", "[\"2.0\",\"1\"]"));
    (void)rig_told(&rig);
    rig_frame(&rig, 9100, RIG_CHANGE("ETH-USD", "[\"buy\",\"NaN\",\"1\"]"));
    assert_string_equal(rig_told(&rig), "S1:resync/seq_gap B1*:| Q1:-|-");
    rig_frame(&rig, 9200, "not JSON");
    assert_string_equal(rig_told(&rig), "S0:resync/seq_gap B0*:| Q0:-|-");
    rig_frame(&rig, 9300, "{\"type\":\"match\",\"product_id\":\"ETH-USD\"}");
    rig_frame(&rig, 9300, "{\"type\":\"news\"}");
    assert_string_equal(rig_told(&rig), "");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_malformed_total), 3);
    assert_int_equal(rig_count(&rig, TF_STAT_venue_ignored_total), 1);
    rig_close(&rig);
}

static void link_down_keeps_the_last_book_as_stale_until_it_is_up_again(void **state)
{
    (void)state;
    rig_t rig;
    tf_image_info_t info;
    tf_level_t bids[RIG_DEPTH], asks[RIG_DEPTH];
    uint32_t bid_count = 0, ask_count = 0;
    rig_live(&rig);
    rig_play(&rig, 2000, TF_SOURCE_CLOSED, NULL);
    assert_string_equal(rig_told(&rig), "S0:stale/venue_disconnected");
    assert_int_equal(
        tf_reader_book(rig.reader, 0, RIG_DEPTH, &info, bids, &bid_count, asks, &ask_count),
        TF_IMAGE_OK);
    assert_int_equal(bid_count, 2);
    assert_int_equal(info.state, TF_STATE_STALE);
    rig_play(&rig, 3000, TF_SOURCE_OPENED, NULL);
    assert_string_equal(rig_told(&rig), "S0:resync/venue_disconnected B0*:| Q0:-|-");
    assert_non_null(strstr(rig_sent(&rig), "\"matches\""));
    rig_frame(&rig, 3000, RIG_MATCH("last_match", "BTC-USD", "103", "buy", "1", "100"));
    rig_frame(&rig, 3100, RIG_BOOK);
    rig_frame(&rig, 3100, RIG_MATCH("match", "BTC-USD", "104", "buy", "1", "100"));
    assert_string_equal(rig_told(&rig), "B0*:10000x10,9900x20|10100x30,10200x40 "
                                        "Q0:10000x10|10100x30 S0:live T0:104:sell:10000x10+3");
    rig_play(&rig, 4000, TF_SOURCE_ENDED, NULL);
    assert_string_equal(rig_told(&rig), "S0:stale/venue_disconnected");
    assert_true(tf_ingest_ended(rig.ingest));
    rig_close(&rig);
}

static void silence_has_the_deadline_as_its_time(void **state)
{
    (void)state;
    rig_t rig;
    tf_instrument_view_t view;
    rig_live(&rig);
    rig_frame(&rig, 2000, RIG_HEARTBEAT("BTC-USD", "100"));
    rig_play(&rig, 60000, TF_SOURCE_HTTP, "{}");
    assert_string_equal(rig_told(&rig), "S0:stale/silent");
    assert_int_equal(tf_reader_instrument(rig.reader, 0, &view), TF_IMAGE_OK);
    assert_int_equal(view.info.ti_ns, 7000 * TF_NS_PER_MS);
    (void)rig_sent(&rig);
    rig_frame(&rig, 61000, RIG_HEARTBEAT("BTC-USD", "100"));
    assert_string_equal(rig_told(&rig), "S0:resync/silent B0*:| Q0:-|-");
    rig_close(&rig);
}

static void snapshot_that_answers_at_once_needs_no_request(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_queue(&rig, 9000, TF_SOURCE_FRAME, RIG_CHANGE("BTC-USD", "[\"buy\",\"101.00\",\"1\"]"));
    rig_frame(&rig, 9000, RIG_BOOK);
    assert_string_equal(rig_sent(&rig), "");
    rig_close(&rig);
}

static void halted_market_is_marked_and_its_book_goes_on(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 9000, RIG_STATUS(RIG_PRODUCT("BTC-USD", "0.01", "0.1", "offline")));
    assert_string_equal(rig_told(&rig), "I0:2/1 S0:halted/venue_status");
    rig_frame(&rig, 9001, RIG_CHANGE("BTC-USD", "[\"buy\",\"99.00\",\"0\"]"));
    assert_string_equal(rig_told(&rig), "B0:9900x0|");
    rig_frame(&rig, 9002, RIG_STATUS(RIG_PRODUCT("BTC-USD", "0.01", "0.1", "online")));
    assert_string_equal(rig_told(&rig), "I0:2/1 S0:resync/venue_status B0*:| Q0:-|-");
    assert_string_equal(rig_sent(&rig), LEAVE ENTER);
    rig_close(&rig);
}

static void symbol_that_was_not_asked_for_is_counted(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 2000, RIG_SNAPSHOT("ETH-USD", "", ""));
    rig_frame(&rig, 2000, RIG_SNAPSHOT("BTC-US", "", ""));
    rig_frame(&rig, 2000, RIG_SNAPSHOT("BTC-USDT", "", ""));
    rig_frame(&rig, 2000, RIG_STATUS(RIG_PRODUCT("SOL-USD", "0.01", "0.1", "online")));
    assert_string_equal(rig_told(&rig), "");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_unknown_symbol_total), 3);
    rig_close(&rig);
}

static void link_without_names_takes_what_comes_until_the_region_is_full(void **state)
{
    (void)state;
    rig_t rig;
    tf_instrument_view_t view;
    rig_open(&rig, NULL, 2);
    rig_play(&rig, 0, TF_SOURCE_OPENED, NULL);
    rig_frame(&rig, 1,
              RIG_STATUS(RIG_PRODUCT("BTC-USD", "0.01", "0.1", "online") "," RIG_PRODUCT(
                  "ETH-USD", "0.001", "0.01", "offline")));
    assert_string_equal(rig_told(&rig), ""); /* metadata alone is kept aside */
    rig_frame(&rig, 2, RIG_MATCH("match", "ETH-USD", "1", "buy", "1", "2"));
    assert_string_equal(rig_told(&rig), "I0:3/2 S0:halted/venue_status T0:1:sell:2000x100");
    rig_frame(&rig, 3, RIG_BOOK);
    assert_string_equal(rig_told(&rig), "I1:2/1 B1*:10000x10,9900x20|10100x30,10200x40 "
                                        "Q1:10000x10|10100x30 S1:live");
    rig_frame(&rig, 4, RIG_SNAPSHOT("SOL-USD", "", ""));
    rig_frame(&rig, 5, RIG_SNAPSHOT("SOL-USD", "", ""));
    rig_frame(&rig, 6, RIG_SNAPSHOT("SOL-USD-X-Y", "", ""));
    assert_string_equal(rig_told(&rig), "");
    assert_int_equal(rig_count(&rig, TF_STAT_instruments_refused_total), 1);
    assert_int_equal(rig_count(&rig, TF_STAT_venue_unknown_symbol_total), 1);
    assert_int_equal(tf_reader_instrument(rig.reader, 1, &view), TF_IMAGE_OK);
    assert_string_equal(view.symbol, "BTC-USD");
    assert_int_equal(view.tick, 1);
    rig_frame(&rig, 9000, "not JSON"); /* loses both books, but there is nobody to ask */
    assert_string_equal(rig_sent(&rig), "");
    assert_int_equal(rig_count(&rig, TF_STAT_feed_resync_total), 0);
    rig_close(&rig);
}

static void venue_error_is_counted(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_frame(&rig, 2000, "{\"type\":\"error\",\"message\":\"Failed\",\"reason\":\"bad\"}");
    assert_int_equal(rig_count(&rig, TF_STAT_venue_errors_total), 1);
    rig_close(&rig);
}

static void ingest_destroys_what_it_was_given(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    rig_close(&rig);
    assert_true(rig.source.destroyed);
}

static void bad_names_are_refused_with_a_reason(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    static const char *const wrong[] = {"btcusd", NULL};
    rig_source_t source = {.source = rig.source.source};
    tf_ingest_link_t link = {
        .venue = "coinbase",
        .adapter = tf_adapter_find("coinbase", strlen("coinbase")),
        .source = &source.source,
        .symbols = wrong,
    };
    assert_int_equal(tf_ingest_link_add(rig.ingest, &link), TF_ERR_ARG);
    assert_non_null(strstr(tf_error_text(), "btcusd"));
    link.symbols = btc;
    link.venue = "No Venue";
    assert_int_equal(tf_ingest_link_add(rig.ingest, &link), TF_ERR_ARG);
    assert_false(source.destroyed); /* still the caller's */
    rig_close(&rig);
}

int main(void)
{
    tf_log_level_set(TF_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_instruments_are_in_the_region_before_the_venue_speaks),
        cmocka_unit_test(snapshot_sets_the_scale_and_the_data_comes_before_live),
        cmocka_unit_test(book_change_is_told_once_with_what_it_let_into_the_image),
        cmocka_unit_test(change_without_visible_effect_is_still_a_version),
        cmocka_unit_test(change_before_the_snapshot_is_counted_and_not_published),
        cmocka_unit_test(crossed_book_is_never_published),
        cmocka_unit_test(bad_snapshot_that_raises_the_scale_leaves_an_empty_book_of_that_scale),
        cmocka_unit_test(book_that_crosses_only_within_a_message_is_fine),
        cmocka_unit_test(finer_digit_raises_the_scale_before_the_change),
        cmocka_unit_test(metadata_sets_the_scale_and_a_trade_may_raise_it),
        cmocka_unit_test(trade_before_the_snapshot_does_not_settle_the_scale),
        cmocka_unit_test(ticker_is_published_and_its_volume_keeps_its_own_decimals),
        cmocka_unit_test(number_that_no_scale_holds_resyncs_the_instrument),
        cmocka_unit_test(trade_that_overflows_is_announced_by_the_next),
        cmocka_unit_test(trade_gap_is_told_and_the_book_asked_for),
        cmocka_unit_test(malformed_book_message_resyncs_its_instrument_or_all),
        cmocka_unit_test(link_down_keeps_the_last_book_as_stale_until_it_is_up_again),
        cmocka_unit_test(silence_has_the_deadline_as_its_time),
        cmocka_unit_test(snapshot_that_answers_at_once_needs_no_request),
        cmocka_unit_test(halted_market_is_marked_and_its_book_goes_on),
        cmocka_unit_test(symbol_that_was_not_asked_for_is_counted),
        cmocka_unit_test(link_without_names_takes_what_comes_until_the_region_is_full),
        cmocka_unit_test(venue_error_is_counted),
        cmocka_unit_test(ingest_destroys_what_it_was_given),
        cmocka_unit_test(bad_names_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
