#include "base/rng.h"
#include "ingest_feed_rig.h"

/*
 * Random events. What may never be: an illegal transition (asserted by the feed), LIVE with a book
 * that is not whole, data of a closed link, a silence unnoticed, more than one request per spacing,
 * trades lost without a word.
 */
typedef struct world {
    rig_t rig;
    int64_t asked_ns[MARKETS];
    uint64_t announced; /* sum of all gaps */
} world_t;

static void on_world_state(void *context, tf_feed_market_t *market, int64_t at_ns)
{
    world_t *world = context;
    assert_true(at_ns <= world->rig.feed.now_ns || market->reason == TF_REASON_SILENT);
}

static void on_world_ask(void *context, tf_feed_market_t *market)
{
    world_t *world = context;
    assert_true(world->rig.feed.open);
    assert_int_equal(market->book, TF_FEED_BOOK_AWAITED);
    int64_t *asked_ns = &world->asked_ns[market->slot];
    assert_true(*asked_ns == 0 || market->asked_ns - *asked_ns >= strict.resync_spacing_ns);
    *asked_ns = market->asked_ns;
}

static void world_check(const world_t *world)
{
    for (uint32_t i = 0; i < MARKETS; i++) {
        const tf_feed_market_t *market = &world->rig.market[i];
        bool followed = market->book == TF_FEED_BOOK_FOLLOWED;
        assert_true(market->state != TF_STATE_LIVE || (followed && !market->halted));
        assert_true(market->state != TF_STATE_STALE || !followed);
        assert_true(market->state != TF_STATE_RESYNC || !followed);
        assert_true(world->rig.feed.open || !followed);
        if (market->armed && market->state != TF_STATE_STALE)
            assert_true(world->rig.feed.now_ns - market->heard_ns <= strict.heartbeat_timeout_ns);
    }
}

static void world_trade(world_t *world, tf_rng_t *rng, uint32_t slot, uint64_t *next_id)
{
    uint64_t kind = tf_rng_below(rng, 10);
    if (kind == 0)
        *next_id += tf_rng_below(rng, 5);
    uint64_t id = kind == 1 ? 1 + tf_rng_below(rng, *next_id) : (*next_id)++;
    int64_t gap = trade(&world->rig, slot, id);
    if (gap > 0)
        world->announced += (uint64_t)gap;
    if (id > *next_id - 1)
        *next_id = id + 1;
}

static void world_event(world_t *world, tf_rng_t *rng, uint64_t *next_id)
{
    rig_t *rig = &world->rig;
    uint32_t slot = (uint32_t)tf_rng_below(rng, MARKETS);
    tf_feed_market_t *market = &rig->market[slot];
    uint64_t id = next_id[slot];
    uint64_t kind = tf_rng_below(rng, 100);
    if (kind < 1)
        tf_feed_closed(&rig->feed);
    else if (kind < 3)
        tf_feed_opened(&rig->feed);
    else if (kind < 8)
        tf_feed_book_lost(&rig->feed, market, kind < 5 ? TF_REASON_CROSSED : TF_REASON_SEQ_GAP);
    else if (kind < 12)
        tf_feed_listing(&rig->feed, market, (tf_instrument_status_t)tf_rng_below(rng, 4));
    else if (kind < 15)
        baseline(rig, slot, id > 0 ? tf_rng_below(rng, id + 2) : 0);
    else if (kind < 35)
        snapshot(rig, slot);
    else if (kind < 60)
        world_trade(world, rng, slot, &next_id[slot]);
    else if (kind < 80)
        heartbeat(rig, slot, id + tf_rng_below(rng, 3) - 1);
    else {
        tf_feed_heard(&rig->feed, market);
        (void)tf_feed_change_wanted(&rig->feed, market);
    }
}

static void random_events_reach_no_illegal_state(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(20260707)};
    uint64_t rounds = t_rounds(1000000);
    uint64_t next_id[MARKETS] = {1, 1, 1, 1};
    static world_t world;
    const tf_feed_sink_t sink = {on_world_state, on_world_ask, &world};
    memset(&world, 0, sizeof world);
    tf_feed_init(&world.rig.feed, &strict, &sink, &world.rig.stats);
    for (uint32_t i = 0; i < MARKETS; i++)
        tf_feed_market_add(&world.rig.feed, &world.rig.market[i], i);
    int64_t now_ns = 1;
    for (uint64_t i = 0; i < rounds; i++) {
        static const int64_t steps_ns[] = {0, 1000, TF_NS_PER_MS, 200 * TF_NS_PER_MS};
        now_ns += steps_ns[tf_rng_below(&rng, 4)];
        if (tf_rng_below(&rng, 500) == 0)
            now_ns += 8 * TF_NS_PER_S;
        tf_feed_advance(&world.rig.feed, now_ns);
        world_event(&world, &rng, next_id);
        world_check(&world);
    }
    uint64_t pending = 0;
    for (uint32_t i = 0; i < MARKETS; i++)
        pending += world.rig.market[i].missing;
    assert_int_equal(world.announced + pending,
                     count_of(&world.rig, TF_STAT_venue_lost_trades_total));
    assert_true(world.announced > 0 || rounds < 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_events_reach_no_illegal_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
