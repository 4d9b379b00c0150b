/*
 * view_rig: a region of a test's own and a view of it. Include after "kit/kit.h".
 */
#pragma once

#include "base/mem.h"
#include "region/writer.h"
#include "unit/region/region_kit.h"
#include "view/view.h"

#include <jansson.h>

enum { VIEW_INSTRUMENTS = 8, VIEW_DEPTH = 12, VIEW_TRADES = 64 };

typedef struct view_rig {
    t_region_t t;
    tf_view_t view;
    char epoch[9];
    tf_buf_t out;
} view_rig_t;

static const tf_stamp_t rig_stamp = {.te_ns = 1790000000123456789, .ti_ns = 1790000000124268999};

static inline void rig_open(view_rig_t *rig, const char *what)
{
    memset(rig, 0, sizeof *rig);
    t_region_init(&rig->t, what);
    rig->t.config.instruments_max = VIEW_INSTRUMENTS;
    rig->t.config.image_depth = VIEW_DEPTH;
    rig->t.config.trades_kept = VIEW_TRADES;
    t_region_open(&rig->t);
    assert_true(tf_view_init(&rig->view, rig->t.reader));
    tf_epoch_text(tf_region_epoch(rig->t.region), rig->epoch);
}

static inline void rig_close(view_rig_t *rig)
{
    tf_buf_fini(&rig->out);
    tf_view_fini(&rig->view);
    t_region_close(&rig->t);
}

/* A new instrument, not live yet; its index. */
static inline uint32_t rig_add(view_rig_t *rig, const char *venue, const char *symbol)
{
    tf_instrument_t instrument = t_instrument(symbol, 2, 8);
    uint32_t index = UINT32_MAX;
    (void)snprintf(instrument.venue, sizeof instrument.venue, "%s", venue);
    assert_int_equal(tf_region_instrument_add(rig->t.region, &instrument, rig_stamp, &index),
                     TF_OK);
    (void)tf_directory_refresh(&rig->view.directory, rig->t.reader);
    return index;
}

static inline uint32_t rig_add_live(view_rig_t *rig, const char *venue, const char *symbol)
{
    uint32_t index = rig_add(rig, venue, symbol);
    tf_region_put_state(rig->t.region, index, TF_STATE_LIVE, TF_REASON_NONE, rig_stamp);
    return index;
}

static inline tf_channel_t rig_channel(const char *name)
{
    tf_channel_t channel;
    assert_int_equal(tf_channel_parse(name, strlen(name), NULL, &channel), TF_CHANNEL_OK);
    return channel;
}

/* The snapshot appends nothing but says this. */
static inline void rig_refuses(view_rig_t *rig, const char *name, uint32_t instrument,
                               tf_view_result_t expected)
{
    tf_channel_t channel = rig_channel(name);
    tf_buf_reset(&rig->out);
    tf_buf_lit(&rig->out, "before");
    assert_int_equal(tf_view_snapshot(&rig->view, &channel, instrument, &rig->out), expected);
    assert_int_equal(rig->out.bytes, 6);
    assert_true(tf_buf_ok(&rig->out));
}

/* The snapshot in rig->out, NUL-terminated, and as jansson reads it (the caller's reference). It is
 * appended to what was there. */
static inline json_t *rig_snapshot(view_rig_t *rig, const char *name, uint32_t instrument)
{
    tf_channel_t channel = rig_channel(name);
    tf_buf_reset(&rig->out);
    tf_buf_lit(&rig->out, "before");
    assert_int_equal(tf_view_snapshot(&rig->view, &channel, instrument, &rig->out), TF_VIEW_OK);
    assert_true(tf_buf_ok(&rig->out));
    assert_memory_equal(rig->out.data, "before", 6);
    tf_buf_consume(&rig->out, 6);
    json_t *read = json_loadb(rig->out.data, rig->out.bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(read);
    tf_buf_put(&rig->out, "", 1);
    return read;
}

/* The snapshot's text is {"channel":name,"type":"snapshot","epoch":...,"seq":seq,"prev":null, and
 * then `tail`. */
static inline void rig_says(view_rig_t *rig, const char *name, uint32_t instrument, uint64_t seq,
                            const char *tail)
{
    char head[256];
    json_decref(rig_snapshot(rig, name, instrument));
    int bytes = snprintf(head, sizeof head,
                         "{\"channel\":\"%s\",\"type\":\"snapshot\",\"epoch\":\"%s\",\"seq\":%llu,"
                         "\"prev\":null,",
                         name, rig->epoch, (unsigned long long)seq);
    assert_in_range(bytes, 1, sizeof head - 1);
    if (strncmp(rig->out.data, head, (size_t)bytes) != 0)
        assert_string_equal(rig->out.data, head);
    assert_string_equal(rig->out.data + bytes, tail);
}

static inline const char *rig_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static inline json_int_t rig_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}
