/*
 * ingest: the composer of the ingest thread: source -> adapter -> feed -> book -> region. One
 * instance per ingest thread; single writer of its region.
 *
 * A newcomer reads tf_ingest_step(): it polls every link, decodes what came, applies the feed's
 * rules, and publishes. All times of a link come from its source, so a recording gives the same
 * events at any speed.
 */
#pragma once

#include "base/clock.h"
#include "base/stats.h"
#include "base/status.h"
#include "region/region.h"
#include "venue/adapter.h"
#include "venue/source.h"

typedef struct tf_ingest tf_ingest_t;

typedef struct tf_ingest_link {
    const char *venue;               /* the name clients see: "coinbase", "sim" */
    const tf_adapter_ops_t *adapter; /* its wire format */
    tf_source_t *source;             /* ownership moves to ingest on success */
    const char *const *symbols; /* canonical, NULL-terminated; NULL = whatever the venue sends (a
                                   recording) */
} tf_ingest_link_t;

TF_MUST_CHECK tf_status_t tf_ingest_create(tf_ingest_t **out, tf_region_t *region,
                                           const tf_clock_t *clock, tf_stats_t *stats);
void tf_ingest_destroy(tf_ingest_t *ingest);

/* Before the first step. */
TF_MUST_CHECK tf_status_t tf_ingest_link_add(tf_ingest_t *ingest, const tf_ingest_link_t *link);

/*
 * One turn: at most a bounded number of frames per link, then the heartbeat and the bells.
 *
 * wake_in_ns  out: real time until the next turn makes sense (0 = at once)
 * returns     frames handled
 */
uint32_t tf_ingest_step(tf_ingest_t *ingest, int64_t mono_ns, int64_t wall_ns, int64_t *wake_in_ns);

/* Every link has ended (recordings without loop): nothing will come any more. */
bool tf_ingest_ended(const tf_ingest_t *ingest);
