/*
 * image_reader: consistent copies out of the image. A reader's thread. The reader's half of the
 * seqlocks: partner tf_image_lock() and tf_image_unlock() of writer.h.
 *
 * Content that no sound writer stores counts as "no stable copy": it is never handed out.
 */
#include "base/assert.h"
#include "market/decimal.h"
#include "market/instrument.h"
#include "region/reader_inside.h"

#include <string.h>

static bool image_copy_begin(const tf_image_head_t *head, uint64_t *lock)
{
    *lock = atomic_load_explicit(&head->lock, memory_order_acquire);
    return *lock % 2 == 0;
}

/* The fence keeps the copy before the second look: a word of a newer version implies its lock. */
static bool image_copy_end(const tf_image_head_t *head, uint64_t lock)
{
    atomic_thread_fence(memory_order_acquire);
    return tf_word_get(&head->lock) == lock;
}

typedef struct head_words {
    uint64_t seq, base_seq, te_ns, ti_ns, tp_ns, status;
} head_words_t;

_Static_assert(sizeof(head_words_t) == sizeof(tf_image_head_t) - 8, "all but the lock");

static void head_copy(head_words_t *out, const tf_image_head_t *head)
{
    tf_words_out(out, &head->seq, sizeof *out);
}

static bool info_take(tf_image_info_t *out, const head_words_t *words)
{
    *out = (tf_image_info_t){
        .seq = words->seq,
        .base_seq = words->base_seq,
        .te_ns = (int64_t)words->te_ns,
        .ti_ns = (int64_t)words->ti_ns,
        .tp_ns = (int64_t)words->tp_ns,
        .state = (uint8_t)words->status,
        .reason = (uint8_t)(words->status >> 8),
        .px_dp = (uint8_t)(words->status >> 16),
        .sz_dp = (uint8_t)(words->status >> 24),
    };
    return out->state <= TF_STATE_HALTED && out->reason < TF_REASON_INGEST_LOST &&
           out->px_dp <= TF_DECIMAL_DP_MAX && out->sz_dp <= TF_DECIMAL_DP_MAX;
}

static bool index_known(tf_reader_t *reader, uint32_t index)
{
    if (index >= reader->instrument_count)
        reader->instrument_count = tf_reader_instrument_count(reader);
    return index < reader->instrument_count;
}

/* An entry that is one run of words: copied as a whole, the head without the lock first. */
static bool entry_copy(const tf_image_head_t *head, void *out, size_t bytes)
{
    for (int tries = 0; tries < TF_IMAGE_TRIES; tries++) {
        uint64_t lock = 0;
        if (!image_copy_begin(head, &lock))
            continue;
        tf_words_out(out, &head->lock + 1, bytes);
        if (image_copy_end(head, lock))
            return true;
    }
    return false;
}

typedef struct instrument_words {
    head_words_t head;
    char symbol[TF_SYMBOL_BYTES_MAX];
    char venue_symbol[TF_SYMBOL_BYTES_MAX];
    char venue[TF_VENUE_BYTES_MAX];
    char base[TF_SYMBOL_BYTES_MAX];
    char quote[TF_SYMBOL_BYTES_MAX];
    int64_t tick, lot;
    uint64_t listing;
    int64_t since_ns;
} instrument_words_t;

_Static_assert(sizeof(instrument_words_t) + 8 == offsetof(tf_image_instrument_t, since_ns) + 8,
               "the entry without its lock");

static void text_take(char *out, const char *from, size_t bytes)
{
    memcpy(out, from, bytes);
    out[bytes - 1] = '\0';
}

tf_image_result_t tf_reader_instrument(tf_reader_t *reader, uint32_t index,
                                       tf_instrument_view_t *out)
{
    if (!index_known(reader, index))
        return TF_IMAGE_RANGE;
    const tf_image_instrument_t *entry =
        (const void *)(reader->base + tf_layout_instrument(&reader->layout, index));
    instrument_words_t words;
    tf_image_info_t info;
    if (!entry_copy(&entry->head, &words, sizeof words) || !info_take(&info, &words.head) ||
        words.listing > TF_INSTRUMENT_DELISTED)
        return TF_IMAGE_BUSY;
    out->info = info;
    text_take(out->symbol, words.symbol, sizeof out->symbol);
    text_take(out->venue_symbol, words.venue_symbol, sizeof out->venue_symbol);
    text_take(out->venue, words.venue, sizeof out->venue);
    text_take(out->base, words.base, sizeof out->base);
    text_take(out->quote, words.quote, sizeof out->quote);
    out->tick = words.tick;
    out->lot = words.lot;
    out->since_ns = words.since_ns;
    out->listing = (uint8_t)words.listing;
    return TF_IMAGE_OK;
}

tf_image_result_t tf_reader_ticker(tf_reader_t *reader, uint32_t index, tf_image_info_t *info,
                                   tf_ticker_t *out)
{
    if (!index_known(reader, index))
        return TF_IMAGE_RANGE;
    const tf_image_ticker_t *entry =
        (const void *)(reader->base + tf_layout_ticker(&reader->layout, index));
    struct {
        head_words_t head;
        tf_ticker_t ticker;
    } words;
    tf_image_info_t taken;
    if (!entry_copy(&entry->head, &words, sizeof words) || !info_take(&taken, &words.head) ||
        words.ticker.side > TF_SIDE_SELL || words.ticker.q24_dp > TF_DECIMAL_DP_MAX ||
        words.ticker.v24_dp > TF_DECIMAL_DP_MAX)
        return TF_IMAGE_BUSY;
    *info = taken;
    *out = words.ticker;
    return TF_IMAGE_OK;
}

