/*
 * methods_rig: a host that the methods' tests act on, and the request that is compared with the
 * reply expected, byte by byte. Include after "kit/kit.h".
 */
#pragma once

#include "base/mem.h"
#include "session/methods.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* A host with one venue "coinbase" and one instrument there. Remembers what it was asked. */
typedef struct host {
    tf_buf_t asked;   /* canonical names with '+', '-' or '?' before each, other calls with '!' */
    tf_buf_t channel; /* of the last entry */
    uint32_t subscriptions_max;
    uint32_t subscriptions;
    uint32_t heartbeat_min_ms; /* 0 = 1000 */
    bool empty;                /* no snapshot yet, and no list */
    bool broken;               /* INTERNAL where a call can give it */
} host_t;

static inline void note(host_t *host, const char *what, const tf_channel_t *channel)
{
    tf_buf_text(&host->asked, what);
    tf_channel_write(&host->asked, channel);
}

static inline int market_check(const tf_channel_t *channel)
{
    if (strcmp(channel->venue, "coinbase") != 0)
        return TF_RPC_UNKNOWN_VENUE;
    bool known = tf_kind_of_venue(channel->kind) || strcmp(channel->symbol, "BTC-USD") == 0;
    return known ? TF_RPC_OK : TF_RPC_UNKNOWN_INSTRUMENT;
}

static inline int host_subscribe(void *context, const tf_channel_t *channel, tf_subscribed_t *entry)
{
    host_t *host = context;
    note(host, "+", channel);
    int code = market_check(channel);
    if (code != TF_RPC_OK)
        return code;
    if (host->subscriptions == host->subscriptions_max)
        return TF_RPC_SUBSCRIPTION_LIMIT;
    host->subscriptions++;
    tf_buf_reset(&host->channel);
    tf_channel_write(&host->channel, channel);
    *entry = (tf_subscribed_t){.channel = host->channel.data,
                               .channel_bytes = host->channel.bytes,
                               .epoch = "k3f9",
                               .sid = 1041,
                               .seq = 918270,
                               .has_scale = !tf_kind_of_venue(channel->kind),
                               .px_dp = 2,
                               .sz_dp = 8};
    return tf_buf_ok(&host->channel) ? TF_RPC_OK : TF_RPC_INTERNAL;
}

static inline int host_unsubscribe(void *context, const tf_channel_t *channel)
{
    note(context, "-", channel);
    return market_check(channel);
}

static inline int host_unsubscribe_all(void *context, tf_buf_t *out)
{
    host_t *host = context;
    tf_buf_lit(&host->asked, "!unsubscribe_all");
    if (!host->empty)
        tf_buf_lit(out, "\"bbo.coinbase.BTC-USD.raw\",\"status.coinbase\"");
    return host->broken ? TF_RPC_INTERNAL : TF_RPC_OK;
}

static inline int host_subscriptions(void *context, tf_buf_t *out)
{
    host_t *host = context;
    tf_buf_lit(&host->asked, "!subscriptions");
    if (!host->empty)
        tf_buf_lit(out, "{\"sid\":1},{\"sid\":2}");
    return host->broken ? TF_RPC_INTERNAL : TF_RPC_OK;
}

static inline void host_heartbeat(void *context, uint32_t interval_ms)
{
    host_t *host = context;
    tf_buf_lit(&host->asked, "!heartbeat ");
    tf_buf_uint(&host->asked, interval_ms);
}

static inline int host_instruments(void *context, const char *venue, tf_buf_t *out)
{
    (void)context;
    if (venue != NULL && strcmp(venue, "coinbase") != 0)
        return TF_RPC_UNKNOWN_VENUE;
    tf_buf_lit(out, "{\"symbol\":\"BTC-USD\"},{\"symbol\":\"ETH-USD\"}");
    return TF_RPC_OK;
}

static inline int host_snapshot(void *context, const tf_channel_t *channel, tf_buf_t *out)
{
    host_t *host = context;
    note(host, "?", channel);
    int code = host->broken ? TF_RPC_INTERNAL : market_check(channel);
    if (code != TF_RPC_OK)
        return code;
    tf_buf_lit(out, "{\"channel\":\"");
    tf_channel_write(out, channel);
    tf_buf_lit(out, "\"}");
    return host->empty ? TF_RPC_NO_SNAPSHOT : TF_RPC_OK;
}

