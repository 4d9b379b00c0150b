#include "kit/kit.h"

#include "fanout_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_TEXT = 1, FRAME_CLOSE = 8, FRAME_PING = 9, FRAME_PONG = 10, REQUEST_BYTES_MAX = 2048 };

static void broken(const client_t *client, const char *what, const json_t *message)
{
    char name[32];
    (void)snprintf(name, sizeof name, "client %u", client->io);
    violation(client->judge, name, what, message);
}

bool client_connect(client_t *client, judge_t *judge, fake_io_t *fake, int64_t beat_ms)
{
    static const char head[] = "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    *client = (client_t){.judge = judge,
                         .fake = fake,
                         .id_next = 1,
                         .reads = true,
                         .beat_ms = beat_ms,
                         .beat_ns = judge->world->mono_ns};
    client->io = fake_io_connect(fake);
    if (client->io == FAKE_CLIENTS_MAX)
        return false;
    client->state = CLIENT_HANDSHAKE;
    fake_io_put(fake, client->io, head, sizeof head - 1);
    return true;
}

void client_fini(client_t *client)
{
    free(client->in);
    *client = (client_t){0};
}

/* ---- asking ---- */

void client_frame(client_t *client, uint8_t opcode, const void *payload, size_t bytes)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t frame[REQUEST_BYTES_MAX + 8];
    const uint8_t *from = payload;
    size_t at = 0;
    assert_true(bytes <= REQUEST_BYTES_MAX);
    frame[at++] = (uint8_t)(0x80 | opcode);
    if (bytes < 126) {
        frame[at++] = (uint8_t)(0x80 | bytes);
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(bytes >> 8);
        frame[at++] = (uint8_t)bytes;
    }
    memcpy(frame + at, mask, sizeof mask);
    at += sizeof mask;
    for (size_t i = 0; i < bytes; i++)
        frame[at++] = from[i] ^ mask[i % 4];
    fake_io_put(client->fake, client->io, frame, at);
}

static void request(client_t *client, ask_t ask, uint32_t names, const char *method,
                    const char *params)
{
    char text[REQUEST_BYTES_MAX];
    if (client->pending_count == PENDING_MAX)
        return;
    int bytes = snprintf(text, sizeof text,
                         "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64 ",\"method\":\"%s\",\"params\":%s}",
                         client->id_next, method, params);
    client->pending[client->pending_count++] = (pending_t){client->id_next++, ask, names};
    client_frame(client, FRAME_TEXT, text, (size_t)bytes);
}

static size_t random_name(char *out, tf_rng_t *rng)
{
    static const char *const kinds[] = {"ticker", "bbo", "trades", "book"};
    static const char *const rates[] = {"raw", "100ms", "250ms", "1s"};
    static const char *const depths[] = {"1", "10", "25", "50", "full"};
    uint32_t which = (uint32_t)tf_rng_below(rng, MARKETS_MAX);
    const char *symbol = market_symbols[which];
    const char *venue = market_venues[market_venue(which)];
    uint64_t kind = tf_rng_below(rng, 7);
    if (kind == 6)
        return (size_t)sprintf(out, "%s.%s", tf_rng_below(rng, 2) == 0 ? "status" : "instruments",
                               venue);
    kind = kind > KIND_BOOK ? KIND_BOOK : kind;
    const char *rate = rates[tf_rng_below(rng, kind == KIND_TRADES ? 2 : 4)];
    if (tf_rng_below(rng, 2) == 0)
        rate = rates[0];
    if (kind != KIND_BOOK)
        return (size_t)sprintf(out, "%s.%s.%s.%s", kinds[kind], venue, symbol, rate);
    return (size_t)sprintf(out, "book.%s.%s.%s.%s", venue, symbol, depths[tf_rng_below(rng, 5)],
                           rate);
}

