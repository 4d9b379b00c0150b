#include "kit/kit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "market/instrument.h"
#include "sim_consumer.h"
#include "venue/source.h"

#include <stdlib.h>
#include <string.h>

static void a_naive_consumer_finds_books_trades_tickers_and_heartbeats_consistent(void **state)
{
    (void)state;
    tf_sim_config_t config = tf_sim_config_default;
    world_t world;
    config.seed = t_seed(1);
    world_open(&world, &config);
    run_until(&world, 0);
    assert_int_equal(world.bodies, 1);
    assert_int_equal(world.opened, 1);
    assert_int_equal(world.frames, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, 20 * TF_NS_PER_S);
    assert_int_equal(world.acknowledgements, 1);
    for (uint32_t i = 0; i < world.markets; i++) {
        const market_t *market = &world.market[i];
        assert_int_equal(market->snapshots, 1);
        assert_int_equal(market->last_matches, 1);
        assert_int_equal(market->heartbeats, 20);
        assert_true(market->updates > 20 && market->matches > 0);
        assert_int_equal(market->tickers, market->orders + 1);
        assert_in_range(market->entries, config.depth, 4 * config.depth);
    }
    world_close(&world);
}

static void rates_come_out_as_configured_bursts_included(void **state)
{
    (void)state;
    const tf_sim_config_t config = {.seed = t_seed(1),
                                    .instruments = 15,
                                    .updates_per_s = 8,
                                    .trades_per_s = 1.5,
                                    .depth = 20,
                                    .burst_every_s = 4,
                                    .burst_factor = 8};
    const int64_t seconds = 400;
    world_t world;
    world_open(&world, &config);
    run_until(&world, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, seconds * TF_NS_PER_S);
    size_t updates = 0;
    size_t changes = 0;
    size_t matches = 0;
    size_t orders = 0;
    for (uint32_t i = 0; i < world.markets; i++) {
        updates += world.market[i].updates;
        changes += world.market[i].changes;
        matches += world.market[i].matches;
        orders += world.market[i].orders;
    }
    const double each = (double)(seconds * config.instruments);
    print_message("per second and instrument: updates %.2f trades %.2f; changes per update %.2f, "
                  "matches per order %.2f\n",
                  (double)updates / each, (double)matches / each, (double)changes / (double)updates,
                  (double)matches / (double)orders);
    assert_true((double)updates / each > 6.4 && (double)updates / each < 9.6);
    assert_true((double)matches / each > 1.2 && (double)matches / each < 1.8);
    world_close(&world);
}

static char *transcript_of(uint64_t seed, int64_t step_ns, int64_t wall_start_ns, size_t *bytes)
{
    tf_sim_config_t config = tf_sim_config_default;
    world_t world;
    config.seed = seed;
    config.burst_every_s = 3;
    world_open(&world, &config);
    world.step_ns = step_ns;
    world.wall_start_ns = wall_start_ns;
    world.transcript_room = 1 << 20;
    world.transcript = malloc(world.transcript_room);
    assert_non_null(world.transcript);
    run_until(&world, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, 6 * TF_NS_PER_S);
    char *transcript = world.transcript;
    *bytes = world.transcript_bytes;
    world.transcript = NULL;
    world_close(&world);
    return transcript;
}

static void frames_do_not_depend_on_how_often_they_are_polled(void **state)
{
    (void)state;
    const uint64_t seed = t_seed(7);
    size_t bytes;
    size_t other_bytes;
    char *transcript = transcript_of(seed, 0, WALL_START, &bytes);
    const int64_t steps_ns[] = {7 * TF_NS_PER_MS, 250 * TF_NS_PER_MS, 999 * TF_NS_PER_MS};
    for (size_t i = 0; i < 3; i++) {
        char *other = transcript_of(seed, steps_ns[i], WALL_START, &other_bytes);
        assert_int_equal(other_bytes, bytes);
        assert_memory_equal(other, transcript, bytes);
        free(other);
    }
    /* 31 days later the frames differ in the month alone. */
    char *later = transcript_of(seed, 0, WALL_START + 31LL * 86400 * TF_NS_PER_S, &other_bytes);
    assert_int_equal(other_bytes, bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (later[i] != transcript[i]) {
            assert_memory_equal(later + i - 6, "2026-08-07T1", 12);
            assert_memory_equal(transcript + i - 6, "2026-07-07T1", 12);
        }
    }
    char *other = transcript_of(seed + 1, 0, WALL_START, &other_bytes);
    assert_true(other_bytes != bytes || memcmp(other, transcript, bytes) != 0);
    free(other);
    free(later);
    free(transcript);
}

static void a_consumer_that_falls_behind_loses_time_not_memory(void **state)
{
    (void)state;
    world_t world;
    world_open(&world, &tf_sim_config_default);
    run_until(&world, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, TF_NS_PER_S);
    const size_t before = world.frames;
    tf_log_level_set(TF_LOG_OFF);
    world.mono_ns = 3600 * TF_NS_PER_S;
    run_until(&world, 3601 * TF_NS_PER_S);
    tf_log_level_set(TF_LOG_INFO);
    assert_true(world.frames - before < 8000);
    world_close(&world);
}

