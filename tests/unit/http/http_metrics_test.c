/* What /healthz, /readyz and /metrics tell, from a real region and real counters. */
#include "kit/kit.h"

#include "unit/http/exposition.h"
#include "unit/http/server_kit.h"

#include <sys/resource.h>
#include <time.h>

enum { MANY_THREADS = TF_HTTP_THREADS_MAX };

/* The page, read strictly. The reply must outlive the page. */
static t_exposition_t *page_get(t_reply_t *reply)
{
    static t_exposition_t page;
    *reply = t_get(port, "/metrics");
    assert_int_equal(reply->status, 200);
    t_exposition_read(&page, reply->body);
    assert_string_equal(page.wrong, "");
    return &page;
}

static void assert_series(const t_exposition_t *page, const char *text, double value)
{
    const double *found = t_series(page, text);
    double got = found == NULL ? -1.0 : *found;
    if (got != value)
        print_error("%s: expected %g, got %g\n", text, value, got);
    assert_true(got == value);
}

/* ---- health and readiness ---- */

static void healthz_is_ok_even_without_a_region(void **state)
{
    (void)state;
    t_expect(port, "/healthz", 200, "ok\n");
}

static void readyz_says_when_there_is_no_region(void **state)
{
    (void)state;
    t_expect(port, "/readyz", 503, "no region\n");
}

static void readyz_follows_the_markets_of_a_region_that_came_later(void **state)
{
    (void)state;
    t_expect(port, "/readyz", 503, "no region\n");
    region_up();
    t_expect(port, "/readyz", 503, "no live market\n");
    uint32_t market = t_region_live(&region, "BTC-USD");
    t_expect(port, "/readyz", 200, "ok\n");
    const tf_market_state_t others[] = {TF_STATE_RESYNC, TF_STATE_STALE, TF_STATE_HALTED};
    for (size_t i = 0; i < 3; i++) {
        tf_region_put_state(region.region, market, others[i], TF_REASON_VENUE_STATUS, t_stamp);
        t_expect(port, "/readyz", 503, "no live market\n");
    }
}

static void readyz_says_for_how_long_there_was_no_heartbeat(void **state)
{
    (void)state;
    region_up();
    (void)t_region_live(&region, "BTC-USD");
    tf_region_heartbeat(region.region, mono_now_ns() - lost_ns - 7 * TF_NS_PER_S);
    t_reply_t reply = t_get(port, "/readyz");
    assert_int_equal(reply.status, 503);
    static const char expected[] = "ingest lost: no heartbeat for ";
    assert_int_equal(strncmp(reply.body, expected, strlen(expected)), 0);
    char *end;
    long long age_ms = strtoll(reply.body + strlen(expected), &end, 10);
    assert_string_equal(end, " ms\n");
    long long least_ms = (lost_ns + 7 * TF_NS_PER_S) / TF_NS_PER_MS;
    assert_in_range(age_ms, least_ms, least_ms + 60000);
    t_reply_free(&reply);
    tf_region_heartbeat(region.region, mono_now_ns());
    t_expect(port, "/readyz", 200, "ok\n");
}

static void readyz_says_that_the_region_was_closed_and_finds_its_successor(void **state)
{
    (void)state;
    region_up();
    (void)t_region_live(&region, "BTC-USD");
    t_expect(port, "/readyz", 200, "ok\n");
    tf_region_close(region.region, false);
    /* The server may look for a successor only once per lost_ns, so let it find one at once. */
    region_up();
    t_expect(port, "/readyz", 503, "no live market\n");
    (void)t_region_live(&region, "ETH-USD");
    t_expect(port, "/readyz", 200, "ok\n");
    tf_region_close(region.region, true);
    region.region = NULL;
    t_expect(port, "/readyz", 503, "ingest lost: its region is closed\n");
    t_region_erase(region.name);
}

static void draining_comes_before_every_other_reason(void **state)
{
    (void)state;
    region_up();
    (void)t_region_live(&region, "BTC-USD");
    t_expect(port, "/readyz", 200, "ok\n");
    tf_http_drain(http);
    t_expect(port, "/readyz", 503, "draining\n");
    t_expect(port, "/healthz", 200, "ok\n");
}

/* ---- metrics ---- */

static void assert_row(const t_exposition_t *page, tf_stat_t stat, const char *thread,
                       tf_thread_kind_t kind, double value)
{
    char text[128];
    (void)snprintf(text, sizeof text, "tickfan_%s{thread=\"%s\"}", tf_stat_name(stat), thread);
    if (tf_stat_of(stat, kind))
        assert_series(page, text, value);
    else
        assert_null(t_series(page, text));
}

