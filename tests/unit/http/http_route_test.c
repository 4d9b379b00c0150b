/* What is answered to which request, without a server: paths, queries, bodies, errors. */
#include "kit/kit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "http/route.h"
#include "unit/region/region_kit.h"

#include <jansson.h>
#include <zlib.h>

static const int64_t lost_ns = 3600 * TF_NS_PER_S; /* no test takes so long */

static t_region_t region;
static _Atomic bool draining;
static tf_site_t site;
static tf_answer_t answer;
static uint32_t btc;

static int64_t mono_now_ns(void)
{
    return tf_clock_mono_ns(&tf_clock_system);
}

static int start(void **state)
{
    (void)state;
    t_region_init(&region, "route");
    region.config.instruments_max = 8;
    region.mono_ns = mono_now_ns();
    site = (tf_site_t){
        .region = region.name,
        .draining = &draining,
        .watch = {.region = region.name, .lost_ns = lost_ns},
    };
    return 0;
}

/* With BTC-USD of sim live, but nothing published of it. */
static int start_with_region(void **state)
{
    (void)start(state);
    (void)t_region_create(&region);
    btc = t_region_live(&region, "BTC-USD");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tf_watch_fini(&site.watch);
    tf_answer_fini(&answer);
    answer = (tf_answer_t){0};
    if (region.region != NULL)
        t_region_close(&region);
    assert_int_equal(tf_mem_in_use_bytes(), 0);
    return 0;
}

static void ask(tf_http_method_t method, const char *path, size_t path_bytes, const char *query,
                size_t query_bytes)
{
    const tf_request_t request = {
        .method = method,
        .path = path,
        .path_bytes = path_bytes,
        .query = query,
        .query_bytes = query_bytes,
        .if_none_match = "",
    };
    tf_answer_begin(&answer);
    tf_route(&site, &request, &answer);
    assert_true(tf_buf_ok(&answer.text));
}

/* GET of "PATH?QUERY". */
static void get(const char *target)
{
    const char *mark = strchr(target, '?');
    size_t bytes = mark != NULL ? (size_t)(mark - target) : strlen(target);
    const char *query = mark != NULL ? mark + 1 : "";
    ask(TF_HTTP_GET, target, bytes, query, strlen(query));
}

