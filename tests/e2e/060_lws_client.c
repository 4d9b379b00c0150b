/*
 * A client on libwebsockets, jansson and zlib, written from PROTOCOL.md. It takes of each market
 * named, one connection each, the best ten levels as they change, the full book ten times a second
 * and every trade. It rebuilds the books from snapshot and updates and checks prev and cs of every
 * message, until every channel is stale (the recording is over) and holds what get_snapshot says.
 *
 *     060_lws_client HOST PORT PATH VENUE SYMBOL...
 *
 * Prints one line of JSON per market, in the order of the arguments: symbol, per channel the
 * messages and the last seq, both books as text, the ids of the trades. Exit code 0, or 1 after the
 * first broken rule, which is named on stderr.
 */
#include "060_lws_book.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <libwebsockets.h>

enum {
    BEST_DEPTH = 10,
    TRADES_OF_SNAPSHOT = 50,
    MARKETS_MAX = 16,
    NAME_BYTES = 128,
    REQUEST_BYTES = 1024,
    SECONDS_MAX = 50, /* less than the driver waits: only here is known what is missing */
};

/* Channels of a market. */
enum { BEST, FULL, TRADES, CHANNELS };

/* The error of get_snapshot where nothing was ever published: a market without trades. */
enum { NO_SNAPSHOT_YET = 4003 };

/* Requests of a connection, in order; their ids: a subscribe, then a get_snapshot per channel. */
enum { SUBSCRIBE, FINAL, REQUESTS = FINAL + CHANNELS };

typedef struct channel {
    char name[NAME_BYTES];
    book_t book; /* its scale also in trades */
    json_int_t seq;
    unsigned messages;
    bool subscribed;
    bool started; /* has its snapshot */
    bool live;
    bool gone; /* the venue is; data from before that may still come */
    bool answered;
    book_t final_book; /* what get_snapshot said then */
    json_int_t final_seq;
} channel_t;

