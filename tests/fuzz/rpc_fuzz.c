/* Any request text: what goes out is nothing, or JSON in which every reply is one of JSON-RPC 2.0.
 */
#include "base/mem.h"
#include "session/methods.h"

#include <string.h>

#include <jansson.h>

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer gives the name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

typedef struct fuzz_host {
    tf_buf_t name; /* of the last entry */
    unsigned subscriptions;
} fuzz_host_t;

enum { HEARTBEAT_MIN_MS = 250, HEARTBEAT_MAX_MS = 3600000 };

/* A market that is known by the length of its names, so that the fuzzer reaches every answer. */
static int market_check(const tf_channel_t *channel)
{
    static const int codes[] = {
        TF_RPC_OK, TF_RPC_UNKNOWN_VENUE, TF_RPC_UNKNOWN_INSTRUMENT, TF_RPC_SUBSCRIPTION_LIMIT,
        TF_RPC_OK, TF_RPC_INTERNAL};
    bool of_venue = tf_kind_of_venue(channel->kind);
    size_t bytes = strlen(of_venue ? channel->venue : channel->symbol);
    TF_ASSERT(bytes > 0 && of_venue == (channel->symbol[0] == '\0'));
    return codes[bytes % (sizeof codes / sizeof codes[0])];
}

static int host_subscribe(void *context, const tf_channel_t *channel, tf_subscribed_t *entry)
{
    fuzz_host_t *host = context;
    tf_buf_t *name = &host->name;
    tf_buf_reset(name);
    tf_channel_write(name, channel);
    TF_ASSERT(name->bytes < TF_CHANNEL_BYTES_MAX);
    *entry = (tf_subscribed_t){.channel = name->data,
                               .channel_bytes = name->bytes,
                               .epoch = "e",
                               .has_scale = !tf_kind_of_venue(channel->kind)};
    int code = market_check(channel);
    host->subscriptions += code == TF_RPC_OK;
    return code;
}

static int host_unsubscribe(void *context, const tf_channel_t *channel)
{
    (void)context;
    return market_check(channel);
}

static int host_unsubscribe_all(void *context, tf_buf_t *out)
{
    (void)context;
    tf_buf_lit(out, "\"bbo.sim.BTC-USD.raw\",\"status.sim\"");
    return TF_RPC_OK;
}

/* As many entries as channels were subscribed with success; a third is too many. */
static int host_subscriptions(void *context, tf_buf_t *out)
{
    const fuzz_host_t *host = context;
    for (unsigned i = 0; i < host->subscriptions; i++)
        tf_buf_text(out, i == 0 ? "{}" : ",{}");
    return host->subscriptions < 3 ? TF_RPC_OK : TF_RPC_INTERNAL;
}

static void host_heartbeat(void *context, uint32_t interval_ms)
{
    (void)context;
    TF_ASSERT(interval_ms == 0 ||
              (interval_ms >= HEARTBEAT_MIN_MS && interval_ms <= HEARTBEAT_MAX_MS));
}

static int host_instruments(void *context, const char *venue, tf_buf_t *out)
{
    (void)context;
    tf_buf_lit(out, "{}");
    return venue == NULL || strlen(venue) > 4 ? TF_RPC_OK : TF_RPC_UNKNOWN_VENUE;
}

static int host_snapshot(void *context, const tf_channel_t *channel, tf_buf_t *out)
{
    (void)context;
    tf_buf_lit(out, "{\"channel\":\"");
    tf_channel_write(out, channel);
    tf_buf_lit(out, "\"}");
    return channel->kind == TF_KIND_BBO ? TF_RPC_NO_SNAPSHOT : market_check(channel);
}

static int64_t host_us_now(void *context)
{
    (void)context;
    return 2;
}

static void reply_check(const json_t *reply)
{
    const char *version = json_string_value(json_object_get(reply, "jsonrpc"));
    TF_ASSERT(version != NULL && strcmp(version, "2.0") == 0);
    TF_ASSERT(json_object_get(reply, "id") != NULL);
    TF_ASSERT((json_object_get(reply, "result") != NULL) !=
              (json_object_get(reply, "error") != NULL));
}

static void output_check(const tf_buf_t *out, tf_rpc_outcome_t outcome)
{
    TF_ASSERT(tf_buf_ok(out));
    TF_ASSERT(outcome.requests > 0 && outcome.requests <= TF_RPC_BATCH_MAX);
    TF_ASSERT(outcome.errors <= outcome.requests);
    if (out->bytes == 0)
        return;
    json_t *read = json_loadb(out->data, out->bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    TF_ASSERT(read != NULL);
    size_t count = json_array_size(read);
    TF_ASSERT(!json_is_array(read) || count > 0);
    TF_ASSERT(count <= outcome.requests);
    for (size_t i = 0; i < count; i++)
        reply_check(json_array_get(read, i));
    if (!json_is_array(read))
        reply_check(read);
    json_decref(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    fuzz_host_t fuzz_host = {0};
    tf_buf_t out = {0};
    const tf_host_t host = {
        .subscribe = host_subscribe,
        .unsubscribe = host_unsubscribe,
        .unsubscribe_all = host_unsubscribe_all,
        .subscriptions = host_subscriptions,
        .heartbeat = host_heartbeat,
        .instruments = host_instruments,
        .snapshot = host_snapshot,
        .us_now = host_us_now,
        .context = &fuzz_host,
        .heartbeat_min_ms = HEARTBEAT_MIN_MS,
    };
    tf_rpc_init();
    tf_rpc_outcome_t outcome = tf_methods_handle(&host, (const char *)data, bytes, 1, &out);
    output_check(&out, outcome);
    tf_buf_fini(&out);
    tf_buf_fini(&fuzz_host.name);
    TF_ASSERT(tf_mem_in_use_bytes() == 0);
    return 0;
}
