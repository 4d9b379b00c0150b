/* Methods that are about the connection and not about one channel, and channels of a venue. */
#include "kit/kit.h"

#include "base/clock.h"
#include "session/session.h"
#include "unit/session/methods_rig.h"

static void time_is_the_servers_clock(void **state)
{
    (void)state;
    answers("time", NULL, "\"result\":{\"time\":2}", "");
    answers("time", "{\"any\":1}", "\"result\":{\"time\":2}", "");
}

static void unsubscribe_all_lists_what_was_ended(void **state)
{
    (void)state;
    answers("unsubscribe_all", NULL,
            "\"result\":{\"unsubscribed\":[\"bbo.coinbase.BTC-USD.raw\",\"status.coinbase\"]}",
            "!unsubscribe_all");
    host_t host = {.empty = true};
    with_host(&host, "unsubscribe_all", "{\"channels\":7}", "\"result\":{\"unsubscribed\":[]}",
              "!unsubscribe_all");
    host_fini(&host);
}

static void list_subscriptions_has_the_hosts_entries(void **state)
{
    (void)state;
    answers("list_subscriptions", "{}", "\"result\":{\"subscriptions\":[{\"sid\":1},{\"sid\":2}]}",
            "!subscriptions");
    host_t host = {.empty = true};
    with_host(&host, "list_subscriptions", NULL, "\"result\":{\"subscriptions\":[]}",
              "!subscriptions");
    host_fini(&host);
}

static void what_the_host_could_not_make_is_an_internal_error(void **state)
{
    (void)state;
    static const char *const calls[][2] = {{"unsubscribe_all", NULL},
                                           {"list_subscriptions", NULL},
                                           {"get_snapshot", "{\"channel\":\"status.sim\"}"}};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        host_t host = {.broken = true};
        with_host(&host, calls[i][0], calls[i][1],
                  "\"error\":{\"code\":-32603,\"message\":\"Internal error\","
                  "\"data\":{\"retryable\":true}}",
                  NULL);
        host_fini(&host);
    }
}

static void set_heartbeat_tells_the_interval_in_force(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        const char *told;
        uint32_t ms;
    } rows[] = {
        {"0", "0", 0},
        {"0.0", "0", 0},
        {"-0.0", "0", 0},
        {"1", "1", 1000},
        {"1.0", "1", 1000},
        {"1.5", "1.5", 1500},
        {"1.05", "1.05", 1050},
        {"1.001", "1.001", 1001},
        {"2.0004", "2", 2000},
        {"2.0006", "2.001", 2001},
        {"0.9996", "1", 1000},
        {"15e0", "15", 15000},
        {"3600", "3600", 3600000},
        {"3599.9", "3599.9", 3599900},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char params[64];
        char tail[64];
        char asked[64];
        snprintf(params, sizeof params, "{\"interval_s\":%s,\"unknown\":[]}", rows[i].asked);
        snprintf(tail, sizeof tail, "\"result\":{\"interval_s\":%s}", rows[i].told);
        snprintf(asked, sizeof asked, "!heartbeat %u", rows[i].ms);
        answers("set_heartbeat", params, tail, asked);
    }
}

static void an_interval_out_of_range_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const found[][2] = {
        {"0.9994", "the number 0.9994"},
        {"1e-9", "the number 1e-09"},
        {"-1", "the number -1"},
        {"3601", "the number 3601"},
        {"3600.0001", "the number 3600.0001"},
        {"1e300", "the number 1e+300"},
        {"9223372036854775807", "the number 9223372036854775807"},
        {"\"15\"", "a string \\\"15\\\""},
        {"null", "null"},
        {"true", "true"},
        {"[1]", "an array"},
    };
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        char params[64];
        char reason[160];
        snprintf(params, sizeof params, "{\"interval_s\":%s}", found[i][0]);
        snprintf(reason, sizeof reason,
                 "interval_s is %s; it can be 0 for none, or 1 to 3600 seconds", found[i][1]);
        invalid("set_heartbeat", params, reason);
    }
    invalid("set_heartbeat", NULL,
            "interval_s is missing; it can be 0 for none, or 1 to 3600 seconds");
}

