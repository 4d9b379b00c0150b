#include "app/tap_text.h"

#include "base/clock.h"
#include "market/decimal.h"
#include "market/state.h"

#include <string.h>

/* The two styles differ in punctuation only: "key":value, against key=value. */
static void put_key(tf_buf_t *out, const tf_tap_style_t *style, const char *key)
{
    tf_buf_text(out, style->json ? ",\"" : " ");
    tf_buf_text(out, key);
    tf_buf_text(out, style->json ? "\":" : "=");
}

static void put_word(tf_buf_t *out, const tf_tap_style_t *style, const char *key, const char *text,
                     size_t bytes)
{
    put_key(out, style, key);
    if (style->json)
        tf_buf_json_string(out, text, bytes);
    else
        tf_buf_put(out, text, bytes);
}

static void put_number(tf_buf_t *out, const tf_tap_style_t *style, const char *key, uint64_t number)
{
    put_key(out, style, key);
    tf_buf_uint(out, number);
}

static void put_bool(tf_buf_t *out, const tf_tap_style_t *style, const char *key, bool value)
{
    put_key(out, style, key);
    tf_buf_text(out, value ? "true" : "false");
}

static void put_time(tf_buf_t *out, const tf_tap_style_t *style, const char *key, int64_t ns)
{
    put_key(out, style, key);
    if (ns == TF_TIME_NONE)
        tf_buf_text(out, style->json ? "null" : "-");
    else
        tf_buf_int(out, ns / TF_NS_PER_US);
}

static void put_decimal_text(tf_buf_t *out, bool quoted, int64_t mantissa, uint8_t dp)
{
    char text[TF_DECIMAL_TEXT_BYTES_MAX];
    size_t bytes = tf_decimal_write(text, mantissa, dp);
    if (quoted)
        tf_buf_lit(out, "\"");
    tf_buf_put(out, text, bytes);
    if (quoted)
        tf_buf_lit(out, "\"");
}

static void put_decimal(tf_buf_t *out, const tf_tap_style_t *style, const char *key,
                        int64_t mantissa, uint8_t dp)
{
    put_key(out, style, key);
    if (mantissa == TF_PRICE_NONE)
        tf_buf_text(out, style->json ? "null" : "-");
    else
        put_decimal_text(out, style->json, mantissa, dp);
}

static void put_bbo(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_t *event,
                    const tf_bbo_t *bbo)
{
    put_decimal(out, style, "bid", bbo->bid_px, event->px_dp);
    put_decimal(out, style, "bsz", bbo->bid_px == TF_PRICE_NONE ? TF_PRICE_NONE : bbo->bid_sz,
                event->sz_dp);
    put_decimal(out, style, "ask", bbo->ask_px, event->px_dp);
    put_decimal(out, style, "asz", bbo->ask_px == TF_PRICE_NONE ? TF_PRICE_NONE : bbo->ask_sz,
                event->sz_dp);
}

static void put_levels(tf_buf_t *out, const tf_tap_style_t *style, const char *key,
                       const tf_event_t *event, const tf_level_t *level, uint32_t count)
{
    put_key(out, style, key);
    tf_buf_lit(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            tf_buf_lit(out, ",");
        tf_buf_text(out, style->json ? "[" : "");
        put_decimal_text(out, style->json, level[i].px, event->px_dp);
        tf_buf_text(out, style->json ? "," : "x");
        put_decimal_text(out, style->json, level[i].sz, event->sz_dp);
        tf_buf_text(out, style->json ? "]" : "");
    }
    tf_buf_lit(out, "]");
}

static void put_book(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_book_t *book)
{
    const tf_bbo_t bbo = {book->bid_px, book->bid_sz, book->ask_px, book->ask_sz};
    put_bool(out, style, "snapshot", (book->head.flags & TF_EVENT_FLAG_SNAPSHOT) != 0);
    put_bool(out, style, "more", (book->head.flags & TF_EVENT_FLAG_MORE) != 0);
    put_bbo(out, style, &book->head, &bbo);
    put_levels(out, style, "b", &book->head, book->level, book->bids);
    put_levels(out, style, "a", &book->head, book->level + book->bids, book->asks);
}

static const char *side_text(uint8_t side)
{
    return side == TF_SIDE_BUY ? "buy" : "sell";
}

static void put_trade(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_trade_t *event)
{
    const tf_trade_t *trade = &event->trade;
    size_t id_bytes =
        trade->id_bytes <= TF_TRADE_ID_BYTES_MAX ? trade->id_bytes : TF_TRADE_ID_BYTES_MAX;
    put_word(out, style, "id", trade->id, id_bytes);
    put_decimal(out, style, "px", trade->px, event->head.px_dp);
    put_decimal(out, style, "sz", trade->sz, event->head.sz_dp);
    put_word(out, style, "side", side_text(trade->side), strlen(side_text(trade->side)));
    put_number(out, style, "gap_before", trade->gap_before);
}

