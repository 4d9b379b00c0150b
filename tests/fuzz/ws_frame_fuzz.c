/*
 * ws_frame_fuzz: an inbox fed with arbitrary bytes, once in one piece and once cut at arbitrary
 * points with handlers that stop at will. Both must end alike and deliver the same; control
 * payloads are at most 125 bytes; text is valid UTF-8; nothing is kept when nothing is incomplete,
 * and nothing leaks.
 *
 * Input: 2 bytes for the message limit, 4 for the cuts, the rest is what the client sends.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "ws/inbox.h"

#include <string.h>

enum {
    PREFIX_BYTES = 6,
    INPUT_MAX = 1 << 16,
    PIECE_MAX = 64,
    EVENT_HEADER_BYTES = 5, /* opcode and length */
    /* Enough: an event is shorter than its frame, whose header has at least 6 bytes. */
    LOG_ROOM = INPUT_MAX,
};

typedef struct event_log {
    tf_rng_t *stops; /* NULL = never stop */
    size_t message_max;
    bool stopped;
    size_t bytes;
    uint8_t data[LOG_ROOM];
} event_log_t;

static event_log_t whole_log;
static event_log_t cut_log;

static void log_put(event_log_t *log, const void *data, size_t bytes)
{
    TF_ASSERT(bytes <= sizeof log->data - log->bytes);
    memcpy(log->data + log->bytes, data, bytes);
    log->bytes += bytes;
}

static bool log_event(event_log_t *log, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    uint8_t header[EVENT_HEADER_BYTES] = {(uint8_t)opcode};
    uint32_t length = (uint32_t)bytes;
    memcpy(header + 1, &length, sizeof length);
    log_put(log, header, sizeof header);
    log_put(log, data, bytes);
    log->stopped = log->stops != NULL && tf_rng_below(log->stops, 4) == 0;
    return !log->stopped;
}

static bool on_message(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    event_log_t *log = context;
    TF_ASSERT(opcode == TF_WS_TEXT || opcode == TF_WS_BINARY);
    TF_ASSERT(bytes <= log->message_max);
    TF_ASSERT(opcode != TF_WS_TEXT || tf_utf8_valid(data, bytes));
    return log_event(log, opcode, data, bytes);
}

static bool on_control(void *context, tf_ws_opcode_t opcode, const uint8_t *data, size_t bytes)
{
    TF_ASSERT(opcode == TF_WS_CLOSE || opcode == TF_WS_PING || opcode == TF_WS_PONG);
    TF_ASSERT(bytes <= TF_WS_CONTROL_BYTES_MAX);
    if (opcode == TF_WS_CLOSE && bytes > 0) {
        TF_ASSERT(bytes >= 2);
        TF_ASSERT(tf_ws_close_code_valid((uint16_t)(data[0] << 8 | data[1])));
        TF_ASSERT(tf_utf8_valid(data + 2, bytes - 2));
    }
    return log_event(context, opcode, data, bytes);
}

/* One feed, and further ones of nothing while the handlers stop. */
static tf_ws_close_t feed(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes, event_log_t *log)
{
    const tf_ws_inbox_sink_t sink = {on_message, on_control, log};
    tf_ws_close_t why = tf_ws_inbox_feed(inbox, data, bytes, log->message_max, &sink);
    while (why == TF_WS_CLOSE_NONE && log->stopped) {
        log->stopped = false;
        why = tf_ws_inbox_feed(inbox, NULL, 0, log->message_max, &sink);
    }
    return why;
}

static tf_ws_close_t feed_cut(tf_ws_inbox_t *inbox, const uint8_t *data, size_t bytes,
                              event_log_t *log)
{
    tf_ws_close_t why = TF_WS_CLOSE_NONE;
    for (size_t at = 0; at < bytes && why == TF_WS_CLOSE_NONE;) {
        size_t piece = tf_rng_below(log->stops, PIECE_MAX);
        if (piece > bytes - at)
            piece = bytes - at;
        why = feed(inbox, data + at, piece, log);
        at += piece;
    }
    return why;
}

static void log_begin(event_log_t *log, tf_rng_t *stops, size_t message_max)
{
    log->stops = stops;
    log->message_max = message_max;
    log->stopped = false;
    log->bytes = 0;
}

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name for it */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < PREFIX_BYTES || bytes > INPUT_MAX)
        return 0;
    size_t message_max = (size_t)(data[0] << 8 | data[1]);
    uint32_t seed;
    memcpy(&seed, data + 2, sizeof seed);
    tf_rng_t rng = {seed};
    data += PREFIX_BYTES;
    bytes -= PREFIX_BYTES;

    uint64_t before = tf_mem_in_use_bytes();
    tf_ws_inbox_t whole = {0};
    tf_ws_inbox_t cut = {0};
    log_begin(&whole_log, NULL, message_max);
    log_begin(&cut_log, &rng, message_max);
    tf_ws_close_t whole_why = feed(&whole, data, bytes, &whole_log);
    tf_ws_close_t cut_why = feed_cut(&cut, data, bytes, &cut_log);

    TF_ASSERT(whole_why == cut_why);
    TF_ASSERT(whole_log.bytes == cut_log.bytes);
    TF_ASSERT(memcmp(whole_log.data, cut_log.data, whole_log.bytes) == 0);
    if (whole_why == TF_WS_CLOSE_NONE) {
        TF_ASSERT(tf_ws_inbox_pending_bytes(&whole) == tf_ws_inbox_pending_bytes(&cut));
        TF_ASSERT((whole.pending == NULL) == (whole.pending_bytes == 0));
        TF_ASSERT((whole.message == NULL) == (whole.message_bytes == 0));
    }
    tf_ws_inbox_fini(&whole);
    tf_ws_inbox_fini(&cut);
    TF_ASSERT(tf_mem_in_use_bytes() == before);
    return 0;
}
