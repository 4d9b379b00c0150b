#include "market/state.h"

#include "base/assert.h"

enum { STATE_COUNT = TF_STATE_HALTED + 1, REASON_COUNT = TF_REASON_INGEST_LOST + 1 };

/* [from][to]; a state that "reaches" itself may change its reason. */
static const bool allowed[STATE_COUNT][STATE_COUNT] = {
    [TF_STATE_LIVE] = {[TF_STATE_STALE] = true, [TF_STATE_RESYNC] = true, [TF_STATE_HALTED] = true},
    [TF_STATE_STALE] =
        {[TF_STATE_STALE] = true, [TF_STATE_RESYNC] = true, [TF_STATE_HALTED] = true},
    [TF_STATE_RESYNC] = {[TF_STATE_LIVE] = true,
                         [TF_STATE_STALE] = true,
                         [TF_STATE_RESYNC] = true,
                         [TF_STATE_HALTED] = true},
    [TF_STATE_HALTED] =
        {[TF_STATE_STALE] = true, [TF_STATE_RESYNC] = true, [TF_STATE_HALTED] = true},
};

bool tf_market_state_may(tf_market_state_t from, tf_market_state_t to)
{
    return (unsigned)from < STATE_COUNT && (unsigned)to < STATE_COUNT && allowed[from][to];
}

void tf_market_state_move(tf_market_state_t *state, tf_market_reason_t *reason,
                          tf_market_state_t to, tf_market_reason_t why)
{
    TF_ASSERT(tf_market_state_may(*state, to));
    TF_ASSERT((unsigned)why < REASON_COUNT);
    TF_ASSERT((to == TF_STATE_LIVE) == (why == TF_REASON_NONE));
    *state = to;
    *reason = why;
}

/* Both are read from shared memory that another process wrote: an unknown value is data. */

const char *tf_market_state_text(tf_market_state_t state)
{
    static const char *const text[STATE_COUNT] = {"live", "stale", "resync", "halted"};
    return (unsigned)state < STATE_COUNT ? text[state] : "unknown";
}

const char *tf_market_reason_text(tf_market_reason_t reason)
{
    static const char *const text[REASON_COUNT] = {
        "none",     "starting", "venue_disconnected", "silent",      "seq_gap",
        "checksum", "crossed",  "venue_status",       "ingest_lost",
    };
    return (unsigned)reason < REASON_COUNT ? text[reason] : "unknown";
}
