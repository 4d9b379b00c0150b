#include "kit/kit.h"

#include "fanout_judge.h"
#include "market/instrument.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { JOIN_TRADES = 50, CHECKSUM_LEVELS = 10 };

_Noreturn void violation(const judge_t *judge, const char *name, const char *what,
                         const json_t *message)
{
    char *text = message != NULL ? json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    print_error("action %" PRIu64 ", %s: %s\n%.3000s\n", judge->action, name, what,
                text != NULL ? text : "");
    free(text);
    fail();
    abort();
}

void demand(const judge_t *judge, bool fine, const held_t *held, const char *what,
            const json_t *message)
{
    if (!fine)
        violation(judge, held->name, what, message);
}

/* A decimal with exactly `dp` places. */
static int64_t decimal(const judge_t *judge, const json_t *value, uint8_t dp, const json_t *message)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    const char *point = strchr(text, '.');
    size_t places = point == NULL ? 0 : strlen(point + 1);
    size_t digits = strspn(text, "0123456789.");
    if (*text == '\0' || digits != strlen(text) || places != dp)
        violation(judge, text, "is no decimal of the announced scale", message);
    int64_t mantissa = 0;
    for (; *text != '\0'; text++) {
        if (*text != '.')
            mantissa = mantissa * 10 + (*text - '0');
    }
    return mantissa;
}

static market_t *market_of(const judge_t *judge, const held_t *held, const json_t *message)
{
    epoch_t *epoch = world_epoch_find(judge->world, held->epoch);
    if (epoch == NULL || !epoch->market[held->which].exists)
        violation(judge, held->name, "an epoch that never had this market", message);
    return &epoch->market[held->which];
}

/* ---- announcements ---- */

static void held_place(judge_t *judge, held_t *held, const json_t *entry)
{
    (void)snprintf(held->epoch, sizeof held->epoch, "%s", field_text(judge, entry, "epoch"));
    held->sid = field_uint(judge, entry, "sid");
    if (kind_of_venue(held->kind)) {
        demand(judge, json_object_get(entry, "px_dp") == NULL, held, "a venue with a scale", entry);
        return;
    }
    held->px_dp = (uint8_t)field_uint(judge, entry, "px_dp");
    held->sz_dp = (uint8_t)field_uint(judge, entry, "sz_dp");
    if (json_object_get(entry, "depth_max") != NULL)
        held->depth = (uint32_t)field_uint(judge, entry, "depth_max");
    (void)market_of(judge, held, entry);
}

void held_begin(judge_t *judge, held_t *held, const json_t *entry)
{
    held->have = false;
    held->told_any = false;
    held->told_from = 0;
    held->seq = 0;
    held->venue_gap = 0;
    held_place(judge, held, entry);
}

void held_announced(judge_t *judge, held_t *held, const json_t *entry)
{
    held_t before = *held;
    held_place(judge, held, entry);
    judge->tally.announces++;
    bool same_epoch = strcmp(before.epoch, held->epoch) == 0;
    bool same_scale = before.px_dp == held->px_dp && before.sz_dp == held->sz_dp;
    judge->tally.epochs_changed += !same_epoch;
    judge->tally.scales_changed += same_epoch && !same_scale;
    demand(judge, !same_epoch || !same_scale, held, "announced again without need", entry);
    if (!same_epoch) {
        held->seq = 0;
        held->told_from = 0;
        held->venue_gap = 0;
    }
    if (!same_epoch || held->kind != KIND_TRADES)
        held->have = false; /* trades are a list: it goes on under the new scale */
}

/* ---- the market's state ---- */

static tf_market_state_t state_of(const judge_t *judge, const char *text, const json_t *message)
{
    static const char *const names[] = {"live", "stale", "resync", "halted"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0)
            return (tf_market_state_t)i;
    }
    violation(judge, text, "is no state", message);
}

