#include "kit/kit.h"

#include "base/rng.h"
#include "venue/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

typedef struct text_case {
    const char *text;
    size_t bytes;
} text_case_t;

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const text_case_t accepted[] = {
    TEXT("null"),
    TEXT(" true "),
    TEXT("false\n"),
    TEXT("0"),
    TEXT("-0"),
    TEXT("-0.0"),
    TEXT("12345678901234567890123"),
    TEXT("1.5e+7"),
    TEXT("1E9"),
    TEXT("0e-2"),
    TEXT("\"\""),
    TEXT("\"a b\""),
    TEXT("\"1234567\""),
    TEXT("\"12345678\""),
    TEXT("\"123456789abcdef0\""),
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    TEXT("\"\\u0041\\u00e9\\u20AC\\uD834\\uDD1E\""),
    TEXT("\"\\u0000\""),
    TEXT("\"\x7f\""),
    TEXT("\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\xf4\x8f\xbf\xbf\""),
    TEXT("[]"),
    TEXT("{}"),
    TEXT("[[],[[]],{}]"),
    TEXT(" [ 1 , 2 ] "),
    TEXT("\t{\r\n\"a\" : [ null ] , \"b\":{\"c\":\"d\"}}\n"),
    TEXT("{\"a\":1,\"a\":2}"),
    TEXT("{\"\":0}"),
};

static const text_case_t refused[] = {
    TEXT(""),
    TEXT("  "),
    TEXT("nul"),
    TEXT("nulll"),
    TEXT("True"),
    TEXT("NaN"),
    TEXT("Infinity"),
    TEXT("-"),
    TEXT("-Infinity"),
    TEXT("+1"),
    TEXT("01"),
    TEXT("-01"),
    TEXT("00"),
    TEXT("1."),
    TEXT(".5"),
    TEXT("1.e5"),
    TEXT("1e"),
    TEXT("1e+"),
    TEXT("1e5.0"),
    TEXT("0x10"),
    TEXT("1_000"),
    TEXT("1 2"),
    TEXT("\""),
    TEXT("\"abc"),
    TEXT("\"abcdefgh"),
    TEXT("\"\\"),
    TEXT("\"\\\""),
    TEXT("\"\\x41\""),
    TEXT("\"\\a\""),
    TEXT("\"\\\0\""),
    TEXT("\"\\u12\""),
    TEXT("\"\\u12g4\""),
    TEXT("\"\\u 123\""),
    TEXT("\"\\uD800\""),
    TEXT("\"\\uD800x\""),
    TEXT("\"\\uD800\\n\""),
    TEXT("\"\\uD800\\uD800\""),
    TEXT("\"\\uD834\\u0041\""),
    TEXT("\"\\uDC00\""),
    TEXT("\"\n\""),
    TEXT("\"\t\""),
    TEXT("\"\x1f\""),
    TEXT("\"a\0b\""),
    TEXT("\"0123456789\x01"
         "abcdef\""),
    TEXT("\"\x80\""),
    TEXT("\"\xc0\xaf\""),
    TEXT("\"\xc1\xbf\""),
    TEXT("\"\xe0\x9f\xbf\""),
    TEXT("\"\xed\xa0\x80\""),
    TEXT("\"\xf0\x8f\xbf\xbf\""),
    TEXT("\"\xf4\x90\x80\x80\""),
    TEXT("\"\xf5\x80\x80\x80\""),
    TEXT("\"\xc3\""),
    TEXT("\"\xe2\x82\""),
    TEXT("\"\xff\""),
    TEXT("'a'"),
    TEXT("["),
    TEXT("]"),
    TEXT("[1"),
    TEXT("[1,"),
    TEXT("[1,]"),
    TEXT("[,1]"),
    TEXT("[1,,2]"),
    TEXT("[1 2]"),
    TEXT("[1}"),
    TEXT("[]]"),
    TEXT("[] []"),
    TEXT("[1:2]"),
    TEXT("{"),
    TEXT("}"),
    TEXT("{]"),
    TEXT("{\"a\""),
    TEXT("{\"a\":"),
    TEXT("{\"a\":}"),
    TEXT("{\"a\"}"),
    TEXT("{\"a\":1"),
    TEXT("{\"a\":1,"),
    TEXT("{\"a\":1,}"),
    TEXT("{,\"a\":1}"),
    TEXT("{\"a\":1 \"b\":2}"),
    TEXT("{\"a\" 1}"),
    TEXT("{a:1}"),
    TEXT("{1:1}"),
    TEXT("{\"a\":1]"),
    TEXT("{\"a\":1:2}"),
    TEXT("[1]x"),
    TEXT("[1]\0"),
    TEXT("\xef\xbb\xbf[]"),
    TEXT("[\x0b]"),
    TEXT("[\xc2\xa0]"),
    TEXT("/**/1"),
    TEXT("[1]//"),
};

