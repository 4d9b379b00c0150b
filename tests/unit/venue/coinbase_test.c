#include "kit/kit.h"

#include "unit/venue/coinbase_kit.h"

static void assert_decimal(tf_decimal_t value, int64_t mantissa, uint8_t dp)
{
    assert_true(value.mantissa == mantissa);
    assert_int_equal(value.dp, dp);
}

static void a_snapshot_gives_every_level(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(snapshot_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.updates, 1);
    assert_int_equal(seen.update[0].type, TF_UPDATE_BOOK_SNAPSHOT);
    assert_string_equal(seen.symbol[0], "ABC-USD");
    assert_true(seen.update[0].te_ns == time_ns);
    assert_int_equal(seen.update[0].book.count, 3);
    assert_int_equal(seen.level[0].side, TF_SIDE_SELL);
    assert_decimal(seen.level[0].px, 10150, 2);
    assert_decimal(seen.level[0].sz, 30000000, 8);
    assert_int_equal(seen.level[2].side, TF_SIDE_BUY);
    assert_decimal(seen.level[2].px, 10125, 2);
}

static void a_snapshot_may_be_empty_untimed_or_in_another_order(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text("{\"bids\":[[\"1\",\"2\"]],\"asks\":[],\"new\":{\"bids\":[]},"
                                 "\"product_id\":\"ABC-USD\",\"type\":\"snapshot\"}",
                                 &seen),
                     TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_BOOK_SNAPSHOT);
    assert_int_equal(seen.update[0].book.count, 1);
    assert_true(seen.update[0].te_ns == TF_TIME_NONE);
    assert_int_equal(decode_text("{\"type\":\"snapshot\",\"product_id\":\"ABC-USD\",\"asks\":[],"
                                 "\"bids\":[[\"1\",\"0.00\"]]}",
                                 &seen),
                     TF_DECODE_OK);
    assert_int_equal(seen.update[0].book.count, 0); /* a level of size 0 is none */
}

static void a_change_keeps_its_order_and_its_removals(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(change_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_BOOK_CHANGE);
    assert_int_equal(seen.update[0].book.count, 2);
    assert_int_equal(seen.level[0].side, TF_SIDE_BUY);
    assert_decimal(seen.level[0].px, 10125, 2);
    assert_decimal(seen.level[0].sz, 0, 8);
    assert_int_equal(seen.level[1].side, TF_SIDE_SELL);
    assert_decimal(seen.level[1].sz, 700000000, 8);
    assert_int_equal(
        decode_text("{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[]," TIME "}",
                    &seen),
        TF_DECODE_OK);
    assert_int_equal(seen.update[0].book.count, 0);
}

