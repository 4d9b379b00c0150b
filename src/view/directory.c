#include "view/directory.h"

#include "base/mem.h"

#include <string.h>

enum { VENUE_ROOM_MIN = 8 };

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
    tf_mem_free(directory->venue);
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

uint32_t tf_directory_home(const tf_directory_t *directory, const char *venue)
{
    /* From the newest back: the instruments of one venue tend to come together. */
    for (uint32_t i = directory->venue_count; i-- > 0;) {
        uint32_t home = directory->venue[i].home;
        if (strcmp(directory->entry[home].venue, venue) == 0)
            return home;
    }
    return TF_INSTRUMENT_NONE;
}

static bool venue_rooms(tf_directory_t *directory)
{
    if (directory->venue_count < directory->venue_room)
        return true;
    uint32_t room = directory->venue_room * 2 + VENUE_ROOM_MIN;
    struct tf_directory_venue *grown =
        tf_mem_realloc(directory->venue, room, sizeof *directory->venue);
    if (grown == NULL)
        return false;
    directory->venue = grown;
    directory->venue_room = room;
    return true;
}

/* Hang the entry on its venue's chain; there is room for a new venue. */
static void venue_join(tf_directory_t *directory, uint32_t index)
{
    tf_directory_entry_t *entry = &directory->entry[index];
    entry->next = TF_INSTRUMENT_NONE;
    for (uint32_t i = directory->venue_count; i-- > 0;) {
        struct tf_directory_venue *venue = &directory->venue[i];
        if (strcmp(directory->entry[venue->home].venue, entry->venue) == 0) {
            entry->home = venue->home;
            directory->entry[venue->last].next = index;
            venue->last = index;
            return;
        }
    }
    entry->home = index;
    directory->venue[directory->venue_count++] = (struct tf_directory_venue){index, index};
}

bool tf_directory_refresh(tf_directory_t *directory, tf_reader_t *reader)
{
    uint32_t before = directory->count;
    uint32_t there = tf_reader_instrument_count(reader);
    while (directory->count < there && directory->count < directory->room) {
        tf_instrument_view_t view;
        if (!venue_rooms(directory) ||
            tf_reader_instrument(reader, directory->count, &view) != TF_IMAGE_OK)
            break;
        tf_directory_entry_t *entry = &directory->entry[directory->count];
        memcpy(entry->venue, view.venue, sizeof entry->venue);
        memcpy(entry->symbol, view.symbol, sizeof entry->symbol);
        venue_join(directory, directory->count);
        *slot_of(directory, entry->venue, entry->symbol) = ++directory->count;
    }
    return directory->count > before;
}

tf_directory_find_t tf_directory_find(const tf_directory_t *directory, const char *venue,
                                      const char *symbol, uint32_t *index)
{
    uint32_t found = *slot_of(directory, venue, symbol);
    if (found != 0) {
        *index = found - 1;
        return TF_DIRECTORY_FOUND;
    }
    return tf_directory_home(directory, venue) != TF_INSTRUMENT_NONE ? TF_DIRECTORY_NO_SYMBOL
                                                                     : TF_DIRECTORY_NO_VENUE;
}