typedef struct market {
    const char *symbol;
    channel_t channel[CHANNELS];
    json_t *trade_ids;
    char *text; /* a message so far: it may come in pieces */
    size_t text_bytes;
    int asked;  /* requests written */
    int to_ask; /* requests to be written by now */
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

static bool broken(const channel_t *channel, const char *rule)
{
    (void)fprintf(stderr, "%s: %s (held seq %lld)\n", channel->name, rule, (long long)channel->seq);
    run.failed = true;
    return false;
}

/* ---- messages ---- */

static bool string_is(const json_t *object, const char *key, const char *text)
{
    const char *found = json_string_value(json_object_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

static bool on_book(channel_t *channel, book_t *book, const json_t *params, bool snapshot)
{
    const json_t *data = json_object_get(params, "data");
    const json_t *cs = json_object_get(params, "cs");
    if (snapshot ? !book_replace(book, data) : !book_update(book, data))
        return broken(channel, "levels that cannot be applied");
    if (!json_is_integer(cs) || json_integer_value(cs) != book_checksum(book))
        return broken(channel, "cs is not that of the book");
    return channel->live && book_crossed(book) ? broken(channel, "crossed while live") : true;
}

/* An update has the trades after the seq held, one number each. */
static bool on_trades(market_t *market, const json_t *params, bool snapshot)
{
    channel_t *channel = &market->channel[TRADES];
    const json_t *data = json_object_get(params, "data");
    json_int_t count = (json_int_t)json_array_size(data);
    json_int_t seq = json_integer_value(json_object_get(params, "seq"));
    if (snapshot ? count != (seq < TRADES_OF_SNAPSHOT ? seq : TRADES_OF_SNAPSHOT)
                 : count != seq - channel->seq || count == 0)
        return broken(channel, "not as many trades as seq and prev say");
    if (snapshot && json_array_size(market->trade_ids) > 0)
        return broken(channel, "a second list of trades");
    for (size_t i = 0; i < json_array_size(data); i++) {
        json_t *id = json_object_get(json_array_get(data, i), "id");
        if (!json_is_string(id) || json_array_append(market->trade_ids, id) != 0)
            return broken(channel, "a trade without id");
    }
    return true;
}

static void take_state(channel_t *channel, const json_t *params)
{
    channel->live = string_is(params, "state", "live");
    channel->gone =
        string_is(params, "state", "stale") && string_is(params, "reason", "venue_disconnected");
}

static bool on_data(market_t *market, channel_t *channel, const json_t *params)
{
    bool snapshot = string_is(params, "type", "snapshot");
    const json_t *prev = json_object_get(params, "prev");
    const json_t *seq = json_object_get(params, "seq");
    if (!channel->subscribed)
        return broken(channel, "data before the reply");
    if (snapshot || string_is(params, "type", "state"))
        take_state(channel, params);
    if (string_is(params, "type", "state"))
        return true;
    if (!json_is_integer(seq))
        return broken(channel, "no seq");
    if (snapshot && !json_is_null(prev))
        return broken(channel, "snapshot with prev");
    if (!snapshot && !channel->started)
        return broken(channel, "update before the snapshot");
    if (!snapshot && (!json_is_integer(prev) || json_integer_value(prev) != channel->seq))
        return broken(channel, "prev is not the seq held");
    if (!snapshot && json_integer_value(seq) <= channel->seq)
        return broken(channel, "seq does not go on");
    if (channel == &market->channel[TRADES] ? !on_trades(market, params, snapshot)
                                            : !on_book(channel, &channel->book, params, snapshot))
        return false;
    channel->started = true;
    channel->seq = json_integer_value(seq);
    channel->messages++;
    return true;
}

/* Under a new scale a book starts again with a snapshot; trades just go on. */
static bool on_described(const market_t *market, channel_t *channel, const json_t *entry)
{
    json_int_t px_dp = json_integer_value(json_object_get(entry, "px_dp"));
    json_int_t sz_dp = json_integer_value(json_object_get(entry, "sz_dp"));
    json_int_t depth_max = json_integer_value(json_object_get(entry, "depth_max"));
    if (px_dp < 0 || px_dp > BOOK_PLACES_MAX || sz_dp < 0 || sz_dp > BOOK_PLACES_MAX)
        return broken(channel, "more places than a number has");
    book_open(&channel->book, (int)px_dp, (int)sz_dp,
              channel == &market->channel[FULL] ? (size_t)depth_max : BEST_DEPTH);
    channel->subscribed = true;
    channel->started = channel->started && channel == &market->channel[TRADES];
    return true;
}

static channel_t *channel_of(market_t *market, const json_t *params)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (string_is(params, "channel", market->channel[i].name))
            return &market->channel[i];
    }
    return NULL;
}

static bool on_subscribed(market_t *market, const json_t *result)
{
    const json_t *entries = json_object_get(result, "subscribed");
    if (json_array_size(entries) != CHANNELS)
        return broken(&market->channel[0], "subscribe failed");
    for (size_t i = 0; i < CHANNELS; i++) {
        channel_t *channel = channel_of(market, json_array_get(entries, i));
        if (channel == NULL)
            return broken(&market->channel[i], "a reply about something else");
        if (!on_described(market, channel, json_array_get(entries, i)))
            return false;
    }
    return true;
}

/* The end of a channel as get_snapshot has it. */
static bool on_final(market_t *market, channel_t *channel, const json_t *result)
{
    if (!string_is(result, "channel", channel->name))
        return broken(channel, "a snapshot of something else");
    channel->answered = true;
    channel->final_seq = json_integer_value(json_object_get(result, "seq"));
    book_open(&channel->final_book, channel->book.px_dp, channel->book.sz_dp, channel->book.depth);
    return channel == &market->channel[TRADES] ||
           on_book(channel, &channel->final_book, result, true);
}

static bool on_reply(market_t *market, const json_t *reply)
{
    const json_t *result = json_object_get(reply, "result");
    const json_t *code = json_object_get(json_object_get(reply, "error"), "code");
    json_int_t id = json_integer_value(json_object_get(reply, "id"));
    if (id < 0 || id >= market->asked)
        return broken(&market->channel[0], "a reply to nothing");
    if (id == FINAL + TRADES && json_integer_value(code) == NO_SNAPSHOT_YET) {
        market->channel[TRADES].answered = true;
        return true;
    }
    if (result == NULL)
        return broken(&market->channel[0], "an error for a reply");
    return id == SUBSCRIBE ? on_subscribed(market, result)
                           : on_final(market, &market->channel[id - FINAL], result);
}

static bool on_message(market_t *market, const json_t *message)
{
    const json_t *params = json_object_get(message, "params");
    channel_t *channel = channel_of(market, params);
    if (json_object_get(message, "method") == NULL)
        return on_reply(market, message);
    bool data = string_is(message, "method", "subscription");
    if (channel == NULL)
        return data ? broken(&market->channel[0], "data of another channel") : true;
    if (string_is(message, "method", "gap"))
        return broken(channel, "a gap");
    if (string_is(message, "method", "subscribed"))
        return on_described(market, channel, params);
    return data ? on_data(market, channel, params) : true;
}

static bool on_text(market_t *market, const void *piece, size_t bytes, bool last)
{
    char *text = realloc(market->text, market->text_bytes + bytes);
    if (text == NULL)
        return broken(&market->channel[0], "out of memory");
    memcpy(text + market->text_bytes, piece, bytes);
    market->text = text;
    market->text_bytes += bytes;
    if (!last)
        return true;
    json_t *message = json_loadb(market->text, market->text_bytes, JSON_REJECT_DUPLICATES, NULL);
    market->text_bytes = 0;
    bool good =
        message != NULL ? on_message(market, message) : broken(&market->channel[0], "not JSON");
    json_decref(message);
    return good;
}

/* ---- the end ---- */

static bool all_gone(const market_t *market)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (!market->channel[i].gone)
            return false;
    }
    return true;
}

