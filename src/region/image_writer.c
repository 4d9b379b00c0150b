#include "market/instrument.h"
#include "region/region_file.h"
#include "region/writer.h"

#include <string.h>

static int64_t wall_ns(const tf_region_t *region)
{
    return tf_clock_wall_ns(region->clock);
}

/* Names and units. Within the lock. */
static void metadata_put(tf_image_instrument_t *entry, const tf_instrument_t *instrument)
{
    tf_words_in(entry->symbol, instrument->symbol, sizeof instrument->symbol);
    tf_words_in(entry->venue_symbol, instrument->venue_symbol, sizeof instrument->venue_symbol);
    tf_words_in(entry->venue, instrument->venue, sizeof instrument->venue);
    tf_words_in(entry->base, instrument->base, sizeof instrument->base);
    tf_words_in(entry->quote, instrument->quote, sizeof instrument->quote);
    tf_word_put(&entry->tick, (uint64_t)instrument->tick);
    tf_word_put(&entry->lot, (uint64_t)instrument->lot);
    tf_word_put(&entry->listing, instrument->status);
}

static void instrument_record(tf_region_t *region, uint32_t index)
{
    const tf_image_head_t *head = &tf_writer_instrument(region, index)->head;
    tf_event_t event = tf_event_head(head, TF_EVENT_INSTRUMENT, index, sizeof event);
    tf_ring_put(&region->ring, &event);
}

static tf_status_t entries_reserve(const tf_region_t *region, uint32_t index)
{
    const tf_layout_t *layout = &region->layout;
    tf_status_t status =
        tf_region_file_reserve(region->file_fd, tf_layout_book(layout, index), layout->book_stride);
    if (status == TF_OK)
        status = tf_region_file_reserve(region->file_fd, tf_layout_trades(layout, index),
                                        layout->trades_stride);
    return status;
}

/* An entry that nothing was published in: version 0, and the times of the instrument's arrival
 * instead of the file's zeros, which a client would read as 1970. */
static void empty_head_put(tf_image_head_t *head, uint64_t status, tf_stamp_t stamp, int64_t tp_ns)
{
    stamp.te_ns = TF_TIME_NONE;
    tf_image_stamp(head, 0, stamp, tp_ns);
    tf_word_put(&head->status, status);
}

/* Fill the entries of an instrument that no reader looks at yet: the file starts as zeros. */
static void entries_init(tf_region_t *region, uint32_t index, const tf_instrument_t *instrument,
                         tf_stamp_t stamp)
{
    static const tf_bbo_t no_bbo = {.bid_px = TF_PRICE_NONE, .ask_px = TF_PRICE_NONE};
    uint64_t status = tf_image_status(TF_STATE_RESYNC, TF_REASON_STARTING) |
                      tf_image_scale(instrument->px_dp, instrument->sz_dp);
    int64_t tp_ns = wall_ns(region);
    tf_image_instrument_t *entry = tf_writer_instrument(region, index);
    metadata_put(entry, instrument);
    tf_word_put(&entry->since_ns, (uint64_t)tp_ns);
    tf_image_stamp(&entry->head, 1, stamp, tp_ns);
    tf_word_put(&entry->head.base_seq, 1);
    tf_word_put(&entry->head.status, status);
    empty_head_put(&tf_writer_ticker(region, index)->head, status, stamp, tp_ns);
    empty_head_put(&tf_writer_book(region, index)->head, status, stamp, tp_ns);
    empty_head_put(&tf_writer_trades(region, index)->head, status, stamp, tp_ns);
    tf_image_bbo_t *bbo = tf_writer_bbo(region, index);
    tf_words_in(bbo->bbo, &no_bbo, sizeof no_bbo);
    empty_head_put(&bbo->head, status, stamp, tp_ns);
}

tf_status_t tf_region_instrument_add(tf_region_t *region, const tf_instrument_t *instrument,
                                     tf_stamp_t stamp, uint32_t *index)
{
    TF_ASSERT(region->edit.book == NULL);
    TF_ASSERT(instrument->px_dp <= TF_DECIMAL_DP_MAX && instrument->sz_dp <= TF_DECIMAL_DP_MAX);
    if (region->instrument_count == region->layout.instruments_max)
        return tf_error(TF_ERR_FULL,
                        "region \"%s\" has room for %u instruments and is full; raise "
                        "instruments_max",
                        region->name, region->layout.instruments_max);
    uint32_t added = region->instrument_count;
    tf_status_t status = entries_reserve(region, added);
    if (status != TF_OK)
        return tf_error_within(status, "region \"%s\": %.*s", region->name,
                               (int)sizeof instrument->symbol, instrument->symbol);
    entries_init(region, added, instrument, stamp);
    region->instrument_count = added + 1;
    atomic_store_explicit(&region->header->instrument_count, added + 1, memory_order_release);
    instrument_record(region, added);
    *index = added;
    return TF_OK;
}

