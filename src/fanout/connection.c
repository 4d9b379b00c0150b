#include "fanout/connection.h"

#include "base/mem.h"

#include <string.h>

enum { ENTRY_ROOM_MIN = 256 };

void tf_outbox_init(tf_outbox_t *outbox, tf_subscriptions_t *subscriptions, tf_stats_t *stats)
{
    *outbox = (tf_outbox_t){.subscriptions = subscriptions, .stats = stats};
}

void tf_outbox_fini(tf_outbox_t *outbox)
{
    tf_mem_free(outbox->entry);
    *outbox = (tf_outbox_t){0};
}

void tf_outbox_reset(tf_outbox_t *outbox)
{
    outbox->count = 0;
}

static size_t cut_bytes(const tf_connection_t *connection)
{
    return connection->cut == NULL ? 0 : connection->cut->bytes - connection->cut_offset;
}

bool tf_connection_has_output(const tf_connection_t *connection)
{
    return connection->cut != NULL || connection->session.out.bytes > 0 ||
           connection->out_first != TF_INDEX_NONE;
}

bool tf_connection_fits(const tf_connection_t *connection, size_t bytes)
{
    size_t used = cut_bytes(connection) + connection->session.out.bytes + connection->out_bytes;
    return used == 0 || used + bytes <= TF_SEND_BYTES_MAX;
}

bool tf_outbox_push(tf_outbox_t *outbox, tf_connection_t *connection, uint32_t subscription,
                    tf_frame_t *frame)
{
    TF_ASSERT(connection->flow == TF_FLOW_IDLE);
    if (outbox->count == outbox->room) {
        uint32_t room = outbox->room * 2 + ENTRY_ROOM_MIN;
        tf_out_entry_t *grown = tf_mem_realloc(outbox->entry, room, sizeof *grown);
        if (grown == NULL)
            return false;
        outbox->entry = grown;
        outbox->room = room;
    }
    tf_subscription_t *sub = tf_subscription_at(outbox->subscriptions, subscription);
    uint32_t index = outbox->count++;
    outbox->entry[index] = (tf_out_entry_t){.frame = tf_frame_ref(frame),
                                            .subscription = subscription,
                                            .next = TF_INDEX_NONE,
                                            .undo_seq = sub->seq,
                                            .undo_behind = sub->behind,
                                            .undo_phase = sub->phase,
                                            .undo_told = sub->told,
                                            .undo_generation = sub->generation,
                                            .undo_lag_told = sub->lag_told,
                                            .undo_touched = sub->touched};
    if (connection->out_first == TF_INDEX_NONE)
        connection->out_first = index;
    else
        outbox->entry[connection->out_last].next = index;
    connection->out_last = index;
    connection->out_bytes += frame->bytes;
    tf_subscription_apply(sub, frame);
    sub->touched = true;
    return true;
}

static size_t append(uint8_t *scratch, size_t at, const void *data, size_t bytes)
{
    TF_ASSERT(at + bytes <= TF_SEND_BYTES_MAX);
    memcpy(scratch + at, data, bytes);
    return at + bytes;
}

/* Copy every part, in order. */
static size_t join_parts(const tf_outbox_t *outbox, const tf_connection_t *connection,
                         uint8_t *scratch)
{
    const tf_buf_t *replies = &connection->session.out;
    size_t at = 0;
    if (connection->cut != NULL)
        at = append(scratch, at, connection->cut->data + connection->cut_offset,
                    cut_bytes(connection));
    if (replies->bytes > 0)
        at = append(scratch, at, replies->data, replies->bytes);
    for (uint32_t i = connection->out_first; i != TF_INDEX_NONE; i = outbox->entry[i].next)
        at = append(scratch, at, outbox->entry[i].frame->data, outbox->entry[i].frame->bytes);
    return at;
}

const void *tf_outbox_gather(tf_outbox_t *outbox, tf_connection_t *connection, uint8_t *scratch,
                             size_t *bytes)
{
    TF_ASSERT(connection->flow == TF_FLOW_IDLE);
    const tf_buf_t *replies = &connection->session.out;
    size_t rest = cut_bytes(connection);
    uint32_t first = connection->out_first;
    const void *data = scratch;
    connection->flow = TF_FLOW_SENDING;
    connection->reply_bytes = (uint32_t)replies->bytes;
    if (rest > 0 && (rest + replies->bytes > TF_SEND_BYTES_MAX ||
                     (replies->bytes == 0 && first == TF_INDEX_NONE))) {
        data = connection->cut->data + connection->cut_offset;
        *bytes = rest; /* large, or alone: as it lies; nothing was pushed beside a large rest */
        connection->reply_bytes = 0;
    } else if (rest == 0 && first == TF_INDEX_NONE) {
        data = replies->data;
        *bytes = replies->bytes;
    } else if (rest + replies->bytes == 0 && outbox->entry[first].next == TF_INDEX_NONE) {
        data = outbox->entry[first].frame->data;
        *bytes = outbox->entry[first].frame->bytes;
    } else {
        *bytes = join_parts(outbox, connection, scratch);
    }
    connection->send_bytes = (uint32_t)*bytes;
    return data;
}

