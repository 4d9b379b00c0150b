#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "io_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t block[256 * 1024];

static rig_t *open_default(void)
{
    return rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
}

/* CLOSED comes, is the only event of the handle from the close on, and the fd is gone. */
static void close_and_check(rig_t *rig, const rig_pair_t *pair)
{
    tf_io_close(rig->io, pair->fd, pair->handle);
    assert_int_equal(rig->log_count, 0); /* no callback, no event inside close */
    while (rig->log_count == 0)
        rig_turn(rig, 10 * TF_NS_PER_S);
    for (int i = 0; i < 3; i++)
        rig_turn(rig, 0);
    assert_int_equal(rig->log_count, 1);
    tf_io_event_t closed = rig_expect(rig, TF_IO_CLOSED);
    assert_int_equal(closed.handle.slot, pair->handle.slot);
    assert_int_equal(closed.handle.generation, pair->handle.generation);
    assert_int_equal(fcntl(pair->fd, F_GETFD), -1);
}

static void assert_peer_sees_end(int client)
{
    ssize_t got = 1;
    while (got > 0)
        got = recv(client, block, sizeof block, 0);
    assert_true(got == 0 || errno == ECONNRESET);
    (void)close(client);
}

static void an_idle_connection_is_closed_with_an_event(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    close_and_check(rig, &pair);
    assert_peer_sees_end(pair.client);
    rig_close(rig);
}

static void closing_ends_a_waiting_receive(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_turn(rig, 0);
    close_and_check(rig, &pair);
    assert_peer_sees_end(pair.client);
    rig_close(rig);
}

static void closing_forgets_a_receive_that_never_reached_the_kernel(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    tf_io_writable(rig->io, pair.fd, pair.handle);
    close_and_check(rig, &pair);
    assert_peer_sees_end(pair.client);
    rig_close(rig);
}

static void closing_gives_back_the_buffers_of_what_it_swallows(void **state)
{
    (void)state;
    tf_io_config_t config = rig_config;
    config.recv_buffers = 2;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    for (uint32_t i = 0; i < 10; i++) {
        rig_pair_t pair = rig_pair(rig, 0, i);
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        rig_client_write(rig, pair.client, "x", 1);
        tf_io_wait(rig->io, 10 * TF_NS_PER_S); /* received, but not taken */
        close_and_check(rig, &pair);
        assert_peer_sees_end(pair.client);
    }
    assert_int_equal(rig->received_bytes[0], 0);
    rig_pair_t pair = rig_pair(rig, 0, 100);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_client_write(rig, pair.client, "y", 1);
    rig_receive(rig, 0, 1);
    assert_int_equal(tf_stats_get(&rig->stats, TF_STAT_recv_buffers_exhausted_total), 0);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void closing_swallows_a_stop_not_yet_answered(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    for (uint32_t i = 0; i < 2; i++) {
        rig_pair_t pair = rig_pair(rig, 0, i);
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        if (i == 1)
            rig_turn(rig, 0);
        tf_io_recv_stop(rig->io, pair.handle);
        close_and_check(rig, &pair);
        assert_peer_sees_end(pair.client);
    }
    rig_close(rig);
}

static void fill_socket(rig_t *rig, const rig_pair_t *pair)
{
    size_t sent = 1;
    while (sent > 0) {
        tf_io_send(rig->io, pair->fd, pair->handle, block, sizeof block);
        tf_io_submit(rig->io);
        sent = rig_expect(rig, TF_IO_SENT).sent;
    }
}

static void closing_ends_receive_poll_and_send_together(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    fill_socket(rig, &pair);
    tf_io_writable(rig->io, pair.fd, pair.handle); /* waits: the peer reads nothing */
    rig_turn(rig, 0);
    assert_int_equal(rig->log_count, 0);
    rig_client_write(rig, pair.client, block, 50000); /* unread input beside it */
    tf_io_send(rig->io, pair.fd, pair.handle, block, 1000);
    rig->log_count = 0;
    close_and_check(rig, &pair);
    assert_peer_sees_end(pair.client);
    rig_close(rig);
}

static void a_send_queued_before_the_close_still_goes_out(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_turn(rig, 0);
    tf_io_send(rig->io, pair.fd, pair.handle, "farewell", 8);
    close_and_check(rig, &pair);
    char got[16];
    assert_int_equal(recv(pair.client, got, sizeof got, MSG_WAITALL), 8);
    assert_memory_equal(got, "farewell", 8);
    (void)close(pair.client);
    rig_close(rig);
}

static void a_send_submitted_but_not_taken_is_swallowed(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_send(rig->io, pair.fd, pair.handle, "x", 1);
    tf_io_submit(rig->io);
    close_and_check(rig, &pair);
    assert_peer_sees_end(pair.client);
    rig_close(rig);
}

static void closing_works_after_the_peer_went_first(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    for (uint32_t i = 0; i < 4; i++) {
        rig_pair_t pair = rig_pair(rig, 0, i);
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        rig_turn(rig, 0);
        struct linger reset = {.l_onoff = i % 2 == 0, .l_linger = 0};
        assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        (void)close(pair.client);
        if (i < 2)
            (void)rig_expect(rig, TF_IO_RECV_ENDED);
        close_and_check(rig, &pair);
    }
    rig_close(rig);
}

static void a_slot_serves_its_next_owner_from_closed_on(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    tf_rng_t rng = {.state = t_seed(5)};
    for (uint32_t generation = 0xFFFFFF; generation > 0xFFFFFF - 300; generation--) {
        rig_pair_t pair = rig_pair(rig, 7, generation);
        size_t before = rig->received_bytes[7];
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        rig_client_write(rig, pair.client, &generation, sizeof generation);
        rig_receive(rig, 7, before + sizeof generation);
        assert_memory_equal(rig->received[7] + before, &generation, sizeof generation);
        if (tf_rng_below(&rng, 2) == 0)
            tf_io_recv_stop(rig->io, pair.handle);
        if (tf_rng_below(&rng, 2) == 0)
            tf_io_submit(rig->io);
        close_and_check(rig, &pair);
        (void)close(pair.client);
    }
    rig_close(rig);
}

static void a_mass_of_closes_is_answered_one_by_one(void **state)
{
    (void)state;
    enum { CLIENTS = 1000 };
    static rig_pair_t pairs[CLIENTS];
    for (int rung = 0; rung < TF_URING_RUNG_COUNT; rung++) {
        rig_t *rig = rig_open(&rig_config, (tf_uring_rung_t)rung);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            pairs[i] = rig_pair(rig, i, i);
            tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
        }
        rig_turn(rig, 0);
        for (uint32_t i = 0; i < CLIENTS; i++)
            tf_io_close(rig->io, pairs[i].fd, pairs[i].handle);
        for (uint32_t i = 0; i < CLIENTS; i++)
            assert_int_equal(rig_expect_of(rig, TF_IO_CLOSED, i).handle.generation, i);
        assert_int_equal(rig->log_count, 0);
        for (uint32_t i = 0; i < CLIENTS; i++)
            (void)close(pairs[i].client);
        rig_close(rig);
    }
}

