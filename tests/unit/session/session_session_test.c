#include "kit/kit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "session/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 4096, PING_REPLY_BYTES_MAX = 512 };

static const char head[] = "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static const char request_text[] = "{\"id\":1,\"method\":\"ping\"}";

typedef struct rig {
    tf_session_t session;
    tf_session_limits_t limits;
    tf_session_env_t env;
    tf_host_t host;
    tf_stats_t *stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    uint64_t memory;
} rig_t;

static void hello(void *context, tf_buf_t *out)
{
    (void)context;
    tf_buf_lit(out, "{\"method\":\"hello\"}");
}

static int64_t us_now(void *context)
{
    (void)context;
    return 0;
}

static void rig_open(rig_t *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->memory = tf_mem_in_use_bytes();
    rig->stats = aligned_alloc(TF_CACHE_LINE_BYTES, sizeof *rig->stats);
    assert_non_null(rig->stats);
    memset(rig->stats, 0, sizeof *rig->stats);
    rig->limits = (tf_session_limits_t)TF_SESSION_LIMITS_DEFAULT;
    rig->host.us_now = us_now;
    rig->env = (tf_session_env_t){.limits = &rig->limits,
                                  .host = &rig->host,
                                  .stats = rig->stats,
                                  .closes = rig->closes,
                                  .mono_ns = 1000 * TF_NS_PER_S,
                                  .hello = hello};
    tf_session_init(&rig->session, rig->env.mono_ns);
}

static void rig_close(rig_t *rig)
{
    tf_session_fini(&rig->session);
    assert_int_equal(tf_mem_in_use_bytes(), rig->memory);
    free(rig->stats);
}

static void receive(rig_t *rig, const void *data, size_t bytes)
{
    tf_session_receive(&rig->session, &rig->env, data, bytes);
}

/* The socket took everything. */
static void sent_all(rig_t *rig)
{
    tf_session_sent(&rig->session, rig->session.out.bytes, rig->env.mono_ns);
}

static void rig_open_session(rig_t *rig)
{
    rig_open(rig);
    receive(rig, head, sizeof head - 1);
    assert_int_equal(rig->session.state, TF_SESSION_OPEN);
    sent_all(rig);
}

static void later(rig_t *rig, int64_t ns)
{
    rig->env.mono_ns += ns;
}

static void tick_after(rig_t *rig, int64_t ns)
{
    later(rig, ns);
    tf_session_tick(&rig->session, &rig->env);
}

static bool out_has(const rig_t *rig, const char *text)
{
    const tf_buf_t *out = &rig->session.out;
    return out->bytes > 0 && memmem(out->data, out->bytes, text, strlen(text)) != NULL;
}

static size_t out_count(const rig_t *rig, const char *text)
{
    const char *at = rig->session.out.data;
    const char *end = at + rig->session.out.bytes;
    size_t count = 0;
    while (at < end && (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        count++;
        at += strlen(text);
    }
    return count;
}

/* A client's frame; returns its bytes. The mask is zero: the payload travels as it is. */
static size_t frame(uint8_t *out, uint8_t opcode, const void *payload, size_t bytes)
{
    size_t at = 0;
    out[at++] = (uint8_t)(0x80 | opcode);
    if (bytes < 126) {
        out[at++] = (uint8_t)(0x80 | bytes);
    } else {
        out[at++] = 0x80 | 126;
        out[at++] = (uint8_t)(bytes >> 8);
        out[at++] = (uint8_t)bytes;
    }
    memset(out + at, 0, 4);
    at += 4;
    memcpy(out + at, payload, bytes);
    return at + bytes;
}

static void receive_frame(rig_t *rig, uint8_t opcode, const void *payload, size_t bytes)
{
    uint8_t data[REQUEST_BYTES_MAX];
    receive(rig, data, frame(data, opcode, payload, bytes));
}

static void receive_request(rig_t *rig)
{
    receive_frame(rig, 1, request_text, sizeof request_text - 1);
}

/* The close frame that ends `out` has this code. */
static void expect_closing(const rig_t *rig, tf_ws_close_t reason)
{
    uint8_t wanted[128];
    size_t bytes = tf_ws_close_write(wanted, tf_ws_close_code(reason), tf_ws_close_text(reason));
    const tf_buf_t *out = &rig->session.out;
    assert_int_equal(rig->session.state, TF_SESSION_CLOSING);
    assert_true(out->bytes >= bytes);
    assert_memory_equal(out->data + out->bytes - bytes, wanted, bytes);
    assert_int_equal(atomic_load(&rig->closes[reason]), 1);
    assert_int_equal(rig->session.close_reason, reason);
}

/* ---- handshake ---- */

static void a_handshake_may_come_in_any_two_pieces(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < sizeof head - 1; cut++) {
        rig_t rig;
        rig_open(&rig);
        receive(&rig, head, cut);
        assert_int_equal(rig.session.state, TF_SESSION_HANDSHAKE);
        assert_int_equal(rig.session.out.bytes, 0);
        receive(&rig, head + cut, sizeof head - 1 - cut);
        assert_int_equal(rig.session.state, TF_SESSION_OPEN);
        assert_true(out_has(&rig, "HTTP/1.1 101 "));
        assert_true(out_has(&rig, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")); /* RFC 6455 1.3 */
        assert_true(out_has(&rig, "\r\n\r\n\x81\x12{\"method\":\"hello\"}"));
        rig_close(&rig);
    }
}

static void frames_may_follow_the_handshake_at_once(void **state)
{
    (void)state;
    uint8_t data[sizeof head + REQUEST_BYTES_MAX];
    memcpy(data, head, sizeof head - 1);
    size_t bytes = sizeof head - 1;
    bytes += frame(data + bytes, 1, request_text, sizeof request_text - 1);
    for (size_t cut = sizeof head - 10; cut <= bytes; cut++) {
        rig_t rig;
        rig_open(&rig);
        receive(&rig, data, cut);
        receive(&rig, data + cut, bytes - cut);
        assert_int_equal(out_count(&rig, "\"pong\""), 1);
        assert_int_equal(rig.session.head.room, 0);
        rig_close(&rig);
    }
}

static void handshake_answer(const char *path, const char *header, const char *answer)
{
    char text[1024];
    rig_t rig;
    rig_open(&rig);
    int bytes = snprintf(text, sizeof text,
                         "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n%s"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                         path, header);
    receive(&rig, text, (size_t)bytes);
    if (!out_has(&rig, answer))
        fail_msg("%s %s: %.*s", path, header, (int)rig.session.out.bytes, rig.session.out.data);
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0 && answer[0] == 'H') {
        assert_int_equal(rig.session.state, TF_SESSION_FINISHING);
        sent_all(&rig);
        assert_int_equal(rig.session.state, TF_SESSION_ENDED);
        assert_int_equal(tf_stats_get(rig.stats, TF_STAT_upgrade_rejected_total), 1);
    }
    rig_close(&rig);
}

static void only_json_on_one_path_is_offered(void **state)
{
    (void)state;
    static const char offer[] = "Sec-WebSocket-Protocol: ";
    char header[128];
    handshake_answer("/v1/ws", "", "HTTP/1.1 101 ");
    handshake_answer("/v1/ws?enc=json", "", "HTTP/1.1 101 ");
    handshake_answer("/v1/ws?enc=msgpack", "", "HTTP/1.1 400 ");
    handshake_answer("/v1/ws?enc=", "", "HTTP/1.1 400 ");
    handshake_answer("/v1/ws/", "", "HTTP/1.1 404 ");
    handshake_answer("/", "", "HTTP/1.1 404 ");
    (void)snprintf(header, sizeof header, "%stickfan.v1.json\r\n", offer);
    handshake_answer("/v1/ws", header, "Sec-WebSocket-Protocol: tickfan.v1.json\r\n");
    handshake_answer("/v1/ws?enc=msgpack", header, "HTTP/1.1 101 "); /* the header decides */
    (void)snprintf(header, sizeof header, "%stickfan.v1.msgpack, tickfan.v1.json\r\n", offer);
    handshake_answer("/v1/ws", header, "Sec-WebSocket-Protocol: tickfan.v1.json\r\n");
    (void)snprintf(header, sizeof header, "%stickfan.v1.msgpack\r\n", offer);
    handshake_answer("/v1/ws", header, "HTTP/1.1 400 ");
}

static void a_slow_handshake_ends(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    receive(&rig, head, 20);
    tick_after(&rig, rig.limits.handshake_ns - 1);
    assert_int_equal(rig.session.state, TF_SESSION_HANDSHAKE);
    tick_after(&rig, 1);
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    assert_int_equal(tf_stats_get(rig.stats, TF_STAT_upgrade_timeout_total), 1);
    rig_close(&rig);
}

static void a_handshake_is_never_half_done_without_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 8; nth++) {
        rig_t rig;
        rig_open(&rig);
        tf_mem_fail_at(nth);
        receive(&rig, head, sizeof head - 1);
        tf_mem_fail_at(0);
        if (rig.session.state == TF_SESSION_OPEN)
            assert_true(out_has(&rig, "hello"));
        else
            assert_int_equal(rig.session.state, TF_SESSION_ENDED);
        rig_close(&rig);
    }
}

