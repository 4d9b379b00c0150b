/*
 * resolve: the addresses of a name, without waiting for them. Owner: one thread; the work is done
 * by a helper thread of its own, because getaddrinfo(3) blocks for as long as a name server is
 * silent, and can't be stopped.
 *
 * The helper shares one word with the owner. Whoever comes second to it frees the request: the
 * owner when the helper is done, the helper when the owner has let go.
 */
#pragma once

#include "base/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { TF_RESOLVE_ADDRESSES_MAX = 8, TF_RESOLVE_NAME_BYTES_MAX = 256 };

typedef struct tf_resolve tf_resolve_t;

typedef struct tf_resolve_result {
    char address[TF_RESOLVE_ADDRESSES_MAX][INET6_ADDRSTRLEN]; /* in the order of preference */
    uint32_t count;                                           /* 0: `error` says why */
    char error[128];
} tf_resolve_result_t;

/* TF_ERR_MEMORY, TF_ERR_SYS (no thread). */
TF_MUST_CHECK tf_status_t tf_resolve_start(tf_resolve_t **out, const char *name);

/* True once there is a result; *resolve is then gone and NULL. */
bool tf_resolve_poll(tf_resolve_t **resolve, tf_resolve_result_t *out);

/* Let go of it, whatever it does; NULL is allowed. */
void tf_resolve_abandon(tf_resolve_t **resolve);
