#include "codec/json.h"

#include "base/assert.h"
#include "market/decimal.h"
#include "market/state.h"

#include <string.h>

/*
 * Writers take the place to write at and return the place behind; room for the longest result is
 * reserved in one piece before, so that nothing is checked per field. The *_BYTES_MAX below are the
 * sums that this rests on.
 */
enum {
    NUMBER_BYTES_MAX = 20, /* of a uint64, or of an int64 with its sign */
    NS_PER_US = 1000,
    MS_PER_S = 1000,
    /* Envelope 55, keys and quotes 94, state and reason 40, six numbers 120, "data" and the closing
     * braces 16: 325 without the channel and the epoch. */
    HEAD_BYTES_MAX = 360,
    LEVEL_BYTES_MAX = 2 * TF_DECIMAL_TEXT_BYTES_MAX + 8, /* ,["px","sz"] */
    LIST_KEYS_BYTES_MAX = 16,                            /* [] */
    BOOK_KEYS_BYTES_MAX = 16,                            /* {"b":[],"a":[]} */
    BBO_BYTES_MAX = 4 * TF_DECIMAL_TEXT_BYTES_MAX + 48,  /* four keys of at most 9 with quotes */
    TICKER_BYTES_MAX = 13 * (TF_DECIMAL_TEXT_BYTES_MAX + 9) + 2,
    TRADE_BYTES_MAX = 2 * TF_DECIMAL_TEXT_BYTES_MAX + NUMBER_BYTES_MAX + 48, /* without its id */
};

static char *put(char *at, const char *text, size_t bytes)
{
    memcpy(at, text, bytes);
    return at + bytes;
}

#define put_lit(at, literal) put((at), "" literal, sizeof(literal) - 1)

