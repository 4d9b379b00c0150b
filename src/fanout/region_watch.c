#include "base/log.h"
#include "base/mem.h"
#include "fanout/inside.h"

#include <string.h>

enum { EVENTS_PER_TURN = 16384 }; /* ring records read before clients are served */

/* ---- events in ---- */

static void on_trade(tf_fanout_t *fanout, const tf_event_trade_t *event)
{
    uint32_t index = fanout->market[event->head.instrument].first_stream[TF_KIND_TRADES];
    for (; index != TF_INDEX_NONE; index = fanout->stream[index]->next) {
        tf_stream_trade(fanout->stream[index], event);
        tf_streams_mark(fanout, index, false);
    }
}

static void on_event(tf_fanout_t *fanout, const tf_event_t *event)
{
    if (event->instrument >= fanout->env.view.directory.count)
        return; /* its name could not be read yet, so nobody has subscribed */
    switch ((tf_event_type_t)event->type) {
    case TF_EVENT_BOOK:
        tf_streams_mark_kind(fanout, event->instrument, TF_KIND_BOOK, false);
        break;
    case TF_EVENT_BBO:
        tf_streams_mark_kind(fanout, event->instrument, TF_KIND_BBO, false);
        break;
    case TF_EVENT_TICKER:
        tf_streams_mark_kind(fanout, event->instrument, TF_KIND_TICKER, false);
        break;
    case TF_EVENT_TRADE:
        on_trade(fanout, (const tf_event_trade_t *)event);
        break;
    case TF_EVENT_INSTRUMENT:
        tf_delisting_suspect(fanout, event->instrument);
        tf_streams_mark_instrument(fanout, event->instrument);
        break;
    case TF_EVENT_STATE:
        tf_streams_mark_instrument(fanout, event->instrument); /* told at once, whatever the rate */
        break;
    case TF_EVENT_PADDING:
        break;
    }
}

static void on_lapped(tf_fanout_t *fanout)
{
    tf_count(fanout->stats, ring_lapped_total, 1);
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        tf_stream_t *stream = fanout->stream[i];
        if (stream == NULL)
            continue;
        tf_stream_lapped(stream);
        if (stream->instrument != TF_INSTRUMENT_NONE)
            tf_delisting_suspect(fanout, stream->instrument);
    }
    tf_streams_mark_all(fanout);
}

static void resolve_orphans(tf_fanout_t *fanout)
{
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        tf_stream_t *stream = fanout->stream[i];
        uint32_t instrument;
        if (stream == NULL || stream->instrument != TF_INSTRUMENT_NONE ||
            tf_streams_instrument(fanout, &stream->channel, &instrument) != TF_DIRECTORY_FOUND)
            continue;
        stream->instrument = instrument;
        fanout->orphans--;
        tf_streams_link(fanout, stream, i);
        tf_streams_mark(fanout, i, true);
        tf_delisting_suspect(fanout, instrument);
    }
}

void tf_region_watch_names(tf_fanout_t *fanout)
{
    const tf_directory_t *directory = &fanout->env.view.directory;
    uint32_t before = directory->count;
    if (fanout->reader == NULL || tf_reader_instrument_count(fanout->reader) <= before ||
        !tf_directory_refresh(&fanout->env.view.directory, fanout->reader))
        return;
    for (uint32_t i = before; i < directory->count; i++) /* their venues have one more */
        tf_streams_mark_instrument(fanout, i);
    resolve_orphans(fanout);
}

uint64_t tf_region_watch_lag_bytes(const tf_fanout_t *fanout)
{
    return fanout->reader != NULL ? tf_reader_lag_bytes(fanout->reader) : 0;
}

uint64_t tf_region_watch_drain(tf_fanout_t *fanout)
{
    uint64_t events = 0;
    if (fanout->reader == NULL)
        return 0;
    tf_stats_set(fanout->stats, TF_STAT_ring_lag_bytes, tf_reader_lag_bytes(fanout->reader));
    while (events < EVENTS_PER_TURN) {
        const tf_event_t *event;
        tf_poll_t polled = tf_reader_poll(fanout->reader, &event);
        if (polled == TF_POLL_EMPTY)
            break;
        if (polled == TF_POLL_LAPPED) {
            on_lapped(fanout);
            continue;
        }
        if (event->instrument >= fanout->env.view.directory.count)
            tf_region_watch_names(fanout);
        on_event(fanout, event);
        events++;
    }
    tf_count(fanout->stats, ring_events_total, events);
    return events;
}

/* Streams outlive the region they came from: they load again from the new one, under a new
 * generation, and everybody is told (announcement, state, snapshot). */
