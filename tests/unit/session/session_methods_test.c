#include "kit/kit.h"

#include "unit/session/methods_rig.h"

#define ENTRY(channel, recovered)                                                                  \
    "{\"channel\":\"" channel "\",\"sid\":1041,\"epoch\":\"k3f9\",\"seq\":918270,\"px_dp\":2,"     \
    "\"sz_dp\":8,\"recovered\":" recovered "}"
#define WILDCARD_FAILED                                                                            \
    "{\"channel\":\"ticker.binance.*\",\"code\":2004,\"message\":\"wildcards are not offered\","   \
    "\"retryable\":false,\"reason\":\"name every venue and instrument; get_instruments lists "     \
    "them\"}"

static void ping_is_answered(void **state)
{
    (void)state;
    answers("ping", NULL, "\"result\":\"pong\"", "");
    answers("ping", "{\"any\":1}", "\"result\":\"pong\"", "");
}

static void positional_params_are_invalid_for_every_method(void **state)
{
    (void)state;
    static const char *const methods[] = {"ping",
                                          "time",
                                          "subscribe",
                                          "unsubscribe",
                                          "list_subscriptions",
                                          "unsubscribe_all",
                                          "get_instruments",
                                          "get_snapshot",
                                          "set_heartbeat"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        invalid(methods[i], "[\"book.coinbase.BTC-USD\"]",
                "params are taken by name: send an object, not an array");
}

static void methods_not_offered_are_not_found(void **state)
{
    (void)state;
    answers("auth", NULL,
            "\"error\":{\"code\":-32601,\"message\":\"Method not found\","
            "\"data\":{\"reason\":\"method is a string \\\"auth\\\", which is not offered\"}}",
            "");
}

static void subscribe_succeeds_in_part(void **state)
{
    (void)state;
    answers(
        "subscribe",
        "{\"channels\":[\"book.coinbase.BTC-USD\",\"trades.kraken.ETH-USD\","
        "\"ticker.binance.*\",\"trades.coinbase.BTC-USD\",\"bbo.coinbase.ETH-USD\"],"
        "\"rate\":\"100ms\",\"depth\":50,\"lag\":\"conflate\",\"unknown\":[]}",
        "\"result\":{\"subscribed\":[" ENTRY("book.coinbase.BTC-USD.50.100ms", "null") "," ENTRY(
            "trades.coinbase.BTC-USD.100ms",
            "null") "],\"failed\":["
                    "{\"channel\":\"trades.kraken.ETH-USD\",\"code\":2002,\"message\":\"unknown "
                    "venue\","
                    "\"retryable\":true}," WILDCARD_FAILED ","
                    "{\"channel\":\"bbo.coinbase.ETH-USD\",\"code\":2003,"
                    "\"message\":\"unknown instrument\",\"retryable\":true}]}",
        "+book.coinbase.BTC-USD.50.100ms+trades.kraken.ETH-USD.100ms"
        "+trades.coinbase.BTC-USD.100ms+bbo.coinbase.ETH-USD.100ms");
}

static void subscribe_to_bad_names_alone_is_no_error(void **state)
{
    (void)state;
    answers("subscribe", "{\"channels\":[\"ticker.binance.*\"]}",
            "\"result\":{\"subscribed\":[],\"failed\":[" WILDCARD_FAILED "]}", "");
    answers("subscribe", "{\"channels\":[\"a\\\"\\u0000\",\"book.coinbase.BTC-USD.7\"]}",
            "\"result\":{\"subscribed\":[],\"failed\":["
            "{\"channel\":\"a\\\"\\u0000\",\"code\":2001,\"message\":\"unknown channel kind\","
            "\"retryable\":false,\"reason\":\"kinds are ticker, bbo, trades, book, instruments and "
            "status\"},"
            "{\"channel\":\"book.coinbase.BTC-USD.7\",\"code\":2006,"
            "\"message\":\"option not supported\",\"retryable\":false,\"reason\":"
            "\"rates are raw, 100ms, 250ms, 1s (trades: raw, 100ms); depths, of book only and "
            "before the rate, 1, 10, 25, 50, 200, 1000, full\"}]}",
            "");
}

static void subscription_limit_fails_the_channels_beyond_it(void **state)
{
    (void)state;
    host_t host = {.subscriptions_max = 1};
    with_host(&host, "subscribe",
              "{\"channels\":[\"bbo.coinbase.BTC-USD\",\"ticker.coinbase.BTC-USD\"]}",
              "\"result\":{\"subscribed\":[" ENTRY(
                  "bbo.coinbase.BTC-USD.raw",
                  "null") "],\"failed\":[{\"channel\":\"ticker.coinbase.BTC-USD\",\"code\":2005,"
                          "\"message\":\"subscription limit reached\",\"retryable\":false}]}",
              NULL);
    host_fini(&host);
}

static void depth_is_a_number_or_full(void **state)
{
    (void)state;
    answers("subscribe", "{\"channels\":[\"book.coinbase.BTC-USD\"],\"depth\":\"full\"}",
            "\"result\":{\"subscribed\":[" ENTRY("book.coinbase.BTC-USD.full.100ms",
                                                 "null") "],\"failed\":[]}",
            NULL);
#define ALLOWED "; it can be 1, 10, 25, 50, 200, 1000 or \\\"full\\\""
    static const char *const depths[][2] = {
        {"7", "the number 7"},
        {"-1", "the number -1"},
        {"10.5", "the number 10.5"},
        {"\"10\"", "a string \\\"10\\\""},
        {"null", "null"},
        {"9223372036854775807", "the number 9223372036854775807"},
        {"[10]", "an array"},
        {"\"FULL\"", "a string \\\"FULL\\\""},
    };
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        char params[128];
        char reason[256];
        snprintf(params, sizeof params, "{\"channels\":[\"book.coinbase.BTC-USD\"],\"depth\":%s}",
                 depths[i][0]);
        snprintf(reason, sizeof reason, "depth is %s" ALLOWED, depths[i][1]);
        invalid("subscribe", params, reason);
        invalid("unsubscribe", params, reason);
    }
}

