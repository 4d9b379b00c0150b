/*
 * io: the door between the fan-out thread and the kernel. Requests go in, completions come out; one
 * tf_io_t per fan-out thread, used by that thread only. Nothing here knows frames or clients.
 *
 * Implementations: io_uring.c (the product), a fake in tests that cuts, refuses and delays.
 *
 *     loop:  tf_io_wait()                      sleep until something completes or the time is up
 *            while (tf_io_next(&event)) ...    handle completions; queue requests
 *            queue sends; tf_io_submit()       every send completes inside this call
 *            while (tf_io_next(&event)) ...
 *
 * Requests may be queued at any point of the loop; they reach the kernel with the next submit or
 * wait. Events are only made inside tf_io_next().
 *
 * A connection is named by a handle {generation:24, slot:32}: an event of an earlier owner of
 * the slot carries the old generation. io_uring.c reports none after CLOSED; a caller that finds
 * one all the same drops and counts it.
 */
#pragma once

#include "base/assert.h"
#include "base/stats.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_io_handle {
    uint32_t slot;       /* below connections_max */
    uint32_t generation; /* 24 bits */
} tf_io_handle_t;

typedef enum tf_io_event_type {
    TF_IO_ACCEPTED,      /* fd: a new connection, the caller's; `listener` tells on which one */
    TF_IO_ACCEPT_FAILED, /* error < 0; accepting pauses, see tf_io_accept_again(). When descriptors
                            ran out, those who waited at the listener were closed (counted) */
    TF_IO_RECEIVED,      /* data, bytes > 0: valid until the next tf_io_next() */
    TF_IO_RECV_ENDED,   /* the peer closed (error 0) or the connection broke (error < 0); nothing is
                           received any more, tf_io_close() is still the caller's to call */
    TF_IO_RECV_STOPPED, /* as asked by tf_io_recv_stop(); tf_io_recv_start() resumes */
    TF_IO_SENT,         /* sent >= 0 bytes of what was queued (may be short), or error < 0; a full
                           socket is sent = 0 */
    TF_IO_WRITABLE,     /* the socket has room again */
    TF_IO_CLOSED, /* after tf_io_close(): every request is over, the fd is closed, the slot may be
                     used again under a new generation */
    TF_IO_WOKEN,  /* a watched eventfd became readable */
} tf_io_event_type_t;

typedef struct tf_io_event {
    tf_io_event_type_t type;
    tf_io_handle_t handle; /* not for ACCEPTED, ACCEPT_FAILED, WOKEN */
    int fd;                /* ACCEPTED */
    uint32_t listener;     /* ACCEPTED, ACCEPT_FAILED: index in order of tf_io_listen() calls */
    int error;             /* -errno, or 0 */
    size_t sent;           /* SENT */
    const uint8_t *data;   /* RECEIVED */
    size_t bytes;          /* RECEIVED */
} tf_io_event_t;

typedef struct tf_io tf_io_t;

typedef struct tf_io_ops {
    void (*destroy)(tf_io_t *io);
    tf_status_t (*listen)(tf_io_t *io, int fd);
    void (*accept_again)(tf_io_t *io, uint32_t listener);
    tf_status_t (*watch)(tf_io_t *io, int fd);
    void (*recv_start)(tf_io_t *io, int fd, tf_io_handle_t handle);
    void (*recv_stop)(tf_io_t *io, tf_io_handle_t handle);
    void (*send)(tf_io_t *io, int fd, tf_io_handle_t handle, const void *data, size_t bytes);
    void (*writable)(tf_io_t *io, int fd, tf_io_handle_t handle);
    void (*close)(tf_io_t *io, int fd, tf_io_handle_t handle);
    void (*submit)(tf_io_t *io);
    void (*wait)(tf_io_t *io, int64_t timeout_ns);
    bool (*next)(tf_io_t *io, tf_io_event_t *event);
} tf_io_ops_t;

/* First member of every implementation. */
struct tf_io {
    const tf_io_ops_t *ops;
};

typedef struct tf_io_config {
    uint32_t connections_max;
    uint32_t send_batch;   /* most sends queued between two submits; sizes the queues */
    uint32_t recv_buffers; /* power of two; shared by all connections */
    uint32_t recv_bytes;   /* size of one */
    uint32_t cq_entries;   /* room for completions; 0 = derived from the two maxima above */
} tf_io_config_t;

