/*
 * book: one instrument's full-depth L2 book, both sides, exact. Owned by the ingest thread.
 *
 * Each side is a sequence of chunks of sorted levels, best first:
 *
 *     first_px:  [64012.33        | 63990.10       | 63871.00 ... ]     contiguous, binary-searched
 *     chunk:     [ up to 64 levels| up to 64 levels| ...          ]     16 bytes a level
 *
 * A change near the top searches and moves within the first chunk; a change anywhere costs one
 * binary search over the chunks' first prices and at most one chunk move, whatever the depth (a
 * Coinbase book holds 40,000 levels). Mantissas only: the caller has brought prices and sizes to
 * the instrument's scale.
 */
#pragma once

#include "base/assert.h"

#include <tickfan/event.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_book tf_book_t;

typedef enum tf_book_change {
    TF_BOOK_SAME,      /* the level already had this size, or a removal found nothing */
    TF_BOOK_INSERT,    /* a new level at `rank`; what was there moved one down */
    TF_BOOK_RESIZE,    /* the level at `rank` has a new size */
    TF_BOOK_REMOVE,    /* the level that was at `rank` is gone */
    TF_BOOK_NO_MEMORY, /* nothing changed; the caller must not go on with this book */
} tf_book_change_t;

#define TF_BOOK_RANK_UNKNOWN UINT32_MAX

/* An empty book; NULL when out of memory. */
tf_book_t *tf_book_create(void);
void tf_book_destroy(tf_book_t *book);

/* Remove every level of both sides. Memory is kept for reuse. */
void tf_book_clear(tf_book_t *book);

/*
 * Set the absolute size of one level; 0 removes it. px any int64 but TF_PRICE_NONE, sz >= 0.
 *
 * rank_max  ranks at or beyond it need not be told: *rank is then TF_BOOK_RANK_UNKNOWN (counting
 *           stops there, so a deep change stays cheap)
 * rank      out, 0 = best; set for INSERT, RESIZE and REMOVE
 */
TF_MUST_CHECK tf_book_change_t tf_book_set(tf_book_t *book, tf_side_t side, int64_t px, int64_t sz,
                                           uint32_t rank_max, uint32_t *rank);

size_t tf_book_levels(const tf_book_t *book, tf_side_t side);

/* The level at a rank; false when the side has no such rank. */
bool tf_book_at(const tf_book_t *book, tf_side_t side, size_t rank, tf_level_t *out);

/* Copy up to `max` levels from the best down; returns how many were copied. */
size_t tf_book_copy(const tf_book_t *book, tf_side_t side, tf_level_t *out, size_t max);

/* Best of both sides; TF_PRICE_NONE and size 0 where a side is empty. */
tf_bbo_t tf_book_bbo(const tf_book_t *book);

/* Best bid at or above best ask? Never for a one-sided book. */
bool tf_book_crossed(const tf_book_t *book);

/*
 * Multiply every price by 10^px_up and every size by 10^sz_up (an instrument's scale was raised).
 * False when a product does not fit int64; the book is then unchanged.
 */
TF_MUST_CHECK bool tf_book_rescale(tf_book_t *book, uint8_t px_up, uint8_t sz_up);

/* Check every invariant (order, fill, counts, first_px); aborts on a violation. For tests. */
void tf_book_verify(const tf_book_t *book);
