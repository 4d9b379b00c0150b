/*
 * What the Coinbase tests share: frames in the venue's style, and a sink that keeps what it was
 * given.
 */
#pragma once

#include "kit/kit.h"

#include "base/mem.h"
#include "venue/adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TIME         "\"time\":\"2026-07-07T22:58:17.038046Z\""

enum { UPDATES_MAX = 8, LEVELS_MAX = 16 };
static const int64_t time_ns = 1783465097038046000; /* TIME */

/* What the sink was given, kept: slices are valid during the call only. */
typedef struct seen {
    size_t updates;
    tf_update_t update[UPDATES_MAX];
    char symbol[UPDATES_MAX][TF_SYMBOL_BYTES_MAX];
    tf_update_level_t level[LEVELS_MAX]; /* of the last book */
    char text[256];                      /* of the last trade id or error */
    size_t levels_total;
    size_t by_type[TF_UPDATE_ERROR + 1];
} seen_t;

static inline void text_keep(seen_t *seen, tf_slice_t text)
{
    assert_true(text.bytes < sizeof seen->text);
    memcpy(seen->text, text.text, text.bytes);
    seen->text[text.bytes] = '\0';
}

static inline void on_update(void *context, const tf_update_t *update)
{
    seen_t *seen = context;
    seen->by_type[update->type]++;
    if (update->type == TF_UPDATE_BOOK_SNAPSHOT || update->type == TF_UPDATE_BOOK_CHANGE) {
        size_t kept = update->book.count < LEVELS_MAX ? update->book.count : LEVELS_MAX;
        if (kept > 0)
            memcpy(seen->level, update->book.level, kept * sizeof seen->level[0]);
        seen->levels_total += update->book.count;
    } else if (update->type == TF_UPDATE_TRADE || update->type == TF_UPDATE_TRADE_BASELINE) {
        text_keep(seen, update->trade.id_text);
    } else if (update->type == TF_UPDATE_ERROR) {
        text_keep(seen, update->text);
    }
    if (seen->updates < UPDATES_MAX) {
        seen->update[seen->updates] = *update;
        assert_true(update->symbol.bytes < TF_SYMBOL_BYTES_MAX);
        memcpy(seen->symbol[seen->updates], update->symbol.text, update->symbol.bytes);
    }
    seen->updates++;
}

static const tf_adapter_ops_t *const ops = &tf_adapter_coinbase;

/* The text lies in memory of exactly its size, so that a sanitizer sees a read behind the end. */
static inline tf_decode_t decode(const char *text, size_t bytes, seen_t *seen, bool *loss_book,
                                 char *symbol)
{
    char *copy = malloc(bytes + (bytes == 0));
    tf_adapter_t *adapter = ops->create();
    assert_true(copy != NULL && adapter != NULL);
    memcpy(copy, text, bytes);
    memset(seen, 0, sizeof *seen);
    tf_update_sink_t sink = {on_update, seen};
    tf_decode_loss_t loss = {0};
    tf_decode_t result = ops->decode(adapter, copy, bytes, &sink, &loss);
    if (result == TF_DECODE_MALFORMED || result == TF_DECODE_NO_MEMORY) {
        *loss_book = loss.book;
        assert_true(loss.symbol.bytes < TF_SYMBOL_BYTES_MAX);
        memcpy(symbol, loss.symbol.text, loss.symbol.bytes);
        symbol[loss.symbol.bytes] = '\0';
    }
    ops->destroy(adapter);
    free(copy);
    return result;
}

static inline tf_decode_t decode_text(const char *text, seen_t *seen)
{
    bool book;
    char symbol[TF_SYMBOL_BYTES_MAX];
    return decode(text, strlen(text), seen, &book, symbol);
}

/* Frames in the style of the venue, one of each type. */
static const char snapshot_frame[] =
    "{\"type\":\"snapshot\",\"product_id\":\"ABC-USD\",\"asks\":[[\"101.50\",\"0.30000000\"],"
    "[\"102.00\",\"4.00000000\"]],\"bids\":[[\"101.25\",\"1.50000000\"]]," TIME "}";
static const char change_frame[] = "{\"type\":\"l2update\",\"product_id\":\"ABC-USD\",\"changes\":["
                                   "[\"buy\",\"101.25\",\"0.00000000\"],"
                                   "[\"sell\",\"101.40\",\"7.00000000\"]]," TIME "}";
static const char match_frame[] =
    "{\"type\":\"match\",\"trade_id\":18446744073709551615,\"maker_order_id\":\"a-1\",\"taker_"
    "order_id\":"
    "\"b-2\",\"side\":\"sell\",\"size\":\"0.2\",\"price\":\"101.5\",\"product_id\":\"ABC-USD\","
    "\"sequence\":132235026010," TIME "}";
static const char last_match_frame[] =
    "{\"type\":\"last_match\",\"trade_id\":77,\"side\":\"buy\",\"size\":\"3\",\"price\":\"101\","
    "\"product_id\":\"ABC-USD\",\"sequence\":5," TIME "}";
static const char ticker_frame[] =
    "{\"type\":\"ticker\",\"sequence\":37475248783,\"product_id\":\"ABC-USD\",\"price\":\"101.22\","
    "\"open_24h\":\"99.79\",\"volume_24h\":\"245.5\",\"low_24h\":\"98.1\",\"high_24h\":\"103\","
    "\"volume_30d\":\"9788.6\",\"best_bid\":\"101.04\",\"best_bid_size\":\"0.46\",\"best_ask\":"
    "\"101.27\","
    "\"best_ask_size\":\"1.5\",\"side\":\"buy\"," TIME
    ",\"trade_id\":370843401,\"last_size\":\"11.4\"}";
static const char heartbeat_frame[] =
    "{\"type\":\"heartbeat\",\"last_trade_id\":1052119293,"
    "\"product_id\":\"ABC-USD\",\"sequence\":132235026653," TIME "}";
static const char status_frame[] =
    "{\"type\":\"status\",\"products\":[{\"id\":\"ABC-USD\",\"base_currency\":\"ABC\","
    "\"quote_currency\":\"USD\",\"base_increment\":\" 0.00000001\",\"quote_increment\":\"0.01\","
    "\"display_name\":\"ABC/"
    "USD\",\"status\":\"online\",\"status_message\":null,\"post_only\":false,"
    "\"limit_only\":false,\"cancel_only\":false},{\"id\":\"X-EUR\",\"base_currency\":\"X\","
    "\"quote_currency\":\"EUR\",\"base_increment\":null,\"status\":\"delisted\",\"post_only\":true}"
    "],"
    "\"currencies\":[{\"id\":\"USD\",\"details\":{}}]}";
static const char subscriptions_frame[] = "{\"type\":\"subscriptions\",\"channels\":[{\"name\":"
                                          "\"level2_50\",\"product_ids\":[\"ABC-USD\"],"
                                          "\"account_ids\":null}]}";
static const char error_frame[] = "{\"type\":\"error\",\"message\":\"Failed to subscribe\","
                                  "\"reason\":\"ABC-XYZ is not a \\\"valid\\\" product\"}";
static const char unknown_frame[] = "{\"type\":\"auction\",\"product_id\":7,\"levels\":[[1e400]]}";

static const char *const frames[] = {
    snapshot_frame,  change_frame, match_frame,         last_match_frame, ticker_frame,
    heartbeat_frame, status_frame, subscriptions_frame, error_frame,      unknown_frame,
};
