#include "kit/kit.h"

#include "base/rng.h"
#include "codec/channel.h"

#include <string.h>

static tf_channel_result_t parse(const char *name, const tf_channel_options_t *options,
                                 tf_channel_t *out)
{
    return tf_channel_parse(name, strlen(name), options, out);
}

static void resolves_to(const char *name, const tf_channel_options_t *options,
                        const char *canonical)
{
    tf_channel_t channel;
    tf_buf_t buf = {0};
    assert_int_equal(parse(name, options, &channel), TF_CHANNEL_OK);
    tf_channel_write(&buf, &channel);
    tf_buf_put(&buf, "", 1);
    assert_string_equal(buf.data, canonical);
    tf_buf_fini(&buf);
}

static void refused_as(tf_channel_result_t expected, const char *name)
{
    tf_channel_t channel;
    tf_channel_t before;
    memset(&channel, 0x5a, sizeof channel);
    before = channel;
    assert_int_equal(parse(name, NULL, &channel), expected);
    assert_memory_equal(&channel, &before, sizeof channel);
}

static void short_names_get_the_defaults(void **state)
{
    (void)state;
    resolves_to("book.coinbase.BTC-USD", NULL, "book.coinbase.BTC-USD.10.100ms");
    resolves_to("ticker.coinbase.BTC-USD", NULL, "ticker.coinbase.BTC-USD.100ms");
    resolves_to("bbo.coinbase.BTC-USD", NULL, "bbo.coinbase.BTC-USD.raw");
    resolves_to("trades.coinbase.BTC-USD", NULL, "trades.coinbase.BTC-USD.raw");
    resolves_to("bbo.best.BTC-USD-PERP", NULL, "bbo.best.BTC-USD-PERP.raw");
}

static void depth_and_rate_of_a_book_can_each_be_left_out(void **state)
{
    (void)state;
    resolves_to("book.kraken.ETH-USD.50", NULL, "book.kraken.ETH-USD.50.100ms");
    resolves_to("book.kraken.ETH-USD.raw", NULL, "book.kraken.ETH-USD.10.raw");
    resolves_to("book.kraken.ETH-USD.1.1s", NULL, "book.kraken.ETH-USD.1.1s");
    resolves_to("book.kraken.ETH-USD.full.250ms", NULL, "book.kraken.ETH-USD.full.250ms");
}

static void canonical_names_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const names[] = {
        "book.coinbase.BTC-USD.1.raw",        "book.coinbase.BTC-USD.10.100ms",
        "book.coinbase.BTC-USD.25.250ms",     "book.coinbase.BTC-USD.50.1s",
        "book.coinbase.BTC-USD.200.raw",      "book.coinbase.BTC-USD.1000.raw",
        "book.coinbase.BTC-USD.full.raw",     "trades.okx.BTC-USDT-20260327.raw",
        "trades.okx.BTC-USDT-20260327.100ms", "ticker.a_1.1INCH-USD.1s",
        "ticker.binance.BTC-USDT-PERP.100ms", "bbo.binance.BTC-USDT.250ms",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        resolves_to(names[i], NULL, names[i]);
}

static void options_fill_in_what_a_name_omits(void **state)
{
    (void)state;
    const tf_channel_options_t options = {
        .has_rate = true, .has_depth = true, .rate = TF_RATE_100MS, .depth = 50};
    resolves_to("book.coinbase.BTC-USD", &options, "book.coinbase.BTC-USD.50.100ms");
    resolves_to("book.coinbase.BTC-USD.1", &options, "book.coinbase.BTC-USD.1.100ms");
    resolves_to("book.coinbase.BTC-USD.raw", &options, "book.coinbase.BTC-USD.50.raw");
    resolves_to("trades.kraken.ETH-USD", &options, "trades.kraken.ETH-USD.100ms");
    resolves_to("trades.kraken.ETH-USD.raw", &options, "trades.kraken.ETH-USD.raw");
}

static void an_option_the_kind_does_not_have_leaves_its_default(void **state)
{
    (void)state;
    const tf_channel_options_t options = {
        .has_rate = true, .has_depth = true, .rate = TF_RATE_1S, .depth = TF_DEPTH_FULL};
    resolves_to("trades.kraken.ETH-USD", &options, "trades.kraken.ETH-USD.raw");
    resolves_to("ticker.kraken.ETH-USD", &options, "ticker.kraken.ETH-USD.1s");
    const tf_channel_options_t none = {.rate = TF_RATE_1S, .depth = 1};
    resolves_to("book.kraken.ETH-USD", &none, "book.kraken.ETH-USD.10.100ms");
}

