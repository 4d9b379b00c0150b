/*
 * A client on libwebsockets, jansson and zlib, written from PROTOCOL.md: rebuilds the depth-10 book
 * of each market named, one connection each, and checks prev and cs on every message, until every
 * market is stale (the recording is over).
 *
 *     060_lws_client HOST PORT PATH VENUE SYMBOL...
 *
 * Prints one line per market: symbol, messages, last seq. Exit code 0, or 1 after the first broken
 * rule, which is named on stderr.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <libwebsockets.h>
#include <zlib.h>

enum {
    DEPTH = 10,
    LEVELS_MAX = 4 * DEPTH, /* while an update is applied: deletions and insertions of both ends */
    NUMBER_BYTES = 32,
    CHECKSUM_BYTES = 4 * DEPTH * NUMBER_BYTES,
    MARKETS_MAX = 16,
    REQUEST_BYTES = 512,
    SECONDS_MAX = 120,
};

/* Numbers as the wire has them; `order` is the price without its point, which sorts as it does. */
typedef struct level {
    int64_t order;
    char px[NUMBER_BYTES];
    char sz[NUMBER_BYTES];
} level_t;

typedef struct side {
    bool bids;
    size_t count;
    level_t level[LEVELS_MAX]; /* best first */
} side_t;

typedef struct market {
    const char *symbol;
    char channel[128];
    side_t side[2];
    char *text; /* a message so far: it may come in pieces */
    size_t text_bytes;
    json_int_t seq;
    unsigned messages;
    bool replied;
    bool started;
    bool over;
} market_t;

static struct {
    const char *host;
    const char *path;
    int port;
    const char *venue;
    market_t market[MARKETS_MAX];
    size_t markets;
    bool failed;
} run;

static bool broken(const market_t *market, const char *rule)
{
    (void)fprintf(stderr, "%s: %s (held seq %lld)\n", market->symbol, rule, (long long)market->seq);
    run.failed = true;
    return false;
}

/* ---- the book ---- */

static bool number_copy(char out[NUMBER_BYTES], const char *text)
{
    return text != NULL && snprintf(out, NUMBER_BYTES, "%s", text) < NUMBER_BYTES;
}

static int64_t order_of(const char *px)
{
    int64_t order = 0;
    for (; *px != '\0'; px++) {
        if (*px >= '0' && *px <= '9')
            order = order * 10 + (*px - '0');
    }
    return order;
}

static bool is_zero(const char *sz)
{
    return strspn(sz, "0.") == strlen(sz);
}

static size_t place_of(const side_t *side, int64_t order)
{
    size_t at = 0;
    while (at < side->count &&
           (side->bids ? side->level[at].order > order : side->level[at].order < order))
        at++;
    return at;
}

static bool side_set(side_t *side, const level_t *level)
{
    size_t at = place_of(side, level->order);
    bool held = at < side->count && side->level[at].order == level->order;
    if (is_zero(level->sz)) {
        if (!held)
            return false;
        side->count--;
        memmove(side->level + at, side->level + at + 1, (side->count - at) * sizeof *level);
        return true;
    }
    if (!held) {
        if (side->count == LEVELS_MAX)
            return false;
        memmove(side->level + at + 1, side->level + at, (side->count - at) * sizeof *level);
        side->count++;
    }
    side->level[at] = *level;
    return true;
}

static bool side_apply(side_t *side, const json_t *levels)
{
    for (size_t i = 0; i < json_array_size(levels); i++) {
        const json_t *pair = json_array_get(levels, i);
        level_t level;
        if (!number_copy(level.px, json_string_value(json_array_get(pair, 0))) ||
            !number_copy(level.sz, json_string_value(json_array_get(pair, 1))))
            return false;
        level.order = order_of(level.px);
        if (!side_set(side, &level))
            return false;
    }
    if (side->count > DEPTH)
        side->count = DEPTH;
    return true;
}

static json_int_t checksum(const market_t *market)
{
    char text[CHECKSUM_BYTES];
    size_t bytes = 0;
    for (size_t rank = 0; rank < DEPTH; rank++) {
        for (int i = 0; i < 2; i++) {
            const level_t *level = &market->side[i].level[rank];
            if (rank < market->side[i].count)
                bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%s%s:%s",
                                          bytes > 0 ? ":" : "", level->px, level->sz);
        }
    }
    return bytes == 0 ? 0 : (json_int_t)crc32(0, (const Bytef *)text, (uInt)bytes);
}

static bool crossed(const market_t *market)
{
    return market->side[0].count > 0 && market->side[1].count > 0 &&
           market->side[0].level[0].order >= market->side[1].level[0].order;
}

/* ---- messages ---- */

