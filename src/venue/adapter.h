/*
 * adapter: a venue's wire format, in both directions. One file and one row in tf_adapters[] per
 * venue. Runs on the ingest thread. Flow: source -> [adapter] -> ingest.
 *
 * An adapter turns one received frame into updates, and it writes the requests that a link sends.
 * It holds no market state: books, baselines, gap rules and time-outs belong to ingest (feed.h),
 * which reads the venue's rules from `tf_adapter_rules_t`. It publishes nothing that it has not
 * parsed to the end: a malformed frame gives no update at all.
 *
 * Numbers leave as exact decimals with the decimals that the venue wrote; scaling is ingest's.
 */
#pragma once

#include "base/assert.h"
#include "market/decimal.h"
#include "market/instrument.h"
#include "venue/json_scan.h"

#include <tickfan/event.h>

typedef enum tf_update_type {
    TF_UPDATE_BOOK_SNAPSHOT,  /* replaces the book */
    TF_UPDATE_BOOK_CHANGE,    /* absolute sizes, applied in order, 0 removes */
    TF_UPDATE_TRADE,          /* a new trade */
    TF_UPDATE_TRADE_BASELINE, /* history: the last trade before we came; not to be published */
    TF_UPDATE_TICKER,
    TF_UPDATE_HEARTBEAT,  /* alive; names the last trade id where the venue does */
    TF_UPDATE_INSTRUMENT, /* metadata of an instrument, asked for or not */
    TF_UPDATE_SUBSCRIBED, /* acknowledgement */
    TF_UPDATE_ERROR,      /* the venue refused something; `text` says what */
} tf_update_type_t;

typedef struct tf_update_level {
    tf_decimal_t px;
    tf_decimal_t sz;
    uint8_t side; /* tf_side_t */
} tf_update_level_t;

typedef struct tf_update_trade {
    tf_decimal_t px;
    tf_decimal_t sz;
    uint8_t side;       /* tf_side_t of the taker */
    uint64_t id;        /* where the venue's ids are integers, else 0 */
    tf_slice_t id_text; /* the venue's own id, 1..TF_TRADE_ID_BYTES_MAX bytes */
} tf_update_trade_t;

/* Fields as tf_ticker_t; `present` has the TF_TICKER_* bits of those that the venue gave. */
typedef struct tf_update_ticker {
    uint32_t present;
    uint8_t side;
    tf_decimal_t px, sz, bid, bsz, ask, asz, o24, h24, l24, v24, q24;
    uint64_t n24;
} tf_update_ticker_t;

typedef struct tf_update_instrument {
    tf_slice_t base, quote; /* canonical names, upper case */
    tf_decimal_t tick, lot; /* mantissa 0 where the venue gives none */
    tf_instrument_status_t status;
} tf_update_instrument_t;

typedef struct tf_update {
    tf_update_type_t type;
    tf_slice_t symbol; /* the venue's symbol; empty where the message has none */
    int64_t te_ns;     /* venue's event time, UTC, or TF_TIME_NONE */
    union {
        struct {
            const tf_update_level_t *level; /* the adapter's memory, valid during the callback */
            size_t count;
        } book;
        tf_update_trade_t trade; /* TRADE, TRADE_BASELINE */
        tf_update_ticker_t ticker;
        tf_update_instrument_t instrument;
        uint64_t last_trade_id; /* HEARTBEAT; 0 when the venue names none */
        tf_slice_t text;        /* ERROR */
    };
} tf_update_t;

/* Receives the updates of one frame, in order. Slices and arrays are valid during the call only. */
typedef struct tf_update_sink {
    void (*on_update)(void *context, const tf_update_t *update);
    void *context;
} tf_update_sink_t;

typedef enum tf_decode {
    TF_DECODE_OK,        /* zero or more updates were given to the sink */
    TF_DECODE_IGNORED,   /* well-formed, of a type this adapter has no use for */
    TF_DECODE_MALFORMED, /* not JSON, a missing or duplicate key, a wrong type or value: no update
                          */
    TF_DECODE_NO_MEMORY, /* no update */
} tf_decode_t;

/* What a malformed frame may have hidden from us, as far as it could be read: tells ingest whether
 * a book has to be resynced. */
typedef struct tf_decode_loss {
    bool book;         /* it may have been a book message */
    tf_slice_t symbol; /* of this instrument; empty = of any instrument on the link */
} tf_decode_loss_t;

/* The venue's rules that ingest enforces. */
typedef struct tf_adapter_rules {
    bool trade_ids_contiguous; /* a trade id that skips ahead proves a loss */
    int64_t
        heartbeat_timeout_ns; /* per instrument, armed by the first heartbeat; 0 = no such rule */
    uint32_t heartbeats_ahead_max; /* so many heartbeats in a row may name an unseen trade id */
    uint32_t requests_per_s;       /* request frames of one link, evenly spaced; 0 = no rule */
    int64_t resync_spacing_ns;     /* at most one resync request per instrument in this time */
} tf_adapter_rules_t;

typedef struct tf_adapter tf_adapter_t;

typedef enum tf_request {
    TF_REQUEST_SUBSCRIBE,   /* everything of these symbols: book, trades, ticker, heartbeat */
    TF_REQUEST_UNSUBSCRIBE, /* everything of these symbols */
    TF_REQUEST_BOOK_LEAVE,  /* the book only; LEAVE then ENTER gives a fresh snapshot */
    TF_REQUEST_BOOK_ENTER,
} tf_request_t;

typedef struct tf_adapter_ops {
    const char *venue; /* "coinbase" */
    const char *url;   /* its public WebSocket; NULL = none is known */
    tf_adapter_rules_t rules;
    const char *const *default_symbols; /* canonical, about ten big markets; NULL-terminated */

    /* Memory for one link; NULL when out of memory. */
    tf_adapter_t *(*create)(void);
    void (*destroy)(tf_adapter_t *adapter);

    /* One text frame. `loss` is written for MALFORMED and NO_MEMORY. */
    tf_decode_t (*decode)(tf_adapter_t *adapter, const char *text, size_t bytes,
                          const tf_update_sink_t *sink, tf_decode_loss_t *loss);

    /* One REST body; `url` tells which. Never a book loss. */
    tf_decode_t (*decode_http)(tf_adapter_t *adapter, tf_slice_t url, const char *text,
                               size_t bytes, const tf_update_sink_t *sink);

    /* Venue symbol <-> canonical symbol; out has TF_SYMBOL_BYTES_MAX bytes. False: not expressible.
     */
    bool (*symbol_to_venue)(const char *canonical, char *out);
    bool (*symbol_from_venue)(tf_slice_t venue_symbol, char *out);

    /* Write one request frame for `count` venue symbols. Returns its bytes, or -1 when it does not
     * fit `room` (the caller then splits the list). */
    int64_t (*request)(tf_request_t request, const char *const *venue_symbols, size_t count,
                       char *out, size_t room);
} tf_adapter_ops_t;

/* The rows of tf_adapters[]: one per venue file. */
extern const tf_adapter_ops_t tf_adapter_coinbase;

/* Every venue this build knows; NULL-terminated. */
extern const tf_adapter_ops_t *const tf_adapters[];

/* By venue name; NULL when there is none. */
const tf_adapter_ops_t *tf_adapter_find(const char *venue, size_t bytes);

/* RFC 3339 with 0..9 fraction digits and a trailing Z -> ns UTC. False when malformed. A year
 * before 1970 (Coinbase's "0001-01-01T00:00:00.000000Z") gives TF_TIME_NONE. */
bool tf_time_parse_rfc3339(tf_slice_t text, int64_t *out_ns);
