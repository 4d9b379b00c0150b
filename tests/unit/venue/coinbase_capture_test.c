#include "kit/kit.h"

#include "unit/venue/coinbase_kit.h"

#include <jansson.h>

/* Recorded traffic against counts that were taken from it by other means. -------------------------
 */

static json_t *expected_load(const char *name)
{
    char path[700];
    (void)snprintf(path, sizeof path, "%s/expected/%s", t_data_dir(), name);
    json_t *expected = json_load_file(path, 0, NULL);
    assert_non_null(expected);
    return expected;
}

static void assert_counts(const seen_t *seen, const json_t *expected)
{
    static const struct {
        const char *name;
        tf_update_type_t type;
    } types[] = {
        {"snapshot", TF_UPDATE_BOOK_SNAPSHOT},
        {"l2update", TF_UPDATE_BOOK_CHANGE},
        {"match", TF_UPDATE_TRADE},
        {"last_match", TF_UPDATE_TRADE_BASELINE},
        {"ticker", TF_UPDATE_TICKER},
        {"heartbeat", TF_UPDATE_HEARTBEAT},
        {"subscriptions", TF_UPDATE_SUBSCRIBED},
    };
    const json_t *counts = json_object_get(expected, "message_types");
    for (size_t i = 0; i < COUNT(types); i++)
        assert_int_equal(seen->by_type[types[i].type],
                         json_integer_value(json_object_get(counts, types[i].name)));
    assert_int_equal(seen->by_type[TF_UPDATE_ERROR], 0);
    json_int_t levels = 0;
    const char *symbol;
    json_t *book;
    json_object_foreach(json_object_get(expected, "books"), symbol, book) levels +=
        json_integer_value(json_object_get(book, "level_changes"));
    assert_int_equal(seen->levels_total, levels);
}

/* Give every line to `each`. */
static void capture_read(const char *name,
                         void (*each)(const char *line, size_t bytes, void *context), void *context)
{
    char path[700];
    (void)snprintf(path, sizeof path, "%s/%s", t_data_dir(), name);
    size_t bytes;
    char *text = t_file_read(path, &bytes);
    assert_non_null(text);
    const char *end = text + bytes;
    for (const char *at = text; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line_bytes = (size_t)((line_end != NULL ? line_end : end) - at);
        if (line_bytes > 0)
            each(at, line_bytes, context);
        at += line_bytes + 1;
    }
    free(text);
}

typedef struct link_state {
    tf_adapter_t *adapter;
    tf_update_sink_t sink;
    seen_t seen;
} link_state_t;

static void frame_give(const char *text, size_t bytes, void *context)
{
    link_state_t *link = context;
    tf_decode_loss_t loss;
    if (ops->decode(link->adapter, text, bytes, &link->sink, &loss) != TF_DECODE_OK)
        fail_msg("refused: %.*s", (int)(bytes < 300 ? bytes : 300), text);
}

static void line_give(const char *text, size_t bytes, void *context)
{
    link_state_t *link = context;
    json_t *line = json_loadb(text, bytes, 0, NULL);
    assert_non_null(line);
    const char *type = json_string_value(json_object_get(line, "t"));
    const json_t *data = json_object_get(line, "data");
    if (strcmp(type, "recv") == 0) {
        frame_give(json_string_value(data), json_string_length(data), link);
    } else if (strcmp(type, "http") == 0) {
        const char *url = json_string_value(json_object_get(line, "url"));
        assert_int_equal(ops->decode_http(link->adapter, (tf_slice_t){url, strlen(url)},
                                          json_string_value(data), json_string_length(data),
                                          &link->sink),
                         TF_DECODE_OK);
    }
    json_decref(line);
}

static void the_recording_of_2026_gives_the_expected_updates(void **state)
{
    (void)state;
    static link_state_t link;
    link = (link_state_t){.adapter = ops->create(), .sink = {on_update, &link.seen}};
    capture_read("flashbook/coinbase_live-btc-eth.ndjson", frame_give, &link);
    json_t *expected = expected_load("flashbook__coinbase_live-btc-eth.json");
    assert_counts(&link.seen, expected);
    json_decref(expected);
    ops->destroy(link.adapter);
}

static void the_recording_of_2021_gives_the_expected_updates(void **state)
{
    (void)state;
    static link_state_t link;
    link = (link_state_t){.adapter = ops->create(), .sink = {on_update, &link.seen}};
    capture_read("cryptofeed/COINBASE_EXCHANGE_202104.jsonl", line_give, &link);
    json_t *expected = expected_load("cryptofeed__COINBASE_EXCHANGE_202104.json");
    assert_counts(&link.seen, expected);
    assert_true(link.seen.by_type[TF_UPDATE_INSTRUMENT] > 100);
    json_decref(expected);
    ops->destroy(link.adapter);
}

int main(void)
{
    if (t_data_dir() == NULL)
        t_skip("no recorded venue data");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recording_of_2026_gives_the_expected_updates),
        cmocka_unit_test(the_recording_of_2021_gives_the_expected_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