/* The body, which must be one JSON value; to be freed. */
static json_t *body(void)
{
    json_error_t error;
    assert_true(answer.text.bytes > 0 && answer.text.data[answer.text.bytes - 1] == '\n');
    json_t *root = json_loadb(answer.text.data, answer.text.bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        print_error("%s: %.*s\n", error.text, (int)answer.text.bytes, answer.text.data);
    assert_non_null(root);
    assert_string_equal(answer.content_type, TF_JSON_CONTENT_TYPE);
    assert_true(answer.any_origin);
    return root;
}

static json_t *get_json(const char *target)
{
    get(target);
    assert_int_equal(answer.status, 200);
    return body();
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void assert_error(const char *target, unsigned status, int code)
{
    get(target);
    json_t *root = body();
    const json_t *error = json_object_get(root, "error");
    if (answer.status != status || json_integer_value(json_object_get(error, "code")) != code)
        print_error("%s: status %u, %.*s", target, answer.status, (int)answer.text.bytes,
                    answer.text.data);
    assert_int_equal(answer.status, status);
    assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
    assert_string_not_equal(text_of(error, "message"), "");
    assert_string_not_equal(text_of(error, "reason"), "");
    assert_int_equal(answer.retry_after_s > 0, status == 503);
    json_decref(root);
}

static void publish_book(void)
{
    const tf_level_t bids[] = {{6401233, 50000000}, {6401190, 100000000}, {6401000, 125000000}};
    const tf_level_t asks[] = {{6401234, 12000000}, {6401301, 30000000}};
    tf_region_put_book_snapshot(region.region, btc, bids, 3, asks, 2, t_stamp);
}

/* ---- markets ---- */

static void
a_book_is_answered_at_the_depth_that_was_asked_for_with_the_published_vectors(void **state)
{
    (void)state;
    publish_book();
    static const struct {
        const char *target;
        const char *channel;
        size_t bids;
        uint32_t cs; /* of the protocol's vectors */
    } rows[] = {
        {"/v1/book/sim/BTC-USD", "book.sim.BTC-USD.10.100ms", 3, 1905641782},
        {"/v1/book/sim/BTC-USD?depth=10", "book.sim.BTC-USD.10.100ms", 3, 1905641782},
        {"/v1/book/sim/BTC-USD?depth=1", "book.sim.BTC-USD.1.100ms", 1, 2172007027},
        {"/v1/book/sim/BTC-USD?depth=full", "book.sim.BTC-USD.full.100ms", 3, 1905641782},
        {"/v1/book/sim/BTC-USD?x=1&depth=1&y", "book.sim.BTC-USD.1.100ms", 1, 2172007027},
        {"/v1/book/sim/BTC-USD?xdepth=1&depths=1&depth", "book.sim.BTC-USD.10.100ms", 3,
         1905641782},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *root = get_json(rows[i].target);
        const json_t *data = json_object_get(root, "data");
        assert_string_equal(text_of(root, "channel"), rows[i].channel);
        assert_string_equal(text_of(root, "type"), "snapshot");
        assert_string_equal(text_of(root, "state"), "live");
        assert_true(json_is_null(json_object_get(root, "prev")));
        assert_int_equal(json_integer_value(json_object_get(root, "seq")), 1);
        assert_int_equal(json_integer_value(json_object_get(root, "cs")), rows[i].cs);
        assert_int_equal(json_array_size(json_object_get(data, "b")), rows[i].bids);
        json_decref(root);
    }
}

static void the_depths_of_the_channels_are_taken_and_no_others(void **state)
{
    (void)state;
    publish_book();
    const char *const good[] = {"1", "10", "25", "50", "200", "1000", "full"};
    const char *const bad[] = {"",     "0",     "2",     "100", "01",  "+10", "-1",        "10.0",
                               "FULL", "full ", "10,25", "10 ", "1e1", "*",   "4294967296"};
    char target[96];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(target, sizeof target, "/v1/book/sim/BTC-USD?depth=%s", good[i]);
        json_decref(get_json(target));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(target, sizeof target, "/v1/book/sim/BTC-USD?depth=%s", bad[i]);
        assert_error(target, 400, -32602);
    }
    assert_error("/v1/book/sim/BTC-USD?depth=10&depth=10", 400, -32602);
    tf_bbo_t bbo = {1, 2, 3, 4};
    assert_true(tf_region_put_bbo(region.region, btc, &bbo, t_stamp));
    json_decref(get_json("/v1/bbo/sim/BTC-USD?depth=2")); /* a bbo has none */
}

static void every_kind_is_answered_from_its_own_image(void **state)
{
    (void)state;
    tf_bbo_t bbo = {6401233, 50000000, 6401234, 12000000};
    tf_ticker_t ticker = {.present = TF_TICKER_PX | TF_TICKER_SZ, .px = 6401233, .sz = 1};
    assert_true(tf_region_put_bbo(region.region, btc, &bbo, t_stamp));
    tf_region_put_ticker(region.region, btc, &ticker, t_stamp);
    tf_region_put_ticker(region.region, btc, &ticker, t_stamp);
    for (uint64_t i = 1; i <= 60; i++) {
        tf_trade_t trade = t_trade(i);
        tf_region_put_trade(region.region, btc, &trade, t_stamp);
    }
    json_t *root = get_json("/v1/bbo/sim/BTC-USD");
    assert_string_equal(text_of(root, "channel"), "bbo.sim.BTC-USD.raw");
    assert_string_equal(text_of(json_object_get(root, "data"), "bid"), "64012.33");
    json_decref(root);
    root = get_json("/v1/ticker/sim/BTC-USD");
    assert_string_equal(text_of(root, "channel"), "ticker.sim.BTC-USD.100ms");
    assert_int_equal(json_integer_value(json_object_get(root, "seq")), 2);
    assert_string_equal(text_of(json_object_get(root, "data"), "sz"), "0.00000001");
    json_decref(root);
    root = get_json("/v1/trades/sim/BTC-USD");
    assert_string_equal(text_of(root, "channel"), "trades.sim.BTC-USD.raw");
    assert_int_equal(json_integer_value(json_object_get(root, "seq")), 60);
    const json_t *trades = json_object_get(root, "data");
    assert_int_equal(json_array_size(trades), 50);
    assert_string_equal(text_of(json_array_get(trades, 0), "id"), "11");
    assert_string_equal(text_of(json_array_get(trades, 49), "id"), "60");
    json_decref(root);
}

static void what_was_never_published_is_503_with_4003(void **state)
{
    (void)state;
    const char *const targets[] = {"/v1/ticker/sim/BTC-USD", "/v1/bbo/sim/BTC-USD",
                                   "/v1/trades/sim/BTC-USD", "/v1/book/sim/BTC-USD"};
    for (size_t i = 0; i < 4; i++)
        assert_error(targets[i], 503, 4003);
}

static void a_book_that_is_being_written_at_every_try_is_503_and_comes_back(void **state)
{
    (void)state;
    publish_book();
    tf_bbo_t bbo = {0};
    tf_region_book_begin(region.region, btc);
    assert_error("/v1/book/sim/BTC-USD", 503, -32603);
    tf_region_book_commit(region.region, &bbo, t_stamp);
    json_decref(get_json("/v1/book/sim/BTC-USD"));
}

/* ---- names and paths ---- */

static void each_mistake_has_its_status_and_code(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        unsigned status;
        int code;
    } rows[] = {
        {"/v1/candles/sim/BTC-USD", 400, 2001},
        {"/v1/TICKER/sim/BTC-USD", 400, 2001},
        {"/v1/instruments/sim/BTC-USD", 400, 2001},
        {"/v1///", 400, 2001},
        {"/v1/ticker/nowhere/BTC-USD", 404, 2002},
        {"/v1/ticker/SIM/BTC-USD", 404, 2002},
        {"/v1/ticker/*/BTC-USD", 404, 2002},
        {"/v1/ticker//BTC-USD", 404, 2002},
        {"/v1/ticker/../BTC-USD", 404, 2002},
        {"/v1/ticker/aaaaaaaaaaaaaaaa/BTC-USD", 404, 2002},
        {"/v1/ticker/sim/ETH-USD", 404, 2003},
        {"/v1/ticker/sim/btc-usd", 404, 2003},
        {"/v1/ticker/sim/", 404, 2003},
        {"/v1/ticker/sim/*", 404, 2003},
        {"/v1/book/sim/BTC-USD.1", 404, 2003},
        {"/v1/book/sim/BTC-USD.1.raw", 404, 2003},
        {"/v1/book/sim/BTC-USD ", 404, 2003},
        {"/v1/instruments?venue=nowhere", 404, 2002},
        {"/v1/instruments?venue=", 404, 2002},
        {"/v1/status?venue=SIM", 404, 2002},
        {"/v1/status?venue=aaaaaaaaaaaaaaaa", 404, 2002},
        {"/v1/status?venue=sim&venue=sim", 400, -32602},
        {"/v1/ticker", 400, -32602},
        {"/v1/ticker/sim", 400, -32602},
        {"/v1/ticker/sim/BTC-USD/", 400, -32602},
        {"/v1/book/sim/BTC-USD/10", 400, -32602},
        {"/v1/", 404, -32601},
        {"/v1/config/", 404, -32601},
        {"/v1/status/sim", 404, -32601},
        {"/v1/ws", 404, -32601},
        {"/v1/a/b/c/d", 404, -32601},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_error(rows[i].target, rows[i].status, rows[i].code);
}

static void the_codes_and_texts_are_those_of_the_websocket(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *message;
    } errors[] = {
#define TF_RPC_ERROR(name, code, retryable, message) {code, message},
#include "session/errors.def"
#undef TF_RPC_ERROR
    };
    const char *const targets[] = {
        "/v1/nothing",        "/v1/ticker",           "/v1/x/sim/BTC-USD",
        "/v1/ticker/x/AA-BB", "/v1/ticker/sim/AA-BB", "/v1/ticker/sim/BTC-USD",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        get(targets[i]);
        json_t *root = body();
        const json_t *error = json_object_get(root, "error");
        const char *message = NULL;
        for (size_t k = 0; k < sizeof errors / sizeof errors[0]; k++) {
            if (errors[k].code == json_integer_value(json_object_get(error, "code")))
                message = errors[k].message;
        }
        assert_non_null(message);
        assert_string_equal(text_of(error, "message"), message);
        json_decref(root);
    }
}