static bool string_is(const json_t *object, const char *key, const char *text)
{
    const char *found = json_string_value(json_object_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

static bool on_book(market_t *market, const json_t *params, bool snapshot)
{
    const json_t *prev = json_object_get(params, "prev");
    const json_t *data = json_object_get(params, "data");
    if (snapshot) {
        market->side[0].count = market->side[1].count = 0;
        market->started = true;
        if (!json_is_null(prev))
            return broken(market, "snapshot with prev");
    } else if (!market->started) {
        return broken(market, "update before the snapshot");
    } else if (json_integer_value(prev) != market->seq) {
        return broken(market, "prev is not the seq held");
    }
    if (!side_apply(&market->side[0], json_object_get(data, "b")) ||
        !side_apply(&market->side[1], json_object_get(data, "a")))
        return broken(market, "a level that cannot be applied");
    market->seq = json_integer_value(json_object_get(params, "seq"));
    market->messages++;
    if (json_integer_value(json_object_get(params, "cs")) != checksum(market))
        return broken(market, "cs is not that of the book");
    return crossed(market) ? broken(market, "crossed") : true;
}

static bool on_data(market_t *market, const json_t *params)
{
    if (!market->replied)
        return broken(market, "data before the reply");
    if (!string_is(params, "channel", market->channel))
        return broken(market, "data of a channel that was not subscribed");
    if (!string_is(params, "type", "update"))
        market->over = string_is(params, "state", "stale") &&
                       string_is(params, "reason", "venue_disconnected");
    if (string_is(params, "type", "state"))
        return true;
    return on_book(market, params, string_is(params, "type", "snapshot"));
}

static bool on_message(market_t *market, const json_t *message)
{
    if (json_object_get(message, "result") != NULL) {
        const json_t *result = json_object_get(message, "result");
        market->replied = json_array_size(json_object_get(result, "subscribed")) == 1;
        return market->replied ? true : broken(market, "subscribe failed");
    }
    if (json_object_get(message, "error") != NULL)
        return broken(market, "an error for a reply");
    if (!string_is(message, "method", "subscription"))
        return true;
    return on_data(market, json_object_get(message, "params"));
}

static bool on_text(market_t *market, const void *piece, size_t bytes, bool last)
{
    char *text = realloc(market->text, market->text_bytes + bytes);
    if (text == NULL)
        return broken(market, "out of memory");
    memcpy(text + market->text_bytes, piece, bytes);
    market->text = text;
    market->text_bytes += bytes;
    if (!last)
        return true;
    json_t *message = json_loadb(market->text, market->text_bytes, JSON_REJECT_DUPLICATES, NULL);
    market->text_bytes = 0;
    bool good = message != NULL ? on_message(market, message) : broken(market, "not JSON");
    json_decref(message);
    return good;
}

/* ---- libwebsockets ---- */

static int subscribe(const market_t *market, struct lws *wsi)
{
    unsigned char request[LWS_PRE + REQUEST_BYTES];
    int bytes = snprintf((char *)request + LWS_PRE, REQUEST_BYTES,
                         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\","
                         "\"params\":{\"channels\":[\"%s\"]}}",
                         market->channel);
    return lws_write(wsi, request + LWS_PRE, (size_t)bytes, LWS_WRITE_TEXT) == bytes ? 0 : -1;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t bytes)
{
    market_t *market = user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        (void)broken(market, in != NULL ? in : "no connection");
        return -1;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return market->replied ? 0 : subscribe(market, wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_text(market, in, bytes,
                       lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0)
                   ? 0
                   : -1;
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (!market->over)
            (void)broken(market, "closed before the end");
        return 0;
    default:
        return 0;
    }
}

static bool market_connect(struct lws_context *context, market_t *market)
{
    const struct lws_client_connect_info info = {.context = context,
                                                 .address = run.host,
                                                 .port = run.port,
                                                 .path = run.path,
                                                 .host = run.host,
                                                 .origin = run.host,
                                                 .protocol = "tickfan.v1.json",
                                                 .local_protocol_name = "tickfan.v1.json",
                                                 .userdata = market};
    return lws_client_connect_via_info(&info) != NULL || broken(market, "cannot connect");
}

static bool all_over(void)
{
    for (size_t i = 0; i < run.markets; i++) {
        if (!run.market[i].over)
            return false;
    }
    return true;
}

static void follow(struct lws_context *context)
{
    lws_usec_t until = lws_now_usecs() + (lws_usec_t)SECONDS_MAX * LWS_US_PER_SEC;
    while (!run.failed && !all_over()) {
        (void)lws_service(context, 0);
        if (lws_now_usecs() > until)
            (void)broken(&run.market[0], "the recording does not end");
    }
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {"tickfan.v1.json", callback, 0, 65536, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
    if (argc < 6 || argc > 5 + MARKETS_MAX) {
        (void)fprintf(stderr, "usage: %s HOST PORT PATH VENUE SYMBOL...\n", argv[0]);
        return 2;
    }
    run.host = argv[1];
    run.port = (int)strtol(argv[2], NULL, 10);
    run.path = argv[3];
    run.venue = argv[4];
    lws_set_log_level(LLL_ERR, NULL);
    const struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
                                                   .protocols = protocols};
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL)
        return 1;
    for (int i = 5; i < argc; i++) {
        market_t *market = &run.market[run.markets++];
        market->symbol = argv[i];
        market->side[0].bids = true;
        (void)snprintf(market->channel, sizeof market->channel, "book.%s.%s.10.raw", run.venue,
                       argv[i]);
        (void)market_connect(context, market);
    }
    follow(context);
    lws_context_destroy(context);
    for (size_t i = 0; i < run.markets; i++) {
        (void)printf("%s %u %lld\n", run.market[i].symbol, run.market[i].messages,
                     (long long)run.market[i].seq);
        free(run.market[i].text);
    }
    return run.failed ? 1 : 0;
}
