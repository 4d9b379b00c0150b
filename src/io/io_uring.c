#include "base/mem.h"
#include "io/io.h"
#include "io/uring.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

const tf_io_config_t tf_io_config_default = {
    .connections_max = 10000,
    .send_batch = 1024,
    .recv_buffers = 1024,
    .recv_bytes = 2048,
};

static tf_status_t source_add(tf_uring_t *uring, tf_uring_source_t *sources, uint32_t *count,
                              uint32_t max, int fd)
{
    if (*count == max)
        return tf_error(TF_ERR_FULL, "io: more than %u listeners or watches", max);
    sources[*count].fd = fd;
    tf_uring_source_due(uring, &sources[*count]);
    *count += 1;
    return TF_OK;
}

static tf_status_t uring_listen(tf_io_t *io, int fd)
{
    tf_uring_t *uring = tf_uring_of(io);
    TF_ASSERT((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    return source_add(uring, uring->listeners, &uring->listeners_count, TF_URING_LISTENERS_MAX, fd);
}

static void uring_accept_again(tf_io_t *io, uint32_t listener)
{
    tf_uring_t *uring = tf_uring_of(io);
    TF_ASSERT(listener < uring->listeners_count);
    tf_uring_reserve_open(uring);
    if (uring->listeners[listener].state == TF_URING_SOURCE_PAUSED)
        tf_uring_source_due(uring, &uring->listeners[listener]);
}

static tf_status_t uring_watch(tf_io_t *io, int fd)
{
    tf_uring_t *uring = tf_uring_of(io);
    return source_add(uring, uring->watches, &uring->watches_count, TF_URING_WATCHES_MAX, fd);
}

static void uring_recv_start(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    tf_uring_t *uring = tf_uring_of(io);
    tf_uring_slot_t *slot = tf_uring_slot_use(uring, fd, handle);
    TF_ASSERT(slot->recv == TF_URING_RECV_OFF);
    slot->recv = TF_URING_RECV_DUE;
    tf_uring_todo_add(uring, slot);
}

static void uring_recv_stop(tf_io_t *io, tf_io_handle_t handle)
{
    tf_uring_t *uring = tf_uring_of(io);
    tf_uring_slot_t *slot = tf_uring_slot_find(uring, handle);
    TF_ASSERT(slot->recv == TF_URING_RECV_DUE || slot->recv == TF_URING_RECV_ARMED);
    if (slot->recv == TF_URING_RECV_DUE) {
        slot->recv = TF_URING_RECV_STOPPED;
        tf_uring_ready_add(uring, slot);
    } else {
        slot->recv = TF_URING_RECV_CANCEL_DUE;
        tf_uring_todo_soon(uring, slot);
    }
}

static void uring_send(tf_io_t *io, int fd, tf_io_handle_t handle, const void *data, size_t bytes)
{
    tf_uring_t *uring = tf_uring_of(io);
    tf_uring_slot_t *slot = tf_uring_slot_use(uring, fd, handle);
    TF_ASSERT(slot->send == TF_URING_SEND_OFF && bytes > 0 && bytes <= UINT32_MAX);
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    if (sqe == NULL) {
        slot->send = TF_URING_SEND_REFUSED;
        tf_uring_ready_add(uring, slot);
        return;
    }
    /* MSG_DONTWAIT: done or refused at once, so nothing old stays committed to the kernel. A
     * completion is always wanted, as skipping those of "successful" sends hides short ones. */
    io_uring_prep_send(sqe, fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe,
                            tf_uring_tag_make(TF_URING_OP_SEND, handle.generation, handle.slot));
    slot->send = TF_URING_SEND_QUEUED;
}

static void uring_writable(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    tf_uring_t *uring = tf_uring_of(io);
    tf_uring_slot_t *slot = tf_uring_slot_use(uring, fd, handle);
    if (slot->poll != TF_URING_POLL_OFF)
        return;
    slot->poll = TF_URING_POLL_DUE;
    tf_uring_todo_add(uring, slot);
}

/*
 * close(2) does not end pending requests and each of them keeps the socket open, so: shutdown(2)
 * (the plain call; the ring's goes through a worker thread), which ends a receive and a poll by
 * itself, and only when nothing is held, close(2). The receive is also cancelled, to not be handed
 * all that its socket had buffered.
 */
static void uring_close(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    tf_uring_t *uring = tf_uring_of(io);
    tf_uring_slot_t *slot = tf_uring_slot_use(uring, fd, handle);
    if (slot->send == TF_URING_SEND_QUEUED && io_uring_sq_ready(&uring->ring.ring) > 0)
        tf_uring_enter(uring); /* let a farewell out before the door is shut */
    slot->state = TF_URING_SLOT_CLOSING;
    slot->send = slot->send == TF_URING_SEND_QUEUED ? TF_URING_SEND_QUEUED : TF_URING_SEND_OFF;
    slot->recv = slot->recv < TF_URING_RECV_ARMED ? TF_URING_RECV_OFF : slot->recv;
    slot->poll = slot->poll < TF_URING_POLL_ARMED ? TF_URING_POLL_OFF : slot->poll;
    if (!tf_uring_slot_busy(slot)) {
        tf_uring_ready_add(uring, slot);
        return;
    }
    (void)shutdown(fd, SHUT_RDWR);
    if (slot->recv == TF_URING_RECV_ARMED)
        slot->recv = TF_URING_RECV_CANCEL_DUE;
    if (slot->poll == TF_URING_POLL_ARMED)
        slot->poll = TF_URING_POLL_CANCEL_DUE;
    tf_uring_todo_add(uring, slot);
}

/* Connections accepted but not reported, and those being closed, are nobody else's to close. */
static void close_owned(tf_uring_t *uring)
{
    struct io_uring_cqe cqe;
    uring->collects_left = uring->overflowing ? TF_URING_COLLECTS_MAX : 0;
    while (tf_uring_completion_take(uring, &cqe)) {
        if (tf_uring_tag_op(cqe.user_data) == TF_URING_OP_ACCEPT && cqe.res >= 0)
            (void)close(cqe.res);
    }
    for (uint32_t i = 0; i < uring->connections_max; i++) {
        if (uring->slots[i].state == TF_URING_SLOT_CLOSING)
            (void)close(uring->slots[i].fd);
    }
}

static void uring_destroy(tf_io_t *io)
{
    tf_uring_t *uring = tf_uring_of(io);
    close_owned(uring);
    if (uring->reserve_fd >= 0)
        (void)close(uring->reserve_fd);
    /* The kernel ends requests some time after the ring is closed: first take the memory away. */
    tf_uring_pool_close(&uring->pool, &uring->ring);
    tf_uring_ring_close(&uring->ring);
    tf_mem_free(uring->slots);
    tf_mem_free(uring);
}

static const tf_io_ops_t uring_ops = {
    .destroy = uring_destroy,
    .listen = uring_listen,
    .accept_again = uring_accept_again,
    .watch = uring_watch,
    .recv_start = uring_recv_start,
    .recv_stop = uring_recv_stop,
    .send = uring_send,
    .writable = uring_writable,
    .close = uring_close,
    .submit = tf_uring_submit,
    .wait = tf_uring_wait,
    .next = tf_uring_next,
};

tf_status_t tf_io_uring_create_from(tf_io_t **out, const tf_io_config_t *config, tf_stats_t *stats,
                                    tf_uring_rung_t first)
{
    TF_ASSERT(config->connections_max > 0 && config->connections_max < TF_URING_NONE);
    tf_uring_t *uring = tf_mem_calloc(1, sizeof *uring);
    if (uring == NULL)
        return tf_error(TF_ERR_MEMORY, "io_uring: no memory");
    uring->io.ops = &uring_ops;
    uring->stats = stats;
    uring->connections_max = config->connections_max;
    uring->lent = TF_URING_NONE;
    uring->reserve_fd = -1;
    uring->todo.head = TF_URING_NONE;
    uring->ready.head = TF_URING_NONE;
    uring->slots = tf_mem_calloc(config->connections_max, sizeof *uring->slots);
    tf_status_t status = TF_ERR_MEMORY;
    if (uring->slots == NULL) {
        (void)tf_error(status, "io_uring: no memory for %u connections", config->connections_max);
        goto fail;
    }
    status = tf_uring_ring_open(&uring->ring, config, first);
    if (status != TF_OK)
        goto fail;
    status =
        tf_uring_pool_open(&uring->pool, &uring->ring, config->recv_buffers, config->recv_bytes);
    if (status != TF_OK)
        goto fail_ring;
    tf_uring_reserve_open(uring);
    *out = &uring->io;
    return TF_OK;
fail_ring:
    tf_uring_ring_close(&uring->ring);
fail:
    tf_mem_free(uring->slots);
    tf_mem_free(uring);
    return status;
}

tf_status_t tf_io_uring_create(tf_io_t **out, const tf_io_config_t *config, tf_stats_t *stats)
{
    return tf_io_uring_create_from(out, config, stats, TF_URING_DEFERRED_FLAGGED);
}