extern const tf_io_config_t tf_io_config_default; /* send_batch 1024, 1024 buffers of 2 KiB */

/* io_uring. Call on the thread that will use it (the ring belongs to its creator).
 * TF_ERR_UNSUPPORTED: the kernel or a seccomp profile forbids io_uring (the trail says which and
 * what to do); TF_ERR_MEMORY: locked-memory limit (the trail names LimitMEMLOCK). */
TF_MUST_CHECK tf_status_t tf_io_uring_create(tf_io_t **out, const tf_io_config_t *config,
                                             tf_stats_t *stats);

static inline void tf_io_destroy(tf_io_t *io)
{
    if (io != NULL)
        io->ops->destroy(io);
}

/* Accept connections from a non-blocking (asserted) listening socket, which stays the caller's.
 * Accepted sockets are close-on-exec and non-blocking. TF_ERR_FULL: more than 16 listeners. */
TF_MUST_CHECK static inline tf_status_t tf_io_listen(tf_io_t *io, int fd)
{
    return io->ops->listen(io, fd);
}

/* After ACCEPT_FAILED (EMFILE, ENOBUFS, ...): the caller's back-off is over, accept again. Does
 * nothing on a listener that is not paused. */
static inline void tf_io_accept_again(tf_io_t *io, uint32_t listener)
{
    io->ops->accept_again(io, listener);
}

/* Report WOKEN when the eventfd becomes readable (again); the caller drains it. Several writes may
 * come as one WOKEN or as several. TF_ERR_FULL: more than 16 watches. */
TF_MUST_CHECK static inline tf_status_t tf_io_watch(tf_io_t *io, int fd)
{
    return io->ops->watch(io, fd);
}

/* Deliver what the connection receives, until RECV_ENDED or RECV_STOPPED. Running out of buffers is
 * handled inside (counted, re-armed). Asserts that it is not receiving already. */
static inline void tf_io_recv_start(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    io->ops->recv_start(io, fd, handle);
}

/* Stop delivering: exactly one RECV_STOPPED or RECV_ENDED follows, until then RECEIVED may still
 * come. Only while receiving: after tf_io_recv_start(), before RECV_ENDED and once (asserted). */
static inline void tf_io_recv_stop(tf_io_t *io, tf_io_handle_t handle)
{
    io->ops->recv_stop(io, handle);
}

/*
 * Queue one send that never waits: what the socket does not take at once is not sent. `data` stays
 * untouched until SENT (or CLOSED), which is there for tf_io_next() after the next tf_io_submit().
 * At most one send in flight per connection, at most send_batch between two submits. bytes > 0.
 */
static inline void tf_io_send(tf_io_t *io, int fd, tf_io_handle_t handle, const void *data,
                              size_t bytes)
{
    io->ops->send(io, fd, handle, data, bytes);
}

/* One WRITABLE when the socket has room (below TCP_NOTSENT_LOWAT) or is broken, which the next send
 * then tells. Asking again before it came changes nothing. */
static inline void tf_io_writable(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    io->ops->writable(io, fd, handle);
}

/* Shut the connection down (both ways), end its requests, close the fd, report CLOSED. A send
 * queued before still goes out first as far as the socket takes it. After this call CLOSED is the
 * only event of the handle: its SENT, RECEIVED, WRITABLE, RECV_* are swallowed. The fd is no longer
 * the caller's. */
static inline void tf_io_close(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    io->ops->close(io, fd, handle);
}

/* Hand everything queued to the kernel, without waiting. */
static inline void tf_io_submit(tf_io_t *io)
{
    io->ops->submit(io);
}

/* Submit, then sleep until an event is there or `timeout_ns` is over (0 = just collect). */
static inline void tf_io_wait(tf_io_t *io, int64_t timeout_ns)
{
    io->ops->wait(io, timeout_ns);
}

/* The next completion; false when there is none at the moment, or when so many came from the
 * kernel since the last submit or wait that the caller should get on with its turn. */
static inline bool tf_io_next(tf_io_t *io, tf_io_event_t *event)
{
    return io->ops->next(io, event);
}
