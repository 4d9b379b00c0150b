#include "venue/sim_market.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum {
    LEVELS_MIN = 4, /* a side is never emptied below this */
    FAIR_BITS = 10, /* the fair price moves in 1/1024 ticks: cheap coins move less than a tick */
};

static const double burst_mean_s = 1.5;       /* a burst lasts 1..2 s */
static const double fills_mean = 1.39;        /* matches per taker order, as sim_test measures it */
static const double trade_branching = 0.6;    /* trades that follow from one trade, on average */
static const double trade_half_life_ns = 7e8; /* of the excitement after a trade */
static const double ln2 = 0.69314718055994531;

typedef struct product {
    const char *symbol;
    int64_t px;
    uint8_t px_dp, sz_dp;
} product_t;

static const product_t products[] = {
    {"BTC-USD", 6400000, 2, 8}, {"ETH-USD", 178000, 2, 8}, {"SOL-USD", 14825, 2, 8},
    {"XRP-USD", 21934, 4, 6},   {"DOGE-USD", 17250, 5, 1}, {"ADA-USD", 7312, 4, 8},
    {"LTC-USD", 8744, 2, 8},    {"LINK-USD", 13890, 3, 2}, {"AVAX-USD", 2291, 2, 8},
    {"DOT-USD", 4105, 3, 8},    {"BCH-USD", 51210, 2, 8},  {"UNI-USD", 7811, 3, 6},
    {"AAVE-USD", 26890, 2, 3},  {"ATOM-USD", 4571, 3, 2},  {"XLM-USD", 293210, 6, 8},
    {"ETC-USD", 17350, 3, 8},   {"FIL-USD", 2610, 3, 3},   {"NEAR-USD", 2480, 3, 3},
    {"ALGO-USD", 1987, 4, 0},   {"ICP-USD", 5240, 3, 4},   {"SHIB-USD", 1289, 8, 0},
    {"PEPE-USD", 1083, 8, 0},   {"APT-USD", 4870, 3, 2},   {"ARB-USD", 3390, 4, 2},
    {"OP-USD", 6120, 4, 2},     {"SUI-USD", 29340, 4, 1},  {"HBAR-USD", 17010, 5, 1},
    {"INJ-USD", 11840, 3, 2},   {"USDT-USD", 99985, 5, 2}, {"BTC-EUR", 5905000, 2, 8},
    {"ETH-EUR", 164230, 2, 8},  {"SOL-EUR", 13680, 2, 8},  {"XRP-EUR", 20240, 4, 6},
    {"DOGE-EUR", 15920, 5, 1},  {"ADA-EUR", 6748, 4, 8},   {"LTC-EUR", 8069, 2, 8},
    {"LINK-EUR", 12820, 3, 2},  {"AVAX-EUR", 2114, 2, 8},  {"BTC-GBP", 5030000, 2, 8},
    {"ETH-GBP", 139900, 2, 8},
};

enum { PRODUCTS = sizeof products / sizeof products[0] };

void tf_sim_symbol(uint32_t index, char *out)
{
    if (index < PRODUCTS) {
        memcpy(out, products[index].symbol, strlen(products[index].symbol) + 1);
    } else {
        (void)snprintf(out, TF_SYMBOL_BYTES_MAX, "S%04u-USD", index + 1);
    }
}

/* ---- chance ------------------------------------------------------------------------------- */

/* Uniform in [0, bound). */
static int64_t below(tf_rng_t *rng, int64_t bound)
{
    return (int64_t)tf_rng_below(rng, (uint64_t)bound);
}

/*
 * An exponential variate with mean 1: -ln(u) for u in (0, 1]. Written out (leading zeros give the
 * integer part of log2, an atanh series the rest, error < 2e-5) because libm's log may differ in
 * its last bit between versions, and a seed has to mean the same everywhere.
 */
static double exponential(tf_rng_t *rng)
{
    const uint64_t u = tf_rng_next(rng) | 1;
    const int zeros = __builtin_clzll(u);
    const double m = (double)(u << zeros) / 9223372036854775808.0; /* [1, 2] */
    const double z = (m - 1.0) / (m + 1.0);
    const double z2 = z * z;
    const double ln_m = 2.0 * z * (1.0 + z2 * (1.0 / 3 + z2 * (1.0 / 5 + z2 / 7)));
    const double x = (double)(zeros + 1) * ln2 - ln_m;
    return x > 0.0 ? x : 0.0;
}

