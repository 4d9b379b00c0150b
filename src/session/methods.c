#include "session/methods.h"

#include "market/decimal.h"
#include "market/instrument.h"

#include <string.h>

#include <jansson.h>

enum {
    /* Of one request: as many as a connection may hold. It bounds what a request of many short
     * names can make us write. */
    CHANNELS_MAX = 4096,
    MS_PER_S = 1000,
    HEARTBEAT_MAX_S = 3600,
};

static const char rates_offered[] = "\"raw\", \"100ms\", \"250ms\" or \"1s\"";
static const char depths_offered[] = "1, 10, 25, 50, 200, 1000 or \"full\"";

typedef struct request {
    const tf_host_t *host;
    const json_t *params;
    tf_rpc_reply_t *reply;
    tf_channel_options_t options;
    json_t *resumed; /* canonical names as keys; NULL when nothing is to be resumed */
    tf_buf_t name;   /* scratch: a canonical name */
    tf_buf_t failed; /* the entries of `failed` */
} request_t;

/* What to answer to a name that tf_channel_parse() refuses. */
static const struct {
    int code;
    const char *reason;
} refusals[] = {
    [TF_CHANNEL_KIND] = {TF_RPC_UNKNOWN_KIND,
                         "kinds are ticker, bbo, trades, book, instruments and status"},
    [TF_CHANNEL_VENUE] = {TF_RPC_UNKNOWN_VENUE,
                          "a channel is kind.venue.symbol, instruments.venue or status.venue, the "
                          "venue in lower case"},
    [TF_CHANNEL_SYMBOL] = {TF_RPC_UNKNOWN_INSTRUMENT,
                           "a symbol is BASE-QUOTE in upper case, as get_instruments lists it"},
    [TF_CHANNEL_WILDCARD] = {TF_RPC_WILDCARD,
                             "name every venue and instrument; get_instruments lists them"},
    [TF_CHANNEL_OPTION] = {TF_RPC_OPTION,
                           "rates are raw, 100ms, 250ms, 1s (trades: raw, 100ms); depths, of book "
                           "only and before the rate, 1, 10, 25, 50, 200, 1000, full"},
    [TF_CHANNEL_VENUE_END] = {TF_RPC_OPTION,
                              "instruments and status are a venue's: nothing follows its name"},
};

static int out_of_memory(tf_rpc_reply_t *reply)
{
    reply->result.failed = true; /* rpc gives up the whole text on this */
    return TF_RPC_INTERNAL;
}

static int params_named(const json_t *params, tf_rpc_reply_t *reply)
{
    if (params == NULL || json_is_object(params))
        return TF_RPC_OK;
    return tf_rpc_fail(reply, TF_RPC_INVALID_PARAMS,
                       "params are taken by name: send an object, not an array");
}

static int rate_read(request_t *request)
{
    const json_t *rate = json_object_get(request->params, "rate");
    if (rate == NULL)
        return TF_RPC_OK;
    if (json_is_string(rate) &&
        tf_rate_parse(json_string_value(rate), json_string_length(rate), &request->options.rate)) {
        request->options.has_rate = true;
        return TF_RPC_OK;
    }
    char found[TF_RPC_VALUE_BYTES_MAX];
    return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS, "rate is %s; it can be %s",
                       tf_rpc_value_text(found, rate), rates_offered);
}

/* A depth is a number or "full"; as text both are what a channel name has. */
static bool depth_value_parse(const json_t *depth, uint32_t *out)
{
    if (json_is_string(depth)) {
        return tf_depth_parse(json_string_value(depth), json_string_length(depth), out) &&
               *out == TF_DEPTH_FULL;
    }
    if (!json_is_integer(depth) || json_integer_value(depth) < 0)
        return false;
    char text[TF_DECIMAL_TEXT_BYTES_MAX];
    return tf_depth_parse(text, tf_decimal_write(text, json_integer_value(depth), 0), out);
}

