#include "fanout/directory.h"

#include "base/mem.h"
#include "fanout/subscription.h"

#include <string.h>

bool tf_directory_init(tf_directory_t *directory, uint32_t instruments_max)
{
    *directory = (tf_directory_t){.room = instruments_max};
    uint32_t slots = 16;
    while (slots < 2 * instruments_max)
        slots *= 2;
    directory->mask = slots - 1;
    directory->entry = tf_mem_calloc(instruments_max, sizeof *directory->entry);
    directory->slot = tf_mem_calloc(slots, sizeof *directory->slot);
    if (directory->entry == NULL || directory->slot == NULL) {
        tf_directory_fini(directory);
        return false;
    }
    return true;
}

void tf_directory_fini(tf_directory_t *directory)
{
    tf_mem_free(directory->entry);
    tf_mem_free(directory->slot);
    *directory = (tf_directory_t){0};
}

/* FNV-1a over both names. */
static uint32_t name_hash(const char *venue, const char *symbol)
{
    uint32_t hash = 2166136261U;
    for (const char *at = venue; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    for (const char *at = symbol; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    return hash;
}

static bool same(const tf_directory_entry_t *entry, const char *venue, const char *symbol)
{
    return strcmp(entry->venue, venue) == 0 && strcmp(entry->symbol, symbol) == 0;
}

/* The slot that holds the names, or the free one where they belong. */
static uint32_t *slot_of(const tf_directory_t *directory, const char *venue, const char *symbol)
{
    uint32_t at = name_hash(venue, symbol) & directory->mask;
    while (directory->slot[at] != 0 &&
           !same(&directory->entry[directory->slot[at] - 1], venue, symbol))
        at = (at + 1) & directory->mask;
    return &directory->slot[at];
}

bool tf_directory_refresh(tf_directory_t *directory, tf_reader_t *reader)
{
    uint32_t before = directory->count;
    uint32_t there = tf_reader_instrument_count(reader);
    while (directory->count < there && directory->count < directory->room) {
        tf_instrument_view_t view;
        if (tf_reader_instrument(reader, directory->count, &view) != TF_IMAGE_OK)
            break;
        tf_directory_entry_t *entry = &directory->entry[directory->count];
        memcpy(entry->venue, view.venue, sizeof entry->venue);
        memcpy(entry->symbol, view.symbol, sizeof entry->symbol);
        for (int kind = 0; kind < TF_KIND_COUNT; kind++)
            entry->first_stream[kind] = TF_INDEX_NONE;
        *slot_of(directory, entry->venue, entry->symbol) = ++directory->count;
    }
    return directory->count > before;
}

bool tf_directory_has_venue(const tf_directory_t *directory, const char *venue)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        if (strcmp(directory->entry[i].venue, venue) == 0)
            return true;
    }
    return false;
}

tf_directory_find_t tf_directory_find(const tf_directory_t *directory, const char *venue,
                                      const char *symbol, uint32_t *index)
{
    uint32_t found = *slot_of(directory, venue, symbol);
    if (found != 0) {
        *index = found - 1;
        return TF_DIRECTORY_FOUND;
    }
    return tf_directory_has_venue(directory, venue) ? TF_DIRECTORY_NO_SYMBOL
                                                    : TF_DIRECTORY_NO_VENUE;
}
