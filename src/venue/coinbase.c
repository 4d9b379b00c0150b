/*
 * Coinbase Exchange (ws-feed.exchange.coinbase.com; docs.cdp.coinbase.com/exchange, and recordings
 * of 2021-04 and 2026-07). What the format leaves open is decided here:
 *
 * - Each message type has a table of the keys it knows; keys come in any order, others are skipped,
 *   the same known key twice is malformed.
 * - One update is emitted after the whole frame was read. `status` and /products, which give many,
 *   are read twice: once to validate, once to emit.
 * - A number that does not fit a decimal is malformed: ingest then counts it and resyncs the book.
 * - A level of size 0 in a snapshot is no level and is left out.
 * - A price of 0 in a ticker means that there is none (an empty side, a market without trades).
 */

#include "base/mem.h"
#include "venue/adapter.h"
#include "venue/fields.h"

#include <stdio.h>
#include <string.h>

/* One per link. The array grows to the largest book message seen (2 MB for BTC-USD's 42,000 levels)
 * and is kept, so that a frame costs no allocation. */
struct tf_adapter {
    tf_update_level_t *level;
    size_t levels_max;
};

typedef struct reader {
    tf_fields_t fields; /* first: the field tables count from here */
    tf_adapter_t *adapter;
    const tf_update_sink_t *sink; /* of instrument lists; NULL while they are only validated */
    tf_update_t update;           /* as far as it was read */
    size_t levels;                /* in adapter->level */
    bool no_memory;
    tf_slice_t status; /* of a product */
    bool restricted;   /* a product's post_only, limit_only, ... */
    tf_slice_t reason; /* of an error */
} reader_t;

_Static_assert(offsetof(reader_t, fields) == 0, "reader_of() and the tables rely on it");

static reader_t *reader_of(tf_fields_t *fields)
{
    return (reader_t *)fields;
}

#define FIELD(key, read, member, flags) TF_FIELD(key, read, reader_t, member, flags)
#define TICKER(key, read, member, bit)                                                             \
    {                                                                                              \
        key, sizeof(key) - 1, read, offsetof(reader_t, update.ticker.member), TF_FIELD_NULLABLE,   \
            bit                                                                                    \
    }

