/*
 * upgrade: from an HTTP GET to a WebSocket (RFC 6455 section 4.2). Pure functions; any thread.
 */
#pragma once

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TF_WS_HEAD_BYTES_MAX = 8192, /* request line and headers, blank line included */
    TF_WS_HEADERS_MAX = 64,
    TF_WS_RESPONSE_BYTES_MAX = 512,
};

typedef struct tf_ws_text {
    const char *text; /* into the request; not NUL-terminated; NULL = the header is absent */
    size_t bytes;
} tf_ws_text_t;

typedef struct tf_ws_request {
    tf_ws_text_t path;  /* "/v1/ws" */
    tf_ws_text_t query; /* "enc=json", without '?'; NULL = the target has none */
    tf_ws_text_t host;
    tf_ws_text_t origin;
    tf_ws_text_t authorization;
    tf_ws_text_t protocols; /* Sec-WebSocket-Protocol; several headers are answered 400 */
    tf_ws_text_t key;       /* 24 characters that decode to 16 bytes */
    size_t head_bytes;      /* bytes after these are already frames */
} tf_ws_request_t;

typedef enum tf_ws_upgrade {
    TF_WS_UPGRADE_MORE, /* the blank line has not come yet */
    TF_WS_UPGRADE_OK,
    TF_WS_UPGRADE_BAD, /* answer with tf_ws_reject_write(*http_status), then close */
} tf_ws_upgrade_t;

/*
 * Parse a request head. Strict: GET of a path, HTTP/1.1, CRLF line ends, no control characters, no
 * folded lines, no body, one Host, Upgrade contains websocket, Connection contains upgrade, version
 * 13, one key that is base64 of 16 bytes; Origin and Authorization at most once. http_status (set
 * for BAD only): 400 malformed, 405 not GET, 426 not a WebSocket request or another version, 431
 * head too large (also while it is still incomplete), 505 another HTTP version. Bare line ends and
 * control characters are refused when they come, the rest when the head is complete. After BAD the
 * fields of `request` are not to be used.
 */
tf_ws_upgrade_t tf_ws_upgrade_parse(const char *data, size_t bytes, tf_ws_request_t *request,
                                    int *http_status);

/* Is `name` among the comma-separated protocols that the client offers (case-sensitive)? */
bool tf_ws_protocol_offered(tf_ws_text_t protocols, const char *name);

/* The value of the first query parameter `name`, undecoded; text NULL when absent, "" without a
 * value. */
tf_ws_text_t tf_ws_query_value(tf_ws_text_t query, const char *name);

/* The 101 response; `protocol` (at most 128 bytes) NULL when the client offered none that we speak.
 * Returns its bytes, 0 when OpenSSL failed for want of memory; out has TF_WS_RESPONSE_BYTES_MAX. */
size_t tf_ws_accept_write(char *out, const tf_ws_request_t *request, const char *protocol);

/* A complete small HTTP response that closes the connection: status line, reason as text body; 426
 * carries Upgrade and Sec-WebSocket-Version. Never reflects input. http_status is one of 400 401
 * 403 404 405 408 426 429 431 500 503 505; `out` has TF_WS_RESPONSE_BYTES_MAX. */
size_t tf_ws_reject_write(char *out, int http_status);
