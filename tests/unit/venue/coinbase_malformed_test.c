#include "kit/kit.h"

#include "unit/venue/coinbase_kit.h"

static void every_prefix_of_a_frame_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(frames); i++) {
        for (size_t bytes = 0; bytes < strlen(frames[i]); bytes++) {
            seen_t seen;
            bool book;
            char symbol[TF_SYMBOL_BYTES_MAX];
            if (decode(frames[i], bytes, &seen, &book, symbol) != TF_DECODE_MALFORMED)
                fail_msg("accepted: %.*s", (int)bytes, frames[i]);
            assert_int_equal(seen.updates, 0);
        }
    }
}

#define DEEP_16  "[[[[[[[[[[[[[[[["
#define CLOSE_16 "]]]]]]]]]]]]]]]]"
#define CHANGE(levels)                                                                             \
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[" levels "]," TIME "}"
#define SNAPSHOT(asks)                                                                             \
    "{\"type\":\"snapshot\",\"product_id\":\"ABC-USD\",\"asks\":[" asks "],\"bids\":[]," TIME "}"
#define MATCH(id, side, size, price, symbol)                                                       \
    "{\"type\":\"match\",\"trade_id\":" id ",\"side\":" side ",\"size\":" size ",\"price\":" price \
    ",\"product_id\":" symbol "," TIME "}"
#define TICKER(rest)  "{\"type\":\"ticker\",\"product_id\":\"ABC-USD\"," rest "}"
#define PRODUCT(rest) "{\"type\":\"status\",\"products\":[{\"id\":\"A-B\"," rest "}]}"