static void wrong_options_fail_the_call_and_say_what_is_allowed(void **state)
{
    (void)state;
    invalid("subscribe", "{\"channels\":[\"bbo.coinbase.BTC-USD\"],\"rate\":\"5s\"}",
            "rate is a string \\\"5s\\\"; it can be "
            "\\\"raw\\\", \\\"100ms\\\", \\\"250ms\\\" or \\\"1s\\\"");
    invalid("subscribe", "{\"channels\":[\"bbo.coinbase.BTC-USD\"],\"rate\":100}",
            "rate is the number 100; it can be "
            "\\\"raw\\\", \\\"100ms\\\", \\\"250ms\\\" or \\\"1s\\\"");
    invalid("subscribe", "{\"channels\":[\"bbo.coinbase.BTC-USD\"],\"lag\":\"drop\"}",
            "lag is a string \\\"drop\\\"; it can be \\\"conflate\\\" or left out");
    invalid("subscribe", "{\"channels\":[\"bbo.coinbase.BTC-USD\"],\"lag\":true}",
            "lag is true; it can be \\\"conflate\\\" or left out");
    answers("subscribe", "{\"channels\":[\"bbo.coinbase.BTC-USD\"],\"lag\":\"disconnect\"}",
            "\"error\":{\"code\":2006,\"message\":\"option not supported\",\"data\":{\"reason\":"
            "\"lag \\\"disconnect\\\" is not offered yet; leave it out\",\"retryable\":false}}",
            "");
}

static void channels_must_be_an_array_of_names(void **state)
{
    (void)state;
    static const char *const methods[] = {"subscribe", "unsubscribe"};
    for (size_t i = 0; i < 2; i++) {
        invalid(methods[i], NULL, "channels is missing; send an array of channel names");
        invalid(methods[i], "{}", "channels is missing; send an array of channel names");
        invalid(methods[i], "{\"channels\":[]}",
                "channels is an empty array; send an array of channel names");
        invalid(methods[i], "{\"channels\":{\"a\":1}}",
                "channels is an object; send an array of channel names");
        invalid(
            methods[i], "{\"channels\":\"bbo.coinbase.BTC-USD\"}",
            "channels is a string \\\"bbo.coinbase.BTC-USD\\\"; send an array of channel names");
        invalid(methods[i], "{\"channels\":[\"bbo.coinbase.BTC-USD\",false]}",
                "channels[1] is false; a channel name is a string");
    }
}

static void more_channels_than_a_connection_may_hold_are_refused(void **state)
{
    (void)state;
    tf_buf_t params = {0};
    tf_buf_lit(&params, "{\"channels\":[\"x\"");
    for (size_t i = 1; i < 4097; i++)
        tf_buf_lit(&params, ",\"x\"");
    tf_buf_put(&params, "]}", 3);
    invalid("subscribe", params.data, "channels has 4097 names; one request can have 4096");
    tf_buf_fini(&params);
}

