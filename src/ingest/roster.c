#include "ingest/roster.h"

#include "base/mem.h"

#include <string.h>

enum { ENTRIES_FIRST = 16 };

void tf_roster_fini(tf_roster_t *roster)
{
    for (uint32_t slot = 0; slot < roster->count; slot++) {
        tf_publisher_fini(&roster->entry[slot]->publisher);
        tf_mem_free(roster->entry[slot]);
    }
    tf_mem_free(roster->entry);
    tf_mem_free(roster->table);
    *roster = (tf_roster_t){0};
}

/* FNV-1a; symbols are short and come from a venue that we chose. */
static uint32_t symbol_hash(tf_slice_t symbol)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < symbol.bytes; i++)
        hash = (hash ^ (unsigned char)symbol.text[i]) * 16777619U;
    return hash;
}

/* Names are NUL-terminated within TF_SYMBOL_BYTES_MAX, and a slice may hold any byte. */
static bool entry_is(const tf_roster_entry_t *entry, tf_slice_t symbol)
{
    const char *name = entry->publisher.instrument.venue_symbol;
    return symbol.bytes > 0 && symbol.bytes < TF_SYMBOL_BYTES_MAX &&
           memcmp(name, symbol.text, symbol.bytes) == 0 && name[symbol.bytes] == '\0';
}

tf_roster_entry_t *tf_roster_find(tf_roster_t *roster, tf_slice_t venue_symbol)
{
    if (roster->last != 0 && entry_is(roster->entry[roster->last - 1], venue_symbol))
        return roster->entry[roster->last - 1];
    if (roster->table == NULL)
        return NULL;
    uint32_t at = symbol_hash(venue_symbol) & roster->table_mask;
    for (; roster->table[at] != 0; at = (at + 1) & roster->table_mask) {
        tf_roster_entry_t *entry = roster->entry[roster->table[at] - 1];
        if (entry_is(entry, venue_symbol)) {
            roster->last = roster->table[at];
            return entry;
        }
    }
    return NULL;
}

static void table_put(tf_roster_t *roster, uint32_t slot)
{
    const char *name = roster->entry[slot]->publisher.instrument.venue_symbol;
    uint32_t at = symbol_hash((tf_slice_t){name, strlen(name)}) & roster->table_mask;
    while (roster->table[at] != 0)
        at = (at + 1) & roster->table_mask;
    roster->table[at] = slot + 1;
}

/* Room for one more entry, with a table of twice the entries. */
static bool roster_reserve(tf_roster_t *roster)
{
    if (roster->count < roster->entries_max)
        return true;
    if (roster->count >= TF_ROSTER_ENTRIES_MAX)
        return false;
    uint32_t entries_max = roster->entries_max == 0 ? ENTRIES_FIRST : 2 * roster->entries_max;
    uint32_t *table = tf_mem_calloc(2 * (size_t)entries_max, sizeof *table);
    tf_roster_entry_t **entry =
        tf_mem_realloc(roster->entry, entries_max, sizeof(tf_roster_entry_t *));
    if (entry != NULL)
        roster->entry = entry;
    if (table == NULL || entry == NULL) {
        tf_mem_free(table);
        return false;
    }
    tf_mem_free(roster->table);
    roster->table = table;
    roster->table_mask = 2 * entries_max - 1;
    roster->entries_max = entries_max;
    for (uint32_t slot = 0; slot < roster->count; slot++)
        table_put(roster, slot);
    return true;
}

tf_roster_entry_t *tf_roster_add(tf_roster_t *roster, tf_publisher_bench_t *bench,
                                 const tf_instrument_t *instrument)
{
    if (!roster_reserve(roster))
        return NULL;
    tf_roster_entry_t *entry = tf_mem_calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->kind = TF_ROSTER_LISTED;
    entry->slot = roster->count;
    tf_publisher_init(&entry->publisher, bench, instrument);
    roster->entry[roster->count] = entry;
    table_put(roster, roster->count);
    roster->count++;
    return entry;
}
