#include "fanout/stream_text.h"

#include "fanout/stream_inside.h"
#include "market/checksum.h"

/* When the market's state last changed: the time of a message that no venue message stands behind.
 */
static int64_t state_since_ns(const tf_stream_t *stream, const tf_stream_env_t *env)
{
    tf_instrument_view_t view;
    if (env->view.lost)
        return env->view.lost_ns;
    /* A venue's channel has no state but that: lost, or not any more. */
    if (tf_kind_of_venue(stream->channel.kind))
        return env->view.lost_ns != 0 ? env->view.lost_ns : stream->ti_ns;
    int64_t since_ns =
        tf_reader_instrument(env->view.reader, stream->instrument, &view) == TF_IMAGE_OK
            ? view.since_ns
            : stream->ti_ns;
    /* A writer that was only silent comes back with the state it had: that is news since then. */
    return since_ns > env->view.lost_ns ? since_ns : env->view.lost_ns;
}

static void stamp_with_state(tf_message_t *message, const tf_stream_t *stream,
                             const tf_stream_env_t *env)
{
    message->te_ns = TF_TIME_NONE;
    message->ti_ns = message->tp_ns = state_since_ns(stream, env);
}

tf_message_t tf_stream_message(const tf_stream_t *stream, const tf_stream_env_t *env,
                               tf_message_type_t type)
{
    return (tf_message_t){.type = type,
                          .envelope = true,
                          .px_dp = stream->px_dp,
                          .sz_dp = stream->sz_dp,
                          .state = (tf_market_state_t)(stream->told & 15),
                          .reason = (tf_market_reason_t)(stream->told >> 4),
                          .channel = stream->name,
                          .channel_bytes = stream->name_bytes,
                          .epoch = env->view.epoch,
                          .seq = stream->seq,
                          .te_ns = stream->te_ns,
                          .ti_ns = stream->ti_ns,
                          .tp_ns = stream->tp_ns};
}

tf_message_t tf_stream_update_message(const tf_stream_t *stream, const tf_stream_env_t *env,
                                      const tf_view_image_t *image, uint64_t prev)
{
    tf_message_t message = tf_stream_message(stream, env, TF_MESSAGE_UPDATE);
    message.has_prev = true;
    message.prev = prev;
    message.seq = image->info.seq;
    message.te_ns = image->info.te_ns;
    message.ti_ns = image->info.ti_ns;
    message.tp_ns = image->info.tp_ns;
    return message;
}

tf_message_t tf_stream_snapshot_message(const tf_stream_t *stream, const tf_stream_env_t *env,
                                        bool envelope)
{
    tf_message_t message = tf_stream_message(stream, env, TF_MESSAGE_SNAPSHOT);
    message.envelope = envelope;
    if (stream->seq == 0) /* nothing was published yet: there are no times to tell */
        stamp_with_state(&message, stream, env);
    return message;
}

void tf_stream_put_snapshot(const tf_stream_t *stream, tf_stream_env_t *env, bool envelope)
{
    tf_message_t message = tf_stream_snapshot_message(stream, env, envelope);
    if (stream->channel.kind == TF_KIND_TICKER) {
        tf_json_ticker(&env->text, &message, &stream->ticker);
    } else if (stream->channel.kind == TF_KIND_BBO) {
        tf_json_bbo(&env->text, &message, &stream->bbo);
    } else if (tf_kind_of_venue(stream->channel.kind)) {
        tf_stream_list_put(stream, env, &message);
    } else {
        const tf_stream_book_t *book = &stream->book;
        message.has_cs = true;
        message.cs = tf_book_checksum(book->side[0], book->count[0], book->side[1], book->count[1],
                                      stream->px_dp, stream->sz_dp);
        tf_json_book(&env->text, &message, book->side[0], book->count[0], book->side[1],
                     book->count[1]);
    }
}

void tf_stream_put_state(const tf_stream_t *stream, tf_stream_env_t *env)
{
    tf_message_t message = tf_stream_message(stream, env, TF_MESSAGE_STATE);
    stamp_with_state(&message, stream, env);
    tf_buf_reset(&env->text);
    tf_json_state(&env->text, &message);
}

static void put_gap(const tf_stream_t *stream, tf_stream_env_t *env, bool at_venue, uint64_t from,
                    uint64_t to, uint64_t count, tf_stream_put_t *put)
{
    tf_buf_reset(&env->text);
    tf_json_gap(&env->text, stream->name, stream->name_bytes, at_venue, from, to, count);
    tf_frame_put_text(&env->blob, &env->text);
    put->messages++;
    put->gaps++;
}

static void put_run(const tf_stream_t *stream, tf_stream_env_t *env, const tf_trade_t *trades,
                    uint64_t first, uint32_t count, tf_stream_put_t *put)
{
    if (count == 0)
        return;
    tf_message_t message = tf_stream_message(stream, env, TF_MESSAGE_UPDATE);
    message.has_prev = true;
    message.prev = first - 1;
    message.seq = first + count - 1;
    message.te_ns = trades[count - 1].te_ns;
    message.ti_ns = trades[count - 1].ti_ns;
    tf_buf_reset(&env->text);
    tf_json_trades(&env->text, &message, trades, count);
    tf_frame_put_text(&env->blob, &env->text);
    put->messages++;
}

tf_stream_put_t tf_stream_put_trades(const tf_stream_t *stream, tf_stream_env_t *env, uint64_t prev,
                                     const tf_trade_t *trades, uint64_t first, uint32_t count)
{
    tf_stream_put_t put = {0};
    if (first > prev + 1)
        put_gap(stream, env, false, prev, first - 1, first - prev - 1, &put);
    uint32_t start = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (trades[i].gap_before == 0)
            continue;
        put_run(stream, env, trades + start, first + start, i - start, &put);
        put_gap(stream, env, true, first + i - 1, first + i - 1, trades[i].gap_before, &put);
        start = i;
    }
    put_run(stream, env, trades + start, first + start, count - start, &put);
    return put;
}

uint64_t tf_stream_sid(const tf_stream_t *stream)
{
    static const uint32_t depths[] = {TF_DEPTH_NONE, 1, 10, 25, 50, 200, 1000, TF_DEPTH_FULL};
    uint64_t depth = 0;
    while (depths[depth] != stream->channel.depth)
        depth++;
    return (uint64_t)stream->instrument << 19 | (uint64_t)stream->px_dp << 14 |
           (uint64_t)stream->sz_dp << 9 | (uint64_t)stream->channel.kind << 6 |
           (uint64_t)stream->channel.rate << 3 | depth;
}