/* A product id or a currency. */
static bool symbol_valid(tf_slice_t symbol)
{
    if (symbol.bytes == 0 || symbol.bytes >= TF_SYMBOL_BYTES_MAX)
        return false;
    for (size_t i = 0; i < symbol.bytes; i++) {
        char byte = symbol.text[i];
        if (!((byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-'))
            return false;
    }
    return true;
}

static bool symbol_read(tf_fields_t *fields, void *to)
{
    return tf_field_text(fields, to) && symbol_valid(*(const tf_slice_t *)to);
}

/* A tick or lot. Samples in the venue's documentation have a blank before the number. */
static bool increment_read(tf_fields_t *fields, void *to)
{
    tf_decimal_t *value = to;
    tf_slice_t text;
    if (!tf_scan_string(&fields->scan, &text, NULL))
        return false;
    while (text.bytes > 0 && text.text[0] == ' ') {
        text.text++;
        text.bytes--;
    }
    return tf_decimal_parse(text.text, text.bytes, value) == TF_DECIMAL_OK && value->mantissa >= 0;
}

/* The `side` of a match is the maker's. */
static bool maker_side_read(tf_fields_t *fields, void *to)
{
    uint8_t *side = to;
    if (!tf_field_side(fields, side))
        return false;
    *side = *side == TF_SIDE_BUY ? TF_SIDE_SELL : TF_SIDE_BUY;
    return true;
}

static bool trade_id_read(tf_fields_t *fields, void *to)
{
    tf_update_trade_t *trade = to;
    (void)tf_scan_peek(&fields->scan); /* to the first digit */
    const char *from = fields->scan.at;
    if (!tf_scan_uint(&fields->scan, &trade->id))
        return false;
    trade->id_text = (tf_slice_t){from, (size_t)(fields->scan.at - from)};
    return trade->id > 0;
}

static bool restriction_read(tf_fields_t *fields, void *to)
{
    bool *restricted = to;
    bool value = false;
    if (!tf_scan_bool(&fields->scan, &value))
        return false;
    *restricted = *restricted || value;
    return true;
}

/* The place for one more level; NULL when out of memory. */
static tf_update_level_t *level_slot(reader_t *reader)
{
    enum { LEVELS_FIRST = 256 };
    tf_adapter_t *adapter = reader->adapter;
    if (reader->levels == adapter->levels_max) {
        size_t levels_max = adapter->levels_max == 0 ? LEVELS_FIRST : 2 * adapter->levels_max;
        tf_update_level_t *level =
            tf_mem_realloc(adapter->level, levels_max, sizeof adapter->level[0]);
        if (level == NULL) {
            reader->no_memory = true;
            return NULL;
        }
        adapter->level = level;
        adapter->levels_max = levels_max;
    }
    return &adapter->level[reader->levels];
}

/* The rest of an array: "price","size"]. */
static bool level_rest_read(tf_fields_t *fields, tf_update_level_t *level)
{
    tf_scan_t *scan = &fields->scan;
    return tf_scan_item(scan) && tf_field_amount(fields, &level->px) && tf_scan_item(scan) &&
           tf_field_figure(fields, &level->sz) && !tf_scan_item(scan) && !scan->failed;
}

static bool snapshot_side_read(tf_fields_t *fields, uint8_t side)
{
    reader_t *reader = reader_of(fields);
    (void)tf_scan_array(&fields->scan);
    while (tf_scan_item(&fields->scan)) {
        tf_update_level_t *level = level_slot(reader);
        if (level == NULL || !tf_scan_array(&fields->scan) || !level_rest_read(fields, level))
            return false;
        level->side = side;
        reader->levels += level->sz.mantissa > 0;
    }
    return true;
}

static bool asks_read(tf_fields_t *fields, void *to)
{
    (void)to;
    return snapshot_side_read(fields, TF_SIDE_SELL);
}

static bool bids_read(tf_fields_t *fields, void *to)
{
    (void)to;
    return snapshot_side_read(fields, TF_SIDE_BUY);
}

static bool changes_read(tf_fields_t *fields, void *to)
{
    (void)to;
    reader_t *reader = reader_of(fields);
    (void)tf_scan_array(&fields->scan);
    while (tf_scan_item(&fields->scan)) {
        tf_update_level_t *level = level_slot(reader);
        if (level == NULL || !tf_scan_array(&fields->scan) || !tf_scan_item(&fields->scan) ||
            !tf_field_side(fields, &level->side) || !level_rest_read(fields, level))
            return false;
        reader->levels++;
    }
    return true;
}

static const tf_field_t product_fields[] = {
    FIELD("id", symbol_read, update.symbol, TF_FIELD_REQUIRED),
    FIELD("base_currency", symbol_read, update.instrument.base, TF_FIELD_REQUIRED),
    FIELD("quote_currency", symbol_read, update.instrument.quote, TF_FIELD_REQUIRED),
    FIELD("quote_increment", increment_read, update.instrument.tick, TF_FIELD_NULLABLE),
    FIELD("base_increment", increment_read, update.instrument.lot, TF_FIELD_NULLABLE),
    FIELD("post_only", restriction_read, restricted, TF_FIELD_NULLABLE),
    FIELD("limit_only", restriction_read, restricted, TF_FIELD_NULLABLE),
    FIELD("cancel_only", restriction_read, restricted, TF_FIELD_NULLABLE),
    FIELD("trading_disabled", restriction_read, restricted, TF_FIELD_NULLABLE),
    FIELD("auction_mode", restriction_read, restricted, TF_FIELD_NULLABLE),
    FIELD("status", tf_field_text, status, TF_FIELD_NULLABLE),
};
static const tf_field_table_t product_table = TF_FIELD_TABLE(product_fields);

/* A status word of later years is not taken for a halt: that would stop a market that trades. */
static tf_instrument_status_t product_status(const reader_t *reader)
{
    if (tf_slice_is(reader->status, "delisted"))
        return TF_INSTRUMENT_DELISTED;
    if (reader->restricted || tf_slice_is(reader->status, "offline") ||
        tf_slice_is(reader->status, "internal"))
        return TF_INSTRUMENT_HALTED;
    return tf_slice_is(reader->status, "online") ? TF_INSTRUMENT_ONLINE : TF_INSTRUMENT_UNKNOWN;
}

static bool products_read(tf_fields_t *fields, void *to)
{
    (void)to;
    reader_t *reader = reader_of(fields);
    (void)tf_scan_array(&reader->fields.scan);
    while (tf_scan_item(&reader->fields.scan)) {
        reader->update = (tf_update_t){.type = TF_UPDATE_INSTRUMENT, .te_ns = TF_TIME_NONE};
        reader->status = (tf_slice_t){"", 0};
        reader->restricted = false;
        if (!tf_fields_read(fields, &product_table))
            return false;
        reader->update.instrument.status = product_status(reader);
        if (reader->sink != NULL)
            reader->sink->on_update(reader->sink->context, &reader->update);
    }
    return true;
}

#define TYPE_FIELD FIELD("type", tf_field_skip, update, TF_FIELD_REQUIRED)

static const tf_field_t snapshot_fields[] = {
    TYPE_FIELD,
    FIELD("product_id", symbol_read, update.symbol, TF_FIELD_REQUIRED),
    FIELD("asks", asks_read, update, TF_FIELD_REQUIRED),
    FIELD("bids", bids_read, update, TF_FIELD_REQUIRED),
    FIELD("time", tf_field_time, update.te_ns, TF_FIELD_NULLABLE), /* none in 2021 */
};

static const tf_field_t l2update_fields[] = {
    TYPE_FIELD,
    FIELD("product_id", symbol_read, update.symbol, TF_FIELD_REQUIRED),
    FIELD("changes", changes_read, update, TF_FIELD_REQUIRED),
    FIELD("time", tf_field_time, update.te_ns, TF_FIELD_REQUIRED),
};

static const tf_field_t match_fields[] = {
    TYPE_FIELD,
    FIELD("trade_id", trade_id_read, update.trade, TF_FIELD_REQUIRED),
    FIELD("side", maker_side_read, update.trade.side, TF_FIELD_REQUIRED),
    FIELD("size", tf_field_amount, update.trade.sz, TF_FIELD_REQUIRED),
    FIELD("price", tf_field_amount, update.trade.px, TF_FIELD_REQUIRED),
    FIELD("product_id", symbol_read, update.symbol, TF_FIELD_REQUIRED),
    FIELD("time", tf_field_time, update.te_ns, TF_FIELD_REQUIRED),
};

static const tf_field_t ticker_fields[] = {
    TYPE_FIELD,
    FIELD("product_id", symbol_read, update.symbol, TF_FIELD_REQUIRED),
    TICKER("price", tf_field_figure, px, TF_TICKER_PX),
    TICKER("open_24h", tf_field_figure, o24, TF_TICKER_O24),
    TICKER("volume_24h", tf_field_figure, v24, TF_TICKER_V24),
    TICKER("low_24h", tf_field_figure, l24, TF_TICKER_L24),
    TICKER("high_24h", tf_field_figure, h24, TF_TICKER_H24),
    TICKER("best_bid", tf_field_figure, bid, TF_TICKER_BID),
    TICKER("best_bid_size", tf_field_figure, bsz, TF_TICKER_BSZ),
    TICKER("best_ask", tf_field_figure, ask, TF_TICKER_ASK),
    TICKER("best_ask_size", tf_field_figure, asz, TF_TICKER_ASZ),
    TICKER("side", tf_field_side, side, TF_TICKER_SIDE), /* the taker's, unlike a match's */
    FIELD("time", tf_field_time, update.te_ns, TF_FIELD_NULLABLE),
    TICKER("last_size", tf_field_figure, sz, TF_TICKER_SZ),
};

static const tf_field_t heartbeat_fields[] = {
    TYPE_FIELD,
    FIELD("last_trade_id", tf_field_uint, update.last_trade_id, TF_FIELD_REQUIRED),
    FIELD("product_id", symbol_read, update.symbol, TF_FIELD_REQUIRED),
    FIELD("time", tf_field_time, update.te_ns, TF_FIELD_REQUIRED),
};

static const tf_field_t status_fields[] = {
    TYPE_FIELD,
    FIELD("products", products_read, update, TF_FIELD_REQUIRED),
};

static const tf_field_t subscriptions_fields[] = {
    TYPE_FIELD,
    FIELD("channels", tf_field_skip, update, TF_FIELD_REQUIRED),
};

static const tf_field_t error_fields[] = {
    TYPE_FIELD,
    FIELD("message", tf_field_text, update.text, TF_FIELD_REQUIRED),
    FIELD("reason", tf_field_text, reason, TF_FIELD_NULLABLE),
};

static const tf_field_t other_fields[] = {TYPE_FIELD};
static const tf_field_table_t other_table = TF_FIELD_TABLE(other_fields);

typedef struct message {
    const char *type;
    tf_update_type_t update;
    tf_field_table_t fields;
    void (*finish)(reader_t *reader); /* may be NULL */
} message_t;

static void book_finish(reader_t *reader)
{
    reader->update.book.level = reader->adapter->level;
    reader->update.book.count = reader->levels;
}

static void ticker_finish(reader_t *reader)
{
    tf_update_ticker_t *ticker = &reader->update.ticker;
    ticker->present = reader->fields.present;
    const struct {
        tf_decimal_t price;
        uint32_t present;
    } prices[] = {
        {ticker->px, TF_TICKER_PX},   {ticker->bid, TF_TICKER_BID}, {ticker->ask, TF_TICKER_ASK},
        {ticker->o24, TF_TICKER_O24}, {ticker->h24, TF_TICKER_H24}, {ticker->l24, TF_TICKER_L24},
    };
    for (size_t i = 0; i < sizeof prices / sizeof prices[0]; i++) {
        if (prices[i].price.mantissa == 0)
            ticker->present &= ~prices[i].present;
    }
}

/* The reason is the telling half ("ETH-USD is not a valid product"). Escapes stay as written, which
 * also makes the text safe to print. */
static void error_finish(reader_t *reader)
{
    if (reader->reason.bytes > 0)
        reader->update.text = reader->reason;
}

/* By frequency. */
static const message_t messages[] = {
    {"l2update", TF_UPDATE_BOOK_CHANGE, TF_FIELD_TABLE(l2update_fields), book_finish},
    {"match", TF_UPDATE_TRADE, TF_FIELD_TABLE(match_fields), NULL},
    {"ticker", TF_UPDATE_TICKER, TF_FIELD_TABLE(ticker_fields), ticker_finish},
    {"heartbeat", TF_UPDATE_HEARTBEAT, TF_FIELD_TABLE(heartbeat_fields), NULL},
    {"snapshot", TF_UPDATE_BOOK_SNAPSHOT, TF_FIELD_TABLE(snapshot_fields), book_finish},
    {"last_match", TF_UPDATE_TRADE_BASELINE, TF_FIELD_TABLE(match_fields), NULL},
    {"status", TF_UPDATE_INSTRUMENT, TF_FIELD_TABLE(status_fields), NULL},
    {"subscriptions", TF_UPDATE_SUBSCRIBED, TF_FIELD_TABLE(subscriptions_fields), NULL},
    {"error", TF_UPDATE_ERROR, TF_FIELD_TABLE(error_fields), error_finish},
};

/* NULL: none that we know. */
static const message_t *message_find(tf_slice_t type)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (tf_slice_is_bytes(type, messages[i].type, strlen(messages[i].type)))
            return &messages[i];
    }
    return NULL;
}

/* The message's type, which normally comes first. False when there is none to be read. */
static bool type_find(const char *text, size_t bytes, tf_slice_t *type)
{
    tf_scan_t scan;
    tf_slice_t key;
    bool escaped = false;
    tf_scan_init(&scan, text, bytes);
    (void)tf_scan_object(&scan);
    while (tf_scan_key(&scan, &key)) {
        if (tf_slice_is(key, "type"))
            return tf_scan_string(&scan, type, &escaped) && !escaped;
        (void)tf_scan_skip(&scan);
    }
    return false;
}

static void reader_init(reader_t *reader, tf_adapter_t *adapter, const char *text, size_t bytes)
{
    *reader = (reader_t){.adapter = adapter};
    reader->update.symbol = (tf_slice_t){"", 0};
    reader->update.te_ns = TF_TIME_NONE;
    tf_scan_init(&reader->fields.scan, text, bytes);
}

/* `message` NULL: only to see whether it is well-formed. */
static tf_decode_t message_decode(tf_adapter_t *adapter, const message_t *message, const char *text,
                                  size_t bytes, const tf_update_sink_t *sink)
{
    const tf_field_table_t *table = message != NULL ? &message->fields : &other_table;
    reader_t reader;
    reader_init(&reader, adapter, text, bytes);
    if (!tf_fields_read(&reader.fields, table) || !tf_scan_end(&reader.fields.scan))
        return reader.no_memory ? TF_DECODE_NO_MEMORY : TF_DECODE_MALFORMED;
    if (message == NULL)
        return TF_DECODE_IGNORED;
    if (message->update == TF_UPDATE_INSTRUMENT) {
        reader_init(&reader, adapter, text, bytes);
        reader.sink = sink;
        (void)tf_fields_read(&reader.fields, table);
        return TF_DECODE_OK;
    }
    if (message->finish != NULL)
        message->finish(&reader);
    reader.update.type = message->update;
    sink->on_update(sink->context, &reader.update);
    return TF_DECODE_OK;
}

/* What a frame that could not be used may have been, from as much of it as can be read. */
static void loss_read(const char *text, size_t bytes, tf_decode_loss_t *loss)
{
    tf_scan_t scan;
    tf_slice_t key, type = {"", 0}, symbol = {"", 0};
    bool type_escaped = false;
    uint32_t types = 0, symbols = 0;
    tf_scan_init(&scan, text, bytes);
    (void)tf_scan_object(&scan);
    while (tf_scan_key(&scan, &key)) {
        bool text_next = tf_scan_peek(&scan) == TF_SCAN_STRING;
        if (text_next && tf_slice_is(key, "type"))
            types += tf_scan_string(&scan, &type, &type_escaped);
        else if (text_next && tf_slice_is(key, "product_id"))
            symbols += tf_scan_string(&scan, &symbol, NULL);
        else
            (void)tf_scan_skip(&scan);
    }
    bool type_known = types == 1 && !type_escaped;
    loss->book = !type_known || tf_slice_is(type, "l2update") || tf_slice_is(type, "snapshot");
    loss->symbol = symbols == 1 && symbol_valid(symbol) ? symbol : (tf_slice_t){"", 0};
}

static tf_adapter_t *coinbase_create(void)
{
    return tf_mem_calloc(1, sizeof(tf_adapter_t));
}

static void coinbase_destroy(tf_adapter_t *adapter)
{
    if (adapter != NULL)
        tf_mem_free(adapter->level);
    tf_mem_free(adapter);
}

static tf_decode_t coinbase_decode(tf_adapter_t *adapter, const char *text, size_t bytes,
                                   const tf_update_sink_t *sink, tf_decode_loss_t *loss)
{
    tf_slice_t type;
    tf_decode_t result = TF_DECODE_MALFORMED;
    if (type_find(text, bytes, &type))
        result = message_decode(adapter, message_find(type), text, bytes, sink);
    if (result == TF_DECODE_MALFORMED || result == TF_DECODE_NO_MEMORY)
        loss_read(text, bytes, loss);
    return result;
}

/* Does the path of the URL end in "/products"? */
static bool url_is_products(tf_slice_t url)
{
    static const char wanted[] = "/products";
    size_t path_bytes = 0;
    while (path_bytes < url.bytes && url.text[path_bytes] != '?' && url.text[path_bytes] != '#')
        path_bytes++;
    return path_bytes >= sizeof wanted - 1 &&
           memcmp(url.text + path_bytes - (sizeof wanted - 1), wanted, sizeof wanted - 1) == 0;
}

static tf_decode_t coinbase_decode_http(tf_adapter_t *adapter, tf_slice_t url, const char *text,
                                        size_t bytes, const tf_update_sink_t *sink)
{
    if (!url_is_products(url))
        return TF_DECODE_IGNORED;
    reader_t reader;
    reader_init(&reader, adapter, text, bytes);
    if (!products_read(&reader.fields, NULL) || !tf_scan_end(&reader.fields.scan))
        return TF_DECODE_MALFORMED;
    reader_init(&reader, adapter, text, bytes);
    reader.sink = sink;
    (void)products_read(&reader.fields, NULL);
    return TF_DECODE_OK;
}

/* Spot pairs only: the venue lists nothing with a third part. */
static bool coinbase_symbol_from_venue(tf_slice_t venue_symbol, char *out)
{
    const char *dash = memchr(venue_symbol.text, '-', venue_symbol.bytes);
    if (venue_symbol.bytes >= TF_SYMBOL_BYTES_MAX || dash == NULL ||
        dash != memrchr(venue_symbol.text, '-', venue_symbol.bytes) ||
        !tf_symbol_split(venue_symbol.text, venue_symbol.bytes, NULL, NULL))
        return false;
    memcpy(out, venue_symbol.text, venue_symbol.bytes);
    out[venue_symbol.bytes] = '\0';
    return true;
}

static bool coinbase_symbol_to_venue(const char *canonical, char *out)
{
    return coinbase_symbol_from_venue((tf_slice_t){canonical, strlen(canonical)}, out);
}

static int64_t coinbase_request(tf_request_t request, const char *const *venue_symbols,
                                size_t count, char *out, size_t room)
{
    bool in = request == TF_REQUEST_SUBSCRIBE || request == TF_REQUEST_BOOK_ENTER;
    bool book_only = request == TF_REQUEST_BOOK_LEAVE || request == TF_REQUEST_BOOK_ENTER;
    /* level2_batch: the same as level2, every 50 ms, and without an API key. */
    const char *channels =
        book_only ? "\"level2_batch\"" : "\"level2_batch\",\"matches\",\"heartbeat\",\"ticker\"";
    TF_ASSERT(count > 0); /* without product_ids, "unsubscribe" means every product */
    size_t used = 0;
    /* snprintf answers the whole piece's bytes even when they do not fit. */
    for (size_t i = 0; i < count + 2; i++) {
        char *at = out + used;
        size_t left = room - used;
        int piece;
        if (i == 0)
            piece = snprintf(at, left, "{\"type\":\"%s\",\"product_ids\":[",
                             in ? "subscribe" : "unsubscribe");
        else if (i <= count)
            piece = snprintf(at, left, "%s\"%s\"", i == 1 ? "" : ",", venue_symbols[i - 1]);
        else
            piece = snprintf(at, left, "],\"channels\":[%s]}", channels);
        if (piece < 0 || (size_t)piece >= left)
            return -1;
        used += (size_t)piece;
    }
    return (int64_t)used;
}

static const char *const coinbase_symbols[] = {
    "BTC-USD",  "ETH-USD", "SOL-USD",  "XRP-USD", "DOGE-USD", "ADA-USD",
    "LINK-USD", "LTC-USD", "AVAX-USD", "BCH-USD", NULL,
};

const tf_adapter_ops_t tf_adapter_coinbase = {
    .venue = "coinbase",
    .url = "wss://ws-feed.exchange.coinbase.com",
    /* A heartbeat a second and product; one that overtakes its match is normal, two prove a loss.
     * Requests stay below the venue's 10 a second, resyncs far below. */
    .rules = {.trade_ids_contiguous = true,
              .heartbeat_timeout_ns = 5000000000,
              .heartbeats_ahead_max = 1,
              .requests_per_s = 8,
              .resync_spacing_ns = 2000000000},
    .default_symbols = coinbase_symbols,
    .create = coinbase_create,
    .destroy = coinbase_destroy,
    .decode = coinbase_decode,
    .decode_http = coinbase_decode_http,
    .symbol_to_venue = coinbase_symbol_to_venue,
    .symbol_from_venue = coinbase_symbol_from_venue,
    .request = coinbase_request,
};