static void a_server_with_a_shorter_interval_allows_it_to_clients(void **state)
{
    (void)state;
    host_t host = {.heartbeat_min_ms = 250};
    with_host(&host, "set_heartbeat", "{\"interval_s\":0.25}", "\"result\":{\"interval_s\":0.25}",
              "!heartbeat 250");
    host_fini(&host);
    host = (host_t){.heartbeat_min_ms = 250};
    with_host(&host, "set_heartbeat", "{\"interval_s\":0.2}",
              "\"error\":{\"code\":-32602,\"message\":\"Invalid params\",\"data\":{\"reason\":"
              "\"interval_s is the number 0.2; it can be 0 for none, or 0.25 to 3600 seconds\"}}",
              "");
    host_fini(&host);
}

static void heartbeats_may_be_asked_for_every_second_or_as_often_as_the_servers(void **state)
{
    (void)state;
    static const struct {
        int64_t server_ns;
        uint32_t min_ms;
    } rows[] = {{0, 1000},           {15 * TF_NS_PER_S, 1000},
                {TF_NS_PER_S, 1000}, {999 * TF_NS_PER_MS, 999},
                {TF_NS_PER_MS, 1},   {1, 1},
                {-1, 1000},          {INT64_MAX, 1000}};
    tf_session_limits_t limits = TF_SESSION_LIMITS_DEFAULT;
    assert_int_equal(limits.heartbeat_ns, 15 * TF_NS_PER_S);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        limits.heartbeat_ns = rows[i].server_ns;
        assert_int_equal(tf_session_heartbeat_min_ms(&limits), rows[i].min_ms);
    }
}

#define VENUE_ENTRY(channel)                                                                       \
    "{\"channel\":\"" channel "\",\"sid\":1041,\"epoch\":\"k3f9\",\"seq\":918270,"                 \
    "\"recovered\":null}"

static void channels_of_a_venue_ignore_rate_and_depth_beside_them(void **state)
{
    (void)state;
    answers("subscribe",
            "{\"channels\":[\"status.coinbase\",\"instruments.coinbase\",\"status.kraken\"],"
            "\"rate\":\"1s\",\"depth\":50}",
            "\"result\":{\"subscribed\":[" VENUE_ENTRY("status.coinbase") "," VENUE_ENTRY(
                "instruments.coinbase") "],\"failed\":[{\"channel\":\"status.kraken\","
                                        "\"code\":2002,\"message\":\"unknown venue\","
                                        "\"retryable\":true}]}",
            "+status.coinbase+instruments.coinbase+status.kraken");
    answers("unsubscribe", "{\"channels\":[\"status.coinbase\"],\"rate\":\"100ms\"}",
            "\"result\":{\"unsubscribed\":[\"status.coinbase\"],\"failed\":[]}",
            "-status.coinbase");
}

static void channels_of_a_venue_have_snapshots(void **state)
{
    (void)state;
    answers("get_snapshot", "{\"channel\":\"instruments.coinbase\",\"rate\":\"1s\"}",
            "\"result\":{\"channel\":\"instruments.coinbase\"}", "?instruments.coinbase");
    host_t host = {.empty = true};
    with_host(&host, "get_snapshot", "{\"channel\":\"status.coinbase\"}",
              "\"error\":{\"code\":4003,\"message\":\"no snapshot yet\",\"data\":{\"reason\":"
              "\"nothing is known of coinbase yet\",\"retryable\":true}}",
              NULL);
    host_fini(&host);
    answers(
        "get_snapshot", "{\"channel\":\"status.kraken\"}",
        "\"error\":{\"code\":2002,\"message\":\"unknown venue\",\"data\":{\"reason\":\"there is "
        "no venue kraken; get_instruments lists what there is\",\"retryable\":true}}",
        NULL);
}

static void resuming_a_venues_channel_is_not_recovered(void **state)
{
    (void)state;
    answers("subscribe",
            "{\"channels\":[\"status.coinbase\"],"
            "\"resume\":{\"status.coinbase\":{\"epoch\":\"k3f9\",\"seq\":1}}}",
            "\"result\":{\"subscribed\":[{\"channel\":\"status.coinbase\",\"sid\":1041,"
            "\"epoch\":\"k3f9\",\"seq\":918270,\"recovered\":false,\"code\":4001}],\"failed\":[]}",
            "+status.coinbase");
}

