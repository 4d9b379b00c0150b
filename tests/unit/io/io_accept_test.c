#include "io/uring.h"
#include "io_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

/* The server's end is closed: at once, not after a time-out. */
static bool was_refused(int client)
{
    char byte;
    ssize_t got = recv(client, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

static int unconnected(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return fd;
}

static void connect_to(const rig_t *rig, int client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(rig->port)};
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
}

/* From here on no descriptor is free but the returned one, when it is closed. The accept is armed
 * before that. */
static int take_all_fds(rig_t *rig)
{
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int spare = dup(0); /* the lowest free number: those below are taken */
    assert_true(spare >= 0);
    limit.rlim_cur = (rlim_t)spare + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    (void)close(spare);
    rig_turn(rig, 0);
    assert_int_equal(dup(0), spare);
    return spare;
}

static void expect_out_of_fds(rig_t *rig)
{
    tf_io_event_t failed = rig_expect(rig, TF_IO_ACCEPT_FAILED);
    assert_int_equal(failed.error, -EMFILE);
    assert_int_equal(failed.listener, 0);
    for (int i = 0; i < 10; i++)
        rig_turn(rig, 0);
    assert_int_equal(rig->log_count, 0);
}

static uint64_t shed_so_far(const rig_t *rig)
{
    return tf_stats_get(&rig->stats, TF_STAT_connections_shed_total);
}

enum { CROWD_SHED = 40 };

/* One failure is reported, none more until asked, and whoever waits is told; then it works again.
 */
static void run_out_of_fds(rig_t *rig)
{
    static int clients[2 * CROWD_SHED + 1];
    for (int i = 0; i <= 2 * CROWD_SHED; i++)
        clients[i] = unconnected();
    int spare = take_all_fds(rig);
    for (int i = 0; i < CROWD_SHED; i++)
        connect_to(rig, clients[i]);
    expect_out_of_fds(rig);
    assert_int_equal(shed_so_far(rig), CROWD_SHED);

    for (int i = CROWD_SHED; i < 2 * CROWD_SHED; i++)
        connect_to(rig, clients[i]);
    assert_false(was_refused(clients[CROWD_SHED])); /* nobody looks during the pause */
    tf_io_accept_again(rig->io, 0);                 /* too early: the same again */
    expect_out_of_fds(rig);
    assert_int_equal(shed_so_far(rig), 2 * CROWD_SHED);
    for (int i = 0; i < 2 * CROWD_SHED; i++)
        assert_true(was_refused(clients[i]));

    (void)close(spare);
    tf_io_accept_again(rig->io, 0);
    tf_io_accept_again(rig->io, 0); /* asking twice is asking once */
    connect_to(rig, clients[2 * CROWD_SHED]);
    tf_io_event_t accepted = rig_expect(rig, TF_IO_ACCEPTED);
    tf_io_accept_again(rig->io, 0); /* not paused: changes nothing */
    assert_int_equal(rig->log_count, 0);
    (void)close(accepted.fd);
    for (int i = 0; i <= 2 * CROWD_SHED; i++)
        (void)close(clients[i]);
}

/* Somebody else in the process took the number of the reserve while it was given up. */
static void lose_the_reserve(rig_t *rig)
{
    tf_uring_t *uring = tf_uring_of(rig->io);
    int client = unconnected();
    int spare = take_all_fds(rig);
    int taken = uring->reserve_fd;
    uring->reserve_fd = -1;
    connect_to(rig, client);
    expect_out_of_fds(rig);
    assert_int_equal(shed_so_far(rig), 0);
    assert_false(was_refused(client));

    (void)close(spare);
    (void)close(taken);
    tf_io_accept_again(rig->io, 0);
    (void)close(rig_expect(rig, TF_IO_ACCEPTED).fd);
    assert_true(uring->reserve_fd >= 0);
    (void)close(client);
}

/* The limit would stay with this process. */
static void in_child(void (*body)(rig_t *rig))
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
        body(rig);
        rig_close(rig);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void running_out_of_fds_pauses_accepting_and_refuses_who_waits(void **state)
{
    (void)state;
    in_child(run_out_of_fds);
}

static void without_a_reserve_clients_wait_until_there_is_room(void **state)
{
    (void)state;
    in_child(lose_the_reserve);
}

/* An accept that ends with `error`, made by a request that does nothing else. Only for a rig that
 * has not turned yet: its own accept is not armed. False where the kernel can't do that. */
static bool inject(rig_t *rig, int error, tf_io_event_t *event)
{
    enum { NOP_INJECT_RESULT = 1 }; /* IORING_NOP_INJECT_RESULT, since 6.10 */
    tf_uring_t *uring = tf_uring_of(rig->io);
    uring->listeners[0].state = TF_URING_SOURCE_ARMED;
    uring->sources_due = false;
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    io_uring_prep_nop(sqe);
    sqe->rw_flags = NOP_INJECT_RESULT;
    sqe->len = (uint32_t)error;
    io_uring_sqe_set_data64(sqe, tf_uring_tag_make(TF_URING_OP_ACCEPT, 0, 0));
    tf_io_submit(rig->io);
    bool any = tf_io_next(rig->io, event);
    return !any || event->error == error;
}

static void a_shortage_of_memory_pauses_accepting_and_refuses_nobody(void **state)
{
    (void)state;
    const int errors[] = {-ENOMEM, -ENOBUFS};
    for (uint32_t i = 0; i < 2; i++) {
        rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
        int client = rig_connect(rig->port);
        tf_io_event_t event = {.type = TF_IO_WOKEN};
        bool possible = inject(rig, errors[i], &event);
        if (possible) {
            assert_int_equal(event.type, TF_IO_ACCEPT_FAILED);
            assert_int_equal(event.error, errors[i]);
            for (int turn = 0; turn < 10; turn++)
                rig_turn(rig, 0);
            assert_int_equal(rig->log_count, 0);
            assert_false(was_refused(client));
            tf_io_accept_again(rig->io, 0);
            (void)close(rig_expect(rig, TF_IO_ACCEPTED).fd);
        }
        (void)close(client);
        rig_close(rig);
        if (!possible)
            skip();
    }
}

static void aborted_accepts_go_on_by_themselves_unless_there_is_no_end_to_them(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    tf_io_event_t event = {.type = TF_IO_WOKEN};
    bool possible = true;
    int lapses = 0;
    while (possible && event.type == TF_IO_WOKEN && lapses++ < MANY)
        possible = inject(rig, -ECONNABORTED, &event);
    if (possible) {
        assert_int_equal(event.type, TF_IO_ACCEPT_FAILED);
        assert_int_equal(event.error, -ECONNABORTED);
        assert_in_range(lapses, 10, 100);
        tf_io_accept_again(rig->io, 0);
        assert_true(inject(rig, -ECONNABORTED, &event)); /* one is a coincidence again */
        rig_pair_t pair = rig_pair(rig, 0, 1);
        rig_pair_close(rig, &pair);
        assert_int_equal(rig->log_count, 0);
    }
    rig_close(rig);
    if (!possible)
        skip();
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
        cmocka_unit_test(running_out_of_fds_pauses_accepting_and_refuses_who_waits),
        cmocka_unit_test(without_a_reserve_clients_wait_until_there_is_room),
        cmocka_unit_test(a_shortage_of_memory_pauses_accepting_and_refuses_nobody),
        cmocka_unit_test(aborted_accepts_go_on_by_themselves_unless_there_is_no_end_to_them),
        cmocka_unit_test(a_connection_aborted_in_the_queue_does_not_stop_accepting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
