/*
 * roster: which instruments a venue link knows, by the venue's symbol. Owned by the ingest thread.
 *
 * Entries are only added and never move: the feed links them into its lists. Look-ups are an open
 * hash table at most half full; the message after next is often of the same symbol, so the last
 * answer is tried first.
 */
#pragma once

#include "ingest/feed.h"
#include "ingest/publisher.h"

/* What a region holds at most: a bound on what a venue can make us keep. */
enum { TF_ROSTER_ENTRIES_MAX = 65536 };

typedef enum tf_roster_kind {
    TF_ROSTER_LISTED,  /* known by its metadata only */
    TF_ROSTER_CARRIED, /* in the feed and in the region */
    TF_ROSTER_REFUSED, /* the region had no room; its messages are dropped */
} tf_roster_kind_t;

typedef struct tf_roster_entry {
    tf_feed_market_t market; /* CARRIED only */
    tf_publisher_t publisher;
    tf_roster_kind_t kind;
    uint32_t slot;
    bool ask; /* its book is to be asked for at the end of this turn */
} tf_roster_entry_t;

/* Zeroed: empty. */
typedef struct tf_roster {
    tf_roster_entry_t **entry; /* by slot */
    uint32_t count;
    uint32_t entries_max;
    uint32_t *table; /* slot + 1, or 0; its size is table_mask + 1 */
    uint32_t table_mask;
    uint32_t last; /* slot + 1 of the last answer */
} tf_roster_t;

void tf_roster_fini(tf_roster_t *roster);

/* NULL when the symbol is not known. */
tf_roster_entry_t *tf_roster_find(tf_roster_t *roster, tf_slice_t venue_symbol);

/* A new entry, LISTED, for a symbol that is not known yet. NULL when full or out of memory. */
tf_roster_entry_t *tf_roster_add(tf_roster_t *roster, tf_publisher_bench_t *bench,
                                 const tf_instrument_t *instrument);
