/*
 * inbox: from received bytes to whole messages: partial frames, fragments, interleaved control
 * frames, UTF-8. One per connection, owned by its thread. Memory only while a frame or message is
 * incomplete: an idle inbox owns nothing. A zeroed tf_ws_inbox_t is empty.
 */
#pragma once

#include "base/utf8.h"
#include "ws/frame.h"

typedef struct tf_ws_inbox {
    uint8_t *pending; /* bytes of a frame that is not complete, header included; masked */
    uint8_t *message; /* fragments of a message so far, unmasked */
    uint32_t pending_bytes;
    uint32_t pending_room;
    uint32_t message_bytes;
    uint32_t message_room;
    tf_utf8_t utf8; /* of the text message being received */
    uint8_t opcode; /* of the message being received; 0 = none */
} tf_ws_inbox_t;

/*
 * Return false to stop: this message is handled, what follows it stays pending until the next feed.
 * The handlers must not call the inbox.
 */
typedef struct tf_ws_inbox_sink {
    /* A whole TEXT or BINARY message; the data is valid during the call. */
    bool (*on_message)(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes);
    /* PING, PONG or CLOSE with its payload (a CLOSE payload was checked: empty, or a valid code and
     * valid UTF-8). */
    bool (*on_control)(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes);
    void *context;
} tf_ws_inbox_sink_t;

/*
 * Take in `bytes` more (may be 0: go on with what is pending). message_max bounds one message, over
 * all its fragments. Returns TF_WS_CLOSE_NONE, or why the connection must be closed (PROTOCOL,
 * UTF8, TOO_BIG, INTERNAL when memory ran out); the inbox is then of no further use but for _fini.
 *
 * Kept at most: a message of message_max, and pending a frame header, message_max and the bytes of
 * one feed (all growing by half, so at worst 1.5 times that). Every feed after a handler has
 * stopped adds its bytes: while the handler would stop again, don't read from the peer.
 */
TF_MUST_CHECK tf_ws_close_t tf_ws_inbox_feed(tf_ws_inbox_t *inbox, const uint8_t *data,
                                             size_t bytes, size_t message_max,
                                             const tf_ws_inbox_sink_t *sink);

/* Keep `bytes` more without looking at them, for a later feed. False when memory ran out. */
TF_MUST_CHECK bool tf_ws_inbox_keep(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes);

/* Bytes kept that no handler has seen yet. */
static inline size_t tf_ws_inbox_pending_bytes(const tf_ws_inbox_t *inbox)
{
    return inbox->pending_bytes;
}

void tf_ws_inbox_fini(tf_ws_inbox_t *inbox);
