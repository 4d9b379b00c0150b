/*
 * venues: from --venue texts to links of an ingest thread.
 *
 *     NAME[:SYMBOL,SYMBOL,...][:key=value,...]     the venue itself; without symbols its default
 *                                                  ones. Keys: url, ca (a PEM file), silence_ms,
 *                                                  connect_ms, backoff_min_ms, backoff_max_ms,
 *                                                  ping_ms (venue/link.h)
 *     sim[:key=value,...]                          the built-in simulated venue, named "sim"
 *     replay:VENUE:FILE[:speed=N|max,loop=yes]     a recording, under the name of its venue
 *
 * A value ends at a comma, so a URL or a file name with one in it can't be written here.
 */
#pragma once

#include "app/venue_text.h"
#include "ingest/ingest.h"

/* Open the source that `text` names, live ones on `links`, and add it. Errors name the text, the
 * key and what is expected. */
TF_MUST_CHECK tf_status_t tf_venue_add(tf_ingest_t *ingest, tf_links_t *links, const char *text);
