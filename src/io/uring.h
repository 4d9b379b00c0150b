/*
 * uring: the inside of the io_uring implementation of io.h, shared by its files:
 *
 *     io_uring.c      requests and lifetime
 *     uring_slot.c    connections and the two lists they are on
 *     uring_queue.c   submission: what is due becomes requests to the kernel
 *     uring_event.c   completion: what the kernel says becomes events
 *     uring_accept.c  completion of accepts, and what is done when they fail
 *     uring_setup.c   the ring and its receive buffers
 *
 * Private to src/io; the thread that created the ring.
 */
#pragma once

#include "io/io.h"
#include "io/uring_setup.h"

/*
 * State of a connection's slot. Three requests can be out at a time: one receive, one send, one
 * poll. Each has an enum; from its *_ARMED (or SEND_QUEUED) value on, the kernel holds the
 * request and its last completion (the one without F_MORE) is still to come. The slot is free for a
 * new owner only when none is held, so a receive, send or poll completion always finds its owner.
 *
 *   recv   OFF -> DUE -> ARMED -> CANCEL_DUE -> CANCELLING -> OFF
 *                  ^--- ENOBUFS, ended by itself
 *          STOPPED: over, the RECV_STOPPED event is still to be reported
 *
 * Requests other than sends are not queued at once: the slot goes on the `todo` list, which is
 * turned into submission entries right before the kernel is entered. Changes of mind before that
 * cost nothing, and a re-arm waits until the events at hand were handled and their buffers are
 * back. What is to be reported without a completion goes on the `ready` list.
 */
typedef enum tf_uring_recv_state {
    TF_URING_RECV_OFF,
    TF_URING_RECV_DUE,
    TF_URING_RECV_STOPPED,
    TF_URING_RECV_ARMED,
    TF_URING_RECV_CANCEL_DUE,
    TF_URING_RECV_CANCELLING,
} tf_uring_recv_t;

typedef enum tf_uring_send_state {
    TF_URING_SEND_OFF,
    TF_URING_SEND_REFUSED, /* the kernel had no memory for requests: reported as sent = 0 */
    TF_URING_SEND_QUEUED,
} tf_uring_send_t;

typedef enum tf_uring_poll_state {
    TF_URING_POLL_OFF,
    TF_URING_POLL_DUE,
    TF_URING_POLL_ARMED,
    TF_URING_POLL_CANCEL_DUE,
    TF_URING_POLL_CANCELLING,
} tf_uring_poll_t;

typedef enum tf_uring_slot_state {
    TF_URING_SLOT_FREE, /* the next request makes it OPEN and sets fd and generation */
    TF_URING_SLOT_OPEN,
    TF_URING_SLOT_CLOSING,
} tf_uring_slot_state_t;

enum {
    TF_URING_NONE = UINT32_MAX, /* no slot, no buffer */
    TF_URING_GENERATION_MAX = (1 << 24) - 1,
    TF_URING_LISTENERS_MAX = 16,
    TF_URING_WATCHES_MAX = 16,
    /* System calls next() may add to one wait or submit to fetch what is pending. Newer kernels
     * run about 20 deferred completions per call; the bound keeps a flood of inbound data from
     * holding the caller in its loop, the rest comes with the next wait. */
    TF_URING_COLLECTS_MAX = 64,
};

typedef struct tf_uring_link {
    uint32_t next;
    bool listed;
} tf_uring_link_t;

typedef struct tf_uring_slot {
    int fd;
    uint32_t generation;
    tf_uring_link_t todo;
    tf_uring_link_t ready;
    uint8_t state; /* tf_uring_slot_state_t; one byte each, there is one slot per connection */
    uint8_t recv;  /* tf_uring_recv_t */
    uint8_t send;  /* tf_uring_send_t */
    uint8_t poll;  /* tf_uring_poll_t */
} tf_uring_slot_t;

/* First in, first out, threaded through the slots. */
typedef struct tf_uring_list {
    uint32_t head;
    uint32_t tail;
} tf_uring_list_t;

typedef enum tf_uring_source_state {
    TF_URING_SOURCE_PAUSED, /* after an error, until tf_io_accept_again() */
    TF_URING_SOURCE_DUE,
    TF_URING_SOURCE_ARMED,
} tf_uring_source_state_t;

/* A listening socket or a watched eventfd. */
typedef struct tf_uring_source {
    int fd;
    tf_uring_source_state_t state;
    uint32_t lapses; /* accepts in a row that ended for a passing reason */
} tf_uring_source_t;

