#include "kit/kit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "venue/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

enum { EVENTS_MAX = 64 };

typedef struct seen {
    tf_source_event_type_t type;
    int64_t now_ns;
    char text[200];
    char url[100];
} seen_t;

/* A hand-driven clock and what a source gave under it. */
typedef struct run {
    seen_t seen[EVENTS_MAX];
    size_t count;
    int64_t mono_ns;
    int64_t first_wake_ns;
} run_t;

static const char *scratch_file(const char *content)
{
    static char path[256];
    static unsigned number;
    (void)snprintf(path, sizeof path, "%s/recording_%u", t_scratch_dir(), number++);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
    return path;
}

static tf_source_t *open_file(const char *path, double speed, bool loop)
{
    tf_source_t *source = NULL;
    const tf_replay_config_t config = {.path = path, .speed = speed, .loop = loop};
    const tf_status_t status = tf_replay_open(&source, &config);
    if (status != TF_OK) {
        fail_msg("%s", tf_error_text());
    }
    return source;
}

static void note(run_t *run, const tf_source_event_t *event)
{
    seen_t *seen = &run->seen[run->count++];
    seen->type = event->type;
    seen->now_ns = event->now_ns;
    (void)snprintf(seen->text, sizeof seen->text, "%.*s", (int)event->bytes,
                   event->bytes > 0 ? event->text : "");
    (void)snprintf(seen->url, sizeof seen->url, "%.*s", (int)event->url.bytes,
                   event->url.bytes > 0 ? event->url.text : "");
}

/* Poll until `events_max` events or the end; sleep exactly as IDLE says, or in steps of `step_ns`.
 */
static void drive(run_t *run, const char *path, double speed, bool loop, size_t events_max,
                  int64_t step_ns)
{
    tf_source_t *source = open_file(path, speed, loop);
    tf_source_event_t event;
    int64_t before_ns = 0;
    memset(run, 0, sizeof *run);
    run->mono_ns = 77 * TF_NS_PER_S;
    while (run->count < events_max) {
        source->ops->poll(source, run->mono_ns, 5, &event);
        assert_true(event.now_ns >= before_ns);
        before_ns = event.now_ns;
        if (event.type == TF_SOURCE_IDLE) {
            assert_true(event.wake_in_ns > 0 && event.wake_in_ns != INT64_MAX);
            run->first_wake_ns = run->first_wake_ns == 0 ? event.wake_in_ns : run->first_wake_ns;
            run->mono_ns += step_ns > 0 ? step_ns : event.wake_in_ns;
            continue;
        }
        note(run, &event);
        if (event.type == TF_SOURCE_ENDED) {
            break;
        }
    }
    source->ops->destroy(source);
}

static void expect(const run_t *run, size_t index, tf_source_event_type_t type, int64_t now_ns,
                   const char *text)
{
    assert_true(index < run->count);
    assert_int_equal(run->seen[index].type, type);
    assert_int_equal(run->seen[index].now_ns, now_ns);
    assert_string_equal(run->seen[index].text, text);
}

/* 2026-07-07T22:58:16Z */
#define T0 (1783465096LL * TF_NS_PER_S)

static const char raw[] = "{\"type\":\"subscriptions\"}\n"
                          "{\"type\":\"a\",\"x\":{\"time\":\"2026-07-07T22:58:19Z\"},\"time\":"
                          "\"2026-07-07T22:58:16.25Z\"}\r\n"
                          "\n"
                          "{\"type\":\"b\",\"time\":\"2026-07-07T22:58:16.125Z\"}\n"
                          "{\"type\":\"c\",\"time\":\"0001-01-01T00:00:00.000000Z\"}\n"
                          "{\"type\":\"d\",\"time\":\"2026-07-07T22:58:17Z\"}";

static void raw_frames_keep_order_and_their_times_never_go_back(void **state)
{
    (void)state;
    run_t run;
    drive(&run, scratch_file(raw), 0, false, EVENTS_MAX, 0);
    assert_int_equal(run.count, 7);
    const int64_t first_ns = T0 + 250 * TF_NS_PER_MS; /* the leading frame has no time of its own */
    expect(&run, 0, TF_SOURCE_OPENED, first_ns, "");
    expect(&run, 1, TF_SOURCE_FRAME, first_ns, "{\"type\":\"subscriptions\"}");
    assert_int_equal(run.seen[2].now_ns, first_ns);
    assert_int_equal(run.seen[2].text[strlen(run.seen[2].text) - 1], '}'); /* no line end */
    expect(&run, 3, TF_SOURCE_FRAME, first_ns,
           "{\"type\":\"b\",\"time\":\"2026-07-07T22:58:16.125Z\"}");
    assert_int_equal(run.seen[4].now_ns, first_ns);
    assert_int_equal(run.seen[5].now_ns, T0 + TF_NS_PER_S);
    expect(&run, 6, TF_SOURCE_ENDED, T0 + TF_NS_PER_S, "");
}