static void three_hundred_instruments_stay_consistent(void **state)
{
    (void)state;
    tf_sim_config_t config = tf_sim_config_default;
    config.instruments = 300;
    config.depth = 50;
    world_t world;
    world_open(&world, &config);
    run_until(&world, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, 10 * TF_NS_PER_S);
    assert_int_equal(world.market[299].heartbeats, 10);
    assert_true(world.frames > (size_t)300 * 10 * 5);
    world_close(&world);
}

/* Four seconds of such a venue hold together. Returns the matches of the first instrument. */
static size_t play(tf_sim_config_t config)
{
    world_t world;
    world_open(&world, &config);
    run_until(&world, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, 4 * TF_NS_PER_S);
    assert_int_equal(world.market[0].heartbeats, 4);
    assert_true(world.market[0].updates == 0 || config.updates_per_s > 0);
    const size_t matches = world.market[0].matches;
    world_close(&world);
    return matches;
}

static void the_extremes_of_the_configuration_work(void **state)
{
    (void)state;
    tf_sim_config_t config = {.seed = 0, .instruments = 1, .depth = 5, .burst_factor = 1};
    assert_int_equal(play(config), 0);
    config = (tf_sim_config_t){.seed = UINT64_MAX,
                               .instruments = 2,
                               .updates_per_s = 1000,
                               .depth = 5,
                               .burst_every_s = 0.5,
                               .burst_factor = 100};
    assert_int_equal(play(config), 0);
    config = (tf_sim_config_t){.seed = 3,
                               .instruments = 40,
                               .updates_per_s = 5,
                               .trades_per_s = 100,
                               .depth = 5,
                               .burst_every_s = 1,
                               .burst_factor = 3};
    assert_true(play(config) > 0);
    config = (tf_sim_config_t){.seed = 4,
                               .instruments = 25,
                               .updates_per_s = 10,
                               .trades_per_s = 10,
                               .depth = 1000,
                               .burst_factor = 8};
    assert_true(play(config) > 0);
}

static void expect_refusal(tf_sim_config_t config, const char *key)
{
    tf_source_t *source = (tf_source_t *)1;
    assert_int_equal(tf_sim_open(&source, &config), TF_ERR_ARG);
    assert_null(source);
    assert_non_null(strstr(tf_error_text(), key));
}

static void values_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    const tf_sim_config_t good = tf_sim_config_default;
    tf_sim_config_t bad;
    const uint64_t before = tf_mem_in_use_bytes();
    bad = good;
    bad.instruments = 0;
    expect_refusal(bad, "instruments 0: must be 1..2000");
    bad = good;
    bad.instruments = 2001;
    expect_refusal(bad, "instruments");
    bad = good;
    bad.depth = 4;
    expect_refusal(bad, "depth");
    bad = good;
    bad.depth = 1001;
    expect_refusal(bad, "depth");
    bad = good;
    bad.updates_per_s = -1;
    expect_refusal(bad, "updates_per_s");
    bad = good;
    bad.trades_per_s = strtod("nan", NULL);
    expect_refusal(bad, "trades_per_s");
    bad = good;
    bad.burst_every_s = strtod("inf", NULL);
    expect_refusal(bad, "burst_every_s");
    bad = good;
    bad.burst_factor = 0.5;
    expect_refusal(bad, "burst_factor");
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void failing_allocations_leak_nothing_and_end_in_success(void **state)
{
    (void)state;
    const uint64_t before = tf_mem_in_use_bytes();
    tf_status_t status = TF_ERR_MEMORY;
    uint64_t nth = 0;
    while (status == TF_ERR_MEMORY) {
        tf_source_t *source = NULL;
        tf_mem_fail_at(++nth);
        status = tf_sim_open(&source, &tf_sim_config_default);
        tf_mem_fail_at(0);
        if (status == TF_OK) {
            source->ops->destroy(source);
        }
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_int_equal(status, TF_OK);
    assert_true(nth > 4);
}

static void symbols_are_familiar_first_and_canonical_always(void **state)
{
    (void)state;
    char symbol[TF_SYMBOL_BYTES_MAX];
    char other[TF_SYMBOL_BYTES_MAX];
    tf_sim_symbol(0, symbol);
    assert_string_equal(symbol, "BTC-USD");
    tf_sim_symbol(40, symbol);
    assert_string_equal(symbol, "S0041-USD");
    for (uint32_t i = 0; i < 2000; i++) {
        tf_sim_symbol(i, symbol);
        assert_true(tf_symbol_split(symbol, strlen(symbol), NULL, NULL));
        for (uint32_t k = 0; k < i; k += i < 100 ? 1 : 97) {
            tf_sim_symbol(k, other);
            assert_string_not_equal(symbol, other);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_naive_consumer_finds_books_trades_tickers_and_heartbeats_consistent),
        cmocka_unit_test(rates_come_out_as_configured_bursts_included),
        cmocka_unit_test(frames_do_not_depend_on_how_often_they_are_polled),
        cmocka_unit_test(a_consumer_that_falls_behind_loses_time_not_memory),
        cmocka_unit_test(three_hundred_instruments_stay_consistent),
        cmocka_unit_test(the_extremes_of_the_configuration_work),
        cmocka_unit_test(values_out_of_range_are_refused_by_name),
        cmocka_unit_test(failing_allocations_leak_nothing_and_end_in_success),
        cmocka_unit_test(symbols_are_familiar_first_and_canonical_always),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
