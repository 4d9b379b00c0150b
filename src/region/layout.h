/*
 * layout: where everything lies in a region file. Pure; any thread.
 *
 * The writer plans a layout from its config; a reader takes it from a header that it does not
 * trust. Either way the result is a plain struct whose every section is known to lie inside the
 * file, so the accessors below need no check but that of the index.
 */
#pragma once

#include "base/assert.h"

#include <tickfan/region.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    TF_REGION_INSTRUMENTS_MAX = 65536,
    TF_REGION_TRADES_MIN = 64,
    TF_REGION_TRADES_MAX = 65536,
    /* A record is at most a sixteenth of the ring: a padding at the end wastes little, and a reader
     * that copies one record is far from being lapped by it. */
    TF_RING_BYTES_MIN = 16 * TF_EVENT_BYTES_MAX,
};

#define TF_RING_BYTES_MAX (1ULL << 36)

typedef struct tf_layout {
    uint64_t file_bytes;
    uint64_t ring_bytes;
    uint64_t instruments_offset;
    uint64_t tickers_offset;
    uint64_t bbos_offset;
    uint64_t books_offset;
    uint64_t book_stride;
    uint64_t trades_offset;
    uint64_t trades_stride;
    uint64_t ring_offset;
    uint32_t instruments_max;
    uint32_t image_depth;
    uint32_t book_slots;
    uint32_t trades_kept;
} tf_layout_t;

struct tf_region_config;

/* False when a value of the config is out of its range. */
bool tf_layout_plan(tf_layout_t *out, const struct tf_region_config *config);

/* Store the layout in a header that no reader sees yet. */
void tf_layout_write(const tf_layout_t *layout, tf_region_header_t *header);

/* Read and check a header of a file of `mapped_bytes`. NULL when all is well, else what is wrong
 * (a static text); *out is complete on NULL only. */
const char *tf_layout_read(tf_layout_t *out, const tf_region_header_t *header,
                           uint64_t mapped_bytes);

static inline uint64_t tf_layout_instrument(const tf_layout_t *layout, uint32_t index)
{
    return layout->instruments_offset + index * sizeof(tf_image_instrument_t);
}

static inline uint64_t tf_layout_ticker(const tf_layout_t *layout, uint32_t index)
{
    return layout->tickers_offset + index * sizeof(tf_image_ticker_t);
}

static inline uint64_t tf_layout_bbo(const tf_layout_t *layout, uint32_t index)
{
    return layout->bbos_offset + index * sizeof(tf_image_bbo_t);
}

static inline uint64_t tf_layout_book(const tf_layout_t *layout, uint32_t index)
{
    return layout->books_offset + index * layout->book_stride;
}

static inline uint64_t tf_layout_trades(const tf_layout_t *layout, uint32_t index)
{
    return layout->trades_offset + index * layout->trades_stride;
}

/* First word of a level in tf_image_book_t.level. */
static inline size_t tf_layout_level_word(const tf_layout_t *layout, unsigned side, uint64_t slot)
{
    return ((size_t)side * layout->book_slots + (slot & (layout->book_slots - 1U))) * 2;
}

/* First word of trade number `number` in tf_image_trades_t.trade. */
static inline size_t tf_layout_trade_word(const tf_layout_t *layout, uint64_t number)
{
    return (number & (layout->trades_kept - 1U)) * (sizeof(tf_trade_t) / 8);
}
