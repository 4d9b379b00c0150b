/*
 * ws_client: the other end of the wire for tests. Builds client frames, legal or not, byte by byte
 * from RFC 6455 5.2 (nothing of src/ws/frame.c but its names is used), and records what an inbox
 * delivers.
 */
#pragma once

#include "base/rng.h"
#include "ws/inbox.h"

#include <string.h>

enum {
    WIRE_ROOM = 1 << 19,
    LOG_EVENTS_MAX = 4096,
    FIN = 0x80,
};

/* ---- what the client sends ---- */

typedef struct wire {
    size_t bytes;
    uint8_t data[WIRE_ROOM];
} wire_t;

static inline void wire_put(wire_t *wire, const void *data, size_t bytes)
{
    TF_ASSERT(bytes <= sizeof wire->data - wire->bytes);
    if (bytes > 0)
        memcpy(wire->data + wire->bytes, data, bytes);
    wire->bytes += bytes;
}

static inline void wire_put_byte(wire_t *wire, uint64_t byte)
{
    uint8_t value = (uint8_t)byte;
    wire_put(wire, &value, 1);
}

/* One frame; `first` is FIN, reserved bits and opcode as they travel. */
static inline void wire_frame(wire_t *wire, unsigned first, const void *payload, size_t bytes,
                              uint32_t mask)
{
    const uint8_t key[4] = {(uint8_t)(mask >> 24), (uint8_t)(mask >> 16), (uint8_t)(mask >> 8),
                            (uint8_t)mask};
    wire_put_byte(wire, first);
    if (bytes < 126) {
        wire_put_byte(wire, 0x80 | bytes);
    } else if (bytes < 65536) {
        wire_put_byte(wire, 0xfe);
        wire_put_byte(wire, bytes >> 8);
        wire_put_byte(wire, bytes);
    } else {
        wire_put_byte(wire, 0xff);
        for (unsigned shift = 64; shift > 0; shift -= 8)
            wire_put_byte(wire, (uint64_t)bytes >> (shift - 8));
    }
    wire_put(wire, key, sizeof key);
    const uint8_t *from = payload;
    for (size_t i = 0; i < bytes; i++)
        wire_put_byte(wire, from[i] ^ key[i % 4]);
}

/* ---- what the server's handlers see ---- */

typedef struct event {
    tf_ws_opcode_t opcode;
    size_t from; /* in log.data */
    size_t bytes;
} event_t;

typedef struct event_log {
    size_t events;
    size_t bytes;
    bool stop_always; /* answer false to every delivery */
    tf_rng_t *stop_at_random;
    bool stopped;
    event_t event[LOG_EVENTS_MAX];
    uint8_t data[WIRE_ROOM];
} event_log_t;

static inline bool log_add(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    event_log_t *log = context;
    TF_ASSERT(log->events < LOG_EVENTS_MAX && bytes <= sizeof log->data - log->bytes);
    TF_ASSERT(data != NULL);
    log->event[log->events++] = (event_t){opcode, log->bytes, bytes};
    memcpy(log->data + log->bytes, data, bytes);
    log->bytes += bytes;
    log->stopped = log->stop_always ||
                   (log->stop_at_random != NULL && tf_rng_below(log->stop_at_random, 3) == 0);
    return !log->stopped;
}

static inline bool log_message(void *context, tf_ws_opcode_t opcode, const uint8_t *data,
                               size_t bytes)
{
    TF_ASSERT(opcode == TF_WS_TEXT || opcode == TF_WS_BINARY);
    return log_add(context, opcode, data, bytes);
}

static inline bool log_control(void *context, tf_ws_opcode_t opcode, const uint8_t *data,
                               size_t bytes)
{
    TF_ASSERT(opcode == TF_WS_PING || opcode == TF_WS_PONG || opcode == TF_WS_CLOSE);
    TF_ASSERT(bytes <= TF_WS_CONTROL_BYTES_MAX);
    return log_add(context, opcode, data, bytes);
}

static inline void log_reset(event_log_t *log)
{
    log->events = 0;
    log->bytes = 0;
    log->stop_always = false;
    log->stop_at_random = NULL;
    log->stopped = false;
}

static inline bool log_same(const event_log_t *a, const event_log_t *b)
{
    if (a->events != b->events || a->bytes != b->bytes)
        return false;
    for (size_t i = 0; i < a->events; i++) {
        if (a->event[i].opcode != b->event[i].opcode || a->event[i].bytes != b->event[i].bytes)
            return false;
    }
    return memcmp(a->data, b->data, a->bytes) == 0;
}

/* Feed, and go on with nothing new for as long as the handlers stop. */
static inline tf_ws_close_t feed_all(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes,
                                     size_t message_max, event_log_t *log)
{
    const tf_ws_inbox_sink_t sink = {log_message, log_control, log};
    log->stopped = false;
    tf_ws_close_t why = tf_ws_inbox_feed(inbox, data, bytes, message_max, &sink);
    while (why == TF_WS_CLOSE_NONE && log->stopped) {
        log->stopped = false;
        why = tf_ws_inbox_feed(inbox, NULL, 0, message_max, &sink);
    }
    return why;
}
