#include "kit/kit.h"

#include "app/venues.h"
#include "base/log.h"
#include "unit/region/region_kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct rig {
    tf_stats_t stats;
    tf_region_t *region;
    tf_ingest_t *ingest;
    tf_links_t *links;
    char name[TF_REGION_NAME_BYTES_MAX];
    char recording[512];
} rig_t;

static rig_t rig;

static void recording_write(void)
{
    (void)snprintf(rig.recording, sizeof rig.recording, "%s/a:b.ndjson", t_scratch_dir());
    FILE *file = fopen(rig.recording, "w");
    assert_non_null(file);
    (void)fputs(
        "{\"type\":\"heartbeat\",\"last_trade_id\":1,\"product_id\":\"BTC-USD\",\"sequence\":2,"
        "\"time\":\"2026-07-07T22:58:18.000000Z\"}\n",
        file);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    tf_log_level_set(TF_LOG_OFF);
    (void)snprintf(rig.name, sizeof rig.name, "app-venues-%d", (int)getpid());
    tf_region_config_t config = tf_region_config_default;
    config.name = rig.name;
    config.image_depth = 10;
    config.ring_bytes = 1 << 20;
    assert_int_equal(tf_region_create(&rig.region, &config, &tf_clock_system, &rig.stats), TF_OK);
    assert_int_equal(tf_ingest_create(&rig.ingest, rig.region, &tf_clock_system, &rig.stats),
                     TF_OK);
    assert_int_equal(tf_links_create(&rig.links, &tf_clock_system, &rig.stats), TF_OK);
    recording_write();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tf_ingest_destroy(rig.ingest);
    tf_links_destroy(rig.links);
    tf_region_close(rig.region, true);
    t_region_erase(rig.name);
    return 0;
}

static void good(const char *text)
{
    if (tf_venue_add(rig.ingest, rig.links, text) != TF_OK)
        fail_msg("%s", tf_error_text());
}

static void bad(const char *text, const char *named)
{
    assert_int_not_equal(tf_venue_add(rig.ingest, rig.links, text), TF_OK);
    assert_non_null(strstr(tf_error_text(), text));
    if (strstr(tf_error_text(), named) == NULL)
        fail_msg("\"%s\" does not name \"%s\"", tf_error_text(), named);
}

static void simulated_venues_take_keys(void **state)
{
    (void)state;
    good("sim:seed=7,instruments=3,updates_per_s=1.5,trades_per_s=0.5,depth=20,burst_every_s=0,"
         "burst_factor=2");
}

static void recordings_take_speed_and_loop_and_names_with_colons(void **state)
{
    (void)state;
    char text[600];
    static const char *const endings[] = {"", ":speed=max", ":speed=2.5,loop=yes", ":loop=no"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        (void)snprintf(text, sizeof text, "replay:coinbase:%s%s", rig.recording, endings[i]);
        good(text);
    }
}

static void live_venues_take_symbols_and_keys_or_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "coinbase",
        "coinbase:BTC-USD",
        "coinbase:BTC-USD,ETH-USD",
        "coinbase:url=wss://venue.example:9443/feed",
        "coinbase:BTC-USD,ETH-USD:silence_ms=5000",
        "coinbase:SOL-USD:url=wss://127.0.0.1/x?y=z,silence_ms=1,connect_ms=20000,ping_ms=1000",
        "coinbase:SOL-USD:backoff_min_ms=1,backoff_max_ms=3600000",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        good(texts[i]);
        assert_int_equal(tf_links_count(rig.links), i + 1);
    }
}

static void mistakes_in_live_venues_are_named(void **state)
{
    (void)state;
    bad("coinbase:", "empty symbol");
    bad("coinbase:BTC-USD,", "empty symbol");
    bad("coinbase:,BTC-USD", "empty symbol");
    bad("coinbase::silence_ms=1", "empty symbol");
    bad("coinbase:BTCUSD", "\"BTCUSD\" is not a symbol");
    bad("coinbase:btc-usd", "\"btc-usd\"");
    bad("coinbase:BTC-USD:fast", "\"fast\"");
    bad("coinbase:BTC-USD:speed=2", "\"speed=2\"");
    bad("coinbase:silence_ms=soon", "\"silence_ms=soon\"");
    bad("coinbase:silence_ms=", "\"silence_ms=\"");
    bad("coinbase:silence_ms=1.5", "\"silence_ms=1.5\"");
    bad("coinbase:silence_ms=-1", "\"silence_ms=-1\"");
    bad("coinbase:silence_ms=0", "silence_ms must be");
    bad("coinbase:connect_ms=99999", "connect_ms must be 1 to 20000");
    bad("coinbase:ping_ms=99999999999999999999", "\"ping_ms=99999999999999999999\"");
    bad("coinbase:backoff_min_ms=500,backoff_max_ms=400", "backoff_max_ms");
    bad("coinbase:url=", "\"url=\"");
    bad("coinbase:url=ws://venue.example", "expected wss://");
    bad("coinbase:ca=/no/such/file", "/no/such/file");
    assert_int_equal(tf_links_count(rig.links), 0);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    char text[600];
    bad("", "expected sim");
    bad("nasdaq", "expected sim");
    bad("sim:speed=3", "\"speed=3\"");
    bad("sim:depth", "\"depth\"");
    bad("sim:depth=many", "\"depth=many\"");
    bad("sim:instruments=0", "instruments");
    bad("replay", "expected sim");
    bad("replay:coinbase", "replay:VENUE:FILE");
    bad("replay:nasdaq:/tmp/x", "\"nasdaq\"");
    bad("replay:coinbase:/no/such/file", "/no/such/file");
    (void)snprintf(text, sizeof text, "replay:coinbase:%s:speed=0", rig.recording);
    bad(text, "\"speed=0\"");
    (void)snprintf(text, sizeof text, "replay:coinbase:%s:loop=maybe", rig.recording);
    bad(text, "\"loop=maybe\"");
    (void)snprintf(text, sizeof text, "replay:coinbase:%s:pace=1", rig.recording);
    bad(text, "\"pace=1\"");
}

static void the_name_clients_see_is_known_from_the_text(void **state)
{
    (void)state;
    char name[TF_VENUE_BYTES_MAX];
    tf_venue_name("sim:seed=1", name);
    assert_string_equal(name, "sim");
    tf_venue_name("coinbase:BTC-USD:ping_ms=1", name);
    assert_string_equal(name, "coinbase");
    tf_venue_name("replay:coinbase:/tmp/x:speed=2", name);
    assert_string_equal(name, "coinbase");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(simulated_venues_take_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(recordings_take_speed_and_loop_and_names_with_colons, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(live_venues_take_symbols_and_keys_or_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mistakes_in_live_venues_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_named, setup, teardown),
        cmocka_unit_test(the_name_clients_see_is_known_from_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
