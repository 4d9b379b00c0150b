#include "app/check.h"

#include "app/listen.h"
#include "app/options_table.h"
#include "app/venue_text.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "region/region_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* serve would find out as well, but only with its region made. */
static tf_status_t file_check(const char *path)
{
    struct stat file;
    if (access(path, R_OK) != 0 || stat(path, &file) != 0)
        return tf_error(TF_ERR_ARG, "%s: %s", path, strerrordesc_np(errno));
    if (S_ISDIR(file.st_mode))
        return tf_error(TF_ERR_ARG, "%s: %s", path, strerrordesc_np(EISDIR));
    return TF_OK;
}

/* What a venue needs from this host and from the region. */
static tf_status_t needs_check(const tf_venue_text_t *venue, const tf_options_t *options)
{
    if (venue->form == TF_VENUE_REPLAY)
        return file_check(venue->replay.path);
    if (venue->form == TF_VENUE_LIVE)
        return venue->live.ca_path != NULL ? file_check(venue->live.ca_path) : TF_OK;
    if ((int64_t)venue->sim.instruments > options->instruments_max.number)
        return tf_error(TF_ERR_ARG,
                        "instruments=%" PRIu32 " and instruments_max is %" PRId64
                        ": raise it, or lower instruments",
                        venue->sim.instruments, options->instruments_max.number);
    return TF_OK;
}

/* A file is looked at only by who takes in venues: one configuration serves all commands, and tap
 * or fanout may run where the recordings are not. */
static tf_status_t venue_check(const tf_options_t *options, const char *text)
{
    tf_venue_text_t *venue = tf_mem_calloc(1, sizeof *venue);
    if (venue == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory");
    tf_status_t status = tf_venue_text_parse(venue, text);
    if (status == TF_OK && tf_command_takes(options->command, TF_VENUE_COMMANDS))
        status = needs_check(venue, options);
    tf_mem_free(venue);
    return status;
}

/* The venue of this name that was given before venue `i`; NULL when there is none. */
static const char *same_venue(const tf_options_t *options, uint32_t i)
{
    char name[TF_VENUE_BYTES_MAX];
    char before[TF_VENUE_BYTES_MAX];
    tf_venue_name(options->venue[i], name);
    for (uint32_t j = 0; j < i; j++) {
        tf_venue_name(options->venue[j], before);
        if (strcmp(before, name) == 0)
            return options->venue[j];
    }
    return NULL;
}

static void venues_check(const tf_options_t *options, tf_report_t *report)
{
    bool needed = ((int)options->command & TF_VENUE_COMMANDS) != 0;
    if (needed && options->venue_count == 0 && report->count == 0) /* else: perhaps the reason */
        tf_report_add(report, 0,
                      "venue: found none, expected at least one: --venue sim, or a list "
                      "\"venue\" in the configuration file, or TICKFAN_VENUE");
    for (uint32_t i = 0; i < options->venue_count; i++) {
        static const char expected[] = "expected ";
        const char *text = options->venue[i];
        tf_origin_t origin = options->venue_origin[i];
        const char *first = same_venue(options, i);
        char where[TF_ORIGIN_BYTES_MAX];
        char found[TF_QUOTE_BYTES_MAX];
        char other[TF_QUOTE_BYTES_MAX];
        (void)tf_option_where(options, "venue", origin, true, where);
        (void)tf_quote(text, found);
        if (venue_check(options, text) != TF_OK)
            tf_report_add(report, origin.line, "%s: found %s%s %s", where, found,
                          strncmp(tf_error_text(), expected, sizeof expected - 1) == 0 ? "," : ":",
                          tf_error_text());
        else if (first != NULL)
            tf_report_add(report, origin.line, "%s: found %s after %s: a venue can be given once",
                          where, found, tf_quote(first, other));
    }
}

/* ---- values that must fit together ---- */

/* Tell it of `row` when that was given, or else of the other one. */
static void pair_bad(const tf_options_t *options, int row, int other, const char *than_other,
                     const char *than_row, tf_report_t *report)
{
    const char *than = than_other;
    if (tf_option_of(options, &tf_option_rows[row])->origin.given == TF_GIVEN_NOWHERE) {
        int swap = row;
        row = other;
        other = swap;
        than = than_row;
    }
    const tf_option_value_t *value[] = {tf_option_of(options, &tf_option_rows[row]),
                                        tf_option_of(options, &tf_option_rows[other])};
    char text[2][TF_QUOTE_BYTES_MAX];
    for (int i = 0; i < 2; i++) {
        if (tf_option_rows[row].type == TF_TYPE_TEXT)
            (void)tf_quote(value[i]->text, text[i]);
        else
            (void)snprintf(text[i], sizeof text[i], "%" PRId64, value[i]->number);
    }
    char where[TF_ORIGIN_BYTES_MAX];
    tf_report_add(report, value[0]->origin.line, "%s: found %s, expected %s %s, which is %s",
                  tf_option_where(options, tf_option_rows[row].key, value[0]->origin, true, where),
                  text[0], than, tf_option_rows[other].key, text[1]);
}

/* Can't both be listened on at one port? [::] is all addresses of both families. */
static bool overlap(const char *a, const char *b)
{
    bool v6[] = {strchr(a, ':') != NULL, strchr(b, ':') != NULL};
    if (strcmp(a, "::") == 0 || strcmp(b, "::") == 0)
        return true;
    if (v6[0] || v6[1])
        return strcmp(a, b) == 0;
    return strcmp(a, "0.0.0.0") == 0 || strcmp(b, "0.0.0.0") == 0 || strcmp(a, b) == 0;
}

static bool same_socket(const char *a, const char *b)
{
    char address[2][TF_ADDRESS_BYTES_MAX];
    uint16_t port[2];
    return tf_address_parse("listen", a, address[0], &port[0]) == TF_OK &&
           tf_address_parse("http", b, address[1], &port[1]) == TF_OK && port[0] != 0 &&
           port[0] == port[1] && overlap(address[0], address[1]);
}

static void pairs_check(const tf_options_t *options, tf_report_t *report)
{
    if (tf_command_takes(options->command, tf_option_rows[TF_OPTION_ROW_listen].commands) &&
        same_socket(options->listen.text, options->http.text))
        pair_bad(options, TF_OPTION_ROW_http, TF_OPTION_ROW_listen, "another port than",
                 "another port than", report);
    if (options->pong_timeout_ms.number <= options->ping_ms.number)
        pair_bad(options, TF_OPTION_ROW_pong_timeout_ms, TF_OPTION_ROW_ping_ms, "more than",
                 "less than", report);
}

void tf_check(const tf_options_t *options, tf_report_t *report)
{
    texts_check(options, report);
    pairs_check(options, report);
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
    if (options->venue_count == 0)
        (void)fputs("# none is given: serve and ingest need one, as [sim]\n", file);
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
