#include "market/decimal.h"

enum {
    SHORT_BYTES_MAX = 19, /* 19 digits stay below 10^19 < 2^64, so a short text cannot wrap */
    BASE = 10,
};

static const uint64_t power_of_ten[] = {
    1ULL,
    10ULL,
    100ULL,
    1000ULL,
    10000ULL,
    100000ULL,
    1000000ULL,
    10000000ULL,
    100000000ULL,
    1000000000ULL,
    10000000000ULL,
    100000000000ULL,
    1000000000000ULL,
    10000000000000ULL,
    100000000000000ULL,
    1000000000000000ULL,
    10000000000000000ULL,
    100000000000000000ULL,
    1000000000000000000ULL,
    10000000000000000000ULL, /* for counting digits only: one more than TF_DECIMAL_DP_MAX */
};

_Static_assert(sizeof power_of_ten / sizeof power_of_ten[0] == TF_DECIMAL_DP_MAX + 2,
               "every dp, and the largest power of ten in a uint64");

/* Anything but '0'..'9' is above 9. */
static unsigned digit_of(char byte)
{
    return (unsigned)(unsigned char)byte - '0';
}

static tf_decimal_result_t store(uint64_t magnitude, bool negative, size_t dp, tf_decimal_t *out)
{
    out->mantissa = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    out->dp = (uint8_t)dp;
    return TF_DECIMAL_OK;
}

/* Where the point is (`bytes` when there is none), or SIZE_MAX when the text is no number. */
static size_t point_find(const char *digits, size_t bytes)
{
    size_t point = bytes;
    for (size_t i = 0; i < bytes; i++) {
        if (digit_of(digits[i]) < BASE)
            continue;
        if (digits[i] != '.' || point != bytes)
            return SIZE_MAX;
        point = i;
    }
    return point == 0 || point + 1 == bytes ? SIZE_MAX : point;
}

/* Append one digit; false when the result is no int64 mantissa any more. */
static bool push_digit(uint64_t *magnitude, unsigned digit)
{
    if (*magnitude > ((uint64_t)INT64_MAX - digit) / BASE)
        return false;
    *magnitude = *magnitude * BASE + digit;
    return true;
}

/* Padded or oversized text: rare, so every step is checked and it may be read twice. */
static tf_decimal_result_t parse_long(const char *digits, size_t bytes, bool negative,
                                      tf_decimal_t *out)
{
    size_t point = point_find(digits, bytes);
    if (point == SIZE_MAX)
        return TF_DECIMAL_SYNTAX;
    size_t end = bytes; /* behind the last digit that must not be lost */
    while (end > point + 1 && digits[end - 1] == '0')
        end--;
    uint64_t magnitude = 0;
    for (size_t i = 0; i < end; i++) {
        if (i != point && !push_digit(&magnitude, digit_of(digits[i])))
            return TF_DECIMAL_OVERFLOW;
    }
    size_t dp = end > point ? end - point - 1 : 0;
    if (dp > TF_DECIMAL_DP_MAX)
        return TF_DECIMAL_OVERFLOW;
    while (end < bytes && dp < TF_DECIMAL_DP_MAX && push_digit(&magnitude, 0)) {
        end++;
        dp++;
    }
    return store(magnitude, negative, dp, out);
}

tf_decimal_result_t tf_decimal_parse(const char *text, size_t bytes, tf_decimal_t *out)
{
    if (bytes == 0)
        return TF_DECIMAL_SYNTAX;
    bool negative = text[0] == '-';
    const char *digits = text + (negative ? 1 : 0);
    bytes -= negative ? 1 : 0;
    if (bytes > SHORT_BYTES_MAX)
        return parse_long(digits, bytes, negative, out);

    uint64_t magnitude = 0;
    size_t i = 0;
    while (i < bytes && digit_of(digits[i]) < BASE)
        magnitude = magnitude * BASE + digit_of(digits[i++]);
    if (i == 0)
        return TF_DECIMAL_SYNTAX;
    if (i == bytes) /* only a whole number can have 19 digits */
        return magnitude > (uint64_t)INT64_MAX ? TF_DECIMAL_OVERFLOW
                                               : store(magnitude, negative, 0, out);
    size_t point = i++;
    if (digits[point] != '.' || i == bytes)
        return TF_DECIMAL_SYNTAX;
    while (i < bytes && digit_of(digits[i]) < BASE)
        magnitude = magnitude * BASE + digit_of(digits[i++]);
    return i == bytes ? store(magnitude, negative, bytes - point - 1, out) : TF_DECIMAL_SYNTAX;
}

tf_decimal_result_t tf_decimal_rescale(tf_decimal_t value, uint8_t dp, int64_t *out)
{
    TF_ASSERT(value.dp <= TF_DECIMAL_DP_MAX && dp <= TF_DECIMAL_DP_MAX);
    int64_t scaled;
    if (dp >= value.dp) {
        int64_t factor = (int64_t)power_of_ten[dp - value.dp];
        if (__builtin_mul_overflow(value.mantissa, factor, &scaled) || scaled == INT64_MIN)
            return TF_DECIMAL_OVERFLOW;
    } else {
        int64_t divisor = (int64_t)power_of_ten[value.dp - dp];
        if (value.mantissa % divisor != 0)
            return TF_DECIMAL_FINER;
        scaled = value.mantissa / divisor;
    }
    *out = scaled;
    return TF_DECIMAL_OK;
}

uint8_t tf_decimal_dp_min(tf_decimal_t value)
{
    if (value.mantissa == 0)
        return 0;
    while (value.dp > 0 && value.mantissa % BASE == 0) {
        value.mantissa /= BASE;
        value.dp--;
    }
    return value.dp;
}

static size_t digit_count(uint64_t value)
{
    /* 1233 / 4096 is just above log10(2), so this is the count or one too few. */
    size_t guess = (64U - (unsigned)__builtin_clzll(value | 1)) * 1233U >> 12;
    return guess + (value >= power_of_ten[guess] ? 1U : 0U);
}

size_t tf_decimal_write(char *out, int64_t mantissa, uint8_t dp)
{
    TF_ASSERT(dp <= TF_DECIMAL_DP_MAX);
    char *at = out;
    uint64_t rest = (uint64_t)mantissa;
    if (mantissa < 0) {
        rest = 0 - rest;
        *at++ = '-';
    }
    size_t digits = digit_count(rest);
    if (digits <= dp)
        digits = dp + 1U; /* at least one before the point */
    char *end = at + digits + (dp > 0 ? 1 : 0);
    at = end;
    for (uint8_t i = 0; i < dp; i++) {
        *--at = (char)('0' + rest % BASE);
        rest /= BASE;
    }
    if (dp > 0)
        *--at = '.';
    for (size_t i = dp; i < digits; i++) {
        *--at = (char)('0' + rest % BASE);
        rest /= BASE;
    }
    return (size_t)(end - out);
}
