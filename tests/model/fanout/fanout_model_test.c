/*
 * Streams and subscriptions against a naive model: random markets, random clients, a door that
 * cuts, refuses and delays; every message is judged by what the market was at the seq it names.
 * From time to time all is let to rest: everybody must then hold the newest.
 *
 * Arguments: actions per seed, default 20000.
 */
#include "kit/kit.h"

#include "base/log.h"
#include "base/mem.h"
#include "fanout/fanout.h"
#include "fanout_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLIENTS_MAX = 10,
    SLOTS = 8, /* less than clients: some are refused */
    SEND_BATCH = 3,
    STALL_S = 8,
    BEAT_MS = 700,    /* by default; clients ask for others */
    REST_STEPS = 330, /* a loss told after 1 s, and two heartbeats of 1 s behind it */
    REST_STEP_MS = 10,
};

typedef struct model {
    tf_rng_t rng;
    world_t world;
    judge_t judge;
    fake_io_t *fake;
    tf_fanout_t *fanout;
    tf_stats_t *stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    client_t client[CLIENTS_MAX];
    int64_t silent_until_ns; /* the writer gives no sign of life */
    int64_t away_until_ns;   /* the writer is gone */
    bool stepping;           /* a step must not begin within a step */
    bool memory_short;       /* now and then an allocation fails */
    bool rest_now;           /* what just happened is best seen when nothing follows */
} model_t;

static uint64_t below(model_t *model, uint64_t bound)
{
    return tf_rng_below(&model->rng, bound);
}

/* ---- a turn ---- */

static void clients_look(model_t *model)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        client_t *client = &model->client[i];
        if (client->state == CLIENT_FREE)
            continue;
        client_look(client);
        if (client->reads)
            fake_io_read(model->fake, client->io, SIZE_MAX);
        bool refused = fake_io_refused(model->fake, client->io);
        if (!refused && !fake_io_over(model->fake, client->io))
            continue;
        if (!refused && !client->may_close)
            violation(&model->judge, "client", "cut off for no reason", NULL);
        fake_io_forget(model->fake, client->io);
        client_fini(client);
    }
}

static void memory_fails(model_t *model)
{
    tf_mem_fail_at(1 + below(model, 40));
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        model->client[i].may_close = model->client[i].oom = true;
    model->rest_now = below(model, 8) == 0;
}

static void step(model_t *model, int64_t later_ns)
{
    world_t *world = &model->world;
    world->mono_ns += later_ns;
    world->wall_ns += later_ns;
    if (world->region != NULL && !world->silent && world->mono_ns >= model->silent_until_ns)
        tf_region_heartbeat(world->region, world->mono_ns);
    int64_t wake_in_ns;
    if (model->memory_short && below(model, 20) == 0)
        memory_fails(model);
    (void)tf_fanout_step(model->fanout, world->mono_ns, world->wall_ns, &wake_in_ns);
    assert_true(wake_in_ns >= 0);
    tf_fanout_sleep(model->fanout, 0);
    tf_mem_fail_at(0);
    clients_look(model);
}

static void step_between(void *context)
{
    model_t *model = context;
    if (model->stepping)
        return;
    model->stepping = true;
    step(model, (int64_t)below(model, 2) * TF_NS_PER_MS);
    model->stepping = false;
}

/* ---- clients ---- */

static void client_leave(model_t *model, client_t *client)
{
    static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0xff};
    static const uint8_t code[] = {0x03, 0xe8};
    client->may_close = client->leaving = true;
    switch (below(model, 4)) {
    case 0:
        client_frame(client, 8, code, sizeof code);
        break;
    case 1:
        fake_io_fin(model->fake, client->io);
        break;
    case 2:
        fake_io_reset(model->fake, client->io);
        break;
    default:
        fake_io_put(model->fake, client->io, garbage, sizeof garbage);
        break;
    }
}

static void client_reading(model_t *model, client_t *client)
{
    if (client->reads) {
        client->reads = false;
        client->may_close = true; /* for as long as it likes: it may be too slow */
        fake_io_window(model->fake, client->io, 1 + below(model, 60000));
    } else if (below(model, 3) == 0) {
        client->reads = true;
        fake_io_window(model->fake, client->io,
                       below(model, 2) == 0 ? SIZE_MAX : 500 + below(model, 20000));
    } else {
        fake_io_read(model->fake, client->io, below(model, 4000));
    }
}

