#include "ingest/feed.h"

#include "base/clock.h"

#include <string.h>

#define ASK_WAIT_MIN_NS TF_NS_PER_S /* for venues whose rules name no spacing */
#define ASK_WAIT_MAX_NS (30 * TF_NS_PER_S)

static int64_t max_ns(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_id(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void tf_feed_init(tf_feed_t *feed, const tf_adapter_rules_t *rules, const tf_feed_sink_t *sink,
                  tf_stats_t *stats)
{
    *feed = (tf_feed_t){
        .rules = *rules,
        .sink = *sink,
        .stats = stats,
        .now_ns = INT64_MIN,
        .ask_next_ns = INT64_MAX,
    };
}

static void move(tf_feed_t *feed, tf_feed_market_t *market, tf_market_state_t to,
                 tf_market_reason_t why, int64_t at_ns)
{
    tf_market_state_move(&market->state, &market->reason, to, why);
    TF_ASSERT(to != TF_STATE_LIVE || market->book == TF_FEED_BOOK_FOLLOWED);
    TF_ASSERT((to != TF_STATE_RESYNC && to != TF_STATE_STALE) ||
              market->book == TF_FEED_BOOK_AWAITED);
    feed->sink.on_state(feed->sink.context, market, at_ns);
}

static void ask(tf_feed_t *feed, tf_feed_market_t *market, int64_t now_ns)
{
    market->asked_ns = now_ns;
    market->ask_at_ns = now_ns + market->ask_wait_ns;
    market->ask_wait_ns = min_ns(2 * market->ask_wait_ns, ASK_WAIT_MAX_NS);
    feed->ask_next_ns = min_ns(feed->ask_next_ns, market->ask_at_ns);
    feed->sink.on_ask(feed->sink.context, market);
}

static void ask_soon(tf_feed_t *feed, tf_feed_market_t *market, int64_t now_ns)
{
    if (!feed->open)
        return;
    if (market->asked_ns == TF_TIME_NONE || market->asked_ns + market->ask_wait_ns <= now_ns) {
        ask(feed, market, now_ns);
        return;
    }
    market->ask_at_ns = market->asked_ns + market->ask_wait_ns;
    feed->ask_next_ns = min_ns(feed->ask_next_ns, market->ask_at_ns);
}

static void ask_wait_reset(const tf_feed_t *feed, tf_feed_market_t *market)
{
    market->ask_wait_ns = max_ns(feed->rules.resync_spacing_ns, ASK_WAIT_MIN_NS);
}

/* The link's subscription was just sent for this market. */
static void asked_by_subscription(tf_feed_t *feed, tf_feed_market_t *market)
{
    ask_wait_reset(feed, market);
    market->asked_ns = feed->now_ns;
    market->ask_at_ns = feed->now_ns + ASK_WAIT_MAX_NS;
    feed->ask_next_ns = min_ns(feed->ask_next_ns, market->ask_at_ns);
}

static void asks_due(tf_feed_t *feed)
{
    int64_t next_ns = INT64_MAX;
    for (tf_feed_market_t *market = feed->first; market != NULL; market = market->next) {
        if (market->ask_at_ns <= feed->now_ns)
            ask(feed, market, feed->now_ns);
        next_ns = min_ns(next_ns, market->ask_at_ns);
    }
    feed->ask_next_ns = next_ns;
}

/* All watched markets have the same time-out, so the list in order of last message is also in order
 * of deadline: the first one is all that has to be looked at. */
static void silence_unlink(tf_feed_t *feed, tf_feed_market_t *market)
{
    if (!market->in_silence)
        return;
    *(market->silence_older ? &market->silence_older->silence_newer : &feed->silence_oldest) =
        market->silence_newer;
    *(market->silence_newer ? &market->silence_newer->silence_older : &feed->silence_newest) =
        market->silence_older;
    market->silence_older = NULL;
    market->silence_newer = NULL;
    market->in_silence = false;
}

static void silence_watch(tf_feed_t *feed, tf_feed_market_t *market)
{
    market->heard_ns = feed->now_ns;
    if (!market->armed || feed->silence_newest == market)
        return;
    silence_unlink(feed, market);
    market->silence_older = feed->silence_newest;
    *(feed->silence_newest ? &feed->silence_newest->silence_newer : &feed->silence_oldest) = market;
    feed->silence_newest = market;
    market->in_silence = true;
}

static void silence_fire(tf_feed_t *feed, tf_feed_market_t *market, int64_t deadline_ns)
{
    silence_unlink(feed, market);
    tf_count(feed->stats, feed_silent_total, 1);
    market->book = TF_FEED_BOOK_AWAITED;
    move(feed, market, TF_STATE_STALE, TF_REASON_SILENT, deadline_ns);
    ask_soon(feed, market, deadline_ns);
}

void tf_feed_market_add(tf_feed_t *feed, tf_feed_market_t *market, uint32_t slot)
{
    *market = (tf_feed_market_t){
        .slot = slot,
        .state = TF_STATE_RESYNC,
        .reason = TF_REASON_STARTING,
        .asked_ns = TF_TIME_NONE,
        .ask_at_ns = INT64_MAX,
    };
    *(feed->last != NULL ? &feed->last->next : &feed->first) = market;
    feed->last = market;
    ask_wait_reset(feed, market);
    if (feed->open)
        asked_by_subscription(feed, market);
}

void tf_feed_advance(tf_feed_t *feed, int64_t now_ns)
{
    TF_ASSERT(now_ns >= feed->now_ns);
    while (feed->silence_oldest != NULL &&
           now_ns - feed->silence_oldest->heard_ns > feed->rules.heartbeat_timeout_ns)
        silence_fire(feed, feed->silence_oldest,
                     feed->silence_oldest->heard_ns + feed->rules.heartbeat_timeout_ns);
    feed->now_ns = now_ns;
    if (now_ns >= feed->ask_next_ns)
        asks_due(feed);
}

void tf_feed_opened(tf_feed_t *feed)
{
    if (feed->open)
        tf_feed_closed(feed);
    feed->open = true;
    tf_count(feed->stats, feed_connects_total, 1);
    for (tf_feed_market_t *market = feed->first; market != NULL; market = market->next) {
        market->ahead = 0;
        if (market->trades == TF_FEED_TRADES_KNOWN)
            market->trades = TF_FEED_TRADES_DOUBTFUL;
        asked_by_subscription(feed, market);
        if (market->state == TF_STATE_STALE)
            move(feed, market, TF_STATE_RESYNC, TF_REASON_VENUE_DISCONNECTED, feed->now_ns);
    }
}

void tf_feed_closed(tf_feed_t *feed)
{
    if (!feed->open)
        return;
    feed->open = false;
    feed->ask_next_ns = INT64_MAX;
    tf_count(feed->stats, feed_disconnects_total, 1);
    for (tf_feed_market_t *market = feed->first; market != NULL; market = market->next) {
        silence_unlink(feed, market);
        market->armed = false;
        market->ask_at_ns = INT64_MAX;
        market->book = TF_FEED_BOOK_AWAITED;
        move(feed, market, TF_STATE_STALE, TF_REASON_VENUE_DISCONNECTED, feed->now_ns);
    }
}

void tf_feed_heard(tf_feed_t *feed, tf_feed_market_t *market)
{
    if (!feed->open)
        tf_feed_opened(feed);
    silence_watch(feed, market);
    if (market->state != TF_STATE_STALE)
        return;
    move(feed, market, TF_STATE_RESYNC, market->reason, feed->now_ns);
    ask_soon(feed, market, feed->now_ns);
}

void tf_feed_snapshot(tf_feed_t *feed, tf_feed_market_t *market)
{
    TF_ASSERT(market->state != TF_STATE_STALE);
    market->book = TF_FEED_BOOK_FOLLOWED;
    market->ask_at_ns = INT64_MAX;
    ask_wait_reset(feed, market);
    if (market->state != TF_STATE_RESYNC)
        return;
    if (market->halted)
        move(feed, market, TF_STATE_HALTED, TF_REASON_VENUE_STATUS, feed->now_ns);
    else
        move(feed, market, TF_STATE_LIVE, TF_REASON_NONE, feed->now_ns);
}

bool tf_feed_change_wanted(tf_feed_t *feed, const tf_feed_market_t *market)
{
    if (market->book == TF_FEED_BOOK_FOLLOWED)
        return true;
    tf_count(feed->stats, venue_out_of_sync_total, 1);
    return false;
}

void tf_feed_book_lost(tf_feed_t *feed, tf_feed_market_t *market, tf_market_reason_t why)
{
    if (market->state == TF_STATE_STALE)
        return; /* nothing of it is published as good, and it is asked for when data comes again */
    /* A message lost while the book is awaited may have been the snapshot: ask, but the first
     * reason stays. A snapshot that came and was crossed is news. */
    bool news = market->book == TF_FEED_BOOK_FOLLOWED || why == TF_REASON_CROSSED;
    market->book = TF_FEED_BOOK_AWAITED;
    if (news && (market->state != TF_STATE_RESYNC || market->reason != why))
        move(feed, market, TF_STATE_RESYNC, why, feed->now_ns);
    ask_soon(feed, market, feed->now_ns);
}

/* The venue's ids prove that trades up to `id` never came, so book changes may not have come
 * either. */
static void loss_proven(tf_feed_t *feed, tf_feed_market_t *market, uint64_t id)
{
    if (id <= market->proven_trade_id)
        return;
    market->proven_trade_id = id;
    if (market->book != TF_FEED_BOOK_FOLLOWED)
        return; /* the snapshot that is awaited will be younger than the loss */
    tf_count(feed->stats, feed_gap_total, 1);
    tf_feed_book_lost(feed, market, TF_REASON_SEQ_GAP);
}

/* Trades last_trade_id + 1 .. id are missing. */
static void trades_lost(tf_feed_t *feed, tf_feed_market_t *market, uint64_t id)
{
    uint64_t count = id - market->last_trade_id;
    if (!feed->rules.trade_ids_contiguous || count == 0)
        return;
    market->missing = count > UINT64_MAX - market->missing ? UINT64_MAX : market->missing + count;
    tf_count(feed->stats, venue_lost_trades_total, count);
    if (market->trades == TF_FEED_TRADES_KNOWN)
        loss_proven(feed, market, id);
}

static void numbering_take(tf_feed_market_t *market, uint64_t id)
{
    if (id < market->last_trade_id || market->trades == TF_FEED_TRADES_UNKNOWN)
        market->proven_trade_id = 0;
    if (id >= market->named_trade_id)
        market->ahead = 0;
    market->last_trade_id = id;
    market->trades = TF_FEED_TRADES_KNOWN;
}

static tf_feed_trade_t trade_publish(tf_feed_market_t *market)
{
    uint64_t missing = market->missing;
    market->missing = 0;
    return (tf_feed_trade_t){
        .publish = true,
        .gap_before = missing < UINT32_MAX ? (uint32_t)missing : UINT32_MAX,
    };
}

tf_feed_trade_t tf_feed_trade(tf_feed_t *feed, tf_feed_market_t *market, uint64_t id)
{
    if (id == 0)
        return trade_publish(market);
    bool lower = id < market->last_trade_id && market->trades == TF_FEED_TRADES_KNOWN;
    bool same = id == market->last_trade_id && market->trades != TF_FEED_TRADES_UNKNOWN;
    if (lower || same) {
        market->trades = TF_FEED_TRADES_KNOWN;
        tf_count(feed->stats, venue_duplicate_trades_total, 1);
        return (tf_feed_trade_t){.publish = false};
    }
    if (market->trades != TF_FEED_TRADES_UNKNOWN && id > market->last_trade_id)
        trades_lost(feed, market, id - 1);
    numbering_take(market, id);
    return trade_publish(market);
}

void tf_feed_trade_dropped(tf_feed_market_t *market, tf_feed_trade_t trade)
{
    TF_ASSERT(trade.publish);
    market->missing += (uint64_t)trade.gap_before + 1;
}

void tf_feed_baseline(tf_feed_t *feed, tf_feed_market_t *market, uint64_t id)
{
    bool known = market->trades == TF_FEED_TRADES_KNOWN;
    if (id == 0 || (known && id <= market->last_trade_id))
        return;
    if (market->trades != TF_FEED_TRADES_UNKNOWN && id > market->last_trade_id)
        trades_lost(feed, market, id);
    numbering_take(market, id);
}

void tf_feed_heartbeat(tf_feed_t *feed, tf_feed_market_t *market, uint64_t last_trade_id)
{
    if (feed->rules.heartbeat_timeout_ns > 0 && !market->armed) {
        market->armed = true;
        silence_watch(feed, market);
    }
    if (market->trades != TF_FEED_TRADES_KNOWN ||
        last_trade_id <= max_id(market->last_trade_id, market->proven_trade_id)) {
        market->ahead = 0;
        return;
    }
    market->named_trade_id = last_trade_id;
    if (++market->ahead <= feed->rules.heartbeats_ahead_max)
        return;
    market->ahead = 0;
    loss_proven(feed, market, last_trade_id);
}

void tf_feed_listing(tf_feed_t *feed, tf_feed_market_t *market, tf_instrument_status_t status)
{
    bool halted = status == TF_INSTRUMENT_HALTED || status == TF_INSTRUMENT_DELISTED;
    if (halted == market->halted)
        return;
    market->halted = halted;
    if (halted && (market->state == TF_STATE_LIVE || market->state == TF_STATE_RESYNC)) {
        move(feed, market, TF_STATE_HALTED, TF_REASON_VENUE_STATUS, feed->now_ns);
    } else if (!halted && market->state == TF_STATE_HALTED) {
        market->book = TF_FEED_BOOK_AWAITED;
        move(feed, market, TF_STATE_RESYNC, TF_REASON_VENUE_STATUS, feed->now_ns);
        ask_soon(feed, market, feed->now_ns);
    }
}