static void other_venues_times_are_found_one_level_down(void **state)
{
    (void)state;
    run_t run;
    drive(&run,
          scratch_file("{\"stream\":\"x\",\"data\":{\"e\":\"trade\",\"E\":1783465096125}}\n"
                       "{\"channel\":\"book\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[],"
                       "\"timestamp\":\"2026-07-07T22:58:16.5Z\"}]}\n"
                       "{\"channel\":\"empty\",\"data\":[]}\n"
                       "{\"event\":\"trade\",\"data\":{\"microtimestamp\":\"1783465096750000\"}}\n"
                       "{\"arg\":{},\"data\":[{\"ts\":\"1783465096800\"}]}\n"
                       "{\"topic\":\"x\",\"ts\":1783465096900,\"data\":{}}\n"),
          0, false, EVENTS_MAX, 0);
    const int64_t ms[] = {125, 125, 500, 500, 750, 800, 900, 900};
    assert_int_equal(run.count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(run.seen[i].now_ns, T0 + ms[i] * TF_NS_PER_MS);
    }
}

static void a_raw_line_that_is_not_json_is_still_a_frame(void **state)
{
    (void)state;
    run_t run;
    drive(&run, scratch_file("{\"time\":\"2026-07-07T22:58:16Z\"}\n{\"time\":\"2026-07-07T22:58"),
          0, false, EVENTS_MAX, 0);
    assert_int_equal(run.count, 4);
    expect(&run, 2, TF_SOURCE_FRAME, T0, "{\"time\":\"2026-07-07T22:58");
}

static void the_sequence_is_the_same_at_any_speed_and_polling(void **state)
{
    (void)state;
    const char *path = scratch_file(raw);
    run_t fast;
    run_t other;
    drive(&fast, path, 0, false, EVENTS_MAX, 0);
    assert_int_equal(fast.mono_ns, 77 * TF_NS_PER_S); /* never had to wait */
    const struct {
        double speed;
        int64_t step_ns, took_ns;
    } ways[] = {{1, 0, 750000000},        {10, 0, 75000000},         {3, 0, 250000000},
                {1, 10000000, 750000000}, {1, 400000000, 800000000}, {0.5, 0, 1500000000}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        drive(&other, path, ways[i].speed, false, EVENTS_MAX, ways[i].step_ns);
        assert_int_equal(other.mono_ns - 77 * TF_NS_PER_S, ways[i].took_ns);
        assert_int_equal(other.count, fast.count);
        assert_memory_equal(other.seen, fast.seen, sizeof fast.seen);
    }
}

static void idle_tells_the_virtual_time_and_how_long_to_sleep(void **state)
{
    (void)state;
    tf_source_t *source = open_file(scratch_file(raw), 10, false);
    tf_source_event_t event;
    do {
        source->ops->poll(source, 1000, 0, &event);
    } while (event.type != TF_SOURCE_IDLE);
    assert_int_equal(event.wake_in_ns, 75 * TF_NS_PER_MS); /* 750 ms of the recording */
    assert_int_equal(event.now_ns, T0 + 250 * TF_NS_PER_MS);
    source->ops->poll(source, 1000 + 50 * TF_NS_PER_MS, 0, &event);
    assert_int_equal(event.type, TF_SOURCE_IDLE);
    assert_int_equal(event.wake_in_ns, 25 * TF_NS_PER_MS);
    assert_int_equal(event.now_ns, T0 + 750 * TF_NS_PER_MS);
    source->ops->poll(source, 1000 + 75 * TF_NS_PER_MS, 0, &event);
    assert_int_equal(event.type, TF_SOURCE_FRAME);
    source->ops->poll(source, 1000 + 75 * TF_NS_PER_MS, 0, &event);
    assert_int_equal(event.type, TF_SOURCE_ENDED);
    source->ops->send(source, "{}", 2);
    for (int i = 0; i < 2; i++) {
        source->ops->poll(source, (i + 9) * TF_NS_PER_S, 0, &event);
        assert_int_equal(event.type, TF_SOURCE_IDLE);
        assert_int_equal(event.wake_in_ns, INT64_MAX);
        assert_int_equal(event.now_ns, T0 + TF_NS_PER_S);
    }
    source->ops->destroy(source);
}

