#include "kit/kit.h"

#include "app/listen.h"

#include <string.h>
#include <unistd.h>

static char address[TF_ADDRESS_BYTES_MAX];
static uint16_t port;

static void addresses_of_both_families_are_read(void **state)
{
    (void)state;
    assert_int_equal(tf_address_parse("listen", "127.0.0.1:9001", address, &port), TF_OK);
    assert_string_equal(address, "127.0.0.1");
    assert_int_equal(port, 9001);
    assert_int_equal(tf_address_parse("listen", "[::1]:0", address, &port), TF_OK);
    assert_string_equal(address, "::1");
    assert_int_equal(port, 0);
}

static void anything_else_is_refused_with_the_flag_and_the_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "9001",
                                        ":9001",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:x",
                                        "localhost:1",
                                        "1.2.3:4",
                                        "[::1:9",
                                        "::g:1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(tf_address_parse("http", texts[i], address, &port), TF_ERR_ARG);
        assert_non_null(strstr(tf_error_text(), "--http"));
        assert_non_null(strstr(tf_error_text(), texts[i]));
    }
}

static void a_free_port_is_found_and_told(void **state)
{
    (void)state;
    int fd;
    port = 0;
    assert_int_equal(tf_listen("listen", "127.0.0.1", &port, &fd), TF_OK);
    assert_int_not_equal(port, 0);
    assert_int_equal(close(fd), 0);
}

static void a_port_in_use_is_an_error_that_says_so(void **state)
{
    (void)state;
    int fd;
    int second;
    port = 0;
    assert_int_equal(tf_listen("listen", "127.0.0.1", &port, &fd), TF_OK);
    assert_int_equal(tf_listen("listen", "127.0.0.1", &port, &second), TF_ERR_SYS);
    assert_non_null(strstr(tf_error_text(), "another tickfan"));
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_both_families_are_read),
        cmocka_unit_test(anything_else_is_refused_with_the_flag_and_the_text),
        cmocka_unit_test(a_free_port_is_found_and_told),
        cmocka_unit_test(a_port_in_use_is_an_error_that_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
