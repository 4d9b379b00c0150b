/*
 * link_failure: why a link is down: one row per kind, and what of it is worth a log line. Pure.
 */
#pragma once

#include "base/stats.h"

#include <stdbool.h>

/* KIND(name, counter, stage as logged) */
#define TF_LINK_FAILURE_LIST(KIND)                                                                 \
    KIND(RESOLVE, venue_resolve_failures_total, "dns")                                             \
    KIND(CONNECT, venue_connect_failures_total, "connect")                                         \
    KIND(TLS, venue_tls_failures_total, "tls")                                                     \
    KIND(UPGRADE, venue_upgrade_failures_total, "upgrade")                                         \
    KIND(CLOSED, venue_closed_total, "closed")                                                     \
    KIND(SILENT, venue_silent_total, "silent")                                                     \
    KIND(TOO_BIG, venue_too_big_total, "too_big")                                                  \
    KIND(MEMORY, memory_refused_total, "memory")

typedef enum tf_link_failure_kind {
#define TF_LINK_FAILURE_ENUM(name, counter, stage) TF_LINK_FAILURE_##name,
    TF_LINK_FAILURE_LIST(TF_LINK_FAILURE_ENUM)
#undef TF_LINK_FAILURE_ENUM
} tf_link_failure_kind_t;

const char *tf_link_failure_stage(tf_link_failure_kind_t kind);
tf_stat_t tf_link_failure_stat(tf_link_failure_kind_t kind);

enum {
    TF_LINK_FAILURE_BYTES_MAX = 256,
    TF_LINK_FAILURES_KEPT = 4, /* a name's addresses may fail in turn, each in its own way */
};

typedef struct tf_link_failure {
    tf_link_failure_kind_t kind;
    char text[TF_LINK_FAILURE_BYTES_MAX]; /* empty: none */
    int64_t told_ns;                      /* mono */
    uint64_t untold;                      /* the same again, since */
} tf_link_failure_t;

/* The failures that were logged last. Zeroed: none. */
typedef struct tf_link_failures {
    tf_link_failure_t kept[TF_LINK_FAILURES_KEPT];
} tf_link_failures_t;

/* A failure. True: log it, with *again failures like it that were not logged. One that is not among
 * the last ones is always logged, the same one once a minute. */
bool tf_link_failure_tell(tf_link_failures_t *failures, tf_link_failure_kind_t kind,
                          const char *text, int64_t now_ns, uint64_t *again);

/* What comes now is news again. */
void tf_link_failures_forget(tf_link_failures_t *failures);
