#include "kit/kit.h"

#include "market/decimal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct parse_case {
    const char *text;
    int64_t mantissa;
    uint8_t dp;
    tf_decimal_result_t result;
} parse_case_t;

static tf_decimal_result_t parse(const char *text, tf_decimal_t *out)
{
    /* A block of the exact size, so that the sanitizer sees a read beyond the text. */
    size_t bytes = strlen(text);
    char *block = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(block);
    for (size_t i = 0; i < bytes; i++)
        block[i] = text[i];
    tf_decimal_result_t result = tf_decimal_parse(block, bytes, out);
    free(block);
    return result;
}

static void check(const parse_case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tf_decimal_t got = {-77, 77};
        tf_decimal_result_t result = parse(cases[i].text, &got);
        bool same =
            result == cases[i].result && got.mantissa == cases[i].mantissa && got.dp == cases[i].dp;
        if (!same)
            fail_msg("\"%s\": result %d, {%" PRId64 ", %d}", cases[i].text, (int)result,
                     got.mantissa, got.dp);
    }
}

static void well_formed_texts_are_exact(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"0", 0, 0, TF_DECIMAL_OK},
        {"-0", 0, 0, TF_DECIMAL_OK},
        {"-0.00", 0, 2, TF_DECIMAL_OK},
        {"63514.60", 6351460, 2, TF_DECIMAL_OK},
        {"0.00000001", 1, 8, TF_DECIMAL_OK},
        {"-37.63", -3763, 2, TF_DECIMAL_OK},
        {"000012", 12, 0, TF_DECIMAL_OK},
        {"0000000000000000000000001.5", 15, 1, TF_DECIMAL_OK},
        {"9223372036854775807", INT64_MAX, 0, TF_DECIMAL_OK},
        {"-9223372036854775807", -INT64_MAX, 0, TF_DECIMAL_OK},
        {"9.223372036854775807", INT64_MAX, 18, TF_DECIMAL_OK},
        {"0.000000000000000001", 1, 18, TF_DECIMAL_OK},
        {"-0.999999999999999999", -999999999999999999, 18, TF_DECIMAL_OK},
    };
    check(cases, sizeof cases / sizeof cases[0]);
}

static void zeros_that_do_not_fit_are_dropped(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"1.000000000000000000000000", 1000000000000000000, 18, TF_DECIMAL_OK},
        {"10.000000000000000000000000", 1000000000000000000, 17, TF_DECIMAL_OK},
        {"9223372036854775807.000", INT64_MAX, 0, TF_DECIMAL_OK},
        {"9223372036854775807.0", INT64_MAX, 0, TF_DECIMAL_OK},
        {"922337203685477580.70", INT64_MAX, 1, TF_DECIMAL_OK},
        {"0.00000000000000000000000000", 0, 18, TF_DECIMAL_OK},
        {"1.500000000000000000000000", 1500000000000000000, 18, TF_DECIMAL_OK},
        {"0.0000000000000000010", 1, 18, TF_DECIMAL_OK},
    };
    check(cases, sizeof cases / sizeof cases[0]);
}

static void what_does_not_fit_is_overflow(void **state)
{
    (void)state;
    static const parse_case_t cases[] = {
        {"9223372036854775808", -77, 77, TF_DECIMAL_OVERFLOW},
        {"-9223372036854775808", -77, 77, TF_DECIMAL_OVERFLOW},
        {"9999999999999999999", -77, 77, TF_DECIMAL_OVERFLOW},
        {"18446744073709551617", -77, 77, TF_DECIMAL_OVERFLOW},
        {"9223372036854775807.1", -77, 77, TF_DECIMAL_OVERFLOW},
        {"0.0000000000000000001", -77, 77, TF_DECIMAL_OVERFLOW},
        {"10.000000000000000001", -77, 77, TF_DECIMAL_OVERFLOW},
        {"100000000000000000000000000000000", -77, 77, TF_DECIMAL_OVERFLOW},
    };
    check(cases, sizeof cases / sizeof cases[0]);
}

