/*
 * stream_text: a stream's messages as text, in the encoding of its subscribers, and its number.
 * Whoever builds frames of a stream takes their text from here.
 */
#pragma once

#include "fanout/stream.h"

/* A message about the stream's last emitted state. */
tf_message_t tf_stream_message(const tf_stream_t *stream, const tf_stream_env_t *env,
                               tf_message_type_t type);

/* A snapshot of it. */
tf_message_t tf_stream_snapshot_message(const tf_stream_t *stream, const tf_stream_env_t *env,
                                        bool envelope);

/* An update that leads to the image. */
tf_message_t tf_stream_update_message(const tf_stream_t *stream, const tf_stream_env_t *env,
                                      const tf_view_image_t *image, uint64_t prev);

/* Append to env->text: the snapshot of a book, bbo, ticker or list; the state message (text is
 * reset first). */
void tf_stream_put_snapshot(const tf_stream_t *stream, tf_stream_env_t *env, bool envelope);
void tf_stream_put_state(const tf_stream_t *stream, tf_stream_env_t *env);

typedef struct tf_stream_put {
    uint16_t messages;
    uint16_t gaps; /* so many of them */
} tf_stream_put_t;

/*
 * Append to env->blob the messages that bring a subscription at `prev` to the trades numbered first
 * .. first + count - 1: a server gap notice when first > prev + 1, a venue gap notice before each
 * trade whose predecessors the venue never sent, and the trades between.
 */
tf_stream_put_t tf_stream_put_trades(const tf_stream_t *stream, tf_stream_env_t *env, uint64_t prev,
                                     const tf_trade_t *trades, uint64_t first, uint32_t count);

/* The stream's number, the same in every thread and process of an epoch: instrument, kind, depth,
 * rate and scale packed into 40 bits. */
uint64_t tf_stream_sid(const tf_stream_t *stream);
