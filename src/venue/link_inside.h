/*
 * link_inside: what the files of the link share, and nobody else sees. link.c decides (states,
 * deadlines, back-off), link_socket.c talks to libwebsockets and tells it what happened.
 */
#pragma once

#include "venue/link.h"
#include "venue/link_backoff.h"
#include "venue/link_failure.h"
#include "venue/link_outbox.h"
#include "venue/link_queue.h"
#include "venue/link_url.h"
#include "venue/resolve.h"

#include <libwebsockets.h>

/* How far a connection got: says what to call a failure. */
typedef enum tf_link_stage {
    TF_LINK_STAGE_TCP,
    TF_LINK_STAGE_TLS,
    TF_LINK_STAGE_UPGRADE,
} tf_link_stage_t;

typedef enum tf_link_state {
    TF_LINK_WAITING,    /* until deadline_ns, then it resolves, or takes the next address */
    TF_LINK_RESOLVING,  /* until deadline_ns */
    TF_LINK_CONNECTING, /* TCP, TLS, upgrade, until deadline_ns */
    TF_LINK_OPEN,
} tf_link_state_t;

struct tf_links {
    const tf_clock_t *clock;
    tf_stats_t *stats;
    struct lws_context *lws; /* made with the first link */
    lws_sorted_usec_list_t timer;
    uint32_t count;
    bool broken; /* libwebsockets gave up; told once */
};

typedef struct tf_link {
    tf_source_t source;
    tf_links_t *links;
    char venue[16];
    tf_link_url_t url;
    char host_header[TF_LINK_HOST_BYTES_MAX + 8]; /* HOST[:PORT] */
    tf_link_config_t config;                      /* its texts are NULL: they are copied above */
    struct ssl_ctx_st *tls;
    struct lws_vhost *vhost;

    tf_link_state_t state;
    int64_t deadline_ns;
    tf_resolve_t *resolve; /* outlives RESOLVING when the name server is silent */
    tf_resolve_result_t found;
    uint32_t address; /* the next of `found` to try */
    tf_link_backoff_t backoff;
    tf_link_failures_t failures;

    /* of the connection */
    struct lws *wsi;        /* NULL in WAITING and RESOLVING */
    const char *connecting; /* the address in `found` */
    tf_link_stage_t stage;
    tf_link_failure_kind_t why; /* with why_text: noted before libwebsockets tells of the end */
    char why_text[TF_LINK_FAILURE_BYTES_MAX];
    int64_t opened_ns;
    int64_t heard_ns; /* the last data */
    int64_t ping_at_ns;
    bool ping_wanted;
    bool pong_awaited;
    bool paused;            /* the queue is full: the socket is not read */
    bool binary;            /* the message being received is not text: skipped */
    uint64_t serial;        /* counts connections that opened ... */
    uint64_t serial_polled; /* ... and as far as poll() told of it */

    tf_link_queue_t queue;
    tf_link_outbox_t outbox;
    int64_t wall_less_mono_ns; /* the link's clock: mono + this; set at each opening */
    int64_t told_ns;           /* the last event's time: none may be earlier */
} tf_link_t;

/* ---- link_socket.c ---- */

/* The context, if there is none yet. */
TF_MUST_CHECK tf_status_t tf_link_context_make(tf_links_t *links);

/* What the link's connections have in common: its vhost. */
TF_MUST_CHECK tf_status_t tf_link_vhost_make(tf_link_t *link);

/* Begin to connect to `address`. What becomes of it is told by the functions below, possibly before
 * this returns. */
void tf_link_socket_connect(tf_link_t *link, const char *address);

/* Cut the connection; nothing is told of it. */
void tf_link_socket_drop(tf_link_t *link);

/* There may be something to write. */
void tf_link_socket_write_soon(tf_link_t *link);

/* Read again after tf_link_on_data() paused it. */
void tf_link_socket_resume(tf_link_t *link);

/* ---- link.c ---- */

/* False: close the connection, `why` is noted. */
TF_MUST_CHECK bool tf_link_on_open(tf_link_t *link);

/* A piece of a message. False: close the connection, `why` is noted. */
TF_MUST_CHECK bool tf_link_on_data(tf_link_t *link, const void *data, size_t bytes, bool last);

/* The connection, or the attempt, is over. The kind and text are those of tf_link_why() if it was
 * called, else these. */
void tf_link_on_end(tf_link_t *link, tf_link_failure_kind_t kind, const char *text);

/* Note why the connection is about to end; the first note counts. */
void tf_link_why(tf_link_t *link, tf_link_failure_kind_t kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* mono */
int64_t tf_link_now_ns(const tf_link_t *link);
