#include "kit/kit.h"

#include "fanout_market.h"
#include "market/instrument.h"
#include "region/region_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PX_DP_MAX = 8, SZ_DP_MAX = 9, MIDDLE = 1000 };

const char *const market_symbols[MARKETS_MAX] = {"BTC-USD", "ETH-USD", "SOL-USD",
                                                 "ADA-EUR", "XRP-EUR", "DOT-EUR"};
const char *const market_venues[VENUES_MAX] = {"sim", "alt"};

uint32_t market_venue(uint32_t which)
{
    return which % 3 == 2; /* two of six are the other one's */
}

static const tf_bbo_t bbo_none = {.bid_px = TF_PRICE_NONE, .ask_px = TF_PRICE_NONE};

/* ---- writing down ---- */

static void *grown(void *block, uint64_t *room, uint64_t count, size_t bytes)
{
    if (count < *room)
        return block;
    *room = 2 * *room + 16;
    void *bigger = realloc(block, *room * bytes);
    assert_non_null(bigger);
    return bigger;
}

static version_t *version_add(market_t *market, versions_t *versions)
{
    versions->at = grown(versions->at, &versions->room, versions->count, sizeof *versions->at);
    version_t *version = &versions->at[versions->count++];
    *version = (version_t){
        .state_at = market->state_count - 1, .px_dp = market->px_dp, .sz_dp = market->sz_dp};
    return version;
}

static uint64_t book_hash(const market_t *market, uint32_t depth)
{
    uint64_t hash = MARKET_HASH_START;
    for (int side = 0; side < 2; side++) {
        uint32_t levels = market->levels[side] < depth ? market->levels[side] : depth;
        for (uint32_t i = 0; i < levels; i++)
            hash = market_hash_level(hash, side == 0 ? 'b' : 'a', &market->level[side][i],
                                     market->px_dp, market->sz_dp);
    }
    return hash;
}

static void book_note(market_t *market, bool fresh)
{
    version_t *version = version_add(market, &market->book);
    version->fresh = fresh;
    version->hash[DEPTH_1] = book_hash(market, 1);
    version->hash[DEPTH_10] = book_hash(market, 10);
    version->hash[DEPTH_20] = book_hash(market, MARKET_DEPTH);
}

static void bbo_note(market_t *market)
{
    version_add(market, &market->bbos)->hash[0] =
        market_hash_bbo(&market->bbo, market->px_dp, market->sz_dp);
}

static void ticker_note(market_t *market)
{
    version_add(market, &market->tickers)->hash[0] =
        market_hash_ticker(&market->ticker, market->px_dp, market->sz_dp);
}

static void state_note(market_t *market, tf_market_state_t state, tf_market_reason_t reason)
{
    uint64_t room = market->state_room;
    market->states = grown(market->states, &room, market->state_count, sizeof *market->states);
    market->state_room = (uint32_t)room;
    market->states[market->state_count++] = (told_t){state, reason};
}

/* The instrument's entry is published once more. */
static void listing_note(world_t *world, const market_t *market)
{
    uint32_t which = (uint32_t)(market - world_epoch(world)->market);
    listings_t *venue = &world_epoch(world)->venue[market_venue(which)];
    uint64_t trades = market->trades.count > 0 ? market->trades.count - 1 : 0;
    if (venue->count == 0)
        venue->count = 1;
    venue->at = grown(venue->at, &venue->room, venue->count, sizeof *venue->at);
    venue->at[venue->count++] = (listing_t){.which = which,
                                            .told = market->states[market->state_count - 1],
                                            .since_us = market->since_us,
                                            .status = market->status,
                                            .px_dp = market->px_dp,
                                            .sz_dp = market->sz_dp,
                                            .trades = trades};
}

const listing_t *market_listing(const epoch_t *epoch, uint32_t which, uint64_t version)
{
    const listings_t *venue = &epoch->venue[market_venue(which)];
    for (; version > 0; version--) {
        if (version < venue->count && venue->at[version].which == which)
            return &venue->at[version];
    }
    return NULL;
}

/* ---- publishing ---- */

static tf_stamp_t stamp_now(const world_t *world)
{
    return (tf_stamp_t){.te_ns = world->wall_ns - 5000, .ti_ns = world->wall_ns - 1000};
}

static void between(world_t *world)
{
    if (world->between != NULL && tf_rng_below(world->rng, 8) == 0)
        world->between(world->context);
}