static void a_nul_in_a_name_ends_nothing(void **state)
{
    (void)state;
    publish_book();
    static const char *const paths[] = {"/v1/book/sim/BTC-USD\0", "/v1/book/sim\0/BTC-USD",
                                        "/v1/book\0/sim/BTC-USD", "/healthz\0", "/\0"};
    static const size_t bytes[] = {21, 21, 21, 9, 2};
    for (size_t i = 0; i < 5; i++) {
        ask(TF_HTTP_GET, paths[i], bytes[i], "", 0);
        assert_in_range(answer.status, 400, 404);
    }
    static const char query[] = "depth=10\0";
    ask(TF_HTTP_GET, "/v1/book/sim/BTC-USD", 20, query, sizeof query);
    assert_int_equal(answer.status, 400);
}

static void any_bytes_get_an_answer(void **state)
{
    (void)state;
    static const char *const words[] = {"/v1/", "book", "ticker", "/",      "sim", "BTC-USD",
                                        "..",   "%2f",  "depth",  "=",      "&",   "venue",
                                        "full", "?",    "status", "config", "*",   "\xff\xfe"};
    tf_rng_t rng = {t_seed(20261121)};
    publish_book();
    for (uint64_t round = t_rounds(20000); round > 0; round--) {
        tf_buf_t text = {0};
        for (uint64_t parts = tf_rng_below(&rng, 9); parts > 0; parts--) {
            uint64_t word = tf_rng_below(&rng, sizeof words / sizeof words[0] + 1);
            uint8_t byte = (uint8_t)tf_rng_below(&rng, 256);
            if (word < sizeof words / sizeof words[0])
                tf_buf_text(&text, words[word]);
            else
                tf_buf_put(&text, &byte, 1);
        }
        size_t bytes = (size_t)tf_rng_below(&rng, text.bytes + 1);
        const char *data = text.data != NULL ? text.data : "";
        ask((tf_http_method_t)tf_rng_below(&rng, 4), data, bytes, data + bytes, text.bytes - bytes);
        if (bytes >= 4 && memcmp(data, "/v1/", 4) == 0 && tf_answer_bytes(&answer) > 0)
            json_decref(body());
        tf_buf_fini(&text);
    }
}

