#include "ws/inbox.h"

#include "base/mem.h"

#include <string.h>

/*
 *              whole small frames, by way of a scratch on the stack
 * received --+------------------------------------------------------> unmasked payload --> sink
 *            |                                                           ^       |  ^
 *            +--> pending (the rest, masked): whole frames, in place ----+       v  |
 *                                                                   message (fragments)
 *
 * The received data belongs to a buffer shared by all connections, so it is never written to.
 * Nearly every frame of a client is small and arrives whole: then nothing is allocated.
 */

enum {
    SCRATCH_BYTES = 4096, /* larger frames go by way of `pending` */
    ROOM_MIN_BYTES = 64,
};

/* One call of feed. */
typedef struct turn {
    tf_ws_inbox_t *inbox;
    const tf_ws_inbox_sink_t *sink;
    size_t message_max;
    tf_ws_close_t why;
    bool over; /* the sink stopped, or `why` is set */
} turn_t;

static void fail(turn_t *turn, tf_ws_close_t why)
{
    turn->why = why;
    turn->over = true;
}

/* Make room for `bytes` more; false when memory ran out. */
static bool reserve(uint8_t **block, uint32_t *room, uint32_t used, size_t bytes)
{
    if (bytes > UINT32_MAX - used)
        return false;
    size_t wanted = used + bytes;
    if (wanted <= *room)
        return true;
    size_t grown_room = (size_t)*room + *room / 2;
    if (grown_room < wanted)
        grown_room = wanted;
    if (grown_room < ROOM_MIN_BYTES)
        grown_room = ROOM_MIN_BYTES;
    if (grown_room > UINT32_MAX)
        grown_room = UINT32_MAX;
    uint8_t *grown = tf_mem_realloc(*block, grown_room, 1);
    if (grown == NULL)
        return false;
    *block = grown;
    *room = (uint32_t)grown_room;
    return true;
}

static bool pending_append(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return true;
    if (!reserve(&inbox->pending, &inbox->pending_room, inbox->pending_bytes, bytes))
        return false;
    memcpy(inbox->pending + inbox->pending_bytes, data, bytes);
    inbox->pending_bytes += (uint32_t)bytes;
    return true;
}

static void pending_drop(tf_ws_inbox_t *inbox, size_t bytes)
{
    TF_ASSERT(bytes <= inbox->pending_bytes);
    inbox->pending_bytes -= (uint32_t)bytes;
    if (inbox->pending_bytes > 0) {
        memmove(inbox->pending, inbox->pending + bytes, inbox->pending_bytes);
        return;
    }
    tf_mem_free(inbox->pending);
    inbox->pending = NULL;
    inbox->pending_room = 0;
}

static bool message_append(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return true;
    if (!reserve(&inbox->message, &inbox->message_room, inbox->message_bytes, bytes))
        return false;
    memcpy(inbox->message + inbox->message_bytes, data, bytes);
    inbox->message_bytes += (uint32_t)bytes;
    return true;
}

static void message_free(tf_ws_inbox_t *inbox)
{
    tf_mem_free(inbox->message);
    inbox->message = NULL;
    inbox->message_bytes = 0;
    inbox->message_room = 0;
}

/* RFC 6455 5.5.1: empty, or a code and perhaps a reason in UTF-8. */
static tf_ws_close_t close_payload_check(const uint8_t *payload, size_t bytes)
{
    if (bytes == 0)
        return TF_WS_CLOSE_NONE;
    if (bytes == 1 || !tf_ws_close_code_valid((uint16_t)(payload[0] << 8 | payload[1])))
        return TF_WS_CLOSE_PROTOCOL;
    return tf_utf8_valid(payload + 2, bytes - 2) ? TF_WS_CLOSE_NONE : TF_WS_CLOSE_UTF8;
}

static void take_control(turn_t *turn, const tf_ws_frame_t *frame, const uint8_t *payload)
{
    const tf_ws_inbox_sink_t *sink = turn->sink;
    if (frame->opcode == TF_WS_CLOSE) {
        tf_ws_close_t why = close_payload_check(payload, frame->payload_bytes);
        if (why != TF_WS_CLOSE_NONE) {
            fail(turn, why);
            return;
        }
    }
    turn->over = !sink->on_control(sink->context, frame->opcode, payload, frame->payload_bytes);
}

/* The text so far, with this fragment, can still become valid; at its end it is. */
static bool text_valid(tf_ws_inbox_t *inbox, const tf_ws_frame_t *frame, const uint8_t *payload)
{
    return tf_utf8_feed(&inbox->utf8, payload, frame->payload_bytes) &&
           (!frame->fin || tf_utf8_complete(&inbox->utf8));
}

