/*
 * directory: instruments of the attached region by name, and the streams that each has. Owned by
 * one fan-out thread; rebuilt for a new epoch.
 */
#pragma once

#include "codec/channel.h"

#include <tickfan/reader.h>

#include <stdbool.h>

typedef struct tf_directory_entry {
    char venue[TF_VENUE_BYTES_MAX];
    char symbol[TF_SYMBOL_BYTES_MAX];
    uint32_t first_stream[TF_KIND_COUNT]; /* TF_INDEX_NONE = none; linked by tf_stream_t.next */
} tf_directory_entry_t;

typedef struct tf_directory {
    tf_directory_entry_t *entry; /* by instrument index */
    uint32_t count;
    uint32_t room;
    uint32_t *slot; /* open addressing, index + 1, 0 = free; a power of two, at most half full */
    uint32_t mask;
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
 * were any. A busy entry ends the pass: it comes next time. */
bool tf_directory_refresh(tf_directory_t *directory, tf_reader_t *reader);

tf_directory_find_t tf_directory_find(const tf_directory_t *directory, const char *venue,
                                      const char *symbol, uint32_t *index);

/* Has any instrument this venue? */
bool tf_directory_has_venue(const tf_directory_t *directory, const char *venue);
