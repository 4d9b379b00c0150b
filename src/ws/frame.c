#include "ws/frame.h"

#include <string.h>

enum {
    FIN_BIT = 0x80,
    RESERVED_BITS = 0x70,
    OPCODE_BITS = 0x0f,
    MASK_BIT = 0x80,
    LENGTH_BITS = 0x7f,
    LENGTH_IN_2_BYTES = 126,
    LENGTH_IN_8_BYTES = 127,
    CLOSE_TEXT_BYTES_MAX =
        TF_WS_CONTROL_BYTES_MAX - 2, /* the code takes two of the payload's bytes */
};

#define TF_WS_CLOSE(name, code, text)                                                              \
    _Static_assert(sizeof(text) <= CLOSE_TEXT_BYTES_MAX + 1, "close.def: text of " #name);
#include "ws/close.def"
#undef TF_WS_CLOSE

static const struct {
    uint16_t code;
    const char *text;
} closes[TF_WS_CLOSE_COUNT] = {
    [TF_WS_CLOSE_NONE] = {0, ""},
#define TF_WS_CLOSE(name, code, text) [TF_WS_CLOSE_##name] = {(code), (text)},
#include "ws/close.def"
#undef TF_WS_CLOSE
};

uint16_t tf_ws_close_code(tf_ws_close_t reason)
{
    TF_ASSERT((unsigned)reason < TF_WS_CLOSE_COUNT);
    return closes[reason].code;
}

const char *tf_ws_close_text(tf_ws_close_t reason)
{
    TF_ASSERT((unsigned)reason < TF_WS_CLOSE_COUNT);
    return closes[reason].text;
}

static bool is_control(unsigned opcode)
{
    return opcode >= TF_WS_CLOSE;
}

static void big_endian_write(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t big_endian_read(const uint8_t *data, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

size_t tf_ws_header_write(uint8_t *out, tf_ws_opcode_t opcode, uint64_t payload_bytes)
{
    TF_ASSERT(out != NULL);
    TF_ASSERT(!is_control(opcode) || payload_bytes <= TF_WS_CONTROL_BYTES_MAX);
    TF_ASSERT(payload_bytes <= INT64_MAX);

    size_t header_bytes = tf_ws_header_bytes(payload_bytes);
    out[0] = (uint8_t)(FIN_BIT | opcode);
    if (header_bytes == 2)
        out[1] = (uint8_t)payload_bytes;
    else
        out[1] = header_bytes == 4 ? LENGTH_IN_2_BYTES : LENGTH_IN_8_BYTES;
    big_endian_write(out + 2, payload_bytes, header_bytes - 2);
    return header_bytes;
}

size_t tf_ws_close_write(uint8_t *out, uint16_t code, const char *text)
{
    size_t text_bytes = strlen(text);
    TF_ASSERT(tf_ws_close_code_valid(code));
    TF_ASSERT(text_bytes <= CLOSE_TEXT_BYTES_MAX);

    size_t at = tf_ws_header_write(out, TF_WS_CLOSE, 2 + text_bytes);
    big_endian_write(out + at, code, 2);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the frame has a length, not a NUL */
    memcpy(out + at + 2, text, text_bytes);
    return at + 2 + text_bytes;
}

static tf_ws_parse_t bad(tf_ws_close_t *why, tf_ws_close_t reason)
{
    *why = reason;
    return TF_WS_PARSE_BAD;
}

static bool opcode_known(unsigned opcode)
{
    return opcode <= TF_WS_BINARY || (opcode >= TF_WS_CLOSE && opcode <= TF_WS_PONG);
}

static bool first_byte_legal(uint8_t byte)
{
    unsigned opcode = byte & OPCODE_BITS;
    return (byte & RESERVED_BITS) == 0 && opcode_known(opcode) &&
           ((byte & FIN_BIT) != 0 || !is_control(opcode));
}

static bool second_byte_legal(uint8_t byte, unsigned opcode)
{
    return (byte & MASK_BIT) != 0 &&
           (!is_control(opcode) || (byte & LENGTH_BITS) <= TF_WS_CONTROL_BYTES_MAX);
}

static bool length_shortest(uint64_t payload_bytes, size_t length_bytes)
{
    return length_bytes == 0 || (length_bytes == 2 && payload_bytes >= LENGTH_IN_2_BYTES) ||
           (length_bytes == 8 && payload_bytes > UINT16_MAX && payload_bytes <= INT64_MAX);
}

/* Each check runs as soon as its bytes are there and before any check of later bytes, so the
 * verdict is early and does not depend on how the header was cut on its way. */
tf_ws_parse_t tf_ws_frame_parse(const uint8_t *data, size_t bytes, size_t payload_max,
                                tf_ws_frame_t *frame, tf_ws_close_t *why)
{
    if (bytes == 0)
        return TF_WS_PARSE_MORE;
    unsigned opcode = data[0] & OPCODE_BITS;
    if (!first_byte_legal(data[0]))
        return bad(why, TF_WS_CLOSE_PROTOCOL);
    if (bytes < 2)
        return TF_WS_PARSE_MORE;
    if (!second_byte_legal(data[1], opcode))
        return bad(why, TF_WS_CLOSE_PROTOCOL);

    uint64_t payload_bytes = data[1] & LENGTH_BITS;
    size_t length_bytes = 0;
    if (payload_bytes >= LENGTH_IN_2_BYTES) {
        length_bytes = payload_bytes == LENGTH_IN_2_BYTES ? 2 : 8;
        if (bytes < 2 + length_bytes)
            return TF_WS_PARSE_MORE;
        payload_bytes = big_endian_read(data + 2, length_bytes);
    }
    if (!length_shortest(payload_bytes, length_bytes))
        return bad(why, TF_WS_CLOSE_PROTOCOL);
    if (!is_control(opcode) && payload_bytes > payload_max)
        return bad(why, TF_WS_CLOSE_TOO_BIG);

    size_t header_bytes = 2 + length_bytes + sizeof frame->mask;
    if (bytes < header_bytes)
        return TF_WS_PARSE_MORE;
    *frame = (tf_ws_frame_t){
        .opcode = (tf_ws_opcode_t)opcode,
        .fin = (data[0] & FIN_BIT) != 0,
        .header_bytes = header_bytes,
        .payload_bytes = (size_t)payload_bytes,
    };
    memcpy(frame->mask, data + 2 + length_bytes, sizeof frame->mask);
    return TF_WS_PARSE_FRAME;
}

void tf_ws_unmask(uint8_t *data, size_t bytes, const uint8_t mask[4], size_t offset)
{
    uint8_t key[8]; /* the mask twice, turned to begin at `offset`: eight bytes at a time */
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = mask[(offset + i) & 3];
    uint64_t wide_key;
    memcpy(&wide_key, key, sizeof wide_key);

    size_t i = 0;
    for (; bytes - i >= sizeof wide_key; i += sizeof wide_key) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        word ^= wide_key;
        memcpy(data + i, &word, sizeof word);
    }
    for (; i < bytes; i++)
        data[i] ^= key[i & 7];
}

bool tf_ws_close_code_valid(uint16_t code)
{
    /* 1004 is reserved; 1005, 1006 and 1015 are for local reports only (RFC 6455 7.4.1). */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
