#include "app/options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    S = TF_COMMAND_SERVE,
    I = TF_COMMAND_INGEST,
    F = TF_COMMAND_FANOUT,
    T = TF_COMMAND_TAP,
};

typedef enum option_type { TEXT, NUMBER, MS, US } option_type_t;

typedef struct option_row {
    const char *flag;
    option_type_t type;
    int commands;
    int64_t least, most;
    const char *fallback;
    const char *help;
    size_t offset;
} option_row_t;

static const option_row_t rows[] = {
#define TF_OPTION(field, flag, type, commands, least, most, fallback, help)                        \
    {flag, type, commands, least, most, fallback, help, offsetof(tf_options_t, field)},
#include "app/options.def"
#undef TF_OPTION
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct {
    tf_command_t command;
    const char *name;
    const char *summary;
} commands[] = {
    {TF_COMMAND_SERVE, "serve", "take in venues, serve WebSocket clients and HTTP, in one process"},
    {TF_COMMAND_INGEST, "ingest", "take in venues, into a shared-memory region only"},
    {TF_COMMAND_FANOUT, "fanout",
     "serve WebSocket clients and HTTP from a region that another process fills"},
    {TF_COMMAND_TAP, "tap", "print a region's live events, from any process on this host"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const char venue_help[] =
    "  --venue V              where data comes from; may be given many times:\n"
    "                           sim[:seed=N,instruments=N,updates_per_s=N,trades_per_s=N,depth=N,\n"
    "                               burst_every_s=N,burst_factor=N]\n"
    "                                          the built-in simulated venue\n"
    "                           replay:VENUE:FILE[:speed=N|max,loop=yes]\n"
    "                                          a recording of VENUE, N times faster, or unpaced\n";

void tf_options_usage(FILE *file)
{
    (void)fputs("usage: tickfan COMMAND [--flag VALUE ...]\n\ncommands:\n", file);
    for (int i = 0; i < COMMANDS; i++)
        (void)fprintf(file, "  %-8s %s\n", commands[i].name, commands[i].summary);
    (void)fputs(
        "\n\"tickfan COMMAND --help\" lists the flags, \"tickfan --version\" tells the version.\n"
        "Try: tickfan serve --venue sim\n",
        file);
}

static void help(FILE *file, int command)
{
    for (int i = 0; i < COMMANDS; i++) {
        if ((int)commands[command].command == (int)commands[i].command)
            (void)fprintf(file, "usage: tickfan %s [--flag VALUE ...]\n%s\n\nflags:\n",
                          commands[i].name, commands[i].summary);
    }
    if (commands[command].command != TF_COMMAND_TAP)
        (void)fputs(venue_help, file);
    for (int i = 0; i < ROWS; i++) {
        if ((rows[i].commands & (int)commands[command].command) != 0)
            (void)fprintf(file, "  --%-20s %s (default %s)\n", rows[i].flag, rows[i].help,
                          rows[i].fallback);
    }
}

static const option_row_t *row_find(const char *flag, size_t bytes)
{
    for (int i = 0; i < ROWS; i++) {
        if (strlen(rows[i].flag) == bytes && memcmp(rows[i].flag, flag, bytes) == 0)
            return &rows[i];
    }
    return NULL;
}

static bool number_parse(const char *text, int64_t *out)
{
    char *end;
    *out = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && strlen(text) <= 18;
}

static bool value_set(const option_row_t *row, const char *text, tf_options_t *options)
{
    tf_option_value_t *value = (tf_option_value_t *)(void *)((char *)options + row->offset);
    if (row->type == TEXT) {
        value->text = text;
        return true;
    }
    int64_t number;
    if (!number_parse(text, &number) || number < row->least || number > row->most) {
        (void)tf_error(TF_ERR_ARG, "--%s %s: expected a whole number from %" PRId64 " to %" PRId64,
                       row->flag, text, row->least, row->most);
        return false;
    }
    value->number = number;
    return true;
}

static bool venue_add(tf_options_t *options, const char *text)
{
    if (options->venue_count == TF_VENUES_MAX) {
        (void)tf_error(TF_ERR_ARG, "--venue: at most %d of them", TF_VENUES_MAX);
        return false;
    }
    options->venue[options->venue_count++] = text;
    return true;
}

/* One --flag with its value; *at moves over a value in an argument of its own. */
static bool flag_take(tf_options_t *options, int argc, char **argv, int *at)
{
    const char *flag = argv[*at] + 2;
    const char *equals = strchr(flag, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - flag) : strlen(flag);
    bool venue = bytes == 5 && memcmp(flag, "venue", 5) == 0 && options->command != TF_COMMAND_TAP;
    const option_row_t *row = venue ? NULL : row_find(flag, bytes);
    if (!venue && (row == NULL || (row->commands & (int)options->command) == 0)) {
        (void)tf_error(TF_ERR_ARG, "unknown flag --%.*s; see --help for the flags of this command",
                       (int)bytes, flag);
        return false;
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL) {
        (void)tf_error(TF_ERR_ARG, "--%s: a value is missing", flag);
        return false;
    }
    return venue ? venue_add(options, value) : value_set(row, value, options);
}

static int command_find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return i;
    }
    return -1;
}

tf_parse_t tf_options_parse(int argc, char **argv, tf_options_t *out, FILE *out_file)
{
    *out = (tf_options_t){0};
    if (argc < 2) {
        (void)tf_error(TF_ERR_ARG, "a command is missing");
        return TF_PARSE_BAD;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        tf_options_usage(out_file);
        return TF_PARSE_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)fputs("tickfan " TF_VERSION "\n", out_file);
        return TF_PARSE_DONE;
    }
    int command = command_find(argv[1]);
    if (command < 0) {
        (void)tf_error(TF_ERR_ARG, "unknown command \"%s\"; expected serve, ingest, fanout or tap",
                       argv[1]);
        return TF_PARSE_BAD;
    }
    out->command = commands[command].command;
    for (int i = 0; i < ROWS; i++)
        TF_ASSERT(value_set(&rows[i], rows[i].fallback, out));
    for (int at = 2; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            help(out_file, command);
            return TF_PARSE_DONE;
        }
        if (strncmp(argv[at], "--", 2) != 0) {
            (void)tf_error(TF_ERR_ARG, "\"%s\": expected a --flag; see --help", argv[at]);
            return TF_PARSE_BAD;
        }
        if (!flag_take(out, argc, argv, &at))
            return TF_PARSE_BAD;
    }
    return TF_PARSE_RUN;
}
