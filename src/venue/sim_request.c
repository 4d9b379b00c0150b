#include "venue/sim_request.h"

#include <stdio.h>
#include <string.h>

typedef struct request {
    bool subscribe;
    bool products_given;
    bool channels_given;
    tf_scan_t products; /* standing at the value: copied to walk it as often as needed */
    tf_scan_t channels;
} request_t;

void tf_sim_requests_init(tf_sim_requests_t *requests, tf_sim_market_t *market)
{
    *requests = (tf_sim_requests_t){.market = market};
}

static tf_sim_reply_t *reply_add(tf_sim_requests_t *requests)
{
    if (requests->replies == TF_SIM_REPLIES_MAX) {
        return NULL; /* as many refusals between two polls: the rest goes unanswered */
    }
    tf_sim_reply_t *reply =
        &requests->reply[(requests->replies_first + requests->replies++) % TF_SIM_REPLIES_MAX];
    *reply = (tf_sim_reply_t){.acknowledgements = 0};
    return reply;
}

static void acknowledge(tf_sim_requests_t *requests)
{
    tf_sim_reply_t *last =
        &requests->reply[(requests->replies_first + requests->replies - 1) % TF_SIM_REPLIES_MAX];
    if (requests->replies == 0 || last->acknowledgements == 0) {
        last = reply_add(requests);
    }
    if (last != NULL) {
        last->acknowledgements++;
    }
}

/* Refuse the request. `name` may be anything that a client sent, so it is repeated only where it
 * needs no escaping. */
static void refuse(tf_sim_requests_t *requests, tf_slice_t name, const char *text)
{
    tf_sim_reply_t *reply = reply_add(requests);
    bool plain = name.bytes > 0 && name.bytes < TF_SYMBOL_BYTES_MAX;
    for (size_t i = 0; i < name.bytes && plain; i++) {
        const char c = name.text[i];
        plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                c == '-' || c == '_';
    }
    if (reply != NULL) {
        (void)snprintf(reply->reason, sizeof reply->reason, "%.*s%s", plain ? (int)name.bytes : 0,
                       plain ? name.text : "", text);
    }
}

static bool channel_find(tf_slice_t name, tf_sim_channel_t *out)
{
    for (uint32_t i = 0; i < TF_SIM_CHANNEL_COUNT; i++) {
        if (tf_slice_is_bytes(name, tf_sim_channel_names[i], strlen(tf_sim_channel_names[i]))) {
            *out = (tf_sim_channel_t)i;
            return true;
        }
    }
    *out = TF_SIM_LEVEL2;
    return tf_slice_is(name, "level2_batch");
}

static void subscription_set(tf_sim_requests_t *requests, tf_sim_instrument_t *ins,
                             tf_sim_channel_t channel, bool on)
{
    const uint8_t bit = (uint8_t)(1U << channel);
    const bool was_owed = ins->owed != 0;
    if (!on) {
        ins->channels &= (uint8_t)~bit;
        ins->owed &= (uint8_t)~bit;
    } else if ((ins->channels & bit) == 0) {
        ins->channels |= bit;
        ins->owed |= channel == TF_SIM_HEARTBEAT ? 0 : bit;
    }
    requests->owed_instruments += (ins->owed != 0 ? 1U : 0U) - (was_owed ? 1U : 0U);
}

/* One channel of a request: check it, or (`apply`) do it. False: refused, and told. */
static bool channel_request(tf_sim_requests_t *requests, const request_t *request, tf_slice_t name,
                            const tf_scan_t *products_at, bool apply)
{
    const tf_slice_t nothing = {"", 0};
    tf_sim_channel_t channel = TF_SIM_CHANNEL_COUNT;
    tf_slice_t symbol;
    if (!channel_find(name, &channel)) {
        refuse(requests, name, " is not a channel that can be had without authentication");
        return false;
    }
    if (channel == TF_SIM_STATUS) {
        requests->status_owed |= apply && request->subscribe && !requests->status_subscribed;
        requests->status_subscribed = apply ? request->subscribe : requests->status_subscribed;
        return true;
    }
    if (products_at == NULL && request->subscribe) {
        refuse(requests, nothing, "No product_ids given");
        return false;
    }
    if (products_at == NULL) { /* unsubscribe the whole channel */
        for (uint32_t i = 0; i < requests->market->config.instruments && apply; i++) {
            subscription_set(requests, &requests->market->instrument[i], channel, false);
        }
        return true;
    }
    tf_scan_t scan = *products_at;
    (void)tf_scan_array(&scan);
    while (tf_scan_item(&scan) && tf_scan_string(&scan, &symbol, NULL)) {
        tf_sim_instrument_t *ins = tf_sim_market_find(requests->market, symbol);
        if (ins == NULL) {
            refuse(requests, symbol, " is not a valid product");
            return false;
        }
        if (apply) {
            subscription_set(requests, ins, channel, request->subscribe);
        }
    }
    if (scan.failed) {
        refuse(requests, nothing, "product_ids must be an array of strings");
    }
    return !scan.failed;
}

