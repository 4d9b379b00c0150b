#include "kit/kit.h"

#include "base/rng.h"
#include "venue/adapter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool parse(const char *text, int64_t *out_ns)
{
    return tf_time_parse_rfc3339((tf_slice_t){text, strlen(text)}, out_ns);
}

static void an_adapter_is_found_by_its_exact_name(void **state)
{
    (void)state;
    assert_ptr_equal(tf_adapter_find("coinbase", 8), &tf_adapter_coinbase);
    assert_ptr_equal(tf_adapter_find("coinbases", 8), &tf_adapter_coinbase);
    assert_null(tf_adapter_find("coinbas", 7));
    assert_null(tf_adapter_find("coinbase2", 9));
    assert_null(tf_adapter_find("Coinbase", 8));
    assert_null(tf_adapter_find("", 0));
}

static void every_adapter_is_complete_and_its_symbols_convert(void **state)
{
    (void)state;
    for (size_t i = 0; tf_adapters[i] != NULL; i++) {
        const tf_adapter_ops_t *ops = tf_adapters[i];
        assert_true(tf_venue_name_valid(ops->venue, strlen(ops->venue)));
        assert_true(ops->create && ops->destroy && ops->decode && ops->decode_http && ops->request);
        assert_true(ops->rules.resync_spacing_ns > 0);
        size_t symbols = 0;
        for (; ops->default_symbols[symbols] != NULL; symbols++) {
            char venue_symbol[TF_SYMBOL_BYTES_MAX], back[TF_SYMBOL_BYTES_MAX];
            assert_true(ops->symbol_to_venue(ops->default_symbols[symbols], venue_symbol));
            assert_true(
                ops->symbol_from_venue((tf_slice_t){venue_symbol, strlen(venue_symbol)}, back));
            assert_string_equal(back, ops->default_symbols[symbols]);
        }
        assert_in_range(symbols, 5, 20);
    }
}

static void times_are_read_to_the_nanosecond(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000000001Z", 1},
        {"1970-01-02T00:00:01.5Z", 86401500000000},
        {"2026-07-07T22:58:17.038046Z", 1783465097038046000},
        {"2026-07-07T23:36:24.683209774Z", 1783467384683209774},
        {"2000-02-29T12:00:00Z", 951825600000000000},
        {"2016-12-31T23:59:60Z", 1483228800000000000},
        {"2261-12-31T23:59:59.999999999Z", 9214646399999999999},
        {"1969-12-31T23:59:59.999999Z", TF_TIME_NONE},
        {"0001-01-01T00:00:00.000000Z", TF_TIME_NONE},
        {"0000-02-29T00:00:00Z", TF_TIME_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 42;
        if (!parse(cases[i].text, &ns) || ns != cases[i].ns)
            fail_msg("%s gave %lld", cases[i].text, (long long)ns);
    }
}

static void malformed_times_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "Z",
        "2026-07-07T22:58:17",
        "2026-07-07T22:58:17.Z",
        "2026-07-07T22:58:17.1234567890Z",
        "2026-07-07T22:58:17.12 4Z",
        "2026-07-07T22:58:17,5Z",
        "2026-07-07T22:58:17+00:00",
        "2026-07-07T22:58:17z",
        "2026-07-07t22:58:17Z",
        "2026-07-07 22:58:17Z",
        "2026-7-07T22:58:17Z",
        "2026/07/07T22:58:17Z",
        "2026-00-07T22:58:17Z",
        "2026-13-07T22:58:17Z",
        "2026-07-00T22:58:17Z",
        "2026-07-32T22:58:17Z",
        "2026-02-29T22:58:17Z",
        "2100-02-29T22:58:17Z",
        "2026-07-07T24:00:00Z",
        "2026-07-07T22:60:17Z",
        "2026-07-07T22:58:61Z",
        "2026-07-07T22:58:-1Z",
        "-026-07-07T22:58:17Z",
        "2262-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        " 2026-07-07T22:58:17Z",
        "2026-07-07T22:58:17Z ",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ns = 42;
        if (parse(texts[i], &ns))
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(ns, 42);
    }
}

static void times_agree_with_the_c_library(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(1)};
    for (uint64_t round = t_rounds(20000); round > 0; round--) {
        time_t seconds = (time_t)tf_rng_below(&rng, 9214646400ULL);
        uint64_t fraction = tf_rng_below(&rng, 1000000);
        struct tm parts;
        char text[64];
        assert_non_null(gmtime_r(&seconds, &parts));
        size_t bytes = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
        (void)snprintf(text + bytes, sizeof text - bytes, ".%06uZ", (unsigned)fraction);
        int64_t ns = 0;
        assert_true(parse(text, &ns));
        assert_true(ns == (int64_t)seconds * 1000000000 + (int64_t)fraction * 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_is_found_by_its_exact_name),
        cmocka_unit_test(every_adapter_is_complete_and_its_symbols_convert),
        cmocka_unit_test(times_are_read_to_the_nanosecond),
        cmocka_unit_test(malformed_times_are_refused),
        cmocka_unit_test(times_agree_with_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
