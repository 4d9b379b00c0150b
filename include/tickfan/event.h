/*
 * tickfan/event.h: what the ring carries. Part of the shared-memory ABI v1; self-contained, so that
 * a record can also be sent to another host as it is.
 *
 * A record is a tf_event_t head followed by the body of its type. Little-endian, 8-byte aligned,
 * length a multiple of 8. Times are nanoseconds UTC; prices and sizes are mantissas with the px_dp
 * and sz_dp of the head. New fields are only appended; readers skip types they do not know.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TF_TIME_NONE  INT64_MIN /* the venue gave no event time */
#define TF_PRICE_NONE INT64_MIN /* no such side or figure */

enum {
    TF_TRADE_ID_BYTES_MAX = 40,
    TF_SYMBOL_BYTES_MAX = 32,   /* canonical and venue symbols, NUL included */
    TF_VENUE_BYTES_MAX = 16,    /* venue name, NUL included */
    TF_EVENT_LEVELS_MAX = 1000, /* levels in one BOOK record; longer changes are several records */
};

typedef enum tf_market_state {
    TF_STATE_LIVE = 0,
    TF_STATE_STALE = 1,
    TF_STATE_RESYNC = 2,
    TF_STATE_HALTED = 3,
} tf_market_state_t;

typedef enum tf_market_reason {
    TF_REASON_NONE = 0, /* LIVE only */
    TF_REASON_STARTING = 1,
    TF_REASON_VENUE_DISCONNECTED = 2,
    TF_REASON_SILENT = 3,
    TF_REASON_SEQ_GAP = 4,
    TF_REASON_CHECKSUM = 5,
    TF_REASON_CROSSED = 6,
    TF_REASON_VENUE_STATUS = 7,
    TF_REASON_INGEST_LOST =
        8, /* set by readers when the region's heartbeat stops, never in a record */
} tf_market_reason_t;

typedef enum tf_side {
    TF_SIDE_BUY = 0,  /* bid side of a book; taker bought */
    TF_SIDE_SELL = 1, /* ask side of a book; taker sold */
} tf_side_t;

typedef enum tf_event_type {
    TF_EVENT_PADDING = 0, /* never seen by users: fills the ring up to its end */
    TF_EVENT_INSTRUMENT =
        1, /* new instrument, or its scale, tick, lot or status changed: read the image */
    TF_EVENT_STATE = 2,  /* tf_event_state_t; seq counts an instrument's state changes */
    TF_EVENT_BOOK = 3,   /* tf_event_book_t + levels */
    TF_EVENT_BBO = 4,    /* tf_event_bbo_t */
    TF_EVENT_TRADE = 5,  /* tf_event_trade_t */
    TF_EVENT_TICKER = 6, /* tf_event_ticker_t */
} tf_event_type_t;

/* 48 bytes */
typedef struct tf_event {
    uint32_t bytes;      /* whole record, a multiple of 8 */
    uint16_t type;       /* tf_event_type_t */
    uint8_t px_dp;       /* decimals of every price in the record */
    uint8_t sz_dp;       /* decimals of every size in the record */
    uint32_t instrument; /* index in the region's instrument table; stable within an epoch */
    uint32_t flags;      /* TF_EVENT_FLAG_* */
    uint64_t seq;        /* version of this (instrument, kind) */
    int64_t te_ns;       /* venue's event time, or TF_TIME_NONE */
    int64_t ti_ns;       /* received by ingest */
    int64_t tp_ns;       /* published */
} tf_event_t;

enum {
    TF_EVENT_FLAG_SNAPSHOT = 1, /* BOOK: clear the book before applying the levels */
    TF_EVENT_FLAG_MORE = 2,     /* BOOK: the next record of this instrument continues this change */
};

/* size 0 removes; otherwise the new absolute size. Truncate to image_depth after the last record.
 */
typedef struct tf_level {
    int64_t px;
    int64_t sz;
} tf_level_t;

/* Levels follow: `bids`, then `asks`, each best first in snapshots and in order of change
 * otherwise. bbo_* is the best bid and offer after the whole change, in every record of it. */