static void resume_is_answered_with_not_recovered(void **state)
{
    (void)state;
    answers("subscribe",
            "{\"channels\":[\"book.coinbase.BTC-USD\",\"trades.coinbase.BTC-USD.raw\","
            "\"bbo.coinbase.BTC-USD\"],\"depth\":50,"
            "\"resume\":{\"book.coinbase.BTC-USD\":{\"epoch\":\"k3f9\",\"seq\":1},"
            "\"trades.coinbase.BTC-USD\":{\"epoch\":\"k3f9\",\"seq\":0},"
            "\"ticker.*.*\":{\"epoch\":\"\",\"seq\":3}}}",
            "\"result\":{\"subscribed\":[" ENTRY(
                "book.coinbase.BTC-USD.50.100ms",
                "false,\"code\":"
                "4001") "," ENTRY("trades.coinbase.BTC-USD.raw",
                                  "false,\"code\":4001") "," ENTRY("bbo.coinbase.BTC-USD.raw",
                                                                   "null") "],\"failed\":[]}",
            NULL);
    answers("subscribe",
            "{\"channels\":[\"book.coinbase.BTC-USD\"],"
            "\"resume\":{\"book.coinbase.BTC-USD.1\":{\"epoch\":\"k3f9\",\"seq\":1}}}",
            "\"result\":{\"subscribed\":[" ENTRY("book.coinbase.BTC-USD.10.100ms",
                                                 "null") "],\"failed\":[]}",
            NULL);
}

static void malformed_resume_fails_the_call(void **state)
{
    (void)state;
#define CHANNELS "{\"channels\":[\"book.coinbase.BTC-USD\"],\"resume\":"
#define POSITION "; send {\\\"epoch\\\": text, \\\"seq\\\": number}"
    invalid("subscribe", CHANNELS "[]}",
            "resume is an empty array; send an object of channel: {epoch, seq}");
    invalid("subscribe", CHANNELS "{\"a.b\":7}}", "resume of \\\"a.b\\\" is the number 7" POSITION);
    invalid("subscribe", CHANNELS "{\"a.b\":{\"epoch\":\"x\"}}}",
            "resume of \\\"a.b\\\" is an object" POSITION);
    invalid("subscribe", CHANNELS "{\"a.b\":{\"epoch\":1,\"seq\":1}}}",
            "resume of \\\"a.b\\\" is an object" POSITION);
    invalid("subscribe", CHANNELS "{\"a.b\":{\"epoch\":\"x\",\"seq\":-1}}}",
            "resume of \\\"a.b\\\" is an object" POSITION);
}

static void unsubscribe_lists_full_names(void **state)
{
    (void)state;
    answers("unsubscribe",
            "{\"channels\":[\"book.coinbase.BTC-USD\",\"ticker.binance.*\","
            "\"trades.coinbase.BTC-USD\",\"bbo.kraken.BTC-USD\"]}",
            "\"result\":{\"unsubscribed\":[\"book.coinbase.BTC-USD.10.100ms\","
            "\"trades.coinbase.BTC-USD.raw\"],\"failed\":[" WILDCARD_FAILED ","
            "{\"channel\":\"bbo.kraken.BTC-USD\",\"code\":2002,\"message\":\"unknown venue\","
            "\"retryable\":true}]}",
            "-book.coinbase.BTC-USD.10.100ms-trades.coinbase.BTC-USD.raw-bbo.kraken.BTC-USD.raw");
}

static void get_instruments_lists_all_or_one_venue(void **state)
{
    (void)state;
#define LIST "\"result\":{\"instruments\":[{\"symbol\":\"BTC-USD\"},{\"symbol\":\"ETH-USD\"}]}"
    answers("get_instruments", NULL, LIST, NULL);
    answers("get_instruments", "{}", LIST, NULL);
    answers("get_instruments", "{\"venue\":\"coinbase\"}", LIST, NULL);
    static const char *const unknown[][2] = {{"\"kraken\"", "\\\"kraken\\\""},
                                             {"\"coinbase\\u0000\"", "\\\"coinbase\\\""},
                                             {"\"\"", "\\\"\\\""}};
    for (size_t i = 0; i < 3; i++) {
        char params[64];
        char tail[256];
        snprintf(params, sizeof params, "{\"venue\":%s}", unknown[i][0]);
        snprintf(tail, sizeof tail,
                 "\"error\":{\"code\":2002,\"message\":\"unknown venue\",\"data\":{\"reason\":"
                 "\"venue is a string %s; leave it out for a list of all venues\","
                 "\"retryable\":true}}",
                 unknown[i][1]);
        answers("get_instruments", params, tail, NULL);
    }
    invalid("get_instruments", "{\"venue\":null}",
            "venue is null; send a venue's name or leave it out");
}

