/*
 * frame: RFC 6455 section 5 framing for a server. Pure functions: no I/O, no allocation, no clock;
 * any thread. Flow: codec -> [ws] -> io, and io -> [ws] -> session.
 */
#pragma once

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TF_WS_HEADER_BYTES_MAX =
        10, /* server to client: 2 + 8 length bytes, never masked (RFC 6455 5.1) */
    TF_WS_CLIENT_HEADER_BYTES_MAX = 14, /* client to server: and the 4-byte mask */
    TF_WS_CONTROL_BYTES_MAX = 125,      /* payload of a control frame (RFC 6455 5.5) */
};

typedef enum tf_ws_opcode {
    TF_WS_CONTINUATION = 0x0,
    TF_WS_TEXT = 0x1,
    TF_WS_BINARY = 0x2,
    TF_WS_CLOSE = 0x8,
    TF_WS_PING = 0x9,
    TF_WS_PONG = 0xa,
} tf_ws_opcode_t;

/* Why the server closes: rows of close.def. */
typedef enum tf_ws_close {
    TF_WS_CLOSE_NONE = 0,
#define TF_WS_CLOSE(name, code, text) TF_WS_CLOSE_##name,
#include "ws/close.def"
#undef TF_WS_CLOSE
    TF_WS_CLOSE_COUNT,
} tf_ws_close_t;

uint16_t tf_ws_close_code(tf_ws_close_t reason);
const char *tf_ws_close_text(tf_ws_close_t reason);

/* Header length for a payload: 2, 4 or 10. */
static inline size_t tf_ws_header_bytes(uint64_t payload_bytes)
{
    return payload_bytes <= 125 ? 2 : payload_bytes <= 0xffff ? 4 : TF_WS_HEADER_BYTES_MAX;
}

/* Write the header of one whole, unmasked frame; returns its length. `out` has
 * TF_WS_HEADER_BYTES_MAX bytes. Aborts on a control frame over 125 bytes. */
size_t tf_ws_header_write(uint8_t *out, tf_ws_opcode_t opcode, uint64_t payload_bytes);

/* A complete close frame (2 + 2 + text) into `out` (127 bytes); returns its length. */
size_t tf_ws_close_write(uint8_t *out, uint16_t code, const char *text);

typedef struct tf_ws_frame {
    tf_ws_opcode_t opcode;
    bool fin;
    uint8_t mask[4];
    size_t header_bytes;
    size_t payload_bytes;
} tf_ws_frame_t;

typedef enum tf_ws_parse {
    TF_WS_PARSE_MORE,  /* the header is not complete yet */
    TF_WS_PARSE_FRAME, /* the header is complete and legal; the payload may be still to come */
    TF_WS_PARSE_BAD,   /* *why tells: PROTOCOL or TOO_BIG */
} tf_ws_parse_t;

/*
 * Parse a client's frame header. Refuses what section 5.2 forbids: unmasked frames, reserved bits
 * (no extension is negotiated), unknown opcodes, lengths not in their shortest form or with the top
 * bit set, fragmented or long control frames; and data payloads over `payload_max` before any of it
 * is read. A refusal comes with the first byte that shows it. `frame` is set for FRAME only, `why`
 * for BAD.
 */
tf_ws_parse_t tf_ws_frame_parse(const uint8_t *data, size_t bytes, size_t payload_max,
                                tf_ws_frame_t *frame, tf_ws_close_t *why);

/* Unmask `bytes` in place; `offset` is the position of data[0] within the payload. */
void tf_ws_unmask(uint8_t *data, size_t bytes, const uint8_t mask[4], size_t offset);

/* May a close code appear on the wire (RFC 6455 7.4, IANA 1012-1014, 3000-4999)? */
bool tf_ws_close_code_valid(uint16_t code);
