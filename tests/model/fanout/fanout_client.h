/*
 * fanout_client: a WebSocket client over the fake door: asks, reads, answers pings, and gives every
 * message to the judge. Knows in which order replies must come, and which channels it may hear of.
 */
#pragma once

#include "fake_io.h"
#include "fanout_judge.h"

enum { HELD_MAX = 16, PENDING_MAX = 64 };

typedef enum client_state {
    CLIENT_FREE,
    CLIENT_HANDSHAKE,
    CLIENT_OPEN,
    CLIENT_CLOSED, /* a close frame came, or the connection is over */
} client_state_t;

typedef enum ask {
    ASK_PING,
    ASK_SUBSCRIBE,
    ASK_UNSUBSCRIBE,
    ASK_INSTRUMENTS,
    ASK_SNAPSHOT,
    ASK_UNSUBSCRIBE_ALL,
    ASK_LIST,
    ASK_HEARTBEAT,
} ask_t;

typedef struct pending {
    uint64_t id;
    ask_t ask;
    uint32_t names;
} pending_t;

typedef struct client {
    client_state_t state;
    uint32_t io; /* its number at the fake door */
    judge_t *judge;
    fake_io_t *fake;
    uint8_t *in; /* not yet a whole message */
    size_t in_bytes, in_room;
    held_t held[HELD_MAX];
    pending_t pending[PENDING_MAX]; /* oldest first */
    uint32_t pending_count;
    uint64_t id_next;
    uint64_t ping_sent, pong_got;     /* numbers in the payload */
    uint64_t us_in;                   /* of the last reply */
    uint64_t messages;                /* of subscriptions, since the last heartbeat */
    int64_t beat_ms;                  /* how often it has them; 0 = never */
    int64_t beat_ns;                  /* when the last one came, or when it asked for them */
    uint64_t beat_quiet, beat_behind; /* of the last one */
    bool leaving;                     /* it said so, or broke the connection */
    bool may_close; /* the server has a reason to: leaving, stalled, or memory was short */
    bool oom;       /* memory was short: requests may fail */
    bool reads;     /* else its window fills up */
} client_t;

/* False when there is no room at the door. `beat_ms`: the server's own heartbeats, 0 = none. */
bool client_connect(client_t *client, judge_t *judge, fake_io_t *fake, int64_t beat_ms);
void client_fini(client_t *client);

/* Look at everything that came. */
void client_look(client_t *client);

void client_frame(client_t *client, uint8_t opcode, const void *payload, size_t bytes);
void client_subscribe(client_t *client, tf_rng_t *rng);
void client_unsubscribe(client_t *client, tf_rng_t *rng);
void client_ask(client_t *client, ask_t ask, tf_rng_t *rng);
/* Nothing moves any more, for longer than two heartbeats: they must come, and name everything. */
void client_beats_settled(const client_t *client);
void client_ping(client_t *client);

held_t *client_held(client_t *client, const char *name);
