/* A venue's channels: which entries a frame has, what it leads from and to, and what is left alone.
 */
#include "kit/kit.h"

#include "base/mem.h"
#include "fanout/stream.h"
#include "fanout/subscription.h"
#include "unit/region/region_kit.h"

#include <jansson.h>

enum { INSTRUMENTS = 3 };

static const char *const symbols[INSTRUMENTS] = {"BTC-USD", "ETH-USD", "SOL-USD"};

typedef struct rig {
    t_region_t t;
    tf_stream_env_t env;
    tf_stream_t stream;
    tf_frame_t *frame[TF_STREAM_FRAMES_MAX]; /* of the last emission */
    size_t frames;
} rig_t;

static void frames_drop(rig_t *rig)
{
    for (size_t i = 0; i < rig->frames; i++)
        tf_frame_unref(rig->frame[i]);
    rig->frames = 0;
}

static tf_stream_result_t emit(rig_t *rig)
{
    frames_drop(rig);
    (void)tf_directory_refresh(&rig->env.view.directory, rig->t.reader);
    return tf_stream_emit(&rig->stream, &rig->env, rig->frame, &rig->frames);
}

/* A venue with two live markets. */
static void rig_open(rig_t *rig, const char *name)
{
    memset(rig, 0, sizeof *rig);
    t_region_init(&rig->t, "list");
    t_region_open(&rig->t);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(t_region_live(&rig->t, symbols[i]), i);
    tf_channel_t channel;
    assert_int_equal(tf_channel_parse(name, strlen(name), NULL, &channel), TF_CHANNEL_OK);
    assert_true(tf_stream_env_init(&rig->env, rig->t.reader, &rig->t.stats));
    assert_true(tf_directory_refresh(&rig->env.view.directory, rig->t.reader));
    assert_true(tf_stream_init(&rig->stream, &rig->env, &channel, 0));
}

static void rig_close(rig_t *rig)
{
    frames_drop(rig);
    tf_stream_fini(&rig->stream);
    tf_stream_env_fini(&rig->env);
    t_region_close(&rig->t);
}

static void put_state(rig_t *rig, uint32_t index, tf_market_state_t state,
                      tf_market_reason_t reason)
{
    rig->t.wall_ns += 1000000;
    tf_region_put_state(rig->t.region, index, state, reason, t_stamp);
}

static void put_listing(rig_t *rig, uint32_t index, uint8_t px_dp, uint8_t status)
{
    tf_instrument_t instrument = t_instrument(symbols[index], px_dp, 8);
    instrument.status = status;
    assert_true(tf_region_instrument_update(rig->t.region, index, &instrument, t_stamp));
}

/* "scope or symbol=what it says" of each entry, in order. */
static void outline(const tf_frame_t *frame, char out[256])
{
    size_t header = frame->data[1] == 126 ? 4 : frame->data[1] == 127 ? 10 : 2;
    json_t *text = json_loadb((const char *)frame->data + header, frame->bytes - header, 0, NULL);
    assert_non_null(text);
    const json_t *data = json_object_get(json_object_get(text, "params"), "data");
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *entry = json_array_get(data, i);
        const char *symbol = json_string_value(json_object_get(entry, "symbol"));
        const char *state = json_string_value(json_object_get(entry, "state"));
        const char *status = json_string_value(json_object_get(entry, "status"));
        at += (size_t)snprintf(out + at, 256 - at, "%s%s=%s", i > 0 ? " " : "",
                               symbol != NULL ? symbol : "venue", state != NULL ? state : status);
    }
    json_decref(text);
}

static void expect(const tf_frame_t *frame, uint64_t prev, uint64_t seq, const char *entries)
{
    char found[256];
    outline(frame, found);
    assert_string_equal(found, entries);
    assert_int_equal(frame->seq, seq);
    assert_int_equal(frame->prev, prev);
}

static void a_list_starts_whole(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    assert_null(tf_stream_snapshot(&rig.stream, &rig.env));
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 3);
    expect(rig.frame[2], 0, 4, "venue=live BTC-USD=live ETH-USD=live");
    assert_int_equal(rig.frame[2]->type, TF_FRAME_SNAPSHOT);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    rig_close(&rig);
}

static void an_update_has_what_changed(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    put_state(&rig, 1, TF_STATE_STALE, TF_REASON_SILENT);
    (void)emit(&rig);
    assert_int_equal(rig.frames, 1);
    expect(rig.frame[0], 4, 5, "ETH-USD=stale"); /* the venue is still as good as its best */
    put_state(&rig, 0, TF_STATE_STALE, TF_REASON_SILENT);
    (void)emit(&rig);
    expect(rig.frame[0], 5, 6, "venue=stale BTC-USD=stale");
    rig_close(&rig);
}

static void a_venue_that_goes_away_is_one_update(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    for (uint32_t i = 0; i < 2; i++) {
        put_state(&rig, i, TF_STATE_RESYNC, TF_REASON_SEQ_GAP);
        put_state(&rig, i, TF_STATE_STALE, TF_REASON_VENUE_DISCONNECTED);
    }
    (void)emit(&rig);
    assert_int_equal(rig.frames, 1);
    expect(rig.frame[0], 4, 8, "venue=stale BTC-USD=stale ETH-USD=stale");
    rig_close(&rig);
}

