/*
 * Recorded venue traffic through replay, adapter, feed, book and region, followed by a reader,
 * against figures that an independent program computed from the same recordings with exact
 * decimals.
 */
#include "kit/kit.h"

#include "base/clock.h"
#include "base/log.h"
#include "ingest/ingest.h"
#include "market/decimal.h"

#include <tickfan/reader.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>

enum { INSTRUMENTS_MAX = 16, DEPTH = 65536, NUMBER_BYTES = 32 };

/* What one instrument's events amount to. */
typedef struct tally {
    uint64_t books;
    uint64_t trades;
    uint64_t gaps;
    EVP_MD_CTX *bbo;
    EVP_MD_CTX *trade;
} tally_t;

typedef struct run {
    tf_stats_t stats;
    char name[64];
    tf_region_t *region;
    tf_reader_t *reader;
    tf_ingest_t *ingest;
    tally_t tally[INSTRUMENTS_MAX];
    tf_level_t *level[2];
} run_t;

static EVP_MD_CTX *digest_begin(void)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_non_null(digest);
    assert_int_equal(EVP_DigestInit_ex(digest, EVP_sha256(), NULL), 1);
    return digest;
}

static void digest_check(EVP_MD_CTX *digest, const json_t *expected, const char *key)
{
    unsigned char raw[32];
    char text[65] = {0};
    assert_int_equal(EVP_DigestFinal_ex(digest, raw, NULL), 1);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(text + 2 * i, 3, "%02x", raw[i]);
    assert_string_equal(text, json_string_value(json_object_get(expected, key)));
    EVP_MD_CTX_free(digest);
}

/* As the reference writes numbers: no exponent, no trailing zeros; "-" for an absent side. */
static const char *number(char out[NUMBER_BYTES], int64_t mantissa, uint8_t dp, bool present)
{
    if (!present)
        return "-";
    uint8_t least = tf_decimal_dp_min((tf_decimal_t){mantissa, dp});
    for (uint8_t i = least; i < dp; i++)
        mantissa /= 10;
    size_t bytes = tf_decimal_write(out, mantissa, least);
    out[bytes] = '\0';
    return out;
}

static void on_book(tally_t *tally, const tf_event_book_t *book)
{
    char text[160], a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES];
    if (book->head.flags & TF_EVENT_FLAG_MORE)
        return;
    bool bid = book->bid_px != TF_PRICE_NONE, ask = book->ask_px != TF_PRICE_NONE;
    assert_false(bid && ask && book->bid_px >= book->ask_px);
    int bytes =
        snprintf(text, sizeof text, "%s %s %s %s\n", number(a, book->bid_px, book->head.px_dp, bid),
                 number(b, book->bid_sz, book->head.sz_dp, bid),
                 number(c, book->ask_px, book->head.px_dp, ask),
                 number(d, book->ask_sz, book->head.sz_dp, ask));
    EVP_DigestUpdate(tally->bbo, text, (size_t)bytes);
    tally->books++;
}

static void on_trade(tally_t *tally, const tf_event_trade_t *event)
{
    char text[160], px[NUMBER_BYTES], sz[NUMBER_BYTES];
    const tf_trade_t *trade = &event->trade;
    int bytes = snprintf(text, sizeof text, "%.*s %s %s %s\n", trade->id_bytes, trade->id,
                         trade->side == TF_SIDE_BUY ? "buy" : "sell",
                         number(px, trade->px, event->head.px_dp, true),
                         number(sz, trade->sz, event->head.sz_dp, true));
    EVP_DigestUpdate(tally->trade, text, (size_t)bytes);
    tally->trades++;
    tally->gaps += trade->gap_before;
}

static void drain(run_t *run)
{
    const tf_event_t *event = NULL;
    for (;;) {
        tf_poll_t poll = tf_reader_poll(run->reader, &event);
        assert_int_not_equal(poll, TF_POLL_LAPPED);
        if (poll == TF_POLL_EMPTY)
            return;
        assert_true(event->instrument < INSTRUMENTS_MAX);
        tally_t *tally = &run->tally[event->instrument];
        if (event->type == TF_EVENT_BOOK)
            on_book(tally, (const tf_event_book_t *)event);
        else if (event->type == TF_EVENT_TRADE)
            on_trade(tally, (const tf_event_trade_t *)event);
    }
}

static void run_open(run_t *run, const char *path)
{
    const char *error = NULL;
    memset(run, 0, sizeof *run);
    snprintf(run->name, sizeof run->name, "test-capture-%d", (int)getpid());
    const tf_region_config_t config = {.name = run->name,
                                       .instruments_max = INSTRUMENTS_MAX,
                                       .image_depth = DEPTH,
                                       .trades_kept = 1024,
                                       .ring_bytes = 64 << 20};
    assert_int_equal(tf_region_create(&run->region, &config, &tf_clock_system, &run->stats), TF_OK);
    run->reader = tf_reader_open(run->name, &error);
    assert_non_null(run->reader);
    assert_true(tf_reader_seek(run->reader, TF_FROM_START));
    assert_int_equal(tf_ingest_create(&run->ingest, run->region, &tf_clock_system, &run->stats),
                     TF_OK);
    tf_ingest_link_t link = {.venue = "coinbase",
                             .adapter = tf_adapter_find("coinbase", strlen("coinbase"))};
    const tf_replay_config_t replay = {.path = path, .speed = 0, .loop = false};
    assert_int_equal(tf_replay_open(&link.source, &replay), TF_OK);
    assert_int_equal(tf_ingest_link_add(run->ingest, &link), TF_OK);
    for (int side = 0; side < 2; side++) {
        run->level[side] = calloc(DEPTH, sizeof *run->level[side]);
        assert_non_null(run->level[side]);
    }
    for (int i = 0; i < INSTRUMENTS_MAX; i++) {
        run->tally[i].bbo = digest_begin();
        run->tally[i].trade = digest_begin();
    }
}

