/*
 * inside: the fan-out thread's state, shared by fanout.c (the turn), region_watch.c (events,
 * epochs, loss), streams.c (which there are, and when they emit), delisting.c, delivery.c (frames
 * to subscriptions, sends), clients.c (connections), requests.c (what they ask for), heartbeat.c
 * and answers.c (texts for them). Nobody else includes this.
 */
#pragma once

#include "fanout/connection.h"
#include "fanout/fanout.h"
#include "fanout/index_list.h"
#include "fanout/stream.h"

typedef enum tf_fanout_state {
    TF_FANOUT_RUNNING,
    TF_FANOUT_DRAINING,
} tf_fanout_state_t;

enum { TF_REGION_LOOK_MS = 20 }; /* how often a region that is not there is looked for */

/* The streams of an instrument; a venue's are those of its first instrument. */
typedef struct tf_market_streams {
    uint32_t first_stream[TF_KIND_COUNT]; /* TF_INDEX_NONE = none; linked by tf_stream_t.next */
    bool unsure;                          /* in the list of those that may be delisted */
} tf_market_streams_t;

/* When the frames of this turn were published, for the histograms. */
typedef struct tf_ages {
    int64_t *tp_ns;
    uint32_t count;
    uint32_t room;
} tf_ages_t;

struct tf_fanout {
    tf_fanout_config_t config;
    tf_fanout_state_t state;
    tf_io_t *io;
    tf_stats_t *stats;
    _Atomic uint64_t *closes;
    tf_reader_t *reader; /* NULL until the region is there; the directory is empty then */
    tf_stream_env_t env;
    tf_host_t host;

    /* this turn's time */
    int64_t mono_ns;
    int64_t wall_ns;

    tf_market_streams_t *market; /* by instrument index, as many as the region has room for */
    tf_stream_t **stream;        /* by index; NULL = free */
    uint32_t stream_room;
    uint32_t stream_used;
    tf_index_list_t stream_free;
    uint32_t orphans;                     /* those whose market is missing from the region */
    tf_index_list_t dirty[TF_RATE_COUNT]; /* streams to emit at the next tick of their rate */
    int64_t tick_ns[TF_RATE_COUNT];       /* when that is */

    bool urgent;            /* some stream is */
    tf_index_list_t unsure; /* instruments that may have been delisted: looked at next turn */
    tf_buf_t goodbye;       /* scratch: last words to a subscription */

    tf_subscriptions_t subscriptions;
    tf_outbox_t outbox;

    tf_connection_t *connection; /* connections_max slots; memory nobody has touched is free */
    uint32_t slot_used;          /* slots below were used at some time */
    tf_index_list_t slot_free;
    uint32_t connection_count;
    uint64_t id_next;
    tf_index_list_t ready;  /* connections with output */
    tf_index_list_t behind; /* connections to catch up */
    uint32_t behind_idle;   /* so many of them wait for a new writer and nothing else */
    tf_index_list_t input;  /* connections with deferred input */

    uint8_t *scratch; /* for sends made of several parts, one slice each between two submits */
    uint32_t scratch_slices;
    uint32_t scratch_used;
    uint32_t sends_queued;
    bool flushing; /* entries are in the outbox: only sends are settled, the rest is deferred */
    uint32_t flushes;
    tf_ages_t ages;

    tf_connection_t *asking; /* whose request is being handled */
    uint64_t mark;           /* +1 per request */
    bool marked;             /* the asking connection's streams carry the mark */

    int64_t data_turn_ns; /* no emission before this */
    int64_t sweep_next_ns;
    int64_t age_next_ns;     /* when the next sweep keeps times of being behind from wrapping */
    int64_t spin_until_ns;   /* by the system's clock */
    bool news;               /* the last turn had some */
    int64_t accept_again_ns; /* 0 = accepting */
    uint32_t accept_listener;
    uint64_t accept_failures; /* of the episode that was logged; 0 = none */
    int64_t accept_failed_ns; /* the last one */
    int64_t drain_end_ns;
    int64_t region_look_ns; /* no region yet: when to look again */
    int64_t venues_next_ns; /* when the text for hello is stale */
    tf_buf_t venues;        /* hello's venues array */
};

/* Is what a subscription holds what its stream last emitted, under a number that its client was
 * told? While a market is missing from the region nobody can say so. */
static inline bool tf_stream_is_held(const tf_stream_t *stream, const tf_subscription_t *sub)
{
    return sub->phase == TF_PHASE_CURRENT && sub->seq != TF_SEQ_NONE &&
           sub->generation == stream->generation;
}

/* ---- clients.c ---- */

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
/* Send whole WebSocket messages like a reply. When memory is short the connection is closed: the
 * client would not know what it was not told. Only while no frames of this turn are in the outbox:
 * they would go behind. */
void tf_clients_notify(tf_fanout_t *fanout, tf_connection_t *connection, const tf_buf_t *messages);

