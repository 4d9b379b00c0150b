/*
 * sink_latency: how long after its publication a message was read, by the first of many clients and
 * by the last. For one stream of which every client gets every message; messages are told apart by
 * their `tp`, which is the wall clock of the same machine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SINK_HEAD_BYTES = 512 }; /* `tp` stands before the data */

typedef struct sink_head {
    uint32_t bytes;
    char text[SINK_HEAD_BYTES];
} sink_head_t;

/* Forget what was seen; `clients` of them get every message. */
void sink_latency_begin(uint32_t clients);

/* Data was read: look at the clock. */
void sink_latency_now(void);

/* A part of the payload of the message that comes in. */
void sink_latency_payload(sink_head_t *head, const uint8_t *data, size_t bytes);

/* The message is whole. */
void sink_latency_message(sink_head_t *head);

/* The line of figures. */
void sink_latency_print(void);