/* One change of scale, from an entry's to the instrument's. */
typedef struct rescale {
    uint8_t px_from, sz_from;
    uint8_t px_to, sz_to;
} rescale_t;

static bool price_rescale(const rescale_t *scale, int64_t *px)
{
    return *px == TF_PRICE_NONE || tf_decimal_rescale((tf_decimal_t){*px, scale->px_from},
                                                      scale->px_to, px) == TF_DECIMAL_OK;
}

static bool size_rescale(const rescale_t *scale, int64_t *sz)
{
    return tf_decimal_rescale((tf_decimal_t){*sz, scale->sz_from}, scale->sz_to, sz) ==
           TF_DECIMAL_OK;
}

static bool bbo_rescale(const rescale_t *scale, tf_bbo_t *bbo)
{
    return price_rescale(scale, &bbo->bid_px) && size_rescale(scale, &bbo->bid_sz) &&
           price_rescale(scale, &bbo->ask_px) && size_rescale(scale, &bbo->ask_sz);
}

/* v24 and q24 have decimals of their own. Absent fields are zero, which every scale holds. */
static bool ticker_rescale(const rescale_t *scale, tf_ticker_t *ticker)
{
    return price_rescale(scale, &ticker->px) && size_rescale(scale, &ticker->sz) &&
           price_rescale(scale, &ticker->bid) && size_rescale(scale, &ticker->bsz) &&
           price_rescale(scale, &ticker->ask) && size_rescale(scale, &ticker->asz) &&
           price_rescale(scale, &ticker->o24) && price_rescale(scale, &ticker->h24) &&
           price_rescale(scale, &ticker->l24);
}

/* px and sz are the first two words of a trade. */
_Static_assert(offsetof(tf_trade_t, px) == 0 && offsetof(tf_trade_t, sz) == 8, "shm ABI v1");

/* Rescale the history; only tries when `store` is false. */
static bool trades_rescale(const tf_region_t *region, tf_image_trades_t *entry,
                           const rescale_t *scale, bool store)
{
    uint64_t newest = tf_word_get(&entry->head.seq);
    uint64_t kept = newest < region->layout.trades_kept ? newest : region->layout.trades_kept;
    for (uint64_t number = newest - kept + 1; number <= newest; number++) {
        _Atomic uint64_t *word = &entry->trade[tf_layout_trade_word(&region->layout, number)];
        int64_t px = (int64_t)tf_word_get(&word[0]);
        int64_t sz = (int64_t)tf_word_get(&word[1]);
        if (!price_rescale(scale, &px) || !size_rescale(scale, &sz))
            return false;
        if (store) {
            tf_word_put(&word[0], (uint64_t)px);
            tf_word_put(&word[1], (uint64_t)sz);
        }
    }
    return true;
}

static void scale_put(tf_image_head_t *head, const rescale_t *scale)
{
    uint64_t state = tf_word_get(&head->status) & TF_STATUS_STATE_BITS;
    tf_word_put(&head->status, state | tf_image_scale(scale->px_to, scale->sz_to));
}

/* The entry's figures have a new scale: a new version that no difference leads to. An entry that
 * never had any stays unpublished. */
static void reset_put(tf_image_head_t *head, const rescale_t *scale)
{
    uint64_t seq = tf_word_get(&head->seq);
    if (seq != 0) {
        tf_word_put(&head->seq, seq + 1);
        tf_word_put(&head->base_seq, seq + 1);
    }
    scale_put(head, scale);
}

/*
 * Everything but the book, which keeps its old scale with its old levels until the snapshot that
 * the caller owes, so that a reader in between still gets what fits together.
 */