static tf_market_reason_t reason_of(const judge_t *judge, const char *text, const json_t *message)
{
    static const char *const names[] = {"none",    "starting",     "venue_disconnected",
                                        "silent",  "seq_gap",      "checksum",
                                        "crossed", "venue_status", "ingest_lost"};
    for (int i = 1; i < 9; i++) {
        if (strcmp(text, names[i]) == 0)
            return (tf_market_reason_t)i;
    }
    violation(judge, text, "is no reason", message);
}

static told_t told_read(const judge_t *judge, const json_t *message)
{
    told_t told = {state_of(judge, field_text(judge, message, "state"), message), TF_REASON_NONE};
    if (told.state != TF_STATE_LIVE)
        told.reason = reason_of(judge, field_text(judge, message, "reason"), message);
    else if (json_object_get(message, "reason") != NULL)
        violation(judge, "live", "has a reason", message);
    return told;
}

/* What was told must be what the market was in at some time from `from` on. */
static void told_check(const judge_t *judge, held_t *held, uint32_t from, const json_t *message)
{
    if (kind_of_venue(held->kind)) {
        demand(judge,
               held->told.state == TF_STATE_LIVE || held->told.reason == TF_REASON_INGEST_LOST,
               held, "a venue's channel with a state of its own", message);
        return;
    }
    const market_t *market = market_of(judge, held, message);
    if (held->told_from < from)
        held->told_from = from;
    if (held->told.reason == TF_REASON_INGEST_LOST) {
        demand(judge, held->told.state == TF_STATE_STALE, held, "lost but not stale", message);
        return;
    }
    while (held->told_from < market->state_count &&
           memcmp(&market->states[held->told_from], &held->told, sizeof held->told) != 0)
        held->told_from++;
    demand(judge, held->told_from < market->state_count, held,
           "the told state is older than the data, or never was", message);
}

static void state_message(judge_t *judge, held_t *held, const json_t *params)
{
    told_t told = told_read(judge, params);
    demand(judge,
           json_object_get(params, "prev") == NULL && json_object_get(params, "data") == NULL, held,
           "a state message has no prev and no data", params);
    demand(judge, held->told_any, held, "a state before the first snapshot", params);
    demand(judge, memcmp(&told, &held->told, sizeof told) != 0, held, "a state told twice", params);
    held->told = told;
    judge->tally.states++;
    told_check(judge, held, 0, params);
}

/* ---- books ---- */

static void levels_read(const judge_t *judge, held_t *held, const json_t *params, const char *key,
                        int side)
{
    const json_t *list = json_object_get(json_object_get(params, "data"), key);
    demand(judge, json_is_array(list), held, "a book without a side", params);
    demand(judge, json_array_size(list) <= held->depth, held, "a snapshot beyond its depth",
           params);
    held->levels[side] = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *pair = json_array_get(list, i);
        tf_level_t *level = &held->level[side][held->levels[side]++];
        level->px = decimal(judge, json_array_get(pair, 0), held->px_dp, params);
        level->sz = decimal(judge, json_array_get(pair, 1), held->sz_dp, params);
    }
}

static void level_apply(const judge_t *judge, held_t *held, int side, tf_level_t level,
                        const json_t *params)
{
    tf_level_t *levels = held->level[side];
    uint32_t at = 0;
    while (at < held->levels[side] &&
           (side == 0 ? levels[at].px > level.px : levels[at].px < level.px))
        at++;
    bool there = at < held->levels[side] && levels[at].px == level.px;
    demand(judge, there || level.sz != 0, held, "removes what is not there", params);
    demand(judge, !there || levels[at].sz != level.sz, held, "changes nothing", params);
    if (level.sz == 0) {
        held->levels[side]--;
        memmove(&levels[at], &levels[at + 1], (held->levels[side] - at) * sizeof *levels);
    } else if (there) {
        levels[at].sz = level.sz;
    } else {
        demand(judge, held->levels[side] < HELD_LEVELS_MAX, held, "a book without end", params);
        memmove(&levels[at + 1], &levels[at], (held->levels[side] - at) * sizeof *levels);
        levels[at] = level;
        held->levels[side]++;
    }
}

