#include "kit/kit.h"

#include "ws/upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_ROOM = 3 * TF_WS_HEAD_BYTES_MAX };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The request of RFC 6455 1.2 by its lines, so that a row can replace or add to them. */
#define LINE       "GET /v1/ws HTTP/1.1\r\n"
#define HOST       "Host: server.example.com\r\n"
#define UPGRADE    "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION    "Sec-WebSocket-Version: 13\r\n"
#define END        "\r\n"
#define HEADERS    HOST UPGRADE CONNECTION KEY VERSION

static void expect_text(tf_ws_text_t text, const char *want)
{
    if (want == NULL) {
        assert_null(text.text);
        assert_int_equal(text.bytes, 0);
        return;
    }
    assert_non_null(text.text);
    assert_int_equal(text.bytes, strlen(want));
    assert_memory_equal(text.text, want, text.bytes);
}

static tf_ws_text_t text_of(const char *text)
{
    return (tf_ws_text_t){text, text == NULL ? 0 : strlen(text)};
}

/* ---- requests ---- */

static void sample_of_the_rfc_is_accepted_with_its_slices(void **state)
{
    (void)state;
    static const char request[] =
        "GET /v1/ws?enc=json&token=a%20b HTTP/1.1\r\n" HEADERS "Origin: http://example.com\r\n"
        "Authorization:Bearer abc.def \t\r\n"
        "sec-websocket-PROTOCOL: chat, superchat\r\n" END "\x81\x80mask";
    tf_ws_request_t got;
    int status = 0;
    assert_int_equal(tf_ws_upgrade_parse(request, sizeof request - 1, &got, &status),
                     TF_WS_UPGRADE_OK);
    expect_text(got.path, "/v1/ws");
    expect_text(got.query, "enc=json&token=a%20b");
    expect_text(got.host, "server.example.com");
    expect_text(got.origin, "http://example.com");
    expect_text(got.authorization, "Bearer abc.def");
    expect_text(got.protocols, "chat, superchat");
    expect_text(got.key, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_int_equal(got.head_bytes, sizeof request - 1 - 6);
    assert_memory_equal(request + got.head_bytes, "\x81\x80mask", 6);
}

static void absent_headers_are_null(void **state)
{
    (void)state;
    tf_ws_request_t got;
    int status = 0;
    static const char request[] = LINE HEADERS END;
    assert_int_equal(tf_ws_upgrade_parse(request, sizeof request - 1, &got, &status),
                     TF_WS_UPGRADE_OK);
    expect_text(got.query, NULL);
    expect_text(got.origin, NULL);
    expect_text(got.authorization, NULL);
    expect_text(got.protocols, NULL);
}

typedef struct request_row {
    const char *request;
    size_t bytes;
    int http_status; /* 0 = accepted */
} request_row_t;

#define ROW(text, status)                                                                          \
    {                                                                                              \
        (text), sizeof(text) - 1, (status)                                                         \
    }

static const request_row_t request_rows[] = {
    ROW(LINE HEADERS END, 0),
    /* request line */
    ROW("GET / HTTP/1.1\r\n" HEADERS END, 0),
    ROW("GET /? HTTP/1.1\r\n" HEADERS END, 0),
    ROW("GET  /v1/ws HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1/ws  HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1/ws HTTP/1.1 \r\n" HEADERS END, 400),
    ROW(" GET /v1/ws HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET\t/v1/ws HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1/ws\r\n" HEADERS END, 400),
    ROW("GET\r\n" HEADERS END, 400),
    ROW("\r\n" LINE HEADERS END, 400),
    ROW("GET v1/ws HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET * HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET http://server.example.com/v1/ws HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1/ws#part HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1/\xc3\xa4 HTTP/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1\x7f HTTP/1.1\r\n" HEADERS END, 400),
    ROW("G(T /v1/ws HTTP/1.1\r\n" HEADERS END, 400),
    ROW("POST /v1/ws HTTP/1.1\r\n" HEADERS END, 405),
    ROW("get /v1/ws HTTP/1.1\r\n" HEADERS END, 405),
    ROW("OPTIONS * HTTP/1.1\r\n" HEADERS END, 405),
    ROW("GET /v1/ws HTTP/1.0\r\n" HEADERS END, 505),
    ROW("GET /v1/ws HTTP/1.2\r\n" HEADERS END, 505),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ROW("GET /v1/ws http/1.1\r\n" HEADERS END, 400),
    ROW("GET /v1/ws HTTP/1.10\r\n" HEADERS END, 400),
    ROW("GET /v1/ws HTTP/x.1\r\n" HEADERS END, 400),
    ROW("GET /v1/ws HTTPS/1.1\r\n" HEADERS END, 400),
    /* line ends and control characters */
    ROW("GET /v1/ws HTTP/1.1\n" HEADERS END, 400),
    ROW(LINE "Host: a\n" UPGRADE CONNECTION KEY VERSION END, 400),
    ROW(LINE HEADERS "\n", 400),
    ROW(LINE "X: a\rb\r\n" HEADERS END, 400),
    ROW(LINE "X: a\r\r\n" HEADERS END, 400),
    ROW(LINE "X: a\0b\r\n" HEADERS END, 400),
    ROW(LINE "X: a\x1b[0m\r\n" HEADERS END, 400),
    ROW(LINE "X: a\x7f\r\n" HEADERS END, 400),
    ROW(LINE "X: \xc3\xa4\tb\r\n" HEADERS END, 0),
    ROW("\x16\x03\x01\x02\x00", 400), /* TLS on the plain port */
    /* header lines */
    ROW(LINE HEADERS " folded\r\n" END, 400),
    ROW(LINE HEADERS "\tfolded\r\n" END, 400),
    ROW(LINE " " HEADERS END, 400),
    ROW(LINE "X-Empty:\r\n" HEADERS END, 0),
    ROW(LINE "X-Space : a\r\n" HEADERS END, 400),
    ROW(LINE "X Space: a\r\n" HEADERS END, 400),
    ROW(LINE ": a\r\n" HEADERS END, 400),
    ROW(LINE "no colon\r\n" HEADERS END, 400),
    ROW(LINE "X@: a\r\n" HEADERS END, 400),
    ROW(LINE "\xc3\xa4: a\r\n" HEADERS END, 400),
    ROW(LINE "!#$%&'*+-.^_`|~09azAZ: a:b\r\n" HEADERS END, 0),
    /* Host */
    ROW(LINE UPGRADE CONNECTION KEY VERSION END, 400),
    ROW(LINE "Host:\r\n" UPGRADE CONNECTION KEY VERSION END, 400),
    ROW(LINE "Host: a b\r\n" UPGRADE CONNECTION KEY VERSION END, 400),
    ROW(LINE HEADERS HOST END, 400),
    ROW(LINE HEADERS "hOST: other\r\n" END, 400),
    ROW(LINE "HOST:a:8080\r\n" UPGRADE CONNECTION KEY VERSION END, 0),
    /* Upgrade */
    ROW(LINE HOST CONNECTION KEY VERSION END, 426),
    ROW(LINE HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION END, 426),
    ROW(LINE HOST "Upgrade: websockets\r\n" CONNECTION KEY VERSION END, 426),
    ROW(LINE HOST "Upgrade: web socket\r\n" CONNECTION KEY VERSION END, 426),
    ROW(LINE HOST "Upgrade: WebSocket\r\n" CONNECTION KEY VERSION END, 0),
    ROW(LINE HOST "upgrade:h2c ,\twebsocket\r\n" CONNECTION KEY VERSION END, 0),
    ROW(LINE HOST "Upgrade: h2c\r\n" UPGRADE CONNECTION KEY VERSION END, 0),
    /* Connection */
    ROW(LINE HOST UPGRADE KEY VERSION END, 426),
    ROW(LINE HOST UPGRADE "Connection: keep-alive\r\n" KEY VERSION END, 426),
    ROW(LINE HOST UPGRADE "Connection: keep-alive, UPGRADE\r\n" KEY VERSION END, 0),
    ROW(LINE HOST UPGRADE "Connection: ,,upgrade,\r\n" KEY VERSION END, 0),
    ROW(LINE HOST UPGRADE "Connection: keep-alive\r\n" CONNECTION KEY VERSION END, 0),
    /* version */
    ROW(LINE HOST UPGRADE CONNECTION KEY END, 426),
    ROW(LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" END, 426),
    ROW(LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 013\r\n" END, 426),
    ROW(LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13, 8\r\n" END, 426),
    ROW(LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version:\r\n" END, 426),
    ROW(LINE HEADERS VERSION END, 400),
    /* a plain GET is told to upgrade */
    ROW(LINE HOST END, 426),
    /* key */
    ROW(LINE HOST UPGRADE CONNECTION VERSION END, 400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:\r\n" END, 400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" END,
        400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n" END,
        400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" END,
        400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n" END,
        400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25-ZQ==\r\n" END,
        400),
    ROW(LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: ++++////++++////++++AA==\r\n" END,
        0),
    ROW(LINE HEADERS KEY END, 400),
    /* other headers that may come once */
    ROW(LINE HEADERS "Origin: a\r\nOrigin: b\r\n" END, 400),
    ROW(LINE HEADERS "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n" END, 400),
    ROW(LINE HEADERS "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n" END, 400),
    ROW(LINE HEADERS "Cookie: a\r\nCookie: b\r\n" END, 0),
    /* no body */
    ROW(LINE HEADERS "Content-Length: 0\r\n" END, 0),
    ROW(LINE HEADERS "Content-Length: 1\r\n" END, 400),
    ROW(LINE HEADERS "Content-Length: x\r\n" END, 400),
    ROW(LINE HEADERS "Content-Length:\r\n" END, 400),
    ROW(LINE HEADERS "Content-Length: 0\r\nContent-Length: 0\r\n" END, 400),
    ROW(LINE HEADERS "Transfer-Encoding: chunked\r\n" END, 400),
    ROW(LINE HEADERS "transfer-encoding:\r\n" END, 400),
    /* malformed comes before "upgrade, please" */
    ROW(LINE HOST HOST END, 400),
};

/* Every prefix is MORE or has the result of the whole, which stays once it is there. The prefix has
 * a block of its own, so that a read past it is seen. */
static void expect_result_at_every_cut(const request_row_t *row, size_t index)
{
    bool decided = false;
    for (size_t bytes = 0; bytes <= row->bytes; bytes++) {
        char *copy = malloc(bytes + (bytes == 0));
        assert_non_null(copy);
        memcpy(copy, row->request, bytes);
        tf_ws_request_t request;
        int status = 0;
        tf_ws_upgrade_t got = tf_ws_upgrade_parse(copy, bytes, &request, &status);
        free(copy);
        if (got == TF_WS_UPGRADE_MORE && !decided)
            continue;
        decided = true;
        if (got != (row->http_status == 0 ? TF_WS_UPGRADE_OK : TF_WS_UPGRADE_BAD) ||
            status != row->http_status)
            fail_msg("row %zu with %zu bytes: %d, status %d", index, bytes, (int)got, status);
        if (got == TF_WS_UPGRADE_OK)
            assert_int_equal(request.head_bytes, row->bytes);
    }
    if (!decided)
        fail_msg("row %zu is never decided", index);
}

static void requests_are_answered_as_the_table_says_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(request_rows); i++)
        expect_result_at_every_cut(&request_rows[i], i);
}

static void bare_line_feed_is_refused_before_the_head_is_complete(void **state)
{
    (void)state;
    tf_ws_request_t request;
    int status = 0;
    assert_int_equal(tf_ws_upgrade_parse("GET / HTTP/1.1\n", 14, &request, &status),
                     TF_WS_UPGRADE_MORE);
    assert_int_equal(tf_ws_upgrade_parse("GET / HTTP/1.1\n", 15, &request, &status),
                     TF_WS_UPGRADE_BAD);
    assert_int_equal(status, 400);
}

/* ---- limits ---- */

static char big[REQUEST_ROOM];

/* A legal request whose head has exactly `bytes` bytes. */
static void big_request(size_t bytes)
{
    static const char before[] = LINE HEADERS "X: ";
    static const char after[] = "\r\n" END;
    size_t fill = bytes - (sizeof before - 1) - (sizeof after - 1);
    memcpy(big, before, sizeof before - 1);
    memset(big + sizeof before - 1, 'x', fill);
    memcpy(big + sizeof before - 1 + fill, after, sizeof after);
}

static void head_of_the_limit_passes_and_one_byte_more_is_431(void **state)
{
    (void)state;
    tf_ws_request_t request;
    int status = 0;
    big_request(TF_WS_HEAD_BYTES_MAX);
    assert_int_equal(tf_ws_upgrade_parse(big, TF_WS_HEAD_BYTES_MAX, &request, &status),
                     TF_WS_UPGRADE_OK);
    assert_int_equal(request.head_bytes, TF_WS_HEAD_BYTES_MAX);
    big_request(TF_WS_HEAD_BYTES_MAX + 1);
    assert_int_equal(tf_ws_upgrade_parse(big, TF_WS_HEAD_BYTES_MAX - 1, &request, &status),
                     TF_WS_UPGRADE_MORE);
    for (size_t bytes = TF_WS_HEAD_BYTES_MAX; bytes < sizeof big; bytes += 1000) {
        status = 0;
        assert_int_equal(tf_ws_upgrade_parse(big, bytes, &request, &status), TF_WS_UPGRADE_BAD);
        assert_int_equal(status, 431);
    }
}

static void frames_behind_the_head_do_not_count_as_head(void **state)
{
    (void)state;
    tf_ws_request_t request;
    int status = 0;
    big_request(1000);
    memset(big + 1000, 0, sizeof big - 1000);
    assert_int_equal(tf_ws_upgrade_parse(big, sizeof big, &request, &status), TF_WS_UPGRADE_OK);
    assert_int_equal(request.head_bytes, 1000);
}

static void more_headers_than_the_limit_are_431(void **state)
{
    (void)state;
    for (int extra = TF_WS_HEADERS_MAX - 5; extra <= TF_WS_HEADERS_MAX - 4; extra++) {
        size_t used = (size_t)snprintf(big, sizeof big, "%s", LINE HEADERS);
        for (int i = 0; i < extra; i++)
            used += (size_t)snprintf(big + used, sizeof big - used, "X-%d: a\r\n", i);
        used += (size_t)snprintf(big + used, sizeof big - used, "\r\n");
        tf_ws_request_t request;
        int status = 0;
        tf_ws_upgrade_t got = tf_ws_upgrade_parse(big, used, &request, &status);
        bool fits = extra + 5 <= TF_WS_HEADERS_MAX;
        assert_int_equal(got, fits ? TF_WS_UPGRADE_OK : TF_WS_UPGRADE_BAD);
        assert_int_equal(status, fits ? 0 : 431);
    }
}

/* ---- protocols and query ---- */

static void protocol_is_offered_when_it_is_an_element_of_the_list(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool offered;
    } rows[] = {
        {"tickfan.v1.json", true},
        {"a, tickfan.v1.json", true},
        {"a,tickfan.v1.json\t,b", true},
        {",, tickfan.v1.json ,", true},
        {"tickfan.v1.jso", false},
        {"tickfan.v1.jsonx", false},
        {"tickfan.v1.json2, xtickfan.v1.json", false},
        {"Tickfan.v1.json", false},
        {"tickfan.v1.json b", false},
        {"", false},
        {",", false},
        {NULL, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(tf_ws_protocol_offered(text_of(rows[i].list), "tickfan.v1.json"),
                         rows[i].offered);
}

static void query_value_is_that_of_the_first_parameter_of_that_name(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *value;
    } rows[] = {
        {"enc=json", "json"},
        {"a=b&enc=json&c=d", "json"},
        {"enc=json&enc=msgpack", "json"},
        {"enc=a=b", "a=b"},
        {"enc=%20+", "%20+"},
        {"enc=", ""},
        {"enc", ""},
        {"&&enc=x&", "x"},
        {"xenc=a&encx=b", NULL},
        {"ENC=json", NULL},
        {"=enc", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_text(tf_ws_query_value(text_of(rows[i].query), "enc"), rows[i].value);
}

/* ---- responses ---- */

static void accept_response_has_the_value_of_the_rfc(void **state)
{
    (void)state;
    tf_ws_request_t request = {.key = text_of("dGhlIHNhbXBsZSBub25jZQ==")};
    static const char want[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                               "Sec-WebSocket-Protocol: tickfan.v1.json\r\n"
                               "\r\n";
    char out[TF_WS_RESPONSE_BYTES_MAX];
    size_t bytes = tf_ws_accept_write(out, &request, "tickfan.v1.json");
    assert_int_equal(bytes, sizeof want - 1);
    assert_memory_equal(out, want, bytes);

    bytes = tf_ws_accept_write(out, &request, NULL);
    assert_true(bytes > 4 && bytes < sizeof want - 1);
    assert_memory_equal(out + bytes - 4, "\r\n\r\n", 4);
    assert_null(strstr(out, "Protocol:"));
}

/* Keys and values from Python's websockets 10.4 (websockets.utils.accept_key). */
static void accept_values_equal_those_of_another_implementation(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
    } rows[] = {
        {"z80ghJXVZe9m59/5+Ydk2g==", "fFW93ixQX4U3uHtoCAgNAEszJfA="},
        {"xMpCOKC5I4INzFCab3WEmw==", "H4UGM3tTwiC8GoRjnOdgnIumV20="},
        {"yB5yjZ1ML2NvBn+JzBSGLA==", "SBF3ZqBctYbviimL4p3zcsThRzA="},
        {"7MvIfktc4v4oMI/Z8qe68w==", "yutaXZmxqucI0x4hwnL6dOXQc/4="},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tf_ws_request_t request = {.key = text_of(rows[i].key)};
        char out[TF_WS_RESPONSE_BYTES_MAX];
        char want[64];
        (void)snprintf(want, sizeof want, "Sec-WebSocket-Accept: %s\r\n", rows[i].value);
        assert_true(tf_ws_accept_write(out, &request, NULL) > 0);
        assert_non_null(strstr(out, want));
    }
}

static void rejections_are_complete_responses_that_close(void **state)
{
    (void)state;
    static const int statuses[] = {400, 401, 403, 404, 405, 408, 426, 429, 431, 500, 503, 505};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        char out[TF_WS_RESPONSE_BYTES_MAX + 1];
        char line[32];
        size_t bytes = tf_ws_reject_write(out, statuses[i]);
        assert_true(bytes < TF_WS_RESPONSE_BYTES_MAX);
        out[bytes] = '\0';
        int line_bytes = snprintf(line, sizeof line, "HTTP/1.1 %d ", statuses[i]);
        assert_memory_equal(out, line, (size_t)line_bytes);
        assert_non_null(strstr(out, "\r\nConnection: close"));
        const char *length = strstr(out, "\r\nContent-Length: ");
        const char *body = strstr(out, "\r\n\r\n");
        assert_non_null(length);
        assert_non_null(body);
        assert_int_equal(strtoul(length + 18, NULL, 10), strlen(body + 4));
        bool tells_version = strstr(out, "\r\nSec-WebSocket-Version: 13\r\n") != NULL &&
                             strstr(out, "\r\nUpgrade: websocket\r\n") != NULL;
        assert_int_equal(tells_version, statuses[i] == 426);
    }
}

static void status_without_a_row_is_our_own_mistake(void **state)
{
    (void)state;
    char out[TF_WS_RESPONSE_BYTES_MAX];
    expect_assert_failure(tf_ws_reject_write(out, 200));
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_of_the_rfc_is_accepted_with_its_slices),
        cmocka_unit_test(absent_headers_are_null),
        cmocka_unit_test(requests_are_answered_as_the_table_says_at_every_cut),
        cmocka_unit_test(bare_line_feed_is_refused_before_the_head_is_complete),
        cmocka_unit_test(head_of_the_limit_passes_and_one_byte_more_is_431),
        cmocka_unit_test(frames_behind_the_head_do_not_count_as_head),
        cmocka_unit_test(more_headers_than_the_limit_are_431),
        cmocka_unit_test(protocol_is_offered_when_it_is_an_element_of_the_list),
        cmocka_unit_test(query_value_is_that_of_the_first_parameter_of_that_name),
        cmocka_unit_test(accept_response_has_the_value_of_the_rfc),
        cmocka_unit_test(accept_values_equal_those_of_another_implementation),
        cmocka_unit_test(rejections_are_complete_responses_that_close),
        cmocka_unit_test(status_without_a_row_is_our_own_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