static void malformed_texts_are_syntax_whatever_their_length(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "-",   ".",  "-.",  "1.",       ".5",   "-.5",  "+1",
        "1e5",   "1E5", " 1", "1 ",  "1,5",      "1..",  "1.2.", "1..2",
        "1.2.3", "--1", "1-", "NaN", "Infinity", "0x10", "1/2",  "1:2",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tf_decimal_t got = {-77, 77};
        assert_int_equal(parse(texts[i], &got), TF_DECIMAL_SYNTAX);
        char padded[64]; /* the same through the path of long texts */
        bool negative = texts[i][0] == '-';
        bool starts_with_point = texts[i][negative ? 1 : 0] == '.';
        if (texts[i][0] == '\0' || texts[i][negative ? 1 : 0] == '\0' || starts_with_point)
            continue; /* zeros in front would mend these */
        (void)snprintf(padded, sizeof padded, "%s000000000000000000000%s", negative ? "-" : "",
                       texts[i] + (negative ? 1 : 0));
        assert_int_equal(parse(padded, &got), TF_DECIMAL_SYNTAX);
        assert_int_equal(got.mantissa, -77);
        assert_int_equal(got.dp, 77);
    }
    tf_decimal_t got;
    assert_int_equal(parse("99999999999999999999999999x", &got), TF_DECIMAL_SYNTAX);
    assert_int_equal(parse(".00000000000000000000000001", &got), TF_DECIMAL_SYNTAX);
    assert_int_equal(parse("10000000000000000000000000.", &got), TF_DECIMAL_SYNTAX);
}

static void every_byte_but_a_digit_or_a_point_is_refused(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char text[] = "123456";
        text[3] = (char)byte;
        tf_decimal_t got;
        bool fine = (byte >= '0' && byte <= '9') || byte == '.';
        assert_int_equal(tf_decimal_parse(text, 6, &got), fine ? TF_DECIMAL_OK : TF_DECIMAL_SYNTAX);
    }
}

static void parse_reads_no_further_than_told(void **state)
{
    (void)state;
    tf_decimal_t got;
    assert_int_equal(tf_decimal_parse("12.345,", 4, &got), TF_DECIMAL_OK);
    assert_int_equal(got.mantissa, 123);
    assert_int_equal(got.dp, 1);
    assert_int_equal(tf_decimal_parse(NULL, 0, &got), TF_DECIMAL_SYNTAX);
}

static void rescale_is_exact_or_refuses(void **state)
{
    (void)state;
    int64_t out = -77;
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){6351460, 2}, 1, &out), TF_DECIMAL_OK);
    assert_int_equal(out, 635146);
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){635146, 1}, 8, &out), TF_DECIMAL_OK);
    assert_int_equal(out, 6351460000000);
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){0, 0}, 18, &out), TF_DECIMAL_OK);
    assert_int_equal(out, 0);
    out = -77;
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){6351461, 2}, 1, &out), TF_DECIMAL_FINER);
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){-1, 18}, 0, &out), TF_DECIMAL_FINER);
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){10, 0}, 18, &out), TF_DECIMAL_OVERFLOW);
    assert_int_equal(tf_decimal_rescale((tf_decimal_t){INT64_MIN, 0}, 0, &out),
                     TF_DECIMAL_OVERFLOW);
    assert_int_equal(out, -77);
}

static void dp_min_drops_trailing_zeros_only(void **state)
{
    (void)state;
    assert_int_equal(tf_decimal_dp_min((tf_decimal_t){6351460, 2}), 1);
    assert_int_equal(tf_decimal_dp_min((tf_decimal_t){6351400, 2}), 0);
    assert_int_equal(tf_decimal_dp_min((tf_decimal_t){-105, 2}), 2);
    assert_int_equal(tf_decimal_dp_min((tf_decimal_t){0, 18}), 0);
    assert_int_equal(tf_decimal_dp_min((tf_decimal_t){1000000000000000000, 18}), 0);
    assert_int_equal(tf_decimal_dp_min((tf_decimal_t){100, 0}), 0);
}