static bool figures_rescale(tf_region_t *region, uint32_t index, const rescale_t *scale)
{
    tf_image_ticker_t *ticker_entry = tf_writer_ticker(region, index);
    tf_image_bbo_t *bbo_entry = tf_writer_bbo(region, index);
    tf_image_trades_t *trades_entry = tf_writer_trades(region, index);
    tf_ticker_t ticker;
    tf_bbo_t bbo;
    tf_words_out(&ticker, ticker_entry->ticker, sizeof ticker);
    tf_words_out(&bbo, bbo_entry->bbo, sizeof bbo);
    if (!ticker_rescale(scale, &ticker) || !bbo_rescale(scale, &bbo) ||
        !trades_rescale(region, trades_entry, scale, false))
        return false;
    tf_image_lock(&ticker_entry->head);
    tf_words_in(ticker_entry->ticker, &ticker, sizeof ticker);
    reset_put(&ticker_entry->head, scale);
    tf_image_unlock(&ticker_entry->head);
    tf_image_lock(&bbo_entry->head);
    tf_words_in(bbo_entry->bbo, &bbo, sizeof bbo);
    reset_put(&bbo_entry->head, scale);
    tf_image_unlock(&bbo_entry->head);
    /* seq numbers the trades, so it can't move without one; nor need it, the history stays whole.
     */
    tf_image_lock(&trades_entry->head);
    (void)trades_rescale(region, trades_entry, scale, true);
    scale_put(&trades_entry->head, scale);
    tf_image_unlock(&trades_entry->head);
    return true;
}

static bool same_symbol(const tf_image_instrument_t *entry, const tf_instrument_t *instrument)
{
    char symbol[TF_SYMBOL_BYTES_MAX];
    tf_words_out(symbol, entry->symbol, sizeof symbol);
    return memcmp(symbol, instrument->symbol, sizeof symbol) == 0;
}

bool tf_region_instrument_update(tf_region_t *region, uint32_t index,
                                 const tf_instrument_t *instrument, tf_stamp_t stamp)
{
    tf_writer_check(region, index);
    TF_ASSERT(instrument->px_dp <= TF_DECIMAL_DP_MAX && instrument->sz_dp <= TF_DECIMAL_DP_MAX);
    tf_image_instrument_t *entry = tf_writer_instrument(region, index);
    TF_ASSERT(same_symbol(entry, instrument));
    rescale_t scale = {
        .px_from = tf_image_px_dp(&entry->head),
        .sz_from = tf_image_sz_dp(&entry->head),
        .px_to = instrument->px_dp,
        .sz_to = instrument->sz_dp,
    };
    bool rescaled = scale.px_from != scale.px_to || scale.sz_from != scale.sz_to;
    if (rescaled && !figures_rescale(region, index, &scale))
        return false;
    tf_image_lock(&entry->head);
    metadata_put(entry, instrument);
    scale_put(&entry->head, &scale);
    uint64_t seq = tf_word_get(&entry->head.seq) + 1;
    tf_image_stamp(&entry->head, seq, stamp, wall_ns(region));
    if (rescaled)
        tf_word_put(&entry->head.base_seq, seq);
    tf_image_unlock(&entry->head);
    instrument_record(region, index);
    return true;
}

static void state_put(tf_image_head_t *head, uint64_t state)
{
    uint64_t scale = tf_word_get(&head->status) & ~(uint64_t)TF_STATUS_STATE_BITS;
    tf_word_put(&head->status, scale | state);
}

static void state_put_locked(tf_image_head_t *head, uint64_t state)
{
    tf_image_lock(head);
    state_put(head, state);
    tf_image_unlock(head);
}

void tf_region_put_state(tf_region_t *region, uint32_t index, tf_market_state_t state,
                         tf_market_reason_t reason, tf_stamp_t stamp)
{
    tf_writer_check(region, index);
    TF_ASSERT(state <= TF_STATE_HALTED && reason < TF_REASON_INGEST_LOST);
    TF_ASSERT((state == TF_STATE_LIVE) == (reason == TF_REASON_NONE));
    uint64_t status = tf_image_status(state, reason);
    int64_t tp_ns = wall_ns(region);
    tf_image_instrument_t *entry = tf_writer_instrument(region, index);
    tf_image_lock(&entry->head);
    state_put(&entry->head, status);
    tf_image_stamp(&entry->head, tf_word_get(&entry->head.seq) + 1, stamp, tp_ns);
    tf_word_put(&entry->since_ns, (uint64_t)tp_ns);
    tf_image_unlock(&entry->head);
    state_put_locked(&tf_writer_ticker(region, index)->head, status);
    state_put_locked(&tf_writer_bbo(region, index)->head, status);
    state_put_locked(&tf_writer_book(region, index)->head, status);
    state_put_locked(&tf_writer_trades(region, index)->head, status);
    tf_event_state_t event = {
        .head = tf_event_head(&entry->head, TF_EVENT_STATE, index, sizeof event),
        .state = (uint8_t)state,
        .reason = (uint8_t)reason,
    };
    tf_ring_put(&region->ring, &event.head);
    tf_count(region->stats, published_states_total, 1);
}

