#include "kit/kit.h"

#include "base/mem.h"
#include "codec/json.h"

#include <string.h>

#include <jansson.h>

#define SUBSCRIPTION "{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":"
#define BOOK         "book.coinbase.BTC-USD.10.100ms"

/* The example of the protocol; the calling test changes what it is about. */
static tf_message_t example(void)
{
    return (tf_message_t){
        .type = TF_MESSAGE_SNAPSHOT,
        .envelope = true,
        .has_cs = true,
        .px_dp = 2,
        .sz_dp = 8,
        .state = TF_STATE_LIVE,
        .channel = BOOK,
        .channel_bytes = sizeof BOOK - 1,
        .epoch = "k3f9",
        .seq = 918270,
        .cs = 1905641782,
        .te_ns = 1790000000123456000,
        .ti_ns = 1790000000124268999,
        .tp_ns = 1790000000124301001,
    };
}

/* Without the envelope, times or checksum: the short frame for tests of the data. */
static tf_message_t bare(void)
{
    return (tf_message_t){
        .type = TF_MESSAGE_UPDATE,
        .px_dp = 2,
        .sz_dp = 3,
        .channel = "c",
        .channel_bytes = 1,
        .seq = 7,
        .te_ns = TF_TIME_NONE,
        .ti_ns = 1000,
        .tp_ns = 2999,
    };
}

#define BARE                                                                                       \
    "{\"channel\":\"c\",\"type\":\"update\",\"seq\":7,\"prev\":null,\"te\":null,\"ti\":1,\"tp\":2"

/* What was written is `expected` and is JSON to jansson. Empties the buffer. */
static void a_market_that_is_missing_has_no_sid(void **state)
{
    (void)state;
    static const char name[] = "bbo.sim.BTC-USD.raw";
    const tf_subscribed_t entry = {.channel = name,
                                   .channel_bytes = sizeof name - 1,
                                   .epoch = "k3f9",
                                   .no_sid = true,
                                   .sid = 7,
                                   .seq = 3};
    tf_buf_t buf = {0};
    tf_json_subscribed_entry(&buf, &entry);
    tf_buf_put(&buf, "", 1);
    assert_string_equal(buf.data, "{\"channel\":\"bbo.sim.BTC-USD.raw\",\"sid\":null,\"epoch\":"
                                  "\"k3f9\",\"seq\":3,\"recovered\":null}");
    tf_buf_fini(&buf);
}

static void wrote(tf_buf_t *buf, const char *expected)
{
    /* A seq can be larger than jansson's integers. */
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
    assert_true(tf_buf_ok(buf));
    json_t *read = json_loadb(buf->data, buf->bytes, flags, NULL);
    assert_non_null(read);
    json_decref(read);
    tf_buf_put(buf, "", 1);
    assert_string_equal(buf->data, expected);
    tf_buf_fini(buf);
}

static void book_snapshot_is_the_protocols_example(void **state)
{
    (void)state;
    const tf_level_t bids[] = {{6401233, 50000000}, {6401190, 100000000}, {6401000, 125000000}};
    const tf_level_t asks[] = {{6401234, 12000000}, {6401301, 30000000}};
    tf_message_t message = example();
    tf_buf_t buf = {0};
    tf_json_book(&buf, &message, bids, 3, asks, 2);
    wrote(
        &buf, SUBSCRIPTION
        "{\"channel\":\"book.coinbase.BTC-USD.10.100ms\",\"type\":\"snapshot\",\"epoch\":\"k3f9\","
        "\"seq\":918270,\"prev\":null,\"state\":\"live\",\"te\":1790000000123456,"
        "\"ti\":1790000000124268,\"tp\":1790000000124301,\"cs\":1905641782,"
        "\"data\":{\"b\":[[\"64012.33\",\"0.50000000\"],[\"64011.90\",\"1.00000000\"],"
        "[\"64010.00\",\"1.25000000\"]],\"a\":[[\"64012.34\",\"0.12000000\"],"
        "[\"64013.01\",\"0.30000000\"]]}}}");
}

