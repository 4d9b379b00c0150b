#include "base/log.h"
#include "base/mem.h"
#include "fanout/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    SCRATCH_SLICES = 128,   /* joined sends between two submits: 4 MiB */
    IDLE_MS = 50,           /* longest sleep: heartbeats and new epochs are noticed in time */
    POLL_MS = 1,            /* longest sleep without a bell */
    RETRY_NS = 1000000,     /* what could not be done in a turn is tried again so soon */
    SPIN_SOCKETS_NS = 5000, /* while spinning: looking at the ring is free, at sockets 1 us */
};

const tf_fanout_config_t tf_fanout_config_default = {
    .region = "default",
    .version = "unknown",
    .threads = 1,
    .connections_max = 16384,
    .send_batch = 1024,
    .batch_ns = TF_NS_PER_MS,
    .lost_ns = TF_NS_PER_S,
    .sweep_ns = 250 * TF_NS_PER_MS,
    .accept_backoff_ns = 100 * TF_NS_PER_MS,
    .drain_ns = 3 * TF_NS_PER_S,
    .limits = TF_SESSION_LIMITS_DEFAULT,
};

/* ---- completions ---- */

static void on_connection_event(tf_fanout_t *fanout, const tf_io_event_t *event)
{
    tf_connection_t *connection = tf_clients_by_handle(fanout, event->handle);
    if (connection == NULL)
        return;
    switch (event->type) {
    case TF_IO_RECEIVED:
        tf_clients_receive(fanout, connection, event->data, event->bytes);
        break;
    case TF_IO_RECV_ENDED:
        connection->intake = TF_INTAKE_ENDED;
        if (event->error != 0)
            connection->broken = true;
        else
            tf_session_peer_ended(&connection->session, fanout->mono_ns);
        tf_clients_update(fanout, connection);
        break;
    case TF_IO_RECV_STOPPED:
        connection->intake = TF_INTAKE_OFF;
        tf_clients_update(fanout, connection);
        break;
    case TF_IO_SENT:
        tf_delivery_sent(fanout, connection, event);
        break;
    case TF_IO_WRITABLE:
        connection->flow = TF_FLOW_IDLE;
        tf_delivery_list_behind(fanout, connection);
        if (!fanout->flushing)
            tf_heartbeat_tick(fanout, connection);
        tf_clients_update(fanout, connection);
        if (tf_connection_has_output(connection))
            tf_delivery_list_ready(fanout, connection);
        break;
    case TF_IO_CLOSED:
        tf_clients_closed(fanout, connection);
        break;
    case TF_IO_ACCEPTED:
    case TF_IO_ACCEPT_FAILED:
    case TF_IO_WOKEN:
        break;
    }
}

/* One line when accepting begins to fail, and one when it has gone well for a while: at the limit
 * of descriptors both come many times a second. */
static void on_accept_failed(tf_fanout_t *fanout, const tf_io_event_t *event)
{
    tf_count(fanout->stats, accept_errors_total, 1);
    if (fanout->accept_failures++ == 0)
        tf_log(TF_LOG_WARN, "accept_failed", "error=%s hint=\"%s\"",
               TF_LOG_TEXT(strerrordesc_np(-event->error)),
               event->error == -EMFILE || event->error == -ENFILE
                   ? "raise LimitNOFILE, or lower --connections-max"
                   : "the kernel is short of memory");
    fanout->accept_failed_ns = fanout->mono_ns;
    fanout->accept_listener = event->listener;
    fanout->accept_again_ns = fanout->mono_ns + fanout->config.accept_backoff_ns;
}

static void on_accepted(tf_fanout_t *fanout, int fd)
{
    if (fanout->accept_failures > 0 && fanout->mono_ns - fanout->accept_failed_ns > TF_NS_PER_S) {
        tf_log(TF_LOG_INFO, "accept_resumed", "failures=%" PRIu64, fanout->accept_failures);
        fanout->accept_failures = 0;
    }
    tf_clients_accept(fanout, fd);
}