static void a_new_instrument_is_a_change(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "instruments.sim");
    (void)emit(&rig);
    expect(rig.frame[2], 0, 4, "BTC-USD=online ETH-USD=online");
    (void)t_region_live(&rig.t, symbols[2]);
    (void)emit(&rig);
    expect(rig.frame[0], 4, 6, "SOL-USD=online");
    expect(tf_stream_snapshot(&rig.stream, &rig.env), 0, 6,
           "BTC-USD=online ETH-USD=online SOL-USD=online");
    rig_close(&rig);
}

/* Both channels count the same versions, and each tells what is its own. */
static void what_the_channel_does_not_tell_is_no_frame(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "instruments.sim");
    (void)emit(&rig);
    put_state(&rig, 0, TF_STATE_STALE, TF_REASON_SILENT);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    assert_int_equal(rig.stream.seq, 4); /* where its subscribers stand */
    put_listing(&rig, 0, 3, TF_INSTRUMENT_ONLINE);
    (void)emit(&rig);
    expect(rig.frame[0], 4, 6, "BTC-USD=online");
    rig_close(&rig);
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    put_listing(&rig, 0, 3, TF_INSTRUMENT_DELISTED);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    assert_int_equal(rig.frames, 0);
    put_state(&rig, 0, TF_STATE_HALTED, TF_REASON_VENUE_STATUS);
    (void)emit(&rig);
    expect(rig.frame[0], 4, 6, "BTC-USD=halted"); /* the other one is live for as long */
    rig_close(&rig);
}

static void who_is_behind_gets_every_entry_that_changed_since(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    put_state(&rig, 1, TF_STATE_STALE, TF_REASON_SILENT);
    (void)emit(&rig);
    put_state(&rig, 0, TF_STATE_STALE, TF_REASON_SILENT);
    (void)emit(&rig);
    put_state(&rig, 1, TF_STATE_RESYNC, TF_REASON_SEQ_GAP); /* not emitted: nobody is ahead */
    static const struct {
        uint64_t seq;
        const char *entries;
    } rows[] = {{4, "venue=stale BTC-USD=stale ETH-USD=stale"}, {5, "venue=stale BTC-USD=stale"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(tf_stream_remembers(&rig.stream, rows[i].seq));
        tf_frame_t *since = tf_stream_since(&rig.stream, &rig.env, rows[i].seq);
        assert_non_null(since);
        expect(since, rows[i].seq, 6, rows[i].entries);
        tf_frame_unref(since);
    }
    assert_false(tf_stream_remembers(&rig.stream, 6));
    assert_false(tf_stream_remembers(&rig.stream, TF_SEQ_NONE));
    rig_close(&rig);
}

/* Who joins is brought to what was emitted last, or the next update would not fit. */
static void a_snapshot_is_of_what_was_emitted(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    put_state(&rig, 1, TF_STATE_STALE, TF_REASON_SILENT);
    expect(tf_stream_snapshot(&rig.stream, &rig.env), 0, 4, "venue=live BTC-USD=live ETH-USD=live");
    (void)emit(&rig);
    expect(tf_stream_snapshot(&rig.stream, &rig.env), 0, 5,
           "venue=live BTC-USD=live ETH-USD=stale");
    rig_close(&rig);
}

static void a_lost_region_is_a_state_of_the_list(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    rig.env.view.lost = true;
    (void)emit(&rig);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->told, tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST));
    rig.env.view.lost = false;
    (void)emit(&rig);
    assert_int_equal(rig.frames, 1);
    assert_int_equal(rig.frame[0]->told, tf_told(TF_STATE_LIVE, TF_REASON_NONE));
    rig_close(&rig);
}

/* The name of a new instrument is read by the directory first: until then the sum of the versions
 * would not be the venue's. */
static void a_list_waits_for_names(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig, "status.sim");
    (void)emit(&rig);
    (void)t_region_live(&rig.t, symbols[2]);
    frames_drop(&rig);
    assert_int_equal(tf_stream_emit(&rig.stream, &rig.env, rig.frame, &rig.frames),
                     TF_STREAM_AGAIN);
    assert_int_equal(emit(&rig), TF_STREAM_OK);
    expect(rig.frame[0], 4, 6, "SOL-USD=live");
    rig_close(&rig);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 12; nth++) {
        rig_t rig;
        rig_open(&rig, "status.sim");
        tf_mem_fail_at(nth);
        (void)emit(&rig);
        tf_mem_fail_at(0);
        (void)emit(&rig);
        put_state(&rig, 1, TF_STATE_STALE, TF_REASON_SILENT);
        frames_drop(&rig);
        tf_buf_fini(&rig.env.text); /* so that there is something to allocate */
        tf_buf_fini(&rig.env.view.items);
        tf_mem_fail_at(nth);
        tf_stream_result_t first = emit(&rig);
        tf_mem_fail_at(0);
        assert_true(first == TF_STREAM_OK ? rig.frames == 1 : rig.frames == 0);
        (void)emit(&rig);
        expect(tf_stream_snapshot(&rig.stream, &rig.env), 0, 5,
               "venue=live BTC-USD=live ETH-USD=stale");
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_starts_whole),
        cmocka_unit_test(an_update_has_what_changed),
        cmocka_unit_test(a_venue_that_goes_away_is_one_update),
        cmocka_unit_test(a_new_instrument_is_a_change),
        cmocka_unit_test(what_the_channel_does_not_tell_is_no_frame),
        cmocka_unit_test(who_is_behind_gets_every_entry_that_changed_since),
        cmocka_unit_test(a_snapshot_is_of_what_was_emitted),
        cmocka_unit_test(a_lost_region_is_a_state_of_the_list),
        cmocka_unit_test(a_list_waits_for_names),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