static void a_loop_closes_and_goes_on_one_second_later(void **state)
{
    (void)state;
    const char *path = scratch_file(raw);
    run_t run;
    run_t paced;
    drive(&run, path, 0, true, 21, 0);
    drive(&paced, path, 1, true, 21, 0);
    assert_memory_equal(run.seen, paced.seen, sizeof run.seen);
    assert_int_equal(paced.mono_ns - 77 * TF_NS_PER_S, 2 * 1750000000LL + 750000000LL);
    const int64_t round_ns = 1750 * TF_NS_PER_MS; /* 750 ms of frames and the pause */
    for (size_t i = 0; i < 21; i++) {
        const seen_t *first = &run.seen[i % 7];
        const int64_t shift_ns = (int64_t)(i / 7) * round_ns;
        const bool last = i % 7 == 6;
        expect(&run, i, last ? TF_SOURCE_CLOSED : first->type, first->now_ns + shift_ns,
               first->text);
    }
}

#define HEADER "{\"t\":\"header\",\"format\":2,\"exchange\":\"X\",\"recorded\":1.5}\n"
#define RECV(conn, ts, data)                                                                       \
    "{\"t\":\"recv\",\"conn\":\"" conn "\",\"ts\":" ts ",\"data\":\"" data "\"}\n"
#define CONNECT(conn, ts) "{\"t\":\"connect\",\"conn\":\"" conn "\",\"ts\":" ts ",\"addr\":\"w\"}\n"

static void a_capture_gives_metadata_link_and_unescaped_frames(void **state)
{
    (void)state;
    run_t run;
    drive(&run,
          scratch_file(
              HEADER
              "{\"t\":\"http\",\"conn\":\"h\",\"ts\":1618677816.8414998,\"url\":"
              "\"https:\\/\\/x\\/products\",\"data\":\"[{\\\"id\\\":1}]\"}\n" CONNECT(
                  "1", "1618677816.9") "{\"t\":\"send\",\"conn\":\"1\",\"ts\":1618677817,\"data\":"
                                       "\"{}\"}\n" RECV("1", "1618677817.0618958",
                                                        "{\\\"a\\\":\\\"\\u00e9\\\\n\\\"}")
                                           RECV("1", "1618677817.0618957", "plain")
                                               RECV("1", "1618677818.1234567891", "x")),
          0, false, EVENTS_MAX, 0);
    assert_int_equal(run.count, 6);
    expect(&run, 0, TF_SOURCE_HTTP, 1618677816841499800, "[{\"id\":1}]");
    assert_string_equal(run.seen[0].url, "https://x/products");
    expect(&run, 1, TF_SOURCE_OPENED, 1618677816900000000, "");
    expect(&run, 2, TF_SOURCE_FRAME, 1618677817061895800, "{\"a\":\"\xc3\xa9\\n\"}");
    expect(&run, 3, TF_SOURCE_FRAME, 1618677817061895800, "plain");
    expect(&run, 4, TF_SOURCE_FRAME, 1618677818123456789, "x");
    expect(&run, 5, TF_SOURCE_ENDED, 1618677818123456789, "");
}

static void several_connections_are_one_link_and_a_reconnect_is_told(void **state)
{
    (void)state;
    run_t run;
    drive(&run,
          scratch_file(HEADER CONNECT("1", "10") CONNECT("2", "11") RECV("2", "12", "a")
                           CONNECT("1", "13") RECV("1", "14", "b")),
          0, false, EVENTS_MAX, 0);
    assert_int_equal(run.count, 6);
    expect(&run, 0, TF_SOURCE_OPENED, 10 * TF_NS_PER_S, "");
    expect(&run, 1, TF_SOURCE_FRAME, 12 * TF_NS_PER_S, "a");
    expect(&run, 2, TF_SOURCE_CLOSED, 13 * TF_NS_PER_S, "");
    expect(&run, 3, TF_SOURCE_OPENED, 13 * TF_NS_PER_S, "");
    expect(&run, 4, TF_SOURCE_FRAME, 14 * TF_NS_PER_S, "b");
}

