#include "kit/kit.h"

#include "base/status.h"
#include "sim_consumer.h"
#include "venue/adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { LEVELS_MAX = 4000, SCALE_DP = 8 };

static int64_t scaled(const json_t *json)
{
    const char *text = json_string_value(json);
    assert_non_null(text);
    int64_t value = 0;
    int decimals = -1;
    for (; *text != '\0'; text++) {
        if (*text == '.') {
            decimals = 0;
            continue;
        }
        assert_true(*text >= '0' && *text <= '9');
        value = value * 10 + (*text - '0');
        decimals += decimals >= 0 ? 1 : 0;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < SCALE_DP; i++) {
        value *= 10;
    }
    return value;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    assert_non_null(text);
    return text;
}

static market_t *market_of(world_t *world, const char *symbol)
{
    for (uint32_t i = 0; i < world->markets; i++) {
        if (strcmp(world->market[i].symbol, symbol) == 0) {
            return &world->market[i];
        }
    }
    fail_msg("unknown product %s", symbol);
    return NULL;
}

void best_of(const market_t *market, int64_t *bid, int64_t *ask)
{
    *bid = 0;
    *ask = INT64_MAX;
    for (size_t i = 0; i < market->entries; i++) {
        const entry_t *entry = &market->entry[i];
        if (entry->bid && entry->px > *bid) {
            *bid = entry->px;
        } else if (!entry->bid && entry->px < *ask) {
            *ask = entry->px;
        }
    }
    assert_true(*bid > 0 && *ask < INT64_MAX);
    assert_true(*bid < *ask); /* never crossed */
}

static entry_t *entry_find(market_t *market, bool bid, int64_t px)
{
    for (size_t i = 0; i < market->entries; i++) {
        if (market->entry[i].bid == bid && market->entry[i].px == px) {
            return &market->entry[i];
        }
    }
    return NULL;
}

static void take_side(market_t *market, const json_t *levels, bool bid)
{
    size_t i;
    const json_t *level;
    int64_t before = 0;
    json_array_foreach(levels, i, level)
    {
        const int64_t px = scaled(json_array_get(level, 0));
        const int64_t sz = scaled(json_array_get(level, 1));
        assert_true(i == 0 || (bid ? px < before : px > before)); /* best first, strictly */
        assert_true(sz > 0 && px > 0);
        before = px;
        assert_true(market->entries < LEVELS_MAX);
        market->entry[market->entries++] = (entry_t){px, sz, bid};
    }
}

static void on_snapshot(market_t *market, const json_t *json)
{
    market->entries = 0;
    assert_true(market->subscribed_book);
    take_side(market, json_object_get(json, "asks"), false);
    take_side(market, json_object_get(json, "bids"), true);
    market->have_book = true;
    market->snapshots++;
}

static void on_change(market_t *market, const json_t *change)
{
    const char *side = json_string_value(json_array_get(change, 0));
    const int64_t px = scaled(json_array_get(change, 1));
    const int64_t sz = scaled(json_array_get(change, 2));
    const bool bid = strcmp(side, "buy") == 0;
    assert_true(bid || strcmp(side, "sell") == 0);
    entry_t *entry = entry_find(market, bid, px);
    if (sz == 0) {
        assert_non_null(entry); /* every removal is of an existing level */
        *entry = market->entry[--market->entries];
    } else if (entry != NULL) {
        entry->sz = sz;
    } else {
        assert_true(market->entries < LEVELS_MAX);
        market->entry[market->entries++] = (entry_t){px, sz, bid};
    }
    market->changes++;
}

static void on_l2update(market_t *market, const json_t *json)
{
    const json_t *changes = json_object_get(json, "changes");
    size_t i;
    const json_t *change;
    int64_t bid;
    int64_t ask;
    assert_true(market->subscribed_book && market->have_book);
    assert_in_range(json_array_size(changes), 1, 20);
    json_array_foreach(changes, i, change)
    {
        for (size_t k = 0; k < i; k++) { /* no level twice in one message */
            const json_t *other = json_array_get(changes, k);
            assert_false(json_equal(json_array_get(other, 0), json_array_get(change, 0)) &&
                         json_equal(json_array_get(other, 1), json_array_get(change, 1)));
        }
        on_change(market, change);
        best_of(market, &bid, &ask);
    }
    if (market->taken) { /* the level that was traded last is changed last */
        const entry_t *left = entry_find(market, market->maker_buys, market->match_px);
        assert_int_equal(left != NULL ? left->sz : 0, market->match_sz);
        market->taken = false;
    }
    market->updates++;
}

