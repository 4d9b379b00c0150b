#include "base/mem.h"
#include "fanout/inside.h"
#include "fanout/stream_text.h"

#include <string.h>

enum { LOAD_TRIES = 3 };

/* ---- subscriptions ---- */

static void stream_list_remove(tf_fanout_t *fanout, tf_stream_t *stream, uint32_t position)
{
    uint32_t last = stream->subscription[--stream->subscription_count];
    if (position < stream->subscription_count) {
        stream->subscription[position] = last;
        tf_subscription_place(tf_subscription_at(&fanout->subscriptions, last), position);
    }
}

static void subscription_end(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index)
{
    tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    tf_stream_t *stream = fanout->stream[sub->stream];
    uint32_t stream_index = sub->stream;
    if (sub->phase != TF_PHASE_CURRENT)
        connection->behind_count--;
    if (connection->behind_cursor == index)
        connection->behind_cursor = TF_INDEX_NONE;
    stream_list_remove(fanout, stream, sub->position);
    connection->subscription_count--;
    tf_subscription_release(&fanout->subscriptions, index);
    tf_stats_set(fanout->stats, TF_STAT_subscriptions, fanout->subscriptions.count);
    if (stream->subscription_count == 0)
        tf_streams_drop(fanout, stream_index);
}

void tf_requests_end(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index)
{
    uint32_t *link = &connection->subscription_first;
    while (*link != index)
        link = &tf_subscription_at(&fanout->subscriptions, *link)->next;
    *link = tf_subscription_at(&fanout->subscriptions, index)->next;
    subscription_end(fanout, connection, index);
}

void tf_requests_end_all(tf_fanout_t *fanout, tf_connection_t *connection)
{
    while (connection->subscription_first != TF_INDEX_NONE) {
        uint32_t index = connection->subscription_first;
        connection->subscription_first = tf_subscription_at(&fanout->subscriptions, index)->next;
        subscription_end(fanout, connection, index);
    }
}

/* One request may name thousands of channels: the connection's subscriptions are marked on their
 * streams once, instead of being searched for each channel. */
static uint32_t subscription_of(tf_fanout_t *fanout, const tf_stream_t *stream)
{
    if (!fanout->marked) {
        fanout->marked = true;
        uint32_t index = fanout->asking->subscription_first;
        while (index != TF_INDEX_NONE) {
            const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
            tf_stream_t *held = fanout->stream[sub->stream];
            held->mark = fanout->mark;
            held->mark_subscription = index;
            index = sub->next;
        }
    }
    return stream->mark == fanout->mark ? stream->mark_subscription : TF_INDEX_NONE;
}

static bool channel_same(const tf_channel_t *a, const tf_channel_t *b)
{
    return a->kind == b->kind && a->rate == b->rate && a->depth == b->depth &&
           strcmp(a->venue, b->venue) == 0 && strcmp(a->symbol, b->symbol) == 0;
}

/* A market that is missing from the region is not found by its name, but who has subscribed to it
 * still has. */
static uint32_t orphan_of(const tf_fanout_t *fanout, const tf_channel_t *channel)
{
    uint32_t index = fanout->orphans > 0 ? fanout->asking->subscription_first : TF_INDEX_NONE;
    while (index != TF_INDEX_NONE) {
        const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        const tf_stream_t *stream = fanout->stream[sub->stream];
        if (stream->instrument == TF_INSTRUMENT_NONE && channel_same(&stream->channel, channel))
            break;
        index = sub->next;
    }
    return index;
}

/* ---- requests ---- */

static int find_code(tf_directory_find_t found)
{
    switch (found) {
    case TF_DIRECTORY_FOUND:
        return TF_RPC_OK;
    case TF_DIRECTORY_NO_VENUE:
        return TF_RPC_UNKNOWN_VENUE;
    case TF_DIRECTORY_NO_SYMBOL:
        break;
    }
    return TF_RPC_UNKNOWN_INSTRUMENT;
}

static bool stream_list_add(tf_stream_t *stream, uint32_t index)
{
    if (stream->subscription_count == stream->subscription_room) {
        uint32_t room = stream->subscription_room + stream->subscription_room / 8 + 4;
        uint32_t *grown = tf_mem_realloc(stream->subscription, room, sizeof *grown);
        if (grown == NULL)
            return false;
        stream->subscription = grown;
        stream->subscription_room = room;
    }
    stream->subscription[stream->subscription_count++] = index;
    return true;
}

