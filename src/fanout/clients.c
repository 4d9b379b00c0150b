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
    AGE_S = 15, /* between looks at those that are behind, see subscription.h */
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

/* A place among those of the process, and a slot: each thread has slots for all of them. */
static bool place_take(tf_fanout_t *fanout)
{
    uint32_t most = fanout->config.connections_max;
    if (fanout->connection_count >= most)
        return false;
    _Atomic uint32_t *open = fanout->config.connections_open;
    if (open == NULL || atomic_fetch_add_explicit(open, 1, memory_order_relaxed) < most)
        return true;
    (void)atomic_fetch_sub_explicit(open, 1, memory_order_relaxed);
    return false;
}

static void place_free(tf_fanout_t *fanout)
{
    _Atomic uint32_t *open = fanout->config.connections_open;
    if (open != NULL)
        (void)atomic_fetch_sub_explicit(open, 1, memory_order_relaxed);
}

/* Each thread counts in steps of their number, so an id names one connection of the process. */
static uint64_t id_next(tf_fanout_t *fanout)
{
    return fanout->id_next++ * fanout->config.threads + fanout->config.thread + 1;
}

void tf_clients_accept(tf_fanout_t *fanout, int fd)
{
    if (fanout->state != TF_FANOUT_RUNNING || !place_take(fanout)) {
        tf_count(fanout->stats, connections_refused_total, 1);
        (void)close(fd);
        return;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    uint32_t slot = fanout->slot_free.count > 0 ? fanout->slot_free.item[--fanout->slot_free.count]
                                                : fanout->slot_used++;
    tf_connection_t *connection = &fanout->connection[slot];
    uint32_t generation = (connection->generation + 1) & GENERATION_MASK;
    *connection = (tf_connection_t){.fd = fd,
                                    .slot = slot,
                                    .generation = generation,
                                    .id = id_next(fanout),
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
    tf_heartbeat_start(fanout, connection,
                       (uint32_t)(fanout->config.limits.heartbeat_ns / TF_NS_PER_MS));
    fanout->connection_count++;
    tf_count(fanout->stats, connections_accepted_total, 1);
    tf_stats_set(fanout->stats, TF_STAT_connections, fanout->connection_count);
    tf_io_recv_start(fanout->io, fd, tf_connection_handle(connection));
}

static void connection_close(tf_fanout_t *fanout, tf_connection_t *connection)
{
    connection->life = TF_LIFE_CLOSING;
    tf_requests_end_all(fanout, connection);
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
    place_free(fanout);
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
        tf_requests_end_all(fanout, connection);
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

void tf_clients_notify(tf_fanout_t *fanout, tf_connection_t *connection, const tf_buf_t *messages)
{
    TF_ASSERT(connection->out_first == TF_INDEX_NONE && !fanout->flushing);
    tf_buf_t *out = &connection->session.out;
    tf_buf_put(out, messages->data, messages->bytes);
    if (!tf_buf_ok(messages) || !tf_buf_ok(out)) {
        tf_session_env_t env = session_env(fanout);
        tf_count(fanout->stats, memory_refused_total, 1);
        tf_session_close(&connection->session, &env, TF_WS_CLOSE_INTERNAL);
    }
}

/* ---- time ---- */

/* See subscription.h: times of being behind wrap. */
static void keep_ages(tf_fanout_t *fanout, const tf_connection_t *connection)
{
    uint32_t index = connection->subscription_first;
    while (index != TF_INDEX_NONE) {
        tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        tf_subscription_age(sub, fanout->mono_ns);
        index = sub->next;
    }
}

static void sweep_one(tf_fanout_t *fanout, tf_connection_t *connection, bool aging)
{
    tf_session_env_t env = session_env(fanout);
    tf_session_tick(&connection->session, &env);
    if (aging && connection->behind_count > 0)
        keep_ages(fanout, connection);
    tf_heartbeat_tick(fanout, connection);
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
    bool aging = fanout->mono_ns >= fanout->age_next_ns;
    if (aging)
        fanout->age_next_ns = fanout->mono_ns + AGE_S * TF_NS_PER_S;
    for (uint32_t slot = 0; slot < fanout->slot_used; slot++) {
        tf_connection_t *connection = &fanout->connection[slot];
        if (connection->life == TF_LIFE_OPEN)
            sweep_one(fanout, connection, aging);
    }
}

void tf_clients_close_all(tf_fanout_t *fanout, tf_ws_close_t reason)
{
    tf_session_env_t env = session_env(fanout);
    for (uint32_t slot = 0; slot < fanout->slot_used; slot++) {
        tf_connection_t *connection = &fanout->connection[slot];
        if (connection->life != TF_LIFE_OPEN)
            continue;
        tf_session_close(&connection->session, &env, reason);
        tf_clients_update(fanout, connection);
    }
}

void tf_clients_cut_all(tf_fanout_t *fanout)
{
    for (uint32_t slot = 0; slot < fanout->slot_used; slot++) {
        tf_connection_t *connection = &fanout->connection[slot];
        if (connection->life != TF_LIFE_OPEN)
            continue;
        connection->broken = true;
        tf_clients_update(fanout, connection);
    }
}
