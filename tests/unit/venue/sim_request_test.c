#include "kit/kit.h"

#include "base/status.h"
#include "sim_consumer.h"
#include "venue/adapter.h"

#include <stdlib.h>
#include <string.h>

static int entry_compare(const void *a, const void *b)
{
    const entry_t *x = a;
    const entry_t *y = b;
    if (x->bid != y->bid) {
        return x->bid ? 1 : -1;
    }
    return (x->px > y->px) - (x->px < y->px);
}

static void leaving_and_entering_the_book_gives_a_snapshot_equal_to_the_kept_book(void **state)
{
    (void)state;
    tf_sim_config_t config = tf_sim_config_default;
    config.instruments = 4;
    config.updates_per_s = 100;
    config.trades_per_s = 20;
    world_t world;
    world_open(&world, &config);
    run_until(&world, 0);
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, 10 * TF_NS_PER_S);
    market_t *market = &world.market[1];
    const size_t entries = market->entries;
    entry_t *kept = malloc(entries * sizeof *kept);
    assert_non_null(kept);
    memcpy(kept, market->entry, entries * sizeof *kept);
    send_text(
        &world,
        "{\"type\":\"unsubscribe\",\"product_ids\":[\"ETH-USD\"],\"channels\":[\"level2_batch\"]}");
    send_text(&world, "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"level2_50\",\"product_"
                      "ids\":[\"ETH-USD\"]}]}");
    drain(&world);
    assert_int_equal(market->snapshots, 2);
    assert_int_equal(world.market[0].snapshots, 1);
    assert_int_equal(market->entries, entries);
    qsort(kept, entries, sizeof *kept, entry_compare);
    qsort(market->entry, entries, sizeof *kept, entry_compare);
    for (size_t i = 0; i < entries; i++) {
        assert_int_equal(entry_compare(&kept[i], &market->entry[i]), 0);
        assert_int_equal(kept[i].sz, market->entry[i].sz);
    }
    free(kept);
    run_until(&world, 11 * TF_NS_PER_S);
    world_close(&world);
}

static void channels_that_were_left_stop(void **state)
{
    (void)state;
    tf_sim_config_t config = tf_sim_config_default;
    config.instruments = 2;
    world_t world;
    world_open(&world, &config);
    run_until(&world, TF_NS_PER_S);
    assert_int_equal(world.frames, 0); /* nothing before it is asked for */
    request_all(&world, "subscribe", EVERYTHING);
    run_until(&world, 5 * TF_NS_PER_S);
    send_text(&world,
              "{\"type\":\"unsubscribe\",\"channels\":[\"heartbeat\",\"ticker\",\"matches\"]}");
    send_text(
        &world,
        "{\"type\":\"unsubscribe\",\"product_ids\":[\"ETH-USD\"],\"channels\":[\"level2_batch\"]}");
    world.market[1].subscribed_book = false;
    drain(&world);
    assert_string_equal(world.last,
                        "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_50\","
                        "\"product_ids\":[\"BTC-USD\"],\"account_ids\":null}]}");
    const market_t before = world.market[0];
    world.market[0].taken = false;
    run_until(&world, 10 * TF_NS_PER_S);
    assert_true(world.market[0].updates > before.updates);
    assert_int_equal(world.market[0].tickers, before.tickers);
    assert_int_equal(world.market[0].heartbeats, before.heartbeats);
    assert_int_equal(world.market[0].matches, before.matches);
    world_close(&world);
}

static void expect_error(world_t *world, const char *request, const char *reason)
{
    const size_t errors = world->errors;
    const size_t frames = world->frames;
    send_text(world, request);
    drain(world);
    assert_int_equal(world->errors, errors + 1);
    assert_int_equal(world->frames, frames + 1);
    if (strstr(world->last, reason) == NULL) {
        fail_msg("%s does not say %s", world->last, reason);
    }
}