/* In memory of exactly this size, so that a sanitizer sees a read behind the end. */
static bool whole(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + (bytes == 0));
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    tf_scan_t scan;
    tf_scan_init(&scan, copy, bytes);
    bool skipped = tf_scan_skip(&scan);
    bool ended = tf_scan_end(&scan);
    assert_true(skipped || !ended);
    free(copy);
    return ended;
}

typedef enum verdict { REFUSES, ACCEPTS, CANNOT_SAY } verdict_t;

/* jansson has no numbers beyond a double and no NUL in keys, though both are valid JSON. */
static verdict_t jansson(const char *text, size_t bytes)
{
    json_error_t error;
    json_t *root =
        json_loadb(text, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (root != NULL) {
        json_decref(root);
        return ACCEPTS;
    }
    enum json_error_code code = json_error_code(&error);
    bool other_rules = code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
    return other_rules ? CANNOT_SAY : REFUSES;
}

static void valid_texts_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        if (!whole(accepted[i].text, accepted[i].bytes))
            fail_msg("refused: %s", accepted[i].text);
        assert_int_equal(jansson(accepted[i].text, accepted[i].bytes), ACCEPTS);
    }
}

static void invalid_texts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        if (whole(refused[i].text, refused[i].bytes))
            fail_msg("accepted: %s", refused[i].text);
        assert_int_equal(jansson(refused[i].text, refused[i].bytes), REFUSES);
    }
}

static void mutated_texts_are_judged_as_jansson_judges_them(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]\",:\\u09eE+-. ntrufalse\x01\x80\xc3\xa9/dD8";
    tf_rng_t rng = {t_seed(20260707)};
    for (uint64_t round = t_rounds(60000); round > 0; round--) {
        const text_case_t *from = &accepted[tf_rng_below(&rng, COUNT(accepted))];
        char text[128];
        size_t bytes = from->bytes;
        memcpy(text, from->text, bytes);
        for (uint64_t edits = 1 + tf_rng_below(&rng, 3); edits > 0; edits--) {
            size_t at = (size_t)tf_rng_below(&rng, bytes + 1);
            if (tf_rng_below(&rng, 2) == 0)
                memmove(text + at + 1, text + at, bytes++ - at);
            else if (at == bytes)
                bytes++;
            text[at] = alphabet[tf_rng_below(&rng, sizeof alphabet - 1)];
        }
        verdict_t verdict = jansson(text, bytes);
        if (verdict != CANNOT_SAY && whole(text, bytes) != (verdict == ACCEPTS))
            fail_msg("judged differently: %.*s", (int)bytes, text);
    }
}

static void nesting_is_accepted_up_to_the_limit_only(void **state)
{
    (void)state;
    char text[2 * (TF_SCAN_DEPTH_MAX + 1)];
    for (size_t depth = 1; depth <= TF_SCAN_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(whole(text, 2 * depth), depth <= TF_SCAN_DEPTH_MAX);
    }
    char objects[5 * (TF_SCAN_DEPTH_MAX + 1)];
    for (size_t i = 0; i < sizeof objects; i++)
        objects[i] = "{\"a\":"[i % 5];
    assert_false(whole(objects, sizeof objects));
}