static void book_update_is_the_protocols_example(void **state)
{
    (void)state;
    const tf_level_t bids[] = {{6401190, 0}};
    tf_message_t message = example();
    message.type = TF_MESSAGE_UPDATE;
    message.has_prev = true;
    message.prev = 918270;
    message.seq = 918273;
    message.cs = 1006567732;
    message.te_ns = 1790000000223456000;
    message.ti_ns = 1790000000224100000;
    message.tp_ns = 1790000000224133000;
    tf_buf_t buf = {0};
    tf_json_book(&buf, &message, bids, 1, NULL, 0);
    wrote(&buf, SUBSCRIPTION
          "{\"channel\":\"book.coinbase.BTC-USD.10.100ms\",\"type\":\"update\",\"seq\":918273,"
          "\"prev\":918270,\"te\":1790000000223456,\"ti\":1790000000224100,"
          "\"tp\":1790000000224133,\"cs\":1006567732,"
          "\"data\":{\"b\":[[\"64011.90\",\"0.00000000\"]],\"a\":[]}}}");
}

static void snapshot_of_a_market_that_is_not_live_says_why(void **state)
{
    (void)state;
    tf_message_t message = bare();
    message.type = TF_MESSAGE_SNAPSHOT;
    message.epoch = "e1";
    message.state = TF_STATE_RESYNC;
    message.reason = TF_REASON_STARTING;
    tf_buf_t buf = {0};
    tf_json_book(&buf, &message, NULL, 0, NULL, 0);
    wrote(&buf, "{\"channel\":\"c\",\"type\":\"snapshot\",\"epoch\":\"e1\",\"seq\":7,\"prev\":null,"
                "\"state\":\"resync\",\"reason\":\"starting\",\"te\":null,\"ti\":1,\"tp\":2,"
                "\"data\":{\"b\":[],\"a\":[]}}");
}

static void state_message_has_no_prev_no_epoch_and_no_data(void **state)
{
    (void)state;
    tf_message_t message = example();
    message.type = TF_MESSAGE_STATE;
    message.has_cs = false;
    message.state = TF_STATE_STALE;
    message.reason = TF_REASON_VENUE_DISCONNECTED;
    tf_buf_t buf = {0};
    tf_json_state(&buf, &message);
    wrote(&buf, SUBSCRIPTION
          "{\"channel\":\"book.coinbase.BTC-USD.10.100ms\",\"type\":\"state\",\"seq\":918270,"
          "\"state\":\"stale\",\"reason\":\"venue_disconnected\",\"te\":null,"
          "\"ti\":1790000000124268,\"tp\":1790000000124301}}");
    message.envelope = false;
    message.state = TF_STATE_LIVE;
    message.reason = TF_REASON_NONE;
    tf_json_state(&buf, &message);
    wrote(&buf, "{\"channel\":\"book.coinbase.BTC-USD.10.100ms\",\"type\":\"state\",\"seq\":918270,"
                "\"state\":\"live\",\"te\":null,\"ti\":1790000000124268,\"tp\":1790000000124301}");
}

static void messages_of_the_wrong_type_abort(void **state)
{
    (void)state;
    tf_message_t message = bare();
    tf_buf_t buf = {0};
    expect_assert_failure(tf_json_state(&buf, &message));
    message.type = TF_MESSAGE_STATE;
    expect_assert_failure(tf_json_book(&buf, &message, NULL, 0, NULL, 0));
    expect_assert_failure(tf_json_trades(&buf, &message, NULL, 0));
    expect_assert_failure(tf_json_list(&buf, &message, NULL, 0));
    tf_buf_fini(&buf);
}

