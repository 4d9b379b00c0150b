#include "kit/kit.h"

#include "base/mem.h"
#include "unit/ws/ws_client.h"
#include "unit/ws/ws_vectors.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MESSAGE_MAX = 65536,
    PIECES_MAX = 6,
    TEXT_ROOM = 1024,
    MASK = 0x37fa213d,
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define PIECE(first, literal)                                                                      \
    {                                                                                              \
        (first), (literal), sizeof(literal) - 1                                                    \
    }
#define WHOLE(opcode, literal) PIECE(FIN | (opcode), literal)

static wire_t wire;
static event_log_t events;
static uint8_t pattern[MESSAGE_MAX + 1];

static int setup(void **state)
{
    (void)state;
    wire.bytes = 0;
    log_reset(&events);
    memset(pattern, 'a', sizeof pattern);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tf_mem_fail_at(0);
    return 0;
}

static void assert_idle(const tf_ws_inbox_t *inbox)
{
    assert_null(inbox->pending);
    assert_null(inbox->message);
    assert_int_equal(inbox->pending_room, 0);
    assert_int_equal(inbox->message_room, 0);
    assert_int_equal(tf_ws_inbox_pending_bytes(inbox), 0);
}

/* ---- conversations ---- */

typedef struct piece {
    unsigned first;
    const char *payload;
    size_t bytes;
} piece_t;

typedef struct conversation {
    piece_t pieces[PIECES_MAX]; /* a piece without payload text ends them */
    const char *events;         /* "opcode:payload " each, opcode in hex */
    tf_ws_close_t why;
} conversation_t;

