#include "base/utf8.h"

#include <string.h>

/* Lead bytes and the range of the byte after them: RFC 3629 section 4. */
static bool lead(tf_utf8_t *state, uint8_t byte)
{
    state->low = 0x80;
    state->high = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
        state->need = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        state->need = 2;
        if (byte == 0xe0)
            state->low = 0xa0;
        else if (byte == 0xed)
            state->high = 0x9f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        state->need = 3;
        if (byte == 0xf0)
            state->low = 0x90;
        else if (byte == 0xf4)
            state->high = 0x8f;
    } else {
        return false;
    }
    return true;
}

bool tf_utf8_feed(tf_utf8_t *state, const uint8_t *data, size_t bytes)
{
    size_t i = 0;
    while (i < bytes) {
        if (state->need == 0) {
            uint64_t word;
            while (bytes - i >= sizeof word) { /* ASCII, eight bytes at a time */
                memcpy(&word, data + i, sizeof word);
                if (word & 0x8080808080808080ULL)
                    break;
                i += sizeof word;
            }
            if (i == bytes)
                break;
            if (data[i] >= 0x80 && !lead(state, data[i]))
                return false;
        } else {
            if (data[i] < state->low || data[i] > state->high)
                return false;
            state->need--;
            state->low = 0x80;
            state->high = 0xbf;
        }
        i++;
    }
    return true;
}

bool tf_utf8_valid(const uint8_t *data, size_t bytes)
{
    tf_utf8_t state = {0};
    return tf_utf8_feed(&state, data, bytes) && tf_utf8_complete(&state);
}