static void trades_are_listed_with_ids_as_strings(void **state)
{
    (void)state;
    const tf_trade_t trades[] = {
        {.px = 6401233,
         .sz = 1500,
         .te_ns = 1790000000123456789,
         .side = TF_SIDE_BUY,
         .id_bytes = 20,
         .id_is_number = 1,
         .id = "18446744073709551615",
         .gap_before = 3},
        {.px = 5,
         .sz = 1,
         .te_ns = TF_TIME_NONE,
         .side = TF_SIDE_SELL,
         .id_bytes = 5,
         .id = "aB-9\""},
    };
    tf_message_t message = bare();
    message.has_prev = true;
    message.prev = 5;
    tf_buf_t buf = {0};
    tf_json_trades(&buf, &message, trades, 2);
    wrote(&buf, "{\"channel\":\"c\",\"type\":\"update\",\"seq\":7,\"prev\":5,\"te\":null,\"ti\":1,"
                "\"tp\":2,\"data\":[{\"id\":\"18446744073709551615\",\"px\":\"64012.33\","
                "\"sz\":\"1.500\",\"side\":\"buy\",\"te\":1790000000123456},"
                "{\"id\":\"aB-9\\\"\",\"px\":\"0.05\",\"sz\":\"0.001\",\"side\":\"sell\","
                "\"te\":null}]}");
    message.envelope = true;
    tf_json_trades(&buf, &message, NULL, 0);
    wrote(&buf, SUBSCRIPTION "{\"channel\":\"c\",\"type\":\"update\",\"seq\":7,\"prev\":5,"
                             "\"te\":null,\"ti\":1,\"tp\":2,\"data\":[]}}");
}

static void trade_id_of_any_bytes_gives_valid_json(void **state)
{
    (void)state;
    tf_message_t message = bare();
    tf_trade_t trade = {.id_bytes = 255};
    tf_buf_t buf = {0};
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(trade.id, (int)byte, sizeof trade.id);
        tf_buf_reset(&buf);
        tf_json_trades(&buf, &message, &trade, 1);
        json_t *read = json_loadb(buf.data, buf.bytes, JSON_ALLOW_NUL, NULL);
        assert_non_null(read);
        json_t *id = json_object_get(json_array_get(json_object_get(read, "data"), 0), "id");
        if (byte < 0x80) {
            assert_int_equal(json_string_length(id), TF_TRADE_ID_BYTES_MAX);
            assert_memory_equal(json_string_value(id), trade.id, TF_TRADE_ID_BYTES_MAX);
        }
        json_decref(read);
    }
    tf_buf_fini(&buf);
}

static void bbo_has_null_for_an_absent_side(void **state)
{
    (void)state;
    tf_message_t message = bare();
    tf_buf_t buf = {0};
    tf_json_bbo(&buf, &message, &(tf_bbo_t){100, 1000, 101, 2500});
    wrote(&buf, BARE ",\"data\":{\"bid\":\"1.00\",\"bsz\":\"1.000\",\"ask\":\"1.01\","
                     "\"asz\":\"2.500\"}}");
    tf_json_bbo(&buf, &message, &(tf_bbo_t){TF_PRICE_NONE, 0, 101, 2500});
    wrote(&buf, BARE ",\"data\":{\"bid\":null,\"bsz\":null,\"ask\":\"1.01\",\"asz\":\"2.500\"}}");
    tf_json_bbo(&buf, &message, &(tf_bbo_t){-100, 1000, TF_PRICE_NONE, 0});
    wrote(&buf, BARE ",\"data\":{\"bid\":\"-1.00\",\"bsz\":\"1.000\",\"ask\":null,\"asz\":null}}");
    tf_json_bbo(&buf, &message, &(tf_bbo_t){TF_PRICE_NONE, 0, TF_PRICE_NONE, 0});
    wrote(&buf, BARE ",\"data\":{\"bid\":null,\"bsz\":null,\"ask\":null,\"asz\":null}}");
}

static const tf_ticker_t full_ticker = {
    .present = (TF_TICKER_N24 << 1) - 1,
    .side = TF_SIDE_SELL,
    .v24_dp = 5,
    .q24_dp = 7,
    .px = 101,
    .sz = 2001,
    .bid = 100,
    .bsz = 2002,
    .ask = 102,
    .asz = 2003,
    .o24 = 90,
    .h24 = 110,
    .l24 = 80,
    .v24 = 123456789,
    .q24 = 123456789,
    .n24 = 4242,
};

