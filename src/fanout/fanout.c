#include "base/log.h"
#include "base/mem.h"
#include "fanout/inside.h"

#include <string.h>

enum {
    EVENTS_PER_TURN = 16384, /* ring records read before clients are served */
    SCRATCH_SLICES = 128,    /* joined sends between two submits: 4 MiB */
    STREAM_ROOM_MIN = 64,
    IDLE_MS = 50,       /* longest sleep: heartbeats and new epochs are noticed in time */
    POLL_MS = 1,        /* longest sleep without a bell */
    RETRY_NS = 1000000, /* what could not be done in a turn is tried again so soon */
};

const tf_fanout_config_t tf_fanout_config_default = {
    .region = "default",
    .version = "unknown",
    .connections_max = 16384,
    .send_batch = 1024,
    .batch_ns = TF_NS_PER_MS,
    .lost_ns = TF_NS_PER_S,
    .sweep_ns = 250 * TF_NS_PER_MS,
    .accept_backoff_ns = 100 * TF_NS_PER_MS,
    .drain_ns = 3 * TF_NS_PER_S,
    .limits = TF_SESSION_LIMITS_DEFAULT,
};

/* ---- lists ---- */

bool tf_index_list_reserve(tf_index_list_t *list, uint32_t room)
{
    if (room <= list->room)
        return true;
    uint32_t *grown = tf_mem_realloc(list->item, room, sizeof *grown);
    if (grown == NULL)
        return false;
    list->item = grown;
    list->room = room;
    return true;
}

void tf_index_list_add(tf_index_list_t *list, uint32_t index)
{
    TF_ASSERT(list->count < list->room);
    list->item[list->count++] = index;
}

void tf_index_list_fini(tf_index_list_t *list)
{
    tf_mem_free(list->item);
    *list = (tf_index_list_t){0};
}

/* ---- streams ---- */

void tf_fanout_mark_dirty(tf_fanout_t *fanout, uint32_t stream_index, bool at_once)
{
    tf_stream_t *stream = fanout->stream[stream_index];
    stream->urgent = stream->urgent || at_once;
    fanout->urgent = fanout->urgent || at_once;
    if (stream->dirty)
        return;
    stream->dirty = true;
    tf_index_list_add(&fanout->dirty[stream->channel.rate], stream_index);
}

static void mark_kind(tf_fanout_t *fanout, uint32_t instrument, tf_kind_t kind, bool at_once)
{
    uint32_t index = fanout->market[instrument].first_stream[kind];
    for (; index != TF_INDEX_NONE; index = fanout->stream[index]->next)
        tf_fanout_mark_dirty(fanout, index, at_once);
}

static void mark_instrument(tf_fanout_t *fanout, uint32_t instrument)
{
    for (int kind = 0; kind < TF_KIND_COUNT; kind++)
        mark_kind(fanout, instrument, (tf_kind_t)kind, true);
}

static void mark_everything(tf_fanout_t *fanout)
{
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        if (fanout->stream[i] != NULL)
            tf_fanout_mark_dirty(fanout, i, true);
    }
}

static bool stream_rooms(tf_fanout_t *fanout)
{
    if (fanout->stream_free.count > 0 || fanout->stream_used < fanout->stream_room)
        return true;
    uint32_t room = fanout->stream_room * 2 + STREAM_ROOM_MIN;
    tf_stream_t **grown = tf_mem_realloc(fanout->stream, room, sizeof(tf_stream_t *));
    if (grown == NULL)
        return false;
    fanout->stream = grown;
    if (!tf_index_list_reserve(&fanout->stream_free, room))
        return false;
    for (int rate = 0; rate < TF_RATE_COUNT; rate++) {
        if (!tf_index_list_reserve(&fanout->dirty[rate], room))
            return false;
    }
    fanout->stream_room = room;
    return true;
}

static void stream_link(tf_fanout_t *fanout, tf_stream_t *stream, uint32_t index)
{
    uint32_t *first = &fanout->market[stream->instrument].first_stream[stream->channel.kind];
    stream->next = *first;
    *first = index;
}

