#include "base/mem.h"
#include "fanout/inside.h"

enum { AGE_ROOM_MIN = 64 };

/* 2^32 by the golden ratio: where flushes start is spread evenly, after few of them already. */
static const uint32_t start_step = 0x9e3779b1;

/* ---- lists ---- */

void tf_delivery_list_ready(tf_fanout_t *fanout, tf_connection_t *connection)
{
    if (connection->listed_ready || connection->flow != TF_FLOW_IDLE ||
        connection->life != TF_LIFE_OPEN)
        return;
    connection->listed_ready = true;
    tf_index_list_add(&fanout->ready, connection->slot);
}

void tf_delivery_list_behind(tf_fanout_t *fanout, tf_connection_t *connection)
{
    if (connection->listed_behind || connection->flow != TF_FLOW_IDLE ||
        connection->behind_count == 0 || connection->life != TF_LIFE_OPEN)
        return;
    connection->listed_behind = true;
    tf_index_list_add(&fanout->behind, connection->slot);
}

/* ---- emission: one frame for everybody who is up to date ---- */

static bool give(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t subscription,
                 tf_frame_t *frame)
{
    if (!tf_connection_fits(connection, frame->bytes) ||
        !tf_outbox_push(&fanout->outbox, connection, subscription, frame))
        return false;
    tf_delivery_list_ready(fanout, connection);
    return true;
}

/* Returns whether anybody took it. */
static bool distribute(tf_fanout_t *fanout, const tf_stream_t *stream, tf_frame_t *frame)
{
    bool taken = false;
    for (uint32_t i = 0; i < stream->subscription_count; i++) {
        uint32_t index = stream->subscription[i];
        tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        if (sub->phase != TF_PHASE_CURRENT)
            continue;
        tf_verdict_t verdict = tf_subscription_judge(sub, frame);
        if (verdict == TF_VERDICT_SKIP)
            continue;
        tf_connection_t *connection = &fanout->connection[sub->connection];
        if (verdict == TF_VERDICT_TAKE && connection->flow == TF_FLOW_IDLE &&
            give(fanout, connection, index, frame)) {
            taken = true;
            continue;
        }
        tf_connection_behind(connection, sub, fanout->mono_ns);
        tf_delivery_list_behind(fanout, connection);
        tf_count(fanout->stats, frames_skipped_total, 1);
    }
    return taken;
}

/* Data that goes out in this turn; when memory is short the histograms have one less. */
static void age_note(tf_ages_t *ages, const tf_stream_t *stream, const tf_frame_t *frame)
{
    if (frame->type != TF_FRAME_UPDATE && frame->type != TF_FRAME_LATEST)
        return;
    if (ages->count == ages->room) {
        uint32_t room = ages->room * 2 + AGE_ROOM_MIN;
        int64_t *grown = tf_mem_realloc(ages->tp_ns, room, sizeof *grown);
        if (grown == NULL)
            return;
        ages->tp_ns = grown;
        ages->room = room;
    }
    ages->tp_ns[ages->count++] = stream->tp_ns;
}

void tf_delivery_behind(tf_fanout_t *fanout, const tf_stream_t *stream)
{
    for (uint32_t i = 0; i < stream->subscription_count; i++) {
        tf_subscription_t *sub =
            tf_subscription_at(&fanout->subscriptions, stream->subscription[i]);
        tf_connection_t *connection = &fanout->connection[sub->connection];
        tf_connection_behind(connection, sub, fanout->mono_ns);
        tf_delivery_list_behind(fanout, connection);
    }
}

/* Generations wrap: who is full while there are 256 new epochs must neither be taken to have been
 * told of the newest one, nor its old seq to be of that. */
void tf_delivery_restart(tf_fanout_t *fanout, const tf_stream_t *stream)
{
    for (uint32_t i = 0; i < stream->subscription_count; i++) {
        tf_subscription_t *sub =
            tf_subscription_at(&fanout->subscriptions, stream->subscription[i]);
        tf_subscription_hold(sub, TF_SEQ_NONE);
        sub->generation = (uint8_t)(stream->generation - 1);
    }
    tf_delivery_behind(fanout, stream);
}

bool tf_delivery_emit(tf_fanout_t *fanout, tf_stream_t *stream)
{
    tf_frame_t *frame[TF_STREAM_FRAMES_MAX];
    size_t count;
    tf_stream_result_t result = tf_stream_emit(stream, &fanout->env, frame, &count);
    for (size_t i = 0; i < count; i++) {
        if (distribute(fanout, stream, frame[i]))
            age_note(&fanout->ages, stream, frame[i]);
        tf_frame_unref(frame[i]);
    }
    if (result == TF_STREAM_MISSED)
        tf_delivery_behind(fanout, stream);
    return result == TF_STREAM_OK;
}

/* ---- catching up: one subscription at a time, to the stream's last emitted state ---- */

typedef enum caught {
    CAUGHT_UP,
    CAUGHT_NOT_YET, /* this one has to wait (busy image); others may go on */
    CAUGHT_FULL,    /* the next send has no room left */
} caught_t;

