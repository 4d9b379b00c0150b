/*
 * directory: instruments of an attached region by name, and by venue. Owned by one reader thread;
 * made anew for a new epoch.
 *
 * A venue is known once it has an instrument. The first of its instruments stands for the venue
 * where one index has to name it (channels without a symbol): it is the same in every reader.
 */
#pragma once

#include "base/assert.h"

#include <tickfan/reader.h>

#include <stdbool.h>
#include <stdint.h>

#define TF_INSTRUMENT_NONE UINT32_MAX

typedef struct tf_directory_entry {
    char venue[TF_VENUE_BYTES_MAX];
    char symbol[TF_SYMBOL_BYTES_MAX];
    uint32_t home; /* the venue's first instrument; its own index for that one */
    uint32_t next; /* the venue's next instrument, TF_INSTRUMENT_NONE = the last */
} tf_directory_entry_t;

typedef struct tf_directory {
    tf_directory_entry_t *entry; /* by instrument index */
    uint32_t count;
    uint32_t room;
    uint32_t *slot; /* open addressing, index + 1, 0 = free; a power of two, at most half full */
    uint32_t mask;
    struct tf_directory_venue {
        uint32_t home;
        uint32_t last;
    } * venue; /* in order of arrival */
    uint32_t venue_count;
    uint32_t venue_room;
} tf_directory_t;

typedef enum tf_directory_find {
    TF_DIRECTORY_FOUND,
    TF_DIRECTORY_NO_VENUE,
    TF_DIRECTORY_NO_SYMBOL,
} tf_directory_find_t;

/* Room for every instrument of the region. False when out of memory (nothing is then owned). */
TF_MUST_CHECK bool tf_directory_init(tf_directory_t *directory, uint32_t instruments_max);
void tf_directory_fini(tf_directory_t *directory);

/* Read the names of instruments that were added to the region since the last call; true when there
 * were any. A busy entry, or memory that is short, ends the pass: it comes next time. */
bool tf_directory_refresh(tf_directory_t *directory, tf_reader_t *reader);

tf_directory_find_t tf_directory_find(const tf_directory_t *directory, const char *venue,
                                      const char *symbol, uint32_t *index);

/* The first instrument of a venue; TF_INSTRUMENT_NONE when it has none. */
uint32_t tf_directory_home(const tf_directory_t *directory, const char *venue);
