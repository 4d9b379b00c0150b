/*
 * Arbitrary bytes as a Coinbase frame and as its REST body: nothing is emitted but from a text that
 * decodes whole, and what is emitted keeps the contract of adapter.h.
 */
#include "base/assert.h"
#include "venue/adapter.h"

#include <string.h>

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer gives the name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static size_t updates;

static bool decimal_valid(tf_decimal_t value)
{
    return value.mantissa >= 0 && value.dp <= TF_DECIMAL_DP_MAX;
}

static void symbol_check(tf_slice_t symbol)
{
    TF_ASSERT(symbol.bytes < TF_SYMBOL_BYTES_MAX);
    for (size_t i = 0; i < symbol.bytes; i++) {
        char byte = symbol.text[i];
        TF_ASSERT((byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-');
    }
}

static void book_check(const tf_update_t *update)
{
    symbol_check(update->symbol);
    TF_ASSERT(update->symbol.bytes > 0);
    for (size_t i = 0; i < update->book.count; i++) {
        const tf_update_level_t *level = &update->book.level[i];
        TF_ASSERT(decimal_valid(level->px) && level->px.mantissa > 0);
        TF_ASSERT(decimal_valid(level->sz));
        TF_ASSERT(level->sz.mantissa > 0 || update->type == TF_UPDATE_BOOK_CHANGE);
        TF_ASSERT(level->side == TF_SIDE_BUY || level->side == TF_SIDE_SELL);
    }
}

static void trade_check(const tf_update_trade_t *trade)
{
    TF_ASSERT(decimal_valid(trade->px) && trade->px.mantissa > 0);
    TF_ASSERT(decimal_valid(trade->sz) && trade->sz.mantissa > 0);
    TF_ASSERT(trade->side == TF_SIDE_BUY || trade->side == TF_SIDE_SELL);
    TF_ASSERT(trade->id > 0);
    TF_ASSERT(trade->id_text.bytes > 0 && trade->id_text.bytes <= TF_TRADE_ID_BYTES_MAX);
}

static void ticker_check(const tf_update_ticker_t *ticker)
{
    TF_ASSERT((ticker->present & TF_TICKER_PX) == 0 || ticker->px.mantissa > 0);
    TF_ASSERT((ticker->present & TF_TICKER_BID) == 0 || ticker->bid.mantissa > 0);
    TF_ASSERT((ticker->present & TF_TICKER_ASK) == 0 || ticker->ask.mantissa > 0);
    TF_ASSERT((ticker->present & (TF_TICKER_Q24 | TF_TICKER_N24)) == 0);
    TF_ASSERT(decimal_valid(ticker->sz) && decimal_valid(ticker->v24));
}

static void instrument_check(const tf_update_t *update)
{
    symbol_check(update->symbol);
    symbol_check(update->instrument.base);
    symbol_check(update->instrument.quote);
    TF_ASSERT(decimal_valid(update->instrument.tick) && decimal_valid(update->instrument.lot));
    TF_ASSERT(update->instrument.status <= TF_INSTRUMENT_DELISTED);
}

static void check_update(void *context, const tf_update_t *update)
{
    (void)context;
    updates++;
    TF_ASSERT(update->te_ns == TF_TIME_NONE || update->te_ns >= 0);
    switch (update->type) {
    case TF_UPDATE_BOOK_SNAPSHOT:
    case TF_UPDATE_BOOK_CHANGE:
        book_check(update);
        break;
    case TF_UPDATE_TRADE:
    case TF_UPDATE_TRADE_BASELINE:
        trade_check(&update->trade);
        break;
    case TF_UPDATE_TICKER:
        ticker_check(&update->ticker);
        break;
    case TF_UPDATE_INSTRUMENT:
        instrument_check(update);
        break;
    case TF_UPDATE_HEARTBEAT:
        symbol_check(update->symbol);
        break;
    case TF_UPDATE_SUBSCRIBED:
    case TF_UPDATE_ERROR:
        break;
    }
}

static bool is_json(const char *text, size_t bytes)
{
    tf_scan_t scan;
    tf_scan_init(&scan, text, bytes);
    return tf_scan_skip(&scan) && tf_scan_end(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char url[] = "https://host/products";
    const tf_adapter_ops_t *ops = &tf_adapter_coinbase;
    const tf_update_sink_t sink = {check_update, NULL};
    const char *text = bytes > 0 ? (const char *)data : "";
    tf_adapter_t *adapter = ops->create();
    tf_decode_loss_t loss = {false, {"", 0}};
    TF_ASSERT(adapter != NULL);
    updates = 0;
    tf_decode_t result = ops->decode(adapter, text, bytes, &sink, &loss);
    TF_ASSERT(result == TF_DECODE_OK || updates == 0);
    TF_ASSERT(result == TF_DECODE_MALFORMED || is_json(text, bytes));
    symbol_check(loss.symbol);
    updates = 0;
    result = ops->decode_http(adapter, (tf_slice_t){url, sizeof url - 1}, text, bytes, &sink);
    TF_ASSERT(result == TF_DECODE_OK || updates == 0);
    TF_ASSERT(result == TF_DECODE_MALFORMED || is_json(text, bytes));
    ops->destroy(adapter);
    return 0;
}
