#include "kit/kit.h"

#include "base/rng.h"
#include "unit/ws/ws_vectors.h"
#include "ws/frame.h"

#include <string.h>

enum { PAYLOAD_MAX = 65536 };

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof(array)[0])

/* ---- headers of our own ---- */

static void headers_equal_those_of_another_implementation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(server_vectors); i++) {
        const server_vector_t *want = &server_vectors[i];
        uint8_t header[TF_WS_HEADER_BYTES_MAX];
        size_t bytes = tf_ws_header_write(header, want->opcode, want->payload_bytes);
        assert_int_equal(bytes, want->header_bytes);
        assert_int_equal(bytes, tf_ws_header_bytes(want->payload_bytes));
        assert_memory_equal(header, want->header, bytes);
    }
}

static void close_frames_equal_those_of_another_implementation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(close_vectors); i++) {
        const close_vector_t *want = &close_vectors[i];
        uint8_t frame[2 + TF_WS_CONTROL_BYTES_MAX];
        size_t bytes = tf_ws_close_write(frame, want->code, want->text);
        assert_int_equal(bytes, want->frame_bytes);
        assert_memory_equal(frame, want->frame, bytes);
    }
}

static void oversized_control_frames_are_our_own_mistake(void **state)
{
    (void)state;
    uint8_t out[2 + TF_WS_CONTROL_BYTES_MAX];
    char text[125];
    memset(text, 'x', 124);
    text[124] = '\0';
    expect_assert_failure(tf_ws_header_write(out, TF_WS_PING, 126));
    expect_assert_failure(tf_ws_header_write(out, TF_WS_TEXT, (uint64_t)INT64_MAX + 1));
    expect_assert_failure(tf_ws_close_write(out, 1000, text));
    expect_assert_failure(tf_ws_close_write(out, 1006, "never on the wire"));
    assert_int_equal(tf_ws_close_write(out, 1000, text + 1), 127);
}

static void every_close_reason_fits_a_close_frame(void **state)
{
    (void)state;
    assert_int_equal(tf_ws_close_code(TF_WS_CLOSE_PROTOCOL), 1002);
    assert_int_equal(tf_ws_close_code(TF_WS_CLOSE_TOO_SLOW), 4408);
    assert_string_equal(tf_ws_close_text(TF_WS_CLOSE_GOING_AWAY), "server is shutting down");
    assert_int_equal(tf_ws_close_code(TF_WS_CLOSE_NONE), 0);
    for (int reason = TF_WS_CLOSE_NONE + 1; reason < TF_WS_CLOSE_COUNT; reason++) {
        uint8_t out[2 + TF_WS_CONTROL_BYTES_MAX];
        const char *text = tf_ws_close_text((tf_ws_close_t)reason);
        uint16_t code = tf_ws_close_code((tf_ws_close_t)reason);
        assert_true(strlen(text) > 0);
        assert_int_equal(tf_ws_close_write(out, code, text), 4 + strlen(text));
    }
    expect_assert_failure(tf_ws_close_code(TF_WS_CLOSE_COUNT));
    expect_assert_failure(tf_ws_close_text(TF_WS_CLOSE_COUNT));
}

static void close_codes_are_those_that_may_travel(void **state)
{
    (void)state;
    /* RFC 6455 7.4 and the IANA registry, as ranges that may be sent. */
    static const uint16_t ranges[][2] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        bool valid = false;
        for (size_t i = 0; i < COUNT(ranges); i++)
            valid |= code >= ranges[i][0] && code <= ranges[i][1];
        assert_int_equal(tf_ws_close_code_valid((uint16_t)code), valid);
    }
}

/* ---- headers of clients ---- */

