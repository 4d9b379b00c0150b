/*
 * stream: one (channel, instrument, depth, rate) as its subscribers see it. It keeps the state it
 * last emitted; a frame is the difference from there to the image now. Owned by one fan-out thread;
 * knows no connection. Flow: image + ring -> [stream] -> frames -> subscriptions.
 *
 *   LOADING --the image was read--> READY          (a busy image leaves it LOADING for a turn)
 *
 * Whoever joins or is behind is brought to the stream's last emitted state, never to a newer image,
 * or the next shared frame would not fit. That snapshot is encoded once and shared until the stream
 * moves.
 */
#pragma once

#include "base/stats.h"
#include "fanout/frame.h"
#include "view/listing.h"
#include "view/view.h"

enum {
    TF_STREAM_FRAMES_MAX = 64,        /* frames of one emission */
    TF_STREAM_TRADES_PER_FRAME = 256, /* so that a frame of trades stays near 32 KiB */
};

typedef enum tf_stream_state {
    TF_STREAM_LOADING, /* nothing known yet: joiners wait */
    TF_STREAM_READY,
} tf_stream_state_t;

typedef struct tf_stream_book {
    tf_level_t *side[2]; /* as last emitted, best first; room for the channel's depth */
    uint32_t count[2];
    uint32_t depth; /* levels a side: the channel's depth or the region's */
} tf_stream_book_t;

/* Trades seen in the ring and not yet emitted: numbers first .. first + count - 1. */
typedef struct tf_stream_trades {
    tf_trade_t *pending;
    uint64_t first;
    uint32_t count;
    uint32_t room;
    bool hole; /* trades after the pending ones were missed: the image's history has them */
} tf_stream_trades_t;

/* What one instrument of a venue was when it was last emitted. */
typedef struct tf_list_entry {
    tf_instrument_view_t view;
    uint64_t changed; /* the stream's seq since which it is so */
    bool known;       /* else a dead writer left it half written: nobody can tell it */
} tf_list_entry_t;

/* A venue's channel: its instruments, in the order in which they came. */
typedef struct tf_stream_list {
    tf_list_entry_t *entry;
    uint32_t count;
    uint32_t room;
    tf_venue_state_t venue; /* STATUS: as last emitted ... */
    uint64_t venue_changed; /* ... and the stream's seq since which it is so */
} tf_stream_list_t;

typedef struct tf_stream {
    tf_channel_t channel;
    char *name; /* canonical */
    uint32_t name_bytes;
    uint32_t instrument; /* index in the region; of a venue's channel, the venue's first one */
    uint32_t next;       /* next stream of the instrument and kind */
    tf_stream_state_t state;
    bool dirty;     /* in the list of its rate */
    bool urgent;    /* dirty, and not to wait for the tick */
    tf_told_t told; /* market state as last emitted */
    uint8_t px_dp, sz_dp;
    uint8_t generation; /* +1 per new scale or epoch, wraps */
    /* What a client holds from this generation on still counts. Trades are a list, which a new
     * scale does not end; all else starts again with every generation. */
    uint8_t base_generation;
    uint64_t seq; /* version as last emitted */
    int64_t te_ns, ti_ns, tp_ns;
    union {
        tf_stream_book_t book;
        tf_stream_trades_t trades;
        tf_stream_list_t list;
        tf_bbo_t bbo;
        tf_ticker_t ticker;
    };
    tf_frame_t *snapshot; /* of the state as last emitted; NULL = not encoded since */
    tf_frame_t *announce; /* of the generation; NULL = not encoded yet */
    tf_frame_t *market;   /* the state message for `told` and `seq`; NULL = not encoded since */

    /* subscriptions, by index in the pool; order has no meaning */
    uint32_t *subscription;
    uint32_t subscription_count;
    uint32_t subscription_room;

    /* which subscription the connection whose request is being handled has here */
    uint64_t mark;
    uint32_t mark_subscription;
} tf_stream_t;

/* Where an emission finds a venue's instruments changed. */
typedef struct tf_list_news {
    struct tf_list_change {
        tf_instrument_view_t view;
        uint32_t at; /* in the list */
    } * change;
    uint32_t count;
    uint32_t room;
    tf_venue_state_t venue;
} tf_list_news_t;