/* ---- requests ---- */

static void requests_are_answered_however_they_are_cut(void **state)
{
    (void)state;
    uint8_t data[3 * REQUEST_BYTES_MAX];
    size_t bytes = 0;
    for (int i = 0; i < 3; i++)
        bytes += frame(data + bytes, 1, request_text, sizeof request_text - 1);
    for (size_t cut = 0; cut <= bytes; cut++) {
        rig_t rig;
        rig_open_session(&rig);
        receive(&rig, data, cut);
        receive(&rig, data + cut, bytes - cut);
        assert_int_equal(out_count(&rig, "\"pong\""), 3);
        rig_close(&rig);
    }
}

static void deferred_bytes_are_handled_later_and_none_is_lost(void **state)
{
    (void)state;
    uint8_t data[3 * REQUEST_BYTES_MAX];
    size_t bytes = 0;
    for (int i = 0; i < 3; i++)
        bytes += frame(data + bytes, 1, request_text, sizeof request_text - 1);
    for (size_t cut = 0; cut <= bytes; cut++) {
        rig_t rig;
        rig_open_session(&rig);
        receive(&rig, data, cut);
        size_t answered = out_count(&rig, "\"pong\"");
        size_t out_bytes = rig.session.out.bytes;
        tf_session_defer(&rig.session, &rig.env, data + cut, bytes - cut);
        assert_int_equal(rig.session.out.bytes, out_bytes); /* a send may be under way */
        receive(&rig, NULL, 0);
        assert_int_equal(out_count(&rig, "\"pong\""), 3);
        assert_true(answered <= 3);
        rig_close(&rig);
    }
}

