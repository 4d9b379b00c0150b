/*
 * region: the writer's side of a shared-memory region: create, lock, heartbeat, publish, close.
 * Owned by one ingest thread. Layout: <tickfan/region.h>. Flow: market -> [region] -> readers.
 *
 * Publishing an event is: write the image entry (tf_region_put_*), which also appends the ring
 * record, then after a batch tf_region_ring_bells() once. Image before ring, so whoever reads about
 * a change finds it in the image.
 */
#pragma once

#include "base/clock.h"
#include "base/stats.h"
#include "base/status.h"
#include "region/bell.h"

#include <tickfan/event.h>
#include <tickfan/region.h>

#include <stdbool.h>

typedef struct tf_region tf_region_t;

typedef struct tf_region_config {
    const char *name;         /* region name, [A-Za-z0-9_-]{1,63} */
    uint32_t instruments_max; /* 1..65536 */
    uint32_t image_depth;     /* 1..TF_IMAGE_DEPTH_MAX */
    uint32_t trades_kept;     /* rounded up to a power of two, 64..65536 */
    uint64_t ring_bytes;      /* rounded up to a power of two, >= 16 * TF_EVENT_BYTES_MAX */
} tf_region_config_t;

/* 2048 instruments, depth 1000, 1024 trades, ring 64 MiB; name "default".
 */
extern const tf_region_config_t tf_region_config_default;

/* The file's size for a config: what the operator is told at start. 0 when the config is invalid.
 */
uint64_t tf_region_bytes(const tf_region_config_t *config);

/*
 * Take the lock, build the file aside, rename it into place. Replaces the file of a writer that is
 * gone; TF_ERR_BUSY when another writer holds the lock (the trail names its pid when known).
 * The header, the tables and the ring get their memory now, an instrument's book and trades when it
 * is added, so that a full /dev/shm is TF_ERR_FULL from here or from tf_region_instrument_add() and
 * never a SIGBUS; instruments that are not there cost nothing.
 * `stats` and `clock` must outlive the region.
 */
TF_MUST_CHECK tf_status_t tf_region_create(tf_region_t **out, const tf_region_config_t *config,
                                           const tf_clock_t *clock, tf_stats_t *stats);

/* Mark the region closed, ring every bell, end the host of other processes' bells, unmap, give up
 * the lock. The file stays for late readers until the next writer replaces it, unless `remove`.
 * NULL is allowed. */
void tf_region_close(tf_region_t *region, bool remove);

uint64_t tf_region_epoch(const tf_region_t *region);
uint32_t tf_region_image_depth(const tf_region_t *region);

/* Say "alive"; cheap, call it every turn. */
void tf_region_heartbeat(tf_region_t *region, int64_t now_mono_ns);

/* Register an in-process reader's bell; it must outlive the region. TF_ERR_FULL beyond 64. Before
 * the writer's loop starts. */
TF_MUST_CHECK tf_status_t tf_region_bell_add(tf_region_t *region, tf_bell_t *bell);

/* Take in the bells of other processes (bell_host.h), from a thread of its own; `stats` are that
 * thread's. Before the writer's loop starts; ended by tf_region_close(). */
TF_MUST_CHECK tf_status_t tf_region_bell_host(tf_region_t *region, tf_stats_t *stats);

/* Wake the first sleeping reader of each process, if any; call after a batch of publications, and
 * in turns without any: processes come and go here too. */
void tf_region_ring_bells(tf_region_t *region);

/* Times that a publication carries; te_ns may be TF_TIME_NONE. tp is taken from the clock inside.
 */
typedef struct tf_stamp {
    int64_t te_ns;
    int64_t ti_ns;
} tf_stamp_t;

struct tf_instrument;

/* A new instrument; its index, or TF_ERR_FULL (no entry or no memory left in /dev/shm; nothing is
 * counted here). It starts in RESYNC/STARTING with empty data. */
TF_MUST_CHECK tf_status_t tf_region_instrument_add(tf_region_t *region,
                                                   const struct tf_instrument *instrument,
                                                   tf_stamp_t stamp, uint32_t *index);

/*
 * Metadata or scale changed (same symbol): one INSTRUMENT record, the instrument's seq + 1. When
 * px_dp or sz_dp changed, ticker, bbo and trade history are rescaled here, and the base_seq of
 * instrument, ticker and bbo moves to a new seq (an entry never published stays at 0). The seq of
 * trades numbers the trades and stays, as does its base_seq: the history is whole. The book keeps
 * its old scale and levels until the tf_region_put_book_snapshot() with which the caller must
 * follow. False when a stored figure does not fit the new scale: nothing is then written.
 */
TF_MUST_CHECK bool tf_region_instrument_update(tf_region_t *region, uint32_t index,
                                               const struct tf_instrument *instrument,
                                               tf_stamp_t stamp);

/* Change of state: told in every kind's entry and by one STATE record. */
void tf_region_put_state(tf_region_t *region, uint32_t index, tf_market_state_t state,
                         tf_market_reason_t reason, tf_stamp_t stamp);

void tf_region_put_trade(tf_region_t *region, uint32_t index, const tf_trade_t *trade,
                         tf_stamp_t stamp);
void tf_region_put_ticker(tf_region_t *region, uint32_t index, const tf_ticker_t *ticker,
                          tf_stamp_t stamp);

/* When the instrument's book, trades or ticker (by the type of their records) were last published:
 * the tp of it, read back from the image. */
int64_t tf_region_published_ns(const tf_region_t *region, tf_event_type_t type, uint32_t index);

/* Publishes only when it differs from what the image has; true when it did. */
bool tf_region_put_bbo(tf_region_t *region, uint32_t index, const tf_bbo_t *bbo, tf_stamp_t stamp);

/*
 * Replace the whole book (best first, at most image_depth a side are kept). seq + 1 and
 * base_seq = seq. Zero levels on both sides is how a book is withheld during a resync.
 */
void tf_region_put_book_snapshot(tf_region_t *region, uint32_t index, const tf_level_t *bids,
                                 size_t bid_count, const tf_level_t *asks, size_t ask_count,
                                 tf_stamp_t stamp);

/*
 * An incremental change of the book, level by level, in the order in which it was applied to the
 * full book. The entry's lock is held (odd) from begin to commit: no other call in between.
 *
 * insert   the new level stands at `rank`; when the image then holds more than image_depth, its
 * worst level leaves remove   the level at `rank` is gone; `refill` is the full book's level that
 * now stands at rank image_depth - 1, or NULL when the full book has no such level. `px` is the
 * removed price Ranks at or beyond image_depth are the caller's to leave out. commit   seq + 1, and
 * one BOOK record (or several, when there are more than TF_EVENT_LEVELS_MAX changes), also when
 * nothing visible changed: the record says that a venue message was applied, with the bbo after it.
 * Levels that came in as refills are part of the record.
 */
void tf_region_book_begin(tf_region_t *region, uint32_t index);
void tf_region_book_insert(tf_region_t *region, tf_side_t side, uint32_t rank, tf_level_t level);
void tf_region_book_resize(tf_region_t *region, tf_side_t side, uint32_t rank, tf_level_t level);
void tf_region_book_remove(tf_region_t *region, tf_side_t side, uint32_t rank, int64_t px,
                           const tf_level_t *refill);
void tf_region_book_commit(tf_region_t *region, const tf_bbo_t *bbo, tf_stamp_t stamp);