static void a_counter_appears_with_its_value_for_each_thread_that_can_move_it(void **state)
{
    (void)state;
    for (int i = 0; i < TF_STAT_COUNT; i++) {
        tf_stats_set(&stats[0], (tf_stat_t)i, 1000 + (uint64_t)i);
        tf_stats_set(&stats[1], (tf_stat_t)i, 2000 + (uint64_t)i);
    }
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    for (int i = 0; i < TF_STAT_COUNT; i++) {
        assert_row(page, (tf_stat_t)i, "ingest", TF_THREAD_INGEST, 1000 + i);
        assert_row(page, (tf_stat_t)i, "fanout-0", TF_THREAD_FANOUT, 2000 + i);
    }
    assert_series(page, "tickfan_memory_refused_total{thread=\"ingest\"}",
                  1000 + TF_STAT_memory_refused_total);
    assert_series(page, "tickfan_memory_refused_total{thread=\"fanout-0\"}",
                  2000 + TF_STAT_memory_refused_total);
    assert_null(t_series(page, "tickfan_connections{thread=\"ingest\"}"));
    assert_null(t_series(page, "tickfan_venue_frames_total{thread=\"fanout-0\"}"));
    /* No thread here takes in bells: not even the name is there. */
    assert_null(strstr(reply.body, "tickfan_bell_guests"));
    t_reply_free(&reply);
}

static void
a_name_that_ends_with_total_is_a_counter_with_seconds_a_histogram_else_a_gauge(void **state)
{
    (void)state;
    region_up();
    (void)t_region_live(&region, "BTC-USD");
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_true(page->families > 64);
    for (size_t i = 0; i < page->families; i++) {
        const char *name = page->family[i];
        bool process = strncmp(name, "process_", 8) == 0;
        assert_true(process || strncmp(name, "tickfan_", 8) == 0);
        bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
        bool seconds = strlen(name) > 8 && strcmp(name + strlen(name) - 8, "_seconds") == 0;
        bool age = strstr(name, "_age_") != NULL;
        const char *type = total ? "counter" : seconds && !age && !process ? "histogram" : "gauge";
        assert_string_equal(page->type[i], type);
    }
    t_reply_free(&reply);
}

static void delays_are_histograms_of_the_threads_that_have_them(void **state)
{
    (void)state;
    static const int64_t delays_ns[] = {0, 1000, 1001, 2000, 70000000, 10000000000, 10000000001};
    static const char name[] = "tickfan_venue_to_ingest_seconds";
    tf_count(&stats[0], venue_frames_total, 1);
    for (size_t i = 0; i < 7; i++)
        tf_time(&stats[0], venue_to_ingest, delays_ns[i]);
    tf_time(&stats[1], publish_to_last_send, 3500);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    double count = 0;
    double sum = 0;
    assert_true(t_histogram(page, name, "thread=\"ingest\"", &count, &sum));
    assert_true(count == 7.0 && sum == 20.070004002);
    const char *const bounds[] = {"0.000001", "0.000002", "0.05", "0.1", "5", "10", "+Inf"};
    const double counts[] = {2, 4, 4, 5, 5, 6, 7};
    for (int i = 0; i < 7; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "%s_bucket{thread=\"ingest\",le=\"%s\"}", name,
                       bounds[i]);
        assert_series(page, text, counts[i]);
    }
    assert_true(
        t_histogram(page, "tickfan_ingest_to_publish_seconds", "thread=\"ingest\"", &count, &sum));
    assert_true(count == 0.0 && sum == 0.0);
    assert_true(t_histogram(page, "tickfan_publish_to_last_send_seconds", "thread=\"fanout-0\"",
                            &count, &sum));
    assert_true(count == 1.0 && sum == 0.0000035);
    assert_false(t_histogram(page, "tickfan_publish_to_last_send_seconds", "thread=\"ingest\"",
                             &count, &sum));
    assert_false(t_histogram(page, name, "thread=\"fanout-0\"", &count, &sum));
    t_reply_free(&reply);
}