static void client_act(model_t *model)
{
    client_t *client = &model->client[below(model, CLIENTS_MAX)];
    uint64_t die = below(model, 1000);
    if (client->state == CLIENT_FREE) {
        if (die < 200)
            (void)client_connect(client, &model->judge, model->fake, BEAT_MS);
    } else if (client->state != CLIENT_OPEN || client->leaving) {
        if (die < 50) {
            client->may_close = client->leaving = true;
            fake_io_fin(model->fake, client->io);
        }
    } else if (die < 300) {
        client_subscribe(client, &model->rng);
    } else if (die < 450) {
        client_unsubscribe(client, &model->rng);
    } else if (die < 600) {
        static const ask_t asks[] = {ASK_PING, ASK_INSTRUMENTS, ASK_SNAPSHOT, ASK_LIST};
        client_ask(client, asks[die % 4], &model->rng);
    } else if (die < 615) {
        client_ask(client, die < 605 ? ASK_UNSUBSCRIBE_ALL : ASK_HEARTBEAT, &model->rng);
    } else if (die < 650) {
        client_ping(client);
    } else if (die < 990) {
        client_reading(model, client);
    } else {
        client_leave(model, client);
    }
}

/* ---- the writer's misfortunes ---- */

static void writer_act(model_t *model)
{
    world_t *world = &model->world;
    switch (below(model, 4)) {
    case 0:
        model->silent_until_ns = world->mono_ns + 1500 * TF_NS_PER_MS;
        break;
    case 1:
        world_writer_start(world);
        break;
    case 2:
        world_writer_stop(world);
        model->away_until_ns = world->mono_ns + (int64_t)below(model, 3000) * TF_NS_PER_MS;
        break;
    default:
        market_flood(world);
        model->rest_now = below(model, 2) == 0;
        break;
    }
}

static void writer_back(model_t *model, bool now)
{
    if (model->world.region == NULL && (now || model->world.mono_ns >= model->away_until_ns))
        world_writer_start(&model->world);
}

/* ---- rest ---- */

static void rest_check(model_t *model, const client_t *client)
{
    if (client->state != CLIENT_OPEN || client->leaving)
        return;
    if (client->pending_count > 0)
        violation(&model->judge, "client", "a request without an answer", NULL);
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (client->held[i].active)
            held_settled(&model->judge, &client->held[i]);
    }
    if (!client->oom)
        client_beats_settled(client);
}

static void rest_steps(model_t *model)
{
    for (int i = 0; i < REST_STEPS; i++)
        step(model, REST_STEP_MS * TF_NS_PER_MS);
}

/* Nothing happens any more: first those that stall still do, and must not be in anybody's way. */
static void rest(model_t *model)
{
    bool memory_short = model->memory_short;
    uint64_t die = below(model, 8);
    model->memory_short = false;
    model->rest_now = false;
    model->silent_until_ns = 0;
    model->world.silent = die == 0;
    if (die == 1)
        world_writer_stop(&model->world);
    else
        writer_back(model, true);
    fake_io_calm(model->fake, true);
    rest_steps(model);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        if (model->client[i].reads)
            rest_check(model, &model->client[i]);
    }
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        client_t *client = &model->client[i];
        if (client->state == CLIENT_FREE)
            continue;
        client->reads = true;
        fake_io_window(model->fake, client->io, SIZE_MAX);
    }
    rest_steps(model);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        client_t *client = &model->client[i];
        rest_check(model, client);
        client->may_close = client->leaving;
        client->oom = false;
    }
    model->world.silent = false;
    fake_io_calm(model->fake, false);
    model->memory_short = memory_short;
}

/* ---- a run ---- */

static void act(model_t *model)
{
    uint64_t die = below(model, 1000);
    if (die < 500)
        market_act(&model->world);
    else if (die < 650)
        client_act(model);
    else if (die < 800)
        step(model, (int64_t)below(model, 4000) * TF_NS_PER_US);
    else if (die < 998)
        step(model, (int64_t)below(model, 400) * TF_NS_PER_US); /* within a batch */
    else if (die < 999)
        step(model, (int64_t)below(model, 400) * TF_NS_PER_MS);
    else if (below(model, 2) == 0)
        writer_act(model);
    writer_back(model, false);
}

static void model_open(model_t *model, uint64_t seed, uint32_t trades_kept)
{
    memset(model, 0, sizeof *model);
    model->rng.state = seed;
    world_init(&model->world, &model->rng, trades_kept);
    model->world.between = step_between;
    model->world.context = model;
    model->judge.world = &model->world;
    world_writer_start(&model->world);
    model->stats = aligned_alloc(TF_CACHE_LINE_BYTES, sizeof *model->stats);
    assert_non_null(model->stats);
    memset(model->stats, 0, sizeof *model->stats);
    model->fake = fake_io_create(seed, SEND_BATCH);
    tf_fanout_config_t config = tf_fanout_config_default;
    config.region = model->world.name;
    config.connections_max = SLOTS;
    config.send_batch = SEND_BATCH;
    config.limits.subscriptions_max = HELD_MAX;
    config.limits.requests_burst = 1000000;
    config.limits.out_pause_bytes = 1500;
    config.limits.stall_ns = STALL_S * TF_NS_PER_S;
    config.limits.heartbeat_ns = BEAT_MS * TF_NS_PER_MS;
    assert_int_equal(tf_fanout_create(&model->fanout, &config, fake_io_door(model->fake),
                                      model->stats, model->closes),
                     TF_OK);
}