/* Every channel of a request: a name, or {name, product_ids}. */
static bool channels_request(tf_sim_requests_t *requests, const request_t *request, bool apply)
{
    tf_scan_t scan = request->channels;
    tf_slice_t key;
    (void)tf_scan_array(&scan);
    while (tf_scan_item(&scan)) {
        tf_slice_t name = {"", 0};
        tf_scan_t products_at = request->products;
        bool given = request->products_given;
        if (tf_scan_peek(&scan) == TF_SCAN_STRING) {
            (void)tf_scan_string(&scan, &name, NULL);
        } else {
            (void)tf_scan_object(&scan);
            while (tf_scan_key(&scan, &key)) {
                if (tf_slice_is(key, "name")) {
                    (void)tf_scan_string(&scan, &name, NULL);
                    continue;
                }
                if (tf_slice_is(key, "product_ids")) {
                    products_at = scan;
                    given = true;
                }
                (void)tf_scan_skip(&scan);
            }
        }
        if (!scan.failed &&
            !channel_request(requests, request, name, given ? &products_at : NULL, apply)) {
            return false;
        }
    }
    if (scan.failed) {
        refuse(requests, (tf_slice_t){"", 0}, "channels must be an array of names or objects");
    }
    return !scan.failed;
}

void tf_sim_requests_take(tf_sim_requests_t *requests, const char *text, size_t bytes,
                          int64_t now_ns)
{
    tf_scan_t scan;
    tf_slice_t key;
    tf_slice_t type = {"", 0};
    request_t request = {.subscribe = false};
    tf_scan_init(&scan, text, bytes);
    (void)tf_scan_object(&scan);
    while (tf_scan_key(&scan, &key)) {
        if (tf_slice_is(key, "type")) {
            (void)tf_scan_string(&scan, &type, NULL);
            continue;
        }
        if (tf_slice_is(key, "product_ids")) {
            request.products = scan;
            request.products_given = true;
        } else if (tf_slice_is(key, "channels")) {
            request.channels = scan;
            request.channels_given = true;
        }
        (void)tf_scan_skip(&scan);
    }
    requests->taken_ns = now_ns;
    request.subscribe = tf_slice_is(type, "subscribe");
    if (!tf_scan_end(&scan)) {
        refuse(requests, (tf_slice_t){"", 0}, "Malformed JSON");
    } else if (!request.subscribe && !tf_slice_is(type, "unsubscribe")) {
        refuse(requests, type, " is not a known type");
    } else if (!request.channels_given) {
        refuse(requests, (tf_slice_t){"", 0}, "No channels given");
    } else if (channels_request(requests, &request, false) &&
               channels_request(requests, &request, true)) {
        acknowledge(requests);
    }
}

/* ---- answers ------------------------------------------------------------------------------ */

static void write_reply(tf_sim_requests_t *requests, tf_sim_text_t *text)
{
    tf_sim_reply_t *reply = &requests->reply[requests->replies_first];
    if (reply->acknowledgements > 0) {
        tf_sim_text_subscriptions(text, requests->market, requests->status_subscribed);
        reply->acknowledgements--;
    } else {
        tf_sim_text_error(text, reply->reason);
    }
    if (reply->acknowledgements == 0) {
        requests->replies_first = (requests->replies_first + 1) % TF_SIM_REPLIES_MAX;
        requests->replies--;
    }
}

/* What a new subscription starts with, of the next instrument that is owed something. */
static void write_owed(tf_sim_requests_t *requests, tf_sim_text_t *text)
{
    const tf_sim_market_t *market = requests->market;
    while (market->instrument[requests->owed_next].owed == 0) {
        requests->owed_next = (requests->owed_next + 1) % market->config.instruments;
    }
    tf_sim_instrument_t *ins = &market->instrument[requests->owed_next];
    if ((ins->owed & 1U << TF_SIM_LEVEL2) != 0) {
        tf_sim_text_snapshot(text, ins, requests->taken_ns);
    }
    if ((ins->owed & 1U << TF_SIM_MATCHES) != 0) {
        const tf_sim_fill_t fill = tf_sim_last_fill(ins);
        tf_sim_text_match(text, ins, &fill, "last_match");
    }
    if ((ins->owed & 1U << TF_SIM_TICKER) != 0) {
        tf_sim_text_ticker(text, ins);
    }
    ins->owed = 0;
    requests->owed_instruments--;
}

bool tf_sim_requests_answer(tf_sim_requests_t *requests, tf_sim_text_t *text)
{
    if (requests->replies > 0) {
        write_reply(requests, text);
    } else if (requests->status_owed) {
        requests->status_owed = false;
        tf_sim_text_status(text, requests->market);
    } else if (requests->owed_instruments > 0) {
        write_owed(requests, text);
    } else {
        return false;
    }
    return true;
}