static void put_bbo(world_t *world, market_t *market)
{
    tf_bbo_t bbo = bbo_none;
    if (market->levels[0] > 0) {
        bbo.bid_px = market->level[0][0].px;
        bbo.bid_sz = market->level[0][0].sz;
    }
    if (market->levels[1] > 0) {
        bbo.ask_px = market->level[1][0].px;
        bbo.ask_sz = market->level[1][0].sz;
    }
    if (memcmp(&bbo, &market->bbo, sizeof bbo) == 0)
        return;
    market->bbo = bbo;
    bbo_note(market);
    assert_true(tf_region_put_bbo(world->region, market->index, &bbo, stamp_now(world)));
}

static void put_snapshot(world_t *world, market_t *market)
{
    book_note(market, true);
    tf_region_put_book_snapshot(world->region, market->index, market->level[0], market->levels[0],
                                market->level[1], market->levels[1], stamp_now(world));
    between(world);
    put_bbo(world, market);
}

static void put_state(world_t *world, market_t *market, tf_market_state_t state,
                      tf_market_reason_t reason)
{
    state_note(market, state, reason);
    market->since_us = world->wall_ns / TF_NS_PER_US;
    listing_note(world, market);
    tf_region_put_state(world->region, market->index, state, reason, stamp_now(world));
}

static int64_t power(uint8_t dp)
{
    int64_t unit = 1;
    while (dp-- > 0)
        unit *= 10;
    return unit;
}

/* Few prices and few sizes: levels come, go and come back. */
static tf_level_t random_level(world_t *world, const market_t *market, int side)
{
    int64_t step = (int64_t)tf_rng_below(world->rng, 36) + 1;
    int64_t px = (side == 0 ? MIDDLE - step : MIDDLE + step) * power(market->px_dp);
    if (tf_rng_below(world->rng, 8) == 0)
        px++; /* uses the last decimal */
    return (tf_level_t){px, (int64_t)(tf_rng_below(world->rng, 3) + 1) * power(market->sz_dp)};
}

static bool better(int side, int64_t a, int64_t b)
{
    return side == 0 ? a > b : a < b;
}

static void level_remove(market_t *market, int side, uint32_t rank)
{
    market->levels[side]--;
    memmove(&market->level[side][rank], &market->level[side][rank + 1],
            (market->levels[side] - rank) * sizeof(tf_level_t));
}

static void level_insert(market_t *market, int side, uint32_t rank, tf_level_t level)
{
    memmove(&market->level[side][rank + 1], &market->level[side][rank],
            (market->levels[side] - rank) * sizeof(tf_level_t));
    market->levels[side]++;
    market->level[side][rank] = level;
}

static void level_change(world_t *world, market_t *market)
{
    tf_region_t *region = world->region;
    int side = (int)tf_rng_below(world->rng, 2);
    tf_level_t level = random_level(world, market, side);
    uint32_t rank = 0;
    while (rank < market->levels[side] && better(side, market->level[side][rank].px, level.px))
        rank++;
    bool there = rank < market->levels[side] && market->level[side][rank].px == level.px;
    bool told = rank < MARKET_DEPTH;
    if (there && tf_rng_below(world->rng, 2) == 0) {
        level_remove(market, side, rank);
        const tf_level_t *refill =
            market->levels[side] >= MARKET_DEPTH ? &market->level[side][MARKET_DEPTH - 1] : NULL;
        if (told)
            tf_region_book_remove(region, (tf_side_t)side, rank, level.px, refill);
    } else if (there) {
        market->level[side][rank].sz = level.sz;
        if (told)
            tf_region_book_resize(region, (tf_side_t)side, rank, level);
    } else if (market->levels[side] < MARKET_LEVELS_MAX) {
        level_insert(market, side, rank, level);
        if (told)
            tf_region_book_insert(region, (tf_side_t)side, rank, level);
    }
}

static void act_book(world_t *world, market_t *market)
{
    if (market->states[market->state_count - 1].state != TF_STATE_LIVE)
        return;
    tf_region_book_begin(world->region, market->index);
    for (uint64_t changes = 1 + tf_rng_below(world->rng, 5); changes > 0; changes--)
        level_change(world, market);
    book_note(market, false);
    tf_bbo_t bbo = bbo_none; /* of the ring record, which the fan-out does not use */
    tf_region_book_commit(world->region, &bbo, stamp_now(world));
    put_bbo(world, market);
}

