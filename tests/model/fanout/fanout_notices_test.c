/*
 * What a server says of its own accord, step by step: heartbeats that prove silence, the end of a
 * delisted market's subscriptions, venues' channels; and that nobody is always served last.
 */
#include "kit/kit.h"

#include "base/log.h"
#include "fanout/fanout.h"
#include "fanout_client.h"
#include "market/instrument.h"
#include "region/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 8, STEP_MS = 10, BEAT_MS = 1000, SWEEP_MS = 250 };

static const char channel_bbo[] = "bbo.sim.BTC-USD.raw";
static const char channel_trades[] = "trades.sim.BTC-USD.raw";
static const char channel_book[] = "book.sim.BTC-USD.10.raw";

typedef struct rig {
    tf_rng_t rng;
    world_t world;
    judge_t judge;
    fake_io_t *fake;
    tf_fanout_t *fanout;
    tf_stats_t *stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    client_t client[CLIENTS];
    tf_bell_t bell;
    _Atomic bool published; /* by another thread, which before has looked at the bell */
    bool bell_was_up;
    int64_t wake_in_ns; /* as the last step said */
} rig_t;

static void step(rig_t *rig)
{
    world_t *world = &rig->world;
    int64_t wake_in_ns;
    world->mono_ns += STEP_MS * TF_NS_PER_MS;
    world->wall_ns += STEP_MS * TF_NS_PER_MS;
    if (world->region != NULL && !world->silent)
        tf_region_heartbeat(world->region, world->mono_ns);
    (void)tf_fanout_step(rig->fanout, world->mono_ns, world->wall_ns, &wake_in_ns);
    rig->wake_in_ns = wake_in_ns;
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

static void ask(client_t *client, ask_t what, const char *method, const char *params)
{
    char text[256];
    int bytes = snprintf(text, sizeof text, "{\"id\":%llu,\"method\":\"%s\",\"params\":%s}",
                         (unsigned long long)client->id_next, method, params);
    client->pending[client->pending_count++] = (pending_t){client->id_next++, what, 1};
    client_frame(client, 1, text, (size_t)bytes);
}

static void subscribe(client_t *client, const char *channel)
{
    char params[128];
    (void)snprintf(params, sizeof params, "{\"channels\":[\"%s\"]}", channel);
    ask(client, ASK_SUBSCRIBE, "subscribe", params);
}

static void unsubscribe(client_t *client, const char *channel)
{
    char params[128];
    (void)snprintf(params, sizeof params, "{\"channels\":[\"%s\"]}", channel);
    ask(client, ASK_UNSUBSCRIBE, "unsubscribe", params);
}

static market_t *market(rig_t *rig)
{
    return &world_epoch(&rig->world)->market[0];
}

/* A live market, and clients subscribed to its best bid and offer. */
static void rig_open(rig_t *rig, int64_t beat_ms, int64_t spin_ns)
{
    memset(rig, 0, sizeof *rig);
    assert_int_equal(tf_bell_open(&rig->bell), TF_OK);
    world_init(&rig->world, &rig->rng, 64);
    rig->world.lasting = true;
    rig->judge.world = &rig->world;
    world_writer_start(&rig->world);
    market_add(&rig->world, 0);
    while (market(rig)->states[market(rig)->state_count - 1].state != TF_STATE_LIVE)
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
    config.sweep_ns = SWEEP_MS * TF_NS_PER_MS;
    config.limits.heartbeat_ns = beat_ms * TF_NS_PER_MS;
    config.spin_ns = spin_ns;
    config.batch_ns = 0;
    config.bell = &rig->bell;
    assert_int_equal(
        tf_fanout_create(&rig->fanout, &config, fake_io_door(rig->fake), rig->stats, rig->closes),
        TF_OK);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        assert_true(client_connect(&rig->client[i], &rig->judge, rig->fake, beat_ms));
        subscribe(&rig->client[i], channel_bbo);
    }
    steps(rig, 50);
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
    tf_bell_close(&rig->bell);
    free(rig->stats);
}

static rig_t *rig_new(int64_t beat_ms, int64_t spin_ns)
{
    rig_t *rig = aligned_alloc(TF_CACHE_LINE_BYTES, sizeof *rig); /* of the bell's word */
    assert_non_null(rig);
    rig_open(rig, beat_ms, spin_ns);
    return rig;
}

