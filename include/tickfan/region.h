/*
 * tickfan/region.h: the shared-memory layout, ABI v1. One writer (an ingest thread), any number of
 * readers that map it read-only. Use <tickfan/reader.h> rather than these offsets.
 *
 *   /dev/shm/tickfan.NAME        this file, built aside and renamed into place
 *   /dev/shm/tickfan.NAME.lock   the writer's flock; never renamed or removed
 *
 *   0            header_offset...
 *   +--------+-------------+---------+---------+-------------------------------+--------+
 *   | header | instruments | tickers | bbos    | books: 2 sides x depth levels | trades | ring
 *   +--------+-------------+---------+---------+-------------------------------+--------+
 *
 * Every shared word is a 64-bit atomic, written and copied with relaxed order between the two
 * halves of a seqlock (Boehm, "Can seqlocks get along with programming language memory models?",
 * MSPC 2012). Offsets only, no pointers; a reader checks every offset and count it reads.
 *
 * Seqlock: even = stable, odd = being written. A reader gives up after TF_IMAGE_TRIES; a lock that
 * a dead writer left odd is therefore "busy", never a spin.
 */
#pragma once

#include <tickfan/event.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TF_REGION_ABI = 1,
    TF_REGION_LINE = 128,
    TF_REGION_NAME_BYTES_MAX = 64, /* [A-Za-z0-9_-]{1,63}, NUL included */
    TF_IMAGE_TRIES = 4,
    TF_IMAGE_DEPTH_MAX = 65536,
};

#define TF_REGION_MAGIC 0x314e414654434954ULL /* "TICTFAN1" read as little-endian bytes */

typedef enum tf_region_state {
    TF_REGION_INIT = 0,
    TF_REGION_READY = 1,
    TF_REGION_CLOSED = 2, /* the writer stopped in order; nothing more will come */
} tf_region_state_t;

/* All words atomic; those marked const are written before the file is renamed into place. */
typedef struct tf_region_header {
    _Alignas(TF_REGION_LINE) _Atomic uint64_t magic; /* const */
    _Atomic uint64_t abi;                            /* const */
    _Atomic uint64_t file_bytes;                     /* const */
    _Atomic uint64_t epoch;                          /* const, 40 random bits, never 0 */
    _Atomic uint64_t writer_pid;                     /* const */
    _Atomic uint64_t instruments_max;                /* const */
    _Atomic uint64_t image_depth;                    /* const, levels kept per side */
    _Atomic uint64_t book_slots;                     /* const, power of two >= image_depth */
    _Atomic uint64_t trades_kept;                    /* const, power of two */
    _Atomic uint64_t ring_bytes;                     /* const, power of two */
    _Atomic uint64_t instruments_offset; /* const, like all offsets: bytes from file start */
    _Atomic uint64_t tickers_offset;
    _Atomic uint64_t bbos_offset;
    _Atomic uint64_t books_offset;
    _Atomic uint64_t book_stride; /* const, bytes from one instrument's book to the next */
    _Atomic uint64_t trades_offset;
    _Atomic uint64_t trades_stride;
    _Atomic uint64_t ring_offset;

    /* written by the writer (release), read by every reader (acquire) */
    _Alignas(TF_REGION_LINE) _Atomic uint64_t
        heartbeat_mono_ns;             /* CLOCK_MONOTONIC, every <= 100 ms */
    _Atomic uint64_t state;            /* tf_region_state_t */
    _Atomic uint64_t instrument_count; /* entries [0, count) are filled; only grows */

    /* the ring's positions, in bytes since the epoch began; position p lies at p mod ring_bytes.
     * intent is stored before a record is written, tail after: bytes [tail, intent) are in flux and
     * everything below intent - ring_bytes is overwritten. Partner: tf_reader_poll(). */
    _Alignas(TF_REGION_LINE) _Atomic uint64_t ring_intent;
    _Alignas(TF_REGION_LINE) _Atomic uint64_t ring_tail;
} tf_region_header_t;