static void the_listener_counts_its_own_connections_and_requests(void **state)
{
    (void)state;
    enum { LIMIT = 64, OVER = 3 };
    int fds[LIMIT + OVER];
    for (int i = 0; i < LIMIT + OVER; i++)
        fds[i] = t_connect(port);
    for (int i = LIMIT; i < LIMIT + OVER; i++)
        assert_true(t_closed(fds[i]));
    t_request(fds[0], "GET", "/healthz");
    t_reply_t reply = t_reply_read(fds[0], false);
    t_reply_free(&reply);
    t_request(fds[0], "GET", "/metrics");
    reply = t_reply_read(fds[0], false);
    static t_exposition_t page;
    t_exposition_read(&page, reply.body);
    assert_string_equal(page.wrong, "");
    assert_series(&page, "tickfan_http_connections", LIMIT);
    assert_series(&page, "tickfan_http_connections_refused_total", OVER);
    assert_series(&page, "tickfan_http_requests_total", 2);
    assert_series(&page, "tickfan_http_bodies_refused_total", 0);
    t_reply_free(&reply);
    for (int i = 0; i < LIMIT + OVER; i++)
        (void)close(fds[i]);
}

static void closes_are_told_by_code_and_reason(void **state)
{
    (void)state;
    atomic_store(&closes[TF_WS_CLOSE_RATE], 3);
    atomic_store(&closes[TF_WS_CLOSE_NO_PONG], 4);
    atomic_store(&closes[TF_WS_CLOSE_TOO_SLOW], 5);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    const char *const told[] = {
        "tickfan_closes_total{thread=\"fanout-0\",code=\"4429\",reason=\"rate\"}",
        "tickfan_closes_total{thread=\"fanout-0\",code=\"1008\",reason=\"no_pong\"}",
        "tickfan_closes_total{thread=\"fanout-0\",code=\"4408\",reason=\"too_slow\"}",
        "tickfan_closes_total{thread=\"fanout-0\",code=\"1001\",reason=\"going_away\"}",
    };
    assert_series(page, told[0], 3);
    assert_series(page, told[1], 4);
    assert_series(page, told[2], 5);
    assert_series(page, told[3], 0);
    t_reply_free(&reply);
}

static uint32_t market_of(const char *venue, const char *symbol, tf_market_state_t market_state)
{
    tf_instrument_t instrument = t_instrument(symbol, 2, 8);
    (void)snprintf(instrument.venue, sizeof instrument.venue, "%s", venue);
    uint32_t index = UINT32_MAX;
    assert_int_equal(tf_region_instrument_add(region.region, &instrument, t_stamp, &index), TF_OK);
    tf_region_put_state(region.region, index, market_state,
                        market_state == TF_STATE_LIVE ? TF_REASON_NONE : TF_REASON_VENUE_STATUS,
                        t_stamp);
    return index;
}

static void markets_are_counted_by_venue_and_state(void **state)
{
    (void)state;
    region.config.instruments_max = 8;
    region_up();
    (void)market_of("coinbase", "BTC-USD", TF_STATE_LIVE);
    (void)market_of("sim", "BTC-USD", TF_STATE_LIVE);
    (void)market_of("coinbase", "ETH-USD", TF_STATE_LIVE);
    (void)market_of("coinbase", "SOL-USD", TF_STATE_HALTED);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_instruments", 4);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"live\"}", 2);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"halted\"}", 1);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"stale\"}", 0);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"resync\"}", 0);
    assert_series(page, "tickfan_markets{venue=\"sim\",state=\"live\"}", 1);
    t_reply_free(&reply);
}

static void assert_link(const char *venue, double value)
{
    char text[96];
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    (void)snprintf(text, sizeof text, "tickfan_venue_link_up{venue=\"%s\"}", venue);
    assert_series(page, text, value);
    t_reply_free(&reply);
}

static void a_venue_is_up_once_it_was_heard_until_all_of_its_markets_lost_it(void **state)
{
    (void)state;
    region_up();
    tf_instrument_t instrument = t_instrument("BTC-USD", 2, 8);
    uint32_t btc;
    assert_int_equal(tf_region_instrument_add(region.region, &instrument, t_stamp, &btc), TF_OK);
    assert_link("sim", 0); /* starting */
    tf_region_put_state(region.region, btc, TF_STATE_LIVE, TF_REASON_NONE, t_stamp);
    uint32_t eth = t_region_live(&region, "ETH-USD");
    (void)market_of("coinbase", "BTC-USD", TF_STATE_HALTED);
    assert_link("sim", 1);
    tf_region_put_state(region.region, eth, TF_STATE_STALE, TF_REASON_SILENT, t_stamp);
    tf_region_put_state(region.region, btc, TF_STATE_STALE, TF_REASON_VENUE_DISCONNECTED, t_stamp);
    assert_link("sim", 1);
    tf_region_put_state(region.region, eth, TF_STATE_STALE, TF_REASON_VENUE_DISCONNECTED, t_stamp);
    assert_link("sim", 0);
    assert_link("coinbase", 1);
    tf_region_put_state(region.region, eth, TF_STATE_RESYNC, TF_REASON_VENUE_DISCONNECTED, t_stamp);
    assert_link("sim", 1);
    tf_region_heartbeat(region.region, mono_now_ns() - lost_ns - TF_NS_PER_S);
    assert_link("sim", 0);
    assert_link("coinbase", 0);
}