static void a_capture_that_starts_within_a_connection_is_opened_by_its_first_frame(void **state)
{
    (void)state;
    run_t run;
    drive(&run, scratch_file(HEADER RECV("1", "10.25", "a")), 0, true, 6, 0);
    expect(&run, 0, TF_SOURCE_OPENED, 10250 * TF_NS_PER_MS, "");
    expect(&run, 1, TF_SOURCE_FRAME, 10250 * TF_NS_PER_MS, "a");
    expect(&run, 2, TF_SOURCE_CLOSED, 10250 * TF_NS_PER_MS, "");
    expect(&run, 3, TF_SOURCE_OPENED, 11250 * TF_NS_PER_MS, "");
}

static void bad_capture_lines_are_skipped_and_the_rest_is_played(void **state)
{
    (void)state;
    run_t run;
    tf_log_level_set(TF_LOG_OFF);
    drive(&run,
          scratch_file(
              HEADER CONNECT("1", "10") "garbage\n" RECV("1", "-1", "a") RECV("1", "1e3", "a")
                  RECV("1", "", "a") RECV(
                      "1", "99999999999",
                      "a") "{\"t\":\"recv\",\"conn\":\"1\",\"ts\":11}\n"
                           "{\"t\":\"recv\",\"conn\":\"1\",\"data\":\"no time\"}\n"
                           "{\"t\":\"http\",\"ts\":11,\"data\":\"no url\"}\n"
                           "{\"t\":\"novel\",\"ts\":11}\n" RECV("1", "12", "lone \\ud800 surrogate")
                               RECV("1", "13",
                                    "good") "{\"t\":\"recv\",\"conn\":\"1\",\"ts\":14,\"da"),
          0, false, EVENTS_MAX, 0);
    tf_log_level_set(TF_LOG_INFO);
    assert_int_equal(run.count, 3);
    expect(&run, 1, TF_SOURCE_FRAME, 13 * TF_NS_PER_S, "good");
}

static void a_line_over_16_mib_is_refused(void **state)
{
    (void)state;
    const size_t frame_bytes = (16 << 20) + 1;
    char *text = malloc(frame_bytes + 200);
    assert_non_null(text);
    char *at = text + sprintf(text, "{\"time\":\"2026-07-07T22:58:16Z\"}\n[\"");
    memset(at, 'x', frame_bytes - 4);
    memcpy(at + frame_bytes - 4, "\"]\n{\"time\":\"2026-07-07T22:58:17Z\"}", 35);
    run_t run;
    tf_log_level_set(TF_LOG_OFF);
    drive(&run, scratch_file(text), 0, false, EVENTS_MAX, 0);
    tf_log_level_set(TF_LOG_INFO);
    assert_int_equal(run.count, 4);
    assert_int_equal(run.seen[2].now_ns, T0 + TF_NS_PER_S);
    free(text);
}

static void expect_refusal(const char *path, double speed, tf_status_t wanted, const char *trail)
{
    tf_source_t *source = (tf_source_t *)1;
    const tf_replay_config_t config = {.path = path, .speed = speed};
    assert_int_equal(tf_replay_open(&source, &config), wanted);
    assert_null(source);
    if (strstr(tf_error_text(), trail) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", tf_error_text(), trail);
    }
}

