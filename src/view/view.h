/*
 * view: what a region says now, read for clients: names, images, and the params object of a data
 * message of any channel. It stands on no stream: get_snapshot and REST are answered from here with
 * the same bodies, seq and cs that a stream would send. Owned by one reader thread (a fan-out
 * thread, the HTTP thread); made anew for a new epoch. Flow: region -> [view] -> texts.
 */
#pragma once

#include "codec/channel.h"
#include "codec/json.h"
#include "view/directory.h"

#include <tickfan/reader.h>

enum { TF_VIEW_TRADES_JOIN = 50 }; /* trades in a first message (PROTOCOL.md) */

typedef struct tf_view {
    tf_reader_t *reader; /* the caller's */
    tf_directory_t directory;
    char epoch[9];
    bool lost; /* the region's writer is silent: every market is STALE/INGEST_LOST. Set by the owner
                */
    int64_t lost_ns;      /* wall clock when that last changed; 0 = never */
    tf_level_t *level[2]; /* image_depth levels each: the book that was read last */
    tf_trade_t *trade;    /* trades_kept: the trades that were read last */
    tf_buf_t name;        /* scratch */
    tf_buf_t items;       /* scratch */
} tf_view_t;

/* Room for a region's sizes; false when out of memory (nothing is then owned). */
TF_MUST_CHECK bool tf_view_init(tf_view_t *view, tf_reader_t *reader);
void tf_view_fini(tf_view_t *view);

/* One read of the image, as far as the kind needs it. */
typedef struct tf_view_image {
    tf_image_info_t info;
    uint32_t count[2]; /* book: levels in view->level */
    tf_bbo_t bbo;
    tf_ticker_t ticker;
} tf_view_image_t;

/* Levels a side that a channel of this depth has in this region. */
uint32_t tf_view_depth(const tf_view_t *view, const tf_channel_t *channel);

/* Read a market's image: a book down to `depth`; of trades only what `info` tells. Not for a
 * venue's channels. */
tf_image_result_t tf_view_read(tf_view_t *view, tf_kind_t kind, uint32_t instrument, uint32_t depth,
                               tf_view_image_t *out);

typedef enum tf_view_result {
    TF_VIEW_OK,
    TF_VIEW_BUSY,    /* being written at every try, or memory is short: ask again */
    TF_VIEW_NOTHING, /* no version was published yet */
} tf_view_result_t;

/*
 * Append the params object of a snapshot of the image now. `instrument`: the market's index, or its
 * venue's first for a venue's channel. Nothing is appended unless OK; check tf_buf_ok() as well.
 */
tf_view_result_t tf_view_snapshot(tf_view_t *view, const tf_channel_t *channel, uint32_t instrument,
                                  tf_buf_t *out);

/*
 * The objects of a venue's channel, comma-separated, whole: for INSTRUMENTS one per instrument, for
 * STATUS first the venue and then its markets. *info: seq is the sum of the versions of the
 * venue's instruments, which is the same in every reader; te is none, ti and tp are the newest.
 */
tf_view_result_t tf_view_list(tf_view_t *view, tf_kind_t kind, uint32_t home, tf_buf_t *out,
                              tf_image_info_t *info);
