#include "base/clock.h"
#include "io_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t block[256 * 1024];

static int fill_block(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 13 + i / 257);
    return 0;
}

static void a_send_is_over_when_submit_returns(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 5, 77);
    tf_io_send(rig->io, pair.fd, pair.handle, block, 300);
    tf_io_submit(rig->io);
    tf_io_event_t event;
    assert_true(tf_io_next(rig->io, &event));
    assert_int_equal(event.type, TF_IO_SENT);
    assert_int_equal(event.sent, 300);
    assert_int_equal(event.error, 0);
    assert_int_equal(event.handle.slot, 5);
    assert_int_equal(event.handle.generation, 77);
    uint8_t got[300];
    assert_int_equal(recv(pair.client, got, sizeof got, MSG_DONTWAIT), 300);
    assert_memory_equal(got, block, sizeof got);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

/* `clients` connections get one send each before a single submit. */
static void send_to_all_at_once(const tf_io_config_t *config, tf_uring_rung_t rung,
                                uint32_t clients)
{
    static rig_pair_t pairs[RIG_SLOTS];
    rig_t *rig = rig_open(config, rung);
    for (uint32_t i = 0; i < clients; i++) {
        pairs[i] = rig_pair(rig, i, i);
        tf_io_recv_start(rig->io, pairs[i].fd, pairs[i].handle); /* as a server has it */
    }
    rig_turn(rig, 0);
    for (uint32_t i = 0; i < clients; i++)
        tf_io_send(rig->io, pairs[i].fd, pairs[i].handle, block + i, 100);
    tf_io_submit(rig->io);
    rig_drain(rig);
    assert_int_equal(rig_logged(rig, TF_IO_SENT), clients);
    for (uint32_t i = 0; i < clients; i++) {
        uint8_t got[100];
        assert_int_equal(rig_expect_of(rig, TF_IO_SENT, i).sent, 100);
        assert_int_equal(recv(pairs[i].client, got, sizeof got, MSG_DONTWAIT), 100);
        assert_memory_equal(got, block + i, sizeof got);
    }
    for (uint32_t i = 0; i < clients; i++)
        rig_pair_close(rig, &pairs[i]);
    rig_close(rig);
}

static void a_thousand_sends_complete_inside_one_submit(void **state)
{
    (void)state;
    send_to_all_at_once(&rig_config, TF_URING_DEFERRED_FLAGGED, 1000);
}

static void more_sends_than_the_queue_takes_complete_as_well(void **state)
{
    (void)state;
    tf_io_config_t config = rig_config;
    config.send_batch = 64;
    for (int rung = 0; rung < TF_URING_RUNG_COUNT; rung++)
        send_to_all_at_once(&config, (tf_uring_rung_t)rung, 500);
}

static tf_io_event_t send_once(rig_t *rig, const rig_pair_t *pair, const void *data, size_t bytes)
{
    tf_io_send(rig->io, pair->fd, pair->handle, data, bytes);
    tf_io_submit(rig->io);
    rig_drain(rig);
    assert_int_equal(rig_logged(rig, TF_IO_SENT), 1); /* there already: nothing is waited for */
    return rig_expect(rig, TF_IO_SENT);
}

/* Send blocks until the socket takes nothing any more; returns how much it took. */
static size_t fill_socket(rig_t *rig, const rig_pair_t *pair, bool *was_short)
{
    size_t taken = 0;
    for (;;) {
        size_t offset = taken % (sizeof block / 2);
        tf_io_event_t sent = send_once(rig, pair, block + offset, sizeof block / 2);
        assert_int_equal(sent.error, 0);
        if (sent.sent == 0)
            return taken;
        *was_short = *was_short || sent.sent < sizeof block / 2;
        taken += sent.sent;
    }
}

static void drain_client(int client, size_t bytes)
{
    static uint8_t sink[65536];
    while (bytes > 0) {
        ssize_t got = recv(client, sink, bytes < sizeof sink ? bytes : sizeof sink, 0);
        assert_true(got > 0);
        bytes -= (size_t)got;
    }
}

static void a_full_socket_takes_a_part_then_nothing_and_tells_when_there_is_room(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    int small = 16384;
    assert_int_equal(setsockopt(pair.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    bool was_short = false;
    for (int round = 0; round < 3; round++) {
        size_t taken = fill_socket(rig, &pair, &was_short);
        tf_io_writable(rig->io, pair.fd, pair.handle);
        tf_io_writable(rig->io, pair.fd, pair.handle); /* asking twice is asking once */
        for (int i = 0; i < 3; i++)
            rig_turn(rig, 0);
        assert_int_equal(rig_logged(rig, TF_IO_WRITABLE), 0);
        drain_client(pair.client, taken);
        (void)rig_expect(rig, TF_IO_WRITABLE);
        for (int i = 0; i < 3; i++)
            rig_turn(rig, 0);
        assert_int_equal(rig_logged(rig, TF_IO_WRITABLE), 0);
    }
    assert_true(was_short);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void a_short_send_took_exactly_what_it_says(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    int small = 16384;
    assert_int_equal(setsockopt(pair.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    size_t sent = send_once(rig, &pair, block, sizeof block).sent;
    assert_true(sent > 0 && sent < sizeof block);
    tf_io_close(rig->io, pair.fd, pair.handle);
    (void)rig_expect(rig, TF_IO_CLOSED);
    static uint8_t got[sizeof block];
    size_t bytes = 0;
    for (ssize_t n = 1; n > 0; bytes += (size_t)n) {
        n = recv(pair.client, got + bytes, sizeof got - bytes, 0);
        assert_true(n >= 0);
    }
    assert_int_equal(bytes, sent);
    assert_memory_equal(got, block, sent);
    (void)close(pair.client);
    rig_close(rig);
}

static void a_socket_with_room_is_writable_at_once(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    tf_io_writable(rig->io, pair.fd, pair.handle);
    (void)rig_expect(rig, TF_IO_WRITABLE);
    rig_pair_close(rig, &pair);
    rig_close(rig);
}

static void a_send_to_a_broken_connection_reports_the_error_without_a_signal(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    rig_pair_t pair = rig_pair(rig, 0, 1);
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    (void)close(pair.client);
    tf_io_event_t first = send_once(rig, &pair, block, 100);
    assert_int_equal(first.error, -ECONNRESET);
    assert_int_equal(first.sent, 0);
    assert_int_equal(send_once(rig, &pair, block, 100).error, -EPIPE);
    tf_io_writable(rig->io, pair.fd, pair.handle); /* broken counts as writable: no hang */
    (void)rig_expect(rig, TF_IO_WRITABLE);
    tf_io_close(rig->io, pair.fd, pair.handle);
    (void)rig_expect(rig, TF_IO_CLOSED);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_is_over_when_submit_returns),
        cmocka_unit_test(a_thousand_sends_complete_inside_one_submit),
        cmocka_unit_test(more_sends_than_the_queue_takes_complete_as_well),
        cmocka_unit_test(a_full_socket_takes_a_part_then_nothing_and_tells_when_there_is_room),
        cmocka_unit_test(a_short_send_took_exactly_what_it_says),
        cmocka_unit_test(a_socket_with_room_is_writable_at_once),
        cmocka_unit_test(a_send_to_a_broken_connection_reports_the_error_without_a_signal),
    };
    return cmocka_run_group_tests(tests, fill_block, NULL);
}
