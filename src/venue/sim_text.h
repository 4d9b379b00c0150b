/*
 * sim_text: what the simulated venue says, in Coinbase Exchange's words: writes frames one behind
 * the other into a buffer, from where they are taken one per poll. The buffer is emptied before the
 * next event or answer is written, so its size follows from the longest of those. Ingest thread.
 * Flow: sim_market, sim_request -> [sim_text] -> sim (poll). Private to the simulated venue.
 *
 * Every write function adds one whole frame. Times are in simulated time; `te_ns` is when the venue
 * says that it happened.
 */
#pragma once

#include "venue/sim_market.h"

enum { TF_SIM_FRAMES_MAX = TF_SIM_FILLS_MAX + 2 }; /* matches, l2update, ticker of one order */

typedef enum tf_sim_channel {
    TF_SIM_LEVEL2,
    TF_SIM_MATCHES,
    TF_SIM_TICKER,
    TF_SIM_HEARTBEAT,
    TF_SIM_STATUS,
    TF_SIM_CHANNEL_COUNT,
} tf_sim_channel_t;

/* As the venue lists them: level2_batch comes back under its old name. */
extern const char *const tf_sim_channel_names[TF_SIM_CHANNEL_COUNT];

static inline bool tf_sim_listens(const tf_sim_instrument_t *ins, tf_sim_channel_t channel)
{
    return (ins->channels & 1U << channel) != 0;
}

typedef struct tf_sim_frame {
    size_t offset; /* in the buffer */
    size_t bytes;
} tf_sim_frame_t;

typedef struct tf_sim_text {
    uint64_t seed;    /* of the order ids */
    int64_t epoch_ns; /* wall clock at simulated time 0: the owner's to set */
    char *buffer;
    size_t bytes, room;
    tf_sim_frame_t frame[TF_SIM_FRAMES_MAX];
    uint32_t frames, taken;
} tf_sim_text_t;

/* Room for all that `market` can say; false: out of memory. */
bool tf_sim_text_init(tf_sim_text_t *text, const tf_sim_market_t *market);
void tf_sim_text_fini(tf_sim_text_t *text);

/* Forget all frames. */
void tf_sim_text_clear(tf_sim_text_t *text);

/* The next frame, in place until clear; false: all are taken. */
bool tf_sim_text_take(tf_sim_text_t *text, tf_slice_t *out);

/* Of one instrument. The fill is new (`type` "match") or the last one ("last_match"); l2update
 * writes the market's changes. */
void tf_sim_text_snapshot(tf_sim_text_t *text, const tf_sim_instrument_t *ins, int64_t te_ns);
void tf_sim_text_l2update(tf_sim_text_t *text, const tf_sim_market_t *market,
                          const tf_sim_instrument_t *ins, int64_t te_ns);
void tf_sim_text_match(tf_sim_text_t *text, const tf_sim_instrument_t *ins,
                       const tf_sim_fill_t *fill, const char *type);
void tf_sim_text_ticker(tf_sim_text_t *text, const tf_sim_instrument_t *ins);
void tf_sim_text_heartbeat(tf_sim_text_t *text, const tf_sim_instrument_t *ins, int64_t te_ns);

/* Of all: the REST body of /products, the status channel, the complete list of subscriptions
 * (`status`: to the status channel too). */
void tf_sim_text_products(tf_sim_text_t *text, const tf_sim_market_t *market);
void tf_sim_text_status(tf_sim_text_t *text, const tf_sim_market_t *market);
void tf_sim_text_subscriptions(tf_sim_text_t *text, const tf_sim_market_t *market, bool status);

/* The answer to a request that cannot be met; `reason` needs no escaping. */
void tf_sim_text_error(tf_sim_text_t *text, const char *reason);