static void rig_free(rig_t *rig)
{
    rig_close(rig);
    free(rig);
}

/* One visible change of the best bid and offer. */
static void change(rig_t *rig)
{
    const market_t *truth = market(rig);
    uint64_t before = truth->bbos.count;
    while (truth->bbos.count == before ||
           truth->states[truth->state_count - 1].state != TF_STATE_LIVE)
        market_act(&rig->world);
}

static void stall(rig_t *rig, uint32_t client, size_t window)
{
    rig->client[client].reads = false;
    fake_io_window(rig->fake, rig->client[client].io, window);
}

static void read_again(rig_t *rig, uint32_t client)
{
    rig->client[client].reads = true;
    fake_io_window(rig->fake, rig->client[client].io, SIZE_MAX);
}

/* ---- heartbeats ---- */

static void heartbeats_come_as_often_as_told(void **state)
{
    (void)state;
    rig_t *rig = rig_new(BEAT_MS, 0);
    steps(rig, 10000);
    uint64_t beats = rig->judge.tally.beats;
    assert_true(beats >= 9 * CLIENTS && beats <= 11 * CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(rig->client[i].beat_quiet, 1); /* the judge compares the seq */
    rig_free(rig);
}

/* A turn that would send thousands of them at once would delay the data of all. */
static void heartbeats_do_not_come_together(void **state)
{
    (void)state;
    rig_t *rig = rig_new(BEAT_MS, 0);
    steps(rig, 1000);
    uint64_t most = 0;
    for (int sweep = 0; sweep < BEAT_MS / SWEEP_MS; sweep++) {
        uint64_t before = rig->judge.tally.beats;
        steps(rig, SWEEP_MS);
        uint64_t beats = rig->judge.tally.beats - before;
        most = beats > most ? beats : most;
    }
    assert_true(most >= 1 && most <= CLIENTS / 2);
    rig_free(rig);
}

static void a_client_sets_its_own_heartbeat(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    client_t *client = &rig->client[3];
    steps(rig, 3000);
    assert_int_equal(rig->judge.tally.beats, 0);
    ask(client, ASK_HEARTBEAT, "set_heartbeat", "{\"interval_s\":1}");
    steps(rig, 5000);
    uint64_t beats = rig->judge.tally.beats;
    assert_true(beats >= 4 && beats <= 6);
    ask(client, ASK_HEARTBEAT, "set_heartbeat", "{\"interval_s\":0}");
    step(rig);
    step(rig);
    beats = rig->judge.tally.beats;
    steps(rig, 3000);
    assert_int_equal(rig->judge.tally.beats, beats);
    rig_free(rig);
}

/* Its socket is full for several intervals: then one comes, not all of them. */
static void a_full_socket_gets_one_heartbeat_when_it_has_room(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    ask(&rig->client[0], ASK_HEARTBEAT, "set_heartbeat", "{\"interval_s\":1}");
    stall(rig, 0, 150);
    steps(rig, 20);
    change(rig);
    change(rig);
    for (int i = 0; i < 30; i++) {
        change(rig);
        steps(rig, 200);
    }
    assert_true(rig->judge.tally.beats <= 1); /* what was in the window */
    uint64_t before = rig->judge.tally.beats;
    read_again(rig, 0);
    steps(rig, 50);
    assert_int_equal(rig->judge.tally.beats - before, 1);
    assert_int_equal(rig->client[0].beat_behind,
                     1); /* it stands before what brings it up to date */
    steps(rig, 1000 + SWEEP_MS);
    assert_int_equal(rig->judge.tally.beats - before, 2);
    assert_int_equal(rig->client[0].beat_behind, 0);
    rig_free(rig);
}

/* Silence towards a full socket proves nothing. */
static void who_is_behind_is_not_quiet(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    ask(&rig->client[0], ASK_HEARTBEAT, "set_heartbeat", "{\"interval_s\":1}");
    steps(rig, 2500);
    assert_int_equal(rig->client[0].beat_quiet, 1);
    stall(rig, 0, 0);
    uint8_t px_dp = market(rig)->px_dp;
    uint8_t sz_dp = market(rig)->sz_dp;
    change(rig);
    assert_true(market(rig)->px_dp == px_dp && market(rig)->sz_dp == sz_dp);
    steps(rig, 1500);
    uint64_t before = rig->judge.tally.beats;
    read_again(rig, 0);
    while (rig->judge.tally.beats == before)
        step(rig);
    assert_int_equal(rig->client[0].beat_quiet, 0);
    assert_int_equal(rig->client[0].beat_behind, 1);
    rig_free(rig);
}

/* It takes a heartbeat's bytes slower than they come due: no more than one waits for it. */
static void heartbeats_do_not_pile_up(void **state)
{
    (void)state;
    enum { SECONDS = 30 };
    rig_t *rig = rig_new(0, 0);
    ask(&rig->client[0], ASK_HEARTBEAT, "set_heartbeat", "{\"interval_s\":1}");
    steps(rig, 20);
    stall(rig, 0, 20);
    for (int i = 0; i < SECONDS * 2; i++) {
        steps(rig, 500);
        fake_io_read(rig->fake, rig->client[0].io, 10);
    }
    uint64_t before = rig->judge.tally.beats;
    read_again(rig, 0);
    steps(rig, SWEEP_MS);
    assert_in_range(rig->judge.tally.beats - before, 1, 2); /* its rest, and the one that is due */
    rig_free(rig);
}

/* ---- delisting ---- */

static void delist(rig_t *rig)
{
    rig->world.lasting = false;
    while (market(rig)->status != TF_INSTRUMENT_DELISTED)
        market_act(&rig->world);
    rig->world.lasting = true;
}

/* The one that is full is told when it reads again, and nothing is lost for the others. */
static void a_delisted_market_ends_its_subscriptions(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    subscribe(&rig->client[1], channel_book);
    subscribe(&rig->client[1], "status.sim");
    subscribe(&rig->client[2], "instruments.sim");
    steps(rig, 20);
    stall(rig, 0, 0);
    change(rig);
    step(rig);
    delist(rig);
    steps(rig, 50);
    assert_int_equal(rig->judge.tally.ended, CLIENTS); /* and the book, without the stalled one */
    assert_non_null(client_held(&rig->client[0], channel_bbo));
    assert_non_null(client_held(&rig->client[1], "status.sim"));
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_subscriptions), 2);
    read_again(rig, 0);
    steps(rig, 50);
    assert_int_equal(rig->judge.tally.ended, CLIENTS + 1);
    assert_null(client_held(&rig->client[0], channel_bbo));
    uint64_t errors = rig->judge.tally.errors;
    subscribe(&rig->client[0], channel_bbo);
    steps(rig, 50);
    assert_int_equal(rig->judge.tally.errors, errors + 1);
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_streams), 2);
    rig_free(rig);
}