static const conversation_t conversations[] = {
    /* RFC 6455 5.7 */
    {{WHOLE(1, "Hello")}, "1:Hello ", TF_WS_CLOSE_NONE},
    {{PIECE(1, "Hel"), WHOLE(0, "lo")}, "1:Hello ", TF_WS_CLOSE_NONE},
    {{WHOLE(9, "Hello"), WHOLE(10, "Hello")}, "9:Hello a:Hello ", TF_WS_CLOSE_NONE},
    {{WHOLE(2, "\xff\xfe")}, "2:\xff\xfe ", TF_WS_CLOSE_NONE},
    /* empty payloads and empty fragments */
    {{WHOLE(1, ""), WHOLE(2, ""), WHOLE(9, "")}, "1: 2: 9: ", TF_WS_CLOSE_NONE},
    {{PIECE(1, ""), PIECE(0, ""), WHOLE(0, "")}, "1: ", TF_WS_CLOSE_NONE},
    {{PIECE(1, ""), PIECE(0, "x"), WHOLE(0, "")}, "1:x ", TF_WS_CLOSE_NONE},
    {{PIECE(2, ""), PIECE(0, ""), WHOLE(0, "x")}, "2:x ", TF_WS_CLOSE_NONE},
    /* control frames between fragments come first */
    {{PIECE(1, "a"), WHOLE(9, "p"), PIECE(0, "b"), WHOLE(10, "q"), WHOLE(0, "c")},
     "9:p a:q 1:abc ",
     TF_WS_CLOSE_NONE},
    {{PIECE(1, "a"), WHOLE(8, "\x03\xe8"), WHOLE(0, "c")}, "8:\x03\xe8 1:ac ", TF_WS_CLOSE_NONE},
    /* one message after the other */
    {{PIECE(1, "a"), WHOLE(0, "b"), WHOLE(1, "c"), PIECE(2, "d"), WHOLE(0, "e")},
     "1:ab 1:c 2:de ",
     TF_WS_CLOSE_NONE},
    /* fragments out of order: RFC 6455 5.4 */
    {{WHOLE(0, "x")}, "", TF_WS_CLOSE_PROTOCOL},
    {{PIECE(0, "x"), WHOLE(0, "y")}, "", TF_WS_CLOSE_PROTOCOL},
    {{PIECE(1, "a"), WHOLE(0, "b"), WHOLE(0, "c")}, "1:ab ", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(1, "a"), WHOLE(0, "b")}, "1:a ", TF_WS_CLOSE_PROTOCOL},
    {{PIECE(1, "a"), WHOLE(1, "b")}, "", TF_WS_CLOSE_PROTOCOL},
    {{PIECE(1, "a"), PIECE(2, "b")}, "", TF_WS_CLOSE_PROTOCOL},
    {{PIECE(1, "a"), WHOLE(9, "p"), WHOLE(2, "b")}, "9:p ", TF_WS_CLOSE_PROTOCOL},
    /* illegal headers behind legal ones */
    {{WHOLE(1, "a"), WHOLE(3, "b")}, "1:a ", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(1, "a"), PIECE(9, "b")}, "1:a ", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(1, "a"), WHOLE(0x41, "b")}, "1:a ", TF_WS_CLOSE_PROTOCOL},
    /* UTF-8, also over fragments */
    {{WHOLE(1, "\xe2\x82\xac")}, "1:\xe2\x82\xac ", TF_WS_CLOSE_NONE},
    {{PIECE(1, "\xe2"), PIECE(0, "\x82"), WHOLE(0, "\xac")}, "1:\xe2\x82\xac ", TF_WS_CLOSE_NONE},
    {{PIECE(1, "\xf0\x9f"), WHOLE(9, "\xff"), WHOLE(0, "\x98\x80")},
     "9:\xff 1:\xf0\x9f\x98\x80 ",
     TF_WS_CLOSE_NONE},
    {{WHOLE(1, "\xe2\x82")}, "", TF_WS_CLOSE_UTF8},
    {{PIECE(1, "\xe2\x82"), WHOLE(0, "")}, "", TF_WS_CLOSE_UTF8},
    {{PIECE(1, "\xe2"), WHOLE(0, "x")}, "", TF_WS_CLOSE_UTF8},
    {{WHOLE(1, "\xc0\xaf")}, "", TF_WS_CLOSE_UTF8},
    {{WHOLE(1, "\xed\xa0\x80")}, "", TF_WS_CLOSE_UTF8},
    {{WHOLE(1, "\xf4\x90\x80\x80")}, "", TF_WS_CLOSE_UTF8},
    {{WHOLE(1, "ok"), WHOLE(1, "\x80")}, "1:ok ", TF_WS_CLOSE_UTF8},
    {{PIECE(1, "\xe2"), WHOLE(0, "\x82\xac"), WHOLE(1, "x")},
     "1:\xe2\x82\xac 1:x ",
     TF_WS_CLOSE_NONE},
    {{PIECE(2, "\xe2"), WHOLE(0, "x")}, "2:\xe2x ", TF_WS_CLOSE_NONE},
    /* close payloads: RFC 6455 5.5.1, 7.4 */
    {{WHOLE(8, "")}, "8: ", TF_WS_CLOSE_NONE},
    {{WHOLE(8, "\x03\xe8")}, "8:\x03\xe8 ", TF_WS_CLOSE_NONE},
    {{WHOLE(8, "\x03\xe9\xe2\x82\xac")}, "8:\x03\xe9\xe2\x82\xac ", TF_WS_CLOSE_NONE},
    {{WHOLE(8, "\x03")}, "", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(8, "\x03\xe7")}, "", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(8, "\x03\xed")}, "", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(8, "\x03\xee")}, "", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(8, "\x0b\xb7")}, "", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(8, "\x13\x88")}, "", TF_WS_CLOSE_PROTOCOL},
    {{WHOLE(8, "\x03\xe8\xff")}, "", TF_WS_CLOSE_UTF8},
    {{WHOLE(8, "\x03\xe8\xe2\x82")}, "", TF_WS_CLOSE_UTF8},
    {{WHOLE(8, "\x03\xee\xff")}, "", TF_WS_CLOSE_PROTOCOL},
};

static void conversation_play(const conversation_t *row)
{
    wire.bytes = 0;
    for (size_t i = 0; i < PIECES_MAX && row->pieces[i].payload != NULL; i++) {
        const piece_t *piece = &row->pieces[i];
        wire_frame(&wire, piece->first, piece->payload, piece->bytes, MASK);
    }
}

static const char *events_text(void)
{
    static char text[TEXT_ROOM];
    size_t used = 0;
    for (size_t i = 0; i < events.events; i++) {
        const event_t *event = &events.event[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "%x:", event->opcode);
        memcpy(text + used, events.data + event->from, event->bytes);
        used += event->bytes;
        text[used++] = ' ';
    }
    text[used] = '\0';
    return text;
}

static void expect_result(size_t index, const tf_ws_inbox_t *inbox, tf_ws_close_t why)
{
    const conversation_t *row = &conversations[index];
    if (why != row->why || strcmp(events_text(), row->events) != 0)
        fail_msg("conversation %zu: %s, events %s", index, tf_ws_close_text(why), events_text());
    if (why == TF_WS_CLOSE_NONE)
        assert_idle(inbox);
}

