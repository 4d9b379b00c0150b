/*
 * venue_text: what a --venue text asks for (venues.h has the forms), read and checked without
 * opening anything.
 */
#pragma once

#include "venue/adapter.h"
#include "venue/link.h"
#include "venue/source.h"

enum { TF_VENUE_TEXT_BYTES_MAX = 4096, TF_VENUE_SYMBOLS_MAX = 1024 };

typedef enum tf_venue_form {
    TF_VENUE_SIM,
    TF_VENUE_REPLAY,
    TF_VENUE_LIVE,
} tf_venue_form_t;

typedef struct tf_venue_text {
    char text[TF_VENUE_TEXT_BYTES_MAX]; /* cut up: what the pointers below point into */
    tf_venue_form_t form;
    const tf_adapter_ops_t *adapter;
    tf_sim_config_t sim;
    tf_replay_config_t replay;
    tf_link_config_t live;
    const char *symbols[TF_VENUE_SYMBOLS_MAX + 1]; /* LIVE: NULL-terminated; none = the default */
} tf_venue_text_t;

/* TF_ERR_ARG, with what was found and what is expected in the trail; the text itself is not. */
TF_MUST_CHECK tf_status_t tf_venue_text_parse(tf_venue_text_t *out, const char *text);

/* The venue name that clients will see for a --venue text; out has TF_VENUE_BYTES_MAX bytes. */
void tf_venue_name(const char *text, char *out);