/* The state tells the end before the last data does, so compare. A depth may have an older seq than
 * its market, when what changed last was not visible there: books are compared as books. */
static bool channel_over(const market_t *market, const channel_t *channel)
{
    if (!channel->gone || !channel->answered || !channel->started)
        return false;
    return channel == &market->channel[TRADES] ? channel->seq == channel->final_seq
                                               : book_same(&channel->book, &channel->final_book);
}

static const channel_t *unfinished(const market_t *market)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (!channel_over(market, &market->channel[i]))
            return &market->channel[i];
    }
    return NULL;
}

static bool all_over(void)
{
    for (size_t i = 0; i < run.markets; i++) {
        if (unfinished(&run.market[i]) != NULL)
            return false;
    }
    return true;
}

/* ---- libwebsockets ---- */

static int ask(market_t *market, struct lws *wsi)
{
    unsigned char request[LWS_PRE + REQUEST_BYTES];
    char *text = (char *)request + LWS_PRE;
    const channel_t *channel = market->channel;
    int bytes = 0;
    if (market->asked == market->to_ask)
        return 0;
    if (market->asked == SUBSCRIBE)
        bytes = snprintf(text, REQUEST_BYTES,
                         "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"subscribe\","
                         "\"params\":{\"channels\":[\"%s\",\"%s\",\"%s\"]}}",
                         market->asked, channel[0].name, channel[1].name, channel[2].name);
    else
        bytes = snprintf(text, REQUEST_BYTES,
                         "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"get_snapshot\","
                         "\"params\":{\"channel\":\"%s\"}}",
                         market->asked, channel[market->asked - FINAL].name);
    if (lws_write(wsi, request + LWS_PRE, (size_t)bytes, LWS_WRITE_TEXT) != bytes)
        return -1;
    market->asked++;
    lws_callback_on_writable(wsi);
    return 0;
}

