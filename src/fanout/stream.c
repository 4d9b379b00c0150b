#include "fanout/stream.h"

#include "base/mem.h"
#include "fanout/difference.h"
#include "fanout/stream_inside.h"
#include "fanout/stream_text.h"
#include "market/checksum.h"

#include <string.h>

/* ---- scratch ---- */

bool tf_stream_env_init(tf_stream_env_t *env, tf_reader_t *reader, tf_stats_t *stats)
{
    size_t depth = tf_reader_image_depth(reader);
    *env = (tf_stream_env_t){.stats = stats};
    if (!tf_view_init(&env->view, reader))
        return false;
    for (int side = 0; side < 2; side++)
        env->change[side] = tf_mem_calloc(2 * depth, sizeof(tf_level_t));
    if (env->change[0] == NULL || env->change[1] == NULL) {
        tf_stream_env_fini(env);
        return false;
    }
    return true;
}

void tf_stream_env_fini(tf_stream_env_t *env)
{
    for (int side = 0; side < 2; side++)
        tf_mem_free(env->change[side]);
    tf_mem_free(env->news.change);
    tf_buf_fini(&env->text);
    tf_buf_fini(&env->blob);
    tf_view_fini(&env->view);
    *env = (tf_stream_env_t){0};
}

/* ---- life ---- */

static void kind_fini(tf_stream_t *stream)
{
    if (stream->channel.kind == TF_KIND_BOOK) {
        tf_mem_free(stream->book.side[0]);
        tf_mem_free(stream->book.side[1]);
        stream->book = (tf_stream_book_t){0};
    } else if (stream->channel.kind == TF_KIND_TRADES) {
        tf_mem_free(stream->trades.pending);
        stream->trades = (tf_stream_trades_t){0};
    } else if (tf_kind_of_venue(stream->channel.kind)) {
        tf_stream_list_fini(&stream->list);
    }
}

static bool book_init(tf_stream_t *stream, const tf_stream_env_t *env)
{
    stream->book = (tf_stream_book_t){.depth = tf_view_depth(&env->view, &stream->channel)};
    for (int side = 0; side < 2; side++) {
        stream->book.side[side] = tf_mem_calloc(stream->book.depth, sizeof(tf_level_t));
        if (stream->book.side[side] == NULL) {
            kind_fini(stream);
            return false;
        }
    }
    return true;
}

/* A book has memory for its levels, now if not before. */
static bool book_ready(tf_stream_t *stream, const tf_stream_env_t *env)
{
    return stream->channel.kind != TF_KIND_BOOK || stream->book.depth > 0 || book_init(stream, env);
}

void tf_stream_forget_encoded(tf_stream_t *stream)
{
    tf_frame_unref(stream->snapshot);
    tf_frame_unref(stream->market);
    stream->snapshot = NULL;
    stream->market = NULL;
}

void tf_stream_new_generation(tf_stream_t *stream)
{
    stream->generation++;
    if (stream->channel.kind != TF_KIND_TRADES)
        stream->base_generation = stream->generation;
    tf_frame_unref(stream->announce);
    stream->announce = NULL;
    tf_stream_forget_encoded(stream);
}

bool tf_stream_init(tf_stream_t *stream, const tf_stream_env_t *env, const tf_channel_t *channel,
                    uint32_t instrument)
{
    *stream = (tf_stream_t){.channel = *channel,
                            .instrument = instrument,
                            .state = TF_STREAM_LOADING,
                            .told = TF_TOLD_NOTHING};
    tf_buf_t name = {0};
    tf_channel_write(&name, channel);
    if (!tf_buf_ok(&name)) {
        tf_buf_fini(&name);
        return false;
    }
    stream->name = name.data; /* the buffer's memory moves here */
    stream->name_bytes = (uint32_t)name.bytes;
    if (!book_ready(stream, env)) {
        tf_stream_fini(stream);
        return false;
    }
    return true;
}

void tf_stream_fini(tf_stream_t *stream)
{
    kind_fini(stream);
    tf_stream_forget_encoded(stream);
    tf_frame_unref(stream->announce);
    tf_mem_free(stream->name);
    tf_mem_free(stream->subscription);
    *stream = (tf_stream_t){0};
}