static char *put_uint(char *at, uint64_t value)
{
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char digits[NUMBER_BYTES_MAX];
    char *first = digits + sizeof digits;
    while (value >= 100) {
        first -= 2;
        memcpy(first, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        first -= 2;
        memcpy(first, pairs + 2 * value, 2);
    } else {
        *--first = (char)('0' + value);
    }
    return put(at, first, (size_t)(digits + sizeof digits - first));
}

static char *put_int(char *at, int64_t value)
{
    if (value >= 0)
        return put_uint(at, (uint64_t)value);
    *at = '-';
    return put_uint(at + 1, 0 - (uint64_t)value);
}

static char *put_time(char *at, int64_t ns)
{
    return ns == TF_TIME_NONE ? put_lit(at, "null") : put_int(at, ns / NS_PER_US);
}

static char *put_text(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

static char *put_state(char *at, const tf_message_t *message)
{
    at = put_lit(at, ",\"state\":\"");
    at = put_text(at, tf_market_state_text(message->state));
    at = put_lit(at, "\"");
    if (message->state == TF_STATE_LIVE)
        return at;
    at = put_lit(at, ",\"reason\":\"");
    at = put_text(at, tf_market_reason_text(message->reason));
    return put_lit(at, "\"");
}

static char *put_position(char *at, const tf_message_t *message)
{
    switch (message->type) {
    case TF_MESSAGE_SNAPSHOT:
        at = put_lit(at, "\",\"type\":\"snapshot\",\"epoch\":\"");
        at = put_text(at, message->epoch);
        at = put_lit(at, "\",\"seq\":");
        break;
    case TF_MESSAGE_UPDATE:
        at = put_lit(at, "\",\"type\":\"update\",\"seq\":");
        break;
    case TF_MESSAGE_STATE:
        at = put_lit(at, "\",\"type\":\"state\",\"seq\":");
        return put_uint(at, message->seq);
    }
    at = put_uint(at, message->seq);
    at = put_lit(at, ",\"prev\":");
    return message->has_prev ? put_uint(at, message->prev) : put_lit(at, "null");
}

static char *put_head(char *at, const tf_message_t *message)
{
    if (message->envelope)
        at = put_lit(at, "{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":");
    at = put_lit(at, "{\"channel\":\"");
    at = put(at, message->channel, message->channel_bytes);
    at = put_position(at, message);
    if (message->type != TF_MESSAGE_UPDATE)
        at = put_state(at, message);
    at = put_lit(at, ",\"te\":");
    /* A change of state is not a venue's event, whatever the caller left in te_ns. */
    at = put_time(at, message->type == TF_MESSAGE_STATE ? TF_TIME_NONE : message->te_ns);
    at = put_lit(at, ",\"ti\":");
    at = put_time(at, message->ti_ns);
    at = put_lit(at, ",\"tp\":");
    at = put_time(at, message->tp_ns);
    if (message->has_cs) {
        at = put_lit(at, ",\"cs\":");
        at = put_uint(at, message->cs);
    }
    return at;
}

/* Room for everything up to "data":, for `body_bytes` more and for put_tail(); NULL without memory.
 */
static char *head_reserve(tf_buf_t *buf, const tf_message_t *message, size_t body_bytes)
{
    size_t epoch_bytes = message->type == TF_MESSAGE_SNAPSHOT ? strlen(message->epoch) : 0;
    return tf_buf_reserve(buf, HEAD_BYTES_MAX + message->channel_bytes + epoch_bytes + body_bytes);
}

static char *put_tail(char *at, const tf_message_t *message)
{
    return message->envelope ? put_lit(at, "}}") : put_lit(at, "}");
}

static void commit(tf_buf_t *buf, const char *start, const char *end)
{
    tf_buf_commit(buf, (size_t)(end - start));
}

void tf_json_state(tf_buf_t *buf, const tf_message_t *message)
{
    TF_ASSERT(message->type == TF_MESSAGE_STATE);
    char *start = head_reserve(buf, message, 0);
    if (start == NULL)
        return;
    commit(buf, start, put_tail(put_head(start, message), message));
}

static char *put_levels(char *at, const tf_message_t *message, const tf_level_t *levels,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at = i == 0 ? put_lit(at, "[\"") : put_lit(at, ",[\"");
        at += tf_decimal_write(at, levels[i].px, message->px_dp);
        at = put_lit(at, "\",\"");
        at += tf_decimal_write(at, levels[i].sz, message->sz_dp);
        at = put_lit(at, "\"]");
    }
    return at;
}

void tf_json_book(tf_buf_t *buf, const tf_message_t *message, const tf_level_t *bids,
                  size_t bid_count, const tf_level_t *asks, size_t ask_count)
{
    TF_ASSERT(message->type != TF_MESSAGE_STATE);
    size_t body_bytes = BOOK_KEYS_BYTES_MAX + (bid_count + ask_count) * LEVEL_BYTES_MAX;
    char *start = head_reserve(buf, message, body_bytes);
    if (start == NULL)
        return;
    char *at = put_head(start, message);
    at = put_lit(at, ",\"data\":{\"b\":[");
    at = put_levels(at, message, bids, bid_count);
    at = put_lit(at, "],\"a\":[");
    at = put_levels(at, message, asks, ask_count);
    at = put_lit(at, "]}");
    commit(buf, start, put_tail(at, message));
}

/* Venues' ids are digits, letters and hyphens; all else takes the way that escapes. */
static bool id_is_plain(const char *id, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char byte = id[i];
        if (!(byte >= '0' && byte <= '9') && !(byte >= 'a' && byte <= 'z') &&
            !(byte >= 'A' && byte <= 'Z') && byte != '-')
            return false;
    }
    return true;
}

static void id_append(tf_buf_t *buf, const tf_trade_t *trade)
{
    /* Trades come from shared memory: a length out of range must not read behind the record. */
    size_t bytes = trade->id_bytes;
    if (bytes > sizeof trade->id)
        bytes = sizeof trade->id;
    if (!id_is_plain(trade->id, bytes)) {
        tf_buf_json_string(buf, trade->id, bytes);
        return;
    }
    char *start = tf_buf_reserve(buf, bytes + 2);
    if (start == NULL)
        return;
    char *at = put_lit(start, "\"");
    at = put(at, trade->id, bytes);
    commit(buf, start, put_lit(at, "\""));
}

static void trade_append(tf_buf_t *buf, const tf_message_t *message, const tf_trade_t *trade)
{
    tf_buf_lit(buf, "{\"id\":");
    id_append(buf, trade);
    char *start = tf_buf_reserve(buf, TRADE_BYTES_MAX);
    if (start == NULL)
        return;
    char *at = put_lit(start, ",\"px\":\"");
    at += tf_decimal_write(at, trade->px, message->px_dp);
    at = put_lit(at, "\",\"sz\":\"");
    at += tf_decimal_write(at, trade->sz, message->sz_dp);
    if (trade->side == TF_SIDE_BUY)
        at = put_lit(at, "\",\"side\":\"buy\",\"te\":");
    else
        at = put_lit(at, "\",\"side\":\"sell\",\"te\":");
    at = put_time(at, trade->te_ns);
    commit(buf, start, put_lit(at, "}"));
}

void tf_json_trades(tf_buf_t *buf, const tf_message_t *message, const tf_trade_t *trades,
                    size_t count)
{
    TF_ASSERT(message->type != TF_MESSAGE_STATE);
    char *start = head_reserve(buf, message, 0);
    if (start == NULL)
        return;
    commit(buf, start, put_lit(put_head(start, message), ",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tf_buf_lit(buf, ",");
        trade_append(buf, message, &trades[i]);
    }
    if (message->envelope)
        tf_buf_lit(buf, "]}}");
    else
        tf_buf_lit(buf, "]}");
}

void tf_json_list(tf_buf_t *buf, const tf_message_t *message, const char *items, size_t bytes)
{
    TF_ASSERT(message->type != TF_MESSAGE_STATE);
    char *start = head_reserve(buf, message, bytes + LIST_KEYS_BYTES_MAX);
    if (start == NULL)
        return;
    char *at = put_lit(put_head(start, message), ",\"data\":[");
    if (bytes > 0) /* an empty text may be a NULL */
        at = put(at, items, bytes);
    at = put_lit(at, "]");
    commit(buf, start, put_tail(at, message));
}

static char *put_quoted(char *at, int64_t mantissa, uint8_t dp)
{
    at = put_lit(at, "\"");
    at += tf_decimal_write(at, mantissa, dp);
    return put_lit(at, "\"");
}

void tf_json_bbo(tf_buf_t *buf, const tf_message_t *message, const tf_bbo_t *bbo)
{
    TF_ASSERT(message->type != TF_MESSAGE_STATE);
    char *start = head_reserve(buf, message, BBO_BYTES_MAX);
    if (start == NULL)
        return;
    char *at = put_head(start, message);
    if (bbo->bid_px == TF_PRICE_NONE) {
        at = put_lit(at, ",\"data\":{\"bid\":null,\"bsz\":null");
    } else {
        at = put_lit(at, ",\"data\":{\"bid\":");
        at = put_quoted(at, bbo->bid_px, message->px_dp);
        at = put_lit(at, ",\"bsz\":");
        at = put_quoted(at, bbo->bid_sz, message->sz_dp);
    }
    if (bbo->ask_px == TF_PRICE_NONE) {
        at = put_lit(at, ",\"ask\":null,\"asz\":null}");
    } else {
        at = put_lit(at, ",\"ask\":");
        at = put_quoted(at, bbo->ask_px, message->px_dp);
        at = put_lit(at, ",\"asz\":");
        at = put_quoted(at, bbo->ask_sz, message->sz_dp);
        at = put_lit(at, "}");
    }
    commit(buf, start, put_tail(at, message));
}

typedef enum scale {
    SCALE_PX,
    SCALE_SZ,
    SCALE_V24,
    SCALE_Q24,
    SCALE_NONE, /* a count: a JSON number */
    SCALE_SIDE,
} scale_t;

typedef struct ticker_field {
    uint32_t bit;
    scale_t scale;
    const char *key;
    size_t offset; /* of an int64_t in tf_ticker_t; not for SCALE_SIDE */
} ticker_field_t;

static const ticker_field_t ticker_fields[] = {
    {TF_TICKER_PX, SCALE_PX, "\"px\":", offsetof(tf_ticker_t, px)},
    {TF_TICKER_SZ, SCALE_SZ, "\"sz\":", offsetof(tf_ticker_t, sz)},
    {TF_TICKER_SIDE, SCALE_SIDE, "\"side\":", 0},
    {TF_TICKER_BID, SCALE_PX, "\"bid\":", offsetof(tf_ticker_t, bid)},
    {TF_TICKER_BSZ, SCALE_SZ, "\"bsz\":", offsetof(tf_ticker_t, bsz)},
    {TF_TICKER_ASK, SCALE_PX, "\"ask\":", offsetof(tf_ticker_t, ask)},
    {TF_TICKER_ASZ, SCALE_SZ, "\"asz\":", offsetof(tf_ticker_t, asz)},
    {TF_TICKER_O24, SCALE_PX, "\"o24\":", offsetof(tf_ticker_t, o24)},
    {TF_TICKER_H24, SCALE_PX, "\"h24\":", offsetof(tf_ticker_t, h24)},
    {TF_TICKER_L24, SCALE_PX, "\"l24\":", offsetof(tf_ticker_t, l24)},
    {TF_TICKER_V24, SCALE_V24, "\"v24\":", offsetof(tf_ticker_t, v24)},
    {TF_TICKER_Q24, SCALE_Q24, "\"q24\":", offsetof(tf_ticker_t, q24)},
    {TF_TICKER_N24, SCALE_NONE, "\"n24\":", offsetof(tf_ticker_t, n24)},
};

static char *put_ticker_value(char *at, const tf_message_t *message, const tf_ticker_t *ticker,
                              const ticker_field_t *field)
{
    int64_t value;
    memcpy(&value, (const char *)ticker + field->offset, sizeof value);
    switch (field->scale) {
    case SCALE_PX:
        return put_quoted(at, value, message->px_dp);
    case SCALE_SZ:
        return put_quoted(at, value, message->sz_dp);
    case SCALE_V24:
        return put_quoted(at, value, ticker->v24_dp);
    case SCALE_Q24:
        return put_quoted(at, value, ticker->q24_dp);
    case SCALE_NONE:
        return put_int(at, value);
    case SCALE_SIDE:
        break;
    }
    return ticker->side == TF_SIDE_BUY ? put_lit(at, "\"buy\"") : put_lit(at, "\"sell\"");
}

void tf_json_ticker(tf_buf_t *buf, const tf_message_t *message, const tf_ticker_t *ticker)
{
    TF_ASSERT(message->type != TF_MESSAGE_STATE);
    char *start = head_reserve(buf, message, TICKER_BYTES_MAX);
    if (start == NULL)
        return;
    char *at = put_head(start, message);
    at = put_lit(at, ",\"data\":{");
    const char *first = at;
    for (size_t i = 0; i < sizeof ticker_fields / sizeof ticker_fields[0]; i++) {
        const ticker_field_t *field = &ticker_fields[i];
        if ((ticker->present & field->bit) == 0)
            continue;
        if (at != first)
            at = put_lit(at, ",");
        at = put_text(at, field->key);
        at = put_ticker_value(at, message, ticker, field);
    }
    at = put_lit(at, "}");
    commit(buf, start, put_tail(at, message));
}

/* Below: told once per subscription or per disturbance, so written the short way. */

static void channel_append(tf_buf_t *buf, const char *channel, size_t channel_bytes)
{
    tf_buf_lit(buf, "{\"channel\":\"");
    tf_buf_put(buf, channel, channel_bytes);
}

static void range_append(tf_buf_t *buf, uint64_t from, uint64_t to, uint64_t count)
{
    tf_buf_lit(buf, "\",\"from\":");
    tf_buf_uint(buf, from);
    tf_buf_lit(buf, ",\"to\":");
    tf_buf_uint(buf, to);
    tf_buf_lit(buf, ",\"count\":");
    tf_buf_uint(buf, count);
    tf_buf_lit(buf, "}}");
}

void tf_json_gap(tf_buf_t *buf, const char *channel, size_t channel_bytes, bool at_venue,
                 uint64_t from, uint64_t to, uint64_t count)
{
    tf_buf_lit(buf, "{\"jsonrpc\":\"2.0\",\"method\":\"gap\",\"params\":");
    channel_append(buf, channel, channel_bytes);
    tf_buf_lit(buf, "\",\"cause\":\"");
    tf_buf_text(buf, at_venue ? "venue" : "server");
    range_append(buf, from, to, count);
}

void tf_json_lag(tf_buf_t *buf, const char *channel, size_t channel_bytes, const char *action,
                 uint64_t from, uint64_t to, uint64_t count)
{
    tf_buf_lit(buf, "{\"jsonrpc\":\"2.0\",\"method\":\"lag\",\"params\":");
    channel_append(buf, channel, channel_bytes);
    tf_buf_lit(buf, "\",\"action\":\"");
    tf_buf_text(buf, action);
    range_append(buf, from, to, count);
}

void tf_json_subscribed_entry(tf_buf_t *buf, const tf_subscribed_t *entry)
{
    channel_append(buf, entry->channel, entry->channel_bytes);
    if (entry->no_sid) {
        tf_buf_lit(buf, "\",\"sid\":null");
    } else {
        tf_buf_lit(buf, "\",\"sid\":");
        tf_buf_uint(buf, entry->sid);
    }
    tf_buf_lit(buf, ",\"epoch\":\"");
    tf_buf_text(buf, entry->epoch);
    tf_buf_lit(buf, "\",\"seq\":");
    tf_buf_uint(buf, entry->seq);
    if (entry->has_scale) {
        tf_buf_lit(buf, ",\"px_dp\":");
        tf_buf_uint(buf, entry->px_dp);
        tf_buf_lit(buf, ",\"sz_dp\":");
        tf_buf_uint(buf, entry->sz_dp);
    }
    if (entry->depth_max != 0) {
        tf_buf_lit(buf, ",\"depth_max\":");
        tf_buf_uint(buf, entry->depth_max);
    }
    if (entry->resume_code == 0) {
        tf_buf_lit(buf, ",\"recovered\":null}");
        return;
    }
    tf_buf_lit(buf, ",\"recovered\":false,\"code\":");
    tf_buf_int(buf, entry->resume_code);
    tf_buf_lit(buf, "}");
}

void tf_json_subscribed(tf_buf_t *buf, const tf_subscribed_t *entry)
{
    tf_buf_lit(buf, "{\"jsonrpc\":\"2.0\",\"method\":\"subscribed\",\"params\":");
    tf_json_subscribed_entry(buf, entry);
    tf_buf_lit(buf, "}");
}

void tf_json_unsubscribed(tf_buf_t *buf, const char *channel, size_t channel_bytes, int code,
                          const char *message)
{
    tf_buf_lit(buf, "{\"jsonrpc\":\"2.0\",\"method\":\"unsubscribed\",\"params\":");
    channel_append(buf, channel, channel_bytes);
    tf_buf_lit(buf, "\",\"code\":");
    tf_buf_int(buf, code);
    tf_buf_lit(buf, ",\"message\":\"");
    tf_buf_text(buf, message);
    tf_buf_lit(buf, "\"}}");
}

void tf_json_seconds(tf_buf_t *buf, uint64_t ms)
{
    uint64_t thousandths = ms % MS_PER_S;
    tf_buf_uint(buf, ms / MS_PER_S);
    if (thousandths == 0)
        return;
    const char digits[] = {(char)('0' + thousandths / 100), (char)('0' + thousandths / 10 % 10),
                           (char)('0' + thousandths % 10)};
    size_t bytes = thousandths % 10 != 0 ? 3 : thousandths % 100 != 0 ? 2 : 1;
    tf_buf_lit(buf, ".");
    tf_buf_put(buf, digits, bytes);
}

void tf_json_heartbeat_begin(tf_buf_t *buf, const tf_heartbeat_t *heartbeat)
{
    tf_buf_lit(buf, "{\"jsonrpc\":\"2.0\",\"method\":\"heartbeat\",\"params\":{\"time\":");
    tf_buf_int(buf, heartbeat->time_us);
    tf_buf_lit(buf, ",\"delay_us\":");
    tf_buf_int(buf, heartbeat->delay_us);
    tf_buf_lit(buf, ",\"sent\":");
    tf_buf_uint(buf, heartbeat->sent);
    tf_buf_lit(buf, ",\"quiet\":[");
}

void tf_json_heartbeat_quiet(tf_buf_t *buf, bool first, uint64_t sid, uint64_t seq)
{
    tf_buf_text(buf, first ? "{\"sid\":" : ",{\"sid\":");
    tf_buf_uint(buf, sid);
    tf_buf_lit(buf, ",\"seq\":");
    tf_buf_uint(buf, seq);
    tf_buf_lit(buf, "}");
}

void tf_json_heartbeat_end(tf_buf_t *buf, const tf_heartbeat_t *heartbeat)
{
    tf_buf_lit(buf, "],\"quiet_more\":");
    tf_buf_uint(buf, heartbeat->quiet_more);
    tf_buf_lit(buf, ",\"behind\":");
    tf_buf_uint(buf, heartbeat->behind);
    tf_buf_lit(buf, "}}");
}
