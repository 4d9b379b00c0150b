/*
 * Clients that read and clients that do not, step by step: who is slow is told so, is brought up to
 * date, is cut off in the end, and never in anybody's way.
 */
#include "kit/kit.h"

#include "base/log.h"
#include "fanout/fanout.h"
#include "fanout_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 2, HEALTHY = 0, STALLED = 1, STEP_MS = 2 };

static const char channel_raw[] = "book.sim.BTC-USD.10.raw";
static const char channel_slow[] = "book.sim.BTC-USD.10.1s";

typedef struct rig {
    tf_rng_t rng;
    world_t world;
    judge_t judge;
    fake_io_t *fake;
    tf_fanout_t *fanout;
    tf_stats_t *stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    client_t client[CLIENTS];
} rig_t;

static void step(rig_t *rig)
{
    world_t *world = &rig->world;
    int64_t wake_in_ns;
    world->mono_ns += STEP_MS * TF_NS_PER_MS;
    world->wall_ns += STEP_MS * TF_NS_PER_MS;
    if (world->region != NULL)
        tf_region_heartbeat(world->region, world->mono_ns);
    (void)tf_fanout_step(rig->fanout, world->mono_ns, world->wall_ns, &wake_in_ns);
    tf_fanout_sleep(rig->fanout, 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (rig->client[i].state == CLIENT_FREE)
            continue;
        client_look(&rig->client[i]);
        if (rig->client[i].reads)
            fake_io_read(rig->fake, rig->client[i].io, SIZE_MAX);
    }
}

static void steps(rig_t *rig, int64_t ms)
{
    for (int64_t i = 0; i < ms / STEP_MS; i++)
        step(rig);
}

static void subscribe(client_t *client, const char *channel)
{
    char text[256];
    int bytes =
        snprintf(text, sizeof text,
                 "{\"id\":%llu,\"method\":\"subscribe\",\"params\":{\"channels\":[\"%s\"]}}",
                 (unsigned long long)client->id_next, channel);
    client->pending[client->pending_count++] = (pending_t){client->id_next++, ASK_SUBSCRIBE, 1};
    client_frame(client, 1, text, (size_t)bytes);
}

/* A live market with a book, and both clients subscribed to both channels. */
static void rig_open(rig_t *rig)
{
    memset(rig, 0, sizeof *rig);
    world_init(&rig->world, &rig->rng, 64);
    rig->world.lasting = true;
    rig->judge.world = &rig->world;
    world_writer_start(&rig->world);
    market_add(&rig->world, 0);
    const market_t *market = &world_epoch(&rig->world)->market[0];
    while (market->states[market->state_count - 1].state != TF_STATE_LIVE)
        market_act(&rig->world);
    rig->stats = aligned_alloc(TF_CACHE_LINE_BYTES, sizeof *rig->stats);
    assert_non_null(rig->stats);
    memset(rig->stats, 0, sizeof *rig->stats);
    rig->fake = fake_io_create(1, 64);
    fake_io_calm(rig->fake, true);
    tf_fanout_config_t config = tf_fanout_config_default;
    config.region = rig->world.name;
    config.connections_max = CLIENTS;
    config.send_batch = 64;
    assert_int_equal(
        tf_fanout_create(&rig->fanout, &config, fake_io_door(rig->fake), rig->stats, rig->closes),
        TF_OK);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        assert_true(client_connect(&rig->client[i], &rig->judge, rig->fake, 0));
        subscribe(&rig->client[i], channel_raw);
        subscribe(&rig->client[i], channel_slow);
    }
    steps(rig, 20);
}

static void rig_close(rig_t *rig)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig->client[i].may_close = rig->client[i].reads = true;
    tf_fanout_drain(rig->fanout);
    steps(rig, 4000);
    assert_true(tf_fanout_drained(rig->fanout));
    tf_fanout_destroy(rig->fanout);
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_fini(&rig->client[i]);
    world_fini(&rig->world);
    free(rig->stats);
}

static held_t *held(rig_t *rig, uint32_t client, const char *channel)
{
    held_t *found = client_held(&rig->client[client], channel);
    assert_non_null(found);
    return found;
}