void tf_stream_reset(tf_stream_t *stream, uint32_t instrument)
{
    kind_fini(stream); /* a book gets its memory when it is loaded, when there is some */
    tf_stream_new_generation(stream);
    stream->base_generation = stream->generation;
    stream->state = TF_STREAM_LOADING;
    stream->instrument = instrument;
    stream->seq = 0;
    stream->told = tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST);
}

/* ---- what the image says now ---- */

static tf_told_t told_now(const tf_stream_env_t *env, const tf_image_info_t *info)
{
    return env->view.lost ? tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST)
                          : tf_told(info->state, info->reason);
}

static void take_info(tf_stream_t *stream, const tf_image_info_t *info)
{
    stream->seq = info->seq;
    stream->te_ns = info->te_ns;
    stream->ti_ns = info->ti_ns;
    stream->tp_ns = info->tp_ns;
    stream->px_dp = info->px_dp;
    stream->sz_dp = info->sz_dp;
}

static bool image_read(tf_stream_t *stream, tf_stream_env_t *env, tf_view_image_t *image)
{
    if (tf_kind_of_venue(stream->channel.kind))
        return tf_stream_list_read(stream, env, &image->info);
    uint32_t depth = stream->channel.kind == TF_KIND_BOOK ? stream->book.depth : 0;
    tf_image_result_t result =
        tf_view_read(&env->view, stream->channel.kind, stream->instrument, depth, image);
    if (result == TF_IMAGE_BUSY)
        tf_count(env->stats, image_busy_total, 1);
    return result == TF_IMAGE_OK && tf_stream_seq_fits(&image->info);
}

static void take_data(tf_stream_t *stream, tf_stream_env_t *env, const tf_view_image_t *image)
{
    switch (stream->channel.kind) {
    case TF_KIND_TICKER:
        stream->ticker = image->ticker;
        break;
    case TF_KIND_BBO:
        stream->bbo = image->bbo;
        break;
    case TF_KIND_BOOK:
        for (int side = 0; side < 2; side++) {
            stream->book.count[side] = image->count[side];
            memcpy(stream->book.side[side], env->view.level[side],
                   image->count[side] * sizeof(tf_level_t));
        }
        break;
    case TF_KIND_INSTRUMENTS:
    case TF_KIND_STATUS:
        tf_stream_list_take(stream, env);
        break;
    case TF_KIND_TRADES: /* emitted trades are not kept: the image's history has them */
    case TF_KIND_COUNT:
        break;
    }
}

static bool data_same(const tf_stream_t *stream, const tf_view_image_t *image)
{
    if (stream->channel.kind == TF_KIND_TICKER)
        return memcmp(&stream->ticker, &image->ticker, sizeof image->ticker) == 0;
    return memcmp(&stream->bbo, &image->bbo, sizeof image->bbo) == 0;
}

/* ---- frames ---- */

tf_frame_t *tf_stream_frame(tf_stream_env_t *env, tf_frame_type_t type)
{
    tf_buf_reset(&env->blob);
    tf_frame_put_text(&env->blob, &env->text);
    return tf_frame_create(type, &env->blob);
}

/* A subscriber's first message of trades: the last ones up to the stream's seq. */
static bool trades_text(const tf_stream_t *stream, tf_stream_env_t *env, bool envelope)
{
    tf_image_info_t info;
    uint64_t first = 0;
    uint32_t count = 0;
    if (stream->seq > 0) {
        uint64_t from =
            stream->seq >= TF_VIEW_TRADES_JOIN ? stream->seq - TF_VIEW_TRADES_JOIN + 1 : 1;
        if (tf_reader_trades(env->view.reader, stream->instrument, from, stream->seq, &info,
                             env->view.trade, TF_VIEW_TRADES_JOIN, &first, &count) != TF_IMAGE_OK ||
            tf_stream_scale_differs(stream, &info))
            return false;
    }
    tf_message_t message = tf_stream_snapshot_message(stream, env, envelope);
    tf_json_trades(&env->text, &message, env->view.trade, count);
    return true;
}

