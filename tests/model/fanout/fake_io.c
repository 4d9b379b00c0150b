#include "fake_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FD_BASE = 1 << 20, /* no descriptor of this process: setsockopt and close on it just fail */
    SLOTS_MAX = 1024,
    EVENTS_PER_WAIT = 200,
};

typedef enum send_state {
    SEND_NONE,
    SEND_QUEUED,
    SEND_LATE, /* done, but its completion comes after the next wait */
    SEND_DONE,
} send_state_t;

typedef struct bytes {
    uint8_t *data;
    size_t count;
    size_t room;
} bytes_t;

typedef struct peer {
    bool used;
    bool accepted; /* ACCEPTED was reported */
    bool attached; /* the server started receiving: the handle is known */
    bool receiving;
    bool stopping;
    bool fin;
    bool reset;
    bool writable_wanted;
    bool closing; /* tf_io_close() was called */
    bool over;    /* CLOSED was reported */
    tf_io_handle_t handle;
    size_t window;
    size_t unread;
    bytes_t from_server;
    bytes_t to_server;
    send_state_t send;
    const void *data;
    uint8_t *copy; /* of the send's data, to see that it is left alone */
    size_t send_bytes;
    size_t sent;
    int error;
    uint64_t send_number; /* of the last send, counted over all */
} peer_t;

struct fake_io {
    tf_io_t door;
    tf_rng_t rng;
    bool calm;
    bool accept_paused;
    uint32_t send_batch;
    uint32_t sends_queued;
    uint64_t sends; /* ever queued */
    uint32_t events_left;
    uint8_t *piece; /* the data of the last RECEIVED */
    peer_t peer[FAKE_CLIENTS_MAX];
    uint32_t by_slot[SLOTS_MAX];
};

static void append(bytes_t *bytes, const void *data, size_t count)
{
    if (count == 0)
        return;
    if (bytes->room - bytes->count < count) {
        bytes->room = 2 * (bytes->count + count);
        bytes->data = realloc(bytes->data, bytes->room);
        TF_ASSERT(bytes->data != NULL);
    }
    memcpy(bytes->data + bytes->count, data, count);
    bytes->count += count;
}

static void drop_first(bytes_t *bytes, size_t count)
{
    bytes->count -= count;
    memmove(bytes->data, bytes->data + count, bytes->count);
}

/* True about `times` in `of`; never when calm. */
static bool chance(fake_io_t *fake, uint64_t times, uint64_t of)
{
    return !fake->calm && tf_rng_below(&fake->rng, of) < times;
}

static fake_io_t *fake_of(tf_io_t *io)
{
    return (fake_io_t *)io;
}

static peer_t *peer_by_fd(fake_io_t *fake, int fd)
{
    TF_ASSERT(fd >= FD_BASE && fd < FD_BASE + FAKE_CLIENTS_MAX);
    return &fake->peer[fd - FD_BASE];
}

/* The connection that a call names: it must be open, and of this generation. */
static peer_t *peer_by_handle(fake_io_t *fake, tf_io_handle_t handle)
{
    TF_ASSERT(handle.slot < SLOTS_MAX);
    peer_t *peer = &fake->peer[fake->by_slot[handle.slot]];
    TF_ASSERT(peer->attached && !peer->closing && peer->handle.slot == handle.slot &&
              peer->handle.generation == handle.generation);
    return peer;
}

/* ---- requests ---- */

static tf_status_t fake_listen(tf_io_t *io, int fd)
{
    (void)io;
    (void)fd;
    return TF_OK;
}

static void fake_accept_again(tf_io_t *io, uint32_t listener)
{
    TF_ASSERT(listener == 0);
    fake_of(io)->accept_paused = false;
}

static tf_status_t fake_watch(tf_io_t *io, int fd)
{
    (void)io;
    (void)fd;
    return TF_OK;
}