tf_directory_find_t tf_fanout_instrument_find(const tf_fanout_t *fanout,
                                              const tf_channel_t *channel, uint32_t *instrument)
{
    const tf_directory_t *directory = &fanout->env.view.directory;
    if (!tf_kind_of_venue(channel->kind))
        return tf_directory_find(directory, channel->venue, channel->symbol, instrument);
    *instrument = tf_directory_home(directory, channel->venue);
    return *instrument != TF_INSTRUMENT_NONE ? TF_DIRECTORY_FOUND : TF_DIRECTORY_NO_VENUE;
}

uint32_t tf_fanout_stream_find(const tf_fanout_t *fanout, const tf_channel_t *channel,
                               uint32_t instrument)
{
    uint32_t index = fanout->market[instrument].first_stream[channel->kind];
    for (; index != TF_INDEX_NONE; index = fanout->stream[index]->next) {
        const tf_channel_t *held = &fanout->stream[index]->channel;
        if (held->depth == channel->depth && held->rate == channel->rate)
            break;
    }
    return index;
}

bool tf_fanout_stream_get(tf_fanout_t *fanout, const tf_channel_t *channel, uint32_t instrument,
                          uint32_t *index)
{
    *index = tf_fanout_stream_find(fanout, channel, instrument);
    if (*index != TF_INDEX_NONE)
        return true;
    tf_stream_t *stream = stream_rooms(fanout) ? tf_mem_calloc(1, sizeof *stream) : NULL;
    if (stream == NULL || !tf_stream_init(stream, &fanout->env, channel, instrument)) {
        tf_mem_free(stream);
        tf_count(fanout->stats, memory_refused_total, 1);
        return false;
    }
    *index = fanout->stream_free.count > 0 ? fanout->stream_free.item[--fanout->stream_free.count]
                                           : fanout->stream_used++;
    fanout->stream[*index] = stream;
    stream_link(fanout, stream, *index);
    tf_stats_add(fanout->stats, TF_STAT_streams, 1);
    return true;
}

void tf_fanout_stream_drop(tf_fanout_t *fanout, uint32_t index)
{
    tf_stream_t *stream = fanout->stream[index];
    if (stream->instrument != TF_INSTRUMENT_NONE) {
        uint32_t *link = &fanout->market[stream->instrument].first_stream[stream->channel.kind];
        while (*link != index)
            link = &fanout->stream[*link]->next;
        *link = stream->next;
    }
    if (stream->dirty) {
        tf_index_list_t *list = &fanout->dirty[stream->channel.rate];
        uint32_t at = 0;
        while (list->item[at] != index)
            at++;
        list->item[at] = list->item[--list->count];
    }
    tf_stream_fini(stream);
    tf_mem_free(stream);
    fanout->stream[index] = NULL;
    tf_index_list_add(&fanout->stream_free, index);
    tf_stats_add(fanout->stats, TF_STAT_streams, (uint64_t)-1);
}

/* ---- the region: events in, epochs, heartbeat ---- */

static void on_trade(tf_fanout_t *fanout, const tf_event_trade_t *event)
{
    uint32_t index = fanout->market[event->head.instrument].first_stream[TF_KIND_TRADES];
    for (; index != TF_INDEX_NONE; index = fanout->stream[index]->next) {
        tf_stream_trade(fanout->stream[index], event);
        tf_fanout_mark_dirty(fanout, index, false);
    }
}

static void on_event(tf_fanout_t *fanout, const tf_event_t *event)
{
    if (event->instrument >= fanout->env.view.directory.count)
        return; /* its name could not be read yet, so nobody has subscribed */
    switch ((tf_event_type_t)event->type) {
    case TF_EVENT_BOOK:
        mark_kind(fanout, event->instrument, TF_KIND_BOOK, false);
        break;
    case TF_EVENT_BBO:
        mark_kind(fanout, event->instrument, TF_KIND_BBO, false);
        break;
    case TF_EVENT_TICKER:
        mark_kind(fanout, event->instrument, TF_KIND_TICKER, false);
        break;
    case TF_EVENT_TRADE:
        on_trade(fanout, (const tf_event_trade_t *)event);
        break;
    case TF_EVENT_STATE:
    case TF_EVENT_INSTRUMENT:
        mark_instrument(fanout, event->instrument); /* told at once, whatever the rate */
        break;
    case TF_EVENT_PADDING:
        break;
    }
}

