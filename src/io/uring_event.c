#include "io/uring.h"

#include <errno.h>
#include <unistd.h>

/* Each on_*() returns whether there is an event to report. */

static tf_io_handle_t slot_handle(const tf_uring_t *uring, const tf_uring_slot_t *slot)
{
    return (tf_io_handle_t){.slot = tf_uring_slot_index(uring, slot),
                            .generation = slot->generation};
}

static bool report(const tf_uring_t *uring, const tf_uring_slot_t *slot, tf_io_event_type_t type,
                   tf_io_event_t *event)
{
    *event = (tf_io_event_t){.type = type, .handle = slot_handle(uring, slot), .fd = -1};
    return true;
}

/* The end of a closing slot, once the kernel holds nothing of it. */
static bool report_closed(tf_uring_t *uring, tf_uring_slot_t *slot, tf_io_event_t *event)
{
    if (tf_uring_slot_busy(slot))
        return false;
    (void)close(slot->fd);
    slot->fd = -1;
    slot->state = TF_URING_SLOT_FREE;
    return report(uring, slot, TF_IO_CLOSED, event);
}

/* What a slot has to report without a completion. */
static bool on_ready(tf_uring_t *uring, tf_uring_slot_t *slot, tf_io_event_t *event)
{
    if (slot->state == TF_URING_SLOT_CLOSING)
        return report_closed(uring, slot, event);
    if (slot->recv == TF_URING_RECV_STOPPED) {
        slot->recv = TF_URING_RECV_OFF;
        if (slot->send == TF_URING_SEND_REFUSED)
            tf_uring_ready_add(uring, slot);
        return report(uring, slot, TF_IO_RECV_STOPPED, event);
    }
    if (slot->send == TF_URING_SEND_REFUSED) {
        slot->send = TF_URING_SEND_OFF;
        return report(uring, slot, TF_IO_SENT, event);
    }
    return false;
}

/* The receive is over without an error of the connection: by cancel, or because the kernel ended
 * the multishot (no buffer, completion queue full). Stop or go on, as the owner wants. */
static bool on_recv_lapsed(tf_uring_t *uring, tf_uring_slot_t *slot, tf_io_event_t *event)
{
    if (slot->recv == TF_URING_RECV_ARMED) {
        slot->recv = TF_URING_RECV_DUE;
        tf_uring_todo_add(uring, slot);
        return false;
    }
    slot->recv = TF_URING_RECV_OFF;
    return report(uring, slot, TF_IO_RECV_STOPPED, event);
}

static bool on_recv_over(tf_uring_t *uring, tf_uring_slot_t *slot, int result, tf_io_event_t *event)
{
    switch (result) {
    case -ENOBUFS: /* also how 6.1 may end a cancelled receive, as it may with ENOENT */
        if (slot->recv == TF_URING_RECV_ARMED)
            tf_count(uring->stats, recv_buffers_exhausted_total, 1);
        return on_recv_lapsed(uring, slot, event);
    case -ECANCELED:
    case -ENOENT:
    case -EINTR:
    case -EAGAIN:
        return on_recv_lapsed(uring, slot, event);
    default:
        slot->recv = TF_URING_RECV_OFF;
        (void)report(uring, slot, TF_IO_RECV_ENDED, event);
        event->error = result;
        return true;
    }
}

static bool on_recv_data(tf_uring_t *uring, tf_uring_slot_t *slot, const struct io_uring_cqe *cqe,
                         tf_io_event_t *event)
{
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        bool go_on = slot->recv == TF_URING_RECV_ARMED;
        slot->recv = go_on ? TF_URING_RECV_DUE : TF_URING_RECV_STOPPED;
        if (go_on)
            tf_uring_todo_add(uring, slot);
        else
            tf_uring_ready_add(uring, slot);
    }
    uring->lent = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    (void)report(uring, slot, TF_IO_RECEIVED, event);
    event->data = tf_uring_pool_buffer(&uring->pool, uring->lent);
    event->bytes = (size_t)cqe->res;
    return true;
}

