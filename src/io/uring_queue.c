#include "io/uring.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum { SUBMIT_TRIES = 3 };

static bool collect_blindly(const tf_uring_t *uring)
{
    return uring->ring.rung == TF_URING_DEFERRED;
}

/* Completions that only a system call brings into the completion queue. */
static bool kernel_has_more(const tf_uring_t *uring)
{
    unsigned flags = IO_URING_READ_ONCE(*uring->ring.ring.sq.kflags);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/*
 * After every system call on the ring. EINTR, EAGAIN, EBUSY and the like leave the entries queued
 * for the next call, which is what a caller would do about them. EEXIST says that this is not the
 * thread that created the ring.
 *
 * A full completion queue is a matter of time only: the kernel keeps what did not fit, in order,
 * and hands it over as room comes; multishot requests end with such a completion and are armed
 * again. Unless the kernel has no memory for that either: then completions are lost, connections
 * would hang for good on requests that never end, and no state here can be trusted.
 */
static void entered(tf_uring_t *uring, int result)
{
    const struct io_uring *ring = &uring->ring.ring;
    TF_ASSERT(result != -EEXIST && result != -EBADF);
    TF_ASSERT(IO_URING_READ_ONCE(*ring->cq.koverflow) == 0);
    bool overflowing = (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
    if (overflowing && !uring->overflowing)
        tf_count(uring->stats, cq_overflows_total, 1);
    uring->overflowing = overflowing;
}

void tf_uring_enter(tf_uring_t *uring)
{
    entered(uring, io_uring_submit_and_get_events(&uring->ring.ring));
}

/* Sleep until a completion is there. Not by io_uring_submit_and_wait_timeout(), which can't be
 * given NO_IOWAIT. */
static void sleep_for(tf_uring_t *uring, int64_t timeout_ns)
{
    enum { NS_PER_S = 1000000000 };
    const struct __kernel_timespec timeout = {.tv_sec = timeout_ns / NS_PER_S,
                                              .tv_nsec = timeout_ns % NS_PER_S};
    struct io_uring_getevents_arg argument = {.ts = (uintptr_t)&timeout};
    tf_uring_ring_t *ring = &uring->ring;
    entered(uring, io_uring_enter2((unsigned)ring->ring.enter_ring_fd, 0, 1, ring->wait_flags,
                                   (void *)&argument, sizeof argument));
}

struct io_uring_sqe *tf_uring_sqe_take(tf_uring_t *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring.ring);
    for (int tries = 0; sqe == NULL && tries < SUBMIT_TRIES; tries++) {
        tf_uring_enter(uring);
        sqe = io_uring_get_sqe(&uring->ring.ring);
    }
    return sqe;
}

static bool sqe_cancel(tf_uring_t *uring, tf_uring_op_t op, tf_uring_op_t target,
                       const tf_uring_slot_t *slot)
{
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    if (sqe == NULL)
        return false;
    uint32_t index = tf_uring_slot_index(uring, slot);
    io_uring_prep_cancel64(sqe, tf_uring_tag_make(target, slot->generation, index), 0);
    io_uring_sqe_set_data64(sqe, tf_uring_tag_make(op, slot->generation, index));
    return true;
}

/* POLL_FIRST: a new connection has sent nothing yet, so an attempt before the poll is wasted; and
 * with an empty pool that attempt would end in ENOBUFS without any data at hand. */
static bool sqe_recv(tf_uring_t *uring, const tf_uring_slot_t *slot)
{
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    if (sqe == NULL)
        return false;
    io_uring_prep_recv_multishot(sqe, slot->fd, NULL, 0, 0);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = TF_URING_POOL_GROUP;
    io_uring_sqe_set_data64(sqe, tf_uring_tag_make(TF_URING_OP_RECV, slot->generation,
                                                   tf_uring_slot_index(uring, slot)));
    return true;
}

static bool sqe_poll(tf_uring_t *uring, const tf_uring_slot_t *slot)
{
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    if (sqe == NULL)
        return false;
    io_uring_prep_poll_add(sqe, slot->fd, POLLOUT);
    io_uring_sqe_set_data64(sqe, tf_uring_tag_make(TF_URING_OP_POLL, slot->generation,
                                                   tf_uring_slot_index(uring, slot)));
    return true;
}

/* Queue what the slot has due; false when there was no room for all of it. */
static bool todo_do(tf_uring_t *uring, tf_uring_slot_t *slot)
{
    if (slot->recv == TF_URING_RECV_DUE) {
        if (!sqe_recv(uring, slot))
            return false;
        slot->recv = TF_URING_RECV_ARMED;
    } else if (slot->recv == TF_URING_RECV_CANCEL_DUE) {
        if (!sqe_cancel(uring, TF_URING_OP_CANCEL_RECV, TF_URING_OP_RECV, slot))
            return false;
        slot->recv = TF_URING_RECV_CANCELLING;
    }
    if (slot->poll == TF_URING_POLL_DUE) {
        if (!sqe_poll(uring, slot))
            return false;
        slot->poll = TF_URING_POLL_ARMED;
    } else if (slot->poll == TF_URING_POLL_CANCEL_DUE) {
        if (!sqe_cancel(uring, TF_URING_OP_CANCEL_POLL, TF_URING_OP_POLL, slot))
            return false;
        slot->poll = TF_URING_POLL_CANCELLING;
    }
    return true;
}

/* A receive that is to be stopped would go on for as long as its socket has data and buffers come
 * back, which is as long as the caller collects. */
void tf_uring_todo_soon(tf_uring_t *uring, tf_uring_slot_t *slot)
{
    if (slot->todo.listed || !todo_do(uring, slot))
        tf_uring_todo_add(uring, slot);
}

static bool source_arm(tf_uring_t *uring, tf_uring_op_t op, tf_uring_source_t *source,
                       uint32_t index)
{
    if (source->state != TF_URING_SOURCE_DUE)
        return true;
    struct io_uring_sqe *sqe = tf_uring_sqe_take(uring);
    if (sqe == NULL)
        return false;
    if (op == TF_URING_OP_ACCEPT)
        io_uring_prep_multishot_accept(sqe, source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    else
        io_uring_prep_poll_multishot(sqe, source->fd, POLLIN);
    io_uring_sqe_set_data64(sqe, tf_uring_tag_make(op, 0, index));
    source->state = TF_URING_SOURCE_ARMED;
    return true;
}

static void sources_arm(tf_uring_t *uring)
{
    bool done = true;
    for (uint32_t i = 0; i < uring->listeners_count; i++)
        done = source_arm(uring, TF_URING_OP_ACCEPT, &uring->listeners[i], i) && done;
    for (uint32_t i = 0; i < uring->watches_count; i++)
        done = source_arm(uring, TF_URING_OP_WATCH, &uring->watches[i], i) && done;
    uring->sources_due = !done;
}

void tf_uring_source_due(tf_uring_t *uring, tf_uring_source_t *source)
{
    source->state = TF_URING_SOURCE_DUE;
    uring->sources_due = true;
}

static void todo_flush(tf_uring_t *uring)
{
    if (uring->sources_due)
        sources_arm(uring);
    for (tf_uring_slot_t *slot = tf_uring_todo_first(uring); slot != NULL;
         slot = tf_uring_todo_first(uring)) {
        if (!todo_do(uring, slot))
            return;
        tf_uring_todo_drop_first(uring);
    }
}

/* Hand over what is queued and collect, if there is a reason to enter the kernel at all. */
static void submit_queued(tf_uring_t *uring)
{
    bool reason = kernel_has_more(uring) || collect_blindly(uring);
    for (int tries = 0; tries < SUBMIT_TRIES; tries++) {
        if (io_uring_sq_ready(&uring->ring.ring) == 0 && !reason)
            return;
        tf_uring_enter(uring);
        reason = false;
    }
}

void tf_uring_submit(tf_io_t *io)
{
    tf_uring_t *uring = tf_uring_of(io);
    uring->collects_left = TF_URING_COLLECTS_MAX;
    todo_flush(uring);
    submit_queued(uring);
}

void tf_uring_wait(tf_io_t *io, int64_t timeout_ns)
{
    tf_uring_t *uring = tf_uring_of(io);
    uring->collects_left = TF_URING_COLLECTS_MAX;
    todo_flush(uring);
    bool events_at_hand =
        uring->ready.head != TF_URING_NONE || io_uring_cq_ready(&uring->ring.ring) > 0;
    if (timeout_ns <= 0 || events_at_hand) {
        submit_queued(uring);
        return;
    }
    if (io_uring_sq_ready(&uring->ring.ring) > 0) {
        tf_uring_enter(uring);
        if (io_uring_cq_ready(&uring->ring.ring) > 0)
            return;
    }
    sleep_for(uring, timeout_ns);
}

bool tf_uring_completion_take(tf_uring_t *uring, struct io_uring_cqe *out)
{
    struct io_uring *ring = &uring->ring.ring;
    while (io_uring_cq_ready(ring) == 0) {
        bool worthwhile = kernel_has_more(uring) ||
                          (collect_blindly(uring) && uring->collects_left == TF_URING_COLLECTS_MAX);
        if (!worthwhile || uring->collects_left == 0)
            return false;
        uring->collects_left--;
        tf_uring_enter(uring);
    }
    const struct io_uring_cqe *cqe = &ring->cq.cqes[*ring->cq.khead & ring->cq.ring_mask];
    out->user_data = cqe->user_data;
    out->res = cqe->res;
    out->flags = cqe->flags;
    io_uring_cq_advance(ring, 1);
    return true;
}