static void put_trade(world_t *world, market_t *market)
{
    trades_truth_t *trades = &market->trades;
    trades->at = grown(trades->at, &trades->room, trades->count, sizeof *trades->at);
    trade_truth_t truth = {.px = (MIDDLE + (int64_t)tf_rng_below(world->rng, 9)) *
                                 power(market->px_dp),
                           .sz = (int64_t)tf_rng_below(world->rng, 1000) + 1,
                           .te_ns = world->wall_ns - 7000,
                           .gap_before = tf_rng_below(world->rng, 16) == 0 ? 3 : 0,
                           .state_at = market->state_count - 1,
                           .px_dp = market->px_dp,
                           .sz_dp = market->sz_dp,
                           .side = (uint8_t)tf_rng_below(world->rng, 2)};
    trades->at[trades->count] = truth;
    tf_trade_t trade = {.px = truth.px,
                        .sz = truth.sz,
                        .te_ns = truth.te_ns,
                        .ti_ns = world->wall_ns,
                        .gap_before = truth.gap_before,
                        .side = truth.side,
                        .id_is_number = 1};
    trade.id_bytes = (uint8_t)sprintf(trade.id, "%" PRIu64, trades->count);
    trades->count++;
    tf_region_put_trade(world->region, market->index, &trade, stamp_now(world));
}

static void act_trades(world_t *world, market_t *market)
{
    uint64_t count = 1 + tf_rng_below(world->rng, 4);
    if (tf_rng_below(world->rng, 60) == 0)
        count = 40 + tf_rng_below(world->rng, 2 * world->config.trades_kept);
    while (count-- > 0)
        put_trade(world, market);
}

static void act_ticker(world_t *world, market_t *market)
{
    tf_ticker_t *ticker = &market->ticker;
    *ticker = (tf_ticker_t){.present = TF_TICKER_PX | TF_TICKER_N24, .v24_dp = 3};
    ticker->px = (MIDDLE + (int64_t)tf_rng_below(world->rng, 3)) * power(market->px_dp);
    ticker->n24 = (int64_t)tf_rng_below(world->rng, 3);
    if (tf_rng_below(world->rng, 2) == 0) {
        ticker->present |= TF_TICKER_SZ | TF_TICKER_BID | TF_TICKER_V24;
        ticker->sz = power(market->sz_dp);
        ticker->bid = ticker->px - 1;
        ticker->v24 = (int64_t)tf_rng_below(world->rng, 100000);
    }
    ticker_note(market);
    tf_region_put_ticker(world->region, market->index, ticker, stamp_now(world));
}

/* As ingest does it: a book that can't be trusted is withheld, and comes back whole. */
static void act_state(world_t *world, market_t *market)
{
    uint64_t die = tf_rng_below(world->rng, 4);
    switch (market->states[market->state_count - 1].state) {
    case TF_STATE_LIVE:
        if (die == 0) {
            put_state(world, market, TF_STATE_STALE, TF_REASON_SILENT);
        } else if (die == 1) {
            put_state(world, market, TF_STATE_HALTED, TF_REASON_VENUE_STATUS);
        } else {
            put_state(world, market, TF_STATE_RESYNC,
                      die == 2 ? TF_REASON_SEQ_GAP : TF_REASON_CHECKSUM);
            between(world);
            market->levels[0] = market->levels[1] = 0;
            put_snapshot(world, market);
        }
        break;
    case TF_STATE_STALE:
    case TF_STATE_HALTED:
        put_state(world, market, TF_STATE_RESYNC, TF_REASON_SEQ_GAP);
        break;
    case TF_STATE_RESYNC:
        for (int side = 0; side < 2; side++) {
            market->levels[side] = 0;
            for (int64_t i = (int64_t)tf_rng_below(world->rng, 30); i > 0; i--) {
                int64_t px = side == 0 ? MIDDLE - 60 + i : MIDDLE + 60 - i;
                tf_level_t level = {px * power(market->px_dp), power(market->sz_dp)};
                market->level[side][market->levels[side]++] = level;
            }
        }
        put_snapshot(world, market);
        between(world);
        put_state(world, market, TF_STATE_LIVE, TF_REASON_NONE);
        break;
    }
}

