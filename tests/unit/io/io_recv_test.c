#include "base/clock.h"
#include "base/rng.h"
#include "io/uring.h"
#include "io_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t pattern[128 * 1024];

static int fill_pattern(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static rig_t *open_default(void)
{
    return rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
}

static void reset_peer(int client)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    (void)close(client);
}

static void messages_of_1_byte_to_64_kib_arrive_whole(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 2, 2047, 2048, 2049, 10000, 65535, 65536};
    rig_t *rig = open_default();
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rig_pair_t pair = rig_pair(rig, i, 1);
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        rig_client_write(rig, pair.client, pattern, sizes[i]);
        rig_receive(rig, i, sizes[i]);
        assert_int_equal(rig->received_bytes[i], sizes[i]);
        assert_memory_equal(rig->received[i], pattern, sizes[i]);
        rig_pair_close(rig, &pair);
    }
    rig_close(rig);
}

static void bytes_sent_before_the_receive_was_asked_for_arrive(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 3, 9);
    rig_client_write(rig, pair.client, "early", 5);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_receive(rig, 3, 5);
    assert_memory_equal(rig->received[3], "early", 5);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void the_peers_last_bytes_come_before_its_end(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_client_write(rig, pair.client, pattern, 5000);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    tf_io_event_t ended = rig_expect(rig, TF_IO_RECV_ENDED);
    assert_int_equal(ended.error, 0);
    assert_int_equal(ended.handle.slot, 0);
    assert_int_equal(ended.handle.generation, 1);
    assert_int_equal(rig->received_bytes[0], 5000);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void a_reset_ends_receiving_with_its_error(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_turn(rig, 0);
    reset_peer(pair.client);
    assert_int_equal(rig_expect(rig, TF_IO_RECV_ENDED).error, -ECONNRESET);
    tf_io_close(rig->io, pair.fd, pair.handle);
    (void)rig_expect(rig, TF_IO_CLOSED);
    rig_close(rig);
}

static void a_stopped_receive_delivers_nothing_until_started_again(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    for (size_t round = 1; round <= 20; round++) {
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        rig_receive(rig, 0, (round - 1) * 10); /* what was written while stopped */
        tf_io_recv_stop(rig->io, pair.handle);
        (void)rig_expect(rig, TF_IO_RECV_STOPPED);
        size_t before = rig->received_bytes[0];
        rig_client_write(rig, pair.client, pattern, 10);
        for (int i = 0; i < 3; i++)
            rig_turn(rig, 0);
        assert_int_equal(rig->received_bytes[0], before);
        assert_int_equal(rig_logged(rig, TF_IO_RECV_STOPPED), 0);
    }
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void a_stop_before_the_start_reached_the_kernel_is_answered(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 0, 1);
    rig_client_write(rig, pair.client, "x", 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    tf_io_recv_stop(rig->io, pair.handle);
    (void)rig_expect(rig, TF_IO_RECV_STOPPED);
    assert_int_equal(rig->received_bytes[0], 0);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

/* One connection on which the peer and the stop do things in random order. */
static void race_once(rig_t *rig, tf_rng_t *rng, uint32_t generation)
{
    rig_pair_t pair = rig_pair(rig, 0, generation);
    size_t before = rig->received_bytes[0];
    size_t written = 0;
    bool peer_ends = false;
    if (tf_rng_below(rng, 2) == 0)
        rig_client_write(rig, pair.client, pattern, written = 1 + tf_rng_below(rng, 9000));
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    for (uint64_t i = tf_rng_below(rng, 3); i > 0; i--)
        tf_io_submit(rig->io);
    if (tf_rng_below(rng, 2) == 0) {
        peer_ends = true;
        (void)shutdown(pair.client, SHUT_WR);
    }
    if (tf_rng_below(rng, 2) == 0)
        tf_io_submit(rig->io);
    tf_io_recv_stop(rig->io, pair.handle);
    while (rig_logged(rig, TF_IO_RECV_STOPPED) + rig_logged(rig, TF_IO_RECV_ENDED) == 0)
        rig_turn(rig, 10 * TF_NS_PER_S);
    for (int i = 0; i < 3; i++)
        rig_turn(rig, 0);
    bool ended = rig_logged(rig, TF_IO_RECV_ENDED) == 1;
    assert_int_equal(rig_logged(rig, TF_IO_RECV_STOPPED) + rig_logged(rig, TF_IO_RECV_ENDED), 1);
    if (!ended) {
        (void)rig_expect(rig, TF_IO_RECV_STOPPED);
        tf_io_recv_start(rig->io, pair.fd, pair.handle);
        rig_receive(rig, 0, before + written);
    }
    if (peer_ends)
        assert_int_equal(rig_expect(rig, TF_IO_RECV_ENDED).error, 0);
    assert_int_equal(rig->received_bytes[0], before + written);
    rig_pair_close(rig, &pair);
    rig->log_count = 0; /* RECEIVED */
}

static void a_stop_racing_with_data_or_the_end_is_answered_exactly_once(void **state)
{
    (void)state;
    tf_rng_t rng = {.state = t_seed(11)};
    uint64_t rounds = t_rounds(1500);
    for (int rung = 0; rung < TF_URING_RUNG_COUNT; rung++) {
        rig_t *rig = rig_open(&rig_config, (tf_uring_rung_t)rung);
        for (uint32_t i = 0; i < rounds / TF_URING_RUNG_COUNT; i++)
            race_once(rig, &rng, i);
        rig_close(rig);
    }
}

/* Many sockets want a buffer at once and there are two small ones. */
static void running_out_of_buffers_loses_nothing_and_is_counted(void **state)
{
    (void)state;
    enum { CLIENTS = 100, BYTES = 1000 };
    tf_io_config_t config = rig_config;
    config.recv_buffers = 2;
    config.recv_bytes = 64;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    static rig_pair_t pairs[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pairs[i] = rig_pair(rig, i, 1);
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
    }
    rig_turn(rig, 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_client_write(rig, pairs[i].client, pattern + i, BYTES);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        rig_receive(rig, i, BYTES);
        assert_memory_equal(rig->received[i], pattern + i, BYTES);
    }
    assert_true(tf_stats_get(&rig->stats, TF_STAT_recv_buffers_exhausted_total) > 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_pair_close(rig, &pairs[i]);
    rig_close(rig);
}

static void stopping_while_buffers_are_short_is_answered(void **state)
{
    (void)state;
    enum { CLIENTS = 50 };
    tf_io_config_t config = rig_config;
    config.recv_buffers = 1;
    config.recv_bytes = 16;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    static rig_pair_t pairs[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pairs[i] = rig_pair(rig, i, 1);
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
        rig_client_write(rig, pairs[i].client, pattern, 500);
    }
    tf_io_submit(rig->io);
    for (uint32_t i = 0; i < CLIENTS; i++)
        tf_io_recv_stop(rig->io, pairs[i].handle);
    for (uint32_t i = 0; i < CLIENTS; i++)
        (void)rig_expect_of(rig, TF_IO_RECV_STOPPED, i);
    for (uint32_t i = 0; i < CLIENTS; i++)
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_receive(rig, i, 500);
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_pair_close(rig, &pairs[i]);
    rig_close(rig);
}

/* Newer kernels run about 20 deferred receives per call, so most of these are about to run when
 * their cancel comes. */
static void stopping_a_crowd_with_data_at_hand_is_answered(void **state)
{
    (void)state;
    enum { CLIENTS = 200 };
    tf_io_config_t config = rig_config;
    config.recv_buffers = 1024;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    static rig_pair_t pairs[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pairs[i] = rig_pair(rig, i, 1);
        rig_client_write(rig, pairs[i].client, pattern, 100);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
    tf_io_submit(rig->io);
    for (uint32_t i = 0; i < CLIENTS; i++)
        tf_io_recv_stop(rig->io, pairs[i].handle);
    for (uint32_t i = 0; i < CLIENTS; i++)
        (void)rig_expect_of(rig, TF_IO_RECV_STOPPED, i);
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_pair_close(rig, &pairs[i]);
    rig_close(rig);
}

/* The kernel at hand always finds the receive, so this puts a cancel that looks for something else
 * in the place of the real one. */
static void a_cancel_that_finds_nothing_is_repeated(void **state)
{
    (void)state;
    rig_t *rig = open_default();
    rig_pair_t pair = rig_pair(rig, 4, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_turn(rig, 0);
    tf_uring_t *uring = tf_uring_of(rig->io);
    uring->slots[4].recv = TF_URING_RECV_CANCELLING;
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    io_uring_prep_cancel64(sqe, tf_uring_tag_make(TF_URING_OP_RECV, 2, 4), 0);
    io_uring_sqe_set_data64(sqe, tf_uring_tag_make(TF_URING_OP_CANCEL_RECV, 1, 4));
    (void)rig_expect(rig, TF_IO_RECV_STOPPED);
    assert_int_equal(rig->log_count, 0);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void one_turn_takes_what_a_crowd_sent(void **state)
{
    (void)state;
    enum { CLIENTS = 500 };
    tf_io_config_t config = rig_config;
    config.recv_buffers = 1024;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    static rig_pair_t pairs[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pairs[i] = rig_pair(rig, i, 1);
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle);
    }
    rig_turn(rig, 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(send(pairs[i].client, "x", 1, 0), 1);
    rig_turn(rig, 10 * TF_NS_PER_S);
    assert_int_equal(rig_logged(rig, TF_IO_RECEIVED), CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++)
        rig_pair_close(rig, &pairs[i]);
    rig_close(rig);
}

/* The peer goes on sending while the caller collects, so there is more whenever it looks. */
static void a_stop_takes_effect_while_the_caller_collects(void **state)
{
    (void)state;
    enum { MORE_BYTES = 16 * 1024, BOUND_BYTES = 256 * 1024 };
    tf_io_config_t config = rig_config;
    config.recv_buffers = 1024;
    config.recv_bytes = 1024;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_client_write(rig, pair.client, pattern, MORE_BYTES);
    size_t bytes = 0;
    tf_io_event_t event = {.type = TF_IO_WOKEN};
    while (event.type != TF_IO_RECV_STOPPED) {
        tf_io_wait(rig->io, TF_NS_PER_S);
        while (tf_io_next(rig->io, &event) && event.type != TF_IO_RECV_STOPPED) {
            if (bytes == 0)
                tf_io_recv_stop(rig->io, pair.handle);
            bytes += event.bytes;
            (void)send(pair.client, pattern, MORE_BYTES, MSG_DONTWAIT);
        }
    }
    assert_in_range(bytes, 1, BOUND_BYTES);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

/* RECEIVED data may be used until the next tf_io_next(), also across a submit. */
static void received_data_survives_a_submit(void **state)
{
    (void)state;
    tf_io_config_t config = rig_config;
    config.recv_buffers = 1;
    rig_t *rig = rig_open(&config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_recv_start(rig->io, pair.fd, pair.handle);
    rig_client_write(rig, pair.client, "first", 5);
    tf_io_event_t event = {.type = TF_IO_WOKEN};
    while (event.type != TF_IO_RECEIVED) {
        tf_io_wait(rig->io, 10 * TF_NS_PER_S);
        (void)tf_io_next(rig->io, &event);
    }
    rig_client_write(rig, pair.client, "other", 5);
    tf_io_submit(rig->io);
    tf_io_wait(rig->io, 0);
    assert_int_equal(event.bytes, 5);
    assert_memory_equal(event.data, "first", 5);
    rig_receive(rig, 0, 5);
    assert_memory_equal(rig->received[0], "other", 5);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_1_byte_to_64_kib_arrive_whole),
        cmocka_unit_test(bytes_sent_before_the_receive_was_asked_for_arrive),
        cmocka_unit_test(the_peers_last_bytes_come_before_its_end),
        cmocka_unit_test(a_reset_ends_receiving_with_its_error),
        cmocka_unit_test(a_stopped_receive_delivers_nothing_until_started_again),
        cmocka_unit_test(a_stop_before_the_start_reached_the_kernel_is_answered),
        cmocka_unit_test(a_stop_racing_with_data_or_the_end_is_answered_exactly_once),
        cmocka_unit_test(running_out_of_buffers_loses_nothing_and_is_counted),
        cmocka_unit_test(stopping_while_buffers_are_short_is_answered),
        cmocka_unit_test(stopping_a_crowd_with_data_at_hand_is_answered),
        cmocka_unit_test(a_cancel_that_finds_nothing_is_repeated),
        cmocka_unit_test(one_turn_takes_what_a_crowd_sent),
        cmocka_unit_test(a_stop_takes_effect_while_the_caller_collects),
        cmocka_unit_test(received_data_survives_a_submit),
    };
    return cmocka_run_group_tests(tests, fill_pattern, NULL);
}
