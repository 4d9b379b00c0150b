/*
 * sim_request: the desk of the simulated venue: takes subscribe and unsubscribe requests, keeps who
 * listens to what (in the instruments' `channels` and `owed`), and answers. Ingest thread. Flow:
 * sim (send) -> [sim_request] -> sim_text. Private to the simulated venue.
 *
 * A request is met as a whole or refused as a whole. Answers wait here until they are asked for, so
 * that a request never writes among frames that have not been taken yet. Whatever a client sends,
 * it gets at most an error frame; beyond TF_SIM_REPLIES_MAX waiting answers it gets none.
 */
#pragma once

#include "venue/sim_text.h"

enum {
    TF_SIM_REPLIES_MAX = 64,
    TF_SIM_REASON_BYTES = 128,
};

/* An answer that is due: so many acknowledgements, or one error. */
typedef struct tf_sim_reply {
    uint32_t acknowledgements;
    char reason[TF_SIM_REASON_BYTES];
} tf_sim_reply_t;

typedef struct tf_sim_requests {
    tf_sim_market_t *market;
    tf_sim_reply_t reply[TF_SIM_REPLIES_MAX]; /* a ring */
    uint32_t replies, replies_first;
    uint32_t owed_instruments; /* those with `owed` set */
    uint32_t owed_next;        /* where to look for the next one */
    bool status_subscribed;
    bool status_owed;
    int64_t taken_ns; /* simulated time of the last request */
} tf_sim_requests_t;

void tf_sim_requests_init(tf_sim_requests_t *requests, tf_sim_market_t *market);

/* One frame from the client, at simulated time now_ns. */
void tf_sim_requests_take(tf_sim_requests_t *requests, const char *text, size_t bytes,
                          int64_t now_ns);

/* Write what is due next to whoever asked: replies, then what new subscriptions start with. False:
 * nothing is due. */
bool tf_sim_requests_answer(tf_sim_requests_t *requests, tf_sim_text_t *text);
