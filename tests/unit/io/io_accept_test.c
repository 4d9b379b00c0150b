#include "io_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void accepted_sockets_are_non_blocking_and_not_inherited(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    assert_true((fcntl(pair.fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(pair.fd, F_GETFD) & FD_CLOEXEC) != 0);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void connections_tell_their_listener(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    uint16_t port = 0;
    int second = rig_listen(&port);
    assert_int_equal(tf_io_listen(rig->io, second), TF_OK);
    const uint16_t ports[] = {port, rig->port, port, port};
    const uint32_t listeners[] = {1, 0, 1, 1};
    for (uint32_t i = 0; i < 4; i++) {
        int client = rig_connect(ports[i]);
        tf_io_event_t accepted = rig_expect(rig, TF_IO_ACCEPTED);
        assert_int_equal(accepted.listener, listeners[i]);
        (void)close(accepted.fd);
        (void)close(client);
    }
    (void)close(second);
    rig_close(rig);
}

static void a_crowd_at_the_door_is_let_in_whole(void **state)
{
    (void)state;
    enum { CROWD = 500 };
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    static int clients[CROWD];
    for (int i = 0; i < CROWD; i++)
        clients[i] = rig_connect(rig->port);
    for (int i = 0; i < CROWD; i++)
        (void)close(rig_expect(rig, TF_IO_ACCEPTED).fd);
    assert_int_equal(rig->log_count, 0);
    for (int i = 0; i < CROWD; i++)
        (void)close(clients[i]);
    rig_close(rig);
}

static void listeners_and_watches_are_bounded(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    tf_status_t status = TF_OK;
    int accepted = 0;
    while ((status = tf_io_listen(rig->io, rig->listen_fd)) == TF_OK)
        accepted++;
    assert_int_equal(status, TF_ERR_FULL);
    assert_int_equal(accepted, 15);
    rig_close(rig);
}

/* No fd left: one failure is reported, none more until asked; then it works again. */
static void run_out_of_fds(rig_t *rig)
{
    int client = rig_connect(rig->port);
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int spare = dup(client); /* the lowest free number: those below are taken */
    limit.rlim_cur = (rlim_t)spare + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

    tf_io_event_t failed = rig_expect(rig, TF_IO_ACCEPT_FAILED);
    assert_int_equal(failed.error, -EMFILE);
    assert_int_equal(failed.listener, 0);
    for (int i = 0; i < 10; i++)
        rig_turn(rig, 0);
    assert_int_equal(rig->log_count, 0);

    tf_io_accept_again(rig->io, 0); /* too early: the same again */
    assert_int_equal(rig_expect(rig, TF_IO_ACCEPT_FAILED).error, -EMFILE);
    assert_int_equal(rig->log_count, 0);

    (void)close(spare);
    tf_io_accept_again(rig->io, 0);
    tf_io_accept_again(rig->io, 0); /* asking twice is asking once */
    tf_io_event_t accepted = rig_expect(rig, TF_IO_ACCEPTED);
    (void)close(accepted.fd);
    tf_io_accept_again(rig->io, 0); /* not paused: changes nothing */

    (void)close(client);
    client = rig_connect(rig->port);
    accepted = rig_expect(rig, TF_IO_ACCEPTED);
    assert_int_equal(rig->log_count, 0);
    (void)close(accepted.fd);
    (void)close(client);
}

static void running_out_of_fds_pauses_accepting_until_told_to_go_on(void **state)
{
    (void)state;
    (void)fflush(NULL);
    pid_t child = fork(); /* the limit would stay with this process */
    assert_true(child >= 0);
    if (child == 0) {
        rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
        run_out_of_fds(rig);
        rig_close(rig);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_connection_aborted_in_the_queue_does_not_stop_accepting(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (int i = 0; i < 20; i++) {
        int client = rig_connect(rig->port);
        assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        (void)close(client);
    }
    for (int i = 0; i < 20; i++)
        (void)close(rig_expect(rig, TF_IO_ACCEPTED).fd);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sockets_are_non_blocking_and_not_inherited),
        cmocka_unit_test(connections_tell_their_listener),
        cmocka_unit_test(a_crowd_at_the_door_is_let_in_whole),
        cmocka_unit_test(listeners_and_watches_are_bounded),
        cmocka_unit_test(running_out_of_fds_pauses_accepting_until_told_to_go_on),
        cmocka_unit_test(a_connection_aborted_in_the_queue_does_not_stop_accepting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
