/*
 * fanout_market: the writer of a region under test, and the truth: what every version that it
 * published said, written down naively at the time. Readers are judged by it and by nothing else.
 */
#pragma once

#include "base/rng.h"
#include "region/region.h"

#include <tickfan/reader.h>

#include <stdbool.h>

enum {
    MARKETS_MAX = 6,
    MARKET_DEPTH = 20, /* of the image */
    MARKET_LEVELS_MAX = 48,
    MARKET_EPOCHS_KEPT = 24,
    VENUES_MAX = 2,
};

/* A visible depth's index in version_t.hash. */
typedef enum depth_index { DEPTH_1, DEPTH_10, DEPTH_20, DEPTH_COUNT } depth_index_t;

typedef struct version {
    uint64_t hash[DEPTH_COUNT]; /* of the content as text; bbo and ticker have one */
    uint32_t state_at;          /* the market's state when it was published, in `states` */
    uint8_t px_dp, sz_dp;
    bool fresh; /* no difference leads to it */
} version_t;

typedef struct versions {
    version_t *at; /* by seq; [0] is the empty market */
    uint64_t count;
    uint64_t room;
} versions_t;

typedef struct trade_truth {
    int64_t px, sz, te_ns;
    uint32_t gap_before;
    uint32_t state_at;
    uint8_t px_dp, sz_dp, side;
} trade_truth_t;

typedef struct trades_truth {
    trade_truth_t *at; /* by number; [0] is not used */
    uint64_t count;
    uint64_t room;
} trades_truth_t;

typedef struct told {
    tf_market_state_t state;
    tf_market_reason_t reason;
} told_t;

/* One publication of an instrument's entry, in the order of its venue: what the entry then said. */
typedef struct listing {
    uint32_t which; /* market */
    told_t told;
    int64_t since_us;
    uint8_t status; /* tf_instrument_status_t */
    uint8_t px_dp, sz_dp;
    uint64_t trades; /* the last one's number */
} listing_t;

/* A venue in one epoch. The n-th publication is version n of its channels. */
typedef struct listings {
    listing_t *at; /* by version; [0] is not used */
    uint64_t count;
    uint64_t room;
} listings_t;

/* One instrument in one epoch. */
typedef struct market {
    bool exists;
    uint32_t index; /* in the region */
    uint8_t px_dp, sz_dp;
    uint8_t status; /* tf_instrument_status_t */
    int64_t since_us;
    tf_level_t level[2][MARKET_LEVELS_MAX]; /* the full book, best first */
    uint32_t levels[2];
    tf_bbo_t bbo; /* as published */
    tf_ticker_t ticker;
    versions_t book, bbos, tickers;
    trades_truth_t trades;
    told_t *states;
    uint32_t state_count;
    uint32_t state_room;
} market_t;

typedef struct epoch {
    char text[9]; /* "" = none */
    market_t market[MARKETS_MAX];
    listings_t venue[VENUES_MAX];
} epoch_t;

typedef struct world {
    char name[64];
    tf_region_config_t config;
    tf_clock_t clock;
    int64_t mono_ns, wall_ns;
    tf_stats_t *stats;
    tf_rng_t *rng;
    tf_region_t *region; /* NULL = the writer is away */
    bool silent;         /* it is there and gives no sign of life */
    bool lasting;        /* no market is delisted */
    uint64_t epochs;     /* begun so far */
    epoch_t epoch[MARKET_EPOCHS_KEPT];
    void (*between)(void *context); /* called between two publications that belong together */
    void *context;
} world_t;

extern const char *const market_symbols[MARKETS_MAX];
extern const char *const market_venues[VENUES_MAX];
uint32_t market_venue(uint32_t which); /* index */
/* What a venue's channel says of a market at a version; NULL = nothing yet. */
const listing_t *market_listing(const epoch_t *epoch, uint32_t which, uint64_t version);

void world_init(world_t *world, tf_rng_t *rng, uint32_t trades_kept);
void world_fini(world_t *world);

/* A writer begins an epoch, with no instruments; the one before goes away. */
void world_writer_start(world_t *world);
void world_writer_stop(world_t *world);

epoch_t *world_epoch(world_t *world);
/* NULL when there is no such epoch, or it is too long ago. */
epoch_t *world_epoch_find(world_t *world, const char *text);

/* One of everything that can happen to a market; nothing when the writer is away. */
void market_act(world_t *world);
void market_add(world_t *world, uint32_t which);
/* So much at once that every reader is lapped. */
void market_flood(world_t *world);

/* ---- the truth's texts, fanout_text.c ---- */

size_t market_decimal(char *out, int64_t mantissa, uint8_t dp);
uint64_t market_hash(uint64_t hash, const char *text, size_t bytes);
uint64_t market_hash_level(uint64_t hash, char side, const tf_level_t *level, uint8_t px_dp,
                           uint8_t sz_dp);
uint64_t market_hash_bbo(const tf_bbo_t *bbo, uint8_t px_dp, uint8_t sz_dp);
uint64_t market_hash_ticker(const tf_ticker_t *ticker, uint8_t px_dp, uint8_t sz_dp);
enum { MARKET_HASH_START = 0x1505 };
