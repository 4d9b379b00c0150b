#include "base/mem.h"
#include "fanout/inside.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    GENERATION_MASK = 0xffffff,
    NOTSENT_LOWAT_BYTES = 16 * 1024, /* 3.97 MB -> 153 KB of stale data behind a stalled reader */
    USER_TIMEOUT_MS = 45 * 1000,     /* longer than the stall time-out, which says why it closes */
    LOAD_TRIES = 3,
};

/* ---- the sessions' window to this thread ---- */

static tf_session_env_t session_env(tf_fanout_t *fanout)
{
    return (tf_session_env_t){.limits = &fanout->config.limits,
                              .host = &fanout->host,
                              .stats = fanout->stats,
                              .closes = fanout->closes,
                              .mono_ns = fanout->mono_ns,
                              .wall_us = fanout->wall_ns / TF_NS_PER_US,
                              .hello = tf_answer_hello,
                              .context = fanout};
}

tf_connection_t *tf_clients_by_handle(tf_fanout_t *fanout, tf_io_handle_t handle)
{
    TF_ASSERT(handle.slot < fanout->config.connections_max);
    tf_connection_t *connection = &fanout->connection[handle.slot];
    if (connection->life != TF_LIFE_FREE && connection->generation == handle.generation)
        return connection;
    tf_count(fanout->stats, completions_stale_total, 1);
    return NULL;
}

/* ---- arrival and departure ---- */

static void set_option(int fd, int level, int option, int value)
{
    /* A refused option costs freshness, never correctness. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void tf_clients_accept(tf_fanout_t *fanout, int fd)
{
    if (fanout->slot_free.count == 0 || fanout->state != TF_FANOUT_RUNNING) {
        tf_count(fanout->stats, connections_refused_total, 1);
        (void)close(fd);
        return;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    uint32_t slot = fanout->slot_free.item[--fanout->slot_free.count];
    tf_connection_t *connection = &fanout->connection[slot];
    uint32_t generation = (connection->generation + 1) & GENERATION_MASK;
    *connection = (tf_connection_t){.fd = fd,
                                    .slot = slot,
                                    .generation = generation,
                                    .id = ++fanout->id_next,
                                    .life = TF_LIFE_OPEN,
                                    .flow = TF_FLOW_IDLE,
                                    .intake = TF_INTAKE_ON,
                                    /* a list may still hold the slot from its life before */
                                    .listed_ready = connection->listed_ready,
                                    .listed_behind = connection->listed_behind,
                                    .listed_input = connection->listed_input,
                                    .out_first = TF_INDEX_NONE,
                                    .subscription_first = TF_INDEX_NONE,
                                    .behind_cursor = TF_INDEX_NONE,
                                    .progress_ns = fanout->mono_ns};
    tf_session_init(&connection->session, fanout->mono_ns);
    fanout->connection_count++;
    tf_count(fanout->stats, connections_accepted_total, 1);
    tf_stats_set(fanout->stats, TF_STAT_connections, fanout->connection_count);
    tf_io_recv_start(fanout->io, fd, tf_connection_handle(connection));
}

/* ---- subscriptions ---- */

static void stream_list_remove(tf_fanout_t *fanout, tf_stream_t *stream, uint32_t position)
{
    uint32_t last = stream->subscription[--stream->subscription_count];
    if (position < stream->subscription_count) {
        stream->subscription[position] = last;
        fanout->subscriptions.item[last].position = position;
    }
}

static void subscription_end(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index)
{
    tf_subscription_t *sub = &fanout->subscriptions.item[index];
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
        tf_fanout_stream_drop(fanout, stream_index);
}

static void connection_unlink(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index)
{
    uint32_t *link = &connection->subscription_first;
    while (*link != index)
        link = &fanout->subscriptions.item[*link].next;
    *link = fanout->subscriptions.item[index].next;
    subscription_end(fanout, connection, index);
}

static void end_all_subscriptions(tf_fanout_t *fanout, tf_connection_t *connection)
{
    while (connection->subscription_first != TF_INDEX_NONE) {
        uint32_t index = connection->subscription_first;
        connection->subscription_first = fanout->subscriptions.item[index].next;
        subscription_end(fanout, connection, index);
    }
}

static void connection_close(tf_fanout_t *fanout, tf_connection_t *connection)
{
    connection->life = TF_LIFE_CLOSING;
    end_all_subscriptions(fanout, connection);
    tf_io_close(fanout->io, connection->fd, tf_connection_handle(connection));
}

void tf_clients_closed(tf_fanout_t *fanout, tf_connection_t *connection)
{
    TF_ASSERT(connection->life == TF_LIFE_CLOSING && connection->out_first == TF_INDEX_NONE);
    tf_session_fini(&connection->session);
    tf_frame_unref(connection->cut);
    connection->cut = NULL;
    connection->life = TF_LIFE_FREE;
    fanout->connection_count--;
    tf_stats_set(fanout->stats, TF_STAT_connections, fanout->connection_count);
    tf_index_list_add(&fanout->slot_free, connection->slot);
}

