#include "fanout/inside.h"
#include "market/decimal.h"
#include "market/instrument.h"
#include "market/state.h"

#include <string.h>

enum { VENUES_FRESH_MS = 100 };

void tf_answer_instrument(tf_buf_t *out, const tf_instrument_view_t *view)
{
    char number[TF_DECIMAL_TEXT_BYTES_MAX];
    tf_buf_lit(out, "{\"symbol\":");
    tf_buf_json_string(out, view->symbol, strlen(view->symbol));
    tf_buf_lit(out, ",\"venue\":");
    tf_buf_json_string(out, view->venue, strlen(view->venue));
    tf_buf_lit(out, ",\"venue_symbol\":");
    tf_buf_json_string(out, view->venue_symbol, strlen(view->venue_symbol));
    tf_buf_lit(out, ",\"kind\":\"spot\",\"base\":");
    tf_buf_json_string(out, view->base, strlen(view->base));
    tf_buf_lit(out, ",\"quote\":");
    tf_buf_json_string(out, view->quote, strlen(view->quote));
    if (view->tick != 0) {
        tf_buf_lit(out, ",\"tick\":\"");
        tf_buf_put(out, number, tf_decimal_write(number, view->tick, view->info.px_dp));
        tf_buf_lit(out, "\"");
    }
    if (view->lot != 0) {
        tf_buf_lit(out, ",\"lot\":\"");
        tf_buf_put(out, number, tf_decimal_write(number, view->lot, view->info.sz_dp));
        tf_buf_lit(out, "\"");
    }
    tf_buf_lit(out, ",\"px_dp\":");
    tf_buf_uint(out, view->info.px_dp);
    tf_buf_lit(out, ",\"sz_dp\":");
    tf_buf_uint(out, view->info.sz_dp);
    tf_buf_lit(out, ",\"status\":\"");
    tf_buf_text(out, tf_instrument_status_text((tf_instrument_status_t)view->listing));
    tf_buf_lit(out, "\"}");
}

/* A venue is as good as its best market; with none yet it is in resync. */
static void put_venue(const tf_fanout_t *fanout, tf_buf_t *out, uint32_t first)
{
    const char *venue = fanout->directory.entry[first].venue;
    tf_market_state_t best = TF_STATE_HALTED;
    for (uint32_t i = first; i < fanout->directory.count; i++) {
        tf_instrument_view_t view;
        if (strcmp(fanout->directory.entry[i].venue, venue) == 0 &&
            tf_reader_instrument(fanout->reader, i, &view) == TF_IMAGE_OK && view.info.state < best)
            best = (tf_market_state_t)view.info.state;
    }
    if (fanout->env.lost)
        best = TF_STATE_STALE;
    tf_buf_lit(out, "{\"venue\":");
    tf_buf_json_string(out, venue, strlen(venue));
    tf_buf_lit(out, ",\"state\":\"");
    tf_buf_text(out, tf_market_state_text(best));
    tf_buf_lit(out, "\",\"epoch\":\"");
    tf_buf_text(out, fanout->env.epoch);
    tf_buf_lit(out, "\"}");
}

static bool first_of_venue(const tf_directory_t *directory, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(directory->entry[i].venue, directory->entry[index].venue) == 0)
            return false;
    }
    return true;
}

/* Kept for a moment, so that a storm of connections does not read every market each time. */
static void refresh_venues(tf_fanout_t *fanout)
{
    if (fanout->mono_ns < fanout->venues_next_ns)
        return;
    fanout->venues_next_ns = fanout->mono_ns + VENUES_FRESH_MS * TF_NS_PER_MS;
    tf_buf_reset(&fanout->venues);
    for (uint32_t i = 0; i < fanout->directory.count; i++) {
        if (!first_of_venue(&fanout->directory, i))
            continue;
        if (fanout->venues.bytes > 0)
            tf_buf_lit(&fanout->venues, ",");
        put_venue(fanout, &fanout->venues, i);
    }
}

static void put_limits(tf_buf_t *out, const tf_session_limits_t *limits)
{
    tf_buf_lit(out, "{\"message_bytes\":");
    tf_buf_uint(out, limits->message_bytes_max);
    tf_buf_lit(out, ",\"subscriptions\":");
    tf_buf_uint(out, limits->subscriptions_max);
    tf_buf_lit(out, ",\"requests_per_s\":");
    tf_buf_uint(out, limits->requests_per_s);
    tf_buf_lit(out, ",\"requests_burst\":");
    tf_buf_uint(out, limits->requests_burst);
    tf_buf_lit(out, ",\"batch\":");
    tf_buf_uint(out, TF_RPC_BATCH_MAX);
    tf_buf_lit(out, ",\"ping_ms\":");
    tf_buf_int(out, limits->ping_ns / TF_NS_PER_MS);
    tf_buf_lit(out, ",\"pong_timeout_ms\":");
    tf_buf_int(out, limits->pong_ns / TF_NS_PER_MS);
    tf_buf_lit(out, ",\"stall_timeout_ms\":");
    tf_buf_int(out, limits->stall_ns / TF_NS_PER_MS);
    tf_buf_lit(out, "}");
}

void tf_answer_hello(void *context, tf_buf_t *out)
{
    tf_fanout_t *fanout = context;
    refresh_venues(fanout);
    tf_buf_lit(out, "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"server\":\"tickfan\","
                    "\"version\":");
    tf_buf_json_string(out, fanout->config.version, strlen(fanout->config.version));
    tf_buf_lit(out, ",\"conn\":");
    tf_buf_uint(out, fanout->asking->id);
    tf_buf_lit(out, ",\"time\":");
    tf_buf_int(out, fanout->wall_ns / TF_NS_PER_US);
    tf_buf_lit(out, ",\"heartbeat_s\":0,\"limits\":"); /* heartbeats are not offered yet */
    put_limits(out, &fanout->config.limits);
    tf_buf_lit(out, ",\"venues\":[");
    if (!tf_buf_ok(&fanout->venues)) {
        fanout->venues_next_ns = 0;
        out->failed = true;
    }
    tf_buf_put(out, fanout->venues.data, fanout->venues.bytes);
    tf_buf_lit(out, "]}}");
}
