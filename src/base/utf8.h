/*
 * utf8: is this valid UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)?
 * Incremental, so that a message cut into fragments can be refused at its first bad byte.
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. `need` continuation bytes are outstanding, the next one within [low, high]. */
typedef struct tf_utf8 {
    uint8_t need;
    uint8_t low;
    uint8_t high;
} tf_utf8_t;

/* Feed `bytes` more bytes; false at the first byte that no valid text can continue with. */
bool tf_utf8_feed(tf_utf8_t *state, const uint8_t *data, size_t bytes);

/* True when the text fed so far does not end inside a character. */
static inline bool tf_utf8_complete(const tf_utf8_t *state)
{
    return state->need == 0;
}

/* A whole text at once. */
bool tf_utf8_valid(const uint8_t *data, size_t bytes);
