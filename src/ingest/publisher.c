#include "ingest/publisher.h"

#include "base/mem.h"

#include <string.h>

/* One visible change, kept until the whole message is known to leave the book uncrossed. */
typedef struct tf_publisher_op {
    tf_level_t level; /* sz 0 for REMOVE */
    tf_level_t refill;
    uint32_t rank;
    uint8_t change; /* tf_book_change_t: INSERT, RESIZE, REMOVE */
    uint8_t side;
    bool refilled;
} op_t;

/* The decimals that a message needs, at least. */
typedef struct scale {
    uint8_t px_dp;
    uint8_t sz_dp;
} scale_t;

void tf_publisher_bench_fini(tf_publisher_bench_t *bench)
{
    tf_mem_free(bench->op);
    tf_mem_free(bench->level[TF_SIDE_BUY]);
    tf_mem_free(bench->level[TF_SIDE_SELL]);
}

static bool bench_ops_reserve(tf_publisher_bench_t *bench, size_t count)
{
    if (count <= bench->ops_max)
        return true;
    size_t ops_max = bench->ops_max == 0 ? 256 : bench->ops_max;
    while (ops_max < count)
        ops_max *= 2;
    op_t *op = tf_mem_realloc(bench->op, ops_max, sizeof *op);
    if (op == NULL)
        return false;
    bench->op = op;
    bench->ops_max = ops_max;
    return true;
}

static bool bench_levels_reserve(tf_publisher_bench_t *bench)
{
    uint32_t depth = tf_region_image_depth(bench->region);
    for (int side = 0; side < 2; side++) {
        if (bench->level[side] == NULL)
            bench->level[side] = tf_mem_calloc(depth, sizeof *bench->level[side]);
        if (bench->level[side] == NULL)
            return false;
    }
    return true;
}

void tf_publisher_init(tf_publisher_t *publisher, tf_publisher_bench_t *bench,
                       const tf_instrument_t *instrument)
{
    *publisher = (tf_publisher_t){.bench = bench, .instrument = *instrument, .withheld = true};
}

void tf_publisher_fini(tf_publisher_t *publisher)
{
    tf_book_destroy(publisher->book);
    publisher->book = NULL;
}

tf_status_t tf_publisher_open(tf_publisher_t *publisher, tf_stamp_t stamp)
{
    TF_ASSERT(!tf_publisher_is_open(publisher));
    tf_book_t *book = bench_levels_reserve(publisher->bench) ? tf_book_create() : NULL;
    if (book == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory for the book of %s",
                        publisher->instrument.symbol);
    tf_status_t status = tf_region_instrument_add(publisher->bench->region, &publisher->instrument,
                                                  stamp, &publisher->region_index);
    if (status != TF_OK)
        tf_book_destroy(book);
    else
        publisher->book = book;
    return status;
}

/* The book as it stands, whole. */
static void book_publish(tf_publisher_t *publisher, tf_stamp_t stamp)
{
    const tf_publisher_bench_t *bench = publisher->bench;
    uint32_t depth = tf_region_image_depth(bench->region);
    size_t bids = tf_book_copy(publisher->book, TF_SIDE_BUY, bench->level[TF_SIDE_BUY], depth);
    size_t asks = tf_book_copy(publisher->book, TF_SIDE_SELL, bench->level[TF_SIDE_SELL], depth);
    tf_bbo_t bbo = tf_book_bbo(publisher->book);
    tf_region_put_book_snapshot(bench->region, publisher->region_index, bench->level[TF_SIDE_BUY],
                                bids, bench->level[TF_SIDE_SELL], asks, stamp);
    (void)tf_region_put_bbo(bench->region, publisher->region_index, &bbo, stamp);
    publisher->withheld = bids == 0 && asks == 0;
}

void tf_publisher_withhold(tf_publisher_t *publisher, tf_stamp_t stamp)
{
    tf_book_clear(publisher->book);
    if (!publisher->withheld)
        book_publish(publisher, stamp);
}

void tf_publisher_state(tf_publisher_t *publisher, tf_market_state_t state,
                        tf_market_reason_t reason, tf_stamp_t stamp)
{
    tf_region_put_state(publisher->bench->region, publisher->region_index, state, reason, stamp);
}

/* Once per update of the venue, after its publication. Both delays come from the stamps that
 * clients see, so they cost no look at the clock. */