static bool snapshot_text(const tf_stream_t *stream, tf_stream_env_t *env, bool envelope)
{
    tf_buf_reset(&env->text);
    if (stream->channel.kind == TF_KIND_TRADES)
        return trades_text(stream, env, envelope);
    tf_stream_put_snapshot(stream, env, envelope);
    return true;
}

tf_frame_t *tf_stream_snapshot(tf_stream_t *stream, tf_stream_env_t *env)
{
    if (stream->state == TF_STREAM_LOADING)
        return NULL;
    if (stream->snapshot == NULL && snapshot_text(stream, env, true)) {
        stream->snapshot = tf_stream_frame(env, TF_FRAME_SNAPSHOT);
        if (stream->snapshot != NULL) {
            stream->snapshot->seq = stream->seq;
            stream->snapshot->told = stream->told;
            tf_count(env->stats, snapshots_encoded_total, 1);
        }
    }
    return stream->snapshot;
}

void tf_stream_tell(tf_stream_t *stream, tf_told_t told)
{
    if (stream->told == told)
        return;
    stream->told = told;
    tf_stream_forget_encoded(stream);
}

tf_frame_t *tf_stream_announce(tf_stream_t *stream, tf_stream_env_t *env)
{
    if (stream->announce == NULL) {
        tf_subscribed_t entry;
        tf_stream_describe(stream, env, &entry);
        tf_buf_reset(&env->text);
        tf_json_subscribed(&env->text, &entry);
        stream->announce = tf_stream_frame(env, TF_FRAME_ANNOUNCE);
        if (stream->announce != NULL) {
            stream->announce->generation = stream->generation;
            stream->announce->base_generation = stream->base_generation;
        }
    }
    return stream->announce;
}

tf_frame_t *tf_stream_market(tf_stream_t *stream, tf_stream_env_t *env)
{
    if (stream->market == NULL) {
        tf_stream_put_state(stream, env);
        stream->market = tf_stream_frame(env, TF_FRAME_STATE);
        if (stream->market != NULL)
            stream->market->told = stream->told;
    }
    return stream->market;
}

tf_frame_t *tf_stream_lag(const tf_stream_t *stream, tf_stream_env_t *env, uint64_t from)
{
    tf_buf_reset(&env->text);
    tf_json_lag(&env->text, stream->name, stream->name_bytes, "conflate", from, stream->seq,
                stream->seq - from);
    return tf_stream_frame(env, TF_FRAME_NOTICE);
}

/* ---- emission ---- */

/* Where clients truncate. What the image dropped above that rank they have to be told. */
static uint32_t truncation(const tf_stream_t *stream)
{
    return stream->channel.depth == TF_DEPTH_FULL ? stream->book.depth : stream->channel.depth;
}

/* The difference from the stream's book to the image's in env->view.level; NULL with *nothing when
 * no level differs. */
static tf_frame_t *book_update(tf_stream_t *stream, tf_stream_env_t *env,
                               const tf_view_image_t *image, bool *nothing)
{
    size_t changes[2];
    for (int side = 0; side < 2; side++)
        changes[side] = tf_difference((tf_side_t)side, truncation(stream), stream->book.side[side],
                                      stream->book.count[side], env->view.level[side],
                                      image->count[side], env->change[side]);
    *nothing = changes[0] + changes[1] == 0;
    if (*nothing)
        return NULL;
    uint64_t prev = stream->seq;
    tf_message_t message = tf_stream_update_message(stream, env, image, prev);
    message.has_cs = true;
    message.cs = tf_book_checksum(env->view.level[0], image->count[0], env->view.level[1],
                                  image->count[1], image->info.px_dp, image->info.sz_dp);
    tf_buf_reset(&env->text);
    tf_json_book(&env->text, &message, env->change[0], changes[0], env->change[1], changes[1]);
    tf_frame_t *frame = tf_stream_frame(env, TF_FRAME_UPDATE);
    if (frame != NULL)
        frame->prev = prev;
    return frame;
}

