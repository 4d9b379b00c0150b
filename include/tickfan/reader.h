/*
 * tickfan/reader.h: attach to a region, follow its events, read the state of its markets. This is
 * the public API for programs on the same host (`tickfan tap` is its first user); link tf_region.
 *
 * A tf_reader_t belongs to one thread; any number of readers may exist in any number of processes.
 * A reader never writes shared memory, never blocks the writer, and never trusts it: every offset
 * and count is checked, so a broken writer gives wrong data but no crash.
 *
 *     reader = tf_reader_open("default", &error);
 *     for (;;) {
 *         switch (tf_reader_poll(reader, &event)) {
 *         case TF_POLL_EVENT:  // one whole record, copied: valid until the next poll
 *         case TF_POLL_EMPTY:  // ask tf_reader_health(), then sleep or spin
 *         case TF_POLL_LAPPED: // events were lost: read what you need from the image
 *         }
 *     }
 */
#pragma once

#include <tickfan/event.h>
#include <tickfan/region.h>

#include <stdbool.h>

typedef struct tf_reader tf_reader_t;

typedef enum tf_poll {
    TF_POLL_EMPTY,  /* nothing new */
    TF_POLL_EVENT,  /* *event points to one whole record */
    TF_POLL_LAPPED, /* the writer overtook this reader (or left a record that can't be): it now
                       stands at the newest event */
} tf_poll_t;

typedef enum tf_reader_from {
    TF_FROM_NOW,   /* the next event to be published */
    TF_FROM_START, /* the epoch's first event if the ring still has it, else as TF_FROM_NOW */
} tf_reader_from_t;

typedef enum tf_reader_health {
    TF_READER_ALIVE,
    TF_READER_LOST,   /* heartbeat older than the time-out: the writer hangs or died */
    TF_READER_CLOSED, /* the writer closed the region in order; drain the ring, nothing follows */
    TF_READER_NEW_EPOCH, /* another file stands at the region's name: close and open again */
} tf_reader_health_t;

typedef enum tf_image_result {
    TF_IMAGE_OK,
    TF_IMAGE_BUSY,  /* no stable copy in TF_IMAGE_TRIES tries: come back next turn. Also for content
                       that no sound writer stores: it is never handed out */
    TF_IMAGE_RANGE, /* no such instrument */
} tf_image_result_t;

/* What every image read gives. */
typedef struct tf_image_info {
    uint64_t seq; /* 0 = nothing published yet; the data is then empty */
    uint64_t base_seq;
    int64_t te_ns, ti_ns, tp_ns;
    uint8_t state;  /* tf_market_state_t */
    uint8_t reason; /* tf_market_reason_t */
    uint8_t px_dp, sz_dp;
} tf_image_info_t;

typedef struct tf_instrument_view {
    tf_image_info_t info;
    char symbol[TF_SYMBOL_BYTES_MAX];
    char venue_symbol[TF_SYMBOL_BYTES_MAX];
    char venue[TF_VENUE_BYTES_MAX];
    char base[TF_SYMBOL_BYTES_MAX];
    char quote[TF_SYMBOL_BYTES_MAX];
    int64_t tick, lot; /* 0 = not known */
    int64_t since_ns;  /* wall clock of the last change of state */
    uint8_t listing;   /* tf_instrument_status_t */
} tf_instrument_view_t;

/* Attach to /dev/shm/tickfan.NAME. NULL on failure, with *error set to a text that names what was
 * wrong and what to do (static or per-thread storage, valid until this thread's next call). */
tf_reader_t *tf_reader_open(const char *name, const char **error);
void tf_reader_close(tf_reader_t *reader); /* NULL is allowed */

/* Where to start; the default after open is TF_FROM_NOW. False when TF_FROM_START was asked for but
 * the ring has already wrapped (the reader then stands at now). */
bool tf_reader_seek(tf_reader_t *reader, tf_reader_from_t from);

/* The next event. *event is written for TF_POLL_EVENT: it points into the reader's own copy. */
tf_poll_t tf_reader_poll(tf_reader_t *reader, const tf_event_t **event);

uint64_t tf_reader_lag_bytes(const tf_reader_t *reader);    /* ring bytes not yet read */
uint64_t tf_reader_lapped_count(const tf_reader_t *reader); /* times lapped since open */
uint64_t tf_reader_epoch(const tf_reader_t *reader);
uint32_t tf_reader_image_depth(const tf_reader_t *reader);
uint32_t tf_reader_trades_kept(const tf_reader_t *reader);
uint32_t tf_reader_instruments_max(const tf_reader_t *reader);
uint32_t tf_reader_instrument_count(const tf_reader_t *reader);

/* An epoch as clients see it: 8 lower-case base-32 digits and a NUL. */
void tf_epoch_text(uint64_t epoch, char out[9]);

/* Is the writer alive? `now_mono_ns` is CLOCK_MONOTONIC. Costs no system call while it
 * is. When it is lost or has closed, the first call and then one every 50 ms (or `timeout_ns`, if
 * that is less) looks whether the name leads to a new file. */
tf_reader_health_t tf_reader_health(tf_reader_t *reader, int64_t now_mono_ns, int64_t timeout_ns);

/* How long ago the writer last said that it is alive; never negative. */
int64_t tf_reader_heartbeat_age_ns(const tf_reader_t *reader, int64_t now_mono_ns);

/* Image reads: one consistent copy each. Out-parameters are written on TF_IMAGE_OK only. */
tf_image_result_t tf_reader_instrument(tf_reader_t *reader, uint32_t index,
                                       tf_instrument_view_t *out);
tf_image_result_t tf_reader_ticker(tf_reader_t *reader, uint32_t index, tf_image_info_t *info,
                                   tf_ticker_t *out);
tf_image_result_t tf_reader_bbo(tf_reader_t *reader, uint32_t index, tf_image_info_t *info,
                                tf_bbo_t *out);

/* Up to `depth` levels a side, best first, into arrays of at least `depth`; only these are copied.
 */
tf_image_result_t tf_reader_book(tf_reader_t *reader, uint32_t index, uint32_t depth,
                                 tf_image_info_t *info, tf_level_t *bids, uint32_t *bid_count,
                                 tf_level_t *asks, uint32_t *ask_count);

/*
 * Trades numbered [from, to] that the history still has; to = UINT64_MAX means the newest. Writes
 * at most `max` (the newest of them) in order of number; *first is the number of out[0], *count how
 * many. A from that is older than the history just starts later: compare *first with it.
 */
tf_image_result_t tf_reader_trades(tf_reader_t *reader, uint32_t index, uint64_t from, uint64_t to,
                                   tf_image_info_t *info, tf_trade_t *out, uint32_t max,
                                   uint64_t *first, uint32_t *count);
