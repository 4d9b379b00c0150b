#include "config/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

enum { TEXT_BYTES_SHOWN = 64, PATH_BYTES_SHOWN = 256 };

/* Every byte may need the four of \xNN; two quotes, "..." and the NUL. */
_Static_assert(TEXT_BYTES_SHOWN * 4 + 6 <= TF_QUOTE_BYTES_MAX, "a quote has room");

void tf_report_add(tf_report_t *report, uint32_t at, const char *format, ...)
{
    if (report->count < TF_REPORT_LINES_MAX) {
        report->at[report->count] = at;
        va_list args;
        va_start(args, format);
        (void)vsnprintf(report->line[report->count], TF_REPORT_LINE_BYTES_MAX, format, args);
        va_end(args);
    }
    report->count++;
}

void tf_report_print(const tf_report_t *report, FILE *file)
{
    uint32_t kept = report->count < TF_REPORT_LINES_MAX ? report->count : TF_REPORT_LINES_MAX;
    bool printed[TF_REPORT_LINES_MAX] = {false};
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t first = kept;
        for (uint32_t j = 0; j < kept; j++) {
            if (!printed[j] && (first == kept || report->at[j] < report->at[first]))
                first = j;
        }
        printed[first] = true;
        (void)fprintf(file, "%s\n", report->line[first]);
    }
    if (report->count > TF_REPORT_LINES_MAX)
        (void)fprintf(file, "... and %" PRIu32 " more\n", report->count - TF_REPORT_LINES_MAX);
}

const char *tf_quote(const char *text, char out[TF_QUOTE_BYTES_MAX])
{
    size_t bytes = strlen(text);
    size_t shown = bytes <= TEXT_BYTES_SHOWN ? bytes : TEXT_BYTES_SHOWN;
    /* A UTF-8 character is shown whole or not at all. */
    while (shown < bytes && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    char *at = out;
    *at++ = '"';
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f)
            at += snprintf(at, 5, "\\x%02x", byte);
        else
            *at++ = text[i];
    }
    (void)snprintf(at, 5, "%s\"", shown < bytes ? "..." : "");
    return out;
}

const char *tf_path_end(const char *path)
{
    size_t bytes = strlen(path);
    return bytes <= PATH_BYTES_SHOWN ? path : path + bytes - PATH_BYTES_SHOWN;
}