static void list_input(tf_fanout_t *fanout, tf_connection_t *connection)
{
    if (connection->listed_input)
        return;
    connection->listed_input = true;
    tf_index_list_add(&fanout->input, connection->slot);
}

/* Stop reading the socket while replies are backed up; go on, inbox first, when they are not. */
static void update_intake(tf_fanout_t *fanout, tf_connection_t *connection)
{
    bool wants = tf_session_wants_input(&connection->session, &fanout->config.limits);
    if (connection->intake == TF_INTAKE_ON && !wants) {
        connection->intake = TF_INTAKE_STOPPING;
        tf_io_recv_stop(fanout->io, tf_connection_handle(connection));
    } else if (connection->intake == TF_INTAKE_OFF && wants) {
        list_input(fanout, connection);
    }
}

void tf_clients_update(tf_fanout_t *fanout, tf_connection_t *connection)
{
    if (connection->life != TF_LIFE_OPEN || connection->flow == TF_FLOW_SENDING || fanout->flushing)
        return;
    if (connection->broken || connection->session.state == TF_SESSION_ENDED) {
        connection_close(fanout, connection);
        return;
    }
    if (connection->session.state != TF_SESSION_OPEN && connection->subscription_count > 0)
        end_all_subscriptions(fanout, connection);
    update_intake(fanout, connection);
    if (tf_connection_has_output(connection))
        tf_delivery_list_ready(fanout, connection);
}

/* ---- requests ---- */

static void handle_input(tf_fanout_t *fanout, tf_connection_t *connection, const uint8_t *data,
                         size_t bytes)
{
    tf_session_env_t env = session_env(fanout);
    fanout->asking = connection;
    fanout->mark++;
    fanout->marked = false;
    tf_session_receive(&connection->session, &env, data, bytes);
    fanout->asking = NULL;
    tf_clients_update(fanout, connection);
}

void tf_clients_receive(tf_fanout_t *fanout, tf_connection_t *connection, const uint8_t *data,
                        size_t bytes)
{
    tf_count(fanout->stats, received_bytes_total, bytes);
    if (!fanout->flushing && connection->intake == TF_INTAKE_ON && !connection->listed_input) {
        handle_input(fanout, connection, data, bytes);
        return;
    }
    tf_session_env_t env = session_env(fanout);
    tf_session_defer(&connection->session, &env, data, bytes);
    if (connection->intake == TF_INTAKE_ON)
        list_input(fanout, connection);
}

void tf_clients_handle_deferred(tf_fanout_t *fanout)
{
    uint32_t count = fanout->input.count;
    for (uint32_t i = 0; i < count; i++) {
        tf_connection_t *connection = &fanout->connection[fanout->input.item[i]];
        connection->listed_input = false;
        if (connection->life != TF_LIFE_OPEN)
            continue;
        if (tf_session_wants_input(&connection->session, &fanout->config.limits))
            handle_input(fanout, connection, NULL, 0);
        if (connection->life == TF_LIFE_OPEN && connection->intake == TF_INTAKE_OFF &&
            tf_session_wants_input(&connection->session, &fanout->config.limits)) {
            connection->intake = TF_INTAKE_ON;
            tf_io_recv_start(fanout->io, connection->fd, tf_connection_handle(connection));
        }
    }
    uint32_t left = fanout->input.count - count;
    memmove(fanout->input.item, fanout->input.item + count, left * sizeof *fanout->input.item);
    fanout->input.count = left;
}

/* One request may name thousands of channels: the connection's subscriptions are marked on their
 * streams once, instead of being searched for each channel. */
static uint32_t subscription_of(tf_fanout_t *fanout, const tf_stream_t *stream)
{
    if (!fanout->marked) {
        fanout->marked = true;
        uint32_t index = fanout->asking->subscription_first;
        for (; index != TF_INDEX_NONE; index = fanout->subscriptions.item[index].next) {
            tf_stream_t *held = fanout->stream[fanout->subscriptions.item[index].stream];
            held->mark = fanout->mark;
            held->mark_subscription = index;
        }
    }
    return stream->mark == fanout->mark ? stream->mark_subscription : TF_INDEX_NONE;
}

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
        uint32_t room = stream->subscription_room + stream->subscription_room / 2 + 4;
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
    uint32_t index = tf_subscription_take(&fanout->subscriptions);
    if (index == TF_INDEX_NONE || !stream_list_add(stream, index)) {
        if (index != TF_INDEX_NONE)
            tf_subscription_release(&fanout->subscriptions, index);
        tf_count(fanout->stats, memory_refused_total, 1);
        return TF_RPC_INTERNAL;
    }
    tf_subscription_t *sub = &fanout->subscriptions.item[index];
    sub->connection = connection->slot;
    sub->stream = stream_index;
    sub->generation = stream->generation;
    sub->position = stream->subscription_count - 1;
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

