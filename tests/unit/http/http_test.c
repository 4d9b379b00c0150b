/* The protocol, the connections and the life of the server. */
#include "kit/kit.h"

#include "unit/http/server_kit.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

enum { PARALLEL = 20, CONNECTIONS_MAX = 64, UNREAD = 1000 };

/* ---- HTTP ---- */

static void answers_are_plain_text_and_not_to_be_stored(void **state)
{
    (void)state;
    t_reply_t reply = t_get(port, "/healthz");
    assert_string_equal(t_header(&reply, "Cache-Control"), "no-store");
    assert_string_equal(t_header(&reply, "Content-Type"), "text/plain; charset=utf-8");
    assert_string_equal(t_header(&reply, "Server"), "tickfan");
    assert_string_equal(t_header(&reply, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(t_header(&reply, "Access-Control-Allow-Origin"), "");
    t_reply_free(&reply);
    reply = t_get(port, "/metrics");
    assert_string_equal(t_header(&reply, "Cache-Control"), "no-store");
    assert_string_equal(t_header(&reply, "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    t_reply_free(&reply);
}

static void head_gives_the_headers_alone_and_keeps_the_connection(void **state)
{
    (void)state;
    int fd = t_connect(port);
    const char *const paths[] = {"/healthz", "/metrics", "/readyz", "/nothing"};
    const int statuses[] = {200, 200, 503, 404};
    for (int i = 0; i < 4; i++) {
        t_request(fd, "HEAD", paths[i]);
        t_reply_t reply = t_reply_read(fd, true);
        assert_int_equal(reply.status, statuses[i]);
        assert_true(strtol(t_header(&reply, "Content-Length"), NULL, 10) > 0);
        t_reply_free(&reply);
    }
    t_request(fd, "GET", "/healthz");
    t_reply_t reply = t_reply_read(fd, false);
    assert_string_equal(reply.body, "ok\n");
    t_reply_free(&reply);
    (void)close(fd);
}

static void an_unknown_path_is_404_and_names_the_known_ones(void **state)
{
    (void)state;
    static const char text[] =
        "not found; known paths: / /healthz /readyz /metrics /v1/config /v1/instruments "
        "/v1/status /v1/{ticker,bbo,trades,book}/VENUE/SYMBOL\n";
    const char *const paths[] = {
        "/nothing", "/metric", "/metricsx",   "/healthz/",   "/METRICS",
        "/v1",      "/V1/",    "/healthz%00", "/healthz%2f", "/metrics/../../etc/passwd",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        t_reply_t reply = t_get(port, paths[i]);
        if (reply.status != 0) { /* a path that escapes the root is refused before it is ours */
            assert_int_equal(reply.status, 404);
            assert_string_equal(reply.body, text);
        }
        t_reply_free(&reply);
    }
    t_expect(port, "/nothing", 404, text);
    t_expect(port, "/healthz?verbose=1", 200, "ok\n");
}

/* libwebsockets decodes paths, and answers what it can't decode without asking us. */
static void a_malformed_escape_is_refused_and_ends_the_connection(void **state)
{
    (void)state;
    const char *const paths[] = {"/%zz", "/healthz%", "/v1/status?venue=%g0", "/v1/%2"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int fd = t_connect(port);
        t_request(fd, "GET", paths[i]);
        char text[1024] = {0};
        ssize_t got = recv(fd, text, sizeof text - 1, MSG_WAITALL);
        assert_true(got <= 0 || strncmp(text, "HTTP/1.0 403 ", 13) == 0);
        (void)close(fd);
    }
    t_expect(port, "/%68ealthz", 200, "ok\n");
}

static void the_page_is_kept_by_browsers_and_asked_for_by_its_tag(void **state)
{
    (void)state;
    int fd = t_connect(port);
    char etag[64];
    char request[256];
    t_request(fd, "GET", "/");
    t_reply_t reply = t_reply_read(fd, false);
    assert_int_equal(reply.status, 200);
    assert_string_equal(t_header(&reply, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(t_header(&reply, "Cache-Control"), "no-cache");
    assert_string_equal(t_header(&reply, "Content-Security-Policy"),
                        "default-src 'self'; connect-src 'self' ws: wss:");
    assert_string_equal(t_header(&reply, "X-Content-Type-Options"), "nosniff");
    assert_true(reply.body_bytes > 0);
    (void)snprintf(etag, sizeof etag, "%s", t_header(&reply, "ETag"));
    assert_true(strlen(etag) > 2 && etag[0] == '"');
    t_reply_free(&reply);
    const char *const before[] = {"", "W/", "\"other\", "}; /* of the tag in a list of tags */
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(request, sizeof request,
                       "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: %s%s\r\n\r\n", before[i], etag);
        t_send(fd, request);
        reply = t_reply_read(fd, true);
        assert_int_equal(reply.status, 304);
        assert_string_equal(t_header(&reply, "ETag"), etag);
        t_reply_free(&reply);
    }
    t_send(fd, "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"other\"\r\n\r\n");
    reply = t_reply_read(fd, false);
    assert_int_equal(reply.status, 200);
    t_reply_free(&reply);
    (void)close(fd);
}

static void scripts_of_every_origin_may_read_market_data(void **state)
{
    (void)state;
    t_reply_t reply = t_get(port, "/v1/config");
    assert_int_equal(reply.status, 200);
    assert_string_equal(t_header(&reply, "Access-Control-Allow-Origin"), "*");
    assert_string_equal(t_header(&reply, "Content-Type"), "application/json; charset=utf-8");
    t_reply_free(&reply);
    int fd = t_connect(port);
    t_send(fd, "OPTIONS /v1/config HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n"
               "Access-Control-Request-Method: GET\r\n\r\n");
    reply = t_reply_read(fd, true);
    assert_int_equal(reply.status, 200);
    assert_string_equal(t_header(&reply, "Content-Length"), "0");
    assert_string_equal(t_header(&reply, "Access-Control-Allow-Origin"), "*");
    assert_string_equal(t_header(&reply, "Access-Control-Allow-Methods"), "GET, HEAD, OPTIONS");
    assert_string_equal(t_header(&reply, "Allow"), "GET, HEAD, OPTIONS");
    t_reply_free(&reply);
    (void)close(fd);
    reply = t_get(port, "/v1/status");
    assert_int_equal(reply.status, 503);
    assert_string_equal(t_header(&reply, "Retry-After"), "1");
    t_reply_free(&reply);
}

static void another_method_is_405_with_allow_and_ends_the_connection(void **state)
{
    (void)state;
    const char *const requests[] = {
        "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "DELETE /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /v1/config HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "PATCH /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = t_connect(port);
        t_send(fd, requests[i]);
        t_reply_t reply = t_reply_read(fd, false);
        assert_int_equal(reply.status, 405);
        assert_string_equal(t_header(&reply, "Allow"),
                            strstr(requests[i], "/v1/") ? "GET, HEAD, OPTIONS" : "GET, HEAD");
        assert_string_equal(t_header(&reply, "Connection"), "close");
        assert_true(t_closed(fd));
        t_reply_free(&reply);
        (void)close(fd);
    }
}

static void what_is_not_http_ends_the_connection_and_nothing_else(void **state)
{
    (void)state;
    static char endless[16384] = "GET /";
    memset(endless + 5, 'a', sizeof endless - 6);
    const char *const garbage[] = {"\r\n\r\n\r\n", "BREW /pot HTTP/1.1\r\n\r\n",
                                   "\x16\x03\x01\x02\x01\x01", endless};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        int fd = t_connect(port);
        t_send(fd, garbage[i]);
        (void)shutdown(fd, SHUT_WR);
        char byte;
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
        (void)close(fd);
    }
    t_expect(port, "/healthz", 200, "ok\n");
}

static void an_upgrade_is_refused(void **state)
{
    (void)state;
    const char *const upgrades[] = {
        "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof upgrades / sizeof upgrades[0]; i++) {
        int fd = t_connect(port);
        t_send(fd, upgrades[i]);
        t_reply_t reply = t_reply_read(fd, false);
        assert_int_equal(reply.status, 400);
        assert_string_equal(reply.body, "no upgrades here; WebSocket clients: see --listen\n");
        assert_true(t_closed(fd));
        t_reply_free(&reply);
        (void)close(fd);
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int fd = t_connect(port);
    t_send(fd, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"
               "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    const int statuses[] = {200, 503, 404};
    for (int i = 0; i < 3; i++) {
        t_reply_t reply = t_reply_read(fd, false);
        assert_int_equal(reply.status, statuses[i]);
        t_reply_free(&reply);
    }
    (void)close(fd);
}

static void http_1_0_is_answered_and_closed(void **state)
{
    (void)state;
    int fd = t_connect(port);
    t_send(fd, "GET /healthz HTTP/1.0\r\n\r\n");
    char text[1024] = {0};
    size_t bytes = 0;
    ssize_t got;
    while ((got = recv(fd, text + bytes, sizeof text - 1 - bytes, 0)) > 0)
        bytes += (size_t)got;
    assert_int_equal(got, 0);
    assert_non_null(strstr(text, " 200 "));
    assert_non_null(strstr(text, "\r\n\r\nok\n"));
    (void)close(fd);
}

/* ---- connections ---- */

/* The server notices closed connections in its own time; within that of a client's patience. Asking
 * it meanwhile would only open more of them. */
static void fds_go_back_to(size_t count)
{
    for (int64_t until = mono_now_ns() + T_CLIENT_WAIT_S * TF_NS_PER_S; mono_now_ns() < until;) {
        if (fd_count() <= count)
            return;
        (void)sched_yield();
    }
    assert_in_range(fd_count(), 0, count);
}

static void half_a_request_and_a_close_leaves_nothing_behind(void **state)
{
    (void)state;
    t_expect(port, "/healthz", 200, "ok\n");
    size_t before = fd_count();
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (size_t bytes = 0; bytes < sizeof request; bytes += 3) {
        int fd = t_connect(port);
        assert_int_equal(send(fd, request, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
        struct linger reset = {.l_onoff = bytes % 2 == 0};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        (void)close(fd);
    }
    fds_go_back_to(before);
}

static void parallel_requests_are_all_answered(void **state)
{
    (void)state;
    int fds[PARALLEL];
    for (int i = 0; i < PARALLEL; i++)
        fds[i] = t_connect(port);
    for (int i = 0; i < PARALLEL; i++)
        t_request(fds[i], "GET", i % 2 == 0 ? "/metrics" : "/healthz");
    for (int i = PARALLEL - 1; i >= 0; i--) {
        t_reply_t reply = t_reply_read(fds[i], false);
        assert_int_equal(reply.status, 200);
        assert_true(i % 2 == 0 ? reply.body_bytes > 4096 : reply.body_bytes == 3);
        t_reply_free(&reply);
        (void)close(fds[i]);
    }
}

static void connections_beyond_the_limit_are_closed_and_room_comes_back(void **state)
{
    (void)state;
    size_t before = fd_count();
    int fds[CONNECTIONS_MAX + 8];
    for (int i = 0; i < CONNECTIONS_MAX + 8; i++)
        fds[i] = t_connect(port);
    for (int i = CONNECTIONS_MAX; i < CONNECTIONS_MAX + 8; i++)
        assert_true(t_closed(fds[i]));
    t_request(fds[CONNECTIONS_MAX - 1], "GET", "/healthz");
    t_reply_t reply = t_reply_read(fds[CONNECTIONS_MAX - 1], false);
    assert_int_equal(reply.status, 200);
    t_reply_free(&reply);
    for (int i = 0; i < CONNECTIONS_MAX + 8; i++)
        (void)close(fds[i]);
    bool answered = false;
    while (!answered) { /* until the server has seen a connection end; a hang is CTest's time-out */
        int fd = t_connect(port);
        t_request(fd, "GET", "/healthz");
        reply = t_reply_read(fd, false);
        answered = reply.status == 200;
        t_reply_free(&reply);
        (void)close(fd);
    }
    fds_go_back_to(before);
}

static int64_t cpu_ns(void)
{
    struct timespec used;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return used.tv_sec * TF_NS_PER_S + used.tv_nsec;
}

static void running_out_of_descriptors_delays_and_does_not_refuse(void **state)
{
    (void)state;
    size_t before = fd_count();
    t_expect(port, "/healthz", 200, "ok\n");
    fds_go_back_to(before); /* else the server frees one below the limit in a moment */
    int fd = t_socket(AF_INET);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int free_fd = dup(fd);
    (void)close(free_fd);
    /* No lower than needed: poll(2) refuses more entries than the limit. */
    struct rlimit none = {.rlim_cur = (rlim_t)free_fd, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    t_connect_socket(fd, port);
    t_request(fd, "GET", "/healthz");
    /* The answer can't come; a tenth of a second is long enough for the server to have tried. */
    struct timeval wait = {.tv_usec = 100000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    char byte;
    int64_t used_ns = cpu_ns();
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    used_ns = cpu_ns() - used_ns;
    assert_in_range(used_ns, 0, 50 * TF_NS_PER_MS); /* it waits; a spin would use all 100 ms */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    wait = (struct timeval){.tv_sec = T_CLIENT_WAIT_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    t_reply_t reply = t_reply_read(fd, false);
    assert_int_equal(reply.status, 200);
    t_reply_free(&reply);
    (void)close(fd);
}

static void a_failed_allocation_costs_one_connection_at_most(void **state)
{
    (void)state;
    region_up();
    (void)t_region_live(&region, "BTC-USD");
    bool clean = false;
    for (uint64_t nth = 1; !clean; nth++) {
        tf_mem_fail_at(nth);
        t_reply_t reply = t_get(port, "/metrics");
        tf_mem_fail_at(0);
        assert_true(reply.status == 0 || reply.status == 200);
        clean = reply.status == 200 && strstr(reply.body, "tickfan_instruments 1\n") != NULL;
        t_reply_free(&reply);
        t_expect(port, "/healthz", 200, "ok\n");
    }
}

/* ---- start and stop ---- */

static void a_taken_port_is_named_with_a_remedy(void **state)
{
    (void)state;
    tf_http_config_t config = config_for("127.0.0.1");
    config.port = port;
    tf_http_t *second = NULL;
    size_t before = fd_count();
    assert_int_equal(tf_http_start(&second, &config), TF_ERR_SYS);
    assert_null(second);
    char place[32];
    (void)snprintf(place, sizeof place, "127.0.0.1:%u:", port);
    assert_non_null(strstr(tf_error_text(), place));
    assert_non_null(strstr(tf_error_text(), "Address already in use"));
    assert_non_null(strstr(tf_error_text(), "is another tickfan running? choose another --http"));
    assert_int_equal(fd_count(), before);
}

static void an_address_that_is_none_is_refused(void **state)
{
    (void)state;
    tf_http_t *second = NULL;
    tf_http_config_t config = config_for("localhost");
    assert_int_equal(tf_http_start(&second, &config), TF_ERR_ARG);
    assert_non_null(strstr(tf_error_text(), "localhost"));
    config = config_for("192.0.2.1"); /* documentation only (RFC 5737): nobody's */
    assert_int_equal(tf_http_start(&second, &config), TF_ERR_SYS);
    assert_non_null(strstr(tf_error_text(), "192.0.2.1:0: Cannot assign requested address"));
    config = config_for("127.0.0.1");
    config.region = "../etc";
    assert_int_equal(tf_http_start(&second, &config), TF_ERR_ARG);
    assert_null(second);
}

static void an_ipv6_address_is_served(void **state)
{
    (void)state;
    tf_http_t *second = NULL;
    tf_http_config_t config = config_for("::1");
    if (tf_http_start(&second, &config) != TF_OK) { /* a machine without IPv6 */
        assert_non_null(strstr(tf_error_text(), "[::1]:0"));
        return;
    }
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    name.sin6_port = htons(tf_http_port(second));
    int fd = t_socket(AF_INET6);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    t_request(fd, "GET", "/healthz");
    t_reply_t reply = t_reply_read(fd, false);
    assert_int_equal(reply.status, 200);
    t_reply_free(&reply);
    (void)close(fd);
    tf_http_stop(second);
}

static void stop_leaves_no_descriptor_and_no_memory(void **state)
{
    (void)state;
    t_region_init(&region, "http");
    region_up();
    (void)t_region_live(&region, "BTC-USD");
    size_t fds_before = fd_count();
    uint64_t memory_before = tf_mem_in_use_bytes();
    for (int round = 0; round < 3; round++) {
        tf_http_config_t config = config_for("127.0.0.1");
        start_with(&config);
        int idle = t_connect(port);
        int half = t_connect(port);
        int unread = t_connect(port);
        t_send(half, "GET /metrics HTT");
        t_request(unread, "GET", "/metrics");
        t_expect(port, "/readyz", 200, "ok\n");
        tf_http_stop(http);
        assert_true(t_closed(idle));
        (void)close(idle);
        (void)close(half);
        (void)close(unread);
        assert_int_equal(fd_count(), fds_before);
        assert_int_equal(tf_mem_in_use_bytes(), memory_before);
    }
    tf_http_stop(NULL);
    t_region_close(&region);
}

static void a_start_that_runs_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    t_region_init(&region, "http");
    size_t before = fd_count();
    tf_http_config_t config = config_for("127.0.0.1");
    tf_mem_fail_at(1);
    tf_http_t *none = NULL;
    assert_int_equal(tf_http_start(&none, &config), TF_ERR_MEMORY);
    tf_mem_fail_at(0);
    assert_null(none);
    assert_int_equal(fd_count(), before);
}

/* ---- slow: waits for the server's time-outs ---- */

static void who_trickles_a_request_is_cut_off(void **state)
{
    (void)state;
    int idle = t_connect(port);
    int trickle = t_connect(port);
    struct timeval second = {.tv_sec = 1};
    assert_int_equal(setsockopt(trickle, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second), 0);
    t_send(trickle, "GET /healthz HTTP/1.1\r\nHost: ");
    bool cut = false;
    int64_t began_ns = mono_now_ns();
    while (!cut && mono_now_ns() - began_ns < T_CLIENT_WAIT_S * TF_NS_PER_S) {
        (void)send(trickle, "a", 1, MSG_NOSIGNAL);
        cut = t_closed(trickle);
    }
    assert_true(cut);
    assert_true(t_closed(idle));
    (void)close(idle);
    (void)close(trickle);
}

static void who_does_not_read_its_answers_is_cut_off(void **state)
{
    (void)state;
    t_expect(port, "/healthz", 200, "ok\n");
    size_t before = fd_count();
    int small = 4096;
    int fd = t_socket(AF_INET);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    t_connect_socket(fd, port);
    for (int i = 0; i < UNREAD; i++) /* more than the server's socket takes */
        t_request(fd, "GET", "/metrics");
    fds_go_back_to(before + 1); /* the client's own end is still open */
    (void)close(fd);
}

static const struct CMUnitTest fast[] = {
    served(answers_are_plain_text_and_not_to_be_stored),
    served(head_gives_the_headers_alone_and_keeps_the_connection),
    served(an_unknown_path_is_404_and_names_the_known_ones),
    served(a_malformed_escape_is_refused_and_ends_the_connection),
    served(the_page_is_kept_by_browsers_and_asked_for_by_its_tag),
    served(scripts_of_every_origin_may_read_market_data),
    served(another_method_is_405_with_allow_and_ends_the_connection),
    served(what_is_not_http_ends_the_connection_and_nothing_else),
    served(an_upgrade_is_refused),
    served(pipelined_requests_are_answered_in_order),
    served(http_1_0_is_answered_and_closed),
    served(half_a_request_and_a_close_leaves_nothing_behind),
    served(parallel_requests_are_all_answered),
    served(connections_beyond_the_limit_are_closed_and_room_comes_back),
    served(running_out_of_descriptors_delays_and_does_not_refuse),
    served(a_failed_allocation_costs_one_connection_at_most),
    served(a_taken_port_is_named_with_a_remedy),
    served(an_address_that_is_none_is_refused),
    served(an_ipv6_address_is_served),
    cmocka_unit_test(stop_leaves_no_descriptor_and_no_memory),
    cmocka_unit_test(a_start_that_runs_out_of_memory_leaves_nothing),
};

static const struct CMUnitTest slow[] = {
    served(who_trickles_a_request_is_cut_off),
    served(who_does_not_read_its_answers_is_cut_off),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "slow") == 0)
        return cmocka_run_group_tests(slow, NULL, NULL);
    return cmocka_run_group_tests(fast, NULL, NULL);
}
