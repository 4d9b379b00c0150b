#include "fanout/inside.h"
#include "market/instrument.h"

static const char why[] = "the venue no longer lists this instrument";

void tf_delisting_suspect(tf_fanout_t *fanout, uint32_t instrument)
{
    if (fanout->market[instrument].unsure)
        return;
    fanout->market[instrument].unsure = true;
    tf_index_list_add(&fanout->unsure, instrument);
}

static tf_image_result_t look(const tf_fanout_t *fanout, uint32_t instrument, bool *delisted,
                              tf_told_t *told)
{
    tf_instrument_view_t view;
    tf_image_result_t result = tf_reader_instrument(fanout->reader, instrument, &view);
    if (result != TF_IMAGE_OK)
        return result;
    *delisted = view.listing == TF_INSTRUMENT_DELISTED;
    *told = fanout->env.view.lost ? tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST)
                                  : tf_told(view.info.state, view.info.reason);
    return result;
}

bool tf_delisting_is(tf_fanout_t *fanout, uint32_t instrument)
{
    bool delisted = false;
    tf_told_t told;
    if (look(fanout, instrument, &delisted, &told) != TF_IMAGE_OK)
        tf_delisting_suspect(fanout, instrument);
    return delisted;
}

/* Frames that bring what the subscription was told up to date, but for data. */
static uint32_t put_told(tf_fanout_t *fanout, tf_subscription_t *sub, tf_stream_t *stream,
                         tf_buf_t *blob)
{
    const tf_frame_t *frame[2];
    uint32_t frames = 0;
    if (sub->generation != stream->generation)
        frame[frames++] = tf_stream_announce(stream, &fanout->env);
    if (sub->told != TF_TOLD_NOTHING && sub->told != stream->told)
        frame[frames++] = tf_stream_market(stream, &fanout->env);
    for (uint32_t i = 0; i < frames; i++) {
        if (frame[i] == NULL) {
            blob->failed = true;
            continue;
        }
        tf_buf_put(blob, frame[i]->data, frame[i]->bytes);
        tf_subscription_apply(sub, frame[i]);
    }
    return frames;
}

/* The number of the market's last trade. The stream itself may not have come to it: what is still
 * in the ring, or waits for the next turn, nobody will get. */
static uint64_t last_trade(tf_fanout_t *fanout, const tf_stream_t *stream)
{
    tf_view_image_t image;
    bool known = tf_view_read(&fanout->env.view, TF_KIND_TRADES, stream->instrument, 0, &image) ==
                     TF_IMAGE_OK &&
                 image.info.seq > stream->seq;
    return known ? image.info.seq : stream->seq;
}

/* No trade is missed in silence. Returns the messages written. */
static uint32_t put_gap(tf_fanout_t *fanout, const tf_subscription_t *sub,
                        const tf_stream_t *stream, tf_buf_t *blob)
{
    tf_buf_t *text = &fanout->env.text;
    if (stream->channel.kind != TF_KIND_TRADES || sub->seq == TF_SEQ_NONE)
        return 0;
    uint64_t last = last_trade(fanout, stream);
    if (sub->seq >= last)
        return 0;
    tf_buf_reset(text);
    tf_json_gap(text, stream->name, stream->name_bytes, false, sub->seq, last, last - sub->seq);
    tf_frame_put_text(blob, text);
    tf_count(fanout->stats, gap_notices_total, 1);
    tf_count(fanout->stats, trades_lost_total, last - sub->seq);
    return 1;
}

/* The last words go like replies, so that a socket that is full now gets them later. */
static void say_goodbye(tf_fanout_t *fanout, tf_connection_t *connection,
                        const tf_subscription_t *sub, tf_stream_t *stream)
{
    tf_stream_env_t *env = &fanout->env;
    tf_buf_t *blob = &fanout->goodbye;
    tf_buf_reset(blob);
    uint32_t frames = 0;
    if (stream->state != TF_STREAM_LOADING) { /* else nothing is known of this epoch */
        tf_subscription_t told = *sub;
        frames = put_told(fanout, &told, stream, blob);
        frames += put_gap(fanout, &told, stream, blob);
    }
    tf_buf_reset(&env->text);
    tf_json_unsubscribed(&env->text, stream->name, stream->name_bytes, TF_RPC_UNKNOWN_INSTRUMENT,
                         why);
    tf_frame_put_text(blob, &env->text);
    connection->messages += frames + 1;
    tf_clients_notify(fanout, connection, blob);
}

static void stream_end(tf_fanout_t *fanout, tf_stream_t *stream, tf_told_t told)
{
    tf_stream_tell(stream, told);
    for (uint32_t left = stream->subscription_count; left > 0; left--) {
        uint32_t index = stream->subscription[left - 1];
        const tf_subscription_t *sub = tf_subscription_at(&fanout->subscriptions, index);
        tf_connection_t *connection = &fanout->connection[sub->connection];
        say_goodbye(fanout, connection, sub, stream);
        tf_count(fanout->stats, subscriptions_ended_total, 1);
        tf_requests_end(fanout, connection, index); /* the last one ends the stream */
        tf_clients_update(fanout, connection);
    }
}

static void market_end(tf_fanout_t *fanout, uint32_t instrument, tf_told_t told)
{
    for (int kind = 0; kind < TF_KIND_COUNT; kind++) {
        const uint32_t *first = &fanout->market[instrument].first_stream[kind];
        while (!tf_kind_of_venue((tf_kind_t)kind) && *first != TF_INDEX_NONE)
            stream_end(fanout, fanout->stream[*first], told);
    }
}

void tf_delisting_end(tf_fanout_t *fanout)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fanout->unsure.count; i++) {
        uint32_t instrument = fanout->unsure.item[i];
        bool delisted;
        tf_told_t told;
        tf_image_result_t result = look(fanout, instrument, &delisted, &told);
        if (result != TF_IMAGE_OK && !fanout->env.view.lost) {
            fanout->unsure.item[kept++] = instrument;
            continue;
        }
        fanout->market[instrument].unsure = false;
        if (result == TF_IMAGE_OK && delisted)
            market_end(fanout, instrument, told);
    }
    fanout->unsure.count = kept;
}
