/*
 * words: the only way shared memory is touched: 64-bit atomics with relaxed order. What orders them
 * are the fences of the seqlocks and of the ring (image_writer.c, ring.h). Pure; any thread.
 *
 * Relaxed word by word costs about what memcpy does for records of this size, and it is what makes
 * a torn read defined behaviour that a check after the copy can throw away.
 */
#pragma once

#include "base/assert.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "shm ABI v1 is little-endian");

static inline uint64_t tf_word_get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void tf_word_put(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Copy `bytes` (a multiple of 8) into shared memory. */
static inline void tf_words_in(_Atomic uint64_t *to, const void *from, size_t bytes)
{
    TF_ASSERT_SLOW(bytes % 8 == 0);
    const unsigned char *next = from;
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t value;
        memcpy(&value, next + i * 8, sizeof value);
        tf_word_put(&to[i], value);
    }
}

/* Copy `bytes` (a multiple of 8) out of shared memory. */
static inline void tf_words_out(void *to, const _Atomic uint64_t *from, size_t bytes)
{
    TF_ASSERT_SLOW(bytes % 8 == 0);
    unsigned char *next = to;
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t value = tf_word_get(&from[i]);
        memcpy(next + i * 8, &value, sizeof value);
    }
}