static void delays_count(const tf_publisher_t *publisher, tf_event_type_t type, tf_stamp_t stamp)
{
    const tf_publisher_bench_t *bench = publisher->bench;
    if (!bench->timed)
        return;
    int64_t tp_ns = tf_region_published_ns(bench->region, type, publisher->region_index);
    if (stamp.te_ns != TF_TIME_NONE)
        tf_time(bench->stats, venue_to_ingest, stamp.ti_ns - stamp.te_ns);
    tf_time(bench->stats, ingest_to_publish, tp_ns - stamp.ti_ns);
}

/* Give the instrument a larger scale: tick and lot with it, the region's figures, and the book.
 * What is published of the book has the old scale until the next snapshot, so `withheld` falls. */
static tf_publish_t scale_set(tf_publisher_t *publisher, scale_t scale, tf_stamp_t stamp)
{
    tf_instrument_t next = publisher->instrument;
    next.px_dp = scale.px_dp;
    next.sz_dp = scale.sz_dp;
    tf_decimal_t tick = {publisher->instrument.tick, publisher->instrument.px_dp};
    tf_decimal_t lot = {publisher->instrument.lot, publisher->instrument.sz_dp};
    if (tf_decimal_rescale(tick, next.px_dp, &next.tick) != TF_DECIMAL_OK ||
        tf_decimal_rescale(lot, next.sz_dp, &next.lot) != TF_DECIMAL_OK)
        return TF_PUBLISH_OVERFLOW;
    if (!tf_region_instrument_update(publisher->bench->region, publisher->region_index, &next,
                                     stamp))
        return TF_PUBLISH_OVERFLOW;
    uint8_t px_up = (uint8_t)(next.px_dp - publisher->instrument.px_dp);
    uint8_t sz_up = (uint8_t)(next.sz_dp - publisher->instrument.sz_dp);
    publisher->instrument = next;
    publisher->withheld = false;
    if (!tf_book_rescale(publisher->book, px_up, sz_up)) {
        tf_book_clear(
            publisher->book); /* the caller withholds it; no level of the old scale stays */
        return TF_PUBLISH_OVERFLOW;
    }
    return TF_PUBLISH_OK;
}

/* Raise the scale to what a message needs. A scale that was settled is raised by a finer digit. */
static tf_publish_t scale_raise(tf_publisher_t *publisher, scale_t need, tf_stamp_t stamp,
                                bool *raised)
{
    const tf_instrument_t *instrument = &publisher->instrument;
    *raised = need.px_dp > instrument->px_dp || need.sz_dp > instrument->sz_dp;
    if (!*raised)
        return TF_PUBLISH_OK;
    if ((need.px_dp > instrument->px_dp && publisher->px_settled) ||
        (need.sz_dp > instrument->sz_dp && publisher->sz_settled))
        tf_count(publisher->bench->stats, venue_scale_raised_total, 1);
    return scale_set(publisher, need, stamp);
}

static void need_price(const tf_publisher_t *publisher, tf_decimal_t px, scale_t *need)
{
    if (px.dp <= need->px_dp)
        return;
    uint8_t dp = publisher->px_settled ? tf_decimal_dp_min(px) : px.dp;
    need->px_dp = dp > need->px_dp ? dp : need->px_dp;
}

static void need_size(const tf_publisher_t *publisher, tf_decimal_t sz, scale_t *need)
{
    if (sz.dp <= need->sz_dp)
        return;
    uint8_t dp = publisher->sz_settled ? tf_decimal_dp_min(sz) : sz.dp;
    need->sz_dp = dp > need->sz_dp ? dp : need->sz_dp;
}

static scale_t need_begin(const tf_publisher_t *publisher)
{
    return (scale_t){publisher->instrument.px_dp, publisher->instrument.sz_dp};
}

static scale_t need_levels(const tf_publisher_t *publisher, const tf_update_level_t *level,
                           size_t count)
{
    scale_t need = need_begin(publisher);
    for (size_t i = 0; i < count; i++) {
        need_price(publisher, level[i].px, &need);
        need_size(publisher, level[i].sz, &need);
    }
    return need;
}

/* A price in the instrument's scale, which is fine enough already; false when it does not fit. */
static bool price_scale(const tf_publisher_t *publisher, tf_decimal_t px, int64_t *out)
{
    return tf_decimal_rescale(px, publisher->instrument.px_dp, out) == TF_DECIMAL_OK &&
           *out != TF_PRICE_NONE;
}

static bool size_scale(const tf_publisher_t *publisher, tf_decimal_t sz, int64_t *out)
{
    return tf_decimal_rescale(sz, publisher->instrument.sz_dp, out) == TF_DECIMAL_OK && *out >= 0;
}