static void conversations_end_as_the_rfc_says_wherever_they_are_cut_in_two(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(conversations); i++) {
        conversation_play(&conversations[i]);
        for (size_t cut = 0; cut <= wire.bytes; cut++) {
            tf_ws_inbox_t inbox = {0};
            log_reset(&events);
            tf_ws_close_t why = feed_all(&inbox, wire.data, cut, MESSAGE_MAX, &events);
            if (why == TF_WS_CLOSE_NONE)
                why = feed_all(&inbox, wire.data + cut, wire.bytes - cut, MESSAGE_MAX, &events);
            expect_result(i, &inbox, why);
            tf_ws_inbox_fini(&inbox);
        }
    }
}

static void conversations_end_as_the_rfc_says_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(conversations); i++) {
        conversation_play(&conversations[i]);
        for (int stopping = 0; stopping < 2; stopping++) {
            tf_ws_inbox_t inbox = {0};
            tf_ws_close_t why = TF_WS_CLOSE_NONE;
            log_reset(&events);
            events.stop_always = stopping != 0;
            for (size_t at = 0; at < wire.bytes && why == TF_WS_CLOSE_NONE; at++)
                why = feed_all(&inbox, wire.data + at, 1, MESSAGE_MAX, &events);
            expect_result(i, &inbox, why);
            tf_ws_inbox_fini(&inbox);
        }
    }
}

static void close_codes_decide_between_delivery_and_protocol_error(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        tf_ws_inbox_t inbox = {0};
        uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        setup(NULL);
        wire_frame(&wire, FIN | TF_WS_CLOSE, payload, 2, MASK);
        tf_ws_close_t why = feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events);
        bool valid = tf_ws_close_code_valid((uint16_t)code);
        assert_int_equal(why, valid ? TF_WS_CLOSE_NONE : TF_WS_CLOSE_PROTOCOL);
        assert_int_equal(events.events, valid);
    }
}

static void frames_of_another_implementation_are_delivered(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    for (size_t i = 0; i < COUNT(client_vectors); i++)
        wire_put(&wire, client_vectors[i].frame, client_vectors[i].frame_bytes);
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    size_t seen = 0;
    for (size_t i = 0; i < COUNT(client_vectors); i++) {
        const client_vector_t *sent = &client_vectors[i];
        if (!sent->fin)
            continue;
        const event_t *got = &events.event[seen++];
        if (sent->opcode == TF_WS_CONTINUATION) {
            assert_int_equal(got->opcode, TF_WS_TEXT);
            assert_int_equal(got->bytes, 5);
            assert_memory_equal(events.data + got->from, "Hello", 5);
            continue;
        }
        assert_int_equal(got->opcode, sent->opcode);
        assert_int_equal(got->bytes, sent->payload_bytes);
        assert_memory_equal(events.data + got->from, sent->payload, sent->payload_bytes);
    }
    assert_int_equal(events.events, seen);
    assert_idle(&inbox);
}

/* ---- limits ---- */

static void
whole_message_of_the_limit_passes_and_one_byte_more_is_refused_at_its_header(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    wire_frame(&wire, FIN | TF_WS_TEXT, pattern, MESSAGE_MAX, MASK);
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    assert_int_equal(events.events, 1);
    assert_int_equal(events.bytes, MESSAGE_MAX);
    assert_memory_equal(events.data, pattern, MESSAGE_MAX);
    assert_idle(&inbox);

    setup(NULL);
    wire_frame(&wire, FIN | TF_WS_TEXT, pattern, MESSAGE_MAX + 1, MASK);
    assert_int_equal(feed_all(&inbox, wire.data, 10, MESSAGE_MAX, &events), TF_WS_CLOSE_TOO_BIG);
    assert_int_equal(events.events, 0);
    tf_ws_inbox_fini(&inbox);
}

static void limit_counts_all_fragments_and_spares_control_frames(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    wire_frame(&wire, TF_WS_TEXT, pattern, MESSAGE_MAX - 1, MASK);
    wire_frame(&wire, TF_WS_CONTINUATION, pattern, 1, MASK);
    wire_frame(&wire, FIN | TF_WS_PING, pattern, 125, MASK);
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    assert_int_equal(events.events, 1);
    assert_int_equal(inbox.message_bytes, MESSAGE_MAX);
    tf_ws_inbox_t full = inbox; /* the same memory: only one of the two goes on to the end */

    wire.bytes = 0;
    wire_frame(&wire, FIN | TF_WS_CONTINUATION, pattern, 1, MASK);
    assert_int_equal(feed_all(&full, wire.data, 2, MESSAGE_MAX, &events), TF_WS_CLOSE_TOO_BIG);
    wire.bytes = 0;
    wire_frame(&wire, FIN | TF_WS_CONTINUATION, pattern, 0, MASK);
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    assert_int_equal(events.event[1].bytes, MESSAGE_MAX);
    assert_idle(&inbox);
}