static void destroy_closes_what_is_being_closed(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_turn(rig, 0);
    tf_io_close(rig->io, pair.fd, pair.handle);
    (void)close(pair.client);
    rig_close(rig);
}

static void misuse_is_asserted(void **state)
{
    (void)state;
    t_panic_to_cmocka();
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_handle_t stranger = {.slot = 0, .generation = 2};
    tf_io_handle_t outside = {.slot = rig_config.connections_max, .generation = 1};
    expect_assert_failure(tf_io_recv_stop(rig->io, pair.handle));
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    expect_assert_failure(tf_io_recv_start(rig->io, pair.fd, pair.handle));
    expect_assert_failure(tf_io_send(rig->io, pair.fd, stranger, "x", 1));
    expect_assert_failure(tf_io_send(rig->io, pair.fd, outside, "x", 1));
    tf_io_send(rig->io, pair.fd, pair.handle, "x", 1);
    expect_assert_failure(tf_io_send(rig->io, pair.fd, pair.handle, "x", 1));
    tf_io_close(rig->io, pair.fd, pair.handle);
    expect_assert_failure(tf_io_close(rig->io, pair.fd, pair.handle));
    (void)rig_expect(rig, TF_IO_CLOSED);
    (void)close(pair.client);
    rig_close(rig);
    tf_panic_handler_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_is_closed_with_an_event),
        cmocka_unit_test(closing_ends_a_waiting_receive),
        cmocka_unit_test(closing_forgets_a_receive_that_never_reached_the_kernel),
        cmocka_unit_test(closing_gives_back_the_buffers_of_what_it_swallows),
        cmocka_unit_test(closing_swallows_a_stop_not_yet_answered),
        cmocka_unit_test(closing_ends_receive_poll_and_send_together),
        cmocka_unit_test(a_send_queued_before_the_close_still_goes_out),
        cmocka_unit_test(a_send_submitted_but_not_taken_is_swallowed),
        cmocka_unit_test(closing_works_after_the_peer_went_first),
        cmocka_unit_test(a_slot_serves_its_next_owner_from_closed_on),
        cmocka_unit_test(a_mass_of_closes_is_answered_one_by_one),
        cmocka_unit_test(destroy_closes_what_is_being_closed),
        cmocka_unit_test(misuse_is_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