static void frames_of_another_implementation_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(client_vectors); i++) {
        const client_vector_t *want = &client_vectors[i];
        tf_ws_frame_t frame;
        tf_ws_close_t why = TF_WS_CLOSE_NONE;
        uint8_t copy[256];
        memcpy(copy, want->frame, want->frame_bytes);
        assert_int_equal(tf_ws_frame_parse(copy, want->frame_bytes, PAYLOAD_MAX, &frame, &why),
                         TF_WS_PARSE_FRAME);
        assert_int_equal(frame.opcode, want->opcode);
        assert_int_equal(frame.fin, want->fin);
        assert_int_equal(frame.payload_bytes, want->payload_bytes);
        assert_int_equal(frame.header_bytes + frame.payload_bytes, want->frame_bytes);
        tf_ws_unmask(copy + frame.header_bytes, frame.payload_bytes, frame.mask, 0);
        assert_memory_equal(copy + frame.header_bytes, want->payload, want->payload_bytes);
    }
}

typedef struct header_row {
    const uint8_t *data;
    size_t bytes;
    size_t verdict_bytes; /* the verdict comes with this many bytes, MORE before */
    tf_ws_close_t why;    /* NONE = a legal frame */
    uint64_t payload_bytes;
} header_row_t;

static const header_row_t header_rows[] = {
    {BYTES("\x81\x80mask"), 6, TF_WS_CLOSE_NONE, 0},
    {BYTES("\x01\xfdmask"), 6, TF_WS_CLOSE_NONE, 125},
    {BYTES("\x00\x85mask"), 6, TF_WS_CLOSE_NONE, 5},
    {BYTES("\x89\xfdmask"), 6, TF_WS_CLOSE_NONE, 125},
    {BYTES("\x8a\x80mask"), 6, TF_WS_CLOSE_NONE, 0},
    {BYTES("\x88\x82mask"), 6, TF_WS_CLOSE_NONE, 2},
    {BYTES("\x82\xfe\x00\x7emask"), 8, TF_WS_CLOSE_NONE, 126},
    {BYTES("\x82\xfe\x00\x7fmask"), 8, TF_WS_CLOSE_NONE, 127},
    {BYTES("\x82\xfe\xff\xffmask"), 8, TF_WS_CLOSE_NONE, 65535},
    {BYTES("\x82\xff\0\0\0\0\0\1\0\0mask"), 14, TF_WS_CLOSE_NONE, 65536},
    /* not masked */
    {BYTES("\x81\x05mask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\x00mask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x89\x00mask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\x7e\x00\x7emask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    /* reserved bits */
    {BYTES("\xc1\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\xa1\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x91\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\xc9\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    /* control frames: in one piece, short */
    {BYTES("\x08\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x09\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x0a\x80mask"), 1, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x88\xfe\x00\x7emask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x89\xfe\x00\x05mask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x8a\xff\0\0\0\0\0\0\0\1mask"), 2, TF_WS_CLOSE_PROTOCOL, 0},
    /* lengths that have a shorter form */
    {BYTES("\x81\xfe\x00\x00mask"), 4, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\xfe\x00\x7dmask"), 4, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\xff\0\0\0\0\0\0\0\0mask"), 10, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\xff\0\0\0\0\0\0\0\x7dmask"), 10, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\xff\0\0\0\0\0\0\xff\xffmask"), 10, TF_WS_CLOSE_PROTOCOL, 0},
    /* the top bit of the long form */
    {BYTES("\x81\xff\x80\0\0\0\0\0\0\0mask"), 10, TF_WS_CLOSE_PROTOCOL, 0},
    {BYTES("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xffmask"), 10, TF_WS_CLOSE_PROTOCOL, 0},
    /* over PAYLOAD_MAX: before mask and payload */
    {BYTES("\x81\xff\0\0\0\0\0\1\0\1mask"), 10, TF_WS_CLOSE_TOO_BIG, 0},
    {BYTES("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask"), 10, TF_WS_CLOSE_TOO_BIG, 0},
    {BYTES("\x00\xff\0\0\0\1\0\0\0\0mask"), 10, TF_WS_CLOSE_TOO_BIG, 0},
};

static void header_verdict_comes_with_the_byte_that_decides_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(header_rows); i++) {
        const header_row_t *row = &header_rows[i];
        for (size_t bytes = 0; bytes <= row->bytes; bytes++) {
            tf_ws_frame_t frame;
            tf_ws_close_t why = TF_WS_CLOSE_NONE;
            tf_ws_parse_t got = tf_ws_frame_parse(row->data, bytes, PAYLOAD_MAX, &frame, &why);
            tf_ws_parse_t want = row->why == TF_WS_CLOSE_NONE ? TF_WS_PARSE_FRAME : TF_WS_PARSE_BAD;
            if (bytes < row->verdict_bytes)
                want = TF_WS_PARSE_MORE;
            if (got != want)
                fail_msg("row %zu with %zu bytes: %d, not %d", i, bytes, (int)got, (int)want);
            if (got == TF_WS_PARSE_BAD)
                assert_int_equal(why, row->why);
            if (got == TF_WS_PARSE_FRAME) {
                assert_int_equal(frame.payload_bytes, row->payload_bytes);
                assert_int_equal(frame.header_bytes, row->verdict_bytes);
                assert_memory_equal(frame.mask, "mask", 4);
            }
        }
    }
}

static void only_the_six_opcodes_are_known(void **state)
{
    (void)state;
    for (uint8_t opcode = 0; opcode < 16; opcode++) {
        uint8_t data[6] = {(uint8_t)(0x80 | opcode), 0x80};
        tf_ws_frame_t frame;
        tf_ws_close_t why = TF_WS_CLOSE_NONE;
        bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
        assert_int_equal(tf_ws_frame_parse(data, sizeof data, PAYLOAD_MAX, &frame, &why),
                         known ? TF_WS_PARSE_FRAME : TF_WS_PARSE_BAD);
        assert_int_equal(why, known ? TF_WS_CLOSE_NONE : TF_WS_CLOSE_PROTOCOL);
    }
}

static void payload_limit_spares_control_frames(void **state)
{
    (void)state;
    tf_ws_frame_t frame;
    tf_ws_close_t why = TF_WS_CLOSE_NONE;
    assert_int_equal(tf_ws_frame_parse(BYTES("\x89\xfdmask"), 0, &frame, &why), TF_WS_PARSE_FRAME);
    assert_int_equal(tf_ws_frame_parse(BYTES("\x81\x80mask"), 0, &frame, &why), TF_WS_PARSE_FRAME);
    assert_int_equal(tf_ws_frame_parse(BYTES("\x81\x81mask"), 0, &frame, &why), TF_WS_PARSE_BAD);
    assert_int_equal(why, TF_WS_CLOSE_TOO_BIG);
}

static void unmasking_equals_the_formula_at_every_length_and_offset(void **state)
{
    (void)state;
    enum { LENGTHS = 40, GUARD = 0x5a };
    tf_rng_t rng = {t_seed(6455)};
    for (size_t bytes = 0; bytes < LENGTHS; bytes++) {
        for (size_t offset = 0; offset < 9; offset++) {
            uint8_t mask[4], data[LENGTHS + 1], want[LENGTHS + 1];
            for (size_t i = 0; i < sizeof mask; i++)
                mask[i] = (uint8_t)tf_rng_next(&rng);
            for (size_t i = 0; i < sizeof data; i++) {
                data[i] = i < bytes ? (uint8_t)tf_rng_next(&rng) : GUARD;
                want[i] = i < bytes ? (uint8_t)(data[i] ^ mask[(offset + i) % 4]) : GUARD;
            }
            tf_ws_unmask(data, bytes, mask, offset);
            assert_memory_equal(data, want, sizeof data);
        }
    }
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_equal_those_of_another_implementation),
        cmocka_unit_test(close_frames_equal_those_of_another_implementation),
        cmocka_unit_test(oversized_control_frames_are_our_own_mistake),
        cmocka_unit_test(every_close_reason_fits_a_close_frame),
        cmocka_unit_test(close_codes_are_those_that_may_travel),
        cmocka_unit_test(frames_of_another_implementation_are_read),
        cmocka_unit_test(header_verdict_comes_with_the_byte_that_decides_it),
        cmocka_unit_test(only_the_six_opcodes_are_known),
        cmocka_unit_test(payload_limit_spares_control_frames),
        cmocka_unit_test(unmasking_equals_the_formula_at_every_length_and_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
