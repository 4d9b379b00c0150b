/*
 * region_kit: a region of a test's own. Names carry the pid, so tests may run side by side; clocks
 * are set by hand. Include after "kit/kit.h".
 */
#pragma once

#include "market/instrument.h"
#include "region/region.h"
#include "region/region_file.h"

#include <tickfan/reader.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct t_region {
    char name[TF_REGION_NAME_BYTES_MAX];
    tf_region_config_t config;
    tf_clock_t clock;
    int64_t mono_ns, wall_ns;
    tf_stats_t stats;
    tf_region_t *region;
    tf_reader_t *reader; /* opened by t_region_open, closed by t_region_close */
} t_region_t;

static inline int64_t t_region_mono_ns(void *context)
{
    return ((t_region_t *)context)->mono_ns;
}

static inline int64_t t_region_wall_ns(void *context)
{
    return ((t_region_t *)context)->wall_ns;
}

/* A small region: 4 instruments, the smallest ring; the caller may change the config. */
static inline void t_region_init(t_region_t *t, const char *what)
{
    *t = (t_region_t){.mono_ns = 1000, .wall_ns = 1790000000000000000};
    (void)snprintf(t->name, sizeof t->name, "test-%s-%ld", what, (long)getpid());
    t->clock = (tf_clock_t){t_region_mono_ns, t_region_wall_ns, t};
    t->config = (tf_region_config_t){
        .name = t->name,
        .instruments_max = 4,
        .image_depth = 5,
        .trades_kept = 64,
        .ring_bytes = 16 * TF_EVENT_BYTES_MAX,
    };
}

static inline tf_region_t *t_region_create(t_region_t *t)
{
    tf_status_t status = tf_region_create(&t->region, &t->config, &t->clock, &t->stats);
    if (status != TF_OK)
        print_error("%s\n", tf_error_text());
    assert_int_equal(status, TF_OK);
    return t->region;
}

static inline tf_reader_t *t_region_attach(const char *name)
{
    const char *error = NULL;
    tf_reader_t *reader = tf_reader_open(name, &error);
    if (reader == NULL)
        print_error("%s\n", error);
    assert_non_null(reader);
    return reader;
}

/* Create and attach. */
static inline void t_region_open(t_region_t *t)
{
    (void)t_region_create(t);
    t->reader = t_region_attach(t->name);
}

/* Leave nothing of a name in /dev/shm. */
static inline void t_region_erase(const char *name)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, name, "");
    (void)unlink(path);
    tf_region_path(path, name, ".lock");
    (void)unlink(path);
    tf_region_path(path, name, ".sock");
    (void)unlink(path);
}

static inline void t_region_close(t_region_t *t)
{
    tf_reader_close(t->reader);
    t->reader = NULL;
    tf_region_close(t->region, true);
    t->region = NULL;
    t_region_erase(t->name);
}

static inline tf_instrument_t t_instrument(const char *symbol, uint8_t px_dp, uint8_t sz_dp)
{
    tf_instrument_t instrument = {.px_dp = px_dp, .sz_dp = sz_dp, .scale_known = 1};
    (void)snprintf(instrument.symbol, sizeof instrument.symbol, "%s", symbol);
    (void)snprintf(instrument.venue_symbol, sizeof instrument.venue_symbol, "x%s", symbol);
    (void)snprintf(instrument.venue, sizeof instrument.venue, "sim");
    (void)snprintf(instrument.base, sizeof instrument.base, "BTC");
    (void)snprintf(instrument.quote, sizeof instrument.quote, "USD");
    instrument.tick = 1;
    instrument.lot = 10;
    instrument.status = TF_INSTRUMENT_ONLINE;
    return instrument;
}

static const tf_stamp_t t_stamp = {.te_ns = 11, .ti_ns = 22};

/* Add an instrument and make it live; its index. */
static inline uint32_t t_region_live(t_region_t *t, const char *symbol)
{
    tf_instrument_t instrument = t_instrument(symbol, 2, 8);
    uint32_t index = UINT32_MAX;
    assert_int_equal(tf_region_instrument_add(t->region, &instrument, t_stamp, &index), TF_OK);
    tf_region_put_state(t->region, index, TF_STATE_LIVE, TF_REASON_NONE, t_stamp);
    return index;
}

static inline tf_trade_t t_trade(uint64_t number)
{
    tf_trade_t trade = {.px = (int64_t)(100 + number),
                        .sz = (int64_t)number,
                        .te_ns = 11,
                        .ti_ns = 22,
                        .id_is_number = 1,
                        .side = (uint8_t)(number % 2)};
    trade.id_bytes =
        (uint8_t)snprintf(trade.id, sizeof trade.id, "%llu", (unsigned long long)number);
    return trade;
}

/* The next event, which must be there and of this type. */
static inline const tf_event_t *t_event(tf_reader_t *reader, tf_event_type_t type)
{
    const tf_event_t *event = NULL;
    assert_int_equal(tf_reader_poll(reader, &event), TF_POLL_EVENT);
    assert_int_equal(event->type, type);
    return event;
}

static inline void t_no_event(tf_reader_t *reader)
{
    const tf_event_t *event = NULL;
    assert_int_equal(tf_reader_poll(reader, &event), TF_POLL_EMPTY);
}
