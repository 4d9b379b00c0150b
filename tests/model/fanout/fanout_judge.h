/*
 * fanout_judge: what one subscriber holds, rebuilt from nothing but the messages it gets, and
 * judged by the truth after each. A violation ends the test with the message that shows it.
 */
#pragma once

#include "fanout_market.h"

#include <jansson.h>

enum { NAME_BYTES_MAX = 80, HELD_LEVELS_MAX = 128 };

typedef enum kind {
    KIND_TICKER,
    KIND_BBO,
    KIND_TRADES,
    KIND_BOOK,
    KIND_INSTRUMENTS,
    KIND_STATUS,
    KIND_COUNT
} kind_t;

static inline bool kind_of_venue(kind_t kind)
{
    return kind == KIND_INSTRUMENTS || kind == KIND_STATUS;
}

typedef struct held {
    char name[NAME_BYTES_MAX];
    bool active;
    kind_t kind;
    uint32_t which; /* market; of a venue's channel, the venue */
    uint64_t sid;
    uint64_t messages; /* since the last heartbeat */
    uint32_t depth;    /* book: where the client truncates */
    char epoch[9];     /* as announced */
    uint8_t px_dp, sz_dp;
    bool have; /* a snapshot came, under this scale and epoch */
    uint64_t seq;
    bool told_any;
    told_t told;
    uint32_t told_from; /* the told state is one of the market's from here on */
    tf_level_t level[2][HELD_LEVELS_MAX];
    uint32_t levels[2];
    uint64_t hash;               /* bbo, ticker */
    uint64_t entry[MARKETS_MAX]; /* instruments, status: a hash of each entry, 0 = none ... */
    uint64_t entry_venue;        /* ... and of the venue's */
    uint64_t venue_gap;          /* announced; the next trade must have it */
    int64_t heard_ns;            /* when the last data came, by the world's clock */
} held_t;

/* What came, over all clients: a run that never saw one of these proves nothing about it. */
typedef struct tally {
    uint64_t snapshots, updates, states, announces, lags, gaps_server, gaps_venue, trades_lost;
    uint64_t replies, errors, pings, pongs, closes, epochs_changed, scales_changed;
    uint64_t lists, list_updates, beats, quiet, ended;
} tally_t;

typedef struct judge {
    world_t *world;
    tally_t tally;
    uint64_t action; /* for the report */
} judge_t;

/* An entry of `subscribed`, in a reply or as the notification. */
void held_begin(judge_t *judge, held_t *held, const json_t *entry);
void held_announced(judge_t *judge, held_t *held, const json_t *entry);
/* The params of subscription, lag and gap. */
void held_data(judge_t *judge, held_t *held, const json_t *params);
void held_lag(judge_t *judge, held_t *held, const json_t *params);
void held_gap(judge_t *judge, held_t *held, const json_t *params);

/* Has the region what it is about? */
bool held_is_there(const judge_t *judge, const held_t *held);
/* Nothing moves any more: it must hold the newest there is. */
void held_settled(judge_t *judge, const held_t *held);

/* A snapshot outside of any subscription. */
void judge_snapshot_alone(judge_t *judge, const json_t *params);

_Noreturn void violation(const judge_t *judge, const char *name, const char *what,
                         const json_t *message);

void demand(const judge_t *judge, bool fine, const held_t *held, const char *what,
            const json_t *message);

/* `unsubscribed`: the market must have been delisted while it was in the state told last, and no
 * trade before that may be missing unsaid. */
void held_ended(judge_t *judge, const held_t *held, const json_t *params);

/* ---- fanout_list.c: venues' channels ---- */

/* The held list is taken from a message, and is then what the venue's was at its seq. */
void list_message(judge_t *judge, held_t *held, const json_t *params, uint64_t seq, bool update);
void list_settled(const judge_t *judge, const held_t *held);

/* Fields that must be there; fanout_text.c. */
uint64_t field_uint(const judge_t *judge, const json_t *object, const char *key);
const char *field_text(const judge_t *judge, const json_t *object, const char *key);