static void a_match_has_the_takers_side_and_an_exact_id(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(match_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_TRADE);
    assert_string_equal(seen.symbol[0], "ABC-USD");
    assert_int_equal(seen.update[0].trade.side, TF_SIDE_BUY); /* the maker sold */
    assert_true(seen.update[0].trade.id == UINT64_MAX);
    assert_string_equal(seen.text, "18446744073709551615");
    assert_decimal(seen.update[0].trade.px, 1015, 1);
    assert_decimal(seen.update[0].trade.sz, 2, 1);
    assert_true(seen.update[0].te_ns == time_ns);
    assert_int_equal(decode_text(last_match_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_TRADE_BASELINE);
    assert_int_equal(seen.update[0].trade.side, TF_SIDE_SELL);
    assert_string_equal(seen.text, "77");
}

static void a_ticker_has_what_the_venue_gave(void **state)
{
    (void)state;
    seen_t seen;
    const tf_update_ticker_t *ticker = &seen.update[0].ticker;
    assert_int_equal(decode_text(ticker_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_TICKER);
    assert_int_equal(ticker->present, 0x7ff); /* all but q24 and n24 */
    assert_int_equal(ticker->side, TF_SIDE_BUY);
    assert_decimal(ticker->px, 10122, 2);
    assert_decimal(ticker->sz, 114, 1);
    assert_decimal(ticker->bid, 10104, 2);
    assert_decimal(ticker->bsz, 46, 2);
    assert_decimal(ticker->ask, 10127, 2);
    assert_decimal(ticker->asz, 15, 1);
    assert_decimal(ticker->o24, 9979, 2);
    assert_decimal(ticker->h24, 103, 0);
    assert_decimal(ticker->l24, 981, 1);
    assert_decimal(ticker->v24, 2455, 1);
    assert_int_equal(decode_text("{\"type\":\"ticker\",\"product_id\":\"ABC-USD\",\"price\":\"5\","
                                 "\"open_24h\":null,\"best_bid\":\"0.00\",\"best_bid_size\":\"0\","
                                 "\"time\":null}",
                                 &seen),
                     TF_DECODE_OK);
    assert_int_equal(ticker->present, TF_TICKER_PX | TF_TICKER_BSZ);
    assert_true(seen.update[0].te_ns == TF_TIME_NONE);
}

static void a_heartbeat_names_the_last_trade(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(heartbeat_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_HEARTBEAT);
    assert_true(seen.update[0].last_trade_id == 1052119293);
    assert_string_equal(seen.symbol[0], "ABC-USD");
}

static void a_time_before_1970_is_no_time(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text("{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[],"
                                 "\"time\":\"0001-01-01T00:00:00.000000Z\"}",
                                 &seen),
                     TF_DECODE_OK);
    assert_true(seen.update[0].te_ns == TF_TIME_NONE);
}

static void a_status_lists_every_product(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(status_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.updates, 2);
    const tf_update_instrument_t *first = &seen.update[0].instrument;
    assert_int_equal(seen.update[0].type, TF_UPDATE_INSTRUMENT);
    assert_string_equal(seen.symbol[0], "ABC-USD");
    assert_decimal(first->tick, 1, 2);
    assert_decimal(first->lot, 1, 8);
    assert_int_equal(first->base.bytes, 3);
    assert_int_equal(first->quote.bytes, 3);
    assert_int_equal(first->status, TF_INSTRUMENT_ONLINE);
    assert_string_equal(seen.symbol[1], "X-EUR");
    assert_true(seen.update[1].instrument.tick.mantissa == 0);
    assert_true(seen.update[1].instrument.lot.mantissa == 0);
    assert_int_equal(seen.update[1].instrument.status, TF_INSTRUMENT_DELISTED);
}

static void a_product_is_online_only_without_restrictions(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        tf_instrument_status_t status;
    } cases[] = {
        {"\"status\":\"online\"", TF_INSTRUMENT_ONLINE},
        {"\"status\":\"online\",\"post_only\":true", TF_INSTRUMENT_HALTED},
        {"\"limit_only\":true,\"status\":\"online\"", TF_INSTRUMENT_HALTED},
        {"\"status\":\"online\",\"cancel_only\":true,\"post_only\":false", TF_INSTRUMENT_HALTED},
        {"\"status\":\"online\",\"trading_disabled\":true", TF_INSTRUMENT_HALTED},
        {"\"status\":\"online\",\"auction_mode\":true", TF_INSTRUMENT_HALTED},
        {"\"status\":\"offline\"", TF_INSTRUMENT_HALTED},
        {"\"status\":\"internal\"", TF_INSTRUMENT_HALTED},
        {"\"status\":\"delisted\",\"post_only\":true", TF_INSTRUMENT_DELISTED},
        {"\"status\":\"reborn\"", TF_INSTRUMENT_UNKNOWN},
        {"\"status\":null", TF_INSTRUMENT_UNKNOWN},
        {"\"x\":0", TF_INSTRUMENT_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        seen_t seen;
        (void)snprintf(text, sizeof text,
                       "{\"type\":\"status\",\"products\":[{\"id\":\"A-B\",\"base_currency\":\"A\","
                       "\"quote_currency\":\"B\",%s}]}",
                       cases[i].rest);
        assert_int_equal(decode_text(text, &seen), TF_DECODE_OK);
        assert_int_equal(seen.update[0].instrument.status, cases[i].status);
    }
}

static void acknowledgements_and_errors_are_passed_on(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(subscriptions_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_SUBSCRIBED);
    assert_int_equal(seen.update[0].symbol.bytes, 0);
    assert_int_equal(decode_text(error_frame, &seen), TF_DECODE_OK);
    assert_int_equal(seen.update[0].type, TF_UPDATE_ERROR);
    assert_string_equal(seen.text, "ABC-XYZ is not a \\\"valid\\\" product");
    assert_int_equal(decode_text("{\"message\":\"ErrSlowConsume\",\"type\":\"error\"}", &seen),
                     TF_DECODE_OK);
    assert_string_equal(seen.text, "ErrSlowConsume");
}

static void an_unknown_type_is_ignored(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(decode_text(unknown_frame, &seen), TF_DECODE_IGNORED);
    assert_int_equal(decode_text("{\"type\":\"\"}", &seen), TF_DECODE_IGNORED);
    assert_int_equal(decode_text("{\"type\":\"matches\"}", &seen), TF_DECODE_IGNORED);
    assert_int_equal(seen.updates, 0);
}

static void white_space_around_tokens_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(frames); i++) {
        char spaced[2048];
        size_t bytes = 0;
        bool in_string = false;
        for (const char *at = frames[i]; *at != '\0'; at++) {
            if (*at == '"' && (at == frames[i] || at[-1] != '\\'))
                in_string = !in_string;
            bool token = !in_string && strchr("{}[]:,\"", *at) != NULL;
            if (token && *at != '"')
                spaced[bytes++] = ' ';
            spaced[bytes++] = *at;
            if (token)
                spaced[bytes++] = '\n';
        }
        spaced[bytes] = '\0';
        seen_t plain, wide;
        assert_int_equal(decode_text(frames[i], &plain), decode_text(spaced, &wide));
        assert_memory_equal(plain.by_type, wide.by_type, sizeof plain.by_type);
    }
}

