#include "session/session.h"

#include "base/clock.h"
#include "ws/upgrade.h"

#include <string.h>

enum {
    TOKEN =
        1000, /* one request, in the unit of tokens: fractions of a request accrue between turns */
    CLOSE_FRAME_BYTES_MAX = 2 + TF_WS_CONTROL_BYTES_MAX,
};

static const char endpoint[] = "/v1/ws";
static const char protocol_json[] = "tickfan.v1.json";

uint32_t tf_session_heartbeat_min_ms(const tf_session_limits_t *limits)
{
    bool shorter = limits->heartbeat_ns > 0 && limits->heartbeat_ns < TF_NS_PER_S;
    int64_t ms = (shorter ? limits->heartbeat_ns : TF_NS_PER_S) / TF_NS_PER_MS;
    return ms > 0 ? (uint32_t)ms : 1; /* 0 would mean: no heartbeats */
}

void tf_session_init(tf_session_t *session, int64_t mono_ns)
{
    *session = (tf_session_t){
        .state = TF_SESSION_HANDSHAKE, .pong_offset = UINT32_MAX, .state_ns = mono_ns};
}

void tf_session_fini(tf_session_t *session)
{
    tf_buf_fini(&session->out);
    tf_buf_fini(&session->head);
    tf_ws_inbox_fini(&session->inbox);
}

static void move(tf_session_t *session, tf_session_state_t to, int64_t mono_ns)
{
    TF_ASSERT(to > session->state); /* the drawing in the header: only forward */
    session->state = to;
    session->state_ns = mono_ns;
}

static void put_frame(tf_session_t *session, tf_ws_opcode_t opcode, const void *payload,
                      size_t bytes)
{
    uint8_t *to = (uint8_t *)tf_buf_reserve(&session->out, TF_WS_HEADER_BYTES_MAX + bytes);
    if (to == NULL)
        return;
    size_t header_bytes = tf_ws_header_write(to, opcode, bytes);
    if (bytes > 0)
        memcpy(to + header_bytes, payload, bytes);
    tf_buf_commit(&session->out, header_bytes + bytes);
}

void tf_session_put_text(tf_session_t *session, const char *text, size_t bytes)
{
    put_frame(session, TF_WS_TEXT, text, bytes);
}

void tf_session_close(tf_session_t *session, const tf_session_env_t *env, tf_ws_close_t reason)
{
    if (session->state >= TF_SESSION_CLOSING)
        return;
    session->close_reason = reason;
    atomic_fetch_add_explicit(&env->closes[reason], 1, memory_order_relaxed);
    if (session->state == TF_SESSION_HANDSHAKE) {
        move(session, TF_SESSION_ENDED, env->mono_ns);
        return;
    }
    uint8_t frame[CLOSE_FRAME_BYTES_MAX];
    size_t bytes = tf_ws_close_write(frame, tf_ws_close_code(reason), tf_ws_close_text(reason));
    tf_buf_put(&session->out, frame, bytes);
    move(session, TF_SESSION_CLOSING, env->mono_ns);
}

/* ---- messages in ---- */

typedef struct call {
    tf_session_t *session;
    const tf_session_env_t *env;
} call_t;

/* A token bucket: true when one more request may be made. */
static bool token_take(tf_session_t *session, const tf_session_env_t *env)
{
    const tf_session_limits_t *limits = env->limits;
    uint64_t full = (uint64_t)limits->requests_burst * TOKEN;
    int64_t elapsed_ms = (env->mono_ns - session->tokens_ns) / TF_NS_PER_MS;
    if (elapsed_ms > 0) {
        uint64_t tokens = session->tokens + (uint64_t)elapsed_ms * limits->requests_per_s;
        session->tokens = (uint32_t)(tokens < full ? tokens : full);
        session->tokens_ns += elapsed_ms * TF_NS_PER_MS;
    }
    if (session->tokens < TOKEN)
        return false;
    session->tokens -= TOKEN;
    return true;
}

/* A batch is one message but many requests: the others are paid for afterwards. */
static void token_charge(tf_session_t *session, uint32_t requests)
{
    uint32_t more = requests > 1 ? (requests - 1) * TOKEN : 0;
    session->tokens -= more < session->tokens ? more : session->tokens;
}

