/*
 * Decimals against string arithmetic (parse, write) and against 128-bit integers (rescale).
 * Optional argument: how many random numbers to try.
 */
#include "kit/kit.h"

#include "base/rng.h"
#include "market/decimal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_DEFAULT = 1000000,
    DIGITS_MAX = 30, /* on either side of the point */
    TEXT_MAX = 2 * DIGITS_MAX + 4,
};

__extension__ typedef __int128 wide_t;

static uint64_t rounds = ROUNDS_DEFAULT;

static void digits_draw(tf_rng_t *rng, char *out, size_t count)
{
    uint64_t zeros_in_10 = tf_rng_below(rng, 3) == 0 ? 9 : 2;
    for (size_t i = 0; i < count; i++)
        out[i] = (char)(tf_rng_below(rng, 10) < zeros_in_10 ? '0' : '0' + tf_rng_below(rng, 10));
}

/* A well-formed number: mostly of the size that venues send, sometimes at or over the edge. */
static size_t number_draw(tf_rng_t *rng, char *text)
{
    size_t used = 0;
    uint64_t most = tf_rng_below(rng, 3) == 0 ? DIGITS_MAX : 10;
    if (tf_rng_below(rng, 4) == 0)
        text[used++] = '-';
    size_t whole = 1 + tf_rng_below(rng, most);
    digits_draw(rng, text + used, whole);
    used += whole;
    if (tf_rng_below(rng, 8) != 0) {
        size_t fraction = 1 + tf_rng_below(rng, most);
        text[used++] = '.';
        digits_draw(rng, text + used, fraction);
        used += fraction;
    }
    text[used] = '\0';
    return used;
}

/* No more than INT64_MAX, compared as text? `digits` without leading zeros. */
static bool fits(const char *digits, size_t count)
{
    return count < 19 || (count == 19 && memcmp(digits, "9223372036854775807", 19) <= 0);
}

/*
 * What the text means, by moving characters only: `canonical` is the number as the writer should
 * print it and *dp its decimals. False when it cannot be held.
 */
static bool expectation(const char *text, char *canonical, size_t *dp)
{
    bool negative = *text == '-';
    text += negative ? 1 : 0;
    const char *point = strchr(text, '.');
    size_t whole = point == NULL ? strlen(text) : (size_t)(point - text);
    size_t fraction = point == NULL ? 0 : strlen(point + 1);
    char digits[TEXT_MAX];
    memcpy(digits, text, whole); /* NOLINT(bugprone-not-null-terminated-result): counted */
    memcpy(digits + whole, point == NULL ? "" : point + 1, fraction);
    size_t lead = 0;
    while (lead < whole && digits[lead] == '0')
        lead++;
    for (;; fraction--) { /* drop one zero at a time until it fits */
        size_t zeros = lead;
        while (zeros < whole + fraction && digits[zeros] == '0')
            zeros++;
        if (fraction <= TF_DECIMAL_DP_MAX && fits(digits + zeros, whole + fraction - zeros))
            break;
        if (fraction == 0 || digits[whole + fraction - 1] != '0')
            return false;
    }
    bool zero = strspn(digits, "0") >= whole + fraction;
    size_t used = 0;
    if (negative && !zero)
        canonical[used++] = '-';
    if (lead == whole)
        canonical[used++] = '0';
    memcpy(canonical + used, digits + lead, whole - lead);
    used += whole - lead;
    if (fraction > 0)
        canonical[used++] = '.';
    memcpy(canonical + used, digits + whole, fraction);
    canonical[used + fraction] = '\0';
    *dp = fraction;
    return true;
}

static void parse_and_write_agree_with_string_arithmetic(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0xdec1)};
    uint64_t held = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        char text[TEXT_MAX];
        char canonical[TEXT_MAX];
        size_t dp = 0;
        size_t bytes = number_draw(&rng, text);
        bool holds = expectation(text, canonical, &dp);
        tf_decimal_t got;
        tf_decimal_result_t result = tf_decimal_parse(text, bytes, &got);
        if (result != (holds ? TF_DECIMAL_OK : TF_DECIMAL_OVERFLOW))
            fail_msg("\"%s\": result %d", text, (int)result);
        if (!holds)
            continue;
        held++;
        char written[TF_DECIMAL_TEXT_BYTES_MAX];
        size_t count = tf_decimal_write(written, got.mantissa, got.dp);
        if (got.dp != dp || count != strlen(canonical) || memcmp(written, canonical, count) != 0)
            fail_msg("\"%s\": \"%.*s\" with %d decimals, not \"%s\"", text, (int)count, written,
                     got.dp, canonical);
    }
    assert_true(held > rounds / 2 && held < rounds); /* both kinds were met */
}

