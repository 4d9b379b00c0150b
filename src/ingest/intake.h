/*
 * intake: one venue link from end to end: polls its source, decodes with its adapter, asks its feed
 * what is good, publishes, and sends the requests. Owned by the ingest thread. Flow: source ->
 * [intake] -> region.
 */
#pragma once

#include "ingest/ingest.h"
#include "ingest/publisher.h"

typedef struct tf_intake tf_intake_t;

/*
 * The instruments that the link names are added to the region at once, so that clients can
 * subscribe before the venue has said a word; without names they are added as the venue sends them,
 * and nothing is ever asked of the venue.
 *
 * stamp_ns  receive time for what is published here
 * TF_ERR_ARG names a symbol or venue that can't be; TF_ERR_MEMORY.
 */
TF_MUST_CHECK tf_status_t tf_intake_create(tf_intake_t **out, const tf_ingest_link_t *link,
                                           tf_publisher_bench_t *bench, int64_t stamp_ns);
void tf_intake_destroy(tf_intake_t *intake);

/* Handle what the source has, within bounds; returns frames. *wake_in_ns: real time until the next
 * poll makes sense, INT64_MAX when nothing will come. */
uint32_t tf_intake_poll(tf_intake_t *intake, int64_t mono_ns, int64_t wall_ns, int64_t *wake_in_ns);

bool tf_intake_ended(const tf_intake_t *intake);