static bool level_scale(const tf_publisher_t *publisher, const tf_update_level_t *from,
                        tf_level_t *to)
{
    return price_scale(publisher, from->px, &to->px) && size_scale(publisher, from->sz, &to->sz);
}

tf_publish_t tf_publisher_snapshot(tf_publisher_t *publisher, const tf_update_level_t *level,
                                   size_t count, tf_stamp_t stamp)
{
    bool raised = false;
    tf_book_clear(publisher->book);
    tf_publish_t result =
        scale_raise(publisher, need_levels(publisher, level, count), stamp, &raised);
    if (result != TF_PUBLISH_OK)
        return result;
    for (size_t i = 0; i < count; i++) {
        tf_level_t scaled;
        uint32_t rank;
        if (!level_scale(publisher, &level[i], &scaled))
            return TF_PUBLISH_OVERFLOW;
        if (tf_book_set(publisher->book, (tf_side_t)level[i].side, scaled.px, scaled.sz, 0,
                        &rank) == TF_BOOK_NO_MEMORY)
            return TF_PUBLISH_NO_MEMORY;
    }
    if (tf_book_crossed(publisher->book))
        return TF_PUBLISH_CROSSED;
    publisher->px_settled = publisher->px_settled || count > 0;
    publisher->sz_settled = publisher->sz_settled || count > 0;
    publisher->instrument.scale_known = publisher->px_settled && publisher->sz_settled;
    book_publish(publisher, stamp);
    delays_count(publisher, TF_EVENT_BOOK, stamp);
    return TF_PUBLISH_OK;
}

/* Apply one level to the full book and note what of it is visible. */
static tf_publish_t level_apply(tf_publisher_t *publisher, const tf_update_level_t *from,
                                uint32_t depth, size_t *ops)
{
    tf_side_t side = (tf_side_t)from->side;
    op_t *op = &publisher->bench->op[*ops];
    if (!level_scale(publisher, from, &op->level))
        return TF_PUBLISH_OVERFLOW;
    op->rank = TF_BOOK_RANK_UNKNOWN;
    tf_book_change_t change =
        tf_book_set(publisher->book, side, op->level.px, op->level.sz, depth, &op->rank);
    if (change == TF_BOOK_NO_MEMORY)
        return TF_PUBLISH_NO_MEMORY;
    if (change == TF_BOOK_SAME) {
        if (op->level.sz == 0)
            tf_count(publisher->bench->stats, venue_removals_absent_total, 1);
        return TF_PUBLISH_OK;
    }
    if (op->rank == TF_BOOK_RANK_UNKNOWN)
        return TF_PUBLISH_OK;
    op->change = (uint8_t)change;
    op->side = (uint8_t)side;
    op->refilled =
        change == TF_BOOK_REMOVE && tf_book_at(publisher->book, side, depth - 1, &op->refill);
    (*ops)++;
    return TF_PUBLISH_OK;
}

static void ops_publish(tf_publisher_t *publisher, size_t ops, tf_stamp_t stamp)
{
    tf_region_t *region = publisher->bench->region;
    tf_bbo_t bbo = tf_book_bbo(publisher->book);
    tf_region_book_begin(region, publisher->region_index);
    for (size_t i = 0; i < ops; i++) {
        const op_t *op = &publisher->bench->op[i];
        tf_side_t side = (tf_side_t)op->side;
        if (op->change == TF_BOOK_INSERT)
            tf_region_book_insert(region, side, op->rank, op->level);
        else if (op->change == TF_BOOK_RESIZE)
            tf_region_book_resize(region, side, op->rank, op->level);
        else
            tf_region_book_remove(region, side, op->rank, op->level.px,
                                  op->refilled ? &op->refill : NULL);
    }
    tf_region_book_commit(region, &bbo, stamp);
    (void)tf_region_put_bbo(region, publisher->region_index, &bbo, stamp);
    publisher->withheld = false;
}

tf_publish_t tf_publisher_change(tf_publisher_t *publisher, const tf_update_level_t *level,
                                 size_t count, tf_stamp_t stamp)
{
    uint32_t depth = tf_region_image_depth(publisher->bench->region);
    bool raised = false;
    size_t ops = 0;
    if (!bench_ops_reserve(publisher->bench, count))
        return TF_PUBLISH_NO_MEMORY;
    tf_publish_t result =
        scale_raise(publisher, need_levels(publisher, level, count), stamp, &raised);
    if (result == TF_PUBLISH_OK && raised)
        book_publish(publisher, stamp);
    for (size_t i = 0; i < count && result == TF_PUBLISH_OK; i++)
        result = level_apply(publisher, &level[i], depth, &ops);
    if (result != TF_PUBLISH_OK)
        return result;
    if (tf_book_crossed(publisher->book))
        return TF_PUBLISH_CROSSED;
    ops_publish(publisher, ops, stamp);
    delays_count(publisher, TF_EVENT_BOOK, stamp);
    return TF_PUBLISH_OK;
}

