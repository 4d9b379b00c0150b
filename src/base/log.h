/*
 * log: logfmt lines on stderr, for control-plane events only (start, stop, a link that changed
 * state). Data-plane events are counters. Any thread: one line is one write(2).
 *
 *     tf_log(TF_LOG_INFO, "listening", "url=%s", url);
 *     -> time=2026-07-07T22:58:16.123Z level=info event=listening url=ws://127.0.0.1:9001/v1/ws
 *
 * Quote values that may hold spaces with \"%s\" in the format; control bytes in the finished line
 * are replaced by '?', so a venue's text cannot forge a line.
 */
#pragma once

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

void tf_log(tf_log_level_t level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
