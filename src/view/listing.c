#include "view/listing.h"

#include "base/clock.h"
#include "market/decimal.h"
#include "market/instrument.h"
#include "market/state.h"

#include <string.h>

static void put_name(tf_buf_t *out, const char *text)
{
    tf_buf_json_string(out, text, strlen(text));
}

static void put_increment(tf_buf_t *out, const char *key, int64_t mantissa, uint8_t dp)
{
    char number[TF_DECIMAL_TEXT_BYTES_MAX];
    if (mantissa == 0)
        return;
    tf_buf_text(out, key);
    tf_buf_put(out, number, tf_decimal_write(number, mantissa, dp));
    tf_buf_lit(out, "\"");
}

void tf_listing_put_instrument(tf_buf_t *out, const tf_instrument_view_t *view)
{
    tf_buf_lit(out, "{\"symbol\":");
    put_name(out, view->symbol);
    tf_buf_lit(out, ",\"venue\":");
    put_name(out, view->venue);
    tf_buf_lit(out, ",\"venue_symbol\":");
    put_name(out, view->venue_symbol);
    tf_buf_lit(out, ",\"kind\":\"spot\",\"base\":");
    put_name(out, view->base);
    tf_buf_lit(out, ",\"quote\":");
    put_name(out, view->quote);
    put_increment(out, ",\"tick\":\"", view->tick, view->info.px_dp);
    put_increment(out, ",\"lot\":\"", view->lot, view->info.sz_dp);
    tf_buf_lit(out, ",\"px_dp\":");
    tf_buf_uint(out, view->info.px_dp);
    tf_buf_lit(out, ",\"sz_dp\":");
    tf_buf_uint(out, view->info.sz_dp);
    tf_buf_lit(out, ",\"status\":\"");
    tf_buf_text(out, tf_instrument_status_text((tf_instrument_status_t)view->listing));
    tf_buf_lit(out, "\"}");
}

static void put_state(tf_buf_t *out, uint8_t state, uint8_t reason, int64_t since_ns)
{
    tf_buf_lit(out, ",\"state\":\"");
    tf_buf_text(out, tf_market_state_text((tf_market_state_t)state));
    if (state == TF_STATE_LIVE) {
        tf_buf_lit(out, "\",\"reason\":null,\"since\":");
    } else {
        tf_buf_lit(out, "\",\"reason\":\"");
        tf_buf_text(out, tf_market_reason_text((tf_market_reason_t)reason));
        tf_buf_lit(out, "\",\"since\":");
    }
    tf_buf_int(out, since_ns / TF_NS_PER_US);
    tf_buf_lit(out, ",\"detail\":");
}

void tf_listing_put_market(tf_buf_t *out, const tf_instrument_view_t *view)
{
    tf_buf_lit(out, "{\"scope\":\"market\",\"venue\":");
    put_name(out, view->venue);
    tf_buf_lit(out, ",\"symbol\":");
    put_name(out, view->symbol);
    put_state(out, view->info.state, view->info.reason, view->since_ns);
    if (view->info.state == TF_STATE_HALTED) {
        tf_buf_lit(out, "\"");
        tf_buf_text(out, tf_instrument_status_text((tf_instrument_status_t)view->listing));
        tf_buf_lit(out, "\"}");
    } else {
        tf_buf_lit(out, "null}");
    }
}

void tf_venue_state_add(tf_venue_state_t *state, const tf_instrument_view_t *view)
{
    if (view->info.state > state->state ||
        (view->info.state == state->state && view->since_ns >= state->since_ns))
        return;
    *state = (tf_venue_state_t){view->info.state, view->info.reason, view->since_ns};
}

void tf_listing_put_venue(tf_buf_t *out, const char *venue, const tf_venue_state_t *state)
{
    tf_buf_lit(out, "{\"scope\":\"venue\",\"venue\":");
    put_name(out, venue);
    tf_buf_lit(out, ",\"symbol\":null");
    put_state(out, state->state, state->reason, state->since_ns);
    tf_buf_lit(out, "null}");
}
