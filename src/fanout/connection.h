/*
 * connection: one client's socket on one fan-out thread: its session, its subscriptions, and what
 * it is sent in this turn.
 *
 * The socket is the only queue (ARCHITECTURE.md, "The picture"). One send is in flight at most; it
 * completes inside the submit that starts it. What goes into one send, in this order:
 *
 *     [rest of a cut frame] [replies and control frames] [frames of this turn, at most 32 KiB]
 *
 *   IDLE --send--> SENDING --all taken--> IDLE
 *                     '------ cut or full --> FULL --writable--> IDLE
 *
 * When the kernel took only a part, the frame that was cut is kept with its offset; the frames
 * after it were not sent, and their subscriptions are put back to where they were, and are behind.
 */
#pragma once

#include "fanout/subscription.h"
#include "io/io.h"
#include "session/session.h"

enum { TF_SEND_BYTES_MAX = 32 * 1024 };

typedef enum tf_flow {
    TF_FLOW_IDLE,
    TF_FLOW_SENDING,
    TF_FLOW_FULL,
} tf_flow_t;

typedef enum tf_intake {
    TF_INTAKE_ON,
    TF_INTAKE_STOPPING, /* replies are backed up; what still comes is kept unhandled */
    TF_INTAKE_OFF,
    TF_INTAKE_ENDED, /* the peer sends no more */
} tf_intake_t;

typedef enum tf_life {
    TF_LIFE_FREE,
    TF_LIFE_OPEN,
    TF_LIFE_CLOSING, /* tf_io_close() was called; CLOSED frees the slot */
} tf_life_t;

typedef struct tf_connection {
    tf_session_t session;
    tf_frame_t *cut;      /* frame that a send ended in, or NULL */
    uint32_t cut_offset;  /* its first byte that was not sent */
    uint32_t send_bytes;  /* SENDING: all of the send */
    uint32_t reply_bytes; /* SENDING: of session.out in the send */
    uint32_t out_first;   /* entries of this turn in the outbox, TF_INDEX_NONE = none */
    uint32_t out_last;
    uint32_t out_bytes; /* frames of this turn */
    uint32_t slot;
    uint32_t generation; /* of the slot: 24 bits */
    int fd;
    uint32_t subscription_first; /* TF_INDEX_NONE = none */
    uint32_t subscription_count;
    uint32_t behind_count;  /* subscriptions that are JOINING or BEHIND */
    uint32_t behind_cursor; /* where the next catch-up goes on, so that none starves */
    uint8_t flow;           /* tf_flow_t */
    uint8_t life;           /* tf_life_t */
    bool listed_ready;      /* in the thread's list of connections that have something to send */
    bool listed_behind;     /* in the list of those that can be caught up */
    bool listed_input;      /* in the list of those with deferred input */
    uint8_t intake;         /* tf_intake_t */
    bool broken;            /* the connection broke or takes no data: close without a word */
    int64_t progress_ns;    /* when the socket last took a byte, or was idle */
    int64_t heartbeat_ns;   /* when the next one is due */
    uint32_t heartbeat_ms;  /* their interval; 0 = none */
    uint64_t messages;      /* of subscriptions, sent since the last one */
    uint64_t id;
} tf_connection_t;

_Static_assert(sizeof(tf_connection_t) <= 448, "the budget of an idle connection");

static inline tf_io_handle_t tf_connection_handle(const tf_connection_t *connection)
{
    return (tf_io_handle_t){.slot = connection->slot, .generation = connection->generation};
}

/* Frames given to connections in this turn. Emptied by every flush. */
typedef struct tf_out_entry {
    tf_frame_t *frame; /* a reference */
    uint32_t subscription;
    uint32_t next; /* of the connection, TF_INDEX_NONE = the last */
    /* What the subscription was before. */
    uint64_t undo_seq : 48;
    uint64_t undo_behind : 16;
    uint32_t undo_told : 8;
    uint32_t undo_generation : 8;
    uint32_t undo_phase : 2;
    uint32_t undo_lag_told : 1;
    uint32_t undo_touched : 1;
} tf_out_entry_t;

typedef struct tf_outbox {
    tf_out_entry_t *entry;
    uint32_t count;
    uint32_t room;
    tf_subscriptions_t *subscriptions;
    tf_stats_t *stats;
} tf_outbox_t;

void tf_outbox_init(tf_outbox_t *outbox, tf_subscriptions_t *subscriptions, tf_stats_t *stats);
void tf_outbox_fini(tf_outbox_t *outbox);

/* Would this many more bytes still go into the connection's next send? */
bool tf_connection_fits(const tf_connection_t *connection, size_t bytes);

/*
 * Give a frame to a subscription of an IDLE connection: it goes into the next send, and the
 * subscription is taken to hold it from now on (a cut send takes that back). The outbox takes its
 * own reference. False when memory is short: nothing changed.
 */
TF_MUST_CHECK bool tf_outbox_push(tf_outbox_t *outbox, tf_connection_t *connection,
                                  uint32_t subscription, tf_frame_t *frame);

/* Is there anything to send? */
bool tf_connection_has_output(const tf_connection_t *connection);

/*
 * The bytes of the next send: one part as it lies in memory, or several copied together to
 * `scratch` (TF_SEND_BYTES_MAX bytes). *bytes is never 0. The connection becomes SENDING.
 */
const void *tf_outbox_gather(tf_outbox_t *outbox, tf_connection_t *connection, uint8_t *scratch,
                             size_t *bytes);

/*
 * The send is over: the kernel took `sent` bytes. Settles every entry; the connection becomes IDLE,
 * or FULL when the kernel left something.
 */
void tf_outbox_settle(tf_outbox_t *outbox, tf_connection_t *connection, size_t sent,
                      int64_t mono_ns);

/* Mark a subscription as behind. */
void tf_connection_behind(tf_connection_t *connection, tf_subscription_t *subscription,
                          int64_t mono_ns);

/* Every send of the turn is settled: forget the entries. */
void tf_outbox_reset(tf_outbox_t *outbox);
