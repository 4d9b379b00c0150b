/* A link without a venue: names, addresses, what can't be opened. getaddrinfo() is this file's. */
#include "kit/kit.h"

#include "base/log.h"
#include "base/mem.h"
#include "venue/link.h"
#include "venue/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FOREVER_NS (3600 * TF_NS_PER_S)

static tf_stats_t stats;
static tf_links_t *links;
static sem_t asked;    /* posted when "slow.test" is looked up ... */
static sem_t answered; /* ... which then waits for this */

/* ---- names ---- */

static struct addrinfo *entry(const char *address, struct addrinfo *next)
{
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in));
    assert_non_null(info);
    struct sockaddr_in *to = (void *)(info + 1);
    to->sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, address, &to->sin_addr), 1);
    *info = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_addr = (void *)to,
                              .ai_addrlen = sizeof *to,
                              .ai_next = next};
    return info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)service;
    (void)hints;
    if (strcmp(name, "slow.test") == 0) {
        (void)sem_post(&asked);
        (void)sem_wait(&answered);
        *out = entry("127.0.0.1", NULL);
    } else if (strcmp(name, "many.test") == 0) {
        *out = entry("127.0.0.1", entry("127.0.0.2", entry("127.0.0.3", NULL)));
    } else if (strcmp(name, "crowd.test") == 0) {
        *out = NULL;
        for (int i = 0; i < 3 * TF_RESOLVE_ADDRESSES_MAX; i++)
            *out = entry("127.0.0.9", *out);
    } else if (strspn(name, "0123456789.") == strlen(name)) {
        *out = entry(name, NULL);
    } else {
        return EAI_NONAME;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;
        free(info);
        info = next;
    }
}

/* ---- a link ---- */

static int setup(void **state)
{
    (void)state;
    tf_log_level_set(TF_LOG_OFF);
    memset(&stats, 0, sizeof stats);
    assert_int_equal(sem_init(&asked, 0, 0), 0);
    assert_int_equal(sem_init(&answered, 0, 0), 0);
    assert_int_equal(tf_links_create(&links, &tf_clock_system, &stats), TF_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tf_links_destroy(links);
    return 0;
}

/* One that tries once, and then not within the life of the test. */
static tf_link_config_t config_of(const char *url)
{
    tf_link_config_t config = tf_link_config_default;
    config.venue = "coinbase";
    config.url = url;
    config.backoff_min_ns = config.backoff_max_ns = FOREVER_NS;
    return config;
}

static tf_source_t *open_link(const char *url, int64_t connect_ns)
{
    tf_source_t *source;
    tf_link_config_t config = config_of(url);
    config.connect_ns = connect_ns;
    if (tf_link_open(&source, links, &config) != TF_OK)
        fail_msg("%s", tf_error_text());
    return source;
}

static uint64_t count(tf_stat_t stat)
{
    return tf_stats_get(&stats, stat);
}

static int64_t now_ns(void)
{
    return tf_clock_mono_ns(&tf_clock_system);
}

static void turn(tf_source_t *source)
{
    tf_source_event_t event;
    source->ops->poll(source, now_ns(), tf_clock_wall_ns(&tf_clock_system), &event);
    assert_int_equal(event.type, TF_SOURCE_IDLE);
    assert_true(event.wake_in_ns >= 0);
    tf_links_wait(links,
                  event.wake_in_ns < 20 * TF_NS_PER_MS ? event.wake_in_ns : 20 * TF_NS_PER_MS);
}

static void turn_until(tf_source_t *source, tf_stat_t stat, uint64_t value)
{
    int64_t deadline_ns = now_ns() + 20 * TF_NS_PER_S;
    while (count(stat) < value) {
        assert_true(now_ns() < deadline_ns);
        turn(source);
    }
}

/* A port of every loopback address on which nobody listens, and nobody else will. */
static int closed_port(uint16_t *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const void *)&address, bytes), 0);
    assert_int_equal(getsockname(fd, (void *)&address, &bytes), 0);
    *out = ntohs(address.sin_port);
    return fd;
}

static void every_address_of_a_name_is_tried_before_waiting(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int fd = closed_port(&port);
    (void)snprintf(url, sizeof url, "wss://many.test:%u/", port);
    tf_source_t *source = open_link(url, TF_NS_PER_S);
    turn_until(source, TF_STAT_venue_connect_failures_total, 3);
    for (int i = 0; i < 5; i++)
        turn(source);
    assert_int_equal(count(TF_STAT_venue_connect_attempts_total), 3);
    assert_int_equal(count(TF_STAT_venue_connect_failures_total), 3);
    source->ops->destroy(source);
    (void)close(fd);
}