void client_subscribe(client_t *client, tf_rng_t *rng)
{
    char params[REQUEST_BYTES_MAX / 2];
    size_t at = (size_t)sprintf(params, "{\"channels\":[");
    uint32_t names = 1 + (uint32_t)tf_rng_below(rng, 4);
    for (uint32_t i = 0; i < names; i++) {
        at += (size_t)sprintf(params + at, "%s\"", i > 0 ? "," : "");
        at += random_name(params + at, rng);
        at += (size_t)sprintf(params + at, "\"");
    }
    (void)sprintf(params + at, "]}");
    request(client, ASK_SUBSCRIBE, names, "subscribe", params);
}

void client_unsubscribe(client_t *client, tf_rng_t *rng)
{
    char params[128];
    const held_t *held = &client->held[tf_rng_below(rng, HELD_MAX)];
    if (!held->active)
        return;
    (void)snprintf(params, sizeof params, "{\"channels\":[\"%s\"]}", held->name);
    request(client, ASK_UNSUBSCRIBE, 1, "unsubscribe", params);
}

void client_ask(client_t *client, ask_t ask, tf_rng_t *rng)
{
    static const char *const methods[] = {
        [ASK_PING] = "ping",
        [ASK_INSTRUMENTS] = "get_instruments",
        [ASK_SNAPSHOT] = "get_snapshot",
        [ASK_UNSUBSCRIBE_ALL] = "unsubscribe_all",
        [ASK_LIST] = "list_subscriptions",
        [ASK_HEARTBEAT] = "set_heartbeat",
    };
    char params[128] = "{}";
    uint32_t which = (uint32_t)tf_rng_below(rng, MARKETS_MAX);
    uint32_t seconds = (uint32_t)tf_rng_below(rng, 2);
    if (ask == ASK_SNAPSHOT)
        (void)snprintf(params, sizeof params, "{\"channel\":\"book.%s.%s.%s\"}",
                       market_venues[market_venue(which)], market_symbols[which],
                       tf_rng_below(rng, 2) == 0 ? "10" : "full");
    else if (ask == ASK_HEARTBEAT)
        (void)snprintf(params, sizeof params, "{\"interval_s\":%u}", seconds);
    request(client, ask, seconds, methods[ask], params);
}

void client_ping(client_t *client)
{
    client->ping_sent++;
    client_frame(client, FRAME_PING, &client->ping_sent, sizeof client->ping_sent);
}

/* ---- held ---- */

static uint32_t held_place(const client_t *client, const char *name)
{
    uint32_t i = 0;
    while (i < HELD_MAX && (!client->held[i].active || strcmp(client->held[i].name, name) != 0))
        i++;
    return i;
}

static const held_t *held_find(const client_t *client, const char *name)
{
    uint32_t i = held_place(client, name);
    return i < HELD_MAX ? &client->held[i] : NULL;
}

held_t *client_held(client_t *client, const char *name)
{
    uint32_t i = held_place(client, name);
    return i < HELD_MAX ? &client->held[i] : NULL;
}

static held_t *held_new(client_t *client, const char *name)
{
    static const char *const kinds[] = {"ticker.", "bbo.",         "trades.",
                                        "book.",   "instruments.", "status."};
    held_t *held = client->held;
    while (held < client->held + HELD_MAX && held->active)
        held++;
    if (held == client->held + HELD_MAX)
        broken(client, "more subscriptions than the limit", NULL);
    *held = (held_t){.active = true, .depth = MARKET_DEPTH};
    (void)snprintf(held->name, sizeof held->name, "%s", name);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (strncmp(name, kinds[kind], strlen(kinds[kind])) == 0)
            held->kind = (kind_t)kind;
    }
    for (uint32_t i = 0; i < MARKETS_MAX; i++) {
        if (strstr(name, market_symbols[i]) != NULL)
            held->which = i;
    }
    for (uint32_t i = 0; i < VENUES_MAX && kind_of_venue(held->kind); i++) {
        if (strstr(name, market_venues[i]) != NULL)
            held->which = i;
    }
    static const uint32_t depths[] = {1, 10, 25, 50};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        char field[16];
        (void)snprintf(field, sizeof field, ".%u.", depths[i]);
        if (strstr(name, field) != NULL)
            held->depth = depths[i];
    }
    return held;
}

/* ---- replies ---- */