static void ticker_has_every_field_in_its_own_scale(void **state)
{
    (void)state;
    tf_message_t message = bare();
    tf_buf_t buf = {0};
    tf_json_ticker(&buf, &message, &full_ticker);
    wrote(&buf,
          BARE ",\"data\":{\"px\":\"1.01\",\"sz\":\"2.001\",\"side\":\"sell\",\"bid\":\"1.00\","
               "\"bsz\":\"2.002\",\"ask\":\"1.02\",\"asz\":\"2.003\",\"o24\":\"0.90\","
               "\"h24\":\"1.10\",\"l24\":\"0.80\",\"v24\":\"1234.56789\","
               "\"q24\":\"12.3456789\",\"n24\":4242}}");
}

static void ticker_leaves_out_what_the_venue_did_not_give(void **state)
{
    (void)state;
    tf_message_t message = bare();
    tf_buf_t buf = {0};
    tf_ticker_t ticker = full_ticker;
    ticker.present = 0;
    tf_json_ticker(&buf, &message, &ticker);
    wrote(&buf, BARE ",\"data\":{}}");
    ticker.present = TF_TICKER_SIDE | TF_TICKER_N24;
    ticker.side = TF_SIDE_BUY;
    tf_json_ticker(&buf, &message, &ticker);
    wrote(&buf, BARE ",\"data\":{\"side\":\"buy\",\"n24\":4242}}");
}

/* Everything as long as it can be, into a buffer with no slack: the room reserved must do. */
static void longest_messages_fit_the_reserved_room(void **state)
{
    (void)state;
    enum { LEVELS = 100, CHANNEL_BYTES = 66 };
    static tf_level_t levels[LEVELS];
    for (size_t i = 0; i < LEVELS; i++)
        levels[i] = (tf_level_t){-INT64_MAX, -INT64_MAX};
    char channel[CHANNEL_BYTES];
    memset(channel, 'c', sizeof channel);
    tf_message_t message = {
        .type = TF_MESSAGE_SNAPSHOT,
        .envelope = true,
        .has_prev = true,
        .has_cs = true,
        .px_dp = 18,
        .sz_dp = 18,
        .state = TF_STATE_HALTED,
        .reason = TF_REASON_VENUE_DISCONNECTED,
        .channel = channel,
        .channel_bytes = sizeof channel,
        .epoch = "an epoch as long as none will be",
        .seq = UINT64_MAX,
        .prev = UINT64_MAX,
        .cs = UINT32_MAX,
        .te_ns = -INT64_MAX,
        .ti_ns = -INT64_MAX,
        .tp_ns = -INT64_MAX,
    };
    tf_ticker_t ticker = {.present = (TF_TICKER_N24 << 1) - 1,
                          .side = TF_SIDE_SELL,
                          .v24_dp = 18,
                          .q24_dp = 18,
                          .px = -INT64_MAX,
                          .sz = -INT64_MAX,
                          .bid = -INT64_MAX,
                          .bsz = -INT64_MAX,
                          .ask = -INT64_MAX,
                          .asz = -INT64_MAX,
                          .o24 = -INT64_MAX,
                          .h24 = -INT64_MAX,
                          .l24 = -INT64_MAX,
                          .v24 = -INT64_MAX,
                          .q24 = -INT64_MAX,
                          .n24 = INT64_MIN};
    tf_trade_t trade = {.px = -INT64_MAX,
                        .sz = -INT64_MAX,
                        .te_ns = -INT64_MAX,
                        .side = TF_SIDE_SELL,
                        .id_bytes = 40};
    memset(trade.id, 1, sizeof trade.id);
    tf_bbo_t bbo = {-INT64_MAX, -INT64_MAX, -INT64_MAX, -INT64_MAX};
    for (unsigned i = 0; i < 6; i++) {
        tf_buf_t buf = {0};
        message.type = i == 5 ? TF_MESSAGE_STATE : TF_MESSAGE_SNAPSHOT;
        if (i == 0)
            tf_json_book(&buf, &message, levels, LEVELS, levels, LEVELS);
        else if (i == 1)
            tf_json_ticker(&buf, &message, &ticker);
        else if (i == 2)
            tf_json_bbo(&buf, &message, &bbo);
        else if (i == 3)
            tf_json_trades(&buf, &message, &trade, 1);
        else if (i == 4)
            tf_json_list(&buf, &message, (const char *)levels, sizeof levels);
        else
            tf_json_state(&buf, &message);
        assert_true(tf_buf_ok(&buf));
        assert_in_range(buf.bytes, 1, buf.room);
        tf_buf_fini(&buf);
    }
}