static void on_match(market_t *market, const json_t *json, bool history)
{
    const uint64_t id = (uint64_t)json_integer_value(json_object_get(json, "trade_id"));
    const int64_t sz = scaled(json_object_get(json, "size"));
    market->maker_buys = strcmp(text_of(json, "side"), "buy") == 0;
    market->match_px = scaled(json_object_get(json, "price"));
    assert_int_equal(strlen(text_of(json, "maker_order_id")), 36);
    assert_true(sz > 0);
    if (history) {
        assert_true(market->trade_id == 0 || market->trade_id == id);
        market->trade_id = id;
        market->last_matches++;
        return;
    }
    assert_int_equal(id, market->trade_id + 1);
    market->trade_id = id;
    market->matches++;
    if (!market->have_book) {
        return;
    }
    /* Within one order the levels behind the best are taken before the book says so. */
    const entry_t *hit = entry_find(market, market->maker_buys, market->match_px);
    assert_non_null(hit);
    assert_true(sz <= hit->sz);
    if (!market->taken) {
        int64_t best[2];
        best_of(market, &best[1], &best[0]);
        assert_int_equal(market->match_px, best[market->maker_buys]);
        market->orders++;
    }
    market->taken = true;
    market->match_sz = hit->sz - sz;
}

static void on_ticker(market_t *market, const json_t *json)
{
    const int64_t px = scaled(json_object_get(json, "price"));
    assert_true(scaled(json_object_get(json, "high_24h")) >= px);
    assert_true(scaled(json_object_get(json, "low_24h")) <= px);
    assert_true(scaled(json_object_get(json, "low_24h")) > 0);
    assert_true(scaled(json_object_get(json, "open_24h")) > 0);
    if (market->trade_id != 0) {
        assert_int_equal(json_integer_value(json_object_get(json, "trade_id")), market->trade_id);
        assert_int_equal(px, market->match_px);
        /* the ticker names the taker's side, the match the maker's */
        assert_string_equal(text_of(json, "side"), market->maker_buys ? "sell" : "buy");
    }
    if (market->have_book) {
        int64_t bid;
        int64_t ask;
        best_of(market, &bid, &ask);
        assert_int_equal(scaled(json_object_get(json, "best_bid")), bid);
        assert_int_equal(scaled(json_object_get(json, "best_ask")), ask);
        assert_int_equal(scaled(json_object_get(json, "best_bid_size")),
                         entry_find(market, true, bid)->sz);
        assert_int_equal(scaled(json_object_get(json, "best_ask_size")),
                         entry_find(market, false, ask)->sz);
    }
    market->tickers++;
}

static void on_heartbeat(market_t *market, const json_t *json)
{
    if (market->trade_id != 0) {
        assert_int_equal(json_integer_value(json_object_get(json, "last_trade_id")),
                         market->trade_id);
    }
    market->heartbeats++;
}

static void on_product_frame(world_t *world, const char *type, const json_t *json)
{
    market_t *market = market_of(world, text_of(json, "product_id"));
    const uint64_t sequence = (uint64_t)json_integer_value(json_object_get(json, "sequence"));
    if (sequence != 0) {
        assert_true(sequence >= market->sequence && sequence != market->sequence + 1);
        market->sequence = sequence;
    }
    if (strcmp(type, "snapshot") == 0) {
        on_snapshot(market, json);
    } else if (strcmp(type, "l2update") == 0) {
        on_l2update(market, json);
    } else if (strcmp(type, "match") == 0 || strcmp(type, "last_match") == 0) {
        on_match(market, json, type[0] == 'l');
    } else if (strcmp(type, "ticker") == 0) {
        on_ticker(market, json);
    } else {
        assert_string_equal(type, "heartbeat");
        on_heartbeat(market, json);
    }
}

/* Event times lie a little before the receive time. */
static void check_time(const world_t *world, const char *type, const json_t *json)
{
    const char *time = json_string_value(json_object_get(json, "time"));
    int64_t te_ns = 0;
    if (time == NULL) {
        assert_true(strcmp(type, "subscriptions") == 0 || strcmp(type, "error") == 0 ||
                    strcmp(type, "status") == 0);
        return;
    }
    assert_int_equal(strlen(time), strlen("2026-07-07T12:00:00.000000Z"));
    assert_true(tf_time_parse_rfc3339((tf_slice_t){time, strlen(time)}, &te_ns));
    assert_true(te_ns <= world->now_ns);
    if (strcmp(type, "match") == 0 || strcmp(type, "l2update") == 0) {
        assert_true(te_ns > world->now_ns - 5 * TF_NS_PER_MS - world->step_ns);
    }
}