static int depth_read(request_t *request)
{
    const json_t *depth = json_object_get(request->params, "depth");
    if (depth == NULL)
        return TF_RPC_OK;
    if (depth_value_parse(depth, &request->options.depth)) {
        request->options.has_depth = true;
        return TF_RPC_OK;
    }
    char found[TF_RPC_VALUE_BYTES_MAX];
    return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS, "depth is %s; it can be %s",
                       tf_rpc_value_text(found, depth), depths_offered);
}

static int lag_read(request_t *request)
{
    const json_t *lag = json_object_get(request->params, "lag");
    if (lag == NULL)
        return TF_RPC_OK;
    const char *text = json_is_string(lag) ? json_string_value(lag) : "";
    if (strcmp(text, "conflate") == 0)
        return TF_RPC_OK;
    if (strcmp(text, "disconnect") == 0)
        return tf_rpc_fail(request->reply, TF_RPC_OPTION,
                           "lag \"disconnect\" is not offered yet; leave it out");
    char found[TF_RPC_VALUE_BYTES_MAX];
    return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS,
                       "lag is %s; it can be \"conflate\" or left out",
                       tf_rpc_value_text(found, lag));
}

/* The named params that channel names are resolved with. */
static int options_read(request_t *request)
{
    int code = params_named(request->params, request->reply);
    if (code == TF_RPC_OK)
        code = rate_read(request);
    if (code == TF_RPC_OK)
        code = depth_read(request);
    return code;
}

static int channels_check(const request_t *request)
{
    char found[TF_RPC_VALUE_BYTES_MAX];
    const json_t *channels = json_object_get(request->params, "channels");
    size_t count = json_array_size(channels);
    if (count == 0)
        return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS,
                           "channels is %s; send an array of channel names",
                           tf_rpc_value_text(found, channels));
    if (count > CHANNELS_MAX)
        return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS,
                           "channels has %zu names; one request can have %d", count, CHANNELS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(channels, i);
        if (!json_is_string(name))
            return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS,
                               "channels[%zu] is %s; a channel name is a string", i,
                               tf_rpc_value_text(found, name));
    }
    return TF_RPC_OK;
}

/* request->name becomes the canonical name, NUL-terminated; NULL without memory. */
static const char *canonical_name(request_t *request, const tf_channel_t *channel)
{
    tf_buf_reset(&request->name);
    tf_channel_write(&request->name, channel);
    tf_buf_put(&request->name, "", 1);
    return tf_buf_ok(&request->name) ? request->name.data : NULL;
}

static bool position_valid(const json_t *position)
{
    const json_t *seq = json_object_get(position, "seq");
    return json_is_string(json_object_get(position, "epoch")) && json_is_integer(seq) &&
           json_integer_value(seq) >= 0;
}

/* Names are gathered once under their canonical form, so that many channels with many positions
 * cost their sum and not their product. A name that is no channel resumes nothing. */
static int resume_read(request_t *request)
{
    json_t *resume = json_object_get(request->params, "resume");
    char found[TF_RPC_VALUE_BYTES_MAX];
    if (resume == NULL)
        return TF_RPC_OK;
    if (!json_is_object(resume))
        return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS,
                           "resume is %s; send an object of channel: {epoch, seq}",
                           tf_rpc_value_text(found, resume));
    request->resumed = json_object();
    if (request->resumed == NULL)
        return out_of_memory(request->reply);
    const char *key;
    json_t *position;
    json_object_foreach(resume, key, position)
    {
        if (!position_valid(position))
            return tf_rpc_fail(request->reply, TF_RPC_INVALID_PARAMS,
                               "resume of \"%.48s\" is %s; send {\"epoch\": text, \"seq\": number}",
                               key, tf_rpc_value_text(found, position));
        tf_channel_t channel;
        if (tf_channel_parse(key, strlen(key), &request->options, &channel) != TF_CHANNEL_OK)
            continue;
        const char *name = canonical_name(request, &channel);
        if (name == NULL || json_object_set_new(request->resumed, name, json_true()) != 0)
            return out_of_memory(request->reply);
    }
    return TF_RPC_OK;
}