tf_publish_t tf_publisher_trade(tf_publisher_t *publisher, const tf_update_trade_t *trade,
                                uint32_t gap_before, tf_stamp_t stamp)
{
    TF_ASSERT(trade->id_text.bytes >= 1 && trade->id_text.bytes <= TF_TRADE_ID_BYTES_MAX);
    scale_t need = need_begin(publisher);
    bool raised = false;
    need_price(publisher, trade->px, &need);
    need_size(publisher, trade->sz, &need);
    tf_publish_t result = scale_raise(publisher, need, stamp, &raised);
    if (result != TF_PUBLISH_OK)
        return result;
    if (raised)
        book_publish(publisher, stamp);
    tf_trade_t out = {
        .te_ns = stamp.te_ns,
        .ti_ns = stamp.ti_ns,
        .gap_before = gap_before,
        .side = trade->side,
        .id_bytes = (uint8_t)trade->id_text.bytes,
        /* a leading zero would be lost in an integer */
        .id_is_number = trade->id != 0 && trade->id_text.text[0] != '0',
    };
    memcpy(out.id, trade->id_text.text, trade->id_text.bytes);
    if (!price_scale(publisher, trade->px, &out.px) || !size_scale(publisher, trade->sz, &out.sz))
        return TF_PUBLISH_OVERFLOW;
    tf_region_put_trade(publisher->bench->region, publisher->region_index, &out, stamp);
    delays_count(publisher, TF_EVENT_TRADE, stamp);
    return TF_PUBLISH_OK;
}

/* The figures of a ticker that have the instrument's scale. */
typedef struct figure {
    uint32_t bit;
    bool is_size;
    size_t from; /* in tf_update_ticker_t */
    size_t to;   /* in tf_ticker_t */
} figure_t;

#define PRICE(bit, name)                                                                           \
    {                                                                                              \
        bit, false, offsetof(tf_update_ticker_t, name), offsetof(tf_ticker_t, name)                \
    }
#define SIZE(bit, name)                                                                            \
    {                                                                                              \
        bit, true, offsetof(tf_update_ticker_t, name), offsetof(tf_ticker_t, name)                 \
    }

static const figure_t figures[] = {
    PRICE(TF_TICKER_PX, px),   SIZE(TF_TICKER_SZ, sz),    PRICE(TF_TICKER_BID, bid),
    SIZE(TF_TICKER_BSZ, bsz),  PRICE(TF_TICKER_ASK, ask), SIZE(TF_TICKER_ASZ, asz),
    PRICE(TF_TICKER_O24, o24), PRICE(TF_TICKER_H24, h24), PRICE(TF_TICKER_L24, l24),
};
enum { FIGURES = sizeof figures / sizeof figures[0] };

static tf_decimal_t figure_get(const tf_update_ticker_t *ticker, const figure_t *figure)
{
    tf_decimal_t value;
    memcpy(&value, (const char *)ticker + figure->from, sizeof value);
    return value;
}

static bool figure_put(const tf_publisher_t *publisher, const tf_update_ticker_t *from,
                       const figure_t *figure, tf_ticker_t *to)
{
    int64_t value = 0;
    tf_decimal_t given = figure_get(from, figure);
    bool fits = figure->is_size ? size_scale(publisher, given, &value)
                                : price_scale(publisher, given, &value);
    memcpy((char *)to + figure->to, &value, sizeof value);
    return fits;
}