static void on_lapped(tf_fanout_t *fanout)
{
    tf_count(fanout->stats, ring_lapped_total, 1);
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        if (fanout->stream[i] != NULL)
            tf_stream_lapped(fanout->stream[i]);
    }
    mark_everything(fanout);
}

static void resolve_orphans(tf_fanout_t *fanout)
{
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        tf_stream_t *stream = fanout->stream[i];
        uint32_t instrument;
        if (stream == NULL || stream->instrument != TF_INSTRUMENT_NONE ||
            tf_fanout_instrument_find(fanout, &stream->channel, &instrument) != TF_DIRECTORY_FOUND)
            continue;
        stream->instrument = instrument;
        stream_link(fanout, stream, i);
        tf_fanout_mark_dirty(fanout, i, true);
    }
}

static void refresh_directory(tf_fanout_t *fanout)
{
    if (tf_reader_instrument_count(fanout->reader) > fanout->env.view.directory.count &&
        tf_directory_refresh(&fanout->env.view.directory, fanout->reader))
        resolve_orphans(fanout);
}

static uint64_t drain_ring(tf_fanout_t *fanout)
{
    uint64_t events = 0;
    tf_stats_set(fanout->stats, TF_STAT_ring_lag_bytes, tf_reader_lag_bytes(fanout->reader));
    while (events < EVENTS_PER_TURN) {
        const tf_event_t *event;
        tf_poll_t polled = tf_reader_poll(fanout->reader, &event);
        if (polled == TF_POLL_EMPTY)
            break;
        if (polled == TF_POLL_LAPPED) {
            on_lapped(fanout);
            continue;
        }
        if (event->instrument >= fanout->env.view.directory.count)
            refresh_directory(fanout);
        on_event(fanout, event);
        events++;
    }
    tf_count(fanout->stats, ring_events_total, events);
    return events;
}

/* Streams outlive the region they came from: they load again from the new one, under a new
 * generation, and everybody is told (announcement, state, snapshot). */
static bool attach(tf_fanout_t *fanout, tf_reader_t *reader)
{
    uint32_t instruments = tf_reader_instruments_max(reader);
    tf_market_streams_t *market = tf_mem_calloc(instruments, sizeof *market);
    tf_stream_env_t env;
    if (market == NULL)
        return false;
    if (!tf_stream_env_init(&env, reader, fanout->stats)) {
        tf_mem_free(market);
        return false;
    }
    memset(market, 0xff, instruments * sizeof *market); /* TF_INDEX_NONE everywhere */
    tf_mem_free(fanout->market);
    tf_stream_env_fini(&fanout->env);
    tf_reader_close(fanout->reader);
    fanout->market = market;
    fanout->env = env;
    fanout->reader = reader;
    fanout->venues_next_ns = 0;
    (void)tf_directory_refresh(&fanout->env.view.directory, reader);
    return true;
}

static void change_epoch(tf_fanout_t *fanout)
{
    const char *error;
    tf_reader_t *reader = tf_reader_open(fanout->config.region, &error);
    if (reader == NULL)
        return; /* not there yet, or half gone: looked at again next turn */
    if (tf_reader_epoch(reader) == tf_reader_epoch(fanout->reader) || !attach(fanout, reader)) {
        tf_reader_close(reader);
        return;
    }
    tf_count(fanout->stats, epoch_changes_total, 1);
    tf_log(TF_LOG_INFO, "epoch", "region=%s epoch=%s", fanout->config.region,
           fanout->env.view.epoch);
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        tf_stream_t *stream = fanout->stream[i];
        if (stream == NULL)
            continue;
        tf_stream_reset(stream, TF_INSTRUMENT_NONE);
        tf_delivery_behind(fanout, stream);
    }
    resolve_orphans(fanout);
}