static size_t changes_apply(const judge_t *judge, held_t *held, const json_t *params)
{
    size_t changes = 0;
    for (int side = 0; side < 2; side++) {
        const json_t *list =
            json_object_get(json_object_get(params, "data"), side == 0 ? "b" : "a");
        demand(judge, json_is_array(list), held, "a book without a side", params);
        for (size_t i = 0; i < json_array_size(list); i++, changes++) {
            const json_t *pair = json_array_get(list, i);
            tf_level_t level = {decimal(judge, json_array_get(pair, 0), held->px_dp, params),
                                decimal(judge, json_array_get(pair, 1), held->sz_dp, params)};
            level_apply(judge, held, side, level, params);
        }
        if (held->levels[side] > held->depth)
            held->levels[side] = held->depth;
    }
    return changes;
}

/* PROTOCOL: CRC-32 over "bidpx:bidsz:askpx:asksz:...", best first, ten levels, no colon at the end.
 */
static uint64_t checksum(const held_t *held)
{
    char text[CHECKSUM_LEVELS * 2 * 64];
    size_t bytes = 0;
    for (uint32_t rank = 0; rank < CHECKSUM_LEVELS; rank++) {
        for (int side = 0; side < 2; side++) {
            if (rank >= held->levels[side])
                continue;
            bytes += market_decimal(text + bytes, held->level[side][rank].px, held->px_dp);
            text[bytes++] = ':';
            bytes += market_decimal(text + bytes, held->level[side][rank].sz, held->sz_dp);
            text[bytes++] = ':';
        }
    }
    return bytes == 0 ? 0 : crc32(0, (const Bytef *)text, (uInt)(bytes - 1));
}

static uint64_t held_book_hash(const held_t *held)
{
    uint64_t hash = MARKET_HASH_START;
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < held->levels[side]; i++)
            hash = market_hash_level(hash, side == 0 ? 'b' : 'a', &held->level[side][i],
                                     held->px_dp, held->sz_dp);
    }
    return hash;
}

static depth_index_t depth_index(const held_t *held)
{
    return held->depth == 1 ? DEPTH_1 : held->depth == 10 ? DEPTH_10 : DEPTH_20;
}

static void book_message(judge_t *judge, held_t *held, const json_t *params, bool update)
{
    if (update) {
        demand(judge, changes_apply(judge, held, params) > 0, held, "an empty update", params);
    } else {
        levels_read(judge, held, params, "b", 0);
        levels_read(judge, held, params, "a", 1);
    }
    demand(judge, field_uint(judge, params, "cs") == checksum(held), held, "wrong cs", params);
}

/* ---- bbo and ticker ---- */

static void bbo_message(const judge_t *judge, held_t *held, const json_t *params)
{
    const json_t *data = json_object_get(params, "data");
    uint64_t hash = MARKET_HASH_START;
    for (int side = 0; side < 2; side++) {
        const json_t *px = json_object_get(data, side == 0 ? "bid" : "ask");
        const json_t *sz = json_object_get(data, side == 0 ? "bsz" : "asz");
        if (json_is_null(px) && json_is_null(sz))
            continue;
        tf_level_t level = {decimal(judge, px, held->px_dp, params),
                            decimal(judge, sz, held->sz_dp, params)};
        hash = market_hash_level(hash, side == 0 ? 'b' : 'a', &level, held->px_dp, held->sz_dp);
    }
    held->hash = hash;
}

static void ticker_message(const judge_t *judge, held_t *held, const json_t *params)
{
    json_t *data = json_object_get(params, "data");
    uint64_t hash = MARKET_HASH_START;
    const char *key;
    json_t *value;
    json_object_foreach(data, key, value)
    {
        char text[80];
        const char *shown = json_string_value(value);
        if (json_is_integer(value)) {
            (void)snprintf(text, sizeof text, "%s=%" JSON_INTEGER_FORMAT, key,
                           json_integer_value(value));
        } else {
            if (strcmp(key, "v24") != 0)
                (void)decimal(judge, value, strcmp(key, "sz") == 0 ? held->sz_dp : held->px_dp,
                              params);
            (void)snprintf(text, sizeof text, "%s=%s", key, shown);
        }
        hash = market_hash(hash, text, strlen(text));
    }
    held->hash = hash;
}

