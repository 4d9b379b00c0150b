/*
 * places: the first pass over a configuration file (see config.h): the shape of the document, and
 * the line of every text in it. The only user of libyaml's event parser.
 */
#pragma once

#include "config/config.h"

typedef struct tf_place {
    uint32_t key_line; /* 0: the file does not have the key */
    uint32_t first;    /* index of its first item's line */
    uint32_t count;
    bool bad; /* reported: not to be loaded */
} tf_place_t;

/* Zero-initialise; give back with tf_places_fini() whatever happened. */
typedef struct tf_places {
    tf_place_t *key; /* by index of the caller's keys */
    uint32_t *line;  /* of all items, in the order of the file */
    uint32_t line_count;
    uint32_t line_room;
    bool empty; /* no document, or one without content */
} tf_places_t;

/* data: valid UTF-8. TF_ERR_FORMAT when the document as a whole can't be loaded. */
TF_MUST_CHECK tf_status_t tf_places_find(tf_places_t *places, const char *path, const char *data,
                                         size_t bytes, const tf_config_key_t *keys,
                                         uint32_t key_count, tf_report_t *report);

void tf_places_fini(tf_places_t *places);