static void kept_memory_stays_within_the_documented_bound(void **state)
{
    (void)state;
    enum { FEED = 2048 };
    tf_ws_inbox_t inbox = {0};
    wire_frame(&wire, TF_WS_TEXT, pattern, MESSAGE_MAX / 2, MASK);
    wire_frame(&wire, FIN | TF_WS_CONTINUATION, pattern, MESSAGE_MAX / 2, MASK);
    size_t bound = MESSAGE_MAX + TF_WS_CLIENT_HEADER_BYTES_MAX + FEED;
    for (size_t at = 0; at < wire.bytes; at += FEED) {
        size_t bytes = wire.bytes - at < FEED ? wire.bytes - at : FEED;
        assert_int_equal(feed_all(&inbox, wire.data + at, bytes, MESSAGE_MAX, &events),
                         TF_WS_CLOSE_NONE);
        assert_true(inbox.pending_bytes <= bound);
        assert_true(inbox.pending_room <= bound + bound / 2);
        assert_true(inbox.message_room <= MESSAGE_MAX + MESSAGE_MAX / 2);
    }
    assert_int_equal(events.bytes, MESSAGE_MAX);
    assert_idle(&inbox);
}

static void frames_around_the_size_of_the_scratch_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {65535, 125, 126, 4095, 4096, 4097, 5000};
    tf_ws_inbox_t inbox = {0};
    tf_rng_t rng = {t_seed(4096)};
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)tf_rng_next(&rng);
    for (size_t i = 0; i < COUNT(sizes); i++)
        wire_frame(&wire, FIN | TF_WS_BINARY, pattern + i, sizes[i], (uint32_t)tf_rng_next(&rng));
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    assert_int_equal(events.events, COUNT(sizes));
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(events.event[i].bytes, sizes[i]);
        assert_memory_equal(events.data + events.event[i].from, pattern + i, sizes[i]);
    }
    assert_idle(&inbox);
}

/* ---- early refusals ---- */

static void bad_text_fails_with_its_fragment_not_with_its_message(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    wire_frame(&wire, TF_WS_TEXT, "fine", 4, MASK);
    wire_frame(&wire, TF_WS_CONTINUATION, "\xff", 1, MASK);
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_UTF8);
    tf_ws_inbox_fini(&inbox);
    assert_idle(&inbox);
}

static void frame_out_of_sequence_fails_with_its_header(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    wire_frame(&wire, FIN | TF_WS_CONTINUATION, pattern, 100, MASK);
    assert_int_equal(feed_all(&inbox, wire.data, 6, MESSAGE_MAX, &events), TF_WS_CLOSE_PROTOCOL);
    tf_ws_inbox_fini(&inbox);
}

/* ---- stopping ---- */

static void stopped_handler_sees_the_rest_at_the_next_feed(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    const tf_ws_inbox_sink_t sink = {log_message, log_control, &events};
    wire_frame(&wire, FIN | TF_WS_TEXT, "one", 3, MASK);
    wire_frame(&wire, FIN | TF_WS_PING, "two", 3, MASK);
    wire_frame(&wire, FIN | TF_WS_TEXT, "three", 5, MASK);
    events.stop_always = true;
    for (size_t seen = 1; seen <= 3; seen++) {
        bool first = seen == 1;
        assert_int_equal(tf_ws_inbox_feed(&inbox, first ? wire.data : NULL, first ? wire.bytes : 0,
                                          MESSAGE_MAX, &sink),
                         TF_WS_CLOSE_NONE);
        assert_int_equal(events.events, seen);
        assert_int_equal(tf_ws_inbox_pending_bytes(&inbox), seen == 1   ? 6 + 3 + 6 + 5
                                                            : seen == 2 ? 6 + 5
                                                                        : 0);
    }
    assert_string_equal(events_text(), "1:one 9:two 1:three ");
    assert_idle(&inbox);
}

static void error_behind_the_stop_shows_only_when_it_is_reached(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    const tf_ws_inbox_sink_t sink = {log_message, log_control, &events};
    wire_frame(&wire, FIN | TF_WS_CLOSE, "", 0, MASK);
    wire_put(&wire, "\xff\xff\xff", 3);
    events.stop_always = true;
    assert_int_equal(tf_ws_inbox_feed(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &sink),
                     TF_WS_CLOSE_NONE);
    assert_int_equal(tf_ws_inbox_pending_bytes(&inbox), 3);
    assert_int_equal(tf_ws_inbox_feed(&inbox, NULL, 0, MESSAGE_MAX, &sink), TF_WS_CLOSE_PROTOCOL);
    tf_ws_inbox_fini(&inbox);
}