static int subscription_begin(tf_fanout_t *fanout, tf_connection_t *connection,
                              uint32_t stream_index)
{
    tf_stream_t *stream = fanout->stream[stream_index];
    uint32_t index = tf_subscription_take(&fanout->subscriptions, connection->slot, stream_index);
    if (index == TF_INDEX_NONE || !stream_list_add(stream, index)) {
        if (index != TF_INDEX_NONE)
            tf_subscription_release(&fanout->subscriptions, index);
        tf_count(fanout->stats, memory_refused_total, 1);
        return TF_RPC_INTERNAL;
    }
    tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    sub->generation = stream->generation;
    tf_subscription_place(sub, stream->subscription_count - 1);
    sub->next = connection->subscription_first;
    connection->subscription_first = index;
    connection->subscription_count++;
    connection->behind_count++;
    stream->mark = fanout->mark;
    stream->mark_subscription = index;
    tf_stats_set(fanout->stats, TF_STAT_subscriptions, fanout->subscriptions.count);
    tf_delivery_list_behind(fanout, connection);
    return TF_RPC_OK;
}

/* A stream nobody listens to yet is brought to the image now, so that the reply can say where it
 * stands. Others wait for their turn: nothing is handed to connections while input is handled, for
 * the replies that may follow would not fit beside it. */
static bool stream_loaded(tf_fanout_t *fanout, tf_stream_t *stream)
{
    for (int i = 0; i < LOAD_TRIES && stream->state == TF_STREAM_LOADING; i++) {
        if (stream->subscription_count > 0)
            return false;
        (void)tf_delivery_emit(fanout, stream);
    }
    return stream->state == TF_STREAM_READY;
}

static int subscribe_anew(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t stream_index)
{
    tf_stream_t *stream = fanout->stream[stream_index];
    if (!tf_kind_of_venue(stream->channel.kind) && tf_delisting_is(fanout, stream->instrument))
        return TF_RPC_UNKNOWN_INSTRUMENT;
    if (connection->subscription_count >= fanout->config.limits.subscriptions_max)
        return TF_RPC_SUBSCRIPTION_LIMIT;
    if (!stream_loaded(fanout, stream) && !tf_stream_expect(stream, &fanout->env))
        return TF_RPC_INTERNAL;
    return subscription_begin(fanout, connection, stream_index);
}

/* To subscribe twice is no error, whatever has become of the market meanwhile. */
static int host_subscribe(void *context, const tf_channel_t *channel, tf_subscribed_t *entry)
{
    tf_fanout_t *fanout = context;
    uint32_t instrument;
    uint32_t stream_index;
    int code = find_code(tf_streams_instrument(fanout, channel, &instrument));
    uint32_t orphan = code != TF_RPC_OK ? orphan_of(fanout, channel) : TF_INDEX_NONE;
    if (code != TF_RPC_OK && orphan == TF_INDEX_NONE)
        return code;
    if (fanout->state == TF_FANOUT_DRAINING)
        return TF_RPC_DRAINING;
    if (orphan != TF_INDEX_NONE) {
        stream_index = tf_subscription_at(&fanout->subscriptions, orphan)->stream;
        tf_stream_describe(fanout->stream[stream_index], &fanout->env, entry);
        return TF_RPC_OK;
    }
    if (!tf_streams_get(fanout, channel, instrument, &stream_index))
        return TF_RPC_INTERNAL;
    tf_stream_t *stream = fanout->stream[stream_index];
    if (subscription_of(fanout, stream) == TF_INDEX_NONE)
        code = subscribe_anew(fanout, fanout->asking, stream_index);
    if (code == TF_RPC_OK)
        tf_stream_describe(stream, &fanout->env, entry);
    else if (stream->subscription_count == 0)
        tf_streams_drop(fanout, stream_index);
    return code;
}

static int host_unsubscribe(void *context, const tf_channel_t *channel)
{
    tf_fanout_t *fanout = context;
    uint32_t instrument;
    uint32_t index = TF_INDEX_NONE;
    int code = find_code(tf_streams_instrument(fanout, channel, &instrument));
    if (code != TF_RPC_OK) {
        index = orphan_of(fanout, channel);
    } else {
        uint32_t stream_index = tf_streams_find(fanout, channel, instrument);
        if (stream_index != TF_INDEX_NONE)
            index = subscription_of(fanout, fanout->stream[stream_index]);
    }
    if (index == TF_INDEX_NONE)
        return code;
    fanout->stream[tf_subscription_at(&fanout->subscriptions, index)->stream]->mark = 0;
    tf_requests_end(fanout, fanout->asking, index);
    return TF_RPC_OK;
}

/* Canonical names, each as a JSON string. */
static int host_unsubscribe_all(void *context, tf_buf_t *out)
{
    tf_fanout_t *fanout = context;
    tf_connection_t *connection = fanout->asking;
    uint32_t index = connection->subscription_first;
    for (const char *comma = ""; index != TF_INDEX_NONE; comma = ",") {
        const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        const tf_stream_t *stream = fanout->stream[sub->stream];
        tf_buf_text(out, comma);
        tf_buf_json_string(out, stream->name, stream->name_bytes);
        index = sub->next;
    }
    tf_requests_end_all(fanout, connection);
    fanout->mark++; /* the streams' marks were about what is gone */
    fanout->marked = false;
    return tf_buf_ok(out) ? TF_RPC_OK : TF_RPC_INTERNAL;
}