/* Who is full can't be given the trades it missed any more, but is told how many they were. */
static void a_delisted_market_leaves_no_trade_unsaid(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    subscribe(&rig->client[1], channel_trades);
    steps(rig, 20);
    stall(rig, 1, 0);
    const trades_truth_t *trades = &market(rig)->trades;
    uint64_t before = trades->count;
    while (trades->count < before + 3)
        market_act(&rig->world);
    step(rig);
    delist(rig);
    steps(rig, 50);
    uint64_t missed = trades->count - before;
    read_again(rig, 1);
    steps(rig, 50);
    assert_null(client_held(&rig->client[1], channel_trades)); /* the judge counts them as well */
    assert_int_equal(rig->judge.tally.gaps_server, 1);
    assert_int_equal(rig->judge.tally.trades_lost, missed);
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_trades_lost_total), missed);
    rig_free(rig);
}

/* ---- new epochs ---- */

static void a_market_that_is_missing_can_be_left(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    client_t *client = &rig->client[2];
    world_writer_start(&rig->world);
    steps(rig, 50);
    subscribe(client, channel_bbo);
    steps(rig, 20);
    assert_int_equal(rig->judge.tally.errors, 0); /* to subscribe twice is none */
    unsubscribe(client, channel_bbo);
    steps(rig, 20);
    assert_null(client_held(client, channel_bbo));
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_subscriptions), CLIENTS - 1);
    subscribe(client, channel_bbo);
    steps(rig, 20);
    assert_int_equal(rig->judge.tally.errors, 1);
    market_add(&rig->world, 0);
    steps(rig, 50);
    held_settled(&rig->judge, client_held(&rig->client[3], channel_bbo));
    rig_free(rig);
}