uint64_t tf_fanout_collect(tf_fanout_t *fanout)
{
    uint64_t events = 0;
    tf_io_event_t event;
    while (tf_io_next(fanout->io, &event)) {
        events++;
        switch (event.type) {
        case TF_IO_ACCEPTED:
            on_accepted(fanout, event.fd);
            break;
        case TF_IO_ACCEPT_FAILED:
            on_accept_failed(fanout, &event);
            break;
        case TF_IO_WOKEN: /* tf_fanout_sleep() passes it on */
            break;
        default:
            on_connection_event(fanout, &event);
            break;
        }
    }
    return events;
}

/* ---- the turn ---- */

static void check_timers(tf_fanout_t *fanout)
{
    if (fanout->accept_again_ns != 0 && fanout->mono_ns >= fanout->accept_again_ns) {
        fanout->accept_again_ns = 0;
        tf_io_accept_again(fanout->io, fanout->accept_listener);
    }
    if (fanout->mono_ns >= fanout->sweep_next_ns) {
        fanout->sweep_next_ns = fanout->mono_ns + fanout->config.sweep_ns;
        tf_clients_sweep(fanout);
    }
    if (fanout->state == TF_FANOUT_DRAINING && fanout->mono_ns >= fanout->drain_end_ns) {
        fanout->drain_end_ns = INT64_MAX;
        tf_clients_cut_all(fanout);
    }
}

