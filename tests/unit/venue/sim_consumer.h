/*
 * sim_consumer: a consumer of the simulated venue that knows nothing of the simulation. It reads
 * with jansson, keeps books as unsorted lists, and fails the test at the first frame that
 * contradicts what it was told before.
 */
#pragma once

#include "kit/kit.h"

#include "base/clock.h"
#include "venue/source.h"

#include <tickfan/event.h>

/* 2026-07-07T12:00:00Z: noon, so that a test's seconds stay within the day */
#define WALL_START (1783425600LL * TF_NS_PER_S)

#define EVERYTHING "[\"level2_batch\",\"matches\",\"ticker\",\"heartbeat\"]"

typedef struct entry {
    int64_t px;
    int64_t sz;
    bool bid;
} entry_t;

typedef struct market {
    char symbol[TF_SYMBOL_BYTES_MAX];
    bool subscribed_book;
    bool have_book;
    entry_t *entry;
    size_t entries;
    uint64_t trade_id; /* 0: no baseline yet */
    uint64_t sequence;
    bool maker_buys;
    bool taken; /* a match that the next l2update has to reflect */
    int64_t match_px, match_sz;
    size_t updates, changes, matches, orders, tickers, heartbeats, snapshots, last_matches;
} market_t;

typedef struct world {
    tf_source_t *source;
    int64_t mono_ns;
    int64_t step_ns; /* 0: sleep as IDLE says */
    int64_t wall_start_ns;
    int64_t now_ns;
    uint32_t markets;
    market_t *market;
    size_t opened, bodies, frames, errors, acknowledgements, statuses;
    char *transcript; /* every frame, one per line, where wanted */
    size_t transcript_bytes, transcript_room;
    char last[512];
} world_t;

/* Open the venue; every time starts at 0 and WALL_START. */
void world_open(world_t *world, const tf_sim_config_t *config);
void world_close(world_t *world);

/* Take and check everything that is due now. Returns how long the source wants to sleep. */
int64_t drain(world_t *world);

void run_until(world_t *world, int64_t mono_ns);

/* A request as it is, and one for all products; `channels` is a JSON array. */
void send_text(world_t *world, const char *text);
void request_all(world_t *world, const char *type, const char *channels);

/* The best bid and ask of a kept book, which must not be crossed. */
void best_of(const market_t *market, int64_t *bid, int64_t *ask);
