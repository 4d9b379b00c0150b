#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 2048 };

static tf_log_level_t threshold = TF_LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

void tf_log_level_set(tf_log_level_t level)
{
    threshold = level;
}

int tf_log_level_parse(const char *text, tf_log_level_t *level)
{
    for (int i = TF_LOG_DEBUG; i <= TF_LOG_OFF; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (tf_log_level_t)i;
            return 0;
        }
    }
    return -1;
}

static size_t prefix_write(char *line, size_t room, tf_log_level_t level, const char *event)
{
    int64_t wall_ns = tf_clock_wall_ns(&tf_clock_system);
    time_t seconds = (time_t)(wall_ns / TF_NS_PER_S);
    struct tm utc;
    char stamp[32];
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    int used = snprintf(line, room, "time=%s.%03dZ level=%s event=%s ", stamp,
                        (int)(wall_ns % TF_NS_PER_S / TF_NS_PER_MS), level_names[level], event);
    return used < 0 ? 0 : (size_t)used;
}

const char *tf_log_text(char out[TF_LOG_TEXT_BYTES_MAX], const char *text, size_t bytes)
{
    enum { PIECE_BYTES_MAX = 8, END_BYTES = 5 }; /* \u001f and its end; ..." and its end */
    size_t used = 0;
    size_t at = 0;
    out[used++] = '"';
    for (; at < bytes && used + PIECE_BYTES_MAX + END_BYTES <= TF_LOG_TEXT_BYTES_MAX; at++) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x20 || byte == 0x7f) {
            used += (size_t)snprintf(out + used, PIECE_BYTES_MAX, "\\u%04x", byte);
            continue;
        }
        if (byte == '"' || byte == '\\')
            out[used++] = '\\';
        out[used++] = (char)byte;
    }
    (void)snprintf(out + used, END_BYTES, "%s\"", at < bytes ? "..." : "");
    return out;
}

void tf_log(tf_log_level_t level, const char *event, const char *format, ...)
{
    if (level < threshold || level >= TF_LOG_OFF)
        return;
    char line[LINE_BYTES];
    size_t used = prefix_write(line, sizeof line, level, event);
    va_list args;
    va_start(args, format);
    int added = vsnprintf(line + used, sizeof line - used, format, args);
    va_end(args);
    if (added > 0)
        used += (size_t)added;
    if (used > sizeof line - 1)
        used = sizeof line - 1;
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nobody left to tell */
}