static void model_close(model_t *model)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        model->client[i].may_close = true;
    tf_fanout_drain(model->fanout);
    for (int i = 0; i < 1000 && !tf_fanout_drained(model->fanout); i++)
        step(model, REST_STEP_MS * TF_NS_PER_MS);
    assert_true(tf_fanout_drained(model->fanout));
    tf_fanout_destroy(model->fanout);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        client_fini(&model->client[i]);
    world_fini(&model->world);
    free(model->stats);
}

static void tally_print(const model_t *model)
{
    const tally_t *tally = &model->judge.tally;
    printf("snapshots %" PRIu64 " updates %" PRIu64 " states %" PRIu64 " announced %" PRIu64
           " (epochs %" PRIu64 ", scales %" PRIu64 ") lags %" PRIu64 "\n",
           tally->snapshots, tally->updates, tally->states, tally->announces, tally->epochs_changed,
           tally->scales_changed, tally->lags);
    printf("gaps: server %" PRIu64 " (%" PRIu64 " trades), venue %" PRIu64 "; replies %" PRIu64
           " errors %" PRIu64 " pings %" PRIu64 " pongs %" PRIu64 " closes %" PRIu64 "\n",
           tally->gaps_server, tally->trades_lost, tally->gaps_venue, tally->replies, tally->errors,
           tally->pings, tally->pongs, tally->closes);
    printf("lists %" PRIu64 " (updates %" PRIu64 ") heartbeats %" PRIu64 " (quiet %" PRIu64
           ") delisted %" PRIu64 "\n",
           tally->lists, tally->list_updates, tally->beats, tally->quiet, tally->ended);
    static const tf_stat_t stats[] = {TF_STAT_sends_total,       TF_STAT_sends_short_total,
                                      TF_STAT_sends_full_total,  TF_STAT_frames_skipped_total,
                                      TF_STAT_ring_lapped_total, TF_STAT_memory_refused_total};
    for (size_t i = 0; i < sizeof stats / sizeof stats[0]; i++)
        printf("%s %" PRIu64 " ", tf_stat_name(stats[i]), tf_stats_get(model->stats, stats[i]));
    printf("\n");
}

static uint64_t actions = 20000;

static void run(uint64_t fallback_seed, uint32_t trades_kept, bool memory_short)
{
    enum { ACTIONS_PER_REST = 1500 };
    uint64_t memory_before = tf_mem_in_use_bytes();
    uint64_t seed = t_seed(fallback_seed);
    model_t *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model_open(model, seed, trades_kept);
    model->memory_short = memory_short;
    for (uint64_t i = 1; i <= actions; i++) {
        model->judge.action = i;
        act(model);
        if (model->rest_now || i % ACTIONS_PER_REST == 0 || i == actions)
            rest(model);
    }
    tally_print(model);
    assert_true(model->judge.tally.lags > 0 && model->judge.tally.epochs_changed > 0);
    assert_true(model->judge.tally.gaps_server > 0 && model->judge.tally.scales_changed > 0);
    assert_true(model->judge.tally.list_updates > 0 && model->judge.tally.quiet > 0);
    assert_true(model->judge.tally.ended > 0);
    model_close(model);
    free(model);
    assert_int_equal(tf_mem_in_use_bytes(), memory_before);
}

static void every_client_holds_what_the_market_was(void **state)
{
    (void)state;
    run(1, 64, false);
}

static void long_lists_of_missed_trades_come_in_several_frames(void **state)
{
    (void)state;
    run(2, 1024, false);
}

static void nothing_wrong_is_said_when_memory_is_short(void **state)
{
    (void)state;
    run(3, 512, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_holds_what_the_market_was),
        cmocka_unit_test(long_lists_of_missed_trades_come_in_several_frames),
        cmocka_unit_test(nothing_wrong_is_said_when_memory_is_short),
    };
    if (argc > 1)
        actions = strtoull(argv[1], NULL, 0);
    actions = t_rounds(actions);
    tf_rpc_init();
    tf_log_level_set(TF_LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
