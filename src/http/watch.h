/*
 * watch: the HTTP thread's eye on the region. Attaches when the region is there, keeps what it has
 * of a region that is gone until another can be read in its place, counts its markets, and lends
 * the view that REST answers are made from. One thread; never waits.
 */
#pragma once

#include "view/view.h"

#include <tickfan/event.h>
#include <tickfan/reader.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    TF_WATCH_STATES = TF_STATE_HALTED + 1,
    TF_WATCH_VENUES_MAX = 64, /* the last row, "other", takes whatever comes after 63 names */
};

typedef enum tf_watch_health {
    TF_WATCH_ABSENT, /* there never was a region under that name that can be read */
    TF_WATCH_ALIVE,
    TF_WATCH_LOST,   /* no heartbeat for longer than lost_ns */
    TF_WATCH_CLOSED, /* the writer closed it in order, or it was replaced; no other can be read */
} tf_watch_health_t;

typedef struct tf_watch {
    const char *region; /* name; the caller's, outlives the watch */
    int64_t lost_ns;
    tf_reader_t *reader; /* NULL while absent */
    bool has_view;
    tf_view_t view; /* of `reader`; made when first asked for: it has room for the deepest book */
} tf_watch_t;

typedef struct tf_watch_venue {
    char name[TF_VENUE_BYTES_MAX]; /* [a-z0-9_]; "invalid" for a name that is none */
    uint32_t markets[TF_WATCH_STATES];

    /*
     * Is the link to the venue up, as far as the region tells? A link that closes makes every
     * market of it STALE/VENUE_DISCONNECTED, and one that opens takes them out of it; before the
     * first word of a venue they are RESYNC/STARTING. So it is up when any market is neither. False
     * while ingest is lost.
     */
    bool link_up;
} tf_watch_venue_t;

/* What a look saw. All but `health` is zero while absent. */
typedef struct tf_watch_figures {
    tf_watch_health_t health;
    uint64_t epoch;
    int64_t heartbeat_age_ns; /* >= 0 */
    uint32_t instruments;
    uint32_t instruments_max; /* that the region has room for */
    uint32_t live;            /* markets that are live; 0 unless `health` is ALIVE */
    uint32_t venue_count;
    tf_watch_venue_t venue[TF_WATCH_VENUES_MAX];
} tf_watch_figures_t;

/* Attach if need be. To be called now and then even if nobody asks: a region that comes and goes
 * between two questions was never seen otherwise, and its last data are not there. */
tf_watch_health_t tf_watch_attach(tf_watch_t *watch, int64_t now_mono_ns);

/*
 * Attach if need be and count. While the writer is lost or gone every market counts as stale, as
 * clients are told: what the image says of it is old. A market whose entry is being written at that
 * very moment, over several tries, is left out of the counts.
 */
void tf_watch_look(tf_watch_t *watch, int64_t now_mono_ns, tf_watch_figures_t *out);

/*
 * Attach if need be and lend the view, which says `lost` unless the writer is alive. While it is,
 * the directory is complete; an entry that a dead writer left half written hides itself and those
 * behind it. Valid until the next call of any of these. *out is NULL while absent, when an entry is
 * being written at every try, and when memory is short.
 */
tf_watch_health_t tf_watch_view(tf_watch_t *watch, int64_t now_mono_ns, int64_t now_wall_ns,
                                tf_view_t **out);

void tf_watch_fini(tf_watch_t *watch);