static void each_wrong_part_has_its_own_result(void **state)
{
    (void)state;
    refused_as(TF_CHANNEL_KIND, "");
    refused_as(TF_CHANNEL_KIND, ".coinbase.BTC-USD");
    refused_as(TF_CHANNEL_KIND, "Book.coinbase.BTC-USD");
    refused_as(TF_CHANNEL_KIND, "boo.coinbase.BTC-USD");
    refused_as(TF_CHANNEL_KIND, "books.*.*");
    refused_as(TF_CHANNEL_KIND, "candles.coinbase.BTC-USD");
    refused_as(TF_CHANNEL_KIND, "instrument.coinbase");
    refused_as(TF_CHANNEL_VENUE, "book");
    refused_as(TF_CHANNEL_VENUE, "book.");
    refused_as(TF_CHANNEL_VENUE, "book.Coinbase.BTC-USD");
    refused_as(TF_CHANNEL_VENUE, "book.sixteen_letters_.BTC-USD");
    refused_as(TF_CHANNEL_SYMBOL, "book.coinbase");
    refused_as(TF_CHANNEL_SYMBOL, "book.coinbase.");
    refused_as(TF_CHANNEL_SYMBOL, "book.coinbase.BTCUSD");
    refused_as(TF_CHANNEL_SYMBOL, "book.coinbase.btc-usd");
    refused_as(TF_CHANNEL_SYMBOL, "book.coinbase.BTC-*");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.11");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.010");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.raw.10");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.10.10");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.10.raw.raw");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.10.raw.");
    refused_as(TF_CHANNEL_OPTION, "book.coinbase.BTC-USD.10.5s");
    refused_as(TF_CHANNEL_OPTION, "trades.coinbase.BTC-USD.1s");
    refused_as(TF_CHANNEL_OPTION, "ticker.coinbase.BTC-USD.10");
    refused_as(TF_CHANNEL_WILDCARD, "ticker.binance.*");
    refused_as(TF_CHANNEL_WILDCARD, "ticker.*.BTC-USD");
    refused_as(TF_CHANNEL_WILDCARD, "*.binance.BTC-USD");
    refused_as(TF_CHANNEL_WILDCARD, "book.binance.BTC-USD.*");
}

static void a_venues_channel_is_kind_and_venue_whatever_the_options(void **state)
{
    (void)state;
    const tf_channel_options_t options = {
        .has_rate = true, .has_depth = true, .rate = TF_RATE_1S, .depth = 50};
    static const char *const names[] = {"instruments.coinbase", "status.coinbase", "status.a_1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tf_channel_t channel;
        resolves_to(names[i], NULL, names[i]);
        resolves_to(names[i], &options, names[i]);
        assert_int_equal(parse(names[i], &options, &channel), TF_CHANNEL_OK);
        assert_int_equal(channel.rate, TF_RATE_RAW);
        assert_int_equal(channel.depth, TF_DEPTH_NONE);
        assert_string_equal(channel.symbol, "");
        assert_string_equal(channel.venue, strchr(names[i], '.') + 1);
    }
}

static void wrong_names_of_a_venues_channel_have_their_own_results(void **state)
{
    (void)state;
    refused_as(TF_CHANNEL_VENUE, "status");
    refused_as(TF_CHANNEL_VENUE, "instruments.");
    refused_as(TF_CHANNEL_VENUE, "status.Coinbase");
    refused_as(TF_CHANNEL_VENUE, "status..BTC-USD");
    refused_as(TF_CHANNEL_VENUE_END, "status.coinbase.");
    refused_as(TF_CHANNEL_VENUE_END, "status.coinbase.BTC-USD");
    refused_as(TF_CHANNEL_VENUE_END, "status.coinbase.raw");
    refused_as(TF_CHANNEL_VENUE_END, "instruments.coinbase.10");
    refused_as(TF_CHANNEL_VENUE_END, "instruments.coinbase.BTC-USD.*");
    refused_as(TF_CHANNEL_WILDCARD, "status.*");
    refused_as(TF_CHANNEL_WILDCARD, "instruments.*.BTC-USD");
    refused_as(TF_CHANNEL_WILDCARD, "instruments.coinbase.*");
}

static void only_instruments_and_status_are_a_venues(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool of_venue;
    } expected[TF_KIND_COUNT] = {{"ticker", false}, {"bbo", false},        {"trades", false},
                                 {"book", false},   {"instruments", true}, {"status", true}};
    for (unsigned i = 0; i < TF_KIND_COUNT; i++) {
        tf_kind_t kind = (tf_kind_t)i;
        assert_string_equal(tf_kind_text(kind), expected[i].text);
        assert_int_equal(tf_kind_of_venue(kind), expected[i].of_venue);
        for (unsigned rate = 0; rate < TF_RATE_COUNT && expected[i].of_venue; rate++)
            assert_false(tf_kind_has_rate(kind, (tf_rate_t)rate));
    }
}

static void bytes_behind_the_name_are_not_read(void **state)
{
    (void)state;
    tf_channel_t channel;
    static const char text[] = "book.coinbase.BTC-USD.10.rawX";
    assert_int_equal(tf_channel_parse(text, sizeof text - 2, NULL, &channel), TF_CHANNEL_OK);
    assert_int_equal(channel.rate, TF_RATE_RAW);
    assert_int_equal(tf_channel_parse(text, 21, NULL, &channel), TF_CHANNEL_OK);
    assert_int_equal(channel.depth, 10);
    assert_int_equal(tf_channel_parse("book.coin\0base.BTC-USD", 22, NULL, &channel),
                     TF_CHANNEL_VENUE);
    assert_int_equal(tf_channel_parse("trades.a.B-C.raw\0", 17, NULL, &channel), TF_CHANNEL_OPTION);
}

