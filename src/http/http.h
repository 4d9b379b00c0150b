/*
 * http: the live page, market data over REST, and the operator's window, on a libwebsockets server
 * in its own thread, away from the hot path. Reads the region as every other reader and the
 * threads' counters (relaxed); owns nothing of theirs. The only folder with the libwebsockets
 * server.
 *
 *   GET /          the page, and the files that it needs (assets.h); ETag, If-None-Match
 *   GET /v1/...    market data as JSON (rest.h); OPTIONS too
 *   GET /healthz   200 "ok" while the process runs its loops
 *   GET /readyz    200 while at least one market is live; 503 with the reason: draining, no region,
 *                  ingest lost, no live market
 *   GET /metrics   Prometheus text format 0.0.4
 *
 * HEAD is answered likewise; other paths with 404, other methods with 405. At most 64 connections,
 * so that this page can't use up the descriptors of the clients. A path whose escapes are malformed
 * libwebsockets itself refuses with 403.
 */
#pragma once

#include "base/clock.h"
#include "base/stats.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct tf_http tf_http_t;

enum { TF_HTTP_THREADS_MAX = 72 }; /* 64 of fan-out, and the others */

/* Counters of one thread, exported with the label thread="name": those that its kind can move, and
 * the histograms likewise. `closes` (may be NULL): close counters by tf_ws_close_t, exported as
 * tickfan_closes_total{code,reason}. Both must outlive the server. */
typedef struct tf_http_thread {
    const char *name; /* "ingest", "fanout-0" */
    tf_thread_kind_t kind;
    const tf_stats_t *stats;
    const _Atomic uint64_t *closes;
} tf_http_thread_t;

typedef struct tf_http_config {
    const char *address; /* numeric, "127.0.0.1" */
    uint16_t port;       /* 0 = any free one, see tf_http_port() */
    const char *region;  /* region name: market states, heartbeat, readiness */
    int64_t lost_ns;     /* heartbeat time-out */
    const tf_http_thread_t *threads;
    uint32_t thread_count;
    const char *ws_url;   /* told by /v1/config, "ws://127.0.0.1:7100/v1/ws"; NULL = none is here */
    int64_t heartbeat_ms; /* told likewise: the heartbeat of WebSocket clients; 0 = none */
} tf_http_config_t;

/* Bind and start the thread. TF_ERR_SYS names the address when it is taken. The config is copied.
 */
TF_MUST_CHECK tf_status_t tf_http_start(tf_http_t **out, const tf_http_config_t *config);

uint16_t tf_http_port(const tf_http_t *http);

/* /readyz answers 503 from now on. Any thread. */
void tf_http_drain(tf_http_t *http);

/* Stop and join the thread. NULL is allowed. */
void tf_http_stop(tf_http_t *http);