static void subscribed_reply(client_t *client, const pending_t *asked, const json_t *result)
{
    const json_t *list = json_object_get(result, "subscribed");
    const json_t *failed = json_object_get(result, "failed");
    if (!json_is_array(list) || json_array_size(list) + json_array_size(failed) != asked->names)
        broken(client, "a subscribe reply that leaves names out", result);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = field_text(client->judge, entry, "channel");
        if (client_held(client, name) == NULL)
            held_begin(client->judge, held_new(client, name), entry);
    }
    for (size_t i = 0; i < json_array_size(failed); i++) {
        const json_t *entry = json_array_get(failed, i);
        json_int_t code = json_integer_value(json_object_get(entry, "code"));
        bool held = client_held(client, field_text(client->judge, entry, "channel")) != NULL;
        bool known = (!held && (code == 2002 || code == 2003 || code == 2005)) ||
                     (code == -32603 && client->oom);
        if (!known)
            broken(client, "a subscription failed for no reason", result);
        client->judge->tally.errors++;
    }
}

static void unsubscribed_reply(client_t *client, const json_t *result)
{
    const judge_t *judge = client->judge;
    const json_t *list = json_object_get(result, "unsubscribed");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        held_t *held = name != NULL ? client_held(client, name) : NULL;
        if (held != NULL)
            held->active = false;
    }
    const json_t *failed = json_object_get(result, "failed");
    for (size_t i = 0; i < json_array_size(failed); i++) {
        const json_t *entry = json_array_get(failed, i);
        if (client_held(client, field_text(judge, entry, "channel")) != NULL)
            broken(client, "can't end what it has", result);
    }
}

/* Everything it has, and nothing else, at this point of the wire. */
static void unsubscribed_all_reply(client_t *client, const json_t *result)
{
    unsubscribed_reply(client, result);
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (client->held[i].active)
            broken(client, "left out by unsubscribe_all", result);
    }
}

static uint32_t active_count(const client_t *client)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < HELD_MAX; i++)
        count += client->held[i].active;
    return count;
}

static void list_reply(const client_t *client, const json_t *result)
{
    const json_t *list = json_object_get(result, "subscriptions");
    if (json_array_size(list) != active_count(client))
        broken(client, "another number of subscriptions", result);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const held_t *held = held_find(client, field_text(client->judge, entry, "channel"));
        const json_t *seq = json_object_get(entry, "seq");
        if (held == NULL || !json_is_boolean(json_object_get(entry, "behind")) ||
            strcmp(field_text(client->judge, entry, "lag"), "conflate") != 0)
            broken(client, "lists what it does not have", result);
        else if (!json_is_null(seq) &&
                 (!held->have || (uint64_t)json_integer_value(seq) != held->seq ||
                  field_uint(client->judge, entry, "sid") != held->sid))
            broken(client, "lists another seq than it holds", result);
    }
}

static void heartbeat_reply(client_t *client, const pending_t *asked)
{
    client->beat_ms = asked->names * 1000;
    client->beat_ns = client->judge->world->mono_ns;
}

static void reply(client_t *client, const json_t *message)
{
    const json_t *result = json_object_get(message, "result");
    const json_t *error = json_object_get(message, "error");
    uint64_t id = field_uint(client->judge, message, "id");
    if (client->pending_count == 0 || client->pending[0].id != id)
        broken(client, "a reply out of order", message);
    pending_t asked = client->pending[0];
    client->pending_count--;
    memmove(client->pending, client->pending + 1, client->pending_count * sizeof asked);
    client->judge->tally.replies++;
    client->us_in = field_uint(client->judge, message, "us_in");
    if (error != NULL) {
        json_int_t code = json_integer_value(json_object_get(error, "code"));
        bool fine = asked.ask == ASK_SNAPSHOT && (code == 4003 || code == 2003 || code == 2002);
        if (!fine && !(code == -32603 && client->oom))
            broken(client, "an error for no reason", message);
        client->judge->tally.errors++;
    } else if (asked.ask == ASK_SUBSCRIBE) {
        subscribed_reply(client, &asked, result);
    } else if (asked.ask == ASK_UNSUBSCRIBE) {
        unsubscribed_reply(client, result);
    } else if (asked.ask == ASK_SNAPSHOT) {
        judge_snapshot_alone(client->judge, result);
    } else if (asked.ask == ASK_UNSUBSCRIBE_ALL) {
        unsubscribed_all_reply(client, result);
    } else if (asked.ask == ASK_LIST) {
        list_reply(client, result);
    } else if (asked.ask == ASK_HEARTBEAT) {
        heartbeat_reply(client, &asked);
    }
}