/* The head of every image entry: seqlock, then what every kind carries. */
typedef struct tf_image_head {
    _Atomic uint64_t lock;
    _Atomic uint64_t seq;      /* version of this (instrument, kind); 0 = nothing published yet */
    _Atomic uint64_t base_seq; /* version of the last reset (snapshot, resync, new scale): a
                                  difference from any older version is not meaningful */
    _Atomic uint64_t te_ns;
    _Atomic uint64_t ti_ns;
    _Atomic uint64_t tp_ns;
    _Atomic uint64_t status; /* state | reason << 8 | px_dp << 16 | sz_dp << 24 */
} tf_image_head_t;

/* Strings NUL-padded; packed into words by the writer, unpacked by the reader. */
typedef struct tf_image_instrument {
    _Alignas(TF_REGION_LINE) tf_image_head_t head; /* seq counts changes of state and metadata */
    _Atomic uint64_t symbol[TF_SYMBOL_BYTES_MAX / 8];
    _Atomic uint64_t venue_symbol[TF_SYMBOL_BYTES_MAX / 8];
    _Atomic uint64_t venue[TF_VENUE_BYTES_MAX / 8];
    _Atomic uint64_t base[TF_SYMBOL_BYTES_MAX / 8];
    _Atomic uint64_t quote[TF_SYMBOL_BYTES_MAX / 8];
    _Atomic uint64_t tick;
    _Atomic uint64_t lot;
    _Atomic uint64_t listing;  /* tf_instrument_status_t */
    _Atomic uint64_t since_ns; /* wall clock of the last change of state */
} tf_image_instrument_t;

typedef struct tf_image_ticker {
    _Alignas(TF_REGION_LINE) tf_image_head_t head;
    _Atomic uint64_t ticker[sizeof(tf_ticker_t) / 8];
} tf_image_ticker_t;

typedef struct tf_image_bbo {
    _Alignas(TF_REGION_LINE) tf_image_head_t head;
    _Atomic uint64_t bbo[sizeof(tf_bbo_t) / 8];
} tf_image_bbo_t;

/*
 * One book: two circular arrays of `book_slots` levels. The level of rank r of a side lies in slot
 * (start + r) mod book_slots. A change at rank r moves only the r levels better than it; a worst
 * level leaves or comes at the other end without a move.
 */
typedef struct tf_image_book {
    _Alignas(TF_REGION_LINE) tf_image_head_t head;
    _Atomic uint64_t start[2];                         /* slot of the best level, by tf_side_t */
    _Atomic uint64_t count[2];                         /* levels held, <= image_depth */
    _Alignas(TF_REGION_LINE) _Atomic uint64_t level[]; /* [side][slot][px, sz] */
} tf_image_book_t;

/* The last `trades_kept` trades; trade number n (head.seq counts them from 1) lies in slot
 * n mod trades_kept. */
typedef struct tf_image_trades {
    _Alignas(TF_REGION_LINE) tf_image_head_t head;
    _Alignas(TF_REGION_LINE) _Atomic uint64_t trade[]; /* [slot][sizeof(tf_trade_t) / 8] */
} tf_image_trades_t;

_Static_assert(sizeof(_Atomic uint64_t) == 8, "lock-free words");
_Static_assert(offsetof(tf_region_header_t, heartbeat_mono_ns) == 256, "shm ABI v1");
_Static_assert(offsetof(tf_region_header_t, ring_intent) == 384, "shm ABI v1");
_Static_assert(offsetof(tf_region_header_t, ring_tail) == 512, "shm ABI v1");
_Static_assert(sizeof(tf_region_header_t) == 640, "shm ABI v1");
_Static_assert(sizeof(tf_image_head_t) == 56, "shm ABI v1");
_Static_assert(sizeof(tf_image_instrument_t) == 256, "shm ABI v1");
_Static_assert(offsetof(tf_image_ticker_t, ticker) == 56, "shm ABI v1");
_Static_assert(sizeof(tf_image_ticker_t) == 256, "shm ABI v1");
_Static_assert(sizeof(tf_image_bbo_t) == 128, "shm ABI v1");
_Static_assert(offsetof(tf_image_book_t, level) == 128, "shm ABI v1");
_Static_assert(offsetof(tf_image_trades_t, trade) == 128, "shm ABI v1");