static bool on_recv(tf_uring_t *uring, tf_uring_slot_t *slot, const struct io_uring_cqe *cqe,
                    tf_io_event_t *event)
{
    TF_ASSERT(slot->recv >= TF_URING_RECV_ARMED);
    bool over = (cqe->flags & IORING_CQE_F_MORE) == 0;
    bool with_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
    bool with_data = with_buffer && cqe->res > 0;
    if (with_data && slot->state == TF_URING_SLOT_OPEN)
        return on_recv_data(uring, slot, cqe, event);
    if (with_buffer)
        tf_uring_pool_return(&uring->pool, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    if (!over)
        return false;
    if (slot->state == TF_URING_SLOT_CLOSING) {
        slot->recv = TF_URING_RECV_OFF;
        return report_closed(uring, slot, event);
    }
    return on_recv_over(uring, slot, cqe->res, event);
}

static bool on_send(tf_uring_t *uring, tf_uring_slot_t *slot, int result, tf_io_event_t *event)
{
    TF_ASSERT(slot->send == TF_URING_SEND_QUEUED);
    slot->send = TF_URING_SEND_OFF;
    if (slot->state == TF_URING_SLOT_CLOSING)
        return report_closed(uring, slot, event);
    (void)report(uring, slot, TF_IO_SENT, event);
    if (result >= 0)
        event->sent = (size_t)result;
    else if (result != -EAGAIN)
        event->error = result;
    return true;
}

static bool on_poll(tf_uring_t *uring, tf_uring_slot_t *slot, tf_io_event_t *event)
{
    TF_ASSERT(slot->poll >= TF_URING_POLL_ARMED);
    slot->poll = TF_URING_POLL_OFF;
    if (slot->state == TF_URING_SLOT_CLOSING)
        return report_closed(uring, slot, event);
    return report(uring, slot, TF_IO_WRITABLE, event); /* errors show at the next send */
}

/*
 * A cancel that found nothing (ENOENT, EALREADY) mostly came after its target's last completion,
 * which is then in the queue ahead of it. But it may also have met its target between two polls,
 * when it is not in the kernel's table and goes on afterwards (6.18 always found it, older kernels
 * need not): then it is repeated until that last completion is here. The slot may belong to
 * somebody else by then, hence the generation.
 */
static void on_cancel(tf_uring_t *uring, tf_uring_op_t op, uint64_t tag, int result)
{
    tf_uring_slot_t *slot = &uring->slots[tf_uring_tag_slot(tag)];
    if (result >= 0 || slot->generation != tf_uring_tag_generation(tag))
        return;
    if (op == TF_URING_OP_CANCEL_RECV && slot->recv == TF_URING_RECV_CANCELLING)
        slot->recv = TF_URING_RECV_CANCEL_DUE;
    else if (op == TF_URING_OP_CANCEL_POLL && slot->poll == TF_URING_POLL_CANCELLING)
        slot->poll = TF_URING_POLL_CANCEL_DUE;
    else
        return;
    tf_uring_todo_add(uring, slot);
}

static bool on_watch(tf_uring_t *uring, uint32_t index, const struct io_uring_cqe *cqe,
                     tf_io_event_t *event)
{
    TF_ASSERT(cqe->res >= 0); /* a poll of an open eventfd cannot fail: our caller closed it */
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        tf_uring_source_due(uring, &uring->watches[index]);
    *event = (tf_io_event_t){.type = TF_IO_WOKEN, .fd = -1};
    return true;
}

static bool on_completion(tf_uring_t *uring, const struct io_uring_cqe *cqe, tf_io_event_t *event)
{
    uint64_t tag = io_uring_cqe_get_data64(cqe);
    tf_uring_op_t op = tf_uring_tag_op(tag);
    uint32_t index = tf_uring_tag_slot(tag);
    switch (op) {
    case TF_URING_OP_ACCEPT:
        return tf_uring_on_accept(uring, index, cqe, event);
    case TF_URING_OP_WATCH:
        return on_watch(uring, index, cqe, event);
    case TF_URING_OP_CANCEL_RECV:
    case TF_URING_OP_CANCEL_POLL:
        on_cancel(uring, op, tag, cqe->res);
        return false;
    case TF_URING_OP_RECV:
    case TF_URING_OP_SEND:
    case TF_URING_OP_POLL:
        break;
    }
    tf_uring_slot_t *slot = &uring->slots[index];
    TF_ASSERT(slot->state != TF_URING_SLOT_FREE &&
              slot->generation == tf_uring_tag_generation(tag));
    if (op == TF_URING_OP_RECV)
        return on_recv(uring, slot, cqe, event);
    if (op == TF_URING_OP_SEND)
        return on_send(uring, slot, cqe->res, event);
    return on_poll(uring, slot, event);
}

bool tf_uring_next(tf_io_t *io, tf_io_event_t *event)
{
    tf_uring_t *uring = tf_uring_of(io);
    if (uring->lent != TF_URING_NONE) {
        tf_uring_pool_return(&uring->pool, uring->lent);
        uring->lent = TF_URING_NONE;
    }
    for (tf_uring_slot_t *slot = tf_uring_ready_take(uring); slot != NULL;
         slot = tf_uring_ready_take(uring)) {
        if (on_ready(uring, slot, event))
            return true;
    }
    struct io_uring_cqe cqe;
    while (tf_uring_completion_take(uring, &cqe)) {
        if (on_completion(uring, &cqe, event))
            return true;
    }
    return false;
}