static void gap_and_lag_tell_the_range(void **state)
{
    (void)state;
    tf_buf_t buf = {0};
    tf_json_gap(&buf, "trades.a.B-C.raw", 16, true, 10, 20, 9);
    wrote(&buf,
          "{\"jsonrpc\":\"2.0\",\"method\":\"gap\",\"params\":{\"channel\":\"trades.a.B-C.raw\","
          "\"cause\":\"venue\",\"from\":10,\"to\":20,\"count\":9}}");
    tf_json_gap(&buf, "trades.a.B-C.raw", 16, false, 1, 2, 1);
    wrote(&buf,
          "{\"jsonrpc\":\"2.0\",\"method\":\"gap\",\"params\":{\"channel\":\"trades.a.B-C.raw\","
          "\"cause\":\"server\",\"from\":1,\"to\":2,\"count\":1}}");
    tf_json_lag(&buf, "bbo.a.B-C.raw", 13, "snapshot", 1, UINT64_MAX, 3);
    wrote(&buf, "{\"jsonrpc\":\"2.0\",\"method\":\"lag\",\"params\":{\"channel\":\"bbo.a.B-C.raw\","
                "\"action\":\"snapshot\",\"from\":1,\"to\":18446744073709551615,\"count\":3}}");
}

static void subscribed_entry_is_the_protocols_example(void **state)
{
    (void)state;
    tf_subscribed_t entry = {.channel = "book.coinbase.BTC-USD.50.100ms",
                             .channel_bytes = 30,
                             .epoch = "k3f9",
                             .sid = 1041,
                             .seq = 918270,
                             .has_scale = true,
                             .px_dp = 2,
                             .sz_dp = 8};
    tf_buf_t buf = {0};
    tf_json_subscribed_entry(&buf, &entry);
    wrote(&buf, "{\"channel\":\"book.coinbase.BTC-USD.50.100ms\",\"sid\":1041,\"epoch\":\"k3f9\","
                "\"seq\":918270,\"px_dp\":2,\"sz_dp\":8,\"recovered\":null}");
    entry.depth_max = 1000;
    entry.resume_code = 4001;
    tf_json_subscribed(&buf, &entry);
    wrote(&buf, "{\"jsonrpc\":\"2.0\",\"method\":\"subscribed\",\"params\":{\"channel\":"
                "\"book.coinbase.BTC-USD.50.100ms\",\"sid\":1041,\"epoch\":\"k3f9\",\"seq\":918270,"
                "\"px_dp\":2,\"sz_dp\":8,\"depth_max\":1000,\"recovered\":false,\"code\":4001}}");
}

static void subscribed_entry_of_a_venue_has_no_scale(void **state)
{
    (void)state;
    tf_subscribed_t entry = {.channel = "status.coinbase",
                             .channel_bytes = 15,
                             .epoch = "k3f9",
                             .sid = UINT64_MAX,
                             .seq = 12,
                             .px_dp = 2,
                             .sz_dp = 8};
    tf_buf_t buf = {0};
    tf_json_subscribed(&buf, &entry);
    wrote(&buf, "{\"jsonrpc\":\"2.0\",\"method\":\"subscribed\",\"params\":{\"channel\":"
                "\"status.coinbase\",\"sid\":18446744073709551615,\"epoch\":\"k3f9\",\"seq\":12,"
                "\"recovered\":null}}");
}

