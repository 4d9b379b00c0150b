/*
 * site: what a request and its answer look like, and what answers are made from. No sockets and no
 * libwebsockets: http.c translates, and tests ask without a server. Owned by the HTTP thread.
 */
#pragma once

#include "base/buf.h"
#include "http/http.h"
#include "http/watch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TF_TEXT_CONTENT_TYPE "text/plain; charset=utf-8"
#define TF_JSON_CONTENT_TYPE "application/json; charset=utf-8"

typedef enum tf_http_method {
    TF_HTTP_GET,
    TF_HTTP_HEAD,
    TF_HTTP_OPTIONS,
    TF_HTTP_OTHER,
} tf_http_method_t;

/* Path and query are percent-decoded once, by libwebsockets, so any byte may be in them. Neither
 * needs to end in NUL. */
typedef struct tf_request {
    tf_http_method_t method;
    const char *path;
    size_t path_bytes;
    const char *query; /* "depth=25&venue=sim" */
    size_t query_bytes;
    bool query_too_long;       /* it was left out */
    const char *if_none_match; /* the header's value, "" without one */
} tf_request_t;

typedef struct tf_answer {
    unsigned status;
    const char *content_type;
    const char *cache_control;
    const char *allow;      /* methods: the header of a 405 and of OPTIONS; NULL = none */
    const char *etag;       /* NULL = none */
    unsigned retry_after_s; /* 0 = none */
    bool any_origin;        /* scripts of every origin may read it */
    bool page;              /* a part of the page: it comes with the page's content policy */
    bool close;             /* the connection ends with it */
    bool bodiless;          /* headers alone; they tell the length that the body would have */
    tf_buf_t text;          /* the body, */
    const uint8_t *data;    /* or constant bytes in its place */
    size_t data_bytes;
} tf_answer_t;

static inline const void *tf_answer_body(const tf_answer_t *answer)
{
    return answer->data != NULL ? (const void *)answer->data : answer->text.data;
}

static inline size_t tf_answer_bytes(const tf_answer_t *answer)
{
    return answer->data != NULL ? answer->data_bytes : answer->text.bytes;
}

/* Empty, and as most answers are: 200, plain text, not to be stored. Frees what it held. */
void tf_answer_begin(tf_answer_t *answer);

static inline void tf_answer_fini(tf_answer_t *answer)
{
    tf_buf_fini(&answer->text);
}

/* Of the HTTP thread itself; it counts and shows them alone. */
typedef struct tf_site_counts {
    uint64_t connections; /* open now */
    uint64_t requests;
    uint64_t connections_refused; /* over the limit */
    uint64_t bodies_refused;      /* answered with 503: too much is held for slow readers */
} tf_site_counts_t;

typedef struct tf_site {
    const char *region; /* name */
    const char *ws_url; /* NULL = no WebSocket is served by this process */
    int64_t heartbeat_ms;
    const tf_http_thread_t *threads;
    uint32_t thread_count;
    const _Atomic bool *draining; /* written by any thread (release) */
    tf_watch_t watch;
    tf_site_counts_t counts;
} tf_site_t;

/* What /readyz and tickfan_ready say. */
static inline bool tf_site_ready(const tf_site_t *site, const tf_watch_figures_t *seen)
{
    return !atomic_load_explicit(site->draining, memory_order_acquire) && seen->live > 0;
}