static bool on_message(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    const call_t *call = context;
    tf_session_t *session = call->session;
    const tf_session_env_t *env = call->env;
    if (session->state != TF_SESSION_OPEN)
        return false;
    if (opcode != TF_WS_TEXT) {
        tf_session_close(session, env, TF_WS_CLOSE_UNSUPPORTED);
        return false;
    }
    if (!token_take(session, env)) {
        tf_session_close(session, env, TF_WS_CLOSE_RATE);
        return false;
    }
    tf_buf_t reply = {0};
    tf_rpc_outcome_t outcome =
        tf_methods_handle(env->host, (const char *)data, bytes, env->wall_us, &reply);
    token_charge(session, outcome.requests);
    tf_count(env->stats, requests_total, outcome.requests);
    tf_count(env->stats, request_errors_total, outcome.errors);
    if (reply.bytes > 0 && tf_buf_ok(&reply))
        tf_session_put_text(session, reply.data, reply.bytes);
    bool ok = tf_buf_ok(&reply) && tf_buf_ok(&session->out);
    tf_buf_fini(&reply);
    if (!ok) {
        tf_count(env->stats, memory_refused_total, 1);
        tf_session_close(session, env, TF_WS_CLOSE_INTERNAL);
    }
    return session->state == TF_SESSION_OPEN && tf_session_wants_input(session, env->limits);
}

/* Answer with the payload of the newest ping only: a flood of pings costs one pong per send. */
static void answer_ping(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                        size_t bytes)
{
    if (session->pong_offset != UINT32_MAX) {
        size_t tail = session->pong_offset + session->pong_bytes;
        char *at = session->out.data + session->pong_offset;
        memmove(at, session->out.data + tail, session->out.bytes - tail);
        session->out.bytes -= session->pong_bytes;
        tf_count(env->stats, pings_coalesced_total, 1);
    }
    session->pong_offset = (uint32_t)session->out.bytes;
    put_frame(session, TF_WS_PONG, data, bytes);
    session->pong_bytes = (uint32_t)(session->out.bytes - session->pong_offset);
    if (session->pong_bytes == 0)
        session->pong_offset = UINT32_MAX; /* no memory: the peer pings again */
    tf_count(env->stats, pings_answered_total, 1);
}

/* Nothing is waited for any more: end now, or when the last bytes are sent. */
static void finish(tf_session_t *session, int64_t mono_ns)
{
    move(session, session->out.bytes == 0 ? TF_SESSION_ENDED : TF_SESSION_FINISHING, mono_ns);
}

/* RFC 6455 5.5.1: answer a close with a close that carries the same code. */
static void answer_close(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                         size_t bytes)
{
    put_frame(session, TF_WS_CLOSE, data, bytes < 2 ? 0 : 2);
    finish(session, env->mono_ns);
}

static bool on_control(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    const call_t *call = context;
    tf_session_t *session = call->session;
    switch (opcode) {
    case TF_WS_PING:
        answer_ping(session, call->env, data, bytes);
        break;
    case TF_WS_PONG:
        session->ping_ns = 0;
        session->heard_ns = call->env->mono_ns;
        break;
    default:
        answer_close(session, call->env, data, bytes);
        return false;
    }
    return tf_session_wants_input(session, call->env->limits);
}

static void feed(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                 size_t bytes, const tf_ws_inbox_sink_t *sink)
{
    tf_ws_close_t bad =
        tf_ws_inbox_feed(&session->inbox, data, bytes, env->limits->message_bytes_max, sink);
    if (bad != TF_WS_CLOSE_NONE)
        tf_session_close(session, env, bad);
}

/* ---- handshake ---- */

static void reject(tf_session_t *session, const tf_session_env_t *env, int http_status)
{
    char *to = tf_buf_reserve(&session->out, TF_WS_RESPONSE_BYTES_MAX);
    if (to != NULL)
        tf_buf_commit(&session->out, tf_ws_reject_write(to, http_status));
    tf_count(env->stats, upgrade_rejected_total, 1);
    finish(session, env->mono_ns);
}

