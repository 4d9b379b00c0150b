/*
 * recording: one file of recorded venue traffic, mapped and read line by line as records. Knows the
 * two formats that source.h describes; not when a record is due nor what it means for a link.
 * Ingest thread. Flow: file -> [recording] -> replay. Private to src/venue.
 *
 * A line that cannot be used is skipped, but never in silence: the first one is named in the log,
 * and the end of the file tells how many there were. Only the first pass tells; later ones meet the
 * same lines.
 */
#pragma once

#include "base/status.h"
#include "venue/json_scan.h"

#include <tickfan/event.h>

#include <stdbool.h>
#include <stdint.h>

typedef enum tf_record_type {
    TF_RECORD_NONE, /* well-formed, but not an event of the link: header, send */
    TF_RECORD_BAD,
    TF_RECORD_CONNECT,
    TF_RECORD_FRAME,
    TF_RECORD_HTTP,
} tf_record_type_t;

/* One line of the file; the slices point into the mapping. */
typedef struct tf_record {
    tf_record_type_t type;
    int64_t time_ns; /* TF_TIME_NONE: as the record before */
    tf_slice_t text;
    tf_slice_t url;
    tf_slice_t connection; /* the id of one connection to the venue */
    bool escaped;          /* text and url still hold JSON escapes */
} tf_record_t;

typedef enum tf_recording_format {
    TF_RECORDING_RAW,
    TF_RECORDING_CAPTURE,
} tf_recording_format_t;

typedef struct tf_recording {
    char *path;
    char *map; /* read-only */
    size_t map_bytes;
    tf_recording_format_t format;
    bool telling;       /* of bad lines */
    size_t at;          /* offset of the next line */
    uint64_t line;      /* number of the line before `at`, from 1 */
    uint64_t bad_lines; /* told so far */
    int64_t first_ns;   /* the first time in the file */
    char *text;         /* the unescaped strings of one record */
    size_t text_room;
} tf_recording_t;

/* Open and stand at the first record. On errors (as tf_replay_open() has them) nothing stays open;
 * reading begins only in a file with at least one time. */
TF_MUST_CHECK tf_status_t tf_recording_open(tf_recording_t *recording, const char *path);
void tf_recording_close(tf_recording_t *recording);

/* Read on to the next record that means an event: CONNECT, FRAME or HTTP. False at the end of the
 * file. */
bool tf_recording_next(tf_recording_t *recording, tf_record_t *out);

/* Resolve the escapes of a record's text and url, which are then valid until the next call. False:
 * it is a bad line after all. */
bool tf_recording_unescape(tf_recording_t *recording, tf_record_t *record);

/* Stand at the first record again. */
void tf_recording_rewind(tf_recording_t *recording);
