#include "io_rig.h"

#include "base/clock.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_S = 10 };

const tf_io_config_t rig_config = {
    .connections_max = RIG_SLOTS,
    .send_batch = 1024,
    .recv_buffers = 64,
    .recv_bytes = 2048,
};

static uint64_t mem_before;
static uint32_t fds_before;

uint32_t rig_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    uint32_t count = 0;
    while (readdir(dir) != NULL) /* NOLINT(concurrency-mt-unsafe): nobody else has this stream */
        count++;
    (void)closedir(dir);
    return count;
}

int rig_listen(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

int rig_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

rig_t *rig_open(const tf_io_config_t *config, tf_uring_rung_t first)
{
    mem_before = tf_mem_in_use_bytes();
    fds_before = rig_fds();
    rig_t *rig = tf_mem_aligned(sizeof *rig);
    assert_non_null(rig);
    rig->listen_fd = rig_listen(&rig->port);
    assert_int_equal(tf_io_uring_create_from(&rig->io, config, &rig->stats, first), TF_OK);
    assert_int_equal(tf_io_listen(rig->io, rig->listen_fd), TF_OK);
    return rig;
}

void rig_close(rig_t *rig)
{
    tf_io_destroy(rig->io);
    (void)close(rig->listen_fd);
    for (uint32_t i = 0; i < RIG_SLOTS; i++)
        tf_mem_free(rig->received[i]);
    tf_mem_free(rig);
    assert_int_equal(tf_mem_in_use_bytes(), mem_before);
    assert_int_equal(rig_fds(), fds_before);
}

static void keep_received(rig_t *rig, const tf_io_event_t *event)
{
    uint32_t slot = event->handle.slot;
    assert_true(slot < RIG_SLOTS && event->bytes > 0);
    size_t bytes = rig->received_bytes[slot];
    uint8_t *grown = tf_mem_realloc(rig->received[slot], bytes + event->bytes, 1);
    assert_non_null(grown);
    (void)memcpy(grown + bytes, event->data, event->bytes);
    rig->received[slot] = grown;
    rig->received_bytes[slot] = bytes + event->bytes;
}

void rig_drain(rig_t *rig)
{
    tf_io_event_t event;
    while (tf_io_next(rig->io, &event)) {
        if (event.type == TF_IO_RECEIVED)
            keep_received(rig, &event);
        event.data = NULL; /* gone with the next tf_io_next() */
        assert_true(rig->log_count < RIG_LOG_MAX);
        rig->log[rig->log_count++] = event;
    }
}

void rig_turn(rig_t *rig, int64_t timeout_ns)
{
    tf_io_wait(rig->io, timeout_ns);
    rig_drain(rig);
}

static bool take(rig_t *rig, tf_io_event_type_t type, int64_t slot, tf_io_event_t *event)
{
    for (uint32_t i = 0; i < rig->log_count; i++) {
        *event = rig->log[i];
        if (event->type == type && (slot < 0 || event->handle.slot == slot)) {
            (void)memmove(&rig->log[i], &rig->log[i + 1],
                          (--rig->log_count - i) * sizeof rig->log[0]);
            return true;
        }
    }
    return false;
}

static tf_io_event_t expect(rig_t *rig, tf_io_event_type_t type, int64_t slot)
{
    tf_io_event_t event;
    int64_t deadline_ns = tf_clock_mono_ns(&tf_clock_system) + PATIENCE_S * TF_NS_PER_S;
    while (!take(rig, type, slot, &event)) {
        if (tf_clock_mono_ns(&tf_clock_system) >= deadline_ns)
            fail_msg("no event of type %d", (int)type);
        rig_turn(rig, TF_NS_PER_S);
    }
    return event;
}

tf_io_event_t rig_expect(rig_t *rig, tf_io_event_type_t type)
{
    return expect(rig, type, -1);
}

tf_io_event_t rig_expect_of(rig_t *rig, tf_io_event_type_t type, uint32_t slot)
{
    return expect(rig, type, slot);
}

uint32_t rig_logged(const rig_t *rig, tf_io_event_type_t type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->log_count; i++)
        count += rig->log[i].type == type;
    return count;
}

void rig_receive(rig_t *rig, uint32_t slot, size_t bytes)
{
    while (rig->received_bytes[slot] < bytes)
        (void)rig_expect_of(rig, TF_IO_RECEIVED, slot);
}

void rig_client_write(rig_t *rig, int client, const void *data, size_t bytes)
{
    const uint8_t *next = data;
    while (bytes > 0) {
        ssize_t sent = send(client, next, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            rig_turn(rig, TF_NS_PER_MS);
            continue;
        }
        next += sent;
        bytes -= (size_t)sent;
    }
}

rig_pair_t rig_pair(rig_t *rig, uint32_t slot, uint32_t generation)
{
    int client = rig_connect(rig->port);
    tf_io_event_t accepted = rig_expect(rig, TF_IO_ACCEPTED);
    return (rig_pair_t){
        .client = client, .fd = accepted.fd, .handle = {.slot = slot, .generation = generation}};
}

void rig_pair_close(rig_t *rig, const rig_pair_t *pair)
{
    (void)close(pair->client);
    tf_io_close(rig->io, pair->fd, pair->handle);
    tf_io_event_t closed = rig_expect_of(rig, TF_IO_CLOSED, pair->handle.slot);
    assert_int_equal(closed.handle.generation, pair->handle.generation);
}
