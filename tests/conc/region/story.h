/*
 * story: what the writers of these tests publish, so that a reader can tell every torn, stale or
 * misplaced byte: all content is a function of the seq that stands beside it, and seqs only grow.
 * Checks abort: they run in threads and processes where cmocka's assertions can't.
 */
#pragma once

#include "unit/region/region_kit.h"

#include <stdlib.h>
#include <time.h>

enum { STORY_LEVELS = 6, STORY_DEPTH = 8, STORY_TRADES = 64 };

#define STORY_CHECK(expression)                                                                    \
    ((expression) ? (void)0 : story_fail(__FILE__, __LINE__, #expression))

_Noreturn static inline void story_fail(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "%s:%d: process %ld: %s\n", file, line, (long)getpid(), expression);
    abort();
}

static inline int64_t story_mono_ns(void)
{
    return tf_clock_mono_ns(&tf_clock_system);
}

/* writer */

static inline tf_bbo_t story_bbo(uint64_t seq)
{
    int64_t n = (int64_t)seq;
    return (tf_bbo_t){.bid_px = 3 * n, .bid_sz = 5 * n, .ask_px = 7 * n, .ask_sz = 11 * n};
}

static inline tf_ticker_t story_ticker(uint64_t seq)
{
    int64_t n = (int64_t)seq;
    return (tf_ticker_t){.present = (uint32_t)seq,
                         .side = (uint8_t)(seq % 2),
                         .px = n,
                         .sz = 2 * n,
                         .bid = 3 * n,
                         .bsz = 4 * n,
                         .ask = 5 * n,
                         .asz = 6 * n,
                         .o24 = 7 * n,
                         .h24 = 8 * n,
                         .l24 = 9 * n,
                         .v24 = 10 * n,
                         .q24 = 11 * n,
                         .n24 = 12 * n};
}

static inline tf_trade_t story_trade(uint64_t seq)
{
    tf_trade_t trade = t_trade(seq);
    trade.gap_before = (uint32_t)seq;
    return trade;
}

/* Book version `seq`: the level of rank r. Each version drops the best level and gains a worst one.
 */
static inline tf_level_t story_level(tf_side_t side, uint64_t seq, uint64_t rank)
{
    int64_t px = (int64_t)(seq + rank);
    return (tf_level_t){.px = side == TF_SIDE_BUY ? -px : px, .sz = 13 * px + side + 1};
}

static inline tf_bbo_t story_book_bbo(uint64_t seq)
{
    tf_level_t bid = story_level(TF_SIDE_BUY, seq, 0);
    tf_level_t ask = story_level(TF_SIDE_SELL, seq, 0);
    return (tf_bbo_t){bid.px, bid.sz, ask.px, ask.sz};
}

typedef struct story_writer {
    tf_region_t *region;
    tf_stats_t stats;
    uint32_t market;
    uint64_t bbos, tickers, trades, books, states;
} story_writer_t;

static inline void story_open(story_writer_t *writer, const char *name)
{
    *writer = (story_writer_t){.books = 1, .states = 1};
    tf_region_config_t config = {.name = name,
                                 .instruments_max = 2,
                                 .image_depth = STORY_DEPTH,
                                 .trades_kept = STORY_TRADES,
                                 .ring_bytes = 16 * TF_EVENT_BYTES_MAX};
    tf_status_t status =
        tf_region_create(&writer->region, &config, &tf_clock_system, &writer->stats);
    if (status != TF_OK)
        (void)fprintf(stderr, "%s\n", tf_error_text());
    STORY_CHECK(status == TF_OK);
    tf_instrument_t instrument = t_instrument("BTC-USD", 2, 8);
    STORY_CHECK(tf_region_instrument_add(writer->region, &instrument, t_stamp, &writer->market) ==
                TF_OK);
    tf_level_t side[2][STORY_LEVELS];
    for (unsigned s = 0; s < 2; s++) {
        for (uint64_t rank = 0; rank < STORY_LEVELS; rank++)
            side[s][rank] = story_level((tf_side_t)s, 1, rank);
    }
    tf_region_put_book_snapshot(writer->region, writer->market, side[0], STORY_LEVELS, side[1],
                                STORY_LEVELS, t_stamp);
}

static inline void story_book_step(story_writer_t *writer)
{
    uint64_t seq = writer->books++;
    tf_region_book_begin(writer->region, writer->market);
    for (unsigned s = 0; s < 2; s++) {
        tf_side_t side = (tf_side_t)s;
        tf_region_book_remove(writer->region, side, 0, story_level(side, seq, 0).px, NULL);
        tf_region_book_insert(writer->region, side, STORY_LEVELS - 1,
                              story_level(side, seq + 1, STORY_LEVELS - 1));
    }
    tf_bbo_t bbo = story_book_bbo(seq + 1);
    tf_region_book_commit(writer->region, &bbo, t_stamp);
}

/* One turn of an ingest thread. */
static inline void story_step(story_writer_t *writer)
{
    tf_bbo_t bbo = story_bbo(++writer->bbos);
    STORY_CHECK(tf_region_put_bbo(writer->region, writer->market, &bbo, t_stamp));
    tf_trade_t trade = story_trade(++writer->trades);
    tf_region_put_trade(writer->region, writer->market, &trade, t_stamp);
    story_book_step(writer);
    if (writer->bbos % 4 == 0) {
        tf_ticker_t ticker = story_ticker(++writer->tickers);
        tf_region_put_ticker(writer->region, writer->market, &ticker, t_stamp);
    }
    if (writer->bbos % 64 == 0) {
        bool live = ++writer->states % 2 == 0;
        tf_region_put_state(writer->region, writer->market, live ? TF_STATE_LIVE : TF_STATE_STALE,
                            live ? TF_REASON_NONE : TF_REASON_SILENT, t_stamp);
    }
    tf_region_heartbeat(writer->region, story_mono_ns());
    tf_region_ring_bells(writer->region);
}

/* reader */

typedef struct story_reader {
    tf_reader_t *reader;
    uint64_t last[TF_EVENT_TICKER + 1]; /* seq last seen, by event type */
    bool missed[TF_EVENT_TICKER + 1];   /* lapped since: the next seq may be any higher one */
    uint64_t events, lapped, image_reads, image_busy;
    int64_t call_ns_max; /* longest single call */
} story_reader_t;

static inline void story_book_event(const tf_event_book_t *event)
{
    uint64_t seq = event->head.seq;
    tf_bbo_t bbo = story_book_bbo(seq);
    STORY_CHECK(memcmp(&event->bid_px, &bbo, sizeof bbo) == 0);
    bool snapshot = seq == 1;
    uint32_t levels = snapshot ? STORY_LEVELS : 2;
    STORY_CHECK(event->bids == levels && event->asks == levels);
    for (uint32_t i = 0; i < 2 * levels; i++) {
        tf_side_t side = i < levels ? TF_SIDE_BUY : TF_SIDE_SELL;
        uint32_t rank = i % levels;
        tf_level_t expected = story_level(side, seq, snapshot ? rank : STORY_LEVELS - 1);
        if (!snapshot && rank == 0)
            expected = (tf_level_t){.px = story_level(side, seq - 1, 0).px};
        STORY_CHECK(memcmp(&event->level[i], &expected, sizeof expected) == 0);
    }
}

static inline void story_event_body(const tf_event_t *event)
{
    const void *record = event;
    switch (event->type) {
    case TF_EVENT_INSTRUMENT:
        STORY_CHECK(event->seq == 1);
        break;
    case TF_EVENT_STATE: {
        const tf_event_state_t *state = record;
        STORY_CHECK(state->state == (event->seq % 2 == 0 ? TF_STATE_LIVE : TF_STATE_STALE));
        break;
    }
    case TF_EVENT_BOOK:
        story_book_event(record);
        break;
    case TF_EVENT_BBO: {
        tf_bbo_t bbo = story_bbo(event->seq);
        STORY_CHECK(memcmp(&((const tf_event_bbo_t *)record)->bbo, &bbo, sizeof bbo) == 0);
        break;
    }
    case TF_EVENT_TRADE: {
        tf_trade_t trade = story_trade(event->seq);
        STORY_CHECK(memcmp(&((const tf_event_trade_t *)record)->trade, &trade, sizeof trade) == 0);
        break;
    }
    case TF_EVENT_TICKER: {
        tf_ticker_t ticker = story_ticker(event->seq);
        STORY_CHECK(memcmp(&((const tf_event_ticker_t *)record)->ticker, &ticker, sizeof ticker) ==
                    0);
        break;
    }
    default:
        STORY_CHECK(!"an event type of the story");
    }
}

static inline void story_event(story_reader_t *r, const tf_event_t *event)
{
    STORY_CHECK(event->px_dp == 2 && event->sz_dp == 8 && event->instrument == 0);
    story_event_body(event);
    uint64_t *last = &r->last[event->type];
    STORY_CHECK(event->seq > *last); /* old data never comes as new */
    if (!r->missed[event->type] && *last != 0)
        STORY_CHECK(event->seq == *last + 1);
    r->missed[event->type] = false;
    *last = event->seq;
    r->events++;
}

static inline void story_timed(story_reader_t *r, int64_t since_ns)
{
    int64_t took_ns = story_mono_ns() - since_ns;
    if (took_ns > r->call_ns_max)
        r->call_ns_max = took_ns;
}

static inline tf_poll_t story_poll(story_reader_t *r)
{
    const tf_event_t *event = NULL;
    int64_t now_ns = story_mono_ns();
    tf_poll_t got = tf_reader_poll(r->reader, &event);
    story_timed(r, now_ns);
    if (got == TF_POLL_EVENT)
        story_event(r, event);
    if (got == TF_POLL_LAPPED) {
        r->lapped++;
        memset(r->missed, true, sizeof r->missed);
    }
    return got;
}

static inline bool story_copied(story_reader_t *r, tf_image_result_t result)
{
    r->image_reads++;
    r->image_busy += result == TF_IMAGE_BUSY;
    return result == TF_IMAGE_OK;
}

static inline void story_image_book(story_reader_t *r)
{
    tf_image_info_t info;
    tf_level_t side[2][STORY_DEPTH];
    uint32_t count[2];
    if (!story_copied(r, tf_reader_book(r->reader, 0, STORY_DEPTH, &info, side[0], &count[0],
                                        side[1], &count[1])))
        return;
    STORY_CHECK(info.seq >= r->last[TF_EVENT_BOOK]); /* image before ring */
    for (unsigned s = 0; s < 2; s++) {
        STORY_CHECK(count[s] == (info.seq == 0 ? 0 : STORY_LEVELS));
        for (uint32_t rank = 0; rank < count[s]; rank++) {
            tf_level_t expected = story_level((tf_side_t)s, info.seq, rank);
            STORY_CHECK(memcmp(&side[s][rank], &expected, sizeof expected) == 0);
        }
    }
}

static inline void story_image_trades(story_reader_t *r)
{
    tf_image_info_t info;
    tf_trade_t trades[STORY_TRADES];
    uint64_t first = 0;
    uint32_t count = 0;
    if (!story_copied(r, tf_reader_trades(r->reader, 0, 0, UINT64_MAX, &info, trades, STORY_TRADES,
                                          &first, &count)))
        return;
    STORY_CHECK(info.seq >= r->last[TF_EVENT_TRADE]);
    STORY_CHECK(count == (info.seq < STORY_TRADES ? info.seq : STORY_TRADES));
    for (uint32_t i = 0; i < count; i++) {
        tf_trade_t expected = story_trade(first + i);
        STORY_CHECK(memcmp(&trades[i], &expected, sizeof expected) == 0);
    }
}

/* Read every kind of the image once. */
static inline void story_image(story_reader_t *r)
{
    if (tf_reader_instrument_count(r->reader) == 0)
        return;
    int64_t now_ns = story_mono_ns();
    tf_image_info_t info;
    tf_bbo_t bbo;
    if (story_copied(r, tf_reader_bbo(r->reader, 0, &info, &bbo)) && info.seq != 0) {
        tf_bbo_t expected = story_bbo(info.seq);
        STORY_CHECK(info.seq >= r->last[TF_EVENT_BBO]);
        STORY_CHECK(memcmp(&bbo, &expected, sizeof bbo) == 0);
    }
    tf_ticker_t ticker;
    if (story_copied(r, tf_reader_ticker(r->reader, 0, &info, &ticker)) && info.seq != 0) {
        tf_ticker_t expected = story_ticker(info.seq);
        STORY_CHECK(info.seq >= r->last[TF_EVENT_TICKER]);
        STORY_CHECK(memcmp(&ticker, &expected, sizeof ticker) == 0);
    }
    tf_instrument_view_t view;
    if (story_copied(r, tf_reader_instrument(r->reader, 0, &view))) {
        STORY_CHECK(strcmp(view.symbol, "BTC-USD") == 0 && view.info.px_dp == 2);
        STORY_CHECK(view.info.seq >= r->last[TF_EVENT_STATE]);
        STORY_CHECK(view.info.seq == 1 ||
                    view.info.state == (view.info.seq % 2 == 0 ? TF_STATE_LIVE : TF_STATE_STALE));
    }
    story_image_book(r);
    story_image_trades(r);
    story_timed(r, now_ns);
}

static inline void story_attach(story_reader_t *r, tf_reader_t *reader)
{
    r->reader = reader;
    memset(r->last, 0, sizeof r->last);
    memset(r->missed, false, sizeof r->missed);
}
