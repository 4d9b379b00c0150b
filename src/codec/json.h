/*
 * json: data messages and notifications as JSON text (PROTOCOL.md). Pure: appends to a tf_buf_t;
 * any thread. Flow: stream -> [codec] -> session. Hot: no printf, no floating point.
 */
#pragma once

#include "base/buf.h"

#include <tickfan/event.h>

#include <stdbool.h>
#include <stdint.h>

typedef enum tf_message_type {
    TF_MESSAGE_SNAPSHOT,
    TF_MESSAGE_UPDATE,
    TF_MESSAGE_STATE,
} tf_message_type_t;

/* What every data message carries. Times in ns here, microseconds on the wire (rounded down). */
typedef struct tf_message {
    tf_message_type_t type;
    bool envelope; /* false: the params object alone (get_snapshot, REST) */
    bool has_prev; /* else prev is null; never on STATE, where it is left out */
    bool has_cs;   /* book only */
    uint8_t px_dp, sz_dp;
    tf_market_state_t state;   /* written on SNAPSHOT and STATE */
    tf_market_reason_t reason; /* written unless LIVE */
    const char *channel;       /* canonical name */
    size_t channel_bytes;
    const char *epoch; /* text; written on SNAPSHOT */
    uint64_t seq;
    uint64_t prev;
    uint32_t cs;
    int64_t te_ns, ti_ns, tp_ns;
} tf_message_t;

/* Each appends one whole message. */
void tf_json_state(tf_buf_t *buf, const tf_message_t *message); /* ti, tp: when the state changed */
void tf_json_book(tf_buf_t *buf, const tf_message_t *message, const tf_level_t *bids,
                  size_t bid_count, const tf_level_t *asks, size_t ask_count);
void tf_json_trades(tf_buf_t *buf, const tf_message_t *message, const tf_trade_t *trades,
                    size_t count);
void tf_json_bbo(tf_buf_t *buf, const tf_message_t *message, const tf_bbo_t *bbo);
void tf_json_ticker(tf_buf_t *buf, const tf_message_t *message, const tf_ticker_t *ticker);

/* A venue's channel: `items` is a comma-separated text of whole JSON objects, copied as it is. */
void tf_json_list(tf_buf_t *buf, const tf_message_t *message, const char *items, size_t bytes);

/* "gap": `count` messages of `channel` between seq `from` and `to` are lost for good. */
void tf_json_gap(tf_buf_t *buf, const char *channel, size_t channel_bytes, bool at_venue,
                 uint64_t from, uint64_t to, uint64_t count);

/* "lag": the subscription was behind and is brought from seq `from` to `to`; `count` versions
 * merged. */
void tf_json_lag(tf_buf_t *buf, const char *channel, size_t channel_bytes, const char *action,
                 uint64_t from, uint64_t to, uint64_t count);

/* One entry of `subscribed`: in replies and in the notification. */
typedef struct tf_subscribed {
    const char *channel;
    size_t channel_bytes;
    const char *epoch;
    bool no_sid; /* the market is missing from the region now: sid is null */
    uint64_t sid;
    uint64_t seq;
    bool has_scale; /* a venue's channels have none: px_dp and sz_dp are left out */
    uint8_t px_dp, sz_dp;
    uint32_t depth_max; /* 0 = not a `full` book: left out */
    int resume_code;    /* 0: recovered is null; else recovered is false with this code */
} tf_subscribed_t;

void tf_json_subscribed_entry(tf_buf_t *buf, const tf_subscribed_t *entry);
void tf_json_subscribed(tf_buf_t *buf, const tf_subscribed_t *entry); /* the notification */

/* The notification "unsubscribed": the server ended a subscription, for the reason of an error
 * code. */
void tf_json_unsubscribed(tf_buf_t *buf, const char *channel, size_t channel_bytes, int code,
                          const char *message);

/* Milliseconds as a JSON number of seconds, without needless decimals: 15, 1.5. */
void tf_json_seconds(tf_buf_t *buf, uint64_t ms);

/* The notification "heartbeat". Appended in pieces: begin, one quiet entry for each channel that is
 * up to date and got nothing since the heartbeat before, end. */
typedef struct tf_heartbeat {
    int64_t time_us;
    int64_t delay_us; /* how late it comes: behind the time it was due */
    uint64_t sent;    /* messages of subscriptions since the heartbeat before */
    uint64_t quiet_more;
    uint64_t behind; /* subscriptions that are not up to date */
} tf_heartbeat_t;

void tf_json_heartbeat_begin(tf_buf_t *buf, const tf_heartbeat_t *heartbeat);
void tf_json_heartbeat_quiet(tf_buf_t *buf, bool first, uint64_t sid, uint64_t seq);
void tf_json_heartbeat_end(tf_buf_t *buf, const tf_heartbeat_t *heartbeat);