static void a_walk_gives_keys_and_values_in_order(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":\"x\\ny\", \"b\":[1, -2.50e1 ,true], \"c\":null ,\"d\":false}";
    tf_scan_t scan;
    tf_slice_t key, value;
    bool escaped = false, flag = false;
    uint64_t number = 0;
    tf_scan_init(&scan, text, sizeof text - 1);
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_OBJECT);
    assert_true(tf_scan_object(&scan));
    assert_true(tf_scan_key(&scan, &key) && tf_slice_is(key, "a"));
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_STRING);
    assert_true(tf_scan_string(&scan, &value, &escaped) && escaped && tf_slice_is(value, "x\\ny"));
    assert_true(tf_scan_key(&scan, &key) && tf_slice_is(key, "b"));
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_ARRAY);
    assert_true(tf_scan_array(&scan));
    assert_true(tf_scan_item(&scan) && tf_scan_uint(&scan, &number) && number == 1);
    assert_true(tf_scan_item(&scan));
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_NUMBER);
    assert_true(tf_scan_number(&scan, &value) && tf_slice_is(value, "-2.50e1"));
    assert_true(tf_scan_item(&scan));
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_TRUE);
    assert_true(tf_scan_bool(&scan, &flag) && flag);
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_NONE); /* the array has ended: no error */
    assert_false(tf_scan_item(&scan));
    assert_true(tf_scan_key(&scan, &key) && tf_slice_is(key, "c"));
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_NULL);
    assert_true(tf_scan_null(&scan));
    assert_true(tf_scan_key(&scan, &key) && tf_slice_is(key, "d"));
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_FALSE);
    assert_true(tf_scan_bool(&scan, &flag) && !flag);
    assert_false(tf_scan_key(&scan, &key));
    assert_true(tf_scan_end(&scan));
    assert_int_equal(tf_scan_offset(&scan), sizeof text - 1);
}

static void a_comma_before_the_end_is_refused_even_when_only_peeked_at(void **state)
{
    (void)state;
    tf_scan_t scan;
    tf_slice_t key;
    tf_scan_init(&scan, "[1,]", 4);
    assert_true(tf_scan_array(&scan) && tf_scan_item(&scan) && tf_scan_skip(&scan));
    assert_false(tf_scan_item(&scan));
    assert_false(tf_scan_end(&scan));
    tf_scan_init(&scan, "{\"a\":}", 6);
    assert_true(tf_scan_object(&scan));
    assert_false(tf_scan_key(&scan, &key));
    assert_false(tf_scan_end(&scan));
}

static void after_an_error_every_call_answers_no(void **state)
{
    (void)state;
    tf_scan_t scan;
    tf_slice_t slice;
    uint64_t number;
    bool flag;
    tf_scan_init(&scan, "[\"a\",{\"b\":[1,2]}]", 17);
    assert_true(tf_scan_array(&scan) && tf_scan_item(&scan));
    assert_false(tf_scan_uint(&scan, &number));
    assert_int_equal(tf_scan_offset(&scan), 1);
    assert_int_equal(tf_scan_peek(&scan), TF_SCAN_NONE);
    assert_false(tf_scan_string(&scan, &slice, NULL));
    assert_false(tf_scan_item(&scan));
    assert_false(tf_scan_key(&scan, &slice));
    assert_false(tf_scan_object(&scan));
    assert_false(tf_scan_array(&scan));
    assert_false(tf_scan_number(&scan, &slice));
    assert_false(tf_scan_uint(&scan, &number));
    assert_false(tf_scan_bool(&scan, &flag));
    assert_false(tf_scan_null(&scan));
    assert_false(tf_scan_skip(&scan));
    assert_false(tf_scan_end(&scan));
    assert_int_equal(tf_scan_offset(&scan), 1);
}

static void a_caller_may_refuse_a_text_that_is_valid(void **state)
{
    (void)state;
    tf_scan_t scan;
    tf_scan_init(&scan, "[]", 2);
    assert_true(tf_scan_skip(&scan));
    tf_scan_fail(&scan);
    assert_false(tf_scan_end(&scan));
}