/* What the streams of a thread share during a call. */
typedef struct tf_stream_env {
    tf_view_t view; /* its book and trades are scratch */
    tf_stats_t *stats;
    tf_level_t *change[2]; /* 2 * image_depth each: scratch for differences */
    tf_list_news_t news;   /* scratch */
    tf_buf_t text;         /* scratch */
    tf_buf_t blob;         /* scratch */
} tf_stream_env_t;

/* Scratch for a region's sizes; false when out of memory (nothing is then owned). */
TF_MUST_CHECK bool tf_stream_env_init(tf_stream_env_t *env, tf_reader_t *reader, tf_stats_t *stats);
void tf_stream_env_fini(tf_stream_env_t *env);

/* A stream of an instrument, LOADING. False when out of memory. */
TF_MUST_CHECK bool tf_stream_init(tf_stream_t *stream, const tf_stream_env_t *env,
                                  const tf_channel_t *channel, uint32_t instrument);
void tf_stream_fini(tf_stream_t *stream);

/* The region is another one: load again under a new generation. `instrument` may have moved. Until
 * it is loaded the market is lost. */
void tf_stream_reset(tf_stream_t *stream, uint32_t instrument);

/* A trade from the ring (trades streams). */
void tf_stream_trade(tf_stream_t *stream, const tf_event_trade_t *event);

/* The ring lapped this thread: trades may be missing; the next emission takes them from the
 * history. */
void tf_stream_lapped(tf_stream_t *stream);

typedef enum tf_stream_result {
    TF_STREAM_OK,
    TF_STREAM_AGAIN,  /* the image was busy or memory is short: try next turn */
    TF_STREAM_MISSED, /* as above, and the stream moved on without the frames that show it: every
                         subscription is behind */
} tf_stream_result_t;

/*
 * Bring the stream to the image now. Writes the frames to hand to the subscriptions, in order, each
 * with a reference that is the caller's. *count may be 0: nothing visible changed. When more trades
 * are waiting than TF_STREAM_FRAMES_MAX frames hold, the rest stays for the next emission.
 */
tf_stream_result_t tf_stream_emit(tf_stream_t *stream, tf_stream_env_t *env,
                                  tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count);

/* The stream's last emitted state as a frame for one that joins or is behind; the stream's own
 * reference. NULL: LOADING, busy or out of memory; try next turn. */
tf_frame_t *tf_stream_snapshot(tf_stream_t *stream, tf_stream_env_t *env);

/* The market's state, whatever the image says: a last word. */
void tf_stream_tell(tf_stream_t *stream, tf_told_t told);

/* `subscribed` for the generation, and the message that tells the market's state; as above. */
tf_frame_t *tf_stream_announce(tf_stream_t *stream, tf_stream_env_t *env);
tf_frame_t *tf_stream_market(tf_stream_t *stream, tf_stream_env_t *env);

/* May a subscription that is behind at `seq` be given what it missed, instead of a snapshot? */
bool tf_stream_remembers(const tf_stream_t *stream, uint64_t seq);

/*
 * What a subscription missed that is behind at `seq`, which the stream remembers. Of trades, what
 * the history still has up to the stream's seq, with a gap notice first for what it has not; at
 * most TF_STREAM_TRADES_PER_FRAME a call. Of a venue, every entry that changed since. The caller's
 * reference; NULL as above.
 */
tf_frame_t *tf_stream_since(tf_stream_t *stream, tf_stream_env_t *env, uint64_t seq);

/* A lag notice; the caller's reference; NULL when out of memory. */
tf_frame_t *tf_stream_lag(const tf_stream_t *stream, tf_stream_env_t *env, uint64_t from);

/* Give a LOADING stream the scale that its instrument has now, so that a subscribe reply can be
 * written although the image is busy: a large book takes milliseconds to replace. The snapshot
 * follows when it can be read. False: busy as well. */
TF_MUST_CHECK bool tf_stream_expect(tf_stream_t *stream, const tf_stream_env_t *env);

/* The entry of a subscribe reply. */
void tf_stream_describe(const tf_stream_t *stream, const tf_stream_env_t *env,
                        tf_subscribed_t *entry);