static void list_copies_its_items_as_they_are(void **state)
{
    (void)state;
    static const char items[] = "{\"symbol\":\"A-B\"},{\"symbol\":null}]"; /* one byte too many */
    tf_message_t message = bare();
    tf_buf_t buf = {0};
    tf_json_list(&buf, &message, items, sizeof items - 2);
    wrote(&buf, BARE ",\"data\":[{\"symbol\":\"A-B\"},{\"symbol\":null}]}");
    tf_json_list(&buf, &message, NULL, 0);
    wrote(&buf, BARE ",\"data\":[]}");
    message.envelope = true;
    message.has_prev = true;
    message.prev = 5;
    tf_json_list(&buf, &message, items, 16);
    wrote(&buf, SUBSCRIPTION "{\"channel\":\"c\",\"type\":\"update\",\"seq\":7,\"prev\":5,"
                             "\"te\":null,\"ti\":1,\"tp\":2,\"data\":[{\"symbol\":\"A-B\"}]}}");
    message.type = TF_MESSAGE_SNAPSHOT;
    message.has_prev = false;
    message.epoch = "e1";
    message.state = TF_STATE_STALE;
    message.reason = TF_REASON_INGEST_LOST;
    tf_json_list(&buf, &message, items, 16);
    wrote(&buf, SUBSCRIPTION
          "{\"channel\":\"c\",\"type\":\"snapshot\",\"epoch\":\"e1\",\"seq\":7,\"prev\":null,"
          "\"state\":\"stale\",\"reason\":\"ingest_lost\",\"te\":null,\"ti\":1,\"tp\":2,"
          "\"data\":[{\"symbol\":\"A-B\"}]}}");
}

static void unsubscribed_names_the_channel_and_why(void **state)
{
    (void)state;
    tf_buf_t buf = {0};
    tf_json_unsubscribed(&buf, "bbo.a.B-C.raw!", 13, 2003, "unknown instrument");
    wrote(&buf, "{\"jsonrpc\":\"2.0\",\"method\":\"unsubscribed\",\"params\":{\"channel\":"
                "\"bbo.a.B-C.raw\",\"code\":2003,\"message\":\"unknown instrument\"}}");
}

static void heartbeat_lists_the_quiet_channels(void **state)
{
    (void)state;
    const tf_heartbeat_t some = {
        .time_us = 1790000000123456, .delay_us = 312, .sent = 41, .quiet_more = 3, .behind = 1};
    const tf_heartbeat_t most = {INT64_MIN, INT64_MIN, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    tf_buf_t buf = {0};
    tf_json_heartbeat_begin(&buf, &some);
    tf_json_heartbeat_quiet(&buf, true, 37066, 13);
    tf_json_heartbeat_quiet(&buf, false, UINT64_MAX, 0);
    tf_json_heartbeat_end(&buf, &some);
    wrote(&buf,
          "{\"jsonrpc\":\"2.0\",\"method\":\"heartbeat\",\"params\":{\"time\":1790000000123456,"
          "\"delay_us\":312,\"sent\":41,\"quiet\":[{\"sid\":37066,\"seq\":13},"
          "{\"sid\":18446744073709551615,\"seq\":0}],\"quiet_more\":3,\"behind\":1}}");
    tf_json_heartbeat_begin(&buf, &most);
    tf_json_heartbeat_end(&buf, &most);
    wrote(&buf, "{\"jsonrpc\":\"2.0\",\"method\":\"heartbeat\",\"params\":{"
                "\"time\":-9223372036854775808,\"delay_us\":-9223372036854775808,"
                "\"sent\":18446744073709551615,\"quiet\":[],"
                "\"quiet_more\":18446744073709551615,\"behind\":18446744073709551615}}");
}

static void seconds_have_no_needless_decimals(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {{0, "0"},         {1, "0.001"},      {10, "0.01"},
                {100, "0.1"},     {120, "0.12"},     {999, "0.999"},
                {1000, "1"},      {1500, "1.5"},     {15000, "15"},
                {15050, "15.05"}, {3600000, "3600"}, {UINT64_MAX, "18446744073709551.615"}};
    tf_buf_t buf = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tf_buf_reset(&buf);
        tf_json_seconds(&buf, rows[i].ms);
        assert_int_equal(buf.bytes, strlen(rows[i].text));
        assert_memory_equal(buf.data, rows[i].text, buf.bytes);
    }
    /* A C double of each is the nearest to what was meant. */
    for (uint64_t ms = 0; ms < 5000; ms++) {
        tf_buf_reset(&buf);
        tf_json_seconds(&buf, ms);
        json_t *read = json_loadb(buf.data, buf.bytes, JSON_DECODE_ANY, NULL);
        assert_true(json_number_value(read) == (double)ms / 1000);
        json_decref(read);
    }
    tf_buf_fini(&buf);
}

