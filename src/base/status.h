/*
 * status: results of control-plane calls (open, bind, map, configure) and the per-thread error
 * trail that explains a failure to the person who has to mend it. Any thread; the trail is the
 * calling thread's own.
 *
 * The leaf sets the trail, callers may append context, main prints it once:
 *     return tf_error(TF_ERR_SYS, "bind %s: %s", text, strerrordesc_np(errno));
 */
#pragma once

#include "base/assert.h"

#include <stdint.h>

#define TF_STATUS_LIST(X)                                                                          \
    X(TF_OK, 0, "ok")                                                                              \
    X(TF_ERR_ARG, -1, "bad argument")                                                              \
    X(TF_ERR_SYS, -2, "system call failed")                                                        \
    X(TF_ERR_MEMORY, -3, "out of memory")                                                          \
    X(TF_ERR_BUSY, -4, "in use by another process")                                                \
    X(TF_ERR_ABSENT, -5, "not there")                                                              \
    X(TF_ERR_FORMAT, -6, "not in the expected format")                                             \
    X(TF_ERR_FULL, -7, "a configured limit is reached")                                            \
    X(TF_ERR_UNSUPPORTED, -8, "not supported here")

typedef enum tf_status {
#define TF_STATUS_ENUM(name, value, text) name = (value),
    TF_STATUS_LIST(TF_STATUS_ENUM)
#undef TF_STATUS_ENUM
} tf_status_t;

/* The fixed text of a status, never NULL. */
const char *tf_status_text(tf_status_t status);

/* Start a new trail with a formatted message; returns `status`, so that it can be returned. */
tf_status_t tf_error(tf_status_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put context in front of the trail ("region default: <what was there>"); returns `status`. */
tf_status_t tf_error_within(tf_status_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The calling thread's trail; valid until its next tf_error call. */
const char *tf_error_text(void);
