#include "kit/kit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

static void assert_text(const tf_buf_t *buf, const char *expected)
{
    assert_true(tf_buf_ok(buf));
    assert_int_equal(buf->bytes, strlen(expected));
    assert_memory_equal(buf->data, expected, buf->bytes);
}

static void zeroed_buffer_is_empty_and_owns_nothing(void **state)
{
    (void)state;
    uint64_t before = tf_mem_in_use_bytes();
    tf_buf_t buf = {0};
    assert_true(tf_buf_ok(&buf));
    tf_buf_put(&buf, NULL, 0);
    tf_buf_text(&buf, "");
    tf_buf_consume(&buf, 0);
    tf_buf_reset(&buf);
    assert_null(buf.data);
    tf_buf_fini(&buf);
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void appends_are_joined_in_order(void **state)
{
    (void)state;
    tf_buf_t buf = {0};
    tf_buf_put(&buf, "", 0);
    tf_buf_lit(&buf, "a\0b");
    tf_buf_text(&buf, "cd");
    tf_buf_put(&buf, "efg", 2);
    assert_int_equal(buf.bytes, 7);
    assert_memory_equal(buf.data, "a\0bcdef", 7);
    tf_buf_fini(&buf);
}

static void content_survives_growth(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    uint64_t before = tf_mem_in_use_bytes();
    tf_buf_t buf = {0};
    for (unsigned i = 0; i < COUNT; i++)
        tf_buf_put(&buf, &i, sizeof i);
    assert_int_equal(buf.bytes, COUNT * sizeof(unsigned));
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned found;
        memcpy(&found, buf.data + i * sizeof found, sizeof found);
        assert_int_equal(found, i);
    }
    tf_buf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void reserve_gives_room_and_commit_takes_it(void **state)
{
    (void)state;
    tf_buf_t buf = {0};
    assert_non_null(tf_buf_reserve(&buf, 0));
    char *at = tf_buf_reserve(&buf, 1000);
    assert_non_null(at);
    memset(at, 'x', 1000);
    tf_buf_commit(&buf, 3);
    assert_text(&buf, "xxx");
    assert_ptr_equal(tf_buf_reserve(&buf, 10), buf.data + 3);
    expect_assert_failure(tf_buf_commit(&buf, buf.room));
    tf_buf_fini(&buf);
}

static void failure_sticks_until_reset_and_keeps_the_content(void **state)
{
    (void)state;
    tf_buf_t buf = {0};
    tf_buf_lit(&buf, "kept");
    tf_mem_fail_at(1);
    assert_null(tf_buf_reserve(&buf, buf.room + 1));
    tf_mem_fail_at(0);
    assert_false(tf_buf_ok(&buf));
    tf_buf_lit(&buf, "x");
    tf_buf_uint(&buf, 1);
    tf_buf_json_string(&buf, "x", 1);
    assert_null(tf_buf_reserve(&buf, 1));
    assert_int_equal(buf.bytes, 4);
    assert_memory_equal(buf.data, "kept", 4);
    size_t room = buf.room;
    tf_buf_reset(&buf);
    assert_int_equal(buf.room, room);
    tf_buf_lit(&buf, "again");
    assert_text(&buf, "again");
    tf_buf_fini(&buf);
}

static void numbers_are_written_as_printf_does(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, 1, 9, 10, 99, 100, 4294967295U, 9223372036854775807U, 9223372036854775808U, UINT64_MAX};
    tf_rng_t rng = {t_seed(1)};
    tf_buf_t buf = {0};
    char expected[32];
    for (size_t i = 0; i < 1000; i++) {
        size_t fixed = sizeof values / sizeof values[0];
        uint64_t value = i < fixed ? values[i] : tf_rng_next(&rng) >> (i % 64);
        snprintf(expected, sizeof expected, "%" PRIu64, value);
        tf_buf_reset(&buf);
        tf_buf_uint(&buf, value);
        assert_text(&buf, expected);
        snprintf(expected, sizeof expected, "%" PRId64, (int64_t)value);
        tf_buf_reset(&buf);
        tf_buf_int(&buf, (int64_t)value);
        assert_text(&buf, expected);
    }
    tf_buf_fini(&buf);
}

static void consume_drops_from_the_front(void **state)
{
    (void)state;
    tf_buf_t buf = {0};
    tf_buf_lit(&buf, "abcdef");
    tf_buf_consume(&buf, 2);
    assert_text(&buf, "cdef");
    tf_buf_consume(&buf, 0);
    assert_text(&buf, "cdef");
    tf_buf_consume(&buf, 4);
    assert_int_equal(buf.bytes, 0);
    tf_buf_lit(&buf, "next");
    assert_text(&buf, "next");
    expect_assert_failure(tf_buf_consume(&buf, 5));
    tf_buf_fini(&buf);
}

static void json_string_is(const char *text, size_t bytes, const char *expected)
{
    tf_buf_t buf = {0};
    tf_buf_json_string(&buf, text, bytes);
    assert_text(&buf, expected);
    tf_buf_fini(&buf);
}

static void json_string_escapes_what_json_needs(void **state)
{
    (void)state;
    json_string_is("", 0, "\"\"");
    json_string_is("plain", 5, "\"plain\"");
    json_string_is("\"\\/", 3, "\"\\\"\\\\/\"");
    json_string_is("\0\n\x1f\x7f", 4, "\"\\u0000\\u000a\\u001f\\u007f\"");
    json_string_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82", 9,
                   "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82\"");
}

static void json_string_replaces_invalid_utf8(void **state)
{
    (void)state;
    json_string_is("a\xff"
                   "b",
                   3,
                   "\"a\xef\xbf\xbd"
                   "b\"");
    json_string_is("\xc3", 1, "\"\xef\xbf\xbd\"");
    json_string_is("\xc3\"", 2, "\"\xef\xbf\xbd\\\"\"");
    json_string_is("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    json_string_is("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* jansson reads back what was written, whatever the bytes; valid text comes back unchanged. */
static void json_string_of_any_bytes_is_read_by_jansson(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(2)};
    tf_buf_t buf = {0};
    for (uint64_t round = t_rounds(3000); round > 0; round--) {
        char text[24];
        size_t bytes = tf_rng_next(&rng) % (sizeof text + 1);
        uint64_t mask = round % 2 == 0 ? 0x7f : 0xff;
        for (size_t i = 0; i < bytes; i++)
            text[i] = (char)(tf_rng_next(&rng) & mask);
        tf_buf_reset(&buf);
        tf_buf_json_string(&buf, text, bytes);
        json_t *read = json_loadb(buf.data, buf.bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(read);
        if (tf_utf8_valid((const uint8_t *)text, bytes)) {
            assert_int_equal(json_string_length(read), bytes);
            assert_memory_equal(json_string_value(read), text, bytes);
        }
        json_decref(read);
    }
    tf_buf_fini(&buf);
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_buffer_is_empty_and_owns_nothing),
        cmocka_unit_test(appends_are_joined_in_order),
        cmocka_unit_test(content_survives_growth),
        cmocka_unit_test(reserve_gives_room_and_commit_takes_it),
        cmocka_unit_test(failure_sticks_until_reset_and_keeps_the_content),
        cmocka_unit_test(numbers_are_written_as_printf_does),
        cmocka_unit_test(consume_drops_from_the_front),
        cmocka_unit_test(json_string_escapes_what_json_needs),
        cmocka_unit_test(json_string_replaces_invalid_utf8),
        cmocka_unit_test(json_string_of_any_bytes_is_read_by_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