static tf_instrument_t instrument_of(const market_t *market, uint32_t which)
{
    tf_instrument_t instrument;
    assert_true(tf_instrument_init(&instrument, market_venues[market_venue(which)],
                                   market_symbols[which], "x"));
    instrument.px_dp = market->px_dp;
    instrument.sz_dp = market->sz_dp;
    instrument.scale_known = 1;
    instrument.status = market->status;
    return instrument;
}

static void figures_raise(market_t *market, int64_t px_up, int64_t sz_up)
{
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < market->levels[side]; i++) {
            market->level[side][i].px *= px_up;
            market->level[side][i].sz *= sz_up;
        }
    }
    market->bbo.bid_px *= market->bbo.bid_px == TF_PRICE_NONE ? 1 : px_up;
    market->bbo.ask_px *= market->bbo.ask_px == TF_PRICE_NONE ? 1 : px_up;
    market->bbo.bid_sz *= sz_up;
    market->bbo.ask_sz *= sz_up;
    market->ticker.px *= px_up;
    market->ticker.bid *= px_up;
    market->ticker.sz *= sz_up;
}

/* Half the time with trades right before and behind, so that one turn sees both scales. */
static void act_describe(world_t *world, market_t *market, uint32_t which)
{
    bool trades = tf_rng_below(world->rng, 2) == 0;
    if (trades)
        put_trade(world, market);
    uint64_t die = tf_rng_below(world->rng, 3);
    bool px_up = die == 0 && market->px_dp < PX_DP_MAX;
    bool sz_up = die == 1 && market->sz_dp < SZ_DP_MAX;
    market->px_dp = (uint8_t)(market->px_dp + px_up);
    market->sz_dp = (uint8_t)(market->sz_dp + sz_up);
    figures_raise(market, px_up ? 10 : 1, sz_up ? 10 : 1);
    if (px_up || sz_up) {
        if (market->bbos.count > 1)
            bbo_note(market);
        if (market->tickers.count > 1)
            ticker_note(market);
    }
    listing_note(world, market);
    tf_instrument_t instrument = instrument_of(market, which);
    assert_true(
        tf_region_instrument_update(world->region, market->index, &instrument, stamp_now(world)));
    if (trades)
        put_trade(world, market);
    if (!px_up && !sz_up)
        return;
    between(world);
    put_snapshot(world, market);
}

/* Off the list and on again; the state is told before or behind, or not at all. */
static void act_listing(world_t *world, market_t *market, uint32_t which)
{
    bool off = market->status != TF_INSTRUMENT_DELISTED;
    uint64_t die = tf_rng_below(world->rng, 3);
    if (off && die == 0)
        put_state(world, market, TF_STATE_HALTED, TF_REASON_VENUE_STATUS);
    market->status = off ? TF_INSTRUMENT_DELISTED : TF_INSTRUMENT_ONLINE;
    listing_note(world, market);
    tf_instrument_t instrument = instrument_of(market, which);
    assert_true(
        tf_region_instrument_update(world->region, market->index, &instrument, stamp_now(world)));
    between(world);
    if (off && die == 1)
        put_state(world, market, TF_STATE_HALTED, TF_REASON_VENUE_STATUS);
}

void market_add(world_t *world, uint32_t which)
{
    market_t *market = &world_epoch(world)->market[which];
    if (world->region == NULL || market->exists)
        return;
    *market = (market_t){.exists = true,
                         .px_dp = 1,
                         .sz_dp = 2,
                         .bbo = bbo_none,
                         .status = TF_INSTRUMENT_ONLINE,
                         .since_us = world->wall_ns / TF_NS_PER_US};
    state_note(market, TF_STATE_RESYNC, TF_REASON_STARTING);
    listing_note(world, market);
    book_note(market, true);
    bbo_note(market);
    ticker_note(market);
    market->trades.count = 1;
    market->trades.room = 64;
    market->trades.at = calloc(market->trades.room, sizeof *market->trades.at);
    assert_non_null(market->trades.at);
    tf_instrument_t instrument = instrument_of(market, which);
    assert_int_equal(
        tf_region_instrument_add(world->region, &instrument, stamp_now(world), &market->index),
        TF_OK);
}

