/*
 * stream_inside: what stream.c (states: book, bbo, ticker) and stream_trades.c (the one kind that
 * is a list) share. Nobody else includes this.
 */
#pragma once

#include "fanout/stream.h"

/* The last emitted state has changed: what was encoded of it is no longer true. */
void tf_stream_forget_encoded(tf_stream_t *stream);

/* A new scale or epoch: clients are told by an announcement before they get anything under it. */
void tf_stream_new_generation(tf_stream_t *stream);

static inline bool tf_stream_scale_differs(const tf_stream_t *stream, const tf_image_info_t *info)
{
    return stream->px_dp != info->px_dp || stream->sz_dp != info->sz_dp;
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
