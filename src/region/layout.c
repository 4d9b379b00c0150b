#include "region/layout.h"

#include "region/region.h"
#include "region/words.h"

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static uint64_t power_of_two_from(uint64_t value)
{
    uint64_t power = 1;
    while (power < value)
        power <<= 1;
    return power;
}

static uint64_t line_up(uint64_t bytes)
{
    return (bytes + TF_REGION_LINE - 1) & ~(uint64_t)(TF_REGION_LINE - 1);
}

static uint64_t book_bytes(uint64_t slots)
{
    return sizeof(tf_image_book_t) + 2 * slots * sizeof(tf_level_t);
}

static uint64_t trades_bytes(uint64_t kept)
{
    return sizeof(tf_image_trades_t) + kept * sizeof(tf_trade_t);
}

static bool counts_in_range(uint64_t instruments, uint64_t depth, uint64_t trades, uint64_t ring)
{
    return instruments >= 1 && instruments <= TF_REGION_INSTRUMENTS_MAX && depth >= 1 &&
           depth <= TF_IMAGE_DEPTH_MAX && trades >= TF_REGION_TRADES_MIN &&
           trades <= TF_REGION_TRADES_MAX && ring >= TF_RING_BYTES_MIN && ring <= TF_RING_BYTES_MAX;
}

bool tf_layout_plan(tf_layout_t *out, const tf_region_config_t *config)
{
    if (!counts_in_range(config->instruments_max, config->image_depth, config->trades_kept,
                         config->ring_bytes))
        return false;
    uint64_t instruments = config->instruments_max;
    *out = (tf_layout_t){
        .instruments_max = config->instruments_max,
        .image_depth = config->image_depth,
        .book_slots = (uint32_t)power_of_two_from(config->image_depth),
        .trades_kept = (uint32_t)power_of_two_from(config->trades_kept),
        .ring_bytes = power_of_two_from(config->ring_bytes),
    };
    out->book_stride = line_up(book_bytes(out->book_slots));
    out->trades_stride = line_up(trades_bytes(out->trades_kept));
    out->instruments_offset = sizeof(tf_region_header_t);
    out->tickers_offset = out->instruments_offset + instruments * sizeof(tf_image_instrument_t);
    out->bbos_offset = out->tickers_offset + instruments * sizeof(tf_image_ticker_t);
    out->books_offset = out->bbos_offset + instruments * sizeof(tf_image_bbo_t);
    out->trades_offset = out->books_offset + instruments * out->book_stride;
    out->ring_offset = out->trades_offset + instruments * out->trades_stride;
    out->file_bytes = out->ring_offset + out->ring_bytes;
    return true;
}

void tf_layout_write(const tf_layout_t *layout, tf_region_header_t *header)
{
    tf_word_put(&header->file_bytes, layout->file_bytes);
    tf_word_put(&header->instruments_max, layout->instruments_max);
    tf_word_put(&header->image_depth, layout->image_depth);
    tf_word_put(&header->book_slots, layout->book_slots);
    tf_word_put(&header->trades_kept, layout->trades_kept);
    tf_word_put(&header->ring_bytes, layout->ring_bytes);
    tf_word_put(&header->instruments_offset, layout->instruments_offset);
    tf_word_put(&header->tickers_offset, layout->tickers_offset);
    tf_word_put(&header->bbos_offset, layout->bbos_offset);
    tf_word_put(&header->books_offset, layout->books_offset);
    tf_word_put(&header->book_stride, layout->book_stride);
    tf_word_put(&header->trades_offset, layout->trades_offset);
    tf_word_put(&header->trades_stride, layout->trades_stride);
    tf_word_put(&header->ring_offset, layout->ring_offset);
}

/* Do `count` items of `stride` bytes from `offset` lie in the file, aligned, behind the header? */
static bool section_fits(const tf_layout_t *layout, uint64_t offset, uint64_t count,
                         uint64_t stride)
{
    return offset >= sizeof(tf_region_header_t) && offset % TF_REGION_LINE == 0 &&
           offset <= layout->file_bytes && stride != 0 && stride % TF_REGION_LINE == 0 &&
           count <= (layout->file_bytes - offset) / stride;
}

static bool sections_fit(const tf_layout_t *layout)
{
    uint64_t count = layout->instruments_max;
    return layout->book_stride >= book_bytes(layout->book_slots) &&
           layout->trades_stride >= trades_bytes(layout->trades_kept) &&
           section_fits(layout, layout->instruments_offset, count, sizeof(tf_image_instrument_t)) &&
           section_fits(layout, layout->tickers_offset, count, sizeof(tf_image_ticker_t)) &&
           section_fits(layout, layout->bbos_offset, count, sizeof(tf_image_bbo_t)) &&
           section_fits(layout, layout->books_offset, count, layout->book_stride) &&
           section_fits(layout, layout->trades_offset, count, layout->trades_stride) &&
           section_fits(layout, layout->ring_offset, 1, layout->ring_bytes);
}

const char *tf_layout_read(tf_layout_t *out, const tf_region_header_t *header,
                           uint64_t mapped_bytes)
{
    if (tf_word_get(&header->magic) != TF_REGION_MAGIC)
        return "not a tickfan region (wrong magic)";
    if (tf_word_get(&header->abi) != TF_REGION_ABI)
        return "another version of the layout; run the same tickfan version on both sides";
    /* Each word is read once: what is checked is what is used, whatever the writer does meanwhile.
     */
    uint64_t instruments = tf_word_get(&header->instruments_max);
    uint64_t depth = tf_word_get(&header->image_depth);
    uint64_t slots = tf_word_get(&header->book_slots);
    uint64_t trades = tf_word_get(&header->trades_kept);
    uint64_t ring = tf_word_get(&header->ring_bytes);
    if (!counts_in_range(instruments, depth, trades, ring) || !is_power_of_two(slots) ||
        !is_power_of_two(trades) || !is_power_of_two(ring) || slots < depth ||
        slots > TF_IMAGE_DEPTH_MAX)
        return "damaged header (a count is out of range)";
    *out = (tf_layout_t){
        .file_bytes = tf_word_get(&header->file_bytes),
        .ring_bytes = ring,
        .instruments_offset = tf_word_get(&header->instruments_offset),
        .tickers_offset = tf_word_get(&header->tickers_offset),
        .bbos_offset = tf_word_get(&header->bbos_offset),
        .books_offset = tf_word_get(&header->books_offset),
        .book_stride = tf_word_get(&header->book_stride),
        .trades_offset = tf_word_get(&header->trades_offset),
        .trades_stride = tf_word_get(&header->trades_stride),
        .ring_offset = tf_word_get(&header->ring_offset),
        .instruments_max = (uint32_t)instruments,
        .image_depth = (uint32_t)depth,
        .book_slots = (uint32_t)slots,
        .trades_kept = (uint32_t)trades,
    };
    if (out->file_bytes > mapped_bytes)
        return "damaged header (the file is shorter than it says)";
    return sections_fit(out) ? NULL : "damaged header (a section lies outside the file)";
}
