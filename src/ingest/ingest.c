#include "ingest/ingest.h"

#include "base/mem.h"
#include "ingest/intake.h"

/* Half of what the region's heartbeat may take (100 ms). */
#define WAKE_IN_MAX_NS (50 * TF_NS_PER_MS)

struct tf_ingest {
    const tf_clock_t *clock;
    tf_publisher_bench_t bench;
    tf_intake_t **intake;
    uint32_t count;
};

tf_status_t tf_ingest_create(tf_ingest_t **out, tf_region_t *region, const tf_clock_t *clock,
                             tf_stats_t *stats)
{
    tf_ingest_t *ingest = tf_mem_calloc(1, sizeof *ingest);
    if (ingest == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory for ingest");
    ingest->clock = clock;
    ingest->bench.region = region;
    ingest->bench.stats = stats;
    *out = ingest;
    return TF_OK;
}

void tf_ingest_destroy(tf_ingest_t *ingest)
{
    if (ingest == NULL)
        return;
    for (uint32_t i = 0; i < ingest->count; i++)
        tf_intake_destroy(ingest->intake[i]);
    tf_publisher_bench_fini(&ingest->bench);
    tf_mem_free(ingest->intake);
    tf_mem_free(ingest);
}

tf_status_t tf_ingest_link_add(tf_ingest_t *ingest, const tf_ingest_link_t *link)
{
    tf_intake_t **grown =
        tf_mem_realloc(ingest->intake, (size_t)ingest->count + 1, sizeof(tf_intake_t *));
    if (grown == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory for venue %s", link->venue);
    ingest->intake = grown;
    tf_status_t status = tf_intake_create(&ingest->intake[ingest->count], link, &ingest->bench,
                                          tf_clock_wall_ns(ingest->clock));
    if (status == TF_OK)
        ingest->count++;
    return status;
}

uint32_t tf_ingest_step(tf_ingest_t *ingest, int64_t mono_ns, int64_t wall_ns, int64_t *wake_in_ns)
{
    uint32_t frames = 0;
    int64_t earliest_ns = WAKE_IN_MAX_NS;
    for (uint32_t i = 0; i < ingest->count; i++) {
        int64_t wake_ns = 0;
        frames += tf_intake_poll(ingest->intake[i], mono_ns, wall_ns, &wake_ns);
        earliest_ns = wake_ns < earliest_ns ? wake_ns : earliest_ns;
    }
    tf_region_heartbeat(ingest->bench.region, mono_ns);
    tf_region_ring_bells(ingest->bench.region);
    *wake_in_ns = earliest_ns > 0 ? earliest_ns : 0;
    return frames;
}

bool tf_ingest_ended(const tf_ingest_t *ingest)
{
    for (uint32_t i = 0; i < ingest->count; i++) {
        if (!tf_intake_ended(ingest->intake[i]))
            return false;
    }
    return ingest->count > 0;
}