/* ---- requests.c ---- */

void tf_requests_host_init(tf_fanout_t *fanout);
/* End one, or every subscription of a connection; not while a send is being settled. */
void tf_requests_end(tf_fanout_t *fanout, tf_connection_t *connection, uint32_t subscription);
void tf_requests_end_all(tf_fanout_t *fanout, tf_connection_t *connection);

/* ---- heartbeat.c ---- */

/* From now on, every so many milliseconds; 0 = never. */
void tf_heartbeat_start(const tf_fanout_t *fanout, tf_connection_t *connection,
                        uint32_t interval_ms);
/* Send the one that is due, if there is one and it can go out next. */
void tf_heartbeat_tick(tf_fanout_t *fanout, tf_connection_t *connection);

/* ---- answers.c ---- */

/* The hello notification of the connection that is asking. */
void tf_answer_hello(void *context, tf_buf_t *out);

/* ---- delivery.c ---- */

/* Let a stream emit, and give its frames to its subscriptions. False: try again next turn. */
bool tf_delivery_emit(tf_fanout_t *fanout, tf_stream_t *stream);
/* The stream has moved without frames: every subscription has to catch up. */
void tf_delivery_behind(tf_fanout_t *fanout, const tf_stream_t *stream);
/* The same after tf_stream_reset(): and nobody holds anything of the new epoch. */
void tf_delivery_restart(tf_fanout_t *fanout, const tf_stream_t *stream);
/* Serve connections that are behind, as far as their sockets have room. */
void tf_delivery_catch_up(tf_fanout_t *fanout);
void tf_delivery_list_ready(tf_fanout_t *fanout, tf_connection_t *connection);
void tf_delivery_list_behind(tf_fanout_t *fanout, tf_connection_t *connection);
/* Send to everybody who has output; returns the sends made. */
uint64_t tf_delivery_flush(tf_fanout_t *fanout);
void tf_delivery_sent(tf_fanout_t *fanout, tf_connection_t *connection, const tf_io_event_t *event);

/* ---- streams.c ---- */

/* Room for one more stream. */
TF_MUST_CHECK bool tf_streams_reserve(tf_fanout_t *fanout);
/* The instrument of a channel: its market, or the first one of its venue. */
tf_directory_find_t tf_streams_instrument(const tf_fanout_t *fanout, const tf_channel_t *channel,
                                          uint32_t *instrument);
/* The stream of a channel; TF_INDEX_NONE when nobody has it. */
uint32_t tf_streams_find(const tf_fanout_t *fanout, const tf_channel_t *channel,
                         uint32_t instrument);
/* The same, made if nobody had it. False when out of memory. */
TF_MUST_CHECK bool tf_streams_get(tf_fanout_t *fanout, const tf_channel_t *channel,
                                  uint32_t instrument, uint32_t *index);
void tf_streams_drop(tf_fanout_t *fanout, uint32_t index);
/* Hang a stream on its instrument, which it has now. */
void tf_streams_link(tf_fanout_t *fanout, tf_stream_t *stream, uint32_t index);
/* To be emitted at the next tick of its rate, or at once. */
void tf_streams_mark(tf_fanout_t *fanout, uint32_t stream, bool at_once);
void tf_streams_mark_kind(tf_fanout_t *fanout, uint32_t instrument, tf_kind_t kind, bool at_once);
/* The state of an instrument changed: its own streams at once, its venue's with the next turn. */
void tf_streams_mark_instrument(tf_fanout_t *fanout, uint32_t instrument);
void tf_streams_mark_all(tf_fanout_t *fanout);
/* Let the marked ones emit that may; returns how many. */
uint64_t tf_streams_emit_due(tf_fanout_t *fanout);

/* ---- region_watch.c ---- */

/* False when out of memory; a region that is not there is waited for. */
TF_MUST_CHECK bool tf_region_watch_start(tf_fanout_t *fanout);
/* Is its writer alive, is there a new one? */
void tf_region_watch_health(tf_fanout_t *fanout);
/* Take in the names that were added. */
void tf_region_watch_names(tf_fanout_t *fanout);
/* Take in what changed; returns the events read. */
uint64_t tf_region_watch_drain(tf_fanout_t *fanout);
uint64_t tf_region_watch_lag_bytes(const tf_fanout_t *fanout);

/* ---- delisting.c ---- */

/* The instrument may have been delisted: look next turn. */
void tf_delisting_suspect(tf_fanout_t *fanout, uint32_t instrument);
/* Has the venue taken it off? False also when that can't be read now; it is then looked at again.
 */
bool tf_delisting_is(tf_fanout_t *fanout, uint32_t instrument);
/* End the subscriptions of those that were. Before anything is handed to connections. */
void tf_delisting_end(tf_fanout_t *fanout);

/* ---- fanout.c ---- */

/* Completions; returns how many. */
uint64_t tf_fanout_collect(tf_fanout_t *fanout);