static void fake_recv_start(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    fake_io_t *fake = fake_of(io);
    peer_t *peer = peer_by_fd(fake, fd);
    TF_ASSERT(handle.slot < SLOTS_MAX && peer->accepted && !peer->closing && !peer->receiving);
    if (!peer->attached) {
        peer->attached = true;
        peer->handle = handle;
        fake->by_slot[handle.slot] = (uint32_t)(fd - FD_BASE);
    }
    TF_ASSERT(peer_by_handle(fake, handle) == peer);
    peer->receiving = true;
}

static void fake_recv_stop(tf_io_t *io, tf_io_handle_t handle)
{
    peer_t *peer = peer_by_handle(fake_of(io), handle);
    TF_ASSERT(peer->receiving && !peer->stopping);
    peer->stopping = true;
}

static void fake_send(tf_io_t *io, int fd, tf_io_handle_t handle, const void *data, size_t bytes)
{
    fake_io_t *fake = fake_of(io);
    peer_t *peer = peer_by_fd(fake, fd);
    TF_ASSERT(peer_by_handle(fake, handle) == peer);
    TF_ASSERT(bytes > 0 && peer->send == SEND_NONE && fake->sends_queued < fake->send_batch);
    fake->sends_queued++;
    peer->send_number = ++fake->sends;
    peer->send = SEND_QUEUED;
    peer->data = data;
    peer->send_bytes = bytes;
    peer->copy = malloc(bytes);
    TF_ASSERT(peer->copy != NULL);
    memcpy(peer->copy, data, bytes);
}

static void fake_writable(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    peer_t *peer = peer_by_fd(fake_of(io), fd);
    TF_ASSERT(peer_by_handle(fake_of(io), handle) == peer);
    peer->writable_wanted = true;
}

/* How much of a send the socket takes. */
static size_t socket_takes(fake_io_t *fake, const peer_t *peer)
{
    size_t room = peer->window > peer->unread ? peer->window - peer->unread : 0;
    size_t most = peer->send_bytes < room ? peer->send_bytes : room;
    if (chance(fake, 1, 12))
        return 0;
    return chance(fake, 1, 6) ? (size_t)tf_rng_below(&fake->rng, most + 1) : most;
}

static void send_run(fake_io_t *fake, peer_t *peer)
{
    TF_ASSERT(memcmp(peer->copy, peer->data, peer->send_bytes) == 0);
    peer->error = peer->reset ? -EPIPE : 0;
    peer->sent = peer->reset ? 0 : socket_takes(fake, peer);
    append(&peer->from_server, peer->data, peer->sent);
    peer->unread += peer->sent;
    peer->send = chance(fake, 1, 8) ? SEND_LATE : SEND_DONE;
}

static void fake_submit(tf_io_t *io)
{
    fake_io_t *fake = fake_of(io);
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        if (fake->peer[i].send == SEND_QUEUED)
            send_run(fake, &fake->peer[i]);
    }
    fake->sends_queued = 0;
    fake->events_left = EVENTS_PER_WAIT;
}

static void fake_wait(tf_io_t *io, int64_t timeout_ns)
{
    (void)timeout_ns;
    fake_io_t *fake = fake_of(io);
    fake_submit(io);
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        if (fake->peer[i].send == SEND_LATE)
            fake->peer[i].send = SEND_DONE;
    }
}

static void send_forget(peer_t *peer)
{
    free(peer->copy);
    peer->copy = NULL;
    peer->data = NULL;
    peer->send = SEND_NONE;
}

static void fake_close(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    fake_io_t *fake = fake_of(io);
    peer_t *peer = peer_by_fd(fake, fd);
    TF_ASSERT(peer_by_handle(fake, handle) == peer);
    if (peer->send == SEND_QUEUED) {
        send_run(fake, peer);
        fake->sends_queued--;
    }
    send_forget(peer);
    peer->closing = true;
    peer->receiving = false;
    peer->stopping = false;
    peer->writable_wanted = false;
}

/* ---- events ---- */