static int host_subscribe(void *context, const tf_channel_t *channel, tf_subscribed_t *entry)
{
    tf_fanout_t *fanout = context;
    tf_connection_t *connection = fanout->asking;
    uint32_t instrument;
    uint32_t stream_index;
    int code = find_code(tf_fanout_instrument_find(fanout, channel, &instrument));
    if (code != TF_RPC_OK)
        return code;
    if (fanout->state == TF_FANOUT_DRAINING)
        return TF_RPC_DRAINING;
    if (!tf_fanout_stream_get(fanout, channel, instrument, &stream_index))
        return TF_RPC_INTERNAL;
    tf_stream_t *stream = fanout->stream[stream_index];
    if (subscription_of(fanout, stream) == TF_INDEX_NONE) {
        if (connection->subscription_count >= fanout->config.limits.subscriptions_max)
            code = TF_RPC_SUBSCRIPTION_LIMIT;
        else if (!stream_loaded(fanout, stream) && !tf_stream_expect(stream, &fanout->env))
            code = TF_RPC_INTERNAL;
        else
            code = subscription_begin(fanout, connection, stream_index);
    }
    if (code == TF_RPC_OK)
        tf_stream_describe(stream, &fanout->env, entry);
    else if (stream->subscription_count == 0)
        tf_fanout_stream_drop(fanout, stream_index);
    return code;
}

static int host_unsubscribe(void *context, const tf_channel_t *channel)
{
    tf_fanout_t *fanout = context;
    uint32_t instrument;
    int code = find_code(tf_fanout_instrument_find(fanout, channel, &instrument));
    if (code != TF_RPC_OK)
        return code;
    uint32_t stream_index = tf_fanout_stream_find(fanout, channel, instrument);
    uint32_t index = TF_INDEX_NONE;
    if (stream_index != TF_INDEX_NONE)
        index = subscription_of(fanout, fanout->stream[stream_index]);
    if (index != TF_INDEX_NONE) {
        fanout->stream[stream_index]->mark = 0;
        connection_unlink(fanout, fanout->asking, index);
    }
    return TF_RPC_OK;
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
    return view_code(tf_view_list(&fanout->env.view, TF_KIND_INSTRUMENTS, home, out, &info));
}

static int host_instruments(void *context, const char *venue, tf_buf_t *out)
{
    tf_fanout_t *fanout = context;
    const tf_directory_t *directory = &fanout->env.view.directory;
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
    uint32_t instrument;
    int code = find_code(tf_fanout_instrument_find(fanout, channel, &instrument));
    if (code != TF_RPC_OK)
        return code;
    return view_code(tf_view_snapshot(&fanout->env.view, channel, instrument, out));
}

static int64_t host_us_now(void *context)
{
    (void)context;
    return tf_clock_wall_ns(&tf_clock_system) / TF_NS_PER_US;
}

void tf_clients_host_init(tf_fanout_t *fanout)
{
    fanout->host = (tf_host_t){.subscribe = host_subscribe,
                               .unsubscribe = host_unsubscribe,
                               .instruments = host_instruments,
                               .snapshot = host_snapshot,
                               .us_now = host_us_now,
                               .context = fanout};
}

/* ---- time ---- */

static void sweep_one(tf_fanout_t *fanout, tf_connection_t *connection)
{
    tf_session_env_t env = session_env(fanout);
    tf_session_tick(&connection->session, &env);
    if (connection->flow == TF_FLOW_IDLE)
        connection->progress_ns = fanout->mono_ns;
    int64_t stalled_ns = fanout->mono_ns - connection->progress_ns;
    if (stalled_ns >= fanout->config.limits.stall_ns) {
        /* The socket takes nothing, so not even a close frame: counted, then cut. */
        tf_session_close(&connection->session, &env, TF_WS_CLOSE_TOO_SLOW);
        connection->broken = true;
    }
    tf_clients_update(fanout, connection);
}

void tf_clients_sweep(tf_fanout_t *fanout)
{
    for (uint32_t slot = 0; slot < fanout->config.connections_max; slot++) {
        tf_connection_t *connection = &fanout->connection[slot];
        if (connection->life == TF_LIFE_OPEN)
            sweep_one(fanout, connection);
    }
}

void tf_clients_close_all(tf_fanout_t *fanout, tf_ws_close_t reason)
{
    tf_session_env_t env = session_env(fanout);
    for (uint32_t slot = 0; slot < fanout->config.connections_max; slot++) {
        tf_connection_t *connection = &fanout->connection[slot];
        if (connection->life != TF_LIFE_OPEN)
            continue;
        tf_session_close(&connection->session, &env, reason);
        tf_clients_update(fanout, connection);
    }
}

void tf_clients_cut_all(tf_fanout_t *fanout)
{
    for (uint32_t slot = 0; slot < fanout->config.connections_max; slot++) {
        tf_connection_t *connection = &fanout->connection[slot];
        if (connection->life != TF_LIFE_OPEN)
            continue;
        connection->broken = true;
        tf_clients_update(fanout, connection);
    }
}
