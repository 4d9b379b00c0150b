/*
 * ingest_feed_rig: a feed whose callbacks write down what happened, and its events in short.
 */
#pragma once

#include "kit/kit.h"

#include "base/clock.h"
#include "ingest/feed.h"

#include <stdio.h>
#include <string.h>

/* The rules of a venue like Coinbase. */
static const tf_adapter_rules_t strict = {
    .trade_ids_contiguous = true,
    .heartbeat_timeout_ns = 5 * TF_NS_PER_S,
    .heartbeats_ahead_max = 1,
    .resync_spacing_ns = 2 * TF_NS_PER_S,
};

enum { MARKETS = 4, TEXT_BYTES = 4096 };

/* A feed whose callbacks write what happened, one word each: "1:live/none@3000" "1:ask". */
typedef struct rig {
    tf_feed_t feed;
    tf_feed_market_t market[MARKETS];
    tf_stats_t stats;
    char said[TEXT_BYTES];
} rig_t;

static inline void say(rig_t *rig, const char *text)
{
    size_t used = strlen(rig->said);
    if (used + strlen(text) + 1 < sizeof rig->said)
        snprintf(rig->said + used, sizeof rig->said - used, "%s%s", used > 0 ? " " : "", text);
}

static inline void on_state(void *context, tf_feed_market_t *market, int64_t at_ns)
{
    char text[128];
    snprintf(text, sizeof text, "%u:%s/%s@%lld", market->slot, tf_market_state_text(market->state),
             tf_market_reason_text(market->reason), (long long)(at_ns / TF_NS_PER_MS));
    say(context, text);
}

static inline void on_ask(void *context, tf_feed_market_t *market)
{
    char text[32];
    snprintf(text, sizeof text, "%u:ask", market->slot);
    say(context, text);
}

static inline void rig_init(rig_t *rig, const tf_adapter_rules_t *rules, uint32_t markets)
{
    memset(rig, 0, sizeof *rig);
    const tf_feed_sink_t sink = {.on_state = on_state, .on_ask = on_ask, .context = rig};
    tf_feed_init(&rig->feed, rules, &sink, &rig->stats);
    for (uint32_t i = 0; i < markets; i++)
        tf_feed_market_add(&rig->feed, &rig->market[i], i);
}

static inline uint64_t count_of(const rig_t *rig, tf_stat_t stat)
{
    return tf_stats_get(&rig->stats, stat);
}

/* Compare what was said since the last call. */
static inline void assert_said(rig_t *rig, const char *expected)
{
    assert_string_equal(rig->said, expected);
    rig->said[0] = '\0';
}

static inline void at(rig_t *rig, int64_t now_ms)
{
    tf_feed_advance(&rig->feed, now_ms * TF_NS_PER_MS);
}

static inline void snapshot(rig_t *rig, uint32_t slot)
{
    tf_feed_heard(&rig->feed, &rig->market[slot]);
    tf_feed_snapshot(&rig->feed, &rig->market[slot]);
}

static inline void heartbeat(rig_t *rig, uint32_t slot, uint64_t id)
{
    tf_feed_heard(&rig->feed, &rig->market[slot]);
    tf_feed_heartbeat(&rig->feed, &rig->market[slot], id);
}

static inline void baseline(rig_t *rig, uint32_t slot, uint64_t id)
{
    tf_feed_heard(&rig->feed, &rig->market[slot]);
    tf_feed_baseline(&rig->feed, &rig->market[slot], id);
}

enum { DUPLICATE = -1 };

/* The gap that the trade announces, or DUPLICATE. */
static inline int64_t trade(rig_t *rig, uint32_t slot, uint64_t id)
{
    tf_feed_heard(&rig->feed, &rig->market[slot]);
    tf_feed_trade_t verdict = tf_feed_trade(&rig->feed, &rig->market[slot], id);
    return verdict.publish ? (int64_t)verdict.gap_before : DUPLICATE;
}