/* ---- lists ---- */

static void add_market(const char *venue, const char *symbol)
{
    tf_instrument_t instrument = t_instrument(symbol, 2, 8);
    uint32_t index;
    (void)snprintf(instrument.venue, sizeof instrument.venue, "%s", venue);
    assert_int_equal(tf_region_instrument_add(region.region, &instrument, t_stamp, &index), TF_OK);
}

static void lists_name_what_there_is_by_venue_or_of_all(void **state)
{
    (void)state;
    json_t *root = get_json("/v1/instruments");
    assert_int_equal(json_array_size(json_object_get(root, "instruments")), 1);
    json_decref(root);
    add_market("coinbase", "ETH-USD");
    add_market("sim", "ETH-USD");
    static const struct {
        const char *target;
        const char *key;
        size_t items;
    } rows[] = {
        {"/v1/instruments", "instruments", 3},
        {"/v1/instruments?venue=sim", "instruments", 2},
        {"/v1/instruments?venue=coinbase&x=y", "instruments", 1},
        {"/v1/status", "status", 5}, /* and one for each venue */
        {"/v1/status?venue=sim", "status", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        root = get_json(rows[i].target);
        assert_int_equal(json_array_size(json_object_get(root, rows[i].key)), rows[i].items);
        json_decref(root);
    }
    root = get_json("/v1/status?venue=sim");
    const json_t *venue = json_array_get(json_object_get(root, "status"), 0);
    assert_string_equal(text_of(venue, "scope"), "venue");
    assert_string_equal(text_of(venue, "state"), "live");
    json_decref(root);
}

/* ---- the region ---- */

static void without_a_region_there_is_config_and_nothing_else(void **state)
{
    (void)state;
    const char *const targets[] = {"/v1/book/sim/BTC-USD", "/v1/instruments",
                                   "/v1/status?venue=sim"};
    for (size_t i = 0; i < 3; i++)
        assert_error(targets[i], 503, -32603);
    json_t *refused = body();
    assert_string_equal(text_of(json_object_get(refused, "error"), "message"),
                        "Internal error: there is no region yet");
    json_decref(refused);
    assert_error("/v1/book/sim/BTC-USD?depth=3", 400, -32602);
    json_t *root = get_json("/v1/config");
    assert_true(json_is_null(json_object_get(root, "epoch")));
    json_decref(root);
}

static void while_ingest_is_lost_data_is_stale_and_still_there(void **state)
{
    (void)state;
    publish_book();
    for (int round = 0; round < 2; round++) {
        tf_region_heartbeat(region.region, mono_now_ns() - lost_ns - TF_NS_PER_S);
        json_t *root = get_json("/v1/book/sim/BTC-USD");
        assert_string_equal(text_of(root, "state"), "stale");
        assert_string_equal(text_of(root, "reason"), "ingest_lost");
        assert_int_equal(json_integer_value(json_object_get(root, "cs")), 1905641782);
        json_decref(root);
        root = get_json("/v1/status?venue=sim");
        assert_int_equal(json_array_size(json_object_get(root, "status")), 2);
        assert_string_equal(text_of(root, "state"), "stale");
        assert_string_equal(text_of(root, "reason"), "ingest_lost");
        json_decref(root);
        tf_region_heartbeat(region.region, mono_now_ns());
        root = get_json("/v1/book/sim/BTC-USD");
        assert_string_equal(text_of(root, "state"), "live");
        json_decref(root);
        root = get_json("/v1/status?venue=sim");
        assert_null(json_object_get(root, "state"));
        json_decref(root);
    }
}

static void assert_stale(void)
{
    json_t *root = get_json("/v1/book/sim/BTC-USD");
    assert_string_equal(text_of(root, "state"), "stale");
    assert_string_equal(text_of(root, "reason"), "ingest_lost");
    assert_int_equal(json_integer_value(json_object_get(root, "cs")), 1905641782);
    json_decref(root);
}

static void a_region_that_is_gone_is_stale_until_another_can_be_read(void **state)
{
    (void)state;
    publish_book();
    json_decref(get_json("/v1/book/sim/BTC-USD"));
    tf_region_close(region.region, true);
    region.region = NULL;
    assert_stale();
    /* What stands at the name now is no region. */
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, region.name, "");
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    site.watch.lost_ns = 1; /* look at the name at once */
    assert_stale();
    assert_stale();
    assert_int_equal(unlink(path), 0);
    assert_stale();
    site.watch.lost_ns = lost_ns;
    (void)t_region_create(&region);
    btc = t_region_live(&region, "BTC-USD");
    json_decref(get_json("/v1/status?venue=sim"));
    assert_error("/v1/book/sim/BTC-USD", 503, 4003);
}

