/*
 * venues: from --venue texts to links of an ingest thread.
 *
 *     sim[:key=value,...]                          the built-in simulated venue, named "sim"
 *     replay:VENUE:FILE[:speed=N|max,loop=yes]     a recording, under the name of its venue
 */
#pragma once

#include "ingest/ingest.h"

/* The venue name that clients will see for a --venue text; out has TF_VENUE_BYTES_MAX bytes. */
void tf_venue_name(const char *text, char *out);

/* Open the source that `text` names and add it. Errors name the text, the key and what is expected.
 */
TF_MUST_CHECK tf_status_t tf_venue_add(tf_ingest_t *ingest, const char *text);
