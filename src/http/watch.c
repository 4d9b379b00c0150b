#include "http/watch.h"

#include "market/instrument.h"

#include <stdio.h>
#include <string.h>

enum {
    ATTACH_TRIES = 2,      /* the region left behind, then the one that replaced it */
    INSTRUMENT_TRIES = 16, /* times TF_IMAGE_TRIES; an entry is written on state changes only */
};

static void detach(tf_watch_t *watch)
{
    tf_reader_close(watch->reader);
    watch->reader = NULL;
}

static tf_watch_health_t attach(tf_watch_t *watch, int64_t now_mono_ns)
{
    for (int i = 0; i < ATTACH_TRIES; i++) {
        const char *error;
        if (watch->reader == NULL)
            watch->reader = tf_reader_open(watch->region, &error);
        if (watch->reader == NULL)
            return TF_WATCH_ABSENT;
        switch (tf_reader_health(watch->reader, now_mono_ns, watch->lost_ns)) {
        case TF_READER_ALIVE:
            return TF_WATCH_ALIVE;
        case TF_READER_LOST:
            return TF_WATCH_LOST;
        case TF_READER_CLOSED:
            return TF_WATCH_CLOSED;
        case TF_READER_NEW_EPOCH:
            detach(watch);
            break;
        }
    }
    return TF_WATCH_ABSENT; /* replaced twice within one look: the next look sees it settled */
}

static bool instrument_read(tf_reader_t *reader, uint32_t index, tf_instrument_view_t *out)
{
    for (int i = 0; i < INSTRUMENT_TRIES; i++) {
        if (tf_reader_instrument(reader, index, out) == TF_IMAGE_OK)
            return true;
    }
    return false;
}

static tf_watch_venue_t *venue_row(tf_watch_view_t *view, const char *name)
{
    if (!tf_venue_name_valid(name, strnlen(name, TF_VENUE_BYTES_MAX)))
        name = "invalid";
    /* From the newest row back: the instruments of one venue tend to stand together. */
    for (uint32_t i = view->venue_count; i-- > 0;) {
        if (strcmp(view->venue[i].name, name) == 0)
            return &view->venue[i];
    }
    if (view->venue_count == TF_WATCH_VENUES_MAX)
        return &view->venue[TF_WATCH_VENUES_MAX - 1];
    tf_watch_venue_t *row = &view->venue[view->venue_count++];
    (void)snprintf(row->name, sizeof row->name, "%s",
                   view->venue_count == TF_WATCH_VENUES_MAX ? "other" : name);
    return row;
}

static void market_count(tf_watch_view_t *view, const tf_instrument_view_t *instrument)
{
    uint8_t state = view->health == TF_WATCH_ALIVE ? instrument->info.state : TF_STATE_STALE;
    TF_ASSERT(state < TF_WATCH_STATES); /* the reader refuses any other */
    venue_row(view, instrument->venue)->markets[state]++;
    view->live += state == TF_STATE_LIVE;
}

void tf_watch_look(tf_watch_t *watch, int64_t now_mono_ns, tf_watch_view_t *view)
{
    memset(view, 0, sizeof *view);
    view->health = attach(watch, now_mono_ns);
    if (view->health == TF_WATCH_ABSENT)
        return;
    view->epoch = tf_reader_epoch(watch->reader);
    view->heartbeat_age_ns = tf_reader_heartbeat_age_ns(watch->reader, now_mono_ns);
    view->instruments = tf_reader_instrument_count(watch->reader);
    for (uint32_t i = 0; i < view->instruments; i++) {
        tf_instrument_view_t instrument;
        if (instrument_read(watch->reader, i, &instrument))
            market_count(view, &instrument);
    }
}

void tf_watch_fini(tf_watch_t *watch)
{
    detach(watch);
}
