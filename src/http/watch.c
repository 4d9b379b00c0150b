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
    if (watch->has_view)
        tf_view_fini(&watch->view);
    watch->has_view = false;
    tf_reader_close(watch->reader);
    watch->reader = NULL;
}

/* Put the region that stands at the name now in the place of the one that is held; false when there
 * is none to be read. What was held is then still held. */
static bool reopen(tf_watch_t *watch)
{
    const char *error;
    tf_reader_t *next = tf_reader_open(watch->region, &error);
    if (next == NULL)
        return false;
    detach(watch);
    watch->reader = next;
    return true;
}

tf_watch_health_t tf_watch_attach(tf_watch_t *watch, int64_t now_mono_ns)
{
    if (watch->reader == NULL && !reopen(watch))
        return TF_WATCH_ABSENT;
    for (int i = 0; i < ATTACH_TRIES; i++) {
        switch (tf_reader_health(watch->reader, now_mono_ns, watch->lost_ns)) {
        case TF_READER_ALIVE:
            return TF_WATCH_ALIVE;
        case TF_READER_LOST:
            return TF_WATCH_LOST;
        case TF_READER_CLOSED:
            return TF_WATCH_CLOSED;
        case TF_READER_NEW_EPOCH:
            if (!reopen(watch))
                return TF_WATCH_CLOSED;
            break;
        }
    }
    return TF_WATCH_CLOSED; /* replaced twice within one look: the next look sees it settled */
}

static bool instrument_read(tf_reader_t *reader, uint32_t index, tf_instrument_view_t *out)
{
    for (int i = 0; i < INSTRUMENT_TRIES; i++) {
        if (tf_reader_instrument(reader, index, out) == TF_IMAGE_OK)
            return true;
    }
    return false;
}

static tf_watch_venue_t *venue_row(tf_watch_figures_t *out, const char *name)
{
    if (!tf_venue_name_valid(name, strnlen(name, TF_VENUE_BYTES_MAX)))
        name = "invalid";
    /* From the newest row back: the instruments of one venue tend to stand together. */
    for (uint32_t i = out->venue_count; i-- > 0;) {
        if (strcmp(out->venue[i].name, name) == 0)
            return &out->venue[i];
    }
    if (out->venue_count == TF_WATCH_VENUES_MAX)
        return &out->venue[TF_WATCH_VENUES_MAX - 1];
    tf_watch_venue_t *row = &out->venue[out->venue_count++];
    (void)snprintf(row->name, sizeof row->name, "%s",
                   out->venue_count == TF_WATCH_VENUES_MAX ? "other" : name);
    return row;
}

/* Has the link of this market opened, and not closed since? (watch.h, link_up) */
static bool was_heard(const tf_image_info_t *info)
{
    bool closed = info->state == TF_STATE_STALE && info->reason == TF_REASON_VENUE_DISCONNECTED;
    bool unopened = info->state == TF_STATE_RESYNC && info->reason == TF_REASON_STARTING;
    return !closed && !unopened;
}

static void market_count(tf_watch_figures_t *out, const tf_instrument_view_t *instrument)
{
    uint8_t state = out->health == TF_WATCH_ALIVE ? instrument->info.state : TF_STATE_STALE;
    TF_ASSERT(state < TF_WATCH_STATES); /* the reader refuses any other */
    tf_watch_venue_t *venue = venue_row(out, instrument->venue);
    venue->markets[state]++;
    venue->link_up |= out->health == TF_WATCH_ALIVE && was_heard(&instrument->info);
    out->live += state == TF_STATE_LIVE;
}

void tf_watch_look(tf_watch_t *watch, int64_t now_mono_ns, tf_watch_figures_t *out)
{
    memset(out, 0, sizeof *out);
    out->health = tf_watch_attach(watch, now_mono_ns);
    if (out->health == TF_WATCH_ABSENT)
        return;
    out->epoch = tf_reader_epoch(watch->reader);
    out->heartbeat_age_ns = tf_reader_heartbeat_age_ns(watch->reader, now_mono_ns);
    out->instruments_max = tf_reader_instruments_max(watch->reader);
    out->instruments = tf_reader_instrument_count(watch->reader);
    for (uint32_t i = 0; i < out->instruments; i++) {
        tf_instrument_view_t instrument;
        if (instrument_read(watch->reader, i, &instrument))
            market_count(out, &instrument);
    }
}

/* True when every instrument has its name in the directory. */
static bool directory_fill(tf_watch_t *watch)
{
    tf_directory_t *directory = &watch->view.directory;
    for (int i = 0; i < INSTRUMENT_TRIES; i++) {
        (void)tf_directory_refresh(directory, watch->reader);
        if (directory->count == tf_reader_instrument_count(watch->reader))
            return true;
    }
    return false;
}

tf_watch_health_t tf_watch_view(tf_watch_t *watch, int64_t now_mono_ns, int64_t now_wall_ns,
                                tf_view_t **out)
{
    *out = NULL;
    tf_watch_health_t health = tf_watch_attach(watch, now_mono_ns);
    if (health == TF_WATCH_ABSENT)
        return health;
    if (!watch->has_view)
        watch->has_view = tf_view_init(&watch->view, watch->reader);
    if (!watch->has_view)
        return health;
    bool lost = health != TF_WATCH_ALIVE;
    if (lost && !watch->view.lost)
        watch->view.lost_ns = now_wall_ns;
    watch->view.lost = lost;
    if (directory_fill(watch) || lost)
        *out = &watch->view;
    return health;
}

void tf_watch_fini(tf_watch_t *watch)
{
    detach(watch);
}