static bool attach(tf_fanout_t *fanout, tf_reader_t *reader)
{
    uint32_t instruments = tf_reader_instruments_max(reader);
    tf_market_streams_t *market = tf_mem_calloc(instruments, sizeof *market);
    tf_stream_env_t env;
    if (market == NULL)
        return false;
    if (!tf_index_list_reserve(&fanout->unsure, instruments) ||
        !tf_stream_env_init(&env, reader, fanout->stats)) {
        tf_mem_free(market);
        return false;
    }
    for (uint32_t i = 0; i < instruments; i++)
        memset(market[i].first_stream, 0xff, sizeof market[i].first_stream); /* TF_INDEX_NONE */
    fanout->unsure.count = 0;
    tf_mem_free(fanout->market);
    tf_stream_env_fini(&fanout->env);
    tf_reader_close(fanout->reader);
    fanout->market = market;
    fanout->env = env;
    fanout->reader = reader;
    fanout->venues_next_ns = 0;
    (void)tf_directory_refresh(&fanout->env.view.directory, reader);
    return true;
}

/* Every thread sees the same of the region; one of them tells it. */
static bool speaks(const tf_fanout_t *fanout)
{
    return fanout->config.thread == 0;
}

/* The region was not there when this thread started: it serves what it has, which is no market. */
static void look_for_region(tf_fanout_t *fanout)
{
    if (fanout->mono_ns < fanout->region_look_ns)
        return;
    fanout->region_look_ns = fanout->mono_ns + TF_REGION_LOOK_MS * TF_NS_PER_MS;
    const char *error;
    tf_reader_t *reader = tf_reader_open(fanout->config.region, &error);
    if (reader != NULL && !attach(fanout, reader))
        tf_reader_close(reader);
    if (fanout->reader != NULL && speaks(fanout))
        tf_log(TF_LOG_INFO, "region_found", "region=%s epoch=%s", fanout->config.region,
               fanout->env.view.epoch);
}

static void log_back(const tf_fanout_t *fanout)
{
    if (speaks(fanout))
        tf_log(TF_LOG_INFO, "ingest_back", "region=%s", fanout->config.region);
}

static void log_lost(const tf_fanout_t *fanout, const char *why)
{
    if (speaks(fanout))
        tf_log(TF_LOG_WARN, "ingest_lost", "region=%s why=%s heartbeat_age_ms=%lld",
               fanout->config.region, why,
               (long long)(tf_reader_heartbeat_age_ns(fanout->reader, fanout->mono_ns) /
                           TF_NS_PER_MS));
}

static void change_epoch(tf_fanout_t *fanout)
{
    const char *error;
    bool lost = fanout->env.view.lost;
    tf_reader_t *reader = tf_reader_open(fanout->config.region, &error);
    if (reader == NULL)
        return; /* not there yet, or half gone: looked at again next turn */
    if (tf_reader_epoch(reader) == tf_reader_epoch(fanout->reader) || !attach(fanout, reader)) {
        tf_reader_close(reader);
        return;
    }
    tf_count(fanout->stats, epoch_changes_total, 1);
    if (speaks(fanout))
        tf_log(TF_LOG_INFO, "epoch_changed", "region=%s epoch=%s", fanout->config.region,
               fanout->env.view.epoch);
    if (lost)
        log_back(fanout);
    fanout->orphans = 0;
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        tf_stream_t *stream = fanout->stream[i];
        if (stream == NULL)
            continue;
        tf_stream_reset(stream, TF_INSTRUMENT_NONE);
        fanout->orphans++;
        tf_delivery_restart(fanout, stream);
    }
    resolve_orphans(fanout);
}

/* `why` is NULL when the writer is alive. */
static void set_lost(tf_fanout_t *fanout, const char *why)
{
    bool lost = why != NULL;
    if (lost == fanout->env.view.lost)
        return;
    fanout->env.view.lost = lost;
    fanout->env.view.lost_ns = fanout->wall_ns;
    fanout->venues_next_ns = 0;
    tf_streams_mark_all(fanout);
    if (!lost) {
        log_back(fanout);
        return;
    }
    tf_count(fanout->stats, ingest_lost_total, 1);
    log_lost(fanout, why);
}

void tf_region_watch_health(tf_fanout_t *fanout)
{
    if (fanout->reader == NULL) {
        look_for_region(fanout);
        return;
    }
    switch (tf_reader_health(fanout->reader, fanout->mono_ns, fanout->config.lost_ns)) {
    case TF_READER_ALIVE:
        set_lost(fanout, NULL);
        break;
    case TF_READER_LOST:
        set_lost(fanout, "no_heartbeat");
        break;
    case TF_READER_CLOSED:
        set_lost(fanout, "closed");
        break;
    case TF_READER_NEW_EPOCH:
        (void)tf_region_watch_drain(fanout); /* what the old writer published last */
        set_lost(fanout, "replaced");
        (void)tf_streams_emit_due(fanout); /* the loss is told before the new epoch */
        change_epoch(fanout);
        break;
    }
}

/* False when out of memory; a region that is not there is waited for. */
bool tf_region_watch_start(tf_fanout_t *fanout)
{
    const char *error;
    tf_reader_t *reader = tf_reader_open(fanout->config.region, &error);
    if (reader == NULL)
        return tf_directory_init(&fanout->env.view.directory, 1);
    if (attach(fanout, reader))
        return true;
    tf_reader_close(reader);
    return false;
}