static bool sent_event(peer_t *peer, tf_io_event_t *event)
{
    TF_ASSERT(memcmp(peer->copy, peer->data, peer->send_bytes) == 0);
    *event = (tf_io_event_t){
        .type = TF_IO_SENT, .handle = peer->handle, .sent = peer->sent, .error = peer->error};
    send_forget(peer);
    return true;
}

static bool received_event(fake_io_t *fake, peer_t *peer, tf_io_event_t *event)
{
    size_t bytes = peer->to_server.count;
    if (!fake->calm && chance(fake, 1, 2))
        bytes = 1 + (size_t)tf_rng_below(&fake->rng, bytes);
    fake->piece = malloc(bytes);
    TF_ASSERT(fake->piece != NULL);
    memcpy(fake->piece, peer->to_server.data, bytes);
    drop_first(&peer->to_server, bytes);
    *event = (tf_io_event_t){
        .type = TF_IO_RECEIVED, .handle = peer->handle, .data = fake->piece, .bytes = bytes};
    return true;
}

static bool receive_end_event(peer_t *peer, tf_io_event_t *event)
{
    *event = (tf_io_event_t){.type = TF_IO_RECV_STOPPED, .handle = peer->handle};
    if (peer->reset || (peer->fin && peer->to_server.count == 0)) {
        event->type = TF_IO_RECV_ENDED;
        event->error = peer->reset ? -ECONNRESET : 0;
    }
    peer->receiving = false;
    peer->stopping = false;
    return true;
}

static bool receive_event(fake_io_t *fake, peer_t *peer, tf_io_event_t *event)
{
    if (!peer->receiving || chance(fake, 1, 5))
        return false;
    if (peer->to_server.count > 0 && !peer->reset && !(peer->stopping && chance(fake, 1, 2)))
        return received_event(fake, peer, event);
    if (peer->stopping || peer->reset || peer->fin)
        return receive_end_event(peer, event);
    return false;
}

static bool peer_event(fake_io_t *fake, peer_t *peer, tf_io_event_t *event)
{
    if (!peer->attached || peer->over)
        return false;
    if (peer->closing) {
        if (chance(fake, 1, 3))
            return false;
        peer->over = true;
        *event = (tf_io_event_t){.type = TF_IO_CLOSED, .handle = peer->handle};
        return true;
    }
    if (peer->send == SEND_DONE)
        return sent_event(peer, event);
    bool room = peer->window > peer->unread || peer->reset;
    if (peer->writable_wanted && room && !chance(fake, 1, 3)) {
        peer->writable_wanted = false;
        *event = (tf_io_event_t){.type = TF_IO_WRITABLE, .handle = peer->handle};
        return true;
    }
    return receive_event(fake, peer, event);
}

static bool accept_event(fake_io_t *fake, uint32_t client, tf_io_event_t *event)
{
    peer_t *peer = &fake->peer[client];
    if (!peer->used || peer->accepted || fake->accept_paused || chance(fake, 1, 3))
        return false;
    *event = (tf_io_event_t){.type = TF_IO_ACCEPTED, .fd = FD_BASE + (int)client};
    if (chance(fake, 1, 6)) {
        fake->accept_paused = true;
        *event = (tf_io_event_t){.type = TF_IO_ACCEPT_FAILED, .error = -EMFILE};
        return true;
    }
    peer->accepted = true;
    return true;
}

static bool fake_next(tf_io_t *io, tf_io_event_t *event)
{
    fake_io_t *fake = fake_of(io);
    free(fake->piece);
    fake->piece = NULL;
    if (fake->events_left == 0)
        return false;
    uint32_t start = (uint32_t)tf_rng_below(&fake->rng, FAKE_CLIENTS_MAX);
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        uint32_t client = (start + i) % FAKE_CLIENTS_MAX;
        if (!fake->peer[client].used)
            continue;
        if (accept_event(fake, client, event) || peer_event(fake, &fake->peer[client], event)) {
            fake->events_left--;
            return true;
        }
    }
    return false;
}

