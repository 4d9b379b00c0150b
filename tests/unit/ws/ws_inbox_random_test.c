#include "kit/kit.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "unit/ws/ws_client.h"

#include <stdlib.h>

/*
 * Random legal conversations with random fragments, masks and cuts must come back message for
 * message; the same conversations with a few bytes changed must end alike however they are cut.
 */

enum {
    MESSAGE_MAX = 20000,
    FRAGMENTS_MAX = 6,
    MESSAGES_MAX = 12,
    ROUNDS = 300,
};

static wire_t wire;
static event_log_t sent;
static event_log_t got;
static event_log_t other;
static uint8_t payload[MESSAGE_MAX];
static uint64_t rounds;

/* Mostly small, at times around the borders of the length forms and of the inbox's scratch. */
static size_t random_size(tf_rng_t *rng)
{
    static const size_t borders[] = {0, 125, 126, 127, 4095, 4096, 4097, MESSAGE_MAX};
    switch (tf_rng_below(rng, 4)) {
    case 0:
        return borders[tf_rng_below(rng, sizeof borders / sizeof borders[0])];
    case 1:
        return tf_rng_below(rng, 6000);
    default:
        return tf_rng_below(rng, 40);
    }
}

/* Valid text of up to `bytes` bytes from characters of all four lengths; returns its bytes. */
static size_t random_text(tf_rng_t *rng, uint8_t *out, size_t bytes)
{
    static const struct {
        const char *text;
        size_t bytes;
    } characters[] = {{"a", 1},
                      {"\x7f", 1},
                      {"\xc2\x80", 2},
                      {"\xdf\xbf", 2},
                      {"\xe0\xa0\x80", 3},
                      {"\xed\x9f\xbf", 3},
                      {"\xef\xbf\xbf", 3},
                      {"\xf0\x90\x80\x80", 4},
                      {"\xf4\x8f\xbf\xbf", 4}};
    size_t used = 0;
    while (used < bytes) {
        size_t i = tf_rng_below(rng, sizeof characters / sizeof characters[0]);
        if (characters[i].bytes > bytes - used)
            i = 0;
        memcpy(out + used, characters[i].text, characters[i].bytes);
        used += characters[i].bytes;
    }
    return used;
}

static void random_bytes(tf_rng_t *rng, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)tf_rng_next(rng);
}

static void send_control(tf_rng_t *rng)
{
    uint8_t data[TF_WS_CONTROL_BYTES_MAX] = {0x03, 0xe8};
    static const tf_ws_opcode_t opcodes[] = {TF_WS_PING, TF_WS_PONG, TF_WS_CLOSE};
    tf_ws_opcode_t opcode = opcodes[tf_rng_below(rng, 3)];
    size_t bytes = tf_rng_below(rng, sizeof data + 1);
    if (opcode == TF_WS_CLOSE)
        bytes = bytes < 2 ? 0 : 2 + random_text(rng, data + 2, bytes - 2);
    else
        random_bytes(rng, data, bytes);
    wire_frame(&wire, FIN | opcode, data, bytes, (uint32_t)tf_rng_next(rng));
    (void)log_control(&sent, opcode, data, bytes);
}

static void send_message(tf_rng_t *rng)
{
    tf_ws_opcode_t opcode = tf_rng_below(rng, 2) == 0 ? TF_WS_TEXT : TF_WS_BINARY;
    size_t bytes = random_size(rng);
    if (opcode == TF_WS_TEXT)
        bytes = random_text(rng, payload, bytes);
    else
        random_bytes(rng, payload, bytes);

    size_t fragments = tf_rng_below(rng, 2) == 0 ? 1 : 1 + tf_rng_below(rng, FRAGMENTS_MAX);
    size_t at = 0;
    for (size_t i = 0; i < fragments; i++) {
        bool last = i + 1 == fragments;
        size_t part = last ? bytes - at : tf_rng_below(rng, bytes - at + 1);
        unsigned first = (last ? (unsigned)FIN : 0) | (i == 0 ? opcode : TF_WS_CONTINUATION);
        wire_frame(&wire, first, payload + at, part, (uint32_t)tf_rng_next(rng));
        at += part;
        while (!last && tf_rng_below(rng, 4) == 0)
            send_control(rng);
    }
    (void)log_message(&sent, opcode, payload, bytes);
}