static void comma_append(tf_buf_t *buf)
{
    if (buf->bytes > 0 && buf->data[buf->bytes - 1] != '[')
        tf_buf_lit(buf, ",");
}

/* `reason` is NULL or a text of `refusals`, which have nothing to escape. */
static void failed_append(tf_buf_t *buf, const json_t *name, int code, const char *reason)
{
    comma_append(buf);
    tf_buf_lit(buf, "{\"channel\":");
    tf_buf_json_string(buf, json_string_value(name), json_string_length(name));
    tf_buf_lit(buf, ",\"code\":");
    tf_buf_int(buf, code);
    tf_buf_lit(buf, ",\"message\":\"");
    tf_buf_text(buf, tf_rpc_error_text(code));
    tf_buf_lit(buf, "\",\"retryable\":");
    tf_buf_text(buf, tf_rpc_error_retryable(code) ? "true" : "false");
    if (reason != NULL) {
        tf_buf_lit(buf, ",\"reason\":\"");
        tf_buf_text(buf, reason);
        tf_buf_lit(buf, "\"");
    }
    tf_buf_lit(buf, "}");
}

/* Act on one channel and append to the result's list; an error code appends nothing. */
typedef int (*channel_action_t)(request_t *request, const tf_channel_t *channel);

static int subscribe_one(request_t *request, const tf_channel_t *channel)
{
    const char *name = canonical_name(request, channel);
    if (name == NULL)
        return out_of_memory(request->reply);
    bool resumed = json_object_get(request->resumed, name) != NULL;
    tf_subscribed_t entry = {0};
    int code = request->host->subscribe(request->host->context, channel, &entry);
    if (code != TF_RPC_OK)
        return code;
    if (resumed) /* there is no resuming yet: the client gets a snapshot and is told so */
        entry.resume_code = TF_RPC_RESUME_TOO_OLD;
    comma_append(&request->reply->result);
    tf_json_subscribed_entry(&request->reply->result, &entry);
    return TF_RPC_OK;
}

static int unsubscribe_one(request_t *request, const tf_channel_t *channel)
{
    int code = request->host->unsubscribe(request->host->context, channel);
    if (code != TF_RPC_OK)
        return code;
    tf_buf_t *result = &request->reply->result;
    comma_append(result);
    tf_buf_lit(result, "\"");
    tf_channel_write(result, channel);
    tf_buf_lit(result, "\"");
    return TF_RPC_OK;
}

/* One bad channel never fails the others: the result is {"<done>":[...],"failed":[...]}. */
static void channels_apply(request_t *request, const char *done, channel_action_t action)
{
    tf_buf_t *result = &request->reply->result;
    const json_t *channels = json_object_get(request->params, "channels");
    tf_buf_lit(result, "{\"");
    tf_buf_text(result, done);
    tf_buf_lit(result, "\":[");
    for (size_t i = 0; i < json_array_size(channels); i++) {
        const json_t *name = json_array_get(channels, i);
        tf_channel_t channel;
        tf_channel_result_t parsed = tf_channel_parse(
            json_string_value(name), json_string_length(name), &request->options, &channel);
        if (parsed != TF_CHANNEL_OK) {
            failed_append(&request->failed, name, refusals[parsed].code, refusals[parsed].reason);
            continue;
        }
        int code = action(request, &channel);
        if (code != TF_RPC_OK)
            failed_append(&request->failed, name, code, NULL);
    }
    tf_buf_lit(result, "],\"failed\":[");
    tf_buf_put(result, request->failed.data, request->failed.bytes);
    tf_buf_lit(result, "]}");
    if (!tf_buf_ok(&request->failed))
        result->failed = true;
}

static void request_fini(request_t *request)
{
    tf_buf_fini(&request->name);
    tf_buf_fini(&request->failed);
    json_decref(request->resumed);
}

