#include "kit/kit.h"

#include "base/utf8.h"

#include <string.h>

/*
 * RFC 3629 the slow way: take the payload bits of what looks like a character, then refuse by value
 * (too small for its length, a surrogate, beyond U+10FFFF).
 */
static bool naive_valid(const uint8_t *data, size_t bytes)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t i = 0;
    while (i < bytes) {
        size_t length = 1;
        while (length <= 7 && (data[i] << length & 0x80) != 0)
            length++;
        if ((data[i] & 0x80) == 0) {
            i++;
            continue;
        }
        if (length < 2 || length > 4 || length > bytes - i)
            return false;
        uint32_t value = data[i] & (0x7fU >> length);
        for (size_t k = 1; k < length; k++) {
            if ((data[i + k] & 0xc0) != 0x80)
                return false;
            value = value << 6 | (data[i + k] & 0x3fU);
        }
        if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
            return false;
        i += length;
    }
    return true;
}

static void known_texts_are_judged_right(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain ASCII, longer than a word", true},
        {"\x7f", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac 5 \xf0\x9f\x9a\x80", true},
        {"\x80", false}, /* continuation first */
        {"\xbf", false},
        {"\xc0\xaf", false}, /* overlong '/' */
        {"\xc1\xbf", false},
        {"\xe0\x80\xaf", false},
        {"\xe0\x9f\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xed\xa0\x80", false}, /* surrogates */
        {"\xed\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false}, /* U+110000 */
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xc3", false}, /* cut */
        {"\xe2\x82", false},
        {"\xf0\x9f\x9a", false},
        {"\xe2\x82 ", false},
        {"12345678\xff", false},   /* behind a whole word of ASCII */
        {"1234567\xc3\xbc", true}, /* across the edge of a word */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *data = (const uint8_t *)cases[i].text;
        if (tf_utf8_valid(data, strlen(cases[i].text)) != cases[i].valid)
            fail_msg("case %zu", i);
        assert_int_equal(naive_valid(data, strlen(cases[i].text)), cases[i].valid);
    }
}

static void check(const uint8_t *data, size_t bytes)
{
    if (tf_utf8_valid(data, bytes) != naive_valid(data, bytes))
        fail_msg("%02x %02x %02x %02x (%zu bytes)", data[0], data[1], data[2], data[3], bytes);
}

static void every_text_of_up_to_three_bytes_agrees_with_the_naive_decoder(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 1U << 24; bits++) {
        const uint8_t data[4] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits, 0};
        check(data, 3);
        if ((bits & 0xff) == 0)
            check(data, 2);
        if ((bits & 0xffff) == 0)
            check(data, 1);
    }
}

/* Four bytes: all lead and second bytes, with the edges of what may follow. */
static void four_byte_texts_agree_with_the_naive_decoder(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                    0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xf0, 0xff};
    for (uint32_t bits = 0; bits < 1U << 24; bits++) {
        const uint8_t data[4] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), edges[bits >> 4 & 15],
                                 edges[bits & 15]};
        check(data, 4);
    }
}

static void every_code_point_is_accepted_and_every_cut_of_it_incomplete(void **state)
{
    (void)state;
    for (uint32_t point = 0x80; point <= 0x10ffff; point++) {
        if (point >= 0xd800 && point <= 0xdfff)
            continue;
        uint8_t text[4];
        size_t bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        for (size_t i = 1; i < bytes; i++)
            text[i] = (uint8_t)(0x80 | (point >> 6 * (bytes - 1 - i) & 0x3f));
        text[0] = (uint8_t)((0xf00U >> bytes & 0xff) | point >> 6 * (bytes - 1));
        tf_utf8_t fed = {0};
        for (size_t i = 0; i < bytes; i++) {
            assert_true(tf_utf8_feed(&fed, text + i, 1));
            assert_int_equal(tf_utf8_complete(&fed), i + 1 == bytes);
        }
    }
}

static void fragments_give_the_same_answer_as_the_whole(void **state)
{
    (void)state;
    static const char text[] = "0123456789abcdef \xc3\xbc \xe2\x82\xac \xf0\x9f\x9a\x80 and on";
    const uint8_t *data = (const uint8_t *)text;
    size_t bytes = sizeof text - 1;
    for (size_t first = 0; first <= bytes; first++) {
        for (size_t second = first; second <= bytes; second++) {
            tf_utf8_t fed = {0};
            assert_true(tf_utf8_feed(&fed, data, first));
            assert_true(tf_utf8_feed(&fed, data + first, second - first));
            assert_true(tf_utf8_feed(&fed, data + second, bytes - second));
            assert_true(tf_utf8_complete(&fed));
        }
    }
}

static void a_bad_byte_is_refused_at_once(void **state)
{
    (void)state;
    tf_utf8_t fed = {0};
    assert_true(tf_utf8_feed(&fed, (const uint8_t *)"\xed", 1));
    assert_false(tf_utf8_feed(&fed, (const uint8_t *)"\xa0", 1)); /* not one byte later */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_are_judged_right),
        cmocka_unit_test(every_text_of_up_to_three_bytes_agrees_with_the_naive_decoder),
        cmocka_unit_test(four_byte_texts_agree_with_the_naive_decoder),
        cmocka_unit_test(every_code_point_is_accepted_and_every_cut_of_it_incomplete),
        cmocka_unit_test(fragments_give_the_same_answer_as_the_whole),
        cmocka_unit_test(a_bad_byte_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