static tf_frame_t *list_update(tf_stream_t *stream, tf_stream_env_t *env,
                               const tf_view_image_t *image, bool *nothing)
{
    *nothing = env->news.count == 0;
    if (*nothing)
        return NULL;
    tf_message_t message = tf_stream_update_message(stream, env, image, stream->seq);
    tf_stream_list_put_news(stream, env, &message);
    tf_frame_t *frame = tf_stream_frame(env, TF_FRAME_UPDATE);
    if (frame != NULL)
        frame->prev = stream->seq;
    return frame;
}

static tf_frame_t *latest(tf_stream_t *stream, tf_stream_env_t *env, const tf_view_image_t *image,
                          bool *nothing)
{
    *nothing = data_same(stream, image);
    if (*nothing)
        return NULL;
    tf_message_t message = tf_stream_update_message(stream, env, image, 0);
    message.has_prev = false;
    tf_buf_reset(&env->text);
    if (stream->channel.kind == TF_KIND_TICKER)
        tf_json_ticker(&env->text, &message, &image->ticker);
    else
        tf_json_bbo(&env->text, &message, &image->bbo);
    return tf_stream_frame(env, TF_FRAME_LATEST);
}

/* Nothing older is comparable: take the image as it is and tell everybody. */
static tf_stream_result_t emit_reset(tf_stream_t *stream, tf_stream_env_t *env,
                                     const tf_view_image_t *image,
                                     tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    if (tf_stream_scale_differs(stream, &image->info))
        tf_stream_new_generation(stream);
    tf_stream_forget_encoded(stream);
    take_info(stream, &image->info);
    take_data(stream, env, image);
    if (stream->channel.kind == TF_KIND_TRADES)
        stream->trades.count = 0;
    stream->told = told_now(env, &image->info);
    stream->state = TF_STREAM_READY;
    tf_frame_t *frames[3] = {tf_stream_announce(stream, env), tf_stream_market(stream, env),
                             tf_stream_snapshot(stream, env)};
    for (size_t i = 0; i < 3; i++) {
        if (frames[i] == NULL)
            return TF_STREAM_MISSED;
        out[(*count)++] = tf_frame_ref(frames[i]);
    }
    return TF_STREAM_OK;
}

/* Is the image no continuation of what was emitted? */
static bool needs_reset(const tf_stream_t *stream, const tf_image_info_t *info)
{
    if (stream->state == TF_STREAM_LOADING)
        return true;
    return stream->channel.kind != TF_KIND_TRADES &&
           (tf_stream_scale_differs(stream, info) || info->base_seq > stream->seq);
}

static tf_frame_t *update(tf_stream_t *stream, tf_stream_env_t *env, const tf_view_image_t *image,
                          bool *nothing)
{
    if (stream->channel.kind == TF_KIND_BOOK)
        return book_update(stream, env, image, nothing);
    if (tf_kind_of_venue(stream->channel.kind))
        return list_update(stream, env, image, nothing);
    return latest(stream, env, image, nothing);
}

static tf_stream_result_t emit_data(tf_stream_t *stream, tf_stream_env_t *env,
                                    const tf_view_image_t *image,
                                    tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    if (image->info.seq == stream->seq)
        return TF_STREAM_OK;
    bool nothing = false;
    tf_frame_t *frame = update(stream, env, image, &nothing);
    if (nothing)
        return TF_STREAM_OK;
    if (tf_stream_count_encoded(env, frame) == NULL)
        return TF_STREAM_AGAIN;
    tf_stream_forget_encoded(stream);
    take_info(stream, &image->info);
    take_data(stream, env, image);
    frame->seq = stream->seq;
    out[(*count)++] = frame;
    return TF_STREAM_OK;
}

/* Before any data: a change of the market's state. False: memory is short. */
static bool emit_told(tf_stream_t *stream, tf_stream_env_t *env, tf_told_t told,
                      tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    tf_told_t before = stream->told;
    if (told == before)
        return true;
    stream->told = told;
    tf_stream_forget_encoded(stream);
    tf_frame_t *market = tf_stream_market(stream, env);
    if (market == NULL)
        stream->told = before; /* nobody was told: next turn */
    else
        out[(*count)++] = tf_frame_ref(market);
    return market != NULL;
}

