/* What a venue's channel says, against what was published of its instruments. */
#include "kit/kit.h"

#include "fanout_judge.h"
#include "market/instrument.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const states[] = {"live", "stale", "resync", "halted"};
static const char *const reasons[] = {"null",    "starting",    "venue_disconnected",
                                      "silent",  "seq_gap",     "checksum",
                                      "crossed", "venue_status"};
static const char *const statuses[] = {"unknown", "online", "halted", "delisted"};

static uint64_t text_hash(const char *text)
{
    return market_hash(MARKET_HASH_START, text, strlen(text));
}

/* ---- the truth ---- */

static uint64_t status_hash(const listing_t *listing, const char *detail)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%s %s %" PRId64 " %s", states[listing->told.state],
                   reasons[listing->told.reason], listing->since_us, detail);
    return text_hash(text);
}

static uint64_t status_truth(const listing_t *listing)
{
    bool halted = listing->told.state == TF_STATE_HALTED;
    return status_hash(listing, halted ? statuses[listing->status] : "null");
}

static uint64_t instrument_truth(const listing_t *listing)
{
    char text[100];
    (void)snprintf(text, sizeof text, "%s %u %u", statuses[listing->status], listing->px_dp,
                   listing->sz_dp);
    return text_hash(text);
}

static uint64_t entry_truth(const held_t *held, const listing_t *listing)
{
    if (listing == NULL)
        return 0;
    return held->kind == KIND_STATUS ? status_truth(listing) : instrument_truth(listing);
}

/* The best of its markets, the one that is so for longest; of two alike, the first that came. */
static uint64_t venue_truth(const held_t *held, const epoch_t *epoch, uint64_t seq)
{
    const listing_t *best = NULL;
    for (uint32_t index = 0; index < MARKETS_MAX; index++) {
        for (uint32_t which = 0; which < MARKETS_MAX; which++) {
            const market_t *market = &epoch->market[which];
            if (!market->exists || market->index != index || market_venue(which) != held->which)
                continue;
            const listing_t *listing = market_listing(epoch, which, seq);
            if (listing != NULL &&
                (best == NULL || listing->told.state < best->told.state ||
                 (listing->told.state == best->told.state && listing->since_us < best->since_us)))
                best = listing;
        }
    }
    return best == NULL ? 0 : status_hash(best, "null");
}

/* ---- what came ---- */

static const char *text_or_null(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? "null" : json_is_string(value) ? json_string_value(value) : "?";
}

static uint64_t status_read(const judge_t *judge, const json_t *entry)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%s %s %" PRIu64 " %s", field_text(judge, entry, "state"),
                   text_or_null(entry, "reason"), field_uint(judge, entry, "since"),
                   text_or_null(entry, "detail"));
    return text_hash(text);
}

static uint64_t instrument_read(const judge_t *judge, const json_t *entry)
{
    char text[100];
    (void)snprintf(text, sizeof text, "%s %" PRIu64 " %" PRIu64, field_text(judge, entry, "status"),
                   field_uint(judge, entry, "px_dp"), field_uint(judge, entry, "sz_dp"));
    return text_hash(text);
}

static uint32_t which_of(const judge_t *judge, const held_t *held, const json_t *entry)
{
    const char *symbol = field_text(judge, entry, "symbol");
    for (uint32_t which = 0; which < MARKETS_MAX; which++) {
        if (strcmp(symbol, market_symbols[which]) == 0 && market_venue(which) == held->which)
            return which;
    }
    violation(judge, held->name, "an instrument of another venue", entry);
}

static void entry_take(const judge_t *judge, held_t *held, const json_t *entry, uint64_t versions)
{
    const char *venue = field_text(judge, entry, "venue");
    demand(judge, strcmp(venue, market_venues[held->which]) == 0, held, "another venue", entry);
    bool status = held->kind == KIND_STATUS;
    bool whole = status && strcmp(field_text(judge, entry, "scope"), "venue") == 0;
    uint64_t *at = whole ? &held->entry_venue : &held->entry[which_of(judge, held, entry)];
    uint64_t hash = status ? status_read(judge, entry) : instrument_read(judge, entry);
    demand(judge, versions > 0 || *at == 0, held, "twice in one snapshot", entry);
    /* Who was behind may be told of one that changed and changed back. */
    demand(judge, *at != hash || versions > 1, held, "an entry that says nothing new", entry);
    *at = hash;
}