/* `out` may be in a send that is under way: it must stay where it is. */
static void deferring_without_memory_ends_and_leaves_out_alone(void **state)
{
    (void)state;
    rig_t rig;
    uint8_t data[REQUEST_BYTES_MAX];
    size_t bytes = frame(data, 1, request_text, sizeof request_text - 1);
    rig_open_session(&rig);
    receive_request(&rig);
    tf_buf_t out = rig.session.out;
    tf_mem_fail_at(1);
    tf_session_defer(&rig.session, &rig.env, data, bytes);
    tf_mem_fail_at(0);
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    assert_memory_equal(&rig.session.out, &out, sizeof out);
    rig_close(&rig);
}

static void a_deferred_handshake_goes_on(void **state)
{
    (void)state;
    rig_t rig;
    rig_open(&rig);
    tf_session_defer(&rig.session, &rig.env, (const uint8_t *)head, sizeof head - 1);
    assert_int_equal(rig.session.state, TF_SESSION_HANDSHAKE);
    receive(&rig, NULL, 0);
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    rig_close(&rig);
}

/* No request is handled while more than the limit is unsent; afterwards all are, in order. */
static void backed_up_replies_pause_the_requests(void **state)
{
    (void)state;
    enum { REQUESTS = 40 };
    rig_t rig;
    rig_open_session(&rig);
    rig.limits.out_pause_bytes = 300;
    uint8_t data[REQUESTS * 64];
    size_t bytes = 0;
    for (int i = 0; i < REQUESTS; i++)
        bytes += frame(data + bytes, 1, request_text, sizeof request_text - 1);
    receive(&rig, data, bytes);
    size_t answered = 0;
    for (int turn = 0; turn < REQUESTS && answered < REQUESTS; turn++) {
        assert_true(rig.session.out.bytes <= 300 + PING_REPLY_BYTES_MAX);
        size_t now = out_count(&rig, "\"pong\"");
        assert_true(now > 0 && answered + now <= REQUESTS);
        assert_true(answered + now == REQUESTS ||
                    !tf_session_wants_input(&rig.session, &rig.limits));
        answered += now;
        sent_all(&rig);
        assert_true(tf_session_wants_input(&rig.session, &rig.limits));
        receive(&rig, NULL, 0);
    }
    assert_int_equal(answered, REQUESTS);
    assert_int_equal(rig.session.out.room, 0); /* an idle session owns no buffer */
    rig_close(&rig);
}