static caught_t give_shared(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                            tf_frame_t *frame)
{
    if (frame == NULL)
        return CAUGHT_NOT_YET;
    return give(fanout, connection, index, frame) ? CAUGHT_UP : CAUGHT_FULL;
}

static caught_t give_own(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                         tf_frame_t *frame)
{
    caught_t result = give_shared(fanout, connection, index, frame);
    tf_frame_unref(frame);
    return result;
}

/* Was it behind for longer than one period of its rate? */
static bool lagged(const tf_fanout_t *fanout, const tf_subscription_t *sub,
                   const tf_stream_t *stream)
{
    int64_t period_ns = tf_rate_period_ns(stream->channel.rate);
    if (period_ns == 0)
        period_ns = fanout->config.batch_ns;
    return sub->phase == TF_PHASE_BEHIND && stream->seq > sub->seq &&
           tf_subscription_behind_ns(sub, fanout->mono_ns) > period_ns;
}

/* Told once per time of being behind, however many pieces the catching up takes. */
static caught_t catch_up_lag(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                             tf_stream_t *stream)
{
    tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    if (sub->lag_told || sub->generation != stream->generation || !lagged(fanout, sub, stream))
        return CAUGHT_UP;
    caught_t result =
        give_own(fanout, connection, index, tf_stream_lag(stream, &fanout->env, sub->seq));
    sub->lag_told = result == CAUGHT_UP;
    return result;
}

static caught_t catch_up_market(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                                tf_stream_t *stream)
{
    const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    if (sub->told == TF_TOLD_NOTHING || sub->told == stream->told)
        return CAUGHT_UP;
    return give_shared(fanout, connection, index, tf_stream_market(stream, &fanout->env));
}

static caught_t catch_up_data(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                              tf_stream_t *stream)
{
    tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    if (sub->seq == stream->seq)
        return CAUGHT_UP;
    if (!tf_stream_remembers(stream, sub->seq))
        return give_shared(fanout, connection, index, tf_stream_snapshot(stream, &fanout->env));
    caught_t result =
        give_own(fanout, connection, index, tf_stream_since(stream, &fanout->env, sub->seq));
    if (result != CAUGHT_UP)
        return result;
    return sub->seq == stream->seq ? CAUGHT_UP : CAUGHT_NOT_YET;
}

/* While a market is missing from the region, which may be for long, there is nothing but its loss
 * to tell. The stream's first frames will then find the subscription CURRENT. */
static caught_t catch_up_loading(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                                 tf_stream_t *stream)
{
    const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    caught_t result = catch_up_market(fanout, connection, index, stream);
    if (result != CAUGHT_UP || stream->instrument == TF_INSTRUMENT_NONE)
        return result;
    if (!fanout->env.view
             .lost) /* else its writer is gone: there is nothing to read until it is back */
        tf_streams_mark(fanout, sub->stream, true);
    return CAUGHT_NOT_YET;
}

static caught_t catch_up_ready(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index,
                               tf_stream_t *stream)
{
    const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    caught_t result = CAUGHT_UP;
    if (sub->generation != stream->generation)
        result = give_shared(fanout, connection, index, tf_stream_announce(stream, &fanout->env));
    if (result == CAUGHT_UP)
        result = catch_up_lag(fanout, connection, index, stream);
    if (result == CAUGHT_UP)
        result = catch_up_market(fanout, connection, index, stream);
    if (result == CAUGHT_UP)
        result = catch_up_data(fanout, connection, index, stream);
    return result;
}

static caught_t catch_up_one(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t index)
{
    tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
    tf_stream_t *stream = fanout->stream[sub->stream];
    caught_t result = stream->state == TF_STREAM_LOADING
                          ? catch_up_loading(fanout, connection, index, stream)
                          : catch_up_ready(fanout, connection, index, stream);
    if (result == CAUGHT_UP) {
        sub->phase = TF_PHASE_CURRENT;
        connection->behind_count--;
    }
    return result;
}

/* Round the connection's subscriptions once, from where the last round stopped. */
static void catch_up_connection(tf_fanout_t *fanout, tf_connection_t *connection)
{
    uint32_t start = connection->behind_cursor != TF_INDEX_NONE ? connection->behind_cursor
                                                                : connection->subscription_first;
    uint32_t index = start;
    connection->behind_cursor = TF_INDEX_NONE;
    do {
        tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        if (sub->phase != TF_PHASE_CURRENT &&
            catch_up_one(fanout, connection, index) == CAUGHT_FULL) {
            connection->behind_cursor = index;
            return;
        }
        index = sub->next != TF_INDEX_NONE ? sub->next : connection->subscription_first;
    } while (index != start && connection->behind_count > 0);
}

