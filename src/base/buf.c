#include "base/buf.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <string.h>

enum { ROOM_MIN = 256, DIGITS_MAX = 20 };

void tf_buf_fini(tf_buf_t *buf)
{
    tf_mem_free(buf->data);
    *buf = (tf_buf_t){0};
}

char *tf_buf_reserve(tf_buf_t *buf, size_t bytes)
{
    if (buf->failed)
        return NULL;
    if (buf->data == NULL || buf->room - buf->bytes < bytes) {
        size_t wanted = buf->bytes + bytes;
        size_t room = buf->room + buf->room / 2;
        if (room < wanted)
            room = wanted;
        if (room < ROOM_MIN)
            room = ROOM_MIN;
        char *grown = tf_mem_realloc(buf->data, room, 1);
        if (grown == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->data = grown;
        buf->room = room;
    }
    return buf->data + buf->bytes;
}

void tf_buf_put(tf_buf_t *buf, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    char *to = tf_buf_reserve(buf, bytes);
    if (to == NULL)
        return;
    memcpy(to, data, bytes);
    buf->bytes += bytes;
}

void tf_buf_text(tf_buf_t *buf, const char *text)
{
    tf_buf_put(buf, text, strlen(text));
}

void tf_buf_uint(tf_buf_t *buf, uint64_t value)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    tf_buf_put(buf, digits + at, sizeof digits - at);
}

void tf_buf_int(tf_buf_t *buf, int64_t value)
{
    if (value < 0)
        tf_buf_lit(buf, "-");
    tf_buf_uint(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void tf_buf_consume(tf_buf_t *buf, size_t bytes)
{
    TF_ASSERT(bytes <= buf->bytes);
    buf->bytes -= bytes;
    if (buf->bytes > 0 && bytes > 0)
        memmove(buf->data, buf->data + bytes, buf->bytes);
}

static void escape(tf_buf_t *buf, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    if (byte == '"' || byte == '\\') {
        char pair[2] = {'\\', (char)byte};
        tf_buf_put(buf, pair, sizeof pair);
    } else {
        char code[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        tf_buf_put(buf, code, sizeof code);
    }
}

/* The length of the valid character at `text`, or 0. */
static size_t character_bytes(const char *text, size_t bytes)
{
    tf_utf8_t state = {0};
    for (size_t i = 0; i < bytes && i < 4; i++) {
        if (!tf_utf8_feed(&state, (const uint8_t *)text + i, 1))
            return 0;
        if (tf_utf8_complete(&state))
            return i + 1;
    }
    return 0;
}

void tf_buf_json_string(tf_buf_t *buf, const char *text, size_t bytes)
{
    tf_buf_lit(buf, "\"");
    size_t i = 0;
    while (i < bytes) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f) {
            escape(buf, byte);
            i++;
            continue;
        }
        size_t length = character_bytes(text + i, bytes - i);
        if (length == 0) {
            tf_buf_lit(buf, "\xef\xbf\xbd");
            i++;
        } else {
            tf_buf_put(buf, text + i, length);
            i += length;
        }
    }
    tf_buf_lit(buf, "\"");
}