static void a_burst_of_requests_is_free_and_then_the_rate_counts(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    rig.limits.requests_burst = 200;
    for (int i = 0; i < 200; i++)
        receive_request(&rig);
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    sent_all(&rig);
    for (int i = 0; i < 500; i++) { /* 100 a second: one every 10 ms */
        later(&rig, 10 * TF_NS_PER_MS);
        receive_request(&rig);
    }
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    later(&rig, 9 * TF_NS_PER_MS);
    receive_request(&rig);
    expect_closing(&rig, TF_WS_CLOSE_RATE);
    rig_close(&rig);
}

static void each_member_of_a_batch_is_a_request(void **state)
{
    (void)state;
    static const char batch[] = "[{\"id\":1,\"method\":\"ping\"},{\"id\":2,\"method\":\"ping\"},"
                                "{\"id\":3,\"method\":\"ping\"}]";
    rig_t rig;
    rig_open_session(&rig);
    rig.limits.requests_burst = 4;
    rig.session.tokens = 0;
    later(&rig, TF_NS_PER_S);
    receive_frame(&rig, 1, batch, sizeof batch - 1);
    receive_request(&rig);
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    receive_request(&rig);
    expect_closing(&rig, TF_WS_CLOSE_RATE);
    rig_close(&rig);
}

static void unused_requests_do_not_pile_up_beyond_the_burst(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    rig.limits.requests_burst = 5;
    later(&rig, 1000000 * TF_NS_PER_S);
    rig.session.heard_ns = rig.env.mono_ns;
    for (int i = 0; i < 5; i++)
        receive_request(&rig);
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    receive_request(&rig);
    expect_closing(&rig, TF_WS_CLOSE_RATE);
    rig_close(&rig);
}

/* ---- pings ---- */

static void a_flood_of_pings_costs_one_pong(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    for (int i = 0; i < 100; i++) {
        char text[16];
        receive_frame(&rig, 9, text, (size_t)snprintf(text, sizeof text, "<%d>", i));
        if (i % 10 == 0)
            receive_request(&rig);
    }
    assert_int_equal(out_count(&rig, "\"pong\""), 10);
    assert_int_equal(out_count(&rig, "<"), 1);
    assert_true(out_has(&rig, "\x8a\x04<99>"));
    assert_int_equal(tf_stats_get(rig.stats, TF_STAT_pings_coalesced_total), 99);
    rig_close(&rig);
}

/* A pong that the socket has begun to take goes out as it is; the next ping gets its own. */
static void a_pong_that_was_begun_is_not_touched(void **state)
{
    (void)state;
    static const char before[] = "\x8a\x03one";
    for (size_t sent = 0; sent <= sizeof before - 1; sent++) {
        rig_t rig;
        rig_open_session(&rig);
        receive_frame(&rig, 9, "one", 3);
        if (sent > 0)
            tf_session_sent(&rig.session, sent, rig.env.mono_ns);
        receive_frame(&rig, 9, "three", 5);
        bool begun = sent > 0 && sent < sizeof before - 1;
        size_t rest = begun ? sizeof before - 1 - sent : 0;
        assert_int_equal(rig.session.out.bytes, rest + 7);
        if (rest > 0)
            assert_memory_equal(rig.session.out.data, before + sent, rest);
        assert_memory_equal(rig.session.out.data + rest, "\x8a\x05three", 7);
        rig_close(&rig);
    }
}

