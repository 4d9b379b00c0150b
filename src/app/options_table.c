#include "app/options_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    S = TF_COMMAND_SERVE,
    I = TF_COMMAND_INGEST,
    F = TF_COMMAND_FANOUT,
    T = TF_COMMAND_TAP,
};

const tf_option_row_t tf_option_rows[TF_OPTION_ROWS] = {
#define TF_OPTION(field, flag, type, commands, least, most, fallback, help)                        \
    {#field,   flag,  TF_TYPE_##type,                                                              \
     commands, least, most,                                                                        \
     fallback, help,  offsetof(tf_options_t, field)},
#include "app/options.def"
#undef TF_OPTION
};

/* ---- names ---- */

const tf_option_row_t *tf_option_by_flag(const char *flag, size_t bytes)
{
    for (int i = 0; i < TF_OPTION_ROWS; i++) {
        const tf_option_row_t *row = &tf_option_rows[i];
        if (strlen(row->flag) == bytes && memcmp(row->flag, flag, bytes) == 0)
            return row;
    }
    return NULL;
}

const char *tf_option_variable(const char *key, char out[TF_OPTION_NAME_BYTES_MAX])
{
    (void)snprintf(out, TF_OPTION_NAME_BYTES_MAX, "TICKFAN_%s", key);
    for (char *at = out; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
    return out;
}

static const char *flag_of(const char *key, char out[TF_OPTION_NAME_BYTES_MAX])
{
    (void)snprintf(out, TF_OPTION_NAME_BYTES_MAX, "--%s", key);
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '_')
            *at = '-';
    }
    return out;
}

const char *tf_option_where(const tf_options_t *options, const char *key, tf_origin_t origin,
                            bool with_key, char out[TF_ORIGIN_BYTES_MAX])
{
    char name[TF_OPTION_NAME_BYTES_MAX];
    switch (origin.given) {
    case TF_GIVEN_FILE:
        (void)snprintf(out, TF_ORIGIN_BYTES_MAX, with_key ? "%s:%" PRIu32 ": %s" : "%s:%" PRIu32,
                       tf_path_end(options->config.text), origin.line, key);
        break;
    case TF_GIVEN_ENVIRONMENT:
        (void)snprintf(out, TF_ORIGIN_BYTES_MAX, "%s", tf_option_variable(key, name));
        break;
    case TF_GIVEN_FLAG:
        (void)snprintf(out, TF_ORIGIN_BYTES_MAX, "%s", flag_of(key, name));
        break;
    case TF_GIVEN_NOWHERE:
        (void)snprintf(out, TF_ORIGIN_BYTES_MAX, "default");
        break;
    }
    return out;
}

/* ---- values ---- */

static tf_option_value_t *value_of(tf_options_t *options, const tf_option_row_t *row)
{
    return (tf_option_value_t *)(void *)((char *)options + row->offset);
}

const tf_option_value_t *tf_option_of(const tf_options_t *options, const tf_option_row_t *row)
{
    return (const tf_option_value_t *)(const void *)((const char *)options + row->offset);
}

const char *tf_option_expected(const tf_option_row_t *row, char out[TF_EXPECTED_BYTES_MAX])
{
    static const char *const units[] = {
        [TF_TYPE_TEXT] = "", [TF_TYPE_NUMBER] = "", [TF_TYPE_MS] = " (ms)", [TF_TYPE_US] = " (us)"};
    if (row->type == TF_TYPE_TEXT)
        (void)snprintf(out, TF_EXPECTED_BYTES_MAX, "one text");
    else
        (void)snprintf(out, TF_EXPECTED_BYTES_MAX,
                       "a whole number from %" PRId64 " to %" PRId64 "%s", row->least, row->most,
                       units[row->type]);
    return out;
}

static bool number_parse(const char *text, int64_t *out)
{
    char *end;
    *out = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && strlen(text) <= 18;
}

void tf_option_set(tf_options_t *options, const tf_option_row_t *row, const char *text,
                   tf_origin_t origin, tf_report_t *report)
{
    tf_option_value_t read = {.text = text, .origin = origin};
    if (row->type != TF_TYPE_TEXT && (!number_parse(text, &read.number) ||
                                      read.number < row->least || read.number > row->most)) {
        char where[TF_ORIGIN_BYTES_MAX];
        char found[TF_QUOTE_BYTES_MAX];
        char expected[TF_EXPECTED_BYTES_MAX];
        tf_report_add(report, origin.line, "%s: found %s, expected %s",
                      tf_option_where(options, row->key, origin, true, where),
                      tf_quote(text, found), tf_option_expected(row, expected));
        return;
    }
    tf_option_value_t *value = value_of(options, row);
    if (value->origin.given <= origin.given)
        *value = read;
}

void tf_option_venue_add(tf_options_t *options, const char *text, tf_origin_t origin,
                         tf_report_t *report)
{
    uint32_t count = options->venue_count;
    if (count > 0 && options->venue_origin[0].given != origin.given)
        return; /* the places are read from the strongest to the weakest */
    if (count == TF_VENUES_MAX) {
        char where[TF_ORIGIN_BYTES_MAX];
        char found[TF_QUOTE_BYTES_MAX];
        tf_report_add(report, origin.line, "%s: found one more, %s, expected at most %d venues",
                      tf_option_where(options, "venue", origin, true, where), tf_quote(text, found),
                      TF_VENUES_MAX);
        return;
    }
    options->venue[count] = text;
    options->venue_origin[count] = origin;
    options->venue_count++;
}
