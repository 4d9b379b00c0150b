/*
 * buf: a growable byte buffer for text that is built once and then sent. One owner, no thread
 * safety.
 *
 * Running out of memory is sticky: appends then do nothing and tf_buf_ok() is false, so a builder
 * checks once at its end. A zeroed tf_buf_t is empty and owns nothing.
 */
#pragma once

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_buf {
    char *data;
    size_t bytes;
    size_t room;
    bool failed;
} tf_buf_t;

void tf_buf_fini(tf_buf_t *buf);

/* Forget the content and any failure; keep the memory. */
static inline void tf_buf_reset(tf_buf_t *buf)
{
    buf->bytes = 0;
    buf->failed = false;
}

static inline bool tf_buf_ok(const tf_buf_t *buf)
{
    return !buf->failed;
}

/* Room for `bytes` more, uninitialised, or NULL (sticky). Follow with tf_buf_commit(). */
char *tf_buf_reserve(tf_buf_t *buf, size_t bytes);

static inline void tf_buf_commit(tf_buf_t *buf, size_t bytes)
{
    TF_ASSERT(buf->bytes + bytes <= buf->room);
    buf->bytes += bytes;
}

void tf_buf_put(tf_buf_t *buf, const void *data, size_t bytes);

/* A NUL-terminated string. */
void tf_buf_text(tf_buf_t *buf, const char *text);

/* A string literal, without strlen. */
#define tf_buf_lit(buf, literal) tf_buf_put((buf), "" literal, sizeof(literal) - 1)

void tf_buf_uint(tf_buf_t *buf, uint64_t value);
void tf_buf_int(tf_buf_t *buf, int64_t value);

/* Drop the first `bytes`; the rest moves to the front. */
void tf_buf_consume(tf_buf_t *buf, size_t bytes);

/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD, so the output is always valid. */
void tf_buf_json_string(tf_buf_t *buf, const char *text, size_t bytes);