/* The same code and reason as an entry of `failed` and as the error of get_snapshot. */
static void name_refused(const char *name, const char *code_and_message, const char *reason,
                         bool retryable)
{
    char params[128];
    char tail[512];
    const char *retry = retryable ? "true" : "false";
    snprintf(params, sizeof params, "{\"channels\":[\"%s\"]}", name);
    snprintf(tail, sizeof tail,
             "\"result\":{\"subscribed\":[],\"failed\":[{\"channel\":\"%s\",%s,\"retryable\":%s,"
             "\"reason\":\"%s\"}]}",
             name, code_and_message, retry, reason);
    answers("subscribe", params, tail, "");
    snprintf(params, sizeof params, "{\"channel\":\"%s\"}", name);
    snprintf(tail, sizeof tail, "\"error\":{%s,\"data\":{\"reason\":\"%s\",\"retryable\":%s}}",
             code_and_message, reason, retry);
    answers("get_snapshot", params, tail, "");
}

static void wrong_names_of_a_venues_channel_are_told_what_is_wrong(void **state)
{
    (void)state;
    static const char *const longer[] = {"status.coinbase.BTC-USD", "status.coinbase.raw",
                                         "instruments.coinbase.", "instruments.coinbase.10.raw"};
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++)
        name_refused(longer[i], "\"code\":2006,\"message\":\"option not supported\"",
                     "instruments and status are a venue's: nothing follows its name", false);
    static const char *const wild[] = {"status.*", "instruments.*", "status.coinbase.*",
                                       "status.*.BTC-USD"};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        name_refused(wild[i], "\"code\":2004,\"message\":\"wildcards are not offered\"",
                     "name every venue and instrument; get_instruments lists them", false);
    static const char *const without[] = {"status", "status.", "instruments.", "status.Coinbase",
                                          "book"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        name_refused(without[i], "\"code\":2002,\"message\":\"unknown venue\"",
                     "a channel is kind.venue.symbol, instruments.venue or status.venue, the venue "
                     "in lower case",
                     true);
}

static void every_failed_allocation_fails_out_and_leaks_nothing(void **state)
{
    (void)state;
    survives_failed_allocations(
        "[{\"id\":1,\"method\":\"time\"},{\"id\":2,\"method\":\"unsubscribe_all\"},"
        "{\"id\":3,\"method\":\"list_subscriptions\",\"params\":{}},"
        "{\"id\":4,\"method\":\"set_heartbeat\",\"params\":{\"interval_s\":15}},"
        "{\"id\":5,\"method\":\"set_heartbeat\",\"params\":{\"interval_s\":0.5}},"
        "{\"id\":6,\"method\":\"get_snapshot\",\"params\":{\"channel\":\"status.coinbase\"}}]",
        6);
}

int main(void)
{
    t_panic_to_cmocka();
    tf_rpc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_the_servers_clock),
        cmocka_unit_test(unsubscribe_all_lists_what_was_ended),
        cmocka_unit_test(list_subscriptions_has_the_hosts_entries),
        cmocka_unit_test(what_the_host_could_not_make_is_an_internal_error),
        cmocka_unit_test(set_heartbeat_tells_the_interval_in_force),
        cmocka_unit_test(an_interval_out_of_range_is_refused_and_changes_nothing),
        cmocka_unit_test(a_server_with_a_shorter_interval_allows_it_to_clients),
        cmocka_unit_test(heartbeats_may_be_asked_for_every_second_or_as_often_as_the_servers),
        cmocka_unit_test(channels_of_a_venue_ignore_rate_and_depth_beside_them),
        cmocka_unit_test(channels_of_a_venue_have_snapshots),
        cmocka_unit_test(resuming_a_venues_channel_is_not_recovered),
        cmocka_unit_test(wrong_names_of_a_venues_channel_are_told_what_is_wrong),
        cmocka_unit_test(every_failed_allocation_fails_out_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