static void an_address_that_does_not_answer_is_given_up_in_time(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int fd = closed_port(&port);
    assert_int_equal(listen(fd, 8), 0); /* takes TCP, and says nothing */
    (void)snprintf(url, sizeof url, "wss://many.test:%u/", port);
    int64_t start_ns = now_ns();
    tf_source_t *source = open_link(url, 100 * TF_NS_PER_MS);
    turn_until(source, TF_STAT_venue_connect_failures_total, 3);
    assert_true(now_ns() - start_ns >= 300 * TF_NS_PER_MS);
    assert_int_equal(count(TF_STAT_venue_connect_attempts_total), 3);
    source->ops->destroy(source);
    (void)close(fd);
}

static void a_dead_name_server_holds_up_nobody(void **state)
{
    (void)state;
    uint64_t before_bytes = tf_mem_in_use_bytes();
    tf_source_t *slow = open_link("wss://slow.test/", 50 * TF_NS_PER_MS);
    tf_source_t *other = open_link("wss://no-such.test/", 50 * TF_NS_PER_MS);
    turn(slow);
    (void)sem_wait(&asked);
    turn_until(other, TF_STAT_venue_resolve_failures_total, 1);
    turn_until(slow, TF_STAT_venue_resolve_failures_total, 2); /* gave up waiting */
    slow->ops->destroy(slow);                                  /* the look-up still runs */
    other->ops->destroy(other);
    (void)sem_post(&answered);
    int64_t deadline_ns = now_ns() + 20 * TF_NS_PER_S;
    while (tf_mem_in_use_bytes() > before_bytes) { /* it frees what was left to it */
        assert_true(now_ns() < deadline_ns);
        (void)usleep(1000);
    }
    assert_int_equal(count(TF_STAT_venue_connect_attempts_total), 0);
}

static void a_late_answer_is_used_by_the_next_attempt(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int fd = closed_port(&port);
    (void)snprintf(url, sizeof url, "wss://slow.test:%u/", port);
    tf_link_config_t config = config_of(url);
    config.connect_ns = 20 * TF_NS_PER_MS;
    config.backoff_min_ns = config.backoff_max_ns = 10 * TF_NS_PER_MS;
    tf_source_t *source;
    assert_int_equal(tf_link_open(&source, links, &config), TF_OK);
    turn_until(source, TF_STAT_venue_resolve_failures_total, 3);
    (void)sem_post(&answered);
    turn_until(source, TF_STAT_venue_connect_attempts_total, 1);
    int lookups;
    assert_int_equal(sem_getvalue(&asked, &lookups), 0);
    assert_int_equal(lookups, 1);
    (void)sem_post(&answered); /* whatever it looks up until it is destroyed */
    source->ops->destroy(source);
    (void)close(fd);
}

static void more_addresses_than_are_kept_are_left_out(void **state)
{
    (void)state;
    tf_resolve_t *resolve;
    tf_resolve_result_t result;
    assert_int_equal(tf_resolve_start(&resolve, "crowd.test"), TF_OK);
    while (!tf_resolve_poll(&resolve, &result))
        (void)usleep(1000);
    assert_null(resolve);
    assert_int_equal(result.count, TF_RESOLVE_ADDRESSES_MAX);
    assert_string_equal(result.address[0], "127.0.0.9");
    assert_int_equal(tf_resolve_start(&resolve, "no-such.test"), TF_OK);
    memset(&result, 0, sizeof result);
    while (!tf_resolve_poll(&resolve, &result))
        (void)usleep(1000);
    assert_int_equal(result.count, 0);
    assert_string_equal(result.error, gai_strerror(EAI_NONAME));
    tf_resolve_abandon(&resolve); /* nothing there */
}

static void bad(tf_link_config_t config, tf_status_t expected, const char *named)
{
    tf_source_t *source;
    assert_int_equal(tf_link_open(&source, links, &config), expected);
    assert_null(source);
    if (strstr(tf_error_text(), named) == NULL)
        fail_msg("\"%s\" does not name \"%s\"", tf_error_text(), named);
    assert_int_equal(tf_links_count(links), 0);
}