/* 2^-x for x >= 0: shifts for the whole part, a Taylor series (error < 2e-3) for the rest. */
static double halved(double x)
{
    if (x >= 60.0) {
        return 0.0;
    }
    const int whole = (int)x;
    const double y = (x - (double)whole) * ln2;
    const double fraction = 1.0 - y * (1.0 - y / 2 * (1.0 - y / 3 * (1.0 - y / 4)));
    return fraction / (double)(1ULL << whole);
}

/* The time of the next of events that come `rate` times per second. */
static int64_t next_after(tf_rng_t *rng, int64_t now_ns, double rate)
{
    const double wait_ns = rate > 0.0 ? exponential(rng) / rate * 1e9 : (double)TF_SIM_NEVER_NS;
    return wait_ns < (double)TF_SIM_NEVER_NS ? now_ns + 1 + (int64_t)wait_ns : TF_SIM_NEVER_NS;
}

/* Spread over three decades, small orders being the many. */
static int64_t random_size(tf_sim_instrument_t *ins)
{
    const int64_t sz = (ins->big_sz >> below(&ins->rng, 11)) * (512 + below(&ins->rng, 512)) / 1024;
    return sz + 1 + below(&ins->rng, 1 + sz / 16);
}

/* ---- book --------------------------------------------------------------------------------- */