tf_publish_t tf_publisher_ticker(tf_publisher_t *publisher, const tf_update_ticker_t *ticker,
                                 tf_stamp_t stamp)
{
    scale_t need = need_begin(publisher);
    bool raised = false;
    for (size_t i = 0; i < FIGURES; i++) {
        if ((ticker->present & figures[i].bit) == 0)
            continue;
        if (figures[i].is_size)
            need_size(publisher, figure_get(ticker, &figures[i]), &need);
        else
            need_price(publisher, figure_get(ticker, &figures[i]), &need);
    }
    tf_publish_t result = scale_raise(publisher, need, stamp, &raised);
    if (result != TF_PUBLISH_OK)
        return result;
    if (raised)
        book_publish(publisher, stamp);
    tf_ticker_t out = {.present = ticker->present};
    for (size_t i = 0; i < FIGURES; i++) {
        if ((ticker->present & figures[i].bit) != 0 &&
            !figure_put(publisher, ticker, &figures[i], &out))
            return TF_PUBLISH_OVERFLOW;
    }
    if (ticker->present & TF_TICKER_SIDE)
        out.side = ticker->side;
    if (ticker->present & TF_TICKER_V24) {
        out.v24 = ticker->v24.mantissa;
        out.v24_dp = ticker->v24.dp;
    }
    if (ticker->present & TF_TICKER_Q24) {
        out.q24 = ticker->q24.mantissa;
        out.q24_dp = ticker->q24.dp;
    }
    if (ticker->present & TF_TICKER_N24) {
        if (ticker->n24 > INT64_MAX)
            return TF_PUBLISH_OVERFLOW;
        out.n24 = (int64_t)ticker->n24;
    }
    tf_region_put_ticker(publisher->bench->region, publisher->region_index, &out, stamp);
    delays_count(publisher, TF_EVENT_TICKER, stamp);
    return TF_PUBLISH_OK;
}

static void name_set(char out[TF_SYMBOL_BYTES_MAX], tf_slice_t name)
{
    if (name.bytes == 0 || name.bytes >= TF_SYMBOL_BYTES_MAX)
        return; /* keep the canonical symbol's part */
    memset(out, 0, TF_SYMBOL_BYTES_MAX);
    memcpy(out, name.text, name.bytes);
}

/* Take a step over when the instrument's scale holds it. */
static bool step_take(tf_decimal_t step, uint8_t dp, int64_t *out)
{
    return step.mantissa > 0 && tf_decimal_rescale(step, dp, out) == TF_DECIMAL_OK;
}

static uint8_t step_dp(tf_decimal_t step, uint8_t dp)
{
    uint8_t wanted = step.mantissa > 0 ? tf_decimal_dp_min(step) : 0;
    return wanted > dp ? wanted : dp;
}

/* Raise the scale to tick and lot. Where the region refuses, nothing changed: all is well. */
static tf_publish_t scale_describe(tf_publisher_t *publisher, scale_t scale, tf_stamp_t stamp)
{
    tf_instrument_t *instrument = &publisher->instrument;
    if (scale.px_dp == instrument->px_dp && scale.sz_dp == instrument->sz_dp)
        return TF_PUBLISH_OK;
    if (!tf_publisher_is_open(publisher)) {
        instrument->px_dp = scale.px_dp;
        instrument->sz_dp = scale.sz_dp;
        return TF_PUBLISH_OK;
    }
    tf_publish_t result = scale_set(publisher, scale, stamp);
    if (result == TF_PUBLISH_OK)
        book_publish(publisher, stamp);
    else if (instrument->px_dp != scale.px_dp || instrument->sz_dp != scale.sz_dp)
        result = TF_PUBLISH_OK;
    return result;
}

static bool described_alike(const tf_instrument_t *a, const tf_instrument_t *b)
{
    return a->tick == b->tick && a->lot == b->lot && a->status == b->status &&
           strcmp(a->base, b->base) == 0 && strcmp(a->quote, b->quote) == 0;
}

tf_publish_t tf_publisher_describe(tf_publisher_t *publisher,
                                   const tf_update_instrument_t *metadata, tf_stamp_t stamp)
{
    tf_instrument_t *instrument = &publisher->instrument;
    scale_t scale = {step_dp(metadata->tick, instrument->px_dp),
                     step_dp(metadata->lot, instrument->sz_dp)};
    tf_publish_t result = scale_describe(publisher, scale, stamp);
    tf_instrument_t before = *instrument;
    if (step_take(metadata->tick, instrument->px_dp, &instrument->tick))
        publisher->px_settled = true;
    if (step_take(metadata->lot, instrument->sz_dp, &instrument->lot))
        publisher->sz_settled = true;
    instrument->scale_known = publisher->px_settled && publisher->sz_settled;
    instrument->status = (uint8_t)metadata->status;
    name_set(instrument->base, metadata->base);
    name_set(instrument->quote, metadata->quote);
    if (tf_publisher_is_open(publisher) && !described_alike(instrument, &before)) {
        bool updated = tf_region_instrument_update(publisher->bench->region,
                                                   publisher->region_index, instrument, stamp);
        TF_ASSERT(updated); /* the scale is the region's already: nothing there to refuse */
    }
    return result;
}