static void what_is_wrong_with_a_config_is_named(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        const char *name;
    } times[] = {
        {offsetof(tf_link_config_t, silence_ns), "silence_ms"},
        {offsetof(tf_link_config_t, connect_ns), "connect_ms must be 1 to 20000"},
        {offsetof(tf_link_config_t, ping_ns), "ping_ms"},
        {offsetof(tf_link_config_t, backoff_min_ns), "backoff_min_ms"},
        {offsetof(tf_link_config_t, backoff_max_ns), "backoff_max_ms"},
    };
    const tf_link_config_t fine = config_of("wss://venue.test");
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const int64_t wrong[] = {0, -1, TF_NS_PER_MS - 1, FOREVER_NS + 1};
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            tf_link_config_t config = fine;
            memcpy((char *)&config + times[i].offset, &wrong[k], sizeof wrong[k]);
            bad(config, TF_ERR_ARG, times[i].name);
        }
    }
    tf_link_config_t config = fine;
    config.backoff_max_ns = config.backoff_min_ns - TF_NS_PER_MS;
    bad(config, TF_ERR_ARG, "backoff_max_ms must not be less than backoff_min_ms (3600000)");
    bad(config_of("ws://venue.test"), TF_ERR_ARG, "ws://venue.test");
}

static void a_file_of_authorities_that_is_none_is_named(void **state)
{
    (void)state;
    char path[512];
    tf_link_config_t config = config_of("wss://venue.test");
    config.ca_path = "/no/such/file.pem";
    bad(config, TF_ERR_FORMAT, "/no/such/file.pem");
    (void)snprintf(path, sizeof path, "%s/not.pem", t_scratch_dir());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("no certificate\n", file);
    assert_int_equal(fclose(file), 0);
    config.ca_path = path;
    bad(config, TF_ERR_FORMAT, path);
}

static void memory_that_runs_out_at_any_point_leaves_nothing_behind(void **state)
{
    (void)state;
    const tf_link_config_t config = config_of("wss://venue.test");
    const uint64_t before_bytes = tf_mem_in_use_bytes();
    tf_source_t *source = NULL;
    uint64_t nth = 1;
    for (;; nth++) {
        tf_mem_fail_at(nth);
        tf_status_t status = tf_link_open(&source, links, &config);
        tf_mem_fail_at(0);
        if (status == TF_OK)
            break;
        assert_int_equal(status, TF_ERR_MEMORY);
        assert_int_equal(tf_mem_in_use_bytes(), before_bytes);
        assert_int_equal(tf_links_count(links), 0);
    }
    assert_true(nth > 2);
    source->ops->destroy(source);
    assert_int_equal(tf_mem_in_use_bytes(), before_bytes);
}

static void links_are_bounded(void **state)
{
    (void)state;
    tf_source_t *source[TF_LINKS_MAX];
    for (size_t i = 0; i < TF_LINKS_MAX; i++)
        source[i] = open_link("wss://venue.test", TF_NS_PER_S);
    tf_source_t *more;
    tf_link_config_t config = config_of("wss://venue.test");
    assert_int_equal(tf_link_open(&more, links, &config), TF_ERR_FULL);
    assert_int_equal(tf_links_count(links), TF_LINKS_MAX);
    for (size_t i = 0; i < TF_LINKS_MAX; i++)
        source[i]->ops->destroy(source[i]);
    assert_int_equal(tf_links_count(links), 0);
}

static void *wake(void *context)
{
    tf_links_wake(context);
    return NULL;
}

static void a_sleep_ends_when_woken_even_before_it_begins(void **state)
{
    (void)state;
    tf_source_t *source = open_link("wss://venue.test", TF_NS_PER_S);
    for (int i = 0; i < 20; i++) { /* libwebsockets may have something of its own to do first */
        tf_links_wait(links, TF_NS_PER_MS);
    }
    pthread_t thread;
    int64_t start_ns = now_ns();
    assert_int_equal(pthread_create(&thread, NULL, wake, links), 0);
    (void)pthread_join(thread, NULL);
    tf_links_wait(links, 60 * TF_NS_PER_S);
    assert_true(now_ns() - start_ns < 30 * TF_NS_PER_S);
    start_ns = now_ns();
    tf_links_wait(links, 30 * TF_NS_PER_MS);
    assert_true(now_ns() - start_ns >= 29 * TF_NS_PER_MS);
    source->ops->destroy(source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_address_of_a_name_is_tried_before_waiting),
        TEST(an_address_that_does_not_answer_is_given_up_in_time),
        TEST(a_dead_name_server_holds_up_nobody),
        TEST(a_late_answer_is_used_by_the_next_attempt),
        TEST(more_addresses_than_are_kept_are_left_out),
        TEST(what_is_wrong_with_a_config_is_named),
        TEST(a_file_of_authorities_that_is_none_is_named),
        TEST(memory_that_runs_out_at_any_point_leaves_nothing_behind),
        TEST(links_are_bounded),
        TEST(a_sleep_ends_when_woken_even_before_it_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
