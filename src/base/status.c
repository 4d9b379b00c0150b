#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TRAIL_BYTES = 1024 };

static _Thread_local char trail[TRAIL_BYTES];

const char *tf_status_text(tf_status_t status)
{
    switch (status) {
#define TF_STATUS_CASE(name, value, text)                                                          \
    case name:                                                                                     \
        return text;
        TF_STATUS_LIST(TF_STATUS_CASE)
#undef TF_STATUS_CASE
    }
    return "unknown status";
}

tf_status_t tf_error(tf_status_t status, const char *format, ...)
{
    char text[TRAIL_BYTES]; /* an argument may be the trail itself */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(trail, text, sizeof trail);
    return status;
}

tf_status_t tf_error_within(tf_status_t status, const char *format, ...)
{
    char inner[TRAIL_BYTES];
    memcpy(inner, trail, sizeof inner);
    char context[TRAIL_BYTES / 4]; /* a long context must not push the cause out */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(context, sizeof context, format, args);
    va_end(args);
    (void)snprintf(trail, sizeof trail, "%s: %.*s", context, TRAIL_BYTES * 3 / 4 - 3, inner);
    return status;
}

const char *tf_error_text(void)
{
    return trail;
}