static void files_that_cannot_be_played_are_refused_with_a_reason(void **state)
{
    (void)state;
    const uint64_t before = tf_mem_in_use_bytes();
    expect_refusal("/nonexistent/recording", 1, TF_ERR_ABSENT, "/nonexistent/recording");
    expect_refusal(t_scratch_dir(), 1, TF_ERR_FORMAT, "regular");
    expect_refusal(scratch_file(""), 1, TF_ERR_FORMAT, "empty");
    expect_refusal(scratch_file("\n\r\n"), 1, TF_ERR_FORMAT, "blank");
    expect_refusal(scratch_file("time,price\n1,2\n"), 1, TF_ERR_FORMAT, "line 1");
    expect_refusal(scratch_file("{\"type\":\"x\"\n{}\n"), 1, TF_ERR_FORMAT, "line 1");
    expect_refusal(scratch_file("{\"type\":\"x\"}\n{}\n"), 1, TF_ERR_FORMAT,
                   "no record with a time");
    expect_refusal(scratch_file("{\"t\":\"header\",\"format\":1}\n"), 1, TF_ERR_FORMAT, "format 1");
    expect_refusal(scratch_file("{\"t\":\"header\"}\n"), 1, TF_ERR_FORMAT, "format 0");
    expect_refusal(scratch_file(HEADER), 1, TF_ERR_FORMAT, "no record");
    expect_refusal(scratch_file(raw), -1, TF_ERR_ARG, "speed -1");
    expect_refusal(scratch_file(raw), 1e9, TF_ERR_ARG, "speed");
    expect_refusal(scratch_file(raw), strtod("nan", NULL), TF_ERR_ARG, "speed");
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void failing_allocations_leak_nothing_and_end_in_success(void **state)
{
    (void)state;
    const char *path = scratch_file(raw);
    const tf_replay_config_t config = {.path = path, .speed = 0};
    const uint64_t before = tf_mem_in_use_bytes();
    tf_status_t status = TF_ERR_MEMORY;
    uint64_t nth = 0;
    while (status == TF_ERR_MEMORY) {
        tf_source_t *source = NULL;
        tf_mem_fail_at(++nth);
        status = tf_replay_open(&source, &config);
        tf_mem_fail_at(0);
        if (status == TF_OK) {
            source->ops->destroy(source);
        }
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_int_equal(status, TF_OK);
    assert_true(nth > 1);
}

static void no_memory_for_a_frame_skips_it_and_ends_even_a_loop(void **state)
{
    (void)state;
    tf_source_t *source =
        open_file(scratch_file(HEADER RECV("1", "10", "\\n") RECV("1", "11", "\\t")), 0, true);
    tf_source_event_t event = {.type = TF_SOURCE_IDLE};
    tf_log_level_set(TF_LOG_OFF);
    tf_mem_fail_at(1);
    for (int i = 0; i < 3; i++) {
        source->ops->poll(source, 0, 0, &event);
    }
    tf_mem_fail_at(0);
    tf_log_level_set(TF_LOG_INFO);
    assert_int_not_equal(event.type, TF_SOURCE_FRAME);
    source->ops->destroy(source);
}

/* ---- the recordings, checked line by line with jansson ---- */

static const char *data_file(const char *name)
{
    static char path[512];
    const char *folder = t_data_dir();
    if (folder == NULL) {
        t_skip("the recorded venue data is not there");
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* "YYYY-MM-DDTHH:MM:SS.ffffffZ" through the C library. */
static int64_t time_by_libc(const char *text)
{
    struct tm tm = {.tm_isdst = 0};
    const char *point = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    assert_non_null(point);
    assert_int_equal(strlen(point), strlen(".123456Z"));
    const long microseconds = strtol(point + 1, NULL, 10);
    return (int64_t)timegm(&tm) * TF_NS_PER_S + microseconds * TF_NS_PER_US;
}

static char *next_line(char **at)
{
    char *line = *at;
    char *newline = strchr(line, '\n');
    if (newline == NULL) {
        return NULL;
    }
    *newline = '\0';
    *at = newline + 1;
    return line;
}

static void expect_event(tf_source_t *source, tf_source_event_type_t type, tf_source_event_t *event)
{
    source->ops->poll(source, 0, 0, event);
    assert_int_equal(event->type, type);
}

static void the_raw_coinbase_recording_plays_as_jansson_reads_it(void **state)
{
    (void)state;
    const char *path = data_file("flashbook/coinbase_live-btc-eth.ndjson");
    size_t bytes = 0;
    char *content = t_file_read(path, &bytes);
    assert_non_null(content);
    tf_source_t *source = open_file(path, 0, false);
    tf_source_event_t event;
    expect_event(source, TF_SOURCE_OPENED, &event);
    const int64_t first_ns = event.now_ns;
    int64_t latest_ns = 0;
    size_t frames = 0;
    char *at = content;
    for (char *line = next_line(&at); line != NULL; line = next_line(&at), frames++) {
        json_t *json = json_loads(line, 0, NULL);
        const char *time = json_string_value(json_object_get(json, "time"));
        const int64_t te_ns = time != NULL ? time_by_libc(time) : 0;
        latest_ns = te_ns > latest_ns ? te_ns : latest_ns;
        json_decref(json);
        expect_event(source, TF_SOURCE_FRAME, &event);
        assert_int_equal(event.now_ns, latest_ns > 0 ? latest_ns : first_ns);
        assert_int_equal(event.bytes, strlen(line));
        assert_memory_equal(event.text, line, event.bytes);
    }
    assert_int_equal(frames, 2456);
    expect_event(source, TF_SOURCE_ENDED, &event);
    assert_int_equal(event.now_ns, latest_ns);
    source->ops->destroy(source);
    free(content);
}

static void expect_text(const tf_source_event_t *event, const json_t *data)
{
    assert_int_equal(event->bytes, json_string_length(data));
    assert_memory_equal(event->text, json_string_value(data), event->bytes);
}

static void the_capture_of_coinbase_plays_as_jansson_reads_it(void **state)
{
    (void)state;
    const char *path = data_file("cryptofeed/COINBASE_EXCHANGE_202104.jsonl");
    size_t bytes = 0;
    char *content = t_file_read(path, &bytes);
    assert_non_null(content);
    tf_source_t *source = open_file(path, 0, false);
    tf_source_event_t event;
    size_t frames = 0;
    char *at = content;
    for (char *line = next_line(&at); line != NULL; line = next_line(&at)) {
        json_t *json = json_loads(line, 0, NULL);
        const char *t = json_string_value(json_object_get(json, "t"));
        const json_t *data = json_object_get(json, "data");
        if (strcmp(t, "http") == 0) {
            expect_event(source, TF_SOURCE_HTTP, &event);
            expect_text(&event, data);
            assert_true(tf_slice_is(event.url, "https://api.pro.coinbase.com/products"));
            assert_int_equal(event.now_ns, 1618677816841499800);
        } else if (strcmp(t, "connect") == 0) {
            expect_event(source, TF_SOURCE_OPENED, &event);
            assert_int_equal(event.now_ns, 1618677816843429800);
        } else if (strcmp(t, "recv") == 0) {
            expect_event(source, TF_SOURCE_FRAME, &event);
            expect_text(&event, data);
            /* A double holds these times to 0.24 us. */
            const double ts = json_real_value(json_object_get(json, "ts"));
            const double off_s = ts - (double)event.now_ns / 1e9;
            assert_true(off_s > -1e-6 && off_s < 1e-6);
            frames++;
        }
        json_decref(json);
    }
    assert_int_equal(frames, 9946);
    expect_event(source, TF_SOURCE_ENDED, &event);
    source->ops->destroy(source);
    free(content);
}

static void every_recording_there_is_can_be_played(void **state)
{
    (void)state;
    const struct {
        const char *name;
        size_t frames, bodies;
    } files[] = {
        {"flashbook/binance_live-btc-eth.ndjson", 2063, 0},
        {"flashbook/kraken_live-btc-eth.ndjson", 3000, 0},
        {"cryptofeed/BINANCE_202104.jsonl", 1228, 10},
        {"cryptofeed/BITSTAMP_V2_202201.jsonl", 747, 11},
        {"cryptofeed/OKX_V5_202205.jsonl", 410, 5},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        tf_source_t *source = open_file(data_file(files[i].name), 0, false);
        tf_source_event_t event;
        size_t counts[TF_SOURCE_ENDED + 1] = {0};
        do {
            source->ops->poll(source, 0, 0, &event);
            counts[event.type]++;
        } while (event.type != TF_SOURCE_ENDED);
        assert_int_equal(counts[TF_SOURCE_FRAME], files[i].frames);
        assert_int_equal(counts[TF_SOURCE_HTTP], files[i].bodies);
        assert_int_equal(counts[TF_SOURCE_OPENED], 1);
        source->ops->destroy(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_frames_keep_order_and_their_times_never_go_back),
        cmocka_unit_test(other_venues_times_are_found_one_level_down),
        cmocka_unit_test(a_raw_line_that_is_not_json_is_still_a_frame),
        cmocka_unit_test(the_sequence_is_the_same_at_any_speed_and_polling),
        cmocka_unit_test(idle_tells_the_virtual_time_and_how_long_to_sleep),
        cmocka_unit_test(a_loop_closes_and_goes_on_one_second_later),
        cmocka_unit_test(a_capture_gives_metadata_link_and_unescaped_frames),
        cmocka_unit_test(several_connections_are_one_link_and_a_reconnect_is_told),
        cmocka_unit_test(a_capture_that_starts_within_a_connection_is_opened_by_its_first_frame),
        cmocka_unit_test(bad_capture_lines_are_skipped_and_the_rest_is_played),
        cmocka_unit_test(a_line_over_16_mib_is_refused),
        cmocka_unit_test(files_that_cannot_be_played_are_refused_with_a_reason),
        cmocka_unit_test(failing_allocations_leak_nothing_and_end_in_success),
        cmocka_unit_test(no_memory_for_a_frame_skips_it_and_ends_even_a_loop),
        cmocka_unit_test(the_raw_coinbase_recording_plays_as_jansson_reads_it),
        cmocka_unit_test(the_capture_of_coinbase_plays_as_jansson_reads_it),
        cmocka_unit_test(every_recording_there_is_can_be_played),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
