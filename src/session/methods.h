/*
 * methods: our JSON-RPC methods (PROTOCOL.md, "Control methods"): checks params, resolves channel
 * names, and acts on a host that the composer provides. One file per direction: requests come in
 * here, what they do is the host's.
 *
 * Offered now: ping, time, subscribe, unsubscribe, unsubscribe_all, list_subscriptions,
 * get_instruments, get_snapshot, set_heartbeat. Others answer -32601.
 */
#pragma once

#include "codec/channel.h"
#include "codec/json.h"
#include "session/rpc.h"

/* What a connection can ask of the fan-out thread. Error codes as in errors.def. */
typedef struct tf_host {
    /* 0 and *entry filled, or an error code (UNKNOWN_VENUE, UNKNOWN_INSTRUMENT, SUBSCRIPTION_LIMIT,
     * INTERNAL). Subscribing again is not an error. `entry->channel` may point into the host's
     * memory until its next call. */
    int (*subscribe)(void *context, const tf_channel_t *channel, tf_subscribed_t *entry);

    /* 0, or UNKNOWN_VENUE, UNKNOWN_INSTRUMENT; not being subscribed is not an error. */
    int (*unsubscribe)(void *context, const tf_channel_t *channel);

    /* End every subscription of the connection; append their canonical names, quoted and
     * comma-separated. 0, or INTERNAL. */
    int (*unsubscribe_all)(void *context, tf_buf_t *out);

    /* Append one object per subscription of the connection, comma-separated: {channel, sid, epoch,
     * seq (what the client holds; null before its first message), px_dp, sz_dp, lag:"conflate",
     * behind:bool}. 0, or INTERNAL. */
    int (*subscriptions)(void *context, tf_buf_t *out);

    /* Send `heartbeat` to this connection every interval_ms from now on; 0 = never, else at least
     * heartbeat_min_ms. */
    void (*heartbeat)(void *context, uint32_t interval_ms);

    /* Append the comma-separated objects of every instrument; venue NULL = of all venues. 0, or
     * UNKNOWN_VENUE. */
    int (*instruments)(void *context, const char *venue, tf_buf_t *out);

    /* Append the params object of a data message of the channel's state now; 0 or an error code
     * (NO_SNAPSHOT, ...). */
    int (*snapshot)(void *context, const tf_channel_t *channel, tf_buf_t *out);

    int64_t (*us_now)(void *context);
    void *context;
    uint32_t heartbeat_min_ms; /* what clients may ask for: tf_session_heartbeat_min_ms() */
} tf_host_t;

/* Handle one request text; see tf_rpc_handle(). */
tf_rpc_outcome_t tf_methods_handle(const tf_host_t *host, const char *text, size_t bytes,
                                   int64_t us_in, tf_buf_t *out);