static void longest_name_fits_the_constant(void **state)
{
    (void)state;
    tf_channel_t channel;
    tf_buf_t buf = {0};
    static const char name[] = "book.fifteen_letters.SYMBOL789012345-SYMBOL-20260327.1000.100ms";
    assert_int_equal(parse(name, NULL, &channel), TF_CHANNEL_OK);
    tf_channel_write(&buf, &channel);
    assert_int_equal(buf.bytes, sizeof name - 1);
    assert_in_range(buf.bytes, 1, TF_CHANNEL_BYTES_MAX - 1);
    tf_buf_fini(&buf);
}

static void rates_are_those_of_the_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t period_ns;
    } expected[TF_RATE_COUNT] = {
        {"raw", 0}, {"100ms", 100000000}, {"250ms", 250000000}, {"1s", 1000000000}};
    for (unsigned i = 0; i < TF_RATE_COUNT; i++) {
        tf_rate_t rate;
        assert_string_equal(tf_rate_text((tf_rate_t)i), expected[i].text);
        assert_int_equal(tf_rate_period_ns((tf_rate_t)i), expected[i].period_ns);
        assert_true(tf_rate_parse(expected[i].text, strlen(expected[i].text), &rate));
        assert_int_equal(rate, i);
        assert_int_equal(tf_kind_has_rate(TF_KIND_TRADES, rate), i < 2);
        assert_true(tf_kind_has_rate(TF_KIND_BOOK, rate));
    }
    tf_rate_t rate;
    assert_false(tf_rate_parse("", 0, &rate));
    assert_false(tf_rate_parse("RAW", 3, &rate));
    expect_assert_failure(tf_rate_text(TF_RATE_COUNT));
    expect_assert_failure(tf_kind_text(TF_KIND_COUNT));
}

/* A name made of parts, good and bad, is either refused or resolved to a name that resolves to
 * itself. */
static void canonical_form_is_a_fixed_point(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "book",   "trades",      "bbo", "ticker", "coinbase", "kraken", "BTC-USD", "ETH-USD-PERP",
        "10",     "full",        "raw", "1s",     "100ms",    "*",      "",        "x",
        "status", "instruments",
    };
    tf_rng_t rng = {t_seed(3)};
    tf_buf_t name = {0};
    tf_buf_t canonical = {0};
    unsigned accepted = 0;
    for (uint64_t round = t_rounds(20000); round > 0; round--) {
        tf_buf_reset(&name);
        size_t count = 1 + tf_rng_next(&rng) % 6;
        for (size_t i = 0; i < count; i++) {
            /* Mostly a part that fits the place, so that enough names are good. */
            size_t part = tf_rng_next(&rng) % (sizeof parts / sizeof parts[0]);
            if (i < 3 && tf_rng_next(&rng) % 8 != 0)
                part = (size_t[]){part % 4, 4 + part % 2, 6 + part % 2}[i];
            if (i > 0)
                tf_buf_lit(&name, ".");
            tf_buf_text(&name, parts[part]);
        }
        tf_channel_t first;
        tf_channel_t second;
        if (tf_channel_parse(name.data, name.bytes, NULL, &first) != TF_CHANNEL_OK)
            continue;
        accepted++;
        tf_buf_reset(&canonical);
        tf_channel_write(&canonical, &first);
        assert_int_equal(tf_channel_parse(canonical.data, canonical.bytes, NULL, &second),
                         TF_CHANNEL_OK);
        assert_memory_equal(&first, &second, sizeof first);
    }
    assert_in_range(accepted, 1, UINT32_MAX);
    tf_buf_fini(&name);
    tf_buf_fini(&canonical);
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_names_get_the_defaults),
        cmocka_unit_test(depth_and_rate_of_a_book_can_each_be_left_out),
        cmocka_unit_test(canonical_names_stay_as_they_are),
        cmocka_unit_test(options_fill_in_what_a_name_omits),
        cmocka_unit_test(an_option_the_kind_does_not_have_leaves_its_default),
        cmocka_unit_test(each_wrong_part_has_its_own_result),
        cmocka_unit_test(a_venues_channel_is_kind_and_venue_whatever_the_options),
        cmocka_unit_test(wrong_names_of_a_venues_channel_have_their_own_results),
        cmocka_unit_test(only_instruments_and_status_are_a_venues),
        cmocka_unit_test(bytes_behind_the_name_are_not_read),
        cmocka_unit_test(longest_name_fits_the_constant),
        cmocka_unit_test(rates_are_those_of_the_protocol),
        cmocka_unit_test(canonical_form_is_a_fixed_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
