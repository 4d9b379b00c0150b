#include "app/check.h"

#include "app/listen.h"
#include "app/options_table.h"
#include "app/venue_text.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "region/region_file.h"

#include <inttypes.h>
#include <string.h>

/* ---- texts ---- */

static bool is_address(const char *text)
{
    char address[TF_ADDRESS_BYTES_MAX];
    uint16_t port;
    return tf_address_parse("listen", text, address, &port) == TF_OK;
}

static bool is_address_or_off(const char *text)
{
    return strcmp(text, "off") == 0 || is_address(text);
}

static bool is_log_level(const char *text)
{
    tf_log_level_t level;
    return tf_log_level_parse(text, &level) == 0;
}

static bool is_format(const char *text)
{
    return strcmp(text, "text") == 0 || strcmp(text, "json") == 0;
}

static bool is_from(const char *text)
{
    return strcmp(text, "now") == 0 || strcmp(text, "start") == 0;
}

static bool is_times(const char *text)
{
    return strcmp(text, "all") == 0 || strcmp(text, "venue") == 0;
}

static const struct {
    int row;
    bool (*good)(const char *text);
    const char *expected;
} texts[] = {
    {TF_OPTION_ROW_region, tf_region_name_valid, "1 to 63 of A-Z a-z 0-9 _ -"},
    {TF_OPTION_ROW_log_level, is_log_level, "debug, info, warn, error or off"},
    {TF_OPTION_ROW_listen, is_address,
     "a numeric address and a port, as 127.0.0.1:9001 or [::1]:9001"},
    {TF_OPTION_ROW_http, is_address_or_off,
     "a numeric address and a port, as 127.0.0.1:9002 or [::1]:9002, or off"},
    {TF_OPTION_ROW_format, is_format, "text or json"},
    {TF_OPTION_ROW_from, is_from, "now or start"},
    {TF_OPTION_ROW_times, is_times, "all or venue"},
};

static void texts_check(const tf_options_t *options, tf_report_t *report)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const tf_option_row_t *row = &tf_option_rows[texts[i].row];
        const tf_option_value_t *value = tf_option_of(options, row);
        char where[TF_ORIGIN_BYTES_MAX];
        char found[TF_QUOTE_BYTES_MAX];
        if (!texts[i].good(value->text))
            tf_report_add(report, value->origin.line, "%s: found %s, expected %s",
                          tf_option_where(options, row->key, value->origin, true, where),
                          tf_quote(value->text, found), texts[i].expected);
    }
}

/* ---- venues ---- */

static tf_status_t venue_parse(const char *text)
{
    tf_venue_text_t *venue = tf_mem_calloc(1, sizeof *venue);
    if (venue == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory");
    tf_status_t status = tf_venue_text_parse(venue, text);
    tf_mem_free(venue);
    return status;
}

static void venues_check(const tf_options_t *options, tf_report_t *report)
{
    bool needed = ((int)options->command & TF_VENUE_COMMANDS) != 0;
    if (needed && options->venue_count == 0 && report->count == 0) /* else: perhaps the reason */
        tf_report_add(report, 0,
                      "venue: found none, expected at least one: --venue sim, or a list "
                      "\"venue\" in the configuration file, or TICKFAN_VENUE");
    for (uint32_t i = 0; i < options->venue_count; i++) {
        const char *text = options->venue[i];
        char where[TF_ORIGIN_BYTES_MAX];
        char found[TF_QUOTE_BYTES_MAX];
        if (venue_parse(text) != TF_OK)
            tf_report_add(report, options->venue_origin[i].line, "%s: found %s: %s",
                          tf_option_where(options, "venue", options->venue_origin[i], true, where),
                          tf_quote(text, found), tf_error_text());
    }
}

void tf_check(const tf_options_t *options, tf_report_t *report)
{
    texts_check(options, report);
    venues_check(options, report);
}

/* ---- output ---- */

/* A JSON string is a YAML text in double quotes; quoted, so that no reader takes off for false. */
static void text_print(FILE *file, const char *text)
{
    tf_buf_t buf = {0};
    tf_buf_json_string(&buf, text, strlen(text));
    if (tf_buf_ok(&buf))
        (void)fwrite(buf.data, 1, buf.bytes, file);
    tf_buf_fini(&buf);
}

/* "# tickfan.yaml:7" to the end of the line; a line end in a path must not end the comment. */
static void origin_print(FILE *file, const tf_options_t *options, const char *key,
                         tf_origin_t origin)
{
    char where[TF_ORIGIN_BYTES_MAX];
    (void)tf_option_where(options, key, origin, false, where);
    for (char *at = where; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            *at = '?';
    }
    (void)fprintf(file, "  # %s\n", where);
}

static void venues_print(const tf_options_t *options, FILE *file)
{
    (void)fputs("\n# where data comes from\n", file);
    (void)fputs(options->venue_count > 0 ? "venue:\n" : "venue: []  # default\n", file);
    for (uint32_t i = 0; i < options->venue_count; i++) {
        (void)fputs("  - ", file);
        text_print(file, options->venue[i]);
        origin_print(file, options, "venue", options->venue_origin[i]);
    }
}

static void row_print(const tf_options_t *options, const tf_option_row_t *row, FILE *file)
{
    const tf_option_value_t *value = tf_option_of(options, row);
    (void)fprintf(file, "# %s\n%s: ", row->help, row->key);
    if (row->type == TF_TYPE_TEXT)
        text_print(file, value->text);
    else
        (void)fprintf(file, "%" PRId64, value->number);
    origin_print(file, options, row->key, value->origin);
}

void tf_check_print(const tf_options_t *options, FILE *file)
{
    (void)fprintf(file, "# The configuration that tickfan would run with, and where each value is "
                        "from.\n# It is a configuration file itself: --config FILE reads it.\n");
    venues_print(options, file);
    const tf_option_row_t *row = tf_option_rows;
#define TF_GROUP(title) (void)fputs("\n# ---- " title " ----\n", file);
#define TF_OPTION(...)  row_print(options, row++, file);
#include "app/options.def"
#undef TF_OPTION
}