static void a_link_may_receive_any_number_of_levels(void **state)
{
    (void)state;
    enum { LEVELS = 5000, LEVEL_BYTES = 32 };
    char *text = malloc(LEVELS * LEVEL_BYTES + 256);
    size_t bytes =
        (size_t)sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"A-B\",\"bids\":[],"
                              "\"asks\":[");
    for (int i = 1; i <= LEVELS; i++)
        bytes += (size_t)sprintf(text + bytes, "%s[\"%d.5\",\"1\"]", i == 1 ? "" : ",", i);
    (void)sprintf(text + bytes, "]}");
    seen_t seen;
    assert_int_equal(decode_text(text, &seen), TF_DECODE_OK);
    assert_int_equal(seen.levels_total, LEVELS);
    free(text);
}

static tf_decode_t decode_http(const char *url, const char *text, size_t bytes, seen_t *seen)
{
    tf_adapter_t *adapter = ops->create();
    memset(seen, 0, sizeof *seen);
    tf_update_sink_t sink = {on_update, seen};
    tf_decode_t result =
        ops->decode_http(adapter, (tf_slice_t){url, strlen(url)}, text, bytes, &sink);
    ops->destroy(adapter);
    return result;
}

static void the_product_list_is_read_from_rest(void **state)
{
    (void)state;
    static const char list[] =
        " [ {\"id\":\"A-B\",\"base_currency\":\"A\",\"quote_currency\":\"B\"} ] ";
    seen_t seen;
    assert_int_equal(decode_http("https://h/products", list, sizeof list - 1, &seen), TF_DECODE_OK);
    assert_int_equal(seen.by_type[TF_UPDATE_INSTRUMENT], 1);
    assert_int_equal(decode_http("https://h/products?type=spot", list, sizeof list - 1, &seen),
                     TF_DECODE_OK);
    assert_int_equal(decode_http("https://h/x", list, sizeof list - 1, &seen), TF_DECODE_IGNORED);
    assert_int_equal(decode_http("https://h/?/products", list, sizeof list - 1, &seen),
                     TF_DECODE_IGNORED);
    assert_int_equal(decode_http("", list, sizeof list - 1, &seen), TF_DECODE_IGNORED);
    for (size_t bytes = 0; bytes < sizeof list - 2; bytes++) {
        assert_int_equal(decode_http("/products", list, bytes, &seen), TF_DECODE_MALFORMED);
        assert_int_equal(seen.updates, 0);
    }
    assert_int_equal(decode_http("/products", "{}", 2, &seen), TF_DECODE_MALFORMED);
    assert_int_equal(decode_http("/products", "[]", 2, &seen), TF_DECODE_OK);
}

