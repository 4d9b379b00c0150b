#include "app/options.h"

#include "app/options_given.h"
#include "app/options_table.h"
#include "base/mem.h"
#include "config/nearest.h"

#include <inttypes.h>
#include <string.h>

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
    {TF_COMMAND_CHECK, "check",
     "check flags, environment and file for every command, and print what would be in effect"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* ---- help ---- */

static const char venue_help[] =
    "  --venue V              where data comes from; may be given many times:\n"
    "                           NAME[:SYMBOL,SYMBOL,...][:key=value,...]\n"
    "                                          the venue itself, as coinbase:BTC-USD,ETH-USD; "
    "without\n"
    "                                          symbols its big markets. Keys: url, ca (a PEM "
    "file),\n"
    "                                          silence_ms, connect_ms, ping_ms, backoff_min_ms,\n"
    "                                          backoff_max_ms\n"
    "                           sim[:seed=N,instruments=N,updates_per_s=N,trades_per_s=N,depth=N,\n"
    "                               burst_every_s=N,burst_factor=N]\n"
    "                                          the built-in simulated venue\n"
    "                           replay:VENUE:FILE[:speed=N|max,loop=yes]\n"
    "                                          a recording of VENUE, N times faster, or unpaced\n";

static const char given_help[] = "\nEach flag is also a key of the configuration file (--batch-us: "
                                 "batch_us, --venue: a list) and an\n"
                                 "environment variable (TICKFAN_BATCH_US; TICKFAN_VENUE=\"V;V\"). "
                                 "A flag goes before a variable, a\n"
                                 "variable before the file. \"tickfan check\" prints every key "
                                 "with its meaning and its value.\n";

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

/* What stands for the value in "--batch-us US". */
static const char *value_name(const tf_option_row_t *row)
{
    static const char *const by_type[] = {
        [TF_TYPE_TEXT] = "WORD", [TF_TYPE_NUMBER] = "N", [TF_TYPE_MS] = "MS", [TF_TYPE_US] = "US"};
    switch ((int)(row - tf_option_rows)) {
    case TF_OPTION_ROW_region:
        return "NAME";
    case TF_OPTION_ROW_log_level:
        return "LEVEL";
    case TF_OPTION_ROW_listen:
    case TF_OPTION_ROW_http:
        return "A:P";
    default:
        return by_type[row->type];
    }
}

/* One line, under the title of its group when it is the first there. Returns the title that is
 * still to be printed. */
static const char *row_help(FILE *file, tf_command_t command, const tf_option_row_t *row,
                            const char *title)
{
    if (!tf_command_takes(command, row->commands))
        return title;
    if (title != NULL)
        (void)fprintf(file, "\n%s:\n", title);
    char flag[TF_OPTION_NAME_BYTES_MAX];
    char range[TF_EXPECTED_BYTES_MAX] = "";
    (void)snprintf(flag, sizeof flag, "%s %s", row->flag, value_name(row));
    if (row->type != TF_TYPE_TEXT)
        (void)snprintf(range, sizeof range, " [%" PRId64 " to %" PRId64 "]", row->least, row->most);
    (void)fprintf(file, "  --%-20s %s%s (default %s)\n", flag, row->help, range, row->fallback);
    return NULL;
}

static void help(FILE *file, int command)
{
    (void)fprintf(file, "usage: tickfan %s [--flag VALUE ...]\n%s\n\nflags:\n",
                  commands[command].name, commands[command].summary);
    if (tf_command_takes(commands[command].command, TF_VENUE_COMMANDS))
        (void)fputs(venue_help, file);
    (void)fprintf(file, "  --%-20s %s\n", "config FILE",
                  "configuration file; \"none\" for none (default tickfan.yaml if it is there)");
    const tf_option_row_t *row = tf_option_rows;
    const char *title = NULL;
#define TF_GROUP(text) title = text;
#define TF_OPTION(...) title = row_help(file, commands[command].command, row++, title);
#include "app/options.def"
#undef TF_OPTION
    (void)title;
    (void)fputs(given_help, file);
}

/* ---- the command line ---- */

static void unknown_flag(const tf_options_t *options, const char *flag, size_t bytes,
                         tf_report_t *report)
{
    char name[TF_OPTION_NAME_BYTES_MAX];
    char quoted[TF_QUOTE_BYTES_MAX];
    (void)snprintf(name, sizeof name, "%.*s", (int)bytes, flag);
    tf_nearest_t nearest = tf_nearest_to(name);
    tf_nearest_try(&nearest, "config");
    if (tf_command_takes(options->command, TF_VENUE_COMMANDS))
        tf_nearest_try(&nearest, "venue");
    for (int i = 0; i < TF_OPTION_ROWS; i++) {
        if (tf_command_takes(options->command, tf_option_rows[i].commands))
            tf_nearest_try(&nearest, tf_option_rows[i].flag);
    }
    if (nearest.name != NULL)
        tf_report_add(report, 0, "command line: found unknown flag --%s, expected --%s?", name,
                      nearest.name);
    else if (strcmp(name, "venue") == 0 || tf_option_by_flag(flag, bytes) != NULL)
        tf_report_add(report, 0,
                      "command line: --%s is a flag of another command; --help has those of this "
                      "one",
                      name);
    else
        tf_report_add(report, 0, "command line: found unknown flag %s; --help has those there are",
                      tf_quote(flag - 2, quoted));
}

static bool named(const char *flag, size_t bytes, const char *name)
{
    return strlen(name) == bytes && memcmp(flag, name, bytes) == 0;
}

/* One --flag with its value; *at moves over a value in an argument of its own. False when the rest
 * of the line can't be told apart any more. */
static bool flag_take(tf_options_t *options, int argc, char **argv, int *at, tf_report_t *report)
{
    const tf_origin_t origin = {.given = TF_GIVEN_FLAG};
    const char *flag = argv[*at] + 2;
    const char *equals = strchr(flag, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - flag) : strlen(flag);
    bool config = named(flag, bytes, "config");
    bool venue =
        named(flag, bytes, "venue") && tf_command_takes(options->command, TF_VENUE_COMMANDS);
    const tf_option_row_t *row = tf_option_by_flag(flag, bytes);
    if (!venue && !config && (row == NULL || !tf_command_takes(options->command, row->commands))) {
        unknown_flag(options, flag, bytes, report);
        return false;
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL) {
        tf_report_add(report, 0, "--%s: a value is missing", flag);
        return false;
    }
    const tf_option_value_t *before = row != NULL ? tf_option_of(options, row) : &options->config;
    if (!venue && before->origin.given == TF_GIVEN_FLAG)
        tf_report_add(report, 0, "--%.*s: found a second time, expected once", (int)bytes, flag);
    else if (config)
        options->config = (tf_option_value_t){.text = value, .origin = origin};
    else if (venue)
        tf_option_venue_add(options, value, origin, report);
    else
        tf_option_set(options, row, value, origin, report);
    return true;
}

static tf_parse_t line_take(tf_options_t *options, int argc, char **argv, int command,
                            FILE *out_file, tf_report_t *report)
{
    for (int at = 2; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            help(out_file, command);
            return TF_PARSE_DONE;
        }
        if (strncmp(argv[at], "--", 2) != 0) {
            char quoted[TF_QUOTE_BYTES_MAX];
            tf_report_add(report, 0, "command line: found %s, expected a --flag; see --help",
                          tf_quote(argv[at], quoted));
            return TF_PARSE_BAD;
        }
        if (!flag_take(options, argc, argv, &at, report))
            return TF_PARSE_BAD;
    }
    return TF_PARSE_RUN;
}