/* ---- trades ---- */

static int64_t raised(int64_t mantissa, uint8_t from_dp, uint8_t to_dp)
{
    for (; from_dp < to_dp; from_dp++)
        mantissa *= 10;
    return mantissa;
}

static void trade_check(const judge_t *judge, const held_t *held, const json_t *trade,
                        uint64_t number, const json_t *params)
{
    const market_t *market = market_of(judge, held, params);
    demand(judge, number > 0 && number < market->trades.count, held, "a trade that never was",
           params);
    const trade_truth_t *truth = &market->trades.at[number];
    char id[24];
    (void)snprintf(id, sizeof id, "%" PRIu64, number);
    int64_t px = decimal(judge, json_object_get(trade, "px"), held->px_dp, params);
    int64_t sz = decimal(judge, json_object_get(trade, "sz"), held->sz_dp, params);
    demand(judge,
           strcmp(field_text(judge, trade, "id"), id) == 0 &&
               strcmp(field_text(judge, trade, "side"), truth->side == 0 ? "buy" : "sell") == 0 &&
               json_integer_value(json_object_get(trade, "te")) == truth->te_ns / 1000,
           held, "another trade", params);
    demand(judge,
           truth->px_dp <= held->px_dp && truth->sz_dp <= held->sz_dp &&
               px == raised(truth->px, truth->px_dp, held->px_dp) &&
               sz == raised(truth->sz, truth->sz_dp, held->sz_dp),
           held, "wrong figures of a trade", params);
}

static void trades_snapshot(judge_t *judge, const held_t *held, const json_t *params, uint64_t seq)
{
    const json_t *data = json_object_get(params, "data");
    size_t count = json_array_size(data);
    demand(judge, json_is_array(data) && count <= JOIN_TRADES && count <= seq, held,
           "too many trades to join with", params);
    for (size_t i = 0; i < count; i++)
        trade_check(judge, held, json_array_get(data, i), seq - count + 1 + i, params);
}

static void trades_update(judge_t *judge, held_t *held, const json_t *params, uint64_t seq)
{
    const json_t *data = json_object_get(params, "data");
    const market_t *market = market_of(judge, held, params);
    size_t count = json_array_size(data);
    demand(judge, count > 0 && held->seq + count == seq, held, "a hole in the list of trades",
           params);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = held->seq + 1 + i;
        trade_check(judge, held, json_array_get(data, i), number, params);
        demand(judge, market->trades.at[number].gap_before == held->venue_gap, held,
               "a venue's gap that was not announced, or was none", params);
        held->venue_gap = 0;
    }
}

void held_gap(judge_t *judge, held_t *held, const json_t *params)
{
    uint64_t from = field_uint(judge, params, "from");
    uint64_t to = field_uint(judge, params, "to");
    uint64_t count = field_uint(judge, params, "count");
    bool at_venue = strcmp(field_text(judge, params, "cause"), "venue") == 0;
    demand(judge, held->kind == KIND_TRADES && held->have && held->venue_gap == 0, held,
           "a gap out of place", params);
    demand(judge, from == held->seq, held, "a gap from elsewhere", params);
    if (at_venue) {
        judge->tally.gaps_venue++;
        demand(judge, from == to && count > 0, held, "a venue's gap moves nothing", params);
        held->venue_gap = count;
        return;
    }
    judge->tally.gaps_server++;
    judge->tally.trades_lost += count;
    demand(judge, to > from && count == to - from, held, "a gap with a wrong count", params);
    demand(judge, to < market_of(judge, held, params)->trades.count, held, "a gap ahead of time",
           params);
    held->seq = to;
}

