/*
 * server_kit: the server under test on a port of its own, with two threads' counters and, where a
 * test wants one, a region. Include after "kit/kit.h".
 */
#pragma once

#include "base/clock.h"
#include "base/mem.h"
#include "http/http.h"
#include "unit/http/http_kit.h"
#include "unit/region/region_kit.h"
#include "ws/frame.h"

#include <dirent.h>

static const int64_t lost_ns = 3600 * TF_NS_PER_S; /* no test takes so long */

static t_region_t region;
static tf_stats_t stats[2];
static _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
static tf_http_t *http;
static uint16_t port;

static inline int64_t mono_now_ns(void)
{
    return tf_clock_mono_ns(&tf_clock_system);
}

static inline tf_http_config_t config_for(const char *address)
{
    static tf_http_thread_t threads[2];
    threads[0] = (tf_http_thread_t){"ingest", TF_THREAD_INGEST, &stats[0], NULL};
    threads[1] = (tf_http_thread_t){"fanout-0", TF_THREAD_FANOUT, &stats[1], closes};
    return (tf_http_config_t){
        .address = address,
        .region = region.name,
        .lost_ns = lost_ns,
        .threads = threads,
        .thread_count = 2,
    };
}

static inline void start_with(const tf_http_config_t *config)
{
    tf_status_t status = tf_http_start(&http, config);
    if (status != TF_OK)
        print_error("%s\n", tf_error_text());
    assert_int_equal(status, TF_OK);
    port = tf_http_port(http);
    assert_int_not_equal(port, 0);
}

static inline int start(void **state)
{
    (void)state;
    memset(stats, 0, sizeof stats);
    for (int i = 0; i < TF_WS_CLOSE_COUNT; i++)
        atomic_store(&closes[i], 0);
    t_region_init(&region, "http");
    tf_http_config_t config = config_for("127.0.0.1");
    start_with(&config);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    tf_http_stop(http);
    http = NULL;
    if (region.region != NULL)
        t_region_close(&region);
    assert_int_equal(tf_mem_in_use_bytes(), 0);
    return 0;
}

static inline void region_up(void)
{
    region.mono_ns = mono_now_ns();
    (void)t_region_create(&region);
}

static inline size_t fd_count(void)
{
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    size_t count = 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

#define served(test) cmocka_unit_test_setup_teardown(test, start, stop)
