/*
 * stream_inside: what stream.c (states: book, bbo, ticker), stream_trades.c (each trade is
 * delivered) and stream_list.c (a venue's channels: many small states) share. Nobody else includes
 * this.
 */
#pragma once

#include "fanout/stream.h"
#include "fanout/subscription.h"

/* The last emitted state has changed: what was encoded of it is no longer true. */
void tf_stream_forget_encoded(tf_stream_t *stream);

/* A new scale or epoch: clients are told by an announcement before they get anything under it. */
void tf_stream_new_generation(tf_stream_t *stream);

static inline bool tf_stream_scale_differs(const tf_stream_t *stream, const tf_image_info_t *info)
{
    return stream->px_dp != info->px_dp || stream->sz_dp != info->sz_dp;
}

/* A subscription has 48 bits for a version; more than that no sound writer counts to. */
static inline bool tf_stream_seq_fits(const tf_image_info_t *info)
{
    return info->seq < TF_SEQ_NONE;
}

/* NULL passes through uncounted. */
static inline tf_frame_t *tf_stream_count_encoded(const tf_stream_env_t *env, tf_frame_t *frame)
{
    if (frame != NULL)
        tf_count(env->stats, frames_encoded_total, 1);
    return frame;
}

/* Emit what is pending and what a hole hides; see tf_stream_emit(). */
tf_stream_result_t tf_stream_trades_emit(tf_stream_t *stream, tf_stream_env_t *env,
                                         tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count);

/* The same in the old scale, then the announcement of the image's. */
tf_stream_result_t tf_stream_trades_rescale(tf_stream_t *stream, tf_stream_env_t *env,
                                            const tf_image_info_t *info,
                                            tf_frame_t *out[TF_STREAM_FRAMES_MAX], size_t *count);

/* See tf_stream_since(). */
tf_frame_t *tf_stream_trades_since(tf_stream_t *stream, tf_stream_env_t *env, uint64_t seq);
tf_frame_t *tf_stream_list_since(tf_stream_t *stream, tf_stream_env_t *env, uint64_t seq);

/* Look at the venue's instruments: what differs from the list goes into env->news. False: busy, or
 * memory is short. `info` is as from tf_view_list(). */
bool tf_stream_list_read(tf_stream_t *stream, tf_stream_env_t *env, tf_image_info_t *info);

/* The list is now as it was read; the stream's seq has moved already. */
void tf_stream_list_take(tf_stream_t *stream, const tf_stream_env_t *env);

/* Write to env->text: the list as last emitted; what env->news has. */
void tf_stream_list_put(const tf_stream_t *stream, tf_stream_env_t *env,
                        const tf_message_t *message);
void tf_stream_list_put_news(const tf_stream_t *stream, tf_stream_env_t *env,
                             const tf_message_t *message);

void tf_stream_list_fini(tf_stream_list_t *list);

/* env->text as the one message of a frame; the caller's reference. NULL when memory is short. */
tf_frame_t *tf_stream_frame(tf_stream_env_t *env, tf_frame_type_t type);
