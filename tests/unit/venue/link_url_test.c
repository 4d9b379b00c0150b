#include "kit/kit.h"

#include "venue/link_url.h"

#include <stdio.h>
#include <string.h>

static void good(const char *text, const char *host, unsigned port, const char *path)
{
    tf_link_url_t url;
    if (tf_link_url_parse(text, &url) != TF_OK)
        fail_msg("%s", tf_error_text());
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_string_equal(url.path, path);
}

static void bad(const char *text, const char *named)
{
    tf_link_url_t url;
    assert_int_equal(tf_link_url_parse(text, &url), TF_ERR_ARG);
    assert_non_null(strstr(tf_error_text(), text));
    if (strstr(tf_error_text(), named) == NULL)
        fail_msg("\"%s\" does not name \"%s\"", tf_error_text(), named);
}

static void parts_have_defaults(void **state)
{
    (void)state;
    good("wss://ws-feed.exchange.coinbase.com", "ws-feed.exchange.coinbase.com", 443, "/");
    good("wss://ws.kraken.com/v2", "ws.kraken.com", 443, "/v2");
    good("wss://localhost:9443", "localhost", 9443, "/");
    good("wss://127.0.0.1:1/", "127.0.0.1", 1, "/");
    good("wss://a_b-c.D:65535/x/y?streams=btcusdt@trade/ethusdt@trade", "a_b-c.D", 65535,
         "/x/y?streams=btcusdt@trade/ethusdt@trade");
}

static void what_is_no_address_is_named(void **state)
{
    (void)state;
    bad("", "wss://");
    bad("ws://venue.example", "expected wss://");
    bad("https://venue.example", "expected wss://");
    bad("wss:/venue.example", "expected wss://");
    bad("wss://", "host name");
    bad("wss:///path", "host name");
    bad("wss://[::1]:443/", "host name");
    bad("wss://user@venue.example/", "behind the host");
    bad("wss://venue.example:", "port");
    bad("wss://venue.example:0", "port");
    bad("wss://venue.example:65536", "port");
    bad("wss://venue.example:4294967739", "port");
    bad("wss://venue.example:-1", "port");
    bad("wss://venue.example:44x/", "behind the host");
    bad("wss://venue.example?x=1", "behind the host");
    bad("wss://venue.example/a b", "behind the host");
    bad("wss://venue.example/a#b", "behind the host");
    bad("wss://venue.example/a\r\nX: y", "behind the host");
}

/* The longest ones fit, one byte more does not. */
static void lengths_are_bounded(void **state)
{
    (void)state;
    tf_link_url_t url;
    char text[16 + TF_LINK_PATH_BYTES_MAX];
    int host = TF_LINK_HOST_BYTES_MAX - 1;
    (void)snprintf(text, sizeof text, "wss://%0*d", host, 0);
    assert_int_equal(tf_link_url_parse(text, &url), TF_OK);
    assert_int_equal(strlen(url.host), host);
    (void)snprintf(text, sizeof text, "wss://%0*d", host + 1, 0);
    assert_int_equal(tf_link_url_parse(text, &url), TF_ERR_ARG);
    int digits = TF_LINK_PATH_BYTES_MAX - 2;
    (void)snprintf(text, sizeof text, "wss://h/%0*d", digits, 0);
    assert_int_equal(tf_link_url_parse(text, &url), TF_OK);
    assert_int_equal(strlen(url.path), digits + 1);
    (void)snprintf(text, sizeof text, "wss://h/%0*d", digits + 1, 0);
    assert_int_equal(tf_link_url_parse(text, &url), TF_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_have_defaults),
        cmocka_unit_test(what_is_no_address_is_named),
        cmocka_unit_test(lengths_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