static int receive(market_t *market, struct lws *wsi, const void *piece, size_t bytes)
{
    bool last = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
    if (!on_text(market, piece, bytes, last))
        return -1;
    if (market->to_ask == FINAL && all_gone(market)) {
        market->to_ask = REQUESTS;
        lws_callback_on_writable(wsi);
    }
    return 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t bytes)
{
    market_t *market = user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        (void)broken(&market->channel[0], in != NULL ? in : "no connection");
        return -1;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        market->to_ask = FINAL;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return ask(market, wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return receive(market, wsi, in, bytes);
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (!run.failed && unfinished(market) != NULL)
            (void)broken(unfinished(market), "closed before the end");
        return 0;
    default:
        return 0;
    }
}

static void market_connect(struct lws_context *context, market_t *market, const char *symbol)
{
    market->symbol = symbol;
    market->trade_ids = json_array();
    (void)snprintf(market->channel[BEST].name, NAME_BYTES, "book.%s.%s.10.raw", run.venue, symbol);
    (void)snprintf(market->channel[FULL].name, NAME_BYTES, "book.%s.%s.full.100ms", run.venue,
                   symbol);
    (void)snprintf(market->channel[TRADES].name, NAME_BYTES, "trades.%s.%s.raw", run.venue, symbol);
    const struct lws_client_connect_info info = {.context = context,
                                                 .address = run.host,
                                                 .port = run.port,
                                                 .path = run.path,
                                                 .host = run.host,
                                                 .origin = run.host,
                                                 .protocol = "tickfan.v1.json",
                                                 .local_protocol_name = "tickfan.v1.json",
                                                 .userdata = market};
    if (lws_client_connect_via_info(&info) == NULL)
        (void)broken(&market->channel[0], "cannot connect");
}

/* Somebody must end the run when nothing comes any more. */
static void too_late(lws_sorted_usec_list_t *timer)
{
    (void)timer;
    for (size_t i = 0; i < run.markets; i++) {
        if (unfinished(&run.market[i]) != NULL)
            (void)broken(unfinished(&run.market[i]), "does not come to its end");
    }
}

static void market_print(const market_t *market)
{
    const channel_t *channel = market->channel;
    json_t *line = json_pack("{s:s, s:[iii], s:[III], s:o, s:o, s:O}", "symbol", market->symbol,
                             "messages", channel[BEST].messages, channel[FULL].messages,
                             channel[TRADES].messages, "seq", channel[BEST].seq, channel[FULL].seq,
                             channel[TRADES].seq, "best", book_text(&channel[BEST].book), "full",
                             book_text(&channel[FULL].book), "trades", market->trade_ids);
    if (json_dumpf(line, stdout, JSON_COMPACT) != 0)
        (void)broken(channel, "cannot be printed");
    (void)putchar('\n');
    json_decref(line);
}

static void market_free(market_t *market)
{
    for (int i = 0; i < CHANNELS; i++) {
        book_free(&market->channel[i].book);
        book_free(&market->channel[i].final_book);
    }
    json_decref(market->trade_ids);
    free(market->text);
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
    lws_sorted_usec_list_t timer = {0};
    lws_sul_schedule(context, 0, &timer, too_late, (lws_usec_t)SECONDS_MAX * LWS_US_PER_SEC);
    for (int i = 5; i < argc; i++)
        market_connect(context, &run.market[run.markets++], argv[i]);
    while (!run.failed && !all_over())
        (void)lws_service(context, 0);
    lws_sul_cancel(&timer);
    lws_context_destroy(context);
    for (size_t i = 0; i < run.markets; i++) {
        if (!run.failed)
            market_print(&run.market[i]);
        market_free(&run.market[i]);
    }
    return run.failed ? 1 : 0;
}