/* One visible change of the market. */
static void change(rig_t *rig)
{
    const market_t *market = &world_epoch(&rig->world)->market[0];
    uint64_t before = market->book.at[market->book.count - 1].hash[DEPTH_10];
    while (market->book.at[market->book.count - 1].hash[DEPTH_10] == before ||
           market->states[market->state_count - 1].state != TF_STATE_LIVE)
        market_act(&rig->world);
}

static void stall(rig_t *rig, size_t window)
{
    rig->client[STALLED].reads = false;
    fake_io_window(rig->fake, rig->client[STALLED].io, window);
}

static void read_again(rig_t *rig)
{
    rig->client[STALLED].reads = true;
    fake_io_window(rig->fake, rig->client[STALLED].io, SIZE_MAX);
}

static void who_stalls_is_in_nobodys_way(void **state)
{
    (void)state;
    rig_t *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig_open(rig);
    stall(rig, 100);
    for (int i = 0; i < 200; i++) {
        change(rig);
        step(rig);
        held_settled(&rig->judge, held(rig, HEALTHY, channel_raw));
    }
    uint64_t stood = held(rig, STALLED, channel_raw)->seq;
    assert_true(held(rig, HEALTHY, channel_raw)->seq > stood + 100);
    read_again(rig);
    steps(rig, 10);
    held_settled(&rig->judge, held(rig, STALLED, channel_raw));
    rig_close(rig);
    free(rig);
}

/* Behind for a turn of 2 ms at least: more than the batch of 1 ms that stands for a period of raw.
 */
static void lag_is_told_to_who_was_behind_for_longer_than_a_period(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms <= 2400; ms += 300) {
        rig_t *rig = calloc(1, sizeof *rig);
        assert_non_null(rig);
        rig_open(rig);
        stall(rig, 0);
        steps(rig, 1200); /* the slow stream is ready to emit */
        change(rig);
        step(rig); /* refused: both are behind from here on */
        change(rig);
        steps(rig, ms);
        uint64_t lags = rig->judge.tally.lags;
        assert_int_equal(lags, 0);
        read_again(rig);
        steps(rig, 10);
        lags = tf_stats_get(rig->stats, TF_STAT_lag_notices_total);
        assert_int_equal(rig->judge.tally.lags, lags);
        assert_int_equal(lags, ms <= 900 ? 1 : 2);
        rig_close(rig);
        free(rig);
    }
}

static void a_socket_that_takes_nothing_for_30_s_is_cut_off(void **state)
{
    (void)state;
    rig_t *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig_open(rig);
    stall(rig, 10);
    change(rig);
    steps(rig, 29000);
    assert_false(fake_io_over(rig->fake, rig->client[STALLED].io));
    steps(rig, 1600);
    assert_true(fake_io_over(rig->fake, rig->client[STALLED].io));
    assert_false(fake_io_over(rig->fake, rig->client[HEALTHY].io));
    assert_int_equal(atomic_load(&rig->closes[TF_WS_CLOSE_TOO_SLOW]), 1);
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_subscriptions), 2);
    rig_close(rig);
    free(rig);
}

/* Who reads is told; who does not is cut when the time for draining is over. */
static void draining_says_goodbye_and_ends(void **state)
{
    (void)state;
    rig_t *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig_open(rig);
    stall(rig, 0);
    change(rig);
    step(rig);
    rig->client[HEALTHY].may_close = rig->client[STALLED].may_close = true;
    tf_fanout_drain(rig->fanout);
    assert_false(tf_fanout_drained(rig->fanout));
    step(rig);
    assert_int_equal(rig->client[HEALTHY].state, CLIENT_CLOSED);
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_subscriptions), 0);
    steps(rig, 4000);
    assert_true(tf_fanout_drained(rig->fanout));
    assert_int_equal(atomic_load(&rig->closes[TF_WS_CLOSE_GOING_AWAY]), 2);
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_streams), 0);
    rig_close(rig);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stalls_is_in_nobodys_way),
        cmocka_unit_test(lag_is_told_to_who_was_behind_for_longer_than_a_period),
        cmocka_unit_test(a_socket_that_takes_nothing_for_30_s_is_cut_off),
        cmocka_unit_test(draining_says_goodbye_and_ends),
    };
    tf_log_level_set(TF_LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
