/*
 * memory_source: a recording, read and paced beforehand, as a source: what is measured behind it is
 * the decoding and publishing of frames and nothing else. It is played as often as wanted; receive
 * times go on from one pass to the next.
 */
#pragma once

#include "venue/source.h"

#include <stddef.h>

/* The events of one recording, copied. REST bodies and the recording's end are left out. */
typedef struct memory_tape {
    tf_source_event_t *event;
    size_t count;
    size_t frame_count;
    size_t frame_bytes;
} memory_tape_t;

/* False, with the error trail, when the recording can't be read. */
bool memory_tape_load(memory_tape_t *tape, const char *path);

/* The openings, book snapshots and book changes of `from`, sharing its memory. *changes_at: the
 * first event after the last snapshot, which are all changes. */
void memory_tape_books(memory_tape_t *tape, const memory_tape_t *from, size_t *changes_at);

typedef struct memory_source {
    tf_source_t source;
    const memory_tape_t *tape;
    size_t next;
    size_t end; /* idle from here on */
    int64_t shift_ns;
    int64_t now_ns;
} memory_source_t;

void memory_source_init(memory_source_t *source, const memory_tape_t *tape);

/* Let it give events up to `end`; at the tape's end it begins again. */
void memory_source_wind(memory_source_t *source, size_t end);