static void a_text_that_was_not_scanned_whole_has_no_end(void **state)
{
    (void)state;
    tf_scan_t scan;
    tf_scan_init(&scan, "   ", 3);
    assert_false(tf_scan_end(&scan));
    tf_scan_init(&scan, "[1]", 3);
    assert_true(tf_scan_array(&scan) && tf_scan_item(&scan) && tf_scan_skip(&scan));
    assert_false(tf_scan_end(&scan));
}

static void unsigned_integers_are_exact_to_the_last_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"9007199254740993", true, 9007199254740993ULL},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"184467440737095516150", false, 0},
        {"-1", false, 0},
        {"-0", false, 0},
        {"00", false, 0},
        {"01", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"1E2", false, 0},
        {"\"1\"", false, 0},
        {"", false, 0},
        {"null", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tf_scan_t scan;
        uint64_t value = 1234;
        tf_scan_init(&scan, cases[i].text, strlen(cases[i].text));
        bool good = tf_scan_uint(&scan, &value) && tf_scan_end(&scan);
        assert_int_equal(good, cases[i].good);
        if (good)
            assert_true(value == cases[i].value);
    }
}

static void strings_of_every_length_and_alignment_end_at_their_quote(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 40; bytes++) {
        for (size_t bad = 0; bad <= bytes; bad++) {
            char text[64];
            memset(text, 'x', sizeof text);
            text[0] = '"';
            text[bytes + 1] = '"';
            assert_true(whole(text, bytes + 2));
            if (bad == bytes)
                continue;
            text[bad + 1] = '\x1f';
            assert_false(whole(text, bytes + 2));
            text[bad + 1] = ' ';
            assert_true(whole(text, bytes + 2));
            text[bad + 1] = '\xbf';
            assert_false(whole(text, bytes + 2));
            text[bad + 1] = '\\'; /* with an x: no such escape; at the end: the quote is escaped */
            assert_false(whole(text, bytes + 2));
        }
    }
}

static void escapes_resolve_to_utf8(void **state)
{
    (void)state;
    static const char raw[] = "a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud834\\udd1ez";
    static const char want[] = "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9ez";
    char out[sizeof raw];
    tf_slice_t slice = {raw, sizeof raw - 1};
    assert_int_equal(tf_scan_unescape(slice, out, sizeof out), sizeof want - 1);
    assert_memory_equal(out, want, sizeof want - 1);
    assert_int_equal(tf_scan_unescape(slice, out, sizeof want - 1), sizeof want - 1);
    for (size_t room = 0; room < sizeof want - 1; room++)
        assert_int_equal(tf_scan_unescape(slice, out, room), -1);
    assert_int_equal(tf_scan_unescape((tf_slice_t){raw, 0}, out, 0), 0);
}

static void lone_surrogates_do_not_resolve(void **state)
{
    (void)state;
    static const char *const raws[] = {"\\ud800",  "\\udc00", "\\ud800\\ud800",
                                       "\\ud834x", "\\u12",   "\\"};
    for (size_t i = 0; i < COUNT(raws); i++) {
        char out[32];
        assert_int_equal(tf_scan_unescape((tf_slice_t){raws[i], strlen(raws[i])}, out, sizeof out),
                         -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_accepted),
        cmocka_unit_test(invalid_texts_are_refused),
        cmocka_unit_test(mutated_texts_are_judged_as_jansson_judges_them),
        cmocka_unit_test(nesting_is_accepted_up_to_the_limit_only),
        cmocka_unit_test(a_walk_gives_keys_and_values_in_order),
        cmocka_unit_test(a_comma_before_the_end_is_refused_even_when_only_peeked_at),
        cmocka_unit_test(after_an_error_every_call_answers_no),
        cmocka_unit_test(a_caller_may_refuse_a_text_that_is_valid),
        cmocka_unit_test(a_text_that_was_not_scanned_whole_has_no_end),
        cmocka_unit_test(unsigned_integers_are_exact_to_the_last_one),
        cmocka_unit_test(strings_of_every_length_and_alignment_end_at_their_quote),
        cmocka_unit_test(escapes_resolve_to_utf8),
        cmocka_unit_test(lone_surrogates_do_not_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
