/*
 * state: is this market's data good, and if not, why. One value per instrument, owned by the
 * instrument's feed; every transition is asserted. Values are wire and shared-memory ABI
 * (<tickfan/event.h> has the enums): never renumber.
 *
 *            snapshot                    silence, venue down
 *   RESYNC ----------->  LIVE  --------------------------------> STALE
 *     ^  <--------------  |  ^                                     |
 *     |   gap, checksum,  |  '---- never directly: a stale book ---'
 *     |   crossed         |        is resynced before it is live
 *     '-------------------+------------------- resync ------------'
 *   HALTED: the venue says that the market does not trade. Reached from any state, left to RESYNC
 * or STALE.
 */
#pragma once

#include <tickfan/event.h>

#include <stdbool.h>

/* May a market go from one state to another? Staying is not a transition, except that the reason
 * of a state that is not LIVE may change. */
bool tf_market_state_may(tf_market_state_t from, tf_market_state_t to);

/* Move, or abort on an illegal transition or on a reason that does not fit: LIVE has no reason,
 * every other state has one. */
void tf_market_state_move(tf_market_state_t *state, tf_market_reason_t *reason,
                          tf_market_state_t to, tf_market_reason_t why);

/* "live", "stale", "resync", "halted"; "none" and "seq_gap" and so on: as on the wire. */
const char *tf_market_state_text(tf_market_state_t state);
const char *tf_market_reason_text(tf_market_reason_t reason);
