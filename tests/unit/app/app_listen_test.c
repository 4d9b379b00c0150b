#include "kit/kit.h"

#include "app/fanout_group.h"
#include "app/listen.h"
#include "base/address.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENERS = 3, CLIENTS = 150 };

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
    assert_int_equal(tf_listen("listen", "127.0.0.1", &port, TF_LISTEN_FIRST, &fd), TF_OK);
    assert_int_not_equal(port, 0);
    tf_listener_close(&fd);
    assert_int_equal(fd, -1);
    tf_listener_close(&fd);
}

static void a_port_in_use_is_an_error_that_says_so(void **state)
{
    (void)state;
    int fd;
    int second;
    port = 0;
    assert_int_equal(tf_listen("listen", "127.0.0.1", &port, TF_LISTEN_FIRST, &fd), TF_OK);
    assert_int_equal(tf_listen("listen", "127.0.0.1", &port, TF_LISTEN_FIRST, &second), TF_ERR_SYS);
    assert_non_null(strstr(tf_error_text(), "another tickfan"));
    assert_int_equal(second, -1);
    tf_listener_close(&fd);
}

static int client_connect(void)
{
    tf_address_t name;
    socklen_t bytes = tf_address_make("127.0.0.1", port, &name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &name.any, bytes), 0);
    return fd;
}

static void open_listeners(int *fd)
{
    port = 0;
    for (int i = 0; i < LISTENERS; i++)
        assert_int_equal(tf_listen("listen", "127.0.0.1", &port,
                                   i == 0 ? TF_LISTEN_FIRST : TF_LISTEN_NEXT, &fd[i]),
                         TF_OK);
}

static void the_next_ones_share_the_port_and_the_connections(void **state)
{
    (void)state;
    int fd[LISTENERS];
    int client[CLIENTS];
    int total = 0;
    open_listeners(fd);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = client_connect();
    for (int i = 0; i < LISTENERS; i++) {
        int taken = 0;
        for (int peer = accept(fd[i], NULL, NULL); peer >= 0; peer = accept(fd[i], NULL, NULL)) {
            taken++;
            (void)close(peer);
        }
        assert_true(taken > 0); /* by chance: 1 in 10^25 */
        total += taken;
        tf_listener_close(&fd[i]);
    }
    assert_int_equal(total, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(client[i]);
}

/* They hear that it is over (an end, no reset) and can come again, to those who still listen. */
static void clients_in_the_queue_of_a_listener_that_closes_are_told(void **state)
{
    (void)state;
    int fd[LISTENERS];
    int client[CLIENTS];
    int told = 0;
    open_listeners(fd);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = client_connect();
    tf_listener_close(&fd[0]);
    for (int i = 0; i < CLIENTS; i++) {
        char byte;
        ssize_t got = recv(client[i], &byte, 1, MSG_DONTWAIT);
        assert_true(got == 0 || (got < 0 && errno == EAGAIN)); /* EAGAIN: in the other queues */
        told += got == 0;
        (void)close(client[i]);
    }
    assert_in_range(told, 1, CLIENTS - 1);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(client_connect());
    for (int i = 1; i < LISTENERS; i++)
        tf_listener_close(&fd[i]);
}

static void threads_are_as_many_as_asked_for_or_fit_the_cores(void **state)
{
    (void)state;
    cpu_set_t before;
    cpu_set_t one;
    assert_int_equal(tf_fanout_group_count(5), 5);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    uint32_t cores = (uint32_t)CPU_COUNT(&before);
    uint32_t expected = cores < 2 ? 1 : cores - 1;
    assert_int_equal(tf_fanout_group_count(0),
                     expected < TF_FANOUT_AUTO_MAX ? expected : TF_FANOUT_AUTO_MAX);
    CPU_ZERO(&one);
    for (size_t core = 0; CPU_COUNT(&one) == 0; core++) {
        if (CPU_ISSET(core, &before))
            CPU_SET(core, &one);
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(tf_fanout_group_count(0), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_both_families_are_read),
        cmocka_unit_test(anything_else_is_refused_with_the_flag_and_the_text),
        cmocka_unit_test(a_free_port_is_found_and_told),
        cmocka_unit_test(a_port_in_use_is_an_error_that_says_so),
        cmocka_unit_test(the_next_ones_share_the_port_and_the_connections),
        cmocka_unit_test(clients_in_the_queue_of_a_listener_that_closes_are_told),
        cmocka_unit_test(threads_are_as_many_as_asked_for_or_fit_the_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
