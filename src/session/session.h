/*
 * session: one client's connection above the socket: handshake, messages in, replies and control
 * frames out, close. Owned by one fan-out thread; no I/O, no streams: bytes come in by
 * tf_session_receive(), what is to be sent collects in `out`, and the composer moves both.
 *
 *   HANDSHAKE --101--> OPEN --our close--> CLOSING --the peer's close--> FINISHING --sent--> ENDED
 *       |                |                    '---------- time-out ------------------------>  ^
 *       |                '--the peer's close, answered--------------------> FINISHING         |
 *       '--refused--------------------------------------------------------> FINISHING         |
 *       '--time-out, out of memory------------------------------------------------------------'
 *
 * `out` is bounded: while more than out_pause_bytes of it is unsent no further request is handled
 * (the rest waits in the inbox, and the composer stops reading the socket). Policy: block the
 * client.
 */
#pragma once

#include "base/buf.h"
#include "base/stats.h"
#include "session/methods.h"
#include "ws/inbox.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum tf_session_state {
    TF_SESSION_HANDSHAKE,
    TF_SESSION_OPEN,
    TF_SESSION_CLOSING, /* our close frame is the last thing in `out`; the peer has to answer it */
    TF_SESSION_FINISHING, /* the last bytes are in `out`; nothing is waited for after them */
    TF_SESSION_ENDED,     /* nothing more to send or receive: close the socket */
} tf_session_state_t;

/* Limits and time-outs, told to clients in hello. Shared by all sessions; constant while they live.
 */
typedef struct tf_session_limits {
    uint32_t message_bytes_max; /* one request message: 64 KiB */
    uint32_t subscriptions_max; /* per connection: 4096 */
    uint32_t requests_per_s;    /* control messages: 100/s ... */
    uint32_t requests_burst;    /* ... after a burst of 200 */
    uint32_t out_pause_bytes;   /* 64 KiB */
    int64_t handshake_ns;       /* 10 s for the whole handshake */
    int64_t ping_ns;            /* ping every 20 s */
    int64_t pong_ns;            /* closed after 60 s without pong */
    int64_t stall_ns;           /* closed when the socket takes no byte for 30 s */
    int64_t linger_ns;          /* how long CLOSING waits for the peer: 2 s */
    int64_t heartbeat_ns;       /* `heartbeat` unless a client sets another: 15 s; 0 = none */
} tf_session_limits_t;

/* clang-format off */
#define TF_SESSION_LIMITS_DEFAULT               \
    {                                           \
        .message_bytes_max = 64 * 1024,         \
        .subscriptions_max = 4096,              \
        .requests_per_s = 100,                  \
        .requests_burst = 200,                  \
        .out_pause_bytes = 64 * 1024,           \
        .handshake_ns = 10 * 1000000000LL,      \
        .ping_ns = 20 * 1000000000LL,           \
        .pong_ns = 60 * 1000000000LL,           \
        .stall_ns = 30 * 1000000000LL,          \
        .linger_ns = 2 * 1000000000LL,          \
        .heartbeat_ns = 15 * 1000000000LL,      \
    }
/* clang-format on */

/* The shortest interval that set_heartbeat may ask for: 1 s, or the server's own if that is
 * shorter. */
uint32_t tf_session_heartbeat_min_ms(const tf_session_limits_t *limits);

/* What a session needs from outside during a call. */
typedef struct tf_session_env {
    const tf_session_limits_t *limits;
    const tf_host_t *host;
    tf_stats_t *stats;
    _Atomic uint64_t *closes; /* counters by tf_ws_close_t, TF_WS_CLOSE_COUNT of them */
    int64_t mono_ns;
    int64_t wall_us;
    /* Append the hello notification's text. */
    void (*hello)(void *context, tf_buf_t *out);
    void *context;
} tf_session_env_t;

typedef struct tf_session {
    tf_session_state_t state;
    tf_ws_close_t close_reason; /* why we closed, or NONE */
    tf_buf_t out;               /* bytes for the socket, in order; the composer consumes them */
    tf_buf_t head;              /* HANDSHAKE only: the request so far */
    tf_ws_inbox_t inbox;
    uint32_t pong_offset; /* where in `out` an unsent pong lies; UINT32_MAX = none */
    uint32_t pong_bytes;
    uint32_t tokens;   /* requests it may make now, times 1000 */
    int64_t tokens_ns; /* when `tokens` was last brought up to date */
    int64_t state_ns;  /* when the state was entered */
    int64_t ping_ns;   /* when the last ping went out; 0 = none unanswered */
    int64_t heard_ns;  /* when a ping was last answered (or OPEN entered) */
} tf_session_t;

void tf_session_init(tf_session_t *session, int64_t mono_ns);
void tf_session_fini(tf_session_t *session);

/* Bytes from the socket; 0 bytes = go on with what waits in the inbox. */
void tf_session_receive(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                        size_t bytes);

/* Keep the bytes for a later tf_session_receive() of 0 bytes: the composer is in the middle of a
 * send, and requests must wait. */
void tf_session_defer(tf_session_t *session, const tf_session_env_t *env, const uint8_t *data,
                      size_t bytes);

/* The peer sends no more (FIN): ends at once, unless our last bytes are still on their way. */
void tf_session_peer_ended(tf_session_t *session, int64_t mono_ns);

/* Queue a close frame and stop: HANDSHAKE ends at once; later states are left as they are. */
void tf_session_close(tf_session_t *session, const tf_session_env_t *env, tf_ws_close_t reason);

/* The socket took the first `bytes` of `out`. */
void tf_session_sent(tf_session_t *session, size_t bytes, int64_t mono_ns);

/* Time passes: pings, time-outs. Call it a few times per shortest time-out. */
void tf_session_tick(tf_session_t *session, const tf_session_env_t *env);

/* May more be read from the socket? False while replies are backed up. */
bool tf_session_wants_input(const tf_session_t *session, const tf_session_limits_t *limits);

/* Append one text message as a WebSocket frame to `out`. */
void tf_session_put_text(tf_session_t *session, const char *text, size_t bytes);
