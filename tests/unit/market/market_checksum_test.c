#include "kit/kit.h"

#include "market/checksum.h"

#include <string.h>

#include <zlib.h>

/* The book of the protocol's example, px_dp 2 and sz_dp 8. */
static const tf_level_t bids[] = {{6401233, 50000000}, {6401190, 100000000}, {6401000, 125000000}};
static const tf_level_t asks[] = {{6401234, 12000000}, {6401301, 30000000}};

static uint32_t crc_of(const char *text)
{
    return (uint32_t)crc32(0, (const Bytef *)text, (uInt)strlen(text));
}

static void protocol_vectors_hold(void **state)
{
    (void)state;
    assert_int_equal(tf_book_checksum(bids, 3, asks, 2, 2, 8), 1905641782U);
    const tf_level_t updated[] = {bids[0], bids[2]};
    assert_int_equal(tf_book_checksum(updated, 2, asks, 2, 2, 8), 1006567732U);
    assert_int_equal(tf_book_checksum(bids, 1, asks, 1, 2, 8), 2172007027U);
}

static void empty_book_is_zero(void **state)
{
    (void)state;
    assert_int_equal(tf_book_checksum(NULL, 0, NULL, 0, 2, 8), 0);
}

static void missing_side_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(tf_book_checksum(bids, 3, NULL, 0, 2, 8),
                     crc_of("64012.33:0.50000000:64011.90:1.00000000:64010.00:1.25000000"));
    assert_int_equal(tf_book_checksum(NULL, 0, asks, 2, 2, 8),
                     crc_of("64012.34:0.12000000:64013.01:0.30000000"));
    assert_int_equal(tf_book_checksum(bids, 1, asks, 2, 2, 8),
                     crc_of("64012.33:0.50000000:64012.34:0.12000000:64013.01:0.30000000"));
}

static void scale_decides_the_text(void **state)
{
    (void)state;
    const tf_level_t bid = {-37, 5};
    assert_int_equal(tf_book_checksum(&bid, 1, NULL, 0, 0, 0), crc_of("-37:5"));
    assert_int_equal(tf_book_checksum(&bid, 1, NULL, 0, 3, 1), crc_of("-0.037:0.5"));
}

static void levels_beyond_the_tenth_do_not_count(void **state)
{
    (void)state;
    tf_level_t deep[2][12];
    for (int i = 0; i < 12; i++) { /* as wide as figures get: the text buffer's worst case */
        deep[0][i] = (tf_level_t){-INT64_MAX + i, INT64_MAX - i};
        deep[1][i] = (tf_level_t){-INT64_MAX + 100 + i, INT64_MAX};
    }
    uint32_t ten = tf_book_checksum(deep[0], 10, deep[1], 10, 18, 18);
    assert_int_equal(tf_book_checksum(deep[0], 12, deep[1], 12, 18, 18), ten);
    assert_int_not_equal(tf_book_checksum(deep[0], 10, deep[1], 9, 18, 18), ten);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_vectors_hold),
        cmocka_unit_test(empty_book_is_zero),
        cmocka_unit_test(missing_side_is_skipped),
        cmocka_unit_test(scale_decides_the_text),
        cmocka_unit_test(levels_beyond_the_tenth_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