static void a_reply_before_the_pong_is_sent_and_the_pong_moves_with_it(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    receive_request(&rig);
    size_t reply_bytes = rig.session.out.bytes;
    receive_frame(&rig, 9, "one", 3);
    tf_session_sent(&rig.session, reply_bytes - 1, rig.env.mono_ns);
    receive_frame(&rig, 9, "two", 3);
    assert_int_equal(rig.session.out.bytes, 1 + 5);
    assert_memory_equal(rig.session.out.data + 1, "\x8a\x03two", 5);
    rig_close(&rig);
}

static void silence_is_pinged_and_then_closed(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    tick_after(&rig, rig.limits.ping_ns - 1);
    assert_int_equal(rig.session.out.bytes, 0);
    tick_after(&rig, 1);
    assert_int_equal(rig.session.out.bytes, 2);
    assert_memory_equal(rig.session.out.data, "\x89\x00", 2);
    sent_all(&rig);
    tick_after(&rig, 1);
    assert_int_equal(rig.session.out.bytes, 0); /* one at a time */
    tick_after(&rig, rig.limits.pong_ns - rig.limits.ping_ns - 2);
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    tick_after(&rig, 1);
    expect_closing(&rig, TF_WS_CLOSE_NO_PONG);
    rig_close(&rig);
}

static void a_pong_keeps_the_session_open(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    for (int i = 0; i < 10; i++) {
        tick_after(&rig, rig.limits.ping_ns);
        assert_int_equal(rig.session.out.bytes, 2);
        sent_all(&rig);
        receive_frame(&rig, 10, "", 0);
    }
    assert_int_equal(rig.session.state, TF_SESSION_OPEN);
    rig_close(&rig);
}

/* ---- closing ---- */

static void what_is_wrong_is_said_by_the_close_code(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        tf_ws_close_t reason;
    } rows[] = {
        {"\x81\x02hi", 4, TF_WS_CLOSE_PROTOCOL},                           /* no mask */
        {"\xc1\x80\0\0\0\0", 6, TF_WS_CLOSE_PROTOCOL},                     /* a reserved bit */
        {"\x81\x81\0\0\0\0\xff", 7, TF_WS_CLOSE_UTF8},                     /* not text */
        {"\x82\x81\0\0\0\0x", 7, TF_WS_CLOSE_UNSUPPORTED},                 /* binary */
        {"\x81\xff\0\0\0\0\0\x01\0\x01\0\0\0\0", 14, TF_WS_CLOSE_TOO_BIG}, /* 65,537 bytes */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_t rig;
        rig_open_session(&rig);
        receive(&rig, rows[i].bytes, rows[i].count);
        expect_closing(&rig, rows[i].reason);
        receive_request(&rig); /* is not answered any more */
        assert_false(out_has(&rig, "\"pong\""));
        rig_close(&rig);
    }
}

static void the_peers_close_is_answered_with_its_code(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    receive_request(&rig);
    receive_frame(&rig, 8, "\x03\xe9going", 7);
    assert_int_equal(rig.session.state, TF_SESSION_FINISHING);
    const tf_buf_t *out = &rig.session.out;
    assert_memory_equal(out->data + out->bytes - 4, "\x88\x02\x03\xe9", 4);
    tf_session_sent(&rig.session, out->bytes - 1, rig.env.mono_ns);
    assert_int_equal(rig.session.state, TF_SESSION_FINISHING);
    sent_all(&rig);
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    rig_close(&rig);
}

static void our_close_waits_for_the_peers(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    tf_session_close(&rig.session, &rig.env, TF_WS_CLOSE_GOING_AWAY);
    expect_closing(&rig, TF_WS_CLOSE_GOING_AWAY);
    tf_session_close(&rig.session, &rig.env, TF_WS_CLOSE_TOO_SLOW); /* the first reason stands */
    expect_closing(&rig, TF_WS_CLOSE_GOING_AWAY);
    sent_all(&rig);
    assert_int_equal(rig.session.state, TF_SESSION_CLOSING);
    receive_request(&rig);
    assert_int_equal(rig.session.out.bytes, 0);
    receive_frame(&rig, 8, "\x03\xe9", 2);
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    rig_close(&rig);
}