typedef struct tf_uring {
    tf_io_t io;
    tf_uring_ring_t ring;
    tf_uring_pool_t pool;
    tf_stats_t *stats;
    tf_uring_slot_t *slots;
    uint32_t connections_max;
    uint32_t lent; /* buffer of the last RECEIVED, back to the pool at the next next() */
    uint32_t collects_left;
    tf_uring_list_t todo;
    tf_uring_list_t ready;
    bool sources_due; /* some listener or watch is TF_URING_SOURCE_DUE */
    bool overflowing; /* the completion queue was full when the kernel was last entered */
    int reserve_fd; /* given up to close who waits when descriptors ran out; -1 = taken by others */
    uint32_t listeners_count;
    uint32_t watches_count;
    tf_uring_source_t listeners[TF_URING_LISTENERS_MAX];
    tf_uring_source_t watches[TF_URING_WATCHES_MAX];
} tf_uring_t;

/* What a request is about, as it comes back in its completion (user_data). */

typedef enum tf_uring_op {
    TF_URING_OP_ACCEPT = 1, /* slot: index of the listener */
    TF_URING_OP_WATCH,      /* slot: index of the watch */
    TF_URING_OP_RECV,
    TF_URING_OP_SEND,
    TF_URING_OP_POLL,
    TF_URING_OP_CANCEL_RECV,
    TF_URING_OP_CANCEL_POLL,
} tf_uring_op_t;

/* {op:8, generation:24, slot:32} */
static inline uint64_t tf_uring_tag_make(tf_uring_op_t op, uint32_t generation, uint32_t slot)
{
    return (uint64_t)op << 56 | (uint64_t)generation << 32 | slot;
}

static inline tf_uring_op_t tf_uring_tag_op(uint64_t tag)
{
    return (tf_uring_op_t)(tag >> 56);
}

static inline uint32_t tf_uring_tag_generation(uint64_t tag)
{
    return (uint32_t)(tag >> 32) & TF_URING_GENERATION_MAX;
}

static inline uint32_t tf_uring_tag_slot(uint64_t tag)
{
    return (uint32_t)tag;
}

static inline tf_uring_t *tf_uring_of(tf_io_t *io)
{
    return (tf_uring_t *)io; /* first member */
}

/* uring_slot.c */

static inline uint32_t tf_uring_slot_index(const tf_uring_t *uring, const tf_uring_slot_t *slot)
{
    return (uint32_t)(slot - uring->slots);
}

static inline bool tf_uring_slot_busy(const tf_uring_slot_t *slot)
{
    return slot->recv >= TF_URING_RECV_ARMED || slot->send == TF_URING_SEND_QUEUED ||
           slot->poll >= TF_URING_POLL_ARMED;
}

/* The open slot of a handle. */
tf_uring_slot_t *tf_uring_slot_find(tf_uring_t *uring, tf_io_handle_t handle);

/* The slot for a request that brings its fd: the first one opens the slot. */
tf_uring_slot_t *tf_uring_slot_use(tf_uring_t *uring, int fd, tf_io_handle_t handle);

/* Adding a slot that is already listed changes nothing. */
void tf_uring_todo_add(tf_uring_t *uring, tf_uring_slot_t *slot);
tf_uring_slot_t *tf_uring_todo_first(const tf_uring_t *uring);
void tf_uring_todo_drop_first(tf_uring_t *uring);
void tf_uring_ready_add(tf_uring_t *uring, tf_uring_slot_t *slot);
tf_uring_slot_t *tf_uring_ready_take(tf_uring_t *uring);

/* uring_queue.c */

/* Hand everything queued to the kernel and collect what completed. */
void tf_uring_enter(tf_uring_t *uring);

/* A free submission entry; a full queue is handed to the kernel first. NULL only when the kernel
 * has no memory to take requests. */
struct io_uring_sqe *tf_uring_sqe_take(tf_uring_t *uring);

/* Queue what the slot has due now instead of with the next submit: collecting hands it over. */
void tf_uring_todo_soon(tf_uring_t *uring, tf_uring_slot_t *slot);

/* Arm the listener or watch with the next submit. */
void tf_uring_source_due(tf_uring_t *uring, tf_uring_source_t *source);

void tf_uring_submit(tf_io_t *io);
void tf_uring_wait(tf_io_t *io, int64_t timeout_ns);

/* The next completion, copied out so that its entry is free at once; false when there is none. */
bool tf_uring_completion_take(tf_uring_t *uring, struct io_uring_cqe *out);

/* uring_accept.c */

/* Whether there is an event to report. */
bool tf_uring_on_accept(tf_uring_t *uring, uint32_t index, const struct io_uring_cqe *cqe,
                        tf_io_event_t *event);

/* Have a reserve descriptor again, if there is one to be had. */
void tf_uring_reserve_open(tf_uring_t *uring);

/* uring_event.c */

bool tf_uring_next(tf_io_t *io, tf_io_event_t *event);