/* While the region is lost only what was given now, or had no room, is a reason to go on soon. */
void tf_delivery_catch_up(tf_fanout_t *fanout)
{
    uint32_t kept = 0;
    fanout->behind_idle = 0;
    for (uint32_t i = 0; i < fanout->behind.count; i++) {
        uint32_t slot = fanout->behind.item[i];
        tf_connection_t *connection = &fanout->connection[slot];
        bool open = connection->life == TF_LIFE_OPEN && connection->flow == TF_FLOW_IDLE &&
                    connection->session.state == TF_SESSION_OPEN;
        if (open && connection->behind_count > 0)
            catch_up_connection(fanout, connection);
        connection->listed_behind = open && connection->behind_count > 0;
        if (!connection->listed_behind)
            continue;
        fanout->behind.item[kept++] = slot;
        if (fanout->env.view.lost && !tf_connection_has_output(connection))
            fanout->behind_idle++;
    }
    fanout->behind.count = kept;
}

/* ---- sending ---- */

void tf_delivery_sent(tf_fanout_t *fanout, tf_connection_t *connection, const tf_io_event_t *event)
{
    fanout->sends_queued--;
    tf_count(fanout->stats, sends_total, 1);
    tf_count(fanout->stats, sent_bytes_total, event->sent);
    size_t sent = event->error == 0 ? event->sent : 0;
    if (sent == 0)
        tf_count(fanout->stats, sends_full_total, 1);
    else if (sent < connection->send_bytes)
        tf_count(fanout->stats, sends_short_total, 1);
    tf_outbox_settle(&fanout->outbox, connection, sent, fanout->mono_ns);
    if (event->error != 0)
        connection->broken = true;
    else if (connection->flow == TF_FLOW_FULL)
        tf_io_writable(fanout->io, connection->fd, tf_connection_handle(connection));
}

static void send_queued(tf_fanout_t *fanout)
{
    if (fanout->sends_queued > 0)
        tf_io_submit(fanout->io);
    /* Every send completes inside the submit; an io that takes longer is waited for. */
    tf_fanout_collect(fanout);
    while (fanout->sends_queued > 0) {
        tf_io_wait(fanout->io, TF_NS_PER_MS);
        tf_fanout_collect(fanout);
    }
    fanout->scratch_used = 0;
}

static void send_one(tf_fanout_t *fanout, tf_connection_t *connection)
{
    if (fanout->sends_queued == fanout->config.send_batch ||
        fanout->scratch_used == fanout->scratch_slices)
        send_queued(fanout);
    uint8_t *slice = fanout->scratch + (size_t)fanout->scratch_used * TF_SEND_BYTES_MAX;
    size_t bytes;
    const void *data = tf_outbox_gather(&fanout->outbox, connection, slice, &bytes);
    if (data == slice)
        fanout->scratch_used++;
    fanout->sends_queued++;
    tf_io_send(fanout->io, connection->fd, tf_connection_handle(connection), data, bytes);
}

/* Nothing of the turn is in flight any more: what was put off can be done. */
static void after_sends(tf_fanout_t *fanout, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        tf_connection_t *connection = &fanout->connection[fanout->ready.item[i]];
        connection->listed_ready = false;
        tf_delivery_list_behind(fanout, connection);
        if (connection->life == TF_LIFE_OPEN)
            tf_clients_update(fanout, connection);
    }
    /* tf_clients_update() may have listed some again: they stay for the next turn. */
    uint32_t left = fanout->ready.count - count;
    for (uint32_t i = 0; i < left; i++)
        fanout->ready.item[i] = fanout->ready.item[count + i];
    fanout->ready.count = left;
}

static bool wants_send(const tf_connection_t *connection)
{
    return connection->life == TF_LIFE_OPEN && connection->flow == TF_FLOW_IDLE &&
           tf_connection_has_output(connection);
}

/* Publications carry the real time, also those of a recording, whose own clock this thread does not
 * know: the system's is read here. */
static int64_t clock_for(const tf_ages_t *ages)
{
    return ages->count > 0 ? tf_clock_wall_ns(&tf_clock_system) : 0;
}

static void ages_tell(tf_fanout_t *fanout, int64_t first_ns, int64_t last_ns)
{
    tf_ages_t *ages = &fanout->ages;
    for (uint32_t i = 0; i < ages->count; i++) {
        tf_time(fanout->stats, publish_to_first_send, first_ns - ages->tp_ns[i]);
        tf_time(fanout->stats, publish_to_last_send, last_ns - ages->tp_ns[i]);
    }
    ages->count = 0;
}

uint64_t tf_delivery_flush(tf_fanout_t *fanout)
{
    uint64_t sends = 0;
    uint32_t count = fanout->ready.count;
    /* Not always from the same one: with thousands, the last waits milliseconds for the first. */
    uint32_t start = (uint32_t)((uint64_t)(fanout->flushes * start_step) * count >> 32);
    fanout->flushes += count > 0;
    int64_t first_ns = clock_for(&fanout->ages);
    fanout->flushing = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = start + i < count ? start + i : start + i - count;
        tf_connection_t *connection = &fanout->connection[fanout->ready.item[at]];
        if (!wants_send(connection))
            continue;
        send_one(fanout, connection);
        sends++;
    }
    send_queued(fanout);
    fanout->flushing = false;
    ages_tell(fanout, first_ns, clock_for(&fanout->ages));
    tf_outbox_reset(&fanout->outbox);
    after_sends(fanout, count);
    return sends;
}