static void a_peer_that_never_answers_is_not_waited_for(void **state)
{
    (void)state;
    for (int finishing = 0; finishing < 2; finishing++) {
        rig_t rig;
        rig_open_session(&rig);
        if (finishing)
            receive_frame(&rig, 8, "", 0);
        else
            tf_session_close(&rig.session, &rig.env, TF_WS_CLOSE_GOING_AWAY);
        tick_after(&rig, rig.limits.linger_ns - 1);
        assert_int_not_equal(rig.session.state, TF_SESSION_ENDED);
        tick_after(&rig, 1);
        assert_int_equal(rig.session.state, TF_SESSION_ENDED);
        rig_close(&rig);
    }
}

static void a_peer_that_ended_is_only_owed_the_last_bytes(void **state)
{
    (void)state;
    rig_t rig;
    rig_open_session(&rig);
    receive_frame(&rig, 8, "", 0);
    tf_session_peer_ended(&rig.session, rig.env.mono_ns);
    assert_int_equal(rig.session.state, TF_SESSION_FINISHING);
    sent_all(&rig);
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    rig_close(&rig);
    rig_open_session(&rig);
    receive_request(&rig);
    tf_session_peer_ended(&rig.session, rig.env.mono_ns);
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    rig_close(&rig);
    rig_open(&rig);
    tf_session_close(&rig.session, &rig.env, TF_WS_CLOSE_GOING_AWAY); /* no frame before the 101 */
    assert_int_equal(rig.session.state, TF_SESSION_ENDED);
    assert_int_equal(rig.session.out.bytes, 0);
    rig_close(&rig);
}

static void a_request_without_memory_closes_or_is_answered(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 40; nth++) {
        rig_t rig;
        rig_open_session(&rig);
        tf_mem_fail_at(nth);
        receive_request(&rig);
        tf_mem_fail_at(0);
        if (rig.session.state == TF_SESSION_OPEN)
            assert_true(out_has(&rig, "\"pong\"") || out_has(&rig, "\"error\""));
        else
            assert_int_equal(rig.session.close_reason, TF_WS_CLOSE_INTERNAL);
        rig_close(&rig);
    }
}

static int rpc_init(void **state)
{
    (void)state;
    tf_rpc_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_may_come_in_any_two_pieces),
        cmocka_unit_test(frames_may_follow_the_handshake_at_once),
        cmocka_unit_test(only_json_on_one_path_is_offered),
        cmocka_unit_test(a_slow_handshake_ends),
        cmocka_unit_test(a_handshake_is_never_half_done_without_memory),
        cmocka_unit_test(requests_are_answered_however_they_are_cut),
        cmocka_unit_test(deferred_bytes_are_handled_later_and_none_is_lost),
        cmocka_unit_test(deferring_without_memory_ends_and_leaves_out_alone),
        cmocka_unit_test(a_deferred_handshake_goes_on),
        cmocka_unit_test(backed_up_replies_pause_the_requests),
        cmocka_unit_test(a_burst_of_requests_is_free_and_then_the_rate_counts),
        cmocka_unit_test(each_member_of_a_batch_is_a_request),
        cmocka_unit_test(unused_requests_do_not_pile_up_beyond_the_burst),
        cmocka_unit_test(a_flood_of_pings_costs_one_pong),
        cmocka_unit_test(a_pong_that_was_begun_is_not_touched),
        cmocka_unit_test(a_reply_before_the_pong_is_sent_and_the_pong_moves_with_it),
        cmocka_unit_test(silence_is_pinged_and_then_closed),
        cmocka_unit_test(a_pong_keeps_the_session_open),
        cmocka_unit_test(what_is_wrong_is_said_by_the_close_code),
        cmocka_unit_test(the_peers_close_is_answered_with_its_code),
        cmocka_unit_test(our_close_waits_for_the_peers),
        cmocka_unit_test(a_peer_that_never_answers_is_not_waited_for),
        cmocka_unit_test(a_peer_that_ended_is_only_owed_the_last_bytes),
        cmocka_unit_test(a_request_without_memory_closes_or_is_answered),
    };
    return cmocka_run_group_tests(tests, rpc_init, NULL);
}