void held_lag(judge_t *judge, held_t *held, const json_t *params)
{
    uint64_t from = field_uint(judge, params, "from");
    uint64_t to = field_uint(judge, params, "to");
    judge->tally.lags++;
    demand(judge,
           held->have && from == held->seq && to > from &&
               field_uint(judge, params, "count") == to - from,
           held, "a lag that does not start where the client is", params);
}

/* ---- data ---- */

static const versions_t *versions_of(const held_t *held, const market_t *market)
{
    return held->kind == KIND_BOOK  ? &market->book
           : held->kind == KIND_BBO ? &market->bbos
                                    : &market->tickers;
}

static void version_check(judge_t *judge, held_t *held, const json_t *params, uint64_t seq,
                          bool update)
{
    if (kind_of_venue(held->kind)) {
        told_check(judge, held, 0, params);
        return;
    }
    const market_t *market = market_of(judge, held, params);
    if (held->kind == KIND_TRADES) {
        demand(judge, seq < market->trades.count, held, "a seq that never was", params);
        if (update)
            told_check(judge, held, market->trades.at[seq].state_at, params);
        return;
    }
    const versions_t *versions = versions_of(held, market);
    demand(judge, seq < versions->count, held, "a seq that never was", params);
    const version_t *truth = &versions->at[seq];
    uint64_t hash = held->hash;
    depth_index_t index = DEPTH_1;
    if (held->kind == KIND_BOOK) {
        hash = held_book_hash(held);
        index = depth_index(held);
    }
    bool scaled = truth->px_dp == held->px_dp && truth->sz_dp == held->sz_dp;
    demand(judge, scaled || seq == 0, held, "another scale than announced", params);
    demand(judge, hash == truth->hash[index], held, "not what the market was at this seq", params);
    told_check(judge, held, truth->state_at, params);
}

static void update_order(const judge_t *judge, const held_t *held, const json_t *params,
                         uint64_t seq)
{
    demand(judge, held->have, held, "an update before the snapshot", params);
    demand(judge, seq > held->seq, held, "back in time", params);
    if (held->kind != KIND_BBO && held->kind != KIND_TICKER)
        demand(judge, field_uint(judge, params, "prev") == held->seq, held,
               "prev is not what the client holds", params);
    else
        demand(judge, json_is_null(json_object_get(params, "prev")), held, "a prev", params);
}

/* A book that was replaced is told as a whole. */
static void no_reset_between(const judge_t *judge, const held_t *held, const json_t *params,
                             uint64_t seq)
{
    const versions_t *book = &market_of(judge, held, params)->book;
    for (uint64_t i = held->seq + 1; i <= seq && i < book->count; i++)
        demand(judge, !book->at[i].fresh, held, "a difference across a resync", params);
}

static void snapshot_order(judge_t *judge, held_t *held, const json_t *params, uint64_t seq)
{
    demand(judge, strcmp(field_text(judge, params, "epoch"), held->epoch) == 0, held,
           "an epoch that was not announced", params);
    demand(judge, json_is_null(json_object_get(params, "prev")), held, "a snapshot with prev",
           params);
    demand(judge, seq >= held->seq, held, "back in time", params);
    demand(judge, held->kind != KIND_TRADES || !held->have, held,
           "a snapshot in place of missed trades", params);
    told_t told = told_read(judge, params);
    demand(judge, !held->told_any || !held->have || memcmp(&told, &held->told, sizeof told) == 0,
           held, "a change of state that was not told before the data", params);
    held->told = told;
    held->told_any = true;
}