static void markets_of_a_lost_region_are_stale(void **state)
{
    (void)state;
    region_up();
    (void)market_of("coinbase", "BTC-USD", TF_STATE_LIVE);
    (void)market_of("coinbase", "ETH-USD", TF_STATE_HALTED);
    tf_region_heartbeat(region.region, mono_now_ns() - lost_ns - TF_NS_PER_S);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"live\"}", 0);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"stale\"}", 2);
    const double *age = t_series(page, "tickfan_region_heartbeat_age_seconds");
    assert_non_null(age);
    assert_true(*age >= 3601 && *age < 3661);
    t_reply_free(&reply);
}

static void assert_up(double region_up, double ready)
{
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_region_up", region_up);
    assert_series(page, "tickfan_ready", ready);
    t_reply_free(&reply);
}

static void whether_the_region_is_up_is_told_whatever_becomes_of_it(void **state)
{
    (void)state;
    assert_up(0, 0);
    region_up();
    assert_up(1, 0);
    (void)t_region_live(&region, "BTC-USD");
    assert_up(1, 1);
    tf_region_heartbeat(region.region, mono_now_ns() - lost_ns - TF_NS_PER_S);
    assert_up(0, 0);
    tf_region_heartbeat(region.region, mono_now_ns());
    assert_up(1, 1);
    tf_http_drain(http);
    assert_up(1, 0);
    t_region_close(&region);
    assert_up(0, 0);
}

static void a_region_that_was_closed_and_removed_keeps_its_rows_as_stale(void **state)
{
    (void)state;
    region_up();
    (void)market_of("coinbase", "BTC-USD", TF_STATE_LIVE);
    assert_link("coinbase", 1);
    t_region_close(&region);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"live\"}", 0);
    assert_series(page, "tickfan_markets{venue=\"coinbase\",state=\"stale\"}", 1);
    assert_series(page, "tickfan_venue_link_up{venue=\"coinbase\"}", 0);
    assert_non_null(t_series(page, "tickfan_region_heartbeat_age_seconds"));
    assert_non_null(strstr(reply.body, "\ntickfan_region_info{"));
    t_reply_free(&reply);
}

static void a_region_that_nobody_asked_for_is_remembered(void **state)
{
    (void)state;
    tf_http_stop(http);
    region_up();
    (void)market_of("coinbase", "BTC-USD", TF_STATE_LIVE);
    tf_http_config_t config = config_for("127.0.0.1");
    start_with(&config);
    t_expect(port, "/healthz", 200, "ok\n"); /* the thread is past its first look */
    t_region_close(&region);
    t_expect(port, "/readyz", 503, "ingest lost: its region is closed\n");
}

static void more_venues_than_rows_are_counted_as_other(void **state)
{
    (void)state;
    region.config.instruments_max = 80;
    region_up();
    for (int i = 0; i < 80; i++) {
        char venue[TF_VENUE_BYTES_MAX];
        (void)snprintf(venue, sizeof venue, "venue%d", i);
        (void)market_of(venue, "BTC-USD", TF_STATE_LIVE);
    }
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_markets{venue=\"venue62\",state=\"live\"}", 1);
    assert_null(t_series(page, "tickfan_markets{venue=\"venue63\",state=\"live\"}"));
    assert_series(page, "tickfan_markets{venue=\"other\",state=\"live\"}", 17);
    t_reply_free(&reply);
}

static void a_venue_name_can_not_break_the_page(void **state)
{
    (void)state;
    region_up();
    (void)market_of("a\"} 1\n#\\", "BTC-USD", TF_STATE_LIVE);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_markets{venue=\"invalid\",state=\"live\"}", 1);
    t_reply_free(&reply);
}