/* Numbers of generations are eight bits: after 256 epochs one comes again. */
static void who_is_full_for_256_epochs_is_told_of_the_newest(void **state)
{
    (void)state;
    enum { EPOCHS = 256 };
    rig_t *rig = rig_new(0, 0);
    world_writer_start(&rig->world);
    market_add(&rig->world, 0); /* in the scale that the last one will have, too */
    steps(rig, 50);
    stall(rig, 0, 0);
    for (int i = 0; i < EPOCHS - 1; i++) {
        world_writer_start(&rig->world);
        step(rig);
        step(rig);
    }
    world_writer_start(&rig->world);
    market_add(&rig->world, 0);
    steps(rig, 50);
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_epoch_changes_total), 1 + EPOCHS);
    read_again(rig, 0);
    steps(rig, 50);
    held_settled(&rig->judge, client_held(&rig->client[0], channel_bbo));
    rig_free(rig);
}

/* There is nothing to read before a new writer comes, so there is no hurry to look; and what can't
 * be read is not taken for what never was. */
static void a_market_that_a_dead_writer_left_half_written_keeps_nobody_awake(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    client_t *client = &rig->client[5];
    subscribe(client, channel_book);
    steps(rig, 20);
    world_writer_start(&rig->world);
    market_add(&rig->world, 0);
    tf_region_book_begin(rig->world.region, market(rig)->index);
    steps(rig, 20);
    tf_image_head_t *head = &tf_writer_instrument(rig->world.region, market(rig)->index)->head;
    tf_image_lock(head);
    rig->world.silent = true;
    steps(rig, 1500);
    for (int i = 0; i < 50; i++) {
        step(rig);
        assert_true(rig->wake_in_ns > TF_NS_PER_MS);
    }
    client->oom = true; /* an error within is in order, and no other */
    ask(client, ASK_INSTRUMENTS, "get_instruments", "{}");
    steps(rig, 20);
    assert_int_equal(client->pending_count, 0);
    assert_int_equal(rig->judge.tally.errors, 1);
    tf_image_unlock(head);
    tf_region_book_commit(rig->world.region, &market(rig)->bbo, (tf_stamp_t){0});
    world_writer_stop(&rig->world);
    rig_free(rig);
}

/* ---- all of a connection's ---- */

static void unsubscribe_all_ends_all_and_lists_nothing(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    client_t *client = &rig->client[4];
    subscribe(client, channel_book);
    subscribe(client, "status.sim");
    steps(rig, 20);
    ask(client, ASK_LIST, "list_subscriptions", "{}");
    ask(client, ASK_UNSUBSCRIBE_ALL, "unsubscribe_all", "{}");
    ask(client, ASK_LIST, "list_subscriptions", "{}");
    ask(client, ASK_UNSUBSCRIBE_ALL, "unsubscribe_all", "{}");
    subscribe(client, channel_book);
    steps(rig, 20);
    assert_int_equal(client->pending_count, 0);
    held_settled(&rig->judge, client_held(client, channel_book));
    assert_int_equal(tf_stats_get(rig->stats, TF_STAT_subscriptions), CLIENTS);
    rig_free(rig);
}

/* ---- order ---- */

static void nobody_is_always_the_first_or_the_last(void **state)
{
    (void)state;
    enum { FLUSHES = 8 * CLIENTS };
    rig_t *rig = rig_new(0, 0);
    int first[CLIENTS] = {0};
    int last[CLIENTS] = {0};
    for (int i = 0; i < FLUSHES; i++) {
        uint32_t low = 0;
        uint32_t high = 0;
        change(rig);
        step(rig);
        for (uint32_t c = 1; c < CLIENTS; c++) {
            uint64_t number = fake_io_send_number(rig->fake, rig->client[c].io);
            low = number < fake_io_send_number(rig->fake, rig->client[low].io) ? c : low;
            high = number > fake_io_send_number(rig->fake, rig->client[high].io) ? c : high;
        }
        first[low]++;
        last[high]++;
    }
    for (uint32_t c = 0; c < CLIENTS; c++) {
        assert_in_range(first[c], FLUSHES / CLIENTS / 2, 2 * FLUSHES / CLIENTS);
        assert_in_range(last[c], FLUSHES / CLIENTS / 2, 2 * FLUSHES / CLIENTS);
    }
    rig_free(rig);
}

