#include "fanout/inside.h"
#include "fanout/stream_text.h"

enum { QUIET_MAX = 256 };

static const uint32_t phase_step = 0x9e3779b1; /* 2^32 by the golden ratio: ids fall far apart */

static int64_t interval_ns(const tf_connection_t *connection)
{
    return connection->heartbeat_ms * TF_NS_PER_MS;
}

/* Somewhere within the interval, so that clients who came together are not all told together. */
static int64_t phase_ns(const tf_connection_t *connection)
{
    uint64_t part = (uint32_t)(connection->id * phase_step) >> 8; /* of 2^24 */
    return (int64_t)(((uint64_t)interval_ns(connection) >> 12) * part >> 12);
}

void tf_heartbeat_start(const tf_fanout_t *fanout, tf_connection_t *connection,
                        uint32_t interval_ms)
{
    connection->heartbeat_ms = interval_ms;
    connection->heartbeat_ns = fanout->mono_ns + phase_ns(connection);
}

/* What this server vouches for: silence there is silence of the market. */
static void put_quiet(tf_fanout_t *fanout, const tf_connection_t *connection,
                      tf_heartbeat_t *heartbeat, tf_buf_t *text)
{
    uint32_t quiet = 0;
    uint32_t index = connection->subscription_first;
    for (; index != TF_INDEX_NONE;
         index = tf_subscription_at(&fanout->subscriptions, index)->next) {
        const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        const tf_stream_t *stream = fanout->stream[sub->stream];
        if (!tf_stream_is_held(stream, sub))
            heartbeat->behind++;
        else if (!sub->touched && quiet++ < QUIET_MAX)
            tf_json_heartbeat_quiet(text, quiet == 1, tf_stream_sid(stream), sub->seq);
    }
    heartbeat->quiet_more = quiet > QUIET_MAX ? quiet - QUIET_MAX : 0;
}

static void forget_touches(tf_fanout_t *fanout, const tf_connection_t *connection)
{
    uint32_t index = connection->subscription_first;
    while (index != TF_INDEX_NONE) {
        tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        sub->touched = false;
        index = sub->next;
    }
}

static void heartbeat_send(tf_fanout_t *fanout, tf_connection_t *connection)
{
    tf_stream_env_t *env = &fanout->env;
    tf_heartbeat_t heartbeat = {.time_us = fanout->wall_ns / TF_NS_PER_US,
                                .delay_us =
                                    (fanout->mono_ns - connection->heartbeat_ns) / TF_NS_PER_US,
                                .sent = connection->messages};
    tf_buf_reset(&env->text);
    tf_buf_reset(&env->blob);
    tf_json_heartbeat_begin(&env->text, &heartbeat);
    put_quiet(fanout, connection, &heartbeat, &env->text);
    tf_json_heartbeat_end(&env->text, &heartbeat);
    tf_frame_put_text(&env->blob, &env->text);
    if (!tf_buf_ok(&env->blob))
        return; /* memory is short: next time, and nothing is forgotten */
    tf_count(fanout->stats, heartbeats_total, 1);
    tf_clients_notify(fanout, connection, &env->blob);
    forget_touches(fanout, connection);
    connection->messages = 0;
    int64_t late = (fanout->mono_ns - connection->heartbeat_ns) / interval_ns(connection);
    connection->heartbeat_ns += (late + 1) * interval_ns(connection);
}

/* It stands between what was sent and what comes, so it is not for the middle of a turn; and not
 * while replies are unsent, among which the one before may be. */
void tf_heartbeat_tick(tf_fanout_t *fanout, tf_connection_t *connection)
{
    const tf_session_t *session = &connection->session;
    if (connection->heartbeat_ms == 0 || fanout->mono_ns < connection->heartbeat_ns ||
        connection->life != TF_LIFE_OPEN || connection->broken ||
        connection->flow != TF_FLOW_IDLE || session->state != TF_SESSION_OPEN ||
        session->out.bytes > 0)
        return;
    heartbeat_send(fanout, connection);
}