static void bad_requests_are_refused_whole_with_a_reason(void **state)
{
    (void)state;
    tf_sim_config_t config = tf_sim_config_default;
    config.instruments = 50;
    world_t world;
    world_open(&world, &config);
    run_until(&world, 0);
    expect_error(&world,
                 "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"NO-USD\"],\"channels\":["
                 "\"ticker\"]}",
                 "NO-USD is not a valid product");
    expect_error(
        &world,
        "{\"type\":\"subscribe\",\"product_ids\":[\"S0051-USD\"],\"channels\":[\"ticker\"]}",
        "S0051-USD is not a valid product");
    expect_error(
        &world,
        "{\"type\":\"subscribe\",\"product_ids\":[\"S\\\"!!!-USD\"],\"channels\":[\"ticker\"]}",
        "\" is not a valid product");
    expect_error(&world,
                 "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"ticker\","
                 "\"level2\"]}",
                 "level2 is not");
    expect_error(&world, "{\"type\":\"subscribe\",\"channels\":[\"ticker\"]}", "No product_ids");
    expect_error(&world, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"]}", "No channels");
    expect_error(&world, "{\"type\":\"subscribe\",\"product_ids\":[1],\"channels\":[\"ticker\"]}",
                 "strings");
    expect_error(&world,
                 "{\"type\":\"subscribe\",\"product_ids\":\"BTC-USD\",\"channels\":[\"ticker\"]}",
                 "strings");
    expect_error(&world, "{\"type\":\"subscribe\",\"channels\":[3]}", "names or objects");
    expect_error(&world, "{\"type\":\"subscribe\",\"channels\":{}}", "names or objects");
    expect_error(&world, "{\"type\":\"shout\",\"channels\":[]}", "shout is not");
    expect_error(&world, "{\"type\":", "Malformed");
    expect_error(&world, "", "Malformed");
    run_until(&world, 3 * TF_NS_PER_S);
    assert_int_equal(world.frames, world.errors); /* nobody was subscribed to anything */
    for (int i = 0; i < 1000; i++) {
        send_text(&world, "[]");
    }
    drain(&world);
    assert_int_equal(world.errors, 13 + 64); /* the answers are bounded */
    request_all(&world, "subscribe", "[\"ticker\"]");
    drain(&world);
    assert_int_equal(world.acknowledgements, 1);
    assert_int_equal(world.market[49].tickers, 1);
    world_close(&world);
}

static void the_status_channel_lists_the_products(void **state)
{
    (void)state;
    world_t world;
    world_open(&world, &tf_sim_config_default);
    run_until(&world, 0);
    send_text(&world, "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"status\"}]}");
    drain(&world);
    assert_int_equal(world.acknowledgements, 1);
    assert_int_equal(world.statuses, 1);
    world_close(&world);
}

/* ---- what the real adapter makes of it ---- */

typedef struct tally {
    size_t updates[TF_UPDATE_ERROR + 1];
} tally_t;

static void tally_update(void *context, const tf_update_t *update)
{
    ((tally_t *)context)->updates[update->type]++;
}

static void the_coinbase_adapter_decodes_every_frame_and_its_requests_work(void **state)
{
    (void)state;
    const tf_adapter_ops_t *ops = tf_adapter_find("coinbase", 8);
    tf_sim_config_t config = tf_sim_config_default;
    tf_source_t *source = NULL;
    tf_source_event_t event;
    tf_decode_loss_t loss;
    tally_t tally = {{0}};
    const tf_update_sink_t sink = {tally_update, &tally};
    const char *const symbols[] = {"BTC-USD", "DOGE-USD", "S0042-USD"};
    char request[500];
    config.instruments = 42;
    assert_non_null(ops);
    tf_adapter_t *adapter = ops->create();
    assert_int_equal(tf_sim_open(&source, &config), TF_OK);
    for (int64_t mono_ns = 0; mono_ns < 10 * TF_NS_PER_S;) {
        source->ops->poll(source, mono_ns, WALL_START, &event);
        if (event.type == TF_SOURCE_IDLE) {
            mono_ns += event.wake_in_ns;
        } else if (event.type == TF_SOURCE_HTTP) {
            assert_int_equal(ops->decode_http(adapter, event.url, event.text, event.bytes, &sink),
                             TF_DECODE_OK);
        } else if (event.type == TF_SOURCE_OPENED) {
            const int64_t bytes =
                ops->request(TF_REQUEST_SUBSCRIBE, symbols, 3, request, sizeof request);
            assert_true(bytes > 0);
            source->ops->send(source, request, (size_t)bytes);
            send_text(&(world_t){.source = source},
                      "{\"type\":\"subscribe\",\"channels\":[\"status\"]}");
        } else if (ops->decode(adapter, event.text, event.bytes, &sink, &loss) != TF_DECODE_OK) {
            fail_msg("%.*s", (int)event.bytes, event.text);
        }
    }
    assert_int_equal(tally.updates[TF_UPDATE_INSTRUMENT], 2 * 42);
    assert_int_equal(tally.updates[TF_UPDATE_BOOK_SNAPSHOT], 3);
    assert_int_equal(tally.updates[TF_UPDATE_TRADE_BASELINE], 3);
    assert_int_equal(tally.updates[TF_UPDATE_HEARTBEAT], 30);
    assert_true(tally.updates[TF_UPDATE_BOOK_CHANGE] > 50);
    assert_true(tally.updates[TF_UPDATE_TRADE] > 3 && tally.updates[TF_UPDATE_TICKER] > 3);
    ops->destroy(adapter);
    source->ops->destroy(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaving_and_entering_the_book_gives_a_snapshot_equal_to_the_kept_book),
        cmocka_unit_test(channels_that_were_left_stop),
        cmocka_unit_test(bad_requests_are_refused_whole_with_a_reason),
        cmocka_unit_test(the_status_channel_lists_the_products),
        cmocka_unit_test(the_coinbase_adapter_decodes_every_frame_and_its_requests_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