static void the_process_and_the_region_introduce_themselves(void **state)
{
    (void)state;
    region_up();
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    char epoch[9];
    char text[256];
    tf_epoch_text(tf_region_epoch(region.region), epoch);
    (void)snprintf(text, sizeof text, "tickfan_region_info{region=\"%s\",epoch=\"%s\"}",
                   region.name, epoch);
    assert_series(page, text, 1);
    assert_series(page, "tickfan_up", 1);
    assert_non_null(strstr(reply.body, "\ntickfan_build_info{version=\""));
    const double *rss = t_series(page, "process_resident_memory_bytes");
    assert_true(rss != NULL && *rss > 1e6);
    const double *memory = t_series(page, "tickfan_memory_in_use_bytes");
    assert_true(memory != NULL && *memory > 0);
    const double *cpu = t_series(page, "process_cpu_seconds_total");
    assert_true(cpu != NULL && *cpu > 0 && *cpu < 1e6);
    const double *started = t_series(page, "process_start_time_seconds");
    assert_true(started != NULL && *started <= (double)time(NULL) + 2 &&
                *started > (double)time(NULL) - 3600);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_series(page, "process_max_fds", (double)limit.rlim_cur);
    assert_series(page, "tickfan_instruments_max", 4);
    /* Since then this test's client and the server's end of it were closed, or are about to be. */
    const double *fds = t_series(page, "process_open_fds");
    assert_true(fds != NULL && *fds >= 5 && *fds <= (double)fd_count() + 2);
    t_reply_free(&reply);
}

static void the_page_is_sound_without_threads_and_without_a_region(void **state)
{
    (void)state;
    tf_http_stop(http);
    tf_http_config_t config = config_for("127.0.0.1");
    config.thread_count = 0;
    start_with(&config);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_up", 1);
    assert_null(t_series(page, "tickfan_instruments"));
    t_reply_free(&reply);
}

static void labels_are_escaped(void **state)
{
    (void)state;
    const tf_http_thread_t odd = {"a\"b\\c\nd", TF_THREAD_FANOUT, &stats[0], NULL};
    tf_http_stop(http);
    tf_http_config_t config = config_for("127.0.0.1");
    config.threads = &odd;
    config.thread_count = 1;
    start_with(&config);
    t_reply_t reply;
    const t_exposition_t *page = page_get(&reply);
    assert_series(page, "tickfan_turns_total{thread=\"a\\\"b\\\\c\\nd\"}", 0);
    t_reply_free(&reply);
}

static void a_page_of_many_chunks_reaches_a_client_with_a_small_window(void **state)
{
    (void)state;
    static tf_http_thread_t threads[MANY_THREADS];
    static char names[MANY_THREADS][16];
    for (int i = 0; i < MANY_THREADS; i++) {
        (void)snprintf(names[i], sizeof names[i], "fanout-%d", i);
        threads[i] = (tf_http_thread_t){names[i], TF_THREAD_FANOUT, &stats[1], closes};
    }
    tf_http_stop(http);
    tf_http_config_t config = config_for("127.0.0.1");
    config.threads = threads;
    config.thread_count = MANY_THREADS;
    start_with(&config);
    int small = 4096;
    int fd = t_socket(AF_INET);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    t_connect_socket(fd, port);
    t_request(fd, "GET", "/metrics");
    t_reply_t reply = t_reply_read(fd, false);
    assert_int_equal(reply.status, 200);
    assert_true(reply.body_bytes > 100000);
    static t_exposition_t page;
    t_exposition_read(&page, reply.body);
    assert_string_equal(page.wrong, "");
    assert_series(&page, "tickfan_turns_total{thread=\"fanout-63\"}", 0);
    t_reply_free(&reply);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(healthz_is_ok_even_without_a_region),
        served(readyz_says_when_there_is_no_region),
        served(readyz_follows_the_markets_of_a_region_that_came_later),
        served(readyz_says_for_how_long_there_was_no_heartbeat),
        served(readyz_says_that_the_region_was_closed_and_finds_its_successor),
        served(draining_comes_before_every_other_reason),
        served(a_counter_appears_with_its_value_for_each_thread_that_can_move_it),
        served(a_name_that_ends_with_total_is_a_counter_with_seconds_a_histogram_else_a_gauge),
        served(delays_are_histograms_of_the_threads_that_have_them),
        served(a_venue_is_up_once_it_was_heard_until_all_of_its_markets_lost_it),
        served(the_listener_counts_its_own_connections_and_requests),
        served(closes_are_told_by_code_and_reason),
        served(markets_are_counted_by_venue_and_state),
        served(markets_of_a_lost_region_are_stale),
        served(whether_the_region_is_up_is_told_whatever_becomes_of_it),
        served(a_region_that_was_closed_and_removed_keeps_its_rows_as_stale),
        served(a_region_that_nobody_asked_for_is_remembered),
        served(more_venues_than_rows_are_counted_as_other),
        served(a_venue_name_can_not_break_the_page),
        served(the_process_and_the_region_introduce_themselves),
        served(the_page_is_sound_without_threads_and_without_a_region),
        served(labels_are_escaped),
        served(a_page_of_many_chunks_reaches_a_client_with_a_small_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