static int on_subscribe(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    request_t request = {
        .host = *(const tf_host_t *const *)context, .params = params, .reply = reply};
    int code = options_read(&request);
    if (code == TF_RPC_OK)
        code = lag_read(&request);
    if (code == TF_RPC_OK)
        code = channels_check(&request);
    if (code == TF_RPC_OK)
        code = resume_read(&request);
    if (code == TF_RPC_OK)
        channels_apply(&request, "subscribed", subscribe_one);
    request_fini(&request);
    return code;
}

static int on_unsubscribe(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    request_t request = {
        .host = *(const tf_host_t *const *)context, .params = params, .reply = reply};
    int code = options_read(&request);
    if (code == TF_RPC_OK)
        code = channels_check(&request);
    if (code == TF_RPC_OK)
        channels_apply(&request, "unsubscribed", unsubscribe_one);
    request_fini(&request);
    return code;
}

/* Methods that act on all of the connection's subscriptions: the result is {"<key>":[...]}. */
static int whole_list(const tf_host_t *host, const json_t *params, tf_rpc_reply_t *reply,
                      const char *key, int (*list)(void *context, tf_buf_t *out))
{
    int code = params_named(params, reply);
    if (code != TF_RPC_OK)
        return code;
    tf_buf_lit(&reply->result, "{\"");
    tf_buf_text(&reply->result, key);
    tf_buf_lit(&reply->result, "\":[");
    code = list(host->context, &reply->result);
    tf_buf_lit(&reply->result, "]}");
    return code;
}

static int on_unsubscribe_all(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    const tf_host_t *host = *(const tf_host_t *const *)context;
    return whole_list(host, params, reply, "unsubscribed", host->unsubscribe_all);
}

static int on_list_subscriptions(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    const tf_host_t *host = *(const tf_host_t *const *)context;
    return whole_list(host, params, reply, "subscriptions", host->subscriptions);
}

/* Seconds to whole milliseconds; false when they are out of range. Below half a millisecond is not
 * none: only 0 itself is. */
static bool interval_parse(const tf_host_t *host, const json_t *seconds, uint32_t *ms)
{
    if (!json_is_number(seconds))
        return false;
    double value = json_number_value(seconds);
    if (!(value >= 0 && value <= HEARTBEAT_MAX_S))
        return false;
    *ms = (uint32_t)(value * MS_PER_S + 0.5);
    return *ms >= host->heartbeat_min_ms || !(value > 0);
}

static int interval_fail(const tf_host_t *host, const json_t *seconds, tf_rpc_reply_t *reply)
{
    char found[TF_RPC_VALUE_BYTES_MAX];
    tf_buf_t least = {0};
    tf_json_seconds(&least, host->heartbeat_min_ms);
    int code = tf_buf_ok(&least)
                   ? tf_rpc_fail(reply, TF_RPC_INVALID_PARAMS,
                                 "interval_s is %s; it can be 0 for none, or %.*s to %d seconds",
                                 tf_rpc_value_text(found, seconds), (int)least.bytes, least.data,
                                 HEARTBEAT_MAX_S)
                   : out_of_memory(reply);
    tf_buf_fini(&least);
    return code;
}

static int on_set_heartbeat(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    const tf_host_t *host = *(const tf_host_t *const *)context;
    int code = params_named(params, reply);
    if (code != TF_RPC_OK)
        return code;
    const json_t *seconds = json_object_get(params, "interval_s");
    uint32_t ms;
    if (!interval_parse(host, seconds, &ms))
        return interval_fail(host, seconds, reply);
    host->heartbeat(host->context, ms);
    tf_buf_lit(&reply->result, "{\"interval_s\":");
    tf_json_seconds(&reply->result, ms);
    tf_buf_lit(&reply->result, "}");
    return TF_RPC_OK;
}