/* One byte of a good number replaced: a number again by the grammar, or SYNTAX. */
static void a_spoilt_byte_is_accepted_only_by_the_grammar(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0x5b01)};
    for (uint64_t round = 0; round < rounds / 4; round++) {
        char text[TEXT_MAX];
        size_t bytes = number_draw(&rng, text);
        static const char bytes_worth_trying[] = "0123456789..--+eE \0x/:,";
        text[tf_rng_below(&rng, bytes)] =
            bytes_worth_trying[tf_rng_below(&rng, sizeof bytes_worth_trying)];
        const char *at = text + (text[0] == '-' ? 1 : 0);
        size_t whole = strspn(at, "0123456789");
        size_t fraction = at[whole] == '.' ? strspn(at + whole + 1, "0123456789") : 0;
        const char *end = at + whole + (fraction > 0 ? fraction + 1 : 0);
        bool good = whole > 0 && end == text + bytes;
        tf_decimal_t got;
        if ((tf_decimal_parse(text, bytes, &got) != TF_DECIMAL_SYNTAX) != good)
            fail_msg("\"%s\" (%zu bytes)", text, bytes);
    }
}

static wide_t power(unsigned exponent)
{
    wide_t product = 1;
    while (exponent-- > 0)
        product *= 10;
    return product;
}

static void rescale_agrees_with_128_bit_arithmetic(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0x5ca1e)};
    uint64_t met[4] = {0};
    for (uint64_t round = 0; round < rounds; round++) {
        int64_t mantissa = (int64_t)(tf_rng_next(&rng) >> tf_rng_below(&rng, 64));
        uint8_t from = (uint8_t)tf_rng_below(&rng, TF_DECIMAL_DP_MAX + 1);
        uint8_t to = (uint8_t)tf_rng_below(&rng, TF_DECIMAL_DP_MAX + 1);
        if (tf_rng_below(&rng, 2)) /* something to drop without loss */
            mantissa -= mantissa % (int64_t)power((unsigned)tf_rng_below(&rng, 19));
        wide_t scaled = (wide_t)mantissa * power(to); /* < 2^63 * 10^18 < 2^127 */
        tf_decimal_result_t expected = TF_DECIMAL_OK;
        if (scaled % power(from) != 0)
            expected = TF_DECIMAL_FINER;
        scaled /= power(from);
        if (expected == TF_DECIMAL_OK && (scaled > INT64_MAX || scaled < -INT64_MAX))
            expected = TF_DECIMAL_OVERFLOW;
        int64_t got = -77;
        tf_decimal_result_t result = tf_decimal_rescale((tf_decimal_t){mantissa, from}, to, &got);
        bool same = result == expected && got == (result == TF_DECIMAL_OK ? (int64_t)scaled : -77);
        if (!same)
            fail_msg("{%" PRId64 ", %d} to %d: result %d, %" PRId64, mantissa, from, to,
                     (int)result, got);
        met[result]++;
    }
    assert_true(met[TF_DECIMAL_OK] > 0 && met[TF_DECIMAL_FINER] > 0 &&
                met[TF_DECIMAL_OVERFLOW] > 0);
}

static void dp_min_is_the_least_that_rescale_accepts(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0xd9)};
    for (uint64_t round = 0; round < rounds / 4; round++) {
        tf_decimal_t value = {(int64_t)(tf_rng_next(&rng) >> tf_rng_below(&rng, 64)),
                              (uint8_t)tf_rng_below(&rng, TF_DECIMAL_DP_MAX + 1)};
        value.mantissa -= value.mantissa % (int64_t)power((unsigned)tf_rng_below(&rng, 19));
        uint8_t least = 0;
        while (least < value.dp && (wide_t)value.mantissa % power(value.dp - least) != 0)
            least++;
        assert_int_equal(tf_decimal_dp_min(value), least);
    }
}

int main(int argc, char **argv)
{
    rounds = t_rounds(argc > 1 ? strtoull(argv[1], NULL, 10) : ROUNDS_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_and_write_agree_with_string_arithmetic),
        cmocka_unit_test(a_spoilt_byte_is_accepted_only_by_the_grammar),
        cmocka_unit_test(rescale_agrees_with_128_bit_arithmetic),
        cmocka_unit_test(dp_min_is_the_least_that_rescale_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