/* The index of the command, or -1, reported. */
static int command_find(const char *name, tf_report_t *report)
{
    char quoted[TF_QUOTE_BYTES_MAX];
    tf_nearest_t nearest = tf_nearest_to(name);
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return i;
        tf_nearest_try(&nearest, commands[i].name);
    }
    if (nearest.name != NULL)
        tf_report_add(report, 0, "command line: found unknown command %s, expected %s?",
                      tf_quote(name, quoted), nearest.name);
    else
        tf_report_add(report, 0, "command line: found unknown command %s", tf_quote(name, quoted));
    return -1;
}

tf_parse_t tf_options_parse(int argc, char **argv, char *const *environment, tf_options_t *out,
                            FILE *out_file, tf_report_t *report)
{
    *out = (tf_options_t){0};
    if (argc < 2) {
        tf_report_add(report, 0, "command line: a command is missing");
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
    int command = command_find(argv[1], report);
    if (command < 0)
        return TF_PARSE_BAD;
    out->command = commands[command].command;
    const tf_origin_t origin = {.given = TF_GIVEN_NOWHERE};
    for (int i = 0; i < TF_OPTION_ROWS; i++)
        tf_option_set(out, &tf_option_rows[i], tf_option_rows[i].fallback, origin, report);
    TF_ASSERT(report->count == 0); /* the defaults of the table are good */
    tf_parse_t result = line_take(out, argc, argv, command, out_file, report);
    if (result != TF_PARSE_RUN)
        return result;
    tf_options_environment(out, environment, report);
    tf_options_file(out, report);
    return report->count == 0 ? TF_PARSE_RUN : TF_PARSE_BAD;
}

void tf_options_fini(tf_options_t *options)
{
    tf_config_close(options->file);
    tf_mem_free(options->venue_texts);
    *options = (tf_options_t){0};
}