static void peer_fini(peer_t *peer)
{
    free(peer->from_server.data);
    free(peer->to_server.data);
    send_forget(peer);
    *peer = (peer_t){0};
}

static void fake_destroy(tf_io_t *io)
{
    fake_io_t *fake = fake_of(io);
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++)
        peer_fini(&fake->peer[i]);
    free(fake->piece);
    free(fake);
}

/* ---- the test's side ---- */

fake_io_t *fake_io_create(uint64_t seed, uint32_t send_batch)
{
    static const tf_io_ops_t ops = {
        .destroy = fake_destroy,
        .listen = fake_listen,
        .accept_again = fake_accept_again,
        .watch = fake_watch,
        .recv_start = fake_recv_start,
        .recv_stop = fake_recv_stop,
        .send = fake_send,
        .writable = fake_writable,
        .close = fake_close,
        .submit = fake_submit,
        .wait = fake_wait,
        .next = fake_next,
    };
    fake_io_t *fake = calloc(1, sizeof *fake);
    TF_ASSERT(fake != NULL);
    fake->door.ops = &ops;
    fake->rng.state = seed;
    fake->send_batch = send_batch;
    fake->events_left = EVENTS_PER_WAIT;
    return fake;
}

tf_io_t *fake_io_door(fake_io_t *fake)
{
    return &fake->door;
}

void fake_io_calm(fake_io_t *fake, bool calm)
{
    fake->calm = calm;
}

uint32_t fake_io_connect(fake_io_t *fake)
{
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        if (!fake->peer[i].used) {
            fake->peer[i] = (peer_t){.used = true, .window = SIZE_MAX};
            return i;
        }
    }
    return FAKE_CLIENTS_MAX;
}

void fake_io_forget(fake_io_t *fake, uint32_t client)
{
    TF_ASSERT(fake_io_over(fake, client) || !fake->peer[client].attached);
    peer_fini(&fake->peer[client]);
}

void fake_io_put(fake_io_t *fake, uint32_t client, const void *data, size_t bytes)
{
    append(&fake->peer[client].to_server, data, bytes);
}

void fake_io_fin(fake_io_t *fake, uint32_t client)
{
    fake->peer[client].fin = true;
}

void fake_io_reset(fake_io_t *fake, uint32_t client)
{
    fake->peer[client].reset = true;
}

void fake_io_window(fake_io_t *fake, uint32_t client, size_t bytes)
{
    fake->peer[client].window = bytes;
}

void fake_io_read(fake_io_t *fake, uint32_t client, size_t bytes)
{
    peer_t *peer = &fake->peer[client];
    peer->unread -= bytes < peer->unread ? bytes : peer->unread;
}

size_t fake_io_unread(const fake_io_t *fake, uint32_t client)
{
    return fake->peer[client].unread;
}

const uint8_t *fake_io_take(fake_io_t *fake, uint32_t client, size_t *bytes)
{
    peer_t *peer = &fake->peer[client];
    *bytes = peer->from_server.count;
    peer->from_server.count = 0;
    return peer->from_server.data;
}

bool fake_io_attached(const fake_io_t *fake, uint32_t client)
{
    return fake->peer[client].attached;
}

bool fake_io_refused(const fake_io_t *fake, uint32_t client)
{
    return fake->peer[client].accepted && !fake->peer[client].attached;
}

bool fake_io_over(const fake_io_t *fake, uint32_t client)
{
    return fake->peer[client].over;
}

bool fake_io_idle(const fake_io_t *fake, uint32_t client)
{
    const peer_t *peer = &fake->peer[client];
    return peer->to_server.count == 0 && peer->send == SEND_NONE && !peer->writable_wanted;
}

uint64_t fake_io_send_number(const fake_io_t *fake, uint32_t client)
{
    return fake->peer[client].send_number;
}
