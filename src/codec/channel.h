/*
 * channel: the names by which clients ask: kind.venue.symbol[.depth][.rate], and kind.venue. Pure;
 * any thread.
 *
 *     book.coinbase.BTC-USD            -> book.coinbase.BTC-USD.10.100ms   (defaults filled in)
 *     trades.coinbase.BTC-USD.raw
 *     status.coinbase                  (a venue's: no symbol, no rate, sent on change)
 *
 * Replies and data always carry the full canonical name that tf_channel_write() gives.
 */
#pragma once

#include "base/assert.h"
#include "base/buf.h"

#include <tickfan/event.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tf_kind {
    TF_KIND_TICKER,
    TF_KIND_BBO,
    TF_KIND_TRADES,
    TF_KIND_BOOK,
    TF_KIND_INSTRUMENTS, /* of a venue: what it lists */
    TF_KIND_STATUS,      /* of a venue: the states of its markets */
    TF_KIND_COUNT,
} tf_kind_t;

typedef enum tf_rate {
    TF_RATE_RAW, /* at most one merged message per fan-out turn */
    TF_RATE_100MS,
    TF_RATE_250MS,
    TF_RATE_1S,
    TF_RATE_COUNT,
} tf_rate_t;

enum {
    TF_DEPTH_NONE = 0,          /* kinds without a depth */
    TF_CHANNEL_BYTES_MAX = 128, /* the longest canonical name, NUL included */
};

#define TF_DEPTH_FULL UINT32_MAX /* every level the region keeps */

typedef struct tf_channel {
    tf_kind_t kind;
    tf_rate_t rate;
    uint32_t depth; /* book: 1 10 25 50 200 1000 or TF_DEPTH_FULL; else TF_DEPTH_NONE */
    char venue[TF_VENUE_BYTES_MAX];
    char symbol[TF_SYMBOL_BYTES_MAX]; /* empty for a venue's channels */
} tf_channel_t;

/* What a request said beside its channels: used where a name leaves it out and the kind has it. */
typedef struct tf_channel_options {
    bool has_rate;
    bool has_depth;
    tf_rate_t rate;
    uint32_t depth;
} tf_channel_options_t;

typedef enum tf_channel_result {
    TF_CHANNEL_OK,
    TF_CHANNEL_KIND,      /* 2001: unknown kind */
    TF_CHANNEL_VENUE,     /* 2002: not a venue name */
    TF_CHANNEL_SYMBOL,    /* 2003: not a canonical symbol */
    TF_CHANNEL_WILDCARD,  /* 2004: '*' is not offered */
    TF_CHANNEL_OPTION,    /* 2006: a depth, interval or rate this kind does not have, or too many
                             fields */
    TF_CHANNEL_VENUE_END, /* 2006: a venue's channel with a field behind the venue */
} tf_channel_result_t;

/* `options` may be NULL. An option that the kind has, but not with this value (trades at 1s),
 * counts only where the name leaves it out, and the kind then keeps its default (PROTOCOL.md). */
TF_MUST_CHECK tf_channel_result_t tf_channel_parse(const char *name, size_t bytes,
                                                   const tf_channel_options_t *options,
                                                   tf_channel_t *out);

/* Append the canonical name. */
void tf_channel_write(tf_buf_t *buf, const tf_channel_t *channel);

const char *tf_kind_text(tf_kind_t kind);
const char *tf_rate_text(tf_rate_t rate);
int64_t tf_rate_period_ns(tf_rate_t rate); /* 0 for raw */

bool tf_rate_parse(const char *text, size_t bytes, tf_rate_t *out);
bool tf_depth_parse(const char *text, size_t bytes, uint32_t *out); /* one of the offered depths */
/* Is a channel of this kind a whole venue's? It then has neither symbol nor rate, and counts as
 * raw: sent on change. */
bool tf_kind_of_venue(tf_kind_t kind);
bool tf_kind_has_rate(tf_kind_t kind, tf_rate_t rate);
