/*
 * feed: when is what a venue link tells us good? The rules of one link and of each of its markets:
 * states, trade baselines, gaps, silence, crossed books, and when to ask for a book again. Owned by
 * the ingest thread. Pure logic: no region, no book, no clock; time is an argument, the source's.
 *
 *                      good snapshot
 *   RESYNC/starting  ------------------->  LIVE (HALTED while the venue says so)
 *      ^     ^                              |  |
 *      |     '-- gap, crossed, bad message -'  | silence, link closed
 *      |                                       v
 *      '------ link opened, data again ----- STALE
 *
 * Behind the published state stands a simpler one: is the book FOLLOWED (its snapshot came and
 * every change since), or AWAITED? LIVE implies FOLLOWED; RESYNC and STALE imply AWAITED; a HALTED
 * book is either. Whoever owns the book applies changes only while it is followed, and empties what
 * is published when a market enters RESYNC; a STALE book stays as the last good one. A closed link
 * makes HALTED markets STALE too: nobody would tell us that trading has begun again.
 *
 * Trade ids. Within one connection they only grow: an id at or below the last one is a duplicate,
 * and where ids are contiguous one that skips ahead proves a loss. A new connection keeps the last
 * id but doubts it, until a baseline (history) or a trade decides:
 *
 * - it is higher: trades were missed while we were away; the next trade tells how many
 * - it is lower: the venue (or a looped recording) counts anew, and it is taken as it is
 * - it is the same: nothing was missed, and a trade with that id is a duplicate
 *
 * Asking. While the link is open, a book that is awaited is asked for: at once when it was lost,
 * but never twice within rules.resync_spacing_ns, and again, with doubling waits up to 30 s, until
 * its snapshot comes. The subscription sent when a link opens counts as asking; since a large book
 * may take its time, the first reminder follows after 30 s.
 */
#pragma once

#include "base/stats.h"
#include "market/instrument.h"
#include "market/state.h"
#include "venue/adapter.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum tf_feed_book {
    TF_FEED_BOOK_AWAITED,  /* no snapshot yet, or something was lost since */
    TF_FEED_BOOK_FOLLOWED, /* whole */
} tf_feed_book_t;

typedef enum tf_feed_trades {
    TF_FEED_TRADES_UNKNOWN,  /* no id seen yet */
    TF_FEED_TRADES_KNOWN,    /* last_trade_id is this connection's */
    TF_FEED_TRADES_DOUBTFUL, /* last_trade_id is from the connection before */
} tf_feed_trades_t;

/* One market. Embedded in what the owner keeps per instrument; the feed links it into its lists, so
 * it must not move. Read freely, written by the feed only. */
typedef struct tf_feed_market {
    uint32_t slot; /* the owner's name for it */
    tf_market_state_t state;
    tf_market_reason_t reason;
    tf_feed_book_t book;
    bool halted; /* the venue's last word about the listing; outlives every state */

    tf_feed_trades_t trades;
    uint64_t last_trade_id;
    uint64_t proven_trade_id; /* losses up to this id have sent the book to resync already */
    uint64_t missing;         /* trades lost and not yet announced */
    uint64_t named_trade_id;  /* by the last heartbeat that named one not seen */
    uint32_t ahead;           /* such heartbeats in a row, while that trade has not come */

    bool armed;      /* a heartbeat came on this connection: silence is now a fault */
    bool in_silence; /* linked into the feed's list of those whose silence is watched */
    int64_t heard_ns;
    int64_t asked_ns;    /* last request; TF_TIME_NONE = never */
    int64_t ask_wait_ns; /* from one request to the next */
    int64_t ask_at_ns;   /* when to ask next; INT64_MAX = no need */

    struct tf_feed_market *next;          /* all markets, in the order in which they were added */
    struct tf_feed_market *silence_older; /* watched markets by heard_ns */
    struct tf_feed_market *silence_newer;
} tf_feed_market_t;

/* What the feed tells its owner. The callbacks must not call the feed. */
typedef struct tf_feed_sink {
    /* market->state or market->reason has changed, at `at_ns`. When the state is RESYNC: what is
     * published of the book must be emptied, after the state was published. */
    void (*on_state)(void *context, tf_feed_market_t *market, int64_t at_ns);
    /* Ask the venue for this market's book. */
    void (*on_ask)(void *context, tf_feed_market_t *market);
    void *context;
} tf_feed_sink_t;

typedef struct tf_feed {
    tf_adapter_rules_t rules;
    tf_feed_sink_t sink;
    tf_stats_t *stats;
    bool open;
    int64_t now_ns;      /* never goes back */
    int64_t ask_next_ns; /* no market's ask_at_ns is earlier */
    tf_feed_market_t *first;
    tf_feed_market_t *last;
    tf_feed_market_t *silence_oldest;
    tf_feed_market_t *silence_newest;
} tf_feed_t;

void tf_feed_init(tf_feed_t *feed, const tf_adapter_rules_t *rules, const tf_feed_sink_t *sink,
                  tf_stats_t *stats);

/* A new market: RESYNC/starting, its book awaited. `market` is zeroed by this and must outlive the
 * feed; `slot` is kept for the sink. */
void tf_feed_market_add(tf_feed_t *feed, tf_feed_market_t *market, uint32_t slot);

/*
 * The source's clock got to `now_ns`. Call it before each event: deadlines that have passed fire
 * here, in the order of time and each with the time of the deadline itself, so that a recording
 * gives the same at any speed. A silence of exactly rules.heartbeat_timeout_ns is still in time.
 */
void tf_feed_advance(tf_feed_t *feed, int64_t now_ns);

/* The events below happen at the time of the last tf_feed_advance(). */

/* The connection is up, and the owner subscribes. Opening an open link closes it first. */
void tf_feed_opened(tf_feed_t *feed);
void tf_feed_closed(tf_feed_t *feed);

/* A message of this market came, whatever it says. Precedes every function below but
 * tf_feed_book_lost() and tf_feed_listing(). A closed link is opened by it. */
void tf_feed_heard(tf_feed_t *feed, tf_feed_market_t *market);

/* A whole snapshot was applied, is not crossed, and what is published is already filled from it. */
void tf_feed_snapshot(tf_feed_t *feed, tf_feed_market_t *market);

/* May a book change be applied? Counts the ones that may not. */
bool tf_feed_change_wanted(tf_feed_t *feed, const tf_feed_market_t *market);

/* The book can't be used: crossed (TF_REASON_CROSSED), or a message of it was lost on our side
 * (TF_REASON_SEQ_GAP: malformed, a number that does not fit, no memory). */
void tf_feed_book_lost(tf_feed_t *feed, tf_feed_market_t *market, tf_market_reason_t why);

typedef struct tf_feed_trade {
    bool publish;
    uint32_t gap_before; /* trades missing right before it; saturates */
} tf_feed_trade_t;

/* A trade came; id 0 = the venue's ids are no numbers. To be published, or a duplicate. */
tf_feed_trade_t tf_feed_trade(tf_feed_t *feed, tf_feed_market_t *market, uint64_t id);

/* The trade that the call above allowed could not be published: the next one announces it. */
void tf_feed_trade_dropped(tf_feed_market_t *market, tf_feed_trade_t trade);

/* History: the last trade before we subscribed. */
void tf_feed_baseline(tf_feed_t *feed, tf_feed_market_t *market, uint64_t id);

void tf_feed_heartbeat(tf_feed_t *feed, tf_feed_market_t *market, uint64_t last_trade_id);

/* The venue's word about the listing. */
void tf_feed_listing(tf_feed_t *feed, tf_feed_market_t *market, tf_instrument_status_t status);