static const epoch_t *epoch_of(const judge_t *judge, const held_t *held)
{
    const epoch_t *epoch = world_epoch_find(judge->world, held->epoch);
    if (epoch == NULL)
        violation(judge, held->name, "an epoch that never was", NULL);
    return epoch;
}

static bool is_as_at(const held_t *held, const epoch_t *epoch, uint64_t seq)
{
    for (uint32_t which = 0; which < MARKETS_MAX; which++) {
        if (market_venue(which) == held->which &&
            held->entry[which] != entry_truth(held, market_listing(epoch, which, seq)))
            return false;
    }
    return held->kind != KIND_STATUS || held->entry_venue == venue_truth(held, epoch, seq);
}

void list_message(judge_t *judge, held_t *held, const json_t *params, uint64_t seq, bool update)
{
    const epoch_t *epoch = epoch_of(judge, held);
    const json_t *data = json_object_get(params, "data");
    demand(judge, json_is_array(data) && json_array_size(data) > 0, held, "an empty list", params);
    demand(judge, seq > 0 && seq < epoch->venue[held->which].count, held, "a seq that never was",
           params);
    if (!update) {
        memset(held->entry, 0, sizeof held->entry);
        held->entry_venue = 0;
    }
    for (size_t i = 0; i < json_array_size(data); i++)
        entry_take(judge, held, json_array_get(data, i), update ? seq - held->seq : 0);
    demand(judge, is_as_at(held, epoch, seq), held, "not what the venue was at this seq", params);
    judge->tally.lists++;
    judge->tally.list_updates += update;
}

void list_settled(const judge_t *judge, const held_t *held)
{
    const epoch_t *epoch = world_epoch(judge->world);
    told_t lost = {TF_STATE_STALE, TF_REASON_INGEST_LOST};
    told_t live = {TF_STATE_LIVE, TF_REASON_NONE};
    uint64_t count = epoch->venue[held->which].count;
    bool gone = judge->world->region == NULL || count == 0;
    if (held->told_any &&
        memcmp(&held->told, gone || judge->world->silent ? &lost : &live, sizeof live) != 0)
        violation(judge, held->name, "loss or return was not told", NULL);
    if (gone)
        return;
    if (!held->have || strcmp(held->epoch, epoch->text) != 0)
        violation(judge, held->name, "no list of this epoch in the end", NULL);
    if (!is_as_at(held, epoch, count - 1))
        violation(judge, held->name, "not the newest in the end", NULL);
}

bool held_is_there(const judge_t *judge, const held_t *held)
{
    const epoch_t *epoch = world_epoch(judge->world);
    if (kind_of_venue(held->kind))
        return epoch->venue[held->which].count > 0;
    return epoch->market[held->which].exists;
}

/* ---- delisting ---- */

void held_ended(judge_t *judge, const held_t *held, const json_t *params)
{
    told_t lost = {TF_STATE_STALE, TF_REASON_INGEST_LOST};
    bool any = !held->told_any || memcmp(&held->told, &lost, sizeof lost) == 0;
    judge->tally.ended++;
    demand(judge, field_uint(judge, params, "code") == 2003, held, "ended for another reason",
           params);
    demand(judge, !kind_of_venue(held->kind), held, "a venue can't be delisted", params);
    for (uint32_t e = 0; e < MARKET_EPOCHS_KEPT; e++) {
        const epoch_t *epoch = &judge->world->epoch[e];
        const listings_t *venue = &epoch->venue[market_venue(held->which)];
        bool listed = held->kind == KIND_TRADES && held->have &&
                      strcmp(epoch->text, held->epoch) == 0; /* trade by trade */
        for (uint64_t i = 1; i < venue->count; i++) {
            const listing_t *listing = &venue->at[i];
            if (listing->which == held->which && listing->status == TF_INSTRUMENT_DELISTED &&
                (any || memcmp(&listing->told, &held->told, sizeof held->told) == 0) &&
                (!listed || held->seq >= listing->trades))
                return;
        }
    }
    violation(judge, held->name,
              "ended and not delisted, or its last state or trades were not told", params);
}