void tf_region_put_trade(tf_region_t *region, uint32_t index, const tf_trade_t *trade,
                         tf_stamp_t stamp)
{
    tf_writer_check(region, index);
    TF_ASSERT(trade->id_bytes >= 1 && trade->id_bytes <= TF_TRADE_ID_BYTES_MAX);
    TF_ASSERT(trade->side <= TF_SIDE_SELL);
    tf_image_trades_t *entry = tf_writer_trades(region, index);
    uint64_t number = tf_word_get(&entry->head.seq) + 1;
    tf_image_lock(&entry->head);
    tf_words_in(&entry->trade[tf_layout_trade_word(&region->layout, number)], trade, sizeof *trade);
    tf_image_stamp(&entry->head, number, stamp, wall_ns(region));
    tf_image_unlock(&entry->head);
    tf_event_trade_t event = {
        .head = tf_event_head(&entry->head, TF_EVENT_TRADE, index, sizeof event),
        .trade = *trade,
    };
    tf_ring_put(&region->ring, &event.head);
    tf_count(region->stats, published_trades_total, 1);
}

void tf_region_put_ticker(tf_region_t *region, uint32_t index, const tf_ticker_t *ticker,
                          tf_stamp_t stamp)
{
    tf_writer_check(region, index);
    TF_ASSERT(ticker->side <= TF_SIDE_SELL && ticker->q24_dp <= TF_DECIMAL_DP_MAX &&
              ticker->v24_dp <= TF_DECIMAL_DP_MAX);
    tf_image_ticker_t *entry = tf_writer_ticker(region, index);
    tf_image_lock(&entry->head);
    tf_words_in(entry->ticker, ticker, sizeof *ticker);
    tf_image_stamp(&entry->head, tf_word_get(&entry->head.seq) + 1, stamp, wall_ns(region));
    tf_image_unlock(&entry->head);
    tf_event_ticker_t event = {
        .head = tf_event_head(&entry->head, TF_EVENT_TICKER, index, sizeof event),
        .ticker = *ticker,
    };
    tf_ring_put(&region->ring, &event.head);
    tf_count(region->stats, published_tickers_total, 1);
}

int64_t tf_region_published_ns(const tf_region_t *region, tf_event_type_t type, uint32_t index)
{
    TF_ASSERT(type == TF_EVENT_BOOK || type == TF_EVENT_TRADE || type == TF_EVENT_TICKER);
    tf_writer_check(region, index);
    const tf_image_head_t *head = &tf_writer_book(region, index)->head;
    if (type == TF_EVENT_TRADE)
        head = &tf_writer_trades(region, index)->head;
    else if (type == TF_EVENT_TICKER)
        head = &tf_writer_ticker(region, index)->head;
    return (int64_t)tf_word_get(&head->tp_ns);
}

bool tf_region_put_bbo(tf_region_t *region, uint32_t index, const tf_bbo_t *bbo, tf_stamp_t stamp)
{
    tf_writer_check(region, index);
    tf_image_bbo_t *entry = tf_writer_bbo(region, index);
    tf_bbo_t held;
    tf_words_out(&held, entry->bbo, sizeof held);
    if (memcmp(&held, bbo, sizeof held) == 0)
        return false;
    tf_image_lock(&entry->head);
    tf_words_in(entry->bbo, bbo, sizeof *bbo);
    tf_image_stamp(&entry->head, tf_word_get(&entry->head.seq) + 1, stamp, wall_ns(region));
    tf_image_unlock(&entry->head);
    tf_event_bbo_t event = {
        .head = tf_event_head(&entry->head, TF_EVENT_BBO, index, sizeof event),
        .bbo = *bbo,
    };
    tf_ring_put(&region->ring, &event.head);
    tf_count(region->stats, published_bbos_total, 1);
    return true;
}
