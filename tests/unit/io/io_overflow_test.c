#include "base/clock.h"
#include "io/uring.h"
#include "io_rig.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The completion queue is full: 64 entries, and several hundred completions at once. Nothing may be
 * lost, nobody may hang, and the counter tells.
 */

enum { CLIENTS = 500, BYTES = 200 };

static rig_pair_t pairs[CLIENTS];
static uint8_t pattern[CLIENTS + BYTES];

static int fill_pattern(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static rig_t *open_small(tf_uring_rung_t rung)
{
    tf_io_config_t config = rig_config;
    config.send_batch = 64;
    config.recv_buffers = 1024;
    config.cq_entries = 64;
    rig_t *rig = rig_open(&config, rung);
    assert_int_equal(tf_uring_of(rig->io)->ring.ring.cq.ring_entries, 64);
    return rig;
}

static void open_pairs(rig_t *rig)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pairs[i] = rig_pair(rig, i, 1);
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
    }
    rig_turn(rig, 0);
}

static void close_pairs(rig_t *rig)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_pair_close(rig, &pairs[i]);
}

static uint64_t overflows(const rig_t *rig)
{
    return tf_stats_get(&rig->stats, TF_STAT_cq_overflows_total);
}

/* The caller is busy elsewhere: the kernel is entered, and nothing is taken out. */
static void leave_events_lying(rig_t *rig, int turns)
{
    for (int i = 0; i < turns; i++)
        tf_io_submit(rig->io);
}

static void data_of_a_crowd_arrives_whole_and_in_order(void **state)
{
    (void)state;
    for (int rung = 0; rung < TF_URING_RUNG_COUNT; rung++) {
        rig_t *rig = open_small((tf_uring_rung_t)rung);
        open_pairs(rig);
        for (size_t round = 1; round <= 3; round++) {
            for (uint32_t i = 0; i < CLIENTS; i++)
                assert_int_equal(send(pairs[i].client, pattern + i, BYTES, 0), BYTES);
            leave_events_lying(rig, CLIENTS / 10);
            for (uint32_t i = 0; i < CLIENTS; i++) {
                rig_receive(rig, i, round * BYTES);
                assert_memory_equal(rig->received[i] + (round - 1) * BYTES, pattern + i, BYTES);
            }
            assert_in_range(overflows(rig), round, round * CLIENTS);
        }
        rig->log_count = 0;
        close_pairs(rig);
        rig_close(rig);
    }
}

static void every_send_is_reported_once(void **state)
{
    (void)state;
    rig_t *rig = open_small(TF_URING_DEFERRED_FLAGGED);
    open_pairs(rig);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        tf_io_send(rig->io, pairs[i].fd, pairs[i].handle, pattern + i, BYTES);
        if (i % 50 == 49)
            tf_io_submit(rig->io);
    }
    tf_io_submit(rig->io);
    assert_true(overflows(rig) > 0);
    rig_drain(rig);
    assert_int_equal(rig_logged(rig, TF_IO_SENT), CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint8_t got[BYTES];
        assert_int_equal(rig_expect_of(rig, TF_IO_SENT, i).sent, BYTES);
        assert_int_equal(recv(pairs[i].client, got, BYTES, MSG_WAITALL), BYTES);
        assert_memory_equal(got, pattern + i, BYTES);
    }
    close_pairs(rig);
    rig_close(rig);
}

static void accepting_goes_on(void **state)
{
    (void)state;
    rig_t *rig = open_small(TF_URING_DEFERRED_FLAGGED);
    static int clients[CLIENTS];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CLIENTS; i++)
            clients[i] = rig_connect(rig->port);
        leave_events_lying(rig, CLIENTS / 10);
        for (int i = 0; i < CLIENTS; i++)
            (void)close(rig_expect(rig, TF_IO_ACCEPTED).fd);
        assert_true(overflows(rig) > 0);
        for (int i = 0; i < CLIENTS; i++)
            (void)close(clients[i]);
    }
    assert_int_equal(rig->log_count, 0);
    rig_close(rig);
}