/* ---- memory ---- */

static void whole_small_frames_need_no_memory(void **state)
{
    (void)state;
    tf_ws_inbox_t inbox = {0};
    for (size_t i = 0; i < 100; i++)
        wire_frame(&wire, FIN | (i % 2 == 0 ? TF_WS_TEXT : TF_WS_PONG), pattern, 125, MASK);
    wire_frame(&wire, FIN | TF_WS_TEXT, pattern, 4096, MASK);
    tf_mem_fail_at(1);
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    assert_int_equal(events.events, 101);
    assert_idle(&inbox);
}

static void received_bytes_are_left_as_they_are(void **state)
{
    (void)state;
    static wire_t copy;
    tf_ws_inbox_t inbox = {0};
    wire_frame(&wire, FIN | TF_WS_TEXT, "small", 5, MASK);
    wire_frame(&wire, FIN | TF_WS_TEXT, pattern, 5000, MASK);
    wire_frame(&wire, TF_WS_TEXT, "part", 4, MASK);
    copy = wire;
    assert_int_equal(feed_all(&inbox, wire.data, wire.bytes, MESSAGE_MAX, &events),
                     TF_WS_CLOSE_NONE);
    assert_memory_equal(wire.data, copy.data, wire.bytes);
    tf_ws_inbox_fini(&inbox);
}

/* Feeds of 700 bytes; the sum of all that can fail: pending, its growth, message, its growth. */
static tf_ws_close_t memory_scenario(tf_ws_inbox_t *inbox)
{
    enum { FEED = 700 };
    tf_ws_close_t why = TF_WS_CLOSE_NONE;
    log_reset(&events);
    for (size_t at = 0; at < wire.bytes && why == TF_WS_CLOSE_NONE; at += FEED) {
        size_t bytes = wire.bytes - at < FEED ? wire.bytes - at : FEED;
        why = feed_all(inbox, wire.data + at, bytes, MESSAGE_MAX, &events);
    }
    return why;
}

static void every_failed_allocation_is_internal_and_leaks_nothing(void **state)
{
    (void)state;
    wire_frame(&wire, TF_WS_TEXT, pattern, 300, MASK);
    wire_frame(&wire, TF_WS_CONTINUATION, pattern, 5000, MASK);
    wire_frame(&wire, FIN | TF_WS_PING, pattern, 100, MASK);
    wire_frame(&wire, FIN | TF_WS_CONTINUATION, pattern, 3000, MASK);
    wire_frame(&wire, FIN | TF_WS_BINARY, pattern, 20000, MASK);
    uint64_t before = tf_mem_in_use_bytes();
    uint64_t nth = 1;
    tf_ws_close_t why = TF_WS_CLOSE_INTERNAL;
    for (; why == TF_WS_CLOSE_INTERNAL; nth++) {
        tf_ws_inbox_t inbox = {0};
        tf_mem_fail_at(nth);
        why = memory_scenario(&inbox);
        tf_mem_fail_at(0);
        tf_ws_inbox_fini(&inbox);
        assert_int_equal(tf_mem_in_use_bytes(), before);
        assert_true(nth < 1000);
    }
    assert_int_equal(why, TF_WS_CLOSE_NONE);
    assert_int_equal(events.events, 3);
    assert_true(nth > 5);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        T(conversations_end_as_the_rfc_says_wherever_they_are_cut_in_two),
        T(conversations_end_as_the_rfc_says_byte_by_byte),
        T(close_codes_decide_between_delivery_and_protocol_error),
        T(frames_of_another_implementation_are_delivered),
        T(whole_message_of_the_limit_passes_and_one_byte_more_is_refused_at_its_header),
        T(limit_counts_all_fragments_and_spares_control_frames),
        T(kept_memory_stays_within_the_documented_bound),
        T(frames_around_the_size_of_the_scratch_arrive_whole),
        T(bad_text_fails_with_its_fragment_not_with_its_message),
        T(frame_out_of_sequence_fails_with_its_header),
        T(stopped_handler_sees_the_rest_at_the_next_feed),
        T(error_behind_the_stop_shows_only_when_it_is_reached),
        T(whole_small_frames_need_no_memory),
        T(received_bytes_are_left_as_they_are),
        T(every_failed_allocation_is_internal_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