static void put_ticker(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_ticker_t *event)
{
    const tf_ticker_t *ticker = &event->ticker;
    uint8_t px = event->head.px_dp;
    uint8_t sz = event->head.sz_dp;
    const struct {
        uint32_t bit;
        const char *key;
        int64_t mantissa;
        uint8_t dp;
    } fields[] = {
        {TF_TICKER_PX, "px", ticker->px, px},
        {TF_TICKER_SZ, "sz", ticker->sz, sz},
        {TF_TICKER_BID, "bid", ticker->bid, px},
        {TF_TICKER_BSZ, "bsz", ticker->bsz, sz},
        {TF_TICKER_ASK, "ask", ticker->ask, px},
        {TF_TICKER_ASZ, "asz", ticker->asz, sz},
        {TF_TICKER_O24, "o24", ticker->o24, px},
        {TF_TICKER_H24, "h24", ticker->h24, px},
        {TF_TICKER_L24, "l24", ticker->l24, px},
        {TF_TICKER_V24, "v24", ticker->v24, ticker->v24_dp},
        {TF_TICKER_Q24, "q24", ticker->q24, ticker->q24_dp},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if ((ticker->present & fields[i].bit) != 0)
            put_decimal(out, style, fields[i].key, fields[i].mantissa, fields[i].dp);
    }
    if ((ticker->present & TF_TICKER_SIDE) != 0)
        put_word(out, style, "side", side_text(ticker->side), strlen(side_text(ticker->side)));
    if ((ticker->present & TF_TICKER_N24) != 0)
        put_number(out, style, "n24", (uint64_t)ticker->n24);
}

static void put_state(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_state_t *event)
{
    const char *state = tf_market_state_text((tf_market_state_t)event->state);
    const char *reason = tf_market_reason_text((tf_market_reason_t)event->reason);
    put_word(out, style, "state", state, strlen(state));
    put_word(out, style, "reason", reason, strlen(reason));
}

/* Only what the record itself says: the image may already be newer, and a line must not depend on
 * how far behind its reader is. */
static void put_instrument(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_t *event)
{
    put_number(out, style, "px_dp", event->px_dp);
    put_number(out, style, "sz_dp", event->sz_dp);
}

static const char *event_name(const tf_event_t *event)
{
    static const char *const names[] = {"padding", "instrument", "state", "book",
                                        "bbo",     "trade",      "ticker"};
    return event->type < sizeof names / sizeof names[0] ? names[event->type] : "unknown";
}

static void put_head(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_t *event,
                     const tf_instrument_view_t *view)
{
    const char *name = event_name(event);
    tf_buf_text(out, style->json ? "{\"event\":\"" : "");
    tf_buf_text(out, name);
    tf_buf_text(out, style->json ? "\"" : "");
    put_word(out, style, "venue", view->venue, strlen(view->venue));
    put_word(out, style, "symbol", view->symbol, strlen(view->symbol));
    put_number(out, style, "seq", event->seq);
    put_time(out, style, "te", event->te_ns);
    put_time(out, style, "ti", event->ti_ns);
    if (style->publication)
        put_time(out, style, "tp", event->tp_ns);
}

void tf_tap_line(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_t *event,
                 const tf_instrument_view_t *view)
{
    put_head(out, style, event, view);
    switch ((tf_event_type_t)event->type) {
    case TF_EVENT_INSTRUMENT:
        put_instrument(out, style, event);
        break;
    case TF_EVENT_STATE:
        put_state(out, style, (const tf_event_state_t *)event);
        break;
    case TF_EVENT_BOOK:
        put_book(out, style, (const tf_event_book_t *)event);
        break;
    case TF_EVENT_BBO:
        put_bbo(out, style, event, &((const tf_event_bbo_t *)event)->bbo);
        break;
    case TF_EVENT_TRADE:
        put_trade(out, style, (const tf_event_trade_t *)event);
        break;
    case TF_EVENT_TICKER:
        put_ticker(out, style, (const tf_event_ticker_t *)event);
        break;
    case TF_EVENT_PADDING:
        break;
    }
    tf_buf_text(out, style->json ? "}\n" : "\n");
}

void tf_tap_lapped_line(tf_buf_t *out, const tf_tap_style_t *style, uint64_t times)
{
    tf_buf_text(out, style->json ? "{\"event\":\"lapped\",\"times\":" : "lapped times=");
    tf_buf_uint(out, times);
    tf_buf_text(out, style->json ? "}\n" : "\n");
}