static void a_watched_eventfd_goes_on_waking(void **state)
{
    (void)state;
    rig_t *rig = open_small(TF_URING_DEFERRED_FLAGGED);
    int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(tf_io_watch(rig->io, bell), TF_OK);
    open_pairs(rig);
    for (int round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < CLIENTS; i++)
            assert_int_equal(send(pairs[i].client, "x", 1, 0), 1);
        leave_events_lying(rig, CLIENTS / 10);
        assert_int_equal(eventfd_write(bell, 1), 0);
        (void)rig_expect(rig, TF_IO_WOKEN);
        eventfd_t value;
        assert_int_equal(eventfd_read(bell, &value), 0);
        assert_int_equal(overflows(rig), round + 1);
        while (rig_logged(rig, TF_IO_RECEIVED) < CLIENTS)
            rig_turn(rig, TF_NS_PER_S);
        rig->log_count = 0;
    }
    close_pairs(rig);
    (void)close(bell);
    rig_close(rig);
}

/* Stops, ends and closes, with their completions set aside by the kernel. */
static void stops_and_closes_are_answered(void **state)
{
    (void)state;
    rig_t *rig = open_small(TF_URING_DEFERRED_FLAGGED);
    open_pairs(rig);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(send(pairs[i].client, pattern, BYTES, 0), BYTES);
    leave_events_lying(rig, CLIENTS / 10);
    for (uint32_t i = 0; i < CLIENTS; i += 2)
        tf_io_recv_stop(rig->io, pairs[i].handle);
    leave_events_lying(rig, CLIENTS / 10);
    for (uint32_t i = 1; i < CLIENTS; i += 2)
        tf_io_close(rig->io, pairs[i].fd, pairs[i].handle);
    leave_events_lying(rig, CLIENTS / 10);
    assert_true(overflows(rig) > 0);
    for (uint32_t i = 0; i < CLIENTS; i += 2) {
        (void)rig_expect_of(rig, TF_IO_RECV_STOPPED, i);
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
        rig_receive(rig, i, BYTES);
        rig_pair_close(rig, &pairs[i]);
    }
    for (uint32_t i = 1; i < CLIENTS; i += 2) {
        (void)rig_expect_of(rig, TF_IO_CLOSED, i);
        (void)close(pairs[i].client);
    }
    rig_close(rig);
}

static void destroy_closes_accepted_connections_that_the_kernel_had_set_aside(void **state)
{
    (void)state;
    rig_t *rig = open_small(TF_URING_DEFERRED_FLAGGED);
    static int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = rig_connect(rig->port);
    leave_events_lying(rig, CLIENTS / 10);
    assert_true(overflows(rig) > 0);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(clients[i]);
    rig_close(rig); /* no descriptor leaked */
}

static void queues_of_the_usual_size_do_not_overflow(void **state)
{
    (void)state;
    tf_io_config_t config = rig_config;
    config.recv_buffers = 1024;
    for (int rung = 0; rung < TF_URING_RUNG_COUNT; rung++) {
        rig_t *rig = rig_open(&config, (tf_uring_rung_t)rung);
        open_pairs(rig);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            assert_int_equal(send(pairs[i].client, pattern + i, BYTES, 0), BYTES);
            tf_io_send(rig->io, pairs[i].fd, pairs[i].handle, pattern + i, BYTES);
        }
        leave_events_lying(rig, CLIENTS / 10);
        assert_int_equal(overflows(rig), 0);
        for (uint32_t i = 0; i < CLIENTS; i++)
            rig_receive(rig, i, BYTES);
        close_pairs(rig);
        rig_close(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_of_a_crowd_arrives_whole_and_in_order),
        cmocka_unit_test(every_send_is_reported_once),
        cmocka_unit_test(accepting_goes_on),
        cmocka_unit_test(a_watched_eventfd_goes_on_waking),
        cmocka_unit_test(stops_and_closes_are_answered),
        cmocka_unit_test(destroy_closes_accepted_connections_that_the_kernel_had_set_aside),
        cmocka_unit_test(queues_of_the_usual_size_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, fill_pattern, NULL);
}