static void a_new_epoch_is_followed(void **state)
{
    (void)state;
    publish_book();
    json_t *before = get_json("/v1/book/sim/BTC-USD");
    tf_region_close(region.region, false);
    (void)t_region_create(&region);
    btc = t_region_live(&region, "BTC-USD");
    tf_region_put_book_snapshot(region.region, btc, NULL, 0, NULL, 0, t_stamp);
    json_t *after = get_json("/v1/book/sim/BTC-USD");
    assert_string_not_equal(text_of(before, "epoch"), text_of(after, "epoch"));
    assert_int_equal(json_integer_value(json_object_get(after, "cs")), crc32(0, NULL, 0));
    json_t *config = get_json("/v1/config");
    assert_string_equal(text_of(config, "epoch"), text_of(after, "epoch"));
    json_decref(before);
    json_decref(after);
    json_decref(config);
}

static void memory_that_is_short_is_503_or_a_failed_body_and_passes(void **state)
{
    (void)state;
    publish_book();
    bool whole = false;
    for (uint64_t nth = 1; !whole; nth++) {
        const char path[] = "/v1/book/sim/BTC-USD";
        const tf_request_t request = {
            .path = path, .path_bytes = sizeof path - 1, .query = "", .if_none_match = ""};
        tf_watch_fini(&site.watch);
        tf_answer_begin(&answer);
        tf_mem_fail_at(nth);
        tf_route(&site, &request, &answer);
        tf_mem_fail_at(0);
        assert_true(answer.status == 200 || answer.status == 503);
        whole = answer.status == 200 && tf_buf_ok(&answer.text);
    }
    json_decref(body());
}

