/*
 * rpc: JSON-RPC 2.0 over any method table: requests, notifications, batches. Knows no method
 * itself. Runs on a fan-out thread; owns nothing between calls. Parsing is jansson's.
 *
 * A missing "jsonrpc" is tolerated, another version is not; it is always sent. Replies carry us_in
 * and us_out beside the id (microseconds UTC: request received, reply written). The id is echoed
 * byte for byte. A repeated member name is a parse error: which of the two was meant is anybody's
 * guess.
 */
#pragma once

#include "base/assert.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t; /* jansson */

enum {
    TF_RPC_BATCH_MAX = 32,
    TF_RPC_OK = 0,
    TF_RPC_VALUE_BYTES_MAX = 64, /* of tf_rpc_value_text(), NUL included */
};

typedef enum tf_rpc_error {
#define TF_RPC_ERROR(name, code, retryable, message) TF_RPC_##name = (code),
#include "session/errors.def"
#undef TF_RPC_ERROR
} tf_rpc_error_t;

/* Route jansson's allocations through base/mem.h, process-wide. Call once before threads start and
 * before any other use of jansson; without it all works, but is neither counted nor made to fail.
 */
void tf_rpc_init(void);

const char *tf_rpc_error_text(int code); /* "" for a code that is not in errors.def */
bool tf_rpc_error_retryable(int code);

typedef struct tf_rpc_reply {
    tf_buf_t result;  /* the method writes one JSON value here */
    char reason[160]; /* for an error: what was wrong and what to do; plain text */
} tf_rpc_reply_t;

/* Returns TF_RPC_OK with a value in reply->result, or an error code, with reply->reason set if
 * there is more to say than the code's text. `params` is NULL when the request has none. */
typedef int (*tf_rpc_handler_t)(void *context, const struct json_t *params, tf_rpc_reply_t *reply);

/* Set reply->reason as printf would; what does not fit is cut. Returns `code`, for handlers to
 * return. */
int tf_rpc_fail(tf_rpc_reply_t *reply, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a client sent, short and for humans: "a string \"5s\"", "the number 7", "an array". NULL is
 * "missing". Returns `out`. */
const char *tf_rpc_value_text(char out[TF_RPC_VALUE_BYTES_MAX], const struct json_t *value);

typedef struct tf_rpc_method {
    const char *name;
    tf_rpc_handler_t handler;
} tf_rpc_method_t;

typedef struct tf_rpc_outcome {
    uint32_t requests; /* handled, notifications included */
    uint32_t errors;   /* answered with an error, or notifications that failed */
} tf_rpc_outcome_t;

/*
 * Handle one text. Appends at most one JSON text to `out`: a reply, a batch of replies, or nothing
 * (all notifications). `us_in`: when it was received; `us_now` is asked for us_out. methods: ended
 * by a NULL name. If memory runs out, `out` is failed (tf_buf_ok).
 */
tf_rpc_outcome_t tf_rpc_handle(const tf_rpc_method_t *methods, void *context, const char *text,
                               size_t bytes, int64_t us_in, int64_t (*us_now)(void *context),
                               tf_buf_t *out);