static void run_close(run_t *run)
{
    char path[128];
    tf_ingest_destroy(run->ingest);
    tf_reader_close(run->reader);
    tf_region_close(run->region, true);
    snprintf(path, sizeof path, "/dev/shm/tickfan.%s.lock", run->name);
    (void)unlink(path);
    free(run->level[0]);
    free(run->level[1]);
}

static uint64_t expected_number(const json_t *expected, const char *key)
{
    const json_t *value = json_object_get(expected, key);
    return (uint64_t)json_integer_value(value);
}

/* The whole final book, from the image. */
static void book_check(run_t *run, uint32_t index, const json_t *expected)
{
    tf_image_info_t info;
    uint32_t count[2];
    assert_int_equal(tf_reader_book(run->reader, index, DEPTH, &info, run->level[0], &count[0],
                                    run->level[1], &count[1]),
                     TF_IMAGE_OK);
    assert_int_equal(count[0], expected_number(expected, "final_bid_levels"));
    assert_int_equal(count[1], expected_number(expected, "final_ask_levels"));
    EVP_MD_CTX *digest = digest_begin();
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < count[side]; i++) {
            char text[80], px[NUMBER_BYTES], sz[NUMBER_BYTES];
            tf_level_t level = run->level[side][i];
            int bytes = snprintf(text, sizeof text, "%c %s %s\n", side == 0 ? 'B' : 'A',
                                 number(px, level.px, info.px_dp, true),
                                 number(sz, level.sz, info.sz_dp, true));
            EVP_DigestUpdate(digest, text, (size_t)bytes);
        }
    }
    digest_check(digest, expected, "book_sha256");
    assert_int_equal(info.state, TF_STATE_STALE); /* the recording is over */
}

static void instrument_check(run_t *run, uint32_t index, const json_t *expected)
{
    tf_instrument_view_t view;
    tally_t *tally = &run->tally[index];
    assert_int_equal(tf_reader_instrument(run->reader, index, &view), TF_IMAGE_OK);
    const json_t *book = json_object_get(json_object_get(expected, "books"), view.venue_symbol);
    const json_t *trades = json_object_get(json_object_get(expected, "trades"), view.venue_symbol);
    assert_non_null(book);
    assert_int_equal(tally->books, expected_number(book, "book_messages"));
    book_check(run, index, book);
    digest_check(tally->bbo, book, "bbo_sha256");
    assert_int_equal(tally->trades, expected_number(trades, "trades"));
    assert_int_equal(tally->gaps, 0);
    if (tally->trades > 0)
        digest_check(tally->trade, trades, "trades_sha256");
    else
        EVP_MD_CTX_free(tally->trade);
}

static uint64_t sum_over_books(const json_t *expected, const char *key)
{
    uint64_t sum = 0;
    const char *symbol;
    json_t *book;
    json_object_foreach(json_object_get(expected, "books"), symbol, book) sum +=
        expected_number(book, key);
    return sum;
}

static void capture_check(const char *capture, const char *expected_name)
{
    char path[768];
    run_t run;
    json_error_t error;
    if (t_data_dir() == NULL)
        t_skip("no recorded data");
    snprintf(path, sizeof path, "%s/expected/%s", t_data_dir(), expected_name);
    json_t *expected = json_load_file(path, 0, &error);
    assert_non_null(expected);
    snprintf(path, sizeof path, "%s/%s", t_data_dir(), capture);
    run_open(&run, path);
    int64_t mono_ns = tf_clock_mono_ns(&tf_clock_system);
    while (!tf_ingest_ended(run.ingest)) {
        int64_t wake_in_ns = 0;
        (void)tf_ingest_step(run.ingest, mono_ns, tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
        drain(&run);
    }
    uint32_t count = tf_reader_instrument_count(run.reader);
    assert_int_equal(count, json_object_size(json_object_get(expected, "books")));
    for (uint32_t index = 0; index < count; index++)
        instrument_check(&run, index, expected);
    for (uint32_t index = count; index < INSTRUMENTS_MAX; index++) {
        EVP_MD_CTX_free(run.tally[index].bbo);
        EVP_MD_CTX_free(run.tally[index].trade);
    }
    assert_int_equal(tf_stats_get(&run.stats, TF_STAT_book_crossed_total), 0);
    assert_int_equal(tf_stats_get(&run.stats, TF_STAT_venue_malformed_total), 0);
    assert_int_equal(tf_stats_get(&run.stats, TF_STAT_venue_lost_trades_total), 0);
    assert_int_equal(tf_stats_get(&run.stats, TF_STAT_feed_gap_total), 0);
    assert_int_equal(tf_stats_get(&run.stats, TF_STAT_venue_removals_absent_total),
                     sum_over_books(expected, "removals_of_absent_level"));
    json_decref(expected);
    run_close(&run);
}

static void capture_of_2026_gives_the_reference_books_and_trades(void **state)
{
    (void)state;
    capture_check("flashbook/coinbase_live-btc-eth.ndjson",
                  "flashbook__coinbase_live-btc-eth.json");
}

static void capture_of_2021_gives_the_reference_books_and_trades(void **state)
{
    (void)state;
    capture_check("cryptofeed/COINBASE_EXCHANGE_202104.jsonl",
                  "cryptofeed__COINBASE_EXCHANGE_202104.json");
}

int main(void)
{
    tf_log_level_set(TF_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capture_of_2026_gives_the_reference_books_and_trades),
        cmocka_unit_test(capture_of_2021_gives_the_reference_books_and_trades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
