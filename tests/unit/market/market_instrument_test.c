#include "kit/kit.h"

#include "market/instrument.h"

#include <string.h>

static bool split(const char *symbol)
{
    return tf_symbol_split(symbol, strlen(symbol), NULL, NULL);
}

static void canonical_symbols_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *symbol, *base, *quote;
    } cases[] = {
        {"BTC-USD", "BTC", "USD"},
        {"1INCH-USDT", "1INCH", "USDT"},
        {"BTC-USD-PERP", "BTC", "USD"},
        {"ETH-USDT-20261225", "ETH", "USDT"},
        {"A-B", "A", "B"},
        {"ABCDEFGHIJ-ABCDEFGHIJKLMNO-PERP", "ABCDEFGHIJ", "ABCDEFGHIJKLMNO"}, /* 31: it just fits */
        {"ABCDEFGHIJKLMNO-ABCDEFGHIJKLMNO", "ABCDEFGHIJKLMNO", "ABCDEFGHIJKLMNO"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char base[TF_SYMBOL_BYTES_MAX];
        char quote[TF_SYMBOL_BYTES_MAX];
        assert_true(tf_symbol_split(cases[i].symbol, strlen(cases[i].symbol), base, quote));
        assert_string_equal(base, cases[i].base);
        assert_string_equal(quote, cases[i].quote);
        assert_true(split(cases[i].symbol));
    }
}

static void other_symbols_are_refused(void **state)
{
    (void)state;
    static const char *const symbols[] = {
        "",
        "-",
        "BTC",
        "BTC-",
        "-USD",
        "BTC--USD",
        "btc-USD",
        "BTC-usd",
        "BTC/USD",
        "BTC-USD-",
        "BTC-USD-perp",
        "BTC-USD-SWAP",
        "BTC-USD-PERPS",
        "BTC-USD-2026122",
        "BTC-USD-202612250",
        "BTC-USD-2026122X",
        "BTC-USD-20261325",
        "BTC-USD-20260025",
        "BTC-USD-20261200",
        "BTC-USD-20261232",
        "BTC-USD-PERP-PERP",
        "BTC USD",
        "BTC-U\xc3\x84",
        "ABCDEFGHIJKLMNOP-USD",
        "BTC-ABCDEFGHIJKLMNOP",
        "ABCDEFGHIJK-ABCDEFGHIJKLMNO-PERP",     /* 32: no room for the NUL */
        "ABCDEFGHIJKLMNO-ABCDEFGHIJKLMNO-PERP", /* every part is right, the whole does not fit */
    };
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (split(symbols[i]))
            fail_msg("accepted \"%s\"", symbols[i]);
    }
    assert_false(tf_symbol_split("BTC-USD", 4, NULL, NULL));
    assert_false(tf_symbol_split("BTC-U\0D", 7, NULL, NULL));
}

static void venue_names_are_short_and_lower_case(void **state)
{
    (void)state;
    assert_true(tf_venue_name_valid("coinbase", 8));
    assert_true(tf_venue_name_valid("binance_us2", 11));
    assert_true(tf_venue_name_valid("abcdefghijklmno", 15));
    assert_false(tf_venue_name_valid("abcdefghijklmnop", 16));
    assert_false(tf_venue_name_valid("", 0));
    assert_false(tf_venue_name_valid("Kraken", 6));
    assert_false(tf_venue_name_valid("okx.v5", 6));
    assert_false(tf_venue_name_valid("okx\0", 4));
}

static void init_copies_names_and_zeroes_the_rest(void **state)
{
    (void)state;
    tf_instrument_t one;
    memset(&one, 0xa5, sizeof one);
    char symbol[] = "BTC-USD";
    assert_true(tf_instrument_init(&one, "kraken", symbol, "BTC/USD"));
    symbol[0] = 'X';
    assert_string_equal(one.symbol, "BTC-USD");
    assert_string_equal(one.venue_symbol, "BTC/USD");
    assert_string_equal(one.venue, "kraken");
    assert_string_equal(one.base, "BTC");
    assert_string_equal(one.quote, "USD");
    assert_int_equal(one.tick, 0);
    assert_int_equal(one.lot, 0);
    assert_int_equal(one.scale_known, 0);
    assert_int_equal(one.status, TF_INSTRUMENT_UNKNOWN);
}

static void init_refuses_what_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *venue, *symbol, *venue_symbol;
    } cases[] = {
        {"Kraken", "BTC-USD", "BTC/USD"},
        {"averylongvenuename", "BTC-USD", "BTC/USD"},
        {"kraken", "BTC/USD", "BTC/USD"},
        {"kraken", "BTC-USD", ""},
        {"kraken", "BTC-USD", "ABCDEFGHIJKLMNOPQRSTUVWXYZ123456"},
        {"kraken", "ABCDEFGHIJK-ABCDEFGHIJKLMNO-PERP", "X"},
        {"kraken", "ABCDEFGHIJKLMNO-ABCDEFGHIJKLMNO-PERP", "X"},
    };
    const tf_instrument_t zero = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tf_instrument_t one;
        memset(&one, 0xa5, sizeof one);
        assert_false(
            tf_instrument_init(&one, cases[i].venue, cases[i].symbol, cases[i].venue_symbol));
        assert_memory_equal(&one, &zero, sizeof one);
    }
    tf_instrument_t one;
    assert_true(tf_instrument_init(&one, "kraken", "BTC-USD", "ABCDEFGHIJKLMNOPQRSTUVWXYZ12345"));
}

static void status_texts_cover_foreign_values(void **state)
{
    (void)state;
    assert_string_equal(tf_instrument_status_text(TF_INSTRUMENT_UNKNOWN), "unknown");
    assert_string_equal(tf_instrument_status_text(TF_INSTRUMENT_ONLINE), "online");
    assert_string_equal(tf_instrument_status_text(TF_INSTRUMENT_HALTED), "halted");
    assert_string_equal(tf_instrument_status_text(TF_INSTRUMENT_DELISTED), "delisted");

    assert_string_equal(tf_instrument_status_text((tf_instrument_status_t)200), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_symbols_are_split),
        cmocka_unit_test(other_symbols_are_refused),
        cmocka_unit_test(venue_names_are_short_and_lower_case),
        cmocka_unit_test(init_copies_names_and_zeroes_the_rest),
        cmocka_unit_test(init_refuses_what_does_not_fit),
        cmocka_unit_test(status_texts_cover_foreign_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