static void set_lost(tf_fanout_t *fanout, bool lost)
{
    if (lost == fanout->env.view.lost)
        return;
    fanout->env.view.lost = lost;
    fanout->env.view.lost_ns = fanout->wall_ns;
    fanout->venues_next_ns = 0;
    mark_everything(fanout);
    if (lost)
        tf_count(fanout->stats, ingest_lost_total, 1);
    tf_log(lost ? TF_LOG_WARN : TF_LOG_INFO, lost ? "ingest_lost" : "ingest_back", "region=%s",
           fanout->config.region);
}

static uint64_t emit_due(tf_fanout_t *fanout);

static void check_health(tf_fanout_t *fanout)
{
    switch (tf_reader_health(fanout->reader, fanout->mono_ns, fanout->config.lost_ns)) {
    case TF_READER_ALIVE:
        set_lost(fanout, false);
        break;
    case TF_READER_LOST:
    case TF_READER_CLOSED:
        set_lost(fanout, true);
        break;
    case TF_READER_NEW_EPOCH:
        (void)drain_ring(fanout); /* what the old writer published last */
        set_lost(fanout, true);
        (void)emit_due(fanout); /* clients hear of the loss before they hear of the new epoch */
        change_epoch(fanout);
        break;
    }
}

/* ---- emission ---- */

/* Emit the listed streams that may: all of a rate whose tick is due, else only the urgent ones.
 * Those that could not (busy image) or may not yet stay listed. */
static uint64_t emit_list(tf_fanout_t *fanout, tf_index_list_t *list, bool due)
{
    uint64_t emitted = 0;
    uint32_t kept = 0;
    uint32_t count = list->count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = list->item[i];
        tf_stream_t *stream = fanout->stream[index];
        bool done = false;
        if (stream->instrument != TF_INSTRUMENT_NONE && (due || stream->urgent)) {
            done = tf_delivery_emit(fanout, stream);
            emitted++;
        } else if (stream->instrument == TF_INSTRUMENT_NONE) {
            done = true; /* listed again when its instrument turns up */
        }
        if (done) {
            stream->dirty = false;
            stream->urgent = false;
        } else {
            list->item[kept++] = index;
            fanout->urgent = fanout->urgent || stream->urgent;
        }
    }
    list->count = kept;
    return emitted;
}

static uint64_t emit_due(tf_fanout_t *fanout)
{
    uint64_t emitted = 0;
    bool urgent = fanout->urgent;
    fanout->urgent = false; /* until a stream turns out to need another try */
    for (int rate = 0; rate < TF_RATE_COUNT; rate++) {
        tf_index_list_t *list = &fanout->dirty[rate];
        bool due = fanout->mono_ns >= fanout->tick_ns[rate];
        if (list->count == 0 || (!due && !urgent))
            continue;
        emitted += emit_list(fanout, list, due);
        /* One clock for all streams of a rate: what a client gets goes out together. */
        if (due)
            fanout->tick_ns[rate] = fanout->mono_ns + tf_rate_period_ns((tf_rate_t)rate);
    }
    return emitted;
}

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