void held_data(judge_t *judge, held_t *held, const json_t *params)
{
    const char *type = field_text(judge, params, "type");
    uint64_t seq = field_uint(judge, params, "seq");
    if (strcmp(type, "state") == 0) {
        state_message(judge, held, params);
        return;
    }
    bool update = strcmp(type, "update") == 0;
    if (update)
        update_order(judge, held, params, seq);
    if (update && held->kind == KIND_BOOK)
        no_reset_between(judge, held, params, seq);
    else if (!update)
        snapshot_order(judge, held, params, seq);
    judge->tally.updates += update;
    judge->tally.snapshots += !update;
    uint64_t hash_before = held->hash;
    if (held->kind == KIND_BOOK)
        book_message(judge, held, params, update);
    else if (held->kind == KIND_BBO)
        bbo_message(judge, held, params);
    else if (held->kind == KIND_TICKER)
        ticker_message(judge, held, params);
    else if (kind_of_venue(held->kind))
        list_message(judge, held, params, seq, update);
    else if (update)
        trades_update(judge, held, params, seq);
    else
        trades_snapshot(judge, held, params, seq);
    if (update && (held->kind == KIND_BBO || held->kind == KIND_TICKER))
        demand(judge, held->hash != hash_before, held, "an update that says nothing new", params);
    version_check(judge, held, params, seq, update);
    held->seq = seq;
    held->have = true;
    held->heard_ns = judge->world->mono_ns;
}

void judge_snapshot_alone(judge_t *judge, const json_t *params)
{
    held_t held = {.which = MARKETS_MAX};
    const char *name = field_text(judge, params, "channel");
    for (uint32_t i = 0; i < MARKETS_MAX; i++) {
        if (strstr(name, market_symbols[i]) != NULL)
            held.which = i;
    }
    held.kind = KIND_BOOK;
    held.depth = strstr(name, ".10.") != NULL ? 10 : MARKET_DEPTH;
    (void)snprintf(held.name, sizeof held.name, "%s", name);
    (void)snprintf(held.epoch, sizeof held.epoch, "%s", field_text(judge, params, "epoch"));
    const market_t *market = market_of(judge, &held, params);
    uint64_t seq = field_uint(judge, params, "seq");
    demand(judge, seq < market->book.count, &held, "a seq that never was", params);
    held.px_dp = market->book.at[seq].px_dp;
    held.sz_dp = market->book.at[seq].sz_dp;
    held_data(judge, &held, params);
    judge->tally.snapshots--;
}

void held_settled(judge_t *judge, const held_t *held)
{
    if (kind_of_venue(held->kind)) {
        list_settled(judge, held);
        return;
    }
    const epoch_t *epoch = world_epoch(judge->world);
    const market_t *market = &epoch->market[held->which];
    told_t lost = {TF_STATE_STALE, TF_REASON_INGEST_LOST};
    bool silent = judge->world->silent;
    if (judge->world->region == NULL || !market->exists) {
        if (held->told_any && memcmp(&held->told, &lost, sizeof lost) != 0)
            violation(judge, held->name, "the loss of the market was not told", NULL);
        return;
    }
    if (market->status == TF_INSTRUMENT_DELISTED)
        violation(judge, held->name, "delisted, and not ended", NULL);
    if (!held->have)
        violation(judge, held->name, "no snapshot in the end", NULL);
    if (strcmp(held->epoch, epoch->text) != 0)
        violation(judge, held->name, "still in an old epoch", NULL);
    const told_t *state = silent ? &lost : &market->states[market->state_count - 1];
    if (memcmp(&held->told, state, sizeof held->told) != 0)
        violation(judge, held->name, "not told the state in the end", NULL);
    if (held->px_dp != market->px_dp || held->sz_dp != market->sz_dp)
        violation(judge, held->name, "an old scale in the end", NULL);
    bool newest;
    if (held->kind == KIND_TRADES) {
        newest = held->seq == market->trades.count - 1;
    } else {
        const versions_t *versions = versions_of(held, market);
        const version_t *truth = &versions->at[versions->count - 1];
        newest = held->kind == KIND_BOOK ? held_book_hash(held) == truth->hash[depth_index(held)]
                                         : held->hash == truth->hash[0];
    }
    if (!newest)
        violation(judge, held->name, "not the newest in the end", NULL);
}