/* ---- heartbeats ---- */

/* A sid is of the newest epoch: what is held of an older one may have had the same. */
static bool quiet_holds(const client_t *client, uint64_t sid, uint64_t seq)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        const held_t *held = &client->held[i];
        if (held->active && held->have && held->sid == sid && held->seq == seq &&
            held->messages == 0)
            return true;
    }
    return false;
}

static void quiet_check(const client_t *client, const json_t *params, size_t at)
{
    const json_t *list = json_object_get(params, "quiet");
    const json_t *entry = json_array_get(list, at);
    uint64_t sid = field_uint(client->judge, entry, "sid");
    for (size_t i = 0; i < at; i++) {
        if (field_uint(client->judge, json_array_get(list, i), "sid") == sid)
            broken(client, "quiet twice", params);
    }
    if (!quiet_holds(client, sid, field_uint(client->judge, entry, "seq")))
        broken(client, "quiet, and not held, or at another seq, or not quiet at all", params);
}

static void heartbeat(client_t *client, const json_t *params)
{
    uint64_t silent = 0;
    client->beat_quiet = json_array_size(json_object_get(params, "quiet"));
    client->beat_behind = field_uint(client->judge, params, "behind");
    if (field_uint(client->judge, params, "sent") != client->messages)
        broken(client, "another number of messages", params);
    if (field_uint(client->judge, params, "quiet_more") != 0 ||
        client->beat_quiet + client->beat_behind > active_count(client))
        broken(client, "more than there are", params);
    for (size_t i = 0; i < client->beat_quiet; i++)
        quiet_check(client, params, i);
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        silent += client->held[i].active && client->held[i].messages == 0;
        client->held[i].messages = 0;
    }
    if (silent > client->beat_quiet + client->beat_behind)
        broken(client, "silence that is not accounted for", params);
    client->judge->tally.beats++;
    client->judge->tally.quiet += client->beat_quiet;
    client->messages = 0;
    client->beat_ns = client->judge->world->mono_ns;
}

/* Not up to date in the end is only what the region has not. */
void client_beats_settled(const client_t *client)
{
    const world_t *world = client->judge->world;
    uint64_t missing = 0;
    for (uint32_t i = 0; i < HELD_MAX; i++)
        missing += client->held[i].active && !held_is_there(client->judge, &client->held[i]);
    if (client->beat_ms == 0 || world->region == NULL)
        return;
    if (world->mono_ns - client->beat_ns > 2 * client->beat_ms * TF_NS_PER_MS)
        broken(client, "no heartbeat", NULL);
    if (client->beat_behind > missing || client->beat_quiet + missing < active_count(client))
        broken(client, "a heartbeat that leaves something out in the end", NULL);
}

/* ---- messages ---- */

static void held_end(client_t *client, held_t *held, const json_t *params)
{
    held_ended(client->judge, held, params);
    held->active = false;
}

static void notification(client_t *client, const char *method, const json_t *message)
{
    const json_t *params = json_object_get(message, "params");
    if (strcmp(method, "hello") == 0) {
        if (!json_is_array(json_object_get(params, "venues")))
            broken(client, "a hello without venues", message);
        return;
    }
    if (strcmp(method, "heartbeat") == 0) {
        heartbeat(client, params);
        return;
    }
    held_t *held = client_held(client, field_text(client->judge, params, "channel"));
    if (held == NULL) {
        broken(client, "of a channel that it does not have", message);
        return;
    }
    held->messages++;
    client->messages++;
    if (strcmp(method, "subscription") == 0)
        held_data(client->judge, held, params);
    else if (strcmp(method, "subscribed") == 0)
        held_announced(client->judge, held, params);
    else if (strcmp(method, "lag") == 0)
        held_lag(client->judge, held, params);
    else if (strcmp(method, "gap") == 0)
        held_gap(client->judge, held, params);
    else if (strcmp(method, "unsubscribed") == 0)
        held_end(client, held, params);
    else
        broken(client, "an unknown notification", message);
}

