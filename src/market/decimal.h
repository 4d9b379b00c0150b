/*
 * decimal: exact prices and sizes. Pure functions; any thread.
 *
 * A number is an int64 mantissa and a count of decimals ("dp"): "63514.60" is {6351460, 2}. There
 * is no floating point between a venue's text and a client's text, and nothing is ever rounded:
 * what does not fit is an error that the caller counts and shows (ARCHITECTURE.md, "Decisions").
 */
#pragma once

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TF_DECIMAL_DP_MAX = 18,         /* 10^18 is the largest power of ten in an int64 */
    TF_DECIMAL_TEXT_BYTES_MAX = 24, /* '-' + 19 digits + '.' + a leading "0" + NUL, rounded up */
};

typedef struct tf_decimal {
    int64_t mantissa;
    uint8_t dp; /* digits after the point as written, trailing zeros included */
} tf_decimal_t;

typedef enum tf_decimal_result {
    TF_DECIMAL_OK,
    TF_DECIMAL_SYNTAX,   /* not [-]digits[.digits]: empty, blanks, exponent, NaN, two points, ... */
    TF_DECIMAL_OVERFLOW, /* well-formed, but does not fit the mantissa or TF_DECIMAL_DP_MAX */
    TF_DECIMAL_FINER,    /* rescale only: a non-zero digit lies beyond the wanted dp */
} tf_decimal_result_t;

/*
 * Parse exactly `bytes` bytes of JSON number text (or the inside of a JSON string).
 *
 * Accepts [-]digits[.digits]; leading zeros are accepted (venues pad), "+", "1.", ".5" and
 * exponents are not. Trailing zeros after the point that do not fit any more are dropped before
 * OVERFLOW is answered ("1.000000000000000000000000" is {1000000000000000000, 18}). *out is written
 * on OK only.
 */
TF_MUST_CHECK tf_decimal_result_t tf_decimal_parse(const char *text, size_t bytes,
                                                   tf_decimal_t *out);

/* The same number with `dp` decimals: OK, FINER (would lose a digit) or OVERFLOW. *out is the new
 * mantissa, written on OK only. dp <= TF_DECIMAL_DP_MAX. */
TF_MUST_CHECK tf_decimal_result_t tf_decimal_rescale(tf_decimal_t value, uint8_t dp, int64_t *out);

/* The fewest decimals that hold the number exactly (trailing zeros dropped): {6351460, 2} -> 1. */
uint8_t tf_decimal_dp_min(tf_decimal_t value);

/*
 * Write the number with exactly `dp` decimals and no exponent: (5, 2) -> "0.05", (-7, 0) -> "-7".
 *
 * out      at least TF_DECIMAL_TEXT_BYTES_MAX bytes, owned by the caller; no NUL is written
 * returns  bytes written
 */
size_t tf_decimal_write(char *out, int64_t mantissa, uint8_t dp);