static void take_data(turn_t *turn, const tf_ws_frame_t *frame, const uint8_t *payload)
{
    tf_ws_inbox_t *inbox = turn->inbox;
    const tf_ws_inbox_sink_t *sink = turn->sink;
    if (frame->opcode != TF_WS_CONTINUATION) {
        inbox->opcode = (uint8_t)frame->opcode;
        inbox->utf8 = (tf_utf8_t){0};
    }
    if (inbox->opcode == TF_WS_TEXT && !text_valid(inbox, frame, payload)) {
        fail(turn, TF_WS_CLOSE_UTF8);
        return;
    }
    const uint8_t *data = payload;
    size_t bytes = frame->payload_bytes;
    if (!frame->fin || inbox->message_bytes > 0) {
        if (!message_append(inbox, payload, bytes)) {
            fail(turn, TF_WS_CLOSE_INTERNAL);
            return;
        }
        data = inbox->message;
        bytes = inbox->message_bytes;
    }
    if (!frame->fin)
        return;
    turn->over = !sink->on_message(sink->context, (tf_ws_opcode_t)inbox->opcode, data, bytes);
    inbox->opcode = 0;
    message_free(inbox);
}

static void take_frame(turn_t *turn, const tf_ws_frame_t *frame, uint8_t *payload)
{
    tf_ws_unmask(payload, frame->payload_bytes, frame->mask, 0);
    if (frame->opcode >= TF_WS_CLOSE)
        take_control(turn, frame, payload);
    else
        take_data(turn, frame, payload);
}

/* A continuation continues something, and nothing else begins before it ended (RFC 6455 5.4). */
static bool in_sequence(const tf_ws_inbox_t *inbox, const tf_ws_frame_t *frame)
{
    return frame->opcode >= TF_WS_CLOSE ||
           (frame->opcode == TF_WS_CONTINUATION) == (inbox->opcode != 0);
}

/* True when a whole legal frame is at `data`. An illegal header ends the turn before its payload
 * has come, so that nothing which will be refused is kept. */
static bool next_frame(turn_t *turn, const uint8_t *data, size_t bytes, tf_ws_frame_t *frame)
{
    size_t used = turn->inbox->message_bytes;
    size_t payload_max = used < turn->message_max ? turn->message_max - used : 0;
    tf_ws_close_t why = TF_WS_CLOSE_NONE;
    switch (tf_ws_frame_parse(data, bytes, payload_max, frame, &why)) {
    case TF_WS_PARSE_BAD:
        fail(turn, why);
        return false;
    case TF_WS_PARSE_FRAME:
        if (!in_sequence(turn->inbox, frame)) {
            fail(turn, TF_WS_CLOSE_PROTOCOL);
            return false;
        }
        return bytes - frame->header_bytes >= frame->payload_bytes;
    case TF_WS_PARSE_MORE:
        break;
    }
    return false;
}

/* Handle the whole small frames at the front of the received data; returns their bytes. */
static size_t take_received(turn_t *turn, const uint8_t *data, size_t bytes)
{
    uint8_t scratch[SCRATCH_BYTES];
    tf_ws_frame_t frame;
    size_t used = 0;
    while (!turn->over && used < bytes && next_frame(turn, data + used, bytes - used, &frame) &&
           frame.payload_bytes <= sizeof scratch) {
        memcpy(scratch, data + used + frame.header_bytes, frame.payload_bytes);
        used += frame.header_bytes + frame.payload_bytes;
        take_frame(turn, &frame, scratch);
    }
    return used;
}

static void take_pending(turn_t *turn)
{
    tf_ws_inbox_t *inbox = turn->inbox;
    tf_ws_frame_t frame;
    size_t used = 0;
    while (!turn->over && used < inbox->pending_bytes &&
           next_frame(turn, inbox->pending + used, inbox->pending_bytes - used, &frame)) {
        uint8_t *payload = inbox->pending + used + frame.header_bytes;
        used += frame.header_bytes + frame.payload_bytes;
        take_frame(turn, &frame, payload);
    }
    pending_drop(inbox, used);
}

tf_ws_close_t tf_ws_inbox_feed(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes,
                               size_t message_max, const tf_ws_inbox_sink_t *sink)
{
    turn_t turn = {.inbox = inbox, .sink = sink, .message_max = message_max};
    size_t used = inbox->pending_bytes == 0 ? take_received(&turn, data, bytes) : 0;
    if (turn.why != TF_WS_CLOSE_NONE)
        return turn.why;
    if (used < bytes && !pending_append(inbox, data + used, bytes - used))
        return TF_WS_CLOSE_INTERNAL;
    take_pending(&turn);
    return turn.why;
}

bool tf_ws_inbox_keep(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes)
{
    return bytes == 0 || pending_append(inbox, data, bytes);
}

void tf_ws_inbox_fini(tf_ws_inbox_t *inbox)
{
    tf_mem_free(inbox->pending);
    tf_mem_free(inbox->message);
    *inbox = (tf_ws_inbox_t){0};
}