static int64_t sooner(int64_t wake_ns, int64_t then_ns)
{
    return then_ns < wake_ns ? then_ns : wake_ns;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* Will the writer wake this thread? Without that it looks at the ring once in a while. */
static bool is_rung(const tf_fanout_t *fanout)
{
    const _Atomic bool *connected = fanout->config.bell_connected;
    return fanout->config.bell != NULL &&
           (connected == NULL || atomic_load_explicit(connected, memory_order_acquire));
}

static int64_t longest_sleep_ns(const tf_fanout_t *fanout)
{
    if (fanout->reader == NULL)
        return TF_REGION_LOOK_MS * TF_NS_PER_MS;
    return (is_rung(fanout) || fanout->env.view.lost ? IDLE_MS : POLL_MS) * TF_NS_PER_MS;
}

static int64_t next_wake_in(const tf_fanout_t *fanout)
{
    if (fanout->ready.count > 0 || fanout->input.count > 0)
        return 0;
    int64_t wake_ns = fanout->mono_ns + longest_sleep_ns(fanout);
    wake_ns = sooner(wake_ns, fanout->sweep_next_ns);
    if (fanout->accept_again_ns != 0)
        wake_ns = sooner(wake_ns, fanout->accept_again_ns);
    if (fanout->urgent) /* met a busy image, or waits for the batch to be over */
        wake_ns = sooner(wake_ns, later(fanout->mono_ns + RETRY_NS, fanout->data_turn_ns));
    if (fanout->unsure.count > 0)
        wake_ns = sooner(wake_ns, fanout->mono_ns + RETRY_NS);
    /* Wait for a busy image or for room in the next send. */
    if (fanout->behind.count > fanout->behind_idle)
        wake_ns = sooner(wake_ns, fanout->mono_ns + RETRY_NS);
    for (int rate = 0; rate < TF_RATE_COUNT; rate++) {
        if (fanout->dirty[rate].count > 0)
            wake_ns = sooner(wake_ns, later(fanout->tick_ns[rate], fanout->data_turn_ns));
    }
    /* Until then the bell is not raised (tf_fanout_sleep), so nobody wakes us for what comes. */
    if (tf_region_watch_lag_bytes(fanout) > 0 || fanout->data_turn_ns > fanout->mono_ns)
        wake_ns = sooner(wake_ns, fanout->data_turn_ns);
    return wake_ns > fanout->mono_ns ? wake_ns - fanout->mono_ns : 0;
}

uint64_t tf_fanout_step(tf_fanout_t *fanout, int64_t mono_ns, int64_t wall_ns, int64_t *wake_in_ns)
{
    fanout->mono_ns = mono_ns;
    fanout->wall_ns = wall_ns;
    tf_count(fanout->stats, turns_total, 1);
    uint64_t work = tf_fanout_collect(fanout);
    tf_clients_handle_deferred(fanout);
    tf_delisting_end(fanout);
    tf_region_watch_health(fanout);
    tf_region_watch_names(fanout);
    tf_delivery_catch_up(fanout);
    if (mono_ns >= fanout->data_turn_ns) {
        work += tf_region_watch_drain(fanout);
        uint64_t emitted = tf_streams_emit_due(fanout);
        if (emitted > 0)
            fanout->data_turn_ns = mono_ns + fanout->config.batch_ns;
        work += emitted;
    }
    work += tf_delivery_flush(fanout);
    check_timers(fanout);
    *wake_in_ns = next_wake_in(fanout);
    fanout->news = work > 0;
    return work;
}

/* A request that comes between turns is handled at its own time, not at the last turn's. */
static uint64_t collect_now(tf_fanout_t *fanout)
{
    tf_io_wait(fanout->io, 0);
    fanout->mono_ns = tf_clock_mono_ns(&tf_clock_system);
    fanout->wall_ns = tf_clock_wall_ns(&tf_clock_system);
    return tf_fanout_collect(fanout);
}

/* Something to do, found without the kernel or with one cheap call? */
static bool look(tf_fanout_t *fanout, bool at_ring, int64_t now_ns, int64_t *sockets_ns)
{
    if (at_ring && tf_region_watch_lag_bytes(fanout) > 0)
        return true;
    if (now_ns < *sockets_ns)
        return false;
    *sockets_ns = now_ns + SPIN_SOCKETS_NS;
    return collect_now(fanout) > 0;
}

/* A thread that sleeps costs some 45 us to wake, so for a while after news it only looks, while
 * nothing else is due. True when it found something: the next turn comes at once. */
static bool spin(tf_fanout_t *fanout, bool at_ring, int64_t wake_in_ns)
{
    int64_t now_ns = tf_clock_mono_ns(&tf_clock_system);
    int64_t due_ns = now_ns + wake_in_ns;
    int64_t sockets_ns = now_ns + SPIN_SOCKETS_NS;
    /* Also hands over what the turn asked of the io, however soon the next one comes. */
    if (collect_now(fanout) > 0)
        return true;
    if (fanout->news)
        fanout->spin_until_ns = now_ns + fanout->config.spin_ns;
    fanout->news = false;
    while (now_ns < fanout->spin_until_ns && now_ns < due_ns) {
        if (look(fanout, at_ring, now_ns, &sockets_ns))
            return true;
        now_ns = tf_clock_mono_ns(&tf_clock_system);
    }
    return now_ns >= due_ns;
}

void tf_fanout_sleep(tf_fanout_t *fanout, int64_t wake_in_ns)
{
    /* Not to be woken for data when there is more to do at once, or before the batch is over. */
    bool deaf = wake_in_ns == 0 || fanout->data_turn_ns > fanout->mono_ns;
    if (fanout->config.spin_ns > 0 && wake_in_ns > 0 && spin(fanout, !deaf, wake_in_ns))
        return;
    tf_bell_t *bell = deaf ? NULL : fanout->config.bell;
    if (bell != NULL) {
        tf_bell_raise(bell);
        if (tf_region_watch_lag_bytes(fanout) > 0)
            wake_in_ns = 0;
    }
    tf_io_wait(fanout->io, wake_in_ns);
    if (bell != NULL && tf_bell_lower(bell) && fanout->config.bells != NULL)
        (void)tf_bells_ring_next(fanout->config.bells, bell);
}

/* ---- life ---- */

static bool create_lists(tf_fanout_t *fanout)
{
    uint32_t connections = fanout->config.connections_max;
    fanout->connection = tf_mem_calloc(connections, sizeof *fanout->connection);
    fanout->scratch = tf_mem_calloc(SCRATCH_SLICES, TF_SEND_BYTES_MAX);
    fanout->scratch_slices = SCRATCH_SLICES;
    /* Twice: while a list is worked off, connections that were in it may be listed again. */
    if (fanout->connection == NULL || fanout->scratch == NULL || !tf_streams_reserve(fanout) ||
        !tf_index_list_reserve(&fanout->slot_free, connections) ||
        !tf_index_list_reserve(&fanout->ready, 2 * connections) ||
        !tf_index_list_reserve(&fanout->behind, connections) ||
        !tf_index_list_reserve(&fanout->input, 2 * connections))
        return false;
    return true;
}

tf_status_t tf_fanout_create(tf_fanout_t **out, const tf_fanout_config_t *config, tf_io_t *io,
                             tf_stats_t *stats, _Atomic uint64_t *closes)
{
    TF_ASSERT(config->thread < config->threads);
    TF_ASSERT(config->connections_max <= TF_INDEX_LIMIT); /* bits of a subscription */
    tf_fanout_t *fanout = tf_mem_calloc(1, sizeof *fanout);
    if (fanout == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory for a fan-out thread");
    fanout->config = *config;
    fanout->stats = stats;
    fanout->closes = closes;
    tf_subscriptions_init(&fanout->subscriptions);
    tf_outbox_init(&fanout->outbox, &fanout->subscriptions, stats);
    tf_requests_host_init(fanout);
    if (!create_lists(fanout) || !tf_region_watch_start(fanout)) {
        tf_fanout_destroy(fanout);
        return tf_error(TF_ERR_MEMORY, "out of memory for %u connections", config->connections_max);
    }
    fanout->io = io;
    if (config->bell != NULL && tf_io_watch(io, config->bell->fd) != TF_OK) {
        fanout->io = NULL; /* stays the caller's */
        tf_fanout_destroy(fanout);
        return tf_error_within(TF_ERR_SYS, "watching the bell");
    }
    *out = fanout;
    return TF_OK;
}

void tf_fanout_destroy(tf_fanout_t *fanout)
{
    if (fanout == NULL)
        return;
    for (uint32_t slot = 0; slot < fanout->slot_used; slot++) {
        tf_session_fini(&fanout->connection[slot].session);
        tf_frame_unref(fanout->connection[slot].cut);
    }
    tf_io_destroy(fanout->io);
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        if (fanout->stream[i] != NULL)
            tf_stream_fini(fanout->stream[i]);
        tf_mem_free(fanout->stream[i]);
    }
    tf_mem_free(fanout->stream);
    for (int rate = 0; rate < TF_RATE_COUNT; rate++)
        tf_index_list_fini(&fanout->dirty[rate]);
    tf_index_list_fini(&fanout->stream_free);
    tf_index_list_fini(&fanout->unsure);
    tf_index_list_fini(&fanout->slot_free);
    tf_index_list_fini(&fanout->ready);
    tf_index_list_fini(&fanout->behind);
    tf_index_list_fini(&fanout->input);
    tf_outbox_fini(&fanout->outbox);
    tf_subscriptions_fini(&fanout->subscriptions);
    tf_mem_free(fanout->market);
    tf_stream_env_fini(&fanout->env);
    tf_buf_fini(&fanout->venues);
    tf_buf_fini(&fanout->goodbye);
    tf_mem_free(fanout->ages.tp_ns);
    tf_reader_close(fanout->reader);
    tf_mem_free(fanout->connection);
    tf_mem_free(fanout->scratch);
    tf_mem_free(fanout);
}

tf_status_t tf_fanout_listen(tf_fanout_t *fanout, int fd)
{
    return tf_io_listen(fanout->io, fd);
}

void tf_fanout_drain(tf_fanout_t *fanout)
{
    if (fanout->state == TF_FANOUT_DRAINING)
        return;
    fanout->state = TF_FANOUT_DRAINING;
    fanout->drain_end_ns = fanout->mono_ns + fanout->config.drain_ns;
    tf_clients_close_all(fanout, TF_WS_CLOSE_GOING_AWAY);
}

bool tf_fanout_drained(const tf_fanout_t *fanout)
{
    return fanout->state == TF_FANOUT_DRAINING && fanout->connection_count == 0;
}