static const char *const malformed[] = {
    "[]",
    "\"type\"",
    "{}",
    "{\"product_id\":\"ABC-USD\"}",
    "{\"type\":null}",
    "{\"type\":7}",
    "{\"type\":[\"match\"]}",
    "{\"type\":\"l2\\u0075pdate\"}",
    "{\"type\":\"auction\",\"type\":\"auction\"}",
    "{\"type\":\"auction\",}",
    "{\"type\":\"auction\",\"name\":\"\xff\"}",
    "{\"type\":\"auction\",\"deep\":" DEEP_16 DEEP_16 DEEP_16 DEEP_16
    "0" CLOSE_16 CLOSE_16 CLOSE_16 CLOSE_16 "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\"," TIME "}",
    "{\"type\":\"l2update\",\"changes\":[]," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[]}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[],\"time\":1783465097}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[],\"time\":\"soon\"}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":{}," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":null," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"\",\"changes\":[]," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"abc-usd\",\"changes\":[]," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC/USD\",\"changes\":[]," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\\n\",\"changes\":[]," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABCDEFGHIJKLMNOP-QRSTUVWXYZ12345\",\"changes\":[]"
    "," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"product_id\":\"ABC-USD\",\"changes\":[]"
    "," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[],\"changes\":[]," TIME "}",
    "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":[]," TIME "," TIME "}",
    CHANGE("[]"),
    CHANGE("[\"buy\"]"),
    CHANGE("[\"buy\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"1\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"1\"],"),
    CHANGE("\"buy\",\"1\",\"1\""),
    CHANGE("[\"Buy\",\"1\",\"1\"]"),
    CHANGE("[\"bid\",\"1\",\"1\"]"),
    CHANGE("[0,\"1\",\"1\"]"),
    CHANGE("[\"buy\",1,\"1\"]"),
    CHANGE("[\"buy\",\"1\",1]"),
    CHANGE("[\"buy\",null,\"1\"]"),
    CHANGE("[\"buy\",\"\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"\"]"),
    CHANGE("[\"buy\",\"0\",\"1\"]"),
    CHANGE("[\"buy\",\"0.00\",\"1\"]"),
    CHANGE("[\"buy\",\"-1\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"-0.00000001\"]"),
    CHANGE("[\"buy\",\"1e5\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"1E-8\"]"),
    CHANGE("[\"buy\",\"NaN\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"Infinity\"]"),
    CHANGE("[\"buy\",\"+1\",\"1\"]"),
    CHANGE("[\"buy\",\" 1\",\"1\"]"),
    CHANGE("[\"buy\",\"1.\",\"1\"]"),
    CHANGE("[\"buy\",\".5\",\"1\"]"),
    CHANGE("[\"buy\",\"1,5\",\"1\"]"),
    CHANGE("[\"buy\",\"1.2.3\",\"1\"]"),
    CHANGE("[\"buy\",\"0x10\",\"1\"]"),
    CHANGE("[\"buy\",\"\\u0031\",\"1\"]"),
    CHANGE("[\"buy\",\"99999999999999999999\",\"1\"]"),
    CHANGE("[\"buy\",\"1\",\"0.0000000000000000001\"]"),
    CHANGE("[\"buy\",\"1\",\"1\"],[\"sell\",\"2\",\"x\"]"),
    SNAPSHOT("[\"1\"]"),
    SNAPSHOT("[\"1\",\"1\",3]"),
    SNAPSHOT("[\"0\",\"1\"]"),
    SNAPSHOT("[1.5,\"1\"]"),
    SNAPSHOT("{\"1\":\"1\"}"),
    "{\"type\":\"snapshot\",\"product_id\":\"ABC-USD\",\"asks\":[]," TIME "}",
    "{\"type\":\"snapshot\",\"product_id\":\"ABC-USD\",\"bids\":[]," TIME "}",
    "{\"type\":\"snapshot\",\"product_id\":\"ABC-USD\",\"asks\":[],\"asks\":[],\"bids\":[]}",
    MATCH("0", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("-1", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("1.0", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("1e3", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("18446744073709551616", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("\"1\"", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("null", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("1", "\"\"", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("1", "null", "\"1\"", "\"1\"", "\"A-B\""),
    MATCH("1", "\"buy\"", "\"0\"", "\"1\"", "\"A-B\""),
    MATCH("1", "\"buy\"", "\"1\"", "\"0.0\"", "\"A-B\""),
    MATCH("1", "\"buy\"", "1", "\"1\"", "\"A-B\""),
    MATCH("1", "\"buy\"", "\"1\"", "1", "\"A-B\""),
    MATCH("1", "\"buy\"", "\"1\"", "\"1\"", "null"),
    MATCH("1", "\"buy\"", "\"1\"", "\"1\"", "\"A-B\",\"price\":\"1\""),
    "{\"type\":\"last_match\",\"trade_id\":1}",
    TICKER("\"price\":1.5"),
    TICKER("\"price\":\"\""),
    TICKER("\"price\":\"-1\""),
    TICKER("\"price\":\"1\",\"price\":\"1\""),
    TICKER("\"price\":null,\"price\":\"1\""),
    TICKER("\"side\":\"both\""),
    TICKER("\"time\":\"\""),
    "{\"type\":\"ticker\",\"price\":\"1\"}",
    "{\"type\":\"heartbeat\",\"last_trade_id\":1," TIME "}",
    "{\"type\":\"heartbeat\",\"product_id\":\"A-B\"," TIME "}",
    "{\"type\":\"heartbeat\",\"product_id\":\"A-B\",\"last_trade_id\":-1," TIME "}",
    "{\"type\":\"heartbeat\",\"product_id\":\"A-B\",\"last_trade_id\":\"1\"," TIME "}",
    "{\"type\":\"subscriptions\"}",
    "{\"type\":\"error\"}",
    "{\"type\":\"error\",\"message\":null}",
    "{\"type\":\"status\"}",
    "{\"type\":\"status\",\"products\":{}}",
    "{\"type\":\"status\",\"products\":[null]}",
    "{\"type\":\"status\",\"products\":[{}]}",
    PRODUCT("\"base_currency\":\"A\""),
    PRODUCT("\"base_currency\":\"a\",\"quote_currency\":\"B\""),
    PRODUCT("\"base_currency\":\"A\",\"quote_currency\":\"B\",\"quote_increment\":0.01"),
    PRODUCT("\"base_currency\":\"A\",\"quote_currency\":\"B\",\"quote_increment\":\"-0.01\""),
    PRODUCT("\"base_currency\":\"A\",\"quote_currency\":\"B\",\"quote_increment\":\"1e-2\""),
    PRODUCT("\"base_currency\":\"A\",\"quote_currency\":\"B\",\"post_only\":\"no\""),
    PRODUCT("\"base_currency\":\"A\",\"quote_currency\":\"B\",\"status\":1"),
    PRODUCT("\"base_currency\":\"A\",\"quote_currency\":\"B\",\"id\":\"A-B\""),
};

static void a_malformed_frame_gives_no_update(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(malformed); i++) {
        seen_t seen;
        if (decode_text(malformed[i], &seen) != TF_DECODE_MALFORMED)
            fail_msg("accepted: %s", malformed[i]);
        assert_int_equal(seen.updates, 0);
    }
}

static void a_bad_product_behind_good_ones_gives_no_update(void **state)
{
    (void)state;
    seen_t seen;
    assert_int_equal(
        decode_text("{\"type\":\"status\",\"products\":[{\"id\":\"A-B\",\"base_currency\":"
                    "\"A\",\"quote_currency\":\"B\"},{\"id\":\"A-C\"}]}",
                    &seen),
        TF_DECODE_MALFORMED);
    assert_int_equal(seen.updates, 0);
    char text[sizeof status_frame + 1];
    (void)snprintf(text, sizeof text, "%s]", status_frame);
    assert_int_equal(decode_text(text, &seen), TF_DECODE_MALFORMED);
    assert_int_equal(seen.updates, 0);
}

static void a_loss_names_what_could_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool book;
        const char *symbol;
    } cases[] = {
        {"", true, ""},
        {"{\"ty", true, ""},
        {"{\"type\":\"l2upd", true, ""},
        {"{\"type\":\"l2update\",\"product_id\":\"AB", true, ""},
        {"{\"type\":\"l2update\",\"product_id\":\"A-B\",\"changes\":[[\"bu", true, "A-B"},
        {"{\"type\":\"snapshot\",\"asks\":[[1]],\"product_id\":\"A-B\"}", true, "A-B"},
        {"{\"type\":\"l2update\",\"product_id\":\"a-b\",\"changes\":[]}", true, ""},
        {"{\"type\":\"l2update\",\"product_id\":\"A-B\",\"product_id\":\"C-D\"}", true, ""},
        {"{\"product_id\":\"A-B\",\"changes\":[", true, "A-B"},
        {"{\"type\":\"match\",\"product_id\":\"A-B\",\"price\":1}", false, "A-B"},
        {"{\"type\":\"match\",\"type\":\"l2update\",\"product_id\":\"A-B\"}", true, "A-B"},
        {"{\"type\":\"heartbeat\",", false, ""},
        {"{\"type\":\"auction\",\"x\":", false, ""},
        {"{\"type\":7,\"product_id\":\"A-B\"}", true, "A-B"},
        {"{\"type\":\"m\\u0061tch\",\"product_id\":\"A-B\"}", true, "A-B"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        seen_t seen;
        bool book = !cases[i].book;
        char symbol[TF_SYMBOL_BYTES_MAX] = "?";
        assert_int_equal(decode(cases[i].text, strlen(cases[i].text), &seen, &book, symbol),
                         TF_DECODE_MALFORMED);
        if (book != cases[i].book || strcmp(symbol, cases[i].symbol) != 0)
            fail_msg("%s: book %d, symbol %s", cases[i].text, book, symbol);
    }
}

static void without_memory_for_its_levels_a_book_is_lost(void **state)
{
    (void)state;
    tf_adapter_t *adapter = ops->create();
    seen_t seen = {0};
    tf_update_sink_t sink = {on_update, &seen};
    tf_decode_loss_t loss;
    tf_mem_fail_at(1);
    tf_decode_t result =
        ops->decode(adapter, snapshot_frame, sizeof snapshot_frame - 1, &sink, &loss);
    assert_null(ops->create());
    tf_mem_fail_at(0);
    assert_int_equal(result, TF_DECODE_NO_MEMORY);
    assert_true(loss.book && tf_slice_is(loss.symbol, "ABC-USD"));
    assert_int_equal(seen.updates, 0);
    result = ops->decode(adapter, snapshot_frame, sizeof snapshot_frame - 1, &sink, &loss);
    assert_int_equal(result, TF_DECODE_OK);
    ops->destroy(adapter);
    ops->destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_of_a_frame_is_malformed),
        cmocka_unit_test(a_malformed_frame_gives_no_update),
        cmocka_unit_test(a_bad_product_behind_good_ones_gives_no_update),
        cmocka_unit_test(a_loss_names_what_could_be_read),
        cmocka_unit_test(without_memory_for_its_levels_a_book_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