/* Every frame that somebody took is in both, and the first send is not after the last. */
static void ages_of_what_was_sent_are_told(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, 0);
    uint64_t counts[2] = {0};
    uint64_t before = tf_stats_get(rig->stats, TF_STAT_frames_encoded_total);
    const tf_latency_t *first = &rig->stats->latency[TF_LATENCY_publish_to_first_send];
    const tf_latency_t *last = &rig->stats->latency[TF_LATENCY_publish_to_last_send];
    for (int i = 0; i < 20; i++) {
        change(rig);
        step(rig);
    }
    for (int i = 0; i <= TF_LATENCY_BUCKETS; i++) {
        counts[0] += atomic_load(&first->bucket[i]);
        counts[1] += atomic_load(&last->bucket[i]);
    }
    assert_int_equal(counts[0], tf_stats_get(rig->stats, TF_STAT_frames_encoded_total) - before);
    assert_int_equal(counts[1], counts[0]);
    assert_true(atomic_load(&first->sum_ns) <= atomic_load(&last->sum_ns));
    rig_free(rig);
}

static void *publish(void *context)
{
    rig_t *rig = context;
    rig->bell_was_up = atomic_load(rig->bell.raised) != 0;
    atomic_store(&rig->published, true); /* about to be: whoever sees the news sees this */
    change(rig);
    return NULL;
}

/* After news a thread that may spin sees the next ones without having been rung, however long it
 * would have slept; without news it goes to sleep. */
static void spinning_needs_no_bell(void **state)
{
    (void)state;
    enum { LONG_S = 60 };
    rig_t *rig = rig_new(0, LONG_S * TF_NS_PER_S);
    pthread_t thread;
    change(rig);
    step(rig);
    assert_int_equal(pthread_create(&thread, NULL, publish, rig), 0);
    tf_fanout_sleep(rig->fanout, LONG_S * TF_NS_PER_S);
    bool woke_for_news = atomic_load(&rig->published);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(woke_for_news);
    assert_false(rig->bell_was_up);
    step(rig);
    for (uint32_t i = 0; i < CLIENTS; i++)
        held_settled(&rig->judge, client_held(&rig->client[i], channel_bbo));
    rig_free(rig);
}

/* Between turns: a reply tells when its request came, not when the last turn was. */
static void a_request_that_comes_while_spinning_is_stamped_with_its_time(void **state)
{
    (void)state;
    rig_t *rig = rig_new(0, TF_NS_PER_S);
    uint64_t before_us = (uint64_t)(tf_clock_wall_ns(&tf_clock_system) / TF_NS_PER_US);
    ask(&rig->client[0], ASK_PING, "ping", "{}");
    tf_fanout_sleep(rig->fanout, TF_NS_PER_S);
    uint64_t after_us = (uint64_t)(tf_clock_wall_ns(&tf_clock_system) / TF_NS_PER_US);
    step(rig);
    assert_int_equal(rig->client[0].pending_count, 0);
    assert_in_range(rig->client[0].us_in, before_us, after_us);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heartbeats_come_as_often_as_told),
        cmocka_unit_test(heartbeats_do_not_come_together),
        cmocka_unit_test(a_client_sets_its_own_heartbeat),
        cmocka_unit_test(a_full_socket_gets_one_heartbeat_when_it_has_room),
        cmocka_unit_test(who_is_behind_is_not_quiet),
        cmocka_unit_test(heartbeats_do_not_pile_up),
        cmocka_unit_test(a_delisted_market_ends_its_subscriptions),
        cmocka_unit_test(a_delisted_market_leaves_no_trade_unsaid),
        cmocka_unit_test(a_market_that_is_missing_can_be_left),
        cmocka_unit_test(who_is_full_for_256_epochs_is_told_of_the_newest),
        cmocka_unit_test(a_market_that_a_dead_writer_left_half_written_keeps_nobody_awake),
        cmocka_unit_test(unsubscribe_all_ends_all_and_lists_nothing),
        cmocka_unit_test(nobody_is_always_the_first_or_the_last),
        cmocka_unit_test(ages_of_what_was_sent_are_told),
        cmocka_unit_test(spinning_needs_no_bell),
        cmocka_unit_test(a_request_that_comes_while_spinning_is_stamped_with_its_time),
    };
    tf_log_level_set(TF_LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
