/*
 * instrument: what is traded, where, and in which units. A plain value, owned by ingest, copied
 * into the region's instrument table. Also the canonical symbol: BASE-QUOTE in upper case.
 */
#pragma once

#include "base/assert.h"
#include "market/decimal.h"

#include <tickfan/event.h>

#include <stdbool.h>

/* As the venue says, independent of the feed's state. Shared-memory ABI. */
typedef enum tf_instrument_status {
    TF_INSTRUMENT_UNKNOWN = 0,
    TF_INSTRUMENT_ONLINE = 1,
    TF_INSTRUMENT_HALTED =
        2, /* listed, not trading: post only, cancel only, auction, maintenance */
    TF_INSTRUMENT_DELISTED = 3,
} tf_instrument_status_t;

typedef struct tf_instrument {
    char symbol[TF_SYMBOL_BYTES_MAX];       /* canonical, "BTC-USD" */
    char venue_symbol[TF_SYMBOL_BYTES_MAX]; /* as the venue writes it */
    char venue[TF_VENUE_BYTES_MAX];
    char base[TF_SYMBOL_BYTES_MAX];
    char quote[TF_SYMBOL_BYTES_MAX];
    int64_t tick;  /* smallest price step, in px_dp; 0 = the venue gave none */
    int64_t lot;   /* smallest size step, in sz_dp; 0 = the venue gave none */
    uint8_t px_dp; /* decimals of prices and sizes on the wire; may only grow */
    uint8_t sz_dp;
    uint8_t scale_known; /* 0 until metadata or the first snapshot set px_dp and sz_dp */
    uint8_t status;      /* tf_instrument_status_t */
} tf_instrument_t;

/* "live" is a feed state; this is the listing: "unknown", "online", "halted", "delisted". */
const char *tf_instrument_status_text(tf_instrument_status_t status);

/*
 * Is this a canonical symbol: BASE-QUOTE[-PERP|-YYYYMMDD], each part 1..15 of [A-Z0-9]?
 * Splits into base and quote (TF_SYMBOL_BYTES_MAX each, NUL-terminated) when they are not NULL.
 */
bool tf_symbol_split(const char *symbol, size_t bytes, char *base, char *quote);

/* Set symbol, venue_symbol, venue, base and quote; the rest zero. False when a name is too long or
 * the canonical symbol is malformed (`out` is then zeroed). Strings are copied. */
TF_MUST_CHECK bool tf_instrument_init(tf_instrument_t *out, const char *venue, const char *symbol,
                                      const char *venue_symbol);

/* A venue name: 1..15 of [a-z0-9_]. */
bool tf_venue_name_valid(const char *name, size_t bytes);