/* Only JSON is spoken: 0, or the HTTP status of a refusal. */
static int choose_protocol(const tf_ws_request_t *request, const char **protocol)
{
    *protocol = NULL;
    if (request->path.bytes != sizeof endpoint - 1 ||
        memcmp(request->path.text, endpoint, request->path.bytes) != 0)
        return 404;
    if (tf_ws_protocol_offered(request->protocols, protocol_json)) {
        *protocol = protocol_json;
        return 0;
    }
    tf_ws_text_t encoding = tf_ws_query_value(request->query, "enc");
    bool json = encoding.text == NULL ||
                (encoding.bytes == 4 && memcmp(encoding.text, "json", encoding.bytes) == 0);
    /* Offering only protocols that are not spoken here would end in a silent mismatch. */
    return json && request->protocols.text == NULL ? 0 : 400;
}

static void open_session(tf_session_t *session, const tf_session_env_t *env,
                         const tf_ws_request_t *request, const char *protocol)
{
    char *to = tf_buf_reserve(&session->out, TF_WS_RESPONSE_BYTES_MAX);
    size_t accept_bytes = to != NULL ? tf_ws_accept_write(to, request, protocol) : 0;
    tf_buf_commit(&session->out, accept_bytes);
    tf_buf_t hello = {0};
    env->hello(env->context, &hello);
    if (tf_buf_ok(&hello))
        tf_session_put_text(session, hello.data, hello.bytes);
    bool ok = accept_bytes > 0 && tf_buf_ok(&hello) && tf_buf_ok(&session->out);
    tf_buf_fini(&hello);
    if (!ok) {
        tf_count(env->stats, memory_refused_total, 1);
        move(session, TF_SESSION_ENDED, env->mono_ns);
        return;
    }
    move(session, TF_SESSION_OPEN, env->mono_ns);
    session->heard_ns = env->mono_ns;
    session->tokens = env->limits->requests_burst * TOKEN;
    session->tokens_ns = env->mono_ns;
    tf_count(env->stats, upgrades_total, 1);
}

static void receive_frames(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                           size_t bytes)
{
    call_t call = {session, env};
    const tf_ws_inbox_sink_t sink = {on_message, on_control, &call};
    feed(session, env, data, bytes, &sink);
}

static void receive_head(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                         size_t bytes)
{
    tf_buf_put(&session->head, data, bytes);
    if (!tf_buf_ok(&session->head)) {
        tf_count(env->stats, memory_refused_total, 1);
        move(session, TF_SESSION_ENDED, env->mono_ns);
        return;
    }
    tf_ws_request_t request;
    int http_status = 0;
    const char *protocol = NULL;
    switch (tf_ws_upgrade_parse(session->head.data, session->head.bytes, &request, &http_status)) {
    case TF_WS_UPGRADE_MORE:
        return;
    case TF_WS_UPGRADE_OK:
        http_status = choose_protocol(&request, &protocol);
        break;
    case TF_WS_UPGRADE_BAD:
        break;
    }
    if (http_status != 0) {
        reject(session, env, http_status);
    } else {
        open_session(session, env, &request, protocol);
        if (session->state == TF_SESSION_OPEN && session->head.bytes > request.head_bytes)
            receive_frames(session, env, (const uint8_t *)session->head.data + request.head_bytes,
                           session->head.bytes - request.head_bytes);
    }
    tf_buf_fini(&session->head);
}

/* What the peer sent before it knew of our close is discarded; its close frame is the answer. */
static bool discard_message(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    (void)context;
    (void)opcode;
    (void)data;
    (void)bytes;
    return true;
}

static bool closing_control(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    (void)data;
    (void)bytes;
    const call_t *call = context;
    if (opcode != TF_WS_CLOSE)
        return true;
    finish(call->session, call->env->mono_ns);
    return false;
}

/* After bytes that broke the framing no later frame can be told apart: wait for FIN or the
 * time-out. */
static bool framing_lost(const tf_session_t *session)
{
    switch (session->close_reason) {
    case TF_WS_CLOSE_PROTOCOL:
    case TF_WS_CLOSE_UTF8:
    case TF_WS_CLOSE_TOO_BIG:
    case TF_WS_CLOSE_INTERNAL:
        return true;
    default:
        return false;
    }
}