static void get_snapshot_is_the_params_of_the_data_message(void **state)
{
    (void)state;
    answers("get_snapshot", "{\"channel\":\"book.coinbase.BTC-USD\"}",
            "\"result\":{\"channel\":\"book.coinbase.BTC-USD.10.100ms\"}",
            "?book.coinbase.BTC-USD.10.100ms");
    answers("get_snapshot", "{\"channel\":\"book.coinbase.BTC-USD\",\"depth\":1}",
            "\"result\":{\"channel\":\"book.coinbase.BTC-USD.1.100ms\"}", NULL);
    invalid("get_snapshot", "{}", "channel is missing; send one channel name");
    invalid("get_snapshot", "{\"channel\":[\"book.coinbase.BTC-USD\"]}",
            "channel is an array; send one channel name");
}

static void get_snapshot_errors_name_the_market(void **state)
{
    (void)state;
    answers(
        "get_snapshot", "{\"channel\":\"book.kraken.BTC-USD\"}",
        "\"error\":{\"code\":2002,\"message\":\"unknown venue\",\"data\":{\"reason\":\"there is "
        "no venue kraken; get_instruments lists what there is\",\"retryable\":true}}",
        NULL);
    answers("get_snapshot", "{\"channel\":\"book.coinbase.ETH-USD\"}",
            "\"error\":{\"code\":2003,\"message\":\"unknown instrument\",\"data\":{\"reason\":"
            "\"coinbase has no ETH-USD; get_instruments lists what there is\","
            "\"retryable\":true}}",
            NULL);
    answers("get_snapshot", "{\"channel\":\"candles.coinbase.BTC-USD\"}",
            "\"error\":{\"code\":2001,\"message\":\"unknown channel kind\",\"data\":{\"reason\":"
            "\"kinds are ticker, bbo, trades, book, instruments and status\","
            "\"retryable\":false}}",
            "");
    host_t host = {.empty = true};
    with_host(&host, "get_snapshot", "{\"channel\":\"book.coinbase.BTC-USD\"}",
              "\"error\":{\"code\":4003,\"message\":\"no snapshot yet\",\"data\":{\"reason\":"
              "\"nothing was received for BTC-USD of coinbase yet\",\"retryable\":true}}",
              NULL);
    host_fini(&host);
}

static void notification_acts_without_a_reply(void **state)
{
    (void)state;
    host_t host = {.subscriptions_max = 1};
    tf_buf_t out = {0};
    tf_rpc_outcome_t outcome = handle(
        &host, "{\"method\":\"subscribe\",\"params\":{\"channels\":[\"bbo.coinbase.BTC-USD\"]}}",
        &out);
    assert_int_equal(outcome.requests, 1);
    assert_int_equal(outcome.errors, 0);
    assert_int_equal(out.bytes, 0);
    assert_int_equal(host.subscriptions, 1);
    tf_buf_fini(&out);
    host_fini(&host);
}

static void every_failed_allocation_fails_out_and_leaks_nothing(void **state)
{
    (void)state;
    static const char text[] =
        "[{\"id\":1,\"method\":\"subscribe\",\"params\":{\"channels\":[\"book.coinbase.BTC-USD\","
        "\"ticker.binance.*\"],\"resume\":{\"book.coinbase.BTC-USD\":{\"epoch\":\"e\",\"seq\":1}}}}"
        ","
        "{\"id\":2,\"method\":\"unsubscribe\",\"params\":{\"channels\":[\"x\"],\"depth\":10}},"
        "{\"id\":3,\"method\":\"get_instruments\"},"
        "{\"id\":4,\"method\":\"get_snapshot\",\"params\":{\"channel\":\"bbo.coinbase.BTC-USD\"}}]";
    survives_failed_allocations(text, 4);
}

int main(void)
{
    t_panic_to_cmocka();
    tf_rpc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(positional_params_are_invalid_for_every_method),
        cmocka_unit_test(methods_not_offered_are_not_found),
        cmocka_unit_test(subscribe_succeeds_in_part),
        cmocka_unit_test(subscribe_to_bad_names_alone_is_no_error),
        cmocka_unit_test(subscription_limit_fails_the_channels_beyond_it),
        cmocka_unit_test(depth_is_a_number_or_full),
        cmocka_unit_test(wrong_options_fail_the_call_and_say_what_is_allowed),
        cmocka_unit_test(channels_must_be_an_array_of_names),
        cmocka_unit_test(more_channels_than_a_connection_may_hold_are_refused),
        cmocka_unit_test(resume_is_answered_with_not_recovered),
        cmocka_unit_test(malformed_resume_fails_the_call),
        cmocka_unit_test(unsubscribe_lists_full_names),
        cmocka_unit_test(get_instruments_lists_all_or_one_venue),
        cmocka_unit_test(get_snapshot_is_the_params_of_the_data_message),
        cmocka_unit_test(get_snapshot_errors_name_the_market),
        cmocka_unit_test(notification_acts_without_a_reply),
        cmocka_unit_test(every_failed_allocation_fails_out_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