static inline int64_t host_us_now(void *context)
{
    (void)context;
    return 2;
}

static inline tf_rpc_outcome_t handle(host_t *host, const char *text, tf_buf_t *out)
{
    const tf_host_t ops = {
        .subscribe = host_subscribe,
        .unsubscribe = host_unsubscribe,
        .unsubscribe_all = host_unsubscribe_all,
        .subscriptions = host_subscriptions,
        .heartbeat = host_heartbeat,
        .instruments = host_instruments,
        .snapshot = host_snapshot,
        .us_now = host_us_now,
        .context = host,
        .heartbeat_min_ms = host->heartbeat_min_ms != 0 ? host->heartbeat_min_ms : 1000,
    };
    return tf_methods_handle(&ops, text, strlen(text), 1, out);
}

static inline void host_fini(host_t *host)
{
    tf_buf_fini(&host->asked);
    tf_buf_fini(&host->channel);
}

/* The reply to {"id":1,"method":method,"params":params} is the usual head, then `tail`; `asked` is
 * what the host saw, if not NULL. */
static inline void with_host(host_t *host, const char *method, const char *params, const char *tail,
                             const char *asked)
{
    tf_buf_t text = {0};
    tf_buf_t out = {0};
    tf_buf_t expected = {0};
    tf_buf_lit(&text, "{\"id\":1,\"method\":\"");
    tf_buf_text(&text, method);
    tf_buf_lit(&text, "\"");
    if (params != NULL) {
        tf_buf_lit(&text, ",\"params\":");
        tf_buf_text(&text, params);
    }
    tf_buf_put(&text, "}", 2);
    handle(host, text.data, &out);
    assert_true(tf_buf_ok(&out));
    json_t *read = json_loadb(out.data, out.bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(read);
    json_decref(read);
    tf_buf_put(&out, "", 1);
    tf_buf_lit(&expected, "{\"jsonrpc\":\"2.0\",\"id\":1,\"us_in\":1,\"us_out\":2,");
    tf_buf_text(&expected, tail);
    tf_buf_put(&expected, "}", 2);
    assert_string_equal(out.data, expected.data);
    tf_buf_put(&host->asked, "", 1);
    if (asked != NULL)
        assert_string_equal(host->asked.data, asked);
    tf_buf_fini(&text);
    tf_buf_fini(&out);
    tf_buf_fini(&expected);
}

static inline void answers(const char *method, const char *params, const char *tail,
                           const char *asked)
{
    host_t host = {.subscriptions_max = 100};
    with_host(&host, method, params, tail, asked);
    host_fini(&host);
}

/* -32602 with this reason (as JSON text), and the host was asked nothing. */
static inline void invalid(const char *method, const char *params, const char *reason)
{
    char tail[512];
    snprintf(tail, sizeof tail,
             "\"error\":{\"code\":-32602,\"message\":\"Invalid params\","
             "\"data\":{\"reason\":\"%s\"}}",
             reason);
    answers(method, params, tail, "");
}

/* The batch fails as a whole, and leaks nothing, whichever allocation fails; with none failing it
 * has so many replies. */
static inline void survives_failed_allocations(const char *batch, size_t replies)
{
    uint64_t before = tf_mem_in_use_bytes();
    uint64_t nth = 0;
    bool failed = true;
    while (failed) {
        nth++;
        assert_in_range(nth, 1, 1000);
        host_t host = {.subscriptions_max = 1};
        tf_buf_t out = {0};
        /* The host's own memory is not what is tested. */
        (void)tf_buf_reserve(&host.asked, 4096);
        (void)tf_buf_reserve(&host.channel, 4096);
        tf_mem_fail_at(nth);
        handle(&host, batch, &out);
        tf_mem_fail_at(0);
        failed = !tf_buf_ok(&out);
        if (!failed) {
            json_t *reply = json_loadb(out.data, out.bytes, 0, NULL);
            assert_int_equal(json_array_size(reply), replies);
            json_decref(reply);
        }
        host_fini(&host);
        tf_buf_fini(&out);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_in_range(nth, 20, 1000);
}
