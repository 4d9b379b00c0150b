#include "app/venues.h"

#include "base/log.h"
#include "base/mem.h"

/* Add a link to ingest, or give its source back. */
static tf_status_t add(tf_ingest_t *ingest, const tf_ingest_link_t *link)
{
    tf_status_t status = tf_ingest_link_add(ingest, link);
    if (status != TF_OK)
        link->source->ops->destroy(link->source);
    return status;
}

static tf_status_t sim_add(tf_ingest_t *ingest, const tf_venue_text_t *venue, tf_source_t *source)
{
    const tf_sim_config_t *config = &venue->sim;
    char(*name)[TF_SYMBOL_BYTES_MAX] = tf_mem_calloc(config->instruments, sizeof *name);
    const char **symbols = tf_mem_calloc((size_t)config->instruments + 1, sizeof *symbols);
    tf_status_t status = TF_OK;
    if (name == NULL || symbols == NULL) {
        source->ops->destroy(source);
        status = tf_error(TF_ERR_MEMORY, "out of memory");
    } else {
        for (uint32_t i = 0; i < config->instruments; i++) {
            tf_sim_symbol(i, name[i]);
            symbols[i] = name[i];
        }
        const tf_ingest_link_t link = {"sim", venue->adapter, source, symbols};
        status = add(ingest, &link);
    }
    tf_mem_free(symbols);
    tf_mem_free(name);
    if (status == TF_OK)
        tf_log(TF_LOG_INFO, "sim", "seed=%llu instruments=%u", (unsigned long long)config->seed,
               config->instruments);
    return status;
}

static tf_status_t source_open(tf_source_t **out, tf_links_t *links, const tf_venue_text_t *venue)
{
    switch (venue->form) {
    case TF_VENUE_SIM:
        return tf_sim_open(out, &venue->sim);
    case TF_VENUE_REPLAY:
        return tf_replay_open(out, &venue->replay);
    case TF_VENUE_LIVE:
        break;
    }
    return tf_link_open(out, links, &venue->live);
}

static tf_status_t venue_add(tf_ingest_t *ingest, tf_links_t *links, const tf_venue_text_t *venue)
{
    tf_source_t *source;
    tf_status_t status = source_open(&source, links, venue);
    if (status != TF_OK)
        return status;
    if (venue->form == TF_VENUE_SIM)
        return sim_add(ingest, venue, source);
    const char *const *symbols = NULL; /* a recording: whatever it has */
    if (venue->form == TF_VENUE_LIVE)
        symbols = venue->symbols[0] != NULL ? venue->symbols : venue->adapter->default_symbols;
    const tf_ingest_link_t link = {venue->adapter->venue, venue->adapter, source, symbols};
    return add(ingest, &link);
}

tf_status_t tf_venue_add(tf_ingest_t *ingest, tf_links_t *links, const char *text)
{
    tf_venue_text_t *venue = tf_mem_calloc(1, sizeof *venue);
    if (venue == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory");
    tf_status_t status = tf_venue_text_parse(venue, text);
    if (status == TF_OK)
        status = venue_add(ingest, links, venue);
    tf_mem_free(venue);
    return status == TF_OK ? TF_OK : tf_error_within(status, "--venue %s", text);
}