tf_image_result_t tf_reader_bbo(tf_reader_t *reader, uint32_t index, tf_image_info_t *info,
                                tf_bbo_t *out)
{
    if (!index_known(reader, index))
        return TF_IMAGE_RANGE;
    const tf_image_bbo_t *entry =
        (const void *)(reader->base + tf_layout_bbo(&reader->layout, index));
    struct {
        head_words_t head;
        tf_bbo_t bbo;
    } words;
    tf_image_info_t taken;
    if (!entry_copy(&entry->head, &words, sizeof words) || !info_take(&taken, &words.head))
        return TF_IMAGE_BUSY;
    *info = taken;
    *out = words.bbo;
    return TF_IMAGE_OK;
}

/* One side's best levels into `out`; how many. `start` and `count` are only as good as the lock. */
static uint32_t side_copy(const tf_reader_t *reader, const tf_image_book_t *book, unsigned side,
                          uint32_t depth, tf_level_t *out)
{
    const tf_layout_t *layout = &reader->layout;
    uint64_t start = tf_word_get(&book->start[side]) & (layout->book_slots - 1U);
    uint64_t held = tf_word_get(&book->count[side]);
    uint64_t want = held < depth ? held : depth;
    uint64_t until_end = layout->book_slots - start; /* two runs: the array is circular */
    uint64_t first = want < until_end ? want : until_end;
    tf_words_out(out, &book->level[tf_layout_level_word(layout, side, start)], first * sizeof *out);
    tf_words_out(out + first, &book->level[tf_layout_level_word(layout, side, 0)],
                 (want - first) * sizeof *out);
    return (uint32_t)want;
}

/* Depth 0 asks for the versions alone, and then gives no arrays. */
static void levels_give(tf_level_t *out, const tf_level_t *from, uint32_t count)
{
    if (count != 0)
        memcpy(out, from, count * sizeof *out);
}

tf_image_result_t tf_reader_book(tf_reader_t *reader, uint32_t index, uint32_t depth,
                                 tf_image_info_t *info, tf_level_t *bids, uint32_t *bid_count,
                                 tf_level_t *asks, uint32_t *ask_count)
{
    if (!index_known(reader, index))
        return TF_IMAGE_RANGE;
    const tf_image_book_t *book =
        (const void *)(reader->base + tf_layout_book(&reader->layout, index));
    if (depth > reader->layout.image_depth)
        depth = reader->layout.image_depth;
    tf_level_t *side[2] = {reader->levels, reader->levels + reader->layout.image_depth};
    for (int tries = 0; tries < TF_IMAGE_TRIES; tries++) {
        uint64_t lock = 0;
        if (!image_copy_begin(&book->head, &lock))
            continue;
        head_words_t words;
        head_copy(&words, &book->head);
        uint32_t bids_held = side_copy(reader, book, TF_SIDE_BUY, depth, side[0]);
        uint32_t asks_held = side_copy(reader, book, TF_SIDE_SELL, depth, side[1]);
        tf_image_info_t taken;
        if (!image_copy_end(&book->head, lock) || !info_take(&taken, &words))
            continue;
        *info = taken;
        *bid_count = bids_held;
        *ask_count = asks_held;
        levels_give(bids, side[0], bids_held);
        levels_give(asks, side[1], asks_held);
        return TF_IMAGE_OK;
    }
    return TF_IMAGE_BUSY;
}

/* The trades to be copied: numbers [from, from + count). */
typedef struct trade_range {
    uint64_t from;
    uint32_t count;
} trade_range_t;

static trade_range_t trades_held(const tf_layout_t *layout, uint64_t newest, uint64_t from,
                                 uint64_t to, uint32_t max)
{
    uint64_t oldest = newest > layout->trades_kept ? newest - layout->trades_kept + 1 : 1;
    if (from < oldest)
        from = oldest;
    if (to > newest)
        to = newest;
    if (from > to)
        return (trade_range_t){.from = from};
    if (to - from >= max)
        from = to - max + 1; /* max 0: from = to + 1 */
    return (trade_range_t){.from = from, .count = (uint32_t)(to - from + 1)};
}

static bool trades_sound(const tf_trade_t *trades, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (trades[i].side > TF_SIDE_SELL || trades[i].id_bytes > TF_TRADE_ID_BYTES_MAX)
            return false;
    }
    return true;
}

tf_image_result_t tf_reader_trades(tf_reader_t *reader, uint32_t index, uint64_t from, uint64_t to,
                                   tf_image_info_t *info, tf_trade_t *out, uint32_t max,
                                   uint64_t *first, uint32_t *count)
{
    if (!index_known(reader, index))
        return TF_IMAGE_RANGE;
    const tf_image_trades_t *entry =
        (const void *)(reader->base + tf_layout_trades(&reader->layout, index));
    for (int tries = 0; tries < TF_IMAGE_TRIES; tries++) {
        uint64_t lock = 0;
        if (!image_copy_begin(&entry->head, &lock))
            continue;
        head_words_t words;
        head_copy(&words, &entry->head);
        trade_range_t range = trades_held(&reader->layout, words.seq, from, to, max);
        for (uint32_t i = 0; i < range.count; i++) {
            size_t word = tf_layout_trade_word(&reader->layout, range.from + i);
            tf_words_out(&reader->trades[i], &entry->trade[word], sizeof *out);
        }
        tf_image_info_t taken;
        if (!image_copy_end(&entry->head, lock) || !info_take(&taken, &words) ||
            !trades_sound(reader->trades, range.count))
            continue;
        *info = taken;
        *first = range.from;
        *count = range.count;
        if (range.count != 0)
            memcpy(out, reader->trades, range.count * sizeof *out);
        return TF_IMAGE_OK;
    }
    return TF_IMAGE_BUSY;
}