/* libc's idea of the same number: whole and fraction printed apart. */
static size_t write_expected(char *out, size_t room, int64_t mantissa, unsigned dp)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < dp; i++)
        unit *= 10;
    uint64_t magnitude = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    const char *sign = mantissa < 0 ? "-" : "";
    int used = dp == 0 ? snprintf(out, room, "%s%" PRIu64, sign, magnitude)
                       : snprintf(out, room, "%s%" PRIu64 ".%0*" PRIu64, sign, magnitude / unit,
                                  (int)dp, magnitude % unit);
    assert_true(used > 0);
    return (size_t)used;
}

static void write_check(int64_t mantissa, unsigned dp)
{
    char expected[64];
    char got[TF_DECIMAL_TEXT_BYTES_MAX];
    size_t expected_bytes = write_expected(expected, sizeof expected, mantissa, dp);
    memset(got, '#', sizeof got);
    size_t bytes = tf_decimal_write(got, mantissa, (uint8_t)dp);
    if (bytes != expected_bytes || memcmp(got, expected, bytes) != 0)
        fail_msg("(%" PRId64 ", %u): \"%.*s\" is not \"%s\"", mantissa, dp, (int)bytes, got,
                 expected);
    for (size_t i = bytes; i < sizeof got; i++)
        assert_int_equal(got[i], '#'); /* no NUL, nothing behind */
}

static void write_agrees_with_snprintf_at_every_power_of_ten(void **state)
{
    (void)state;
    for (unsigned dp = 0; dp <= TF_DECIMAL_DP_MAX; dp++) {
        int64_t power = 1;
        for (int i = 0; i <= TF_DECIMAL_DP_MAX; i++) {
            for (int64_t near = power - 1; near <= power + 1; near++) {
                write_check(near, dp);
                write_check(-near, dp);
            }
            if (i < TF_DECIMAL_DP_MAX)
                power *= 10;
        }
        write_check(INT64_MAX, dp);
        write_check(-INT64_MAX, dp);
        write_check(INT64_MIN, dp);
    }
    write_check(5, 2);
    write_check(-7, 0);
}

static void write_agrees_with_snprintf_at_every_power_of_two(void **state)
{
    (void)state;
    for (unsigned dp = 0; dp <= TF_DECIMAL_DP_MAX; dp++) {
        for (int bit = 0; bit < 63; bit++) {
            write_check((int64_t)(1ULL << bit), dp);
            write_check((int64_t)(1ULL << bit) - 1, dp);
        }
    }
}

static void rescale_ignoring_result(uint8_t from, uint8_t to)
{
    int64_t out;
    (void)!tf_decimal_rescale((tf_decimal_t){1, from}, to, &out);
}

static void too_many_decimals_are_a_programmer_error(void **state)
{
    (void)state;
    char text[64];
    expect_assert_failure(tf_decimal_write(text, 1, TF_DECIMAL_DP_MAX + 1));
    expect_assert_failure(rescale_ignoring_result(0, TF_DECIMAL_DP_MAX + 1));
    expect_assert_failure(rescale_ignoring_result(TF_DECIMAL_DP_MAX + 1, 0));
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_texts_are_exact),
        cmocka_unit_test(zeros_that_do_not_fit_are_dropped),
        cmocka_unit_test(what_does_not_fit_is_overflow),
        cmocka_unit_test(malformed_texts_are_syntax_whatever_their_length),
        cmocka_unit_test(every_byte_but_a_digit_or_a_point_is_refused),
        cmocka_unit_test(parse_reads_no_further_than_told),
        cmocka_unit_test(rescale_is_exact_or_refuses),
        cmocka_unit_test(dp_min_drops_trailing_zeros_only),
        cmocka_unit_test(write_agrees_with_snprintf_at_every_power_of_ten),
        cmocka_unit_test(write_agrees_with_snprintf_at_every_power_of_two),
        cmocka_unit_test(too_many_decimals_are_a_programmer_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