void tf_connection_behind(tf_connection_t *connection, tf_subscription_t *subscription,
                          int64_t mono_ns)
{
    if (subscription->phase != TF_PHASE_CURRENT)
        return;
    tf_subscription_fall_behind(subscription, mono_ns);
    connection->behind_count++;
}

/* The frame did not go out: the subscription is back where it was before it. */
static void undo(tf_outbox_t *outbox, tf_connection_t *connection, const tf_out_entry_t *entry,
                 int64_t mono_ns)
{
    tf_subscription_t *sub = tf_subscription_at(outbox->subscriptions, entry->subscription);
    sub->seq = entry->undo_seq;
    sub->told = entry->undo_told;
    sub->generation = entry->undo_generation;
    sub->touched = entry->undo_touched;
    tf_connection_behind(connection, sub, mono_ns);
    if (entry->undo_phase == TF_PHASE_CURRENT)
        return;
    sub->phase = entry->undo_phase;
    sub->behind = entry->undo_behind;
    sub->lag_told = entry->undo_lag_told;
}

/* Entries from `first` on did not go out. Taken back from the last to the first, so that a
 * subscription ends where it was before the first of its frames that are missing. */
static void undo_entries(tf_outbox_t *outbox, tf_connection_t *connection, uint32_t first,
                         int64_t mono_ns)
{
    uint32_t reversed = TF_INDEX_NONE;
    while (first != TF_INDEX_NONE) {
        uint32_t next = outbox->entry[first].next;
        outbox->entry[first].next = reversed;
        reversed = first;
        first = next;
    }
    for (uint32_t i = reversed; i != TF_INDEX_NONE; i = outbox->entry[i].next) {
        undo(outbox, connection, &outbox->entry[i], mono_ns);
        tf_frame_unref(outbox->entry[i].frame);
    }
}

static void delivered(tf_outbox_t *outbox, const tf_frame_t *frame)
{
    tf_count(outbox->stats, frames_delivered_total, 1);
    if (frame->type == TF_FRAME_SNAPSHOT)
        tf_count(outbox->stats, snapshots_sent_total, 1);
    else if (frame->type == TF_FRAME_NOTICE)
        tf_count(outbox->stats, lag_notices_total, 1);
    tf_count(outbox->stats, gap_notices_total, frame->gaps);
    tf_count(outbox->stats, trades_lost_total, frame->lost);
}

/* `sent` bytes of the frames were taken: none when the send was cut before the first of them. */
static void settle_entries(tf_outbox_t *outbox, tf_connection_t *connection, size_t sent,
                           int64_t mono_ns)
{
    uint32_t i = connection->out_first;
    while (i != TF_INDEX_NONE && sent >= outbox->entry[i].frame->bytes) {
        tf_frame_t *frame = outbox->entry[i].frame;
        sent -= frame->bytes;
        connection->messages += frame->messages;
        delivered(outbox, frame);
        tf_frame_unref(frame);
        i = outbox->entry[i].next;
    }
    if (i != TF_INDEX_NONE && sent > 0) {
        connection->cut = outbox->entry[i].frame; /* the reference moves */
        connection->messages +=
            connection->cut->messages; /* its rest goes before all that follows */
        connection->cut_offset = (uint32_t)sent;
        i = outbox->entry[i].next;
    }
    undo_entries(outbox, connection, i, mono_ns);
    connection->out_first = TF_INDEX_NONE;
    connection->out_bytes = 0;
}

void tf_outbox_settle(tf_outbox_t *outbox, tf_connection_t *connection, size_t sent,
                      int64_t mono_ns)
{
    TF_ASSERT(connection->flow == TF_FLOW_SENDING && sent <= connection->send_bytes);
    connection->flow = sent < connection->send_bytes ? TF_FLOW_FULL : TF_FLOW_IDLE;
    if (sent > 0)
        connection->progress_ns = mono_ns;
    size_t rest = cut_bytes(connection);
    size_t taken = sent < rest ? sent : rest;
    connection->cut_offset += (uint32_t)taken;
    sent -= taken;
    if (connection->cut != NULL && taken == rest) {
        delivered(outbox, connection->cut);
        tf_frame_unref(connection->cut);
        connection->cut = NULL;
    }
    size_t replies = connection->reply_bytes;
    taken = sent < replies ? sent : replies;
    if (taken > 0)
        tf_session_sent(&connection->session, taken, mono_ns);
    settle_entries(outbox, connection, sent - taken, mono_ns);
}