static void transcribe(world_t *world, const tf_source_event_t *event)
{
    if (world->transcript == NULL) {
        return;
    }
    if (world->transcript_bytes + event->bytes + 1 > world->transcript_room) {
        world->transcript_room = 2 * (world->transcript_bytes + event->bytes + 1);
        world->transcript = realloc(world->transcript, world->transcript_room);
        assert_non_null(world->transcript);
    }
    memcpy(world->transcript + world->transcript_bytes, event->text, event->bytes);
    world->transcript_bytes += event->bytes;
    world->transcript[world->transcript_bytes++] = '\n';
}

static void on_frame(world_t *world, const tf_source_event_t *event)
{
    json_t *json = json_loadb(event->text, event->bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL) {
        fail_msg("not JSON: %.*s", (int)event->bytes, event->text);
    }
    const char *type = text_of(json, "type");
    (void)snprintf(world->last, sizeof world->last, "%.*s", (int)event->bytes, event->text);
    check_time(world, type, json);
    transcribe(world, event);
    world->frames++;
    if (strcmp(type, "subscriptions") == 0) {
        world->acknowledgements++;
    } else if (strcmp(type, "error") == 0) {
        world->errors++;
    } else if (strcmp(type, "status") == 0) {
        assert_int_equal(json_array_size(json_object_get(json, "products")), world->markets);
        world->statuses++;
    } else {
        on_product_frame(world, type, json);
    }
    json_decref(json);
}

static void take(world_t *world, const tf_source_event_t *event)
{
    if (event->type == TF_SOURCE_FRAME) {
        on_frame(world, event);
    } else if (event->type == TF_SOURCE_OPENED) {
        world->opened++;
    } else {
        assert_int_equal(event->type, TF_SOURCE_HTTP);
        assert_int_equal(world->opened, 0); /* metadata comes first */
        assert_memory_equal(event->url.text + event->url.bytes - 9, "/products", 9);
        json_t *list = json_loadb(event->text, event->bytes, JSON_REJECT_DUPLICATES, NULL);
        assert_int_equal(json_array_size(list), world->markets);
        json_decref(list);
        world->bodies++;
    }
}

/* Take everything that is due now. Returns how long the source wants to sleep. */
int64_t drain(world_t *world)
{
    tf_source_event_t event;
    for (;;) {
        world->source->ops->poll(world->source, 1000 + world->mono_ns,
                                 world->wall_start_ns + world->mono_ns, &event);
        assert_int_equal(event.now_ns, world->wall_start_ns + world->mono_ns);
        world->now_ns = event.now_ns;
        if (event.type == TF_SOURCE_IDLE) {
            assert_true(event.wake_in_ns > 0);
            return event.wake_in_ns;
        }
        take(world, &event);
    }
}

void run_until(world_t *world, int64_t mono_ns)
{
    for (;;) {
        const int64_t wake_ns = drain(world);
        if (world->mono_ns == mono_ns) {
            return;
        }
        world->mono_ns += world->step_ns > 0 ? world->step_ns : wake_ns;
        world->mono_ns = world->mono_ns < mono_ns ? world->mono_ns : mono_ns;
    }
}

void send_text(world_t *world, const char *text)
{
    world->source->ops->send(world->source, text, strlen(text));
}

/* {"type":TYPE,"product_ids":[all],"channels":CHANNELS} */
void request_all(world_t *world, const char *type, const char *channels)
{
    char *text = malloc(200 + (size_t)world->markets * (TF_SYMBOL_BYTES_MAX + 3));
    assert_non_null(text);
    char *at = text + sprintf(text, "{\"type\":\"%s\",\"product_ids\":[", type);
    for (uint32_t i = 0; i < world->markets; i++) {
        at += sprintf(at, "%s\"%s\"", i == 0 ? "" : ",", world->market[i].symbol);
        world->market[i].subscribed_book |= strstr(channels, "level2") != NULL;
    }
    (void)sprintf(at, "],\"channels\":%s}", channels);
    send_text(world, text);
    free(text);
}

void world_open(world_t *world, const tf_sim_config_t *config)
{
    memset(world, 0, sizeof *world);
    world->wall_start_ns = WALL_START;
    world->markets = config->instruments;
    world->market = calloc(world->markets, sizeof *world->market);
    assert_non_null(world->market);
    for (uint32_t i = 0; i < world->markets; i++) {
        tf_sim_symbol(i, world->market[i].symbol);
        world->market[i].entry = calloc(LEVELS_MAX, sizeof *world->market[i].entry);
        assert_non_null(world->market[i].entry);
    }
    if (tf_sim_open(&world->source, config) != TF_OK) {
        fail_msg("%s", tf_error_text());
    }
}

void world_close(world_t *world)
{
    world->source->ops->destroy(world->source);
    for (uint32_t i = 0; i < world->markets; i++) {
        free(world->market[i].entry);
    }
    free(world->market);
    free(world->transcript);
}
