/*
 * ingest_rig: an ingest with one scripted link, the real Coinbase adapter, a real region, and a
 * reader that writes what was published as one line of words.
 */
#pragma once

#include "kit/kit.h"

#include "base/clock.h"
#include "ingest/ingest.h"

#include <tickfan/reader.h>

enum {
    RIG_EVENTS_MAX = 1024,
    RIG_TEXT_BYTES = 1 << 16,
    RIG_DEPTH = 3,
};

/* Plays the events that were queued, then says IDLE. */
typedef struct rig_source {
    tf_source_t source;
    tf_source_event_t event[RIG_EVENTS_MAX];
    size_t count;
    size_t next;
    int64_t now_ns;
    char sent[RIG_TEXT_BYTES]; /* request frames, one per line */
    bool destroyed;
} rig_source_t;

typedef struct rig {
    char name[64];
    tf_stats_t stats;
    tf_clock_t clock;
    tf_region_t *region;
    tf_reader_t *reader;
    tf_ingest_t *ingest;
    rig_source_t source;
    char told[RIG_TEXT_BYTES];
    char *frames[RIG_EVENTS_MAX]; /* copies of queued frames */
    size_t frame_count;
} rig_t;

/* `symbols` NULL: whatever the venue sends. */
void rig_open(rig_t *rig, const char *const *symbols, uint32_t instruments_max);
void rig_close(rig_t *rig);

/* rig_open() in two steps, for a second step that may fail. */
void rig_region_open(rig_t *rig, uint32_t instruments_max);
TF_MUST_CHECK tf_status_t rig_ingest_open(rig_t *rig, const char *const *symbols);

/* Queue an event at a time of the source's clock. */
void rig_queue(rig_t *rig, int64_t now_ms, tf_source_event_type_t type, const char *text);

/* One event, and the turn that handles it. */
void rig_play(rig_t *rig, int64_t now_ms, tf_source_event_type_t type, const char *text);

/* rig_play() of a frame. */
void rig_frame(rig_t *rig, int64_t now_ms, const char *text);

/*
 * What readers were told since the last call, mantissas throughout:
 *   I0:2/8         instrument 0 is new or changed, px_dp/sz_dp
 *   S0:live        state; with "/reason" unless live
 *   B0:100x1|101x2 book change, bids|asks; B0* for a snapshot
 *   Q0:100x1|-     best bid and offer
 *   T0:7:buy:100x1 trade: id, taker's side; with "+n" when n are missing before it
 *   K0             ticker
 */
const char *rig_told(rig_t *rig);

/* What the venue was asked since the last call. */
const char *rig_sent(rig_t *rig);

uint64_t rig_count(const rig_t *rig, tf_stat_t stat);

/* Level2 frames of BTC-USD; levels as in ["100.00","1.0"],["99.00","2.0"]. */
#define RIG_TIME    "\"time\":\"2026-07-07T22:58:17.038046Z\""
#define RIG_TIME_NS 1783465097038046000LL
#define RIG_SNAPSHOT(symbol, bids, asks)                                                           \
    "{\"type\":\"snapshot\",\"product_id\":\"" symbol "\",\"asks\":[" asks "],\"bids\":[" bids     \
    "]," RIG_TIME "}"
#define RIG_CHANGE(symbol, changes)                                                                \
    "{\"type\":\"l2update\",\"product_id\":\"" symbol "\",\"changes\":[" changes "]," RIG_TIME "}"
#define RIG_MATCH(type, symbol, id, maker, size, price)                                            \
    "{\"type\":\"" type "\",\"trade_id\":" id ",\"side\":\"" maker "\",\"size\":\"" size           \
    "\",\"price\":\"" price "\",\"product_id\":\"" symbol "\"," RIG_TIME "}"
#define RIG_HEARTBEAT(symbol, id)                                                                  \
    "{\"type\":\"heartbeat\",\"last_trade_id\":" id ",\"product_id\":\"" symbol "\"," RIG_TIME "}"
#define RIG_PRODUCT(symbol, tick, lot, status)                                                     \
    "{\"id\":\"" symbol "\",\"base_currency\":\"BTC\",\"quote_currency\":\"USD\","                 \
    "\"quote_increment\":\"" tick "\",\"base_increment\":\"" lot "\",\"status\":\"" status "\"}"
#define RIG_STATUS(products) "{\"type\":\"status\",\"products\":[" products "]}"
#define RIG_BOOK                                                                                   \
    RIG_SNAPSHOT("BTC-USD", "[\"100.00\",\"1.0\"],[\"99.00\",\"2.0\"]",                            \
                 "[\"101.00\",\"3.0\"],[\"102.00\",\"4.0\"]")

/* BTC-USD, live with RIG_BOOK at 1 s, last trade 100; what was told and sent so far is dropped. */
void rig_live(rig_t *rig);