static void send_conversation(tf_rng_t *rng)
{
    wire.bytes = 0;
    log_reset(&sent);
    size_t messages = tf_rng_below(rng, MESSAGES_MAX);
    for (size_t i = 0; i < messages; i++) {
        if (tf_rng_below(rng, 4) == 0)
            send_control(rng);
        send_message(rng);
    }
}

/* Feed the wire in pieces of random size, some empty; handlers stop at random. */
static tf_ws_close_t receive(tf_rng_t *rng, tf_ws_inbox_t *inbox, event_log_t *log)
{
    log_reset(log);
    log->stop_at_random = tf_rng_below(rng, 2) == 0 ? rng : NULL;
    size_t piece_max = (size_t)1 << tf_rng_below(rng, 15);
    tf_ws_close_t why = TF_WS_CLOSE_NONE;
    for (size_t at = 0; at < wire.bytes && why == TF_WS_CLOSE_NONE;) {
        size_t bytes = tf_rng_below(rng, piece_max + 1);
        if (bytes > wire.bytes - at)
            bytes = wire.bytes - at;
        why = feed_all(inbox, wire.data + at, bytes, MESSAGE_MAX, log);
        at += bytes;
    }
    return why;
}

static void legal_conversations_come_back_message_for_message(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0x6455)};
    uint64_t before = tf_mem_in_use_bytes();
    for (uint64_t round = 0; round < rounds; round++) {
        tf_ws_inbox_t inbox = {0};
        send_conversation(&rng);
        tf_ws_close_t why = receive(&rng, &inbox, &got);
        if (why != TF_WS_CLOSE_NONE || !log_same(&sent, &got))
            fail_msg("round %lu: %s, %zu of %zu events", (unsigned long)round,
                     tf_ws_close_text(why), got.events, sent.events);
        assert_int_equal(tf_mem_in_use_bytes(), before); /* no fini: idle owns nothing */
    }
}

static void damaged_conversations_end_alike_however_they_are_cut(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0x7692)};
    uint64_t before = tf_mem_in_use_bytes();
    uint64_t refused = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        send_conversation(&rng);
        for (uint64_t damage = tf_rng_below(&rng, 4); damage > 0 && wire.bytes > 0; damage--)
            wire.data[tf_rng_below(&rng, wire.bytes)] ^= (uint8_t)(1U << tf_rng_below(&rng, 8));
        tf_ws_inbox_t whole = {0};
        tf_ws_inbox_t cut = {0};
        log_reset(&got);
        tf_ws_close_t want = feed_all(&whole, wire.data, wire.bytes, MESSAGE_MAX, &got);
        tf_ws_close_t why = receive(&rng, &cut, &other);
        if (why != want || !log_same(&got, &other))
            fail_msg("round %lu: \"%s\" whole, \"%s\" cut", (unsigned long)round,
                     tf_ws_close_text(want), tf_ws_close_text(why));
        if (why == TF_WS_CLOSE_NONE)
            assert_int_equal(tf_ws_inbox_pending_bytes(&whole), tf_ws_inbox_pending_bytes(&cut));
        refused += why != TF_WS_CLOSE_NONE;
        tf_ws_inbox_fini(&whole);
        tf_ws_inbox_fini(&cut);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_true(refused > rounds / 20); /* the damage does reach the rules */
}

int main(int argc, char **argv)
{
    rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : t_rounds(ROUNDS);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_conversations_come_back_message_for_message),
        cmocka_unit_test(damaged_conversations_end_alike_however_they_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