static int on_get_instruments(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    const tf_host_t *host = *(const tf_host_t *const *)context;
    char found[TF_RPC_VALUE_BYTES_MAX];
    int code = params_named(params, reply);
    if (code != TF_RPC_OK)
        return code;
    const json_t *venue = json_object_get(params, "venue");
    if (venue != NULL && !json_is_string(venue))
        return tf_rpc_fail(reply, TF_RPC_INVALID_PARAMS,
                           "venue is %s; send a venue's name or leave it out",
                           tf_rpc_value_text(found, venue));
    tf_buf_lit(&reply->result, "{\"instruments\":[");
    code = TF_RPC_UNKNOWN_VENUE;
    if (venue == NULL)
        code = host->instruments(host->context, NULL, &reply->result);
    else if (tf_venue_name_valid(json_string_value(venue), json_string_length(venue)))
        code = host->instruments(host->context, json_string_value(venue), &reply->result);
    tf_buf_lit(&reply->result, "]}");
    if (code == TF_RPC_UNKNOWN_VENUE)
        return tf_rpc_fail(reply, code, "venue is %s; leave it out for a list of all venues",
                           tf_rpc_value_text(found, venue));
    return code;
}

/* Why the host has no snapshot of `channel`, in words. */
static int snapshot_fail(tf_rpc_reply_t *reply, int code, const tf_channel_t *channel)
{
    switch (code) {
    case TF_RPC_UNKNOWN_VENUE:
        return tf_rpc_fail(reply, code, "there is no venue %s; get_instruments lists what there is",
                           channel->venue);
    case TF_RPC_UNKNOWN_INSTRUMENT:
        return tf_rpc_fail(reply, code, "%s has no %s; get_instruments lists what there is",
                           channel->venue, channel->symbol);
    case TF_RPC_NO_SNAPSHOT:
        if (tf_kind_of_venue(channel->kind))
            return tf_rpc_fail(reply, code, "nothing is known of %s yet", channel->venue);
        return tf_rpc_fail(reply, code, "nothing was received for %s of %s yet", channel->symbol,
                           channel->venue);
    default:
        return code;
    }
}

static int on_get_snapshot(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    request_t request = {
        .host = *(const tf_host_t *const *)context, .params = params, .reply = reply};
    int code = options_read(&request);
    if (code != TF_RPC_OK)
        return code;
    const json_t *name = json_object_get(params, "channel");
    if (!json_is_string(name)) {
        char found[TF_RPC_VALUE_BYTES_MAX];
        return tf_rpc_fail(reply, TF_RPC_INVALID_PARAMS, "channel is %s; send one channel name",
                           tf_rpc_value_text(found, name));
    }
    tf_channel_t channel;
    tf_channel_result_t parsed = tf_channel_parse(json_string_value(name), json_string_length(name),
                                                  &request.options, &channel);
    if (parsed != TF_CHANNEL_OK)
        return tf_rpc_fail(reply, refusals[parsed].code, "%s", refusals[parsed].reason);
    code = request.host->snapshot(request.host->context, &channel, &reply->result);
    return code == TF_RPC_OK ? TF_RPC_OK : snapshot_fail(reply, code, &channel);
}

static int on_ping(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    (void)context;
    tf_buf_lit(&reply->result, "\"pong\"");
    return params_named(params, reply);
}

static int on_time(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    const tf_host_t *host = *(const tf_host_t *const *)context;
    tf_buf_lit(&reply->result, "{\"time\":");
    tf_buf_int(&reply->result, host->us_now(host->context));
    tf_buf_lit(&reply->result, "}");
    return params_named(params, reply);
}

static int64_t us_now(void *context)
{
    const tf_host_t *host = *(const tf_host_t *const *)context;
    return host->us_now(host->context);
}

tf_rpc_outcome_t tf_methods_handle(const tf_host_t *host, const char *text, size_t bytes,
                                   int64_t us_in, tf_buf_t *out)
{
    static const tf_rpc_method_t methods[] = {
        {"ping", on_ping},
        {"time", on_time},
        {"subscribe", on_subscribe},
        {"unsubscribe", on_unsubscribe},
        {"unsubscribe_all", on_unsubscribe_all},
        {"list_subscriptions", on_list_subscriptions},
        {"get_instruments", on_get_instruments},
        {"get_snapshot", on_get_snapshot},
        {"set_heartbeat", on_set_heartbeat},
        {NULL, NULL},
    };
    return tf_rpc_handle(methods, &host, text, bytes, us_in, us_now, out);
}
