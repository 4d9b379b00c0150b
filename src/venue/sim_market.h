/*
 * sim_market: the market that the simulated venue shows: prices, books and trades of its
 * instruments, and how often something happens in them. No text, no subscriptions, no clock: sim.c
 * says when an event happens and writes what it changed. Ingest thread. Flow: sim (schedule) ->
 * [sim_market] -> sim_text. Private to the simulated venue.
 *
 * Prices and sizes are integers (ticks and lots) all the way; only waiting times use floating
 * point. Every instrument draws from its own generator, so what happens in one market depends
 * neither on the others nor on who listens.
 */
#pragma once

#include "base/rng.h"
#include "venue/source.h"

#include <tickfan/event.h>

enum {
    TF_SIM_CHANGES_MAX = 20, /* levels that one event may change */
    TF_SIM_FILLS_MAX = 4,    /* levels that one taker order may go through */
};

/* The time of what never happens; far enough from the end to add waiting times to it. */
#define TF_SIM_NEVER_NS (INT64_MAX / 4)

/* key: the price for bids, its negative for asks; so a greater key is better on both sides. */
typedef struct tf_sim_level {
    int64_t key;
    int64_t sz;
} tf_sim_level_t;

typedef struct tf_sim_side {
    tf_sim_level_t *level; /* ascending: the best is the last, where most changes happen */
    uint32_t count;
} tf_sim_side_t;

typedef struct tf_sim_instrument {
    char symbol[TF_SYMBOL_BYTES_MAX];
    uint8_t px_dp;    /* the tick is one unit of it, */
    uint8_t sz_dp;    /* and so is the lot */
    uint8_t channels; /* subscribed, bit per tf_sim_channel_t; this and the next: sim_request's */
    uint8_t owed;     /* first messages still to be sent, bit per tf_sim_channel_t */
    uint8_t taker;    /* of the last trade, tf_side_t */
    tf_rng_t rng;
    int64_t anchor_px; /* the price reverts to it */
    int64_t fair;      /* in fractions of a tick, see sim_market.c */
    int64_t step;      /* size of one move, same unit */
    int64_t gap_px;    /* mean distance of levels */
    int64_t half_spread_px;
    int64_t big_sz; /* an order of about 30 000 of the quote currency */
    tf_sim_side_t side[2];
    uint64_t trade_id;
    uint64_t sequence;
    int64_t trade_te_ns; /* of the last trade, simulated time */
    int64_t last_px, last_sz;
    int64_t open_px, high_px, low_px, volume_sz; /* 24 h */
    double trade_bound; /* events per second for which the next trade was drawn */
    double excitement;  /* extra trades per second at excited_ns */
    int64_t excited_ns;
} tf_sim_instrument_t;

typedef struct tf_sim_change {
    uint8_t side; /* tf_side_t */
    int64_t key;
    int64_t sz; /* 0: removed */
} tf_sim_change_t;

/* One fill. Its side and time are the instrument's taker and trade_te_ns. */
typedef struct tf_sim_fill {
    uint64_t trade_id;
    uint64_t sequence;
    int64_t px;
    int64_t sz;
} tf_sim_fill_t;

typedef struct tf_sim_market {
    tf_sim_config_t config;
    tf_sim_instrument_t *instrument; /* config.instruments */
    tf_sim_level_t *levels;          /* of all sides */
    uint32_t levels_max;             /* of one side */
    tf_rng_t burst_rng;
    double burst;        /* 1, or burst_factor while one is on */
    double burst_before; /* what it was until the last change */
    double burst_rate;   /* per second of calm; 0: there are none */
    double update_rate;  /* per second in calm times */
    double trade_rate;   /* taker orders per second, without the excited ones */
    int64_t now_ns;      /* simulated time of the event that is happening: the caller sets it */

    /* What the last event did: */
    tf_sim_change_t change[TF_SIM_CHANGES_MAX]; /* no level twice */
    uint32_t changes;
    tf_sim_fill_t fill[TF_SIM_FILLS_MAX];
    uint32_t fills;
} tf_sim_market_t;

/* Set up all instruments for a config within its limits; false: out of memory (fini all the
 * same). */
bool tf_sim_market_init(tf_sim_market_t *market, const tf_sim_config_t *config);
void tf_sim_market_fini(tf_sim_market_t *market);

/* NULL: no such symbol. */
tf_sim_instrument_t *tf_sim_market_find(tf_sim_market_t *market, tf_slice_t symbol);

/*
 * Something happens in an instrument at market->now_ns; see `change` and `fill` for what.
 *
 * update  the book changes by itself, in one level at least. Returns when the venue says that it
 *         happened
 * trade   an order may come that takes from the book: false when it does not. Its time is the
 *         instrument's trade_te_ns
 */
int64_t tf_sim_market_update(tf_sim_market_t *market, tf_sim_instrument_t *ins);
bool tf_sim_market_trade(tf_sim_market_t *market, tf_sim_instrument_t *ins);

/* Draw when the next update, or possible trade, of an instrument is to happen. */
int64_t tf_sim_market_next_update(const tf_sim_market_t *market, tf_sim_instrument_t *ins);
int64_t tf_sim_market_next_trade(const tf_sim_market_t *market, tf_sim_instrument_t *ins);

/*
 * Bursts: next draws when the first one begins. burst begins one at market->now_ns, or ends it, and
 * returns when the contrary is due. After it, all waiting times change with their rates: the two
 * others return the factor for what is left of a wait (once for each: trade keeps account of it).
 * That is exact, because waiting for a Poisson event has no memory.
 */
int64_t tf_sim_market_next_burst(tf_sim_market_t *market);
int64_t tf_sim_market_burst(tf_sim_market_t *market);
double tf_sim_market_update_shrink(const tf_sim_market_t *market);
double tf_sim_market_trade_shrink(const tf_sim_market_t *market, tf_sim_instrument_t *ins);

static inline int64_t tf_sim_key_price(uint8_t side, int64_t key)
{
    return side == TF_SIDE_BUY ? key : -key;
}

/* A side is never empty. */
static inline tf_sim_level_t *tf_sim_side_best(const tf_sim_side_t *side)
{
    return &side->level[side->count - 1];
}

/* The last trade as if it had just happened: with the sequence of now. */
static inline tf_sim_fill_t tf_sim_last_fill(const tf_sim_instrument_t *ins)
{
    return (tf_sim_fill_t){ins->trade_id, ins->sequence, ins->last_px, ins->last_sz};
}
