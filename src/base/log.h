/*
 * log: logfmt lines on stderr, for control-plane events only (start, stop, a link that changed
 * state). Data-plane events are counters. Any thread: one line is one write(2).
 *
 *     tf_log(TF_LOG_INFO, "listening", "url=%s", url);
 *     -> time=2026-07-07T22:58:16.123Z level=info event=listening url=ws://127.0.0.1:9001/v1/ws
 *
 * A value that is not one word of ours, and above all what a peer, a file or an operator wrote,
 * goes through TF_LOG_TEXT(), which quotes it: such a text can neither end its quotes nor forge a
 * value or a line. As a second guard, control bytes in the finished line are replaced by '?'.
 *
 *     tf_log(TF_LOG_WARN, "venue_error", "text=%s", TF_LOG_TEXT(text));
 */
#pragma once

#include <stddef.h>
#include <string.h>

enum { TF_LOG_TEXT_BYTES_MAX = 640 }; /* two and some words fit into a line */

typedef enum tf_log_level {
    TF_LOG_DEBUG,
    TF_LOG_INFO,
    TF_LOG_WARN,
    TF_LOG_ERROR,
    TF_LOG_OFF, /* as a threshold only: nothing is written */
} tf_log_level_t;

/* Lines below `level` are not written. Default TF_LOG_INFO. Set before threads start. */
void tf_log_level_set(tf_log_level_t level);

/* debug, info, warn, error, off; returns 0, or -1 when `text` is none of them (level untouched). */
int tf_log_level_parse(const char *text, tf_log_level_t *level);

/*
 * `text` in double quotes, with " \ and control bytes escaped as in JSON; one that is too long is
 * cut and ends with "...". Returns `out`. The macro's room lives to the end of the enclosing block.
 */
const char *tf_log_text(char out[TF_LOG_TEXT_BYTES_MAX], const char *text, size_t bytes);
#define TF_LOG_BYTES(text, bytes)                                                                  \
    tf_log_text((char[TF_LOG_TEXT_BYTES_MAX]){0}, (text), (size_t)(bytes))
#define TF_LOG_TEXT(text) TF_LOG_BYTES((text), strlen(text))

void tf_log(tf_log_level_t level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