static void text_message(client_t *client, const uint8_t *data, size_t bytes)
{
    json_error_t error;
    json_t *message = json_loadb((const char *)data, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(message)) {
        print_error("%s in %.*s\n", error.text, (int)(bytes < 2000 ? bytes : 2000), data);
        broken(client, "not a JSON object", NULL);
    }
    const json_t *method = json_object_get(message, "method");
    if (json_is_string(method))
        notification(client, json_string_value(method), message);
    else
        reply(client, message);
    json_decref(message);
}

static void closed(client_t *client, const uint8_t *data, size_t bytes)
{
    unsigned code = bytes >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;
    client->judge->tally.closes++;
    if (!client->may_close) {
        print_error("close %u\n", code);
        broken(client, "closed for no reason", NULL);
    }
    client->state = CLIENT_CLOSED;
}

static void message(client_t *client, uint8_t first, const uint8_t *data, size_t bytes)
{
    if (client->state == CLIENT_CLOSED)
        broken(client, "a frame after the close", NULL);
    uint64_t number = 0;
    switch (first) {
    case 0x80 | FRAME_TEXT:
        text_message(client, data, bytes);
        break;
    case 0x80 | FRAME_PING:
        client->judge->tally.pings++;
        client_frame(client, FRAME_PONG, data, bytes);
        break;
    case 0x80 | FRAME_PONG:
        client->judge->tally.pongs++;
        if (bytes == sizeof number)
            memcpy(&number, data, sizeof number);
        if (number <= client->pong_got || number > client->ping_sent)
            broken(client, "a pong for no ping, or out of order", NULL);
        client->pong_got = number;
        break;
    case 0x80 | FRAME_CLOSE:
        closed(client, data, bytes);
        break;
    default:
        broken(client, "an illegal frame", NULL);
    }
}

/* One frame at the front; its bytes, 0 when it is not whole yet. */
static size_t frame_take(client_t *client, const uint8_t *data, size_t bytes)
{
    if (bytes < 2)
        return 0;
    size_t header = 2;
    size_t payload = data[1];
    if (payload == 126)
        header = 4;
    else if (payload == 127)
        header = 10;
    else if (payload > 127)
        broken(client, "a masked frame", NULL);
    if (bytes < header)
        return 0;
    if (header > 2) {
        payload = 0;
        for (size_t i = 2; i < header; i++)
            payload = payload << 8 | data[i];
    }
    if (bytes - header < payload)
        return 0;
    message(client, data[0], data + header, payload);
    return header + payload;
}

static size_t head_take(client_t *client, const uint8_t *data, size_t bytes)
{
    static const char status[] = "HTTP/1.1 101 ";
    const uint8_t *end = bytes > 0 ? memmem(data, bytes, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        return 0;
    if (memcmp(data, status, sizeof status - 1) != 0)
        broken(client, "the handshake was refused", NULL);
    client->state = CLIENT_OPEN;
    return (size_t)(end - data) + 4;
}

void client_look(client_t *client)
{
    size_t bytes;
    const uint8_t *data = fake_io_take(client->fake, client->io, &bytes);
    if (bytes > client->in_room - client->in_bytes) {
        client->in_room = 2 * (client->in_bytes + bytes);
        client->in = realloc(client->in, client->in_room);
        assert_non_null(client->in);
    }
    if (bytes > 0)
        memcpy(client->in + client->in_bytes, data, bytes);
    client->in_bytes += bytes;
    size_t at = 0;
    for (;;) {
        size_t taken = client->state == CLIENT_HANDSHAKE
                           ? head_take(client, client->in + at, client->in_bytes - at)
                           : frame_take(client, client->in + at, client->in_bytes - at);
        if (taken == 0)
            break;
        at += taken;
    }
    if (at > 0) {
        client->in_bytes -= at;
        memmove(client->in, client->in + at, client->in_bytes);
    }
}