void market_flood(world_t *world)
{
    if (world->region == NULL)
        return;
    for (uint32_t i = 0; i < MARKETS_MAX; i++) {
        market_t *market = &world_epoch(world)->market[i];
        if (!market->exists)
            continue;
        for (int n = 0; n < 300; n++) {
            put_trade(world, market);
            put_snapshot(world, market);
        }
        act_state(world, market);
        act_describe(world, market, i);
        if (!world->lasting && tf_rng_below(world->rng, 4) == 0)
            act_listing(world, market, i);
        put_trade(world, market); /* what follows hides it from who reads the ring */
        for (int n = 0; n < 4000; n++) {
            ticker_note(market);
            tf_region_put_ticker(world->region, market->index, &market->ticker, stamp_now(world));
        }
    }
}

void market_act(world_t *world)
{
    if (world->region == NULL)
        return;
    uint32_t which = (uint32_t)tf_rng_below(world->rng, MARKETS_MAX);
    market_t *market = &world_epoch(world)->market[which];
    uint64_t die = tf_rng_below(world->rng, 1000);
    if (!market->exists) {
        if (die < 50)
            market_add(world, which);
    } else if (die < 600) {
        act_book(world, market);
    } else if (die < 800) {
        act_trades(world, market);
    } else if (die < 930) {
        act_ticker(world, market);
    } else if (die < 987 || market->state_count < 3) {
        act_state(world, market);
    } else if (die < 990 || (die < 996 && market->status == TF_INSTRUMENT_DELISTED)) {
        if (!world->lasting)
            act_listing(world, market, which);
    } else {
        act_describe(world, market, which);
    }
}

/* ---- epochs ---- */

static void epoch_fini(epoch_t *epoch)
{
    for (uint32_t i = 0; i < MARKETS_MAX; i++) {
        free(epoch->market[i].book.at);
        free(epoch->market[i].bbos.at);
        free(epoch->market[i].tickers.at);
        free(epoch->market[i].trades.at);
        free(epoch->market[i].states);
    }
    for (uint32_t i = 0; i < VENUES_MAX; i++)
        free(epoch->venue[i].at);
    *epoch = (epoch_t){0};
}

epoch_t *world_epoch(world_t *world)
{
    return &world->epoch[world->epochs % MARKET_EPOCHS_KEPT];
}

epoch_t *world_epoch_find(world_t *world, const char *text)
{
    for (uint32_t i = 0; i < MARKET_EPOCHS_KEPT; i++) {
        if (text[0] != '\0' && strcmp(world->epoch[i].text, text) == 0)
            return &world->epoch[i];
    }
    return NULL;
}

static int64_t world_mono_ns(void *context)
{
    return ((world_t *)context)->mono_ns;
}

static int64_t world_wall_ns(void *context)
{
    return ((world_t *)context)->wall_ns;
}

void world_writer_start(world_t *world)
{
    world_writer_stop(world);
    world->epochs++;
    epoch_fini(world_epoch(world));
    assert_int_equal(tf_region_create(&world->region, &world->config, &world->clock, world->stats),
                     TF_OK);
    tf_epoch_text(tf_region_epoch(world->region), world_epoch(world)->text);
}

void world_writer_stop(world_t *world)
{
    tf_region_close(world->region, false);
    world->region = NULL;
}

void world_init(world_t *world, tf_rng_t *rng, uint32_t trades_kept)
{
    *world =
        (world_t){.mono_ns = 1000 * TF_NS_PER_S, .wall_ns = 1790000000 * TF_NS_PER_S, .rng = rng};
    static int worlds;
    (void)snprintf(world->name, sizeof world->name, "test-fanout-%ld-%d", (long)getpid(), worlds++);
    world->clock = (tf_clock_t){world_mono_ns, world_wall_ns, world};
    world->config = (tf_region_config_t){.name = world->name,
                                         .instruments_max = MARKETS_MAX,
                                         .image_depth = MARKET_DEPTH,
                                         .trades_kept = trades_kept,
                                         .ring_bytes = 16 * TF_EVENT_BYTES_MAX};
    world->stats = aligned_alloc(TF_CACHE_LINE_BYTES, sizeof *world->stats);
    assert_non_null(world->stats);
    memset(world->stats, 0, sizeof *world->stats);
}

void world_fini(world_t *world)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_close(world->region, true);
    tf_region_path(path, world->name, "");
    (void)unlink(path);
    tf_region_path(path, world->name, ".lock");
    (void)unlink(path);
    for (uint32_t i = 0; i < MARKET_EPOCHS_KEPT; i++)
        epoch_fini(&world->epoch[i]);
    free(world->stats);
}