typedef struct tf_event_book {
    tf_event_t head;
    uint32_t bids;
    uint32_t asks;
    int64_t bid_px, bid_sz, ask_px, ask_sz; /* TF_PRICE_NONE where a side is empty */
    tf_level_t level[];
} tf_event_book_t;

typedef struct tf_bbo {
    int64_t bid_px, bid_sz, ask_px, ask_sz; /* px TF_PRICE_NONE (and sz 0) where a side is empty */
} tf_bbo_t;

typedef struct tf_event_bbo {
    tf_event_t head;
    tf_bbo_t bbo;
} tf_event_bbo_t;

/* 80 bytes; also the entry of the image's trade history. */
typedef struct tf_trade {
    int64_t px;
    int64_t sz;
    int64_t te_ns; /* or TF_TIME_NONE */
    int64_t ti_ns;
    uint32_t gap_before;  /* trades the venue's ids prove to be missing right before this one */
    uint8_t side;         /* tf_side_t of the taker */
    uint8_t id_bytes;     /* 1..TF_TRADE_ID_BYTES_MAX */
    uint8_t id_is_number; /* the venue's id is an integer: digits only, fits uint64 */
    uint8_t reserved;
    char id[TF_TRADE_ID_BYTES_MAX]; /* the venue's own id, not NUL-terminated, zero-padded */
} tf_trade_t;

typedef struct tf_event_trade {
    tf_event_t head;
    tf_trade_t trade;
} tf_event_trade_t;

enum { /* tf_ticker_t.present */
       TF_TICKER_PX = 1 << 0,
       TF_TICKER_SZ = 1 << 1,
       TF_TICKER_SIDE = 1 << 2,
       TF_TICKER_BID = 1 << 3,
       TF_TICKER_BSZ = 1 << 4,
       TF_TICKER_ASK = 1 << 5,
       TF_TICKER_ASZ = 1 << 6,
       TF_TICKER_O24 = 1 << 7,
       TF_TICKER_H24 = 1 << 8,
       TF_TICKER_L24 = 1 << 9,
       TF_TICKER_V24 = 1 << 10,
       TF_TICKER_Q24 = 1 << 11,
       TF_TICKER_N24 = 1 << 12,
};

typedef struct tf_ticker {
    uint32_t present; /* TF_TICKER_* of the fields below that the venue gave */
    uint8_t side;     /* tf_side_t of the last trade's taker */
    uint8_t q24_dp;   /* q24 has decimals of its own: it is a price times a size */
    uint8_t v24_dp;   /* v24 too: a sum can be finer than a lot */
    uint8_t reserved;
    int64_t px, sz;             /* last trade */
    int64_t bid, bsz, ask, asz; /* best bid and offer as the ticker gives it */
    int64_t o24, h24, l24;      /* 24 h open, high, low */
    int64_t v24, q24;           /* 24 h volume in base and in quote */
    int64_t n24;                /* 24 h count of trades */
} tf_ticker_t;

typedef struct tf_event_ticker {
    tf_event_t head;
    tf_ticker_t ticker;
} tf_event_ticker_t;

typedef struct tf_event_state {
    tf_event_t head;
    uint8_t state;  /* tf_market_state_t */
    uint8_t reason; /* tf_market_reason_t */
    uint8_t reserved[6];
} tf_event_state_t;

enum {
    TF_EVENT_BYTES_MAX =
        16384 + 128, /* the largest record: a BOOK with TF_EVENT_LEVELS_MAX levels */
};

static_assert(sizeof(tf_event_t) == 48, "shm ABI v1");
static_assert(sizeof(tf_event_book_t) == 88, "shm ABI v1");
static_assert(sizeof(tf_event_bbo_t) == 80, "shm ABI v1");
static_assert(sizeof(tf_trade_t) == 80, "shm ABI v1");
static_assert(sizeof(tf_ticker_t) == 104, "shm ABI v1");
static_assert(sizeof(tf_event_state_t) == 56, "shm ABI v1");
static_assert(sizeof(tf_event_book_t) + TF_EVENT_LEVELS_MAX * sizeof(tf_level_t) <=
                  TF_EVENT_BYTES_MAX,
              "the largest BOOK record fits");

#ifdef __cplusplus
}
#endif