/* Every text written in pieces is whole, or the buffer says that it is not. */
static void pieces_without_memory_fail_the_buffer(void **state)
{
    (void)state;
    const tf_heartbeat_t heartbeat = {.time_us = 1};
    const tf_subscribed_t entry = {.channel = "c", .channel_bytes = 1, .epoch = "e"};
    tf_message_t message = bare();
    uint64_t before = tf_mem_in_use_bytes();
    for (unsigned what = 0; what < 4; what++) {
        bool ok = false;
        for (uint64_t nth = 1; !ok; nth++) {
            tf_buf_t buf = {0};
            assert_in_range(nth, 1, 20);
            tf_mem_fail_at(nth);
            if (what == 0) {
                tf_json_heartbeat_begin(&buf, &heartbeat);
                for (uint64_t i = 0; i < 100; i++)
                    tf_json_heartbeat_quiet(&buf, i == 0, i, i);
                tf_json_heartbeat_end(&buf, &heartbeat);
            } else if (what == 1) {
                tf_json_list(&buf, &message, "{}", 2);
            } else if (what == 2) {
                tf_json_unsubscribed(&buf, "c", 1, 2003, "m");
            } else {
                tf_json_subscribed(&buf, &entry);
            }
            tf_mem_fail_at(0);
            ok = tf_buf_ok(&buf);
            json_t *read = json_loadb(ok ? buf.data : "", ok ? buf.bytes : 0, 0, NULL);
            assert_int_equal(read != NULL, ok);
            assert_true(nth > 1 || !ok);
            json_decref(read);
            tf_buf_fini(&buf);
        }
    }
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void without_memory_the_buffer_is_failed(void **state)
{
    (void)state;
    const tf_trade_t trade = {.id_bytes = 2, .id = "1\n"};
    tf_message_t message = example();
    uint64_t before = tf_mem_in_use_bytes();
    for (uint64_t nth = 1; nth <= 2; nth++) {
        tf_buf_t buf = {0};
        tf_mem_fail_at(nth);
        tf_json_trades(&buf, &message, &trade, 1);
        tf_mem_fail_at(0);
        if (nth == 1)
            assert_false(tf_buf_ok(&buf));
        tf_buf_reset(&buf);
        tf_buf_fini(&buf);
        tf_mem_fail_at(1);
        tf_json_book(&buf, &message, NULL, 0, NULL, 0);
        tf_json_bbo(&buf, &message, &(tf_bbo_t){0});
        tf_json_ticker(&buf, &message, &full_ticker);
        tf_mem_fail_at(0);
        assert_false(tf_buf_ok(&buf));
        tf_buf_fini(&buf);
    }
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_market_that_is_missing_has_no_sid),
        cmocka_unit_test(book_snapshot_is_the_protocols_example),
        cmocka_unit_test(book_update_is_the_protocols_example),
        cmocka_unit_test(snapshot_of_a_market_that_is_not_live_says_why),
        cmocka_unit_test(state_message_has_no_prev_no_epoch_and_no_data),
        cmocka_unit_test(messages_of_the_wrong_type_abort),
        cmocka_unit_test(trades_are_listed_with_ids_as_strings),
        cmocka_unit_test(trade_id_of_any_bytes_gives_valid_json),
        cmocka_unit_test(bbo_has_null_for_an_absent_side),
        cmocka_unit_test(ticker_has_every_field_in_its_own_scale),
        cmocka_unit_test(ticker_leaves_out_what_the_venue_did_not_give),
        cmocka_unit_test(longest_messages_fit_the_reserved_room),
        cmocka_unit_test(gap_and_lag_tell_the_range),
        cmocka_unit_test(subscribed_entry_is_the_protocols_example),
        cmocka_unit_test(subscribed_entry_of_a_venue_has_no_scale),
        cmocka_unit_test(list_copies_its_items_as_they_are),
        cmocka_unit_test(unsubscribed_names_the_channel_and_why),
        cmocka_unit_test(heartbeat_lists_the_quiet_channels),
        cmocka_unit_test(seconds_have_no_needless_decimals),
        cmocka_unit_test(pieces_without_memory_fail_the_buffer),
        cmocka_unit_test(without_memory_the_buffer_is_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
