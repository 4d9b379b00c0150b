/*
 * publisher: one instrument's full book, its scale, and its place in the region. Brings updates to
 * the instrument's scale, applies them, and publishes; decides nothing about states. Owned by the
 * ingest thread. Flow: feed's verdict -> [publisher] -> region.
 *
 * Scale. Metadata gives the decimals of tick and lot. Without it, the first snapshot does: the most
 * decimals as the venue wrote them, prices and sizes apart; figures that come before it raise the
 * scale to what they wrote. From then on zeros beyond the scale are fine and a finer digit raises
 * it. A message's need is found over the whole message before anything of it is applied.
 *
 * A book message is applied to the full book first, and published only when the result is not
 * crossed: nobody ever sees a crossed book. After any result but TF_PUBLISH_OK the book is useless
 * and the caller must withhold it.
 */
#pragma once

#include "market/book.h"
#include "market/instrument.h"
#include "region/region.h"
#include "venue/adapter.h"

/* What the publishers of one ingest thread share. Zero it, then set region and stats. */
typedef struct tf_publisher_bench {
    tf_region_t *region;
    tf_stats_t *stats;
    bool timed; /* the message in hand has the wall clock's times: its delays are counted */
    struct tf_publisher_op *op; /* the visible changes of the message in hand */
    size_t ops_max;
    tf_level_t *level[2]; /* by tf_side_t: image_depth levels, for snapshots; made when needed */
} tf_publisher_bench_t;

void tf_publisher_bench_fini(tf_publisher_bench_t *bench);

typedef struct tf_publisher {
    tf_publisher_bench_t *bench;
    tf_instrument_t instrument;
    tf_book_t *book; /* NULL until opened */
    uint32_t region_index;
    bool px_settled; /* px_dp is from metadata or a snapshot, not from a chance figure */
    bool sz_settled;
    bool withheld; /* what is published is an empty book in the present scale */
} tf_publisher_t;

typedef enum tf_publish {
    TF_PUBLISH_OK,
    TF_PUBLISH_CROSSED,
    TF_PUBLISH_OVERFLOW, /* a figure that no scale holds */
    TF_PUBLISH_NO_MEMORY,
} tf_publish_t;

/* `instrument` names it; its scale and status come with tf_publisher_describe(). */
void tf_publisher_init(tf_publisher_t *publisher, tf_publisher_bench_t *bench,
                       const tf_instrument_t *instrument);
void tf_publisher_fini(tf_publisher_t *publisher);

/* Give it its book and its place in the region (state RESYNC/STARTING); once. TF_ERR_FULL,
 * TF_ERR_MEMORY. */
TF_MUST_CHECK tf_status_t tf_publisher_open(tf_publisher_t *publisher, tf_stamp_t stamp);

static inline bool tf_publisher_is_open(const tf_publisher_t *publisher)
{
    return publisher->book != NULL;
}

/* Metadata, before or after opening. It may raise the scale; a scale that what is published does
 * not fit is left as it was (TF_PUBLISH_OK: the figures decide), unless only the book is in the
 * way. */
TF_MUST_CHECK tf_publish_t tf_publisher_describe(tf_publisher_t *publisher,
                                                 const tf_update_instrument_t *metadata,
                                                 tf_stamp_t stamp);

/* Below: opened only. */

TF_MUST_CHECK tf_publish_t tf_publisher_snapshot(tf_publisher_t *publisher,
                                                 const tf_update_level_t *level, size_t count,
                                                 tf_stamp_t stamp);
TF_MUST_CHECK tf_publish_t tf_publisher_change(tf_publisher_t *publisher,
                                               const tf_update_level_t *level, size_t count,
                                               tf_stamp_t stamp);
TF_MUST_CHECK tf_publish_t tf_publisher_trade(tf_publisher_t *publisher,
                                              const tf_update_trade_t *trade, uint32_t gap_before,
                                              tf_stamp_t stamp);
TF_MUST_CHECK tf_publish_t tf_publisher_ticker(tf_publisher_t *publisher,
                                               const tf_update_ticker_t *ticker, tf_stamp_t stamp);

void tf_publisher_state(tf_publisher_t *publisher, tf_market_state_t state,
                        tf_market_reason_t reason, tf_stamp_t stamp);

/* Empty the book, here and in what is published; does nothing when it is so already. */
void tf_publisher_withhold(tf_publisher_t *publisher, tf_stamp_t stamp);