/* The index of the first level whose key is not below `key`. */
static uint32_t side_position(const tf_sim_side_t *side, int64_t key)
{
    uint32_t low = 0;
    uint32_t high = side->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (side->level[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The best key that a side may take without crossing the other. */
static int64_t side_limit(tf_sim_instrument_t *ins, uint8_t s)
{
    return -tf_sim_side_best(&ins->side[1 - s])->key - 1;
}

static void side_apply(tf_sim_side_t *side, uint32_t position, bool exists, int64_t key, int64_t sz)
{
    tf_sim_level_t *at = &side->level[position];
    const size_t behind = (side->count - position) * sizeof *at;
    if (sz == 0) {
        memmove(at, at + 1, behind - sizeof *at);
        side->count--;
        return;
    }
    if (!exists) {
        memmove(at + 1, at, behind);
        side->count++;
    }
    *at = (tf_sim_level_t){key, sz};
}

/* Change the book and note it for the message. False, and nothing done, where that is not possible:
 * a level changes at most once per message, and only what exists is removed. */
static bool set_level(tf_sim_market_t *market, tf_sim_instrument_t *ins, uint8_t s, int64_t key,
                      int64_t sz)
{
    tf_sim_side_t *side = &ins->side[s];
    if (market->changes == TF_SIM_CHANGES_MAX || tf_sim_key_price(s, key) < 1) {
        return false;
    }
    for (uint32_t i = 0; i < market->changes; i++) {
        if (market->change[i].key == key && market->change[i].side == s) {
            return false;
        }
    }
    const uint32_t position = side_position(side, key);
    const bool exists = position < side->count && side->level[position].key == key;
    if (sz == 0 ? !exists || side->count <= LEVELS_MIN
                : !exists && side->count == market->levels_max) {
        return false;
    }
    TF_ASSERT_SLOW(sz == 0 || key <= side_limit(ins, s));
    side_apply(side, position, exists, key, sz);
    market->change[market->changes++] = (tf_sim_change_t){s, key, sz};
    return true;
}

/* The best key that the fair price leaves to a side. */
static int64_t fair_key(const tf_sim_instrument_t *ins, uint8_t s)
{
    const int64_t fair_px = ins->fair >> FAIR_BITS;
    return s == TF_SIDE_BUY ? fair_px - ins->half_spread_px : -(fair_px + 1 + ins->half_spread_px);
}

/* Take away the orders that the fair price has passed, and quote again close to it. */
static void follow_fair(tf_sim_market_t *market, tf_sim_instrument_t *ins, uint8_t s)
{
    tf_sim_side_t *side = &ins->side[s];
    const int64_t limit = fair_key(ins, s);
    while (tf_sim_side_best(side)->key > limit &&
           set_level(market, ins, s, tf_sim_side_best(side)->key, 0)) {
    }
    const int64_t slack_px = 1 + ins->half_spread_px;
    if (tf_sim_side_best(side)->key < limit - slack_px) {
        const int64_t wanted = limit - below(&ins->rng, slack_px);
        const int64_t allowed = side_limit(ins, s);
        (void)set_level(market, ins, s, wanted < allowed ? wanted : allowed, random_size(ins));
    }
}

/* One change somewhere in the book, mostly near the top; more levels come than go while there are
 * fewer than `depth`, and the other way round. */
static void change_somewhere(tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    const uint32_t depth = market->config.depth;
    const int depth_bits = 32 - __builtin_clz(depth - 1);
    const uint8_t s = (uint8_t)below(&ins->rng, 2);
    tf_sim_side_t *side = &ins->side[s];
    const int64_t reach = (int64_t)1 << below(&ins->rng, depth_bits + 1);
    const uint32_t from_best = (uint32_t)below(&ins->rng, reach);
    const int64_t behind_px = 1 + below(&ins->rng, 2 * ins->gap_px);
    if (from_best >= side->count) {
        (void)set_level(market, ins, s, side->level[0].key - behind_px, random_size(ins));
        return;
    }
    const int64_t key = side->level[side->count - 1 - from_best].key;
    if (below(&ins->rng, 2) == 0) {
        (void)set_level(market, ins, s, key, random_size(ins));
    } else if (below(&ins->rng, 2 * (int64_t)depth) >= side->count) {
        (void)set_level(market, ins, s, key - behind_px, random_size(ins));
    } else {
        (void)set_level(market, ins, s, key, 0);
    }
}

/* A mean-reverting walk that moves in every fourth message: pulled back so weakly that it strays
 * some tenths of a per cent. */
static void move_fair(tf_sim_instrument_t *ins)
{
    if (below(&ins->rng, 4) == 0) {
        ins->fair += below(&ins->rng, 2 * ins->step + 1) - ins->step;
        ins->fair -= (ins->fair - (ins->anchor_px << FAIR_BITS)) / 50000;
    }
}

static void update_book(tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    move_fair(ins);
    follow_fair(market, ins, TF_SIDE_BUY);
    follow_fair(market, ins, TF_SIDE_SELL);
    do {
        change_somewhere(market, ins);
    } while (below(&ins->rng, 4) != 0 && market->changes < TF_SIM_CHANGES_MAX);
    if (market->changes == 0) { /* a message has at least one change */
        const bool changed = set_level(market, ins, TF_SIDE_BUY,
                                       tf_sim_side_best(&ins->side[0])->key, random_size(ins));
        TF_ASSERT(changed);
    }
}

/* Levels from just behind the fair price outwards. */
static void fill_side(const tf_sim_market_t *market, tf_sim_instrument_t *ins, uint8_t s)
{
    tf_sim_side_t *side = &ins->side[s];
    const uint32_t depth = market->config.depth;
    int64_t key = fair_key(ins, s);
    while (side->count < depth && tf_sim_key_price(s, key) >= 1) {
        side->count++;
        side->level[depth - side->count] = (tf_sim_level_t){key, random_size(ins)};
        key -= 1 + below(&ins->rng, 2 * ins->gap_px);
    }
    memmove(side->level, side->level + (depth - side->count), side->count * sizeof *side->level);
}

/* ---- events ------------------------------------------------------------------------------- */

static double excitement_at(const tf_sim_instrument_t *ins, int64_t now_ns)
{
    return ins->excitement * halved((double)(now_ns - ins->excited_ns) / trade_half_life_ns);
}

/* When the venue says that it happened: a little before it is sent. */
static int64_t event_time(const tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    return market->now_ns - (TF_NS_PER_MS / 2 + below(&ins->rng, 5 * TF_NS_PER_MS / 2));
}

int64_t tf_sim_market_update(tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    market->changes = 0;
    market->fills = 0;
    update_book(market, ins);
    ins->sequence += 2 + tf_rng_below(&ins->rng, 60); /* never +1: it counts the full channel */
    return event_time(market, ins);
}

/* One order's fill at the best level of the maker's side. */
static void fill_best(tf_sim_market_t *market, tf_sim_instrument_t *ins, int64_t sz)
{
    const uint8_t maker = 1 - ins->taker;
    const tf_sim_level_t best = *tf_sim_side_best(&ins->side[maker]);
    const bool changed = set_level(market, ins, maker, best.key, best.sz - sz);
    TF_ASSERT(changed);
    ins->trade_id++;
    ins->sequence += 2 + tf_rng_below(&ins->rng, 20);
    ins->last_px = tf_sim_key_price(maker, best.key);
    ins->last_sz = sz;
    ins->high_px = ins->last_px > ins->high_px ? ins->last_px : ins->high_px;
    ins->low_px = ins->last_px < ins->low_px ? ins->last_px : ins->low_px;
    ins->volume_sz += sz - ins->volume_sz / 20000; /* what trades in leaves again a day later */
    market->fill[market->fills++] = tf_sim_last_fill(ins);
}

static void take_from_book(tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    if (below(&ins->rng, 10) < 3) { /* takers come in runs of one side */
        ins->taker = 1 - ins->taker;
    }
    const tf_sim_side_t *side = &ins->side[1 - ins->taker];
    int64_t wanted = 1 + random_size(ins) / 8; /* most orders fit the best level */
    while (market->fills < TF_SIM_FILLS_MAX && wanted > 0 && side->count > LEVELS_MIN) {
        const int64_t there = tf_sim_side_best(side)->sz;
        const int64_t sz = wanted < there ? wanted : there;
        fill_best(market, ins, sz);
        wanted -= sz;
    }
    ins->fair += (ins->taker == TF_SIDE_BUY ? 1 : -1) * (ins->step / 4);
}

bool tf_sim_market_trade(tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    const double excitement = excitement_at(ins, market->now_ns);
    const double rate = market->trade_rate * market->burst + excitement;
    market->changes = 0;
    market->fills = 0;
    if ((double)below(&ins->rng, 1 << 20) > rate / ins->trade_bound * (1 << 20)) {
        return false;
    }
    /* Scaled by the decay's integral, so that one trade brings trade_branching others. */
    ins->excitement = excitement + trade_branching * ln2 / (trade_half_life_ns / 1e9);
    ins->excited_ns = market->now_ns;
    ins->trade_te_ns = event_time(market, ins);
    take_from_book(market, ins);
    return market->fills > 0; /* none: the side is too thin */
}

/* ---- rates -------------------------------------------------------------------------------- */

static double burst_pause_s(const tf_sim_config_t *config)
{
    const double pause_s = config->burst_every_s - burst_mean_s;
    return pause_s > 0.5 ? pause_s : 0.5;
}

/* The configured rates are means over bursts and pauses, over excited and calm times. */
static void rates_set(tf_sim_market_t *market)
{
    const tf_sim_config_t *config = &market->config;
    const bool bursts = config->burst_every_s > 0.0 && config->burst_factor > 1.0;
    const double pause_s = burst_pause_s(config);
    const double share = bursts ? burst_mean_s / (burst_mean_s + pause_s) : 0.0;
    const double mean_burst = 1.0 + share * (config->burst_factor - 1.0);
    const double orders = config->trades_per_s / fills_mean;
    const double updates = config->updates_per_s - orders; /* an order moves the book as well */
    const double updates_min = config->updates_per_s / 10.0;
    market->update_rate = (updates > updates_min ? updates : updates_min) / mean_burst;
    market->trade_rate = orders * (1.0 - trade_branching) / mean_burst;
    market->burst_rate = bursts ? 1.0 / pause_s : 0.0;
    market->burst_before = 1.0;
    market->burst = 1.0;
}

int64_t tf_sim_market_next_update(const tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    return next_after(&ins->rng, market->now_ns, market->update_rate * market->burst);
}

/* From the rate as it is now. It only decays until then, which tf_sim_market_trade() corrects by
 * thinning (Ogata): it drops candidates in proportion. */
int64_t tf_sim_market_next_trade(const tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    ins->trade_bound = market->trade_rate * market->burst + excitement_at(ins, market->now_ns);
    return next_after(&ins->rng, market->now_ns, ins->trade_bound);
}

int64_t tf_sim_market_next_burst(tf_sim_market_t *market)
{
    return next_after(&market->burst_rng, market->now_ns, market->burst_rate);
}

int64_t tf_sim_market_burst(tf_sim_market_t *market)
{
    market->burst_before = market->burst;
    if (market->burst > 1.0) {
        market->burst = 1.0;
        return tf_sim_market_next_burst(market);
    }
    market->burst = market->config.burst_factor;
    return market->now_ns + TF_NS_PER_S + below(&market->burst_rng, TF_NS_PER_S);
}

double tf_sim_market_update_shrink(const tf_sim_market_t *market)
{
    return market->burst_before / market->burst;
}

double tf_sim_market_trade_shrink(const tf_sim_market_t *market, tf_sim_instrument_t *ins)
{
    const double more = market->trade_rate * (market->burst - market->burst_before);
    const double shrink = ins->trade_bound / (ins->trade_bound + more);
    ins->trade_bound += more;
    return shrink;
}

/* ---- instruments -------------------------------------------------------------------------- */

static int64_t power_of_ten(unsigned exponent)
{
    int64_t power = 1;
    while (exponent-- > 0) {
        power *= 10;
    }
    return power;
}

/* Price and decimals; beyond the familiar ones from a seed of its own, so that S0041-USD is the
 * same kind of coin in every run. */
static product_t product_at(uint32_t index)
{
    if (index < PRODUCTS) {
        return products[index];
    }
    tf_rng_t rng = {index};
    product_t product = {.px = 1000 + below(&rng, 400000)};
    product.px_dp = (uint8_t)(2 + below(&rng, 3));
    product.sz_dp = (uint8_t)(4 + below(&rng, 5));
    return product;
}

static void instrument_set(tf_sim_market_t *market, uint32_t index, uint64_t seed)
{
    tf_sim_instrument_t *ins = &market->instrument[index];
    const product_t product = product_at(index);
    tf_sim_symbol(index, ins->symbol);
    ins->px_dp = product.px_dp;
    ins->sz_dp = product.sz_dp;
    ins->rng.state = seed;
    ins->anchor_px = product.px;
    ins->fair = product.px << FAIR_BITS;
    ins->step = 1 + (product.px << FAIR_BITS) / 25000; /* 0.4 basis points */
    ins->gap_px = 1 + product.px / 60000;
    ins->half_spread_px = index < 2 ? 0 : below(&ins->rng, 3);
    ins->big_sz = 30000 * power_of_ten(product.px_dp + product.sz_dp) / product.px;
    for (uint32_t s = 0; s < 2; s++) {
        ins->side[s].level = market->levels + (size_t)(2 * index + s) * market->levels_max;
        fill_side(market, ins, (uint8_t)s);
    }
    ins->trade_id = 1000000 + tf_rng_below(&ins->rng, 1000000000);
    ins->sequence = (1ULL << 33) + tf_rng_below(&ins->rng, 1ULL << 36);
    ins->trade_te_ns = -TF_NS_PER_MS - below(&ins->rng, 5 * TF_NS_PER_S);
    ins->taker = (uint8_t)below(&ins->rng, 2);
    ins->last_px =
        tf_sim_key_price(1 - ins->taker, tf_sim_side_best(&ins->side[1 - ins->taker])->key);
    ins->last_sz = random_size(ins);
    ins->open_px = product.px + below(&ins->rng, product.px / 20) - product.px / 40;
    ins->high_px = (ins->open_px > product.px ? ins->open_px : product.px) + product.px / 80;
    ins->low_px = (ins->open_px < product.px ? ins->open_px : product.px) - product.px / 80;
    ins->volume_sz = ins->big_sz * (500 + below(&ins->rng, 1000));
}

bool tf_sim_market_init(tf_sim_market_t *market, const tf_sim_config_t *config)
{
    tf_rng_t seeds = {config->seed};
    *market = (tf_sim_market_t){.config = *config};
    market->levels_max = config->depth + config->depth / 4 + 32;
    market->instrument = tf_mem_calloc(config->instruments, sizeof *market->instrument);
    market->levels =
        tf_mem_calloc((size_t)2 * config->instruments * market->levels_max, sizeof *market->levels);
    if (market->instrument == NULL || market->levels == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < config->instruments; i++) {
        instrument_set(market, i, tf_rng_next(&seeds));
    }
    market->burst_rng.state = tf_rng_next(&seeds);
    rates_set(market);
    return true;
}

void tf_sim_market_fini(tf_sim_market_t *market)
{
    tf_mem_free(market->instrument);
    tf_mem_free(market->levels);
}

tf_sim_instrument_t *tf_sim_market_find(tf_sim_market_t *market, tf_slice_t symbol)
{
    for (uint32_t i = 0; i < market->config.instruments; i++) {
        uint32_t at = i;
        if (i == PRODUCTS && symbol.bytes == 9 && symbol.text[0] == 'S') {
            uint32_t number = 0; /* "S0041-USD" says where it is: no search among thousands */
            for (size_t digit = 1; digit < 5; digit++) {
                number = number * 10 + (uint32_t)(uint8_t)(symbol.text[digit] - '0');
            }
            at = number - 1;
        }
        if (at >= market->config.instruments) {
            return NULL;
        }
        tf_sim_instrument_t *ins = &market->instrument[at];
        if (tf_slice_is_bytes(symbol, ins->symbol, strlen(ins->symbol))) {
            return ins;
        }
        if (i >= PRODUCTS) {
            return NULL;
        }
    }
    return NULL;
}