/* An entry that a dead writer left half written can't be read before there is a new writer, and is
 * not tried again until then: its clients are told that the market is lost. */
static tf_stream_result_t emit_lost(tf_stream_t *stream, tf_stream_env_t *env,
                                    tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    tf_told_t lost = tf_told(TF_STATE_STALE, TF_REASON_INGEST_LOST);
    if (stream->state == TF_STREAM_READY)
        return emit_told(stream, env, lost, out, count) ? TF_STREAM_OK : TF_STREAM_AGAIN;
    tf_stream_forget_encoded(stream);
    stream->told = lost;
    return TF_STREAM_OK;
}

tf_stream_result_t tf_stream_emit(tf_stream_t *stream, tf_stream_env_t *env,
                                  tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count)
{
    *count = 0;
    tf_view_image_t image = {0};
    if (!book_ready(stream, env))
        return TF_STREAM_AGAIN;
    if (!image_read(stream, env, &image))
        return env->view.lost ? emit_lost(stream, env, out, count) : TF_STREAM_AGAIN;
    if (needs_reset(stream, &image.info))
        return emit_reset(stream, env, &image, out, count);
    if (!emit_told(stream, env, told_now(env, &image.info), out, count))
        return TF_STREAM_AGAIN;
    if (stream->channel.kind == TF_KIND_TRADES && tf_stream_scale_differs(stream, &image.info)) {
        tf_stream_result_t result = tf_stream_trades_rescale(stream, env, &image.info, out, count);
        if (result != TF_STREAM_OK)
            return result;
    }
    return stream->channel.kind == TF_KIND_TRADES ? tf_stream_trades_emit(stream, env, out, count)
                                                  : emit_data(stream, env, &image, out, count);
}

/* ---- catching up ---- */

bool tf_stream_remembers(const tf_stream_t *stream, uint64_t seq)
{
    if (seq >= stream->seq) /* also TF_SEQ_NONE */
        return false;
    return stream->channel.kind == TF_KIND_TRADES || tf_kind_of_venue(stream->channel.kind);
}

tf_frame_t *tf_stream_since(tf_stream_t *stream, tf_stream_env_t *env, uint64_t seq)
{
    TF_ASSERT(tf_stream_remembers(stream, seq));
    return stream->channel.kind == TF_KIND_TRADES ? tf_stream_trades_since(stream, env, seq)
                                                  : tf_stream_list_since(stream, env, seq);
}

/* ---- answers to requests ---- */

bool tf_stream_expect(tf_stream_t *stream, const tf_stream_env_t *env)
{
    tf_instrument_view_t view;
    TF_ASSERT(stream->state == TF_STREAM_LOADING);
    if (tf_kind_of_venue(stream->channel.kind))
        return true;
    if (tf_reader_instrument(env->view.reader, stream->instrument, &view) != TF_IMAGE_OK)
        return false;
    if (stream->px_dp != view.info.px_dp || stream->sz_dp != view.info.sz_dp)
        tf_stream_new_generation(stream);
    stream->px_dp = view.info.px_dp;
    stream->sz_dp = view.info.sz_dp;
    return true;
}

void tf_stream_describe(const tf_stream_t *stream, const tf_stream_env_t *env,
                        tf_subscribed_t *entry)
{
    *entry = (tf_subscribed_t){.channel = stream->name,
                               .channel_bytes = stream->name_bytes,
                               .epoch = env->view.epoch,
                               .no_sid = stream->instrument == TF_INSTRUMENT_NONE,
                               .sid = tf_stream_sid(stream),
                               .seq = stream->seq,
                               .has_scale = !tf_kind_of_venue(stream->channel.kind),
                               .px_dp = stream->px_dp,
                               .sz_dp = stream->sz_dp};
    if (stream->channel.kind == TF_KIND_BOOK && stream->channel.depth == TF_DEPTH_FULL)
        entry->depth_max = tf_view_depth(&env->view, &stream->channel);
}
