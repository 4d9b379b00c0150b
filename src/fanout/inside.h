/*
 * inside: the fan-out thread's state, shared by fanout.c (the turn), clients.c (connections and
 * requests), answers.c (texts for them) and delivery.c (frames to subscriptions, sends). Nobody
 * else includes this.
 */
#pragma once

#include "fanout/connection.h"
#include "fanout/fanout.h"
#include "fanout/stream.h"

/* Indexes in order of arrival. Room is made where the indexed thing is created, so that adding
 * never fails. */
typedef struct tf_index_list {
    uint32_t *item;
    uint32_t count;
    uint32_t room;
} tf_index_list_t;

typedef enum tf_fanout_state {
    TF_FANOUT_RUNNING,
    TF_FANOUT_DRAINING,
} tf_fanout_state_t;

/* The streams of an instrument; a venue's are those of its first instrument. */
typedef struct tf_market_streams {
    uint32_t first_stream[TF_KIND_COUNT]; /* TF_INDEX_NONE = none; linked by tf_stream_t.next */
} tf_market_streams_t;

struct tf_fanout {
    tf_fanout_config_t config;
    tf_fanout_state_t state;
    tf_io_t *io;
    tf_stats_t *stats;
    _Atomic uint64_t *closes;
    tf_reader_t *reader;
    tf_stream_env_t env;
    tf_host_t host;

    /* this turn's time */
    int64_t mono_ns;
    int64_t wall_ns;

    tf_market_streams_t *market; /* by instrument index, as many as the region has room for */
    tf_stream_t **stream; /* by index; NULL = free */
    uint32_t stream_room;
    uint32_t stream_used;
    tf_index_list_t stream_free;
    tf_index_list_t dirty[TF_RATE_COUNT]; /* streams to emit at the next tick of their rate */
    int64_t tick_ns[TF_RATE_COUNT];       /* when that is */

    bool urgent; /* some stream is */

    tf_subscriptions_t subscriptions;
    tf_outbox_t outbox;

    tf_connection_t *connection; /* connections_max slots */
    tf_index_list_t slot_free;
    uint32_t connection_count;
    uint64_t id_next;
    tf_index_list_t ready;  /* connections with output */
    tf_index_list_t behind; /* connections to catch up */
    tf_index_list_t input;  /* connections with deferred input */

    uint8_t *scratch; /* for sends made of several parts, one slice each between two submits */
    uint32_t scratch_slices;
    uint32_t scratch_used;
    uint32_t sends_queued;
    bool flushing; /* entries are in the outbox: only sends are settled, the rest is deferred */

    tf_connection_t *asking; /* whose request is being handled */
    uint64_t mark;           /* +1 per request */
    bool marked;             /* the asking connection's streams carry the mark */

    int64_t data_turn_ns; /* no emission before this */
    int64_t sweep_next_ns;
    int64_t accept_again_ns; /* 0 = accepting */
    uint32_t accept_listener;
    int64_t drain_end_ns;
    int64_t venues_next_ns; /* when the text for hello is stale */
    tf_buf_t venues;        /* hello's venues array */
};

TF_MUST_CHECK bool tf_index_list_reserve(tf_index_list_t *list, uint32_t room);
void tf_index_list_add(tf_index_list_t *list, uint32_t index);
void tf_index_list_fini(tf_index_list_t *list);

/* ---- clients.c ---- */

void tf_clients_host_init(tf_fanout_t *fanout);
void tf_clients_accept(tf_fanout_t *fanout, int fd);
void tf_clients_receive(tf_fanout_t *fanout, tf_connection_t *connection, const uint8_t *data,
                        size_t bytes);
/* Requests that came while a send was being settled. */
void tf_clients_handle_deferred(tf_fanout_t *fanout);
/* After anything that touched a session: list it for sending, pause or resume its input, close it.
 */
void tf_clients_update(tf_fanout_t *fanout, tf_connection_t *connection);
void tf_clients_closed(tf_fanout_t *fanout, tf_connection_t *connection);
void tf_clients_sweep(tf_fanout_t *fanout);
void tf_clients_close_all(tf_fanout_t *fanout, tf_ws_close_t reason);
/* Close every socket without a word: the time for that is over. */
void tf_clients_cut_all(tf_fanout_t *fanout);
tf_connection_t *tf_clients_by_handle(tf_fanout_t *fanout, tf_io_handle_t handle);

/* ---- answers.c ---- */

/* The hello notification of the connection that is asking. */
void tf_answer_hello(void *context, tf_buf_t *out);

/* ---- delivery.c ---- */

/* Let a stream emit, and give its frames to its subscriptions. False: try again next turn. */
bool tf_delivery_emit(tf_fanout_t *fanout, tf_stream_t *stream);
/* The stream has moved without frames: every subscription has to catch up. */
void tf_delivery_behind(tf_fanout_t *fanout, const tf_stream_t *stream);
/* Serve connections that are behind, as far as their sockets have room. */
void tf_delivery_catch_up(tf_fanout_t *fanout);
void tf_delivery_list_ready(tf_fanout_t *fanout, tf_connection_t *connection);
void tf_delivery_list_behind(tf_fanout_t *fanout, tf_connection_t *connection);
/* Send to everybody who has output; returns the sends made. */
uint64_t tf_delivery_flush(tf_fanout_t *fanout);
void tf_delivery_sent(tf_fanout_t *fanout, tf_connection_t *connection, const tf_io_event_t *event);

/* ---- fanout.c ---- */

/* Completions; returns how many. */
uint64_t tf_fanout_collect(tf_fanout_t *fanout);
void tf_fanout_mark_dirty(tf_fanout_t *fanout, uint32_t stream, bool at_once);
/* The instrument of a channel: its market, or the first one of its venue. */
tf_directory_find_t tf_fanout_instrument_find(const tf_fanout_t *fanout,
                                              const tf_channel_t *channel, uint32_t *instrument);
/* The stream of a channel; TF_INDEX_NONE when nobody has it. */
uint32_t tf_fanout_stream_find(const tf_fanout_t *fanout, const tf_channel_t *channel,
                               uint32_t instrument);
/* The same, made if nobody had it. False when out of memory. */
TF_MUST_CHECK bool tf_fanout_stream_get(tf_fanout_t *fanout, const tf_channel_t *channel,
                                        uint32_t instrument, uint32_t *index);
void tf_fanout_stream_drop(tf_fanout_t *fanout, uint32_t index);