/* What the client was told of a generation counts; of a new one it has nothing yet. While the
 * market is missing from the region it has no sid. */
static void put_subscription(const tf_fanout_t *fanout, const tf_subscription_t *sub, tf_buf_t *out)
{
    const tf_stream_t *stream = fanout->stream[sub->stream];
    tf_buf_lit(out, "{\"channel\":");
    tf_buf_json_string(out, stream->name, stream->name_bytes);
    tf_buf_lit(out, ",\"sid\":");
    if (stream->instrument != TF_INSTRUMENT_NONE)
        tf_buf_uint(out, tf_stream_sid(stream));
    else
        tf_buf_lit(out, "null");
    tf_buf_lit(out, ",\"epoch\":\"");
    tf_buf_text(out, fanout->env.view.epoch);
    tf_buf_lit(out, "\",\"seq\":");
    if (sub->seq != TF_SEQ_NONE && sub->generation == stream->generation)
        tf_buf_uint(out, sub->seq);
    else
        tf_buf_lit(out, "null");
    if (!tf_kind_of_venue(stream->channel.kind)) {
        tf_buf_lit(out, ",\"px_dp\":");
        tf_buf_uint(out, stream->px_dp);
        tf_buf_lit(out, ",\"sz_dp\":");
        tf_buf_uint(out, stream->sz_dp);
    }
    tf_buf_lit(out, ",\"lag\":\"conflate\",\"behind\":");
    tf_buf_text(out, tf_stream_is_held(stream, sub) ? "false}" : "true}");
}

static int host_subscriptions(void *context, tf_buf_t *out)
{
    const tf_fanout_t *fanout = context;
    uint32_t index = fanout->asking->subscription_first;
    for (const char *comma = ""; index != TF_INDEX_NONE; comma = ",") {
        const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        tf_buf_text(out, comma);
        put_subscription(fanout, sub, out);
        index = sub->next;
    }
    return tf_buf_ok(out) ? TF_RPC_OK : TF_RPC_INTERNAL;
}

static void host_heartbeat(void *context, uint32_t interval_ms)
{
    const tf_fanout_t *fanout = context;
    tf_heartbeat_start(fanout, fanout->asking, interval_ms);
}

static int view_code(tf_view_result_t result)
{
    switch (result) {
    case TF_VIEW_OK:
        return TF_RPC_OK;
    case TF_VIEW_NOTHING:
        return TF_RPC_NO_SNAPSHOT;
    case TF_VIEW_BUSY: /* the client asks again */
        break;
    }
    return TF_RPC_INTERNAL;
}

static int venue_instruments(tf_fanout_t *fanout, uint32_t home, tf_buf_t *out)
{
    tf_image_info_t info;
    tf_view_result_t result =
        tf_view_list(&fanout->env.view, TF_KIND_INSTRUMENTS, home, out, &info);
    /* NOTHING: a dead writer left every entry half written, and a new one will mend it. */
    return result == TF_VIEW_OK ? TF_RPC_OK : TF_RPC_INTERNAL;
}

static int host_instruments(void *context, const char *venue, tf_buf_t *out)
{
    tf_fanout_t *fanout = context;
    const tf_directory_t *directory = &fanout->env.view.directory;
    tf_region_watch_names(fanout); /* a list is whole or it is not given */
    if (venue != NULL) {
        uint32_t home = tf_directory_home(directory, venue);
        return home != TF_INSTRUMENT_NONE ? venue_instruments(fanout, home, out)
                                          : TF_RPC_UNKNOWN_VENUE;
    }
    for (uint32_t i = 0; i < directory->venue_count; i++) {
        if (i > 0)
            tf_buf_lit(out, ",");
        int code = venue_instruments(fanout, directory->venue[i].home, out);
        if (code != TF_RPC_OK)
            return code;
    }
    return TF_RPC_OK;
}

static int host_snapshot(void *context, const tf_channel_t *channel, tf_buf_t *out)
{
    tf_fanout_t *fanout = context;
    tf_region_watch_names(fanout);
    uint32_t instrument;
    int code = find_code(tf_streams_instrument(fanout, channel, &instrument));
    if (code != TF_RPC_OK)
        return code;
    return view_code(tf_view_snapshot(&fanout->env.view, channel, instrument, out));
}

static int64_t host_us_now(void *context)
{
    (void)context;
    return tf_clock_wall_ns(&tf_clock_system) / TF_NS_PER_US;
}

void tf_requests_host_init(tf_fanout_t *fanout)
{
    fanout->host =
        (tf_host_t){.subscribe = host_subscribe,
                    .unsubscribe = host_unsubscribe,
                    .unsubscribe_all = host_unsubscribe_all,
                    .subscriptions = host_subscriptions,
                    .heartbeat = host_heartbeat,
                    .instruments = host_instruments,
                    .snapshot = host_snapshot,
                    .us_now = host_us_now,
                    .context = fanout,
                    .heartbeat_min_ms = tf_session_heartbeat_min_ms(&fanout->config.limits)};
}