/* ---- the rest ---- */

static void config_tells_where_the_websocket_is(void **state)
{
    (void)state;
    json_t *root = get_json("/v1/config");
    assert_true(json_is_null(json_object_get(root, "ws")));
    assert_string_equal(text_of(root, "region"), region.name);
    assert_int_equal(json_integer_value(json_object_get(root, "heartbeat_s")), 0);
    assert_string_not_equal(text_of(root, "version"), "");
    json_decref(root);
    site.ws_url = "ws://[::1]:7100/v1/ws";
    site.heartbeat_ms = 15000;
    root = get_json("/v1/config");
    assert_string_equal(text_of(root, "ws"), site.ws_url);
    assert_int_equal(json_integer_value(json_object_get(root, "heartbeat_s")), 15);
    json_decref(root);
}

static void head_is_get_without_the_body_and_other_methods_are_405(void **state)
{
    (void)state;
    publish_book();
    const char path[] = "/v1/book/sim/BTC-USD";
    get(path);
    size_t bytes = tf_answer_bytes(&answer);
    assert_false(answer.bodiless);
    ask(TF_HTTP_HEAD, path, strlen(path), "", 0);
    assert_true(answer.bodiless && answer.status == 200);
    assert_int_equal(tf_answer_bytes(&answer), bytes);
    ask(TF_HTTP_OTHER, path, strlen(path), "", 0);
    assert_int_equal(answer.status, 405);
    assert_string_equal(answer.allow, "GET, HEAD, OPTIONS");
    json_decref(body());
    ask(TF_HTTP_OPTIONS, path, strlen(path), "", 0);
    assert_int_equal(answer.status, 200);
    assert_int_equal(tf_answer_bytes(&answer), 0);
    ask(TF_HTTP_OPTIONS, "/healthz", 8, "", 0);
    assert_int_equal(answer.status, 405);
}

static void a_query_that_was_too_long_is_refused(void **state)
{
    (void)state;
    const char path[] = "/v1/status";
    const tf_request_t request = {.path = path,
                                  .path_bytes = sizeof path - 1,
                                  .query = "",
                                  .query_too_long = true,
                                  .if_none_match = ""};
    tf_answer_begin(&answer);
    tf_route(&site, &request, &answer);
    assert_int_equal(answer.status, 400);
    json_decref(body());
}

#define alone(test)       cmocka_unit_test_setup_teardown(test, start, stop)
#define with_region(test) cmocka_unit_test_setup_teardown(test, start_with_region, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_region(a_book_is_answered_at_the_depth_that_was_asked_for_with_the_published_vectors),
        with_region(the_depths_of_the_channels_are_taken_and_no_others),
        with_region(every_kind_is_answered_from_its_own_image),
        with_region(what_was_never_published_is_503_with_4003),
        with_region(a_book_that_is_being_written_at_every_try_is_503_and_comes_back),
        with_region(each_mistake_has_its_status_and_code),
        with_region(the_codes_and_texts_are_those_of_the_websocket),
        with_region(a_nul_in_a_name_ends_nothing),
        with_region(any_bytes_get_an_answer),
        with_region(lists_name_what_there_is_by_venue_or_of_all),
        alone(without_a_region_there_is_config_and_nothing_else),
        with_region(while_ingest_is_lost_data_is_stale_and_still_there),
        with_region(a_region_that_is_gone_is_stale_until_another_can_be_read),
        with_region(a_new_epoch_is_followed),
        with_region(memory_that_is_short_is_503_or_a_failed_body_and_passes),
        alone(config_tells_where_the_websocket_is),
        with_region(head_is_get_without_the_body_and_other_methods_are_405),
        with_region(a_query_that_was_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
