#include "base/mem.h"
#include "fanout/stream_inside.h"
#include "fanout/stream_text.h"

#include <string.h>

enum { PENDING_ROOM_MIN = 16 };

void tf_stream_lapped(tf_stream_t *stream)
{
    if (stream->channel.kind == TF_KIND_TRADES)
        stream->trades.hole = true;
}

static uint64_t trades_expected(const tf_stream_t *stream)
{
    const tf_stream_trades_t *trades = &stream->trades;
    return trades->count > 0 ? trades->first + trades->count : stream->seq + 1;
}

static bool trades_grow(tf_stream_trades_t *trades, uint32_t count)
{
    if (trades->room - trades->count >= count)
        return true;
    uint32_t room = trades->room + trades->room / 2 + count + PENDING_ROOM_MIN;
    tf_trade_t *grown = tf_mem_realloc(trades->pending, room, sizeof *grown);
    if (grown == NULL)
        return false;
    trades->pending = grown;
    trades->room = room;
    return true;
}

void tf_stream_trade(tf_stream_t *stream, const tf_event_trade_t *event)
{
    tf_stream_trades_t *trades = &stream->trades;
    uint64_t expected = trades_expected(stream);
    bool scaled = event->head.px_dp != stream->px_dp || event->head.sz_dp != stream->sz_dp;
    if (stream->state == TF_STREAM_LOADING || trades->hole || event->head.seq < expected)
        return;
    if (event->head.seq > expected || scaled || !trades_grow(trades, 1)) {
        trades->hole = true;
        return;
    }
    if (trades->count == 0)
        trades->first = expected;
    trades->pending[trades->count++] = event->trade;
    stream->te_ns = event->head.te_ns;
    stream->ti_ns = event->head.ti_ns;
    stream->tp_ns = event->head.tp_ns;
}

/* Close the hole from the history; what it no longer has is lost, and will be announced. Only when
 * nothing is pending, so that order is kept. The history is in the newest scale: should that have
 * changed just now, the next turn changes the stream's first. */
static bool trades_refill(tf_stream_t *stream, tf_stream_env_t *env)
{
    tf_stream_trades_t *trades = &stream->trades;
    uint64_t expected = stream->seq + 1;
    tf_image_info_t info;
    uint64_t first;
    uint32_t count;
    if (tf_reader_trades(env->view.reader, stream->instrument, expected, UINT64_MAX, &info,
                         env->view.trade, tf_reader_trades_kept(env->view.reader), &first,
                         &count) != TF_IMAGE_OK ||
        !tf_stream_seq_fits(&info) || tf_stream_scale_differs(stream, &info) ||
        !trades_grow(trades, count))
        return false;
    trades->hole = false;
    if (count == 0)
        return true;
    memcpy(trades->pending, env->view.trade, count * sizeof *env->view.trade);
    trades->count = count;
    trades->first = first;
    stream->te_ns = info.te_ns;
    stream->ti_ns = info.ti_ns;
    stream->tp_ns = info.tp_ns;
    return true;
}

/* Trades first .. first + count - 1 for a subscription at `prev`, with notices of what is missing.
 */
static tf_frame_t *trades_frame(const tf_stream_t *stream, tf_stream_env_t *env, uint64_t prev,
                                const tf_trade_t *trades, uint64_t first, uint32_t count)
{
    tf_buf_reset(&env->blob);
    tf_stream_put_t put = tf_stream_put_trades(stream, env, prev, trades, first, count);
    tf_frame_t *frame = tf_frame_create(TF_FRAME_UPDATE, &env->blob);
    if (frame == NULL)
        return NULL;
    frame->prev = prev;
    frame->seq = first + count - 1;
    frame->messages = put.messages;
    frame->gaps = put.gaps;
    frame->lost = first - prev - 1;
    return frame;
}

/* One frame of up to TF_STREAM_TRADES_PER_FRAME pending trades; moves the stream's seq. */
static tf_frame_t *trades_next_frame(tf_stream_t *stream, tf_stream_env_t *env)
{
    tf_stream_trades_t *trades = &stream->trades;
    uint32_t count =
        trades->count < TF_STREAM_TRADES_PER_FRAME ? trades->count : TF_STREAM_TRADES_PER_FRAME;
    tf_frame_t *frame = tf_stream_count_encoded(
        env, trades_frame(stream, env, stream->seq, trades->pending, trades->first, count));
    if (frame == NULL)
        return NULL;
    stream->seq = frame->seq;
    trades->first += count;
    trades->count -= count;
    memmove(trades->pending, trades->pending + count, trades->count * sizeof *trades->pending);
    return frame;
}

tf_stream_result_t tf_stream_trades_emit(tf_stream_t *stream, tf_stream_env_t *env,
                                         tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    uint64_t before = stream->seq;
    bool ok = true;
    while (ok && *count < TF_STREAM_FRAMES_MAX &&
           (stream->trades.count > 0 || stream->trades.hole)) {
        if (stream->trades.count == 0) {
            ok = trades_refill(stream, env);
            continue;
        }
        tf_frame_t *frame = trades_next_frame(stream, env);
        ok = frame != NULL;
        if (ok)
            out[(*count)++] = frame;
    }
    if (stream->seq != before)
        tf_stream_forget_encoded(stream);
    return ok && stream->trades.count == 0 && !stream->trades.hole ? TF_STREAM_OK : TF_STREAM_AGAIN;
}

/* A new scale does not end a list of trades: what was pending goes out in the old one, what follows
 * in the new one, with the announcement between. Trades that came meanwhile are in the history. */
tf_stream_result_t tf_stream_trades_rescale(tf_stream_t *stream, tf_stream_env_t *env,
                                            const tf_image_info_t *info,
                                            tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    stream->trades.hole = false;
    tf_stream_result_t result = tf_stream_trades_emit(stream, env, out, count);
    stream->trades.hole = true;
    if (result != TF_STREAM_OK || *count + 1 >= TF_STREAM_FRAMES_MAX)
        return TF_STREAM_AGAIN;
    tf_stream_new_generation(stream);
    stream->px_dp = info->px_dp;
    stream->sz_dp = info->sz_dp;
    tf_frame_t *announce = tf_stream_announce(stream, env);
    if (announce == NULL)
        return TF_STREAM_MISSED;
    out[(*count)++] = tf_frame_ref(announce);
    return TF_STREAM_OK;
}

tf_frame_t *tf_stream_trades_since(tf_stream_t *stream, tf_stream_env_t *env, uint64_t seq)
{
    uint64_t to = stream->seq;
    if (to - seq > TF_STREAM_TRADES_PER_FRAME) {
        /* Oldest first, a frame's worth at a time; but never older than the history holds. */
        uint64_t kept = tf_reader_trades_kept(env->view.reader);
        uint64_t oldest = to > kept ? to - kept : 0;
        to = (seq > oldest ? seq : oldest) + TF_STREAM_TRADES_PER_FRAME;
        if (to > stream->seq)
            to = stream->seq;
    }
    tf_image_info_t info;
    uint64_t first;
    uint32_t count;
    if (tf_reader_trades(env->view.reader, stream->instrument, seq + 1, to, &info, env->view.trade,
                         TF_STREAM_TRADES_PER_FRAME, &first, &count) != TF_IMAGE_OK ||
        tf_stream_scale_differs(stream, &info))
        return NULL;
    if (count == 0)
        first = to + 1; /* the history moved past them while we looked */
    return trades_frame(stream, env, seq, env->view.trade, first, count);
}
