#include "fanout/inside.h"
#include "market/state.h"

#include <string.h>

enum { VENUES_FRESH_MS = 100 };

/* A venue is as good as its best market. */
static void put_venue(const tf_fanout_t *fanout, tf_buf_t *out, uint32_t home)
{
    const tf_directory_t *directory = &fanout->env.view.directory;
    tf_market_state_t best = TF_STATE_HALTED;
    for (uint32_t i = home; i != TF_INSTRUMENT_NONE; i = directory->entry[i].next) {
        tf_instrument_view_t view;
        if (tf_reader_instrument(fanout->env.view.reader, i, &view) == TF_IMAGE_OK &&
            view.info.state < best)
            best = (tf_market_state_t)view.info.state;
    }
    if (fanout->env.view.lost)
        best = TF_STATE_STALE;
    const char *venue = directory->entry[home].venue;
    tf_buf_lit(out, "{\"venue\":");
    tf_buf_json_string(out, venue, strlen(venue));
    tf_buf_lit(out, ",\"state\":\"");
    tf_buf_text(out, tf_market_state_text(best));
    tf_buf_lit(out, "\",\"epoch\":\"");
    tf_buf_text(out, fanout->env.view.epoch);
    tf_buf_lit(out, "\"}");
}

/* Kept for a moment, so that a storm of connections does not read every market each time. */
static void refresh_venues(tf_fanout_t *fanout)
{
    if (fanout->mono_ns < fanout->venues_next_ns)
        return;
    fanout->venues_next_ns = fanout->mono_ns + VENUES_FRESH_MS * TF_NS_PER_MS;
    tf_buf_reset(&fanout->venues);
    for (uint32_t i = 0; i < fanout->env.view.directory.venue_count; i++) {
        if (i > 0)
            tf_buf_lit(&fanout->venues, ",");
        put_venue(fanout, &fanout->venues, fanout->env.view.directory.venue[i].home);
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
    tf_buf_lit(out, ",\"heartbeat_s\":");
    tf_json_seconds(out, (uint64_t)(fanout->config.limits.heartbeat_ns / TF_NS_PER_MS));
    tf_buf_lit(out, ",\"limits\":");
    put_limits(out, &fanout->config.limits);
    tf_buf_lit(out, ",\"venues\":[");
    if (!tf_buf_ok(&fanout->venues)) {
        fanout->venues_next_ns = 0;
        out->failed = true;
    }
    tf_buf_put(out, fanout->venues.data, fanout->venues.bytes);
    tf_buf_lit(out, "]}}");
}