static void requests_are_what_the_venue_documents(void **state)
{
    (void)state;
    static const char *const symbols[] = {"BTC-USD", "ETH-USD"};
    static const struct {
        tf_request_t request;
        size_t symbols;
        const char *text;
    } cases[] = {
        {TF_REQUEST_SUBSCRIBE, 2,
         "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"],\"channels\":["
         "\"level2_batch\",\"matches\",\"heartbeat\",\"ticker\"]}"},
        {TF_REQUEST_UNSUBSCRIBE, 1,
         "{\"type\":\"unsubscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_batch\","
         "\"matches\",\"heartbeat\",\"ticker\"]}"},
        {TF_REQUEST_BOOK_LEAVE, 1,
         "{\"type\":\"unsubscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_batch\"]"
         "}"},
        {TF_REQUEST_BOOK_ENTER, 1,
         "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_batch\"]}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[256];
        size_t bytes = strlen(cases[i].text);
        assert_int_equal(ops->request(cases[i].request, symbols, cases[i].symbols, out, bytes + 1),
                         bytes);
        assert_memory_equal(out, cases[i].text, bytes);
        for (size_t room = 0; room <= bytes; room++) {
            char *tight = malloc(room + 1);
            tight[room] = '#';
            assert_int_equal(ops->request(cases[i].request, symbols, cases[i].symbols, tight, room),
                             -1);
            assert_int_equal(tight[room], '#');
            free(tight);
        }
    }
}

static void only_spot_pairs_have_a_symbol(void **state)
{
    (void)state;
    char out[TF_SYMBOL_BYTES_MAX];
    assert_true(ops->symbol_to_venue("BTC-USD", out));
    assert_string_equal(out, "BTC-USD");
    static const char *const bad[] = {
        "", "BTC", "BTC-", "btc-usd", "BTC/USD", "BTC-USD-PERP", "BTC-USD-20261225"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(ops->symbol_to_venue(bad[i], out));
        assert_false(ops->symbol_from_venue((tf_slice_t){bad[i], strlen(bad[i])}, out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_gives_every_level),
        cmocka_unit_test(a_snapshot_may_be_empty_untimed_or_in_another_order),
        cmocka_unit_test(a_change_keeps_its_order_and_its_removals),
        cmocka_unit_test(a_match_has_the_takers_side_and_an_exact_id),
        cmocka_unit_test(a_ticker_has_what_the_venue_gave),
        cmocka_unit_test(a_heartbeat_names_the_last_trade),
        cmocka_unit_test(a_time_before_1970_is_no_time),
        cmocka_unit_test(a_status_lists_every_product),
        cmocka_unit_test(a_product_is_online_only_without_restrictions),
        cmocka_unit_test(acknowledgements_and_errors_are_passed_on),
        cmocka_unit_test(an_unknown_type_is_ignored),
        cmocka_unit_test(white_space_around_tokens_changes_nothing),
        cmocka_unit_test(a_link_may_receive_any_number_of_levels),
        cmocka_unit_test(the_product_list_is_read_from_rest),
        cmocka_unit_test(requests_are_what_the_venue_documents),
        cmocka_unit_test(only_spot_pairs_have_a_symbol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
