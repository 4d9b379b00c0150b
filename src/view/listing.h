/*
 * listing: an instrument, a market's state and a venue's state as JSON objects (PROTOCOL.md,
 * channels `instruments` and `status`). Pure but for the memory of the buffer; any thread.
 */
#pragma once

#include "base/buf.h"

#include <tickfan/reader.h>

/* {symbol, venue, venue_symbol, kind, base, quote, tick, lot, px_dp, sz_dp, status}; tick and lot
 * are left out where the venue gives none. */
void tf_listing_put_instrument(tf_buf_t *out, const tf_instrument_view_t *view);

/* {scope:"market", venue, symbol, state, reason, since, detail}; reason is null when live, detail
 * is the venue's word about the listing where that is why, else null. */
void tf_listing_put_market(tf_buf_t *out, const tf_instrument_view_t *view);

/* A venue as the best of its markets; it has at least one. */
typedef struct tf_venue_state {
    uint8_t state;  /* tf_market_state_t */
    uint8_t reason; /* tf_market_reason_t */
    int64_t since_ns;
} tf_venue_state_t;

/* Take one more market in; start with TF_VENUE_STATE_NONE. A venue has been in its state since the
 * first of the markets that are in it. */
#define TF_VENUE_STATE_NONE ((tf_venue_state_t){.state = UINT8_MAX})
void tf_venue_state_add(tf_venue_state_t *state, const tf_instrument_view_t *view);

/* {scope:"venue", venue, symbol:null, state, reason, since, detail:null} */
void tf_listing_put_venue(tf_buf_t *out, const char *venue, const tf_venue_state_t *state);