static void receive_closing(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                            size_t bytes)
{
    if (framing_lost(session))
        return;
    call_t call = {session, env};
    const tf_ws_inbox_sink_t sink = {discard_message, closing_control, &call};
    if (tf_ws_inbox_feed(&session->inbox, data, bytes, env->limits->message_bytes_max, &sink) !=
        TF_WS_CLOSE_NONE)
        session->close_reason = TF_WS_CLOSE_PROTOCOL;
}

void tf_session_receive(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                        size_t bytes)
{
    switch (session->state) {
    case TF_SESSION_HANDSHAKE:
        receive_head(session, env, data, bytes);
        break;
    case TF_SESSION_OPEN:
        receive_frames(session, env, data, bytes);
        break;
    case TF_SESSION_CLOSING:
        receive_closing(session, env, data, bytes);
        break;
    case TF_SESSION_FINISHING:
    case TF_SESSION_ENDED:
        break;
    }
}

void tf_session_defer(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                      size_t bytes)
{
    switch (session->state) {
    case TF_SESSION_HANDSHAKE:
        tf_buf_put(&session->head, data, bytes);
        break;
    case TF_SESSION_OPEN:
        if (!tf_ws_inbox_keep(&session->inbox, data, bytes)) {
            /* Without a close frame: `out` may be in the send that is under way. */
            tf_count(env->stats, memory_refused_total, 1);
            move(session, TF_SESSION_ENDED, env->mono_ns);
        }
        break;
    case TF_SESSION_CLOSING:
    case TF_SESSION_FINISHING:
    case TF_SESSION_ENDED:
        tf_session_receive(session, env, data, bytes); /* no request is handled in these states */
        break;
    }
}

void tf_session_peer_ended(tf_session_t *session, int64_t mono_ns)
{
    if (session->state < TF_SESSION_FINISHING)
        move(session, TF_SESSION_ENDED, mono_ns);
}

void tf_session_sent(tf_session_t *session, size_t bytes, int64_t mono_ns)
{
    tf_buf_consume(&session->out, bytes);
    if (session->pong_offset != UINT32_MAX) {
        if (session->pong_offset < bytes)
            session->pong_offset = UINT32_MAX; /* begun: it must go out as it is */
        else
            session->pong_offset -= (uint32_t)bytes;
    }
    if (session->out.bytes > 0)
        return;
    tf_buf_fini(&session->out); /* an idle connection owns no buffer */
    if (session->state == TF_SESSION_FINISHING)
        move(session, TF_SESSION_ENDED, mono_ns);
}

bool tf_session_wants_input(const tf_session_t *session, const tf_session_limits_t *limits)
{
    return session->out.bytes <= limits->out_pause_bytes;
}

/* ---- time ---- */

static void tick_open(tf_session_t *session, const tf_session_env_t *env)
{
    const tf_session_limits_t *limits = env->limits;
    int64_t last = session->ping_ns > session->heard_ns ? session->ping_ns : session->heard_ns;
    if (env->mono_ns - session->heard_ns >= limits->pong_ns) {
        tf_session_close(session, env, TF_WS_CLOSE_NO_PONG);
    } else if (env->mono_ns - last >= limits->ping_ns) {
        put_frame(session, TF_WS_PING, NULL, 0);
        session->ping_ns = env->mono_ns;
    }
}

void tf_session_tick(tf_session_t *session, const tf_session_env_t *env)
{
    int64_t age_ns = env->mono_ns - session->state_ns;
    switch (session->state) {
    case TF_SESSION_HANDSHAKE:
        if (age_ns >= env->limits->handshake_ns) {
            tf_count(env->stats, upgrade_timeout_total, 1);
            move(session, TF_SESSION_ENDED, env->mono_ns);
        }
        break;
    case TF_SESSION_OPEN:
        tick_open(session, env);
        break;
    case TF_SESSION_CLOSING:
    case TF_SESSION_FINISHING:
        if (age_ns >= env->limits->linger_ns)
            move(session, TF_SESSION_ENDED, env->mono_ns);
        break;
    case TF_SESSION_ENDED:
        break;
    }
}