uint64_t tf_fanout_collect(tf_fanout_t *fanout)
{
    uint64_t events = 0;
    tf_io_event_t event;
    while (tf_io_next(fanout->io, &event)) {
        events++;
        switch (event.type) {
        case TF_IO_ACCEPTED:
            tf_clients_accept(fanout, event.fd);
            break;
        case TF_IO_ACCEPT_FAILED:
            tf_count(fanout->stats, accept_errors_total, 1);
            fanout->accept_listener = event.listener;
            fanout->accept_again_ns = fanout->mono_ns + fanout->config.accept_backoff_ns;
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

static int64_t next_wake_in(const tf_fanout_t *fanout)
{
    if (fanout->ready.count > 0 || fanout->input.count > 0)
        return 0;
    int64_t longest_ms = fanout->config.bell == NULL ? POLL_MS : IDLE_MS;
    int64_t wake_ns = fanout->mono_ns + longest_ms * TF_NS_PER_MS;
    wake_ns = sooner(wake_ns, fanout->sweep_next_ns);
    if (fanout->accept_again_ns != 0)
        wake_ns = sooner(wake_ns, fanout->accept_again_ns);
    if (fanout->urgent) /* met a busy image, or waits for the batch to be over */
        wake_ns = sooner(wake_ns, later(fanout->mono_ns + RETRY_NS, fanout->data_turn_ns));
    if (fanout->behind.count > 0) /* waits for a busy image or for room in the next send */
        wake_ns = sooner(wake_ns, fanout->mono_ns + RETRY_NS);
    for (int rate = 0; rate < TF_RATE_COUNT; rate++) {
        if (fanout->dirty[rate].count > 0)
            wake_ns = sooner(wake_ns, later(fanout->tick_ns[rate], fanout->data_turn_ns));
    }
    /* Until then the bell is not raised (tf_fanout_sleep), so nobody wakes us for what comes. */
    if (tf_reader_lag_bytes(fanout->reader) > 0 || fanout->data_turn_ns > fanout->mono_ns)
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
    check_health(fanout);
    refresh_directory(fanout);
    tf_delivery_catch_up(fanout);
    if (mono_ns >= fanout->data_turn_ns) {
        work += drain_ring(fanout);
        uint64_t emitted = emit_due(fanout);
        if (emitted > 0)
            fanout->data_turn_ns = mono_ns + fanout->config.batch_ns;
        work += emitted;
    }
    work += tf_delivery_flush(fanout);
    check_timers(fanout);
    *wake_in_ns = next_wake_in(fanout);
    return work;
}

void tf_fanout_sleep(tf_fanout_t *fanout, int64_t wake_in_ns)
{
    /* Not to be woken for data when there is more to do at once, or before the batch is over. */
    bool deaf = wake_in_ns == 0 || fanout->data_turn_ns > fanout->mono_ns;
    tf_bell_t *bell = deaf ? NULL : fanout->config.bell;
    if (bell != NULL) {
        tf_bell_raise(bell);
        if (tf_reader_lag_bytes(fanout->reader) > 0)
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
    if (fanout->connection == NULL || fanout->scratch == NULL || !stream_rooms(fanout) ||
        !tf_index_list_reserve(&fanout->slot_free, connections) ||
        !tf_index_list_reserve(&fanout->ready, 2 * connections) ||
        !tf_index_list_reserve(&fanout->behind, connections) ||
        !tf_index_list_reserve(&fanout->input, 2 * connections))
        return false;
    for (uint32_t slot = connections; slot > 0; slot--)
        tf_index_list_add(&fanout->slot_free, slot - 1);
    return true;
}

tf_status_t tf_fanout_create(tf_fanout_t **out, const tf_fanout_config_t *config, tf_io_t *io,
                             tf_stats_t *stats, _Atomic uint64_t *closes)
{
    const char *error;
    tf_reader_t *reader = tf_reader_open(config->region, &error);
    if (reader == NULL)
        return tf_error(TF_ERR_ABSENT, "%s", error);
    tf_fanout_t *fanout = tf_mem_calloc(1, sizeof *fanout);
    if (fanout == NULL) {
        tf_reader_close(reader);
        return tf_error(TF_ERR_MEMORY, "out of memory for a fan-out thread");
    }
    fanout->config = *config;
    fanout->stats = stats;
    fanout->closes = closes;
    tf_subscriptions_init(&fanout->subscriptions);
    tf_outbox_init(&fanout->outbox, &fanout->subscriptions, stats);
    tf_clients_host_init(fanout);
    if (!create_lists(fanout) || !attach(fanout, reader)) {
        tf_reader_close(reader);
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
    for (uint32_t slot = 0; fanout->connection != NULL && slot < fanout->config.connections_max;
         slot++) {
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
    tf_index_list_fini(&fanout->slot_free);
    tf_index_list_fini(&fanout->ready);
    tf_index_list_fini(&fanout->behind);
    tf_index_list_fini(&fanout->input);
    tf_outbox_fini(&fanout->outbox);
    tf_subscriptions_fini(&fanout->subscriptions);
    tf_mem_free(fanout->market);
    tf_stream_env_fini(&fanout->env);
    tf_buf_fini(&fanout->venues);
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
